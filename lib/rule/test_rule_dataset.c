/* Data sets of networks, of names and what lies below them, and of JSON objects that alerts tell. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/test_toy.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN];
static struct buf out;

static void
file_write(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
}

static int
setup(void **state)
{
	(void)state;
	return test_folder_make(dir, "/tmp", "test_rule_dataset") != 0 || buf_create(&out, 4096) != 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_destroy(&out);
	return test_folder_remove(dir);
}

struct bench {
	struct ruleset *set;
	struct rule_matcher *matcher;
	struct rule_hits hits;
};

static void
bench_begin(struct bench *b, const char *text)
{
	struct rule_config config = toy_config();
	struct config_error err;
	unsigned int count;

	config.default_rule_path = dir;
	if (ruleset_create_text(&b->set, "sets.rules", text, &config, &toy_world, &err) != 0)
		fail_msg("%s", err.text);
	const struct rule_error *errors = ruleset_errors(b->set, &count);

	if (count > 0)
		fail_msg("%s: %s", errors[0].keyword, errors[0].reason);
	assert_int_equal(rule_matcher_create(&b->matcher, b->set, &config, NULL), 0);
}

static void
bench_end(struct bench *b)
{
	rule_matcher_destroy(b->matcher);
	ruleset_destroy(b->set);
}

/* From an address 10.A.0.B. */
static unsigned int
bench_udp(struct bench *b, uint8_t second, uint8_t last)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, "abcd", 4);

	packet.src.bytes[1] = second;
	packet.src.bytes[3] = last;
	rule_hits_reset(&b->hits);
	rule_match_packet(b->matcher, &packet, NULL, &b->hits);
	return b->hits.count;
}

static void
test_networks(void **state)
{
	struct bench b;

	(void)state;
	file_write("nets.lst", "10.1.0.0/16\n10.2.0.8/29\n10.3.0.3\n2001:db8::/32\n");
	file_write("heavy.lst", "10.1.0.0/24, 70\n10.1.0.9, 20\n");
	bench_begin(&b, "alert udp any any -> any any (ip.src; dataset:isset,nets,type ip,load nets.lst; sid:1;)\n"
			"alert udp any any -> any any (ip.src; datarep:heavy,>,50,type ip,load heavy.lst; sid:2;)\n");
	assert_int_equal(bench_udp(&b, 1, 200), 2);
	assert_int_equal(bench_udp(&b, 1, 9), 1); /* the address itself says more than its network */
	assert_int_equal(bench_udp(&b, 2, 15), 1);
	assert_int_equal(bench_udp(&b, 2, 16), 0);
	assert_int_equal(bench_udp(&b, 3, 3), 1);
	assert_int_equal(bench_udp(&b, 3, 2), 0);
	bench_end(&b);
}

static void
test_networks_written(void **state)
{
	static const char wanted[] = "10.1.0.0/16\n";
	struct rule_dataset_values values = { 0 };
	struct rule_dataset *set;
	char text[] = "10.1.2.3/16", bad[] = "10.0.0.0/33";
	unsigned int line;

	(void)state;
	assert_int_equal(rule_dataset_parse(&values, DATASET_IP, false, text, &line), 0);
	assert_int_equal(rule_dataset_create(&set, "x", DATASET_IP, &values, 0, true), 0);
	buf_reset(&out);
	rule_dataset_write(set, &out);
	assert_int_equal(out.len, sizeof(wanted) - 1);
	assert_memory_equal(out.data, wanted, out.len);
	rule_dataset_destroy(set);
	assert_int_equal(rule_dataset_parse(&values, DATASET_IP, false, bad, &line), -EINVAL);
	rule_dataset_values_free(&values);
}

static void
test_parents(void **state)
{
	static const struct {
		const char *name;
		bool parent;
	} rows[] = {
		{ "plant.example", true }, { ".plant.example", true }, { "a.b.plant.example", true }, { "xplant.example", false },
		{ "example", false }, { "plant.example.org", false }, { "", false }, { ".", false }, { "a..plant.example", true },
	};
	struct rule_dataset_values values = { 0 };
	struct rule_dataset *set;
	char many[300];

	(void)state;
	assert_int_equal(rule_dataset_values_add(&values, "plant.example", 13, 0), 0);
	assert_int_equal(rule_dataset_create(&set, "x", DATASET_STRING, &values, 0, false), 0);
	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		if (rule_dataset_has_parent(set, (const uint8_t *)rows[i].name, strlen(rows[i].name), NULL) != rows[i].parent)
			fail_msg("%s", rows[i].name);
	memset(many, '.', sizeof(many));
	assert_false(rule_dataset_has_parent(set, (const uint8_t *)many, sizeof(many), NULL));
	rule_dataset_destroy(set);
	rule_dataset_values_free(&values);
}

static void
test_json(void **state)
{
	static const char wanted[] = "{\"why\":{\"who\":{\"ip\":\"10.1.0.0/16\"},\"since\":2}}";
	struct bench b;

	(void)state;
	file_write("who.json", "{\"who\": {\"ip\": \"10.1.0.0/16\"}, \"since\": 2}\n\n{\"who\": {\"ip\": \"10.2.0.1\"}}\n");
	file_write("all.json", "{\"list\": [{\"ip\": \"10.2.0.1\", \"n\": 1}]}");
	bench_begin(&b, "alert udp any any -> any any (ip.src; dataset:isset,who,type ip,load who.json,format ndjson,value_key who.ip,"
			"context_key why; sid:1;)\n"
			"alert udp any any -> any any (ip.src; dataset:isset,all,type ip,load all.json,format json,array_key list,"
			"value_key ip,context_key it,remove_key; sid:2;)\n");
	assert_int_equal(bench_udp(&b, 1, 1), 1);
	rule_context_json(b.matcher, &b.hits.hit[0], &out);
	assert_int_equal(out.len, sizeof(wanted) - 1);
	assert_memory_equal(out.data, wanted, out.len);
	assert_int_equal(bench_udp(&b, 2, 1), 2);
	rule_context_json(b.matcher, &b.hits.hit[1], &out);
	assert_int_equal(out.len, strlen("{\"it\":{\"n\":1}}"));
	assert_memory_equal(out.data, "{\"it\":{\"n\":1}}", out.len);
	assert_int_equal(bench_udp(&b, 2, 2), 0);
	bench_end(&b);
}

static const struct {
	const char *options, *reason;
} refused[] = {
	{ "isset,x,type ip,format xml", "csv, json" },
	{ "isset,x,type ip,load who.json,format json", "value_key" },
	{ "isset,x,type ip,value_key a", "format json" },
	{ "set,x,type ip,save x,load who.json,format json,value_key a", "not saved" },
	{ "isset,x,type ip,load bad.json,format ndjson,value_key ip", "bad.json:2" },
	{ "isset,x,type ip,load bad.json,format json,value_key ip", "bad.json" },
	{ "isset,x,type ip,match prefix", "subdomain" },
};

static void
test_refused(void **state)
{
	struct rule_config config = toy_config();
	struct config_error err;

	(void)state;
	config.default_rule_path = dir;
	file_write("bad.json", "{\"ip\": \"10.0.0.1\"}\n{\"ip\": 5}\n");
	for (size_t i = 0; i < TEST_COUNT(refused); i++) {
		struct ruleset *set;
		unsigned int count;
		char text[256];

		snprintf(text, sizeof(text), "alert udp any any -> any any (ip.src; dataset:%s; sid:1;)", refused[i].options);
		assert_int_equal(ruleset_create_text(&set, "r", text, &config, &toy_world, &err), 0);
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (count != 1 || strstr(errors[0].reason, refused[i].reason) == NULL)
			fail_msg("%s: %s", refused[i].options, count == 0 ? "not refused" : errors[0].reason);
		ruleset_destroy(set);
	}
}

static void
warned(const struct rule_meta *meta, const char *text, void *arg)
{
	assert_int_equal(meta->sid, 1);
	*(bool *)arg = *(bool *)arg || strstr(text, "datasets.directory") != NULL;
}

/* Without a folder for it a set lives as long as the sensor, and that is said. */
static void
test_unsaved(void **state)
{
	bool told = false;
	struct bench b;

	(void)state;
	bench_begin(&b, "alert udp any any -> any any (ip.src; dataset:set,seen,type ip,state seen.lst; sid:1;)\n");
	ruleset_warnings(b.set, warned, &told);
	assert_true(told);
	assert_int_equal(bench_udp(&b, 1, 1), 1);
	assert_int_equal(bench_udp(&b, 1, 1), 0);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_networks_written),
		cmocka_unit_test(test_parents),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unsaved),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
