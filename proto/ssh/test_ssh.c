/* SSH: banners, key exchange, what is passed over, hostile input, the keywords, the tables. */
#include <errno.h>

#include "proto/ssh/ssh.h"
#include "proto/test_rig.h"

extern const struct proto ssh_proto;

enum { DATA_MAX = 8192, SLAB_LEN = 1 << 20 };

static struct ssh_state flow;
static const struct rule_app_keyword *keyword; /* under test; NULL: none */
static struct rule_app_test keyword_test;
static unsigned int matches;

static void
match_keyword(unsigned int flags)
{
	if ((flags & PROTO_MATCH) != 0 && keyword != NULL)
		matches += keyword->test(&keyword_test, rig->builder.base);
}

static const struct rig_desc desc = { .proto = &ssh_proto, .table = &ssh_table, .state = &flow, .slab_len = SLAB_LEN,
	.json_flags = PROTO_EMIT, .seen = match_keyword };

static int
setup(void **state)
{
	(void)state;
	return rig_create(&desc);
}

static void
renew(void)
{
	rig_renew();
	matches = 0;
}

static void
say(const char *text, bool to_server)
{
	rig_feed(text, strlen(text), to_server);
}

/* A packet: its length, 4 bytes of padding, the body. @return its length */
static size_t
packet(uint8_t *out, uint8_t type, const void *body, size_t len)
{
	uint32_t packet_len = (uint32_t)len + 6;

	memcpy(out, (uint8_t[]){ 0, 0, (uint8_t)(packet_len >> 8), (uint8_t)packet_len, 4, type }, 6);
	if (len > 0)
		memcpy(out + 6, body, len);
	memset(out + 6 + len, 0, 4);
	return packet_len + 4;
}

static size_t
kexinit(uint8_t *out, const char *const lists[8])
{
	uint8_t body[DATA_MAX] = { 0 };
	size_t at = 16;

	for (unsigned int i = 0; i < 10; i++) {
		const char *list = i < 8 ? lists[i] : "";
		size_t len = strlen(list);

		assert_true(at + 4 + len + 5 < sizeof(body));
		memcpy(body + at, (uint8_t[]){ 0, 0, (uint8_t)(len >> 8), (uint8_t)len }, 4);
		memcpy(body + at + 4, list, len);
		at += 4 + len;
	}
	return packet(out, SSH_KEXINIT, body, at + 5);
}

static const char *const lists[8] = { "curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519", "aes128-ctr", "aes256-ctr",
	"hmac-sha2-256", "hmac-sha1", "none", "zlib" };

static void
whole_session(void)
{
	uint8_t data[DATA_MAX];
	size_t len = kexinit(data, lists);

	say("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", false);
	say("SSH-2.0-PuTTY_Release_0.78\r\n", true);
	rig_feed(data, len, true);
	rig_feed(data, len, false);
	len = packet(data, SSH_NEWKEYS, "123456", 6);
	rig_feed(data, len, true);
	rig_feed(data, len, false);
}

/* RFC 4253 4.2: a server may say other lines before its banner; behind it there are packets alone. */
static void
test_foreword(void **state)
{
	static const char line[] = "Welcome to the gate\r\n";

	(void)state;
	assert_int_equal(ssh_proto.frame(cursor_of(line, sizeof(line) - 1), false), sizeof(line) - 1);
	assert_int_equal(ssh_proto.frame(cursor_of(line, 9), false), 0);
	assert_int_equal(ssh_proto.frame(cursor_of(line, sizeof(line) - 1), true), -EBADMSG);
	say(line, false);
	say("\r\n", false);
	whole_session();
	assert_int_equal(rig->emitted, 1);
	assert_true(rig->events == 0);
	assert_has(&rig->json, "\"server\":{\"proto_version\":\"2.0\",\"software_version\":\"OpenSSH_9.2p1\"");
	renew();
	say("SSH-2.0-OpenSSH_9.2p1\r\n", false);
	say(line, false);
	assert_true(rig->events == 0);
	assert_true(rig->ctx.skip_len == PROTO_SKIP_ALL);
}

static void
test_session(void **state)
{
	(void)state;
	whole_session();
	assert_int_equal(rig->emitted, 1);
	assert_true(rig->events == 0);
	assert_has(&rig->json, "{\"client\":{\"proto_version\":\"2.0\",\"software_version\":\"PuTTY_Release_0.78\",\"hassh\":{\"hash\":");
	assert_has(&rig->json, "\"string\":\"curve25519-sha256,ecdh-sha2-nistp256;aes128-ctr;hmac-sha2-256;none\"");
	assert_has(&rig->json, "\"server\":{\"proto_version\":\"2.0\",\"software_version\":\"OpenSSH_9.2p1\",\"comments\":\"Debian-2\"");
	assert_has(&rig->json, "\"string\":\"curve25519-sha256,ecdh-sha2-nistp256;aes256-ctr;hmac-sha1;zlib\"");
	assert_has(&rig->json, "88189635a3ee7c7f0c02224b7a2e1292");
	assert_has(&rig->json, "08460fc9a0bcbafca99aac50628ae801");
	assert_true(flow.ends[0].encrypted && flow.ends[1].encrypted);
	assert_true(rig->ctx.skip_len == PROTO_SKIP_ALL);
}

/* What one end alone says, at the flow's end. */
static const struct {
	const char *name, *text, *has;
	uint64_t events;
} banners[] = {
	{ "plain", "SSH-2.0-a\r\n", "{\"server\":{\"proto_version\":\"2.0\",\"software_version\":\"a\"}}", 0 },
	{ "newline alone", "SSH-1.99-Cisco-1.25\n", "\"software_version\":\"Cisco-1.25\"", 0 },
	{ "version 1", "SSH-1.5-old\r\n\x12\x34\x56\x78garbage", "\"proto_version\":\"1.5\"", 0 },
	{ "no program", "SSH-2.0-\r\n", "\"proto_version\":\"2.0\"", 1u << SSH_EVENT_INVALID_BANNER },
	{ "no version", "SSH-\r\n", "\"software_version\":\"\"", 1u << SSH_EVENT_INVALID_BANNER },
	{ "twice", "SSH-2.0-a\r\nSSH-2.0-b\r\n", "\"software_version\":\"a\"", 1u << SSH_EVENT_INVALID_BANNER },
};

static void
test_banners(void **state)
{
	char text[2048];

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(banners); i++) {
		renew();
		say(banners[i].text, false);
		rig_end();
		if (rig->emitted != 1 || rig->events != banners[i].events)
			fail_msg("%s: %u events, %#llx", banners[i].name, rig->emitted, (unsigned long long)rig->events);
		assert_has(&rig->json, banners[i].has);
	}
	for (size_t len = 250; len < 1500; len += 50) {
		memset(text, 'x', sizeof(text));
		memcpy(text, "SSH-2.0-", 8);
		renew();
		text[len] = '\n';
		text[len + 1] = '\0';
		say(text, true);
		rig_end();
		assert_true(rig->events == (len + 1 > SSH_BANNER_LEN_MAX ? 1u << SSH_EVENT_LONG_BANNER : 0u));
	}
}

static void
test_kexinit_bad(void **state)
{
	uint8_t data[DATA_MAX], body[64] = { 0 };
	size_t len;

	(void)state;
	say("SSH-2.0-a\r\n", true);
	memset(body + 16, 0x7f, 4);
	len = packet(data, SSH_KEXINIT, body, 40);
	rig_feed(data, len, true);
	assert_true(rig->events == 1u << SSH_EVENT_INVALID_RECORD);
	renew();
	len = packet(data, SSH_KEXINIT, body, 6);
	data[4] = 7; /* more padding than there is behind the type */
	rig_feed(data, len, true);
	rig_end();
}

static void
test_long_lists(void **state)
{
	static uint8_t data[40000], body[34000];
	size_t list_len = 17000;

	(void)state;
	memcpy(body + 16, (uint8_t[]){ 0, 0, (uint8_t)(list_len >> 8), (uint8_t)list_len }, 4);
	memset(body + 20, 'a', list_len);
	rig_feed(data, packet(data, SSH_KEXINIT, body, 20 + list_len + 9 * 4 + 5), true);
	assert_true(rig->events == 1u << SSH_EVENT_LONG_KEX_RECORD);
}

/* Cut anywhere it waits; a packet that is as long as the cut is read within its bounds. */
static void
test_cut(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
	uint8_t data[DATA_MAX];
	size_t len = kexinit(data, lists);

	(void)state;
	for (size_t cut = 0; cut < sizeof(banner) - 1; cut++)
		assert_int_equal(ssh_proto.frame(cursor_of(banner, cut), true), 0);
	for (size_t cut = 0; cut < 6; cut++)
		assert_int_equal(ssh_proto.frame(cursor_of(data, cut), true), 0);
	for (size_t cut = 6; cut <= len; cut++) {
		assert_int_equal(ssh_proto.frame(cursor_of(data, cut), true), (int)len);
		if (cut < 16)
			continue;
		uint8_t *copy = malloc(cut);

		assert_non_null(copy);
		memcpy(copy, data, cut);
		copy[2] = (uint8_t)((cut - 4) >> 8);
		copy[3] = (uint8_t)(cut - 4);
		renew();
		rig_feed(copy, cut, true);
		free(copy);
	}
}

static void
test_lost(void **state)
{
	uint8_t data[DATA_MAX];
	size_t len = kexinit(data, lists);

	(void)state;
	say("SSH-2.0-a\r\n", true);
	rig->ctx.to_server = true;
	ssh_proto.gap(&rig->ctx, 10);
	rig_feed(data, len, true);
	assert_true(rig->ctx.skip_len == PROTO_SKIP_ALL);
	rig_end();
	assert_int_equal(rig->emitted, 1);
	assert_null(strstr(rig->json.data, "hassh"));
}

static void
test_no_memory(void **state)
{
	void *blocks[64];
	unsigned int count = 0;

	(void)state;
	while (count < TEST_COUNT(blocks) && (blocks[count] = slab_alloc(rig->slab, SLAB_BLOCK_MAX)) != NULL)
		count++;
	say("SSH-2.0-a\r\n", true);
	assert_int_equal(rig->emitted, 1);
	assert_has(&rig->json, "\"software_version\":\"a\"");
	assert_true(rig->counters[SSH_COUNT_SHED] == 1);
	while (count > 0)
		slab_free(rig->slab, blocks[--count], SLAB_BLOCK_MAX);
}

static void
test_probe(void **state)
{
	static const struct {
		const char *text;
		enum proto_probe verdict;
	} rows[] = {
		{ "", PROTO_PROBE_MORE }, { "S", PROTO_PROBE_MORE }, { "SSH-", PROTO_PROBE_MORE }, { "SSH-2", PROTO_PROBE_YES },
		{ "SSH-1.5", PROTO_PROBE_YES }, { "SSH-x", PROTO_PROBE_NO }, { "SSL", PROTO_PROBE_NO }, { "GET / HTTP", PROTO_PROBE_NO },
	};
	uint8_t data[DATA_MAX];
	size_t len = kexinit(data, lists);

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++)
		assert_int_equal(ssh_proto.probe(cursor_of(rows[i].text, strlen(rows[i].text)), true, false), rows[i].verdict);
	for (size_t cut = 0; cut <= len; cut++)
		assert_int_equal(ssh_proto.probe(cursor_of(data, cut), true, false), cut < 30 ? PROTO_PROBE_MORE : PROTO_PROBE_YES);
	data[28] = 0x01;
	assert_int_equal(ssh_proto.probe(cursor_of(data, len), true, true), PROTO_PROBE_NO);
}

static void
test_keywords(void **state)
{
	static const struct {
		unsigned int keyword;
		const char *value;
		unsigned int matches;
	} rows[] = {
		{ 0, "2.0", 2 }, { 0, "2_compat", 2 }, { 0, "1.5", 0 }, { 0, "2", 0 },
		{ 1, "OpenSSH", 1 }, { 1, "\"PuTTY_Release\"", 1 }, { 1, "dropbear", 0 }, { 1, "Debian", 0 },
	};
	char err[128] = "";
	struct rule_app_test test;

	(void)state;
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		renew();
		keyword = &ssh_keywords[rows[i].keyword];
		assert_int_equal(keyword->setup(rows[i].value, &keyword_test, err, sizeof(err)), 0);
		whole_session();
		if (matches != rows[i].matches)
			fail_msg("%s:%s matched %u times", keyword->name, rows[i].value, matches);
	}
	keyword = NULL;
	assert_int_equal(ssh_keywords[0].setup("", &test, err, sizeof(err)), -EINVAL);
	assert_int_equal(ssh_keywords[1].setup("\"\"", &test, err, sizeof(err)), -EINVAL);
	assert_true(err[0] != '\0');
}

static void
test_tables(void **state)
{
	struct record_path path;

	(void)state;
	assert_null(record_table_check(&ssh_table));
	for (unsigned int i = 0; i < SSH_EVENT_COUNT; i++)
		assert_non_null(ssh_events[i].name);
	for (unsigned int i = 0; i < SSH_COUNTER_COUNT; i++)
		assert_non_null(ssh_counters[i].name);
	for (unsigned int i = 0; i < SSH_BUFFER_COUNT; i++) {
		bool hassh = strstr(ssh_buffers[i].name, "hassh") != NULL, server = strstr(ssh_buffers[i].name, "server") != NULL;

		assert_int_equal(record_path_resolve(&ssh_table, ssh_buffers[i].path, &path), 0);
		assert_int_equal(ssh_buffer_direction(&ssh_buffers[i]), !hassh ? RULE_EITHER : server ? RULE_TO_CLIENT : RULE_TO_SERVER);
	}
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_session), CASE(test_foreword), CASE(test_banners), CASE(test_kexinit_bad), CASE(test_long_lists), CASE(test_cut), CASE(test_lost),
		CASE(test_no_memory), CASE(test_probe), CASE(test_keywords), CASE(test_tables),
	};

	return cmocka_run_group_tests_name("ssh", tests, NULL, NULL);
}
