/*
 * One capture, replayed from memory through one worker, once for each depth: receive alone, then with each further
 * part, then all of it with the exporter at work on another core. All in one run, so that the figures can be compared.
 */
#include "app/bench/replay.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/bench/bare.h"
#include "app/bench/memory_source.h"
#include "app/bench/protocols.h"
#include "app/bench/scan.h"
#include "app/sensor/eal.h"
#include "app/sensor/exporter.h"
#include "app/sensor/frame_meta.h"
#include "app/sensor/worker.h"
#include "lib/base/log.h"

enum { POOL_MBUFS = 4096, LOOPS_MAX = 64, SPAN_FRAMES = 4096, SPANS_MAX = 4096 };

struct options {
	const char *path, *config_path, *rules, *eve_dir;
	const char *part;    /* measure this one alone; NULL: all */
	const char *set[64];
	unsigned int set_count;
	unsigned int loops;
	const char *filter;
	uint32_t frames_max;
	bool json, same_flows, no_huge, crowd, per_protocol;
};

/* What one depth came to. Cycles are TSC cycles a frame. */
struct result {
	const char *name;
	double cycles;       /* median of the loops */
	double best, worst;
	double quiet;        /* each stage of each span at its best: what other programs of the machine took is left out */
	double quiet_stages[STAGE_COUNT];
	double stages[STAGE_COUNT];
	double seconds;      /* of all measured loops, wall clock */
	uint64_t frames;
	uint64_t events, events_dropped, event_bytes;
	uint64_t latency_ns[3];
	json_t *drops;
};

struct bench {
	struct options options;
	struct settings settings;
	struct memory_capture capture;
	struct rte_mempool *pool;
	struct ruleset *ruleset;
	struct sink_set *sinks;
	struct bare_result bare;
	double few_flows, million_flows, new_flows; /* cycles a frame: receive, decode, find flows; 0: not measured */
	struct proto_meter *meters; /* [PROTO_MAX], of the part at hand; NULL: PDUs are not measured */
	bool huge_pages;
};

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint64_t
sum_stages(const struct worker *worker)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < STAGE_COUNT; i++)
		sum += worker->stage_cycles[i];
	return sum;
}

/* The least that each stage of each span of the capture took in any loop so far. */
struct spans {
	uint64_t least[SPANS_MAX][STAGE_COUNT];
	unsigned int count;
};

/* @return frames of the span, 0 at the capture's end */
static uint32_t
one_span(struct worker *worker, uint32_t frames)
{
	uint32_t done = 0;
	uint16_t received;

	while (done < frames && (received = worker_burst(worker)) > 0)
		done += received;
	return done;
}

/* One loop over the capture. @return cycles of all stages, a frame */
static double
one_loop(struct bench *bench, struct worker *worker, struct spans *spans, uint32_t loop)
{
	uint64_t before = sum_stages(worker), since[STAGE_COUNT];
	uint32_t frames = bench->capture.frame_count / SPANS_MAX + SPAN_FRAMES;
	unsigned int i = 0;

	if (!bench->options.same_flows)
		memory_capture_rewrite(&bench->capture, loop);
	memory_source_rewind(worker->source, loop);
	memcpy(since, worker->stage_cycles, sizeof(since));
	for (; i < SPANS_MAX && one_span(worker, frames) > 0; i++)
		for (unsigned int j = 0; j < STAGE_COUNT; j++) {
			uint64_t took = worker->stage_cycles[j] - since[j];

			since[j] += took;
			if (loop <= 1 || took < spans->least[i][j])
				spans->least[i][j] = took;
		}
	spans->count = i;
	return (double)(sum_stages(worker) - before) / bench->capture.frame_count;
}

static void
run_loops(struct bench *bench, struct worker *worker, struct result *out)
{
	double cycles[LOOPS_MAX];
	static struct spans spans;
	uint64_t start, cleared;

	(void)one_loop(bench, worker, &spans, 0); /* to warm up */
	memset(worker->stage_cycles, 0, sizeof(worker->stage_cycles));
	proto_engine_measure(worker->protos, bench->meters);
	start = rte_rdtsc();
	for (uint32_t i = 0; i < bench->options.loops; i++)
		cycles[i] = one_loop(bench, worker, &spans, i + 1);
	cleared = rte_rdtsc() - start;
	out->seconds = (double)cleared / (double)rte_get_tsc_hz();
	out->frames = (uint64_t)bench->capture.frame_count * bench->options.loops;
	for (unsigned int i = 0; i < STAGE_COUNT; i++)
		out->stages[i] = (double)worker->stage_cycles[i] / (double)out->frames;
	for (unsigned int i = 0; i < spans.count; i++)
		for (unsigned int j = 0; j < STAGE_COUNT; j++)
			out->quiet_stages[j] += (double)spans.least[i][j] / bench->capture.frame_count;
	for (unsigned int j = 0; j < STAGE_COUNT; j++)
		out->quiet += out->quiet_stages[j];
	qsort(cycles, bench->options.loops, sizeof(cycles[0]), by_value);
	out->best = cycles[0];
	out->cycles = cycles[bench->options.loops / 2];
	out->worst = cycles[bench->options.loops - 1];
}

/* Every counter whose name says that something was lost or cut, zero or not. */
static bool
is_loss(const char *name)
{
	static const char *const words[] = { "drop", "shed", "full", "cut", "limit", "truncated", "gap", "too_long" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(name, words[i]) != NULL)
			return true;
	return false;
}

static json_t *
losses_of(struct worker *worker)
{
	struct counter_set sets[WORKER_COUNTER_SETS_MAX];
	unsigned int count = worker_get_counters(worker, sets, WORKER_COUNTER_SETS_MAX);
	json_t *out = json_object();

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < sets[i].count; j++)
			if (sets[i].descs[j].name != NULL && is_loss(sets[i].descs[j].name))
				json_object_set_new(out, sets[i].descs[j].name, json_integer((json_int_t)counter_get(&sets[i].values[j])));
	return out;
}

static int
start_exporter(struct bench *bench, struct worker **worker, struct exporter **out)
{
	struct exporter_config config = { .settings = &bench->settings, .workers = worker, .worker_count = 1,
		.sinks = bench->sinks, .core = (int)bench->settings.sensor.exporter_core, .measure = true };
	int rc = exporter_create(out, &config);

	return rc == 0 ? exporter_start(*out) : rc;
}

static void
take_exporter(struct exporter *exporter, struct worker *worker, struct result *out)
{
	static const double shares[3] = { 0.5, 0.99, 0.999 };
	struct counter_set set;

	exporter_stop(exporter);
	set = exporter_get_counters(exporter);
	out->event_bytes = counter_get(&set.values[EXPORTER_BYTES]);
	set = event_ring_counters_get(worker->ring);
	out->events = counter_get(&set.values[EVENT_RING_PUSHED]);
	out->events_dropped = counter_get(&set.values[EVENT_RING_DROPPED]);
	for (int i = 0; i < 3; i++)
		out->latency_ns[i] = exporter_latency_ns(exporter, shares[i]);
	exporter_destroy(exporter);
}

static int
measure(struct bench *bench, const char *name, enum worker_depth depth, bool rules, struct result *out)
{
	struct exporter *exporter = NULL;
	struct worker *worker = NULL;
	struct source *source = NULL;
	int rc = memory_source_create(&source, &bench->capture, bench->pool);

	memset(out, 0, sizeof(*out));
	out->name = name;
	memory_capture_rewrite(&bench->capture, 0);
	if (rc == 0)
		rc = worker_create(&worker, 0, &bench->settings, source, rules ? bench->ruleset : NULL);
	if (rc != 0)
		return rc;
	worker->depth = depth;
	worker->measure = true;
	if (depth == WORKER_ALL)
		rc = start_exporter(bench, &worker, &exporter);
	if (rc == 0) {
		run_loops(bench, worker, out);
		worker_finish(worker);
		if (exporter != NULL)
			take_exporter(exporter, worker, out);
		out->drops = losses_of(worker);
	}
	worker_destroy(worker);
	return rc;
}

static json_t *
result_json(const struct result *result)
{
	json_t *stages = json_object(), *quiet = json_object();

	for (unsigned int i = 0; i < STAGE_COUNT; i++) {
		json_object_set_new(stages, worker_stage_names[i], json_real(result->stages[i]));
		json_object_set_new(quiet, worker_stage_names[i], json_real(result->quiet_stages[i]));
	}
	return json_pack("{s:f,s:f,s:f,s:f,s:o,s:o}", "cycles_per_packet", result->cycles, "best", result->best, "worst", result->worst,
		"quiet", result->quiet, "stages", stages, "quiet_stages", quiet);
}

static uint64_t
memory_bytes(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss * 1024;
}

static void
print_json(const struct bench *bench, const struct result *results, unsigned int count, const struct scan_result *scan)
{
	const struct result *all = &results[count - 1];
	double hz = (double)rte_get_tsc_hz();
	double mean_len = (double)bench->capture.bytes / bench->capture.frame_count;
	json_t *root = result_json(all), *limits = json_object();

	for (unsigned int i = 0; i + 1 < count; i++)
		json_object_set_new(limits, results[i].name, result_json(&results[i]));
	json_object_set_new(limits, "hyperscan_alone",
		json_pack("{s:f,s:f,s:I,s:I,s:I,s:i}", "cycles_per_packet", scan->cycles_per_packet, "cycles_per_scan",
			scan->cycles_per_scan, "scans", (json_int_t)scan->scans, "bytes", (json_int_t)scan->bytes, "left_out",
			(json_int_t)scan->left_out, "databases", (int)scan->databases));
	json_object_set_new(root, "limits", limits);
	json_object_set_new(root, "bare", json_pack("{s:f,s:f,s:i}", "rx", bench->bare.rx, "rx+lookup", bench->bare.lookup, "flows",
		(int)bench->bare.flows));
	if (bench->new_flows > 0)
		json_object_set_new(root, "crowd", json_pack("{s:f,s:f,s:f,s:f,s:f}", "thousand_flows", bench->few_flows,
			"million_flows", bench->million_flows, "ratio", bench->million_flows / bench->few_flows, "new_flow",
			bench->new_flows, "new_flows_per_second", hz / bench->new_flows));
	json_object_set_new(root, "frames", json_integer(bench->capture.frame_count));
	json_object_set_new(root, "mean_frame_bytes", json_real(mean_len));
	json_object_set_new(root, "loops", json_integer(bench->options.loops));
	json_object_set_new(root, "tsc_hz", json_integer((json_int_t)hz));
	json_object_set_new(root, "packets_per_second", json_real(hz / all->cycles));
	json_object_set_new(root, "gbit_per_second", json_real(hz / all->cycles * mean_len * 8 / 1e9));
	json_object_set_new(root, "events", json_integer((json_int_t)all->events));
	json_object_set_new(root, "events_dropped", json_integer((json_int_t)all->events_dropped));
	json_object_set_new(root, "events_per_second", json_real((double)all->events / all->seconds));
	json_object_set_new(root, "event_bytes", json_integer((json_int_t)all->event_bytes));
	json_object_set_new(root, "rx_to_event_ns",
		json_pack("{s:I,s:I,s:I}", "p50", (json_int_t)all->latency_ns[0], "p99", (json_int_t)all->latency_ns[1], "p99.9",
			(json_int_t)all->latency_ns[2]));
	json_object_set(root, "drops", all->drops);
	json_object_set_new(root, "memory_bytes", json_integer((json_int_t)memory_bytes()));
	json_object_set_new(root, "rules", json_integer(ruleset_stats_get(bench->ruleset)->rules_loaded));
	json_object_set_new(root, "huge_pages", json_boolean(bench->huge_pages));
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

static void
print_table(const struct bench *bench, const struct result *results, unsigned int count, const struct scan_result *scan)
{
	const struct result *all = &results[count - 1];
	double hz = (double)rte_get_tsc_hz();
	double mean_len = (double)bench->capture.bytes / bench->capture.frame_count;
	const char *key;
	json_t *value;

	printf("%s: %u frames, %.0f bytes on average, %u loops, %u rules, TSC %.2f GHz%s\n\n", bench->options.path,
		bench->capture.frame_count, mean_len, bench->options.loops, ruleset_stats_get(bench->ruleset)->rules_loaded, hz / 1e9,
		bench->huge_pages ? "" : ", no huge pages");
	printf("| part | cycles a packet (median) | best | worst | quiet | of it: ");
	for (unsigned int i = 0; i < STAGE_COUNT; i++)
		printf("%s%s", i > 0 ? ", " : "", worker_stage_names[i]);
	printf(" |\n|---|---|---|---|---|---|\n");
	for (unsigned int i = 0; i < count; i++) {
		printf("| %s | %.0f | %.0f | %.0f | %.0f | ", results[i].name, results[i].cycles, results[i].best, results[i].worst,
			results[i].quiet);
		for (unsigned int j = 0; j < STAGE_COUNT; j++)
			printf("%s%.0f", j > 0 ? ", " : "", results[i].stages[j]);
		printf(" |\n");
	}
	printf("| Hyperscan alone: the same %" PRIu64 " scans in %u databases | %.0f | | | | |\n\n", scan->scans, scan->databases,
		scan->cycles_per_packet);
	printf("%.2f Mpps, %.2f Gbit/s on one worker; %.0f events/s, %" PRIu64 " of %" PRIu64 " events dropped; %" PRIu64
	       " bytes of EVE\n",
		hz / all->cycles / 1e6, hz / all->cycles * mean_len * 8 / 1e9, (double)all->events / all->seconds,
		all->events_dropped, all->events + all->events_dropped, all->event_bytes);
	printf("from rx to event: p50 %" PRIu64 " us, p99 %" PRIu64 " us, p99.9 %" PRIu64 " us; memory %" PRIu64 " MiB\n",
		all->latency_ns[0] / 1000, all->latency_ns[1] / 1000, all->latency_ns[2] / 1000, memory_bytes() >> 20);
	printf("bare DPDK: rx %.0f, with header parse and rte_hash_lookup_bulk_data of %u flows %.0f cycles a packet\n",
		bench->bare.rx, bench->bare.flows, bench->bare.lookup);
	if (bench->new_flows > 0)
		printf("rx+decode+flow: 1,024 flows %.0f, 1,048,576 flows %.0f (%.2f times); new flows: %.0f, %.2f M/s\n",
			bench->few_flows, bench->million_flows, bench->million_flows / bench->few_flows, bench->new_flows,
			hz / bench->new_flows / 1e6);
	printf("losses:");
	json_object_foreach(all->drops, key, value)
		printf(" %s=%lld", key, (long long)json_integer_value(value));
	putchar('\n');
}

static const struct {
	const char *name;
	enum worker_depth depth;
	bool rules;
} depths[] = {
	{ "rx", WORKER_RX_ONLY, false }, { "rx+decode", WORKER_DECODE, false }, { "rx+decode+flow", WORKER_FLOW, false },
	{ "rx+decode+flow+stream", WORKER_STREAM, false }, { "all, no rules", WORKER_ALL, false },
	{ "all", WORKER_ALL, true },
};

/* Receive, decode and find flows, of frames made up. @param fresh  every flow is new in each loop, and the last loop's
 * end. Cycles a frame, of quiet spans. */
static int
measure_crowd(struct bench *bench, uint32_t frames, uint32_t flows, bool fresh, double *cycles)
{
	struct memory_capture kept = bench->capture;
	uint64_t flows_max = bench->settings.flow.flows_max;
	bool same_flows = bench->options.same_flows;
	struct result result;
	/* silent flows of UDP end after 30 s */
	int rc = memory_capture_make(&bench->capture, frames, flows, UINT64_C(1000000000) * (fresh ? 100 : 10));

	if (rc == 0) {
		bench->settings.flow.flows_max = flows + flows / 2;
		bench->options.same_flows = !fresh;
		rc = measure(bench, "crowd", WORKER_FLOW, false, &result);
		*cycles = result.quiet;
		json_decref(result.drops);
	}
	memory_capture_unload(&bench->capture);
	bench->capture = kept;
	bench->settings.flow.flows_max = flows_max;
	bench->options.same_flows = same_flows;
	return rc;
}

static int
measure_beside(struct bench *bench)
{
	int rc = bare_measure(&bench->capture, bench->pool, bench->options.loops, &bench->bare);

	if (rc != 0 || !bench->options.crowd)
		return rc;
	rc = measure_crowd(bench, 1 << 20, 1 << 10, false, &bench->few_flows);
	if (rc == 0)
		rc = measure_crowd(bench, 1 << 20, 1 << 20, false, &bench->million_flows);
	return rc == 0 ? measure_crowd(bench, 1 << 19, 1 << 19, true, &bench->new_flows) : rc;
}

static int
replay(struct bench *bench)
{
	struct result results[sizeof(depths) / sizeof(depths[0])];
	unsigned int count = 0;
	struct scan_result scan = { 0 };
	struct scan_setup scan_setup = { &bench->settings, &bench->capture, bench->pool, bench->ruleset, bench->options.loops };
	int rc = 0;

	for (unsigned int i = 0; i < sizeof(depths) / sizeof(depths[0]) && rc == 0; i++)
		if (bench->options.part == NULL || strcmp(bench->options.part, depths[i].name) == 0)
			rc = measure(bench, depths[i].name, depths[i].depth, depths[i].rules, &results[count++]);
	if (count == 0) {
		fprintf(stderr, "millrace-bench: there is no part \"%s\"\n", bench->options.part);
		return -EINVAL;
	}
	if (rc == 0)
		rc = measure_beside(bench);
	if (rc == 0)
		rc = scan_alone(&scan_setup, &scan);
	if (rc != 0)
		fprintf(stderr, "millrace-bench: %s\n", strerror(-rc));
	else if (bench->options.json)
		print_json(bench, results, count, &scan);
	else
		print_table(bench, results, count, &scan);
	for (unsigned int i = 0; i < count; i++)
		json_decref(results[i].drops);
	return rc;
}

/* Two runs, without rules and with them. What reading the clock for each PDU adds is why they are runs of their own. */
static int
replay_protocols(struct bench *bench)
{
	static struct proto_meter meters[2][PROTO_MAX];
	struct result result;
	json_t *protocols;

	for (unsigned int rules = 0; rules < 2; rules++) {
		int rc;

		bench->meters = meters[rules];
		rc = measure(bench, "protocols", WORKER_ALL, rules != 0, &result);
		if (rc != 0) {
			fprintf(stderr, "millrace-bench: %s\n", strerror(-rc));
			return rc;
		}
		json_decref(result.drops);
	}
	protocols = protocols_json(bench->settings.protos, meters[0], meters[1]);
	if (bench->options.json) {
		json_dumpf(protocols, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		protocols_print(protocols);
	}
	json_decref(protocols);
	return 0;
}

static int
load(struct bench *bench, struct config_error *err)
{
	struct capture_filter *filter = NULL;
	int rc = bench->options.filter == NULL ? 0 : capture_filter_create(&filter, bench->options.filter, err);

	if (rc == 0)
		rc = memory_capture_load(&bench->capture, bench->options.path, filter, bench->options.frames_max, err);
	capture_filter_destroy(filter);
	return rc;
}

static int
prepare(struct bench *bench, struct config_error *err)
{
	const struct rule_world world = settings_rule_world(&bench->settings);
	unsigned int cpus[2] = { 0 }, cpu;
	unsigned int online = eal_cpus(cpus, 2);
	struct sink_env env = { .log_dir = bench->options.eve_dir };
	int rc;

	cpu = online > 1 ? cpus[1] : cpus[0]; /* the worker's; the exporter has the first */
	bench->settings.sensor.exporter_core = cpus[0];
	rc = eal_start(&bench->settings.sensor, &cpu, 1, false, &bench->huge_pages, err);
	if (rc != 0)
		return rc;
	if (frame_meta_register() != 0)
		return -ENOMEM;
	bench->pool = rte_pktmbuf_pool_create("millrace_bench", POOL_MBUFS, 256, 0, RTE_PKTMBUF_HEADROOM, (int)rte_socket_id());
	if (bench->pool == NULL) {
		snprintf(err->text, sizeof(err->text), "no memory for packet buffers");
		return -ENOMEM;
	}
	rc = load(bench, err);
	if (rc == 0)
		rc = ruleset_create(&bench->ruleset, &bench->settings.rule, &world, NULL, err);
	if (rc == 0 && bench->options.eve_dir != NULL)
		rc = sink_set_create(&bench->sinks, bench->settings.config, &env, err);
	return rc;
}

static int
run_on_worker_core(void *arg)
{
	struct bench *bench = arg;

	return bench->options.per_protocol ? replay_protocols(bench) : replay(bench);
}

/* Sleeping, not spinning: this CPU is the exporter's. */
static int
wait_for_worker_core(void)
{
	while (rte_eal_get_lcore_state(1) == RUNNING)
		usleep(1000);
	return rte_eal_wait_lcore(1);
}

static const char usage_text[] =
	"usage: millrace-bench replay FILE [--json] [--loops N] [--frames N] [--filter TEXT] [--rules FILE] [-c FILE] [--set KEY=VALUE]...\n"
	"         [--same-flows] [--no-huge] [--eve DIR] [--part NAME | --per-protocol] [--crowd]\n"
	"  --loops N      measured loops over the capture (default 5), after one to warm up\n"
	"  --frames N     only the first N frames\n"
	"  --filter TEXT  only frames that pcap-filter(7) takes\n"
	"  --rules FILE   rules to load; default: none but the configuration's\n"
	"  --same-flows   do not rewrite addresses: every loop has the same flows\n"
	"  --eve DIR      write eve.json there; default: lines are encoded and thrown away\n"
	"  --part NAME    only that row of the table, as \"all\" or \"rx+decode\"; default: every one, in one run\n"
	"  --crowd        measure a million concurrent flows and new flows a second as well: 600 MiB of memory\n"
	"  --per-protocol  what a PDU of each protocol costs, with its records, rules and events\n";

static int
parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = { { "json", 0, NULL, 'j' }, { "loops", 1, NULL, 'n' }, { "frames", 1, NULL, 'f' },
		{ "rules", 1, NULL, 'S' }, { "set", 1, NULL, 's' }, { "same-flows", 0, NULL, 'm' }, { "no-huge", 0, NULL, 'H' },
		{ "filter", 1, NULL, 'F' }, { "eve", 1, NULL, 'e' }, { "part", 1, NULL, 'p' }, { "crowd", 0, NULL, 'C' },
		{ "per-protocol", 0, NULL, 'P' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int option;

	*o = (struct options){ .loops = 5 };
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:S:h", longs, NULL)) != -1) {
		switch (option) {
		case 'j': o->json = true; break;
		case 'n': o->loops = (unsigned int)strtoul(optarg, NULL, 10); break;
		case 'f': o->frames_max = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'F': o->filter = optarg; break;
		case 'S': o->rules = optarg; break;
		case 'c': o->config_path = optarg; break;
		case 's': o->set_count < 60 ? (void)(o->set[o->set_count++] = optarg) : (void)0; break;
		case 'm': o->same_flows = true; break;
		case 'H': o->no_huge = true; break;
		case 'e': o->eve_dir = optarg; break;
		case 'p': o->part = optarg; break;
		case 'C': o->crowd = true; break;
		case 'P': o->per_protocol = true; break;
		default: fputs(usage_text, option == 'h' ? stdout : stderr); return option == 'h' ? -1 : 2;
		}
	}
	if (optind + 1 != argc || o->loops < 1 || o->loops > LOOPS_MAX) {
		fputs(usage_text, stderr);
		return 2;
	}
	o->path = argv[optind];
	return 0;
}

int
replay_main(int argc, char **argv)
{
	static struct bench bench;
	static char rules[1024];
	struct config_error err;
	int rc = parse(&bench.options, argc, argv);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (bench.options.rules != NULL) {
		snprintf(rules, sizeof(rules), "rule-files=%s", bench.options.rules);
		bench.options.set[bench.options.set_count++] = rules;
	}
	if (bench.options.no_huge)
		bench.options.set[bench.options.set_count++] = "dpdk.huge-pages=no";
	rc = settings_load(&bench.settings, bench.options.config_path, bench.options.set, bench.options.set_count, &err);
	if (rc == 0)
		rc = prepare(&bench, &err);
	if (rc != 0) {
		fprintf(stderr, "millrace-bench: %s\n", err.text);
		return 1;
	}
	rc = rte_eal_remote_launch(run_on_worker_core, &bench, 1) == 0 ? wait_for_worker_core() : -EBUSY;
	sink_set_destroy(bench.sinks);
	ruleset_destroy(bench.ruleset);
	memory_capture_unload(&bench.capture);
	eal_stop();
	settings_destroy(&bench.settings);
	return rc == 0 ? 0 : 1;
}
