#include "proto/detect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const log_choices[] = { "all", "alerts", NULL };

static const struct {
	const char *suffix;
	enum knob_type type;
	const char *fallback;
	const char *help;
} common_knobs[] = {
	{ "enabled", KNOB_BOOL, "yes", "recognise and parse it" },
	{ "detection-ports.dp", KNOB_LIST, NULL, "usual server ports: asked first there, found by content anywhere" },
	{ "log", KNOB_CHOICE, "all", "which records are written: every transaction, or none but alerts" },
};

static int
setting_knobs_create(struct proto_setting *setting)
{
	static const size_t offsets[] = { offsetof(struct proto_setting, enabled), offsetof(struct proto_setting, ports),
		offsetof(struct proto_setting, log) };

	for (unsigned int i = 0; i < 3; i++) {
		char name[128];

		snprintf(name, sizeof(name), "app-layer.protocols.%s.%s", setting->proto->app.name, common_knobs[i].suffix);
		setting->names[i] = strdup(name);
		if (setting->names[i] == NULL)
			return -ENOMEM;
		setting->knobs[i] = (struct knob){ .name = setting->names[i], .type = common_knobs[i].type, .offset = offsets[i],
			.fallback = common_knobs[i].fallback, .choices = i == 2 ? log_choices : NULL, .help = common_knobs[i].help };
	}
	setting->table = (struct knob_table){ .owner = setting->proto->app.name, .knobs = setting->knobs, .count = 3 };
	return 0;
}

static void
add_port(struct proto_settings *settings, unsigned int proto_idx, uint16_t port)
{
	for (unsigned int tcp = 0; tcp < 2; tcp++) {
		bool carried = (settings->each[proto_idx].proto->transports & (tcp ? PROTO_TCP : PROTO_UDP)) != 0;

		if (carried && settings->by_port[tcp][port] == 0)
			settings->by_port[tcp][port] = (uint8_t)(proto_idx + 1);
	}
}

/* A list item: "502", or several as "502, 1502". */
static int
add_port_text(struct proto_settings *settings, unsigned int proto_idx, const char *text, struct config_error *err)
{
	const char *at = text;

	while (*at != '\0') {
		char *end;
		unsigned long port = strtoul(at, &end, 10);

		if (end == at || port == 0 || port > 65535) {
			snprintf(err->text, sizeof(err->text), "%s: \"%.64s\" is not a list of ports",
				settings->each[proto_idx].names[1], text);
			return -EINVAL;
		}
		add_port(settings, proto_idx, (uint16_t)port);
		at = end + strspn(end, ", ");
	}
	return 0;
}

static int
add_ports(struct proto_settings *settings, unsigned int proto_idx, struct config_error *err)
{
	const struct proto_setting *setting = &settings->each[proto_idx];
	size_t i;
	json_t *item;

	if (!setting->enabled)
		return 0;
	for (const uint16_t *port = setting->proto->ports; setting->ports == NULL && port != NULL && *port != 0; port++)
		add_port(settings, proto_idx, *port);
	json_array_foreach(setting->ports, i, item)
	{
		int rc = add_port_text(settings, proto_idx, json_string_value(item), err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
setting_create(struct proto_settings *settings, const struct proto *proto, struct config *config,
	struct config_error *err)
{
	unsigned int proto_idx = settings->count++;
	struct proto_setting *setting = &settings->each[proto_idx];
	int rc;

	setting->proto = proto;
	rc = setting_knobs_create(setting);
	if (rc == 0 && proto->config_len > 0) {
		setting->config = calloc(1, proto->config_len);
		rc = setting->config == NULL ? -ENOMEM : 0;
	}
	if (rc != 0) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return rc;
	}
	rc = config_apply(config, &setting->table, setting, err);
	if (rc == 0 && proto->knobs != NULL)
		rc = config_apply(config, proto->knobs, setting->config, err);
	return rc == 0 ? add_ports(settings, proto_idx, err) : rc;
}

int
proto_settings_create(struct proto_settings **out, const struct proto *const table[], struct config *config,
	struct config_error *err)
{
	struct proto_settings *settings = calloc(1, sizeof(*settings));

	if (settings == NULL) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; table[i] != NULL && i < PROTO_MAX; i++) {
		int rc = setting_create(settings, table[i], config, err);

		if (rc != 0) {
			proto_settings_destroy(settings);
			return rc;
		}
	}
	*out = settings;
	return 0;
}

void
proto_settings_destroy(struct proto_settings *settings)
{
	if (settings == NULL)
		return;
	for (unsigned int i = 0; i < settings->count; i++) {
		free(settings->each[i].config);
		for (unsigned int j = 0; j < 3; j++)
			free(settings->each[i].names[j]);
	}
	free(settings);
}

unsigned int
proto_settings_knobs(const struct proto_settings *settings, const struct knob_table *tables[], unsigned int table_max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < settings->count && count + 2 <= table_max; i++) {
		tables[count++] = &settings->each[i].table;
		if (settings->each[i].proto->knobs != NULL)
			tables[count++] = settings->each[i].proto->knobs;
	}
	return count;
}

unsigned int
proto_settings_count(const struct proto_settings *settings)
{
	return settings->count;
}

const struct proto *
proto_settings_proto(const struct proto_settings *settings, unsigned int proto_idx)
{
	return settings->each[proto_idx].proto;
}

enum proto_log
proto_settings_log(const struct proto_settings *settings, unsigned int proto_idx)
{
	return (enum proto_log)settings->each[proto_idx].log;
}

static bool
has_ether_type(const struct proto *proto, uint16_t ether_type)
{
	const uint16_t *at = proto->ether_types;

	while (at != NULL && *at != 0 && *at != ether_type)
		at++;
	return at != NULL && *at != 0;
}

unsigned int
proto_settings_ether_types(const struct proto_settings *settings, uint16_t ether_types[], unsigned int ether_types_max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < settings->count; i++) {
		const uint16_t *at = settings->each[i].proto->ether_types;

		for (; settings->each[i].enabled && at != NULL && *at != 0 && count < ether_types_max; at++)
			ether_types[count++] = *at;
	}
	return count;
}

/* Frames without IP: the EtherType says whose they are, the probe whether they can be read. */
static enum proto_probe
ask_link(const struct proto_setting *setting, const struct proto_input *input)
{
	if (!setting->enabled || !has_ether_type(setting->proto, input->link->ether_type))
		return PROTO_PROBE_NO;
	return setting->proto->probe(cursor_of(input->data, input->len), input->to_server, true);
}

static enum proto_probe
ask(const struct proto_settings *settings, const struct proto_input *input, unsigned int proto_idx)
{
	const struct proto_setting *setting = &settings->each[proto_idx];
	uint8_t transport = input->tcp ? PROTO_TCP : PROTO_UDP;

	if (input->link != NULL)
		return ask_link(setting, input);
	bool on_port = settings->by_port[input->tcp][input->sport] == proto_idx + 1 ||
		settings->by_port[input->tcp][input->dport] == proto_idx + 1;

	if (!setting->enabled || (setting->proto->transports & transport) == 0)
		return PROTO_PROBE_NO;
	if (!input->tcp && setting->proto->probe_datagram != NULL)
		return setting->proto->probe_datagram(cursor_of(input->data, input->len), input->to_server, on_port);
	return setting->proto->probe(cursor_of(input->data, input->len), input->to_server, on_port);
}

enum proto_probe
proto_detect(const struct proto_settings *settings, const struct proto_input *input, unsigned int *proto_idx)
{
	unsigned int server = settings->by_port[input->tcp][input->dport];
	unsigned int first = server != 0 ? server : settings->by_port[input->tcp][input->sport];
	enum proto_probe verdict = PROTO_PROBE_NO;

	if (first != 0) {
		*proto_idx = first - 1;
		verdict = ask(settings, input, first - 1);
	}
	/* The port's own protocol may wait for more; another one's certainty ends the wait. */
	for (unsigned int i = 0; i < settings->count && verdict != PROTO_PROBE_YES; i++) {
		enum proto_probe other = i + 1 == first ? PROTO_PROBE_NO : ask(settings, input, i);

		if (other == PROTO_PROBE_YES)
			*proto_idx = i;
		if (other > verdict)
			verdict = other;
	}
	return verdict;
}
