/* What the tests of HTTP share: one flow through a real session, and the last record that the rules saw. */
#ifndef MR_PROTO_HTTP_TEST_HTTP_H
#define MR_PROTO_HTTP_TEST_HTTP_H

#include "test/test.h"

#include "lib/base/buf.h"
#include "proto/http/http.h"
#include "proto/session.h"

extern const struct proto http_proto;

enum { PENDING_MAX = 128 * 1024, LOG_MAX = 64 * 1024 };

struct rig {
	struct config *config;
	struct proto_settings *settings;
	struct slab *slab;
	struct proto_engine *engine;
	struct file_tracker *files; /* nobody wants any, until proto_engine_set_files() */
	struct record_writer *writer;
	struct proto_session session;
	struct counter_set counters;
	struct buf json;            /* of the last event */
	struct buf told;            /* of every delivery with a file: what it is of, and the file */
	struct buf log;             /* of every delivery: kind, direction, events, fields */
	unsigned int matched, emitted;
	uint64_t events;            /* of all deliveries */
	bool to_server_last;
	uint32_t tx_last;
	uint32_t pdu_len_last;
	uint8_t pending[2][PENDING_MAX];
	uint32_t pending_len[2];
	uint64_t ts_ns;
	uint32_t seen_len;          /* of the record below */
	_Alignas(8) uint8_t seen[RECORD_LEN_MAX]; /* as the rules saw it */
};

extern struct rig *rig;
extern const char get_request[], ok_response[];

int rig_create(void **state);
int rig_destroy(void **state);
/** A new flow. @param set  "key=value" for the configuration, or NULL */
void rig_renew(const char *set);
void feed_bytes(const void *data, size_t len, bool to_server, uint32_t missing);
void feed(const char *text, bool to_server);
/** Nothing comes any more from one end. */
void end_direction(bool to_server);
void finish_flow(void);
/** A byte field of the last record that rules saw, as text; NULL: not there. Valid until the next call. */
const char *field_text(const char *path);
void assert_field(const char *path, const char *text);
void assert_json_has(const char *text);
void assert_json_lacks(const char *text);
bool saw(enum http_event event);
uint64_t count_of(enum http_counter counter);

#endif
