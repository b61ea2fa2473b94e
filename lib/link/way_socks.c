/* SOCKS5 (RFC 1928), with user name and password (RFC 1929). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/link/way_hop.h"

enum {
	SOCKS_VERSION = 5,
	SOCKS_METHOD_NONE = 0,
	SOCKS_METHOD_PASSWORD = 2,
	SOCKS_METHOD_REFUSED = 0xff,
	SOCKS_CONNECT = 1,
	SOCKS_IPV4 = 1,
	SOCKS_NAME = 3,
	SOCKS_IPV6 = 4,
};

/* Reads exactly so much: what follows is not the proxy's any more. @return 0 or -1 with fail set */
static int
read_exactly(struct way_stream *stream, const struct way_ask *ask, uint8_t *data, size_t len, struct way_failure *fail)
{
	while (len > 0) {
		int n = way_stream_read(stream, data, len);

		if (n <= 0) {
			way_fail_io(fail, ask->hop, n);
			return -1;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
send_buf(struct way_stream *stream, const struct way_ask *ask, const struct buf *request, struct way_failure *fail)
{
	int rc = request->full ? -EPIPE : way_stream_write(stream, request->data, request->len);

	if (rc != 0)
		way_fail_io(fail, ask->hop, rc);
	return rc == 0 ? 0 : -1;
}

static int
fail_garbage(const struct way_ask *ask, struct way_failure *fail)
{
	way_fail(fail, WAY_PROXY_GARBAGE, "%s:%u: the answer is no SOCKS5", ask->hop->at.host, ask->hop->at.port);
	return -1;
}

static int
log_in(struct way_stream *stream, const struct way_ask *ask, struct way_failure *fail)
{
	char data[2 * WAY_SECRET_LEN_MAX + 3];
	struct buf request = { .data = data, .cap = sizeof(data) };
	uint8_t answer[2];

	buf_putc(&request, 1);
	buf_putc(&request, (char)strlen(ask->hop->user));
	buf_puts(&request, ask->hop->user);
	buf_putc(&request, (char)strlen(ask->password));
	buf_puts(&request, ask->password);
	int rc = send_buf(stream, ask, &request, fail);

	OPENSSL_cleanse(data, sizeof(data));
	if (rc != 0 || read_exactly(stream, ask, answer, sizeof(answer), fail) != 0)
		return -1;
	if (answer[0] != 1)
		return fail_garbage(ask, fail);
	if (answer[1] == 0)
		return 0;
	way_fail(fail, WAY_PROXY_AUTH, "%s:%u: user and password are refused", ask->hop->at.host, ask->hop->at.port);
	return -1;
}

static int
greet(struct way_stream *stream, const struct way_ask *ask, struct way_failure *fail)
{
	bool secret = ask->hop->user[0] != '\0';
	char data[4];
	struct buf request = { .data = data, .cap = sizeof(data) };
	uint8_t answer[2];

	buf_putc(&request, SOCKS_VERSION);
	buf_putc(&request, secret ? 2 : 1);
	buf_putc(&request, SOCKS_METHOD_NONE);
	if (secret)
		buf_putc(&request, SOCKS_METHOD_PASSWORD);
	if (send_buf(stream, ask, &request, fail) != 0 || read_exactly(stream, ask, answer, sizeof(answer), fail) != 0)
		return -1;
	if (answer[0] != SOCKS_VERSION)
		return fail_garbage(ask, fail);
	if (answer[1] == SOCKS_METHOD_NONE)
		return 0;
	if (answer[1] == SOCKS_METHOD_PASSWORD && secret)
		return log_in(stream, ask, fail);
	if (answer[1] != SOCKS_METHOD_REFUSED && answer[1] != SOCKS_METHOD_PASSWORD)
		return fail_garbage(ask, fail);
	way_fail(fail, WAY_PROXY_AUTH, "%s:%u: the SOCKS proxy wants %s", ask->hop->at.host, ask->hop->at.port,
		secret ? "another kind of credentials" : "user and password");
	return -1;
}

static void
write_connect(struct buf *out, const struct way_ask *ask)
{
	uint8_t bytes[16];

	buf_putc(out, SOCKS_VERSION);
	buf_putc(out, SOCKS_CONNECT);
	buf_putc(out, 0);
	if (inet_pton(AF_INET, ask->to_host, bytes) == 1) {
		buf_putc(out, SOCKS_IPV4);
		buf_put(out, bytes, 4);
	} else if (inet_pton(AF_INET6, ask->to_host, bytes) == 1) {
		buf_putc(out, SOCKS_IPV6);
		buf_put(out, bytes, 16);
	} else {
		buf_putc(out, SOCKS_NAME);
		buf_putc(out, (char)strlen(ask->to_host));
		buf_puts(out, ask->to_host);
	}
	buf_putc(out, (char)(ask->to_port >> 8));
	buf_putc(out, (char)(ask->to_port & 0xff));
}

static void
fail_answer(struct way_failure *fail, const struct way_ask *ask, uint8_t code)
{
	static const struct {
		const char *text;
		enum way_error error;
	} codes[] = {
		[1] = { "general failure", WAY_PROXY_GATEWAY },
		[2] = { "not allowed by its rules", WAY_PROXY_DENIED },
		[3] = { "network unreachable", WAY_PROXY_GATEWAY },
		[4] = { "host unreachable", WAY_PROXY_GATEWAY },
		[5] = { "connection refused", WAY_PROXY_GATEWAY },
		[6] = { "time to live expired", WAY_PROXY_GATEWAY },
		[7] = { "command not supported", WAY_PROXY_STATUS },
		[8] = { "kind of address not supported", WAY_PROXY_STATUS },
	};
	bool known = code < sizeof(codes) / sizeof(codes[0]);

	way_fail(fail, known ? codes[code].error : WAY_PROXY_STATUS, "%s:%u: SOCKS answer %u to %s:%u: %s", ask->hop->at.host,
		ask->hop->at.port, code, ask->to_host, ask->to_port, known ? codes[code].text : "unknown");
}

/* The address that the proxy connected from: as long as its kind says, of no use here. */
static int
skip_bound(struct way_stream *stream, const struct way_ask *ask, uint8_t kind, struct way_failure *fail)
{
	uint8_t data[256 + 2];
	uint8_t len = kind == SOCKS_IPV4 ? 4 : 16;

	if (kind != SOCKS_IPV4 && kind != SOCKS_IPV6 && kind != SOCKS_NAME)
		return fail_garbage(ask, fail);
	if (kind == SOCKS_NAME && read_exactly(stream, ask, &len, 1, fail) != 0)
		return -1;
	return read_exactly(stream, ask, data, len + 2u, fail);
}

enum way_hop_result
way_ask_socks(struct way_stream *stream, const struct way_ask *ask, struct way_failure *fail)
{
	char data[WAY_HOST_LEN_MAX + 8];
	struct buf request = { .data = data, .cap = sizeof(data) };
	uint8_t answer[4];

	write_connect(&request, ask);
	if (greet(stream, ask, fail) != 0 || send_buf(stream, ask, &request, fail) != 0 ||
		read_exactly(stream, ask, answer, sizeof(answer), fail) != 0)
		return WAY_HOP_FAILED;
	if (answer[0] != SOCKS_VERSION || answer[2] != 0) {
		fail_garbage(ask, fail);
		return WAY_HOP_FAILED;
	}
	if (answer[1] != 0) {
		fail_answer(fail, ask, answer[1]);
		return WAY_HOP_FAILED;
	}
	return skip_bound(stream, ask, answer[3], fail) == 0 ? WAY_HOP_OPEN : WAY_HOP_FAILED;
}
