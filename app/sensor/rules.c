/* `rules`: what becomes of rule files here, without a sensor: which rules load, which not and why, and how one is found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/command.h"
#include "lib/packet/packet.h"
#include "lib/rule/rule.h"
#include "lib/stream/stream.h"

enum { ERRORS_MAX = 100000, REASONS_SHOWN = 40, EXPLAIN_LEN = 64 * 1024 };

static const char usage[] =
	"usage: millrace rules check [-c FILE] [--set KEY=VALUE]... FILE|DIR|GLOB...\n"
	"       millrace rules explain [-c FILE] [--set KEY=VALUE]... SID [FILE|DIR|GLOB]...\n"
	"       millrace rules top [--limit N]\n"
	"without files, those of the configuration; exit status: 0 all rules load, 1 some do not, 2 wrong usage";

/** One row of a table. */
struct tally {
	const char *file;     /* of files */
	char reason[288];     /* of reasons */
	unsigned int loaded, refused;
};

struct tallies {
	struct tally *rows;
	unsigned int count, cap;
};

static struct tally *
tally_of(struct tallies *tallies, const char *file, const char *reason)
{
	for (unsigned int i = 0; i < tallies->count; i++)
		if (reason != NULL ? strcmp(tallies->rows[i].reason, reason) == 0 : strcmp(tallies->rows[i].file, file) == 0)
			return &tallies->rows[i];
	if (tallies->count == tallies->cap) {
		unsigned int cap = tallies->cap == 0 ? 64 : tallies->cap * 2;
		struct tally *grown = realloc(tallies->rows, cap * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		tallies->rows = grown;
		tallies->cap = cap;
	}
	struct tally *row = &tallies->rows[tallies->count++];

	*row = (struct tally){ .file = file };
	snprintf(row->reason, sizeof(row->reason), "%s", reason != NULL ? reason : "");
	return row;
}

static int
by_refused(const void *left, const void *right)
{
	const struct tally *a = left, *b = right;

	return (a->refused < b->refused) - (a->refused > b->refused);
}

/* The set of the files named, or of the configuration. */
static int
rules_load(struct settings *settings, char **files, int file_count, struct ruleset **out)
{
	const struct rule_world world = settings_rule_world(settings);
	json_t *list = file_count > 0 ? json_array() : json_incref(settings->rule.rule_files);
	struct config_error err;

	for (int i = 0; i < file_count; i++)
		json_array_append_new(list, json_string(files[i]));
	settings->rule.rule_files = list;
	settings->rule.errors_max = ERRORS_MAX;
	if (file_count > 0)
		settings->rule.default_rule_path = "";
	int rc = ruleset_create(out, &settings->rule, &world, NULL, &err);

	json_decref(list);
	if (rc != 0)
		fprintf(stderr, "millrace-sensor: %s\n", err.text);
	return rc;
}

/* ---- check ---- */

static void
print_files(const struct ruleset *set, const struct rule_error *errors, unsigned int error_count)
{
	struct tallies files = { 0 };
	struct tally *row;
	unsigned int loaded = ruleset_stats_get(set)->rules_loaded;

	for (unsigned int i = 0; i < ruleset_count(set); i++)
		if (ruleset_meta(set, i)->first && (row = tally_of(&files, ruleset_meta(set, i)->file, NULL)) != NULL)
			row->loaded++;
	for (unsigned int i = 0; i < error_count; i++)
		if ((row = tally_of(&files, errors[i].file, NULL)) != NULL)
			row->refused++;
	printf("%8s %8s %8s  %s\n", "RULES", "LOADED", "REFUSED", "FILE");
	for (unsigned int i = 0; i < files.count; i++)
		printf("%8u %8u %8u  %s\n", files.rows[i].loaded + files.rows[i].refused, files.rows[i].loaded, files.rows[i].refused,
			files.rows[i].file);
	if (files.count != 1)
		printf("%8u %8u %8u  all\n", loaded + error_count, loaded, error_count);
	free(files.rows);
}

static void
print_reasons(const struct rule_error *errors, unsigned int error_count)
{
	struct tallies reasons = { 0 };
	char text[sizeof(((struct tally *)0)->reason)];

	for (unsigned int i = 0; i < error_count; i++) {
		snprintf(text, sizeof(text), "%s%s%s", errors[i].keyword, errors[i].keyword[0] != '\0' ? ": " : "", errors[i].reason);
		struct tally *row = tally_of(&reasons, NULL, text);

		if (row != NULL)
			row->refused++;
	}
	if (reasons.count == 0)
		return;
	qsort(reasons.rows, reasons.count, sizeof(reasons.rows[0]), by_refused);
	printf("\n%8s  %s\n", "REFUSED", "WHY");
	for (unsigned int i = 0; i < reasons.count && i < REASONS_SHOWN; i++)
		printf("%8u  %s\n", reasons.rows[i].refused, reasons.rows[i].reason);
	if (reasons.count > REASONS_SHOWN)
		printf("          ... and %u more reasons\n", reasons.count - REASONS_SHOWN);
	free(reasons.rows);
}

static void
print_warning(const struct rule_meta *meta, const char *text, void *arg)
{
	(void)arg;
	printf("%s:%u: warning: %s (sid %u)\n", meta->file, meta->line, text, meta->sid);
}

static int
check(const struct ruleset *set)
{
	char sid[RULE_SID_TEXT_LEN];
	unsigned int count;
	const struct rule_error *errors = ruleset_errors(set, &count);

	for (unsigned int i = 0; i < count; i++)
		printf("%s:%u:%u: error: %s%s%s%s\n", errors[i].file, errors[i].line, errors[i].column, errors[i].keyword,
			errors[i].keyword[0] != '\0' ? ": " : "", errors[i].reason, rule_error_sid(&errors[i], sid));
	unsigned int warnings = ruleset_warnings(set, print_warning, NULL);

	if (count + warnings > 0)
		printf("\n");
	print_files(set, errors, count);
	print_reasons(errors, count);
	printf("\n%u rules load, %u do not, %u warnings; compiled in %u ms: %u Hyperscan databases, %llu bytes\n",
		ruleset_stats_get(set)->rules_loaded, ruleset_stats_get(set)->rules_failed, warnings, ruleset_stats_get(set)->compile_ms, ruleset_stats_get(set)->databases,
		(unsigned long long)ruleset_stats_get(set)->database_bytes);
	return ruleset_stats_get(set)->rules_failed == 0 ? 0 : 1;
}

/* ---- explain ---- */

/* "9100001" or "1:9100001". */
static int
explain(const struct ruleset *set, const char *which)
{
	const char *colon = strchr(which, ':');
	uint32_t sid = (uint32_t)strtoul(colon == NULL ? which : colon + 1, NULL, 10);
	uint32_t gid = colon == NULL ? 1 : (uint32_t)strtoul(which, NULL, 10);
	unsigned int count;
	const struct rule_error *errors = ruleset_errors(set, &count);
	struct buf out;

	if (buf_create(&out, EXPLAIN_LEN) != 0)
		return 1;
	if (ruleset_explain(set, gid, sid, &out) == 0) {
		printf("%.*s", (int)out.len, out.data);
		buf_destroy(&out);
		return 0;
	}
	buf_destroy(&out);
	for (unsigned int i = 0; i < count; i++)
		if (errors[i].sid == sid) {
			printf("%s:%u:%u: not loaded: %s: %s\n", errors[i].file, errors[i].line, errors[i].column, errors[i].keyword, errors[i].reason);
			return 1;
		}
	fprintf(stderr, "millrace-sensor: no rule of these files has the sid %s\n", which);
	return 1;
}

int
command_rules(int argc, char **argv)
{
	static struct command_args args;
	struct settings settings;
	struct ruleset *set = NULL;
	bool explaining = argc >= 2 && strcmp(argv[1], "explain") == 0;

	if (argc < 2 || (!explaining && strcmp(argv[1], "check") != 0)) {
		fprintf(argc >= 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr, "%s\n", usage);
		return argc >= 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	int rc = command_parse_words(&args, argc - 1, argv + 1, usage);

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (explaining && args.word_count == 0) {
		fprintf(stderr, "%s\n", usage);
		return 2;
	}
	if (command_load(&settings, &args) != 0)
		return 1;
	int skip = explaining ? 1 : 0;

	rc = rules_load(&settings, args.words + skip, args.word_count - skip, &set);
	if (rc == 0)
		rc = explaining ? explain(set, args.words[0]) : check(set);
	else
		rc = 1;
	ruleset_destroy(set);
	settings_destroy(&settings);
	return rc;
}
