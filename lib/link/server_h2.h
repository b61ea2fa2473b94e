/*
 * HTTP/2 (RFC 9113), by nghttp2, on a connection whose TLS handshake chose it. server_h2.c has the connection: bytes in and out,
 * what it may cost, its end; server_h2_memory.c its memory; server_h2_stream.c has a request until it is handed on, server_h2_answer.c its answer.
 *
 * What a connection can hold is bounded by what it was promised. A body of up to one window comes at once; a longer one when
 * its length fits what the connection has for bodies in all, the oldest first, and then it comes whole: bodies never wait for each
 * other half way. Requests that are whole wait while answers do: a peer that does not read is not worked for.
 */
#ifndef MR_LINK_SERVER_H2_H
#define MR_LINK_SERVER_H2_H

#include <netinet/in.h>

#include <event2/bufferevent.h>
#include <nghttp2/nghttp2.h>

#include "lib/link/server_private.h"

enum {
	H2_WINDOW = 65535,             /* of a stream, before it was promised more; RFC 9113 6.9.2 */
	H2_UNSENT_MAX = 1024 * 1024,   /* bytes of answers that wait, beyond which no further request is handed on */
	H2_OUT_MAX = 128 * 1024,       /* bytes that wait for the wire, beyond which none are framed */
	H2_PATIENCE_MAX = 1000,        /* see server_h2_spend() */
	H2_PATIENCE_A_SECOND = 50,
	H2_WORTH_BYTES = 64,           /* of a body or of an answer, that pay 1 */
};

/** What is answered without the handler. */
enum h2_status {
	STATUS_URI = 400,
	STATUS_HEADERS = 431,
	STATUS_METHOD = 501,
};

enum h2_state {
	H2_COMES,    /* not whole yet */
	H2_WHOLE,    /* waits for its turn */
	H2_HANDED,   /* the handler has it */
	H2_ANSWERED, /* its answer is on the way, or nobody wants it */
};

TAILQ_HEAD(h2_requests, h2_request);

/* A stream. */
struct h2_request {
	struct link_request head;
	struct h2 *h2;
	int32_t stream;
	enum h2_state state;
	char *fields;         /* name, zero, value, zero, and so on */
	size_t fields_len;
	size_t fields_cap;
	size_t listed;        /* their size as RFC 9113 6.5.2 reckons */
	int status;           /* to answer without the handler; 0: none */
	struct evhttp_uri *parts;
	struct evbuffer *out; /* of the answer, not framed yet */
	uint64_t length;      /* of the body, as declared; UINT64_MAX: not */
	uint64_t received;
	uint64_t promised;    /* beyond the first window, of what the connection has for bodies; until it is handed on */
	uint64_t since_s;     /* first byte, or when it was promised its body */
	uint64_t moved_s;     /* when some of the answer was framed */
	bool waits;           /* for its promise */
	bool ends;            /* nothing comes behind what is in out */
	bool deferred;        /* nghttp2 waits for more */
	bool due;             /* taken() is to be told */
	bool bare;            /* of HEAD: its answer has no content (RFC 9110 9.3.2) */
	TAILQ_ENTRY(h2_request) link;
	TAILQ_ENTRY(h2_request) turn; /* in ready */
};

/* A connection. */
struct h2 {
	struct peer *peer;
	nghttp2_session *session;
	struct h2_requests requests; /* in the order they came */
	struct h2_requests ready;    /* those in H2_WHOLE */
	uint64_t promised;  /* to bodies in H2_COMES and H2_WHOLE */
	uint64_t unsent;    /* bytes in all out */
	int64_t patience;
	uint64_t idle_s;    /* since when there is no request; the connection's beginning */
	uint64_t end_s;     /* when it was given up; 0: it is not */
	uint64_t written;   /* bytes to the wire at the last look */
	uint64_t written_s; /* when there were more than at the look before, or nothing waited */
	bool asked;         /* at least one whole request came */
	bool cut;           /* nothing that comes is looked at */
	bool pumping;
	bool due;           /* a request is */
	char address[INET6_ADDRSTRLEN];
};

/* ---- server_h2.c ---- */

/** Begins to speak it; see server_h2_release(). @param bev connected; its callbacks are the session's from here. @return 0 or -errno */
int server_h2_begin(struct peer *peer, struct bufferevent *bev);
/** Sends what can be sent, tells and hands on what can be; does nothing when called from within itself. */
void server_h2_pump(struct h2 *h2);
/**
 * Each frame costs something, and what a peer pays with are answered requests, bodies and time: floods of what is cheap to send (resets, pings,
 * settings, empty frames: CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-28182) run out of it.
 * @return whether it could be paid; else the connection is given up
 */
bool server_h2_spend(struct h2 *h2, int64_t cost);

/* ---- server_h2_memory.c ---- */

extern nghttp2_mem server_h2_memory;

/* ---- server_h2_stream.c ---- */

void server_h2_set_callbacks(nghttp2_session_callbacks *callbacks);
/** What of the connection's bodies is free is promised, the oldest first. */
void server_h2_promise(struct h2 *h2);
/** Hands one request on. */
void server_h2_hand_on(struct h2_request *request);
/** Gives a request up, with the peer told. */
void server_h2_reset(struct h2_request *request, uint32_t why);
/** Forgets a request; its handler is told. */
void server_h2_forget(struct h2_request *request);
/** A header's value, lent; NULL: not there. The name in any case. */
const char *server_h2_field(const struct h2_request *request, const char *name);
void server_h2_drop_body(struct h2_request *request);

/* ---- server_h2_answer.c ---- */

extern const struct request_kind server_h2_kind;
/** Answers what never comes to the handler, by its status. */
void server_h2_answer_status(struct h2_request *request);

#endif
