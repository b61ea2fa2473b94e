#include "app/aggregator/api.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "app/aggregator/api_sensors.h"
#include "app/aggregator/api_summary.h"
#include "lib/base/log.h"
#include "lib/link/server.h"

enum {
	TOKEN_LEN_MIN = 16,
	TOKEN_LEN_MAX = 512,
	DIGEST_LEN = 32,
	LIMIT_DEFAULT = 100,
	ANSWER_BYTES_MAX = 16 * 1024 * 1024, /* records beyond it wait for the next page */
	REASON_MAX = 200,
};

struct api {
	const struct settings *settings;
	struct counter_set counters;
	struct enrol *enrol;         /* NULL: there is none, and no sensors either */
	struct api_sensors *sensors;
	struct store *store;
	struct event_base *base;
	struct link_server *server;
	struct event *stop;
	struct evbuffer *answer;
	pthread_t thread;
	bool running;
	int stop_fd;
	uint8_t token[DIGEST_LEN];
};

/* A question as it is read from the URI. */
struct question {
	struct store_filter filter;
	struct store_page page;
	char reason[REASON_MAX]; /* why it is none */
};

/* One row a path. */
struct route {
	const char *path;
	int (*answer)(struct api *api, const struct route *route, struct question *question);
	enum store_report report;
	const char *key;        /* of the report in the answer */
	const char *event_type; /* of the records; NULL: any */
	uint32_t filters;
	bool paged;
};

/* ---- records ---- */

struct listing {
	struct evbuffer *out;
	unsigned int written;
	int64_t last_id;
	int64_t last_ts_ns;
};

/* Names are checked when a batch is taken (batch_sensor_valid), lines when they are stored: both may stand in JSON. */
static void
write_found(void *arg, const struct store_found *found)
{
	struct listing *listing = arg;

	evbuffer_add_printf(listing->out, "%s{\"sensor\":\"%s\",\"epoch\":\"%016" PRIx64 "\",\"lane\":\"%s\","
		"\"sequence\":%" PRIu64 ",\"record\":", listing->written == 0 ? "" : ",\n", found->sensor, found->epoch,
		link_lane_name(found->lane), found->sequence);
	evbuffer_add(listing->out, found->line, found->line_len);
	evbuffer_add(listing->out, "}", 1);
	listing->written++;
	listing->last_id = found->id;
	listing->last_ts_ns = found->ts_ns;
}

static int
answer_records(struct api *api, const struct route *route, struct question *question)
{
	struct listing listing = { .out = api->answer };
	int found;

	if (route->event_type != NULL)
		(void)store_filter_set(&question->filter, "event_type", route->event_type);
	evbuffer_add_printf(api->answer, "{\"records\":[");
	found = store_query(api->store, &question->filter, &question->page, write_found, &listing);
	if (found < 0)
		return found;
	if (question->page.more)
		evbuffer_add_printf(api->answer, "],\"next\":\"%016" PRIx64 "%016" PRIx64 "\"}\n",
			(uint64_t)listing.last_ts_ns, (uint64_t)listing.last_id);
	else
		evbuffer_add_printf(api->answer, "],\"next\":null}\n");
	return 0;
}

/* ---- reports ---- */

static int
write_json(struct api *api, json_t *root)
{
	char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

	json_decref(root);
	if (text == NULL)
		return -ENOMEM;
	evbuffer_add(api->answer, text, strlen(text));
	evbuffer_add(api->answer, "\n", 1);
	free(text);
	return 0;
}

static int
answer_report(struct api *api, const struct route *route, struct question *question)
{
	json_t *rows;
	int err = store_report(api->store, route->report, &question->filter, &rows);

	return err != 0 ? err : write_json(api, json_pack("{s:o}", route->key, rows));
}

static int
answer_sensors(struct api *api, const struct route *route, struct question *question)
{
	bool one = (question->filter.present & (1u << STORE_SENSOR)) != 0;
	json_t *rows;
	int err = store_report(api->store, route->report, &question->filter, &rows);

	if (err == 0 && api->sensors != NULL) {
		err = api_sensors_join(api->sensors, rows, one ? question->filter.value[STORE_SENSOR].text : NULL);
		if (err != 0)
			json_decref(rows);
	}
	return err != 0 ? err : write_json(api, json_pack("{s:o}", route->key, rows));
}

static int
answer_protocols(struct api *api, const struct route *route, struct question *question)
{
	json_t *functions = NULL;
	json_t *apps = NULL;
	json_t *records = NULL;
	int err = store_report(api->store, STORE_REPORT_PROTOCOLS, &question->filter, &functions);

	if (err == 0)
		err = store_report(api->store, STORE_REPORT_APPS, &question->filter, &apps);
	if (err == 0)
		err = store_report(api->store, STORE_REPORT_EVENTS, &question->filter, &records);
	if (err == 0)
		return write_json(api, json_pack("{s:o, s:o, s:o}", "protocols", functions, "applications", apps,
			"records", records));
	json_decref(functions);
	json_decref(apps);
	return err;
}

/* Beside those of the ingest. */
static int
write_with_enrol(struct api *api, json_t *root)
{
	const struct counter_set set = api->enrol == NULL ? (struct counter_set){ 0 } : enrol_counter_set(api->enrol);
	json_t *own = json_object_get(root, "aggregator");

	for (unsigned int i = 0; i < set.count; i++)
		json_object_set_new(own, set.descs[i].name, json_integer((json_int_t)counter_get(&set.values[i])));
	return write_json(api, root);
}

static int
answer_counters(struct api *api, const struct route *route, struct question *question)
{
	json_t *root;
	int err = api_counters(api->store, &question->filter, &api->counters, &root);

	return err != 0 ? err : write_with_enrol(api, root);
}

static int
answer_summary(struct api *api, const struct route *route, struct question *question)
{
	json_t *root;
	int err = api_summary(api->store, &question->filter, &api->counters, &root);

	return err != 0 ? err : write_with_enrol(api, root);
}

#define BIT(key) (1u << STORE_##key)

enum {
	FILTERS_TIME = BIT(SENSOR) | BIT(SINCE) | BIT(UNTIL),
	FILTERS_FLOW = FILTERS_TIME | BIT(SRC_IP) | BIT(DEST_IP) | BIT(IP) | BIT(PORT) | BIT(PROTO) | BIT(APP_PROTO),
	FILTERS_ALERT = FILTERS_FLOW | BIT(SIGNATURE_ID) | BIT(SEVERITY),
	FILTERS_EVENT = FILTERS_ALERT | BIT(EVENT_TYPE) | BIT(FUNCTION),
};

static const struct route routes[] = {
	{ "/v1/flows", answer_records, 0, NULL, "flow", FILTERS_FLOW, true },
	{ "/v1/alerts", answer_records, 0, NULL, "alert", FILTERS_ALERT, true },
	{ "/v1/events", answer_records, 0, NULL, NULL, FILTERS_EVENT, true },
	{ "/v1/sensors", answer_sensors, STORE_REPORT_SENSORS, "sensors", NULL, BIT(SENSOR), false },
	{ "/v1/lanes", answer_report, STORE_REPORT_LANES, "lanes", NULL, BIT(SENSOR), false },
	{ "/v1/gaps", answer_report, STORE_REPORT_GAPS, "gaps", NULL, BIT(SENSOR), false },
	{ "/v1/protocols", answer_protocols, 0, NULL, NULL, FILTERS_TIME, false },
	{ "/v1/counters", answer_counters, 0, NULL, NULL, BIT(SENSOR), false },
	{ "/v1/summary", answer_summary, 0, NULL, NULL, FILTERS_TIME, false },
};

/* ---- the question ---- */

static int
refuse(struct question *question, const char *what, const char *name)
{
	snprintf(question->reason, sizeof(question->reason), "%s: %.*s", what, LINE_TEXT_MAX, name);
	return -EINVAL;
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
read_limit(const char *text, struct store_page *page)
{
	char *end;
	unsigned long limit = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || limit < 1 || limit > STORE_LIMIT_MAX)
		return false;
	page->limit = (uint32_t)limit;
	return true;
}

static bool
is_allowed(const struct route *route, const char *name)
{
	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++)
		if (strcmp(store_filters[key].name, name) == 0)
			return (route->filters >> key & 1) != 0;
	return false;
}

static int
read_parameter(const struct route *route, struct question *question, const char *name, const char *value)
{
	int err;

	if (route->paged && strcmp(name, "cursor") == 0)
		return read_cursor(value, &question->page) ? 0 : refuse(question, "not a cursor", value);
	if (route->paged && strcmp(name, "limit") == 0)
		return read_limit(value, &question->page) ? 0 : refuse(question, "not a limit of 1 to 1000", value);
	if (strcmp(name, "type") == 0)
		name = "event_type";
	if (!is_allowed(route, name))
		return refuse(question, "unknown parameter", name);
	err = store_filter_set(&question->filter, name, value);
	if (err == 0)
		return 0;
	return refuse(question, err == -EEXIST ? "given twice" : "not a valid value", name);
}

static int
read_question(const struct route *route, struct question *question, const char *query)
{
	struct evkeyvalq parameters;
	struct evkeyval *parameter;
	int err = 0;

	question->page.limit = LIMIT_DEFAULT;
	question->page.bytes_max = ANSWER_BYTES_MAX;
	if (query == NULL)
		return 0;
	if (evhttp_parse_query_str(query, &parameters) != 0)
		return refuse(question, "not a query", "?");
	TAILQ_FOREACH(parameter, &parameters, next)
		if (err == 0)
			err = read_parameter(route, question, parameter->key, parameter->value);
	evhttp_clear_headers(&parameters);
	return err;
}

/* ---- a request ---- */

static void
answer_error(struct api *api, struct evhttp_request *request, int status, const char *reason)
{
	json_t *root = json_pack("{s:{s:i, s:s}}", "error", "status", status, "reason", reason);

	evbuffer_drain(api->answer, evbuffer_get_length(api->answer));
	if (root == NULL)
		root = json_pack("{s:{s:i}}", "error", "status", status);
	(void)write_json(api, root);
	link_server_answer(request, status, status == 503 ? 1 : 0, api->answer);
}

/* Digests are compared, so that neither the token's bytes nor its length tell by time. */
static bool
is_authorized(const struct api *api, struct evhttp_request *request)
{
	const char *header = evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");
	uint8_t digest[DIGEST_LEN];

	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return false;
	return EVP_Digest(header + 7, strlen(header + 7), digest, NULL, EVP_sha256(), NULL) == 1 &&
		CRYPTO_memcmp(digest, api->token, DIGEST_LEN) == 0;
}

/* What changes something: inviting and revoking sensors. */
static void
answer_change(struct api *api, struct evhttp_request *request, const char *path)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	const struct api_sensors_request asked = {
		.path = path,
		.post = evhttp_request_get_command(request) == EVHTTP_REQ_POST,
		.body = (const char *)evbuffer_pullup(input, -1),
		.body_len = evbuffer_get_length(input),
		.actor = link_server_address(request),
	};
	const char *reason = NULL;
	json_t *root = NULL;
	int status = api_sensors_answer(api->sensors, &asked, &root, &reason);

	if (status >= 300 || write_json(api, root) != 0)
		answer_error(api, request, status >= 300 ? status : 500, reason == NULL ? "no memory" : reason);
	else
		link_server_answer(request, status, 0, api->answer);
}

static const struct route *
find_route(const char *path)
{
	for (size_t i = 0; path != NULL && i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

static void
on_request(void *arg, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const struct route *route = find_route(evhttp_uri_get_path(uri));
	struct question question = { 0 };
	struct api *api = arg;
	int err;

	if (!is_authorized(api, request)) {
		answer_error(api, request, 401, "a bearer token is needed");
		return;
	}
	if (api->sensors != NULL && api_sensors_serves(evhttp_uri_get_path(uri))) {
		answer_change(api, request, evhttp_uri_get_path(uri));
		return;
	}
	if (route == NULL) {
		answer_error(api, request, 404, "no such resource");
		return;
	}
	if (evhttp_request_get_command(request) != EVHTTP_REQ_GET) {
		answer_error(api, request, 405, "only GET");
		return;
	}
	if (read_question(route, &question, evhttp_uri_get_query(uri)) != 0) {
		answer_error(api, request, 400, question.reason);
		return;
	}
	err = route->answer(api, route, &question);
	if (err == -ETIMEDOUT)
		answer_error(api, request, 503, "the query took too long: narrow it");
	else if (err != 0)
		answer_error(api, request, 500, "the store failed");
	else
		link_server_answer(request, 200, 0, api->answer);
}

/* ---- life ---- */

static int
read_token(const char *path, uint8_t token[DIGEST_LEN])
{
	FILE *file = fopen(path, "re");
	char line[TOKEN_LEN_MAX + 2] = "";
	size_t len;
	int err = 0;

	if (file == NULL) {
		err = -errno;
		log_error("api", "api.token-file: %s: %s", path, strerror(errno));
		return err;
	}
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	len = strcspn(line, "\r\n \t");
	if (len < TOKEN_LEN_MIN || len > TOKEN_LEN_MAX) {
		log_error("api", "api.token-file: %s: the token must have %d to %d characters", path, TOKEN_LEN_MIN,
			TOKEN_LEN_MAX);
		err = -EINVAL;
	} else if (EVP_Digest(line, len, token, NULL, EVP_sha256(), NULL) != 1) {
		err = -ENOMEM;
	}
	OPENSSL_cleanse(line, sizeof(line));
	return err;
}

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct api *api = arg;

	event_base_loopbreak(api->base);
}

static void *
run(void *arg)
{
	struct api *api = arg;

	event_base_dispatch(api->base);
	return NULL;
}

static int
create_events(struct api *api)
{
	api->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (api->stop_fd < 0)
		return -errno;
	api->base = event_base_new();
	api->answer = evbuffer_new();
	if (api->base == NULL || api->answer == NULL)
		return -ENOMEM;
	api->stop = event_new(api->base, api->stop_fd, EV_READ, on_stop, api);
	return api->stop == NULL || event_add(api->stop, NULL) != 0 ? -ENOMEM : 0;
}

static int
start(struct api *api)
{
	const struct settings *settings = api->settings;
	const struct store_config store = { .path = settings->store_path, .query_max_ms = settings->query_timeout_ms };
	struct link_server_config server;
	int err = read_token(settings->api_token_file, api->token);

	settings_api_server(settings, &server);
	if (err == 0)
		err = store_open(&api->store, settings->store_kind, &store, false);
	if (err == 0 && api->enrol != NULL)
		err = api_sensors_create(&api->sensors, settings, api->enrol);
	if (err == 0)
		err = create_events(api);
	if (err == 0)
		err = link_server_create(&api->server, api->base, &server, on_request, api);
	if (err == 0)
		err = -pthread_create(&api->thread, NULL, run, api);
	api->running = err == 0;
	return err;
}

int
api_create(struct api **out, const struct settings *settings, const struct counter_set *counters, struct enrol *enrol)
{
	struct api *api = calloc(1, sizeof(*api));
	int err;

	if (api == NULL)
		return -ENOMEM;
	api->settings = settings;
	api->counters = *counters;
	api->enrol = enrol;
	api->stop_fd = -1;
	err = start(api);
	if (err != 0) {
		api_destroy(api);
		return err;
	}
	*out = api;
	return 0;
}

void
api_destroy(struct api *api)
{
	static const uint64_t one = 1;

	if (api == NULL)
		return;
	if (api->running) {
		if (write(api->stop_fd, &one, sizeof(one)) != sizeof(one))
			log_error("api", "stop: %s", strerror(errno));
		pthread_join(api->thread, NULL);
	}
	link_server_destroy(api->server);
	if (api->stop != NULL)
		event_free(api->stop);
	if (api->answer != NULL)
		evbuffer_free(api->answer);
	if (api->base != NULL)
		event_base_free(api->base);
	if (api->stop_fd >= 0)
		close(api->stop_fd);
	store_close(api->store);
	api_sensors_destroy(api->sensors);
	free(api);
}

int
api_check(const struct settings *settings)
{
	uint8_t token[DIGEST_LEN];
	struct link_server_config server;
	int token_err = read_token(settings->api_token_file, token);
	int server_err;

	settings_api_server(settings, &server);
	server_err = link_server_check(&server);
	return token_err != 0 ? token_err : server_err;
}

uint16_t
api_port(const struct api *api)
{
	return link_server_port(api->server);
}
