/*
 * What a device says of itself, whatever protocol it said it in: one record for each answer. The inventory is built on
 * these. Build it in ctx->record with record_begin(record, &identity_table), set what was said, deliver it with
 * PROTO_IDENTITY.
 */
#ifndef MR_RECORD_IDENTITY_H
#define MR_RECORD_IDENTITY_H

#include "lib/record/record.h"

/** A presence bit for each text, in the order of the struct. */
enum identity_bit {
	IDENTITY_VENDOR,
	IDENTITY_PRODUCT,
	IDENTITY_MODEL,
	IDENTITY_ORDER_NUMBER,
	IDENTITY_SERIAL,
	IDENTITY_FIRMWARE,
	IDENTITY_HARDWARE,
	IDENTITY_NAME,
	IDENTITY_LOCATION,
	IDENTITY_ROLE,
	IDENTITY_ADDRESS,
	IDENTITY_TEXT_COUNT,
};

struct identity_record {
	struct record_head head;
	const char *protocol;                        /* static; who said it */
	bool of_sender;                              /* the sender of the PDU speaks of itself (else of the receiver) */
	struct record_ref texts[IDENTITY_TEXT_COUNT]; /* by enum identity_bit */
};

extern const struct record_table identity_table; /* "asset" */

/** Sets one text, trimmed of blanks and NULs at both ends; an empty one is left out. */
void identity_put(struct record_builder *b, struct identity_record *record, enum identity_bit what, const void *text,
	uint32_t len);
/** Sets one text to a number in decimal. */
void identity_put_number(struct record_builder *b, struct identity_record *record, enum identity_bit what, uint32_t number);

/**
 * Whether an answer was not told before, so that a flow tells each once. Remembers it in place of the oldest.
 *
 * @param hashes  [count] of a flow's state, 0 at first
 * @param next    where the oldest is; 0 at first
 * @param hash    of what the device said
 */
bool identity_is_new(uint32_t hashes[], uint8_t count, uint8_t *next, uint32_t hash);

#endif
