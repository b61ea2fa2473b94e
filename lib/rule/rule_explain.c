/* Cold: how a rule was compiled, in words. */
#include <errno.h>
#include <string.h>

#include "lib/rule/rule_sieve.h"
#include "lib/rule/rule_tests.h"

enum { LITERAL_SHOWN_MAX = 64 };

static const char *const phase_names[] = { "packet", "piece of a TCP stream", "message" };
static const char *const buffer_names[] = {
	[BUFFER_PAYLOAD] = "the payload", [BUFFER_ETHER_HDR] = "the Ethernet header", [BUFFER_IPV4_HDR] = "the IPv4 header",
	[BUFFER_IPV6_HDR] = "the IPv6 header", [BUFFER_TCP_HDR] = "the TCP header", [BUFFER_UDP_HDR] = "the UDP header",
	[BUFFER_ICMPV4_HDR] = "the ICMP header", [BUFFER_ICMPV6_HDR] = "the ICMPv6 header",
	[BUFFER_IGMP_HDR] = "the IGMP message", [BUFFER_SCTP_HDR] = "the SCTP header", [BUFFER_IP_SRC] = "the source address",
	[BUFFER_SCTP_DATA] = "a DATA chunk of SCTP", [BUFFER_IP_DST] = "the destination address", [BUFFER_FILE_NAME] = "the file's name",
	[BUFFER_BASE64] = "what base64_decode made",
};
static const char *const node_names[NODE_KIND_COUNT] = {
	[NODE_CONTENT] = "content", [NODE_PCRE] = "pcre", [NODE_ISDATAAT] = "isdataat", [NODE_BYTE_TEST] = "byte_test",
	[NODE_BYTE_JUMP] = "byte_jump", [NODE_BYTE_EXTRACT] = "byte_extract", [NODE_BYTE_MATH] = "byte_math", [NODE_BSIZE] = "bsize",
	[NODE_BASE64] = "base64_decode", [NODE_ENTROPY] = "entropy", [NODE_DATASET] = "dataset", [NODE_ASN1] = "asn1",
};

static const char *
app_name(const struct ruleset *set, const struct rule *rule)
{
	return rule->app == RULE_APP_NONE ? "" : set->world.apps[rule->app]->name;
}

static void
put_buffer_name(const struct ruleset *set, const struct rule_buffer *buffer, struct buf *out)
{
	if (buffer->kind != BUFFER_FIELD) {
		buf_puts(out, buffer->kind < sizeof(buffer_names) / sizeof(buffer_names[0]) && buffer_names[buffer->kind] != NULL
				      ? buffer_names[buffer->kind] : "a buffer");
	} else {
		buf_puts(out, set->world.apps[buffer->app]->name);
		for (unsigned int i = 0; i < buffer->paths[0].list_count; i++)
			buf_printf(out, ".%s", buffer->paths[0].lists[i]->path);
		buf_printf(out, ".%s", buffer->paths[0].leaf->path);
	}
	if (buffer->transforms != NULL)
		buf_printf(out, " (%s)", buffer->transforms->text);
}

static void
put_literal(const struct rule_plan *plan, struct buf *out)
{
	uint32_t shown = plan->count < LITERAL_SHOWN_MAX ? plan->count : LITERAL_SHOWN_MAX;

	buf_json_string(out, plan->node->content.bytes + plan->from, shown);
	if ((plan->node->flags & NODE_NOCASE) != 0)
		buf_puts(out, " in any case");
}

/* ---- where a rule over records is found ---- */

static bool
entry_is(const struct rule_records *records, uint32_t entry, uint32_t rule_idx)
{
	return records->entries[entry].rule_idx == rule_idx;
}

static void
put_number_name(const struct rule_app *app, const struct record_path *path, const struct rule_number_at *at, struct buf *out)
{
	if (path != NULL) {
		buf_puts(out, app->name);
		for (unsigned int i = 0; i < path->list_count; i++)
			buf_printf(out, ".%s", path->lists[i]->path);
		buf_printf(out, ".%s", path->leaf->path);
		return;
	}
	/* the field that lies there: several may, under different names */
	for (unsigned int i = 0; i < app->record->field_count; i++) {
		const struct field *field = &app->record->fields[i];
		uint32_t off = at->off + (64u - at->left) / 8 - (64u - at->right) / 8;

		if (field->offset == off && field->bit == at->bit) {
			buf_printf(out, "%s.%s", app->name, field->path);
			return;
		}
	}
	buf_puts(out, "a number");
}

/* The values behind which a rule stands in one index. @return whether it does */
static bool
put_values(const struct rule_records *records, const uint32_t first[256], uint32_t rule_idx, struct buf *out)
{
	bool any = false;

	for (unsigned int byte = 0; byte < 256; byte++)
		for (uint32_t at = first[byte]; at != 0; at = records->links[at].next)
			if (entry_is(records, records->links[at].entry, rule_idx)) {
				buf_printf(out, "%s%lld", any ? ", " : "", (long long)records->links[at].value);
				any = true;
			}
	return any;
}

static bool
put_scan(const struct ruleset *set, const struct rule_records *records, uint32_t rule_idx, struct buf *out)
{
	const struct rule *rule = set->rules[rule_idx];

	for (uint32_t i = 0; i < records->scan_count; i++) {
		const struct rule_scan *scan = &records->scans[i];

		for (uint32_t p = 0; p < scan->database->pattern_count; p++) {
			struct rule_plan plan = { 0 };

			if (!entry_is(records, scan->database->rules[p], rule_idx))
				continue;
			for (unsigned int b = 0; b < rule->buffer_count && plan.node == NULL; b++)
				if (rule_buffer_same(&rule->buffers[b], scan->buffer))
					(void)rule_plan_literal(&rule->buffers[b], &plan);
			buf_puts(out, "the literal ");
			if (plan.node != NULL)
				put_literal(&plan, out);
			buf_puts(out, " in ");
			put_buffer_name(set, scan->buffer, out);
			buf_printf(out, ", by Hyperscan with %u others", scan->database->pattern_count - 1);
			return true;
		}
	}
	return false;
}

static void
put_lens(const struct ruleset *set, const struct rule_app *app, const struct rule_lens *lens, struct buf *out)
{
	switch ((enum rule_lens_kind)lens->kind) {
	case LENS_NUMBER:
	case LENS_NUMBERS:
	case LENS_ARRAY:
		put_number_name(app, lens->kind == LENS_NUMBER ? NULL : lens->deep->paths,
			lens->kind == LENS_NUMBERS ? lens->deep->ats : &lens->at, out);
		return;
	case LENS_TAGS:
		buf_puts(out, "the commands, services and states its protocol notes of each record");
		return;
	default:
		buf_puts(out, lens->kind == LENS_TEXT ? "the beginning and length of "
			: lens->kind == LENS_SEARCH   ? "a search by Hyperscan of "
						      : "a literal in ");
		put_buffer_name(set, lens->deep->buffer, out);
	}
}

/* @return whether the rule is in the sieve */
static bool
put_sieve(const struct ruleset *set, const struct rule_app *app, const struct rule_sieve *sieve, uint32_t rule_idx, struct buf *out)
{
	unsigned int told = 0;
	uint32_t bit = 0;

	while (bit < sieve->rule_count && sieve->entries[bit].rule_idx != rule_idx)
		bit++;
	if (bit == sieve->rule_count)
		return false;
	const struct rule_need *need = &sieve->entries[bit].need;

	for (uint32_t i = 0; i < sieve->lens_count; i++) {
		if ((sieve->lenses[i].asked[bit >> 6] >> (bit & 63) & 1) == 0)
			continue;
		buf_puts(out, told++ == 0 ? "a sieve: by " : ", ");
		put_lens(set, app, &sieve->lenses[i], out);
	}
	if (told == 0)
		buf_puts(out, need->all == 0 && need->any == 0 && need->list_off == 0 ? "nothing: asked of every record"
										      : "the fields it needs being there");
	buf_printf(out, "; with %u other rules", sieve->rule_count - 1);
	return true;
}

static void
put_place(const struct ruleset *set, const struct rule_group *group, uint32_t rule_idx, struct buf *out)
{
	const struct rule_records *records = group->records;
	struct buf values;

	if (buf_create(&values, 1024) != 0)
		return;
	for (uint32_t i = 0; i < records->index_count; i++)
		if (put_values(records, records->indexes[i].first, rule_idx, &values)) {
			put_number_name(group->app, records->indexes[i].path, &records->indexes[i].at, out);
			buf_printf(out, " being %.*s", (int)values.len, (const char *)values.data);
			buf_destroy(&values);
			return;
		}
	buf_destroy(&values);
	if (put_scan(set, records, rule_idx, out))
		return;
	for (uint32_t i = 0; i < records->sieve_count; i++)
		if (put_sieve(set, group->app, &records->sieves[i], rule_idx, out))
			return;
	buf_puts(out, "nothing here: a condition is never met in this direction");
}

/* ---- where a rule over payload is found ---- */

static void
put_words(const struct rule_plan *plan, struct buf *out)
{
	buf_printf(out, ": offset %u, %u bytes, mask %016llx", plan->first.offset, plan->first.len, (unsigned long long)plan->first.mask);
	if (plan->more.len > 0)
		buf_printf(out, "; and offset %u, %u bytes, mask %016llx", plan->more.offset, plan->more.len, (unsigned long long)plan->more.mask);
}

static void
put_plan(const struct rule_group *group, const struct rule_plan *plan, struct buf *out)
{
	static const char *const names[] = { [PLAN_ALWAYS] = "nothing: verified each time", [PLAN_INDEX] = "bytes at a fixed place",
		[PLAN_LITERAL] = "the literal ", [PLAN_PCRE] = "its pcre" };

	buf_puts(out, names[plan->kind]);
	if (plan->kind == PLAN_LITERAL)
		put_literal(plan, out);
	if (plan->kind == PLAN_INDEX)
		put_words(plan, out);
	else if (plan->kind != PLAN_ALWAYS && group->database != NULL)
		buf_printf(out, ", by Hyperscan with %u others", group->database->pattern_count - 1);
}

static bool
group_has(const struct rule_group *group, uint32_t rule_idx)
{
	for (uint32_t i = 0; i < group->rule_count; i++)
		if (group->rules[i] == rule_idx)
			return true;
	return false;
}

static void
put_groups(const struct ruleset *set, uint32_t rule_idx, struct buf *out)
{
	const struct rule *rule = set->rules[rule_idx];
	const struct rule_group *last = NULL;
	unsigned int groups = 0;
	struct rule_plan plan;

	for (uint32_t g = 0; g < set->group_count; g++) {
		const struct rule_group *group = &set->groups[g];

		if (!group_has(group, rule_idx))
			continue;
		groups++;
		last = group;
		if (group->records == NULL)
			continue;
		buf_printf(out, "%s: found by ", group->to_server ? "to the server" : "to the client");
		put_place(set, group, rule_idx, out);
		buf_putc(out, '\n');
	}
	if (rule->phase == PHASE_MESSAGE && rule->app_events != 0)
		buf_puts(out, "found by its events\n");
	if (last == NULL || last->records != NULL)
		return;
	buf_printf(out, "in %u groups of ports, directions and routes", groups);
	if ((rule->flags & RULE_FILE) != 0) {
		buf_printf(out, ": asked of each file, %s\n", (rule->flags & RULE_FILE_END) != 0 ? "when it ended" : "when its name is known");
		return;
	}
	if (last->app != NULL) {
		buf_puts(out, ": asked once a flow and direction\n");
		return;
	}
	rule_plan_make(rule, &plan);
	buf_puts(out, ": found by ");
	put_plan(last, &plan, out);
	buf_putc(out, '\n');
}

static void
put_verified(const struct ruleset *set, const struct rule *rule, struct buf *out)
{
	buf_printf(out, "then verified: %u conditions, %u bits", rule->test_count, rule->state_count);
	for (unsigned int i = 0; i < rule->buffer_count; i++) {
		const struct rule_buffer *buffer = &rule->buffers[i];

		buf_puts(out, "; in ");
		put_buffer_name(set, buffer, out);
		for (unsigned int n = 0; n < buffer->node_count; n++) {
			uint8_t kind = buffer->nodes[n].kind;

			buf_printf(out, "%s %s", n == 0 ? "" : ",", kind < NODE_KIND_COUNT && node_names[kind] != NULL ? node_names[kind] : "a test");
		}
	}
	buf_putc(out, '\n');
}

int
ruleset_explain(const struct ruleset *set, uint32_t gid, uint32_t sid, struct buf *out)
{
	bool found = false;

	for (uint32_t i = 0; i < set->rule_count; i++) {
		const struct rule *rule = set->rules[i];

		if (rule->meta.sid != sid || rule->meta.gid != gid)
			continue;
		buf_printf(out, "rule %u:%u rev %u, %s:%u, precedence %u\n%s\n", gid, sid, rule->meta.rev, rule->meta.file, rule->meta.line, i,
			rule->meta.msg);
		if (rule->meta.references_json != NULL)
			buf_printf(out, "references %s\n", rule->meta.references_json);
		buf_printf(out, "asked of each %s%s%s\n", phase_names[rule->phase], rule->app == RULE_APP_NONE ? "" : " of ",
			app_name(set, rule));
		put_groups(set, i, out);
		put_verified(set, rule, out);
		found = true;
	}
	return found ? 0 : -ENOENT;
}
