/* The listener: who may come in, for how long, and how many. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/util.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/link/server_private.h"

enum {
	BACKLOG = 1024,
	FILES_LOOK_S = 5,
	EXPIRY_LOOK_S = 600,
};

static int peer_slot = -1; /* of SSL's ex_data; given once for the process */

/* A listener that cannot accept tells evhttp's own argument, by which its server is found. */
static pthread_mutex_t servers_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, link_server) servers = LIST_HEAD_INITIALIZER(servers);

uint64_t
server_clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec + 1;
}

void
server_count(struct link_server *server, enum link_server_counter which)
{
	if (server->config.counters != NULL)
		counter_add(&server->config.counters[which], 1);
}

struct peer *
server_peer_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, peer_slot);
}

static void
peer_gone(void *ssl, void *ptr, CRYPTO_EX_DATA *data, int slot, long number, void *text)
{
	struct peer *peer = ptr;
	struct link_server *server;

	if (peer == NULL)
		return;
	server = peer->server;
	if (server != NULL) {
		LIST_REMOVE(peer, link);
		if (peer->name[0] != '\0')
			LIST_REMOVE(peer, same);
		server->peer_count--;
	}
	if (server != NULL && server->paused && server->peer_count < server->config.connections_max) {
		server->paused = false;
		evconnlistener_enable(server->listener);
	}
	free(peer);
}

/* Without memory there is no TLS: evhttp then talks plain HTTP, where handle() finds no peer and refuses. */
struct bufferevent *
server_accept(struct event_base *base, void *arg)
{
	struct link_server *server = arg;
	struct peer *peer = calloc(1, sizeof(*peer));
	SSL *ssl = SSL_new(server->tls);

	if (peer == NULL || ssl == NULL || SSL_set_ex_data(ssl, peer_slot, peer) != 1) {
		SSL_free(ssl);
		free(peer);
		return NULL;
	}
	server->starved = false;
	peer->server = server;
	peer->ssl = ssl;
	peer->since_s = server_clock_s();
	peer->read = UINT64_MAX;
	peer->number = server->accepted++;
	LIST_INSERT_HEAD(&server->peers, peer, link);
	if (++server->peer_count >= server->config.connections_max) {
		server_count(server, LINK_SERVER_FULL);
		server->paused = true;
		evconnlistener_disable(server->listener);
	}
	peer->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (peer->bev == NULL) {
		SSL_free(ssl);
		return NULL;
	}
	server_h1_accept(peer);
	/* Peers cut connections as they like: that is no fault of the TLS session. */
	bufferevent_openssl_set_allow_dirty_shutdown(peer->bev, 1);
	return peer->bev;
}

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offered, unsigned int offered_len,
	void *arg)
{
	static const unsigned char known[] = "\x02h2\x08http/1.1";
	const struct link_server *server = arg;
	struct peer *peer = server_peer_of(ssl);
	const unsigned char *from = known + (server->config.http2 ? 0 : 3);
	unsigned char *chosen;

	/* Whoever offers others alone gets HTTP/1.1, as who offers none. */
	if (SSL_select_next_proto(&chosen, out_len, from, (unsigned int)(known + sizeof(known) - 1 - from), offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	if (chosen[0] == 'h' && chosen[1] == '2')
		server_h2_take(peer);
	return SSL_TLSEXT_ERR_OK;
}

/* ---- who may come in ---- */

static bool
is_admitted(const struct link_server *server, const X509 *certificate)
{
	char name[BATCH_SENSOR_MAX + 1];
	char serial[LINK_SERIAL_MAX + 1];

	/* Whoever has no sensor's name is let in here, and answered so. */
	if (server->config.admit == NULL || !server_tls_name(certificate, name))
		return true;
	return server_tls_serial(certificate, serial) && server->config.admit(server->config.admit_arg, name, serial);
}

static int
verify_peer(int fine, X509_STORE_CTX *check)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct peer *peer = SSL_get_ex_data(ssl, peer_slot);
	const X509 *certificate = X509_STORE_CTX_get_current_cert(check);
	struct tm end;

	if (fine != 1 || X509_STORE_CTX_get_error_depth(check) != 0)
		return fine;
	if (peer != NULL && peer->server != NULL && is_admitted(peer->server, certificate)) {
		peer->until = ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? timegm(&end) : 1;
		return 1;
	}
	X509_STORE_CTX_set_error(check, X509_V_ERR_CERT_REVOKED);
	return 0;
}

static bool
is_welcome(const struct link_server *server, const struct peer *peer, time_t now)
{
	const X509 *certificate = peer->until == 0 ? NULL : server_tls_certificate(peer->ssl);

	return peer->until == 0 || (certificate != NULL && now < peer->until && is_admitted(server, certificate));
}

void
server_cut(struct peer *peer)
{
	shutdown(bufferevent_getfd(peer->bev), SHUT_RDWR);
}

void
link_server_recheck(struct link_server *server)
{
	time_t now = time(NULL);
	struct peer *peer;

	LIST_FOREACH(peer, &server->peers, link)
		if (!is_welcome(server, peer, now))
			server_cut(peer);
}

/* ---- certificates ---- */

static int
read_files(struct link_server *server, SSL_CTX **out)
{
	int err = server_tls_create(out, &server->config);

	if (err != 0)
		return err;
	if (server->config.client_ca != NULL)
		SSL_CTX_set_verify(*out, SSL_CTX_get_verify_mode(*out), verify_peer);
	SSL_CTX_set_alpn_select_cb(*out, choose_protocol, server);
	return 0;
}

/* Connections that are open keep what they have. */
static void
take_files(struct link_server *server)
{
	const char *topic = server->config.topic;
	SSL_CTX *fresh = NULL;

	if (!server_tls_changed(&server->files, &server->config))
		return;
	if (read_files(server, &fresh) != 0) {
		/* Perhaps the other half is still being written: it is looked at once more when it has changed again. */
		log_warning("link", "%s: certificate files changed and are no good; those read before stay in use", topic);
		server_count(server, LINK_SERVER_CERT_RELOADS_FAILED);
		return;
	}
	SSL_CTX_free(server->tls);
	server->tls = fresh;
	server->expiry = (struct expiry){ 0 };
	server->expiry_s = 0;
	server_count(server, LINK_SERVER_CERT_RELOADS);
	log_notice("link", "%s: certificate files read again; new connections use them", topic);
}

static void
look_at_end(struct link_server *server)
{
	time_t end = server_tls_end(server->tls);
	time_t now = time(NULL);

	if (expiry_warn(&server->expiry, "link", server->config.cert, end, now))
		server_count(server, LINK_SERVER_CERT_WARNINGS);
	if (server->config.counters != NULL)
		counter_set(&server->config.counters[LINK_SERVER_CERT_DAYS_LEFT], expiry_days_left(end, now));
}

static void
look_at_files(struct link_server *server, uint64_t now_s)
{
	if (now_s >= server->files_s) {
		server->files_s = now_s + FILES_LOOK_S;
		take_files(server);
	}
	if (now_s >= server->expiry_s) {
		server->expiry_s = now_s + EXPIRY_LOOK_S;
		look_at_end(server);
	}
}

/* Ends the connections whose peer took too long to say a whole request, whatever it trickles, or is silent. */
static void
sweep(evutil_socket_t fd, short what, void *arg)
{
	struct link_server *server = arg;
	const struct link_server_config *config = &server->config;
	uint64_t now_s = server_clock_s();
	time_t now = time(NULL);
	struct peer *peer;

	look_at_files(server, now_s);
	if (server->starved && !server->paused)
		evconnlistener_enable(server->listener);
	LIST_FOREACH(peer, &server->peers, link) {
		bool idle;

		if (peer->h2 != NULL) {
			server_h2_sweep(peer, now_s);
			if (peer->until != 0 && now >= peer->until)
				server_cut(peer);
			continue;
		}
		server_h1_look(peer, now_s);
		idle = peer->read != UINT64_MAX && config->idle_timeout_s != 0;
		if (peer->since_s != 0 && now_s - peer->since_s > (idle ? config->idle_timeout_s : config->request_timeout_s)) {
			server_count(server, idle ? LINK_SERVER_IDLE : LINK_SERVER_SLOW);
			server_cut(peer);
		} else if (peer->until != 0 && now >= peer->until) {
			server_cut(peer);
		}
	}
}

static uint32_t
bucket_of(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash % SERVER_NAME_BUCKETS;
}

/* A sensor that lost its connections without knowing must get in again: so its oldest goes, not its newest. */
static void
note_name(struct link_server *server, struct peer *peer)
{
	const X509 *certificate = peer->ssl == NULL ? NULL : server_tls_certificate(peer->ssl);
	char name[BATCH_SENSOR_MAX + 1] = "";
	struct peer *other, *oldest = NULL;
	uint64_t found = 0;

	if (server->config.name_connections_max == 0 || peer->name[0] != '\0' || certificate == NULL ||
	    !server_tls_name(certificate, name))
		return;
	memcpy(peer->name, name, sizeof(name));
	LIST_FOREACH(other, &server->names[bucket_of(peer->name)], same) {
		if (strcmp(other->name, peer->name) != 0)
			continue;
		found++;
		if (oldest == NULL || other->number < oldest->number)
			oldest = other;
	}
	LIST_INSERT_HEAD(&server->names[bucket_of(peer->name)], peer, same);
	if (found < server->config.name_connections_max)
		return;
	server_count(server, LINK_SERVER_CROWDED);
	server_cut(oldest);
}

bool
server_hand_on(struct link_request *request)
{
	struct peer *peer = request->peer;
	struct link_server *server = peer->server;

	/* What is in the socket's buffer already comes through after a cut: it is not looked at. No answer either, which the
	 * peer would take for the batch's. */
	if (server == NULL || !is_welcome(server, peer, time(NULL))) {
		server_cut(peer);
		return false;
	}
	note_name(server, peer);
	server->handler(server->arg, request);
	return true;
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT"; libevent's own parser takes no port 0. */
static bool
parse_listen(const char *text, struct sockaddr_storage *out, int *len)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	char *end;
	unsigned long port;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port > UINT16_MAX || evutil_parse_sockaddr_port(host, (struct sockaddr *)out, len) != 0)
		return false;
	if (out->ss_family == AF_INET6)
		((struct sockaddr_in6 *)out)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)out)->sin_port = htons((uint16_t)port);
	return true;
}

/* Who waits at the door still does: asked again at once, the system says the same, as fast as it can. */
static void
on_accept_error(struct evconnlistener *listener, void *http)
{
	int err = EVUTIL_SOCKET_ERROR();
	struct link_server *server;

	evconnlistener_disable(listener);
	pthread_mutex_lock(&servers_lock);
	LIST_FOREACH(server, &servers, link)
		if (server->http == http)
			break;
	pthread_mutex_unlock(&servers_lock);
	if (server == NULL)
		return;
	server_count(server, LINK_SERVER_SHORT);
	if (!server->starved)
		log_error("link", "%s: no connection can be accepted: %s; tried again each second", server->config.topic, strerror(err));
	server->starved = true;
}

static int
bind_http(struct link_server *server)
{
	struct sockaddr_storage address;
	int len = sizeof(address);
	int on = 1;
	socklen_t name_len = sizeof(address);
	struct evhttp_bound_socket *bound;

	if (!parse_listen(server->config.listen, &address, &len)) {
		log_error("link", "%s: %s is not ADDRESS:PORT", server->config.topic, server->config.listen);
		return -EINVAL;
	}
	server->listener = evconnlistener_new_bind(server->base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
		(struct sockaddr *)&address, len);
	if (server->listener == NULL) {
		int err = errno;

		log_error("link", "%s: %s: %s", server->config.topic, server->config.listen, strerror(err));
		return err == 0 ? -EADDRNOTAVAIL : -err;
	}
	/* Connections have it from here: an answer's last part does not wait until the peer acknowledged the one before. */
	(void)setsockopt(evconnlistener_get_fd(server->listener), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	bound = evhttp_bind_listener(server->http, server->listener);
	if (bound == NULL) {
		evconnlistener_free(server->listener);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	if (getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&address, &name_len) != 0)
		return -errno;
	server->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
		: ((struct sockaddr_in *)&address)->sin_port);
	return 0;
}

static int
start(struct link_server *server)
{
	static const struct timeval second = { .tv_sec = 1 };

	int err = server_h1_create(server);

	if (err != 0)
		return err;
	server->sweep = event_new(server->base, -1, EV_PERSIST, sweep, server);
	if (server->sweep == NULL || event_add(server->sweep, &second) != 0)
		return -ENOMEM;
	return bind_http(server);
}

int
link_server_create(struct link_server **out, struct event_base *base, const struct link_server_config *config,
	link_server_handler handler, void *arg)
{
	struct link_server *server = calloc(1, sizeof(*server));
	int err;

	if (server == NULL)
		return -ENOMEM;
	server->config = *config;
	server->base = base;
	server->handler = handler;
	server->arg = arg;
	LIST_INIT(&server->peers);
	pthread_mutex_lock(&servers_lock);
	LIST_INSERT_HEAD(&servers, server, link);
	pthread_mutex_unlock(&servers_lock);
	if (peer_slot < 0)
		peer_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, peer_gone);
	(void)server_tls_changed(&server->files, config);
	err = peer_slot < 0 ? -ENOMEM : read_files(server, &server->tls);
	if (err == 0)
		err = start(server);
	if (err == 0)
		look_at_files(server, server_clock_s());
	if (err != 0) {
		link_server_destroy(server);
		return err;
	}
	*out = server;
	return 0;
}

int
link_server_check(const struct link_server_config *config)
{
	struct sockaddr_storage address;
	int len = sizeof(address);
	struct expiry expiry = { 0 };
	SSL_CTX *tls = NULL;
	int err = server_tls_create(&tls, config);

	if (err == 0)
		(void)expiry_warn(&expiry, "link", config->cert, server_tls_end(tls), time(NULL));
	if (expiry.ended)
		err = -EKEYEXPIRED;
	SSL_CTX_free(tls);
	if (!parse_listen(config->listen, &address, &len)) {
		log_error("link", "%s: %s is not ADDRESS:PORT", config->topic, config->listen);
		err = -EINVAL;
	}
	return err;
}

void
link_server_destroy(struct link_server *server)
{
	struct peer *peer;

	if (server == NULL)
		return;
	pthread_mutex_lock(&servers_lock);
	LIST_REMOVE(server, link);
	pthread_mutex_unlock(&servers_lock);
	/* libevent frees connections later, from the base: by then the server is gone. */
	LIST_FOREACH(peer, &server->peers, link) {
		server_h2_release(peer);
		peer->server = NULL;
	}
	if (server->sweep != NULL)
		event_free(server->sweep);
	if (server->http != NULL)
		evhttp_free(server->http);
	SSL_CTX_free(server->tls);
	free(server);
}

void
link_server_stop(struct link_server *server)
{
	struct peer *peer;

	LIST_FOREACH(peer, &server->peers, link)
		if (peer->h2 != NULL)
			server_h2_stop(peer);
}

uint16_t
link_server_port(const struct link_server *server)
{
	return server->port;
}
