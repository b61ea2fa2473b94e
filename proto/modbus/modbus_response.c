/* Bodies of responses, one function for each layout (V1.1b3 6), and their comparison with the request. */
#include "proto/modbus/modbus.h"

/* V1.1b3 6.1 to 6.4 and 6.17. How many bits of the last byte count is known only from the request. */
void
modbus_response_read(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	uint8_t byte_count = cursor_u8(body);
	uint32_t len, bit_count;
	const uint8_t *data;

	if (body->short_read)
		return;
	data = modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_READ);
	modbus_has(pdu, half->access & MODBUS_BITS ? MODBUS_HAS_READ_BITS : MODBUS_HAS_READ_VALUES);
	if (byte_count == 0 || byte_count > 250 || byte_count != len)
		half->errors |= MODBUS_ERROR_VALUE;
	if (half->access & MODBUS_BITS) {
		bit_count = 8 * len;
		if (pdu->request != NULL && pdu->request->read_quantity < bit_count)
			bit_count = pdu->request->read_quantity;
		modbus_put_bits(pdu, &half->values, data, len, bit_count);
	} else {
		if (byte_count % 2 != 0)
			half->errors |= MODBUS_ERROR_VALUE;
		modbus_put_registers(pdu, &half->values, data, byte_count < len ? byte_count : len);
	}
}

/* V1.1b3 6.5, 6.6, 6.11, 6.12: the address, and the value of one or the quantity of several. */
void
modbus_response_write(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;

	half->write_address = cursor_be16(body);
	half->write_quantity = cursor_be16(body);
	if (body->short_read)
		return;
	modbus_has(pdu, MODBUS_HAS_WRITE);
	modbus_has(pdu, MODBUS_HAS_WRITE_SINGLE);
	if ((half->access & MODBUS_MULTIPLE) && half->write_quantity == 0)
		half->errors |= MODBUS_ERROR_VALUE;
}

/* V1.1b3 6.7. */
void
modbus_response_exception_status(struct modbus_pdu *pdu, struct cursor *body)
{
	pdu->half->exception_status = cursor_u8(body);
	if (!body->short_read)
		modbus_has(pdu, MODBUS_HAS_EXCEPTION_STATUS);
}

/* V1.1b3 6.9. */
void
modbus_response_event_counter(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;

	half->status = cursor_be16(body);
	half->event_count = cursor_be16(body);
	if (body->short_read)
		return;
	modbus_has(pdu, MODBUS_HAS_EVENT_COUNTER);
	if (half->status != 0 && half->status != 0xffff)
		half->errors |= MODBUS_ERROR_VALUE;
}

/* V1.1b3 6.10. */
void
modbus_response_event_log(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	uint8_t byte_count = cursor_u8(body);
	uint32_t len;

	if (!body->short_read && byte_count != cursor_left(body))
		half->errors |= MODBUS_ERROR_VALUE;
	half->status = cursor_be16(body);
	half->event_count = cursor_be16(body);
	half->message_count = cursor_be16(body);
	if (body->short_read)
		return;
	modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_EVENT_COUNTER);
	modbus_has(pdu, MODBUS_HAS_EVENT_LOG);
}

static bool
is_run_indicator(uint8_t value)
{
	return value == 0x00 || value == 0xff;
}

/* V1.1b3 6.13 leaves the lengths to the device. Nearly all have one byte of id, the run indicator, and text; some
 * have their text as the id and the run indicator last. The run indicator's two values tell them apart. */
void
modbus_response_server_id(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	uint8_t byte_count = cursor_u8(body);
	size_t id_len = cursor_left(body);
	const uint8_t *data = cursor_take(body, id_len);
	const uint8_t *text = NULL;
	size_t text_len = 0;
	bool has_run = false;

	if (data == NULL || body->short_read)
		return;
	if (byte_count != id_len)
		half->errors |= MODBUS_ERROR_VALUE;
	if (id_len >= 2 && is_run_indicator(data[1])) {
		has_run = true;
		half->run_indicator = data[1];
		text = data + 2;
		text_len = id_len - 2;
		id_len = 1;
	} else if (id_len >= 2 && is_run_indicator(data[id_len - 1])) {
		has_run = true;
		half->run_indicator = data[--id_len];
		text = data;
		text_len = id_len;
	}
	record_put_bytes(pdu->ctx->record, &half->data, data, (uint32_t)id_len);
	modbus_has(pdu, MODBUS_HAS_SERVER);
	if (has_run)
		modbus_has(pdu, MODBUS_HAS_SERVER_RUN);
	if (text_len > 0) {
		record_put_bytes(pdu->ctx->record, &half->text, text, (uint32_t)text_len);
		modbus_has(pdu, MODBUS_HAS_SERVER_TEXT);
	}
}

/* V1.1b3 6.14: each sub-response is its length, the reference type, and the registers. */
void
modbus_response_read_file(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	uint8_t byte_count = cursor_u8(body);

	if (body->short_read)
		return;
	if (byte_count != cursor_left(body))
		half->errors |= MODBUS_ERROR_VALUE;
	modbus_has(pdu, MODBUS_HAS_FILE_RECORDS);
	for (unsigned int i = 0; i < MODBUS_FILE_RECORDS_MAX && cursor_left(body) > 0; i++) {
		uint8_t len = cursor_u8(body);
		struct cursor sub = cursor_sub(body, len);
		uint8_t reference_type = cursor_u8(&sub);
		uint32_t data_len = (uint32_t)cursor_left(&sub);
		const uint8_t *data = cursor_take(&sub, data_len);
		struct modbus_file_record *record;

		if (body->short_read || sub.short_read)
			break;
		record = record_append(pdu->ctx->record, &half->list, modbus_file_record_tables, 0);
		if (record == NULL)
			break;
		record->reference_type = reference_type;
		record->record_length = (uint16_t)(data_len / 2);
		record_put_bytes(pdu->ctx->record, &record->data, data, data_len);
		modbus_put_registers(pdu, &record->values, data, data_len);
		record_present(&record->head, MODBUS_FILE_TYPE);
		record_present(&record->head, MODBUS_FILE_LENGTH);
		record_present(&record->head, MODBUS_FILE_DATA);
		if (reference_type != 6 || data_len % 2 != 0)
			half->errors |= MODBUS_ERROR_VALUE;
	}
}

/* V1.1b3 6.18: byte count, count of registers (31 at most), the registers. */
void
modbus_response_fifo(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	uint16_t byte_count = cursor_be16(body);
	size_t left = cursor_left(body);
	const uint8_t *data;
	uint32_t len;

	half->fifo = cursor_be16(body);
	if (body->short_read)
		return;
	data = modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_FIFO);
	if (byte_count != left || half->fifo > pdu->function->quantity_max || len != 2u * half->fifo)
		half->errors |= MODBUS_ERROR_VALUE;
	modbus_put_registers(pdu, &half->values, data, len);
}

static void
read_objects(struct modbus_pdu *pdu, struct cursor *inner)
{
	struct modbus_half *half = pdu->half;
	unsigned int max = half->object_count < MODBUS_OBJECTS_MAX ? half->object_count : MODBUS_OBJECTS_MAX;

	for (unsigned int i = 0; i < max; i++) {
		uint8_t id = cursor_u8(inner);
		uint8_t len = cursor_u8(inner);
		const uint8_t *value = cursor_take(inner, len);
		struct modbus_object *object;

		if (inner->short_read)
			break;
		object = record_append(pdu->ctx->record, &half->list, modbus_object_tables, 0);
		if (object == NULL)
			return;
		object->id = id;
		record_put_bytes(pdu->ctx->record, &object->value, value, len);
	}
	if (inner->short_read || cursor_left(inner) > 0)
		half->errors |= MODBUS_ERROR_LENGTH;
}

/* V1.1b3 6.19 to 6.21. */
void
modbus_response_mei(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	struct cursor inner;

	if (!modbus_take_mei(pdu, body, &inner))
		return;
	half->conformity_level = cursor_u8(&inner);
	half->more_follows = cursor_u8(&inner);
	half->object_id = cursor_u8(&inner);
	half->object_count = cursor_u8(&inner);
	if (inner.short_read) {
		half->errors |= MODBUS_ERROR_LENGTH;
		return;
	}
	modbus_has(pdu, MODBUS_HAS_IDENTIFICATION);
	modbus_has(pdu, MODBUS_HAS_OBJECTS);
	if (half->more_follows != 0 && half->more_follows != 0xff)
		half->errors |= MODBUS_ERROR_VALUE;
	pdu->objects = inner;
	read_objects(pdu, &inner);
}

/* V1.1b3 7. Code 08 belongs to the file functions; 05, 06, 07, 0A, 0B may answer any; others are not assigned. */
void
modbus_read_exception(struct modbus_pdu *pdu, struct cursor *body)
{
	static const uint16_t any = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 11;
	struct modbus_half *half = pdu->half;
	uint32_t allowed = (uint32_t)pdu->function->exceptions << 1 | any;

	half->exception = cursor_u8(body);
	if (body->short_read)
		return;
	modbus_has(pdu, MODBUS_HAS_EXCEPTION);
	if (half->exception > 31 || (allowed >> half->exception & 1) == 0)
		half->errors |= MODBUS_ERROR_EXCEPTION;
}

/* Return query data (0), restart (1) and change delimiter (3) echo the request's data (V1.1b3 6.8.1). */
static bool
is_echoed(uint16_t subfunction)
{
	return subfunction == 0 || subfunction == 1 || subfunction == 3;
}

static bool
diagnostic_differs(const struct modbus_pdu *pdu)
{
	const uint8_t *base = (const uint8_t *)pdu->record;
	const struct record_ref *sent = &pdu->request->data, *got = &pdu->half->data;

	if (!is_echoed(pdu->half->subfunction))
		return false;
	return sent->count != got->count || memcmp(base + sent->off, base + got->off, got->count) != 0;
}

void
modbus_compare(struct modbus_pdu *pdu)
{
	const struct modbus_half *request = pdu->request;
	struct modbus_half *half = pdu->half;
	const struct modbus_record *record = pdu->record;
	bool differs = false;

	if (modbus_record_has(record, MODBUS_RESPONSE, MODBUS_HAS_READ)) {
		uint32_t expected = half->access & MODBUS_BITS ? (request->read_quantity + 7u) / 8
							       : 2u * request->read_quantity;

		differs = half->data.count != expected;
	} else if (modbus_record_has(record, MODBUS_RESPONSE, MODBUS_HAS_WRITE)) {
		differs = half->write_address != request->write_address ||
			half->write_quantity != request->write_quantity || half->and_mask != request->and_mask ||
			half->or_mask != request->or_mask;
	} else if (modbus_record_has(record, MODBUS_RESPONSE, MODBUS_HAS_DIAGNOSTIC)) {
		differs = diagnostic_differs(pdu);
	}
	if (differs)
		half->errors |= MODBUS_ERROR_VALUE;
}
