/* Suricata's keywords of DCE/RPC that are more than a field. */
#include "proto/smb/smb.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANGES_MAX = 8, VERSION_ANY = 0, VERSION_EQUAL = '=', VERSION_NOT = '!', VERSION_BELOW = '<', VERSION_ABOVE = '>' };

struct iface_test {
	uint8_t uuid[SMB_UUID_LEN];
	uint16_t version;
	uint8_t sign;
};

struct opnum_test {
	uint16_t low[RANGES_MAX], high[RANGES_MAX];
	uint8_t count;
};

static_assert(sizeof(struct iface_test) <= sizeof(struct rule_app_test), "a test fits");
static_assert(sizeof(struct opnum_test) <= sizeof(struct rule_app_test), "a test fits");

static int
fail(char *err, size_t err_len, const char *what, const char *value)
{
	snprintf(err, err_len, "%s: \"%.64s\"", what, value);
	return -EINVAL;
}

static const char *
skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* Hexadecimal digits with hyphens anywhere between bytes. */
static bool
take_uuid(const char **at, uint8_t uuid[SMB_UUID_LEN])
{
	for (unsigned int i = 0; i < SMB_UUID_LEN; i++) {
		char digits[3] = "";

		while (**at == '-')
			(*at)++;
		for (unsigned int d = 0; d < 2; d++) {
			if (!isxdigit((unsigned char)**at))
				return false;
			digits[d] = *(*at)++;
		}
		uuid[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

/* "UUID[,[=<>!]version][,any_frag]" */
static int
setup_iface(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct iface_test test = { 0 };
	const char *at = skip_blanks(value);

	if (!take_uuid(&at, test.uuid))
		return fail(err, err_len, "not the UUID of an interface", value);
	at = skip_blanks(at);
	while (*at == ',') {
		char *end;

		at = skip_blanks(at + 1);
		if (strncmp(at, "any_frag", 8) == 0) {
			at = skip_blanks(at + 8);
			continue;
		}
		test.sign = VERSION_EQUAL;
		if (strchr("=<>!", *at) != NULL && *at != '\0')
			test.sign = (uint8_t)*at++;
		test.version = (uint16_t)strtoul(at, &end, 10);
		if (end == at)
			return fail(err, err_len, "not the version of an interface", at);
		at = skip_blanks(end);
	}
	if (*at != '\0')
		return fail(err, err_len, "not understood", at);
	memset(out, 0, sizeof(*out));
	memcpy(out->words, &test, sizeof(test));
	return 0;
}

static bool
test_iface(const struct rule_app_test *compiled, const void *blob)
{
	const struct iface_test *test = (const void *)compiled->words;
	const struct smb_record *record = blob;

	if (!record->has_iface || memcmp(record->iface, test->uuid, SMB_UUID_LEN) != 0)
		return false;
	switch (test->sign) {
	case VERSION_EQUAL:
		return record->iface_version == test->version;
	case VERSION_NOT:
		return record->iface_version != test->version;
	case VERSION_BELOW:
		return record->iface_version < test->version;
	case VERSION_ABOVE:
		return record->iface_version > test->version;
	default:
		return true;
	}
}

/* "15,18-20" */
static int
setup_opnum(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct opnum_test test = { 0 };
	const char *at = value;

	for (;;) {
		char *end;
		unsigned long low = strtoul(skip_blanks(at), &end, 10), high = low;

		if (end == at || test.count == RANGES_MAX || !isdigit((unsigned char)*skip_blanks(at)))
			return fail(err, err_len, "not operation numbers, at most eight", value);
		at = skip_blanks(end);
		if (*at == '-') {
			at = skip_blanks(at + 1);
			high = strtoul(at, &end, 10);
			if (end == at)
				return fail(err, err_len, "not a range", value);
			at = skip_blanks(end);
		}
		if (low > UINT16_MAX || high > UINT16_MAX || high < low)
			return fail(err, err_len, "not a range", value);
		test.low[test.count] = (uint16_t)low;
		test.high[test.count++] = (uint16_t)high;
		if (*at == '\0')
			break;
		if (*at++ != ',')
			return fail(err, err_len, "not understood", value);
	}
	memset(out, 0, sizeof(*out));
	memcpy(out->words, &test, sizeof(test));
	return 0;
}

static bool
test_opnum(const struct rule_app_test *compiled, const void *blob)
{
	const struct opnum_test *test = (const void *)compiled->words;
	const struct smb_record *record = blob;

	if (!record_is_present(record, SMB_HAS_RPC_OPNUM))
		return false;
	for (unsigned int i = 0; i < test->count; i++)
		if (record->opnum >= test->low[i] && record->opnum <= test->high[i])
			return true;
	return false;
}

const struct rule_app_keyword smb_keywords[] = {
	{ "dcerpc.iface", RULE_TO_SERVER, setup_iface, test_iface, "UUID[,[=<>!]version]: interface of a request over a pipe" },
	{ "dce_iface", RULE_TO_SERVER, setup_iface, test_iface, "as dcerpc.iface" },
	{ "dcerpc.opnum", RULE_TO_SERVER, setup_opnum, test_opnum, "15,18-20: operation of a request over a pipe" },
	{ "dce_opnum", RULE_TO_SERVER, setup_opnum, test_opnum, "as dcerpc.opnum" },
};
static_assert(sizeof(smb_keywords) / sizeof(smb_keywords[0]) == SMB_KEYWORD_COUNT, "each keyword is counted");
