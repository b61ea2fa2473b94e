/* A rule set, its matcher and a flow, for tests of what outlives one packet. */
#ifndef MR_RULE_TEST_BENCH_H
#define MR_RULE_TEST_BENCH_H

#include "lib/rule/test_toy.h"

struct bench {
	struct ruleset *set;
	struct rule_matcher *matcher;
	struct slab *slab;
	struct flow flow;
	struct rule_hits hits;
};

static inline void
bench_begin(struct bench *b, const char *rules, uint8_t ip_proto)
{
	struct rule_config config = toy_config();
	unsigned int count;

	b->set = toy_ruleset(rules);
	const struct rule_error *errors = ruleset_errors(b->set, &count);

	if (count > 0)
		fail_msg("%s: %s", rules, errors[0].reason);
	assert_int_equal(slab_create(&b->slab, 1 << 20), 0);
	assert_int_equal(rule_matcher_create(&b->matcher, b->set, &config, b->slab), 0);
	b->flow = toy_flow(ip_proto);
}

static inline void
bench_end(struct bench *b)
{
	rule_flow_end(b->matcher, &b->flow);
	assert_int_equal(slab_used(b->slab), 0);
	rule_matcher_destroy(b->matcher);
	ruleset_destroy(b->set);
	slab_destroy(b->slab);
}

static inline unsigned int
bench_udp(struct bench *b, const char *payload, uint64_t ts_s)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, payload, (uint32_t)strlen(payload));

	packet.ts_ns = ts_s * 1000000000;
	rule_hits_reset(&b->hits);
	rule_match_packet(b->matcher, &packet, &b->flow, &b->hits);
	return b->hits.count;
}

static inline unsigned int
bench_stream(struct bench *b, const char *data, uint32_t seen_len, bool to_server)
{
	struct rule_chunk chunk = { .data = (const uint8_t *)data, .len = (uint32_t)strlen(data), .seen_len = seen_len,
		.to_server = to_server };

	rule_hits_reset(&b->hits);
	rule_match_stream(b->matcher, NULL, &b->flow, &chunk, &b->hits);
	return b->hits.count;
}

#endif
