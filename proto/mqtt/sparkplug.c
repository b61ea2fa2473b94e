/* Sparkplug B: topics, and who a birth certificate says that it is. */
#include "proto/mqtt/sparkplug.h"

#include "lib/base/hash.h"

enum { TOPIC_PARTS_MAX = 5, ADDRESS_LEN_MAX = 256 };

static const char namespace_b[] = "spBv1.0";

/* SpB 4.1.3; the names of the host application's and the births'. */
static const char *const message_types[] = { "NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA", "NCMD", "DCMD" };

static bool
part_is(struct cursor part, const char *text)
{
	size_t len = strlen(text);

	return cursor_left(&part) == len && memcmp(part.pos, text, len) == 0;
}

/* The parts of a topic between its slashes. @return how many, 0 where there are too many */
static unsigned int
split(struct cursor in, struct cursor parts[TOPIC_PARTS_MAX])
{
	unsigned int count = 0;

	for (;;) {
		const uint8_t *slash = memchr(in.pos, '/', cursor_left(&in));
		size_t len = slash == NULL ? cursor_left(&in) : (size_t)(slash - in.pos);

		if (count == TOPIC_PARTS_MAX)
			return 0;
		parts[count++] = cursor_sub(&in, len);
		if (slash == NULL)
			return count;
		cursor_skip(&in, 1);
	}
}

bool
sparkplug_topic_read(const uint8_t *topic, uint32_t len, struct sparkplug_topic *out)
{
	enum { NAMESPACE_LEN = sizeof(namespace_b) - 1 };
	struct cursor parts[TOPIC_PARTS_MAX] = { 0 };
	unsigned int count;

	if (len <= NAMESPACE_LEN || memcmp(topic, namespace_b, NAMESPACE_LEN) != 0 || topic[NAMESPACE_LEN] != '/')
		return false;
	count = split(cursor_of(topic, len), parts);
	memset(out, 0, sizeof(*out));
	if (count == 3 && part_is(parts[1], "STATE")) {
		out->is_state = true;
		out->type = parts[1];
		out->host = parts[2];
		return true;
	}
	if (count < 4 || cursor_left(&parts[1]) == 0 || cursor_left(&parts[3]) == 0)
		return false;
	out->group = parts[1];
	out->type = parts[2];
	out->node = parts[3];
	out->device = parts[4];
	out->is_node = part_is(parts[2], "NBIRTH");
	out->is_birth = out->is_node || part_is(parts[2], "DBIRTH");
	for (unsigned int i = 0; i < sizeof(message_types) / sizeof(message_types[0]); i++)
		if (part_is(parts[2], message_types[i]))
			return (message_types[i][0] == 'D') == (count == TOPIC_PARTS_MAX);
	return false;
}

static void
put_part(struct mqtt_pdu *pdu, struct record_ref *ref, struct cursor part)
{
	record_put_bytes(pdu->ctx->record, ref, part.pos, (uint32_t)cursor_left(&part));
}

/* Metric aliases are an edge node's own (SpB 6.4.6): its devices share the number space. */
static uint32_t
owner_of(const struct sparkplug_topic *topic)
{
	uint32_t hash = crc32c(1, topic->group.pos, (uint32_t)cursor_left(&topic->group));

	hash = crc32c(hash, topic->node.pos, (uint32_t)cursor_left(&topic->node));
	return hash == 0 ? 1 : hash;
}

/* SpB 6.4.1: the client's messages count from 0 to 255 and around. Commands and deaths do not count. */
static void
check_sequence(struct mqtt_pdu *pdu, const struct sparkplug_topic *topic, const struct sparkplug *sparkplug)
{
	struct mqtt_state *state = pdu->ctx->state;
	uint8_t seq = (uint8_t)sparkplug->seq;
	bool counted = topic->is_birth || part_is(topic->type, "NDATA") || part_is(topic->type, "DDATA") ||
		part_is(topic->type, "DDEATH");

	if (!pdu->ctx->to_server || !counted || !pdu->for_rules)
		return;
	if ((sparkplug->head.present >> SPARKPLUG_HAS_SEQ & 1) == 0) {
		state->has_seq = false; /* it may be inside what could not be unpacked: the next is not blamed */
		return;
	}
	if (state->has_seq && !topic->is_node && seq != (uint8_t)(state->seq + 1))
		proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_SEQUENCE);
	state->has_seq = true;
	state->seq = seq;
}

bool
sparkplug_read(struct mqtt_pdu *pdu, const struct sparkplug_topic *topic, struct cursor payload)
{
	struct mqtt_record *record = pdu->record;
	struct sparkplug *sparkplug;

	record->sparkplug = (struct record_list){ 0 };
	sparkplug = record_append(pdu->ctx->record, &record->sparkplug, sparkplug_tables, 0);
	if (sparkplug == NULL)
		return false;
	record_present(&record->head, MQTT_HAS_SPARKPLUG);
	sparkplug->namespace = namespace_b;
	put_part(pdu, &sparkplug->message_type, topic->type);
	if (topic->is_state) {
		put_part(pdu, &sparkplug->host_id, topic->host);
		record_present(&sparkplug->head, SPARKPLUG_HAS_HOST);
		return false; /* its payload is JSON text: the message shows it */
	}
	put_part(pdu, &sparkplug->group_id, topic->group);
	put_part(pdu, &sparkplug->edge_node_id, topic->node);
	record_present(&sparkplug->head, SPARKPLUG_HAS_NODE);
	if (cursor_left(&topic->device) > 0) {
		put_part(pdu, &sparkplug->device_id, topic->device);
		record_present(&sparkplug->head, SPARKPLUG_HAS_DEVICE);
	}
	if (!sparkplug_payload_read(pdu, sparkplug, payload, owner_of(topic))) {
		if (pdu->cut_len == 0)
			proto_event(pdu->ctx, MQTT_EVENT_SPARKPLUG_MALFORMED);
		return false;
	}
	check_sequence(pdu, topic, sparkplug);
	return pdu->cut_len == 0;
}
