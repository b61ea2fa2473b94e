/* All header fields of a message, for those who want them written. */
#include "proto/http/http.h"

/* "Name: value", the line's end not among it; continued lines are part of the value. */
static void
put_field(struct proto_ctx *ctx, struct record_list *list, const uint8_t *text, uint32_t len)
{
	const uint8_t *colon = memchr(text, ':', len);
	uint32_t name = 0, name_end = colon == NULL ? 0 : (uint32_t)(colon - text), value = colon == NULL ? 0 : name_end + 1;
	struct http_field *field = record_append(ctx->record, list, http_field_shapes, 0);

	if (field == NULL)
		return;
	http_trim(text, &name, &name_end);
	http_trim(text, &value, &len);
	record_put_bytes(ctx->record, &field->name, text + name, name_end - name);
	record_put_bytes(ctx->record, &field->value, text + value, len - value);
}

void
http_half_dump(struct proto_ctx *ctx, struct http_record *record, const struct http_half *half)
{
	struct record_ref raw = half->head.slices[HTTP_HEADER_RAW];
	struct record_list *list = &record->headers[half->head.is_request];
	const uint8_t *text = half->data + raw.off;
	uint32_t len = (half->head.present >> HTTP_HEADER_RAW & 1) == 0 ? 0 : raw.count, at = 0;

	len = len < HTTP_DUMP_LEN_MAX ? len : HTTP_DUMP_LEN_MAX;
	for (unsigned int count = 0; at < len && count < HTTP_FIELDS_MAX; count++) {
		const uint8_t *line_end = memchr(text + at, '\n', len - at);

		while (line_end != NULL && line_end + 1 < text + len && http_is_space(line_end[1]))
			line_end = memchr(line_end + 1, '\n', (size_t)(text + len - line_end) - 1);
		if (text[at] == '\r' || text[at] == '\n')
			break;
		put_field(ctx, list, text + at, line_end == NULL ? len - at : (uint32_t)(line_end - text) - at);
		at = line_end == NULL ? len : (uint32_t)(line_end - text) + 1;
	}
	record_present(&record->head, half->head.is_request ? HTTP_HAS_REQUEST_HEADERS : HTTP_HAS_RESPONSE_HEADERS);
}
