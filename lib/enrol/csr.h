/*
 * Keys and requests for certificates (PKCS #10, RFC 2986). The sensor makes both; the aggregator reads what came from
 * anyone who holds a token, so every request is bounded and checked before it is used, and nothing of it but the key is.
 *
 * Thread: any.
 */
#ifndef MR_ENROL_CSR_H
#define MR_ENROL_CSR_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "lib/base/buf.h"

enum {
	CSR_LEN_MAX = 8 * 1024,       /* bytes of a request's PEM */
	CSR_RSA_BITS_MIN = 3072,
	CSR_RSA_BITS_MAX = 4096,      /* verifying a longer one costs too much for a stranger's request */
	CSR_KEY_DIGEST_LEN = 32,
	CSR_KEY_PEM_MAX = 4096,
};

/** What is taken from a request. */
struct csr {
	EVP_PKEY *key;                          /* owned */
	uint8_t key_digest[CSR_KEY_DIGEST_LEN]; /* SHA-256 of its SubjectPublicKeyInfo */
};

/**
 * Reads and checks a request: PEM within CSR_LEN_MAX, key of P-256, P-384, Ed25519 or RSA within the bounds above, a
 * signature by that key. Its subject and attributes are not looked at.
 *
 * @param why  out: the reason, a constant text. @return 0, -EBADMSG with why set, or -ENOMEM
 */
int csr_read(struct csr *out, const char *pem, size_t len, const char **why);
void csr_free(struct csr *csr);

/** A new P-384 key. @return NULL when there is no memory or no randomness. */
EVP_PKEY *csr_make_key(void);
/** The private key as PEM (PKCS #8, unencrypted). @return 0 or -ENOMEM. */
int csr_put_key(EVP_PKEY *key, struct buf *out);
/** A request signed by the key, PEM. @param name  subject CN. @return 0 or -ENOMEM. */
int csr_put(EVP_PKEY *key, const char *name, struct buf *out);
/** @return 0 or -ENOMEM. */
int csr_key_digest(EVP_PKEY *key, uint8_t digest[CSR_KEY_DIGEST_LEN]);

#endif
