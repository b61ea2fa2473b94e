/* Which ways a rule's addresses let it match on: from $HOME_NET, into it, within it, past it. */
#include "lib/rule/rule_compile.h"

/* Whether some address is in both. */
static bool
addresses_meet(const struct rule_addresses *a, const struct rule_addresses *b)
{
	for (uint32_t i = 0; i < a->count4; i++)
		for (uint32_t n = 0; n < b->count4; n++)
			if (a->v4[i][0] <= b->v4[n][1] && b->v4[n][0] <= a->v4[i][1])
				return true;
	for (uint32_t i = 0; i < a->count6; i++)
		for (uint32_t n = 0; n < b->count6; n++)
			if (a->v6[i][0] <= b->v6[n][1] && b->v6[n][0] <= a->v6[i][1])
				return true;
	return false;
}

static bool
covers4(const struct rule_addresses *set, uint32_t low, uint32_t high)
{
	for (uint32_t i = 0; i < set->count4; i++)
		if (set->v4[i][0] <= low && high <= set->v4[i][1])
			return true;
	return false;
}

static bool
covers6(const struct rule_addresses *set, rule_u128 low, rule_u128 high)
{
	for (uint32_t i = 0; i < set->count6; i++)
		if (set->v6[i][0] <= low && high <= set->v6[i][1])
			return true;
	return false;
}

/* Whether all of `inner` is in `outer`. Ranges do not touch one another, so that one that is in it is in one range of it. */
static bool
addresses_within(const struct rule_addresses *inner, const struct rule_addresses *outer)
{
	for (uint32_t i = 0; i < inner->count4; i++)
		if (!covers4(outer, inner->v4[i][0], inner->v4[i][1]))
			return false;
	for (uint32_t i = 0; i < inner->count6; i++)
		if (!covers6(outer, inner->v6[i][0], inner->v6[i][1]))
			return false;
	return true;
}

/* Where addresses may be: bit 0 in the home network, bit 1 outside of it. */
static unsigned int
places_of(const struct rule_addresses *addresses, const struct rule_addresses *home)
{
	return (addresses_meet(addresses, home) ? 1u : 0) | (addresses_within(addresses, home) ? 0 : 2u);
}

static uint8_t
routes_between(unsigned int src_places, unsigned int dst_places)
{
	uint8_t routes = 0;

	for (unsigned int route = 0; route < RULE_ROUTES; route++) {
		unsigned int src = (route & ROUTE_FROM_OUTSIDE) != 0, dst = (route & ROUTE_TO_OUTSIDE) != 0;

		if ((src_places >> src & 1) != 0 && (dst_places >> dst & 1) != 0)
			routes |= (uint8_t)(1 << route);
	}
	return routes;
}

uint8_t
rule_routes_of(const struct rule *rule, const struct rule_addresses *home)
{
	if (home == NULL)
		return 1 << 0;
	unsigned int src = places_of(rule->src, home), dst = places_of(rule->dst, home);
	uint8_t routes = routes_between(src, dst);

	return (rule->flags & RULE_BOTH_WAYS) == 0 ? routes : routes | routes_between(dst, src);
}
