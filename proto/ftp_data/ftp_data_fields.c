/* The tables of FTP's data connections. Names and keys are Suricata's where it has them. */
#include "proto/ftp_data/ftp_data.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member) offsetof(struct ftp_data_record, member)

static const struct field ftp_data_fields[] = {
	{ "filename", FIELD_STRING, FTP_DATA_HAS_FILENAME, 0, AT(filename), NULL, NULL, "RFC 959 4.1.3", "of the file, as the command names it" },
	{ "command", FIELD_STRING, FTP_DATA_HAS_COMMAND, 0, AT(command), NULL, NULL, "RFC 959 4.1.3", "what the client asked for: RETR, STOR, LIST" },
	{ "size", FIELD_U64, FIELD_ALWAYS, FIELD_LATE, AT(size), NULL, NULL, "own", "bytes transferred" },
	{ "gaps", FIELD_BOOL, FIELD_ALWAYS, FIELD_LATE, AT(gaps), NULL, NULL, "own", "some of them were lost" },
	{ "data", FIELD_STRING, FTP_DATA_HAS_DATA, FIELD_HIDDEN, AT(data), NULL, NULL, "RFC 959 3", "first bytes of them" },
};
const struct record_table ftp_data_table = {
	.name = "ftp_data", .fields = ftp_data_fields, .field_count = COUNT(ftp_data_fields), .size = sizeof(struct ftp_data_record)
};

const struct rule_app_buffer ftp_data_buffers[FTP_DATA_BUFFER_COUNT] = {
	{ "ftp-data.file_data", "data" },
	{ "ftp_data.filename", "filename" },
	{ "ftp_data.command", "command" },
};

enum { COMMAND_RETR, COMMAND_STOR };
static const char *const commands[] = { [COMMAND_RETR] = "RETR", [COMMAND_STOR] = "STOR" };

static int
setup_command(const char *value, struct rule_app_test *out, char *err, size_t err_len)
{
	for (unsigned int i = 0; i < COUNT(commands); i++)
		if (strcasecmp(value, commands[i]) == 0) {
			out->words[0] = i;
			return 0;
		}
	snprintf(err, err_len, "\"%.20s\" is neither retr nor stor", value);
	return -EINVAL;
}

static bool
test_command(const struct rule_app_test *test, const void *record)
{
	const struct ftp_data_record *data = record;
	const char *wanted = commands[test->words[0]];

	return record_is_present(record, FTP_DATA_HAS_COMMAND) && data->command.count == strlen(wanted) &&
		memcmp((const uint8_t *)record + data->command.off, wanted, data->command.count) == 0;
}

const struct rule_app_keyword ftp_data_keywords[FTP_DATA_KEYWORD_COUNT] = {
	{ "ftpdata_command", RULE_EITHER, setup_command, test_command, "retr or stor: how the file is transferred" },
};

const struct counter_desc ftp_data_counters[] = {
	[FTP_DATA_COUNT_TRANSFERS] = { "ftp_data.transfers", "data connections of which bytes were read" },
	[FTP_DATA_COUNT_CUT] = { "ftp_data.bodies_cut", "transfers of which only the front was kept for the rules" },
	[FTP_DATA_COUNT_SHED] = { "ftp_data.shed", "transfers of which no more was kept for the rules: no memory" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.ftp-data.body-limit", KNOB_SIZE, offsetof(struct ftp_data_config, body_limit), 0, FTP_DATA_BODY_LIMIT_MAX, "16kb", NULL, "first bytes of a transfer that rules see" },
};
const struct knob_table ftp_data_knobs = { .owner = "ftp-data", .knobs = knobs, .count = COUNT(knobs) };
