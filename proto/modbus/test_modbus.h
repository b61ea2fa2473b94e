/* What Modbus's tests share: a flow with its parser's surroundings, and traffic for it. */
#ifndef MR_PROTO_MODBUS_TEST_MODBUS_H
#define MR_PROTO_MODBUS_TEST_MODBUS_H

#include "test/test.h"

#include "lib/base/buf.h"
#include "lib/record/identity.h"
#include "proto/modbus/modbus.h"

extern const struct proto modbus_proto;

enum {
	DELIVERED_MAX = 700,
	JSON_LEN_MAX = 64 * 1024,
	PDU_MAX = MODBUS_HEADER_LEN + MODBUS_LENGTH_FRAMED,
};

/* One worker's and one flow's share, and what was delivered. */
struct rig {
	struct proto_ctx ctx;
	struct modbus_state state;
	struct modbus_config config;
	struct record_builder builder;
	_Atomic uint64_t counters[MODBUS_COUNTER_COUNT];
	struct slab *slab;
	struct record_writer *writer, *identity_writer;
	struct buf json;       /* of the last record */
	struct buf identity;   /* of the last identity */
	unsigned int identity_count;
	unsigned int count;
	unsigned int flags[DELIVERED_MAX];
	uint32_t tx_ids[DELIVERED_MAX];
	uint64_t events;       /* of all deliveries */
	uint64_t events_last;
	bool to_server_last;
	_Alignas(8) uint8_t area[RECORD_LEN_MAX];
};

extern struct rig *rig;

int rig_create(void **state);
int rig_destroy(void **state);
/** Starts the flow anew. */
void rig_renew(void);
/** Bytes of hex digits; spaces are for the reader. @return how many */
size_t unhex(const char *hex, uint8_t *out, size_t cap);
/** Frames and parses whole PDUs. */
void feed_bytes(const uint8_t *data, size_t len, bool to_server);
void feed(const char *hex, bool to_server);
/** Whether an event was delivered. */
bool saw(enum modbus_event event);
/** The last record's JSON holds a text. */
void assert_json_has(const char *text);

#endif
