/*
 * Sensors by the API: inviting one, revoking one, and what enrolment knows of each in the list of sensors.
 *
 *   POST /v1/sensors/invite {"sensor", "site", "zone", "expires_in_s"}   201 {"activation": {..}} (lib/enrol/activation.h)
 *   POST /v1/sensors/revoke {"sensor", "force"}                          200 {"sensor", "certificates"}
 *   GET  /v1/sensors/audit                                               200 {"audit": [..]}
 *
 * Thread: any, one after the other.
 */
#ifndef MR_AGGREGATOR_API_SENSORS_H
#define MR_AGGREGATOR_API_SENSORS_H

#include <jansson.h>

#include "app/aggregator/enrol.h"
#include "lib/store/store.h"

struct api_sensors;

/** @param settings, enrol borrowed. @return 0 or -errno, logged */
int api_sensors_create(struct api_sensors **out, const struct settings *settings, struct enrol *enrol);
void api_sensors_destroy(struct api_sensors *sensors);

/** A request as it came. */
struct api_sensors_request {
	const char *path;
	bool post;
	const char *body;  /* not terminated */
	size_t body_len;
	const char *actor; /* for the audit trail */
};

/** @param out the answer, or NULL. @param reason out: a constant text, when the status is not 2xx. @return the status */
int api_sensors_answer(struct api_sensors *sensors, const struct api_sensors_request *request, json_t **out,
	const char **reason);
/** Adds state, site, zone and expires to the rows of STORE_REPORT_SENSORS, and rows for those that have sent nothing.
 *  @param only a sensor's name; NULL: all. @return 0 or -errno */
int api_sensors_join(struct api_sensors *sensors, json_t *rows, const char *only);

#endif
