/*
 * Shared by the files of the server: server.c has the listener and who may come in, server_h1.c what is said in HTTP/1.1, by
 * libevent's own server, server_h2.c what is said in HTTP/2, by nghttp2. A request is a struct link_request that its protocol
 * embeds.
 *
 * Every connection is evhttp's, from accept to free. When the handshake chooses HTTP/2 its bufferevent's callbacks are exchanged,
 * and given back with the event that ends the connection, so that evhttp frees it as one that never said anything.
 */
#ifndef MR_LINK_SERVER_PRIVATE_H
#define MR_LINK_SERVER_PRIVATE_H

#include <sys/queue.h>
#include <time.h>

#include <event2/bufferevent.h>
#include <openssl/ssl.h>

#include "lib/link/expiry.h"
#include "lib/link/server.h"
#include "lib/link/server_tls.h"

struct evhttp;
struct evhttp_uri;
struct h2;

#define SERVER_ONLY "only GET and POST"

enum {
	SERVER_HEADERS_MAX = 16 * 1024,
	SERVER_BODY_SLACK = 64 * 1024, /* a body a little above the bound is read, so that the answer can name the bound */
	SERVER_NAME_BUCKETS = 4096,
};

/* A connection: lives as long as its SSL, which frees it. */
struct peer {
	struct link_server *server; /* NULL once it is destroyed */
	struct bufferevent *bev;
	SSL *ssl; /* NULL: in tests, there is none */
	uint64_t since_s; /* the connection, or the first sign of the next request, or the answer; 0: a request is being handled */
	uint64_t read;    /* bytes from the wire when the last answer went out; UINT64_MAX: more have come, or none went out */
	uint64_t number;  /* connections are numbered in the order they came */
	char name[BATCH_SENSOR_MAX + 1]; /* of the client's certificate, once a request came; "" */
	LIST_ENTRY(peer) same; /* in the bucket of the name */
	bool begins;      /* the next byte is a request's first */
	struct h2 *h2;    /* what it speaks; NULL: HTTP/1.1, or nothing yet */
	struct {
		bufferevent_data_cb read, write;
		bufferevent_event_cb event;
		void *arg;
	} owner;          /* evhttp's callbacks, while they are not the bufferevent's */
	time_t until;     /* end of its certificate, since the Unix epoch; 0: it has none */
	LIST_ENTRY(peer) link;
};

struct link_server {
	struct link_server_config config;
	struct event_base *base;
	SSL_CTX *tls;
	struct server_tls_files files;
	struct expiry expiry; /* of its certificate */
	uint64_t files_s;     /* when to look at the files again */
	uint64_t expiry_s;    /* when to look at its end */
	struct evhttp *http;
	struct evconnlistener *listener; /* http's */
	struct event *sweep;
	link_server_handler handler;
	void *arg;
	LIST_HEAD(, peer) peers;
	LIST_HEAD(, peer) names[SERVER_NAME_BUCKETS];
	uint64_t accepted;
	uint64_t peer_count;
	uint16_t port;
	bool paused;
	bool starved;         /* the system gave nothing for a connection: it is asked again each second */
	LIST_ENTRY(link_server) link; /* of all of the program */
};

/* How a protocol does it; each as the function of server.h of that name says. */
struct request_kind {
	const char *(*header)(const struct link_request *request, const char *name);
	const char *(*address)(const struct link_request *request);
	void (*answer)(struct link_request *request, int status, unsigned int retry_after_s, struct evbuffer *body);
	void (*stream_begin)(struct link_request *request, const char *content_type);
	void (*stream_chunk)(struct link_request *request, struct evbuffer *chunk);
	void (*stream_end)(struct link_request *request);
	void (*stream_cut)(struct link_request *request);
};

struct link_request {
	const struct request_kind *kind;
	struct peer *peer;
	const char *uri;
	const struct evhttp_uri *parts; /* of the uri; NULL: it cannot be read */
	struct evbuffer *body;
	uint64_t body_len;
	link_request_told closed;
	void *closed_arg;
	link_request_told taken;        /* of the chunk on its way */
	void *taken_arg;
	const char *extra_name, *extra_value; /* a header of the answer; NULL: none */
	bool post;
};

/** Seconds of a clock that does not jump; never 0. */
uint64_t server_clock_s(void);
void server_count(struct link_server *server, enum link_server_counter which);
struct peer *server_peer_of(const SSL *ssl);
/** evhttp's: a new connection's bufferevent. @param server struct link_server @return NULL: no memory */
struct bufferevent *server_accept(struct event_base *base, void *server);
/** Ends the connection at the next turn of the loop. */
void server_cut(struct peer *peer);
/** Hands a whole request to the handler. @return false: its peer may not come in any more and was cut, the request is still the
 *  caller's. */
bool server_hand_on(struct link_request *request);
/** What is answered where the handler is not asked. */
void server_write_error(struct evbuffer *out, int status, const char *reason);
/** Tells whoever asked that the peer has gone. */
void server_tell_closed(struct link_request *request);

/** @return 0 or -errno */
int server_h1_create(struct link_server *server);
/** Of a new connection. */
void server_h1_accept(struct peer *peer);
/** Whether the peer's next request has begun is looked at. */
void server_h1_look(struct peer *peer, uint64_t now_s);

/** The handshake chose it: the connection is its own from here until server_h2_release(). */
void server_h2_take(struct peer *peer);
/** Ends the session and gives the connection back. */
void server_h2_release(struct peer *peer);
/** Cuts what is too slow, each second. */
void server_h2_sweep(struct peer *peer, uint64_t now_s);
/** Tells the peer that further requests are not taken. */
void server_h2_stop(struct peer *peer);

#endif
