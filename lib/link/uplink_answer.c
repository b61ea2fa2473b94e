/* What each answer does to its lane. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"

/* xorshift64*: spreads the pauses of a fleet; no secret hangs on it. */
static uint64_t
jitter(struct uplink *uplink, uint64_t below)
{
	uplink->random ^= uplink->random >> 12;
	uplink->random ^= uplink->random << 25;
	uplink->random ^= uplink->random >> 27;
	return below == 0 ? 0 : (uplink->random * 0x2545f4914f6cdd1dull >> 16) % below;
}

/* The next pause: doubled from failure to failure up to the bound, half of it at random. */
static void
back_off(struct uplink *uplink, uint64_t at_least_ms)
{
	uint64_t pause = uplink->backoff_ms / 2 + jitter(uplink, uplink->backoff_ms / 2 + 1);

	if (pause < at_least_ms)
		pause = at_least_ms + jitter(uplink, at_least_ms / 4 + 1);
	uplink->not_before_ms = uplink_now_ms() + pause;
	uplink->backoff_ms *= 2;
	if (uplink->backoff_ms > uplink->config.backoff_max_ms)
		uplink->backoff_ms = uplink->config.backoff_max_ms;
}

static void
go_well(struct uplink *uplink, struct uplink_lane *lane, uint64_t acked)
{
	bool probing = lane->probe_until != 0;

	if (!atomic_load_explicit(&uplink->connected, memory_order_relaxed))
		log_notice("link", "%s: connected", uplink->target.url);
	atomic_store_explicit(&uplink->connected, true, memory_order_relaxed);
	uplink->backoff_ms = UPLINK_BACKOFF_MIN_MS;
	uplink->poison_run = 0;
	uplink_set_error(uplink, "");
	lane->declare = false;
	lane->hole_run = 0;
	if (!lane->met)
		lane->window = (unsigned int)uplink->config.window;
	lane->met = true;
	if (probing && acked >= lane->probe_until)
		lane->probe_until = 0;
	/* A good half of a refused batch says nothing against a larger next one. */
	if (++lane->good_run < UPLINK_GROW_AFTER && !probing)
		return;
	lane->good_run = 0;
	if (lane->window < uplink->config.window && !probing)
		lane->window++;
	if (lane->batch_records < uplink->config.batch_records)
		lane->batch_records = lane->batch_records * 2 < uplink->config.batch_records ? lane->batch_records * 2 :
			(uint32_t)uplink->config.batch_records;
}

/* The spool is a copy, and its records would pass for repeated ones of the other's: a new epoch begins. What was sent before the
 * copy was made, and not acknowledged in it, is stored twice. */
static void
begin_epoch(struct uplink *uplink)
{
	uplink_count(uplink, UPLINK_EPOCHS, 1);
	if (spool_renew_epoch(uplink->spool) < 0)
		back_off(uplink, 0);
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		uplink_lane_rewind(uplink, i, spool_get_acked(uplink->spool, i) + 1);
}

/* The aggregator holds sequences that this spool never gave out. */
static void
spool_is_behind(struct uplink *uplink, enum link_lane lane, uint64_t sequence)
{
	log_error("link", "the aggregator holds %s records up to %" PRIu64 ", the spool only up to %" PRIu64
		": is it an old copy? A new epoch begins", link_lane_name(lane), sequence,
		spool_get_readable(uplink->spool, lane));
	begin_epoch(uplink);
}

/* Frees the flights that an acknowledgement covers beside its own. */
static void
lane_ack(struct uplink *uplink, enum link_lane id, uint64_t sequence)
{
	struct uplink_lane *lane = &uplink->lanes[id];

	spool_ack(uplink->spool, id, sequence);
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		struct uplink_flight *flight = &uplink->flights[i];

		if (flight->state == FLIGHT_READY && flight->head.lane == id && flight_last(flight) <= sequence)
			uplink_flight_free(uplink, flight);
	}
	if (lane->next <= sequence)
		lane->next = sequence + 1;
}

static void
on_acked(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	enum link_lane lane = flight->head.lane;
	uint64_t last = flight_last(flight);
	bool stale = flight->stale;

	uplink_flight_free(uplink, flight);
	if (flight->head.epoch != spool_get_epoch(uplink->spool))
		return;
	if (answer->sequence > spool_get_readable(uplink->spool, lane)) {
		spool_is_behind(uplink, lane, answer->sequence);
		return;
	}
	uplink_count(uplink, UPLINK_ACKED_BATCHES, 1);
	lane_ack(uplink, lane, answer->sequence);
	go_well(uplink, &uplink->lanes[lane], answer->sequence);
	if (answer->sequence < last && !stale)
		uplink_lane_rewind(uplink, lane, answer->sequence + 1);
}

static bool
lane_covers(const struct uplink *uplink, enum link_lane lane, uint64_t sequence)
{
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		const struct uplink_flight *flight = &uplink->flights[i];

		if (flight->state != FLIGHT_FREE && !flight->stale && flight->head.lane == lane &&
			flight->head.sequence <= sequence && flight_last(flight) >= sequence)
			return true;
	}
	return false;
}

/* Asked for what it had acknowledged: its store lost records. They are gone here too, which is said and reported. */
static void
on_hole_behind(struct uplink *uplink, enum link_lane id, uint64_t expected, uint64_t acked)
{
	struct uplink_lane *lane = &uplink->lanes[id];

	if (spool_is_skipped(uplink->spool, id)) {
		lane->declare = true;
	} else if (!lane->declare) {
		log_warning("link", "the aggregator asks for %s records %" PRIu64 "..%" PRIu64 ", which it had acknowledged",
			link_lane_name(id), expected, acked);
		lane->declare = spool_report_gap(uplink->spool, id, expected, acked, SPOOL_GAP_NOT_HELD) == 0;
	}
	if (!lane->declare)
		lane->not_before_ms = uplink_now_ms() + UPLINK_POLL_MS;
	uplink_lane_rewind(uplink, id, acked + 1);
}

static void
on_hole(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	enum link_lane id = flight->head.lane;
	struct uplink_lane *lane = &uplink->lanes[id];
	uint64_t expected = answer->sequence;
	uint64_t acked = spool_get_acked(uplink->spool, id);
	uint64_t acked_before = flight->acked_before;

	uplink_count(uplink, UPLINK_HOLES, 1);
	atomic_store_explicit(&uplink->connected, true, memory_order_relaxed);
	lane->window = 1;
	lane->good_run = 0;
	if (expected > acked && expected < flight->head.sequence && lane_covers(uplink, id, expected)) {
		/* It overtook the batch before it: it goes again when that one is in. */
		flight->state = FLIGHT_READY;
		return;
	}
	uplink_flight_free(uplink, flight);
	if (++lane->hole_run > UPLINK_HOLE_RUN_MAX)
		back_off(uplink, 0);
	if (expected > spool_get_readable(uplink->spool, id) + 1) {
		spool_is_behind(uplink, id, expected - 1);
	} else if (expected <= acked && expected > acked_before) {
		/* Said before the acknowledgement that came by another connection, and overtaken by it. */
		uplink_lane_rewind(uplink, id, acked + 1);
	} else if (expected <= acked) {
		on_hole_behind(uplink, id, expected, acked);
	} else {
		lane_ack(uplink, id, expected - 1);
		uplink_lane_rewind(uplink, id, expected);
	}
}

/* The last record that the aggregator holds tells whether these are its numbers. Till then nothing is given up. */
static void
on_compare(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	enum link_lane id = flight->head.lane;
	uint64_t last = answer->sequence;
	uint64_t flight_end = flight_last(flight);
	uint64_t acked = spool_get_acked(uplink->spool, id);

	uplink_count(uplink, UPLINK_HOLES, 1);
	atomic_store_explicit(&uplink->connected, true, memory_order_relaxed);
	uplink_flight_free(uplink, flight);
	if (++uplink->lanes[id].hole_run > UPLINK_HOLE_RUN_MAX)
		back_off(uplink, 0);
	if (last > spool_get_readable(uplink->spool, id))
		spool_is_behind(uplink, id, last);
	else if (last <= flight_end)
		/* No aggregator says that of a batch which reaches so far. */
		uplink_lane_rewind(uplink, id, acked + 1);
	else if (last > acked && !lane_covers(uplink, id, last))
		uplink_lane_rewind(uplink, id, last);
}

static void
on_foreign(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	enum link_lane id = flight->head.lane;
	bool known = flight->head.epoch != spool_get_epoch(uplink->spool);

	uplink_count(uplink, UPLINK_HOLES, 1);
	atomic_store_explicit(&uplink->connected, true, memory_order_relaxed);
	uplink_flight_free(uplink, flight);
	if (known)
		return;
	log_error("link", "the aggregator holds other %s records than the spool's up to %" PRIu64 ": two boxes go by copies of one disk,"
		" or an old copy was put back. A new epoch begins", link_lane_name(id), answer->sequence - 1);
	if (++uplink->lanes[id].hole_run > UPLINK_HOLE_RUN_MAX)
		back_off(uplink, 0);
	begin_epoch(uplink);
}

/* Sends the first half of what was refused; the search ends at one record. */
static void
lane_halve(struct uplink *uplink, struct uplink_flight *flight)
{
	struct uplink_lane *lane = &uplink->lanes[flight->head.lane];

	lane->batch_records = (flight->head.count + 1) / 2;
	lane->good_run = 0;
	uplink_flight_free(uplink, flight);
	uplink_lane_rewind(uplink, flight->head.lane, flight->head.sequence);
}

static void
on_poison(struct uplink *uplink, struct uplink_flight *flight, const char *why)
{
	enum link_lane id = flight->head.lane;
	struct uplink_lane *lane = &uplink->lanes[id];
	uint64_t sequence = flight->head.sequence;

	atomic_store_explicit(&uplink->connected, true, memory_order_relaxed);
	uplink_count(uplink, UPLINK_POISON, 1);
	uplink_set_error(uplink, why);
	lane->window = 1;
	if (flight->head.count > 1) {
		log_warning("link", "%u %s records from %" PRIu64 " refused: %s; narrowing down", flight->head.count,
			link_lane_name(id), sequence, why);
		if (flight_last(flight) > lane->probe_until)
			lane->probe_until = flight_last(flight);
		lane_halve(uplink, flight);
		return;
	}
	bool given_up = sequence == spool_get_acked(uplink->spool, id) + 1 && uplink_quarantine(uplink, flight, why) == 0;

	uplink_flight_free(uplink, flight);
	if (!given_up) {
		/* Batches before it are not settled, or the report has no room: once more, later. */
		lane->not_before_ms = uplink_now_ms() + UPLINK_POLL_MS;
		uplink_lane_rewind(uplink, id, spool_get_acked(uplink->spool, id) + 1);
		return;
	}
	spool_skip(uplink->spool, id, sequence);
	uplink_lane_rewind(uplink, id, sequence + 1);
	if (++uplink->poison_run > UPLINK_POISON_RUN_MAX)
		back_off(uplink, 0);
}

static void
on_too_large(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	uplink_count(uplink, UPLINK_TOO_LARGE, 1);
	if (flight->head.count == 1) {
		on_poison(uplink, flight, "one record is too large");
		return;
	}
	atomic_store_explicit(&uplink->connected, true, memory_order_relaxed);
	uplink->lanes[flight->head.lane].window = 1;
	lane_halve(uplink, flight);
}

static void
on_later(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	uplink_count(uplink, UPLINK_LATER, 1);
	uplink_set_error(uplink, answer->error);
	back_off(uplink, answer->retry_after_ms);
	flight->state = FLIGHT_READY;
}

static void
on_failure(struct uplink *uplink, struct uplink_flight *flight, CURLcode result)
{
	struct way_failure failure;
	char text[UPLINK_ERROR_LEN_MAX];

	uplink_count(uplink, UPLINK_FAILED, 1);
	flight->state = FLIGHT_READY;
	/* What a connection left behind dies of says nothing of those in use. */
	if (flight->generation != uplink->way.generation)
		return;
	uplink_fault_name(flight, result, &failure);
	snprintf(text, sizeof(text), "%s: %s", way_error_name(failure.error), failure.text);
	if (atomic_load_explicit(&uplink->connected, memory_order_relaxed) || strcmp(uplink->last_error, text) != 0)
		log_warning("link", "%s by way \"%s\": %s (%s); trying again until it works", uplink->target.url,
			uplink->target.ways->ways[uplink->way.idx].name, text, way_error_advice(failure.error));
	atomic_store_explicit(&uplink->connected, false, memory_order_relaxed);
	uplink_set_error(uplink, text);
	if (!uplink_way_failed(uplink))
		back_off(uplink, 0);
}

void
uplink_answered(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer)
{
	static const struct {
		void (*act)(struct uplink *uplink, struct uplink_flight *flight, const struct batch_answer *answer);
	} acts[] = {
		[BATCH_ACKED] = { on_acked },
		[BATCH_HOLE] = { on_hole },
		[BATCH_COMPARE] = { on_compare },
		[BATCH_FOREIGN] = { on_foreign },
		[BATCH_TOO_LARGE] = { on_too_large },
		[BATCH_LATER] = { on_later },
	};

	if (flight->stale && answer->verdict != BATCH_ACKED)
		uplink_flight_free(uplink, flight);
	else if (answer->verdict == BATCH_POISON)
		on_poison(uplink, flight, answer->error);
	else
		acts[answer->verdict].act(uplink, flight, answer);
}

void
uplink_finish(struct uplink *uplink, struct uplink_flight *flight, CURLcode result)
{
	struct batch_answer answer;
	struct curl_header *retry_after = NULL;
	long status = 0;

	atomic_store_explicit(&uplink->in_flight, atomic_load_explicit(&uplink->in_flight, memory_order_relaxed) - 1,
		memory_order_relaxed);
	if (result != CURLE_OK) {
		on_failure(uplink, flight, result);
	} else {
		uplink_way_worked(uplink, flight);
		curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &status);
		(void)curl_easy_header(flight->easy, "Retry-After", 0, CURLH_HEADER, -1, &retry_after);
		batch_answer_parse(&answer, (int)status, retry_after == NULL ? NULL : retry_after->value, flight->answer,
			flight->answer_len);
		uplink_answered(uplink, flight, &answer);
	}
	/* A lane that went back has no use for a flight that came back without an answer. */
	if (flight->state == FLIGHT_READY && flight->stale)
		uplink_flight_free(uplink, flight);
}
