/* A segment file as a disk may give it back: walked, resynchronised, with and without a key. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/spool/segment.h"
#include "lib/spool/slot.h"
#include "lib/spool/spool.h"
#include "test/fuzz/fuzz_input.h"

enum { LANE = 2, FIRST = 7, KEY_ID = 9 };

static char dir[64];
static int dir_fd = -1;
static struct segment_reader readers[2];
static volatile char last_byte; /* the sanitizer sees it read */

static void
start(void)
{
	const struct seal_key key = { .bytes = { 1, 2, 3 }, .id = KEY_ID };

	snprintf(dir, sizeof(dir), "%s/fuzz_segment.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_MUST(mkdtemp(dir) != NULL);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	FUZZ_MUST(dir_fd >= 0);
	FUZZ_MUST(segment_reader_create(&readers[0], NULL) == 0);
	FUZZ_MUST(segment_reader_create(&readers[1], &key) == 0);
}

static void
write_file(const char *name, const void *head, size_t head_len, struct cursor rest)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	FUZZ_MUST(fd >= 0);
	FUZZ_MUST(write(fd, head, head_len) == (ssize_t)head_len);
	FUZZ_MUST(write(fd, rest.pos, cursor_left(&rest)) == (ssize_t)cursor_left(&rest));
	close(fd);
}

/* A sequence never goes back, an entry is never empty or too long, and the walk ends. */
static void
walk(struct segment_reader *reader)
{
	uint64_t seq = FIRST;
	unsigned int resyncs = 0;

	if (segment_reader_open(reader, dir_fd, LANE, FIRST) < 0)
		return;
	for (;;) {
		const char *line;
		uint32_t len;
		int status = segment_reader_next(reader, &line, &len);

		if (status == SEGMENT_BAD && resyncs++ < 4 && segment_reader_resync(reader) == 1) {
			FUZZ_MUST(reader->seq > seq);
			seq = reader->seq;
			continue;
		}
		if (status != SEGMENT_ENTRY && status != SEGMENT_BAD_BODY)
			break;
		FUZZ_MUST(reader->seq == ++seq);
		if (status == SEGMENT_BAD_BODY)
			continue;
		FUZZ_MUST(len > 0 && len <= SPOOL_RECORD_LEN_MAX + SEAL_TAG_LEN);
		last_byte = line[len - 1];
	}
	segment_reader_close(reader);
}

/* Entries that check, between what the fuzzer gives: it cannot guess the checksums. */
static size_t
make_entries(uint8_t *to, struct cursor *in, uint64_t salt)
{
	unsigned int count = cursor_u8(in) % 4;
	size_t at = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint8_t skip = cursor_u8(in) % 8;
		struct cursor line = fuzz_take(in, cursor_u8(in));
		struct cursor noise = fuzz_take(in, cursor_u8(in) % 32);

		if (cursor_left(&line) == 0)
			continue;
		segment_entry_write((char *)to + at, salt, FIRST + i + skip, line.pos, (uint32_t)cursor_left(&line));
		at += SEGMENT_ENTRY_LEN + cursor_left(&line);
		if (cursor_left(&noise) > 0)
			memcpy(to + at, noise.pos, cursor_left(&noise));
		at += cursor_left(&noise);
	}
	return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t file[4096];
	struct cursor in = cursor_of(data, len);
	struct segment_header header = { .salt = 0x1234, .hole_first = 1 };
	uint8_t how = cursor_u8(&in);
	struct slot_file slot;
	uint64_t state[4];
	char name[SEGMENT_NAME_LEN + 1];

	if (dir_fd < 0)
		start();
	if (cursor_left(&in) == 0)
		return 0;
	segment_name(name, FIRST);
	header.version = (how & 1) != 0 ? SEGMENT_VERSION_SEALED : SEGMENT_VERSION;
	segment_header_write(&header, LANE, FIRST);
	memcpy(file, &header, sizeof(header));
	size_t made = sizeof(header) + make_entries(file + sizeof(header), &in, header.salt);

	write_file(name, file, (how & 2) != 0 ? made : 0, in);
	for (unsigned int i = 0; i < 2; i++)
		walk(&readers[i]);
	write_file("state", NULL, 0, in);
	FUZZ_MUST(slot_open(&slot, dir_fd, "state", state, sizeof(state)) >= 0);
	slot_close(&slot);
	return 0;
}
