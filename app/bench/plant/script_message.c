/* Messages of the script language: a table of keys for each protocol. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench/plant/script.h"

enum { SERVER_DELAY_NS = 1500000 };

enum key_kind {
	KEY_HEADER, /* goes to the header, not into the PDU: header[slot] */
	KEY_U8,
	KEY_BE16,
	KEY_LE16,
	KEY_LE32,
	KEY_U8S, /* a,b,c */
	KEY_LE16S,
	KEY_COUNTED, /* a,b,c as big-endian 16-bit numbers behind their length in bytes */
	KEY_HEX,
	KEY_NAME, /* one byte: a function code by number or name */
	KEY_TEXT,
};

enum header_slot {
	HEADER_RAW_PDU, /* set where the PDU was given whole */
	HEADER_TRANSACTION,
	HEADER_PROTOCOL,
	HEADER_LENGTH,
	HEADER_UNIT,
	HEADER_CONTROL,
	HEADER_SEQ,
	HEADER_CONFIRM,
	HEADER_SOURCE,
	HEADER_DESTINATION,
	HEADER_CRC,
	HEADER_LINK,
	HEADER_TRANSPORT,
	HEADER_COUNT,
};

struct script_key {
	const char *name;
	uint8_t kind; /* enum key_kind */
	uint8_t slot; /* enum header_slot */
};

static const struct script_key modbus_keys[] = {
	{ "transaction", KEY_HEADER, HEADER_TRANSACTION },
	{ "protocol", KEY_HEADER, HEADER_PROTOCOL },
	{ "length", KEY_HEADER, HEADER_LENGTH },
	{ "unit", KEY_HEADER, HEADER_UNIT },
	{ "function", KEY_U8, 0 },
	{ "exception", KEY_U8, 0 },
	{ "byte", KEY_U8, 0 },
	{ "sub", KEY_BE16, 0 },
	{ "address", KEY_BE16, 0 },
	{ "quantity", KEY_BE16, 0 },
	{ "value", KEY_BE16, 0 },
	{ "and", KEY_BE16, 0 },
	{ "or", KEY_BE16, 0 },
	{ "values", KEY_COUNTED, 0 },
	{ "data", KEY_HEX, 0 },
};

static const struct script_key dnp3_keys[] = {
	{ "control", KEY_HEADER, HEADER_CONTROL },
	{ "seq", KEY_HEADER, HEADER_SEQ },
	{ "confirm", KEY_HEADER, HEADER_CONFIRM },
	{ "src", KEY_HEADER, HEADER_SOURCE },
	{ "dst", KEY_HEADER, HEADER_DESTINATION },
	{ "bad-crc", KEY_HEADER, HEADER_CRC }, /* 1: of the first block of data, 2: of the header */
	{ "link", KEY_HEADER, HEADER_LINK },
	{ "transport", KEY_HEADER, HEADER_TRANSPORT }, /* the octet; the fragment must fit one frame */
	{ "function", KEY_NAME, 0 },
	{ "iin", KEY_BE16, 0 },
	{ "object", KEY_U8S, 0 }, /* group,variation,qualifier */
	{ "bytes", KEY_U8S, 0 },
	{ "words", KEY_LE16S, 0 },
	{ "u16", KEY_LE16, 0 },
	{ "u32", KEY_LE32, 0 },
	{ "text", KEY_TEXT, 0 },
	{ "data", KEY_HEX, 0 },
};

/* IEEE 1815-2012 4.2.2.5, in the spelling of the rule language. */
static const struct dnp3_name {
	const char *name;
	uint8_t code;
} dnp3_names[] = {
	{ "confirm", 0 },
	{ "read", 1 },
	{ "write", 2 },
	{ "select", 3 },
	{ "operate", 4 },
	{ "direct_operate", 5 },
	{ "direct_operate_nr", 6 },
	{ "immed_freeze", 7 },
	{ "immed_freeze_nr", 8 },
	{ "freeze_clear", 9 },
	{ "freeze_clear_nr", 10 },
	{ "freeze_at_time", 11 },
	{ "freeze_at_time_nr", 12 },
	{ "cold_restart", 13 },
	{ "warm_restart", 14 },
	{ "initialize_data", 15 },
	{ "initialize_appl", 16 },
	{ "start_appl", 17 },
	{ "stop_appl", 18 },
	{ "save_config", 19 },
	{ "enable_unsolicited", 20 },
	{ "disable_unsolicited", 21 },
	{ "assign_class", 22 },
	{ "delay_measure", 23 },
	{ "record_current_time", 24 },
	{ "open_file", 25 },
	{ "close_file", 26 },
	{ "delete_file", 27 },
	{ "get_file_info", 28 },
	{ "authenticate_file", 29 },
	{ "abort_file", 30 },
	{ "activate_config", 31 },
	{ "authenticate_req", 32 },
	{ "authenticate_err", 33 },
	{ "response", 129 },
	{ "unsolicited_response", 130 },
	{ "authenticate_resp", 131 },
};

static int64_t
header_or(const int64_t header[], enum header_slot slot, int64_t fallback)
{
	return header[slot] < 0 ? fallback : header[slot];
}

static void
script_remember(struct script_talk *talk, const struct buf *pdu)
{
	memcpy(talk->request, pdu->data, pdu->len);
	talk->request_len = pdu->len;
}

static void
modbus_wrap(struct script_talk *talk, enum plant_end from, const int64_t header[], struct buf *inner, struct buf *wire)
{
	if (from == PLANT_CLIENT) {
		talk->transaction_id = (uint16_t)header_or(header, HEADER_TRANSACTION, talk->transaction_id + 1);
		talk->unit_id = (uint8_t)header_or(header, HEADER_UNIT, talk->unit_id);
		script_remember(talk, inner);
	}
	put_be16(wire, (uint16_t)header_or(header, HEADER_TRANSACTION, talk->transaction_id));
	put_be16(wire, (uint16_t)header_or(header, HEADER_PROTOCOL, 0));
	put_be16(wire, (uint16_t)header_or(header, HEADER_LENGTH, (int64_t)inner->len + 1));
	put_u8(wire, (uint8_t)header_or(header, HEADER_UNIT, talk->unit_id));
	buf_put(wire, inner->data, inner->len);
}

static uint64_t
modbus_answer(struct script *script, struct script_talk *talk, uint64_t now_ns)
{
	uint8_t pdu_bytes[PLANT_MODBUS_PDU_LEN_MAX], bytes[PLANT_MODBUS_ADU_LEN_MAX];
	struct buf pdu = buf_over(pdu_bytes, sizeof(pdu_bytes));
	struct buf wire = buf_over(bytes, sizeof(bytes));

	now_ns += SERVER_DELAY_NS;
	plant_plc_answer(script->plc, cursor_of(talk->request, talk->request_len), &pdu, now_ns);
	if (pdu.len == 0)
		return now_ns;
	plant_modbus_adu(&wire, talk->transaction_id, talk->unit_id, &pdu);
	return plant_talk_send(&talk->talk, PLANT_SERVER, bytes, wire.len, now_ns);
}

static void
dnp3_wrap(struct script_talk *talk, enum plant_end from, const int64_t header[], struct buf *inner, struct buf *wire)
{
	uint8_t bytes[SCRIPT_MESSAGE_LEN_MAX];
	struct buf fragment = buf_over(bytes, sizeof(bytes));
	uint8_t segment_bytes[PLANT_DNP3_FRAME_DATA_MAX];
	struct plant_dnp3_end end = talk->ends[from];
	uint8_t seq =
		(uint8_t)header_or(header, HEADER_SEQ, from == PLANT_CLIENT ? talk->seq : talk->request[0]) & 0x0f;
	uint8_t confirm = header_or(header, HEADER_CONFIRM, 0) != 0 ? DNP3_CON : 0;

	end.address = (uint16_t)header_or(header, HEADER_SOURCE, end.address);
	end.peer = (uint16_t)header_or(header, HEADER_DESTINATION, end.peer);
	end.spoil_crc = (uint8_t)header_or(header, HEADER_CRC, DNP3_SPOIL_NONE);
	if (header[HEADER_LINK] >= 0 && inner->len == 0) { /* a link frame alone: status, reset */
		plant_dnp3_frame(wire, &end, (uint8_t)header[HEADER_LINK], NULL, 0);
		return;
	}
	if (header[HEADER_RAW_PDU] < 0)
		put_u8(&fragment, (uint8_t)header_or(header, HEADER_CONTROL, DNP3_FIR | DNP3_FIN | confirm | seq));
	buf_put(&fragment, inner->data, inner->len);
	if (from == PLANT_CLIENT) {
		talk->seq = (seq + 1) & 0x0f;
		script_remember(talk, &fragment);
	}
	if (header[HEADER_TRANSPORT] >= 0) {
		struct buf segment = buf_over(segment_bytes, sizeof(segment_bytes));

		put_u8(&segment, (uint8_t)header[HEADER_TRANSPORT]);
		buf_put(&segment, bytes, fragment.len);
		plant_dnp3_frame(wire, &end, DNP3_LINK_PRM | DNP3_LINK_USER_DATA, segment_bytes, segment.len);
		return;
	}
	plant_dnp3_send(wire, &end, &fragment);
	talk->ends[from].transport_seq = end.transport_seq;
}

static uint64_t
dnp3_answer(struct script *script, struct script_talk *talk, uint64_t now_ns)
{
	return plant_dnp3_reply(&talk->talk, talk->ends, script->outstation,
		cursor_of(talk->request, talk->request_len), now_ns + SERVER_DELAY_NS);
}

static void
raw_wrap(struct script_talk *talk, enum plant_end from, const int64_t header[], struct buf *inner, struct buf *wire)
{
	buf_put(wire, inner->data, inner->len);
}

static const struct script_key raw_keys[] = {
	{ "data", KEY_HEX, 0 },
	{ "text", KEY_TEXT, 0 },
};

#define KEYS(array) (array), sizeof(array) / sizeof((array)[0])

static const struct script_protocol protocols[] = {
	{ "modbus", PLANT_MODBUS_PORT, KEYS(modbus_keys), modbus_wrap, modbus_answer },
	{ "dnp3", PLANT_DNP3_PORT, KEYS(dnp3_keys), dnp3_wrap, dnp3_answer },
	{ "raw", 80, KEYS(raw_keys), raw_wrap, NULL },
};

const struct script_protocol *
script_protocol_find(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	return NULL;
}

static int
put_hex(struct script *script, const char *text, struct buf *out)
{
	while (*text != '\0') {
		unsigned int byte;
		int used = 0;

		if (*text == ':' || *text == ',') {
			text++;
			continue;
		}
		if (sscanf(text, "%2x%n", &byte, &used) != 1 || used != 2)
			return script_fail(script, "\"%s\" is not pairs of hex digits", text);
		put_u8(out, (uint8_t)byte);
		text += 2;
	}
	return 0;
}

static int
put_name(struct script *script, const char *text, struct buf *out)
{
	uint32_t value;

	for (size_t i = 0; i < sizeof(dnp3_names) / sizeof(dnp3_names[0]); i++)
		if (strcmp(dnp3_names[i].name, text) == 0) {
			put_u8(out, dnp3_names[i].code);
			return 0;
		}
	if (script_number(script, text, &value) != 0)
		return -EINVAL;
	put_u8(out, (uint8_t)value);
	return 0;
}

static void
put_number(struct buf *out, uint8_t kind, uint32_t value)
{
	if (kind == KEY_U8 || kind == KEY_U8S)
		put_u8(out, (uint8_t)value);
	else if (kind == KEY_LE16 || kind == KEY_LE16S)
		put_le16(out, (uint16_t)value);
	else if (kind == KEY_LE32)
		put_le32(out, value);
	else
		put_be16(out, (uint16_t)value);
}

static int
put_numbers(struct script *script, const struct script_key *key, char *text, struct buf *out)
{
	size_t length_at = out->len;
	char *number;

	if (key->kind == KEY_COUNTED)
		put_u8(out, 0);
	while ((number = strsep(&text, ",")) != NULL) {
		uint32_t value;

		if (script_number(script, number, &value) != 0)
			return -EINVAL;
		put_number(out, key->kind, value);
	}
	if (key->kind == KEY_COUNTED && !out->full)
		out->data[length_at] = (char)(out->len - length_at - 1);
	return 0;
}

static int
script_key(struct script *script, const char *word, int64_t header[], struct buf *inner)
{
	const struct script_protocol *protocol = script->talk->protocol;
	const char *equals = strchr(word, '=');
	char value[SCRIPT_LINE_LEN_MAX];

	if (equals == NULL)
		return script_fail(script, "\"%s\" is not KEY=VALUE", word);
	(void)snprintf(value, sizeof(value), "%s", equals + 1);
	for (unsigned int i = 0; i < protocol->key_count; i++) {
		const struct script_key *key = &protocol->keys[i];
		uint32_t number;

		if (strlen(key->name) != (size_t)(equals - word) ||
			memcmp(key->name, word, (size_t)(equals - word)) != 0)
			continue;
		if (key->kind == KEY_HEX)
			return put_hex(script, value, inner);
		if (key->kind == KEY_NAME)
			return put_name(script, value, inner);
		if (key->kind == KEY_TEXT) {
			buf_puts(inner, value);
			return 0;
		}
		if (key->kind != KEY_HEADER)
			return put_numbers(script, key, value, inner);
		if (script_number(script, value, &number) != 0)
			return -EINVAL;
		header[key->slot] = number;
		return 0;
	}
	return script_fail(script, "protocol %s has no key \"%.*s\"", protocol->name, (int)(equals - word), word);
}

int
script_message(struct script *script, enum plant_end from, const struct script_words *words, struct buf *wire)
{
	uint8_t bytes[SCRIPT_MESSAGE_LEN_MAX / 2];
	struct buf inner = buf_over(bytes, sizeof(bytes));
	int64_t header[HEADER_COUNT];
	unsigned int i = 0;
	bool raw = false, hex = false;

	for (unsigned int slot = 0; slot < HEADER_COUNT; slot++)
		header[slot] = -1;
	if (words->count > 0) {
		raw = strcmp(words->word[0], "raw") == 0;
		hex = raw || strcmp(words->word[0], "pdu") == 0;
		i = hex;
	}
	if (hex)
		header[HEADER_RAW_PDU] = 1;
	for (; i < words->count; i++) {
		/* A whole PDU may still set header fields in front of its bytes. */
		bool bytes_here = hex && strchr(words->word[i], '=') == NULL;
		int err = bytes_here ? put_hex(script, words->word[i], &inner)
				     : script_key(script, words->word[i], header, &inner);

		if (err != 0)
			return err;
	}
	if (inner.full)
		return script_fail(script, "a message longer than %d bytes", SCRIPT_MESSAGE_LEN_MAX / 2);
	if (raw)
		buf_put(wire, inner.data, inner.len);
	else
		script->talk->protocol->wrap(script->talk, from, header, &inner, wire);
	return wire->full ? script_fail(script, "a message longer than %d bytes", SCRIPT_MESSAGE_LEN_MAX) : 0;
}
