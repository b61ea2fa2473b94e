/* Named events of decoding, streams and protocols, and the protocol of a flow. */
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_tests.h"

int
rule_app_find(const struct rule_parser *parser, const char *name, size_t len)
{
	const struct rule_world *world = &parser->set->world;

	for (unsigned int i = 0; i < world->app_count; i++)
		if (strlen(world->apps[i]->name) == len && strncasecmp(world->apps[i]->name, name, len) == 0)
			return (int)i;
	return -1;
}

int
rule_setup_app_layer_event(struct rule_parser *parser, char *value)
{
	struct rule *draft = &parser->draft;
	char *dot = strchr(value, '.');
	int app = dot == NULL ? draft->app : rule_app_find(parser, value, (size_t)(dot - value));
	const char *name = dot == NULL ? value : dot + 1;

	if (dot == NULL && app == RULE_APP_NONE)
		return rule_refuse(parser, "an event is PROTOCOL.EVENT; there is none of all protocols, as \"%.60s\"", value);
	if (app < 0)
		return rule_refuse(parser, "protocol %.*s has no parser here", (int)(dot - value), value);
	if (draft->app != RULE_APP_NONE && draft->app != app)
		return rule_refuse(parser, "the event is of another protocol than the rule");
	const struct rule_app *owner = parser->set->world.apps[app];

	for (unsigned int i = 0; i < owner->event_count; i++)
		if (strcasecmp(owner->events[i].name, name) == 0) {
			draft->app = (uint8_t)app;
			draft->app_events |= UINT64_C(1) << i;
			return 0;
		}
	return rule_refuse(parser, "protocol %s has no event \"%.60s\"", owner->name, name);
}

static int
protocol_add(struct rule_parser *parser, struct rule_protocols *out, const char *name)
{
	int app = rule_app_find(parser, name, strlen(name));

	out->unknown = out->unknown || strcmp(name, "unknown") == 0;
	out->failed = out->failed || strcmp(name, "failed") == 0;
	if (app < 0 && strcmp(name, "unknown") != 0 && strcmp(name, "failed") != 0)
		return rule_refuse(parser, "protocol %.40s has no parser here", name);
	out->apps |= app < 0 ? 0 : UINT64_C(1) << app;
	return 0;
}

/* A flow's two directions are recognised together here: what of them is meant makes a difference while one is silent alone. */
static int
protocol_qualify(struct rule_parser *parser, struct rule_protocols *out, const char *word)
{
	static const struct {
		const char *word;
		uint8_t mode;
	} modes[] = {
		{ "direction", PROTOCOL_FINAL }, { "either", PROTOCOL_FINAL }, { "final", PROTOCOL_FINAL },
		{ "original", PROTOCOL_ORIGINAL }, { "to_server", PROTOCOL_TO_SERVER }, { "toserver", PROTOCOL_TO_SERVER },
		{ "to_client", PROTOCOL_TO_CLIENT }, { "toclient", PROTOCOL_TO_CLIENT },
		{ "exact", PROTOCOL_FINAL }, /* no protocol here is a kind of another one */
	};

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].word, word) != 0)
			continue;
		if (modes[i].mode != PROTOCOL_FINAL)
			out->mode = modes[i].mode;
		return 0;
	}
	return rule_refuse(parser, "\"%.20s\" is not direction, either, final, original, to_server, to_client or exact", word);
}

/* app-layer-protocol:[!]modbus[|dnp3]...[,QUALIFIER]... */
int
rule_setup_app_layer_protocol(struct rule_parser *parser, char *value)
{
	bool negated = *value == '!';
	char *rest = value + negated, *names = rule_split(&rest, ',');
	struct rule_test *test = rule_add_test(parser, rule_test_app_protocol);

	if (test == NULL)
		return -EINVAL;
	test->negated = negated;
	while (names != NULL)
		if (protocol_add(parser, &test->protocols, rule_split(&names, '|')) != 0)
			return -EINVAL;
	while (rest != NULL)
		if (protocol_qualify(parser, &test->protocols, rule_split(&rest, ',')) != 0)
			return -EINVAL;
	if (negated && test->protocols.unknown)
		return rule_refuse(parser, "unknown cannot be negated: what is not known yet may be anything");
	return 0;
}

static int
packet_event(struct rule_parser *parser, const char *name, const char *prefix, int (*find)(const char *), uint64_t *words,
	unsigned int word_count)
{
	size_t len = strlen(prefix);
	int bit = find == NULL ? -1 : find(name);

	if (bit < 0 && find != NULL && strncmp(name, prefix, len) == 0)
		bit = find(name + len);
	if (bit < 0 || (unsigned int)bit >= word_count * 64)
		return rule_refuse(parser, "there is no event \"%.80s\"", name);
	words[bit / 64] |= UINT64_C(1) << bit % 64;
	parser->draft.flags |= RULE_EVENTS;
	return 0;
}

int
rule_setup_decode_event(struct rule_parser *parser, char *value)
{
	return packet_event(parser, value, "decoder.", parser->set->world.decode_event_find, parser->draft.decode_events,
		DECODE_EVENT_WORDS);
}

int
rule_setup_stream_event(struct rule_parser *parser, char *value)
{
	return packet_event(parser, value, "stream.", parser->set->world.stream_event_find, parser->draft.stream_events, 2);
}
