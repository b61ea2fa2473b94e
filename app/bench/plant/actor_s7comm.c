/*
 * S7comm traffic: each controller has an operator station that identifies it, reads data block 1 all the time and writes
 * a set point now and then; an engineering station looks into one controller after the other: its list of blocks, its
 * clock, and a block uploaded. Values follow from the message count n: DB1.DBD0 is n, DB1.DBD4 n half degrees above 20,
 * M0.0 whether n is odd, DB2.DBW0 what was written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/bench/plant/cotp.h"
#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	POLL_PERIOD_MS = 500,
	ENGINEER_PERIOD_MS = 60000,
	WRITE_EVERY = 40,  /* polls */
	REFUSED_EVERY = 90, /* a block that is not there */
	SERVER_DELAY_NS = 2200000,
	PDU_LENGTH = 240,
	DATA_OK = 0xff,
	NO_OBJECT = 0x0a,
	IN_BITS = 4,  /* how the length of a value is said */
	IN_OCTETS = 9,
	UPLOAD_LEN = 64,
	MODULE_TYPE = 0x00c0,
};

enum rosctr { JOB = 1, ACK_DATA = 3, USERDATA = 7 };
enum area { AREA_FLAGS = 0x83, AREA_DB = 0x84 };
enum size { SIZE_BIT = 1, SIZE_WORD = 4, SIZE_INT = 5, SIZE_DINT = 7, SIZE_REAL = 8 };
enum group { GROUP_BLOCKS = 3, GROUP_CPU = 4, GROUP_TIME = 7 };

struct station {
	struct plant_talk talk;
	struct plant_host *client;
	struct plant_host *server;
	uint32_t idx; /* of the controller */
	uint32_t count;
	uint16_t reference;
	bool begun;
};

/* Parameters and data of one message. */
struct pdu {
	uint8_t parameter_bytes[128], data_bytes[256];
	struct buf parameters, data;
};

static void
pdu_begin(struct pdu *pdu)
{
	pdu->parameters = buf_over(pdu->parameter_bytes, sizeof(pdu->parameter_bytes));
	pdu->data = buf_over(pdu->data_bytes, sizeof(pdu->data_bytes));
}

static uint64_t
pdu_send(struct station *station, enum plant_end from, enum rosctr rosctr, const struct pdu *pdu, uint64_t now_ns)
{
	struct plant_cotp_message message;
	struct buf *out = plant_cotp_begin(&message);

	if (from == PLANT_CLIENT)
		station->reference++;
	put_u8(out, 0x32);
	put_u8(out, (uint8_t)rosctr);
	put_be16(out, 0);
	put_be16(out, station->reference);
	put_be16(out, (uint16_t)pdu->parameters.len);
	put_be16(out, (uint16_t)pdu->data.len);
	if (rosctr == ACK_DATA)
		put_be16(out, 0);
	buf_put(out, pdu->parameters.data, pdu->parameters.len);
	buf_put(out, pdu->data.data, pdu->data.len);
	return plant_cotp_send(&station->talk, from, &message, now_ns + (from == PLANT_SERVER ? SERVER_DELAY_NS : 0));
}

static void
put_text(struct buf *out, const char *text, size_t len)
{
	size_t text_len = strlen(text);

	for (size_t i = 0; i < len; i++)
		put_u8(out, i < text_len ? (uint8_t)text[i] : ' ');
}

/* ---- userdata ---- */

static void
put_userdata(struct pdu *pdu, enum plant_end from, enum group group, uint8_t subfunction)
{
	bool response = from == PLANT_SERVER;

	pdu_begin(pdu);
	buf_put(&pdu->parameters, "\x00\x01\x12", 3);
	put_u8(&pdu->parameters, response ? 8 : 4);
	put_u8(&pdu->parameters, response ? 0x12 : 0x11);
	put_u8(&pdu->parameters, (uint8_t)((response ? 0x80 : 0x40) | group));
	put_u8(&pdu->parameters, subfunction);
	put_u8(&pdu->parameters, response ? 1 : 0);
	if (response)
		put_be32(&pdu->parameters, 0); /* the only unit, no error */
}

static void
put_data_head(struct buf *out, size_t len)
{
	put_u8(out, DATA_OK);
	put_u8(out, IN_OCTETS);
	put_be16(out, (uint16_t)len);
}

static uint64_t
ask_list(struct station *station, uint16_t list, uint64_t now_ns)
{
	struct pdu pdu;

	put_userdata(&pdu, PLANT_CLIENT, GROUP_CPU, 1);
	put_data_head(&pdu.data, 4);
	put_be16(&pdu.data, list);
	put_be16(&pdu.data, 0);
	return pdu_send(station, PLANT_CLIENT, USERDATA, &pdu, now_ns);
}

static void
begin_list(struct pdu *pdu, uint16_t list, uint16_t entry_len, uint16_t count)
{
	put_userdata(pdu, PLANT_SERVER, GROUP_CPU, 1);
	put_data_head(&pdu->data, 8 + (size_t)entry_len * count);
	put_be16(&pdu->data, list);
	put_be16(&pdu->data, 0);
	put_be16(&pdu->data, entry_len);
	put_be16(&pdu->data, count);
}

/* System status lists 0x11 and 0x1c: order number and versions; names and the serial number. */
static uint64_t
read_identity(struct station *station, uint64_t now_ns)
{
	static const char order_number[] = "6ES7 315-2EH14-0AB0";
	static const uint16_t versions[][3] = { { 1, 4, 1 }, { 6, 4, 1 }, { 7, 0x5603, 0x0206 } };
	static const uint16_t indexes[] = { 1, 5, 7 };
	char texts[3][40];
	struct pdu pdu;

	now_ns = ask_list(station, 0x11, now_ns);
	begin_list(&pdu, 0x11, 28, 3);
	for (unsigned int i = 0; i < 3; i++) {
		put_be16(&pdu.data, versions[i][0]);
		put_text(&pdu.data, order_number, 20);
		put_be16(&pdu.data, MODULE_TYPE);
		put_be16(&pdu.data, versions[i][1]);
		put_be16(&pdu.data, versions[i][2]);
	}
	now_ns = pdu_send(station, PLANT_SERVER, USERDATA, &pdu, now_ns);
	now_ns = ask_list(station, 0x1c, now_ns + MILLISECOND_NS);
	(void)snprintf(texts[0], sizeof(texts[0]), "Line %u", station->idx + 1);
	(void)snprintf(texts[1], sizeof(texts[1]), "S C-D%07u2010", station->idx + 1);
	(void)snprintf(texts[2], sizeof(texts[2]), "CPU 315-2 PN/DP");
	begin_list(&pdu, 0x1c, 34, 3);
	for (unsigned int i = 0; i < 3; i++) {
		put_be16(&pdu.data, indexes[i]);
		put_text(&pdu.data, texts[i], 32);
	}
	return pdu_send(station, PLANT_SERVER, USERDATA, &pdu, now_ns);
}

static uint64_t
read_clock(struct station *station, uint64_t now_ns)
{
	static const uint8_t clock[] = { 0x00, 0x19, 0x26, 0x01, 0x01, 0x12, 0x30, 0x45, 0x25, 0x05 };
	struct pdu pdu;

	put_userdata(&pdu, PLANT_CLIENT, GROUP_TIME, 1);
	put_be32(&pdu.data, 0x0a000000); /* no data */
	now_ns = pdu_send(station, PLANT_CLIENT, USERDATA, &pdu, now_ns);
	put_userdata(&pdu, PLANT_SERVER, GROUP_TIME, 1);
	put_data_head(&pdu.data, sizeof(clock));
	buf_put(&pdu.data, clock, sizeof(clock));
	return pdu_send(station, PLANT_SERVER, USERDATA, &pdu, now_ns);
}

/* How many of each kind: organisation blocks 0x38, functions 0x43, data blocks 0x41. */
static uint64_t
list_blocks(struct station *station, uint64_t now_ns)
{
	static const uint8_t kinds[][2] = { { 0x38, 2 }, { 0x43, 9 }, { 0x41, 5 } };
	struct pdu pdu;

	put_userdata(&pdu, PLANT_CLIENT, GROUP_BLOCKS, 1);
	put_be32(&pdu.data, 0x0a000000);
	now_ns = pdu_send(station, PLANT_CLIENT, USERDATA, &pdu, now_ns);
	put_userdata(&pdu, PLANT_SERVER, GROUP_BLOCKS, 1);
	put_data_head(&pdu.data, 4 * sizeof(kinds) / sizeof(kinds[0]));
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		put_u8(&pdu.data, 0x30);
		put_u8(&pdu.data, kinds[i][0]);
		put_be16(&pdu.data, kinds[i][1]);
	}
	return pdu_send(station, PLANT_SERVER, USERDATA, &pdu, now_ns);
}

/* ---- jobs ---- */

static uint64_t
station_open(struct plant *plant, struct station *station, uint64_t now_ns)
{
	static const uint8_t called[] = { 0x01, 0x02 }; /* a programming connection to rack 0, slot 2 */
	struct pdu pdu;

	plant_talk_init(&station->talk, &plant->net, station->client, station->server);
	now_ns = plant_cotp_open(&station->talk, called, sizeof(called), now_ns);
	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		pdu_begin(&pdu);
		buf_put(&pdu.parameters, "\xf0\x00", 2);
		put_be32(&pdu.parameters, 0x00010001);
		put_be16(&pdu.parameters, from == PLANT_CLIENT ? 2 * PDU_LENGTH : PDU_LENGTH);
		now_ns = pdu_send(station, from, from == PLANT_CLIENT ? JOB : ACK_DATA, &pdu, now_ns);
	}
	return now_ns;
}

/* @param bit of the address, from the start of the area */
static void
put_address(struct buf *out, enum size size, enum area area, uint16_t db, uint32_t bit)
{
	buf_put(out, "\x12\x0a\x10", 3);
	put_u8(out, (uint8_t)size);
	put_be16(out, 1);
	put_be16(out, db);
	put_be32(out, (uint32_t)area << 24 | bit);
}

static void
put_value_head(struct buf *out, uint8_t return_code, uint8_t unit, uint16_t len)
{
	put_u8(out, return_code);
	put_u8(out, unit);
	put_be16(out, len);
}

static uint32_t
temperature_bits(uint32_t count)
{
	float value = 20.0f + (float)count * 0.5f;
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static uint64_t
station_poll(struct station *station, uint64_t now_ns)
{
	struct pdu pdu;

	pdu_begin(&pdu);
	buf_put(&pdu.parameters, "\x04\x03", 2);
	put_address(&pdu.parameters, SIZE_DINT, AREA_DB, 1, 0);
	put_address(&pdu.parameters, SIZE_REAL, AREA_DB, 1, 4 * 8);
	put_address(&pdu.parameters, SIZE_BIT, AREA_FLAGS, 0, 0);
	now_ns = pdu_send(station, PLANT_CLIENT, JOB, &pdu, now_ns);
	pdu_begin(&pdu);
	buf_put(&pdu.parameters, "\x04\x03", 2);
	put_value_head(&pdu.data, DATA_OK, 5, 32); /* an integer's length in bits */
	put_be32(&pdu.data, station->count);
	put_value_head(&pdu.data, DATA_OK, 7, 4); /* a real's in octets */
	put_be32(&pdu.data, temperature_bits(station->count));
	put_value_head(&pdu.data, DATA_OK, 3, 1);
	put_u8(&pdu.data, station->count & 1);
	return pdu_send(station, PLANT_SERVER, ACK_DATA, &pdu, now_ns);
}

static uint64_t
station_write(struct station *station, uint64_t now_ns)
{
	struct pdu pdu;

	pdu_begin(&pdu);
	buf_put(&pdu.parameters, "\x05\x01", 2);
	put_address(&pdu.parameters, SIZE_INT, AREA_DB, 2, 0);
	put_value_head(&pdu.data, 0, IN_BITS, 16);
	put_be16(&pdu.data, (uint16_t)(station->count / WRITE_EVERY));
	now_ns = pdu_send(station, PLANT_CLIENT, JOB, &pdu, now_ns);
	pdu_begin(&pdu);
	buf_put(&pdu.parameters, "\x05\x01", 2);
	put_u8(&pdu.data, DATA_OK);
	return pdu_send(station, PLANT_SERVER, ACK_DATA, &pdu, now_ns);
}

static uint64_t
station_read_missing(struct station *station, uint64_t now_ns)
{
	struct pdu pdu;

	pdu_begin(&pdu);
	buf_put(&pdu.parameters, "\x04\x01", 2);
	put_address(&pdu.parameters, SIZE_WORD, AREA_DB, 99, 0);
	now_ns = pdu_send(station, PLANT_CLIENT, JOB, &pdu, now_ns);
	pdu_begin(&pdu);
	buf_put(&pdu.parameters, "\x04\x01", 2);
	put_value_head(&pdu.data, NO_OBJECT, 0, 0);
	return pdu_send(station, PLANT_SERVER, ACK_DATA, &pdu, now_ns);
}

static uint64_t
station_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct station *station = actor->state;

	if (!station->begun) {
		station->begun = true;
		now_ns = station_open(plant, station, now_ns);
		return read_identity(station, now_ns + MILLISECOND_NS);
	}
	station->count++;
	if (station->count % WRITE_EVERY == 0)
		now_ns = station_write(station, now_ns);
	else if (station->count % REFUSED_EVERY == 0)
		now_ns = station_read_missing(station, now_ns);
	else
		now_ns = station_poll(station, now_ns);
	return plant_talk_ack(&station->talk, PLANT_CLIENT, now_ns + MILLISECOND_NS);
}

static void
station_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct station *station = actor->state;

	(void)plant;
	if (station->begun)
		(void)plant_talk_close(&station->talk, now_ns);
}

/* ---- the engineering station ---- */

/* One of the three messages of an upload, and its answer. */
static uint64_t
upload_step(struct station *station, uint8_t function, const struct pdu *answer, uint64_t now_ns)
{
	static const char filename[] = "_0800001A"; /* organisation block 1, the active one */
	bool start = function == 0x1d;
	struct pdu pdu;

	pdu_begin(&pdu);
	put_u8(&pdu.parameters, function);
	put_u8(&pdu.parameters, 0);
	put_be16(&pdu.parameters, 0);
	put_be32(&pdu.parameters, start ? 0 : 7); /* the session */
	if (start) {
		put_u8(&pdu.parameters, sizeof(filename) - 1);
		buf_puts(&pdu.parameters, filename);
	}
	now_ns = pdu_send(station, PLANT_CLIENT, JOB, &pdu, now_ns);
	return pdu_send(station, PLANT_SERVER, ACK_DATA, answer, now_ns);
}

static uint64_t
upload_block(struct station *station, uint64_t now_ns)
{
	struct pdu answer;
	char length[16];

	pdu_begin(&answer);
	buf_put(&answer.parameters, "\x1d\x00\x01\x00\x00\x00\x00\x07\x07", 9);
	(void)snprintf(length, sizeof(length), "%07d", UPLOAD_LEN);
	buf_puts(&answer.parameters, length);
	now_ns = upload_step(station, 0x1d, &answer, now_ns);
	pdu_begin(&answer);
	buf_put(&answer.parameters, "\x1e\x00", 2);
	put_be16(&answer.data, UPLOAD_LEN);
	put_be16(&answer.data, 0x00fb);
	put_be16(&answer.data, 0x7070); /* how every block begins */
	for (unsigned int i = 2; i < UPLOAD_LEN; i++)
		put_u8(&answer.data, (uint8_t)i);
	now_ns = upload_step(station, 0x1e, &answer, now_ns);
	pdu_begin(&answer);
	put_u8(&answer.parameters, 0x1f);
	return upload_step(station, 0x1f, &answer, now_ns);
}

static uint64_t
engineer_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct station *station = actor->state;

	station->idx = plant_random_below(&plant->random, plant->config.plcs);
	station->server = &plant->plc_hosts[station->idx];
	now_ns = station_open(plant, station, now_ns);
	now_ns = read_identity(station, now_ns + MILLISECOND_NS);
	now_ns = list_blocks(station, now_ns + MILLISECOND_NS);
	now_ns = read_clock(station, now_ns + MILLISECOND_NS);
	now_ns = upload_block(station, now_ns + MILLISECOND_NS);
	return plant_talk_close(&station->talk, now_ns + MILLISECOND_NS);
}

static int
add_station(struct plant *plant, struct plant_host *client, plant_step_fn step, uint32_t idx)
{
	uint64_t period_ms = step == station_step ? POLL_PERIOD_MS : ENGINEER_PERIOD_MS;
	struct plant_actor *actor = plant_add_actor(plant, step, sizeof(struct station), period_ms * MILLISECOND_NS);

	if (actor == NULL)
		return -ENOMEM;
	actor->end = step == station_step ? station_end : NULL;
	*(struct station *)actor->state = (struct station){ .client = client, .server = &plant->plc_hosts[idx], .idx = idx };
	return 0;
}

int
plant_s7comm_populate(struct plant *plant)
{
	int err = add_station(plant, &plant->engineer, engineer_step, 0);

	for (unsigned int i = 0; i < plant->config.plcs && err == 0; i++)
		err = add_station(plant, &plant->hmi_hosts[i % plant->config.hmis], station_step, i);
	return err;
}
