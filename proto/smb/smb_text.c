/* Texts, share names and NTLMSSP. */
#include "proto/smb/smb.h"

#include <stdio.h>
#include <strings.h>

enum { NTLM_AUTHENTICATE = 3, NTLM_UNICODE = 1, NTLM_VERSION = 1 << 25, NTLM_VERSION_END = 72, BLOB_LEN_MAX = 4096 };

struct cursor
smb_at(const struct smb_pdu *pdu, uint32_t off, uint32_t len)
{
	struct cursor in = pdu->whole;

	cursor_skip(&in, off);
	return cursor_sub(&in, len);
}

static size_t
put_utf8(uint8_t *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xc0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xe0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (code & 0x3f));
	return 4;
}

void
smb_put_text(struct smb_pdu *pdu, struct record_ref *ref, struct cursor text, bool unicode)
{
	uint8_t out[SMB_NAME_LEN_MAX + 4];
	uint32_t len = 0;

	while (cursor_left(&text) >= (unicode ? 2 : 1) && len < SMB_NAME_LEN_MAX) {
		uint32_t code = unicode ? cursor_le16(&text) : cursor_u8(&text);

		if (code == 0)
			break;
		if (!unicode) {
			out[len++] = (uint8_t)code;
			continue;
		}
		if (code >= 0xd800 && code < 0xdc00 && cursor_left(&text) >= 2)
			code = 0x10000 + ((code & 0x3ff) << 10 | (cursor_le16(&text) & 0x3ff));
		len += (uint32_t)put_utf8(out + len, code);
	}
	record_put_bytes(pdu->ctx->record, ref, out, len);
}

/* The share of the pipes has this name on every server (MS-SMB2 2.2.9). */
void
smb_put_share(struct smb_pdu *pdu, struct cursor path, bool unicode)
{
	struct smb_record *record = pdu->record;
	const uint8_t *text;

	smb_put_text(pdu, &record->share, path, unicode);
	text = pdu->ctx->record->base + record->share.off;
	if (record->share.count >= 4 && strncasecmp((const char *)text + record->share.count - 4, "IPC$", 4) == 0)
		record_present(&record->head, SMB_HAS_PIPE);
	else
		record_present(&record->head, SMB_HAS_SHARE);
}

void
smb_put_opened(struct smb_pdu *pdu, struct cursor name, bool unicode, uint32_t options)
{
	enum { OPTION_DIRECTORY = 1, OPTION_DELETE_ON_CLOSE = 0x1000 };
	static const char root[] = "<share_root>";
	struct smb_record *record = pdu->record;
	bool named;

	smb_put_text(pdu, &record->filename, name, unicode);
	named = record->filename.count > 0;
	if (!named)
		record_put_bytes(pdu->ctx->record, &record->filename, root, sizeof(root) - 1);
	record_present(&record->head, named && (options & OPTION_DIRECTORY) != 0 ? SMB_HAS_DIRECTORY : SMB_HAS_FILENAME);
	record->disposed = (options & OPTION_DELETE_ON_CLOSE) != 0;
	record_present(&record->head, SMB_HAS_DISPOSED);
}

void
smb_put_guid(struct smb_pdu *pdu, struct record_ref *ref, struct cursor guid)
{
	static const uint8_t order[SMB_UUID_LEN] = { 3, 2, 1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 15, 14, 13, 12 };
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = cursor_take(&guid, SMB_UUID_LEN);
	char text[SMB_GUID_TEXT_LEN];
	uint32_t len = 0;

	if (bytes == NULL)
		return;
	for (unsigned int i = 0; i < SMB_UUID_LEN; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[len++] = '-';
		text[len++] = digits[bytes[order[i]] >> 4];
		text[len++] = digits[bytes[order[i]] & 15];
	}
	record_put_bytes(pdu->ctx->record, ref, text, len);
}

void
smb_put_fid(struct smb_pdu *pdu, uint16_t fid)
{
	char text[8];
	int len = snprintf(text, sizeof(text), "%04x", fid);

	record_put_bytes(pdu->ctx->record, &pdu->record->fuid, text, (uint32_t)len);
	record_present(&pdu->record->head, SMB_HAS_FUID);
}

/* 100 ns since 1601; what is before 1970, as no date at all is, is 0. */
static uint32_t
take_time(struct cursor *in)
{
	static const uint64_t ticks = 10000000, epoch = 11644473600;
	uint64_t seconds = cursor_le64(in) / ticks;

	return seconds > epoch && seconds - epoch <= UINT32_MAX ? (uint32_t)(seconds - epoch) : 0;
}

void
smb_take_times(struct smb_pdu *pdu, struct cursor *in)
{
	pdu->record->created = take_time(in);
	pdu->record->accessed = take_time(in);
	pdu->record->modified = take_time(in);
	pdu->record->changed = take_time(in);
}

/* A field of an NTLMSSP message: length, room, offset (MS-NLMP 2.2.1.3). *first: where the first of them is. */
static void
put_ntlm_field(struct smb_pdu *pdu, struct cursor *in, struct cursor message, struct record_ref *ref, bool unicode, uint32_t *first)
{
	uint16_t len = cursor_le16(in);
	uint32_t off;

	cursor_skip(in, 2);
	off = cursor_le32(in);
	if (in->short_read || len == 0)
		return;
	*first = off < *first ? off : *first;
	if (ref == NULL)
		return;
	cursor_skip(&message, off);
	message = cursor_sub(&message, len);
	if (message.short_read)
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_NTLMSSP);
	else
		smb_put_text(pdu, ref, message, unicode);
}

/* Its place is there only where the fields' bytes begin behind it: a flag alone does not make it so (MS-NLMP 2.2.1.3). */
static void
put_ntlm_version(struct smb_pdu *pdu, struct cursor in)
{
	uint8_t major = cursor_u8(&in), minor = cursor_u8(&in);
	uint16_t build = cursor_le16(&in);
	char text[32];
	int len;

	cursor_skip(&in, 3);
	len = snprintf(text, sizeof(text), "%u.%u build %u rev %u", major, minor, build, cursor_u8(&in));
	if (in.short_read)
		return;
	record_put_bytes(pdu->ctx->record, &pdu->record->ntlm_version, text, (uint32_t)len);
	record_present(&pdu->record->head, SMB_HAS_NTLM_VERSION);
}

void
smb_security_read(struct smb_pdu *pdu, struct cursor blob)
{
	static const uint8_t signature[8] = "NTLMSSP";
	size_t len = cursor_left(&blob) < BLOB_LEN_MAX ? cursor_left(&blob) : BLOB_LEN_MAX;
	const uint8_t *at = len < sizeof(signature) ? NULL : memmem(blob.pos, len, signature, sizeof(signature));
	struct smb_record *record = pdu->record;
	struct cursor message, in, flags;
	uint32_t bits, first = UINT32_MAX;

	if (at == NULL) {
		smb_kerberos_read(pdu, blob);
		return;
	}
	cursor_skip(&blob, (size_t)(at - blob.pos));
	message = in = flags = blob;
	cursor_skip(&in, sizeof(signature));
	if (cursor_le32(&in) != NTLM_AUTHENTICATE || in.short_read)
		return;
	cursor_skip(&flags, 60);
	bits = cursor_le32(&flags);
	if (flags.short_read) {
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_NTLMSSP);
		return;
	}
	put_ntlm_field(pdu, &in, message, NULL, false, &first); /* the two responses */
	put_ntlm_field(pdu, &in, message, NULL, false, &first);
	put_ntlm_field(pdu, &in, message, &record->domain, bits & NTLM_UNICODE, &first);
	put_ntlm_field(pdu, &in, message, &record->user, bits & NTLM_UNICODE, &first);
	put_ntlm_field(pdu, &in, message, &record->host, bits & NTLM_UNICODE, &first);
	if ((bits & NTLM_VERSION) != 0 && first >= NTLM_VERSION_END)
		put_ntlm_version(pdu, flags);
	record_present(&record->head, SMB_HAS_NTLMSSP);
}
