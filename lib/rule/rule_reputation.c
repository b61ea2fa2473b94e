/* Reputation lists: rows sorted by prefix length, category and address, looked up by bisection, longest prefix first. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_files.h"
#include "lib/rule/rule_reputation.h"

struct row {
	rule_u128 addr;      /* IPv4 at ::ffff:0:0/96 */
	uint8_t prefix;      /* 0 to 128 */
	uint8_t category, score;
};

struct rule_reputation {
	char *names[REPUTATION_CATEGORY_MAX]; /* by number; NULL: none */
	struct row *rows;
	uint32_t count, cap;
	uint32_t first[130];                  /* of each prefix length in rows; [n + 1] ends n */
};

static int
row_compare(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	if (a->category != b->category)
		return a->category < b->category ? -1 : 1;
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static rule_u128
mask_of(unsigned int prefix)
{
	return prefix == 0 ? 0 : ~(rule_u128)0 << (128 - prefix);
}

int
rule_reputation_score(const struct rule_reputation *reputation, unsigned int category, uint8_t ip_version,
	const struct ip_addr *addr)
{
	rule_u128 value = (rule_u128)__builtin_bswap64(addr->halves[0]) << 64 | __builtin_bswap64(addr->halves[1]);

	if (ip_version == 4)
		value = (rule_u128)0xffff << 32 | __builtin_bswap32(addr->words[0]);
	for (unsigned int prefix = 129; ip_version != 0 && prefix-- > 0;) {
		uint32_t low = reputation->first[prefix], high = reputation->first[prefix + 1];
		const struct row key = { .addr = value & mask_of(prefix), .prefix = (uint8_t)prefix, .category = (uint8_t)category };

		while (low < high) {
			uint32_t middle = (low + high) / 2;
			int order = row_compare(&reputation->rows[middle], &key);

			if (order == 0)
				return reputation->rows[middle].score;
			if (order < 0)
				low = middle + 1;
			else
				high = middle;
		}
	}
	return -1;
}

int
rule_reputation_category(const struct rule_reputation *reputation, const char *name)
{
	for (int i = 0; reputation != NULL && i < REPUTATION_CATEGORY_MAX; i++)
		if (reputation->names[i] != NULL && strcasecmp(reputation->names[i], name) == 0)
			return i;
	return -1;
}

/* ---- reading ---- */

static bool
address_of(const char *text, struct row *row)
{
	char word[64];
	const char *slash = strchr(text, '/');
	uint8_t bytes[16] = { [10] = 0xff, [11] = 0xff };
	int64_t prefix;

	snprintf(word, sizeof(word), "%.*s", slash == NULL ? (int)strlen(text) : (int)(slash - text), text);
	bool v4 = inet_pton(AF_INET, word, bytes + 12) == 1;

	if (!v4 && inet_pton(AF_INET6, word, bytes) != 1)
		return false;
	prefix = v4 ? 32 : 128;
	if (slash != NULL && (!rule_integer(slash + 1, &prefix) || prefix < 0 || prefix > (v4 ? 32 : 128)))
		return false;
	row->prefix = (uint8_t)(v4 ? prefix + 96 : prefix);
	row->addr = 0;
	for (unsigned int i = 0; i < 16; i++)
		row->addr = row->addr << 8 | bytes[i];
	row->addr &= mask_of(row->prefix);
	return true;
}

/* "address[/prefix],category,score" */
static int
score_line(struct rule_reputation *reputation, char *line)
{
	char *address = rule_split(&line, ','), *category = rule_split(&line, ','), *score = rule_split(&line, ',');
	int64_t number, value;
	struct row row;

	if (score == NULL || !address_of(address, &row) || !rule_integer(category, &number) || !rule_integer(score, &value)
		|| number < 0 || number >= REPUTATION_CATEGORY_MAX || value < 0 || value > REPUTATION_SCORE_MAX)
		return -EINVAL;
	row.category = (uint8_t)number;
	row.score = (uint8_t)value;
	if (reputation->count == reputation->cap) {
		uint32_t cap = reputation->cap == 0 ? 1024 : reputation->cap * 2;
		struct row *grown = cap > REPUTATION_ROWS_MAX ? NULL : realloc(reputation->rows, cap * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		reputation->rows = grown;
		reputation->cap = cap;
	}
	reputation->rows[reputation->count++] = row;
	return 0;
}

/* "number,name,description" */
static int
category_line(struct rule_reputation *reputation, char *line)
{
	char *number = rule_split(&line, ','), *name = rule_split(&line, ',');
	int64_t value;

	if (name == NULL || *name == '\0' || !rule_integer(number, &value) || value < 1 || value >= REPUTATION_CATEGORY_MAX)
		return -EINVAL;
	free(reputation->names[value]);
	reputation->names[value] = strdup(name);
	return reputation->names[value] == NULL ? -ENOMEM : 0;
}

static int
lines_read(struct rule_reputation *reputation, const char *path, int (*take)(struct rule_reputation *, char *),
	struct config_error *err)
{
	char *text;
	size_t len;
	int ret = rule_file_load(path, &text, &len, err);

	if (ret != 0)
		return ret;
	char *rest = text;

	for (unsigned int line = 1; ret == 0 && rest != NULL; line++) {
		char *at = rest, *end = strchr(rest, '\n');

		rest = end == NULL ? NULL : end + 1;
		if (end != NULL)
			*end = '\0';
		at = rule_trim(at);
		if (*at != '\0' && *at != '#')
			ret = take(reputation, at);
		if (ret == -EINVAL)
			snprintf(err->text, sizeof(err->text), "%.400s:%u: not \"%s\"", path, line,
				take == score_line ? "address[/prefix],category,score" : "number,name,description");
	}
	free(text);
	return ret;
}

/* Sorts, keeps the last of equal rows, and notes where each prefix length begins. */
static void
rows_finish(struct rule_reputation *reputation)
{
	uint32_t kept = 0;

	if (reputation->count > 0)
		qsort(reputation->rows, reputation->count, sizeof(reputation->rows[0]), row_compare);
	for (uint32_t i = 0; i < reputation->count; i++) {
		if (kept > 0 && row_compare(&reputation->rows[kept - 1], &reputation->rows[i]) == 0)
			kept--;
		reputation->rows[kept++] = reputation->rows[i];
	}
	reputation->count = kept;
	for (uint32_t prefix = 0, at = 0; prefix <= 129; prefix++) {
		while (at < kept && reputation->rows[at].prefix < prefix)
			at++;
		reputation->first[prefix] = at;
	}
}

int
rule_reputation_create(struct rule_reputation **out, const struct rule_config *config, struct config_error *err)
{
	const char *categories = config->reputation_categories_file;
	size_t count = json_array_size(config->reputation_files);
	char path[4096];
	int ret = 0;

	*out = NULL;
	if (categories == NULL || categories[0] == '\0')
		return 0;
	struct rule_reputation *reputation = calloc(1, sizeof(*reputation));

	if (reputation == NULL)
		return -ENOMEM;
	ret = lines_read(reputation, categories, category_line, err);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		const char *name = json_string_value(json_array_get(config->reputation_files, i));
		const char *folder = config->reputation_path;
		bool below = name != NULL && name[0] != '/' && folder != NULL && folder[0] != '\0';

		snprintf(path, sizeof(path), "%s%s%s", below ? folder : "", below ? "/" : "", name == NULL ? "" : name);
		ret = lines_read(reputation, path, score_line, err);
	}
	if (ret != 0) {
		rule_reputation_destroy(reputation);
		return ret;
	}
	rows_finish(reputation);
	*out = reputation;
	return 0;
}

void
rule_reputation_destroy(struct rule_reputation *reputation)
{
	if (reputation == NULL)
		return;
	for (unsigned int i = 0; i < REPUTATION_CATEGORY_MAX; i++)
		free(reputation->names[i]);
	free(reputation->rows);
	free(reputation);
}
