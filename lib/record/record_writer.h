/* Inside lib/record: a table made ready for writing (record_writer.c), and what writes its values (record_json.c). */
#ifndef MR_RECORD_RECORD_WRITER_H
#define MR_RECORD_RECORD_WRITER_H

#include "lib/record/record.h"

enum {
	OBJECT_MAX = 64,    /* nested objects of one table */
	KEY_TEXT_MAX = 48,
	NAME_INDEX_MAX = 1024, /* values above are looked for */
	GROUP_ALWAYS = 64,  /* group.bit: its rows are present whatever head.present says */
};

struct object {
	const char *key; /* into the row's path; not terminated */
	uint16_t key_len;
	uint16_t path_len; /* of the dotted path up to and with this object */
	uint8_t parent;    /* index; the root is its own */
	uint8_t depth;
};

/* A blob being read: nothing is taken from beyond it. */
struct blob {
	const uint8_t *base;
	uint32_t len;
};

enum { NAME_TEXT_MAX = 31 };

/* A name with its quotes, in a block that is copied whole. */
struct name_text {
	uint8_t len; /* 0: it is longer than that */
	char text[NAME_TEXT_MAX];
};

struct row;

/* Writes the value that stands at `at`, which is inside the blob. */
typedef void (*row_write)(struct buf *out, const struct blob *blob, const struct row *row, const void *at);

struct row {
	row_write write;
	const struct field *field;
	struct record_writer **children; /* FIELD_LIST: by shape */
	struct name_text *names;         /* field->names: as they stand in JSON */
	uint16_t *name_index;            /* [name_index_len] by value: which of the names, or names->count */
	uint16_t name_index_len;
	uint16_t child_count;
	uint16_t offset;
	uint8_t object;
	uint8_t key_len;
	char key[KEY_TEXT_MAX]; /* ,"key": */
};

/* Rows that follow one another and have one presence bit. */
struct row_group {
	uint8_t bit;
	uint16_t end; /* behind its last row; it begins where the group before ends */
};

struct record_writer {
	const struct record_table *table;
	struct row *rows;
	struct row_group *groups;
	uint16_t row_count;
	uint16_t group_count;
	uint8_t object_count;
	struct object objects[OBJECT_MAX];
};

/* How the values of a field are written. */
row_write record_write_of(const struct field *field);

#endif
