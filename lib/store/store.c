#include "lib/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/store/clickhouse/clickhouse_store.h"
#include "lib/store/sqlite/sqlite_store.h"
#include "lib/store/store_private.h"

static const struct store_ops *const stores[] = {
	&sqlite_store_ops,
	&clickhouse_store_ops,
};

/* In the order of stores[]. */
const char *const store_kinds[] = { "sqlite", "clickhouse", NULL };

/* What lines are read to: LINE_DIGITS_MAX - 1 digits. */
#define FLOW_ID_MAX UINT64_C(999999999999999999)

const struct store_filter_desc store_filters[STORE_FILTER_COUNT] = {
	[STORE_SENSOR] = { "sensor", STORE_IS_TEXT, 0, "sensor's name" },
	[STORE_SINCE] = { "since", STORE_IS_TIME, 0, "not before this time: RFC 3339, or seconds since the Unix epoch" },
	[STORE_UNTIL] = { "until", STORE_IS_TIME, 0, "before this time" },
	[STORE_SRC_IP] = { "src_ip", STORE_IS_IP, 0, "source address, or its network: 10.0.0.0/8" },
	[STORE_DEST_IP] = { "dest_ip", STORE_IS_IP, 0, "destination address, or its network" },
	[STORE_IP] = { "ip", STORE_IS_IP, 0, "source or destination address, or the network of either" },
	[STORE_PORT] = { "port", STORE_IS_NUMBER, 65535, "source or destination port" },
	[STORE_PROTO] = { "proto", STORE_IS_TEXT, 0, "transport protocol: TCP, UDP, ..." },
	[STORE_APP_PROTO] = { "app_proto", STORE_IS_TEXT, 0, "application protocol: modbus, dnp3, ..." },
	[STORE_EVENT_TYPE] = { "event_type", STORE_IS_TEXT, 0, "event type" },
	[STORE_SIGNATURE_ID] = { "signature_id", STORE_IS_NUMBER, UINT32_MAX, "signature of an alert" },
	[STORE_SEVERITY] = { "severity", STORE_IS_NUMBER, 255, "severity of an alert" },
	[STORE_FUNCTION] = { "function", STORE_IS_NUMBER, UINT32_MAX, "function code of a protocol record" },
	[STORE_FLOW_ID] = { "flow_id", STORE_IS_NUMBER, FLOW_ID_MAX, "flow that it is of" },
};

int64_t
store_mark(uint64_t sequence, const struct store_line *line)
{
	return (int64_t)(sequence & 0x7fffffff) << 32 | crc32c(0, line->text.data, line->text.len);
}

int
store_compare(const struct store_tail *tail, const struct batch_head *head, const struct store_line *lines)
{
	uint64_t last = tail->next - 1;

	if (head->sequence > last || tail->mark == 0 || (uint64_t)tail->mark >> 32 != (last & 0x7fffffff))
		return 0;
	if (head->sequence + head->count <= last)
		return -EALREADY;
	return store_mark(last, &lines[last - head->sequence]) == tail->mark ? 0 : -ESTALE;
}

static bool
read_number(const char *text, uint64_t max, int64_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = (int64_t)value;
	return *text == '\0';
}

/* "10.0.0.0/8": bits behind the prefix may be set, as in an interface's own address. */
static bool
read_network(struct line_ip *first, struct line_ip *last, const char *text)
{
	const char *slash = strchr(text, '/');
	int64_t bits;

	last->len = 0;
	if (slash == NULL)
		return store_ip_read(first, text, strlen(text));
	if (!store_ip_read(first, text, (size_t)(slash - text)) || !read_number(slash + 1, 8 * first->len, &bits))
		return false;
	*last = *first;
	for (uint32_t i = 0; i < first->len; i++) {
		int64_t of_byte = bits - 8 * (int64_t)i;
		uint8_t host = of_byte >= 8 ? 0 : of_byte <= 0 ? 0xff : (uint8_t)(0xff >> of_byte);

		first->bytes[i] &= (uint8_t)~host;
		last->bytes[i] |= host;
	}
	return true;
}

static bool
read_value(struct store_filter *filter, unsigned int key, const char *text)
{
	const struct store_filter_desc *desc = &store_filters[key];
	struct line_number time_ns = { 0 };
	size_t len = strlen(text);

	if (desc->type == STORE_IS_NUMBER)
		return read_number(text, desc->max, &filter->value[key].number);
	if (desc->type == STORE_IS_IP)
		return read_network(&filter->value[key].ip, &filter->value[key].last_ip, text);
	if (desc->type == STORE_IS_TIME) {
		if (read_number(text, INT64_MAX / 1000000000, &filter->value[key].number)) {
			filter->value[key].number *= 1000000000;
			return true;
		}
		if (!store_time_read(&time_ns, text, len))
			return false;
		filter->value[key].number = time_ns.value;
		return true;
	}
	if (len == 0 || len > STORE_TEXT_MAX)
		return false;
	memcpy(filter->value[key].text, text, len + 1);
	return true;
}

int
store_filter_set(struct store_filter *filter, const char *name, const char *value)
{
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++) {
		if (strcmp(store_filters[key].name, name) != 0)
			continue;
		if (filter->present >> key & 1)
			return -EEXIST;
		if (!read_value(filter, key, value))
			return -EINVAL;
		filter->present |= 1u << key;
		return 0;
	}
	return -ENOENT;
}

int
store_open(struct store **out, unsigned int kind, const struct store_config *config, bool writer)
{
	if (kind >= sizeof(stores) / sizeof(stores[0]))
		return -EINVAL;
	return stores[kind]->open(out, config, writer);
}

void
store_close(struct store *store)
{
	if (store != NULL)
		store->ops->close(store);
}

int
store_next_sequence(struct store *store, const struct batch_head *head, uint64_t *next)
{
	return store->ops->next_sequence(store, head, next);
}

int
store_append(struct store *store, const struct batch_head *head, const struct store_body *body,
	const struct store_line *lines, struct store_appended *out)
{
	return store->ops->append(store, head, body, lines, out);
}

bool
store_is_shared(const struct store *store)
{
	return store->ops->shared;
}

bool
store_is_lost(const struct store *store)
{
	return store->ops->is_lost != NULL && store->ops->is_lost(store);
}

int
store_backup(struct store *store, const char *path)
{
	return store->ops->backup(store, path);
}

int
store_commit(struct store *store)
{
	return store->ops->commit(store);
}

void
store_rollback(struct store *store)
{
	store->ops->rollback(store);
}

int
store_expire(struct store *store, uint64_t now_s, uint64_t *deleted)
{
	return store->ops->expire(store, now_s, deleted);
}

int
store_query(struct store *store, const struct store_filter *filter, struct store_page *page,
	store_found_fn found, void *arg)
{
	return store->ops->query(store, filter, page, found, arg);
}

int
store_report(struct store *store, enum store_report report, const struct store_filter *filter, json_t **out)
{
	return store->ops->report(store, report, filter, out);
}
