#include "app/aggregator/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>

#include "app/aggregator/enrol.h"
#include "app/aggregator/fair.h"
#include "lib/base/log.h"
#include "lib/enrol/activation.h"
#include "lib/link/server.h"

enum {
	PRIORITY_COMMIT = 2,      /* behind the wire: what has arrived joins the group first */
	PARKED_AHEAD_MAX = 1 << 20, /* sequences a batch may be ahead of its lane and still wait for the others */
	PARKED_TICK_MS = 50,
	RETRY_S = 1,
	FAIR_SENSORS_MAX = 1 << 20, /* 200 bytes each, only while they send */
	RETRY_EPOCHS_S = 600,
};

const struct counter_desc ingest_counters[INGEST_COUNTERS] = {
	[INGEST_REQUESTS] = { "ingest.requests", "requests that came in" },
	[INGEST_BATCHES] = { "ingest.batches", "batches acknowledged" },
	[INGEST_RECORDS] = { "ingest.records", "records stored" },
	[INGEST_BYTES] = { "ingest.bytes", "bytes of records stored, unpacked" },
	[INGEST_DUPLICATES] = { "ingest.duplicates", "records that were stored before" },
	[INGEST_LOST] = { "ingest.lost", "sequences that sensors declared lost" },
	[INGEST_HOLES] = { "ingest.holes", "batches answered 409" },
	[INGEST_REORDERED] = { "ingest.reordered", "batches that waited for those before them" },
	[INGEST_POISON] = { "ingest.poison", "batches that can never be stored" },
	[INGEST_REFUSED] = { "ingest.refused", "requests of the wrong path, or in another sensor's name" },
	[INGEST_TOO_LARGE] = { "ingest.too_large", "batches answered 413" },
	[INGEST_LATER] = { "ingest.later", "batches answered 429 or 503" },
	[INGEST_LIMITED] = { "ingest.limited", "batches answered 429 because of limits.sensor-records" },
	[INGEST_SLOW] = { "ingest.slow_cut", "connections cut because a request took too long to come" },
	[INGEST_IDLE] = { "ingest.idle_cut", "connections cut because they were silent too long" },
	[INGEST_CROWDED] = { "ingest.crowded_cut", "connections cut because their sensor had opened too many since" },
	[INGEST_FULL] = { "ingest.full", "times that limits.connections was reached" },
	[INGEST_COMMITS] = { "ingest.commits", "transactions made durable" },
};

/* A batch on its way. The request goes away with its connection; then it is NULL, and the rest goes on. */
struct delivery {
	struct fair_item item; /* while it waits for its turn */
	struct ingest *ingest;
	struct evhttp_request *request;
	struct batch_head head;
	uint64_t acked;
	bool check_only;      /* answered as if it were stored, and is not */
	uint64_t deadline_ms; /* of a parked one */
	TAILQ_ENTRY(delivery) link;
};

TAILQ_HEAD(deliveries, delivery);

struct ingest {
	const struct settings *settings;
	struct store *store;
	struct enrol *enrol; /* NULL: there is none */
	struct link_server *server;
	struct batch_decoder *decoder;
	struct store_line *lines; /* [BATCH_COUNT_MAX] */
	struct fair *fair;
	struct event *turn;
	struct event *commit;
	struct event *expire;
	struct event *tick;
	struct evbuffer *answer;
	struct deliveries appended; /* answered at the commit */
	struct deliveries parked;   /* ahead of their lane */
	uint64_t group_records;     /* appended since the last commit */
	_Atomic uint64_t counters[INGEST_COUNTERS];
};

static void
count(struct ingest *ingest, enum ingest_counter which, uint64_t n)
{
	counter_add(&ingest->counters[which], n);
}

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the end of a delivery: exactly one answer, then it is freed ---- */

static void
finish(struct delivery *delivery, int status, unsigned int retry_after_s, const char *key, json_t *value)
{
	struct evbuffer *answer = delivery->ingest->answer;
	json_t *body = json_pack("{s:o}", key, value);
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

	if (delivery->request != NULL) {
		link_server_on_close(delivery->request, NULL, NULL);
		evbuffer_add_printf(answer, "%s\n", text == NULL ? "{}" : text);
		link_server_answer(delivery->request, status, retry_after_s, answer);
		evbuffer_drain(answer, evbuffer_get_length(answer));
	}
	free(text);
	json_decref(body);
	free(delivery);
}

static void
finish_poison(struct delivery *delivery, int status, const char *why)
{
	count(delivery->ingest, status == 403 || status == 404 ? INGEST_REFUSED : INGEST_POISON, 1);
	log_warning("ingest", "%s %s from %" PRIu64 ": %s",
		delivery->head.sensor[0] == '\0' ? "?" : delivery->head.sensor, link_lane_name(delivery->head.lane),
		delivery->head.sequence, why);
	finish(delivery, status, 0, "error", json_string(why));
}

static void
finish_hole(struct delivery *delivery, uint64_t expected)
{
	count(delivery->ingest, INGEST_HOLES, 1);
	finish(delivery, 409, 0, "expected", json_integer((json_int_t)expected));
}

static void
finish_too_large(struct delivery *delivery, uint64_t max_bytes)
{
	count(delivery->ingest, INGEST_TOO_LARGE, 1);
	finish(delivery, 413, 0, "max_bytes", json_integer((json_int_t)max_bytes));
}

static void
finish_later(struct delivery *delivery, int status, unsigned int retry_after_s, const char *why)
{
	count(delivery->ingest, INGEST_LATER, 1);
	finish(delivery, status, retry_after_s, "error", json_string(why));
}

static void
peer_closed(struct evhttp_connection *connection, void *arg)
{
	struct delivery *delivery = arg;

	delivery->request = NULL;
}

/* ---- commit ---- */

static void
answer_appended(struct ingest *ingest, bool durable)
{
	struct delivery *delivery;

	while ((delivery = TAILQ_FIRST(&ingest->appended)) != NULL) {
		TAILQ_REMOVE(&ingest->appended, delivery, link);
		if (durable) {
			count(ingest, INGEST_BATCHES, 1);
			finish(delivery, 200, 0, "acked", json_integer((json_int_t)delivery->acked));
		} else {
			finish_later(delivery, 503, RETRY_S, "the store could not make it durable");
		}
	}
}

static void
commit(struct ingest *ingest)
{
	int err = store_commit(ingest->store);

	if (err == 0 && ingest->group_records > 0) {
		count(ingest, INGEST_COMMITS, 1);
		count(ingest, INGEST_RECORDS, ingest->group_records);
	}
	ingest->group_records = 0;
	answer_appended(ingest, err == 0);
}

static void
on_commit(evutil_socket_t fd, short what, void *arg)
{
	commit(arg);
}

/* ---- a batch's path ---- */

/* @return NULL, or why the lines are not the batch that the headers promise. */
static const char *
read_lines(struct ingest *ingest, const struct batch_head *head, const char *text, size_t len)
{
	const char *end = text + len;
	uint32_t found = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *why;

		if (newline == NULL)
			return "the last line has no end";
		if (newline - text > BATCH_LINE_MAX)
			return "a line is too long";
		if (found == head->count)
			return "more lines than Millrace-Count";
		why = store_line_read(&ingest->lines[found++], text, (size_t)(newline - text));
		if (why != NULL)
			return why;
		text = newline + 1;
	}
	return found == head->count ? NULL : "fewer lines than Millrace-Count";
}

static void
append(struct ingest *ingest, struct delivery *delivery, const struct store_body *body)
{
	struct store_appended done;
	int err = store_append(ingest->store, &delivery->head, body, ingest->lines, &done);

	if (err == -ERANGE) {
		finish_hole(delivery, done.next);
		return;
	}
	if (err == -EDQUOT) {
		finish_later(delivery, 429, RETRY_EPOCHS_S, "the sensor has used up its epochs");
		return;
	}
	if (err != 0) {
		store_rollback(ingest->store);
		ingest->group_records = 0;
		answer_appended(ingest, false);
		finish_later(delivery, 503, RETRY_S, "the store failed");
		return;
	}
	count(ingest, INGEST_DUPLICATES, done.skipped);
	count(ingest, INGEST_LOST, done.lost);
	count(ingest, INGEST_BYTES, done.stored == 0 ? 0 : body->lines_len);
	delivery->acked = done.next - 1;
	ingest->group_records += done.stored;
	TAILQ_INSERT_TAIL(&ingest->appended, delivery, link);
}

/* Unpacks, checks and appends a batch that is next in its lane. */
static void
take(struct ingest *ingest, struct delivery *delivery)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(delivery->request);
	struct store_body body = { .len = evbuffer_get_length(input) };
	char error[BATCH_ERROR_MAX];
	const char *why;
	int err;

	body.data = body.len == 0 ? "" : (const char *)evbuffer_pullup(input, -1);
	err = batch_decode(ingest->decoder, &delivery->head, body.data, body.len, &body.lines, &body.lines_len, error);
	if (err == -EMSGSIZE) {
		finish_too_large(delivery, ingest->settings->lines_max);
		return;
	}
	why = err != 0 ? error : read_lines(ingest, &delivery->head, body.lines, body.lines_len);
	if (why != NULL) {
		finish_poison(delivery, 400, why);
		return;
	}
	if (delivery->check_only) {
		finish(delivery, 200, 0, "acked", json_integer(0));
		return;
	}
	append(ingest, delivery, &body);
}

static void
park(struct ingest *ingest, struct delivery *delivery)
{
	static const struct timeval tick = { .tv_usec = PARKED_TICK_MS * 1000 };

	delivery->deadline_ms = clock_ms() + ingest->settings->reorder_ms;
	TAILQ_INSERT_TAIL(&ingest->parked, delivery, link);
	if (!event_pending(ingest->tick, EV_TIMEOUT, NULL))
		event_add(ingest->tick, &tick);
}

/* Where a batch stands against its lane. */
enum place { PLACE_NEXT, PLACE_AHEAD, PLACE_FAILED };

static enum place
place_of(struct ingest *ingest, const struct delivery *delivery, uint64_t *expected)
{
	if (store_next_sequence(ingest->store, &delivery->head, expected) != 0)
		return PLACE_FAILED;
	if (delivery->head.skip_to > *expected)
		return delivery->head.sequence > delivery->head.skip_to ? PLACE_AHEAD : PLACE_NEXT;
	return delivery->head.sequence > *expected ? PLACE_AHEAD : PLACE_NEXT;
}

static bool
same_lane(const struct batch_head *a, const struct batch_head *b)
{
	return a->lane == b->lane && a->epoch == b->epoch && strcmp(a->sensor, b->sensor) == 0;
}

/* The parked batch of the lane that has become next, taken off the list; NULL: none. */
static struct delivery *
unpark(struct ingest *ingest, const struct batch_head *head)
{
	struct delivery *delivery;
	uint64_t expected;

	TAILQ_FOREACH(delivery, &ingest->parked, link) {
		if (!same_lane(&delivery->head, head) || place_of(ingest, delivery, &expected) != PLACE_NEXT)
			continue;
		TAILQ_REMOVE(&ingest->parked, delivery, link);
		return delivery;
	}
	return NULL;
}

static void
place(struct ingest *ingest, struct delivery *delivery)
{
	struct batch_head head = delivery->head;
	uint64_t expected;
	enum place at = place_of(ingest, delivery, &expected);

	if (at == PLACE_FAILED) {
		finish_later(delivery, 503, RETRY_S, "the store failed");
		return;
	}
	if (at == PLACE_AHEAD && ingest->settings->reorder_ms > 0 && head.sequence - expected < PARKED_AHEAD_MAX) {
		count(ingest, INGEST_REORDERED, 1);
		park(ingest, delivery);
		return;
	}
	if (at == PLACE_AHEAD) {
		finish_hole(delivery, expected);
		return;
	}
	take(ingest, delivery);
	/* Each turn takes one off the list, so it ends. */
	while ((delivery = unpark(ingest, &head)) != NULL) {
		if (delivery->request == NULL)
			free(delivery);
		else
			take(ingest, delivery);
	}
	if (ingest->group_records >= ingest->settings->group_records)
		commit(ingest);
	else
		event_active(ingest->commit, EV_TIMEOUT, 0);
}

/* ---- turns ---- */

static void
queue(struct ingest *ingest, struct delivery *delivery)
{
	uint64_t wait_ms = fair_put(ingest->fair, delivery->head.sensor, delivery->head.count, clock_ms(), &delivery->item);

	if (wait_ms > 0) {
		count(ingest, INGEST_LIMITED, 1);
		finish_later(delivery, 429, (unsigned int)((wait_ms + 999) / 1000), "the sensor sends more than limits.sensor-records");
		return;
	}
	event_active(ingest->turn, EV_TIMEOUT, 0);
}

/* One batch, then whatever the wire has: those of other sensors come into the row. */
static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct ingest *ingest = arg;
	struct delivery *delivery = (struct delivery *)fair_take(ingest->fair);

	if (delivery == NULL)
		return;
	if (delivery->request == NULL)
		free(delivery);
	else
		place(ingest, delivery);
	event_active(ingest->turn, EV_TIMEOUT, 0);
}

static const char *
get_header(void *arg, const char *name)
{
	return evhttp_find_header(arg, name);
}

/* @return whether the request was one to renew a certificate, and is answered */
static bool
answer_renewal(struct ingest *ingest, struct evhttp_request *request, const char *path)
{
	char peer[BATCH_SENSOR_MAX + 1];

	if (ingest->enrol == NULL || path == NULL || strcmp(path, ENROL_RENEW_PATH) != 0 ||
	    evhttp_request_get_command(request) != EVHTTP_REQ_POST || !link_server_peer(request, peer))
		return false;
	enrol_renewal(ingest->enrol, request, peer);
	return true;
}

static void
on_request(void *arg, struct evhttp_request *request)
{
	struct ingest *ingest = arg;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	struct delivery *delivery;
	char peer[BATCH_SENSOR_MAX + 1];
	char error[BATCH_ERROR_MAX];

	if (answer_renewal(ingest, request, path))
		return;
	count(ingest, INGEST_REQUESTS, 1);
	delivery = calloc(1, sizeof(*delivery));
	if (delivery == NULL) {
		link_server_answer(request, 503, RETRY_S, ingest->answer);
		return;
	}
	delivery->ingest = ingest;
	delivery->request = request;
	delivery->check_only = path != NULL && strcmp(path, BATCH_CHECK_PATH) == 0;
	if (path == NULL || (strcmp(path, BATCH_PATH) != 0 && !delivery->check_only) ||
		evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
		finish_poison(delivery, 404, "only POST " BATCH_PATH " and " BATCH_CHECK_PATH " are served here");
		return;
	}
	if (!link_server_peer(request, peer)) {
		finish_poison(delivery, 403, "the certificate's subject CN is no sensor name");
		return;
	}
	if (batch_head_parse(&delivery->head, get_header, evhttp_request_get_input_headers(request), error) != 0) {
		finish_poison(delivery, 400, error);
		return;
	}
	if (strcmp(peer, delivery->head.sensor) != 0) {
		finish_poison(delivery, 403, "Millrace-Sensor is not the certificate's subject CN");
		return;
	}
	if (evbuffer_get_length(evhttp_request_get_input_buffer(request)) > ingest->settings->body_max) {
		finish_too_large(delivery, ingest->settings->body_max);
		return;
	}
	link_server_on_close(request, peer_closed, delivery);
	if (delivery->check_only)
		take(ingest, delivery);
	else
		queue(ingest, delivery);
}

/* ---- timers ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tick = { .tv_usec = PARKED_TICK_MS * 1000 };
	struct ingest *ingest = arg;
	uint64_t now_ms = clock_ms();
	struct delivery *delivery;
	uint64_t expected;

	/* Parked in order of their deadlines. */
	while ((delivery = TAILQ_FIRST(&ingest->parked)) != NULL &&
	    (delivery->deadline_ms <= now_ms || delivery->request == NULL)) {
		TAILQ_REMOVE(&ingest->parked, delivery, link);
		if (place_of(ingest, delivery, &expected) == PLACE_FAILED)
			finish_later(delivery, 503, RETRY_S, "the store failed");
		else
			finish_hole(delivery, expected);
	}
	if (!TAILQ_EMPTY(&ingest->parked))
		event_add(ingest->tick, &tick);
}

static void
on_expire(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { .tv_usec = 1000 };
	static const struct timeval later = { .tv_sec = 1 };
	struct ingest *ingest = arg;
	uint64_t deleted;
	int more;

	/* Deletions are a transaction of their own. */
	commit(ingest);
	more = store_expire(ingest->store, (uint64_t)time(NULL), &deleted);
	event_add(ingest->expire, more > 0 ? &soon : &later);
}

/* ---- life ---- */

static int
create_events(struct ingest *ingest, struct event_base *base)
{
	static const struct timeval now = { 0 };

	ingest->commit = event_new(base, -1, 0, on_commit, ingest);
	ingest->expire = event_new(base, -1, 0, on_expire, ingest);
	ingest->tick = event_new(base, -1, 0, on_tick, ingest);
	ingest->turn = event_new(base, -1, 0, on_turn, ingest);
	ingest->answer = evbuffer_new();
	if (ingest->commit == NULL || ingest->expire == NULL || ingest->tick == NULL || ingest->turn == NULL ||
	    ingest->answer == NULL)
		return -ENOMEM;
	event_priority_set(ingest->commit, PRIORITY_COMMIT);
	return event_add(ingest->expire, &now) == 0 ? 0 : -ENOMEM;
}

int
ingest_create(struct ingest **out, struct event_base *base, const struct settings *settings, struct store *store,
	struct enrol *enrol)
{
	const struct fair_config fair = { .records_per_s = settings->records_per_sensor, .sensors_max = FAIR_SENSORS_MAX };
	struct link_server_config server;
	struct ingest *ingest = calloc(1, sizeof(*ingest));
	int err;

	if (ingest == NULL)
		return -ENOMEM;
	settings_ingest_server(settings, &server);
	server.counters = &ingest->counters[INGEST_SLOW];
	ingest->settings = settings;
	ingest->store = store;
	ingest->enrol = enrol;
	if (enrol != NULL) {
		server.admit = enrol_admit;
		server.admit_arg = enrol;
	}
	TAILQ_INIT(&ingest->appended);
	TAILQ_INIT(&ingest->parked);
	ingest->lines = calloc(BATCH_COUNT_MAX, sizeof(*ingest->lines));
	err = ingest->lines == NULL ? -ENOMEM : batch_decoder_create(&ingest->decoder, settings->lines_max);
	if (err == 0)
		err = fair_create(&ingest->fair, &fair);
	if (err == 0)
		err = create_events(ingest, base);
	if (err == 0)
		err = link_server_create(&ingest->server, base, &server, on_request, ingest);
	if (err == 0 && enrol != NULL)
		enrol_watch(enrol, ingest->server);
	if (err != 0) {
		ingest_destroy(ingest);
		return err;
	}
	*out = ingest;
	return 0;
}

void
ingest_finish(struct ingest *ingest)
{
	struct delivery *delivery;

	while ((delivery = (struct delivery *)fair_take(ingest->fair)) != NULL) {
		if (delivery->request == NULL)
			free(delivery);
		else
			finish_later(delivery, 503, RETRY_S, "the aggregator stops");
	}
	commit(ingest);
	while ((delivery = TAILQ_FIRST(&ingest->parked)) != NULL) {
		TAILQ_REMOVE(&ingest->parked, delivery, link);
		finish_later(delivery, 503, RETRY_S, "the aggregator stops");
	}
}

void
ingest_destroy(struct ingest *ingest)
{
	if (ingest == NULL)
		return;
	if (ingest->enrol != NULL)
		enrol_watch(ingest->enrol, NULL);
	link_server_destroy(ingest->server);
	if (ingest->commit != NULL)
		event_free(ingest->commit);
	if (ingest->expire != NULL)
		event_free(ingest->expire);
	if (ingest->turn != NULL)
		event_free(ingest->turn);
	if (ingest->tick != NULL)
		event_free(ingest->tick);
	if (ingest->answer != NULL)
		evbuffer_free(ingest->answer);
	batch_decoder_destroy(ingest->decoder);
	fair_destroy(ingest->fair);
	free(ingest->lines);
	free(ingest);
}

uint16_t
ingest_port(const struct ingest *ingest)
{
	return link_server_port(ingest->server);
}

struct counter_set
ingest_counter_set(struct ingest *ingest)
{
	return (struct counter_set){ ingest_counters, ingest->counters, INGEST_COUNTERS };
}
