/* Suricata's keywords of TLS that are more than a field, and its names of buffers. */
#include "proto/tls/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static int
fail(char *err, size_t err_len, const char *what, const char *value)
{
	snprintf(err, err_len, "%s: \"%.64s\"", what, value);
	return -EINVAL;
}

static const char *
skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* ---- versions: words[0] is a set of version_bits, words[1] those after a !: any but them will do as well ---- */

static const struct {
	const char *name;
	uint16_t version;
} version_names[] = {
	{ "sslv2", TLS_SSL_2 }, { "sslv3", TLS_SSL_3 }, { "tls1.0", TLS_1_0 }, { "tls1.1", TLS_1_1 }, { "tls1.2", TLS_1_2 },
	{ "tls1.3", TLS_1_3 }, { "1.0", TLS_1_0 }, { "1.1", TLS_1_1 }, { "1.2", TLS_1_2 }, { "1.3", TLS_1_3 },
};

static uint64_t
version_bit(uint16_t version)
{
	if (version == TLS_SSL_2)
		return 1;
	if (version >> 8 == 0x7f) /* a draft of 1.3 */
		version = TLS_1_3;
	return version >= TLS_SSL_3 && version <= TLS_1_3 ? UINT64_C(2) << (version - TLS_SSL_3) : 0;
}

/* A name, or "0x0303" as the record has it; not a draft of 1.3, which are all one here. */
static const char *
take_version(const char *at, uint64_t *bit)
{
	unsigned long number;
	size_t len;
	char *end;

	at = skip_blanks(at);
	len = strcspn(at, ", \t");
	*bit = 0;
	number = strncasecmp(at, "0x", 2) == 0 ? strtoul(at, &end, 16) : 0;
	if (number >= TLS_SSL_3 && number <= TLS_1_3 && end == at + len)
		*bit = version_bit((uint16_t)number);
	for (unsigned int i = 0; i < sizeof(version_names) / sizeof(version_names[0]); i++)
		if (strlen(version_names[i].name) == len && strncasecmp(version_names[i].name, at, len) == 0)
			*bit = version_bit(version_names[i].version);
	return skip_blanks(at + len);
}

static int
setup_versions(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	const char *at = value;

	memset(out, 0, sizeof(*out));
	for (;;) {
		uint64_t bit;
		bool negated;

		at = skip_blanks(at);
		negated = *at == '!';
		at = take_version(at + negated, &bit);
		if (bit == 0)
			return fail(err, err_len, "wanted sslv2, sslv3, tls1.0 to tls1.3", value);
		out->words[negated] |= bit;
		if (*at == '\0')
			return 0;
		if (*at++ != ',')
			return fail(err, err_len, "versions are separated by commas", value);
	}
}

static bool
test_versions(const struct rule_app_test *test, const void *blob)
{
	const struct tls_record *record = blob;
	uint64_t bit = version_bit(record->rule_version);

	return bit != 0 && ((test->words[0] & bit) != 0 || (test->words[1] != 0 && (test->words[1] & bit) == 0));
}

/* ---- states: words[0] those of which one must be, words[1] those that must not be ---- */

static const struct {
	const char *name;
	uint8_t bit;
} state_names[] = {
	{ "client_hello", TLS_STATE_CLIENT_HELLO },
	{ "server_hello", TLS_STATE_SERVER_HELLO },
	{ "client_keyx", TLS_STATE_CLIENT_KEYX },
	{ "server_keyx", TLS_STATE_SERVER_KEYX },
};

static int
setup_states(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	const char *at = value;

	memset(out, 0, sizeof(*out));
	for (;;) {
		uint8_t bit = 0;
		bool negated;
		size_t len;

		at = skip_blanks(at);
		negated = *at == '!';
		at = skip_blanks(at + negated);
		len = strcspn(at, ",| \t");
		for (unsigned int i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++)
			if (strlen(state_names[i].name) == len && strncasecmp(state_names[i].name, at, len) == 0)
				bit = state_names[i].bit;
		if (bit == 0)
			return fail(err, err_len, "wanted client_hello, server_hello, client_keyx or server_keyx", value);
		out->words[negated] |= bit;
		at = skip_blanks(at + len);
		if (*at == '\0')
			return 0;
		if (*at != ',' && *at != '|')
			return fail(err, err_len, "states are separated by commas", value);
		at++;
	}
}

static bool
test_states(const struct rule_app_test *test, const void *blob)
{
	const struct tls_record *record = blob;

	if (record->states == 0)
		return false;
	return (test->words[0] == 0 || (test->words[0] & record->states) != 0) && (test->words[1] & record->states) == 0;
}

/* ---- times ---- */

static int
setup_nothing(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	memset(out, 0, sizeof(*out));
	return *value == '\0' ? 0 : fail(err, err_len, "no value is wanted", value);
}

static bool
test_expired(const struct rule_app_test *test, const void *blob)
{
	const struct tls_record *record = blob;

	(void)test;
	return record_is_present(record, TLS_HAS_NOTAFTER) && record->now_s > record->cert.not_after_s;
}

static bool
test_valid(const struct rule_app_test *test, const void *blob)
{
	const struct tls_record *record = blob;

	(void)test;
	return record_is_present(record, TLS_HAS_NOTAFTER) && record_is_present(record, TLS_HAS_NOTBEFORE) &&
		record->now_s >= record->cert.not_before_s && record->now_s <= record->cert.not_after_s;
}

/* Fits rule_app_test.words. A date stands for all the time that it leaves open: "2024" is a year. */
struct period {
	int64_t first_s, last_s;
};
static_assert(sizeof(struct period) <= sizeof(struct rule_app_test), "a test fits");

static int64_t
seconds_of(const int part[6])
{
	static const int days_before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t years = part[0] - 1; /* that are over */
	bool leap = (part[0] % 4 == 0 && part[0] % 100 != 0) || part[0] % 400 == 0;
	int64_t days = years * 365 + years / 4 - years / 100 + years / 400 - 719162;

	days += days_before[part[1] - 1] + (leap && part[1] > 2) + part[2] - 1;
	return ((days * 24 + part[3]) * 60 + part[4]) * 60 + part[5];
}

/* YYYY[-MM[-DD[T| HH[:MM[:SS]]]]]: from its first second to its last. */
static bool
take_date(const char **at, struct period *period)
{
	static const char before[][3] = { "", "-", "-", "T ", ":", ":" };
	static const int least[] = { 1900, 1, 1, 0, 0, 0 }, most[] = { 9999, 12, 31, 23, 59, 59 };
	int part[6] = { 0, 1, 1, 0, 0, 0 };
	unsigned int count = 0;

	*at = skip_blanks(*at);
	while (count < 6 && (count == 0 || (**at != '\0' && strchr(before[count], **at) != NULL))) {
		char *end;
		const char *from = *at + (count > 0);

		if (*from < '0' || *from > '9')
			break;
		part[count] = (int)strtol(from, &end, 10);
		if (part[count] < least[count] || part[count] > most[count])
			return false;
		*at = end;
		count++;
	}
	period->first_s = seconds_of(part);
	if (count == 1)
		part[0]++;
	else if (count == 2 && ++part[1] > 12) {
		part[1] = 1;
		part[0]++;
	}
	period->last_s = seconds_of(part) - 1 + (count == 3 ? 86400 : count == 4 ? 3600 : count == 5 ? 60 : count == 6 ? 1 : 0);
	*at = skip_blanks(*at);
	return count > 0;
}

static int
setup_period(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	const char *at = skip_blanks(value);
	char sign = *at == '<' || *at == '>' ? *at++ : '\0';
	struct period period, until;

	memset(out, 0, sizeof(*out));
	if (!take_date(&at, &period))
		return fail(err, err_len, "not a date", value);
	if (sign == '\0' && strncmp(at, "<>", 2) == 0) {
		at += 2;
		if (!take_date(&at, &until))
			return fail(err, err_len, "not a date", value);
		period.last_s = until.last_s;
	}
	if (*at != '\0')
		return fail(err, err_len, "not understood", at);
	if (sign == '<')
		period = (struct period){ INT64_MIN, period.first_s - 1 };
	else if (sign == '>')
		period = (struct period){ period.last_s + 1, INT64_MAX };
	memcpy(out->words, &period, sizeof(period));
	return 0;
}

static bool
is_within(const struct rule_app_test *test, int64_t seconds)
{
	const struct period *period = (const void *)test->words;

	return seconds >= period->first_s && seconds <= period->last_s;
}

static bool
test_not_before(const struct rule_app_test *test, const void *blob)
{
	const struct tls_record *record = blob;

	return record_is_present(record, TLS_HAS_NOTBEFORE) && is_within(test, record->cert.not_before_s);
}

static bool
test_not_after(const struct rule_app_test *test, const void *blob)
{
	const struct tls_record *record = blob;

	return record_is_present(record, TLS_HAS_NOTAFTER) && is_within(test, record->cert.not_after_s);
}

const struct rule_app_keyword tls_keywords[] = {
	{ "tls.version", RULE_EITHER, setup_versions, test_versions, "version that the sender's hello offers or chose: 1.0 to 1.3" },
	{ "ssl_version", RULE_EITHER, setup_versions, test_versions, "one of a list of sslv2, sslv3, tls1.0 to tls1.3; with ! any but those" },
	{ "ssl_state", RULE_EITHER, setup_states, test_states, "one of client_hello, server_hello, client_keyx, server_keyx, with ! none of them" },
	{ "tls_cert_expired", RULE_EITHER, setup_nothing, test_expired, "the certificate was valid once" },
	{ "tls_cert_valid", RULE_EITHER, setup_nothing, test_valid, "the certificate is valid at the time of the frame" },
	{ "tls_cert_notbefore", RULE_EITHER, setup_period, test_not_before, "valid from: a date, <, >, or from<>to" },
	{ "tls_cert_notafter", RULE_EITHER, setup_period, test_not_after, "valid until: a date, <, >, or from<>to" },
};
static_assert(sizeof(tls_keywords) / sizeof(tls_keywords[0]) == TLS_KEYWORD_COUNT, "each keyword is counted");

/* Suricata's names of buffers that are other paths here, and those that it had before. */
const struct rule_app_buffer tls_buffers[] = {
	{ "tls.cert_subject", "subject" },
	{ "tls_cert_subject", "subject" },
	{ "tls.cert_issuer", "issuerdn" },
	{ "tls_cert_issuer", "issuerdn" },
	{ "tls.cert_serial", "serial" },
	{ "tls_cert_serial", "serial" },
	{ "tls.cert_fingerprint", "fingerprint" },
	{ "tls_cert_fingerprint", "fingerprint" },
	{ "tls.subjectaltname", "subjectaltname.name" },
	{ "tls.certs", "certs.der" },
	{ "tls.sni", "sni" },
	{ "tls_sni", "sni" },
	{ "tls.alpn", "alpn.name" },
	{ "ja3.hash", "ja3.hash" },
	{ "ja3_hash", "ja3.hash" },
	{ "ja3.string", "ja3.string" },
	{ "ja3_string", "ja3.string" },
	{ "ja3s.hash", "ja3s.hash" },
	{ "ja3s_hash", "ja3s.hash" },
	{ "ja3s.string", "ja3s.string" },
	{ "ja3s_string", "ja3s.string" },
	{ "ja4.hash", "ja4" },
	{ "ja4_hash", "ja4" },
};
static_assert(sizeof(tls_buffers) / sizeof(tls_buffers[0]) == TLS_BUFFER_COUNT, "each buffer is counted");

/* What only a client's hello says, and only a server's; certificates come from both ends. */
enum rule_direction
tls_buffer_direction(const struct rule_app_buffer *buffer)
{
	static const char *const client[] = { "sni", "ja3.hash", "ja3.string", "ja4" };

	for (unsigned int i = 0; i < sizeof(client) / sizeof(client[0]); i++)
		if (strcmp(buffer->path, client[i]) == 0)
			return RULE_TO_SERVER;
	return strncmp(buffer->path, "ja3s.", 5) == 0 ? RULE_TO_CLIENT : RULE_EITHER;
}
