/* Suricata's keywords of MQTT that are more than a field: they ask the message at hand. */
#include "proto/mqtt/mqtt.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { INDEX_CURRENT, INDEX_ANY, INDEX_ALL, INDEX_AT };

enum range_kind { RANGE_EXACT, RANGE_NOT, RANGE_BELOW, RANGE_ABOVE, RANGE_BELOW_EQUAL, RANGE_ABOVE_EQUAL, RANGE_BETWEEN };

/* Fits rule_app_test.words. */
struct test {
	uint16_t low, high;
	uint8_t kind;     /* enum range_kind */
	uint8_t index_of; /* INDEX_… */
	int16_t index;
	uint8_t set, clear; /* flags that must be 1 and 0 */
};

static_assert(sizeof(struct test) <= sizeof(struct rule_app_test), "a test fits");

static int
fail(char *err, size_t err_len, const char *what, const char *value)
{
	snprintf(err, err_len, "%s: \"%.64s\"", what, value);
	return -EINVAL;
}

static int
put_test(struct rule_app_test *out, const struct test *test)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->words, test, sizeof(*test));
	return 0;
}

static const struct test *
test_of(const struct rule_app_test *compiled)
{
	return (const void *)compiled->words;
}

static const struct mqtt_message *
current_of(const struct mqtt_record *record)
{
	return record->current == 0 ? NULL : (const void *)((const uint8_t *)record + record->current);
}

static const char *
skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* A number in C notation, at most 65535. @return whether there is one */
static bool
take_number(const char **at, uint16_t *out)
{
	char *end;
	unsigned long value;

	*at = skip_blanks(*at);
	if (**at < '0' || **at > '9')
		return false;
	value = strtoul(*at, &end, 0);
	if (value > UINT16_MAX)
		return false;
	*out = (uint16_t)value;
	*at = skip_blanks(end);
	return true;
}

/* ">5", "<=5", "!5", "5"; "3-5" and "3<>5" are without their ends, as everywhere. */
static bool
take_range(const char **at, struct test *test)
{
	static const struct {
		const char *sign;
		uint8_t kind;
	} signs[] = { { ">=", RANGE_ABOVE_EQUAL }, { "<=", RANGE_BELOW_EQUAL }, { ">", RANGE_ABOVE }, { "<", RANGE_BELOW },
		{ "!=", RANGE_NOT }, { "!", RANGE_NOT }, { "=", RANGE_EXACT } };

	*at = skip_blanks(*at);
	for (unsigned int i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		size_t len = strlen(signs[i].sign);

		if (strncmp(*at, signs[i].sign, len) != 0)
			continue;
		test->kind = signs[i].kind;
		*at += len;
		return take_number(at, &test->low);
	}
	if (!take_number(at, &test->low))
		return false;
	test->high = test->low;
	if (**at == '-' || strncmp(*at, "<>", 2) == 0) {
		*at += **at == '-' ? 1 : 2;
		if (!take_number(at, &test->high) || test->high < test->low + 2)
			return false;
		test->kind = RANGE_BETWEEN;
		test->low++;
		test->high--;
	}
	return true;
}

static bool
in_range(const struct test *test, uint16_t value)
{
	switch ((enum range_kind)test->kind) {
	case RANGE_EXACT:
		return value == test->low;
	case RANGE_NOT:
		return value != test->low;
	case RANGE_BELOW:
		return value < test->low;
	case RANGE_ABOVE:
		return value > test->low;
	case RANGE_BELOW_EQUAL:
		return value <= test->low;
	case RANGE_ABOVE_EQUAL:
		return value >= test->low;
	case RANGE_BETWEEN:
	default:
		return value >= test->low && value <= test->high;
	}
}

/* Behind a comma: which of the transaction's messages, "any" or "all" of them or one by its place from 0. */
static bool
take_index(const char **at, struct test *test)
{
	char *end;
	long index;

	if (**at == '\0')
		return true;
	if (**at != ',')
		return false;
	*at = skip_blanks(*at + 1);
	if (strcasecmp(*at, "any") == 0 || strcasecmp(*at, "all") == 0 || strcasecmp(*at, "all1") == 0) {
		test->index_of = strcasecmp(*at, "any") == 0 ? INDEX_ANY : INDEX_ALL;
		return true;
	}
	index = strtol(*at, &end, 10);
	if (end == *at || *skip_blanks(end) != '\0' || index < -MQTT_TX_TYPES_MAX || index >= MQTT_TX_TYPES_MAX)
		return false;
	test->index_of = INDEX_AT;
	test->index = (int16_t)index;
	return true;
}

/* ---- mqtt.type ---- */

static int
setup_type(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct test test = { 0 };
	const char *at = skip_blanks(value);
	char name[16] = "";
	size_t len = 0;
	uint32_t type;
	bool negated = *at == '!';

	while ((at + negated)[len] != '\0' && strchr(", \t", (at + negated)[len]) == NULL && len + 1 < sizeof(name)) {
		name[len] = (at + negated)[len];
		len++;
	}
	if (field_value_of(&mqtt_types, name, &type)) {
		test.low = test.high = (uint16_t)type;
		test.kind = negated ? RANGE_NOT : RANGE_EXACT;
		at = skip_blanks(at + negated + len);
	} else if (!take_range(&at, &test)) {
		return fail(err, err_len, "not a control packet type", value);
	}
	if (!take_index(&at, &test))
		return fail(err, err_len, "not an index of a message: any, all or a number", value);
	return put_test(out, &test);
}

static bool
test_type(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_record *record = blob;
	const struct test *test = test_of(compiled);
	int at = test->index < 0 ? record->type_count + test->index : test->index;

	if (test->index_of == INDEX_AT)
		return at >= 0 && at < record->type_count && in_range(test, record->types[at]);
	if (test->index_of == INDEX_CURRENT)
		return in_range(test, record->type);
	for (unsigned int i = 0; i < record->type_count; i++)
		if (in_range(test, record->types[i]) != (test->index_of == INDEX_ALL))
			return test->index_of == INDEX_ANY;
	return test->index_of == INDEX_ALL;
}

/* ---- numbers of the message at hand ---- */

static int
setup_number(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct test test = { 0 };
	const char *at = value;

	/* Behind a comma: which element. One message has one code for each filter; any of them counts. */
	if (!take_range(&at, &test) || !take_index(&at, &test))
		return fail(err, err_len, "not a number or range", value);
	return put_test(out, &test);
}

static bool
test_version(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_record *record = blob;

	return in_range(test_of(compiled), record->version);
}

static bool
test_qos(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_message *message = current_of(blob);

	return message != NULL && in_range(test_of(compiled), message->qos);
}

static bool
test_reason(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_message *message = current_of(blob);
	const uint8_t *codes;

	if (message == NULL)
		return false;
	if (record_is_present(message, MQTT_HAS_CODE) && in_range(test_of(compiled), message->code))
		return true;
	if (!record_is_present(message, MQTT_HAS_CODES))
		return false;
	codes = (const uint8_t *)blob + message->codes.off;
	for (uint32_t i = 0; i < message->codes.count; i++)
		if (in_range(test_of(compiled), codes[i]))
			return true;
	return false;
}

/* ---- flags ---- */

struct flag_name {
	const char *name;
	uint8_t flag;
};

/* "dup,!retain": flags that must and must not be set. */
static int
setup_flags(const char *value, const struct flag_name *names, struct rule_app_test *out, char *err, size_t err_len)
{
	struct test test = { 0 };
	const char *at = skip_blanks(value);

	do {
		bool negated = *at == '!';
		size_t len;
		unsigned int i = 0;

		at = skip_blanks(at + negated);
		len = strcspn(at, ", \t");
		while (names[i].name != NULL && (strlen(names[i].name) != len || strncasecmp(names[i].name, at, len) != 0))
			i++;
		if (names[i].name == NULL)
			return fail(err, err_len, "not a flag", at);
		if (negated)
			test.clear |= names[i].flag;
		else
			test.set |= names[i].flag;
		at = skip_blanks(at + len);
		if (*at != '\0' && *at != ',')
			return fail(err, err_len, "flags are separated by commas", at);
		if (*at == ',')
			at = skip_blanks(at + 1);
	} while (*at != '\0');
	return put_test(out, &test);
}

static bool
flags_fit(const struct test *test, uint8_t flags)
{
	return (flags & test->set) == test->set && (flags & test->clear) == 0;
}

enum { FLAG_RETAIN = 1, FLAG_DUP = 8 };

static int
setup_header_flags(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	static const struct flag_name names[] = { { "dup", FLAG_DUP }, { "retain", FLAG_RETAIN }, { NULL, 0 } };

	return setup_flags(value, names, out, err, err_len);
}

static bool
test_header_flags(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_message *message = current_of(blob);

	return message != NULL && flags_fit(test_of(compiled),
		(uint8_t)((message->dup ? FLAG_DUP : 0) | (message->retain ? FLAG_RETAIN : 0)));
}

static int
setup_connect_flags(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	static const struct flag_name names[] = { { "username", MQTT_CONNECT_USERNAME }, { "password", MQTT_CONNECT_PASSWORD },
		{ "will", MQTT_CONNECT_WILL }, { "will_retain", MQTT_CONNECT_WILL_RETAIN },
		{ "clean_session", MQTT_CONNECT_CLEAN }, { NULL, 0 } };

	return setup_flags(value, names, out, err, err_len);
}

static bool
test_connect_flags(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_record *record = blob;
	const struct mqtt_connect *connect = (const void *)current_of(record);

	if (connect == NULL || record->type != MQTT_CONNECT)
		return false;
	return flags_fit(test_of(compiled), (uint8_t)((connect->username_flag ? MQTT_CONNECT_USERNAME : 0) |
		(connect->password_flag ? MQTT_CONNECT_PASSWORD : 0) | (connect->will_flag ? MQTT_CONNECT_WILL : 0) |
		(connect->will_retain ? MQTT_CONNECT_WILL_RETAIN : 0) | (connect->clean_session ? MQTT_CONNECT_CLEAN : 0)));
}

static int
setup_session_present(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	struct test test = { 0 };

	if (strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0)
		test.low = 1;
	else if (strcasecmp(value, "no") != 0 && strcasecmp(value, "false") != 0)
		return fail(err, err_len, "wanted yes, true, no or false", value);
	return put_test(out, &test);
}

static bool
test_session_present(const struct rule_app_test *compiled, const void *blob)
{
	const struct mqtt_record *record = blob;
	const struct mqtt_message *message = current_of(record);

	return message != NULL && record->type == MQTT_CONNACK && in_range(test_of(compiled), message->session_present);
}

/* ---- tags: the packet's type, which most rules name ---- */

unsigned int
mqtt_record_tags(const void *blob, uint32_t tags[RULE_TAGS_MAX])
{
	tags[0] = ((const struct mqtt_record *)blob)->type;
	return 1;
}

bool
mqtt_keyword_tag(const struct rule_app_keyword *keyword, const struct rule_app_test *compiled, uint32_t *tag)
{
	const struct test *test = test_of(compiled);

	if (keyword->test == test_type) {
		*tag = test->low;
		return test->kind == RANGE_EXACT && test->index_of == INDEX_CURRENT;
	}
	*tag = keyword->test == test_connect_flags ? MQTT_CONNECT : MQTT_CONNACK;
	return keyword->test == test_connect_flags || keyword->test == test_session_present;
}

const struct rule_app_keyword mqtt_keywords[] = {
	{ "mqtt.type", RULE_EITHER, setup_type, test_type, "control packet type by name or number; ,N asks the transaction's Nth" },
	{ "mqtt.protocol_version", RULE_EITHER, setup_number, test_version, "version of the connection: 3, 4 or 5" },
	{ "mqtt.flags", RULE_EITHER, setup_header_flags, test_header_flags, "dup and retain, with ! not" },
	{ "mqtt.qos", RULE_EITHER, setup_number, test_qos, "quality of service" },
	{ "mqtt.reason_code", RULE_EITHER, setup_number, test_reason, "reason or return code; of several one" },
	{ "mqtt.connack.return_code", RULE_EITHER, setup_number, test_reason, "as mqtt.reason_code" },
	{ "mqtt.connack.session_present", RULE_EITHER, setup_session_present, test_session_present, "yes or no" },
	{ "mqtt.connect.flags", RULE_EITHER, setup_connect_flags, test_connect_flags,
		"username, password, will, will_retain, clean_session, with ! not" },
};
static_assert(sizeof(mqtt_keywords) / sizeof(mqtt_keywords[0]) == MQTT_KEYWORD_COUNT, "each keyword is counted");

/* Suricata's names of buffers that are other paths here. */
const struct rule_app_buffer mqtt_buffers[] = {
	{ "mqtt.connect.clientid", "connect.client_id" },
	{ "mqtt.connect.password", "connect.secret" },
	{ "mqtt.connect.willtopic", "connect.will.topic" },
	{ "mqtt.connect.willmessage", "connect.will.message" },
	{ "mqtt.publish.message", "publish.payload" },
	{ "mqtt.subscribe.topic", "subscribe.topics.topic" },
	{ "mqtt.unsubscribe.topic", "unsubscribe.topics.topic" },
};
static_assert(sizeof(mqtt_buffers) / sizeof(mqtt_buffers[0]) == MQTT_BUFFER_COUNT, "each buffer is counted");
