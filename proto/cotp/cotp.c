#include "proto/cotp/cotp.h"

#include <errno.h>

enum {
	FIRST_CAP = 2048, /* of a message that is put together */
	LI_MAX = 254,     /* X.224 13.2.1: 255 is reserved */
	DT_LI = 2,        /* class 0 and 1: code, number and end of message */
	CR_LI = 6,        /* code, two references, class: the fixed part of CR, CC and DR */
	END_OF_MESSAGE = 0x80,

	PARAMETER_TPDU_SIZE = 0xc0,
	PARAMETER_CALLING = 0xc1,
	PARAMETER_CALLED = 0xc2,
	PARAMETER_PREFERRED_SIZE = 0xf0,
	PREFERRED_SIZE_UNIT = 128,
	PREFERRED_SIZE_MAX = 1 << 16, /* of units: more than TPKT can say in any case */
	TPDU_SIZE_EXPONENT_MIN = 7,
	TPDU_SIZE_EXPONENT_MAX = 16,
	PARAMETERS_MAX = 32,
	BEGIN_TPDUS_MAX = 8,
};

/* Whether a length indicator fits a code: what class 0 over TCP has. */
static bool
plausible(uint8_t li, uint8_t code)
{
	switch ((enum cotp_code)(code >> 4)) {
	case COTP_DT:
		return li >= DT_LI && li <= 4 && (code & 0x0e) == 0;
	case COTP_CR:
	case COTP_CC:
	case COTP_DR:
		return li >= CR_LI && li <= LI_MAX;
	case COTP_DC:
		return li >= 5;
	case COTP_ER:
	case COTP_RJ:
	case COTP_AK:
	case COTP_EA:
	case COTP_ED:
		return li >= 4;
	default:
		return false;
	}
}

/* RFC 1006 6. */
int
cotp_frame(struct cursor in)
{
	size_t left = cursor_left(&in);
	uint8_t version = cursor_u8(&in), reserved = cursor_u8(&in);
	uint16_t len = cursor_be16(&in);
	uint8_t li = cursor_u8(&in), code = cursor_u8(&in);

	if (left == 0)
		return 0;
	if (left >= 1 && (version != TPKT_VERSION || reserved != 0))
		return -EBADMSG;
	if (left < COTP_PREFIX_LEN)
		return 0;
	if (!plausible(li, code) || len < TPKT_HEADER_LEN + 1 + li)
		return -EBADMSG;
	return len;
}

/* X.224 13.3.4: a number of up to four octets, of 128 octets each. 0: it is none. */
static uint32_t
preferred_size(struct cursor value)
{
	uint64_t units = 0;

	if (cursor_left(&value) > sizeof(uint32_t))
		return 0;
	while (cursor_left(&value) > 0)
		units = units << 8 | cursor_u8(&value);
	return units <= PREFERRED_SIZE_MAX ? (uint32_t)units * PREFERRED_SIZE_UNIT : 0;
}

static struct cotp_tsap
tsap_of(struct cursor value)
{
	struct cotp_tsap tsap = { .len = (uint8_t)cursor_left(&value) };

	tsap.data = cursor_take(&value, tsap.len);
	return tsap;
}

/* The variable part, X.224 13.2.3. */
static void
read_parameters(struct cursor header, struct cotp_tpdu *out)
{
	uint32_t preferred = 0;

	for (unsigned int i = 0; i < PARAMETERS_MAX && cursor_left(&header) > 0; i++) {
		uint8_t code = cursor_u8(&header);
		uint8_t len = cursor_u8(&header);
		struct cursor value = cursor_sub(&header, len);
		uint8_t exponent;

		if (header.short_read) {
			out->invalid = true;
			break;
		}
		switch (code) {
		case PARAMETER_TPDU_SIZE:
			exponent = cursor_u8(&value);
			if (exponent >= TPDU_SIZE_EXPONENT_MIN && exponent <= TPDU_SIZE_EXPONENT_MAX)
				out->tpdu_len_max = UINT32_C(1) << exponent;
			break;
		case PARAMETER_PREFERRED_SIZE:
			preferred = preferred_size(value);
			break;
		case PARAMETER_CALLING:
			out->calling = tsap_of(value);
			break;
		case PARAMETER_CALLED:
			out->called = tsap_of(value);
			break;
		default:
			break;
		}
	}
	/* Who knows it goes by it, whatever the power of two beside it says. */
	if (preferred != 0)
		out->tpdu_len_max = preferred;
}

bool
cotp_parse(struct cursor tpkt, struct cotp_tpdu *out)
{
	struct cursor header;
	uint8_t li, octet;

	memset(out, 0, sizeof(*out));
	cursor_skip(&tpkt, TPKT_HEADER_LEN);
	li = cursor_u8(&tpkt);
	header = cursor_sub(&tpkt, li);
	octet = cursor_u8(&header);
	if (header.short_read)
		return false;
	out->code = octet >> 4;
	out->data = tpkt;
	if (out->code == COTP_DT) {
		cursor_skip(&header, li > 2 ? 2u : 0u); /* class 2 and above name the connection first */
		out->end_of_message = (cursor_u8(&header) & END_OF_MESSAGE) != 0;
		out->invalid = header.short_read;
		return true;
	}
	out->dst_ref = cursor_be16(&header);
	switch ((enum cotp_code)out->code) {
	case COTP_CR:
	case COTP_CC:
		out->src_ref = cursor_be16(&header);
		out->class_option = cursor_u8(&header);
		read_parameters(header, out);
		break;
	case COTP_DR:
		out->src_ref = cursor_be16(&header);
		out->reason = cursor_u8(&header);
		break;
	case COTP_DC:
		out->src_ref = cursor_be16(&header);
		break;
	case COTP_ER:
		out->reason = cursor_u8(&header);
		break;
	case COTP_ED:
		out->end_of_message = true;
		break;
	default:
		break;
	}
	out->invalid = out->invalid || header.short_read;
	return true;
}

enum cotp_begin
cotp_begin(struct cursor in, struct cotp_tpdu *connect, struct cursor *data)
{
	connect->code = 0;
	for (unsigned int i = 0; i < BEGIN_TPDUS_MAX && cursor_left(&in) > 0; i++) {
		int len = cotp_frame(in);
		size_t left = cursor_left(&in);
		struct cotp_tpdu tpdu;
		struct cursor tpkt;

		if (len < 0)
			return COTP_BEGIN_NO;
		if (len == 0)
			break;
		tpkt = cursor_sub(&in, (size_t)len < left ? (size_t)len : left);
		if (!cotp_parse(tpkt, &tpdu))
			break;
		if (tpdu.code == COTP_CR || tpdu.code == COTP_CC)
			*connect = tpdu;
		if (tpdu.code != COTP_DT || cursor_left(&tpdu.data) == 0)
			continue;
		*data = tpdu.data;
		return COTP_BEGIN_DATA;
	}
	return connect->code != 0 ? COTP_BEGIN_CONNECT : COTP_BEGIN_MORE;
}

void
cotp_message_clear(struct cotp_message *message, struct slab *slab)
{
	if (message->bytes != NULL)
		slab_free(slab, message->bytes, message->cap);
	*message = (struct cotp_message){ .dropping = false };
}

static bool
append(struct cotp_message *message, struct slab *slab, uint32_t len_max, struct cursor data)
{
	uint32_t len = (uint32_t)cursor_left(&data), want = message->len + len;
	const uint8_t *bytes = cursor_take(&data, len);

	if (want > len_max)
		return false;
	if (want > message->cap) {
		uint32_t cap = message->cap == 0 ? FIRST_CAP : message->cap;
		uint8_t *grown;

		while (cap < want)
			cap *= 2;
		grown = slab == NULL ? NULL : slab_alloc(slab, cap);
		if (grown == NULL)
			return false;
		if (message->len > 0)
			memcpy(grown, message->bytes, message->len);
		if (message->bytes != NULL)
			slab_free(slab, message->bytes, message->cap);
		message->bytes = grown;
		message->cap = cap;
	}
	if (len > 0)
		memcpy(message->bytes + message->len, bytes, len);
	message->len = want;
	return true;
}

enum cotp_collect
cotp_collect(struct cotp_message *message, struct slab *slab, uint32_t len_max, const struct cotp_tpdu *tpdu,
	struct cursor *whole)
{
	if (message->dropping) {
		message->dropping = !tpdu->end_of_message;
		return COTP_COLLECT_MORE;
	}
	if (message->len == 0 && tpdu->end_of_message) {
		*whole = tpdu->data;
		return COTP_COLLECT_WHOLE;
	}
	/* libnodave answers each message with a TPDU that is empty and ends nothing. */
	if (cursor_left(&tpdu->data) == 0 && !tpdu->end_of_message)
		return COTP_COLLECT_MORE;
	if (!append(message, slab, len_max, tpdu->data)) {
		cotp_message_clear(message, slab);
		message->dropping = !tpdu->end_of_message;
		return COTP_COLLECT_DROPPED;
	}
	if (!tpdu->end_of_message)
		return COTP_COLLECT_MORE;
	*whole = cursor_of(message->bytes, message->len);
	return COTP_COLLECT_WHOLE;
}

static const struct field_name pdu_rows[] = {
	{ COTP_ED, "ED Expedited Data" },
	{ COTP_EA, "EA Expedited Data Acknowledgement" },
	{ COTP_RJ, "RJ Reject" },
	{ COTP_AK, "AK Data Acknowledgement" },
	{ COTP_ER, "ER TPDU Error" },
	{ COTP_DR, "DR Disconnect Request" },
	{ COTP_DC, "DC Disconnect Confirm" },
	{ COTP_CC, "CC Connection Confirm" },
	{ COTP_CR, "CR Connection Request" },
	{ COTP_DT, "DT Data" },
};
const struct field_names cotp_pdu_names = FIELD_NAMES(pdu_rows, "unknown");

/* X.224 13.5.3, those of DR; 13.12.3, those of ER. */
static const struct field_name reason_rows[] = {
	{ 0, "not specified" },
	{ 1, "congestion" },
	{ 2, "session entity not attached" },
	{ 3, "address unknown" },
	{ 128, "normal disconnect" },
	{ 129, "remote congestion" },
	{ 130, "negotiation failed" },
	{ 131, "duplicate source reference" },
	{ 132, "mismatched references" },
	{ 133, "protocol error" },
	{ 135, "reference overflow" },
	{ 136, "request refused on this network connection" },
	{ 138, "invalid header length" },
	{ COTP_REJECT + 0, "not specified" },
	{ COTP_REJECT + 1, "invalid parameter code" },
	{ COTP_REJECT + 2, "invalid TPDU type" },
	{ COTP_REJECT + 3, "invalid parameter value" },
};
const struct field_names cotp_reason_names = FIELD_NAMES(reason_rows, "unknown");

static void
put_tsap(struct record_builder *b, struct record_head *head, uint8_t bit, struct record_ref *ref, struct cotp_tsap tsap)
{
	if (tsap.data == NULL)
		return;
	record_put_bytes(b, ref, tsap.data, tsap.len < COTP_TSAP_LEN_MAX ? tsap.len : COTP_TSAP_LEN_MAX);
	record_present(head, bit);
}

void
cotp_record(struct record_builder *b, struct record_head *head, uint8_t bit, struct cotp_info *info,
	const struct cotp_tpdu *tpdu)
{
	info->pdu_code = tpdu->code;
	info->dst_ref = tpdu->dst_ref;
	info->src_ref = tpdu->src_ref;
	info->reason = tpdu->reason;
	info->reason_id = (uint16_t)(tpdu->reason + (tpdu->code == COTP_ER ? COTP_REJECT : 0));
	info->class_option = tpdu->class_option;
	info->tpdu_len_max = tpdu->tpdu_len_max;
	record_present(head, (uint8_t)(bit + COTP_HAS_CODE));
	if (tpdu->code != COTP_DT)
		record_present(head, (uint8_t)(bit + COTP_HAS_DST_REF));
	if (tpdu->code == COTP_CR || tpdu->code == COTP_CC || tpdu->code == COTP_DR || tpdu->code == COTP_DC)
		record_present(head, (uint8_t)(bit + COTP_HAS_SRC_REF));
	if (tpdu->code == COTP_CR || tpdu->code == COTP_CC)
		record_present(head, (uint8_t)(bit + COTP_HAS_CLASS));
	if (tpdu->code == COTP_DR || tpdu->code == COTP_ER)
		record_present(head, (uint8_t)(bit + COTP_HAS_REASON));
	if (tpdu->tpdu_len_max != 0)
		record_present(head, (uint8_t)(bit + COTP_HAS_TPDU_LEN));
	put_tsap(b, head, (uint8_t)(bit + COTP_HAS_CALLING), &info->calling_tsap, tpdu->calling);
	put_tsap(b, head, (uint8_t)(bit + COTP_HAS_CALLED), &info->called_tsap, tpdu->called);
}
