/*
 * An aggregator that answers anything, at the sensor: acknowledgements of what it never got, holes, refusals, in any order. Whatever it said,
 * the uplink keeps its books in order, and once it answers as it should everything is delivered.
 *
 * The input is a script: records come in, batches go out, one of those on their way is answered.
 */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"
#include "test/fuzz/fuzz_input.h"

enum { STEPS_MAX = 400, ROUNDS_MAX = 4000, APPENDS_MAX = 24, NOW_MS = 1 << 30 /* behind every pause */ };

static const char *folder;

static void
set_up(struct uplink *uplink)
{
	static struct way_set ways = { .ways = { { .name = "direct" } }, .count = 1 };
	const struct uplink_config config = { .window = 6, .batch_records = 16, .batch_bytes = 4096, .backoff_max_ms = 1000,
		.quarantine_size = 4096 };

	folder = fuzz_folder("answer");
	log_set_level(LOG_LEVEL_ERROR - 1);
	uplink->config = config;
	uplink->target.ways = &ways;
	pthread_mutex_init(&uplink->error_lock, NULL);
	memcpy(uplink->target.identity.sensor, "s", 2);
	FUZZ_MUST(batch_encoder_create(&uplink->encoder, 1) == 0 && buf_create(&uplink->lines, SPOOL_RECORD_LEN_MAX + 1) == 0);
	for (unsigned int i = 0; i < config.window; i++)
		FUZZ_MUST(buf_create(&uplink->flights[i].body, batch_body_bound(SPOOL_RECORD_LEN_MAX + 1)) == 0);
	snprintf(uplink->quarantine_path, sizeof(uplink->quarantine_path), "%s/quarantine.ndjson", folder);
}

/* As uplink_create() leaves it. The spool goes on, drained: making one costs more than all else here, and only its numbers differ. */
static void
begin(struct uplink *uplink)
{
	const struct spool_config config = { .path = folder, .size = 16 << 20, .segment_size = 65536, .fsync = SPOOL_FSYNC_NEVER };

	if (uplink->spool == NULL)
		FUZZ_MUST(spool_create(&uplink->spool, &config) == 0);
	uplink->backoff_ms = UPLINK_BACKOFF_MIN_MS;
	uplink->poison_run = 0;
	uplink->random = 1;
	for (unsigned int i = 0; i < UPLINK_WINDOW_MAX; i++) {
		uplink->flights[i].state = FLIGHT_FREE;
		uplink->flights[i].stale = false;
	}
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		uplink->lanes[i] = (struct uplink_lane){ .next = spool_get_acked(uplink->spool, i) + 1, .batch_records = (uint32_t)uplink->config.batch_records,
			.batch_bytes = uplink->config.batch_bytes, .window = 1 };
}

static void
append(struct spool *spool, enum link_lane lane, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		FUZZ_MUST(spool_append(spool, lane, "{\"a\":1}", 7) != 0);
	spool_flush(spool);
}

static void
send_all(struct uplink *uplink)
{
	uplink_fill_flights(uplink, uplink_now_ms() + NOW_MS);
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		struct uplink_flight *flight = &uplink->flights[i];

		if (flight->state != FLIGHT_READY)
			continue;
		flight->state = FLIGHT_AIR;
		flight->acked_before = spool_get_acked(uplink->spool, flight->head.lane);
	}
}

/* As uplink_finish() does with what curl brings. */
static void
answer(struct uplink *uplink, struct uplink_flight *flight, int status, const char *text, size_t len)
{
	struct batch_answer parsed;

	batch_answer_parse(&parsed, status, NULL, text, len);
	uplink_answered(uplink, flight, &parsed);
	if (flight->state == FLIGHT_READY && flight->stale)
		uplink_flight_free(uplink, flight);
}

static struct uplink_flight *
in_air(struct uplink *uplink, unsigned int from)
{
	for (unsigned int i = 0; i < uplink->config.window; i++) {
		struct uplink_flight *flight = &uplink->flights[(from + i) % uplink->config.window];

		if (flight->state == FLIGHT_AIR)
			return flight;
	}
	return NULL;
}

/* A number near the batch's, any number, or any text. */
static void
answer_anything(struct uplink *uplink, struct cursor *in, uint8_t how)
{
	static const int statuses[] = { 200, 200, 409, 409, 413, 429, 400, 422, 503, 500, 403, 204 };
	static const char *const whys[] = { "", "", ",\"why\":\"compare\"", ",\"why\":\"foreign\"" };
	struct uplink_flight *flight = in_air(uplink, cursor_u8(in));
	int status = statuses[cursor_u8(in) % (sizeof(statuses) / sizeof(statuses[0]))];
	struct cursor raw;
	char text[96];

	if (flight == NULL)
		return;
	if (how % 4 == 3) {
		raw = fuzz_take(in, cursor_u8(in));
		answer(uplink, flight, status, (const char *)raw.pos, cursor_left(&raw));
		return;
	}
	int64_t number = how % 4 == 2 ? (int64_t)(cursor_be64(in) >> 1) : (int64_t)flight->head.sequence - 1 + (int8_t)cursor_u8(in);

	snprintf(text, sizeof(text), "{\"%s\":%" PRId64 "%s}", status == 200 ? "acked" : status == 409 ? "expected" : "max_bytes", number,
		whys[how / 4 % 4]);
	answer(uplink, flight, status, text, strlen(text));
}

static void
check(const struct uplink *uplink)
{
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		FUZZ_MUST(spool_get_acked(uplink->spool, i) <= spool_get_readable(uplink->spool, i));
	for (unsigned int i = 0; i < uplink->config.window; i++)
		for (unsigned int k = 0; k < i; k++) {
			const struct uplink_flight *a = &uplink->flights[i], *b = &uplink->flights[k];

			if (a->state == FLIGHT_FREE || b->state == FLIGHT_FREE || a->stale || b->stale || a->head.lane != b->head.lane)
				continue;
			FUZZ_MUST(flight_last(a) < b->head.sequence || flight_last(b) < a->head.sequence);
		}
}

/* From now on it answers as it should. */
static void
deliver(struct uplink *uplink)
{
	struct uplink_flight *flight;
	char text[64];

	for (unsigned int round = 0; round < ROUNDS_MAX && !spool_is_drained(uplink->spool); round++) {
		send_all(uplink);
		while ((flight = in_air(uplink, 0)) != NULL) {
			snprintf(text, sizeof(text), "{\"acked\":%" PRIu64 "}", flight_last(flight));
			answer(uplink, flight, 200, text, strlen(text));
			check(uplink);
		}
		spool_flush(uplink->spool);
	}
	FUZZ_MUST(spool_is_drained(uplink->spool));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct uplink uplink;
	struct cursor in = cursor_of(data, len);

	if (uplink.encoder == NULL)
		set_up(&uplink);
	begin(&uplink);
	for (unsigned int step = 0; step < STEPS_MAX && cursor_left(&in) > 0; step++) {
		uint8_t what = cursor_u8(&in);

		if (what % 4 == 0)
			append(uplink.spool, what / 4 % LINK_LANE_COUNT, 1 + what % APPENDS_MAX);
		else if (what % 4 == 1)
			send_all(&uplink);
		else
			answer_anything(&uplink, &in, what / 4);
		check(&uplink);
	}
	deliver(&uplink);
	return 0;
}
