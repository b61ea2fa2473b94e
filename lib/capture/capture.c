/* Opening, closing, and what goes wrong; the formats are in pcap.c and pcapng.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/capture/capture_private.h"

int
capture_fail(struct capture *c, int error, const char *format, ...)
{
	char reason[160];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (c->next == NULL)
		snprintf(c->error.text, sizeof(c->error.text), "%.300s: %s", c->path, reason);
	else
		snprintf(c->error.text, sizeof(c->error.text), "%.300s: byte %llu, frame %llu: %s", c->path,
			(unsigned long long)(c->input.offset + c->input.pos), (unsigned long long)(c->frame_count + 1), reason);
	return error;
}

int
capture_fail_short(struct capture *c, int result, const char *missing)
{
	if (result < 0)
		return capture_fail(c, result, "%s", strerror(-result));
	if (c->input.cut && c->input.packed.result == UNPACK_TOO_LARGE)
		return capture_fail(c, -EBADMSG, "unpacking the %s data takes more than %d MiB", c->input.packed.by->name, UNPACK_WINDOW_MAX >> 20);
	if (c->input.cut)
		return capture_fail(c, -EBADMSG, "the compressed data is damaged or cut short in a %s", missing);
	return capture_fail(c, -EBADMSG, "the file is cut short in a %s", missing);
}

/* Finds the format by its first four bytes. */
static int
start(struct capture *c)
{
	int found = capture_input_need(&c->input, 4);
	struct cursor in;
	uint32_t magic;

	if (found < 0)
		return capture_fail(c, found, "%s", strerror(-found));
	if (found == 0 && capture_input_left(&c->input) == 0 && !c->input.cut)
		return capture_fail(c, -EBADMSG, "the file is empty");
	if (found == 0)
		return capture_fail_short(c, found, "magic number");
	in = capture_input_peek(&c->input, 4);
	magic = cursor_le32(&in);
	if (capture_pcap_is_magic(magic))
		return capture_pcap_start(c, magic);
	if (magic == PCAPNG_MAGIC)
		return capture_pcapng_start(c);
	return capture_fail(c, -EBADMSG, "neither pcap nor pcapng (starts with 0x%08x): Wireshark's editcap turns other formats into pcapng", __builtin_bswap32(magic));
}

int
capture_open(struct capture **out, const char *path, struct config_error *err)
{
	struct capture *c = calloc(1, sizeof(*c));
	int error;

	*out = NULL;
	err->text[0] = '\0';
	if (c == NULL) {
		snprintf(err->text, sizeof(err->text), "%.300s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	c->input.fd = -1;
	c->result = 1;
	c->path = strdup(path);
	error = c->path == NULL ? -ENOMEM : capture_input_open(&c->input, path);
	if (error < 0)
		snprintf(err->text, sizeof(err->text), "%.300s: %s", path, strerror(-error));
	else
		error = start(c);
	if (error < 0) {
		if (err->text[0] == '\0')
			*err = c->error;
		capture_close(c);
		return error;
	}
	*out = c;
	return 0;
}

int
capture_next(struct capture *c, struct capture_frame *frame)
{
	int result;

	if (c->result <= 0)
		return c->result;
	result = c->next(c, frame);
	if (result <= 0) {
		c->result = result;
		return result;
	}
	frame->number = ++c->frame_count;
	c->last_ts_ns = frame->ts_ns;
	return 1;
}

const char *
capture_error(const struct capture *c)
{
	return c->error.text;
}

void
capture_close(struct capture *c)
{
	if (c == NULL)
		return;
	capture_input_close(&c->input);
	free(c->interfaces);
	free(c->path);
	free(c);
}
