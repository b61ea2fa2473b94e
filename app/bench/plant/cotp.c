#include "app/bench/plant/cotp.h"

enum {
	TPKT_LEN = 4,
	DATA_HEADER_LEN = 3,
	CONNECT_LEN_MAX = 64,
	SERVER_DELAY_NS = 1500000,
	CONNECTION_REQUEST = 0xe0,
	CONNECTION_CONFIRM = 0xd0,
	PARAMETER_TPDU_SIZE = 0xc0,
	PARAMETER_CALLING = 0xc1,
	PARAMETER_CALLED = 0xc2,
	TPDU_SIZE_1024 = 10, /* as a power of two */
	CLIENT_REFERENCE = 1,
	SERVER_REFERENCE = 6,
};

static void
put_tpkt(struct buf *out, size_t len)
{
	put_be16(out, 0x0300);
	put_be16(out, (uint16_t)(TPKT_LEN + len));
}

static uint64_t
send_connect(struct plant_talk *talk, enum plant_end from, const void *called, size_t called_len, uint64_t now_ns)
{
	static const uint8_t calling[] = { PARAMETER_CALLING, 2, 0x01, 0x00 };
	uint8_t bytes[CONNECT_LEN_MAX];
	struct buf out = buf_over(bytes, sizeof(bytes));
	size_t len = 6 + 3 + sizeof(calling) + 2 + called_len; /* behind the length indicator */

	put_tpkt(&out, len + 1);
	put_u8(&out, (uint8_t)len);
	put_u8(&out, from == PLANT_CLIENT ? CONNECTION_REQUEST : CONNECTION_CONFIRM);
	put_be16(&out, from == PLANT_CLIENT ? 0 : CLIENT_REFERENCE);
	put_be16(&out, from == PLANT_CLIENT ? CLIENT_REFERENCE : SERVER_REFERENCE);
	put_u8(&out, 0);
	put_u8(&out, PARAMETER_TPDU_SIZE);
	put_u8(&out, 1);
	put_u8(&out, TPDU_SIZE_1024);
	buf_put(&out, calling, sizeof(calling));
	put_u8(&out, PARAMETER_CALLED);
	put_u8(&out, (uint8_t)called_len);
	buf_put(&out, called, called_len);
	return plant_talk_send(talk, from, out.data, out.len, now_ns);
}

uint64_t
plant_cotp_open(struct plant_talk *talk, const void *called, size_t called_len, uint64_t now_ns)
{
	talk->ports[PLANT_SERVER] = PLANT_COTP_PORT;
	now_ns = plant_talk_open(talk, now_ns);
	now_ns = send_connect(talk, PLANT_CLIENT, called, called_len, now_ns);
	return send_connect(talk, PLANT_SERVER, called, called_len, now_ns + SERVER_DELAY_NS);
}

uint64_t
plant_cotp_send(struct plant_talk *talk, enum plant_end from, const struct plant_cotp_message *message, uint64_t now_ns)
{
	static const uint8_t data[] = { 2, 0xf0, 0x80 }; /* the last TPDU of its message */
	uint8_t bytes[PLANT_COTP_MESSAGE_LEN_MAX + TPKT_LEN + DATA_HEADER_LEN];
	struct buf out = buf_over(bytes, sizeof(bytes));

	put_tpkt(&out, sizeof(data) + message->body.len);
	buf_put(&out, data, sizeof(data));
	buf_put(&out, message->body.data, message->body.len);
	return plant_talk_send(talk, from, out.data, out.len, now_ns);
}
