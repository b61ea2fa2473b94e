/*
 * An EVE line as other languages say it: CEF (ArcSight Common Event Format, revision 25), LEEF 2.0 (QRadar Log Event Extended
 * Format), or as it is. Which field goes under which name stands in one table.
 *
 * Thread: any; a message belongs to its caller.
 */
#ifndef MR_SINK_SYSLOG_FORMAT_H
#define MR_SINK_SYSLOG_FORMAT_H

#include <jansson.h>

#include "lib/base/buf.h"

enum format { FORMAT_EVE, FORMAT_CEF, FORMAT_LEEF, FORMAT_COUNT };

enum {
	FORMAT_DETAIL_MAX = 2048, /* bytes of an event's own object as text in CEF and LEEF */
	FORMAT_TYPE_MAX = 32,     /* characters of an event type: RFC 5424's bound of MSGID */
};

/** What a header needs to know of an event. */
struct format_event {
	json_t *root;
	char type[FORMAT_TYPE_MAX + 1]; /* printable ASCII without spaces */
	const char *timestamp;          /* lent; "" when there is none */
	unsigned int severity;          /* of an alert, 1 the worst; 0: no alert */
};

/** Names for KNOB_CHOICE; ends with NULL. */
extern const char *const format_names[];

/** @return 0 or -EINVAL: no event */
int format_read(struct format_event *out, const char *line, size_t len);
void format_free(struct format_event *event);
/** Puts the event; out->full when it does not fit. @param sensor "": not said */
void format_put(struct buf *out, enum format format, const struct format_event *event, const char *sensor);
/** Puts the event as JSON without what may be long and is said elsewhere: frames and payloads. */
void format_put_short(struct buf *out, const struct format_event *event);

#endif
