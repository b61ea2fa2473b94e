/* millrace: the operator's command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "app/millrace/by_program.h"
#include "app/millrace/capture.h"
#include "app/millrace/control.h"
#include "app/millrace/options.h"
#include "app/millrace/rules.h"
#include "app/millrace/sensors.h"
#include "app/millrace/stream.h"
#include "app/millrace/text.h"
#include "app/millrace/view.h"

static const char usage[] =
	"usage: millrace VERB [OPTION]...\n"
	"\n"
	"asking the aggregator:\n"
	"  summary               one screen: frames, flows, protocols, alerts, top talkers, losses\n"
	"  flows alerts events   records, newest first; events without a filter by arrival\n"
	"  alerts --follow       alerts as they arrive, until it is stopped\n"
	"  export                every record asked for, a JSON line each\n"
	"  pairs talkers         who talked with whom, over what; addresses; by bytes of their flows\n"
	"  trend                 alerts by hour (--bucket SECONDS) and severity\n"
	"  protocols             function codes and applications, counted\n"
	"  sensors lanes gaps    who delivered, up to where, and what a sensor had to drop\n"
	"  counters              of the aggregator and of each sensor's newest stats record\n"
	"\n"
	"letting sensors in, and shutting them out:\n"
	"  sensors invite NAME   writes an activation file: --site S --zone Z --expires 24h --output FILE\n"
	"  sensors revoke NAME   at once; --force for a name that was not enrolled here\n"
	"  sensors audit         who invited, enrolled, renewed and revoked\n"
	"\n"
	"asking a sensor on this machine:\n"
	"  status                is it well\n"
	"  rules top             the rules that cost most: checks, matches, alerts, cycles\n"
	"  capture start [FILTER]  keeps frames in a file: --name N --frames N --seconds N --bytes N\n"
	"  capture stop|status   ends it; how far it is\n"
	"  control VERB [JSON]   any verb of the control socket, with arguments as a JSON object\n"
	"\n"
	"looking at rule files, without a sensor (by millrace-sensor, which must be installed beside it):\n"
	"  rules check FILE|DIR|GLOB...      which rules load, which do not and why, which are never met or costly\n"
	"  rules explain SID [FILE...]       how a rule is found, and what is verified then\n"
	"\n"
	"trying the ways to the aggregator (by millrace-sensor):\n"
	"  uplink test -c FILE [WAY]         name, connection, each hop, TLS, certificate, authorisation, a test batch\n"
	"\n"
	"making a plant (by millrace-bench):\n"
	"  generate --out FILE ...           a capture of a plant's traffic, attacks and faults; generate --help tells more\n"
	"\n"
	"  --aggregator URL      MILLRACE_AGGREGATOR   default https://localhost:8444\n"
	"  --token-file FILE     MILLRACE_TOKEN_FILE   the API's bearer token\n"
	"  --ca FILE             MILLRACE_CA           the CA of the API's certificate, PEM\n"
	"  --socket PATH         MILLRACE_SOCKET       default /run/millrace/control.sock\n"
	"  -c, --config FILE     MILLRACE_CONFIG       YAML: aggregator, token-file, ca, socket\n"
	"  -j, --json            the answer as it is, for programs\n"
	"  --csv                 the table for spreadsheets (RFC 4180)\n"
	"  -l, --long            all that flows, alerts and events say, a line a value\n"
	"\n"
	"filters: --sensor --since --until --src-ip --dest-ip --ip --port --proto --app-proto --type\n"
	"  --flow-id --signature-id --severity --function; --limit N (1..1000) --cursor CURSOR --all --follow\n"
	"  times are RFC 3339, seconds since the Unix epoch, or ago: 90s 30m 24h 7d; --ip and its like may be networks;\n"
	"  --function is a number; what a verb takes is in docs/guide/aggregator.md\n"
	"\n"
	"exit status: 0 done, 1 refused, 2 wrong usage, 3 no connection\n";

static int
wrong_usage(const char *why)
{
	fprintf(stderr, "millrace: %s\nmillrace --help tells more\n", why);
	return STATUS_USAGE;
}

/* An option that the verb does not take would be passed over. @return what to say of it, NULL: there is none */
static const char *
misplaced(const struct options *options, const char *verb)
{
	const char *second = options->word_count > 1 ? options->words[1] : "";
	bool invites = strcmp(verb, "sensors") == 0 && strcmp(second, "invite") == 0;
	bool revokes = strcmp(verb, "sensors") == 0 && strcmp(second, "revoke") == 0;
	bool bare = strcmp(verb, "status") == 0 || strcmp(verb, "control") == 0;
	bool local = bare || strcmp(verb, "capture") == 0 || strcmp(verb, "rules") == 0;

	if (!invites && (options->site != NULL || options->zone != NULL || options->expires != NULL || options->output != NULL))
		return "--site, --zone, --expires and --output are for sensors invite";
	if (!revokes && options->force)
		return "--force is for sensors revoke";
	if ((invites || revokes) && options->filter_count > 0)
		return "sensors invite and revoke take no filters";
	if (bare && options->filter_count > 0)
		return "status and control take no filters; a verb's arguments are a JSON object: control flows '{\"limit\":10}'";
	if (local && (options->csv || options->longer || options->all))
		return "--csv, --long and --all are for what the aggregator is asked";
	return NULL;
}

static int
run(const struct options *options)
{
	const char *verb = options->word_count > 0 ? options->words[0] : "";
	const char *wrong = misplaced(options, verb);

	if (wrong != NULL)
		return wrong_usage(wrong);
	if (strcmp(verb, "control") == 0 && options->word_count >= 2 && options->word_count <= 3)
		return control_run(options, options->words[1], options->words[2]);
	if (strcmp(verb, "capture") == 0 && options->word_count <= 3)
		return capture_run(options);
	if (strcmp(verb, "rules") == 0 && options->word_count == 2 && strcmp(options->words[1], "top") == 0)
		return rules_top(options);
	if (strcmp(verb, "sensors") == 0 && options->word_count >= 2)
		return sensors_run(options);
	if ((options->csv || options->longer) && (options->follow || strcmp(verb, "export") == 0))
		return wrong_usage("--csv and --long are not for what is streamed");
	if (strcmp(verb, "alerts") == 0 && options->word_count == 1 && options->follow)
		return stream_follow(options);
	if (options->follow)
		return wrong_usage("--follow is for alerts");
	if (strcmp(verb, "export") == 0 && options->word_count == 1)
		return stream_export(options);
	if (strcmp(verb, "status") == 0 && options->word_count == 1)
		return control_run(options, "status", NULL);
	if (options->word_count == 0)
		return wrong_usage("which verb?");
	if (options->word_count != 1 || !view_exists(verb) || strcmp(verb, "audit") == 0)
		return wrong_usage("no such verb, or arguments that it does not take");
	return view_run(options, verb);
}

/* Wherever it stands: who does not know a verb's options asks behind the verb. */
static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 || (i == 1 && strcmp(argv[i], "help") == 0))
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	struct options options;
	int status;

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("millrace " MILLRACE_VERSION "\n");
		return STATUS_DONE;
	}
	if (argc > 2 && strcmp(argv[1], "rules") == 0 && (strcmp(argv[2], "check") == 0 || strcmp(argv[2], "explain") == 0))
		return by_program("millrace-sensor", "sensor", argv);
	if (argc > 2 && strcmp(argv[1], "uplink") == 0 && strcmp(argv[2], "test") == 0)
		return by_program("millrace-sensor", "sensor", argv);
	if (argc > 1 && strcmp(argv[1], "generate") == 0)
		return by_program("millrace-bench", "bench", argv);
	if (asks_for_help(argc, argv)) {
		printf("%s", usage);
		return STATUS_DONE;
	}
	json_object_seed(0);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	status = options_read(&options, argc, argv);
	if (status == STATUS_DONE)
		status = run(&options);
	/* A program must not take what a full disk left of an answer for the whole. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_DONE) {
		fprintf(stderr, "millrace: the output cannot be written\n");
		status = STATUS_FAILED;
	}
	options_free(&options);
	curl_global_cleanup();
	return status;
}
