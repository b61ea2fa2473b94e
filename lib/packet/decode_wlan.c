/* Frames of a WLAN: IEEE 802.11, in captures of the air and as access points send them to their controller, in CAPWAP (RFC 5415, 5416). MACsec
 * (IEEE 802.1AE), which keeps them and others. */
#include "lib/packet/decode.h"

enum {
	WLAN_DATA = 0x08,         /* of the frame control's first octet: data, and some */
	WLAN_KIND = 0x0f,
	WLAN_WITHOUT_DATA = 0x40,
	WLAN_QOS = 0x80,
	WLAN_TO_DS = 0x01,        /* of the second */
	WLAN_FROM_DS = 0x02,
	WLAN_ORDER = 0x80,
	WLAN_ADDRESSES_LEN = 22,  /* duration, three addresses, sequence */
	WLAN_ADDRESS_LEN = 6,
	WLAN_SNAP_LEN = 6,
	RADIOTAP_LEN_MIN = 8,
	CAPWAP_LEN = 8,
	CAPWAP_NATIVE = 0x0100,   /* of the second half of the first word: not 802.3 */
	CAPWAP_FRAGMENT = 0x0080,
	CAPWAP_KEEP_ALIVE = 0x0008,
	CAPWAP_BINDING = 0x3e00,
	CAPWAP_WLAN = 1 << 9,
	MACSEC_VERSION = 0x80,
	MACSEC_SCI = 0x20,
	MACSEC_ENCRYPTED = 0x0c,  /* or changed in another way */
	MACSEC_CHECK_LEN = 16,
};

/* IEEE 802.11-2020 9.2.3, 9.3.2.1. Some controllers' access points send both octets of the frame control in the other order. */
enum decode_layer
decode_wlan(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t control = cursor_u8(&in), flags = cursor_u8(&in);
	const uint8_t *snap;

	decode_count(d, PACKET_COUNTER_WLAN);
	if ((control & WLAN_KIND) != WLAN_DATA && (flags & WLAN_KIND) == WLAN_DATA) {
		uint8_t first = control;

		control = flags;
		flags = first;
	}
	if ((control & WLAN_KIND) != WLAN_DATA || (control & WLAN_WITHOUT_DATA) != 0)
		return LAYER_DONE;
	cursor_skip(&in, WLAN_ADDRESSES_LEN);
	if ((flags & WLAN_TO_DS) != 0 && (flags & WLAN_FROM_DS) != 0)
		cursor_skip(&in, WLAN_ADDRESS_LEN);
	if ((control & WLAN_QOS) != 0)
		cursor_skip(&in, (flags & WLAN_ORDER) != 0 ? 6 : 2);
	snap = cursor_take(&in, WLAN_SNAP_LEN);
	if (snap == NULL || memcmp(snap, "\xaa\xaa\3\0\0\0", WLAN_SNAP_LEN) != 0)
		return LAYER_DONE; /* encrypted, several in one, or no IP */
	d->packet->ether_type = cursor_be16(&in);
	if (in.short_read || d->packet->ether_type < 0x0600)
		return LAYER_DONE;
	d->in = in;
	return LAYER_ETHER_TYPE;
}

/* radiotap.org: how long it is, and what a receiver tells of a frame. */
enum decode_layer
decode_radiotap(struct decode *d)
{
	struct cursor in = d->in;
	uint16_t len;

	cursor_skip(&in, 2);
	len = cursor_le16(&in);
	if (in.short_read || len < RADIOTAP_LEN_MIN || len > cursor_left(&d->in))
		return LAYER_DONE;
	cursor_skip(&d->in, len);
	return LAYER_WLAN;
}

/* RFC 5415 4.3: of type 0, the others are encrypted. A frame in parts is not joined. */
enum decode_layer
decode_capwap(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t preamble = cursor_u8(&in), len = cursor_u8(&in) >> 3;
	uint16_t flags = cursor_be16(&in);
	uint32_t header_len = len * 4u;
	bool native;

	in = d->in;
	cursor_skip(&in, header_len);
	if (preamble != 0 || header_len < CAPWAP_LEN || in.short_read || (flags & CAPWAP_KEEP_ALIVE) != 0 || cursor_left(&in) == 0)
		return LAYER_DONE;
	if ((flags & CAPWAP_FRAGMENT) != 0) {
		decode_count(d, PACKET_COUNTER_CAPWAP_FRAGMENTS);
		return LAYER_DONE;
	}
	native = (flags & CAPWAP_NATIVE) != 0;
	if (native && (flags & CAPWAP_BINDING) != CAPWAP_WLAN)
		return LAYER_DONE;
	decode_count(d, PACKET_COUNTER_CAPWAP);
	if (decode_append(d, in.pos, (uint32_t)cursor_left(&in), native ? PACKET_LINK_WLAN : PACKET_LINK_ETHERNET, PACKET_SOURCE_CAPWAP) != NULL)
		d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

/* IEEE 802.1AE-2018 9.3 to 9.5: where it only protects against changes, the frame goes on behind the tag, up to the check value. */
enum decode_layer
decode_macsec(struct decode *d)
{
	struct cursor in = d->in;
	uint8_t control = cursor_u8(&in);

	decode_count(d, PACKET_COUNTER_MACSEC);
	cursor_skip(&in, (control & MACSEC_SCI) != 0 ? 13 : 5);
	if (in.short_read)
		return decode_bad(d, DECODE_MACSEC_HEADER_TOO_SMALL);
	if ((control & MACSEC_VERSION) != 0)
		return LAYER_DONE;
	if ((control & MACSEC_ENCRYPTED) != 0) {
		decode_count(d, PACKET_COUNTER_MACSEC_ENCRYPTED);
		return LAYER_DONE;
	}
	if (cursor_left(&in) < MACSEC_CHECK_LEN + 2)
		return decode_bad(d, DECODE_MACSEC_HEADER_TOO_SMALL);
	d->in = cursor_of(in.pos, cursor_left(&in) - MACSEC_CHECK_LEN);
	d->packet->ether_type = cursor_be16(&d->in);
	return LAYER_ETHER_TYPE;
}
