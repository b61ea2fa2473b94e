#include "app/aggregator/api_frames.h"

#include <errno.h>
#include <string.h>

#include "lib/base/losses.h"

enum { LOOK_RECORDS = 8, FIRST_WINDOW_S = 10, WINDOW_GROWTH = 8, WINDOW_MAX_S = 86400 };

#define NS_OF_S INT64_C(1000000000)

/* A run: {sensor, epoch, run, record}, its newest. */
struct run {
	const json_t *row;
	const char *sensor, *epoch;
	int64_t began_ns;
	int64_t newest_ns;
};

static const json_t *
stats_of(const json_t *record)
{
	return json_object_get(record, "stats");
}

static json_int_t
number_at(const json_t *object, const char *first, const char *second)
{
	return json_integer_value(json_object_get(json_object_get(object, first), second));
}

static int64_t
time_of(const json_t *record)
{
	const json_t *text = json_object_get(record, "timestamp");
	struct line_number ts = { 0 };

	if (json_is_string(text))
		(void)store_time_read(&ts, json_string_value(text), json_string_length(text));
	return ts.value;
}

static bool
read_run(struct run *out, const json_t *row)
{
	const json_t *record = json_object_get(row, "record");

	if (!json_is_object(stats_of(record)))
		return false;
	out->row = row;
	out->sensor = json_string_value(json_object_get(row, "sensor"));
	out->epoch = json_string_value(json_object_get(row, "epoch"));
	out->newest_ns = time_of(record);
	out->began_ns = out->newest_ns - json_integer_value(json_object_get(stats_of(record), "uptime")) * NS_OF_S;
	return out->sensor != NULL && out->epoch != NULL;
}

/* ---- a record of a run ---- */

struct search {
	const struct run *run;
	bool oldest;    /* of those found; else the newest */
	json_t *record; /* NULL: none yet */
};

/* Sensors of before runs had names go on in one of another: totals that are above its newest are not of it. */
static bool
is_of_run(const struct run *run, const json_t *record)
{
	const json_t *newest = stats_of(json_object_get(run->row, "record")), *stats = stats_of(record);
	const json_t *name = json_object_get(newest, "run");

	if (name != NULL)
		return json_equal(name, json_object_get(stats, "run")) != 0;
	return json_object_get(stats, "run") == NULL && time_of(record) >= run->began_ns &&
		number_at(stats, "capture", "received") <= number_at(newest, "capture", "received");
}

static void
note(void *arg, const struct store_found *found)
{
	struct search *search = arg;
	char epoch[24];
	json_t *record;

	snprintf(epoch, sizeof(epoch), "%016llx", (unsigned long long)found->epoch);
	if ((search->record != NULL && !search->oldest) || strcmp(epoch, search->run->epoch) != 0)
		return;
	record = json_loadb(found->line, found->line_len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(stats_of(record)) || !is_of_run(search->run, record)) {
		json_decref(record);
		return;
	}
	json_decref(search->record);
	search->record = record;
}

static int
look(struct store *store, struct search *search, int64_t since_ns, int64_t until_ns)
{
	struct store_page page = { .limit = search->oldest ? STORE_LIMIT_MAX : LOOK_RECORDS };
	struct store_filter filter = { 0 };
	int found;

	(void)store_filter_set(&filter, "sensor", search->run->sensor);
	(void)store_filter_set(&filter, "event_type", "stats");
	filter.present |= 1u << STORE_SINCE | 1u << STORE_UNTIL;
	filter.value[STORE_SINCE].number = since_ns;
	filter.value[STORE_UNTIL].number = until_ns;
	found = store_query(store, &filter, &page, note, search);
	return found < 0 ? found : 0;
}

/* What it had counted by then; NULL: nothing. What is before may be gone from the store, or never have come: then it is not known
 * what it had counted, and what the first record behind says is no more. */
static int
counted_before(struct store *store, const struct run *run, int64_t ns, json_t **out)
{
	struct search search = { .run = run };
	int err = look(store, &search, run->began_ns < 0 ? 0 : run->began_ns, ns);

	search.oldest = true;
	for (int64_t window_s = FIRST_WINDOW_S; err == 0 && search.record == NULL && window_s <= WINDOW_MAX_S; window_s *= WINDOW_GROWTH)
		err = look(store, &search, ns, ns + window_s * NS_OF_S);
	if (err != 0) {
		json_decref(search.record);
		return err;
	}
	*out = search.record != NULL ? search.record : json_incref(json_object_get(run->row, "record"));
	return 0;
}

static int
counted_until(struct store *store, const struct run *run, int64_t ns, json_t **out)
{
	struct search search = { .run = run };
	int err = 0;

	if (run->newest_ns < ns)
		search.record = json_incref(json_object_get(run->row, "record"));
	else
		err = look(store, &search, run->began_ns < 0 ? 0 : run->began_ns, ns);
	*out = search.record;
	return err;
}

/* ---- what was counted in between ---- */

static void
add(const json_t *from, const json_t *to, json_t *frames, json_t *losses)
{
	static const char *const names[] = { "received", "processed", "bytes" };
	json_t *before = json_object(), *now = json_object();
	const char *name;
	json_t *value;

	losses_add_stats(now, stats_of(to));
	if (from != NULL)
		losses_add_stats(before, stats_of(from));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		losses_add(frames, names[i], number_at(stats_of(to), "capture", names[i]) -
			(from == NULL ? 0 : number_at(stats_of(from), "capture", names[i])));
	json_object_foreach(now, name, value) {
		json_int_t more = json_integer_value(value) - json_integer_value(json_object_get(before, name));

		losses_add(losses, name, more < 0 ? 0 : more);
	}
	json_decref(before);
	json_decref(now);
}

static int
add_run(struct store *store, const struct run *run, const int64_t bounds_ns[2], json_t *sums[2])
{
	json_t *from = NULL, *to = NULL;
	int err = counted_until(store, run, bounds_ns[1], &to);

	if (err == 0 && to != NULL && run->began_ns < bounds_ns[0])
		err = counted_before(store, run, bounds_ns[0], &from);
	/* One that it is newer than the end says nothing of what is between. */
	if (err == 0 && to != NULL && (from == NULL || time_of(from) <= time_of(to)))
		add(from, to, sums[0], sums[1]);
	json_decref(from);
	json_decref(to);
	return err;
}

int
api_frames_add(struct store *store, const struct store_filter *filter, const json_t *runs, json_t *frames, json_t *losses)
{
	const int64_t bounds_ns[2] = {
		(filter->present >> STORE_SINCE & 1) != 0 ? filter->value[STORE_SINCE].number : INT64_MIN,
		(filter->present >> STORE_UNTIL & 1) != 0 ? filter->value[STORE_UNTIL].number : INT64_MAX,
	};
	json_t *sums[2] = { frames, losses };
	int err = 0;
	json_t *row;
	size_t i;

	add(NULL, NULL, frames, losses);
	json_array_foreach((json_t *)runs, i, row) {
		struct run run;

		if (err != 0 || !read_run(&run, row))
			continue;
		/* Its losses are named, as those of all sensors are, though it counted none then. */
		if (run.newest_ns < bounds_ns[0] || run.began_ns >= bounds_ns[1])
			add(json_object_get(row, "record"), json_object_get(row, "record"), frames, losses);
		else
			err = add_run(store, &run, bounds_ns, sums);
	}
	return err;
}
