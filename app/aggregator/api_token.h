/*
 * Who may ask what: the operator's token, which may everything, and further ones, of which only digests are kept: in a file of
 * one aggregator, or in PostgreSQL for several that share a store. What is added or removed there holds from the next request on.
 *
 * Thread: the API's.
 */
#ifndef MR_AGGREGATOR_API_TOKEN_H
#define MR_AGGREGATOR_API_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** In the order of rows' default: reading is what most routes ask for. */
enum api_scope { API_SCOPE_READ, API_SCOPE_EXPORT, API_SCOPE_ADMIN, API_SCOPES };

enum { API_TOKEN_NAME_MAX = 64, API_TOKENS_MAX = 1024, API_TOKEN_DIGEST_LEN = 32, API_TOKEN_SCOPES_MAX = 32 };

struct api_token {
	uint8_t digest[API_TOKEN_DIGEST_LEN]; /* SHA-256 */
	uint32_t scopes;                      /* bit i: enum api_scope */
	char name[API_TOKEN_NAME_MAX + 1];
};

/** Where tokens are kept: one row each. */
struct api_token_keep {
	int (*open)(void **kept, const char *where);
	void (*close)(void *kept);
	/** @return 1: found, 0: there is none, -errno, logged: what there is cannot be read now */
	int (*find)(void *kept, const uint8_t digest[API_TOKEN_DIGEST_LEN], struct api_token *out);
	/** @return 0, -EEXIST (the name), -ENOSPC (there are API_TOKENS_MAX), -errno, logged */
	int (*add)(void *kept, const struct api_token *token);
	/** @return 0, -ENOENT, -errno, logged */
	int (*remove)(void *kept, const char *name);
	/** Writes NAME SCOPES, a line each. @return 0 or -errno, logged */
	int (*list)(void *kept, FILE *out);
};

/** where: a file, read again when it changes; a line is: SHA-256 in hexadecimal, scopes joined by commas, name. */
extern const struct api_token_keep api_token_file;
/** where: as libpq reads it. */
extern const struct api_token_keep api_token_postgres;

const char *api_scope_name(enum api_scope scope);
/** @param text names joined by commas. @return false: one is none */
bool api_scopes_read(const char *text, size_t len, uint32_t *out);
void api_scopes_write(uint32_t scopes, char out[API_TOKEN_SCOPES_MAX]);

struct api_tokens;

/** @param path of the operator's token. @param keep of the others; NULL: none, where is not looked at. @return 0 or -errno,
 *  logged. */
int api_tokens_create(struct api_tokens **out, const char *path, const struct api_token_keep *keep, const char *where);
void api_tokens_destroy(struct api_tokens *tokens);

/** @param header  value of Authorization, or NULL */
bool api_token_is_given(const char *header);
/**
 * @param header  value of Authorization, or NULL
 * @param name    out: whose token it is; lent until the next call. NULL: not known
 * @return 1: it has the scope, 0: it has not, -errno: where tokens are kept could not be read, so nobody knows
 */
int api_tokens_allow(struct api_tokens *tokens, const char *header, enum api_scope scope, const char **name);

enum { API_TOKEN_TEXT_LEN = 48 };

/** Makes a token. @param text out: to be shown once. @return 0, -EINVAL (scopes or name are none), -EIO. */
int api_token_make(const char *name, const char *scopes, struct api_token *out, char text[API_TOKEN_TEXT_LEN + 1]);
/** Its line for the file. */
void api_token_print(const struct api_token *token, FILE *out);

#endif
