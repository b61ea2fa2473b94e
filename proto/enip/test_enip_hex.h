/* PDUs of the tests, from hex. */
#ifndef MR_PROTO_ENIP_HEX_H
#define MR_PROTO_ENIP_HEX_H

#include "proto/enip/enip.h"
#include "proto/test_rig.h"

enum { PDU_MAX = 2048 };

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

/* A CIP message as the body of a SendRRData (connection 0), or of a SendUnitData with this sequence count. */
static size_t
wrap(const char *cip, uint32_t connection_id, uint16_t sequence, uint8_t *out)
{
	uint8_t body[PDU_MAX], *at = out + ENIP_HEADER_LEN;
	size_t len = unhex(cip, body, sizeof(body)), cpf_len;

	memset(out, 0, ENIP_HEADER_LEN + 32);
	at[6] = 2;
	if (connection_id == 0) {
		at[12] = 0xb2;
		put16(at + 14, len);
		memcpy(at + 16, body, len);
		cpf_len = 16 + len;
	} else {
		at[8] = 0xa1;
		at[10] = 4;
		put16(at + 12, connection_id);
		put16(at + 14, connection_id >> 16);
		at[16] = 0xb1;
		put16(at + 18, len + 2);
		put16(at + 20, sequence);
		memcpy(at + 22, body, len);
		cpf_len = 22 + len;
	}
	put16(out, connection_id == 0 ? ENIP_SEND_RR_DATA : ENIP_SEND_UNIT_DATA);
	put16(out + 2, cpf_len);
	out[4] = 0x77; /* session */
	return ENIP_HEADER_LEN + cpf_len;
}

#endif
