/* A configuration file: what is not refused fills every module's struct within its bounds. */
#include <unistd.h>

#include "lib/config/config.h"
#include "lib/packet/packet.h"
#include "lib/spool/spool.h"
#include "test/fuzz/fuzz_input.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct knob_table *const tables[] = { &packet_knobs, &spool_knobs };
	struct cursor in = cursor_of(data, len);
	struct cursor assignment = fuzz_take(&in, cursor_u8(&in));
	struct packet_config packet;
	struct spool_config spool;
	struct config_error err;
	struct config *config;
	int fd;
	const char *path = fuzz_file(in, &fd);

	if (config_load(&config, path, &err) == 0) {
		char *text = strndup((const char *)assignment.pos, cursor_left(&assignment));

		(void)config_set(config, text, &err);
		free(text);
		if (config_apply(config, &packet_knobs, &packet, &err) == 0 &&
			config_apply(config, &spool_knobs, &spool, &err) == 0)
			FUZZ_MUST(spool.path != NULL);
		(void)config_check_unknown(config, tables, 2, &err);
		config_destroy(config);
	}
	close(fd);
	return 0;
}
