/* What tests of the flow table send through it. */
#ifndef MR_FLOW_TEST_PACKETS_H
#define MR_FLOW_TEST_PACKETS_H

#include <string.h>

#include "lib/flow/flow.h"

static const uint64_t S = UINT64_C(1000000000);

static inline struct flow_config
config_of(uint64_t flows_max)
{
	return (struct flow_config){
		.flows_max = flows_max, .emergency_recovery = 10,
		.timeout_s = { { 30, 300, 0 }, { 60, 600, 60 }, { 30, 300, 0 }, { 30, 300, 0 } },
		.emergency_timeout_s = { { 10, 100, 0 }, { 5, 100, 10 }, { 10, 100, 0 }, { 10, 100, 0 } },
	};
}

/** A packet as decoding leaves it. */
static inline void
make(struct packet *packet, uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint64_t ts_ns)
{
	bool swapped = src > dst || (src == dst && sport > dport);

	memset(packet, 0, sizeof(*packet));
	packet->ts_ns = ts_ns;
	packet->wire_len = 100;
	packet->flags = PACKET_IP | PACKET_L4 | PACKET_FLOW | (swapped ? PACKET_KEY_SWAPPED : 0);
	packet->ip_version = packet->key.ip_version = 4;
	packet->ip_proto = packet->key.ip_proto = proto;
	packet->ttl = 64;
	packet->key.addr[swapped].words[0] = src;
	packet->key.addr[!swapped].words[0] = dst;
	packet->key.port[swapped] = sport;
	packet->key.port[!swapped] = dport;
	packet->hash = packet_key_hash(&packet->key);
	packet->next_idx = PACKET_NO_NEXT;
}

#endif
