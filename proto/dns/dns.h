/*
 * DNS over UDP and TCP, and what is written alike: multicast DNS and LLMNR. The record of one message, the state of one
 * flow, and what the files of this folder share. Nothing outside the folder includes this.
 *
 * Source: RFC 1035 (messages), RFC 6891 (EDNS), RFC 6762 (mDNS), RFC 4795 (LLMNR), RFC 2782 (SRV), RFC 3596 (AAAA),
 * RFC 4255 (SSHFP).
 */
#ifndef MR_PROTO_DNS_H
#define MR_PROTO_DNS_H

#include "proto/proto.h"

enum {
	DNS_HEADER_LEN = 12,
	DNS_PREFIX_LEN = 2,        /* over TCP: the message's length (RFC 1035 4.2.2) */
	DNS_QUESTION_LEN_MIN = 5,
	DNS_RR_LEN_MIN = 11,
	DNS_NAME_LEN_MAX = 255,    /* RFC 1035 3.1; a longer name is cut */
	DNS_LABELS_MAX = 128,      /* of one name */
	DNS_JUMPS_MAX = 16,        /* compression pointers of one name */
	DNS_QUESTIONS_MAX = 256,   /* of one message; mDNS asks for all services at once (RFC 6762 5.3) */
	DNS_RRS_MAX = 512,         /* of one message */
	DNS_STRINGS_MAX = 16,      /* of one message's TXT records, behind the first of each */
	DNS_OPTIONS_MAX = 16,      /* of one OPT record */
	DNS_RDATA_LEN_MAX = 1024,  /* bytes kept of a TXT, NULL or unknown record */
	DNS_SSHFP_LEN_MAX = 64,    /* bytes of a fingerprint; SHA-256 has 32 */
	DNS_OPEN_MAX = 32,         /* requests of a flow that wait */
	DNS_VERSION = 3,           /* of the event's form */
	DNS_PORT_MDNS = 5353,
	DNS_PORT_LLMNR = 5355,
};

/* Types with a form of their own here (IANA, Resource Record TYPEs). */
enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_NULL = 10,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_DNAME = 39,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_SSHFP = 44,
};

/* Bits of the header's second word (RFC 1035 4.1.1, RFC 4035 3). */
enum dns_flag {
	DNS_QR = 0x8000,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_Z = 0x0040,
};

enum dns_service { DNS_SERVICE_DNS, DNS_SERVICE_MDNS, DNS_SERVICE_LLMNR };

/* Bits of dns_record.head.present. */
enum dns_bit {
	DNS_HAS_QR,
	DNS_HAS_AA,
	DNS_HAS_TC,
	DNS_HAS_RD,
	DNS_HAS_RA,
	DNS_HAS_Z,
	DNS_HAS_SERVICE,
	DNS_HAS_QUERIES,
	DNS_HAS_REQUEST, /* the queries, of a request */
	DNS_HAS_RESPONSE, /* the queries, of a response */
	DNS_HAS_ANSWERS,
	DNS_HAS_AUTHORITIES,
	DNS_HAS_ADDITIONALS,
	DNS_HAS_RESPONSE_TIME,
	DNS_HAS_TYPES,
	DNS_HAS_GROUP, /* and those behind it, in the order of dns_groups[] */
};

enum { DNS_GROUP_COUNT = 8 };

/* Bits of dns_rr.head.present. */
enum dns_rr_bit {
	DNS_RR_HAS_TYPE, /* and class */
	DNS_RR_HAS_TTL,
	DNS_RR_HAS_IP,
	DNS_RR_HAS_TEXT, /* a name or text */
	DNS_RR_HAS_SRV,
	DNS_RR_HAS_SOA,
	DNS_RR_HAS_MX,
	DNS_RR_HAS_OPT,
	DNS_RR_HAS_SSHFP,
	DNS_RR_HAS_DATA,
};

/** A question or a resource record. */
struct dns_rr {
	struct record_head head;
	struct record_ref name;
	struct record_ref text; /* rdata: a name, a text or bytes; of SOA the primary name */
	uint32_t ttl_s;
	uint16_t type;
	uint16_t class;
	union {
		struct record_ip ip;
		struct {
			uint16_t priority, weight, port; /* priority is also MX's preference */
		} srv;
		struct {
			struct record_ref rname;
			uint32_t serial, refresh_s, retry_s, expire_s, minimum_s;
		} soa;
		struct {
			struct record_ref fingerprint;
			uint8_t algorithm, type;
		} sshfp;
		struct record_list options;
	} data;
};

struct dns_option {
	struct record_head head;
	uint16_t code;
	struct record_ref data;
};

/** A value of the answers, listed by type. */
struct dns_value {
	struct record_head head;
	struct record_ip ip;
	struct record_ref text;
};

/** One message. */
struct dns_record {
	struct record_head head;
	struct record_ref flags_text;
	struct record_ref types; /* of all questions and records */
	struct record_list queries, answers, authorities, additionals;
	struct record_list groups[DNS_GROUP_COUNT];
	uint32_t tx_id;
	uint32_t response_time_us;
	uint16_t id;
	uint16_t flags;
	uint16_t rcode;
	uint8_t version;
	uint8_t type; /* 0: request, 1: response */
	uint8_t opcode;
	uint8_t service;
	bool set;     /* true: what every flag that is there says */
};

extern const struct record_table dns_table;
extern const struct record_table *const dns_query_tables[];
extern const struct record_table *const dns_rr_tables[];
extern const struct record_table *const dns_option_tables[];
extern const struct record_table *const dns_value_tables[];
extern const struct field_names dns_types;
extern const uint16_t dns_groups[DNS_GROUP_COUNT];
extern const struct rule_app_event dns_events[];
extern const struct rule_app_buffer dns_buffers[];
extern const struct counter_desc dns_counters[];

enum { DNS_BUFFER_COUNT = 10, DNS_ALIAS_COUNT = 2 };
extern const struct rule_app_alias dns_aliases[DNS_ALIAS_COUNT];

/* Index into dns_events[]. The first ten are Suricata's. */
enum dns_event {
	DNS_EVENT_MALFORMED_DATA,
	DNS_EVENT_NOT_REQUEST,
	DNS_EVENT_NOT_RESPONSE,
	DNS_EVENT_Z_FLAG_SET,
	DNS_EVENT_INVALID_OPCODE,
	DNS_EVENT_NAME_TOO_LONG,
	DNS_EVENT_INFINITE_LOOP,
	DNS_EVENT_TOO_MANY_LABELS,
	DNS_EVENT_INVALID_ADDITIONALS,
	DNS_EVENT_INVALID_AUTHORITIES,
	DNS_EVENT_UNSOLICITED_RESPONSE,
	DNS_EVENT_FLOODED,
	DNS_EVENT_TOO_MANY_RECORDS,
	DNS_EVENT_TRAILING_BYTES,
	DNS_EVENT_COUNT,
};

enum dns_counter {
	DNS_COUNT_REQUESTS,
	DNS_COUNT_RESPONSES,
	DNS_COUNT_UNANSWERED,
	DNS_COUNT_ORPHANS,
	DNS_COUNT_RECORDS_SHED,
	DNS_COUNT_CUT,
	DNS_COUNTER_COUNT,
};

struct dns_config {
	bool requests, responses; /* whether they are events; rules see them in any case */
};

extern const struct knob_table dns_knobs;

struct dns_open {
	uint64_t opened_ns;
	uint32_t tx_id;
	uint16_t id;
	bool waits; /* false: the place is free */
};

struct dns_state {
	struct dns_open open[DNS_OPEN_MAX]; /* a ring: next is the oldest */
	uint32_t messages; /* seen so far, requests and responses */
	uint8_t next;
	bool requested; /* a request was seen: a response may be blamed */
	bool flooded;
};

/* ---- reading (dns_name.c, dns_rr.c) ---- */

struct dns_header {
	uint16_t id, flags;
	uint16_t counts[4]; /* questions, answers, authorities, additionals */
};

struct dns_name {
	uint16_t len;
	uint16_t labels;
	uint16_t faults; /* bits of enum dns_event */
	uint8_t text[DNS_NAME_LEN_MAX + 1];
};

/** Reads a name at in, following pointers into whole. in is left behind the name's own bytes.
 *  @return whether all of it was there */
bool dns_name_read(struct cursor whole, struct cursor *in, struct dns_name *out);

struct dns_message {
	struct proto_ctx *ctx;
	struct dns_record *record;
	struct cursor whole; /* what pointers point into */
	struct cursor in;
	uint16_t *types;     /* [DNS_RRS_MAX] */
	struct cursor strings; /* of the TXT record at hand, behind the first */
	uint32_t string_count; /* of those that were told */
	uint32_t type_count;
	uint32_t rr_count;
};

struct dns_header dns_header_read(struct cursor *in);
/** Questions and records of the message. @return false: they end early; the event is named */
bool dns_sections_read(struct dns_message *message, const struct dns_header *header);

#endif
