/* Inside proto/: what a worker's engine holds, and how a flow's protocol is recognised. */
#ifndef MR_PROTO_ENGINE_H
#define MR_PROTO_ENGINE_H

#include "proto/detect.h"

struct proto_engine {
	const struct proto_settings *settings;
	struct slab *slab;
	proto_garbage_fn garbage;
	struct proto_ctx ctx;
	struct record_builder record;
	_Atomic uint64_t counters[PROTO_COUNTER_COUNT];
	_Atomic uint64_t *proto_counters[PROTO_MAX];
	void *shared[PROTO_MAX]; /* of each protocol's flows; some have another's */
	uint8_t expecting[PROTO_MAX]; /* protocols whose flows others announce */
	unsigned int expecting_count;
	uint8_t *area; /* of the record under construction */
	struct proto_meter *meters; /* NULL: nothing is measured */
	bool unread[PROTO_MAX][2];  /* by to_server */
	uint8_t file_wants[PROTO_MAX][2];
};

/** The input without its first bytes. */
static inline struct proto_input
proto_input_rest(const struct proto_input *input, uint32_t len)
{
	struct proto_input rest = *input;

	rest.data += len;
	rest.len -= len;
	return rest;
}

/**
 * Looks at the data of a flow whose protocol is not known.
 * @param consumed  out: bytes at the front that are done with, no protocol's
 * @return whether the protocol is known now: the session is begun, its bytes come behind *consumed
 */
bool proto_recognise(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input,
	uint32_t *consumed);

#endif
