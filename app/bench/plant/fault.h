/* What goes wrong on the way: a table of faults, each with how often it strikes. */
#ifndef MR_BENCH_PLANT_FAULT_H
#define MR_BENCH_PLANT_FAULT_H

#include <stddef.h>
#include <stdint.h>

enum plant_fault {
	PLANT_FAULT_LOSS,
	PLANT_FAULT_DUPLICATE,
	PLANT_FAULT_REORDER,
	PLANT_FAULT_RETRANSMIT,
	PLANT_FAULT_OVERLAP,
	PLANT_FAULT_SPLIT,
	PLANT_FAULT_COALESCE,
	PLANT_FAULT_PIPELINE,
	PLANT_FAULT_GARBAGE,
	PLANT_FAULT_MIDSTREAM,
	PLANT_FAULT_EXCEPTIONS,
	PLANT_FAULT_NO_ANSWER,
	PLANT_FAULT_BAD_CRC,
	PLANT_FAULT_BAD_CHECKSUM,
	PLANT_FAULT_FRAGMENT,
	PLANT_FAULT_RESET,
	PLANT_FAULT_COUNT,
};

struct plant_fault_row {
	const char *name;
	uint16_t permille; /* how often, unless the user says */
	const char *help;
};

/** [PLANT_FAULT_COUNT], by enum plant_fault. */
extern const struct plant_fault_row plant_faults[];

/**
 * Turns faults on from a list like "loss,split=200" (a number is permille).
 * @param permille  out [PLANT_FAULT_COUNT]; faults not named keep their value
 * @return 0, or -EINVAL with the name or number at fault in err
 */
int plant_fault_parse(const char *list, uint16_t permille[], char *err, size_t err_len);

#endif
