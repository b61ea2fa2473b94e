/* A rule file's text: it compiles, or each refused rule says why. */
#include "lib/packet/decode_event.h"
#include "lib/rule/rule.h"
#include "lib/stream/stream_event.h"
#include "proto/session.h"
#include "test/fuzz/fuzz_input.h"

static const struct rule_app *apps[PROTO_MAX];
static struct rule_config rule_config;

static struct rule_world
create_world(void)
{
	struct rule_world world = { .apps = apps, .decode_event_find = decode_event_find, .stream_event_find = stream_event_find };
	static struct config *config; /* rule_config lends from it */
	struct config_error err;

	if (config == NULL) {
		FUZZ_MUST(config_load(&config, NULL, &err) == 0);
		FUZZ_MUST(config_apply(config, &rule_knob_table, &rule_config, &err) == 0);
	}
	for (unsigned int i = 0; proto_table[i] != NULL; i++)
		apps[world.app_count++] = &proto_table[i]->app;
	return world;
}

static void
check_ruleset(const struct ruleset *ruleset)
{
	const struct ruleset_stats *stats = ruleset_stats_get(ruleset);
	unsigned int error_count;
	const struct rule_error *errors = ruleset_errors(ruleset, &error_count);

	FUZZ_MUST(stats->rules_loaded == ruleset_count(ruleset));
	for (unsigned int i = 0; i < error_count; i++)
		FUZZ_MUST(errors[i].reason[0] != '\0' && errors[i].line > 0);
	for (unsigned int i = 0; i < ruleset_count(ruleset); i++)
		FUZZ_MUST(ruleset_meta(ruleset, i)->msg != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rule_world world = create_world();
	struct cursor in = cursor_of(data, len);
	struct cursor bytes = fuzz_take(&in, len);
	char *text = strndup((const char *)bytes.pos, cursor_left(&bytes));
	struct ruleset *ruleset;
	struct config_error err;

	if (ruleset_create_text(&ruleset, "fuzz.rules", text, &rule_config, &world, &err) == 0) {
		check_ruleset(ruleset);
		ruleset_destroy(ruleset);
	}
	free(text);
	return 0;
}
