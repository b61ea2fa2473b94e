/* Forms with files (RFC 7578): the parts of a request's body that have a file's name. Byte by byte, however they are cut. */
#include "proto/http/http.h"
#include "proto/line.h"

enum { LINE_LEN = 512, BOUNDARY_LEN_MAX = 70, DELIMITER_LEN_MAX = BOUNDARY_LEN_MAX + 4 };

enum parts_phase {
	PARTS_DATA,   /* of a part, or before the first */
	PARTS_AFTER,  /* the rest of a delimiter's line */
	PARTS_HEADER,
	PARTS_OVER,
};

struct http_parts {
	uint8_t phase;        /* enum parts_phase */
	uint8_t delimiter_len;
	uint8_t held;         /* bytes that are like the delimiter's first */
	uint8_t phantom;      /* of them, those that were not there: a delimiter may begin a body, too */
	uint16_t line_len;
	uint16_t name_len;
	uint8_t delimiter[DELIMITER_LEN_MAX]; /* CR LF -- boundary */
	uint8_t line[LINE_LEN];               /* of a header, as much as fits */
	uint8_t name[LINE_LEN];
};

struct http_parts *
http_parts_create(struct proto_ctx *ctx, struct cursor type)
{
	struct cursor boundary = http_parameter_of(type, "boundary=");
	struct http_parts *parts;

	if (!line_begins(&type, "multipart/form-data") || boundary.left == 0 || boundary.left > BOUNDARY_LEN_MAX)
		return NULL;
	parts = slab_alloc(ctx->slab, sizeof(*parts));
	if (parts == NULL)
		return NULL;
	*parts = (struct http_parts){ .held = 2, .phantom = 2, .delimiter_len = (uint8_t)(boundary.left + 4) };
	memcpy(parts->delimiter, "\r\n--", 4);
	memcpy(parts->delimiter + 4, boundary.pos, boundary.left);
	return parts;
}

void
http_parts_destroy(struct proto_ctx *ctx, struct http_parts *parts)
{
	slab_free(ctx->slab, parts, sizeof(*parts));
}

static void
end_part(struct proto_ctx *ctx, struct http_half *half)
{
	half->parts->held = half->parts->phantom = 0;
	half->parts->line_len = 0;
	half->parts->phase = PARTS_AFTER;
	if (half->file == NULL)
		return;
	file_end(ctx->files, half->file, true);
	http_half_tell_file(ctx, half);
	file_destroy(ctx->files, half->file);
	half->file = NULL;
}

static void
step_data(struct proto_ctx *ctx, struct http_half *half, uint8_t c)
{
	struct http_parts *parts = half->parts;

	if (c != parts->delimiter[parts->held] && parts->held > 0) {
		file_bytes(ctx->files, half->file, parts->delimiter + parts->phantom, (size_t)(parts->held - parts->phantom));
		parts->held = parts->phantom = 0;
	}
	if (c != parts->delimiter[parts->held]) {
		file_bytes(ctx->files, half->file, &c, 1);
		return;
	}
	if (++parts->held == parts->delimiter_len)
		end_part(ctx, half);
}

static void
begin_part(struct proto_ctx *ctx, struct http_half *half)
{
	struct http_parts *parts = half->parts;

	parts->phase = PARTS_DATA;
	parts->held = parts->phantom = 2;
	if (parts->name_len > 0)
		half->file = proto_file_begin(ctx, half->to_server, parts->name, parts->name_len);
	if (half->file != NULL)
		half->file->tx_id = half->id - 1;
	parts->name_len = 0;
}

static void
end_line(struct proto_ctx *ctx, struct http_half *half)
{
	struct http_parts *parts = half->parts;
	struct cursor line = line_bare(cursor_of(parts->line, parts->line_len)), name;

	parts->line_len = 0;
	if (parts->phase == PARTS_AFTER) {
		parts->phase = line_begins(&line, "--") ? PARTS_OVER : PARTS_HEADER;
		return;
	}
	if (line.left == 0) {
		begin_part(ctx, half);
		return;
	}
	if (!line_begins(&line, "content-disposition:"))
		return;
	name = http_parameter_of(line, "filename=");
	parts->name_len = (uint16_t)name.left;
	memcpy(parts->name, name.pos, name.left);
}

static void
step_line(struct proto_ctx *ctx, struct http_half *half, uint8_t c)
{
	struct http_parts *parts = half->parts;

	if (c == '\n')
		end_line(ctx, half);
	else if (parts->line_len < LINE_LEN)
		parts->line[parts->line_len++] = c;
}

void
http_parts_take(struct proto_ctx *ctx, struct http_half *half, struct cursor in)
{
	struct http_parts *parts = half->parts;

	while (cursor_left(&in) > 0 && parts->phase != PARTS_OVER) {
		if (parts->phase != PARTS_DATA) {
			step_line(ctx, half, cursor_u8(&in));
			continue;
		}
		if (parts->held == 0) { /* nothing before a CR is a delimiter's */
			const uint8_t *cr = memchr(in.pos, '\r', cursor_left(&in));
			struct cursor plain = cursor_sub(&in, cr == NULL ? cursor_left(&in) : (size_t)(cr - in.pos));

			file_bytes(ctx->files, half->file, plain.pos, cursor_left(&plain));
		}
		if (cursor_left(&in) > 0)
			step_data(ctx, half, cursor_u8(&in));
	}
}
