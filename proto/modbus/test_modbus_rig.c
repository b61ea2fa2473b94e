/* The flow that Modbus's tests feed. */
#include "proto/modbus/test_modbus.h"

struct modbus_state flow;
struct modbus_config config;

static const struct rig_desc desc = { .proto = &modbus_proto, .table = &modbus_table, .state = &flow, .config = &config,
	.slab_len = 1 << 20, .json_flags = PROTO_MATCH | PROTO_EMIT };

int
setup(void **state)
{
	(void)state;
	config = (struct modbus_config){ .request_flood = 128 };
	return rig_create(&desc);
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
