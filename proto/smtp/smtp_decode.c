/* Transfer encodings (RFC 2045 6): a body's lines, as they come, to the bytes of a part. */
#include "lib/base/hex.h"
#include "proto/line.h"
#include "proto/smtp/smtp.h"

enum {
	ENCODED_LEN_MAX = 76, /* RFC 2045 6.7, 6.8: of a line */
};

/* Bytes on their way into the part: collected, for each is one. */
struct sink {
	struct proto_ctx *ctx;
	struct smtp_mail *mail;
	uint32_t len;
	uint8_t bytes[SMTP_PIECE_LEN];
};

static void
put(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor bytes)
{
	const struct smtp_config *config = ctx->config;
	uint32_t len = (uint32_t)cursor_left(&bytes), room, kept;
	struct smtp_part *part;

	if (len == 0)
		return;
	file_bytes(ctx->files, mail->file, bytes.pos, len);
	if (!mail->mime.has_part)
		return;
	part = &mail->parts[mail->part_count - 1];
	room = (uint32_t)config->body_limit - part->data.count;
	kept = smtp_mail_put(ctx, mail, &part->data, cursor_sub(&bytes, len < room ? len : room));
	if (kept == len)
		return;
	mail->mime.has_part = false; /* nothing behind a hole */
	counter_add(&ctx->counters[SMTP_COUNT_BODIES_CUT], 1);
}

static void
sink_init(struct sink *sink, struct proto_ctx *ctx, struct smtp_mail *mail)
{
	sink->ctx = ctx;
	sink->mail = mail;
	sink->len = 0;
}

static void
sink_flush(struct sink *sink)
{
	put(sink->ctx, sink->mail, cursor_of(sink->bytes, sink->len));
	sink->len = 0;
}

static void
sink_put(struct sink *sink, uint8_t byte)
{
	if (sink->len == sizeof(sink->bytes))
		sink_flush(sink);
	sink->bytes[sink->len++] = byte;
}

/* A line end that was held back: the body goes on. */
static void
put_eol(struct sink *sink)
{
	struct smtp_mime *mime = &sink->mail->mime;

	if (mime->eol_len == 2)
		sink_put(sink, '\r');
	if (mime->eol_len > 0)
		sink_put(sink, '\n');
	mime->eol_len = 0;
}

/* ---- base64 ---- */

/* The bytes of a group that is not full: two or three characters make one or two. */
static void
base64_rest(struct sink *sink)
{
	struct smtp_mime *mime = &sink->mail->mime;

	if (mime->held == 2)
		sink_put(sink, (uint8_t)(mime->group >> 4));
	if (mime->held == 3) {
		sink_put(sink, (uint8_t)(mime->group >> 10));
		sink_put(sink, (uint8_t)(mime->group >> 2));
	}
	mime->held = 0;
	mime->group = 0;
}

static void
base64_line(struct sink *sink, struct cursor line)
{
	struct smtp_mime *mime = &sink->mail->mime;

	while (cursor_left(&line) > 0) {
		uint8_t c = cursor_u8(&line);
		int value = base64_value(c);

		if (c == '=') {
			base64_rest(sink);
			continue;
		}
		if (value < 0) {
			if (c != '\r' && c != '\n' && c != ' ' && c != '\t')
				proto_event(sink->ctx, SMTP_EVENT_MIME_INVALID_BASE64);
			continue;
		}
		mime->group = mime->group << 6 | (uint32_t)value;
		if (++mime->held < 4)
			continue;
		sink_put(sink, (uint8_t)(mime->group >> 16));
		sink_put(sink, (uint8_t)(mime->group >> 8));
		sink_put(sink, (uint8_t)mime->group);
		mime->held = 0;
		mime->group = 0;
	}
}

/* ---- quoted-printable ---- */

/* Behind = come two hex digits; what is not as it should be stays as it is. */
static void
quoted_put(struct sink *sink, uint8_t c)
{
	struct smtp_mime *mime = &sink->mail->mime;
	int value = hex_digit(c);

	if (mime->held == 0 && c != '=') {
		sink_put(sink, c);
	} else if (mime->held == 0) {
		mime->held = 1;
	} else if (value < 0) {
		proto_event(sink->ctx, SMTP_EVENT_MIME_INVALID_QP);
		sink_put(sink, '=');
		if (mime->held == 2)
			sink_put(sink, (uint8_t)mime->group);
		sink_put(sink, c);
		mime->held = 0;
	} else if (mime->held == 1) {
		mime->group = c;
		mime->held = 2;
	} else {
		sink_put(sink, (uint8_t)(hex_digit((uint8_t)mime->group) << 4 | value));
		mime->held = 0;
	}
}

/* ---- lines ---- */

static uint8_t
eol_len_of(struct cursor line)
{
	if (line.left == 0 || line.pos[line.left - 1] != '\n')
		return 0;
	return line.left > 1 && line.pos[line.left - 2] == '\r' ? 2 : 1;
}

/* RFC 2045 6.7 (3): blanks at a line's end were put there on the way, also behind its =. */
static struct cursor
without_padding(struct cursor line)
{
	while (line.left > 0 && (line.pos[line.left - 1] == ' ' || line.pos[line.left - 1] == '\t'))
		line.left--;
	return line;
}

/* As it is, or quoted. RFC 2045 6.7: = at the end says that the line goes on. */
static void
text_line(struct sink *sink, struct cursor line)
{
	struct smtp_mime *mime = &sink->mail->mime;
	uint8_t eol_len = eol_len_of(line);
	struct cursor text = cursor_sub(&line, line.left - eol_len);

	put_eol(sink);
	if (mime->encoding != SMTP_QUOTED) {
		sink_flush(sink);
		put(sink->ctx, sink->mail, text);
		mime->eol_len = eol_len;
		return;
	}
	if (eol_len > 0)
		text = without_padding(text);
	while (cursor_left(&text) > 0) {
		uint8_t c = cursor_u8(&text);

		/* A piece's end may be between CR and LF. */
		if (mime->held == 1 && c == '\r' && cursor_left(&text) == 0)
			break;
		quoted_put(sink, c);
	}
	if (eol_len == 0)
		return;
	if (mime->held == 2)
		proto_event(sink->ctx, SMTP_EVENT_MIME_INVALID_QP);
	if (mime->held == 0)
		mime->eol_len = eol_len;
	mime->held = 0;
}

void
smtp_decode(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor line)
{
	struct smtp_mime *mime = &mail->mime;
	struct cursor bare = line_bare(line);
	struct sink sink;

	if (!mime->has_part && mail->file == NULL)
		return;
	sink_init(&sink, ctx, mail);
	if (mime->encoding != SMTP_PLAIN && cursor_left(&bare) > ENCODED_LEN_MAX && !mime->told_long_encoded) {
		mime->told_long_encoded = true;
		proto_event(ctx, SMTP_EVENT_MIME_LONG_ENC_LINE);
	}
	if (mime->encoding == SMTP_BASE64)
		base64_line(&sink, line);
	else
		text_line(&sink, line);
	sink_flush(&sink);
}

void
smtp_decode_end(struct proto_ctx *ctx, struct smtp_mail *mail, bool by_boundary)
{
	struct smtp_mime *mime = &mail->mime;
	struct sink sink;

	if (!mime->has_part && mail->file == NULL)
		return;
	sink_init(&sink, ctx, mail);
	if (mime->encoding == SMTP_BASE64)
		base64_rest(&sink);
	else if (!by_boundary)
		put_eol(&sink);
	sink_flush(&sink);
	smtp_mail_end_file(ctx, mail, true);
	mime->has_part = false;
	mime->eol_len = 0;
	mime->held = 0;
	mime->group = 0;
}
