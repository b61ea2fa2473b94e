#include "lib/packet/decode.h"
#include "lib/packet/decode_key.h"

#include <assert.h>
#include <immintrin.h>
#include <string.h>

enum {
	ETHERNET_LEN = 14,
	ETHER_TYPE_MIN = 0x0600, /* below: an 802.3 length */
	LINK_TYPES_LOW = 512,
};

static enum decode_layer decode_ethernet(struct decode *d);
static enum decode_layer decode_vlan(struct decode *d);
static enum decode_layer decode_ether_flow(struct decode *d);

static enum decode_layer
decode_nothing(struct decode *d)
{
	return LAYER_DONE;
}

static enum decode_layer (*const decode_layers[LAYER_COUNT])(struct decode *d) = {
	[LAYER_DONE] = decode_nothing,
	[LAYER_BAD] = decode_nothing,
	[LAYER_ETHERNET] = decode_ethernet,
	[LAYER_ETHER_TYPE] = decode_ether_type,
	[LAYER_VLAN] = decode_vlan,
	[LAYER_LLC] = decode_llc,
	[LAYER_ARP] = decode_arp,
	[LAYER_IPV4] = decode_ipv4,
	[LAYER_IPV6] = decode_ipv6,
	[LAYER_IP_PROTO] = decode_ip_proto,
	[LAYER_TCP] = decode_tcp,
	[LAYER_UDP] = decode_udp,
	[LAYER_ICMP] = decode_icmp,
	[LAYER_ICMPV6] = decode_icmpv6,
	[LAYER_SCTP] = decode_sctp,
	[LAYER_ESP] = decode_esp,
	[LAYER_AH] = decode_ah,
	[LAYER_IGMP] = decode_igmp,
	[LAYER_GRE] = decode_gre,
	[LAYER_IPIP] = decode_ipip,
	[LAYER_MPLS] = decode_mpls,
	[LAYER_NSH] = decode_nsh,
	[LAYER_L2TP] = decode_l2tp,
	[LAYER_MACSEC] = decode_macsec,
	[LAYER_WLAN] = decode_wlan,
	[LAYER_RADIOTAP] = decode_radiotap,
	[LAYER_PPPOE] = decode_pppoe,
	[LAYER_VNTAG] = decode_vntag,
	[LAYER_ETAG] = decode_etag,
	[LAYER_CMD] = decode_cmd,
	[LAYER_HSR] = decode_hsr,
	[LAYER_FRER] = decode_frer,
	[LAYER_DCE] = decode_dce,
	[LAYER_IEEE8021AH] = decode_ieee8021ah,
	[LAYER_PPP] = decode_ppp,
	[LAYER_SLL] = decode_sll,
	[LAYER_SLL2] = decode_sll2,
	[LAYER_NULL] = decode_null,
	[LAYER_RAW] = decode_raw,
	[LAYER_CHDLC] = decode_chdlc,
	[LAYER_TYPED] = decode_typed,
	[LAYER_ETHER_FLOW] = decode_ether_flow,
};

static const uint8_t link_layers[LINK_TYPES_LOW] = {
	[PACKET_LINK_NULL] = LAYER_NULL,
	[PACKET_LINK_ETHERNET] = LAYER_ETHERNET,
	[PACKET_LINK_PPP] = LAYER_PPP,
	[PACKET_LINK_RAW_BSD] = LAYER_RAW,
	[14] = LAYER_RAW, /* OpenBSD's number for raw IP */
	[PACKET_LINK_PPP_SERIAL] = LAYER_PPP,
	[PACKET_LINK_RAW] = LAYER_RAW,
	[PACKET_LINK_CHDLC] = LAYER_CHDLC,
	[PACKET_LINK_WLAN] = LAYER_WLAN,
	[PACKET_LINK_RADIOTAP] = LAYER_RADIOTAP,
	[PACKET_LINK_LOOP] = LAYER_NULL,
	[PACKET_LINK_SLL] = LAYER_SLL,
	[PACKET_LINK_MPLS] = LAYER_MPLS,
	[PACKET_LINK_IPV4] = LAYER_RAW,
	[PACKET_LINK_IPV6] = LAYER_RAW,
	[PACKET_LINK_SLL2] = LAYER_SLL2,
	[PACKET_LINK_ETHER_TYPE] = LAYER_TYPED,
	[PACKET_LINK_NSH] = LAYER_NSH,
};

/** Clears all that decoding fills, and starts the cursor. Whole vectors: string stores cost thirty cycles more. */
static inline void
packet_reset(struct decode *d, struct packet *packet)
{
	__m256i *lines = (__m256i *)(void *)((uint8_t *)packet + 64);

	for (unsigned int i = 0; i < (sizeof(*packet) - 64) / sizeof(*lines); i++)
		_mm256_store_si256(&lines[i], _mm256_setzero_si256());
	packet->hash = 0;
	d->in = cursor_of(packet->data, packet->len - d->trailer_len);
}

static void
decode_one(struct decode *d, uint16_t idx)
{
	struct packet *packet = &d->packets[idx];
	enum decode_layer layer;

	d->packet = packet;
	d->idx = idx;
	d->tail = idx;
	packet_reset(d, packet);
	if (packet->outer_idx == PACKET_NO_OUTER) {
		if (packet->link_type == PACKET_LINK_ETHERNET && d->decoder->fast && !packet_is(packet, PACKET_COPY) && decode_fast(d))
			return;
	} else {
		const struct packet *outer = &d->packets[packet->outer_idx];

		memcpy(packet->vlan, outer->vlan, sizeof(packet->vlan));
		packet->vlan_count = outer->vlan_count;
	}
	layer = packet_is(packet, PACKET_COPY) ? LAYER_DONE : packet->link_type < LINK_TYPES_LOW ? link_layers[packet->link_type] : LAYER_DONE;
	for (unsigned int i = 0; layer > LAYER_BAD; i++) {
		if (i == d->decoder->config.layers_max) {
			decode_event_set(packet, DECODE_TOO_MANY_LAYERS);
			decode_count(d, PACKET_COUNTER_TOO_MANY_LAYERS);
			layer = LAYER_BAD;
			break;
		}
		layer = decode_layers[layer](d);
	}
	packet->payload = d->in.pos;
	packet->payload_len = d->in.left;
	if (layer == LAYER_BAD) {
		packet->flags |= PACKET_INVALID;
		packet->flags &= ~(uint32_t)(PACKET_FLOW | PACKET_FLOW_FIND);
		decode_count(d, PACKET_COUNTER_INVALID);
	}
}

static inline bool
ends_in_prp(const struct packet *packet)
{
	return packet->len > 2 && packet->data[packet->len - 1] == (PRP_SUFFIX & 0xff) && packet->data[packet->len - 2] == PRP_SUFFIX >> 8;
}

static void
counters_publish(struct packet_decoder *decoder)
{
	for (unsigned int i = 0; i < PACKET_COUNTER_COUNT; i++)
		if (decoder->pending[i] != 0) {
			counter_add(&decoder->counters[i], decoder->pending[i]);
			decoder->pending[i] = 0;
		}
	counter_set(&decoder->counters[PACKET_COUNTER_MAX_PKT_SIZE], decoder->max_packet_len);
}

uint16_t
packet_decode_burst(struct packet_decoder *decoder, struct packet packets[], uint16_t count, uint16_t packets_max)
{
	struct decode d = { .decoder = decoder, .packets = packets, .count = count, .packets_max = packets_max };
	uint64_t bytes = 0;

	assert(count <= packets_max && packets_max < PACKET_NO_NEXT);
	if (count == 0)
		return 0;
	defrag_burst_start(decoder->defrag, decoder, packets[0].ts_ns);
	for (uint16_t i = 0; i < d.count; i++) {
		struct packet *packet = &packets[i];

		if (i < count) { /* inner packets came with these */
			packet->flags &= PACKET_GIVEN_FLAGS;
			packet->outer_idx = PACKET_NO_OUTER;
			packet->next_idx = i + 1 < count ? (uint16_t)(i + 1) : PACKET_NO_NEXT;
			packet->source = PACKET_SOURCE_WIRE;
			packet->tunnel_depth = 0;
			bytes += packet->wire_len;
			if (packet->wire_len > decoder->max_packet_len)
				decoder->max_packet_len = packet->wire_len;
		}
		d.trailer_len = ends_in_prp(packet) ? decode_prp(decoder, packet) : 0;
		d.appended = 0;
		decode_one(&d, i);
	}
	decoder->pending[PACKET_COUNTER_PKTS] += count;
	decoder->pending[PACKET_COUNTER_BYTES] += bytes;
	counters_publish(decoder);
	return d.count;
}

struct packet *
decode_append(struct decode *d, const uint8_t *data, uint32_t len, enum packet_link link, enum packet_source source)
{
	struct packet *outer = d->packet, *inner;

	if (outer->tunnel_depth == PACKET_TUNNEL_DEPTH_MAX) {
		decode_event_set(outer, DECODE_TOO_MANY_LAYERS);
		decode_count(d, PACKET_COUNTER_TOO_MANY_LAYERS);
		return NULL;
	}
	if (d->count == d->packets_max || d->appended == PACKET_INNER_PER_FRAME_MAX) {
		decode_count(d, PACKET_COUNTER_INNER_DROPPED);
		return NULL;
	}
	inner = &d->packets[d->count];
	inner->data = data;
	inner->ts_ns = outer->ts_ns;
	inner->frame_number = outer->frame_number;
	inner->len = len;
	inner->wire_len = len;
	inner->flags = 0;
	inner->port_idx = outer->port_idx;
	inner->link_type = (uint16_t)link;
	inner->outer_idx = d->idx;
	inner->source = (uint8_t)source;
	inner->tunnel_depth = outer->tunnel_depth + (source != PACKET_SOURCE_DEFRAG);
	inner->next_idx = d->packets[d->tail].next_idx;
	d->packets[d->tail].next_idx = d->count;
	d->tail = d->count;
	if (d->appended++ == 0)
		outer->inner_idx = d->count;
	d->count++;
	return inner;
}

enum decode_layer
decode_inner(struct decode *d, enum packet_link link, enum packet_source source)
{
	if (decode_append(d, d->in.pos, (uint32_t)cursor_left(&d->in), link, source) != NULL)
		d->packet->flags |= PACKET_TUNNEL;
	return LAYER_DONE;
}

uint32_t
packet_key_hash(const struct packet_key *key)
{
	uint64_t words[6];

	memcpy(words, key, sizeof(words));
	return decode_hash(words[0], words[1], words[2], words[3], words[4], words[5]);
}

static enum decode_layer
decode_ethernet(struct decode *d)
{
	struct packet *packet = d->packet;
	const uint8_t *header = cursor_take(&d->in, ETHERNET_LEN);

	decode_count(d, PACKET_COUNTER_ETHERNET);
	if (header == NULL)
		return decode_bad(d, DECODE_ETHERNET_PKT_TOO_SMALL);
	packet->flags |= PACKET_ETHERNET;
	packet->l2_off = (uint16_t)(header - packet->data);
	packet->ether_type = (uint16_t)(header[12] << 8 | header[13]);
	return decode_ether_type(d);
}

static enum decode_layer
decode_vlan(struct decode *d)
{
	static const uint8_t depth_counters[PACKET_VLAN_MAX] = {
		PACKET_COUNTER_VLAN, PACKET_COUNTER_VLAN_QINQ, PACKET_COUNTER_VLAN_QINQINQ,
	};
	struct packet *packet = d->packet;
	uint16_t tci = cursor_be16(&d->in);
	uint16_t ether_type = cursor_be16(&d->in);

	if (d->in.short_read)
		return decode_bad(d, DECODE_VLAN_HEADER_TOO_SMALL);
	if (packet->vlan_count == PACKET_VLAN_MAX)
		return decode_bad(d, DECODE_VLAN_TOO_MANY_LAYERS);
	decode_count(d, depth_counters[packet->vlan_count]);
	packet->vlan[packet->vlan_count++] = tci & 0x0fff;
	packet->ether_type = ether_type;
	return decode_ether_type(d);
}

void
decode_ether_kinds(uint8_t kinds[65536], const struct packet_config *config)
{
	/* EtherTypes that lead to another header; those of plants stay whole for their parsers */
	static const struct {
		uint16_t ether_type;
		uint8_t layer;
	} rows[] = {
		{ 0x0800, LAYER_IPV4 },  { 0x86dd, LAYER_IPV6 },  { 0x8100, LAYER_VLAN },  { 0x0806, LAYER_ARP },
		{ 0x88a8, LAYER_VLAN },  { 0x9100, LAYER_VLAN },  { 0x9200, LAYER_VLAN },  { 0x9300, LAYER_VLAN },
		{ 0x8847, LAYER_MPLS },  { 0x8848, LAYER_MPLS },  { 0x8863, LAYER_PPPOE }, { 0x8864, LAYER_PPPOE },
		{ 0x8926, LAYER_VNTAG }, { 0x893f, LAYER_ETAG },  { 0x8903, LAYER_DCE },   { 0x88e7, LAYER_IEEE8021AH },
		{ 0x894f, LAYER_NSH },   { 0x8909, LAYER_CMD },   { 0x892f, LAYER_HSR },   { 0xf1c1, LAYER_FRER },
		{ 0x88e5, LAYER_MACSEC },
	};

	memset(kinds, LAYER_DONE, 65536);
	memset(kinds, LAYER_LLC, ETHER_TYPE_MIN);
	for (size_t i = 0; i < config->flow_ether_type_count; i++)
		if (config->flow_ether_types[i] >= ETHER_TYPE_MIN)
			kinds[config->flow_ether_types[i]] = LAYER_ETHER_FLOW;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		kinds[rows[i].ether_type] = rows[i].layer;
}

/** A frame of a protocol without IP gets a flow of its own: its MACs and its EtherType. */
static enum decode_layer
decode_ether_flow(struct decode *d)
{
	struct packet *packet = d->packet;
	struct cursor macs = cursor_of(packet->data, packet->len);

	if (!packet_is(packet, PACKET_ETHERNET)) {
		decode_count(d, PACKET_COUNTER_UNKNOWN_ETHERTYPE);
		return LAYER_DONE;
	}
	cursor_skip(&macs, packet->l2_off);
	memcpy(packet->dst.bytes, cursor_take(&macs, 6), 6);
	memcpy(packet->src.bytes, cursor_take(&macs, 6), 6);
	decode_count(d, PACKET_COUNTER_ETHER_FLOW);
	decode_key(d, (struct decode_tuple){ .src = &packet->src, .dst = &packet->dst, .sport = packet->ether_type,
		.dport = packet->ether_type }, PACKET_FLOW);
	return LAYER_DONE;
}

enum decode_layer
decode_ether_type(struct decode *d)
{
	enum decode_layer layer = d->decoder->ether_kinds[d->packet->ether_type];

	if (layer == LAYER_DONE)
		decode_count(d, PACKET_COUNTER_UNKNOWN_ETHERTYPE);
	return layer;
}
