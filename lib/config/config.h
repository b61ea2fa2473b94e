/*
 * Configuration: YAML read by libyaml into a jansson tree that remembers each key's line;
 * each module owns a table of its keys (knobs). A table gives parsing, --set, range errors
 * with file and line, `check`, `dump` and the reference page.
 *
 * Thread: the starting thread only. Strings and lists that knobs fill are owned by the
 * config and live until config_destroy().
 */
#ifndef MR_CONFIG_CONFIG_H
#define MR_CONFIG_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum knob_type {
	KNOB_BOOL,    /* bool:        yes/no/true/false/on/off */
	KNOB_NUMBER,  /* uint64_t:    decimal or 0x, min..max */
	KNOB_SIZE,    /* uint64_t:    bytes, suffixes kb mb gb / KiB MiB GiB (all powers of 1024), min..max */
	KNOB_TEXT,    /* const char*: "" when not given and without a default */
	KNOB_CHOICE,  /* unsigned:    index into choices[] */
	KNOB_LIST,    /* json_t*:     array of strings; a single string counts as one; NULL when not given */
	KNOB_TREE,    /* json_t*:     the subtree as it is, for its owner to walk; NULL when not given */
	KNOB_ACCEPTED, /* known to users of other sensors, has no meaning here: accepted, ignored, told by config_tell_ignored() */
};

struct knob {
	const char *name;     /* dotted path, "flow.memcap"; a trailing ".*" covers a subtree (KNOB_ACCEPTED, KNOB_TREE) */
	enum knob_type type;
	size_t offset;        /* of the field in the owner's config struct */
	uint64_t min, max;    /* KNOB_NUMBER, KNOB_SIZE; ignored when both are 0 */
	const char *fallback; /* the default, as a user would write it; NULL: none */
	const char *const *choices; /* KNOB_CHOICE; ends with NULL */
	const char *help;     /* one line for the reference page */
};

struct knob_table {
	const char *owner; /* the module, a heading of the reference page */
	const struct knob *knobs;
	unsigned int count;
};

/** What was wrong, ready to print: "sensor.yaml:12: flow.memcap: 7 is below 1048576". */
struct config_error {
	char text[512];
};

struct config;

/** Reads a YAML file. @param path NULL: an empty configuration. @return 0 or -errno with err set. */
int config_load(struct config **out, const char *path, struct config_error *err);
/** Sets one key from "a.b.c=value" (value is YAML, or begins with ! and is that text); later calls win over earlier and over the file. */
int config_set(struct config *config, const char *assignment, struct config_error *err);
/** Fills the owner's struct from its table, defaults included. @return 0 or -EINVAL with err set. */
int config_apply(struct config *config, const struct knob_table *table, void *target, struct config_error *err);
/** Fails on the first key that no table knows, naming the nearest known key. */
int config_check_unknown(struct config *config, const struct knob_table *const tables[], unsigned int table_count,
	struct config_error *err);
/** Calls fn for each key of the configuration that is KNOB_ACCEPTED: "sensor.yaml:12: flow.memcap has no effect: REASON". */
void config_tell_ignored(struct config *config, const struct knob_table *const tables[], unsigned int table_count,
	void (*fn)(void *arg, const char *text), void *arg);
/** Whether each value is of its row's kind and within its bounds, also of keys whose owner does not read them now. @return 0 or -EINVAL with err set. */
int config_check_values(struct config *config, const struct knob_table *const tables[], unsigned int table_count,
	struct config_error *err);
/** The raw subtree at a dotted path, or NULL. Borrowed. */
json_t *config_get(const struct config *config, const char *path);
/** The line of a dotted path in the file, 0 when it came from elsewhere. */
unsigned int config_line(const struct config *config, const char *path);
const char *config_path(const struct config *config);
/** Effective configuration, one "key: value" a line, in table order. */
void config_dump(struct config *config, const struct knob_table *const tables[], unsigned int table_count, FILE *out);
/** The reference page (Markdown). */
void config_reference(const struct knob_table *const tables[], unsigned int table_count, FILE *out);
void config_destroy(struct config *config);

#endif
