/* What tests of protocols note of a delivery with a file. */
#ifndef MR_PROTO_TEST_FILE_H
#define MR_PROTO_TEST_FILE_H

#include "test/test.h"

#include "lib/base/buf.h"
#include "proto/proto.h"

/** Adds a line to told: "match", "end" or "event", and the file as it is then. Nothing where there is no file. */
static inline void
tell_file(struct buf *told, const struct proto_ctx *ctx, unsigned int flags)
{
	_Alignas(8) uint8_t room[FILE_RECORD_LEN_MAX];
	struct record_writer *writer;
	struct record_builder builder;

	if (ctx->file == NULL)
		return;
	record_builder_init(&builder, room, sizeof(room));
	file_record_fill(ctx->file, &builder);
	assert_int_equal(record_writer_create(&writer, &fileinfo_table), 0);
	buf_puts(told, (flags & PROTO_FILE) == 0 ? "match " : (flags & PROTO_MATCH) != 0 ? "end " : "event ");
	record_write_json(writer, told, builder.base, builder.len);
	buf_puts(told, "\n");
	record_writer_destroy(writer);
	if ((flags & PROTO_MATCH) != 0)
		(void)file_take_news(ctx->file);
}

#endif
