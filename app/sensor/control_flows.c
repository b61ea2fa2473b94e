/* The control socket's verb `flows`: what the workers' tables hold now. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/sensor/exporter.h"
#include "app/sensor/sensor.h"
#include "lib/base/clock.h"

enum { LIMIT_DEFAULT = 20, ANSWER_MS = 10000, POLL_US = 500, LINE_CAP = 16 * 1024 };

static bool
read_question(struct census_question *out, const json_t *request, struct config_error *err)
{
	json_t *limit = json_object_get(request, "limit"), *ip = json_object_get(request, "ip");
	const char *text = json_string_value(ip);

	*out = (struct census_question){ .limit = LIMIT_DEFAULT, .of_addr = ip != NULL };
	if (limit != NULL) {
		json_int_t value = json_integer_value(limit);

		if (value < 1 || value > CENSUS_ROWS_MAX) {
			snprintf(err->text, sizeof(err->text), "limit is not a number of 1 to %d", CENSUS_ROWS_MAX);
			return false;
		}
		out->limit = (uint16_t)value;
	}
	if (ip == NULL)
		return true;
	out->ip_version = text != NULL && inet_pton(AF_INET, text, out->addr.bytes) == 1 ? 4 : 6;
	if (out->ip_version == 4 || (text != NULL && inet_pton(AF_INET6, text, out->addr.bytes) == 1))
		return true;
	snprintf(err->text, sizeof(err->text), "ip is not an IPv4 or IPv6 address");
	return false;
}

/* Every worker is asked before any is waited for. */
static bool
ask_workers(struct sensor *sensor, const struct census_question *question, struct config_error *err)
{
	uint64_t until_ms = clock_ms() + ANSWER_MS;

	for (unsigned int i = 0; i < sensor->worker_count; i++)
		if (!census_ask(sensor->workers[i]->census, question)) {
			snprintf(err->text, sizeof(err->text), "worker %u has not answered the last question yet", i);
			return false;
		}
	for (unsigned int i = 0; i < sensor->worker_count; i++)
		while (!census_is_done(sensor->workers[i]->census)) {
			if (clock_ms() > until_ms || atomic_load(&sensor->workers[i]->done)) {
				snprintf(err->text, sizeof(err->text), "worker %u does not answer", i);
				return false;
			}
			usleep(POLL_US);
		}
	return true;
}

static int
compare_bytes(const void *left, const void *right)
{
	const struct census_row *const *a = left, *const *b = right;
	uint64_t more = (*a)->flow.bytes[0] + (*a)->flow.bytes[1], less = (*b)->flow.bytes[0] + (*b)->flow.bytes[1];

	return (more < less) - (more > less);
}

/** The workers' rows, those with the most bytes first. @return owned by the caller; NULL: no memory */
static const struct census_row **
sort_rows(const struct sensor *sensor, unsigned int *count, json_int_t *found)
{
	const struct census_row **rows = calloc((size_t)sensor->worker_count * CENSUS_ROWS_MAX + 1, sizeof(*rows));

	*count = 0;
	*found = 0;
	for (unsigned int i = 0; rows != NULL && i < sensor->worker_count; i++) {
		const struct census *census = sensor->workers[i]->census;

		*found += census->found;
		for (uint16_t k = 0; k < census->count; k++)
			rows[(*count)++] = &census->rows[k];
	}
	if (rows != NULL)
		qsort(rows, *count, sizeof(rows[0]), compare_bytes);
	return rows;
}

/* As the flow's event will have it, without what only its end will say. */
static json_t *
row_of(struct event_json *json, struct buf *line, void *room, const struct census_row *flow)
{
	json_t *row;

	buf_reset(line);
	emit_flow_into(room, &flow->flow, &flow->whole);
	event_json_write(json, line, room);
	row = line->full ? NULL : json_loadb(line->data, line->len, 0, NULL);
	json_object_del(row, "event_type");
	json_object_del(row, "timestamp");
	json_object_del(json_object_get(row, "flow"), "reason");
	return row;
}

static json_t *
list_of(const struct sensor *sensor, const struct census_row *const rows[], unsigned int count)
{
	void *room = aligned_alloc(64, (emit_flow_len() + 63) / 64 * 64);
	struct event_json *json = NULL;
	struct buf line = { 0 };
	json_t *list = NULL;

	if (room != NULL && buf_create(&line, LINE_CAP) == 0 &&
	    exporter_json_create(&json, &sensor->settings, sensor->port_names, sensor->port_count) == 0)
		list = json_array();
	for (unsigned int i = 0; list != NULL && i < count; i++)
		json_array_append_new(list, row_of(json, &line, room, rows[i]));
	event_json_destroy(json);
	buf_destroy(&line);
	free(room);
	return list;
}

json_t *
control_flows(struct sensor *sensor, const json_t *request, struct config_error *err)
{
	struct census_question question;
	const struct census_row **rows;
	unsigned int count;
	json_int_t found;
	json_t *list;

	if (!read_question(&question, request, err) || !ask_workers(sensor, &question, err))
		return NULL;
	rows = sort_rows(sensor, &count, &found);
	list = rows == NULL ? NULL : list_of(sensor, rows, count < question.limit ? count : question.limit);
	free(rows);
	if (list == NULL) {
		snprintf(err->text, sizeof(err->text), "no memory");
		return NULL;
	}
	return json_pack("{s:b,s:I,s:o}", "ok", 1, "found", found, "flows", list);
}
