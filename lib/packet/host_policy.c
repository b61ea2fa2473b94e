#include "lib/packet/host_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
range_add(struct host_policy *hosts, const char *text, int policy)
{
	unsigned int idx = hosts->range_count;
	bool v6 = text != NULL && strchr(text, ':') != NULL;
	long bits_max = v6 ? 128 : 32, bits = bits_max;
	char copy[64];
	char *slash;

	if (text == NULL || strlen(text) >= sizeof(copy) || idx == HOST_POLICY_RANGES_MAX)
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	slash = strchr(copy, '/');
	if (slash != NULL) {
		*slash++ = '\0';
		bits = strtol(slash, NULL, 10);
	}
	if (bits < 0 || bits > bits_max || inet_pton(v6 ? AF_INET6 : AF_INET, copy, hosts->ranges[idx].addr.bytes) != 1)
		return -EINVAL;
	hosts->ranges[idx].version = v6 ? 6 : 4;
	hosts->ranges[idx].prefix_len = (uint8_t)bits;
	hosts->ranges[idx].policy = (uint8_t)policy;
	hosts->range_count++;
	return 0;
}

int
host_policy_parse(struct host_policy *out, const json_t *tree, enum piece_policy fallback)
{
	const char *name;
	json_t *list;

	memset(out, 0, sizeof(*out));
	out->fallback = (uint8_t)fallback;
	json_object_foreach((json_t *)(uintptr_t)tree, name, list) {
		int policy = piece_policy_find(name);

		if (policy < 0)
			return -EINVAL;
		for (size_t i = 0; i < json_array_size(list); i++)
			if (range_add(out, json_string_value(json_array_get(list, i)), policy) < 0)
				return -EINVAL;
	}
	return 0;
}

static bool
prefix_matches(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return bits % 8 == 0 || ((a[whole] ^ b[whole]) >> (8 - bits % 8)) == 0;
}

enum piece_policy
host_policy_of(const struct host_policy *hosts, uint8_t ip_version, const struct ip_addr *addr)
{
	uint8_t policy = hosts->fallback;
	int best = -1;

	for (unsigned int i = 0; i < hosts->range_count; i++)
		if (hosts->ranges[i].version == ip_version && hosts->ranges[i].prefix_len > best &&
		    prefix_matches(hosts->ranges[i].addr.bytes, addr->bytes, hosts->ranges[i].prefix_len)) {
			best = hosts->ranges[i].prefix_len;
			policy = hosts->ranges[i].policy;
		}
	return policy;
}
