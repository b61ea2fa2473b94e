/* Identities: what a device says of itself in Read Device Identification (V1.1b3 6.21), as one asset record for each new
 * answer of a flow. Objects of an answer in parts make one record a part. */
#include "lib/base/hash.h"
#include "lib/record/identity.h"
#include "proto/modbus/modbus.h"

/* V1.1b3 6.21, the objects of the basic and regular categories; the vendor's address (3) says nothing of the device. */
static const struct {
	uint8_t object_id;
	uint8_t what; /* enum identity_bit */
} facts[] = {
	{ 0, IDENTITY_VENDOR },  { 1, IDENTITY_ORDER_NUMBER }, { 2, IDENTITY_FIRMWARE },
	{ 4, IDENTITY_PRODUCT }, { 5, IDENTITY_MODEL },        { 6, IDENTITY_NAME },
};

static bool
put_object(struct record_builder *b, struct identity_record *out, uint8_t object_id, struct cursor value)
{
	size_t len = cursor_left(&value);

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		if (facts[i].object_id == object_id) {
			identity_put(b, out, facts[i].what, cursor_take(&value, len), (uint32_t)len);
			return len > 0;
		}
	return false;
}

void
modbus_identity_deliver(struct modbus_pdu *pdu)
{
	struct proto_ctx *ctx = pdu->ctx;
	struct modbus_state *state = ctx->state;
	struct cursor objects = pdu->objects;
	uint8_t unit_id = pdu->half->unit_id;
	struct identity_record *out;
	bool said = false;

	if (!identity_is_new(state->identity_hashes, MODBUS_IDENTITIES_MAX, &state->identity_next,
			crc32c(unit_id, objects.pos, cursor_left(&objects))))
		return;
	out = record_begin(ctx->record, &identity_table);
	out->protocol = "modbus";
	out->of_sender = true;
	for (unsigned int i = 0; i < MODBUS_OBJECTS_MAX && cursor_left(&objects) > 0; i++) {
		uint8_t object_id = cursor_u8(&objects);
		uint8_t len = cursor_u8(&objects);
		struct cursor value = cursor_sub(&objects, len);

		if (objects.short_read)
			break;
		said = put_object(ctx->record, out, object_id, value) || said;
	}
	/* a gateway answers for many devices: the unit tells them apart (TCP V1.0b 3.1.3) */
	identity_put_number(ctx->record, out, IDENTITY_ADDRESS, unit_id);
	if (said)
		proto_deliver(ctx, PROTO_IDENTITY, 0);
}
