/*
 * TPKT and COTP of class 0, below S7comm and S7comm-plus: a connection asked for and confirmed, and messages as single
 * TPDUs. Times are as in talk.h.
 *
 * Source: RFC 1006 (TPKT), ITU-T X.224 (COTP).
 */
#ifndef MR_BENCH_PLANT_COTP_H
#define MR_BENCH_PLANT_COTP_H

#include "app/bench/plant/talk.h"

enum {
	PLANT_COTP_PORT = 102,
	PLANT_COTP_MESSAGE_LEN_MAX = 1024,
};

/** A message under construction. */
struct plant_cotp_message {
	uint8_t bytes[PLANT_COTP_MESSAGE_LEN_MAX];
	struct buf body;
};

/** @return the empty message's body, valid as long as the message */
static inline struct buf *
plant_cotp_begin(struct plant_cotp_message *message)
{
	message->body = buf_over(message->bytes, sizeof(message->bytes));
	return &message->body;
}

/** The TCP connection on port 102, and the transport connection over it. @param called the server's transport selector */
uint64_t plant_cotp_open(struct plant_talk *talk, const void *called, size_t called_len, uint64_t now_ns);
/** One message in one TPDU. */
uint64_t plant_cotp_send(
	struct plant_talk *talk, enum plant_end from, const struct plant_cotp_message *message, uint64_t now_ns);

#endif
