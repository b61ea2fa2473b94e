#include "app/aggregator/api_token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "lib/base/log.h"
#include "lib/link/batch.h"

enum {
	TOKEN_LEN_MIN = 16,
	TOKEN_LEN_MAX = 512,
	TOKEN_BYTES = API_TOKEN_TEXT_LEN / 2, /* of one that is made */
};

struct api_tokens {
	struct api_token operator;
	struct api_token found;
	const struct api_token_keep *keep;
	void *kept;
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

bool
api_scopes_read(const char *text, size_t len, uint32_t *out)
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

void
api_scopes_write(uint32_t scopes, char out[API_TOKEN_SCOPES_MAX])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned int scope = 0; scope < API_SCOPES; scope++)
		if ((scopes >> scope & 1) != 0)
			len += (size_t)snprintf(out + len, API_TOKEN_SCOPES_MAX - len, "%s%s", len == 0 ? "" : ",", scope_names[scope]);
}

static int
read_operator(struct api_token *token, const char *path)
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

bool
api_token_is_given(const char *header)
{
	return header != NULL && strncasecmp(header, "Bearer ", 7) == 0;
}

int
api_tokens_allow(struct api_tokens *tokens, const char *header, enum api_scope scope, const char **name)
{
	const struct api_token *token = &tokens->operator;
	uint8_t digest[API_TOKEN_DIGEST_LEN];
	int found = 1;

	*name = NULL;
	if (!api_token_is_given(header))
		return 0;
	if (EVP_Digest(header + 7, strlen(header + 7), digest, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	if (CRYPTO_memcmp(digest, tokens->operator.digest, sizeof(digest)) != 0) {
		token = &tokens->found;
		found = tokens->keep == NULL ? 0 : tokens->keep->find(tokens->kept, digest, &tokens->found);
	}
	if (found != 1)
		return found;
	*name = token->name;
	return token->scopes >> scope & 1;
}

int
api_tokens_create(struct api_tokens **out, const char *path, const struct api_token_keep *keep, const char *where)
{
	struct api_tokens *tokens = calloc(1, sizeof(*tokens));
	int err;

	if (tokens == NULL)
		return -ENOMEM;
	err = read_operator(&tokens->operator, path);
	if (err == 0 && keep != NULL)
		err = keep->open(&tokens->kept, where);
	if (err != 0) {
		free(tokens);
		return err;
	}
	tokens->keep = keep;
	*out = tokens;
	return 0;
}

void
api_tokens_destroy(struct api_tokens *tokens)
{
	if (tokens == NULL)
		return;
	if (tokens->keep != NULL)
		tokens->keep->close(tokens->kept);
	free(tokens);
}

static void
put_hex(char *out, const uint8_t *bytes, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

int
api_token_make(const char *name, const char *scopes, struct api_token *out, char text[API_TOKEN_TEXT_LEN + 1])
{
	uint8_t random[TOKEN_BYTES];

	if (!batch_sensor_valid(name) || !api_scopes_read(scopes, strlen(scopes), &out->scopes) || strpbrk(scopes, " \t") != NULL)
		return -EINVAL;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return -EIO;
	put_hex(text, random, sizeof(random));
	OPENSSL_cleanse(random, sizeof(random));
	snprintf(out->name, sizeof(out->name), "%s", name);
	return EVP_Digest(text, API_TOKEN_TEXT_LEN, out->digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

void
api_token_print(const struct api_token *token, FILE *out)
{
	char scopes[API_TOKEN_SCOPES_MAX];
	char digest[2 * API_TOKEN_DIGEST_LEN + 1];

	put_hex(digest, token->digest, API_TOKEN_DIGEST_LEN);
	api_scopes_write(token->scopes, scopes);
	fprintf(out, "%s %s %s\n", digest, scopes, token->name);
}
