/* Texts, share names and NTLMSSP. */
#include "proto/smb/smb.h"

#include <stdio.h>
#include <strings.h>

enum { NTLM_AUTHENTICATE = 3, NTLM_UNICODE = 1, NTLM_VERSION = 1 << 25, BLOB_LEN_MAX = 4096 };

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

/* A field of an NTLMSSP message: length, room, offset (MS-NLMP 2.2.1.3). */
static void
put_ntlm_field(struct smb_pdu *pdu, struct cursor *in, struct cursor message, struct record_ref *ref, bool unicode)
{
	uint16_t len = cursor_le16(in);
	uint32_t off;

	cursor_skip(in, 2);
	off = cursor_le32(in);
	if (in->short_read || len == 0)
		return;
	cursor_skip(&message, off);
	message = cursor_sub(&message, len);
	if (message.short_read)
		proto_event(pdu->ctx, SMB_EVENT_MALFORMED_NTLMSSP);
	else
		smb_put_text(pdu, ref, message, unicode);
}

void
smb_ntlmssp_read(struct smb_pdu *pdu, struct cursor blob)
{
	static const uint8_t signature[8] = "NTLMSSP";
	size_t len = cursor_left(&blob) < BLOB_LEN_MAX ? cursor_left(&blob) : BLOB_LEN_MAX;
	const uint8_t *at = len < sizeof(signature) ? NULL : memmem(blob.pos, len, signature, sizeof(signature));
	struct smb_record *record = pdu->record;
	struct cursor message, in, flags;
	uint32_t bits;

	if (at == NULL)
		return;
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
	cursor_skip(&in, 16); /* the two responses */
	put_ntlm_field(pdu, &in, message, &record->domain, bits & NTLM_UNICODE);
	put_ntlm_field(pdu, &in, message, &record->user, bits & NTLM_UNICODE);
	put_ntlm_field(pdu, &in, message, &record->host, bits & NTLM_UNICODE);
	if ((bits & NTLM_VERSION) != 0) {
		uint8_t major = cursor_u8(&flags), minor = cursor_u8(&flags);
		uint16_t build = cursor_le16(&flags);
		char text[32];
		int text_len;

		cursor_skip(&flags, 3);
		text_len = snprintf(text, sizeof(text), "%u.%u build %u rev %u", major, minor, build, cursor_u8(&flags));
		if (!flags.short_read)
			record_put_bytes(pdu->ctx->record, &record->ntlm_version, text, (uint32_t)text_len);
	}
	record_present(&record->head, SMB_HAS_NTLMSSP);
}
