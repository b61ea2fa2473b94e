/*
 * The activation file: what a box needs to become a sensor, made by `millrace sensors invite`, read once by
 * `millrace-sensor enrol`. One JSON object:
 *
 *   version     1
 *   sensor      its name
 *   site, zone  where it stands; "" when not said
 *   enrol       https://HOST:PORT where the token is taken
 *   aggregator  https://HOST:PORT where records go
 *   ca          PEM: what the certificates of both must come from
 *   token       good once, until
 *   expires     seconds since the Unix epoch
 *
 * And what both ends say at the doors:
 *   POST /v1/enrolment       {"token", "csr"}   no client certificate
 *   POST /v1/enrolment/renew {"csr"}            with the valid client certificate, at the door for records
 *   200 {"sensor", "certificate", "not_after", "ca": PEM, what the aggregator is checked with from now on}; 400, 403, 429, 503 {"error": reason}
 *
 * Thread: any.
 */
#ifndef MR_ENROL_ACTIVATION_H
#define MR_ENROL_ACTIVATION_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum {
	ACTIVATION_VERSION = 1,
	ACTIVATION_LEN_MAX = 256 * 1024, /* bytes of the file */
	ACTIVATION_URL_MAX = 512,
	ACTIVATION_ERROR_MAX = 256,
};

#define ENROL_PATH "/v1/enrolment"
#define ENROL_RENEW_PATH "/v1/enrolment/renew"

/** Borrowed from root. */
struct activation {
	json_t *root;
	const char *sensor;
	const char *site;
	const char *zone;
	const char *enrol;
	const char *aggregator;
	const char *ca;
	const char *token;
	uint64_t expires_s;
};

/** @param error out: why not. @return 0 or -errno */
int activation_read(struct activation *out, const char *path, char error[ACTIVATION_ERROR_MAX]);
/** @param text JSON. @return 0 or -EINVAL */
int activation_parse(struct activation *out, const char *text, size_t len, char error[ACTIVATION_ERROR_MAX]);
void activation_free(struct activation *activation);

#endif
