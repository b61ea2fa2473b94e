/*
 * Frames that the mirror port delivers twice: once where they enter the switch, once where they leave it. The second copy has
 * the same content but for what a router changes (MAC addresses, tags, TTL, class, header checksum) and comes at once; what a
 * host sends again has another IP identification or comes much later.
 */
#include "lib/base/cursor.h"
#include "lib/base/seen.h"
#include "lib/flow/flow.h"
#include "lib/flow/flow_table.h"

enum {
	MACS_LEN = 12,
	LOOK_LEN = 192, /* bytes behind the IP addresses that are looked at; the checksum in them stands for the rest */
};

/** What stays the same in both copies of a datagram. */
static uint64_t
print_of_datagram(const struct seen *seen, const struct packet *packet)
{
	struct cursor in = cursor_of(packet->data, packet->len);
	bool v4 = packet->ip_version == 4;
	uint64_t lengths;
	const uint8_t *bytes;
	size_t len;

	cursor_skip(&in, packet->l3_off + (v4 ? 2u : 4u));
	lengths = cursor_be16(&in);
	len = v4 ? lengths - 4 : lengths + 34; /* what the datagram still has, without padding */
	if (len < cursor_left(&in))
		in.left = (uint32_t)len;
	if (v4)
		lengths = lengths << 32 | cursor_be32(&in); /* id, offset */
	cursor_skip(&in, v4 ? 6 : 2);
	len = cursor_left(&in) < LOOK_LEN ? cursor_left(&in) : LOOK_LEN;
	bytes = cursor_take(&in, len);
	if (bytes == NULL)
		return 0;
	return seen_print(seen, lengths ^ (uint64_t)packet->ip_proto << 48 ^ (uint64_t)packet->tunnel_depth << 56, bytes, len);
}

/** The same of a frame without IP that has a flow: its MACs, its EtherType, and all that is behind. */
static uint64_t
print_of_frame(const struct seen *seen, const struct packet *packet)
{
	struct cursor macs = cursor_of(packet->data, packet->len);
	const uint8_t *pair;

	cursor_skip(&macs, packet->l2_off);
	pair = cursor_take(&macs, MACS_LEN);
	if (pair == NULL || !packet_is(packet, PACKET_FLOW))
		return 0;
	return seen_print(seen, seen_print(seen, packet->ether_type, pair, MACS_LEN), packet->payload, packet->payload_len);
}

bool
flow_is_duplicate(struct flow_table *table, const struct packet *packet)
{
	uint64_t print;

	if (table->duplicates == NULL)
		return false;
	print = packet->ip_version != 0 ? print_of_datagram(table->duplicates, packet) : print_of_frame(table->duplicates, packet);
	/* there is one copy of each frame: a third was sent again */
	if (print == 0 || !seen_note(table->duplicates, print, packet->ts_ns, table->duplicate_ns, false))
		return false;
	table->pending[FLOW_COUNTER_DUPLICATES]++;
	return true;
}
