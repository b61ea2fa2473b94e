/* What an ASDU's objects say, for who wants changes only; and the stations behind a flow. */
#include "proto/iec104/iec104.h"

void
iec104_values_compare(struct proto_ctx *ctx, const struct iec104_asdu *asdu, const struct iec104_record *record)
{
	uint32_t at = record->objects.first;

	for (uint32_t i = 0; i < record->objects.count; i++) {
		const struct iec104_object *object = (const void *)(ctx->record->base + at);
		uint64_t point = (uint64_t)asdu->type_id << 48 | (uint64_t)asdu->common_address << 32 | object->obj_addr;

		/* Without the sequence number of a counter reading, which counts readings. */
		proto_value(ctx, point, (uint64_t)object->value.u32 << 32 | (uint32_t)object->quality << 8 | object->flag);
		at = object->head.next;
	}
}

void
iec104_identity_tell(struct proto_ctx *ctx, uint16_t common_address)
{
	static const char role[] = "controlled station";
	struct iec104_state *state = ctx->state;
	struct identity_record *identity;
	char digits[5];
	uint32_t len = 0;

	for (unsigned int i = 0; i < state->station_count; i++)
		if (state->stations[i] == common_address)
			return;
	if (state->station_count == IEC104_STATIONS_MAX)
		return;
	state->stations[state->station_count++] = common_address;
	for (uint32_t rest = common_address; rest > 0 || len == 0; rest /= 10)
		digits[sizeof(digits) - ++len] = (char)('0' + rest % 10);
	identity = record_begin(ctx->record, &identity_table);
	identity->protocol = "iec104";
	identity->of_sender = true;
	identity_put(ctx->record, identity, IDENTITY_ROLE, role, sizeof(role) - 1);
	identity_put(ctx->record, identity, IDENTITY_ADDRESS, digits + sizeof(digits) - len, len);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
