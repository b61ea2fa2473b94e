/*
 * EtherNet/IP traffic: operator stations hold a session and a class 3 connection with each controller, read two tags
 * all the time, write one now and then, and ask who it is when they start; each controller produces cyclic data. Values
 * follow from the message count n: the tag Counter is n, Temperature n half degrees above 20, Setpoint what was written.
 */
#include <errno.h>
#include <string.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	PORT_ENIP = 44818,
	PORT_IO = 2222,
	POLL_PERIOD_MS = 500,
	IO_PERIOD_MS = 50,
	WRITE_EVERY = 40, /* polls */
	SERVER_DELAY_NS = 1200000,
	MESSAGE_LEN_MAX = 256,
	SESSION = 0x01000077,
	CONNECTION_O_T = 0x00aa0001, /* and the controller's number */
	CONNECTION_T_O = 0x00bb0001,
	CONNECTION_IO = 0x00cc0001, /* from the controller */
	CONNECTION_IO_O_T = 0x00dd0001,
	VENDOR = 1,
};

enum command { LIST_IDENTITY = 0x63, REGISTER_SESSION = 0x65, SEND_RR_DATA = 0x6f, SEND_UNIT_DATA = 0x70 };
enum service { MULTIPLE = 0x0a, READ_TAG = 0x4c, WRITE_TAG = 0x4d, FORWARD_OPEN = 0x54, REPLY = 0x80 };
enum type { TYPE_DINT = 0xc4, TYPE_REAL = 0xca };

struct station {
	struct plant_talk talk;
	struct plant_host *client;
	struct plant_host *server;
	uint32_t idx; /* of the controller */
	uint32_t count;
	bool begun;
};

struct producer {
	struct plant_talk talk;
	struct plant_host *from;
	struct plant_host *to;
	uint32_t idx;
	uint32_t count;
	bool begun;
};

struct message {
	uint8_t bytes[MESSAGE_LEN_MAX];
	struct buf body;
};

static struct buf *
message_begin(struct message *message)
{
	message->body = buf_over(message->bytes, sizeof(message->bytes));
	return &message->body;
}

static void
put_zeros(struct buf *out, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		put_u8(out, 0);
}

/* The encapsulation header, and what follows it. */
static uint64_t
command_send(struct station *station, enum plant_end from, enum command command, const struct message *message,
	uint64_t now_ns)
{
	uint8_t bytes[MESSAGE_LEN_MAX + 32];
	struct buf wire = buf_over(bytes, sizeof(bytes));

	put_le16(&wire, (uint16_t)command);
	put_le16(&wire, (uint16_t)message->body.len);
	put_le32(&wire, station->begun || from == PLANT_SERVER ? SESSION : 0);
	put_le32(&wire, 0);
	put_be32(&wire, 0x706c616e);
	put_be32(&wire, station->count);
	put_le32(&wire, 0);
	buf_put(&wire, message->body.data, message->body.len);
	return plant_talk_send(&station->talk, from, wire.data, wire.len, now_ns);
}

/* A CIP message by SendRRData, or over the connection by SendUnitData. */
static uint64_t
cip_send(struct station *station, enum plant_end from, bool connected, const struct message *cip, uint64_t now_ns)
{
	struct message outer;
	struct buf *out = message_begin(&outer);

	put_zeros(out, 6);
	put_le16(out, 2);
	if (connected) {
		put_le16(out, 0xa1);
		put_le16(out, 4);
		put_le32(out, (from == PLANT_CLIENT ? CONNECTION_O_T : CONNECTION_T_O) + station->idx);
		put_le16(out, 0xb1);
		put_le16(out, (uint16_t)(cip->body.len + 2));
		put_le16(out, (uint16_t)station->count);
	} else {
		put_zeros(out, 4);
		put_le16(out, 0xb2);
		put_le16(out, (uint16_t)cip->body.len);
	}
	buf_put(out, cip->body.data, cip->body.len);
	return command_send(station, from, connected ? SEND_UNIT_DATA : SEND_RR_DATA, &outer, now_ns);
}

static void
put_service(struct buf *out, enum service service, uint8_t class_id, uint8_t instance_id)
{
	const uint8_t bytes[] = { (uint8_t)service, 2, 0x20, class_id, 0x24, instance_id };

	buf_put(out, bytes, sizeof(bytes));
}

static void
put_reply(struct buf *out, enum service service)
{
	put_u8(out, (uint8_t)(service | REPLY));
	put_zeros(out, 3);
}

/* A request for a tag whose name has an odd or even length. */
static void
put_tag(struct buf *out, enum service service, const char *name)
{
	size_t len = strlen(name), padded = len + len % 2;

	put_u8(out, (uint8_t)service);
	put_u8(out, (uint8_t)((2 + padded) / 2));
	put_u8(out, 0x91);
	put_u8(out, (uint8_t)len);
	buf_puts(out, name);
	put_zeros(out, (unsigned int)(padded - len));
}

/* ---- a station begins ---- */

static void
put_identity(struct buf *out, uint32_t serial)
{
	static const char name[] = "PLC-7001";

	put_le16(out, 1);
	put_le16(out, 0x0c);
	put_le16(out, (uint16_t)(33 + sizeof(name)));
	put_le16(out, 1);
	put_be16(out, 2);
	put_be16(out, PORT_ENIP);
	put_zeros(out, 12);
	put_le16(out, VENDOR);
	put_le16(out, 14); /* programmable logic controller */
	put_le16(out, 54);
	put_u8(out, 20);
	put_u8(out, 3);
	put_le16(out, 0x30);
	put_le32(out, serial);
	put_u8(out, sizeof(name) - 1);
	buf_puts(out, name);
	put_u8(out, 3);
}

/* What a forward open asks for; numbers of a connection go up with the controller's. */
struct opening {
	uint32_t o_t, t_o;
	uint32_t interval_us;
	uint16_t serial_first;
	uint8_t path_len;
	uint8_t path[12]; /* behind the transport class: words, and as many of a path */
};

/* Class 3, to the message router: for tags. */
static const struct opening explicit_opening = { CONNECTION_O_T, CONNECTION_T_O, 2000000, 1, 6,
	{ 0xa3, 2, 0x20, 0x02, 0x24, 0x01 } };
/* Class 1, from assembly 2 to 3: the cyclic data that the producer sends. */
static const struct opening cyclic_opening = { CONNECTION_IO_O_T, CONNECTION_IO, (uint32_t)IO_PERIOD_MS * 1000, 0x4001, 10,
	{ 0x01, 4, 0x20, 0x04, 0x24, 0x01, 0x2c, 0x02, 0x2c, 0x03 } };

static void
put_connection_key(struct buf *out, const struct station *station, const struct opening *opening)
{
	put_le16(out, (uint16_t)(opening->serial_first + station->idx));
	put_le16(out, VENDOR);
	put_le32(out, station->client->ip);
}

static uint64_t
station_forward_open(struct station *station, const struct opening *opening, uint64_t now_ns)
{
	struct message message;
	struct buf *out = message_begin(&message);

	put_service(out, FORWARD_OPEN, 6, 1);
	put_u8(out, 0x0a);
	put_u8(out, 0x0e);
	put_le32(out, 0);
	put_le32(out, opening->t_o + station->idx);
	put_connection_key(out, station, opening);
	put_le32(out, 3);
	for (unsigned int i = 0; i < 2; i++) {
		put_le32(out, opening->interval_us);
		put_le16(out, 0x43f4);
	}
	buf_put(out, opening->path, opening->path_len);
	now_ns = cip_send(station, PLANT_CLIENT, false, &message, now_ns);
	out = message_begin(&message);
	put_reply(out, FORWARD_OPEN);
	put_le32(out, opening->o_t + station->idx);
	put_le32(out, opening->t_o + station->idx);
	put_connection_key(out, station, opening);
	put_le32(out, opening->interval_us);
	put_le32(out, opening->interval_us);
	put_zeros(out, 2);
	return cip_send(station, PLANT_SERVER, false, &message, now_ns + SERVER_DELAY_NS);
}

static uint64_t
station_begin(struct plant *plant, struct station *station, uint64_t now_ns)
{
	struct message message;

	plant_talk_init(&station->talk, &plant->net, station->client, station->server);
	station->talk.ports[PLANT_SERVER] = PORT_ENIP;
	now_ns = plant_talk_open(&station->talk, now_ns);
	put_le32(message_begin(&message), 1);
	now_ns = command_send(station, PLANT_CLIENT, REGISTER_SESSION, &message, now_ns);
	now_ns = command_send(station, PLANT_SERVER, REGISTER_SESSION, &message, now_ns + SERVER_DELAY_NS);
	station->begun = true;
	message_begin(&message);
	now_ns = command_send(station, PLANT_CLIENT, LIST_IDENTITY, &message, now_ns + MILLISECOND_NS);
	put_identity(message_begin(&message), station->server->ip);
	now_ns = command_send(station, PLANT_SERVER, LIST_IDENTITY, &message, now_ns + SERVER_DELAY_NS);
	now_ns = station_forward_open(station, &explicit_opening, now_ns + MILLISECOND_NS);
	return station_forward_open(station, &cyclic_opening, now_ns + MILLISECOND_NS);
}

/* ---- and polls ---- */

static uint32_t
temperature_bits(uint32_t count)
{
	float value = 20.0f + (float)count * 0.5f;
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Both tags in one multiple service packet. */
static uint64_t
station_poll(struct station *station, uint64_t now_ns)
{
	struct message message;
	struct buf *out = message_begin(&message);

	put_service(out, MULTIPLE, 2, 1);
	put_le16(out, 2);
	put_le16(out, 6);
	put_le16(out, 6 + 14); /* behind "Counter" */
	put_tag(out, READ_TAG, "Counter");
	put_le16(out, 1);
	put_tag(out, READ_TAG, "Temperature");
	put_le16(out, 1);
	now_ns = cip_send(station, PLANT_CLIENT, true, &message, now_ns);
	out = message_begin(&message);
	put_reply(out, MULTIPLE);
	put_le16(out, 2);
	put_le16(out, 6);
	put_le16(out, 6 + 10);
	put_reply(out, READ_TAG);
	put_le16(out, TYPE_DINT);
	put_le32(out, station->count);
	put_reply(out, READ_TAG);
	put_le16(out, TYPE_REAL);
	put_le32(out, temperature_bits(station->count));
	return cip_send(station, PLANT_SERVER, true, &message, now_ns + SERVER_DELAY_NS);
}

static uint64_t
station_write(struct station *station, uint64_t now_ns)
{
	struct message message;
	struct buf *out = message_begin(&message);

	put_tag(out, WRITE_TAG, "Setpoint");
	put_le16(out, TYPE_DINT);
	put_le16(out, 1);
	put_le32(out, station->count / WRITE_EVERY);
	now_ns = cip_send(station, PLANT_CLIENT, true, &message, now_ns);
	put_reply(message_begin(&message), WRITE_TAG);
	return cip_send(station, PLANT_SERVER, true, &message, now_ns + SERVER_DELAY_NS);
}

static uint64_t
station_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct station *station = actor->state;

	if (!station->begun)
		return station_begin(plant, station, now_ns);
	station->count++;
	if (station->count % WRITE_EVERY == 0)
		now_ns = station_write(station, now_ns);
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

/* ---- cyclic data ---- */

static uint64_t
producer_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct producer *producer = actor->state;
	uint8_t bytes[64];
	struct buf out = buf_over(bytes, sizeof(bytes));

	if (!producer->begun) {
		plant_talk_init(&producer->talk, &plant->net, producer->from, producer->to);
		producer->talk.tcp = false;
		producer->talk.ports[PLANT_SERVER] = PORT_IO;
		now_ns = plant_talk_open(&producer->talk, now_ns);
		producer->begun = true;
	}
	producer->count++;
	put_le16(&out, 2);
	put_le16(&out, 0x8002);
	put_le16(&out, 8);
	put_le32(&out, CONNECTION_IO + producer->idx);
	put_le32(&out, producer->count);
	put_le16(&out, 0xb1);
	put_le16(&out, 10);
	put_le16(&out, (uint16_t)producer->count);
	put_le32(&out, producer->count / 100);
	put_le32(&out, 0x01020304);
	return plant_talk_send(&producer->talk, PLANT_CLIENT, out.data, out.len, now_ns);
}

static int
add_controller(struct plant *plant, unsigned int idx)
{
	struct plant_host *hmi = &plant->hmi_hosts[idx % plant->config.hmis];
	struct plant_actor *actor =
		plant_add_actor(plant, station_step, sizeof(struct station), (uint64_t)POLL_PERIOD_MS * MILLISECOND_NS);
	struct station *station;
	struct producer *producer;

	if (actor == NULL)
		return -ENOMEM;
	actor->end = station_end;
	station = actor->state;
	station->client = hmi;
	station->server = &plant->plc_hosts[idx];
	station->idx = idx;
	actor = plant_add_actor(plant, producer_step, sizeof(struct producer), (uint64_t)IO_PERIOD_MS * MILLISECOND_NS);
	if (actor == NULL)
		return -ENOMEM;
	producer = actor->state;
	producer->from = &plant->plc_hosts[idx];
	producer->to = hmi;
	producer->idx = idx;
	return 0;
}

int
plant_enip_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.plcs && plant->config.hmis > 0; i++)
		if (add_controller(plant, i) != 0)
			return -ENOMEM;
	return 0;
}
