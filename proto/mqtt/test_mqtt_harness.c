/* The rig of MQTT's unit tests. */
#include "proto/mqtt/test_mqtt.h"

struct rig *rig;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct buf *json = flags == PROTO_IDENTITY ? &rig->identity : &rig->json;

	assert_ptr_equal(ctx->owner, rig);
	assert_true(rig->count < DELIVERED_MAX);
	rig->flags[rig->count] = flags;
	rig->tx_ids[rig->count++] = tx_id;
	rig->events |= ctx->events;
	rig->to_server_last = ctx->to_server;
	ctx->events = 0;
	if (flags & PROTO_MATCH)
		memcpy(rig->matched, ctx->record->base, ctx->record->len);
	buf_reset(json);
	record_write_json(flags == PROTO_IDENTITY ? rig->identity_writer : rig->writer, json, ctx->record->base,
		ctx->record->len);
	buf_putc(json, '\0');
	assert_false(json->full);
}

int
rig_create(void **state)
{
	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(slab_create(&rig->slab, 4 << 20), 0);
	assert_int_equal(record_writer_create(&rig->writer, &mqtt_table), 0);
	assert_int_equal(record_writer_create(&rig->identity_writer, &identity_table), 0);
	assert_int_equal(buf_create(&rig->json, JSON_LEN_MAX), 0);
	assert_int_equal(buf_create(&rig->identity, JSON_LEN_MAX), 0);
	record_builder_init(&rig->builder, rig->area, sizeof(rig->area));
	rig->config = (struct mqtt_config){ .message_len_max = 1 << 20, .text_len_max = 1024, .open_max = 1024,
		.subscribe_topics = 100, .unsubscribe_topics = 100, .passwords = true };
	rig->ctx = (struct proto_ctx){ .proto = &mqtt_proto, .config = &rig->config, .state = &rig->state,
		.slab = rig->slab, .record = &rig->builder, .counters = rig->counters, .ts_ns = UINT64_C(1000000000000),
		.tcp = true, .deliver = collect, .owner = rig };
	return 0;
}

void
rig_end(void)
{
	rig->ctx.ending = true;
	mqtt_proto.end(&rig->ctx);
	rig->ctx.ending = false;
	assert_int_equal(rig->state.pairs.count, 0);
	assert_null(rig->state.pairs.oldest);
	assert_null(rig->state.pairs.newest);
	assert_int_equal(slab_used(rig->slab), 0);
}

int
rig_destroy(void **state)
{
	(void)state;
	rig_end();
	slab_destroy(rig->slab);
	record_writer_destroy(rig->writer);
	record_writer_destroy(rig->identity_writer);
	buf_destroy(&rig->json);
	buf_destroy(&rig->identity);
	free(rig);
	return 0;
}

void
rig_renew(void)
{
	rig_end();
	memset(&rig->state, 0, sizeof(rig->state));
	memset((void *)rig->counters, 0, sizeof(rig->counters));
	rig->count = 0;
	rig->events = 0;
}

/* Hex, with spaces for the reader; text between quotes is itself; (...) stands behind a byte that is its length. */
size_t
bytes_of(const char *text, uint8_t *out, size_t cap)
{
	size_t open[4], depth = 0;
	size_t len = 0;
	bool quoted = false;

	for (; *text != '\0'; text++) {
		unsigned int byte;

		assert_true(len < cap);
		if (!quoted && *text == '(') {
			assert_true(depth < TEST_COUNT(open));
			open[depth++] = len++;
		} else if (!quoted && *text == ')') {
			assert_true(depth > 0 && len - open[depth - 1] <= 128);
			depth--;
			out[open[depth]] = (uint8_t)(len - open[depth] - 1);
		} else if (*text == '\'') {
			quoted = !quoted;
		} else if (quoted) {
			out[len++] = (uint8_t)*text;
		} else if (*text != ' ') {
			assert_int_equal(sscanf(text, "%2x", &byte), 1);
			out[len++] = (uint8_t)byte;
			text++;
		}
	}
	assert_int_equal(depth, 0);
	return len;
}

/* Whole packets, framed and parsed as the session does it. The bytes stand at the end of a heap block, so that the
 * sanitizer sees every read beyond them. */
void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct cursor in;

	assert_non_null(copy);
	memcpy(copy, data, len);
	in = cursor_of(copy, len);
	rig->ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int pdu_len = mqtt_proto.frame(in, to_server);

		assert_true(pdu_len > 0);
		rig->ctx.events = 0;
		rig->ctx.skip_len = 0;
		mqtt_proto.parse(&rig->ctx, cursor_sub(&in, (size_t)pdu_len));
		assert_false(in.short_read);
		assert_int_equal(rig->ctx.to_server, to_server);
		if (rig->ctx.skip_len > cursor_left(&in))
			break;
		cursor_skip(&in, rig->ctx.skip_len);
	}
	free(copy);
}

void
feed(const char *text, bool to_server)
{
	static uint8_t data[DATA_MAX];

	feed_bytes(data, bytes_of(text, data, sizeof(data)), to_server);
}

/* Pieces of both directions: "> HEX" from the client, "< HEX" from the server. */
void
talk(const char *script)
{
	char piece[1024];

	while (*script != '\0') {
		bool to_server = *script == '>';
		size_t len = strcspn(script + 1, "<>");

		assert_true((*script == '<' || to_server) && len < sizeof(piece));
		memcpy(piece, script + 1, len);
		piece[len] = '\0';
		feed(piece, to_server);
		script += 1 + len;
	}
}

bool
saw(enum mqtt_event event)
{
	return (rig->events >> event & 1) != 0;
}

void
assert_has(const struct buf *json, const char *text)
{
	if (strstr(json->data, text) == NULL)
		fail_msg("no %s in %s", text, json->data);
}

const char connect_311[] = "10 (0004 'MQTT' 04 c2 003c 0002 'P1' 0001 'u' 0001 'p')";
const char connect_5[] = "10 (0004 'MQTT' 05 02 003c 03 210014 0001 'c')";
const char connack_311[] = "20 (0000)";
const char connack_5[] = "20 (0000 03 22000a)";

void
greet(const char *connect, const char *connack)
{
	feed(connect, CLIENT);
	feed(connack, SERVER);
}
