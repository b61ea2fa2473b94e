/* DNP3 traffic: a SCADA front end that polls and commands outstations, over TCP and UDP. */
#include <errno.h>
#include <string.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	POLL_PERIOD_MS = 1000,
	UDP_EVERY = 3,           /* each so manieth outstation is on UDP */
	UNSOLICITED_PERMILLE = 80,
	SERVER_DELAY_MIN_NS = 3000000,
	SERVER_DELAY_SPREAD_NS = 25000000,
	DELAYED_ACK_NS = 40 * MILLISECOND_NS,
	MASTER_ADDRESS = 1,
	OUTSTATION_ADDRESS = 10, /* of the first */
	IIN_DEVICE_RESTART = 0x8000,
	IIN_NEED_TIME = 0x1000,
	REQUEST_LEN_MAX = 64,
	OPERATION_MESSAGES_MAX = 4,
};

enum message_flag {
	MESSAGE_TIME = 1,   /* the time, 48 bits of milliseconds, follows */
	MESSAGE_HANDLE = 2, /* the file handle follows, and the block number */
	MESSAGE_SILENT = 4, /* no response is due */
};

struct message {
	uint8_t flags;
	uint8_t function;
	uint8_t len;
	uint8_t objects[34];
};

#define OBJECTS(...) .len = sizeof((const uint8_t[]){ __VA_ARGS__ }), .objects = { __VA_ARGS__ }

/* What a master does, and how often in a thousand. Object bytes: group, variation, qualifier, range, points. */
struct operation {
	uint16_t weight;
	struct message messages[OPERATION_MESSAGES_MAX];
};

static const struct operation operation_poll = { 0, {
	{ .function = DNP3_READ, OBJECTS(60, 2, 6, 60, 3, 6, 60, 4, 6) } } };
static const struct operation operation_begin = { 0, {
	{ .function = DNP3_DISABLE_UNSOLICITED, OBJECTS(60, 2, 6, 60, 3, 6, 60, 4, 6) },
	{ .function = DNP3_READ, OBJECTS(60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6) },
	{ .function = DNP3_ENABLE_UNSOLICITED, OBJECTS(60, 2, 6, 60, 3, 6, 60, 4, 6) } } };
static const struct operation operation_clear_restart = { 0, {
	{ .function = DNP3_WRITE, OBJECTS(80, 1, 0, 7, 7, 0) } } };
static const struct operation operation_set_time = { 0, {
	{ .function = DNP3_DELAY_MEASURE },
	{ .function = DNP3_WRITE, .flags = MESSAGE_TIME, OBJECTS(50, 1, 7, 1) } } };

static const struct operation operations[] = {
	{ 60, { { .function = DNP3_READ, OBJECTS(60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6) } } },
	{ 30, { { .function = DNP3_READ, OBJECTS(30, 0, 6) } } },
	{ 20, { { .function = DNP3_READ, OBJECTS(1, 0, 0, 0, 7) } } },
	{ 10, { { .function = DNP3_READ, OBJECTS(20, 0, 6) } } },
	{ 8, { /* select and operate a relay: CROB, latch on, once, 100 ms */
		{ .function = DNP3_SELECT, OBJECTS(12, 1, 0x28, 1, 0, 3, 0, 3, 1, 100, 0, 0, 0, 100, 0, 0, 0, 0) },
		{ .function = DNP3_OPERATE, OBJECTS(12, 1, 0x28, 1, 0, 3, 0, 3, 1, 100, 0, 0, 0, 100, 0, 0, 0, 0) } } },
	{ 5, { { .function = DNP3_DIRECT_OPERATE, OBJECTS(41, 2, 0x28, 1, 0, 2, 0, 0xe8, 0x03, 0) } } },
	{ 3, { { .function = DNP3_DIRECT_OPERATE, OBJECTS(41, 3, 0x28, 1, 0, 1, 0, 0, 0, 0x48, 0x42, 0) } } },
	{ 2, { { .function = DNP3_DIRECT_OPERATE_NR, .flags = MESSAGE_SILENT,
		OBJECTS(12, 1, 0x17, 1, 5, 3, 1, 100, 0, 0, 0, 100, 0, 0, 0, 0) } } },
	{ 5, { { .function = DNP3_FREEZE, OBJECTS(20, 0, 6) }, { .function = DNP3_READ, OBJECTS(21, 0, 6) } } },
	{ 4, { { .function = DNP3_DELAY_MEASURE }, { .function = DNP3_WRITE, .flags = MESSAGE_TIME, OBJECTS(50, 1, 7, 1) } } },
	{ 3, { { .function = DNP3_RECORD_TIME }, { .function = DNP3_WRITE, .flags = MESSAGE_TIME, OBJECTS(50, 3, 7, 1) } } },
	{ 3, { { .function = DNP3_READ, OBJECTS(0, 254, 0, 0, 0) } } },
	{ 2, { { .function = DNP3_ASSIGN_CLASS, OBJECTS(60, 2, 6, 1, 0, 0, 0, 3) } } },
	{ 2, { /* reads the event log file */
		{ .function = DNP3_OPEN_FILE, OBJECTS(70, 3, 0x5b, 1, 33, 0, 26, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0) },
		{ .function = DNP3_READ, .flags = MESSAGE_HANDLE, OBJECTS(70, 5, 0x5b, 1, 8, 0) },
		{ .function = DNP3_CLOSE_FILE, .flags = MESSAGE_HANDLE, OBJECTS(70, 4, 0x5b, 1, 13, 0) } } },
};

struct master {
	struct plant_talk talk;
	struct plant_outstation *outstation;
	struct plant_host *host;
	struct plant_dnp3_end ends[2];
	uint8_t seq;
	uint8_t unsolicited_seq;
	bool udp;
	bool begun;
};

static void
put_message(const struct master *master, const struct message *message, struct buf *out, uint64_t now_ns)
{
	put_u8(out, DNP3_FIR | DNP3_FIN | master->seq);
	put_u8(out, message->function);
	buf_put(out, message->objects, message->len);
	if ((message->flags & MESSAGE_TIME) != 0)
		put_le48(out, now_ns / MILLISECOND_NS);
	if ((message->flags & MESSAGE_HANDLE) != 0) {
		put_le32(out, master->outstation->file_handle);
		put_le32(out, 0);
	}
}

/* The end of the file objects 70/3 (a name of 7 bytes, as its header says) and 70/4. */
static void
put_file_end(const struct message *message, struct buf *out)
{
	if (message->function == DNP3_OPEN_FILE) {
		put_le16(out, 1);   /* read */
		put_le16(out, 512); /* block size */
		put_le16(out, 1);   /* request id */
		buf_puts(out, "LOG.TXT");
	} else if (message->function == DNP3_CLOSE_FILE) {
		put_le16(out, 0);   /* block size */
		put_le16(out, 2);   /* request id */
		put_u8(out, 0);     /* status */
	}
}

static uint64_t
master_exchange(struct plant *plant, struct master *master, const struct message *message, uint64_t now_ns)
{
	uint8_t bytes[REQUEST_LEN_MAX], wire_bytes[PLANT_DNP3_FRAME_LEN_MAX];
	struct buf request = buf_over(bytes, sizeof(bytes));
	struct buf wire = buf_over(wire_bytes, sizeof(wire_bytes));

	put_message(master, message, &request, now_ns);
	put_file_end(message, &request);
	master->seq = (master->seq + 1) & 0x0f;
	if (plant_fault_strikes(&plant->net, PLANT_FAULT_BAD_CRC))
		master->ends[PLANT_CLIENT].spoil_crc = DNP3_SPOIL_DATA;
	plant_dnp3_send(&wire, &master->ends[PLANT_CLIENT], &request);
	now_ns = plant_talk_send(&master->talk, PLANT_CLIENT, wire_bytes, wire.len, now_ns);
	if ((message->flags & MESSAGE_SILENT) != 0)
		return plant_talk_ack(&master->talk, PLANT_SERVER, now_ns);
	now_ns += SERVER_DELAY_MIN_NS + plant_random_below(&plant->random, SERVER_DELAY_SPREAD_NS);
	return plant_dnp3_reply(&master->talk, master->ends, master->outstation, cursor_of(bytes, request.len), now_ns);
}

static uint64_t
master_operate(struct plant *plant, struct master *master, const struct operation *operation, uint64_t now_ns)
{
	for (unsigned int i = 0; i < OPERATION_MESSAGES_MAX && operation->messages[i].function != 0; i++)
		now_ns = master_exchange(plant, master, &operation->messages[i], now_ns) + 2 * MILLISECOND_NS;
	return now_ns;
}

static const struct operation *
master_choose(struct plant *plant, struct master *master)
{
	uint32_t number = plant_random_below(&plant->random, 1000);

	if ((master->outstation->iin & IIN_DEVICE_RESTART) != 0)
		return &operation_clear_restart;
	if ((master->outstation->iin & IIN_NEED_TIME) != 0)
		return &operation_set_time;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (number < operations[i].weight)
			return &operations[i];
		number -= operations[i].weight;
	}
	return &operation_poll;
}

static uint64_t
master_unsolicited(struct plant *plant, struct master *master, uint64_t now_ns)
{
	uint8_t bytes[PLANT_DNP3_FRAGMENT_LEN_MAX], wire_bytes[PLANT_DNP3_WIRE_LEN_MAX];
	struct buf fragment = buf_over(bytes, sizeof(bytes));
	struct buf wire = buf_over(wire_bytes, sizeof(wire_bytes));

	plant_outstation_unsolicited(master->outstation, master->unsolicited_seq++, &fragment, now_ns);
	plant_dnp3_send(&wire, &master->ends[PLANT_SERVER], &fragment);
	now_ns = plant_talk_send(&master->talk, PLANT_SERVER, wire_bytes, wire.len, now_ns);
	return plant_dnp3_confirm(&master->talk, master->ends, bytes[0], now_ns + MILLISECOND_NS);
}

/* The master asks whether the link is up; the outstation says so. */
static uint64_t
master_link_status(struct master *master, uint64_t now_ns)
{
	static const uint8_t functions[2] = { DNP3_LINK_PRM | DNP3_LINK_STATUS_REQUEST, DNP3_LINK_STATUS };

	for (enum plant_end from = PLANT_CLIENT; from <= PLANT_SERVER; from++) {
		uint8_t bytes[PLANT_DNP3_FRAME_LEN_MAX];
		struct buf wire = buf_over(bytes, sizeof(bytes));

		plant_dnp3_frame(&wire, &master->ends[from], functions[from], NULL, 0);
		now_ns = plant_talk_send(&master->talk, from, bytes, wire.len, now_ns) + MILLISECOND_NS;
	}
	return now_ns;
}

static uint64_t
master_begin(struct plant *plant, struct master *master, uint64_t now_ns)
{
	if (!master->begun) {
		plant_talk_init(&master->talk, &plant->net, &plant->scada, master->host);
		master->talk.tcp = !master->udp;
		master->talk.ports[PLANT_SERVER] = PLANT_DNP3_PORT;
		if (master->udp)
			master->talk.ports[PLANT_CLIENT] = PLANT_DNP3_PORT;
		master->begun = true;
	}
	now_ns = plant_talk_open(&master->talk, now_ns);
	now_ns = master_link_status(master, now_ns);
	return master_operate(plant, master, &operation_begin, now_ns);
}

static uint64_t
master_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct master *master = actor->state;

	if (!master->talk.open)
		now_ns = master_begin(plant, master, now_ns);
	else if (master->outstation->unsolicited && plant_random_chance(&plant->random, UNSOLICITED_PERMILLE))
		now_ns = master_unsolicited(plant, master, now_ns);
	else if (plant_random_chance(&plant->random, 10))
		now_ns = master_link_status(master, now_ns);
	else
		now_ns = master_operate(plant, master, master_choose(plant, master), now_ns);
	if (actor->period_ns > 2 * (uint64_t)DELAYED_ACK_NS) {
		(void)plant_talk_ack(&master->talk, PLANT_CLIENT, now_ns + DELAYED_ACK_NS);
		(void)plant_talk_ack(&master->talk, PLANT_SERVER, now_ns + DELAYED_ACK_NS + MILLISECOND_NS);
	}
	return now_ns;
}

static void
master_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct master *master = actor->state;

	if (master->begun)
		(void)plant_talk_close(&master->talk, now_ns);
}

int
plant_dnp3_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.rtus; i++) {
		struct plant_actor *actor = plant_add_actor(plant, master_step, sizeof(struct master),
			(uint64_t)POLL_PERIOD_MS * MILLISECOND_NS);
		struct master *master;

		if (actor == NULL)
			return -ENOMEM;
		actor->end = master_end;
		master = actor->state;
		master->outstation = &plant->rtus[i];
		master->host = &plant->rtu_hosts[i];
		master->udp = i % UDP_EVERY == UDP_EVERY - 1;
		master->ends[PLANT_CLIENT] = (struct plant_dnp3_end){ .address = MASTER_ADDRESS,
			.peer = (uint16_t)(OUTSTATION_ADDRESS + i), .master = true };
		master->ends[PLANT_SERVER] = (struct plant_dnp3_end){ .address = (uint16_t)(OUTSTATION_ADDRESS + i),
			.peer = MASTER_ADDRESS };
	}
	return 0;
}
