/*
 * Where encoded events go. A sink is a folder and one row in sinks[]; the exporter talks to a
 * struct sink_set, which holds the sinks that the configuration enables.
 *
 * Thread: the exporter's, after create; counters and status may be read by any thread.
 */
#ifndef MR_SINK_SINK_H
#define MR_SINK_SINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/spool/lane.h"

enum {
	SINK_MAX = 16,
	SINK_COUNTER_SETS_MAX = 3,   /* of one sink */
	SINK_FLUSH_INTERVAL_MS = 100, /* how often the exporter calls flush */
};

/** What the program knows and the file does not. */
struct sink_env {
	const char *log_dir; /* relative paths of outputs are below it; NULL: the current folder */
	bool waits;          /* a sink rather waits than drops: what comes can wait, as a file does */
};

struct sink_ops {
	const char *name;
	/** Keys that it reads; ends with NULL. */
	const struct knob_table *const *knobs;
	/** @param self  out: NULL when the configuration does not enable the sink. @return 0 or -errno with err set. */
	int (*create)(void **self, struct config *config, const struct sink_env *env, struct config_error *err);
	/** Takes one EVE line without newline, borrowed for the call. Waits
	 *  for a moment at most, unless the environment waits; what it cannot take it counts. */
	void (*write)(void *self, enum link_lane lane, const char *line, size_t len);
	/** Hands on what is buffered. @param now_ns  CLOCK_MONOTONIC */
	void (*flush)(void *self, uint64_t now_ns);
	/** SIGHUP: another program moved the file. NULL: nothing to do. */
	void (*reopen)(void *self);
	/** Waits until everything is delivered. NULL: delivered with flush.
	 *  @param timeout_ms  0: as long as the sink's configuration says. @return 0 or -ETIMEDOUT. */
	int (*drain)(void *self, uint64_t timeout_ms);
	/** An object for the control socket, owned by the caller; any thread. NULL: nothing to say. */
	json_t *(*status)(void *self);
	/** Whether create() would take the settings: sends nothing, makes nothing. @return 0, also where it is not enabled, or
	 *  -errno with err set. NULL: another place says so. */
	int (*check)(struct config *config, struct config_error *err);
	/** What of the settings an operator should think about, static text; NULL: there is nothing, also as a function. The
	 *  sink may not be enabled: then there is nothing. */
	const char *(*warn)(struct config *config);
	/** What counters() may give, for the reference page; ends with NULL. */
	const struct counter_table *const *counter_tables;
	/** @param sets  out [SINK_COUNTER_SETS_MAX]. @return how many; values live as long as the sink */
	unsigned int (*counters)(void *self, struct counter_set sets[]);
	void (*destroy)(void *self);
};

/** The table of sinks; ends with NULL. */
extern const struct sink_ops *const sinks[];

struct sink_set;

/** Tables of all sinks' keys, for config_check_unknown() and the reference page. @return how many */
unsigned int sink_get_knobs(const struct knob_table *tables[], unsigned int table_max);

/** Whether the sink of that name takes its settings. @return 0 or -errno with err set */
int sink_check(const char *name, struct config *config, struct config_error *err);

/** What operators should think about in the settings of the enabled sinks. @param texts  out, static. @return how many */
unsigned int sink_get_warnings(struct config *config, const char *texts[], unsigned int text_max);

/** Names of all sinks' counters. @return how many tables */
unsigned int sink_get_counter_tables(const struct counter_table *tables[], unsigned int table_max);

/** Creates every enabled sink. @return 0, or -errno with err set. */
int sink_set_create(struct sink_set **out, struct config *config, const struct sink_env *env, struct config_error *err);
/** Flushes and destroys, without waiting for delivery. NULL is accepted. */
void sink_set_destroy(struct sink_set *set);

void sink_set_write(struct sink_set *set, enum link_lane lane, const char *line, size_t len);
void sink_set_flush(struct sink_set *set, uint64_t now_ns);
void sink_set_reopen(struct sink_set *set);
/** Waits until every sink has delivered what it was given.
 *  @param timeout_ms  0: as long as each sink's configuration says. @return 0 or -ETIMEDOUT. */
int sink_set_drain(struct sink_set *set, uint64_t timeout_ms);
unsigned int sink_set_count(const struct sink_set *set);
/** {"file":{..},"uplink":{..}}, owned by the caller; NULL when memory is short. Any thread. */
json_t *sink_set_status(const struct sink_set *set);
/** @return counter sets of all sinks, at most sets_max. Values live as long as the set. */
unsigned int sink_set_counters(const struct sink_set *set, struct counter_set sets[], unsigned int sets_max);

#endif
