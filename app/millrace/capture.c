#include "app/millrace/capture.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "app/millrace/control.h"

int
capture_run(const struct options *options)
{
	static const char *const words[] = { "start", "stop", "status" };
	static const char *const verbs[] = { "capture.start", "capture.stop", "capture.status" };
	json_t *arguments;
	size_t i = 0;

	while (options->word_count > 1 && i < sizeof(words) / sizeof(words[0]) && strcmp(words[i], options->words[1]) != 0)
		i++;
	if (options->word_count < 2 || i == sizeof(words) / sizeof(words[0]) || (i > 0 && (options->word_count > 2 || options->filter_count > 0))) {
		fprintf(stderr, "millrace: capture start [FILTER] [--name NAME] [--frames N] [--seconds N] [--bytes N], capture stop, or "
				"capture status\n");
		return STATUS_USAGE;
	}
	arguments = json_object();
	if (options->word_count > 2)
		json_object_set_new(arguments, "filter", json_string(options->words[2]));
	control_put_numbers(arguments, options);
	return control_ask(options, verbs[i], arguments);
}
