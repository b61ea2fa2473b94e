/*
 * The ticket that a client shows: SPNEGO (RFC 4178) around Kerberos' token (RFC 4121 4.1) around AP-REQ (RFC 4120 5.5.1).
 * Realm and service stand at its front, so that of a blob that is cut short what is there is read.
 */
#include "lib/base/ber.h"
#include "proto/smb/smb.h"

enum {
	TAG_OCTETS = 0x04, TAG_OID = 0x06, TAG_SEQUENCE = 0x30, TAG_GENERAL_STRING = 0x1b,
	TAG_TOKEN = 0x60,        /* RFC 2743 3.1 */
	TAG_TICKET = 0x61,       /* RFC 4120 5.3 */
	TAG_AP_REQ = 0x6e,
	TAG_CONTEXT = 0xa0,      /* and the number */
	TOKEN_AP_REQ = 0x0100,   /* RFC 4121 4.1 */
	ELEMENTS_MAX = 16,       /* that are passed over */
	SNAMES_MAX = 8,
};

/* What is inside of the next element, as far as it is there. Short where the tag is another one. */
static struct cursor
enter(struct cursor *in, uint8_t tag)
{
	uint8_t found = cursor_u8(in);
	size_t len = ber_length(in);

	if (in->short_read || found != tag) {
		in->short_read = true;
		return (struct cursor){ .short_read = true };
	}
	return cursor_sub(in, len < cursor_left(in) ? len : cursor_left(in));
}

/* The same of the first one that has the tag; those before it are passed over. */
static struct cursor
find(struct cursor *in, uint8_t tag)
{
	for (unsigned int i = 0; i < ELEMENTS_MAX && cursor_left(in) > 0; i++) {
		struct cursor ahead = *in;

		if (cursor_u8(&ahead) == tag)
			return enter(in, tag);
		cursor_skip(&ahead, ber_length(&ahead));
		*in = ahead;
	}
	in->short_read = true;
	return (struct cursor){ .short_read = true };
}

/* NegotiationToken: the first of a client is a GSS-API token with a mechanism's own in [2], later ones have it there, too. */
static struct cursor
mechanism_token(struct cursor blob)
{
	static const uint8_t spnego[] = { 0x2b, 6, 1, 5, 5, 2 };
	struct cursor in = blob, oid, inside;

	if (cursor_left(&blob) > 0 && blob.pos[0] == TAG_TOKEN) {
		in = enter(&in, TAG_TOKEN);
		oid = enter(&in, TAG_OID);
		if (cursor_left(&oid) != sizeof(spnego) || memcmp(oid.pos, spnego, sizeof(spnego)) != 0)
			return blob; /* Kerberos alone */
		inside = enter(&in, TAG_CONTEXT + 0);
	} else {
		inside = enter(&in, TAG_CONTEXT + 1);
	}
	inside = enter(&inside, TAG_SEQUENCE);
	inside = find(&inside, TAG_CONTEXT + 2);
	return enter(&inside, TAG_OCTETS);
}

static void
put_ticket(struct smb_pdu *pdu, struct cursor ticket)
{
	struct smb_record *record = pdu->record;
	struct cursor part = find(&ticket, TAG_CONTEXT + 1), text = enter(&part, TAG_GENERAL_STRING);

	if (text.short_read || cursor_left(&text) > SMB_NAME_LEN_MAX)
		return;
	record_put_bytes(pdu->ctx->record, &record->realm, text.pos, (uint32_t)cursor_left(&text));
	record_present(&record->head, SMB_HAS_KERBEROS);
	part = enter(&ticket, TAG_CONTEXT + 2);
	part = enter(&part, TAG_SEQUENCE);
	part = find(&part, TAG_CONTEXT + 1);
	part = enter(&part, TAG_SEQUENCE);
	for (unsigned int i = 0; i < SNAMES_MAX && cursor_left(&part) > 0; i++) {
		struct smb_text *name;

		text = enter(&part, TAG_GENERAL_STRING);
		if (text.short_read || cursor_left(&text) > SMB_NAME_LEN_MAX)
			return;
		name = record_append(pdu->ctx->record, &record->snames, smb_text_tables, 0);
		if (name != NULL)
			record_put_bytes(pdu->ctx->record, &name->text, text.pos, (uint32_t)cursor_left(&text));
	}
}

void
smb_kerberos_read(struct smb_pdu *pdu, struct cursor blob)
{
	struct cursor in = mechanism_token(blob), part;

	in = enter(&in, TAG_TOKEN);
	(void)enter(&in, TAG_OID);
	if (cursor_be16(&in) != TOKEN_AP_REQ || in.short_read)
		return;
	part = enter(&in, TAG_AP_REQ);
	part = enter(&part, TAG_SEQUENCE);
	part = find(&part, TAG_CONTEXT + 3);
	part = enter(&part, TAG_TICKET);
	part = enter(&part, TAG_SEQUENCE);
	if (!part.short_read)
		put_ticket(pdu, part);
}
