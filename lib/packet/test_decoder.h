/* For tests of the decoder that show it frame by frame. */
#ifndef MR_PACKET_TEST_DECODER_H
#define MR_PACKET_TEST_DECODER_H

#include "test/test.h"

#include "lib/packet/test_frame.h"

enum { PACKETS_MAX = 4 };

static _Atomic uint64_t counters[PACKET_COUNTER_COUNT];
static struct packet packets[PACKETS_MAX];
static struct packet_decoder *decoder;
static const struct packet *const packet = &packets[0];

static inline int
setup(void **state)
{
	struct packet_config config = frame_decoder_config();

	memset(counters, 0, sizeof(counters));
	return packet_decoder_create(&decoder, &config, counters);
}

static inline int
teardown(void **state)
{
	packet_decoder_destroy(decoder);
	return 0;
}

static inline void
decode(const struct frame *frame)
{
	frame_give(&packets[0], frame, 1000000000);
	assert_int_equal(packet_decode_burst(decoder, packets, 1, PACKETS_MAX), 1);
}

#endif
