/*
 * IPFIX messages (RFC 7011): flows as biflows (RFC 5103), and what protocols ask and answer as records with elements of an
 * enterprise (ipfix.enterprise). Elements, their places in events, and templates are one table; the enterprise's own elements
 * stand in another, from which collectors are told what they are (RFC 5610).
 *
 * Thread: one at a time.
 */
#ifndef MR_SINK_IPFIX_MESSAGE_H
#define MR_SINK_IPFIX_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum {
	IPFIX_HEADER_LEN = 16,
	IPFIX_RECORD_MAX = 512,   /* bytes of one record */
	IPFIX_STRING_MAX = 128,   /* bytes of a string, longer ones are cut */
	IPFIX_TEMPLATES_LEN = 600, /* at most, of all templates with their header */
	IPFIX_TYPES_LEN = 600,    /* at most, of the records that say what the enterprise's elements are, with their header */
};

enum ipfix_template { IPFIX_FLOW4, IPFIX_FLOW6, IPFIX_CALL4, IPFIX_CALL6, IPFIX_TEMPLATE_COUNT };

/** A message that is being filled. */
struct ipfix_message {
	struct buf out;       /* the caller's memory */
	uint32_t domain;      /* observation domain */
	uint32_t enterprise;
	uint32_t sequence;    /* data records before this message, RFC 7011 3.1 */
	uint32_t records;     /* data records in it */
	size_t set_at;        /* where the open set begins; 0: none is open */
	uint16_t set_id;
};

/** Begins a message; out keeps its memory. */
void ipfix_begin(struct ipfix_message *message);
/** Adds all templates. @return false: no room */
bool ipfix_put_templates(struct ipfix_message *message);
/** Adds a record an element of the enterprise; their template has gone before. @return false: no room */
bool ipfix_put_types(struct ipfix_message *message);
/** A record of an EVE event. @param id out. @return 0, or -ENOENT: the event has no form here */
int ipfix_encode(const struct ipfix_message *message, const json_t *event, enum ipfix_template *id, struct buf *record);
/** Adds a record. @return false: no room, end the message first */
bool ipfix_put(struct ipfix_message *message, enum ipfix_template id, const struct buf *record);
/** Completes header and open set. @param now_s since the Unix epoch. @return bytes; 0: nothing is in it */
size_t ipfix_end(struct ipfix_message *message, uint64_t now_s);

#endif
