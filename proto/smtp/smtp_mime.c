/* A message (RFC 5322) and the parts in it (RFC 2046), line by line: headers, boundaries, and whose body a line is. */
#include "proto/line.h"
#include "proto/smtp/smtp.h"

enum { MESSAGE_LINE_LEN_MAX = 998 }; /* RFC 5322 2.1.1 */

/* ---- entities ---- */

/* The header of another entity begins. */
static void
begin_header(struct smtp_mime *mime, bool is_nested)
{
	mime->phase = SMTP_IN_HEADER;
	mime->is_nested = is_nested;
	mime->encoding = SMTP_PLAIN;
	mime->is_multipart = false;
	mime->is_digest = false;
	mime->is_message = false;
	mime->name_len = 0;
	mime->boundary_len = 0;
	mime->field_len = 0;
	mime->field_cut = false;
}

static void
begin_part(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_mime *mime = &mail->mime;
	struct smtp_part *part;

	mime->phase = SMTP_IN_BODY;
	mime->has_part = mail->part_count < SMTP_PARTS_MAX;
	smtp_mail_begin_file(ctx, mail);
	if (!mime->has_part) {
		counter_add(&ctx->counters[SMTP_COUNT_PARTS_CUT], 1);
		return;
	}
	part = &mail->parts[mail->part_count++];
	smtp_mail_put(ctx, mail, &part->name, cursor_of(mime->name, mime->name_len));
}

static void
begin_multipart(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_mime *mime = &mail->mime;
	struct smtp_boundary *boundary;

	if (mime->depth == SMTP_DEPTH_MAX) {
		proto_event(ctx, SMTP_EVENT_MIME_TOO_DEEP);
		begin_part(ctx, mail);
		return;
	}
	boundary = &mime->boundaries[mime->depth++];
	boundary->len = (uint8_t)mime->boundary_len;
	boundary->is_digest = mime->is_digest;
	memcpy(boundary->text, mime->boundary, mime->boundary_len);
	mime->phase = SMTP_BETWEEN;
}

/* The empty line behind a header. */
static void
end_header(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_mime *mime = &mail->mime;

	smtp_header_read(ctx, mail);
	if (mail->status == SMTP_HEADERS_BEGUN)
		mail->status = SMTP_BODY_BEGUN;
	if (mime->is_multipart && mime->boundary_len > 0)
		begin_multipart(ctx, mail);
	else if (mime->is_message)
		begin_header(mime, true);
	else
		begin_part(ctx, mail);
}

/* ---- boundaries ---- */

/* RFC 2046 5.1.1: "--boundary", with "--" behind it the last; blanks may follow. The innermost is looked for first. */
static bool
find_boundary(const struct smtp_mime *mime, struct cursor line, unsigned int *depth, bool *is_last)
{
	line = line_trim(line_bare(line));
	if (!line_begins(&line, "--"))
		return false;
	cursor_skip(&line, 2);
	for (*depth = mime->depth; *depth > 0; --*depth) {
		const struct smtp_boundary *boundary = &mime->boundaries[*depth - 1];
		size_t left = cursor_left(&line);

		if (left < boundary->len || memcmp(line.pos, boundary->text, boundary->len) != 0)
			continue;
		*is_last = left == (size_t)boundary->len + 2 && line.pos[left - 1] == '-' && line.pos[left - 2] == '-';
		if (*is_last || left == boundary->len)
			return true;
	}
	return false;
}

static bool
take_boundary(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor line)
{
	struct smtp_mime *mime = &mail->mime;
	unsigned int depth;
	bool is_last;

	if (mime->depth == 0 || !find_boundary(mime, line, &depth, &is_last))
		return false;
	if (mime->phase == SMTP_IN_HEADER)
		smtp_header_read(ctx, mail);
	smtp_decode_end(ctx, mail, true);
	mime->depth = (uint8_t)(is_last ? depth - 1 : depth);
	if (is_last) {
		mime->phase = SMTP_BETWEEN;
		return true;
	}
	begin_header(mime, true);
	mime->is_message = mime->boundaries[depth - 1].is_digest; /* unless its header says otherwise (RFC 2046 5.1.5) */
	return true;
}

/* ---- lines ---- */

static void
add_to_field(struct smtp_mime *mime, struct cursor text)
{
	uint32_t room = SMTP_FIELD_LEN_MAX - mime->field_len, len = text.left;

	mime->field_cut = mime->field_cut || len > room;
	len = len < room ? len : room;
	memcpy(mime->field + mime->field_len, text.pos, len);
	mime->field_len = (uint16_t)(mime->field_len + len);
}

/* RFC 5322 2.2.3: what begins with a blank goes on with the field before it. */
static void
take_header_line(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor line)
{
	struct smtp_mime *mime = &mail->mime;
	struct cursor text = line_bare(line);
	bool follows = mime->in_line || (text.left > 0 && (*text.pos == ' ' || *text.pos == '\t'));

	if (text.left == 0 && !mime->in_line) {
		end_header(ctx, mail);
		return;
	}
	if (!follows)
		smtp_header_read(ctx, mail);
	add_to_field(mime, text);
}

/* A line, or a piece of SMTP_PIECE_LEN bytes of one. */
static void
take_piece(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor line)
{
	struct smtp_mime *mime = &mail->mime;
	struct cursor bare = line_bare(line);

	if (mail->status == SMTP_NO_MESSAGE)
		mail->status = SMTP_HEADERS_BEGUN;
	if (bare.left > MESSAGE_LINE_LEN_MAX && !mime->told_long_line) {
		mime->told_long_line = true;
		proto_event(ctx, SMTP_EVENT_MIME_LONG_LINE);
	}
	if (!mime->in_line && take_boundary(ctx, mail, line))
		return;
	if (mime->phase == SMTP_IN_HEADER)
		take_header_line(ctx, mail, line);
	else if (mime->phase == SMTP_IN_BODY)
		smtp_decode(ctx, mail, line);
}

static void
take_line(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor line)
{
	if (mail->has_sum && mail->status == SMTP_BODY_BEGUN) {
		MD5_Update(&mail->body_sum, ".", mail->is_dotted);
		MD5_Update(&mail->body_sum, line.pos, cursor_left(&line));
	}
	mail->is_dotted = false;
	take_piece(ctx, mail, line);
	mail->mime.in_line = line.left > 0 && line.pos[line.left - 1] != '\n';
}

void
smtp_mime_feed(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor in)
{
	struct smtp_mime *mime = &mail->mime;

	mail->size += cursor_left(&in);
	while (cursor_left(&in) > 0) {
		size_t room = (size_t)SMTP_PIECE_LEN - mime->line_len, len = cursor_left(&in) < room ? cursor_left(&in) : room;
		const uint8_t *end = memchr(in.pos, '\n', len);
		struct cursor piece = cursor_sub(&in, end == NULL ? len : (size_t)(end - in.pos) + 1);
		bool whole = end != NULL || piece.left == room;

		if (whole && mime->line_len == 0) {
			take_line(ctx, mail, piece);
			continue;
		}
		memcpy(mime->line + mime->line_len, piece.pos, piece.left);
		mime->line_len = (uint16_t)(mime->line_len + piece.left);
		if (!whole)
			return;
		take_line(ctx, mail, cursor_of(mime->line, mime->line_len));
		mime->line_len = 0;
	}
}

/* What is known of it is the CR of its end. */
void
smtp_mime_drop_line(struct smtp_mail *mail)
{
	mail->size -= mail->mime.line_len;
	mail->mime.line_len = 0;
}

void
smtp_mime_end(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_mime *mime = &mail->mime;

	if (mime->line_len > 0)
		take_line(ctx, mail, cursor_of(mime->line, mime->line_len));
	mime->line_len = 0;
	if (mail->status == SMTP_NO_MESSAGE)
		return;
	if (mime->phase == SMTP_IN_HEADER)
		smtp_header_read(ctx, mail);
	smtp_decode_end(ctx, mail, false);
	mime->phase = SMTP_BETWEEN;
	smtp_find_links(mail);
}

void
smtp_mime_gap(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_mime *mime = &mail->mime;

	mail->status = SMTP_GAPPED;
	mail->has_sum = false;
	file_gap(ctx->files, mail->file, 0); /* what was lost was coded */
	smtp_mail_end_file(ctx, mail, false);
	mime->line_len = 0;
	mime->in_line = false;
	mime->has_part = false;
	mime->held = 0;
	mime->group = 0;
	mime->eol_len = 0;
}
