/* The sensor's commands. Each takes its own arguments (argv[0] is its name) and returns the exit status. */
#ifndef MR_SENSOR_COMMAND_H
#define MR_SENSOR_COMMAND_H

#include "app/sensor/sensor_config.h"

enum { ASSIGNMENTS_MAX = 256 };

int command_run(int argc, char **argv);
int command_read(int argc, char **argv);
int command_check(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_docs(int argc, char **argv);
int command_rules(int argc, char **argv);
int command_uplink(int argc, char **argv);
int command_enrol(int argc, char **argv);

/** What the commands share. Strings are the argument vector's. */
struct command_args {
	const char *config_path;
	const char *read_path;
	const char *rules;
	const char *out_dir;
	const char *set[ASSIGNMENTS_MAX];
	unsigned int set_count;
	char texts[8][1024]; /* assignments made of other options */
	unsigned int text_count;
	unsigned int given;  /* bit i: option i of -c -r -S -l -k was given */
	char **words;        /* what is no option: command_parse_words() */
	int word_count;
};

/** Reads -c -r -S -l -k --set. @return 0, or 2 with a message printed */
int command_parse(struct command_args *args, int argc, char **argv, const char *usage);
/** The same, and what is no option goes to args->words. */
int command_parse_words(struct command_args *args, int argc, char **argv, const char *usage);
/** Adds an assignment as if by --set. */
void command_set(struct command_args *args, const char *key, const char *value);
/** Makes the folder of the outputs when it is not there; says what was wrong. NULL is accepted. @return 0 or 1 */
int command_make_dir(const char *path);
/** settings_load() with these arguments; says what was wrong. @return 0 or 1 */
int command_load(struct settings *out, const struct command_args *args);

#endif
