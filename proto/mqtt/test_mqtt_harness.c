/* The rig of MQTT's unit tests. */
#include "proto/mqtt/test_mqtt.h"

struct mqtt_state flow;
struct mqtt_config config;
_Alignas(8) uint8_t matched[RECORD_LEN_MAX];

static void
keep_matched(unsigned int flags)
{
	if ((flags & PROTO_MATCH) != 0)
		memcpy(matched, rig->builder.base, rig->builder.len);
}

static const struct rig_desc desc = { .proto = &mqtt_proto, .table = &mqtt_table, .state = &flow, .config = &config,
	.slab_len = 4 << 20, .json_flags = PROTO_MATCH | PROTO_EMIT, .seen = keep_matched };

int
setup(void **state)
{
	(void)state;
	config = (struct mqtt_config){ .message_len_max = 1 << 20, .text_len_max = 1024, .open_max = 1024,
		.subscribe_topics = 100, .unsubscribe_topics = 100, .passwords = true };
	return rig_create(&desc);
}

/* Hex, with spaces for the reader; text between quotes is itself; (...) stands behind a byte that is its length. */
size_t
bytes_of(const char *text, uint8_t *out, size_t cap)
{
	size_t open[16], depth = 0;
	size_t len = 0;
	bool quoted = false;

	for (; *text != '\0'; text++) {
		unsigned int byte;

		assert_true(len < cap);
		if (!quoted && *text == '(') {
			assert_true(depth < TEST_COUNT(open));
			open[depth++] = len++;
		} else if (!quoted && *text == ')') {
			assert_true(depth > 0 && len - open[depth - 1] <= 128);
			depth--;
			out[open[depth]] = (uint8_t)(len - open[depth] - 1);
		} else if (*text == '\'') {
			quoted = !quoted;
		} else if (quoted) {
			out[len++] = (uint8_t)*text;
		} else if (*text != ' ') {
			assert_int_equal(sscanf(text, "%2x", &byte), 1);
			out[len++] = (uint8_t)byte;
			text++;
		}
	}
	assert_int_equal(depth, 0);
	return len;
}

/* Whole packets. */
void
feed_bytes(const uint8_t *data, size_t len, bool to_server)
{
	assert_int_equal(rig_feed(data, len, to_server), len);
}

void
feed(const char *text, bool to_server)
{
	static uint8_t data[DATA_MAX];

	feed_bytes(data, bytes_of(text, data, sizeof(data)), to_server);
}

/* Pieces of both directions: "> HEX" from the client, "< HEX" from the server. */
void
talk(const char *script)
{
	char piece[1024];

	while (*script != '\0') {
		bool to_server = *script == '>';
		size_t len = strcspn(script + 1, "<>");

		assert_true((*script == '<' || to_server) && len < sizeof(piece));
		memcpy(piece, script + 1, len);
		piece[len] = '\0';
		feed(piece, to_server);
		script += 1 + len;
	}
}

const char connect_311[] = "10 (0004 'MQTT' 04 c2 003c 0002 'P1' 0001 'u' 0001 'p')";
const char connect_5[] = "10 (0004 'MQTT' 05 02 003c 03 210014 0001 'c')";
const char connack_311[] = "20 (0000)";
const char connack_5[] = "20 (0000 03 22000a)";

void
greet(const char *connect, const char *connack)
{
	feed(connect, CLIENT);
	feed(connack, SERVER);
}
