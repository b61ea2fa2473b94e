/*
 * Snort's rule keywords for this protocol: iec104_apci_type and iec104_asdu_func. Every other
 * field is a keyword by its path.
 */
#include "proto/iec104/iec104.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static int
refuse(char *err, size_t err_len, const char *value, const char *wanted)
{
	snprintf(err, err_len, "wanted %s, not '%s'", wanted, value);
	return -EINVAL;
}

static int
apci_setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	static const struct {
		const char *name;
		uint8_t format;
	} names[] = {
		{ "i", IEC104_FORMAT_I }, { "information_transfer_format", IEC104_FORMAT_I },
		{ "s", IEC104_FORMAT_S }, { "numbered_supervisory_function", IEC104_FORMAT_S },
		{ "u", IEC104_FORMAT_U }, { "unnumbered_control_function", IEC104_FORMAT_U },
	};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(value, names[i].name) == 0) {
			out->words[0] = names[i].format;
			return 0;
		}
	return refuse(err, err_len, value, "I, S or U");
}

static bool
apci_test(const struct rule_app_test *test, const void *record)
{
	const struct iec104_record *iec104 = record;

	return record_is_present(record, IEC104_HAS_APCI) && iec104->apci_type == test->words[0];
}

static int
func_setup(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	char *end;
	uint32_t type_id;

	memset(out, 0, sizeof(*out));
	if (isdigit((unsigned char)*value)) {
		unsigned long number = strtoul(value, &end, 0);

		if (*end != '\0' || number > UINT8_MAX)
			return refuse(err, err_len, value, "a type identification 0 to 255");
		out->words[0] = number;
		return 0;
	}
	if (!field_value_of(&iec104_type_names, value, &type_id))
		return refuse(err, err_len, value, "a type identification as M_SP_NA_1, or its number");
	out->words[0] = type_id;
	return 0;
}

static bool
func_test(const struct rule_app_test *test, const void *record)
{
	const struct iec104_record *iec104 = record;

	return record_is_present(record, IEC104_HAS_ASDU) && iec104->type_id == test->words[0];
}

bool
iec104_keyword_index(const struct rule_app_keyword *keyword, const struct rule_app_test *test, struct rule_app_index *out)
{
	*out = (struct rule_app_index){ keyword->test == func_test ? "type_id_code" : "apci_type", test->words[0], UINT64_MAX };
	return true;
}

const struct rule_app_keyword iec104_keywords[IEC104_KEYWORD_COUNT] = {
	{ "iec104_apci_type", RULE_EITHER, apci_setup, apci_test, "format of the APDU: I, S or U" },
	{ "iec104_asdu_func", RULE_EITHER, func_setup, func_test, "type identification: a name as C_SC_NA_1, or a number" },
};
