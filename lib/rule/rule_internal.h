/*
 * What the files of this folder share: the groups of rules as they were compiled, the view a match works
 * on. Not for other folders.
 */
#ifndef MR_RULE_INTERNAL_H
#define MR_RULE_INTERNAL_H

#include <string.h>

#include <hs/hs.h>
#include <libpsl.h>
#include <stdatomic.h>

#include "lib/base/hash.h"
#include "lib/rule/rule_parsed.h"

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

/* ---- groups: rules that share protocol, direction and port ---- */

/** Rules found by one byte at an offset from the start of the payload's unit: links that follow one another, of each byte that has any. */
struct rule_index {
	uint64_t has[4];              /* a bit for each byte */
	uint8_t before[4];            /* bits in the words in front */
	uint32_t offset;
	const uint32_t *starts;       /* [bits + 1] into links, by the byte's turn among them */
};

/** What is looked at before a rule that nothing finds becomes a candidate. */
struct rule_gate {
	uint32_t rule_idx;
	uint32_t len_min, len_max;    /* of the payload */
};

/** Up to 8 bytes at a fixed place of a unit, little endian. */
struct rule_word {
	uint64_t value, mask;
	uint32_t offset;
	uint8_t len;                  /* bytes the compare needs; 0: there is nothing to compare */
};

/** A rule that an index finds, and what is compared before it is a candidate. */
struct rule_link {
	struct rule_word first;       /* at the index's offset */
	struct rule_word more;
	uint32_t rule_idx;
};

/** Patterns of a database, until it is compiled. rule_database.c */
struct rule_patterns {
	const char **texts;           /* [count] Hyperscan's syntax, owned */
	unsigned int *flags;
	uint32_t *rules;              /* what each stands for */
	uint32_t count, cap;
	uint32_t len_min;
	uint32_t reach;
};

struct rule_database {
	hs_database_t *db;
	uint32_t *rules;              /* by Hyperscan id */
	uint32_t pattern_count;
	uint32_t len_min;             /* shorter payloads cannot match */
	uint32_t reach;               /* bytes of the longest match; UINT32_MAX: it has no bound */
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
	uint32_t always_count;        /* no way to choose: verified each time that their gate lets them */
	uint32_t index_count;
	const struct rule_gate *always;
	const struct rule_index *indexes;
	const struct rule_link *links;
	const struct rule_database *database;
	const struct rule_app *app;   /* asked with records of this protocol and direction; NULL: with payload */
	const struct rule_records *records; /* with app: instead of all above */
	bool to_server;
	uint32_t rule_count;
	const uint32_t *rules;        /* all of the group, ascending */
};

enum {
	RULE_PORT_PAGE = 256,
	RULE_PORT_PAGES = RULE_PORTS / RULE_PORT_PAGE,
	RULE_PORT_MIXED = 0x8000,     /* + index into pages, which is below RULE_PORT_PAGES: its ports have several groups */
	RULE_GROUPS_MAX = RULE_PORT_MIXED,
};

/** Groups by port, in pages: few rules name ports, so that most pages have one group for all, and equal ones of the others are one. */
struct rule_port_map {
	uint16_t group_of[RULE_PORT_PAGES]; /* index into groups, RULE_GROUP_NONE, RULE_PORT_MIXED */
	const uint16_t (*pages)[RULE_PORT_PAGE];
};

/** @param map  NULL: no rule has such a port */
static inline uint16_t
rule_port_group(const struct rule_port_map *map, uint16_t port)
{
	if (map == NULL)
		return RULE_GROUP_NONE;
	unsigned int group = map->group_of[port / RULE_PORT_PAGE], page = group - RULE_PORT_MIXED;

	return page < RULE_PORT_PAGES ? map->pages[page][port % RULE_PORT_PAGE] : (uint16_t)group;
}

/** @param by_port  [RULE_PORTS] @return 0 or -ENOMEM. rule_ports.c */
int rule_port_map_make(struct rule_arena *arena, const uint16_t *by_port, const struct rule_port_map **out);

/** The groups a packet of one class, direction and phase may meet. */
struct rule_table {
	const struct rule_port_map *by_dst; /* NULL: no rule has such a port */
	const struct rule_port_map *by_src;
	uint16_t any;                 /* rules without ports */
	uint16_t once;                /* RULE_ONCE rules */
	bool empty;
};

/**
 * Which way data goes: whether its ends are in $HOME_NET. Most rules of public sets ask for data that crosses its border, and most of
 * what a plant sends does not: each way has tables of its own. Where HOME_NET is any address, or no rule names it, all is route 0.
 */
enum rule_route { ROUTE_FROM_OUTSIDE = 1, ROUTE_TO_OUTSIDE = 2, RULE_ROUTES = 4 };

/** Route; PHASE_PACKET, PHASE_STREAM; class; to_server. What has no addresses is on route 0. */
struct rule_tables {
	struct rule_table of[RULE_ROUTES][2][CLASS_COUNT][2];
};

/** The rules that wait for one named event of a protocol. */
struct rule_event_rules {
	uint32_t count;
	const struct rule_event_rule {
		uint32_t rule_idx;
		uint16_t mute_bit;
	} *rules;
};

struct rule_app_groups {
	uint16_t group[2];            /* by direction, 1 to the server */
	uint16_t once[2];
	uint16_t files[2];            /* asked of files */
	uint8_t file_hashes[2];       /* sums that they need: 1 << enum file_hash */
	const struct rule_records *records[2]; /* of group */
	uint64_t event_mask[2];       /* events that some rule waits for */
	bool transactions;            /* some rule with => looks into requests when they are answered */
	const struct rule_event_rules *events[2]; /* [RULE_APP_EVENT_MAX] by the event's bit */
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
	const struct rule_addresses *home; /* what divides routes; NULL: all is route 0 */
	struct rule_tables tables;    /* of rules that no protocol has to be recognised for */
	struct rule_tables *app_tables; /* [app_count] of those that look at the bytes of a protocol's flows; NULL: there are none */
	uint64_t tabled_apps;         /* bit i: app_tables[i] has rules */
	struct rule_app_groups apps[RULE_APPS_MAX];
	uint16_t event_group;         /* decode-event and stream-event rules */
	pcre2_code **codes;           /* [code_count] to be freed */
	uint32_t code_count, code_cap;
	char **names;                 /* of flow bits, host bits; index = id */
	uint32_t name_count, name_cap;
	uint64_t verify_steps_max, pcre_match_limit;
	bool has_classes;             /* classification-file is given: a class that it lacks is a slip */
	const struct rule_transforms *transforms; /* every list in use */
	struct rule_dataset_decl *datasets;
	struct rule_reputation *reputation; /* NULL: none */
	struct rule_geoip *geoip;     /* NULL: none */
	psl_ctx_t *suffixes;          /* of domain and tld; NULL: no rule asks */
	bool quiet_flows;             /* some config rule silences whole flows */
	bool flow_vars;               /* some expression captures for its flow, or a buffer's entropy is asked */
	bool needs_scratch;           /* some buffer is transformed or decoded */
	bool packet_rules;            /* some rule is asked of packets */
};

/* ---- hot ---- */

enum rule_counter {
	RULE_COUNTER_HITS,
	RULE_COUNTER_PASSED,
	RULE_COUNTER_SUPPRESSED,
	RULE_COUNTER_MUTED,
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
	RULE_COUNTER_VARS_EVICTED,
	RULE_COUNTER_CAPTURES_SHED,
	RULE_COUNTER_METADATA_SHED,
	RULE_COUNTER_DATASET_FULL,
	RULE_COUNTER_TAGS_EVICTED,
	RULE_COUNTER_COUNT,
};

enum rule_news { NEWS_NOT_ASKED, NEWS_YES, NEWS_NO };

/** Ids of flow bits that no name has. */
enum {
	FLOW_BIT_PROTOCOL = 0xfffe0000, /* + 2 * flow.app_proto + direction: rules were told of it */
	FLOW_BIT_PROTOCOL_MASK = 0xffff,
	FLOW_BIT_ONCE_APP = 0xfffffff0, /* and the next: the first message of a direction was seen */
	FLOW_BIT_QUIET = 0xfffffff2,    /* a config rule: nothing of the flow is logged from here on */
};

/** What a match may look at. */
struct rule_view {
	struct rule_matcher *matcher;
	const struct packet *packet;      /* may be NULL with a flow */
	struct flow *flow;                /* may be NULL */
	const struct rule_message *message;
	const uint64_t *muted;            /* rule_muted(); NULL: not looked up yet */
	uint32_t tx;                      /* PHASE_MESSAGE: the transaction, a number of the flow's */
	const uint8_t *payload;
	uint32_t payload_len;
	uint32_t seen_len;
	uint32_t unit_off;                /* of the payload: where a unit starts */
	uint32_t again_len;               /* bytes before seen_len that are searched again */
	uint32_t first_hit;               /* the first byte that any pattern found so far may begin with */
	bool from_start;                  /* places count from the payload's first byte as well as from unit_off */
	bool unsettled;                   /* a rule that a pattern found may find its other parts later */
	uint8_t protocol_news;            /* enum rule_news: whether the protocol became known in this packet */
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
	uint32_t decoded_len;             /* BUFFER_BASE64, in the scratch */
	bool decoded;
	uint16_t captured_count;          /* by the rule at hand, in the matcher behind those of the packet */
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

/** In rule_view.tx: a message that no other belongs to. */
#define RULE_TX_ALONE UINT32_C(0x80000000)

/** What an expression captured, cut to RULE_CAPTURED_LEN_MAX. */
struct rule_captured {
	uint64_t flow_id;    /* of a flow's; 0: of the packet at hand */
	uint32_t id;
	uint16_t len;
	bool alert;          /* for the alert of the rule that captured it, and no other */
	bool json;           /* bytes: a struct rule_captured_json */
	uint8_t bytes[RULE_CAPTURED_LEN_MAX];
};

/** JSON text of a data set, which outlives the packet. */
struct rule_captured_json {
	const uint8_t *text;
	uint32_t len;
};

struct rule_tag_table;
struct rule_var_table;
struct rule_threshold_table;
struct rule_bit_table;
struct rule_scratch;

/** What outlives a reload. */
struct rule_memory {
	struct rule_threshold_table *thresholds;
	struct rule_bit_table *bits;
	struct rule_tag_table *tags;
	struct rule_var_table *vars; /* captured for flows */
	size_t thresholds_len, bits_len; /* of their areas */
	uint32_t messages;           /* that are transactions of their own, so far */
	uint32_t swaps;              /* of rule sets, so far */
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
	const struct flow_table *flows;   /* NULL: not known */
	struct rule_memory *memory;
	struct rule_profile *profiles;    /* [rule_count] */
	uint32_t profile_turn;
	bool found;                       /* some bit is set */
	uint16_t captured_count;          /* of the packet, by rules that fired */
	uint64_t captured_frame;          /* the packet's */
	rule_scan_fn on_scan;             /* NULL: nobody watches */
	void *on_scan_arg;
	struct rule_scratch *scratch_bytes; /* of transforms; NULL where no rule needs one */
	struct rule_captured captured[RULE_CAPTURED_MAX]; /* the last, as it is large and rarely looked at */
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

/** Adds the candidates of a group that is asked with payload. @param group_idx  not RULE_GROUP_NONE. rule_candidates.c */
void rule_group_candidates(struct rule_view *view, uint16_t group_idx);

/** The class of packets whose header of that IP protocol could be read. rule_match.c */
extern const uint8_t rule_class_of_ip_proto[256];

/** Hyperscan over some bytes, counted. */
static inline void
rule_scan(struct rule_view *view, const struct rule_database *database, const uint8_t *data, uint32_t len,
	match_event_handler on_match, void *arg)
{
	struct rule_matcher *matcher = view->matcher;

	rule_count(view, RULE_COUNTER_SCANS);
	counter_add(&matcher->memory->counters[RULE_COUNTER_SCAN_BYTES], len);
	if (matcher->on_scan != NULL)
		matcher->on_scan(matcher->on_scan_arg, database->db, data, len);
	if (hs_scan(database->db, (const char *)data, len, 0, matcher->scratch, on_match, arg) != HS_SUCCESS)
		rule_count(view, RULE_COUNTER_SCAN_ERRORS);
}

/** Whether everything a rule asks holds for the view. rule_holds.c */
bool rule_holds(struct rule_view *view, const struct rule *rule);
/** Whether all buffers of a rule match. rule_verify.c */
bool rule_verify_buffers(struct rule_view *view, const struct rule *rule);
typedef bool (*rule_bytes_fn)(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg);
/** Calls fn on every instance of a buffer, transformed, until one says true. rule_bytes.c @return whether one did */
bool rule_buffer_each(struct rule_view *view, const struct rule_buffer *buffer, rule_bytes_fn fn, void *arg);
/** The bytes of a text field of one record. false: it is not present */
bool rule_field_bytes(const struct field *field, const uint8_t *base, const void *record, const uint8_t **data, uint32_t *len);
/** Whether a rule cannot match where this buffer is not there. */
bool rule_buffer_required(const struct rule_buffer *buffer);
/** Whether two buffers always hold the same bytes. */
bool rule_buffer_same(const struct rule_buffer *a, const struct rule_buffer *b);
/** Header, flow and state conditions. rule_holds.c */
bool rule_addresses_match(const struct rule_addresses *set, uint8_t ip_version, const struct ip_addr *addr);
/** Forgets what was captured of another frame. */
static inline void
rule_captures_begin(struct rule_matcher *matcher, uint64_t frame)
{
	if (matcher->captured_frame != frame)
		matcher->captured_count = 0;
	matcher->captured_frame = frame;
}

/** rule_tags.c */
void rule_tag_begin(const struct rule_view *view, const struct rule_tag *tag);
int rule_tags_create(struct rule_tag_table **out);
void rule_tags_destroy(struct rule_tag_table *table);
/** rule_vars.c: keeps a group's bytes for the rule at hand; those of its captures when it fired. */
void rule_capture(struct rule_view *view, const struct rule_capture *capture, const uint8_t *data, size_t len);
void rule_captures_keep(struct rule_view *view);
/** The same of JSON text that the alert tells as a member of its context. */
void rule_capture_json(struct rule_view *view, uint32_t id, const uint8_t *text, uint32_t len);
/** Keeps a number for the flow. */
void rule_var_put_number(struct rule_view *view, uint32_t id, double number);
/** The value of a flow's or the packet's variable, NULL: not set. */
const struct rule_captured *rule_var_find(const struct rule_view *view, const struct rule_state *state);
/** The vars of rule_metadata_json(). */
void rule_vars_json(const struct rule_matcher *matcher, const struct flow *flow, bool packet, struct buf *out);
int rule_vars_create(struct rule_var_table **out);
void rule_vars_destroy(struct rule_var_table *table);
/** rule_state.c */
bool rule_state_conditions(const struct rule_view *view, const struct rule *rule);
void rule_state_actions(const struct rule_view *view, const struct rule *rule);
/** @param action  the rule's, changed by a rate_filter that its rate has set off */
bool rule_threshold_allows(const struct rule_view *view, const struct rule *rule, uint8_t *action);
/** Whether all that such a rule does when it matches is to speak, as often as its threshold lets it. */
bool rule_may_mute(const struct rule *rule);
/** A pass rule released the flow: no later rule speaks of it. */
bool rule_flow_passed(const struct flow *flow);
void rule_flow_pass(const struct rule_view *view);
/** Sets a bit of the flow. @return whether it was not set before (true also when it cannot be kept) */
bool rule_flow_mark(const struct rule_view *view, uint32_t id);
bool rule_flow_marked(const struct flow *flow, uint32_t id);
/** What the tables of hosts and of thresholds share: sets of RULE_TABLE_WAYS entries, found by addresses. */
enum { RULE_TABLE_WAYS = 8 };

static inline uint32_t
rule_addrs_hash(uint32_t seed, const struct ip_addr addr[2])
{
	uint32_t hash = hash_u64(seed, addr[0].halves[0]);

	hash = hash_u64(hash, addr[0].halves[1]);
	hash = hash_u64(hash, addr[1].halves[0]);
	return hash_u64(hash, addr[1].halves[1]);
}

/** Both ends, the same whichever way the packet goes. */
static inline void
rule_addrs_pair(const struct rule_view *view, struct ip_addr pair[2])
{
	bool swap = memcmp(&view->dst, &view->src, sizeof(view->dst)) < 0;

	pair[0] = swap ? view->dst : view->src;
	pair[1] = swap ? view->src : view->dst;
}

static inline uint32_t
rule_table_mask(uint64_t entries)
{
	uint32_t sets = 1;

	while ((uint64_t)sets * RULE_TABLE_WAYS < entries && sets < 1u << 24)
		sets *= 2;
	return sets - 1;
}

/** rule_threshold.c @return 0 or -ENOMEM */
int rule_thresholds_create(struct rule_memory *memory, uint64_t entries_max);
void rule_thresholds_destroy(struct rule_memory *memory);
/** rule_state.c */
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
	struct rule_word first, more;  /* PLAN_INDEX */
	const struct rule_node *node;  /* PLAN_LITERAL, PLAN_PCRE */
	uint32_t from, count;          /* PLAN_LITERAL: the part of the content */
	uint32_t reach;                /* PLAN_PCRE: bytes of the longest match; UINT32_MAX: it has no bound */
};

void rule_plan_make(const struct rule *rule, struct rule_plan *out);
/** The gate of a rule of packets or streams. */
struct rule_gate rule_gate_of(const struct rule *rule, uint32_t rule_idx);
/** The rarest literal of one buffer that Hyperscan finds cheaply. @return how rare it is, 0: there is none */
unsigned int rule_plan_literal(const struct rule_buffer *buffer, struct rule_plan *out);
/** What a few rules are searched for together in a short text: a literal, an expression. @return whether there is one */
bool rule_plan_search(const struct rule_buffer *buffer, struct rule_plan *out);

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
	uint32_t refused; /* the folder could not be made */
};
hs_database_t *rule_cache_load(const char *dir, const uint8_t digest[32], struct rule_cache_count *count);
void rule_cache_store(const char *dir, const uint8_t digest[32], const hs_database_t *db, struct rule_cache_count *count);
/** Makes the sets of values; those that rules add to are taken over from the set before. keyword_dataset.c @return 0,
 *  -E2BIG or -ENOMEM */
int rule_datasets_build(struct ruleset *set, const struct ruleset *previous);
void rule_datasets_free(struct ruleset *set);
int rule_name_id(struct ruleset *set, const char *name, size_t len, uint32_t *id);
/** Names that are not bits have their kind as first character, so that the same word may name several things. */
enum rule_name_kind { RULE_NAME_BIT, RULE_NAME_FLOW_INT, RULE_NAME_FLOW_VAR, RULE_NAME_PKT_VAR, RULE_NAME_ALERT_VAR, RULE_NAME_ENTROPY,
	RULE_NAME_TX_BIT, RULE_NAME_KIND_COUNT };
int rule_kind_id(struct ruleset *set, enum rule_name_kind kind, const char *name, uint32_t *id);

static inline enum rule_name_kind
rule_name_kind(const char *name)
{
	return (uint8_t)name[0] < RULE_NAME_KIND_COUNT ? (enum rule_name_kind)name[0] : RULE_NAME_BIT;
}

#endif
