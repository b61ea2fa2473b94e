/* The whole sensor: parts made in order, run, and taken down in reverse. */
#ifndef MR_SENSOR_SENSOR_H
#define MR_SENSOR_SENSOR_H

#include <pthread.h>

#include "app/sensor/exporter.h"
#include "app/sensor/port.h"
#include "app/sensor/sensor_config.h"
#include "app/sensor/stall.h"
#include "app/sensor/worker.h"

struct spreader;
struct control;

struct sensor {
	struct settings settings;
	bool reading;                /* `read`: captures instead of ports */
	const char *const *paths;    /* captures, borrowed */
	unsigned int path_count;
	bool huge_pages;
	bool eal;
	struct port ports[PORT_MAX];
	const char *port_names[PORT_MAX];
	unsigned int port_count, ports_started;
	struct rte_mempool *pool, *jumbo_pool; /* of captures */
	struct source *file;         /* of captures; owned by worker or spreader */
	struct worker *workers[WORKER_MAX];
	unsigned int worker_count, workers_made;
	struct stall stalls[WORKER_MAX]; /* of the workers */
	struct stall spreader_stall, exporter_stall;
	struct spreader *spreader;   /* NULL: workers take frames themselves */
	struct ruleset *ruleset;
	pthread_mutex_t reload_lock; /* ruleset and the workers' matchers may be looked at */
	pthread_mutex_t reload_turn; /* one reload at a time: signals and the control socket may both ask */
	struct sink_set *sinks;
	struct exporter *exporter;
	struct control *control;
	struct recording *recording; /* NULL: none is under way; the control thread's */
	struct recording_state *recorded; /* of the last that ended; NULL: none did */
	uint32_t advice_given;       /* advice.h; the exporter's thread */
	uint64_t started_ns;         /* wall clock */
	uint64_t started_ms;         /* clock_ms() */
	_Atomic uint64_t stop_requested;
};

/**
 * Makes every part; nothing runs yet.
 * @param settings  moved in
 * @param log_dir   outputs' relative paths are below it; NULL: the current folder
 * @return 0 or -errno with err set
 */
int sensor_create(struct sensor *sensor, struct settings *settings, const char *log_dir, struct config_error *err);
/** Workers and exporter run from here on. */
int sensor_start(struct sensor *sensor, struct config_error *err);
/** Whether every worker ended by itself. */
bool sensor_is_done(const struct sensor *sensor);
/** Looks at the ports' links and for frames, and logs what changed. `run` calls it once a second.
 *  @return 0, or -ENODEV: a port's interface was taken away and came again; only a new start opens it */
int sensor_watch_ports(struct sensor *sensor);
/** Stops workers, lets the exporter write everything. The sinks are not drained: sink_set_drain(). */
void sensor_stop(struct sensor *sensor);
void sensor_destroy(struct sensor *sensor);

/** Reads the rule files again; a set that cannot be read leaves the old one in force. Any thread but workers.
 *  @return 0 or -errno with err set */
int sensor_reload_rules(struct sensor *sensor, struct config_error *err);

/* ---- stats.c ---- */

/** Counters that a stats event has beside those of the modules, for the reference page. */
extern const struct counter_table stats_capture_table;
extern const struct counter_table stats_decoder_table;
extern const struct counter_table stats_rules_table;

/** All counters, nested by their names, with the books of frames: a new object. Any thread. */
json_t *stats_collect(struct sensor *sensor);
/** One stats event, and in the log what it advises (advice.h). For exporter_config.stats: one thread. */
void stats_write_line(void *sensor, struct buf *out);

/* ---- control.c ---- */

/** Listens on settings.sensor.control_socket. @return 0 or -errno with err set */
int control_create(struct control **out, struct sensor *sensor, struct config_error *err);
void control_destroy(struct control *control);

/* ---- control_flows.c ---- */

/** The verb `flows`: those with the most bytes, as flow events say it. @return the answer; NULL with err set */
json_t *control_flows(struct sensor *sensor, const json_t *request, struct config_error *err);

/* ---- control_capture.c: the control thread's ---- */

/** The verbs `capture.start`, `capture.stop` and `capture.status`. @return the answer; NULL with err set */
json_t *control_capture_start(struct sensor *sensor, const json_t *request, struct config_error *err);
json_t *control_capture_stop(struct sensor *sensor, const json_t *request, struct config_error *err);
json_t *control_capture_status(struct sensor *sensor, const json_t *request, struct config_error *err);
/** Now and then: one that came to its end is put away. */
void control_capture_watch(struct sensor *sensor);
/** The control thread is gone, the workers are done. */
void control_capture_end(struct sensor *sensor);

/* ---- spreader.c ---- */

enum spreader_counter { SPREADER_RECEIVED, SPREADER_SPREAD, SPREADER_DROPPED, SPREADER_POLLS, SPREADER_COUNTER_COUNT };

extern const struct counter_desc spreader_counters[SPREADER_COUNTER_COUNT];

/** @param source given. @param wait  wait for a full ring (captures) instead of dropping and counting */
int spreader_create(struct spreader **out, struct source *source, unsigned int worker_count, bool wait);
void spreader_destroy(struct spreader *spreader);
/** The source of one worker; given to the caller. */
int spreader_source(struct spreader *spreader, unsigned int worker_idx, struct source **out);
/** Runs on an lcore of its own until the source ends or spreader_stop(). */
int spreader_run(void *spreader);
void spreader_stop(struct spreader *spreader);
struct counter_set spreader_get_counters(struct spreader *spreader);

#endif
