/*
 * Rules over records: whatever place a rule is found by (a sieve's lenses, a value, a literal), it fires exactly
 * when all of its conditions hold. The oracle asks every condition of every rule.
 */
#include "lib/rule/rule_sieve.h"
#include "lib/rule/test_toy.h"

enum { RECORDS = 4000, POINTS_MAX = 3 };

static const char rules[] =
	/* by a value of the root: alone, of a list, of a short range, by name */
	"alert toy any any -> any any (toy.unit:3; sid:1;)\n"
	"alert toy any any -> any any (toy.unit:3; toy.request.function:write; sid:2;)\n"
	"alert toy any any -> any any (toy.unit:[1,2,5]; sid:3;)\n"
	"alert toy any any -> any any (toy.unit:2-6; toy.request.flags:final; sid:4;)\n"
	"alert toy any any -> any any (toy.request.function:restart; sid:5;)\n"
	/* by a value behind a list */
	"alert toy any any -> any any (toy.points.index:4; sid:10;)\n"
	"alert toy any any -> any any (toy.points.index:[4,5]; toy.unit:!3; sid:11;)\n"
	"alert toy any any -> any any (toy.points.index:260; sid:12;)\n"
	/* ranges, bits, negations, presence, floating point */
	"alert toy any any -> any any (toy.unit:>5; sid:20;)\n"
	"alert toy any any -> any any (toy.unit:<2; toy.request.function; sid:21;)\n"
	"alert toy any any -> any any (toy.request.function:<7; sid:31;)\n"
	"alert toy any any -> any any (toy.request.function:2<>9; sid:32;)\n"
	"alert toy any any -> any any (toy.request.function:![write,restart]; sid:22;)\n"
	"alert toy any any -> any any (toy.request.function:!write; sid:23;)\n"
	"alert toy any any -> any any (toy.request.function:!1,!2; sid:24;)\n"
	"alert toy any any -> any any (toy.request.flags:final,alarm; sid:25;)\n"
	"alert toy any any -> any any (toy.request.flags:!first; sid:26;)\n"
	"alert toy any any -> any any (toy.points.value:>1.5; sid:27;)\n"
	"alert toy any any -> any any (toy.points.index:>300; sid:28;)\n"
	"alert toy any any -> any any (toy:unit 4; sid:29;)\n"
	"alert toy any any -> any any (toy_indexed:unit 4; sid:30;)\n"
	"alert toy any any -> any any (toy_masked:unit 5; sid:33;)\n"
	/* by a literal of a buffer, the rest verified */
	"alert toy any any -> any any (toy.request.data; content:\"reactor\"; sid:40;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"REACTOR\"; nocase; content:\"stop\"; sid:41;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"reac\"; startswith; sid:42;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"turbine\"; toy.unit:>3; sid:43;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"turbine\"; toy.unit:2; sid:44;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"stop\"; endswith; sid:45;)\n"
	"alert toy any any -> any any (toy.request.data; content:!\"stop\"; sid:46;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"st\"; sid:47;)\n"
	"alert toy any any -> any any (toy.request.data; pcre:\"/tur.*stop/\"; sid:48;)\n"
	"alert toy any any -> any any (toy.request.data; pcre:\"/^(tur|stop)/\"; sid:49;)\n"
	"alert toy any any -> any any (toy.request.data; pcre:\"/^(TUR|rea)/i\"; bsize:>5; sid:50;)\n"
	"alert toy any any -> any any (toy.request.data; bsize:2<>8; sid:51;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"stop\"; startswith; endswith; sid:52;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"a\"; isdataat:10; sid:53;)\n"
	"alert toy any any -> any any (toy.request.data; pcre:\"/[rt]+o[pr]$/\"; content:!\"R\"; sid:54;)\n"
	"alert toy any any -> any any (toy.points.index:4; toy.points.index:260; sid:55;)\n"
	"alert toy any any -> any any (toy.points.index:!4; sid:56;)\n"
	"alert toy any any -> any any (toy.points.index:![4,5]; sid:57;)\n";

/* So few literals that they are looked for one by one, apart from an expression; another only matches at the start. */
static const char few_rules[] =
	"alert toy any any -> any any (toy.request.data; content:\"reactor\"; sid:1;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"STOP\"; nocase; sid:2;)\n"
	"alert toy any any -> any any (toy.request.data; content:\"turbine stop\"; toy.unit:>1; sid:3;)\n"
	"alert toy any any -> any any (toy.request.data; pcre:\"/tur.*st/\"; sid:4;)\n"
	"alert toy any any -> any any (toy.request.data; pcre:\"/^[^u]*u.*stop/\"; sid:5;)\n";

static const char *const texts[] = { "", "stop", "reactor", "Reactor stop", "react", "turbine", "turbine stop", "the reactor's turbine",
	"st", "xxreac" };

static uint64_t
random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Any record, with few values so that rules meet them. */
static const void *
record_make(struct record_builder *builder, void *area, uint64_t *seed)
{
	static const uint16_t functions[] = { 1, 2, 3, 7 }, indexes[] = { 4, 5, 260, 301 };

	record_builder_init(builder, area, RECORD_LEN_MAX);
	struct toy_record *record = record_begin(builder, &toy_table);
	uint64_t bits = random_next(seed);
	const char *text = texts[random_next(seed) % TEST_COUNT(texts)];

	record->head.present = bits & 0xe; /* function, flags, data */
	record->unit = (uint8_t)(bits >> 8 & 7);
	record->function = functions[bits >> 16 & 3];
	record->flags = (uint8_t)(bits >> 24 & 0x83);
	record_put_bytes(builder, &record->data, text, (uint32_t)strlen(text));
	for (unsigned int i = (unsigned int)(bits >> 32) % (POINTS_MAX + 1); i > 0; i--) {
		struct toy_point *point = record_append(builder, &record->points, toy_point_shapes, 0);

		assert_non_null(point);
		point->index = indexes[random_next(seed) & 3];
		point->value = (float)(random_next(seed) % 4);
	}
	return record;
}

/* What the rule itself says of the record, whatever it is found by. */
static bool
rule_says(struct rule_matcher *matcher, const struct rule *rule, const struct packet *packet, const struct rule_message *message)
{
	struct rule_view view = { .matcher = matcher, .packet = packet, .message = message, .phase = PHASE_MESSAGE,
		.to_server = message->to_server, .steps_max = 3000 };

	for (unsigned int i = 0; i < rule->test_count; i++)
		if (!rule->tests[i].fn(&view, &rule->tests[i]))
			return false;
	return rule_verify_buffers(&view, rule);
}

enum { FILLERS = 300, FILLER_SIDS = 1000 };

/* The rules above, with so many others that a sieve does not hold them and a buffer has many literals. */
static char *
many_rules(void)
{
	size_t len = sizeof(rules) + FILLERS * 128;
	char *text = malloc(len);
	size_t at = (size_t)snprintf(text, len, "%s", rules);

	for (unsigned int i = 0; i < FILLERS; i++) {
		if (i % 3 == 0)
			at += (size_t)snprintf(text + at, len - at, "alert toy any any -> any any (toy.request.data; content:\"filler%u\"; sid:%u;)\n", i,
				FILLER_SIDS + i);
		else
			at += (size_t)snprintf(text + at, len - at, "alert toy any any -> any any (toy.request.function:%u; sid:%u;)\n", 1000 + i,
				FILLER_SIDS + i);
	}
	return text;
}

static void
check_places(const char *text)
{
	struct rule_config config = toy_config();
	struct ruleset *set = toy_ruleset(text);
	struct rule_matcher *matcher = NULL;
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	void *area = aligned_alloc(8, RECORD_LEN_MAX);
	struct record_builder builder;
	uint64_t seed = 88172645463325252u;
	unsigned int fired[64] = { 0 }, count;

	config.alerts_max = RULE_HITS_MAX;
	(void)ruleset_errors(set, &count);
	assert_int_equal(count, 0);
	assert_non_null(area);
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (unsigned int n = 0; n < RECORDS; n++) {
		struct rule_message message = { .record = record_make(&builder, area, &seed), .to_server = (n & 1) == 0 };
		struct rule_hits hits = { 0 };
		unsigned int at = 0;

		rule_match_message(matcher, &packet, NULL, &message, &hits);
		for (uint32_t i = 0; i < set->rule_count; i++) {
			bool found = at < hits.count && hits.hit[at].rule_idx == i;

			if (found != rule_says(matcher, set->rules[i], &packet, &message))
				fail_msg("record %u: sid %u %s", n, set->rules[i]->meta.sid, found ? "fired" : "did not fire");
			at += found;
			if (set->rules[i]->meta.sid < FILLER_SIDS)
				fired[set->rules[i]->meta.sid] += found;
		}
		assert_int_equal(at, hits.count);
	}
	for (uint32_t i = 0; i < set->rule_count; i++)
		if (set->rules[i]->meta.sid < FILLER_SIDS && fired[set->rules[i]->meta.sid] == 0)
			fail_msg("sid %u never fired: it tests nothing", set->rules[i]->meta.sid);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	free(area);
}

static void
test_places(void **state)
{
	char *many = many_rules();

	(void)state;
	check_places(rules);
	check_places(few_rules);
	check_places(many);
	free(many);
}

static const struct rule_records *
records_of(const struct ruleset *set)
{
	return set->groups[set->apps[0].group[1]].records;
}

/* All kinds of places and lenses are in use, so that the test above tested them. */
static void
test_places_used(void **state)
{
	char *many = many_rules();
	struct ruleset *set = toy_ruleset(rules), *few = toy_ruleset(few_rules), *large = toy_ruleset(many);
	const struct rule_records *records = records_of(set);
	unsigned int kinds[LENS_SEARCH + 1] = { 0 }, few_kinds[LENS_SEARCH + 1] = { 0 }, through_lists = 0;

	(void)state;
	assert_int_equal(records->sieve_count, 1);
	assert_int_equal(records->index_count + records->scan_count, 0);
	assert_true(records->sieves[0].shelf_count > 1);
	for (uint32_t i = 0; i < records->sieves[0].lens_count; i++)
		kinds[records->sieves[0].lenses[i].kind]++;
	assert_true(kinds[LENS_NUMBER] > 1);
	assert_int_equal(kinds[LENS_NUMBERS], 2); /* by lowest byte and by magnitude */
	assert_int_equal(kinds[LENS_TEXT], 1);
	assert_int_equal(kinds[LENS_SEARCH], 1); /* expressions, and more literals than are looked for one by one */
	assert_int_equal(kinds[LENS_LITERALS], 0);

	records = records_of(few);
	for (uint32_t i = 0; i < records->sieves[0].lens_count; i++)
		few_kinds[records->sieves[0].lenses[i].kind]++;
	assert_int_equal(few_kinds[LENS_LITERALS], 1);
	assert_int_equal(few_kinds[LENS_SEARCH], 1);
	assert_int_equal(few_kinds[LENS_TEXT], 1);
	assert_int_equal(few_kinds[LENS_NUMBER], 1);

	records = records_of(large);
	for (uint32_t i = 0; i < records->index_count; i++)
		through_lists += records->indexes[i].path != NULL;
	assert_true(records->index_count > through_lists);
	assert_int_equal(through_lists, 1);
	assert_int_equal(records->sieve_count, 1);
	assert_int_equal(records->scan_count, 1);
	assert_true(records->scans[0].database->pattern_count >= FILLERS / 3);
	ruleset_destroy(set);
	ruleset_destroy(few);
	ruleset_destroy(large);
	free(many);
}

/* ---- a rule whose threshold has spoken ---- */

static uint64_t
counted(struct rule_matcher *matcher, const char *name)
{
	struct counter_set counters = rule_matcher_counters(matcher);

	for (unsigned int i = 0; i < counters.count; i++)
		if (strcmp(counters.descs[i].name, name) == 0)
			return atomic_load(&counters.values[i]);
	fail_msg("no counter %s", name);
	return 0;
}

/* It is not asked again on the flow and in the direction until its window ends; where it does more than speak it is. */
static void
test_muted(void **state)
{
	struct rule_config config = toy_config();
	struct ruleset *set = toy_ruleset(
		"alert toy any any -> any any (toy.unit:3; threshold:type limit, track by_src, count 2, seconds 60; sid:1;)\n"
		"alert toy any any -> any any (toy.unit:4; flowbits:set,b; threshold:type limit, track by_src, count 2, seconds 60; sid:2;)\n");
	struct rule_matcher *matcher = NULL;
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	struct flow flow = toy_flow(IP_PROTO_TCP), other = toy_flow(IP_PROTO_TCP);
	struct slab *slab = NULL;
	unsigned int alerts = 0;

	(void)state;
	other.flow_id++;
	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	assert_int_equal(rule_matcher_create(&matcher, set, &config, slab), 0);
	for (uint64_t second = 0; second < 120; second++) {
		struct toy_record record = { .unit = (uint8_t)(3 + second % 2) };
		struct rule_message message = { .record = &record, .to_server = true };
		struct rule_hits hits = { 0 };

		packet.ts_ns = (1000 + second) * 1000000000;
		rule_match_message(matcher, &packet, &flow, &message, &hits);
		alerts += hits.count;
	}
	assert_int_equal(alerts, 8); /* each rule twice in each window */
	assert_int_equal(counted(matcher, "rule.muted"), 55);
	assert_int_equal(counted(matcher, "rule.suppressed"), 57);
	for (unsigned int i = 0; i < 2; i++) { /* another flow of the same host finds that it has spoken, too */
		struct toy_record record = { .unit = 3 };
		struct rule_message message = { .record = &record, .to_server = true };
		struct rule_hits hits = { 0 };

		rule_match_message(matcher, &packet, &other, &message, &hits);
		assert_int_equal(hits.count, 0);
		assert_int_equal(counted(matcher, "rule.muted"), 55 + i);
	}
	rule_flow_end(matcher, &flow);
	for (unsigned int i = 0; i < 2; i++) { /* what was silenced goes with the flow, also where the next one has its id */
		struct toy_record record = { .unit = 3 };
		struct rule_message message = { .record = &record, .to_server = true };
		struct rule_hits hits = { 0 };

		rule_match_message(matcher, &packet, &flow, &message, &hits);
		assert_int_equal(counted(matcher, "rule.muted"), 56 + i);
	}
	rule_flow_end(matcher, &flow);
	rule_flow_end(matcher, &other);
	assert_int_equal(slab_used(slab), 0);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
	slab_destroy(slab);
}

/* A worker without memory asks again; no flow bit was lost by that. */
static void
test_muted_without_memory(void **state)
{
	struct rule_config config = toy_config();
	struct ruleset *set = toy_ruleset(
		"alert toy any any -> any any (toy.unit:3; threshold:type limit, track by_src, count 1, seconds 60; sid:1;)\n");
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	struct flow flow = toy_flow(IP_PROTO_TCP);
	struct rule_matcher *matcher = NULL;
	unsigned int alerts = 0;

	(void)state;
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct toy_record record = { .unit = 3 };
		struct rule_message message = { .record = &record, .to_server = true };
		struct rule_hits hits = { 0 };

		rule_match_message(matcher, &packet, &flow, &message, &hits);
		alerts += hits.count;
	}
	assert_int_equal(alerts, 1);
	assert_int_equal(counted(matcher, "rule.muted"), 0);
	assert_int_equal(counted(matcher, "rule.flow_bits_full"), 0);
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
}

/* What a set has muted on a flow says nothing about the rules of the next one. */
static void
test_muted_before_reload(void **state)
{
	static const char *const sets[2] = {
		"alert toy any any -> any any (toy.unit:3; threshold:type limit, track by_src, count 1, seconds 60; sid:1;)\n",
		"alert toy any any -> any any (toy.unit:3; threshold:type limit, track by_src, count 1, seconds 60; sid:2;)\n" };
	struct rule_config config = toy_config();
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);
	struct flow flow = toy_flow(IP_PROTO_TCP);
	struct rule_matcher *before = NULL;
	struct slab *slab = NULL;

	(void)state;
	assert_int_equal(slab_create(&slab, 1 << 20), 0);
	packet.ts_ns = UINT64_C(1000000000000);
	for (unsigned int i = 0; i < 2; i++) {
		struct ruleset *set = toy_ruleset(sets[i]);
		struct rule_matcher *matcher = NULL;
		struct toy_record record = { .unit = 3 };
		struct rule_message message = { .record = &record, .to_server = true };
		struct rule_hits hits = { 0 };

		assert_int_equal(rule_matcher_create(&matcher, set, &config, slab), 0);
		if (before != NULL)
			rule_matcher_inherit(matcher, before);
		rule_match_message(matcher, &packet, &flow, &message, &hits);
		assert_int_equal(hits.count, 1);
		rule_match_message(matcher, &packet, &flow, &message, &hits);
		assert_int_equal(counted(matcher, "rule.muted"), i + 1);
		rule_matcher_destroy(before);
		before = matcher;
		ruleset_destroy(set);
	}
	rule_flow_end(before, &flow);
	assert_int_equal(slab_used(slab), 0);
	rule_matcher_destroy(before);
	slab_destroy(slab);
}

/* ---- tags ---- */

static unsigned int tags_many;

static unsigned int
toy_tags(const void *record, uint32_t tags[RULE_TAGS_MAX])
{
	tags[0] = 0x100u + ((const struct toy_record *)record)->unit;
	return tags_many > 0 ? tags_many : 1;
}

static bool
toy_tag(const struct rule_app_keyword *keyword, const struct rule_app_test *test, uint32_t *tag)
{
	*tag = 0x100u + (uint32_t)test->words[0];
	return keyword == &toy_keywords[0];
}

static void
test_tags(void **state)
{
	struct rule_app app = toy_app;
	const struct rule_app *const apps[] = { &app };
	const struct rule_world world = { apps, 1, NULL, NULL, false, NULL };
	struct rule_config config = toy_config();
	struct config_error err;
	struct ruleset *set = NULL;
	struct rule_matcher *matcher = NULL;
	struct packet packet = toy_packet(IP_PROTO_TCP, "", 0);

	(void)state;
	app.record_tags = toy_tags;
	app.keyword_tag = toy_tag;
	assert_int_equal(ruleset_create_text(&set, "toy.rules", "alert toy any any -> any any (toy:unit 4; sid:1;)\n"
		"alert toy any any -> any any (toy:unit 5; sid:2;)\n", &config, &world, &err), 0);
	assert_int_equal(rule_matcher_create(&matcher, set, &config, NULL), 0);
	for (tags_many = 0; tags_many <= RULE_TAGS_MAX + 1; tags_many += RULE_TAGS_MAX + 1) {
		for (unsigned int unit = 0; unit < 8; unit++) {
			struct toy_record record = { .unit = (uint8_t)unit };
			struct rule_message message = { .record = &record };
			struct rule_hits hits = { 0 };

			rule_match_message(matcher, &packet, NULL, &message, &hits);
			assert_int_equal(hits.count, unit == 4 || unit == 5);
			if (hits.count > 0)
				assert_int_equal(hits.hit[0].sid, unit - 3);
		}
	}
	tags_many = 0;
	rule_matcher_destroy(matcher);
	ruleset_destroy(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_places_used),
		cmocka_unit_test(test_muted),
		cmocka_unit_test(test_muted_without_memory),
		cmocka_unit_test(test_muted_before_reload),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
