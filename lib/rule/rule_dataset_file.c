/* Lines of data sets: a value each, as text that its kind is written in. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_dataset.h"
#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_transform.h"

static int
values_room(struct rule_dataset_values *values, size_t len)
{
	if (values->cap - values->len >= len)
		return 0;
	size_t cap = values->cap * 2 + DATASET_VALUE_LEN_MAX * 4;
	uint8_t *grown = realloc(values->bytes, cap);

	if (grown == NULL)
		return -ENOMEM;
	values->bytes = grown;
	values->cap = cap;
	return 0;
}

static int
values_put(struct rule_dataset_values *values, const void *data, size_t len, uint16_t extra, const char *context, size_t context_len)
{
	const uint16_t head[2] = { (uint16_t)len, extra };

	if (len == 0 || len > DATASET_VALUE_LEN_MAX || context_len > DATASET_VALUE_LEN_MAX || values->count == DATASET_LOAD_MAX)
		return -E2BIG;
	if (values_room(values, sizeof(head) + len + context_len) != 0)
		return -ENOMEM;
	memcpy(values->bytes + values->len, head, sizeof(head));
	memcpy(values->bytes + values->len + sizeof(head), data, len);
	if (context_len > 0)
		memcpy(values->bytes + values->len + sizeof(head) + len, context, context_len);
	values->len += sizeof(head) + len + context_len;
	values->count++;
	return 0;
}

int
rule_dataset_values_add(struct rule_dataset_values *values, const void *data, size_t len, uint16_t weight)
{
	return values_put(values, data, len, weight, NULL, 0);
}

int
rule_dataset_values_add_context(struct rule_dataset_values *values, const void *data, size_t len, const char *context,
	size_t context_len)
{
	values->contexts = true;
	return values_put(values, data, len, (uint16_t)context_len, context, context_len);
}

void
rule_dataset_values_free(struct rule_dataset_values *values)
{
	free(values->bytes);
	*values = (struct rule_dataset_values){ 0 };
}

static size_t
hex_bytes(const char *text, uint8_t *out, size_t wanted)
{
	if (strlen(text) != wanted * 2 || strspn(text, "0123456789abcdefABCDEF") != wanted * 2)
		return 0;
	for (size_t i = 0; i < wanted; i++)
		out[i] = (uint8_t)strtoul((const char[]){ text[2 * i], text[2 * i + 1], '\0' }, NULL, 16);
	return wanted;
}

/* An address, or a network as "10.0.0.0/8". */
static size_t
address_bytes(const char *text, uint8_t *out)
{
	char address[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	int64_t bits = 0;

	if (len >= sizeof(address))
		return 0;
	memcpy(address, text, len);
	address[len] = '\0';
	memset(out, 0, 16);
	bool v6 = inet_pton(AF_INET6, address, out) == 1;

	if (!v6) {
		out[10] = out[11] = 0xff; /* RFC 4291 2.5.5.2 */
		if (inet_pton(AF_INET, address, out + 12) != 1)
			return 0;
	}
	if (slash == NULL)
		return 16;
	if (!rule_integer(slash + 1, &bits) || bits < 0 || bits > (v6 ? 128 : 32))
		return 0;
	rule_dataset_network(out, out, (uint8_t)(v6 ? bits : bits + 96));
	return DATASET_NETWORK_LEN;
}

/* @param out  [RULE_SCRATCH_LEN] @return its length, 0: not such a value */
static size_t
value_bytes(enum rule_dataset_type type, const char *text, uint8_t *out)
{
	switch (type) {
	case DATASET_STRING:
		return rule_base64_decode((const uint8_t *)text, (uint32_t)strlen(text), BASE64_STRICT, out);
	case DATASET_MD5:
		return hex_bytes(text, out, 16);
	case DATASET_SHA256:
		return hex_bytes(text, out, 32);
	default:
		return address_bytes(text, out);
	}
}

static int
line_parse(struct rule_dataset_values *values, enum rule_dataset_type type, bool weighted, char *line, uint8_t *room)
{
	char *comma = strrchr(line, ',');
	int64_t weight = 0;

	line = rule_trim(line);
	if (*line == '\0' || *line == '#')
		return 0;
	if (weighted && (comma == NULL || !rule_integer(rule_trim(comma + 1), &weight) || weight < 0 || weight > UINT16_MAX))
		return -EINVAL;
	if (comma != NULL)
		*comma = '\0';
	line = rule_trim(line);
	size_t len = strlen(line) > DATASET_VALUE_LEN_MAX * 2 ? 0 : value_bytes(type, line, room);
	int ret = len == 0 ? -EINVAL : rule_dataset_values_add(values, room, len, (uint16_t)weight);

	return ret == -E2BIG ? -EINVAL : ret;
}

int
rule_dataset_parse(struct rule_dataset_values *values, enum rule_dataset_type type, bool weighted, char *text,
	unsigned int *line)
{
	uint8_t *room = malloc(RULE_SCRATCH_LEN);
	int ret = room == NULL ? -ENOMEM : 0;

	*line = 0;
	while (ret == 0 && text != NULL) {
		char *end = strchr(text, '\n');

		if (end != NULL)
			*end++ = '\0';
		(*line)++;
		ret = line_parse(values, type, weighted, text, room);
		text = end;
	}
	free(room);
	return ret;
}

/* ---- JSON ---- */

/* The member that "a.b" names. @param parent  out: the object that has it, and *name its key in there */
static json_t *
member_find(json_t *object, const char *path, json_t **parent, const char **name)
{
	char part[DATASET_NAME_LEN_MAX + 1];
	const char *dot;

	while ((dot = strchr(path, '.')) != NULL && object != NULL) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
		object = json_object_get(object, part);
		path = dot + 1;
	}
	*parent = object;
	*name = path;
	return json_object_get(object, path);
}

static int
json_value_add(struct rule_dataset_values *values, enum rule_dataset_type type, const struct rule_dataset_json *json, json_t *object,
	uint8_t *room)
{
	json_t *parent;
	const char *name;
	json_t *member = member_find(object, json->value_key, &parent, &name);
	const char *text = json_string_value(member);
	size_t len = json_string_length(member);

	if (text == NULL || len == 0 || len > DATASET_VALUE_LEN_MAX)
		return -EINVAL;
	if (type == DATASET_STRING)
		memcpy(room, text, len);
	else
		len = value_bytes(type, text, room);
	if (len == 0)
		return -EINVAL;
	if (json->remove_key)
		json_object_del(parent, name);
	char *context = json_dumps(object, JSON_COMPACT);

	if (context == NULL)
		return -ENOMEM;
	int ret = rule_dataset_values_add_context(values, room, len, context, strlen(context));

	free(context);
	return ret == -E2BIG ? -EINVAL : ret;
}

/* One object a line. */
static int
json_lines(struct rule_dataset_values *values, enum rule_dataset_type type, const struct rule_dataset_json *json, char *text,
	unsigned int *line, uint8_t *room)
{
	int ret = 0;

	while (ret == 0 && text != NULL) {
		char *end = strchr(text, '\n');

		if (end != NULL)
			*end++ = '\0';
		(*line)++;
		text = rule_trim(text);
		json_t *object = *text == '\0' ? NULL : json_loads(text, 0, NULL);

		if (*text != '\0')
			ret = object == NULL ? -EINVAL : json_value_add(values, type, json, object, room);
		json_decref(object);
		text = end;
	}
	return ret;
}

/* An array, or an object that has one; of what is wrong in it no line is known. */
static int
json_array_add(struct rule_dataset_values *values, enum rule_dataset_type type, const struct rule_dataset_json *json,
	const char *text, uint8_t *room)
{
	json_t *root = json_loads(text, 0, NULL), *array = root, *parent;
	const char *name;

	if (json->array_key != NULL)
		array = member_find(root, json->array_key, &parent, &name);
	int ret = json_is_array(array) ? 0 : -EINVAL;

	for (size_t i = 0; ret == 0 && i < json_array_size(array); i++)
		ret = json_value_add(values, type, json, json_array_get(array, i), room);
	json_decref(root);
	return ret;
}

int
rule_dataset_parse_json(struct rule_dataset_values *values, enum rule_dataset_type type, const struct rule_dataset_json *json,
	char *text, unsigned int *line)
{
	uint8_t *room = malloc(RULE_SCRATCH_LEN);

	*line = 0;
	values->contexts = true;
	int ret = room == NULL ? -ENOMEM : json->lines ? json_lines(values, type, json, text, line, room)
						       : json_array_add(values, type, json, text, room);

	free(room);
	return ret;
}
