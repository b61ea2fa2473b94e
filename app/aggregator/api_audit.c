#include "app/aggregator/api_audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/base/folder.h"
#include "lib/base/log.h"

enum { PATH_LEN_MAX = 4096, URI_LEN_MAX = 1024 };

static const struct counter_desc counters[API_AUDIT_COUNTERS] = {
	[API_AUDIT_WRITTEN] = { "api.audit_written", "requests in the audit log" },
	[API_AUDIT_LOST] = { "api.audit_lost", "requests that could not be written there" },
};

const struct counter_table api_audit_counter_table = { counters, API_AUDIT_COUNTERS };

struct api_audit {
	struct api_audit_config config;
	int fd; /* -1: none */
	uint64_t size;
	ino_t inode;
	bool plain; /* a file, no pipe or device */
	_Atomic uint64_t counts[API_AUDIT_COUNTERS];
};

static int
open_file(struct api_audit *audit)
{
	struct stat status;

	(void)folder_make_above(audit->config.path);
	audit->fd = open(audit->config.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (audit->fd < 0 || fstat(audit->fd, &status) != 0) {
		int err = errno;

		log_error("api", "api.audit.path: %s: %s", audit->config.path, strerror(err));
		return -err;
	}
	audit->size = (uint64_t)status.st_size;
	audit->inode = status.st_ino;
	audit->plain = S_ISREG(status.st_mode);
	return 0;
}

/* Another program may have moved it, or cut it. */
static void
look_again(struct api_audit *audit)
{
	struct stat status;

	if (!audit->plain)
		return;
	if (stat(audit->config.path, &status) == 0 && status.st_ino == audit->inode) {
		audit->size = (uint64_t)status.st_size;
		return;
	}
	close(audit->fd);
	(void)open_file(audit);
}

/* No half line stays: the next one would be part of it. */
static bool
write_whole(struct api_audit *audit, const char *line, size_t len)
{
	ssize_t done = write(audit->fd, line, len);

	if (done > 0 && (size_t)done < len && ftruncate(audit->fd, (off_t)audit->size) != 0)
		audit->size += (uint64_t)done;
	if (done != (ssize_t)len)
		return false;
	audit->size += len;
	return true;
}

/* The oldest is overwritten. */
static void
rotate(struct api_audit *audit)
{
	char from[PATH_LEN_MAX], to[PATH_LEN_MAX];

	for (uint64_t i = audit->config.files_max; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%u", audit->config.path, (unsigned int)i);
		if (i == 1)
			snprintf(from, sizeof(from), "%s", audit->config.path);
		else
			snprintf(from, sizeof(from), "%s.%u", audit->config.path, (unsigned int)i - 1);
		if (rename(from, to) != 0 && errno != ENOENT)
			log_error("api", "audit: %s: %s", from, strerror(errno));
	}
	close(audit->fd);
	(void)open_file(audit);
}

static json_t *
text_of(const char *text, size_t len_max)
{
	json_t *value = text == NULL ? NULL : json_stringn(text, strnlen(text, len_max));

	return value == NULL ? json_null() : value;
}

static char *
write_line(const struct api_audit_entry *entry)
{
	struct timespec now;
	char when[64];
	struct tm tm;
	json_t *root;
	char *line;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	snprintf(when, sizeof(when), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
	root = json_pack("{s:s, s:o, s:o, s:s, s:o, s:i, s:I}", "at", when, "address", text_of(entry->address, 64),
		"token", text_of(entry->name, 64), "method", entry->method, "uri", text_of(entry->uri, URI_LEN_MAX),
		"status", entry->status, "took_us", (json_int_t)entry->took_us);
	line = root == NULL ? NULL : json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(root);
	return line;
}

void
api_audit_note(struct api_audit *audit, const struct api_audit_entry *entry)
{
	char *line;
	size_t len;
	bool done = false;

	if (audit->config.path[0] == '\0')
		return;
	line = write_line(entry);
	if (audit->fd < 0)
		(void)open_file(audit);
	else
		look_again(audit);
	if (audit->fd >= 0 && audit->plain && audit->size > audit->config.size_max)
		rotate(audit);
	if (line != NULL && audit->fd >= 0) {
		len = strlen(line);
		line[len] = '\n'; /* in place of the end: the length is known */
		done = write_whole(audit, line, len + 1);
	}
	free(line);
	counter_add(&audit->counts[done ? API_AUDIT_WRITTEN : API_AUDIT_LOST], 1);
}

int
api_audit_create(struct api_audit **out, const struct api_audit_config *config)
{
	struct api_audit *audit = calloc(1, sizeof(*audit));
	int err;

	if (audit == NULL)
		return -ENOMEM;
	audit->config = *config;
	audit->fd = -1;
	err = config->path[0] == '\0' ? 0 : open_file(audit);
	if (err != 0) {
		api_audit_destroy(audit);
		return err;
	}
	*out = audit;
	return 0;
}

void
api_audit_destroy(struct api_audit *audit)
{
	if (audit == NULL)
		return;
	if (audit->fd >= 0)
		close(audit->fd);
	free(audit);
}

struct counter_set
api_audit_counter_set(struct api_audit *audit)
{
	return (struct counter_set){ .descs = counters, .values = audit->counts, .count = API_AUDIT_COUNTERS };
}
