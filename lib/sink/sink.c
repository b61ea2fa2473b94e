#include "lib/sink/sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/sink/file/file.h"
#include "lib/sink/ipfix/ipfix.h"
#include "lib/sink/kafka/kafka.h"
#include "lib/sink/syslog/syslog.h"
#include "lib/sink/uplink/uplink_sink.h"

const struct sink_ops *const sinks[] = {
	&file_sink_ops,
	&uplink_sink_ops,
	&syslog_sink_ops,
	&ipfix_sink_ops,
	&kafka_sink_ops,
	NULL,
};

struct sink_set {
	unsigned int count;
	struct {
		const struct sink_ops *ops;
		void *self;
	} sinks[SINK_MAX];
};

unsigned int
sink_get_knobs(const struct knob_table *tables[], unsigned int table_max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; sinks[i] != NULL; i++)
		for (unsigned int k = 0; sinks[i]->knobs[k] != NULL && count < table_max; k++)
			tables[count++] = sinks[i]->knobs[k];
	return count;
}

int
sink_check(const char *name, struct config *config, struct config_error *err)
{
	for (unsigned int i = 0; sinks[i] != NULL; i++)
		if (strcmp(sinks[i]->name, name) == 0 && sinks[i]->check != NULL)
			return sinks[i]->check(config, err);
	return 0;
}

unsigned int
sink_get_warnings(struct config *config, const char *texts[], unsigned int text_max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; sinks[i] != NULL && count < text_max; i++) {
		const char *text = sinks[i]->warn == NULL ? NULL : sinks[i]->warn(config);

		if (text != NULL)
			texts[count++] = text;
	}
	return count;
}

unsigned int
sink_get_counter_tables(const struct counter_table *tables[], unsigned int table_max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; sinks[i] != NULL; i++)
		for (unsigned int k = 0; sinks[i]->counter_tables[k] != NULL && count < table_max; k++)
			tables[count++] = sinks[i]->counter_tables[k];
	return count;
}

int
sink_set_create(struct sink_set **out, struct config *config, const struct sink_env *env, struct config_error *err)
{
	struct sink_set *set = calloc(1, sizeof(*set));

	if (set == NULL) {
		snprintf(err->text, sizeof(err->text), "outputs: no memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; sinks[i] != NULL && set->count < SINK_MAX; i++) {
		void *self = NULL;
		int rc = sinks[i]->create(&self, config, env, err);

		if (rc < 0) {
			sink_set_destroy(set);
			return rc;
		}
		if (self == NULL)
			continue;
		const char *warning = sinks[i]->warn == NULL ? NULL : sinks[i]->warn(config);

		if (warning != NULL)
			log_warning("sink", "%s", warning);
		set->sinks[set->count].ops = sinks[i];
		set->sinks[set->count++].self = self;
	}
	*out = set;
	return 0;
}

void
sink_set_destroy(struct sink_set *set)
{
	if (set == NULL)
		return;
	while (set->count-- > 0)
		set->sinks[set->count].ops->destroy(set->sinks[set->count].self);
	free(set);
}

void
sink_set_write(struct sink_set *set, enum link_lane lane, const char *line, size_t len)
{
	for (unsigned int i = 0; i < set->count; i++)
		set->sinks[i].ops->write(set->sinks[i].self, lane, line, len);
}

void
sink_set_flush(struct sink_set *set, uint64_t now_ns)
{
	for (unsigned int i = 0; i < set->count; i++)
		set->sinks[i].ops->flush(set->sinks[i].self, now_ns);
}

void
sink_set_reopen(struct sink_set *set)
{
	for (unsigned int i = 0; i < set->count; i++)
		if (set->sinks[i].ops->reopen != NULL)
			set->sinks[i].ops->reopen(set->sinks[i].self);
}

int
sink_set_drain(struct sink_set *set, uint64_t timeout_ms)
{
	uint64_t begin_ms = clock_ms();
	int rc = 0;

	sink_set_flush(set, begin_ms * 1000000);
	for (unsigned int i = 0; i < set->count; i++) {
		uint64_t spent_ms = clock_ms() - begin_ms;
		uint64_t left_ms = spent_ms < timeout_ms ? timeout_ms - spent_ms : 1;

		if (set->sinks[i].ops->drain == NULL)
			continue;
		if (set->sinks[i].ops->drain(set->sinks[i].self, timeout_ms == 0 ? 0 : left_ms) < 0)
			rc = -ETIMEDOUT;
	}
	return rc;
}

unsigned int
sink_set_count(const struct sink_set *set)
{
	return set->count;
}

json_t *
sink_set_status(const struct sink_set *set)
{
	json_t *all = json_object();

	for (unsigned int i = 0; all != NULL && i < set->count; i++) {
		const struct sink_ops *ops = set->sinks[i].ops;

		json_object_set_new(all, ops->name, ops->status == NULL ? json_object() : ops->status(set->sinks[i].self));
	}
	return all;
}

unsigned int
sink_set_counters(const struct sink_set *set, struct counter_set sets[], unsigned int sets_max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < set->count && count + SINK_COUNTER_SETS_MAX <= sets_max; i++)
		if (set->sinks[i].ops->counters != NULL)
			count += set->sinks[i].ops->counters(set->sinks[i].self, &sets[count]);
	return count;
}
