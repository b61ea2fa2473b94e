/*
 * SMTP and the mail in it: the record of one mail transaction, the state of one flow, and what the files of this folder
 * share. Nothing outside the folder includes this.
 *
 * A line of either end is a PDU; the message behind DATA and BDAT comes as raw bytes. What is kept of a transaction lies in
 * a struct smtp_mail in the flow's slab memory: the rules see it once, whole, when the message ends; it is written when the
 * server has answered.
 *
 * Source: RFC 5321 (SMTP), RFC 2920 (pipelining), RFC 3030 (BDAT), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 5322 (message),
 * RFC 2045, 2046, 2183, 2231 (MIME).
 */
#ifndef MR_PROTO_SMTP_H
#define MR_PROTO_SMTP_H

#define OPENSSL_SUPPRESS_DEPRECATED /* sums without allocation, as rules name them */
#include <openssl/md5.h>

#include "proto/proto.h"

enum {
	SMTP_LINE_LEN_MAX = 4096,  /* of a longer line only the front is read */
	SMTP_TEXT_LEN_MAX = 1024,  /* bytes of a line that a record keeps */
	SMTP_VERB_LEN_MAX = 12,
	SMTP_HELO_LEN_MAX = 255,
	SMTP_AUTH_LEN_MAX = 20,    /* RFC 4422 3.1: a mechanism's name */
	SMTP_OPEN_MAX = 128,       /* commands of a flow that wait for their reply */
	SMTP_RCPTS_MAX = 64,       /* of a mail, and addresses of a header field */
	SMTP_PARTS_MAX = 32,
	SMTP_RECEIVED_MAX = 8,
	SMTP_LINKS_MAX = 32,       /* of a mail */
	SMTP_DEPTH_MAX = 8,        /* multiparts in one another */
	SMTP_BOUNDARY_LEN_MAX = 70, /* RFC 2046 5.1.1 */
	SMTP_NAME_LEN_MAX = 255,   /* of a file */
	SMTP_PIECE_LEN = 1024,     /* a longer line of a message is read in pieces of so many bytes */
	SMTP_FIELD_LEN_MAX = 2048, /* a header field without its line ends */
	SMTP_ROOM_MAX = 48 * 1024, /* text of a mail that is kept, with its parts */
	SMTP_BODY_LIMIT_MAX = 32 * 1024,
};

/* Header fields that are kept. */
enum smtp_header {
	SMTP_FROM,
	SMTP_TO,
	SMTP_CC,
	SMTP_SUBJECT,
	SMTP_DATE,
	SMTP_MESSAGE_ID,
	SMTP_X_MAILER,
	SMTP_HEADERS,
};

/* Bits of smtp_record.head.present; a header's is its number behind SMTP_HAS_HEADER. */
enum smtp_bit {
	SMTP_HAS_HELO,
	SMTP_HAS_MAIL_FROM,
	SMTP_HAS_RCPT_TO,
	SMTP_HAS_AUTH,
	SMTP_HAS_STARTTLS,
	SMTP_HAS_REPLY_CODE,
	SMTP_HAS_SIZE,
	SMTP_HAS_RESPONSE_TIME,
	SMTP_HAS_EMAIL,
	SMTP_HAS_RECEIVED,
	SMTP_HAS_ATTACHMENT,
	SMTP_HAS_FILES,
	SMTP_HAS_COMMAND,
	SMTP_HAS_ARGUMENT,
	SMTP_HAS_REPLY,
	SMTP_HAS_CODE,
	SMTP_HAS_LINKS,
	SMTP_HAS_BODY_MD5,
	SMTP_HAS_SUBJECT_MD5,
	SMTP_HAS_HEADER,
	SMTP_BIT_COUNT = SMTP_HAS_HEADER + SMTP_HEADERS,
};

/** A transaction as rules see it and as it is written, or the line at hand as rules see it. */
struct smtp_record {
	struct record_head head;
	struct record_ref helo, mail_from, auth;
	struct record_list rcpt_to;
	uint64_t size;              /* of the message */
	uint32_t response_time_us;  /* from the message's end to its answer */
	uint16_t reply_code;        /* that answer */
	bool starttls;              /* TLS follows */
	uint8_t status;             /* enum smtp_status */
	struct record_ref headers[SMTP_HEADERS]; /* to and cc: as they are, in one */
	struct record_list to, cc, received, attachments, files, links;
	struct record_ref body_md5, subject_md5; /* hex */
	struct record_ref command, argument, reply;
	uint16_t code;
};

/** An address, a name. */
struct smtp_text {
	struct record_head head;
	struct record_ref text;
};

/** A part of a message, decoded. */
struct smtp_file {
	struct record_head head;
	struct record_ref name, data;
};

extern const struct record_table smtp_table;
extern const struct record_table *const smtp_text_tables[];
extern const struct record_table *const smtp_file_tables[];
extern const struct rule_app_event smtp_events[];
extern const struct rule_app_buffer smtp_buffers[];
extern const struct counter_desc smtp_counters[];
extern const struct knob_table smtp_knobs;

enum { SMTP_BUFFER_COUNT = 16 };

/* Index into smtp_events[]. Suricata's names where it has them. */
enum smtp_event {
	SMTP_EVENT_INVALID_REPLY,
	SMTP_EVENT_UNABLE_TO_MATCH_REPLY_WITH_REQUEST,
	SMTP_EVENT_MAX_COMMAND_LINE_LEN_EXCEEDED,
	SMTP_EVENT_MAX_REPLY_LINE_LEN_EXCEEDED,
	SMTP_EVENT_INVALID_PIPELINED_SEQUENCE,
	SMTP_EVENT_NO_SERVER_WELCOME_MESSAGE,
	SMTP_EVENT_TLS_REJECTED,
	SMTP_EVENT_DATA_COMMAND_REJECTED,
	SMTP_EVENT_INVALID_BDAT,
	SMTP_EVENT_DUPLICATE_FIELDS,
	SMTP_EVENT_MIME_MALFORMED_MSG,
	SMTP_EVENT_MIME_INVALID_BASE64,
	SMTP_EVENT_MIME_INVALID_QP,
	SMTP_EVENT_MIME_LONG_LINE,
	SMTP_EVENT_MIME_LONG_ENC_LINE,
	SMTP_EVENT_MIME_LONG_HEADER_NAME,
	SMTP_EVENT_MIME_LONG_HEADER_VALUE,
	SMTP_EVENT_MIME_LONG_BOUNDARY,
	SMTP_EVENT_MIME_LONG_FILENAME,
	SMTP_EVENT_MIME_TOO_DEEP,
	SMTP_EVENT_INVALID_COMMAND,
	SMTP_EVENT_AMBIGUOUS_DATA_END,
	SMTP_EVENT_TOO_MANY_COMMANDS,
	SMTP_EVENT_TOO_MANY_RECIPIENTS,
	SMTP_EVENT_COUNT,
};

enum smtp_counter {
	SMTP_COUNT_COMMANDS,
	SMTP_COUNT_REPLIES,
	SMTP_COUNT_MESSAGES,
	SMTP_COUNT_UNANSWERED,
	SMTP_COUNT_ENCRYPTED,
	SMTP_COUNT_LINES_CUT,
	SMTP_COUNT_RECIPIENTS_CUT,
	SMTP_COUNT_PARTS_CUT,
	SMTP_COUNT_BODIES_CUT,
	SMTP_COUNT_SHED,
	SMTP_COUNTER_COUNT,
};

struct smtp_config {
	uint64_t body_limit; /* bytes of a part that rules see */
	unsigned int body_md5; /* enum smtp_body_md5 */
	bool subject_md5;
};

enum smtp_body_md5 { SMTP_BODY_MD5_READ, SMTP_BODY_MD5_ALL, SMTP_BODY_MD5_NONE };

/* ---- a mail in memory (smtp_mail.c) ---- */

/* What became of its message. */
enum smtp_status { SMTP_NO_MESSAGE, SMTP_HEADERS_BEGUN, SMTP_BODY_BEGUN, SMTP_DONE, SMTP_GAPPED };

enum smtp_encoding { SMTP_PLAIN, SMTP_BASE64, SMTP_QUOTED };

/* Where the reader of the message is. */
enum smtp_phase {
	SMTP_IN_HEADER,
	SMTP_IN_BODY,
	SMTP_BETWEEN, /* before the first part of a multipart, or behind its last */
};

/** The reader of a message: line by line, whatever pieces they come in. */
struct smtp_mime {
	uint8_t phase;         /* enum smtp_phase */
	uint8_t depth;         /* multiparts that are open */
	bool in_line;          /* the piece at hand does not begin a line */
	bool is_nested;        /* the header at hand is not the mail's own */
	bool field_cut;
	bool told_long_line, told_long_encoded; /* each once */
	/* of the entity whose header is read, or whose body */
	uint8_t encoding;      /* enum smtp_encoding */
	bool is_multipart, is_digest, is_message;
	bool has_part;         /* the last of the mail's parts is being filled */
	uint8_t eol_len;       /* a line end that belongs to the body unless a boundary follows */
	uint8_t held;          /* base64: characters of the group; quoted-printable: 1 behind =, 2 behind =X */
	uint32_t group;        /* base64: their bits; quoted-printable: the first digit */
	uint16_t name_len, boundary_len;
	uint16_t line_len, field_len;
	struct smtp_boundary {
		uint8_t len;
		bool is_digest;
		uint8_t text[SMTP_BOUNDARY_LEN_MAX];
	} boundaries[SMTP_DEPTH_MAX];
	uint8_t boundary[SMTP_BOUNDARY_LEN_MAX];
	uint8_t name[SMTP_NAME_LEN_MAX];
	uint8_t line[SMTP_PIECE_LEN];
	uint8_t field[SMTP_FIELD_LEN_MAX];
};

struct smtp_part {
	struct record_ref name, data;
};

/** Places in a mail's text, as record_ref: 0 and 0 is nothing. */
struct smtp_mail {
	uint32_t id;           /* its tx_id */
	uint64_t since_ns;     /* its message ended */
	uint64_t size;
	uint64_t events;       /* of its message, told when that is whole: each once, however its bytes came */
	uint16_t rcpt_count, part_count, received_count, link_count;
	uint8_t status;        /* enum smtp_status */
	bool matched, rcpts_cut;
	bool file_is_part;     /* the file below is the last of parts */
	struct record_ref mail_from;
	struct record_ref rcpts[SMTP_RCPTS_MAX];
	struct record_ref headers[SMTP_HEADERS];
	struct record_ref received[SMTP_RECEIVED_MAX];
	struct smtp_part parts[SMTP_PARTS_MAX];
	struct record_ref links[SMTP_LINKS_MAX]; /* in the parts, without their schemes */
	MD5_CTX body_sum;      /* of the message behind its header, where has_sum */
	bool has_sum;
	bool is_dotted;        /* the line at hand came with a dot before it: the sum is of what was sent */
	uint8_t *text;         /* a block of its own, grows */
	uint32_t text_len, text_cap;
	struct file *file;     /* the part that is being read, where it is a file and somebody wants to know of it */
	struct file *only;     /* the one before, where the mail had no other: an alert on the whole mail tells it */
	bool has_file;         /* some file began */
	struct smtp_mime mime;
};

/** NULL: no memory, which is counted. */
struct smtp_mail *smtp_mail_create(struct proto_ctx *ctx, uint32_t id);
/** NULL is accepted. */
void smtp_mail_destroy(struct proto_ctx *ctx, struct smtp_mail *mail);
/** Keeps bytes. *place is made, or grows where they follow what it has. @return how many were kept */
uint32_t smtp_mail_put(struct proto_ctx *ctx, struct smtp_mail *mail, struct record_ref *place, struct cursor bytes);
/** Lets the rules see the transaction, once. mail may be NULL: there is only what the flow said. Uses ctx->record. */
void smtp_mail_match(struct proto_ctx *ctx, struct smtp_mail *mail);
/** Writes it and frees it, with the answer's code, 0: none. Leaves ctx->events as they are. Uses ctx->record. */
void smtp_mail_emit(struct proto_ctx *ctx, struct smtp_mail *mail, uint16_t reply_code);

/** The part at hand has a name: it is a file. */
void smtp_mail_begin_file(struct proto_ctx *ctx, struct smtp_mail *mail);
/** Its end: all are told of it. Uses ctx->record. @param whole  nothing is missing at its end */
void smtp_mail_end_file(struct proto_ctx *ctx, struct smtp_mail *mail, bool whole);

/* ---- its message (smtp_mime.c, smtp_header.c) ---- */

/** Bytes of the message as they come. */
void smtp_mime_feed(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor in);
/** The line at hand was not the message's: its end. */
void smtp_mime_drop_line(struct smtp_mail *mail);
void smtp_mime_end(struct proto_ctx *ctx, struct smtp_mail *mail);
/** What in the parts that are shown, not saved, is a link (smtp_link.c). */
void smtp_find_links(struct smtp_mail *mail);
/** Bytes were lost: the line at hand is not whole. */
void smtp_mime_gap(struct proto_ctx *ctx, struct smtp_mail *mail);
/** The header field that mime has whole: what it says of the mail and of the entity. */
/** Encoded words in a text become what they stand for, in place (RFC 2047). @return its bytes then */
uint32_t smtp_words_decode(uint8_t *text, uint32_t len);
void smtp_header_read(struct proto_ctx *ctx, struct smtp_mail *mail);
/** The next address of a list with commas between. @return false: no more */
bool smtp_header_next_address(struct cursor *list, struct cursor *address);
/** A line of a body, or a piece of one, decoded into the part (smtp_decode.c). @param line  with its end, where it has one */
void smtp_decode(struct proto_ctx *ctx, struct smtp_mail *mail, struct cursor line);
/** The body's end: what the decoder still held. @param by_boundary  the last line end is the boundary's */
void smtp_decode_end(struct proto_ctx *ctx, struct smtp_mail *mail, bool by_boundary);

/* ---- the flow ---- */

enum smtp_content { SMTP_NO_CONTENT, SMTP_DATA, SMTP_BDAT };

struct smtp_state {
	struct smtp_mail *mail; /* in the making; NULL: none */
	struct smtp_mail *sent; /* waits for its answer */
	uint64_t bdat_left;
	uint32_t tx_id;         /* of the transaction in the making */
	uint32_t line_len;      /* DATA: of the line at hand */
	uint32_t beyond;        /* commands behind those in open[]: of no known kind */
	uint16_t multi_code;    /* of the reply whose lines go on; 0: none */
	uint16_t data_code;     /* answer to the DATA at hand; 0: not here */
	uint16_t helo_len;
	uint8_t auth_len;
	uint8_t content;        /* enum smtp_content: what raw bytes are */
	uint8_t open_first, open_count;
	uint8_t open[SMTP_OPEN_MAX]; /* enum smtp_kind of commands without a reply, a ring */
	uint8_t line_begin[2];  /* DATA: its first bytes */
	bool data_begun;        /* DATA: bytes of the message came */
	bool line_after_crlf;   /* DATA: the line before ended with both */
	bool line_cr;           /* DATA: the last byte was CR */
	bool bdat_last;
	bool cutting[2];        /* by to_server: the rest of a line that was too long follows */
	bool greeted, spoken;   /* the server's first reply, the client's first command were seen */
	bool lost;              /* bytes were lost: replies may fit no command */
	bool flooded;           /* each is said once */
	bool auth_open;         /* AUTH has no final reply */
	bool auth_asked;        /* the server waits for a line of AUTH */
	bool starttls;          /* the server agreed */
	bool wrote;             /* an event has what the flow said of itself */
	char helo[SMTP_HELO_LEN_MAX];
	char auth[SMTP_AUTH_LEN_MAX];
};

/* What a reply must be told to answer. */
enum smtp_kind { SMTP_KIND_OTHER, SMTP_KIND_HELO, SMTP_KIND_DATA, SMTP_KIND_MESSAGE, SMTP_KIND_STARTTLS, SMTP_KIND_AUTH };

enum smtp_code {
	SMTP_CODE_READY = 220,
	SMTP_CODE_CLOSING = 421,
	SMTP_CODE_NO_SERVICE = 554, /* RFC 5321 3.1: a greeting too */
	SMTP_CODE_AUTH_GOES_ON = 334,
	SMTP_CODE_SEND_DATA = 354,
	SMTP_CODE_REFUSED = 400, /* and above */
};

/** The number of the transaction in the making. */
static inline uint32_t
smtp_tx_at_hand(const struct smtp_state *state)
{
	return state->tx_id + 1;
}

/** As much of a line as a record keeps. */
static inline void
smtp_put_text(struct proto_ctx *ctx, struct record_ref *ref, struct cursor text)
{
	size_t len = cursor_left(&text);

	record_put_bytes(ctx->record, ref, text.pos, (uint32_t)(len < SMTP_TEXT_LEN_MAX ? len : SMTP_TEXT_LEN_MAX));
}

/** The mail in the making, begun where there was none (smtp_flow.c). NULL: no memory */
struct smtp_mail *smtp_mail_at_hand(struct proto_ctx *ctx);
/** The message is whole: the rules see the transaction, and it waits for the server's answer. */
void smtp_send_mail(struct proto_ctx *ctx);
/** Writes the one that waits, if any, with the answer's code, 0: none. */
void smtp_emit_sent(struct proto_ctx *ctx, uint16_t code);
/** A transaction that ends without its message. */
void smtp_give_up_mail(struct proto_ctx *ctx);
/** A command waits for its reply. */
void smtp_open_push(struct proto_ctx *ctx, enum smtp_kind kind);
/** The one that a reply answers. @return false: none waits */
bool smtp_open_pop(struct smtp_state *state, enum smtp_kind *kind);
bool smtp_open_has(const struct smtp_state *state, enum smtp_kind kind);
/** A line of the client (smtp_command.c). */
void smtp_parse_command(struct proto_ctx *ctx, struct cursor line);
/** As struct proto's raw: the message (smtp_data.c). */
uint32_t smtp_raw(struct proto_ctx *ctx, struct cursor in);

static_assert(SMTP_OPEN_MAX <= UINT8_MAX, "places and counts of the ring are octets");

#endif
