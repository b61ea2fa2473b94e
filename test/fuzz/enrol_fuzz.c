/*
 * Enrolment: requests for certificates as anyone with a token may send them, activation files as anyone may hand them out, and what
 * an aggregator, or who is in its place, answers a sensor.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <unistd.h>

#include "lib/base/log.h"
#include "lib/enrol/activation.h"
#include "lib/enrol/client.h"
#include "lib/enrol/csr.h"
#include "lib/link/batch.h"
#include "test/fuzz/fuzz_input.h"

enum { DER_MAX = 6000, EDITS_MAX = 16, SECURITY_BITS_MIN = 128 };

/* P-256 and P-384 by name, Ed25519, RSA from 3072: nothing that is accepted is weaker. Returns whether it was accepted. */
static bool
read_request(const char *pem, size_t len, uint8_t digest[CSR_KEY_DIGEST_LEN])
{
	const char *why = NULL;
	struct csr csr;
	int rc = csr_read(&csr, pem, len, &why);

	FUZZ_MUST(rc == 0 || why != NULL);
	FUZZ_MUST((rc == 0) == (csr.key != NULL));
	if (rc == 0) {
		FUZZ_MUST(EVP_PKEY_get_security_bits(csr.key) >= SECURITY_BITS_MIN);
		memcpy(digest, csr.key_digest, CSR_KEY_DIGEST_LEN);
	}
	csr_free(&csr);
	return rc == 0;
}

static void
read_text(struct cursor in)
{
	uint8_t digest[CSR_KEY_DIGEST_LEN];
	char *copy = (char *)fuzz_copy(in);

	(void)read_request(copy, cursor_left(&in), digest);
	free(copy);
}

/* Past base64: the fuzzer's bytes are the request. */
static bool
read_der(const uint8_t *der, size_t len, uint8_t digest[CSR_KEY_DIGEST_LEN])
{
	BIO *bio;
	char *pem;

	if (len == 0)
		return false;
	bio = BIO_new(BIO_s_mem());
	FUZZ_MUST(bio != NULL && PEM_write_bio(bio, PEM_STRING_X509_REQ, "", der, (long)len) > 0);
	long pem_len = BIO_get_mem_data(bio, &pem);
	bool accepted = read_request(pem, (size_t)pem_len, digest);

	BIO_free(bio);
	return accepted;
}

static size_t
good_request(uint8_t der[DER_MAX], uint8_t digest[CSR_KEY_DIGEST_LEN])
{
	static uint8_t made[DER_MAX];
	static uint8_t made_digest[CSR_KEY_DIGEST_LEN];
	static size_t made_len;
	char text[CSR_LEN_MAX];
	struct buf pem = { .data = text, .cap = sizeof(text) };

	if (made_len == 0) {
		EVP_PKEY *key = csr_make_key();

		FUZZ_MUST(key != NULL && csr_put(key, "plant-1", &pem) == 0 && csr_key_digest(key, made_digest) == 0);
		BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
		X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
		unsigned char *to = made;

		made_len = (size_t)i2d_X509_REQ(request, &to);
		X509_REQ_free(request);
		BIO_free(bio);
		EVP_PKEY_free(key);
	}
	memcpy(der, made, made_len);
	memcpy(digest, made_digest, CSR_KEY_DIGEST_LEN);
	return made_len;
}

/* A good request with some octets changed: whoever cannot sign for another key does not get one in. */
static void
read_changed(struct cursor in)
{
	uint8_t der[DER_MAX], digest[CSR_KEY_DIGEST_LEN], found[CSR_KEY_DIGEST_LEN];
	size_t len = good_request(der, digest);

	for (unsigned int i = 0; i < EDITS_MAX && cursor_left(&in) >= 3; i++) {
		uint16_t at = cursor_be16(&in);

		der[at % len] ^= cursor_u8(&in);
	}
	if (read_der(der, len, found))
		FUZZ_MUST(memcmp(found, digest, sizeof(found)) == 0);
}

static void
read_activation(struct cursor in)
{
	char error[ACTIVATION_ERROR_MAX] = "";
	struct activation activation;
	char *copy = (char *)fuzz_copy(in);
	int rc = activation_parse(&activation, copy, cursor_left(&in), error);

	FUZZ_MUST(rc == 0 || (error[0] != '\0' && memchr(error, '\0', sizeof(error)) != NULL));
	if (rc == 0) {
		FUZZ_MUST(batch_sensor_valid(activation.sensor) && activation.expires_s > 0);
		FUZZ_MUST(strncmp(activation.aggregator, "https://", 8) == 0 && strlen(activation.aggregator) <= ACTIVATION_URL_MAX);
		FUZZ_MUST(strncmp(activation.enrol, "https://", 8) == 0 && strlen(activation.enrol) <= ACTIVATION_URL_MAX);
		FUZZ_MUST(activation.site != NULL && activation.zone != NULL && activation.ca != NULL && activation.token != NULL);
	}
	activation_free(&activation);
	free(copy);
}

static const char *folder;

/* PEM of a certificate of the key by itself, that of a CA too. The caller's. */
static char *
certify(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;

	FUZZ_MUST(cert != NULL && bio != NULL);
	X509_set_version(cert, 0); /* of version 1 any may be a CA's */
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 1000000);
	FUZZ_MUST(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)"plant-1", -1, -1, 0) == 1);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	FUZZ_MUST(X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha384()) > 0 && PEM_write_bio_X509(bio, cert) == 1);
	long len = BIO_get_mem_data(bio, &pem);
	char *copy = strndup(pem, (size_t)len);

	BIO_free(bio);
	X509_free(cert);
	FUZZ_MUST(copy != NULL);
	return copy;
}

struct box {
	EVP_PKEY *key;
	char *certificate;
};

/* A sensor that was enrolled once. */
static const struct box *
enrolled(void)
{
	static struct box box;
	char error[IDENTITY_ERROR_MAX];

	if (box.key != NULL)
		return &box;
	log_set_level(LOG_LEVEL_ERROR - 1);
	folder = fuzz_folder("enrol");
	box.key = csr_make_key();
	FUZZ_MUST(box.key != NULL && enrol_identity_make_dir(folder, error) == 0);
	box.certificate = certify(box.key);
	const struct activation activation = { .aggregator = "https://a:1", .enrol = "https://a:2", .sensor = "plant-1", .site = (char *)"",
		.zone = (char *)"", .ca = box.certificate };

	FUZZ_MUST(enrol_identity_put_activation(folder, &activation, error) == 0);
	FUZZ_MUST(enrol_identity_install(folder, box.key, box.certificate, "plant-1", error) == 0);
	return &box;
}

/* Octets changed in the certificate, so that more than JSON is reached. */
static char *
make_answer(const struct box *box, struct cursor *in)
{
	char *cert = strdup(box->certificate), *ca = strdup(box->certificate);
	size_t len = strlen(cert);

	FUZZ_MUST(cert != NULL && ca != NULL);
	for (unsigned int i = 0; i < EDITS_MAX && cursor_left(in) >= 4; i++) {
		char *which = cursor_u8(in) & 1 ? cert : ca;
		uint16_t at = cursor_be16(in);

		which[at % len] = (char)(' ' + cursor_u8(in) % 95);
	}
	json_t *root = json_pack("{s:s, s:s}", "certificate", cert, "ca", ca);
	char *text = json_dumps(root, 0);

	FUZZ_MUST(text != NULL);
	json_decref(root);
	free(cert);
	free(ca);
	return text;
}

/* Whatever is answered, the identity is whole afterwards: the one before, or a new one of the same sensor and key. */
static void
take_answer(struct cursor in)
{
	static const int statuses[] = { 200, 200, 200, 400, 403, 429, 500, 204, 302 };
	const struct box *box = enrolled();
	char error[IDENTITY_ERROR_MAX] = "";
	struct enrol_identity identity;
	uint8_t how = cursor_u8(&in);
	char *text = how & 0x80 ? make_answer(box, &in) : (char *)fuzz_copy(in);
	const struct enrol_answered answered = { "https://a:2", NULL, statuses[how % 9], text, how & 0x80 ? strlen(text) : cursor_left(&in),
		how & 0x40 };
	int rc = enrol_take_answer(&answered, folder, box->key, "plant-1", error);

	FUZZ_MUST(rc == 0 || (rc < 0 && error[0] != '\0'));
	for (const char *c = error; rc != 0 && *c != '\0'; c++)
		FUZZ_MUST(*c >= ' ' && *c < 0x7f);
	FUZZ_MUST(enrol_identity_load(&identity, folder, error) == 0 && strcmp(identity.sensor, "plant-1") == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	uint8_t digest[CSR_KEY_DIGEST_LEN];

	switch (cursor_u8(&in) % 5) {
	case 0:
		read_text(in);
		break;
	case 1:
		(void)read_der(in.pos, cursor_left(&in) < DER_MAX ? cursor_left(&in) : DER_MAX, digest);
		break;
	case 2:
		read_changed(in);
		break;
	case 3:
		read_activation(in);
		break;
	default:
		take_answer(in);
		break;
	}
	return 0;
}
