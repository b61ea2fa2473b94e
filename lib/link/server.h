/*
 * The aggregator's half of the link: an HTTPS listener with bounds, on a libevent base.
 * TLS 1.3, or 1.2 with ECDHE and AES-256-GCM. Bounds hold for headers, bodies, connections
 * and for how long a peer may take to say a whole request; beyond the bound on connections
 * new ones wait in the kernel.
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
struct evhttp_connection;
struct evhttp_request;

/** What befell connections. */
enum link_server_counter {
	LINK_SERVER_SLOW,    /* cut: their peer took too long to say a request */
	LINK_SERVER_IDLE,    /* cut: silent for too long */
	LINK_SERVER_CROWDED, /* cut: their peer had opened too many since */
	LINK_SERVER_FULL,    /* times that the bound on connections was reached */
	LINK_SERVER_COUNTERS,
};

struct link_server_config {
	const char *topic;          /* what log lines call it: "ingest" */
	const char *listen;         /* "ADDRESS:PORT", "[ADDRESS]:PORT"; port 0: any */
	const char *cert;           /* PEM, the chain, leaf first */
	const char *key;            /* PEM */
	const char *client_ca;      /* PEM; a client must show a certificate of it; NULL: none asked for */
	uint64_t body_max;          /* bytes */
	uint64_t connections_max;
	uint64_t name_connections_max; /* of one client_ca name, beyond it its oldest is cut; 0: no bound */
	uint64_t request_timeout_s; /* from the connection, or from a request's first byte, to the whole request */
	uint64_t idle_timeout_s;    /* from an answer to the next request's first byte; 0: as request_timeout_s */
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

/**
 * A request with its whole body. The handler answers with link_server_answer(), now or later on the same
 * thread; the request is owned by the server until then, and may vanish when the peer goes away: see
 * link_server_on_close().
 */
typedef void (*link_server_handler)(void *arg, struct evhttp_request *request);

/** @return 0 or -errno, logged with the file or address at fault. */
int link_server_create(struct link_server **out, struct event_base *base, const struct link_server_config *config,
	link_server_handler handler, void *arg);
void link_server_destroy(struct link_server *server);
/** Reads the files and the address without listening. @return 0 or -errno, logged. */
int link_server_check(const struct link_server_config *config);

/** The port listened on, host order. */
uint16_t link_server_port(const struct link_server *server);
/** Connections open now. */
uint64_t link_server_connections(const struct link_server *server);

/** Asks about every client again, and cuts the connections of those who may not come in any more. */
void link_server_recheck(struct link_server *server);
/** The peer's address as text; lent for the request. */
const char *link_server_address(struct evhttp_request *request);
/** The serial of the client's verified certificate. @return false when there is none, or it is too long. */
bool link_server_serial(struct evhttp_request *request, char serial[LINK_SERIAL_MAX + 1]);

/** The subject CN of the client's verified certificate. @return false when there is none that could be a sensor's. */
bool link_server_peer(struct evhttp_request *request, char name[BATCH_SENSOR_MAX + 1]);

typedef void (*link_server_closed)(struct evhttp_connection *connection, void *arg);

/** Asks to be told once when the peer goes away before the answer; then the request must not be touched. NULL stops. */
void link_server_on_close(struct evhttp_request *request, link_server_closed closed, void *arg);

/** Answers; body is JSON and is drained. @param retry_after_s 0: no such header. */
void link_server_answer(struct evhttp_request *request, int status, unsigned int retry_after_s, struct evbuffer *body);

/** An answer in chunks: begun once, then chunks, each when taken() told that the one before is on its way; then ended, or cut,
 *  which the peer sees as a fault. */
void link_server_stream_begin(struct evhttp_request *request, const char *content_type);
/** @param chunk is drained; not empty. */
void link_server_stream_chunk(struct evhttp_request *request, struct evbuffer *chunk, link_server_closed taken, void *arg);
void link_server_stream_end(struct evhttp_request *request);
void link_server_stream_cut(struct evhttp_request *request);

#endif
