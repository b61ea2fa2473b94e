/*
 * The trail of requests: one JSON line each, in a file that is rotated by size, with a bounded number of older ones
 * beside it (PATH.1 the youngest). What cannot be written is counted.
 *
 * Thread: the API's; the counters may be read by any.
 */
#ifndef MR_AGGREGATOR_API_AUDIT_H
#define MR_AGGREGATOR_API_AUDIT_H

#include <stdint.h>

#include "lib/base/counter.h"

enum api_audit_counter { API_AUDIT_WRITTEN, API_AUDIT_LOST, API_AUDIT_COUNTERS };

struct api_audit_config {
	const char *path;   /* "": no trail */
	uint64_t size_max;  /* bytes of a file */
	uint64_t files_max; /* older ones, 1..99 */
};

/** One request; texts are lent for the call. */
struct api_audit_entry {
	const char *address;
	const char *name;   /* of the token; NULL: not known */
	const char *method;
	const char *uri;    /* as asked, cut at 1024 bytes */
	int status;
	uint64_t took_us;
};

struct api_audit;

/** @return 0 or -errno, logged. */
int api_audit_create(struct api_audit **out, const struct api_audit_config *config);
void api_audit_destroy(struct api_audit *audit);
void api_audit_note(struct api_audit *audit, const struct api_audit_entry *entry);
struct counter_set api_audit_counter_set(struct api_audit *audit);
extern const struct counter_table api_audit_counter_table;

#endif
