/*
 * The aggregator's half of the link: an HTTPS listener with bounds, on a libevent base.
 * TLS 1.3, or 1.2 with ECDHE and AES-256-GCM. HTTP/2 or HTTP/1.1, as the handshake chooses (ALPN); a handler cannot tell.
 * Bounds hold for headers, bodies, connections and for how long a peer may take to say a whole request; beyond the bound on
 * connections new ones wait in the kernel.
 *
 * Thread: the one that runs the base.
 */
#ifndef MR_LINK_SERVER_H
#define MR_LINK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/link/batch.h"

struct event_base;
struct evbuffer;

/** What befell connections. */
enum link_server_counter {
	LINK_SERVER_SLOW,    /* cut, of HTTP/2 the request: their peer took too long to say a request */
	LINK_SERVER_IDLE,    /* cut: silent for too long */
	LINK_SERVER_CROWDED, /* cut: their peer had opened too many since */
	LINK_SERVER_FULL,    /* times that the bound on connections was reached */
	LINK_SERVER_SHORT,   /* times that the system had no descriptor, or no memory, for one */
	LINK_SERVER_CERT_RELOADS,        /* times that changed files of TLS were taken over */
	LINK_SERVER_CERT_RELOADS_FAILED, /* times that they were no good */
	LINK_SERVER_CERT_WARNINGS,
	LINK_SERVER_CERT_DAYS_LEFT,      /* set, not counted */
	/* of HTTP/2 */
	LINK_SERVER_HTTP2,   /* connections that speak it */
	LINK_SERVER_STREAMS, /* requests refused: more at once than streams_max */
	LINK_SERVER_HEADERS, /* requests refused: their headers are too long */
	LINK_SERVER_STALLED, /* cut, or the request: their peer does not take its answers */
	LINK_SERVER_FLOOD,   /* cut: their peer sent floods of resets, pings, settings, empty frames or headers */
	LINK_SERVER_BROKEN,  /* cut: what their peer sent is no HTTP/2 */
	LINK_SERVER_COUNTERS,
};

/** Their rows in the table of whoever owns the listener, from the place base on. @param name of the listener, a literal */
#define LINK_SERVER_COUNTER_ROWS(base, name) \
	[(base) + LINK_SERVER_SLOW] = { name ".slow_cut", "connections, of HTTP/2 requests, cut because a request took too long to come" }, \
	[(base) + LINK_SERVER_IDLE] = { name ".idle_cut", "connections cut because they were silent too long" }, \
	[(base) + LINK_SERVER_CROWDED] = { name ".crowded_cut", "connections cut because their sensor had opened too many since" }, \
	[(base) + LINK_SERVER_FULL] = { name ".full", "times that limits.connections was reached" }, \
	[(base) + LINK_SERVER_SHORT] = { name ".files_short", \
		"times that a connection had to wait a second because the system gave no file descriptor, or no memory, for it" }, \
	[(base) + LINK_SERVER_CERT_RELOADS] = { name ".cert_reloads", "times that changed certificate files were taken over" }, \
	[(base) + LINK_SERVER_CERT_RELOADS_FAILED] = { name ".cert_reloads_failed", "times that changed certificate files were no good" }, \
	[(base) + LINK_SERVER_CERT_WARNINGS] = { name ".cert_warnings", "warnings that the certificate is about to expire" }, \
	[(base) + LINK_SERVER_CERT_DAYS_LEFT] = { name ".cert_days_left", "whole days until the certificate expires" }, \
	[(base) + LINK_SERVER_HTTP2] = { name ".http2", "connections that spoke HTTP/2" }, \
	[(base) + LINK_SERVER_STREAMS] = { name ".streams_refused", "HTTP/2 requests refused because of limits.streams" }, \
	[(base) + LINK_SERVER_HEADERS] = { name ".headers_refused", \
		"HTTP/2 requests answered 431 because their headers were longer than 16 KiB" }, \
	[(base) + LINK_SERVER_STALLED] = { name ".stalled_cut", "HTTP/2 connections and requests cut because their answers were not taken" }, \
	[(base) + LINK_SERVER_FLOOD] = { name ".flood_cut", \
		"HTTP/2 connections cut because of floods of resets, pings, settings, empty frames or headers" }, \
	[(base) + LINK_SERVER_BROKEN] = { name ".broken_cut", "HTTP/2 connections cut because what came is no HTTP/2" }

struct link_server_config {
	const char *topic;          /* what log lines call it: "ingest" */
	const char *listen;         /* "ADDRESS:PORT", "[ADDRESS]:PORT"; port 0: any */
	const char *cert;           /* PEM, the chain, leaf first */
	const char *key;            /* PEM */
	const char *cert_name, *key_name; /* the keys of the configuration that say the two; NULL: tls.cert, tls.key */
	const char *client_ca;      /* PEM; a client must show a certificate of it; NULL: none asked for */
	uint64_t body_max;          /* bytes */
	uint64_t connections_max;
	uint64_t name_connections_max; /* of one client_ca name, beyond it its oldest is cut; 0: no bound */
	uint64_t request_timeout_s; /* from the connection, or from a request's first byte, to the whole request */
	uint64_t idle_timeout_s;    /* from an answer to the next request's first byte; 0: as request_timeout_s */
	bool http2;                 /* offered beside HTTP/1.1 */
	uint64_t streams_max;       /* requests of an HTTP/2 connection at once */
	_Atomic uint64_t *counters; /* [LINK_SERVER_COUNTERS]; NULL: not counted */
	/**
	 * Whether a client whose certificate is of client_ca may come in; NULL: every one may. Asked in each handshake, before
	 * each request, and by link_server_recheck(). serial is in hexadecimal, capital letters.
	 */
	bool (*admit)(void *arg, const char *name, const char *serial);
	void *admit_arg;
};

enum { LINK_SERIAL_MAX = 64 }; /* hexadecimal digits */

struct link_server;

/** A request with its whole body. The handler answers it, now or later on the same thread; until then it is lent, and may
 *  vanish when the peer goes away: see link_request_on_close(). */
struct link_request;
typedef void (*link_server_handler)(void *arg, struct link_request *request);

/** @return 0 or -errno, logged with the file or address at fault. */
int link_server_create(struct link_server **out, struct event_base *base, const struct link_server_config *config,
	link_server_handler handler, void *arg);
void link_server_destroy(struct link_server *server);
/** Reads the files and the address without listening; says where the certificate ends soon. @return 0 or -errno, logged (-EKEYEXPIRED: it has
 *  ended). */
int link_server_check(const struct link_server_config *config);

/** Tells peers whose protocol has a word for it that no further requests are taken; what was taken is answered. */
void link_server_stop(struct link_server *server);

/** The port listened on, host order. */
uint16_t link_server_port(const struct link_server *server);

/** Asks about every client again, and cuts the connections of those who may not come in any more. */
void link_server_recheck(struct link_server *server);

/* ---- what was asked; all of it is lent until the answer ---- */

/** GET or POST: others never come here. */
bool link_request_is_post(const struct link_request *request);
/** As it was sent: path and query. */
const char *link_request_uri(const struct link_request *request);
/** Of the URI, as it was sent; NULL: none that can be read. */
const char *link_request_path(const struct link_request *request);
const char *link_request_query(const struct link_request *request);
/** @param name in any case. @return the first of that name; NULL: none */
const char *link_request_header(const struct link_request *request, const char *name);
/** The handler may take it away. */
struct evbuffer *link_request_body(struct link_request *request);
/** Bytes, as they came or were announced. What is longer than body_max may come without its body. */
uint64_t link_request_body_len(const struct link_request *request);
/** The peer's address as text. */
const char *link_request_address(const struct link_request *request);
/** The serial of the client's verified certificate. @return false when there is none, or it is too long. */
bool link_request_serial(const struct link_request *request, char serial[LINK_SERIAL_MAX + 1]);
/** The subject CN of the client's verified certificate. @return false when there is none that could be a sensor's. */
bool link_request_peer(const struct link_request *request, char name[BATCH_SENSOR_MAX + 1]);

/* ---- its answer ---- */

typedef void (*link_request_told)(void *arg);

/** Asks to be told once when the peer goes away before the answer, or before the end of a stream; from then on the request must
 *  not be touched. NULL stops. */
void link_request_on_close(struct link_request *request, link_request_told closed, void *arg);

/** A header more in the answer. @param name, value  kept, not copied: constants. One at most. */
void link_request_extra_header(struct link_request *request, const char *name, const char *value);

/** Answers; body is JSON and is drained. The request is gone. @param retry_after_s 0: no such header. */
void link_request_answer(struct link_request *request, int status, unsigned int retry_after_s, struct evbuffer *body);

/** An answer in chunks: begun once, then chunks, each when taken() told that the one before is on its way; then ended, or cut,
 *  which the peer sees as a fault, and the request is gone. */
void link_request_stream_begin(struct link_request *request, const char *content_type);
/** @param chunk is drained; not empty. */
void link_request_stream_chunk(struct link_request *request, struct evbuffer *chunk, link_request_told taken, void *arg);
void link_request_stream_end(struct link_request *request);
void link_request_stream_cut(struct link_request *request);

#endif
