/* A substation: each outstation's bay has a relay that publishes GOOSE; merging units publish Sampled Values. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/bench/plant/plant.h"
#include "app/bench/plant/publish.h"

enum {
	MILLISECOND_NS = 1000000,
	GAP_FIRST_MS = 4,       /* behind a new state; it doubles with each repetition */
	GAP_LAST_MS = 1000,
	CHANGE_PERMILLE = 30,   /* of the slow repetitions that bring a new state instead */
	MERGING_UNIT_EVERY = 3, /* bays for each merging unit */
	ASDUS = 8,
	SAMPLES_PER_S = 4000,   /* 9-2LE: 80 in each of 50 periods */
	SAMPLES_PER_PERIOD = 80,
	PEAK_CURRENT_MA = 500000,
	PEAK_VOLTAGE_10MV = 8980000,
};

struct relay {
	struct plant_goose goose;
	uint32_t gap_ms;
	bool closed;
};

struct merging_unit {
	struct plant_sv sv;
};

static void
set_source(struct plant_publication *publication, unsigned int bay)
{
	publication->src[4] = (uint8_t)(bay >> 8);
	publication->src[5] = (uint8_t)bay;
	publication->dst[4] = (uint8_t)(bay >> 8 & 1);
	publication->dst[5] = (uint8_t)bay;
}

static void
send_frame(struct plant *plant, size_t len, uint64_t now_ns)
{
	if (len > 0 && !plant_fault_strikes(&plant->net, PLANT_FAULT_LOSS))
		plant_capture_give(plant->net.capture, now_ns, len);
}

/* The position of the breaker with its quality, and whether a trip is on. */
static void
set_values(struct relay *relay)
{
	static const uint8_t good[] = { 3, 0, 0 };
	const uint8_t position[] = { 6, relay->closed ? 0x80 : 0x40 }, trip = !relay->closed;

	relay->goose.data_len = relay->goose.data_count = 0;
	(void)plant_goose_add(&relay->goose, 0x84, position, sizeof(position));
	(void)plant_goose_add(&relay->goose, 0x84, good, sizeof(good));
	(void)plant_goose_add(&relay->goose, 0x83, &trip, 1);
	(void)plant_goose_add(&relay->goose, 0x84, good, sizeof(good));
}

static void
set_state(struct relay *relay, uint64_t now_ns)
{
	relay->goose.st++;
	relay->goose.sq = 0;
	relay->goose.t_s = (uint32_t)(now_ns / 1000000000);
	relay->goose.t_fraction = (uint32_t)(((now_ns % 1000000000) << 24) / 1000000000);
	relay->gap_ms = GAP_FIRST_MS;
	relay->closed = !relay->closed;
	set_values(relay);
}

static uint64_t
relay_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct relay *relay = actor->state;
	struct buf out = buf_over(plant_capture_get(plant->net.capture), PLANT_FRAME_LEN_MAX);

	if (relay->gap_ms == GAP_LAST_MS && plant_random_chance(&plant->random, CHANGE_PERMILLE))
		set_state(relay, now_ns);
	relay->goose.ttl_ms = 3 * relay->gap_ms;
	send_frame(plant, plant_goose_frame(&out, &relay->goose), now_ns);
	now_ns += (uint64_t)relay->gap_ms * MILLISECOND_NS;
	relay->goose.sq++;
	relay->gap_ms = 2 * relay->gap_ms < GAP_LAST_MS ? 2 * relay->gap_ms : GAP_LAST_MS;
	return now_ns;
}

int
plant_goose_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.rtus; i++) {
		struct plant_actor *actor = plant_add_actor(plant, relay_step, sizeof(struct relay),
			(uint64_t)GAP_LAST_MS * MILLISECOND_NS);
		struct relay *relay;

		if (actor == NULL)
			return -ENOMEM;
		actor->frames = 0; /* it keeps its own pace */
		relay = actor->state;
		plant_goose_init(&relay->goose);
		set_source(&relay->goose.publication, i + 1);
		(void)snprintf(relay->goose.ref, sizeof(relay->goose.ref), "BAY%uLD0/LLN0$GO$gcbPos", i + 1);
		(void)snprintf(relay->goose.dataset, sizeof(relay->goose.dataset), "BAY%uLD0/LLN0$dsPos", i + 1);
		(void)snprintf(relay->goose.goid, sizeof(relay->goose.goid), "BAY%u_Pos", i + 1);
		relay->goose.publication.appid = (uint16_t)(0x1000 + i);
		relay->gap_ms = GAP_LAST_MS;
		relay->closed = true;
		set_values(relay);
	}
	return 0;
}

/* A period as parabolas, near enough to a sine for anything that counts samples. @param at 0..SAMPLES_PER_PERIOD - 1 */
static int32_t
wave(uint32_t at, int32_t peak)
{
	int32_t half = SAMPLES_PER_PERIOD / 2;
	int32_t x = (int32_t)at % half;
	int32_t value = (int32_t)((int64_t)4 * peak * x * (half - x) / (half * half));

	return (int32_t)at < half ? value : -value;
}

static uint64_t
merging_unit_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct merging_unit *unit = actor->state;
	struct plant_sv *sv = &unit->sv;
	struct buf out = buf_over(plant_capture_get(plant->net.capture), PLANT_FRAME_LEN_MAX);

	/* all ASDUs of a message have the values of its first sample */
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t at = (sv->count + i * (SAMPLES_PER_PERIOD / 3)) % SAMPLES_PER_PERIOD;

		sv->values[i] = wave(at, PEAK_CURRENT_MA);
		sv->values[i + 4] = wave(at, PEAK_VOLTAGE_10MV);
	}
	sv->values[3] = -(sv->values[0] + sv->values[1] + sv->values[2]);
	sv->values[7] = -(sv->values[4] + sv->values[5] + sv->values[6]);
	send_frame(plant, plant_sv_frame(&out, sv), now_ns);
	sv->count = (sv->count + ASDUS) % SAMPLES_PER_S;
	return now_ns + UINT64_C(1000000000) * ASDUS / SAMPLES_PER_S;
}

int
plant_sv_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.rtus; i += MERGING_UNIT_EVERY) {
		struct plant_actor *actor = plant_add_actor(plant, merging_unit_step, sizeof(struct merging_unit), MILLISECOND_NS);
		struct merging_unit *unit;

		if (actor == NULL)
			return -ENOMEM;
		actor->frames = 0;
		unit = actor->state;
		plant_sv_init(&unit->sv);
		set_source(&unit->sv.publication, 0x8000 + i + 1);
		(void)snprintf(unit->sv.id, sizeof(unit->sv.id), "BAY%uMU01", i + 1);
		unit->sv.publication.appid = (uint16_t)(0x4000 + i);
		unit->sv.asdus = ASDUS;
		unit->sv.quality = 0;
	}
	return 0;
}
