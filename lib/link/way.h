/*
 * Ways to the aggregator: an ordered list, the preferred first. A way says where its connections start, which proxies they
 * pass one after the other (none: direct), who resolves names, and what it may cost.
 *
 *   direct
 *   http://dmz.example:3128                               one CONNECT proxy
 *   socks5h://gate.example:1080 https://out.example:3129  a chain that the sensor walks itself, nearest hop first
 *
 * way_walk() goes one way once, with a bound on every step and on every answer: what a proxy says is hostile until proven
 * otherwise. Each failure has a name (enum way_error) that log, status and `uplink test` share.
 *
 * Threads: a way_set is immutable after way_set_create(); way_walk() is any thread's, a stream one thread's at a time.
 */
#ifndef MR_LINK_WAY_H
#define MR_LINK_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/config.h"
#include "lib/link/rate.h"

enum {
	WAY_MAX = 8,
	WAY_HOPS_MAX = 8,
	WAY_NAME_LEN_MAX = 63,
	WAY_HOST_LEN_MAX = 255,
	WAY_SECRET_LEN_MAX = 255,
	WAY_PATH_LEN_MAX = 511,
	WAY_HOSTS_MAX = 32,        /* static host entries */
	WAY_TEXT_LEN_MAX = 239,    /* of a failure */
	WAY_ADDRESSES_MAX = 8,     /* of a name; more are not tried */
};

enum way_error {
	WAY_DONE,
	WAY_NAME_UNKNOWN,
	WAY_NAME_TIMEOUT,
	WAY_SOURCE,
	WAY_TCP_REFUSED,
	WAY_TCP_TIMEOUT,
	WAY_TCP_UNREACHABLE,
	WAY_PROXY_AUTH,
	WAY_PROXY_DENIED,
	WAY_PROXY_GATEWAY,
	WAY_PROXY_STATUS,
	WAY_PROXY_GARBAGE,
	WAY_PROXY_CLOSED,
	WAY_PROXY_TIMEOUT,
	WAY_TLS_GARBAGE,
	WAY_TLS_CLOSED,
	WAY_TLS_TIMEOUT,
	WAY_TLS_VERSION,
	WAY_TLS_EXPIRED,
	WAY_TLS_NOT_YET,
	WAY_TLS_NAME,
	WAY_TLS_UNKNOWN_CA,
	WAY_TLS_PIN,
	WAY_TLS_WEAK,
	WAY_TLS_REVOKED,
	WAY_TLS_CRL,
	WAY_TLS_CLIENT,
	WAY_TLS_FAILED,
	WAY_CUT,
	WAY_STALLED,
	WAY_HTTP_GARBAGE,
	WAY_HTTP_DENIED,
	WAY_HTTP_LATER,
	WAY_BATCH_REFUSED,
	WAY_CANCELLED,
	WAY_INTERNAL,
	WAY_ERROR_COUNT,
};

/** "tls-expired" */
const char *way_error_name(enum way_error error);
/** What an operator can do about it, one sentence. */
const char *way_error_advice(enum way_error error);

struct way_failure {
	enum way_error error;
	char text[WAY_TEXT_LEN_MAX + 1]; /* where and what, printable */
};

struct way_end {
	char host[WAY_HOST_LEN_MAX + 1]; /* name or address, without brackets */
	uint16_t port;
};

enum way_hop_kind { WAY_HOP_HTTP, WAY_HOP_HTTPS, WAY_HOP_SOCKS5 };
enum way_auth { WAY_AUTH_ANY, WAY_AUTH_BASIC, WAY_AUTH_DIGEST };

struct way_hop {
	enum way_hop_kind kind;
	struct way_end at;
	bool names_local;        /* the name behind this hop is resolved by the sensor */
	enum way_auth auth;      /* ANY: nothing until asked, then digest rather than basic */
	char user[WAY_SECRET_LEN_MAX + 1]; /* "": no credentials */
	char password_file[WAY_PATH_LEN_MAX + 1]; /* its first line; read at each walk */
	char ca[WAY_PATH_LEN_MAX + 1]; /* of an HTTPS hop, PEM */
};

struct way {
	char name[WAY_NAME_LEN_MAX + 1];
	struct way_hop hops[WAY_HOPS_MAX];
	unsigned int hop_count;
	char source[WAY_HOST_LEN_MAX + 1]; /* address to bind to; "": the system's choice */
	char interface[16];                /* interface to bind to; "": the system's choice */
	char inspect_ca[WAY_PATH_LEN_MAX + 1]; /* CA of a proxy that opens TLS; "": none may */
	bool metered;                      /* alerts only */
	bool own_rates;                    /* rates is the way's; else it shares the set's with the others */
	struct rate_table rates;           /* bytes sent a second, by time of day */
};

struct way_host {
	char name[WAY_HOST_LEN_MAX + 1];
	char address[46]; /* numeric */
};

struct way_set {
	struct way ways[WAY_MAX];
	unsigned int count; /* at least 1 */
	struct way_host hosts[WAY_HOSTS_MAX];
	unsigned int host_count;
	struct rate_table rates; /* of all ways without their own together */
};

/** What the configuration says, as it stands there. */
struct way_config {
	const json_t *ways;       /* uplink.ways; NULL: proxy and pre_proxy, else direct */
	const json_t *hosts;      /* uplink.hosts: "NAME ADDRESS", ...; NULL: none */
	const char *proxy, *pre_proxy, *proxy_user, *proxy_password_file, *proxy_ca;
	const char *source, *interface; /* of ways that say nothing else */
	const char *ca;           /* of HTTPS hops that say nothing else */
	bool metered;             /* every way is */
	const json_t *bandwidth;  /* uplink.bandwidth: rate.h; NULL: no bound */
};

/** Copies everything. @return 0, -EINVAL or -ENOMEM with err set. */
int way_set_create(struct way_set **out, const struct way_config *config, struct config_error *err);
void way_set_destroy(struct way_set *set);
/** Reads "https://HOST[:PORT][/]". @return 0 or -EINVAL */
int way_end_parse(struct way_end *out, const char *url, const char *scheme, uint16_t default_port);

/* ---- walking ---- */

enum way_step { WAY_STEP_NAME, WAY_STEP_TCP, WAY_STEP_PROXY_TLS, WAY_STEP_HOP };

struct way_stream;

struct way_walk {
	const struct way_set *set;
	const struct way *way;
	const struct way_end *to;   /* the aggregator */
	uint64_t step_timeout_ms;   /* of each step */
	int cancel_fd;              /* the walk ends when its other end is closed; -1: none */
	/** Told of each step that went well; NULL: nobody is. text is lent. */
	void (*on_step)(void *arg, enum way_step step, const char *text, uint64_t took_ms);
	void *arg;
};

/**
 * Goes the way to its end: from then on the stream's bytes are the aggregator's.
 *
 * @param out   destroyed by way_stream_destroy()
 * @param fail  out: why not
 * @return 0 or -1
 */
int way_walk(struct way_stream **out, const struct way_walk *walk, struct way_failure *fail);

#endif
