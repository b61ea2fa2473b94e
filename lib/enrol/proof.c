#include "lib/enrol/proof.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "lib/enrol/csr.h"

enum { SIGNATURE_BYTES_MAX = PROOF_SIGNATURE_MAX / 4 * 3, TEXT_MAX = CSR_LEN_MAX + 128 };

/* What is signed; its first line keeps the key from having signed anything else with it. @return bytes; 0: too long */
static size_t
put_text(char out[TEXT_MAX], const char *serial, const char *csr)
{
	int len = snprintf(out, TEXT_MAX, "millrace renewal 1\n%s\n%s", serial, csr);

	return len < 0 || len >= TEXT_MAX ? 0 : (size_t)len;
}

static const EVP_MD *
digest_of(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ED25519") == 1 ? NULL : EVP_sha256();
}

static bool
put_serial(char out[PROOF_SERIAL_MAX + 1], const X509 *cert)
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(cert);
	const unsigned char *bytes = ASN1_STRING_get0_data(number);
	int len = ASN1_STRING_length(number);

	if (len <= 0 || 2 * len > PROOF_SERIAL_MAX)
		return false;
	for (int i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02X", bytes[i]);
	return true;
}

static bool
sign(struct proof *out, EVP_PKEY *key, const char *csr)
{
	unsigned char signature[SIGNATURE_BYTES_MAX];
	char text[TEXT_MAX];
	size_t text_len = put_text(text, out->serial, csr);
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL && text_len > 0 && EVP_DigestSignInit(ctx, NULL, digest_of(key), NULL, key) == 1 &&
		EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text, text_len) == 1;

	EVP_MD_CTX_free(ctx);
	if (good)
		EVP_EncodeBlock((unsigned char *)out->signature, signature, (int)len);
	return good;
}

bool
proof_make(struct proof *out, EVP_PKEY *key, const X509 *cert, const char *csr)
{
	bool good;

	*out = (struct proof){ .serial = "" };
	good = put_serial(out->serial, cert) && sign(out, key, csr);
	ERR_clear_error();
	return good;
}

bool
proof_holds(const struct proof *proof, EVP_PKEY *key, const char *csr)
{
	unsigned char signature[SIGNATURE_BYTES_MAX + 3];
	size_t padded_len = strlen(proof->signature);
	char text[TEXT_MAX];
	size_t text_len = put_text(text, proof->serial, csr);
	int len = padded_len == 0 || padded_len > PROOF_SIGNATURE_MAX ? -1 :
		EVP_DecodeBlock(signature, (const unsigned char *)proof->signature, (int)padded_len);
	EVP_MD_CTX *ctx;
	bool good;

	/* Of the last block up to two octets are none. */
	for (size_t i = 1; len > 0 && i <= 2 && padded_len > i && proof->signature[padded_len - i] == '='; i++)
		len--;
	if (len <= 0 || text_len == 0)
		return false;
	ctx = EVP_MD_CTX_new();
	good = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, digest_of(key), NULL, key) == 1 &&
		EVP_DigestVerify(ctx, signature, (size_t)len, (const unsigned char *)text, text_len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}
