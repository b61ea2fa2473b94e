/* Making the parts in order, taking them down in reverse, and changing rules while they run. */
#include "app/sensor/sensor.h"

#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/sensor/cores.h"
#include "app/sensor/eal.h"
#include "app/sensor/frame_meta.h"
#include "app/sensor/source_multi.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { JUMBO_MBUFS = 128, JUMBO_DATA_LEN = 65000, RELOAD_WAIT_US = 200, STOP_POLL_US = 200, FILE_MBUFS = 8192, FILE_DATA_LEN = 2048 };

static int
choose_workers(struct sensor *sensor, unsigned int cpus[WORKER_MAX + 1], struct config_error *err)
{
	bool exporter_given = config_get(sensor->settings.config, "exporter.core") != NULL;
	struct cores_machine machine;
	struct cores cores;

	cores_look(&machine);
	int rc = cores_choose(&cores, &sensor->settings.sensor, exporter_given, sensor->reading, &machine, err);

	if (rc != 0)
		return rc;
	sensor->worker_count = cores.worker_count;
	sensor->settings.sensor.exporter_core = cores.exporter;
	memcpy(cpus, cores.workers, sizeof(cores.workers));
	cpus[sensor->worker_count] = cores.exporter; /* the spreader's, if any */
	return 0;
}

static int
parse_ports(struct sensor *sensor, bool *wants_pci, struct config_error *err)
{
	size_t i;
	json_t *spec;

	*wants_pci = false;
	json_array_foreach(sensor->settings.sensor.ports, i, spec)
	{
		struct port *port = &sensor->ports[sensor->port_count];
		int rc;

		if (sensor->port_count == PORT_MAX) {
			snprintf(err->text, sizeof(err->text), "ports: more than %d", PORT_MAX);
			return -EINVAL;
		}
		rc = port_parse(port, json_string_value(spec), err);
		if (rc == 0)
			rc = port_tell_twice(port, sensor->ports, sensor->port_count, err);
		if (rc != 0)
			return rc;
		*wants_pci = *wants_pci || port->kind == PORT_PCI;
		sensor->port_names[sensor->port_count++] = port->name;
	}
	if (sensor->port_count == 0 && !sensor->reading) {
		snprintf(err->text, sizeof(err->text), "ports: none is configured (for example ports: [af_packet:eth1])");
		return -EINVAL;
	}
	return 0;
}

static int
open_files(struct sensor *sensor, struct config_error *err)
{
	sensor->pool = rte_pktmbuf_pool_create("millrace_file", FILE_MBUFS, 256, 0, FILE_DATA_LEN + RTE_PKTMBUF_HEADROOM,
		(int)rte_socket_id());
	sensor->jumbo_pool = rte_pktmbuf_pool_create("millrace_jumbo", JUMBO_MBUFS, 0, 0,
		JUMBO_DATA_LEN + RTE_PKTMBUF_HEADROOM, (int)rte_socket_id());
	if (sensor->pool == NULL || sensor->jumbo_pool == NULL) {
		snprintf(err->text, sizeof(err->text), "no memory for packet buffers");
		return -ENOMEM;
	}
	return source_file_create(&sensor->file, sensor->paths, sensor->path_count, sensor->pool, sensor->jumbo_pool, err);
}

static int
open_ports(struct sensor *sensor, struct config_error *err)
{
	for (; sensor->ports_started < sensor->port_count; sensor->ports_started++) {
		int rc = port_start(&sensor->ports[sensor->ports_started], &sensor->settings.sensor, sensor->ports_started,
			sensor->worker_count, err);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Whether each worker can have a queue of its own on every port. */
static bool
queues_suffice(const struct sensor *sensor)
{
	for (unsigned int i = 0; i < sensor->port_count; i++)
		if (sensor->ports[i].queue_count != sensor->worker_count)
			return false;
	return true;
}

/* The frames of all ports: of the given queue, or of every queue (UINT16_MAX). */
static int
ports_source(struct sensor *sensor, uint16_t queue_id, struct source **out)
{
	struct source *parts[SOURCE_MULTI_MAX];
	unsigned int count = 0;
	int rc = 0;

	for (unsigned int i = 0; i < sensor->port_count && rc == 0; i++)
		for (uint16_t queue = 0; queue < sensor->ports[i].queue_count && rc == 0 && count < SOURCE_MULTI_MAX; queue++)
			if (queue_id == UINT16_MAX || queue == queue_id) {
				rc = source_port_create(&parts[count], sensor->ports[i].port_id, queue, (uint16_t)i);
				count += rc == 0;
			}
	if (rc == 0 && count > 1)
		return source_multi_create(out, parts, count);
	if (rc == 0)
		*out = parts[0];
	for (unsigned int i = 0; i < count && rc != 0; i++)
		source_destroy(parts[i]);
	return rc;
}

static int
make_spreader(struct sensor *sensor)
{
	struct source *source = sensor->file;
	int rc = 0;

	if (sensor->worker_count == 1 || (!sensor->reading && queues_suffice(sensor)))
		return 0;
	if (!sensor->reading)
		rc = ports_source(sensor, UINT16_MAX, &source);
	return rc == 0 ? spreader_create(&sensor->spreader, source, sensor->worker_count, sensor->reading) : rc;
}

static int
worker_source(struct sensor *sensor, unsigned int worker_idx, struct source **out)
{
	if (sensor->spreader != NULL)
		return spreader_source(sensor->spreader, worker_idx, out);
	if (!sensor->reading)
		return ports_source(sensor, (uint16_t)worker_idx, out);
	*out = sensor->file;
	return 0;
}

static int
make_workers(struct sensor *sensor, struct config_error *err)
{
	int rc = make_spreader(sensor);

	for (; rc == 0 && sensor->workers_made < sensor->worker_count; sensor->workers_made += rc == 0) {
		struct source *source = NULL;

		rc = worker_source(sensor, sensor->workers_made, &source);
		if (rc == 0)
			rc = worker_create(&sensor->workers[sensor->workers_made], sensor->workers_made, &sensor->settings, source,
				sensor->ruleset);
		if (rc == 0)
			sensor->workers[sensor->workers_made]->waits_for_ring = sensor->reading;
	}
	if (rc != 0)
		snprintf(err->text, sizeof(err->text), "worker %u cannot be made: %s", sensor->workers_made, strerror(-rc));
	return rc;
}

static void
report_rules(const struct ruleset *ruleset)
{
	const struct ruleset_stats *stats = ruleset_stats_get(ruleset);
	char sid[RULE_SID_TEXT_LEN];
	unsigned int count;
	const struct rule_error *errors = ruleset_errors(ruleset, &count);

	for (unsigned int i = 0; i < count; i++)
		log_warning("rule", "%s:%u:%u: %s%s%s%s: rule not loaded", errors[i].file, errors[i].line, errors[i].column,
			errors[i].keyword, errors[i].keyword[0] != '\0' ? ": " : "", errors[i].reason, rule_error_sid(&errors[i], sid));
	if (stats->rules_loaded + stats->rules_failed > 0)
		log_notice("rule", "%u rules loaded, %u not, in %u ms (%u databases, %u from the cache)", stats->rules_loaded,
			stats->rules_failed, stats->compile_ms, stats->databases, stats->cache_loaded);
}

static void
log_ignored(void *arg, const char *text)
{
	log_warning("config", "%s", text);
}

static int
make_exporter(struct sensor *sensor, const char *log_dir, struct config_error *err)
{
	const struct sink_env env = { .log_dir = log_dir, .waits = sensor->reading };
	struct exporter_config config = { .settings = &sensor->settings, .workers = sensor->workers,
		.worker_count = sensor->worker_count, .port_names = sensor->port_names,
		.port_count = sensor->reading ? 0 : sensor->port_count, .stats = stats_write_line, .stats_arg = sensor,
		.stats_interval_ms = sensor->reading ? 0 : sensor->settings.sensor.stats_interval_s * 1000,
		.core = (int)sensor->settings.sensor.exporter_core };
	int rc = sink_set_create(&sensor->sinks, sensor->settings.config, &env, err);

	if (rc != 0)
		return rc;
	config.sinks = sensor->sinks;
	rc = exporter_create(&sensor->exporter, &config);
	if (rc != 0)
		snprintf(err->text, sizeof(err->text), "the exporter cannot be made: %s", strerror(-rc));
	return rc;
}

static int
make_parts(struct sensor *sensor, const char *log_dir, struct config_error *err)
{
	const struct rule_world world = settings_rule_world(&sensor->settings);
	unsigned int cpus[WORKER_MAX + 1];
	bool wants_pci;
	int rc = parse_ports(sensor, &wants_pci, err);

	config_tell_ignored(sensor->settings.config, sensor->settings.tables, sensor->settings.table_count, log_ignored, NULL);
	if (rc == 0)
		rc = ruleset_create(&sensor->ruleset, &sensor->settings.rule, &world, NULL, err);
	if (rc != 0)
		return rc;
	report_rules(sensor->ruleset);
	if (sensor->settings.rule.failure_fatal && ruleset_stats_get(sensor->ruleset)->rules_failed > 0) {
		snprintf(err->text, sizeof(err->text), "%u rules cannot be read, and engine.init-failure-fatal is set",
			ruleset_stats_get(sensor->ruleset)->rules_failed);
		return -EINVAL;
	}
	rc = choose_workers(sensor, cpus, err);
	if (rc != 0)
		return rc;
	rc = eal_start(&sensor->settings.sensor, cpus, sensor->worker_count + 1, wants_pci, &sensor->huge_pages, err);
	if (rc != 0)
		return rc;
	sensor->eal = true;
	if (frame_meta_register() != 0) {
		snprintf(err->text, sizeof(err->text), "DPDK has no room in its packet buffers for the frame's time and number");
		return -ENOMEM;
	}
	rc = sensor->reading ? open_files(sensor, err) : open_ports(sensor, err);
	if (rc == 0)
		rc = make_workers(sensor, err);
	if (rc == 0)
		rc = make_exporter(sensor, log_dir, err);
	if (rc == 0 && sensor->settings.sensor.control_socket[0] != '\0')
		rc = control_create(&sensor->control, sensor, err);
	/* Captures may be read with the configuration of the sensor that runs: it keeps its socket. */
	if (rc == -EADDRINUSE && sensor->reading) {
		log_notice("sensor", "%s: this reading has none", err->text);
		rc = 0;
	}
	return rc;
}

int
sensor_create(struct sensor *sensor, struct settings *settings, const char *log_dir, struct config_error *err)
{
	struct timespec now;
	int rc;

	sensor->settings = *settings;
	memset(settings, 0, sizeof(*settings));
	pthread_mutex_init(&sensor->reload_lock, NULL);
	pthread_mutex_init(&sensor->reload_turn, NULL);
	clock_gettime(CLOCK_REALTIME, &now);
	sensor->started_ms = clock_ms();
	sensor->started_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	rc = make_parts(sensor, log_dir, err);
	if (rc != 0)
		sensor_destroy(sensor);
	return rc;
}

int
sensor_start(struct sensor *sensor, struct config_error *err)
{
	int rc = exporter_start(sensor->exporter);

	for (unsigned int i = 0; i < sensor->ports_started; i++)
		port_watch_begin(&sensor->ports[i].watch, clock_ms());
	for (unsigned int i = 0; i < sensor->worker_count && rc == 0; i++)
		rc = rte_eal_remote_launch(worker_run, sensor->workers[i], i + 1);
	if (rc == 0 && sensor->spreader != NULL)
		rc = rte_eal_remote_launch(spreader_run, sensor->spreader, sensor->worker_count + 1);
	if (rc != 0)
		snprintf(err->text, sizeof(err->text), "threads do not start: %s", strerror(-rc));
	return rc;
}

int
sensor_watch_ports(struct sensor *sensor)
{
	int rc = 0;

	for (unsigned int i = 0; i < sensor->ports_started; i++) {
		struct port *port = &sensor->ports[i];
		enum port_link link = port_get_link(port);
		uint64_t silence_s = port->ends ? 0 : sensor->settings.sensor.ports_silence_s;
		char text[256];

		if (port_watch_step(&port->watch, link, port_get_received(port), clock_ms(), silence_s, text, sizeof(text)))
			log_warning("sensor", "port %s: %s", port->spec, text);
		else if (text[0] != '\0')
			log_notice("sensor", "port %s: %s", port->spec, text);
		if (link == PORT_LINK_REPLACED)
			rc = -ENODEV;
	}
	return rc;
}

bool
sensor_is_done(const struct sensor *sensor)
{
	for (unsigned int i = 0; i < sensor->worker_count; i++)
		if (!atomic_load(&sensor->workers[i]->done))
			return false;
	return true;
}

void
sensor_stop(struct sensor *sensor)
{
	spreader_stop(sensor->spreader);
	for (unsigned int i = 0; i < sensor->workers_made; i++)
		atomic_store(&sensor->workers[i]->stop, true);
	while (!sensor_is_done(sensor) || (sensor->spreader != NULL && rte_eal_get_lcore_state(sensor->worker_count + 1) == RUNNING))
		usleep(STOP_POLL_US); /* this CPU may be the exporter's: no spinning */
	rte_eal_mp_wait_lcore();
	exporter_stop(sensor->exporter);
}

void
sensor_destroy(struct sensor *sensor)
{
	control_destroy(sensor->control);
	control_capture_end(sensor);
	exporter_destroy(sensor->exporter);
	sink_set_destroy(sensor->sinks);
	if (sensor->workers_made == 0 && sensor->spreader == NULL)
		source_destroy(sensor->file);
	for (unsigned int i = 0; i < sensor->workers_made; i++)
		worker_destroy(sensor->workers[i]);
	spreader_destroy(sensor->spreader);
	for (unsigned int i = 0; i < sensor->ports_started; i++)
		port_stop(&sensor->ports[i]);
	ruleset_destroy(sensor->ruleset);
	if (sensor->eal) {
		rte_mempool_free(sensor->pool);
		rte_mempool_free(sensor->jumbo_pool);
		eal_stop();
	}
	settings_destroy(&sensor->settings);
	pthread_mutex_destroy(&sensor->reload_lock);
	pthread_mutex_destroy(&sensor->reload_turn);
}

/* Hands a matcher to each worker and waits until it was taken, or the worker is done. */
static int
hand_over(struct sensor *sensor, struct ruleset *ruleset, struct rule_matcher *old[])
{
	struct rule_matcher *next[WORKER_MAX] = { NULL };
	int rc = 0;

	for (unsigned int i = 0; i < sensor->worker_count && rc == 0; i++) {
		rc = rule_matcher_create(&next[i], ruleset, &sensor->settings.rule, sensor->workers[i]->slab);
		if (rc == 0)
			rule_matcher_count_flows(next[i], sensor->workers[i]->flows);
	}
	for (unsigned int i = 0; i < sensor->worker_count && rc != 0; i++)
		rule_matcher_destroy(next[i]);
	/* a worker that is done takes none: what the reload before left for it goes */
	for (unsigned int i = 0; i < sensor->worker_count && rc == 0; i++)
		rule_matcher_destroy(atomic_exchange_explicit(&sensor->workers[i]->matcher_next, next[i], memory_order_acq_rel));
	for (unsigned int i = 0; i < sensor->worker_count && rc == 0; i++) {
		struct worker *worker = sensor->workers[i];

		while ((old[i] = atomic_exchange_explicit(&worker->matcher_old, NULL, memory_order_acq_rel)) == NULL &&
			!atomic_load(&worker->done))
			usleep(RELOAD_WAIT_US);
	}
	return rc;
}

static int
reload(struct sensor *sensor, struct config_error *err)
{
	const struct rule_world world = settings_rule_world(&sensor->settings);
	struct rule_matcher *old[WORKER_MAX] = { NULL };
	struct ruleset *next, *previous;
	int rc = ruleset_create(&next, &sensor->settings.rule, &world, sensor->ruleset, err);

	if (rc != 0)
		return rc;
	report_rules(next);
	rc = hand_over(sensor, next, old);
	if (rc != 0) {
		ruleset_destroy(next);
		snprintf(err->text, sizeof(err->text), "no memory for the new rules: %s", strerror(-rc));
		return rc;
	}
	exporter_barrier(sensor->exporter); /* no event that names an old rule is on its way any more */
	pthread_mutex_lock(&sensor->reload_lock);
	for (unsigned int i = 0; i < sensor->worker_count; i++)
		rule_matcher_destroy(old[i]);
	previous = sensor->ruleset;
	sensor->ruleset = next;
	pthread_mutex_unlock(&sensor->reload_lock);
	ruleset_destroy(previous);
	return 0;
}

int
sensor_reload_rules(struct sensor *sensor, struct config_error *err)
{
	pthread_mutex_lock(&sensor->reload_turn);
	int rc = reload(sensor, err);

	pthread_mutex_unlock(&sensor->reload_turn);
	return rc;
}
