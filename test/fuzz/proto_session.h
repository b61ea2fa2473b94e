/* One flow of one protocol, fed piece by piece: for the fuzz driver and the cost test. */
#ifndef MR_TEST_FUZZ_PROTO_SESSION_H
#define MR_TEST_FUZZ_PROTO_SESSION_H

#include "proto/session.h"

enum { FUZZ_PENDING_MAX = 64 * 1024, FUZZ_SLAB_LEN = 16 * 1024 * 1024 };

struct fuzz_flow {
	struct proto_settings *settings;
	struct proto_engine *engine;
	struct file_tracker *files;
	struct slab *slab;
	struct config *config;
	const struct proto *proto;
	const struct proto *table[2]; /* it, and NULL */
	struct proto_session session;
	uint8_t *pending[2]; /* [FUZZ_PENDING_MAX], by to_server: what was offered and not consumed */
	uint32_t pending_len[2];
	uint64_t offered_bytes, consumed_bytes;
	bool tcp;
	bool in_place; /* bytes are offered where they lie, not as a block of their own: what that costs is not the protocol's */
};

/** An engine that knows one protocol. Aborts without memory. */
struct fuzz_flow *fuzz_flow_create(const struct proto *proto, proto_deliver_fn deliver, void *owner);
void fuzz_flow_destroy(struct fuzz_flow *flow);
/** @param found  the protocol is taken as recognised, whatever the bytes */
void fuzz_flow_begin(struct fuzz_flow *flow, bool tcp, bool found);
/** Offers bytes of one direction behind `missing` lost ones, with what was left of it before. */
void fuzz_flow_data(struct fuzz_flow *flow, bool to_server, const uint8_t *data, uint32_t len, uint32_t missing);
/** Ends the flow; nothing of it may stay in the slab. */
void fuzz_flow_end(struct fuzz_flow *flow);

#endif
