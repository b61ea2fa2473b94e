/*
 * S7comm-plus traffic of version 3 as far as it is not encrypted: the SCADA front end opens a session with each
 * controller, reads two variables of data block 1, writes one of data block 2 now and then, is notified of a third, and
 * deletes the session in the end. Values follow from the message count n: the first variable is n, the second n half
 * degrees above 20.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/bench/plant/cotp.h"
#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	POLL_PERIOD_MS = 1000,
	WRITE_EVERY = 30, /* polls */
	NOTIFY_EVERY = 5,
	SERVER_DELAY_NS = 2500000,
	HEADER_LEN = 4,
	DIGEST_LEN = 32,
	SERVER_SESSION_NEW = 0x0120, /* the session of the request that creates one */
	SESSION = 0x03c0,
	SUBSCRIPTION = 0x70000400,
	AREA_DB1 = (int)0x8a0e0001,
	AREA_DB2 = (int)0x8a0e0002,
};

enum version { V1 = 1, V3 = 3 };
enum opcode { REQUEST = 0x31, RESPONSE = 0x32, NOTIFICATION = 0x33 };
enum function { CREATE_OBJECT = 0x04ca, DELETE_OBJECT = 0x04d4, SET_MULTI = 0x0542, GET_MULTI = 0x054c };
enum type { TYPE_UDINT = 0x04, TYPE_INT = 0x07, TYPE_REAL = 0x0e };

struct session {
	struct plant_talk talk;
	struct plant_host *client;
	struct plant_host *server;
	uint32_t idx; /* of the controller */
	uint32_t count;
	uint16_t sequence;
	bool begun;
};

struct message {
	uint8_t bytes[512];
	struct buf body;
};

/* Seven bits an octet, the highest first; all but the last have the high bit. */
static void
put_vlq(struct buf *out, uint32_t value)
{
	unsigned int shift = 28;

	while (shift > 0 && value >> shift == 0)
		shift -= 7;
	for (; shift > 0; shift -= 7)
		put_u8(out, (uint8_t)(0x80 | (value >> shift & 0x7f)));
	put_u8(out, value & 0x7f);
}

static struct buf *
message_begin(struct session *session, struct message *message, enum opcode opcode, enum function function)
{
	struct buf *out = &message->body;

	*out = buf_over(message->bytes, sizeof(message->bytes));
	put_u8(out, (uint8_t)opcode);
	put_be16(out, 0);
	put_be16(out, (uint16_t)function);
	put_be16(out, 0);
	if (opcode == REQUEST)
		session->sequence++;
	put_be16(out, session->sequence);
	if (opcode == REQUEST)
		put_be32(out, function == CREATE_OBJECT ? SERVER_SESSION_NEW : SESSION + session->idx);
	put_u8(out, function == CREATE_OBJECT ? 0x36 : 0x34);
	if (opcode == RESPONSE)
		put_u8(out, 0); /* it was done */
	return out;
}

/* Header, digest (of version 3; nobody but the two ends can tell whether it is right), body, trailer. */
static uint64_t
message_send(struct session *session, enum plant_end from, enum version version, const struct message *message,
	uint64_t now_ns)
{
	struct plant_cotp_message outer;
	struct buf *out = plant_cotp_begin(&outer);
	size_t digest_len = version == V3 ? 1 + DIGEST_LEN : 0;

	put_u8(out, 0x72);
	put_u8(out, (uint8_t)version);
	put_be16(out, (uint16_t)(digest_len + message->body.len));
	if (version == V3)
		put_u8(out, DIGEST_LEN);
	for (unsigned int i = 0; version == V3 && i < DIGEST_LEN; i++)
		put_u8(out, (uint8_t)(plant_random_mix(session->sequence + i) >> 8));
	buf_put(out, message->body.data, message->body.len);
	put_u8(out, 0x72);
	put_u8(out, (uint8_t)version);
	put_be16(out, 0);
	return plant_cotp_send(&session->talk, from, &outer, now_ns + (from == PLANT_SERVER ? SERVER_DELAY_NS : 0));
}

/* What stands behind the items of each request: an object of no meaning to a reader. */
static void
put_qualifier(struct buf *out)
{
	static const uint8_t qualifier[] = { 0x00, 0x00, 0x04, 0xe8, 0x89, 0x69, 0x00, 0x12, 0x00, 0x00, 0x00, 0x00, 0x89, 0x6a,
		0x00, 0x13, 0x00, 0x89, 0x6b, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 };

	buf_put(out, qualifier, sizeof(qualifier));
}

static void
put_wstring(struct buf *out, uint32_t id, const char *text)
{
	put_u8(out, 0xa3); /* an attribute */
	put_vlq(out, id);
	put_be16(out, 0x0015);
	put_vlq(out, (uint32_t)strlen(text));
	buf_puts(out, text);
}

/* An object of class ClassServerSession under what relation_id says. */
static void
put_object(struct buf *out, uint32_t relation_id)
{
	put_u8(out, 0xa1);
	put_be32(out, relation_id);
	put_vlq(out, 0x011f);
	put_be16(out, 0);
}

static uint64_t
session_begin(struct plant *plant, struct session *session, uint64_t now_ns)
{
	static const char tsap[] = "SIMATIC-ROOT-HMI";
	static const char version[] = "1;6ES7 511-1AK00-0AB0 ;V1.8";
	struct message message;
	struct buf *out;

	plant_talk_init(&session->talk, &plant->net, session->client, session->server);
	now_ns = plant_cotp_open(&session->talk, tsap, sizeof(tsap) - 1, now_ns);
	out = message_begin(session, &message, REQUEST, CREATE_OBJECT);
	put_be32(out, 0x011d); /* in the container of server sessions */
	put_be16(out, 0x0004);
	put_u8(out, 0);
	put_be32(out, 0);
	put_object(out, 0xd3);
	put_wstring(out, 0xe9, session->client->name);
	put_u8(out, 0xa2);
	put_be32(out, 0);
	now_ns = message_send(session, PLANT_CLIENT, V1, &message, now_ns);
	out = message_begin(session, &message, RESPONSE, CREATE_OBJECT);
	put_u8(out, 2);
	put_vlq(out, SESSION + session->idx);
	put_vlq(out, SESSION + session->idx + 1);
	put_object(out, SERVER_SESSION_NEW);
	put_u8(out, 0xa3);
	put_vlq(out, 0x0132); /* ServerSessionVersion: a structure with the system's version string */
	put_be16(out, 0x0017);
	put_be32(out, 0x013a);
	put_vlq(out, 0x013f);
	put_be16(out, 0x0015);
	put_vlq(out, sizeof(version) - 1);
	buf_puts(out, version);
	put_u8(out, 0);
	put_u8(out, 0xa2);
	put_be32(out, 0);
	return message_send(session, PLANT_SERVER, V1, &message, now_ns);
}

/* A variable of an area by one local id, below the area's value. */
static void
put_address(struct buf *out, uint32_t area, uint32_t lid)
{
	put_vlq(out, 0); /* no checksum of the symbol */
	put_vlq(out, area);
	put_vlq(out, 2);
	put_vlq(out, 0x09f6); /* the values of the block */
	put_vlq(out, lid);
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
session_poll(struct session *session, uint64_t now_ns)
{
	struct message message;
	struct buf *out = message_begin(session, &message, REQUEST, GET_MULTI);

	put_be32(out, 0);
	put_vlq(out, 2);
	put_vlq(out, 2 * 5);
	put_address(out, (uint32_t)AREA_DB1, 9);
	put_address(out, (uint32_t)AREA_DB1, 10);
	put_qualifier(out);
	now_ns = message_send(session, PLANT_CLIENT, V3, &message, now_ns);
	out = message_begin(session, &message, RESPONSE, GET_MULTI);
	put_vlq(out, 1);
	put_u8(out, 0);
	put_u8(out, TYPE_UDINT);
	put_vlq(out, session->count);
	put_vlq(out, 2);
	put_u8(out, 0);
	put_u8(out, TYPE_REAL);
	put_be32(out, temperature_bits(session->count));
	put_be16(out, 0); /* no more values, no errors */
	return message_send(session, PLANT_SERVER, V3, &message, now_ns);
}

static uint64_t
session_write(struct session *session, uint64_t now_ns)
{
	struct message message;
	struct buf *out = message_begin(session, &message, REQUEST, SET_MULTI);

	put_be32(out, 0);
	put_vlq(out, 1);
	put_vlq(out, 5);
	put_address(out, (uint32_t)AREA_DB2, 9);
	put_vlq(out, 1);
	put_u8(out, 0);
	put_u8(out, TYPE_INT);
	put_be16(out, (uint16_t)(session->count / WRITE_EVERY));
	put_qualifier(out);
	now_ns = message_send(session, PLANT_CLIENT, V3, &message, now_ns);
	out = message_begin(session, &message, RESPONSE, SET_MULTI);
	put_u8(out, 0);
	put_be32(out, 0);
	return message_send(session, PLANT_SERVER, V3, &message, now_ns);
}

static uint64_t
session_notify(struct session *session, uint64_t now_ns)
{
	struct message message;
	struct buf *out = &message.body;

	*out = buf_over(message.bytes, sizeof(message.bytes));
	put_u8(out, NOTIFICATION);
	put_be32(out, SUBSCRIPTION + session->idx);
	put_be32(out, 0x04000000);
	put_be16(out, 0);
	put_u8(out, 0xff); /* credit without an end */
	put_vlq(out, session->count / NOTIFY_EVERY);
	put_u8(out, 0x92);
	put_be32(out, 1);
	put_u8(out, 0);
	put_u8(out, TYPE_UDINT);
	put_vlq(out, session->count / 50);
	put_u8(out, 0);
	return message_send(session, PLANT_SERVER, V3, &message, now_ns);
}

static uint64_t
session_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct session *session = actor->state;

	if (!session->begun) {
		session->begun = true;
		return session_begin(plant, session, now_ns);
	}
	session->count++;
	if (session->count % WRITE_EVERY == 0)
		now_ns = session_write(session, now_ns);
	else
		now_ns = session_poll(session, now_ns);
	if (session->count % NOTIFY_EVERY == 0)
		now_ns = session_notify(session, now_ns + MILLISECOND_NS);
	return plant_talk_ack(&session->talk, PLANT_CLIENT, now_ns + MILLISECOND_NS);
}

static void
session_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct session *session = actor->state;
	struct message message;
	struct buf *out;

	(void)plant;
	if (!session->begun)
		return;
	out = message_begin(session, &message, REQUEST, DELETE_OBJECT);
	put_be32(out, SESSION + session->idx);
	now_ns = message_send(session, PLANT_CLIENT, V3, &message, now_ns);
	out = message_begin(session, &message, RESPONSE, DELETE_OBJECT);
	put_be32(out, SESSION + session->idx);
	now_ns = message_send(session, PLANT_SERVER, V3, &message, now_ns);
	(void)plant_talk_close(&session->talk, now_ns);
}

int
plant_s7comm_plus_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.plcs; i++) {
		struct plant_actor *actor =
			plant_add_actor(plant, session_step, sizeof(struct session), (uint64_t)POLL_PERIOD_MS * MILLISECOND_NS);

		if (actor == NULL)
			return -ENOMEM;
		actor->end = session_end;
		*(struct session *)actor->state =
			(struct session){ .client = &plant->scada, .server = &plant->plc_hosts[i], .idx = i };
	}
	return 0;
}
