/*
 * PCCC inside CIP: commands of PLC-5, SLC 500 and MicroLogix to their data files (DF1 7, and
 * 1756-PM020 for the CIP service around them).
 */
#include "proto/enip/enip.h"

enum {
	REQUESTOR_LEN_MIN = 7, /* of the length octet itself, vendor and serial number */
	REPLY_BIT = 0x40,
	STATUS_EXTENDED = 0xf0,
	ADDRESS_LEN_MAX = 32,
	VALUES_MAX = 256,
	SET_CPU_MODE = 0x0f3a,    /* of a PLC-5, and of a MicroLogix 1000 by other numbers */
	CHANGE_CPU_MODE = 0x0f80, /* of an SLC 500, and of a MicroLogix */
	LONG_NUMBER = 0xff, /* two more octets hold the number */
};

/* The functions of command 0F that address a data file by number, type, element. */
static const struct logical {
	uint8_t function;
	bool sub_element;
	bool mask;
	bool write;
} logicals[] = {
	{ 0xa1, false, false, false },
	{ 0xa2, true, false, false },
	{ 0xa9, false, false, true },
	{ 0xaa, true, false, true },
	{ 0xab, true, true, true },
};

/* Data files: the letter programmers use, and the elements' form. */
static const struct file_type {
	uint8_t type;
	char letter[3];
	uint8_t size; /* 0: no plain numbers */
	bool real;
} file_types[] = {
	{ 0x82, "O", 2, false },
	{ 0x83, "I", 2, false },
	{ 0x84, "S", 2, false },
	{ 0x85, "B", 2, false },
	{ 0x86, "T", 2, false },
	{ 0x87, "C", 2, false },
	{ 0x88, "R", 2, false },
	{ 0x89, "N", 2, false },
	{ 0x8a, "F", 4, true },
	{ 0x8b, "O", 2, false },
	{ 0x8c, "I", 2, false },
	{ 0x8d, "ST", 0, false },
	{ 0x8e, "A", 0, false },
	{ 0x8f, "D", 2, false },
	{ 0x91, "L", 4, false },
	{ 0x92, "MG", 0, false },
	{ 0x93, "PD", 0, false },
};

static const struct logical *
logical_of(const struct enip_pccc *pccc)
{
	for (unsigned int i = 0; pccc->command == 0x0f && i < sizeof(logicals) / sizeof(logicals[0]); i++)
		if (logicals[i].function == pccc->function)
			return &logicals[i];
	return NULL;
}

static const struct file_type *
file_type_of(uint8_t type)
{
	for (unsigned int i = 0; i < sizeof(file_types) / sizeof(file_types[0]); i++)
		if (file_types[i].type == type)
			return &file_types[i];
	return NULL;
}

/* DF1 7: these commands have a function behind the transaction number. */
static bool
has_function(uint8_t command)
{
	return command == 0x06 || command == 0x07 || command == 0x0a || command == 0x0b || command == 0x0f;
}

static uint16_t
read_number(struct cursor *in)
{
	uint8_t number = cursor_u8(in);

	return number == LONG_NUMBER ? cursor_le16(in) : number;
}

static size_t
put_number(char *out, size_t at, uint16_t number)
{
	char digits[5];
	size_t len = 0;

	do
		digits[len++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (len > 0)
		out[at++] = digits[--len];
	return at;
}

/* "N7:12", "T4:0.2". */
static void
put_address(struct enip_pdu *pdu, struct enip_pccc *pccc)
{
	const struct file_type *type = file_type_of(pccc->file_type);
	char text[ADDRESS_LEN_MAX];
	size_t len = 0;

	if (type == NULL)
		return;
	for (const char *letter = type->letter; *letter != '\0'; letter++)
		text[len++] = *letter;
	len = put_number(text, len, pccc->file_number);
	text[len++] = ':';
	len = put_number(text, len, pccc->element);
	if (pccc->sub_element != 0) {
		text[len++] = '.';
		len = put_number(text, len, pccc->sub_element);
	}
	record_put_bytes(pdu->ctx->record, &pccc->address, text, (uint32_t)len);
	record_present(&pccc->head, ENIP_PCCC_ADDRESS_TEXT);
}

static void
put_values(struct enip_pdu *pdu, struct enip_pccc *pccc, const struct file_type *type, struct cursor in)
{
	size_t count = type == NULL || type->size == 0 ? 0 : cursor_left(&in) / type->size;
	struct record_scalar *out;

	if (count == 0)
		return;
	if (count > VALUES_MAX)
		count = VALUES_MAX;
	out = record_reserve(pdu->ctx->record, &pccc->values, (uint32_t)count, sizeof(*out));
	for (size_t i = 0; out != NULL && i < count; i++) {
		if (type->real)
			out[i] = (struct record_scalar){ .kind = SCALAR_F32, .f32 = cursor_le_f32(&in) };
		else
			out[i] = (struct record_scalar){ .kind = SCALAR_I64,
				.i64 = type->size == 2 ? (int16_t)cursor_le16(&in) : (int32_t)cursor_le32(&in) };
	}
	if (out != NULL)
		record_present(&pccc->head, ENIP_PCCC_VALUES);
}

static void
put_data(struct enip_pdu *pdu, struct enip_pccc *pccc, struct cursor *body)
{
	if (cursor_left(body) == 0)
		return;
	enip_put_rest(pdu, &pccc->data, body);
	record_present(&pccc->head, ENIP_PCCC_DATA);
}

static void
read_logical(struct enip_pdu *pdu, struct enip_pccc *pccc, const struct logical *logical, struct cursor *body)
{
	pccc->byte_count = cursor_u8(body);
	pccc->file_number = read_number(body);
	pccc->file_type = cursor_u8(body);
	pccc->element = read_number(body);
	if (logical->sub_element)
		pccc->sub_element = read_number(body);
	if (logical->mask)
		pccc->mask = cursor_le16(body);
	if (body->short_read)
		return;
	if (logical->mask)
		record_present(&pccc->head, ENIP_PCCC_MASK);
	record_present(&pccc->head, ENIP_PCCC_COUNT);
	record_present(&pccc->head, ENIP_PCCC_ADDRESS);
	put_address(pdu, pccc);
	if (logical->write)
		put_values(pdu, pccc, file_type_of(pccc->file_type), *body);
}

/* Program, run or test; the data show it too. */
static void
read_mode(struct enip_pccc *pccc, struct cursor body)
{
	if ((pccc->command_function != SET_CPU_MODE && pccc->command_function != CHANGE_CPU_MODE) || cursor_left(&body) == 0)
		return;
	pccc->cpu_mode = cursor_u8(&body);
	record_present(&pccc->head, ENIP_PCCC_CPU_MODE);
	if (pccc->command_function == CHANGE_CPU_MODE)
		record_present(&pccc->head, ENIP_PCCC_CPU_MODE_NAME);
}

static struct enip_pccc *
begin(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	struct enip_pccc *pccc = record_append(pdu->ctx->record, &node->cip->pccc, enip_pccc_tables, 0);
	uint8_t requestor_len;

	if (pccc == NULL)
		return NULL;
	enip_node_has(node, ENIP_HAS_PCCC);
	requestor_len = cursor_u8(body);
	if (requestor_len >= REQUESTOR_LEN_MIN) {
		pccc->requestor_vendor = cursor_le16(body);
		pccc->requestor_serial = cursor_le32(body);
		cursor_skip(body, requestor_len - REQUESTOR_LEN_MIN);
		record_present(&pccc->head, ENIP_PCCC_REQUESTOR);
	} else if (requestor_len > 1) {
		cursor_skip(body, requestor_len - 1u);
	}
	pccc->command = cursor_u8(body) & (uint8_t)~REPLY_BIT;
	pccc->status = cursor_u8(body);
	pccc->transaction = cursor_le16(body);
	if (body->short_read)
		return NULL;
	record_present(&pccc->head, ENIP_PCCC_HEADER);
	pccc->command_function = (uint16_t)(pccc->command << 8);
	return pccc;
}

void
enip_pccc_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	struct enip_pccc *pccc = begin(pdu, node, body);
	const struct logical *logical;

	if (pccc == NULL)
		return;
	if (has_function(pccc->command)) {
		pccc->function = cursor_u8(body);
		pccc->command_function |= pccc->function;
		if (body->short_read)
			return;
	}
	record_present(&pccc->head, ENIP_PCCC_FUNCTION);
	read_mode(pccc, *body);
	logical = logical_of(pccc);
	if (logical != NULL)
		read_logical(pdu, pccc, logical, body);
	put_data(pdu, pccc, body);
}

void
enip_pccc_reply(struct enip_pdu *pdu, struct enip_node *node, struct cursor *body)
{
	struct enip_pccc *pccc = begin(pdu, node, body);
	const struct enip_pccc *request = enip_asked_is(node, ENIP_HAS_PCCC)
		? (const void *)(pdu->ctx->record->base + node->asked->pccc.first)
		: NULL;
	const struct logical *logical;

	if (pccc == NULL)
		return;
	if (request != NULL && record_is_present(request, ENIP_PCCC_FUNCTION)) {
		pccc->function = request->function;
		pccc->command_function |= request->function;
		record_present(&pccc->head, ENIP_PCCC_FUNCTION);
	}
	if (pccc->status == STATUS_EXTENDED && cursor_left(body) > 0) {
		pccc->extended_status = cursor_u8(body);
		record_present(&pccc->head, ENIP_PCCC_EXTENDED);
	}
	logical = logical_of(pccc);
	if (logical != NULL && !logical->write && pccc->status == 0 && record_is_present(request, ENIP_PCCC_ADDRESS))
		put_values(pdu, pccc, file_type_of(request->file_type), *body);
	put_data(pdu, pccc, body);
}
