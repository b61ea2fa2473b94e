/* Bodies as files: what they are called (RFC 6266, else the target), their bytes without codings, and their end. */
#include "lib/file/file.h"
#include "proto/http/http.h"
#include "proto/line.h"

/* The value of the first header field of that name, from the header block's normal form; empty: there is none. */
static struct cursor
field_of(const struct http_half *half, const char *name)
{
	struct record_ref header = half->head.slices[HTTP_HEADER];
	struct cursor in = cursor_of(half->data + header.off, (half->head.present >> HTTP_HEADER & 1) != 0 ? header.count : 0);

	while (cursor_left(&in) > 0) {
		const uint8_t *end = memchr(in.pos, '\n', cursor_left(&in));
		struct cursor line = cursor_sub(&in, end == NULL ? cursor_left(&in) : (size_t)(end - in.pos) + 1);

		if (line_begins(&line, name)) {
			cursor_skip(&line, strlen(name));
			return line_bare(line);
		}
	}
	return in;
}

/* Up to a byte, which is taken too. */
static struct cursor
take_until(struct cursor *in, char end)
{
	const uint8_t *at = cursor_left(in) == 0 ? NULL : memchr(in->pos, end, cursor_left(in));
	struct cursor part = cursor_sub(in, at == NULL ? cursor_left(in) : (size_t)(at - in->pos));

	if (at != NULL)
		cursor_skip(in, 1);
	return part;
}

/* RFC 9110 5.6.6: name="x" or name=x, between semicolons. */
struct cursor
http_parameter_of(struct cursor in, const char *name)
{
	while (cursor_left(&in) > 0) {
		in = line_trim(in);
		if (!line_begins(&in, name)) {
			(void)take_until(&in, ';');
			continue;
		}
		cursor_skip(&in, strlen(name));
		in = line_trim(in);
		if (cursor_left(&in) == 0 || *in.pos != '"')
			return line_trim(take_until(&in, ';'));
		cursor_skip(&in, 1);
		return take_until(&in, '"');
	}
	return in;
}

/* The target's path; a response is of what was asked for. */
static struct cursor
path_of(const struct http_half *request)
{
	const struct record_ref *uri;
	struct cursor in;

	if (request == NULL || (request->head.present >> HTTP_URI & 1) == 0)
		return cursor_of("", 0);
	uri = &request->head.slices[HTTP_URI];
	in = cursor_of(request->data + uri->off, uri->count);
	return take_until(&in, '?');
}

static void
begin(struct proto_ctx *ctx, struct http_half *half)
{
	struct cursor name;

	half->has_file = true;
	if (ctx->file_wants[half->to_server] == 0)
		return;
	if (half->head.is_request && half->head.coding_count == 0)
		half->parts = http_parts_create(ctx, line_trim(field_of(half, "content-type:")));
	if (half->parts != NULL)
		return;
	name = http_parameter_of(field_of(half, "content-disposition:"), "filename=");
	if (cursor_left(&name) == 0)
		name = path_of(half->head.is_request ? half : half->request);
	half->file = proto_file_begin(ctx, half->to_server, name.pos, (uint32_t)cursor_left(&name));
	if (half->file != NULL)
		half->file->tx_id = half->id - 1;
}

void
http_file_data(struct proto_ctx *ctx, struct http_half *half, const uint8_t *data, uint32_t len)
{
	if (!half->has_file)
		begin(ctx, half);
	if (half->parts != NULL) {
		http_parts_take(ctx, half, cursor_of(data, len));
		return;
	}
	if (half->file == NULL)
		return;
	if (half->head.coding_count == 0)
		file_bytes(ctx->files, half->file, data, len);
	else if (half->matched)
		file_end(ctx->files, half->file, false); /* only what is kept of a body is decoded */
}

void
http_file_gap(struct proto_ctx *ctx, struct http_half *half, uint64_t missing)
{
	if (!half->has_file)
		begin(ctx, half);
	file_gap(ctx->files, half->file, missing);
}

void
http_file_settle(struct proto_ctx *ctx, struct http_half *half)
{
	const struct http_config *config = ctx->config;
	uint32_t len;

	if (half->file == NULL || half->parts != NULL)
		return;
	if (half->head.coding_count != 0 && half->kept != NULL) {
		len = half->kept_len - half->head_len;
		file_bytes(ctx->files, half->file, half->kept + half->head_len, len);
		if (len >= config->body_limit[half->head.is_request])
			file_end(ctx->files, half->file, false);
	}
	if (half->is_over)
		file_end(ctx->files, half->file, half->is_whole);
}

void
http_file_finish(struct proto_ctx *ctx, struct http_half *half)
{
	if (half->file == NULL)
		return;
	file_end(ctx->files, half->file, half->parts == NULL && half->is_over && half->is_whole);
	http_half_tell_file(ctx, half);
	file_destroy(ctx->files, half->file);
	half->file = NULL;
}
