#include "app/aggregator/api_sensors.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "app/aggregator/enrol.h"
#include "lib/enrol/activation.h"
#include "lib/enrol/registry.h"

enum { AUDIT_ROWS = 1000 };

struct api_sensors {
	const struct settings *settings;
	struct enrol *enrol;
	pthread_mutex_t lock; /* of the registry's handle */
	struct registry *registry;
};

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- inviting ---- */

static const char *
text_of(const json_t *body, const char *key)
{
	const json_t *value = json_object_get(body, key);

	return value == NULL || json_is_null(value) ? "" : json_string_value(value);
}

static const char *
read_invitation(const struct api_sensors *sensors, const json_t *body, struct registry_invitation *out)
{
	const json_t *lasts = json_object_get(body, "expires_in_s");
	uint64_t lasts_s = json_is_integer(lasts) ? (uint64_t)json_integer_value(lasts) : sensors->settings->enrol_invitation_s;

	out->sensor = text_of(body, "sensor");
	out->site = text_of(body, "site");
	out->zone = text_of(body, "zone");
	if (out->sensor == NULL || !batch_sensor_valid(out->sensor))
		return "sensor: a name of 1 to 64 letters, digits, dots, dashes and underscores is wanted";
	if (out->site == NULL || !registry_text_valid(out->site) || out->zone == NULL || !registry_text_valid(out->zone))
		return "site, zone: a text of at most 64 bytes without control characters is wanted";
	if ((lasts != NULL && !json_is_integer(lasts)) || lasts_s < 1 || lasts_s > ENROL_INVITATION_MAX_S)
		return "expires_in_s: 1 to 2592000 seconds are wanted";
	out->expires_s = now_s() + lasts_s;
	return NULL;
}

static int
invite(struct api_sensors *sensors, const struct api_sensors_request *request, const json_t *body, json_t **out,
	const char **reason)
{
	const struct settings *settings = sensors->settings;
	struct registry_invitation invitation = { .actor = request->actor };
	char token[REGISTRY_TOKEN_LEN + 1] = "";
	char *ca;
	int err;

	*reason = "this aggregator does not enrol: enrol.listen is not set";
	if (settings->enrol_listen[0] == '\0')
		return 409;
	*reason = read_invitation(sensors, body, &invitation);
	if (*reason != NULL)
		return 400;
	*reason = "the aggregator's files cannot be read or written: its log tells more";
	ca = enrol_read_ca(settings);
	err = ca == NULL ? -EIO : registry_invite(sensors->registry, &invitation, now_s(), token);
	if (err == 0)
		*out = json_pack("{s:{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}}", "activation", "version", ACTIVATION_VERSION,
			"sensor", invitation.sensor, "site", invitation.site, "zone", invitation.zone,
			"enrol", settings->enrol_url, "aggregator", settings->enrol_aggregator_url, "ca", ca, "token", token,
			"expires", (json_int_t)invitation.expires_s);
	OPENSSL_cleanse(token, sizeof(token));
	free(ca);
	if (err == -EDQUOT)
		*reason = "too many invitations are open";
	return err == -EDQUOT ? 429 : *out == NULL ? 500 : 201;
}

/* ---- revoking ---- */

static int
revoke(struct api_sensors *sensors, const struct api_sensors_request *request, const json_t *body, json_t **out,
	const char **reason)
{
	const char *sensor = text_of(body, "sensor");
	bool force = json_is_true(json_object_get(body, "force"));
	uint64_t certificates;
	int err;

	*reason = "sensor: a name is wanted";
	if (sensor == NULL || !batch_sensor_valid(sensor))
		return 400;
	err = registry_revoke(sensors->registry, sensor, request->actor, force, now_s(), &certificates);
	*reason = "no such sensor was enrolled here; force revokes the name all the same";
	if (err == -ENOENT)
		return 404;
	*reason = "the state cannot be written: the aggregator's log tells more";
	if (err != 0)
		return 500;
	enrol_notify(sensors->enrol, sensor);
	*out = json_pack("{s:s, s:I}", "sensor", sensor, "certificates", (json_int_t)certificates);
	return *out == NULL ? 500 : 200;
}

static int
audit(struct api_sensors *sensors, const struct api_sensors_request *request, const json_t *body, json_t **out,
	const char **reason)
{
	json_t *rows;

	*reason = "the state cannot be read: the aggregator's log tells more";
	if (registry_audit(sensors->registry, AUDIT_ROWS, &rows) != 0)
		return 500;
	*out = json_pack("{s:o}", "audit", rows);
	return *out == NULL ? 500 : 200;
}

/* ---- requests ---- */

static const struct {
	const char *path;
	bool post;
	int (*answer)(struct api_sensors *sensors, const struct api_sensors_request *request, const json_t *body, json_t **out,
		const char **reason);
} routes[] = {
	{ "/v1/sensors/invite", true, invite },
	{ "/v1/sensors/revoke", true, revoke },
	{ "/v1/sensors/audit", false, audit },
};

int
api_sensors_answer(struct api_sensors *sensors, const struct api_sensors_request *request, json_t **out,
	const char **reason)
{
	size_t i = 0;
	json_t *body;
	int status;

	*out = NULL;
	while (i < sizeof(routes) / sizeof(routes[0]) && strcmp(routes[i].path, request->path) != 0)
		i++;
	*reason = "no such resource";
	if (i == sizeof(routes) / sizeof(routes[0]))
		return 404;
	*reason = routes[i].post ? "only POST" : "only GET";
	if (request->post != routes[i].post)
		return 405;
	body = request->body_len == 0 ? json_object() : json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, NULL);
	*reason = "the body is no JSON object";
	pthread_mutex_lock(&sensors->lock);
	status = json_is_object(body) ? routes[i].answer(sensors, request, body, out, reason) : 400;
	pthread_mutex_unlock(&sensors->lock);
	json_decref(body);
	return status;
}

/* ---- the list ---- */

/* Names of rows, so that joining two long lists does not cost their product. */
static json_t *
index_rows(json_t *rows)
{
	json_t *index = json_object();
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "sensor"));

		if (index != NULL && name != NULL)
			json_object_set(index, name, row);
	}
	return index;
}

static int
add_known(json_t *rows, json_t *index, json_t *known)
{
	const char *sensor = json_string_value(json_object_get(known, "sensor"));
	json_t *row = json_object_get(index, sensor);

	if (row != NULL)
		return json_object_update(row, known) == 0 ? 0 : -ENOMEM;
	row = json_pack("{s:s, s:n, s:n, s:i, s:i}", "sensor", sensor, "first_seen", "last_seen", "records", 0, "lost", 0);
	if (row == NULL || json_object_update(row, known) != 0) {
		json_decref(row);
		return -ENOMEM;
	}
	return json_array_append_new(rows, row) == 0 ? 0 : -ENOMEM;
}

int
api_sensors_join(struct api_sensors *sensors, json_t *rows, const char *only)
{
	json_t *index = index_rows(rows);
	json_t *known = NULL;
	json_t *one;
	size_t i;
	int err;

	pthread_mutex_lock(&sensors->lock);
	err = index == NULL ? -ENOMEM : registry_list(sensors->registry, now_s(), &known);
	pthread_mutex_unlock(&sensors->lock);
	json_array_foreach(known, i, one) {
		const char *name = json_string_value(json_object_get(one, "sensor"));

		if (err == 0 && name != NULL && (only == NULL || strcmp(only, name) == 0))
			err = add_known(rows, index, one);
	}
	json_decref(known);
	json_decref(index);
	return err;
}

/* ---- life ---- */

int
api_sensors_create(struct api_sensors **out, const struct settings *settings, struct enrol *enrol)
{
	struct api_sensors *sensors = calloc(1, sizeof(*sensors));
	int err;

	if (sensors == NULL)
		return -ENOMEM;
	pthread_mutex_init(&sensors->lock, NULL);
	sensors->settings = settings;
	sensors->enrol = enrol;
	err = settings_open_registry(settings, &sensors->registry);
	if (err != 0) {
		api_sensors_destroy(sensors);
		return err;
	}
	*out = sensors;
	return 0;
}

void
api_sensors_destroy(struct api_sensors *sensors)
{
	if (sensors == NULL)
		return;
	registry_close(sensors->registry);
	pthread_mutex_destroy(&sensors->lock);
	free(sensors);
}
