/*
 * Identities: what devices say of themselves, in List Identity and through the Identity
 * object (CIP 5-2), as one asset record for each new answer of a flow.
 */
#include "proto/enip/enip.h"

enum identity_attribute { VENDOR = 1, DEVICE_TYPE, PRODUCT_CODE, REVISION, STATUS, SERIAL, NAME };

enum { NUMBER_LEN_MAX = 16, ROUTE_LEN_MAX = 64 };

/* Facts enough to know a device by. */
enum { FACTS_WANTED = 1u << SERIAL | 1u << NAME };

void
enip_fact(struct enip_pdu *pdu, uint32_t attribute_id, struct cursor value)
{
	struct enip_facts *facts = &pdu->facts;
	size_t len;

	switch (attribute_id) {
	case VENDOR:
		facts->vendor_id = cursor_le16(&value);
		break;
	case DEVICE_TYPE:
		facts->device_type = cursor_le16(&value);
		break;
	case PRODUCT_CODE:
		facts->product_code = cursor_le16(&value);
		break;
	case REVISION:
		facts->revision = cursor_be16(&value);
		break;
	case SERIAL:
		facts->serial = cursor_le32(&value);
		break;
	case NAME:
		len = cursor_u8(&value);
		facts->name = cursor_take(&value, len);
		facts->name_len = (uint32_t)len;
		break;
	default:
		return;
	}
	if (!value.short_read)
		facts->has |= 1u << attribute_id;
}

static size_t
put_decimal(char *out, uint32_t number)
{
	char digits[10];
	size_t len = 0, at = 0;

	do
		digits[len++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (len > 0)
		out[at++] = digits[--len];
	return at;
}

static size_t
revision_text(char out[NUMBER_LEN_MAX], uint16_t revision)
{
	size_t len = put_decimal(out, revision >> 8 & 0x7f); /* the top bit is the key's compatibility bit */

	out[len++] = '.';
	return len + put_decimal(out + len, revision & 0xff);
}

void
enip_put_revision(struct enip_pdu *pdu, struct record_ref *ref, uint16_t revision)
{
	char text[NUMBER_LEN_MAX];

	record_put_bytes(pdu->ctx->record, ref, text, (uint32_t)revision_text(text, revision));
}

/* Eight hex digits, as the devices' labels and tools show it. */
static void
put_serial(struct record_builder *b, struct identity_record *out, uint32_t serial)
{
	static const char digits[] = "0123456789abcdef";
	char text[8];

	for (unsigned int i = 0; i < sizeof(text); i++)
		text[i] = digits[serial >> (28 - 4 * i) & 0xf];
	identity_put(b, out, IDENTITY_SERIAL, text, sizeof(text));
}

static void
put_code(struct record_builder *b, struct identity_record *out, enum identity_bit what, const struct field_names *names,
	uint16_t code)
{
	const char *name = names == NULL ? NULL : field_name_of(names, code);

	if (name != NULL && name != names->unknown)
		identity_put(b, out, what, name, (uint32_t)strlen(name));
	else
		identity_put_number(b, out, what, code);
}

/* The way to a device behind the one that answered: "1,0" is port 1, link address 0. Read before the record goes. */
static size_t
route_text(const struct enip_pdu *pdu, char out[ROUTE_LEN_MAX])
{
	const uint8_t *base = pdu->ctx->record->base;
	const struct enip_message *embedded = (const void *)(base + pdu->record->request.cip.embedded.first);
	uint32_t at = pdu->routed ? embedded->route_path.first : 0;
	size_t len = 0;

	for (unsigned int i = 0; at != 0 && i < ENIP_SEGMENTS_MAX && len < ROUTE_LEN_MAX - 2 * NUMBER_LEN_MAX; i++) {
		const struct enip_segment *segment = (const void *)(base + at);
		const uint8_t *link = base + segment->text.off;

		at = segment->head.next;
		if (segment->type != 0)
			continue;
		if (len > 0)
			out[len++] = ',';
		len += put_decimal(out + len, segment->value);
		out[len++] = ',';
		if (segment->text.count == 1)
			len += put_decimal(out + len, link[0]);
		for (uint32_t j = 0; segment->text.count > 1 && j < segment->text.count && len < ROUTE_LEN_MAX - 1; j++)
			out[len++] = (char)link[j];
	}
	return len;
}

static uint32_t
facts_hash(const struct enip_facts *facts)
{
	uint64_t mixed = (uint64_t)facts->serial << 32 ^ (uint64_t)facts->vendor_id << 16 ^ facts->product_code ^
		(uint64_t)facts->revision << 40 ^ facts->has;

	for (uint32_t i = 0; i < facts->name_len && (facts->has & 1u << NAME) != 0; i++)
		mixed = mixed * 31 + facts->name[i];
	mixed *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(mixed >> 32);
}

void
enip_identity_deliver(struct enip_pdu *pdu)
{
	const struct enip_facts *facts = &pdu->facts;
	struct record_builder *b = pdu->ctx->record;
	struct enip_state *state = pdu->ctx->state;
	char route[ROUTE_LEN_MAX], revision[NUMBER_LEN_MAX];
	struct identity_record *out;
	size_t route_len;

	if ((facts->has & FACTS_WANTED) == 0)
		return;
	if (!identity_is_new(state->identity_hashes, ENIP_IDENTITIES_MAX, &state->identity_next, facts_hash(facts)))
		return;
	route_len = route_text(pdu, route);
	out = record_begin(b, &identity_table);
	out->protocol = "enip";
	out->of_sender = true;
	if (facts->has & 1u << VENDOR)
		put_code(b, out, IDENTITY_VENDOR, &enip_vendors, facts->vendor_id);
	if (facts->has & 1u << NAME)
		identity_put(b, out, IDENTITY_PRODUCT, facts->name, facts->name_len);
	if (facts->has & 1u << PRODUCT_CODE)
		put_code(b, out, IDENTITY_ORDER_NUMBER, NULL, facts->product_code);
	if (facts->has & 1u << REVISION)
		identity_put(b, out, IDENTITY_FIRMWARE, revision, (uint32_t)revision_text(revision, facts->revision));
	if (facts->has & 1u << SERIAL)
		put_serial(b, out, facts->serial);
	if (facts->has & 1u << DEVICE_TYPE)
		put_code(b, out, IDENTITY_ROLE, &enip_device_types, facts->device_type);
	identity_put(b, out, IDENTITY_ADDRESS, route, (uint32_t)route_len);
	proto_deliver(pdu->ctx, PROTO_IDENTITY, 0);
}
