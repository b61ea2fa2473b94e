#include "proto/http/test_http.h"

#include "proto/test_file.h"

struct rig *rig;

const char get_request[] =
	"GET /status.html?unit=3 HTTP/1.1\r\nHost: PLC-7.plant.example:8080\r\nUser-Agent: Panel/2.1\r\nAccept: text/html\r\n"
	"Accept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: id=42\r\nReferer: http://plc-7/\r\nConnection: keep-alive\r\n"
	"X-Forwarded-For: 10.1.2.3\r\n\r\n";
const char ok_response[] =
	"HTTP/1.1 200 OK\r\nServer: Goahead\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n"
	"Set-Cookie: id=43\r\n\r\nhello";

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	assert_ptr_equal(ctx->owner, rig);
	tell_file(&rig->told, ctx, flags);
	if ((flags & PROTO_FILE) != 0)
		return;
	rig->events |= ctx->events;
	rig->to_server_last = ctx->to_server;
	rig->tx_last = tx_id;
	buf_printf(&rig->log, "%x %d %u %llx ", flags, ctx->to_server, tx_id, (unsigned long long)ctx->events);
	ctx->events = 0;
	if (ctx->record->len == 0) {
		buf_puts(&rig->log, "-\n");
		return;
	}
	if (flags & PROTO_MATCH) {
		rig->matched++;
		rig->pdu_len_last = ctx->pdu_len;
		rig->seen_len = ctx->record->len;
		memcpy(rig->seen, ctx->record->base, ctx->record->len);
		for (unsigned int i = 0; i < http_table.field_count; i++) {
			const uint8_t *data;
			uint32_t len;

			if (field_get_bytes(&http_table.fields[i], rig->seen, rig->seen, &data, &len)) {
				buf_printf(&rig->log, "%s=", http_table.fields[i].path);
				buf_hex(&rig->log, data, len);
				buf_putc(&rig->log, ' ');
			}
		}
	}
	buf_reset(&rig->json);
	record_write_json(rig->writer, &rig->json, ctx->record->base, ctx->record->len);
	buf_put(&rig->log, rig->json.data, rig->json.len);
	buf_putc(&rig->json, '\0');
	buf_putc(&rig->log, '\n');
	if (flags & PROTO_EMIT)
		rig->emitted++;
	assert_false(rig->json.full);
}

static void
open_flow(const char *set)
{
	static const struct file_config files = { .hashed_max = 8 };
	static const struct proto *const table[] = { &http_proto, NULL };
	struct counter_set sets[2];
	struct config_error err;

	assert_int_equal(config_load(&rig->config, NULL, &err), 0);
	if (set != NULL)
		assert_int_equal(config_set(rig->config, set, &err), 0);
	assert_int_equal(proto_settings_create(&rig->settings, table, rig->config, &err), 0);
	assert_int_equal(slab_create(&rig->slab, 4 << 20), 0);
	assert_int_equal(proto_engine_create(&rig->engine, rig->settings, rig->slab, collect, NULL, rig), 0);
	assert_int_equal(file_tracker_create(&rig->files, &files, rig->slab), 0);
	proto_engine_give_files(rig->engine, rig->files);
	assert_int_equal(proto_engine_counters(rig->engine, sets, 2), 2);
	rig->counters = sets[1];
	rig->ts_ns = UINT64_C(1000000000000);
}

static void
close_flow(void)
{
	finish_flow();
	assert_int_equal(slab_used(rig->slab), 0);
	proto_engine_destroy(rig->engine);
	file_tracker_destroy(rig->files);
	slab_destroy(rig->slab);
	proto_settings_destroy(rig->settings);
	config_destroy(rig->config);
}

int
rig_create(void **state)
{
	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(record_writer_create(&rig->writer, &http_table), 0);
	assert_int_equal(buf_create(&rig->json, 256 * 1024), 0);
	assert_int_equal(buf_create(&rig->told, 64 * 1024), 0);
	assert_int_equal(buf_create(&rig->log, 4 << 20), 0);
	open_flow(NULL);
	return 0;
}

int
rig_destroy(void **state)
{
	(void)state;
	close_flow();
	record_writer_destroy(rig->writer);
	buf_destroy(&rig->json);
	buf_destroy(&rig->told);
	buf_destroy(&rig->log);
	free(rig);
	return 0;
}

void
rig_renew(const char *set)
{
	close_flow();
	open_flow(set);
	buf_reset(&rig->json);
	buf_reset(&rig->told);
	buf_reset(&rig->log);
	rig->matched = rig->emitted = 0;
	rig->events = 0;
	rig->seen_len = 0;
	memset(rig->pending_len, 0, sizeof(rig->pending_len));
}

/* What is offered stands at the end of a heap block, so that the sanitizer sees every read beyond it. */
static void
offer(bool to_server, uint32_t missing, bool ended)
{
	uint32_t *pending_len = &rig->pending_len[to_server], consumed;
	uint8_t *copy = malloc(*pending_len + 1);

	assert_non_null(copy);
	memcpy(copy + 1, rig->pending[to_server], *pending_len);
	struct proto_input input = { .data = copy + 1, .len = *pending_len, .missing = missing, .ts_ns = rig->ts_ns,
		.sport = to_server ? 40000 : 80, .dport = to_server ? 80 : 40000, .to_server = to_server, .tcp = true,
		.ended = ended };

	consumed = proto_session_data(rig->engine, &rig->session, &input);
	assert_true(consumed <= *pending_len);
	free(copy);
	*pending_len -= consumed;
	memmove(rig->pending[to_server], rig->pending[to_server] + consumed, *pending_len);
}

void
feed_bytes(const void *data, size_t len, bool to_server, uint32_t missing)
{
	uint32_t *pending_len = &rig->pending_len[to_server];

	if (missing > 0)
		*pending_len = 0;
	assert_true(len <= PENDING_MAX - *pending_len);
	memcpy(rig->pending[to_server] + *pending_len, data, len);
	*pending_len += (uint32_t)len;
	offer(to_server, missing, false);
}

void
end_direction(bool to_server)
{
	offer(to_server, 0, true);
}

void
feed(const char *text, bool to_server)
{
	feed_bytes(text, strlen(text), to_server, 0);
}

void
finish_flow(void)
{
	proto_session_end(rig->engine, &rig->session, rig->ts_ns);
}

const char *
field_text(const char *path)
{
	static char text[RECORD_LEN_MAX + 1];
	struct record_path found;
	const uint8_t *data;
	uint32_t len;

	assert_int_equal(record_path_resolve(&http_table, path, &found), 0);
	if (rig->seen_len == 0 || !field_get_bytes(found.leaf, rig->seen, rig->seen, &data, &len))
		return NULL;
	memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

void
assert_field(const char *path, const char *text)
{
	const char *have = field_text(path);

	if (text == NULL && have == NULL)
		return;
	if (text == NULL || have == NULL || strcmp(have, text) != 0)
		fail_msg("%s is %s, not %s", path, have == NULL ? "absent" : have, text == NULL ? "absent" : text);
}

void
assert_json_has(const char *text)
{
	if (strstr(rig->json.data, text) == NULL)
		fail_msg("%s is not in %s", text, rig->json.data);
}

void
assert_json_lacks(const char *text)
{
	if (strstr(rig->json.data, text) != NULL)
		fail_msg("%s is in %s", text, rig->json.data);
}

bool
saw(enum http_event event)
{
	return (rig->events >> event & 1) != 0;
}

uint64_t
count_of(enum http_counter counter)
{
	return counter_get(&rig->counters.values[counter]);
}
