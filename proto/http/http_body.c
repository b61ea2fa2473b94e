/* Bodies: how long they are (RFC 9112 6.3), and the bytes as they come, of which the first are kept. */
#include "proto/http/http.h"

#include "lib/base/hex.h"

enum { CHUNK_DIGITS_MAX = 15, HEAD_LEN_MIN = 16 /* of a response: less than that was none */, STATUS_NO_CONTENT = 204, STATUS_NOT_MODIFIED = 304 };

/* RFC 9112 6.3. A browser reads a body there all the same, if the head gives it a length. */
static bool
should_be_bodiless(const struct http_head *head)
{
	return !head->is_request &&
		(head->status / 100 == 1 || head->status == STATUS_NO_CONTENT || head->status == STATUS_NOT_MODIFIED);
}

bool
http_head_is_bodiless(const struct http_head *head)
{
	return should_be_bodiless(head) && !head->chunked && (!head->has_length || head->content_length == 0);
}

static bool
has_no_body(const struct http_head *head, const struct http_head *request)
{
	if (head->is_request)
		return !head->chunked && (!head->has_length || head->content_length == 0);
	if (request != NULL && (request->is_head || (request->is_connect && head->status / 100 == 2)))
		return true;
	return http_head_is_bodiless(head) || (!head->chunked && head->has_length && head->content_length == 0);
}

static void
finish(struct proto_ctx *ctx, struct http_body *body, bool whole)
{
	struct http_half *half = body->half;

	*body = (struct http_body){ 0 };
	ctx->raw = false;
	if (half == NULL)
		return;
	half->is_over = true;
	half->is_whole = whole;
	http_finish(ctx, half);
}

void
http_body_begin(struct proto_ctx *ctx, struct http_half *half, const struct http_head *head,
	const struct http_head *request)
{
	struct http_state *state = ctx->state;
	struct http_body *body = &state->bodies[ctx->to_server];

	*body = (struct http_body){ .half = half };
	if (has_no_body(head, request)) {
		body->state = HTTP_BODY_NONE;
	} else if (head->chunked) {
		body->state = HTTP_BODY_CHUNK_SIZE;
	} else if (head->has_length) {
		body->state = HTTP_BODY_LENGTH;
		body->left = head->content_length;
	} else {
		body->state = HTTP_BODY_UNTIL_CLOSE;
	}
	body->skip_line = head->is_loose_end;
	if (body->state != HTTP_BODY_NONE && should_be_bodiless(head)) {
		body->after = body->state;
		body->state = HTTP_BODY_PEEK;
	}
	if (head->is_cut && ctx->remains)
		body->state = HTTP_BODY_NONE;
	else if (head->is_cut) {
		body->after = body->state == HTTP_BODY_PEEK ? body->after : body->state;
		body->line_is_empty = head->is_cut_at_line;
		body->state = HTTP_BODY_HEAD_REST;
	}
	if (body->state == HTTP_BODY_NONE)
		finish(ctx, body, !head->is_cut);
	else
		ctx->raw = true;
}

/* Bytes of the message itself. */
static void
take_data(struct proto_ctx *ctx, struct http_body *body, const uint8_t *data, uint32_t len)
{
	struct http_half *half = body->half;

	if (half == NULL)
		return;
	half->body_len += len;
	http_file_data(ctx, half, data, len);
	if (half->matched || half->is_gapped || half->has_limit)
		return;
	if (!http_half_keep(ctx, half, data, len))
		http_half_match(ctx, half);
}

/* ---- chunks (RFC 9112 7.1) ---- */

/* Once of a body: how often must not depend on how the bytes were cut. Told with the message, if that is still to come. */
static void
body_event(struct proto_ctx *ctx, struct http_body *body, enum http_event of_request)
{
	struct http_half *half = body->half;
	uint64_t bit = half == NULL ? 0 : UINT64_C(1) << ((unsigned int)of_request + !half->head.is_request);

	if (half == NULL || (half->body_events & bit) != 0)
		return;
	half->body_events |= bit;
	*(half->matched ? &ctx->events : &half->events) |= bit;
}

/* Browsers show a response that is said to be chunked and is not, as it comes; behind such a request nothing is known. */
static void
bad_chunk(struct proto_ctx *ctx, struct http_body *body, uint8_t c)
{
	body_event(ctx, body, HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN);
	if (body->half != NULL ? body->half->head.is_request : ctx->to_server) {
		finish(ctx, body, false);
		return;
	}
	body->state = HTTP_BODY_UNTIL_CLOSE;
	take_data(ctx, body, &c, 1);
}

static void
end_chunk_line(struct http_body *body)
{
	body->digits = 0;
	body->line_is_empty = true;
	body->state = body->left == 0 ? HTTP_BODY_TRAILER : HTTP_BODY_CHUNK_DATA;
}

static void
step_chunk_ext(struct proto_ctx *ctx, struct http_body *body, uint8_t c)
{
	if (c == ';')
		body_event(ctx, body, HTTP_EVENT_REQUEST_CHUNK_EXTENSION);
	else if (c == '\n')
		end_chunk_line(body);
}

/* Behind the digits anything may stand, before them what shows nothing: line ends, blanks. */
static void
step_chunk_size(struct proto_ctx *ctx, struct http_body *body, uint8_t c)
{
	int value = hex_digit(c);

	if (value >= 0 && body->digits < CHUNK_DIGITS_MAX) {
		body->left = body->left << 4 | (uint64_t)value;
		body->digits++;
	} else if (body->digits == 0 ? c > ' ' : value >= 0) {
		bad_chunk(ctx, body, c);
	} else if (body->digits > 0) {
		body->state = HTTP_BODY_CHUNK_EXT;
		step_chunk_ext(ctx, body, c);
	}
}

static void
step_line(struct proto_ctx *ctx, struct http_body *body, uint8_t c)
{
	if (c != '\n') {
		body->line_is_empty = body->line_is_empty && c == '\r';
		return;
	}
	if (!body->line_is_empty) {
		body->line_is_empty = true;
	} else if (body->state == HTTP_BODY_HEAD_REST && body->after != HTTP_BODY_NONE) {
		body->state = body->after;
	} else {
		finish(ctx, body, true);
	}
}

static void
step(struct proto_ctx *ctx, struct http_body *body, uint8_t c)
{
	switch (body->state) {
	case HTTP_BODY_CHUNK_SIZE:
		step_chunk_size(ctx, body, c);
		break;
	case HTTP_BODY_CHUNK_EXT:
		step_chunk_ext(ctx, body, c);
		break;
	case HTTP_BODY_CHUNK_END:
		if (c == '\n')
			body->state = HTTP_BODY_CHUNK_SIZE;
		else if (c != '\r')
			body_event(ctx, body, HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN);
		break;
	default:
		step_line(ctx, body, c);
		break;
	}
}

static bool
is_data(const struct http_body *body)
{
	return body->state == HTTP_BODY_LENGTH || body->state == HTTP_BODY_CHUNK_DATA || body->state == HTTP_BODY_UNTIL_CLOSE ||
		body->state == HTTP_BODY_HEADLESS;
}

static bool
has_no_end(const struct http_body *body)
{
	return body->state == HTTP_BODY_UNTIL_CLOSE || body->state == HTTP_BODY_HEADLESS;
}

void
http_body_begin_headless(struct proto_ctx *ctx, struct http_half *half)
{
	struct http_state *state = ctx->state;
	struct http_body *body = &state->bodies[ctx->to_server];

	if (body->state != HTTP_BODY_PAUSED)
		*body = (struct http_body){ .half = half };
	body->state = half == NULL ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_HEADLESS;
	body->line_is_empty = true;
	body->resumed = true;
	ctx->raw = true;
}

/* Bytes before a line that may begin a head. */
static size_t
headless_len(struct http_body *body, struct cursor in)
{
	size_t left = cursor_left(&in), at = 0;
	const uint8_t *text = cursor_take(&in, left);

	while (at < left && (!body->line_is_empty || body->resumed || (text[at] | 0x20) != 'h')) {
		const uint8_t *line_end = memchr(text + at, '\n', left - at);

		body->resumed = false;
		body->line_is_empty = line_end != NULL;
		at = line_end == NULL ? left : (size_t)(line_end - text) + 1;
	}
	return at;
}

/* How much of the data is the body's. */
static size_t
data_len(struct http_body *body, const struct cursor *in)
{
	size_t len = cursor_left(in);

	if (body->state == HTTP_BODY_HEADLESS)
		len = headless_len(body, *in);
	else if (body->state != HTTP_BODY_UNTIL_CLOSE && body->left < len)
		len = (size_t)body->left;
	return len;
}

/* So many bytes of data went by. */
static void
pass_data(struct proto_ctx *ctx, struct http_body *body, uint64_t len)
{
	if (body->state == HTTP_BODY_HEADLESS && body->half->matched)
		body->state = HTTP_BODY_UNTIL_CLOSE;
	if (has_no_end(body))
		return;
	body->left -= len;
	if (body->left > 0)
		return;
	if (body->state == HTTP_BODY_CHUNK_DATA)
		body->state = HTTP_BODY_CHUNK_END;
	else
		finish(ctx, body, true);
}

/* A body where none should be; what begins like a response is one. */
static bool
begins_after_all(struct proto_ctx *ctx, struct http_body *body, uint8_t first)
{
	if (first == 'H') {
		finish(ctx, body, true);
		return false;
	}
	body->state = body->after;
	return true;
}

uint32_t
http_body_raw(struct proto_ctx *ctx, struct cursor in)
{
	struct http_state *state = ctx->state;
	struct http_body *body = &state->bodies[ctx->to_server];
	size_t all = cursor_left(&in);

	while (cursor_left(&in) > 0 && body->state != HTTP_BODY_NONE) {
		size_t len;

		if (body->skip_line) {
			body->skip_line = *in.pos == '\r';
			cursor_skip(&in, http_is_leading(*in.pos));
			continue;
		}
		if (body->state == HTTP_BODY_PEEK && !begins_after_all(ctx, body, *in.pos))
			break;
		if (!is_data(body)) {
			step(ctx, body, cursor_u8(&in));
			continue;
		}
		len = data_len(body, &in);
		if (len == 0) {
			body->state = HTTP_BODY_PAUSED;
			ctx->raw = false;
			return (uint32_t)(all - cursor_left(&in));
		}
		take_data(ctx, body, cursor_take(&in, len), (uint32_t)len);
		pass_data(ctx, body, len);
	}
	ctx->raw = body->state != HTTP_BODY_NONE;
	return (uint32_t)(all - cursor_left(&in));
}

bool
http_body_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct http_state *state = ctx->state;
	struct http_body *body = &state->bodies[ctx->to_server];

	if (body->state == HTTP_BODY_NONE)
		return false;
	if (!is_data(body) || (!has_no_end(body) && missing > body->left)) {
		bool has_end = body->state == HTTP_BODY_LENGTH && missing - body->left < HEAD_LEN_MIN;

		if (body->half != NULL && is_data(body)) {
			body->half->is_gapped = true;
			body->half->body_len += body->left;
			http_file_gap(ctx, body->half, body->left);
		}
		finish(ctx, body, false);
		return has_end;
	}
	if (body->half != NULL) {
		body->half->is_gapped = true;
		http_file_gap(ctx, body->half, missing);
		body->half->body_len += missing;
		http_half_match(ctx, body->half);
	}
	pass_data(ctx, body, missing);
	ctx->raw = body->state != HTTP_BODY_NONE;
	return true;
}

void
http_body_end(struct proto_ctx *ctx, bool to_server)
{
	struct http_state *state = ctx->state;
	struct http_body *body = &state->bodies[to_server];

	if (body->state != HTTP_BODY_NONE)
		finish(ctx, body, has_no_end(body));
}
