/*
 * Sets of values that rules ask (dataset) or weigh (datarep). One set is shared by all workers of all rule sets that name
 * it: looking and adding take no lock and no memory, removing marks. Room is fixed when the set is made: what does not
 * fit is not kept, and counted by the asker.
 */
#ifndef MR_RULE_DATASET_H
#define MR_RULE_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum rule_dataset_type { DATASET_STRING, DATASET_MD5, DATASET_SHA256, DATASET_IP, DATASET_TYPE_COUNT };

enum {
	DATASET_VALUE_LEN_MAX = 4096,
	DATASET_NAME_LEN_MAX = 63,
	DATASET_ROOM = 65536,         /* values that rules may add to a set */
	DATASET_LOAD_MAX = 16777216,  /* values of one file */
	DATASET_BYTES_MAX = 1 << 30,
};

struct rule_dataset;

/** Values not yet in a set: lines of a file. Zeroed is empty. */
struct rule_dataset_values {
	uint8_t *bytes;      /* length (2 bytes), weight (2 bytes), value; one behind the other */
	size_t len, cap;
	uint32_t count;
};

/** Appends one value. @return 0, -ENOMEM, -E2BIG */
int rule_dataset_values_add(struct rule_dataset_values *values, const void *data, size_t len, uint16_t weight);
void rule_dataset_values_free(struct rule_dataset_values *values);
/** Appends the values of a file's text: base64 (string), hex digits (hashes) or addresses, with `weighted` each followed
 *  by ",weight". @return 0, -ENOMEM, or -EINVAL with the line at fault in *line */
int rule_dataset_parse(struct rule_dataset_values *values, enum rule_dataset_type type, bool weighted, char *text,
	unsigned int *line);

/**
 * @param values   put into it; borrowed
 * @param memcap   bytes of values at most, 0: DATASET_BYTES_MAX
 * @param growing  rules add to it: there is room for DATASET_ROOM more
 * @return 0, -E2BIG or -ENOMEM
 */
int rule_dataset_create(struct rule_dataset **out, const char *name, enum rule_dataset_type type,
	const struct rule_dataset_values *values, size_t memcap, bool growing);
struct rule_dataset *rule_dataset_ref(struct rule_dataset *set);
/** The last reference saves the set, if it has a file, and frees it. Thread: not a worker's. */
void rule_dataset_destroy(struct rule_dataset *set);
const char *rule_dataset_name(const struct rule_dataset *set);
enum rule_dataset_type rule_dataset_type_of(const struct rule_dataset *set);
/** Where the set is kept when the last reference goes. Copied; NULL: nowhere. @return 0 or -ENOMEM */
int rule_dataset_save_to(struct rule_dataset *set, const char *path);
/** The values, one a line, as rule_dataset_parse() reads them. */
void rule_dataset_write(const struct rule_dataset *set, struct buf *out);

/* ---- hot; any thread ---- */

/** @param weight  out, of datarep; may be NULL */
bool rule_dataset_has(const struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t *weight);
/** @return 1: added, 0: it was there, -1: no room */
int rule_dataset_add(struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t weight);
/** @return whether it was there */
bool rule_dataset_remove(struct rule_dataset *set, const uint8_t *data, size_t len);

#endif
