/* Hot: the chunks of an SCTP packet, RFC 9260 3.2, as far as they are whole. */
#ifndef MR_RULE_SCTP_H
#define MR_RULE_SCTP_H

#include "lib/base/cursor.h"
#include "lib/packet/packet.h"
#include "lib/record/record.h"

enum { SCTP_CHUNKS_WALKED_MAX = 256, SCTP_CHUNK_HEADER_LEN = 4, SCTP_DATA = 0, SCTP_DATA_HEADER_LEN = 12 };

/** Names of chunk types, as `sctp.chunk_type` takes them. */
extern const struct field_names rule_sctp_chunk_names;

struct rule_sctp_chunks {
	struct cursor in;
	unsigned int count;
};

struct rule_sctp_chunk {
	uint8_t type;
	struct cursor value;
};

/** @param packet  or NULL: no chunks */
static inline struct rule_sctp_chunks
rule_sctp_chunks_of(const struct packet *packet)
{
	bool sctp = packet != NULL && (packet->flags & PACKET_L4) != 0 && packet->ip_proto == IP_PROTO_SCTP;
	struct rule_sctp_chunks chunks = { .in = sctp ? cursor_of(packet->data, packet->len) : cursor_of("", 0) };

	if (sctp)
		cursor_skip(&chunks.in, packet->l4_off + packet->l4_len);
	return chunks;
}

/** @return false: there is no other */
static inline bool
rule_sctp_chunk_next(struct rule_sctp_chunks *chunks, struct rule_sctp_chunk *out)
{
	out->type = cursor_u8(&chunks->in);
	cursor_skip(&chunks->in, 1);
	uint16_t len = cursor_be16(&chunks->in);

	if (chunks->in.short_read || len < SCTP_CHUNK_HEADER_LEN || chunks->count++ == SCTP_CHUNKS_WALKED_MAX)
		return false;
	out->value = cursor_sub(&chunks->in, len - (uint32_t)SCTP_CHUNK_HEADER_LEN);
	if (out->value.short_read)
		return false;
	size_t padding = (4u - len % 4u) % 4u;

	cursor_skip(&chunks->in, padding < cursor_left(&chunks->in) ? padding : cursor_left(&chunks->in));
	return true;
}

#endif
