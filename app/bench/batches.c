#include "app/bench/batches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ZSTD_LEVEL = 3, TEXT_MAX = 1 << 30 };

static int
read_text(const char *path, char **text, size_t *len)
{
	FILE *file = fopen(path, "re");
	struct stat status;
	int err = 0;

	if (file == NULL)
		return -errno;
	if (fstat(fileno(file), &status) != 0)
		err = -errno;
	else if (status.st_size > TEXT_MAX)
		err = -EFBIG;
	*text = err == 0 ? malloc((size_t)status.st_size + 1) : NULL;
	if (err == 0 && *text == NULL)
		err = -ENOMEM;
	if (err == 0)
		*len = fread(*text, 1, (size_t)status.st_size, file);
	fclose(file);
	return err;
}

static int
encode(struct batch_encoder *encoder, struct bench_batch *batch)
{
	struct batch_head head = { .lane = LINK_LANE_EVENT, .sequence = 1, .count = batch->count };
	struct buf body;
	int err = buf_create(&body, batch_body_bound(batch->lines_len));

	if (err != 0)
		return err;
	err = batch_encode(encoder, &head, batch->lines, batch->lines_len, &body);
	batch->body = body.data;
	batch->body_len = body.len;
	memcpy(batch->digest, head.digest, sizeof(head.digest));
	return err;
}

/* @return where the next batch starts */
static const char *
cut(struct bench_batch *batch, const char *at, const char *end, uint32_t records_max, size_t bytes_max)
{
	batch->lines = at;
	while (at < end && batch->count < records_max) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline == NULL)
			return end;
		if (batch->count > 0 && (size_t)(newline + 1 - batch->lines) > bytes_max)
			break;
		at = newline + 1;
		batch->count++;
		batch->lines_len = (size_t)(at - batch->lines);
	}
	return at;
}

static int
add(struct bench_batches *out, const struct bench_batch *batch)
{
	struct bench_batch *grown = realloc(out->batches, (out->count + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	out->batches = grown;
	out->batches[out->count++] = *batch;
	out->records += batch->count;
	return 0;
}

int
bench_batches_load(struct bench_batches *out, const char *path, uint32_t batch_records, size_t batch_bytes)
{
	struct batch_encoder *encoder = NULL;
	size_t len = 0;
	const char *at;
	int err;

	*out = (struct bench_batches){ 0 };
	err = read_text(path, &out->text, &len);
	if (err == 0)
		err = batch_encoder_create(&encoder, ZSTD_LEVEL);
	at = out->text;
	while (err == 0 && at < out->text + len) {
		struct bench_batch batch = { 0 };

		at = cut(&batch, at, out->text + len, batch_records, batch_bytes);
		if (batch.count == 0)
			break;
		err = add(out, &batch);
		if (err == 0)
			err = encode(encoder, &out->batches[out->count - 1]);
	}
	if (err == 0 && out->count == 0)
		err = -ENODATA;
	if (err != 0)
		fprintf(stderr, "millrace-bench: %s: %s\n", path, err == -ENODATA ? "has no whole line" : strerror(-err));
	batch_encoder_destroy(encoder);
	return err;
}

void
bench_batches_free(struct bench_batches *batches)
{
	for (uint32_t i = 0; i < batches->count; i++)
		free(batches->batches[i].body);
	free(batches->batches);
	free(batches->text);
}
