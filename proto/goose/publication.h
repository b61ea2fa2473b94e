/*
 * What GOOSE and Sampled Values share: the header behind the EtherType (IEC 61850-8-1 annex C,
 * 9-2 5.3), the session header of their routable forms (IEC 61850-90-5 8), times and qualities
 * (IEC 61850-7-2, 7-3).
 *
 * Thread: any; nothing here keeps state.
 */
#ifndef MR_PROTO_GOOSE_PUBLICATION_H
#define MR_PROTO_GOOSE_PUBLICATION_H

#include "lib/base/ber.h"
#include "proto/proto.h"

enum {
	PUBLICATION_HEADER_LEN = 8, /* APPID, length, reserved 1 and 2 */
	PUBLICATION_TEXT_MAX = 129, /* ObjectReference and the like, IEC 61850-7-2 */
	PUBLICATION_SESSION_GOOSE = 0xa1, /* IEC 61850-90-5: what a routed SPDU carries */
	PUBLICATION_SESSION_SV = 0xa2,
};

/** The header of one message, whatever carried it. */
struct publication {
	struct cursor apdu;     /* from its identifier on; ends where the header says */
	uint32_t len;           /* bytes left by that end behind the header, extension included */
	uint16_t appid;
	uint16_t length;        /* as it stands on the wire */
	uint16_t reserved1, reserved2;
	uint32_t spdu_number;   /* routed only */
	uint16_t spdu_version;
	bool simulated;         /* bit S of reserved 1 (edition 2), or the session's flag */
	bool wrong_length;      /* the length does not fit the frame */
	bool routed;
	bool signature;         /* routed: a signature follows the payload */
};

/** Where the message came from: of the link, or left empty over IP. */
struct publication_source {
	uint8_t src[6], dst[6];
	uint16_t vlan;
	uint8_t vlan_priority;
	bool linked, tagged;
};

/** Reads the header of either form. false: too short for one. */
bool publication_read(struct cursor pdu, struct publication *out);
/** Whether bytes over UDP are a routed SPDU of this kind, by the headers alone. */
bool publication_is_routed(struct cursor pdu, uint8_t session_id);
void publication_source_fill(struct publication_source *out, const struct proto_link *link);

/** UtcTime of 8 bytes: ns since the Unix epoch and the byte of quality. false: another length. */
static inline bool
publication_time(struct cursor content, uint64_t *time_ns, uint8_t *quality)
{
	uint64_t seconds = cursor_be32(&content);
	uint64_t fraction = cursor_be24(&content); /* of 2^24 */

	*quality = cursor_u8(&content);
	*time_ns = seconds * UINT64_C(1000000000) + (fraction * UINT64_C(1000000000) >> 24);
	return !content.short_read && cursor_left(&content) == 0;
}

/** Bits of a time's quality, IEC 61850-7-2 6.1.2.9. */
enum publication_time_quality {
	TIME_LEAP_SECOND_KNOWN = 0x80,
	TIME_CLOCK_FAILURE = 0x40,
	TIME_NOT_SYNCHRONIZED = 0x20,
	TIME_ACCURACY = 0x1f, /* bits of fraction that count; 31: not said */
};

extern const struct field_names publication_time_flags; /* of the upper three bits, shifted down by 5 */
extern const struct field_names publication_validity;   /* IEC 61850-7-3: 2 bits */
extern const struct field_names publication_quality;    /* bit numbers 2 to 13 */

#endif
