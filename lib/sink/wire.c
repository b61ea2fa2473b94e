#include "lib/sink/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link/way_resolve.h"
#include "lib/link/way_stream.h"

enum { PEM_MAX = 256 * 1024 };

struct wire {
	enum wire_transport transport;
	struct way_set *set; /* one way: direct */
	struct way_end to;
	char *ca, *cert, *cert_key;
	uint64_t timeout_ms;
	int cancel[2];       /* a pipe: its end for writing is closed to cancel */
	int udp_fd;          /* -1: not connected */
	struct way_stream *stream; /* NULL: not connected */
};

static const char *const schemes[WIRE_TRANSPORT_COUNT] = { [WIRE_UDP] = "udp", [WIRE_TCP] = "tcp", [WIRE_TLS] = "tls" };

static int
fail_config(struct config_error *err, int rc, const struct wire_config *config, const char *key, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%s.%s: %s", config->key, key, why);
	return rc;
}

static int
parse(struct wire *wire, const struct wire_config *config, struct config_error *err)
{
	for (unsigned int i = 0; i < WIRE_TRANSPORT_COUNT; i++)
		if (way_end_parse(&wire->to, config->url, schemes[i], config->default_ports[i]) == 0) {
			wire->transport = i;
			break;
		} else if (i + 1 == WIRE_TRANSPORT_COUNT) {
			return fail_config(err, -EINVAL, config, "url", "must be udp://, tcp:// or tls://HOST:PORT");
		}
	if (wire->transport != WIRE_TLS)
		return 0;
	if (config->ca[0] == '\0' || access(config->ca, R_OK) != 0)
		return fail_config(err, -EINVAL, config, "ca", "must name the CA certificates of the receiver");
	if ((config->cert[0] == '\0') != (config->cert_key[0] == '\0'))
		return fail_config(err, -EINVAL, config, "cert", "a certificate and its key are given together");
	return 0;
}

int
wire_create(struct wire **out, const struct wire_config *config, struct config_error *err)
{
	static const struct way_config direct = { 0 };
	struct wire *wire = calloc(1, sizeof(*wire));
	int rc;

	if (wire == NULL)
		return fail_config(err, -ENOMEM, config, "url", "no memory");
	wire->cancel[0] = wire->cancel[1] = wire->udp_fd = -1;
	wire->timeout_ms = config->timeout_ms;
	rc = parse(wire, config, err);
	if (rc == 0)
		rc = way_set_create(&wire->set, &direct, err);
	if (rc == 0) {
		wire->ca = strdup(config->ca);
		wire->cert = strdup(config->cert);
		wire->cert_key = strdup(config->cert_key);
		if (wire->ca == NULL || wire->cert == NULL || wire->cert_key == NULL || pipe2(wire->cancel, O_CLOEXEC) != 0)
			rc = fail_config(err, -ENOMEM, config, "url", "no memory");
	}
	if (rc != 0) {
		wire_destroy(wire);
		return rc;
	}
	*out = wire;
	return 0;
}

void
wire_destroy(struct wire *wire)
{
	if (wire == NULL)
		return;
	wire_close(wire);
	wire_cancel(wire);
	if (wire->cancel[0] >= 0)
		close(wire->cancel[0]);
	way_set_destroy(wire->set);
	free(wire->ca);
	free(wire->cert);
	free(wire->cert_key);
	free(wire);
}

enum wire_transport
wire_transport(const struct wire *wire)
{
	return wire->transport;
}

void
wire_cancel(struct wire *wire)
{
	int fd = __atomic_exchange_n(&wire->cancel[1], -1, __ATOMIC_ACQ_REL);

	if (fd >= 0)
		close(fd);
}

/* ---- connecting ---- */

/* Files are read at each connection: certificates are renewed. */
static char *
read_pem(const char *path, size_t *len)
{
	FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
	char *text = file == NULL ? NULL : malloc(PEM_MAX);

	*len = text == NULL ? 0 : fread(text, 1, PEM_MAX, file);
	if (file != NULL)
		fclose(file);
	return text;
}

static int
start_tls(struct wire *wire, struct way_failure *fail)
{
	struct way_tls tls = { .ca = wire->ca };
	char *cert = read_pem(wire->cert, &tls.cert_len);
	char *key = read_pem(wire->cert_key, &tls.key_len);
	int rc = -1;

	tls.cert = cert;
	tls.key = key;
	if (wire->cert[0] != '\0' && (cert == NULL || key == NULL))
		way_fail(fail, WAY_TLS_CLIENT, "%s: cannot be read", cert == NULL ? wire->cert : wire->cert_key);
	else
		rc = way_stream_tls(wire->stream, &tls, wire->to.host, fail);
	if (key != NULL)
		explicit_bzero(key, tls.key_len);
	free(cert);
	free(key);
	return rc;
}

static int
connect_udp(struct wire *wire, const struct way_walk *walk, struct way_failure *fail)
{
	struct way_addresses addresses;

	if (way_resolve(walk, &wire->to, &addresses, fail) != 0)
		return -1;
	for (unsigned int i = 0; i < addresses.count; i++) {
		const struct sockaddr_storage *at = &addresses.at[i];
		int fd = socket(at->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (const struct sockaddr *)at, way_address_len(at)) == 0) {
			wire->udp_fd = fd;
			return 0;
		}
		way_fail(fail, WAY_TCP_UNREACHABLE, "%s: %s", wire->to.host, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

int
wire_connect(struct wire *wire, struct way_failure *fail)
{
	const struct way_walk walk = {
		.set = wire->set,
		.way = &wire->set->ways[0],
		.to = &wire->to,
		.step_timeout_ms = wire->timeout_ms,
		.cancel_fd = wire->cancel[0],
	};

	wire_close(wire);
	if (wire->transport == WIRE_UDP)
		return connect_udp(wire, &walk, fail);
	if (way_walk(&wire->stream, &walk, fail) != 0) {
		wire->stream = NULL;
		return -1;
	}
	wire->stream->deadline_ms = way_now_ms() + wire->timeout_ms;
	if (wire->transport == WIRE_TLS && start_tls(wire, fail) != 0) {
		wire_close(wire);
		return -1;
	}
	return 0;
}

void
wire_close(struct wire *wire)
{
	SSL *ssl = wire->stream == NULL ? NULL : way_stream_ssl(wire->stream);

	/* Says goodbye where it can be said at once. */
	if (ssl != NULL && SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	way_stream_destroy(wire->stream);
	wire->stream = NULL;
	if (wire->udp_fd >= 0)
		close(wire->udp_fd);
	wire->udp_fd = -1;
}

/* ---- sending ---- */

bool
wire_is_open(struct wire *wire)
{
	char said[4096];
	int n;

	if (wire->stream == NULL)
		return wire->udp_fd >= 0;
	do {
		wire->stream->deadline_ms = 0;
		n = way_stream_read(wire->stream, said, sizeof(said));
	} while (n > 0);
	return n == -ETIMEDOUT;
}

/* A datagram does not wait; one that has no room in the socket is tried again for as long as a step may take. */
static int
send_udp(struct wire *wire, const void *data, size_t len)
{
	struct pollfd fds[2] = { { .fd = wire->udp_fd, .events = POLLOUT }, { .fd = wire->cancel[0] } };

	for (;;) {
		if (send(wire->udp_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			return -errno;
		if (poll(fds, 2, (int)wire->timeout_ms) <= 0)
			return -ETIMEDOUT;
		if (fds[1].revents != 0)
			return -ECANCELED;
	}
}

int
wire_send(struct wire *wire, const void *data, size_t len)
{
	if (wire->transport == WIRE_UDP)
		return wire->udp_fd < 0 ? -ENOTCONN : send_udp(wire, data, len);
	if (wire->stream == NULL)
		return -ENOTCONN;
	wire->stream->deadline_ms = way_now_ms() + wire->timeout_ms;
	return way_stream_write(wire->stream, data, len);
}
