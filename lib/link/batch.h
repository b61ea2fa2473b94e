/*
 * The record stream's unit: a batch of NDJSON lines of one lane of one sensor, and the
 * answers to it. Both halves of the link speak through this codec, so the header names,
 * bounds and digests are said once.
 *
 *   POST /v1/records             Millrace-Version: 1
 *   Millrace-Sensor: NAME        the client certificate's subject CN
 *   Millrace-Epoch: 16 hex       changes only when the sensor's spool starts anew
 *   Millrace-Lane: alert | asset | event | flow | stats
 *   Millrace-Sequence: N         of the first line; sequences start at 1 and count lines
 *   Millrace-Count: N            lines in the body
 *   Millrace-Skip-To: N          optional: sequences of this lane before N are lost at the sensor
 *   Millrace-Begins: N           optional, beside it: the lane's first sequence of this epoch. Those before were of another
 *   Content-Type: application/x-ndjson
 *   Content-Encoding: zstd | identity
 *   Content-Digest: sha-256=:BASE64:   (RFC 9530) of the body as sent
 *
 * Answers, JSON bodies:
 *   200 {"acked":N}              every sequence of the lane up to N is durable or declared lost
 *   409 {"expected":N}           the batch leaves a hole: send from N, or declare it lost by Millrace-Skip-To
 *   409 {"expected":N,"why":"compare"}  records up to N are stored, and the batch ends before: send from N, so that this one can be
 *                                compared. Nothing of the lane is acknowledged by that
 *   409 {"expected":N,"why":"foreign"}  other records are stored under these numbers, up to N - 1, by one that goes by another copy
 *                                of the spool: begin a new epoch
 *   413 {"max_bytes":N}          split the batch (body, or its decoded lines, above the bound)
 *   429, 503 + Retry-After       come back later with the same batch
 *   other 4xx {"error":"..."}    a poison batch: it will never be taken
 *
 * The version is raised only when who does not know it would misread the stream: a header that must be understood, a lane more, another
 * encoding of the lines. Whoever takes batches takes BATCH_VERSION_OLDEST to BATCH_VERSION, and answers a newer one
 * 503: nothing of it is poison, and the sensor keeps it until the aggregator is updated. What else comes to be (headers,
 * keys in records and in answers, kinds of records) is passed over by who does not know it, and kept in what is stored.
 *
 * Thread: any; an encoder or decoder belongs to one thread at a time.
 */
#ifndef MR_LINK_BATCH_H
#define MR_LINK_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/spool/lane.h"

enum {
	BATCH_VERSION = 1,        /* that sensors of this release write */
	BATCH_VERSION_OLDEST = 1, /* that is still taken: at least those of the two releases before */
	BATCH_SENSOR_MAX = 64,              /* characters of a sensor's name: letters, digits, . _ - */
	BATCH_COUNT_MAX = 65536,            /* lines */
	BATCH_BODY_MAX = 8 * 1024 * 1024,   /* encoded bytes; a server's own bound may be lower */
	BATCH_LINES_MAX = 32 * 1024 * 1024, /* decoded bytes; a server's own bound may be lower */
	BATCH_LINE_MAX = 1024 * 1024,       /* bytes of one line */
	BATCH_SEQUENCE_BITS = 62,
	BATCH_DIGEST_LEN = 54,              /* characters of "sha-256=:" + 44 of base64 + ":" */
	BATCH_ERROR_MAX = 160,
	BATCH_RETRY_MAX_S = 3600,           /* a longer Retry-After is cut to this */
};

#define BATCH_PATH "/v1/records"
#define BATCH_CHECK_PATH "/v1/check" /* takes a batch as BATCH_PATH does, checks it, and stores nothing */
#define BATCH_WHY_COMPARE "compare"
#define BATCH_WHY_FOREIGN "foreign"
#define BATCH_CONTENT_TYPE "application/x-ndjson"

enum batch_encoding { BATCH_IDENTITY, BATCH_ZSTD };

/** What the headers say. */
struct batch_head {
	uint32_t version;   /* of a batch that came in */
	char sensor[BATCH_SENSOR_MAX + 1];
	uint64_t epoch;
	enum link_lane lane;
	uint64_t sequence;  /* of the first line, from 1 */
	uint32_t count;     /* 1..BATCH_COUNT_MAX */
	uint64_t skip_to;   /* 0: no such header; else 1..sequence */
	uint64_t begins;    /* the same */
	enum batch_encoding encoding;
	char digest[BATCH_DIGEST_LEN + 1]; /* text of Content-Digest */
};

/** @return whether the name is 1..BATCH_SENSOR_MAX letters, digits, dots, dashes, underscores. */
bool batch_sensor_valid(const char *name);

/* ---- the sensor's side ---- */

struct batch_encoder;

/** @param level zstd level, 1..19. @return 0, -EINVAL or -ENOMEM. */
int batch_encoder_create(struct batch_encoder **out, int level);
void batch_encoder_destroy(struct batch_encoder *encoder);

/**
 * Compresses lines and fills head->encoding and head->digest; the other fields are the caller's.
 *
 * @param lines     whole lines, each ended by \n
 * @param body      out: the encoded body, written into the caller's buffer; its capacity must be at least
 *                  batch_body_bound(lines_len)
 * @return 0, -EMSGSIZE (above BATCH_LINES_MAX, or body too small)
 */
int batch_encode(struct batch_encoder *encoder, struct batch_head *head, const void *lines, size_t lines_len,
	struct buf *body);
size_t batch_body_bound(size_t lines_len);
/** Fills head->digest for a body that is sent as it is. @return 0 or -ENOMEM. */
int batch_sign(struct batch_head *head, const void *body, size_t len);

/**
 * Writes the headers above, one "Name: value" each followed by end ("\r\n" for a raw request).
 * Content-Length and Host are the HTTP client's own.
 */
void batch_write_headers(struct buf *out, const struct batch_head *head, const char *end);
/** The headers one by one, for clients that take a list. @return false past the last. */
bool batch_header_at(const struct batch_head *head, unsigned int index, struct buf *out);

enum batch_verdict {
	BATCH_ACKED,    /* drop everything up to .sequence */
	BATCH_HOLE,     /* send again from .sequence */
	BATCH_COMPARE,  /* the same, and nothing before it is acknowledged */
	BATCH_FOREIGN,  /* begin a new epoch: up to .sequence - 1 the numbers have other records */
	BATCH_TOO_LARGE, /* split below .max_bytes (0: not said) */
	BATCH_LATER,    /* try again after .retry_after_ms */
	BATCH_POISON,   /* quarantine; .error says why */
};

struct batch_answer {
	enum batch_verdict verdict;
	uint64_t sequence;
	uint64_t max_bytes;
	uint64_t retry_after_ms; /* BATCH_LATER: at least 100 */
	char error[BATCH_ERROR_MAX]; /* printable ASCII, of the server's words */
};

/**
 * Reads an answer. Whatever is not understood (a 200 without "acked", a redirect, 5xx, and the 4xx that a proxy or a wrong
 * setup gives: 401, 403, 404, 405, 407, 408, 421, 425, 429) is BATCH_LATER: only a server that says so makes a
 * batch poison.
 *
 * @param status       HTTP status
 * @param retry_after  value of Retry-After in seconds, or NULL
 */
void batch_answer_parse(struct batch_answer *out, int status, const char *retry_after, const void *body, size_t len);

/* ---- the aggregator's side ---- */

/** Looks up a request header by name, case-insensitive; NULL when absent. */
typedef const char *(*batch_header_get)(void *arg, const char *name);

/** Reads and checks the headers. @param error out: why not. @return 0, -EPROTONOSUPPORT (of another version: only that was read) or -EINVAL. */
int batch_head_parse(struct batch_head *out, batch_header_get get, void *arg, char error[BATCH_ERROR_MAX]);

struct batch_decoder;

/** @param lines_max decoded bytes allowed, 1..BATCH_LINES_MAX. @return 0, -EINVAL or -ENOMEM. */
int batch_decoder_create(struct batch_decoder **out, size_t lines_max);
void batch_decoder_destroy(struct batch_decoder *decoder);

/**
 * Checks the digest and decodes the body.
 *
 * @param lines  out: the caller's; is made larger where the lines do not fit, never beyond lines_max. { 0 } is a good
 *               beginning, and a buffer that is used again spares the allocation. buf_destroy() it in the end.
 * @return 0, -EMSGSIZE (decoded size above the bound), -EBADMSG with error set, -ENOMEM
 */
int batch_decode(struct batch_decoder *decoder, const struct batch_head *head, const void *body, size_t body_len,
	struct buf *lines, char error[BATCH_ERROR_MAX]);

#endif
