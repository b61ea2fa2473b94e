/* pcapng: blocks, each with its length at both ends; sections bring their byte order and their interfaces. */
#include <errno.h>
#include <stdlib.h>

#include "lib/capture/capture_private.h"

enum {
	BLOCK_HEADER_LEN = 8,   /* type, length */
	BLOCK_TRAILER_LEN = 4,  /* length again */
	BLOCK_LEN_MIN = BLOCK_HEADER_LEN + BLOCK_TRAILER_LEN,
	SECTION_PEEK_LEN = BLOCK_HEADER_LEN + 4, /* with the byte-order magic */
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,

	OPTION_END = 0,
	OPTION_IF_TSRESOL = 9,
	OPTION_IF_TSOFFSET = 14,
	TSRESOL_BINARY = 0x80,
	TSRESOL_DEFAULT = 6,
	TEN_EXPONENT_MAX = 19,  /* the largest power of ten in 64 bits */
};

enum { BLOCK_INTERFACE = 1, BLOCK_PACKET = 2, BLOCK_SIMPLE_PACKET = 3, BLOCK_ENHANCED_PACKET = 6 };

static uint64_t
ten_to(unsigned int exponent)
{
	uint64_t value = 1;

	while (exponent-- > 0)
		value *= 10;
	return value;
}

static void
interface_set_clock(struct capture_interface *interface, uint8_t resolution)
{
	uint8_t exponent = resolution & (TSRESOL_BINARY - 1);

	if (resolution & TSRESOL_BINARY) {
		interface->clock = CAPTURE_CLOCK_SHIFT;
		interface->factor = exponent;
	} else if (exponent <= 9) {
		interface->clock = CAPTURE_CLOCK_MULTIPLY;
		interface->factor = ten_to(9 - exponent);
	} else {
		interface->clock = CAPTURE_CLOCK_DIVIDE;
		interface->factor = ten_to(exponent - 9 < TEN_EXPONENT_MAX ? exponent - 9 : TEN_EXPONENT_MAX);
	}
}

/* Times before 1970 become 0 and times beyond 2554 the largest: both only occur in damaged files. */
static uint64_t
interface_time_ns(const struct capture_interface *interface, uint64_t units)
{
	__int128 ns;

	if (interface->clock == CAPTURE_CLOCK_MULTIPLY)
		ns = (__int128)units * interface->factor;
	else if (interface->clock == CAPTURE_CLOCK_DIVIDE)
		ns = units / interface->factor;
	else
		ns = (__int128)units * 1000000000 >> interface->factor;
	ns += (__int128)interface->offset_s * 1000000000;
	if (ns < 0)
		return 0;
	return ns > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* Every option advances by at least four bytes, so the block's length bounds the loop. */
static void
read_interface_options(struct capture *c, struct capture_interface *interface, struct cursor in)
{
	while (cursor_left(&in) >= 4) {
		uint16_t code = capture_u16(c, &in);
		uint16_t len = capture_u16(c, &in);
		struct cursor value = cursor_sub(&in, len);

		if (code == OPTION_END || value.short_read)
			return;
		cursor_skip(&in, (4 - len % 4) % 4);
		if (code == OPTION_IF_TSRESOL && len == 1)
			interface_set_clock(interface, cursor_u8(&value));
		else if (code == OPTION_IF_TSOFFSET && len == 8)
			interface->offset_s = (int64_t)capture_u64(c, &value);
	}
}

static int
read_interface(struct capture *c, struct cursor body, struct capture_frame *frame)
{
	struct capture_interface *interface;

	(void)frame;
	if (c->interface_count == CAPTURE_INTERFACES_MAX)
		return capture_fail(c, -EBADMSG, "more than %u interfaces in a section", CAPTURE_INTERFACES_MAX);
	if (c->interface_count == c->interface_cap) {
		uint32_t cap = c->interface_cap == 0 ? 8 : 2 * c->interface_cap;
		struct capture_interface *grown = realloc(c->interfaces, cap * sizeof(*grown));

		if (grown == NULL)
			return capture_fail(c, -ENOMEM, "no memory for %u interfaces", cap);
		c->interfaces = grown;
		c->interface_cap = cap;
	}
	interface = &c->interfaces[c->interface_count];
	*interface = (struct capture_interface){ 0 };
	interface_set_clock(interface, TSRESOL_DEFAULT);
	interface->link_type = capture_u16(c, &body);
	cursor_skip(&body, 2);
	interface->snap_len = capture_u32(c, &body);
	if (body.short_read)
		return capture_fail(c, -EBADMSG, "an interface block is too short");
	read_interface_options(c, interface, body);
	c->interface_count++;
	return 0;
}

static int
give_frame(struct capture *c, uint32_t interface, uint64_t units, struct cursor *body, struct capture_frame *frame)
{
	uint32_t len = capture_u32(c, body);
	uint32_t wire_len = capture_u32(c, body);
	const uint8_t *data = cursor_take(body, len);

	if (len > CAPTURE_FRAME_LEN_MAX)
		return capture_fail(c, -EBADMSG, "a frame of %u bytes, above %u", len, CAPTURE_FRAME_LEN_MAX);
	if (data == NULL)
		return capture_fail(c, -EBADMSG, "a frame of %u bytes does not fit its block", len);
	if (interface >= c->interface_count)
		return capture_fail(c, -EBADMSG, "interface %u of %u", interface, c->interface_count);
	*frame = (struct capture_frame){
		.data = data,
		.len = len,
		.wire_len = wire_len > len ? wire_len : len,
		.ts_ns = interface_time_ns(&c->interfaces[interface], units),
		.interface = interface,
		.link_type = c->interfaces[interface].link_type,
	};
	return 1;
}

static int
read_enhanced_packet(struct capture *c, struct cursor body, struct capture_frame *frame)
{
	uint32_t interface = capture_u32(c, &body);
	uint64_t high = capture_u32(c, &body);
	uint64_t low = capture_u32(c, &body);

	return give_frame(c, interface, high << 32 | low, &body, frame);
}

/* Obsolete, yet still found: a 16-bit interface, then the drops since the frame before. */
static int
read_packet(struct capture *c, struct cursor body, struct capture_frame *frame)
{
	uint32_t interface = capture_u16(c, &body);
	uint64_t high, low;

	cursor_skip(&body, 2);
	high = capture_u32(c, &body);
	low = capture_u32(c, &body);
	return give_frame(c, interface, high << 32 | low, &body, frame);
}

/* No time and no captured length: the latter follows from the wire length and the snap length of interface 0. */
static int
read_simple_packet(struct capture *c, struct cursor body, struct capture_frame *frame)
{
	uint32_t wire_len = capture_u32(c, &body);
	uint32_t len = wire_len;

	if (body.short_read)
		return capture_fail(c, -EBADMSG, "a simple packet block is too short");
	if (c->interface_count == 0)
		return capture_fail(c, -EBADMSG, "a simple packet block before any interface");
	if (c->interfaces[0].snap_len > 0 && len > c->interfaces[0].snap_len)
		len = c->interfaces[0].snap_len;
	if (len > CAPTURE_FRAME_LEN_MAX)
		return capture_fail(c, -EBADMSG, "a frame of %u bytes, above %u", len, CAPTURE_FRAME_LEN_MAX);
	*frame = (struct capture_frame){
		.data = cursor_take(&body, len),
		.len = len,
		.wire_len = wire_len,
		.ts_ns = c->last_ts_ns,
		.link_type = c->interfaces[0].link_type,
	};
	if (frame->data == NULL)
		return capture_fail(c, -EBADMSG, "a frame of %u bytes does not fit its block", len);
	return 1;
}

/* A block's reader returns 1 with a frame, 0 without, -errno with c->error set. Types without a row are skipped. */
static const struct {
	uint32_t type;
	int (*read)(struct capture *c, struct cursor body, struct capture_frame *frame);
} block_readers[] = {
	{ BLOCK_ENHANCED_PACKET, read_enhanced_packet },
	{ BLOCK_SIMPLE_PACKET, read_simple_packet },
	{ BLOCK_INTERFACE, read_interface },
	{ BLOCK_PACKET, read_packet },
};

/* A section starts anew: its byte order is needed before its length can be read. */
static int
enter_section(struct capture *c)
{
	int found = capture_input_need(&c->input, SECTION_PEEK_LEN);
	struct cursor in;
	uint32_t magic;

	if (found != 1)
		return capture_fail_short(c, found, "section header");
	in = capture_input_peek(&c->input, SECTION_PEEK_LEN);
	cursor_skip(&in, BLOCK_HEADER_LEN);
	magic = cursor_le32(&in);
	if (magic != BYTE_ORDER_MAGIC && __builtin_bswap32(magic) != BYTE_ORDER_MAGIC)
		return capture_fail(c, -EBADMSG, "a section of unknown byte order 0x%08x", magic);
	c->swapped = magic != BYTE_ORDER_MAGIC;
	c->interface_count = 0;
	return 0;
}

/* @return 1 with the block's type and body, still in the window; 0 at the end of the file; -errno */
static int
read_block(struct capture *c, uint32_t *type, uint32_t *total_len, struct cursor *body)
{
	int found = capture_input_need(&c->input, BLOCK_HEADER_LEN);
	struct cursor in;

	if (found != 1) {
		if (found == 0 && capture_input_left(&c->input) == 0 && !c->input.cut)
			return 0;
		return capture_fail_short(c, found, "block header");
	}
	in = capture_input_peek(&c->input, BLOCK_HEADER_LEN);
	*type = capture_u32(c, &in);
	if (*type == PCAPNG_MAGIC) {
		int error = enter_section(c);

		if (error < 0)
			return error;
		in = capture_input_peek(&c->input, BLOCK_HEADER_LEN);
		cursor_skip(&in, 4);
	}
	*total_len = capture_u32(c, &in);
	if (*total_len < BLOCK_LEN_MIN || *total_len > CAPTURE_BLOCK_LEN_MAX || *total_len % 4 != 0)
		return capture_fail(c, -EBADMSG, "a block of %u bytes", *total_len);
	found = capture_input_need(&c->input, *total_len);
	if (found != 1)
		return capture_fail_short(c, found, "block");
	in = capture_input_peek(&c->input, *total_len);
	cursor_skip(&in, BLOCK_HEADER_LEN);
	*body = cursor_sub(&in, *total_len - BLOCK_LEN_MIN);
	if (capture_u32(c, &in) != *total_len)
		return capture_fail(c, -EBADMSG, "the lengths at both ends of a block differ");
	return 1;
}

static int
pcapng_next(struct capture *c, struct capture_frame *frame)
{
	struct cursor body = { 0 };
	uint32_t type = 0, total_len = 0;
	int result;

	while ((result = read_block(c, &type, &total_len, &body)) == 1) {
		int given = 0;

		for (unsigned int i = 0; i < sizeof(block_readers) / sizeof(block_readers[0]); i++)
			if (block_readers[i].type == type) {
				given = block_readers[i].read(c, body, frame);
				break;
			}
		if (given < 0)
			return given;
		capture_input_skip(&c->input, total_len);
		if (given == 1)
			return 1;
	}
	return result;
}

int
capture_pcapng_start(struct capture *c)
{
	int error = enter_section(c);

	if (error == 0)
		c->next = pcapng_next;
	return error;
}
