/*
 * Networks without a break: each frame is sent over two networks (PRP, IEC 62439-3), both ways round a ring (HSR, the same) or
 * over several paths (FRER, IEEE 802.1CB), numbered, and a receiver takes what comes first. A mirror port may see all.
 */
#include "lib/packet/decode.h"

static const uint64_t FORGET_NS = 400000000; /* IEC 62439-3, EntryForgetTime: then a number may be used again */

enum {
	MACS_LEN = 12,
	ETHERNET_LEN = 14,
	PRP_TRAILER_LEN = 6,
	NUMBERED_TAG_LEN = 6, /* with the EtherType behind it */
};

static uint16_t
be16_at(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* The same number and the same content: the number alone would let anybody hide a frame behind it. */
static void
look_for_copy(struct packet_decoder *decoder, struct packet *packet, const uint8_t *macs, uint16_t seq, struct cursor content)
{
	uint64_t print;

	if (decoder->redundant == NULL)
		return;
	print = seen_print(decoder->redundant, seq, macs, MACS_LEN);
	print = seen_print(decoder->redundant, print, content.pos, cursor_left(&content));
	if (!seen_note(decoder->redundant, print, packet->ts_ns, FORGET_NS, true))
		return;
	packet->flags |= PACKET_COPY;
	decoder->pending[PACKET_COUNTER_REDUNDANT]++;
}

/* A tag with a number, and behind it the EtherType of what is sent. */
struct numbered_tag {
	enum decode_event too_small, unknown_type;
	enum packet_counter counter;
};

static enum decode_layer
numbered_tag(struct decode *d, const struct numbered_tag *tag)
{
	struct packet *packet = d->packet;
	struct cursor content = d->in;
	uint16_t seq;

	if (cursor_left(&d->in) < NUMBERED_TAG_LEN)
		return decode_bad(d, tag->too_small);
	cursor_skip(&d->in, 2);
	seq = cursor_be16(&d->in);
	cursor_skip(&content, NUMBERED_TAG_LEN - 2);
	packet->ether_type = cursor_be16(&d->in);
	decode_count(d, tag->counter);
	if (packet_is(packet, PACKET_ETHERNET))
		look_for_copy(d->decoder, packet, packet->data + packet->l2_off, seq, content);
	if (packet_is(packet, PACKET_COPY))
		return LAYER_DONE;
	if (d->decoder->ether_kinds[packet->ether_type] == LAYER_DONE)
		decode_event_set(packet, tag->unknown_type);
	return LAYER_ETHER_TYPE;
}

/* IEC 62439-3 5.1: path and size, sequence number. */
enum decode_layer
decode_hsr(struct decode *d)
{
	static const struct numbered_tag tag = { DECODE_HSR_HEADER_TOO_SMALL, DECODE_HSR_UNKNOWN_TYPE, PACKET_COUNTER_HSR };

	return numbered_tag(d, &tag);
}

/* IEEE 802.1CB 7.8, the R-TAG: reserved, sequence number. */
enum decode_layer
decode_frer(struct decode *d)
{
	static const struct numbered_tag tag = { DECODE_FRER_HEADER_TOO_SMALL, DECODE_FRER_UNKNOWN_TYPE, PACKET_COUNTER_FRER };

	return numbered_tag(d, &tag);
}

/** Bytes of the Ethernet header with its tags, which the trailer's size leaves out. */
static uint32_t
header_len(const struct packet *packet)
{
	struct cursor in = cursor_of(packet->data, packet->len);
	uint32_t tag_len;

	cursor_skip(&in, MACS_LEN);
	while ((tag_len = decode_tag_len(cursor_be16(&in))) > 0)
		cursor_skip(&in, tag_len);
	return (uint32_t)(in.pos - packet->data);
}

/* IEC 62439-3 4.1.10: sequence number, network (A or B) and size of what is sent with the trailer, suffix. Other frames may end in the
 * suffix's bytes; network and size tell them apart. */
uint32_t
decode_prp(struct packet_decoder *decoder, struct packet *packet)
{
	const uint8_t *trailer = packet->data + packet->len - PRP_TRAILER_LEN;
	uint32_t size, network, header;

	if (packet->link_type != PACKET_LINK_ETHERNET || packet->len < ETHERNET_LEN + PRP_TRAILER_LEN || packet->len != packet->wire_len)
		return 0;
	size = be16_at(trailer + 2) & 0x0fff;
	network = be16_at(trailer + 2) >> 12;
	header = header_len(packet);
	if ((network != 0xa && network != 0xb) || size < PRP_TRAILER_LEN || size != packet->len - header)
		return 0;
	decoder->pending[PACKET_COUNTER_PRP]++;
	look_for_copy(decoder, packet, packet->data, be16_at(trailer),
		cursor_of(packet->data + header - 2, packet->len - header + 2 - PRP_TRAILER_LEN));
	return PRP_TRAILER_LEN;
}
