#include "app/aggregator/age.h"

#include "lib/base/log.h"

uint64_t
age_now(struct age *age, uint64_t steady_ms, uint64_t wall_s)
{
	uint64_t expected_s = age->wall_s + (steady_ms - age->steady_ms) / 1000;

	if (age->wall_s != 0 && wall_s > expected_s + AGE_JUMP_S) {
		age->before_ms = steady_ms + AGE_HOLD_S * UINT64_C(1000);
		log_warning("aggregator", "the clock went ahead by %llu s: nothing is deleted by its age for a day, so that a wrong clock may be set right",
			(unsigned long long)(wall_s - expected_s));
	} else if (wall_s + AGE_JUMP_S < expected_s) {
		age->before_ms = 0; /* set right, or behind: nothing is older than it is */
	}
	age->wall_s = wall_s;
	age->steady_ms = steady_ms;
	return steady_ms < age->before_ms ? 0 : wall_s;
}
