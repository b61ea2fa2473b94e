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

/* Whole PDUs. */
void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	assert_int_equal(rig_feed(data, len, to_server), len);
}

void
feed(const char *hex, bool to_server)
{
	uint8_t data[4 * PDU_MAX];

	feed_bytes(data, unhex(hex, data, sizeof(data)), to_server);
}
