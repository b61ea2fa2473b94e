#include "test/servers/load_peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <nghttp2/nghttp2.h>

enum { PATH_LEN_MAX = 1024, HEAD_LEN_MAX = 128, READ_LEN = 16384, ANSWER_LEN_MAX = 2048 };

struct peer {
	const struct peer_config *config;
	int fd;
	SSL *ssl;
	nghttp2_session *session;
	int32_t stream; /* of peer_begin() */
	size_t sent; /* of the body that was last sent of */
	size_t send_upto; /* with HTTP/2: what may be sent of it now */
	int answered;
	bool refused; /* a stream was ended by the server before its time */
	char answer[ANSWER_LEN_MAX], wanted[32];
	size_t answer_len;
};

SSL_CTX *
peer_tls(const char *pki, bool h2)
{
	static const uint8_t alpn_h2[] = "\2h2", alpn_h1[] = "\10http/1.1";
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char cert[PATH_LEN_MAX], key[PATH_LEN_MAX], ca[PATH_LEN_MAX];

	snprintf(cert, sizeof(cert), "%s/bench.pem", pki);
	snprintf(key, sizeof(key), "%s/bench.key", pki);
	snprintf(ca, sizeof(ca), "%s/ca.pem", pki);
	if (SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
		SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_load_verify_file(context, ca) != 1)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_protos(context, h2 ? alpn_h2 : alpn_h1, h2 ? sizeof(alpn_h2) - 1 : sizeof(alpn_h1) - 1);
	return context;
}

static ssize_t
h2_write(nghttp2_session *session, const uint8_t *bytes, size_t len, int flags, void *user)
{
	struct peer *peer = user;

	return SSL_write(peer->ssl, bytes, (int)len) == (int)len ? (ssize_t)len : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* A stream's source holds how much of the body went already: bodies at once are at different places. */
static ssize_t
h2_give(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags, nghttp2_data_source *source,
	void *user)
{
	size_t *sent = nghttp2_session_get_stream_user_data(session, id);
	struct peer *peer = user;
	size_t len = peer->send_upto - *sent;

	if (len == 0)
		return NGHTTP2_ERR_DEFERRED;
	len = len < room ? len : room;
	memcpy(out, peer->config->body + *sent, len);
	*sent += len;
	peer->sent = *sent;
	if (*sent == peer->config->body_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

static int
h2_take(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *user)
{
	struct peer *peer = user;

	if (len >= strlen(peer->wanted) && memcmp(bytes, peer->wanted, strlen(peer->wanted)) == 0)
		peer->answered++;
	return 0;
}

static int
h2_closed(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
	struct peer *peer = user;

	peer->refused = peer->refused || error != NGHTTP2_NO_ERROR;
	free(nghttp2_session_get_stream_user_data(session, id));
	return 0;
}

static int
h2_open(struct peer *peer)
{
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_send_callback(callbacks, h2_write);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_take);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_closed);
	nghttp2_session_client_new(&peer->session, callbacks, peer);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, NULL, 0);
	return 0;
}

int
peer_open(struct peer **out, const struct peer_config *config)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(config->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	struct peer *peer = calloc(1, sizeof(*peer));
	int on = 1;

	if (peer == NULL)
		return -ENOMEM;
	peer->config = config;
	snprintf(peer->wanted, sizeof(peer->wanted), "{\"bytes\":%zu}\n", config->body_len);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	peer->ssl = SSL_new(config->context);
	if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
		SSL_set_fd(peer->ssl, peer->fd) != 1 || SSL_connect(peer->ssl) != 1 ||
		(config->h2 && h2_open(peer) != 0)) {
		peer_close(peer);
		return -EIO;
	}
	*out = peer;
	return 0;
}

void
peer_close(struct peer *peer)
{
	if (peer == NULL)
		return;
	nghttp2_session_del(peer->session);
	SSL_free(peer->ssl);
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer);
}

static int
h1_head(const struct peer *peer, char head[HEAD_LEN_MAX])
{
	return snprintf(head, HEAD_LEN_MAX, "POST /batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
		peer->config->body_len);
}

static int
h1_send(struct peer *peer, size_t len)
{
	char text[READ_LEN];
	size_t head_len = (size_t)h1_head(peer, text), first = len;

	/* The head goes with the body's first bytes, in one record of TLS. */
	if (first > sizeof(text) - head_len)
		first = sizeof(text) - head_len;
	memcpy(text + head_len, peer->config->body, first);
	if (SSL_write(peer->ssl, text, (int)(head_len + first)) <= 0)
		return -EIO;
	peer->sent = len;
	return first == len || SSL_write(peer->ssl, peer->config->body + first, (int)(len - first)) > 0 ? 0 : -EIO;
}

static int
h1_post(struct peer *peer)
{
	int err = h1_send(peer, peer->config->body_len), len;

	peer->answer_len = 0;
	while (err == 0) {
		len = SSL_read(
			peer->ssl, peer->answer + peer->answer_len, (int)(ANSWER_LEN_MAX - 1 - peer->answer_len));
		if (len <= 0)
			return -EIO;
		peer->answer_len += (size_t)len;
		peer->answer[peer->answer_len] = '\0';
		if (strstr(peer->answer, "\r\n\r\n") != NULL && strstr(peer->answer, peer->wanted) != NULL)
			return strncmp(peer->answer, "HTTP/1.1 200", 12) == 0 ? 0 : -EIO;
	}
	return err;
}

static int32_t
h2_submit(struct peer *peer)
{
#define PAIR(name, value) \
	{ \
		(uint8_t *)name, (uint8_t *)value, sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE \
	}
	char number[24];
	nghttp2_nv head[] = { PAIR(":method", "POST"), PAIR(":scheme", "https"), PAIR(":authority", "localhost"),
		PAIR(":path", "/batches"),
		{ (uint8_t *)"content-length", (uint8_t *)number, 14,
			(size_t)snprintf(number, sizeof(number), "%zu", peer->config->body_len),
			NGHTTP2_NV_FLAG_NONE } };
	nghttp2_data_provider provider = { .read_callback = h2_give };
#undef PAIR

	return nghttp2_submit_request(peer->session, NULL, head, 5, &provider, calloc(1, sizeof(size_t)));
}

static int
h2_read(struct peer *peer)
{
	uint8_t bytes[READ_LEN];
	int len = SSL_read(peer->ssl, bytes, sizeof(bytes));

	return len > 0 && nghttp2_session_mem_recv(peer->session, bytes, (size_t)len) == len ? 0 : -EIO;
}

static int
h2_post(struct peer *peer, int count)
{
	peer->send_upto = peer->config->body_len;
	peer->answered = 0;
	for (int i = 0; i < count; i++)
		if (h2_submit(peer) < 0)
			return -EIO;
	while (nghttp2_session_send(peer->session) == 0) {
		if (peer->answered == count)
			return 0;
		if (h2_read(peer) != 0)
			break;
	}
	return -EIO;
}

int
peer_post(struct peer *peer, int count)
{
	int err = 0;

	if (peer->session != NULL)
		return h2_post(peer, count);
	for (int i = 0; i < count && err == 0; i++)
		err = h1_post(peer);
	return err;
}

int
peer_begin(struct peer *peer, size_t len)
{
	if (peer->session == NULL)
		return h1_send(peer, len);
	peer->send_upto = len;
	peer->stream = h2_submit(peer);
	if (peer->stream < 0 || nghttp2_session_send(peer->session) != 0)
		return -EIO;
	/* What a stream may send at first is the server's to say. */
	while (peer->sent < len)
		if (h2_read(peer) != 0 || nghttp2_session_send(peer->session) != 0)
			return -EIO;
	return 0;
}

int
peer_drip(struct peer *peer)
{
	if (peer->session == NULL)
		return SSL_write(peer->ssl, peer->config->body + peer->sent++, 1) == 1 ? 0 : -EIO;
	peer->send_upto++;
	/* Fails where the server's window is what the stream waits for. */
	nghttp2_session_resume_data(peer->session, peer->stream);
	return nghttp2_session_send(peer->session) == 0 ? 0 : -EIO;
}

bool
peer_wait(struct peer *peer, int timeout_ms)
{
	struct pollfd wait = { .fd = peer->fd, .events = POLLIN };
	int readable = poll(&wait, 1, timeout_ms);

	/* Frames of HTTP/2 that answer nothing yet are no sign of anything. */
	return readable == 1 && (peer->session == NULL || h2_read(peer) != 0 || peer->refused);
}
