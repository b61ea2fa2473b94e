/*
 * The control connection of FTP: the record of one command with its replies, the state of one flow, and what the files
 * of this folder share. Nothing outside the folder includes this.
 *
 * Source: RFC 959 (FTP), RFC 2428 (EPRT, EPSV), RFC 2228 and 4217 (AUTH), RFC 3659 (MLSD and others).
 */
#ifndef MR_PROTO_FTP_H
#define MR_PROTO_FTP_H

#include "proto/ftp/ftp_expect.h"
#include "proto/pair.h"
#include "proto/proto.h"

enum {
	FTP_LINE_LEN_MAX = 4096,  /* of a longer line only the front is read */
	FTP_TEXT_LEN_MAX = 1024,  /* bytes of a reply line that a record keeps */
	FTP_COMMAND_LEN_MAX = 16,
	FTP_REPLIES_MAX = 128,    /* lines of replies that a record keeps */
	FTP_OPEN_MAX = 64,        /* commands of a flow that wait */
};

enum ftp_mode { FTP_ACTIVE, FTP_PASSIVE };

/* Bits of ftp_record.head.present. */
enum ftp_bit {
	FTP_HAS_COMMAND,
	FTP_HAS_COMMAND_DATA,
	FTP_HAS_REPLY,
	FTP_HAS_CODE,
	FTP_HAS_PORT,
	FTP_HAS_RESPONSE_TIME,
};

/** A command with its replies as it is written, or the line at hand as the rules see it. */
struct ftp_record {
	struct record_head head;
	struct record_ref command; /* in capitals; empty: the server spoke unasked */
	struct record_ref command_data;
	struct record_ref command_secret; /* command_data as rules see it, a password, too */
	struct record_list replies; /* lines without their code */
	struct record_list codes;
	uint32_t response_time_us;
	uint16_t dynamic_port;
	uint8_t mode;
	bool replied;
	bool bounce; /* PORT or EPRT with an address that is not the client's */
	bool command_truncated, reply_truncated;
};

struct ftp_text {
	struct record_head head;
	struct record_ref text;
};

extern const struct record_table ftp_table;
extern const struct record_table *const ftp_text_tables[];
extern const struct rule_app_event ftp_events[];
extern const struct rule_app_keyword ftp_keywords[];
extern const struct rule_app_buffer ftp_buffers[];
extern const struct counter_desc ftp_counters[];
extern const struct knob_table ftp_knobs;

enum { FTP_BUFFER_COUNT = 3, FTP_KEYWORD_COUNT = 1 };

/* Index into ftp_events[]. The first two are Suricata's. */
enum ftp_event {
	FTP_EVENT_REQUEST_COMMAND_TOO_LONG,
	FTP_EVENT_RESPONSE_COMMAND_TOO_LONG,
	FTP_EVENT_MALFORMED_COMMAND,
	FTP_EVENT_MALFORMED_REPLY,
	FTP_EVENT_MALFORMED_ADDRESS,
	FTP_EVENT_BOUNCE,
	FTP_EVENT_FLOODED,
	FTP_EVENT_TOO_MANY_REPLIES,
	FTP_EVENT_FILE_BEFORE_PORT,
	FTP_EVENT_COUNT,
};

enum ftp_counter {
	FTP_COUNT_COMMANDS,
	FTP_COUNT_REPLIES,
	FTP_COUNT_UNANSWERED,
	FTP_COUNT_ENCRYPTED,
	FTP_COUNT_LINES_CUT,
	FTP_COUNT_SHED,
	FTP_COUNT_EXPECTED_EVICTED,
	FTP_COUNTER_COUNT,
};

struct ftp_config {
	bool passwords;
};

struct ftp_state {
	struct pair_table pairs; /* commands that wait for their last reply: in order, the key is nothing */
	uint32_t last_id;
	uint16_t data_port;    /* of the data connection announced last; 0: none */
	bool data_by_server;   /* the server listens there */
	bool greeted;          /* the session was seen from its beginning, and nothing was lost of it */
	bool heard;            /* some reply was seen */
	bool announced;        /* some data connection was */
	uint16_t multi_code;   /* of the reply whose lines go on; 0: none */
	bool cutting[2];       /* by to_server: the rest of a line that was too long follows */
};

/* ---- data connections (ftp_address.c) ---- */

struct ftp_address {
	uint8_t version; /* 0: none is given */
	uint8_t bytes[16];
	uint16_t port;
};

/** "h1,h2,h3,h4,p1,p2" from the first digit on (RFC 959 4.1.2). */
bool ftp_address_numbers(struct cursor text, struct ftp_address *out);
/** "|1|132.235.1.2|6275|" or "(|||6446|)" (RFC 2428). */
bool ftp_address_extended(struct cursor text, struct ftp_address *out);

#endif
