/*
 * HTTP/1 (RFC 9110, RFC 9112): the record, the tables, and what the files of this folder share.
 *
 * A message is read in two steps. Its head is a PDU; of it a struct http_half is made, which lives in the flow's slab
 * memory until the transaction is written. Its body comes as raw bytes (http_body.c), whose first ones are kept for the
 * rules. When enough of the body is there, rules see a record with everything; when the response is complete, a short
 * one is written.
 */
#ifndef MR_PROTO_HTTP_HTTP_H
#define MR_PROTO_HTTP_HTTP_H

#include "proto/proto.h"

enum {
	HTTP_HEAD_LEN_MAX = 16 * 1024, /* start line and header fields; what is longer is cut */
	HTTP_LINE_LEN_MAX = 8 * 1024,  /* of a start line */
	HTTP_METHOD_LEN_MAX = 24,
	HTTP_FIELDS_MAX = 128,         /* header fields of a message */
	HTTP_BODY_LIMIT_MAX = 24 * 1024,
	HTTP_OPEN_MAX = 1024,
	HTTP_DERIVED_LEN_MAX = 24 * 1024, /* normal forms of a head */
	HTTP_BLANKS_MAX = 4,           /* and before a status line */
	HTTP_LEADING_MAX = 8,          /* CR and LF before a start line (RFC 9112 2.2) */
	HTTP_DUMP_LEN_MAX = 8 * 1024,  /* names and values written of a message whose fields are all written */
	HTTP_LAYERS_MAX = 4,           /* content codings one upon the other */
	HTTP_CODINGS_LEN_MAX = 256,    /* looked at of the fields that name codings */
};

/* Parts of a message. Those of both kinds of message come first. */
enum http_slice {
	HTTP_START_LINE,
	HTTP_PROTOCOL,
	HTTP_START,        /* the whole head */
	HTTP_HEADER,       /* "Name: value\r\n" of each field but cookies, spaces taken off, repeated fields joined */
	HTTP_HEADER_LINES, /* the same, and cookies behind it */
	HTTP_HEADER_RAW,
	HTTP_HEADER_NAMES, /* "\r\nName\r\n...\r\n\r\n" */
	HTTP_COOKIE,
	HTTP_CONTENT_TYPE,
	HTTP_CONTENT_LEN,
	HTTP_CONNECTION,
	HTTP_BODY,         /* its first bytes, without transfer and content coding */
	HTTP_SHARED_SLICES,

	HTTP_METHOD = HTTP_SHARED_SLICES,
	HTTP_URI,
	HTTP_URI_RAW,
	HTTP_HOST,
	HTTP_HOST_RAW,
	HTTP_USER_AGENT,
	HTTP_REFERER,
	HTTP_ACCEPT,
	HTTP_ACCEPT_ENC,
	HTTP_ACCEPT_LANG,
	HTTP_XFF,
	HTTP_REQUEST_SLICES,

	HTTP_STAT_CODE = HTTP_SHARED_SLICES,
	HTTP_STAT_MSG,
	HTTP_SERVER,
	HTTP_LOCATION,
	HTTP_CONTENT_RANGE,
	HTTP_CONTENT_ENCODING,
	HTTP_RESPONSE_SLICES,

	HTTP_SLICES_MAX = HTTP_REQUEST_SLICES,
};

/* Presence bits of http_record: a slice's bit is its number behind the first of its kind. */
enum http_bit {
	HTTP_HAS_REQUEST = 0,
	HTTP_HAS_RESPONSE = HTTP_HAS_REQUEST + HTTP_REQUEST_SLICES,
	HTTP_HAS_MESSAGE = HTTP_HAS_RESPONSE + HTTP_RESPONSE_SLICES,
	HTTP_HAS_PORT = HTTP_HAS_MESSAGE + HTTP_SHARED_SLICES,
	HTTP_HAS_MEDIA_TYPE,
	HTTP_HAS_RANGE,
	HTTP_HAS_RANGE_SIZE,
	HTTP_HAS_STATUS,
	HTTP_HAS_LENGTH,
	HTTP_HAS_PROTOCOL,
	HTTP_HAS_STATUS_STRING,
	HTTP_HAS_REQUEST_HEADERS,
	HTTP_HAS_RESPONSE_HEADERS,
	HTTP_BIT_COUNT,
};

/** A transaction, or what of it was seen when the rules looked. */
struct http_record {
	struct record_head head;
	struct record_ref request[HTTP_REQUEST_SLICES];
	struct record_ref response[HTTP_RESPONSE_SLICES];
	struct record_ref message[HTTP_SHARED_SLICES]; /* of the message that the rules look at, whichever it is */
	struct record_ref media_type;                  /* content type without parameters */
	struct record_ref protocol;                    /* of the request, else of the response */
	struct record_ref status_string;               /* a status code that is no number */
	struct record_list headers[2];                 /* by is_request, struct http_field: where the user wants them all written */
	uint64_t length;                               /* bytes of the response's body so far */
	uint64_t range_start, range_end, range_size;
	uint16_t port;                                 /* named in the request */
	uint16_t status;
};

/** A header field as it was sent. */
struct http_field {
	struct record_head head;
	struct record_ref name, value;
};

extern const struct record_table http_table;
extern const struct record_table *const http_field_shapes[];
extern const struct rule_app_event http_events[];
extern const struct rule_app_buffer http_buffers[];
enum rule_direction http_buffer_direction(const struct rule_app_buffer *buffer);
const char *http_buffer_of(const struct rule_app_buffer *buffer, bool to_server);
extern const struct counter_desc http_counters[];
extern const struct knob_table http_knobs;

enum { HTTP_BUFFER_COUNT = 30 };

/* Index into http_events[]. Those that come in two kinds have the request's first. */
enum http_event {
	HTTP_EVENT_REQUEST_FIELD_MISSING_COLON,
	HTTP_EVENT_RESPONSE_FIELD_MISSING_COLON,
	HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN,
	HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN,
	HTTP_EVENT_INVALID_REQUEST_TRANSFER_ENCODING,
	HTTP_EVENT_INVALID_RESPONSE_TRANSFER_ENCODING,
	HTTP_EVENT_INVALID_REQUEST_CONTENT_LENGTH,
	HTTP_EVENT_INVALID_RESPONSE_CONTENT_LENGTH,
	HTTP_EVENT_DUPLICATE_REQUEST_CONTENT_LENGTH,
	HTTP_EVENT_DUPLICATE_RESPONSE_CONTENT_LENGTH,
	HTTP_EVENT_REQUEST_HEADER_INVALID,
	HTTP_EVENT_RESPONSE_HEADER_INVALID,
	HTTP_EVENT_INVALID_REQUEST_FOLDING,
	HTTP_EVENT_INVALID_RESPONSE_FOLDING,
	HTTP_EVENT_REQUEST_FIELD_TOO_LONG,
	HTTP_EVENT_RESPONSE_FIELD_TOO_LONG,
	HTTP_EVENT_REQUEST_TOO_MANY_HEADERS,
	HTTP_EVENT_RESPONSE_TOO_MANY_HEADERS,
	HTTP_EVENT_REQUEST_HEADER_REPETITION,
	HTTP_EVENT_RESPONSE_HEADER_REPETITION,
	HTTP_EVENT_REQUEST_CHUNK_EXTENSION,
	HTTP_EVENT_RESPONSE_CHUNK_EXTENSION,
	HTTP_EVENT_REQUEST_AMBIGUOUS_LENGTH,
	HTTP_EVENT_RESPONSE_AMBIGUOUS_LENGTH,
	HTTP_EVENT_UNMATCHED_RESPONSE,
	HTTP_EVENT_MISSING_HOST,
	HTTP_EVENT_AMBIGUOUS_HOST,
	HTTP_EVENT_INVALID_HOST,
	HTTP_EVENT_INVALID_SERVER_PORT,
	HTTP_EVENT_METHOD_DELIMITER,
	HTTP_EVENT_URI_DELIMITER,
	HTTP_EVENT_LEADING_WHITESPACE,
	HTTP_EVENT_MISSING_PROTOCOL,
	HTTP_EVENT_DOUBLE_ENCODED_URI,
	HTTP_EVENT_CHUNKED_OLD_PROTOCOL,
	HTTP_EVENT_INVALID_STATUS,
	HTTP_EVENT_INVALID_PROTOCOL,
	HTTP_EVENT_NO_HEAD,
	HTTP_EVENT_ABNORMAL_CONTENT_ENCODING,
	HTTP_EVENT_TOO_MANY_ENCODINGS,
	HTTP_EVENT_DECOMPRESSION_FAILED,
	HTTP_EVENT_COMPRESSION_BOMB,
	HTTP_EVENT_TOO_MANY_REQUESTS,
	HTTP_EVENT_WRONG_DIRECTION,
	HTTP_EVENT_REQUEST_INCOMPLETE,
	HTTP_EVENT_RESPONSE_INCOMPLETE,
	HTTP_EVENT_COUNT,
};

enum http_counter {
	HTTP_COUNT_REQUESTS,
	HTTP_COUNT_RESPONSES,
	HTTP_COUNT_INTERIM,
	HTTP_COUNT_UNANSWERED,
	HTTP_COUNT_ORPHANS,
	HTTP_COUNT_REQUESTS_SHED,
	HTTP_COUNT_SHED,
	HTTP_COUNT_HEADS_CUT,
	HTTP_COUNT_BODIES_CUT,
	HTTP_COUNT_BODIES_SHED,
	HTTP_COUNT_DECODED,
	HTTP_COUNT_NOT_DECODED,
	HTTP_COUNT_TUNNELS,
	HTTP_COUNTER_COUNT,
};

/** Of which messages all header fields are written; bits: 1 requests, 2 responses. */
enum http_dump { HTTP_DUMP_NONE, HTTP_DUMP_REQUEST, HTTP_DUMP_RESPONSE, HTTP_DUMP_BOTH };

struct http_config {
	uint64_t open_max;      /* max-tx */
	uint64_t body_limit[2]; /* by is_request */
	unsigned int dump;      /* enum http_dump */
	uint64_t layers_max;    /* content codings of a response that are named, none among them */
};

/* ---- a head being read (http_head.c, http_start.c) ---- */

enum http_coding { HTTP_CODING_NONE, HTTP_CODING_GZIP, HTTP_CODING_DEFLATE, HTTP_CODING_LZMA, HTTP_CODING_OTHER };

/** What a head says. Slices are places in the head, or behind it in the derived bytes. */
struct http_head {
	bool is_request;
	bool is_cut;          /* its end is not here */
	bool is_cut_at_line;  /* and a line begins where it is cut */
	bool is_loose_end;    /* what ends it is an empty line only to some; a true one may follow */
	bool chunked;
	bool has_length;
	bool is_head, is_connect; /* the method */
	bool is_upgrade;
	uint8_t minor, major; /* of the protocol's version; 0.9 without one */
	uint8_t coding_count;
	uint8_t codings[HTTP_LAYERS_MAX]; /* enum http_coding, in the order in which they were put on */
	uint16_t status;
	uint16_t port;
	uint32_t present;     /* bit i: slices[i] is there */
	uint64_t content_length;
	struct record_ref slices[HTTP_SLICES_MAX];
};

/** A start line, as far as it can be told. */
enum http_fit {
	HTTP_FIT_NO,
	HTTP_FIT_MORE,
	HTTP_FIT_SIMPLE, /* a request of HTTP/0.9: this line and no more */
	HTTP_FIT_REQUEST,
	HTTP_FIT_RESPONSE,
};

/** A status that has no body, and a head that does not say otherwise (http_body.c). */
bool http_head_is_bodiless(const struct http_head *head);
/** Looks at the line at the start of in. @param strict  an unknown method or a missing protocol does not fit */
enum http_fit http_line_fit(const struct cursor *in, bool strict);
/** Of a line that may go on and does not: as http_line_fit(), of a response with its status, of a request of a known method with a target. */
enum http_fit http_line_fit_remains(const struct cursor *in);
/** Bytes at the front of in where no start line begins, whatever comes behind in. */
size_t http_line_pass(struct cursor in);
/** Length of the head with its empty line; 0: its end is not here. @param seen_len  bytes where it is known not to be */
uint32_t http_head_len(struct cursor in, uint32_t seen_len);
/** Length of the empty line that ends a head; 0: in is a head whose end is not here. */
uint32_t http_head_end_len(struct cursor in);
/** Of a head with its end: whether that is no empty line to everybody. */
bool http_head_is_loose(struct cursor in);
/**
 * Reads a head.
 * @param in       the whole of it, at most HTTP_HEAD_LEN_MAX bytes
 * @param derived  room for what is not in the head as it should be; slices with an offset of at least the head's length
 *                 lie there
 */
void http_head_read(struct proto_ctx *ctx, struct cursor in, struct http_head *head, struct buf *derived);
/** Reads the start line. @param is_odd  CR alone ends it, too @return where the first field begins; len: the line has no end */
uint32_t http_start_read(struct proto_ctx *ctx, struct http_head *head, const uint8_t *text, uint32_t len, bool is_odd);
/** Whether a CR alone or a NUL is in the text: a head that only some read as it stands. */
bool http_has_odd(const uint8_t *text, uint32_t len);
/** What Transfer-Encoding says: text[len], all fields of the name as one, in lower case (http_coding.c). */
void http_transfer_read(struct proto_ctx *ctx, struct http_head *head, const char *text, size_t len);
/** What Content-Encoding says. */
void http_content_read(struct proto_ctx *ctx, struct http_head *head, const char *text, size_t len);
/** The head that a target is in, and the room for its normal form. */
struct http_target {
	const uint8_t *text; /* [len] */
	uint32_t len;
	struct buf *derived;
};

/** The request's target and host, of which the slices are filled: normal forms and port (http_uri.c). */
void http_target_read(struct proto_ctx *ctx, struct http_head *head, const struct http_target *in);

static inline bool
http_is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/** RFC 9112 2.2: what may stand before a start line. */
static inline bool
http_is_leading(uint8_t c)
{
	return c == '\r' || c == '\n';
}

/** Takes blanks off both ends of text[*from, *to), and what ends a line off its end. */
static inline void
http_trim(const uint8_t *text, uint32_t *from, uint32_t *to)
{
	while (*from < *to && http_is_space(text[*from]))
		++*from;
	while (*to > *from && (http_is_space(text[*to - 1]) || text[*to - 1] == '\r' || text[*to - 1] == '\n'))
		--*to;
}

static inline uint8_t
http_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static inline void
http_put_slice(struct http_head *head, enum http_slice slice, uint32_t off, uint32_t len)
{
	head->slices[slice] = (struct record_ref){ off, len };
	head->present |= UINT32_C(1) << slice;
}

/** Names an event that comes in two kinds. */
static inline void
http_event(struct proto_ctx *ctx, enum http_event of_request, bool is_request)
{
	proto_event(ctx, (unsigned int)of_request + !is_request);
}

/* ---- messages in memory (http_half.c) ---- */

struct http_half {
	struct http_half *next;    /* of requests that wait: the one behind it */
	struct http_half *request; /* of a response: what it answers, or NULL */
	struct http_head head;
	uint64_t body_len;         /* seen of it, without transfer coding */
	uint64_t events;           /* not yet told */
	uint64_t body_events;      /* of the body, told or not */
	uint32_t id;               /* of the transaction */
	uint32_t data_len;         /* the head and what was derived from it */
	uint32_t head_len;
	uint8_t *kept;             /* a block of its own: the head again, and behind it the first bytes of the body */
	uint32_t kept_len, kept_cap;
	uint32_t shed_before;      /* requests before it that could not wait */
	bool to_server;
	bool waits;                /* a request in the queue, or one that a response has taken from it */
	bool matched;              /* the rules saw it */
	bool is_gapped;            /* bytes of the body were lost: no more are kept */
	bool has_limit;            /* as many were kept as may be */
	bool has_file;             /* its body was looked at as a file, whether it is followed or not */
	bool is_over;              /* the body: nothing more comes of it */
	bool is_whole;             /* and nothing of it is missing at the end */
	struct file *file;         /* the body, or the part of a form at hand, where somebody wants to know of it */
	struct http_parts *parts;  /* of a form with files; NULL: the body is one file */
	uint8_t data[];
};

/** A half in slab memory; NULL: none is left, which is counted. Takes the events of ctx. */
struct http_half *http_half_create(struct proto_ctx *ctx, const struct http_head *head, struct cursor in,
	const struct buf *derived);
/** NULL is accepted. */
void http_half_destroy(struct proto_ctx *ctx, struct http_half *half);
/** Keeps bytes of the body, as many as may be. @return whether more are wanted */
bool http_half_keep(struct proto_ctx *ctx, struct http_half *half, const uint8_t *data, uint32_t len);
/** Lets the rules see the message, once. Uses ctx->record. */
void http_half_match(struct proto_ctx *ctx, struct http_half *half);
/** Writes the transaction and frees both halves; either may be NULL. Uses ctx->record. */
void http_half_emit(struct proto_ctx *ctx, struct http_half *request, struct http_half *response);
/** All header fields of the message into the record (http_dump.c). */
void http_half_dump(struct proto_ctx *ctx, struct http_record *record, const struct http_half *half);
/** Takes the content coding off what was kept, in place. Uses ctx->record's room as scratch (http_decode.c). */
void http_half_decode(struct proto_ctx *ctx, struct http_half *half);
/** Replaces the kept part of the body. */
bool http_half_replace(struct proto_ctx *ctx, struct http_half *half, const uint8_t *data, uint32_t len);

/** With a file beside it: the message once more for rules that ask how its file ended, and a record of the file alone. Uses
 *  ctx->record. */
void http_half_tell_file(struct proto_ctx *ctx, struct http_half *half);

/* ---- bodies as files (http_file.c) ---- */

/** Bytes of the body, which begins with the first. */
void http_file_data(struct proto_ctx *ctx, struct http_half *half, const uint8_t *data, uint32_t len);
/** Bytes of it were lost, may be its first. */
void http_file_gap(struct proto_ctx *ctx, struct http_half *half, uint64_t missing);
/** What was kept of the body is decoded, or the body is over: the file takes what it can be given now. */
void http_file_settle(struct proto_ctx *ctx, struct http_half *half);
/** The body is over: all are told of the file, which is then forgotten. */
void http_file_finish(struct proto_ctx *ctx, struct http_half *half);

/** A parameter of a field's value: what is behind "name=", without quotes; empty: there is none. */
struct cursor http_parameter_of(struct cursor value, const char *name);

/* ---- forms with files (http_multipart.c) ---- */

/** @param type  Content-Type's value @return NULL: it is no such form, or there is no memory */
struct http_parts *http_parts_create(struct proto_ctx *ctx, struct cursor type);
/** NULL is accepted. */
void http_parts_destroy(struct proto_ctx *ctx, struct http_parts *parts);
/** Bytes of the body, of which each part is told when it ended. */
void http_parts_take(struct proto_ctx *ctx, struct http_half *half, struct cursor in);

/* ---- the body of a direction (http_body.c) ---- */

enum http_body_state {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,      /* left bytes */
	HTTP_BODY_UNTIL_CLOSE,
	HTTP_BODY_CHUNK_SIZE,  /* RFC 9112 7.1: digits */
	HTTP_BODY_CHUNK_EXT,   /* behind them, to the end of the line */
	HTTP_BODY_CHUNK_DATA,
	HTTP_BODY_CHUNK_END,   /* the line end behind a chunk */
	HTTP_BODY_TRAILER,     /* field lines to an empty one */
	HTTP_BODY_HEAD_REST,   /* of a head that was cut */
	HTTP_BODY_PEEK,        /* there should be none, and the head says there is: one begins, or the next response does */
	HTTP_BODY_HEADLESS,    /* a response without head, until a line begins as one of a head does */
	HTTP_BODY_PAUSED,      /* there */
};

struct http_body {
	struct http_half *half; /* whose body it is; NULL: nobody's */
	uint64_t left;
	uint8_t state;          /* enum http_body_state */
	uint8_t digits;         /* of the chunk size so far */
	uint8_t after;          /* state behind HTTP_BODY_HEAD_REST and HTTP_BODY_PEEK */
	bool line_is_empty;     /* of a trailer or a head: nothing but CR since the last LF; without head: a line begins */
	bool skip_line;         /* an empty line before the body is of the head */
	bool resumed;           /* the line that begins is none of a head */
};

struct http_state {
	struct http_half *oldest, *newest; /* requests that wait */
	struct http_body bodies[2];        /* by to_server */
	uint32_t last_id;
	uint32_t shed_behind;              /* requests behind the newest that could not wait */
	uint16_t open_count;
	bool flooded, wrong_direction;     /* each is said once */
	bool answered;                     /* a response with a head was seen */
};

/** What follows the head is its body. Sets ctx->raw, or ends the message at once. */
void http_body_begin(struct proto_ctx *ctx, struct http_half *half, const struct http_head *head,
	const struct http_head *request);
uint32_t http_body_raw(struct proto_ctx *ctx, struct cursor in);
/** What comes now is a response without head. @param half  of no head */
void http_body_begin_headless(struct proto_ctx *ctx, struct http_half *half);
/** Bytes of the direction were lost. @return false: it was not in a body, or the body's end is lost as well */
bool http_body_gap(struct proto_ctx *ctx, uint32_t missing);
/** The direction has no more bytes: its message is complete as it is. */
void http_body_end(struct proto_ctx *ctx, bool to_server);
/** A message is complete (http.c). */
void http_finish(struct proto_ctx *ctx, struct http_half *half);

#endif
