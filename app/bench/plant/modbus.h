/*
 * A programmable controller as a Modbus server sees the world: coils, registers that drift,
 * files, a FIFO, identification, diagnostics. It answers any request PDU.
 * Source: Modbus Application Protocol V1.1b3; Modbus Messaging on TCP/IP V1.0b.
 */
#ifndef MR_BENCH_PLANT_MODBUS_H
#define MR_BENCH_PLANT_MODBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/bench/plant/random.h"
#include "lib/base/buf.h"
#include "lib/base/cursor.h"

enum {
	PLANT_MODBUS_PORT = 502,
	PLANT_MODBUS_HEADER_LEN = 7,
	PLANT_MODBUS_PDU_LEN_MAX = 253,
	PLANT_MODBUS_ADU_LEN_MAX = 260,
	PLANT_PLC_POINT_COUNT = 2000, /* of each of the four tables */
	PLANT_PLC_FILE_COUNT = 4,
	PLANT_PLC_RECORD_COUNT = 256,
	PLANT_PLC_COUNTER_COUNT = 8,
};

struct plant_plc {
	const struct plant_identity *identity;
	uint64_t seed; /* shapes the drift of the inputs */
	bool listen_only; /* diagnostics 8/4; left by 8/1 */
	bool broken; /* refuses everything: server device failure */
	uint8_t exception_status;
	uint16_t event_count;
	uint16_t counters[PLANT_PLC_COUNTER_COUNT]; /* diagnostics 8/11 to 8/18 */
	uint8_t coils[PLANT_PLC_POINT_COUNT];
	uint16_t holding[PLANT_PLC_POINT_COUNT];
	uint16_t files[PLANT_PLC_FILE_COUNT][PLANT_PLC_RECORD_COUNT];
};

/** What identification (43/14) and server id (17) tell. */
struct plant_identity {
	const char *vendor, *product, *revision, *url, *name, *model, *application;
};

extern const struct plant_identity plant_identities[];
extern const unsigned int plant_identity_count;

void plant_plc_init(struct plant_plc *plc, uint64_t seed);
/** The value of an input register at that time. */
uint16_t plant_plc_input(const struct plant_plc *plc, uint16_t address, uint64_t now_ns);

/**
 * Answers one request.
 * @param request  the PDU: function code and what follows
 * @param answer   the PDU of the response is appended; nothing where the server stays silent
 */
void plant_plc_answer(struct plant_plc *plc, struct cursor request, struct buf *answer, uint64_t now_ns);

/** Appends header and PDU. */
void plant_modbus_adu(struct buf *out, uint16_t transaction_id, uint8_t unit_id, const struct buf *pdu);

/** One row a request that plants make. */
struct plant_modbus_poll {
	uint8_t function_code;
	uint16_t address;
	uint16_t quantity;
};

/** Appends the PDU of a read or write request; values to write are drawn from random. */
void plant_modbus_request(struct buf *pdu, const struct plant_modbus_poll *poll, struct plant_random *random);

#endif
