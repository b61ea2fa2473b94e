/* A mail transaction in memory, and the records made of it. */
#include "proto/smtp/smtp.h"

enum { ROOM_FIRST = 1024 };

struct smtp_mail *
smtp_mail_create(struct proto_ctx *ctx, uint32_t id)
{
	const struct smtp_config *config = ctx->config;
	struct smtp_mail *mail = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, sizeof(*mail));

	if (mail == NULL) {
		counter_add(&ctx->counters[SMTP_COUNT_SHED], 1);
		return NULL;
	}
	memset(mail, 0, sizeof(*mail));
	mail->id = id;
	mail->has_sum = config->body_md5 == SMTP_BODY_MD5_ALL || (config->body_md5 == SMTP_BODY_MD5_READ && !proto_is_unread(ctx, true));
	if (mail->has_sum)
		MD5_Init(&mail->body_sum);
	return mail;
}

void
smtp_mail_destroy(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	if (mail == NULL)
		return;
	file_destroy(ctx->files, mail->file);
	file_destroy(ctx->files, mail->only);
	slab_free(ctx->slab, mail->text, mail->text_cap);
	slab_free(ctx->slab, mail, sizeof(*mail));
}

/* @return whether there is room for len bytes more */
static bool
reserve(struct proto_ctx *ctx, struct smtp_mail *mail, uint32_t len)
{
	uint32_t wanted = mail->text_len + len, cap = mail->text_cap == 0 ? ROOM_FIRST : mail->text_cap;
	uint8_t *block;

	if (wanted <= mail->text_cap)
		return true;
	if (wanted > SMTP_ROOM_MAX)
		return false;
	while (cap < wanted)
		cap *= 2;
	cap = cap < SMTP_ROOM_MAX ? cap : SMTP_ROOM_MAX;
	block = slab_alloc(ctx->slab, cap);
	if (block == NULL) {
		counter_add(&ctx->counters[SMTP_COUNT_SHED], 1);
		return false;
	}
	if (mail->text_len > 0)
		memcpy(block, mail->text, mail->text_len);
	slab_free(ctx->slab, mail->text, mail->text_cap);
	mail->text = block;
	mail->text_cap = cap;
	return true;
}

uint32_t
smtp_mail_put(struct proto_ctx *ctx, struct smtp_mail *mail, struct record_ref *place, struct cursor bytes)
{
	uint32_t len = (uint32_t)cursor_left(&bytes), room = SMTP_ROOM_MAX - mail->text_len;

	if (place->count == 0)
		place->off = mail->text_len;
	len = len < room ? len : room;
	if (len == 0 || place->off + place->count != mail->text_len || !reserve(ctx, mail, len))
		return 0;
	memcpy(mail->text + mail->text_len, bytes.pos, len);
	mail->text_len += len;
	place->count += len;
	return len;
}

/* ---- records ---- */

static struct cursor
bytes_of(const struct smtp_mail *mail, struct record_ref place)
{
	return place.count == 0 ? cursor_of("", 0) : cursor_of(mail->text + place.off, place.count);
}

static void
add_text(struct proto_ctx *ctx, struct record_list *list, struct cursor text)
{
	struct smtp_text *child = record_append(ctx->record, list, smtp_text_tables, 0);

	if (child != NULL)
		record_put_bytes(ctx->record, &child->text, text.pos, (uint32_t)cursor_left(&text));
}

static void
put_bytes(struct proto_ctx *ctx, struct smtp_record *record, struct record_ref *ref, struct cursor bytes, uint8_t bit)
{
	if (cursor_left(&bytes) == 0)
		return;
	record_put_bytes(ctx->record, ref, bytes.pos, (uint32_t)cursor_left(&bytes));
	record_present(&record->head, bit);
}

/* What the flow said of itself, and the path of the mail. */
static void
put_envelope(struct proto_ctx *ctx, struct smtp_record *record, const struct smtp_mail *mail)
{
	const struct smtp_state *state = ctx->state;

	put_bytes(ctx, record, &record->helo, cursor_of(state->helo, state->helo_len), SMTP_HAS_HELO);
	put_bytes(ctx, record, &record->auth, cursor_of(state->auth, state->auth_len), SMTP_HAS_AUTH);
	record->starttls = state->starttls;
	if (state->starttls)
		record_present(&record->head, SMTP_HAS_STARTTLS);
	if (mail == NULL)
		return;
	put_bytes(ctx, record, &record->mail_from, bytes_of(mail, mail->mail_from), SMTP_HAS_MAIL_FROM);
	for (unsigned int i = 0; i < mail->rcpt_count; i++)
		add_text(ctx, &record->rcpt_to, bytes_of(mail, mail->rcpts[i]));
	if (mail->rcpt_count > 0)
		record_present(&record->head, SMTP_HAS_RCPT_TO);
	/* Before the message is over its size is that of the segments so far, and a file may be told of at any of them. */
	if (mail->status == SMTP_NO_MESSAGE || !mail->matched)
		return;
	record->size = mail->size;
	record_present(&record->head, SMTP_HAS_SIZE);
}

static void
put_addresses(struct proto_ctx *ctx, struct record_list *list, struct cursor field)
{
	struct cursor address;

	for (unsigned int i = 0; i < SMTP_RCPTS_MAX && smtp_header_next_address(&field, &address); i++)
		add_text(ctx, list, address);
}

static void
put_sum(struct proto_ctx *ctx, struct smtp_record *record, struct record_ref *ref, MD5_CTX sum, uint8_t bit)
{
	uint8_t digest[MD5_DIGEST_LENGTH];
	char text[2 * MD5_DIGEST_LENGTH + 1];
	struct buf out = { .data = text, .cap = sizeof(text) };

	MD5_Final(digest, &sum);
	buf_hex(&out, digest, sizeof(digest));
	put_bytes(ctx, record, ref, cursor_of((const uint8_t *)text, out.len), bit);
}

/* Of a body that is whole, and of the subject. */
static void
put_sums(struct proto_ctx *ctx, struct smtp_record *record, const struct smtp_mail *mail)
{
	const struct smtp_config *config = ctx->config;
	struct cursor subject = bytes_of(mail, mail->headers[SMTP_SUBJECT]);
	MD5_CTX sum;

	if (mail->has_sum && mail->status == SMTP_DONE)
		put_sum(ctx, record, &record->body_md5, mail->body_sum, SMTP_HAS_BODY_MD5);
	if (!config->subject_md5 || cursor_left(&subject) == 0)
		return;
	MD5_Init(&sum);
	MD5_Update(&sum, subject.pos, cursor_left(&subject));
	put_sum(ctx, record, &record->subject_md5, sum, SMTP_HAS_SUBJECT_MD5);
}

static void
put_message(struct proto_ctx *ctx, struct smtp_record *record, const struct smtp_mail *mail)
{
	if (mail->status == SMTP_NO_MESSAGE)
		return;
	record->status = mail->status;
	record_present(&record->head, SMTP_HAS_EMAIL);
	for (unsigned int i = 0; i < SMTP_HEADERS; i++)
		put_bytes(ctx, record, &record->headers[i], bytes_of(mail, mail->headers[i]), (uint8_t)(SMTP_HAS_HEADER + i));
	put_addresses(ctx, &record->to, bytes_of(mail, mail->headers[SMTP_TO]));
	put_addresses(ctx, &record->cc, bytes_of(mail, mail->headers[SMTP_CC]));
	for (unsigned int i = 0; i < mail->received_count; i++)
		add_text(ctx, &record->received, bytes_of(mail, mail->received[i]));
	if (mail->received_count > 0)
		record_present(&record->head, SMTP_HAS_RECEIVED);
	for (unsigned int i = 0; i < mail->part_count; i++)
		if (mail->parts[i].name.count > 0)
			add_text(ctx, &record->attachments, bytes_of(mail, mail->parts[i].name));
	if (record->attachments.count > 0)
		record_present(&record->head, SMTP_HAS_ATTACHMENT);
	for (unsigned int i = 0; i < mail->link_count; i++)
		add_text(ctx, &record->links, bytes_of(mail, mail->links[i]));
	if (mail->link_count > 0)
		record_present(&record->head, SMTP_HAS_LINKS);
	put_sums(ctx, record, mail);
}

/* Parts from one on. */
static void
put_files(struct proto_ctx *ctx, struct smtp_record *record, const struct smtp_mail *mail, unsigned int first)
{
	for (unsigned int i = first; i < mail->part_count; i++) {
		const struct smtp_part *part = &mail->parts[i];
		struct smtp_file *child = record_append(ctx->record, &record->files, smtp_file_tables, 0);

		if (child == NULL)
			break;
		record_put_bytes(ctx->record, &child->data, bytes_of(mail, part->data).pos, part->data.count);
		record_put_bytes(ctx->record, &child->name, bytes_of(mail, part->name).pos, part->name.count);
	}
	if (record->files.count > 0)
		record_present(&record->head, SMTP_HAS_FILES);
}

static void
tell_file(struct proto_ctx *ctx, const struct smtp_mail *mail, struct file *file, unsigned int flags)
{
	struct smtp_record *record = record_begin(ctx->record, &smtp_table);

	put_envelope(ctx, record, mail);
	put_message(ctx, record, mail);
	if ((flags & PROTO_MATCH) != 0 && mail->file_is_part)
		put_files(ctx, record, mail, mail->part_count - 1u);
	proto_deliver_file(ctx, PROTO_FILE | flags, mail->id, file);
}

/* The mail's first file ended: it is written once it is known whether the mail has others, with what is known of the mail then. */
static void
tell_only(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	bool to_server = ctx->to_server;

	if (mail->only == NULL)
		return;
	ctx->to_server = true;
	if ((ctx->file_wants[true] & FILE_WANT_EVENT) != 0)
		tell_file(ctx, mail, mail->only, PROTO_EMIT);
	ctx->to_server = to_server;
	file_destroy(ctx->files, mail->only);
	mail->only = NULL;
}

void
smtp_mail_match(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	struct smtp_record *record;
	bool to_server = ctx->to_server;

	if (mail->matched)
		return;
	mail->matched = true;
	ctx->events |= mail->events;
	mail->events = 0;
	if (proto_is_unread(ctx, true)) {
		tell_only(ctx, mail);
		return;
	}
	record = record_begin(ctx->record, &smtp_table);
	put_envelope(ctx, record, mail);
	put_message(ctx, record, mail);
	put_files(ctx, record, mail, 0);
	ctx->to_server = true;
	proto_deliver_file(ctx, PROTO_MATCH | PROTO_HOLD, mail->id, mail->only);
	ctx->to_server = to_server;
	tell_only(ctx, mail);
}

static void
put_answer(struct smtp_record *record, const struct smtp_mail *mail, uint16_t code, uint64_t now_ns)
{
	if (code == 0)
		return;
	record->reply_code = code;
	record->response_time_us = now_ns > mail->since_ns ? (uint32_t)((now_ns - mail->since_ns) / 1000) : 0;
	record_present(&record->head, SMTP_HAS_REPLY_CODE);
	record_present(&record->head, SMTP_HAS_RESPONSE_TIME);
}

void
smtp_mail_emit(struct proto_ctx *ctx, struct smtp_mail *mail, uint16_t reply_code)
{
	struct smtp_state *state = ctx->state;
	struct smtp_record *record = record_begin(ctx->record, &smtp_table);
	const uint8_t *pdu = ctx->pdu;
	uint64_t events = ctx->events;
	bool to_server = ctx->to_server;

	put_envelope(ctx, record, mail);
	if (mail != NULL) {
		put_message(ctx, record, mail);
		put_answer(record, mail, reply_code, ctx->ts_ns);
	}
	state->wrote = true;
	ctx->events = 0; /* of a line that is not its own */
	ctx->to_server = true;
	ctx->pdu = NULL;
	/* the rules were asked of a message when it was there; of an envelope without one they are now */
	proto_deliver(ctx, mail != NULL ? PROTO_EMIT : PROTO_MATCH | PROTO_EMIT, mail != NULL ? mail->id : state->tx_id + 1);
	ctx->pdu = pdu;
	ctx->to_server = to_server;
	ctx->events = events;
	smtp_mail_destroy(ctx, mail);
}

/* ---- files: its parts that have a name ---- */

void
smtp_mail_begin_file(struct proto_ctx *ctx, struct smtp_mail *mail)
{
	if (mail->mime.name_len == 0)
		return;
	tell_only(ctx, mail);
	mail->file = proto_file_begin(ctx, true, mail->mime.name, mail->mime.name_len);
	mail->file_is_part = mail->mime.has_part;
	if (mail->file != NULL)
		mail->file->tx_id = mail->id - 1;
}

void
smtp_mail_end_file(struct proto_ctx *ctx, struct smtp_mail *mail, bool whole)
{
	bool to_server = ctx->to_server;

	if (mail->file == NULL)
		return;
	file_end(ctx->files, mail->file, whole);
	ctx->to_server = true;
	if ((ctx->file_wants[true] & FILE_WANT_RULES) != 0)
		tell_file(ctx, mail, mail->file, PROTO_MATCH);
	if ((ctx->file_wants[true] & FILE_WANT_EVENT) != 0 && mail->has_file)
		tell_file(ctx, mail, mail->file, PROTO_EMIT);
	ctx->to_server = to_server;
	if (mail->has_file)
		file_destroy(ctx->files, mail->file);
	else
		mail->only = mail->file;
	mail->has_file = true;
	mail->file = NULL;
}
