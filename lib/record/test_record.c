#include "test/test.h"

#include <errno.h>
#include <jansson.h>

#include "lib/record/record.h"

struct point {
	struct record_head head;
	uint32_t index;
	float value;
};

struct text_point {
	struct record_head head;
	struct record_ref text;
	uint32_t index;
};

struct object {
	struct record_head head;
	struct record_list points;
	uint8_t group;
};

struct sample {
	struct record_head head;
	struct record_list objects;
	struct record_ref data, numbers;
	struct record_ip ip;
	uint64_t at_ns;
	int32_t delta;
	uint16_t address, quantity;
	uint8_t function, flags;
	uint8_t mac[6];
	bool ok;
};

enum { HAS_READ = 0, HAS_WRITE = 1, HAS_MISC = 2, HAS_OBJECTS = 3, HAS_HIDDEN = 4 };

static const struct field_name function_rows[] = { { 1, "RdCoils" }, { 5, "WrSingleCoil" } };
static const struct field_names functions = FIELD_NAMES(function_rows, "unknown");
static const struct field_name flag_rows[] = { { 0, "con" }, { 7, "restart" } };
static const struct field_names flag_names = FIELD_NAMES(flag_rows, NULL);

#define F(t, type, member, b, path) { path, type, b, 0, offsetof(struct t, member), NULL, NULL, "here", "help" }
static const struct field point_fields[] = {
	F(point, FIELD_U32, index, FIELD_ALWAYS, "index"),
	F(point, FIELD_F32, value, FIELD_ALWAYS, "value"),
};
static const struct record_table point_table = { "point", point_fields, 2, sizeof(struct point) };
static const struct field text_point_fields[] = {
	F(text_point, FIELD_U32, index, FIELD_ALWAYS, "index"),
	F(text_point, FIELD_STRING, text, FIELD_ALWAYS, "value"),
};
static const struct record_table text_point_table = { "text_point", text_point_fields, 2, sizeof(struct text_point) };
static const struct record_table *const point_children[] = { &point_table, &text_point_table, NULL };
static const struct field object_fields[] = {
	F(object, FIELD_U8, group, FIELD_ALWAYS, "group"),
	{ "points", FIELD_LIST, FIELD_ALWAYS, 0, offsetof(struct object, points), NULL, point_children, "", "points" },
};
static const struct record_table object_table = { "object", object_fields, 2, sizeof(struct object) };
static const struct record_table *const object_children[] = { &object_table, NULL };
static const struct field word_fields[] = { F(text_point, FIELD_STRING, text, FIELD_ALWAYS, "word") };
static const struct record_table word_table = { "word", word_fields, 1, sizeof(struct text_point) };
static const struct record_table *const word_children[] = { &word_table, NULL };

struct forms {
	struct record_head head;
	struct record_list one, bare;
};

static const struct field forms_fields[] = {
	{ "one", FIELD_LIST, FIELD_ALWAYS, FIELD_ONE, offsetof(struct forms, one), NULL, point_children, "", "an object" },
	{ "bare", FIELD_LIST, FIELD_ALWAYS, FIELD_BARE, offsetof(struct forms, bare), NULL, word_children, "", "values" },
};
static const struct record_table forms_table = { "forms", forms_fields, 2, sizeof(struct forms) };
static const struct field sample_fields[] = {
	F(sample, FIELD_U8, function, FIELD_ALWAYS, "function_raw"),
	{ "function_code", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct sample, function), &functions, NULL, "", "name" },
	F(sample, FIELD_U16, address, HAS_READ, "request.read.address"),
	F(sample, FIELD_U16, quantity, HAS_READ, "request.read.quantity"),
	F(sample, FIELD_HEX, data, HAS_WRITE, "request.write.data"),
	F(sample, FIELD_U16S, numbers, HAS_WRITE, "request.write.values"),
	F(sample, FIELD_I32, delta, HAS_MISC, "request.delta"),
	F(sample, FIELD_IP, ip, HAS_MISC, "ip"),
	F(sample, FIELD_TIME, at_ns, HAS_MISC, "at"),
	F(sample, FIELD_MAC, mac, HAS_MISC, "mac"),
	F(sample, FIELD_BOOL, ok, HAS_MISC, "ok"),
	{ "indicators", FIELD_NAMES8, HAS_MISC, 0, offsetof(struct sample, flags), &flag_names, NULL, "", "bits" },
	{ "objects", FIELD_LIST, HAS_OBJECTS, 0, offsetof(struct sample, objects), NULL, object_children, "", "list" },
	{ "raw", FIELD_HEX, HAS_WRITE, FIELD_HIDDEN, offsetof(struct sample, data), NULL, NULL, "", "a buffer" },
};
static const struct record_table sample_table = { "sample", sample_fields, TEST_COUNT(sample_fields), sizeof(struct sample) };

static uint8_t area[RECORD_LEN_MAX] __attribute__((aligned(8)));

static struct sample *
build(struct record_builder *b)
{
	struct sample *s;
	struct object *o;
	struct point *p;
	struct text_point *t;
	uint16_t *numbers;

	record_builder_init(b, area, sizeof(area));
	s = record_begin(b, &sample_table);
	s->function = 5;
	record_present(&s->head, HAS_WRITE);
	record_put_bytes(b, &s->data, "\x00\xff\x10", 3);
	numbers = record_reserve(b, &s->numbers, 2, sizeof(*numbers));
	numbers[0] = 7;
	numbers[1] = 65535;
	record_present(&s->head, HAS_MISC);
	s->delta = -3;
	s->ip = (struct record_ip){ .version = 4, .bytes = { 10, 0, 0, 1 } };
	s->at_ns = 1000;
	s->flags = 0x81;
	s->ok = true;
	record_present(&s->head, HAS_OBJECTS);
	for (int i = 0; i < 2; i++) {
		o = record_append(b, &s->objects, object_children, 0);
		o->group = (uint8_t)(30 + i);
		p = record_append(b, &o->points, point_children, 0);
		p->index = (uint32_t)i;
		p->value = 1.5f;
		t = record_append(b, &o->points, point_children, 1);
		t->index = 9;
		record_put_bytes(b, &t->text, i == 0 ? "a" : "b", 1);
	}
	return s;
}

static void
json_has_the_tables_shape(void **state)
{
	static const char want[] =
		"{\"function_raw\":5,\"function_code\":\"WrSingleCoil\",\"request\":{\"write\":{\"data\":\"00ff10\",\"values\":[7,65535]},"
		"\"delta\":-3},\"ip\":\"10.0.0.1\",\"at\":\"1970-01-01T00:00:00.000001+0000\",\"mac\":\"00:00:00:00:00:00\",\"ok\":true,"
		"\"indicators\":[\"con\",\"restart\"],\"objects\":[{\"group\":30,\"points\":[{\"index\":0,\"value\":1.5},"
		"{\"index\":9,\"value\":\"a\"}]},{\"group\":31,\"points\":[{\"index\":1,\"value\":1.5},{\"index\":9,\"value\":\"b\"}]}]}";
	struct record_writer *writer;
	struct record_builder b;
	struct buf out;
	json_t *json;

	assert_null(record_table_check(&sample_table));
	build(&b);
	assert_int_equal(record_writer_create(&writer, &sample_table), 0);
	assert_int_equal(buf_create(&out, 4096), 0);
	record_write_json(writer, &out, b.base, b.len);
	buf_putc(&out, '\0');
	assert_string_equal(out.data, want);
	json = json_loads(out.data, 0, NULL);
	assert_non_null(json);
	json_decref(json);
	buf_reset(&out);
	memset(area, 0, sizeof(struct sample));
	record_write_json(writer, &out, area, sizeof(struct sample));
	buf_putc(&out, '\0');
	assert_string_equal(out.data, "{\"function_raw\":0,\"function_code\":\"unknown\"}");
	buf_destroy(&out);
	record_writer_destroy(writer);
	TEST_FAIL_EACH_ALLOC(record_writer_create(&writer, &sample_table), == 0, record_writer_destroy(writer));
}

struct named {
	struct record_head head;
	uint64_t huge;
	uint32_t wide;
	int8_t less;
	uint8_t small;
};

/* Values that follow one another, that leave holes, that are beyond the index, of names that are long or need an escape. */
static void
names_stand_as_they_are_in_json(void **state)
{
	static const struct field_name rows[] = { { 0, "none" }, { 1, "a \"quoted\" one" }, { 7, "a name of more than thirty-one letters" },
		{ 255, "last" }, { 70000, "far" }, { UINT32_MAX, "farthest" } };
	static const struct field_names open = FIELD_NAMES(rows, NULL), numbered = FIELD_NAMES(rows, "other-"), closed = FIELD_NAMES(rows, "?");
	static const struct field fields[] = {
		{ "huge", FIELD_U64, FIELD_ALWAYS, 0, offsetof(struct named, huge), &open, NULL, "", "" },
		{ "wide", FIELD_U32, FIELD_ALWAYS, 0, offsetof(struct named, wide), &numbered, NULL, "", "" },
		{ "less", FIELD_I8, FIELD_ALWAYS, 0, offsetof(struct named, less), &open, NULL, "", "" },
		{ "small", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct named, small), &closed, NULL, "", "" },
	};
	static const struct record_table table = { "named", fields, TEST_COUNT(fields), sizeof(struct named) };
	static const struct {
		uint64_t value;
		const char *want;
	} cases[] = {
		{ 0, "{\"huge\":\"none\",\"wide\":\"none\",\"less\":\"none\",\"small\":\"none\"}" },
		{ 1, "{\"huge\":\"a \\\"quoted\\\" one\",\"wide\":\"a \\\"quoted\\\" one\",\"less\":\"a \\\"quoted\\\" one\","
		     "\"small\":\"a \\\"quoted\\\" one\"}" },
		{ 6, "{\"huge\":6,\"wide\":\"other-6\",\"less\":6,\"small\":\"?\"}" },
		{ 7, "{\"huge\":\"a name of more than thirty-one letters\",\"wide\":\"a name of more than thirty-one letters\","
		     "\"less\":\"a name of more than thirty-one letters\",\"small\":\"a name of more than thirty-one letters\"}" },
		{ 255, "{\"huge\":\"last\",\"wide\":\"last\",\"less\":\"farthest\",\"small\":\"last\"}" },
		{ 70000, "{\"huge\":\"far\",\"wide\":\"far\",\"less\":112,\"small\":\"?\"}" },
		{ 1023, "{\"huge\":1023,\"wide\":\"other-1023\",\"less\":\"farthest\",\"small\":\"last\"}" },
		{ 1024, "{\"huge\":1024,\"wide\":\"other-1024\",\"less\":\"none\",\"small\":\"none\"}" },
		{ 0xf0, "{\"huge\":240,\"wide\":\"other-240\",\"less\":-16,\"small\":\"?\"}" },
	};
	struct record_writer *writer;
	struct buf out;

	assert_null(record_table_check(&table));
	assert_int_equal(record_writer_create(&writer, &table), 0);
	assert_int_equal(buf_create(&out, 4096), 0);
	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct named named = { .huge = cases[i].value, .wide = (uint32_t)cases[i].value, .less = (int8_t)cases[i].value,
			.small = (uint8_t)cases[i].value };

		buf_reset(&out);
		record_write_json(writer, &out, &named, sizeof(named));
		buf_putc(&out, '\0');
		assert_string_equal(out.data, cases[i].want);
	}
	buf_destroy(&out);
	record_writer_destroy(writer);
	TEST_FAIL_EACH_ALLOC(record_writer_create(&writer, &table), == 0, record_writer_destroy(writer));
}

/* A list of one as an object, a list of texts as an array of strings. */
static void
lists_have_their_forms(void **state)
{
	struct record_writer *writer;
	struct record_builder b;
	struct text_point *word;
	struct forms *forms;
	struct buf out;

	(void)state;
	assert_null(record_table_check(&forms_table));
	assert_int_equal(record_writer_create(&writer, &forms_table), 0);
	assert_int_equal(buf_create(&out, 4096), 0);
	record_builder_init(&b, area, sizeof(area));
	forms = record_begin(&b, &forms_table);
	record_write_json(writer, &out, b.base, b.len);
	((struct point *)record_append(&b, &forms->one, point_children, 0))->index = 4;
	for (unsigned int i = 0; i < 2; i++) {
		word = record_append(&b, &forms->bare, word_children, 0);
		record_put_bytes(&b, &word->text, i == 0 ? "x" : "y", 1);
	}
	record_write_json(writer, &out, b.base, b.len);
	buf_putc(&out, '\0');
	assert_string_equal(out.data, "{\"one\":{},\"bare\":[]}{\"one\":{\"index\":4,\"value\":0.0},\"bare\":[\"x\",\"y\"]}");
	buf_destroy(&out);
	record_writer_destroy(writer);
}

struct mixed {
	struct record_head head;
	struct record_ref values;
};

static const struct field mixed_fields[] = { F(mixed, FIELD_SCALARS, values, FIELD_ALWAYS, "values") };
static const struct record_table mixed_table = { "mixed", mixed_fields, 1, sizeof(struct mixed) };

static void
scalars_are_what_they_say(void **state)
{
	struct record_scalar *scalars;
	struct record_writer *writer;
	struct record_builder b;
	struct mixed *mixed;
	struct buf out;

	(void)state;
	assert_null(record_table_check(&mixed_table));
	assert_int_equal(record_writer_create(&writer, &mixed_table), 0);
	assert_int_equal(buf_create(&out, 4096), 0);
	record_builder_init(&b, area, sizeof(area));
	mixed = record_begin(&b, &mixed_table);
	scalars = record_reserve(&b, &mixed->values, 6, sizeof(*scalars));
	scalars[0] = (struct record_scalar){ .kind = SCALAR_BOOL, .truth = true };
	scalars[1] = (struct record_scalar){ .kind = SCALAR_I64, .i64 = -7 };
	scalars[2] = (struct record_scalar){ .kind = SCALAR_F32, .f32 = 1.5f };
	scalars[3] = (struct record_scalar){ .kind = SCALAR_NULL };
	scalars[4] = (struct record_scalar){ .kind = SCALAR_STRING };
	record_put_bytes(&b, &scalars[4].bytes, "ab", 2);
	scalars[5] = (struct record_scalar){ .kind = SCALAR_HEX, .bytes = { .off = 1 << 20, .count = 4 } };
	record_write_json(writer, &out, b.base, b.len);
	mixed->values.count = UINT32_MAX;
	record_write_json(writer, &out, b.base, b.len);
	buf_putc(&out, '\0');
	assert_string_equal(out.data, "{\"values\":[true,-7,1.5,null,\"ab\",\"\"]}{\"values\":[]}");
	buf_destroy(&out);
	record_writer_destroy(writer);
}

static void
damaged_blobs_stay_inside(void **state)
{
	static uint8_t copy[4096] __attribute__((aligned(8)));
	struct record_writer *writer;
	struct record_builder b;
	struct buf out;
	uint32_t seed = 1;

	assert_int_equal(record_writer_create(&writer, &sample_table), 0);
	assert_int_equal(buf_create(&out, 1 << 20), 0);
	for (int round = 0; round < 20000; round++) {
		uint8_t *exact;

		build(&b);
		memcpy(copy, area, b.len);
		for (int i = 0; i < 4; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % b.len] = (uint8_t)(seed >> 24);
		}
		((struct sample *)copy)->ip.version = 4;
		exact = malloc(b.len); /* so that the address sanitizer sees one byte too far */
		memcpy(exact, copy, b.len);
		buf_reset(&out);
		record_write_json(writer, &out, exact, b.len);
		free(exact);
	}
	buf_destroy(&out);
	record_writer_destroy(writer);
}

static bool
collect(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	uint64_t value;
	const uint8_t *data;
	uint32_t len;
	char *text = arg;

	if (field_get_bytes(field, base, record, &data, &len))
		strncat(text, (const char *)data, len);
	else if (field_get_u64(field, record, &value))
		sprintf(text + strlen(text), "%d ", (int)value);
	return false;
}

static void
paths_lead_through_lists(void **state)
{
	struct record_builder b;
	struct record_path path;
	char text[64] = "";

	build(&b);
	assert_int_equal(record_path_resolve(&sample_table, "objects.points.index", &path), 0);
	record_path_any(&path, b.base, collect, text);
	assert_string_equal(text, "0 1 ");
	assert_int_equal(record_path_next(&sample_table, "objects.points.index", &path), 0);
	record_path_any(&path, b.base, collect, text);
	assert_string_equal(text, "0 1 9 9 ");
	assert_int_equal(record_path_next(&sample_table, "objects.points.index", &path), -ENOENT);
	text[0] = '\0';
	assert_int_equal(record_path_resolve(&sample_table, "objects.points.value", &path), 0);
	assert_int_equal(record_path_next(&sample_table, "objects.points.value", &path), 0);
	record_path_any(&path, b.base, collect, text);
	assert_string_equal(text, "ab");
	text[0] = '\0';
	assert_int_equal(record_path_resolve(&sample_table, "request.delta", &path), 0);
	record_path_any(&path, b.base, collect, text);
	assert_string_equal(text, "-3 ");
	assert_int_equal(record_path_resolve(&sample_table, "objects.nothing", &path), -ENOENT);
	assert_int_equal(record_path_resolve(&sample_table, "request.read.address", &path), 0);
	text[0] = '\0';
	record_path_any(&path, b.base, collect, text);
	assert_string_equal(text, ""); /* not present */
}

struct branch {
	struct record_head head;
	struct record_list words;
};

static const struct field branch_fields[] = {
	{ "words", FIELD_LIST, FIELD_ALWAYS, 0, offsetof(struct branch, words), NULL, word_children, "", "words" },
};
static const struct record_table branch_table = { "branch", branch_fields, 1, sizeof(struct branch) };
static const struct record_table *const node_children[] = { &point_table, &branch_table, NULL };
static const struct field tree_fields[] = {
	{ "nodes", FIELD_LIST, FIELD_ALWAYS, 0, offsetof(struct branch, words), NULL, node_children, "", "nodes" },
};
static const struct record_table tree_table = { "tree", tree_fields, 1, sizeof(struct branch) };

/* A list that children of one shape have: where it would lie in another, there is something else. */
static void
paths_pass_over_other_shapes(void **state)
{
	struct record_builder b;
	struct record_path path;
	struct branch *tree, *branch;
	struct text_point *word;
	char text[64] = "";

	record_builder_init(&b, area, sizeof(area));
	tree = record_begin(&b, &tree_table);
	for (int i = 0; i < 4; i++) {
		if (i % 2 == 0) {
			struct point *p = record_append(&b, &tree->words, node_children, 0);

			p->index = 0x7ffffff0;
			p->value = 1e30f;
			continue;
		}
		branch = record_append(&b, &tree->words, node_children, 1);
		record_present(&branch->head, 0); /* behind a point it is where a list would have its count */
		word = record_append(&b, &branch->words, word_children, 0);
		record_put_bytes(&b, &word->text, i == 1 ? "a" : "b", 1);
	}
	assert_null(record_table_check(&tree_table));
	assert_int_equal(record_path_resolve(&tree_table, "nodes.words.word", &path), 0);
	assert_false(record_path_any(&path, b.base, collect, text));
	assert_string_equal(text, "ab");
}

static void
full_builders_truncate(void **state)
{
	struct record_builder b;
	struct record_ref ref = { 0 };
	struct sample *s;
	struct object *o;

	record_builder_init(&b, area, sizeof(struct sample) + 24);
	s = record_begin(&b, &sample_table);
	record_put_bytes(&b, &ref, "123456789012345678901234567890", 30);
	assert_true(b.truncated);
	assert_int_equal(ref.count, 0);
	o = record_append(&b, &s->objects, object_children, 0);
	assert_null(o);
	assert_int_equal(s->objects.count, 0);
	assert_null(record_reserve(&b, &ref, UINT32_MAX, UINT32_MAX));
	assert_null(record_begin_copy(&b, s, sizeof(struct sample) + 25));
}

static void
names_are_found_both_ways(void **state)
{
	uint32_t value;

	assert_string_equal(field_name_of(&functions, 1), "RdCoils");
	assert_string_equal(field_name_of(&functions, 2), "unknown");
	assert_null(field_name_of(&flag_names, 3));
	assert_true(field_value_of(&functions, "wrsinglecoil", &value));
	assert_int_equal(value, 5);
	assert_false(field_value_of(&functions, "nope", &value));
}

static void
table_check_finds_faults(void **state)
{
	struct field apart[] = { sample_fields[2], sample_fields[0], sample_fields[3] };
	struct field beyond[] = { sample_fields[0] };
	struct record_table table = { "t", apart, 3, sizeof(struct sample) };

	assert_non_null(record_table_check(&table));
	beyond[0].offset = sizeof(struct sample);
	table = (struct record_table){ "t", beyond, 1, sizeof(struct sample) };
	assert_non_null(record_table_check(&table));
}

static void
reference_names_every_field(void **state)
{
	struct buf out;

	assert_int_equal(buf_create(&out, 1 << 16), 0);
	record_reference(&sample_table, true, &out);
	buf_putc(&out, '\0');
	assert_non_null(strstr(out.data, "`sample.objects.points.value`"));
	assert_non_null(strstr(out.data, "RdCoils"));
	buf_destroy(&out);
}

/* A bar within a cell would end it; a list that is too long for one is on the page of names, as rules write it. */
static void
reference_holds_any_name(void **state)
{
	static const struct field_name long_rows[] = { { 1, "READ | COILS" }, { 2, "a" }, { 3, "b" }, { 4, "c" }, { 5, "d" }, { 6, "e" }, { 7, "f" },
		{ 8, "g" }, { 9, "one, two" } };
	static const struct field_names long_names = FIELD_NAMES(long_rows, NULL);
	static const struct field fields[] = {
		{ "kind", FIELD_U8, FIELD_ALWAYS, 0, 0, &long_names, NULL, "here", "this|that" },
		{ "again", FIELD_U8, FIELD_ALWAYS, 0, 0, &long_names, NULL, "here", "help" },
		{ "function", FIELD_U8, FIELD_ALWAYS, 0, 0, &functions, NULL, "here", "help" },
	};
	const struct record_table table = { "t", fields, TEST_COUNT(fields), 8 };
	struct buf out;

	assert_int_equal(buf_create(&out, 1 << 16), 0);
	record_reference(&table, true, &out);
	buf_putc(&out, '\0');
	assert_non_null(strstr(out.data, "| `t.kind` | name: READ \\| COILS, a, b, c, d, e, f, g, … ([9 names](names.md#t)) | this\\|that | here |\n"));
	assert_non_null(strstr(out.data, "| key and rule keyword |"));
	buf_reset(&out);
	record_reference(&table, false, &out);
	buf_putc(&out, '\0');
	assert_non_null(strstr(out.data, "| key | type |"));
	buf_reset(&out);
	record_reference_names(&table, &out);
	buf_putc(&out, '\0');
	assert_string_equal(out.data, "\n`t.kind`: 1 `READ | COILS`, 2 `a`, 3 `b`, 4 `c`, 5 `d`, 6 `e`, 7 `f`, 8 `g`, 9 `\"one, two\"`\n");
	buf_destroy(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_the_tables_shape), cmocka_unit_test(names_stand_as_they_are_in_json),
		cmocka_unit_test(lists_have_their_forms),
		cmocka_unit_test(scalars_are_what_they_say),
		cmocka_unit_test(damaged_blobs_stay_inside),
		cmocka_unit_test(paths_lead_through_lists),
		cmocka_unit_test(paths_pass_over_other_shapes),
		cmocka_unit_test(full_builders_truncate),
		cmocka_unit_test(names_are_found_both_ways),
		cmocka_unit_test(table_check_finds_faults),
		cmocka_unit_test(reference_names_every_field),
		cmocka_unit_test(reference_holds_any_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
