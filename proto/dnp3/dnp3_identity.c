/* Identities: what an outstation says of itself in its device attributes (IEEE 1815 annex A.2, group 0), as one asset record for
 * each new answer of a flow. */
#include "lib/base/hash.h"
#include "lib/record/identity.h"
#include "proto/dnp3/dnp3.h"

/* By variation. The owner's name (244) and the identification code the user gave (246) are not the device's. */
static const struct {
	uint8_t variation;
	uint8_t what; /* enum identity_bit */
} facts[] = {
	{ 242, IDENTITY_FIRMWARE }, { 243, IDENTITY_HARDWARE }, { 245, IDENTITY_LOCATION }, { 247, IDENTITY_NAME },
	{ 248, IDENTITY_SERIAL },   { 250, IDENTITY_PRODUCT },  { 252, IDENTITY_VENDOR },
};

/* @return the fact's row; -1: it says nothing of the device */
static int
row_of(uint8_t variation)
{
	for (unsigned int i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		if (facts[i].variation == variation)
			return (int)i;
	return -1;
}

void
dnp3_identity_note(struct dnp3_message *message, uint8_t variation, const uint8_t *text, uint32_t len)
{
	if (message->fact_count == DNP3_FACTS_MAX || len == 0 || len > UINT8_MAX || row_of(variation) < 0)
		return;
	message->facts[message->fact_count++] = (struct dnp3_fact){ .text = text, .len = (uint8_t)len, .variation = variation };
}

void
dnp3_identity_deliver(struct dnp3_message *message, uint16_t address)
{
	struct proto_ctx *ctx = message->ctx;
	struct dnp3_state *state = ctx->state;
	struct identity_record *out;
	uint32_t hash = address;

	for (unsigned int i = 0; i < message->fact_count; i++)
		hash = crc32c(hash + message->facts[i].variation, message->facts[i].text, message->facts[i].len);
	if (!identity_is_new(state->identity_hashes, DNP3_IDENTITIES_MAX, &state->identity_next, hash))
		return;
	out = record_begin(ctx->record, &identity_table);
	out->protocol = "dnp3";
	out->of_sender = true;
	for (unsigned int i = 0; i < message->fact_count; i++) {
		const struct dnp3_fact *fact = &message->facts[i];

		identity_put(ctx->record, out, facts[row_of(fact->variation)].what, fact->text, fact->len);
	}
	identity_put_number(ctx->record, out, IDENTITY_ADDRESS, address);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
