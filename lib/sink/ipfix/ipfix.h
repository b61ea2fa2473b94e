/*
 * Flows and function calls to an IPFIX collector, over UDP, TCP or TLS (RFC 7011 10). Templates go first on every connection; over
 * UDP they are sent again at an interval, since a collector may have started later.
 *
 * Threads: outlet.h.
 */
#ifndef MR_SINK_IPFIX_IPFIX_H
#define MR_SINK_IPFIX_IPFIX_H

#include "lib/sink/sink.h"

extern const struct sink_ops ipfix_sink_ops;

#endif
