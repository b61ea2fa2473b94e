/* A group's patterns into one Hyperscan database: from the cache, shared with an equal group, or compiled. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "lib/base/log.h"
#include "lib/rule/rule_internal.h"

static const char database_schema[] = "millrace groups 1";

/* Every byte as \xHH: no character of a literal has a meaning of its own then. */
static char *
literal_text(const uint8_t *bytes, uint32_t len)
{
	char *text = malloc(4ul * len + 1);

	for (uint32_t i = 0; text != NULL && i < len; i++)
		snprintf(text + 4ul * i, 5, "\\x%02x", bytes[i]);
	return text;
}

static unsigned int
plan_flags(const struct rule_plan *plan)
{
	unsigned int flags = HS_FLAG_SINGLEMATCH; /* block mode: once for each scan, which is all a candidate needs */

	if (plan->kind == PLAN_LITERAL)
		return flags | HS_FLAG_DOTALL | ((plan->node->flags & NODE_NOCASE) != 0 ? HS_FLAG_CASELESS : 0);
	flags |= HS_FLAG_PREFILTER;
	flags |= (plan->node->pcre.options & PCRE2_CASELESS) != 0 ? HS_FLAG_CASELESS : 0;
	flags |= (plan->node->pcre.options & PCRE2_DOTALL) != 0 ? HS_FLAG_DOTALL : 0;
	return flags | ((plan->node->pcre.options & PCRE2_MULTILINE) != 0 ? HS_FLAG_MULTILINE : 0);
}

static int
patterns_grow(struct rule_patterns *patterns)
{
	uint32_t cap = patterns->cap == 0 ? 64 : patterns->cap * 2;
	const char **texts = realloc(patterns->texts, cap * sizeof(*texts));

	if (texts != NULL)
		patterns->texts = texts;
	unsigned int *flags = texts == NULL ? NULL : realloc(patterns->flags, cap * sizeof(*flags));

	if (flags != NULL)
		patterns->flags = flags;
	uint32_t *rules = flags == NULL ? NULL : realloc(patterns->rules, cap * sizeof(*rules));

	if (rules == NULL)
		return -ENOMEM;
	patterns->rules = rules;
	patterns->cap = cap;
	return 0;
}

int
rule_patterns_add(struct rule_patterns *patterns, const struct rule_plan *plan, uint32_t rule_idx)
{
	bool literal = plan->kind == PLAN_LITERAL;

	if (patterns->count == patterns->cap && patterns_grow(patterns) != 0)
		return -ENOMEM;
	char *text = literal ? literal_text(plan->node->content.bytes + plan->from, plan->count)
			     : strdup(plan->node->pcre.pattern);

	if (text == NULL)
		return -ENOMEM;
	uint32_t len = literal ? plan->count : 1;

	if (patterns->count == 0 || len < patterns->len_min)
		patterns->len_min = len;
	patterns->texts[patterns->count] = text;
	patterns->flags[patterns->count] = plan_flags(plan);
	patterns->rules[patterns->count++] = rule_idx;
	return 0;
}

void
rule_patterns_free(struct rule_patterns *patterns)
{
	for (uint32_t i = 0; i < patterns->count; i++)
		free((char *)patterns->texts[i]);
	free(patterns->texts);
	free(patterns->flags);
	free(patterns->rules);
	*patterns = (struct rule_patterns){ 0 };
}

static void
patterns_remove(struct rule_patterns *patterns, uint32_t at)
{
	free((char *)patterns->texts[at]);
	patterns->count--;
	for (uint32_t i = at; i < patterns->count; i++) {
		patterns->texts[i] = patterns->texts[i + 1];
		patterns->flags[i] = patterns->flags[i + 1];
		patterns->rules[i] = patterns->rules[i + 1];
	}
}

static int
patterns_digest(const struct rule_patterns *patterns, uint8_t out[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	hs_platform_info_t platform = { 0 };
	bool ok = ctx != NULL && hs_populate_platform(&platform) == HS_SUCCESS
		&& EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	const unsigned long long machine[] = { platform.tune, platform.cpu_features, patterns->count };

	ok = ok && EVP_DigestUpdate(ctx, database_schema, sizeof(database_schema)) == 1
		&& EVP_DigestUpdate(ctx, hs_version(), strlen(hs_version()) + 1) == 1
		&& EVP_DigestUpdate(ctx, machine, sizeof(machine)) == 1;
	for (uint32_t i = 0; ok && i < patterns->count; i++)
		ok = EVP_DigestUpdate(ctx, &patterns->flags[i], sizeof(patterns->flags[i])) == 1
			&& EVP_DigestUpdate(ctx, patterns->texts[i], strlen(patterns->texts[i]) + 1) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

/* @return 0, -ENOMEM, or 1: pattern *bad was refused */
static int
database_compile(const struct rule_patterns *patterns, hs_database_t **db, uint32_t *bad)
{
	hs_compile_error_t *error = NULL;
	unsigned int *ids = malloc(patterns->count * sizeof(*ids));

	if (ids == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < patterns->count; i++)
		ids[i] = i;
	hs_error_t ret = hs_compile_ext_multi(patterns->texts, patterns->flags, ids, NULL, patterns->count, HS_MODE_BLOCK, NULL,
		db, &error);

	free(ids);
	if (ret == HS_SUCCESS)
		return 0;
	int index = error == NULL ? -1 : error->expression;
	bool memory = ret == HS_NOMEM || error == NULL || strstr(error->message, "allocate") != NULL;

	if (!memory)
		log_debug("rule", "Hyperscan refuses %s: %s", index < 0 ? "a group" : patterns->texts[index], error->message);
	hs_free_compile_error(error);
	if (memory)
		return -ENOMEM;
	/* A refusal that names no pattern: the set as a whole is too much, the last pattern goes. */
	*bad = index < 0 ? patterns->count - 1 : (uint32_t)index;
	return 1;
}

static const struct rule_database *
database_equal(const struct ruleset *set, const uint8_t digest[32])
{
	const struct rule_database *at = set->databases;

	while (at != NULL && (at->shared || memcmp(at->digest, digest, 32) != 0))
		at = at->next;
	return at;
}

static int
database_obtain(struct ruleset *set, const char *cache_dir, const struct rule_patterns *patterns, struct rule_database *made,
	uint32_t *bad)
{
	if (patterns_digest(patterns, made->digest) != 0)
		return -ENOMEM;
	const struct rule_database *equal = database_equal(set, made->digest);

	if (equal != NULL) {
		made->db = equal->db;
		made->shared = true;
		return 0;
	}
	made->db = rule_cache_load(cache_dir, made->digest, &set->stats);
	if (made->db != NULL)
		return 0;
	int ret = database_compile(patterns, &made->db, bad);

	if (ret == 0)
		rule_cache_store(cache_dir, made->digest, made->db, &set->stats);
	return ret;
}

int
rule_database_make(struct ruleset *set, const char *cache_dir, struct rule_patterns *patterns, struct rule_database **out,
	uint32_t *refused, uint32_t *refused_count)
{
	struct rule_database *made = rule_arena_alloc(&set->arena, sizeof(*made));
	uint32_t bad;
	int ret = 1;

	*out = NULL;
	if (made == NULL)
		return -ENOMEM;
	while (patterns->count > 0 && (ret = database_obtain(set, cache_dir, patterns, made, &bad)) == 1) {
		refused[(*refused_count)++] = patterns->rules[bad];
		patterns_remove(patterns, bad);
	}
	if (ret < 0)
		return ret;
	if (patterns->count == 0)
		return 0;
	made->next = set->databases;
	set->databases = made;
	made->rules = rule_arena_copy(&set->arena, patterns->rules, patterns->count * sizeof(uint32_t));
	made->pattern_count = patterns->count;
	made->len_min = patterns->len_min;
	(void)hs_database_size(made->db, &made->size);
	if (made->rules == NULL)
		return -ENOMEM;
	if (!made->shared) {
		set->stats.databases++;
		set->stats.database_bytes += made->size;
	}
	*out = made;
	return 0;
}
