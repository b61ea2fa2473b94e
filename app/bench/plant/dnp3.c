/* Link and transport layers: IEEE 1815-2012 clauses 8 and 9. */
#include "app/bench/plant/dnp3.h"

#include <assert.h>

#include "app/bench/plant/wire.h"

enum {
	LINK_BLOCK_LEN = 16,
	LINK_LENGTH_FIXED = 5, /* control, destination, source: counted by the length octet */
	TRANSPORT_DATA_MAX = 249,
	TRANSPORT_FIN = 0x80,
	TRANSPORT_FIR = 0x40,
	TRANSPORT_SEQ_MASK = 0x3f,
	CRC_POLYNOMIAL = 0xa6bc, /* 0x3d65, bits reversed */
};

uint16_t
plant_dnp3_crc(const uint8_t *data, size_t len)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc & 1) != 0 ? crc >> 1 ^ CRC_POLYNOMIAL : crc >> 1);
	}
	return (uint16_t)~crc;
}

static void
put_block(struct buf *out, const void *data, size_t len, uint16_t spoil)
{
	buf_put(out, data, len);
	put_le16(out, plant_dnp3_crc(data, len) ^ spoil);
}

void
plant_dnp3_frame(struct buf *out, struct plant_dnp3_end *end, uint8_t link_function, const void *data, size_t data_len)
{
	uint8_t header_bytes[8];
	struct buf header = buf_over(header_bytes, sizeof(header_bytes));
	struct cursor in = cursor_of(data_len == 0 ? header_bytes : data, data_len);
	bool spoil_header = end->spoil_crc == DNP3_SPOIL_HEADER || data_len == 0;
	uint16_t spoil = end->spoil_crc != DNP3_SPOIL_NONE ? 0x0f0f : 0;

	assert(data_len <= PLANT_DNP3_FRAME_DATA_MAX);
	end->spoil_crc = DNP3_SPOIL_NONE;
	put_be16(&header, 0x0564);
	put_u8(&header, (uint8_t)(LINK_LENGTH_FIXED + data_len));
	put_u8(&header, (end->master ? DNP3_LINK_DIR : 0) | link_function);
	put_le16(&header, end->peer);
	put_le16(&header, end->address);
	put_block(out, header_bytes, header.len, spoil_header ? spoil : 0);
	spoil = spoil_header ? 0 : spoil;
	while (cursor_left(&in) > 0) {
		size_t len = cursor_left(&in) < LINK_BLOCK_LEN ? cursor_left(&in) : LINK_BLOCK_LEN;

		put_block(out, cursor_take(&in, len), len, spoil);
		spoil = 0;
	}
}

void
plant_dnp3_send(struct buf *out, struct plant_dnp3_end *end, const struct buf *fragment)
{
	struct cursor in = cursor_of(fragment->data, fragment->len);
	uint8_t fir = TRANSPORT_FIR;

	do {
		uint8_t bytes[1 + TRANSPORT_DATA_MAX];
		struct buf segment = buf_over(bytes, sizeof(bytes));
		size_t left = cursor_left(&in);
		size_t len = left < TRANSPORT_DATA_MAX ? left : TRANSPORT_DATA_MAX;

		put_u8(&segment, (len == left ? TRANSPORT_FIN : 0) | fir | end->transport_seq);
		end->transport_seq = (end->transport_seq + 1) & TRANSPORT_SEQ_MASK;
		fir = 0;
		buf_put(&segment, cursor_take(&in, len), len);
		plant_dnp3_frame(out, end, DNP3_LINK_PRM | DNP3_LINK_USER_DATA, bytes, segment.len);
	} while (cursor_left(&in) > 0);
}

void
plant_dnp3_header(struct buf *out, uint8_t group, uint8_t variation, uint8_t qualifier)
{
	put_u8(out, group);
	put_u8(out, variation);
	put_u8(out, qualifier);
}
