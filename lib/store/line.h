/*
 * One EVE line as the store sees it: checked to be one JSON object, with the few values
 * that are columns pulled out in the same pass. The whole line is checked (RFC 8259,
 * UTF-8, depth), so that what is stored can later be spliced into an answer as it is.
 *
 * Thread: any. Nothing is allocated; spans point into the caller's line.
 */
#ifndef MR_STORE_LINE_H
#define MR_STORE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LINE_DEPTH_MAX = 64,     /* nesting of objects and arrays */
	LINE_TEXT_MAX = 64,      /* bytes of a text column; a longer value is left out of its column */
	LINE_EXPONENT_MAX = 300, /* a number beyond is no number to most readers */
	LINE_DIGITS_MAX = 19,    /* digits of an integer, or of a number's part before the point */
};

/** Text of a column; data is NULL when the line has none. Lent from the line. */
struct line_text {
	const char *data;
	uint32_t len;
};

/** An address in network order; len 0, 4 or 16. */
struct line_ip {
	uint8_t bytes[16];
	uint32_t len;
};

/** A number; present says whether the line has it. */
struct line_number {
	int64_t value;
	bool present;
};

struct store_line {
	struct line_text text; /* the whole line, without its \n */
	struct line_number ts_ns; /* ns since the Unix epoch */
	struct line_text event_type;
	struct line_text proto;
	struct line_text app_proto;
	struct line_ip src_ip;
	struct line_ip dest_ip;
	struct line_number src_port;
	struct line_number dest_port;
	struct line_number signature_id;
	struct line_number severity;
	struct line_number function;          /* of a request, or of a message that stands alone */
	struct line_number response_function;
	struct line_number packets[2];        /* to server, to client */
	struct line_number bytes[2];
	struct line_number flow_id;
	struct line_number flow_part;         /* of a flow record: which of its flow's it is; none: the first */
	struct line_number uptime_s;          /* of a stats record */
	struct line_number received;          /* frames, of a stats record */
	struct line_text run;                 /* which start of the sensor a stats record is of */
};

/** @param text a line without its \n. @return NULL, or why it is no record (static text). */
const char *store_line_read(struct store_line *out, const char *text, size_t len);

/** "2026-01-02T03:04:05[.fraction]" + "Z", "+0000" or "+00:00", years 1970 to 2261. @return whether it is one. */
bool store_time_read(struct line_number *out, const char *text, size_t len);
/** @return whether text is an IPv4 or IPv6 address. */
bool store_ip_read(struct line_ip *out, const char *text, size_t len);

#endif
