/* millrace-bench-senders: what `millrace-bench senders` becomes. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/bench/batches.h"
#include "app/bench/sender_fleet.h"
#include "lib/link/batch.h"

enum { PATH_LEN_MAX = 64, LOOK_US = 10000, BATCH_BYTES = 1024 * 1024 };

struct options {
	struct fleet_options fleet; /* of all senders */
	uint32_t processes;
	int pid; /* of the aggregator, whose memory and CPU are told; 0: none */
};

/* What was seen at a moment. */
struct moment {
	uint64_t at_ns;
	uint64_t cpu_ms; /* of the aggregator */
	uint64_t memory_kib;
};

/* ---- the aggregator's process ---- */

static struct moment
look_at(int pid)
{
	struct moment moment = { .at_ns = fleet_clock_ns() };
	char path[PATH_LEN_MAX], line[1024];
	unsigned long user = 0, kernel = 0;
	long pages = 0;
	FILE *file;

	if (pid == 0)
		return moment;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return moment;
	/* The fields behind the name, which may hold anything: state is the third. */
	if (fgets(line, sizeof(line), file) != NULL && strrchr(line, ')') != NULL &&
	    sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
	    &user, &kernel, &pages) == 3) {
		moment.cpu_ms = (uint64_t)(user + kernel) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
		moment.memory_kib = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	}
	fclose(file);
	return moment;
}

/* ---- the fleets ---- */

/* Each its part, the first ones one more where it does not divide. @return whether the process began */
static bool
begin_fleet(const struct options *options, const struct bench_batches *batches, struct fleet_shared *shared, uint32_t i)
{
	struct fleet_options part = options->fleet;
	uint32_t more = part.senders % options->processes;

	part.senders = part.senders / options->processes + (i < more);
	part.first = part.senders * i + (i < more ? 0 : more);
	pid_t pid = fork();

	if (pid == 0) {
		/* None outlives who began it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fleet_run(&part, batches, shared, &shared->tallies[i]) == 0 ? 0 : 1);
	}
	return pid > 0;
}

/* Waits until all are connected. @return whether they are; a fleet that ended before is none. */
static bool
wait_connected(const struct options *options, const struct fleet_shared *shared)
{
	uint32_t connected = 0;

	while (connected < options->processes) {
		if (waitpid(-1, NULL, WNOHANG) != 0)
			return false;
		usleep(LOOK_US);
		connected = 0;
		for (uint32_t i = 0; i < options->processes; i++)
			connected += atomic_load(&shared->tallies[i].connected);
	}
	return true;
}

static bool
wait_ended(uint32_t processes)
{
	bool good = true;

	for (uint32_t i = 0; i < processes; i++) {
		int status = 1;

		good &= wait(&status) > 0 && status == 0;
	}
	return good;
}

static struct fleet_tally
sum(const struct fleet_shared *shared, uint32_t processes)
{
	struct fleet_tally sum = { 0 };

	for (uint32_t i = 0; i < processes; i++) {
		const struct fleet_tally *tally = &shared->tallies[i];

		sum.ready += tally->ready;
		sum.lost += tally->lost;
		sum.batches += tally->batches;
		sum.records += tally->records;
		sum.later += tally->later;
		sum.refused += tally->refused;
		for (unsigned int slot = 0; slot < FLEET_LATENCY_SLOTS; slot++)
			sum.latencies[slot] += tally->latencies[slot];
	}
	return sum;
}

static unsigned int
percentile(const struct fleet_tally *sum, double part)
{
	uint64_t wanted = (uint64_t)((double)sum->batches * part), seen = 0;
	unsigned int ms = 0;

	while (ms + 1 < FLEET_LATENCY_SLOTS && seen + sum->latencies[ms] <= wanted)
		seen += sum->latencies[ms++];
	return ms;
}

static void
print(const struct options *options, const struct fleet_tally *sum, const struct moment moments[3])
{
	uint32_t senders = options->fleet.senders;
	double connect_s = (double)(moments[1].at_ns - moments[0].at_ns) / 1e9;
	double deliver_s = (double)(moments[2].at_ns - moments[1].at_ns) / 1e9;

	printf("senders            %10u  %u lost\n", senders, sum->lost);
	printf("handshakes         %10.0f  a second, mutual TLS 1.3\n", senders / connect_s);
	printf("batches            %10" PRIu64 "  %.0f a second, %" PRIu64 " told to come later, %" PRIu64 " refused\n",
		sum->batches, (double)sum->batches / deliver_s, sum->later, sum->refused);
	printf("records            %10" PRIu64 "  %.0f a second\n", sum->records, (double)sum->records / deliver_s);
	printf("acknowledged after %10u  ms half of them, %u ms 99 of 100\n", percentile(sum, 0.5), percentile(sum, 0.99));
	if (options->pid == 0)
		return;
	printf("aggregator memory  %10" PRIu64 "  KiB, %" PRIu64 " before and %" PRIu64 " with all connected: %.1f KiB a sender\n",
		moments[2].memory_kib, moments[0].memory_kib, moments[1].memory_kib,
		(double)(moments[1].memory_kib - moments[0].memory_kib) / senders);
	printf("aggregator CPU     %10.2f  ms a handshake and its first batch, %.1f %% of a core while delivering\n",
		(double)(moments[1].cpu_ms - moments[0].cpu_ms) / senders,
		(double)(moments[2].cpu_ms - moments[1].cpu_ms) / deliver_s / 10);
	printf("                   %10.0f  records a second of it\n",
		(double)sum->records * 1000 / (double)(moments[2].cpu_ms - moments[1].cpu_ms + 1));
}

/* ---- the command line ---- */

static const char usage[] =
	"usage: millrace-bench senders FILE --pki DIR --port PORT [--address IPV4] [--senders N] [--batch N] [--interval S]\n"
	"         [--seconds N] [--processes N] [--pid PID] [--check] [--http2]\n"
	"  FILE           EVE lines, as millrace-sensor writes them; each sensor sends batches of it\n"
	"  --pki DIR      ca.pem and ca.key, as scripts/pki makes them: certificates are issued here\n"
	"  --senders N    sensors, a connection each (default 100)\n"
	"  --batch N      records of a batch (default 200)\n"
	"  --interval S   seconds between a sensor's batches (default 0: when the last is acknowledged)\n"
	"  --seconds N    of delivery, once all are connected (default 10)\n"
	"  --processes N  that share the senders (default 1, at most 64): one has no more connections than open files\n"
	"  --pid PID      the aggregator's, to tell its memory and CPU\n"
	"  --check        batches are unpacked and checked, and not stored: the door alone\n"
	"  --http2        by HTTP/2; without it by HTTP/1.1\n";

static int
parse(struct options *out, int argc, char **argv)
{
	static const struct option longs[] = { { "pki", 1, NULL, 'k' }, { "port", 1, NULL, 'p' }, { "address", 1, NULL, 'a' },
		{ "senders", 1, NULL, 'n' }, { "batch", 1, NULL, 'b' }, { "interval", 1, NULL, 'i' }, { "seconds", 1, NULL, 's' },
		{ "pid", 1, NULL, 'P' }, { "check", 0, NULL, 'c' }, { "http2", 0, NULL, '2' },
		{ "processes", 1, NULL, 'j' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int option;

	*out = (struct options){
		.fleet = { .address = "127.0.0.1", .senders = 100, .batch_records = 200, .seconds = 10 }, .processes = 1,
	};
	struct fleet_options *fleet = &out->fleet;

	optind = 1;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'k': fleet->pki = optarg; break;
		case 'p': fleet->port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 'a': fleet->address = optarg; break;
		case 'n': fleet->senders = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': fleet->batch_records = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'i': fleet->interval_s = strtod(optarg, NULL); break;
		case 's': fleet->seconds = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'j': out->processes = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'c': fleet->check = true; break;
		case '2': fleet->http2 = true; break;
		case 'P': out->pid = (int)strtol(optarg, NULL, 10); break;
		default: fputs(usage, option == 'h' ? stdout : stderr); return option == 'h' ? -1 : 2;
		}
	}
	if (optind + 1 != argc || fleet->pki == NULL || fleet->port == 0 || fleet->senders == 0 || fleet->seconds == 0 ||
	    fleet->batch_records == 0 || fleet->batch_records > BATCH_COUNT_MAX || fleet->interval_s < 0 ||
	    out->processes == 0 || out->processes > FLEETS_MAX || out->processes > fleet->senders) {
		fputs(usage, stderr);
		return 2;
	}
	fleet->file = argv[optind];
	return 0;
}

static int
run(const struct options *options, const struct bench_batches *batches, struct fleet_shared *shared)
{
	struct moment moments[3] = { look_at(options->pid) };
	bool good = true;

	shared->epoch = (uint64_t)time(NULL) << 20 | (uint64_t)(getpid() & 0xfffff);
	for (uint32_t i = 0; good && i < options->processes; i++)
		good = begin_fleet(options, batches, shared, i);
	if (!good || !wait_connected(options, shared)) {
		fprintf(stderr, "millrace-bench: not all processes could begin\n");
		return 1;
	}
	moments[1] = look_at(options->pid);
	struct fleet_tally tally = sum(shared, options->processes);

	fprintf(stderr, "%u connected, %u lost, in %.1f s\n", tally.ready, tally.lost, (double)(moments[1].at_ns - moments[0].at_ns) / 1e9);
	atomic_store(&shared->go, 1);
	sleep(options->fleet.seconds);
	moments[2] = look_at(options->pid);
	good = wait_ended(options->processes);
	tally = sum(shared, options->processes);
	print(options, &tally, moments);
	return good && tally.lost == 0 && tally.refused == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct bench_batches batches = { 0 };
	struct options options;
	struct rlimit files;
	int status = parse(&options, argc, argv);

	if (status != 0)
		return status < 0 ? 0 : status;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	struct fleet_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED) {
		fprintf(stderr, "millrace-bench: %s\n", strerror(errno));
		return 1;
	}
	int err = bench_batches_load(&batches, options.fleet.file, options.fleet.batch_records, BATCH_BYTES);

	status = err != 0 ? 1 : run(&options, &batches, shared);
	bench_batches_free(&batches);
	munmap(shared, sizeof(*shared));
	return status;
}
