/*
 * Hot, but for the two functions that make and free the memory: variables that expressions capture. Those of a packet
 * live in the matcher until the next one; those of flows in a table that forgets the oldest of a set when it is full.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"

enum { VAR_SETS = 256, VAR_WAYS = 4 };

struct rule_var_table {
	struct rule_captured rows[VAR_SETS][VAR_WAYS]; /* the newest of a set first; flow_id 0: free */
};

static struct rule_captured *
var_set(const struct rule_view *view, uint64_t flow_id, uint32_t id)
{
	return view->matcher->memory->vars->rows[hash_u64(id, flow_id) & (VAR_SETS - 1)];
}

/* The row of a variable of the rule at hand. NULL: no room, counted */
static struct rule_captured *
capture_row(struct rule_view *view, uint32_t id)
{
	struct rule_matcher *matcher = view->matcher;
	unsigned int at = matcher->captured_count;

	/* a match that is tried again captures again */
	while (at < matcher->captured_count + view->captured_count && matcher->captured[at].id != id)
		at++;
	if (at == RULE_CAPTURED_MAX) {
		rule_count(view, RULE_COUNTER_CAPTURES_SHED);
		return NULL;
	}
	if (at == matcher->captured_count + view->captured_count)
		view->captured_count++;
	return &matcher->captured[at];
}

void
rule_capture(struct rule_view *view, const struct rule_capture *capture, const uint8_t *data, size_t len)
{
	bool flow = capture->kept == CAPTURED_FOR_FLOW;
	uint64_t flow_id = flow && view->flow != NULL ? view->flow->flow_id : 0;
	struct rule_captured *captured = flow && flow_id == 0 ? NULL : capture_row(view, capture->id);

	if (captured == NULL)
		return;
	captured->flow_id = flow_id;
	captured->id = capture->id;
	captured->alert = capture->kept == CAPTURED_FOR_ALERT;
	captured->json = false;
	captured->len = (uint16_t)(len < RULE_CAPTURED_LEN_MAX ? len : RULE_CAPTURED_LEN_MAX);
	memcpy(captured->bytes, data, captured->len);
}

void
rule_capture_json(struct rule_view *view, uint32_t id, const uint8_t *text, uint32_t len)
{
	const struct rule_captured_json json = { text, len };
	struct rule_captured *captured = capture_row(view, id);

	if (captured == NULL)
		return;
	captured->flow_id = 0;
	captured->id = id;
	captured->alert = captured->json = true;
	captured->len = sizeof(json);
	memcpy(captured->bytes, &json, sizeof(json));
}

static void
var_put(struct rule_view *view, const struct rule_captured *captured)
{
	struct rule_captured *set = var_set(view, captured->flow_id, captured->id);
	unsigned int at = 0;

	while (at < VAR_WAYS - 1 && set[at].flow_id != 0
		&& (set[at].flow_id != captured->flow_id || set[at].id != captured->id))
		at++;
	if (set[at].flow_id != 0 && (set[at].flow_id != captured->flow_id || set[at].id != captured->id))
		rule_count(view, RULE_COUNTER_VARS_EVICTED);
	memmove(&set[1], &set[0], at * sizeof(set[0]));
	set[0] = *captured;
}

void
rule_var_put_number(struct rule_view *view, uint32_t id, double number)
{
	struct rule_captured captured = { .id = id, .len = sizeof(number) };

	if (view->flow == NULL)
		return;
	captured.flow_id = view->flow->flow_id;
	memcpy(captured.bytes, &number, sizeof(number));
	var_put(view, &captured);
}

void
rule_captures_keep(struct rule_view *view)
{
	struct rule_matcher *matcher = view->matcher;
	uint16_t kept = matcher->captured_count;

	for (unsigned int i = 0; i < view->captured_count; i++) {
		const struct rule_captured *captured = &matcher->captured[matcher->captured_count + i];

		if (captured->flow_id != 0)
			var_put(view, captured);
		else
			matcher->captured[kept++] = *captured;
	}
	matcher->captured_count = kept;
	view->captured_count = 0;
}

const struct rule_captured *
rule_var_find(const struct rule_view *view, const struct rule_state *state)
{
	const struct rule_matcher *matcher = view->matcher;

	if (state->kind == STATE_VAR && rule_name_kind(matcher->set->names[state->ids[0]]) == RULE_NAME_PKT_VAR) {
		for (unsigned int i = 0; i < matcher->captured_count; i++)
			if (matcher->captured[i].id == state->ids[0])
				return &matcher->captured[i];
		return NULL;
	}
	if (view->flow == NULL)
		return NULL;
	const struct rule_captured *set = var_set(view, view->flow->flow_id, state->ids[0]);

	for (unsigned int i = 0; i < VAR_WAYS; i++)
		if (set[i].flow_id == view->flow->flow_id && set[i].id == state->ids[0])
			return &set[i];
	return NULL;
}

static void
put_text(struct buf *out, const char *name, const struct rule_captured *captured)
{
	struct rule_captured_json json;

	buf_json_string(out, name + 1, strlen(name + 1));
	buf_putc(out, ':');
	if (!captured->json) {
		buf_json_string(out, captured->bytes, captured->len);
		return;
	}
	memcpy(&json, captured->bytes, sizeof(json));
	buf_put(out, json.text, json.len);
}

static void
put_listed(struct buf *out, const char *name, const struct rule_captured *captured)
{
	buf_putc(out, '{');
	put_text(out, name, captured);
	buf_putc(out, '}');
}

static void
put_number(struct buf *out, const char *name, const struct rule_captured *captured)
{
	double number;

	memcpy(&number, captured->bytes, sizeof(number));
	buf_json_string(out, name + 1, strlen(name + 1));
	buf_putc(out, ':');
	buf_f64(out, number);
}

/** How the variables of a kind are shown. */
struct var_style {
	const char *key;
	char open, close;
	void (*put)(struct buf *out, const char *name, const struct rule_captured *captured);
};

static const struct var_style styles[RULE_NAME_KIND_COUNT] = {
	[RULE_NAME_PKT_VAR] = { "pktvars", '[', ']', put_listed },
	[RULE_NAME_FLOW_VAR] = { "flowvars", '[', ']', put_listed },
	[RULE_NAME_ENTROPY] = { "entropy", '{', '}', put_number },
};

/* @param any  whether one of the style was put before */
static bool
put_var(struct buf *out, bool any, const struct var_style *style, const char *name, const struct rule_captured *captured)
{
	if (any)
		buf_putc(out, ',');
	else
		buf_printf(out, "%s\"%s\":%c", out->len > 0 && out->data[out->len - 1] != '{' ? "," : "", style->key, style->open);
	style->put(out, name, captured);
	return true;
}

static void
flow_vars_json(const struct rule_matcher *matcher, const struct flow *flow, enum rule_name_kind kind, struct buf *out)
{
	const struct ruleset *set = matcher->set;
	bool any = false;

	for (uint32_t id = 0; id < set->name_count; id++) {
		const struct rule_captured *rows = matcher->memory->vars->rows[hash_u64(id, flow->flow_id) & (VAR_SETS - 1)];

		for (unsigned int i = 0; rule_name_kind(set->names[id]) == kind && i < VAR_WAYS; i++)
			if (rows[i].flow_id == flow->flow_id && rows[i].id == id)
				any = put_var(out, any, &styles[kind], set->names[id], &rows[i]);
	}
	if (any)
		buf_putc(out, styles[kind].close);
}

void
rule_vars_json(const struct rule_matcher *matcher, const struct flow *flow, bool packet, struct buf *out)
{
	const struct ruleset *set = matcher->set;
	bool any = false;

	for (unsigned int i = 0; packet && i < matcher->captured_count; i++)
		if (!matcher->captured[i].alert)
			any = put_var(out, any, &styles[RULE_NAME_PKT_VAR], set->names[matcher->captured[i].id], &matcher->captured[i]);
	if (any)
		buf_putc(out, styles[RULE_NAME_PKT_VAR].close);
	if (flow == NULL || !set->flow_vars)
		return;
	flow_vars_json(matcher, flow, RULE_NAME_FLOW_VAR, out);
	flow_vars_json(matcher, flow, RULE_NAME_ENTROPY, out);
}

void
rule_context_json(const struct rule_matcher *matcher, const struct rule_hit *hit, struct buf *out)
{
	unsigned int end = hit->captured_from + hit->captured_count;

	buf_reset(out);
	for (unsigned int i = hit->captured_from; i < end && i < matcher->captured_count; i++) {
		if (!matcher->captured[i].alert)
			continue;
		buf_putc(out, out->len == 0 ? '{' : ',');
		put_text(out, matcher->set->names[matcher->captured[i].id], &matcher->captured[i]);
	}
	if (out->len > 0)
		buf_putc(out, '}');
	if (!out->full)
		return;
	counter_add(&matcher->memory->counters[RULE_COUNTER_METADATA_SHED], 1);
	buf_reset(out);
}

/* ---- cold ---- */

int
rule_vars_create(struct rule_var_table **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

void
rule_vars_destroy(struct rule_var_table *table)
{
	free(table);
}
