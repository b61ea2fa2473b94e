/* Hexadecimal digits, as in text from users and peers. */
#ifndef MR_BASE_HEX_H
#define MR_BASE_HEX_H

#include <stdint.h>

/** @return 0 to 15 for a digit of either case, -1 for any other byte */
static inline int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Value of a digit of base64 (RFC 4648 4), or -1. */
static inline int
base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

#endif
