/*
 * What the files of this folder share: a rule as it was parsed, its groups as they were compiled, the
 * view a match works on. Not for other folders.
 */
#ifndef MR_RULE_INTERNAL_H
#define MR_RULE_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8

#include <hs/hs.h>
#include <pcre2.h>
#include <stdatomic.h>

#include "lib/packet/packet.h"
#include "lib/rule/rule.h"

enum {
	RULE_TEXT_MAX = 32 * 1024,  /* a rule, continuation lines joined */
	RULE_OPTIONS_MAX = 256,     /* options of one rule */
	RULE_NODES_MAX = 64,        /* payload tests of one buffer */
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
};

/* ---- memory of a ruleset: freed as a whole ---- */

struct rule_arena_block;

struct rule_arena {
	struct rule_arena_block *blocks;
	size_t used, size; /* of the newest block */
};

/** Zeroed, 16-byte aligned; NULL without memory. */
void *rule_arena_alloc(struct rule_arena *arena, size_t len);
char *rule_arena_text(struct rule_arena *arena, const char *text, size_t len);
void *rule_arena_copy(struct rule_arena *arena, const void *data, size_t len);
void rule_arena_free(struct rule_arena *arena);

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

enum rule_number_op { NUMBER_EQUAL, NUMBER_BELOW, NUMBER_ABOVE, NUMBER_RANGE, NUMBER_MASK, NUMBER_MASK_NONE };

struct rule_number {
	uint8_t op;      /* enum rule_number_op; RANGE: a..b inclusive; MASK: all bits of a set */
	bool negated;
	int64_t a, b;
	double fa, fb;   /* the same for fields of floating point */
};

struct rule_numbers {
	uint16_t count;
	bool every;      /* all must hold (bit names), else any */
	const struct rule_number *items;
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
	BUFFER_FIELD, /* bytes of a record field */
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

struct rule_node {
	uint8_t kind;
	uint8_t op;
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
		struct rule_numbers size;
	};
};

struct rule_buffer {
	uint8_t kind;        /* enum rule_buffer_kind */
	uint8_t app;         /* BUFFER_FIELD */
	uint16_t node_count;
	const struct rule_node *nodes;
	uint16_t path_count; /* one for each shape the field occurs in */
	const struct record_path *paths;
};

struct rule_view;
struct rule_test;

typedef bool (*rule_test_fn)(const struct rule_view *view, const struct rule_test *test);

/** A condition on a packet, a flow or a record. */
struct rule_test {
	rule_test_fn fn;
	bool negated;
	uint8_t app;                       /* of a message's test, else RULE_APP_NONE */
	uint16_t path_count;
	union {
		uint64_t bits[4];
		struct rule_numbers numbers;
		struct rule_app_test *own;     /* a protocol's own keyword */
	};
	const struct record_path *paths;
	const struct rule_app_keyword *keyword;
	uint64_t extra;
};

enum rule_state_kind { STATE_FLOW, STATE_HOST, STATE_PAIR };
enum rule_state_op { STATE_SET, STATE_UNSET, STATE_TOGGLE, STATE_ISSET, STATE_ISNOTSET };
enum rule_track { TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_FLOW };

/** flowbits, hostbits, xbits. Reading ones are conditions, the others happen when the rule matched. */
struct rule_state {
	uint8_t kind;          /* enum rule_state_kind */
	uint8_t op;            /* enum rule_state_op */
	uint8_t track;         /* STATE_HOST: TRACK_SRC or TRACK_DST */
	uint8_t id_count;      /* of an or-list of ids */
	uint32_t expire_s;     /* host and pair bits */
	const uint32_t *ids;
};

enum rule_threshold_type { THRESHOLD_NONE, THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH, THRESHOLD_BACKOFF, THRESHOLD_DETECTION };

struct rule_threshold {
	uint8_t type;
	uint8_t track;
	uint8_t unique;        /* 0: every packet counts; else distinct: 1 source port, 2 destination port */
	uint32_t count;
	uint32_t seconds;      /* THRESHOLD_BACKOFF: no window, UINT32_MAX */
	uint32_t multiplier;   /* THRESHOLD_BACKOFF: the count for the next alert grows by it */
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
	RULE_ON_PACKET = 1 << 9,      /* dsize and its like: the packet's own payload */
};

struct rule {
	struct rule_meta meta;
	uint32_t flags;               /* enum rule_flag */
	uint16_t flow;                /* enum rule_flow_flag */
	uint8_t proto;                /* enum rule_proto_flag */
	uint8_t classes;              /* bit set of enum rule_class */
	uint8_t app;                  /* index, or RULE_APP_NONE */
	uint8_t phase;                /* enum rule_phase */
	uint8_t priority;
	const struct rule_addresses *src, *dst;
	const struct rule_ports *src_ports, *dst_ports;
	uint16_t buffer_count, test_count, state_count;
	uint8_t var_count;
	const struct rule_buffer *buffers;
	const struct rule_test *tests;
	const struct rule_state *states;
	struct rule_threshold threshold; /* threshold */
	struct rule_threshold filter;    /* detection_filter */
	const struct rule_suppress *suppress;
	uint64_t app_events;          /* app-layer-event: any of these bits */
	uint64_t decode_events[DECODE_EVENT_WORDS];
	uint64_t stream_events[2];
	uint32_t order;               /* of reading: the last word of precedence */
};

/* ---- groups: rules that share protocol, direction and port ---- */

/** Rules found by one byte at an offset from the start of the payload's unit. */
struct rule_index {
	uint32_t offset;
	uint32_t first[256];          /* into links; 0: none */
};

struct rule_link {
	uint32_t rule_idx;
	uint32_t next;                /* into links; 0 ends */
	uint64_t value, mask;         /* of the 8 bytes from index.offset on: compared before a candidate is made */
	uint8_t len;                  /* bytes the compare needs */
};

/** Patterns of a database, until it is compiled. rule_database.c */
struct rule_patterns {
	const char **texts;           /* [count] Hyperscan's syntax, owned */
	unsigned int *flags;
	uint32_t *rules;              /* what each stands for */
	uint32_t count, cap;
	uint32_t len_min;
};

struct rule_database {
	hs_database_t *db;
	uint32_t *rules;              /* by Hyperscan id */
	uint32_t pattern_count;
	uint32_t len_min;             /* shorter payloads cannot match */
	size_t size;
	uint8_t digest[32];           /* of what it was compiled from: equal groups share */
	struct rule_database *same;   /* an earlier one with the same patterns, whose db this is; NULL: its own */
	struct rule_patterns patterns;
	uint32_t refused_count;       /* patterns Hyperscan would not take */
	uint32_t *refused;            /* [refused_count] their ids */
	struct rule_database *next;
};

struct rule_records;

struct rule_group {
	const struct rule_app *app;   /* asked with records of this protocol and direction; NULL: with payload */
	bool to_server;
	const struct rule_records *records; /* with app: instead of all below */
	uint32_t always_count;        /* no way to choose: verified each time */
	const uint32_t *always;
	uint32_t index_count;
	struct rule_index *indexes;
	uint32_t link_count;
	struct rule_link *links;      /* [0] is unused */
	const struct rule_database *database;
	uint32_t rule_count;
	const uint32_t *rules;        /* all of the group, ascending */
};

/** The groups a packet of one class, direction and phase may meet. */
struct rule_table {
	const uint16_t *by_dst;       /* [RULE_PORTS] index into groups, RULE_GROUP_NONE; NULL: no rule has such a port */
	const uint16_t *by_src;
	uint16_t any;                 /* rules without ports */
	uint16_t once;                /* RULE_ONCE rules */
	bool empty;
};

struct rule_app_groups {
	uint16_t group[2];            /* by direction, 1 to the server */
	uint16_t events[2];           /* rules that wait for an event */
	uint16_t once[2];
	uint64_t event_mask[2];       /* of all rules in events */
};

struct ruleset {
	atomic_uint refs;
	struct rule_world world;
	struct rule_arena arena;
	struct rule **rules;          /* in order of precedence */
	uint32_t rule_count, rule_cap;
	uint32_t pass_count;          /* the first of rules */
	struct rule **sid_table;      /* [sid_cap] open addressing; while rules are read */
	uint32_t sid_cap;
	struct rule_error *errors;
	uint32_t error_count;
	struct ruleset_stats stats;
	struct rule_group *groups;
	uint32_t group_count, group_cap;
	struct rule_database *databases;
	struct rule_table tables[2][CLASS_COUNT][2]; /* PHASE_PACKET, PHASE_STREAM; class; to_server */
	struct rule_app_groups apps[RULE_APPS_MAX];
	uint16_t event_group;         /* decode-event and stream-event rules */
	pcre2_code **codes;           /* [code_count] to be freed */
	uint32_t code_count, code_cap;
	char **names;                 /* of flow bits, host bits; index = id */
	uint32_t name_count, name_cap;
	uint64_t verify_steps_max, pcre_match_limit;
};

/* ---- hot ---- */

enum rule_counter {
	RULE_COUNTER_HITS,
	RULE_COUNTER_PASSED,
	RULE_COUNTER_SUPPRESSED,
	RULE_COUNTER_OVERFLOW,
	RULE_COUNTER_SCANS,
	RULE_COUNTER_SCAN_BYTES,
	RULE_COUNTER_SCAN_ERRORS,
	RULE_COUNTER_CANDIDATES,
	RULE_COUNTER_VERIFICATIONS,
	RULE_COUNTER_STEP_LIMIT,
	RULE_COUNTER_PCRE_LIMIT,
	RULE_COUNTER_FLOW_BITS_FULL,
	RULE_COUNTER_THRESHOLD_EVICTED,
	RULE_COUNTER_HOST_BITS_EVICTED,
	RULE_COUNTER_COUNT,
};

/** What a match may look at. */
struct rule_view {
	struct rule_matcher *matcher;
	const struct packet *packet;      /* may be NULL with a flow */
	struct flow *flow;                /* may be NULL */
	const struct rule_message *message;
	const uint8_t *payload;
	uint32_t payload_len;
	uint32_t seen_len;
	uint32_t unit_off;                /* of the payload: where a unit starts */
	bool to_server;
	uint8_t phase;
	uint8_t ip_version;
	uint8_t class;
	uint16_t sport, dport;
	struct ip_addr src, dst;
	uint64_t ts_ns;
	int64_t vars[RULE_VARS_MAX];
	uint32_t steps;                   /* spent on the rule at hand */
	uint32_t steps_max;
};

/** What one rule cost a worker since the set is in force. Written by the worker, read by any thread. */
struct rule_profile {
	_Atomic uint64_t checks;     /* times it was a candidate */
	_Atomic uint64_t matches;    /* times all of it held */
	_Atomic uint64_t alerts;
	_Atomic uint64_t ticks;      /* of the checks that were measured: every RULE_PROFILE_TURN'th of all rules' */
	_Atomic uint64_t measured;
};

enum { RULE_PROFILE_TURN = 64 };

struct rule_threshold_table;
struct rule_bit_table;

/** What outlives a reload. */
struct rule_memory {
	struct rule_threshold_table *thresholds;
	struct rule_bit_table *bits;
	size_t thresholds_len, bits_len; /* of their areas */
	_Atomic uint64_t counters[RULE_COUNTER_COUNT];
};

struct rule_matcher {
	struct ruleset *set;
	hs_scratch_t *scratch;
	pcre2_match_data *pcre_data;
	pcre2_match_context *pcre_context;
	uint64_t *bits;                   /* [rule_count / 64 + 1] candidates */
	uint64_t *summary;                /* a bit for each word of bits */
	uint32_t summary_words;
	uint32_t alerts_max;
	struct slab *slab;
	struct rule_memory *memory;
	struct rule_profile *profiles;    /* [rule_count] */
	uint32_t profile_turn;
	bool found;                       /* some bit is set */
};

static inline void
rule_count(const struct rule_view *view, enum rule_counter counter)
{
	counter_add(&view->matcher->memory->counters[counter], 1);
}

static inline void
rule_candidate_add(struct rule_matcher *matcher, uint32_t rule_idx)
{
	matcher->found = true;
	matcher->bits[rule_idx >> 6] |= UINT64_C(1) << (rule_idx & 63);
	matcher->summary[rule_idx >> 12] |= UINT64_C(1) << (rule_idx >> 6 & 63);
}

/** Hyperscan over some bytes, counted. rule_match.c */
void rule_scan(struct rule_view *view, const struct rule_database *database, const uint8_t *data, uint32_t len,
	match_event_handler on_match, void *arg);

/** Whether all buffers of a rule match. rule_verify.c */
bool rule_verify_buffers(struct rule_view *view, const struct rule *rule);
typedef bool (*rule_bytes_fn)(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg);
/** Calls fn on every instance of a record's or the payload's buffer until one says true. @return whether one did */
bool rule_buffer_each(struct rule_view *view, const struct rule_buffer *buffer, rule_bytes_fn fn, void *arg);
/** Whether a rule cannot match where this buffer is not there. */
bool rule_buffer_required(const struct rule_buffer *buffer);
/** Whether two buffers always hold the same bytes. */
bool rule_buffer_same(const struct rule_buffer *a, const struct rule_buffer *b);
/** Header, flow and state conditions. rule_match.c */
bool rule_addresses_match(const struct rule_addresses *set, uint8_t ip_version, const struct ip_addr *addr);
/** rule_state.c */
bool rule_state_conditions(const struct rule_view *view, const struct rule *rule);
void rule_state_actions(const struct rule_view *view, const struct rule *rule);
bool rule_threshold_allows(const struct rule_view *view, const struct rule *rule);
/** A pass rule released the flow: no later rule speaks of it. */
bool rule_flow_passed(const struct flow *flow);
void rule_flow_pass(const struct rule_view *view);
/** Sets a bit of the flow. @return whether it was not set before (true also when it cannot be kept) */
bool rule_flow_mark(const struct rule_view *view, uint32_t id);
int rule_memory_create(struct rule_memory **out, const struct rule_config *config);
void rule_memory_destroy(struct rule_memory *memory);

/* ---- cold ---- */

/** Keeps a rule that was read. @return 0 or -ENOMEM */
int rule_set_add(struct ruleset *set, struct rule *rule);
/** Frees the expression with the set. @return 0 or -ENOMEM (the caller still owns it) */
int rule_set_keep_pcre(struct ruleset *set, pcre2_code *code);
/** Where the rule of a sid is or would be kept, NULL without memory. */
struct rule **rule_by_sid(struct ruleset *set, uint32_t gid, uint32_t sid);
/** Sorts the rules, makes groups and tables. rule_compile.c @return 0 or -ENOMEM */
int rule_compile(struct ruleset *set, const char *cache_dir);

/** How a rule on payload is found in a group. rule_plan.c */
enum rule_plan_kind { PLAN_ALWAYS, PLAN_INDEX, PLAN_LITERAL, PLAN_PCRE };

struct rule_plan {
	uint8_t kind;
	uint8_t len;                   /* PLAN_INDEX: bytes the compare needs */
	uint32_t offset;               /* PLAN_INDEX */
	uint64_t value, mask;          /* PLAN_INDEX, little endian from offset on */
	const struct rule_node *node;  /* PLAN_LITERAL, PLAN_PCRE */
	uint32_t from, count;          /* PLAN_LITERAL: the part of the content */
};

void rule_plan_make(const struct rule *rule, struct rule_plan *out);
/** The rarest literal of one buffer that Hyperscan finds cheaply. @return how rare it is, 0: there is none */
unsigned int rule_plan_literal(const struct rule_buffer *buffer, struct rule_plan *out);

int rule_patterns_add(struct rule_patterns *patterns, const struct rule_plan *plan, uint32_t rule_idx);
void rule_patterns_free(struct rule_patterns *patterns);
/** Takes the patterns' contents for a database that rule_databases_build() makes. @return 0 or -ENOMEM */
int rule_database_add(struct ruleset *set, struct rule_patterns *patterns, const struct rule_database **out);
/** Loads or compiles all databases of the set, on two threads where there is much to do. Patterns that Hyperscan refuses
 *  are left out and named in .refused. @return 0 or -ENOMEM */
int rule_databases_build(struct ruleset *set, const char *cache_dir);
void rule_databases_free(struct ruleset *set);

/** Compiled databases on disk. rule_cache.c @return the database, or NULL */
struct rule_cache_count {
	uint32_t loaded, stored, discarded;
};
hs_database_t *rule_cache_load(const char *dir, const uint8_t digest[32], struct rule_cache_count *count);
void rule_cache_store(const char *dir, const uint8_t digest[32], const hs_database_t *db, struct rule_cache_count *count);
int rule_name_id(struct ruleset *set, const char *name, size_t len, uint32_t *id);

#endif
