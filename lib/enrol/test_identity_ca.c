#include "test/test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/base/log.h"
#include "lib/enrol/csr.h"
#include "lib/enrol/identity.h"
#include "test/folder.h"

enum { BUNDLE_MAX = 64 * 1024, MANY = 17 };

static char dir[TEST_FOLDER_LEN];

static int
setup(void **state)
{
	return test_folder_make(dir, "/tmp", "test_identity_ca");
}

static int
teardown(void **state)
{
	return test_folder_remove(dir);
}

/* A certificate that signs itself. The caller's. */
static char *
make_certificate(const char *constraints)
{
	EVP_PKEY *key = csr_make_key();
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, constraints);
	char *data;

	assert_true(X509_set_version(cert, X509_VERSION_3) == 1 && X509_set_pubkey(cert, key) == 1);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), 0));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), 4000000000));
	assert_true(X509_add_ext(cert, extension, -1) == 1 && X509_sign(cert, key, EVP_sha384()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	long len = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)len);

	X509_EXTENSION_free(extension);
	BIO_free(bio);
	X509_free(cert);
	EVP_PKEY_free(key);
	return text;
}

static void
holds(const char *text)
{
	char path[96], got[BUNDLE_MAX] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(got, 1, sizeof(got) - 1, file) < sizeof(got) - 1);
	fclose(file);
	assert_string_equal(got, text);
}

static void
bundles_change_by_an_overlap(void **state)
{
	char *first = make_certificate("critical,CA:TRUE"), *second = make_certificate("critical,CA:TRUE");
	char *leaf = make_certificate("critical,CA:FALSE");
	struct activation activation = { .sensor = "a", .site = "", .zone = "", .enrol = "https://a", .aggregator = "https://a", .ca = first };
	char both[BUNDLE_MAX], many[BUNDLE_MAX] = "", mixed[BUNDLE_MAX], error[IDENTITY_ERROR_MAX] = "";

	snprintf(both, sizeof(both), "%s%s", first, second);
	snprintf(mixed, sizeof(mixed), "%s%s", first, leaf);
	for (unsigned int i = 0; i < MANY; i++)
		strcat(many, first);
	assert_int_equal(enrol_identity_put_activation(dir, &activation, error), 0);
	assert_int_equal(enrol_identity_put_ca(dir, first, error), 0);
	const char *const wrong[] = { "", "nonsense", second, leaf, mixed, many };

	for (unsigned int i = 0; i < TEST_COUNT(wrong); i++) {
		assert_int_equal(enrol_identity_put_ca(dir, wrong[i], error), -EBADMSG);
		holds(first);
	}
	/* Cut anywhere within the first certificate it is none. */
	for (size_t cut = 0; cut + 2 < strlen(first); cut += 7) {
		char *part = strndup(first, cut);

		assert_int_equal(enrol_identity_put_ca(dir, part, error), -EBADMSG);
		free(part);
	}
	assert_int_equal(enrol_identity_put_ca(dir, both, error), 0);
	holds(both);
	assert_int_equal(enrol_identity_put_ca(dir, second, error), 0);
	holds(second);
	assert_int_equal(enrol_identity_put_ca(dir, first, error), -EBADMSG);
	holds(second);
	assert_int_not_equal(enrol_identity_put_ca("/nonexistent", second, error), 0);
	free(first);
	free(second);
	free(leaf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bundles_change_by_an_overlap, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
