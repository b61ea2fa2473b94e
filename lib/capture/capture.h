/*
 * Capture files, frame by frame: pcap (microseconds, nanoseconds, Kuznetzov's variant, both byte
 * orders) and pcapng (several sections and interfaces, EPB, SPB and the obsolete PB), also
 * gzip'd. The file is hostile input: every length is checked, every bound is named here.
 *
 * Thread: one at a time for each struct capture. Blocks on the file; allocates at open, and later only
 * when a block is larger than any before.
 *
 * Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef MR_CAPTURE_CAPTURE_H
#define MR_CAPTURE_CAPTURE_H

#include <stdint.h>

#include "lib/config/config.h"

enum {
	CAPTURE_FRAME_LEN_MAX = 256 * 1024,       /* a longer frame is damage */
	CAPTURE_BLOCK_LEN_MAX = 16 * 1024 * 1024, /* pcapng: a longer block is damage */
	CAPTURE_INTERFACES_MAX = 4096,            /* pcapng: of one section */
};

struct capture_frame {
	const uint8_t *data; /* lent until the next capture_next() or capture_close() */
	uint32_t len;        /* bytes captured, 0..CAPTURE_FRAME_LEN_MAX */
	uint32_t wire_len;   /* bytes on the wire, at least len */
	uint64_t ts_ns;      /* since the Unix epoch; of a block without a time (SPB): that of the frame before */
	uint64_t number;     /* from 1, counted over the whole file */
	uint32_t interface;  /* in its section, from 0; always 0 in pcap */
	uint16_t link_type;  /* LINKTYPE_ number of tcpdump.org; enum packet_link has those that are decoded */
};

struct capture;

/**
 * Opens a capture and reads its header.
 *
 * @param out   owned by the caller; NULL on failure
 * @param path  "-": standard input
 * @param err   set on failure: "file: reason"
 * @return 0, -errno of open(2) and read(2), -EBADMSG (not a capture, or damaged in the header) or -ENOMEM
 */
int capture_open(struct capture **out, const char *path, struct config_error *err);

/**
 * Reads the next frame.
 *
 * @param frame  out; only with 1
 * @return 1, 0 at the end of the file, -EBADMSG where the file is damaged or cut short, -errno of read(2),
 *         -ENOMEM. All frames before the damage were handed out; each later call returns the same.
 */
int capture_next(struct capture *c, struct capture_frame *frame);

/** After a failed capture_next(): "file: byte 4711, frame 12: reason"; of a gzip'd file the byte is of the
 *  data inside. "" otherwise. Lent until capture_close(). */
const char *capture_error(const struct capture *c);

void capture_close(struct capture *c);

#endif
