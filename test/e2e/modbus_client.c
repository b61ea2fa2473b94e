/*
 * A libmodbus client for live.py: `modbus_client ADDRESS PORT ROUNDS`. Each round makes one transaction of every kind
 * that libmodbus knows; each is said in a line of JSON: function, address, values as the library saw them, exception.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNT = 10, COIL_COUNT = 19, MISSING_ADDRESS = 60000 };

static uint16_t registers[COUNT];
static uint8_t bits[COIL_COUNT];

static void
say(int function, int address, int count, const uint16_t *words, const uint8_t *flags, int result)
{
	printf("{\"function\":%d,\"address\":%d,\"exception\":%d,\"values\":[", function, address,
		result >= 0 ? 0 : errno > MODBUS_ENOBASE ? errno - MODBUS_ENOBASE : -1);
	for (int i = 0; result >= 0 && i < count; i++)
		printf("%s%d", i == 0 ? "" : ",", words != NULL ? words[i] : flags[i]);
	printf("]}\n");
}

static void
read_all(modbus_t *ctx, int address)
{
	int result = modbus_read_bits(ctx, address, COIL_COUNT, bits);

	say(1, address, COIL_COUNT, NULL, bits, result);
	result = modbus_read_input_bits(ctx, address, COIL_COUNT, bits);
	say(2, address, COIL_COUNT, NULL, bits, result);
	result = modbus_read_registers(ctx, address, COUNT, registers);
	say(3, address, COUNT, registers, NULL, result);
	result = modbus_read_input_registers(ctx, address, COUNT, registers);
	say(4, address, COUNT, registers, NULL, result);
	result = modbus_read_registers(ctx, MISSING_ADDRESS, COUNT, registers);
	say(3, MISSING_ADDRESS, 0, registers, NULL, result);
}

static void
write_all(modbus_t *ctx, int address, uint16_t value)
{
	uint16_t written[COUNT];
	int result = modbus_write_bit(ctx, address, value % 2);

	for (int i = 0; i < COUNT; i++)
		written[i] = (uint16_t)(value + i);
	for (int i = 0; i < COIL_COUNT; i++)
		bits[i] = (uint8_t)((value >> i % 8) & 1);
	say(5, address, 1, (uint16_t[]){ value % 2 }, NULL, result);
	result = modbus_write_register(ctx, address, value);
	say(6, address, 1, &value, NULL, result);
	result = modbus_write_bits(ctx, address, COIL_COUNT, bits);
	say(15, address, COIL_COUNT, NULL, bits, result);
	result = modbus_write_registers(ctx, address, COUNT, written);
	say(16, address, COUNT, written, NULL, result);
	result = modbus_mask_write_register(ctx, address, 0xff00, value & 0xff);
	say(22, address, 0, &value, NULL, result);
	result = modbus_write_and_read_registers(ctx, address, COUNT / 2, written, address, COUNT, registers);
	say(23, address, COUNT, registers, NULL, result);
}

int
main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	modbus_t *ctx;

	if (argc != 4)
		return 2;
	ctx = modbus_new_tcp(argv[1], atoi(argv[2]));
	if (ctx == NULL || modbus_connect(ctx) != 0) {
		fprintf(stderr, "modbus_client: %s\n", modbus_strerror(errno));
		return 1;
	}
	for (int round = 0; round < atoi(argv[3]); round++) {
		write_all(ctx, round * 7 % 400, (uint16_t)(round * 257 + 3));
		read_all(ctx, round * 7 % 400);
		nanosleep(&pause, NULL);
	}
	modbus_close(ctx);
	modbus_free(ctx);
	return 0;
}
