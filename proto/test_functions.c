/* What stores and the command line call functions is what the protocols' field tables write. */
#include "lib/store/function.h"
#include "proto/proto.h"
#include "test/test.h"

enum place { PLACE_NONE, PLACE_OBJECT, PLACE_NUMBER, PLACE_NAME };

static bool
is_number(const struct field *field)
{
	return field->names == NULL && field->type >= FIELD_U8 && field->type <= FIELD_U64;
}

/* What a record of the protocols has at a dotted path that begins with the protocol's object. */
static enum place
place_of(const char *path)
{
	size_t object_len = strcspn(path, ".");
	const char *below = path + object_len + 1;

	for (unsigned int i = 0; proto_table[i] != NULL; i++) {
		const struct record_table *table = proto_table[i]->app.record;

		if (strlen(table->name) != object_len || memcmp(table->name, path, object_len) != 0)
			continue;
		for (uint16_t j = 0; j < table->field_count; j++) {
			const struct field *field = &table->fields[j];

			if ((field->flags & FIELD_HIDDEN) != 0)
				continue;
			if (strcmp(field->path, below) == 0 && field->type == FIELD_LIST)
				return (field->flags & FIELD_ONE) != 0 ? PLACE_OBJECT : PLACE_NONE;
			if (strcmp(field->path, below) == 0)
				return is_number(field) ? PLACE_NUMBER : PLACE_NAME;
			if (strncmp(field->path, below, strlen(below)) == 0 && field->path[strlen(below)] == '.')
				return PLACE_OBJECT;
		}
	}
	return PLACE_NONE;
}

static void
test_places(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < store_function_count; i++) {
		const struct store_function *function = &store_functions[i];

		if (place_of(function->code) != (function->fixed != 0 ? PLACE_OBJECT : PLACE_NUMBER))
			fail_msg("%s: no such place in the protocol's events", function->code);
		if (function->name != NULL && place_of(function->name) != PLACE_NAME)
			fail_msg("%s: no such name in the protocol's events", function->name);
	}
	assert_int_equal(place_of("modbus.request.no_such"), PLACE_NONE);
	assert_int_equal(place_of("none.request"), PLACE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_places) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
