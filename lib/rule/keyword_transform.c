/* Transforms of the sticky buffer before them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/keyword.h"
#include "lib/rule/rule_transform.h"

#define SUFFIX_FILE "/usr/share/publicsuffix/public_suffix_list.dafsa"

enum { XOR_KEY_MAX = 255, SLICE_MAX = RULE_SCRATCH_LEN, INFLATE_LEN = 1024 };

#define PLAIN_TRANSFORM(name, kind) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		(void)value; \
		return rule_add_transform(parser, kind, "") == NULL ? -EINVAL : 0; \
	}

PLAIN_TRANSFORM(dotprefix, TRANSFORM_DOTPREFIX)
PLAIN_TRANSFORM(to_lowercase, TRANSFORM_LOWERCASE)
PLAIN_TRANSFORM(to_uppercase, TRANSFORM_UPPERCASE)
PLAIN_TRANSFORM(strip_whitespace, TRANSFORM_STRIP_WHITESPACE)
PLAIN_TRANSFORM(compress_whitespace, TRANSFORM_COMPRESS_WHITESPACE)
PLAIN_TRANSFORM(strip_pseudo_headers, TRANSFORM_STRIP_PSEUDO_HEADERS)
PLAIN_TRANSFORM(header_lowercase, TRANSFORM_HEADER_LOWERCASE)
PLAIN_TRANSFORM(url_decode, TRANSFORM_URL_DECODE)

#define DIGEST_TRANSFORM(name, index) \
	int rule_setup_##name(struct rule_parser *parser, char *value) \
	{ \
		struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_DIGEST, ""); \
\
		(void)value; \
		if (transform != NULL) \
			transform->digest = (index); \
		return transform == NULL ? -EINVAL : 0; \
	}

DIGEST_TRANSFORM(to_md5, 0)
DIGEST_TRANSFORM(to_sha1, 1)
DIGEST_TRANSFORM(to_sha256, 2)

/* "word N": @return whether it is that word with a number from low to high */
static bool
word_number(char **text, const char *word, int64_t low, int64_t high, int64_t *out)
{
	size_t len = strlen(word);
	char *number = *text + len;

	if (strncmp(*text, word, len) != 0 || (*number != ' ' && *number != '\t'))
		return false;
	number += strspn(number, " \t");
	*text = number + strcspn(number, " \t");
	if (**text != '\0')
		*(*text)++ = '\0';
	*text += strspn(*text, " \t");
	return rule_integer(number, out) && *out >= low && *out <= high;
}

/* extract BYTES PLACE: the key stands in the buffer itself. */
static int
xor_extract(struct rule_parser *parser, char *value, struct rule_transform *transform)
{
	int64_t bytes, place;

	if (!word_number(&value, "extract", 1, XOR_KEY_MAX, &bytes) || !rule_integer(value, &place) || place < 0 || place > UINT16_MAX)
		return rule_refuse(parser, "the form is extract BYTES PLACE: 1 to %d bytes, at a place up to %d", XOR_KEY_MAX, UINT16_MAX);
	transform->key_len = (uint16_t)bytes;
	transform->count = (int32_t)place;
	return 0;
}

static int
xor_key(struct rule_parser *parser, char *value, struct rule_transform *transform)
{
	uint8_t key[XOR_KEY_MAX];
	size_t len = strlen(value);

	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value[len - 1] = '\0';
		value++;
		len -= 2;
	}
	if (len == 0 || len % 2 != 0 || len / 2 > XOR_KEY_MAX || strspn(value, "0123456789abcdefABCDEF") != len)
		return rule_refuse(parser, "the key is 1 to %d bytes in hex digits", XOR_KEY_MAX);
	for (size_t i = 0; i < len; i += 2)
		key[i / 2] = (uint8_t)strtoul((const char[]){ value[i], value[i + 1], '\0' }, NULL, 16);
	transform->key = rule_arena_copy(&parser->set->arena, key, len / 2);
	transform->key_len = (uint16_t)(len / 2);
	return transform->key == NULL ? rule_no_memory(parser) : 0;
}

/* xor: [offset N,] KEY | extract BYTES PLACE */
int
rule_setup_xor(struct rule_parser *parser, char *value)
{
	struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_XOR, value);
	int64_t offset = 0;

	if (transform == NULL)
		return -EINVAL;
	if (strncmp(value, "offset", 6) == 0) {
		char *first = rule_split(&value, ',');

		if (!word_number(&first, "offset", 0, RULE_SCRATCH_LEN, &offset) || *first != '\0' || value == NULL)
			return rule_refuse(parser, "the form is offset N,KEY with a place up to %d", RULE_SCRATCH_LEN);
		value = rule_trim(value);
	}
	transform->offset = (int32_t)offset;
	return strncmp(value, "extract", 7) == 0 ? xor_extract(parser, value, transform) : xor_key(parser, value, transform);
}

int
rule_setup_pcrexform(struct rule_parser *parser, char *value)
{
	struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_PCRE, value);
	uint32_t groups = 0;

	if (transform == NULL)
		return -EINVAL;
	int ret = rule_pcre_compile(parser, value, 0, &transform->code);

	if (ret != 0)
		return ret;
	pcre2_pattern_info(transform->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	return groups == 1 ? 0 : rule_refuse(parser, "the expression has %u groups in parentheses, not the one to keep", groups);
}

/* from_base64: [bytes N][, offset N][, mode rfc2045|rfc4648|strict] */
int
rule_setup_from_base64(struct rule_parser *parser, char *value)
{
	struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_BASE64, value == NULL ? "" : value);
	struct rule_base64 base64;

	if (transform == NULL)
		return -EINVAL;
	int ret = rule_base64_parse(parser, value, &base64);

	transform->offset = (int32_t)base64.offset;
	transform->count = (int32_t)base64.bytes;
	transform->mode = base64.mode;
	return ret == 0 && base64.relative ? rule_refuse(parser, "a transform has no match before it to be relative to") : ret;
}

/* subslice: offset[, bytes[, truncate]] */
int
rule_setup_subslice(struct rule_parser *parser, char *value)
{
	struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_SUBSLICE, value);
	int64_t numbers[2] = { 0, 0 };
	char *piece;

	if (transform == NULL)
		return -EINVAL;
	for (unsigned int i = 0; (piece = rule_split(&value, ',')) != NULL; i++) {
		if (i > 0 && strcmp(piece, "truncate") == 0) {
			transform->truncate = true;
			continue;
		}
		if (i > 1 || !rule_integer(piece, &numbers[i]) || numbers[i] > SLICE_MAX || numbers[i] < -SLICE_MAX || (i == 1 && numbers[i] == 0))
			return rule_refuse(parser, "\"%.40s\": the form is offset[,bytes[,truncate]], up to %d", piece, SLICE_MAX);
	}
	transform->offset = (int32_t)numbers[0];
	transform->count = (int32_t)numbers[1];
	return 0;
}

/* What can be registered of a host's name, or what nobody can: by the public suffix list, newer or as libpsl has it. */
static int
setup_domain(struct rule_parser *parser, bool suffix)
{
	struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_DOMAIN, "");

	if (transform == NULL)
		return -EINVAL;
	if (parser->set->suffixes == NULL)
		parser->set->suffixes = psl_latest(SUFFIX_FILE);
	if (parser->set->suffixes == NULL)
		return rule_refuse(parser, "there is no public suffix list: neither " SUFFIX_FILE " nor one in libpsl");
	transform->suffix = suffix;
	return 0;
}

int
rule_setup_domain(struct rule_parser *parser, char *value)
{
	(void)value;
	return setup_domain(parser, false);
}

int
rule_setup_tld(struct rule_parser *parser, char *value)
{
	(void)value;
	return setup_domain(parser, true);
}

/* gunzip, zlib_deflate: [max-size N] */
static int
setup_inflate(struct rule_parser *parser, char *value, enum inflate_format format)
{
	struct rule_transform *transform = rule_add_transform(parser, TRANSFORM_INFLATE, value == NULL ? "" : value);
	int64_t max = INFLATE_LEN;
	char *word = value == NULL ? NULL : rule_split(&value, ' ');

	if (transform == NULL)
		return -EINVAL;
	if (word != NULL && *word != '\0'
		&& (strcmp(word, "max-size") != 0 || value == NULL || !rule_integer(rule_trim(value), &max) || max < 1 || max > RULE_SCRATCH_LEN))
		return rule_refuse(parser, "the form is max-size N, 1 to %d", RULE_SCRATCH_LEN);
	transform->mode = (uint8_t)format;
	transform->count = (int32_t)max;
	return 0;
}

int
rule_setup_gunzip(struct rule_parser *parser, char *value)
{
	return setup_inflate(parser, value, INFLATE_GZIP);
}

int
rule_setup_zlib_deflate(struct rule_parser *parser, char *value)
{
	return setup_inflate(parser, value, INFLATE_ZLIB);
}
