/* What can be asked: a table that the router, the reader of parameters and the document walk. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "app/aggregator/api_private.h"
#include "app/aggregator/api_summary.h"

enum {
	LIMIT_DEFAULT = 100,
	BUCKET_MAX_S = 366 * 86400,
	ANSWER_BYTES_MAX = 16 * 1024 * 1024, /* records beyond it wait for the next page */
};

/* ---- records ---- */

struct listing {
	struct evbuffer *out;
	unsigned int written;
	int64_t last_id;
	int64_t last_ts_ns;
};

/* Names are checked when a batch is taken (batch_sensor_valid), lines when they are stored: both may stand in JSON. */
void
api_write_record(struct evbuffer *out, const struct store_found *found)
{
	evbuffer_add_printf(out, "{\"sensor\":\"%s\",\"epoch\":\"%016" PRIx64 "\",\"lane\":\"%s\",\"sequence\":%" PRIu64
		",\"record\":", found->sensor, found->epoch, link_lane_name(found->lane), found->sequence);
	evbuffer_add(out, found->line, found->line_len);
	evbuffer_add(out, "}", 1);
}

static void
write_found(void *arg, const struct store_found *found)
{
	struct listing *listing = arg;

	if (listing->written++ > 0)
		evbuffer_add(listing->out, ",\n", 2);
	api_write_record(listing->out, found);
	listing->last_id = found->id;
	listing->last_ts_ns = found->ts_ns;
}

static int
answer_records(struct api *api, const struct api_route *route, struct question *question)
{
	struct listing listing = { .out = question->answer };
	int found;

	if (route->event_type != NULL)
		(void)store_filter_set(&question->filter, "event_type", route->event_type);
	evbuffer_add_printf(question->answer, "{\"records\":[");
	found = store_query(question->store, &question->filter, &question->page, write_found, &listing);
	if (found < 0)
		return found;
	if (question->page.more)
		evbuffer_add_printf(question->answer, "],\"next\":\"%016" PRIx64 "%016" PRIx64 "\"}\n",
			(uint64_t)listing.last_ts_ns, (uint64_t)listing.last_id);
	else
		evbuffer_add_printf(question->answer, "],\"next\":null}\n");
	return 0;
}

/* ---- reports ---- */

int
api_write_json(struct evbuffer *out, json_t *root)
{
	char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

	json_decref(root);
	if (text == NULL)
		return -ENOMEM;
	evbuffer_add(out, text, strlen(text));
	evbuffer_add(out, "\n", 1);
	free(text);
	return 0;
}

static int
answer_report(struct api *api, const struct api_route *route, struct question *question)
{
	json_t *rows;
	int err = store_report(question->store, route->report, &question->filter, &rows);

	return err != 0 ? err : api_write_json(question->answer, json_pack("{s:o}", route->keys[0], rows));
}

static int
answer_sensors(struct api *api, const struct api_route *route, struct question *question)
{
	bool one = (question->filter.present & (1u << STORE_SENSOR)) != 0;
	json_t *rows;
	int err = store_report(question->store, route->report, &question->filter, &rows);

	if (err != 0)
		return err;
	if (api->sensors != NULL)
		err = api_sensors_join(api->sensors, rows, one ? question->filter.value[STORE_SENSOR].text : NULL);
	if (err == 0 && api->silence != NULL)
		err = silence_mark(api->silence, rows);
	if (err != 0) {
		json_decref(rows);
		return err;
	}
	return api_write_json(question->answer, json_pack("{s:o}", route->keys[0], rows));
}

static int
answer_protocols(struct api *api, const struct api_route *route, struct question *question)
{
	json_t *functions = NULL;
	json_t *apps = NULL;
	json_t *records = NULL;
	int err = store_report(question->store, STORE_REPORT_PROTOCOLS, &question->filter, &functions);

	if (err == 0)
		err = store_report(question->store, STORE_REPORT_APPS, &question->filter, &apps);
	if (err == 0)
		err = store_report(question->store, STORE_REPORT_EVENTS, &question->filter, &records);
	if (err == 0)
		return api_write_json(question->answer, json_pack("{s:o, s:o, s:o}", "protocols", functions, "applications", apps,
			"records", records));
	json_decref(functions);
	json_decref(apps);
	return err;
}

static void
add_counters(json_t *object, struct counter_set set)
{
	for (unsigned int i = 0; i < set.count; i++)
		json_object_set_new(object, set.descs[i].name, json_integer((json_int_t)counter_get(&set.values[i])));
}

/* Those of the other parts, beside those of the ingest. */
static int
write_with_counters(struct api *api, struct evbuffer *answer, json_t *root)
{
	json_t *own = json_object_get(root, "aggregator");

	if (api->enrol != NULL)
		add_counters(own, enrol_counter_set(api->enrol));
	if (api->silence != NULL)
		add_counters(own, silence_counter_set(api->silence));
	add_counters(own, api_counter_set(api));
	add_counters(own, api_audit_counter_set(api->audit));
	add_counters(own, api_streams_counter_set(api->streams));
	add_counters(own, (struct counter_set){ api_server_counters, api->server_counters, LINK_SERVER_COUNTERS });
	return api_write_json(answer, root);
}

static int
answer_counters(struct api *api, const struct api_route *route, struct question *question)
{
	json_t *root;
	int err = api_counters(question->store, &question->filter, &api->counters, &root);

	return err != 0 ? err : write_with_counters(api, question->answer, root);
}

static int
answer_summary(struct api *api, const struct api_route *route, struct question *question)
{
	json_t *root;
	int err = api_summary(question->store, &question->filter, &api->counters, &root);

	return err != 0 ? err : write_with_counters(api, question->answer, root);
}

static int
answer_document(struct api *api, const struct api_route *route, struct question *question)
{
	return api_write_json(question->answer, api_document());
}

/* ---- what there is ---- */

#define BIT(key) (1u << STORE_##key)

enum {
	FILTERS_TIME = BIT(SENSOR) | BIT(SINCE) | BIT(UNTIL),
	FILTERS_FLOW = FILTERS_TIME | BIT(SRC_IP) | BIT(DEST_IP) | BIT(IP) | BIT(PORT) | BIT(PROTO) | BIT(APP_PROTO) |
		BIT(FLOW_ID),
	FILTERS_ALERT = FILTERS_FLOW | BIT(SIGNATURE_ID) | BIT(SEVERITY),
	FILTERS_EVENT = FILTERS_ALERT | BIT(EVENT_TYPE) | BIT(FUNCTION),
};

#define KEYS(...) (const char *const[]){ __VA_ARGS__, NULL }

const struct api_route api_routes[] = {
	{ .path = "/v1/flows", .summary = "flow records, newest first", .keys = KEYS("records", "next"),
		.answer = answer_records, .event_type = "flow", .filters = FILTERS_FLOW, .parameters = API_LIMIT | API_CURSOR },
	{ .path = "/v1/alerts", .summary = "alerts, newest first", .keys = KEYS("records", "next"),
		.answer = answer_records, .event_type = "alert", .filters = FILTERS_ALERT, .parameters = API_LIMIT | API_CURSOR },
	{ .path = "/v1/events", .summary = "records of any type, newest first: by their time where type, flow, signature, address or time is asked for, else by arrival", .keys = KEYS("records", "next"),
		.answer = answer_records, .filters = FILTERS_EVENT, .parameters = API_LIMIT | API_CURSOR },
	{ .path = "/v1/export", .summary = "all records asked for, in the order of /v1/events, a line each; as many as there are",
		.answer = api_export, .filters = FILTERS_EVENT, .content = API_NDJSON, .scope = API_SCOPE_EXPORT },
	{ .path = "/v1/alerts/live", .summary = "alerts as they arrive, as server-sent events; the id of one continues behind it",
		.answer = api_follow, .event_type = "alert", .filters = FILTERS_ALERT & ~(BIT(SINCE) | BIT(UNTIL)),
		.parameters = API_AFTER, .content = API_EVENTS },
	{ .path = "/v1/alerts/trend", .summary = "alerts a bucket of time and severity, newest first", .keys = KEYS("trend"),
		.answer = answer_report, .report = STORE_REPORT_TREND, .filters = FILTERS_ALERT, .parameters = API_LIMIT | API_BUCKET },
	{ .path = "/v1/talkers", .summary = "addresses by bytes of their flows, most first", .keys = KEYS("talkers"),
		.answer = answer_report, .report = STORE_REPORT_TALKERS, .filters = FILTERS_FLOW, .parameters = API_LIMIT },
	{ .path = "/v1/pairs", .summary = "who talked with whom, over what: by bytes of their flows, most first", .keys = KEYS("pairs"),
		.answer = answer_report, .report = STORE_REPORT_PAIRS, .filters = FILTERS_FLOW, .parameters = API_LIMIT },
	{ .path = "/v1/protocols", .summary = "the mix of protocols: functions, applications and event types, counted",
		.keys = KEYS("protocols", "applications", "records"), .answer = answer_protocols, .filters = FILTERS_TIME },
	{ .path = "/v1/sensors", .summary = "sensors, what they delivered and lost, and their enrolment", .keys = KEYS("sensors"),
		.answer = answer_sensors, .report = STORE_REPORT_SENSORS, .filters = BIT(SENSOR) },
	{ .path = "/v1/lanes", .summary = "up to where each lane of each sensor is stored", .keys = KEYS("lanes"),
		.answer = answer_report, .report = STORE_REPORT_LANES, .filters = BIT(SENSOR) },
	{ .path = "/v1/gaps", .summary = "sequences that sensors had to drop, newest first", .keys = KEYS("gaps"),
		.answer = answer_report, .report = STORE_REPORT_GAPS, .filters = BIT(SENSOR) },
	{ .path = "/v1/counters", .summary = "the aggregator's counters and each sensor's newest",
		.keys = KEYS("aggregator", "retention", "sensors"), .answer = answer_counters, .filters = BIT(SENSOR) },
	{ .path = "/v1/summary", .summary = "one screen of all that was delivered", .keys = KEYS("sensors", "frames", "flows",
		"records", "protocols", "applications", "alerts", "talkers", "losses", "retention", "aggregator"),
		.answer = answer_summary, .filters = FILTERS_TIME },
	{ .path = "/v1/openapi.json", .summary = "this document", .keys = KEYS("openapi", "info", "security", "paths", "components"),
		.answer = answer_document },
	{ .path = "/v1/sensors/audit", .summary = "who invited, enrolled and revoked whom", .keys = KEYS("audit"),
		.scope = API_SCOPE_ADMIN },
	{ .path = "/v1/sensors/invite", .summary = "make an activation file for a sensor", .keys = KEYS("activation"),
		.scope = API_SCOPE_ADMIN, .post = true },
	{ .path = "/v1/sensors/revoke", .summary = "shut a sensor out, at once", .keys = KEYS("sensor", "certificates"),
		.scope = API_SCOPE_ADMIN, .post = true },
};

const size_t api_route_count = sizeof(api_routes) / sizeof(api_routes[0]);

const struct api_route *
api_route_find(const char *path, bool post, const char **allowed)
{
	*allowed = NULL;
	for (size_t i = 0; path != NULL && i < api_route_count; i++) {
		if (strcmp(api_routes[i].path, path) != 0)
			continue;
		if (api_routes[i].post == post)
			return &api_routes[i];
		*allowed = api_routes[i].post ? "POST" : "GET";
	}
	return NULL;
}

/* ---- the question ---- */

static int
refuse(struct question *question, const char *what, const char *name)
{
	snprintf(question->reason, sizeof(question->reason), "%s: %.*s", what, LINE_TEXT_MAX, name);
	return -EINVAL;
}

/* What would have been one. */
static int
refuse_value(struct question *question, const char *name, const char *value)
{
	const struct store_filter_desc *desc = store_filters;
	char text[2 * LINE_TEXT_MAX], wanted[48] = "a text of 1 to 64 characters";

	while (strcmp(desc->name, name) != 0)
		desc++;
	if (desc->type == STORE_IS_NUMBER)
		snprintf(wanted, sizeof(wanted), "a number of 0 to %" PRIu64, desc->max);
	else if (desc->type == STORE_IS_IP)
		snprintf(wanted, sizeof(wanted), "an IPv4 or IPv6 address or network");
	else if (desc->type == STORE_IS_TIME)
		snprintf(wanted, sizeof(wanted), "a time: RFC 3339, or seconds since the epoch");
	snprintf(text, sizeof(text), "%s is not %s", name, wanted);
	return refuse(question, text, value);
}

static bool
read_cursor(const char *text, struct store_page *page)
{
	char half[17] = "";

	if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
		return false;
	memcpy(half, text, 16);
	page->after_ts_ns = (int64_t)strtoull(half, NULL, 16);
	page->after_id = (int64_t)strtoull(text + 16, NULL, 16);
	page->continues = true;
	return true;
}

static bool
read_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *out >= min && *out <= max;
}

static int
take_limit(struct question *question, uint32_t limit)
{
	question->page.limit = limit;
	question->filter.limit = limit;
	return 0;
}

static int
take_bucket(struct question *question, uint32_t seconds)
{
	question->filter.bucket_s = seconds;
	return 0;
}

static int
take_after(struct question *question, int64_t id)
{
	question->page.after_id = id;
	question->page.continues = true;
	return 0;
}

static bool
is_allowed(const struct api_route *route, const char *name)
{
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++)
		if (strcmp(store_filters[key].name, name) == 0)
			return (route->filters >> key & 1) != 0;
	return false;
}

static int
read_parameter(const struct api_route *route, struct question *question, const char *name, const char *value)
{
	uint64_t number;
	int err;

	if ((route->parameters & API_CURSOR) != 0 && strcmp(name, "cursor") == 0)
		return read_cursor(value, &question->page) ? 0 : refuse(question, "not a cursor", value);
	if ((route->parameters & API_LIMIT) != 0 && strcmp(name, "limit") == 0)
		return read_number(value, 1, STORE_LIMIT_MAX, &number) ? take_limit(question, (uint32_t)number)
			: refuse(question, "not a limit of 1 to 1000", value);
	if ((route->parameters & API_BUCKET) != 0 && strcmp(name, "bucket") == 0)
		return read_number(value, 1, BUCKET_MAX_S, &number) ? take_bucket(question, (uint32_t)number)
			: refuse(question, "not a number of seconds", value);
	if ((route->parameters & API_AFTER) != 0 && strcmp(name, "after") == 0)
		return read_number(value, 0, INT64_MAX, &number) ? take_after(question, (int64_t)number)
			: refuse(question, "not an id", value);
	if (strcmp(name, "type") == 0)
		name = "event_type";
	if (!is_allowed(route, name))
		return refuse(question, "unknown parameter", name);
	err = store_filter_set(&question->filter, name, value);
	if (err == 0)
		return 0;
	return err == -EEXIST ? refuse(question, "given twice", name) : refuse_value(question, name, value);
}

/* Of those that are no filters the last would count, unsaid. */
static bool
is_given_twice(const struct evkeyvalq *parameters, const struct evkeyval *which)
{
	const struct evkeyval *other;

	TAILQ_FOREACH(other, parameters, next)
		if (other != which && strcmp(other->key, which->key) == 0)
			return true;
	return false;
}

int
api_question_read(const struct api_route *route, struct question *question, const char *query)
{
	struct evkeyvalq parameters;
	struct evkeyval *parameter;
	int err = 0;

	question->page.limit = LIMIT_DEFAULT;
	question->page.bytes_max = ANSWER_BYTES_MAX;
	if (query == NULL)
		return 0;
	/* What stands behind a zero would not be looked at. */
	if (strstr(query, "%00") != NULL || evhttp_parse_query_str(query, &parameters) != 0)
		return refuse(question, "not a query", query);
	TAILQ_FOREACH(parameter, &parameters, next) {
		if (err == 0 && is_given_twice(&parameters, parameter))
			err = refuse(question, "given twice", parameter->key);
		if (err == 0)
			err = read_parameter(route, question, parameter->key, parameter->value);
	}
	evhttp_clear_headers(&parameters);
	return err;
}
