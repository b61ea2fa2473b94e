#include "app/sensor/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

int
command_parse_words(struct command_args *args, int argc, char **argv, const char *usage)
{
	static const struct option options[] = { { "set", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	int option;

	memset(args, 0, sizeof(*args));
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:r:S:l:k:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': args->config_path = optarg; break;
		case 'r': args->read_path = optarg; break;
		case 'S': args->rules = optarg; break;
		case 'l': args->out_dir = optarg; break;
		case 'k':
			command_set(args, "stream.checksum-validation", strcmp(optarg, "none") == 0 ? "no" : "yes");
			command_set(args, "decoder.checksum-validation", strcmp(optarg, "none") == 0 ? "no" : "yes");
			break;
		case 's':
			if (args->set_count < ASSIGNMENTS_MAX)
				args->set[args->set_count++] = optarg;
			break;
		default:
			fprintf(option == 'h' ? stdout : stderr, "%s\n", usage);
			return option == 'h' ? -1 : 2;
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
	if (path == NULL || mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	fprintf(stderr, "millrace-sensor: %s: %s\n", path, strerror(errno));
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
