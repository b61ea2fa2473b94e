/* The thread that renews the identity in time. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "lib/base/hold.h"
#include "lib/base/log.h"
#include "lib/enrol/client.h"
#include "lib/link/way.h"

enum { LOOK_MS = 60000, RETRY_MIN_MS = 1000, RETRY_MAX_MS = 3600000 };

struct enrol_renewer {
	struct enrol_config config;
	struct enrol_way way;
	char *dir;
	char *url;
	struct way_set *ways; /* these three: of the way */
	char *crl;
	char *pin;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool curl_ready;
	bool started;
	_Atomic bool stop;
	_Atomic uint64_t counters[ENROL_COUNTER_COUNT];
};

static const char *const key_names[] = { "file", "tpm2", NULL };

static const struct knob rows[] = {
	{ "enrol.dir", KNOB_TEXT, offsetof(struct enrol_config, dir), 0, 0, "/var/lib/millrace/identity", NULL,
		"folder that `millrace-sensor enrol` fills; where uplink.cert is empty, uplink.url, cert, key and ca come from it" },
	{ "enrol.renew", KNOB_BOOL, offsetof(struct enrol_config, renew), 0, 0, "yes", NULL,
		"ask for the next certificate in time" },
	{ "enrol.renew-at", KNOB_NUMBER, offsetof(struct enrol_config, renew_at), 1, 99, "66", NULL,
		"when that is, percent of the certificate's lifetime" },
	{ "enrol.key", KNOB_CHOICE, offsetof(struct enrol_config, key), 0, 0, "file", key_names,
		"where the keys are made, at enrolment and each renewal: in a file, or in this machine's TPM2, which they never leave" },
	{ "enrol.retry-ms", KNOB_NUMBER, offsetof(struct enrol_config, retry_ms), 0, 86400000, "0", NULL,
		"pause after a renewal that failed; 0: a hundredth of the lifetime, from 1 s to 1 h" },
};

const struct knob_table enrol_knobs = { "enrol", rows, sizeof(rows) / sizeof(rows[0]) };

static const struct counter_desc counter_descs[ENROL_COUNTER_COUNT] = {
	[ENROL_RENEWED] = { "enrol.renewed", "certificates renewed" },
	[ENROL_RENEW_FAILED] = { "enrol.renew_failed", "attempts to renew that failed" },
	[ENROL_EXPIRES_S] = { "enrol.expires_s", "end of the certificate, seconds since the Unix epoch" },
};

const struct counter_table enrol_counter_table = { counter_descs, ENROL_COUNTER_COUNT };

uint64_t
enrol_due_s(uint64_t not_before_s, uint64_t not_after_s, uint64_t percent)
{
	uint64_t lifetime_s = not_after_s <= not_before_s ? 0 : not_after_s - not_before_s;
	uint64_t left_percent = 100 - percent;

	return not_after_s - (lifetime_s / 100 * left_percent + lifetime_s % 100 * left_percent / 100);
}

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t
enrol_pause_ms(uint64_t not_before_s, uint64_t not_after_s)
{
	uint64_t pause_ms = not_after_s <= not_before_s ? 0 : (not_after_s - not_before_s) * 10;

	return pause_ms < RETRY_MIN_MS ? RETRY_MIN_MS : pause_ms > RETRY_MAX_MS ? RETRY_MAX_MS : pause_ms;
}

static uint64_t
retry_ms(const struct enrol_renewer *renewer, const struct enrol_identity *identity)
{
	return renewer->config.retry_ms != 0 ? renewer->config.retry_ms : enrol_pause_ms(identity->not_before_s, identity->not_after_s);
}

/* The folder is held. @return how long nothing is to be done, ms */
static uint64_t
renew_if_due(struct enrol_renewer *renewer)
{
	char error[IDENTITY_ERROR_MAX];
	struct enrol_identity identity;
	uint64_t now_ms = clock_ms();
	uint64_t due_ms;

	if (enrol_identity_load(&identity, renewer->dir, error) != 0) {
		log_warning("enrol", "%s", error);
		return LOOK_MS;
	}
	counter_set(&renewer->counters[ENROL_EXPIRES_S], identity.not_after_s);
	due_ms = enrol_due_s(identity.not_before_s, identity.not_after_s, renewer->config.renew_at) * 1000;
	if (due_ms > now_ms)
		return due_ms - now_ms < LOOK_MS ? due_ms - now_ms : LOOK_MS;
	if (enrol_renew(renewer->dir, &identity, renewer->url, &renewer->way, error) == 0) {
		counter_add(&renewer->counters[ENROL_RENEWED], 1);
		log_notice("enrol", "%s: the certificate is renewed", identity.sensor);
		/* By a clock far ahead of the aggregator's the next one is due at once, too. */
		return retry_ms(renewer, &identity);
	}
	if (renewer->stop)
		return 0;
	counter_add(&renewer->counters[ENROL_RENEW_FAILED], 1);
	if (identity.not_after_s * 1000 <= now_ms)
		log_error("enrol", "the certificate has expired and a new invitation is needed: %s", error);
	else
		log_warning("enrol", "the certificate ends in %llu s and was not renewed: %s",
			(unsigned long long)(identity.not_after_s - now_ms / 1000), error);
	return retry_ms(renewer, &identity);
}

static uint64_t
look(struct enrol_renewer *renewer)
{
	int held = hold_folder(renewer->dir);
	uint64_t pause_ms = LOOK_MS;

	if (held < 0)
		log_warning("enrol", "%s: %s", renewer->dir, strerror(-held));
	else
		pause_ms = renew_if_due(renewer);
	hold_let_go(held);
	return pause_ms;
}

/* Clocks jump: the wall clock is looked at again each minute. */
static void *
run(void *arg)
{
	struct enrol_renewer *renewer = arg;
	struct timespec until;

	pthread_mutex_lock(&renewer->lock);
	while (!renewer->stop) {
		pthread_mutex_unlock(&renewer->lock);
		uint64_t pause_ms = look(renewer);

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += (time_t)(pause_ms / 1000);
		until.tv_nsec += (long)(pause_ms % 1000) * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_mutex_lock(&renewer->lock);
		while (!renewer->stop && pthread_cond_timedwait(&renewer->wake, &renewer->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&renewer->lock);
	return NULL;
}

static int
copy_way(struct enrol_renewer *renewer, const struct enrol_way *way)
{
	renewer->way = *way;
	renewer->way.crl = renewer->crl = strdup(way->crl == NULL ? "" : way->crl);
	renewer->way.pin = renewer->pin = strdup(way->pin == NULL ? "" : way->pin);
	renewer->way.stop = &renewer->stop;
	if (renewer->crl == NULL || renewer->pin == NULL)
		return -ENOMEM;
	if (way->ways == NULL)
		return 0;
	renewer->ways = malloc(sizeof(*renewer->ways));
	if (renewer->ways == NULL)
		return -ENOMEM;
	*renewer->ways = *way->ways;
	renewer->way.ways = renewer->ways;
	return 0;
}

/* Signals are the main thread's. */
static int
start(struct enrol_renewer *renewer)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	int err;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&renewer->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&renewer->lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&renewer->thread, NULL, run, renewer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	renewer->started = err == 0;
	if (err != 0) {
		pthread_cond_destroy(&renewer->wake);
		pthread_mutex_destroy(&renewer->lock);
	}
	return -err;
}

int
enrol_renewer_create(struct enrol_renewer **out, const struct enrol_config *config, const char *url,
	const struct enrol_way *way)
{
	struct enrol_renewer *renewer = calloc(1, sizeof(*renewer));
	int err;

	if (renewer == NULL)
		return -ENOMEM;
	renewer->config = *config;
	renewer->dir = strdup(config->dir);
	renewer->url = strdup(url);
	err = renewer->dir == NULL || renewer->url == NULL ? -ENOMEM : copy_way(renewer, way);
	renewer->curl_ready = err == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	err = renewer->curl_ready ? start(renewer) : -ENOMEM;
	if (err != 0) {
		enrol_renewer_destroy(renewer);
		return err;
	}
	*out = renewer;
	return 0;
}

void
enrol_renewer_destroy(struct enrol_renewer *renewer)
{
	if (renewer == NULL)
		return;
	if (renewer->started) {
		pthread_mutex_lock(&renewer->lock);
		renewer->stop = true;
		pthread_cond_signal(&renewer->wake);
		pthread_mutex_unlock(&renewer->lock);
		pthread_join(renewer->thread, NULL);
		pthread_cond_destroy(&renewer->wake);
		pthread_mutex_destroy(&renewer->lock);
	}
	if (renewer->curl_ready)
		curl_global_cleanup();
	free(renewer->ways);
	free(renewer->crl);
	free(renewer->pin);
	free(renewer->dir);
	free(renewer->url);
	free(renewer);
}

struct counter_set
enrol_renewer_get_counters(struct enrol_renewer *renewer)
{
	return (struct counter_set){ counter_descs, renewer->counters, ENROL_COUNTER_COUNT };
}
