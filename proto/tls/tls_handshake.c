/* Handshake messages out of records: whole ones from where they lie, those that go on are put together. */
#include "proto/tls/tls.h"

enum { HEADER_LEN = 4, HELLO_LEN_MIN = 36, MESSAGES_MAX = 64 /* of a record; more are a flood */ };

bool
tls_handshake_is_plausible(uint8_t type, uint32_t len)
{
	/* RFC 5246 7.4, RFC 5077, RFC 6066 8, RFC 8446 4: 5 is EndOfEarlyData, 8 EncryptedExtensions, 24 KeyUpdate */
	static const uint32_t types = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 11 |
		1u << 12 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 20 | 1u << 21 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;

	if (type >= 32 || (types >> type & 1) == 0)
		return false;
	return (type != TLS_CLIENT_HELLO && type != TLS_SERVER_HELLO) || len >= HELLO_LEN_MIN;
}

void
tls_assembly_drop(struct proto_ctx *ctx, struct tls_assembly *assembly)
{
	slab_free(ctx->slab, assembly->block, assembly->want);
	*assembly = (struct tls_assembly){ 0 };
}

static void
read_message(struct tls_pdu *pdu, uint8_t type, struct cursor message)
{
	switch (type) {
	case TLS_CLIENT_HELLO:
		tls_client_hello(pdu, message);
		break;
	case TLS_SERVER_HELLO:
		tls_server_hello(pdu, message);
		break;
	case TLS_CERTIFICATE:
		tls_certificate(pdu, message);
		break;
	case TLS_SERVER_KEY_EXCHANGE:
		pdu->states |= TLS_STATE_SERVER_KEYX;
		break;
	case TLS_CLIENT_KEY_EXCHANGE:
		pdu->states |= TLS_STATE_CLIENT_KEYX;
		break;
	default:
		break; /* says nothing that is kept */
	}
}

/* No length can be believed any more. */
static void
give_up(struct tls_pdu *pdu)
{
	proto_event(pdu->ctx, TLS_EVENT_INVALID_HANDSHAKE_MESSAGE);
	pdu->end->lost = true;
	pdu->end->assembly.head_len = 0;
}

/* A message that this record does not end. Messages whose contents are not read are not kept either. */
static void
begin_assembly(struct tls_pdu *pdu, struct tls_assembly *assembly)
{
	struct cursor head = cursor_of(assembly->head, HEADER_LEN);
	uint8_t type = cursor_u8(&head);
	uint32_t len = cursor_be24(&head);
	bool wanted = type == TLS_CERTIFICATE ? !pdu->end->certified
		: (type == TLS_CLIENT_HELLO || type == TLS_SERVER_HELLO) && pdu->end->hellos < TLS_HELLOS_MAX;

	assembly->head_len = 0;
	if (len > TLS_HANDSHAKE_LEN_MAX)
		proto_event(pdu->ctx, TLS_EVENT_HANDSHAKE_TOO_LONG);
	if (wanted && len <= TLS_HANDSHAKE_LEN_MAX && len > 0) {
		assembly->block = slab_alloc(pdu->ctx->slab, len);
		if (assembly->block != NULL) {
			assembly->want = len;
			assembly->have = 0;
			return;
		}
		counter_add(&pdu->ctx->counters[TLS_COUNT_SHED], 1);
	}
	if (wanted)
		counter_add(&pdu->ctx->counters[TLS_COUNT_HANDSHAKES_SKIPPED], 1);
	else if (type == TLS_SERVER_KEY_EXCHANGE || type == TLS_CLIENT_KEY_EXCHANGE)
		read_message(pdu, type, (struct cursor){ 0 });
	assembly->skip_len = len;
}

/* What the message at hand still wants, out of body. */
static void
continue_assembly(struct tls_pdu *pdu, struct tls_assembly *assembly, struct cursor *body)
{
	size_t left = cursor_left(body);
	uint32_t missing = assembly->want - assembly->have;
	uint32_t len = left < missing ? (uint32_t)left : missing;
	const uint8_t *at = cursor_take(body, len);

	memcpy(assembly->block + assembly->have, at, len);
	assembly->have += len;
	if (assembly->have < assembly->want)
		return;
	/* Rules may look at what was read: the block lives until the record is done. No second one can end in it. */
	pdu->used = assembly->block;
	pdu->used_len = assembly->want;
	read_message(pdu, assembly->head[0], cursor_of(assembly->block, assembly->want));
	*assembly = (struct tls_assembly){ 0 };
}

/* Bytes of a header that is cut by the end of a record. @return whether it is whole now */
static bool
fill_head(struct tls_assembly *assembly, struct cursor *body)
{
	while (assembly->head_len < HEADER_LEN && cursor_left(body) > 0)
		assembly->head[assembly->head_len++] = cursor_u8(body);
	return assembly->head_len == HEADER_LEN;
}

/* @return whether a whole message lay in the record */
static bool
read_whole(struct tls_pdu *pdu, struct cursor *body)
{
	struct cursor head = *body;
	uint8_t type = cursor_u8(&head);
	uint32_t len = cursor_be24(&head);

	if (head.short_read || len > cursor_left(&head))
		return false;
	if (!tls_handshake_is_plausible(type, len))
		proto_event(pdu->ctx, TLS_EVENT_INVALID_HANDSHAKE_MESSAGE);
	read_message(pdu, type, cursor_sub(&head, len));
	*body = head;
	return true;
}

void
tls_handshake_read(struct tls_pdu *pdu, struct cursor body)
{
	struct tls_assembly *assembly = &pdu->end->assembly;

	for (unsigned int i = 0; i < MESSAGES_MAX && cursor_left(&body) > 0; i++) {
		if (assembly->skip_len > 0) {
			uint32_t len = assembly->skip_len < cursor_left(&body) ? assembly->skip_len : (uint32_t)cursor_left(&body);

			cursor_skip(&body, len);
			assembly->skip_len -= len;
		} else if (assembly->block != NULL) {
			continue_assembly(pdu, assembly, &body);
		} else if (assembly->head_len == 0 && read_whole(pdu, &body)) {
			continue;
		} else if (fill_head(assembly, &body)) {
			struct cursor head = cursor_of(assembly->head, HEADER_LEN);
			uint8_t type = cursor_u8(&head);

			if (!tls_handshake_is_plausible(type, cursor_be24(&head))) {
				give_up(pdu);
				return;
			}
			begin_assembly(pdu, assembly);
		}
	}
}
