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

#define ROW(key, type_, field, ...) { "uplink." key, type_, offsetof(struct uplink_config, field), __VA_ARGS__ }

static const struct knob uplink_rows[] = {
	ROW("enabled", KNOB_BOOL, enabled, 0, 0, "no", NULL, "send records to an aggregator"),
	ROW("url", KNOB_TEXT, url, 0, 0, "", NULL, "https://HOST:PORT of the aggregator"),
	ROW("sensor", KNOB_TEXT, sensor, 0, 0, "", NULL,
		"the sensor's name; must equal the certificate's subject CN, which is the default"),
	ROW("cert", KNOB_TEXT, cert, 0, 0, "", NULL, "client certificate, PEM, with its chain"),
	ROW("key", KNOB_TEXT, key, 0, 0, "", NULL, "private key of the client certificate, PEM"),
	ROW("ca", KNOB_TEXT, ca, 0, 0, "", NULL, "CA certificates that the aggregator's must come from, PEM"),
	ROW("proxy", KNOB_TEXT, proxy, 0, 0, "", NULL,
		"http://, https:// or socks5h://HOST:PORT; names are resolved by the proxy with socks5h"),
	ROW("pre-proxy", KNOB_TEXT, pre_proxy, 0, 0, "", NULL, "socks5h://HOST:PORT to pass before the proxy"),
	ROW("proxy-user", KNOB_TEXT, proxy_user, 0, 0, "", NULL, "user name for the proxy"),
	ROW("proxy-password-file", KNOB_TEXT, proxy_password_file, 0, 0, "", NULL,
		"file whose first line is the password for the proxy"),
	ROW("proxy-ca", KNOB_TEXT, proxy_ca, 0, 0, "", NULL, "CA certificates of an https:// proxy; default: uplink.ca"),
	ROW("window", KNOB_NUMBER, window, 1, UPLINK_WINDOW_MAX, "4", NULL, "batches on their way at once"),
	ROW("batch-records", KNOB_NUMBER, batch_records, 1, BATCH_COUNT_MAX, "4000", NULL, "most records of a batch"),
	ROW("batch-bytes", KNOB_SIZE, batch_bytes, 4096, 4 << 20, "1 MiB", NULL, "most bytes of a batch before compression"),
	ROW("zstd-level", KNOB_NUMBER, zstd_level, 1, 19, "3", NULL, "compression level"),
	ROW("connect-timeout-ms", KNOB_NUMBER, connect_timeout_ms, 100, 600000, "10000", NULL,
		"give a connection attempt up after this long"),
	ROW("timeout-ms", KNOB_NUMBER, timeout_ms, 1000, 3600000, "60000", NULL, "give a request up after this long"),
	ROW("backoff-max-ms", KNOB_NUMBER, backoff_max_ms, UPLINK_BACKOFF_MIN_MS, 3600000, "30000", NULL,
		"longest pause between attempts"),
	ROW("drain-ms", KNOB_NUMBER, drain_ms, 0, 86400000, "10000", NULL,
		"how long a stop waits for acknowledgements; what is left stays in the spool"),
	ROW("quarantine", KNOB_TEXT, quarantine, 0, 0, "", NULL,
		"file of records the aggregator refuses for good; default: quarantine.ndjson in spool.path"),
	ROW("quarantine-size", KNOB_SIZE, quarantine_size, 0, 1ull << 40, "16 MiB", NULL, "bound of that file"),
};

const struct knob_table uplink_knobs = { "link", uplink_rows, sizeof(uplink_rows) / sizeof(uplink_rows[0]) };

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
	[UPLINK_EPOCHS] = { "uplink.epochs", "epochs begun because the aggregator knew more than the spool" },
};

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
fail(struct config_error *err, int rc, const char *key, const char *value, const char *why)
{
	snprintf(err->text, sizeof(err->text), "uplink.%s: %.300s: %s", key, value, why);
	log_error("link", "%s", err->text);
	return rc;
}

static int
check_config(const struct uplink_config *config, struct config_error *err)
{
	const struct {
		const char *key;
		const char *path;
	} files[] = { { "cert", config->cert }, { "key", config->key }, { "ca", config->ca } };

	if (strncmp(config->url, "https://", 8) != 0 || strlen(config->url) > UPLINK_URL_LEN_MAX - 32)
		return fail(err, -EINVAL, "url", config->url, "must begin with https://");
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (files[i].path == NULL || files[i].path[0] == '\0')
			return fail(err, -EINVAL, files[i].key, "", "must name a file");
		if (access(files[i].path, R_OK) != 0)
			return fail(err, -errno, files[i].key, files[i].path, strerror(errno));
	}
	if (config->window < 1 || config->window > UPLINK_WINDOW_MAX || config->batch_records < 1 ||
		config->batch_records > BATCH_COUNT_MAX || config->backoff_max_ms < UPLINK_BACKOFF_MIN_MS)
		return fail(err, -EINVAL, "window", "", "a number is out of its range");
	return 0;
}

static int
read_password(struct uplink *uplink, const char *path, struct config_error *err)
{
	if (path == NULL || path[0] == '\0')
		return 0;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return fail(err, -errno, "proxy-password-file", path, strerror(errno));
	if (fgets(uplink->proxy_password, sizeof(uplink->proxy_password), file) == NULL)
		uplink->proxy_password[0] = '\0';
	uplink->proxy_password[strcspn(uplink->proxy_password, "\r\n")] = '\0';
	fclose(file);
	return 0;
}

static int
set_identity(struct uplink *uplink, const struct uplink_config *config, struct config_error *err)
{
	int rc = uplink_http_identity(config->cert, uplink->sensor);

	if (rc < 0)
		return fail(err, rc, "cert", config->cert, "has no subject CN that could name a sensor");
	if (config->sensor != NULL && config->sensor[0] != '\0' && strcmp(config->sensor, uplink->sensor) != 0)
		return fail(err, -EINVAL, "sensor", config->sensor, "is not the certificate's subject CN");
	return 0;
}

static int
uplink_open(struct uplink *uplink, const struct uplink_config *config, const char *quarantine, struct config_error *err)
{
	size_t url_len = strlen(config->url);
	size_t lines_cap = config->batch_bytes > SPOOL_RECORD_LEN_MAX ? config->batch_bytes : SPOOL_RECORD_LEN_MAX;
	int rc = set_identity(uplink, config, err);

	if (rc == 0)
		rc = read_password(uplink, config->proxy_password_file, err);
	if (rc < 0)
		return rc;
	while (url_len > 0 && config->url[url_len - 1] == '/')
		url_len--;
	snprintf(uplink->url, sizeof(uplink->url), "%.*s%s", (int)url_len, config->url, BATCH_PATH);
	rc = uplink_quarantine_create(uplink, quarantine);
	if (rc < 0)
		return fail(err, rc, "quarantine", quarantine, strerror(-rc));
	if (getrandom(&uplink->random, sizeof(uplink->random), 0) != sizeof(uplink->random) || uplink->random == 0)
		uplink->random = 1;
	uplink->curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	if (!uplink->curl_ready || batch_encoder_create(&uplink->encoder, (int)config->zstd_level) < 0 ||
		buf_create(&uplink->lines, lines_cap + 1) < 0 || uplink_http_create(uplink) < 0)
		return fail(err, -ENOMEM, "batch-bytes", "", "no memory");
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		uplink->lanes[i].next = spool_get_acked(uplink->spool, i) + 1;
		uplink->lanes[i].batch_records = (uint32_t)config->batch_records;
		uplink->lanes[i].batch_bytes = config->batch_bytes;
		uplink->lanes[i].window = (unsigned int)config->window;
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
	char quarantine[PATH_MAX];
	int rc = check_config(config, err);

	if (rc < 0)
		return rc;
	struct uplink *uplink = calloc(1, sizeof(*uplink));

	if (uplink == NULL)
		return fail(err, -ENOMEM, "url", config->url, "no memory");
	uplink->config = *config;
	uplink->spool = spool;
	uplink->quarantine_fd = -1;
	uplink->backoff_ms = UPLINK_BACKOFF_MIN_MS;
	pthread_mutex_init(&uplink->error_lock, NULL);
	if (config->quarantine != NULL && config->quarantine[0] != '\0')
		snprintf(quarantine, sizeof(quarantine), "%s", config->quarantine);
	else
		snprintf(quarantine, sizeof(quarantine), "%s/quarantine.ndjson", spool_get_path(spool));
	rc = uplink_open(uplink, config, quarantine, err);
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
	batch_encoder_destroy(uplink->encoder);
	buf_destroy(&uplink->lines);
	if (uplink->quarantine_fd >= 0)
		close(uplink->quarantine_fd);
	if (uplink->curl_ready)
		curl_global_cleanup();
	pthread_mutex_destroy(&uplink->error_lock);
	explicit_bzero(uplink->proxy_password, sizeof(uplink->proxy_password));
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
