/* Bodies of the encapsulation commands, and the Common Packet Format inside them (EIP 2-4, 2-6). */
#include "proto/enip/enip.h"

enum { SERVICE_NAME_LEN = 16, SOCKADDR_LEN = 16, ITEM_HEADER_LEN = 4 };

void
enip_read_nothing(struct enip_pdu *pdu, struct cursor *body)
{
	(void)pdu;
	cursor_skip(body, cursor_left(body));
}

void
enip_read_register(struct enip_pdu *pdu, struct cursor *body)
{
	pdu->half->protocol_version = cursor_le16(body);
	pdu->half->register_options = cursor_le16(body);
	if (!body->short_read)
		enip_has(pdu, ENIP_HAS_REGISTER);
}

/* A socket address: alone of all fields it is big-endian (EIP 2-6.3.3). */
static uint16_t
read_sockaddr(struct cursor *in, struct record_ip *ip)
{
	const uint8_t *address;
	uint16_t port;

	cursor_skip(in, 2); /* sin_family */
	port = cursor_be16(in);
	address = cursor_take(in, 4);
	cursor_skip(in, 8); /* sin_zero */
	if (address == NULL)
		return 0;
	ip->version = 4;
	memcpy(ip->bytes, address, 4);
	return port;
}

/* ---- answers to the list commands ---- */

static void
read_identity(struct enip_pdu *pdu, struct cursor item)
{
	struct enip_identity *identity = &pdu->record->identity;
	static const uint8_t attribute_lens[] = { 2, 2, 2, 2, 2, 4 };
	const uint8_t *name;
	struct cursor fact;
	size_t len;

	identity->protocol_version = cursor_le16(&item);
	identity->socket_port = read_sockaddr(&item, &identity->socket_address);
	fact = item;
	for (uint32_t i = 0; i < sizeof(attribute_lens); i++) {
		enip_fact(pdu, i + 1, fact);
		cursor_skip(&fact, attribute_lens[i]);
	}
	enip_fact(pdu, sizeof(attribute_lens) + 1, fact);
	identity->vendor_id = cursor_le16(&item);
	identity->device_type = cursor_le16(&item);
	identity->product_code = cursor_le16(&item);
	identity->revision = cursor_be16(&item);
	identity->status = cursor_le16(&item);
	identity->serial = cursor_le32(&item);
	len = cursor_u8(&item);
	name = cursor_take(&item, len);
	record_put_bytes(pdu->ctx->record, &identity->product_name, name, name == NULL ? 0 : (uint32_t)len);
	identity->state = cursor_u8(&item);
	if (item.short_read) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_ITEM);
		return;
	}
	enip_put_revision(pdu, &identity->revision_text, identity->revision);
	enip_has(pdu, ENIP_HAS_IDENTITY);
}

static void
read_services(struct enip_pdu *pdu, struct cursor item)
{
	struct enip_services *services = &pdu->record->services;
	const uint8_t *name;
	uint32_t len = 0;

	services->protocol_version = cursor_le16(&item);
	services->capabilities = cursor_le16(&item);
	name = cursor_take(&item, SERVICE_NAME_LEN);
	if (name == NULL) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_ITEM);
		return;
	}
	while (len < SERVICE_NAME_LEN && name[len] != '\0')
		len++;
	record_put_bytes(pdu->ctx->record, &services->name, name, len);
	enip_has(pdu, ENIP_HAS_SERVICES);
}

/* ---- items ---- */

static struct enip_item *
append_item(struct enip_pdu *pdu, uint16_t type, const struct cursor *body)
{
	struct enip_item *item = record_append(pdu->ctx->record, &pdu->half->items, enip_item_tables, 0);

	if (item == NULL)
		return NULL;
	enip_has(pdu, ENIP_HAS_ITEMS);
	item->type = type;
	item->length = (uint16_t)cursor_left(body);
	return item;
}

static void
read_cip_item(struct enip_pdu *pdu, bool connected, struct cursor in)
{
	struct enip_node node = { .head = &pdu->record->head, .cip = &pdu->half->cip, .bit = pdu->bit };

	if (connected) {
		pdu->half->cip.sequence = cursor_le16(&in);
		enip_has(pdu, ENIP_HAS_SEQUENCE);
	}
	if (pdu->bit == ENIP_RESPONSE && pdu->asked &&
		record_is_present(&pdu->record->head, ENIP_REQUEST + ENIP_HAS_CIP)) {
		node.asked_head = &pdu->record->head;
		node.asked = &pdu->record->request.cip;
		node.asked_bit = ENIP_REQUEST;
	}
	enip_cip_read(pdu, &node, in);
}

static void
read_address(struct enip_pdu *pdu, bool sequenced, struct cursor *item)
{
	pdu->half->connection_id = cursor_le32(item);
	if (sequenced)
		pdu->half->sequence_number = cursor_le32(item);
	if (item->short_read) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_ITEM);
		return;
	}
	enip_has(pdu, ENIP_HAS_ADDRESS);
	if (sequenced)
		enip_has(pdu, ENIP_HAS_SEQUENCED);
	enip_connection_annotate(pdu, pdu->half->connection_id);
}

static void
read_other(struct enip_pdu *pdu, uint16_t type, struct cursor *body)
{
	struct enip_item *item = append_item(pdu, type, body);

	if (item == NULL)
		return;
	if ((type == ENIP_ITEM_SOCKADDR_O_T || type == ENIP_ITEM_SOCKADDR_T_O) && cursor_left(body) >= SOCKADDR_LEN) {
		item->port = read_sockaddr(body, &item->address);
		record_present(&item->head, ENIP_ITEM_HAS_SOCKET);
	} else if (cursor_left(body) > 0) {
		enip_put_rest(pdu, &item->data, body);
		record_present(&item->head, ENIP_ITEM_HAS_DATA);
	}
}

static void
read_item(struct enip_pdu *pdu, uint16_t type, struct cursor item)
{
	switch (type) {
	case ENIP_ITEM_NULL:
		break;
	case ENIP_ITEM_IDENTITY:
		read_identity(pdu, item);
		break;
	case ENIP_ITEM_LIST_SERVICES:
		read_services(pdu, item);
		break;
	case ENIP_ITEM_CONNECTED_ADDRESS:
	case ENIP_ITEM_SEQUENCED_ADDRESS:
		read_address(pdu, type == ENIP_ITEM_SEQUENCED_ADDRESS, &item);
		break;
	case ENIP_ITEM_CONNECTED_DATA:
	case ENIP_ITEM_UNCONNECTED_DATA:
		if (record_is_present(&pdu->record->head, (uint8_t)(pdu->bit + ENIP_HAS_CIP)))
			read_other(pdu, type, &item); /* a second message: shown, not read over the first */
		else if (cursor_left(&item) > 0)
			read_cip_item(pdu, type == ENIP_ITEM_CONNECTED_DATA, item);
		break;
	default:
		read_other(pdu, type, &item);
	}
}

static void
read_items(struct enip_pdu *pdu, struct cursor *body)
{
	uint16_t count = cursor_le16(body);

	for (uint16_t i = 0; i < count && i < ENIP_ITEMS_MAX && !body->short_read; i++) {
		uint16_t type = cursor_le16(body);
		size_t len = cursor_le16(body);
		struct cursor item = *body;

		/* An item cut short is read as far as it goes; the PDU is invalid by the short read. */
		if (body->short_read)
			return;
		cursor_skip(body, len);
		if (!body->short_read)
			item = cursor_of(item.pos, len);
		read_item(pdu, type, item);
	}
}

void
enip_read_list(struct enip_pdu *pdu, struct cursor *body)
{
	read_items(pdu, body);
}

void
enip_read_cpf(struct enip_pdu *pdu, struct cursor *body)
{
	pdu->half->interface_handle = cursor_le32(body);
	pdu->half->timeout_s = cursor_le16(body);
	if (body->short_read)
		return;
	enip_has(pdu, ENIP_HAS_CPF);
	read_items(pdu, body);
}

struct enip_peek
enip_peek_cpf(struct cursor body)
{
	struct enip_peek peek = { 0 };
	uint16_t count;

	cursor_skip(&body, 6);
	count = cursor_le16(&body);
	for (uint16_t i = 0; i < count && i < ENIP_ITEMS_MAX && cursor_left(&body) >= ITEM_HEADER_LEN; i++) {
		uint16_t type = cursor_le16(&body);
		size_t len = cursor_le16(&body);
		struct cursor item = body;

		if (type == ENIP_ITEM_CONNECTED_ADDRESS)
			peek.connection_id = cursor_le32(&item);
		if (type == ENIP_ITEM_CONNECTED_DATA)
			peek.sequence = cursor_le16(&item);
		if (type == ENIP_ITEM_CONNECTED_DATA || type == ENIP_ITEM_UNCONNECTED_DATA) {
			peek.service = cursor_u8(&item);
			peek.cip = !item.short_read;
			return peek;
		}
		cursor_skip(&body, len);
	}
	return peek;
}

static bool
item_type_known(uint16_t type)
{
	return type == ENIP_ITEM_NULL || type == ENIP_ITEM_IDENTITY || type == ENIP_ITEM_CONNECTED_ADDRESS ||
		type == ENIP_ITEM_LIST_SERVICES || (type >= ENIP_ITEM_SOCKADDR_O_T && type <= ENIP_ITEM_SEQUENCED_ADDRESS);
}

enum proto_probe
enip_cpf_plausible(struct cursor in)
{
	uint16_t count = cursor_le16(&in);
	uint16_t type = cursor_le16(&in);
	uint16_t len = cursor_le16(&in);

	if (in.short_read)
		return PROTO_PROBE_MORE;
	if (count == 0 || count > 4 || !item_type_known(type))
		return PROTO_PROBE_NO;
	return type != ENIP_ITEM_NULL || len == 0 ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}
