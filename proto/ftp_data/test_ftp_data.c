/* FTP's data connections: which flows are announced, what is kept of their bytes however they are cut, limits, the tables. */
#include <errno.h>

#include "proto/ftp_data/ftp_data.h"
#include "proto/test_rig.h"

extern const struct proto ftp_data_proto;

enum { PORT = 50001 };

static struct ftp_data_state flow;
static struct ftp_data_config config;
static struct ftp_shared shared;
static const uint8_t client_addr[16] = { 10, 10, 64, 5 }, server_addr[16] = { 10, 10, 80, 10 };
static char seen[1024]; /* data of the record that the rules saw */
static bool is_retr;

static void
see_data(unsigned int flags)
{
	const struct ftp_data_record *record = (const void *)rig->builder.base;
	struct rule_app_test test = { { 0 } };

	if ((flags & PROTO_MATCH) == 0)
		return;
	snprintf(seen, sizeof(seen), "%.*s", (int)record->data.count, (const char *)rig->builder.base + record->data.off);
	is_retr = ftp_data_keywords[0].test(&test, record);
}

static const struct rig_desc desc = { .proto = &ftp_data_proto, .table = &ftp_data_table, .state = &flow, .config = &config,
	.slab_len = 1 << 20, .json_flags = PROTO_EMIT, .file_wants = FILE_WANT_EVENT | FILE_WANT_RULES | 1 << FILE_MD5, .seen = see_data };

static int
setup(void **state)
{
	int err;

	(void)state;
	config = (struct ftp_data_config){ .body_limit = 64 };
	memset(&shared, 0, sizeof(shared));
	seen[0] = '\0';
	err = rig_create(&desc);
	rig->ctx.shared = &shared;
	rig->ctx.client_addr = client_addr;
	rig->ctx.server_addr = server_addr;
	rig->ctx.sport = 40000;
	rig->ctx.dport = PORT;
	return err;
}

static struct proto_ends
ends(bool turned, uint16_t port)
{
	return (struct proto_ends){ .client_addr = turned ? server_addr : client_addr, .server_addr = turned ? client_addr : server_addr,
		.sport = turned ? port : 40000, .dport = turned ? 40000 : port, .ts_ns = rig->ctx.ts_ns };
}

static bool
expected(struct proto_ends flow_ends)
{
	return ftp_data_proto.expects(&shared, &flow_ends);
}

/* The bytes end where their block ends, so that the sanitizer sees every read beyond them. */
static void
feed(const char *text, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	memcpy(copy, text, len);
	rig->ctx.to_server = to_server;
	if (!flow.begun) {
		assert_int_equal(ftp_data_proto.frame(cursor_of(copy, len), to_server), len);
		ftp_data_proto.parse(&rig->ctx, cursor_of(copy, len));
		assert_true(rig->ctx.raw);
	} else {
		assert_int_equal(ftp_data_proto.raw(&rig->ctx, cursor_of(copy, len)), len);
	}
	assert_int_equal(rig->ctx.to_server, to_server);
	free(copy);
}

static void
announce(const char *word, const char *name)
{
	assert_false(ftp_expect(&rig->ctx, true, PORT));
	ftp_expect_command(&rig->ctx, true, PORT, cursor_of(word, strlen(word)), cursor_of(name, strlen(name)));
}

static void
test_expected(void **state)
{
	(void)state;
	assert_false(expected(ends(false, PORT)));
	announce("RETR", "a");
	assert_false(expected(ends(false, PORT + 1)));
	assert_true(expected(ends(false, PORT)));
	assert_false(expected(ends(false, PORT))); /* it has come */
	announce("RETR", "a");
	assert_true(expected(ends(true, PORT))); /* picked up in its middle */
	announce("RETR", "a");
	rig->ctx.ts_ns += (FTP_EXPECT_WAIT_S + 1) * UINT64_C(1000000000);
	assert_false(expected(ends(false, PORT)));
	/* The client listens. */
	assert_false(ftp_expect(&rig->ctx, false, PORT));
	assert_true(expected((struct proto_ends){ server_addr, client_addr, 20, PORT, rig->ctx.ts_ns }));
}

/* More than there is room for: the oldest make way, the newest stay, and what made way unseen is said. */
static void
test_many(void **state)
{
	enum { MANY = 4 * FTP_EXPECT_SETS * FTP_EXPECT_WAYS, NEWEST = FTP_EXPECT_WAYS };
	unsigned int evicted = 0, known = 0;

	(void)state;
	for (uint16_t i = 0; i < MANY; i++)
		evicted += ftp_expect(&rig->ctx, true, (uint16_t)(PORT + i));
	for (uint16_t i = MANY - NEWEST; i < MANY; i++)
		assert_non_null(ftp_expected_find(&shared, &(struct proto_ends){ client_addr, server_addr, 40000, (uint16_t)(PORT + i), 0 }));
	for (uint16_t i = 0; i < MANY; i++)
		known += expected(ends(false, (uint16_t)(PORT + i)));
	assert_int_equal(known, MANY - evicted);
	assert_int_equal(known, FTP_EXPECT_SETS * FTP_EXPECT_WAYS);
	/* Those have come: others take their places without a loss. */
	assert_false(ftp_expect(&rig->ctx, true, (uint16_t)(PORT + MANY)));
}

static void
test_transfer(void **state)
{
	static const char text[] = "setpoint;90\r\npump;on\r\n";

	(void)state;
	for (size_t cut = 1; cut <= strlen(text); cut++) {
		rig_renew();
		announce("RETR", "/plc/recipe.csv");
		assert_true(expected(ends(false, PORT)));
		for (size_t at = 0; at < strlen(text); at += cut)
			feed(text + at, strlen(text) - at < cut ? strlen(text) - at : cut, false);
		rig_end();
		assert_string_equal(rig->json.data, "{\"filename\":\"/plc/recipe.csv\",\"command\":\"RETR\",\"size\":22,\"gaps\":false}");
		assert_string_equal(seen, text);
		assert_true(is_retr);
		assert_int_equal(rig->matched, 1);
		assert_int_equal(rig->emitted, 1);
		memset(&flow, 0, sizeof(flow));
	}
}

/* The command comes behind the first bytes; those of the other direction are not the file's. */
static void
test_late_command(void **state)
{
	(void)state;
	assert_false(ftp_expect(&rig->ctx, true, PORT));
	assert_true(expected(ends(false, PORT)));
	feed("abc", 3, true);
	ftp_expect_command(&rig->ctx, true, PORT, cursor_of("STOR", 4), cursor_of("x", 1));
	feed("zzz", 3, false);
	rig_end();
	assert_non_null(strstr(rig->json.data, "{\"filename\":\"x\",\"command\":\"STOR\",\"size\":3"));
	assert_string_equal(seen, "abc");
	assert_false(is_retr);
	memset(&flow, 0, sizeof(flow));
}

static void
test_limits(void **state)
{
	char bytes[100];

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	announce("LIST", "");
	feed(bytes, sizeof(bytes), false);
	assert_int_equal(rig->matched, 1);
	assert_int_equal(strlen(seen), 64);
	assert_int_equal(rig->counters[FTP_DATA_COUNT_CUT], 1);
	feed(bytes, sizeof(bytes), false);
	assert_int_equal(rig->matched, 1);
	/* Lost bytes: what came before is seen. */
	rig_renew();
	feed("ab", 2, false);
	rig->ctx.to_server = false;
	ftp_data_proto.gap(&rig->ctx, 10);
	assert_string_equal(seen, "ab");
	feed("cd", 2, false);
	rig_end();
	assert_non_null(strstr(rig->json.data, "\"size\":14,\"gaps\":true"));
	memset(&flow, 0, sizeof(flow));
	/* Addresses that are not known: no command, but all memory comes back. */
	rig->ctx.client_addr = NULL;
	feed("ab", 2, false);
	rig_end();
	assert_string_equal(rig->json.data, "{\"size\":2,\"gaps\":false}");
	memset(&flow, 0, sizeof(flow));
	rig->ctx.client_addr = client_addr;
	/* No memory. */
	rig->ctx.slab = NULL;
	feed("ab", 2, false);
	assert_int_equal(rig->counters[FTP_DATA_COUNT_SHED], 1);
	rig->ctx.slab = rig->slab;
	/* More announcements than the table holds. */
	for (unsigned int i = 0, evicted = 0; i < 1 << 12; i++) {
		evicted += ftp_expect(&rig->ctx, true, (uint16_t)(i + 1));
		assert_true(i < FTP_EXPECT_WAYS || evicted <= i);
	}
	assert_int_equal(shared.announced, 1 + (1 << 12));
}

static void
test_tables(void **state)
{
	struct rule_app_test test;
	struct record_path path;
	char err[64] = "";

	(void)state;
	assert_null(record_table_check(&ftp_data_table));
	for (unsigned int i = 0; i < FTP_DATA_BUFFER_COUNT; i++)
		assert_int_equal(record_path_resolve(&ftp_data_table, ftp_data_buffers[i].path, &path), 0);
	for (unsigned int i = 0; i < FTP_DATA_COUNTER_COUNT; i++)
		assert_non_null(ftp_data_counters[i].name);
	assert_int_equal(ftp_data_keywords[0].setup("retr", &test, err, sizeof(err)), 0);
	assert_int_equal(ftp_data_keywords[0].setup("STOR", &test, err, sizeof(err)), 0);
	assert_int_equal(ftp_data_keywords[0].setup("list", &test, err, sizeof(err)), -EINVAL);
	assert_true(ftp_data_proto.state_len <= SLAB_BLOCK_MAX);
	assert_int_equal(ftp_data_proto.probe(cursor_of("abc", 3), true, true), PROTO_PROBE_NO);
}

/* The name may come behind the first bytes; what is not kept is of the file, too. */
static void
test_file(void **state)
{
	(void)state;
	assert_false(ftp_expect(&rig->ctx, true, PORT));
	assert_true(expected(ends(false, PORT)));
	feed("ab", 2, false);
	ftp_expect_command(&rig->ctx, true, PORT, cursor_of("RETR", 4), cursor_of("recipe.txt", 10));
	feed("c", 1, false);
	assert_told("");
	rig->ctx.ending = true;
	rig->desc->proto->end(&rig->ctx);
	assert_told("match {\"filename\":\"recipe.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"stored\":false,\"size\":3,\"tx_id\":0}\n"
		"event {\"filename\":\"recipe.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"stored\":false,\"size\":3,\"tx_id\":0}\n");
}

static void
test_long_file(void **state)
{
	char text[100];

	(void)state;
	memset(text, 'x', sizeof(text));
	announce("STOR", "long");
	assert_true(expected(ends(false, PORT)));
	feed(text, 60, true);
	feed(text, 30, true);
	assert_told("match {\"filename\":\"long\",\"gaps\":false,\"state\":\"UNKNOWN\",\"stored\":false,\"size\":64,\"tx_id\":0}\n");
	feed(text, 10, true);
	rig->ctx.to_server = true;
	ftp_data_proto.gap(&rig->ctx, 7);
	feed(text, 1, true);
	rig->desc->proto->end(&rig->ctx);
	assert_told("end {\"filename\":\"long\",\"gaps\":true,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":108,\"tx_id\":0}\n"
		"event {\"filename\":\"long\",\"gaps\":true,\"state\":\"TRUNCATED\",\"stored\":false,\"size\":108,\"tx_id\":0}\n");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_expected), CASE(test_many), CASE(test_transfer), CASE(test_late_command), CASE(test_limits), CASE(test_file), CASE(test_long_file),
		CASE(test_tables) };

	return cmocka_run_group_tests_name("ftp_data", tests, NULL, NULL);
}
