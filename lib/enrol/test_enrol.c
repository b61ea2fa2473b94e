#include "lib/enrol/test_enrol_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/enrol/client.h"

static EVP_PKEY *
make_key(const char *type, const char *arg, unsigned int bits)
{
	return strcmp(type, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)bits)
		: strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type, arg) : EVP_PKEY_Q_keygen(NULL, NULL, type);
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
	struct csr csr = rig_csr();
	struct issuer *issuer = NULL;
	struct issued one, two;
	BIO *bio;
	X509 *cert;
	char name[64];

	assert_int_equal(issuer_create(&issuer, &rig_config), 0);
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
	struct issuer_config wrong = rig_config;
	struct issuer *issuer = NULL;

	chmod(rig_ca_key, 0604);
	assert_int_equal(issuer_create(&issuer, &rig_config), -EINVAL);
	chmod(rig_ca_key, 0600);
	snprintf(other, sizeof(other), "%s.other", rig_ca_key);
	assert_int_equal(rename(rig_ca_key, other), 0);
	assert_int_equal(issuer_create(&issuer, &rig_config), -EINVAL);
	rig_write_ca(true);
	wrong.key = other;
	assert_int_equal(issuer_create(&issuer, &wrong), -EINVAL);
	snprintf(other, sizeof(other), "%s.other", rig_ca_cert);
	assert_int_equal(rename(rig_ca_cert, other), 0);
	rig_write_ca(true);
	wrong = rig_config;
	wrong.trust = other;
	assert_int_equal(issuer_create(&issuer, &wrong), -EINVAL);
	rig_write_ca(false);
	assert_int_equal(issuer_create(&issuer, &rig_config), -EINVAL);
	issuer_destroy(NULL);
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
	assert_int_equal(activation_read(&activation, rig_dir, error), -EINVAL);
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

	snprintf(path, sizeof(path), "%s/a/b", rig_dir);
	assert_int_equal(enrol_identity_make_dir(path, error), 0);
	assert_int_equal(enrol_identity_load(&identity, path, error), -ENOENT);
	assert_int_equal(enrol_identity_pending_key(&key, path, false, error), 0);
	assert_int_equal(enrol_identity_pending_key(&same, path, false, error), 0);
	assert_int_equal(EVP_PKEY_eq(key, same), 1);
	assert_int_equal(issuer_create(&issuer, &rig_config), 0);
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
	assert_int_equal(enrol_identity_pending_key(&same, path, false, error), 0);
	assert_int_equal(EVP_PKEY_eq(key, same), 0);
	issued_free(&issued);
	issuer_destroy(issuer);
	EVP_PKEY_free(key);
	EVP_PKEY_free(same);
	EVP_PKEY_free(other);
}

static void
renewal_is_due_at_a_part_of_the_lifetime(void **unused)
{
	assert_int_equal(enrol_due_s(1000, 1900, 66), 1594);
	assert_int_equal(enrol_due_s(1000, 1900, 1), 1009);
	assert_int_equal(enrol_due_s(1000, 1950, 99), 1941);
	assert_int_equal(enrol_due_s(1000, 1001, 66), 1001);
	assert_int_equal(enrol_due_s(1000, 1000, 66), 1000);
	assert_int_equal(enrol_due_s(1000, 900, 66), 900);
	assert_int_equal(enrol_due_s(0, UINT64_MAX, 1), UINT64_MAX / 100 + 1);
}

static void
renewals_are_apart(void **unused)
{
	assert_int_equal(enrol_pause_ms(1000, 1000 + 3600), 36000);
	assert_int_equal(enrol_pause_ms(1000, 1000 + 30 * 86400), 3600000);
	assert_int_equal(enrol_pause_ms(1000, 1010), 1000);
	assert_int_equal(enrol_pause_ms(1000, 900), 1000);
	assert_int_equal(enrol_pause_ms(0, UINT64_MAX / 1000), 3600000);
}

static void
creation_survives_no_memory(void **unused)
{
	const struct enrol_config own = { .dir = rig_dir };
	const struct enrol_way way = { .timeout_ms = 1000, .connect_timeout_ms = 1000 };
	struct enrol_renewer *renewer = NULL;
	struct issuer *issuer = NULL;

	TEST_FAIL_EACH_ALLOC(issuer_create(&issuer, &rig_config), == 0, issuer_destroy(issuer));
	TEST_FAIL_EACH_ALLOC(enrol_renewer_create(&renewer, &own, "https://a:1", &way), == 0, enrol_renewer_destroy(renewer));
	enrol_renewer_destroy(NULL);
}

static int
listen_anywhere(unsigned int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void
make_identity(const char *dir)
{
	struct activation activation = { .sensor = "plant-1", .site = "", .zone = "", .enrol = "https://a:2", .aggregator = "https://a:1" };
	char error[IDENTITY_ERROR_MAX], ca[4096] = "";
	FILE *file = fopen(rig_ca_cert, "r");
	struct issuer *issuer = NULL;
	struct issued issued;
	EVP_PKEY *key = NULL;

	assert_true(fread(ca, 1, sizeof(ca) - 1, file) > 0);
	fclose(file);
	activation.ca = ca;
	assert_int_equal(enrol_identity_make_dir(dir, error), 0);
	assert_int_equal(enrol_identity_pending_key(&key, dir, false, error), 0);
	assert_int_equal(issuer_create(&issuer, &rig_config), 0);
	assert_int_equal(issuer_issue(issuer, key, "plant-1", (uint64_t)time(NULL), &issued), 0);
	assert_int_equal(enrol_identity_put_activation(dir, &activation, error), 0);
	assert_int_equal(enrol_identity_install(dir, key, issued.pem, "plant-1", error), 0);
	issued_free(&issued);
	issuer_destroy(issuer);
	EVP_PKEY_free(key);
}

/* The aggregator takes the connection and says nothing: whoever ends the sensor does not wait for it, by any of its ways. */
static void
an_end_does_not_wait_for_an_answer(void **unused)
{
	char dir[128], url[64];
	const struct enrol_config config = { .dir = dir, .renew = true, .renew_at = 0 };
	const struct enrol_way way = { .timeout_ms = 60000, .connect_timeout_ms = 60000 };
	struct enrol_renewer *renewer = NULL;
	struct pollfd asked = { .events = POLLIN };
	unsigned int port;
	uint64_t since_ms;

	snprintf(dir, sizeof(dir), "%s/identity", rig_dir);
	make_identity(dir);
	asked.fd = listen_anywhere(&port);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u", port);
	assert_int_equal(enrol_renewer_create(&renewer, &config, url, &way), 0);
	assert_int_equal(poll(&asked, 1, 20000), 1);
	since_ms = clock_ms();
	enrol_renewer_destroy(renewer);
	assert_true(clock_ms() - since_ms < 10000);
	close(asked.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_judged),
		cmocka_unit_test(requests_are_cut_and_bent),
		cmocka_unit_test_setup_teardown(certificates_say_what_they_must, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(issuers_are_judged, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(activation_files_are_judged, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(identities_are_whole, rig_setup, rig_teardown),
		cmocka_unit_test(renewal_is_due_at_a_part_of_the_lifetime), cmocka_unit_test(renewals_are_apart),
		cmocka_unit_test_setup_teardown(creation_survives_no_memory, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(an_end_does_not_wait_for_an_answer, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
