/*
 * The private key of the sensor's certificate: in the clear, or one that only this machine's TPM2 can use.
 *
 * A key of the TPM is used as any other, by libcurl too: it looks like an EC key whose signatures are made elsewhere, in the
 * library context of lib/base/tpm.h, which is opened with the first such key and stays open.
 *
 * Thread: any; the TPM signs for one at a time.
 */
#ifndef MR_LINK_KEY_H
#define MR_LINK_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "lib/base/buf.h"

/** @return whether so a key of a TPM is named and not a file of PEM: "handle:0x81000001" */
bool link_key_is_handle(const char *name);
/**
 * Reads a key. It is the first of its kind in the text, certificates may stand beside it.
 *
 * @param text  PEM: a private key without a passphrase, or a TSS2 PRIVATE KEY; or link_key_is_handle(). Ends in \0.
 * @param why   out: what is wrong with it; static text
 * @return the caller's, or NULL
 */
EVP_PKEY *link_key_read(const char *text, size_t len, const char **why);
/** A new EC key (P-256) that never leaves the TPM. @return the caller's, or NULL with why set */
EVP_PKEY *link_key_make_tpm(const char **why);
/** @return whether the key is in the TPM */
bool link_key_is_of_tpm(const EVP_PKEY *key);
/** A key of the TPM as PEM, which is of use to this machine alone. @return 0, -EINVAL (it has a handle) or -ENOMEM */
int link_key_put_tpm(EVP_PKEY *key, struct buf *out);

/** Sets certificate, chain and key of a client. @param cert, key  PEM as above. @return whether they fit each other */
bool link_key_use(SSL_CTX *ctx, const char *cert, size_t cert_len, const char *key, size_t key_len);
/** @return whether the text is of a key that only link_key_use() can use */
bool link_key_needs_tpm(const char *text);

#endif
