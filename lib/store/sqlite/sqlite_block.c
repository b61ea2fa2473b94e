/*
 * Lines are kept as they came: a batch's compressed body is one blob, and a record says where in it its line is. So a
 * line costs on disk what it cost on the wire, and taking it in costs nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "lib/base/log.h"
#include "lib/store/sqlite/sqlite_private.h"

enum {
	PACK_LEVEL = 1,
	SQL_TEXT_MAX = 160,
};

int
sqlite_block_add(struct sqlite_store *store, const void *body, size_t body_len, size_t lines_len)
{
	sqlite3_stmt *add = store->part_statements[PART_BLOCK_ADD];
	int code;

	sqlite3_bind_int64(add, 1, store->next_block);
	sqlite3_bind_int64(add, 2, (sqlite3_int64)lines_len);
	sqlite3_bind_blob64(add, 3, body, body_len, SQLITE_STATIC);
	code = sqlite3_step(add);
	sqlite3_reset(add);
	if (code != SQLITE_DONE)
		return sqlite_failed(store, "block");
	store->next_block++;
	store->partition.bytes += (int64_t)body_len;
	return 0;
}

int
sqlite_block_pack(struct sqlite_store *store, const char *lines, size_t lines_len)
{
	size_t cap = ZSTD_compressBound(lines_len);
	void *body = malloc(cap);
	size_t len;
	int err;

	if (body == NULL)
		return -ENOMEM;
	len = ZSTD_compressCCtx(store->packer, body, cap, lines, lines_len, PACK_LEVEL);
	err = ZSTD_isError(len) ? -ENOMEM : sqlite_block_add(store, body, len, lines_len);
	free(body);
	return err;
}

static int
unpack(struct sqlite_store *store, sqlite3_stmt *row, struct sqlite_block *block)
{
	size_t lines_len = (size_t)sqlite3_column_int64(row, 0);
	const void *body = sqlite3_column_blob(row, 1);
	size_t body_len = (size_t)sqlite3_column_bytes(row, 1);

	if (lines_len == 0 || lines_len > BATCH_LINES_MAX || body == NULL)
		return -EBADMSG;
	if (lines_len > block->cap) {
		char *grown = realloc(block->lines, lines_len);

		if (grown == NULL)
			return -ENOMEM;
		block->lines = grown;
		block->cap = lines_len;
	}
	block->len = ZSTD_decompressDCtx(store->unpacker, block->lines, lines_len, body, body_len);
	return block->len == lines_len ? 0 : -EBADMSG;
}

static int
read_block(struct sqlite_store *store, int64_t partition, int64_t id, struct sqlite_block *block)
{
	char text[SQL_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
	sqlite3_stmt *statement = NULL;
	int err;

	sqlite_put_numbered(&sql, "SELECT lines_len, body FROM blocks_$ WHERE id = ?1", partition);
	text[sql.len] = '\0';
	block->id = 0;
	if (sqlite3_prepare_v2(store->db, text, -1, &statement, NULL) != SQLITE_OK)
		return sqlite_failed(store, "block");
	sqlite3_bind_int64(statement, 1, id);
	err = sqlite3_step(statement) == SQLITE_ROW ? unpack(store, statement, block) : -EBADMSG;
	sqlite3_finalize(statement);
	if (err == -EBADMSG)
		log_error("store", "block %lld cannot be read", (long long)id);
	if (err == 0)
		block->id = id;
	return err;
}

int
sqlite_block_line(struct sqlite_store *store, int64_t partition, const struct sqlite_place *place, const char **line)
{
	struct sqlite_block *block = &store->blocks[0];

	for (unsigned int i = 0; i < SQLITE_BLOCKS_CACHED && block->id != place->block; i++)
		if (store->blocks[i].id == place->block || store->blocks[i].used < block->used)
			block = &store->blocks[i];
	if (block->id != place->block) {
		int err = read_block(store, partition, place->block, block);

		if (err != 0)
			return err;
	}
	block->used = ++store->block_turn;
	if (place->at > block->len || place->len > block->len - place->at)
		return -EBADMSG;
	*line = block->lines + place->at;
	return 0;
}

void
sqlite_blocks_free(struct sqlite_store *store)
{
	for (unsigned int i = 0; i < SQLITE_BLOCKS_CACHED; i++)
		free(store->blocks[i].lines);
	ZSTD_freeCCtx(store->packer);
	ZSTD_freeDCtx(store->unpacker);
}

/* record_line(partition, id): the line of a record, for reports that show a sample. */
static void
record_line(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct sqlite_store *store = sqlite3_user_data(context);
	int64_t partition = sqlite3_value_int64(values[0]);
	char text[SQL_TEXT_MAX];
	struct buf sql = { .data = text, .cap = sizeof(text) - 1 };
	struct sqlite_place place = { 0 };
	sqlite3_stmt *statement = NULL;
	const char *line;

	sqlite_put_numbered(&sql, "SELECT block, at, len FROM records_$ WHERE id = ?1", partition);
	text[sql.len] = '\0';
	if (sqlite3_prepare_v2(store->db, text, -1, &statement, NULL) != SQLITE_OK)
		return;
	sqlite3_bind_int64(statement, 1, sqlite3_value_int64(values[1]));
	if (sqlite3_step(statement) == SQLITE_ROW)
		place = (struct sqlite_place){ .block = sqlite3_column_int64(statement, 0),
			.at = (uint64_t)sqlite3_column_int64(statement, 1), .len = (uint64_t)sqlite3_column_int64(statement, 2) };
	sqlite3_finalize(statement);
	if (place.block != 0 && sqlite_block_line(store, partition, &place, &line) == 0)
		sqlite3_result_text(context, line, (int)place.len, SQLITE_TRANSIENT);
}

int
sqlite_block_functions(struct sqlite_store *store)
{
	if (sqlite3_create_function_v2(store->db, "record_line", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, store, record_line,
	    NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_failed(store, "record_line");
	return 0;
}
