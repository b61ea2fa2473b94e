/* Enrolment: requests for certificates as anyone with a token may send them, and activation files as anyone may hand them out. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/enrol/activation.h"
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	uint8_t digest[CSR_KEY_DIGEST_LEN];

	switch (cursor_u8(&in) % 4) {
	case 0:
		read_text(in);
		break;
	case 1:
		(void)read_der(in.pos, cursor_left(&in) < DER_MAX ? cursor_left(&in) : DER_MAX, digest);
		break;
	case 2:
		read_changed(in);
		break;
	default:
		read_activation(in);
		break;
	}
	return 0;
}
