/* An outlet as a sink: what is the same in the row of each. */
#include <errno.h>
#include <stdlib.h>

#include "lib/sink/outlet.h"

static int
start(struct outlet_sink *sink, const struct outlet_sink_kind *kind, const struct outlet_settings *settings, struct config_error *err)
{
	struct outlet_config outlet = {
		.name = kind->name,
		.counters = kind->counters,
		.spool = settings->spool,
		.spool_size = settings->spool_size,
		.backoff_max_ms = settings->backoff_max_ms,
		.drain_ms = settings->drain_ms,
	};
	struct wire *wire = NULL;
	char key[64];

	snprintf(key, sizeof(key), "outputs.%s.lanes", kind->name);
	int rc = outlet_read_lanes(&outlet.lanes, settings->lanes, kind->lanes, key, err);

	if (rc == 0)
		rc = kind->start(sink, settings, &outlet.wire, err);
	if (rc != 0)
		return rc;
	if (!sink->is_check)
		return outlet_create(&sink->outlet, &outlet, kind->encoder, sink, err);
	rc = kind->encoder->pump != NULL ? 0 : wire_create(&wire, &outlet.wire, err);
	wire_destroy(wire);
	return rc;
}

/* @param is_check  the sink is unmade again */
static int
make(void **self, const struct outlet_sink_kind *kind, struct outlet_settings *settings, bool is_check, struct config *config,
	struct config_error *err)
{
	int rc = config_apply(config, kind->knobs, settings, err);
	struct outlet_sink *sink;

	*self = NULL;
	if (rc < 0 || !settings->enabled)
		return rc;
	sink = calloc(1, kind->size);
	if (sink == NULL) {
		snprintf(err->text, sizeof(err->text), "outputs.%s: no memory", kind->name);
		return -ENOMEM;
	}
	sink->is_check = is_check;
	rc = start(sink, kind, settings, err);
	if (rc < 0 || is_check) {
		kind->destroy(sink);
		return rc;
	}
	*self = sink;
	return 0;
}

int
outlet_sink_create(void **self, const struct outlet_sink_kind *kind, struct outlet_settings *settings, struct config *config,
	struct config_error *err)
{
	return make(self, kind, settings, false, config, err);
}

int
outlet_sink_check(const struct outlet_sink_kind *kind, struct outlet_settings *settings, struct config *config, struct config_error *err)
{
	void *none;

	return make(&none, kind, settings, true, config, err);
}

static struct outlet *
outlet_of(void *self)
{
	return ((struct outlet_sink *)self)->outlet;
}

void
outlet_sink_write(void *self, enum link_lane lane, const char *line, size_t len)
{
	outlet_write(outlet_of(self), lane, line, len);
}

void
outlet_sink_flush(void *self, uint64_t now_ns)
{
	outlet_flush(outlet_of(self));
}

int
outlet_sink_drain(void *self, uint64_t timeout_ms)
{
	return outlet_drain(outlet_of(self), timeout_ms);
}

json_t *
outlet_sink_status(void *self)
{
	return outlet_status(outlet_of(self));
}

unsigned int
outlet_sink_counters(void *self, struct counter_set sets[])
{
	sets[0] = outlet_get_counters(outlet_of(self));
	return 1;
}
