#include "app/millrace/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/config/config.h"

enum { FILTER = 1, SITE, ZONE, EXPIRES, FORCE, CSV };

/* Filters are query parameters with dashes for underscores; the aggregator judges their values. */
static const struct option longs[] = {
	{ "aggregator", required_argument, NULL, 'a' },
	{ "token-file", required_argument, NULL, 't' },
	{ "ca", required_argument, NULL, 'C' },
	{ "socket", required_argument, NULL, 's' },
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "csv", no_argument, NULL, CSV },
	{ "long", no_argument, NULL, 'l' },
	{ "all", no_argument, NULL, 'A' },
	{ "follow", no_argument, NULL, 'F' },
	{ "site", required_argument, NULL, SITE },
	{ "zone", required_argument, NULL, ZONE },
	{ "expires", required_argument, NULL, EXPIRES },
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, FORCE },
	{ "sensor", required_argument, NULL, FILTER },
	{ "since", required_argument, NULL, FILTER },
	{ "until", required_argument, NULL, FILTER },
	{ "src-ip", required_argument, NULL, FILTER },
	{ "dest-ip", required_argument, NULL, FILTER },
	{ "ip", required_argument, NULL, FILTER },
	{ "port", required_argument, NULL, FILTER },
	{ "proto", required_argument, NULL, FILTER },
	{ "app-proto", required_argument, NULL, FILTER },
	{ "event-type", required_argument, NULL, FILTER },
	{ "type", required_argument, NULL, FILTER },
	{ "signature-id", required_argument, NULL, FILTER },
	{ "severity", required_argument, NULL, FILTER },
	{ "function", required_argument, NULL, FILTER },
	{ "flow-id", required_argument, NULL, FILTER },
	{ "limit", required_argument, NULL, FILTER },
	{ "bucket", required_argument, NULL, FILTER },
	{ "after", required_argument, NULL, FILTER },
	{ "cursor", required_argument, NULL, FILTER },
	{ "name", required_argument, NULL, FILTER }, /* of a capture, as those that follow */
	{ "frames", required_argument, NULL, FILTER },
	{ "seconds", required_argument, NULL, FILTER },
	{ "bytes", required_argument, NULL, FILTER },
	{ NULL, 0, NULL, 0 },
};

/* The query parameter that an option stands for. */
static const char *
parameter_of(const char *option)
{
	static const struct {
		const char *option, *parameter;
	} renamed[] = {
		{ "src-ip", "src_ip" }, { "dest-ip", "dest_ip" }, { "app-proto", "app_proto" },
		{ "event-type", "event_type" }, { "type", "event_type" }, { "signature-id", "signature_id" },
		{ "flow-id", "flow_id" },
	};

	for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++)
		if (strcmp(renamed[i].option, option) == 0)
			return renamed[i].parameter;
	return option;
}

struct file_settings {
	const char *aggregator;
	const char *token_file;
	const char *ca;
	const char *socket;
};

static const struct knob knobs[] = {
	{ "aggregator", KNOB_TEXT, offsetof(struct file_settings, aggregator), 0, 0, NULL, NULL,
		"https://HOST:PORT of the query API" },
	{ "token-file", KNOB_TEXT, offsetof(struct file_settings, token_file), 0, 0, NULL, NULL,
		"file with the API's bearer token" },
	{ "ca", KNOB_TEXT, offsetof(struct file_settings, ca), 0, 0, NULL, NULL, "the CA of the API's certificate, PEM" },
	{ "socket", KNOB_TEXT, offsetof(struct file_settings, socket), 0, 0, NULL, NULL, "the sensor's control socket" },
};

static const struct knob_table table = { "millrace", knobs, sizeof(knobs) / sizeof(knobs[0]) };

/* The first of flag, environment, file and fallback that says something. */
static const char *
choose(const char *flag, const char *variable, const char *file, const char *fallback)
{
	const char *environment = getenv(variable);

	if (flag != NULL)
		return flag;
	if (environment != NULL && environment[0] != '\0')
		return environment;
	return file[0] != '\0' ? file : fallback;
}

static int
add_file(struct options *out, const char *path)
{
	const struct knob_table *const tables[] = { &table };
	struct file_settings file;
	struct config_error err;

	if (path == NULL)
		path = getenv("MILLRACE_CONFIG");
	if (config_load(&out->config, path, &err) != 0 || config_apply(out->config, &table, &file, &err) != 0 ||
	    config_check_unknown(out->config, tables, 1, &err) != 0) {
		fprintf(stderr, "millrace: %s\n", err.text);
		return STATUS_USAGE;
	}
	out->aggregator = choose(out->aggregator, "MILLRACE_AGGREGATOR", file.aggregator, "https://localhost:8444");
	out->token_file = choose(out->token_file, "MILLRACE_TOKEN_FILE", file.token_file, NULL);
	out->ca = choose(out->ca, "MILLRACE_CA", file.ca, NULL);
	out->socket = choose(out->socket, "MILLRACE_SOCKET", file.socket, "/run/millrace/control.sock");
	return STATUS_DONE;
}

bool
options_read_span(const char *text, uint64_t *out_s)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || number == 0 || number > 1000000000)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0) {
			*out_s = number * units[i].seconds;
			return true;
		}
	return false;
}

/* "2h" is two hours ago. A number alone is seconds since the Unix epoch, which the aggregator reads. */
static const char *
time_of(struct options *out, const char *name, const char *value)
{
	static const char *const names[OPTIONS_TIMES] = { "since", "until" };
	uint64_t span_s, now_s = (uint64_t)time(NULL);

	for (size_t i = 0; i < OPTIONS_TIMES; i++) {
		if (strcmp(names[i], name) != 0 || !options_read_span(value, &span_s) ||
		    span_s > now_s)
			continue;
		snprintf(out->times[i], sizeof(out->times[i]), "%llu", (unsigned long long)(now_s - span_s));
		return out->times[i];
	}
	return value;
}

static bool
add_filter(struct options *out, const char *name, const char *value)
{
	if (out->filter_count == OPTIONS_FILTERS_MAX)
		return false;
	out->filters[out->filter_count].name = parameter_of(name);
	out->filters[out->filter_count].value = time_of(out, name, value);
	out->filter_count++;
	return true;
}

int
options_read(struct options *out, int argc, char **argv)
{
	const char *config_path = NULL;
	int index = 0;
	int option;

	*out = (struct options){ 0 };
	while ((option = getopt_long(argc, argv, "c:jlo:", longs, &index)) != -1) {
		switch (option) {
		case 'a': out->aggregator = optarg; break;
		case 't': out->token_file = optarg; break;
		case 'C': out->ca = optarg; break;
		case 's': out->socket = optarg; break;
		case 'c': config_path = optarg; break;
		case 'j': out->json = true; break;
		case CSV: out->csv = true; break;
		case 'l': out->longer = true; break;
		case 'A': out->all = true; break;
		case 'F': out->follow = true; break;
		case 'o': out->output = optarg; break;
		case SITE: out->site = optarg; break;
		case ZONE: out->zone = optarg; break;
		case EXPIRES: out->expires = optarg; break;
		case FORCE: out->force = true; break;
		case FILTER:
			if (!add_filter(out, longs[index].name, optarg)) {
				fprintf(stderr, "millrace: too many filters\n");
				return STATUS_USAGE;
			}
			break;
		default:
			return STATUS_USAGE;
		}
	}
	for (; optind < argc; optind++) {
		if (out->word_count == OPTIONS_WORDS_MAX) {
			fprintf(stderr, "millrace: too many arguments\n");
			return STATUS_USAGE;
		}
		out->words[out->word_count++] = argv[optind];
	}
	return add_file(out, config_path);
}

void
options_free(struct options *options)
{
	config_destroy(options->config);
}
