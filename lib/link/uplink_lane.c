/* Which lane goes next, and what of it. */
#include <errno.h>
#include <inttypes.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"

/* Batches a lane may send before a less urgent one with work gets its turn. */
static const int lane_credits[LINK_LANE_COUNT] = {
	[LINK_LANE_ALERT] = 16,
	[LINK_LANE_ASSET] = 8,
	[LINK_LANE_EVENT] = 4,
	[LINK_LANE_FLOW] = 2,
	[LINK_LANE_STATS] = 1,
};

struct lane_load {
	unsigned int flights;
	unsigned int in_air;
	bool stale;
	uint64_t records;
};

static struct lane_load
lane_load(const struct uplink *uplink, enum link_lane lane)
{
	struct lane_load load = { 0 };

	for (unsigned int i = 0; i < uplink->config.window; i++) {
		const struct uplink_flight *flight = &uplink->flights[i];

		if (flight->state == FLIGHT_FREE || flight->head.lane != lane)
			continue;
		load.flights++;
		load.in_air += flight->state == FLIGHT_AIR;
		load.stale |= flight->stale;
		load.records += flight->head.count;
	}
	return load;
}

static void
publish_load(struct uplink *uplink, enum link_lane lane)
{
	counter_set(&uplink->lanes[lane].in_flight, lane_load(uplink, lane).records);
}

void
uplink_flight_free(struct uplink *uplink, struct uplink_flight *flight)
{
	flight->state = FLIGHT_FREE;
	flight->stale = false;
	flight->not_before_ms = 0;
	curl_slist_free_all(flight->headers);
	flight->headers = NULL;
	publish_load(uplink, flight->head.lane);
}

void
uplink_lane_rewind(struct uplink *uplink, enum link_lane lane, uint64_t to)
{
	uplink->lanes[lane].next = to;
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		struct uplink_flight *flight = &uplink->flights[i];

		if (flight->head.lane != lane)
			continue;
		if (flight->state == FLIGHT_READY)
			uplink_flight_free(uplink, flight);
		flight->stale |= flight->state == FLIGHT_AIR;
	}
}

/* A small batch waits while one of its lane is on its way: so batches grow with the way's delay, without a timer. */
static bool
lane_has_work(const struct uplink *uplink, enum link_lane id, uint64_t now_ms)
{
	const struct uplink_lane *lane = &uplink->lanes[id];
	uint64_t readable = spool_get_readable(uplink->spool, id);
	struct lane_load load = lane_load(uplink, id);

	if (readable < lane->next || now_ms < lane->not_before_ms || load.stale || load.flights >= lane->window)
		return false;
	return load.flights == 0 || readable - lane->next + 1 >= lane->batch_records;
}

/* The most urgent lane with work and credit; when none has credit all get theirs anew. -1: no work. */
static int
pick_lane(struct uplink *uplink, uint64_t now_ms, unsigned int lane_count)
{
	bool work = false;

	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < lane_count; i++) {
			if (!lane_has_work(uplink, i, now_ms))
				continue;
			work = true;
			if (uplink->lanes[i].credit > 0)
				return (int)i;
		}
		if (!work)
			return -1;
		for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
			uplink->lanes[i].credit = lane_credits[i];
	}
	return -1;
}

/* What the spool has lost cannot be sent: when nothing of the lane is on its way, the lane steps over it. */
static bool
step_over_loss(struct uplink *uplink, enum link_lane id, uint64_t first)
{
	struct uplink_lane *lane = &uplink->lanes[id];

	if (lane_load(uplink, id).flights > 0)
		return false;
	uplink_count(uplink, UPLINK_SKIPPED, first - lane->next);
	spool_skip(uplink->spool, id, first - 1);
	lane->next = first;
	return true;
}

static void
lane_pause(struct uplink_lane *lane, uint64_t now_ms)
{
	lane->not_before_ms = now_ms + UPLINK_POLL_MS;
}

/* Takes a batch of the lane into the flight. */
static void
flight_fill(struct uplink *uplink, struct uplink_flight *flight, enum link_lane id, uint64_t now_ms)
{
	struct uplink_lane *lane = &uplink->lanes[id];
	uint64_t acked = spool_get_acked(uplink->spool, id);
	struct spool_batch batch;

	if (lane->next <= acked)
		lane->next = acked + 1;
	const struct spool_want want = { id, lane->next, lane->batch_records,
		uplink_way_batch_bytes(uplink, lane->batch_bytes) };
	int rc = spool_peek_batch(uplink->spool, &want, &uplink->lines, &batch);

	if (rc < 0 || (batch.first > lane->next && !step_over_loss(uplink, id, batch.first))) {
		lane_pause(lane, now_ms);
		return;
	}
	if (batch.count == 0)
		return;
	flight->head = (struct batch_head){
		.epoch = spool_get_epoch(uplink->spool), .lane = id, .sequence = batch.first, .count = batch.count,
	};
	memcpy(flight->head.sensor, uplink->target.identity.sensor, sizeof(flight->head.sensor));
	if (batch.first == spool_get_acked(uplink->spool, id) + 1 && (lane->declare || spool_is_skipped(uplink->spool, id))) {
		flight->head.skip_to = batch.first;
		flight->head.begins = spool_get_begin(uplink->spool, id);
	}
	buf_reset(&flight->body);
	rc = batch_encode(uplink->encoder, &flight->head, uplink->lines.data, uplink->lines.len, &flight->body);
	if (rc < 0) {
		log_error("link", "cannot encode a batch of %u %s records: %s", batch.count, link_lane_name(id), strerror(-rc));
		lane_pause(lane, now_ms);
		return;
	}
	uplink_count(uplink, UPLINK_LINES_BYTES, uplink->lines.len);
	flight->state = FLIGHT_READY;
	lane->credit--;
	lane->next = batch.first + batch.count;
	counter_set(&lane->sent, lane->next - 1);
	publish_load(uplink, id);
}

void
uplink_fill_flights(struct uplink *uplink, uint64_t now_ms)
{
	unsigned int window = uplink_way_window(uplink);
	unsigned int left = window;

	for (unsigned int i = 0; i < uplink->config.window; i++)
		left -= left > 0 && uplink->flights[i].state != FLIGHT_FREE;
	for (unsigned int i = 0; i < uplink->config.window && left > 0; i++) {
		struct uplink_flight *flight = &uplink->flights[i];

		if (flight->state != FLIGHT_FREE)
			continue;
		/* The last place is kept for alerts, so that they never wait for a slow batch of another lane. */
		bool keep = left == 1 && window > 1;
		int lane = pick_lane(uplink, now_ms, keep ? LINK_LANE_ALERT + 1 : uplink_way_lanes(uplink));

		if (lane < 0)
			return;
		flight_fill(uplink, flight, (enum link_lane)lane, now_ms);
		left -= flight->state != FLIGHT_FREE;
	}
}

/* Within a lane in order, and as many at once as the lane's window allows. */
static bool
flight_may_start(const struct uplink *uplink, const struct uplink_flight *flight, uint64_t now_ms)
{
	struct lane_load load = lane_load(uplink, flight->head.lane);

	if (flight->state != FLIGHT_READY || now_ms < flight->not_before_ms ||
		load.in_air >= uplink->lanes[flight->head.lane].window)
		return false;
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		const struct uplink_flight *other = &uplink->flights[i];

		if (other->state == FLIGHT_READY && other->head.lane == flight->head.lane &&
			other->head.sequence < flight->head.sequence)
			return false;
	}
	return true;
}

void
uplink_start_flights(struct uplink *uplink, uint64_t now_ms)
{
	if (now_ms < uplink->not_before_ms)
		return;
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		struct uplink_flight *flight = &uplink->flights[i];
		unsigned int in_flight = atomic_load_explicit(&uplink->in_flight, memory_order_relaxed);

		/* While nothing answers one request tries, not all. */
		if (in_flight > 0 && !atomic_load_explicit(&uplink->connected, memory_order_relaxed))
			return;
		if (!flight_may_start(uplink, flight, now_ms))
			continue;
		if (uplink_http_start(uplink, flight) < 0) {
			flight->not_before_ms = now_ms + UPLINK_POLL_MS;
			continue;
		}
		flight->state = FLIGHT_AIR;
		flight->acked_before = spool_get_acked(uplink->spool, flight->head.lane);
		atomic_store_explicit(&uplink->in_flight, in_flight + 1, memory_order_relaxed);
		uplink_count(uplink, UPLINK_BATCHES, 1);
		uplink_count(uplink, UPLINK_RECORDS, flight->head.count);
		uplink_count(uplink, UPLINK_BODY_BYTES, flight->body.len);
	}
}
