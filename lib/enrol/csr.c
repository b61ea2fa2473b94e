#include "lib/enrol/csr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

enum { P256_BITS = 256 };

/* Curve parameters spelled out instead of named would let a stranger choose the arithmetic. */
static bool
is_good_curve(EVP_PKEY *key)
{
	char group[32] = "";
	char encoding[32] = "";

	return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) == 1 &&
		(strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0) &&
		EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof(encoding), NULL) == 1 &&
		strcmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP) == 0;
}

/* The exponent is bounded too: a long one makes verifying as slow as signing. */
static bool
is_good_rsa(EVP_PKEY *key)
{
	BIGNUM *exponent = NULL;
	int bits = EVP_PKEY_get_bits(key);
	bool good = bits >= CSR_RSA_BITS_MIN && bits <= CSR_RSA_BITS_MAX &&
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) &&
		BN_num_bits(exponent) >= 17 && BN_num_bits(exponent) <= 33;

	BN_free(exponent);
	return good;
}

static const char *
judge_key(EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_EC: return is_good_curve(key) ? NULL : "the key's curve is not P-256 or P-384";
	case EVP_PKEY_RSA: return is_good_rsa(key) ? NULL : "an RSA key must have 3072 to 4096 bits and a usual exponent";
	case EVP_PKEY_ED25519: return NULL;
	default: return "the key is not of P-256, P-384, Ed25519 or RSA";
	}
}

int
csr_key_digest(EVP_PKEY *key, uint8_t digest[CSR_KEY_DIGEST_LEN])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	int err = len > 0 && EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

	OPENSSL_free(der);
	return err;
}

static int
read_request(struct csr *out, X509_REQ *request, const char **why)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);

	*why = key == NULL ? "the key cannot be read" : judge_key(key);
	if (*why == NULL && X509_REQ_verify(request, key) != 1)
		*why = "the signature is not by the request's own key";
	if (*why != NULL)
		return -EBADMSG;
	if (csr_key_digest(key, out->key_digest) != 0 || EVP_PKEY_up_ref(key) != 1)
		return -ENOMEM;
	out->key = key;
	return 0;
}

int
csr_read(struct csr *out, const char *pem, size_t len, const char **why)
{
	BIO *bio = len > CSR_LEN_MAX ? NULL : BIO_new_mem_buf(pem, (int)len);
	X509_REQ *request = NULL;
	int err = -EBADMSG;

	*out = (struct csr){ 0 };
	*why = "the request is longer than 8192 bytes";
	if (len <= CSR_LEN_MAX && bio == NULL)
		return -ENOMEM;
	if (bio != NULL) {
		*why = "not a PEM certificate request";
		request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	}
	if (request != NULL)
		err = read_request(out, request, why);
	X509_REQ_free(request);
	BIO_free(bio);
	ERR_clear_error();
	return err;
}

void
csr_free(struct csr *csr)
{
	EVP_PKEY_free(csr->key);
	csr->key = NULL;
}

EVP_PKEY *
csr_make_key(void)
{
	return EVP_EC_gen("P-384");
}

static int
put_bio(BIO *bio, struct buf *out)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	buf_put(out, data, (size_t)len);
	return out->full ? -ENOMEM : 0;
}

/* The memory of the BIO is cleared when it is freed: BIO_s_secmem() falls back to such memory as well. */
int
csr_put_key(EVP_PKEY *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int err = bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? put_bio(bio, out)
		: -ENOMEM;

	BIO_free(bio);
	return err;
}

int
csr_put(EVP_PKEY *key, const char *name, struct buf *out)
{
	X509_REQ *request = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	int err = -ENOMEM;

	if (request != NULL && bio != NULL && X509_REQ_set_pubkey(request, key) == 1 &&
	    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC,
		(const unsigned char *)name, -1, -1, 0) == 1 &&
	    X509_REQ_sign(request, key, EVP_PKEY_get_bits(key) <= P256_BITS ? EVP_sha256() : EVP_sha384()) > 0 && PEM_write_bio_X509_REQ(bio, request) == 1)
		err = put_bio(bio, out);
	X509_REQ_free(request);
	BIO_free(bio);
	return err;
}
