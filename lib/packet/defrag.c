/* Reassembly of IPv4 (RFC 791 3.2, RFC 815) and IPv6 (RFC 8200 4.5) datagrams. */
#include "lib/packet/checksum.h"
#include "lib/packet/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/packet/host_policy.h"

enum {
	DEFRAG_HEADER_MAX = 256,          /* IP header with what goes before the fragment header */
	DEFRAG_PIECES_MAX = 1024,         /* of one datagram: 65,535 bytes in 64-byte fragments */
	DEFRAG_EXPIRE_PER_BURST = 64,
	DEFRAG_OUT_BYTES = 2 * 1024 * 1024, /* datagrams handed out in one burst */
	IP_DATAGRAM_MAX = 65535,
	DEFRAG_NONE = -1,
};

struct defrag_key {
	struct ip_addr src, dst;
	uint32_t id;
	uint8_t ip_proto; /* IPv4 only: IPv6 identifies by addresses and id */
	uint8_t ip_version;
	uint8_t tunnel_depth;
	uint8_t reserved;
	uint16_t vlan[PACKET_VLAN_MAX];
	uint16_t reserved2;
};

/** One datagram in reassembly. */
struct defrag_tracker {
	struct defrag_key key;
	struct piece_list pieces;
	uint64_t started_ns;
	uint32_t total_len;   /* of the payload; known once the last fragment came */
	bool total_known;
	bool header_known;    /* the fragment of offset 0 came */
	bool conflict;        /* overlapping content differed, or lengths disagreed */
	uint8_t policy;
	uint8_t next_proto;
	uint16_t header_len, next_proto_off;
	int32_t hash_next;
	int32_t age_next, age_prev; /* by started_ns: creation order */
	uint32_t bucket;
	uint8_t header[DEFRAG_HEADER_MAX];
};

struct defrag {
	struct slab *slab;     /* fragments */
	struct slab *out_slab; /* whole datagrams of this burst */
	struct defrag_tracker *trackers;
	int32_t *buckets;
	uint32_t bucket_mask;
	int32_t free_head;
	int32_t oldest, newest;
	uint64_t timeout_ns;
	uint64_t pieces_used, pieces_max;
	struct {
		void *data;
		uint32_t len;
	} held[DECODE_HELD_MAX];
	unsigned int held_count;
	struct host_policy hosts;
	bool enabled;
};

int
defrag_create(struct defrag **out, const struct packet_config *config)
{
	struct defrag *defrag = calloc(1, sizeof(*defrag));
	uint32_t count = (uint32_t)config->defrag_trackers_max, buckets = 1;
	int error = -ENOMEM;

	if (defrag == NULL)
		return -ENOMEM;
	while (buckets < count)
		buckets *= 2;
	defrag->enabled = config->defrag;
	defrag->timeout_ns = config->defrag_timeout_s * UINT64_C(1000000000);
	defrag->pieces_max = config->defrag_frags_max;
	defrag->bucket_mask = buckets - 1;
	defrag->oldest = defrag->newest = DEFRAG_NONE;
	if (host_policy_parse(&defrag->hosts, config->host_os_policy, PIECE_BSD) < 0) {
		error = -EINVAL;
		goto fail;
	}
	defrag->trackers = calloc(count, sizeof(*defrag->trackers));
	defrag->buckets = malloc(buckets * sizeof(*defrag->buckets));
	if (defrag->trackers == NULL || defrag->buckets == NULL ||
	    slab_create(&defrag->slab, config->defrag_memcap_bytes) < 0 ||
	    slab_create(&defrag->out_slab, DEFRAG_OUT_BYTES) < 0)
		goto fail;
	for (uint32_t i = 0; i < count; i++)
		defrag->trackers[i].hash_next = i + 1 < count ? (int32_t)(i + 1) : DEFRAG_NONE;
	for (uint32_t i = 0; i < buckets; i++)
		defrag->buckets[i] = DEFRAG_NONE;
	*out = defrag;
	return 0;
fail:
	defrag_destroy(defrag);
	return error;
}

void
defrag_destroy(struct defrag *defrag)
{
	if (defrag == NULL)
		return;
	if (defrag->slab != NULL)
		slab_destroy(defrag->slab);
	if (defrag->out_slab != NULL)
		slab_destroy(defrag->out_slab);
	free(defrag->buckets);
	free(defrag->trackers);
	free(defrag);
}

static void
tracker_release(struct defrag *defrag, int32_t idx)
{
	struct defrag_tracker *tracker = &defrag->trackers[idx];
	int32_t *link = &defrag->buckets[tracker->bucket];

	defrag->pieces_used -= tracker->pieces.count;
	piece_clear(&tracker->pieces, defrag->slab);
	while (*link != idx)
		link = &defrag->trackers[*link].hash_next;
	*link = tracker->hash_next;
	if (tracker->age_prev == DEFRAG_NONE)
		defrag->oldest = tracker->age_next;
	else
		defrag->trackers[tracker->age_prev].age_next = tracker->age_next;
	if (tracker->age_next == DEFRAG_NONE)
		defrag->newest = tracker->age_prev;
	else
		defrag->trackers[tracker->age_next].age_prev = tracker->age_prev;
	tracker->hash_next = defrag->free_head;
	defrag->free_head = idx;
}

void
defrag_burst_start(struct defrag *defrag, struct packet_decoder *decoder, uint64_t now_ns)
{
	for (unsigned int i = 0; i < defrag->held_count; i++)
		slab_free(defrag->out_slab, defrag->held[i].data, defrag->held[i].len);
	defrag->held_count = 0;
	for (unsigned int i = 0; i < DEFRAG_EXPIRE_PER_BURST && defrag->oldest != DEFRAG_NONE; i++) {
		if (defrag->trackers[defrag->oldest].started_ns + defrag->timeout_ns >= now_ns)
			break;
		tracker_release(defrag, defrag->oldest);
		decoder->pending[PACKET_COUNTER_DEFRAG_TIMEOUT]++;
	}
}

static struct defrag_key
key_of(const struct packet *packet, const struct defrag_fragment *fragment)
{
	struct defrag_key key = {
		.src = packet->src, .dst = packet->dst, .id = fragment->id, .ip_version = packet->ip_version,
		.ip_proto = packet->ip_version == 4 ? packet->ip_proto : 0, .tunnel_depth = packet->tunnel_depth,
	};

	memcpy(key.vlan, packet->vlan, sizeof(key.vlan));
	return key;
}

static int32_t
tracker_make(struct decode *d, struct defrag *defrag, const struct defrag_key *key, uint32_t bucket)
{
	struct defrag_tracker *tracker;
	int32_t idx;

	if (defrag->free_head == DEFRAG_NONE) {
		decode_count(d, PACKET_COUNTER_DEFRAG_MAX_TRACKERS);
		tracker_release(defrag, defrag->oldest);
	}
	idx = defrag->free_head;
	tracker = &defrag->trackers[idx];
	defrag->free_head = tracker->hash_next;
	memset(tracker, 0, offsetof(struct defrag_tracker, header));
	tracker->key = *key;
	tracker->bucket = bucket;
	tracker->started_ns = d->packet->ts_ns;
	tracker->policy = (uint8_t)host_policy_of(&defrag->hosts, d->packet->ip_version, &d->packet->dst);
	tracker->hash_next = defrag->buckets[bucket];
	defrag->buckets[bucket] = idx;
	tracker->age_prev = defrag->newest;
	tracker->age_next = DEFRAG_NONE;
	if (defrag->newest == DEFRAG_NONE)
		defrag->oldest = idx;
	else
		defrag->trackers[defrag->newest].age_next = idx;
	defrag->newest = idx;
	return idx;
}

static int32_t
tracker_find(struct decode *d, struct defrag *defrag, const struct defrag_fragment *fragment)
{
	struct defrag_key key = key_of(d->packet, fragment);
	uint32_t bucket = (crc32c(0, &key, sizeof(key)) * 0x9e3779b1u >> 8) & defrag->bucket_mask;
	int32_t idx = defrag->buckets[bucket];

	while (idx != DEFRAG_NONE && memcmp(&defrag->trackers[idx].key, &key, sizeof(key)) != 0)
		idx = defrag->trackers[idx].hash_next;
	if (idx != DEFRAG_NONE && defrag->trackers[idx].started_ns + defrag->timeout_ns < d->packet->ts_ns) {
		tracker_release(defrag, idx); /* an identifier that came round again */
		decode_count(d, PACKET_COUNTER_DEFRAG_TIMEOUT);
		idx = DEFRAG_NONE;
	}
	return idx != DEFRAG_NONE ? idx : tracker_make(d, defrag, &key, bucket);
}

static bool
tracker_is_whole(const struct defrag_tracker *tracker)
{
	const struct piece *piece = tracker->pieces.head;
	uint64_t at = 0;

	if (!tracker->total_known || !tracker->header_known)
		return false;
	if (piece == NULL || piece->start != 0 || tracker->pieces.tail->end < tracker->total_len)
		return false;
	for (; piece != NULL && piece->start == at; piece = piece->next)
		at = piece->end;
	return at >= tracker->total_len;
}

/** Writes header and payload as if the datagram had come whole. */
static uint8_t *
datagram_build(struct defrag *defrag, const struct defrag_tracker *tracker, uint32_t *len)
{
	uint8_t *out = NULL;
	uint16_t checksum;

	*len = tracker->header_len + tracker->total_len;
	if (defrag->held_count == DECODE_HELD_MAX || *len - 40 > IP_DATAGRAM_MAX)
		return NULL;
	out = slab_alloc(defrag->out_slab, *len);
	if (out == NULL)
		return NULL;
	defrag->held[defrag->held_count].data = out;
	defrag->held[defrag->held_count++].len = *len;
	memcpy(out, tracker->header, tracker->header_len);
	out[tracker->next_proto_off] = tracker->next_proto;
	if (tracker->key.ip_version == 4) {
		out[2] = (uint8_t)(*len >> 8);
		out[3] = (uint8_t)*len;
		out[6] = out[7] = 0;
		out[10] = out[11] = 0;
		checksum = (uint16_t)~checksum_fold(checksum_add(0, out, tracker->header_len));
		memcpy(out + 10, &checksum, sizeof(checksum)); /* the sum is in wire order */
	} else {
		out[4] = (uint8_t)((*len - 40) >> 8);
		out[5] = (uint8_t)(*len - 40);
	}
	for (const struct piece *piece = tracker->pieces.head; piece != NULL; piece = piece->next) {
		uint64_t end = piece->end < tracker->total_len ? piece->end : tracker->total_len;

		if (piece->start < end)
			memcpy(out + tracker->header_len + piece->start, piece_data(piece), end - piece->start);
	}
	return out;
}

static void
datagram_hand_out(struct decode *d, struct defrag *defrag, const struct defrag_tracker *tracker)
{
	bool v4 = tracker->key.ip_version == 4;
	uint32_t len;
	const uint8_t *data = datagram_build(defrag, tracker, &len);
	struct packet *inner;

	if (data == NULL) {
		decode_count(d, PACKET_COUNTER_DEFRAG_MEMCAP);
		return;
	}
	inner = decode_append(d, data, len, PACKET_LINK_RAW, PACKET_SOURCE_DEFRAG);
	if (inner == NULL)
		return;
	inner->flags = PACKET_REASSEMBLED | PACKET_L3_CHECKSUM_GOOD;
	decode_count(d, v4 ? PACKET_COUNTER_REASSEMBLED_IPV4 : PACKET_COUNTER_REASSEMBLED_IPV6);
}

/** Notes what a fragment tells of the datagram's end and header. @return false: it contradicts what is known */
static bool
tracker_learn(struct defrag_tracker *tracker, const struct defrag_fragment *fragment)
{
	uint32_t end = fragment->offset + fragment->len;

	if (fragment->offset == 0 && !tracker->header_known) {
		tracker->header_known = true;
		tracker->header_len = (uint16_t)fragment->header_len;
		tracker->next_proto_off = (uint16_t)fragment->next_proto_off;
		tracker->next_proto = fragment->next_proto;
		memcpy(tracker->header, fragment->header, fragment->header_len);
	}
	if (!fragment->more) {
		if (tracker->total_known && tracker->total_len != end)
			return false;
		tracker->total_known = true;
		tracker->total_len = end;
	}
	return true;
}

void
defrag_insert(struct decode *d, const struct defrag_fragment *fragment)
{
	struct defrag *defrag = d->decoder->defrag;
	bool v4 = d->packet->ip_version == 4;
	struct defrag_tracker *tracker;
	unsigned int result;
	uint32_t before;
	int32_t idx;

	if (!defrag->enabled || fragment->len == 0)
		return;
	if (fragment->header_len > DEFRAG_HEADER_MAX) {
		decode_event_set(d->packet, v4 ? DECODE_IPV4_FRAG_IGNORED : DECODE_IPV6_FRAG_IGNORED);
		return;
	}
	idx = tracker_find(d, defrag, fragment);
	tracker = &defrag->trackers[idx];
	before = tracker->pieces.count;
	if (defrag->pieces_used >= defrag->pieces_max || before >= DEFRAG_PIECES_MAX) {
		decode_count(d, PACKET_COUNTER_DEFRAG_MAX_FRAGS);
		decode_event_set(d->packet, v4 ? DECODE_IPV4_FRAG_IGNORED : DECODE_IPV6_FRAG_IGNORED);
		return;
	}
	result = piece_insert(&tracker->pieces, defrag->slab, tracker->policy, fragment->offset, fragment->data,
		fragment->len, 0);
	defrag->pieces_used += tracker->pieces.count - before;
	if ((result & PIECE_NO_MEMORY) != 0) {
		decode_count(d, PACKET_COUNTER_DEFRAG_MEMCAP);
		decode_event_set(d->packet, v4 ? DECODE_IPV4_FRAG_IGNORED : DECODE_IPV6_FRAG_IGNORED);
	}
	if (!tracker_learn(tracker, fragment) || (result & PIECE_DIFFERENT) != 0 ||
	    (!v4 && (result & PIECE_OVERLAP) != 0)) {
		decode_count(d, PACKET_COUNTER_DEFRAG_OVERLAP);
		decode_event_set(d->packet, v4 ? DECODE_IPV4_FRAG_OVERLAP : DECODE_IPV6_FRAG_OVERLAP);
	}
	if (tracker_is_whole(tracker)) {
		datagram_hand_out(d, defrag, tracker);
		tracker_release(defrag, idx);
	}
}
