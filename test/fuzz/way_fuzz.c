/* A proxy that says anything: heads of answers, whole conversations of CONNECT and SOCKS5, and bounds on bandwidth. */
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link/rate.h"
#include "lib/link/way_hop.h"
#include "test/fuzz/fuzz_input.h"

enum { SAID_MAX = 32768 }; /* less than a socket holds */

static void
check_challenge(const struct way_challenge *challenge)
{
	static const struct way_hop hop = { .user = "user" };
	char data[8192];
	struct buf out = { .data = data, .cap = sizeof(data) };

	if (!challenge->digest || !way_digest_write(&out, challenge, &hop, "secret", "a.example:443", "0123"))
		return;
	/* What goes into the request must not end its line. */
	for (size_t i = 0; i < out.len; i++)
		FUZZ_MUST(data[i] >= ' ' && data[i] <= '~');
}

/* The head is found at one length only, however much of what follows is there. */
static void
parse(struct cursor in)
{
	struct way_reply reply, again;
	uint8_t *copy = fuzz_copy(in);
	size_t len = cursor_left(&in);
	int rc = way_reply_parse(&reply, cursor_of(copy, len));

	FUZZ_MUST(rc <= (int)len);
	if (rc > 0) {
		FUZZ_MUST(way_reply_parse(&again, cursor_of(copy, (size_t)rc)) == rc && again.status == reply.status);
		FUZZ_MUST(way_reply_parse(&again, cursor_of(copy, (size_t)rc - 1)) <= 0);
		check_challenge(&reply.challenge);
	}
	free(copy);
}

static void
converse(struct cursor in, enum way_hop_kind kind, bool secret)
{
	struct way_hop hop = { .kind = kind, .at = { "proxy", 1 } };
	struct way_challenge challenge = { 0 };
	const struct way_ask ask = { &hop, "secret", "a.example", 443, &challenge };
	struct way_failure fail = { 0 };
	size_t len = cursor_left(&in) < SAID_MAX ? cursor_left(&in) : SAID_MAX;
	int pair[2];

	if (secret)
		memcpy(hop.user, "user", 5);
	FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	FUZZ_MUST(len == 0 || send(pair[1], in.pos, len, 0) == (ssize_t)len);
	shutdown(pair[1], SHUT_WR);
	struct way_stream *stream = way_stream_create(pair[0], -1);

	FUZZ_MUST(stream != NULL);
	stream->deadline_ms = way_now_ms() + 1000;
	enum way_hop_result result = kind == WAY_HOP_SOCKS5 ? way_ask_socks(stream, &ask, &fail) : way_ask_http(stream, &ask, &fail);

	FUZZ_MUST((result == WAY_HOP_FAILED) == (fail.error != WAY_DONE));
	FUZZ_MUST(result != WAY_HOP_AGAIN || challenge.digest || challenge.basic);
	way_stream_destroy(stream);
	close(pair[1]);
}

static void
read_rate(struct cursor in)
{
	json_t *list = json_pack("[s%]", (const char *)in.pos, cursor_left(&in));
	struct rate_table table;
	const char *bad;

	if (list != NULL && rate_table_read(&table, list, &bad) == 0)
		FUZZ_MUST(table.rows[0].bytes_s >= RATE_BYTES_S_MIN && table.rows[0].to <= 1440);
	json_decref(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	uint8_t what = cursor_u8(&in);

	switch (what % 4) {
	case 0:
		parse(in);
		break;
	case 1:
		converse(in, WAY_HOP_HTTP, what & 4);
		break;
	case 2:
		converse(in, WAY_HOP_SOCKS5, what & 4);
		break;
	default:
		read_rate(in);
		break;
	}
	return 0;
}
