/* What is said to a proxy, and how its answers are read. Inside lib/link. Thread: any. */
#ifndef MR_LINK_WAY_HOP_H
#define MR_LINK_WAY_HOP_H

#include "lib/base/buf.h"
#include "lib/base/cursor.h"
#include "lib/link/way_stream.h"

enum {
	WAY_REPLY_LEN_MAX = 16384, /* of a proxy's answer up to its empty line */
	WAY_CHALLENGE_TEXT_MAX = 511,
};

/** What a 407 asks for (RFC 9110 11.7, RFC 7616). */
struct way_challenge {
	bool basic;
	bool digest; /* one that can be answered: MD5 or SHA-256, without qop or with auth */
	bool sha256;
	bool session; /* -sess */
	bool qop_auth;
	char algorithm[16]; /* as it was written; "": not at all */
	char realm[WAY_CHALLENGE_TEXT_MAX + 1];
	char nonce[WAY_CHALLENGE_TEXT_MAX + 1];
	char opaque[WAY_CHALLENGE_TEXT_MAX + 1];
};

struct way_reply {
	unsigned int status;
	char reason[64]; /* printable */
	bool html;
	struct way_challenge challenge;
};

/**
 * Reads the head of an answer to CONNECT (RFC 9112).
 *
 * @param in  what came so far
 * @return its length with the empty line, 0: need more, -EBADMSG: no HTTP
 */
int way_reply_parse(struct way_reply *reply, struct cursor in);

/**
 * The value of Proxy-Authorization for a Digest challenge (RFC 7616 3.4).
 *
 * @param cnonce  client nonce, printable
 * @return whether it fits
 */
bool way_digest_write(struct buf *out, const struct way_challenge *challenge, const struct way_hop *hop,
	const char *password, const char *uri, const char *cnonce);

/** The result of asking one proxy. WAY_HOP_AGAIN: once more from the start of the way, with the challenge's answer. */
enum way_hop_result { WAY_HOP_OPEN, WAY_HOP_FAILED, WAY_HOP_AGAIN };

struct way_ask {
	const struct way_hop *hop;
	const char *password;
	const char *to_host;
	uint16_t to_port;
	struct way_challenge *challenge; /* digest set: of an earlier try; filled on WAY_HOP_AGAIN */
};

enum way_hop_result way_ask_http(struct way_stream *stream, const struct way_ask *ask, struct way_failure *fail);
enum way_hop_result way_ask_socks(struct way_stream *stream, const struct way_ask *ask, struct way_failure *fail);
/** Sets fail after a read or write of a proxy that returned rc. */
void way_fail_io(struct way_failure *fail, const struct way_hop *hop, int rc);

#endif
