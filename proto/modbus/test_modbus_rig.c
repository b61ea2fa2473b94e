/* The flow that Modbus's tests feed. */
#include "proto/modbus/test_modbus.h"

struct rig *rig;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	assert_ptr_equal(ctx->owner, rig);
	if (flags == PROTO_IDENTITY) {
		buf_reset(&rig->identity);
		record_write_json(rig->identity_writer, &rig->identity, ctx->record->base, ctx->record->len);
		buf_putc(&rig->identity, '\0');
		rig->identity_count++;
		return;
	}
	assert_true(rig->count < DELIVERED_MAX);
	rig->flags[rig->count] = flags;
	rig->tx_ids[rig->count++] = tx_id;
	rig->events |= ctx->events;
	rig->events_last = ctx->events;
	rig->to_server_last = ctx->to_server;
	ctx->events = 0;
	buf_reset(&rig->json);
	record_write_json(rig->writer, &rig->json, ctx->record->base, ctx->record->len);
	buf_putc(&rig->json, '\0');
	assert_false(rig->json.full);
}

int
rig_create(void **state)
{
	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(slab_create(&rig->slab, 1 << 20), 0);
	assert_int_equal(record_writer_create(&rig->writer, &modbus_table), 0);
	assert_int_equal(record_writer_create(&rig->identity_writer, &identity_table), 0);
	assert_int_equal(buf_create(&rig->json, JSON_LEN_MAX), 0);
	assert_int_equal(buf_create(&rig->identity, JSON_LEN_MAX), 0);
	record_builder_init(&rig->builder, rig->area, sizeof(rig->area));
	rig->config.request_flood = 128;
	rig->ctx = (struct proto_ctx){ .proto = &modbus_proto, .config = &rig->config, .state = &rig->state,
		.slab = rig->slab, .record = &rig->builder, .counters = rig->counters, .ts_ns = UINT64_C(1000000000000),
		.tcp = true, .deliver = collect, .owner = rig };
	return 0;
}

int
rig_destroy(void **state)
{
	(void)state;
	rig->ctx.ending = true;
	modbus_proto.end(&rig->ctx);
	assert_int_equal(rig->state.pairs.count, 0);
	assert_null(rig->state.pairs.oldest);
	assert_null(rig->state.pairs.newest);
	assert_int_equal(slab_used(rig->slab), 0);
	slab_destroy(rig->slab);
	record_writer_destroy(rig->writer);
	record_writer_destroy(rig->identity_writer);
	buf_destroy(&rig->identity);
	buf_destroy(&rig->json);
	free(rig);
	return 0;
}

/* Spaces in hex are for the reader. */
size_t
unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t len = 0;

	while (*hex != '\0') {
		unsigned int byte;

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(len < cap);
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[len++] = (uint8_t)byte;
		hex += 2;
	}
	return len;
}

/* Whole PDUs, framed and parsed as the session does it. The bytes stand at the end of a heap block, so that the
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
		int pdu_len = modbus_proto.frame(in, to_server);

		assert_true(pdu_len > 0);
		modbus_proto.parse(&rig->ctx, cursor_sub(&in, (size_t)pdu_len));
		assert_false(in.short_read);
		assert_int_equal(rig->ctx.to_server, to_server);
	}
	free(copy);
}

void
feed(const char *hex, bool to_server)
{
	uint8_t data[4 * PDU_MAX];

	feed_bytes(data, unhex(hex, data, sizeof(data)), to_server);
}

bool
saw(enum modbus_event event)
{
	return (rig->events >> event & 1) != 0;
}

void
assert_json_has(const char *text)
{
	if (strstr(rig->json.data, text) == NULL)
		fail_msg("no %s in %s", text, rig->json.data);
}

void
rig_renew(void)
{
	rig->ctx.ending = true;
	modbus_proto.end(&rig->ctx);
	rig->ctx.ending = false;
	memset(&rig->state, 0, sizeof(rig->state));
	memset((void *)rig->counters, 0, sizeof(rig->counters));
	rig->count = 0;
	rig->events = 0;
}
