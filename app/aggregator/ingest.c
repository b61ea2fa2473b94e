#include "app/aggregator/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>

#include "app/aggregator/enrol.h"
#include "app/aggregator/fair.h"
#include "app/aggregator/writer.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/enrol/activation.h"
#include "lib/link/server.h"

enum {
	PRIORITY_DONE = 2, /* behind the wire: what has arrived is on its way to the store first */
	RETRY_S = 1,
	FAIR_SENSORS_MAX = 1 << 20, /* 200 bytes each, only while they send */
	RETRY_EPOCHS_S = 600,
	RETRY_VERSION_S = 60,
};

const struct counter_desc ingest_counters[INGEST_COUNTERS] = {
	[INGEST_REQUESTS] = { "ingest.requests", "requests that came in" },
	[INGEST_BATCHES] = { "ingest.batches", "batches acknowledged" },
	[INGEST_RECORDS] = { "ingest.records", "records stored" },
	[INGEST_BYTES] = { "ingest.bytes", "bytes of records stored, unpacked" },
	[INGEST_DUPLICATES] = { "ingest.duplicates", "records that were stored before" },
	[INGEST_LOST] = { "ingest.lost", "sequences that sensors declared lost" },
	[INGEST_HOLES] = { "ingest.holes", "batches answered 409" },
	[INGEST_FOREIGN] = { "ingest.foreign", "batches with other records than are stored under their numbers: a copy of the sensor's spool" },
	[INGEST_REORDERED] = { "ingest.reordered", "batches that waited for those before them" },
	[INGEST_POISON] = { "ingest.poison", "batches that can never be stored" },
	[INGEST_REFUSED] = { "ingest.refused", "requests of the wrong path, or in another sensor's name" },
	[INGEST_VERSION] = { "ingest.version", "batches answered 503 because their version of the stream is not known here" },
	[INGEST_TOO_LARGE] = { "ingest.too_large", "batches answered 413" },
	[INGEST_LATER] = { "ingest.later", "batches answered 429 or 503" },
	[INGEST_BEHIND] = { "ingest.behind", "batches answered 429 because the store was behind: limits.queue" },
	[INGEST_LIMITED] = { "ingest.limited", "batches answered 429 because of limits.sensor-records" },
	LINK_SERVER_COUNTER_ROWS(INGEST_SERVER, "ingest"),
	[INGEST_COMMITS] = { "ingest.commits", "transactions made durable" },
};

/* A batch on its way. The request goes away with its connection; then it is NULL, and the rest goes on. */
struct delivery {
	struct fair_item item; /* while it waits for its turn */
	struct ingest *ingest;
	struct link_request *request;
	struct batch_head head;
	bool check_only;       /* answered as if it were stored, and is not */
};

struct ingest {
	const struct settings *settings;
	struct writer *writer;
	struct enrol *enrol; /* NULL: there is none */
	struct link_server *server;
	struct batch_decoder *decoder;
	struct fair *fair;
	struct event *turn;
	struct event *done;
	struct evbuffer *answer;
	_Atomic uint64_t counters[INGEST_COUNTERS];
};

static void
count(struct ingest *ingest, enum ingest_counter which, uint64_t n)
{
	counter_add(&ingest->counters[which], n);
}

/* ---- the end of a delivery: exactly one answer, then it is freed ---- */

static void
finish_with(struct delivery *delivery, int status, unsigned int retry_after_s, json_t *body)
{
	struct evbuffer *answer = delivery->ingest->answer;
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

	if (delivery->request != NULL) {
		link_request_on_close(delivery->request, NULL, NULL);
		evbuffer_add_printf(answer, "%s\n", text == NULL ? "{}" : text);
		link_request_answer(delivery->request, status, retry_after_s, answer);
		evbuffer_drain(answer, evbuffer_get_length(answer));
	}
	free(text);
	json_decref(body);
	free(delivery);
}

static void
finish(struct delivery *delivery, int status, unsigned int retry_after_s, const char *key, json_t *value)
{
	finish_with(delivery, status, retry_after_s, json_pack("{s:o}", key, value));
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

/* @param why a batch that leaves no hole is not taken; NULL: it leaves one */
static void
finish_hole(struct delivery *delivery, uint64_t expected, const char *why)
{
	count(delivery->ingest, INGEST_HOLES, 1);
	finish_with(delivery, 409, 0, json_pack("{s:I, s:s*}", "expected", (json_int_t)expected, "why", why));
}

static void
finish_foreign(struct delivery *delivery, uint64_t next)
{
	count(delivery->ingest, INGEST_FOREIGN, 1);
	log_warning("ingest", "%s: other %s records than it sends now are stored under the same numbers, up to %" PRIu64
		": two boxes go by copies of one disk", delivery->head.sensor, link_lane_name(delivery->head.lane), next - 1);
	finish_hole(delivery, next, BATCH_WHY_FOREIGN);
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
peer_closed(void *arg)
{
	struct delivery *delivery = arg;

	delivery->request = NULL;
}

/* ---- a batch's path ---- */

/* @return NULL, or why the lines are not the batch that the headers promise. */
static const char *
read_lines(const struct batch_head *head, struct writer_job *job)
{
	const char *text = job->lines.data;
	const char *end = text + job->lines.len;
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
		why = store_line_read(&job->records[found++], text, (size_t)(newline - text));
		if (why != NULL)
			return why;
		text = newline + 1;
	}
	return found == head->count ? NULL : "fewer lines than Millrace-Count";
}

/* The body as it came: one copy, where the store may keep it. */
static int
take_body(struct link_request *request, struct buf *body)
{
	struct evbuffer *input = link_request_body(request);
	size_t len = evbuffer_get_length(input);

	if (len > body->cap) {
		buf_destroy(body);
		if (buf_create(body, len) != 0)
			return -ENOMEM;
	}
	body->full = false;
	body->len = (size_t)evbuffer_remove(input, body->data, len);
	return 0;
}

/* @return whether the batch may be stored; else it is answered */
static bool
unpack(struct ingest *ingest, struct delivery *delivery, struct writer_job *job)
{
	char error[BATCH_ERROR_MAX];
	const char *why;
	int err = take_body(delivery->request, &job->body);

	if (err == 0)
		err = batch_decode(ingest->decoder, &delivery->head, job->body.data, job->body.len, &job->lines, error);
	if (err == -EMSGSIZE) {
		finish_too_large(delivery, ingest->settings->lines_max);
		return false;
	}
	if (err == -ENOMEM) {
		finish_later(delivery, 503, RETRY_S, "no memory");
		return false;
	}
	why = err != 0 ? error : read_lines(&delivery->head, job);
	if (why != NULL)
		finish_poison(delivery, 400, why);
	return why == NULL;
}

/* Unpacks and checks a batch, and hands it to the store. */
static void
take(struct ingest *ingest, struct delivery *delivery)
{
	struct writer_job *job = writer_job_get(ingest->writer, delivery->head.count);

	if (job == NULL) {
		finish_later(delivery, 503, RETRY_S, "no memory");
		return;
	}
	if (!unpack(ingest, delivery, job)) {
		writer_job_put(ingest->writer, job);
		return;
	}
	if (delivery->check_only) {
		writer_job_put(ingest->writer, job);
		finish(delivery, 200, 0, "acked", json_integer(0));
		return;
	}
	job->head = &delivery->head;
	job->owner = delivery;
	writer_submit(ingest->writer, job);
}

/* ---- the answer ---- */

static void
finish_stored(struct ingest *ingest, struct delivery *delivery, const struct writer_job *job)
{
	count(ingest, INGEST_BATCHES, 1);
	count(ingest, INGEST_RECORDS, job->done.stored);
	count(ingest, INGEST_DUPLICATES, job->done.skipped);
	count(ingest, INGEST_LOST, job->done.lost);
	count(ingest, INGEST_BYTES, job->done.stored == 0 ? 0 : job->lines.len);
	finish(delivery, 200, 0, "acked", json_integer((json_int_t)job->done.next - 1));
}

static void
finish_job(struct ingest *ingest, const struct writer_job *job)
{
	struct delivery *delivery = job->owner;

	switch (job->verdict) {
	case WRITER_STORED: finish_stored(ingest, delivery, job); break;
	case WRITER_HOLE: finish_hole(delivery, job->done.next, NULL); break;
	case WRITER_COMPARE: finish_hole(delivery, job->done.next - 1, BATCH_WHY_COMPARE); break;
	case WRITER_FOREIGN: finish_foreign(delivery, job->done.next); break;
	case WRITER_QUOTA: finish_later(delivery, 429, RETRY_EPOCHS_S, "the sensor has used up its epochs"); break;
	case WRITER_FAILED: finish_later(delivery, 503, RETRY_S, "the store failed"); break;
	case WRITER_NOT_DURABLE: finish_later(delivery, 503, RETRY_S, "the store could not make it durable"); break;
	case WRITER_STOPPED: finish_later(delivery, 503, RETRY_S, "the aggregator stops"); break;
	}
}

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
	struct ingest *ingest = arg;
	struct writer_job *job;

	while ((job = writer_take(ingest->writer)) != NULL) {
		finish_job(ingest, job);
		writer_job_put(ingest->writer, job);
	}
	event_active(ingest->turn, EV_TIMEOUT, 0);
	if (writer_is_lost(ingest->writer))
		event_base_loopbreak(event_get_base(ingest->done));
}

bool
ingest_is_lost(const struct ingest *ingest)
{
	return writer_is_lost(ingest->writer);
}

/* ---- turns ---- */

static void
queue(struct ingest *ingest, struct delivery *delivery)
{
	uint64_t wait_ms;

	if (writer_is_stopped(ingest->writer)) {
		finish_later(delivery, 503, RETRY_S, "the aggregator stops");
		return;
	}
	delivery->item.bytes = evbuffer_get_length(link_request_body(delivery->request));
	if (fair_is_full(ingest->fair, delivery->head.sensor, delivery->item.bytes)) {
		count(ingest, INGEST_BEHIND, 1);
		finish_later(delivery, 429, RETRY_S, "the store is behind");
		return;
	}
	wait_ms = fair_put(ingest->fair, delivery->head.sensor, delivery->head.count, clock_ms(), &delivery->item);
	if (wait_ms > 0) {
		count(ingest, INGEST_LIMITED, 1);
		finish_later(delivery, 429, (unsigned int)((wait_ms + 999) / 1000), "the sensor sends more than limits.sensor-records");
		return;
	}
	event_active(ingest->turn, EV_TIMEOUT, 0);
}

/* One batch, then whatever the wire has: those of other sensors come into the row. Without room, on_done() goes on. */
static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct ingest *ingest = arg;
	struct delivery *delivery = writer_has_room(ingest->writer) ? (struct delivery *)fair_take(ingest->fair) : NULL;

	if (delivery == NULL)
		return;
	if (delivery->request == NULL)
		free(delivery);
	else
		take(ingest, delivery);
	event_active(ingest->turn, EV_TIMEOUT, 0);
}

static const char *
get_header(void *arg, const char *name)
{
	return link_request_header(arg, name);
}

/* @return whether the request was one to renew a certificate, and is answered */
static bool
answer_renewal(struct ingest *ingest, struct link_request *request, const char *path)
{
	char peer[BATCH_SENSOR_MAX + 1];

	if (ingest->enrol == NULL || path == NULL || strcmp(path, ENROL_RENEW_PATH) != 0 ||
	    !link_request_is_post(request) || !link_request_peer(request, peer))
		return false;
	enrol_renewal(ingest->enrol, request, peer);
	return true;
}

static void
on_request(void *arg, struct link_request *request)
{
	struct ingest *ingest = arg;
	const char *path = link_request_path(request);
	struct delivery *delivery;
	char peer[BATCH_SENSOR_MAX + 1];
	char error[BATCH_ERROR_MAX];

	if (answer_renewal(ingest, request, path))
		return;
	count(ingest, INGEST_REQUESTS, 1);
	delivery = calloc(1, sizeof(*delivery));
	if (delivery == NULL) {
		link_request_answer(request, 503, RETRY_S, ingest->answer);
		return;
	}
	delivery->ingest = ingest;
	delivery->request = request;
	delivery->check_only = path != NULL && strcmp(path, BATCH_CHECK_PATH) == 0;
	if (path == NULL || (strcmp(path, BATCH_PATH) != 0 && !delivery->check_only) ||
		!link_request_is_post(request)) {
		finish_poison(delivery, 404, "only POST " BATCH_PATH " and " BATCH_CHECK_PATH " are served here");
		return;
	}
	if (!link_request_peer(request, peer)) {
		finish_poison(delivery, 403, "the certificate's subject CN is no sensor name");
		return;
	}
	int rc = batch_head_parse(&delivery->head, get_header, request, error);

	if (rc == -EPROTONOSUPPORT) {
		count(ingest, INGEST_VERSION, 1);
		log_warning("ingest", "%s: %s", peer, error);
		finish_later(delivery, 503, RETRY_VERSION_S, error);
		return;
	}
	if (rc != 0) {
		finish_poison(delivery, 400, error);
		return;
	}
	if (strcmp(peer, delivery->head.sensor) != 0) {
		finish_poison(delivery, 403, "Millrace-Sensor is not the certificate's subject CN");
		return;
	}
	if (link_request_body_len(request) > ingest->settings->body_max) {
		finish_too_large(delivery, ingest->settings->body_max);
		return;
	}
	link_request_on_close(request, peer_closed, delivery);
	if (delivery->check_only)
		take(ingest, delivery);
	else
		queue(ingest, delivery);
}

/* ---- life ---- */

static int
create_events(struct ingest *ingest, struct event_base *base)
{
	ingest->turn = event_new(base, -1, 0, on_turn, ingest);
	ingest->done = event_new(base, writer_fd(ingest->writer), EV_READ | EV_PERSIST, on_done, ingest);
	ingest->answer = evbuffer_new();
	if (ingest->turn == NULL || ingest->done == NULL || ingest->answer == NULL)
		return -ENOMEM;
	event_priority_set(ingest->done, PRIORITY_DONE);
	return event_add(ingest->done, NULL) == 0 ? 0 : -ENOMEM;
}

/* The writer comes last: from then on the store is its own. */
static int
create_parts(struct ingest *ingest, struct store *store)
{
	const struct settings *settings = ingest->settings;
	const struct fair_config fair = { .records_per_s = settings->records_per_sensor, .bytes_max = settings->queue_bytes,
		.sensors_max = FAIR_SENSORS_MAX };
	const struct writer_config writer = { .queue_bytes_max = settings->queue_bytes,
		.group_records = settings->group_records, .reorder_ms = settings->reorder_ms,
		.counters = &ingest->counters[INGEST_REORDERED] };
	int err = batch_decoder_create(&ingest->decoder, settings->lines_max);

	if (err == 0)
		err = fair_create(&ingest->fair, &fair);
	return err != 0 ? err : writer_create(&ingest->writer, &writer, store);
}

int
ingest_create(struct ingest **out, struct event_base *base, const struct settings *settings, struct store *store,
	struct enrol *enrol)
{
	struct link_server_config server;
	struct ingest *ingest = calloc(1, sizeof(*ingest));
	int err;

	if (ingest == NULL)
		return -ENOMEM;
	settings_ingest_server(settings, &server);
	server.counters = &ingest->counters[INGEST_SERVER];
	ingest->settings = settings;
	ingest->enrol = enrol;
	if (enrol != NULL) {
		server.admit = enrol_admit;
		server.admit_arg = enrol;
	}
	err = create_parts(ingest, store);
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
	writer_stop(ingest->writer);
	on_done(-1, 0, ingest);
	link_server_stop(ingest->server);
}

void
ingest_destroy(struct ingest *ingest)
{
	struct writer_job *job;

	if (ingest == NULL)
		return;
	if (ingest->enrol != NULL)
		enrol_watch(ingest->enrol, NULL);
	link_server_destroy(ingest->server);
	if (ingest->writer != NULL) {
		writer_stop(ingest->writer);
		while ((job = writer_take(ingest->writer)) != NULL) {
			free(job->owner);
			writer_job_put(ingest->writer, job);
		}
	}
	if (ingest->done != NULL)
		event_free(ingest->done);
	if (ingest->turn != NULL)
		event_free(ingest->turn);
	if (ingest->answer != NULL)
		evbuffer_free(ingest->answer);
	writer_destroy(ingest->writer);
	batch_decoder_destroy(ingest->decoder);
	fair_destroy(ingest->fair);
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
