/*
 * SSH: the identification strings and the key exchange's first message of both ends. What is encrypted is passed over.
 * Nothing outside the folder includes this.
 *
 * Source: RFC 4253 (transport), HASSH as published by its authors.
 */
#ifndef MR_PROTO_SSH_H
#define MR_PROTO_SSH_H

#include "proto/proto.h"

enum {
	SSH_BANNER_LEN_MAX = 255,      /* RFC 4253 4.2, with CR LF */
	SSH_BANNER_READ_MAX = 1024,    /* of a longer one the front is read */
	SSH_PACKET_LEN_MIN = 12,       /* RFC 4253 6: 16 bytes with the length */
	SSH_PACKET_LEN_MAX = 35000,
	SSH_OTHER_LEN_MAX = 16 * 1024, /* of packets that have no lists of methods */
	SSH_HASSH_LEN_MAX = 16 * 1024, /* of the text; of a longer one no fingerprint is made */
};

enum ssh_message { SSH_DISCONNECT = 1, SSH_DEBUG = 4, SSH_KEXINIT = 20, SSH_NEWKEYS, SSH_KEX_FIRST = 30, SSH_KEX_LAST = 41 };

/* Bits of the head's present; those of the server are behind those of the client. */
enum ssh_bit {
	SSH_HAS_PROTO,
	SSH_HAS_SOFTWARE,
	SSH_HAS_COMMENTS,
	SSH_HAS_HASSH,
	SSH_BITS_OF_END,
	SSH_HAS_RULE_PROTO = 2 * SSH_BITS_OF_END,
	SSH_HAS_RULE_SOFTWARE,
};

enum ssh_event {
	SSH_EVENT_INVALID_BANNER,
	SSH_EVENT_LONG_BANNER,
	SSH_EVENT_INVALID_RECORD,
	SSH_EVENT_LONG_KEX_RECORD,
	SSH_EVENT_COUNT,
};

enum ssh_counter { SSH_COUNT_SESSIONS, SSH_COUNT_PACKETS, SSH_COUNT_SHED, SSH_COUNTER_COUNT };

/** What one end says of itself. */
struct ssh_side {
	struct record_ref proto, software, comments, hassh, hassh_string;
};

struct ssh_record {
	struct record_head head;
	struct ssh_side sides[2]; /* client, server */
	struct record_ref proto, software; /* for rules: of the banner at hand */
};

struct ssh_end {
	bool banner;    /* was read */
	bool done;      /* nothing more will be known of it */
	bool encrypted; /* what comes is */
};

struct ssh_state {
	void *blob; /* the record as far as it is known; NULL: nothing */
	uint32_t blob_len;
	struct ssh_end ends[2]; /* by to_server */
	bool emitted;
};

extern const struct record_table ssh_table;
extern const struct rule_app_event ssh_events[];
extern const struct counter_desc ssh_counters[];
extern const struct rule_app_keyword ssh_keywords[];
extern const struct rule_app_buffer ssh_buffers[];
enum { SSH_KEYWORD_COUNT = 2, SSH_BUFFER_COUNT = 8 };
/** As rule_app.buffer_direction. */
enum rule_direction ssh_buffer_direction(const struct rule_app_buffer *buffer);

#endif
