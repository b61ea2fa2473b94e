/* What the operator asked for: the command line over the environment over the configuration file. */
#ifndef MR_MILLRACE_OPTIONS_H
#define MR_MILLRACE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_FILTERS_MAX = 32, OPTIONS_WORDS_MAX = 4, OPTIONS_TIMES = 2, OPTIONS_TIME_LEN = 24 };

/** Exit statuses, in the usage text too. */
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_UNREACHABLE = 3 };

struct options {
	const char *aggregator; /* https://HOST:PORT */
	const char *token_file;
	const char *ca;
	const char *socket;
	bool json;
	bool csv;
	bool longer;            /* all that a record says */
	bool all;               /* every page */
	bool follow;            /* as they arrive */
	bool force;
	const char *site;       /* of an invitation */
	const char *zone;
	const char *expires;
	const char *output;     /* file */
	char times[OPTIONS_TIMES][OPTIONS_TIME_LEN]; /* that were given as a span */
	uint32_t filter_count;
	struct {
		const char *name;   /* of the query parameter */
		const char *value;
	} filters[OPTIONS_FILTERS_MAX];
	const char *words[OPTIONS_WORDS_MAX]; /* verb and its arguments */
	uint32_t word_count;
	struct config *config;  /* owns what came from the file */
};

/** @return STATUS_DONE, or STATUS_USAGE after saying why on stderr. */
int options_read(struct options *out, int argc, char **argv);
/** "90s", "30m", "24h", "7d" to seconds. @return whether it is one */
bool options_read_span(const char *text, uint64_t *out_s);
void options_free(struct options *options);

#endif
