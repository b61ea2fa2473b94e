/*
 * Files that are written and read (MS-SMB2 3.2.4, MS-CIFS 2.2.4): what was opened under which name, how far each transfer came, and
 * the bytes of messages that are longer than what is framed of them.
 */
#include "lib/file/file.h"
#include "proto/smb/smb.h"

enum { KEPT_FIRST = 1024 /* a power of two of the blocks that are kept */ };

/* What goes one way between a file and its user. */
struct transfer {
	struct file *file;
	uint8_t *kept;  /* its first bytes, for rules */
	uint32_t kept_len, kept_cap;
	uint32_t id;    /* of the command that began it */
	uint64_t at;    /* where the next bytes belong */
	bool begun;
	bool closed;    /* no more is kept */
	bool matched;   /* rules saw what is kept */
};

struct smb_open {
	struct smb_open *next;
	struct transfer ways[2]; /* by to_server: written, read */
	uint64_t file;
	uint64_t size;   /* when it was opened */
	uint64_t session_id;
	uint32_t tree_id;
	uint16_t name_len;
	uint8_t version;
	bool has_size;
	uint8_t name[];
};

static size_t
open_len(const struct smb_open *open)
{
	return sizeof(*open) + open->name_len;
}

/* ---- what is told ---- */

static void
drop_kept(struct proto_ctx *ctx, struct transfer *way)
{
	slab_free(ctx->slab, way->kept, way->kept_cap);
	way->kept = NULL;
	way->kept_len = way->kept_cap = 0;
}

static struct smb_record *
put_record(struct proto_ctx *ctx, const struct smb_open *open, const struct transfer *way)
{
	struct smb_record *record = record_begin(ctx->record, &smb_table);

	record->session_id = open->session_id;
	record->tree_id = open->tree_id;
	record_present(&record->head, SMB_HAS_SESSION);
	record_present(&record->head, SMB_HAS_TREE);
	record->version = open->version;
	record->id = way->id;
	return record;
}

/* The command and the name were there in records of their own: what rules see here is the data alone. */
static void
put_data(struct proto_ctx *ctx, const struct smb_open *open, const struct transfer *way)
{
	struct smb_record *record = put_record(ctx, open, way);

	if (way->kept_len == 0)
		return;
	record_put_bytes(ctx->record, &record->data, way->kept, way->kept_len);
	record_present(&record->head, SMB_HAS_DATA);
}

static void
match(struct proto_ctx *ctx, struct smb_open *open, struct transfer *way, bool to_server)
{
	bool before = ctx->to_server;

	if (way->matched)
		return;
	way->matched = way->closed = true;
	if (!proto_is_unread(ctx, to_server) && (way->kept_len > 0 || way->file != NULL)) {
		uint64_t events = ctx->events;

		ctx->events = 0; /* of the command */
		put_data(ctx, open, way);
		ctx->to_server = to_server;
		proto_deliver_file(ctx, PROTO_MATCH, way->id, way->file);
		ctx->to_server = before;
		ctx->events = events;
	}
	if (way->file == NULL)
		drop_kept(ctx, way);
}

static void
tell_file(struct proto_ctx *ctx, struct smb_open *open, struct transfer *way, bool to_server)
{
	unsigned int wants = ctx->file_wants[to_server];
	bool before = ctx->to_server;

	ctx->to_server = to_server;
	if ((way->file->told & FILE_NEWS_END) == 0 && (wants & FILE_WANT_RULES) != 0) {
		put_data(ctx, open, way);
		proto_deliver_file(ctx, PROTO_FILE | PROTO_MATCH, way->id, way->file);
	}
	if ((wants & FILE_WANT_EVENT) != 0) {
		struct smb_record *record = put_record(ctx, open, way);

		record->command = open->version == 1 ? (to_server ? SMB1_WRITE : SMB1_READ) : (to_server ? SMB2_WRITE : SMB2_READ);
		record_present(&record->head, SMB_HAS_COMMAND);
		if (open->name_len > 0) {
			record_put_bytes(ctx->record, &record->filename, open->name, open->name_len);
			record_present(&record->head, SMB_HAS_FILENAME);
		}
		proto_deliver_file(ctx, PROTO_FILE | PROTO_EMIT, way->id, way->file);
	}
	ctx->to_server = before;
}

static void
end_transfer(struct proto_ctx *ctx, struct smb_open *open, bool to_server, bool whole)
{
	struct transfer *way = &open->ways[to_server];

	if (!way->begun)
		return;
	file_end(ctx->files, way->file, whole);
	match(ctx, open, way, to_server);
	if (way->file != NULL)
		tell_file(ctx, open, way, to_server);
	file_destroy(ctx->files, way->file);
	drop_kept(ctx, way);
	*way = (struct transfer){ 0 };
}

/* ---- what is open ---- */

/* Of what is read less than there was when it was opened is not all of it. */
static bool
is_whole(const struct smb_open *open, bool to_server)
{
	return to_server || !open->has_size || open->ways[to_server].at >= open->size;
}

static void
close_file(struct proto_ctx *ctx, struct smb_open **place, bool whole)
{
	struct smb_state *state = ctx->state;
	struct smb_open *open = *place;

	for (unsigned int to_server = 0; to_server < 2; to_server++) {
		struct smb_rest *rest = &state->rests[to_server];

		end_transfer(ctx, open, to_server != 0, whole && rest->open != open && is_whole(open, to_server != 0));
		if (rest->open == open)
			rest->open = NULL;
	}
	*place = open->next;
	state->open_count--;
	slab_free(ctx->slab, open, open_len(open));
}

static struct smb_open **
find_open(struct smb_state *state, uint64_t file)
{
	struct smb_open **place = &state->opens;

	while (*place != NULL && (*place)->file != file)
		place = &(*place)->next;
	return place;
}

/* The newest stands first; where there is no room the one that was opened longest ago is forgotten. */
static struct smb_open *
add_open(struct smb_pdu *pdu, uint64_t file, const uint8_t *name, uint32_t name_len)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;
	struct smb_open **place, *open;

	name_len = name_len < SMB_NAME_LEN_MAX ? name_len : SMB_NAME_LEN_MAX;
	open = ctx->slab == NULL ? NULL : slab_alloc(ctx->slab, sizeof(*open) + name_len);
	if (open == NULL) {
		counter_add(&ctx->counters[SMB_COUNT_FILES_SHED], 1);
		return NULL;
	}
	*open = (struct smb_open){ .file = file, .session_id = pdu->session_id, .tree_id = pdu->tree_id,
		.name_len = (uint16_t)name_len, .version = pdu->version };
	if (name_len > 0)
		memcpy(open->name, name, name_len);
	place = find_open(state, file); /* the name was in the record, which is now free for others */
	if (*place != NULL)
		close_file(ctx, place, true);
	if (state->open_count == SMB_FILES_MAX) {
		for (place = &state->opens; (*place)->next != NULL;)
			place = &(*place)->next;
		close_file(ctx, place, false);
		counter_add(&ctx->counters[SMB_COUNT_FILES_FORGOTTEN], 1);
	}
	open->next = state->opens;
	state->opens = open;
	state->open_count++;
	return open;
}

/* ---- bytes ---- */

static bool
reserve(struct proto_ctx *ctx, struct transfer *way, uint32_t wanted)
{
	uint32_t cap = way->kept_cap == 0 ? KEPT_FIRST : way->kept_cap;
	uint8_t *block;

	if (wanted <= way->kept_cap)
		return true;
	while (cap < wanted)
		cap *= 2;
	block = slab_alloc(ctx->slab, cap);
	if (block == NULL) {
		counter_add(&ctx->counters[SMB_COUNT_FILES_SHED], 1);
		return false;
	}
	if (way->kept_len > 0)
		memcpy(block, way->kept, way->kept_len);
	slab_free(ctx->slab, way->kept, way->kept_cap);
	way->kept = block;
	way->kept_cap = cap;
	return true;
}

static void
take_bytes(struct proto_ctx *ctx, struct smb_open *open, struct cursor in, bool to_server)
{
	const struct smb_config *config = ctx->config;
	struct transfer *way = &open->ways[to_server];
	uint32_t room = (uint32_t)config->body_limit - way->kept_len, len = (uint32_t)cursor_left(&in);

	way->at += len;
	file_bytes(ctx->files, way->file, in.pos, len);
	if (way->closed || len == 0)
		return;
	if (len >= room) {
		len = room;
		way->closed = true;
		counter_add(&ctx->counters[SMB_COUNT_BODIES_CUT], cursor_left(&in) > room);
	}
	if (len > 0 && !reserve(ctx, way, way->kept_len + len)) {
		way->closed = true;
		len = 0;
	}
	if (len > 0)
		memcpy(way->kept + way->kept_len, in.pos, len);
	way->kept_len += len;
	if (way->closed)
		match(ctx, open, way, to_server);
}

/* Its bytes that are lost, or that nobody asked for. */
static void
miss_bytes(struct proto_ctx *ctx, struct smb_open *open, uint64_t len, bool to_server)
{
	struct transfer *way = &open->ways[to_server];

	way->at += len;
	match(ctx, open, way, to_server);
	file_gap(ctx->files, way->file, len);
}

/* All that there was when it was opened was read: its user may keep it open for long. */
static void
settle(struct proto_ctx *ctx, struct smb_open *open, bool to_server)
{
	const struct transfer *way = &open->ways[to_server];

	if (!to_server && way->begun && open->has_size && open->size > 0 && way->at >= open->size)
		end_transfer(ctx, open, to_server, true);
}

/* A transfer begins at a file's first byte: pieces from its middle are none. */
static bool
begin_transfer(struct smb_pdu *pdu, struct smb_open *open, const struct smb_io *io, bool to_server)
{
	struct transfer *way = &open->ways[to_server];
	struct proto_ctx *ctx = pdu->ctx;

	if (way->begun)
		return true;
	if (io->offset != 0 || (ctx->file_wants[to_server] == 0 && proto_is_unread(ctx, to_server)))
		return false;
	*way = (struct transfer){ .begun = true, .id = pdu->asked.id, .closed = proto_is_unread(ctx, to_server) };
	way->file = proto_file_begin(ctx, to_server, open->name, open->name_len);
	if (way->file != NULL)
		way->file->tx_id = way->id - 1;
	return true;
}

/* Of the data what is in the message's front; the rest comes raw. */
static void
take_data(struct smb_pdu *pdu, struct smb_open *open, const struct smb_io *io, bool to_server)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct smb_state *state = ctx->state;
	struct smb_rest *rest = &state->rests[to_server];
	struct transfer *way = &open->ways[to_server];
	struct cursor data = pdu->whole;
	uint64_t len = io->len, old, have;

	if (len == 0 || !begin_transfer(pdu, open, io, to_server))
		return;
	if (io->offset > way->at)
		miss_bytes(ctx, open, io->offset - way->at, to_server);
	old = way->at - io->offset;
	if (old > 0)
		proto_event(ctx, SMB_EVENT_FILE_OVERLAP);
	if (old >= len)
		return;
	cursor_skip(&data, io->data_off);
	have = data.short_read ? 0 : cursor_left(&data) < len ? cursor_left(&data) : len;
	if (have > old)
		take_bytes(ctx, open, cursor_of(data.pos + old, (size_t)(have - old)), to_server);
	if (have == len || ctx->skip_len == 0 || data.short_read) {
		settle(ctx, open, to_server);
		return;
	}
	rest->open = open;
	rest->old_len = (uint32_t)(old > have ? old - have : 0);
	rest->left = len - have < ctx->skip_len ? (uint32_t)(len - have) : ctx->skip_len;
	rest->after = ctx->skip_len - rest->left;
	ctx->skip_len = 0;
	ctx->raw = true;
}

/* ---- commands ---- */

static void
opened(struct smb_pdu *pdu, const struct smb_io *io)
{
	const struct smb_record *record = pdu->record;
	struct smb_state *state = pdu->ctx->state;
	const uint8_t *base = pdu->ctx->record->base;
	struct smb_open *open;

	state->related = io->file;
	if (smb_tree_is_pipe(state, pdu->tree_id) || record->filename.count == 0)
		return;
	open = add_open(pdu, io->file, base + record->filename.off, record->filename.count);
	if (open == NULL)
		return;
	open->has_size = true;
	open->size = io->offset;
}

/* Data of a pipe is not a file's. */
static void
transferred(struct smb_pdu *pdu, const struct smb_io *io, bool to_server)
{
	struct smb_state *state = pdu->ctx->state;
	uint64_t file = to_server ? io->file : pdu->asked.file;
	struct smb_io here = *io;
	struct smb_open *open;

	if (pdu->asked.is_rpc)
		return;
	if (file == SMB_FILE_RELATED)
		file = state->related;
	if (!to_server)
		here.offset = pdu->asked.offset;
	open = *find_open(state, file);
	if (open == NULL && here.offset == 0 && here.len > 0 && !smb_tree_is_pipe(state, pdu->tree_id))
		open = add_open(pdu, file, NULL, 0);
	if (open != NULL)
		take_data(pdu, open, &here, to_server);
}

static void
closed(struct smb_pdu *pdu)
{
	struct smb_state *state = pdu->ctx->state;
	uint64_t file = pdu->asked.file == SMB_FILE_RELATED ? state->related : pdu->asked.file;
	struct smb_open **place = find_open(state, file);

	smb_call_close(state, file);
	if (*place != NULL)
		close_file(pdu->ctx, place, true);
}

bool
smb_file_name(struct smb_pdu *pdu, uint64_t file, struct record_ref *ref)
{
	const struct smb_open *open = *find_open(pdu->ctx->state, file == SMB_FILE_RELATED ? pdu->before : file);
	const struct smb_record *create = file == SMB_FILE_RELATED ? smb_request_find(pdu, smb_opening(pdu->before), SMB2_CREATE) : NULL;

	if (create != NULL) {
		record_put_bytes(pdu->ctx->record, ref, (const uint8_t *)create + create->filename.off, create->filename.count);
		return create->filename.count > 0;
	}
	if (open == NULL || open->name_len == 0)
		return false;
	record_put_bytes(pdu->ctx->record, ref, open->name, open->name_len);
	return true;
}

void
smb_file_command(struct smb_pdu *pdu)
{
	const struct smb_record *record = pdu->record;

	pdu->asked = (struct smb_asked){ .file = record->file, .offset = record->offset, .id = record->id,
		.is_rpc = record_is_present(record, SMB_HAS_RPC) };
	for (unsigned int i = 0; i < pdu->io_count; i++) {
		const struct smb_io *io = &pdu->ios[i];

		if (io->kind == SMB_IO_OPENED)
			opened(pdu, io);
		else if (io->kind == SMB_IO_CLOSED)
			closed(pdu);
		else
			transferred(pdu, io, io->kind == SMB_IO_WRITTEN);
	}
}

/* ---- what is longer than a PDU ---- */

uint32_t
smb_file_raw(struct proto_ctx *ctx, struct cursor in)
{
	struct smb_state *state = ctx->state;
	struct smb_rest *rest = &state->rests[ctx->to_server];
	size_t all = cursor_left(&in);
	uint32_t len = rest->left < all ? rest->left : (uint32_t)all, old = rest->old_len < len ? rest->old_len : len;
	struct cursor data = cursor_sub(&in, len);

	rest->left -= len;
	rest->old_len -= old;
	cursor_skip(&data, old);
	if (rest->open != NULL)
		take_bytes(ctx, rest->open, data, ctx->to_server);
	if (rest->left == 0 && rest->open != NULL) {
		struct smb_open *open = rest->open;

		rest->open = NULL;
		settle(ctx, open, ctx->to_server);
	}
	len = rest->after < cursor_left(&in) ? rest->after : (uint32_t)cursor_left(&in);
	cursor_skip(&in, rest->left == 0 ? len : 0);
	rest->after -= rest->left == 0 ? len : 0;
	ctx->raw = rest->left > 0 || rest->after > 0;
	return (uint32_t)(all - cursor_left(&in));
}

uint32_t
smb_file_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct smb_state *state = ctx->state;
	struct smb_rest *rest = &state->rests[ctx->to_server];
	uint32_t lost = missing < rest->left ? missing : rest->left;

	if (rest->open != NULL && lost > 0)
		miss_bytes(ctx, rest->open, lost, ctx->to_server);
	rest->left -= lost;
	missing -= lost;
	lost = missing < rest->after ? missing : rest->after;
	rest->after -= lost;
	if (rest->left == 0)
		rest->open = NULL;
	ctx->raw = rest->left > 0 || rest->after > 0;
	return missing - lost;
}

void
smb_file_end(struct proto_ctx *ctx)
{
	struct smb_state *state = ctx->state;

	while (state->opens != NULL)
		close_file(ctx, &state->opens, false);
}
