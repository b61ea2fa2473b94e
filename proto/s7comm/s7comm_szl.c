/* System status lists: what a device says of itself. */
#include "proto/s7comm/s7comm.h"

enum {
	PART_MASK = 0xff,       /* the list's number, without extract and module class */
	ORDER_NUMBER_LEN = 20,
	COMPONENT_TEXT_LEN = 32,
	EVENT_INFO_LEN = 10,
	DIAGNOSTIC_LEN = 20,
	INDEX_MODULE = 1,
	INDEX_HARDWARE = 6,
	INDEX_FIRMWARE = 7,
	INDEX_PROTECTION = 4,
	CHECKSUMS_VALID = 0x5656,
	VERSION_MARK = 'V',
};

/* 0x1c: what the texts of an index are, as far as the inventory has a place for them. */
static const struct {
	uint8_t index;
	uint8_t what;
} components[] = {
	{ 1, IDENTITY_NAME },      { 2, IDENTITY_PRODUCT }, { 3, IDENTITY_ROLE },     { 5, IDENTITY_SERIAL },
	{ 7, IDENTITY_MODEL },     { 11, IDENTITY_LOCATION },
};

static void
remember(struct s7_message *message, enum identity_bit what, const void *text, uint32_t len)
{
	struct s7_identity *identity = &message->identity;
	const char *first = text;

	/* Texts that were never set are blank. */
	if (identity->count == sizeof(identity->texts) / sizeof(identity->texts[0]) || text == NULL || first[0] == '\0' ||
		first[0] == ' ')
		return;
	if (len > S7_TEXT_MAX)
		len = S7_TEXT_MAX;
	identity->texts[identity->count].what = (uint8_t)what;
	identity->texts[identity->count].len = (uint8_t)len;
	memcpy(identity->texts[identity->count].text, text, len);
	identity->count++;
}

static unsigned int
put_decimal(char *out, uint8_t value)
{
	unsigned int len = 0;

	if (value >= 100)
		out[len++] = (char)('0' + value / 100);
	if (value >= 10)
		out[len++] = (char)('0' + value / 10 % 10);
	out[len++] = (char)('0' + value % 10);
	return len;
}

/* Version octets: 'V', major, minor, patch; hardware has a plain number. */
static void
remember_version(struct s7_message *message, enum identity_bit what, const struct s7_entry *entry)
{
	char text[16];
	unsigned int len = 0;

	if (entry->version[0] >> 8 == VERSION_MARK) {
		text[len++] = VERSION_MARK;
		len += put_decimal(&text[len], entry->version[0] & 0xff);
		text[len++] = '.';
		len += put_decimal(&text[len], (uint8_t)(entry->version[1] >> 8));
		text[len++] = '.';
		len += put_decimal(&text[len], entry->version[1] & 0xff);
	} else if (what == IDENTITY_HARDWARE && entry->version[0] < 256) {
		len = put_decimal(text, (uint8_t)entry->version[0]);
	}
	if (len > 0)
		remember(message, what, text, len);
}

static void
put_text(struct s7_message *message, struct s7_entry *entry, const uint8_t *text, uint32_t len)
{
	while (text != NULL && len > 0 && (text[len - 1] == 0 || text[len - 1] == ' '))
		len--;
	if (text != NULL)
		record_put_bytes(message->ctx->record, &entry->text, text, len);
}

static void
entry_has(struct s7_entry *entry, enum s7_entry_bit bit)
{
	record_present(&entry->head, (uint8_t)bit);
}

static void
put_data(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	uint32_t len = (uint32_t)cursor_left(in);

	record_put_bytes(message->ctx->record, &entry->data, cursor_take(in, len), len);
	entry_has(entry, S7_ENTRY_DATA);
}

static void
read_index(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	entry->index = cursor_be16(in);
	entry->index_key = (uint16_t)((message->record->szl_id & PART_MASK) << 8 | (entry->index & PART_MASK));
	entry_has(entry, S7_ENTRY_INDEX);
	entry_has(entry, S7_ENTRY_NAME);
}

static void
read_module(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	const uint8_t *order_number;

	read_index(message, entry, in);
	order_number = cursor_take(in, ORDER_NUMBER_LEN);
	put_text(message, entry, order_number, ORDER_NUMBER_LEN);
	entry->module_type = cursor_be16(in);
	entry->version[0] = cursor_be16(in);
	entry->version[1] = cursor_be16(in);
	entry_has(entry, S7_ENTRY_ORDER);
	entry_has(entry, S7_ENTRY_TEXT);
	if (entry->index == INDEX_MODULE)
		remember(message, IDENTITY_ORDER_NUMBER, order_number, ORDER_NUMBER_LEN);
	if (entry->index == INDEX_MODULE || entry->index == INDEX_HARDWARE)
		remember_version(message, IDENTITY_HARDWARE, entry);
	if (entry->index == INDEX_FIRMWARE)
		remember_version(message, IDENTITY_FIRMWARE, entry);
}

static void
read_component(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	const uint8_t *text;

	read_index(message, entry, in);
	text = cursor_take(in, COMPONENT_TEXT_LEN);
	put_text(message, entry, text, COMPONENT_TEXT_LEN);
	entry_has(entry, S7_ENTRY_TEXT);
	for (unsigned int i = 0; i < sizeof(components) / sizeof(components[0]); i++)
		if (components[i].index == (entry->index & PART_MASK))
			remember(message, components[i].what, text, COMPONENT_TEXT_LEN);
}

/* Event, priority, organisation block, ten octets of detail, time. */
static void
read_diagnostic(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	struct cursor info;

	entry->event_id = cursor_be16(in);
	entry->priority = cursor_u8(in);
	entry->ob = cursor_u8(in);
	info = cursor_sub(in, 2 + EVENT_INFO_LEN - 4);
	entry_has(entry, S7_ENTRY_EVENT);
	put_data(message, entry, &info);
	if (s7_read_clock(in, &entry->time_ns))
		entry_has(entry, S7_ENTRY_TIME);
}

static void
read_mode(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	uint8_t modes;

	(void)message;
	cursor_skip(in, 3);
	modes = cursor_u8(in);
	entry->mode = modes & 0x0f;
	entry->previous_mode = modes >> 4;
	entry_has(entry, S7_ENTRY_MODE);
}

/* Rack and kind of CPU, the LED, whether it is on, whether it flashes. */
static void
read_led(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	(void)message;
	cursor_skip(in, 1);
	entry->led = cursor_u8(in);
	entry->led_on = cursor_u8(in);
	entry->led_flashing = cursor_u8(in);
	entry_has(entry, S7_ENTRY_LED);
}

/* Communication status data, of which index 4 is protection: levels, switches, and checksums where they are marked valid. */
static void
read_status(struct s7_message *message, struct s7_entry *entry, struct cursor *in)
{
	struct cursor whole = *in;
	uint16_t valid, checksums[4];

	read_index(message, entry, in);
	if (entry->index == INDEX_PROTECTION) {
		for (unsigned int i = 0; i < sizeof(entry->protection) / sizeof(entry->protection[0]); i++)
			entry->protection[i] = cursor_be16(in);
		entry->switch_position = cursor_be16(in);
		cursor_skip(in, 4);
		valid = cursor_be16(in);
		for (unsigned int i = 0; i < sizeof(checksums) / sizeof(checksums[0]); i++)
			checksums[i] = cursor_be16(in);
		if (!in->short_read) {
			entry_has(entry, S7_ENTRY_PROTECTION);
			entry->configuration_checksum = (uint32_t)checksums[0] << 16 | checksums[1];
			entry->program_checksum = (uint32_t)checksums[2] << 16 | checksums[3];
			if (valid == CHECKSUMS_VALID)
				entry_has(entry, S7_ENTRY_CHECKSUMS);
		}
	}
	put_data(message, entry, &whole);
}

static const struct {
	uint8_t part;
	uint8_t len_min;
	void (*read)(struct s7_message *message, struct s7_entry *entry, struct cursor *in);
} lists[] = {
	{ S7_SZL_MODULE, 28, read_module },
	{ S7_SZL_LEDS, 4, read_led },
	{ S7_SZL_COMPONENT, 34, read_component },
	{ S7_SZL_MODES, 4, read_mode },
	{ S7_SZL_STATUS, 4, read_status },
	{ S7_SZL_LEDS_H, 4, read_led },
	{ S7_SZL_DIAGNOSTIC, DIAGNOSTIC_LEN, read_diagnostic },
};

static struct s7_entry *
append_entry(struct s7_message *message)
{
	s7_has(message, S7_HAS_SZL_ENTRIES);
	return record_append(message->ctx->record, &message->record->entries, s7_entry_tables, 0);
}

static void
read_entry(struct s7_message *message, struct cursor in)
{
	struct s7_entry *entry = append_entry(message);
	uint32_t len = (uint32_t)cursor_left(&in);

	if (entry == NULL)
		return;
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (lists[i].part == (message->record->szl_id & PART_MASK) && len >= lists[i].len_min) {
			lists[i].read(message, entry, &in);
			return;
		}
	put_data(message, entry, &in);
}

void
s7_read_diagnostic(struct s7_message *message, struct cursor *in)
{
	struct s7_entry *entry;

	if (cursor_left(in) >= DIAGNOSTIC_LEN && (entry = append_entry(message)) != NULL)
		read_diagnostic(message, entry, in);
	s7_put_data(message, in);
}

/* Whole entries; what is left of the last one waits for the next message when there is one. */
static void
read_entries(struct s7_message *message, struct cursor *in, uint16_t entry_length, unsigned int count)
{
	struct s7_state *state = message->ctx->state;
	uint32_t left;

	for (unsigned int i = 0; i < count && entry_length > 0 && cursor_left(in) >= entry_length; i++)
		read_entry(message, cursor_sub(in, entry_length));
	left = (uint32_t)cursor_left(in);
	state->szl.data_unit = 0;
	if (message->record->last_data_unit == 0 || !record_is_present(message->record, S7_HAS_DATA_UNIT) ||
		entry_length > S7_SZL_ENTRY_MAX || left >= S7_SZL_ENTRY_MAX || entry_length == 0)
		return;
	state->szl = (struct s7_szl_rest){ .id = message->record->szl_id, .index = message->record->szl_index,
		.entry_length = entry_length, .data_unit = message->record->data_unit, .to_server = message->ctx->to_server, .len = (uint8_t)left };
	if (left > 0)
		memcpy(state->szl.bytes, cursor_take(in, left), left);
}

/* A later message of a long list: no head, only the bytes that follow. */
static void
read_rest(struct s7_message *message, struct cursor *in)
{
	struct s7_state *state = message->ctx->state;
	struct s7_szl_rest rest = state->szl;
	uint32_t wanted = rest.len == 0 ? 0 : (uint32_t)rest.entry_length - rest.len;

	message->record->szl_id = rest.id;
	message->record->szl_part = rest.id & PART_MASK;
	message->record->szl_index = rest.index;
	s7_has(message, S7_HAS_SZL);
	if (wanted > 0 && cursor_left(in) >= wanted) {
		memcpy(rest.bytes + rest.len, cursor_take(in, wanted), wanted);
		read_entry(message, cursor_of(rest.bytes, rest.entry_length));
	}
	read_entries(message, in, rest.entry_length, S7_ENTRIES_MAX);
}

void
s7_read_szl(struct s7_message *message, struct cursor *in)
{
	struct s7_record *record = message->record;
	const struct s7_state *state = message->ctx->state;
	bool more_of_it = message->half->kind == S7_KIND_RESPONSE && state->szl.data_unit != 0 &&
		record_is_present(record, S7_HAS_DATA_UNIT) && record->data_unit == state->szl.data_unit;

	if (cursor_left(in) == 0)
		return;
	if (more_of_it) {
		read_rest(message, in);
		return;
	}
	record->szl_id = cursor_be16(in);
	record->szl_part = record->szl_id & PART_MASK;
	record->szl_index = cursor_be16(in);
	s7_has(message, S7_HAS_SZL);
	if (message->half->kind != S7_KIND_RESPONSE || cursor_left(in) == 0)
		return;
	record->szl_entry_length = cursor_be16(in);
	record->szl_count = cursor_be16(in);
	s7_has(message, S7_HAS_SZL_LENGTHS);
	read_entries(message, in, record->szl_entry_length, record->szl_count < S7_ENTRIES_MAX ? record->szl_count : S7_ENTRIES_MAX);
}

void
s7_deliver_identity(struct s7_message *message)
{
	const struct s7_identity *found = &message->identity;
	struct proto_ctx *ctx = message->ctx;
	struct identity_record *record;

	if (found->count == 0)
		return;
	record = record_begin(ctx->record, &identity_table);
	record->protocol = "s7comm";
	record->of_sender = true;
	identity_put(ctx->record, record, IDENTITY_VENDOR, "Siemens", sizeof("Siemens") - 1);
	for (unsigned int i = 0; i < found->count; i++)
		if (!record_is_present(record, found->texts[i].what))
			identity_put(ctx->record, record, found->texts[i].what, found->texts[i].text, found->texts[i].len);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}
