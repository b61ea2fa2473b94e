/* Asks the query API by HTTPS, and a sensor by its control socket. Errors are said on stderr. */
#ifndef MR_MILLRACE_CLIENT_H
#define MR_MILLRACE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "app/millrace/options.h"

/** GETs path with the options' filters. @param cursor NULL: the first page. @param out the caller's.
 *  @return an exit status. */
int client_get(const struct options *options, const char *path, const char *cursor, json_t **out);

/** POSTs a JSON body (lent) to path. @param out the caller's. @return an exit status. */
int client_post(const struct options *options, const char *path, const json_t *body, json_t **out);

/** Bytes of a streamed answer. @return false: no more are wanted. */
typedef bool (*client_bytes_fn)(void *arg, const char *data, size_t len);

/** GETs path and hands on what comes until the aggregator ends it. @param after text of the id behind which to begin, or NULL
 *  @return an exit status; STATUS_UNREACHABLE when it broke off. */
int client_stream(const struct options *options, const char *path, const char *after, client_bytes_fn bytes, void *arg);

/** Sends one request line to the control socket and reads the answer. @return an exit status; STATUS_FAILED when the
 *  sensor refuses, with its answer in *out. */
int client_control(const struct options *options, json_t *request, json_t **out);

#endif
