/*
 * A data connection of FTP (RFC 959 3.2): the record of one transfer and its flow's state. The control connection said which
 * flow it is (proto/ftp/ftp_expect.h); of the bytes the first are kept for the rules.
 */
#ifndef MR_PROTO_FTP_DATA_H
#define MR_PROTO_FTP_DATA_H

#include "proto/ftp/ftp_expect.h"
#include "proto/proto.h"

enum {
	FTP_DATA_BODY_LIMIT_MAX = 48 * 1024,
	FTP_DATA_BLOCK_FIRST = 2048,
};

/* Bits of ftp_data_record.head.present. */
enum ftp_data_bit { FTP_DATA_HAS_FILENAME, FTP_DATA_HAS_COMMAND, FTP_DATA_HAS_DATA };

struct ftp_data_record {
	struct record_head head;
	struct record_ref filename, command, data;
	uint64_t size;
	bool gaps;
};

extern const struct record_table ftp_data_table;
extern const struct rule_app_keyword ftp_data_keywords[];
extern const struct rule_app_buffer ftp_data_buffers[];
extern const struct counter_desc ftp_data_counters[];
extern const struct knob_table ftp_data_knobs;

enum { FTP_DATA_BUFFER_COUNT = 3, FTP_DATA_KEYWORD_COUNT = 1 };

enum ftp_data_counter { FTP_DATA_COUNT_TRANSFERS, FTP_DATA_COUNT_CUT, FTP_DATA_COUNT_SHED, FTP_DATA_COUNTER_COUNT };

struct ftp_data_config {
	uint64_t body_limit;
};

struct ftp_data_state {
	uint64_t size;
	struct file *file;   /* from the moment on that rules saw what is kept; NULL: nobody wants to know of it */
	uint8_t *kept;       /* a block that grows; NULL: nothing is kept yet */
	uint32_t kept_len, kept_cap;
	struct proto_ends ends; /* its addresses are below */
	uint8_t client_addr[16], server_addr[16];
	uint8_t word_len, name_len;
	bool begun, closed;  /* closed: no more is kept */
	bool has_ends;       /* the addresses are known */
	bool matched, gaps;
	bool to_server;      /* the transfer's direction: of its first bytes */
	char word[FTP_EXPECT_WORD_LEN];
	char name[FTP_EXPECT_NAME_LEN];
};

#endif
