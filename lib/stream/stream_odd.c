/* What is odd about a segment, by the connection's state; and whether what is sent again is what was sent before. */
#include <string.h>

#include "lib/base/hash.h"
#include "lib/stream/stream_state.h"

enum { NONE = STREAM_EVENT_COUNT };

/* By oddity, state of the connection behind the segment, and whether the segment is a FIN. */
static const uint8_t odd_events[STREAM_ODDITY_COUNT][FLOW_TCP_STATE_COUNT][2] = {
	[STREAM_ODD_ACK] = {
		[FLOW_TCP_ESTABLISHED] = { STREAM_EST_INVALID_ACK, STREAM_FIN_INVALID_ACK },
		[FLOW_TCP_FIN_WAIT1] = { STREAM_FIN1_INVALID_ACK, STREAM_FIN_INVALID_ACK },
		[FLOW_TCP_FIN_WAIT2] = { STREAM_FIN2_INVALID_ACK, STREAM_FIN2_INVALID_ACK },
		[FLOW_TCP_TIME_WAIT] = { STREAM_TIMEWAIT_INVALID_ACK, STREAM_FIN2_INVALID_ACK },
		[FLOW_TCP_LAST_ACK] = { STREAM_LASTACK_INVALID_ACK, STREAM_CLOSEWAIT_INVALID_ACK },
		[FLOW_TCP_CLOSE_WAIT] = { STREAM_CLOSEWAIT_INVALID_ACK, STREAM_FIN_INVALID_ACK },
		[FLOW_TCP_CLOSING] = { STREAM_CLOSING_INVALID_ACK, STREAM_CLOSING_INVALID_ACK },
		[FLOW_TCP_CLOSED] = { STREAM_TIMEWAIT_INVALID_ACK, STREAM_TIMEWAIT_INVALID_ACK },
	},
	[STREAM_ODD_SEQ] = {
		[FLOW_TCP_SYN_RECV] = { STREAM_EST_PACKET_OUT_OF_WINDOW, STREAM_FIN_OUT_OF_WINDOW },
		[FLOW_TCP_ESTABLISHED] = { STREAM_EST_PACKET_OUT_OF_WINDOW, STREAM_FIN_OUT_OF_WINDOW },
		[FLOW_TCP_FIN_WAIT1] = { STREAM_FIN1_ACK_WRONG_SEQ, STREAM_FIN_OUT_OF_WINDOW },
		[FLOW_TCP_FIN_WAIT2] = { STREAM_FIN2_ACK_WRONG_SEQ, STREAM_FIN1_FIN_WRONG_SEQ },
		[FLOW_TCP_TIME_WAIT] = { STREAM_TIMEWAIT_ACK_WRONG_SEQ, STREAM_FIN2_FIN_WRONG_SEQ },
		[FLOW_TCP_LAST_ACK] = { STREAM_LASTACK_ACK_WRONG_SEQ, STREAM_CLOSEWAIT_FIN_OUT_OF_WINDOW },
		[FLOW_TCP_CLOSE_WAIT] = { STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW, STREAM_FIN_OUT_OF_WINDOW },
		[FLOW_TCP_CLOSING] = { STREAM_CLOSING_ACK_WRONG_SEQ, STREAM_CLOSING_ACK_WRONG_SEQ },
		[FLOW_TCP_CLOSED] = { STREAM_TIMEWAIT_ACK_WRONG_SEQ, STREAM_TIMEWAIT_ACK_WRONG_SEQ },
	},
	[STREAM_ODD_OLD] = {
		[FLOW_TCP_ESTABLISHED] = { STREAM_EST_PKT_BEFORE_LAST_ACK, NONE },
		[FLOW_TCP_CLOSE_WAIT] = { STREAM_CLOSEWAIT_PKT_BEFORE_LAST_ACK, NONE },
	},
};

_Static_assert(STREAM_EVENT_COUNT < UINT8_MAX, "an event is a byte of the table");
_Static_assert(STREAM_3WHS_ACK_IN_WRONG_DIR == 0, "0 in the table names no event of its states");

bool
stream_seq_fits(const struct stream_step *step, unsigned int side)
{
	const struct stream_dir *dir = &step->stream->dirs[side], *peer = &step->stream->dirs[!side];
	int64_t rel = seq_diff(step->packet->tcp_seq, dir->next_seq);
	int64_t window = INT64_C(65535) << STREAM_WSCALE_MAX;

	if ((dir->flags & STREAM_DIR_OPEN) == 0)
		return true;
	if ((peer->flags & STREAM_DIR_WINDOW) != 0)
		window = (int64_t)peer->window << peer->wscale;
	return rel >= -(window + STREAM_WINDOW_SLACK) && rel <= window + STREAM_WINDOW_SLACK;
}

void
stream_odd(struct stream_step *step, enum stream_oddity oddity)
{
	bool fin = (step->packet->tcp_flags & TCP_FIN) != 0;
	uint8_t event = odd_events[oddity][step->flow->tcp_state][fin];

	if (event != 0 && event != NONE)
		stream_event_set(step->packet, (enum stream_event)event);
}

static inline uint64_t
word_of(const uint8_t *data, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, data, len);
	return word;
}

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/** Sixteen bytes a multiplication; the last ones overlap those before, so that no byte is taken alone. */
static uint32_t
content_of(const uint8_t *data, uint32_t len)
{
	const uint64_t odd = UINT64_C(0xa0761d6478bd642f);
	uint64_t hash = len * UINT64_C(0xe7037ed1a0b428db), a = 0, b = 0;

	for (; len > 16; len -= 16, data += 16)
		hash = mix(word_of(data, 8) ^ odd, word_of(data + 8, 8) ^ hash);
	if (len >= 8) {
		a = word_of(data, 8);
		b = word_of(data + len - 8, 8);
	} else if (len >= 4) {
		a = word_of(data, 4);
		b = word_of(data + len - 4, 4);
	} else if (len > 0) {
		a = (uint64_t)data[0] << 16 | (uint64_t)data[len / 2] << 8 | data[len - 1];
	}
	hash = mix(a ^ odd, b ^ hash);
	return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t
place_of(const struct stream_step *step, unsigned int side)
{
	const struct packet *packet = step->packet;
	uint32_t seed = step->flow->hash ^ (uint32_t)step->flow->flow_id ^ side;
	uint32_t place = hash_u64(seed, (uint64_t)packet->tcp_seq << 32 | packet->payload_len);

	return place == 0 ? 1 : place;
}

void
stream_print_keep(struct stream_step *step, unsigned int side)
{
	uint32_t place = place_of(step, side);
	struct stream_print *print = &step->engine->prints[place % STREAM_PRINTS];

	print->place = place;
	print->content = content_of(step->packet->payload, step->packet->payload_len);
}

bool
stream_print_differs(struct stream_step *step, unsigned int side)
{
	const struct packet *packet = step->packet;
	const struct stream_print *print;
	uint32_t place;

	if (step->engine->prints == NULL)
		return false;
	place = place_of(step, side);
	print = &step->engine->prints[place % STREAM_PRINTS];
	return print->place == place && print->content != content_of(packet->payload, packet->payload_len);
}
