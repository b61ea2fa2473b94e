/*
 * DNP3 as a plant speaks it: link frames with CRC, transport segments, and an outstation
 * with points that move, events, files and restarts. It answers any request fragment.
 * Source: IEEE 1815-2012, clauses 4 to 9 and annex A (objects).
 */
#ifndef MR_BENCH_PLANT_DNP3_H
#define MR_BENCH_PLANT_DNP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/bench/plant/random.h"
#include "lib/base/buf.h"
#include "lib/base/cursor.h"

enum {
	PLANT_DNP3_PORT = 20000,
	PLANT_DNP3_FRAGMENT_LEN_MAX = 2048,
	PLANT_DNP3_FRAME_LEN_MAX = 292,
	PLANT_DNP3_FRAME_DATA_MAX = 250,
	PLANT_DNP3_WIRE_LEN_MAX = 2560, /* a longest fragment, in link frames */
	PLANT_DNP3_BROADCAST = 0xffff,
	PLANT_DNP3_KIND_COUNT = 8,
};

enum plant_dnp3_function {
	DNP3_CONFIRM = 0,
	DNP3_READ = 1,
	DNP3_WRITE = 2,
	DNP3_SELECT = 3,
	DNP3_OPERATE = 4,
	DNP3_DIRECT_OPERATE = 5,
	DNP3_DIRECT_OPERATE_NR = 6,
	DNP3_FREEZE = 7,
	DNP3_COLD_RESTART = 13,
	DNP3_WARM_RESTART = 14,
	DNP3_START_APPLICATION = 17,
	DNP3_STOP_APPLICATION = 18,
	DNP3_ENABLE_UNSOLICITED = 20,
	DNP3_DISABLE_UNSOLICITED = 21,
	DNP3_ASSIGN_CLASS = 22,
	DNP3_DELAY_MEASURE = 23,
	DNP3_RECORD_TIME = 24,
	DNP3_OPEN_FILE = 25,
	DNP3_CLOSE_FILE = 26,
	DNP3_DELETE_FILE = 27,
	DNP3_GET_FILE_INFO = 28,
	DNP3_AUTHENTICATE_FILE = 29,
	DNP3_ABORT_FILE = 30,
	DNP3_RESPONSE = 129,
	DNP3_UNSOLICITED_RESPONSE = 130,
};

enum plant_dnp3_control {
	DNP3_FIR = 0x80,
	DNP3_FIN = 0x40,
	DNP3_CON = 0x20,
	DNP3_UNS = 0x10,
};

enum plant_dnp3_link {
	DNP3_LINK_DIR = 0x80,
	DNP3_LINK_PRM = 0x40,
	DNP3_LINK_RESET = 0,
	DNP3_LINK_USER_DATA = 4,
	DNP3_LINK_STATUS_REQUEST = 9,
	DNP3_LINK_ACK = 0,
	DNP3_LINK_STATUS = 11,
};

enum plant_dnp3_spoil { DNP3_SPOIL_NONE, DNP3_SPOIL_DATA, DNP3_SPOIL_HEADER };

/** One end's link and transport state. */
struct plant_dnp3_end {
	uint16_t address;
	uint16_t peer;
	bool master;
	uint8_t spoil_crc; /* enum plant_dnp3_spoil: of the next frame, which takes it back */
	uint8_t transport_seq;
};

struct plant_outstation {
	uint64_t seed;
	uint16_t points[PLANT_DNP3_KIND_COUNT]; /* how many of each kind of static point */
	uint16_t iin; /* IIN1 in the high byte */
	uint16_t event_index;
	bool unsolicited;
	bool broken; /* refuses: parameter error */
	uint32_t file_handle;
	uint32_t file_len;
	bool more; /* a static answer continues at kind, index */
	uint8_t kind;
	uint8_t kind_end; /* first kind that does not belong to the answer */
	uint16_t index;
	uint8_t seq; /* of the request being answered */
	bool first;
};

uint16_t plant_dnp3_crc(const uint8_t *data, size_t len);
/** Appends one link frame. @param data_len at most PLANT_DNP3_FRAME_DATA_MAX */
void plant_dnp3_frame(
	struct buf *out, struct plant_dnp3_end *end, uint8_t link_function, const void *data, size_t data_len);
/** Appends an application fragment as transport segments in link frames. */
void plant_dnp3_send(struct buf *out, struct plant_dnp3_end *end, const struct buf *fragment);

/** @param size  points of an average kind; large ones answer class 0 in several fragments */
void plant_outstation_init(struct plant_outstation *outstation, uint64_t seed, uint16_t size);
/**
 * Answers one request fragment.
 * @param out  the response's first fragment is appended, nothing where none is due
 * @return whether plant_outstation_more() has more of it
 */
bool plant_outstation_answer(
	struct plant_outstation *outstation, struct cursor request, struct buf *out, uint64_t now_ns);
bool plant_outstation_more(struct plant_outstation *outstation, struct buf *out, uint64_t now_ns);
/** An unsolicited response with a few events. @param seq its application sequence number */
void plant_outstation_unsolicited(struct plant_outstation *outstation, uint8_t seq, struct buf *out, uint64_t now_ns);

struct plant_talk;

/**
 * The outstation's whole reply to a request: every fragment, with the master's confirmations.
 * Of the faults, no-answer, exceptions and bad-crc strike here.
 * @param ends  [2] by enum plant_end
 * @return the time after the last frame
 */
uint64_t plant_dnp3_reply(struct plant_talk *talk, struct plant_dnp3_end ends[], struct plant_outstation *outstation,
	struct cursor request, uint64_t now_ns);
/** The master confirms a fragment whose control octet this is. */
uint64_t plant_dnp3_confirm(struct plant_talk *talk, struct plant_dnp3_end ends[], uint8_t control, uint64_t now_ns);

/** Appends group, variation and qualifier; the range and the points are the caller's. */
void plant_dnp3_header(struct buf *out, uint8_t group, uint8_t variation, uint8_t qualifier);

#endif
