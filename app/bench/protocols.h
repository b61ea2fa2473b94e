/* What a PDU of each protocol costs. */
#ifndef MR_BENCH_PROTOCOLS_H
#define MR_BENCH_PROTOCOLS_H

#include <jansson.h>

#include "proto/session.h"

/**
 * Figures of every protocol that was met: by its name the count of PDUs, then of a PDU's cycles mean, median and 99th
 * percentile, without rules and with them.
 * @param plain, ruled  [proto_settings_count()], of a run without rules and of one with them
 * @return a new object
 */
json_t *protocols_json(const struct proto_settings *settings, const struct proto_meter *plain,
	const struct proto_meter *ruled);
/** The same as a Markdown table on stdout. */
void protocols_print(const json_t *protocols);

#endif
