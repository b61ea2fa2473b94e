/* SSH: banners and packets before encryption begins, and the event of a connection. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proto/ssh/ssh.h"

#include <assert.h>
#include <errno.h>
#include <openssl/md5.h>

#include "lib/base/buf.h"

enum {
	COOKIE_LEN = 16,
	PADDING_LEN_MIN = 4,
	PACKET_HEADER_LEN = 5,
	TX_ID = 1, /* a flow is one transaction */
	PROBE_NAME_CHARS = 4,
};

enum { CLIENT, SERVER };

static const uint8_t prefix[] = { 'S', 'S', 'H', '-' };

/* The next line, with its end; of a line without one the whole front. @return 0: it may go on */
static size_t
banner_len(struct cursor in)
{
	size_t left = cursor_left(&in);
	size_t len = left < SSH_BANNER_READ_MAX ? left : SSH_BANNER_READ_MAX;
	const uint8_t *at = cursor_take(&in, len);
	const uint8_t *end = memchr(at, '\n', len);

	if (end != NULL)
		return (size_t)(end - at) + 1;
	return len == SSH_BANNER_READ_MAX ? len : 0;
}

static bool
begins_like_banner(struct cursor in)
{
	size_t left = cursor_left(&in);
	size_t len = left < sizeof(prefix) ? left : sizeof(prefix);

	return len > 0 && memcmp(cursor_take(&in, len), prefix, len) == 0;
}

/* What may come before encryption: DISCONNECT to DEBUG, KEXINIT, NEWKEYS, and the methods of key exchange (RFC 4250 4.1). */
static bool
is_plain_message(uint8_t type)
{
	return (type >= SSH_DISCONNECT && type <= SSH_DEBUG) || type == SSH_KEXINIT || type == SSH_NEWKEYS ||
		(type >= SSH_KEX_FIRST && type <= SSH_KEX_LAST);
}

/* RFC 4253 6. Neither compression nor encryption is in force. @return -EBADMSG, 0: more is needed, the length */
static int
packet_len(struct cursor in)
{
	size_t left = cursor_left(&in);
	uint32_t len = cursor_be32(&in);
	uint8_t padding_len, type;

	if (in.short_read) { /* whose first bytes cannot be of a length is not waited for */
		struct cursor front = { .pos = in.pos, .left = in.left };

		return cursor_u8(&front) == 0 && cursor_u8(&front) == 0 ? 0 : -EBADMSG;
	}
	if (len < SSH_PACKET_LEN_MIN || len > SSH_PACKET_LEN_MAX)
		return -EBADMSG;
	padding_len = cursor_u8(&in);
	type = cursor_u8(&in);
	if (left > PACKET_HEADER_LEN - 1 && (padding_len < PADDING_LEN_MIN || padding_len > len - 2))
		return -EBADMSG;
	if (in.short_read)
		return 0;
	if (!is_plain_message(type) || (type != SSH_KEXINIT && len > SSH_OTHER_LEN_MAX))
		return -EBADMSG;
	return (int)(len + 4);
}

/* RFC 4253 4.2: a server may say other things before its banner, line by line. A packet begins with zeros of its length. */
static bool
is_foreword(struct cursor in, bool to_server)
{
	return !to_server && cursor_left(&in) > 0 && *in.pos != 0;
}

static int
ssh_frame(struct cursor in, bool to_server)
{
	if (begins_like_banner(in))
		return cursor_left(&in) < sizeof(prefix) ? 0 : (int)banner_len(in);
	return is_foreword(in, to_server) ? (int)banner_len(in) : packet_len(in);
}

/* The first message of a key exchange: its list of methods is text. */
static enum proto_probe
probe_kexinit(struct cursor in)
{
	int len = packet_len(in);
	uint32_t list_len;
	uint8_t type;

	if (len < 0)
		return PROTO_PROBE_NO;
	cursor_skip(&in, PACKET_HEADER_LEN);
	type = cursor_u8(&in);
	if (!in.short_read && type != SSH_KEXINIT)
		return PROTO_PROBE_NO;
	cursor_skip(&in, COOKIE_LEN);
	list_len = cursor_be32(&in);
	if (in.short_read)
		return PROTO_PROBE_MORE;
	if (list_len < PROBE_NAME_CHARS || list_len > (uint32_t)len)
		return PROTO_PROBE_NO;
	for (unsigned int i = 0; i < PROBE_NAME_CHARS; i++) {
		uint8_t c = cursor_u8(&in);

		if (!in.short_read && !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return PROTO_PROBE_NO;
	}
	return in.short_read ? PROTO_PROBE_MORE : PROTO_PROBE_YES;
}

static enum proto_probe
ssh_probe(struct cursor in, bool to_server, bool on_port)
{
	size_t left = cursor_left(&in);

	(void)to_server;
	(void)on_port;
	if (left == 0)
		return PROTO_PROBE_MORE;
	if (!begins_like_banner(in))
		return probe_kexinit(in);
	if (left <= sizeof(prefix))
		return PROTO_PROBE_MORE;
	cursor_skip(&in, sizeof(prefix));
	left = cursor_u8(&in);
	return left == '1' || left == '2' ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

/* ---- the connection's record ---- */

static struct ssh_record *
open_record(struct proto_ctx *ctx)
{
	const struct ssh_state *state = ctx->state;
	struct ssh_record *record = NULL;

	if (state->blob != NULL)
		record = record_begin_copy(ctx->record, state->blob, state->blob_len);
	return record != NULL ? record : record_begin(ctx->record, &ssh_table);
}

static void
forget(struct proto_ctx *ctx)
{
	struct ssh_state *state = ctx->state;

	slab_free(ctx->slab, state->blob, state->blob_len);
	state->blob = NULL;
	state->blob_len = 0;
}

static bool
keep(struct proto_ctx *ctx)
{
	struct ssh_state *state = ctx->state;

	forget(ctx);
	state->blob = slab_alloc(ctx->slab, ctx->record->len);
	if (state->blob == NULL) {
		counter_add(&ctx->counters[SSH_COUNT_SHED], 1);
		return false;
	}
	state->blob_len = ctx->record->len;
	memcpy(state->blob, ctx->record->base, state->blob_len);
	return true;
}

static void
emit(struct proto_ctx *ctx)
{
	struct ssh_state *state = ctx->state;

	if (state->emitted || state->blob == NULL)
		return;
	(void)open_record(ctx);
	forget(ctx);
	state->emitted = true;
	counter_add(&ctx->counters[SSH_COUNT_SESSIONS], 1);
	proto_deliver(ctx, PROTO_EMIT, TX_ID);
}

/* The rules see what is new; the event waits for both ends' key exchange. Without memory it is written as it is. */
static void
deliver(struct proto_ctx *ctx, struct ssh_record *record, uint64_t bits)
{
	/* a banner has no key exchange, and the key exchange no banner */
	const uint64_t hassh_bits = UINT64_C(1) << SSH_HAS_HASSH | UINT64_C(1) << (SSH_BITS_OF_END + SSH_HAS_HASSH);
	struct ssh_state *state = ctx->state;
	uint64_t present;
	bool kept;

	record->head.present |= bits;
	present = record->head.present & ((UINT64_C(1) << SSH_HAS_RULE_PROTO) - 1);
	record->head.present = present;
	kept = state->emitted || keep(ctx);
	record->head.present = bits;
	ctx->undecided = (bits & UINT64_C(1) << SSH_HAS_RULE_PROTO) != 0 ? hassh_bits : ~hassh_bits;
	proto_deliver(ctx, PROTO_MATCH | (state->emitted || !kept ? 0 : PROTO_HOLD), TX_ID);
	ctx->undecided = 0;
	if (!kept) {
		record->head.present = present;
		state->emitted = true;
		proto_deliver(ctx, PROTO_EMIT, TX_ID);
	}
	if (state->ends[0].done && state->ends[1].done)
		emit(ctx);
}

static uint64_t
bit_of(unsigned int side, enum ssh_bit bit)
{
	return UINT64_C(1) << (side * SSH_BITS_OF_END + bit);
}

static void
put(struct proto_ctx *ctx, struct record_ref *ref, struct cursor text)
{
	record_put_bytes(ctx->record, ref, text.pos, (uint32_t)cursor_left(&text));
}

/* What stands before a character, or all; what is behind it stays in. */
static struct cursor
take_until(struct cursor *in, uint8_t c)
{
	size_t left = cursor_left(in);
	const uint8_t *end = left == 0 ? NULL : memchr(in->pos, c, left);
	struct cursor text = cursor_sub(in, end == NULL ? left : (size_t)(end - in->pos));

	if (end != NULL)
		cursor_skip(in, 1);
	return text;
}

/* RFC 4253 4.2: SSH-protoversion-softwareversion SP comments CR LF */
static void
read_banner(struct proto_ctx *ctx, struct cursor in)
{
	struct ssh_state *state = ctx->state;
	struct ssh_end *end = &state->ends[ctx->to_server];
	unsigned int side = ctx->to_server ? CLIENT : SERVER;
	struct cursor line, proto, software;
	struct ssh_record *record;
	uint64_t bits;

	if (end->banner) {
		proto_event(ctx, SSH_EVENT_INVALID_BANNER);
		return;
	}
	end->banner = true;
	if (cursor_left(&in) > SSH_BANNER_LEN_MAX)
		proto_event(ctx, SSH_EVENT_LONG_BANNER);
	line = take_until(&in, '\n');
	if (cursor_left(&line) > 0 && line.pos[line.left - 1] == '\r')
		line.left--;
	cursor_skip(&line, sizeof(prefix));
	proto = take_until(&line, '-');
	software = take_until(&line, ' ');
	if (cursor_left(&proto) == 0 || cursor_left(&software) == 0)
		proto_event(ctx, SSH_EVENT_INVALID_BANNER);
	record = open_record(ctx);
	put(ctx, &record->sides[side].proto, proto);
	put(ctx, &record->sides[side].software, software);
	put(ctx, &record->sides[side].comments, line);
	record->proto = record->sides[side].proto;
	record->software = record->sides[side].software;
	bits = bit_of(side, SSH_HAS_PROTO) | bit_of(side, SSH_HAS_SOFTWARE) | UINT64_C(1) << SSH_HAS_RULE_PROTO |
		UINT64_C(1) << SSH_HAS_RULE_SOFTWARE;
	if (cursor_left(&line) > 0)
		bits |= bit_of(side, SSH_HAS_COMMENTS);
	/* Version 1 has other packets; 1.99 is a 2.0 that knows 1 (RFC 4253 5.1). */
	if (cursor_left(&proto) > 1 && proto.pos[0] == '1' && !(cursor_left(&proto) == 4 && memcmp(proto.pos, "1.99", 4) == 0))
		end->done = end->encrypted = true;
	deliver(ctx, record, bits);
}

static void
put_hex(char out[2 * MD5_DIGEST_LENGTH], const uint8_t digest[MD5_DIGEST_LENGTH])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < MD5_DIGEST_LENGTH; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
}

/* HASSH: methods of key exchange, encryption, authentication and compression in the sender's direction.
 * RFC 4253 7.1 has the order of the lists. libcrypto's context is on the stack. @return whether there is one */
static bool
put_hassh(struct proto_ctx *ctx, struct ssh_side *side, struct cursor lists)
{
	char text[SSH_HASSH_LEN_MAX], hex[2 * MD5_DIGEST_LENGTH];
	struct buf out = { .data = text, .cap = sizeof(text) };
	unsigned int second = ctx->to_server ? 0 : 1;
	uint8_t digest[MD5_DIGEST_LENGTH];
	MD5_CTX md5;

	for (unsigned int i = 0; i < 8; i++) {
		struct cursor list = cursor_sub(&lists, cursor_be32(&lists));
		bool wanted = i == 0 || (i >= 2 && i % 2 == second);

		if (lists.short_read)
			return false;
		if (wanted && i > 0)
			buf_putc(&out, ';');
		if (wanted)
			buf_put(&out, list.pos, cursor_left(&list));
	}
	if (out.full) {
		proto_event(ctx, SSH_EVENT_LONG_KEX_RECORD);
		return false;
	}
	MD5_Init(&md5);
	MD5_Update(&md5, text, out.len);
	MD5_Final(digest, &md5);
	put_hex(hex, digest);
	record_put_bytes(ctx->record, &side->hassh, hex, sizeof(hex));
	record_put_bytes(ctx->record, &side->hassh_string, text, (uint32_t)out.len);
	return true;
}

static void
read_kexinit(struct proto_ctx *ctx, struct cursor body)
{
	struct ssh_state *state = ctx->state;
	struct ssh_end *end = &state->ends[ctx->to_server];
	unsigned int side = ctx->to_server ? CLIENT : SERVER;
	struct ssh_record *record;

	if (end->done)
		return;
	end->done = true;
	record = open_record(ctx);
	cursor_skip(&body, COOKIE_LEN);
	if (put_hassh(ctx, &record->sides[side], body)) {
		deliver(ctx, record, bit_of(side, SSH_HAS_HASSH));
		return;
	}
	if ((ctx->events & UINT64_C(1) << SSH_EVENT_LONG_KEX_RECORD) == 0)
		proto_event(ctx, SSH_EVENT_INVALID_RECORD);
	deliver(ctx, record, 0);
}

static void
read_packet(struct proto_ctx *ctx, struct cursor in)
{
	struct ssh_state *state = ctx->state;
	struct ssh_end *end = &state->ends[ctx->to_server];
	uint8_t padding_len;
	uint8_t type;

	counter_add(&ctx->counters[SSH_COUNT_PACKETS], 1);
	cursor_skip(&in, 4);
	padding_len = cursor_u8(&in);
	type = cursor_u8(&in);
	if (type == SSH_KEXINIT && cursor_left(&in) >= padding_len)
		read_kexinit(ctx, cursor_sub(&in, cursor_left(&in) - padding_len));
	if (type != SSH_NEWKEYS)
		return;
	end->encrypted = end->done = true;
	if (state->ends[0].done && state->ends[1].done)
		emit(ctx);
}

/* Behind the banner there are packets alone: what is none was lost before, as in one of several subflows of a connection. */
static void
read_foreword(struct proto_ctx *ctx)
{
	struct ssh_state *state = ctx->state;
	struct ssh_end *end = &state->ends[ctx->to_server];

	if (end->banner)
		end->encrypted = end->done = true;
}

static void
ssh_parse(struct proto_ctx *ctx, struct cursor in)
{
	struct ssh_state *state = ctx->state;
	struct ssh_end *end = &state->ends[ctx->to_server];

	if (end->encrypted)
		end->done = true;
	else if (begins_like_banner(in))
		read_banner(ctx, in);
	else if (is_foreword(in, ctx->to_server))
		read_foreword(ctx);
	else
		read_packet(ctx, in);
	if (end->encrypted)
		ctx->skip_len = PROTO_SKIP_ALL;
}

/* What comes may be encrypted already: nothing of it is believed. */
static void
ssh_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct ssh_state *state = ctx->state;

	(void)missing;
	state->ends[ctx->to_server].encrypted = true;
}

static void
ssh_end(struct proto_ctx *ctx)
{
	emit(ctx);
	forget(ctx);
}

static const uint16_t ssh_ports[] = { 22, 0 };

extern const struct proto ssh_proto;
const struct proto ssh_proto = {
	.app = {
		.name = "ssh",
		.record = &ssh_table,
		.events = ssh_events,
		.event_count = SSH_EVENT_COUNT,
		.keywords = ssh_keywords,
		.keyword_count = SSH_KEYWORD_COUNT,
		.buffers = ssh_buffers,
		.buffer_count = SSH_BUFFER_COUNT,
		.buffer_direction = ssh_buffer_direction,
	},
	.transports = PROTO_TCP,
	.ports = ssh_ports,
	.pdu_len_min = 4,
	.probe = ssh_probe,
	.starts = { { 0, 0 }, { 'S', 'S' } },
	.start_count = 2,
	.frame = ssh_frame,
	.parse = ssh_parse,
	.gap = ssh_gap,
	.end = ssh_end,
	.counts_transactions = true,
	.state_len = sizeof(struct ssh_state),
	.counters = ssh_counters,
	.counter_count = SSH_COUNTER_COUNT,
};
