#include "app/millrace/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "app/millrace/control.h"

static bool
is_number(const char *text)
{
	return text[0] != '\0' && strlen(text) < 19 && strspn(text, "0123456789") == strlen(text);
}

/* Which values are right is the sensor's to say. */
static void
put_limits(json_t *request, const struct options *options)
{
	for (uint32_t i = 0; i < options->filter_count; i++) {
		const char *name = options->filters[i].name, *value = options->filters[i].value;
		bool number = strcmp(name, "name") != 0 && is_number(value);

		json_object_set_new(request, name, number ? json_integer(atoll(value)) : json_string(value));
	}
}

int
capture_run(const struct options *options)
{
	static const char *const words[] = { "start", "stop", "status" };
	static const char *const verbs[] = { "capture.start", "capture.stop", "capture.status" };
	json_t *arguments;
	size_t i = 0;

	while (i < sizeof(words) / sizeof(words[0]) && strcmp(words[i], options->words[1]) != 0)
		i++;
	if (i == sizeof(words) / sizeof(words[0]) || (i > 0 && (options->word_count > 2 || options->filter_count > 0))) {
		fprintf(stderr, "millrace: capture start [FILTER] [--name NAME] [--frames N] [--seconds N] [--bytes N], capture stop, or "
				"capture status\n");
		return STATUS_USAGE;
	}
	arguments = json_object();
	if (options->word_count > 2)
		json_object_set_new(arguments, "filter", json_string(options->words[2]));
	put_limits(arguments, options);
	return control_ask(options, verbs[i], arguments);
}
