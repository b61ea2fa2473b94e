#include "lib/spool/slot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/hash.h"

struct slot_header {
	uint64_t magic;
	uint64_t generation;
	uint32_t len;
	uint32_t crc; /* over generation, len and the state */
};

static_assert(sizeof(struct slot_header) == SLOT_HEADER_LEN, "the state follows the header");

static const uint64_t slot_magic = 0x31544f4c534c524dull;

static uint32_t
slot_crc(const struct slot_header *header, const void *state)
{
	uint32_t crc = crc32c(0, &header->generation, sizeof(header->generation));

	crc = crc32c(crc, &header->len, sizeof(header->len));
	return crc32c(crc, state, header->len);
}

/*
 * Sets the slot's generation, 0 when it is not valid. What a shorter state lacks is zero in the image. One that cannot be read
 * may be the newest, so that is no answer. Returns 0 or -errno.
 */
static int
slot_read(int fd, unsigned int slot, uint8_t image[SLOT_LEN], size_t len, uint64_t *generation)
{
	struct slot_header header;
	ssize_t got = pread(fd, image, SLOT_LEN, (off_t)slot * SLOT_LEN);

	*generation = 0;
	if (got != SLOT_LEN)
		return got < 0 ? -errno : 0;
	memcpy(&header, image, sizeof(header));
	if (header.magic != slot_magic || header.len > len)
		return 0;
	if (header.crc != slot_crc(&header, image + SLOT_HEADER_LEN))
		return 0;
	memset(image + SLOT_HEADER_LEN + header.len, 0, len - header.len);
	*generation = header.generation;
	return 0;
}

int
slot_open(struct slot_file *file, int dir_fd, const char *name, void *state, size_t len)
{
	uint8_t image[SLOT_LEN];

	assert(len > 0 && len <= SLOT_STATE_LEN_MAX);
	file->generation = 0;
	file->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->fd < 0)
		return -errno;
	for (unsigned int slot = 0; slot < 2; slot++) {
		uint64_t generation;
		int rc = slot_read(file->fd, slot, image, len, &generation);

		if (rc < 0)
			return rc;
		if (generation <= file->generation)
			continue;
		file->generation = generation;
		memcpy(state, image + SLOT_HEADER_LEN, len);
	}
	return file->generation > 0;
}

int
slot_save(struct slot_file *file, const void *state, size_t len, bool sync)
{
	uint8_t image[SLOT_LEN] = { 0 };
	struct slot_header header = {
		.magic = slot_magic, .generation = file->generation + 1, .len = (uint32_t)len,
	};
	off_t at = (off_t)(header.generation & 1) * SLOT_LEN;

	assert(len > 0 && len <= SLOT_STATE_LEN_MAX);
	header.crc = slot_crc(&header, state);
	memcpy(image, &header, sizeof(header));
	memcpy(image + SLOT_HEADER_LEN, state, len);
	ssize_t done = pwrite(file->fd, image, SLOT_LEN, at);

	if (done != SLOT_LEN)
		return done < 0 ? -errno : -ENOSPC;
	file->generation = header.generation;
	if (sync && fdatasync(file->fd) != 0)
		return -errno;
	return 0;
}

void
slot_close(struct slot_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
