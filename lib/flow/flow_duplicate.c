/*
 * Frames that the mirror port delivers twice: once where they enter the switch, once where they leave it. The second
 * copy has the same IP packet but for what a router changes (MAC addresses, tags, TTL, class, header checksum) and
 * comes at once; what a host sends again has another IP identification or comes much later.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/cursor.h"
#include "lib/base/hash.h"
#include "lib/flow/flow.h"
#include "lib/flow/flow_table.h"

enum {
	DUPLICATE_PRINTS = 8192, /* packets remembered */
	LOOK_LEN = 192,          /* bytes behind the IP addresses that are looked at; the checksum in them stands for the rest */
};

struct flow_duplicates {
	struct {
		uint64_t ts_ns;
		uint64_t print; /* 0: none */
	} seen[DUPLICATE_PRINTS];
};

int
flow_duplicates_create(struct flow_duplicates **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

/** What stays the same in both copies. */
static uint64_t
print_of(const struct packet *packet)
{
	struct cursor in = cursor_of(packet->data, packet->len);
	bool v4 = packet->ip_version == 4;
	uint64_t lengths, rest;
	uint32_t low, high;
	const uint8_t *bytes;
	size_t len;

	cursor_skip(&in, packet->l3_off + (v4 ? 2u : 4u));
	lengths = cursor_be16(&in);
	if (v4)
		lengths = lengths << 32 | cursor_be32(&in); /* id, offset */
	cursor_skip(&in, v4 ? 6 : 2);
	len = cursor_left(&in) < LOOK_LEN ? cursor_left(&in) : LOOK_LEN;
	bytes = cursor_take(&in, len);
	if (bytes == NULL)
		return 0;
	low = crc32c((uint32_t)lengths, bytes, len);
	high = crc32c(low ^ (uint32_t)(lengths >> 32), bytes, len < 40 ? len : 40);
	rest = (uint64_t)high << 32 | (low ^ packet->ip_proto ^ (uint32_t)packet->tunnel_depth << 8);
	return rest == 0 ? 1 : rest;
}

bool
flow_is_duplicate(struct flow_table *table, const struct packet *packet)
{
	struct flow_duplicates *duplicates = table->duplicates;
	uint64_t print, before_ns, since_ns;
	size_t idx;

	if (duplicates == NULL || packet->ip_version == 0)
		return false;
	print = print_of(packet);
	if (print == 0)
		return false;
	idx = print % DUPLICATE_PRINTS;
	before_ns = duplicates->seen[idx].ts_ns;
	since_ns = packet->ts_ns > before_ns ? packet->ts_ns - before_ns : before_ns - packet->ts_ns;
	if (duplicates->seen[idx].print != print || since_ns > table->duplicate_ns) {
		duplicates->seen[idx].print = print;
		duplicates->seen[idx].ts_ns = packet->ts_ns;
		return false;
	}
	duplicates->seen[idx].print = 0; /* there is one copy of each frame: a third was sent again */
	table->pending[FLOW_COUNTER_DUPLICATES]++;
	return true;
}
