/* Where rules come from: files, directories, globs; and threshold.config, which changes rules by sid. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/rule/keyword.h"
#include "lib/rule/rule_files.h"

enum { FILE_LEN_MAX = 512 * 1024 * 1024, PATH_LEN_MAX = 4096 };

int
rule_file_load(const char *path, char **out, size_t *len, struct config_error *err)
{
	struct stat st;
	/* looked at before it is opened: opening a pipe would wait for its other end */
	bool plain = stat(path, &st) != 0 || S_ISREG(st.st_mode);
	FILE *file = plain ? fopen(path, "re") : NULL;

	if (file == NULL || fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_LEN_MAX) {
		int ret = plain && file == NULL ? -errno : -EINVAL;

		snprintf(err->text, sizeof(err->text), "%.400s: %s", path, ret != -EINVAL ? strerror(-ret) : "not a file that can be read");
		if (file != NULL)
			fclose(file);
		return ret;
	}
	*out = malloc((size_t)st.st_size + 1);
	if (*out == NULL) {
		fclose(file);
		return -ENOMEM;
	}
	*len = fread(*out, 1, (size_t)st.st_size, file);
	if (*len < (size_t)st.st_size || getc(file) != EOF || ferror(file)) {
		int ret = ferror(file) ? -errno : -EAGAIN;

		/* half a file would be half its rules */
		snprintf(err->text, sizeof(err->text), "%.400s: %s", path, ret != -EAGAIN ? strerror(-ret) : "changed while it was read");
		fclose(file);
		free(*out);
		return ret;
	}
	fclose(file);
	/* The mark of UTF-8 that editors put in front. */
	if (*len >= 3 && memcmp(*out, "\xef\xbb\xbf", 3) == 0) {
		*len -= 3;
		memmove(*out, *out + 3, *len);
	}
	(*out)[*len] = '\0';
	return 0;
}

int
rule_setting_load(const char *key, const char *path, char **out, size_t *len, struct config_error *err)
{
	struct config_error why = { "no memory" };
	int ret = rule_file_load(path, out, len, &why);

	if (ret != 0)
		snprintf(err->text, sizeof(err->text), "%s: %.450s", key, why.text);
	return ret;
}

void
rule_file_beside(const struct rule_parser *parser, const char *name, char *out, size_t len)
{
	const char *slash = strrchr(parser->file, '/');
	const char *folder = parser->config->default_rule_path;

	snprintf(out, len, "%.*s/%s", slash == NULL ? 1 : (int)(slash - parser->file), slash == NULL ? "." : parser->file, name);
	if (name[0] != '/' && access(out, R_OK) != 0 && folder != NULL && folder[0] != '\0')
		snprintf(out, len, "%s/%s", folder, name);
	if (name[0] == '/' || access(out, R_OK) != 0)
		snprintf(out, len, "%s", name);
}

static int
file_read(struct rule_parser *parser, const char *path, struct config_error *err)
{
	char *text;
	size_t len;
	int ret = rule_file_load(path, &text, &len, err);

	if (ret != 0)
		return ret;
	ret = rule_parse_text(parser, path, text, len);
	free(text);
	return ret;
}

static bool
is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* glob(3) sorts, so that the order of reading is the same everywhere. */
static int
pattern_read(struct rule_parser *parser, const char *pattern, struct config_error *err)
{
	glob_t found = { 0 };
	int ret = glob(pattern, GLOB_BRACE, NULL, &found);

	if (ret == GLOB_NOMATCH) {
		snprintf(err->text, sizeof(err->text), "rule-files: %.400s: no such file", pattern);
		return -ENOENT;
	}
	if (ret != 0)
		return -ENOMEM;
	for (size_t i = 0; ret == 0 && i < found.gl_pathc; i++)
		if (!is_directory(found.gl_pathv[i]))
			ret = file_read(parser, found.gl_pathv[i], err);
	globfree(&found);
	return ret;
}

static int
entry_read(struct rule_parser *parser, const char *folder, const char *name, struct config_error *err)
{
	char path[PATH_LEN_MAX];
	bool below = name[0] != '/' && folder != NULL && folder[0] != '\0';

	snprintf(path, sizeof(path), "%s%s%s", below ? folder : "", below ? "/" : "", name);
	if (below && strpbrk(name, "*?[{") == NULL && access(path, R_OK) != 0)
		snprintf(path, sizeof(path), "%s", name);
	if (is_directory(path)) {
		size_t len = strlen(path);

		snprintf(path + len, sizeof(path) - len, "/*.rules");
	}
	return pattern_read(parser, path, err);
}

int
rule_files_read(struct rule_parser *parser, const struct rule_config *config, struct config_error *err)
{
	size_t count = json_array_size(config->rule_files);
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < count; i++) {
		const char *name = json_string_value(json_array_get(config->rule_files, i));

		if (name != NULL)
			ret = entry_read(parser, config->default_rule_path, name, err);
	}
	return ret;
}

/* ---- threshold.config ---- */

/** One line: "suppress gen_id 1, sig_id 2, track by_src, ip 10.0.0.0/8", "threshold gen_id 1, sig_id 2, type ..." or
 *  "rate_filter gen_id 1, sig_id 2, track by_src, count 3, seconds 4, new_action pass, timeout 5". */
struct threshold_line {
	bool suppress, rate;
	bool has_gid, has_sid;
	uint32_t gid, sid; /* 0: all */
	uint8_t track;
	const struct rule_addresses *addresses;
	struct rule_threshold threshold;
};

static const struct {
	const char *name;
	uint8_t track;
} suppress_tracks[] = { { "by_src", TRACK_SRC }, { "by_dst", TRACK_DST }, { "by_either", TRACK_BOTH } };

/* @return 1: not a word of these */
static int
threshold_line_word(struct rule_parser *parser, struct threshold_line *line, char *word)
{
	char *argument = word + strcspn(word, " \t");
	int64_t number;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	if (strcmp(word, "gen_id") == 0 || strcmp(word, "sig_id") == 0) {
		if (!rule_integer(argument, &number) || number < 0 || number > UINT32_MAX)
			return rule_refuse(parser, "%s: \"%s\" is not a number from 0 to 4294967295", word, argument);
		*(word[0] == 'g' ? &line->gid : &line->sid) = (uint32_t)number;
		*(word[0] == 'g' ? &line->has_gid : &line->has_sid) = true;
		return 0;
	}
	if (line->suppress && strcmp(word, "ip") == 0)
		return rule_addresses_parse(parser, argument, &line->addresses);
	for (unsigned int i = 0; line->suppress && strcmp(word, "track") == 0 && i < 3; i++)
		if (strcmp(suppress_tracks[i].name, argument) == 0) {
			line->track = suppress_tracks[i].track;
			return 0;
		}
	if (*argument != '\0')
		argument[-1] = ' '; /* whole again for the threshold's own words */
	return 1;
}

/* The next word; the commas of "ip [a,b]" are part of it. */
static char *
threshold_line_split(char **rest)
{
	char *start = *rest == NULL ? NULL : *rest + strspn(*rest, " \t");
	char *list = start != NULL && strncmp(start, "ip", 2) == 0 ? start + 2 + strspn(start + 2, " \t") : NULL;
	char *close = list != NULL && *list == '[' ? strchr(list, ']') : NULL;

	if (close == NULL)
		return rule_split(rest, ',');
	*rest = close[1] == '\0' ? NULL : close + 1 + strspn(close + 1, " \t,");
	close[1] = '\0';
	return start;
}

static int
threshold_line_parse(struct rule_parser *parser, char *text, struct threshold_line *line)
{
	char rest_text[512] = "", *word;

	*line = (struct threshold_line){ .track = TRACK_RULE };
	line->suppress = strncmp(text, "suppress ", 9) == 0;
	line->rate = strncmp(text, "rate_filter ", 12) == 0;
	if (!line->suppress && !line->rate && strncmp(text, "threshold ", 10) != 0 && strncmp(text, "event_filter ", 13) != 0)
		return rule_refuse(parser, "only suppress, threshold, event_filter and rate_filter lines are known");
	text = rule_trim(strchr(text, ' '));
	while ((word = threshold_line_split(&text)) != NULL) {
		int ret = threshold_line_word(parser, line, word);

		if (ret < 0)
			return ret;
		if (ret == 1 && line->suppress)
			return rule_refuse(parser, "\"%s\" is none of gen_id, sig_id, track by_src, by_dst or by_either, and ip", word);
		if (ret == 1)
			snprintf(rest_text + strlen(rest_text), sizeof(rest_text) - strlen(rest_text), "%s%s",
				rest_text[0] != '\0' ? "," : "", word);
	}
	if (!line->has_gid || !line->has_sid)
		return rule_refuse(parser, "gen_id and sig_id are needed; 0 is all");
	if (line->suppress)
		return line->addresses != NULL || line->track == TRACK_RULE ? 0 : rule_refuse(parser, "whom to track is said by ip");
	if (line->rate)
		return rule_rate_parse(parser, rest_text, &line->threshold);
	parser->draft.threshold = (struct rule_threshold){ 0 };
	int ret = rule_setup_threshold(parser, rest_text);

	line->threshold = parser->draft.threshold;
	return ret;
}

static int
threshold_line_apply(struct rule_parser *parser, const struct threshold_line *line, uint32_t *found)
{
	struct ruleset *set = parser->set;

	*found = 0;
	for (uint32_t i = 0; i < set->rule_count; i++) {
		struct rule *rule = set->rules[i];

		if ((line->sid != 0 && rule->meta.sid != line->sid) || (line->gid != 0 && rule->meta.gid != line->gid))
			continue;
		++*found;
		if (!line->suppress) {
			/* what is said here of one rule goes before what it says of itself, and that before what is said here of all */
			if (line->rate)
				rule->rate = line->threshold;
			else if (line->sid != 0 || (rule->flags & RULE_OWN_THRESHOLD) == 0)
				rule->threshold = line->threshold;
			rule->flags |= line->rate || line->sid == 0 ? 0 : RULE_OWN_THRESHOLD;
			continue;
		}
		struct rule_suppress *row = rule_arena_alloc(&set->arena, sizeof(*row));

		if (row == NULL)
			return -ENOMEM;
		row->track = line->addresses == NULL ? TRACK_RULE : line->track == TRACK_RULE ? TRACK_BOTH : line->track;
		row->addresses = line->addresses;
		row->next = rule->suppress;
		rule->suppress = row;
	}
	return 0;
}

/* Cuts the first line off, with those that it goes on in behind a backslash. @return what follows, NULL: nothing */
static char *
threshold_line_cut(char *at, unsigned int *lines)
{
	bool comment = at[strspn(at, " \t")] == '#';

	for (char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		char *last = end;

		++*lines;
		while (last > at && strchr(" \t\r", last[-1]) != NULL)
			last--;
		if (comment || last == at || last[-1] != '\\') {
			*end = '\0';
			return end + 1;
		}
		memset(last - 1, ' ', (size_t)(end + 1 - (last - 1)));
	}
	return NULL;
}

int
rule_thresholds_apply(struct rule_parser *parser, const struct rule_config *config, struct config_error *err)
{
	const char *path = config->threshold_file;
	char *text;
	size_t len;

	if (path == NULL || path[0] == '\0')
		return 0;
	int ret = rule_setting_load("threshold-file", path, &text, &len, err);

	if (ret != 0)
		return ret;
	char *rest = text;

	for (unsigned int number = 1, lines = 0; ret == 0 && rest != NULL; number += lines) {
		char *at = rest;
		struct threshold_line line;

		lines = 0;
		rest = threshold_line_cut(rest, &lines);
		at = rule_trim(at);
		if (*at == '\0' || *at == '#')
			continue;
		parser->reason[0] = '\0';
		ret = threshold_line_parse(parser, at, &line);
		if (ret == -EINVAL) {
			log_warning("rule", "%s:%u: not applied: %s", path, number, parser->reason);
			parser->set->stats.thresholds_failed++;
			ret = 0;
			continue;
		}
		uint32_t found = 0;

		if (ret == 0)
			ret = threshold_line_apply(parser, &line, &found);
		if (ret == 0 && found == 0 && line.sid != 0) {
			log_warning("rule", "%s:%u: no rule that is loaded has gen_id %u, sig_id %u", path, number, line.gid, line.sid);
			parser->set->stats.thresholds_idle++;
		}
	}
	free(text);
	return ret;
}
