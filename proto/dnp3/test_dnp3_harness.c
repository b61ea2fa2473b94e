/* The flow that DNP3's tests feed. */
#include "proto/dnp3/test_dnp3.h"

struct harness h;
struct slab *slab;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	const struct dnp3_record *record = (const void *)ctx->record->base;

	if (flags == PROTO_IDENTITY) {
		assert_true(ctx->record->len <= sizeof(h.identity));
		memcpy(h.identity, ctx->record->base, ctx->record->len);
		h.identities++;
		return;
	}
	h.deliveries++;
	h.emitted += (flags & PROTO_EMIT) != 0;
	h.links += !record_is_present(record, DNP3_HAS_APPLICATION);
	h.events |= ctx->events;
	ctx->events = 0;
	h.last_len = ctx->record->len;
	memcpy(h.last, ctx->record->base, ctx->record->len);
}

void
harness_begin(void)
{
	if (h.ctx.slab != NULL)
		dnp3_proto.end(&h.ctx);
	memset(&h, 0, offsetof(struct harness, area));
	h.events = h.deliveries = h.emitted = h.links = h.identities = 0;
	h.config = (struct dnp3_config){ .max_points = 16384, .max_objects = 2048, .max_reassembly = 8192 };
	record_builder_init(&h.builder, h.area, sizeof(h.area));
	h.ctx = (struct proto_ctx){ .proto = &dnp3_proto, .config = &h.config, .state = &h.state, .slab = slab,
		.record = &h.builder, .counters = h.counters, .tcp = true, .deliver = collect };
}

bool
identity_says(enum identity_bit what, const char *text)
{
	const struct identity_record *identity = (const void *)h.identity;
	const struct record_ref *ref = &identity->texts[what];

	return record_is_present(identity, (uint8_t)what) && ref->count == strlen(text) &&
		memcmp((const uint8_t *)h.identity + ref->off, text, ref->count) == 0;
}

const struct dnp3_record *
last(void)
{
	return (const void *)h.last;
}

const void *
at(uint32_t offset)
{
	assert_true(offset > 0 && offset < h.last_len);
	return (const uint8_t *)h.last + offset;
}

const struct dnp3_object *
object(unsigned int nth)
{
	const struct dnp3_object *found = at(last()->objects.first);

	while (nth-- > 0)
		found = at(found->head.next);
	return found;
}

const void *
point(const struct dnp3_object *of, unsigned int nth)
{
	const struct dnp3_point *found = at(of->points.first);

	while (nth-- > 0)
		found = at(found->head.next);
	return found;
}

void
put(struct bytes *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	memcpy(b->data + b->len, data, len);
	b->len += (uint32_t)len;
}

void
put_le(struct bytes *b, uint64_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++, value >>= 8)
		put(b, &(uint8_t){ (uint8_t)value }, 1);
}

void
put_crc(struct bytes *b, uint32_t from)
{
	put_le(b, dnp3_crc(b->data + from, b->len - from), 2);
}

void
put_frame(struct bytes *out, uint8_t control, const uint8_t *data, uint32_t len)
{
	uint32_t from = out->len;
	bool to_outstation = (control & 0x80) != 0;

	put(out, (uint8_t[]){ 5, 0x64, (uint8_t)(5 + len), control }, 4);
	put_le(out, to_outstation ? OUTSTATION : MASTER, 2);
	put_le(out, to_outstation ? MASTER : OUTSTATION, 2);
	put_crc(out, from);
	for (uint32_t done = 0; done < len; done += 16) {
		from = out->len;
		put(out, data + done, len - done < 16 ? len - done : 16);
		put_crc(out, from);
	}
}

void
put_fragment(struct bytes *out, uint8_t control, const uint8_t *app, uint32_t len, uint32_t segment_len)
{
	uint8_t segment[250];
	uint8_t sequence = 0;

	for (uint32_t done = 0; done < len || done == 0; done += segment_len) {
		uint32_t n = len - done < segment_len ? len - done : segment_len;

		segment[0] = (uint8_t)(sequence++ & 0x3f) | (done == 0 ? 0x40 : 0) | (done + n == len ? 0x80 : 0);
		memcpy(segment + 1, app + done, n);
		put_frame(out, control, segment, n + 1);
	}
}

uint32_t
feed(const uint8_t *data, uint32_t len, bool to_server)
{
	struct cursor in = cursor_of(data, len);
	uint32_t skipped = 0;

	h.ctx.skipped_len = 0;
	h.ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int frame_len = dnp3_proto.frame(in, to_server);

		if (frame_len == 0 || (frame_len > 0 && (size_t)frame_len > cursor_left(&in)))
			break;
		if (frame_len < 0) {
			cursor_skip(&in, 1);
			skipped++;
			h.ctx.skipped_len++;
			continue;
		}
		dnp3_proto.parse(&h.ctx, cursor_sub(&in, (size_t)frame_len));
		h.ctx.skipped_len = 0;
	}
	return skipped;
}

void
feed_app(const uint8_t *app, uint32_t len, bool to_server)
{
	static struct bytes out;

	out.len = 0;
	put_fragment(&out, to_server ? 0xc4 : 0x44, app, len, 249);
	feed(out.data, out.len, to_server);
}

void
segment(uint8_t control, uint8_t header, const char *text)
{
	struct bytes out = { .len = 0 };
	uint8_t data[64];
	size_t len = strlen(text);

	data[0] = header;
	memcpy(data + 1, text, len);
	put_frame(&out, control, data, (uint32_t)len + 1);
	feed(out.data, out.len, (control & 0x80) != 0);
}

bool
json_has(const char *text)
{
	static struct record_writer *writer;
	static struct buf out;

	if (writer == NULL) {
		assert_int_equal(record_writer_create(&writer, &dnp3_record_table), 0);
		assert_int_equal(buf_create(&out, 1 << 20), 0);
	}
	buf_reset(&out);
	record_write_json(writer, &out, h.last, h.last_len);
	buf_putc(&out, '\0');
	assert_false(out.full);
	if (strstr(out.data, text) != NULL)
		return true;
	print_error("%s\nlacks %s\n", out.data, text);
	return false;
}
