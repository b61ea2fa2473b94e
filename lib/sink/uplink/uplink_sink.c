#include "lib/sink/uplink/uplink_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/enrol/client.h"
#include "lib/link/way.h"
#include "lib/spool/spool_feed.h"

enum { DRAIN_STEP_MS = 20, FLUSH_WAIT_MS = 60000 };

struct uplink_sink {
	struct spool *spool;
	struct spool_feed *feed;
	struct uplink *uplink;
	struct enrol_identity *identity;     /* where the uplink's files came from; NULL: from the configuration */
	struct enrol_renewer *renewer; /* NULL: certificates are somebody else's concern */
	uint64_t drain_ms;
	bool waits;
};

static void
on_flushed(void *arg)
{
	struct uplink_sink *sink = arg;

	if (!spool_is_drained(sink->spool))
		uplink_wake(sink->uplink);
}

int
uplink_sink_create(struct uplink_sink **out, const struct spool_config *spool, const struct uplink_config *uplink,
	struct config_error *err)
{
	struct uplink_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL) {
		snprintf(err->text, sizeof(err->text), "uplink: no memory");
		return -ENOMEM;
	}
	sink->drain_ms = uplink->drain_ms;
	sink->waits = spool->waits;
	const char *reason;
	int rc = spool_key_check(spool, &reason);

	if (rc < 0) {
		snprintf(err->text, sizeof(err->text), "spool.key-file: %.300s: %s", spool->key_file, reason);
		uplink_sink_destroy(sink);
		return rc;
	}
	rc = spool_create(&sink->spool, spool);
	if (rc < 0)
		snprintf(err->text, sizeof(err->text), "spool.path: %.300s: %s", spool->path,
			spool_strerror(rc));
	else
		rc = uplink_create(&sink->uplink, uplink, sink->spool, err);
	if (rc == 0) {
		const struct spool_feed_config feed = { spool->queue_size, spool->waits, on_flushed, sink };

		rc = spool_feed_create(&sink->feed, sink->spool, &feed);
		if (rc < 0)
			snprintf(err->text, sizeof(err->text), "spool.queue-size: %s", strerror(-rc));
	}
	if (rc < 0) {
		uplink_sink_destroy(sink);
		return rc;
	}
	*out = sink;
	return 0;
}

void
uplink_sink_destroy(struct uplink_sink *sink)
{
	if (sink == NULL)
		return;
	enrol_renewer_destroy(sink->renewer);
	spool_feed_destroy(sink->feed);
	uplink_destroy(sink->uplink);
	spool_destroy(sink->spool);
	free(sink->identity);
	free(sink);
}

/* Takes what enrolment left for what the configuration does not say. @param identity out: the strings' owner, or NULL */
static int
use_identity(struct uplink_config *uplink, const struct enrol_config *enrol, struct enrol_identity **identity,
	struct config_error *err)
{
	char reason[IDENTITY_ERROR_MAX];
	int rc;

	*identity = NULL;
	if (!uplink->enabled || uplink->cert[0] != '\0')
		return 0;
	*identity = calloc(1, sizeof(**identity));
	if (*identity == NULL) {
		snprintf(err->text, sizeof(err->text), "enrol.dir: no memory");
		return -ENOMEM;
	}
	rc = enrol_identity_load(*identity, enrol->dir, reason);
	if (rc < 0) {
		snprintf(err->text, sizeof(err->text), "uplink.cert is not set, and there is no identity: %s (see millrace-sensor enrol)",
			reason);
		free(*identity);
		*identity = NULL;
		return rc;
	}
	uplink->cert = (*identity)->pem;
	uplink->key = (*identity)->pem;
	if (uplink->ca[0] == '\0')
		uplink->ca = (*identity)->ca;
	if (uplink->url[0] == '\0')
		uplink->url = (*identity)->aggregator;
	return 0;
}

int
uplink_sink_settings_read(struct uplink_sink_settings *out, struct config *config, struct config_error *err)
{
	struct enrol_config enrol;

	memset(out, 0, sizeof(*out));
	int rc = config_apply(config, &uplink_knobs, &out->uplink, err);

	if (rc == 0)
		rc = config_apply(config, &enrol_knobs, &enrol, err);
	if (rc < 0)
		return rc;
	/* Asked for, whether it will run or not. */
	out->uplink.enabled = true;
	return use_identity(&out->uplink, &enrol, &out->identity, err);
}

void
uplink_sink_settings_free(struct uplink_sink_settings *settings)
{
	free(settings->identity);
	settings->identity = NULL;
}

static int
start_renewer(struct uplink_sink *sink, const struct enrol_config *enrol, const struct uplink_config *uplink,
	struct config_error *err)
{
	struct way_set *ways = NULL;
	int rc = uplink_ways_read(&ways, uplink, err);
	const struct enrol_way way = {
		.ways = ways,
		.connect_timeout_ms = uplink->connect_timeout_ms,
		.timeout_ms = uplink->timeout_ms,
		.crl = uplink->crl,
		.pin = uplink->pin,
		.key = enrol->key,
	};

	if (rc < 0)
		return rc;
	rc = enrol_renewer_create(&sink->renewer, enrol, uplink->url, &way);
	way_set_destroy(ways);
	if (rc < 0)
		snprintf(err->text, sizeof(err->text), "enrol.renew: %s", strerror(-rc));
	return rc;
}

static int
ops_create(void **self, struct config *config, const struct sink_env *env, struct config_error *err)
{
	struct spool_config spool;
	struct uplink_config uplink;
	struct enrol_config enrol;
	struct enrol_identity *identity = NULL;
	struct uplink_sink *sink = NULL;
	int rc = config_apply(config, &spool_knobs, &spool, err);

	*self = NULL;
	if (rc == 0)
		rc = config_apply(config, &uplink_knobs, &uplink, err);
	if (rc == 0)
		rc = config_apply(config, &enrol_knobs, &enrol, err);
	if (rc < 0 || !uplink.enabled)
		return rc;
	spool.waits = env->waits;
	rc = use_identity(&uplink, &enrol, &identity, err);
	if (rc == 0)
		rc = uplink_sink_create(&sink, &spool, &uplink, err);
	if (rc < 0) {
		free(identity);
		return rc;
	}
	sink->identity = identity;
	if (identity != NULL && enrol.renew)
		rc = start_renewer(sink, &enrol, &uplink, err);
	if (rc < 0) {
		uplink_sink_destroy(sink);
		return rc;
	}
	*self = sink;
	return 0;
}

static void
ops_write(void *self, enum link_lane lane, const char *line, size_t len)
{
	struct uplink_sink *sink = self;

	spool_feed_put(sink->feed, lane, line, len);
}

static void
ops_flush(void *self, uint64_t now_ns)
{
	struct uplink_sink *sink = self;

	/* Who can wait knows afterwards that a kill loses nothing of it. */
	if (sink->waits)
		spool_feed_flush(sink->feed, FLUSH_WAIT_MS);
	else
		spool_feed_ask(sink->feed);
}

/* The spool is flushed again and again, since the uplink may find losses that the spool must report. */
static int
ops_drain(void *self, uint64_t timeout_ms)
{
	struct uplink_sink *sink = self;
	uint64_t end_ms = clock_ms() + (timeout_ms == 0 ? sink->drain_ms : timeout_ms);
	uint64_t left = 0;

	do {
		if (spool_feed_flush(sink->feed, DRAIN_STEP_MS) == 0 && uplink_wait_drained(sink->uplink, DRAIN_STEP_MS) == 0)
			return 0;
	} while (clock_ms() < end_ms);
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		left += spool_get_appended(sink->spool, i) - spool_get_acked(sink->spool, i);
	log_warning("sink", "%llu records are not acknowledged yet; they stay in the spool", (unsigned long long)left);
	return -ETIMEDOUT;
}

static json_t *
ops_status(void *self)
{
	struct uplink_sink *sink = self;
	struct uplink_status status;
	json_t *lanes = json_object();

	uplink_get_status(sink->uplink, &status);
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		json_object_set_new(lanes, link_lane_name(i), json_pack("{s:I,s:I,s:I,s:I,s:I}",
			"appended", (json_int_t)status.lanes[i].appended, "sent", (json_int_t)status.lanes[i].sent,
			"acked", (json_int_t)status.lanes[i].acked, "in_flight", (json_int_t)status.lanes[i].in_flight,
			"spool_bytes", (json_int_t)status.lanes[i].bytes));
	return json_pack("{s:s,s:b,s:b,s:b,s:i,s:s%,s:o}", "way", status.way, "metered", status.metered, "connected", status.connected, "drained", spool_is_drained(sink->spool),
		"in_flight", (int)status.in_flight, "last_error", status.last_error, strlen(status.last_error), "lanes", lanes);
}

static unsigned int
ops_counters(void *self, struct counter_set sets[])
{
	struct uplink_sink *sink = self;

	sets[0] = spool_get_counters(sink->spool);
	sets[1] = uplink_get_counters(sink->uplink);
	if (sink->renewer == NULL)
		return 2;
	sets[2] = enrol_renewer_get_counters(sink->renewer);
	return 3;
}

static void
ops_destroy(void *self)
{
	uplink_sink_destroy(self);
}

static const struct knob_table *const knob_tables[] = { &spool_knobs, &uplink_knobs, &enrol_knobs, NULL };

static const struct counter_table *const counter_tables[] = { &spool_counter_table, &uplink_counter_table, &enrol_counter_table, NULL };

const struct sink_ops uplink_sink_ops = {
	.name = "uplink",
	.knobs = knob_tables,
	.create = ops_create,
	.write = ops_write,
	.flush = ops_flush,
	.drain = ops_drain,
	.status = ops_status,
	.counter_tables = counter_tables,
	.counters = ops_counters,
	.destroy = ops_destroy,
};
