#include "app/sensor/command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/folder.h"

/* The rest is for the assignments that stand for other options. */
enum { SET_MAX = ASSIGNMENTS_MAX - 8 };

void
command_set(struct command_args *args, const char *key, const char *value)
{
	char *text;

	if (args->text_count == sizeof(args->texts) / sizeof(args->texts[0]) || args->set_count == ASSIGNMENTS_MAX)
		return;
	text = args->texts[args->text_count++];
	snprintf(text, sizeof(args->texts[0]), "%s=%s", key, value);
	args->set[args->set_count++] = text;
}

/* Of two the last would count, and the other be lost unsaid. */
static bool
is_first(struct command_args *args, int option)
{
	static const char options[] = "crSlk";
	const char *at = strchr(options, option);
	unsigned int bit = at == NULL ? 0 : 1u << (at - options);

	if ((args->given & bit) != 0)
		fprintf(stderr, "-%c is given twice%s\n", option, option == 'S' ? ": it takes one file, folder or quoted glob; rule-files takes a list" : "");
	bool first = (args->given & bit) == 0;

	args->given |= bit;
	return first;
}

static bool
set_checksums(struct command_args *args, const char *word)
{
	bool none = strcmp(word, "none") == 0;

	if (!none && strcmp(word, "all") != 0) {
		fprintf(stderr, "-k %s: none or all is wanted\n", word);
		return false;
	}
	command_set(args, "stream.checksum-validation", none ? "no" : "yes");
	command_set(args, "decoder.checksum-validation", none ? "no" : "yes");
	return true;
}

static bool
add_set(struct command_args *args, const char *text)
{
	if (args->set_count == SET_MAX) {
		fprintf(stderr, "--set is given more than %d times\n", SET_MAX);
		return false;
	}
	args->set[args->set_count++] = text;
	return true;
}

int
command_parse_words(struct command_args *args, int argc, char **argv, const char *usage)
{
	static const struct option options[] = { { "set", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	int option;

	memset(args, 0, sizeof(*args));
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:r:S:l:k:h", options, NULL)) != -1) {
		bool good = is_first(args, option);

		switch (option) {
		case 'c': args->config_path = optarg; break;
		case 'r': args->read_path = optarg; break;
		case 'S': args->rules = optarg; break;
		case 'l': args->out_dir = optarg; break;
		case 'k': good = set_checksums(args, optarg); break;
		case 's': good = add_set(args, optarg); break;
		default:
			fprintf(option == 'h' ? stdout : stderr, "%s\n", usage);
			return option == 'h' ? -1 : 2;
		}
		if (!good) {
			fprintf(stderr, "%s\n", usage);
			return 2;
		}
	}
	args->words = argv + optind;
	args->word_count = argc - optind;
	return 0;
}

int
command_parse(struct command_args *args, int argc, char **argv, const char *usage)
{
	int rc = command_parse_words(args, argc, argv, usage);

	if (rc == 0 && args->word_count > 0) {
		fprintf(stderr, "%s: no such argument\n%s\n", args->words[0], usage);
		return 2;
	}
	return rc;
}

int
command_make_dir(const char *path)
{
	int err = path == NULL ? 0 : folder_make(path, 0755);

	if (err == 0)
		return 0;
	fprintf(stderr, "millrace-sensor: %s: %s\n", path, strerror(-err));
	return 1;
}

int
command_load(struct settings *out, const struct command_args *args)
{
	struct config_error err;

	if (settings_load(out, args->config_path, args->set, args->set_count, &err) == 0)
		return 0;
	fprintf(stderr, "millrace-sensor: %s\n", err.text);
	return 1;
}
