#include "app/bench/store.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/bench/batches.h"
#include "lib/store/store.h"

enum {
	BATCH_RECORDS = 4000,       /* as uplink.batch-records, unless --batch says otherwise */
	BATCH_BYTES = 1024 * 1024,  /* as uplink.batch-bytes */
	GROUP_RECORDS = 20000,      /* as limits.group-records */
	READ_QUERY_MAX_MS = 10000,
	INSERT_TIMEOUT_MS = 20000,
	ASK_MAX = 32,
	ASK_TIMES = 20,
	ASK_TEXT_MAX = 256,
};

struct options {
	const char *file;
	const char *path;
	uint64_t records;
	uint32_t sensors;
	uint32_t batch;
	bool read;
	bool keep;
	const char *asks[ASK_MAX]; /* questions for afterwards */
	uint32_t ask_count;
	json_t *shards;       /* NULL: the store sqlite */
	const char *postgres;
};

/* Nanoseconds of each stage. */
struct spent {
	uint64_t decode, check, append, commit;
	uint64_t door_cpu, store_cpu; /* this thread's */
	uint64_t commits, commit_worst;
};

/* The questions that go on while records come in. */
struct reader {
	const struct options *options;
	pthread_t thread;
	_Atomic bool stop;
	uint64_t questions, failed, worst_ns, total_ns;
};

struct bench {
	struct options options;
	struct bench_batches batches;
	struct batch_decoder *decoder;
	struct buf text; /* unpacked */
	struct store_line *lines;
	struct store *store;
	uint64_t *next; /* [sensors] */
	uint64_t epoch; /* each run's own: a database that is there goes on */
	struct spent spent;
};

static int
open_store(struct store **out, const struct options *options, bool writer)
{
	const struct store_config config = {
		.path = options->path,
		.cluster = { .shards = options->shards, .database = "bench", .user = "default", .postgres = options->postgres,
			.insert_timeout_ms = INSERT_TIMEOUT_MS },
		.query_max_ms = writer ? 0 : READ_QUERY_MAX_MS,
	};

	return store_open(out, options->shards == NULL ? STORE_KIND_SQLITE : STORE_KIND_CLICKHOUSE, &config, writer);
}

static uint64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* What others on this machine do does not count here. */
static uint64_t
cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* Every loop over the file is a later time, so that indexes grow as they do in a plant. */
static int
check_lines(struct bench *bench, const char *text, size_t len, uint64_t loop)
{
	const char *end = text + len;
	uint32_t n = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		if (store_line_read(&bench->lines[n], text, (size_t)(newline - text)) != NULL)
			return -EINVAL;
		bench->lines[n++].ts_ns.value += (int64_t)loop * 60 * 1000000000;
		text = newline + 1;
	}
	return 0;
}

static int
commit(struct bench *bench)
{
	uint64_t start = clock_ns(), cpu = cpu_ns(), took;
	int err = store_commit(bench->store);

	bench->spent.store_cpu += cpu_ns() - cpu;
	took = clock_ns() - start;
	bench->spent.commit += took;
	bench->spent.commits++;
	if (took > bench->spent.commit_worst)
		bench->spent.commit_worst = took;
	return err;
}

static int
deliver(struct bench *bench, uint32_t at, uint64_t loop, uint32_t sensor)
{
	const struct bench_batch *batch = &bench->batches.batches[at];
	struct batch_head head = { .epoch = bench->epoch, .lane = LINK_LANE_EVENT, .sequence = bench->next[sensor],
		.count = batch->count, .encoding = BATCH_ZSTD };
	char error[BATCH_ERROR_MAX];
	struct store_appended done;
	uint64_t start = clock_ns(), cpu = cpu_ns(), now;
	struct store_body body = { .data = batch->body, .len = batch->body_len };
	int err;

	snprintf(head.sensor, sizeof(head.sensor), "bench-%u", sensor);
	memcpy(head.digest, batch->digest, sizeof(head.digest));
	err = batch_decode(bench->decoder, &head, batch->body, batch->body_len, &bench->text, error);
	body.lines = bench->text.data;
	body.lines_len = bench->text.len;
	now = clock_ns();
	bench->spent.decode += now - start;
	start = now;
	if (err == 0)
		err = check_lines(bench, body.lines, body.lines_len, loop);
	now = clock_ns();
	bench->spent.check += now - start;
	bench->spent.door_cpu += cpu_ns() - cpu;
	start = now;
	cpu = cpu_ns();
	if (err == 0)
		err = store_append(bench->store, &head, &body, bench->lines, &done);
	bench->spent.append += clock_ns() - start;
	bench->spent.store_cpu += cpu_ns() - cpu;
	bench->next[sensor] += batch->count;
	return err > 0 ? commit(bench) : err;
}

static int
deliver_all(struct bench *bench)
{
	uint64_t done = 0;
	uint64_t group = 0;
	uint64_t turn = 0;
	int err = 0;

	while (err == 0 && done < bench->options.records) {
		uint32_t at = (uint32_t)(turn % bench->batches.count);

		err = deliver(bench, at, turn / bench->batches.count, (uint32_t)(turn % bench->options.sensors));
		done += bench->batches.batches[at].count;
		group += bench->batches.batches[at].count;
		turn++;
		if (err == 0 && (group >= GROUP_RECORDS || done >= bench->options.records)) {
			err = commit(bench);
			group = 0;
		}
	}
	bench->options.records = done;
	return err;
}

/* ---- the reader ---- */

static void
found(void *arg, const struct store_found *record)
{
	*(uint64_t *)arg += record->line_len;
}

/* A page of alerts, one of a host's records, and the top talkers, in turn. */
static int
ask(struct store *store, uint64_t turn)
{
	struct store_filter filter = { 0 };
	struct store_page page = { .limit = 100 };
	uint64_t bytes = 0;
	json_t *rows = NULL;
	int err;

	if (turn % 3 == 2) {
		err = store_report(store, STORE_REPORT_FLOWS, &filter, &rows);
		json_decref(rows);
		return err;
	}
	if (turn % 3 == 0)
		(void)store_filter_set(&filter, "event_type", "alert");
	else
		(void)store_filter_set(&filter, "ip", "10.10.1.26");
	err = store_query(store, &filter, &page, found, &bytes);
	return err < 0 ? err : 0;
}

static void *
read_on(void *arg)
{
	struct reader *reader = arg;
	struct store *store;

	if (open_store(&store, reader->options, false) != 0) {
		reader->failed++;
		return NULL;
	}
	while (!atomic_load(&reader->stop)) {
		uint64_t start = clock_ns(), took;

		if (ask(store, reader->questions++) != 0)
			reader->failed++;
		took = clock_ns() - start;
		reader->total_ns += took;
		if (took > reader->worst_ns)
			reader->worst_ns = took;
		usleep(1000);
	}
	store_close(store);
	return NULL;
}

/* ---- questions afterwards ---- */

static const struct {
	const char *name;
	enum store_report report;
} ask_reports[] = {
	{ "events", STORE_REPORT_EVENTS }, { "protocols", STORE_REPORT_PROTOCOLS }, { "apps", STORE_REPORT_APPS },
	{ "flows", STORE_REPORT_FLOWS }, { "talkers", STORE_REPORT_TALKERS }, { "signatures", STORE_REPORT_SIGNATURES },
};

/* "[REPORT?]NAME=VALUE&NAME=VALUE". @return the report's place, -1: records, -EINVAL */
static int
read_question(char *text, struct store_filter *filter)
{
	char *pairs = strchr(text, '?');
	int report = -1;

	*filter = (struct store_filter){ 0 };
	if (pairs != NULL) {
		*pairs++ = '\0';
		for (report = (int)(sizeof(ask_reports) / sizeof(ask_reports[0])) - 1; report >= 0; report--)
			if (strcmp(ask_reports[report].name, text) == 0)
				break;
		if (report < 0)
			return -EINVAL;
	}
	if (pairs == NULL)
		pairs = text;
	for (char *value = strsep(&pairs, "&"); value != NULL && *value != '\0'; value = strsep(&pairs, "&")) {
		const char *name = strsep(&value, "=");

		if (value == NULL || store_filter_set(filter, name, value) != 0)
			return -EINVAL;
	}
	return report;
}

static int
answer(struct store *store, const struct store_filter *filter, int report, size_t *rows)
{
	struct store_page page = { .limit = 100 };
	uint64_t bytes = 0;
	json_t *answer = NULL;
	int result;

	if (report < 0) {
		result = store_query(store, filter, &page, found, &bytes);
		*rows = result < 0 ? 0 : (size_t)result;
		return result < 0 ? result : 0;
	}
	result = store_report(store, ask_reports[report].report, filter, &answer);
	*rows = json_array_size(answer);
	json_decref(answer);
	return result;
}

static int
ask_again(struct store *store, const char *question)
{
	char text[ASK_TEXT_MAX];
	struct store_filter filter;
	uint64_t first = 0, total = 0;
	size_t rows = 0;
	int report, err = 0;

	snprintf(text, sizeof(text), "%s", question);
	report = read_question(text, &filter);
	if (report < -1)
		return report;
	for (unsigned int i = 0; i <= ASK_TIMES && err == 0; i++) {
		uint64_t start = clock_ns();

		err = answer(store, &filter, report, &rows);
		if (i == 0)
			first = clock_ns() - start;
		else
			total += clock_ns() - start;
	}
	printf("%-48s %6zu rows, first %8.2f ms, then %8.2f ms\n", question, rows, (double)first / 1e6,
		(double)total / ASK_TIMES / 1e6);
	return err;
}

static int
ask_all(const struct options *options)
{
	struct store *store;
	int err = options->ask_count == 0 ? 0 : open_store(&store, options, false);

	if (options->ask_count == 0 || err != 0)
		return err;
	for (uint32_t i = 0; i < options->ask_count && err == 0; i++)
		err = ask_again(store, options->asks[i]);
	store_close(store);
	return err;
}

/* ---- what comes out ---- */

static uint64_t
size_of(const char *path, const char *end)
{
	char name[512];
	struct stat status;

	snprintf(name, sizeof(name), "%s%s", path, end);
	return stat(name, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static double
rate(uint64_t records, uint64_t ns)
{
	return ns == 0 ? 0 : (double)records * 1e9 / (double)ns;
}

static void
print(const struct bench *bench, uint64_t wall_ns, const struct reader *reader)
{
	const struct spent *spent = &bench->spent;
	uint64_t records = bench->options.records;
	uint64_t door = spent->decode + spent->check;
	uint64_t store = spent->append + spent->commit;

	printf("records            %12" PRIu64 "  in %u batches of the file, %u sensors\n", records, bench->batches.count,
		bench->options.sensors);
	printf("unpack and digest  %12.0f  records/s\n", rate(records, spent->decode));
	printf("check lines        %12.0f  records/s\n", rate(records, spent->check));
	printf("door: both         %12.0f  records/s\n", rate(records, door));
	printf("append             %12.0f  records/s\n", rate(records, spent->append));
	printf("commit             %12.0f  records/s, %" PRIu64 " commits, worst %.1f ms\n", rate(records, spent->commit),
		spent->commits, (double)spent->commit_worst / 1e6);
	printf("store: both        %12.0f  records/s\n", rate(records, store));
	printf("CPU: door, store   %12.0f  %12.0f  records/s of this thread's CPU time\n", rate(records, spent->door_cpu),
		rate(records, spent->store_cpu));
	printf("all, by the clock  %12.0f  records/s\n", rate(records, wall_ns));
	if (bench->options.shards == NULL)
		printf("database           %12.0f  bytes a record\n", (double)size_of(bench->options.path, "") / (double)records);
	if (reader != NULL)
		printf("questions          %12" PRIu64 "  %" PRIu64 " failed, mean %.1f ms, worst %.1f ms\n", reader->questions,
			reader->failed, (double)reader->total_ns / 1e6 / (double)(reader->questions + (reader->questions == 0)),
			(double)reader->worst_ns / 1e6);
}

static int
measure(struct bench *bench)
{
	struct reader reader = { .options = &bench->options };
	bool reading = false;
	uint64_t start, wall_ns;
	int err;

	if (bench->options.read)
		reading = pthread_create(&reader.thread, NULL, read_on, &reader) == 0;
	start = clock_ns();
	err = deliver_all(bench);
	wall_ns = clock_ns() - start;
	atomic_store(&reader.stop, true);
	if (reading)
		pthread_join(reader.thread, NULL);
	if (err == 0)
		print(bench, wall_ns, reading ? &reader : NULL);
	return err != 0 ? err : ask_all(&bench->options);
}

/* ---- the command line ---- */

static const char usage[] =
	"usage: millrace-bench store FILE [--path FILE] [--records N] [--sensors N] [--batch N] [--read] [--keep] [--ask Q]\n"
	"  FILE         EVE lines, as millrace-sensor writes them: cut into batches and played over and over\n"
	"  --path FILE  the database, which must not exist (default bench.sqlite)\n"
	"  --records N  records to store (default 3000000)\n"
	"  --sensors N  sensors they come from (default 100)\n"
	"  --batch N    records of a batch at most (default 4000)\n"
	"  --read       ask questions on a second thread meanwhile\n"
	"  --keep       leave the database\n"
	"  --ask Q      afterwards, a page of 100 records (NAME=VALUE&NAME=VALUE, as the API's) or a report (events?, protocols?, apps?,\n"
	"               flows?, talkers?, signatures?, filters behind it), 21 times; once for each question\n"
	"  --shard URLS --postgres URL  the store clickhouse instead (what scripts/cluster starts): its database \"bench\", which is\n"
	"               left; once for each shard, URLS of its replicas separated by spaces\n";

static int
parse(struct options *out, int argc, char **argv)
{
	static const struct option longs[] = { { "path", 1, NULL, 'p' }, { "records", 1, NULL, 'n' },
		{ "sensors", 1, NULL, 's' }, { "read", 0, NULL, 'r' }, { "keep", 0, NULL, 'k' }, { "ask", 1, NULL, 'a' }, { "batch", 1, NULL, 'b' },
		{ "shard", 1, NULL, 'c' }, { "postgres", 1, NULL, 'g' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int option;

	*out = (struct options){ .path = "bench.sqlite", .records = 3000000, .sensors = 100, .batch = BATCH_RECORDS };
	optind = 1;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'p': out->path = optarg; break;
		case 'g': out->postgres = optarg; break;
		case 'c':
			if (out->shards == NULL)
				out->shards = json_array();
			json_array_append_new(out->shards, json_string(optarg));
			break;
		case 'n': out->records = strtoull(optarg, NULL, 10); break;
		case 's': out->sensors = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': out->batch = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'r': out->read = true; break;
		case 'k': out->keep = true; break;
		case 'a':
			if (out->ask_count < ASK_MAX)
				out->asks[out->ask_count++] = optarg;
			break;
		default: fputs(usage, option == 'h' ? stdout : stderr); return option == 'h' ? -1 : 2;
		}
	}
	if (optind + 1 != argc || out->records == 0 || out->sensors == 0 || out->batch == 0 || out->batch > BATCH_COUNT_MAX || access(out->path, F_OK) == 0) {
		fputs(usage, stderr);
		return 2;
	}
	out->file = argv[optind];
	return 0;
}

/* Before anything is measured. @return whether each line is a record; what is not was said */
static bool
are_records(const struct bench *bench)
{
	unsigned int number = 1;

	for (uint32_t i = 0; i < bench->batches.count; i++) {
		const struct bench_batch *batch = &bench->batches.batches[i];
		const char *line = batch->lines, *end = line + batch->lines_len;

		for (uint32_t n = 0; n < batch->count; n++, number++) {
			const char *newline = memchr(line, '\n', (size_t)(end - line));
			struct store_line row;
			const char *reason = store_line_read(&row, line, (size_t)(newline - line));

			if (reason != NULL) {
				fprintf(stderr, "millrace-bench: %s:%u: not a line of EVE: %s\n", bench->options.file, number, reason);
				return false;
			}
			line = newline + 1;
		}
	}
	return true;
}

/* @return 1: it was said why not */
static int
run(struct bench *bench)
{
	int err;

	if (bench_batches_load(&bench->batches, bench->options.file, bench->options.batch, BATCH_BYTES) != 0 || !are_records(bench))
		return 1;
	bench->epoch = clock_ns();
	bench->lines = calloc(BATCH_COUNT_MAX, sizeof(*bench->lines));
	bench->next = calloc(bench->options.sensors, sizeof(*bench->next));
	if (bench->lines == NULL || bench->next == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < bench->options.sensors; i++)
		bench->next[i] = 1;
	err = batch_decoder_create(&bench->decoder, BATCH_LINES_MAX);
	if (err == 0)
		err = open_store(&bench->store, &bench->options, true);
	return err != 0 ? err : measure(bench);
}

int
store_main(int argc, char **argv)
{
	struct bench bench = { 0 };
	int status = parse(&bench.options, argc, argv);
	int err;

	if (status != 0)
		return status < 0 ? 0 : status;
	err = run(&bench);
	store_close(bench.store);
	batch_decoder_destroy(bench.decoder);
	buf_destroy(&bench.text);
	bench_batches_free(&bench.batches);
	free(bench.lines);
	free(bench.next);
	json_decref(bench.options.shards);
	if (!bench.options.keep)
		unlink(bench.options.path);
	if (err < 0)
		fprintf(stderr, "millrace-bench: %s\n", strerror(-err));
	return err == 0 ? 0 : 1;
}
