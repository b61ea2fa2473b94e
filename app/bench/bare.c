#include "app/bench/bare.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench/spans.h"

enum { FLOWS_MAX = 1 << 18, TUPLE_BURST = 32, TUPLE_BURSTS = BURST_MAX / TUPLE_BURST };

/* What a flow is for the bare lookup: both ends of an IPv4 packet as they come. */
struct tuple {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t proto;
};

_Static_assert(sizeof(struct tuple) == 16, "the key length rte_hash compares fastest");

struct bare {
	struct source *source;
	struct rte_hash *hash;
	struct rte_mbuf *mbufs[BURST_MAX];
	struct tuple tuples[BURST_MAX];
	uint64_t seen; /* so that no read is left out */
	bool lookup;
};

static void
read_tuple(struct tuple *tuple, const struct rte_mbuf *mbuf)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	size_t at = 14;

	memset(tuple, 0, sizeof(*tuple));
	if (mbuf->data_len < 42)
		return;
	if (data[12] == 0x81 && data[13] == 0)
		at += 4;
	if (data[at - 2] != 0x08 || data[at - 1] != 0)
		return;
	memcpy(&tuple->src, data + at + 12, 4);
	memcpy(&tuple->dst, data + at + 16, 4);
	memcpy(&tuple->sport, data + at + 20, 2);
	memcpy(&tuple->dport, data + at + 22, 2);
	tuple->proto = data[at + 9];
}

static void
find_flows(struct bare *bare, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		read_tuple(&bare->tuples[i], bare->mbufs[i]);
	for (uint16_t at = 0; at < count; at += TUPLE_BURST) {
		uint16_t len = count - at < TUPLE_BURST ? count - at : TUPLE_BURST;
		const void *keys[TUPLE_BURST];
		void *data[TUPLE_BURST];
		uint64_t hits = 0;

		for (uint16_t i = 0; i < len; i++)
			keys[i] = &bare->tuples[at + i];
		rte_hash_lookup_bulk_data(bare->hash, keys, len, &hits, data);
		for (uint16_t i = 0; i < len; i++)
			if ((hits >> i & 1) == 0)
				(void)rte_hash_add_key_data(bare->hash, keys[i], NULL);
		bare->seen += hits;
	}
}

/* @return frames, 0 at the end */
static uint16_t
one_burst(void *arg)
{
	struct bare *bare = arg;
	uint16_t count = source_rx_burst(bare->source, bare->mbufs, BURST_MAX);

	for (uint16_t i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(bare->mbufs[i], const uint8_t *));
	if (bare->lookup && count > 0)
		find_flows(bare, count);
	else
		for (uint16_t i = 0; i < count; i++)
			bare->seen += *rte_pktmbuf_mtod(bare->mbufs[i], const uint8_t *);
	if (count > 0)
		rte_pktmbuf_free_bulk(bare->mbufs, count);
	return count;
}

static double
measure_loops(struct bare *bare, const struct memory_capture *capture, unsigned int loops)
{
	static struct spans spans;

	for (unsigned int i = 0; i <= loops; i++) {
		memory_source_rewind(bare->source, 0);
		spans_loop(&spans, i, capture->frame_count, one_burst, bare);
	}
	return spans_sum(&spans) / capture->frame_count;
}

int
bare_measure(const struct memory_capture *capture, struct rte_mempool *pool, unsigned int loops, struct bare_result *out)
{
	struct rte_hash_parameters parameters = { .name = "millrace_bare", .entries = FLOWS_MAX,
		.key_len = sizeof(struct tuple), .hash_func = rte_hash_crc, .socket_id = (int)rte_socket_id() };
	struct bare *bare = calloc(1, sizeof(*bare));
	int rc = bare == NULL ? -ENOMEM : memory_source_create(&bare->source, capture, pool);

	memset(out, 0, sizeof(*out));
	if (rc == 0 && (bare->hash = rte_hash_create(&parameters)) == NULL)
		rc = -ENOMEM;
	if (rc == 0) {
		out->rx = measure_loops(bare, capture, loops);
		bare->lookup = true;
		out->lookup = measure_loops(bare, capture, loops);
		out->flows = (uint32_t)rte_hash_count(bare->hash);
	}
	if (bare != NULL) {
		rte_hash_free(bare->hash);
		if (bare->source != NULL)
			source_destroy(bare->source);
	}
	free(bare);
	return rc;
}
