/*
 * Which overlap policy a host has: host-os-policy, address ranges by the name of a system.
 * Used for fragments and for TCP segments. Read-only after creation.
 */
#ifndef MR_PACKET_HOST_POLICY_H
#define MR_PACKET_HOST_POLICY_H

#include "lib/packet/packet.h"
#include "lib/packet/piece.h"

enum { HOST_POLICY_RANGES_MAX = 64 };

struct host_policy {
	struct {
		struct ip_addr addr;
		uint8_t version, prefix_len, policy;
	} ranges[HOST_POLICY_RANGES_MAX];
	unsigned int range_count;
	uint8_t fallback; /* enum piece_policy of hosts that no range names */
};

/** @param tree  { linux: [10.0.0.0/8, ...], windows: [0.0.0.0/0] }, or NULL; not kept. @return 0 or -EINVAL */
int host_policy_parse(struct host_policy *out, const json_t *tree, enum piece_policy fallback);
/** Of the longest range that holds the address. */
enum piece_policy host_policy_of(const struct host_policy *hosts, uint8_t ip_version, const struct ip_addr *addr);

#endif
