/*
 * A key that only this machine's TPM2 can make: what an EC key of the TPM and a public key in a file agree on (ECDH), by
 * OpenSSL's provider tpm2. It has a library context of its own, so that nothing else goes by that provider.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/spool/seal.h"

static const char by_tpm[] = "?provider=tpm2";

struct tpm {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *standard, *tpm2;
	EVP_PKEY *own, *peer;
	EVP_PKEY_CTX *agreement;
};

static int
fail(int rc, const char *what, const char *name)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	const char *data = NULL;
	int flags = 0;

	ERR_peek_last_error_data(&data, &flags);
	log_error("spool", "spool.key-tpm: %s%s: %s%s%s", what, name, code == 0 || reason == NULL ? "failed" : reason,
		data != NULL && (flags & ERR_TXT_STRING) != 0 && data[0] != '\0' ? ": " : "",
		data != NULL && (flags & ERR_TXT_STRING) != 0 ? data : "");
	ERR_clear_error();
	return rc;
}

/* By "handle:0x81000001", or the file that `openssl genpkey -provider tpm2` writes. NULL: there is none */
static EVP_PKEY *
load_own(OSSL_LIB_CTX *library, const char *uri)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, library, by_tpm, NULL, NULL, NULL, NULL, NULL);
	EVP_PKEY *key = NULL;

	while (store != NULL && key == NULL && OSSL_STORE_eof(store) == 0) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info == NULL)
			break;
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return key;
}

static EVP_PKEY *
load_peer(OSSL_LIB_CTX *library, const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file == NULL ? NULL : PEM_read_PUBKEY_ex(file, NULL, NULL, NULL, library, by_tpm);

	if (file != NULL)
		fclose(file);
	return key;
}

static bool
is_of_tpm(const struct tpm *tpm)
{
	return EVP_PKEY_get0_provider(tpm->own) == tpm->tpm2;
}

static int
agree(struct tpm *tpm, const char *uri, const char *path, struct seal_secret *out)
{
	tpm->library = OSSL_LIB_CTX_new();
	tpm->standard = tpm->library == NULL ? NULL : OSSL_PROVIDER_load(tpm->library, "default");
	tpm->tpm2 = tpm->standard == NULL ? NULL : OSSL_PROVIDER_load(tpm->library, "tpm2");
	if (tpm->tpm2 == NULL)
		return fail(-ENODEV, "OpenSSL's provider tpm2 (package tpm2-openssl), or the TPM", "");
	tpm->own = load_own(tpm->library, uri);
	if (tpm->own == NULL)
		return fail(-ENODEV, "", uri);
	if (!is_of_tpm(tpm))
		return fail(-EINVAL, "no key of a TPM: ", uri);
	tpm->peer = load_peer(tpm->library, path);
	if (tpm->peer == NULL)
		return fail(-EINVAL, "no public key in spool.key-file ", path);
	tpm->agreement = EVP_PKEY_CTX_new_from_pkey(tpm->library, tpm->own, by_tpm);
	out->len = sizeof(out->bytes);
	if (tpm->agreement == NULL || EVP_PKEY_derive_init(tpm->agreement) != 1 ||
	    EVP_PKEY_derive_set_peer(tpm->agreement, tpm->peer) != 1 ||
	    EVP_PKEY_derive(tpm->agreement, out->bytes, &out->len) != 1)
		return fail(-ENODEV, "no agreement of keys: ", uri);
	return 0;
}

int
seal_tpm_agree(struct seal_secret *out, const char *uri, const char *path)
{
	struct tpm tpm = { 0 };
	int rc = agree(&tpm, uri, path, out);

	EVP_PKEY_CTX_free(tpm.agreement);
	EVP_PKEY_free(tpm.peer);
	EVP_PKEY_free(tpm.own);
	if (tpm.tpm2 != NULL)
		OSSL_PROVIDER_unload(tpm.tpm2);
	if (tpm.standard != NULL)
		OSSL_PROVIDER_unload(tpm.standard);
	OSSL_LIB_CTX_free(tpm.library);
	return rc;
}
