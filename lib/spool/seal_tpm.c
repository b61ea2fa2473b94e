/*
 * A key that only this machine's TPM2 can make: what an EC key of the TPM and a public key in a file agree on (ECDH).
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/tpm.h"
#include "lib/spool/seal.h"

struct agreement {
	struct tpm tpm;
	EVP_PKEY *own, *peer;
	EVP_PKEY_CTX *ctx;
};

static int
fail(int rc, const char *what, const char *name)
{
	char reason[TPM_REASON_MAX];

	tpm_reason(reason);
	log_error("spool", "spool.key-tpm: %s%s: %s", what, name, reason);
	return rc;
}

static EVP_PKEY *
load_peer(OSSL_LIB_CTX *library, const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file == NULL ? NULL : PEM_read_PUBKEY_ex(file, NULL, NULL, NULL, library, tpm_properties);

	if (file != NULL)
		fclose(file);
	return key;
}

static int
agree(struct agreement *agreement, const char *uri, const char *path, struct seal_secret *out)
{
	struct tpm *tpm = &agreement->tpm;

	if (tpm_open(tpm) != 0)
		return fail(-ENODEV, "OpenSSL's provider tpm2 (package tpm2-openssl), or the TPM", "");
	agreement->own = tpm_load(tpm, uri);
	if (agreement->own == NULL)
		return fail(-ENODEV, "", uri);
	if (!tpm_holds(tpm, agreement->own))
		return fail(-EINVAL, "no key of a TPM: ", uri);
	agreement->peer = load_peer(tpm->library, path);
	if (agreement->peer == NULL)
		return fail(-EINVAL, "no public key in spool.key-file ", path);
	agreement->ctx = EVP_PKEY_CTX_new_from_pkey(tpm->library, agreement->own, tpm_properties);
	out->len = sizeof(out->bytes);
	if (agreement->ctx == NULL || EVP_PKEY_derive_init(agreement->ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(agreement->ctx, agreement->peer) != 1 ||
	    EVP_PKEY_derive(agreement->ctx, out->bytes, &out->len) != 1)
		return fail(-ENODEV, "no agreement of keys: ", uri);
	return 0;
}

int
seal_tpm_agree(struct seal_secret *out, const char *uri, const char *path)
{
	struct agreement agreement = { .own = NULL };
	int rc = agree(&agreement, uri, path, out);

	EVP_PKEY_CTX_free(agreement.ctx);
	EVP_PKEY_free(agreement.peer);
	EVP_PKEY_free(agreement.own);
	tpm_close(&agreement.tpm);
	return rc;
}
