/* A server with one HTTP/2 connection without TLS, for tests: nghttp2's client at its other end, or bytes. */
#ifndef MR_LINK_TEST_H2_RIG_H
#define MR_LINK_TEST_H2_RIG_H

#include "lib/link/server_h2.h"

enum { RIG_BODY_MAX = 1024 * 1024, RIG_ASKED_MAX = 64, RIG_STREAMS_MAX = 8, RIG_FRAME_MAX = 16 * 1024 };

struct rig {
	struct event_base *base;
	struct link_server server;
	struct peer peer;
	struct bufferevent *ends[2]; /* the server's, the peer's */
	_Atomic uint64_t counters[LINK_SERVER_COUNTERS];
	struct link_request *asked[RIG_ASKED_MAX]; /* NULL: it has gone */
	unsigned int count;
	unsigned int taken;
	bool answers; /* at once */
	bool holds_back; /* the last byte of each body */
	/* what the client saw */
	nghttp2_session *client;
	struct evbuffer *bodies[RIG_ASKED_MAX]; /* of stream 2 * i + 1 */
	char status[RIG_ASKED_MAX][8];
	char retry[RIG_ASKED_MAX][8];
	uint32_t closed[RIG_ASKED_MAX];         /* its error, and 1000 */
	uint32_t goaway;                    /* its error, and 1000 */
};

void rig_create(struct rig *rig);
void rig_destroy(struct rig *rig);
/** Until neither end has anything to say. */
void rig_run(struct rig *rig);
/** Answers what was asked, and forgets it. */
void rig_answer(struct rig *rig, unsigned int which, int status, const char *text);
uint64_t rig_counted(const struct rig *rig, enum link_server_counter which);

/** @param window of each stream, to what the server says */
void rig_client(struct rig *rig, uint32_t window);
/** @param left bytes of the body that are still to come; NULL: GET. @return the stream's place in rig's arrays */
int rig_ask(struct rig *rig, const char *path, size_t *left, bool tells_length);

/** What a client says first; the server's settings are not acknowledged. */
void rig_greet(struct rig *rig);
void rig_put_frame(struct rig *rig, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len);

#define RIG_FIELD(name, value) { (uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE }

#endif
