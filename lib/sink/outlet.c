#include "lib/sink/outlet.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"

enum {
	BATCH_RECORDS = 64,
	BATCH_BYTES = 256 * 1024,
	PENDING_LEN = 64 * 1024, /* bytes of a stream that go in one write */
	IDLE_MS = 500,
	BACKOFF_MIN_MS = 100,
	DRAIN_STEP_MS = 20,
	ERROR_LEN_MAX = 256,
};

struct outlet {
	struct outlet_config config;
	const struct outlet_encoder *encoder;
	void *arg;
	struct spool *spool;
	struct wire *wire;
	struct buf lines;
	struct buf pending;  /* of a stream: what goes with the next write */
	int wake_fd;
	int put_error;       /* of the batch */
	uint64_t put_bytes;
	uint64_t backoff_ms;
	bool open;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	_Atomic bool connected;
	pthread_mutex_t error_lock;
	char last_error[ERROR_LEN_MAX];
	_Atomic uint64_t counters[OUTLET_COUNTER_COUNT];
};

void
outlet_count(struct outlet *outlet, enum outlet_counter which, uint64_t n)
{
	counter_add(&outlet->counters[which], n);
}

/* ---- the connection ---- */

static void
set_error(struct outlet *outlet, const char *text)
{
	bool same;

	pthread_mutex_lock(&outlet->error_lock);
	same = strncmp(outlet->last_error, text, sizeof(outlet->last_error) - 1) == 0;
	snprintf(outlet->last_error, sizeof(outlet->last_error), "%s", text);
	pthread_mutex_unlock(&outlet->error_lock);
	if (!same && text[0] != '\0')
		log_warning("sink", "%s: %s; records wait in %s", outlet->config.name, text, spool_get_path(outlet->spool));
}

void
outlet_report(struct outlet *outlet, const char *why)
{
	atomic_store_explicit(&outlet->connected, why == NULL, memory_order_relaxed);
	set_error(outlet, why == NULL ? "" : why);
}

int
outlet_wake_fd(const struct outlet *outlet)
{
	return outlet->wake_fd;
}

void
outlet_wait(struct outlet *outlet, uint64_t ms)
{
	struct pollfd fd = { .fd = outlet->wake_fd, .events = POLLIN };
	uint64_t times;

	if (poll(&fd, 1, (int)ms) > 0 && read(outlet->wake_fd, &times, sizeof(times)) < 0)
		log_debug("sink", "%s: %s", outlet->config.name, strerror(errno));
}

/* Records come while it pauses; they must not cut the pause short. */
static void
pause_ms(struct outlet *outlet, uint64_t ms)
{
	uint64_t end_ms = 0;
	struct timespec now;

	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;

		if (end_ms == 0)
			end_ms = now_ms + ms;
		if (now_ms >= end_ms)
			return;
		outlet_wait(outlet, end_ms - now_ms);
	} while (!atomic_load_explicit(&outlet->stop, memory_order_acquire));
}

static void
lose_connection(struct outlet *outlet, const char *why)
{
	outlet_count(outlet, OUTLET_FAILURES, 1);
	outlet_report(outlet, why);
	wire_close(outlet->wire);
	outlet->open = false;
	pause_ms(outlet, outlet->backoff_ms);
	outlet->backoff_ms *= 2;
	if (outlet->backoff_ms > outlet->config.backoff_max_ms)
		outlet->backoff_ms = outlet->config.backoff_max_ms;
}

static bool
connect_anew(struct outlet *outlet)
{
	struct way_failure failure = { 0 };

	if (wire_connect(outlet->wire, &failure) != 0) {
		lose_connection(outlet, failure.text);
		return false;
	}
	outlet_count(outlet, OUTLET_CONNECTS, 1);
	outlet->open = true;
	outlet->put_error = 0;
	buf_reset(&outlet->pending);
	if (outlet->encoder->begin != NULL)
		outlet->encoder->begin(outlet->arg, outlet);
	return true;
}

/* ---- records to messages ---- */

static void
send_now(struct outlet *outlet, const void *data, size_t len)
{
	if (outlet->put_error == 0 && len > 0)
		outlet->put_error = wire_send(outlet->wire, data, len);
	outlet->put_bytes += len;
}

static void
send_pending(struct outlet *outlet)
{
	send_now(outlet, outlet->pending.data, outlet->pending.len);
	buf_reset(&outlet->pending);
}

void
outlet_put(struct outlet *outlet, const void *data, size_t len)
{
	if (wire_transport(outlet->wire) == WIRE_UDP) {
		send_now(outlet, data, len);
		return;
	}
	if (!buf_has(&outlet->pending, len))
		send_pending(outlet);
	if (buf_has(&outlet->pending, len))
		buf_put(&outlet->pending, data, len);
	else
		send_now(outlet, data, len);
}

enum wire_transport
outlet_transport(const struct outlet *outlet)
{
	return wire_transport(outlet->wire);
}

/* @return 0 when the system took all of the batch */
static int
send_batch(struct outlet *outlet)
{
	const char *at = outlet->lines.data;
	const char *end = at + outlet->lines.len;
	uint64_t sent = 0;

	outlet->put_error = 0;
	outlet->put_bytes = 0;
	while (at < end && outlet->put_error == 0) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline == NULL ? end : newline) - at);
		int rc = outlet->encoder->take(outlet->arg, outlet, at, len);

		sent += rc == 0;
		outlet_count(outlet, rc == -EMSGSIZE ? OUTLET_TOO_LONG : OUTLET_PASSED, rc != 0);
		at += len + 1;
	}
	if (outlet->encoder->finish != NULL)
		outlet->encoder->finish(outlet->arg, outlet);
	send_pending(outlet);
	outlet_count(outlet, OUTLET_SENT, outlet->put_error == 0 ? sent : 0);
	outlet_count(outlet, OUTLET_BYTES, outlet->put_error == 0 ? outlet->put_bytes : 0);
	return outlet->put_error;
}

bool
outlet_peek(struct outlet *outlet, const struct spool_want *want, struct spool_batch *batch, const char **lines)
{
	uint64_t readable = spool_get_readable(outlet->spool, want->lane);

	*batch = (struct spool_batch){ .first = want->from_seq };
	*lines = outlet->lines.data;
	if (readable < want->from_seq)
		return false;
	/* What the spool says of itself in a lane that nobody asked for. */
	if ((outlet->config.lanes >> want->lane & 1) == 0) {
		spool_ack(outlet->spool, want->lane, readable);
		return false;
	}
	if (spool_peek_batch(outlet->spool, want, &outlet->lines, batch) < 0) {
		*batch = (struct spool_batch){ .first = want->from_seq };
		return false;
	}
	if (batch->first > want->from_seq)
		spool_skip(outlet->spool, want->lane, batch->first - 1);
	return batch->count > 0;
}

void
outlet_ack(struct outlet *outlet, enum link_lane lane, uint64_t seq)
{
	spool_ack(outlet->spool, lane, seq);
}

struct spool *
outlet_spool(struct outlet *outlet)
{
	return outlet->spool;
}

/* @return whether something was done */
static bool
pump_lane(struct outlet *outlet, enum link_lane lane)
{
	const struct spool_want want = { lane, spool_get_acked(outlet->spool, lane) + 1, BATCH_RECORDS, BATCH_BYTES };
	struct spool_batch batch;
	const char *lines;
	int rc;

	if (!outlet_peek(outlet, &want, &batch, &lines))
		return spool_get_acked(outlet->spool, lane) >= want.from_seq;
	rc = send_batch(outlet);
	if (rc != 0) {
		lose_connection(outlet, strerror(-rc));
		return true;
	}
	spool_ack(outlet->spool, lane, batch.first + batch.count - 1);
	outlet->backoff_ms = BACKOFF_MIN_MS;
	outlet_report(outlet, NULL);
	return true;
}

static void *
run(void *arg)
{
	struct outlet *outlet = arg;

	while (!atomic_load_explicit(&outlet->stop, memory_order_acquire)) {
		bool busy = false;

		if (outlet->encoder->pump != NULL) {
			outlet->encoder->pump(outlet->arg, outlet);
			continue;
		}
		if (outlet->open && !wire_is_open(outlet->wire))
			lose_connection(outlet, "the receiver hung up");
		if (!outlet->open && spool_is_drained(outlet->spool)) {
			outlet_wait(outlet, IDLE_MS);
			continue;
		}
		if (!outlet->open && !connect_anew(outlet))
			continue;
		/* The most urgent lane first, and from the top again after each batch. */
		for (unsigned int lane = 0; lane < LINK_LANE_COUNT && !busy; lane++)
			busy = pump_lane(outlet, lane);
		if (!busy)
			outlet_wait(outlet, IDLE_MS);
	}
	return NULL;
}

/* ---- the exporter's side ---- */

void
outlet_write(struct outlet *outlet, enum link_lane lane, const char *line, size_t len)
{
	if ((outlet->config.lanes >> lane & 1) == 0)
		return;
	if (spool_append(outlet->spool, lane, line, len) != 0)
		outlet_count(outlet, OUTLET_TAKEN, 1);
}

void
outlet_flush(struct outlet *outlet)
{
	static const uint64_t one = 1;
	struct counter_set spool = spool_get_counters(outlet->spool);

	spool_flush(outlet->spool);
	counter_set(&outlet->counters[OUTLET_LOST], counter_get(&spool.values[SPOOL_EVICTED_RECORDS]) +
		counter_get(&spool.values[SPOOL_DISK_FULL]) + counter_get(&spool.values[SPOOL_TOO_LONG]));
	if (!spool_is_drained(outlet->spool) && write(outlet->wake_fd, &one, sizeof(one)) < 0)
		log_debug("sink", "%s: %s", outlet->config.name, strerror(errno));
}

int
outlet_drain(struct outlet *outlet, uint64_t timeout_ms)
{
	static const struct timespec pause = { .tv_nsec = DRAIN_STEP_MS * 1000000 };
	uint64_t left_ms = timeout_ms == 0 ? outlet->config.drain_ms : timeout_ms;

	for (;;) {
		outlet_flush(outlet);
		if (spool_is_drained(outlet->spool))
			return 0;
		if (left_ms < DRAIN_STEP_MS)
			return -ETIMEDOUT;
		left_ms -= DRAIN_STEP_MS;
		nanosleep(&pause, NULL);
	}
}

json_t *
outlet_status(struct outlet *outlet)
{
	json_int_t waiting = 0;
	char error[ERROR_LEN_MAX];

	for (unsigned int lane = 0; lane < LINK_LANE_COUNT; lane++)
		waiting += (json_int_t)(spool_get_appended(outlet->spool, lane) - spool_get_acked(outlet->spool, lane));
	pthread_mutex_lock(&outlet->error_lock);
	memcpy(error, outlet->last_error, sizeof(error));
	pthread_mutex_unlock(&outlet->error_lock);
	return json_pack("{s:b, s:I, s:s}", "connected", atomic_load_explicit(&outlet->connected, memory_order_relaxed),
		"waiting", waiting, "last_error", error);
}

struct counter_set
outlet_get_counters(struct outlet *outlet)
{
	return (struct counter_set){ outlet->config.counters, outlet->counters, OUTLET_COUNTER_COUNT };
}

int
outlet_read_lanes(uint32_t *out, json_t *names, uint32_t fallback, const char *key, struct config_error *err)
{
	json_t *name;
	size_t i;

	*out = names == NULL ? fallback : 0;
	json_array_foreach(names, i, name) {
		int lane = link_lane_parse(json_string_value(name), json_string_length(name));

		if (lane < 0) {
			snprintf(err->text, sizeof(err->text), "%s: \"%.40s\" is not alert, asset, event, flow or stats", key,
				json_string_value(name));
			return -EINVAL;
		}
		*out |= 1u << lane;
	}
	return 0;
}

/* ---- life ---- */

static int
open_spool(struct outlet *outlet, struct config_error *err)
{
	/* A stop of the machine may cost what the system had not written yet: these receivers keep no promise either. */
	const struct spool_config config = {
		.path = outlet->config.spool,
		.size = outlet->config.spool_size,
		.segment_size = outlet->config.spool_size / SPOOL_SEGMENTS_PER_SIZE_MIN,
		.fsync = SPOOL_FSYNC_NEVER,
		.fsync_interval_ms = 1000,
		.lane_percent = { 100, 100, 100, 100, 100 },
	};
	int rc = spool_create(&outlet->spool, &config);

	if (rc < 0)
		snprintf(err->text, sizeof(err->text), "%s: spool %.300s: %s", outlet->config.name, outlet->config.spool,
			rc == -EBUSY ? "another process, or another sink, uses it" : strerror(-rc));
	return rc;
}

/* Signals are the main thread's; SIGPIPE among them. */
static int
start_thread(struct outlet *outlet)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&outlet->thread, NULL, run, outlet);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	outlet->started = rc == 0;
	return -rc;
}

int
outlet_create(struct outlet **out, const struct outlet_config *config, const struct outlet_encoder *encoder, void *arg,
	struct config_error *err)
{
	struct outlet *outlet = calloc(1, sizeof(*outlet));
	int rc;

	if (outlet == NULL) {
		snprintf(err->text, sizeof(err->text), "%s: no memory", config->name);
		return -ENOMEM;
	}
	outlet->config = *config;
	outlet->encoder = encoder;
	outlet->arg = arg;
	outlet->backoff_ms = BACKOFF_MIN_MS;
	pthread_mutex_init(&outlet->error_lock, NULL);
	outlet->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = encoder->pump != NULL ? 0 : wire_create(&outlet->wire, &config->wire, err);
	if (rc == 0)
		rc = open_spool(outlet, err);
	if (rc == 0 && (outlet->wake_fd < 0 || buf_create(&outlet->lines, SPOOL_RECORD_LEN_MAX + 1) < 0 ||
	    buf_create(&outlet->pending, PENDING_LEN) < 0 || start_thread(outlet) < 0)) {
		snprintf(err->text, sizeof(err->text), "%s: no memory", config->name);
		rc = -ENOMEM;
	}
	if (rc != 0) {
		outlet_destroy(outlet);
		return rc;
	}
	*out = outlet;
	return 0;
}

void
outlet_destroy(struct outlet *outlet)
{
	static const uint64_t one = 1;

	if (outlet == NULL)
		return;
	if (outlet->started) {
		atomic_store_explicit(&outlet->stop, true, memory_order_release);
		if (outlet->wire != NULL)
			wire_cancel(outlet->wire);
		if (write(outlet->wake_fd, &one, sizeof(one)) < 0)
			log_debug("sink", "%s: %s", outlet->config.name, strerror(errno));
		pthread_join(outlet->thread, NULL);
	}
	wire_destroy(outlet->wire);
	spool_destroy(outlet->spool);
	buf_destroy(&outlet->lines);
	buf_destroy(&outlet->pending);
	if (outlet->wake_fd >= 0)
		close(outlet->wake_fd);
	pthread_mutex_destroy(&outlet->error_lock);
	free(outlet);
}

const json_t *
outlet_value_at(const json_t *root, const char *path)
{
	char key[64];

	while (root != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		root = json_object_get(root, key);
		path += len + (path[len] == '.');
	}
	return root;
}
