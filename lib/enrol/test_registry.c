/* The registry, the same for each place it is kept in. */
#include "lib/enrol/test_registry_rig.h"

#include <errno.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/postgres/pg_listen.h"

static void
an_invitation_is_good_once(void **unused)
{
	struct books books = open_books();
	struct csr csr = rig_csr(), thief = rig_csr();
	struct issued first, second;
	char token[REGISTRY_TOKEN_LEN + 1], wrong[REGISTRY_TOKEN_LEN + 2];

	invite(&books, "plant-1", token);
	expect_state(&books, "plant-1", "invited", NOW_S);
	expect_state(&books, "plant-1", "expired", NOW_S + 60);
	for (size_t i = 0; i < REGISTRY_TOKEN_LEN; i++) {
		snprintf(wrong, sizeof(wrong), "%s", token);
		wrong[i] = wrong[i] == '0' ? '1' : '0';
		assert_int_equal(enrol(&books, wrong, &csr, NOW_S, &first), REGISTRY_NO_SUCH_TOKEN);
		wrong[i] = '\0';
		assert_int_equal(enrol(&books, wrong, &csr, NOW_S, &first), REGISTRY_NO_SUCH_TOKEN);
	}
	assert_int_equal(enrol(&books, token, &csr, NOW_S + 60, &first), REGISTRY_EXPIRED);
	assert_int_equal(enrol(&books, token, &csr, NOW_S + 59, &first), REGISTRY_ISSUED);
	assert_int_equal(enrol(&books, token, &thief, NOW_S + 59, &second), REGISTRY_USED);
	assert_null(second.pem);
	assert_int_equal(enrol(&books, token, &csr, NOW_S + 59, &second), REGISTRY_ISSUED);
	assert_string_equal(first.pem, second.pem);
	issued_free(&second);
	expect_state(&books, "plant-1", "enrolled", NOW_S + 100);
	expect_state(&books, "plant-1", "expired", NOW_S + 59 + LIFETIME_S);
	/* As after a kill: another handle, the same books. */
	close_books(&books);
	books = open_books();
	assert_int_equal(enrol(&books, token, &thief, NOW_S + 59, &second), REGISTRY_USED);
	assert_true(registry_admits(books.registry, "plant-1", first.serial, true));
	assert_false(registry_admits(books.registry, "plant-2", first.serial, true));
	issued_free(&first);
	csr_free(&csr);
	csr_free(&thief);
	close_books(&books);
}

static void
revocation_holds(void **unused)
{
	struct books books = open_books();
	struct csr csr = rig_csr(), next = rig_csr();
	struct issued old, renewed, again;
	char token[REGISTRY_TOKEN_LEN + 1], open[REGISTRY_TOKEN_LEN + 1];
	uint64_t count;

	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &csr, NOW_S, &old), REGISTRY_ISSUED);
	assert_int_equal(registry_renew(books.registry, books.issuer, "plant-1", old.serial, &next, NOW_S + 9, &renewed),
		REGISTRY_ISSUED);
	assert_int_equal(registry_renew(books.registry, books.issuer, "plant-1", old.serial, &next, NOW_S + 9, &again),
		REGISTRY_ISSUED);
	assert_string_equal(renewed.serial, again.serial);
	issued_free(&again);
	assert_int_equal(registry_renew(books.registry, books.issuer, "plant-2", old.serial, &next, NOW_S + 9, &again),
		REGISTRY_REVOKED);
	/* Somebody else's certificate of that name, while nothing is revoked. */
	assert_true(registry_admits(books.registry, "plant-1", "00", false));
	assert_false(registry_admits(books.registry, "plant-1", "00", true));
	invite(&books, "plant-1", open);
	assert_int_equal(registry_revoke(books.registry, "plant-2", "admin", false, NOW_S + 10, &count), -ENOENT);
	assert_int_equal(registry_revoke(books.registry, "plant-1", "admin", false, NOW_S + 10, &count), 0);
	assert_int_equal(count, 2);
	assert_false(registry_admits(books.registry, "plant-1", old.serial, false));
	assert_false(registry_admits(books.registry, "plant-1", renewed.serial, false));
	assert_false(registry_admits(books.registry, "plant-1", "00", false));
	assert_true(registry_admits(books.registry, "plant-2", "00", false));
	expect_state(&books, "plant-1", "revoked", NOW_S + 10);
	assert_int_equal(registry_renew(books.registry, books.issuer, "plant-1", renewed.serial, &next, NOW_S + 11, &again),
		REGISTRY_REVOKED);
	assert_int_equal(enrol(&books, token, &csr, NOW_S + 11, &again), REGISTRY_REVOKED);
	assert_int_equal(enrol(&books, open, &csr, NOW_S + 11, &again), REGISTRY_WITHDRAWN);
	/* Let in again: by the new certificate only. */
	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &next, NOW_S + 12, &again), REGISTRY_ISSUED);
	assert_true(registry_admits(books.registry, "plant-1", again.serial, false));
	assert_false(registry_admits(books.registry, "plant-1", renewed.serial, false));
	assert_false(registry_admits(books.registry, "plant-1", "00", false));
	expect_state(&books, "plant-1", "enrolled", NOW_S + 12);
	issued_free(&old);
	issued_free(&renewed);
	issued_free(&again);
	csr_free(&csr);
	csr_free(&next);
	close_books(&books);
}

static void
a_new_box_replaces_the_old_one(void **unused)
{
	struct books books = open_books();
	struct csr old_key = rig_csr(), new_key = rig_csr();
	struct issued old, new;
	char token[REGISTRY_TOKEN_LEN + 1];

	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &old_key, NOW_S, &old), REGISTRY_ISSUED);
	invite(&books, "plant-1", token);
	assert_true(registry_admits(books.registry, "plant-1", old.serial, true));
	assert_int_equal(enrol(&books, token, &new_key, NOW_S, &new), REGISTRY_ISSUED);
	assert_false(registry_admits(books.registry, "plant-1", old.serial, true));
	assert_true(registry_admits(books.registry, "plant-1", new.serial, true));
	issued_free(&old);
	issued_free(&new);
	csr_free(&old_key);
	csr_free(&new_key);
	close_books(&books);
}

static void
renewals_are_bounded(void **unused)
{
	struct books books = open_books();
	struct csr key = rig_csr();
	struct issued first, more;
	char token[REGISTRY_TOKEN_LEN + 1];

	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &key, NOW_S, &first), REGISTRY_ISSUED);
	for (unsigned int i = 1; i <= REGISTRY_CERTIFICATES_MAX; i++) {
		csr_free(&key);
		key = rig_csr();
		assert_int_equal(registry_renew(books.registry, books.issuer, "plant-1", first.serial, &key, NOW_S + 1, &more),
			i < REGISTRY_CERTIFICATES_MAX ? REGISTRY_ISSUED : REGISTRY_TOO_MANY);
		issued_free(&more);
	}
	assert_int_equal(registry_renew(books.registry, books.issuer, "plant-1", first.serial, &key, NOW_S + LIFETIME_S + 2,
		&more), REGISTRY_ISSUED);
	issued_free(&more);
	issued_free(&first);
	csr_free(&key);
	close_books(&books);
}

static void
the_trail_is_kept(void **unused)
{
	struct books books = open_books();
	char token[REGISTRY_TOKEN_LEN + 1];
	json_t *rows = NULL;
	uint64_t count;

	invite(&books, "plant-1", token);
	assert_int_equal(registry_revoke(books.registry, "plant-9", "bob", true, NOW_S, &count), 0);
	assert_int_equal(registry_audit(books.registry, 10, &rows), 0);
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "action")), "revoke");
	/* Control bytes do not reach whoever reads it. */
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "actor")), "admin?");
	json_decref(rows);
	close_books(&books);
}

static void
texts_are_judged(void **unused)
{
	char longest[REGISTRY_TEXT_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[REGISTRY_TEXT_MAX + 1] = '\0';
	assert_false(registry_text_valid(longest));
	assert_true(registry_text_valid(longest + 1));
	assert_true(registry_text_valid(""));
	assert_true(registry_text_valid("K\xc3\xb6ln"));
	assert_false(registry_text_valid("K\xf6ln"));
	assert_false(registry_text_valid("a\nb"));
	assert_false(registry_text_valid("a\x7f"));
}

struct claim {
	const char *token;
	struct csr csr;
	enum registry_verdict verdict;
	struct issued issued;
	pthread_t thread;
	pthread_barrier_t *start;
};

/* Each with a handle of its own, as two aggregators have. */
static void *
run_claim(void *arg)
{
	struct claim *claim = arg;
	struct books books = { 0 };

	claim->verdict = REGISTRY_FAILED;
	if (registry_open(&books.registry, place->kind, place->where) == 0 && issuer_create(&books.issuer, &rig_config) == 0) {
		pthread_barrier_wait(claim->start);
		claim->verdict = enrol(&books, claim->token, &claim->csr, NOW_S, &claim->issued);
	}
	close_books(&books);
	return NULL;
}

static void
an_invitation_is_good_once_at_the_same_moment(void **unused)
{
	enum { CLAIMS = 4, ROUNDS = 5 };
	struct books books = open_books();
	struct claim claims[CLAIMS];
	char token[REGISTRY_TOKEN_LEN + 1];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, CLAIMS);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int issued = 0, used = 0;

		invite(&books, "plant-1", token);
		for (unsigned int i = 0; i < CLAIMS; i++) {
			claims[i] = (struct claim){ .token = token, .csr = rig_csr(), .start = &start };
			assert_int_equal(pthread_create(&claims[i].thread, NULL, run_claim, &claims[i]), 0);
		}
		for (unsigned int i = 0; i < CLAIMS; i++) {
			pthread_join(claims[i].thread, NULL);
			issued += claims[i].verdict == REGISTRY_ISSUED;
			used += claims[i].verdict == REGISTRY_USED;
			if (claims[i].verdict == REGISTRY_ISSUED)
				assert_true(registry_admits(books.registry, "plant-1", claims[i].issued.serial, true));
			issued_free(&claims[i].issued);
			csr_free(&claims[i].csr);
		}
		assert_int_equal(issued, 1);
		assert_int_equal(used, CLAIMS - 1);
	}
	pthread_barrier_destroy(&start);
	close_books(&books);
}

struct ear {
	pthread_mutex_t lock;
	char heard[256];
};

static void
hear(void *arg, const char *news)
{
	struct ear *ear = arg;
	size_t len;

	pthread_mutex_lock(&ear->lock);
	len = strlen(ear->heard);
	snprintf(ear->heard + len, sizeof(ear->heard) - len, "%s ", news == NULL ? "?" : news);
	pthread_mutex_unlock(&ear->lock);
}

static bool
heard(struct ear *ear, const char *expected)
{
	bool is = false;

	for (unsigned int i = 0; i < 200 && !is; i++) {
		usleep(10000);
		pthread_mutex_lock(&ear->lock);
		is = strcmp(ear->heard, expected) == 0;
		pthread_mutex_unlock(&ear->lock);
	}
	return is;
}

static void
others_hear_whose_certificates_changed(void **unused)
{
	struct ear ear = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pg_listener *listener = NULL;
	struct books books = open_books();
	struct csr csr = rig_csr();
	struct issued issued;
	char token[REGISTRY_TOKEN_LEN + 1];
	uint64_t count;

	assert_int_equal(pg_listener_create(&listener, place->where, "test", REGISTRY_CHANNEL, hear, &ear), 0);
	assert_true(pg_listener_is_current(listener));
	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &csr, NOW_S, &issued), REGISTRY_ISSUED);
	assert_true(heard(&ear, "plant-1 "));
	/* What was not committed is no news. */
	assert_int_equal(registry_revoke(books.registry, "plant-2", "admin", false, NOW_S, &count), -ENOENT);
	assert_int_equal(registry_revoke(books.registry, "plant-3", "admin", true, NOW_S, &count), 0);
	assert_true(heard(&ear, "plant-1 plant-3 "));
	pg_listener_destroy(listener);
	assert_int_not_equal(pg_listener_create(&listener, "host=127.0.0.1 port=1", "test", REGISTRY_CHANNEL, hear, &ear), 0);
	issued_free(&issued);
	csr_free(&csr);
	close_books(&books);
}

static void
a_lost_connection_is_made_again_and_told(void **unused)
{
	struct ear ear = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pg_listener *listener = NULL;
	struct books books = open_books();
	uint64_t count;

	assert_int_equal(pg_listener_create(&listener, place->where, "test", REGISTRY_CHANNEL, hear, &ear), 0);
	tell_postgres("DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'; END $$");
	assert_true(heard(&ear, "? "));
	assert_true(pg_listener_is_current(listener));
	assert_int_equal(registry_revoke(books.registry, "plant-3", "admin", true, NOW_S, &count), 0);
	assert_true(heard(&ear, "? plant-3 "));
	pg_listener_destroy(listener);
	close_books(&books);
}

static enum registry_verdict
check_proof(struct books *books, const char *sensor, EVP_PKEY *key, const char *pem, uint64_t now_s)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	struct proof proof;

	assert_true(proof_make(&proof, key, cert, "a request"));
	assert_int_equal(registry_check_proof(books->registry, sensor, &proof, "another request", now_s), REGISTRY_NOT_PROVEN);
	X509_free(cert);
	BIO_free(bio);
	return registry_check_proof(books->registry, sensor, &proof, "a request", now_s);
}

static void
a_proof_is_of_the_valid_certificate(void **unused)
{
	struct books books = open_books();
	EVP_PKEY *key = csr_make_key(), *other = csr_make_key();
	struct csr csr = rig_csr_of(key);
	char token[REGISTRY_TOKEN_LEN + 1];
	struct proof stranger = { .serial = "00", .signature = "AAAA" };
	struct issued issued;
	uint64_t count;

	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &csr, NOW_S, &issued), REGISTRY_ISSUED);
	assert_int_equal(check_proof(&books, "plant-1", key, issued.pem, NOW_S + 1), REGISTRY_ISSUED);
	assert_int_equal(check_proof(&books, "plant-2", key, issued.pem, NOW_S + 1), REGISTRY_NOT_PROVEN);
	assert_int_equal(check_proof(&books, "plant-1", other, issued.pem, NOW_S + 1), REGISTRY_NOT_PROVEN);
	assert_int_equal(check_proof(&books, "plant-1", key, issued.pem, issued.not_after_s), REGISTRY_NOT_PROVEN);
	assert_int_equal(registry_check_proof(books.registry, "plant-1", &stranger, "a request", NOW_S + 1), REGISTRY_NOT_PROVEN);
	assert_int_equal(registry_revoke(books.registry, "plant-1", "admin", false, NOW_S + 2, &count), 0);
	assert_int_equal(check_proof(&books, "plant-1", key, issued.pem, NOW_S + 3), REGISTRY_REVOKED);
	issued_free(&issued);
	csr_free(&csr);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	close_books(&books);
}

static void
creation_survives_no_memory(void **unused)
{
	struct registry *registry = NULL;

	skip_without_postgres();
	TEST_FAIL_EACH_ALLOC(registry_open(&registry, place->kind, place->where), == 0, registry_close(registry));
	assert_int_not_equal(registry_open(&registry, place->kind,
		place->kind == REGISTRY_SQLITE ? "/proc/none/state" : "host=127.0.0.1 port=1"), 0);
	registry_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH(an_invitation_is_good_once),
		IN_BOTH(an_invitation_is_good_once_at_the_same_moment),
		IN_BOTH(revocation_holds),
		IN_BOTH(a_new_box_replaces_the_old_one),
		IN_BOTH(renewals_are_bounded),
		IN_BOTH(a_proof_is_of_the_valid_certificate),
		IN_BOTH(the_trail_is_kept),
		IN_BOTH(creation_survives_no_memory),
		cmocka_unit_test_prestate_setup_teardown(others_hear_whose_certificates_changed, setup, teardown, &postgres_place),
		cmocka_unit_test_prestate_setup_teardown(a_lost_connection_is_made_again_and_told, setup, teardown, &postgres_place),
		cmocka_unit_test(texts_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
