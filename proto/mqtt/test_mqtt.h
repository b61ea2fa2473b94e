/* What the unit tests of MQTT share: one worker's and one flow's rig, hex notation, and what was delivered. */
#ifndef MR_PROTO_TEST_MQTT_H
#define MR_PROTO_TEST_MQTT_H

#include "proto/mqtt/mqtt.h"
#include "proto/test_rig.h"

extern const struct proto mqtt_proto;

enum { DATA_MAX = 64 * 1024 };

extern struct mqtt_state flow;
extern struct mqtt_config config;
extern uint8_t matched[]; /* the last record that the rules saw */

#define SERVER false
#define CLIENT true
#define E(event) (UINT64_C(1) << MQTT_EVENT_##event)

extern const char connect_311[], connect_5[], connack_311[], connack_5[];

/** cmocka's setup. */
int setup(void **state);
/** Hex, with spaces for the reader; text between quotes is itself; (...) stands behind a byte that is its length. */
size_t bytes_of(const char *text, uint8_t *out, size_t cap);
/** Whole packets, framed and parsed as the session does it. */
void feed_bytes(const uint8_t *data, size_t len, bool to_server);
void feed(const char *text, bool to_server);
/** Pieces of both directions: "> HEX" from the client, "< HEX" from the server. */
void talk(const char *script);
void greet(const char *connect, const char *connack);

#endif
