#include "app/millrace/sensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/millrace/client.h"
#include "app/millrace/view.h"

static int
wrong_usage(const char *why)
{
	fprintf(stderr, "millrace: %s\nusage: millrace sensors invite NAME [--site S] [--zone Z] [--expires 24h] [-o FILE]\n"
		"       millrace sensors revoke NAME [--force]\n       millrace sensors audit\n", why);
	return STATUS_USAGE;
}

static int
file_failed(const char *path)
{
	fprintf(stderr, "millrace: %s: %s\n", path, strerror(errno));
	return STATUS_FAILED;
}

/* Half of one is of no use, and would be in the way of the next attempt. */
static int
write_activation(FILE *file, const char *path, const json_t *activation)
{
	char *text = json_dumps(activation, JSON_INDENT(1));
	bool written = text != NULL && fprintf(file, "%s\n", text) > 0;

	free(text);
	if (fclose(file) == 0 && written)
		return STATUS_DONE;
	(void)file_failed(path);
	unlink(path);
	return STATUS_FAILED;
}

/* The file holds a token: it is the caller's alone, and never one that is there already. It is made before the aggregator is asked: an
 * invitation that nobody gets would stand in the list. */
static int
ask_for_activation(const struct options *options, const json_t *body, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	json_t *answer = NULL;
	int status;

	if (file == NULL) {
		status = file_failed(path);
		if (fd >= 0) {
			close(fd);
			unlink(path);
		}
		return status;
	}
	status = client_post(options, "/v1/sensors/invite", body, &answer);
	if (status == STATUS_DONE) {
		status = write_activation(file, path, json_object_get(answer, "activation"));
	} else {
		fclose(file);
		unlink(path);
	}
	json_decref(answer);
	return status;
}

static int
invite(const struct options *options, const char *name)
{
	json_t *body = json_pack("{s:s, s:s*, s:s*}", "sensor", name, "site", options->site, "zone", options->zone);
	char path[4096];
	uint64_t lasts_s;
	int status;

	if (options->expires != NULL && !options_read_span(options->expires, &lasts_s)) {
		json_decref(body);
		return wrong_usage("--expires: a number with s, m, h or d is wanted");
	}
	if (options->expires != NULL)
		json_object_set_new(body, "expires_in_s", json_integer((json_int_t)lasts_s));
	if (options->output != NULL)
		snprintf(path, sizeof(path), "%s", options->output);
	else
		snprintf(path, sizeof(path), "%s.activation", name);
	status = ask_for_activation(options, body, path);
	json_decref(body);
	if (status == STATUS_DONE)
		printf("%s: bring it to the box, and run there: millrace-sensor enrol FILE\n", path);
	return status;
}

static int
shut_out(const struct options *options, const char *name)
{
	json_t *body = json_pack("{s:s, s:b}", "sensor", name, "force", options->force);
	json_t *answer = NULL;
	int status = client_post(options, "/v1/sensors/revoke", body, &answer);

	json_decref(body);
	if (status == STATUS_DONE)
		printf("%s is revoked: %" JSON_INTEGER_FORMAT " certificates, and whatever else bears its name\n", name,
			json_integer_value(json_object_get(answer, "certificates")));
	json_decref(answer);
	return status;
}

int
sensors_run(const struct options *options)
{
	const char *verb = options->words[1];

	if (strcmp(verb, "invite") == 0 && options->word_count == 3)
		return invite(options, options->words[2]);
	if (strcmp(verb, "revoke") == 0 && options->word_count == 3)
		return shut_out(options, options->words[2]);
	if (strcmp(verb, "audit") == 0 && options->word_count == 2)
		return view_run(options, "audit");
	if (strcmp(verb, "list") == 0 && options->word_count == 2)
		return view_run(options, "sensors");
	if (strcmp(verb, "invite") == 0 || strcmp(verb, "revoke") == 0)
		return wrong_usage("sensors: one name is wanted");
	return wrong_usage("sensors: no such verb");
}
