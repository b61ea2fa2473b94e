/* pcap: a file header, then frames, each behind a header of its own. */
#include <errno.h>

#include "lib/capture/capture_private.h"

enum {
	FILE_HEADER_LEN = 24,
	RECORD_HEADER_LEN = 16,
	RECORD_HEADER_LEN_KUZNETZOV = 24, /* with interface, protocol and packet type behind the lengths */
	NETWORK_LINK_TYPE = 0x03ffffff,   /* the bits above say whether and how long the frame check sequence is */
};

static const struct pcap_kind {
	uint32_t magic;
	uint32_t record_header_len;
	uint32_t fraction_ns;
} kinds[] = {
	{ 0xa1b2c3d4, RECORD_HEADER_LEN, 1000 },
	{ 0xa1b23c4d, RECORD_HEADER_LEN, 1 },
	{ 0xa1b2cd34, RECORD_HEADER_LEN_KUZNETZOV, 1000 },
};

static const struct pcap_kind *
find_kind(uint32_t magic)
{
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].magic == magic || __builtin_bswap32(kinds[i].magic) == magic)
			return &kinds[i];
	return NULL;
}

bool
capture_pcap_is_magic(uint32_t magic)
{
	return find_kind(magic) != NULL;
}

static int
pcap_next(struct capture *c, struct capture_frame *frame)
{
	int found = capture_input_need(&c->input, c->record_header_len);
	struct cursor in;
	uint32_t seconds, fraction, len, wire_len;

	if (found != 1) {
		if (found == 0 && capture_input_left(&c->input) == 0 && !c->input.cut)
			return 0;
		return capture_fail_short(c, found, "frame header");
	}
	in = capture_input_peek(&c->input, RECORD_HEADER_LEN);
	seconds = capture_u32(c, &in);
	fraction = capture_u32(c, &in);
	len = capture_u32(c, &in);
	wire_len = capture_u32(c, &in);
	if (c->swapped_lengths || (c->doubtful_lengths && len > wire_len)) {
		uint32_t first = len;

		len = wire_len;
		wire_len = first;
	}
	if (len > CAPTURE_FRAME_LEN_MAX)
		return capture_fail(c, -EBADMSG, "a frame of %u bytes, above %u", len, CAPTURE_FRAME_LEN_MAX);
	found = capture_input_need(&c->input, c->record_header_len + len);
	if (found != 1)
		return capture_fail_short(c, found, "frame");
	in = capture_input_peek(&c->input, c->record_header_len + len);
	cursor_skip(&in, c->record_header_len);
	*frame = (struct capture_frame){
		.data = cursor_take(&in, len),
		.len = len,
		.wire_len = wire_len > len ? wire_len : len,
		.ts_ns = seconds * UINT64_C(1000000000) + (uint64_t)fraction * c->fraction_ns,
		.link_type = c->link_type,
	};
	capture_input_skip(&c->input, c->record_header_len + len);
	return 1;
}

int
capture_pcap_start(struct capture *c, uint32_t magic)
{
	const struct pcap_kind *kind = find_kind(magic);
	int found = capture_input_need(&c->input, FILE_HEADER_LEN);
	struct cursor in;
	uint16_t major, minor;

	if (found != 1)
		return capture_fail_short(c, found, "file header");
	c->swapped = magic != kind->magic;
	c->record_header_len = kind->record_header_len;
	c->fraction_ns = kind->fraction_ns;
	in = capture_input_peek(&c->input, FILE_HEADER_LEN);
	cursor_skip(&in, 4);
	major = capture_u16(c, &in);
	minor = capture_u16(c, &in);
	cursor_skip(&in, 12); /* time zone, accuracy, snap length: nobody fills the first two, frames say the third */
	c->link_type = (uint16_t)(capture_u32(c, &in) & NETWORK_LINK_TYPE);
	if (major != 2)
		return capture_fail(c, -EBADMSG, "pcap version %u.%u is not known", major, minor);
	c->swapped_lengths = minor < 3;
	c->doubtful_lengths = minor == 3;
	c->next = pcap_next;
	capture_input_skip(&c->input, FILE_HEADER_LEN);
	return 0;
}
