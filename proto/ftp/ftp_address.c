/* Where a data connection goes, as commands and replies write it. */
#include <arpa/inet.h>

#include "proto/ftp/ftp.h"

static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static uint8_t
peek(const struct cursor *in)
{
	return cursor_left(in) == 0 ? 0 : *in->pos;
}

static bool
take_number(struct cursor *in, uint32_t max, uint32_t *out)
{
	unsigned int digits = 0;

	*out = 0;
	while (is_digit(peek(in)) && digits++ < 5)
		*out = *out * 10 + (cursor_u8(in) - '0');
	return digits > 0 && *out <= max;
}

bool
ftp_address_numbers(struct cursor text, struct ftp_address *out)
{
	uint32_t numbers[6];

	while (cursor_left(&text) > 0 && !is_digit(peek(&text)))
		cursor_skip(&text, 1);
	for (unsigned int i = 0; i < 6; i++)
		if (!take_number(&text, 255, &numbers[i]) || (i < 5 && cursor_u8(&text) != ','))
			return false;
	*out = (struct ftp_address){ .version = 4, .port = (uint16_t)(numbers[4] << 8 | numbers[5]) };
	for (unsigned int i = 0; i < 4; i++)
		out->bytes[i] = (uint8_t)numbers[i];
	return true;
}

/* A field up to the delimiter, as text. */
static bool
take_field(struct cursor *in, uint8_t delimiter, char *out, size_t cap)
{
	size_t len = 0;

	while (cursor_left(in) > 0 && len + 1 < cap) {
		uint8_t byte = cursor_u8(in);

		if (byte == delimiter) {
			out[len] = '\0';
			return true;
		}
		out[len++] = (char)byte;
	}
	return false;
}

bool
ftp_address_extended(struct cursor text, struct ftp_address *out)
{
	char family[4], address[48], port[8];
	struct cursor number;
	uint32_t value;
	uint8_t delimiter = cursor_u8(&text);

	*out = (struct ftp_address){ 0 };
	if (delimiter < 33 || delimiter > 126 || is_digit(delimiter) || !take_field(&text, delimiter, family, sizeof(family)) ||
		!take_field(&text, delimiter, address, sizeof(address)) || !take_field(&text, delimiter, port, sizeof(port)))
		return false;
	number = cursor_of(port, strlen(port));
	if (!take_number(&number, UINT16_MAX, &value) || cursor_left(&number) > 0)
		return false;
	out->port = (uint16_t)value;
	if (address[0] == '\0')
		return true;
	out->version = strcmp(family, "1") == 0 ? 4 : 6;
	return inet_pton(out->version == 4 ? AF_INET : AF_INET6, address, out->bytes) == 1;
}
