/* Books that some aggregator kept in a file are taken over. */
#include "lib/enrol/test_registry_rig.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* A file as an aggregator leaves it: one box is in, one is shut out, one is invited, one's invitation was taken back. */
struct old_file {
	char path[96], done[120];
	struct csr csr, out_csr;
	struct issued in, out;
	char used[REGISTRY_TOKEN_LEN + 1], open[REGISTRY_TOKEN_LEN + 1], withdrawn[REGISTRY_TOKEN_LEN + 1], again[REGISTRY_TOKEN_LEN + 1];
};

static void
make_old_file(struct old_file *old, struct books *books)
{
	uint64_t count;

	snprintf(old->path, sizeof(old->path), "%s/old.sqlite", rig_dir);
	snprintf(old->done, sizeof(old->done), "%s.imported", old->path);
	assert_int_equal(registry_open(&books->registry, REGISTRY_SQLITE, old->path), 0);
	assert_int_equal(issuer_create(&books->issuer, &rig_config), 0);
	old->csr = rig_csr();
	old->out_csr = rig_csr();
	invite(books, "in", old->used);
	assert_int_equal(enrol(books, old->used, &old->csr, NOW_S, &old->in), REGISTRY_ISSUED);
	invite(books, "out", old->again);
	assert_int_equal(enrol(books, old->again, &old->out_csr, NOW_S, &old->out), REGISTRY_ISSUED);
	assert_int_equal(registry_revoke(books->registry, "out", "admin", false, NOW_S, &count), 0);
	invite(books, "invited", old->open);
	invite(books, "withdrawn", old->withdrawn);
	assert_int_equal(registry_revoke(books->registry, "withdrawn", "admin", false, NOW_S, &count), 0);
}

static void
free_old_file(struct old_file *old)
{
	issued_free(&old->in);
	issued_free(&old->out);
	csr_free(&old->csr);
	csr_free(&old->out_csr);
	unlink(old->done);
}

static void
expect_taken(struct books *books, struct old_file *old)
{
	struct csr thief = rig_csr();
	struct issued issued;

	assert_true(registry_admits(books->registry, "in", old->in.serial, true));
	assert_false(registry_admits(books->registry, "out", old->out.serial, false));
	assert_false(registry_admits(books->registry, "out", "unknown", false));
	expect_state(books, "in", "enrolled", NOW_S);
	expect_state(books, "out", "revoked", NOW_S);
	expect_state(books, "invited", "invited", NOW_S);
	assert_int_equal(enrol(books, old->used, &thief, NOW_S, &issued), REGISTRY_USED);
	assert_int_equal(enrol(books, old->withdrawn, &thief, NOW_S, &issued), REGISTRY_WITHDRAWN);
	assert_int_equal(enrol(books, old->used, &old->csr, NOW_S, &issued), REGISTRY_ISSUED);
	assert_string_equal(issued.pem, old->in.pem);
	issued_free(&issued);
	assert_int_equal(enrol(books, old->open, &thief, NOW_S, &issued), REGISTRY_ISSUED);
	issued_free(&issued);
	csr_free(&thief);
}

static void
a_file_is_taken_over(void **unused)
{
	struct books books = open_books();
	struct books old_books = { 0 };
	struct old_file old;
	struct registry_taken taken;
	json_t *trail;
	uint64_t count;

	make_old_file(&old, &old_books);
	/* Somebody uses it. */
	assert_int_equal(registry_import(books.registry, old.path, NOW_S, &taken), -EBUSY);
	close_books(&old_books);
	assert_int_equal(registry_import(books.registry, old.path, NOW_S, &taken), 0);
	assert_int_equal(taken.sensors, 3);
	assert_int_equal(taken.invitations, 4);
	assert_int_equal(taken.certificates, 2);
	assert_int_equal(registry_audit(books.registry, 100, &trail), 0);
	assert_int_equal(json_array_size(trail), taken.audit + 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(trail, 0), "action")), "import");
	json_decref(trail);
	expect_taken(&books, &old);
	assert_int_equal(registry_import(books.registry, old.path, NOW_S, &taken), -ENOENT);
	/* Once more, as after a kill before it was renamed: what happened since stays. */
	assert_int_equal(registry_revoke(books.registry, "in", "admin", false, NOW_S, &count), 0);
	assert_int_equal(rename(old.done, old.path), 0);
	assert_int_equal(registry_import(books.registry, old.path, NOW_S, &taken), 0);
	expect_state(&books, "in", "revoked", NOW_S);
	assert_false(registry_admits(books.registry, "in", old.in.serial, true));
	expect_state(&books, "invited", "enrolled", NOW_S);
	free_old_file(&old);
	close_books(&books);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH(a_file_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
