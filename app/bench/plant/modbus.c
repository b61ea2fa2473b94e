#include "app/bench/plant/modbus.h"

#include <string.h>

#include "app/bench/plant/wire.h"

enum {
	ILLEGAL_FUNCTION = 1, /* V1.1b3 7 */
	ILLEGAL_DATA_ADDRESS = 2,
	ILLEGAL_DATA_VALUE = 3,
	SERVER_DEVICE_FAILURE = 4,
	SILENT = 0xff, /* no answer at all */
	READ_BITS_MAX = 2000,
	READ_REGISTERS_MAX = 125,
	WRITE_BITS_MAX = 1968,
	WRITE_REGISTERS_MAX = 123,
	READ_WRITE_REGISTERS_MAX = 121,
	COIL_ON = 0xff00,
	MEI_CANOPEN = 13,
	MEI_IDENTIFICATION = 14,
	OBJECT_COUNT_BASIC = 3,
	OBJECT_COUNT_REGULAR = 7,
	FILE_REFERENCE_TYPE = 6,
	FILE_GROUPS_MAX = 8,
	DIAG_QUERY_DATA = 0,
	DIAG_RESTART_COMMUNICATIONS = 1,
	DIAG_REGISTER = 2,
	DIAG_DELIMITER = 3,
	DIAG_LISTEN_ONLY = 4,
	DIAG_CLEAR_COUNTERS = 10,
	DIAG_FIRST_COUNTER = 11,
	DIAG_LAST_COUNTER = 18,
	DIAG_CLEAR_OVERRUN = 20,
};

const struct plant_identity plant_identities[] = {
	{ "Northgate Controls", "NG-340", "V3.12", "https://northgate.example", "Pump controller", "NG-340-16DI",
		"Feedwater" },
	{ "Halden Automation", "HA 1500", "02.08.01", "https://halden.example", "Boiler PLC", "HA1500-CPU2",
		"Boiler 2" },
	{ "Marisol Electric", "ME-PM8", "1.4.9", "https://marisol.example", "Power meter", "PM8-ETH", "Feeder 11" },
	{ "Brennwald", "BW-IO32", "R7", "https://brennwald.example", "Remote I/O", "BW-IO32-E", "Tank farm" },
};
const unsigned int plant_identity_count = sizeof(plant_identities) / sizeof(plant_identities[0]);

void
plant_plc_init(struct plant_plc *plc, uint64_t seed)
{
	struct plant_random random = { .state = seed };

	*plc = (struct plant_plc){ .seed = seed };
	plc->identity = &plant_identities[plant_random_below(&random, plant_identity_count)];
	plc->exception_status = (uint8_t)plant_random_next(&random);
	for (unsigned int i = 0; i < PLANT_PLC_POINT_COUNT; i++) {
		plc->coils[i] = plant_random_chance(&random, 400);
		plc->holding[i] = (uint16_t)plant_random_between(&random, 0, 4095);
	}
	for (unsigned int i = 0; i < PLANT_PLC_FILE_COUNT * PLANT_PLC_RECORD_COUNT; i++)
		plc->files[i / PLANT_PLC_RECORD_COUNT][i % PLANT_PLC_RECORD_COUNT] =
			(uint16_t)plant_random_next(&random);
}

/* A triangle about a base with a period of its own for each address, and a bit of noise. */
uint16_t
plant_plc_input(const struct plant_plc *plc, uint16_t address, uint64_t now_ns)
{
	uint64_t shape = plant_random_mix(plc->seed + address);
	uint64_t now_ms = now_ns / 1000000;
	uint64_t period_ms = 20000 + shape % 90000;
	uint64_t phase_ms = (now_ms + (shape >> 20)) % period_ms;
	uint64_t rise_ms = phase_ms * 2 < period_ms ? phase_ms : period_ms - phase_ms;
	uint64_t base = 200 + (shape >> 32) % 3000;
	uint64_t swing = 20 + (shape >> 44) % 800;

	return (uint16_t)(base + swing * rise_ms * 2 / period_ms + plant_random_mix(shape + now_ms / 100) % 4);
}

static bool
plc_discrete(const struct plant_plc *plc, uint16_t address, uint64_t now_ns)
{
	return (plant_plc_input(plc, address, now_ns) >> 4 & 1) != 0;
}

static bool
range_ok(uint16_t address, uint16_t count)
{
	return (unsigned int)address + count <= PLANT_PLC_POINT_COUNT;
}

static uint8_t
answer_read_bits(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t quantity = cursor_be16(in);

	if (in->short_read || quantity == 0 || quantity > READ_BITS_MAX)
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(address, quantity))
		return ILLEGAL_DATA_ADDRESS;
	put_u8(out, (uint8_t)((quantity + 7) / 8));
	for (unsigned int at = 0; at < quantity; at += 8) {
		uint8_t byte = 0;

		for (unsigned int bit = 0; bit < 8 && at + bit < quantity; bit++) {
			uint16_t point = (uint16_t)(address + at + bit);
			bool on = function == 1 ? plc->coils[point] != 0 : plc_discrete(plc, point, now_ns);

			byte = (uint8_t)(byte | (on ? 1u << bit : 0));
		}
		put_u8(out, byte);
	}
	return 0;
}

static uint8_t
answer_read_registers(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t quantity = cursor_be16(in);

	if (in->short_read || quantity == 0 || quantity > READ_REGISTERS_MAX)
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(address, quantity))
		return ILLEGAL_DATA_ADDRESS;
	put_u8(out, (uint8_t)(quantity * 2));
	for (uint16_t i = 0; i < quantity; i++) {
		uint16_t point = (uint16_t)(address + i);

		put_be16(out, function == 3 ? plc->holding[point] : plant_plc_input(plc, point, now_ns));
	}
	return 0;
}

static uint8_t
answer_write_one(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t value = cursor_be16(in);

	if (in->short_read || (function == 5 && value != 0 && value != COIL_ON))
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(address, 1))
		return ILLEGAL_DATA_ADDRESS;
	if (function == 5)
		plc->coils[address] = value != 0;
	else
		plc->holding[address] = value;
	put_be16(out, address);
	put_be16(out, value);
	return 0;
}

static uint8_t
answer_write_bits(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t quantity = cursor_be16(in);
	uint8_t byte_count = cursor_u8(in);
	uint8_t byte = 0;

	if (in->short_read || quantity == 0 || quantity > WRITE_BITS_MAX || byte_count != (quantity + 7) / 8)
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(address, quantity))
		return ILLEGAL_DATA_ADDRESS;
	for (uint16_t i = 0; i < quantity && !in->short_read; i++) {
		if (i % 8 == 0)
			byte = cursor_u8(in);
		plc->coils[address + i] = byte >> i % 8 & 1;
	}
	put_be16(out, address);
	put_be16(out, quantity);
	return 0;
}

static uint8_t
write_registers(struct plant_plc *plc, struct cursor *in, uint16_t address, uint16_t quantity)
{
	uint8_t byte_count = cursor_u8(in);

	if (in->short_read || quantity == 0 || quantity > WRITE_REGISTERS_MAX || byte_count != quantity * 2)
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(address, quantity))
		return ILLEGAL_DATA_ADDRESS;
	for (uint16_t i = 0; i < quantity && !in->short_read; i++)
		plc->holding[address + i] = cursor_be16(in);
	return 0;
}

static uint8_t
answer_write_registers(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t quantity = cursor_be16(in);
	uint8_t exception = write_registers(plc, in, address, quantity);

	put_be16(out, address);
	put_be16(out, quantity);
	return exception;
}

static uint8_t
answer_mask_write(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t and_mask = cursor_be16(in);
	uint16_t or_mask = cursor_be16(in);

	if (in->short_read)
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(address, 1))
		return ILLEGAL_DATA_ADDRESS;
	plc->holding[address] = (uint16_t)((plc->holding[address] & and_mask) | (or_mask & ~and_mask));
	put_be16(out, address);
	put_be16(out, and_mask);
	put_be16(out, or_mask);
	return 0;
}

static uint8_t
answer_read_write(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t read_address = cursor_be16(in);
	uint16_t read_quantity = cursor_be16(in);
	uint16_t write_address = cursor_be16(in);
	uint16_t write_quantity = cursor_be16(in);
	uint8_t exception;

	if (in->short_read || read_quantity == 0 || read_quantity > READ_REGISTERS_MAX ||
		write_quantity > READ_WRITE_REGISTERS_MAX)
		return ILLEGAL_DATA_VALUE;
	if (!range_ok(read_address, read_quantity))
		return ILLEGAL_DATA_ADDRESS;
	exception = write_registers(plc, in, write_address, write_quantity);
	put_u8(out, (uint8_t)(read_quantity * 2));
	for (uint16_t i = 0; i < read_quantity; i++)
		put_be16(out, plc->holding[read_address + i]);
	return exception;
}

static uint8_t
answer_exception_status(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	put_u8(out, plc->exception_status);
	return 0;
}

static void
plc_clear_counters(struct plant_plc *plc)
{
	memset(plc->counters, 0, sizeof(plc->counters));
	plc->event_count = 0;
}

static uint8_t
answer_diagnostics(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t sub = cursor_be16(in);
	uint16_t data = cursor_be16(in);

	if (in->short_read)
		return ILLEGAL_DATA_VALUE;
	if (sub == DIAG_LISTEN_ONLY) {
		plc->listen_only = true;
		return SILENT;
	}
	if (sub == DIAG_RESTART_COMMUNICATIONS || sub == DIAG_CLEAR_COUNTERS) {
		plc->listen_only = false;
		plc_clear_counters(plc);
	} else if (sub >= DIAG_FIRST_COUNTER && sub <= DIAG_LAST_COUNTER) {
		data = plc->counters[sub - DIAG_FIRST_COUNTER];
	} else if (sub == DIAG_REGISTER) {
		data = plc->exception_status;
	} else if (sub != DIAG_QUERY_DATA && sub != DIAG_DELIMITER && sub != DIAG_CLEAR_OVERRUN) {
		return ILLEGAL_FUNCTION;
	}
	put_be16(out, sub);
	put_be16(out, data);
	return 0;
}

static uint8_t
answer_event_counter(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	put_be16(out, 0); /* status: no program function in progress */
	put_be16(out, plc->event_count);
	return 0;
}

static uint8_t
answer_event_log(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	enum { EVENTS = 4 };

	put_u8(out, 6 + EVENTS);
	put_be16(out, 0);
	put_be16(out, plc->event_count);
	put_be16(out, plc->counters[0]);
	for (unsigned int i = 0; i < EVENTS; i++)
		put_u8(out, (uint8_t)(0x40 | (plc->event_count + i) % 8)); /* remote device sent: V1.1b3 6.10 */
	return 0;
}

static uint8_t
answer_server_id(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	size_t len = strlen(plc->identity->product);

	put_u8(out, (uint8_t)(len + 1));
	buf_put(out, plc->identity->product, len);
	put_u8(out, 0xff); /* run indicator: on */
	return 0;
}

static uint8_t
answer_read_files(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint8_t byte_count = cursor_u8(in);
	size_t length_at = out->len;

	if (in->short_read || byte_count < 7 || byte_count > 245 || byte_count % 7 != 0)
		return ILLEGAL_DATA_VALUE;
	put_u8(out, 0);
	for (unsigned int i = 0; i < byte_count / 7u && i < FILE_GROUPS_MAX; i++) {
		uint8_t type = cursor_u8(in);
		uint16_t file = cursor_be16(in);
		uint16_t record = cursor_be16(in);
		uint16_t count = cursor_be16(in);

		if (in->short_read || type != FILE_REFERENCE_TYPE || count == 0 || count > 100)
			return ILLEGAL_DATA_VALUE;
		if (file == 0 || file > PLANT_PLC_FILE_COUNT || (unsigned int)record + count > PLANT_PLC_RECORD_COUNT)
			return ILLEGAL_DATA_ADDRESS;
		if (out->len + 2 + 2u * count > PLANT_MODBUS_PDU_LEN_MAX)
			return ILLEGAL_DATA_VALUE;
		put_u8(out, (uint8_t)(1 + count * 2));
		put_u8(out, FILE_REFERENCE_TYPE);
		for (uint16_t j = 0; j < count; j++)
			put_be16(out, plc->files[file - 1][record + j]);
	}
	if (!out->full)
		out->data[length_at] = (char)(out->len - length_at - 1);
	return 0;
}

/* The answer repeats the request. */
static uint8_t
answer_write_files(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	struct cursor whole = *in;
	uint8_t byte_count = cursor_u8(in);
	uint8_t type = cursor_u8(in);
	uint16_t file = cursor_be16(in);
	uint16_t record = cursor_be16(in);
	uint16_t count = cursor_be16(in);
	const uint8_t *echo = cursor_take(&whole, 1 + (size_t)byte_count);

	if (echo == NULL || in->short_read || type != FILE_REFERENCE_TYPE || byte_count < 7 + count * 2)
		return ILLEGAL_DATA_VALUE;
	if (file == 0 || file > PLANT_PLC_FILE_COUNT || (unsigned int)record + count > PLANT_PLC_RECORD_COUNT)
		return ILLEGAL_DATA_ADDRESS;
	for (uint16_t j = 0; j < count && !in->short_read; j++)
		plc->files[file - 1][record + j] = cursor_be16(in);
	buf_put(out, echo, 1 + (size_t)byte_count);
	return 0;
}

static uint8_t
answer_fifo(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint16_t address = cursor_be16(in);
	uint16_t count = (uint16_t)(plc->event_count % 8);

	if (in->short_read || !range_ok(address, 32))
		return ILLEGAL_DATA_ADDRESS;
	put_be16(out, (uint16_t)(2 + count * 2));
	put_be16(out, count);
	for (uint16_t i = 0; i < count; i++)
		put_be16(out, plc->holding[address + i]);
	return 0;
}

static uint8_t
answer_identification(struct plant_plc *plc, struct cursor *in, struct buf *out)
{
	const struct plant_identity *id = plc->identity;
	const char *const objects[OBJECT_COUNT_REGULAR] = {
		id->vendor,
		id->product,
		id->revision,
		id->url,
		id->name,
		id->model,
		id->application,
	};
	uint8_t code = cursor_u8(in);
	uint8_t first = cursor_u8(in);
	unsigned int last = code == 1 ? OBJECT_COUNT_BASIC : OBJECT_COUNT_REGULAR;

	if (in->short_read || code == 0 || code > 4)
		return ILLEGAL_DATA_VALUE;
	if (first >= OBJECT_COUNT_REGULAR && code == 4)
		return ILLEGAL_DATA_ADDRESS;
	if (code == 4)
		last = first + 1u;
	else if (first >= last)
		first = 0;
	put_u8(out, MEI_IDENTIFICATION);
	put_u8(out, code);
	put_u8(out, 0x82); /* conformity: regular, stream and individual access */
	put_u8(out, 0); /* nothing follows */
	put_u8(out, 0);
	put_u8(out, (uint8_t)(last - first));
	for (unsigned int i = first; i < last; i++) {
		put_u8(out, (uint8_t)i);
		put_u8(out, (uint8_t)strlen(objects[i]));
		buf_puts(out, objects[i]);
	}
	return 0;
}

static uint8_t
answer_encapsulated(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint8_t type = cursor_u8(in);
	size_t left;

	if (type == MEI_IDENTIFICATION)
		return answer_identification(plc, in, out);
	if (in->short_read || type != MEI_CANOPEN)
		return ILLEGAL_FUNCTION;
	left = cursor_left(in);
	put_u8(out, MEI_CANOPEN);
	buf_put(out, cursor_take(in, left), left);
	return 0;
}

/* function_code, how it is answered: the public codes of V1.1b3 section 6. */
static const struct modbus_service {
	uint8_t function_code;
	uint8_t (*answer)(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns);
} services[] = {
	{ 1, answer_read_bits },
	{ 2, answer_read_bits },
	{ 3, answer_read_registers },
	{ 4, answer_read_registers },
	{ 5, answer_write_one },
	{ 6, answer_write_one },
	{ 7, answer_exception_status },
	{ 8, answer_diagnostics },
	{ 11, answer_event_counter },
	{ 12, answer_event_log },
	{ 15, answer_write_bits },
	{ 16, answer_write_registers },
	{ 17, answer_server_id },
	{ 20, answer_read_files },
	{ 21, answer_write_files },
	{ 22, answer_mask_write },
	{ 23, answer_read_write },
	{ 24, answer_fifo },
	{ 43, answer_encapsulated },
};

static uint8_t
plc_serve(struct plant_plc *plc, uint8_t function, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	if (plc->broken)
		return SERVER_DEVICE_FAILURE;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (services[i].function_code == function)
			return services[i].answer(plc, function, in, out, now_ns);
	return ILLEGAL_FUNCTION;
}

void
plant_plc_answer(struct plant_plc *plc, struct cursor request, struct buf *answer, uint64_t now_ns)
{
	uint8_t function = cursor_u8(&request);
	struct cursor peek = request;
	size_t start = answer->len;
	uint8_t exception;

	plc->counters[0]++;
	if (plc->listen_only && (function != 8 || cursor_be16(&peek) != DIAG_RESTART_COMMUNICATIONS))
		return;
	put_u8(answer, function);
	exception = plc_serve(plc, function, &request, answer, now_ns);
	if (exception == 0) {
		plc->event_count++;
		return;
	}
	answer->len = start;
	if (exception == SILENT)
		return;
	plc->counters[2]++;
	put_u8(answer, function | 0x80);
	put_u8(answer, exception);
}

void
plant_modbus_adu(struct buf *out, uint16_t transaction_id, uint8_t unit_id, const struct buf *pdu)
{
	put_be16(out, transaction_id);
	put_be16(out, 0);
	put_be16(out, (uint16_t)(pdu->len + 1));
	put_u8(out, unit_id);
	buf_put(out, pdu->data, pdu->len);
}

static void
put_values(struct buf *pdu, unsigned int count, struct plant_random *random)
{
	put_u8(pdu, (uint8_t)(count * 2));
	for (unsigned int i = 0; i < count; i++)
		put_be16(pdu, (uint16_t)plant_random_below(random, 4096));
}

void
plant_modbus_request(struct buf *pdu, const struct plant_modbus_poll *poll, struct plant_random *random)
{
	uint8_t function = poll->function_code;

	put_u8(pdu, function);
	put_be16(pdu, poll->address);
	if (function == 5) {
		put_be16(pdu, plant_random_chance(random, 500) ? COIL_ON : 0);
	} else if (function == 6) {
		put_be16(pdu, (uint16_t)plant_random_below(random, 4096));
	} else if (function == 22) {
		put_be16(pdu, 0xff00);
		put_be16(pdu, (uint16_t)plant_random_below(random, 256));
	} else if (function != 24) {
		put_be16(pdu, poll->quantity);
	}
	if (function == 15) {
		put_u8(pdu, (uint8_t)((poll->quantity + 7) / 8));
		for (unsigned int i = 0; i < (poll->quantity + 7u) / 8; i++)
			put_u8(pdu, (uint8_t)plant_random_next(random));
	} else if (function == 16) {
		put_values(pdu, poll->quantity, random);
	} else if (function == 23) {
		put_be16(pdu, poll->address);
		put_be16(pdu, 2);
		put_values(pdu, 2, random);
	}
}
