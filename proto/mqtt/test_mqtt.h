/* What the unit tests of MQTT share: one worker's and one flow's rig, hex notation, and what was delivered. */
#ifndef MR_PROTO_TEST_MQTT_H
#define MR_PROTO_TEST_MQTT_H

#include "test/test.h"

#include "lib/base/buf.h"
#include "proto/mqtt/mqtt.h"

extern const struct proto mqtt_proto;

enum { DELIVERED_MAX = 2048, JSON_LEN_MAX = 512 * 1024, DATA_MAX = 64 * 1024 };

/* One worker's and one flow's share, and what was delivered. */
struct rig {
	struct proto_ctx ctx;
	struct mqtt_state state;
	struct mqtt_config config;
	struct record_builder builder;
	_Atomic uint64_t counters[MQTT_COUNTER_COUNT];
	struct slab *slab;
	struct record_writer *writer;
	struct record_writer *identity_writer;
	struct buf json;       /* of the last record that was written or shown to the rules */
	struct buf identity;   /* of the last identity */
	unsigned int count;
	unsigned int flags[DELIVERED_MAX];
	uint32_t tx_ids[DELIVERED_MAX];
	uint64_t events;       /* of all deliveries */
	bool to_server_last;
	_Alignas(8) uint8_t area[RECORD_LEN_MAX];
	_Alignas(8) uint8_t matched[RECORD_LEN_MAX]; /* the last record that the rules saw */
};

extern struct rig *rig;

#define SERVER false
#define CLIENT true
#define E(event) (UINT64_C(1) << MQTT_EVENT_##event)
#define assert_json_has(text) assert_has(&rig->json, text)

extern const char connect_311[], connect_5[], connack_311[], connack_5[];

int rig_create(void **state);
int rig_destroy(void **state);
/** Ends the flow; nothing may be left of it. */
void rig_end(void);
/** Ends the flow and begins another. */
void rig_renew(void);
/** Hex, with spaces for the reader; text between quotes is itself; (...) stands behind a byte that is its length. */
size_t bytes_of(const char *text, uint8_t *out, size_t cap);
/** Whole packets, framed and parsed as the session does it. */
void feed_bytes(const uint8_t *data, size_t len, bool to_server);
void feed(const char *text, bool to_server);
/** Pieces of both directions: "> HEX" from the client, "< HEX" from the server. */
void talk(const char *script);
void greet(const char *connect, const char *connack);
bool saw(enum mqtt_event event);
void assert_has(const struct buf *json, const char *text);

#endif
