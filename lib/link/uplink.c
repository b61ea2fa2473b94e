#include "lib/link/uplink.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"

static const struct counter_desc counter_descs[UPLINK_COUNTER_COUNT] = {
	[UPLINK_BATCHES] = { "uplink.batches", "requests made" },
	[UPLINK_RECORDS] = { "uplink.records", "records in them, repeats included" },
	[UPLINK_LINES_BYTES] = { "uplink.lines_bytes", "bytes of batches before compression" },
	[UPLINK_BODY_BYTES] = { "uplink.body_bytes", "bytes of request bodies" },
	[UPLINK_ACKED_BATCHES] = { "uplink.acked_batches", "requests answered by an acknowledgement" },
	[UPLINK_HOLES] = { "uplink.holes", "answers that asked for another sequence" },
	[UPLINK_TOO_LARGE] = { "uplink.too_large", "answers that asked for smaller batches" },
	[UPLINK_LATER] = { "uplink.later", "answers that asked to come back later" },
	[UPLINK_FAILED] = { "uplink.failed", "requests without an answer" },
	[UPLINK_POISON] = { "uplink.poison", "batches refused for good" },
	[UPLINK_QUARANTINED] = { "uplink.quarantined", "records put into the quarantine file" },
	[UPLINK_QUARANTINE_LOST] = { "uplink.quarantine_lost", "refused records that the quarantine file did not take" },
	[UPLINK_SKIPPED] = { "uplink.skipped", "records lost by the spool and passed over" },
	[UPLINK_WAY] = { "uplink.way", "the way in use; 1: the preferred one" },
	[UPLINK_WAY_CHANGES] = { "uplink.way_changes", "changes from one way to another" },
	[UPLINK_FAILOVERS] = { "uplink.failovers", "changes because a way failed" },
	[UPLINK_FAILBACKS] = { "uplink.failbacks", "changes back to a preferred way" },
	[UPLINK_PROBES_FAILED] = { "uplink.probes_failed", "preferred ways tried out in vain" },
	[UPLINK_SENT_BYTES] = { "uplink.sent_bytes", "bytes sent over ways, TLS to the aggregator included" },
	[UPLINK_RATE] = { "uplink.rate", "bound on bytes sent a second, now; 0: none" },
	[UPLINK_RECEIVED_BYTES] = { "uplink.received_bytes", "bytes received over ways" },
	[UPLINK_CERT_RELOADS] = { "uplink.cert_reloads", "times that changed certificate files were taken over" },
	[UPLINK_CERT_RELOADS_FAILED] = { "uplink.cert_reloads_failed", "times that changed certificate files were no good" },
	[UPLINK_CERT_WARNINGS] = { "uplink.cert_warnings", "warnings that a certificate is about to expire" },
	[UPLINK_CERT_DAYS_LEFT] = { "uplink.cert_days_left", "whole days until the sensor's certificate expires" },
	[UPLINK_EPOCHS] = { "uplink.epochs", "epochs begun because the spool turned out to be a copy" },
};

const struct counter_table uplink_counter_table = { counter_descs, UPLINK_COUNTER_COUNT };

uint64_t
uplink_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
uplink_set_error(struct uplink *uplink, const char *text)
{
	pthread_mutex_lock(&uplink->error_lock);
	snprintf(uplink->last_error, sizeof(uplink->last_error), "%s", text);
	pthread_mutex_unlock(&uplink->error_lock);
}

static unsigned int
finish_flights(struct uplink *uplink)
{
	CURLMsg *message;
	unsigned int finished = 0;
	int left;

	while ((message = curl_multi_info_read(uplink->multi, &left)) != NULL) {
		struct uplink_flight *flight;
		CURLcode result = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&flight);
		curl_multi_remove_handle(uplink->multi, flight->easy);
		uplink_finish(uplink, flight, result);
		finished++;
	}
	return finished;
}

static void *
uplink_run(void *arg)
{
	struct uplink *uplink = arg;
	int running;

	while (!atomic_load_explicit(&uplink->stop, memory_order_acquire)) {
		uint64_t now_ms = uplink_now_ms();

		spool_sync(uplink->spool, now_ms);
		uplink_way_tick(uplink, now_ms);
		uplink_fill_flights(uplink, now_ms);
		uplink_start_flights(uplink, now_ms);
		curl_multi_perform(uplink->multi, &running);
		/* An answer may have made room for more. */
		if (finish_flights(uplink) > 0)
			continue;
		uint64_t pause_ms = uplink->not_before_ms > now_ms ? uplink->not_before_ms - now_ms : UPLINK_POLL_MS;

		curl_multi_poll(uplink->multi, NULL, 0, pause_ms < UPLINK_POLL_MS ? (int)pause_ms : UPLINK_POLL_MS, NULL);
	}
	return NULL;
}

static int
uplink_open(struct uplink *uplink, const struct uplink_config *config, struct config_error *err)
{
	size_t lines_cap = config->batch_bytes > SPOOL_RECORD_LEN_MAX ? config->batch_bytes : SPOOL_RECORD_LEN_MAX;
	int rc = uplink_target_read(&uplink->target, config, err);

	if (rc < 0)
		return rc;
	/* What cannot be saved is said and tried again with the next start. */
	rc = spool_set_owner(uplink->spool, uplink->target.identity.sensor);
	if (rc < 0)
		log_warning("link", "%s: %s", spool_get_path(uplink->spool), strerror(-rc));
	rc = uplink_quarantine_create(uplink);
	if (rc < 0)
		return uplink_config_fail(err, rc, "quarantine", uplink->quarantine_path, strerror(-rc));
	if (getrandom(&uplink->random, sizeof(uplink->random), 0) != sizeof(uplink->random) || uplink->random == 0)
		uplink->random = 1;
	uplink->curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	if (!uplink->curl_ready || batch_encoder_create(&uplink->encoder, (int)config->zstd_level) < 0 ||
		buf_create(&uplink->lines, lines_cap + 1) < 0 || uplink_way_create(uplink) < 0 || uplink_http_create(uplink) < 0)
		return uplink_config_fail(err, -ENOMEM, "batch-bytes", "", "no memory");
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		uplink->lanes[i].next = spool_get_acked(uplink->spool, i) + 1;
		uplink->lanes[i].batch_records = (uint32_t)config->batch_records;
		uplink->lanes[i].batch_bytes = config->batch_bytes;
		uplink->lanes[i].window = 1;
		atomic_init(&uplink->lanes[i].sent, uplink->lanes[i].next - 1);
	}
	return 0;
}

/* Signals are the main thread's. */
static int
start_thread(struct uplink *uplink)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&uplink->thread, NULL, uplink_run, uplink);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	uplink->started = rc == 0;
	return -rc;
}

int
uplink_create(struct uplink **out, const struct uplink_config *config, struct spool *spool, struct config_error *err)
{
	int rc;
	struct uplink *uplink = calloc(1, sizeof(*uplink));

	if (uplink == NULL)
		return uplink_config_fail(err, -ENOMEM, "url", config->url, "no memory");
	uplink->config = *config;
	uplink->spool = spool;
	uplink->backoff_ms = UPLINK_BACKOFF_MIN_MS;
	pthread_mutex_init(&uplink->error_lock, NULL);
	if (config->quarantine != NULL && config->quarantine[0] != '\0')
		snprintf(uplink->quarantine_path, sizeof(uplink->quarantine_path), "%s", config->quarantine);
	else
		snprintf(uplink->quarantine_path, sizeof(uplink->quarantine_path), "%s/quarantine.ndjson", spool_get_path(spool));
	rc = uplink_open(uplink, config, err);
	if (rc == 0)
		rc = start_thread(uplink);
	if (rc < 0) {
		uplink_destroy(uplink);
		return rc;
	}
	*out = uplink;
	return 0;
}

void
uplink_destroy(struct uplink *uplink)
{
	if (uplink == NULL)
		return;
	if (uplink->started) {
		atomic_store_explicit(&uplink->stop, true, memory_order_release);
		curl_multi_wakeup(uplink->multi);
		pthread_join(uplink->thread, NULL);
	}
	uplink_http_destroy(uplink);
	uplink_way_destroy(uplink);
	uplink_target_free(&uplink->target);
	batch_encoder_destroy(uplink->encoder);
	buf_destroy(&uplink->lines);
	if (uplink->curl_ready)
		curl_global_cleanup();
	pthread_mutex_destroy(&uplink->error_lock);
	free(uplink);
}

void
uplink_wake(struct uplink *uplink)
{
	curl_multi_wakeup(uplink->multi);
}

int
uplink_wait_drained(struct uplink *uplink, uint64_t timeout_ms)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t end_ms = uplink_now_ms() + timeout_ms;

	while (!spool_is_drained(uplink->spool)) {
		if (uplink_now_ms() >= end_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

void
uplink_get_status(struct uplink *uplink, struct uplink_status *status)
{
	*status = (struct uplink_status){
		.connected = atomic_load_explicit(&uplink->connected, memory_order_relaxed),
		.in_flight = atomic_load_explicit(&uplink->in_flight, memory_order_relaxed),
	};
	status->metered = atomic_load_explicit(&uplink->way.current, memory_order_relaxed)->metered;
	snprintf(status->way, sizeof(status->way), "%s",
		atomic_load_explicit(&uplink->way.current, memory_order_relaxed)->name);
	pthread_mutex_lock(&uplink->error_lock);
	memcpy(status->last_error, uplink->last_error, sizeof(status->last_error));
	pthread_mutex_unlock(&uplink->error_lock);
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		status->lanes[i].appended = spool_get_appended(uplink->spool, i);
		status->lanes[i].sent = counter_get(&uplink->lanes[i].sent);
		status->lanes[i].acked = spool_get_acked(uplink->spool, i);
		status->lanes[i].in_flight = counter_get(&uplink->lanes[i].in_flight);
		status->lanes[i].bytes = spool_get_bytes(uplink->spool, i);
	}
}

struct counter_set
uplink_get_counters(struct uplink *uplink)
{
	return (struct counter_set){ counter_descs, uplink->counters, UPLINK_COUNTER_COUNT };
}
