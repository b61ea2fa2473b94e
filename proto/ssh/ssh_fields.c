/* The tables of SSH: fields, named events, counters, Suricata's keywords. */
#include "proto/ssh/ssh.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ROW(side, idx, key, bit, member, source, help) \
	{ side key, FIELD_STRING, (idx) * SSH_BITS_OF_END + SSH_HAS_##bit, 0, offsetof(struct ssh_record, sides[idx].member), NULL, NULL, \
		source, help }
#define SIDE_ROWS(side, idx, whose) \
	ROW(side, idx, ".proto_version", PROTO, proto, "RFC 4253 4.2", whose "protocol version"), \
	ROW(side, idx, ".software_version", SOFTWARE, software, "RFC 4253 4.2", whose "program and its version"), \
	ROW(side, idx, ".comments", COMMENTS, comments, "RFC 4253 4.2", "what stands behind it, often the system"), \
	ROW(side, idx, ".hassh.hash", HASSH, hassh, "HASSH", "MD5 of hassh.string"), \
	ROW(side, idx, ".hassh.string", HASSH, hassh_string, "HASSH", whose "methods of key exchange, encryption, authentication, compression")

static const struct field ssh_fields[] = {
	SIDE_ROWS("client", 0, "the client's "),
	SIDE_ROWS("server", 1, "the server's "),
	{ "proto", FIELD_STRING, SSH_HAS_RULE_PROTO, FIELD_HIDDEN, offsetof(struct ssh_record, proto), NULL, NULL,
		"RFC 4253 4.2", "protocol version of either end" },
	{ "software", FIELD_STRING, SSH_HAS_RULE_SOFTWARE, FIELD_HIDDEN, offsetof(struct ssh_record, software), NULL, NULL,
		"RFC 4253 4.2", "program and its version, of either end" },
};

const struct record_table ssh_table = { .name = "ssh", .fields = ssh_fields, .field_count = COUNT(ssh_fields),
	.size = sizeof(struct ssh_record) };

const struct rule_app_event ssh_events[] = {
	[SSH_EVENT_INVALID_BANNER] = { "invalid_banner", "a banner without version or program, or a second one" },
	[SSH_EVENT_LONG_BANNER] = { "long_banner", "a banner of more than 255 bytes" },
	[SSH_EVENT_INVALID_RECORD] = { "invalid_record", "a key exchange whose lists do not fit" },
	[SSH_EVENT_LONG_KEX_RECORD] = { "long_kex_record", "a key exchange with more than 16 KiB of methods" },
};

const struct counter_desc ssh_counters[] = {
	[SSH_COUNT_SESSIONS] = { "ssh.sessions", "connections written" },
	[SSH_COUNT_PACKETS] = { "ssh.packets", "packets read before encryption" },
	[SSH_COUNT_SHED] = { "ssh.shed", "connections written early: no memory" },
};

/* ---- the keywords that Suricata had before the buffers ---- */

enum { VALUE_LEN_MAX = sizeof(struct rule_app_test) - 8 };

/* A text behind its length, in the words of a test. */
struct text {
	uint64_t len;
	char bytes[VALUE_LEN_MAX];
};
static_assert(sizeof(struct text) <= sizeof(struct rule_app_test), "a test fits");

static int
setup_text(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct text text = { 0 };
	size_t len = strlen(value);

	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value++;
		len -= 2;
	}
	if (len == 0 || len > VALUE_LEN_MAX) {
		snprintf(err, err_len, "wanted 1 to %d characters", (int)VALUE_LEN_MAX);
		return -EINVAL;
	}
	text.len = len;
	memcpy(text.bytes, value, len);
	memset(out, 0, sizeof(*out));
	memcpy(out->words, &text, sizeof(text));
	return 0;
}

static const uint8_t *
text_of(const struct ssh_record *record, const struct record_ref *ref)
{
	return (const uint8_t *)record + ref->off;
}

/* "2_compat" is 2.0 and 1.99. */
static bool
test_proto_version(const struct rule_app_test *test, const void *blob)
{
	static const char compat[] = "2_compat";
	const struct text *wanted = (const void *)test->words;
	const struct ssh_record *record = blob;
	const uint8_t *have = text_of(record, &record->proto);
	uint32_t len = record->proto.count;

	if (!record_is_present(record, SSH_HAS_RULE_PROTO) || len == 0)
		return false;
	if (wanted->len == sizeof(compat) - 1 && strncasecmp(wanted->bytes, compat, wanted->len) == 0)
		return have[0] == '2' || (len == 4 && memcmp(have, "1.99", 4) == 0);
	return wanted->len == len && memcmp(wanted->bytes, have, len) == 0;
}

static bool
test_software_version(const struct rule_app_test *test, const void *blob)
{
	const struct text *wanted = (const void *)test->words;
	const struct ssh_record *record = blob;

	return record_is_present(record, SSH_HAS_RULE_SOFTWARE) && record->software.count >= wanted->len &&
		memmem(text_of(record, &record->software), record->software.count, wanted->bytes, wanted->len) != NULL;
}

const struct rule_app_keyword ssh_keywords[] = {
	{ "ssh.protoversion", RULE_EITHER, setup_text, test_proto_version, "protocol version: 2.0, or 2_compat for 2.0 and 1.99" },
	{ "ssh.softwareversion", RULE_EITHER, setup_text, test_software_version, "text within the program's name and version" },
};
static_assert(COUNT(ssh_keywords) == SSH_KEYWORD_COUNT, "each keyword is counted");

const struct rule_app_buffer ssh_buffers[] = {
	{ "ssh_proto", "proto" },
	{ "ssh_software", "software" },
	{ "ssh.hassh", "client.hassh.hash" },
	{ "ssh.hassh.string", "client.hassh.string" },
	{ "ssh.hassh.server", "server.hassh.hash" },
	{ "ssh.hassh.server.string", "server.hassh.string" },
	{ "ssh.proto", "proto" },
	{ "ssh.software", "software" },
};
static_assert(COUNT(ssh_buffers) == SSH_BUFFER_COUNT, "each buffer is counted");

enum rule_direction
ssh_buffer_direction(const struct rule_app_buffer *buffer)
{
	if (strncmp(buffer->path, "client.", 7) == 0)
		return RULE_TO_SERVER;
	return strncmp(buffer->path, "server.", 7) == 0 ? RULE_TO_CLIENT : RULE_EITHER;
}
