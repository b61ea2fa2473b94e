#include "app/aggregator/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "app/aggregator/api_private.h"
#include "lib/base/log.h"

static const struct counter_desc own_counters[API_COUNTERS] = {
	[API_TOKENS_UNREAD] = { "api.tokens_unread", "requests answered 503 because the tokens could not be read" },
};

const struct counter_table api_counter_table = { own_counters, API_COUNTERS };
const struct counter_desc api_server_counters[LINK_SERVER_COUNTERS] = { LINK_SERVER_COUNTER_ROWS(0, "api") };

enum { AUDIT_FILES = 4, ADDRESS_MAX = 64, URI_MAX = 1024, TASKS_MAX = 1024, STATUS_GONE = 499, FAREWELL_MS = 10 };

/* ---- a request ---- */

/* What is noted of a request once it is answered; streams are noted when they begin. */
struct asked {
	struct link_request *request; /* NULL: the peer has gone */
	const char *name; /* of the token */
	const char *address;
	const char *uri;
	bool post;
	struct timespec since;
};

static void
note(struct api *api, const struct asked *asked, int status)
{
	struct timespec now;
	struct api_audit_entry entry = {
		.address = asked->address,
		.name = asked->name,
		.method = asked->post ? "POST" : "GET",
		.uri = asked->uri,
		.status = status,
	};

	clock_gettime(CLOCK_MONOTONIC, &now);
	entry.took_us = (uint64_t)((now.tv_sec - asked->since.tv_sec) * 1000000 + (now.tv_nsec - asked->since.tv_nsec) / 1000);
	api_audit_note(api->audit, &entry);
}

static void
answer_error(struct api *api, const struct asked *asked, int status, const char *reason)
{
	json_t *root = json_pack("{s:{s:i, s:s}}", "error", "status", status, "reason", reason);

	evbuffer_drain(api->answer, evbuffer_get_length(api->answer));
	if (root == NULL)
		root = json_pack("{s:{s:i, s:s}}", "error", "status", status, "reason", "what was asked is not UTF-8");
	(void)api_write_json(api->answer, root);
	note(api, asked, status);
	link_request_answer(asked->request, status, status == 503 ? 1 : 0, api->answer);
}

/* What changes something, and its trail: sensors. */
static void
answer_change(struct api *api, const struct asked *asked, const char *path)
{
	struct evbuffer *input = link_request_body(asked->request);
	const struct api_sensors_request change = {
		.path = path,
		.post = link_request_is_post(asked->request),
		.body = (const char *)evbuffer_pullup(input, -1),
		.body_len = evbuffer_get_length(input),
		.actor = link_request_address(asked->request),
	};
	const char *reason = NULL;
	json_t *root = NULL;
	int status = api_sensors_answer(api->sensors, &change, &root, &reason);

	if (status >= 300 || api_write_json(api->answer, root) != 0) {
		answer_error(api, asked, status >= 300 ? status : 500, reason == NULL ? "no memory" : reason);
		return;
	}
	note(api, asked, status);
	link_request_answer(asked->request, status, 0, api->answer);
}

/* A question on its way through the pool, with what is noted of it when its request is gone. */
struct call {
	struct api_task task;
	struct api *api;
	const struct api_route *route;
	struct question question;
	struct asked asked;
	char name[API_TOKEN_NAME_MAX + 1];
	char address[ADDRESS_MAX];
	char uri[URI_MAX + 1];
};

static void
peer_closed(void *arg)
{
	struct call *call = arg;

	call->asked.request = NULL;
}

static int
work(struct api_task *task, struct store *store)
{
	struct call *call = (struct call *)task;

	call->question.store = store;
	return call->route->answer(call->api, call->route, &call->question);
}

static void
answer_failure(struct api *api, const struct asked *asked, int err)
{
	if (err == -ETIMEDOUT)
		answer_error(api, asked, 503, "the query took too long: narrow it");
	else if (err == -ECANCELED)
		answer_error(api, asked, 503, "the aggregator stops");
	else if (err == -EBUSY)
		answer_error(api, asked, 503, "too many questions, exports and live streams: come back later");
	else
		answer_error(api, asked, 500, "the store failed");
}

static void
call_free(struct call *call)
{
	if (call->question.answer != NULL)
		evbuffer_free(call->question.answer);
	free(call);
}

static void
answered(struct api_task *task)
{
	struct call *call = (struct call *)task;

	if (call->asked.request == NULL) {
		/* Whoever asked has gone. */
		note(call->api, &call->asked, STATUS_GONE);
	} else {
		link_request_on_close(call->asked.request, NULL, NULL);
		if (task->err != 0) {
			answer_failure(call->api, &call->asked, task->err);
		} else {
			note(call->api, &call->asked, 200);
			link_request_answer(call->asked.request, 200, 0, call->question.answer);
		}
	}
	call_free(call);
}

/* @return 0: answered() will come */
static int
call_submit(struct api *api, const struct asked *asked, const struct api_route *route, const struct question *question)
{
	struct call *call = calloc(1, sizeof(*call));
	int err;

	if (call == NULL)
		return -ENOMEM;
	call->task.work = work;
	call->task.done = answered;
	call->api = api;
	call->route = route;
	call->question = *question;
	call->question.answer = evbuffer_new();
	call->asked = *asked;
	snprintf(call->name, sizeof(call->name), "%s", asked->name);
	snprintf(call->address, sizeof(call->address), "%s", asked->address);
	snprintf(call->uri, sizeof(call->uri), "%s", asked->uri);
	call->asked.name = call->name;
	call->asked.address = call->address;
	call->asked.uri = call->uri;
	err = call->question.answer == NULL ? -ENOMEM : api_pool_submit(api->pool, &call->task);
	if (err != 0)
		call_free(call);
	else
		link_request_on_close(asked->request, peer_closed, call);
	return err;
}

static void
answer_question(struct api *api, const struct asked *asked, const struct api_route *route, const char *query)
{
	struct question question = { .request = asked->request };
	int err;

	if (api_question_read(route, &question, query) != 0) {
		answer_error(api, asked, 400, question.reason);
		return;
	}
	/* A stream goes its own way from here, and may be over when this returns. */
	if (route->content != API_JSON)
		note(api, asked, 200);
	err = route->content == API_JSON ? call_submit(api, asked, route, &question) : route->answer(api, route, &question);
	if (err != 0)
		answer_failure(api, asked, err);
}

static void
refuse(struct api *api, const struct asked *asked, enum api_scope scope, bool given)
{
	char reason[API_REASON_MAX];

	if (asked->name == NULL) {
		/* RFC 9110 11.6.1, RFC 6750 3 */
		link_request_extra_header(asked->request, "WWW-Authenticate", given ? "Bearer error=\"invalid_token\"" : "Bearer");
		answer_error(api, asked, 401, given ? "the token is not known here" : "a bearer token is needed");
		return;
	}
	snprintf(reason, sizeof(reason), "the token's scopes do not include %s", api_scope_name(scope));
	answer_error(api, asked, 403, reason);
}

/* Not 401, at which a client gives its token up. */
static void
answer_unknown(struct api *api, const struct asked *asked)
{
	counter_add(&api->counts[API_TOKENS_UNREAD], 1);
	answer_error(api, asked, 503, "the tokens cannot be read here now: come back later");
}

static void
answer_no_route(struct api *api, const struct asked *asked, const char *allowed)
{
	if (allowed == NULL) {
		answer_error(api, asked, 404, "no such resource");
		return;
	}
	link_request_extra_header(asked->request, "Allow", allowed);
	answer_error(api, asked, 405, asked->post ? "only GET" : "only POST");
}

static void
on_request(void *arg, struct link_request *request)
{
	const char *header = link_request_header(request, "Authorization");
	bool post = link_request_is_post(request);
	struct asked asked = { .request = request, .address = link_request_address(request),
		.uri = link_request_uri(request), .post = post };
	struct api *api = arg;
	const char *allowed;
	const struct api_route *route = api_route_find(link_request_path(request), post, &allowed);
	enum api_scope scope = route == NULL ? API_SCOPE_READ : route->scope;
	int may = api_tokens_allow(api->tokens, header, scope, &asked.name);

	clock_gettime(CLOCK_MONOTONIC, &asked.since);
	if (may < 0)
		answer_unknown(api, &asked);
	else if (may == 0 && (asked.name == NULL || route != NULL))
		refuse(api, &asked, scope, api_token_is_given(header));
	else if (route == NULL)
		answer_no_route(api, &asked, allowed);
	else if (route->answer != NULL)
		answer_question(api, &asked, route, link_request_query(request));
	else if (api->sensors != NULL)
		answer_change(api, &asked, route->path);
	else
		answer_error(api, &asked, 404, "enrolment is not set up here: enrol.state");
}

/* ---- life ---- */

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval farewell = { .tv_usec = FAREWELL_MS * 1000 };
	struct api *api = arg;

	link_server_stop(api->server);
	event_base_loopexit(api->base, &farewell);
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
	struct api_pool_config pool = { .store_kind = settings->store_kind, .threads = settings->query_threads,
		.tasks_max = TASKS_MAX };
	struct link_server_config server;
	const struct api_audit_config audit = { .path = settings->api_audit_path, .size_max = settings->api_audit_size,
		.files_max = AUDIT_FILES };
	const char *where;
	const struct api_token_keep *keep = settings_tokens(settings, &where);
	int err = api_tokens_create(&api->tokens, settings->api_token_file, keep, where);

	settings_api_server(settings, &server);
	server.counters = api->server_counters;
	settings_store(settings, &pool.store);
	if (err == 0)
		err = api_audit_create(&api->audit, &audit);
	if (err == 0 && api->enrol != NULL)
		err = api_sensors_create(&api->sensors, settings, api->enrol);
	if (err == 0)
		err = create_events(api);
	if (err == 0)
		err = api_pool_create(&api->pool, api->base, &pool);
	if (err == 0)
		err = api_streams_create(&api->streams, api);
	if (err == 0 && settings->silent_after_s > 0)
		err = silence_create(&api->silence, settings->silent_after_s);
	if (err == 0 && api->silence != NULL)
		err = api_silence_create(&api->looks, api, api->silence, settings->silent_after_s);
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
	/* What it was asked is answered, or told to come again. */
	if (api->pool != NULL)
		api_pool_stop(api->pool);
	api_streams_destroy(api->streams);
	api_silence_destroy(api->looks);
	silence_destroy(api->silence);
	link_server_destroy(api->server);
	api_pool_destroy(api->pool);
	if (api->stop != NULL)
		event_free(api->stop);
	if (api->answer != NULL)
		evbuffer_free(api->answer);
	if (api->base != NULL)
		event_base_free(api->base);
	if (api->stop_fd >= 0)
		close(api->stop_fd);
	api_sensors_destroy(api->sensors);
	api_audit_destroy(api->audit);
	api_tokens_destroy(api->tokens);
	free(api);
}

int
api_check(const struct settings *settings)
{
	struct api_tokens *tokens = NULL;
	struct link_server_config server;
	/* Files are looked at here; no server is asked. */
	const struct api_token_keep *keep = settings->api_tokens[0] == '\0' ? NULL : &api_token_file;
	int token_err = api_tokens_create(&tokens, settings->api_token_file, keep, settings->api_tokens);
	int server_err;

	api_tokens_destroy(tokens);
	settings_api_server(settings, &server);
	server_err = link_server_check(&server);
	return token_err != 0 ? token_err : server_err;
}

struct counter_set
api_counter_set(struct api *api)
{
	return (struct counter_set){ own_counters, api->counts, API_COUNTERS };
}

uint16_t
api_port(const struct api *api)
{
	return link_server_port(api->server);
}
