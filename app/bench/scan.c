#include "app/bench/scan.h"

#include <errno.h>
#include <hs.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/worker.h"

enum { LOG_SCANS_MAX = 8 << 20, LOG_BYTES_MAX = 1 << 30, DATABASES_MAX = 4096 };

struct scanned {
	const hs_database_t *database;
	uint32_t at, len; /* in bytes */
};

/* Pages that are never written cost no memory. */
struct scan_log {
	struct scanned *scans; /* [LOG_SCANS_MAX] */
	uint8_t *bytes;        /* [LOG_BYTES_MAX] */
	uint32_t count, used;
	uint64_t left_out;
};

static void
keep_scan(void *arg, const void *database, const uint8_t *data, uint32_t len)
{
	struct scan_log *log = arg;

	if (log->count == LOG_SCANS_MAX || len > LOG_BYTES_MAX - log->used) {
		log->left_out++;
		return;
	}
	memcpy(log->bytes + log->used, data, len);
	log->scans[log->count++] = (struct scanned){ .database = database, .at = log->used, .len = len };
	log->used += len;
}

/* One loop over the capture, with all of the sensor's work; events are dropped when their ring is full. */
static int
fill_log(const struct scan_setup *setup, struct scan_log *log)
{
	struct source *source = NULL;
	struct worker *worker = NULL;
	int rc = memory_source_create(&source, setup->capture, setup->pool);

	if (rc == 0)
		rc = worker_create(&worker, 0, setup->settings, source, setup->ruleset);
	if (rc != 0)
		return rc;
	worker->depth = WORKER_ALL;
	rule_matcher_watch_scans(worker->matcher, keep_scan, log);
	memory_source_rewind(worker->source, 0);
	while (worker_burst(worker) > 0)
		;
	worker_finish(worker);
	worker_destroy(worker);
	return 0;
}

static int
make_scratch(const struct scan_log *log, hs_scratch_t **scratch, unsigned int *databases)
{
	static const hs_database_t *known[DATABASES_MAX];
	unsigned int idx;

	*databases = 0;
	for (uint32_t i = 0; i < log->count; i++) {
		for (idx = 0; idx < *databases && known[idx] != log->scans[i].database; idx++)
			;
		if (idx < *databases)
			continue;
		if (idx == DATABASES_MAX || hs_alloc_scratch(log->scans[i].database, scratch) != HS_SUCCESS)
			return -ENOMEM;
		known[(*databases)++] = log->scans[i].database;
	}
	return 0;
}

static int
count_hit(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

static int
scan_log(const struct scan_log *log, hs_scratch_t *scratch, struct scan_result *out)
{
	uint64_t start = rte_rdtsc();

	out->hits = 0;
	for (uint32_t i = 0; i < log->count; i++) {
		const struct scanned *scan = &log->scans[i];

		if (hs_scan(scan->database, (const char *)log->bytes + scan->at, scan->len, 0, scratch, count_hit, &out->hits) !=
			HS_SUCCESS)
			return -EIO;
	}
	double cycles = (double)(rte_rdtsc() - start) / log->count;

	if (out->cycles_per_scan == 0 || cycles < out->cycles_per_scan)
		out->cycles_per_scan = cycles;
	return 0;
}

static int
measure_log(const struct scan_setup *setup, const struct scan_log *log, struct scan_result *out)
{
	hs_scratch_t *scratch = NULL;
	int rc = make_scratch(log, &scratch, &out->databases);

	for (unsigned int i = 0; i < setup->loops && rc == 0; i++)
		rc = scan_log(log, scratch, out);
	hs_free_scratch(scratch);
	out->scans = log->count + log->left_out;
	out->bytes = log->used;
	out->left_out = log->left_out;
	out->cycles_per_packet = out->cycles_per_scan * (double)out->scans / setup->capture->frame_count;
	return rc;
}

int
scan_alone(const struct scan_setup *setup, struct scan_result *out)
{
	struct scan_log log = { .scans = malloc(LOG_SCANS_MAX * sizeof(*log.scans)), .bytes = malloc(LOG_BYTES_MAX) };
	int rc = log.scans == NULL || log.bytes == NULL ? -ENOMEM : 0;

	memset(out, 0, sizeof(*out));
	if (rc == 0)
		rc = fill_log(setup, &log);
	if (rc == 0 && log.count > 0)
		rc = measure_log(setup, &log, out);
	free(log.scans);
	free(log.bytes);
	return rc;
}
