#include "lib/store/runs.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/json_read.h"
#include "lib/base/losses.h"
#include "lib/store/cell.h"

#define NS_OF_S INT64_C(1000000000)

struct sums {
	json_t *capture, *losses;
	int64_t began_ns, newest_ns;
	unsigned int count;
};

int64_t
store_run_began(const json_t *record)
{
	int64_t newest_ns = store_cell_time_read(record);
	json_int_t uptime_s = json_integer_value(json_object_get(json_object_get(record, "stats"), "uptime"));

	if (uptime_s <= 0 || newest_ns <= 0)
		return newest_ns;
	return uptime_s > newest_ns / NS_OF_S ? 0 : newest_ns - uptime_s * NS_OF_S;
}

static void
add(struct sums *sums, const json_t *record)
{
	static const char *const names[] = { "received", "processed", "bytes" };
	const json_t *stats = json_object_get(record, "stats");
	const json_t *capture = json_object_get(stats, "capture");
	int64_t newest_ns = store_cell_time_read(record), began_ns = store_run_began(record);

	if (!json_is_object(stats))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_integer_value(json_object_get(capture, names[i])) > 0)
			losses_add(sums->capture, names[i], json_integer_value(json_object_get(capture, names[i])));
	losses_add_stats(sums->losses, stats);
	if (sums->count++ == 0 || began_ns < sums->began_ns)
		sums->began_ns = began_ns;
	if (newest_ns > sums->newest_ns)
		sums->newest_ns = newest_ns;
}

/* Losses by their whole names, which are what a walk makes of nested ones. */
static char *
write(const struct sums *sums)
{
	/* Whole seconds, so that it begins no later than the first of them. */
	json_int_t uptime_s = (sums->newest_ns - sums->began_ns + NS_OF_S - 1) / NS_OF_S;
	json_t *stats = json_pack("{s:I, s:s, s:O}", "uptime", uptime_s, "run", STORE_RUNS_NAME, "capture", sums->capture);
	json_t *root = NULL;
	char *text;

	if (stats != NULL && json_object_update_missing(stats, sums->losses) == 0)
		root = json_pack("{s:o, s:s, s:O}", "timestamp", store_cell_time(sums->newest_ns / NS_OF_S, sums->newest_ns % NS_OF_S),
			"event_type", "stats", "stats", stats);
	text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
	json_decref(stats);
	json_decref(root);
	return text;
}

char *
store_runs_fold(const char *const runs[], unsigned int count)
{
	struct sums sums = { .capture = json_object(), .losses = json_object() };
	char *text = NULL;

	if (sums.capture != NULL && sums.losses != NULL) {
		for (unsigned int i = 0; i < count; i++) {
			json_t *record = json_read(runs[i], strlen(runs[i]));

			add(&sums, record);
			json_decref(record);
		}
		text = write(&sums);
	}
	json_decref(sums.capture);
	json_decref(sums.losses);
	return text;
}
