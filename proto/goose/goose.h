/*
 * GOOSE (IEC 61850-8-1 clause 18 and annex A): the record of one message, the state of one pair
 * of MACs, and what the files of this folder share. goose.c reads APDUs and decides what is
 * told, goose_track.c follows stNum and sqNum, goose_data.c reads allData, goose_known.c spares that
 * where little changed, goose_form.c all of a message but that, goose_fields.c names every field.
 *
 * Thread: the worker that owns the flow.
 */
#ifndef MR_PROTO_GOOSE_GOOSE_H
#define MR_PROTO_GOOSE_GOOSE_H

#include <assert.h>

#include "proto/goose/publication.h"

enum {
	GOOSE_STREAMS_MAX = 16,    /* publications (gocbRef) of one pair of MACs */
	GOOSE_ELEMENTS_MAX = 32,   /* of one APDU */
	GOOSE_VALUES_MAX = 512,    /* of allData, inner ones included */
	GOOSE_DEPTH_MAX = 5,       /* structures in structures */
	GOOSE_DATA_MAX = 1024,     /* bytes of allData kept to tell what changed */
	GOOSE_CHANGED_MAX = 256,   /* indices told */
	GOOSE_KNOWN_MAX = 128,     /* entries of a data set whose values are kept as a record has them */
	GOOSE_KNOWN_LEN_MAX = 8 * 1024, /* bytes of them */
	GOOSE_FORM_LEN_MAX = 240,  /* of a message up to its data, kept as it was read */
	GOOSE_BITS_MAX = 256,      /* of one bit string */
	GOOSE_ANOMALIES_MAX = 32,  /* messages told because of an anomaly, a stream and summary interval */
	GOOSE_TRIP_APPID_MIN = 0x8000, /* 8-1 annex C: type 1A */
	GOOSE_TRIP_APPID_MAX = 0xbfff,
	GOOSE_APPID_MAX = 0x3fff,
	GOOSE_AHEAD = 11,          /* cache lines of a publication, up to the first of its data */
	GOOSE_TAG_PDU = 0x61,
	GOOSE_TAG_MANAGEMENT = 0x60,
};

/* Index of goose_events[], bit of proto_ctx.events. */
enum goose_event {
	GOOSE_EVENT_INVALID_LENGTH,
	GOOSE_EVENT_INVALID_APDU,
	GOOSE_EVENT_UNKNOWN_APDU,
	GOOSE_EVENT_MISSING_FIELD,
	GOOSE_EVENT_INVALID_VALUE,
	GOOSE_EVENT_ENTRY_COUNT,
	GOOSE_EVENT_ST_NUM_JUMP,
	GOOSE_EVENT_ST_NUM_OLD,
	GOOSE_EVENT_SQ_NUM_GAP,
	GOOSE_EVENT_SQ_NUM_REPEATED,
	GOOSE_EVENT_SQ_NUM_OLD,
	GOOSE_EVENT_RESTARTED,
	GOOSE_EVENT_TTL_EXPIRED,
	GOOSE_EVENT_DATA_WITHOUT_STATE,
	GOOSE_EVENT_TIME_BACKWARDS,
	GOOSE_EVENT_CONF_REV_CHANGED,
	GOOSE_EVENT_DAT_SET_CHANGED,
	GOOSE_EVENT_SIMULATED,
	GOOSE_EVENT_SIMULATION_MISMATCH,
	GOOSE_EVENT_NEEDS_COMMISSIONING,
	GOOSE_EVENT_CLOCK,
	GOOSE_EVENT_UNICAST,
	GOOSE_EVENT_APPID_RANGE,
	GOOSE_EVENT_TOO_MANY_STREAMS,
	GOOSE_EVENT_SECURITY_LOST,
	GOOSE_EVENT_COUNT,
};

/* Index of goose_counters[]. */
enum goose_counter {
	GOOSE_COUNT_MESSAGES,
	GOOSE_COUNT_STATES,
	GOOSE_COUNT_STREAMS,
	GOOSE_COUNT_LOST,
	GOOSE_COUNT_SUPPRESSED,
	GOOSE_COUNT_SHED,
	GOOSE_COUNTER_COUNT,
};

/** Why a message is told: it was the first of its publication, brought another state, ... */
enum goose_reason {
	GOOSE_NOTHING,
	GOOSE_FIRST,
	GOOSE_STATE_CHANGE,
	GOOSE_ANOMALY,
	GOOSE_SUMMARY,
	GOOSE_MESSAGE,
	GOOSE_END,
	GOOSE_MANAGEMENT,
};

/* Presence bits of struct goose_record; those of APDU elements are their tag numbers. */
enum goose_bit {
	GOOSE_HAS_REF,
	GOOSE_HAS_TTL,
	GOOSE_HAS_DAT_SET,
	GOOSE_HAS_GO_ID,
	GOOSE_HAS_T,
	GOOSE_HAS_ST_NUM,
	GOOSE_HAS_SQ_NUM,
	GOOSE_HAS_SIMULATION,
	GOOSE_HAS_CONF_REV,
	GOOSE_HAS_NDS_COM,
	GOOSE_HAS_ENTRIES,
	GOOSE_HAS_ALL_DATA,
	GOOSE_HAS_SECURITY,
	GOOSE_HAS_HEADER,
	GOOSE_HAS_LINK,
	GOOSE_HAS_VLAN,
	GOOSE_HAS_CHANGED,
	GOOSE_HAS_PREVIOUS,
	GOOSE_HAS_SUMMARY,
	GOOSE_HAS_GAPS,
	GOOSE_HAS_SESSION,
	GOOSE_HAS_MANAGEMENT,
	GOOSE_HAS_SERVICE,
	GOOSE_HAS_EXTENSION,
};

struct goose_record {
	struct record_head head;
	struct publication_source source;
	uint8_t reason; /* enum goose_reason */
	uint8_t t_flags, t_accuracy;
	bool header_simulation, simulation, nds_com;
	uint16_t appid, length, reserved1, reserved2;
	uint32_t ttl_ms, st_num, sq_num, conf_rev, entries;
	uint64_t t_ns;
	struct record_ref ref, dat_set, go_id;
	struct record_list all_data;
	struct record_ref changed;
	uint32_t security_len, extension_len;
	bool signature;        /* routed: behind the payload */
	uint16_t spdu_version;
	uint32_t spdu_number;
	/* the message before */
	uint32_t previous_st_num, previous_sq_num;
	uint64_t previous_age_us;
	/* since the last summary */
	uint64_t messages, states, lost, anomalies, duration_ms;
	uint32_t gap_min_us, gap_max_us;
	/* GSE management, 8-1 annex A */
	uint32_t state_id;
	bool response;
	uint8_t service;
};

/** Shapes of a value of allData: which member holds it. */
enum goose_shape {
	GOOSE_SHAPE_BOOL,
	GOOSE_SHAPE_INT,
	GOOSE_SHAPE_UINT,
	GOOSE_SHAPE_FLOAT,
	GOOSE_SHAPE_BITS,
	GOOSE_SHAPE_OCTETS,
	GOOSE_SHAPE_TEXT,
	GOOSE_SHAPE_TIME,
	GOOSE_SHAPE_GROUP,
};

enum goose_value_bit { GOOSE_VALUE_PATH, GOOSE_VALUE_QUALITY, GOOSE_VALUE_POSITION, GOOSE_VALUE_GOOD, GOOSE_VALUE_UTC };

struct goose_value {
	struct record_head head;
	uint16_t index;         /* of the entry of the data set, from 0 */
	uint8_t type;           /* identifier on the wire */
	uint8_t validity;
	uint8_t position;
	uint8_t t_flags;
	uint16_t quality;
	uint32_t bit_count;
	struct record_ref path; /* of a value in a structure: places from the outside in */
	uint8_t t_accuracy;     /* of a utc-time */
	union {
		bool truth;
		int64_t i64;
		uint64_t u64;
		double f64;
		struct record_ref bytes;
	};
};

/** An APDU as it was read; refs into the PDU. */
struct goose_apdu {
	uint64_t present;            /* enum goose_bit, the first thirteen */
	uint64_t unreadable;         /* those that are there, but not what they have to be */
	struct cursor texts[4];      /* by tag number; [1] is not one */
	struct cursor all_data;
	uint32_t ttl_ms, st_num, sq_num, conf_rev, entries, security_len;
	uint64_t t_ns;
	uint8_t t_quality;
	bool simulation, nds_com;
	bool secured;                /* signed, in any of the three ways */
	bool broken;                 /* the encoding does not hold together */
	bool invalid;                /* some value is not what its element wants */
};

/** The last message of a publication that was as it should be; data_off 0: it was not. */
struct goose_form {
	struct publication publication;
	struct goose_apdu apdu;
	uint16_t t_off;        /* places in the message: time, stNum behind it, sqNum, what follows, the data */
	uint16_t sq_off, rest_off, data_off;
	uint16_t data_len;
	uint16_t text_off[4];  /* by tag number; [1] is not one */
	uint8_t text_len[4];
	uint8_t bytes[GOOSE_FORM_LEN_MAX]; /* [data_off] */
};

struct goose_known;

/** One publication, in a slab block: first what each message reads. */
struct goose_stream {
	struct publication_source source;
	uint64_t last_ns;      /* of the last message that was accepted as current */
	uint64_t since_ns;     /* of the summary interval */
	uint64_t t_ns;
	uint32_t ttl_ms, st_num, sq_num, conf_rev;
	uint32_t data_len, data_crc;
	uint64_t messages, states, lost, anomalies; /* of the interval */
	uint32_t gap_min_us, gap_max_us;
	uint32_t told;         /* anomalies told in the interval */
	uint64_t standing;     /* events of the last message that last as long as their cause: told when they begin */
	uint64_t standing_data;
	uint16_t appid;
	bool simulated, nds_com, clock_bad, secured;
	bool known_is_current; /* known has the values of data */
	struct goose_known *known; /* NULL: none are kept */
	uint8_t text_len[4];   /* by tag number; [1] is not one */
	struct goose_form form;
	uint8_t data[GOOSE_DATA_MAX];
	uint8_t texts[3][PUBLICATION_TEXT_MAX];
};

static_assert(sizeof(struct goose_stream) <= 2048, "a publication costs one block");

/** Of a tag: 0, 2 or 3. @return [text_len[tag]] */
static inline const uint8_t *
goose_stream_text(const struct goose_stream *stream, unsigned int tag)
{
	return stream->texts[tag == 0 ? 0 : tag - 1];
}
/** @param text  at most PUBLICATION_TEXT_MAX bytes */
static inline void
goose_stream_put_text(struct goose_stream *stream, unsigned int tag, const struct cursor *text)
{
	stream->text_len[tag] = (uint8_t)cursor_left(text);
	if (cursor_left(text) > 0)
		memcpy(stream->texts[tag == 0 ? 0 : tag - 1], text->pos, cursor_left(text));
}

struct goose_state {
	struct goose_stream *last; /* that of the last message, most flows have one; NULL: it has ended, or none came */
	struct goose_stream *streams[GOOSE_STREAMS_MAX];
	uint8_t stream_count;
	bool overflowed;       /* said once */
	uint32_t broken;       /* messages told that belong to no publication, since broken_ns */
	uint64_t broken_ns;
};

extern const struct record_table goose_table;
extern const struct record_table *const goose_value_tables[]; /* by enum goose_shape */
extern const struct rule_app_event goose_events[];
extern const struct counter_desc goose_counters[];

/* ---- goose_stream.c ---- */

/** The publication of a control block; NULL: it was not seen. */
struct goose_stream *goose_stream_find(struct goose_state *state, const struct cursor *ref);
/** Room for another publication; the oldest one ends when there are too many. @return NULL: no memory, or too many new ones */
struct goose_stream *goose_stream_add(struct proto_ctx *ctx, const struct publication *publication, const struct cursor *ref);
/** Tells of every publication what it said, and forgets them. */
void goose_streams_end(struct proto_ctx *ctx);
/** What belongs to no publication, and publications beyond those followed, are told within a budget: one a summary interval. */
void goose_budget_renew(struct proto_ctx *ctx);
struct goose_record *goose_record_begin(struct proto_ctx *ctx, const struct publication_source *source, enum goose_reason reason);
/** What the publication did since its last summary; the next interval begins. */
void goose_summary_put(struct proto_ctx *ctx, struct goose_record *record, struct goose_stream *stream);

/* ---- goose_track.c ---- */

/**
 * Compares a message with what its publication said before and takes it over; names what is wrong as events of ctx.
 * @return why it is worth telling, GOOSE_NOTHING: a repetition as it should be
 */
enum goose_reason goose_track(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_apdu *apdu);

/* ---- goose_data.c ---- */

/** Reads allData into the record. @return entries of the data set */
uint32_t goose_data_put(struct proto_ctx *ctx, struct goose_record *record, struct cursor all_data);
/** Counts the entries. */
uint32_t goose_data_count(struct cursor all_data);
/** Entries of the data set that differ from those kept; none when the two are not alike in number. */
struct goose_changes {
	struct goose_known *known; /* what they change: all entries have the identifiers and lengths they have there. NULL: none */
	uint16_t count;
	uint16_t places[GOOSE_CHANGED_MAX];
};
void goose_data_compare(struct goose_changes *out, const struct goose_stream *stream, struct cursor all_data);
void goose_data_put_changes(struct proto_ctx *ctx, struct goose_record *record, const struct goose_changes *changes);
/** Reads one value of an identifier into a zeroed row, whose place in the list is set. What belongs to it goes to the end of
 *  ctx->record. @return false: it is not what its type wants, and an event of ctx; nothing was added to the record */
bool goose_data_read(struct proto_ctx *ctx, struct goose_value *value, const struct ber *ber);
/** Makes the row one of the octets that stand there. They go to the end of ctx->record. */
void goose_data_put_octets(struct proto_ctx *ctx, struct goose_value *value, const struct ber *ber);

/* ---- goose_form.c ---- */

/** The publication whose form the message has; form->apdu and form->publication are its then. NULL: it is to be read. */
struct goose_stream *goose_form_find(struct goose_state *state, struct cursor pdu);
/** Keeps a message that was read, if one like it needs no reading. */
void goose_form_keep(struct goose_stream *stream, const struct publication *publication, const struct goose_apdu *apdu,
	struct cursor pdu);
void goose_form_drop(struct goose_stream *stream);

/* ---- goose_known.c ---- */

/**
 * The values of a publication's last state as they stand in its record. The next state has other values in few entries:
 * it is told by a copy in which those are read anew.
 */
struct goose_known;

/** @return false: the entries are not those of known; *out is to be found in another way */
bool goose_known_compare(struct goose_changes *out, const struct goose_stream *stream, struct cursor all_data);
/** As goose_data_put(), with changes->known. @return false: there is none, or the record is laid out in another way; then it
 *  is none from now on */
bool goose_known_put(struct proto_ctx *ctx, struct goose_record *record, struct cursor all_data,
	struct goose_changes *changes, uint32_t *count);
/** ctx->record ends with the values of all_data, those of changes->known or read: they are kept if the data are the stream's. */
void goose_known_keep(struct proto_ctx *ctx, struct goose_stream *stream, const struct goose_changes *changes,
	struct cursor all_data);
void goose_known_drop(struct proto_ctx *ctx, struct goose_stream *stream);

#endif
