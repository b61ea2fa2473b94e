/* EVE lines of a file as batches, the way a sensor's uplink makes them. */
#ifndef MR_BENCH_BATCHES_H
#define MR_BENCH_BATCHES_H

#include "lib/link/batch.h"

/** One batch: its lines, and the body that goes over the wire. */
struct bench_batch {
	const char *lines;
	size_t lines_len;
	uint32_t count;
	void *body;
	size_t body_len;
	char digest[BATCH_DIGEST_LEN + 1];
};

struct bench_batches {
	char *text;
	struct bench_batch *batches;
	uint32_t count;
	uint64_t records;
};

/**
 * Reads a file of EVE lines, cuts it into batches and compresses each.
 *
 * @param batch_records, batch_bytes  at most so many lines and uncompressed bytes a batch
 * @return 0 or -errno, said on stderr
 */
int bench_batches_load(struct bench_batches *out, const char *path, uint32_t batch_records, size_t batch_bytes);
void bench_batches_free(struct bench_batches *batches);

#endif
