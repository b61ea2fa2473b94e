/*
 * What enrolment leaves on the sensor's box, a folder (0700):
 *
 *   identity.pem   private key and certificate with its chain (0600); replaced as one at each renewal
 *   ca.pem         what the aggregator's certificate must come from
 *   sensor.json    {"aggregator", "enrol", "sensor", "site", "zone"}
 *   pending.key    a key whose certificate was asked for and has not come (0600)
 *
 * Each file appears whole and on the disk, or not at all. A key is made on the box and never leaves it.
 *
 * Thread: what writes does so while its thread holds the folder (lib/base/hold.h): the sensor renews while its operator enrols
 * it again, two processes with one pending key. enrol_identity_load() by any, at any time.
 */
#ifndef MR_ENROL_IDENTITY_H
#define MR_ENROL_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "lib/base/buf.h"
#include "lib/enrol/activation.h"
#include "lib/link/batch.h"

enum { IDENTITY_PATH_MAX = 1024, IDENTITY_FILE_MAX = 64 * 1024, IDENTITY_ERROR_MAX = 256 };

struct enrol_identity {
	char pem[IDENTITY_PATH_MAX]; /* paths */
	char ca[IDENTITY_PATH_MAX];
	char aggregator[ACTIVATION_URL_MAX + 1];
	char sensor[BATCH_SENSOR_MAX + 1];
	uint64_t not_before_s;       /* of the certificate, since the Unix epoch */
	uint64_t not_after_s;
};

/** @param error out: what is wrong, file included. @return 0, -ENOENT (not enrolled) or -errno */
int enrol_identity_load(struct enrol_identity *out, const char *dir, char error[IDENTITY_ERROR_MAX]);

/**
 * The pending key, made when there is none.
 *
 * @param key out: the caller's
 * @param tpm in this machine's TPM2 (lib/link/key.h); one that is pending elsewhere is replaced
 * @return 0 or -errno with error set
 */
int enrol_identity_pending_key(EVP_PKEY **key, const char *dir, bool tpm, char error[IDENTITY_ERROR_MAX]);
/** What identity.pem holds: key and certificate. @param text out: the caller's buf_destroy(), ends in \0. @return 0 or -errno */
int enrol_identity_read(struct buf *text, const char *path);
/** Key and certificate, the caller's. @return 0 or -errno with error set */
int enrol_identity_read_pair(const struct enrol_identity *identity, EVP_PKEY **key, X509 **cert, char error[IDENTITY_ERROR_MAX]);
/** Makes the pending key the identity. The certificate must be the key's, and the sensor's. @return 0 or -errno */
int enrol_identity_install(const char *dir, EVP_PKEY *key, const char *certificate, const char *sensor,
	char error[IDENTITY_ERROR_MAX]);
/** Writes ca.pem and sensor.json. @return 0 or -errno */
int enrol_identity_put_activation(const char *dir, const struct activation *activation, char error[IDENTITY_ERROR_MAX]);
/**
 * Brings ca.pem up to date. Taken only when one certificate of it is in the present one, too: so CAs change by an overlap.
 *
 * @param text PEM, of one to sixteen CAs
 * @return 0, also when nothing was to do; -EBADMSG, -EMSGSIZE (not taken), or -errno
 */
int enrol_identity_put_ca(const char *dir, const char *text, char error[IDENTITY_ERROR_MAX]);
/** Makes the folder, and those above it. @return 0 or -errno */
int enrol_identity_make_dir(const char *dir, char error[IDENTITY_ERROR_MAX]);

#endif
