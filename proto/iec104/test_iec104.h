/* What IEC 104's tests share: a flow with its parser's surroundings, and traffic for it. */
#ifndef MR_PROTO_IEC104_TEST_IEC104_H
#define MR_PROTO_IEC104_TEST_IEC104_H

#include "test/test.h"

#include "proto/iec104/iec104.h"

/* What was delivered, and all that a flow needs. */
struct harness {
	struct proto_ctx ctx;
	struct record_builder builder;
	struct proto_volume *volume;
	struct iec104_config config;
	struct iec104_state state;
	_Atomic uint64_t counters[IEC104_COUNTERS_END];
	uint16_t ssn[2];      /* of the next APDU, by to_server */
	uint64_t events;      /* all bits seen since they were cleared */
	unsigned int deliveries;
	unsigned int emitted;
	unsigned int identities;
	uint32_t last_len;
	uint64_t area[RECORD_LEN_MAX / 8];
	uint64_t last[RECORD_LEN_MAX / 8]; /* the last record of the protocol's own */
};

extern struct harness h;
extern struct slab *slab;

#define EVENT(name) (UINT64_C(1) << IEC104_EVENT_##name)

struct bytes {
	uint8_t data[4096];
	uint32_t len;
};

/** Starts a flow anew. */
void harness_begin(void);
/** The last record delivered. */
const struct iec104_record *last(void);
/** The nth object of the last record. */
const void *object(unsigned int nth);
/** Appends bytes written in hexadecimal; blanks are passed over. */
void put_hex(struct bytes *b, const char *hex);
/** Appends an I format with the next numbers of its direction around an ASDU written in hexadecimal. */
void put_i(struct bytes *b, const char *asdu, bool to_server);
/** Frames and parses as a stream's owner does; bytes that begin no APDU are passed over. @return bytes passed over. */
uint32_t feed(const uint8_t *data, uint32_t len, bool to_server);
/** Feeds an I format around an ASDU; @return the events it had. */
uint64_t feed_i(const char *asdu, bool to_server);
/** Feeds bytes written in hexadecimal; @return the events they had. */
uint64_t feed_hex(const char *hex, bool to_server);
/** The last record's JSON. Valid until the next call. */
const char *json(void);
/** Whether that has the text in it; prints the JSON when not. */
bool json_has(const char *text);

void test_tables(void **unused);
void test_every_type(void **unused);
void test_sequence_of_elements(void **unused);
void test_checks(void **unused);
void test_times(void **unused);

#endif
