/* What an intruder does: a table of attacks, each a script of the language of script.h. */
#ifndef MR_BENCH_PLANT_ATTACK_H
#define MR_BENCH_PLANT_ATTACK_H

#include <stddef.h>

struct plant_attack {
	const char *name;
	const char *help; /* one line, with the ATT&CK for ICS technique */
	const char *script; /* hosts: attacker, plc, rtu */
};

extern const struct plant_attack plant_attacks[];
extern const unsigned int plant_attack_count;

/** @return NULL where there is none of that name (name_len bytes) */
const struct plant_attack *plant_attack_find(const char *name, size_t name_len);

#endif
