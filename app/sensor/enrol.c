/* `enrol FILE`: makes this box a sensor, once, by the activation file that `millrace sensors invite` wrote. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/sensor/command.h"
#include "lib/enrol/client.h"
#include "lib/link/uplink.h"
#include "lib/link/way.h"

static const char usage[] = "usage: millrace-sensor enrol FILE [-c FILE] [--again] [--set KEY=VALUE]...";

/* Takes --again out of the arguments: it is this command's alone. */
static bool
take_again(int *argc, char **argv)
{
	int kept = 0;
	bool again = false;

	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "--again") == 0)
			again = true;
		else
			argv[kept++] = argv[i];
	}
	*argc = kept;
	return again;
}

static int
enrol(const struct enrol_config *config, const char *file, const struct uplink_config *uplink, const struct way_set *ways, bool again)
{
	const struct enrol_way way = {
		.ways = ways,
		.connect_timeout_ms = uplink->connect_timeout_ms,
		.timeout_ms = uplink->timeout_ms,
		.crl = uplink->crl,
		.pin = uplink->pin,
		.key = config->key,
	};
	const char *dir = config->dir;
	char error[IDENTITY_ERROR_MAX];
	struct activation activation;
	struct enrol_identity identity;
	char until[32] = "";
	time_t end;
	struct tm parts;
	int rc = activation_read(&activation, file, error);

	if (rc == 0)
		rc = enrol_activate(dir, &activation, &way, again, error);
	if (rc == 0)
		rc = enrol_identity_load(&identity, dir, error);
	activation_free(&activation);
	if (rc != 0) {
		fprintf(stderr, "millrace-sensor: %s: %s\n", file, error);
		return 1;
	}
	end = (time_t)identity.not_after_s;
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &parts));
	printf("enrolled as %s until %s, renewed by itself before; key and certificate: %s\n", identity.sensor, until,
		identity.pem);
	printf("the activation file has done its work: remove it\n");
	return 0;
}

/* An HTTPS proxy that has no CA of its own is checked by the one that the activation file brings. */
static int
enrol_by_ways(const struct enrol_config *config, const char *file, const struct uplink_config *uplink, bool again)
{
	struct uplink_config with_ca = *uplink;
	char ca[IDENTITY_PATH_MAX];
	struct config_error err;
	struct way_set *ways;

	snprintf(ca, sizeof(ca), "%s/ca.pem", config->dir);
	if (uplink->ca[0] == '\0')
		with_ca.ca = ca;
	if (uplink_ways_read(&ways, &with_ca, &err) != 0) {
		fprintf(stderr, "millrace-sensor: %s\n", err.text);
		return 1;
	}
	int rc = enrol(config, file, uplink, ways, again);

	way_set_destroy(ways);
	return rc;
}

int
command_enrol(int argc, char **argv)
{
	static struct command_args args;
	struct settings settings;
	struct uplink_config uplink;
	struct enrol_config config;
	struct config_error err;
	bool again = take_again(&argc, argv);
	int rc = command_parse_words(&args, argc, argv, usage);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (args.word_count != 1) {
		fprintf(stderr, "%s\n", usage);
		return 2;
	}
	if (command_load(&settings, &args) != 0)
		return 1;
	rc = 1;
	if (config_apply(settings.config, &uplink_knobs, &uplink, &err) != 0 ||
	    config_apply(settings.config, &enrol_knobs, &config, &err) != 0) {
		fprintf(stderr, "millrace-sensor: %s\n", err.text);
	} else if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		rc = enrol_by_ways(&config, args.words[0], &uplink, again);
		curl_global_cleanup();
	}
	settings_destroy(&settings);
	return rc;
}
