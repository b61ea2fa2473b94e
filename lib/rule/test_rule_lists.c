/* Rules that ask lists: data sets, reputation, countries, threshold.config. */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/test_toy.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN];

static const char *
file_write(const char *name, const void *text, size_t len)
{
	static char path[8][128];
	static unsigned int turn;
	char *at = path[turn++ % 8];

	snprintf(at, sizeof(path[0]), "%s/%s", dir, name);
	FILE *file = fopen(at, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
	return at;
}

#define FILE_TEXT(name, text) file_write(name, text, sizeof(text) - 1)

struct bench {
	struct rule_config config;
	struct ruleset *set;
	struct rule_matcher *matcher;
	struct rule_hits hits;
};

static void
bench_begin(struct bench *b, const char *text)
{
	struct config_error err;
	unsigned int count;

	if (ruleset_create_text(&b->set, "lists.rules", text, &b->config, &toy_world, &err) != 0)
		fail_msg("%s", err.text);
	const struct rule_error *errors = ruleset_errors(b->set, &count);

	if (count > 0)
		fail_msg("%s: %s", errors[0].keyword, errors[0].reason);
	assert_int_equal(rule_matcher_create(&b->matcher, b->set, &b->config, NULL), 0);
}

static void
bench_end(struct bench *b)
{
	rule_matcher_destroy(b->matcher);
	ruleset_destroy(b->set);
}

static unsigned int
bench_udp(struct bench *b, uint8_t from, uint64_t ts_s)
{
	struct packet packet = toy_packet(IP_PROTO_UDP, "abcd", 4);

	packet.src.bytes[3] = from;
	packet.ts_ns = ts_s * 1000000000;
	rule_hits_reset(&b->hits);
	rule_match_packet(b->matcher, &packet, NULL, &b->hits);
	return b->hits.count;
}

/* ---- data sets ---- */

static void
test_dataset(void **state)
{
	struct bench b = { .config = toy_config() };
	struct stat st;
	char path[128];

	(void)state;
	b.config.dataset_dir = dir;
	b.config.default_rule_path = dir;
	FILE_TEXT("known.lst", "# known\n10.0.0.1\n\n10.0.0.9\n2001:db8::1\n");
	FILE_TEXT("heavy.lst", "10.0.0.1,30\n10.0.0.2 , 80\n");
	bench_begin(&b, "alert udp any any -> any any (ip.src; dataset:isset,known,type ip,load known.lst; sid:1;)\n"
			"alert udp any any -> any any (ip.src; dataset:isnotset,known; sid:2;)\n"
			"alert udp any any -> any any (ip.src; dataset:set,seen,type ip,save seen.lst,memcap 1mb; sid:3;)\n"
			"alert udp any any -> any any (ip.src; datarep:heavy,>,50,type ip,load heavy.lst; sid:4;)\n"
			"alert udp any any -> any any (ip.src; to_md5; dataset:isset,hashes,type md5; sid:5;)\n");
	assert_int_equal(bench_udp(&b, 1, 1), 2); /* known, new */
	assert_int_equal(b.hits.hit[0].sid, 1);
	assert_int_equal(b.hits.hit[1].sid, 3);
	assert_int_equal(bench_udp(&b, 1, 1), 1); /* no longer new */
	assert_int_equal(bench_udp(&b, 2, 1), 3); /* unknown, new, heavy */
	assert_int_equal(b.hits.hit[2].sid, 4);
	assert_int_equal(bench_udp(&b, 9, 1), 2);
	bench_end(&b);
	snprintf(path, sizeof(path), "%s/seen.lst", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 27); /* three addresses */
	bench_begin(&b, "alert udp any any -> any any (ip.src; dataset:unset,seen,type ip,state seen.lst; sid:1;)\n");
	assert_int_equal(bench_udp(&b, 2, 1), 1);
	assert_int_equal(bench_udp(&b, 2, 1), 0);
	assert_int_equal(bench_udp(&b, 3, 1), 0);
	bench_end(&b);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 18);
}

static const struct {
	const char *option, *reason;
} dataset_refused[] = {
	{ "dataset:isset,x,type ip;", "no sticky buffer" },
	{ "ip.src; dataset:isset,x;", "type string" },
	{ "ip.src; dataset:isset,x,type sha9;", "type string" },
	{ "ip.src; dataset:maybe,x,type ip;", "isset" },
	{ "ip.src; dataset:isset,x,type ip,load nowhere.lst;", "nowhere.lst" },
	{ "ip.src; dataset:isset,x,type ip,load bad.lst;", "bad.lst:2" },
	{ "ip.src; dataset:set,x,type ip,save /etc/x;", "relative name" },
	{ "ip.src; dataset:set,x,type ip,save ../x;", "relative name" },
	{ "ip.src; dataset:isset,x,type ip,colour red;", "not type, load" },
	{ "ip.src; dataset:isset,x,type ip; ip.dst; dataset:isset,x,type md5;", "another type" },
	{ "ip.src; datarep:x,>;", "datarep is" },
	{ "iprep:src,CnC,>,3;", "not set" },
	{ "geoip:src,DE;", "not set" },
};

static void
test_refused(void **state)
{
	struct rule_config config = toy_config();
	struct config_error err;

	(void)state;
	config.dataset_dir = dir;
	config.default_rule_path = dir;
	FILE_TEXT("bad.lst", "10.0.0.1\nten\n");
	for (unsigned int i = 0; i < TEST_COUNT(dataset_refused); i++) {
		char text[256];
		struct ruleset *set;
		unsigned int count;

		snprintf(text, sizeof(text), "alert udp any any -> any any (%s sid:1;)", dataset_refused[i].option);
		assert_int_equal(ruleset_create_text(&set, "r", text, &config, &toy_world, &err), 0);
		const struct rule_error *errors = ruleset_errors(set, &count);

		if (count != 1 || strstr(errors[0].reason, dataset_refused[i].reason) == NULL)
			fail_msg("%s: %s", dataset_refused[i].option, count == 0 ? "not refused" : errors[0].reason);
		ruleset_destroy(set);
	}
}

/* Values set by traffic outlive a reload. */
static void
test_dataset_reload(void **state)
{
	static const char rule[] = "alert udp any any -> any any (ip.src; dataset:set,seen,type ip; sid:1;)\n";
	struct bench b = { .config = toy_config() };
	struct ruleset *old;
	struct config_error err;

	(void)state;
	bench_begin(&b, rule);
	assert_int_equal(bench_udp(&b, 1, 1), 1);
	old = b.set;
	b.config.rule_files = json_pack("[s]", FILE_TEXT("set.rules", rule));
	rule_matcher_destroy(b.matcher);
	assert_int_equal(ruleset_create(&b.set, &b.config, &toy_world, old, &err), 0);
	ruleset_destroy(old);
	assert_int_equal(rule_matcher_create(&b.matcher, b.set, &b.config, NULL), 0);
	assert_int_equal(bench_udp(&b, 1, 1), 0);
	assert_int_equal(bench_udp(&b, 2, 1), 1);
	bench_end(&b);
	json_decref(b.config.rule_files);
}

/* ---- the set itself ---- */

enum { ADDERS = 4, ADDED = 20000 };

struct adder {
	struct rule_dataset *set;
	unsigned int won;
};

static void *
add_all(void *arg)
{
	struct adder *adder = arg;

	for (uint32_t i = 1; i <= ADDED; i++)
		adder->won += rule_dataset_add(adder->set, (const uint8_t *)&i, sizeof(i), 0) == 1;
	return NULL;
}

/* Every value is new to exactly one of the threads. */
static void
test_dataset_threads(void **state)
{
	const struct rule_dataset_values none = { 0 };
	struct adder adders[ADDERS];
	pthread_t threads[ADDERS];
	struct rule_dataset *set;
	unsigned int won = 0;

	(void)state;
	assert_int_equal(rule_dataset_create(&set, "x", DATASET_STRING, &none, 0, true), 0);
	for (unsigned int i = 0; i < ADDERS; i++) {
		adders[i] = (struct adder){ .set = set };
		assert_int_equal(pthread_create(&threads[i], NULL, add_all, &adders[i]), 0);
	}
	for (unsigned int i = 0; i < ADDERS; i++) {
		pthread_join(threads[i], NULL);
		won += adders[i].won;
	}
	assert_int_equal(won, ADDED);
	for (uint32_t i = 1; i <= ADDED; i++)
		assert_true(rule_dataset_has(set, (const uint8_t *)&i, sizeof(i), NULL));
	rule_dataset_destroy(set);
}

static void
test_dataset_bounds(void **state)
{
	struct rule_dataset_values values = { 0 };
	struct rule_dataset *set = NULL;
	unsigned int line;
	char text[] = "aGVsbG8=\n  d29ybGQ= \n";
	uint8_t big[DATASET_VALUE_LEN_MAX + 1] = { 1 };
	int added = 1;

	(void)state;
	assert_int_equal(rule_dataset_parse(&values, DATASET_STRING, false, text, &line), 0);
	assert_int_equal(values.count, 2);
	assert_int_equal(rule_dataset_create(&set, "x", DATASET_STRING, &values, 4, false), -E2BIG);
	assert_int_equal(rule_dataset_create(&set, "x", DATASET_STRING, &values, 1000, true), 0);
	assert_true(rule_dataset_has(set, (const uint8_t *)"world", 5, NULL));
	assert_false(rule_dataset_has(set, big, sizeof(big), NULL));
	assert_int_equal(rule_dataset_add(set, big, sizeof(big), 0), -1);
	for (uint32_t i = 0; i < 1000 && added == 1; i++)
		added = rule_dataset_add(set, (const uint8_t *)&i, sizeof(i), 0);
	assert_int_equal(added, -1); /* the memcap is reached */
	assert_true(rule_dataset_remove(set, (const uint8_t *)"world", 5));
	assert_false(rule_dataset_has(set, (const uint8_t *)"world", 5, NULL));
	assert_int_equal(rule_dataset_add(set, (const uint8_t *)"world", 5, 0), 1); /* its bytes are still there */
	rule_dataset_destroy(set);
	TEST_FAIL_EACH_ALLOC(rule_dataset_create(&set, "x", DATASET_STRING, &values, 0, true), == 0, rule_dataset_destroy(set));
	rule_dataset_values_free(&values);
}

/* ---- reputation and countries ---- */

static void
test_iprep(void **state)
{
	static const struct {
		const char *option;
		const char *fires; /* from 10.0.0.1, .2, .9 to 10.0.0.2 */
	} cases[] = {
		{ "iprep:src,CnC,>,30;", "101" }, { "iprep:src,cnc,=,20;", "010" }, { "iprep:dst,CnC,>,30;", "000" },
		{ "iprep:any,CnC,>=,20;", "111" }, { "iprep:both,CnC,<,30;", "010" }, { "iprep:src,Bots,isset;", "100" },
		{ "iprep:src,Bots,isnotset;", "011" },
	};
	struct bench b = { .config = toy_config() };
	struct config_error err;

	(void)state;
	b.config.reputation_categories_file = FILE_TEXT("categories.txt", "# id,name,text\n1,CnC,Command\n2,Bots,Bots seen\n");
	b.config.reputation_path = dir;
	FILE_TEXT("scores.list", "10.0.0.0/24,1,20\n10.0.0.1,1,127\n10.0.0.8/29,1,40\n10.0.0.2,1,20\n10.0.0.1,2,5\n2001:db8::/32,1,9\n");
	b.config.reputation_files = json_pack("[s]", "scores.list");
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		static const uint8_t from[] = { 1, 2, 9 };
		char text[128], fired[4] = "000";

		snprintf(text, sizeof(text), "alert udp any any -> any any (%s sid:1;)", cases[i].option);
		bench_begin(&b, text);
		for (unsigned int n = 0; n < 3; n++)
			fired[n] = (char)('0' + bench_udp(&b, from[n], 1));
		if (strcmp(fired, cases[i].fires) != 0)
			fail_msg("%s: %s, not %s", cases[i].option, fired, cases[i].fires);
		bench_end(&b);
	}
	json_decref(b.config.reputation_files);
	b.config.reputation_files = json_pack("[s]", "bad.list");
	FILE_TEXT("bad.list", "10.0.0.1,1,20\n10.0.0.1,1,900\n");
	assert_int_equal(ruleset_create_text(&b.set, "r", "", &b.config, &toy_world, &err), -EINVAL);
	assert_non_null(strstr(err.text, "bad.list:2"));
	json_decref(b.config.reputation_files);
}

/* A database of one IPv4 address, by the format's description: a tree of 32 nodes, data, metadata. */
static const char *
geoip_write(void)
{
	static const char data[] = "\xe1\x47" "country\xe1\x48" "iso_code\x42" "DE";
	static const char meta[] = "\xab\xcd\xefMaxMind.com\xe9\x5b" "binary_format_major_version\xa1\x02\x5b"
		"binary_format_minor_version\xa1\x01\x4b" "build_epoch\x01\x02\x01\x4d" "database_type\x41" "x\x4b"
		"description\xe1\x42" "en\x41" "x\x4a" "ip_version\xa1\x04\x49" "languages\x01\x04\x42" "en\x4a" "node_count\xc1\x20\x4b"
		"record_size\xa1\x18";
	uint8_t file[512] = { 0 };
	size_t at = 0;
	uint32_t addr = 0x0a000001;

	for (uint32_t i = 0; i < 32; i++) {
		uint32_t next = i == 31 ? 32 + 16 : i + 1, none = 32;
		bool right = (addr >> (31 - i) & 1) != 0;
		uint32_t sides[2] = { right ? none : next, right ? next : none };

		for (unsigned int s = 0; s < 2; s++) {
			file[at++] = (uint8_t)(sides[s] >> 16);
			file[at++] = (uint8_t)(sides[s] >> 8);
			file[at++] = (uint8_t)sides[s];
		}
	}
	at += 16;
	memcpy(file + at, data, sizeof(data) - 1);
	at += sizeof(data) - 1;
	memcpy(file + at, meta, sizeof(meta) - 1);
	at += sizeof(meta) - 1;
	return file_write("countries.mmdb", file, at);
}

/* ---- reference.config ---- */

static void
test_references(void **state)
{
	static const char rules[] = "alert udp any any -> any any (reference:url,x.org/a; reference:CVE, 2010-2568; "
		"reference:mine,7; sid:1;)";
	struct bench b = { .config = toy_config() };
	struct config_error err;
	struct buf out;

	(void)state;
	bench_begin(&b, rules);
	assert_string_equal(ruleset_meta(b.set, 0)->references_json, "[\"url,x.org/a\",\"CVE, 2010-2568\",\"mine,7\"]");
	bench_end(&b);
	b.config.reference_file = FILE_TEXT("reference.config",
		"# schemes\n\nconfig reference: cve       https://cve.example/name=\nconfig reference: URL\thttps://\n");
	bench_begin(&b, rules);
	assert_string_equal(ruleset_meta(b.set, 0)->references_json,
		"[\"https://x.org/a\",\"https://cve.example/name=2010-2568\",\"mine,7\"]");
	assert_int_equal(buf_create(&out, 4096), 0);
	assert_int_equal(ruleset_explain(b.set, 1, 1, &out), 0);
	buf_putc(&out, '\0');
	assert_non_null(strstr(out.data, "references [\"https://x.org/a\","));
	buf_destroy(&out);
	bench_end(&b);
	b.config.reference_file = FILE_TEXT("wrong.config", "config reference: url https://\nconfig reference: url\n");
	assert_int_equal(ruleset_create_text(&b.set, "x", rules, &b.config, &toy_world, &err), -EINVAL);
	assert_non_null(strstr(err.text, "wrong.config:2: not \"config reference: scheme prefix\""));
	b.config.reference_file = "/there/is/none";
	assert_int_equal(ruleset_create_text(&b.set, "x", rules, &b.config, &toy_world, &err), -ENOENT);
}

/* The examples of the keywords that need files. */
static void
test_examples(void **state)
{
	struct bench b = { .config = toy_config() };
	unsigned int found = 0;

	(void)state;
	b.config.geoip_database = geoip_write();
	b.config.reputation_categories_file = FILE_TEXT("categories.txt", "1,CnC,Command\n");
	for (const struct rule_keyword *keyword = rule_keywords; keyword->name != NULL; keyword++)
		if (strcmp(keyword->name, "iprep") == 0 || strcmp(keyword->name, "geoip") == 0) {
			char text[256];

			snprintf(text, sizeof(text), "alert tcp any any -> any any (%s sid:1;)", keyword->example);
			bench_begin(&b, text);
			bench_end(&b);
			found++;
		}
	assert_int_equal(found, 2);
}

static void
test_geoip(void **state)
{
	static const struct {
		const char *option;
		bool hit[2]; /* from 10.0.0.1, of DE, and 10.0.0.9, which is not known */
	} cases[] = {
		{ "geoip:src,DE;", { true, false } }, { "geoip:src,AT,DE;", { true, false } }, { "geoip:src,!DE;", { false, false } },
		{ "geoip:src,!AT,!CH;", { true, false } }, { "geoip:dst,DE;", { false, false } }, { "geoip:de;", { true, false } },
		{ "geoip:both,DE;", { false, false } },
	};
	struct bench b = { .config = toy_config() };
	struct config_error err;

	(void)state;
	b.config.geoip_database = geoip_write();
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "alert udp any any -> any any (%s sid:1;)", cases[i].option);
		bench_begin(&b, text);
		if (bench_udp(&b, 1, 1) != cases[i].hit[0] || bench_udp(&b, 9, 1) != cases[i].hit[1])
			fail_msg("%s", cases[i].option);
		bench_end(&b);
	}
	b.config.geoip_database = FILE_TEXT("no.mmdb", "not a database");
	assert_int_equal(ruleset_create_text(&b.set, "r", "", &b.config, &toy_world, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no.mmdb"));
}

/* ---- vars ---- */

/* YAML's own list is a group; what is none is refused, whether a rule asks for it or not. */
static void
test_groups(void **state)
{
	static const struct {
		const char *groups; /* JSON, as the configuration's tree has it */
		int fires;          /* of 10.0.0.1; -1: refused */
		const char *said;
	} cases[] = {
		{ "{\"G\":\"10.0.0.0/8\"}", 1, "" }, { "{\"G\":\"!10.0.0.0/8\"}", 0, "" },
		{ "{\"G\":[\"10.0.0.0/8\"]}", 1, "" }, { "{\"G\":[\"10.1.0.0/16\",\"10.0.0.1\"]}", 1, "" },
		{ "{\"G\":[\"10.1.0.0/16\",\"192.168.0.0/16\"]}", 0, "" }, { "{\"G\":[\"10.0.0.0/8\",\"!10.0.0.1\"]}", 0, "" },
		{ "{\"G\":[\"$H\"],\"H\":\"10.0.0.1\"}", 1, "" },
		{ "{\"G\":null}", -1, "vars.address-groups.G: an address is expected" }, { "{\"G\":[]}", -1, "an address is expected" },
		{ "{\"G\":[[\"10.0.0.1\"]]}", -1, "an address is expected" }, { "{\"G\":{\"a\":\"b\"}}", -1, "an address is expected" },
		{ "{\"G\":\"any\",\"H\":\"10.0.0.0/33\"}", -1, "vars.address-groups.H: \"10.0.0.0/33\" is not" },
		{ "{\"G\":\"any\",\"H\":\"$NOPE\"}", -1, "variable $NOPE is not defined" },
		{ "{\"G\":\"!$G\"}", -1, "vars.address-groups.G: groups are nested deeper" },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		static const char rule[] = "alert udp $G any -> any any (content:\"abcd\"; sid:1;)\n";
		struct bench b = { .config = toy_config() };
		struct config_error err = { "" };

		b.config.address_groups = json_loads(cases[i].groups, 0, NULL);
		assert_non_null(b.config.address_groups);
		if (cases[i].fires < 0) {
			assert_int_equal(ruleset_create_text(&b.set, "r", rule, &b.config, &toy_world, &err), -EINVAL);
			if (strstr(err.text, cases[i].said) == NULL)
				fail_msg("%s: %s", cases[i].groups, err.text);
		} else {
			bench_begin(&b, rule);
			if ((int)bench_udp(&b, 1, 10) != cases[i].fires)
				fail_msg("%s", cases[i].groups);
			bench_end(&b);
		}
		json_decref(b.config.address_groups);
	}
}

static void
test_port_groups(void **state)
{
	struct bench b = { .config = toy_config() };
	struct config_error err = { "" };

	(void)state;
	b.config.port_groups = json_pack("{s:s}", "P", "99999");
	assert_int_equal(ruleset_create_text(&b.set, "r", "", &b.config, &toy_world, &err), -EINVAL);
	assert_non_null(strstr(err.text, "vars.port-groups.P: \"99999\" is not a port"));
	json_decref(b.config.port_groups);
}

/* ---- threshold.config ---- */

#define OWN "threshold:type limit, track by_src, count 2, seconds 60;"

static const struct {
	const char *lines;
	const char *fires; /* of packets a second apart: the action's first letter, - for none */
	const char *own;   /* what the rule says itself */
} threshold_cases[] = {
	{ "", "aaaaaaaa", "" },
	{ "suppress gen_id 1, sig_id 1", "--------", "" },
	{ "suppress gen_id 1, sig_id 2", "aaaaaaaa", "" },
	{ "suppress gen_id 0, sig_id 0, track by_src, ip 10.0.0.1", "--------", "" },
	{ "suppress gen_id 1, sig_id 1, track by_dst, ip 10.0.0.1", "aaaaaaaa", "" },
	{ "suppress gen_id 1, sig_id 1, track by_either, ip [10.0.0.2,1.2.3.4]", "--------", "" },
	{ "threshold gen_id 1, sig_id 1, type limit, track by_src, count 1, seconds 4", "a----a--", "" },
	{ "event_filter gen_id 0, sig_id 0, type threshold, track by_dst, count 3, seconds 60", "--a--a--", "" },
	{ "rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 60, new_action drop, timeout 3", "aaddddaa", "" },
	{ "rate_filter gen_id 1, sig_id 1, track by_rule, count 3, seconds 60, new_action pass, timeout 100", "aaa-----", "" },
	{ "rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 1, new_action drop, timeout 3", "aaaaaaaa", "" },
	{ "rate_filter gen_id 1, sig_id 1, track by_src, count 2, new_action drop, timeout 3", "aaaaaaaa", "" }, /* not applied */
	{ "suppress gen_id 1, \\\n  sig_id 1\n", "--------", "" },
	{ "# \\\nthreshold gen_id 1, \\ \r\n sig_id 1, type limit, \\\n track by_src, count 1, seconds 60", "a-------", "" },
	/* of one rule it replaces the rule's own, of all it does not, in either order */
	{ "threshold gen_id 1, sig_id 1, type limit, track by_src, count 3, seconds 60", "aaa-----", OWN },
	{ "threshold gen_id 0, sig_id 0, type limit, track by_src, count 3, seconds 60", "aa------", OWN },
	{ "threshold gen_id 1, sig_id 1, type limit, track by_src, count 3, seconds 60\n"
	  "threshold gen_id 1, sig_id 0, type limit, track by_src, count 1, seconds 60", "aaa-----", "" },
	{ "threshold gen_id 1, sig_id 0, type limit, track by_src, count 1, seconds 60\n"
	  "threshold gen_id 1, sig_id 1, type limit, track by_src, count 3, seconds 60", "aaa-----", "" },
};

static void
test_threshold_file(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(threshold_cases); i++) {
		struct bench b = { .config = toy_config() };
		char fired[9] = "--------", rule[160];

		b.config.threshold_file = file_write("threshold.config", threshold_cases[i].lines, strlen(threshold_cases[i].lines));
		snprintf(rule, sizeof(rule), "alert udp any any -> any any (content:\"abcd\"; %s sid:1;)\n",
			threshold_cases[i].own);
		bench_begin(&b, rule);
		for (unsigned int n = 0; n < 8; n++)
			if (bench_udp(&b, 1, 10 + n) == 1)
				fired[n] = b.hits.hit[0].action == RULE_ALERT ? 'a' : 'd';
		if (strcmp(fired, threshold_cases[i].fires) != 0)
			fail_msg("%s: %s, not %s", threshold_cases[i].lines, fired, threshold_cases[i].fires);
		bench_end(&b);
	}
}

/* What a line says amiss holds nothing back, and is counted: so is one about a rule that is not there. */
static void
test_threshold_faults(void **state)
{
	static const struct {
		const char *line;
		uint32_t failed, idle;
	} cases[] = {
		{ "suppress gen_id 1, sig_id 1", 0, 0 }, { "suppress gen_id 0, sig_id 0", 0, 0 }, { "suppress gen_id 1, sig_id 2", 0, 1 },
		{ "threshold gen_id 2, sig_id 1, type limit, track by_src, count 1, seconds 4", 0, 1 },
		{ "supress gen_id 1, sig_id 1", 1, 0 }, { "suppress gen_id 1", 1, 0 }, { "suppress sig_id 1", 1, 0 },
		{ "suppress gen_id 1, sig_id -1", 1, 0 }, { "suppress gen_id 1, sig_id 1, track by_source, ip 10.0.0.1", 1, 0 },
		{ "suppress gen_id 1, sig_id 1, track by_src", 1, 0 }, { "suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.300", 1, 0 },
		{ "threshold sig_id 1, type limit, track by_src, count 1, seconds 4", 1, 0 },
		{ "threshold gen_id 1, sig_id 1, type limt, track by_src, count 1, seconds 4", 1, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		struct bench b = { .config = toy_config() };

		b.config.threshold_file = file_write("threshold.config", cases[i].line, strlen(cases[i].line));
		bench_begin(&b, "alert udp any any -> any any (content:\"abcd\"; sid:1;)\n");
		const struct ruleset_stats *stats = ruleset_stats_get(b.set);

		if (stats->thresholds_failed != cases[i].failed || stats->thresholds_idle != cases[i].idle)
			fail_msg("%s: %u failed, %u idle", cases[i].line, stats->thresholds_failed, stats->thresholds_idle);
		if (cases[i].failed > 0)
			assert_int_equal(bench_udp(&b, 1, 10), 1);
		bench_end(&b);
	}
}

static int
group_begin(void **state)
{
	(void)state;
	return test_folder_make(dir, "/tmp", "test_rule_lists");
}

static int
group_end(void **state)
{
	(void)state;
	return test_folder_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dataset),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_dataset_reload),
		cmocka_unit_test(test_dataset_threads),
		cmocka_unit_test(test_dataset_bounds),
		cmocka_unit_test(test_iprep),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_geoip),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_port_groups),
		cmocka_unit_test(test_threshold_file),
		cmocka_unit_test(test_threshold_faults),
	};

	return cmocka_run_group_tests(tests, group_begin, group_end);
}
