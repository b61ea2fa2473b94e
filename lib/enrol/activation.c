#include "lib/enrol/activation.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/link/batch.h"

static int
fail(char error[ACTIVATION_ERROR_MAX], const char *what, const char *why)
{
	snprintf(error, ACTIVATION_ERROR_MAX, "%s: %s", what, why);
	return -EINVAL;
}

static bool
is_url(const char *text)
{
	return strncmp(text, "https://", 8) == 0 && strlen(text) <= ACTIVATION_URL_MAX && strpbrk(text, " \t\r\n\"'") == NULL;
}

int
activation_parse(struct activation *out, const char *text, size_t len, char error[ACTIVATION_ERROR_MAX])
{
	json_error_t why;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	json_int_t version = 0;
	json_int_t expires_s = 0;

	*out = (struct activation){ .root = root };
	if (root == NULL)
		return fail(error, "not an activation file", why.text);
	if (json_unpack_ex(root, &why, 0, "{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "version", &version,
		"sensor", &out->sensor, "site", &out->site, "zone", &out->zone, "enrol", &out->enrol,
		"aggregator", &out->aggregator, "ca", &out->ca, "token", &out->token, "expires", &expires_s) != 0)
		return fail(error, "not an activation file", why.text);
	if (version != ACTIVATION_VERSION)
		return fail(error, "version", "made for another version of the sensor");
	if (!batch_sensor_valid(out->sensor))
		return fail(error, "sensor", "no name of a sensor");
	if (!is_url(out->enrol) || !is_url(out->aggregator))
		return fail(error, "enrol, aggregator", "must be https:// addresses");
	if (expires_s <= 0)
		return fail(error, "expires", "must be seconds since the Unix epoch");
	out->expires_s = (uint64_t)expires_s;
	return 0;
}

int
activation_read(struct activation *out, const char *path, char error[ACTIVATION_ERROR_MAX])
{
	FILE *file = fopen(path, "re");
	char *text = malloc(ACTIVATION_LEN_MAX);
	int err = file == NULL ? -errno : text == NULL ? -ENOMEM : 0;
	size_t len;

	*out = (struct activation){ 0 };
	if (err != 0) {
		snprintf(error, ACTIVATION_ERROR_MAX, "%s", strerror(-err));
	} else {
		len = fread(text, 1, ACTIVATION_LEN_MAX, file);
		if (len == ACTIVATION_LEN_MAX)
			err = fail(error, "not an activation file", "too long");
		else
			err = activation_parse(out, text, len, error);
		explicit_bzero(text, len);
	}
	free(text);
	if (file != NULL)
		fclose(file);
	if (err != 0)
		activation_free(out);
	return err;
}

void
activation_free(struct activation *activation)
{
	json_decref(activation->root);
	*activation = (struct activation){ 0 };
}
