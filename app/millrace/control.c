#include "app/millrace/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/millrace/client.h"
#include "app/millrace/summary.h"
#include "app/millrace/view.h"

static bool
is_number(const char *text)
{
	return text[0] != '\0' && strlen(text) < 19 && strspn(text, "0123456789") == strlen(text);
}

void
control_put_numbers(json_t *request, const struct options *options)
{
	for (uint32_t i = 0; i < options->filter_count; i++) {
		const char *name = options->filters[i].name, *value = options->filters[i].value;
		bool number = strcmp(name, "name") != 0 && is_number(value);

		json_object_set_new(request, name, number ? json_integer(atoll(value)) : json_string(value));
	}
}

int
control_ask(const struct options *options, const char *verb, json_t *arguments)
{
	json_t *answer = NULL;
	int status;

	json_object_set_new(arguments, "verb", json_string(verb));
	status = client_control(options, arguments, &answer);
	json_decref(arguments);
	if (answer != NULL && options->json)
		view_print_json(answer);
	else if (answer != NULL)
		summary_print_tree("", answer);
	json_decref(answer);
	return status;
}

int
control_run(const struct options *options, const char *verb, const char *arguments)
{
	json_error_t error;
	json_t *request = arguments == NULL ? json_object() : json_loads(arguments, 0, &error);

	if (json_is_object(request))
		return control_ask(options, verb, request);
	fprintf(stderr, "millrace: the arguments are no JSON object: %s\n", request == NULL ? error.text : arguments);
	json_decref(request);
	return STATUS_USAGE;
}
