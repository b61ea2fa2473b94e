/*
 * MQTT traffic: each controller has a Sparkplug edge node that reports to the broker, now and then obeys a command, and
 * publishes an alarm text of quality of service 1. Values follow from the message count: n half degrees above 20, and n.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/bench/plant/plant.h"

enum {
	MILLISECOND_NS = 1000000,
	PORT_MQTT = 1883,
	NODE_PERIOD_MS = 1000,
	PING_EVERY = 20,    /* messages */
	ALARM_EVERY = 50,
	COMMAND_EVERY = 200,
	SERVER_DELAY_NS = 900000,
	PACKET_LEN_MAX = 512,
	/* Sparkplug datatypes */
	TYPE_UINT32 = 7,
	TYPE_DOUBLE = 10,
	TYPE_BOOLEAN = 11,
	TYPE_STRING = 12,
	ALIAS_TEMPERATURE = 1,
	ALIAS_COUNT = 2,
	ALIAS_RUNNING = 3,
};

enum packet { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, PUBLISH_QOS1 = 0x32, PUBACK = 0x40, SUBSCRIBE = 0x82,
	SUBACK = 0x90, PINGREQ = 0xc0, PINGRESP = 0xd0 };

struct node {
	struct plant_talk talk;
	struct plant_host *host;
	char id[16];
	uint32_t count; /* messages since the birth */
	uint16_t message_id;
	bool begun;
};

/* A packet under construction: its body, and the nested lengths of Protocol Buffers. */
struct message {
	uint8_t bytes[PACKET_LEN_MAX];
	struct buf body;
};

static void
message_begin(struct message *message)
{
	message->body = buf_over(message->bytes, sizeof(message->bytes));
}

static void
put_text(struct buf *out, const char *text)
{
	put_be16(out, (uint16_t)strlen(text));
	buf_puts(out, text);
}

static void
put_varint(struct buf *out, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		put_u8(out, (uint8_t)(value | 0x80));
	put_u8(out, (uint8_t)value);
}

static uint64_t
message_send(struct node *node, enum plant_end from, uint8_t first, const struct message *message, uint64_t now_ns)
{
	uint8_t bytes[PACKET_LEN_MAX + 8];
	struct buf wire = buf_over(bytes, sizeof(bytes));

	put_u8(&wire, first);
	put_varint(&wire, message->body.len);
	buf_put(&wire, message->body.data, message->body.len);
	return plant_talk_send(&node->talk, from, wire.data, wire.len, now_ns);
}

/* An answer of the other end that has an id, and a code where has_code. */
static uint64_t
answer_send(struct node *node, enum plant_end from, uint8_t first, uint16_t message_id, bool has_code, uint64_t now_ns)
{
	struct message message;

	message_begin(&message);
	put_be16(&message.body, message_id);
	if (has_code)
		put_u8(&message.body, 0);
	return message_send(node, from, first, &message, now_ns + SERVER_DELAY_NS);
}

static void
topic_of(const struct node *node, const char *type, char out[64])
{
	(void)snprintf(out, 64, "spBv1.0/plant/%s/%s", type, node->id);
}

/* ---- payloads (Sparkplug 3.0.0 6.4) ---- */

static void
put_timestamp(struct buf *out, uint64_t now_ns)
{
	put_u8(out, 0x08);
	put_varint(out, now_ns / MILLISECOND_NS);
}

static void
put_metric(struct buf *out, const struct buf *metric)
{
	put_u8(out, 0x12);
	put_varint(out, metric->len);
	buf_put(out, metric->data, metric->len);
}

/* name may be NULL: known by its alias. */
static void
metric_begin(struct buf *out, const char *name, uint8_t alias, uint8_t datatype)
{
	if (name != NULL) {
		put_u8(out, 0x0a);
		put_varint(out, strlen(name));
		buf_puts(out, name);
	}
	if (alias != 0) {
		put_u8(out, 0x10);
		put_u8(out, alias);
	}
	if (name == NULL)
		return;
	put_u8(out, 0x20);
	put_u8(out, datatype);
}

static void
put_double(struct buf *out, const char *name, uint8_t alias, double value)
{
	uint8_t bytes[64];
	struct buf metric = buf_over(bytes, sizeof(bytes));
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	metric_begin(&metric, name, alias, TYPE_DOUBLE);
	put_u8(&metric, 0x69);
	put_le32(&metric, (uint32_t)bits);
	put_le32(&metric, (uint32_t)(bits >> 32));
	put_metric(out, &metric);
}

static void
put_number(struct buf *out, const char *name, uint8_t alias, uint8_t datatype, uint32_t value)
{
	uint8_t bytes[64];
	struct buf metric = buf_over(bytes, sizeof(bytes));

	metric_begin(&metric, name, alias, datatype);
	put_u8(&metric, datatype == TYPE_BOOLEAN ? 0x70 : 0x50);
	put_varint(&metric, value);
	put_metric(out, &metric);
}

static void
put_string(struct buf *out, const char *name, const char *value)
{
	uint8_t bytes[96];
	struct buf metric = buf_over(bytes, sizeof(bytes));

	metric_begin(&metric, name, 0, TYPE_STRING);
	put_u8(&metric, 0x7a);
	put_varint(&metric, strlen(value));
	buf_puts(&metric, value);
	put_metric(out, &metric);
}

static void
put_seq(struct buf *out, uint32_t seq)
{
	put_u8(out, 0x18);
	put_varint(out, seq & 0xff);
}

/* ---- what a node does ---- */

static uint64_t
node_birth(struct node *node, uint64_t now_ns)
{
	struct message message;
	char topic[64];

	message_begin(&message);
	topic_of(node, "NBIRTH", topic);
	put_text(&message.body, topic);
	put_timestamp(&message.body, now_ns);
	put_double(&message.body, "Temperature", ALIAS_TEMPERATURE, 20.0);
	put_number(&message.body, "Count", ALIAS_COUNT, TYPE_UINT32, 0);
	put_number(&message.body, "Running", ALIAS_RUNNING, TYPE_BOOLEAN, 1);
	put_string(&message.body, "Properties/Hardware Make", "Plant Controls");
	put_string(&message.body, "Properties/Hardware Model", "EN-4");
	put_string(&message.body, "Properties/Firmware Version", "2.1.0");
	put_seq(&message.body, 0);
	return message_send(node, PLANT_CLIENT, PUBLISH, &message, now_ns);
}

static uint64_t
node_connect(struct plant *plant, struct node *node, uint64_t now_ns)
{
	struct message message;
	char topic[64];

	plant_talk_init(&node->talk, &plant->net, node->host, &plant->services);
	node->talk.ports[PLANT_SERVER] = PORT_MQTT;
	now_ns = plant_talk_open(&node->talk, now_ns);
	message_begin(&message);
	put_text(&message.body, "MQTT");
	put_u8(&message.body, 4);
	put_u8(&message.body, 0x86); /* user name, will, clean session */
	put_be16(&message.body, 60);
	put_text(&message.body, node->id);
	topic_of(node, "NDEATH", topic);
	put_text(&message.body, topic);
	put_be16(&message.body, 0);
	put_text(&message.body, "edge");
	now_ns = message_send(node, PLANT_CLIENT, CONNECT, &message, now_ns);
	now_ns = answer_send(node, PLANT_SERVER, CONNACK, 0, false, now_ns);
	message_begin(&message);
	put_be16(&message.body, ++node->message_id);
	topic_of(node, "NCMD", topic);
	put_text(&message.body, topic);
	put_u8(&message.body, 1);
	now_ns = message_send(node, PLANT_CLIENT, SUBSCRIBE, &message, now_ns + MILLISECOND_NS);
	now_ns = answer_send(node, PLANT_SERVER, SUBACK, node->message_id, true, now_ns);
	node->begun = true;
	return node_birth(node, now_ns + MILLISECOND_NS);
}

static uint64_t
node_data(struct node *node, uint64_t now_ns)
{
	struct message message;
	char topic[64];

	message_begin(&message);
	topic_of(node, "NDATA", topic);
	put_text(&message.body, topic);
	put_timestamp(&message.body, now_ns);
	put_double(&message.body, NULL, ALIAS_TEMPERATURE, 20.0 + node->count * 0.5);
	put_number(&message.body, NULL, ALIAS_COUNT, TYPE_UINT32, node->count);
	put_seq(&message.body, node->count);
	return message_send(node, PLANT_CLIENT, PUBLISH, &message, now_ns);
}

static uint64_t
node_alarm(struct node *node, uint64_t now_ns)
{
	struct message message;
	char text[64];

	message_begin(&message);
	(void)snprintf(text, sizeof(text), "alarms/%s", node->id);
	put_text(&message.body, text);
	put_be16(&message.body, ++node->message_id);
	(void)snprintf(text, sizeof(text), "temperature %.1f", 20.0 + node->count * 0.5);
	buf_puts(&message.body, text);
	now_ns = message_send(node, PLANT_CLIENT, PUBLISH_QOS1, &message, now_ns);
	return answer_send(node, PLANT_SERVER, PUBACK, node->message_id, false, now_ns);
}

/* The broker passes on what the host application wants. */
static uint64_t
node_command(struct node *node, uint64_t now_ns)
{
	struct message message;
	char topic[64];

	message_begin(&message);
	topic_of(node, "NCMD", topic);
	put_text(&message.body, topic);
	put_timestamp(&message.body, now_ns);
	put_number(&message.body, "Running", 0, TYPE_BOOLEAN, 1);
	return message_send(node, PLANT_SERVER, PUBLISH, &message, now_ns);
}

static uint64_t
node_ping(struct node *node, uint64_t now_ns)
{
	struct message empty;

	message_begin(&empty);
	now_ns = message_send(node, PLANT_CLIENT, PINGREQ, &empty, now_ns);
	return message_send(node, PLANT_SERVER, PINGRESP, &empty, now_ns + SERVER_DELAY_NS);
}

static uint64_t
node_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct node *node = actor->state;

	if (!node->begun)
		return node_connect(plant, node, now_ns);
	node->count++;
	now_ns = node_data(node, now_ns);
	if (node->count % PING_EVERY == 0)
		now_ns = node_ping(node, now_ns + MILLISECOND_NS);
	if (node->count % ALARM_EVERY == 0)
		now_ns = node_alarm(node, now_ns + MILLISECOND_NS);
	if (node->count % COMMAND_EVERY == 0)
		now_ns = node_command(node, now_ns + MILLISECOND_NS);
	return plant_talk_ack(&node->talk, PLANT_SERVER, now_ns + SERVER_DELAY_NS);
}

static void
node_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct node *node = actor->state;

	(void)plant;
	if (node->begun)
		(void)plant_talk_close(&node->talk, now_ns);
}

int
plant_mqtt_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant->config.plcs; i++) {
		struct plant_actor *actor =
			plant_add_actor(plant, node_step, sizeof(struct node), (uint64_t)NODE_PERIOD_MS * MILLISECOND_NS);
		struct node *node;

		if (actor == NULL)
			return -ENOMEM;
		actor->end = node_end;
		node = actor->state;
		node->host = &plant->plc_hosts[i];
		(void)snprintf(node->id, sizeof(node->id), "edge-%03u", i);
	}
	return 0;
}
