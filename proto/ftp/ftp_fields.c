/*
 * The tables of FTP: fields (EVE keys, rule keywords and reference in one), named events, counters, configuration keys.
 * Names and keys are Suricata's where it has them.
 */
#include "proto/ftp/ftp.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(label, array, type) \
	{ .name = (label), .fields = (array), .field_count = COUNT(array), .size = sizeof(struct type) }
#define AT(member) offsetof(struct ftp_record, member)

static const struct field_name modes_rows[] = { { FTP_ACTIVE, "active" }, { FTP_PASSIVE, "passive" } };
static const struct field_names modes = FIELD_NAMES(modes_rows, NULL);

static const struct field_name yes_rows[] = { { 0, "no" }, { 1, "yes" } };
static const struct field_names yes = FIELD_NAMES(yes_rows, NULL);

static const struct field text_fields[] = {
	{ "text", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct ftp_text, text), NULL, NULL, "RFC 959 4.2", "a line, or its code" },
};
static const struct record_table text_table = TABLE("text", text_fields, ftp_text);
const struct record_table *const ftp_text_tables[] = { &text_table, NULL };

static const struct field ftp_fields[] = {
	{ "command", FIELD_STRING, FTP_HAS_COMMAND, 0, AT(command), NULL, NULL, "RFC 959 4.1", "in capitals" },
	{ "command_data", FIELD_STRING, FTP_HAS_COMMAND_DATA, 0, AT(command_data), NULL, NULL, "RFC 959 4.1", "what follows it" },
	{ "command_truncated", FIELD_BOOL, FTP_HAS_COMMAND, 0, AT(command_truncated), NULL, NULL, "own", "the line is longer than what was read" },
	{ "reply", FIELD_LIST, FTP_HAS_REPLY, FIELD_BARE, AT(replies), NULL, ftp_text_tables, "RFC 959 4.2", "lines of the replies, without their codes" },
	{ "completion_code", FIELD_LIST, FTP_HAS_CODE, FIELD_BARE, AT(codes), NULL, ftp_text_tables, "RFC 959 4.2", "codes of the replies" },
	{ "reply_truncated", FIELD_BOOL, FIELD_ALWAYS, 0, AT(reply_truncated), NULL, NULL, "own", "a line is longer than what was read" },
	{ "reply_received", FIELD_U8, FIELD_ALWAYS, 0, AT(replied), &yes, NULL, "own", "yes or no" },
	{ "dynamic_port", FIELD_U16, FTP_HAS_PORT, 0, AT(dynamic_port), NULL, NULL, "RFC 959 4.1.2", "port of the data connection" },
	{ "mode", FIELD_U8, FTP_HAS_PORT, 0, AT(mode), &modes, NULL, "RFC 959 4.1.2", "active: the client listens" },
	{ "secret", FIELD_STRING, FTP_HAS_COMMAND_DATA, FIELD_HIDDEN, AT(command_secret), NULL, NULL, "RFC 959 4.1", "command_data, of PASS too" },
	{ "response_time_us", FIELD_U32, FTP_HAS_RESPONSE_TIME, FIELD_LATE, AT(response_time_us), NULL, NULL, "own", "from the command to its last reply" },
};
const struct record_table ftp_table = TABLE("ftp", ftp_fields, ftp_record);

/* Suricata's names of buffers that are other paths here. */
const struct rule_app_buffer ftp_buffers[] = {
	{ "ftp.command_data", "secret" },
	{ "ftp.reply", "reply.text" },
	{ "ftp.completion_code", "completion_code.text" },
};
static_assert(COUNT(ftp_buffers) == FTP_BUFFER_COUNT, "each buffer is counted");

static int
setup_bounce(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	(void)out;
	if (*value == '\0')
		return 0;
	snprintf(err, err_len, "ftpbounce has no value");
	return -EINVAL;
}

static bool
test_bounce(const struct rule_app_test *test, const void *record)
{
	(void)test;
	return ((const struct ftp_record *)record)->bounce;
}

const struct rule_app_keyword ftp_keywords[] = {
	{ "ftpbounce", RULE_TO_SERVER, setup_bounce, test_bounce, "PORT or EPRT with an address that is not the client's" },
};
static_assert(COUNT(ftp_keywords) == FTP_KEYWORD_COUNT, "each keyword is counted");

const struct rule_app_event ftp_events[] = {
	[FTP_EVENT_REQUEST_COMMAND_TOO_LONG] = { "request_command_too_long", "a command line of more than 4096 bytes" },
	[FTP_EVENT_RESPONSE_COMMAND_TOO_LONG] = { "response_command_too_long", "a reply line of more than 4096 bytes" },
	[FTP_EVENT_MALFORMED_COMMAND] = { "malformed_command", "a line of the client that begins with no word" },
	[FTP_EVENT_MALFORMED_REPLY] = { "malformed_reply", "a line of the server that begins with no code and belongs to no reply" },
	[FTP_EVENT_MALFORMED_ADDRESS] = { "malformed_address", "PORT, EPRT or the answer to PASV or EPSV without a usable address" },
	[FTP_EVENT_BOUNCE] = { "bounce", "PORT or EPRT with an address that is not the client's" },
	[FTP_EVENT_FLOODED] = { "flooded", "more than 64 commands wait for their reply; said once" },
	[FTP_EVENT_TOO_MANY_REPLIES] = { "too_many_replies", "more than 128 lines answer a command; the rest is not kept" },
	[FTP_EVENT_FILE_BEFORE_PORT] = { "file_before_port", "RETR, STOR, STOU or APPE in a session in which no data connection was announced" },
};

const struct counter_desc ftp_counters[] = {
	[FTP_COUNT_COMMANDS] = { "ftp.commands", "commands read" },
	[FTP_COUNT_REPLIES] = { "ftp.replies", "reply lines read" },
	[FTP_COUNT_UNANSWERED] = { "ftp.unanswered", "commands given up without their last reply" },
	[FTP_COUNT_ENCRYPTED] = { "ftp.encrypted", "flows that went on under TLS" },
	[FTP_COUNT_LINES_CUT] = { "ftp.lines_cut", "lines of which only the first 4096 bytes were read" },
	[FTP_COUNT_EXPECTED_EVICTED] = { "ftp.expected_evicted", "announced data connections forgotten for others before they came" },
	[FTP_COUNT_SHED] = { "ftp.shed", "commands written without waiting for their replies: no memory" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.ftp.passwords", KNOB_BOOL, offsetof(struct ftp_config, passwords), 0, 0, "yes", NULL, "events carry passwords" },
};
const struct knob_table ftp_knobs = { .owner = "ftp", .knobs = knobs, .count = COUNT(knobs) };
