/* DCE/RPC over named pipes: binds and requests (C706 12.6, MS-RPCE 2.2.2). */
#include "proto/smb/smb.h"

#include <stdio.h>

enum { RPC_REQUEST = 0, RPC_RESPONSE = 2, RPC_BIND = 11, RPC_BIND_ACK = 12, RPC_ALTER = 14, RPC_ALTER_ACK = 15, RPC_TYPE_MAX = 19, RPC_HEADER_LEN = 16,
	RPC_LITTLE = 0x10, RPC_FIRST = 1, RPC_LAST = 2, RPC_OBJECT = 0x80, SYNTAX_LEN = 20, RPC_CALL_LEN = 24, RPC_TRAILER_LEN = 8 };

struct rpc_header {
	uint8_t type, flags;
	bool little;
	uint16_t fragment_len, auth_len;
	uint32_t call_id;
};

static uint16_t
take16(struct cursor *in, const struct rpc_header *header)
{
	return header->little ? cursor_le16(in) : cursor_be16(in);
}

static uint32_t
take32(struct cursor *in, const struct rpc_header *header)
{
	return header->little ? cursor_le32(in) : cursor_be32(in);
}

static bool
read_header(struct cursor *in, struct rpc_header *header)
{
	uint8_t major = cursor_u8(in), minor = cursor_u8(in), order;

	header->type = cursor_u8(in);
	header->flags = cursor_u8(in);
	order = cursor_u8(in);
	header->little = (order & 0xf0) == RPC_LITTLE;
	cursor_skip(in, 3);
	header->fragment_len = take16(in, header);
	header->auth_len = take16(in, header);
	header->call_id = take32(in, header);
	return !in->short_read && major == 5 && minor <= 1 && header->type <= RPC_TYPE_MAX && (order & 0xef) == 0 &&
		header->fragment_len >= RPC_HEADER_LEN;
}

/* In network order, the first three parts come in the sender's order. */
static void
take_uuid(struct cursor *in, const struct rpc_header *header, uint8_t uuid[SMB_UUID_LEN])
{
	uint32_t low = take32(in, header);
	uint16_t middle = take16(in, header), high = take16(in, header);
	const uint8_t *rest = cursor_take(in, 8);

	for (unsigned int i = 0; i < 4; i++)
		uuid[i] = (uint8_t)(low >> (24 - 8 * i));
	for (unsigned int i = 0; i < 2; i++) {
		uuid[4 + i] = (uint8_t)(middle >> (8 - 8 * i));
		uuid[6 + i] = (uint8_t)(high >> (8 - 8 * i));
	}
	if (rest != NULL)
		memcpy(uuid + 8, rest, 8);
}

static struct smb_interface *
add_interface(struct smb_pdu *pdu, const struct smb_context *context)
{
	struct smb_interface *interface = record_append(pdu->ctx->record, &pdu->record->interfaces, smb_interface_tables, 0);
	const uint8_t *u = context->uuid;
	char text[48];
	int len;

	if (interface == NULL)
		return NULL;
	len = snprintf(text, sizeof(text), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
		u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	record_put_bytes(pdu->ctx->record, &interface->uuid, text, (uint32_t)len);
	len = snprintf(text, sizeof(text), "%u.%u", context->version, context->minor);
	record_put_bytes(pdu->ctx->record, &interface->version, text, (uint32_t)len);
	record_present(&pdu->record->head, SMB_HAS_INTERFACES);
	return interface;
}

static void
remember(struct smb_state *state, const struct smb_context *context)
{
	for (unsigned int i = 0; i < SMB_CONTEXTS_MAX; i++) {
		struct smb_context *known = &state->contexts[i];

		if (known->used && known->file == context->file && known->id == context->id) {
			*known = *context;
			return;
		}
	}
	state->contexts[state->context_next] = *context;
	state->context_next = (uint8_t)((state->context_next + 1) % SMB_CONTEXTS_MAX);
}

static void
read_bind(struct smb_pdu *pdu, const struct rpc_header *header, struct cursor *in, uint64_t file)
{
	uint8_t count;

	cursor_skip(in, 8);
	count = cursor_u8(in);
	cursor_skip(in, 3);
	for (unsigned int i = 0; i < count && i < SMB_INTERFACES_MAX && !in->short_read; i++) {
		struct smb_context context = { .file = file, .used = true, .call_id = header->call_id, .place = (uint8_t)i, .id = take16(in, header) };
		uint8_t syntaxes = cursor_u8(in);

		cursor_skip(in, 1);
		take_uuid(in, header, context.uuid);
		context.version = take16(in, header);
		context.minor = take16(in, header);
		cursor_skip(in, (size_t)syntaxes * SYNTAX_LEN);
		if (in->short_read)
			return;
		(void)add_interface(pdu, &context);
		remember(pdu->ctx->state, &context);
	}
}

/* The one of a bind that stands at this place: in the event of a transaction it is there, of one that is read it is known by its pipe. */
static struct smb_interface *
find_interface(struct smb_pdu *pdu, uint32_t call_id, unsigned int place)
{
	const struct smb_state *state = pdu->ctx->state;
	uint8_t *base = pdu->ctx->record->base;
	uint32_t at = pdu->record->interfaces.first;

	if (record_is_present(pdu->record, SMB_HAS_RPC_REQUEST)) {
		for (unsigned int i = 0; i < place && at != 0; i++)
			at = ((const struct record_head *)(const void *)(base + at))->next;
		return at == 0 ? NULL : (struct smb_interface *)(void *)(base + at);
	}
	for (unsigned int i = 0; i < SMB_CONTEXTS_MAX && pdu->record->file != 0; i++) {
		const struct smb_context *context = &state->contexts[i];

		if (context->used && context->file == pdu->record->file && context->call_id == call_id && context->place == place)
			return add_interface(pdu, context);
	}
	return NULL;
}

/* C706 12.6.4.4: behind a text that is padded to 4 bytes of the PDU what became of each, in the order of the bind. */
static void
read_bind_ack(struct smb_pdu *pdu, const struct rpc_header *header, struct cursor *in)
{
	size_t left = cursor_left(in);
	uint8_t count;

	cursor_skip(in, 8);
	cursor_skip(in, take16(in, header));
	cursor_skip(in, (4 - (RPC_HEADER_LEN + left - cursor_left(in)) % 4) % 4);
	count = cursor_u8(in);
	cursor_skip(in, 3);
	for (unsigned int i = 0; i < count && i < SMB_INTERFACES_MAX; i++) {
		uint16_t result = take16(in, header), reason = take16(in, header);
		struct smb_interface *interface;

		cursor_skip(in, SYNTAX_LEN);
		if (in->short_read)
			return;
		interface = find_interface(pdu, header->call_id, i);
		if (interface == NULL)
			continue;
		interface->ack_result = result;
		interface->ack_reason = reason;
		record_present(&interface->head, 0);
	}
}

/* Where the verifier of a PDU begins that the call goes on behind: what is joined has none in it (MS-RPCE 2.2.2.11). */
static size_t
stub_end(struct cursor pdu, const struct rpc_header *header, size_t len)
{
	size_t behind = header->auth_len == 0 || (header->flags & RPC_LAST) != 0 ? 0 : header->auth_len + (size_t)RPC_TRAILER_LEN;

	if (behind == 0 || behind > len)
		return len;
	cursor_skip(&pdu, len - behind + 2);
	behind += cursor_u8(&pdu); /* padding */
	return behind > len ? 0 : len - behind;
}

/* PDUs of one call that follow one another. @param len  of the data, of which in has the front where the message goes on behind it */
static void
read_part(struct cursor in, uint32_t len, struct smb_part *part)
{
	bool goes_on = part->stub_count > 0;
	uint8_t type = 0;

	while (part->counts.fragments < SMB_FRAGMENTS_MAX) {
		bool first = part->counts.fragments == 0;
		struct cursor at = in, stub;
		struct rpc_header header;
		size_t fixed, here;

		if (!read_header(&at, &header) || ((!first || goes_on) && header.call_id != part->counts.call_id) || (!first && header.type != type))
			break;
		type = header.type;
		part->counts.call_id = header.call_id;
		part->counts.fragments++;
		if (first && !goes_on)
			part->first = (header.flags & RPC_FIRST) != 0;
		part->last = (header.flags & RPC_LAST) != 0;
		fixed = RPC_CALL_LEN + (type == RPC_REQUEST && (header.flags & RPC_OBJECT) != 0 ? SMB_UUID_LEN : 0);
		here = header.fragment_len < len ? header.fragment_len : len;
		part->left = (uint32_t)(header.fragment_len - here);
		part->hole = here > cursor_left(&in);
		part->counts.stub_len += here > fixed ? (uint32_t)(here - fixed) : 0;
		at = in;
		stub = cursor_sub(&at, part->hole ? cursor_left(&in) : stub_end(in, &header, here));
		cursor_skip(&stub, fixed);
		part->stubs[part->stub_count++] = stub;
		if (part->hole)
			return;
		cursor_skip(&in, here);
		len -= (uint32_t)here;
	}
	part->hole = (len > cursor_left(&in) && cursor_left(&in) < RPC_HEADER_LEN) || (len > 0 && part->counts.fragments == SMB_FRAGMENTS_MAX);
}

static void
read_request(struct smb_pdu *pdu, const struct rpc_header *header, struct cursor *in, uint64_t file)
{
	const struct smb_state *state = pdu->ctx->state;
	struct smb_record *record = pdu->record;
	uint16_t context_id;

	cursor_skip(in, 4); /* allocation hint */
	context_id = take16(in, header);
	record->opnum = take16(in, header);
	if ((header->flags & RPC_OBJECT) != 0)
		cursor_skip(in, SMB_UUID_LEN);
	if (in->short_read)
		return;
	record_present(&record->head, SMB_HAS_RPC_OPNUM);
	for (unsigned int i = 0; i < SMB_CONTEXTS_MAX; i++) {
		const struct smb_context *context = &state->contexts[i];

		if (!context->used || context->file != file || context->id != context_id)
			continue;
		record->has_iface = true;
		memcpy(record->iface, context->uuid, SMB_UUID_LEN);
		record->iface_version = context->version;
	}
}

/* Of a request or response what the message has of it. */
static void
put_counts(struct smb_pdu *pdu, const struct smb_rpc_counts *counts)
{
	struct smb_record *record = pdu->record;

	record->call_id = counts->call_id;
	record_present(&record->head, SMB_HAS_RPC);
	if (pdu->response) {
		record->rpc_response = RPC_RESPONSE;
		record->response_fragments = counts->fragments;
		record->response_stub_len = counts->stub_len;
		record_present(&record->head, SMB_HAS_RPC_RESPONSE);
		record_present(&record->head, SMB_HAS_RPC_ANSWER);
	} else {
		record->rpc_request = RPC_REQUEST;
		record->request_fragments = counts->fragments;
		record->request_stub_len = counts->stub_len;
		record_present(&record->head, SMB_HAS_RPC_REQUEST);
		record_present(&record->head, SMB_HAS_RPC_ASKED);
	}
}

static void
put_call(struct smb_pdu *pdu, struct smb_part *part, uint64_t file)
{
	put_counts(pdu, &part->counts);
	smb_call_add(pdu, part, file);
}

static bool
read_pdus(struct smb_pdu *pdu, struct cursor in, uint32_t len, uint64_t file)
{
	struct smb_record *record = pdu->record;
	struct smb_part part = { 0 };
	struct rpc_header header;
	struct cursor rest = in;

	if (!read_header(&rest, &header))
		return false;
	record->call_id = header.call_id;
	record_present(&record->head, SMB_HAS_RPC);
	if (pdu->response) {
		record->rpc_response = header.type;
		record_present(&record->head, SMB_HAS_RPC_RESPONSE);
		if (header.type == RPC_BIND_ACK || header.type == RPC_ALTER_ACK)
			read_bind_ack(pdu, &header, &rest);
		if (header.type != RPC_RESPONSE || cursor_left(&rest) < RPC_CALL_LEN - RPC_HEADER_LEN)
			return true;
	} else {
		record->rpc_request = header.type;
		record_present(&record->head, SMB_HAS_RPC_REQUEST);
		if (header.type == RPC_BIND || header.type == RPC_ALTER)
			read_bind(pdu, &header, &rest, file);
		else if (header.type == RPC_REQUEST)
			read_request(pdu, &header, &rest, file);
		if (rest.short_read && !pdu->cut)
			proto_event(pdu->ctx, SMB_EVENT_MALFORMED_DCERPC);
		if (header.type != RPC_REQUEST || rest.short_read)
			return true;
	}
	read_part(in, len, &part);
	put_call(pdu, &part, file);
	return true;
}

bool
smb_dcerpc_read(struct smb_pdu *pdu, uint32_t off, uint32_t len, uint64_t file)
{
	const struct smb_call *call;
	struct cursor data = pdu->whole;
	struct smb_part part = { 0 };

	cursor_skip(&data, off);
	if (data.short_read)
		return false;
	if (!pdu->cut && len > cursor_left(&data))
		len = (uint32_t)cursor_left(&data);
	if (cursor_left(&data) > len)
		data = cursor_sub(&data, len);
	call = smb_call_rest(pdu, file);
	if (call == NULL)
		return read_pdus(pdu, data, len, file);
	smb_call_go_on(pdu, call, &data, &len, &part);
	if (part.left == 0 && !part.hole)
		read_part(data, len, &part);
	put_call(pdu, &part, file);
	return true;
}
