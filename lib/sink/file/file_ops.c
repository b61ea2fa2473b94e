/* The file's row in the table of sinks. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/sink/file/file.h"

static int
ops_create(void **self, struct config *config, const struct sink_env *env, struct config_error *err)
{
	struct file_sink_config own;
	struct file_sink *sink = NULL;
	char path[PATH_MAX];
	int rc = config_apply(config, &file_sink_knobs, &own, err);

	*self = NULL;
	if (rc < 0 || !own.enabled)
		return rc;
	bool below = own.path[0] != '/' && env->log_dir != NULL && env->log_dir[0] != '\0';

	snprintf(path, sizeof(path), "%s%s%s", below ? env->log_dir : "", below ? "/" : "", own.path);
	own.path = path;
	own.waits = env->waits;
	rc = file_sink_create(&sink, &own);
	if (rc < 0)
		snprintf(err->text, sizeof(err->text), "outputs.eve.path: %.400s: %s", path, strerror(-rc));
	*self = sink;
	return rc;
}

static void
ops_write(void *self, enum link_lane lane, const char *line, size_t len)
{
	file_sink_write(self, line, len);
}

static void
ops_flush(void *self, uint64_t now_ns)
{
	file_sink_flush(self);
}

static void
ops_reopen(void *self)
{
	file_sink_reopen(self);
}

static unsigned int
ops_counters(void *self, struct counter_set sets[])
{
	sets[0] = file_sink_get_counters(self);
	return 1;
}

static void
ops_destroy(void *self)
{
	file_sink_destroy(self);
}

static const struct knob_table *const knob_tables[] = { &file_sink_knobs, NULL };

static const struct counter_table *const counter_tables[] = { &file_sink_counter_table, NULL };

const struct sink_ops file_sink_ops = {
	.name = "file",
	.knobs = knob_tables,
	.create = ops_create,
	.write = ops_write,
	.flush = ops_flush,
	.reopen = ops_reopen,
	.counter_tables = counter_tables,
	.counters = ops_counters,
	.destroy = ops_destroy,
};
