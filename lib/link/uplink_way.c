/*
 * Which way is in use: the next one when it fails, back to a preferred one when that works again. And what the way
 * needs to work: certificates that are read again when their files change.
 *
 * curl keeps connections and uses them again when they go to the same place. The place is an address that never is
 * connected to, made of the generation: a new generation means new connections, by the way and with the certificates in
 * force then.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/link/key.h"
#include "lib/link/relay_easy.h"
#include "lib/link/uplink_private.h"
#include "lib/link/way_stream.h"

enum {
	IDENTITY_LOOK_MS = 1000,
	CLOCK_LOOK_MS = 1000,
	EXPIRY_LOOK_MS = 600000,
};

static const struct way *
way_at(const struct uplink *uplink, unsigned int idx)
{
	return &uplink->target.ways->ways[idx];
}

/* ---- curl's connections ---- */

static curl_socket_t
open_connection(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct uplink_flight *flight = arg;
	struct uplink *uplink = flight->uplink;
	curl_socket_t fd = relay_curl_open(uplink->way.relay, way_at(uplink, uplink->way.idx), address);

	if (fd == CURL_SOCKET_BAD)
		way_fail(&flight->way_failure, WAY_INTERNAL, "no connection could be made: %s", strerror(errno));
	return fd;
}

static int
close_connection(void *arg, curl_socket_t fd)
{
	struct uplink_flight *flight = arg;
	struct way_failure failure;

	/* A connection may outlive the request that opened it; what it died of then is of no interest to the next one. */
	if (relay_close(flight->uplink->way.relay, fd, &failure) && flight->state == FLIGHT_AIR)
		flight->way_failure = failure;
	return 0;
}

void
uplink_way_set(struct uplink *uplink, struct uplink_flight *flight)
{
	CURL *easy = flight->easy;

	flight->uplink = uplink;
	/* An empty proxy, not none: none would let the environment choose. */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_connection);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, flight);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_connection);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, flight);
}

/* For each new connection: libcurl itself cannot use a key that is in a TPM. */
static CURLcode
use_identity(CURL *easy, void *ssl_ctx, void *arg)
{
	const struct uplink *uplink = arg;
	const struct identity *identity = &uplink->target.identity;

	return link_key_use(ssl_ctx, identity->text[IDENTITY_CERT], identity->len[IDENTITY_CERT], identity->text[IDENTITY_KEY],
		identity->len[IDENTITY_KEY]) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

int
uplink_way_ready(struct uplink *uplink, struct uplink_flight *flight)
{
	const struct way *way = way_at(uplink, uplink->way.idx);
	unsigned int generation = uplink->way.generation;
	bool inspected = way->inspect_ca[0] != '\0';
	CURL *easy = flight->easy;
	char place[64];

	flight->way_failure.error = WAY_DONE;
	if (flight->generation == generation)
		return 0;
	snprintf(place, sizeof(place), "::127.%u.%u.%u:1", generation >> 16 & 0xff, generation >> 8 & 0xff, generation & 0xff);
	struct curl_slist *connect_to = curl_slist_append(NULL, place);

	if (connect_to == NULL)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to);
	curl_slist_free_all(flight->connect_to);
	flight->connect_to = connect_to;
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_identity);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, uplink);
	curl_easy_setopt(easy, CURLOPT_CAINFO, inspected ? way->inspect_ca : uplink->target.paths.at[IDENTITY_CA]);
	curl_easy_setopt(easy, CURLOPT_CRLFILE, inspected || uplink->target.crl[0] == '\0' ? NULL : uplink->target.crl);
	curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY,
		inspected || uplink->target.pin[0] == '\0' ? NULL : uplink->target.pin);
	flight->generation = generation;
	return 0;
}

void
uplink_way_renew(struct uplink *uplink)
{
	/* Of 24 bits, and never 0, which is a handle that was not set up yet. */
	uplink->way.generation = uplink->way.generation % 0xfffffe + 1;
}

/* ---- the choice ---- */

/* Of every way: what was left on its way by one that is no longer in use costs there, too. */
static void
look_at_clock(struct uplink *uplink)
{
	const struct way_set *set = uplink->target.ways;
	const struct way *used = way_at(uplink, uplink->way.idx);
	time_t now = time(NULL);
	struct tm tm = { 0 };

	localtime_r(&now, &tm);
	unsigned int minute = (unsigned int)(tm.tm_hour * 60 + tm.tm_min);
	uint64_t rate = rate_table_at(used->own_rates ? &used->rates : &set->rates, minute);

	relay_set_rate(uplink->way.relay, NULL, rate_table_at(&set->rates, minute));
	for (unsigned int i = 0; i < set->count; i++)
		if (set->ways[i].own_rates)
			relay_set_rate(uplink->way.relay, &set->ways[i], rate_table_at(&set->ways[i].rates, minute));
	if (rate != uplink->way.rate && rate > 0)
		log_notice("link", "from now on at most %llu bytes a second are sent", (unsigned long long)rate);
	else if (rate != uplink->way.rate)
		log_notice("link", "from now on there is no bound on what is sent a second");
	uplink->way.rate = rate;
	counter_set(&uplink->counters[UPLINK_RATE], rate);
}

static void
take_way(struct uplink *uplink, unsigned int idx)
{
	struct uplink_way *way = &uplink->way;

	way->idx = idx;
	way->failed = 0;
	way->probe_ms = uplink_now_ms() + uplink->config.failback_s * 1000;
	atomic_store_explicit(&way->current, way_at(uplink, idx), memory_order_relaxed);
	counter_set(&uplink->counters[UPLINK_WAY], idx + 1);
	uplink_way_renew(uplink);
	look_at_clock(uplink);
	/* What is less urgent than alerts makes room for them, and is cut anew to what the line carries. */
	for (unsigned int i = way->rate > 0 ? LINK_LANE_ALERT + 1 : uplink_way_lanes(uplink); i < LINK_LANE_COUNT; i++)
		uplink_lane_rewind(uplink, i, spool_get_acked(uplink->spool, i) + 1);
}

unsigned int
uplink_way_lanes(const struct uplink *uplink)
{
	return way_at(uplink, uplink->way.idx)->metered ? LINK_LANE_ALERT + 1 : LINK_LANE_COUNT;
}

unsigned int
uplink_way_window(const struct uplink *uplink)
{
	unsigned int window = (unsigned int)uplink->config.window;

	return uplink->way.rate > 0 && window > UPLINK_CAPPED_WINDOW ? UPLINK_CAPPED_WINDOW : window;
}

size_t
uplink_way_batch_bytes(const struct uplink *uplink, size_t batch_bytes)
{
	uint64_t most = uplink->way.rate * UPLINK_CAPPED_BATCH_S;

	if (most == 0 || most >= batch_bytes)
		return batch_bytes;
	return most < UPLINK_CAPPED_BYTES_MIN ? UPLINK_CAPPED_BYTES_MIN : (size_t)most;
}

void
uplink_way_worked(struct uplink *uplink, const struct uplink_flight *flight)
{
	if (flight->generation != uplink->way.generation)
		return;
	uplink->way.failed = 0;
	uplink->way.tried = 0;
}

bool
uplink_way_failed(struct uplink *uplink)
{
	struct uplink_way *way = &uplink->way;
	unsigned int count = uplink->target.ways->count;
	unsigned int next = (way->idx + 1) % count;

	if (count == 1 || ++way->failed < uplink->config.failover_after)
		return false;
	log_warning("link", "way \"%s\" failed %u times, taking way \"%s\"", way_at(uplink, way->idx)->name, way->failed,
		way_at(uplink, next)->name);
	uplink_count(uplink, UPLINK_WAY_CHANGES, 1);
	uplink_count(uplink, UPLINK_FAILOVERS, 1);
	take_way(uplink, next);
	uplink->not_before_ms = 0;
	return ++way->tried % count != 0;
}

/* ---- back to a preferred way ---- */

static void *
probe_run(void *arg)
{
	struct uplink *uplink = arg;
	struct uplink_probe *probe = &uplink->way.probe;
	const struct way *way = way_at(uplink, probe->way_idx);
	const struct way_walk walk = { .set = uplink->target.ways, .way = way, .to = &uplink->target.end,
		.step_timeout_ms = uplink->config.connect_timeout_ms, .cancel_fd = probe->cancel[1] };
	bool inspected = way->inspect_ca[0] != '\0';
	struct way_stream *stream = NULL;
	struct identity identity;
	enum identity_file bad;
	const char *why;

	probe->good = false;
	if (identity_load(&identity, &uplink->target.paths, &bad, &why) != 0) {
		way_fail(&probe->failure, WAY_INTERNAL, "%s: %s", uplink->target.paths.at[bad], why);
	} else if (way_walk(&stream, &walk, &probe->failure) == 0) {
		const struct way_tls tls = {
			.ca = inspected ? way->inspect_ca : uplink->target.paths.at[IDENTITY_CA],
			.cert = identity.text[IDENTITY_CERT], .cert_len = identity.len[IDENTITY_CERT],
			.key = identity.text[IDENTITY_KEY], .key_len = identity.len[IDENTITY_KEY],
			.pin = inspected ? NULL : uplink->target.pin, .crl = inspected ? NULL : uplink->target.crl,
		};

		stream->deadline_ms = way_now_ms() + walk.step_timeout_ms;
		probe->good = way_stream_tls(stream, &tls, uplink->target.end.host, &probe->failure) == 0;
		identity_free(&identity);
	} else {
		identity_free(&identity);
	}
	way_stream_destroy(stream);
	atomic_store(&probe->done, true);
	return NULL;
}

static void
probe_start(struct uplink *uplink, unsigned int idx)
{
	struct uplink_probe *probe = &uplink->way.probe;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, probe->cancel) != 0)
		return;
	probe->way_idx = idx;
	atomic_store(&probe->done, false);
	probe->running = pthread_create(&probe->thread, NULL, probe_run, uplink) == 0;
	if (!probe->running) {
		close(probe->cancel[0]);
		close(probe->cancel[1]);
	}
}

static void
probe_join(struct uplink_probe *probe)
{
	pthread_join(probe->thread, NULL);
	close(probe->cancel[0]);
	close(probe->cancel[1]);
	probe->running = false;
}

static void
probe_finish(struct uplink *uplink, uint64_t now_ms)
{
	struct uplink_way *way = &uplink->way;
	struct uplink_probe *probe = &way->probe;
	unsigned int idx = probe->way_idx;

	probe_join(probe);
	if (idx >= way->idx)
		return;
	if (probe->good) {
		log_notice("link", "way \"%s\" works again, leaving way \"%s\"", way_at(uplink, idx)->name,
			way_at(uplink, way->idx)->name);
		uplink_count(uplink, UPLINK_WAY_CHANGES, 1);
		uplink_count(uplink, UPLINK_FAILBACKS, 1);
		take_way(uplink, idx);
		return;
	}
	log_info("link", "way \"%s\" does not work yet: %s: %s", way_at(uplink, idx)->name,
		way_error_name(probe->failure.error), probe->failure.text);
	uplink_count(uplink, UPLINK_PROBES_FAILED, 1);
	/* The next in preference at once, the first again after the pause. */
	if (idx + 1 < way->idx)
		probe_start(uplink, idx + 1);
	else
		way->probe_ms = now_ms + uplink->config.failback_s * 1000;
}

static void
look_at_ways(struct uplink *uplink, uint64_t now_ms)
{
	struct uplink_way *way = &uplink->way;

	if (way->probe.running && atomic_load(&way->probe.done))
		probe_finish(uplink, now_ms);
	else if (!way->probe.running && way->idx > 0 && now_ms >= way->probe_ms)
		probe_start(uplink, 0);
}

/* ---- certificates ---- */

static void
look_at_files(struct uplink *uplink)
{
	struct uplink_target *target = &uplink->target;
	struct identity fresh;
	enum identity_file bad;
	const char *why;

	if (!identity_changed(&target->identity, &target->paths))
		return;
	if (identity_load(&fresh, &target->paths, &bad, &why) != 0) {
		/* Perhaps the other half is still being written; the old pair stays in force. */
		log_warning("link", "%s changed, but %s; the certificate read before stays in use", target->paths.at[bad], why);
		uplink_count(uplink, UPLINK_CERT_RELOADS_FAILED, 1);
		uplink->way.identity_ms += 4 * IDENTITY_LOOK_MS;
		return;
	}
	if (strcmp(fresh.sensor, target->identity.sensor) != 0) {
		log_error("link", "%s is now of \"%s\", no longer of \"%s\": that takes a restart", target->paths.at[IDENTITY_CERT],
			fresh.sensor, target->identity.sensor);
		uplink_count(uplink, UPLINK_CERT_RELOADS_FAILED, 1);
		identity_free(&fresh);
		uplink->way.identity_ms += EXPIRY_LOOK_MS;
		return;
	}
	identity_free(&target->identity);
	target->identity = fresh;
	uplink->way.expiry_ms = 0;
	memset(uplink->way.expiry, 0, sizeof(uplink->way.expiry));
	uplink_count(uplink, UPLINK_CERT_RELOADS, 1);
	uplink_way_renew(uplink);
	uplink->not_before_ms = 0;
	log_notice("link", "certificate files read again; new connections use them");
}

static void
look_at_ends(struct uplink *uplink)
{
	const struct identity *identity = &uplink->target.identity;
	struct expiry *expiry = uplink->way.expiry;
	time_t now = time(NULL);

	counter_set(&uplink->counters[UPLINK_CERT_DAYS_LEFT], expiry_days_left(identity->not_after, now));
	uplink_count(uplink, UPLINK_CERT_WARNINGS,
		expiry_warn(&expiry[0], "link", uplink->target.paths.at[IDENTITY_CERT], identity->not_after, now) +
		expiry_warn(&expiry[1], "link", uplink->target.paths.at[IDENTITY_CA], identity->ca_not_after, now));
}

void
uplink_way_tick(struct uplink *uplink, uint64_t now_ms)
{
	struct uplink_way *way = &uplink->way;

	look_at_ways(uplink, now_ms);
	counter_set(&uplink->counters[UPLINK_SENT_BYTES], relay_sent(way->relay));
	counter_set(&uplink->counters[UPLINK_RECEIVED_BYTES], relay_received(way->relay));
	if (now_ms >= way->rate_ms) {
		way->rate_ms = now_ms + CLOCK_LOOK_MS;
		look_at_clock(uplink);
	}
	if (now_ms >= way->identity_ms) {
		way->identity_ms = now_ms + IDENTITY_LOOK_MS;
		look_at_files(uplink);
	}
	if (now_ms >= way->expiry_ms) {
		way->expiry_ms = now_ms + EXPIRY_LOOK_MS;
		look_at_ends(uplink);
	}
}

int
uplink_way_create(struct uplink *uplink)
{
	atomic_init(&uplink->way.current, way_at(uplink, 0));
	uplink->way.generation = 1;
	counter_set(&uplink->counters[UPLINK_WAY], 1);
	return relay_create(&uplink->way.relay, uplink->target.ways, &uplink->target.end, uplink->config.connect_timeout_ms);
}

void
uplink_way_destroy(struct uplink *uplink)
{
	struct uplink_probe *probe = &uplink->way.probe;

	if (probe->running) {
		shutdown(probe->cancel[0], SHUT_RDWR);
		probe_join(probe);
	}
	relay_destroy(uplink->way.relay);
}
