/*
 * Who may ask what: the operator's token, which may everything, and a file of further ones, of which only digests are kept.
 * The file is read again when it changes. A line of it:
 *
 *   SHA-256 of the token in hexadecimal, its scopes joined by commas, its name
 *
 * Thread: the API's.
 */
#ifndef MR_AGGREGATOR_API_TOKEN_H
#define MR_AGGREGATOR_API_TOKEN_H

#include <stdbool.h>
#include <stdio.h>

/** In the order of rows' default: reading is what most routes ask for. */
enum api_scope { API_SCOPE_READ, API_SCOPE_EXPORT, API_SCOPE_ADMIN, API_SCOPES };

enum { API_TOKEN_NAME_MAX = 64, API_TOKENS_MAX = 1024 };

struct api_tokens;

const char *api_scope_name(enum api_scope scope);

/** @param path of the operator's token, file of the others ("": none). @return 0 or -errno, logged. */
int api_tokens_create(struct api_tokens **out, const char *path, const char *file);
void api_tokens_destroy(struct api_tokens *tokens);

/**
 * @param header  value of Authorization, or NULL
 * @param name    out: whose token it is; lent until the next call. NULL: not known
 * @return whether it has the scope
 */
bool api_tokens_allow(struct api_tokens *tokens, const char *header, enum api_scope scope, const char **name);

/** Makes a token: prints it and its line for the file. @return 0, -EINVAL (scopes or name are none), -EIO. */
int api_token_make(const char *name, const char *scopes, FILE *out);

#endif
