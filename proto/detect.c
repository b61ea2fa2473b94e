#include "proto/detect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const log_choices[] = { "all", "changes", "summary", "alerts", NULL };

static const struct {
	const char *suffix;
	enum knob_type type;
	size_t offset;
	uint64_t min, max;
	const char *fallback;
	const char *help;
} common_knobs[PROTO_KNOBS_MAX] = {
#define AT(member) offsetof(struct proto_setting, member)
	{ "enabled", KNOB_BOOL, AT(enabled), 0, 0, "yes", "recognise and parse it" },
	{ "detection-ports.dp", KNOB_LIST, AT(ports), 0, 0, NULL,
		"usual server ports: asked first there, found by content anywhere" },
	{ "detection-ports.sp", KNOB_ACCEPTED, 0, 0, 0, NULL, "a port of detection-ports.dp counts at either end" },
	{ "log", KNOB_CHOICE, AT(log), 0, 0, "all",
		"which records are written: every transaction, not those whose values are all as before, a summary of each flow, or none "
		"but alerts" },
	{ "summary-interval", KNOB_NUMBER, AT(summary_interval_s), 1, 86400, "60",
		"seconds between summaries of a flow of which records were not written" },
	{ "log-cyclic", KNOB_CHOICE, AT(log_cyclic), 0, 0, NULL, "the same of cyclic data; log is the most that is written" },
#undef AT
};

/* The last knob is of those alone that have cyclic data. */
static unsigned int
knob_count(const struct proto *proto)
{
	return proto->cyclic != PROTO_LOG_ALL ? PROTO_KNOBS_MAX : PROTO_KNOBS_MAX - 1;
}

static int
setting_knobs_create(struct proto_setting *setting)
{
	const struct proto *proto = setting->proto;
	unsigned int count = knob_count(proto);

	for (unsigned int i = 0; i < count; i++) {
		char name[128];

		snprintf(name, sizeof(name), "app-layer.protocols.%s.%s", proto->app.name, common_knobs[i].suffix);
		setting->names[i] = strdup(name);
		if (setting->names[i] == NULL)
			return -ENOMEM;
		setting->knobs[i] = (struct knob){ .name = setting->names[i], .type = common_knobs[i].type,
			.offset = common_knobs[i].offset, .min = common_knobs[i].min, .max = common_knobs[i].max,
			.fallback = common_knobs[i].fallback, .choices = common_knobs[i].type == KNOB_CHOICE ? log_choices : NULL,
			.help = common_knobs[i].help };
	}
	if (count == PROTO_KNOBS_MAX)
		setting->knobs[PROTO_KNOBS_MAX - 1].fallback = log_choices[proto->cyclic];
	setting->table = (struct knob_table){ .owner = proto->app.name, .knobs = setting->knobs, .count = count };
	return 0;
}

/* What is said of all records bounds what is said of cyclic ones. */
static void
set_levels(struct proto_setting *setting)
{
	unsigned int cyclic = setting->log_cyclic > setting->log ? setting->log_cyclic : setting->log;

	setting->levels = (struct proto_levels){ .usual = (uint8_t)setting->log, .cyclic = (uint8_t)cyclic,
		.summary_interval_s = (uint32_t)setting->summary_interval_s,
		.kind = proto_volume_kind(setting->proto->app.record, setting->proto->kind) };
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
	set_levels(setting);
	if (rc == 0 && proto->knobs != NULL)
		rc = config_apply(config, proto->knobs, setting->config, err);
	return rc == 0 ? add_ports(settings, proto_idx, err) : rc;
}

static void
add_carried(struct proto_settings *settings, bool tcp, struct proto_candidate candidate)
{
	static const struct proto_bytes any = { 0, 255 };
	const struct proto *proto = settings->each[candidate.proto_idx].proto;
	unsigned int place = settings->carried_count[tcp]++, count = proto->start_count;
	const struct proto_bytes *starts = count == 0 ? &any : proto->starts;

	settings->carried[tcp][place] = candidate;
	settings->own[tcp][candidate.proto_idx + 1] = UINT64_C(1) << place;
	for (unsigned int i = 0; i < (count == 0 ? 1 : count); i++)
		for (unsigned int byte = starts[i].low; byte <= starts[i].high; byte++)
			settings->starts[tcp][byte] |= UINT64_C(1) << place;
}

static void
add_candidate(struct proto_settings *settings, unsigned int proto_idx)
{
	const struct proto *proto = settings->each[proto_idx].proto;
	struct proto_candidate candidate = { .probe = proto->probe, .proto_idx = (uint8_t)proto_idx };

	if (!settings->each[proto_idx].enabled)
		return;
	if (proto->ether_types != NULL)
		settings->linked[settings->linked_count++] = candidate;
	if ((proto->transports & PROTO_TCP) != 0)
		add_carried(settings, true, candidate);
	if (proto->probe_datagram != NULL)
		candidate.probe = proto->probe_datagram;
	if ((proto->transports & PROTO_UDP) != 0)
		add_carried(settings, false, candidate);
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
		add_candidate(settings, i);
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
		for (unsigned int j = 0; j < PROTO_KNOBS_MAX; j++)
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
detect_link(const struct proto_settings *settings, const struct proto_input *input, unsigned int *proto_idx)
{
	enum proto_probe verdict = PROTO_PROBE_NO;

	for (unsigned int i = 0; i < settings->linked_count && verdict != PROTO_PROBE_YES; i++) {
		const struct proto_candidate *candidate = &settings->linked[i];

		if (!has_ether_type(settings->each[candidate->proto_idx].proto, input->link->ether_type))
			continue;
		*proto_idx = candidate->proto_idx;
		verdict = candidate->probe(cursor_of(input->data, input->len), input->to_server, true);
	}
	return verdict;
}

/* Those whose bits are set in left, until one is certain. @return the strongest verdict, at least that before */
static enum proto_probe
ask(const struct proto_settings *settings, const struct proto_input *input, uint64_t left, enum proto_probe verdict,
	unsigned int *proto_idx)
{
	unsigned int server = settings->by_port[input->tcp][input->dport];
	unsigned int client = settings->by_port[input->tcp][input->sport];

	for (; left != 0 && verdict != PROTO_PROBE_YES; left &= left - 1) {
		const struct proto_candidate *candidate = &settings->carried[input->tcp][__builtin_ctzll(left)];
		unsigned int number = candidate->proto_idx + 1u;
		enum proto_probe other = candidate->probe(cursor_of(input->data, input->len), input->to_server,
			number == server || number == client);

		if (other == PROTO_PROBE_YES)
			*proto_idx = candidate->proto_idx;
		verdict = other > verdict ? other : verdict;
	}
	return verdict;
}

/*
 * The port's own protocol is asked first, whatever the first byte is: its PDU may stand behind bytes that are none. It may wait for
 * more; another one's certainty ends the wait.
 */
enum proto_probe
proto_detect(const struct proto_settings *settings, const struct proto_input *input, unsigned int *proto_idx)
{
	unsigned int server = settings->by_port[input->tcp][input->dport];
	unsigned int client = settings->by_port[input->tcp][input->sport];
	uint64_t first = settings->own[input->tcp][server != 0 ? server : client];
	enum proto_probe verdict = PROTO_PROBE_NO;
	uint64_t left;

	if (input->link != NULL)
		return detect_link(settings, input, proto_idx);
	left = settings->starts[input->tcp][input->data[0]];
	verdict = ask(settings, input, first, verdict, proto_idx);
	return ask(settings, input, left & ~first, verdict, proto_idx);
}

int
proto_remains_len(const struct proto *proto, const struct proto_input *input, uint32_t at)
{
	uint32_t left = input->len - at;

	if (proto->remains == NULL || left > PROTO_PDU_LEN_MAX || !proto->remains(cursor_of(input->data + at, left), input->to_server, true))
		return 0;
	return (int)left;
}

bool
proto_detect_remains(const struct proto_settings *settings, const struct proto_input *input, unsigned int *proto_idx)
{
	unsigned int server = settings->by_port[input->tcp][input->dport];
	unsigned int client = settings->by_port[input->tcp][input->sport];

	for (unsigned int i = 0; input->ended && i < settings->carried_count[input->tcp]; i++) {
		unsigned int idx = settings->carried[input->tcp][i].proto_idx;
		const struct proto *proto = settings->each[idx].proto;

		*proto_idx = idx;
		if (proto->remains != NULL && proto->remains(cursor_of(input->data, input->len), input->to_server,
			idx + 1 == server || idx + 1 == client))
			return true;
	}
	return false;
}
