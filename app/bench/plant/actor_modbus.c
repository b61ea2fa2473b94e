/* Modbus traffic: operator stations and a historian that poll, an engineering station's sessions. */
#include <errno.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	POLL_ROWS = 6,
	HMI_PERIOD_MS = 500,
	HISTORIAN_PERIOD_MS = 5000,
	ENGINEER_PERIOD_MS = 60000,
	WRITE_PERMILLE = 15, /* operator actions among an HMI's requests */
	RECONNECT_PERMILLE = 150, /* pollers that open a new connection now and then */
	RECONNECT_MIN = 40,
	RECONNECT_MAX = 400,
	PIPELINE_MAX = 4,
	SERVER_DELAY_MIN_NS = 400000,
	SERVER_DELAY_SPREAD_NS = 2500000,
	DELAYED_ACK_NS = 40 * MILLISECOND_NS,
};

/* One client's connection to one controller. */
struct poller {
	struct plant_talk talk;
	struct plant_plc *plc;
	struct plant_host *client, *server;
	struct plant_modbus_poll rows[POLL_ROWS];
	unsigned int next_row;
	uint16_t transaction_id;
	uint8_t unit_id;
	uint16_t write_permille;
	uint32_t reconnect_after; /* transactions, 0: never */
	uint32_t transactions; /* on this connection */
	bool begun;
};

/* What plants read, with believable sizes; writes are drawn from the second table. */
static const struct plant_modbus_poll reads[] = {
	{ 1, 0, 32 },
	{ 1, 64, 16 },
	{ 2, 0, 64 },
	{ 2, 128, 24 },
	{ 3, 0, 10 },
	{ 3, 100, 40 },
	{ 3, 200, 2 },
	{ 3, 400, 125 },
	{ 4, 0, 12 },
	{ 4, 20, 60 },
	{ 4, 100, 4 },
	{ 4, 300, 100 },
};
static const struct plant_modbus_poll writes[] = {
	{ 5, 12, 1 },
	{ 5, 40, 1 },
	{ 6, 101, 1 },
	{ 6, 220, 1 },
	{ 15, 64, 12 },
	{ 16, 400, 4 },
	{ 16, 120, 2 },
	{ 22, 130, 1 },
	{ 23, 140, 8 },
	{ 24, 500, 1 },
};

/* Reads identification, diagnostics, logs and files, then leaves: what a maintenance tool does. */
static const char engineer_session[] =
	"talk modbus engineer plc\n"
	"> function=43 data=0e0100; < answer; wait 30\n"
	"> function=43 data=0e0200; < answer; wait 20\n"
	"> function=17; < answer; wait 15\n"
	"> function=7; < answer; wait 15\n"
	"> function=8 sub=0 value=0xa537; < answer; wait 15\n"
	"> function=8 sub=11 value=0; < answer; wait 12\n"
	"> function=8 sub=12 value=0; < answer; wait 12\n"
	"> function=11; < answer; wait 15\n"
	"> function=12; < answer; wait 15\n"
	"loop 4\n"
	"> function=20 data=0706000100000020; < answer; wait 25\n"
	"end\n"
	"> function=24 address=500; < answer; wait 10\n"
	"> function=43 data=0d0000010203; < answer; wait 10\n"
	"> function=3 address=0 quantity=100; < answer; wait 60\n"
	"> function=22 address=130 and=0xff00 or=0x25; < answer; wait 20\n"
	"> function=23 address=0 quantity=8 value=150 value=2 values=17,18; < answer; wait 20\n"
	"> function=21 data=0b060002000500 data=02 data=00110022; < answer; wait 20\n"
	"> function=3 address=1990 quantity=20; < answer; wait 20\n"
	"close\n";

static void
poller_plan(struct poller *poller, struct plant_random *random)
{
	for (unsigned int i = 0; i < POLL_ROWS; i++)
		poller->rows[i] = reads[plant_random_below(random, sizeof(reads) / sizeof(reads[0]))];
	if (plant_random_chance(random, RECONNECT_PERMILLE))
		poller->reconnect_after = plant_random_between(random, RECONNECT_MIN, RECONNECT_MAX);
	poller->unit_id = (uint8_t)plant_random_between(random, 1, 3);
	poller->transaction_id = (uint16_t)plant_random_next(random);
}

static const struct plant_modbus_poll *
poller_next(struct poller *poller, struct plant_random *random)
{
	if (plant_random_chance(random, poller->write_permille))
		return &writes[plant_random_below(random, sizeof(writes) / sizeof(writes[0]))];
	return &poller->rows[poller->next_row++ % POLL_ROWS];
}

/* The requests of one step and what became of them. */
struct batch {
	unsigned int count;
	bool joined; /* in one segment */
	uint8_t wire[PIPELINE_MAX * PLANT_MODBUS_ADU_LEN_MAX];
	uint8_t pdus[PIPELINE_MAX][PLANT_MODBUS_PDU_LEN_MAX];
	size_t pdu_lens[PIPELINE_MAX];
};

static uint64_t
send_requests(struct plant *plant, struct poller *poller, struct batch *batch, uint64_t now_ns)
{
	struct buf wire = buf_over(batch->wire, sizeof(batch->wire));

	for (unsigned int i = 0; i < batch->count; i++) {
		struct buf pdu = buf_over(batch->pdus[i], sizeof(batch->pdus[i]));

		plant_modbus_request(&pdu, poller_next(poller, &plant->random), &plant->random);
		batch->pdu_lens[i] = pdu.len;
		plant_modbus_adu(&wire, (uint16_t)(poller->transaction_id + i), poller->unit_id, &pdu);
		if (batch->joined && i + 1 < batch->count)
			continue;
		now_ns = plant_talk_send(&poller->talk, PLANT_CLIENT, batch->wire, wire.len, now_ns);
		buf_reset(&wire);
	}
	return now_ns;
}

static uint64_t
send_answers(struct plant *plant, struct poller *poller, struct batch *batch, uint64_t now_ns)
{
	struct plant_net *net = &plant->net;
	struct buf wire = buf_over(batch->wire, sizeof(batch->wire));

	for (unsigned int i = 0; i < batch->count; i++) {
		uint8_t bytes[PLANT_MODBUS_PDU_LEN_MAX];
		struct buf pdu = buf_over(bytes, sizeof(bytes));

		if (!plant_fault_strikes(net, PLANT_FAULT_NO_ANSWER)) {
			poller->plc->broken = plant_fault_strikes(net, PLANT_FAULT_EXCEPTIONS);
			plant_plc_answer(poller->plc, cursor_of(batch->pdus[i], batch->pdu_lens[i]), &pdu, now_ns);
			poller->plc->broken = false;
		}
		if (pdu.len > 0)
			plant_modbus_adu(&wire, (uint16_t)(poller->transaction_id + i), poller->unit_id, &pdu);
		if (wire.len == 0 || (batch->joined && i + 1 < batch->count))
			continue;
		now_ns = plant_talk_send(&poller->talk, PLANT_SERVER, batch->wire, wire.len, now_ns);
		buf_reset(&wire);
	}
	return now_ns;
}

static uint64_t
poller_connect(struct plant *plant, struct poller *poller, uint64_t now_ns)
{
	if (!poller->begun) {
		plant_talk_init(&poller->talk, &plant->net, poller->client, poller->server);
		poller->talk.ports[PLANT_SERVER] = PLANT_MODBUS_PORT;
		poller->begun = true;
	}
	if (poller->talk.open && poller->reconnect_after != 0 && poller->transactions >= poller->reconnect_after)
		now_ns = plant_talk_close(&poller->talk, now_ns) + MILLISECOND_NS;
	if (!poller->talk.open) {
		now_ns = plant_talk_open(&poller->talk, now_ns);
		poller->transactions = 0;
	}
	return now_ns;
}

static uint64_t
poller_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct poller *poller = actor->state;
	struct plant_random *random = &plant->random;
	struct batch batch = { .count = 1 };

	now_ns = poller_connect(plant, poller, now_ns);
	batch.joined = plant_fault_strikes(&plant->net, PLANT_FAULT_COALESCE);
	if (batch.joined || plant_fault_strikes(&plant->net, PLANT_FAULT_PIPELINE))
		batch.count = plant_random_between(random, 2, PIPELINE_MAX);
	now_ns = send_requests(plant, poller, &batch, now_ns);
	now_ns += SERVER_DELAY_MIN_NS + plant_random_below(random, SERVER_DELAY_SPREAD_NS);
	now_ns = send_answers(plant, poller, &batch, now_ns);
	poller->transaction_id = (uint16_t)(poller->transaction_id + batch.count);
	poller->transactions += batch.count;
	/* Stacks wait up to 40 ms for a request to carry the acknowledgement; slow pollers never send one in time. */
	if (actor->period_ns > 2 * (uint64_t)DELAYED_ACK_NS)
		(void)plant_talk_ack(&poller->talk, PLANT_CLIENT, now_ns + DELAYED_ACK_NS);
	else if (plant_random_chance(random, 300))
		now_ns = plant_talk_ack(&poller->talk, PLANT_CLIENT, now_ns);
	return now_ns;
}

static void
poller_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct poller *poller = actor->state;

	if (poller->begun)
		(void)plant_talk_close(&poller->talk, now_ns);
}

static int
add_poller(struct plant *plant, struct plant_host *client, unsigned int plc_idx, uint64_t period_ms)
{
	struct plant_actor *actor =
		plant_add_actor(plant, poller_step, sizeof(struct poller), period_ms * MILLISECOND_NS);
	struct poller *poller;

	if (actor == NULL)
		return -ENOMEM;
	actor->end = poller_end;
	poller = actor->state;
	poller->client = client;
	poller->server = &plant->plc_hosts[plc_idx];
	poller->plc = &plant->plcs[plc_idx];
	poller->write_permille = client == &plant->historian ? 0 : WRITE_PERMILLE;
	poller_plan(poller, &plant->random);
	return 0;
}

int
plant_modbus_populate(struct plant *plant)
{
	const struct plant_config *config = &plant->config;

	for (unsigned int i = 0; i < config->plcs; i++) {
		for (unsigned int j = 0; j < config->hmis; j++)
			if (add_poller(plant, &plant->hmi_hosts[j], i, HMI_PERIOD_MS) != 0)
				return -ENOMEM;
		if (add_poller(plant, &plant->historian, i, HISTORIAN_PERIOD_MS) != 0)
			return -ENOMEM;
	}
	return plant_add_script(plant, engineer_session, 0, (uint64_t)ENGINEER_PERIOD_MS * MILLISECOND_NS);
}
