/* Parts of bodies that requests and responses have in common. */
#include "proto/modbus/modbus.h"

const uint8_t *
modbus_take_data(struct modbus_pdu *pdu, struct cursor *body, uint32_t *len)
{
	const uint8_t *data;

	*len = (uint32_t)cursor_left(body);
	data = cursor_take(body, *len);
	if (data != NULL)
		record_put_bytes(pdu->ctx->record, &pdu->half->data, data, *len);
	else
		*len = 0;
	return data;
}

bool
modbus_take_mei(struct modbus_pdu *pdu, struct cursor *body, struct cursor *inner)
{
	struct modbus_half *half = pdu->half;
	uint32_t len;

	half->mei_type = cursor_u8(body);
	if (body->short_read)
		return false;
	*inner = *body;
	modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_MEI);
	if (half->mei_type == MODBUS_MEI_CANOPEN)
		return false;
	if (half->mei_type != MODBUS_MEI_DEVICE_ID) {
		half->category = MODBUS_RESERVED;
		proto_event(pdu->ctx, MODBUS_EVENT_UNKNOWN_MEI_TYPE);
		return false;
	}
	half->device_id_code = cursor_u8(inner);
	return true;
}

void
modbus_put_registers(struct modbus_pdu *pdu, struct record_ref *ref, const uint8_t *data, uint32_t len)
{
	uint32_t count = len / 2;
	uint16_t *values = record_reserve(pdu->ctx->record, ref, count, sizeof(*values));

	if (values == NULL)
		return;
	for (uint32_t i = 0; i < count; i++)
		values[i] = (uint16_t)(data[2 * i] << 8 | data[2 * i + 1]);
}

void
modbus_put_bits(struct modbus_pdu *pdu, struct record_ref *ref, const uint8_t *data, uint32_t len, uint32_t count)
{
	uint8_t *values;

	if (count > 8 * len)
		count = 8 * len;
	values = record_reserve(pdu->ctx->record, ref, count, sizeof(*values));
	if (values == NULL)
		return;
	for (uint32_t i = 0; i < count; i++)
		values[i] = data[i / 8] >> (i % 8) & 1;
}

void
modbus_read_nothing(struct modbus_pdu *pdu, struct cursor *body)
{
	(void)pdu;
	(void)body;
}

/* Functions whose meaning is not public: the bytes as they are. */
void
modbus_read_opaque(struct modbus_pdu *pdu, struct cursor *body)
{
	uint32_t len;

	if (cursor_left(body) == 0)
		return;
	modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_DATA);
}

/* V1.1b3 6.16: the response echoes the request. */
void
modbus_read_mask_write(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;

	half->write_address = cursor_be16(body);
	half->and_mask = cursor_be16(body);
	half->or_mask = cursor_be16(body);
	if (body->short_read)
		return;
	modbus_has(pdu, MODBUS_HAS_WRITE);
	modbus_has(pdu, MODBUS_HAS_WRITE_MASK);
}

/* What a diagnostic request's register must hold: mask of the bits that must be 0 (V1.1b3 6.8.1). A row for each
 * sub-function that is assigned. */
static const struct {
	uint16_t zero_bits;
	bool assigned;
} diagnostics[] = {
	[0] = { 0, true },
	[1] = { 0x00ff, true }, /* and 0xff00 or 0x0000: checked apart */
	[2] = { 0xffff, true },
	[3] = { 0x00ff, true },
	[4] = { 0xffff, true },
	[10] = { 0xffff, true },
	[11 ... 18] = { 0xffff, true },
	[20] = { 0xffff, true },
};

static void
diagnostic_check(struct modbus_pdu *pdu, uint32_t len)
{
	struct modbus_half *half = pdu->half;
	uint16_t value = half->subfunction_value;

	if (half->subfunction >= sizeof(diagnostics) / sizeof(diagnostics[0]) || !diagnostics[half->subfunction].assigned) {
		half->category = MODBUS_RESERVED;
		proto_event(pdu->ctx, MODBUS_EVENT_UNKNOWN_SUBFUNCTION);
		return;
	}
	/* Return query data (0) loops back any number of registers; all the others carry one. */
	if (half->subfunction != 0 && len != 2)
		half->errors |= MODBUS_ERROR_LENGTH;
	if (pdu->bit == MODBUS_RESPONSE || len != 2)
		return;
	if ((value & diagnostics[half->subfunction].zero_bits) != 0 ||
		(half->subfunction == 1 && value != 0 && value != 0xff00))
		half->errors |= MODBUS_ERROR_VALUE;
}

/* V1.1b3 6.8. */
void
modbus_read_diagnostic(struct modbus_pdu *pdu, struct cursor *body)
{
	struct modbus_half *half = pdu->half;
	struct cursor value;
	uint32_t len;

	half->subfunction = cursor_be16(body);
	if (body->short_read)
		return;
	value = *body;
	modbus_take_data(pdu, body, &len);
	modbus_has(pdu, MODBUS_HAS_DIAGNOSTIC);
	if (len == 2) {
		half->subfunction_value = cursor_be16(&value);
		modbus_has(pdu, MODBUS_HAS_DIAGNOSTIC_VALUE);
	}
	diagnostic_check(pdu, len);
}

struct modbus_file_record *
modbus_append_file_record(struct modbus_pdu *pdu, struct cursor *body)
{
	uint8_t reference_type = cursor_u8(body);
	uint16_t file_number = cursor_be16(body);
	uint16_t record_number = cursor_be16(body);
	uint16_t record_length = cursor_be16(body);
	struct modbus_file_record *record;

	if (body->short_read)
		return NULL;
	record = record_append(pdu->ctx->record, &pdu->half->list, modbus_file_record_tables, 0);
	if (record == NULL)
		return NULL;
	record->reference_type = reference_type;
	record->file_number = file_number;
	record->record_number = record_number;
	record->record_length = record_length;
	record_present(&record->head, MODBUS_FILE_TYPE);
	record_present(&record->head, MODBUS_FILE_WHERE);
	record_present(&record->head, MODBUS_FILE_LENGTH);
	if (reference_type != 6 || file_number == 0 || record_number > 9999)
		pdu->half->errors |= MODBUS_ERROR_VALUE;
	return record;
}

/* V1.1b3 6.15: sub-requests with their registers; the response echoes them. */
void
modbus_read_file_data(struct modbus_pdu *pdu, struct cursor *body)
{
	uint8_t byte_count = cursor_u8(body);
	struct cursor records = *body;

	if (body->short_read)
		return;
	if (byte_count != cursor_left(body))
		pdu->half->errors |= MODBUS_ERROR_VALUE;
	modbus_has(pdu, MODBUS_HAS_FILE_RECORDS);
	for (unsigned int i = 0; i < MODBUS_FILE_RECORDS_MAX && cursor_left(&records) > 0; i++) {
		struct modbus_file_record *record = modbus_append_file_record(pdu, &records);
		const uint8_t *data;

		if (record == NULL)
			break;
		data = cursor_take(&records, (size_t)record->record_length * 2);
		if (data == NULL)
			break;
		record_put_bytes(pdu->ctx->record, &record->data, data, (uint32_t)record->record_length * 2);
		modbus_put_registers(pdu, &record->values, data, (uint32_t)record->record_length * 2);
		record_present(&record->head, MODBUS_FILE_DATA);
	}
	*body = records;
}
