/* Cold: which rules are not worth their while: those that can never fire, those that cost much, those that do less than they seem to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_sieve.h"
#include "lib/rule/rule_tests.h"

/* ---- bits, counts and variables that rules ask for ---- */

enum { KINDS_OF_NAME = STATE_PAIR + 1 }; /* flow, host and pair bits share their names */

enum held { HELD_NOT, HELD_BY_NOBODY, HELD };

/* What rules leave for others, by name and kind. */
struct holdings {
	uint8_t *held;          /* [names * KINDS_OF_NAME] enum held; NULL: no memory, nothing is said */
	uint32_t *askers_first; /* [as held, and one] where its list begins in askers */
	uint32_t *askers;       /* numbers of rules */
	uint32_t askers_count;
	uint32_t *waiting;      /* numbers of rules to look at */
	uint32_t waiting_count;
};

static uint32_t
key_of(uint8_t kind, uint32_t id)
{
	return id * KINDS_OF_NAME + (kind < KINDS_OF_NAME ? kind : 0);
}

/* Whether a state is a condition that holds only where something was left before. */
static bool
asks(const struct rule_state *state)
{
	return state->op == STATE_ISSET || state->op == STATE_COMPARE;
}

static enum held
held_for(const struct holdings *holdings, const struct rule_state *asked)
{
	enum held best = HELD_NOT;

	for (unsigned int n = 0; n < asked->id_count; n++) {
		enum held held = (enum held)holdings->held[key_of(asked->kind, asked->ids[n])];

		best = held > best ? held : best;
	}
	return best;
}

/* Calls fn for each thing that the rule leaves for others. */
static void
each_left(const struct rule *rule, void (*fn)(struct holdings *holdings, uint32_t key), struct holdings *holdings)
{
	for (unsigned int s = 0; s < rule->state_count; s++) {
		const struct rule_state *state = &rule->states[s];

		if (state->op == STATE_SET || state->op == STATE_TOGGLE || state->op == STATE_ADD)
			fn(holdings, key_of(state->kind, state->ids[0]));
	}
	for (unsigned int b = 0; b < rule->buffer_count; b++)
		for (unsigned int n = 0; n < rule->buffers[b].node_count; n++) {
			const struct rule_node *node = &rule->buffers[b].nodes[n];

			for (unsigned int c = 0; node->kind == NODE_PCRE && c < node->pcre.capture_count; c++)
				fn(holdings, key_of(STATE_VAR, node->pcre.captures[c].id));
		}
}

/* Calls fn for each thing of which the rule asks whether it is there. */
static void
each_asked(const struct rule *rule, uint32_t number, void (*fn)(struct holdings *holdings, uint32_t key, uint32_t rule), struct holdings *holdings)
{
	for (unsigned int s = 0; s < rule->state_count; s++)
		for (unsigned int n = 0; asks(&rule->states[s]) && n < rule->states[s].id_count; n++)
			fn(holdings, key_of(rule->states[s].kind, rule->states[s].ids[n]), number);
}

static const char *never_by_itself(const struct ruleset *set, const struct rule *rule);

/* Whether it can fire, with what the rules so far leave. */
static bool
may_fire(const struct ruleset *set, const struct holdings *holdings, const struct rule *rule)
{
	for (unsigned int s = 0; s < rule->state_count; s++)
		if (asks(&rule->states[s]) && held_for(holdings, &rule->states[s]) != HELD)
			return false;
	return never_by_itself(set, rule) == NULL;
}

static void
left_by_nobody(struct holdings *holdings, uint32_t key)
{
	if (holdings->held[key] < HELD_BY_NOBODY)
		holdings->held[key] = HELD_BY_NOBODY;
}

/* Those that ask for it may fire now. */
static void
left(struct holdings *holdings, uint32_t key)
{
	if (holdings->held[key] == HELD)
		return;
	holdings->held[key] = HELD;
	for (uint32_t i = holdings->askers_first[key]; i < holdings->askers_first[key + 1]; i++)
		holdings->waiting[holdings->waiting_count++] = holdings->askers[i];
}

/* Two passes make the lists: how many there are, then who. */
static void
count_asker(struct holdings *holdings, uint32_t key, uint32_t rule)
{
	holdings->askers_first[key + 1]++;
	holdings->askers_count++;
}

static void
add_asker(struct holdings *holdings, uint32_t key, uint32_t rule)
{
	holdings->askers[--holdings->askers_first[key + 1]] = rule;
}

static bool
askers_find(struct holdings *holdings, const struct ruleset *set)
{
	uint32_t keys = set->name_count * KINDS_OF_NAME;

	holdings->askers_first = calloc((size_t)keys + 2, sizeof(*holdings->askers_first));
	for (uint32_t i = 0; holdings->askers_first != NULL && i < set->rule_count; i++)
		each_asked(set->rules[i], i, count_asker, holdings);
	holdings->askers = malloc(((size_t)holdings->askers_count + 1) * sizeof(*holdings->askers));
	holdings->waiting = malloc(((size_t)holdings->askers_count + set->rule_count + 1) * sizeof(*holdings->waiting));
	if (holdings->askers_first == NULL || holdings->askers == NULL || holdings->waiting == NULL)
		return false;
	/* Each list's end; taking from it leaves the list's beginning, one place further on. */
	for (uint32_t key = 0; key < keys; key++)
		holdings->askers_first[key + 1] += holdings->askers_first[key];
	for (uint32_t i = 0; i < set->rule_count; i++)
		each_asked(set->rules[i], i, add_asker, holdings);
	memmove(holdings->askers_first, holdings->askers_first + 1, keys * sizeof(*holdings->askers_first));
	holdings->askers_first[keys] = holdings->askers_count;
	return true;
}

/* What can be left: a rule that may fire leaves it, and then those that ask for it are looked at again. */
static void
holdings_find(struct holdings *holdings, const struct ruleset *set)
{
	holdings->held = calloc((size_t)set->name_count + 1, KINDS_OF_NAME);
	if (holdings->held == NULL || !askers_find(holdings, set)) {
		free(holdings->held);
		holdings->held = NULL;
		return;
	}
	for (uint32_t i = set->rule_count; i-- > 0;) {
		each_left(set->rules[i], left_by_nobody, holdings);
		holdings->waiting[holdings->waiting_count++] = i;
	}
	while (holdings->waiting_count > 0) {
		const struct rule *rule = set->rules[holdings->waiting[--holdings->waiting_count]];

		if (may_fire(set, holdings, rule))
			each_left(rule, left, holdings);
	}
}

static void
holdings_free(struct holdings *holdings)
{
	free(holdings->held);
	free(holdings->askers_first);
	free(holdings->askers);
	free(holdings->waiting);
}

static const char *
never_by_bits(const struct holdings *holdings, const struct rule *rule)
{
	static const char *const texts[][2] = {
		{ "can never fire: no rule that is loaded sets the bit it asks for", "can never fire: what sets the bit it asks for cannot" },
		{ "can never fire: no rule that is loaded counts what it compares", "can never fire: what counts what it compares cannot" },
		{ "can never fire: no rule that is loaded captures what it asks for", "can never fire: what captures what it asks for cannot" },
	};

	for (unsigned int s = 0; s < rule->state_count && holdings->held != NULL; s++) {
		const struct rule_state *state = &rule->states[s];
		enum held held = asks(state) ? held_for(holdings, state) : HELD;

		if (held != HELD)
			return texts[state->kind == STATE_INT ? 1 : state->kind == STATE_VAR ? 2 : 0][held == HELD_BY_NOBODY];
	}
	return NULL;
}

/* ---- the others ---- */

static const char *
never_by_direction(const struct rule *rule)
{
	for (unsigned int i = 0; i < rule->test_count; i++) {
		const struct rule_test *test = &rule->tests[i];

		if (test->fn != rule_test_own)
			continue;
		if ((test->keyword->direction == RULE_TO_SERVER && (rule->flow & RULE_FLOW_TO_CLIENT) != 0)
			|| (test->keyword->direction == RULE_TO_CLIENT && (rule->flow & RULE_FLOW_TO_SERVER) != 0))
			return "a keyword of it is for the other direction than its flow";
	}
	return NULL;
}

static const char *
never_by_rate(const struct ruleset *set, const struct rule *rule)
{
	for (unsigned int i = 0; i < rule->test_count && !set->world.flow_rates; i++)
		if (rule->tests[i].fn == rule_test_flow_elephant)
			return "no flow is an elephant while flow.rate-tracking.bytes is 0";
	return NULL;
}

/* @return why, apart from what other rules leave; NULL: it may */
static const char *
never_by_itself(const struct ruleset *set, const struct rule *rule)
{
	const char *text = rule->never;

	text = text != NULL ? text : never_by_direction(rule);
	return text != NULL ? text : never_by_rate(set, rule);
}

/* A text that is several rules fires where one of them does. */
static const char *
never_fires(const struct ruleset *set, const struct rule *rule, char *out, size_t out_len)
{
	const char *text = never_by_itself(set, rule);

	for (const struct rule *more = rule->more; more != NULL; more = more->more)
		if (never_by_itself(set, more) == NULL)
			return NULL;
	if (text == NULL)
		return NULL;
	snprintf(out, out_len, "can never fire: %s", text);
	return out;
}

static const char *
costly(const struct rule *rule)
{
	struct rule_plan plan;
	bool pcre = false;

	if (rule->phase == PHASE_MESSAGE || (rule->flags & RULE_NEEDS_PAYLOAD) == 0)
		return NULL;
	rule_plan_make(rule, &plan);
	for (unsigned int b = 0; b < rule->buffer_count; b++)
		for (unsigned int n = 0; n < rule->buffers[b].node_count; n++)
			pcre = pcre || rule->buffers[b].nodes[n].kind == NODE_PCRE;
	if (plan.kind == PLAN_ALWAYS && rule->src_ports->any && rule->dst_ports->any)
		return "costly: no content of four bytes or at a fixed place, on any port: verified for all data";
	if (plan.kind == PLAN_ALWAYS && pcre)
		return "costly: its pcre runs on all data of its ports, for want of a content";
	return NULL;
}

static const char *
misunderstood(const struct rule *rule)
{
	if ((rule->flags & RULE_BARE) != 0)
		return "its content looks into the payload: the field before it has no text, and is asked by FIELD:VALUE (pkt_data says that it is meant)";
	return (rule->flags & RULE_FILESTORE) != 0 ? "filestore: the rule alerts of files, but files are not stored here" : NULL;
}

/* Without a file of classes the usual ones are known alone, and rules come with their own: nothing is said then. */
static const char *
unclassed(const struct ruleset *set, const struct rule *rule)
{
	return set->has_classes && rule->meta.classtype[0] != '\0' && rule->meta.category[0] == '\0'
		? "its classtype is not in classification-file: its priority is what it says itself, or 3" : NULL;
}

static const char *
forgotten(const struct rule *rule)
{
	for (unsigned int b = 0; b < rule->buffer_count; b++)
		for (unsigned int n = 0; n < rule->buffers[b].node_count; n++) {
			const struct rule_node *node = &rule->buffers[b].nodes[n];

			if (node->kind == NODE_DATASET && node->dataset.decl->unsaved)
				return "its data set is forgotten when the sensor stops: datasets.directory is not set";
		}
	return NULL;
}

unsigned int
ruleset_warnings(const struct ruleset *set, void (*warn)(const struct rule_meta *meta, const char *text, void *arg), void *arg)
{
	struct holdings holdings = { 0 };
	unsigned int count = 0;

	holdings_find(&holdings, set);
	for (uint32_t i = 0; i < set->rule_count; i++) {
		const struct rule *rule = set->rules[i];
		char never[sizeof(((struct rule_parser *)0)->never) + 20];
		const char *texts[] = { never_fires(set, rule, never, sizeof(never)), never_by_bits(&holdings, rule), costly(rule),
			misunderstood(rule), forgotten(rule), unclassed(set, rule), rule->replaces };

		for (unsigned int t = 0; rule->meta.first && t < sizeof(texts) / sizeof(texts[0]); t++)
			if (texts[t] != NULL) {
				warn(&rule->meta, texts[t], arg);
				count++;
			}
	}
	holdings_free(&holdings);
	return count;
}
