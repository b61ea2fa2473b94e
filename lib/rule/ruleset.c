/* A rule set's life: read, compiled, shared, freed. And the matcher's, which is one worker's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/rule/rule_files.h"
#include "lib/rule/rule_mute.h"
#include "lib/rule/rule_reputation.h"
#include "lib/rule/rule_transform.h"

#define MODULE "rule"

const struct ruleset_stats *
ruleset_stats_get(const struct ruleset *ruleset)
{
	return &ruleset->stats;
}

const char *
rule_error_sid(const struct rule_error *error, char out[RULE_SID_TEXT_LEN])
{
	out[0] = '\0';
	if (error->sid != 0)
		snprintf(out, RULE_SID_TEXT_LEN, " (sid %u)", error->sid);
	return out;
}

const struct rule_error *
ruleset_errors(const struct ruleset *ruleset, unsigned int *count)
{
	*count = ruleset->error_count;
	return ruleset->errors;
}

unsigned int
ruleset_count(const struct ruleset *ruleset)
{
	return ruleset->rule_count;
}

const struct rule_meta *
ruleset_meta(const struct ruleset *ruleset, uint32_t rule_idx)
{
	return rule_idx < ruleset->rule_count ? &ruleset->rules[rule_idx]->meta : NULL;
}

/* ---- building ---- */

static int
grow(void **array, uint32_t *cap, size_t size)
{
	uint32_t more = *cap == 0 ? 256 : *cap * 2;
	void *grown = realloc(*array, more * size);

	if (grown == NULL)
		return -ENOMEM;
	*array = grown;
	*cap = more;
	return 0;
}

int
rule_set_add(struct ruleset *set, struct rule *rule)
{
	if (set->rule_count == set->rule_cap && grow((void **)&set->rules, &set->rule_cap, sizeof(set->rules[0])) != 0)
		return -ENOMEM;
	struct rule **slot = rule_by_sid(set, rule->meta.gid, rule->meta.sid);

	if (slot == NULL)
		return -ENOMEM;
	set->rules[set->rule_count++] = rule;
	if (rule->meta.first)
		*slot = rule;
	return 0;
}

int
rule_set_keep_pcre(struct ruleset *set, pcre2_code *code)
{
	if (set->code_count == set->code_cap && grow((void **)&set->codes, &set->code_cap, sizeof(set->codes[0])) != 0)
		return -ENOMEM;
	set->codes[set->code_count++] = code;
	return 0;
}

static struct rule **
sid_slot(struct rule **table, uint32_t cap, uint32_t gid, uint32_t sid)
{
	uint32_t slot = (sid * 2654435761u) ^ gid;

	while (table[slot & (cap - 1)] != NULL
		&& (table[slot & (cap - 1)]->meta.sid != sid || table[slot & (cap - 1)]->meta.gid != gid))
		slot++;
	return &table[slot & (cap - 1)];
}

struct rule **
rule_by_sid(struct ruleset *set, uint32_t gid, uint32_t sid)
{
	if (set->rule_count * 2 >= set->sid_cap) {
		uint32_t cap = set->sid_cap == 0 ? 1024 : set->sid_cap * 2;
		struct rule **table = calloc(cap, sizeof(*table));

		if (table == NULL)
			return NULL;
		for (uint32_t i = 0; i < set->rule_count; i++)
			if (set->rules[i]->meta.first)
				*sid_slot(table, cap, set->rules[i]->meta.gid, set->rules[i]->meta.sid) = set->rules[i];
		free(set->sid_table);
		set->sid_table = table;
		set->sid_cap = cap;
	}
	return sid_slot(set->sid_table, set->sid_cap, gid, sid);
}

int
rule_name_id(struct ruleset *set, const char *name, size_t len, uint32_t *id)
{
	for (*id = 0; *id < set->name_count; (*id)++)
		if (strlen(set->names[*id]) == len && memcmp(set->names[*id], name, len) == 0)
			return 0;
	if (set->name_count == set->name_cap && grow((void **)&set->names, &set->name_cap, sizeof(set->names[0])) != 0)
		return -ENOMEM;
	set->names[set->name_count] = rule_arena_text(&set->arena, name, len);
	if (set->names[set->name_count] == NULL)
		return -ENOMEM;
	set->name_count++;
	return 0;
}

int
rule_kind_id(struct ruleset *set, enum rule_name_kind kind, const char *name, uint32_t *id)
{
	char text[256];

	snprintf(text, sizeof(text), "%c%s", (char)kind, name);
	return rule_name_id(set, text, strlen(text), id);
}

static int
names_inherit(struct ruleset *set, const struct ruleset *previous)
{
	uint32_t id;

	for (uint32_t i = 0; previous != NULL && i < previous->name_count; i++)
		if (rule_name_id(set, previous->names[i], strlen(previous->names[i]), &id) != 0)
			return -ENOMEM;
	return 0;
}

static int
set_begin(struct ruleset **out, const struct rule_config *config, const struct rule_world *world,
	const struct ruleset *previous)
{
	struct ruleset *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return -ENOMEM;
	atomic_init(&set->refs, 1);
	set->world = *world;
	set->event_group = RULE_GROUP_NONE;
	set->verify_steps_max = config->verify_steps_max;
	set->pcre_match_limit = config->pcre_match_limit;
	if (names_inherit(set, previous) != 0) {
		ruleset_destroy(set);
		return -ENOMEM;
	}
	*out = set;
	return 0;
}

static uint32_t
milliseconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000);
}

static int
set_finish(struct ruleset *set, const struct rule_config *config)
{
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	int ret = rule_compile(set, config->cache_dir == NULL ? "" : config->cache_dir);

	set->stats.compile_ms = milliseconds_since(&start);
	for (uint32_t i = 0; i < set->rule_count; i++)
		set->stats.rules_loaded += set->rules[i]->meta.first;
	free(set->sid_table);
	set->sid_table = NULL;
	set->sid_cap = 0;
	return ret;
}

/* One set from files (text NULL) or from one text. */
static int
set_create(struct ruleset **out, const struct rule_config *config, const struct rule_world *world,
	const struct ruleset *previous, const char *name, const char *text, struct config_error *err)
{
	struct ruleset *set = NULL;
	struct rule_parser *parser = NULL;
	int ret = set_begin(&set, config, world, previous);

	err->text[0] = '\0';
	if (ret == 0)
		ret = rule_reputation_create(&set->reputation, config, err);
	if (ret == 0)
		ret = rule_geoip_create(&set->geoip, config, err);
	if (ret == 0)
		ret = rule_parser_create(&parser, set, config, err);
	if (ret == 0)
		ret = rule_vars_check(parser, err);
	if (ret == 0)
		ret = text != NULL ? rule_parse_text(parser, name, text, strlen(text)) : rule_files_read(parser, config, err);
	if (ret == 0)
		ret = rule_thresholds_apply(parser, config, err);
	if (ret == 0)
		rule_note_home(parser);
	rule_parser_destroy(parser);
	if (ret == 0)
		ret = rule_datasets_build(set, previous);
	if (ret == 0)
		ret = set_finish(set, config);
	if (ret != 0) {
		if (err->text[0] == '\0')
			snprintf(err->text, sizeof(err->text), "rules: %s", strerror(-ret));
		ruleset_destroy(set);
		return ret;
	}
	*out = set;
	return 0;
}

int
ruleset_create(struct ruleset **out, const struct rule_config *config, const struct rule_world *world,
	const struct ruleset *previous, struct config_error *err)
{
	return set_create(out, config, world, previous, NULL, NULL, err);
}

int
ruleset_create_text(struct ruleset **out, const char *name, const char *text, const struct rule_config *config,
	const struct rule_world *world, struct config_error *err)
{
	return set_create(out, config, world, NULL, name, text, err);
}

struct ruleset *
ruleset_ref(struct ruleset *ruleset)
{
	atomic_fetch_add(&ruleset->refs, 1);
	return ruleset;
}

void
ruleset_destroy(struct ruleset *ruleset)
{
	if (ruleset == NULL || atomic_fetch_sub(&ruleset->refs, 1) != 1)
		return;
	rule_databases_free(ruleset);
	rule_datasets_free(ruleset);
	rule_reputation_destroy(ruleset->reputation);
	rule_geoip_destroy(ruleset->geoip);
	psl_free(ruleset->suffixes);
	for (uint32_t i = 0; i < ruleset->code_count; i++)
		pcre2_code_free(ruleset->codes[i]);
	free(ruleset->codes);
	free(ruleset->rules);
	free(ruleset->errors);
	free(ruleset->groups);
	free(ruleset->names);
	free(ruleset->sid_table);
	rule_arena_free(&ruleset->arena);
	free(ruleset);
}

/* ---- a worker's matcher ---- */

static const struct counter_desc rule_counter_descs[RULE_COUNTER_COUNT] = {
	[RULE_COUNTER_HITS] = { "rule.hits", "alerts raised" },
	[RULE_COUNTER_PASSED] = { "rule.passed", "packets or flows released by a pass rule" },
	[RULE_COUNTER_SUPPRESSED] = { "rule.suppressed", "hits held back by a threshold or a suppression" },
	[RULE_COUNTER_MUTED] = { "rule.muted", "rules not asked of a record: their threshold has spoken on the flow" },
	[RULE_COUNTER_OVERFLOW] = { "rule.overflow", "hits beyond detect.packet-alert-max, not reported" },
	[RULE_COUNTER_SCANS] = { "rule.scans", "payloads given to Hyperscan" },
	[RULE_COUNTER_SCAN_BYTES] = { "rule.scan_bytes", "bytes given to Hyperscan" },
	[RULE_COUNTER_SCAN_ERRORS] = { "rule.scan_errors", "scans that Hyperscan refused" },
	[RULE_COUNTER_CANDIDATES] = { "rule.candidates", "rules looked at after the group's search" },
	[RULE_COUNTER_VERIFICATIONS] = { "rule.verifications", "candidates whose payload tests were run" },
	[RULE_COUNTER_STEP_LIMIT] = { "rule.step_limit", "verifications given up: the payload made them too costly" },
	[RULE_COUNTER_PCRE_LIMIT] = { "rule.pcre_limit", "expressions given up at a match limit" },
	[RULE_COUNTER_FLOW_BITS_FULL] = { "rule.flow_bits_full", "flow bits not kept for want of room" },
	[RULE_COUNTER_THRESHOLD_EVICTED] = { "rule.threshold_evicted", "thresholds forgotten for want of room" },
	[RULE_COUNTER_VARS_EVICTED] = { "rule.vars_evicted", "captured variables of flows forgotten for want of room" },
	[RULE_COUNTER_METADATA_SHED] = { "rule.metadata_shed", "alerts without their flow bits and variables, which were too long" },
	[RULE_COUNTER_DATASET_FULL] = { "rule.dataset_full", "values not added to a set for want of room" },
	[RULE_COUNTER_TAGS_EVICTED] = { "rule.tags_evicted", "tags that ended early for want of room" },
	[RULE_COUNTER_CAPTURES_SHED] = { "rule.captures_shed", "captures of one packet beyond what is kept" },
	[RULE_COUNTER_HOST_BITS_EVICTED] = { "rule.host_bits_evicted", "host bits forgotten for want of room" },
};

const struct counter_table rule_counter_table = { rule_counter_descs, RULE_COUNTER_COUNT };

struct counter_set
rule_matcher_counters(struct rule_matcher *matcher)
{
	return (struct counter_set){ rule_counter_descs, matcher->memory->counters, RULE_COUNTER_COUNT };
}

void
rule_matcher_usage(const struct rule_matcher *matcher, uint32_t rule_idx, struct rule_usage *sum)
{
	const struct rule_profile *profile = &matcher->profiles[rule_idx];

	sum->checks += atomic_load_explicit(&profile->checks, memory_order_relaxed);
	sum->matches += atomic_load_explicit(&profile->matches, memory_order_relaxed);
	sum->alerts += atomic_load_explicit(&profile->alerts, memory_order_relaxed);
	sum->ticks += atomic_load_explicit(&profile->ticks, memory_order_relaxed);
	sum->measured += atomic_load_explicit(&profile->measured, memory_order_relaxed);
}

struct ruleset *
rule_matcher_ruleset(const struct rule_matcher *matcher)
{
	return matcher->set;
}

static int
matcher_scratch(struct rule_matcher *matcher)
{
	for (const struct rule_database *at = matcher->set->databases; at != NULL; at = at->next)
		if (at->db != NULL && hs_alloc_scratch(at->db, &matcher->scratch) != HS_SUCCESS)
			return -ENOMEM;
	matcher->pcre_context = pcre2_match_context_create(NULL);
	matcher->pcre_data = pcre2_match_data_create(16, NULL);
	if (matcher->pcre_context == NULL || matcher->pcre_data == NULL)
		return -ENOMEM;
	pcre2_set_match_limit(matcher->pcre_context, (uint32_t)matcher->set->pcre_match_limit);
	return 0;
}

int
rule_matcher_create(struct rule_matcher **out, struct ruleset *ruleset, const struct rule_config *config, struct slab *slab)
{
	struct rule_matcher *matcher = calloc(1, sizeof(*matcher));

	if (matcher == NULL)
		return -ENOMEM;
	uint32_t words = ruleset->rule_count / 64 + 1;

	matcher->set = ruleset_ref(ruleset);
	matcher->slab = slab;
	matcher->alerts_max = (uint32_t)(config->alerts_max < RULE_HITS_MAX ? config->alerts_max : RULE_HITS_MAX);
	matcher->summary_words = words / 64 + 1;
	matcher->bits = calloc(words, sizeof(uint64_t));
	matcher->summary = calloc(matcher->summary_words, sizeof(uint64_t));
	matcher->profiles = calloc(ruleset->rule_count + 1ul, sizeof(*matcher->profiles));
	if (matcher->bits == NULL || matcher->summary == NULL || matcher->profiles == NULL
		|| rule_memory_create(&matcher->memory, config) != 0 || matcher_scratch(matcher) != 0
		|| (ruleset->needs_scratch && rule_scratch_create(&matcher->scratch_bytes) != 0)) {
		rule_matcher_destroy(matcher);
		return -ENOMEM;
	}
	*out = matcher;
	return 0;
}

void
rule_matcher_destroy(struct rule_matcher *matcher)
{
	if (matcher == NULL)
		return;
	if (matcher->scratch != NULL)
		hs_free_scratch(matcher->scratch);
	pcre2_match_data_free(matcher->pcre_data);
	pcre2_match_context_free(matcher->pcre_context);
	rule_memory_destroy(matcher->memory);
	free(matcher->bits);
	free(matcher->summary);
	free(matcher->profiles);
	rule_scratch_destroy(matcher->scratch_bytes);
	ruleset_destroy(matcher->set);
	free(matcher);
}

void
rule_matcher_inherit(struct rule_matcher *to, struct rule_matcher *from)
{
	struct rule_memory *mine = to->memory;

	to->memory = from->memory;
	to->memory->swaps++;
	from->memory = mine;
}

void
rule_matcher_count_flows(struct rule_matcher *matcher, const struct flow_table *flows)
{
	matcher->flows = flows;
}

void
rule_matcher_watch_scans(struct rule_matcher *matcher, rule_scan_fn fn, void *arg)
{
	matcher->on_scan = fn;
	matcher->on_scan_arg = arg;
}
