#include "app/bench/generate.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/bench/plant/plant.h"
#include "app/bench/plant/script.h"

enum {
	EXIT_USAGE = 2,
	SCENARIO_LEN_MAX = 1 << 20,
	SCENARIO_OUTSTATION_SIZE = 24,
	SCENARIOS_MAX = 512,
	DEFAULT_SECONDS = 60,
	RATE_MAX = 10000000,
	APART_MAX_S = 86400,
};

static const uint64_t second_ns = 1000000000;
static const uint64_t start_default_ns = UINT64_C(1767225600000000000); /* 2026-01-01T00:00:00Z */

struct generate_args {
	struct plant_config plant;
	const char *scenarios[SCENARIOS_MAX]; /* each a file or the text itself */
	unsigned int scenario_count;          /* 0: a plant */
	uint64_t apart_ns;                    /* from the start of one scenario to that of the next */
	bool timed; /* --seconds was given */
	bool list;
	bool help;
	bool quiet;
	char err[160];
};

/* One row an option: parsing and the usage page. */
struct generate_option {
	const char *name;
	const char *value; /* what it takes, for the usage; NULL: nothing */
	int (*set)(struct generate_args *args, const char *value);
	const char *help;
};

static int
number_of(struct generate_args *args, const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (end == text || *end != '\0' || errno != 0 || *text == '-' || value > max) {
		(void)snprintf(args->err, sizeof(args->err), "\"%s\" is not a number from 0 to %llu", text,
			(unsigned long long)max);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

static int
count_of(struct generate_args *args, const char *text, unsigned int min, unsigned int max, unsigned int *out)
{
	uint64_t value;

	if (number_of(args, text, max, &value) != 0 || value < min) {
		(void)snprintf(args->err, sizeof(args->err), "\"%s\" is not a number from %u to %u", text, min, max);
		return -EINVAL;
	}
	*out = (unsigned int)value;
	return 0;
}

static int
set_out(struct generate_args *args, const char *value)
{
	args->plant.capture.path = value;
	return 0;
}

static int
set_seed(struct generate_args *args, const char *value)
{
	return number_of(args, value, UINT64_MAX, &args->plant.seed);
}

static int
set_frames(struct generate_args *args, const char *value)
{
	return number_of(args, value, UINT64_MAX / 1000000000 / 1000, &args->plant.capture.frames_max);
}

static int
set_seconds(struct generate_args *args, const char *value)
{
	uint64_t seconds;

	if (number_of(args, value, UINT32_MAX, &seconds) != 0)
		return -EINVAL;
	args->plant.duration_ns = seconds * second_ns;
	args->timed = true;
	return 0;
}

static int
set_size(struct generate_args *args, const char *value)
{
	uint64_t mib;

	if (number_of(args, value, 1 << 20, &mib) != 0)
		return -EINVAL;
	args->plant.capture.bytes_max = mib << 20;
	return 0;
}

static int
set_plcs(struct generate_args *args, const char *value)
{
	return count_of(args, value, 1, PLANT_PLCS_MAX, &args->plant.plcs);
}

static int
set_hmis(struct generate_args *args, const char *value)
{
	return count_of(args, value, 1, PLANT_HMIS_MAX, &args->plant.hmis);
}

static int
set_rtus(struct generate_args *args, const char *value)
{
	return count_of(args, value, 1, PLANT_RTUS_MAX, &args->plant.rtus);
}

static int
set_rate(struct generate_args *args, const char *value)
{
	return count_of(args, value, 0, RATE_MAX, &args->plant.rate);
}

static int
set_segment(struct generate_args *args, const char *value)
{
	unsigned int len;

	if (count_of(args, value, 0, PLANT_TCP_MSS, &len) != 0)
		return -EINVAL;
	args->plant.segment_len_max = (uint16_t)len;
	return 0;
}

static int
set_start(struct generate_args *args, const char *value)
{
	struct tm tm = { 0 };
	const char *end = strptime(value, "%Y-%m-%dT%H:%M:%SZ", &tm);
	uint64_t seconds;

	if (end != NULL && *end == '\0') {
		args->plant.start_ns = (uint64_t)timegm(&tm) * second_ns;
		return 0;
	}
	if (number_of(args, value, UINT32_MAX, &seconds) == 0) {
		args->plant.start_ns = seconds * second_ns;
		return 0;
	}
	(void)snprintf(
		args->err, sizeof(args->err), "\"%s\" is neither 2026-01-02T03:04:05Z nor seconds since 1970", value);
	return -EINVAL;
}

static int
set_protocols(struct generate_args *args, const char *value)
{
	args->plant.protocols = 0;
	while (*value != '\0') {
		size_t len = strcspn(value, ",");
		unsigned int i = 0;

		while (i < plant_protocol_count &&
			(strlen(plant_protocols[i].name) != len || memcmp(plant_protocols[i].name, value, len) != 0))
			i++;
		if (i == plant_protocol_count) {
			(void)snprintf(args->err, sizeof(args->err), "unknown protocol \"%.*s\"", (int)len, value);
			return -EINVAL;
		}
		args->plant.protocols |= 1u << i;
		value += len + (value[len] == ',');
	}
	return 0;
}

static int
set_attack(struct generate_args *args, const char *value)
{
	while (*value != '\0') {
		size_t len = strcspn(value, ",");
		const struct plant_attack *attack = plant_attack_find(value, len);

		if (attack == NULL || args->plant.attack_count == PLANT_ATTACKS_MAX) {
			(void)snprintf(args->err, sizeof(args->err), "%s \"%.*s\"",
				attack == NULL ? "unknown attack" : "too many attacks at", (int)len, value);
			return -EINVAL;
		}
		args->plant.attacks[args->plant.attack_count++] = attack;
		value += len + (value[len] == ',');
	}
	return 0;
}

static int
set_fault(struct generate_args *args, const char *value)
{
	return plant_fault_parse(value, args->plant.fault_permille, args->err, sizeof(args->err));
}

static int
set_nanoseconds(struct generate_args *args, const char *value)
{
	args->plant.capture.nanoseconds = true;
	return 0;
}

static int
set_scenario(struct generate_args *args, const char *value)
{
	if (args->scenario_count == SCENARIOS_MAX) {
		(void)snprintf(args->err, sizeof(args->err), "more than %d", SCENARIOS_MAX);
		return -EINVAL;
	}
	args->scenarios[args->scenario_count++] = value;
	return 0;
}

static int
set_apart(struct generate_args *args, const char *value)
{
	uint64_t seconds = 0;
	int err = number_of(args, value, APART_MAX_S, &seconds);

	args->apart_ns = seconds * second_ns;
	return err;
}

static int
set_quiet(struct generate_args *args, const char *value)
{
	args->quiet = true;
	return 0;
}

static int
set_list(struct generate_args *args, const char *value)
{
	args->list = true;
	return 0;
}

static int
set_help(struct generate_args *args, const char *value)
{
	args->help = true;
	return 0;
}

static const struct generate_option options[] = {
	{ "out", "FILE", set_out, "the capture to write, - for standard output" },
	{ "seed", "N", set_seed, "the same seed gives the same bytes [1]" },
	{ "frames", "N", set_frames, "exactly so many frames" },
	{ "seconds", "N", set_seconds, "so much time of the plant, 0: until --frames or --size end it [0 with one of these, else 60]" },
	{ "size", "MIB", set_size, "at most so large a file" },
	{ "start", "TIME", set_start, "time of the first frame [2026-01-01T00:00:00Z]" },
	{ "plcs", "N", set_plcs, "controllers [8]" },
	{ "hmis", "N", set_hmis, "operator stations, each polls every controller [2]" },
	{ "rtus", "N", set_rtus, "outstations, every third on UDP [6]" },
	{ "protocols", "LIST", set_protocols, "which ones are spoken [modbus,dnp3]" },
	{ "rate", "FRAMES/S", set_rate, "makes every poller quicker or slower to come near it" },
	{ "attack", "LIST", set_attack, "what an intruder does, one after the other over the run" },
	{ "fault", "LIST", set_fault, "what goes wrong: NAME or NAME=PERMILLE" },
	{ "segment", "BYTES", set_segment, "no TCP segment carries more" },
	{ "nanoseconds", NULL, set_nanoseconds, "times in nanoseconds; microseconds otherwise" },
	{ "scenario", "FILE|TEXT", set_scenario, "no plant: the conversations of a script; may come again" },
	{ "apart", "SECONDS", set_apart, "from one scenario's start to the next one's, each with the next seed [0]" },
	{ "quiet", NULL, set_quiet, "no summary" },
	{ "list", NULL, set_list, "lists protocols, attacks and faults" },
	{ "help", NULL, set_help, "this page" },
};
enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };

static void
generate_usage(const char *program)
{
	(void)printf("usage: %s --out FILE.pcap [options]\n", program);
	for (unsigned int i = 0; i < OPTION_COUNT; i++)
		(void)printf("  --%-12s %-10s %s\n", options[i].name, options[i].value == NULL ? "" : options[i].value,
			options[i].help);
}

static void
generate_list(void)
{
	(void)printf("protocols:\n");
	for (unsigned int i = 0; i < plant_protocol_count; i++)
		(void)printf("  %-26s %s\n", plant_protocols[i].name, plant_protocols[i].help);
	(void)printf("attacks:\n");
	for (unsigned int i = 0; i < plant_attack_count; i++)
		(void)printf("  %-26s %s\n", plant_attacks[i].name, plant_attacks[i].help);
	(void)printf("faults (permille):\n");
	for (unsigned int i = 0; i < PLANT_FAULT_COUNT; i++)
		(void)printf("  %-20s %5u %s\n", plant_faults[i].name, plant_faults[i].permille, plant_faults[i].help);
}

/* Without any bound it would go on until the disk is full. @return 0 or -EINVAL */
static int
generate_bound(struct generate_args *args)
{
	struct plant_config *plant = &args->plant;

	if (plant->duration_ns != 0 || plant->capture.frames_max != 0 || plant->capture.bytes_max != 0 || args->scenario_count != 0)
		return 0;
	if (!args->timed)
		plant->duration_ns = DEFAULT_SECONDS * second_ns;
	return args->timed ? -EINVAL : 0;
}

static int
generate_parse(struct generate_args *args, int argc, char **argv)
{
	struct option longs[OPTION_COUNT + 1] = { 0 };
	int idx;
	int c;

	for (unsigned int i = 0; i < OPTION_COUNT; i++)
		longs[i] = (struct option){ .name = options[i].name,
			.has_arg = options[i].value == NULL ? no_argument : required_argument };
	optind = 0;
	while ((c = getopt_long(argc, argv, "", longs, &idx)) != -1) {
		if (c != 0)
			return -EINVAL;
		if (options[idx].set(args, optarg) != 0) {
			(void)fprintf(stderr, "%s: --%s: %s\n", argv[0], options[idx].name, args->err);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: \"%s\": not an option\n", argv[0], argv[optind]);
		return -EINVAL;
	}
	if (args->plant.capture.path == NULL && !args->list && !args->help) {
		(void)fprintf(stderr, "%s: --out is missing\n", argv[0]);
		return -EINVAL;
	}
	if (generate_bound(args) != 0) {
		(void)fprintf(stderr, "%s: --seconds 0 wants --frames or --size, to end by\n", argv[0]);
		return -EINVAL;
	}
	return 0;
}

/* The text of a scenario: a file's content, or the argument itself where no such file is. */
static char *
scenario_read(const char *scenario)
{
	FILE *file = fopen(scenario, "r");
	char *text;
	size_t len;

	if (file == NULL)
		return strdup(scenario);
	text = calloc(1, SCENARIO_LEN_MAX);
	if (text != NULL) {
		len = fread(text, 1, SCENARIO_LEN_MAX - 1, file);
		text[len] = '\0';
	}
	(void)fclose(file);
	return text;
}

static int
scenario_run(struct script *script, struct plant_net *net, uint64_t now_ns)
{
	int more;

	do {
		plant_capture_advance(net->capture, now_ns);
		more = script_step(script, &now_ns);
	} while (more > 0 && !plant_capture_full(net->capture));
	if (more < 0)
		(void)fprintf(stderr, "scenario: %s\n", script->err);
	return more < 0 ? more : 0;
}

/* One scenario, with devices of its own, behind what the capture holds. */
static int
scenario_write(const struct generate_args *args, unsigned int number, struct plant_capture *capture)
{
	uint64_t seed = args->plant.seed + number;
	struct plant_net net = { .random.state = seed, .quiet = true, .segment_len_max = args->plant.segment_len_max,
		.capture = capture };
	char *text = scenario_read(args->scenarios[number]);
	struct plant_plc *plc = calloc(1, sizeof(*plc));
	struct plant_outstation outstation;
	struct script *script = NULL;
	int err = -ENOMEM;

	memcpy(net.fault_permille, args->plant.fault_permille, sizeof(net.fault_permille));
	if (text == NULL || plc == NULL || script_create(&script, &net, text) != 0)
		goto out;
	plant_plc_init(plc, seed);
	plant_outstation_init(&outstation, seed, SCENARIO_OUTSTATION_SIZE);
	outstation.iin = 0; /* it has been running for long */
	script->plc = plc;
	script->outstation = &outstation;
	err = scenario_run(script, &net, args->plant.start_ns + number * args->apart_ns);
out:
	script_destroy(script);
	free(plc);
	free(text);
	return err;
}

static int
generate_scenarios(const struct generate_args *args)
{
	struct plant_capture *capture;
	int err = plant_capture_create(&capture, &args->plant.capture);

	if (err != 0)
		return err;
	for (unsigned int i = 0; i < args->scenario_count && err == 0; i++)
		err = scenario_write(args, i, capture);
	if (err == 0)
		err = plant_capture_finish(capture);
	plant_capture_destroy(capture);
	return err;
}

static void
generate_summary(const struct plant *plant)
{
	const struct plant_capture *capture = plant->net.capture;
	uint64_t last_ns = plant_capture_last_ns(capture);
	double seconds = last_ns <= plant->config.start_ns ? 0 : (double)(last_ns - plant->config.start_ns) / 1e9;

	(void)fprintf(stderr, "%llu frames, %llu bytes, %.3f s of the plant\n",
		(unsigned long long)plant_capture_frames(capture), (unsigned long long)plant_capture_bytes(capture),
		seconds);
	for (unsigned int i = 0; i < PLANT_FAULT_COUNT; i++)
		if (plant->net.fault_count[i] != 0)
			(void)fprintf(stderr, "fault %s: %llu times\n", plant_faults[i].name,
				(unsigned long long)plant->net.fault_count[i]);
}

static int
generate_plant(const struct generate_args *args)
{
	struct plant *plant;
	int err = plant_create(&plant, &args->plant);

	if (err != 0)
		return err;
	err = plant_run(plant);
	if (!args->quiet)
		generate_summary(plant);
	plant_destroy(plant);
	return err;
}

int
generate_main(int argc, char **argv)
{
	struct generate_args args = {
		.plant = { .seed = 1, .start_ns = start_default_ns, .plcs = 8, .hmis = 2, .rtus = 6, .protocols = 3 }
	};
	struct plant_config *plant = &args.plant;
	int err;

	if (generate_parse(&args, argc, argv) != 0) {
		(void)fprintf(stderr, "%s: --help lists the options\n", argv[0]);
		return EXIT_USAGE;
	}
	if (args.help || args.list) {
		if (args.help)
			generate_usage(argv[0]);
		else
			generate_list();
		return EXIT_SUCCESS;
	}
	err = args.scenario_count != 0 ? generate_scenarios(&args) : generate_plant(&args);
	if (err != 0)
		(void)fprintf(stderr, "%s: %s: %s\n", argv[0], plant->capture.path, strerror(-err));
	return err == 0 ? EXIT_SUCCESS : err == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}
