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

#endif
