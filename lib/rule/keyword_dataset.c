/* dataset and datarep: whether, and with what weight, the buffer's bytes are in a set of values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_dataset.h"
#include "lib/rule/rule_files.h"

/** What one keyword says of its set. */
struct dataset_options {
	char *name, *type, *load, *save, *state, *match, *format, *value_key, *array_key, *context_key;
	bool remove_key;
	size_t memcap;
};

static const char *const type_names[DATASET_TYPE_COUNT] = {
	[DATASET_STRING] = "string", [DATASET_MD5] = "md5", [DATASET_SHA256] = "sha256", [DATASET_IP] = "ip",
};

static int
type_of(const char *name)
{
	if (strcmp(name, "ipv4") == 0 || strcmp(name, "ipv6") == 0)
		return DATASET_IP;
	for (int i = 0; i < DATASET_TYPE_COUNT; i++)
		if (strcmp(type_names[i], name) == 0)
			return i;
	return -1;
}

/* "10", "64kb", "1 MiB" */
static bool
size_of(const char *text, size_t *out)
{
	char *unit;
	unsigned long long value = strtoull(text, &unit, 10);
	const char *const letters = "kmg";
	const char *found;

	unit += strspn(unit, " ");
	found = *unit == '\0' ? NULL : strchr(letters, *unit | 0x20);
	if (unit == text || *text == '-' || value > DATASET_BYTES_MAX || (*unit != '\0' && found == NULL))
		return false;
	*out = (size_t)value << (found == NULL ? 0 : 10 * (found - letters + 1));
	return true;
}

static int
option_take(struct rule_parser *parser, struct dataset_options *options, char *word)
{
	char *argument = word + strcspn(word, " \t");
	const struct {
		const char *name;
		char **target;
	} texts[] = { { "type", &options->type }, { "load", &options->load }, { "save", &options->save }, { "state", &options->state },
		{ "match", &options->match }, { "format", &options->format }, { "value_key", &options->value_key },
		{ "array_key", &options->array_key }, { "context_key", &options->context_key } };
	size_t hash_size;

	if (*argument != '\0')
		*argument++ = '\0';
	argument = rule_trim(argument);
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, word) == 0 && *argument != '\0') {
			*texts[i].target = argument;
			return 0;
		}
	if (strcmp(word, "remove_key") == 0 && *argument == '\0') {
		options->remove_key = true;
		return 0;
	}
	if (strcmp(word, "memcap") == 0 && size_of(argument, &options->memcap))
		return 0;
	if (strcmp(word, "hashsize") == 0 && size_of(argument, &hash_size))
		return 0; /* the table is as large as its values ask */
	return rule_refuse(parser, "\"%.20s %.60s\" is not type, load, save, state, match, format, value_key, array_key, context_key, "
		"remove_key, memcap or hashsize", word, argument);
}

static bool
is_json(const struct dataset_options *options)
{
	return options->format != NULL && (strcmp(options->format, "json") == 0 || strcmp(options->format, "ndjson") == 0);
}

static int
values_read(struct rule_dataset_decl *decl, const struct dataset_options *options, char *text, unsigned int *line)
{
	const struct rule_dataset_json json = { .value_key = options->value_key, .array_key = options->array_key,
		.lines = options->format != NULL && options->format[0] == 'n', .remove_key = options->remove_key };
	enum rule_dataset_type type = (enum rule_dataset_type)decl->type;

	if (decl->json)
		return rule_dataset_parse_json(&decl->values, type, &json, text, line);
	return rule_dataset_parse(&decl->values, type, decl->weighted, text, line);
}

static int
values_load(struct rule_parser *parser, struct rule_dataset_decl *decl, const struct dataset_options *options, const char *path)
{
	struct config_error err;
	char *text;
	size_t len;
	unsigned int line;

	err.text[0] = '\0';
	int ret = rule_file_load(path, &text, &len, &err);

	if (ret != 0)
		return ret == -ENOMEM ? rule_no_memory(parser) : rule_refuse(parser, "%.180s", err.text);
	ret = values_read(decl, options, text, &line);
	free(text);
	if (ret == -EINVAL)
		return rule_refuse(parser, "%.120s:%u: not a value of type %s%s", path, line, type_names[decl->type],
			decl->weighted ? " and its weight" : "");
	return ret == 0 ? 0 : rule_no_memory(parser);
}

/* Rules write only below one folder, which the operator names. */
static int
save_path(struct rule_parser *parser, struct rule_dataset_decl *decl, const char *name)
{
	const char *folder = parser->config->dataset_dir;
	char path[4096];

	if (name[0] == '/' || strstr(name, "..") != NULL)
		return rule_refuse(parser, "\"%.80s\": a set is saved below datasets.directory, by a relative name", name);
	if (folder == NULL || folder[0] == '\0') {
		decl->unsaved = true;
		return 0;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	decl->save_path = rule_arena_text(&parser->set->arena, path, strlen(path));
	return decl->save_path == NULL ? rule_no_memory(parser) : 0;
}

static int
decl_fill(struct rule_parser *parser, struct rule_dataset_decl *decl, const struct dataset_options *options)
{
	char path[4096];
	int ret = 0;

	decl->memcap = options->memcap;
	if (options->save != NULL || options->state != NULL)
		ret = save_path(parser, decl, options->state != NULL ? options->state : options->save);
	if (ret == 0 && options->load != NULL) {
		rule_file_beside(parser, options->load, path, sizeof(path));
		ret = values_load(parser, decl, options, path);
	} else if (ret == 0 && options->state != NULL && !decl->unsaved && access(decl->save_path, R_OK) == 0) {
		ret = values_load(parser, decl, options, decl->save_path);
	}
	return ret;
}

static int
check_format(struct rule_parser *parser, const struct dataset_options *options, bool weighted)
{
	bool json = is_json(options);

	if (options->format != NULL && !json && strcmp(options->format, "csv") != 0)
		return rule_refuse(parser, "format \"%.20s\" is not csv, json or ndjson", options->format);
	if (!json)
		return options->value_key == NULL && options->array_key == NULL && options->context_key == NULL ? 0
			: rule_refuse(parser, "value_key, array_key and context_key are for format json or ndjson");
	if (weighted || options->value_key == NULL || options->load == NULL || options->save != NULL || options->state != NULL)
		return rule_refuse(parser, "format json needs load and value_key, and is not saved");
	return 0;
}

static int
decl_make(struct rule_parser *parser, const struct dataset_options *options, bool weighted, struct rule_dataset_decl **out)
{
	struct rule_dataset_decl *decl = rule_arena_alloc(&parser->set->arena, sizeof(*decl));
	int type = options->type == NULL ? -1 : type_of(options->type);

	if (decl == NULL)
		return rule_no_memory(parser);
	if (type < 0)
		return rule_refuse(parser, "type string, md5, sha256 or ip is needed where the set is named first");
	decl->type = (uint8_t)type;
	decl->weighted = weighted;
	decl->json = is_json(options);
	if (check_format(parser, options, weighted) != 0)
		return -EINVAL;
	decl->name = rule_arena_text(&parser->set->arena, options->name, strlen(options->name));
	if (decl->name == NULL)
		return rule_no_memory(parser);
	int ret = decl_fill(parser, decl, options);

	if (ret != 0) {
		rule_dataset_values_free(&decl->values);
		return ret;
	}
	decl->next = parser->set->datasets;
	parser->set->datasets = *out = decl;
	return 0;
}

static int
decl_find(struct rule_parser *parser, const struct dataset_options *options, bool weighted, struct rule_dataset_decl **out)
{
	size_t len = options->name == NULL ? 0 : strlen(options->name);

	if (len == 0 || len > DATASET_NAME_LEN_MAX)
		return rule_refuse(parser, "the set's name is 1 to %d characters", DATASET_NAME_LEN_MAX);
	for (*out = parser->set->datasets; *out != NULL; *out = (*out)->next)
		if (strcmp((*out)->name, options->name) == 0)
			break;
	if (*out == NULL)
		return decl_make(parser, options, weighted, out);
	if ((*out)->weighted != weighted || (options->type != NULL && type_of(options->type) != (*out)->type))
		return rule_refuse(parser, "set %s was named before with another type", options->name);
	return 0;
}

static int
node_make(struct rule_parser *parser, uint8_t op, char *rest, struct rule_node **out)
{
	bool weighted = op == DATASET_WEIGHT;
	struct dataset_options options = { .name = rule_split(&rest, ',') };
	struct rule_dataset_decl *decl = NULL;
	char *word;
	int ret = 0;

	if (parser->buffer < 0 || parser->buffers[parser->buffer].buffer.kind == BUFFER_PAYLOAD)
		return rule_refuse(parser, "there is no sticky buffer before it");
	while (ret == 0 && (word = rule_split(&rest, ',')) != NULL)
		ret = *word == '\0' ? 0 : option_take(parser, &options, word);
	if (ret == 0)
		ret = decl_find(parser, &options, weighted, &decl);
	struct rule_node *node = ret != 0 ? NULL : rule_add_node(parser, NODE_DATASET);

	if (node == NULL)
		return ret != 0 ? ret : -EINVAL;
	if (options.match != NULL && strcmp(options.match, "subdomain") != 0)
		return rule_refuse(parser, "match \"%.20s\" is not subdomain", options.match);
	node->dataset.decl = decl;
	node->dataset.parents = options.match != NULL;
	node->dataset.told = decl->json && options.context_key != NULL && op == DATASET_ISSET;
	if (node->dataset.told && rule_kind_id(parser->set, RULE_NAME_ALERT_VAR, options.context_key, &node->dataset.context_id) != 0)
		return rule_no_memory(parser);
	node->op = op;
	decl->growing = decl->growing || op == DATASET_SET;
	*out = node;
	return 0;
}

static const struct {
	const char *name;
	uint8_t op;
} dataset_ops[] = { { "isset", DATASET_ISSET }, { "isnotset", DATASET_ISNOTSET }, { "set", DATASET_SET }, { "unset", DATASET_UNSET } };

/* dataset:isset|isnotset|set|unset,NAME[,type T][,load F][,save F][,state F][,match subdomain][,format F][,memcap N][,hashsize N] */
int
rule_setup_dataset(struct rule_parser *parser, char *value)
{
	char *op = rule_split(&value, ',');
	struct rule_node *node;

	for (unsigned int i = 0; i < sizeof(dataset_ops) / sizeof(dataset_ops[0]); i++)
		if (strcmp(dataset_ops[i].name, op) == 0)
			return node_make(parser, dataset_ops[i].op, value, &node);
	return rule_refuse(parser, "\"%.20s\" is not isset, isnotset, set or unset", op);
}

/* datarep:NAME,<|>|==,WEIGHT,type T,load F[,memcap N][,hashsize N] */
int
rule_setup_datarep(struct rule_parser *parser, char *value)
{
	char text[4096], numbers[64];
	char *name = rule_split(&value, ','), *op = rule_split(&value, ','), *weight = rule_split(&value, ',');
	struct rule_node *node;

	if (weight == NULL)
		return rule_refuse(parser, "datarep is name,operator,weight,type T,load FILE");
	snprintf(text, sizeof(text), "%s,%s", name, value == NULL ? "" : value);
	snprintf(numbers, sizeof(numbers), "%.4s%.20s", op, weight);
	int ret = node_make(parser, DATASET_WEIGHT, text, &node);

	return ret != 0 ? ret : rule_numbers_parse(parser, numbers, NULL, false, &node->dataset.weights);
}

/* ---- when all rules are read ---- */

static struct rule_dataset *
previous_find(const struct ruleset *previous, const struct rule_dataset_decl *decl)
{
	for (const struct rule_dataset_decl *at = previous == NULL ? NULL : previous->datasets; at != NULL; at = at->next)
		if (at->growing && decl->growing && at->type == decl->type && at->json == decl->json && strcmp(at->name, decl->name) == 0)
			return at->set;
	return NULL;
}

int
rule_datasets_build(struct ruleset *set, const struct ruleset *previous)
{
	int ret = 0;

	for (struct rule_dataset_decl *decl = set->datasets; ret == 0 && decl != NULL; decl = decl->next) {
		struct rule_dataset *known = previous_find(previous, decl);

		if (known != NULL) {
			decl->set = rule_dataset_ref(known);
			rule_dataset_fill(known, &decl->values);
		} else {
			ret = rule_dataset_create(&decl->set, decl->name, (enum rule_dataset_type)decl->type, &decl->values, decl->memcap,
				decl->growing);
		}
		rule_dataset_values_free(&decl->values);
		if (ret == 0)
			ret = rule_dataset_save_to(decl->set, decl->save_path);
	}
	return ret;
}

void
rule_datasets_free(struct ruleset *set)
{
	for (struct rule_dataset_decl *decl = set->datasets; decl != NULL; decl = decl->next) {
		rule_dataset_values_free(&decl->values);
		rule_dataset_destroy(decl->set);
	}
}
