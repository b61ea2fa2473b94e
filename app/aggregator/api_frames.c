#include "app/aggregator/api_frames.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/json_read.h"
#include "lib/base/losses.h"
#include "lib/store/cell.h"
#include "lib/store/runs.h"

enum {
	ALL_WINDOW_S = 3600, /* as stats.interval at most */
	ALL_RECORDS = 3,     /* for each run that is looked for */
	OWN_RECORDS = 2,
	FIRST_WINDOW_S = 10,
	WINDOW_GROWTH = 8,
	WINDOW_MAX_S = 86400,
	LOOK_MS_MAX = 20000,
};

#define NS_OF_S INT64_C(1000000000)

/* A run: {sensor, epoch, run, record}, its newest. */
struct run {
	const json_t *row;
	const char *sensor, *epoch;
	int64_t began_ns;
	int64_t newest_ns;
	json_t *from, *to; /* what it had counted at either end of the time; NULL: nothing */
	bool wanted;       /* a record of it is looked for */
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

/* Both are a sensor's word, and may be any. @return at least 0 */
static json_int_t
more_than(json_int_t now, json_int_t before)
{
	json_int_t more;

	if (__builtin_sub_overflow(now, before, &more))
		return now < before ? 0 : INT64_MAX;
	return more < 0 ? 0 : more;
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
	out->newest_ns = store_cell_time_read(record);
	out->began_ns = store_run_began(record);
	return out->sensor != NULL && out->epoch != NULL;
}

/* ---- records of runs ---- */

struct search {
	struct store *store;
	const struct store_filter *filter;
	struct run *runs; /* [run_count] */
	size_t run_count;
	size_t wanted;    /* of them */
	size_t member;    /* offset in struct run of what is looked for */
	bool oldest;      /* of those found; else the newest */
	uint64_t until_ms;
};

static json_t **
record_of(const struct search *search, struct run *run)
{
	return (json_t **)((char *)run + search->member);
}

/* Sensors of before runs had names go on in one of another: totals that are above its newest are not of it. */
static bool
is_of_run(const struct run *run, const json_t *record)
{
	const json_t *newest = stats_of(json_object_get(run->row, "record")), *stats = stats_of(record);
	const json_t *name = json_object_get(newest, "run");

	if (!json_is_object(stats))
		return false;
	if (name != NULL)
		return json_equal(name, json_object_get(stats, "run")) != 0;
	return json_object_get(stats, "run") == NULL && store_cell_time_read(record) >= run->began_ns &&
		number_at(stats, "capture", "received") <= number_at(newest, "capture", "received");
}

static void
take(struct search *search, struct run *run, json_t *record)
{
	json_t **at = record_of(search, run);

	search->wanted -= *at == NULL;
	json_decref(*at);
	*at = json_incref(record);
}

static void
note(void *arg, const struct store_found *found)
{
	struct search *search = arg;
	json_t *record = NULL;
	char epoch[24];

	snprintf(epoch, sizeof(epoch), "%016llx", (unsigned long long)found->epoch);
	for (size_t i = 0; i < search->run_count; i++) {
		struct run *run = &search->runs[i];

		if (!run->wanted || (*record_of(search, run) != NULL && !search->oldest) || strcmp(epoch, run->epoch) != 0 ||
		    strcmp(found->sensor, run->sensor) != 0)
			continue;
		if (record == NULL)
			record = json_read(found->line, found->line_len);
		if (is_of_run(run, record))
			take(search, run, record);
	}
	json_decref(record);
}

/* @param sensor NULL: of all that are asked for */
static int
look(struct search *search, const char *sensor, int64_t since_ns, int64_t until_ns, uint32_t limit)
{
	struct store_page page = { .limit = limit > STORE_LIMIT_MAX ? STORE_LIMIT_MAX : limit };
	struct store_filter filter = { 0 };
	int found;

	if (clock_ms() > search->until_ms)
		return -ETIMEDOUT;
	if (sensor == NULL && (search->filter->present >> STORE_SENSOR & 1) != 0)
		sensor = search->filter->value[STORE_SENSOR].text;
	if (sensor != NULL)
		(void)store_filter_set(&filter, "sensor", sensor);
	(void)store_filter_set(&filter, "event_type", "stats");
	filter.present |= 1u << STORE_SINCE | 1u << STORE_UNTIL;
	filter.value[STORE_SINCE].number = since_ns < 0 ? 0 : since_ns;
	filter.value[STORE_UNTIL].number = until_ns;
	found = store_query(search->store, &filter, &page, note, search);
	return found < 0 ? found : 0;
}

/* Of each run that is wanted the last record before a time. Most are among the last of all sensors. */
static int
look_before(struct search *search, int64_t ns)
{
	int err = search->wanted == 0 ? 0 : look(search, NULL, ns - ALL_WINDOW_S * NS_OF_S, ns, ALL_RECORDS * (uint32_t)search->wanted);

	for (size_t i = 0; i < search->run_count && err == 0; i++)
		if (search->runs[i].wanted && *record_of(search, &search->runs[i]) == NULL)
			err = look(search, search->runs[i].sensor, search->runs[i].began_ns, ns, OWN_RECORDS);
	return err;
}

static void
begin_search(struct search *search, size_t member)
{
	search->member = member;
	search->oldest = false;
	search->wanted = 0;
	for (size_t i = 0; i < search->run_count; i++)
		search->wanted += search->runs[i].wanted;
}

/* What they had counted at the end. */
static int
look_to(struct search *search, int64_t ns)
{
	begin_search(search, offsetof(struct run, to));
	for (size_t i = 0; i < search->run_count; i++)
		if (search->runs[i].wanted && search->runs[i].newest_ns < ns) {
			take(search, &search->runs[i], json_object_get(search->runs[i].row, "record"));
			search->runs[i].wanted = false;
		}
	return look_before(search, ns);
}

/* What they had counted at the beginning. What is before may be gone from the store, or never have come: then it is not known, and
 * what the first record behind says is no more. */
static int
look_from(struct search *search, int64_t ns)
{
	int err;

	for (size_t i = 0; i < search->run_count; i++)
		search->runs[i].wanted = search->runs[i].to != NULL && search->runs[i].began_ns < ns;
	begin_search(search, offsetof(struct run, from));
	err = look_before(search, ns);
	search->oldest = true;
	for (size_t i = 0; i < search->run_count && err == 0; i++) {
		struct run *run = &search->runs[i];

		if (!run->wanted || run->from != NULL)
			continue;
		for (int64_t window_s = FIRST_WINDOW_S; err == 0 && run->from == NULL && window_s <= WINDOW_MAX_S; window_s *= WINDOW_GROWTH)
			err = look(search, run->sensor, ns, ns + window_s * NS_OF_S, STORE_LIMIT_MAX);
		if (run->from == NULL)
			run->from = json_incref(json_object_get(run->row, "record"));
	}
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
		losses_add(frames, names[i], more_than(number_at(stats_of(to), "capture", names[i]),
			from == NULL ? 0 : number_at(stats_of(from), "capture", names[i])));
	json_object_foreach(now, name, value) {
		losses_add(losses, name, more_than(json_integer_value(value), json_integer_value(json_object_get(before, name))));
	}
	json_decref(before);
	json_decref(now);
}

static void
add_runs(const struct search *search, json_t *frames, json_t *losses)
{
	for (size_t i = 0; i < search->run_count; i++) {
		const struct run *run = &search->runs[i];
		const json_t *newest = json_object_get(run->row, "record");

		/* Its losses are named, as those of all sensors are, though it counted none then. One that is newer than the end says
		 * nothing of what is between. */
		if (run->to == NULL || (run->from != NULL && store_cell_time_read(run->from) > store_cell_time_read(run->to)))
			add(newest, newest, frames, losses);
		else
			add(run->from, run->to, frames, losses);
	}
}

int
api_frames_add(struct store *store, const struct store_filter *filter, const json_t *rows, json_t *frames, json_t *losses)
{
	int64_t since_ns = (filter->present >> STORE_SINCE & 1) != 0 ? filter->value[STORE_SINCE].number : INT64_MIN;
	int64_t until_ns = (filter->present >> STORE_UNTIL & 1) != 0 ? filter->value[STORE_UNTIL].number : INT64_MAX;
	struct search search = { .store = store, .filter = filter, .until_ms = clock_ms() + LOOK_MS_MAX };
	json_t *row;
	size_t i;
	int err;

	search.runs = calloc(json_array_size(rows) + 1, sizeof(*search.runs));
	if (search.runs == NULL)
		return -ENOMEM;
	json_array_foreach((json_t *)rows, i, row) {
		struct run *run = &search.runs[search.run_count];

		if (!read_run(run, row))
			continue;
		run->wanted = run->newest_ns >= since_ns && run->began_ns < until_ns;
		search.run_count++;
	}
	err = look_to(&search, until_ns);
	if (err == 0)
		err = look_from(&search, since_ns);
	add(NULL, NULL, frames, losses);
	if (err == 0)
		add_runs(&search, frames, losses);
	for (i = 0; i < search.run_count; i++) {
		json_decref(search.runs[i].from);
		json_decref(search.runs[i].to);
	}
	free(search.runs);
	return err;
}
