/*
 * IEC 60870-5-104 traffic: a SCADA front end and its stations, which report changes and cycles,
 * are interrogated, and are commanded by select and execute. Every station has the same points;
 * their values walk by chance.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	SECOND_NS = 1000000000,
	STEP_PERIOD_MS = 1000,
	STATION_DELAY_MIN_NS = 2000000,
	STATION_DELAY_SPREAD_NS = 15000000,
	PORT = 2404,
	APDU_LEN_MAX = 255,
	ACKNOWLEDGE_AFTER = 6, /* below the usual w of 8 */
	COMMON_ADDRESS = 1,    /* of the first station */
	ANALOG_COUNT = 8,
	ANALOG_ADDRESS = 1001,
	POINT_COUNT = 16,
	POINT_ADDRESS = 1,
	BREAKER_ADDRESS = 5001,

	TYPE_SINGLE = 1,
	TYPE_FLOAT = 13,
	TYPE_COUNTER = 15,
	TYPE_SINGLE_TIME = 30,
	TYPE_FLOAT_TIME = 36,
	TYPE_DOUBLE_COMMAND = 46,
	TYPE_SET_FLOAT = 50,
	TYPE_INTERROGATION = 100,
	TYPE_COUNTER_INTERROGATION = 101,
	TYPE_CLOCK = 103,

	CAUSE_CYCLIC = 1,
	CAUSE_SPONTANEOUS = 3,
	CAUSE_ACT = 6,
	CAUSE_CON = 7,
	CAUSE_TERM = 10,
	CAUSE_INTERROGATED = 20,
	CAUSE_COUNTERS = 37,
	SEQUENCE = 0x80, /* one address and a sequence of elements */

	STARTDT_ACT = 0x07,
	STARTDT_CON = 0x0b,
	TESTFR_ACT = 0x43,
	TESTFR_CON = 0x83,
};

struct station {
	struct plant_talk talk;
	struct plant_host *host;
	uint32_t counter;
	uint16_t common_address;
	uint16_t sent[2];      /* I formats of each end */
	uint16_t acked;        /* of the station's, by the front end */
	uint16_t points;       /* bit i: state of the ith */
	float analog[ANALOG_COUNT];
	bool begun;
};

/* ---- APDUs ---- */

static uint64_t
send_control(struct station *station, enum plant_end from, uint8_t first, uint16_t rsn, uint64_t now_ns)
{
	uint8_t bytes[6] = { 0x68, 4, first, 0, (uint8_t)(rsn << 1), (uint8_t)(rsn >> 7) };

	return plant_talk_send(&station->talk, from, bytes, sizeof(bytes), now_ns);
}

/* Starts an I format; its length is written by send_apdu(). */
static void
put_header(struct station *station, enum plant_end from, struct buf *out)
{
	uint16_t rsn = station->sent[from == PLANT_CLIENT ? PLANT_SERVER : PLANT_CLIENT];

	put_u8(out, 0x68);
	put_u8(out, 0);
	put_le16(out, (uint16_t)(station->sent[from] << 1));
	put_le16(out, (uint16_t)(rsn << 1));
	station->sent[from] = (station->sent[from] + 1) & 0x7fff;
	if (from == PLANT_CLIENT)
		station->acked = rsn;
}

static void
put_identifier(struct station *station, struct buf *out, uint8_t type, uint8_t count, uint8_t cause)
{
	put_u8(out, type);
	put_u8(out, count);
	put_le16(out, cause);
	put_le16(out, station->common_address);
}

static void
put_address(struct buf *out, uint32_t address)
{
	put_le16(out, (uint16_t)address);
	put_u8(out, (uint8_t)(address >> 16));
}

static void
put_float(struct buf *out, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	put_le32(out, bits);
}

/* CP56Time2a, in UTC. */
static void
put_time(struct buf *out, uint64_t now_ns)
{
	time_t seconds = (time_t)(now_ns / SECOND_NS);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	put_le16(out, (uint16_t)((unsigned int)tm.tm_sec * 1000 + now_ns % SECOND_NS / MILLISECOND_NS));
	put_u8(out, (uint8_t)tm.tm_min);
	put_u8(out, (uint8_t)tm.tm_hour);
	put_u8(out, (uint8_t)((tm.tm_wday == 0 ? 7 : tm.tm_wday) << 5 | tm.tm_mday));
	put_u8(out, (uint8_t)(tm.tm_mon + 1));
	put_u8(out, (uint8_t)(tm.tm_year % 100));
}

static uint64_t
send_apdu(struct station *station, enum plant_end from, struct buf *apdu, uint64_t now_ns)
{
	apdu->data[1] = (char)(apdu->len - 2);
	now_ns = plant_talk_send(&station->talk, from, apdu->data, apdu->len, now_ns);
	if (from == PLANT_SERVER && (uint16_t)(station->sent[PLANT_SERVER] - station->acked) >= ACKNOWLEDGE_AFTER) {
		station->acked = station->sent[PLANT_SERVER];
		now_ns = send_control(station, PLANT_CLIENT, 1, station->acked, now_ns + MILLISECOND_NS);
	}
	return now_ns;
}

/* ---- what the station says ---- */

static uint64_t
report_points(struct station *station, uint8_t cause, uint64_t now_ns)
{
	uint8_t bytes[APDU_LEN_MAX];
	struct buf apdu = buf_over(bytes, sizeof(bytes));

	put_header(station, PLANT_SERVER, &apdu);
	put_identifier(station, &apdu, TYPE_SINGLE, SEQUENCE | POINT_COUNT, cause);
	put_address(&apdu, POINT_ADDRESS);
	for (unsigned int i = 0; i < POINT_COUNT; i++)
		put_u8(&apdu, station->points >> i & 1);
	return send_apdu(station, PLANT_SERVER, &apdu, now_ns);
}

static uint64_t
report_analogs(struct station *station, uint8_t cause, uint64_t now_ns)
{
	uint8_t bytes[APDU_LEN_MAX];
	struct buf apdu = buf_over(bytes, sizeof(bytes));

	put_header(station, PLANT_SERVER, &apdu);
	put_identifier(station, &apdu, TYPE_FLOAT, SEQUENCE | ANALOG_COUNT, cause);
	put_address(&apdu, ANALOG_ADDRESS);
	for (unsigned int i = 0; i < ANALOG_COUNT; i++) {
		put_float(&apdu, station->analog[i]);
		put_u8(&apdu, 0);
	}
	return send_apdu(station, PLANT_SERVER, &apdu, now_ns);
}

/* A few measured values that moved, and sometimes a point that switched, each with its time. */
static uint64_t
report_changes(struct plant *plant, struct station *station, uint64_t now_ns)
{
	uint8_t bytes[APDU_LEN_MAX];
	struct buf apdu = buf_over(bytes, sizeof(bytes));
	unsigned int count = plant_random_between(&plant->random, 1, ANALOG_COUNT);

	put_header(station, PLANT_SERVER, &apdu);
	put_identifier(station, &apdu, TYPE_FLOAT_TIME, (uint8_t)count, CAUSE_SPONTANEOUS);
	for (unsigned int i = 0; i < count; i++) {
		station->analog[i] += ((float)plant_random_below(&plant->random, 200) - 100.0f) / 64.0f;
		put_address(&apdu, ANALOG_ADDRESS + i);
		put_float(&apdu, station->analog[i]);
		put_u8(&apdu, 0);
		put_time(&apdu, now_ns);
	}
	now_ns = send_apdu(station, PLANT_SERVER, &apdu, now_ns);
	if (!plant_random_chance(&plant->random, 100))
		return now_ns;
	count = plant_random_below(&plant->random, POINT_COUNT);
	station->points ^= (uint16_t)(1u << count);
	buf_reset(&apdu);
	put_header(station, PLANT_SERVER, &apdu);
	put_identifier(station, &apdu, TYPE_SINGLE_TIME, 1, CAUSE_SPONTANEOUS);
	put_address(&apdu, POINT_ADDRESS + count);
	put_u8(&apdu, station->points >> count & 1);
	put_time(&apdu, now_ns);
	return send_apdu(station, PLANT_SERVER, &apdu, now_ns + MILLISECOND_NS);
}

static uint64_t
report_counter(struct station *station, uint64_t now_ns)
{
	uint8_t bytes[APDU_LEN_MAX];
	struct buf apdu = buf_over(bytes, sizeof(bytes));

	station->counter += 17;
	put_header(station, PLANT_SERVER, &apdu);
	put_identifier(station, &apdu, TYPE_COUNTER, 1, CAUSE_COUNTERS);
	put_address(&apdu, 1);
	put_le32(&apdu, station->counter);
	put_u8(&apdu, 0);
	return send_apdu(station, PLANT_SERVER, &apdu, now_ns);
}

/* ---- what the front end asks for ---- */

/* Something that is activated: its element, and whether it is terminated and reported about. */
struct request {
	uint32_t address;
	uint8_t type;
	uint8_t len;
	uint8_t element[5];
	bool terminated;
};

static const struct request interrogation = { 0, TYPE_INTERROGATION, 1, { 20 }, true };
static const struct request counter_interrogation = { 0, TYPE_COUNTER_INTERROGATION, 1, { 5 }, true };
static const struct request clock_command = { 0, TYPE_CLOCK, 0, { 0 }, false };
static const struct request select_breaker = { BREAKER_ADDRESS, TYPE_DOUBLE_COMMAND, 1, { 0x82 }, false };
static const struct request operate_breaker = { BREAKER_ADDRESS, TYPE_DOUBLE_COMMAND, 1, { 0x02 }, true };
static const struct request set_point = { BREAKER_ADDRESS + 100, TYPE_SET_FLOAT, 5, { 0, 0, 0x48, 0x42, 0 }, true };

static uint64_t
send_request(struct station *station, enum plant_end from, const struct request *request, uint8_t cause, uint64_t time_ns,
	uint64_t now_ns)
{
	uint8_t bytes[APDU_LEN_MAX];
	struct buf apdu = buf_over(bytes, sizeof(bytes));

	put_header(station, from, &apdu);
	put_identifier(station, &apdu, request->type, 1, cause);
	put_address(&apdu, request->address);
	buf_put(&apdu, request->element, request->len);
	if (request->type == TYPE_CLOCK)
		put_time(&apdu, time_ns);
	return send_apdu(station, from, &apdu, now_ns);
}

static uint64_t
activate(struct plant *plant, struct station *station, const struct request *request, uint64_t now_ns)
{
	uint64_t time_ns = now_ns;

	now_ns = send_request(station, PLANT_CLIENT, request, CAUSE_ACT, time_ns, now_ns);
	now_ns += STATION_DELAY_MIN_NS + plant_random_below(&plant->random, STATION_DELAY_SPREAD_NS);
	now_ns = send_request(station, PLANT_SERVER, request, CAUSE_CON, time_ns, now_ns) + MILLISECOND_NS;
	if (request == &interrogation) {
		now_ns = report_points(station, CAUSE_INTERROGATED, now_ns) + MILLISECOND_NS;
		now_ns = report_analogs(station, CAUSE_INTERROGATED, now_ns) + MILLISECOND_NS;
	} else if (request == &counter_interrogation) {
		now_ns = report_counter(station, now_ns) + MILLISECOND_NS;
	}
	return request->terminated ? send_request(station, PLANT_SERVER, request, CAUSE_TERM, time_ns, now_ns) : now_ns;
}

static uint64_t
station_begin(struct plant *plant, struct station *station, uint64_t now_ns)
{
	if (!station->begun) {
		plant_talk_init(&station->talk, &plant->net, &plant->scada, station->host);
		station->talk.ports[PLANT_SERVER] = PORT;
		station->begun = true;
	}
	memset(station->sent, 0, sizeof(station->sent));
	station->acked = 0;
	now_ns = plant_talk_open(&station->talk, now_ns);
	now_ns = send_control(station, PLANT_CLIENT, STARTDT_ACT, 0, now_ns) + MILLISECOND_NS;
	now_ns = send_control(station, PLANT_SERVER, STARTDT_CON, 0, now_ns) + MILLISECOND_NS;
	now_ns = activate(plant, station, &interrogation, now_ns) + MILLISECOND_NS;
	return activate(plant, station, &clock_command, now_ns);
}

static uint64_t
station_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct station *station = actor->state;
	uint32_t number = plant_random_below(&plant->random, 1000);

	if (!station->talk.open)
		return station_begin(plant, station, now_ns);
	if (number < 10)
		return activate(plant, station, &interrogation, now_ns);
	if (number < 20)
		return activate(plant, station, &counter_interrogation, now_ns);
	if (number < 26) {
		now_ns = activate(plant, station, &select_breaker, now_ns) + MILLISECOND_NS;
		return activate(plant, station, &operate_breaker, now_ns);
	}
	if (number < 32)
		return activate(plant, station, &set_point, now_ns);
	if (number < 36)
		return activate(plant, station, &clock_command, now_ns);
	if (number < 80) {
		now_ns = send_control(station, PLANT_CLIENT, TESTFR_ACT, 0, now_ns) + MILLISECOND_NS;
		return send_control(station, PLANT_SERVER, TESTFR_CON, 0, now_ns);
	}
	return number < 300 ? report_analogs(station, CAUSE_CYCLIC, now_ns) : report_changes(plant, station, now_ns);
}

static void
station_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct station *station = actor->state;

	(void)plant;
	if (station->begun)
		(void)plant_talk_close(&station->talk, now_ns);
}

int
plant_iec104_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.rtus; i++) {
		struct plant_actor *actor = plant_add_actor(plant, station_step, sizeof(struct station),
			(uint64_t)STEP_PERIOD_MS * MILLISECOND_NS);
		struct station *station;

		if (actor == NULL)
			return -ENOMEM;
		actor->end = station_end;
		station = actor->state;
		station->host = &plant->rtu_hosts[i];
		station->common_address = (uint16_t)(COMMON_ADDRESS + i);
		station->points = (uint16_t)plant_random_next(&plant->random);
		station->counter = plant_random_below(&plant->random, 1000000);
		for (unsigned int j = 0; j < ANALOG_COUNT; j++)
			station->analog[j] = (float)plant_random_below(&plant->random, 8000) / 16.0f;
	}
	return 0;
}
