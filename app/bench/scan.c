#include "app/bench/scan.h"

#include <errno.h>
#include <hs.h>
#include <rte_cycles.h>
#include <stdlib.h>

enum { SCAN_BURST = 64 };

static const hs_database_t *
largest(const struct ruleset *ruleset, uint64_t *patterns)
{
	const hs_database_t *best = NULL, *database;
	uint32_t count;

	*patterns = 0;
	for (unsigned int nth = 0; (database = ruleset_database_get(ruleset, nth, &count)) != NULL; nth++)
		if (count > *patterns) {
			*patterns = count;
			best = database;
		}
	return best;
}

static int
count_hit(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

static int
scan_burst(const struct packet packets[], uint16_t count, const hs_database_t *database, hs_scratch_t *scratch,
	struct scan_result *out, uint64_t *cycles)
{
	uint64_t start = rte_rdtsc();

	for (uint16_t i = 0; i < count; i++) {
		if (!packet_is(&packets[i], PACKET_L4) || packets[i].payload_len == 0)
			continue;
		if (hs_scan(database, (const char *)packets[i].payload, packets[i].payload_len, 0, scratch, count_hit,
			    &out->hits) != HS_SUCCESS)
			return -EIO;
		out->payloads++;
		out->bytes += packets[i].payload_len;
	}
	*cycles += rte_rdtsc() - start;
	return 0;
}

/* Frames are decoded first, a burst at a time and outside the clock, so that payloads are as warm as the worker's. */
static int
scan_all(struct packet_decoder *decoder, struct source *source, const hs_database_t *database, hs_scratch_t *scratch,
	struct scan_result *out)
{
	static struct packet packets[SCAN_BURST * 4];
	struct rte_mbuf *mbufs[SCAN_BURST];
	uint64_t cycles = 0;
	uint16_t received;
	int rc = 0;

	memory_source_rewind(source, 0);
	while (rc == 0 && (received = source_rx_burst(source, mbufs, SCAN_BURST)) > 0) {
		for (uint16_t i = 0; i < received; i++) {
			packets[i].data = mbufs[i]->buf_addr;
			packets[i].len = packets[i].wire_len = mbufs[i]->data_len;
			packets[i].flags = PACKET_L3_CHECKSUM_GOOD | PACKET_L4_CHECKSUM_GOOD;
			packets[i].link_type = PACKET_LINK_ETHERNET;
			packets[i].ts_ns = 1;
		}
		(void)packet_decode_burst(decoder, packets, received, SCAN_BURST * 4);
		rc = scan_burst(packets, received, database, scratch, out, &cycles);
		source_give_back(source, mbufs, received);
	}
	out->cycles_per_payload = out->payloads == 0 ? 0 : (double)cycles / (double)out->payloads;
	return rc;
}

int
scan_payloads(const struct ruleset *ruleset, const struct settings *settings, const struct memory_capture *capture,
	struct scan_result *out)
{
	static _Atomic uint64_t counters[PACKET_COUNTER_COUNT];
	const hs_database_t *database = largest(ruleset, &out->patterns);
	struct packet_decoder *decoder = NULL;
	struct rte_mempool *pool;
	struct source *source = NULL;
	hs_scratch_t *scratch = NULL;
	int rc;

	if (database == NULL)
		return 0;
	pool = rte_pktmbuf_pool_create("millrace_scan", 1024, 128, 0, RTE_PKTMBUF_HEADROOM, (int)rte_socket_id());
	rc = pool == NULL || hs_alloc_scratch(database, &scratch) != HS_SUCCESS ? -ENOMEM : 0;
	if (rc == 0)
		rc = packet_decoder_create(&decoder, &settings->packet, counters);
	if (rc == 0)
		rc = memory_source_create(&source, capture, pool);
	if (rc == 0)
		rc = scan_all(decoder, source, database, scratch, out);
	source_destroy(source);
	packet_decoder_destroy(decoder);
	hs_free_scratch(scratch);
	rte_mempool_free(pool);
	return rc;
}
