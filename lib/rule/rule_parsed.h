/* A rule as it was parsed: addresses, numbers, transforms, payload tests, conditions, state. Not for other folders. */
#ifndef MR_RULE_PARSED_H
#define MR_RULE_PARSED_H

#define PCRE2_CODE_UNIT_WIDTH 8

#include <pcre2.h>

#include "lib/packet/packet.h"
#include "lib/rule/rule.h"
#include "lib/rule/rule_dataset.h"

enum {
	RULE_TEXT_MAX = 32 * 1024,  /* a rule, continuation lines joined */
	RULE_OPTIONS_MAX = 256,     /* options of one rule */
	RULE_NODES_MAX = 64,        /* payload tests of one buffer */
	RULE_BYTE_MAX = 8,          /* bytes of one number */
	RULE_BYTE_STRING_MAX = 23,  /* of one written as text: the longest that 64 bits hold, octal */
	RULE_BUFFERS_MAX = 16,
	RULE_TESTS_MAX = 64,
	RULE_STATES_MAX = 32,
	RULE_VARS_MAX = 16,         /* byte_extract and byte_math results of one rule */
	RULE_CONTENT_LEN_MAX = 2048,
	RULE_NUMBERS_MAX = 64,      /* alternatives of one number list */
	RULE_GROUP_DEPTH_MAX = 16,  /* nested [ ] and $VAR of an address or port group */
	RULE_APP_NONE = 0xff,
	RULE_IDX_NONE = 0xffffffff,
	RULE_GROUP_NONE = 0xffff,
	RULE_PORTS = 65536,
	RULE_TRANSFORMS_MAX = 8,    /* transforms of one buffer */
	RULE_TRANSFORM_TEXT_MAX = 256,
	RULE_TAGS_OF_RULE = 3,      /* of a session and of either host */
	RULE_CAPTURES_MAX = 8,      /* variables that one expression captures */
	RULE_CAPTURED_MAX = 16,     /* captured by the rules of one packet */
	RULE_CAPTURED_LEN_MAX = 112,
	RULE_SCRATCH_LEN = 64 * 1024, /* of a transformed or decoded buffer: what is longer is cut */
};

/* ---- ranges: addresses and ports ---- */

typedef unsigned __int128 rule_u128;

struct rule_range {
	rule_u128 low, high;
};

/** Sorted, disjoint, not adjacent. */
struct rule_range_set {
	struct rule_range *ranges;
	uint32_t count, cap;
};

/** Addresses ready for matching. any: every packet, also without IP. */
struct rule_addresses {
	bool any;
	uint32_t count4, count6;
	const uint32_t (*v4)[2];     /* [count4] low, high */
	const rule_u128 (*v6)[2];    /* [count6] */
};

struct rule_ports {
	bool any;
	uint16_t count;
	const uint16_t (*ranges)[2]; /* [count] low, high */
};

/* ---- numbers: "1", "!1", ">3", "2-5", "2<>5", "[1,2]", names ---- */

enum rule_number_op { NUMBER_EQUAL, NUMBER_BELOW, NUMBER_ABOVE, NUMBER_RANGE, NUMBER_MASK, NUMBER_MASK_NONE, NUMBER_MASKED };

struct rule_number {
	uint8_t op;      /* enum rule_number_op; RANGE: a..b inclusive; MASK: all bits of a set; MASKED: bits of a are as in b */
	bool negated;
	int64_t a, b;
	double fa, fb;   /* the same for fields of floating point */
};

struct rule_numbers {
	uint16_t count;
	bool every;      /* all must hold (bit names), else any */
	const struct rule_number *items;
};

enum rule_elements_which { ELEMENTS_ANY, ELEMENTS_ALL, ELEMENTS_PLACE, ELEMENTS_TIMES, ELEMENTS_COUNT };

/** Which elements of a list of numbers a rule speaks of: "80,all", "80,-1", "80,nb>2", "count >3". rule_elements.c */
struct rule_elements {
	uint8_t which;     /* enum rule_elements_which */
	bool if_none;      /* holds, too, where there is no element, or none at the place */
	bool sliced;       /* only those from `from` to below `to`; negative ones count from the end */
	int32_t place, from, to;
	struct rule_numbers times; /* TIMES: how many elements match; COUNT: how many there are */
};

bool rule_numbers_match(const struct rule_numbers *numbers, int64_t value);
bool rule_numbers_match_double(const struct rule_numbers *numbers, double value);

/* ---- a rule ---- */

enum rule_buffer_kind {
	BUFFER_PAYLOAD,
	BUFFER_ETHER_HDR,
	BUFFER_IPV4_HDR,
	BUFFER_IPV6_HDR,
	BUFFER_TCP_HDR,
	BUFFER_UDP_HDR,
	BUFFER_ICMPV4_HDR,
	BUFFER_ICMPV6_HDR,
	BUFFER_IGMP_HDR,
	BUFFER_SCTP_HDR,
	BUFFER_IP_SRC, /* the address in network order */
	BUFFER_IP_DST,
	BUFFER_SCTP_DATA, /* of each DATA chunk */
	BUFFER_FILE_NAME, /* of the file beside the record */
	BUFFER_BASE64, /* what base64_decode made of another buffer */
	BUFFER_FIELD,  /* bytes of a record field */
};

enum rule_absent { ABSENT_NO, ABSENT_ONLY, ABSENT_OR_ELSE };

/* ---- transforms: a buffer's bytes changed before they are looked into ---- */

enum rule_transform_kind {
	TRANSFORM_DOTPREFIX,
	TRANSFORM_LOWERCASE,
	TRANSFORM_UPPERCASE,
	TRANSFORM_STRIP_WHITESPACE,
	TRANSFORM_COMPRESS_WHITESPACE,
	TRANSFORM_STRIP_PSEUDO_HEADERS,
	TRANSFORM_HEADER_LOWERCASE,
	TRANSFORM_XOR,
	TRANSFORM_DIGEST,
	TRANSFORM_PCRE,
	TRANSFORM_URL_DECODE,
	TRANSFORM_BASE64,
	TRANSFORM_SUBSLICE,
	TRANSFORM_INFLATE,
	TRANSFORM_DOMAIN,
	TRANSFORM_KIND_COUNT,
};

/** How base64 text is read: RFC 4648 stops at the first foreign character, RFC 2045 passes over them, strict refuses. */
enum rule_base64_mode { BASE64_RFC4648, BASE64_RFC2045, BASE64_STRICT };

struct rule_transform {
	uint8_t kind;                 /* enum rule_transform_kind */
	uint8_t digest;               /* TRANSFORM_DIGEST: index into rule_digests[] */
	uint8_t mode;                 /* TRANSFORM_BASE64; TRANSFORM_INFLATE: enum inflate_format */
	bool truncate;                /* TRANSFORM_SUBSLICE: a slice beyond the end is cut, not given up */
	bool suffix;                  /* TRANSFORM_DOMAIN: only what nobody registers of it */
	uint16_t key_len;
	const uint8_t *key;           /* TRANSFORM_XOR; NULL: key_len bytes of the buffer, from count on */
	pcre2_code *code;             /* TRANSFORM_PCRE */
	int32_t offset, count;        /* TRANSFORM_SUBSLICE, TRANSFORM_BASE64, TRANSFORM_XOR; count 0: all. TRANSFORM_INFLATE: bytes at most */
};

/** The transforms of a buffer; equal lists of one rule set are one, so they may be compared by address. */
struct rule_transforms {
	uint16_t count;
	const struct rule_transform *items;
	const char *text;             /* as it was written */
	const struct rule_transforms *next;
};

enum rule_node_kind {
	NODE_CONTENT,
	NODE_PCRE,
	NODE_ISDATAAT,
	NODE_BYTE_TEST,
	NODE_BYTE_JUMP,
	NODE_BYTE_EXTRACT,
	NODE_BYTE_MATH,
	NODE_BSIZE,
	NODE_BASE64,
	NODE_ENTROPY,
	NODE_DATASET,
	NODE_ASN1,
	NODE_KIND_COUNT,
};

enum rule_node_flag {
	NODE_NEGATED = 1 << 0,
	NODE_RELATIVE = 1 << 1,    /* from the end of the match before */
	NODE_NOCASE = 1 << 2,
	NODE_ENDSWITH = 1 << 3,
	NODE_DEPTH = 1 << 4,       /* depth (or within) is given */
	NODE_USES_VAR = 1 << 5,
	NODE_FAST = 1 << 6,        /* the user's fast_pattern */
	NODE_LITTLE = 1 << 7,
	NODE_STRING = 1 << 8,      /* digits in the text, not binary */
	NODE_FROM_BEGINNING = 1 << 9,
	NODE_FROM_END = 1 << 10,
	NODE_ALIGN = 1 << 11,
	NODE_OFFSET = 1 << 12,     /* offset is given: an anchored content */
};

/** A number that is known when the rule is loaded, or a variable's value when it is matched. */
struct rule_value {
	int64_t number;
	int8_t var;      /* index of the variable, -1: number */
};

enum rule_byte_op { BYTE_LESS, BYTE_GREATER, BYTE_EQUAL, BYTE_LESS_EQUAL, BYTE_GREATER_EQUAL, BYTE_AND, BYTE_OR };
enum rule_math_op { MATH_ADD, MATH_SUB, MATH_MUL, MATH_DIV, MATH_LEFT, MATH_RIGHT };

/** Which of a packet's addresses is asked. */
enum rule_address_side { ADDRESS_ANY, ADDRESS_SRC, ADDRESS_DST, ADDRESS_BOTH };
/** Whose packets, bytes or rate a keyword of the flow asks for. */
enum rule_flow_side { RULE_FLOW_CLIENT, RULE_FLOW_SERVER, RULE_FLOW_EITHER, RULE_FLOW_BOTH, RULE_FLOW_SIDE_COUNT };

enum rule_dataset_op { DATASET_ISSET, DATASET_ISNOTSET, DATASET_SET, DATASET_UNSET, DATASET_WEIGHT };

/** A set of values that rules name, as the rules describe it; its values until all rules are read. */
struct rule_dataset_decl {
	const char *name;
	uint8_t type;             /* enum rule_dataset_type */
	bool weighted;            /* of datarep */
	bool growing;             /* some rule adds to it */
	bool json;                /* its values have contexts */
	bool unsaved;             /* some rule wants it saved, and there is no folder for it */
	const char *save_path;
	size_t memcap;
	struct rule_dataset_values values;
	struct rule_dataset *set;
	struct rule_dataset_decl *next;
};

enum rule_asn1_check {
	RULE_ASN1_OVERSIZE = 1 << 0,  /* an element says it is longer than .oversize */
	RULE_ASN1_BITSTRING = 1 << 1, /* a bit string has fewer bits than it says are unused */
	RULE_ASN1_DOUBLE = 1 << 2,    /* a real number written in digits is longer than 256 octets */
};

struct rule_asn1 {
	uint8_t checks;               /* enum rule_asn1_check: any of them */
	uint32_t oversize;
	int32_t offset;               /* where the first element begins; with NODE_RELATIVE behind the match before */
};

enum rule_captured_for { CAPTURED_FOR_PACKET, CAPTURED_FOR_FLOW, CAPTURED_FOR_ALERT, CAPTURED_FOR_COUNT };

/** A variable that a group of an expression fills. */
struct rule_capture {
	uint32_t id;    /* of its name */
	uint16_t group; /* 1 is the first in parentheses */
	uint8_t kept;   /* enum rule_captured_for */
};

struct rule_node {
	uint8_t kind;
	uint8_t op;
	int8_t back;  /* the match before it that is tried further on when this fails; -1: none */
	uint32_t flags;
	union {
		struct {
			const uint8_t *bytes; /* lower case with NODE_NOCASE */
			uint16_t len;
			uint16_t fast_offset, fast_len; /* the part that fast_pattern:off,len names */
			struct rule_value offset; /* or distance, with NODE_RELATIVE */
			struct rule_value depth;  /* or within */
		} content;
		struct {
			pcre2_code *code;
			const char *pattern;     /* without delimiters and flags, for Hyperscan */
			uint32_t options;
			uint8_t capture_count;
			const struct rule_capture *captures;
		} pcre;
		struct {
			struct rule_value count; /* bytes to read; 0: none */
			struct rule_value offset;
			struct rule_value value; /* compared with, or rvalue */
			uint64_t mask;
			uint8_t mask_shift;
			uint8_t base;            /* NODE_STRING: 8, 10, 16 */
			uint8_t align;
			int8_t result;           /* variable */
			int32_t multiplier;
			struct rule_value post_offset;
		} byte;
		struct rule_numbers size;    /* NODE_BSIZE */
		struct {
			uint32_t bytes;          /* 0: all */
			uint32_t offset;
			uint8_t mode;            /* enum rule_base64_mode */
		} base64;
		struct {
			struct rule_value bytes; /* 0: all */
			struct rule_value offset;
			struct rule_numbers value;
			uint32_t var;            /* of the flow: the buffer's entropy */
		} entropy;
		struct rule_asn1 asn1;
		struct {
			const struct rule_dataset_decl *decl;
			bool parents;            /* a name is in the set where a name above it is */
			bool told;               /* the value's context is told in the alert, as context_id */
			uint32_t context_id;
			struct rule_numbers weights; /* DATASET_WEIGHT */
		} dataset;
	};
};

/** Sums of files, from a list. */
struct rule_file_hashes {
	uint8_t hash;          /* enum file_hash */
	size_t count;
	const uint8_t *digests; /* [count], each of file_hash_lens[hash] bytes, ascending */
};

struct rule_buffer {
	uint8_t kind;        /* enum rule_buffer_kind */
	uint8_t app;         /* BUFFER_FIELD */
	uint16_t node_count;
	int8_t back;         /* as a node's, when all hold but show nothing new */
	const struct rule_node *nodes;
	uint16_t path_count; /* one for each shape the field occurs in */
	const struct record_path *paths;
	const struct rule_transforms *transforms; /* NULL: none */
	uint8_t absent;      /* enum rule_absent: holds where the buffer does not occur */
};

struct rule_view;
struct rule_test;

typedef bool (*rule_test_fn)(const struct rule_view *view, const struct rule_test *test);

/** A condition on a packet, a flow or a record. */

/** Which of the flow's protocols app-layer-protocol asks about. */
enum rule_protocol_mode { PROTOCOL_FINAL, PROTOCOL_ORIGINAL, PROTOCOL_TO_SERVER, PROTOCOL_TO_CLIENT };

struct rule_protocols {
	uint64_t apps;                     /* a bit each */
	uint8_t mode;                      /* enum rule_protocol_mode */
	bool unknown, failed;              /* not recognised yet; not recognised at all */
};

struct rule_test {
	rule_test_fn fn;
	bool negated;
	uint8_t app;                       /* of a message's test, else RULE_APP_NONE */
	uint16_t path_count;
	union {
		uint64_t bits[4];
		struct rule_protocols protocols;
		struct rule_numbers numbers;
		struct rule_app_test *own;     /* a protocol's own keyword */
		const struct rule_file_hashes *hashes;
		const struct rule_addresses *addresses;
	};
	const struct record_path *paths;
	const struct rule_elements *elements; /* of a test of a list; NULL: any */
	const struct rule_app_keyword *keyword;
	uint64_t extra;
};

enum rule_state_kind { STATE_FLOW, STATE_HOST, STATE_PAIR, STATE_INT, STATE_VAR, STATE_TX };
enum rule_state_op { STATE_SET, STATE_UNSET, STATE_TOGGLE, STATE_ADD, STATE_SUB, STATE_ISSET, STATE_ISNOTSET, STATE_COMPARE };
enum rule_track { TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_FLOW };

enum rule_compare { COMPARE_EQUAL, COMPARE_NOT_EQUAL, COMPARE_LESS, COMPARE_LESS_EQUAL, COMPARE_GREATER, COMPARE_GREATER_EQUAL };

/** flowbits, hostbits, xbits, flowint, flowvar and pktvar. Reading ones are conditions, the others happen when the rule matched. */
struct rule_state {
	uint8_t kind;          /* enum rule_state_kind */
	uint8_t op;            /* enum rule_state_op */
	uint8_t track;         /* STATE_HOST: TRACK_SRC or TRACK_DST */
	uint8_t id_count;      /* of an or-list of ids */
	uint32_t expire_s;     /* host and pair bits */
	const uint32_t *ids;
	uint32_t other;        /* STATE_INT: the variable that is the operand; RULE_IDX_NONE: value is */
	uint32_t value;        /* STATE_INT */
	uint8_t compare;       /* STATE_INT: enum rule_compare */
	uint16_t text_len;     /* STATE_VAR: that its value must contain */
	const uint8_t *text;
};

enum rule_threshold_type { THRESHOLD_NONE, THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH, THRESHOLD_BACKOFF, THRESHOLD_DETECTION,
	THRESHOLD_RATE };

struct rule_threshold {
	uint8_t type;
	uint8_t track;
	uint8_t unique;        /* 0: every packet counts; else distinct: 1 source port, 2 destination port */
	uint32_t count;
	uint32_t seconds;      /* THRESHOLD_BACKOFF: no window, UINT32_MAX */
	uint32_t multiplier;   /* THRESHOLD_BACKOFF: the count for the next alert grows by it */
	uint32_t timeout_s;    /* THRESHOLD_RATE: how long the other action holds */
	uint8_t action;        /* THRESHOLD_RATE: enum rule_action */
};

enum rule_tag_where { TAG_NONE, TAG_SESSION, TAG_SRC, TAG_DST };
enum rule_tag_metric { TAG_PACKETS, TAG_BYTES, TAG_SECONDS };

/** tag: packets behind the alert that are kept with it. */
struct rule_tag {
	uint8_t where, metric;
	uint32_t limit;
};

/** threshold.config: suppress. */
struct rule_suppress {
	uint8_t track;                        /* TRACK_SRC, TRACK_DST; TRACK_BOTH: either; TRACK_RULE: always */
	const struct rule_addresses *addresses;
	const struct rule_suppress *next;
};

enum rule_flow_flag {
	RULE_FLOW_TO_SERVER = 1 << 0,
	RULE_FLOW_TO_CLIENT = 1 << 1,
	RULE_FLOW_ESTABLISHED = 1 << 2,
	RULE_FLOW_NOT_ESTABLISHED = 1 << 3,
	RULE_FLOW_STATELESS = 1 << 4,
	RULE_FLOW_ONLY_STREAM = 1 << 5,
	RULE_FLOW_NO_STREAM = 1 << 6,
	RULE_FLOW_ONLY_FRAG = 1 << 7,
	RULE_FLOW_NO_FRAG = 1 << 8,
};

/** Protocols of the header that are not apps. */
enum rule_proto_flag {
	RULE_PROTO_IPV4 = 1 << 0,
	RULE_PROTO_IPV6 = 1 << 1,
	RULE_PROTO_PKTHDR = 1 << 2,   /* any frame, also one that did not decode */
	RULE_PROTO_ETHER = 1 << 3,
	RULE_PROTO_ARP = 1 << 4,
	RULE_PROTO_PKT_ONLY = 1 << 5, /* tcp-pkt */
	RULE_PROTO_STREAM_ONLY = 1 << 6,
};

/** Kinds of packets with tables of their own: the transport, and what has none. */
enum rule_class { CLASS_IP, CLASS_TCP, CLASS_UDP, CLASS_ICMP, CLASS_ICMPV6, CLASS_SCTP, CLASS_OTHER, CLASS_COUNT };

enum rule_phase { PHASE_PACKET, PHASE_STREAM, PHASE_MESSAGE };

enum rule_flag {
	RULE_NOALERT = 1 << 0,
	RULE_BOTH_WAYS = 1 << 1,      /* <> */
	RULE_ONCE = 1 << 2,           /* addresses only: the first packet of a flow's direction decides */
	RULE_ONCE_APP = 1 << 3,       /* protocol only: the first message of a flow's direction decides */
	RULE_ANCHORED = 1 << 4,       /* some payload test counts from the start of a unit */
	RULE_NEEDS_PAYLOAD = 1 << 5,
	RULE_PASS_FLOW = 1 << 6,      /* a pass that holds for the rest of the flow */
	RULE_EVENTS = 1 << 7,         /* waits for named events */
	RULE_QUIET = 1 << 8,          /* config: what matched is not logged */
	RULE_QUIET_FLOW = 1 << 10,    /* nor the rest of its flow */
	RULE_OWN_THRESHOLD = 1 << 11, /* it says itself how often it speaks */
	RULE_PROTOCOL_ONLY = 1 << 12, /* app-layer-protocol and no more: once a direction, when it is known */
	RULE_ON_PACKET = 1 << 9,      /* dsize and its like: the packet's own payload */
	RULE_ASKED = 1 << 13,         /* over records: its conditions on them were asked before it became a candidate */
	RULE_SPREAD = 1 << 15,        /* more than the pattern it is looked for by must be there, perhaps bytes later */
	RULE_TRANSACTION = 1 << 16,   /* => */
	RULE_FILE = 1 << 17,          /* asked of files alone, with the record that each is beside */
	RULE_FILE_END = 1 << 18,      /* and not before they ended */
	RULE_FILESTORE = 1 << 19,     /* it wants them stored, which is not done */
	RULE_FIELDS_ONLY = 1 << 20,   /* over records, in either direction, and over nothing else: told once of a request and its answer */
	RULE_PASS_ALERT = 1 << 21,    /* of a pass: it alerts, too */
	RULE_BARE = 1 << 22,          /* a content in the payload stands behind a field that has no text */
	RULE_MAY_MUTE = 1 << 14,      /* where its threshold has spoken it need not be asked until the window ends */
};

struct rule {
	/* What every candidate is asked, in as few cache lines as hold it. */
	uint32_t flags;               /* enum rule_flag */
	uint16_t flow;                /* enum rule_flow_flag */
	uint8_t proto;                /* enum rule_proto_flag */
	uint8_t classes;              /* bit set of enum rule_class */
	uint8_t app;                  /* index, or RULE_APP_NONE */
	uint8_t phase;                /* enum rule_phase */
	uint8_t priority;
	uint8_t file_hashes;          /* 1 << enum file_hash: sums it needs */
	uint16_t buffer_count, test_count, state_count;
	uint8_t var_count;
	uint8_t routes;               /* bit set of enum rule_route: those that its addresses let it match on */
	const struct rule_addresses *src, *dst;
	const struct rule_ports *src_ports, *dst_ports;
	uint64_t app_events;          /* app-layer-event: any of these bits */
	const struct rule_buffer *buffers;
	const struct rule_test *tests;
	const struct rule_state *states;

	struct rule_meta meta;
	struct rule_threshold threshold; /* threshold */
	struct rule_threshold filter;    /* detection_filter */
	struct rule_tag tags[RULE_TAGS_OF_RULE]; /* the first ones; the rest TAG_NONE */
	struct rule_threshold rate;      /* threshold.config: rate_filter */
	const struct rule_suppress *suppress;
	uint64_t decode_events[DECODE_EVENT_WORDS];
	uint64_t stream_events[2];
	struct rule *more;            /* the next one of the same text */
	const char *never;            /* why it can never fire; NULL: not known that it cannot */
	const char *replaces;         /* that it took the place of an older revision, and where that is; NULL: it did not */
	uint32_t order;               /* of reading: the last word of precedence */
	bool gone;                    /* while the set is read: another revision took its place */
	uint16_t mute_bit[2];         /* by direction, 1 to the server; RULE_NOT_MUTED */
};

/** Rules of one protocol and direction that may be muted. */
enum { RULE_MUTE_WORDS = 4, RULE_MUTE_BITS = 64 * RULE_MUTE_WORDS, RULE_NOT_MUTED = UINT16_MAX };

#endif
