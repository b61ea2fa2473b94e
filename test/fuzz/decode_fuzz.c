/* Frames of any link type through the decoder, tunnels and defragmentation included. */
#include "lib/packet/packet.h"
#include "test/fuzz/fuzz_input.h"

enum { FRAMES_MAX = 16, PACKETS_MAX = 64 };

static const uint16_t link_types[] = { PACKET_LINK_ETHERNET, PACKET_LINK_NULL, PACKET_LINK_PPP, PACKET_LINK_RAW_BSD,
	PACKET_LINK_PPP_SERIAL, PACKET_LINK_RAW, PACKET_LINK_CHDLC, PACKET_LINK_LOOP, PACKET_LINK_SLL, PACKET_LINK_IPV4,
	PACKET_LINK_IPV6, PACKET_LINK_SLL2, 999 };

static struct packet packets[PACKETS_MAX];

static struct packet_decoder *
create_decoder(void)
{
	static _Atomic uint64_t counters[PACKET_COUNTER_COUNT];
	struct packet_decoder *decoder;
	struct packet_config packet_config = { .flow_ether_types = { 0x88b8, 0x88ba }, .flow_ether_type_count = 2 };
	struct config_error err;
	struct config *config;

	FUZZ_MUST(config_load(&config, NULL, &err) == 0);
	FUZZ_MUST(config_set(config, "defrag.memcap=1mb", &err) == 0);
	FUZZ_MUST(config_apply(config, &packet_knobs, &packet_config, &err) == 0);
	FUZZ_MUST(packet_decoder_create(&decoder, &packet_config, counters) == 0);
	config_destroy(config);
	return decoder;
}

/* Every byte that a packet names can be read, and the chain visits each packet at most once. */
static void
check_packets(uint16_t count)
{
	volatile uint8_t sum = 0;
	unsigned int visited = 0;

	for (uint16_t i = 0; i < count; i++) {
		const struct packet *packet = &packets[i];

		FUZZ_MUST(packet->payload != NULL);
		for (uint32_t at = 0; at < packet->payload_len; at++)
			sum += packet->payload[at];
		FUZZ_MUST(packet->vlan_count <= PACKET_VLAN_MAX);
		if (packet->flags & PACKET_L4)
			FUZZ_MUST(packet->l4_off + packet->l4_len <= packet->len);
	}
	for (uint16_t i = 0; count > 0 && i != PACKET_NO_NEXT; i = packets[i].next_idx) {
		FUZZ_MUST(i < count);
		FUZZ_MUST(++visited <= count);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct packet_decoder *decoder;
	struct cursor in = cursor_of(data, len);
	uint16_t link_type = link_types[cursor_u8(&in) % (sizeof(link_types) / sizeof(link_types[0]))];
	uint8_t *frames[FRAMES_MAX];
	uint16_t count = 0, decoded;

	if (decoder == NULL)
		decoder = create_decoder();
	while (count < FRAMES_MAX && cursor_left(&in) > 0) {
		struct cursor frame = fuzz_take(&in, cursor_be16(&in));

		frames[count] = fuzz_copy(frame);
		packets[count] = (struct packet){ .data = frames[count], .len = (uint32_t)cursor_left(&frame),
			.wire_len = (uint32_t)cursor_left(&frame), .ts_ns = count * UINT64_C(1000000000), .frame_number = count + 1u,
			.link_type = link_type };
		count++;
	}
	decoded = packet_decode_burst(decoder, packets, count, PACKETS_MAX);
	FUZZ_MUST(decoded >= count && decoded <= PACKETS_MAX);
	check_packets(decoded);
	for (uint16_t i = 0; i < count; i++)
		free(frames[i]);
	return 0;
}
