/* Hot, but for the two functions that make and free the scratch: the transforms of buffers. */
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hex.h"
#include "lib/rule/rule_transform.h"

enum { HOST_NAME_LEN_MAX = 253 }; /* RFC 1035 2.3.4, as text */

const char *const rule_digests[RULE_DIGEST_COUNT] = { "md5", "sha1", "sha256" };

/** One transform: len bytes at in become at most RULE_SCRATCH_LEN at out. @return how many */
typedef uint32_t (*transform_fn)(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in,
	uint32_t len, uint8_t *out);

static inline uint8_t
lower(uint8_t c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static uint32_t
keep(const uint8_t *in, uint32_t len, uint8_t *out)
{
	memcpy(out, in, len);
	return len;
}

static uint32_t
do_dotprefix(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	(void)matcher;
	(void)transform;
	out[0] = '.';
	len = len < RULE_SCRATCH_LEN ? len : RULE_SCRATCH_LEN - 1;
	memcpy(out + 1, in, len);
	return len + 1;
}

static uint32_t
do_case(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	(void)matcher;
	for (uint32_t i = 0; i < len; i++) {
		bool small = in[i] >= 'a' && in[i] <= 'z';

		out[i] = transform->kind == TRANSFORM_LOWERCASE ? lower(in[i]) : (uint8_t)(small ? in[i] & 0xdf : in[i]);
	}
	return len;
}

/* Without whitespace, or with one space for each run of it. */
static uint32_t
do_whitespace(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	uint32_t used = 0;
	bool before = false;

	(void)matcher;
	for (uint32_t i = 0; i < len; i++) {
		bool space = in[i] == ' ' || (in[i] >= '\t' && in[i] <= '\r');

		if (!space)
			out[used++] = in[i];
		else if (transform->kind == TRANSFORM_COMPRESS_WHITESPACE && !before)
			out[used++] = ' ';
		before = space;
	}
	return used;
}

/* RFC 9113 8.3: lines whose name begins with a colon. */
static uint32_t
do_strip_pseudo(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	uint32_t used = 0;
	bool start = true, pseudo = false;

	(void)matcher;
	(void)transform;
	for (uint32_t i = 0; i < len; i++) {
		if (start)
			pseudo = in[i] == ':';
		if (!pseudo)
			out[used++] = in[i];
		start = in[i] == '\n';
	}
	return used;
}

static uint32_t
do_header_lowercase(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len,
	uint8_t *out)
{
	bool name = true;

	(void)matcher;
	(void)transform;
	for (uint32_t i = 0; i < len; i++) {
		name = in[i] == '\n' || (name && in[i] != ':');
		out[i] = name ? lower(in[i]) : in[i];
	}
	return len;
}

/* Bytes before offset stay as they are; where the key or the offset lies beyond the end, all do. */
static uint32_t
do_xor(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	uint32_t from = (uint32_t)transform->offset, place = (uint32_t)transform->count;
	const uint8_t *key = transform->key;

	(void)matcher;
	keep(in, len, out);
	if (key == NULL && place + transform->key_len <= len)
		key = in + place;
	for (uint32_t i = from, k = 0; key != NULL && i < len; i++) {
		out[i] = in[i] ^ key[k];
		k = k + 1 == transform->key_len ? 0 : k + 1;
	}
	return len;
}

static uint32_t
do_digest(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	EVP_MD_CTX *context = matcher->scratch_bytes->digests[transform->digest];
	unsigned int size = 0;

	if (EVP_DigestInit_ex2(context, NULL, NULL) != 1 || EVP_DigestUpdate(context, in, len) != 1 || EVP_DigestFinal_ex(context, out, &size) != 1)
		return 0;
	return size;
}

/* The first group of the expression; as it was where the expression does not match. */
static uint32_t
do_pcre(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	int ret = pcre2_match(transform->code, in, len, 0, 0, matcher->pcre_data, matcher->pcre_context);
	const PCRE2_SIZE *match = pcre2_get_ovector_pointer(matcher->pcre_data);

	if (ret < 2 || match[2] == PCRE2_UNSET || match[3] < match[2])
		return keep(in, len, out);
	return keep(in + match[2], (uint32_t)(match[3] - match[2]), out);
}

static uint32_t
do_url_decode(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	uint32_t used = 0;

	(void)matcher;
	(void)transform;
	for (uint32_t i = 0; i < len; i++) {
		int high = in[i] == '%' && i + 2 < len ? hex_digit(in[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(in[i + 2]) : -1;

		if (low >= 0) {
			out[used++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else {
			out[used++] = in[i] == '+' ? ' ' : in[i];
		}
	}
	return used;
}

uint32_t
rule_base64_decode(const uint8_t *data, uint32_t len, enum rule_base64_mode mode, uint8_t *out)
{
	uint32_t bits = 0, have = 0, used = 0, taken = 0, padding = 0;

	for (uint32_t i = 0; i < len && used < RULE_SCRATCH_LEN; i++) {
		int value = base64_value(data[i]);

		if (data[i] == '=' && mode == BASE64_STRICT) {
			padding++;
			continue;
		}
		if (value < 0 && mode == BASE64_RFC2045 && data[i] != '=')
			continue;
		if (mode == BASE64_STRICT && (value < 0 || padding > 0))
			return 0;
		if (value < 0)
			break;
		taken++;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[used++] = (uint8_t)(bits >> have);
		}
	}
	/* RFC 4648 4: quanta of four characters, at most two of them padding. */
	bool whole = (taken + padding) % 4 == 0 && padding <= 2;

	return mode == BASE64_STRICT && !whole ? 0 : used;
}

static uint32_t
do_base64(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	uint32_t offset = (uint32_t)transform->offset, count = (uint32_t)transform->count;

	(void)matcher;
	if (offset > len)
		return keep(in, len, out);
	uint32_t left = len - offset;
	uint32_t used = rule_base64_decode(in + offset, count > 0 && count < left ? count : left, (enum rule_base64_mode)transform->mode,
		out);

	return used > 0 ? used : keep(in, len, out);
}

/* offset counts from the end when negative; count 0 is all, a negative one leaves so many bytes out at the end. */
static uint32_t
do_subslice(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	int64_t size = len, from = transform->offset < 0 ? size + transform->offset : transform->offset;

	if (from < 0 && transform->truncate)
		from = 0;
	int64_t to = transform->count == 0 ? size : transform->count < 0 ? size + transform->count : from + transform->count;

	(void)matcher;
	if (to > size && transform->truncate)
		to = size;
	if (from < 0 || from > size || to > size || to < from)
		return 0;
	return keep(in + from, (uint32_t)(to - from), out);
}

/* What could be unpacked, also of what is cut or damaged; nothing where it is not packed so. */
static uint32_t
do_inflate(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	return inflate_once(matcher->scratch_bytes->inflate, (enum inflate_format)transform->mode, in, len, out, (uint32_t)transform->count).len;
}

/* The name is made small for the list, which is asked without allocating as long as it is ASCII; a dot at its end is not of it. */
static uint32_t
do_domain(struct rule_matcher *matcher, const struct rule_transform *transform, const uint8_t *in, uint32_t len, uint8_t *out)
{
	const psl_ctx_t *suffixes = matcher->set->suffixes;
	char name[HOST_NAME_LEN_MAX + 1];

	if (len > 0 && in[len - 1] == '.')
		len--;
	if (len > HOST_NAME_LEN_MAX)
		return 0;
	for (uint32_t i = 0; i < len; i++) {
		if (in[i] == 0 || in[i] >= 0x80)
			return 0;
		name[i] = (char)lower(in[i]);
	}
	name[len] = '\0';
	const char *part = transform->suffix ? psl_unregistrable_domain(suffixes, name) : psl_registrable_domain(suffixes, name);
	uint32_t part_len = part == NULL ? 0 : (uint32_t)strlen(part);

	return keep(in + (len - part_len), part_len, out);
}

static const transform_fn transform_fns[TRANSFORM_KIND_COUNT] = {
	[TRANSFORM_DOTPREFIX] = do_dotprefix,
	[TRANSFORM_LOWERCASE] = do_case,
	[TRANSFORM_UPPERCASE] = do_case,
	[TRANSFORM_STRIP_WHITESPACE] = do_whitespace,
	[TRANSFORM_COMPRESS_WHITESPACE] = do_whitespace,
	[TRANSFORM_STRIP_PSEUDO_HEADERS] = do_strip_pseudo,
	[TRANSFORM_HEADER_LOWERCASE] = do_header_lowercase,
	[TRANSFORM_XOR] = do_xor,
	[TRANSFORM_DIGEST] = do_digest,
	[TRANSFORM_PCRE] = do_pcre,
	[TRANSFORM_URL_DECODE] = do_url_decode,
	[TRANSFORM_BASE64] = do_base64,
	[TRANSFORM_SUBSLICE] = do_subslice,
	[TRANSFORM_INFLATE] = do_inflate,
	[TRANSFORM_DOMAIN] = do_domain,
};

void
rule_transform(struct rule_matcher *matcher, const struct rule_transforms *transforms, const uint8_t **data, uint32_t *len)
{
	struct rule_scratch *scratch = matcher->scratch_bytes;
	const uint8_t *in = *data;
	uint32_t in_len = *len < RULE_SCRATCH_LEN ? *len : RULE_SCRATCH_LEN;
	bool known = scratch->last == transforms && scratch->last_data == *data && scratch->last_len == *len;

	if (!known) {
		for (unsigned int i = 0; i < transforms->count; i++) {
			uint8_t *out = scratch->turns[i & 1];

			in_len = transform_fns[transforms->items[i].kind](matcher, &transforms->items[i], in, in_len, out);
			in = out;
		}
		scratch->last = transforms;
		scratch->last_data = *data;
		scratch->last_len = *len;
		scratch->last_out = in;
		scratch->last_out_len = in_len;
	}
	*data = scratch->last_out;
	*len = scratch->last_out_len;
}

/* ---- cold ---- */

int
rule_scratch_create(struct rule_scratch **out)
{
	struct rule_scratch *scratch = calloc(1, sizeof(*scratch));

	if (scratch == NULL)
		return -ENOMEM;
	scratch->turns[0] = malloc(RULE_SCRATCH_LEN);
	scratch->turns[1] = malloc(RULE_SCRATCH_LEN);
	scratch->decoded = malloc(RULE_SCRATCH_LEN);
	scratch->inflate = aligned_alloc(INFLATE_ALIGN, sizeof(*scratch->inflate));
	bool whole = scratch->turns[0] != NULL && scratch->turns[1] != NULL && scratch->decoded != NULL && scratch->inflate != NULL;

	for (unsigned int i = 0; i < RULE_DIGEST_COUNT && whole; i++) {
		EVP_MD *digest = EVP_MD_fetch(NULL, rule_digests[i], NULL);

		scratch->digests[i] = EVP_MD_CTX_new();
		/* The context keeps a reference and its state: later uses begin it anew without allocating. */
		whole = digest != NULL && scratch->digests[i] != NULL && EVP_DigestInit_ex2(scratch->digests[i], digest, NULL) == 1;
		EVP_MD_free(digest);
	}
	if (!whole) {
		rule_scratch_destroy(scratch);
		return -ENOMEM;
	}
	*out = scratch;
	return 0;
}

void
rule_scratch_destroy(struct rule_scratch *scratch)
{
	if (scratch == NULL)
		return;
	for (unsigned int i = 0; i < RULE_DIGEST_COUNT; i++)
		EVP_MD_CTX_free(scratch->digests[i]);
	free(scratch->turns[0]);
	free(scratch->turns[1]);
	free(scratch->decoded);
	free(scratch->inflate);
	free(scratch);
}
