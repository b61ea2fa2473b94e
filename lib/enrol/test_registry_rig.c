#include "lib/enrol/test_registry_rig.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <unistd.h>

struct place file_place = { .kind = REGISTRY_SQLITE };
struct place postgres_place = { .kind = REGISTRY_POSTGRES };
struct place *place;

void
tell_postgres(const char *verb)
{
	char sql[128], url[512];
	PGconn *connection;
	PGresult *result;

	snprintf(url, sizeof(url), "%s dbname=postgres", getenv("MILLRACE_POSTGRES"));
	snprintf(sql, sizeof(sql), verb, place->database);
	connection = PQconnectdb(url);
	result = PQexec(connection, sql);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(connection));
	PQclear(result);
	PQfinish(connection);
}

int
setup(void **state)
{
	static unsigned int number;

	place = *state;
	if (rig_setup(NULL) != 0)
		return -1;
	if (place->kind == REGISTRY_SQLITE) {
		snprintf(place->where, sizeof(place->where), "%s/state.sqlite", rig_dir);
		return 0;
	}
	if (getenv("MILLRACE_POSTGRES") == NULL)
		return 0;
	snprintf(place->database, sizeof(place->database), "test_registry_%d_%u", (int)getpid(), number++);
	snprintf(place->where, sizeof(place->where), "%s dbname=%s", getenv("MILLRACE_POSTGRES"), place->database);
	tell_postgres("CREATE DATABASE %s");
	return 0;
}

int
teardown(void **state)
{
	if (place->kind == REGISTRY_POSTGRES && getenv("MILLRACE_POSTGRES") != NULL)
		tell_postgres("DROP DATABASE %s WITH (FORCE)");
	return rig_teardown(NULL);
}

void
skip_without_postgres(void)
{
	if (place->kind == REGISTRY_POSTGRES && getenv("MILLRACE_POSTGRES") == NULL)
		skip();
}

struct books
open_books(void)
{
	struct books books = { 0 };

	skip_without_postgres();
	assert_int_equal(registry_open(&books.registry, place->kind, place->where), 0);
	assert_int_equal(issuer_create(&books.issuer, &rig_config), 0);
	return books;
}

void
close_books(struct books *books)
{
	registry_close(books->registry);
	issuer_destroy(books->issuer);
}

void
invite(struct books *books, const char *sensor, char token[REGISTRY_TOKEN_LEN + 1])
{
	const struct registry_invitation invitation = { .sensor = sensor, .site = "north", .zone = "", .expires_s = NOW_S + 60,
		.actor = "admin\n" };

	assert_int_equal(registry_invite(books->registry, &invitation, NOW_S, token), 0);
	assert_int_equal(strlen(token), REGISTRY_TOKEN_LEN);
}

enum registry_verdict
enrol(struct books *books, const char *token, const struct csr *csr, uint64_t now_s, struct issued *issued)
{
	char sensor[BATCH_SENSOR_MAX + 1];

	return registry_enrol(books->registry, books->issuer, token, csr, "192.0.2.1", now_s, sensor, issued);
}

void
expect_state(struct books *books, const char *sensor, const char *expected, uint64_t now_s)
{
	json_t *rows = NULL;
	json_t *row;
	size_t i;

	assert_int_equal(registry_list(books->registry, now_s, &rows), 0);
	json_array_foreach(rows, i, row)
		if (strcmp(json_string_value(json_object_get(row, "sensor")), sensor) == 0) {
			assert_string_equal(json_string_value(json_object_get(row, "state")), expected);
			break;
		}
	assert_true((i < json_array_size(rows)) == (expected != NULL));
	json_decref(rows);
}
