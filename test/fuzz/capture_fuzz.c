/* A capture file: reading ends, and every byte lent can be read. */
#include <unistd.h>

#include "lib/capture/capture.h"
#include "test/fuzz/fuzz_input.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config_error err;
	struct capture_frame frame;
	struct capture *c;
	volatile uint8_t sum = 0;
	uint64_t number = 0;
	int fd;
	const char *path = fuzz_file(cursor_of(data, len), &fd);

	if (capture_open(&c, path, &err) == 0) {
		while (capture_next(c, &frame) == 1) {
			FUZZ_MUST(frame.number == ++number);
			FUZZ_MUST(frame.len <= CAPTURE_FRAME_LEN_MAX && frame.wire_len >= frame.len);
			for (uint32_t i = 0; i < frame.len; i++)
				sum += frame.data[i];
		}
		capture_close(c);
	}
	close(fd);
	return 0;
}
