/* Bodies of requests, one function for each layout (V1.1b3 6). */
#include "proto/modbus/modbus.h"

static void
quantity_check(struct modbus_pdu *pdu, uint16_t quantity, uint16_t max)
{
	if (quantity == 0 || quantity > max)
		pdu->half->errors |= MODBUS_ERROR_VALUE;
}

/* Addresses end at 65535: a range beyond it names nothing. */
static void
range_check(struct modbus_pdu *pdu, uint16_t address, uint16_t quantity)
{
	if ((uint32_t)address + quantity > 65536)
		pdu->half->errors |= MODBUS_ERROR_VALUE;
}

/* V1.1b3 6.1 to 6.4. */
void
modbus_request_read(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;

	half->read_address = cursor_be16(body);
	half->read_quantity = cursor_be16(body);
	if (body->short_read)
		return;
	modbus_has(pdu, MODBUS_HAS_READ);
	quantity_check(pdu, half->read_quantity, pdu->function->quantity_max);
	range_check(pdu, half->read_address, half->read_quantity);
}

/* V1.1b3 6.5 and 6.6. */
void
modbus_request_write_single(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	bool bit = (half->access & MODBUS_COILS) != 0;
	uint16_t value;
	void *room;

	half->write_address = cursor_be16(body);
	value = cursor_be16(body);
	if (body->short_read)
		return;
	half->write_quantity = value;
	modbus_has(pdu, MODBUS_HAS_WRITE);
	modbus_has(pdu, MODBUS_HAS_WRITE_SINGLE);
	if (bit && value != 0 && value != 0xff00)
		half->errors |= MODBUS_ERROR_VALUE;
	room = record_reserve(pdu->ctx->record, &half->values, 1, bit ? sizeof(uint8_t) : sizeof(uint16_t));
	if (room == NULL)
		return;
	if (bit)
		*(uint8_t *)room = value != 0;
	else
		*(uint16_t *)room = value;
	modbus_has(pdu, bit ? MODBUS_HAS_WRITE_BITS : MODBUS_HAS_WRITE_VALUES);
}

static void
write_multiple(struct modbus_pdu *pdu, struct cursor *body, uint16_t quantity_max)
{
	struct modbus_half *half = pdu->half;
	bool bits = (half->access & MODBUS_COILS) != 0;
	uint32_t expected, len;
	const uint8_t *data;
	uint8_t byte_count;

	half->write_address = cursor_be16(body);
	half->write_quantity = cursor_be16(body);
	byte_count = cursor_u8(body);
	if (body->short_read)
		return;
	data = modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_WRITE);
	modbus_has(pdu, MODBUS_HAS_WRITE_MULTIPLE);
	modbus_has(pdu, bits ? MODBUS_HAS_WRITE_BITS : MODBUS_HAS_WRITE_VALUES);
	quantity_check(pdu, half->write_quantity, quantity_max);
	range_check(pdu, half->write_address, half->write_quantity);
	expected = bits ? (half->write_quantity + 7u) / 8 : 2u * half->write_quantity;
	if (byte_count != len || byte_count != expected)
		half->errors |= MODBUS_ERROR_VALUE;
	if (bits)
		modbus_put_bits(pdu, &half->values, data, len, half->write_quantity);
	else
		modbus_put_registers(pdu, &half->values, data, len < expected ? len : expected);
}

/* V1.1b3 6.11 and 6.12. */
void
modbus_request_write_multiple(struct modbus_pdu *pdu, struct cursor *body)
{
	write_multiple(pdu, body, pdu->function->quantity_max);
}

/* V1.1b3 6.17: reads 125 registers at most, writes 121. */
void
modbus_request_read_write(struct modbus_pdu *pdu, struct cursor *body)
{
	modbus_request_read(pdu, body);
	write_multiple(pdu, body, 121);
}

/* V1.1b3 6.14. */
void
modbus_request_read_file(struct modbus_pdu *pdu, struct cursor *body)
{
	uint8_t byte_count = cursor_u8(body);

	if (body->short_read)
		return;
	if (byte_count != cursor_left(body) || byte_count < 7 || byte_count > 245)
		pdu->half->errors |= MODBUS_ERROR_VALUE;
	modbus_has(pdu, MODBUS_HAS_FILE_RECORDS);
	for (unsigned int i = 0; i < MODBUS_FILE_RECORDS_MAX && cursor_left(body) > 0; i++)
		if (modbus_append_file_record(pdu, body) == NULL)
			break;
}

/* V1.1b3 6.18. */
void
modbus_request_fifo(struct modbus_pdu *pdu, struct cursor *body)
{
	pdu->half->fifo = cursor_be16(body);
	if (!body->short_read)
		modbus_has(pdu, MODBUS_HAS_FIFO);
}

/* V1.1b3 6.19 to 6.21. */
void
modbus_request_mei(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	struct cursor inner;

	if (!modbus_take_mei(pdu, body, &inner))
		return;
	half->object_id = cursor_u8(&inner);
	if (inner.short_read || cursor_left(&inner) > 0)
		half->errors |= MODBUS_ERROR_LENGTH;
	if (inner.short_read)
		return;
	modbus_has(pdu, MODBUS_HAS_IDENTIFICATION);
	if (half->device_id_code < 1 || half->device_id_code > 4)
		half->errors |= MODBUS_ERROR_VALUE;
}
