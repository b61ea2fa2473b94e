/* Hot, but for the two functions that make and free the memory: bits of flows and hosts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"
#include "lib/rule/rule_mute.h"

enum {
	FLOW_BITS_MIN = SLAB_BLOCK_MIN,
	FLOW_BITS_MAX = 2048,    /* bytes of one flow's bits */
	TX_BITS_MAX = 32,        /* transactions of a flow that keep a bit: the newest */
};

#define NS_PER_S UINT64_C(1000000000)

/* ---- bits of a flow ---- */

struct rule_flow_entry {
	uint32_t id;
	uint32_t value;          /* of an integer; of a transaction's bit the transaction; a bit's is 0 */
};

struct rule_flow_state {
	struct rule_flow_mutes mutes; /* first */
	uint32_t size;           /* of the block */
	uint16_t count;
	bool passed;             /* a pass rule released the flow */
	struct rule_flow_entry entries[]; /* in order of setting */
};

/* NULL: no room. Who needs the state for more than a mute counts that. */
static struct rule_flow_state *
flow_state_grow(const struct rule_view *view, struct rule_flow_state *old)
{
	uint32_t size = old == NULL ? FLOW_BITS_MIN : old->size * 2;
	struct slab *slab = view->matcher->slab;
	struct rule_flow_state *made = slab == NULL || size > FLOW_BITS_MAX ? NULL : slab_alloc(slab, size);

	if (made == NULL)
		return NULL;
	memset(made, 0, size);
	if (old != NULL) {
		memcpy(made, old, old->size);
		slab_free(slab, old, old->size);
	}
	made->size = size;
	view->flow->rule_state = made;
	return made;
}

/* The flow's state, made where there is none. NULL: no flow or no room. */
static struct rule_flow_state *
flow_state_make(const struct rule_view *view)
{
	struct rule_flow_state *state = view->flow == NULL ? NULL : view->flow->rule_state;

	return state != NULL || view->flow == NULL ? state : flow_state_grow(view, NULL);
}

static struct rule_flow_entry *
flow_entry_find(const struct flow *flow, uint32_t id)
{
	struct rule_flow_state *state = flow == NULL ? NULL : flow->rule_state;

	for (int i = 0; state != NULL && i < state->count; i++)
		if (state->entries[i].id == id)
			return &state->entries[i];
	return NULL;
}

/* One more entry. NULL: no flow or no room. */
static struct rule_flow_entry *
flow_entry_add(const struct rule_view *view, uint32_t id)
{
	struct rule_flow_state *state = view->flow == NULL ? NULL : view->flow->rule_state;
	struct rule_flow_entry *entry;

	if (view->flow == NULL)
		return NULL;
	if (state == NULL || sizeof(*state) + (state->count + 1u) * sizeof(*entry) > state->size)
		state = flow_state_grow(view, state);
	if (state == NULL) {
		rule_count(view, RULE_COUNTER_FLOW_BITS_FULL);
		return NULL;
	}
	entry = &state->entries[state->count++];
	*entry = (struct rule_flow_entry){ .id = id };
	return entry;
}

/* The entry, made where there is none. NULL: no flow or no room. */
static struct rule_flow_entry *
flow_entry_make(const struct rule_view *view, uint32_t id)
{
	struct rule_flow_entry *entry = flow_entry_find(view->flow, id);

	return entry != NULL ? entry : flow_entry_add(view, id);
}

static void
flow_bit_unset(const struct rule_view *view, uint32_t id)
{
	struct rule_flow_entry *entry = flow_entry_find(view->flow, id);

	if (entry == NULL)
		return;
	struct rule_flow_state *state = view->flow->rule_state;

	state->count--;
	memmove(entry, entry + 1, (size_t)(&state->entries[state->count] - entry) * sizeof(*entry));
}

/* A transaction's bit: an entry for each transaction that has it. */
static bool
tx_bit_is_set(const struct rule_view *view, uint32_t id)
{
	const struct rule_flow_state *state = view->flow == NULL ? NULL : view->flow->rule_state;

	for (int i = 0; state != NULL && i < state->count; i++)
		if (state->entries[i].id == id && state->entries[i].value == view->tx)
			return true;
	return false;
}

/* The newest is the last entry; of too many the first goes. */
static void
tx_bit_set(const struct rule_view *view, uint32_t id)
{
	struct rule_flow_state *state = view->flow == NULL ? NULL : view->flow->rule_state;
	unsigned int count = 0;

	if (view->message == NULL || tx_bit_is_set(view, id))
		return;
	for (int i = 0; state != NULL && i < state->count; i++)
		count += state->entries[i].id == id;
	if (count >= TX_BITS_MAX)
		flow_bit_unset(view, id);
	struct rule_flow_entry *entry = flow_entry_add(view, id);

	if (entry != NULL)
		entry->value = view->tx;
}

bool
rule_flow_mark(const struct rule_view *view, uint32_t id)
{
	bool fresh = flow_entry_find(view->flow, id) == NULL;

	if (fresh)
		(void)flow_entry_make(view, id);
	return fresh;
}

bool
rule_flow_marked(const struct flow *flow, uint32_t id)
{
	return flow_entry_find(flow, id) != NULL;
}

bool
rule_flow_passed(const struct flow *flow)
{
	const struct rule_flow_state *state = flow == NULL ? NULL : flow->rule_state;

	return state != NULL && state->passed;
}

void
rule_flow_pass(const struct rule_view *view)
{
	struct rule_flow_state *state = flow_state_make(view);

	if (state != NULL)
		state->passed = true;
	else if (view->flow != NULL)
		rule_count(view, RULE_COUNTER_FLOW_BITS_FULL);
}

struct rule_mute *
rule_mute_make(const struct rule_view *view)
{
	struct rule_flow_state *state = flow_state_make(view);
	struct rule_mute **mute = state == NULL ? NULL : &state->mutes.of[view->to_server];

	if (mute == NULL)
		return NULL;
	if (*mute == NULL && (*mute = slab_alloc(view->matcher->slab, sizeof(**mute))) != NULL)
		memset(*mute, 0, sizeof(**mute)); /* holds nothing */
	return *mute;
}

static void
mutes_free(struct slab *slab, struct rule_flow_mutes *mutes)
{
	for (unsigned int i = 0; i < 2; i++)
		if (mutes->of[i] != NULL)
			slab_free(slab, mutes->of[i], sizeof(*mutes->of[i]));
}

void
rule_flow_end(struct rule_matcher *matcher, struct flow *flow)
{
	struct rule_flow_state *state = flow->rule_state;

	if (state == NULL)
		return;
	mutes_free(matcher->slab, &state->mutes);
	slab_free(matcher->slab, state, state->size);
	flow->rule_state = NULL;
}

/* Names that a flow has, of one kind and with one beginning, which is left out: the members of a list or an object. */
struct flow_names {
	enum rule_name_kind kind;
	const char *begin;      /* as "traffic/id/"; NULL: those that begin with none of them */
	const char *open, *close;
};

static const char *const traffic_names[] = { "traffic/id/", "traffic/label/" };

static const struct flow_names metadata_names[] = {
	{ RULE_NAME_BIT, NULL, "\"flowbits\":[", "]" },
	{ RULE_NAME_FLOW_INT, NULL, "\"flowints\":{", "}" },
};

static const struct flow_names traffic_parts[] = {
	{ RULE_NAME_BIT, "traffic/id/", "\"id\":[", "]" },
	{ RULE_NAME_BIT, "traffic/label/", "\"label\":[", "]" },
};

/* What is said of a name in that part; NULL: nothing. */
static const char *
flow_name_in(const struct flow_names *names, const char *name)
{
	size_t begin_len = names->begin == NULL ? 0 : strlen(names->begin);

	if (rule_name_kind(name) != names->kind)
		return NULL;
	if (names->kind == RULE_NAME_FLOW_INT)
		return name + 1; /* behind the mark of its kind */
	if (begin_len > 0)
		return strncmp(name, names->begin, begin_len) == 0 ? name + begin_len : NULL;
	for (unsigned int i = 0; i < sizeof(traffic_names) / sizeof(traffic_names[0]); i++)
		if (strncmp(name, traffic_names[i], strlen(traffic_names[i])) == 0)
			return NULL;
	return name;
}

static void
flow_names_json(const struct ruleset *ruleset, const struct flow *flow, const struct flow_names *names, struct buf *out)
{
	const struct rule_flow_state *state = flow == NULL ? NULL : flow->rule_state;
	bool any = false;

	for (unsigned int i = 0; state != NULL && i < state->count; i++) {
		if (state->entries[i].id >= ruleset->name_count)
			continue; /* the engine's own marks */
		const char *name = flow_name_in(names, ruleset->names[state->entries[i].id]);

		if (name == NULL)
			continue;
		if (any)
			buf_putc(out, ',');
		else
			buf_printf(out, "%s%s", out->len > 0 && out->data[out->len - 1] != '{' ? "," : "", names->open);
		any = true;
		buf_json_string(out, name, strlen(name));
		if (names->kind == RULE_NAME_FLOW_INT)
			buf_printf(out, ":%u", state->entries[i].value);
	}
	if (any)
		buf_puts(out, names->close);
}

/* Most flows of which there is a state have the engine's own marks alone. */
static bool
has_names(const struct ruleset *ruleset, const struct flow *flow)
{
	const struct rule_flow_state *state = flow == NULL ? NULL : flow->rule_state;

	for (unsigned int i = 0; state != NULL && i < state->count; i++)
		if (state->entries[i].id < ruleset->name_count)
			return true;
	return false;
}

void
rule_metadata_json(const struct rule_matcher *matcher, const struct flow *flow, bool packet, struct buf *out)
{
	static const char metadata[] = "\"metadata\":{", traffic[] = "\"traffic\":{";
	size_t begin;

	buf_reset(out);
	if (!matcher->set->flow_vars && (!packet || matcher->captured_count == 0) && !has_names(matcher->set, flow))
		return;
	buf_puts(out, metadata);
	rule_vars_json(matcher, flow, packet, out);
	for (unsigned int i = 0; i < sizeof(metadata_names) / sizeof(metadata_names[0]); i++)
		flow_names_json(matcher->set, flow, &metadata_names[i], out);
	if (!out->full && out->len == sizeof(metadata) - 1)
		buf_reset(out);
	else
		buf_puts(out, "},");
	begin = out->len;
	buf_puts(out, traffic);
	for (unsigned int i = 0; i < sizeof(traffic_parts) / sizeof(traffic_parts[0]); i++)
		flow_names_json(matcher->set, flow, &traffic_parts[i], out);
	if (out->len == begin + sizeof(traffic) - 1)
		out->len = begin > 0 ? begin - 1 : 0; /* nor the comma */
	else
		buf_putc(out, '}');
	if (out->full)
		counter_add(&matcher->memory->counters[RULE_COUNTER_METADATA_SHED], 1);
	if (out->full)
		buf_reset(out);
}

/* ---- bits of hosts and pairs ---- */

struct rule_bit {
	struct ip_addr addr[2];
	uint32_t id;
	uint8_t kind, ip_version;
	bool used;
	uint64_t since_ns, expires_ns;
};

struct rule_bit_table {
	uint32_t mask; /* sets of RULE_TABLE_WAYS, less one */
	struct rule_bit bits[];
};

static void
bit_key(const struct rule_view *view, const struct rule_state *state, uint32_t id, struct rule_bit *key)
{
	*key = (struct rule_bit){ .id = id, .kind = state->kind, .ip_version = view->ip_version, .used = true };
	if (state->kind == STATE_HOST) {
		key->addr[0] = state->track == TRACK_DST ? view->dst : view->src;
		return;
	}
	rule_addrs_pair(view, key->addr);
}

static bool
bit_same(const struct rule_bit *a, const struct rule_bit *b)
{
	return a->used && a->id == b->id && a->kind == b->kind && a->ip_version == b->ip_version
		&& memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static bool
bit_holds(const struct rule_bit *bit, uint64_t ts_ns)
{
	return bit->expires_ns >= ts_ns && !clock_is_back(ts_ns, bit->since_ns);
}

/* The entry of a key, or (with make) the one it may take: a free, an expired, else the one that expires first. */
static struct rule_bit *
bit_find(const struct rule_view *view, const struct rule_bit *key, bool make)
{
	struct rule_bit_table *table = view->matcher->memory->bits;
	uint32_t hash = rule_addrs_hash(key->id << 8 | key->kind, key->addr);
	struct rule_bit *set = &table->bits[(size_t)(hash & table->mask) * RULE_TABLE_WAYS];
	struct rule_bit *take = &set[0];

	for (unsigned int i = 0; i < RULE_TABLE_WAYS; i++) {
		if (bit_same(&set[i], key)) {
			if (bit_holds(&set[i], view->ts_ns))
				return &set[i];
			set[i].used = false;
		}
		if (!set[i].used)
			take = &set[i];
		else if (take->used && set[i].expires_ns < take->expires_ns)
			take = &set[i];
	}
	if (!make)
		return NULL;
	if (take->used && bit_holds(take, view->ts_ns))
		rule_count(view, RULE_COUNTER_HOST_BITS_EVICTED);
	*take = *key;
	return take;
}

static bool
state_is_set(const struct rule_view *view, const struct rule_state *state, uint32_t id)
{
	struct rule_bit key;

	if (state->kind == STATE_FLOW || state->kind == STATE_INT)
		return flow_entry_find(view->flow, id) != NULL;
	if (state->kind == STATE_TX)
		return tx_bit_is_set(view, id);
	if (state->kind == STATE_VAR) {
		const struct rule_captured *var = rule_var_find(view, state);

		return var != NULL && (state->text_len == 0 || memmem(var->bytes, var->len, state->text, state->text_len) != NULL);
	}
	bit_key(view, state, id, &key);
	return bit_find(view, &key, false) != NULL;
}

/* The right side of a flowint: a number, or another variable, which is 0 until it is set. */
static uint32_t
int_operand(const struct rule_view *view, const struct rule_state *state)
{
	if (state->other == RULE_IDX_NONE)
		return state->value;
	const struct rule_flow_entry *entry = flow_entry_find(view->flow, state->other);

	return entry == NULL ? 0 : entry->value;
}

static bool
int_compare(const struct rule_view *view, const struct rule_state *state)
{
	const struct rule_flow_entry *entry = flow_entry_find(view->flow, state->ids[0]);
	uint32_t other = int_operand(view, state);

	if (entry == NULL)
		return false;
	switch ((enum rule_compare)state->compare) {
	case COMPARE_EQUAL:
		return entry->value == other;
	case COMPARE_NOT_EQUAL:
		return entry->value != other;
	case COMPARE_LESS:
		return entry->value < other;
	case COMPARE_LESS_EQUAL:
		return entry->value <= other;
	case COMPARE_GREATER:
		return entry->value > other;
	default:
		return entry->value >= other;
	}
}

static bool
state_holds(const struct rule_view *view, const struct rule_state *state)
{
	bool any = false;

	if ((state->kind == STATE_FLOW || state->kind == STATE_INT) && view->flow == NULL)
		return false;
	if (state->op == STATE_COMPARE)
		return int_compare(view, state);
	for (unsigned int n = 0; n < state->id_count && !any; n++)
		any = state_is_set(view, state, state->ids[n]) == (state->op == STATE_ISSET);
	return any;
}

bool
rule_state_conditions(const struct rule_view *view, const struct rule *rule)
{
	for (unsigned int i = 0; i < rule->state_count; i++)
		if (rule->states[i].op >= STATE_ISSET && !state_holds(view, &rule->states[i]))
			return false;
	return true;
}

static void
int_change(const struct rule_view *view, const struct rule_state *state)
{
	uint32_t other = int_operand(view, state);
	struct rule_flow_entry *entry = state->op == STATE_SUB ? flow_entry_find(view->flow, state->ids[0])
							       : flow_entry_make(view, state->ids[0]);

	if (entry != NULL)
		entry->value = state->op == STATE_SET ? other : state->op == STATE_ADD ? entry->value + other : entry->value - other;
}

static void
state_change(const struct rule_view *view, const struct rule_state *state)
{
	uint32_t id = state->ids[0];
	struct rule_bit key, *bit;

	if (state->kind == STATE_INT) {
		int_change(view, state);
		return;
	}
	if (state->kind == STATE_TX) {
		tx_bit_set(view, id);
		return;
	}
	bool have = state_is_set(view, state, id);
	bool want = state->op == STATE_SET || (state->op == STATE_TOGGLE && !have);

	if (state->kind == STATE_FLOW) {
		if (want)
			(void)flow_entry_make(view, id);
		else
			flow_bit_unset(view, id);
		return;
	}
	bit_key(view, state, id, &key);
	bit = bit_find(view, &key, want);
	if (bit != NULL && want) {
		bit->since_ns = view->ts_ns;
		bit->expires_ns = view->ts_ns + state->expire_s * NS_PER_S;
	} else if (bit != NULL) {
		bit->used = false;
	}
}

void
rule_state_actions(const struct rule_view *view, const struct rule *rule)
{
	for (unsigned int i = 0; i < rule->state_count; i++)
		if (rule->states[i].op < STATE_ISSET)
			state_change(view, &rule->states[i]);
}

/* ---- cold ---- */

int
rule_memory_create(struct rule_memory **out, const struct rule_config *config)
{
	struct rule_memory *memory = calloc(1, sizeof(*memory));
	uint32_t bits = rule_table_mask(config->host_bits_max);

	if (memory == NULL)
		return -ENOMEM;
	/* Large pages, touched now: a worker looks into it at random places. */
	memory->bits_len = sizeof(*memory->bits) + (bits + 1ul) * RULE_TABLE_WAYS * sizeof(struct rule_bit);
	memory->bits = mem_area_create(memory->bits_len);
	if (memory->bits == NULL || rule_thresholds_create(memory, config->thresholds_max) != 0 || rule_vars_create(&memory->vars) != 0
		|| rule_tags_create(&memory->tags) != 0) {
		rule_memory_destroy(memory);
		return -ENOMEM;
	}
	memory->bits->mask = bits;
	*out = memory;
	return 0;
}

void
rule_memory_destroy(struct rule_memory *memory)
{
	if (memory == NULL)
		return;
	rule_thresholds_destroy(memory);
	mem_area_destroy(memory->bits, memory->bits_len);
	rule_vars_destroy(memory->vars);
	rule_tags_destroy(memory->tags);
	free(memory);
}
