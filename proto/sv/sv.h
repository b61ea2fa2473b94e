/*
 * Sampled Values (IEC 61850-9-2 clause 8 and its light edition 9-2LE, IEC 61869-9): the record of
 * one message, the state of one pair of MACs, and what the files of this folder share. sv.c decides
 * what is told, sv_asdu.c reads ASDUs, sv_track.c follows smpCnt, sv_fields.c names every field.
 *
 * Thread: the worker that owns the flow.
 */
#ifndef MR_PROTO_SV_SV_H
#define MR_PROTO_SV_SV_H

#include <assert.h>

#include "proto/goose/publication.h"

enum {
	SV_STREAMS_MAX = 16,     /* publications (svID) of one pair of MACs */
	SV_ASDUS_MAX = 32,       /* of one message; 9-2LE: 8 at most */
	SV_ELEMENTS_MAX = 16,    /* of one ASDU */
	SV_CHANNELS_MAX = 64,    /* of one ASDU */
	SV_CHANNEL_LEN = 8,      /* INT32 and quality */
	SV_LE_CHANNELS = 8,      /* 9-2LE: four currents, four voltages */
	SV_ANOMALIES_MAX = 32,   /* messages told because of an anomaly, a stream and summary interval */
	SV_APPID_MIN = 0x4000,   /* 9-2 annex C */
	SV_APPID_MAX = 0x7fff,
	SV_TAG_PDU = 0x60,
	SV_QUALITY_MASK = 0x3fff, /* bits of a quality that mean something */
	SV_VALIDITY_MASK = 3,
	SV_QUALITY_TEST = 1 << 11,
};

/* Index of sv_events[], bit of proto_ctx.events. */
enum sv_event {
	SV_EVENT_INVALID_LENGTH,
	SV_EVENT_INVALID_APDU,
	SV_EVENT_UNKNOWN_APDU,
	SV_EVENT_MISSING_FIELD,
	SV_EVENT_INVALID_VALUE,
	SV_EVENT_ASDU_COUNT,
	SV_EVENT_SMP_CNT_GAP,
	SV_EVENT_SMP_CNT_REPEATED,
	SV_EVENT_SMP_CNT_OLD,
	SV_EVENT_SMP_CNT_RESET,
	SV_EVENT_INTERRUPTED,
	SV_EVENT_CONF_REV_CHANGED,
	SV_EVENT_SAMPLE_CHANGED,
	SV_EVENT_SYNCH_LOST,
	SV_EVENT_QUALITY_BAD,
	SV_EVENT_SIMULATED,
	SV_EVENT_UNICAST,
	SV_EVENT_APPID_RANGE,
	SV_EVENT_TOO_MANY_STREAMS,
	SV_EVENT_COUNT,
};

/* Index of sv_counters[]. */
enum sv_counter {
	SV_COUNT_MESSAGES,
	SV_COUNT_SAMPLES,
	SV_COUNT_STREAMS,
	SV_COUNT_LOST,
	SV_COUNT_SUPPRESSED,
	SV_COUNT_SHED,
	SV_COUNTER_COUNT,
};

/** Why a message is told. A greater one wins where ASDUs of one message differ. */
enum sv_reason { SV_NOTHING, SV_MESSAGE, SV_SUMMARY, SV_ANOMALY, SV_STATE_CHANGE, SV_FIRST, SV_END };

enum sv_bit {
	SV_HAS_HEADER,
	SV_HAS_LINK,
	SV_HAS_VLAN,
	SV_HAS_ID,
	SV_HAS_COUNT,
	SV_HAS_ASDUS,
	SV_HAS_NUMBER,
	SV_HAS_SECURITY,
	SV_HAS_EXTENSION,
	SV_HAS_SESSION,
	SV_HAS_PREVIOUS,
	SV_HAS_SUMMARY,
	SV_HAS_PERIOD,
};

struct sv_record {
	struct record_head head;
	struct publication_source source;
	uint8_t reason; /* enum sv_reason */
	bool header_simulation, signature;
	uint16_t appid, length, reserved1, reserved2, spdu_version;
	uint32_t spdu_number, security_len, extension_len, asdu_number;
	struct record_ref sv_id; /* of the first ASDU */
	uint32_t smp_cnt;
	struct record_list asdus;
	uint32_t previous_smp_cnt;
	uint64_t previous_age_us;
	/* since the last summary */
	uint64_t messages, samples, lost, repeated, anomalies, duration_ms;
	uint32_t period;
};

/* Presence bits of an ASDU: tag numbers, and what was made of the sample. */
enum sv_asdu_bit {
	SV_ASDU_ID,
	SV_ASDU_DAT_SET,
	SV_ASDU_SMP_CNT,
	SV_ASDU_CONF_REV,
	SV_ASDU_REFR_TM,
	SV_ASDU_SMP_SYNCH,
	SV_ASDU_SMP_RATE,
	SV_ASDU_SAMPLE,
	SV_ASDU_SMP_MOD,
	SV_ASDU_GM_IDENTITY,
	SV_ASDU_CHANNELS,
	SV_ASDU_OPAQUE,
};

struct sv_asdu_record {
	struct record_head head;
	struct record_ref sv_id, dat_set, sample, gm_identity;
	struct record_list channels;
	uint64_t refr_tm_ns;
	uint32_t smp_cnt, conf_rev, smp_rate, smp_mod, smp_synch;
	uint8_t refr_tm_flags, refr_tm_accuracy;
};

enum sv_channel_bit { SV_CHANNEL_NAMED, SV_CHANNEL_QUALITY };

struct sv_channel {
	struct record_head head;
	const char *name; /* 9-2LE */
	const char *unit;
	double scaled;
	int32_t value;
	uint16_t index;
	uint16_t quality;
	uint8_t validity;
};

/** An ASDU as it was read; refs into the PDU. */
struct sv_asdu {
	uint64_t present; /* enum sv_asdu_bit */
	uint64_t unreadable; /* those that are there, but not what they have to be */
	struct cursor sv_id, dat_set, sample, gm_identity;
	uint64_t refr_tm_ns;
	uint32_t smp_cnt, conf_rev, smp_rate, smp_mod, smp_synch;
	uint32_t quality; /* of all channels, or-ed; with pairs */
	const uint8_t *smp_cnt_at; /* its bytes */
	uint8_t smp_cnt_len;
	uint8_t refr_tm_quality;
	bool pairs;       /* the sample is INT32 and quality, over and over */
	bool broken, invalid;
};

/** A message as it was read. */
struct sv_apdu {
	struct cursor asdus;   /* content of the sequence */
	uint32_t asdu_number;  /* as it says */
	uint32_t security_len;
	bool has_number, has_asdus, broken;
};

enum {
	SV_REPEAT_PARTS = 2,     /* ASDUs of a message that is known by its bytes */
	SV_REPEAT_LEN_MAX = 240, /* two ASDUs of eight channels with their names */
	SV_COUNT_LEN = 2,
};

/** Where a message differs from the one before though it says nothing new. Offsets from its header's first byte. */
struct sv_part {
	uint16_t count_off;
	uint16_t sample_off, sample_len;
	uint32_t quality; /* of all channels, or-ed */
};

struct sv_repeat {
	struct sv_part parts[SV_REPEAT_PARTS];
	uint16_t len; /* of the message; 0: none is known */
	uint8_t part_count;
	bool refused; /* while it is being read: it is none to know others by */
};

/** One publication. In a slab block. */
struct sv_stream {
	struct publication_source source;
	uint64_t last_ns, since_ns;
	uint64_t messages, samples, lost, repeated, anomalies;
	uint64_t standing;
	uint32_t smp_cnt, period, conf_rev, smp_synch;
	uint32_t told;
	uint16_t sample_len, appid;
	bool bad_quality : 1, test : 1, simulated : 1;
	uint8_t id_len;
	uint8_t id[PUBLICATION_TEXT_MAX];
	struct sv_repeat repeat;
	uint8_t repeat_bytes[SV_REPEAT_LEN_MAX];
};

static_assert(sizeof(struct sv_stream) <= 512, "a publication costs one block");

struct sv_state {
	struct sv_stream *streams[SV_STREAMS_MAX];
	uint8_t stream_count;
	uint8_t last_idx;
	bool overflowed;
	uint32_t broken; /* messages told that belong to no publication, since broken_ns */
	uint64_t broken_ns;
};

struct sv_config {
	uint64_t interruption_ms;
};

extern const struct record_table sv_table;
extern const struct record_table *const sv_asdu_tables[];
extern const struct record_table *const sv_channel_tables[];
extern const struct rule_app_event sv_events[];
extern const struct counter_desc sv_counters[];
extern const struct knob_table sv_knobs;

/* ---- sv_asdu.c ---- */

/** Reads savPdu's elements. */
void sv_read_apdu(struct sv_apdu *apdu, struct cursor in);
/** The next ASDU of the sequence. false: none is left. */
bool sv_next_asdu(struct cursor *asdus, struct sv_asdu *out);
/** Writes an ASDU with its values into the record. */
void sv_put_asdu(struct proto_ctx *ctx, struct sv_record *record, const struct sv_asdu *asdu);

/* ---- sv_track.c ---- */

/**
 * Compares an ASDU with what its publication said before and takes it over; names what is wrong as events of ctx.
 * @return why it is worth telling
 */
enum sv_reason sv_track(struct proto_ctx *ctx, struct sv_stream *stream, const struct sv_asdu *asdu, bool simulated);

/* ---- sv_repeat.c ---- */

/** Notes an ASDU of the message that begins at `message`. At most SV_REPEAT_LEN_MAX bytes behind it, or learning fails. */
void sv_repeat_note(struct sv_repeat *repeat, const uint8_t *message, const struct sv_asdu *asdu);
/** The message told nothing: the next ones that are the same but for counts and samples are known by it. */
void sv_repeat_learn(struct sv_stream *stream, const struct sv_repeat *repeat, const uint8_t *message, size_t len);
/** @return whether the PDU is such a message, which is then counted. False: it is to be read. */
bool sv_repeat_take(struct proto_ctx *ctx, struct cursor pdu);
/** The qualities of a sample's channels, or-ed. @param len  a multiple of SV_CHANNEL_LEN */
uint32_t sv_quality_of(const uint8_t *sample, size_t len);

#endif
