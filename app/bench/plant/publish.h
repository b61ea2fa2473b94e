/*
 * GOOSE and Sampled Values as a publisher sends them (IEC 61850-8-1 annex A and C, 9-2 clause 8),
 * and the statements of a script that send one message:
 *
 *   goose KEY=VALUE …   st sq ttl rev sim nds t tq entries | ref dataset goid | bool int uint
 *                       bits=HEX text octets=HEX data=HEX (repeated: the data set) | security
 *   sv KEY=VALUE …      id count rev synch rate quality value number asdus | channels security
 *   ether TYPE HEX      any frame
 *
 * All take src dst (the last two bytes of a MAC) vlan priority appid reserved1 length. What is
 * not given is as the message before of that statement had it; a data set begins anew with
 * each message that gives values.
 */
#ifndef MR_BENCH_PLANT_PUBLISH_H
#define MR_BENCH_PLANT_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum { PLANT_DATA_MAX = 1024, PLANT_REF_MAX = 64, PLANT_SV_CHANNELS = 8 };

/** The frame around a message. */
struct plant_publication {
	uint8_t src[6], dst[6];
	uint16_t vlan;      /* 0: no tag */
	uint8_t priority;
	uint16_t appid;
	uint16_t reserved1;
	uint16_t length;    /* 0: the right one */
};

struct plant_goose {
	struct plant_publication publication;
	char ref[PLANT_REF_MAX], dataset[PLANT_REF_MAX], goid[PLANT_REF_MAX];
	uint32_t ttl_ms, st, sq, rev, entries; /* entries 0: the right number */
	uint32_t t_s, t_fraction;  /* the fraction of 2^24 */
	uint8_t t_quality;
	bool simulation, nds_com;
	uint8_t security_len;
	uint8_t data[PLANT_DATA_MAX]; /* encoded values */
	size_t data_len;
	uint32_t data_count;
};

struct plant_sv {
	struct plant_publication publication;
	char id[PLANT_REF_MAX];
	uint32_t count, rev, synch, rate; /* rate 0: left out */
	uint32_t number, asdus;           /* number 0: the right one */
	uint32_t quality;
	int32_t values[PLANT_SV_CHANNELS];
	uint32_t channels;
	uint8_t security_len;
};

/** What a publisher begins with. */
void plant_goose_init(struct plant_goose *goose);
void plant_sv_init(struct plant_sv *sv);
/** Appends one value, already encoded, to the data set. false: no room. */
bool plant_goose_add(struct plant_goose *goose, uint8_t tag, const void *content, size_t len);
/** Appends a frame. @return its length, 0 where it does not fit in out */
size_t plant_goose_frame(struct buf *out, const struct plant_goose *goose);
size_t plant_sv_frame(struct buf *out, const struct plant_sv *sv);

struct script;

/** Statements of a script: words[0] is the statement's name. @return 0 or -EINVAL with script->err set */
int script_goose(struct script *script, char *words[], unsigned int count, uint64_t *now_ns);
int script_sv(struct script *script, char *words[], unsigned int count, uint64_t *now_ns);
int script_ether(struct script *script, char *words[], unsigned int count, uint64_t *now_ns);

#endif
