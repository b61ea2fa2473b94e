/* Inside proto/: which protocol bytes are, and the user's settings. */
#ifndef MR_PROTO_DETECT_H
#define MR_PROTO_DETECT_H

#include "proto/session.h"

enum { PROTO_KNOBS_MAX = 6 };

struct proto_setting {
	const struct proto *proto;
	void *config;         /* what proto->knobs fill */
	json_t *ports;        /* detection-ports.dp; NULL: proto->ports */
	bool enabled;
	unsigned int log, log_cyclic; /* enum proto_log */
	uint64_t summary_interval_s;
	struct proto_levels levels;   /* made of them */
	char *names[PROTO_KNOBS_MAX]; /* of the knobs below */
	struct knob knobs[PROTO_KNOBS_MAX];
	struct knob_table table;
};

/** Whom to ask, and what. */
struct proto_candidate {
	enum proto_probe (*probe)(struct cursor in, bool to_server, bool on_port);
	uint8_t proto_idx;
};

struct proto_settings {
	struct proto_setting each[PROTO_MAX];
	unsigned int count;
	uint8_t by_port[2][65536]; /* [tcp][port]: index + 1 of a protocol that usually has it */
	struct proto_candidate carried[2][PROTO_MAX]; /* [tcp]: the enabled protocols that come over it */
	struct proto_candidate linked[PROTO_MAX];     /* those that come without IP */
	unsigned int carried_count[2], linked_count;
	uint64_t starts[2][256];          /* [tcp][first byte]: those of carried that may begin with it, a bit each */
	uint64_t own[2][PROTO_MAX + 1];   /* [tcp][index + 1]: a protocol's bit in starts; 0: it does not come over that */
};

/**
 * Asks the protocols in turn, that of the port first.
 * @param input      with at least one byte
 * @param proto_idx  out with PROTO_PROBE_YES
 */
enum proto_probe proto_detect(const struct proto_settings *settings, const struct proto_input *input,
	unsigned int *proto_idx);
/** Bytes from `at` to the end that the protocol reads though it would have more of them; 0: it does not. */
int proto_remains_len(const struct proto *proto, const struct proto_input *input, uint32_t at);
/** Of a direction that ended while protocols waited for more: whether one of them reads what there is. Of others false. */
bool proto_detect_remains(const struct proto_settings *settings, const struct proto_input *input, unsigned int *proto_idx);

#endif
