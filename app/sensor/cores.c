#include "app/sensor/cores.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/sensor/eal.h"

enum { DIGITS_MAX = 9 };

void
cores_look(struct cores_machine *out)
{
	long count = sysconf(_SC_NPROCESSORS_CONF);

	out->usable_count = eal_cpus(out->usable, sizeof(out->usable) / sizeof(out->usable[0]));
	out->count = count > 0 ? (unsigned int)count : 1;
}

static int
refuse(struct config_error *err, const char *key, const char *text, const struct cores_machine *machine)
{
	snprintf(err->text, sizeof(err->text), "%s: there is no CPU %.32s here: they go from 0 to %u (lscpu -e)", key, text,
		machine->count - 1);
	return -EINVAL;
}

static int
read_core(const struct cores_machine *machine, const char *text, unsigned int *out, struct config_error *err)
{
	size_t digits = text == NULL ? 0 : strspn(text, "0123456789");

	if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0')
		return refuse(err, "workers.cores", text == NULL ? "of no number" : text, machine);
	*out = (unsigned int)strtoul(text, NULL, 10);
	return *out < machine->count ? 0 : refuse(err, "workers.cores", text, machine);
}

static unsigned int
count_workers(const struct sensor_config *config, bool reading, unsigned int given, unsigned int usable)
{
	unsigned int count = (unsigned int)config->worker_count;

	if (count == 0 && !reading)
		count = given > 0 ? given : usable < 3 ? 1 : usable - 1;
	if (count == 0)
		count = 1;
	return count < WORKER_MAX ? count : WORKER_MAX;
}

int
cores_choose(struct cores *out, const struct sensor_config *config, bool exporter_given, bool reading,
	const struct cores_machine *machine, struct config_error *err)
{
	unsigned int usable = machine->usable_count, given = (unsigned int)json_array_size(config->cores);
	char text[16];

	out->worker_count = count_workers(config, reading, given, usable);
	out->exporter = exporter_given || usable == 0 ? (unsigned int)config->exporter_core : machine->usable[0];
	snprintf(text, sizeof(text), "%u", out->exporter);
	if (out->exporter >= machine->count)
		return refuse(err, "exporter.core", text, machine);
	if (given > 0 && given < out->worker_count) {
		snprintf(err->text, sizeof(err->text), "workers.cores: %u CPUs for %u workers (workers.count)", given, out->worker_count);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < out->worker_count; i++) {
		/* Behind the exporter's CPU, in turn; more workers than CPUs share them. */
		out->workers[i] = usable == 0 ? 0 : machine->usable[(i + (usable > 1)) % usable];
		if (given > 0 && read_core(machine, json_string_value(json_array_get(config->cores, i)), &out->workers[i], err) != 0)
			return -EINVAL;
	}
	return 0;
}

int
cores_shared(const struct cores *cores)
{
	for (unsigned int i = 0; i < cores->worker_count; i++) {
		if (cores->workers[i] == cores->exporter)
			return (int)cores->exporter;
		for (unsigned int k = 0; k < i; k++)
			if (cores->workers[i] == cores->workers[k])
				return (int)cores->workers[i];
	}
	return -1;
}
