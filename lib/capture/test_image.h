/* Captures made byte by byte, for test_capture.c. */
#ifndef MR_CAPTURE_TEST_IMAGE_H
#define MR_CAPTURE_TEST_IMAGE_H

#include "test/test.h"

#include "lib/capture/capture_private.h"

enum { FILE_MAX = 64 * 1024 };

/* A capture under construction. */
struct image {
	uint8_t data[FILE_MAX];
	size_t len;
	bool big_endian;
};

static void
put(struct image *image, const void *data, size_t len)
{
	assert_true(len <= sizeof(image->data) - image->len);
	if (len > 0)
		memcpy(image->data + image->len, data, len);
	image->len += len;
}

static void
put_number(struct image *image, uint64_t value, unsigned int len)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < len; i++)
		bytes[image->big_endian ? len - 1 - i : i] = (uint8_t)(value >> 8 * i);
	put(image, bytes, len);
}

static void
put_u16(struct image *image, uint16_t value)
{
	put_number(image, value, 2);
}

static void
put_u32(struct image *image, uint32_t value)
{
	put_number(image, value, 4);
}

static void
put_pcap_header(struct image *image, uint32_t magic, uint16_t minor, uint32_t network)
{
	put_u32(image, magic);
	put_u16(image, 2);
	put_u16(image, minor);
	put_u32(image, 0);
	put_u32(image, 0);
	put_u32(image, 65535);
	put_u32(image, network);
}

static void
put_pcap_frame(struct image *image, uint32_t seconds, uint32_t fraction, const char *text, uint32_t wire_len)
{
	put_u32(image, seconds);
	put_u32(image, fraction);
	put_u32(image, (uint32_t)strlen(text));
	put_u32(image, wire_len);
	put(image, text, strlen(text));
}

/* Opens a block; put_block_end() fills in the lengths. */
static size_t
put_block(struct image *image, uint32_t type)
{
	size_t start = image->len;

	put_u32(image, type);
	put_u32(image, 0);
	return start;
}

static void
put_block_end(struct image *image, size_t start)
{
	size_t len;

	while ((image->len - start) % 4 != 0)
		put(image, "", 1);
	len = image->len - start + 4;
	put_u32(image, (uint32_t)len);
	image->len = start + 4;
	put_u32(image, (uint32_t)len);
	image->len = start + len;
}

static void
put_section(struct image *image)
{
	size_t start = put_block(image, PCAPNG_MAGIC);

	put_u32(image, 0x1a2b3c4d);
	put_u16(image, 1);
	put_u16(image, 0);
	put_number(image, UINT64_MAX, 8);
	put_block_end(image, start);
}

static void
put_interface(struct image *image, uint16_t link_type, uint32_t snap_len, int resolution, int64_t offset_s)
{
	size_t start = put_block(image, 1);

	put_u16(image, link_type);
	put_u16(image, 0);
	put_u32(image, snap_len);
	if (resolution >= 0) {
		put_u16(image, 2); /* if_name, to be skipped */
		put_u16(image, 3);
		put(image, "eth\0", 4);
		put_u16(image, 9);
		put_u16(image, 1);
		put(image, &(uint8_t){ (uint8_t)resolution }, 1);
		put(image, "\0\0\0", 3);
	}
	if (offset_s != 0) {
		put_u16(image, 14);
		put_u16(image, 8);
		put_number(image, (uint64_t)offset_s, 8);
	}
	if (resolution >= 0)
		put_u32(image, 0);
	put_block_end(image, start);
}

static void
put_enhanced(struct image *image, uint32_t interface, uint64_t units, const char *text, uint32_t wire_len)
{
	size_t start = put_block(image, 6);

	put_u32(image, interface);
	put_u32(image, (uint32_t)(units >> 32));
	put_u32(image, (uint32_t)units);
	put_u32(image, (uint32_t)strlen(text));
	put_u32(image, wire_len);
	put(image, text, strlen(text));
	put_block_end(image, start);
}

static void
put_obsolete(struct image *image, uint16_t interface, uint64_t units, const char *text)
{
	size_t start = put_block(image, 2);

	put_u16(image, interface);
	put_u16(image, 7);
	put_u32(image, (uint32_t)(units >> 32));
	put_u32(image, (uint32_t)units);
	put_u32(image, (uint32_t)strlen(text));
	put_u32(image, (uint32_t)strlen(text));
	put(image, text, strlen(text));
	put_block_end(image, start);
}

static void
put_simple(struct image *image, const char *text, uint32_t wire_len)
{
	size_t start = put_block(image, 3);

	put_u32(image, wire_len);
	put(image, text, strlen(text));
	put_block_end(image, start);
}

#endif
