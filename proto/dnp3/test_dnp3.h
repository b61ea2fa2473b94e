/* What DNP3's tests share: a flow with its parser's surroundings, and traffic for it. */
#ifndef MR_PROTO_DNP3_TEST_DNP3_H
#define MR_PROTO_DNP3_TEST_DNP3_H

#include "test/test.h"

#include "lib/record/identity.h"
#include "proto/dnp3/dnp3.h"

enum { MASTER = 1, OUTSTATION = 10 };

/* What was delivered, and all that a flow needs. */
struct harness {
	struct proto_ctx ctx;
	struct record_builder builder;
	struct dnp3_config config;
	struct dnp3_state state;
	_Atomic uint64_t counters[DNP3_COUNTERS_END];
	uint64_t area[RECORD_LEN_MAX / 8];
	uint64_t last[RECORD_LEN_MAX / 8]; /* the last record */
	uint32_t last_len;
	uint64_t events;      /* all bits seen */
	unsigned int deliveries;
	unsigned int emitted;
	unsigned int links;   /* records without a message */
	unsigned int identities;
	uint64_t identity[256]; /* the last one's blob */
};

extern struct harness h;
extern struct slab *slab;

#define EVENT(name) (UINT64_C(1) << DNP3_EVENT_##name)

struct bytes {
	uint8_t data[32 * 1024];
	uint32_t len;
};

/** Starts a flow anew. */
void harness_begin(void);
/** Whether the last identity says so. */
bool identity_says(enum identity_bit what, const char *text);
/** The last record delivered. */
const struct dnp3_record *last(void);
/** A part of the last record; offset must lie in it. */
const void *at(uint32_t offset);
/** Its nth object header. */
const struct dnp3_object *object(unsigned int nth);
/** The nth point of one. */
const void *point(const struct dnp3_object *of, unsigned int nth);
/** Appends bytes. */
void put(struct bytes *b, const void *data, size_t len);
/** Appends the low len bytes of value, low first. */
void put_le(struct bytes *b, uint64_t value, unsigned int len);
/** Appends the CRC of what stands from `from`. */
void put_crc(struct bytes *b, uint32_t from);
/** Appends a link frame between master and outstation, by the DIR bit of control. */
void put_frame(struct bytes *out, uint8_t control, const uint8_t *data, uint32_t len);
/** Appends the frames of an application fragment, in segments of segment_len bytes. */
void put_fragment(struct bytes *out, uint8_t control, const uint8_t *app, uint32_t len, uint32_t segment_len);
/** Frames and parses as a stream's owner does; bytes that begin no frame are passed over. @return bytes passed over. */
uint32_t feed(const uint8_t *data, uint32_t len, bool to_server);
/** Feeds one application fragment. */
void feed_app(const uint8_t *app, uint32_t len, bool to_server);
/** Whether the last record's JSON has the text in it; prints the JSON when not. */
bool json_has(const char *text);
/** Feeds one frame with a transport header and text. */
void segment(uint8_t control, uint8_t header, const char *text);

void test_crc(void **unused);
void test_frame(void **unused);
void test_link(void **unused);
void test_segments(void **unused);
void test_segment_order(void **unused);
void test_too_long(void **unused);
void test_many_reassemblies(void **unused);
void test_bad_crc(void **unused);
void test_resynchronisation(void **unused);
void test_tables(void **unused);
void test_every_layout(void **unused);
void test_random(void **unused);

#endif
