#include "test/test.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "app/aggregator/api.h"
#include "app/aggregator/ingest.h"

static char dir[] = "/tmp/millrace-test-aggregator-XXXXXX";
static char cert_path[64], key_path[64], token_path[64], store_path[64];

static struct settings settings = {
	.listen = "127.0.0.1:0",
	.tls_cert = cert_path,
	.tls_key = key_path,
	.tls_ca = cert_path,
	.api_listen = "127.0.0.1:0",
	.api_cert = cert_path,
	.api_key = key_path,
	.api_token_file = token_path,
	.store_path = store_path,
	.body_max = 65536,
	.lines_max = 65536,
	.connections_max = 4,
	.request_timeout_s = 5,
	.query_timeout_ms = 1000,
	.group_records = 100,
};

static void
write_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-384");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	FILE *file;

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha384()) > 0);
	file = fopen(cert_path, "w");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	file = fopen(key_path, "w");
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void
write_token(const char *text)
{
	FILE *file = fopen(token_path, "w");

	fputs(text, file);
	fclose(file);
}

static int
make_files(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	snprintf(token_path, sizeof(token_path), "%s/token", dir);
	snprintf(store_path, sizeof(store_path), "%s/records.db", dir);
	write_certificate();
	write_token("0123456789abcdef\n");
	return 0;
}

static int
remove_files(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[80];

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		snprintf(name, sizeof(name), "%s%s", store_path, ends[i]);
		unlink(name);
	}
	unlink(cert_path);
	unlink(key_path);
	unlink(token_path);
	return rmdir(dir);
}

static void
creation_survives_no_memory(void **state)
{
	const struct store_config config = { .path = store_path };
	struct event_base *base = event_base_new();
	struct ingest *ingest = NULL;
	struct counter_set counters;
	struct api *api = NULL;
	struct store *store;

	assert_int_equal(event_base_priority_init(base, 3), 0);
	assert_int_equal(store_open(&store, 0, &config, true), 0);
	TEST_FAIL_EACH_ALLOC(ingest_create(&ingest, base, &settings, store, NULL), == 0, ingest_destroy(ingest));
	assert_int_equal(ingest_create(&ingest, base, &settings, store, NULL), 0);
	counters = ingest_counter_set(ingest);
	TEST_FAIL_EACH_ALLOC(api_create(&api, &settings, &counters, NULL), == 0, api_destroy(api));
	assert_true(ingest_port(ingest) != 0);
	ingest_destroy(ingest);
	ingest_destroy(NULL);
	api_destroy(NULL);
	store_close(store);
	event_base_free(base);
}

static const struct {
	const char *assignment;
	bool good;
} assignments[] = {
	{ "listen=0.0.0.0:8443", true },
	{ "store.kind=sqlite", true },
	{ "store.kind=papyrus", false },
	{ "limits.body=1gb", false },
	{ "limits.connections=0", false },
	{ "tls.cert=", false },
	{ "limits.bodies=1", false },
};

static void
settings_are_checked(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(assignments); i++) {
		static const char *const must[] = { "tls.cert=a", "tls.key=a", "tls.ca=a", "store.path=a", "api.token-file=a" };
		struct config_error err;
		struct config *config;
		struct settings read;
		int result = 0;

		assert_int_equal(config_load(&config, NULL, &err), 0);
		for (size_t j = 0; j < TEST_COUNT(must); j++)
			assert_int_equal(config_set(config, must[j], &err), 0);
		result = config_set(config, assignments[i].assignment, &err);
		if (result == 0)
			result = settings_read(&read, config, &err);
		assert_int_equal(result == 0, assignments[i].good);
		if (result == 0)
			assert_string_equal(read.api_cert, "a");
		config_destroy(config);
	}
}

static void
files_are_checked(void **state)
{
	struct settings wrong = settings;

	assert_int_equal(api_check(&settings), 0);
	wrong.api_listen = "[::1]:8444";
	assert_int_equal(api_check(&wrong), 0);
	wrong = settings;
	wrong.api_key = cert_path;
	assert_int_not_equal(api_check(&wrong), 0);
	wrong = settings;
	wrong.api_listen = "localhost";
	assert_int_not_equal(api_check(&wrong), 0);
	wrong.api_listen = "127.0.0.1:65536";
	assert_int_not_equal(api_check(&wrong), 0);
	write_token("short\n");
	assert_int_not_equal(api_check(&settings), 0);
	write_token("");
	assert_int_not_equal(api_check(&settings), 0);
	unlink(token_path);
	assert_int_not_equal(api_check(&settings), 0);
	write_token("0123456789abcdef\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation_survives_no_memory),
		cmocka_unit_test(settings_are_checked),
		cmocka_unit_test(files_are_checked),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
