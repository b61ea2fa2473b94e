/* Verbs of a sensor's control socket, and what it answers, printed. */
#ifndef MR_MILLRACE_CONTROL_H
#define MR_MILLRACE_CONTROL_H

#include <jansson.h>

#include "app/millrace/options.h"

/** Asks the verb with the arguments, given, and prints the answer. @return an exit status */
int control_ask(const struct options *options, const char *verb, json_t *arguments);
/** The same with the arguments as text of a JSON object; NULL: none. */
int control_run(const struct options *options, const char *verb, const char *arguments);
/** Adds what was given as options, numbers as numbers. Which are right is the sensor's to say. */
void control_put_numbers(json_t *request, const struct options *options);

#endif
