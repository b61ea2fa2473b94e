/* Bodies of SMB 1 (MS-CIFS 2.2.4, MS-SMB 2.2.4): words, then bytes. */
#include "proto/smb/smb.h"

enum {
	WORDS_EXTENDED = 12, WORDS_PLAIN = 13, WORDS_NEGOTIATED = 17,
	ANDX_MAX = 4, /* commands chained to one another */
};
static const uint32_t CAP_EXTENDED_SECURITY = 0x80000000;

struct parts {
	struct cursor words, bytes;
	uint32_t bytes_off; /* from the header: texts of 16 bits are aligned to it */
	uint8_t word_count;
};

static void
align(const struct smb_pdu *pdu, const struct parts *parts, struct cursor *bytes)
{
	size_t at = parts->bytes_off + cursor_left(&parts->bytes) - cursor_left(bytes);

	if (pdu->unicode && at % 2 != 0)
		cursor_skip(bytes, 1);
}

/* A text that ends with a zero is passed over. */
static struct cursor
take_text(struct cursor *bytes, bool unicode)
{
	struct cursor text = *bytes;

	while (cursor_left(bytes) > 0)
		if ((unicode ? cursor_le16(bytes) : cursor_u8(bytes)) == 0)
			break;
	return text;
}

/* Which one stands at the front of text, with its zero. */
static uint8_t
dialect_of(struct cursor text)
{
	for (unsigned int i = 0; i < smb_dialects.count && smb_dialects.rows[i].value < SMB_DIALECT_COUNT; i++) {
		size_t len = strlen(smb_dialects.rows[i].name) + 1;

		if (cursor_left(&text) >= len && memcmp(text.pos, smb_dialects.rows[i].name, len) == 0)
			return (uint8_t)smb_dialects.rows[i].value;
	}
	return SMB_DIALECT_NONE;
}

static void
negotiate_request(struct smb_pdu *pdu, struct parts *parts)
{
	struct smb_state *state = pdu->ctx->state;

	memset(state->offered, 0, sizeof(state->offered));
	for (unsigned int i = 0; i < SMB_DIALECTS_MAX && cursor_left(&parts->bytes) > 0; i++) {
		struct smb_text *text;

		cursor_skip(&parts->bytes, 1);
		state->offered[i] = dialect_of(parts->bytes);
		text = record_append(pdu->ctx->record, &pdu->record->dialects, smb_text_tables, 0);
		if (text == NULL)
			return;
		smb_put_text(pdu, &text->text, take_text(&parts->bytes, false), false);
		record_present(&pdu->record->head, SMB_HAS_DIALECTS);
	}
}

/* MS-CIFS 2.2.4.52.2: which of those that the client offered. */
static void
negotiate_response(struct smb_pdu *pdu, struct parts *parts)
{
	struct smb_state *state = pdu->ctx->state;
	uint16_t chosen = cursor_le16(&parts->words);
	uint32_t capabilities;

	state->dialect = chosen < SMB_DIALECTS_MAX ? state->offered[chosen] : SMB_DIALECT_NONE;
	if (parts->word_count < WORDS_NEGOTIATED)
		return;
	cursor_skip(&parts->words, 17);
	capabilities = cursor_le32(&parts->words);
	if ((capabilities & CAP_EXTENDED_SECURITY) == 0 || cursor_left(&parts->bytes) < SMB_UUID_LEN)
		return;
	smb_put_guid(pdu, &pdu->record->server_guid, parts->bytes); /* MS-SMB 2.2.4.5.2.1 */
	record_present(&pdu->record->head, SMB_HAS_SERVER_GUID);
}

/* Names of the systems, behind what else is in the bytes (MS-CIFS 2.2.4.53). */
static void
put_native(struct smb_pdu *pdu, const struct parts *parts, struct cursor *bytes)
{
	struct smb_record *record = pdu->record;

	align(pdu, parts, bytes);
	if (cursor_left(bytes) == 0)
		return;
	smb_put_text(pdu, &record->native_os[pdu->response], take_text(bytes, pdu->unicode), pdu->unicode);
	smb_put_text(pdu, &record->native_lm[pdu->response], take_text(bytes, pdu->unicode), pdu->unicode);
	record_present(&record->head, pdu->response ? SMB_HAS_NATIVE_ANSWERED : SMB_HAS_NATIVE_ASKED);
}

static void
setup_request(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor bytes = parts->bytes;
	uint16_t lm_len, nt_len;

	cursor_skip(&parts->words, 14);
	lm_len = cursor_le16(&parts->words);
	if (parts->word_count == WORDS_EXTENDED) {
		smb_security_read(pdu, cursor_sub(&bytes, lm_len < cursor_left(&bytes) ? lm_len : cursor_left(&bytes)));
		put_native(pdu, parts, &bytes);
		return;
	}
	if (parts->word_count != WORDS_PLAIN)
		return;
	nt_len = cursor_le16(&parts->words);
	cursor_skip(&bytes, (size_t)lm_len + nt_len);
	align(pdu, parts, &bytes);
	if (bytes.short_read) {
		parts->bytes.short_read = true;
		return;
	}
	smb_put_text(pdu, &pdu->record->user, take_text(&bytes, pdu->unicode), pdu->unicode);
	smb_put_text(pdu, &pdu->record->domain, take_text(&bytes, pdu->unicode), pdu->unicode);
	record_present(&pdu->record->head, SMB_HAS_USER);
	put_native(pdu, parts, &bytes);
}

/* MS-SMB 2.2.4.6.2, MS-CIFS 2.2.4.53.2: with extended security a blob stands before the texts. */
static void
setup_response(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor bytes = parts->bytes;

	cursor_skip(&parts->words, 6);
	if (cursor_left(&parts->words) >= 2)
		cursor_skip(&bytes, cursor_le16(&parts->words));
	put_native(pdu, parts, &bytes);
}

/* MS-CIFS 2.2.4.55: always in bytes. */
static void
put_service(struct smb_pdu *pdu, struct parts *parts)
{
	if (cursor_left(&parts->bytes) == 0)
		return;
	smb_put_text(pdu, &pdu->record->service[pdu->response], take_text(&parts->bytes, false), false);
	record_present(&pdu->record->head, pdu->response ? SMB_HAS_SERVICE_ANSWERED : SMB_HAS_SERVICE_ASKED);
}

static void
tree_request(struct smb_pdu *pdu, struct parts *parts)
{
	uint16_t password_len;

	cursor_skip(&parts->words, 6);
	password_len = cursor_le16(&parts->words);
	cursor_skip(&parts->bytes, password_len);
	parts->bytes_off += password_len;
	align(pdu, parts, &parts->bytes);
	if (parts->bytes.short_read || parts->words.short_read)
		return;
	smb_put_share(pdu, take_text(&parts->bytes, pdu->unicode), pdu->unicode);
	put_service(pdu, parts);
}

static void
tree_response(struct smb_pdu *pdu, struct parts *parts)
{
	put_service(pdu, parts);
}

static void
create_request(struct smb_pdu *pdu, struct parts *parts)
{
	uint32_t options;

	cursor_skip(&parts->words, 15);
	pdu->record->access = cursor_le32(&parts->words);
	cursor_skip(&parts->words, 16);
	pdu->record->disposition = cursor_le32(&parts->words);
	options = cursor_le32(&parts->words);
	align(pdu, parts, &parts->bytes);
	if (parts->words.short_read || parts->bytes.short_read)
		return;
	smb_put_opened(pdu, parts->bytes, pdu->unicode, options);
	record_present(&pdu->record->head, SMB_HAS_CREATE);
}

/* MS-CIFS 2.2.4.64.2 */
static void
create_response(struct smb_pdu *pdu, struct parts *parts)
{
	struct smb_io io = { .kind = SMB_IO_OPENED };

	cursor_skip(&parts->words, 5);
	io.file = cursor_le16(&parts->words);
	cursor_skip(&parts->words, 4);
	smb_take_times(pdu, &parts->words);
	cursor_skip(&parts->words, 12);
	io.offset = cursor_le64(&parts->words);
	if (parts->words.short_read)
		return;
	pdu->record->size = io.offset;
	record_present(&pdu->record->head, SMB_HAS_FILE_INFO);
	smb_put_fid(pdu, (uint16_t)io.file);
	smb_io_add(pdu, io);
}

/* MS-CIFS 2.2.4.41 */
static void
open_request(struct smb_pdu *pdu, struct parts *parts)
{
	align(pdu, parts, &parts->bytes);
	smb_put_text(pdu, &pdu->record->filename, take_text(&parts->bytes, pdu->unicode), pdu->unicode);
	record_present(&pdu->record->head, SMB_HAS_FILENAME);
}

static void
open_response(struct smb_pdu *pdu, struct parts *parts)
{
	struct smb_io io = { .kind = SMB_IO_OPENED };

	cursor_skip(&parts->words, 4);
	io.file = cursor_le16(&parts->words);
	cursor_skip(&parts->words, 6);
	io.offset = cursor_le32(&parts->words);
	if (!parts->words.short_read)
		smb_io_add(pdu, io);
}

static void
close_request(struct smb_pdu *pdu, struct parts *parts)
{
	pdu->record->file = cursor_le16(&parts->words);
}

static void
close_response(struct smb_pdu *pdu, struct parts *parts)
{
	(void)parts;
	smb_io_add(pdu, (struct smb_io){ .kind = SMB_IO_CLOSED });
}

/* The words from a place on: length and offset of data. */
static void
pipe_data(struct smb_pdu *pdu, struct parts *parts, size_t skip, uint64_t file)
{
	uint16_t len, off;

	cursor_skip(&parts->words, skip);
	len = cursor_le16(&parts->words);
	off = cursor_le16(&parts->words);
	if (!parts->words.short_read)
		(void)smb_dcerpc_read(pdu, off, len, file);
}

static void
put_subcommand(struct smb_pdu *pdu, enum smb_subcommand_base base, uint16_t value)
{
	pdu->record->subcommand = (uint16_t)(base + value);
	record_present(&pdu->record->head, SMB_HAS_SUBCOMMAND);
}

/* MS-CIFS 2.2.4.62 */
static void
nt_trans_request(struct smb_pdu *pdu, struct parts *parts)
{
	cursor_skip(&parts->words, 36);
	put_subcommand(pdu, SMB_SUBCOMMAND_NT, cursor_le16(&parts->words));
}

static void
trans_request(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor setup = parts->words, bytes = parts->bytes;
	uint16_t file, function;
	uint8_t setup_count;

	cursor_skip(&setup, 26);
	setup_count = cursor_u8(&setup);
	cursor_skip(&setup, 1);
	function = cursor_le16(&setup);
	if (setup_count > 0 && !setup.short_read)
		put_subcommand(pdu, SMB_SUBCOMMAND_TRANS, function);
	file = cursor_le16(&setup);
	align(pdu, parts, &bytes);
	smb_put_text(pdu, &pdu->record->filename, bytes, pdu->unicode);
	record_present(&pdu->record->head, SMB_HAS_FILENAME);
	pdu->record->file = file;
	pipe_data(pdu, parts, 22, file);
}

/* MS-CIFS 2.2.4.34: what did not fit into the request, which alone names the pipe. */
static void
trans_secondary(struct smb_pdu *pdu, struct parts *parts)
{
	const struct smb_record *begun = smb_request_find(pdu, pdu->message_id, SMB1_TRANS);

	if (begun != NULL)
		pipe_data(pdu, parts, 10, begun->file);
}

static void
trans_response(struct smb_pdu *pdu, struct parts *parts)
{
	pipe_data(pdu, parts, 12, pdu->asked_file);
}

/* MS-CIFS 2.2.4: the old commands, whose names have the kind of a buffer before them. */
static bool
take_path(struct smb_pdu *pdu, const struct parts *parts, struct cursor *bytes, struct record_ref *ref)
{
	enum { KIND_TEXT = 4 };

	if (cursor_u8(bytes) != KIND_TEXT || bytes->short_read)
		return false;
	align(pdu, parts, bytes);
	smb_put_text(pdu, ref, take_text(bytes, pdu->unicode), pdu->unicode);
	return true;
}

static void
path_request(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor bytes = parts->bytes;

	if (take_path(pdu, parts, &bytes, &pdu->record->filename))
		record_present(&pdu->record->head, SMB_HAS_FILENAME);
}

/* MS-CIFS 2.2.4.8 */
static void
rename_request(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor bytes = parts->bytes;

	if (!take_path(pdu, parts, &bytes, &pdu->record->filename))
		return;
	record_present(&pdu->record->head, SMB_HAS_FILENAME);
	if (!take_path(pdu, parts, &bytes, &pdu->record->renamed))
		return;
	record_present(&pdu->record->head, SMB_HAS_RENAME_FROM);
	record_present(&pdu->record->head, SMB_HAS_RENAME_TO);
}

enum { TRANS2_SET_PATH = 6, TRANS2_SET_FILE = 8 };

/* MS-CIFS 2.2.6.7, 2.2.6.9: what deletes or renames a file, by its name or by its number, also in the form of NT (MS-SMB 2.2.2.3.5). */
static void
set_info(struct smb_pdu *pdu, bool by_number, struct cursor parameters, struct cursor data)
{
	enum { LEVEL_DISPOSITION = 0x102, LEVEL_NT_RENAME = 1010, LEVEL_NT_DISPOSITION = 1013 };
	struct smb_record *record = pdu->record;
	uint16_t file = by_number ? cursor_le16(&parameters) : 0;

	record->level = cursor_le16(&parameters);
	if (parameters.short_read || data.short_read)
		return;
	if (record->level != LEVEL_DISPOSITION && record->level != LEVEL_NT_DISPOSITION && record->level != LEVEL_NT_RENAME)
		return;
	record_present(&record->head, SMB_HAS_LEVEL);
	if (by_number) {
		smb_put_fid(pdu, file);
		if (smb_file_name(pdu, file, &record->filename))
			record_present(&record->head, SMB_HAS_FILENAME);
	}
	if (record->level != LEVEL_NT_RENAME) {
		record->disposed = cursor_u8(&data) != 0;
		if (!data.short_read)
			record_present(&record->head, SMB_HAS_DISPOSED);
		return;
	}
	cursor_skip(&data, 8);
	data = cursor_sub(&data, cursor_le32(&data));
	if (data.short_read)
		return;
	if (record_is_present(record, SMB_HAS_FILENAME))
		record_present(&record->head, SMB_HAS_RENAME_FROM);
	smb_put_text(pdu, &record->renamed, data, true);
	record_present(&record->head, SMB_HAS_RENAME_TO);
}

/* MS-CIFS 2.2.4.46, 2.2.6: where a name is in the parameters of what has one. */
static void
trans2_request(struct smb_pdu *pdu, struct parts *parts)
{
	static const uint8_t names[] = { [0x00] = 28, [0x01] = 12, [0x02] = 12, [0x05] = 6, [0x06] = 6, [0x0d] = 4, [0x10] = 2, [0x11] = 0 };
	struct cursor words = parts->words, name = pdu->whole;
	uint16_t len, off, data_len, data_off, subcommand;

	cursor_skip(&words, 18);
	len = cursor_le16(&words);
	off = cursor_le16(&words);
	data_len = cursor_le16(&words);
	data_off = cursor_le16(&words);
	cursor_skip(&words, 2);
	subcommand = cursor_le16(&words);
	if (words.short_read)
		return;
	put_subcommand(pdu, SMB_SUBCOMMAND_TRANS2, subcommand);
	if (subcommand == TRANS2_SET_FILE || subcommand == TRANS2_SET_PATH)
		set_info(pdu, subcommand == TRANS2_SET_FILE, smb_at(pdu, off, len), smb_at(pdu, data_off, data_len));
	if (subcommand >= sizeof(names) || names[subcommand] == 0)
		return;
	cursor_skip(&name, off);
	name = cursor_sub(&name, len);
	cursor_skip(&name, names[subcommand]);
	if (name.short_read || cursor_left(&name) == 0)
		return;
	smb_put_text(pdu, &pdu->record->filename, name, pdu->unicode);
	record_present(&pdu->record->head, SMB_HAS_FILENAME);
}

/* MS-SMB 2.2.4.3.1: offsets and lengths got a second half later. */
static void
write_request(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor words = parts->words;
	struct smb_io io = { .kind = SMB_IO_WRITTEN };

	cursor_skip(&words, 4);
	io.file = cursor_le16(&words);
	io.offset = cursor_le32(&words);
	cursor_skip(&words, 8);
	io.len = (uint32_t)cursor_le16(&words) << 16;
	io.len |= cursor_le16(&words);
	io.data_off = cursor_le16(&words);
	if (cursor_left(&words) >= 4)
		io.offset |= (uint64_t)cursor_le32(&words) << 32;
	if (words.short_read)
		return;
	pipe_data(pdu, parts, 20, io.file);
	smb_io_add(pdu, io);
}

/* MS-CIFS 2.2.4.12, 2.2.4.11: what came before AndX. Data of pipes goes by it too: a kind of buffer and a length stand before it. */
static void
pipe_buffer(struct smb_pdu *pdu, struct parts *parts, uint64_t file)
{
	uint16_t len;

	cursor_skip(&parts->bytes, 1);
	len = cursor_le16(&parts->bytes);
	if (!parts->bytes.short_read)
		(void)smb_dcerpc_read(pdu, parts->bytes_off + 3, len, file);
}

static void
core_write_request(struct smb_pdu *pdu, struct parts *parts)
{
	pipe_buffer(pdu, parts, cursor_le16(&parts->words));
}

static void
core_read_response(struct smb_pdu *pdu, struct parts *parts)
{
	pipe_buffer(pdu, parts, pdu->asked_file);
}

static void
core_read_request(struct smb_pdu *pdu, struct parts *parts)
{
	pdu->record->file = cursor_le16(&parts->words);
}

static void
read_request(struct smb_pdu *pdu, struct parts *parts)
{
	cursor_skip(&parts->words, 4);
	pdu->record->file = cursor_le16(&parts->words);
	pdu->record->offset = cursor_le32(&parts->words);
	cursor_skip(&parts->words, 10);
	if (cursor_left(&parts->words) >= 4)
		pdu->record->offset |= (uint64_t)cursor_le32(&parts->words) << 32;
}

static void
read_response(struct smb_pdu *pdu, struct parts *parts)
{
	struct cursor words = parts->words;
	struct smb_io io = { .kind = SMB_IO_READ };

	cursor_skip(&words, 10);
	io.len = cursor_le16(&words);
	io.data_off = cursor_le16(&words);
	io.len |= (uint32_t)cursor_le16(&words) << 16;
	if (words.short_read)
		return;
	pipe_data(pdu, parts, 10, pdu->asked_file);
	smb_io_add(pdu, io);
}

static const struct {
	uint8_t command, words_min[2]; /* by response */
	bool chains; /* its words begin with the next command */
	void (*read[2])(struct smb_pdu *pdu, struct parts *parts);
} bodies[] = {
	{ 0x00, { 0, 0 }, false, { path_request, NULL } },
	{ 0x01, { 0, 0 }, false, { path_request, NULL } },
	{ 0x02, { 2, 7 }, false, { path_request, NULL } },
	{ 0x03, { 3, 1 }, false, { path_request, NULL } },
	{ 0x04, { 3, 0 }, false, { close_request, close_response } },
	{ 0x06, { 1, 0 }, false, { path_request, NULL } },
	{ 0x07, { 1, 0 }, false, { rename_request, NULL } },
	{ 0x08, { 0, 10 }, false, { path_request, NULL } },
	{ 0x09, { 8, 0 }, false, { path_request, NULL } },
	{ 0x0a, { 5, 5 }, false, { core_read_request, core_read_response } },
	{ 0x0b, { 5, 1 }, false, { core_write_request, NULL } },
	{ 0x0e, { 3, 1 }, false, { path_request, NULL } },
	{ 0x0f, { 3, 1 }, false, { path_request, NULL } },
	{ 0x10, { 0, 0 }, false, { path_request, NULL } },
	{ 0x24, { 4, 2 }, true, { NULL, NULL } },
	{ SMB1_TRANS, { 14, 10 }, false, { trans_request, trans_response } },
	{ SMB1_TRANS_SECONDARY, { 8, 8 }, false, { trans_secondary, NULL } },
	{ 0x2d, { 15, 15 }, true, { open_request, open_response } },
	{ SMB1_READ, { 10, 12 }, true, { read_request, read_response } },
	{ SMB1_WRITE, { 12, 6 }, true, { write_request, NULL } },
	{ 0x32, { 15, 10 }, false, { trans2_request, NULL } },
	{ 0x72, { 0, 1 }, false, { negotiate_request, negotiate_response } },
	{ 0x73, { 12, 3 }, true, { setup_request, setup_response } },
	{ 0x75, { 4, 2 }, true, { tree_request, tree_response } },
	{ 0xa0, { 19, 18 }, false, { nt_trans_request, NULL } },
	{ SMB1_CREATE, { 24, 34 }, true, { create_request, create_response } },
};

/* Servers say 42 words of an opened file's extended answer, and send 50 (MS-SMB 2.2.4.9.2). It has no bytes, and some leave their count to chance. */
static size_t
words_len(const struct smb_pdu *pdu, uint8_t command, uint8_t count, size_t left)
{
	enum { EXTENDED_SAID = 42, EXTENDED_SENT = 50 };

	if (command == SMB1_CREATE && pdu->response && count == EXTENDED_SAID && left >= EXTENDED_SENT * 2 + 2)
		return EXTENDED_SENT * 2;
	return (size_t)count * 2;
}

/* One command. @return where the next one that is chained to it begins, and which it is in *command; 0: none is */
static uint32_t
read_one(struct smb_pdu *pdu, struct cursor body, uint32_t off, uint8_t *command)
{
	struct parts parts = { .word_count = cursor_u8(&body) };
	uint32_t next = 0;
	uint16_t byte_count;
	uint8_t own = *command;
	size_t left;

	parts.words = cursor_sub(&body, words_len(pdu, own, parts.word_count, cursor_left(&body)));
	byte_count = cursor_le16(&body);
	left = cursor_left(&body);
	if (cursor_left(&parts.words) > (size_t)parts.word_count * 2)
		byte_count = 0;
	parts.bytes_off = off + 3 + (uint32_t)cursor_left(&parts.words);
	parts.bytes = cursor_sub(&body, byte_count < left ? byte_count : left);
	for (unsigned int i = 0; i < sizeof(bodies) / sizeof(bodies[0]) && !body.short_read; i++) {
		struct cursor words = parts.words;

		if (bodies[i].command != own || parts.word_count < bodies[i].words_min[pdu->response])
			continue;
		if (bodies[i].chains) {
			*command = cursor_u8(&words);
			cursor_skip(&words, 1);
			next = *command == SMB1_NONE ? 0 : cursor_le16(&words);
		}
		if (bodies[i].read[pdu->response] != NULL)
			bodies[i].read[pdu->response](pdu, &parts);
		break;
	}
	if ((body.short_read || parts.words.short_read || byte_count > left) && !pdu->cut)
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_DATA);
	return next;
}

void
smb1_body_read(struct smb_pdu *pdu, struct cursor body)
{
	const struct smb_state *state = pdu->ctx->state;
	uint8_t command = (uint8_t)pdu->command;
	uint32_t off = SMB1_HEADER_LEN;

	for (unsigned int i = 0; i < ANDX_MAX; i++) {
		uint32_t next = read_one(pdu, body, off, &command);

		if (state->dialect > SMB_DIALECT_NONE && state->dialect < SMB_DIALECT_COUNT) {
			pdu->record->dialect = state->dialect;
			record_present(&pdu->record->head, SMB_HAS_DIALECT);
		}
		if (next <= off || next >= cursor_left(&pdu->whole))
			return;
		off = next;
		body = pdu->whole;
		cursor_skip(&body, off);
	}
}
