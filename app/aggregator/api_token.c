#include "app/aggregator/api_token.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "lib/base/log.h"
#include "lib/link/batch.h"

enum {
	TOKEN_LEN_MIN = 16,
	TOKEN_LEN_MAX = 512,
	TOKEN_BYTES = 24, /* of one that is made */
	DIGEST_LEN = 32,
	LINE_LEN_MAX = 512,
};

struct token {
	uint8_t digest[DIGEST_LEN];
	uint32_t scopes; /* bit i: enum api_scope */
	char name[API_TOKEN_NAME_MAX + 1];
};

struct api_tokens {
	const char *file;
	struct token operator;
	struct token *list; /* [API_TOKENS_MAX] */
	unsigned int count;
	struct timespec changed;
	off_t size;
};

static const char *const scope_names[API_SCOPES] = {
	[API_SCOPE_READ] = "read",
	[API_SCOPE_EXPORT] = "export",
	[API_SCOPE_ADMIN] = "admin",
};

const char *
api_scope_name(enum api_scope scope)
{
	return scope_names[scope];
}

static int
read_operator(struct token *token, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[TOKEN_LEN_MAX + 2] = "";
	size_t len;
	int err = 0;

	if (file == NULL) {
		err = -errno;
		log_error("api", "api.token-file: %s: %s", path, strerror(errno));
		return err;
	}
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	len = strcspn(line, "\r\n \t");
	if (len < TOKEN_LEN_MIN || len > TOKEN_LEN_MAX) {
		log_error("api", "api.token-file: %s: the token must have %d to %d characters", path, TOKEN_LEN_MIN,
			TOKEN_LEN_MAX);
		err = -EINVAL;
	} else if (EVP_Digest(line, len, token->digest, NULL, EVP_sha256(), NULL) != 1) {
		err = -ENOMEM;
	}
	OPENSSL_cleanse(line, sizeof(line));
	token->scopes = UINT32_MAX;
	snprintf(token->name, sizeof(token->name), "operator");
	return err;
}

static bool
read_scopes(const char *text, size_t len, uint32_t *out)
{
	*out = 0;
	while (len > 0) {
		size_t part = strcspn(text, ", \t");
		unsigned int scope = 0;

		if (part > len)
			part = len;
		while (scope < API_SCOPES && (strlen(scope_names[scope]) != part || strncmp(scope_names[scope], text, part) != 0))
			scope++;
		if (scope == API_SCOPES)
			return false;
		*out |= 1u << scope;
		text += part;
		len -= part;
		if (len > 0 && *text == ',') {
			text++;
			len--;
		}
	}
	return *out != 0;
}

static bool
read_hex(const char *text, uint8_t out[DIGEST_LEN])
{
	for (unsigned int i = 0; i < DIGEST_LEN; i++) {
		char byte[3] = { text[2 * i], text[2 * i] == '\0' ? '\0' : text[2 * i + 1], '\0' };

		if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]))
			return false;
		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

static bool
read_line(struct token *out, char *line)
{
	char *at = line + strspn(line, " \t");
	size_t len = strcspn(at, " \t\r\n");

	if (len != 2 * DIGEST_LEN || !read_hex(at, out->digest))
		return false;
	at += len;
	at += strspn(at, " \t");
	len = strcspn(at, " \t\r\n");
	if (!read_scopes(at, len, &out->scopes))
		return false;
	at += len;
	at += strspn(at, " \t");
	at[strcspn(at, " \t\r\n")] = '\0';
	snprintf(out->name, sizeof(out->name), "%.*s", API_TOKEN_NAME_MAX, at);
	return batch_sensor_valid(out->name);
}

/* A file with a fault in it lets nobody in by it, which is said, rather than some. */
static int
read_file(struct api_tokens *tokens)
{
	FILE *file = fopen(tokens->file, "re");
	char line[LINE_LEN_MAX];
	unsigned int number = 0;

	tokens->count = 0;
	if (file == NULL) {
		log_error("api", "api.tokens: %s: %s", tokens->file, strerror(errno));
		return -errno;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		number++;
		if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#')
			continue;
		if (tokens->count == API_TOKENS_MAX || !read_line(&tokens->list[tokens->count], line)) {
			log_error("api", "api.tokens: %s:%u: not DIGEST SCOPES NAME, or more than %d tokens", tokens->file, number,
				API_TOKENS_MAX);
			tokens->count = 0;
			fclose(file);
			return -EINVAL;
		}
		tokens->count++;
	}
	fclose(file);
	return 0;
}

static void
read_again(struct api_tokens *tokens)
{
	struct stat status;

	if (tokens->file[0] == '\0')
		return;
	if (stat(tokens->file, &status) != 0) {
		tokens->count = 0;
		tokens->size = -1;
		return;
	}
	if (status.st_size == tokens->size && memcmp(&status.st_mtim, &tokens->changed, sizeof(tokens->changed)) == 0)
		return;
	tokens->size = status.st_size;
	tokens->changed = status.st_mtim;
	(void)read_file(tokens);
}

/* Digests are compared, all of them, so that neither a token's bytes nor its place tell by time. */
bool
api_tokens_allow(struct api_tokens *tokens, const char *header, enum api_scope scope, const char **name)
{
	const struct token *found = NULL;
	uint8_t digest[DIGEST_LEN];

	*name = NULL;
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0 ||
	    EVP_Digest(header + 7, strlen(header + 7), digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	read_again(tokens);
	if (CRYPTO_memcmp(digest, tokens->operator.digest, DIGEST_LEN) == 0)
		found = &tokens->operator;
	for (unsigned int i = 0; i < tokens->count; i++)
		if (CRYPTO_memcmp(digest, tokens->list[i].digest, DIGEST_LEN) == 0 && found == NULL)
			found = &tokens->list[i];
	if (found == NULL)
		return false;
	*name = found->name;
	return (found->scopes >> scope & 1) != 0;
}

int
api_tokens_create(struct api_tokens **out, const char *path, const char *file)
{
	struct api_tokens *tokens = calloc(1, sizeof(*tokens));
	int err;

	if (tokens == NULL)
		return -ENOMEM;
	tokens->file = file == NULL ? "" : file;
	tokens->size = -1;
	tokens->list = calloc(API_TOKENS_MAX, sizeof(*tokens->list));
	err = tokens->list == NULL ? -ENOMEM : read_operator(&tokens->operator, path);
	if (err == 0 && tokens->file[0] != '\0')
		err = read_file(tokens);
	if (err != 0) {
		api_tokens_destroy(tokens);
		return err;
	}
	*out = tokens;
	return 0;
}

void
api_tokens_destroy(struct api_tokens *tokens)
{
	if (tokens == NULL)
		return;
	free(tokens->list);
	free(tokens);
}

static void
put_hex(char *out, const uint8_t *bytes, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

int
api_token_make(const char *name, const char *scopes, FILE *out)
{
	uint8_t random[TOKEN_BYTES];
	uint8_t digest[DIGEST_LEN];
	char token[2 * TOKEN_BYTES + 1];
	char line[2 * DIGEST_LEN + 1];
	uint32_t bits;

	if (!batch_sensor_valid(name) || !read_scopes(scopes, strlen(scopes), &bits) || strpbrk(scopes, " \t") != NULL)
		return -EINVAL;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return -EIO;
	put_hex(token, random, sizeof(random));
	if (EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	put_hex(line, digest, sizeof(digest));
	fprintf(out, "token  %s\nline   %s %s %s\n", token, line, scopes, name);
	OPENSSL_cleanse(token, sizeof(token));
	OPENSSL_cleanse(random, sizeof(random));
	return 0;
}
