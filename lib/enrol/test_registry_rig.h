/*
 * What the registry's tests share: the places it is kept in, and books to write in. PostgreSQL's turn comes where
 * MILLRACE_POSTGRES says how to reach one whose user may make databases ("host=127.0.0.1 port=29104 user=millrace"); each test
 * has a database of its own there.
 */
#ifndef MR_ENROL_TEST_REGISTRY_RIG_H
#define MR_ENROL_TEST_REGISTRY_RIG_H

#include "lib/enrol/registry.h"
#include "lib/enrol/test_enrol_rig.h"

struct place {
	enum registry_kind kind;
	char where[512];
	char database[64];
};

struct books {
	struct registry *registry;
	struct issuer *issuer;
};

extern struct place file_place, postgres_place;
extern struct place *place; /* the test's own */

/** For cmocka; *state is a place. */
int setup(void **state);
int teardown(void **state);
void skip_without_postgres(void);
/** @param verb  SQL, with %s for the name of the test's database */
void tell_postgres(const char *verb);

struct books open_books(void);
void close_books(struct books *books);
void invite(struct books *books, const char *sensor, char token[REGISTRY_TOKEN_LEN + 1]);
enum registry_verdict enrol(struct books *books, const char *token, const struct csr *csr, uint64_t now_s, struct issued *issued);
/** @param expected  NULL: the sensor is not in the list */
void expect_state(struct books *books, const char *sensor, const char *expected, uint64_t now_s);

#define IN_BOTH(test) \
	cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &file_place), \
	cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &postgres_place)

#endif
