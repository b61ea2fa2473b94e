/*
 * The plant: hosts, what each of them does, and the clock that drives them. Everything is
 * decided by the configuration and its seed; the same gives the same bytes.
 *
 * An actor is something that happens again and again (a poll, a session, an attack). Each step
 * writes the frames of one exchange; the capture puts overlapping exchanges in order.
 */
#ifndef MR_BENCH_PLANT_PLANT_H
#define MR_BENCH_PLANT_PLANT_H

#include "app/bench/plant/attack.h"
#include "app/bench/plant/capture.h"
#include "app/bench/plant/dnp3.h"
#include "app/bench/plant/modbus.h"
#include "app/bench/plant/talk.h"

enum {
	PLANT_PLCS_MAX = 2000,
	PLANT_HMIS_MAX = 200,
	PLANT_RTUS_MAX = 2000,
	PLANT_ACTORS_MAX = 100000,
	PLANT_ATTACKS_MAX = 32,
};

struct plant_config {
	uint64_t seed;
	uint64_t start_ns; /* time of the first frame, since the Unix epoch */
	uint64_t duration_ns; /* 0: until the capture is full */
	unsigned int plcs, hmis, rtus;
	uint32_t protocols; /* bit i: plant_protocols[i] */
	uint32_t rate; /* frames a second to aim at; 0: each host's own pace */
	uint16_t fault_permille[PLANT_FAULT_COUNT];
	uint16_t segment_len_max; /* 0: the MSS */
	const struct plant_attack *attacks[PLANT_ATTACKS_MAX];
	unsigned int attack_count;
	struct plant_capture_config capture;
};

struct plant;
struct plant_actor;

/** One exchange from now_ns. @return the time after it; UINT64_MAX: the actor is done */
typedef uint64_t (*plant_step_fn)(struct plant *plant, struct plant_actor *actor, uint64_t now_ns);

struct plant_actor {
	plant_step_fn step;
	/** The plant stops: close what is open, free what step obtained. NULL: nothing to do. */
	void (*end)(struct plant *plant, struct plant_actor *actor, uint64_t now_ns);
	void *state; /* calloc'd; freed by the plant */
	uint64_t next_ns;
	uint64_t period_ns; /* from one step to the next, on average; 0: at once */
	uint32_t frames; /* of a step, roughly: for the rate */
	uint32_t order; /* breaks ties of time */
};

struct plant {
	struct plant_config config;
	struct plant_net net;
	struct plant_random random;
	struct plant_host gateway, services, historian, engineer, scada, attacker;
	struct plant_host *plc_hosts; /* [config.plcs] */
	struct plant_host *hmi_hosts; /* [config.hmis] */
	struct plant_host *rtu_hosts; /* [config.rtus] */
	struct plant_plc *plcs; /* [config.plcs] */
	struct plant_outstation *rtus; /* [config.rtus] */
	struct plant_actor *actors; /* heap, the earliest first */
	unsigned int actor_count, actor_cap;
	uint32_t actor_order;
	uint64_t steps;
	bool script_failed; /* a built-in script has a fault */
};

/** A row a protocol that the plant speaks. */
struct plant_protocol {
	const char *name;
	/** Adds the protocol's actors. @return 0 or -ENOMEM */
	int (*populate)(struct plant *plant);
	const char *help;
};

extern const struct plant_protocol plant_protocols[];
extern const unsigned int plant_protocol_count;

/** @return 0, -ENOMEM, -EINVAL (a count beyond its maximum) or -errno of opening the file */
int plant_create(struct plant **out, const struct plant_config *config);
/** Runs to the end and finishes the capture. @return 0, -errno of writing, -EINVAL: a built-in script is wrong */
int plant_run(struct plant *plant);
void plant_destroy(struct plant *plant);

/** Adds an actor with state_len zeroed bytes. @return it, lent until the next call; NULL: out of memory */
struct plant_actor *plant_add_actor(struct plant *plant, plant_step_fn step, size_t state_len, uint64_t period_ns);

/* populate functions, one file each */
int plant_modbus_populate(struct plant *plant);
int plant_dnp3_populate(struct plant *plant);
int plant_it_populate(struct plant *plant);
int plant_iec104_populate(struct plant *plant);
int plant_mqtt_populate(struct plant *plant);
int plant_enip_populate(struct plant *plant);
int plant_goose_populate(struct plant *plant);
int plant_sv_populate(struct plant *plant);
int plant_s7comm_populate(struct plant *plant);
int plant_s7comm_plus_populate(struct plant *plant);
int plant_tls_populate(struct plant *plant);
int plant_ssh_populate(struct plant *plant);

/**
 * Adds an actor that runs a script, whose words attacker, engineer, scada, hmi, plc (one by chance), rtu,
 * historian and services name hosts of the plant.
 * @param start_ns   when first, 0: by chance within the first period
 * @param period_ns  again after so long, 0: once
 * @return 0 or -ENOMEM
 */
int plant_add_script(struct plant *plant, const char *text, uint64_t start_ns, uint64_t period_ns);

#endif
