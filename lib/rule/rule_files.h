/* Files a rule set is made of: rule files, classification, thresholds; and the parser's life. */
#ifndef MR_RULE_FILES_H
#define MR_RULE_FILES_H

#include "lib/rule/rule_parser.h"

/** Loads the classes too. @return 0, -ENOENT, -EINVAL (err set), -ENOMEM */
int rule_parser_create(struct rule_parser **out, struct ruleset *set, const struct rule_config *config,
	struct config_error *err);
void rule_parser_destroy(struct rule_parser *parser);
/** Reads config->rule_files: files, directories, globs. */
int rule_files_read(struct rule_parser *parser, const struct rule_config *config, struct config_error *err);
/** threshold.config: suppressions and thresholds of rules by sid. */
int rule_thresholds_apply(struct rule_parser *parser, const struct rule_config *config, struct config_error *err);
/** The bytes of a file, ending with NUL; to be freed. */
int rule_file_load(const char *path, char **out, size_t *len, struct config_error *err);
/** The same of a file that the configuration names by that key, which err then says. */
int rule_setting_load(const char *key, const char *path, char **out, size_t *len, struct config_error *err);

/** Where a file that a rule names is: beside the rule file, below default-rule-path, or as it is named. */
void rule_file_beside(const struct rule_parser *parser, const char *name, char *out, size_t len);

#endif
