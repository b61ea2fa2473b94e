/* The keys of the rule engine, and the classes that rules name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_files.h"

#define KNOB(name, type, field, low, high, fallback, help) \
	{ name, type, offsetof(struct rule_config, field), low, high, fallback, NULL, help }

static const struct knob rule_knobs[] = {
	KNOB("rule-files", KNOB_LIST, rule_files, 0, 0, NULL, "rule files, directories of *.rules, or globs"),
	KNOB("default-rule-path", KNOB_TEXT, default_rule_path, 0, 0, "", "folder below which relative rule files are looked up first"),
	KNOB("classification-file", KNOB_TEXT, classification_file, 0, 0, "", "classes of rules; without it the usual ones are known"),
	KNOB("reference-config-file", KNOB_TEXT, reference_file, 0, 0, "", "schemes of references: alerts carry addresses instead of \"scheme,value\""),
	KNOB("threshold-file", KNOB_TEXT, threshold_file, 0, 0, "", "suppressions and thresholds by sid"),
	KNOB("detect.sgh-mpm-caching-path", KNOB_TEXT, cache_dir, 0, 0, "", "folder for compiled groups; empty: none is kept"),
	KNOB("datasets.directory", KNOB_TEXT, dataset_dir, 0, 0, "", "folder below which rules save their sets; empty: none does"),
	KNOB("reputation-categories-file", KNOB_TEXT, reputation_categories_file, 0, 0, "",
		"categories of reputation: lines of number,name,description"),
	KNOB("default-reputation-path", KNOB_TEXT, reputation_path, 0, 0, "", "folder of reputation files"),
	KNOB("reputation-files", KNOB_LIST, reputation_files, 0, 0, NULL, "reputation of addresses: lines of address[/prefix],category,score"),
	KNOB("geoip-database", KNOB_TEXT, geoip_database, 0, 0, "", "MaxMind database with countries; empty: rules that ask are refused"),
	KNOB("vars.address-groups.*", KNOB_TREE, address_groups, 0, 0, NULL, "addresses that rules name by $NAME"),
	KNOB("vars.port-groups.*", KNOB_TREE, port_groups, 0, 0, NULL, "ports that rules name by $NAME"),
	KNOB("packet-alert-max", KNOB_NUMBER, alerts_max, 1, RULE_HITS_MAX, "15", "alerts of one packet, stream chunk or message"),
	KNOB("detect.inspection-recursion-limit", KNOB_NUMBER, verify_steps_max, 100, 1000000, "3000",
		"steps spent on verifying one rule; a step is a test, or 256 bytes searched"),
	KNOB("pcre.match-limit", KNOB_NUMBER, pcre_match_limit, 100, 10000000, "3500", "steps of one regular expression"),
	KNOB("detect.thresholds-max", KNOB_NUMBER, thresholds_max, 64, 16777216, "65536", "tracked pairs of rule and address, of a worker"),
	KNOB("engine.init-failure-fatal", KNOB_BOOL, failure_fatal, 0, 0, "no", "whether a rule that cannot be read keeps the sensor from starting"),
	KNOB("detect.host-bits-max", KNOB_NUMBER, host_bits_max, 64, 16777216, "16384", "xbits and hostbits kept, of a worker"),
};

const struct knob_table rule_knob_table = { "rule", rule_knobs, sizeof(rule_knobs) / sizeof(rule_knobs[0]) };

static const struct {
	const char *name, *description;
	uint8_t priority;
} class_defaults[] = {
	{ "not-suspicious", "Not Suspicious Traffic", 3 },
	{ "unknown", "Unknown Traffic", 3 },
	{ "bad-unknown", "Potentially Bad Traffic", 2 },
	{ "attempted-recon", "Attempted Information Leak", 2 },
	{ "successful-recon-limited", "Information Leak", 2 },
	{ "successful-recon-largescale", "Large Scale Information Leak", 2 },
	{ "attempted-dos", "Attempted Denial of Service", 2 },
	{ "successful-dos", "Denial of Service", 2 },
	{ "attempted-user", "Attempted User Privilege Gain", 1 },
	{ "unsuccessful-user", "Unsuccessful User Privilege Gain", 1 },
	{ "successful-user", "Successful User Privilege Gain", 1 },
	{ "attempted-admin", "Attempted Administrator Privilege Gain", 1 },
	{ "successful-admin", "Successful Administrator Privilege Gain", 1 },
	{ "rpc-portmap-decode", "Decode of an RPC Query", 2 },
	{ "shellcode-detect", "Executable code was detected", 1 },
	{ "string-detect", "A suspicious string was detected", 3 },
	{ "suspicious-filename-detect", "A suspicious filename was detected", 2 },
	{ "suspicious-login", "An attempted login using a suspicious username was detected", 2 },
	{ "system-call-detect", "A system call was detected", 2 },
	{ "tcp-connection", "A TCP connection was detected", 4 },
	{ "trojan-activity", "A Network Trojan was detected", 1 },
	{ "unusual-client-port-connection", "A client was using an unusual port", 2 },
	{ "network-scan", "Detection of a Network Scan", 3 },
	{ "denial-of-service", "Detection of a Denial of Service Attack", 2 },
	{ "non-standard-protocol", "Detection of a non-standard protocol or event", 2 },
	{ "protocol-command-decode", "Generic Protocol Command Decode", 3 },
	{ "web-application-activity", "access to a potentially vulnerable web application", 2 },
	{ "web-application-attack", "Web Application Attack", 1 },
	{ "misc-activity", "Misc activity", 3 },
	{ "misc-attack", "Misc Attack", 2 },
	{ "icmp-event", "Generic ICMP event", 3 },
	{ "inappropriate-content", "Inappropriate Content was Detected", 1 },
	{ "policy-violation", "Potential Corporate Privacy Violation", 1 },
	{ "default-login-attempt", "Attempt to login by a default username and password", 2 },
	{ "targeted-activity", "Targeted Malicious Activity was Detected", 1 },
	{ "exploit-kit", "Exploit Kit Activity Detected", 1 },
	{ "external-ip-check", "Device Retrieving External IP Address Detected", 2 },
	{ "domain-c2", "Domain Observed Used for C2 Detected", 1 },
	{ "pup-activity", "Possibly Unwanted Program Detected", 2 },
	{ "credential-theft", "Successful Credential Theft Detected", 1 },
	{ "social-engineering", "Possible Social Engineering Attempted", 2 },
	{ "coin-mining", "Crypto Currency Mining Activity Detected", 2 },
	{ "command-and-control", "Malware Command and Control Activity Detected", 1 },
};

enum { CLASSES_MAX = 512, SCHEMES_MAX = 256 };

static int
class_add(struct rule_parser *parser, const char *name, const char *description, uint8_t priority)
{
	struct rule_arena *arena = &parser->set->arena;
	struct rule_class_row *row = NULL;

	for (unsigned int i = 0; i < parser->class_count; i++)
		if (strcasecmp(parser->classes[i].name, name) == 0)
			row = &parser->classes[i];
	if (row == NULL && parser->class_count < CLASSES_MAX)
		row = &parser->classes[parser->class_count++];
	if (row == NULL)
		return 0;
	row->name = rule_arena_text(arena, name, strlen(name));
	row->description = rule_arena_text(arena, description, strlen(description));
	row->priority = priority;
	return row->name == NULL || row->description == NULL ? -ENOMEM : 0;
}

/* "name,description,priority" */
static int
class_line(struct rule_parser *parser, char *rest)
{
	int64_t priority;
	char *name = rule_split(&rest, ','), *description = rule_split(&rest, ','), *number = rule_split(&rest, ',');

	if (number == NULL || *name == '\0' || !rule_integer(number, &priority) || priority < 1 || priority > 255)
		return -EINVAL;
	return class_add(parser, name, description, (uint8_t)priority);
}

/* "scheme prefix" */
static int
reference_line(struct rule_parser *parser, char *rest)
{
	char *prefix = rest + strcspn(rest, " \t");
	struct rule_arena *arena = &parser->set->arena;

	if (*prefix == '\0' || prefix == rest)
		return -EINVAL;
	*prefix++ = '\0';
	prefix = rule_trim(prefix);
	if (parser->scheme_count == SCHEMES_MAX)
		return 0;
	struct rule_reference_row *row = &parser->schemes[parser->scheme_count++];

	row->scheme = rule_arena_text(arena, rest, strlen(rest));
	row->prefix = rule_arena_text(arena, prefix, strlen(prefix));
	return row->scheme == NULL || row->prefix == NULL ? -ENOMEM : 0;
}

/** A file of lines "config WORD: ...", as classification.config and reference.config are. */
struct settings_file {
	const char *key;  /* of the configuration */
	const char *head; /* "config WORD:" */
	const char *form; /* of what follows */
	int (*line)(struct rule_parser *parser, char *rest);
};

static const struct settings_file class_file = { "classification-file", "config classification:", "name,description,priority", class_line };
static const struct settings_file reference_file = { "reference-config-file", "config reference:", "scheme prefix", reference_line };

static int
settings_line(struct rule_parser *parser, const struct settings_file *file, char *line)
{
	size_t len = strlen(file->head);

	line = rule_trim(line);
	if (*line == '\0' || *line == '#')
		return 0;
	return strncasecmp(line, file->head, len) != 0 ? -EINVAL : file->line(parser, rule_trim(line + len));
}

/* @param path  NULL or "": nothing to do */
static int
settings_file_load(struct rule_parser *parser, const struct settings_file *file, const char *path, struct config_error *err)
{
	char *text;
	size_t len;
	int ret;

	if (path == NULL || path[0] == '\0')
		return 0;
	ret = rule_setting_load(file->key, path, &text, &len, err);
	if (ret != 0)
		return ret;
	char *rest = text;

	for (unsigned int line = 1; ret == 0 && rest != NULL; line++) {
		char *end = strchr(rest, '\n');
		char *at = rest;

		rest = end == NULL ? NULL : end + 1;
		if (end != NULL)
			*end = '\0';
		ret = settings_line(parser, file, at);
		if (ret == -EINVAL)
			snprintf(err->text, sizeof(err->text), "%s:%u: not \"%s %s\"", path, line, file->head, file->form);
	}
	free(text);
	return ret;
}

int
rule_parser_create(struct rule_parser **out, struct ruleset *set, const struct rule_config *config, struct config_error *err)
{
	struct rule_parser *parser = calloc(1, sizeof(*parser));
	int ret = -ENOMEM;

	if (parser == NULL)
		return -ENOMEM;
	parser->set = set;
	parser->config = config;
	parser->classes = calloc(CLASSES_MAX, sizeof(parser->classes[0]));
	parser->buffers = calloc(RULE_BUFFERS_MAX, sizeof(parser->buffers[0]));
	parser->schemes = calloc(SCHEMES_MAX, sizeof(parser->schemes[0]));
	if (parser->classes != NULL && parser->buffers != NULL && parser->schemes != NULL && buf_create(&parser->metadata, RULE_TEXT_MAX * 2) == 0
		&& buf_create(&parser->references, RULE_TEXT_MAX * 2) == 0)
		ret = 0;
	for (unsigned int i = 0; ret == 0 && i < sizeof(class_defaults) / sizeof(class_defaults[0]); i++)
		ret = class_add(parser, class_defaults[i].name, class_defaults[i].description, class_defaults[i].priority);
	set->has_classes = config->classification_file != NULL && config->classification_file[0] != '\0';
	if (ret == 0)
		ret = settings_file_load(parser, &class_file, config->classification_file, err);
	if (ret == 0)
		ret = settings_file_load(parser, &reference_file, config->reference_file, err);
	if (ret != 0) {
		rule_parser_destroy(parser);
		return ret;
	}
	*out = parser;
	return 0;
}

void
rule_parser_destroy(struct rule_parser *parser)
{
	if (parser == NULL)
		return;
	rule_parser_groups_free(parser);
	free(parser->classes);
	free(parser->schemes);
	free(parser->buffers);
	buf_destroy(&parser->metadata);
	buf_destroy(&parser->references);
	free(parser);
}
