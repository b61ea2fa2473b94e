/* Keywords about files: their name, size and sums. Which protocols have files is not asked: a file is beside its record. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hex.h"
#include "lib/rule/keyword.h"
#include "lib/rule/rule_files.h"
#include "lib/rule/rule_tests.h"

enum { FILE_TEXT_MAX = 512 };

/* "to_client" or "to_client, REST" in a rule with =>, which is asked with the response. @return 0 or -EINVAL; *value is behind it */
static int
file_direction(struct rule_parser *parser, char **value)
{
	size_t len = *value == NULL ? 0 : strcspn(*value, ", \t");
	bool to_client = len == 9 && strncmp(*value, "to_client", len) == 0;

	if (!to_client && !(len == 9 && strncmp(*value, "to_server", len) == 0))
		return 0;
	if ((parser->draft.flags & RULE_TRANSACTION) == 0)
		return rule_refuse(parser, "a direction is for rules with =>");
	if (!to_client)
		return rule_refuse(parser, "files of requests are over when the response comes: a rule with => looks at those to_client");
	parser->directions |= 1 << RULE_TO_CLIENT;
	*value += len;
	*value = rule_trim(*value);
	if (**value == ',')
		*value = rule_trim(*value + 1);
	return 0;
}

static int
use_name(struct rule_parser *parser)
{
	static const struct rule_buffer buffer = { .kind = BUFFER_FILE_NAME, .app = RULE_APP_NONE };

	return rule_use_buffer(parser, &buffer);
}

int
rule_setup_file_name(struct rule_parser *parser, char *value)
{
	int ret = file_direction(parser, &value);

	if (ret != 0)
		return ret;
	return value != NULL && *value != '\0' ? rule_refuse(parser, "takes no value") : use_name(parser);
}

/* A content of the name; the buffer that stood before is what later contents look into. */
static int
name_content(struct rule_parser *parser, char *content, bool at_end)
{
	int before = parser->buffer;
	int ret = use_name(parser);

	if (ret == 0)
		ret = rule_setup_content(parser, content);
	if (ret == 0)
		ret = rule_setup_nocase(parser, NULL);
	if (ret == 0 && at_end)
		ret = rule_setup_endswith(parser, NULL);
	parser->buffer = before;
	parser->last_content = NULL;
	return ret;
}

/* [!]"text" with prefix before the text, as content takes it. */
static int
quoted_content(struct rule_parser *parser, char *value, const char *prefix, bool at_end)
{
	if (file_direction(parser, &value) != 0)
		return -EINVAL;
	char text[FILE_TEXT_MAX];
	bool negated = *value == '!';
	char *begin = rule_trim(value + negated);
	size_t len = strlen(begin);

	if (len >= 2 && begin[0] == '"' && begin[len - 1] == '"') {
		begin++;
		len -= 2;
	}
	if (len == 0 || len > FILE_TEXT_MAX - 8)
		return rule_refuse(parser, "the text is 1 to %d characters", FILE_TEXT_MAX - 8);
	snprintf(text, sizeof(text), "%s\"%s%.*s\"", negated ? "!" : "", prefix, (int)len, begin);
	return name_content(parser, text, at_end);
}

int
rule_setup_filename(struct rule_parser *parser, char *value)
{
	return quoted_content(parser, value, "", false);
}

int
rule_setup_fileext(struct rule_parser *parser, char *value)
{
	return quoted_content(parser, value, ".", true);
}

int
rule_setup_filesize(struct rule_parser *parser, char *value)
{
	if (file_direction(parser, &value) != 0)
		return -EINVAL;
	parser->draft.flags |= RULE_FILE | RULE_FILE_END;
	return rule_add_number_test(parser, value, NULL, rule_test_file_size, INT64_MAX);
}

/* Nothing is stored, but the rule asks for a file and alerts of it, as where another sensor's file store is off. */
int
rule_setup_filestore(struct rule_parser *parser, char *value)
{
	(void)value;
	parser->draft.flags |= RULE_FILE | RULE_FILESTORE;
	return 0;
}

/* ---- lists of sums ---- */

static int
compare_md5(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static int
compare_sha1(const void *a, const void *b)
{
	return memcmp(a, b, 20);
}

static int
compare_sha256(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static int (*const compare_of[FILE_HASH_COUNT])(const void *, const void *) = {
	[FILE_MD5] = compare_md5, [FILE_SHA1] = compare_sha1, [FILE_SHA256] = compare_sha256,
};

bool
rule_file_hash_listed(const struct rule_file_hashes *list, const uint8_t *digest)
{
	return bsearch(digest, list->digests, list->count, file_hash_lens[list->hash], compare_of[list->hash]) != NULL;
}

/* A sum at the start of a line; what follows it, as a name, is not looked at. */
static bool
line_digest(const char *line, size_t len, unsigned int digest_len, uint8_t *out)
{
	if (len < 2 * (size_t)digest_len || (len > 2 * (size_t)digest_len && hex_digit((uint8_t)line[2 * digest_len]) >= 0))
		return false;
	for (unsigned int i = 0; i < digest_len; i++) {
		int high = hex_digit((uint8_t)line[2 * i]), low = hex_digit((uint8_t)line[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static size_t
count_lines(const char *text)
{
	size_t count = 1;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

/* @return 0, -ENOMEM, -EINVAL with *line set */
static int
hashes_read(struct rule_arena *arena, struct rule_file_hashes *list, const char *text, unsigned int *line)
{
	unsigned int digest_len = file_hash_lens[list->hash];
	uint8_t *digests = rule_arena_alloc(arena, count_lines(text) * digest_len);

	if (digests == NULL)
		return -ENOMEM;
	for (*line = 1; *text != '\0'; ++*line) {
		size_t len = strcspn(text, "\n"), from = strspn(text, " \t\r");

		if (from < len && text[from] != '#') {
			if (!line_digest(text + from, len - from, digest_len, digests + list->count * digest_len))
				return -EINVAL;
			list->count++;
		}
		text += len + (text[len] == '\n');
	}
	if (list->count > 0)
		qsort(digests, list->count, digest_len, compare_of[list->hash]);
	list->digests = digests;
	return 0;
}

static int
hashes_load(struct rule_parser *parser, struct rule_file_hashes *list, const char *name)
{
	char path[4096];
	struct config_error err = { 0 };
	unsigned int line = 0;
	char *text;
	size_t len;

	rule_file_beside(parser, name, path, sizeof(path));
	int ret = rule_file_load(path, &text, &len, &err);

	if (ret != 0)
		return ret == -ENOMEM ? rule_no_memory(parser) : rule_refuse(parser, "%.180s", err.text);
	ret = hashes_read(&parser->set->arena, list, text, &line);
	free(text);
	if (ret == -EINVAL)
		return rule_refuse(parser, "%.120s:%u: no %s begins the line", path, line, file_hash_names[list->hash]);
	return ret == 0 ? 0 : rule_no_memory(parser);
}

static int
setup_hash(struct rule_parser *parser, char *value, enum file_hash hash)
{
	struct rule_test *test = file_direction(parser, &value) != 0 ? NULL : rule_add_test(parser, rule_test_file_hash);
	struct rule_file_hashes *list = rule_arena_alloc(&parser->set->arena, sizeof(*list));

	if (test == NULL)
		return -EINVAL;
	if (list == NULL)
		return rule_no_memory(parser);
	list->hash = (uint8_t)hash;
	test->negated = *value == '!';
	test->hashes = list;
	parser->draft.flags |= RULE_FILE | RULE_FILE_END;
	parser->draft.file_hashes |= (uint8_t)(1u << hash);
	return hashes_load(parser, list, rule_trim(value + test->negated));
}

int
rule_setup_filemd5(struct rule_parser *parser, char *value)
{
	return setup_hash(parser, value, FILE_MD5);
}

int
rule_setup_filesha1(struct rule_parser *parser, char *value)
{
	return setup_hash(parser, value, FILE_SHA1);
}

int
rule_setup_filesha256(struct rule_parser *parser, char *value)
{
	return setup_hash(parser, value, FILE_SHA256);
}
