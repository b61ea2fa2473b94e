/*
 * Events as syslog messages (RFC 5424) over UDP (RFC 5426), TCP with octet counting (RFC 6587 3.4.1) or TLS (RFC 5425).
 *
 * Threads: outlet.h.
 */
#ifndef MR_SINK_SYSLOG_SYSLOG_H
#define MR_SINK_SYSLOG_SYSLOG_H

#include "lib/sink/sink.h"

enum {
	SYSLOG_HOST_MAX = 255,            /* RFC 5424 6 */
	SYSLOG_HEADER_MAX = 512,
	SYSLOG_MESSAGE_MIN = 1024,
	SYSLOG_MESSAGE_MAX = 1024 * 1024,
	SYSLOG_DATAGRAM_MAX = 65507,      /* bytes of an IPv4 datagram's payload */
};

extern const struct sink_ops syslog_sink_ops;

#endif
