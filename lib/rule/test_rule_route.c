/* Rules are looked for by whether their data crosses the border of $HOME_NET: it changes what is searched, never what is found. */
#include <arpa/inet.h>

#include "lib/rule/test_bench.h"

#define HOME "[10.0.0.0/8,192.168.7.0/24,fd00::/8]"

static const char *const groups[] = {
	"any", "$HOME_NET", "$EXTERNAL_NET", "10.0.0.1", "[$HOME_NET,8.0.0.0/8]", "!10.0.0.1", "8.8.8.0/24", "[10.0.0.0/7,!11.0.0.0/8]",
	"[0.0.0.0-255.255.255.255]", "fd00::/16", "[2000::/3,10.1.0.0/16]", "![$HOME_NET,8.8.8.8]",
};

static const char *const addresses[] = { "10.0.0.1", "10.1.2.3", "192.168.7.9", "192.168.8.9", "8.8.8.8", "fd00::1", "2001:db8::1" };

/* A name that is not looked at for the border, for a set that has but one route. */
static void
set_begin(struct bench *b, const char *header, const char *home)
{
	struct rule_config config = toy_config();
	struct config_error err;
	char text[400], *at;

	snprintf(text, sizeof(text), "alert %s (content:\"ab\"; depth:2; sid:1;)\nalert %s (content:\"attack\"; sid:2;)\nalert %s (sid:3;)\n", header, header, header);
	while ((at = strstr(text, "$HOME_NET")) != NULL && strcmp(home, "HOME_NET") != 0)
		memcpy(at, "$HOMENETS", strlen("$HOMENETS"));
	config.address_groups = json_pack("{s:s,s:s+}", home, HOME, "EXTERNAL_NET", "!$", home);
	if (ruleset_create_text(&b->set, "route.rules", text, &config, &toy_world, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(ruleset_count(b->set), 3);
	assert_int_equal(slab_create(&b->slab, 1 << 20), 0);
	assert_int_equal(rule_matcher_create(&b->matcher, b->set, &config, b->slab), 0);
	json_decref(config.address_groups);
}

static uint8_t
address_of(const char *text, struct ip_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, out->bytes) == 1)
		return 4;
	assert_int_equal(inet_pton(AF_INET6, text, out->bytes), 1);
	return 6;
}

static uint64_t
scans_of(const struct bench *b)
{
	struct counter_set counters = rule_matcher_counters(b->matcher);

	for (unsigned int i = 0; i < counters.count; i++)
		if (strcmp(counters.descs[i].name, "rule.scans") == 0)
			return atomic_load(&counters.values[i]);
	fail_msg("no counter rule.scans");
	return 0;
}

/* How many alerts a datagram and a piece of a stream raise, each way. @return a digit for each of the four */
static unsigned int
ask(struct bench *b, const char *client, const char *server, bool with_flow)
{
	static const char payload[] = "abcd attack";
	struct packet packet = toy_packet(IP_PROTO_UDP, payload, sizeof(payload) - 1);
	unsigned int sum = 0;

	b->flow = toy_flow(IP_PROTO_UDP);
	b->flow.key.ip_version = packet.ip_version = address_of(client, &b->flow.key.addr[0]);
	if (address_of(server, &b->flow.key.addr[1]) != packet.ip_version)
		return 0;
	for (unsigned int to_server = 0; to_server < 2; to_server++) {
		packet.src = b->flow.key.addr[to_server == 1 ? 0 : 1];
		packet.dst = b->flow.key.addr[to_server];
		packet.flags = PACKET_IP | PACKET_L4 | (to_server == 1 ? PACKET_TO_SERVER : 0);
		rule_hits_reset(&b->hits);
		rule_match_packet(b->matcher, &packet, with_flow ? &b->flow : NULL, &b->hits);
		sum = sum * 10 + b->hits.count;
	}
	rule_flow_end(b->matcher, &b->flow);
	b->flow.key.ip_proto = IP_PROTO_TCP;
	for (unsigned int to_server = 0; to_server < 2; to_server++) {
		unsigned int wants = rule_wants(b->matcher, &b->flow, 0), count = bench_stream(b, payload, 0, to_server == 1);

		sum = sum * 10 + count;
		if (count > 0)
			assert_true((wants & (to_server == 1 ? RULE_WANTS_TO_SERVER : RULE_WANTS_TO_CLIENT)) != 0);
	}
	rule_flow_end(b->matcher, &b->flow);
	return sum;
}

static void
compare(const char *header)
{
	struct bench routes, one;

	set_begin(&routes, header, "HOME_NET");
	set_begin(&one, header, "HOMENETS");
	for (size_t i = 0; i < TEST_COUNT(addresses) * TEST_COUNT(addresses) * 2; i++) {
		const char *client = addresses[i / 2 % TEST_COUNT(addresses)], *server = addresses[i / 2 / TEST_COUNT(addresses)];
		unsigned int found = ask(&routes, client, server, i % 2 == 0), wanted = ask(&one, client, server, i % 2 == 0);

		if (found != wanted)
			fail_msg("%s: %s to %s: %04u, not %04u", header, client, server, found, wanted);
	}
	assert_true(scans_of(&routes) <= scans_of(&one));
	bench_end(&routes);
	bench_end(&one);
}

static void
test_same_alerts(void **state)
{
	static const char *const arrows[] = { "->", "<>" };
	char header[160];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(groups) * TEST_COUNT(groups) * 2; i++) {
		const char *src = groups[i / 2 % TEST_COUNT(groups)], *dst = groups[i / 2 / TEST_COUNT(groups)];

		snprintf(header, sizeof(header), "ip %s any %s %s any", src, arrows[i % 2], dst);
		compare(header);
	}
}

/* What stays at home is not searched for what comes from outside. */
static void
test_fewer_scans(void **state)
{
	struct bench b;

	(void)state;
	set_begin(&b, "tcp $EXTERNAL_NET any -> $HOME_NET any", "HOME_NET");
	assert_int_equal(ask(&b, "10.0.0.1", "10.1.2.3", true), 0);
	assert_int_equal(rule_wants(b.matcher, &b.flow, 0), 0);
	assert_int_equal(scans_of(&b), 0);
	assert_int_equal(ask(&b, "8.8.8.8", "10.1.2.3", true), 2);
	assert_int_equal(rule_wants(b.matcher, &b.flow, 0), RULE_WANTS_TO_SERVER);
	assert_int_equal(scans_of(&b), 1);
	bench_end(&b);
}

/* A flow whose ends change places is looked up anew. */
static void
test_swapped(void **state)
{
	static const char payload[] = "abcd attack";
	struct packet packet = toy_packet(IP_PROTO_UDP, payload, sizeof(payload) - 1);
	struct bench b;

	(void)state;
	set_begin(&b, "udp $EXTERNAL_NET any -> $HOME_NET any", "HOME_NET");
	b.flow = toy_flow(IP_PROTO_UDP);
	(void)address_of("8.8.8.8", &b.flow.key.addr[0]);
	packet.src = b.flow.key.addr[0];
	for (unsigned int i = 0; i < 2; i++) {
		rule_hits_reset(&b.hits);
		rule_match_packet(b.matcher, &packet, &b.flow, &b.hits);
		assert_int_equal(b.hits.count, 2);
		flow_swap_direction(&b.flow);
		packet.flags ^= PACKET_TO_SERVER;
	}
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_alerts),
		cmocka_unit_test(test_fewer_scans),
		cmocka_unit_test(test_swapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
