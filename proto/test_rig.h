/*
 * What the protocols' tests share: a parser with a worker's and a flow's part around it, and what it delivers.
 *
 * The test owns the flow's state and the configuration; rig_create() is its cmocka setup's last call.
 */
#ifndef MR_PROTO_TEST_RIG_H
#define MR_PROTO_TEST_RIG_H

#include "test/test.h"

#include "lib/base/buf.h"
#include "lib/record/identity.h"
#include "proto/proto.h"

enum { RIG_DELIVERED_MAX = 1024, RIG_JSON_LEN_MAX = 512 * 1024, RIG_COUNTERS_MAX = 64 };

struct rig_desc {
	const struct proto *proto;
	const struct record_table *table;
	void *state;  /* of proto->state_len bytes */
	void *config; /* NULL: the protocol has none */
	size_t slab_len; /* 0: no slab */
	unsigned int json_flags;  /* deliveries whose record becomes rig->json: those with one of them */
	unsigned int file_wants;  /* enum file_want of both directions; 0: files are not followed */
	void (*seen)(unsigned int flags); /* each delivery, with rig->ctx as it is; NULL: nobody looks */
	void (*file_seen)(unsigned int flags); /* NULL, or of each delivery of a file beside a record */
};

struct rig {
	struct proto_ctx ctx;
	const struct rig_desc *desc;
	struct slab *slab;
	struct proto_volume *volume;
	struct file_tracker *files;
	struct record_builder builder;
	struct record_writer *writer, *identity_writer;
	struct buf json;     /* of the last record that json_flags name, with a zero behind it; "" when there was none */
	struct buf identity; /* of the last identity, as json */
	struct buf told;     /* a line of each delivery with a file: "match", "end" or "event", and the file */
	unsigned int count;  /* deliveries, without identities */
	unsigned int matched, emitted; /* those with PROTO_MATCH, with PROTO_EMIT and not PROTO_QUIET */
	unsigned int identities;
	unsigned int flags[RIG_DELIVERED_MAX]; /* of the first deliveries */
	uint32_t tx_ids[RIG_DELIVERED_MAX];
	uint64_t events;     /* of all deliveries */
	uint64_t events_last; /* of the last one, and its direction */
	bool to_server_last;
	_Atomic uint64_t counters[RIG_COUNTERS_MAX];
	_Alignas(8) uint8_t area[RECORD_LEN_MAX];
};

extern struct rig *rig;

/** Capture time 1,000 s, TCP, nothing delivered, the state zeroed. @return 0 */
int rig_create(const struct rig_desc *desc);
/** Ends the flow, which must give all of the slab back; what it delivered stays. */
void rig_end(void);
/** The same, and begins another with nothing delivered. */
void rig_renew(void);
/** cmocka's teardown: ends the flow and frees everything. */
int rig_destroy(void **state);

/** Feeds one direction as the session does, PDU by PDU and over what the parser wants skipped. The bytes stand at the end of a
 *  heap block, so that the sanitizer sees every read beyond them. @return bytes up to the first that begin no whole PDU */
size_t rig_feed(const void *data, size_t len, bool to_server);

/** Bytes of hex digits; spaces are for the reader. @return how many */
size_t unhex(const char *hex, uint8_t *out, size_t cap);
/** Fails where the lines of rig->told are others; forgets them. */
void assert_told(const char *wanted);
/** Whether an event was told; its index. */
bool saw(unsigned int event);
/** Fails with both texts where rig->json or rig->identity does not hold one. */
void assert_has(const struct buf *json, const char *wanted);

#endif
