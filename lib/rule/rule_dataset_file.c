/* Lines of data sets: a value each, as text that its kind is written in. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_dataset.h"
#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_transform.h"

int
rule_dataset_values_add(struct rule_dataset_values *values, const void *data, size_t len, uint16_t weight)
{
	const uint16_t head[2] = { (uint16_t)len, weight };

	if (len == 0 || len > DATASET_VALUE_LEN_MAX || values->count == DATASET_LOAD_MAX)
		return -E2BIG;
	if (values->cap - values->len < sizeof(head) + len) {
		size_t cap = values->cap * 2 + DATASET_VALUE_LEN_MAX * 2;
		uint8_t *grown = realloc(values->bytes, cap);

		if (grown == NULL)
			return -ENOMEM;
		values->bytes = grown;
		values->cap = cap;
	}
	memcpy(values->bytes + values->len, head, sizeof(head));
	memcpy(values->bytes + values->len + sizeof(head), data, len);
	values->len += sizeof(head) + len;
	values->count++;
	return 0;
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

static size_t
address_bytes(const char *text, uint8_t *out)
{
	memset(out, 0, 16);
	if (inet_pton(AF_INET6, text, out) == 1)
		return 16;
	out[10] = out[11] = 0xff;
	return inet_pton(AF_INET, text, out + 12) == 1 ? 16 : 0;
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
