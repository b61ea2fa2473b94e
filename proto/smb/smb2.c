/* Bodies of SMB 2 and 3 (MS-SMB2 2.2). Each begins with the size of its fixed part, which tells it from an error. */
#include "proto/smb/smb.h"

#include <stdio.h>

enum { FSCTL_PIPE_TRANSCEIVE = 0x11c017, DIALECT_MULTIPLE = 0x2ff };

static void
put_dialect_name(struct smb_pdu *pdu, uint16_t dialect)
{
	struct smb_text *text = record_append(pdu->ctx->record, &pdu->record->dialects, smb_text_tables, 0);
	char number[24];
	const char *name = number;

	snprintf(number, sizeof(number), "%s%u", smb_dialects.unknown, dialect);
	for (unsigned int i = 0; i < smb_dialects.count; i++)
		if (dialect >= SMB_DIALECT_COUNT && smb_dialects.rows[i].value == dialect)
			name = smb_dialects.rows[i].name;
	if (text != NULL)
		record_put_bytes(pdu->ctx->record, &text->text, name, (uint32_t)strlen(name));
}

static void
put_guid(struct smb_pdu *pdu, struct cursor *body, struct record_ref *ref, enum smb_bit bit)
{
	struct cursor guid = cursor_sub(body, SMB_UUID_LEN);

	if (guid.short_read)
		return;
	smb_put_guid(pdu, ref, guid);
	record_present(&pdu->record->head, bit);
}

static void
negotiate_request(struct smb_pdu *pdu, struct cursor *body)
{
	uint16_t count = cursor_le16(body);

	cursor_skip(body, 8);
	put_guid(pdu, body, &pdu->record->client_guid, SMB_HAS_CLIENT_GUID);
	cursor_skip(body, 8);
	for (unsigned int i = 0; i < count && i < SMB_DIALECTS_MAX; i++) {
		uint16_t dialect = cursor_le16(body);

		if (body->short_read)
			return;
		put_dialect_name(pdu, dialect);
		record_present(&pdu->record->head, SMB_HAS_DIALECTS);
	}
}

static void
negotiate_response(struct smb_pdu *pdu, struct cursor *body)
{
	struct smb_state *state = pdu->ctx->state;

	cursor_skip(body, 2);
	state->dialect = cursor_le16(body);
	pdu->record->dialect = state->dialect;
	record_present(&pdu->record->head, SMB_HAS_DIALECT);
	cursor_skip(body, 2);
	put_guid(pdu, body, &pdu->record->server_guid, SMB_HAS_SERVER_GUID);
	cursor_skip(body, 8);
	pdu->record->max_read_size = cursor_le32(body);
	pdu->record->max_write_size = cursor_le32(body);
	if (!body->short_read)
		record_present(&pdu->record->head, SMB_HAS_MAX_SIZES);
}

/* Of one that goes on behind what was framed its front. */
static void
read_blob(struct smb_pdu *pdu, struct cursor *body)
{
	uint16_t off = cursor_le16(body), len = cursor_le16(body);
	struct cursor blob = pdu->whole;

	cursor_skip(&blob, off);
	if (!pdu->cut || cursor_left(&blob) > len)
		blob = cursor_sub(&blob, len);
	if (!body->short_read && !blob.short_read)
		smb_security_read(pdu, blob);
}

static void
setup_request(struct smb_pdu *pdu, struct cursor *body)
{
	cursor_skip(body, 10);
	read_blob(pdu, body);
}

static void
setup_response(struct smb_pdu *pdu, struct cursor *body)
{
	cursor_skip(body, 2);
	read_blob(pdu, body);
}

static void
tree_request(struct smb_pdu *pdu, struct cursor *body)
{
	uint16_t off, len;
	struct cursor path;

	cursor_skip(body, 2);
	off = cursor_le16(body);
	len = cursor_le16(body);
	path = smb_at(pdu, off, len);
	if (path.short_read)
		body->short_read = true;
	else
		smb_put_share(pdu, path, true);
}

static void
tree_response(struct smb_pdu *pdu, struct cursor *body)
{
	pdu->record->share_type = cursor_u8(body);
	record_present(&pdu->record->head, SMB_HAS_SHARE_TYPE);
}

static void
create_request(struct smb_pdu *pdu, struct cursor *body)
{
	uint32_t options;
	uint16_t off, len;
	struct cursor name;

	pdu->before = smb_opening(pdu->message_id);
	cursor_skip(body, 22);
	pdu->record->access = cursor_le32(body);
	cursor_skip(body, 8);
	pdu->record->disposition = cursor_le32(body);
	options = cursor_le32(body);
	off = cursor_le16(body);
	len = cursor_le16(body);
	if (body->short_read)
		return;
	record_present(&pdu->record->head, SMB_HAS_CREATE);
	name = smb_at(pdu, off, len);
	if (name.short_read) {
		body->short_read = true;
		return;
	}
	smb_put_opened(pdu, name, true, options);
}

/* Both halves of a file's identifier as one number; all ones are the file of the command before (3.3.5.2.7.2). */
static uint64_t
take_file(struct smb_pdu *pdu, struct cursor *body)
{
	uint64_t persistent = cursor_le64(body), transient = cursor_le64(body);

	if (persistent == UINT64_MAX)
		return SMB_FILE_RELATED;
	pdu->before = persistent ^ (transient << 32 | transient >> 32);
	return pdu->before;
}

static void
put_fuid(struct smb_pdu *pdu, struct cursor guid)
{
	smb_put_guid(pdu, &pdu->record->fuid, guid);
	record_present(&pdu->record->head, SMB_HAS_FUID);
}

/* What was bound in the message that opens the pipe belongs to what the server says it is. */
static void
name_contexts(struct smb_pdu *pdu, uint64_t file)
{
	struct smb_state *state = pdu->ctx->state;

	for (unsigned int i = 0; i < SMB_CONTEXTS_MAX; i++)
		if (state->contexts[i].used && state->contexts[i].file == smb_opening(pdu->message_id))
			state->contexts[i].file = file;
	smb_call_rename(state, smb_opening(pdu->message_id), file);
}

static void
create_response(struct smb_pdu *pdu, struct cursor *body)
{
	struct smb_io io = { .kind = SMB_IO_OPENED };
	struct cursor guid;

	cursor_skip(body, 6);
	smb_take_times(pdu, body);
	cursor_skip(body, 8);
	io.offset = cursor_le64(body);
	cursor_skip(body, 8);
	guid = *body;
	io.file = take_file(pdu, body);
	if (body->short_read)
		return;
	pdu->record->size = io.offset;
	record_present(&pdu->record->head, SMB_HAS_FILE_INFO);
	put_fuid(pdu, guid);
	name_contexts(pdu, io.file);
	smb_io_add(pdu, io);
}

static void
close_request(struct smb_pdu *pdu, struct cursor *body)
{
	cursor_skip(body, 6);
	pdu->record->file = take_file(pdu, body);
}

static void
close_response(struct smb_pdu *pdu, struct cursor *body)
{
	(void)body;
	smb_io_add(pdu, (struct smb_io){ .kind = SMB_IO_CLOSED });
}

static void
write_request(struct smb_pdu *pdu, struct cursor *body)
{
	struct smb_io io = { .kind = SMB_IO_WRITTEN, .data_off = cursor_le16(body) };

	io.len = cursor_le32(body);
	io.offset = cursor_le64(body);
	io.file = take_file(pdu, body);
	if (body->short_read)
		return;
	(void)smb_dcerpc_read(pdu, io.data_off, io.len, pdu->before);
	smb_io_add(pdu, io);
}

static void
read_request(struct smb_pdu *pdu, struct cursor *body)
{
	cursor_skip(body, 6);
	pdu->record->offset = cursor_le64(body);
	pdu->record->file = take_file(pdu, body);
}

static void
read_response(struct smb_pdu *pdu, struct cursor *body)
{
	struct smb_io io = { .kind = SMB_IO_READ, .data_off = cursor_u8(body) };

	cursor_skip(body, 1);
	io.len = cursor_le32(body);
	if (body->short_read)
		return;
	(void)smb_dcerpc_read(pdu, io.data_off, io.len, pdu->asked_file == SMB_FILE_RELATED ? pdu->before : pdu->asked_file);
	smb_io_add(pdu, io);
}

static void
ioctl_both(struct smb_pdu *pdu, struct cursor *body)
{
	uint32_t function, off, len;

	cursor_skip(body, 2);
	function = cursor_le32(body);
	(void)take_file(pdu, body);
	off = cursor_le32(body);
	len = cursor_le32(body);
	if (pdu->response) {
		off = cursor_le32(body);
		len = cursor_le32(body);
	}
	if (body->short_read)
		return;
	pdu->record->function = function;
	record_present(&pdu->record->head, SMB_HAS_FUNCTION);
	if (function == FSCTL_PIPE_TRANSCEIVE)
		(void)smb_dcerpc_read(pdu, off, len, pdu->before);
}

/* MS-SMB2 2.2.39: what renames or deletes a file (MS-FSCC 2.4.42, 2.4.11). */
static void
set_info_request(struct smb_pdu *pdu, struct cursor *body)
{
	enum { TYPE_FILE = 1, CLASS_RENAME = 10, CLASS_DISPOSITION = 13 };
	uint8_t type = cursor_u8(body), class = cursor_u8(body);
	uint32_t len = cursor_le32(body);
	uint16_t off = cursor_le16(body);
	struct cursor data = smb_at(pdu, off, len);
	struct cursor guid;
	uint64_t file;
	bool named;

	cursor_skip(body, 6);
	guid = *body;
	file = take_file(pdu, body);
	if (body->short_read || data.short_read || type != TYPE_FILE || (class != CLASS_DISPOSITION && class != CLASS_RENAME))
		return;
	if (file != SMB_FILE_RELATED)
		put_fuid(pdu, guid);
	named = smb_file_name(pdu, file, &pdu->record->filename);
	if (named)
		record_present(&pdu->record->head, SMB_HAS_FILENAME);
	if (class == CLASS_DISPOSITION && len > 0) {
		pdu->record->disposed = cursor_u8(&data) != 0;
		record_present(&pdu->record->head, SMB_HAS_DISPOSED);
	} else if (class == CLASS_RENAME) {
		if (named)
			record_present(&pdu->record->head, SMB_HAS_RENAME_FROM);
		cursor_skip(&data, 16);
		data = cursor_sub(&data, cursor_le32(&data));
		if (data.short_read)
			return;
		smb_put_text(pdu, &pdu->record->renamed, data, true);
		record_present(&pdu->record->head, SMB_HAS_RENAME_TO);
	}
}

static const struct {
	uint8_t command;
	uint16_t sizes[2]; /* by response */
	void (*read[2])(struct smb_pdu *pdu, struct cursor *body);
} bodies[] = {
	{ 0, { 36, 65 }, { negotiate_request, negotiate_response } },
	{ 1, { 25, 9 }, { setup_request, setup_response } },
	{ 3, { 9, 16 }, { tree_request, tree_response } },
	{ 5, { 57, 89 }, { create_request, create_response } },
	{ 6, { 24, 60 }, { close_request, close_response } },
	{ 8, { 49, 17 }, { read_request, read_response } },
	{ 9, { 49, 17 }, { write_request, NULL } },
	{ 11, { 57, 49 }, { ioctl_both, ioctl_both } },
	{ 17, { 33, 2 }, { set_info_request, NULL } },
};

void
smb2_body_read(struct smb_pdu *pdu, struct cursor body)
{
	const struct smb_state *state = pdu->ctx->state;
	uint16_t size = cursor_le16(&body);

	if (state->dialect >= SMB_DIALECT_COUNT && state->dialect != DIALECT_MULTIPLE) {
		pdu->record->dialect = state->dialect;
		record_present(&pdu->record->head, SMB_HAS_DIALECT);
	}
	for (unsigned int i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (bodies[i].command + SMB2_BASE == pdu->command && bodies[i].sizes[pdu->response] == size &&
			bodies[i].read[pdu->response] != NULL)
			bodies[i].read[pdu->response](pdu, &body);
	if (body.short_read && !pdu->cut)
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_DATA);
}
