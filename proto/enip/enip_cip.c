/*
 * CIP messages (CIP 2-4): service, path or status, and the services inside multiple service
 * packets and unconnected sends. Two levels are read, an unconnected send and the packet in
 * it; what lies deeper stays hex, so nothing here calls itself.
 */
#include "proto/enip/enip.h"

void
enip_put_rest(struct enip_pdu *pdu, struct record_ref *ref, struct cursor *in)
{
	uint32_t len = (uint32_t)cursor_left(in);
	const uint8_t *data = cursor_take(in, len);

	if (data != NULL && len > 0)
		record_put_bytes(pdu->ctx->record, ref, data, len);
}

void
enip_read_opaque(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	if (cursor_left(body) == 0)
		return;
	enip_put_rest(pdu, &node->cip->data, body);
	enip_node_has(node, ENIP_HAS_DATA);
}

static const struct enip_service *
find_service(uint8_t service, uint32_t class_id)
{
	unsigned int low = 0, high = enip_service_count;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (enip_service_table[middle].service < service)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < enip_service_count && enip_service_table[low].service == service; low++)
		if (enip_service_table[low].class_id == class_id || enip_service_table[low].class_id == ENIP_CLASS_ANY)
			return &enip_service_table[low];
	return NULL;
}

/* A tag's name leads to an instance of the symbol class, whatever lies behind it (PM020). */
static uint32_t
class_of(const struct record_head *head, uint8_t bit, const struct enip_cip *cip)
{
	if (record_is_present(head, (uint8_t)(bit + ENIP_HAS_CLASS)))
		return cip->class_id;
	return record_is_present(head, (uint8_t)(bit + ENIP_HAS_TAG)) ? ENIP_CLASS_SYMBOL : 0;
}

static void
name_service(struct enip_node *node, const struct enip_service *service)
{
	if (service == NULL || service->name == NULL)
		return;
	node->cip->class_service = service->name;
	enip_node_has(node, ENIP_HAS_CLASS_SERVICE);
}

/* A body that ends before its service's fields do stands as hex beside what was read of it. */
static void
read_body(struct enip_pdu *pdu, struct enip_node *node, enip_body read, struct cursor body)
{
	struct cursor whole = body;

	if (read != NULL)
		read(pdu, node, &body);
	if (body.short_read) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_SERVICE_DATA);
		body = whole;
	}
	if (!enip_node_is(node, ENIP_HAS_DATA))
		enip_read_opaque(pdu, node, &body);
}

static void
read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor in)
{
	size_t path_len = (size_t)cursor_u8(&in) * 2;
	struct cursor path = cursor_sub(&in, path_len);
	const struct enip_service *service;

	if (in.short_read) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PATH);
		return;
	}
	enip_path_read_request(pdu, node, path);
	service = find_service(node->cip->service, class_of(node->head, node->bit, node->cip));
	name_service(node, service);
	read_body(pdu, node, service == NULL ? NULL : service->read_request, in);
}

static void
read_status(struct enip_pdu *pdu, struct enip_node *node, struct cursor *in)
{
	enum { CONNECTION_FAILURE = 0x01 };
	struct enip_cip *cip = node->cip;
	struct cursor extended, in_code;
	size_t len;

	cursor_skip(in, 1); /* reserved */
	cip->status = cursor_u8(in);
	len = (size_t)cursor_u8(in) * 2;
	extended = cursor_sub(in, len);
	if (in->short_read)
		return;
	enip_node_has(node, ENIP_HAS_STATUS);
	if (len == 0)
		return;
	enip_node_has(node, ENIP_HAS_STATUS_EXTENDED);
	in_code = extended;
	cip->status_extended_code = cursor_le16(&in_code);
	/* The connection manager's; the first word, behind which some have more (a size that would do). Of another general
	 * status the codes are the class's own. */
	if (cip->status == CONNECTION_FAILURE && field_name_of(&enip_extended_statuses, cip->status_extended_code) != NULL)
		enip_node_has(node, ENIP_HAS_STATUS_MEANING);
	enip_put_rest(pdu, &cip->status_extended, &extended);
}

static bool
status_has_data(uint8_t status)
{
	enum { SUCCESS = 0x00, PARTIAL_TRANSFER = 0x06, ATTRIBUTE_LIST_ERROR = 0x0a, EMBEDDED_SERVICE_ERROR = 0x1e };

	return status == SUCCESS || status == PARTIAL_TRANSFER || status == ATTRIBUTE_LIST_ERROR ||
		status == EMBEDDED_SERVICE_ERROR;
}

static void
read_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor in)
{
	const struct enip_service *service;
	enip_body read = NULL;
	uint32_t class_id = 0;

	read_status(pdu, node, &in);
	if (in.short_read) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PDU);
		return;
	}
	if (node->asked != NULL)
		class_id = class_of(node->asked_head, node->asked_bit, node->asked);
	service = find_service(node->cip->service, class_id);
	name_service(node, service);
	/* A refused forward open or close still says which connection it was (CIP 3-5.5.3). */
	if (service != NULL && (status_has_data(node->cip->status) || class_id == ENIP_CLASS_CONNECTION_MANAGER))
		read = service->read_reply;
	read_body(pdu, node, read, in);
}

/* Whether a request only asks what is known anyway, again and again: then its answers can be compared. */
static void
note_service(struct enip_pdu *pdu, const struct enip_node *node)
{
	switch (node->cip->service) {
	case ENIP_GET_ATTRIBUTES_ALL:
	case ENIP_GET_ATTRIBUTE_LIST:
	case ENIP_GET_ATTRIBUTE_SINGLE:
	case ENIP_UNCONNECTED_SEND: /* whose own message is noted too; or a tag's fragment */
		pdu->reads = true;
		break;
	case ENIP_MULTIPLE_SERVICE:
		break;
	case ENIP_READ_TAG:
		if (class_of(node->head, node->bit, node->cip) == ENIP_CLASS_SYMBOL) {
			pdu->reads = true;
			break;
		}
		/* fall through */
	default:
		pdu->acts = true;
	}
}

/* @return whether it was a request */
static bool
read_message(struct enip_pdu *pdu, struct enip_node *node, struct cursor in)
{
	uint8_t service = cursor_u8(&in);

	if (in.short_read) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PDU);
		return false;
	}
	node->cip->service = service & (uint8_t)~ENIP_REPLY_BIT;
	enip_node_has(node, ENIP_HAS_CIP);
	if (service & ENIP_REPLY_BIT)
		read_reply(pdu, node, in);
	else
		read_request(pdu, node, in);
	note_service(pdu, node);
	return (service & ENIP_REPLY_BIT) == 0;
}

/* ---- messages inside messages ---- */

static struct enip_message *
message_at(const struct enip_pdu *pdu, uint32_t off)
{
	return off == 0 ? NULL : (void *)(pdu->ctx->record->base + off);
}

static void
ask(struct enip_node *node, const struct enip_message *asked)
{
	if (asked == NULL)
		return;
	node->asked_head = &asked->head;
	node->asked = &asked->cip;
	node->asked_bit = 0;
}

/* Where a message's data begin that the services of a packet are counted from: behind path or status. */
static struct cursor
data_of(struct cursor in)
{
	uint8_t service = cursor_u8(&in);

	if (service & ENIP_REPLY_BIT)
		cursor_skip(&in, 2);
	cursor_skip(&in, (size_t)cursor_u8(&in) * 2);
	return in;
}

/* One service of a packet: from its own offset to the next one's. */
static bool
cut_service(struct cursor data, struct cursor offsets, bool last, struct cursor *out)
{
	uint16_t from = cursor_le16(&offsets);
	size_t to = last ? cursor_left(&data) : cursor_le16(&offsets);

	if (from >= to || to > cursor_left(&data))
		return false;
	cursor_skip(&data, from);
	*out = cursor_sub(&data, to - from);
	return true;
}

/* CIP. The body of the packet was left as hex by read_body(); its services replace that. */
static void
read_multiple(struct enip_pdu *pdu, struct enip_node *node, struct cursor data)
{
	struct cursor offsets = data;
	uint16_t count = cursor_le16(&offsets);
	struct enip_message *asked = enip_asked_is(node, ENIP_HAS_MULTIPLE) ? message_at(pdu, node->asked->multiple.first) : NULL;

	if (offsets.short_read || cursor_left(&offsets) < (size_t)count * 2) {
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_MULTIPLE);
		return;
	}
	for (uint16_t i = 0; i < count && i < ENIP_SERVICES_MAX; i++, cursor_skip(&offsets, 2)) {
		struct enip_message *message;
		struct enip_node inner = { 0 };
		struct cursor in;

		if (!cut_service(data, offsets, i + 1 == count, &in)) {
			proto_event(pdu->ctx, ENIP_EVENT_INVALID_MULTIPLE);
			return;
		}
		message = record_append(pdu->ctx->record, &node->cip->multiple, enip_leaf_tables, 0);
		if (message == NULL)
			return;
		enip_node_has(node, ENIP_HAS_MULTIPLE);
		inner = (struct enip_node){ .head = &message->head, .cip = &message->cip };
		ask(&inner, asked);
		read_message(pdu, &inner, in);
		asked = asked == NULL ? NULL : message_at(pdu, asked->head.next);
	}
}

/* What read_body() put aside for the packet's whole is dropped: the services say it. */
static void
read_packet(struct enip_pdu *pdu, struct enip_node *node, struct cursor in)
{
	if (node->cip->service == ENIP_MULTIPLE_SERVICE && cursor_left(&in) > 0)
		read_multiple(pdu, node, data_of(in));
}

/* CIP 3-5.5.2: a message for a device further on, and the way there. */
static void
read_unconnected_send(struct enip_pdu *pdu, struct enip_node *node, struct cursor in)
{
	struct cursor data = data_of(in);
	uint8_t tick = cursor_u8(&data) & 0x0f;
	uint8_t ticks = cursor_u8(&data);
	uint16_t len = cursor_le16(&data);
	struct cursor body = cursor_sub(&data, len);
	struct enip_message *message;
	struct enip_target target;
	struct enip_node inner;
	size_t route_len;

	if (len % 2 == 1)
		cursor_skip(&data, 1);
	route_len = (size_t)cursor_u8(&data) * 2;
	cursor_skip(&data, 1);
	if (data.short_read)
		return; /* read_body() said it */
	message = record_append(pdu->ctx->record, &node->cip->embedded, enip_outer_tables, 0);
	if (message == NULL)
		return;
	enip_node_has(node, ENIP_HAS_EMBEDDED);
	message->timeout_ms = (uint32_t)ticks << tick;
	inner = (struct enip_node){ .head = &message->head, .cip = &message->cip };
	if (read_message(pdu, &inner, body))
		read_packet(pdu, &inner, body);
	if (!enip_path_read(pdu, cursor_sub(&data, route_len), &message->route_path, &target))
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PATH);
}

/* The answer to an unconnected send is that of the message in it, unless it never arrived there. */
static void
ask_embedded(struct enip_pdu *pdu, struct enip_node *node, uint8_t service)
{
	const struct enip_message *embedded =
		enip_asked_is(node, ENIP_HAS_EMBEDDED) ? message_at(pdu, node->asked->embedded.first) : NULL;

	if (embedded != NULL && embedded->cip.service == service) {
		ask(node, embedded);
		pdu->routed = true;
	} else if (node->asked != NULL && node->asked->service != service) {
		proto_event(pdu->ctx, ENIP_EVENT_SERVICE_MISMATCH);
	}
}

void
enip_cip_read(struct enip_pdu *pdu, struct enip_node *node, struct cursor in)
{
	struct cursor peek = in;
	uint8_t service = cursor_u8(&peek);

	pdu->said = in;
	if (service & ENIP_REPLY_BIT)
		ask_embedded(pdu, node, service & (uint8_t)~ENIP_REPLY_BIT);
	if (read_message(pdu, node, in) && service == ENIP_UNCONNECTED_SEND &&
		enip_node_is(node, ENIP_HAS_CLASS) && node->cip->class_id == ENIP_CLASS_CONNECTION_MANAGER)
		read_unconnected_send(pdu, node, in);
	else
		read_packet(pdu, node, in);
}
