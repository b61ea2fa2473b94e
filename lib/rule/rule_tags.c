/*
 * Hot, but for the two functions that make and free the memory: packets that follow an alert and are kept with it. A
 * tag stands on a flow or on an address, for so many packets, bytes or seconds; the table forgets the oldest of a set.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/flow/flow.h"
#include "lib/rule/rule_internal.h"

enum { TAG_SETS = 128, TAG_WAYS = 4 };

#define NS_PER_S UINT64_C(1000000000)

struct rule_tag_row {
	uint64_t key[2];      /* the flow's id, or the address */
	uint64_t since_ns, until_ns;
	uint64_t left;        /* packets or bytes */
	uint64_t frame;       /* that set it: the tag begins behind it */
	uint8_t where, metric;
	uint8_t ip_version;   /* 0: a flow's */
	bool used;
};

struct rule_tag_table {
	uint32_t active;      /* rows in use: without any a packet costs one look at this */
	struct rule_tag_row rows[TAG_SETS][TAG_WAYS];
};

static struct rule_tag_row *
set_of(struct rule_tag_table *table, const uint64_t key[2])
{
	return table->rows[hash_u64(hash_u64(0, key[0]), key[1]) & (TAG_SETS - 1)];
}

void
rule_tag_begin(const struct rule_view *view, const struct rule_tag *tag)
{
	struct rule_tag_table *table = view->matcher->memory->tags;
	const struct ip_addr *addr = tag->where == TAG_SRC ? &view->src : &view->dst;
	struct rule_tag_row made = { .where = tag->where, .metric = tag->metric, .used = true, .left = tag->limit,
		.frame = view->packet == NULL ? 0 : view->packet->frame_number };

	/* of so many packets the one at hand, which the alert has, is the first */
	made.left -= tag->metric == TAG_PACKETS;
	if (made.left == 0 && tag->metric == TAG_PACKETS)
		return;
	if (tag->where == TAG_SESSION ? view->flow == NULL : view->ip_version == 0)
		return;
	made.key[0] = tag->where == TAG_SESSION ? view->flow->flow_id : addr->halves[0];
	made.key[1] = tag->where == TAG_SESSION ? 0 : addr->halves[1];
	made.ip_version = tag->where == TAG_SESSION ? 0 : view->ip_version;
	made.since_ns = view->ts_ns;
	made.until_ns = tag->metric == TAG_SECONDS ? view->ts_ns + tag->limit * NS_PER_S : UINT64_MAX;
	struct rule_tag_row *set = set_of(table, made.key);
	unsigned int at = 0;

	while (at < TAG_WAYS - 1 && set[at].used)
		at++;
	for (unsigned int i = 0; i < TAG_WAYS; i++)
		if (set[i].used && set[i].key[0] == made.key[0] && set[i].key[1] == made.key[1] && set[i].ip_version == made.ip_version)
			return; /* the tag that stands goes on */
	if (set[at].used)
		rule_count(view, RULE_COUNTER_TAGS_EVICTED);
	else
		table->active++;
	set[at] = made;
}

/* Whether a tag stands on the key and takes this packet; what is used up ends. */
static bool
tag_takes(struct rule_tag_table *table, const struct packet *packet, uint64_t low, uint64_t high, uint8_t ip_version)
{
	const uint64_t key[2] = { low, high };
	struct rule_tag_row *set = set_of(table, key);

	for (unsigned int i = 0; i < TAG_WAYS; i++) {
		struct rule_tag_row *row = &set[i];
		uint64_t cost = row->metric == TAG_SECONDS ? 0 : row->metric == TAG_BYTES ? packet->wire_len : 1;

		if (!row->used || row->key[0] != low || row->key[1] != high || row->ip_version != ip_version
			|| row->frame == packet->frame_number)
			continue;
		bool takes = packet->ts_ns <= row->until_ns && row->left > 0 && !clock_is_back(packet->ts_ns, row->since_ns);

		row->left = row->left > cost ? row->left - cost : 0;
		if (!takes || row->left == 0) {
			row->used = false;
			table->active--;
		}
		return takes;
	}
	return false;
}

bool
rule_packet_tagged(struct rule_matcher *matcher, const struct packet *packet, const struct flow *flow)
{
	struct rule_tag_table *table = matcher->memory->tags;
	bool tagged = false;

	if (table->active == 0)
		return false;
	if (flow != NULL)
		tagged = tag_takes(table, packet, flow->flow_id, 0, 0);
	if (packet->ip_version == 0)
		return tagged;
	tagged = tag_takes(table, packet, packet->src.halves[0], packet->src.halves[1], packet->ip_version) || tagged;
	return tag_takes(table, packet, packet->dst.halves[0], packet->dst.halves[1], packet->ip_version) || tagged;
}

/* ---- cold ---- */

int
rule_tags_create(struct rule_tag_table **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

void
rule_tags_destroy(struct rule_tag_table *table)
{
	free(table);
}
