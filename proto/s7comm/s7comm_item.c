/* Variables: their addresses in every form, and their values by type. */
#include "proto/s7comm/s7comm.h"

enum {
	SPECIFICATION = 0x12, /* what an address begins with */
	DBREAD_PARTS_MAX = 64,
	DATA_NULL = 0,
	DATA_BIT = 3,
	DATA_BYTES = 4,
	DATA_INT = 5,
	DATA_DINT = 6,
	DATA_REAL = 7,
	SYMBOLIC_DB = 0x8a0e,
	SYMBOLIC_AREA_FIRST = 0x50, /* I, Q, M, C, T */
	SYMBOLIC_AREA_LAST = 0x54,
	LID_LEN = 4,
};

struct s7_item *
s7_append_item(struct s7_message *message)
{
	s7_has(message, S7_HAS_ITEMS);
	return record_append(message->ctx->record, &message->record->items, s7_item_tables, 0);
}

static void
item_has(struct s7_item *item, enum s7_item_bit bit)
{
	record_present(&item->head, (uint8_t)bit);
}

/* Counters and timers are numbered; all else is counted in bits. */
static void
set_address(struct s7_item *item, uint32_t address)
{
	if (item->area == S7_AREA_COUNTER || item->area == S7_AREA_TIMER) {
		item->byte_address = address;
	} else {
		item->byte_address = address >> 3;
		item->bit_address = address & 7;
		item_has(item, S7_ITEM_BIT_ADDRESS);
	}
	item_has(item, S7_ITEM_ADDRESS);
}

static void
read_any(struct s7_message *message, struct s7_item *item, struct cursor *in)
{
	(void)message;
	item->transport = cursor_u8(in);
	item->count = cursor_be16(in);
	item->db_number = cursor_be16(in);
	item->area = cursor_u8(in);
	set_address(item, cursor_be24(in));
	item_has(item, S7_ITEM_TRANSPORT);
	item_has(item, S7_ITEM_COUNT);
	item_has(item, S7_ITEM_AREA);
	if (item->area >= S7_AREA_DB || item->db_number != 0)
		item_has(item, S7_ITEM_DB);
}

static void
read_nck(struct s7_message *message, struct s7_item *item, struct cursor *in)
{
	uint8_t area_unit = cursor_u8(in);

	(void)message;
	item->nck_area = area_unit >> 5;
	item->nck_unit = area_unit & 0x1f;
	item->nck_column = cursor_be16(in);
	item->nck_line = cursor_be16(in);
	item->nck_module = cursor_u8(in);
	item->nck_line_count = cursor_u8(in);
	item_has(item, S7_ITEM_NCK);
}

/* S7-1200 and 1500: a root, a checksum of the symbol, and the way down as ids. */
static void
read_symbolic(struct s7_message *message, struct s7_item *item, struct cursor *in)
{
	uint16_t root, sub;
	uint32_t count, *lids;

	cursor_skip(in, 1);
	root = cursor_be16(in);
	sub = cursor_be16(in);
	item->crc = cursor_be32(in);
	if (root == SYMBOLIC_DB) {
		item->area = S7_AREA_DB;
		item->db_number = sub;
		item_has(item, S7_ITEM_DB);
		item_has(item, S7_ITEM_AREA);
	} else if (sub >= SYMBOLIC_AREA_FIRST && sub <= SYMBOLIC_AREA_LAST) {
		static const uint8_t areas[] = { S7_AREA_INPUT, S7_AREA_OUTPUT, S7_AREA_FLAG, S7_AREA_COUNTER, S7_AREA_TIMER };

		item->area = areas[sub - SYMBOLIC_AREA_FIRST];
		item_has(item, S7_ITEM_AREA);
	}
	count = (uint32_t)(cursor_left(in) / LID_LEN);
	if (count > S7_LIDS_MAX)
		count = S7_LIDS_MAX;
	lids = count == 0 ? NULL : record_reserve(message->ctx->record, &item->lids, count, sizeof(*lids));
	for (uint32_t i = 0; lids != NULL && i < count; i++)
		lids[i] = cursor_be32(in);
	item_has(item, S7_ITEM_SYMBOLIC);
}

static void
read_raw(struct s7_message *message, struct s7_item *item, struct cursor *in)
{
	uint32_t len = (uint32_t)cursor_left(in);

	record_put_bytes(message->ctx->record, &item->raw, cursor_take(in, len), len);
	item_has(item, S7_ITEM_RAW);
}

/* Several pieces of data blocks in one address; each is an item. The answer has one for all of them. */
static void
read_pieces(struct s7_message *message, struct s7_item *item, struct cursor *in)
{
	unsigned int count = cursor_u8(in);

	for (unsigned int i = 0; i < count && i < DBREAD_PARTS_MAX && item != NULL && cursor_left(in) > 0; i++) {
		if (i > 0)
			item = s7_append_item(message);
		if (item == NULL)
			return;
		item->piece = i > 0;
		item->syntax = S7_SYNTAX_DBREAD;
		item->count = cursor_u8(in);
		item->db_number = cursor_be16(in);
		item->byte_address = cursor_be16(in);
		item->area = S7_AREA_DB;
		item->transport = S7_TRANSPORT_BYTE;
		item->head.present |= UINT64_C(1) << S7_ITEM_SYNTAX | UINT64_C(1) << S7_ITEM_AREA | UINT64_C(1) << S7_ITEM_DB |
			UINT64_C(1) << S7_ITEM_ADDRESS | UINT64_C(1) << S7_ITEM_COUNT | UINT64_C(1) << S7_ITEM_TRANSPORT;
	}
}

static const struct {
	uint8_t syntax;
	void (*read)(struct s7_message *message, struct s7_item *item, struct cursor *in);
} syntaxes[] = {
	{ S7_SYNTAX_ANY, read_any },         { S7_SYNTAX_NCK, read_nck },
	{ S7_SYNTAX_NCK_METRIC, read_nck },  { S7_SYNTAX_NCK_INCH, read_nck },
	{ S7_SYNTAX_DBREAD, read_pieces },   { S7_SYNTAX_SYMBOLIC, read_symbolic },
};

static void
read_address(struct s7_message *message, struct cursor in)
{
	struct s7_item *item = s7_append_item(message);

	if (item == NULL)
		return;
	item->syntax = cursor_u8(&in);
	item_has(item, S7_ITEM_SYNTAX);
	for (unsigned int i = 0; i < sizeof(syntaxes) / sizeof(syntaxes[0]); i++) {
		if (syntaxes[i].syntax != item->syntax)
			continue;
		syntaxes[i].read(message, item, &in);
		if (in.short_read)
			proto_event(message->ctx, S7_EVENT_INVALID_ITEM);
		return;
	}
	read_raw(message, item, &in);
}

void
s7_read_addresses(struct s7_message *message, struct cursor *in, unsigned int count)
{
	for (unsigned int i = 0; i < count && i < S7_ITEMS_MAX && cursor_left(in) > 0; i++) {
		uint8_t specification = cursor_u8(in);
		uint8_t len = cursor_u8(in);
		struct cursor address = cursor_sub(in, len);

		if (in->short_read || specification != SPECIFICATION || len == 0) {
			proto_event(message->ctx, S7_EVENT_INVALID_ITEM);
			return;
		}
		read_address(message, address);
		/* Each begins at an even place. */
		if (len % 2 != 0 && i + 1 < count)
			cursor_skip(in, 1);
	}
}

/* ---- values ---- */

struct value_type {
	uint8_t size;
	uint8_t kind; /* enum record_scalar_kind */
};

/* By enum s7_transport. S5TIME, BCD times and others of the device's own are left to the hex. */
static const struct value_type transports[] = {
	[S7_TRANSPORT_BIT] = { 1, SCALAR_BOOL },      [S7_TRANSPORT_BYTE] = { 1, SCALAR_U64 },
	[S7_TRANSPORT_CHAR] = { 1, SCALAR_STRING },   [S7_TRANSPORT_WORD] = { 2, SCALAR_U64 },
	[S7_TRANSPORT_INT] = { 2, SCALAR_I64 },       [S7_TRANSPORT_DWORD] = { 4, SCALAR_U64 },
	[S7_TRANSPORT_DINT] = { 4, SCALAR_I64 },      [S7_TRANSPORT_REAL] = { 4, SCALAR_F32 },
	[S7_TRANSPORT_DATE] = { 2, SCALAR_U64 },      [S7_TRANSPORT_TOD] = { 4, SCALAR_U64 },
	[S7_TRANSPORT_TIME] = { 4, SCALAR_I64 },      [S7_TRANSPORT_S5TIME] = { 2, SCALAR_U64 },
	[S7_TRANSPORT_DATE_AND_TIME] = { 8, SCALAR_TIME },
	[S7_TRANSPORT_COUNTER] = { 2, SCALAR_U64 },   [S7_TRANSPORT_TIMER] = { 2, SCALAR_U64 },
};

/* When no request says the type, the answer's coarser one does. */
static const struct value_type data_types[] = {
	[DATA_BIT] = { 1, SCALAR_BOOL }, [DATA_INT] = { 2, SCALAR_I64 }, [DATA_DINT] = { 4, SCALAR_I64 },
	[DATA_REAL] = { 4, SCALAR_F32 },
};

static struct value_type
type_of(const struct s7_item *item)
{
	static const struct value_type none = { 0 };

	if (record_is_present(item, S7_ITEM_TRANSPORT))
		return item->transport < sizeof(transports) / sizeof(transports[0]) ? transports[item->transport] : none;
	return item->data_transport < sizeof(data_types) / sizeof(data_types[0]) ? data_types[item->data_transport] : none;
}

static struct record_scalar
read_value(struct cursor *in, struct value_type type)
{
	struct record_scalar scalar = { .kind = type.kind };
	uint32_t raw;

	if (type.kind == SCALAR_TIME) {
		if (!s7_read_clock(in, &scalar.u64))
			scalar.kind = SCALAR_NULL;
		return scalar;
	}
	raw = type.size == 1 ? cursor_u8(in) : type.size == 2 ? cursor_be16(in) : cursor_be32(in);
	if (type.kind == SCALAR_BOOL)
		scalar.truth = raw != 0;
	else if (type.kind == SCALAR_F32)
		memcpy(&scalar.f32, &raw, sizeof(scalar.f32));
	else if (type.kind == SCALAR_I64)
		scalar.i64 = type.size == 2 ? (int16_t)raw : (int32_t)raw;
	else
		scalar.u64 = raw;
	return scalar;
}

static void
put_values(struct s7_message *message, struct s7_item *item, struct cursor in)
{
	struct value_type type = type_of(item);
	uint32_t len = (uint32_t)cursor_left(&in), count;
	struct record_scalar *scalars;

	if (type.kind == SCALAR_STRING && len > 0) {
		scalars = record_reserve(message->ctx->record, &item->values, 1, sizeof(*scalars));
		if (scalars == NULL)
			return;
		*scalars = (struct record_scalar){ .kind = SCALAR_STRING };
		record_put_bytes(message->ctx->record, &scalars->bytes, cursor_take(&in, len), len);
		item_has(item, S7_ITEM_VALUES);
		return;
	}
	if (type.size == 0 || len < type.size || (type.size == 1 && len > S7_BYTE_VALUES_MAX))
		return;
	count = len / type.size;
	scalars = record_reserve(message->ctx->record, &item->values, count, sizeof(*scalars));
	if (scalars == NULL)
		return;
	for (uint32_t i = 0; i < count; i++)
		scalars[i] = read_value(&in, type);
	item_has(item, S7_ITEM_VALUES);
}

static void
put_data(struct s7_message *message, struct s7_item *item, struct cursor data)
{
	uint32_t len = (uint32_t)cursor_left(&data);

	if (len == 0)
		return;
	put_values(message, item, data);
	record_put_bytes(message->ctx->record, &item->data, cursor_take(&data, len), len);
	item_has(item, S7_ITEM_DATA);
}

static struct s7_item *
first_item(struct s7_message *message)
{
	const struct record_list *items = &message->record->items;

	return items->count == 0 ? NULL : (void *)(message->ctx->record->base + items->first);
}

static struct s7_item *
next_item(struct s7_message *message, const struct s7_item *item)
{
	return item == NULL || item->head.next == 0 ? NULL : (void *)(message->ctx->record->base + item->head.next);
}

/* Bits are counted as such, the others in bytes but for BYTE and INT (in bits too). Without a type there is no data, though some
 * servers give a length. */
static uint32_t
byte_len(uint8_t transport, uint16_t len)
{
	if (transport == DATA_NULL)
		return 0;
	return transport >= DATA_BIT && transport <= DATA_INT ? (len + 7u) / 8u : len;
}

static unsigned int
count_addresses(struct s7_message *message)
{
	unsigned int count = 0;

	for (struct s7_item *item = first_item(message); item != NULL; item = next_item(message, item))
		count += !item->piece;
	return count;
}

static uint32_t
pieces_len(struct s7_message *message, struct s7_item *item)
{
	uint32_t len = 0;

	do
		len += 1 + item->count;
	while ((item = next_item(message, item)) != NULL && item->piece);
	return len;
}

/**
 * The answer to an address, to its first item. Of one in pieces it has a return code and the bytes of each, where it is as long as
 * that takes; else it stands with the first as it is. @return the next address's first item
 */
static struct s7_item *
put_answer(struct s7_message *message, struct s7_item *item, struct cursor data)
{
	if (item->syntax != S7_SYNTAX_DBREAD || cursor_left(&data) != pieces_len(message, item)) {
		put_data(message, item, data);
		item = next_item(message, item);
		while (item != NULL && item->piece)
			item = next_item(message, item);
		return item;
	}
	do {
		item->return_code = cursor_u8(&data);
		item_has(item, S7_ITEM_RETURN_CODE);
		put_data(message, item, cursor_sub(&data, item->count));
		item = next_item(message, item);
	} while (item != NULL && item->piece);
	return item;
}

struct cursor
s7_take_data(struct cursor *in, uint8_t *transport, bool more)
{
	uint32_t len;
	struct cursor data;

	*transport = cursor_u8(in);
	len = byte_len(*transport, cursor_be16(in));
	data = cursor_sub(in, len);
	if (len % 2 != 0 && more)
		cursor_skip(in, 1);
	return data;
}

void
s7_read_values(struct s7_message *message, struct cursor *in, unsigned int count)
{
	struct s7_item *item = first_item(message);
	bool known = item != NULL;
	bool asks = s7_asks(message);

	for (unsigned int i = 0; i < count && i < S7_ITEMS_MAX && cursor_left(in) > 0; i++) {
		uint8_t return_code = cursor_u8(in), transport;
		struct cursor data = s7_take_data(in, &transport, i + 1 < count);

		if (data.short_read)
			break;
		if (!known)
			item = s7_append_item(message);
		if (item == NULL)
			break;
		item->data_transport = transport;
		if (!asks) {
			item->return_code = return_code;
			item_has(item, S7_ITEM_RETURN_CODE);
		}
		item_has(item, S7_ITEM_DATA_TRANSPORT);
		if (known)
			item = put_answer(message, item, data);
		else
			put_data(message, item, data);
	}
	if (in->short_read)
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
	else if (known && message->response && count != count_addresses(message))
		proto_event(message->ctx, S7_EVENT_ITEM_COUNT_MISMATCH);
}

void
s7_read_return_codes(struct s7_message *message, struct cursor *in, unsigned int count)
{
	struct s7_item *item = first_item(message);
	bool known = item != NULL;

	for (unsigned int i = 0; i < count && i < S7_ITEMS_MAX && cursor_left(in) > 0; i++) {
		if (!known)
			item = s7_append_item(message);
		if (item == NULL)
			break;
		item->return_code = cursor_u8(in);
		item_has(item, S7_ITEM_RETURN_CODE);
		item = known ? next_item(message, item) : item;
	}
	if (known && count != count_addresses(message))
		proto_event(message->ctx, S7_EVENT_ITEM_COUNT_MISMATCH);
}
