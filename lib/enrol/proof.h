/*
 * Proof, inside a request for the next certificate, that whoever asks holds the key of the present one. TLS alone proves it only
 * where nobody opens TLS on the way: a proxy that does shows the aggregator a certificate of its own.
 *
 * Signed are the present certificate's serial and the request, so what was overheard is of use for that request only, whose key
 * never left the sensor.
 *
 * Thread: any.
 */
#ifndef MR_ENROL_PROOF_H
#define MR_ENROL_PROOF_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

enum {
	PROOF_SERIAL_MAX = 40,     /* hexadecimal digits, capital, of the present certificate's serial */
	PROOF_SIGNATURE_MAX = 684, /* base64 of an RSA signature of 4096 bits, the longest there may be */
};

struct proof {
	char serial[PROOF_SERIAL_MAX + 1];
	char signature[PROOF_SIGNATURE_MAX + 1]; /* base64; SHA-256 but for Ed25519 */
};

/** @param key, cert  the present ones. @param csr  the request's PEM, as it will be sent. @return whether it could be made */
bool proof_make(struct proof *out, EVP_PKEY *key, const X509 *cert, const char *csr);
/** @param key  of the certificate with that serial. @return whether it signed this */
bool proof_holds(const struct proof *proof, EVP_PKEY *key, const char *csr);

#endif
