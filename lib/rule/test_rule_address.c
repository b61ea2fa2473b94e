/* Fields that hold addresses, compared by their path. */
#include "lib/rule/test_toy.h"

struct host {
	struct record_head head;
	struct record_ip ip;
	uint8_t mac[6];
	struct record_list names;
};

struct host_name {
	struct record_head head;
	struct record_ip ip;
	uint32_t number;
};

/* A path whose shapes are an address and a number. */
static const struct field ip_fields[] = {
	{ "value", FIELD_IP, FIELD_ALWAYS, 0, offsetof(struct host_name, ip), NULL, NULL, "toy", "address" },
};
static const struct field number_fields[] = {
	{ "value", FIELD_U32, FIELD_ALWAYS, 0, offsetof(struct host_name, number), NULL, NULL, "toy", "number" },
};
static const struct record_table ip_table = { "ip", ip_fields, TEST_COUNT(ip_fields), sizeof(struct host_name) };
static const struct record_table number_table = { "number", number_fields, TEST_COUNT(number_fields), sizeof(struct host_name) };
static const struct record_table *const name_shapes[] = { &ip_table, &number_table, NULL };
static const struct field host_fields[] = {
	{ "ip", FIELD_IP, 1, 0, offsetof(struct host, ip), NULL, NULL, "toy", "ip" },
	{ "mac", FIELD_MAC, 2, 0, offsetof(struct host, mac), NULL, NULL, "toy", "mac" },
	{ "names", FIELD_LIST, FIELD_ALWAYS, 0, offsetof(struct host, names), NULL, name_shapes, "toy", "names" },
};
static const struct record_table host_table = { "host", host_fields, TEST_COUNT(host_fields), sizeof(struct host) };
static const struct rule_app host_app = { .name = "host", .record = &host_table };
static const struct rule_app *const apps[] = { &host_app };
static const struct rule_world world = { .apps = apps, .app_count = 1 };

/* @return whether a rule with that option fires; -1: it is refused */
static int
fires(const char *option, const struct host *host)
{
	struct rule_config config = toy_config();
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	struct rule_message message = { .record = host };
	struct rule_matcher *matcher = NULL;
	struct rule_hits hits = { 0 };
	struct ruleset *set = NULL;
	struct config_error err;
	char text[256];

	snprintf(text, sizeof(text), "alert host any any -> any any (%s; sid:1;)\n", option);
	assert_int_equal(ruleset_create_text(&set, "host.rules", text, &config, &world, &err), 0);
	if (ruleset_count(set) == 0) {
		ruleset_destroy(set);
		return -1;
	}
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	rule_match_message(matcher, &packet, NULL, &message, &hits);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	return hits.count;
}

static const struct {
	const char *option;
	int v4, v6; /* of 10.1.2.3 and fe80::1 */
} cases[] = {
	{ "host.ip:10.1.2.3", 1, 0 },
	{ "host.ip:!10.1.2.3", 0, 1 },
	{ "host.ip:10.0.0.0/8", 1, 0 },
	{ "host.ip:10.1.2.3-10.1.2.4", 1, 0 },
	{ "host.ip:10.1.2.0-10.1.2.2", 0, 0 },
	{ "host.ip:[192.168.0.0/16,10.0.0.0/8]", 1, 0 },
	{ "host.ip:[10.0.0.0/8,!10.1.0.0/16]", 0, 0 },
	{ "host.ip:![10.0.0.0/8,fe80::/10]", 0, 0 },
	{ "host.ip:![10.2.0.0/16]", 1, 1 },
	{ "host.ip:fe80::/10", 0, 1 },
	{ "host.ip:$HOME_NET", 1, 1 },
	{ "host.ip", 1, 1 },
	{ "host.ip:10.1.2", -1, -1 },
	{ "host.ip:$NOWHERE", -1, -1 },
	{ "host.ip; content:\"10.1.\"", 1, 0 },
	{ "host.mac:00:1b:1b:0a:0b:0c", 1, 0 },
	{ "host.mac:00:1B:1b:0A:0b:0c", 1, 0 },
	{ "host.mac:!00:1b:1b:0a:0b:0c", 0, 1 },
	{ "host.mac:00:1b:1b", 1, 0 },
	{ "host.mac:!00:1b:1b", 0, 1 },
	{ "host.mac:[00:0e:8c, 00:1b:1b]", 1, 0 },
	{ "host.mac:![00:0e:8c,00:1b:1b]", 0, 1 },
	{ "host.mac:ff:ff:ff", 0, 1 },
	{ "host.mac:00:1b", -1, -1 },
	{ "host.mac:00:1b:1b:0a:0b:0c:0d", -1, -1 },
	{ "host.mac:00-1b-1b", -1, -1 },
};

static void
test_fields(void **state)
{
	const struct host v4 = { .head = { .present = 6 }, .ip = { .version = 4, .bytes = { 10, 1, 2, 3 } }, .mac = { 0, 0x1b, 0x1b, 10, 11, 12 } };
	const struct host v6 = { .head = { .present = 6 }, .ip = { .version = 6, .bytes = { 0xfe, 0x80, [15] = 1 } },
		.mac = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	const struct host none = { 0 }, unset = { .head = { .present = 2 } };

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		int first = fires(cases[i].option, &v4), second = fires(cases[i].option, &v6);

		if (first != cases[i].v4 || second != cases[i].v6)
			fail_msg("%s: %d %d", cases[i].option, first, second);
	}
	/* what is not there is nothing, nor another than something */
	assert_int_equal(fires("host.ip:!10.1.2.3", &none), 0);
	assert_int_equal(fires("host.mac:!00:1b:1b", &none), 0);
	assert_int_equal(fires("host.ip:0.0.0.0", &unset), 0);
}

/* A path that may lead to a number as well: what looks like an address asks for those. */
static void
test_shapes(void **state)
{
	struct {
		struct host host;
		struct host_name names[2];
	} blob = { .names = { { .ip = { .version = 4, .bytes = { 10, 1, 2, 3 } } }, { .head.shape = 1, .number = 5 } } };

	(void)state;
	blob.names[0].head.next = offsetof(__typeof__(blob), names[1]);
	blob.host.names = (struct record_list){ .first = offsetof(__typeof__(blob), names[0]), .last = blob.names[0].head.next, .count = 2 };
	assert_int_equal(fires("host.names.value:10.1.2.3", &blob.host), 1);
	assert_int_equal(fires("host.names.value:10.1.2.4", &blob.host), 0);
	assert_int_equal(fires("host.names.value:5", &blob.host), 1);
	assert_int_equal(fires("host.names.value:6", &blob.host), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_fields), cmocka_unit_test(test_shapes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
