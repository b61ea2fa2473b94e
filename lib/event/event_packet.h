/* Inside lib/event: what EVE says of a packet, its headers and its bytes. */
#ifndef MR_EVENT_EVENT_PACKET_H
#define MR_EVENT_EVENT_PACKET_H

#include <string.h>

#include "lib/base/buf.h"
#include "lib/event/event.h"

static inline void
put_text(struct buf *out, const char *key, const char *text)
{
	buf_puts(out, key);
	buf_json_string(out, text, strlen(text));
}

static inline void
put_number(struct buf *out, const char *key, uint64_t value)
{
	buf_puts(out, key);
	buf_u64(out, value);
}

/** src_ip to sctp: who, and by which protocol. */
void event_put_endpoints(struct buf *out, const struct event *event);
/** The ends of an alert's flow, originator first, whichever way the alert went. */
void event_put_flow_ends(struct buf *out, const struct event *event);
void event_put_payload(struct buf *out, const uint8_t *data, uint32_t len);
void event_put_packet(struct buf *out, const struct event *event, const uint8_t *data, uint32_t len);
void event_put_tunnel(struct buf *out, const struct tunnel_record *tunnel);

#endif
