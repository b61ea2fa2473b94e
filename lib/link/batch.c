#include "lib/link/batch_private.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <zstd.h>

enum {
	SHA256_LEN = 32,
	LINES_STEP = 64 * 1024, /* what a body that does not say its size unfolds into at first */
	/* A frame that asks for a larger window is refused: 2^25 is BATCH_LINES_MAX, so an honest one never does. */
	WINDOW_LOG_MAX = 25,
};

static_assert(BATCH_LINES_MAX == 1 << WINDOW_LOG_MAX, "the window bound follows the size bound");

struct batch_encoder {
	ZSTD_CCtx *zstd;
};

struct batch_decoder {
	ZSTD_DCtx *zstd;
	size_t lines_max;
};

/* Content-Digest of RFC 9530 over the body as it is sent. */
static int
write_digest(char out[BATCH_DIGEST_LEN + 1], const void *body, size_t len)
{
	uint8_t digest[SHA256_LEN];
	char base64[SHA256_LEN * 2];

	if (EVP_Digest(body, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	EVP_EncodeBlock((unsigned char *)base64, digest, sizeof(digest));
	snprintf(out, BATCH_DIGEST_LEN + 1, "sha-256=:%.44s:", base64);
	return 0;
}

int
batch_sign(struct batch_head *head, const void *body, size_t len)
{
	return write_digest(head->digest, body, len);
}

bool
batch_sensor_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > BATCH_SENSOR_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
			return false;
	return true;
}

int
batch_encoder_create(struct batch_encoder **out, int level)
{
	struct batch_encoder *encoder;

	if (level < 1 || level > 19)
		return -EINVAL;
	encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return -ENOMEM;
	encoder->zstd = ZSTD_createCCtx();
	if (encoder->zstd == NULL ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_contentSizeFlag, 1))) {
		batch_encoder_destroy(encoder);
		return -ENOMEM;
	}
	*out = encoder;
	return 0;
}

void
batch_encoder_destroy(struct batch_encoder *encoder)
{
	if (encoder == NULL)
		return;
	ZSTD_freeCCtx(encoder->zstd);
	free(encoder);
}

size_t
batch_body_bound(size_t lines_len)
{
	return ZSTD_compressBound(lines_len);
}

int
batch_encode(struct batch_encoder *encoder, struct batch_head *head, const void *lines, size_t lines_len,
	struct buf *body)
{
	size_t len;

	if (lines_len > BATCH_LINES_MAX)
		return -EMSGSIZE;
	buf_reset(body);
	len = ZSTD_compress2(encoder->zstd, body->data, body->cap, lines, lines_len);
	if (ZSTD_isError(len))
		return -EMSGSIZE;
	body->len = len;
	head->encoding = BATCH_ZSTD;
	return batch_sign(head, body->data, body->len);
}

/* ---- headers: one row each, written and read by the same table ---- */

struct header {
	const char *name;
	bool optional;
	/* Leaves the value out (an optional header that does not apply) by writing nothing. */
	void (*write)(struct buf *out, const struct batch_head *head);
	bool (*read)(struct batch_head *head, const char *text);
};

bool
batch_number_read(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return true;
}

static void
write_version(struct buf *out, const struct batch_head *head)
{
	buf_u64(out, BATCH_VERSION);
}

static bool
read_version(struct batch_head *head, const char *text)
{
	uint64_t version;

	if (!batch_number_read(text, UINT32_MAX, &version) || version == 0)
		return false;
	head->version = (uint32_t)version;
	return true;
}

static void
write_sensor(struct buf *out, const struct batch_head *head)
{
	buf_puts(out, head->sensor);
}

static bool
read_sensor(struct batch_head *head, const char *text)
{
	if (!batch_sensor_valid(text))
		return false;
	memcpy(head->sensor, text, strlen(text) + 1);
	return true;
}

static void
write_epoch(struct buf *out, const struct batch_head *head)
{
	buf_printf(out, "%016" PRIx64, head->epoch);
}

static bool
read_epoch(struct batch_head *head, const char *text)
{
	if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16)
		return false;
	head->epoch = strtoull(text, NULL, 16);
	return true;
}

static void
write_lane(struct buf *out, const struct batch_head *head)
{
	buf_puts(out, link_lane_name(head->lane));
}

static bool
read_lane(struct batch_head *head, const char *text)
{
	int lane = link_lane_parse(text, strlen(text));

	if (lane < 0)
		return false;
	head->lane = (enum link_lane)lane;
	return true;
}

static void
write_sequence(struct buf *out, const struct batch_head *head)
{
	buf_u64(out, head->sequence);
}

static bool
read_sequence(struct batch_head *head, const char *text)
{
	return batch_number_read(text, UINT64_C(1) << BATCH_SEQUENCE_BITS, &head->sequence) && head->sequence > 0;
}

static void
write_count(struct buf *out, const struct batch_head *head)
{
	buf_u64(out, head->count);
}

static bool
read_count(struct batch_head *head, const char *text)
{
	uint64_t count;

	if (!batch_number_read(text, BATCH_COUNT_MAX, &count) || count == 0)
		return false;
	head->count = (uint32_t)count;
	return true;
}

static void
write_skip_to(struct buf *out, const struct batch_head *head)
{
	if (head->skip_to != 0)
		buf_u64(out, head->skip_to);
}

static bool
read_skip_to(struct batch_head *head, const char *text)
{
	/* The table has read the sequence before. */
	return batch_number_read(text, head->sequence, &head->skip_to) && head->skip_to > 0;
}

static void
write_begins(struct buf *out, const struct batch_head *head)
{
	if (head->begins != 0)
		buf_u64(out, head->begins);
}

static bool
read_begins(struct batch_head *head, const char *text)
{
	return batch_number_read(text, head->sequence, &head->begins) && head->begins > 0;
}

static void
write_type(struct buf *out, const struct batch_head *head)
{
	buf_puts(out, BATCH_CONTENT_TYPE);
}

static bool
read_type(struct batch_head *head, const char *text)
{
	size_t len = strlen(BATCH_CONTENT_TYPE);

	return strncasecmp(text, BATCH_CONTENT_TYPE, len) == 0 && (text[len] == '\0' || text[len] == ';');
}

static void
write_encoding(struct buf *out, const struct batch_head *head)
{
	buf_puts(out, head->encoding == BATCH_ZSTD ? "zstd" : "identity");
}

static bool
read_encoding(struct batch_head *head, const char *text)
{
	head->encoding = strcasecmp(text, "zstd") == 0 ? BATCH_ZSTD : BATCH_IDENTITY;
	return head->encoding == BATCH_ZSTD || strcasecmp(text, "identity") == 0;
}

static void
write_digest_header(struct buf *out, const struct batch_head *head)
{
	buf_puts(out, head->digest);
}

/* RFC 9530 2: a dictionary; other algorithms may stand beside ours, which must be there. */
static bool
read_digest(struct batch_head *head, const char *text)
{
	const char *at = strcasestr(text, "sha-256=:");

	if (at == NULL || strlen(at) < BATCH_DIGEST_LEN || at[BATCH_DIGEST_LEN - 1] != ':')
		return false;
	snprintf(head->digest, sizeof(head->digest), "sha-256=:%.44s:", at + strlen("sha-256=:"));
	return true;
}

static const struct header headers[] = {
	{ "Millrace-Version", false, write_version, read_version },
	{ "Millrace-Sensor", false, write_sensor, read_sensor },
	{ "Millrace-Epoch", false, write_epoch, read_epoch },
	{ "Millrace-Lane", false, write_lane, read_lane },
	{ "Millrace-Sequence", false, write_sequence, read_sequence },
	{ "Millrace-Count", false, write_count, read_count },
	{ "Millrace-Skip-To", true, write_skip_to, read_skip_to },
	{ "Millrace-Begins", true, write_begins, read_begins },
	{ "Content-Type", false, write_type, read_type },
	{ "Content-Encoding", true, write_encoding, read_encoding },
	{ "Content-Digest", false, write_digest_header, read_digest },
};

enum { HEADER_COUNT = sizeof(headers) / sizeof(headers[0]) };

bool
batch_header_at(const struct batch_head *head, unsigned int index, struct buf *out)
{
	unsigned int written = 0;

	for (unsigned int i = 0; i < HEADER_COUNT; i++) {
		size_t start;

		buf_reset(out);
		buf_puts(out, headers[i].name);
		buf_puts(out, ": ");
		start = out->len;
		headers[i].write(out, head);
		if (out->len == start && headers[i].optional)
			continue;
		if (written++ == index)
			return true;
	}
	buf_reset(out);
	return false;
}

void
batch_write_headers(struct buf *out, const struct batch_head *head, const char *end)
{
	char text[256];
	struct buf line = { .data = text, .cap = sizeof(text) };

	for (unsigned int i = 0; batch_header_at(head, i, &line); i++) {
		buf_put(out, line.data, line.len);
		buf_puts(out, end);
	}
}

int
batch_head_parse(struct batch_head *out, batch_header_get get, void *arg, char error[BATCH_ERROR_MAX])
{
	*out = (struct batch_head){ .encoding = BATCH_IDENTITY };
	for (unsigned int i = 0; i < HEADER_COUNT; i++) {
		const char *text = get(arg, headers[i].name);

		if (text == NULL && headers[i].optional)
			continue;
		if (text == NULL) {
			snprintf(error, BATCH_ERROR_MAX, "%s is missing", headers[i].name);
			return -EINVAL;
		}
		if (!headers[i].read(out, text)) {
			snprintf(error, BATCH_ERROR_MAX, "%s is not valid", headers[i].name);
			return -EINVAL;
		}
		/* It is the first: what another version means by the others is not known. */
		if (out->version < BATCH_VERSION_OLDEST || out->version > BATCH_VERSION) {
			snprintf(error, BATCH_ERROR_MAX, "the stream is of version %" PRIu32 ", versions %d to %d are understood here: "
				"update the older side", out->version, BATCH_VERSION_OLDEST, BATCH_VERSION);
			return -EPROTONOSUPPORT;
		}
	}
	return 0;
}

/* ---- decoding ---- */

int
batch_decoder_create(struct batch_decoder **out, size_t lines_max)
{
	struct batch_decoder *decoder;

	if (lines_max == 0 || lines_max > BATCH_LINES_MAX)
		return -EINVAL;
	decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL)
		return -ENOMEM;
	decoder->lines_max = lines_max;
	decoder->zstd = ZSTD_createDCtx();
	if (decoder->zstd == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		batch_decoder_destroy(decoder);
		return -ENOMEM;
	}
	*out = decoder;
	return 0;
}

void
batch_decoder_destroy(struct batch_decoder *decoder)
{
	if (decoder == NULL)
		return;
	ZSTD_freeDCtx(decoder->zstd);
	free(decoder);
}

/* Room for so many bytes; what is in it stays. */
static int
reserve(struct buf *lines, size_t len)
{
	char *grown;

	if (len <= lines->cap)
		return 0;
	grown = realloc(lines->data, len);
	if (grown == NULL)
		return -ENOMEM;
	lines->data = grown;
	lines->cap = len;
	return 0;
}

static int
zstd_failed(size_t code, char error[BATCH_ERROR_MAX])
{
	snprintf(error, BATCH_ERROR_MAX, "zstd: %s", ZSTD_getErrorName(code));
	return -EBADMSG;
}

/* A body that is one frame which says its size, as ours do: unpacked in one go, straight to where it belongs. */
static int
unfold_whole(struct batch_decoder *decoder, const void *body, size_t body_len, struct buf *lines,
	char error[BATCH_ERROR_MAX])
{
	size_t len = (size_t)ZSTD_getFrameContentSize(body, body_len);

	if (len > decoder->lines_max)
		return -EMSGSIZE;
	/* Contents are written over: nothing of it is to be copied. */
	lines->len = 0;
	if (len > lines->cap) {
		buf_destroy(lines);
		if (buf_create(lines, len) != 0)
			return -ENOMEM;
	}
	len = ZSTD_decompressDCtx(decoder->zstd, lines->data, lines->cap, body, body_len);
	if (ZSTD_isError(len))
		return zstd_failed(len, error);
	lines->len = len;
	return 0;
}

/* Output is bounded by the buffer, so a small body that unfolds without end stops at lines_max. */
static int
unfold(struct batch_decoder *decoder, const void *body, size_t body_len, struct buf *lines, char error[BATCH_ERROR_MAX])
{
	ZSTD_inBuffer in = { .src = body, .size = body_len };
	ZSTD_outBuffer out = { .dst = lines->data, .size = lines->cap < decoder->lines_max ? lines->cap : decoder->lines_max };
	size_t left = 1;

	ZSTD_DCtx_reset(decoder->zstd, ZSTD_reset_session_only);
	while (in.pos < in.size) {
		size_t in_before = in.pos;
		size_t out_before = out.pos;

		left = ZSTD_decompressStream(decoder->zstd, &out, &in);
		if (ZSTD_isError(left))
			return zstd_failed(left, error);
		if (out.pos == out.size && (left != 0 || in.pos < in.size)) {
			if (out.size == decoder->lines_max)
				return -EMSGSIZE;
			out.size = out.size * 2 + LINES_STEP < decoder->lines_max ? out.size * 2 + LINES_STEP : decoder->lines_max;
			if (reserve(lines, out.size) != 0)
				return -ENOMEM;
			out.dst = lines->data;
		} else if (in.pos == in_before && out.pos == out_before) {
			break;
		}
	}
	if (left != 0) {
		snprintf(error, BATCH_ERROR_MAX, "zstd: the body ends early");
		return -EBADMSG;
	}
	lines->len = out.pos;
	return 0;
}

static bool
is_whole(const void *body, size_t body_len)
{
	unsigned long long len = ZSTD_getFrameContentSize(body, body_len);

	return len != ZSTD_CONTENTSIZE_ERROR && len != ZSTD_CONTENTSIZE_UNKNOWN &&
		ZSTD_findFrameCompressedSize(body, body_len) == body_len;
}

int
batch_decode(struct batch_decoder *decoder, const struct batch_head *head, const void *body, size_t body_len,
	struct buf *lines, char error[BATCH_ERROR_MAX])
{
	char digest[BATCH_DIGEST_LEN + 1];

	buf_reset(lines);
	if (write_digest(digest, body, body_len) != 0 || strcmp(digest, head->digest) != 0) {
		snprintf(error, BATCH_ERROR_MAX, "Content-Digest does not match the body");
		return -EBADMSG;
	}
	if (head->encoding == BATCH_ZSTD)
		return is_whole(body, body_len) ? unfold_whole(decoder, body, body_len, lines, error)
			: unfold(decoder, body, body_len, lines, error);
	if (body_len > decoder->lines_max)
		return -EMSGSIZE;
	if (reserve(lines, body_len) != 0)
		return -ENOMEM;
	buf_put(lines, body, body_len);
	return 0;
}
