/* The flow that IEC 104's tests feed. */
#include "proto/iec104/test_iec104.h"

#include <ctype.h>

struct harness h;
struct slab *slab;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	(void)tx_id;
	if (flags == PROTO_IDENTITY) {
		h.identities++;
		return;
	}
	h.deliveries++;
	h.emitted += (flags & (PROTO_EMIT | PROTO_QUIET)) == PROTO_EMIT;
	h.events |= ctx->events;
	ctx->events = 0;
	h.last_len = ctx->record->len;
	memcpy(h.last, ctx->record->base, ctx->record->len);
}

void
harness_begin(void)
{
	if (h.ctx.slab != NULL)
		iec104_proto.end(&h.ctx);
	if (h.ctx.volume != NULL)
		proto_volume_free(&h.ctx);
	memset(&h, 0, offsetof(struct harness, area));
	h.config = (struct iec104_config){ .k = 12, .w = 8, .command_timeout_s = 60 };
	record_builder_init(&h.builder, h.area, sizeof(h.area));
	h.ctx = (struct proto_ctx){ .proto = &iec104_proto, .config = &h.config, .state = &h.state, .slab = slab,
		.record = &h.builder, .volume = &h.volume, .counters = h.counters, .tcp = true, .deliver = collect,
		.ts_ns = UINT64_C(1000000000) };
}

const struct iec104_record *
last(void)
{
	return (const void *)h.last;
}

const void *
object(unsigned int nth)
{
	uint32_t at = last()->objects.first;

	assert_true(nth < last()->objects.count);
	while (nth-- > 0)
		at = ((const struct record_head *)((const uint8_t *)h.last + at))->next;
	return (const uint8_t *)h.last + at;
}

static unsigned int
digit(char c)
{
	return c <= '9' ? (unsigned int)(c - '0') : (unsigned int)(c - 'a' + 10);
}

void
put_hex(struct bytes *b, const char *hex)
{
	for (; *hex != '\0'; hex++) {
		if (isspace((unsigned char)*hex))
			continue;
		assert_true(b->len < sizeof(b->data) && isxdigit((unsigned char)hex[1]));
		b->data[b->len++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
		hex++;
	}
}

void
put_i(struct bytes *b, const char *asdu, bool to_server)
{
	uint32_t from = b->len;
	uint16_t ssn = h.ssn[to_server]++, rsn = h.ssn[!to_server];

	put_hex(b, "680000000000");
	b->data[from + 2] = (uint8_t)(ssn << 1);
	b->data[from + 3] = (uint8_t)(ssn >> 7);
	b->data[from + 4] = (uint8_t)(rsn << 1);
	b->data[from + 5] = (uint8_t)(rsn >> 7);
	put_hex(b, asdu);
	b->data[from + 1] = (uint8_t)(b->len - from - 2);
}

uint32_t
feed(const uint8_t *data, uint32_t len, bool to_server)
{
	struct cursor in = cursor_of(data, len);
	uint32_t skipped = 0;

	h.ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int frame_len = iec104_proto.frame(in, to_server);

		if (frame_len == 0 || (frame_len > 0 && (size_t)frame_len > cursor_left(&in)))
			break;
		if (frame_len < 0) {
			cursor_skip(&in, 1);
			skipped++;
			continue;
		}
		iec104_proto.parse(&h.ctx, cursor_sub(&in, (size_t)frame_len));
	}
	return skipped;
}

uint64_t
feed_i(const char *asdu, bool to_server)
{
	struct bytes b = { .len = 0 };

	h.events = 0;
	put_i(&b, asdu, to_server);
	assert_int_equal(feed(b.data, b.len, to_server), 0);
	return h.events;
}

uint64_t
feed_hex(const char *hex, bool to_server)
{
	struct bytes b = { .len = 0 };

	h.events = 0;
	put_hex(&b, hex);
	feed(b.data, b.len, to_server);
	return h.events;
}

const char *
json(void)
{
	static struct record_writer *writer;
	static struct buf out;

	if (writer == NULL) {
		assert_int_equal(record_writer_create(&writer, &iec104_record_table), 0);
		assert_int_equal(buf_create(&out, 1 << 20), 0);
	}
	buf_reset(&out);
	record_write_json(writer, &out, h.last, h.last_len);
	buf_putc(&out, '\0');
	assert_false(out.full);
	return out.data;
}

bool
json_has(const char *text)
{
	const char *written = json();

	if (strstr(written, text) != NULL)
		return true;
	print_error("%s\nlacks %s\n", written, text);
	return false;
}
