#include "app/millrace/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "app/millrace/client.h"
#include "app/millrace/summary.h"
#include "app/millrace/view.h"

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
	static const char *const verbs[] = { "start", "stop", "status" };
	const char *word = options->words[1];
	size_t verb = 0;
	json_t *answer = NULL;
	int status;

	while (verb < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[verb], word) != 0)
		verb++;
	if (verb == sizeof(verbs) / sizeof(verbs[0]) || (verb > 0 && (options->word_count > 2 || options->filter_count > 0))) {
		fprintf(stderr, "millrace: capture start [FILTER] [--name NAME] [--frames N] [--seconds N] [--bytes N], capture stop, or "
				"capture status\n");
		return STATUS_USAGE;
	}
	json_t *request = json_pack("{s:o}", "verb", json_sprintf("capture.%s", word));

	if (options->word_count > 2)
		json_object_set_new(request, "filter", json_string(options->words[2]));
	put_limits(request, options);
	status = client_control(options, request, &answer);
	json_decref(request);
	if (answer != NULL && options->json)
		view_print_json(answer);
	else if (answer != NULL)
		summary_print_tree("", answer);
	json_decref(answer);
	return status;
}
