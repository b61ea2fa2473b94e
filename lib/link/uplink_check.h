/*
 * Tries the ways out, step by step: name, connection, each hop, TLS, certificate, authorisation, a test batch that the
 * aggregator checks and does not store. For `uplink test`; needs neither spool nor running uplink.
 *
 * Thread: the caller's, which waits: at most connect-timeout-ms a step.
 */
#ifndef MR_LINK_UPLINK_CHECK_H
#define MR_LINK_UPLINK_CHECK_H

#include "lib/link/uplink.h"
#include "lib/link/way.h"

struct uplink_check_line {
	const char *way;    /* NULL: of the sensor itself */
	const char *step;   /* "name", "tcp", "proxy tls", "hop", "tls", "certificate", "authorisation", "test batch" */
	enum way_error error; /* WAY_DONE: the step went well */
	bool warning;
	const char *text;   /* lent */
	uint64_t took_ms;
};

/**
 * @param way    the only one to try, by name; NULL: all
 * @param on_line called at each step
 * @param err    out, when the configuration is at fault
 * @return how many ways failed, -ENOENT (no such way), or another -errno with err set
 */
int uplink_check(const struct uplink_config *config, const char *way,
	void (*on_line)(void *arg, const struct uplink_check_line *line), void *arg, struct config_error *err);

/** Reads what the configuration names: url, ways, certificate, key, CA; none of these has ended. @return 0, or -errno with err set */
int uplink_check_files(const struct uplink_config *config, struct config_error *err);

#endif
