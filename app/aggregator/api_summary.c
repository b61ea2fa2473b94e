#include "app/aggregator/api_summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/aggregator/api_frames.h"
#include "lib/base/losses.h"

static json_t *
sorted(json_t *losses)
{
	char *text = json_dumps(losses, JSON_SORT_KEYS);
	json_t *out = text == NULL ? NULL : json_loads(text, 0, NULL);

	free(text);
	return out == NULL ? json_incref(losses) : out;
}

/* What the link and the store lost: named as the sensors' own losses are. */
enum { LOST_LINK, LOST_AGE, LOST_BYTES, LOST_RECORDS, LOST_COUNT };

static const struct counter_desc own_losses[LOST_COUNT] = {
	[LOST_LINK] = { "link.records_lost_at_sensor", "records that sensors reported as lost, by gap records" },
	[LOST_AGE] = { "store.deleted_by_age", "records deleted because of store.age-max" },
	[LOST_BYTES] = { "store.deleted_by_bytes", "records deleted because of store.bytes-max" },
	[LOST_RECORDS] = { "store.deleted_by_records", "records deleted because of store.records-max" },
};

const struct counter_table api_summary_losses = { own_losses, LOST_COUNT };

/* Of a time: when the store gave something up is not kept. */
static int
add_lost(struct store *store, const struct store_filter *filter, json_t *losses)
{
	json_t *lost = NULL;
	int err = store_report(store, STORE_REPORT_LOST, filter, &lost);

	losses_add(losses, own_losses[LOST_LINK].name, json_integer_value(json_object_get(lost, "lost")));
	json_decref(lost);
	return err;
}

static void
add_own_losses(json_t *losses, json_t *sensors, json_t *retention)
{
	json_t *sensor;
	size_t i;

	losses_add(losses, own_losses[LOST_LINK].name, 0);
	json_array_foreach(sensors, i, sensor)
		losses_add(losses, own_losses[LOST_LINK].name, json_integer_value(json_object_get(sensor, "lost")));
	for (i = LOST_AGE; i < LOST_COUNT; i++) {
		const char *key = own_losses[i].name + sizeof("store.") - 1;

		losses_add(losses, own_losses[i].name, json_integer_value(json_object_get(retention, key)));
	}
}

static json_t *
own_counters(const struct counter_set *counters)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < counters->count; i++)
		json_object_set_new(object, counters->descs[i].name,
			json_integer((json_int_t)counter_get(&counters->values[i])));
	return object;
}

/* The reports that stand in the summary as they are. */
static const struct {
	const char *key;
	enum store_report report;
} plain[] = {
	{ "sensors", STORE_REPORT_SENSORS },
	{ "flows", STORE_REPORT_FLOWS },
	{ "records", STORE_REPORT_EVENTS },
	{ "protocols", STORE_REPORT_PROTOCOLS },
	{ "applications", STORE_REPORT_APPS },
	{ "alerts", STORE_REPORT_SIGNATURES },
	{ "talkers", STORE_REPORT_TALKERS },
	{ "retention", STORE_REPORT_RETENTION },
	{ "stats", STORE_REPORT_STATS },
};

int
api_summary(struct store *store, const struct store_filter *filter, const struct counter_set *counters, json_t **out)
{
	json_t *summary = json_object();
	json_t *losses = json_object();
	json_t *frames = json_object();
	bool of_time = (filter->present & (1u << STORE_SINCE | 1u << STORE_UNTIL)) != 0;
	int err = 0;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]) && err == 0; i++) {
		json_t *rows = NULL;

		err = store_report(store, plain[i].report, filter, &rows);
		if (err == 0)
			json_object_set_new(summary, plain[i].key, rows);
	}
	if (err == 0)
		err = api_frames_add(store, filter, json_object_get(summary, "stats"), frames, losses);
	if (err == 0 && of_time)
		err = add_lost(store, filter, losses);
	else if (err == 0)
		add_own_losses(losses, json_object_get(summary, "sensors"), json_object_get(summary, "retention"));
	json_object_set_new(summary, "frames", frames);
	if (err != 0) {
		json_decref(summary);
		json_decref(losses);
		return err;
	}
	json_object_set_new(summary, "losses", sorted(losses));
	json_object_set_new(summary, "aggregator", own_counters(counters));
	json_object_del(summary, "stats");
	json_decref(losses);
	*out = summary;
	return 0;
}

int
api_counters(struct store *store, const struct store_filter *filter, const struct counter_set *counters, json_t **out)
{
	json_t *retention = NULL;
	json_t *sensors = NULL;
	int err = store_report(store, STORE_REPORT_RETENTION, filter, &retention);

	if (err == 0)
		err = store_report(store, STORE_REPORT_STATS, filter, &sensors);
	if (err != 0) {
		json_decref(retention);
		return err;
	}
	*out = json_pack("{s:o, s:o, s:o}", "aggregator", own_counters(counters), "retention", retention,
		"sensors", sensors);
	return *out == NULL ? -ENOMEM : 0;
}
