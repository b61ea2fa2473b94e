#include "lib/enrol/issuer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/base/log.h"

enum { SERIAL_BYTES = 20, CHAIN_MAX = 8 };

struct issuer {
	X509 *cert;
	STACK_OF(X509) *chain; /* what follows the CA's certificate in its file */
	EVP_PKEY *key;
	uint64_t lifetime_s;
	bool root;             /* the CA signed itself: peers have it already */
};

static int
failed(const char *key, const char *file, const char *why)
{
	char reason[160];

	ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
	log_error("enrol", "%s: %s: %s", key, file, why != NULL ? why : reason);
	ERR_clear_error();
	return -EINVAL;
}

/* ---- reading the CA ---- */

static int
read_chain(struct issuer *issuer, const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *cert;

	if (file == NULL)
		return failed("enrol.ca-cert", path, strerror(errno));
	issuer->cert = PEM_read_X509(file, NULL, NULL, NULL);
	issuer->chain = sk_X509_new_null();
	while (issuer->cert != NULL && issuer->chain != NULL && sk_X509_num(issuer->chain) < CHAIN_MAX &&
	    (cert = PEM_read_X509(file, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(issuer->chain, cert) == 0)
			X509_free(cert);
	fclose(file);
	if (issuer->cert == NULL || issuer->chain == NULL)
		return failed("enrol.ca-cert", path, NULL);
	ERR_clear_error(); /* of the end of the file */
	return 0;
}

static int
read_key(struct issuer *issuer, const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat st;

	if (file == NULL || fstat(fileno(file), &st) != 0) {
		int err = failed("enrol.ca-key", path, strerror(errno));

		if (file != NULL)
			fclose(file);
		return err;
	}
	if ((st.st_mode & S_IRWXO) != 0) {
		fclose(file);
		return failed("enrol.ca-key", path, "others may read or write it: chmod 0600");
	}
	issuer->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	return issuer->key == NULL ? failed("enrol.ca-key", path, NULL) : 0;
}

/* Whether a listener that trusts these roots will take what this CA signs. */
static int
check_trust(const struct issuer *issuer, const struct issuer_config *config)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	int err = -ENOMEM;

	if (store != NULL && check != NULL) {
		err = X509_STORE_load_file(store, config->trust) == 1 ? 0 : failed("tls.ca", config->trust, NULL);
		if (err == 0 && X509_STORE_CTX_init(check, store, issuer->cert, issuer->chain) != 1)
			err = -ENOMEM;
		if (err == 0 && X509_verify_cert(check) != 1)
			err = failed("enrol.ca-cert is not trusted by tls.ca", config->cert,
				X509_verify_cert_error_string(X509_STORE_CTX_get_error(check)));
	}
	X509_STORE_CTX_free(check);
	X509_STORE_free(store);
	return err;
}

static int
check_ca(const struct issuer *issuer, const struct issuer_config *config)
{
	if (X509_check_private_key(issuer->cert, issuer->key) != 1)
		return failed("enrol.ca-key", config->key, "is not the key of enrol.ca-cert");
	if (X509_check_ca(issuer->cert) != 1 || (X509_get_key_usage(issuer->cert) & KU_KEY_CERT_SIGN) == 0)
		return failed("enrol.ca-cert", config->cert, "may not sign certificates (basicConstraints, keyUsage)");
	if (X509_cmp_current_time(X509_get0_notAfter(issuer->cert)) < 0)
		return failed("enrol.ca-cert", config->cert, "has expired");
	return check_trust(issuer, config);
}

int
issuer_create(struct issuer **out, const struct issuer_config *config)
{
	struct issuer *issuer = calloc(1, sizeof(*issuer));
	int err;

	if (issuer == NULL)
		return -ENOMEM;
	issuer->lifetime_s = config->lifetime_s;
	err = read_chain(issuer, config->cert);
	if (err == 0)
		err = read_key(issuer, config->key);
	if (err == 0)
		err = check_ca(issuer, config);
	if (err != 0) {
		issuer_destroy(issuer);
		return err;
	}
	issuer->root = X509_check_issued(issuer->cert, issuer->cert) == X509_V_OK;
	*out = issuer;
	return 0;
}

void
issuer_destroy(struct issuer *issuer)
{
	if (issuer == NULL)
		return;
	X509_free(issuer->cert);
	sk_X509_pop_free(issuer->chain, X509_free);
	EVP_PKEY_free(issuer->key);
	free(issuer);
}

/* ---- issuing ---- */

static bool
set_serial(X509 *cert, char text[ISSUER_SERIAL_LEN + 1])
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool done;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	/* Positive, and always as long: RFC 5280 4.1.2.2 allows 20 octets. */
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	for (unsigned int i = 0; i < SERIAL_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02X", bytes[i]);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	done = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return done;
}

static uint64_t
seconds_of(const ASN1_TIME *time)
{
	struct tm parts = { 0 };
	time_t seconds = ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;

	return seconds < 0 ? 0 : (uint64_t)seconds;
}

static bool
set_times(const struct issuer *issuer, X509 *cert, uint64_t now_s, struct issued *out)
{
	uint64_t skew_s = issuer->lifetime_s / 10;
	uint64_t ca_end_s = seconds_of(X509_get0_notAfter(issuer->cert));

	out->not_before_s = now_s - (skew_s > ISSUER_SKEW_MAX_S ? ISSUER_SKEW_MAX_S : skew_s);
	out->not_after_s = now_s + issuer->lifetime_s;
	if (out->not_after_s > ca_end_s)
		out->not_after_s = ca_end_s;
	return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)out->not_before_s) != NULL &&
		ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)out->not_after_s) != NULL;
}

static bool
add_extensions(const struct issuer *issuer, X509 *cert)
{
	static const struct {
		int nid;
		const char *value;
	} extensions[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_ext_key_usage, "clientAuth" },
		{ NID_subject_key_identifier, "hash" },
		{ NID_authority_key_identifier, "keyid" },
	};
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer->cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, extensions[i].nid, extensions[i].value);
		bool added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;

		X509_EXTENSION_free(extension);
		/* A CA without a subject key identifier of its own has none to point at. */
		if (!added && extensions[i].nid != NID_authority_key_identifier)
			return false;
	}
	return true;
}

/* Ed25519 and its kin hash by themselves. */
static const EVP_MD *
digest_of(EVP_PKEY *key)
{
	int id = EVP_PKEY_get_base_id(key);

	return id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448 ? NULL : EVP_sha384();
}

static char *
write_pem(const struct issuer *issuer, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool written = bio != NULL && PEM_write_bio_X509(bio, cert) == 1 &&
		(issuer->root || PEM_write_bio_X509(bio, issuer->cert) == 1);
	char *text = NULL;
	char *data;

	for (int i = 0; written && !issuer->root && i < sk_X509_num(issuer->chain); i++)
		written = PEM_write_bio_X509(bio, sk_X509_value(issuer->chain, i)) == 1;
	if (written) {
		long len = BIO_get_mem_data(bio, &data);

		text = strndup(data, (size_t)len);
	}
	BIO_free(bio);
	return text;
}

int
issuer_issue(struct issuer *issuer, EVP_PKEY *key, const char *name, uint64_t now_s, struct issued *out)
{
	X509 *cert = X509_new();
	bool made;

	*out = (struct issued){ 0 };
	made = cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert, out->serial) &&
		set_times(issuer, cert, now_s, out) &&
		X509_set_issuer_name(cert, X509_get_subject_name(issuer->cert)) == 1 &&
		X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
			(const unsigned char *)name, -1, -1, 0) == 1 &&
		X509_set_pubkey(cert, key) == 1 && add_extensions(issuer, cert) &&
		X509_sign(cert, issuer->key, digest_of(issuer->key)) > 0;
	if (made && out->not_after_s <= now_s) {
		X509_free(cert);
		return -EKEYEXPIRED;
	}
	if (made)
		out->pem = write_pem(issuer, cert);
	X509_free(cert);
	ERR_clear_error();
	return out->pem == NULL ? -ENOMEM : 0;
}

void
issued_free(struct issued *issued)
{
	free(issued->pem);
	issued->pem = NULL;
}
