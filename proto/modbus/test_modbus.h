/* What Modbus's tests share: a flow with its parser's surroundings, and traffic for it. */
#ifndef MR_PROTO_MODBUS_TEST_MODBUS_H
#define MR_PROTO_MODBUS_TEST_MODBUS_H

#include "proto/modbus/modbus.h"
#include "proto/test_rig.h"

extern const struct proto modbus_proto;

enum {
	PDU_MAX = MODBUS_HEADER_LEN + MODBUS_LENGTH_FRAMED,
};

extern struct modbus_state flow;
extern struct modbus_config config;

/** cmocka's setup. */
int setup(void **state);
/** Frames and parses whole PDUs. */
void feed_bytes(const uint8_t *data, size_t len, bool to_server);
void feed(const char *hex, bool to_server);

#endif
