/*
 * A group's patterns into one Hyperscan database: shared with an equal group, from the cache, or compiled. What
 * has to be made is gathered first and then made by two threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "lib/base/log.h"
#include "lib/rule/rule_internal.h"

static const char database_schema[] = "millrace groups 2";

enum {
	BUILD_THREADS = 2,
	THREAD_PATTERNS_MIN = 2000, /* fewer are compiled before a thread has started */
};

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
	uint32_t len = literal ? plan->count : 1, reach = literal ? plan->count : plan->reach;

	if (reach > patterns->reach)
		patterns->reach = reach;
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

/* Of everything a database is compiled from, patterns left out included: what is left has a name of its own. */
static int
database_digest(const struct rule_database *made, uint8_t out[32])
{
	const struct rule_patterns *patterns = &made->patterns;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	hs_platform_info_t platform = { 0 };
	bool ok = ctx != NULL && hs_populate_platform(&platform) == HS_SUCCESS
		&& EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	const unsigned long long machine[] = { platform.tune, platform.cpu_features, patterns->count, made->refused_count };

	ok = ok && EVP_DigestUpdate(ctx, database_schema, sizeof(database_schema)) == 1
		&& EVP_DigestUpdate(ctx, hs_version(), strlen(hs_version()) + 1) == 1
		&& EVP_DigestUpdate(ctx, machine, sizeof(machine)) == 1;
	for (uint32_t i = 0; ok && i < patterns->count; i++)
		ok = EVP_DigestUpdate(ctx, &patterns->flags[i], sizeof(patterns->flags[i])) == 1
			&& EVP_DigestUpdate(ctx, patterns->texts[i], strlen(patterns->texts[i]) + 1) == 1;
	if (ok && made->refused_count > 0)
		ok = EVP_DigestUpdate(ctx, made->refused, made->refused_count * sizeof(made->refused[0])) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

static struct rule_database *
database_equal(const struct ruleset *set, const uint8_t digest[32])
{
	struct rule_database *at = set->databases;

	while (at != NULL && (at->same != NULL || memcmp(at->digest, digest, 32) != 0))
		at = at->next;
	return at;
}

int
rule_database_add(struct ruleset *set, struct rule_patterns *patterns, const struct rule_database **out)
{
	struct rule_database *made = rule_arena_alloc(&set->arena, sizeof(*made));

	if (made == NULL)
		return -ENOMEM;
	made->rules = rule_arena_copy(&set->arena, patterns->rules, patterns->count * sizeof(uint32_t));
	made->pattern_count = patterns->count;
	made->len_min = patterns->len_min;
	made->reach = patterns->reach;
	made->patterns = *patterns;
	*patterns = (struct rule_patterns){ 0 };
	if (made->rules == NULL || database_digest(made, made->digest) != 0) {
		rule_patterns_free(&made->patterns);
		return -ENOMEM;
	}
	made->same = database_equal(set, made->digest);
	if (made->same != NULL)
		rule_patterns_free(&made->patterns);
	made->next = set->databases;
	set->databases = made;
	*out = made;
	return 0;
}

/* ---- building ---- */

static bool
is_refused(const struct rule_database *made, uint32_t id)
{
	for (uint32_t i = 0; i < made->refused_count; i++)
		if (made->refused[i] == id)
			return true;
	return false;
}

/* @return 0, -ENOMEM, or 1: pattern *bad was refused */
static int
database_compile(struct rule_database *made, uint32_t *bad)
{
	const struct rule_patterns *patterns = &made->patterns;
	hs_compile_error_t *error = NULL;
	unsigned int count = 0;
	const char **texts = malloc(patterns->count * sizeof(*texts));
	unsigned int *ids = malloc(patterns->count * sizeof(*ids)), *flags = malloc(patterns->count * sizeof(*flags));
	int ret = -ENOMEM;

	for (uint32_t i = 0; texts != NULL && ids != NULL && flags != NULL && i < patterns->count; i++) {
		if (is_refused(made, i))
			continue;
		texts[count] = patterns->texts[i];
		flags[count] = patterns->flags[i];
		ids[count++] = i;
	}
	hs_error_t status = texts == NULL || ids == NULL || flags == NULL ? HS_NOMEM
		: hs_compile_ext_multi(texts, flags, ids, NULL, count, HS_MODE_BLOCK, NULL, &made->db, &error);

	if (status == HS_SUCCESS) {
		ret = 0;
	} else if (status != HS_NOMEM && error != NULL && strstr(error->message, "allocate") == NULL) {
		/* A refusal that names no pattern: the set as a whole is too much, the last pattern goes. */
		*bad = ids[error->expression < 0 ? count - 1 : (unsigned int)error->expression];
		log_debug("rule", "Hyperscan refuses %s: %s", error->expression < 0 ? "a group" : patterns->texts[*bad], error->message);
		ret = 1;
	}
	hs_free_compile_error(error);
	free(texts);
	free(ids);
	free(flags);
	return ret;
}

static int
database_refuse(struct rule_database *made, uint32_t bad)
{
	uint32_t *grown = realloc(made->refused, (made->refused_count + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	made->refused = grown;
	grown[made->refused_count++] = bad;
	return 0;
}

static int
database_obtain(struct rule_database *made, const char *cache_dir, struct rule_cache_count *count)
{
	uint8_t digest[32];
	uint32_t bad;

	while (made->refused_count < made->patterns.count) {
		if (database_digest(made, digest) != 0)
			return -ENOMEM;
		made->db = rule_cache_load(cache_dir, digest, count);
		if (made->db != NULL)
			return 0;
		int ret = database_compile(made, &bad);

		if (ret == 0)
			rule_cache_store(cache_dir, digest, made->db, count);
		if (ret == 1)
			ret = database_refuse(made, bad);
		if (ret != 0 || made->db != NULL)
			return ret;
	}
	return 0;
}

/** What the threads share: each takes the next database until none is left. */
struct build {
	struct rule_database **jobs;
	uint32_t job_count;
	const char *cache_dir;
	atomic_uint next;
	atomic_bool failed;
};

/** One thread's part. */
struct build_part {
	struct build *build;
	struct rule_cache_count count;
};

static void *
build_run(void *arg)
{
	struct build_part *part = arg;
	struct build *build = part->build;
	unsigned int at;

	while ((at = atomic_fetch_add(&build->next, 1)) < build->job_count)
		if (database_obtain(build->jobs[at], build->cache_dir, &part->count) != 0)
			atomic_store(&build->failed, true);
	return NULL;
}

static int
job_compare(const void *left, const void *right)
{
	const struct rule_database *a = *(struct rule_database *const *)left, *b = *(struct rule_database *const *)right;

	return (a->pattern_count < b->pattern_count) - (a->pattern_count > b->pattern_count); /* the longest first */
}

static int
build_all(struct ruleset *set, struct build *build)
{
	struct build_part parts[BUILD_THREADS] = { 0 };
	pthread_t threads[BUILD_THREADS];
	unsigned int started = 1;
	uint32_t patterns = 0;

	for (uint32_t i = 0; i < build->job_count; i++)
		patterns += build->jobs[i]->pattern_count;
	for (unsigned int i = 0; i < BUILD_THREADS; i++)
		parts[i].build = build;
	while (patterns >= THREAD_PATTERNS_MIN && started < BUILD_THREADS
		&& pthread_create(&threads[started], NULL, build_run, &parts[started]) == 0)
		started++;
	build_run(&parts[0]);
	for (unsigned int i = 0; i < started; i++) {
		if (i > 0)
			pthread_join(threads[i], NULL);
		set->stats.cache_loaded += parts[i].count.loaded;
		set->stats.cache_stored += parts[i].count.stored;
		set->stats.cache_discarded += parts[i].count.discarded;
	}
	return atomic_load(&build->failed) ? -ENOMEM : 0;
}

int
rule_databases_build(struct ruleset *set, const char *cache_dir)
{
	struct build build = { .cache_dir = cache_dir };
	uint32_t count = 0;

	for (const struct rule_database *at = set->databases; at != NULL; at = at->next)
		count += at->same == NULL;
	build.jobs = calloc(count + 1ul, sizeof(struct rule_database *));
	if (build.jobs == NULL)
		return -ENOMEM;
	for (struct rule_database *at = set->databases; at != NULL; at = at->next)
		if (at->same == NULL)
			build.jobs[build.job_count++] = at;
	qsort(build.jobs, count, sizeof(build.jobs[0]), job_compare);
	int ret = build_all(set, &build);

	free(build.jobs);
	for (struct rule_database *at = set->databases; ret == 0 && at != NULL; at = at->next) {
		if (at->same != NULL) {
			at->db = at->same->db;
			continue;
		}
		rule_patterns_free(&at->patterns);
		if (at->db == NULL)
			continue;
		(void)hs_database_size(at->db, &at->size);
		set->stats.databases++;
		set->stats.database_bytes += at->size;
	}
	return ret;
}

void
rule_databases_free(struct ruleset *set)
{
	for (struct rule_database *at = set->databases; at != NULL; at = at->next) {
		if (at->same == NULL)
			hs_free_database(at->db);
		rule_patterns_free(&at->patterns);
		free(at->refused);
	}
}
