/*
 * The way to the aggregator: records go into the spool, the uplink's thread takes them from there.
 *
 * Thread: the exporter's; status and counters by any.
 */
#ifndef MR_SINK_UPLINK_UPLINK_SINK_H
#define MR_SINK_UPLINK_UPLINK_SINK_H

#include "lib/link/uplink.h"
#include "lib/sink/sink.h"
#include "lib/spool/spool.h"

extern const struct sink_ops uplink_sink_ops;

struct uplink_sink;
struct enrol_identity;

/** What the configuration and enrolment say together. */
struct uplink_sink_settings {
	struct uplink_config uplink;
	struct enrol_identity *identity; /* owner of strings in it, or NULL */
};

/** @param config must live as long as the settings. @return 0, or -errno with err set; to be freed either way */
int uplink_sink_settings_read(struct uplink_sink_settings *out, struct config *config, struct config_error *err);
void uplink_sink_settings_free(struct uplink_sink_settings *settings);

/** @param spool, uplink  copied. @return 0, or -errno with err set. */
int uplink_sink_create(struct uplink_sink **out, const struct spool_config *spool, const struct uplink_config *uplink,
	struct config_error *err);
void uplink_sink_destroy(struct uplink_sink *sink);

#endif
