/* Data connections of FTP: which flows are, and what is kept of their bytes. */
#include "proto/ftp_data/ftp_data.h"

#include <limits.h>

enum { TX_ID = 1 }; /* a flow is one transfer */

/* The bytes say nothing: see ftp_data_expects(). */
static enum proto_probe
ftp_data_probe(struct cursor in, bool to_server, bool on_port)
{
	(void)in;
	(void)to_server;
	(void)on_port;
	return PROTO_PROBE_NO;
}

static bool
ftp_data_expects(void *shared, const struct proto_ends *ends)
{
	struct ftp_expected *entry = ftp_expected_find(shared, ends);

	if (entry == NULL || entry->taken || ends->ts_ns > entry->since_ns + FTP_EXPECT_WAIT_S * UINT64_C(1000000000))
		return false;
	entry->taken = true;
	return true;
}

/* There are no frames: what is here is taken, and the rest of the direction comes raw. */
static int
ftp_data_frame(struct cursor in, bool to_server)
{
	size_t left = cursor_left(&in);

	(void)to_server;
	return left < PROTO_PDU_LEN_MAX ? (int)left : PROTO_PDU_LEN_MAX;
}

/* The command may come behind the first bytes: the two connections are not in step. */
static void
read_command(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;
	const struct ftp_expected *entry;

	if (state->word_len > 0 || !state->has_ends)
		return;
	state->ends.client_addr = state->client_addr;
	state->ends.server_addr = state->server_addr;
	entry = ftp_expected_find(ctx->shared, &state->ends);
	if (entry == NULL || !entry->taken)
		return;
	state->word_len = entry->word_len;
	state->name_len = entry->name_len;
	memcpy(state->word, entry->word, sizeof(state->word));
	memcpy(state->name, entry->name, sizeof(state->name));
}

static void
begin(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;

	if (state->begun)
		return;
	state->begun = true;
	state->to_server = ctx->to_server;
	counter_add(&ctx->counters[FTP_DATA_COUNT_TRANSFERS], 1);
	if (ctx->client_addr == NULL || ctx->server_addr == NULL)
		return;
	state->has_ends = true;
	memcpy(state->client_addr, ctx->client_addr, sizeof(state->client_addr));
	memcpy(state->server_addr, ctx->server_addr, sizeof(state->server_addr));
	state->ends.sport = ctx->sport;
	state->ends.dport = ctx->dport;
	read_command(ctx);
}

/* ---- bytes ---- */

static bool
reserve(struct proto_ctx *ctx, uint32_t wanted)
{
	struct ftp_data_state *state = ctx->state;
	uint32_t cap = state->kept_cap == 0 ? FTP_DATA_BLOCK_FIRST : state->kept_cap;
	uint8_t *block;

	if (wanted <= state->kept_cap)
		return true;
	while (cap < wanted)
		cap *= 2;
	block = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, cap);
	if (block == NULL) {
		counter_add(&ctx->counters[FTP_DATA_COUNT_SHED], 1);
		return false;
	}
	if (state->kept_len > 0)
		memcpy(block, state->kept, state->kept_len);
	slab_free(ctx->slab, state->kept, state->kept_cap);
	state->kept = block;
	state->kept_cap = cap;
	return true;
}

/* @return bytes kept */
static uint32_t
keep(struct proto_ctx *ctx, struct cursor in)
{
	const struct ftp_data_config *config = ctx->config;
	struct ftp_data_state *state = ctx->state;
	uint32_t len = (uint32_t)cursor_left(&in), room = (uint32_t)config->body_limit - state->kept_len;

	if (state->closed || len == 0)
		return 0;
	if (len > room) {
		len = room;
		state->closed = true;
		counter_add(&ctx->counters[FTP_DATA_COUNT_CUT], 1);
	}
	if (len == 0 || !reserve(ctx, state->kept_len + len)) {
		state->closed = true;
		return 0;
	}
	memcpy(state->kept + state->kept_len, in.pos, len);
	state->kept_len += len;
	return len;
}

static void
drop_kept(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;

	slab_free(ctx->slab, state->kept, state->kept_cap);
	state->kept = NULL;
	state->kept_len = state->kept_cap = 0;
}

/* ---- records ---- */

static struct ftp_data_record *
put_record(struct proto_ctx *ctx)
{
	const struct ftp_data_state *state = ctx->state;
	struct ftp_data_record *record = record_begin(ctx->record, &ftp_data_table);

	record->size = state->size;
	record->gaps = state->gaps;
	if (state->word_len > 0) {
		record_put_bytes(ctx->record, &record->command, state->word, state->word_len);
		record_present(&record->head, FTP_DATA_HAS_COMMAND);
	}
	if (state->name_len > 0) {
		record_put_bytes(ctx->record, &record->filename, state->name, state->name_len);
		record_present(&record->head, FTP_DATA_HAS_FILENAME);
	}
	return record;
}

static void
put_whole(struct proto_ctx *ctx)
{
	const struct ftp_data_state *state = ctx->state;
	struct ftp_data_record *record = put_record(ctx);

	if (state->kept_len == 0)
		return;
	record_put_bytes(ctx->record, &record->data, state->kept, state->kept_len);
	record_present(&record->head, FTP_DATA_HAS_DATA);
}

/* A file is begun as late as this because its name may come late. What was not kept of it follows. */
static void
begin_file(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;

	state->file = proto_file_begin(ctx, state->to_server, (const uint8_t *)state->name, state->name_len);
	file_bytes(ctx->files, state->file, state->kept, state->kept_len);
}

static void
match(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;
	bool to_server = ctx->to_server;

	if (state->matched)
		return;
	state->matched = true;
	read_command(ctx);
	begin_file(ctx);
	if (ctx->ending)
		file_end(ctx->files, state->file, true);
	if (!proto_is_unread(ctx, state->to_server)) {
		put_whole(ctx);
		ctx->to_server = state->to_server;
		proto_deliver_file(ctx, PROTO_MATCH | PROTO_HOLD, TX_ID, state->file);
		ctx->to_server = to_server;
	}
	if (state->file == NULL)
		drop_kept(ctx);
}

/* The file's end, for rules that wait for it, and a record of it. */
static void
tell_file(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;
	unsigned int wants = ctx->file_wants[state->to_server];

	if (state->file == NULL)
		return;
	file_end(ctx->files, state->file, true);
	ctx->to_server = state->to_server;
	if ((state->file->told & FILE_NEWS_END) == 0 && (wants & FILE_WANT_RULES) != 0) {
		put_whole(ctx);
		proto_deliver_file(ctx, PROTO_FILE | PROTO_MATCH, TX_ID, state->file);
	}
	if ((wants & FILE_WANT_EVENT) != 0) {
		(void)put_record(ctx);
		proto_deliver_file(ctx, PROTO_FILE | PROTO_EMIT, TX_ID, state->file);
	}
	file_destroy(ctx->files, state->file);
	state->file = NULL;
	drop_kept(ctx);
}

static void
take(struct proto_ctx *ctx, struct cursor in)
{
	struct ftp_data_state *state = ctx->state;

	begin(ctx);
	if (ctx->to_server != state->to_server)
		return;
	state->size += cursor_left(&in);
	if (!state->matched) {
		cursor_skip(&in, keep(ctx, in));
		if (state->closed)
			match(ctx);
	}
	file_bytes(ctx->files, state->file, in.pos, cursor_left(&in));
}

static void
ftp_data_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	take(ctx, pdu);
	ctx->raw = true;
}

static uint32_t
ftp_data_raw(struct proto_ctx *ctx, struct cursor in)
{
	take(ctx, in);
	return (uint32_t)cursor_left(&in);
}

/* What is behind lost bytes is not the file's next: the rules see what came before. */
static void
ftp_data_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct ftp_data_state *state = ctx->state;

	if (!state->begun || ctx->to_server != state->to_server)
		return;
	state->gaps = true;
	state->closed = true;
	state->size += missing;
	match(ctx);
	file_gap(ctx->files, state->file, missing);
}

static void
ftp_data_end(struct proto_ctx *ctx)
{
	struct ftp_data_state *state = ctx->state;

	if (!state->begun)
		return;
	match(ctx);
	tell_file(ctx);
	(void)put_record(ctx);
	ctx->to_server = state->to_server;
	proto_deliver(ctx, PROTO_EMIT, TX_ID);
}

extern const struct proto ftp_proto, ftp_data_proto;
const struct proto ftp_data_proto = {
	.app = {
		.name = "ftp-data",
		.record = &ftp_data_table,
		.keywords = ftp_data_keywords,
		.keyword_count = FTP_DATA_KEYWORD_COUNT,
		.buffers = ftp_data_buffers,
		.buffer_count = FTP_DATA_BUFFER_COUNT,
	},
	.transports = PROTO_TCP,
	.pdu_len_min = 1,
	.probe = ftp_data_probe,
	.starts = { { 0, 0 } }, /* never yes; an empty list would be all */
	.start_count = 1,
	.expects = ftp_data_expects,
	.frame = ftp_data_frame,
	.parse = ftp_data_parse,
	.raw = ftp_data_raw,
	.gap = ftp_data_gap,
	.end = ftp_data_end,
	.state_len = sizeof(struct ftp_data_state),
	.shares = &ftp_proto,
	.counters = ftp_data_counters,
	.counter_count = FTP_DATA_COUNTER_COUNT,
	.knobs = &ftp_data_knobs,
	.config_len = sizeof(struct ftp_data_config),
};
