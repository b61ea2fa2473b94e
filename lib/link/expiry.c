#include "lib/link/expiry.h"

#include <stddef.h>

#include "lib/base/log.h"

enum { DAY_S = 86400 };

static const unsigned int thresholds[] = { 1, 7, 30 };

bool
expiry_warn(struct expiry *expiry, const char *topic, const char *path, time_t end, time_t now)
{
	int64_t left_s = (int64_t)end - (int64_t)now;

	if (left_s <= 0) {
		if (expiry->ended)
			return false;
		expiry->ended = true;
		log_error(topic, "%s has expired: renew it", path);
		return true;
	}
	for (size_t i = 0; i < sizeof(thresholds) / sizeof(thresholds[0]); i++) {
		if (left_s > (int64_t)thresholds[i] * DAY_S)
			continue;
		if (expiry->warned_days != 0 && expiry->warned_days <= thresholds[i])
			return false;
		expiry->warned_days = thresholds[i];
		log_warning(topic, "%s expires in %lld hours (less than %u day%s): renew it", path, (long long)left_s / 3600,
			thresholds[i], thresholds[i] == 1 ? "" : "s");
		return true;
	}
	return false;
}

uint64_t
expiry_days_left(time_t end, time_t now)
{
	return end <= now ? 0 : (uint64_t)(end - now) / DAY_S;
}
