/*
 * Keys of this machine's TPM2, by OpenSSL's provider tpm2. It has a library context of its own, so that nothing else goes by
 * that provider. TPM2OPENSSL_TCTI says where the TPM is, by default /dev/tpmrm0.
 *
 * Thread: one at a time for what is of one struct tpm, its keys included.
 */
#ifndef MR_BASE_TPM_H
#define MR_BASE_TPM_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

enum { TPM_REASON_MAX = 160 };

struct tpm {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *standard, *provider;
};

/** The property query by which keys and what is done with them are found. */
extern const char tpm_properties[];

/** @return 0, or -ENODEV: no provider, or no TPM; to be closed either way */
int tpm_open(struct tpm *tpm);
/** Keys go first. */
void tpm_close(struct tpm *tpm);

/** By "handle:0x81000001", or the path of what `openssl genpkey -provider tpm2` writes. @return NULL: there is none */
EVP_PKEY *tpm_load(const struct tpm *tpm, const char *uri);
/** From such a file's text. @return NULL: it holds no key, or one of another TPM */
EVP_PKEY *tpm_read(const struct tpm *tpm, const char *text, size_t len);
/** @return whether the key is in the TPM; a file may hold a plain one */
bool tpm_holds(const struct tpm *tpm, const EVP_PKEY *key);

/** OpenSSL's newest error in words, which is then forgotten; "failed" where there is none. */
void tpm_reason(char out[TPM_REASON_MAX]);

#endif
