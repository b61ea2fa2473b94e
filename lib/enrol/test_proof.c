/* Proofs by each kind of key that a certificate may have; no other text, key or signature passes. */
#include "test/test.h"

#include <openssl/x509.h>

#include "lib/enrol/proof.h"

static X509 *
certificate_of(EVP_PKEY *key, const unsigned char *serial, int serial_len)
{
	X509 *cert = X509_new();

	ASN1_STRING_set(X509_get_serialNumber(cert), serial, serial_len);
	X509_set_pubkey(cert, key);
	return cert;
}

static void
expect_proof(EVP_PKEY *key)
{
	static const unsigned char serial[] = { 0x0a, 0xbc, 0x00, 0xff };
	X509 *cert = certificate_of(key, serial, sizeof(serial));
	EVP_PKEY *stranger = EVP_EC_gen("P-256");
	struct proof proof;

	assert_true(proof_make(&proof, key, cert, "request"));
	assert_string_equal(proof.serial, "0ABC00FF");
	assert_true(proof_holds(&proof, key, "request"));
	assert_false(proof_holds(&proof, key, "requesT"));
	assert_false(proof_holds(&proof, stranger, "request"));
	proof.serial[0] = '1';
	assert_false(proof_holds(&proof, key, "request"));
	proof.serial[0] = '0';
	for (size_t i = strlen(proof.signature); i-- > 0;) {
		char kept = proof.signature[i];

		proof.signature[i] = kept == 'z' ? 'A' : kept == '9' ? '8' : (char)(kept + 1);
		assert_false(proof_holds(&proof, key, "request") && kept != '=' && proof.signature[i + 1] != '=');
		proof.signature[i] = '\0';
		assert_false(proof_holds(&proof, key, "request"));
		proof.signature[i] = kept;
	}
	assert_true(proof_holds(&proof, key, "request"));
	EVP_PKEY_free(stranger);
	X509_free(cert);
}

static void
each_kind_of_key_proves(void **unused)
{
	EVP_PKEY *keys[] = { EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(4096) };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		expect_proof(keys[i]);
		EVP_PKEY_free(keys[i]);
	}
}

static void
what_does_not_fit_is_refused(void **unused)
{
	static const unsigned char serial[PROOF_SERIAL_MAX / 2 + 1] = { 1 };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *fits = certificate_of(key, serial, PROOF_SERIAL_MAX / 2), *longer = certificate_of(key, serial, sizeof(serial));
	static char text[16 * 1024];
	struct proof proof;

	memset(text, 'x', sizeof(text) - 1);
	assert_false(proof_make(&proof, key, longer, "request"));
	assert_false(proof_make(&proof, key, fits, text));
	assert_true(proof_make(&proof, key, fits, "request"));
	assert_int_equal(strlen(proof.serial), PROOF_SERIAL_MAX);
	assert_false(proof_holds(&proof, key, text));
	/* The longest text that is no base64, and one that decodes to more than a signature. */
	memset(proof.signature, '!', PROOF_SIGNATURE_MAX);
	assert_false(proof_holds(&proof, key, "request"));
	memset(proof.signature, 'A', PROOF_SIGNATURE_MAX);
	assert_false(proof_holds(&proof, key, "request"));
	X509_free(fits);
	X509_free(longer);
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_key_proves),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
