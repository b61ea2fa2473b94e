/*
 * The tables of GOOSE: the fields of a message (EVE keys, rule keywords and reference in one), named events, counters,
 * configuration keys. Names are those of IEC 61850-8-1 annex A where it has them.
 */
#include "proto/goose/goose.h"

static const struct field_name reason_rows[] = {
	{ GOOSE_FIRST, "first" },       { GOOSE_STATE_CHANGE, "state_change" }, { GOOSE_ANOMALY, "anomaly" },
	{ GOOSE_SUMMARY, "summary" },   { GOOSE_MESSAGE, "message" },           { GOOSE_END, "end" },
	{ GOOSE_MANAGEMENT, "management" },
};
static const struct field_names reasons = FIELD_NAMES(reason_rows, NULL);

static const struct field_name type_rows[] = {
	{ 0x83, "boolean" },        { 0x84, "bit-string" },    { 0x85, "integer" },        { 0x86, "unsigned" },
	{ 0x87, "floating-point" }, { 0x89, "octet-string" },  { 0x8a, "visible-string" }, { 0x8c, "binary-time" },
	{ 0x8d, "bcd" },            { 0x8e, "boolean-array" }, { 0x8f, "obj-id" },         { 0x90, "mms-string" },
	{ 0x91, "utc-time" },       { 0xa1, "array" },         { 0xa2, "structure" },
};
static const struct field_names types = FIELD_NAMES(type_rows, "unknown");

static const struct field_name position_rows[] = {
	{ 0, "intermediate" }, { 1, "off" }, { 2, "on" }, { 3, "bad" },
};
static const struct field_names positions = FIELD_NAMES(position_rows, NULL);

static const struct field_name service_rows[] = {
	{ 0, "gse_management_not_supported" }, { 1, "get_go_reference" }, { 2, "get_goose_element_number" },
	{ 3, "get_gs_reference" },             { 4, "get_gsse_data_offset" },
};
static const struct field_names services = FIELD_NAMES(service_rows, "unknown");

#define VALUE_AT(member) offsetof(struct goose_value, member)
#define VALUE_HEAD                                                                                                     \
	{ "index", FIELD_U16, FIELD_ALWAYS, 0, VALUE_AT(index), NULL, NULL, "8-1 A.3",                                  \
		"entry of the data set, from 0" },                                                                      \
	{ "path", FIELD_U16S, GOOSE_VALUE_PATH, 0, VALUE_AT(path), NULL, NULL, "own",                                   \
		"place in the structures and arrays of the entry, from the outside in" },                               \
	{ "type", FIELD_U8, FIELD_ALWAYS, 0, VALUE_AT(type), &types, NULL, "8-1 A.3", "MMS type" }
#define VALUE_ROW(field_type, member, what) \
	{ "value", field_type, FIELD_ALWAYS, 0, VALUE_AT(member), NULL, NULL, "8-1 A.3", what }
#define VALUE_TABLE(rows) \
	{ "allData", rows, sizeof(rows) / sizeof((rows)[0]), sizeof(struct goose_value) }

static const struct field bool_fields[] = { VALUE_HEAD, VALUE_ROW(FIELD_BOOL, truth, "its value") };
static const struct field int_fields[] = { VALUE_HEAD, VALUE_ROW(FIELD_I64, i64, "its value") };
static const struct field uint_fields[] = { VALUE_HEAD, VALUE_ROW(FIELD_U64, u64, "its value") };
static const struct field float_fields[] = { VALUE_HEAD, VALUE_ROW(FIELD_F64, f64, "its value") };
static const struct field octets_fields[] = { VALUE_HEAD, VALUE_ROW(FIELD_HEX, bytes, "its bytes; also of a value that is not what its type wants") };
static const struct field text_fields[] = { VALUE_HEAD, VALUE_ROW(FIELD_STRING, bytes, "its text") };
static const struct field bits_fields[] = {
	VALUE_HEAD,
	VALUE_ROW(FIELD_STRING, bytes, "its bits, the first one first, as 0 and 1"),
	{ "bits", FIELD_U32, FIELD_ALWAYS, 0, VALUE_AT(bit_count), NULL, NULL, "8-1 A.3", "how many" },
	{ "position", FIELD_U8, GOOSE_VALUE_POSITION, 0, VALUE_AT(position), &positions, NULL, "7-3 Dbpos",
		"two bits, as the position of a switch" },
	{ "validity", FIELD_U8, GOOSE_VALUE_GOOD, 0, VALUE_AT(validity), &publication_validity, NULL, "7-3 Quality",
		"thirteen bits, as a quality" },
	{ "quality", FIELD_NAMES16, GOOSE_VALUE_QUALITY, 0, VALUE_AT(quality), &publication_quality, NULL, "7-3 Quality",
		"why it is not good, where it came from" },
};
static const struct field time_fields[] = {
	VALUE_HEAD,
	VALUE_ROW(FIELD_TIME, u64, "its time"),
	{ "quality", FIELD_NAMES8, FIELD_ALWAYS, 0, VALUE_AT(t_flags), &publication_time_flags, NULL, "7-2 TimeQuality",
		"of a utc-time: of its clock" },
	{ "accuracy", FIELD_U8, GOOSE_VALUE_UTC, 0, VALUE_AT(t_accuracy), NULL, NULL, "7-2 TimeQuality",
		"of a utc-time: bits of its fraction that count; 31: not said" },
};
static const struct field group_fields[] = {
	VALUE_HEAD,
	{ "members", FIELD_U64, FIELD_ALWAYS, 0, VALUE_AT(u64), NULL, NULL, "8-1 A.3",
		"elements that follow, with their paths" },
};

static const struct record_table bool_table = VALUE_TABLE(bool_fields);
static const struct record_table int_table = VALUE_TABLE(int_fields);
static const struct record_table uint_table = VALUE_TABLE(uint_fields);
static const struct record_table float_table = VALUE_TABLE(float_fields);
static const struct record_table bits_table = VALUE_TABLE(bits_fields);
static const struct record_table octets_table = VALUE_TABLE(octets_fields);
static const struct record_table text_table = VALUE_TABLE(text_fields);
static const struct record_table time_table = VALUE_TABLE(time_fields);
static const struct record_table group_table = VALUE_TABLE(group_fields);

const struct record_table *const goose_value_tables[] = {
	[GOOSE_SHAPE_BOOL] = &bool_table,     [GOOSE_SHAPE_INT] = &int_table,   [GOOSE_SHAPE_UINT] = &uint_table,
	[GOOSE_SHAPE_FLOAT] = &float_table,   [GOOSE_SHAPE_BITS] = &bits_table, [GOOSE_SHAPE_OCTETS] = &octets_table,
	[GOOSE_SHAPE_TEXT] = &text_table,     [GOOSE_SHAPE_TIME] = &time_table, [GOOSE_SHAPE_GROUP] = &group_table,
	NULL,
};

#define AT(member) offsetof(struct goose_record, member)

static const struct field goose_fields[] = {
	{ "reason", FIELD_U8, FIELD_ALWAYS, 0, AT(reason), &reasons, NULL, "own",
		"why this message is told: first of its publication, state_change, anomaly, summary, message (all are), "
		"management; end: the last summary" },
	{ "src", FIELD_MAC, GOOSE_HAS_LINK, 0, AT(source.src), NULL, NULL, "802.3", "publisher" },
	{ "dst", FIELD_MAC, GOOSE_HAS_LINK, 0, AT(source.dst), NULL, NULL, "802.3", "group it publishes to" },
	{ "vlan", FIELD_U16, GOOSE_HAS_VLAN, 0, AT(source.vlan), NULL, NULL, "802.1Q", "VLAN of the innermost tag" },
	{ "vlan_priority", FIELD_U8, GOOSE_HAS_VLAN, 0, AT(source.vlan_priority), NULL, NULL, "802.1Q", "its priority" },
	{ "appid", FIELD_U16, GOOSE_HAS_HEADER, 0, AT(appid), NULL, NULL, "8-1 C", "application identifier" },
	{ "length", FIELD_U16, GOOSE_HAS_HEADER, 0, AT(length), NULL, NULL, "8-1 C", "bytes from the APPID on" },
	{ "reserved1", FIELD_U16, GOOSE_HAS_HEADER, 0, AT(reserved1), NULL, NULL, "8-1 C",
		"simulation bit, and the length of a security extension" },
	{ "reserved2", FIELD_U16, GOOSE_HAS_HEADER, 0, AT(reserved2), NULL, NULL, "8-1 C", "a security extension's CRC" },
	{ "header_simulation", FIELD_BOOL, GOOSE_HAS_HEADER, 0, AT(header_simulation), NULL, NULL, "8-1 C",
		"the header says that a test set published this" },
	{ "gocbRef", FIELD_STRING, GOOSE_HAS_REF, 0, AT(ref), NULL, NULL, "8-1 A", "reference of the control block" },
	{ "timeAllowedtoLive", FIELD_U32, GOOSE_HAS_TTL, 0, AT(ttl_ms), NULL, NULL, "8-1 A",
		"milliseconds until the next message" },
	{ "datSet", FIELD_STRING, GOOSE_HAS_DAT_SET, 0, AT(dat_set), NULL, NULL, "8-1 A", "reference of the data set" },
	{ "goID", FIELD_STRING, GOOSE_HAS_GO_ID, 0, AT(go_id), NULL, NULL, "8-1 A", "identifier of the application" },
	{ "t", FIELD_TIME, GOOSE_HAS_T, 0, AT(t_ns), NULL, NULL, "8-1 A", "time of the state" },
	{ "t_quality", FIELD_NAMES8, GOOSE_HAS_T, 0, AT(t_flags), &publication_time_flags, NULL, "7-2 TimeQuality",
		"of the publisher's clock" },
	{ "t_accuracy", FIELD_U8, GOOSE_HAS_T, 0, AT(t_accuracy), NULL, NULL, "7-2 TimeQuality",
		"bits of the fraction that count; 31: not said" },
	{ "stNum", FIELD_U32, GOOSE_HAS_ST_NUM, 0, AT(st_num), NULL, NULL, "8-1 A", "number of the state" },
	{ "sqNum", FIELD_U32, GOOSE_HAS_SQ_NUM, 0, AT(sq_num), NULL, NULL, "8-1 A", "number of the repetition" },
	{ "simulation", FIELD_BOOL, GOOSE_HAS_SIMULATION, 0, AT(simulation), NULL, NULL, "8-1 A",
		"values are simulated (edition 1: test)" },
	{ "confRev", FIELD_U32, GOOSE_HAS_CONF_REV, 0, AT(conf_rev), NULL, NULL, "8-1 A",
		"revision of the data set's configuration" },
	{ "ndsCom", FIELD_BOOL, GOOSE_HAS_NDS_COM, 0, AT(nds_com), NULL, NULL, "8-1 A", "needs commissioning" },
	{ "numDatSetEntries", FIELD_U32, GOOSE_HAS_ENTRIES, 0, AT(entries), NULL, NULL, "8-1 A", "entries announced" },
	{ "allData", FIELD_LIST, GOOSE_HAS_ALL_DATA, 0, AT(all_data), NULL, goose_value_tables, "8-1 A",
		"values of the data set, flattened" },
	{ "changed", FIELD_U16S, GOOSE_HAS_CHANGED, 0, AT(changed), NULL, NULL, "own",
		"entries that are not as in the state before" },
	{ "security.length", FIELD_U32, GOOSE_HAS_SECURITY, 0, AT(security_len), NULL, NULL, "IEC 62351-6",
		"bytes of the APDU's security element" },
	{ "extension.length", FIELD_U32, GOOSE_HAS_EXTENSION, 0, AT(extension_len), NULL, NULL, "IEC 62351-6",
		"bytes behind the APDU within the length: an authentication value" },
	{ "session.spdu_number", FIELD_U32, GOOSE_HAS_SESSION, 0, AT(spdu_number), NULL, NULL, "90-5",
		"routed: number of the session PDU" },
	{ "session.version", FIELD_U16, GOOSE_HAS_SESSION, 0, AT(spdu_version), NULL, NULL, "90-5",
		"routed: version of the session protocol" },
	{ "session.signature", FIELD_BOOL, GOOSE_HAS_SESSION, 0, AT(signature), NULL, NULL, "90-5",
		"routed: a signature follows the payload" },
	{ "previous.stNum", FIELD_U32, GOOSE_HAS_PREVIOUS, 0, AT(previous_st_num), NULL, NULL, "own",
		"of the message before" },
	{ "previous.sqNum", FIELD_U32, GOOSE_HAS_PREVIOUS, 0, AT(previous_sq_num), NULL, NULL, "own",
		"of the message before" },
	{ "previous.age_us", FIELD_U64, GOOSE_HAS_PREVIOUS, 0, AT(previous_age_us), NULL, NULL, "own",
		"microseconds since the message before" },
	{ "summary.messages", FIELD_U64, GOOSE_HAS_SUMMARY, 0, AT(messages), NULL, NULL, "own",
		"messages since the last summary" },
	{ "summary.states", FIELD_U64, GOOSE_HAS_SUMMARY, 0, AT(states), NULL, NULL, "own", "states that changed" },
	{ "summary.lost", FIELD_U64, GOOSE_HAS_SUMMARY, 0, AT(lost), NULL, NULL, "own", "messages missing, by sqNum" },
	{ "summary.anomalies", FIELD_U64, GOOSE_HAS_SUMMARY, 0, AT(anomalies), NULL, NULL, "own",
		"messages with an anomaly, told or not" },
	{ "summary.duration_ms", FIELD_U64, GOOSE_HAS_SUMMARY, 0, AT(duration_ms), NULL, NULL, "own",
		"time since the last summary" },
	{ "summary.gap_min_us", FIELD_U32, GOOSE_HAS_GAPS, 0, AT(gap_min_us), NULL, NULL, "own",
		"shortest time between two messages" },
	{ "summary.gap_max_us", FIELD_U32, GOOSE_HAS_GAPS, 0, AT(gap_max_us), NULL, NULL, "own", "longest one" },
	{ "management.state_id", FIELD_U32, GOOSE_HAS_MANAGEMENT, 0, AT(state_id), NULL, NULL, "8-1 A",
		"GSE management: pairs requests with responses" },
	{ "management.response", FIELD_BOOL, GOOSE_HAS_SERVICE, 0, AT(response), NULL, NULL, "8-1 A",
		"GSE management: a response" },
	{ "management.service", FIELD_U8, GOOSE_HAS_SERVICE, 0, AT(service), &services, NULL, "8-1 A",
		"GSE management: what is asked for" },
};

const struct record_table goose_table = {
	.name = "goose",
	.fields = goose_fields,
	.field_count = sizeof(goose_fields) / sizeof(goose_fields[0]),
	.size = sizeof(struct goose_record),
};

const struct rule_app_event goose_events[] = {
	[GOOSE_EVENT_INVALID_LENGTH] = { "invalid_length", "the header's length does not fit the frame" },
	[GOOSE_EVENT_INVALID_APDU] = { "invalid_apdu", "the encoding of the message does not hold together" },
	[GOOSE_EVENT_UNKNOWN_APDU] = { "unknown_apdu", "neither a GOOSE nor a GSE management message" },
	[GOOSE_EVENT_MISSING_FIELD] = { "missing_field", "a mandatory element is absent" },
	[GOOSE_EVENT_INVALID_VALUE] = { "invalid_value", "an element or a value of the data set is not what its type wants" },
	[GOOSE_EVENT_ENTRY_COUNT] = { "entry_count_mismatch", "allData has not numDatSetEntries entries" },
	[GOOSE_EVENT_ST_NUM_JUMP] = { "st_num_jump", "stNum grew by more than one: states were lost or forged" },
	[GOOSE_EVENT_ST_NUM_OLD] = { "st_num_old", "stNum is lower than before: replayed, or there are two publishers" },
	[GOOSE_EVENT_SQ_NUM_GAP] = { "sq_num_gap", "messages are missing before this one" },
	[GOOSE_EVENT_SQ_NUM_REPEATED] = { "sq_num_repeated", "the same stNum and sqNum again" },
	[GOOSE_EVENT_SQ_NUM_OLD] = { "sq_num_old", "sqNum is lower than before in the same state" },
	[GOOSE_EVENT_RESTARTED] = { "restarted", "the publisher begins with stNum 1 again" },
	[GOOSE_EVENT_TTL_EXPIRED] = { "ttl_expired", "it came later than timeAllowedtoLive of the message before" },
	[GOOSE_EVENT_DATA_WITHOUT_STATE] = { "data_without_state", "other data in the same state: stNum did not change" },
	[GOOSE_EVENT_TIME_BACKWARDS] = { "time_backwards", "a new state is older than the one before" },
	[GOOSE_EVENT_CONF_REV_CHANGED] = { "conf_rev_changed", "another confRev: the publisher was reconfigured" },
	[GOOSE_EVENT_DAT_SET_CHANGED] = { "dat_set_changed", "another data set in the same control block" },
	[GOOSE_EVENT_SIMULATED] = { "simulated", "simulated values begin (edition 1: test)" },
	[GOOSE_EVENT_SIMULATION_MISMATCH] = { "simulation_mismatch", "the header says simulated, the message does not" },
	[GOOSE_EVENT_NEEDS_COMMISSIONING] = { "needs_commissioning", "ndsCom begins: the control block is not configured" },
	[GOOSE_EVENT_CLOCK] = { "clock_not_synchronized", "the publisher's clock failed or lost its synchronisation" },
	[GOOSE_EVENT_UNICAST] = { "unicast_destination", "sent to one host instead of a group" },
	[GOOSE_EVENT_APPID_RANGE] = { "appid_range", "an APPID that is not reserved for GOOSE" },
	[GOOSE_EVENT_TOO_MANY_STREAMS] = { "too_many_publications", "more control blocks of one publisher than are followed" },
	[GOOSE_EVENT_SECURITY_LOST] = { "security_lost", "a publication that was signed is not any more" },
};

const struct counter_desc goose_counters[] = {
	[GOOSE_COUNT_MESSAGES] = { "goose.messages", "messages read" },
	[GOOSE_COUNT_STATES] = { "goose.state_changes", "messages that brought another state" },
	[GOOSE_COUNT_STREAMS] = { "goose.publications", "control blocks seen first" },
	[GOOSE_COUNT_LOST] = { "goose.lost", "messages missing, by sqNum" },
	[GOOSE_COUNT_SUPPRESSED] = { "goose.suppressed", "anomalies counted but not told: too many in one interval" },
	[GOOSE_COUNT_SHED] = { "goose.shed", "publications not followed: no memory" },
};
