/* A libmodbus server for live.py: `modbus_server ADDRESS PORT`. Says "ready", then serves one client after the other. */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>

enum { TABLE_LEN = 500 };

static void
serve(modbus_t *ctx, modbus_mapping_t *mapping)
{
	static uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
	int len;

	while ((len = modbus_receive(ctx, query)) >= 0)
		if (len > 0 && modbus_reply(ctx, query, len, mapping) < 0)
			return;
}

int
main(int argc, char **argv)
{
	modbus_mapping_t *mapping = modbus_mapping_new(TABLE_LEN, TABLE_LEN, TABLE_LEN, TABLE_LEN);
	modbus_t *ctx;
	int listener;

	if (argc != 3 || mapping == NULL)
		return 2;
	ctx = modbus_new_tcp(argv[1], atoi(argv[2]));
	listener = ctx == NULL ? -1 : modbus_tcp_listen(ctx, 4);
	if (listener < 0) {
		fprintf(stderr, "modbus_server: %s\n", modbus_strerror(errno));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (modbus_tcp_accept(ctx, &listener) >= 0) {
		serve(ctx, mapping);
		modbus_close(ctx);
	}
	return 0;
}
