/* Header fields of a message and of its parts (RFC 5322 2.2, RFC 2045, RFC 2183, RFC 2231). */
#include "lib/base/hex.h"
#include "proto/line.h"
#include "proto/smtp/smtp.h"

enum {
	NAME_LEN_MAX = 256,  /* of a field */
	PARAMETERS_MAX = 32,
};

static const char *const kept[SMTP_HEADERS] = {
	[SMTP_FROM] = "from", [SMTP_TO] = "to", [SMTP_CC] = "cc", [SMTP_SUBJECT] = "subject", [SMTP_DATE] = "date",
	[SMTP_MESSAGE_ID] = "message-id", [SMTP_X_MAILER] = "x-mailer",
};

static bool
is_word(struct cursor text, const char *word)
{
	return cursor_left(&text) == strlen(word) && line_begins(&text, word);
}

/* ---- parameters: "; name=value; name*0=value" ---- */

struct parameter {
	struct cursor name; /* without what RFC 2231 puts behind it */
	struct cursor value;
	bool encoded;       /* name*=charset'language'%41 */
	bool first;         /* not one that goes on with a value begun before */
};

/* Up to a character that is not between quotes, which is passed over. */
static struct cursor
take_until(struct cursor *in, uint8_t end)
{
	bool quoted = false, escaped = false;
	uint32_t len = 0;
	struct cursor taken;

	for (; len < in->left && (quoted || in->pos[len] != end); len++) {
		if (escaped || in->pos[len] == '\\')
			escaped = !escaped;
		else
			quoted = quoted != (in->pos[len] == '"');
	}
	taken = cursor_sub(in, len);
	cursor_skip(in, cursor_left(in) > 0 ? 1 : 0);
	return taken;
}

/* What is between the quotes; a comment may stand behind them (RFC 2045 5.1). */
static struct cursor
unquoted(struct cursor text)
{
	text = line_trim(text);
	if (text.left > 0 && *text.pos == '"') {
		uint32_t len = 0;

		cursor_skip(&text, 1);
		while (len < text.left && text.pos[len] != '"')
			len += text.pos[len] == '\\' && len + 1 < text.left ? 2 : 1;
		text.left = len;
	}
	return text;
}

/* RFC 2231 3, 4: a number that tells which piece of the value it is, a star that it is encoded. */
static void
read_extension(struct parameter *parameter)
{
	struct cursor name = parameter->name;
	const uint8_t *star = cursor_left(&name) == 0 ? NULL : memchr(name.pos, '*', cursor_left(&name));

	parameter->first = true;
	if (star == NULL)
		return;
	parameter->name.left = (uint32_t)(star - name.pos);
	parameter->encoded = name.pos[name.left - 1] == '*';
	cursor_skip(&name, (size_t)(star - name.pos) + 1);
	parameter->first = cursor_left(&name) == 0 || *name.pos == '0';
}

static bool
next_parameter(struct cursor *in, struct parameter *out)
{
	struct cursor text;

	if (cursor_left(in) == 0)
		return false;
	text = take_until(in, ';');
	*out = (struct parameter){ .name = line_trim(take_until(&text, '=')), .value = unquoted(text) };
	read_extension(out);
	return true;
}

/* ---- names of files ---- */

static void
add_to_name(struct proto_ctx *ctx, struct smtp_mime *mime, uint8_t byte)
{
	if (mime->name_len == SMTP_NAME_LEN_MAX) {
		proto_event(ctx, SMTP_EVENT_MIME_LONG_FILENAME);
		return;
	}
	mime->name[mime->name_len++] = byte;
}

/* The byte at hand, with its escape taken off. */
static uint8_t
take_byte(struct cursor *in, bool percent)
{
	uint8_t byte = cursor_u8(in);

	if (percent && byte == '%' && cursor_left(in) >= 2 && hex_digit(in->pos[0]) >= 0 && hex_digit(in->pos[1]) >= 0) {
		int high = hex_digit(cursor_u8(in));

		return (uint8_t)(high << 4 | hex_digit(cursor_u8(in)));
	}
	if (!percent && byte == '\\' && cursor_left(in) > 0)
		return cursor_u8(in);
	return byte;
}

/* Without the character set and the language before it. */
static struct cursor
value_of(const struct parameter *parameter)
{
	struct cursor value = parameter->value;

	if (parameter->encoded && parameter->first) {
		(void)take_until(&value, '\'');
		(void)take_until(&value, '\'');
	}
	return value;
}

static void
read_name(struct proto_ctx *ctx, struct smtp_mime *mime, const struct parameter *parameter)
{
	struct cursor value = value_of(parameter);

	if (parameter->first)
		mime->name_len = 0;
	while (cursor_left(&value) > 0)
		add_to_name(ctx, mime, take_byte(&value, parameter->encoded));
}

/* ---- fields that say what an entity is ---- */

/* It may come in pieces as every value may (RFC 2231 3). */
static void
read_boundary(struct proto_ctx *ctx, struct smtp_mime *mime, const struct parameter *parameter)
{
	struct cursor value = value_of(parameter);

	if (parameter->first)
		mime->boundary_len = 0;
	while (cursor_left(&value) > 0) {
		uint8_t byte = take_byte(&value, parameter->encoded);

		if (mime->boundary_len == SMTP_BOUNDARY_LEN_MAX) {
			proto_event(ctx, SMTP_EVENT_MIME_LONG_BOUNDARY);
			mime->boundary_len = 0;
			return;
		}
		mime->boundary[mime->boundary_len++] = byte;
	}
}

static void
read_content_type(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor value)
{
	struct smtp_mime *mime = &mail->mime;
	struct cursor type = line_trim(take_until(&value, ';'));
	struct parameter parameter;
	bool has_name = mime->name_len > 0; /* Content-Disposition's counts more */

	mime->is_multipart = line_begins(&type, "multipart/");
	mime->is_digest = is_word(type, "multipart/digest");
	mime->is_message = is_word(type, "message/rfc822");
	for (unsigned int i = 0; i < PARAMETERS_MAX && next_parameter(&value, &parameter); i++) {
		if (mime->is_multipart && is_word(parameter.name, "boundary"))
			read_boundary(ctx, mime, &parameter);
		else if (!has_name && is_word(parameter.name, "name"))
			read_name(ctx, mime, &parameter);
	}
	if (!has_name)
		mime->name_len = (uint16_t)smtp_words_decode(mime->name, mime->name_len);
}

static void
read_disposition(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor value)
{
	struct parameter parameter;

	(void)take_until(&value, ';');
	for (unsigned int i = 0; i < PARAMETERS_MAX && next_parameter(&value, &parameter); i++)
		if (is_word(parameter.name, "filename"))
			read_name(ctx, &mail->mime, &parameter);
	/* Not allowed between quotes (RFC 2047 5), and what mail programs write and read all the same. */
	mail->mime.name_len = (uint16_t)smtp_words_decode(mail->mime.name, mail->mime.name_len);
}

static void
read_encoding(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor value)
{
	(void)ctx;
	value = line_trim(value);
	if (is_word(value, "base64"))
		mail->mime.encoding = SMTP_BASE64;
	else if (is_word(value, "quoted-printable"))
		mail->mime.encoding = SMTP_QUOTED;
}

static const struct {
	const char *name;
	void (*read)(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor value);
} entity_fields[] = {
	{ "content-type", read_content_type },
	{ "content-disposition", read_disposition },
	{ "content-transfer-encoding", read_encoding },
};

/* ---- fields of the mail ---- */

static void
keep(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor name, struct cursor value)
{
	if (is_word(name, "received") && mail->received_count < SMTP_RECEIVED_MAX) {
		smtp_mail_put(ctx, mail, &mail->received[mail->received_count++], value);
		return;
	}
	for (unsigned int i = 0; i < SMTP_HEADERS; i++) {
		if (!is_word(name, kept[i]))
			continue;
		if (mail->headers[i].count == 0)
			smtp_mail_put(ctx, mail, &mail->headers[i], value);
		else if (i == SMTP_FROM || i == SMTP_SUBJECT)
			proto_event(ctx, SMTP_EVENT_MIME_MALFORMED_MSG); /* RFC 5322 3.6: at most one */
	}
}

void
smtp_header_read(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_mime *mime = &mail->mime;
	struct cursor value = cursor_of(mime->field, mime->field_len), name;
	bool has_colon = memchr(mime->field, ':', mime->field_len) != NULL;

	if (mime->field_len == 0)
		return;
	if (mime->field_cut)
		proto_event(ctx, SMTP_EVENT_MIME_LONG_HEADER_VALUE);
	mime->field_len = 0;
	mime->field_cut = false;
	if (!has_colon) {
		proto_event(ctx, SMTP_EVENT_MIME_MALFORMED_MSG);
		return;
	}
	name = cursor_sub(&value, (size_t)((const uint8_t *)memchr(value.pos, ':', value.left) - value.pos));
	cursor_skip(&value, 1);
	name = line_trim(name);
	value = line_trim(value);
	if (cursor_left(&name) > NAME_LEN_MAX)
		proto_event(ctx, SMTP_EVENT_MIME_LONG_HEADER_NAME);
	for (unsigned int i = 0; i < sizeof(entity_fields) / sizeof(entity_fields[0]); i++)
		if (is_word(name, entity_fields[i].name))
			entity_fields[i].read(ctx, mail, value);
	if (!mime->is_nested)
		keep(ctx, mail, name, value);
}

/* ---- addresses ---- */

bool
smtp_header_next_address(struct cursor *list, struct cursor *address)
{
	while (cursor_left(list) > 0) {
		*address = line_trim(take_until(list, ','));
		if (cursor_left(address) > 0)
			return true;
	}
	return false;
}
