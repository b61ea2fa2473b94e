/*
 * Rules in Suricata's language: read, compiled into Hyperscan databases by protocol, direction and
 * port, and matched against packets, stream data and protocol records.
 *
 * struct ruleset is an immutable snapshot shared by all workers (reference counted). struct
 * rule_matcher is one worker's view of one snapshot: scratch memory and the state that outlives a
 * reload (thresholds, host bits), which rule_matcher_inherit() moves from the old matcher to the new.
 *
 * Reload: build a new ruleset with the old one as `previous` (names of flow bits keep their ids), make a
 * matcher for each worker, hand them over; each worker calls rule_matcher_inherit() between bursts and
 * gives the old matcher back to the control thread, which destroys it. The old ruleset goes when its
 * last reference does: whoever still reads rule_meta of its hits (the exporter) holds one.
 */
#ifndef MR_RULE_RULE_H
#define MR_RULE_RULE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/base/slab.h"
#include "lib/config/config.h"
#include "lib/file/file.h"
#include "lib/rule/rule_app.h"

struct packet;
struct flow;
struct ruleset;
struct rule_matcher;

enum {
	RULE_HITS_MAX = 64,         /* of one call, whatever detect.packet-alert-max says */
	RULE_ERRORS_MAX = 1000,     /* refused rules kept with their reasons; all are counted */
	RULE_APPS_MAX = 64,
	RULE_ANY_PROTO = UINT16_MAX,
};

enum rule_action { RULE_ALERT, RULE_PASS, RULE_DROP, RULE_REJECT, RULE_CONFIG };

/** Filled from rule_knobs. */
struct rule_config {
	json_t *rule_files;            /* list of files, directories, globs */
	const char *default_rule_path; /* relative names are looked up below it, then as they are */
	const char *classification_file;
	const char *reference_file;
	const char *threshold_file;
	const char *cache_dir;         /* "": compiled groups are not kept */
	const char *dataset_dir;       /* "": no rule saves its sets */
	const char *reputation_categories_file, *reputation_path; /* "": none */
	json_t *reputation_files;      /* list of names below reputation_path */
	const char *geoip_database;    /* "": none */
	json_t *address_groups;        /* vars.address-groups */
	json_t *port_groups;           /* vars.port-groups */
	uint64_t alerts_max;           /* of one packet, stream chunk or message */
	uint64_t verify_steps_max;     /* comparisons spent on one rule and buffer */
	uint64_t pcre_match_limit;
	uint64_t thresholds_max;       /* tracked (rule, address) pairs of a worker */
	uint64_t host_bits_max;        /* tracked (address, bit) pairs of a worker */
	bool failure_fatal;            /* the sensor does not start where a rule is refused */
	uint32_t errors_max;           /* refused rules kept with their reasons; 0: RULE_ERRORS_MAX. No key of the file */
};

extern const struct knob_table rule_knob_table;

/** What a protocol is carried by. */
enum rule_transport { RULE_OVER_TCP = 1, RULE_OVER_UDP = 2, RULE_OVER_ETHERNET = 4 };

/** What the rules may speak of; borrowed for the life of the ruleset. */
struct rule_world {
	const struct rule_app *const *apps; /* [app_count]; an app's index is its position */
	unsigned int app_count;
	/** The bit of a named event in packet.decode_events ("ipv4.trunc_pkt") and .stream_events
	 *  ("pkt_invalid_timestamp"); -1: no such event. NULL: none are known. */
	int (*decode_event_find)(const char *name);
	int (*stream_event_find)(const char *name);
	bool flow_rates; /* flows' rates are followed: flow.elephant may hold */
	const uint8_t *app_transports; /* [app_count] enum rule_transport, or-ed; 0: not known. NULL: of none */
};

/** A rule that was not loaded. */
struct rule_error {
	char *file;           /* as it was opened */
	unsigned int line;    /* of the fault, which a rule of several lines may have in any of them; 1 is the first */
	unsigned int column;  /* of the fault, in bytes of that line; 1 is the first */
	uint32_t sid;         /* 0: not known */
	char keyword[48];     /* "" where the header is at fault */
	char reason[208];
};

enum { RULE_SID_TEXT_LEN = 24 };

struct ruleset_stats {
	uint32_t rules_loaded;
	uint32_t rules_failed;
	uint32_t rules_disabled;    /* commented-out rules are not counted; rules a `requires` excludes are */
	uint32_t thresholds_failed; /* lines of threshold-file that are not understood */
	uint32_t thresholds_idle;   /* lines about a rule that is not loaded */
	uint32_t groups;            /* port groups with at least one rule */
	uint32_t databases;         /* Hyperscan databases in use, after sharing of equal ones */
	uint32_t cache_loaded;
	uint32_t cache_stored;
	uint32_t cache_discarded;   /* files found damaged or foreign */
	uint32_t compile_ms;
	uint64_t database_bytes;
};

/** What an alert event says of its rule. Texts are owned by the ruleset. */
struct rule_meta {
	uint32_t sid, gid, rev;
	uint8_t action;             /* enum rule_action */
	uint8_t severity;           /* EVE alert.severity: the priority, 1 is the most urgent */
	const char *msg;            /* "" without one */
	const char *category;       /* the class's description, "" without a class */
	const char *classtype;      /* "" without one */
	const char *metadata_json;  /* {"key":["value",…]} or NULL: EVE alert.metadata */
	const char *references_json; /* ["scheme,value",…], addresses where reference.config has the scheme; or NULL */
	const char *target;         /* "src_ip", "dest_ip" or NULL */
	const char *text;           /* the rule as it was written */
	const char *file;
	uint32_t line;
	bool first;                 /* of its text: file.data of a rule without a protocol makes a rule for each that carries files */
};

/* ---- cold: control thread ---- */

/**
 * Reads, compiles and freezes a rule set. Bad rules never stop the others: see ruleset_errors().
 *
 * @param out       the snapshot with one reference, owned by the caller
 * @param config    borrowed for the call
 * @param world     copied; what it points to must outlive the ruleset
 * @param previous  the set in force, or NULL: flow bits keep their ids; borrowed for the call
 * @param err       set on failure: a file that is not there, a classification line that is wrong, no memory
 * @return 0, -ENOENT, -EINVAL or -ENOMEM
 */
int ruleset_create(struct ruleset **out, const struct rule_config *config, const struct rule_world *world,
	const struct ruleset *previous, struct config_error *err);
/** As ruleset_create() with the text of one rule file instead of config->rule_files (tests, `rules check -`). */
int ruleset_create_text(struct ruleset **out, const char *name, const char *text, const struct rule_config *config,
	const struct rule_world *world, struct config_error *err);
/** One more reference. Thread: any. */
struct ruleset *ruleset_ref(struct ruleset *ruleset);
/** Gives a reference back; the last one destroys. NULL is accepted. Thread: any but a worker's (it frees). */
void ruleset_destroy(struct ruleset *ruleset);

const struct ruleset_stats *ruleset_stats_get(const struct ruleset *ruleset);
/** The refused rules, in file order. @param count out. Borrowed. */
const struct rule_error *ruleset_errors(const struct ruleset *ruleset, unsigned int *count);
/** " (sid 5)", or "" where it is not known. @return out */
const char *rule_error_sid(const struct rule_error *error, char out[RULE_SID_TEXT_LEN]);
/** Rules as they are asked: some texts are several (rule_meta.first). ruleset_stats_get() counts texts. */
unsigned int ruleset_count(const struct ruleset *ruleset);
/** @param rule_idx below ruleset_count(); rules are in order of precedence: action, priority, sid. */
const struct rule_meta *ruleset_meta(const struct ruleset *ruleset, uint32_t rule_idx);
/** How a rule is compiled: group, buffer, fast pattern, what is left to verify. Text lines into out.
 *  @return 0 or -ENOENT. */
int ruleset_explain(const struct ruleset *ruleset, uint32_t gid, uint32_t sid, struct buf *out);
/** Tells of rules that can never fire and of those that cost much; arg is handed through. @return how many were told */
unsigned int ruleset_warnings(const struct ruleset *ruleset,
	void (*warn)(const struct rule_meta *meta, const char *text, void *arg), void *arg);
/** The reference page of the keywords (Markdown). */
void rule_reference(struct buf *out);

/**
 * A worker's matcher over a snapshot.
 *
 * @param ruleset  a reference is taken and held until rule_matcher_destroy()
 * @param slab     the worker's memory for flow->rule_state; NULL: flow bits are never kept
 * @return 0 or -ENOMEM
 */
int rule_matcher_create(struct rule_matcher **out, struct ruleset *ruleset, const struct rule_config *config,
	struct slab *slab);
void rule_matcher_destroy(struct rule_matcher *matcher);
/** Counter indexes and names ("rule.hits"); values belong to the matcher, inherited on reload. */
struct counter_set rule_matcher_counters(struct rule_matcher *matcher);
extern const struct counter_table rule_counter_table;
struct ruleset *rule_matcher_ruleset(const struct rule_matcher *matcher);

struct flow_table;

/** Whose flows they are: of more than FLOW_PACKETS_MAX packets it knows the number. @param flows  NULL: the flow's own count is taken */
void rule_matcher_count_flows(struct rule_matcher *matcher, const struct flow_table *flows);

/** Called with each block of bytes before it is scanned. @param database  hs_database_t of the ruleset */
typedef void (*rule_scan_fn)(void *arg, const void *database, const uint8_t *data, uint32_t len);
/** Watches what Hyperscan is given, for a benchmark that gives it the same again. @param fn  NULL: no more */
void rule_matcher_watch_scans(struct rule_matcher *matcher, rule_scan_fn fn, void *arg);

/** What one rule cost since its set is in force. */
struct rule_usage {
	uint64_t checks;   /* times its search made it a candidate */
	uint64_t matches;  /* times all of it held, thresholds and bits that hold back its alert apart */
	uint64_t alerts;
	uint64_t ticks;    /* of the checks that were measured, in cycles of the time stamp counter (x86), else ns */
	uint64_t measured; /* one check in 64, of whatever rule */
};

/** Adds a rule's use by this matcher to *sum. @param rule_idx below ruleset_count() of its set. Thread: any. */
void rule_matcher_usage(const struct rule_matcher *matcher, uint32_t rule_idx, struct rule_usage *sum);

/* ---- hot: the owning worker ---- */

/** Moves thresholds, host bits and counters of `from` into `to`, whose own are given to `from`. No allocation. */
void rule_matcher_inherit(struct rule_matcher *to, struct rule_matcher *from);

/** A rule that fired, after flow bits, thresholds and pass rules. */
struct rule_hit {
	uint32_t rule_idx;
	uint32_t sid;
	const struct rule_meta *meta; /* valid as long as the ruleset */
	uint8_t action;               /* enum rule_action; never RULE_PASS */
	bool stream;                  /* found in reassembled data, not in one packet */
	uint16_t captured_from, captured_count; /* what its expressions captured, for rule_context_json() */
};

/** Lent by the caller; a call appends in order of precedence. */
struct rule_hits {
	struct rule_hit hit[RULE_HITS_MAX];
	uint16_t count;
	uint16_t dropped;             /* hits beyond detect.packet-alert-max; also counted */
	bool quiet;                   /* a config rule says: the record is not logged */
};

static inline void
rule_hits_reset(struct rule_hits *hits)
{
	hits->count = 0;
	hits->dropped = 0;
	hits->quiet = false;
}

/**
 * Rules over one packet: headers, its own payload (UDP, ICMP, other IP protocols, tcp-pkt), packet.decode_events
 * and .stream_events, ARP, address-only rules (once a flow and direction). Call once for every packet, after the
 * flow, its TCP state and the stream have seen it. A pass rule on the packet silences stream and message rules too,
 * whichever is called first.
 *
 * @param flow  the packet's flow, or NULL
 */
void rule_match_packet(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow,
	struct rule_hits *hits);

/** Whether a tag that an earlier alert set takes this packet: it is kept with the alert. Once for every packet, behind
 *  rule_match_packet(). @param flow  or NULL */
bool rule_packet_tagged(struct rule_matcher *matcher, const struct packet *packet, const struct flow *flow);

/** Reassembled bytes of one direction of a TCP flow. */
struct rule_chunk {
	const uint8_t *data;
	uint32_t len;
	uint32_t seen_len;    /* leading bytes that an earlier chunk showed already: the beginning of a PDU that was
	                         not complete. A rule fires only on a match that reaches beyond seen_len */
	uint32_t unit_off;    /* at most seen_len: where offset and depth count from. 0, or seen_len when the bytes seen
	                         before are only kept so that patterns may straddle (no protocol was recognised) */
	uint64_t offset;      /* of data[0] in the direction's stream; 0 with a unit_off above 0: places count from the
	                         stream's beginning too */
	uint32_t again_len;   /* what the call before returned of the direction; 0: nothing before, or not known */
	bool to_server;
};

/** The most bytes before new ones that patterns are searched for in again: of longer PDUs, contents of one rule that lie
 *  further apart are found only where they came together. */
enum { RULE_AGAIN_MAX = 16 * 1024 };

/**
 * Payload rules over reassembled data: each byte of a stream is given once as new (after seen_len).
 *
 * @param packet  the packet whose arrival released the bytes; its addresses are used when its direction is
 *                the chunk's, the flow's otherwise; NULL: the flow's always
 * @return how many bytes at the end of the data some rule has found a part of itself in whose other parts may be still to
 *         come: again_len of the next call
 */
uint32_t rule_match_stream(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow,
	const struct rule_chunk *chunk, struct rule_hits *hits);

/** A record of a protocol, as proto_deliver() hands it on. */
struct rule_message {
	unsigned int app_idx;
	const void *record;   /* blob; NULL: only events */
	uint64_t events;      /* a bit for each row of rule_app.events */
	uint64_t undecided;   /* presence bits of the record's root that another message sets or leaves clear: not absent here */
	uint64_t known;       /* presence bits of the record's root that rules were asked of before: they hold beside what is new, not alone */
	const void *before;   /* of an answer: the record as rules were asked of it when its request came; NULL: they were not */
	uint64_t asked;       /* where before is not kept: presence bits of the root that rules were asked of with the request; 0: they were not */
	const uint8_t *pdu;   /* the bytes it came from, for rules that also have plain content; NULL: such do not fire */
	uint32_t pdu_len;
	uint32_t tx_id;       /* of the protocol's transaction; 0: the message is one of its own */
	bool to_server;
	const struct file *file; /* what the message carries, or a part of it; NULL: nothing that is a file */
	uint8_t file_news;    /* enum file_news: which rules about files are asked; 0: none */
	bool file_only;       /* no others: they were asked of the message before */
};

/** Rules of an app protocol over one message: fields, sticky buffers, own keywords, app-layer-event. */
void rule_match_message(struct rule_matcher *matcher, const struct packet *packet, struct flow *flow,
	const struct rule_message *message, struct rule_hits *hits);

/** Asks for what the next message of a flow's direction is looked up in, some packets before it comes.
 *  @param rule_state  the flow's, which is at hand; NULL: it has none */
static inline void
rule_flow_prefetch(const void *rule_state, bool to_server)
{
	const void *const *mutes = rule_state;

	if (mutes != NULL)
		__builtin_prefetch(mutes[to_server]);
}

/** Frees flow->rule_state. Call when a flow ends. */
void rule_flow_end(struct rule_matcher *matcher, struct flow *flow);

/** EVE members of an alert or a flow: "metadata":{"pktvars":...,"flowvars":...,"entropy":...,"flowbits":[...],"flowints":{...}} and, of flow bits
 *  traffic/id/NAME and traffic/label/NAME, "traffic":{"id":[...],"label":[...]}, of which what there is; nothing at all leaves out
 *  empty. @param flow  or NULL  @param packet  with the packet's variables: right after the rule_match_ call that fired */
void rule_metadata_json(const struct rule_matcher *matcher, const struct flow *flow, bool packet, struct buf *out);

/** EVE alert.context of a hit: {"NAME":"what a group captured",…}; nothing leaves out empty. Right after the rule_match_ call that
 *  fired. */
void rule_context_json(const struct rule_matcher *matcher, const struct rule_hit *hit, struct buf *out);

enum rule_want { RULE_WANTS_TO_CLIENT = 1, RULE_WANTS_TO_SERVER = 2, RULE_WANTS_PACKETS = 4, RULE_WANTS_ALL = 7 };

/** What of a flow some rule could match: stream data of a direction; packets, apart from the first of a direction and those with
 *  events. Bits of enum rule_want. Nothing: its bytes need not be reassembled for the rules.
 *  @param app_proto  as in the flow: rules of other protocols do not want it; RULE_ANY_PROTO: it may still be any */
unsigned int rule_wants(const struct rule_matcher *matcher, const struct flow *flow, uint16_t app_proto);

/** What rules want of an application's files of this direction: FILE_WANT_RULES and sums, or 0. */
unsigned int rule_file_wants(const struct rule_matcher *matcher, unsigned int app_idx, bool to_server);

/** Whether some rule looks at an application's messages of this direction, their records, their events or their files. */
bool rule_reads_messages(const struct rule_matcher *matcher, unsigned int app_idx, bool to_server);

#endif
