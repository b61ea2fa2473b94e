/* What the parts of lib/capture share. */
#ifndef MR_CAPTURE_CAPTURE_PRIVATE_H
#define MR_CAPTURE_CAPTURE_PRIVATE_H

#include <stdbool.h>

#include "lib/base/cursor.h"
#include "lib/capture/capture.h"
#include "lib/capture/unpack.h"

enum {
	/* Small enough to stay in a core's second-level cache, large enough for any frame with its header. */
	CAPTURE_AREA_LEN = 512 * 1024,
};

/** A window over the file's bytes. */
struct capture_input {
	int fd;
	struct {         /* of a compressed file */
		const struct unpacker *by; /* NULL: the file is read as it is */
		void *state;
		uint8_t *area;
		size_t pos, end; /* area[pos..end) is not unpacked yet */
		bool ended;      /* nothing comes behind area[end - 1] */
		enum unpack_result result; /* of the last step that did something */
	} packed;
	uint8_t *area;
	size_t cap;
	size_t pos, end; /* area[pos..end) is not consumed yet */
	uint64_t offset; /* of area[0] from the start of the data */
	bool ended;      /* nothing comes behind area[end - 1] */
	bool cut;        /* the compressed data itself ended early, is damaged or too large to unpack */
};

/** @return 0 or -errno; on failure nothing is held. */
int capture_input_open(struct capture_input *in, const char *path);
void capture_input_close(struct capture_input *in);
/** Reads until len bytes are there or the data ends, moving what is left to the front. @return 0 or -errno */
int capture_input_fill(struct capture_input *in, size_t len);

static inline size_t
capture_input_left(const struct capture_input *in)
{
	return in->end - in->pos;
}

/** @return 1: len bytes are there; 0: the data ends before; -errno */
static inline int
capture_input_need(struct capture_input *in, size_t len)
{
	if (capture_input_left(in) < len && !in->ended) {
		int error = capture_input_fill(in, len);

		if (error < 0)
			return error;
	}
	return capture_input_left(in) >= len;
}

/** A cursor over the next len bytes, which capture_input_need() has found. */
static inline struct cursor
capture_input_peek(const struct capture_input *in, size_t len)
{
	return cursor_of(in->area + in->pos, len);
}

static inline void
capture_input_skip(struct capture_input *in, size_t len)
{
	in->pos += len;
}

/** How times of an interface become nanoseconds. */
enum capture_clock {
	CAPTURE_CLOCK_MULTIPLY, /* units of 10^-n s, n <= 9: times factor */
	CAPTURE_CLOCK_DIVIDE,   /* n > 9: by factor */
	CAPTURE_CLOCK_SHIFT,    /* units of 2^-n s: times 10^9, right by factor */
};

struct capture_interface {
	uint16_t link_type;
	uint8_t clock;      /* enum capture_clock */
	uint32_t snap_len;  /* 0: no limit */
	uint64_t factor;
	int64_t offset_s;
};

struct capture {
	struct capture_input input;
	int (*next)(struct capture *c, struct capture_frame *frame);
	int result;         /* of the call that ended the reading: 0 or -errno; 1 before */
	bool swapped;       /* numbers are big-endian */
	uint64_t frame_count;
	uint64_t last_ts_ns;
	/* pcap */
	uint32_t record_header_len;
	uint32_t fraction_ns; /* nanoseconds of a unit of the time's second part */
	bool swapped_lengths; /* version before 2.3 */
	bool doubtful_lengths; /* version 2.3: some writers swapped them, too */
	uint16_t link_type;
	/* pcapng */
	struct capture_interface *interfaces;
	uint32_t interface_count, interface_cap;
	char *path;
	struct config_error error;
};

static inline uint16_t
capture_u16(const struct capture *c, struct cursor *in)
{
	return c->swapped ? cursor_be16(in) : cursor_le16(in);
}

static inline uint32_t
capture_u32(const struct capture *c, struct cursor *in)
{
	return c->swapped ? cursor_be32(in) : cursor_le32(in);
}

static inline uint64_t
capture_u64(const struct capture *c, struct cursor *in)
{
	return c->swapped ? cursor_be64(in) : cursor_le64(in);
}

/** Notes why reading ends here. @return error */
int capture_fail(struct capture *c, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/** The same for data that ends, or cannot be read, where more was due: result is capture_input_need()'s.
 *  @param missing  what ends early: "frame header" */
int capture_fail_short(struct capture *c, int result, const char *missing);

/* Each reads the header behind its magic number and sets c->next. @return 0 or -errno, c->error set */
int capture_pcap_start(struct capture *c, uint32_t magic);
int capture_pcapng_start(struct capture *c);
/** Whether the little-endian reading of the first four bytes is pcap's. */
bool capture_pcap_is_magic(uint32_t magic);

enum { PCAPNG_MAGIC = 0x0a0d0d0a };

#endif
