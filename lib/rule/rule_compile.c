/*
 * From rules to groups: order of precedence, then for each kind of packet, direction, phase and route the groups by
 * port. Ports that meet the same rules share a group; equal lists of rules share one across all tables.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_compile.h"
#include "lib/rule/rule_sieve.h"

enum {
	KEY_PORTS_MAX = 2048,  /* a rule for more ports than this is looked for on any: its literals would be copied too often */
};

/* ---- precedence ---- */

/* Whether an expression fills variables that other rules can ask for. */
static bool
captures(const struct rule *rule)
{
	for (unsigned int i = 0; i < rule->buffer_count; i++)
		for (unsigned int n = 0; n < rule->buffers[i].node_count; n++) {
			const struct rule_node *node = &rule->buffers[i].nodes[n];

			for (unsigned int c = 0; node->kind == NODE_PCRE && c < node->pcre.capture_count; c++)
				if (node->pcre.captures[c].kept != CAPTURED_FOR_ALERT)
					return true;
		}
	return false;
}

/* Setters of flow bits and variables come before those that ask for them, and what only takes bits away behind: one packet can do all. */
static unsigned int
order_of_bits(const struct rule *rule)
{
	bool sets = captures(rule), asks = false, unsets = false;

	for (unsigned int i = 0; i < rule->state_count; i++) {
		unsets = unsets || rule->states[i].op == STATE_UNSET;
		sets = sets || (rule->states[i].op < STATE_ISSET && rule->states[i].op != STATE_UNSET);
		asks = asks || rule->states[i].op >= STATE_ISSET;
	}
	if (unsets && !sets && !asks)
		return 3;
	sets = sets || unsets;
	return sets && !asks ? 0 : sets ? 1 : asks ? 2 : 4;
}

static int
rule_compare(const void *left, const void *right)
{
	static const uint8_t action_order[] = {
		[RULE_PASS] = 0, [RULE_DROP] = 1, [RULE_REJECT] = 2, [RULE_ALERT] = 3, [RULE_CONFIG] = 4,
	};
	const struct rule *a = *(struct rule *const *)left, *b = *(struct rule *const *)right;
	int order = action_order[a->meta.action] - action_order[b->meta.action];

	if (order == 0)
		order = (int)order_of_bits(a) - (int)order_of_bits(b);
	if (order == 0)
		order = a->priority - b->priority;
	if (order == 0 && a->meta.sid != b->meta.sid)
		order = a->meta.sid < b->meta.sid ? -1 : 1;
	return order != 0 ? order : a->order < b->order ? -1 : a->order > b->order;
}

/* ---- tables by port ---- */

enum rule_side { SIDE_DST, SIDE_SRC, SIDE_ANY, SIDE_ONCE };

/** A table's place among those of struct rule_tables. */
struct table_at {
	unsigned int route, phase, class, to_server;
};

static bool
ports_keyed(const struct rule_ports *ports)
{
	uint32_t count = 0;

	for (unsigned int i = 0; i < ports->count; i++)
		count += ports->ranges[i][1] - ports->ranges[i][0] + 1u;
	return count <= KEY_PORTS_MAX;
}

static enum rule_side
rule_side_of(const struct rule *rule)
{
	if ((rule->flags & RULE_ONCE) != 0)
		return SIDE_ONCE;
	if (ports_keyed(rule->dst_ports))
		return SIDE_DST;
	return ports_keyed(rule->src_ports) ? SIDE_SRC : SIDE_ANY;
}

static bool
rule_in_table(const struct rule *rule, const struct table_at *at)
{
	bool stream = rule->phase == PHASE_STREAM && at->class == CLASS_TCP;

	if ((rule->classes >> at->class & 1) == 0)
		return false;
	if (at->class == CLASS_OTHER ? at->route != 0 : (rule->routes >> at->route & 1) == 0)
		return false;
	if ((rule->flow & RULE_FLOW_TO_SERVER) != 0 && at->to_server == 0)
		return false;
	if ((rule->flow & RULE_FLOW_TO_CLIENT) != 0 && at->to_server == 1)
		return false;
	return stream == (at->phase == PHASE_STREAM);
}

static const struct rule_ports *
keyed_ports(const struct compile *compile, uint32_t at, enum rule_side side)
{
	const struct rule *rule = compile->set->rules[compile->keyed[at]];

	return (side == SIDE_DST) != compile->swapped[at] ? rule->dst_ports : rule->src_ports;
}

/* The rules that one side of a table keys; of <> rules also those seen from the other end. */
static void
side_collect(struct compile *compile, const struct table_at *at, enum rule_side side)
{
	compile->keyed_count = 0;
	for (uint32_t i = 0; i < compile->pool_count; i++) {
		const struct rule *rule = compile->set->rules[compile->pool[i]];
		enum rule_side own = rule_side_of(rule);

		if (!rule_in_table(rule, at))
			continue;
		bool mirrored = (rule->flags & RULE_BOTH_WAYS) != 0 && own != side && own <= SIDE_SRC && side <= SIDE_SRC;

		if (own != side && !mirrored)
			continue;
		compile->swapped[compile->keyed_count] = mirrored;
		compile->keyed[compile->keyed_count++] = compile->pool[i];
	}
}

static bool
ports_have(const struct rule_ports *ports, uint32_t port)
{
	for (unsigned int i = 0; i < ports->count; i++)
		if (port >= ports->ranges[i][0] && port <= ports->ranges[i][1])
			return true;
	return false;
}

/* A group for each stretch of ports between two places where some rule begins or ends. */
static int
side_fill(struct compile *compile, enum rule_side side, const struct rule_port_map **out)
{
	uint8_t *edges = calloc(RULE_PORTS + 1, 1);
	uint16_t group = RULE_GROUP_NONE;
	int ret = edges == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; ret == 0 && i < compile->keyed_count; i++) {
		const struct rule_ports *ports = keyed_ports(compile, i, side);

		for (unsigned int r = 0; r < ports->count; r++)
			edges[ports->ranges[r][0]] = edges[ports->ranges[r][1] + 1] = 1;
	}
	for (uint32_t port = 0; ret == 0 && port < RULE_PORTS; port++) {
		if (edges[port] != 0) {
			uint32_t count = 0;

			for (uint32_t i = 0; i < compile->keyed_count; i++)
				if (ports_have(keyed_ports(compile, i, side), port))
					compile->list[count++] = compile->keyed[i];
			ret = rule_group_of(compile, count, &group);
		}
		compile->by_port[port] = group;
	}
	free(edges);
	return ret != 0 ? ret : rule_port_map_make(&compile->set->arena, compile->by_port, out);
}

static int
table_side(struct compile *compile, struct rule_table *table, const struct table_at *at, enum rule_side side)
{
	side_collect(compile, at, side);
	if (compile->keyed_count == 0)
		return 0;
	table->empty = false;
	compile->set->packet_rules = compile->set->packet_rules || at->phase == PHASE_PACKET;
	if (side >= SIDE_ANY) {
		memcpy(compile->list, compile->keyed, compile->keyed_count * sizeof(uint32_t));
		return rule_group_of(compile, compile->keyed_count, side == SIDE_ANY ? &table->any : &table->once);
	}
	return side_fill(compile, side, side == SIDE_DST ? &table->by_dst : &table->by_src);
}

/* The rules on packets and streams that ask for a protocol, or those that ask for none. */
static void
pool_collect(struct compile *compile, uint8_t app)
{
	compile->pool_count = 0;
	for (uint32_t i = 0; i < compile->set->rule_count; i++) {
		const struct rule *rule = compile->set->rules[i];

		if (rule->app == app && rule->phase != PHASE_MESSAGE && (rule->flags & RULE_EVENTS) == 0)
			compile->pool[compile->pool_count++] = i;
	}
}

static int
tables_fill(struct compile *compile, struct rule_tables *tables)
{
	unsigned int routes = compile->set->home == NULL ? 1 : RULE_ROUTES;

	for (unsigned int i = 0; i < routes * 2 * CLASS_COUNT * 2; i++) {
		const struct table_at at = { .route = i / (2 * CLASS_COUNT * 2), .phase = i / (CLASS_COUNT * 2) % 2,
			.class = i / 2 % CLASS_COUNT, .to_server = i % 2 };
		struct rule_table *table = &tables->of[at.route][at.phase][at.class][at.to_server];

		*table = (struct rule_table){ .any = RULE_GROUP_NONE, .once = RULE_GROUP_NONE, .empty = true };
		for (enum rule_side side = SIDE_DST; compile->pool_count > 0 && side <= SIDE_ONCE; side++)
			if (table_side(compile, table, &at, side) != 0)
				return -ENOMEM;
	}
	return 0;
}

static int
tables_make(struct compile *compile)
{
	struct ruleset *set = compile->set;

	pool_collect(compile, RULE_APP_NONE);
	if (tables_fill(compile, &set->tables) != 0)
		return -ENOMEM;
	set->app_tables = rule_arena_alloc(&set->arena, set->world.app_count * sizeof(*set->app_tables));
	if (set->app_tables == NULL && set->world.app_count > 0)
		return -ENOMEM;
	for (unsigned int app = 0; app < set->world.app_count; app++) {
		pool_collect(compile, (uint8_t)app);
		set->tabled_apps |= compile->pool_count > 0 ? UINT64_C(1) << app : 0;
		if (tables_fill(compile, &set->app_tables[app]) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- messages and events ---- */

static bool
rule_in_app(const struct rule *rule, unsigned int app, unsigned int to_server, enum rule_message_kind kind)
{
	uint16_t against = to_server == 1 ? RULE_FLOW_TO_CLIENT : RULE_FLOW_TO_SERVER;
	enum rule_message_kind own = (rule->flags & RULE_ONCE_APP) != 0 ? MESSAGE_ONCE : MESSAGE_RECORD;

	if (rule->phase != PHASE_MESSAGE || (rule->flow & against) != 0)
		return false;
	if ((rule->flags & RULE_FILE) != 0)
		return kind == MESSAGE_FILE && (rule->app == app || rule->app == RULE_APP_NONE);
	if (rule->app != app)
		return false;
	return rule->app_events != 0 ? kind == MESSAGE_NONE : kind == own;
}

static int
app_group(struct compile *compile, unsigned int app, unsigned int to_server, enum rule_message_kind kind, uint16_t *out)
{
	uint32_t count = 0;

	compile->kind = kind;
	for (uint32_t i = 0; i < compile->set->rule_count; i++) {
		const struct rule *rule = compile->set->rules[i];

		if (!rule_in_app(rule, app, to_server, kind))
			continue;
		compile->list[count++] = i;
		compile->set->apps[app].file_hashes[to_server] |= rule->file_hashes;
		if ((rule->flags & RULE_TRANSACTION) != 0)
			compile->set->apps[app].transactions = true;
	}
	return rule_group_of(compile, count, out);
}

/* The rules that wait for events of a protocol and direction, by the event. */
static int
app_events(struct compile *compile, unsigned int app, unsigned int to_server)
{
	struct ruleset *set = compile->set;
	struct rule_event_rules *by_event = rule_arena_alloc(&set->arena, RULE_APP_EVENT_MAX * sizeof(*by_event));
	struct rule_event_rule *waiting = calloc(set->rule_count + 1, sizeof(*waiting));
	uint16_t group = set->apps[app].group[to_server];
	uint16_t mute_count = group == RULE_GROUP_NONE ? 0 : set->groups[group].records->mute_count;
	int ret = by_event == NULL || waiting == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; i < set->rule_count; i++)
		if (rule_in_app(set->rules[i], app, to_server, MESSAGE_NONE))
			(void)rule_mute_bit(set->rules[i], to_server, &mute_count);

	for (unsigned int event = 0; ret == 0 && event < compile->app->event_count; event++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < set->rule_count; i++)
			if (rule_in_app(set->rules[i], app, to_server, MESSAGE_NONE) && (set->rules[i]->app_events >> event & 1) != 0)
				waiting[count++] = (struct rule_event_rule){ i, set->rules[i]->mute_bit[to_server] };
		by_event[event] = (struct rule_event_rules){ count, rule_arena_copy(&set->arena, waiting, count * sizeof(*waiting)) };
		if (by_event[event].rules == NULL)
			ret = -ENOMEM;
		if (count > 0)
			set->apps[app].event_mask[to_server] |= UINT64_C(1) << event;
	}
	set->apps[app].events[to_server] = by_event;
	free(waiting);
	return ret;
}

static int
apps_make(struct compile *compile)
{
	for (unsigned int i = 0; i < compile->set->world.app_count * 2; i++) {
		struct rule_app_groups *app = &compile->set->apps[i / 2];

		compile->app = compile->set->world.apps[i / 2];
		compile->to_server = i % 2 == 1;
		if (app_group(compile, i / 2, i % 2, MESSAGE_RECORD, &app->group[i % 2]) != 0
			|| app_events(compile, i / 2, i % 2) != 0
			|| app_group(compile, i / 2, i % 2, MESSAGE_ONCE, &app->once[i % 2]) != 0
			|| app_group(compile, i / 2, i % 2, MESSAGE_FILE, &app->files[i % 2]) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int
events_make(struct compile *compile)
{
	uint32_t count = 0;

	compile->app = NULL;
	compile->kind = MESSAGE_NONE;
	for (uint32_t i = 0; i < compile->set->rule_count; i++)
		if ((compile->set->rules[i]->flags & RULE_EVENTS) != 0 && compile->set->rules[i]->phase != PHASE_MESSAGE)
			compile->list[count++] = i;
	compile->set->packet_rules = compile->set->packet_rules || count > 0;
	return rule_group_of(compile, count, &compile->set->event_group);
}

/* Rules whose pattern Hyperscan would not take are verified each time. */
static int
refused_keep(struct ruleset *set)
{
	for (uint32_t g = 0; g < set->group_count; g++) {
		struct rule_group *group = &set->groups[g];
		const struct rule_database *made = group->database;
		const struct rule_database *own = made == NULL || made->same == NULL ? made : made->same;

		for (uint32_t i = 0; group->records != NULL && i < group->records->sieve_count; i++)
			rule_sieve_settle(&group->records->sieves[i]);
		if (own == NULL || own->refused_count == 0)
			continue;
		struct rule_gate *always = rule_arena_alloc(&set->arena, (group->always_count + own->refused_count) * sizeof(*always));

		if (always == NULL)
			return -ENOMEM;
		memcpy(always, group->always, group->always_count * sizeof(*always));
		for (uint32_t i = 0; i < own->refused_count; i++)
			always[group->always_count++] = rule_gate_of(set->rules[made->rules[own->refused[i]]],
				made->rules[own->refused[i]]);
		group->always = always;
		if (own->db == NULL)
			group->database = NULL;
	}
	return 0;
}

static void
drop_gone(struct ruleset *set)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < set->rule_count; i++)
		if (!set->rules[i]->gone)
			set->rules[kept++] = set->rules[i];
	set->rule_count = kept;
}

int
rule_compile(struct ruleset *set, const char *cache_dir)
{
	struct compile compile = { .set = set };
	uint32_t count = set->rule_count + 1;
	int ret = -ENOMEM;

	drop_gone(set);

	if (set->rule_count > 0)
		qsort(set->rules, set->rule_count, sizeof(set->rules[0]), rule_compare);
	for (uint32_t i = 0; i < set->rule_count; i++) {
		set->rules[i]->routes = rule_routes_of(set->rules[i], set->home);
		set->rules[i]->flags |= rule_may_mute(set->rules[i]) ? RULE_MAY_MUTE : 0;
		set->rules[i]->mute_bit[0] = set->rules[i]->mute_bit[1] = RULE_NOT_MUTED;
	}
	while (set->pass_count < set->rule_count && set->rules[set->pass_count]->meta.action == RULE_PASS)
		set->pass_count++;
	compile.list = calloc(count, sizeof(uint32_t));
	compile.pool = calloc(count, sizeof(uint32_t));
	compile.keyed = calloc(count, sizeof(uint32_t));
	compile.swapped = calloc(count, sizeof(bool));
	compile.by_port = calloc(RULE_PORTS, sizeof(uint16_t));
	if (compile.list != NULL && compile.pool != NULL && compile.keyed != NULL && compile.swapped != NULL && compile.by_port != NULL)
		ret = tables_make(&compile);
	if (ret == 0)
		ret = apps_make(&compile);
	if (ret == 0)
		ret = events_make(&compile);
	if (ret == 0)
		ret = rule_databases_build(set, cache_dir);
	if (ret == 0)
		ret = refused_keep(set);
	for (unsigned int i = 0; ret == 0 && i < set->world.app_count * 2; i++)
		if (set->apps[i / 2].group[i % 2] != RULE_GROUP_NONE)
			set->apps[i / 2].records[i % 2] = set->groups[set->apps[i / 2].group[i % 2]].records;
	set->stats.groups = set->group_count;
	free(compile.list);
	free(compile.pool);
	free(compile.keyed);
	free(compile.swapped);
	free(compile.by_port);
	free(compile.known);
	return ret;
}
