/* Tokens in PostgreSQL. A digest is looked up by an index: how long that takes tells of the digest, which is no way to a token. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/aggregator/api_token.h"
#include "lib/postgres/pg.h"

extern const struct pg_migration api_migrations[];
extern const unsigned int api_migrations_count;

struct shared {
	struct pg *pg;
	char *url;
};

static int
shared_find(void *kept, const uint8_t digest[API_TOKEN_DIGEST_LEN], struct api_token *out)
{
	struct shared *shared = kept;
	PGresult *rows = pg_ask(shared->pg, "SELECT name, scopes FROM api.tokens WHERE digest = $1", "d", digest,
		(size_t)API_TOKEN_DIGEST_LEN);
	int found;

	if (rows == NULL)
		return pg_error(shared->pg);
	found = PQntuples(rows);
	if (found == 1) {
		memcpy(out->digest, digest, API_TOKEN_DIGEST_LEN);
		snprintf(out->name, sizeof(out->name), "%s", PQgetvalue(rows, 0, 0));
		found = api_scopes_read(PQgetvalue(rows, 0, 1), (size_t)PQgetlength(rows, 0, 1), &out->scopes);
	}
	PQclear(rows);
	return found;
}

static int
shared_add(void *kept, const struct api_token *token)
{
	struct shared *shared = kept;
	char scopes[API_TOKEN_SCOPES_MAX];
	int added;

	api_scopes_write(token->scopes, scopes);
	added = pg_run(shared->pg, "INSERT INTO api.tokens(name, digest, scopes, created_s) VALUES($1, $2, $3, $4)"
		" ON CONFLICT(name) DO NOTHING", "tdtn", token->name, token->digest, sizeof(token->digest), scopes,
		(int64_t)time(NULL));
	return added < 0 ? added : added == 0 ? -EEXIST : 0;
}

static int
shared_remove(void *kept, const char *name)
{
	struct shared *shared = kept;
	int removed = pg_run(shared->pg, "DELETE FROM api.tokens WHERE name = $1", "t", name);

	return removed < 0 ? removed : removed == 0 ? -ENOENT : 0;
}

static int
shared_list(void *kept, FILE *out)
{
	struct shared *shared = kept;
	PGresult *rows = pg_ask(shared->pg, "SELECT name, scopes FROM api.tokens ORDER BY name", "");

	if (rows == NULL)
		return pg_error(shared->pg);
	for (int i = 0; i < PQntuples(rows); i++)
		fprintf(out, "%s %s\n", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
	PQclear(rows);
	return 0;
}

static void
shared_close(void *kept)
{
	struct shared *shared = kept;

	pg_close(shared->pg);
	free(shared->url);
	free(shared);
}

static int
shared_open(void **kept, const char *where)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	int err;

	if (shared == NULL)
		return -ENOMEM;
	shared->url = strdup(where);
	err = shared->url == NULL ? -ENOMEM : pg_open(&shared->pg, shared->url, "api");
	if (err == 0)
		err = pg_migrate(shared->pg, "api", api_migrations, api_migrations_count);
	if (err != 0) {
		shared_close(shared);
		return err;
	}
	*kept = shared;
	return 0;
}

const struct api_token_keep api_token_postgres = {
	.open = shared_open,
	.close = shared_close,
	.find = shared_find,
	.add = shared_add,
	.remove = shared_remove,
	.list = shared_list,
};
