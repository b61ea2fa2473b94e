#include "lib/record/identity.h"

#define TEXT(bit, path, help) \
	{ path, FIELD_STRING, bit, 0, offsetof(struct identity_record, texts) + (bit) * sizeof(struct record_ref), NULL, NULL, "", help }

static const struct field fields[] = {
	{ "protocol", FIELD_TEXT, FIELD_ALWAYS, 0, offsetof(struct identity_record, protocol), NULL, NULL, "",
		"the protocol it was said in" },
	{ "of_sender", FIELD_BOOL, FIELD_ALWAYS, 0, offsetof(struct identity_record, of_sender), NULL, NULL, "",
		"src_ip is the device; else dest_ip is" },
	TEXT(IDENTITY_VENDOR, "vendor", "maker"),
	TEXT(IDENTITY_PRODUCT, "product", "product name or code"),
	TEXT(IDENTITY_MODEL, "model", "model"),
	TEXT(IDENTITY_ORDER_NUMBER, "order_number", "the maker's order number"),
	TEXT(IDENTITY_SERIAL, "serial", "serial number"),
	TEXT(IDENTITY_FIRMWARE, "firmware", "firmware version"),
	TEXT(IDENTITY_HARDWARE, "hardware", "hardware version"),
	TEXT(IDENTITY_NAME, "name", "name that the user gave it"),
	TEXT(IDENTITY_LOCATION, "location", "where it is, as it says"),
	TEXT(IDENTITY_ROLE, "role", "what it is: controller, drive, gateway, …"),
	TEXT(IDENTITY_ADDRESS, "address", "its address in the protocol: unit, station, slot"),
};

const struct record_table identity_table = { "asset", fields, sizeof(fields) / sizeof(fields[0]),
	sizeof(struct identity_record) };

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\0' || c == '\t' || c == '\r' || c == '\n';
}

void
identity_put(struct record_builder *b, struct identity_record *record, enum identity_bit what, const void *text,
	uint32_t len)
{
	const uint8_t *bytes = text;
	uint32_t from = 0;

	while (from < len && is_blank(bytes[from]))
		from++;
	while (len > from && is_blank(bytes[len - 1]))
		len--;
	if (from == len)
		return;
	record_put_bytes(b, &record->texts[what], bytes + from, len - from);
	record_present(&record->head, (uint8_t)what);
}

void
identity_put_number(struct record_builder *b, struct identity_record *record, enum identity_bit what, uint32_t number)
{
	char digits[10]; /* of 2^32 - 1 */
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	identity_put(b, record, what, digits + at, (uint32_t)(sizeof(digits) - at));
}

bool
identity_is_new(uint32_t hashes[], uint8_t count, uint8_t *next, uint32_t hash)
{
	hash |= 1; /* 0 is no answer */
	for (uint8_t i = 0; i < count; i++)
		if (hashes[i] == hash)
			return false;
	hashes[*next] = hash;
	*next = (uint8_t)((*next + 1) % count);
	return true;
}
