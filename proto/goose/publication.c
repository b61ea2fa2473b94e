/* Headers, times and qualities that GOOSE and Sampled Values share. */
#include "proto/goose/publication.h"

enum {
	RESERVED_SIMULATED = 0x8000, /* IEC 61850-8-1 edition 2, annex C */
	CLTP_LI = 0x01,              /* ISO/IEC 8602 as 90-5 uses it: length indicator and UD TPDU */
	CLTP_UD = 0x40,
	SESSION_COMMON_HEADER = 0x80,
	SESSION_PAYLOAD_MIN = 0x81,
	SESSION_PAYLOAD_MAX = 0x84,
	SESSION_PADDING = 0xaf,
	SESSION_SIGNATURE = 0x85,
};

static const struct field_name time_flag_rows[] = {
	{ 0, "clock_not_synchronized" },
	{ 1, "clock_failure" },
	{ 2, "leap_second_known" },
};
const struct field_names publication_time_flags = FIELD_NAMES(time_flag_rows, NULL);

static const struct field_name validity_rows[] = {
	{ 0, "good" }, { 1, "invalid" }, { 2, "reserved" }, { 3, "questionable" },
};
const struct field_names publication_validity = FIELD_NAMES(validity_rows, NULL);

static const struct field_name quality_rows[] = {
	{ 2, "overflow" }, { 3, "out_of_range" }, { 4, "bad_reference" }, { 5, "oscillatory" }, { 6, "failure" },
	{ 7, "old_data" }, { 8, "inconsistent" }, { 9, "inaccurate" }, { 10, "substituted" }, { 11, "test" },
	{ 12, "operator_blocked" }, { 13, "derived" },
};
const struct field_names publication_quality = FIELD_NAMES(quality_rows, NULL);

/* The session header up to its payload. The APDU's header stands in the payload element. */
static bool
read_session(struct cursor *in, struct publication *out)
{
	struct cursor header;
	uint32_t payload_len;

	cursor_skip(in, 3); /* CLTP, and the SPDU's identifier */
	header = cursor_sub(in, cursor_u8(in));
	cursor_skip(&header, 6); /* common header's identifier and length, the SPDU's length */
	out->spdu_number = cursor_be32(&header);
	out->spdu_version = cursor_be16(&header);
	payload_len = cursor_be32(in);
	out->wrong_length = payload_len > cursor_left(in);
	cursor_skip(in, 1); /* which kind of element */
	out->simulated = cursor_u8(in) != 0;
	out->routed = true;
	return !header.short_read && !in->short_read;
}

/* Behind the payload: padding, signature. */
static bool
has_signature(struct cursor in)
{
	struct ber ber;

	while (ber_next(&in, &ber))
		if (ber.tag == SESSION_SIGNATURE)
			return cursor_left(&ber.content) > 0;
	return false;
}

static bool
read_routed(struct cursor in, struct publication *out)
{
	if (!read_session(&in, out))
		return false;
	out->appid = cursor_be16(&in);
	out->length = cursor_be16(&in);
	if (in.short_read)
		return false;
	out->wrong_length = out->wrong_length || out->length > cursor_left(&in);
	out->len = out->length < cursor_left(&in) ? out->length : (uint32_t)cursor_left(&in);
	out->apdu = cursor_sub(&in, out->len);
	out->signature = has_signature(in);
	return true;
}

static bool
looks_routed(struct cursor in)
{
	uint16_t cltp = cursor_be16(&in);
	uint8_t session_id = cursor_u8(&in);

	/* behind an EtherType this would be a length of more than 40,000 bytes, which no frame has */
	return cltp == (CLTP_LI << 8 | CLTP_UD) && session_id >= 0xa0 && session_id <= 0xa3;
}

bool
publication_read(struct cursor pdu, struct publication *out)
{
	uint32_t left;

	*out = (struct publication){ 0 };
	if (looks_routed(pdu))
		return read_routed(pdu, out);
	out->appid = cursor_be16(&pdu);
	out->length = cursor_be16(&pdu);
	out->reserved1 = cursor_be16(&pdu);
	out->reserved2 = cursor_be16(&pdu);
	if (pdu.short_read)
		return false;
	left = (uint32_t)cursor_left(&pdu);
	out->simulated = (out->reserved1 & RESERVED_SIMULATED) != 0;
	out->wrong_length = out->length < PUBLICATION_HEADER_LEN || out->length > left + PUBLICATION_HEADER_LEN;
	out->len = out->wrong_length ? left : (uint32_t)out->length - PUBLICATION_HEADER_LEN;
	out->apdu = cursor_sub(&pdu, out->len);
	return true;
}

bool
publication_is_routed(struct cursor pdu, uint8_t session_id)
{
	struct cursor in = pdu;
	struct publication publication = { 0 };
	uint8_t tag, id;

	cursor_skip(&in, 2);
	id = cursor_u8(&in);
	cursor_skip(&in, 1);
	tag = cursor_u8(&in);
	if (!looks_routed(pdu) || id != session_id || tag != SESSION_COMMON_HEADER)
		return false;
	in = pdu;
	return read_session(&in, &publication) && !publication.wrong_length;
}

void
publication_source_fill(struct publication_source *out, const struct proto_link *link)
{
	*out = (struct publication_source){ .linked = link != NULL };
	if (link == NULL)
		return;
	memcpy(out->src, link->src_mac, sizeof(out->src));
	memcpy(out->dst, link->dst_mac, sizeof(out->dst));
	out->tagged = link->tagged;
	out->vlan = link->vlan_tci & 0x0fff;
	out->vlan_priority = (uint8_t)(link->vlan_tci >> 13);
}
