/*
 * The tables of Sampled Values: the fields of a message (EVE keys, rule keywords and reference in one), named events,
 * counters, configuration keys. Names of a message are those of other sensors' sv log, of an ASDU those of 9-2.
 */
#include "proto/sv/sv.h"

static const struct field_name reason_rows[] = {
	{ SV_MESSAGE, "message" },           { SV_SUMMARY, "summary" }, { SV_ANOMALY, "anomaly" },
	{ SV_STATE_CHANGE, "state_change" }, { SV_FIRST, "first" },     { SV_END, "end" },
};
static const struct field_names reasons = FIELD_NAMES(reason_rows, NULL);

static const struct field_name synch_rows[] = { { 0, "none" }, { 1, "local" }, { 2, "global" } };
static const struct field_names synchs = FIELD_NAMES(synch_rows, NULL); /* greater: identifies a local clock */

static const struct field_name mod_rows[] = {
	{ 0, "samples_per_period" }, { 1, "samples_per_second" }, { 2, "seconds_per_sample" },
};
static const struct field_names mods = FIELD_NAMES(mod_rows, "unknown");

#define CHANNEL_AT(member) offsetof(struct sv_channel, member)

static const struct field channel_fields[] = {
	{ "index", FIELD_U16, FIELD_ALWAYS, 0, CHANNEL_AT(index), NULL, NULL, "9-2", "place in the data set, from 0" },
	{ "name", FIELD_TEXT, SV_CHANNEL_NAMED, 0, CHANNEL_AT(name), NULL, NULL, "9-2LE 7.2",
		"of the eight of 9-2LE: Ia to In, Ua to Un" },
	{ "value", FIELD_I32, FIELD_ALWAYS, 0, CHANNEL_AT(value), NULL, NULL, "9-2LE 7.2", "as it was sent" },
	{ "scaled", FIELD_F64, SV_CHANNEL_NAMED, 0, CHANNEL_AT(scaled), NULL, NULL, "9-2LE 7.2",
		"with the scale of 9-2LE: 1 mA, 10 mV" },
	{ "unit", FIELD_TEXT, SV_CHANNEL_NAMED, 0, CHANNEL_AT(unit), NULL, NULL, "9-2LE 7.2", "of the scaled value: A, V" },
	{ "validity", FIELD_U8, FIELD_ALWAYS, 0, CHANNEL_AT(validity), &publication_validity, NULL, "7-3 Quality",
		"good, invalid, questionable" },
	{ "quality", FIELD_NAMES16, SV_CHANNEL_QUALITY, 0, CHANNEL_AT(quality), &publication_quality, NULL, "7-3 Quality",
		"why it is not good, where it came from" },
};
static const struct record_table channel_table = {
	"channels", channel_fields, sizeof(channel_fields) / sizeof(channel_fields[0]), sizeof(struct sv_channel),
};
const struct record_table *const sv_channel_tables[] = { &channel_table, NULL };

#define ASDU_AT(member) offsetof(struct sv_asdu_record, member)

static const struct field asdu_fields[] = {
	{ "svID", FIELD_STRING, SV_ASDU_ID, 0, ASDU_AT(sv_id), NULL, NULL, "9-2 8.5", "identifier of the publication" },
	{ "datSet", FIELD_STRING, SV_ASDU_DAT_SET, 0, ASDU_AT(dat_set), NULL, NULL, "9-2 8.5", "reference of the data set" },
	{ "smpCnt", FIELD_U32, SV_ASDU_SMP_CNT, 0, ASDU_AT(smp_cnt), NULL, NULL, "9-2 8.5", "number of the sample" },
	{ "confRev", FIELD_U32, SV_ASDU_CONF_REV, 0, ASDU_AT(conf_rev), NULL, NULL, "9-2 8.5",
		"revision of the data set's configuration" },
	{ "refrTm", FIELD_TIME, SV_ASDU_REFR_TM, 0, ASDU_AT(refr_tm_ns), NULL, NULL, "9-2 8.5", "time of refresh" },
	{ "refrTm_quality", FIELD_NAMES8, SV_ASDU_REFR_TM, 0, ASDU_AT(refr_tm_flags), &publication_time_flags, NULL,
		"7-2 TimeQuality", "of the publisher's clock" },
	{ "refrTm_accuracy", FIELD_U8, SV_ASDU_REFR_TM, 0, ASDU_AT(refr_tm_accuracy), NULL, NULL, "7-2 TimeQuality",
		"bits of the fraction that count; 31: not said" },
	{ "smpSynch", FIELD_U32, SV_ASDU_SMP_SYNCH, 0, ASDU_AT(smp_synch), &synchs, NULL, "9-2 8.5",
		"which clock the samples follow" },
	{ "smpRate", FIELD_U32, SV_ASDU_SMP_RATE, 0, ASDU_AT(smp_rate), NULL, NULL, "9-2 8.5", "rate, as smpMod counts it" },
	{ "smpMod", FIELD_U32, SV_ASDU_SMP_MOD, 0, ASDU_AT(smp_mod), &mods, NULL, "9-2 8.5", "what smpRate counts" },
	{ "gmIdentity", FIELD_HEX, SV_ASDU_GM_IDENTITY, 0, ASDU_AT(gm_identity), NULL, NULL, "9-2 8.5",
		"identity of the grandmaster clock" },
	{ "channels", FIELD_LIST, SV_ASDU_CHANNELS, 0, ASDU_AT(channels), NULL, sv_channel_tables, "9-2LE 7.2",
		"values with their qualities" },
	{ "sample", FIELD_HEX, SV_ASDU_OPAQUE, 0, ASDU_AT(sample), NULL, NULL, "9-2 8.5",
		"a sample that is not made of values with qualities" },
};
static const struct record_table asdu_table = {
	"asdu", asdu_fields, sizeof(asdu_fields) / sizeof(asdu_fields[0]), sizeof(struct sv_asdu_record),
};
const struct record_table *const sv_asdu_tables[] = { &asdu_table, NULL };

#define AT(member) offsetof(struct sv_record, member)

static const struct field sv_fields[] = {
	{ "reason", FIELD_U8, FIELD_ALWAYS, 0, AT(reason), &reasons, NULL, "own",
		"why this message is told: first of its publication, state_change (quality, synchronisation, configuration), "
		"anomaly, summary, message (all are); end: the last summary" },
	{ "src", FIELD_MAC, SV_HAS_LINK, 0, AT(source.src), NULL, NULL, "802.3", "publisher" },
	{ "dst", FIELD_MAC, SV_HAS_LINK, 0, AT(source.dst), NULL, NULL, "802.3", "group it publishes to" },
	{ "vlan", FIELD_U16, SV_HAS_VLAN, 0, AT(source.vlan), NULL, NULL, "802.1Q", "VLAN of the innermost tag" },
	{ "vlan_priority", FIELD_U8, SV_HAS_VLAN, 0, AT(source.vlan_priority), NULL, NULL, "802.1Q", "its priority" },
	{ "appid", FIELD_U16, SV_HAS_HEADER, 0, AT(appid), NULL, NULL, "9-2 5.3", "application identifier" },
	{ "length", FIELD_U16, SV_HAS_HEADER, 0, AT(length), NULL, NULL, "9-2 5.3", "bytes from the APPID on" },
	{ "reserved1", FIELD_U16, SV_HAS_HEADER, 0, AT(reserved1), NULL, NULL, "9-2 5.3",
		"simulation bit, and the length of a security extension" },
	{ "reserved2", FIELD_U16, SV_HAS_HEADER, 0, AT(reserved2), NULL, NULL, "9-2 5.3", "a security extension's CRC" },
	{ "header_simulation", FIELD_BOOL, SV_HAS_HEADER, 0, AT(header_simulation), NULL, NULL, "9-2 5.3",
		"the header says that a test set published this" },
	{ "sv_id", FIELD_STRING, SV_HAS_ID, 0, AT(sv_id), NULL, NULL, "9-2 8.5", "svID of the first ASDU" },
	{ "smpCnt", FIELD_U32, SV_HAS_COUNT, 0, AT(smp_cnt), NULL, NULL, "9-2 8.5", "smpCnt of the first ASDU" },
	{ "noASDU", FIELD_U32, SV_HAS_NUMBER, 0, AT(asdu_number), NULL, NULL, "9-2 8.5", "ASDUs announced" },
	{ "asdu", FIELD_LIST, SV_HAS_ASDUS, 0, AT(asdus), NULL, sv_asdu_tables, "9-2 8.5", "the ASDUs" },
	{ "security.length", FIELD_U32, SV_HAS_SECURITY, 0, AT(security_len), NULL, NULL, "IEC 62351-6",
		"bytes of the APDU's security element" },
	{ "extension.length", FIELD_U32, SV_HAS_EXTENSION, 0, AT(extension_len), NULL, NULL, "IEC 62351-6",
		"bytes behind the APDU within the length: an authentication value" },
	{ "session.spdu_number", FIELD_U32, SV_HAS_SESSION, 0, AT(spdu_number), NULL, NULL, "90-5",
		"routed: number of the session PDU" },
	{ "session.version", FIELD_U16, SV_HAS_SESSION, 0, AT(spdu_version), NULL, NULL, "90-5",
		"routed: version of the session protocol" },
	{ "session.signature", FIELD_BOOL, SV_HAS_SESSION, 0, AT(signature), NULL, NULL, "90-5",
		"routed: a signature follows the payload" },
	{ "previous.smpCnt", FIELD_U32, SV_HAS_PREVIOUS, 0, AT(previous_smp_cnt), NULL, NULL, "own",
		"of the sample before" },
	{ "previous.age_us", FIELD_U64, SV_HAS_PREVIOUS, 0, AT(previous_age_us), NULL, NULL, "own",
		"microseconds since the message before" },
	{ "summary.messages", FIELD_U64, SV_HAS_SUMMARY, 0, AT(messages), NULL, NULL, "own",
		"messages since the last summary" },
	{ "summary.samples", FIELD_U64, SV_HAS_SUMMARY, 0, AT(samples), NULL, NULL, "own", "samples in them" },
	{ "summary.lost", FIELD_U64, SV_HAS_SUMMARY, 0, AT(lost), NULL, NULL, "own", "samples missing, by smpCnt" },
	{ "summary.repeated", FIELD_U64, SV_HAS_SUMMARY, 0, AT(repeated), NULL, NULL, "own", "samples that came again" },
	{ "summary.anomalies", FIELD_U64, SV_HAS_SUMMARY, 0, AT(anomalies), NULL, NULL, "own",
		"messages with an anomaly, told or not" },
	{ "summary.duration_ms", FIELD_U64, SV_HAS_SUMMARY, 0, AT(duration_ms), NULL, NULL, "own",
		"time since the last summary" },
	{ "summary.period", FIELD_U32, SV_HAS_PERIOD, 0, AT(period), NULL, NULL, "own",
		"samples until smpCnt begins again: usually those of a second" },
};

const struct record_table sv_table = {
	.name = "sv",
	.fields = sv_fields,
	.field_count = sizeof(sv_fields) / sizeof(sv_fields[0]),
	.size = sizeof(struct sv_record),
};

const struct rule_app_event sv_events[] = {
	[SV_EVENT_INVALID_LENGTH] = { "invalid_length", "the header's length does not fit the frame" },
	[SV_EVENT_INVALID_APDU] = { "invalid_apdu", "the encoding of the message does not hold together" },
	[SV_EVENT_UNKNOWN_APDU] = { "unknown_apdu", "no Sampled Values message" },
	[SV_EVENT_MISSING_FIELD] = { "missing_field", "a mandatory element is absent" },
	[SV_EVENT_INVALID_VALUE] = { "invalid_value", "an element is not what its type wants" },
	[SV_EVENT_ASDU_COUNT] = { "asdu_count_mismatch", "the message has not noASDU ASDUs" },
	[SV_EVENT_SMP_CNT_GAP] = { "smp_cnt_gap", "samples are missing before this one" },
	[SV_EVENT_SMP_CNT_REPEATED] = { "smp_cnt_repeated", "the same smpCnt again" },
	[SV_EVENT_SMP_CNT_OLD] = { "smp_cnt_old", "smpCnt is lower than before: replayed, or there are two publishers" },
	[SV_EVENT_SMP_CNT_RESET] = { "smp_cnt_reset", "smpCnt began again before its period was over" },
	[SV_EVENT_INTERRUPTED] = { "interrupted", "no sample for longer than interruption-ms" },
	[SV_EVENT_CONF_REV_CHANGED] = { "conf_rev_changed", "another confRev: the publisher was reconfigured" },
	[SV_EVENT_SAMPLE_CHANGED] = { "sample_length_changed", "samples have another length than before" },
	[SV_EVENT_SYNCH_LOST] = { "synch_lost", "smpSynch became none: samples follow no clock any more" },
	[SV_EVENT_QUALITY_BAD] = { "quality_bad", "a value begins to be invalid or questionable" },
	[SV_EVENT_SIMULATED] = { "simulated", "simulated or test values begin" },
	[SV_EVENT_UNICAST] = { "unicast_destination", "sent to one host instead of a group" },
	[SV_EVENT_APPID_RANGE] = { "appid_range", "an APPID that is not reserved for Sampled Values" },
	[SV_EVENT_TOO_MANY_STREAMS] = { "too_many_publications", "more svIDs of one publisher than are followed" },
};

const struct counter_desc sv_counters[] = {
	[SV_COUNT_MESSAGES] = { "sv.messages", "messages read" },
	[SV_COUNT_SAMPLES] = { "sv.samples", "ASDUs read" },
	[SV_COUNT_STREAMS] = { "sv.publications", "svIDs seen first" },
	[SV_COUNT_LOST] = { "sv.lost", "samples missing, by smpCnt" },
	[SV_COUNT_SUPPRESSED] = { "sv.suppressed", "anomalies counted but not told: too many in one interval" },
	[SV_COUNT_SHED] = { "sv.shed", "publications not followed: no memory" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.sv.interruption-ms", KNOB_NUMBER, offsetof(struct sv_config, interruption_ms), 1, 60000, "100",
		NULL, "silence of a publication that is an anomaly, milliseconds" },
};

const struct knob_table sv_knobs = {
	.owner = "sv",
	.knobs = knobs,
	.count = sizeof(knobs) / sizeof(knobs[0]),
};
