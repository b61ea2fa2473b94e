/*
 * The aggregator's issuing CA: makes sensors' certificates.
 *
 * A certificate says: subject CN = the sensor's name and nothing else; not a CA; digital signature, TLS client; a serial of
 * 159 random bits; valid from a little before now (sensors' clocks differ) for the configured time, never longer than the CA.
 *
 * Thread: one at a time.
 */
#ifndef MR_ENROL_ISSUER_H
#define MR_ENROL_ISSUER_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

enum {
	ISSUER_SERIAL_LEN = 40,        /* hexadecimal digits of a serial */
	ISSUER_SKEW_MAX_S = 300,       /* how much before now a certificate begins, at most; a tenth of its lifetime at most */
};

struct issuer_config {
	const char *cert;    /* PEM: the CA's certificate, the chain up to the root behind it */
	const char *key;     /* PEM; must not be readable by others */
	const char *trust;   /* PEM: the roots that listeners check sensors with */
	uint64_t lifetime_s;
};

struct issued {
	char serial[ISSUER_SERIAL_LEN + 1];
	uint64_t not_before_s; /* since the Unix epoch */
	uint64_t not_after_s;
	char *pem;             /* the certificate, behind it the CA's own where that is no root; owned */
};

struct issuer;

/** Reads and checks: a CA that may sign certificates, its key, sensors' certificates of it pass with `trust`.
 *  @return 0 or -errno, logged with the file at fault. */
int issuer_create(struct issuer **out, const struct issuer_config *config);
void issuer_destroy(struct issuer *issuer);

/** @param name a sensor's name (batch_sensor_valid). @return 0, -EKEYEXPIRED (the CA's certificate has ended) or -ENOMEM */
int issuer_issue(struct issuer *issuer, EVP_PKEY *key, const char *name, uint64_t now_s, struct issued *out);
void issued_free(struct issued *issued);

#endif
