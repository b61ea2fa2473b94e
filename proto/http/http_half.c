/* Messages in memory: what is kept of them until they are written, and the records made of them. */
#include "proto/http/http.h"

enum { KEPT_LEN_MIN = 1024 };

struct http_half *
http_half_create(struct proto_ctx *ctx, const struct http_head *head, struct cursor in, const struct buf *derived)
{
	uint32_t head_len = (uint32_t)cursor_left(&in);
	uint32_t data_len = head_len + (uint32_t)derived->len;
	struct http_half *half = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, sizeof(*half) + data_len);

	if (half == NULL) {
		counter_add(&ctx->counters[HTTP_COUNT_SHED], 1);
		return NULL;
	}
	*half = (struct http_half){ .head = *head, .events = ctx->events, .data_len = data_len, .head_len = head_len,
		.to_server = ctx->to_server };
	memcpy(half->data, in.pos, head_len);
	memcpy(half->data + head_len, derived->data, derived->len);
	ctx->events = 0;
	if (derived->full || head->is_cut)
		counter_add(&ctx->counters[HTTP_COUNT_HEADS_CUT], 1);
	return half;
}

static void
drop_kept(struct proto_ctx *ctx, struct http_half *half)
{
	slab_free(ctx->slab, half->kept, half->kept_cap);
	half->kept = NULL;
	half->kept_len = 0;
	half->kept_cap = 0;
}

void
http_half_destroy(struct proto_ctx *ctx, struct http_half *half)
{
	if (half == NULL)
		return;
	if (half->kept != NULL)
		drop_kept(ctx, half);
	file_destroy(ctx->files, half->file);
	http_parts_destroy(ctx, half->parts);
	slab_free(ctx->slab, half, sizeof(*half) + half->data_len);
}

/* A block for the head and cap bytes of body, with what is there already. */
static bool
reserve_kept(struct proto_ctx *ctx, struct http_half *half, uint32_t cap, uint32_t copy_len)
{
	uint8_t *block = slab_alloc(ctx->slab, half->head_len + cap);

	if (block == NULL) {
		counter_add(&ctx->counters[HTTP_COUNT_BODIES_SHED], 1);
		return false;
	}
	memcpy(block, half->data, half->head_len);
	if (half->kept != NULL) {
		memcpy(block + half->head_len, half->kept + half->head_len, copy_len);
		drop_kept(ctx, half);
	}
	half->kept = block;
	half->kept_cap = half->head_len + cap;
	half->kept_len = half->head_len + copy_len;
	return true;
}

bool
http_half_keep(struct proto_ctx *ctx, struct http_half *half, const uint8_t *data, uint32_t len)
{
	const struct http_config *config = ctx->config;
	uint32_t limit = (uint32_t)config->body_limit[half->head.is_request];
	uint32_t have = half->kept == NULL ? 0 : half->kept_len - half->head_len;
	uint32_t room = limit - have, cap;

	half->has_limit = len >= room;
	if (len > room)
		counter_add(&ctx->counters[HTTP_COUNT_BODIES_CUT], 1);
	len = len < room ? len : room;
	if (len == 0)
		return !half->has_limit;
	if (half->kept == NULL || have + len > half->kept_cap - half->head_len) {
		cap = have + len > 2 * have ? have + len : 2 * have;
		if (half->head.has_length && !half->head.chunked && half->head.content_length > cap)
			cap = half->head.content_length < limit ? (uint32_t)half->head.content_length : limit;
		cap = cap < KEPT_LEN_MIN ? KEPT_LEN_MIN : cap;
		if (!reserve_kept(ctx, half, cap < limit ? cap : limit, have)) {
			half->has_limit = true;
			return false;
		}
	}
	memcpy(half->kept + half->kept_len, data, len);
	half->kept_len += len;
	return !half->has_limit;
}

bool
http_half_replace(struct proto_ctx *ctx, struct http_half *half, const uint8_t *data, uint32_t len)
{
	if (len > half->kept_cap - half->head_len && !reserve_kept(ctx, half, len, 0))
		return false;
	memcpy(half->kept + half->head_len, data, len);
	half->kept_len = half->head_len + len;
	return true;
}

/* ---- records ---- */

static uint32_t
body_len_of(const struct http_half *half)
{
	return half->kept == NULL ? 0 : half->kept_len - half->head_len;
}

static bool
has_slice(const struct http_half *half, enum http_slice slice)
{
	return (half->head.present >> slice & 1) != 0;
}

/* The whole of a message, for the rules: one copy, and places in it. */
static void
put_whole(struct proto_ctx *ctx, struct http_record *record, const struct http_half *half)
{
	bool is_request = half->head.is_request;
	struct record_ref *refs = is_request ? record->request : record->response, data = { 0 };
	unsigned int first = is_request ? HTTP_HAS_REQUEST : HTTP_HAS_RESPONSE;
	uint32_t body_len = body_len_of(half);

	record_put_bytes(ctx->record, &data, half->data, half->data_len);
	if (data.off == 0 && half->data_len > 0)
		return;
	for (uint32_t left = half->head.present; left != 0; left &= left - 1) {
		unsigned int slice = (unsigned int)__builtin_ctz(left);

		refs[slice] = (struct record_ref){ half->head.slices[slice].off + data.off, half->head.slices[slice].count };
	}
	record->head.present |= (uint64_t)half->head.present << first;
	if (body_len == 0)
		return;
	record_put_bytes(ctx->record, &refs[HTTP_BODY], half->kept + half->head_len, body_len);
	if (refs[HTTP_BODY].off != 0)
		record_present(&record->head, (uint8_t)(first + HTTP_BODY));
}

/* The message at hand by names that both kinds of message have. */
static void
put_message(struct http_record *record, bool is_request)
{
	const struct record_ref *refs = is_request ? record->request : record->response;
	uint64_t present = record->head.present >> (is_request ? HTTP_HAS_REQUEST : HTTP_HAS_RESPONSE);

	memcpy(record->message, refs, sizeof(record->message));
	record->head.present |= (present & ((UINT64_C(1) << HTTP_SHARED_SLICES) - 1)) << HTTP_HAS_MESSAGE;
}

/* What is written of a message. */
static void
put_short(struct proto_ctx *ctx, struct http_record *record, const struct http_half *half)
{
	static const uint32_t written[2] = {
		1u << HTTP_CONTENT_TYPE | 1u << HTTP_LOCATION | 1u << HTTP_CONTENT_RANGE | 1u << HTTP_CONTENT_ENCODING |
			1u << HTTP_STAT_CODE | 1u << HTTP_PROTOCOL,
		1u << HTTP_HOST | 1u << HTTP_URI_RAW | 1u << HTTP_USER_AGENT | 1u << HTTP_XFF | 1u << HTTP_REFERER |
			1u << HTTP_METHOD | 1u << HTTP_PROTOCOL,
	};
	bool is_request = half->head.is_request;
	struct record_ref *refs = is_request ? record->request : record->response;
	unsigned int first = is_request ? HTTP_HAS_REQUEST : HTTP_HAS_RESPONSE;

	for (uint32_t left = half->head.present & written[is_request]; left != 0; left &= left - 1) {
		unsigned int slice = (unsigned int)__builtin_ctz(left);
		struct record_ref from = half->head.slices[slice];

		record_put_bytes(ctx->record, &refs[slice], half->data + from.off, from.count);
		if (refs[slice].count == from.count)
			record_present(&record->head, (uint8_t)(first + slice));
	}
}

/* Digits at the cursor. @return false: none, or too many */
static bool
take_number(struct cursor *in, uint64_t *value)
{
	unsigned int digits = 0;

	*value = 0;
	while (cursor_left(in) > 0 && *in->pos >= '0' && *in->pos <= '9' && digits < 19) {
		*value = *value * 10 + (uint64_t)(cursor_u8(in) - '0');
		digits++;
	}
	return digits > 0 && digits < 19;
}

/* RFC 9110 14.4: "bytes 0-99/1000", or an asterisk for what is not known. */
static void
put_range(struct http_record *record, const struct http_half *half)
{
	struct record_ref from = half->head.slices[HTTP_CONTENT_RANGE];
	struct cursor in = cursor_of(half->data + from.off, from.count);
	const uint8_t *unit;

	if (!has_slice(half, HTTP_CONTENT_RANGE))
		return;
	unit = cursor_take(&in, 6);
	if (unit == NULL || memcmp(unit, "bytes ", 6) != 0)
		return;
	if (take_number(&in, &record->range_start) && cursor_u8(&in) == '-' && take_number(&in, &record->range_end))
		record_present(&record->head, HTTP_HAS_RANGE);
	else if (cursor_u8(&in) != '*')
		return;
	if (cursor_u8(&in) == '/' && take_number(&in, &record->range_size))
		record_present(&record->head, HTTP_HAS_RANGE_SIZE);
}

static void
put_media_type(struct http_record *record, const struct http_half *half)
{
	const uint8_t *text = half->data + half->head.slices[HTTP_CONTENT_TYPE].off;
	uint32_t len = half->head.slices[HTTP_CONTENT_TYPE].count;
	const uint8_t *end = len == 0 ? NULL : memchr(text, ';', len);

	if (!record_is_present(record, HTTP_HAS_RESPONSE + HTTP_CONTENT_TYPE))
		return;
	record->media_type = record->response[HTTP_CONTENT_TYPE];
	record->media_type.count = end == NULL ? len : (uint32_t)(end - text);
	record_present(&record->head, HTTP_HAS_MEDIA_TYPE);
}

static void
put_numbers(struct http_record *record, const struct http_half *request, const struct http_half *response)
{
	const struct http_half *first = request != NULL ? request : response;

	if (has_slice(first, HTTP_PROTOCOL)) {
		record->protocol = (request != NULL ? record->request : record->response)[HTTP_PROTOCOL];
		record_present(&record->head, HTTP_HAS_PROTOCOL);
	}
	if (request != NULL && request->head.port != 0) {
		record->port = request->head.port;
		record_present(&record->head, HTTP_HAS_PORT);
	}
	if (response == NULL)
		return;
	record->length = response->body_len;
	record_present(&record->head, HTTP_HAS_LENGTH);
	if (response->head.status != 0) {
		record->status = response->head.status;
		record_present(&record->head, HTTP_HAS_STATUS);
	} else if (record_is_present(record, HTTP_HAS_RESPONSE + HTTP_STAT_CODE)) {
		record->status_string = record->response[HTTP_STAT_CODE];
		record_present(&record->head, HTTP_HAS_STATUS_STRING);
	}
	put_media_type(record, response);
	put_range(record, response);
}

/* ---- handing on ---- */

/* With the head, and what is kept of the body, as the PDU. */
static void
deliver(struct proto_ctx *ctx, const struct http_half *half, unsigned int flags, struct file *file)
{
	const uint8_t *pdu = ctx->pdu;
	uint32_t pdu_len = ctx->pdu_len;
	bool to_server = ctx->to_server;

	ctx->to_server = half->to_server;
	ctx->pdu = half->kept != NULL ? half->kept : half->data;
	ctx->pdu_len = half->kept != NULL ? half->kept_len : half->head_len;
	if (file != NULL)
		proto_deliver_file(ctx, flags, half->id, file);
	else
		proto_deliver(ctx, flags, half->id);
	ctx->to_server = to_server;
	ctx->pdu = pdu;
	ctx->pdu_len = pdu_len;
}

/* What the rules see. */
static void
put_match(struct proto_ctx *ctx, const struct http_half *half, const struct http_half *request,
	const struct http_half *response)
{
	struct http_record *record = record_begin(ctx->record, &http_table);

	if (request != NULL)
		put_whole(ctx, record, request);
	if (request != NULL && request->matched && response != NULL)
		ctx->asked = record->head.present | UINT64_C(1) << HTTP_HAS_PORT | UINT64_C(1) << HTTP_HAS_PROTOCOL;
	if (response != NULL)
		put_whole(ctx, record, response);
	put_message(record, half->head.is_request);
	put_numbers(record, request, response);
}

void
http_half_match(struct proto_ctx *ctx, struct http_half *half)
{
	const struct http_half *request = half->head.is_request ? half : half->request;
	const struct http_half *response = half->head.is_request ? NULL : half;

	if (half->matched)
		return;
	half->matched = true;
	http_half_decode(ctx, half);
	http_file_settle(ctx, half);
	if (proto_is_unread(ctx, half->to_server))
		ctx->record->len = 0;
	else
		put_match(ctx, half, request, response);
	ctx->events |= half->events;
	half->events = 0;
	deliver(ctx, half, PROTO_MATCH, half->parts == NULL ? half->file : NULL);
	if (response != NULL && half->kept != NULL && (half->file == NULL || half->is_over))
		drop_kept(ctx, half);
}

/* How much of a form is kept when one of its parts ended depends on how it was cut. */
static void
drop_body(void *base)
{
	struct http_record *record = base;

	record->head.present &= ~(UINT64_C(1) << (HTTP_HAS_REQUEST + HTTP_BODY) | UINT64_C(1) << (HTTP_HAS_MESSAGE + HTTP_BODY));
}

void
http_half_tell_file(struct proto_ctx *ctx, struct http_half *half)
{
	const struct http_half *request = half->head.is_request ? half : half->request;
	const struct http_half *response = half->head.is_request ? NULL : half;
	struct http_record *record;

	if ((half->file->told & FILE_NEWS_END) == 0 && (ctx->file_wants[half->to_server] & FILE_WANT_RULES) != 0) {
		put_match(ctx, half, request, response);
		if (half->parts != NULL)
			drop_body(ctx->record->base);
		deliver(ctx, half, PROTO_FILE | PROTO_MATCH, half->file);
	}
	if ((ctx->file_wants[half->to_server] & FILE_WANT_EVENT) == 0)
		return;
	record = record_begin(ctx->record, &http_table);
	if (request != NULL)
		put_short(ctx, record, request);
	if (response != NULL)
		put_short(ctx, record, response);
	put_numbers(record, request, response);
	deliver(ctx, half, PROTO_FILE | PROTO_EMIT, half->file);
}

void
http_half_emit(struct proto_ctx *ctx, struct http_half *request, struct http_half *response)
{
	const struct http_half *last = response != NULL ? response : request;
	const struct http_config *config = ctx->config;
	uint64_t events = ctx->events;
	struct http_record *record;

	if (last == NULL)
		return;
	ctx->events = 0; /* of what comes behind the message that the rules saw */
	record = record_begin(ctx->record, &http_table);
	if (request != NULL)
		put_short(ctx, record, request);
	if (response != NULL)
		put_short(ctx, record, response);
	else
		counter_add(&ctx->counters[HTTP_COUNT_UNANSWERED], 1);
	put_numbers(record, request, response);
	if (request != NULL && (config->dump & HTTP_DUMP_REQUEST) != 0)
		http_half_dump(ctx, record, request);
	if (response != NULL && (config->dump & HTTP_DUMP_RESPONSE) != 0)
		http_half_dump(ctx, record, response);
	deliver(ctx, last, PROTO_EMIT, NULL);
	ctx->events = events;
	http_half_destroy(ctx, request);
	http_half_destroy(ctx, response);
}
