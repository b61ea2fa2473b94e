/*
 * TPKT and the connection-oriented transport protocol of class 0, below S7comm, S7comm-plus and
 * MMS: TPDUs out of a TCP stream, whole messages out of TPDUs, the record of a connection.
 *
 * Thread: the owner of the flow. Memory comes from the flow's slab only.
 * Source: RFC 1006 (TPKT), RFC 2126, ITU-T X.224 (COTP).
 */
#ifndef MR_PROTO_COTP_H
#define MR_PROTO_COTP_H

#include "lib/base/cursor.h"
#include "lib/base/slab.h"
#include "lib/record/record.h"

enum {
	TPKT_HEADER_LEN = 4,
	TPKT_VERSION = 3,
	COTP_PREFIX_LEN = 6,           /* TPKT header, length indicator, code: what cotp_frame() asks for */
	COTP_MESSAGE_LEN_MAX = 65536,  /* put together from TPDUs */
	COTP_TSAP_LEN_MAX = 32,
	COTP_REJECT = 0x100,           /* causes of ER are other ones than the reasons of DR */
};

/* X.224 13: the high half of the code octet. */
enum cotp_code {
	COTP_ED = 0x1,
	COTP_EA = 0x2,
	COTP_RJ = 0x5,
	COTP_AK = 0x6,
	COTP_ER = 0x7,
	COTP_DR = 0x8,
	COTP_DC = 0xc,
	COTP_CC = 0xd,
	COTP_CR = 0xe,
	COTP_DT = 0xf,
};

/** A transport selector, lent from the TPDU's bytes. data is NULL when the TPDU has none. */
struct cotp_tsap {
	const uint8_t *data;
	uint8_t len;
};

/** One TPDU. What its code does not have is zero. */
struct cotp_tpdu {
	uint8_t code;           /* enum cotp_code, or what stands in its place */
	uint8_t class_option;
	uint8_t reason;         /* DR, ER, RJ */
	bool end_of_message;    /* DT, ED */
	bool invalid;           /* a parameter or the header runs past its length */
	uint16_t dst_ref;
	uint16_t src_ref;
	uint32_t tpdu_len_max;  /* CR, CC: bytes; 0: not said */
	struct cotp_tsap calling;
	struct cotp_tsap called;
	struct cursor data;     /* user data */
};

/**
 * One TPKT at the start of in.
 * @return its length in bytes, 0: need more, -EBADMSG: none here
 */
int cotp_frame(struct cursor in);

/**
 * Reads a whole TPKT as cotp_frame() delimited it.
 * @return false: no TPDU in it
 */
bool cotp_parse(struct cursor tpkt, struct cotp_tpdu *out);

enum cotp_begin {
	COTP_BEGIN_NO,      /* not TPKT */
	COTP_BEGIN_MORE,    /* too few bytes to say */
	COTP_BEGIN_CONNECT, /* a connection is asked for or confirmed; what it carries is still to come */
	COTP_BEGIN_DATA,    /* the first user data is there, as far as its bytes are */
};

/**
 * What the bytes from the start of one direction begin with: for the probes of the protocols above.
 * @param connect  out: the CR or CC; its code is 0 when none was there
 * @param data     out, with COTP_BEGIN_DATA: user data of the first TPDU that has some
 */
enum cotp_begin cotp_begin(struct cursor in, struct cotp_tpdu *connect, struct cursor *data);

/** A message of one direction, while its TPDUs come in. Zeroed at the start. */
struct cotp_message {
	uint8_t *bytes;
	uint32_t len;
	uint32_t cap;
	bool dropping; /* until the end of the message */
};

enum cotp_collect {
	COTP_COLLECT_MORE,  /* the message goes on */
	COTP_COLLECT_WHOLE, /* *whole is the message, valid until cotp_message_clear() or the TPDU's bytes go */
	COTP_COLLECT_DROPPED, /* too long, or no memory: said once a message */
};

/** Adds a data TPDU. A message of a single TPDU is lent from it, not copied. */
enum cotp_collect cotp_collect(struct cotp_message *message, struct slab *slab, uint32_t len_max,
	const struct cotp_tpdu *tpdu, struct cursor *whole);
/** Gives the memory back; the next TPDU begins a message. */
void cotp_message_clear(struct cotp_message *message, struct slab *slab);

/* ---- the record of a TPDU that carries no message ---- */

/** Part of a protocol's own record. */
struct cotp_info {
	uint8_t pdu_code;
	uint8_t reason;
	uint8_t class_option;
	uint16_t dst_ref;
	uint16_t src_ref;
	uint16_t reason_id; /* the reason, COTP_REJECT added where it is an ER's */
	uint32_t tpdu_len_max;
	struct record_ref calling_tsap;
	struct record_ref called_tsap;
};

/* Presence bits, from the first that the protocol gives. */
enum cotp_bit {
	COTP_HAS_CODE,
	COTP_HAS_DST_REF,
	COTP_HAS_SRC_REF,
	COTP_HAS_CLASS,
	COTP_HAS_REASON,
	COTP_HAS_TPDU_LEN,
	COTP_HAS_CALLING,
	COTP_HAS_CALLED,
	COTP_BIT_COUNT,
};

extern const struct field_names cotp_pdu_names;
extern const struct field_names cotp_reason_names;

/** Fills the record's part. @param head the record's, bit the first of its COTP_BIT_COUNT presence bits. */
void cotp_record(struct record_builder *b, struct record_head *head, uint8_t bit, struct cotp_info *info,
	const struct cotp_tpdu *tpdu);

#define COTP_ROW_(path, type, root, member, bit, names, help) \
	{ "cotp." path, type, bit, 0, offsetof(struct root, member), names, NULL, "X.224 13", help }
/** The rows of the part `member` of struct root, for its field table. */
#define COTP_FIELD_ROWS(root, member, bit) \
	COTP_ROW_("pdu_code", FIELD_U8, root, member.pdu_code, (bit) + COTP_HAS_CODE, NULL, "code of the TPDU, its high half"), \
	COTP_ROW_("pdu_name", FIELD_U8, root, member.pdu_code, (bit) + COTP_HAS_CODE, &cotp_pdu_names, "its name"), \
	COTP_ROW_("dst_ref", FIELD_U16, root, member.dst_ref, (bit) + COTP_HAS_DST_REF, NULL, "reference of the receiver"), \
	COTP_ROW_("src_ref", FIELD_U16, root, member.src_ref, (bit) + COTP_HAS_SRC_REF, NULL, "reference of the sender"), \
	COTP_ROW_("class_option", FIELD_U8, root, member.class_option, (bit) + COTP_HAS_CLASS, NULL, \
		"class of the protocol in the high half, options"), \
	COTP_ROW_("reason", FIELD_U8, root, member.reason, (bit) + COTP_HAS_REASON, NULL, "why it was refused or ended"), \
	COTP_ROW_("reason_name", FIELD_U16, root, member.reason_id, (bit) + COTP_HAS_REASON, &cotp_reason_names, "its name"), \
	COTP_ROW_("tpdu_size", FIELD_U32, root, member.tpdu_len_max, (bit) + COTP_HAS_TPDU_LEN, NULL, \
		"longest TPDU proposed or agreed, bytes"), \
	COTP_ROW_("calling_tsap", FIELD_HEX, root, member.calling_tsap, (bit) + COTP_HAS_CALLING, NULL, \
		"transport selector of the caller"), \
	COTP_ROW_("calling_tsap_text", FIELD_STRING, root, member.calling_tsap, (bit) + COTP_HAS_CALLING, NULL, \
		"the same as text"), \
	COTP_ROW_("called_tsap", FIELD_HEX, root, member.called_tsap, (bit) + COTP_HAS_CALLED, NULL, \
		"transport selector of the called"), \
	COTP_ROW_("called_tsap_text", FIELD_STRING, root, member.called_tsap, (bit) + COTP_HAS_CALLED, NULL, \
		"the same as text")

#endif
