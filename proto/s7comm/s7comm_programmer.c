/* Programmer commands: variables watched, modified and forced, and the jobs that do it. */
#include "proto/s7comm/s7comm.h"

enum {
	VARIABLE_STATUS = 2,
	MODIFY = 8,
	FORCE = 9,
	JOB_FIRST = 0x0d, /* disabled, enabled, deleted, listed, read, replaced */
	JOB_LAST = 0x12,
	PARAMETERS_LEN = 20,
	TRIGGER_AT = 18,
	VARIABLE_LEN = 6,
	AREA_COUNTER = 6,
	AREA_TIMER = 5,
};

static void
item_has(struct s7_item *item, enum s7_item_bit bit)
{
	record_present(&item->head, (uint8_t)bit);
}

/* The area in the high half of an octet, the size in the low one; then how often, or of a bit which; block, byte. */
static void
read_variable(struct s7_message *message, struct cursor *in)
{
	static const uint8_t areas[] = { S7_AREA_FLAG, S7_AREA_INPUT, S7_AREA_OUTPUT, S7_AREA_PERIPHERAL, 0, S7_AREA_TIMER,
		S7_AREA_COUNTER, S7_AREA_DB };
	static const uint8_t sizes[] = { S7_TRANSPORT_BIT, S7_TRANSPORT_BYTE, S7_TRANSPORT_WORD, S7_TRANSPORT_DWORD };
	struct s7_item *item = s7_append_item(message);
	uint8_t code = cursor_u8(in);
	uint8_t repeat = cursor_u8(in), area = code >> 4, size = code & 0x0f;

	if (item == NULL)
		return;
	item->count = 1;
	item->db_number = cursor_be16(in);
	item->byte_address = cursor_be16(in);
	item_has(item, S7_ITEM_ADDRESS);
	item_has(item, S7_ITEM_COUNT);
	if (area < sizeof(areas) && areas[area] != 0) {
		item->area = areas[area];
		item_has(item, S7_ITEM_AREA);
	}
	if (item->area == S7_AREA_DB)
		item_has(item, S7_ITEM_DB);
	if (area == AREA_TIMER || area == AREA_COUNTER)
		item->transport = area == AREA_TIMER ? S7_TRANSPORT_TIMER : S7_TRANSPORT_COUNTER;
	else if (size < sizeof(sizes))
		item->transport = sizes[size];
	if (item->transport != 0)
		item_has(item, S7_ITEM_TRANSPORT);
	if (item->transport == S7_TRANSPORT_BIT) {
		item->bit_address = repeat;
		item_has(item, S7_ITEM_BIT_ADDRESS);
	} else {
		item->count = repeat;
	}
}

static void
read_request(struct s7_message *message, struct cursor *parameters, struct cursor *data)
{
	struct s7_record *record = message->record;
	uint8_t subfunction = record->subfunction;
	unsigned int count;

	if (cursor_left(parameters) >= PARAMETERS_LEN) {
		cursor_skip(parameters, TRIGGER_AT);
		record->trigger = cursor_be16(parameters);
		s7_has(message, S7_HAS_TRIGGER);
	}
	if (subfunction >= JOB_FIRST && subfunction <= JOB_LAST && cursor_left(data) >= 2) {
		uint8_t function = cursor_u8(data);

		record->job_key = (uint16_t)(S7_GROUP_PROGRAMMER << 8 | function);
		record->job = cursor_u8(data);
		if (function != 0)
			s7_has(message, S7_HAS_JOB);
	}
	if (subfunction != VARIABLE_STATUS && subfunction != MODIFY && subfunction != FORCE)
		return;
	count = cursor_be16(data);
	for (unsigned int i = 0; i < count && i < S7_ITEMS_MAX && cursor_left(data) >= VARIABLE_LEN; i++)
		read_variable(message, data);
	if (subfunction != VARIABLE_STATUS)
		s7_read_values(message, data, count);
}

static void
read_push(struct s7_message *message, struct cursor *data)
{
	uint8_t subfunction = message->record->subfunction;
	unsigned int count = cursor_be16(data);

	if (subfunction == VARIABLE_STATUS)
		s7_read_values(message, data, count);
	else if (subfunction == MODIFY)
		s7_read_return_codes(message, data, count);
}

/* What is asked, and what is told of it, are parameters and data with a length each. */
void
s7_read_programmer(struct s7_message *message, struct cursor *in)
{
	struct cursor whole = *in, parameters, data;
	uint16_t parameters_len, data_len;

	parameters_len = cursor_be16(in);
	data_len = cursor_be16(in);
	parameters = cursor_sub(in, parameters_len);
	data = cursor_sub(in, data_len);
	if (!in->short_read && !s7_is_part(message)) {
		if (message->half->kind == S7_KIND_REQUEST)
			read_request(message, &parameters, &data);
		else if (message->half->kind == S7_KIND_PUSH)
			read_push(message, &data);
	}
	s7_put_data(message, &whole);
}
