/*
 * Records: what a parser found, as flat C structs in one relocatable blob, described by
 * field tables. One row of a table is at once the C field, the JSON key, the rule keyword
 * and the line of the reference page.
 *
 * A blob starts with its root struct at offset 0. Every struct that a table describes
 * begins with a struct record_head. Variable parts (byte strings, number arrays, child
 * records) lie behind the root and are named by offset, so a blob may be copied as bytes.
 * Offset 0 never names a variable part: a zeroed ref or list is empty.
 */
#ifndef MR_RECORD_RECORD_H
#define MR_RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/buf.h"

enum {
	RECORD_LEN_MAX = 64 * 1024, /* a blob, with all its variable parts */
	RECORD_DEPTH_MAX = 6,       /* nesting of lists */
	FIELD_ALWAYS = 0xff,        /* field.bit: present whatever head.present says */
};

/** First member of every record struct. */
struct record_head {
	uint64_t present; /* bit i: the fields with .bit == i hold a value */
	uint32_t next;    /* in a list: offset of the next child, 0 at the last */
	uint16_t shape;   /* in a list: which of field.children[] describes this child */
	uint16_t reserved;
};

/** A byte string or number array: count elements (bytes for strings) at base + off. */
struct record_ref {
	uint32_t off;
	uint32_t count;
};

/** A list of child records, linked by record_head.next. */
struct record_list {
	uint32_t first;
	uint32_t last;
	uint32_t count;
};

enum field_type {
	FIELD_BOOL,      /* bool              -> true, false */
	FIELD_U8,        /* uint8_t           -> number */
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_I8,
	FIELD_I16,
	FIELD_I32,
	FIELD_I64,
	FIELD_F32,       /* float             -> number, null when not finite */
	FIELD_F64,       /* double */
	FIELD_TIME,      /* uint64_t ns since the Unix epoch -> ISO 8601 string */
	FIELD_STRING,    /* struct record_ref, bytes -> string (non UTF-8 bytes as \u00XX) */
	FIELD_HEX,       /* struct record_ref, bytes -> lower-case hex string */
	FIELD_BASE64,    /* struct record_ref, bytes -> base64 string */
	FIELD_TEXT,      /* const char * to a static string, valid in the process -> string */
	FIELD_MAC,       /* uint8_t[6]        -> "00:11:22:33:44:55" */
	FIELD_IP,        /* struct record_ip  -> dotted or RFC 5952 text */
	FIELD_NAMES8,    /* uint8_t bit set   -> array of the names of the set bits (values are bit numbers) */
	FIELD_NAMES16,   /* uint16_t bit set */
	FIELD_U8S,       /* struct record_ref of uint8_t  -> array of numbers */
	FIELD_U16S,      /* struct record_ref of uint16_t, host order */
	FIELD_U32S,      /* struct record_ref of uint32_t */
	FIELD_BOOLS,     /* struct record_ref of uint8_t 0/1 -> array of booleans */
	FIELD_LIST,      /* struct record_list -> array of objects */
	FIELD_SCALARS,   /* struct record_ref of struct record_scalar -> array of whatever each one is */
};

struct record_ip {
	uint8_t version; /* 4, 6; 0: none, written as null */
	uint8_t reserved[3];
	uint8_t bytes[16]; /* network order; the first 4 for version 4 */
};

/** What one element of FIELD_SCALARS is: for values whose type is known only on the wire, of one type or mixed. */
enum record_scalar_kind {
	SCALAR_NULL,
	SCALAR_BOOL,
	SCALAR_U64,
	SCALAR_I64,
	SCALAR_F32,
	SCALAR_F64,
	SCALAR_TIME,   /* ns since the Unix epoch */
	SCALAR_STRING, /* bytes, as FIELD_STRING */
	SCALAR_HEX,    /* bytes, as FIELD_HEX */
};

struct record_scalar {
	uint8_t kind; /* enum record_scalar_kind */
	uint8_t reserved[7];
	union {
		bool truth;
		uint64_t u64; /* and the time */
		int64_t i64;
		float f32;
		double f64;
		struct record_ref bytes;
	};
};

/** value -> name. With names, an integer field prints as the name, or as its `unknown` text. */
struct field_name {
	uint32_t value;
	const char *name;
};

/** Rows ascending by value (tests verify it): lookup is by bisection. */
struct field_names {
	const struct field_name *rows;
	uint16_t count;
	const char *unknown; /* for a value that no row has, the number behind it if it ends in '-'; NULL: the number itself */
};

#define FIELD_NAMES(array, unknown_text) \
	{ .rows = (array), .count = sizeof(array) / sizeof((array)[0]), .unknown = (unknown_text) }

enum field_flag {
	FIELD_HIDDEN = 1, /* a rule keyword only, not written to JSON */
	FIELD_ONE = 2,    /* FIELD_LIST of one child at most: written as that object, without an array around it;
	                     FIELD_SCALARS: an array only when there are several */
	FIELD_BARE = 4,   /* FIELD_LIST: each child is written as the value of its first row, without an object around it */
	FIELD_LINES = 8,  /* with FIELD_HIDDEN, of text: rules look at each line alone, without its end */
	FIELD_BESIDE = 16, /* "email.from" is a key of the event, beside the record's object and not in it */
	FIELD_OCTETS = 32, /* FIELD_STRING of what need not be text: where it is none a byte is written as "\\xc5" */
	FIELD_LATE = 64,  /* of events alone: rules are asked before it is known, or by another name */
};

struct record_table;

struct field {
	const char *path;  /* JSON path below the record's object: "request.read.address" */
	uint8_t type;      /* enum field_type */
	uint8_t bit;       /* presence bit 0..63 of record_head.present, or FIELD_ALWAYS */
	uint8_t flags;     /* enum field_flag */
	uint16_t offset;   /* in the struct */
	const struct field_names *names;             /* integer and FIELD_NAMES* types; else NULL */
	const struct record_table *const *children;  /* FIELD_LIST: by record_head.shape; ends with NULL */
	const char *source; /* where the field is defined: "V1.1b3 6.1" */
	const char *help;   /* one line for the reference page */
};

/** Rows of one object are adjacent: all "request.*" rows follow one another. */
struct record_table {
	const char *name; /* EVE object: "modbus" */
	const struct field *fields;
	uint16_t field_count;
	uint16_t size;    /* of the struct */
};

/* ---- building: on a worker, in its scratch; no allocation ---- */

struct record_builder {
	uint8_t *base;  /* RECORD_LEN_MAX bytes, 8-byte aligned, lent by the owner */
	uint32_t len;
	uint32_t cap;
	bool truncated; /* sticky: something did not fit and was left out */
};

static inline void
record_builder_init(struct record_builder *b, void *area, uint32_t cap)
{
	*b = (struct record_builder){ .base = area, .cap = cap };
}

/** Starts a new blob with a zeroed root of table->size bytes. Pointers into the blob stay valid until the
 *  next record_begin(): the area never moves. */
void *record_begin(struct record_builder *b, const struct record_table *table);
/** Continues with a copy of a finished blob (a request kept until its response came). @return the root, or NULL
 *  when it does not fit. */
void *record_begin_copy(struct record_builder *b, const void *blob, uint32_t len);
/** size bytes at the blob's end, 8-byte aligned, not cleared. NULL (and truncated) when they do not fit. */
static inline void *
record_extend(struct record_builder *b, uint64_t size)
{
	uint32_t at = (b->len + 7) & ~UINT32_C(7);

	if (__builtin_expect(at > b->cap || size > b->cap - at, 0)) {
		b->truncated = true;
		return NULL;
	}
	b->len = at + (uint32_t)size;
	return b->base + at;
}

/** Room for count elements of size bytes, 8-byte aligned; *ref names it. NULL (and truncated) when full. */
void *record_reserve(struct record_builder *b, struct record_ref *ref, uint32_t count, uint32_t size);
/** Copies bytes in. When they do not fit the ref stays empty and truncated is set. @param data  NULL: there are none */
void record_put_bytes(struct record_builder *b, struct record_ref *ref, const void *data, uint32_t len);
/** Appends a zeroed child of the given shape; NULL when full. children is the field's children[]. */
void *record_append(struct record_builder *b, struct record_list *list,
	const struct record_table *const *children, uint16_t shape);

/** As record_append(), for lists that are long and often: size is that of the shape's struct, known when it is compiled. */
__attribute__((always_inline)) static inline void *
record_append_sized(struct record_builder *b, struct record_list *list, uint32_t size, uint16_t shape)
{
	struct record_head *head = (struct record_head *)record_extend(b, size);
	uint32_t at;

	if (head == NULL)
		return NULL;
	memset(head, 0, size);
	head->shape = shape;
	at = (uint32_t)((uint8_t *)head - b->base);
	if (list->count++ == 0)
		list->first = at;
	else
		((struct record_head *)(void *)(b->base + list->last))->next = at;
	list->last = at;
	return head;
}

static inline void
record_present(struct record_head *head, uint8_t bit)
{
	head->present |= UINT64_C(1) << bit;
}

static inline bool
record_is_present(const void *record, uint8_t bit)
{
	return bit == FIELD_ALWAYS || (((const struct record_head *)record)->present >> bit & 1) != 0;
}

/* ---- reading: rules, tests, the exporter ---- */

/** Where a dotted path leads: through at most RECORD_DEPTH_MAX lists to a leaf. */
struct record_path {
	const struct field *lists[RECORD_DEPTH_MAX]; /* outermost first */
	const struct record_table *list_tables[RECORD_DEPTH_MAX]; /* whose they are: children of other shapes have no such list */
	uint8_t list_count;
	const struct field *leaf;        /* of the innermost record */
	const struct record_table *leaf_table; /* a list child of another shape has no such leaf */
};

/** Resolves "objects.points.value" against a table ("[]" and numbers are not written). A leaf that occurs in
 *  several shapes of a list resolves to the first; use record_path_next() for the others.
 *  @return 0, or -ENOENT. */
int record_path_resolve(const struct record_table *table, const char *path, struct record_path *out);
/** The next resolution of the same path (another shape) after *path. @return 0 or -ENOENT. */
int record_path_next(const struct record_table *table, const char *text, struct record_path *path);

/** @param record the struct that holds the field, base the blob's start */
typedef bool (*record_test)(const struct field *field, const uint8_t *base, const void *record, void *arg);
/** Calls test on every value the path leads to until one says true. @return whether one did. */
bool record_path_any(const struct record_path *path, const void *blob, record_test test, void *arg);

/** Integer-like value of a field (BOOL, U*, I* sign-extended, NAMES*, TIME). false: not present or not of that kind. */
bool field_get_u64(const struct field *field, const void *record, uint64_t *out);
/** Bytes of a STRING, HEX, BASE64, U8S field; false: not present or not of that kind. Lent. */
bool field_get_bytes(const struct field *field, const void *base, const void *record, const uint8_t **data,
	uint32_t *len);
/** Name of a value, names->unknown, or NULL. */
const char *field_name_of(const struct field_names *names, uint32_t value);
/** Value of a name, case-insensitive. false: no such name. */
bool field_value_of(const struct field_names *names, const char *name, uint32_t *out);

/* ---- JSON: the exporter ---- */

/** A table made ready for writing: nesting and key texts worked out once. Immutable; any thread. */
struct record_writer;

int record_writer_create(struct record_writer **out, const struct record_table *table);
/** The same for the rows with FIELD_BESIDE. *out is NULL where the table has none. */
int record_writer_create_beside(struct record_writer **out, const struct record_table *table);
void record_writer_destroy(struct record_writer *writer);
/** Writes {"...":...} for a blob of blob_len bytes. Offsets are checked against blob_len. Fields that are not
 *  present leave no key; an object whose fields are all absent leaves no key. */
void record_write_json(const struct record_writer *writer, struct buf *out, const void *blob, uint32_t blob_len);

/** Adds the keys for a blob to an object that is being written and has some: ,"email":{...} */
void record_write_json_beside(const struct record_writer *writer, struct buf *out, const void *blob, uint32_t blob_len);

/** The reference page's table of one record table and its children (Markdown). @param is_asked  its keys are rule keywords */
void record_reference(const struct record_table *table, bool is_asked, struct buf *out);
/** Every list of names that is too long for that table, where it is used first. Writes nothing where there is none. */
void record_reference_names(const struct record_table *table, struct buf *out);
/** Checks a table: offsets inside size, bits, ascending names, adjacency, children. For unit tests.
 *  @return NULL, or what is wrong (static text). */
const char *record_table_check(const struct record_table *table);

#endif
