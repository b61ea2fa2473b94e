/* threshold and detection_filter: how often a rule may speak. */
#include <errno.h>
#include <string.h>

#include "lib/rule/keyword.h"

enum { THRESHOLD_SECONDS_MAX = 31536000 };

static const struct {
	const char *word, *argument;
	size_t offset;
	uint8_t value;
} threshold_words[] = {
	{ "type", "limit", offsetof(struct rule_threshold, type), THRESHOLD_LIMIT },
	{ "type", "threshold", offsetof(struct rule_threshold, type), THRESHOLD_THRESHOLD },
	{ "type", "both", offsetof(struct rule_threshold, type), THRESHOLD_BOTH },
	{ "type", "backoff", offsetof(struct rule_threshold, type), THRESHOLD_BACKOFF },
	{ "track", "by_src", offsetof(struct rule_threshold, track), TRACK_SRC },
	{ "track", "by_dst", offsetof(struct rule_threshold, track), TRACK_DST },
	{ "track", "by_both", offsetof(struct rule_threshold, track), TRACK_BOTH },
	{ "track", "by_rule", offsetof(struct rule_threshold, track), TRACK_RULE },
	{ "track", "by_flow", offsetof(struct rule_threshold, track), TRACK_FLOW },
	{ "unique_on", "src_port", offsetof(struct rule_threshold, unique), 1 },
	{ "unique_on", "dst_port", offsetof(struct rule_threshold, unique), 2 },
};

static int
threshold_word(struct rule_parser *parser, struct rule_threshold *threshold, char *word, unsigned int *seen)
{
	char *argument = word + strcspn(word, " \t");
	int64_t number;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	for (unsigned int i = 0; i < sizeof(threshold_words) / sizeof(threshold_words[0]); i++)
		if (strcmp(threshold_words[i].word, word) == 0 && strcmp(threshold_words[i].argument, argument) == 0) {
			((uint8_t *)threshold)[threshold_words[i].offset] = threshold_words[i].value;
			*seen |= word[0] == 't' ? (word[1] == 'y' ? 1u : 2u) : 0;
			return 0;
		}
	if (!rule_integer(argument, &number) || number < 1 || number > THRESHOLD_SECONDS_MAX)
		return rule_refuse(parser, "\"%.30s %.30s\" is not understood", word, argument);
	if (strcmp(word, "count") == 0) {
		threshold->count = (uint32_t)number;
		*seen |= 4;
	} else if (strcmp(word, "seconds") == 0) {
		threshold->seconds = (uint32_t)number;
		*seen |= 8;
	} else if (strcmp(word, "multiplier") == 0) {
		threshold->multiplier = (uint32_t)number;
		*seen |= 16;
	} else {
		return rule_refuse(parser, "\"%.30s\" is not type, track, count or seconds", word);
	}
	return 0;
}

static int
threshold_parse(struct rule_parser *parser, char *value, struct rule_threshold *threshold, unsigned int wanted)
{
	unsigned int seen = 0;
	char *word;

	if (threshold->type != THRESHOLD_NONE)
		return rule_refuse(parser, "given twice");
	*threshold = (struct rule_threshold){ 0 };
	while ((word = rule_split(&value, ',')) != NULL) {
		int ret = *word == '\0' ? 0 : threshold_word(parser, threshold, word, &seen);

		if (ret != 0)
			return ret;
	}
	if (threshold->type == THRESHOLD_BACKOFF) {
		threshold->seconds = UINT32_MAX;
		wanted = 23;
	}
	if ((seen & wanted) != wanted)
		return rule_refuse(parser, "%strack, count and %s are all needed", (wanted & 1) != 0 ? "type, " : "",
			(wanted & 16) != 0 ? "multiplier" : "seconds");
	return 0;
}

int
rule_setup_threshold(struct rule_parser *parser, char *value)
{
	parser->draft.flags |= RULE_OWN_THRESHOLD;
	return threshold_parse(parser, value, &parser->draft.threshold, 15);
}

/* A word of rate_filter's own. @return 1: not one */
static int
rate_word(struct rule_parser *parser, struct rule_threshold *rate, const char *word)
{
	static const struct {
		const char *name;
		uint8_t action;
	} actions[] = { { "alert", RULE_ALERT }, { "pass", RULE_PASS }, { "drop", RULE_DROP }, { "sdrop", RULE_DROP },
		{ "reject", RULE_REJECT } };
	const char *argument = word + strcspn(word, " \t");
	int64_t number;

	argument += strspn(argument, " \t");
	if (strncmp(word, "timeout", 7) == 0) {
		if (!rule_integer(argument, &number) || number < 1 || number > THRESHOLD_SECONDS_MAX)
			return rule_refuse(parser, "\"%.30s\" is not a number of seconds", argument);
		rate->timeout_s = (uint32_t)number;
		return 0;
	}
	if (strncmp(word, "new_action", 10) != 0)
		return 1;
	for (unsigned int i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, argument) == 0) {
			rate->action = actions[i].action;
			rate->type = THRESHOLD_RATE;
			return 0;
		}
	return rule_refuse(parser, "new_action is alert, pass, drop or reject");
}

int
rule_rate_parse(struct rule_parser *parser, char *value, struct rule_threshold *out)
{
	unsigned int seen = 0;
	char *word;

	*out = (struct rule_threshold){ 0 };
	while ((word = rule_split(&value, ',')) != NULL) {
		int ret = *word == '\0' ? 0 : rate_word(parser, out, word);

		if (ret == 1)
			ret = threshold_word(parser, out, word, &seen);
		if (ret != 0)
			return ret;
	}
	return (seen & 14) == 14 && out->type == THRESHOLD_RATE && out->timeout_s > 0
		? 0 : rule_refuse(parser, "track, count, seconds, new_action and timeout are all needed");
}

int
rule_setup_detection_filter(struct rule_parser *parser, char *value)
{
	int ret = threshold_parse(parser, value, &parser->draft.filter, 14);

	parser->draft.filter.type = THRESHOLD_DETECTION;
	return ret;
}
