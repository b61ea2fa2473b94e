/*
 * Compiled databases on disk, one file each, named by the digest of everything they were made from
 * (patterns, flags, the library's version, the processor). A file is believed only when its length and
 * checksum are right and the library accepts it; else it is removed and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "lib/base/folder.h"
#include "lib/base/log.h"
#include "lib/rule/rule_internal.h"

enum { CACHE_PATH_MAX = 4096, CACHE_FILE_MAX = 256 * 1024 * 1024 };

struct cache_head {
	char magic[8];
	uint64_t len;            /* of what follows */
	uint8_t digest[32];      /* of what it was made from, as in the name */
	uint8_t checksum[32];    /* SHA-256 of what follows */
};

static const char cache_magic[8] = "MRHSDB1";

static int
cache_path(char out[CACHE_PATH_MAX], const char *dir, const uint8_t digest[32], const char *suffix)
{
	char name[65];

	for (unsigned int i = 0; i < 32; i++)
		snprintf(name + 2 * i, 3, "%02x", digest[i]);
	int len = snprintf(out, CACHE_PATH_MAX, "%s/%s.hs%s", dir, name, suffix);

	return len < 0 || len >= CACHE_PATH_MAX ? -ENAMETOOLONG : 0;
}

static bool
checksum_of(const void *data, size_t len, uint8_t out[32])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1;
}

static bool
read_all(int fd, void *out, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t got = read(fd, (char *)out + done, len - done);

		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static bool
write_all(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t put = write(fd, (const char *)data + done, len - done);

		if (put <= 0)
			return false;
		done += (size_t)put;
	}
	return true;
}

/* @return the bytes behind the head, to be freed; NULL when anything is not as it was written */
static char *
cache_read(int fd, const uint8_t digest[32], size_t *len)
{
	struct cache_head head;
	struct stat st;
	uint8_t sum[32];

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= (off_t)sizeof(head) || st.st_size > CACHE_FILE_MAX
		|| !read_all(fd, &head, sizeof(head)))
		return NULL;
	*len = (size_t)st.st_size - sizeof(head);
	if (memcmp(head.magic, cache_magic, sizeof(head.magic)) != 0 || head.len != *len
		|| memcmp(head.digest, digest, sizeof(head.digest)) != 0)
		return NULL;
	char *data = malloc(*len);

	if (data == NULL)
		return NULL;
	if (!read_all(fd, data, *len) || !checksum_of(data, *len, sum) || memcmp(sum, head.checksum, sizeof(sum)) != 0) {
		free(data);
		return NULL;
	}
	return data;
}

/* The library's own word on the bytes must name this very version before they are taken in. */
static bool
cache_is_ours(const char *data, size_t len)
{
	char *info = NULL;
	bool ours = hs_serialized_database_info(data, len, &info) == HS_SUCCESS && info != NULL;

	if (ours) {
		size_t version = strcspn(hs_version(), " ");
		const char *at = strstr(info, "Version: ");

		ours = at != NULL && strncmp(at + 9, hs_version(), version) == 0;
	}
	free(info);
	return ours;
}

hs_database_t *
rule_cache_load(const char *dir, const uint8_t digest[32], struct rule_cache_count *count)
{
	char path[CACHE_PATH_MAX];
	hs_database_t *db = NULL;
	size_t len;

	if (dir[0] == '\0' || cache_path(path, dir, digest, "") != 0)
		return NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return NULL;
	char *data = cache_read(fd, digest, &len);

	close(fd);
	if (data == NULL || !cache_is_ours(data, len) || hs_deserialize_database(data, len, &db) != HS_SUCCESS) {
		log_notice("rule", "%s is damaged or foreign: removed and compiled anew", path);
		unlink(path);
		count->discarded++;
		db = NULL;
	} else {
		count->loaded++;
	}
	free(data);
	return db;
}

static bool
cache_write(const char *path, const struct cache_head *head, const char *data, size_t len)
{
	(void)unlink(path); /* of one that was broken off */
	int fd = folder_make_file(path, NULL, 0640);

	if (fd < 0)
		return false;
	bool ok = write_all(fd, head, sizeof(*head)) && write_all(fd, data, len);

	/* No fsync: a file that a crash cut short fails its checksum and is made anew. */
	return close(fd) == 0 && ok;
}

void
rule_cache_store(const char *dir, const uint8_t digest[32], const hs_database_t *db, struct rule_cache_count *count)
{
	char path[CACHE_PATH_MAX], temporary[CACHE_PATH_MAX], suffix[32];
	struct cache_head head = { 0 };
	char *data = NULL;
	size_t len;

	if (dir[0] == '\0')
		return;
	int err = folder_make(dir, 0750);

	if (err != 0) {
		if (count->refused++ == 0)
			log_warning("rule", "detect.sgh-mpm-caching-path: %s: %s: the next start compiles all of them again", dir, strerror(-err));
		return;
	}
	snprintf(suffix, sizeof(suffix), ".%ld.tmp", (long)getpid());
	if (hs_serialize_database(db, &data, &len) != HS_SUCCESS)
		return;
	memcpy(head.magic, cache_magic, sizeof(head.magic));
	memcpy(head.digest, digest, sizeof(head.digest));
	head.len = len;
	if (checksum_of(data, len, head.checksum) && cache_path(path, dir, digest, "") == 0
		&& cache_path(temporary, dir, digest, suffix) == 0) {
		if (cache_write(temporary, &head, data, len) && rename(temporary, path) == 0)
			count->stored++;
		else
			unlink(temporary);
	}
	free(data);
}
