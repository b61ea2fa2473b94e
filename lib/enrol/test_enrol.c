#include "test/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/enrol/client.h"
#include "lib/enrol/registry.h"

enum { NOW_S = 1800000000, LIFETIME_S = 3600 };

static char dir[64];
static char ca_cert[96], ca_key[96], state[96];
static const struct issuer_config config = { .cert = ca_cert, .key = ca_key, .trust = ca_cert, .lifetime_s = LIFETIME_S };

static int
remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(name);
}

/* A root that may sign certificates, or not. */
static void
write_ca(bool may_sign)
{
	EVP_PKEY *key = csr_make_key();
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, may_sign ? "critical,CA:TRUE" : "CA:FALSE");
	X509_EXTENSION *usage = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, may_sign ? "critical,keyCertSign" : "digitalSignature");
	FILE *file;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)NOW_S + 365 * 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"CA", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, basic, -1);
	X509_add_ext(cert, usage, -1);
	assert_true(X509_sign(cert, key, EVP_sha384()) > 0);
	file = fopen(ca_cert, "w");
	assert_int_equal(PEM_write_X509(file, cert), 1);
	fclose(file);
	file = fopen(ca_key, "w");
	fchmod(fileno(file), 0600);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	X509_EXTENSION_free(basic);
	X509_EXTENSION_free(usage);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int
setup(void **unused)
{
	snprintf(dir, sizeof(dir), "/tmp/test_enrol.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(ca_cert, sizeof(ca_cert), "%s/ca.pem", dir);
	snprintf(ca_key, sizeof(ca_key), "%s/ca.key", dir);
	snprintf(state, sizeof(state), "%s/state.sqlite", dir);
	write_ca(true);
	return 0;
}

static int
teardown(void **unused)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static EVP_PKEY *
make_key(const char *type, const char *arg, unsigned int bits)
{
	return strcmp(type, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)bits)
		: strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, arg) : EVP_PKEY_Q_keygen(NULL, NULL, type);
}

static struct csr
good_csr(void)
{
	char text[CSR_LEN_MAX];
	struct buf pem = { .data = text, .cap = sizeof(text) };
	EVP_PKEY *key = csr_make_key();
	struct csr csr;
	const char *why;

	assert_int_equal(csr_put(key, "whoever", &pem), 0);
	assert_int_equal(csr_read(&csr, text, pem.len, &why), 0);
	EVP_PKEY_free(key);
	return csr;
}

/* A request by any key, as other programs make it. */
static size_t
write_request(EVP_PKEY *key, EVP_PKEY *signer, char text[CSR_LEN_MAX])
{
	X509_REQ *request = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	bool plain = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 || EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED448;
	size_t len;

	assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
	assert_true(X509_REQ_sign(request, signer, plain ? NULL : EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
	len = (size_t)BIO_read(bio, text, CSR_LEN_MAX);
	X509_REQ_free(request);
	BIO_free(bio);
	return len;
}

static void
keys_are_judged(void **unused)
{
	static const struct {
		const char *type, *curve;
		unsigned int bits;
		bool good;
	} rows[] = {
		{ "EC", "P-256", 0, true }, { "EC", "P-384", 0, true }, { "ED25519", NULL, 0, true }, { "RSA", NULL, 3072, true },
		{ "EC", "P-521", 0, false }, { "EC", "secp256k1", 0, false }, { "EC", "P-224", 0, false },
		{ "ED448", NULL, 0, false }, { "RSA", NULL, 2048, false }, { "RSA", NULL, 4104, false },
	};
	char text[CSR_LEN_MAX];
	struct csr csr;
	const char *why;

	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		EVP_PKEY *key = make_key(rows[i].type, rows[i].curve, rows[i].bits);
		EVP_PKEY *other = make_key(rows[i].type, rows[i].curve, rows[i].bits < 3072 ? rows[i].bits : 3072);
		size_t len = write_request(key, key, text);

		assert_int_equal(csr_read(&csr, text, len, &why), rows[i].good ? 0 : -EBADMSG);
		assert_true(rows[i].good == (why == NULL));
		csr_free(&csr);
		len = write_request(key, other, text);
		assert_int_equal(csr_read(&csr, text, len, &why), -EBADMSG);
		EVP_PKEY_free(key);
		EVP_PKEY_free(other);
	}
}

static void
requests_are_cut_and_bent(void **unused)
{
	char text[CSR_LEN_MAX + 1];
	EVP_PKEY *key = csr_make_key();
	size_t len = write_request(key, key, text);
	struct csr csr;
	const char *why;

	/* Without the newline at the end, and without the last dash, OpenSSL still reads it. */
	for (size_t cut = 0; cut + 2 < len; cut++) {
		assert_int_equal(csr_read(&csr, text, cut, &why), -EBADMSG);
		assert_non_null(why);
	}
	for (size_t i = 40; i + 40 < len; i++) {
		char was = text[i];

		if (was == '\n')
			continue;
		text[i] = was == 'A' ? 'B' : 'A';
		if (text[i] != was)
			assert_int_equal(csr_read(&csr, text, len, &why), -EBADMSG);
		text[i] = was;
	}
	memset(text, '\n', sizeof(text));
	assert_int_equal(csr_read(&csr, text, CSR_LEN_MAX, &why), -EBADMSG);
	assert_int_equal(csr_read(&csr, text, CSR_LEN_MAX + 1, &why), -EBADMSG);
	EVP_PKEY_free(key);
}

static void
certificates_say_what_they_must(void **unused)
{
	struct csr csr = good_csr();
	struct issuer *issuer = NULL;
	struct issued one, two;
	BIO *bio;
	X509 *cert;
	char name[64];

	assert_int_equal(issuer_create(&issuer, &config), 0);
	assert_int_equal(issuer_issue(issuer, csr.key, "plant-1", NOW_S, &one), 0);
	assert_int_equal(issuer_issue(issuer, csr.key, "plant-1", NOW_S, &two), 0);
	assert_string_not_equal(one.serial, two.serial);
	assert_int_equal(strlen(one.serial), ISSUER_SERIAL_LEN);
	assert_int_equal(one.not_before_s, NOW_S - ISSUER_SKEW_MAX_S);
	assert_int_equal(one.not_after_s, NOW_S + LIFETIME_S);
	bio = BIO_new_mem_buf(one.pem, -1);
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_non_null(cert);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(cert)), 1);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
	assert_string_equal(name, "plant-1");
	assert_int_equal(X509_check_ca(cert), 0);
	assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
	/* The root is not sent along. */
	assert_null(PEM_read_bio_X509(bio, NULL, NULL, NULL));
	X509_free(cert);
	BIO_free(bio);
	issued_free(&one);
	issued_free(&two);
	/* Never longer than the CA itself. */
	assert_int_equal(issuer_issue(issuer, csr.key, "plant-1", NOW_S + 365 * 86400 - 10, &one), 0);
	assert_int_equal(one.not_after_s, NOW_S + 365 * 86400);
	issued_free(&one);
	assert_int_equal(issuer_issue(issuer, csr.key, "plant-1", NOW_S + 365 * 86400, &one), -EKEYEXPIRED);
	csr_free(&csr);
	issuer_destroy(issuer);
}

static void
issuers_are_judged(void **unused)
{
	char other[160];
	struct issuer_config wrong = config;
	struct issuer *issuer = NULL;

	chmod(ca_key, 0604);
	assert_int_equal(issuer_create(&issuer, &config), -EINVAL);
	chmod(ca_key, 0600);
	snprintf(other, sizeof(other), "%s.other", ca_key);
	assert_int_equal(rename(ca_key, other), 0);
	assert_int_equal(issuer_create(&issuer, &config), -EINVAL);
	write_ca(true);
	wrong.key = other;
	assert_int_equal(issuer_create(&issuer, &wrong), -EINVAL);
	snprintf(other, sizeof(other), "%s.other", ca_cert);
	assert_int_equal(rename(ca_cert, other), 0);
	write_ca(true);
	wrong = config;
	wrong.trust = other;
	assert_int_equal(issuer_create(&issuer, &wrong), -EINVAL);
	write_ca(false);
	assert_int_equal(issuer_create(&issuer, &config), -EINVAL);
	issuer_destroy(NULL);
}

/* ---- the registry ---- */

struct books {
	struct registry *registry;
	struct issuer *issuer;
};

static struct books
open_books(void)
{
	struct books books = { 0 };

	assert_int_equal(registry_open(&books.registry, state), 0);
	assert_int_equal(issuer_create(&books.issuer, &config), 0);
	return books;
}

static void
close_books(struct books *books)
{
	registry_close(books->registry);
	issuer_destroy(books->issuer);
}

static void
invite(struct books *books, const char *sensor, char token[REGISTRY_TOKEN_LEN + 1])
{
	const struct registry_invitation invitation = { .sensor = sensor, .site = "north", .zone = "", .expires_s = NOW_S + 60,
		.actor = "admin\n" };

	assert_int_equal(registry_invite(books->registry, &invitation, NOW_S, token), 0);
	assert_int_equal(strlen(token), REGISTRY_TOKEN_LEN);
}

static enum registry_verdict
enrol(struct books *books, const char *token, const struct csr *csr, uint64_t now_s, struct issued *issued)
{
	char sensor[BATCH_SENSOR_MAX + 1];

	return registry_enrol(books->registry, books->issuer, token, csr, "192.0.2.1", now_s, sensor, issued);
}

static void
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

static void
an_invitation_is_good_once(void **unused)
{
	struct books books = open_books();
	struct csr csr = good_csr(), thief = good_csr();
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
	struct csr csr = good_csr(), next = good_csr();
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
	struct csr old_key = good_csr(), new_key = good_csr();
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
	struct csr key = good_csr();
	struct issued first, more;
	char token[REGISTRY_TOKEN_LEN + 1];

	invite(&books, "plant-1", token);
	assert_int_equal(enrol(&books, token, &key, NOW_S, &first), REGISTRY_ISSUED);
	for (unsigned int i = 1; i <= REGISTRY_CERTIFICATES_MAX; i++) {
		csr_free(&key);
		key = good_csr();
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

/* ---- activation files and the sensor's folder ---- */

#define FILE_OF(sensor, url, expires) "{\"version\":1,\"sensor\":\"" sensor "\",\"site\":\"\",\"zone\":\"\",\"enrol\":\"" url \
	"\",\"aggregator\":\"https://a:1\",\"ca\":\"x\",\"token\":\"t\",\"expires\":" expires "}"

static void
activation_files_are_judged(void **unused)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ FILE_OF("plant-1", "https://a:2", "1800000000"), true },
		{ FILE_OF("plant 1", "https://a:2", "1800000000"), false },
		{ FILE_OF("../../etc", "https://a:2", "1800000000"), false },
		{ FILE_OF("plant-1", "http://a:2", "1800000000"), false },
		{ FILE_OF("plant-1", "https://a:2 -k", "1800000000"), false },
		{ FILE_OF("plant-1", "https://a:2", "-1"), false },
		{ FILE_OF("plant-1", "https://a:2", "\"soon\""), false },
		{ "{\"version\":2}", false }, { "[]", false }, { "", false },
	};
	char error[ACTIVATION_ERROR_MAX];
	struct activation activation;

	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		assert_int_equal(activation_parse(&activation, rows[i].text, strlen(rows[i].text), error), rows[i].good ? 0 : -EINVAL);
		activation_free(&activation);
	}
	for (size_t cut = 0; cut < strlen(rows[0].text); cut++) {
		assert_int_equal(activation_parse(&activation, rows[0].text, cut, error), -EINVAL);
		activation_free(&activation);
	}
	assert_int_equal(activation_read(&activation, "/nonexistent", error), -ENOENT);
	assert_int_equal(activation_read(&activation, dir, error), -EINVAL);
}

static void
identities_are_whole(void **unused)
{
	const struct activation activation = { .sensor = "plant-1", .site = "", .zone = "", .enrol = "https://a:2",
		.aggregator = "https://a:1", .ca = "ca\n" };
	char path[128], error[IDENTITY_ERROR_MAX];
	struct enrol_identity identity;
	struct issuer *issuer = NULL;
	struct issued issued;
	struct stat st;
	EVP_PKEY *key = NULL, *same = NULL, *other = csr_make_key();

	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(enrol_identity_make_dir(path, error), 0);
	assert_int_equal(enrol_identity_load(&identity, path, error), -ENOENT);
	assert_int_equal(enrol_identity_pending_key(&key, path, error), 0);
	assert_int_equal(enrol_identity_pending_key(&same, path, error), 0);
	assert_int_equal(EVP_PKEY_eq(key, same), 1);
	assert_int_equal(issuer_create(&issuer, &config), 0);
	assert_int_equal(issuer_issue(issuer, key, "plant-1", NOW_S, &issued), 0);
	assert_int_equal(enrol_identity_put_activation(path, &activation, error), 0);
	assert_int_equal(enrol_identity_install(path, other, issued.pem, "plant-1", error), -EBADMSG);
	assert_int_equal(enrol_identity_install(path, key, issued.pem, "plant-2", error), -EBADMSG);
	assert_int_equal(enrol_identity_install(path, key, "nonsense", "plant-1", error), -EBADMSG);
	assert_int_equal(enrol_identity_load(&identity, path, error), -ENOENT);
	assert_int_equal(enrol_identity_install(path, key, issued.pem, "plant-1", error), 0);
	assert_int_equal(enrol_identity_load(&identity, path, error), 0);
	assert_string_equal(identity.sensor, "plant-1");
	assert_string_equal(identity.aggregator, "https://a:1");
	assert_int_equal(identity.not_after_s, NOW_S + LIFETIME_S);
	assert_int_equal(stat(identity.pem, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* The next key is another one. */
	EVP_PKEY_free(same);
	assert_int_equal(enrol_identity_pending_key(&same, path, error), 0);
	assert_int_equal(EVP_PKEY_eq(key, same), 0);
	issued_free(&issued);
	issuer_destroy(issuer);
	EVP_PKEY_free(key);
	EVP_PKEY_free(same);
	EVP_PKEY_free(other);
}

static void
renewal_is_due_at_two_thirds(void **unused)
{
	assert_int_equal(enrol_due_s(1000, 1900), 1600);
	assert_int_equal(enrol_due_s(1000, 1001), 1001);
	assert_int_equal(enrol_due_s(1000, 1000), 1000);
	assert_int_equal(enrol_due_s(1000, 900), 900);
}

static void
creation_survives_no_memory(void **unused)
{
	const struct enrol_config own = { .dir = dir };
	const struct enrol_way way = { .timeout_ms = 1000, .connect_timeout_ms = 1000 };
	struct enrol_renewer *renewer = NULL;
	struct registry *registry = NULL;
	struct issuer *issuer = NULL;

	TEST_FAIL_EACH_ALLOC(issuer_create(&issuer, &config), == 0, issuer_destroy(issuer));
	TEST_FAIL_EACH_ALLOC(registry_open(&registry, state), == 0, registry_close(registry));
	TEST_FAIL_EACH_ALLOC(enrol_renewer_create(&renewer, &own, "https://a:1", &way), == 0, enrol_renewer_destroy(renewer));
	assert_int_not_equal(registry_open(&registry, "/nonexistent/state"), 0);
	registry_close(NULL);
	enrol_renewer_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_judged),
		cmocka_unit_test(requests_are_cut_and_bent),
		cmocka_unit_test_setup_teardown(certificates_say_what_they_must, setup, teardown),
		cmocka_unit_test_setup_teardown(issuers_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(an_invitation_is_good_once, setup, teardown),
		cmocka_unit_test_setup_teardown(revocation_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_box_replaces_the_old_one, setup, teardown),
		cmocka_unit_test_setup_teardown(renewals_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(the_trail_is_kept, setup, teardown),
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test_setup_teardown(activation_files_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(identities_are_whole, setup, teardown),
		cmocka_unit_test(renewal_is_due_at_two_thirds),
		cmocka_unit_test_setup_teardown(creation_survives_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
