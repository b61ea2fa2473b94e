/* A way from its first address to its end, step by step. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/link/way_hop.h"
#include "lib/link/way_resolve.h"

/* What is known of a hop from the tries before this one. */
struct hop_tries {
	struct way_challenge challenge;
	unsigned int address; /* of those of its target, where the sensor resolves it: the one to ask for */
};

enum {
	KEEPALIVE_IDLE_S = 10,
	KEEPALIVE_INTERVAL_S = 5,
	KEEPALIVE_COUNT = 3,
	UNACKED_MAX_MS = 20000, /* a peer that acknowledges nothing for so long is gone */
};

static void
step_done(const struct way_walk *walk, enum way_step step, const char *text, uint64_t since_ms)
{
	if (walk->on_step != NULL)
		walk->on_step(walk->arg, step, text, way_now_ms() - since_ms);
}

static void
set_options(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MAX_MS },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(options[i].value));
}

static int
bind_source(int fd, const struct way *way, int family, struct way_failure *fail)
{
	struct sockaddr_storage from = { .ss_family = (sa_family_t)family };
	void *bytes = family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&from)->sin6_addr :
		(void *)&((struct sockaddr_in *)&from)->sin_addr;

	if (way->interface[0] != '\0' &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, way->interface, (socklen_t)strlen(way->interface)) != 0) {
		way_fail(fail, WAY_SOURCE, "interface %s: %s", way->interface, strerror(errno));
		return -1;
	}
	if (way->source[0] == '\0')
		return 0;
	if (inet_pton(family, way->source, bytes) != 1) {
		way_fail(fail, WAY_SOURCE, "source %s is not of the kind of the address to reach", way->source);
		return -1;
	}
	if (bind(fd, (const struct sockaddr *)&from, way_address_len(&from)) != 0) {
		way_fail(fail, WAY_SOURCE, "source %s: %s", way->source, strerror(errno));
		return -1;
	}
	return 0;
}

static void
fail_connect(struct way_failure *fail, const struct way_end *end, const char *address, int error)
{
	enum way_error name = error == ECONNREFUSED || error == ECONNRESET ? WAY_TCP_REFUSED :
		error == ETIMEDOUT ? WAY_TCP_TIMEOUT : error == ECANCELED ? WAY_CANCELLED : WAY_TCP_UNREACHABLE;

	way_fail(fail, name, "%s:%u (%s): %s", end->host, end->port, address, strerror(error));
}

/* @return 0 or the errno */
static int
finish_connect(const struct way_stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);
	int rc = way_stream_wait(stream, POLLOUT);

	if (rc != 0)
		return -rc;
	return getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static struct way_stream *
connect_address(const struct way_walk *walk, const struct way_end *end, const struct sockaddr_storage *address,
	uint64_t deadline_ms, struct way_failure *fail)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct way_stream *stream;
	char text[46];

	way_address_text(address, text);
	if (fd < 0) {
		way_fail(fail, WAY_INTERNAL, "%s: %s", text, strerror(errno));
		return NULL;
	}
	set_options(fd);
	if (bind_source(fd, walk->way, address->ss_family, fail) != 0) {
		close(fd);
		return NULL;
	}
	int error = connect(fd, (const struct sockaddr *)address, way_address_len(address)) == 0 ? 0 : errno;

	stream = way_stream_create(fd, walk->cancel_fd);
	if (stream == NULL) {
		way_fail(fail, WAY_INTERNAL, "no memory");
		return NULL;
	}
	stream->deadline_ms = deadline_ms;
	if (error == EINPROGRESS)
		error = finish_connect(stream);
	if (error != 0) {
		fail_connect(fail, end, text, error);
		way_stream_destroy(stream);
		return NULL;
	}
	memcpy(stream->sent_by, text, sizeof(text));
	return stream;
}

/* Each address gets its share of the time, so that a dead one does not hide a living one behind it. */
static struct way_stream *
connect_end(const struct way_walk *walk, const struct way_end *end, struct way_failure *fail)
{
	uint64_t start_ms = way_now_ms();
	struct way_addresses addresses;
	struct way_stream *stream = NULL;
	char text[WAY_HOST_LEN_MAX + 64];

	if (way_resolve(walk, end, &addresses, fail) != 0)
		return NULL;
	snprintf(text, sizeof(text), "%s: %u address%s", end->host, addresses.count, addresses.count == 1 ? "" : "es");
	step_done(walk, WAY_STEP_NAME, text, start_ms);
	start_ms = way_now_ms();
	for (unsigned int i = 0; i < addresses.count && stream == NULL; i++) {
		uint64_t used_ms = way_now_ms() - start_ms;
		uint64_t left_ms = used_ms >= walk->step_timeout_ms ? 1 : walk->step_timeout_ms - used_ms;

		stream = connect_address(walk, end, &addresses.at[i], way_now_ms() + left_ms / (addresses.count - i), fail);
		if (stream == NULL && fail->error == WAY_CANCELLED)
			break;
	}
	if (stream == NULL)
		return NULL;
	snprintf(text, sizeof(text), "%s port %u", stream->sent_by, end->port);
	step_done(walk, WAY_STEP_TCP, text, start_ms);
	return stream;
}

static int
read_password(const struct way_hop *hop, char password[WAY_SECRET_LEN_MAX + 1], struct way_failure *fail)
{
	FILE *file = hop->password_file[0] == '\0' ? NULL : fopen(hop->password_file, "re");

	password[0] = '\0';
	if (hop->password_file[0] == '\0')
		return 0;
	if (file == NULL) {
		way_fail(fail, WAY_PROXY_AUTH, "%s: %s", hop->password_file, strerror(errno));
		return -1;
	}
	if (fgets(password, WAY_SECRET_LEN_MAX + 1, file) == NULL)
		password[0] = '\0';
	password[strcspn(password, "\r\n")] = '\0';
	fclose(file);
	return 0;
}

/* What to ask the hop for: a name, or one of its addresses when the sensor resolves it. @param left out: addresses behind it */
static int
target_host(const struct way_walk *walk, const struct way_hop *hop, const struct way_end *next, unsigned int address,
	char host[WAY_HOST_LEN_MAX + 1], unsigned int *left, struct way_failure *fail)
{
	struct way_addresses addresses;

	*left = 0;
	snprintf(host, WAY_HOST_LEN_MAX + 1, "%s", way_host_or_name(walk->set, next->host));
	if (!hop->names_local)
		return 0;
	if (way_resolve(walk, next, &addresses, fail) != 0)
		return -1;
	/* Fewer than at the try before: from the start. */
	address = address < addresses.count ? address : 0;
	*left = addresses.count - 1 - address;
	way_address_text(&addresses.at[address], host);
	return 0;
}

/* It understood, and did not do it: another address may please it more. */
static bool
is_refusal(enum way_error error)
{
	return error == WAY_PROXY_DENIED || error == WAY_PROXY_GATEWAY || error == WAY_PROXY_STATUS;
}

static enum way_hop_result
pass_hop(const struct way_walk *walk, struct way_stream *stream, unsigned int i, struct hop_tries *tries,
	struct way_failure *fail)
{
	const struct way_hop *hop = &walk->way->hops[i];
	const struct way_end *next = i + 1 < walk->way->hop_count ? &walk->way->hops[i + 1].at : walk->to;
	const struct way_tls tls = { .ca = hop->ca };
	uint64_t start_ms = way_now_ms();
	char password[WAY_SECRET_LEN_MAX + 1];
	char host[WAY_HOST_LEN_MAX + 1];
	char text[2 * WAY_HOST_LEN_MAX + 32];
	unsigned int left;

	stream->deadline_ms = start_ms + walk->step_timeout_ms;
	if (hop->kind == WAY_HOP_HTTPS) {
		if (way_stream_tls(stream, &tls, hop->at.host, fail) != 0)
			return WAY_HOP_FAILED;
		step_done(walk, WAY_STEP_PROXY_TLS, hop->at.host, start_ms);
	}
	if (target_host(walk, hop, next, tries->address, host, &left, fail) != 0 || read_password(hop, password, fail) != 0)
		return WAY_HOP_FAILED;
	const struct way_ask ask = { hop, password, host, next->port, &tries->challenge };

	start_ms = way_now_ms();
	stream->deadline_ms = start_ms + walk->step_timeout_ms;
	enum way_hop_result result = hop->kind == WAY_HOP_SOCKS5 ? way_ask_socks(stream, &ask, fail) :
		way_ask_http(stream, &ask, fail);

	OPENSSL_cleanse(password, sizeof(password));
	snprintf(text, sizeof(text), "%s:%u to %s:%u", hop->at.host, hop->at.port, host, next->port);
	if (result == WAY_HOP_OPEN)
		step_done(walk, WAY_STEP_HOP, text, start_ms);
	if (result != WAY_HOP_FAILED || left == 0 || !is_refusal(fail->error))
		return result;
	tries->address++;
	return WAY_HOP_AGAIN;
}

/*
 * Once from the start. A challenge, or another address, takes a new connection: the old one may be closed, and carries a
 * body to be skipped.
 */
static enum way_hop_result
walk_once(struct way_stream **out, const struct way_walk *walk, struct hop_tries tries[], struct way_failure *fail)
{
	const struct way *way = walk->way;
	struct way_stream *stream = connect_end(walk, way->hop_count > 0 ? &way->hops[0].at : walk->to, fail);
	enum way_hop_result result = stream == NULL ? WAY_HOP_FAILED : WAY_HOP_OPEN;

	for (unsigned int i = 0; i < way->hop_count && result == WAY_HOP_OPEN; i++)
		result = pass_hop(walk, stream, i, &tries[i], fail);
	if (result != WAY_HOP_OPEN) {
		way_stream_destroy(stream);
		return result;
	}
	*out = stream;
	return WAY_HOP_OPEN;
}

int
way_walk(struct way_stream **out, const struct way_walk *walk, struct way_failure *fail)
{
	struct hop_tries tries[WAY_HOPS_MAX] = { 0 };
	enum way_hop_result result = WAY_HOP_AGAIN;
	unsigned int most = walk->way->hop_count + WAY_ADDRESSES_MAX;

	*fail = (struct way_failure){ 0 };
	for (unsigned int i = 0; i < most && result == WAY_HOP_AGAIN; i++)
		result = walk_once(out, walk, tries, fail);
	/* An address that did not answer is no fault once another one did. */
	if (result == WAY_HOP_OPEN)
		*fail = (struct way_failure){ 0 };
	return result == WAY_HOP_OPEN ? 0 : -1;
}
