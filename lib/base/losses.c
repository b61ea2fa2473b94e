#include "lib/base/losses.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/json_walk.h"

/* A counter whose name has one of these tells of something that was not done: it is a loss. */
static const char *const loss_words[] = { "drop", "lost", "shed", "evict", "full", "missed", "nombuf", "overflow" };

/* Per-worker counters are parts of the totals beside them; so are the spreader's, of capture; detect says again what rule does. */
static const char *const parts[] = { "workers", "ports", "queues", "spreader", "detect" };

static bool
is_loss(const char *path)
{
	for (size_t i = 0; i < sizeof(loss_words) / sizeof(loss_words[0]); i++)
		if (strstr(path, loss_words[i]) != NULL)
			return true;
	return false;
}

static bool
is_part(const char *key)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(parts[i], key) == 0)
			return true;
	return false;
}

void
losses_add(json_t *totals, const char *path, json_int_t n)
{
	json_int_t sum = json_integer_value(json_object_get(totals, path));

	if (json_object_size(totals) >= LOSSES_MAX && json_object_get(totals, path) == NULL)
		return;
	if (__builtin_add_overflow(sum, n, &sum))
		sum = INT64_MAX;
	json_object_set_new(totals, path, json_integer(sum));
}

/* Sums of parts are in the totals. */
static enum json_walk_step
add_loss(void *arg, const char *path, const char *key, json_t *value)
{
	if (is_part(key))
		return JSON_WALK_PASS;
	if (json_is_integer(value) && is_loss(path))
		losses_add(arg, path, json_integer_value(value));
	return JSON_WALK_ENTER;
}

void
losses_add_stats(json_t *totals, const json_t *stats)
{
	(void)json_walk(stats, "", add_loss, totals);
}
