/*
 * A bounded text buffer. Writes past the capacity are not made and set `full`, which
 * sticks until buf_reset(); a caller writes a whole line and tests once.
 */
#ifndef MR_BASE_BUF_H
#define MR_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool full; /* sticky: some write did not fit */
};

/** Allocates cap bytes. @return 0 or -ENOMEM. */
int buf_create(struct buf *b, size_t cap);
void buf_destroy(struct buf *b);

static inline void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->full = false;
}

/** Whether so many bytes fit. */
static inline bool
buf_has(const struct buf *b, size_t len)
{
	return !b->full && b->cap - b->len >= len;
}

static inline void
buf_put(struct buf *b, const void *data, size_t len)
{
	if (b->full || len > b->cap - b->len) {
		b->full = true;
		return;
	}
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void
buf_putc(struct buf *b, char c)
{
	if (b->full || b->len == b->cap) {
		b->full = true;
		return;
	}
	b->data[b->len++] = c;
}

static inline void
buf_puts(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void buf_u64(struct buf *b, uint64_t value);
/** Of each, with commas between. */
void buf_u16s(struct buf *b, const uint16_t values[], uint32_t count);
void buf_i64(struct buf *b, int64_t value);
/** Shortest text that reads back as the same double; null for NaN and infinities. */
void buf_f64(struct buf *b, double value);
/** As buf_f64(), for a value that was a single on the wire (0.1f prints as 0.1). */
void buf_f32(struct buf *b, float value);
void buf_hex(struct buf *b, const uint8_t *data, size_t len);
void buf_base64(struct buf *b, const uint8_t *data, size_t len);
/** The bytes as a quoted JSON string. Valid UTF-8 stays; any other byte becomes \u00XX. */
void buf_json_string(struct buf *b, const void *data, size_t len);
/** As buf_json_string(), of what need not be text: where it is not UTF-8 each byte above 0x7f becomes \\xHH, a backslash and three characters. */
void buf_json_octets(struct buf *b, const void *data, size_t len);
/** "2026-01-02T03:04:05.678901+0000" in quotes (EVE timestamp); ns since the Unix epoch. */
void buf_json_time(struct buf *b, uint64_t ts_ns);
/** Dotted quad for version 4, RFC 5952 text for version 6; bytes in network order. No quotes. */
void buf_ip(struct buf *b, unsigned int version, const uint8_t *bytes);
/** "00:11:22:aa:bb:cc", no quotes. */
void buf_mac(struct buf *b, const uint8_t bytes[6]);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Hex digits of a number as "%x" writes them, without printf()'s cost. @param out  [8]; no end mark is written. @return how many */
static inline uint32_t
hex_of_u32(char *out, uint32_t value)
{
	uint32_t len = value == 0 ? 1 : (35 - (uint32_t)__builtin_clz(value)) / 4;

	for (uint32_t i = len; i-- > 0; value >>= 4)
		out[i] = "0123456789abcdef"[value & 15];
	return len;
}

#endif
