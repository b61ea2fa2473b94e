/* Keywords about files: names, sizes, sums, and when rules are asked. */
#include <unistd.h>

#include "lib/file/file.h"
#include "lib/rule/test_bench.h"

enum { RULE_COUNT_MAX = 64 };

static struct slab *slab;
static struct file_tracker *tracker;

static int
setup(void **state)
{
	static const struct file_config config = { .hashed_max = 4 };

	(void)state;
	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	return file_tracker_create(&tracker, &config, slab);
}

static int
teardown(void **state)
{
	(void)state;
	file_tracker_destroy(tracker);
	assert_int_equal(slab_used(slab), 0);
	slab_destroy(slab);
	return 0;
}

/* What a toy message with a file sets off, told of it again or for the first time. */
static unsigned int
ask(struct bench *b, struct file *file, bool file_only)
{
	struct toy_record record = { .unit = 7 };
	struct rule_message message = { .record = &record, .file = file, .file_news = (uint8_t)file_take_news(file), .file_only = file_only };

	rule_hits_reset(&b->hits);
	rule_match_message(b->matcher, NULL, &b->flow, &message, &b->hits);
	return b->hits.count;
}

static bool
fired(const struct bench *b, uint32_t sid)
{
	for (unsigned int i = 0; i < b->hits.count; i++)
		if (b->hits.hit[i].sid == sid)
			return true;
	return false;
}

static struct file *
file_of(const char *name, const char *bytes, bool whole)
{
	struct file *file = file_begin(tracker, (const uint8_t *)name, (uint32_t)strlen(name), FILE_WANT_RULES | 7);

	file_bytes(tracker, file, (const uint8_t *)bytes, strlen(bytes));
	file_end(tracker, file, whole);
	return file;
}

/* One rule on one file of three bytes. */
static bool
holds(const char *options, const char *name, bool whole)
{
	struct file *file = file_of(name, "abc", whole);
	char rule[512];
	struct bench b;
	bool held;

	snprintf(rule, sizeof(rule), "alert tcp any any -> any any (%s; sid:1;)", options);
	bench_begin(&b, rule, IP_PROTO_TCP);
	held = ask(&b, file, false) == 1;
	bench_end(&b);
	file_destroy(tracker, file);
	return held;
}

static void
test_names(void **state)
{
	(void)state;
	assert_true(holds("filename:\"R.PDF\"", "/a/r.pdf", true));
	assert_true(holds("filename:!\"s.pdf\"", "/a/r.pdf", true));
	assert_false(holds("filename:!\"R.pdf\"", "/a/r.pdf", true));
	assert_true(holds("fileext:\"PDF\"", "/a/r.pdf", true));
	assert_true(holds("fileext:\"tar.gz\"", "x.tar.gz", true));
	assert_false(holds("fileext:\"pdf\"", "/a/pdf", true));
	assert_false(holds("fileext:!\"pdf\"", "/a/r.pdf", true));
	assert_true(holds("filename:\"r\"; fileext:\"pdf\"", "r.PDF", true));
	assert_false(holds("filename:\"x\"; fileext:\"pdf\"", "r.pdf", true));
	assert_true(holds("file.name; content:\"/a/r.pdf\"; startswith; endswith", "/a/r.pdf", true));
	assert_true(holds("file.name; bsize:5; content:\"pdf\"", "r.pdf", true));
	assert_false(holds("filename:!\"x\"", "", true)); /* nothing is said of a file without a name */
	assert_true(holds("filestore", "", false));
	assert_true(holds("toy.unit:7; filename:\"r\"", "r", true));
	assert_false(holds("toy.unit:8; filename:\"r\"", "r", true));
}

static void
test_sizes(void **state)
{
	(void)state;
	assert_true(holds("filesize:3", "a", true));
	assert_true(holds("filesize:<4", "a", true));
	assert_true(holds("filesize:>2", "a", true));
	assert_true(holds("filesize:2<>4", "a", true));
	assert_false(holds("filesize:3<>9", "a", true));
	assert_true(holds("filesize:!4", "a", true));
	/* of a truncated one it is at least so much */
	assert_true(holds("filesize:>2", "a", false));
	assert_false(holds("filesize:>3", "a", false));
	assert_false(holds("filesize:3", "a", false));
	assert_false(holds("filesize:<4", "a", false));
	assert_false(holds("filesize:!4", "a", false));
}

static void
test_hashes(void **state)
{
	char path[] = "/tmp/test_rule_file.XXXXXX", options[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "# sums\n\n 900150983CD24FB0D6963F7D28E17F72  abc.txt\n00000000000000000000000000000000\n"), 84);
	snprintf(options, sizeof(options), "filemd5:%s", path);
	assert_true(holds(options, "a", true));
	assert_false(holds(options, "a", false)); /* the sum of a part is not the file's */
	snprintf(options, sizeof(options), "filemd5:!%s", path);
	assert_false(holds(options, "a", true));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(dprintf(fd, "a9993e364706816aba3e25717850c26c9cd0d89d"), 40);
	snprintf(options, sizeof(options), "filesha1:%s", path);
	assert_true(holds(options, "a", true));
	close(fd);
	unlink(path);
}

static void
assert_refused(const char *options, const char *reason)
{
	char rule[512];
	unsigned int count;
	struct ruleset *set;

	snprintf(rule, sizeof(rule), "alert tcp any any -> any any (%s; sid:1;)", options);
	set = toy_ruleset(rule);
	const struct rule_error *errors = ruleset_errors(set, &count);

	if (count != 1 || strstr(errors[0].reason, reason) == NULL)
		fail_msg("%s: %s", rule, count == 0 ? "accepted" : errors[0].reason);
	ruleset_destroy(set);
}

static void
test_refused(void **state)
{
	char path[] = "/tmp/test_rule_file.XXXXXX", options[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "900150983cd24fb0d6963f7d28e17f72\nabc\n"), 37);
	snprintf(options, sizeof(options), "filemd5:%s", path);
	assert_refused(options, ":2: no md5 begins the line");
	snprintf(options, sizeof(options), "filesha256:%s", path);
	assert_refused(options, ":1: no sha256 begins the line");
	close(fd);
	unlink(path);
	assert_refused("filemd5:/nowhere/list", "/nowhere/list");
	assert_refused("filesize:a", "not a number");
	assert_refused("fileext:\"\"", "the text is");
	assert_refused("filemagic:\"PDF\"", "not guessed");
	assert_refused("file.magic; content:\"PDF\"", "not guessed");
	assert_refused("file.name", "nothing that looks into it");
}

/* Each rule is asked once: of the name when it is known, of the rest when the file ended. Others are not asked again. */
static void
test_news(void **state)
{
	struct file *file = file_begin(tracker, (const uint8_t *)"r.pdf", 5, FILE_WANT_RULES);
	struct bench b;

	(void)state;
	bench_begin(&b,
		"alert toy any any -> any any (fileext:\"pdf\"; sid:1;)\n"
		"alert toy any any -> any any (fileext:\"pdf\"; filesize:<9; sid:2;)\n"
		"alert toy any any -> any any (toy.unit:7; sid:3;)\n"
		"alert toy any any -> any any (fileext:\"pdf\"; flow:to_server; sid:4;)\n", IP_PROTO_TCP);
	assert_int_equal(ask(&b, file, false), 2);
	assert_true(fired(&b, 1) && fired(&b, 3));
	file_bytes(tracker, file, (const uint8_t *)"abc", 3);
	assert_int_equal(ask(&b, file, true), 0);
	file_end(tracker, file, true);
	assert_int_equal(ask(&b, file, true), 1);
	assert_true(fired(&b, 2));
	assert_int_equal(ask(&b, file, true), 0);
	bench_end(&b);
	file_destroy(tracker, file);
}

static void
test_wants(void **state)
{
	char path[] = "/tmp/test_rule_file.XXXXXX", rules[256];
	int fd = mkstemp(path);
	struct bench b;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	bench_begin(&b, "alert toy any any -> any any (toy.unit:7; sid:1;)", IP_PROTO_TCP);
	assert_int_equal(rule_file_wants(b.matcher, 0, true), 0);
	bench_end(&b);
	snprintf(rules, sizeof(rules), "alert toy any any -> any any (filesha1:%s; flow:to_client; sid:1;)", path);
	bench_begin(&b, rules, IP_PROTO_TCP);
	assert_int_equal(rule_file_wants(b.matcher, 0, true), 0);
	assert_int_equal(rule_file_wants(b.matcher, 0, false), FILE_WANT_RULES | 1 << FILE_SHA1);
	assert_true(rule_reads_messages(b.matcher, 0, false));
	bench_end(&b);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_sizes), cmocka_unit_test(test_hashes), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_news), cmocka_unit_test(test_wants),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
