/*
 * A bounded reader over bytes from outside. Nothing else in the project touches
 * payload: a short read returns zero (or NULL) and sticks, so that a parser reads a
 * whole header and tests once.
 */
#ifndef MR_BASE_CURSOR_H
#define MR_BASE_CURSOR_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two registers: parsers hand cursors on by value, and a third word would take them through memory each time. */
struct cursor {
	const uint8_t *pos;
	uint32_t left;   /* bytes from pos on; what it is after a short read does not count */
	bool short_read; /* sticky: some read ran past the end */
};

static_assert(sizeof(struct cursor) == 16, "a cursor is passed in registers");

/** @param len  of what is longer, the first UINT32_MAX bytes are read */
static inline struct cursor
cursor_of(const void *data, size_t len)
{
	return (struct cursor){ .pos = data, .left = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len };
}

/** Bytes left; 0 after a short read. */
static inline size_t
cursor_left(const struct cursor *c)
{
	return c->short_read ? 0 : c->left;
}

/** The next len bytes, lent until the underlying bytes go; NULL (sticky) when fewer are left. */
static inline const uint8_t *
cursor_take(struct cursor *c, size_t len)
{
	if (c->short_read || len > c->left) {
		c->short_read = true;
		return NULL;
	}
	c->pos += len;
	c->left -= (uint32_t)len;
	return c->pos - len;
}

static inline void
cursor_skip(struct cursor *c, size_t len)
{
	(void)cursor_take(c, len);
}

/** A cursor over the next len bytes, which are consumed here; empty and short on a short read. */
static inline struct cursor
cursor_sub(struct cursor *c, size_t len)
{
	const uint8_t *at = cursor_take(c, len);

	if (at == NULL)
		return (struct cursor){ .short_read = true };
	return cursor_of(at, len);
}

static inline uint8_t
cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 1);

	return at == NULL ? 0 : at[0];
}

static inline uint16_t
cursor_be16(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 2);

	return at == NULL ? 0 : (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t
cursor_be24(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 3);

	return at == NULL ? 0 : (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static inline uint32_t
cursor_be32(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 4);
	uint32_t value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

static inline uint64_t
cursor_be64(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 8);
	uint64_t value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return __builtin_bswap64(value);
}

static inline uint16_t
cursor_le16(struct cursor *c)
{
	return __builtin_bswap16(cursor_be16(c));
}

static inline uint32_t
cursor_le24(struct cursor *c)
{
	return __builtin_bswap32(cursor_be24(c)) >> 8;
}

static inline uint32_t
cursor_le32(struct cursor *c)
{
	return __builtin_bswap32(cursor_be32(c));
}

static inline uint64_t
cursor_le48(struct cursor *c)
{
	uint64_t low = cursor_le32(c);
	uint64_t high = cursor_le16(c);

	return high << 32 | low;
}

static inline uint64_t
cursor_le64(struct cursor *c)
{
	return __builtin_bswap64(cursor_be64(c));
}

static inline float
cursor_le_f32(struct cursor *c)
{
	uint32_t bits = cursor_le32(c);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline double
cursor_le_f64(struct cursor *c)
{
	uint64_t bits = cursor_le64(c);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

#endif
