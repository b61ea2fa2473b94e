#include "test/test.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/sink/file/file.h"
#include "lib/sink/uplink/uplink_sink.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN];
static char path[128];
static struct file_sink_config config;

static int
setup(void **state)
{
	assert_int_equal(test_folder_make(dir, "/tmp", "test_sink"), 0);
	snprintf(path, sizeof(path), "%s/eve.json", dir);
	config = (struct file_sink_config){ .enabled = true, .path = path, .rotate_keep = 2 };
	return 0;
}

static int
teardown(void **state)
{
	return test_folder_remove(dir);
}

static struct file_sink *
open_sink(void)
{
	struct file_sink *sink = NULL;

	assert_int_equal(file_sink_create(&sink, &config), 0);
	return sink;
}

static void
put_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
expect_file(const char *suffix, const char *text)
{
	char name[160];
	char got[256] = "";

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	FILE *file = fopen(name, "r");

	if (text == NULL) {
		assert_null(file);
		return;
	}
	assert_non_null(file);
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(got, text);
}

static uint64_t
counter_of(struct file_sink *sink, enum file_sink_counter counter)
{
	return counter_get(&file_sink_get_counters(sink).values[counter]);
}

static void
test_torn_line(void **state)
{
	static const struct { const char *before, *after; } rows[] = {
		{ "", "new\n" },
		{ "whole\n", "whole\nnew\n" },
		{ "whole\ntor", "whole\nnew\n" },
		{ "torn", "new\n" },
		{ "\n{", "\nnew\n" },
	};

	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		put_file(rows[i].before);
		struct file_sink *sink = open_sink();

		file_sink_write(sink, "new", 3);
		file_sink_destroy(sink);
		expect_file("", rows[i].after);
	}
}

static void
test_rotation(void **state)
{
	config.rotate_size = 8;
	struct file_sink *sink = open_sink();

	for (char c = 'a'; c <= 'd'; c++) {
		char line[] = { c, c, c, c, c };

		file_sink_write(sink, line, sizeof(line));
		file_sink_flush(sink);
	}
	assert_int_equal(counter_of(sink, FILE_SINK_ROTATIONS), 3);
	file_sink_destroy(sink);
	expect_file("", "ddddd\n");
	expect_file(".1", "ccccc\n");
	expect_file(".2", "bbbbb\n");
	expect_file(".3", NULL);
}

static void
test_reopen(void **state)
{
	char moved[160];
	struct file_sink *sink = open_sink();

	snprintf(moved, sizeof(moved), "%s.moved", path);
	file_sink_write(sink, "one", 3);
	assert_int_equal(rename(path, moved), 0);
	file_sink_reopen(sink);
	file_sink_write(sink, "two", 3);
	file_sink_destroy(sink);
	expect_file(".moved", "one\n");
	expect_file("", "two\n");
}

static void
test_disk_full(void **state)
{
	struct rlimit before, small;
	struct file_sink *sink = open_sink();

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ .rlim_cur = 10, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned int i = 0; i < 4; i++)
		file_sink_write(sink, "line", 4);
	file_sink_flush(sink);
	/* Two lines fit; the half of the third is taken back. */
	expect_file("", "line\nline\n");
	assert_int_equal(counter_of(sink, FILE_SINK_ERRORS), 1);
	char *big = calloc(1, FILE_SINK_LINE_LEN_MAX);

	memset(big, 'x', FILE_SINK_LINE_LEN_MAX);
	for (unsigned int i = 0; i < 3; i++)
		file_sink_write(sink, big, FILE_SINK_LINE_LEN_MAX);
	file_sink_write(sink, big, FILE_SINK_LINE_LEN_MAX + 1);
	assert_int_equal(counter_of(sink, FILE_SINK_DROPPED), 3);
	free(big);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	file_sink_flush(sink);
	assert_int_equal(counter_of(sink, FILE_SINK_BYTES), 20 + FILE_SINK_LINE_LEN_MAX + 1);
	file_sink_destroy(sink);
}

/* logrotate's copytruncate; a line that is torn afterwards is taken back from what the file is now, and not from what it was. */
static void
test_cut_by_another(void **state)
{
	struct rlimit before, small;

	config.rotate_size = 100;
	struct file_sink *sink = open_sink();

	signal(SIGXFSZ, SIG_IGN);
	for (unsigned int i = 0; i < 10; i++)
		file_sink_write(sink, "long line", 9);
	file_sink_flush(sink);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ .rlim_cur = 7, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	file_sink_write(sink, "line", 4);
	file_sink_write(sink, "line", 4);
	file_sink_flush(sink);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	expect_file("", "line\n");
	assert_int_equal(counter_of(sink, FILE_SINK_ROTATIONS), 0);
	file_sink_destroy(sink);
	expect_file("", "line\nline\n");
}

static void
test_removed_by_another(void **state)
{
	struct file_sink *sink = open_sink();

	file_sink_write(sink, "one", 3);
	file_sink_flush(sink);
	assert_int_equal(unlink(path), 0);
	file_sink_write(sink, "two", 3);
	file_sink_destroy(sink);
	expect_file("", "two\n");
}

static void
test_rotation_fails(void **state)
{
	char in_its_way[160];

	config.rotate_size = 8;
	config.rotate_keep = 1;
	struct file_sink *sink = open_sink();

	snprintf(in_its_way, sizeof(in_its_way), "%s.1", path);
	assert_int_equal(mkdir(in_its_way, 0700), 0);
	for (unsigned int i = 0; i < 16; i++) {
		file_sink_write(sink, "1", 1);
		file_sink_flush(sink);
	}
	/* Nothing is lost, and it is not tried at each flush. */
	expect_file("", "1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n");
	assert_in_range(counter_of(sink, FILE_SINK_ERRORS), 2, 4);
	file_sink_destroy(sink);
}

/* Nobody reads it: what it does not take is lost, and nothing waits. It is not rotated away either, as /dev/null would be. */
static void
test_pipe(void **state)
{
	char line[4000];
	struct stat st;

	memset(line, 'x', sizeof(line));
	config.rotate_size = 8;
	assert_int_equal(mkfifo(path, 0600), 0);
	struct file_sink *sink = open_sink();

	for (unsigned int i = 0; i < 1000; i++) {
		file_sink_write(sink, line, sizeof(line));
		file_sink_flush(sink);
	}
	assert_int_not_equal(counter_of(sink, FILE_SINK_DROPPED), 0);
	assert_int_equal(counter_of(sink, FILE_SINK_ROTATIONS), 0);
	file_sink_destroy(sink);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
}

static void
test_lost_of_a_capture(void **state)
{
	config.path = "/dev/full";
	config.waits = true;
	struct file_sink *sink = open_sink();

	file_sink_write(sink, "one", 3);
	file_sink_write(sink, "two", 3);
	file_sink_flush(sink);
	assert_int_equal(counter_of(sink, FILE_SINK_DROPPED), 2);
	file_sink_destroy(sink);
}

static void
test_folder_is_made(void **state)
{
	char below[160];

	snprintf(below, sizeof(below), "%s/a/b/eve.json", dir);
	config.path = below;
	file_sink_destroy(open_sink());
	assert_int_equal(access(below, F_OK), 0);
}

static void
test_file_allocation(void **state)
{
	struct file_sink *sink = NULL;

	put_file("torn");
	TEST_FAIL_EACH_ALLOC(file_sink_create(&sink, &config), == 0, file_sink_destroy(sink));
}

static void
test_set(void **state)
{
	const struct sink_env env = { .log_dir = dir };
	struct config_error err = { "" };
	struct counter_set counters[SINK_MAX];
	const struct knob_table *tables[SINK_MAX];
	const struct counter_table *names[SINK_MAX];
	const char *warnings[SINK_MAX];
	struct config *settings = NULL;
	struct sink_set *set = NULL;

	assert_int_equal(sink_get_knobs(tables, SINK_MAX), 7);
	assert_int_equal(config_load(&settings, NULL, &err), 0);
	TEST_FAIL_EACH_ALLOC(sink_set_create(&set, settings, &env, &err), == 0, sink_set_destroy(set));
	assert_int_equal(sink_set_create(&set, settings, &env, &err), 0);
	assert_int_equal(sink_set_count(set), 1);
	sink_set_write(set, LINK_LANE_ALERT, "{}", 2);
	assert_int_equal(sink_set_drain(set, 100), 0);
	expect_file("", "{}\n");
	assert_int_equal(sink_set_counters(set, counters, SINK_MAX), 1);
	assert_int_equal(sink_get_warnings(settings, warnings, SINK_MAX), 0);
	assert_int_equal(sink_get_counter_tables(names, SINK_MAX), 8);
	assert_ptr_equal(names[0]->descs, counters[0].descs);
	assert_int_equal(names[0]->count, counters[0].count);
	/* Only the settings are looked at. */
	assert_int_equal(config_set(settings, "outputs.kafka.security=sasl-plaintext", &err), 0);
	assert_int_equal(config_set(settings, "outputs.kafka.sasl-mechanism=PLAIN", &err), 0);
	assert_int_equal(sink_get_warnings(settings, warnings, SINK_MAX), 0);
	assert_int_equal(config_set(settings, "outputs.kafka.enabled=yes", &err), 0);
	assert_int_equal(sink_get_warnings(settings, warnings, SINK_MAX), 1);
	assert_non_null(strstr(warnings[0], "in the clear"));
	assert_int_equal(config_set(settings, "outputs.kafka.security=sasl-tls", &err), 0);
	assert_int_equal(sink_get_warnings(settings, warnings, SINK_MAX), 0);
	assert_int_equal(config_set(settings, "outputs.kafka.enabled=no", &err), 0);
	sink_set_reopen(set);
	json_decref(sink_set_status(set));
	sink_set_destroy(set);
	assert_int_equal(config_set(settings, "uplink.enabled=yes", &err), 0);
	assert_int_equal(config_set(settings, "uplink.url=http://x", &err), 0);
	char spool_path[128];

	snprintf(spool_path, sizeof(spool_path), "spool.path=%s/spool", dir);
	assert_int_equal(config_set(settings, spool_path, &err), 0);
	/* Neither a certificate nor what enrolment would have left. */
	assert_int_equal(config_set(settings, "enrol.dir=/nonexistent", &err), 0);
	assert_int_equal(sink_set_create(&set, settings, &env, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/identity.pem"));
	assert_int_equal(config_set(settings, "uplink.cert=cert.pem", &err), 0);
	assert_int_equal(sink_set_create(&set, settings, &env, &err), -EINVAL);
	assert_non_null(strstr(err.text, "uplink.url"));
	config_destroy(settings);
}

/* A key and a certificate that names the sensor; nobody checks them here. */
static void
make_identity(const char *key_path, const char *cert_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *file = fopen(key_path, "w");

	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"sensor-1", -1, -1, 0);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	file = fopen(cert_path, "w");
	PEM_write_X509(file, cert);
	fclose(file);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
test_uplink(void **state)
{
	char key[128], cert[128], spool_path[128];
	struct config_error err = { "" };
	struct uplink_sink *sink = NULL;

	snprintf(key, sizeof(key), "%s/key.pem", dir);
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(spool_path, sizeof(spool_path), "%s/spool", dir);
	make_identity(key, cert);
	const struct spool_config spool = { .path = spool_path, .size = 16 << 20, .segment_size = 1 << 20 };
	const struct uplink_config uplink = {
		.enabled = true, .url = "https://127.0.0.1:1", .cert = cert, .key = key, .ca = cert, .window = 2,
		.batch_records = 10, .batch_bytes = 4096, .zstd_level = 1, .connect_timeout_ms = 100, .timeout_ms = 1000,
		.backoff_max_ms = 100, .drain_ms = 50,
	};

	log_set_level(LOG_LEVEL_ERROR - 1);
	TEST_FAIL_EACH_ALLOC(uplink_sink_create(&sink, &spool, &uplink, &err), == 0, uplink_sink_destroy(sink));
	assert_int_equal(uplink_sink_create(&sink, &spool, &uplink, &err), 0);
	uplink_sink_ops.write(sink, LINK_LANE_EVENT, "{}", 2);
	uplink_sink_ops.flush(sink, 0);
	assert_int_equal(uplink_sink_ops.drain(sink, 0), -ETIMEDOUT);
	json_t *status = uplink_sink_ops.status(sink);

	assert_false(json_is_true(json_object_get(status, "connected")));
	json_decref(status);
	uplink_sink_destroy(sink);
	log_set_level(LOG_LEVEL_ERROR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_torn_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_by_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_by_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_of_a_capture, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_is_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_allocation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uplink, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
