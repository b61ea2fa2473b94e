/* Hot: one condition each, of a protocol's record or of a file. A condition about a field that is not there does not hold. */
#include "lib/rule/rule_tests.h"

static bool
field_number(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct rule_test *test = arg;
	uint64_t value;

	(void)base;
	return field_get_u64(field, record, &value) && rule_numbers_match(&test->numbers, (int64_t)value);
}

static bool
field_real(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct rule_test *test = arg;
	const uint8_t *at = (const uint8_t *)record + field->offset;
	float single;
	double value;

	(void)base;
	if (!record_is_present(record, field->bit))
		return false;
	if (field->type == FIELD_F32) {
		memcpy(&single, at, sizeof(single));
		value = single;
	} else {
		memcpy(&value, at, sizeof(value));
	}
	return rule_numbers_match_double(&test->numbers, value);
}

static bool
field_present(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	(void)base;
	(void)arg;
	return record_is_present(record, field->bit);
}

static bool
field_array(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct rule_test *test = arg;
	size_t size = rule_array_size(field);
	struct record_ref ref;

	if (!record_is_present(record, field->bit))
		return false;
	memcpy(&ref, (const uint8_t *)record + field->offset, sizeof(ref));
	for (uint32_t i = 0; i < ref.count; i++) {
		uint32_t value = 0;

		/* Elements are in host order, which is little endian on every supported machine. */
		memcpy(&value, base + ref.off + i * size, size);
		if (rule_numbers_match(&test->numbers, value))
			return true;
	}
	return false;
}

struct array {
	const uint8_t *at;
	size_t size;
};

/* Elements are in host order, which is little endian on every supported machine. */
static int64_t
array_number(const void *list, uint32_t i)
{
	const struct array *array = list;
	uint32_t value = 0;

	memcpy(&value, array->at + i * array->size, array->size);
	return value;
}

/* Certain elements of an array, or how many there are. */
static bool
field_element(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	struct array array = { .size = rule_array_size(field) };
	struct record_ref ref = { 0 };

	if (record_is_present(record, field->bit))
		memcpy(&ref, (const uint8_t *)record + field->offset, sizeof(ref));
	array.at = base + ref.off;
	return rule_elements_hold(arg, ref.count, array_number, &array);
}

static bool
scalar_matches(const struct rule_numbers *numbers, const struct record_scalar *scalar)
{
	switch ((enum record_scalar_kind)scalar->kind) {
	case SCALAR_BOOL:
		return rule_numbers_match(numbers, scalar->truth);
	case SCALAR_U64:
	case SCALAR_I64:
	case SCALAR_TIME:
		return rule_numbers_match(numbers, scalar->i64);
	case SCALAR_F32:
		return rule_numbers_match_double(numbers, (double)scalar->f32);
	case SCALAR_F64:
		return rule_numbers_match_double(numbers, scalar->f64);
	default:
		return false;
	}
}

static bool
field_scalars(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct rule_test *test = arg;
	struct record_ref ref;

	if (!record_is_present(record, field->bit))
		return false;
	memcpy(&ref, (const uint8_t *)record + field->offset, sizeof(ref));
	for (uint32_t i = 0; i < ref.count; i++) {
		struct record_scalar scalar;

		memcpy(&scalar, base + ref.off + i * sizeof(scalar), sizeof(scalar));
		if (scalar_matches(&test->numbers, &scalar))
			return true;
	}
	return false;
}

static bool
field_ip(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct rule_test *test = arg;
	struct record_ip ip;
	struct ip_addr addr;

	(void)base;
	memcpy(&ip, (const uint8_t *)record + field->offset, sizeof(ip));
	if (!record_is_present(record, field->bit) || ip.version == 0)
		return false;
	memcpy(addr.bytes, ip.bytes, sizeof(addr.bytes));
	return rule_addresses_match(test->addresses, ip.version, &addr);
}

/* As a number of 48 bits. */
static bool
field_mac(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct rule_test *test = arg;
	const uint8_t *mac = (const uint8_t *)record + field->offset;
	uint64_t value = 0;

	(void)base;
	for (unsigned int i = 0; i < 6; i++)
		value = value << 8 | mac[i];
	return record_is_present(record, field->bit) && rule_numbers_match(&test->numbers, (int64_t)value);
}

/* Of a path that may hold text as well, what is none is no address. */
static bool
field_there(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	struct record_ip ip;

	if (field->type == FIELD_IP) {
		memcpy(&ip, (const uint8_t *)record + field->offset, sizeof(ip));
		if (ip.version == 0)
			return false;
	}
	return field_present(field, base, record, arg);
}

/* Whether a value is there for which fn says so. */
static bool
any_value(const struct rule_test *test, const void *record, record_test fn)
{
	for (unsigned int i = 0; i < test->path_count; i++) {
		const struct record_path *path = &test->paths[i];

		if (path->list_count == 0 ? fn(path->leaf, record, record, (void *)test) : record_path_any(path, record, fn, (void *)test))
			return true;
	}
	return false;
}

/* None of the values is what ![1,2] lists; there is one. */
static bool
test_paths(const struct rule_view *view, const struct rule_test *test, record_test fn)
{
	const void *record = view->message == NULL ? NULL : view->message->record;

	if (record == NULL)
		return false;
	if (any_value(test, record, fn))
		return !test->negated;
	return test->negated && any_value(test, record, field_there);
}

static const record_test value_tests[] = {
	[FIELD_BOOL] = field_number, [FIELD_U8] = field_number, [FIELD_U16] = field_number, [FIELD_U32] = field_number,
	[FIELD_U64] = field_number, [FIELD_I8] = field_number, [FIELD_I16] = field_number, [FIELD_I32] = field_number,
	[FIELD_I64] = field_number, [FIELD_TIME] = field_number, [FIELD_NAMES8] = field_number,
	[FIELD_NAMES16] = field_number, [FIELD_F32] = field_real, [FIELD_F64] = field_real, [FIELD_U8S] = field_array,
	[FIELD_U16S] = field_array, [FIELD_U32S] = field_array, [FIELD_BOOLS] = field_array, [FIELD_SCALARS] = field_scalars,
};

/* A path whose shapes hold values of different types ("objects.points.value"): each is compared as what it is. */
static bool
field_value(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	record_test test = field->type < sizeof(value_tests) / sizeof(value_tests[0]) ? value_tests[field->type] : NULL;

	return test != NULL && test(field, base, record, arg);
}

#define FIELD_TEST(name) \
	bool rule_test_##name(const struct rule_view *view, const struct rule_test *test) \
	{ \
		return test_paths(view, test, name); \
	}

FIELD_TEST(field_number)
FIELD_TEST(field_real)
FIELD_TEST(field_array)
FIELD_TEST(field_element)
FIELD_TEST(field_scalars)
FIELD_TEST(field_value)
FIELD_TEST(field_present)
FIELD_TEST(field_ip)
FIELD_TEST(field_mac)

bool
rule_test_own(const struct rule_view *view, const struct rule_test *test)
{
	const struct rule_message *message = view->message;

	if (message == NULL || message->record == NULL)
		return false;
	if (test->keyword->direction != RULE_EITHER && (test->keyword->direction == RULE_TO_SERVER) != message->to_server)
		return false;
	return test->keyword->test(test->own, message->record);
}

/* Of a file whose end was not seen, its size says only that it is at least as long. */
bool
rule_test_file_size(const struct rule_view *view, const struct rule_test *test)
{
	const struct file *file = view->message == NULL ? NULL : view->message->file;

	if (file == NULL || file->state == FILE_OPEN)
		return false;
	if (file->state == FILE_TRUNCATED && (test->numbers.items[0].op != NUMBER_ABOVE || test->numbers.items[0].negated || test->negated))
		return false;
	return rule_numbers_match(&test->numbers, (int64_t)file->size) != test->negated;
}

bool
rule_test_file_hash(const struct rule_view *view, const struct rule_test *test)
{
	const struct file *file = view->message == NULL ? NULL : view->message->file;

	if (file == NULL || file->state != FILE_CLOSED || (file->hashes >> test->hashes->hash & 1) == 0)
		return false;
	return rule_file_hash_listed(test->hashes, file->digests[test->hashes->hash]) != test->negated;
}
