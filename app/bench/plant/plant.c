#include "app/bench/plant/plant.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench/plant/script.h"

enum {
	SECOND_NS = 1000000000,
	IP_CONTROL = 0x0a0a010a, /* 10.10.1.10: controllers */
	IP_HMI = 0x0a0a400a, /* 10.10.64.10: operator stations */
	IP_SERVICES = 0x0a0a0035, /* 10.10.0.53: DNS, NTP */
	IP_GATEWAY = 0x0a0a0001,
	IP_SCADA = 0x0a0a4005,
	IP_HISTORIAN = 0x0a0a500a,
	IP_ENGINEER = 0x0a0a5014,
	IP_ATTACKER = 0x0a0a5042,
	IP_FIELD = 0x0a14010a, /* 10.20.1.10: outstations, behind the gateway */
	TTL_CONTROLLER = 64,
	TTL_WORKSTATION = 128,
	RTU_SIZE_MIN = 16,
	RTU_SIZE_MAX = 120,
	ACTORS_AT_FIRST = 64,
};

/* An organisation's part of the MAC for each kind of host, from the locally administered range. */
static void
host_init(struct plant_host *host, const char *name, uint32_t ip, uint8_t ttl)
{
	uint64_t mix = plant_random_mix(ip);

	*host = (struct plant_host){ .ip = ip,
		.ttl = ttl,
		.mac = { 0x02, ttl, (uint8_t)(ip >> 16), (uint8_t)(mix >> 8), (uint8_t)(ip >> 8), (uint8_t)ip } };
	(void)snprintf(host->name, sizeof(host->name), "%s", name);
}

static int
plant_create_hosts(struct plant *plant)
{
	const struct plant_config *config = &plant->config;

	host_init(&plant->gateway, "gateway", IP_GATEWAY, TTL_CONTROLLER);
	host_init(&plant->services, "services", IP_SERVICES, TTL_CONTROLLER);
	host_init(&plant->historian, "historian", IP_HISTORIAN, TTL_WORKSTATION);
	host_init(&plant->engineer, "engineer", IP_ENGINEER, TTL_WORKSTATION);
	host_init(&plant->scada, "scada", IP_SCADA, TTL_CONTROLLER);
	host_init(&plant->attacker, "attacker", IP_ATTACKER, TTL_CONTROLLER);
	plant->plc_hosts = calloc(config->plcs, sizeof(*plant->plc_hosts));
	plant->plcs = calloc(config->plcs, sizeof(*plant->plcs));
	plant->hmi_hosts = calloc(config->hmis, sizeof(*plant->hmi_hosts));
	plant->rtu_hosts = calloc(config->rtus, sizeof(*plant->rtu_hosts));
	plant->rtus = calloc(config->rtus, sizeof(*plant->rtus));
	if (plant->plc_hosts == NULL || plant->plcs == NULL || plant->hmi_hosts == NULL || plant->rtu_hosts == NULL ||
		plant->rtus == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < config->plcs; i++) {
		host_init(&plant->plc_hosts[i], "plc", IP_CONTROL + i, TTL_CONTROLLER);
		plant_plc_init(&plant->plcs[i], plant_random_next(&plant->random));
	}
	for (unsigned int i = 0; i < config->hmis; i++)
		host_init(&plant->hmi_hosts[i], "hmi", IP_HMI + i, TTL_WORKSTATION);
	for (unsigned int i = 0; i < config->rtus; i++) {
		host_init(&plant->rtu_hosts[i], "rtu", IP_FIELD + i, TTL_CONTROLLER);
		plant->rtu_hosts[i].gateway = &plant->gateway;
		plant_outstation_init(&plant->rtus[i], plant_random_next(&plant->random),
			(uint16_t)plant_random_between(&plant->random, RTU_SIZE_MIN, RTU_SIZE_MAX));
	}
	return 0;
}

/* ---- actors ---- */

static bool
actor_before(const struct plant_actor *a, const struct plant_actor *b)
{
	return a->next_ns != b->next_ns ? a->next_ns < b->next_ns : a->order < b->order;
}

static void
actors_sift_down(struct plant *plant, unsigned int at)
{
	struct plant_actor actor = plant->actors[at];

	for (;;) {
		unsigned int child = 2 * at + 1;

		if (child >= plant->actor_count)
			break;
		if (child + 1 < plant->actor_count && actor_before(&plant->actors[child + 1], &plant->actors[child]))
			child++;
		if (!actor_before(&plant->actors[child], &actor))
			break;
		plant->actors[at] = plant->actors[child];
		at = child;
	}
	plant->actors[at] = actor;
}

struct plant_actor *
plant_add_actor(struct plant *plant, plant_step_fn step, size_t state_len, uint64_t period_ns)
{
	struct plant_actor *actor;

	if (plant->actor_count == plant->actor_cap) {
		unsigned int cap = plant->actor_cap == 0 ? ACTORS_AT_FIRST : plant->actor_cap * 2;
		struct plant_actor *grown =
			cap > PLANT_ACTORS_MAX ? NULL : realloc(plant->actors, cap * sizeof(*plant->actors));

		if (grown == NULL)
			return NULL;
		plant->actors = grown;
		plant->actor_cap = cap;
	}
	actor = &plant->actors[plant->actor_count];
	*actor = (struct plant_actor){
		.step = step, .period_ns = period_ns, .frames = 3, .order = plant->actor_order++
	};
	actor->state = calloc(1, state_len);
	if (actor->state == NULL)
		return NULL;
	actor->next_ns = plant->config.start_ns + (period_ns == 0 ? 0 : plant_random_next(&plant->random) % period_ns);
	plant->actor_count++;
	return actor;
}

/* A script as an actor: each step is a statement. */
struct script_state {
	struct plant *plant;
	struct script *script;
	const char *text;
	unsigned int plc_idx; /* who "plc" is */
};

/* What hosts are called in scripts of a plant. */
static struct plant_host *
script_find_host(void *owner, const char *word)
{
	const struct script_state *state = owner;
	struct plant *plant = state->plant;
	struct plant_host *const hosts[] = {
		&plant->attacker,
		&plant->engineer,
		&plant->scada,
		&plant->historian,
		&plant->services,
		&plant->plc_hosts[state->plc_idx],
		&plant->hmi_hosts[0],
		&plant->rtu_hosts[0],
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strcmp(hosts[i]->name, word) == 0)
			return hosts[i];
	return NULL;
}

static uint64_t
script_actor_step(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct script_state *state = actor->state;
	int more;

	if (state->script == NULL) {
		if (script_create(&state->script, &plant->net, state->text) != 0)
			return UINT64_MAX;
		state->plc_idx = plant_random_below(&plant->random, plant->config.plcs);
		state->script->find_host = script_find_host;
		state->script->owner = state;
		state->script->plc = &plant->plcs[state->plc_idx];
		state->script->outstation = &plant->rtus[0];
	}
	more = script_step(state->script, &now_ns);
	if (more < 0) {
		(void)fprintf(stderr, "plant: a built-in script is wrong: %s\n", state->script->err);
		plant->script_failed = true;
	}
	if (more > 0)
		return now_ns;
	script_destroy(state->script);
	state->script = NULL;
	return actor->period_ns == 0 || more < 0 ? UINT64_MAX : now_ns + actor->period_ns;
}

static void
script_actor_end(struct plant *plant, struct plant_actor *actor, uint64_t now_ns)
{
	struct script_state *state = actor->state;

	for (unsigned int i = 0; state->script != NULL && i < state->script->talk_count; i++)
		(void)plant_talk_close(&state->script->talks[i].talk, now_ns);
	script_destroy(state->script);
	state->script = NULL;
}

int
plant_add_script(struct plant *plant, const char *text, uint64_t start_ns, uint64_t period_ns)
{
	struct plant_actor *actor = plant_add_actor(plant, script_actor_step, sizeof(struct script_state), period_ns);
	struct script_state *state;

	if (actor == NULL)
		return -ENOMEM;
	state = actor->state;
	state->plant = plant;
	state->text = text;
	actor->end = script_actor_end;
	actor->frames = 0;
	if (start_ns != 0)
		actor->next_ns = start_ns;
	return 0;
}

/* ---- the run ---- */

static uint64_t
plant_base_rate(const struct plant *plant)
{
	uint64_t millihertz = 0;

	for (unsigned int i = 0; i < plant->actor_count; i++)
		if (plant->actors[i].period_ns != 0)
			millihertz += plant->actors[i].frames * UINT64_C(1000000000000) / plant->actors[i].period_ns;
	return millihertz / 1000 + 1;
}

/* Makes every poller quicker or slower so that together they come near the wanted rate. */
static void
plant_set_rate(struct plant *plant)
{
	uint64_t base = plant_base_rate(plant);

	for (unsigned int i = 0; plant->config.rate != 0 && i < plant->actor_count; i++) {
		struct plant_actor *actor = &plant->actors[i];

		if (actor->frames == 0)
			continue;
		actor->period_ns = actor->period_ns / 1000 * base / plant->config.rate * 1000 + 1000;
		actor->next_ns = plant->config.start_ns + plant_random_next(&plant->random) % actor->period_ns;
	}
}

static uint64_t
plant_expected_ns(const struct plant *plant)
{
	const struct plant_config *config = &plant->config;
	uint64_t rate = config->rate != 0 ? config->rate : plant_base_rate(plant);

	if (config->duration_ns != 0)
		return config->duration_ns;
	if (config->capture.frames_max != 0)
		return config->capture.frames_max * SECOND_NS / rate;
	return config->capture.bytes_max / 100 * SECOND_NS / rate; /* about 100 bytes a frame */
}

/* Attacks come one after the other, evenly over the run. */
static int
plant_add_attacks(struct plant *plant)
{
	const struct plant_config *config = &plant->config;
	uint64_t expected_ns = plant_expected_ns(plant);

	for (unsigned int i = 0; i < config->attack_count; i++) {
		uint64_t at_ns = expected_ns / (config->attack_count + 1) * (i + 1);

		if (plant_add_script(plant, config->attacks[i]->script, config->start_ns + at_ns + 1, 0) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int
plant_populate(struct plant *plant)
{
	for (unsigned int i = 0; i < plant_protocol_count; i++) {
		int err = 0;

		if ((plant->config.protocols >> i & 1) != 0)
			err = plant_protocols[i].populate(plant);
		if (err != 0)
			return err;
	}
	plant_set_rate(plant);
	if (plant_add_attacks(plant) != 0)
		return -ENOMEM;
	for (unsigned int i = plant->actor_count / 2; i-- > 0;)
		actors_sift_down(plant, i);
	return 0;
}

int
plant_create(struct plant **out, const struct plant_config *config)
{
	struct plant *plant;
	int err;

	if (config->plcs == 0 || config->plcs > PLANT_PLCS_MAX || config->hmis == 0 || config->hmis > PLANT_HMIS_MAX ||
		config->rtus == 0 || config->rtus > PLANT_RTUS_MAX || config->attack_count > PLANT_ATTACKS_MAX)
		return -EINVAL;
	plant = calloc(1, sizeof(*plant));
	if (plant == NULL)
		return -ENOMEM;
	plant->config = *config;
	plant->random.state = config->seed;
	plant->net.random.state = plant_random_mix(config->seed + 1);
	plant->net.segment_len_max = config->segment_len_max;
	memcpy(plant->net.fault_permille, config->fault_permille, sizeof(plant->net.fault_permille));
	err = plant_capture_create(&plant->net.capture, &config->capture);
	if (err == 0)
		err = plant_create_hosts(plant);
	if (err == 0)
		err = plant_populate(plant);
	if (err != 0) {
		plant_destroy(plant);
		return err;
	}
	*out = plant;
	return 0;
}

static uint64_t
actor_next(struct plant *plant, const struct plant_actor *actor, uint64_t start_ns, uint64_t end_ns)
{
	uint64_t next_ns = start_ns;

	if (end_ns == UINT64_MAX || actor->frames == 0)
		return end_ns;
	/* A tenth more or less than the period: schedulers of real clients are no better. */
	next_ns += actor->period_ns - actor->period_ns / 10 +
		plant_random_next(&plant->random) % (actor->period_ns / 5 + 1);
	return next_ns > end_ns ? next_ns : end_ns;
}

int
plant_run(struct plant *plant)
{
	uint64_t stop_ns =
		plant->config.duration_ns == 0 ? UINT64_MAX : plant->config.start_ns + plant->config.duration_ns;
	uint64_t now_ns = plant->config.start_ns;

	while (plant->actor_count > 0 && !plant_capture_full(plant->net.capture)) {
		struct plant_actor *actor = &plant->actors[0];

		if (actor->next_ns >= stop_ns)
			break;
		now_ns = actor->next_ns;
		plant_capture_advance(plant->net.capture, now_ns);
		actor->next_ns = actor_next(plant, actor, now_ns, actor->step(plant, actor, now_ns));
		plant->steps++;
		actors_sift_down(plant, 0);
	}
	for (unsigned int i = 0; i < plant->actor_count; i++)
		if (plant->actors[i].end != NULL)
			plant->actors[i].end(plant, &plant->actors[i], now_ns + SECOND_NS);
	return plant->script_failed ? -EINVAL : plant_capture_finish(plant->net.capture);
}

void
plant_destroy(struct plant *plant)
{
	if (plant == NULL)
		return;
	for (unsigned int i = 0; i < plant->actor_count; i++) {
		if (plant->actors[i].step == script_actor_step)
			script_destroy(((struct script_state *)plant->actors[i].state)->script);
		free(plant->actors[i].state);
	}
	free(plant->actors);
	free(plant->plc_hosts);
	free(plant->plcs);
	free(plant->hmi_hosts);
	free(plant->rtu_hosts);
	free(plant->rtus);
	plant_capture_destroy(plant->net.capture);
	free(plant);
}

const struct plant_protocol plant_protocols[] = {
	{ "modbus", plant_modbus_populate,
		"Modbus/TCP: HMIs and a historian poll PLCs, an engineering station maintains them" },
	{ "dnp3", plant_dnp3_populate, "DNP3 over TCP and UDP: a SCADA front end and its outstations" },
	{ "it", plant_it_populate, "background: DNS, NTP, HTTP" },
	{ "mqtt", plant_mqtt_populate, "MQTT: Sparkplug edge nodes of the controllers report to a broker" },
	{ "iec104", plant_iec104_populate, "IEC 60870-5-104: a SCADA front end and its stations" },
	{ "enip", plant_enip_populate, "EtherNet/IP: operator stations read and write tags over connections; cyclic data" },
	{ "goose", plant_goose_populate, "GOOSE: a relay in each outstation's bay tells the position of its breaker" },
	{ "sv", plant_sv_populate, "Sampled Values: a merging unit in every third bay, 4000 samples a second" },
	{ "s7comm", plant_s7comm_populate,
		"S7comm: operator stations read and write variables, an engineer looks into controllers" },
	{ "s7comm_plus", plant_s7comm_plus_populate, "S7comm-plus version 3: sessions, variables, notifications" },
	{ "tls", plant_tls_populate, "TLS 1.2: operator stations read a historian's pages" },
	{ "ssh", plant_ssh_populate, "SSH: an engineer logs in to controllers" },
};
const unsigned int plant_protocol_count = sizeof(plant_protocols) / sizeof(plant_protocols[0]);
