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
	DATASET_NETWORK_LEN = 17,     /* its address and how many bits of it count */
	DATASET_LABELS_MAX = 32,      /* suffixes of a name that are asked */
	DATASET_ROOM = 65536,         /* values that rules may add to a set */
	DATASET_LOAD_MAX = 16777216,  /* values of one file */
	DATASET_BYTES_MAX = 1 << 30,
};

struct rule_dataset;

/** Values not yet in a set: lines of a file. Zeroed is empty. */
struct rule_dataset_values {
	uint8_t *bytes;      /* length (2 bytes), weight or length of the context (2 bytes), value, context; one behind the other */
	size_t len, cap;
	uint32_t count;
	bool contexts;       /* behind the values stand JSON texts that say more of them */
};

/** How values stand in JSON. */
struct rule_dataset_json {
	const char *value_key;  /* "ioc.domain" */
	const char *array_key;  /* of the array, where the file is one object; NULL: the file is an array */
	bool lines;             /* an object in each line */
	bool remove_key;        /* the context is told without the value */
};

/** Appends one value. @return 0, -ENOMEM, -E2BIG */
int rule_dataset_values_add(struct rule_dataset_values *values, const void *data, size_t len, uint16_t weight);
/** The same with a context. */
int rule_dataset_values_add_context(struct rule_dataset_values *values, const void *data, size_t len, const char *context,
	size_t context_len);
/** The network of an address. */
void rule_dataset_network(uint8_t out[DATASET_NETWORK_LEN], const uint8_t address[16], uint8_t bits);
void rule_dataset_values_free(struct rule_dataset_values *values);
/** Appends the values of a file's text: base64 (string), hex digits (hashes), addresses or prefixes, with `weighted` each followed
 *  by ",weight". @return 0, -ENOMEM, or -EINVAL with the line at fault in *line */
int rule_dataset_parse(struct rule_dataset_values *values, enum rule_dataset_type type, bool weighted, char *text,
	unsigned int *line);

/** As rule_dataset_parse() of JSON objects, which become the contexts: strings are the values themselves. */
int rule_dataset_parse_json(struct rule_dataset_values *values, enum rule_dataset_type type, const struct rule_dataset_json *json,
	char *text, unsigned int *line);

/**
 * @param values   put into it; borrowed
 * @param memcap   bytes of values at most, 0: DATASET_BYTES_MAX
 * @param growing  rules add to it: there is room for DATASET_ROOM more
 * @return 0, -E2BIG or -ENOMEM
 */
int rule_dataset_create(struct rule_dataset **out, const char *name, enum rule_dataset_type type,
	const struct rule_dataset_values *values, size_t memcap, bool growing);
/** Puts more values into a set that is in use. */
void rule_dataset_fill(struct rule_dataset *set, const struct rule_dataset_values *values);
struct rule_dataset *rule_dataset_ref(struct rule_dataset *set);
/** The last reference saves the set, if it has a file, and frees it. Thread: not a worker's. */
void rule_dataset_destroy(struct rule_dataset *set);
/** Where the set is kept when the last reference goes. Copied; NULL: nowhere. @return 0 or -ENOMEM */
int rule_dataset_save_to(struct rule_dataset *set, const char *path);
/** The values, one a line, as rule_dataset_parse() reads them. */
void rule_dataset_write(const struct rule_dataset *set, struct buf *out);

/* ---- hot; any thread ---- */

/** What is known of a value. */
struct rule_dataset_found {
	uint16_t weight;        /* of datarep */
	uint16_t context_len;   /* 0: none */
	const uint8_t *context; /* JSON text; as long as the set */
};

/** @param found  out; may be NULL */
bool rule_dataset_has(const struct rule_dataset *set, const uint8_t *data, size_t len, struct rule_dataset_found *found);
/** Whether the value, or what is left of it behind one of its dots, with the dot or without, is in the set. */
bool rule_dataset_has_parent(const struct rule_dataset *set, const uint8_t *data, size_t len, struct rule_dataset_found *found);
/** @return 1: added, 0: it was there, -1: no room */
int rule_dataset_add(struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t weight);
/** @return whether it was there */
bool rule_dataset_remove(struct rule_dataset *set, const uint8_t *data, size_t len);

#endif
