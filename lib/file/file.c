#include "lib/file/file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

const uint8_t file_hash_lens[FILE_HASH_COUNT] = { [FILE_MD5] = 16, [FILE_SHA1] = 20, [FILE_SHA256] = 32 };
const char *const file_hash_names[FILE_HASH_COUNT] = { [FILE_MD5] = "md5", [FILE_SHA1] = "sha1", [FILE_SHA256] = "sha256" };

const struct counter_desc file_counters[FILE_COUNTER_COUNT] = {
	[FILE_COUNT_FILES] = { "file.files", "files that were followed: rules ask for files, or events are written of them" },
	[FILE_COUNT_TRUNCATED] = { "file.truncated", "of them, those of which bytes or the end did not come" },
	[FILE_COUNT_SHED] = { "file.shed", "files not followed: no memory" },
	[FILE_COUNT_HASHES_SHED] = { "file.hashes_shed", "files without the sums that are wanted: too many were being summed at once" },
	[FILE_COUNT_NAMES_CUT] = { "file.names_cut", "names longer than 1,024 bytes, of which the end is kept" },
};

static const struct knob knobs[] = {
	{ "files.md5", KNOB_BOOL, offsetof(struct file_config, hashes[FILE_MD5]), 0, 0, "no", NULL,
		"fileinfo events have the MD5; without it only where a rule asks for MD5s" },
	{ "files.sha1", KNOB_BOOL, offsetof(struct file_config, hashes[FILE_SHA1]), 0, 0, "no", NULL, "the same for SHA-1" },
	{ "files.sha256", KNOB_BOOL, offsetof(struct file_config, hashes[FILE_SHA256]), 0, 0, "no", NULL, "the same for SHA-256" },
	{ "files.hashed-max", KNOB_NUMBER, offsetof(struct file_config, hashed_max), 1, 65536, "256", NULL,
		"files of a worker that are summed at once" },
};

const struct knob_table file_knobs = { "file", knobs, sizeof(knobs) / sizeof(knobs[0]) };

/* Contexts that were made ready once, so that beginning a file allocates nothing. */
struct file_sums {
	struct file_sums *next;
	EVP_MD_CTX *ctx[FILE_HASH_COUNT];
};

struct file_tracker {
	struct slab *slab;
	unsigned int hashes; /* of every file */
	struct file_sums *idle;
	struct file_sums *sums; /* [sums_count] */
	uint64_t sums_count;
	_Atomic uint64_t counters[FILE_COUNTER_COUNT];
};

static int
create_sums(struct file_sums *sums)
{
	const EVP_MD *const algorithms[FILE_HASH_COUNT] = { EVP_md5(), EVP_sha1(), EVP_sha256() };

	for (unsigned int i = 0; i < FILE_HASH_COUNT; i++) {
		sums->ctx[i] = EVP_MD_CTX_new();
		if (sums->ctx[i] == NULL || EVP_DigestInit_ex(sums->ctx[i], algorithms[i], NULL) != 1)
			return -ENOMEM;
	}
	return 0;
}

int
file_tracker_create(struct file_tracker **out, const struct file_config *config, struct slab *slab)
{
	struct file_tracker *tracker = calloc(1, sizeof(*tracker));
	int rc = 0;

	if (tracker == NULL)
		return -ENOMEM;
	tracker->slab = slab;
	for (unsigned int i = 0; i < FILE_HASH_COUNT; i++)
		tracker->hashes |= config->hashes[i] ? 1u << i : 0;
	tracker->sums = calloc(config->hashed_max, sizeof(*tracker->sums));
	tracker->sums_count = tracker->sums == NULL ? 0 : config->hashed_max;
	rc = tracker->sums == NULL ? -ENOMEM : 0;
	for (uint64_t i = 0; rc == 0 && i < tracker->sums_count; i++) {
		rc = create_sums(&tracker->sums[i]);
		tracker->sums[i].next = tracker->idle;
		tracker->idle = &tracker->sums[i];
	}
	if (rc != 0) {
		file_tracker_destroy(tracker);
		return rc;
	}
	*out = tracker;
	return 0;
}

void
file_tracker_destroy(struct file_tracker *tracker)
{
	if (tracker == NULL)
		return;
	for (uint64_t i = 0; i < tracker->sums_count; i++)
		for (unsigned int hash = 0; hash < FILE_HASH_COUNT; hash++)
			EVP_MD_CTX_free(tracker->sums[i].ctx[hash]);
	free(tracker->sums);
	free(tracker);
}

struct counter_set
file_tracker_counters(struct file_tracker *tracker)
{
	return (struct counter_set){ file_counters, tracker->counters, FILE_COUNTER_COUNT };
}

static void
count(struct file_tracker *tracker, enum file_counter counter)
{
	counter_add(&tracker->counters[counter], 1);
}

static void
take_sums(struct file_tracker *tracker, struct file *file)
{
	if (file->hashes == 0)
		return;
	file->sums = tracker->idle;
	if (file->sums == NULL) {
		file->hashes = 0;
		count(tracker, FILE_COUNT_HASHES_SHED);
		return;
	}
	tracker->idle = file->sums->next;
	for (unsigned int i = 0; i < FILE_HASH_COUNT; i++)
		if ((file->hashes >> i & 1) != 0)
			(void)EVP_DigestInit_ex(file->sums->ctx[i], NULL, NULL); /* as it was begun: the same algorithm */
}

static void
give_sums(struct file_tracker *tracker, struct file *file)
{
	if (file->sums == NULL)
		return;
	file->sums->next = tracker->idle;
	tracker->idle = file->sums;
	file->sums = NULL;
}

struct file *
file_begin(struct file_tracker *tracker, const uint8_t *name, uint32_t name_len, unsigned int wants)
{
	uint32_t kept = name_len < FILE_NAME_LEN_MAX ? name_len : FILE_NAME_LEN_MAX;
	struct file *file = wants == 0 || tracker == NULL ? NULL : slab_alloc(tracker->slab, sizeof(*file) + kept);

	if (wants == 0 || tracker == NULL)
		return NULL;
	if (file == NULL) {
		count(tracker, FILE_COUNT_SHED);
		return NULL;
	}
	*file = (struct file){ .name_len = (uint16_t)kept, .hashes = (uint8_t)((wants | tracker->hashes) & (FILE_WANT_EVENT - 1u)) };
	if (kept > 0)
		memcpy(file->name, name + (name_len - kept), kept);
	count(tracker, FILE_COUNT_FILES);
	if (kept < name_len)
		count(tracker, FILE_COUNT_NAMES_CUT);
	take_sums(tracker, file);
	return file;
}

void
file_bytes(struct file_tracker *tracker, struct file *file, const uint8_t *data, size_t len)
{
	(void)tracker;
	if (file == NULL || file->state != FILE_OPEN)
		return;
	file->size += len;
	for (unsigned int i = 0; file->sums != NULL && i < FILE_HASH_COUNT; i++)
		if ((file->hashes >> i & 1) != 0)
			(void)EVP_DigestUpdate(file->sums->ctx[i], data, len);
}

void
file_gap(struct file_tracker *tracker, struct file *file, uint64_t missing)
{
	if (file == NULL || file->state != FILE_OPEN)
		return;
	file->gaps = true;
	file->size += missing;
	file->hashes = 0;
	give_sums(tracker, file);
}

void
file_end(struct file_tracker *tracker, struct file *file, bool whole)
{
	if (file == NULL || file->state != FILE_OPEN)
		return;
	file->state = whole && !file->gaps ? FILE_CLOSED : FILE_TRUNCATED;
	if (file->state == FILE_TRUNCATED) {
		file->hashes = 0;
		count(tracker, FILE_COUNT_TRUNCATED);
	}
	for (unsigned int i = 0; i < FILE_HASH_COUNT; i++)
		if ((file->hashes >> i & 1) != 0)
			(void)EVP_DigestFinal_ex(file->sums->ctx[i], file->digests[i], NULL);
	give_sums(tracker, file);
}

void
file_destroy(struct file_tracker *tracker, struct file *file)
{
	if (file == NULL)
		return;
	give_sums(tracker, file);
	slab_free(tracker->slab, file, sizeof(*file) + file->name_len);
}
