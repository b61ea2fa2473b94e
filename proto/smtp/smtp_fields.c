/*
 * The tables of SMTP: fields (EVE keys, rule keywords and reference in one), named events, counters, configuration keys.
 * Names and keys are Suricata's where it has them.
 */
#include "proto/smtp/smtp.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(label, array, type) \
	{ .name = (label), .fields = (array), .field_count = COUNT(array), .size = sizeof(struct type) }
#define AT(member) offsetof(struct smtp_record, member)
#define HEADER(header) SMTP_HAS_HEADER + (header), FIELD_BESIDE, AT(headers) + (header) * sizeof(struct record_ref)

static const struct field_name status_rows[] = { { SMTP_NO_MESSAGE, "PARSE_NONE" }, { SMTP_HEADERS_BEGUN, "HEADER_STARTED" },
	{ SMTP_BODY_BEGUN, "BODY_STARTED" }, { SMTP_DONE, "PARSE_DONE" }, { SMTP_GAPPED, "PARSE_ERROR" } };
static const struct field_names statuses = FIELD_NAMES(status_rows, NULL);

static const struct field text_fields[] = {
	{ "text", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct smtp_text, text), NULL, NULL, "RFC 5321 3.3", "one of them" },
};
static const struct record_table text_table = TABLE("text", text_fields, smtp_text);
const struct record_table *const smtp_text_tables[] = { &text_table, NULL };

static const struct field file_fields[] = {
	{ "name", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct smtp_file, name), NULL, NULL, "RFC 2183 2.3", "of a file" },
	{ "data", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct smtp_file, data), NULL, NULL, "RFC 2045 6", "first bytes, decoded" },
};
static const struct record_table file_table = TABLE("file", file_fields, smtp_file);
const struct record_table *const smtp_file_tables[] = { &file_table, NULL };

static const struct field smtp_fields[] = {
	{ "helo", FIELD_STRING, SMTP_HAS_HELO, 0, AT(helo), NULL, NULL, "RFC 5321 4.1.1.1", "name that the client gives itself" },
	{ "mail_from", FIELD_STRING, SMTP_HAS_MAIL_FROM, 0, AT(mail_from), NULL, NULL, "RFC 5321 4.1.1.2", "sender's path, as it is" },
	{ "rcpt_to", FIELD_LIST, SMTP_HAS_RCPT_TO, FIELD_BARE, AT(rcpt_to), NULL, smtp_text_tables, "RFC 5321 4.1.1.3", "recipients' paths" },
	{ "auth", FIELD_STRING, SMTP_HAS_AUTH, 0, AT(auth), NULL, NULL, "RFC 4954 4", "mechanism by which the client logged in" },
	{ "starttls", FIELD_BOOL, SMTP_HAS_STARTTLS, 0, AT(starttls), NULL, NULL, "RFC 3207", "TLS follows" },
	{ "message_size", FIELD_U64, SMTP_HAS_SIZE, 0, AT(size), NULL, NULL, "RFC 5321 4.1.1.4", "bytes of the message" },
	{ "reply_code", FIELD_U16, SMTP_HAS_REPLY_CODE, FIELD_LATE, AT(reply_code), NULL, NULL, "RFC 5321 4.2", "the server's answer to the message" },
	{ "response_time_us", FIELD_U32, SMTP_HAS_RESPONSE_TIME, FIELD_LATE, AT(response_time_us), NULL, NULL, "own", "from the message's end to that answer" },
	{ "email.status", FIELD_U8, SMTP_HAS_EMAIL, FIELD_BESIDE, AT(status), &statuses, NULL, "own", "how much of the message was read" },
	{ "email.from", FIELD_STRING, HEADER(SMTP_FROM), NULL, NULL, "RFC 5322 3.6.2", "From, as it is" },
	{ "email.to", FIELD_LIST, SMTP_HAS_HEADER + SMTP_TO, FIELD_BARE | FIELD_BESIDE, AT(to), NULL, smtp_text_tables, "RFC 5322 3.6.3", "addresses of To" },
	{ "email.cc", FIELD_LIST, SMTP_HAS_HEADER + SMTP_CC, FIELD_BARE | FIELD_BESIDE, AT(cc), NULL, smtp_text_tables, "RFC 5322 3.6.3", "addresses of Cc" },
	{ "email.subject", FIELD_STRING, HEADER(SMTP_SUBJECT), NULL, NULL, "RFC 5322 3.6.5", "Subject, as it is" },
	{ "email.date", FIELD_STRING, HEADER(SMTP_DATE), NULL, NULL, "RFC 5322 3.6.1", "Date" },
	{ "email.message_id", FIELD_STRING, HEADER(SMTP_MESSAGE_ID), NULL, NULL, "RFC 5322 3.6.4", "Message-ID" },
	{ "email.x_mailer", FIELD_STRING, HEADER(SMTP_X_MAILER), NULL, NULL, "own", "X-Mailer: program that wrote the message" },
	{ "email.received", FIELD_LIST, SMTP_HAS_RECEIVED, FIELD_BARE | FIELD_BESIDE, AT(received), NULL, smtp_text_tables, "RFC 5322 3.6.7", "Received, the last hop first" },
	{ "email.attachment", FIELD_LIST, SMTP_HAS_ATTACHMENT, FIELD_BARE | FIELD_BESIDE, AT(attachments), NULL, smtp_text_tables, "RFC 2183 2.3", "names of the files in it" },
	{ "email.url", FIELD_LIST, SMTP_HAS_LINKS, FIELD_BARE | FIELD_BESIDE, AT(links), NULL, smtp_text_tables, "RFC 3986 3", "links in its text by http, https and ftp, without the scheme; at most 32" },
	{ "email.body_md5", FIELD_STRING, SMTP_HAS_BODY_MD5, FIELD_BESIDE, AT(body_md5), NULL, NULL, "RFC 1321", "MD5 of all that is behind the header, by default where rules read mails (`mime.body-md5`)" },
	{ "email.subject_md5", FIELD_STRING, SMTP_HAS_SUBJECT_MD5, FIELD_BESIDE, AT(subject_md5), NULL, NULL, "RFC 1321", "MD5 of Subject, with `mime.subject-md5`" },
	{ "to_raw", FIELD_STRING, SMTP_HAS_HEADER + SMTP_TO, FIELD_HIDDEN, AT(headers) + SMTP_TO * sizeof(struct record_ref), NULL, NULL, "RFC 5322 3.6.3", "To, as it is" },
	{ "cc_raw", FIELD_STRING, SMTP_HAS_HEADER + SMTP_CC, FIELD_HIDDEN, AT(headers) + SMTP_CC * sizeof(struct record_ref), NULL, NULL, "RFC 5322 3.6.3", "Cc, as it is" },
	{ "files", FIELD_LIST, SMTP_HAS_FILES, FIELD_HIDDEN, AT(files), NULL, smtp_file_tables, "RFC 2046", "parts of the message, decoded" },
	{ "command", FIELD_STRING, SMTP_HAS_COMMAND, FIELD_HIDDEN, AT(command), NULL, NULL, "RFC 5321 4.1", "of the line at hand, in capitals" },
	{ "argument", FIELD_STRING, SMTP_HAS_ARGUMENT, FIELD_HIDDEN, AT(argument), NULL, NULL, "RFC 5321 4.1", "what follows it; of AUTH the mechanism" },
	{ "code", FIELD_U16, SMTP_HAS_CODE, FIELD_HIDDEN, AT(code), NULL, NULL, "RFC 5321 4.2", "of the reply line at hand" },
	{ "reply", FIELD_STRING, SMTP_HAS_REPLY, FIELD_HIDDEN, AT(reply), NULL, NULL, "RFC 5321 4.2", "its text" },
};
const struct record_table smtp_table = TABLE("smtp", smtp_fields, smtp_record);

/* Suricata's names of buffers that are other paths here. */
const struct rule_app_buffer smtp_buffers[] = {
	{ "smtp.helo", "helo" },
	{ "smtp.mail_from", "mail_from" },
	{ "smtp.rcpt_to", "rcpt_to.text" },
	{ "email.from", "email.from" },
	{ "email.to", "to_raw" },
	{ "email.cc", "cc_raw" },
	{ "email.subject", "email.subject" },
	{ "email.date", "email.date" },
	{ "email.message_id", "email.message_id" },
	{ "email.x_mailer", "email.x_mailer" },
	{ "email.received", "email.received.text" },
	{ "email.attachment", "email.attachment.text" },
	{ "email.url", "email.url.text" },
	{ "smtp.file_data", "files.data" },
	{ "smtp.file_name", "files.name" },
	{ "smtp.reply", "reply" },
};
static_assert(COUNT(smtp_buffers) == SMTP_BUFFER_COUNT, "each buffer is counted");

const struct rule_app_event smtp_events[] = {
	[SMTP_EVENT_INVALID_REPLY] = { "INVALID_REPLY", "a line of the server that begins with no code, or with another than the reply it goes on with" },
	[SMTP_EVENT_UNABLE_TO_MATCH_REPLY_WITH_REQUEST] = { "UNABLE_TO_MATCH_REPLY_WITH_REQUEST", "a reply that no command waits for" },
	[SMTP_EVENT_MAX_COMMAND_LINE_LEN_EXCEEDED] = { "MAX_COMMAND_LINE_LEN_EXCEEDED", "a command line of more than 4096 bytes" },
	[SMTP_EVENT_MAX_REPLY_LINE_LEN_EXCEEDED] = { "MAX_REPLY_LINE_LEN_EXCEEDED", "a reply line of more than 4096 bytes" },
	[SMTP_EVENT_INVALID_PIPELINED_SEQUENCE] = { "INVALID_PIPELINED_SEQUENCE", "a command behind STARTTLS, or the message behind DATA, before the answer" },
	[SMTP_EVENT_NO_SERVER_WELCOME_MESSAGE] = { "NO_SERVER_WELCOME_MESSAGE", "a server that begins with another reply than 220 or 554" },
	[SMTP_EVENT_TLS_REJECTED] = { "TLS_REJECTED", "STARTTLS was refused" },
	[SMTP_EVENT_DATA_COMMAND_REJECTED] = { "DATA_COMMAND_REJECTED", "DATA was refused" },
	[SMTP_EVENT_INVALID_BDAT] = { "INVALID_BDAT", "BDAT without a length that can be read" },
	[SMTP_EVENT_DUPLICATE_FIELDS] = { "DUPLICATE_FIELDS", "a second EHLO, or MAIL, where one is in force" },
	[SMTP_EVENT_MIME_MALFORMED_MSG] = { "MIME_MALFORMED_MSG", "a header line without a colon; From or Subject twice" },
	[SMTP_EVENT_MIME_INVALID_BASE64] = { "MIME_INVALID_BASE64", "characters that base64 does not have" },
	[SMTP_EVENT_MIME_INVALID_QP] = { "MIME_INVALID_QP", "quoted-printable: = without two hex digits" },
	[SMTP_EVENT_MIME_LONG_LINE] = { "MIME_LONG_LINE", "a message's line of more than 998 bytes; said once" },
	[SMTP_EVENT_MIME_LONG_ENC_LINE] = { "MIME_LONG_ENC_LINE", "an encoded line of more than 76 bytes; said once" },
	[SMTP_EVENT_MIME_LONG_HEADER_NAME] = { "MIME_LONG_HEADER_NAME", "a header field's name of more than 256 bytes" },
	[SMTP_EVENT_MIME_LONG_HEADER_VALUE] = { "MIME_LONG_HEADER_VALUE", "a header field of more than 2048 bytes, of which the rest is not read" },
	[SMTP_EVENT_MIME_LONG_BOUNDARY] = { "MIME_LONG_BOUNDARY", "a boundary of more than 70 bytes, which is not followed" },
	[SMTP_EVENT_MIME_LONG_FILENAME] = { "mime_long_filename", "a file's name of more than 255 bytes" },
	[SMTP_EVENT_MIME_TOO_DEEP] = { "mime_too_deep", "more than 8 multiparts in one another" },
	[SMTP_EVENT_INVALID_COMMAND] = { "invalid_command", "a line of the client that begins with no word; MAIL or RCPT without a path" },
	[SMTP_EVENT_AMBIGUOUS_DATA_END] = { "ambiguous_data_end", "a message ended by a dot between other line ends than CR LF" },
	[SMTP_EVENT_TOO_MANY_COMMANDS] = { "too_many_commands", "more than 128 commands wait for their replies; said once" },
	[SMTP_EVENT_TOO_MANY_RECIPIENTS] = { "too_many_recipients", "more than 64 recipients of a mail; the rest is not kept" },
};

const struct counter_desc smtp_counters[] = {
	[SMTP_COUNT_COMMANDS] = { "smtp.commands", "commands read" },
	[SMTP_COUNT_REPLIES] = { "smtp.replies", "reply lines read" },
	[SMTP_COUNT_MESSAGES] = { "smtp.messages", "messages whose end was seen" },
	[SMTP_COUNT_UNANSWERED] = { "smtp.unanswered", "messages written without the server's answer" },
	[SMTP_COUNT_ENCRYPTED] = { "smtp.encrypted", "flows that went on under TLS" },
	[SMTP_COUNT_LINES_CUT] = { "smtp.lines_cut", "lines of which only the first 4096 bytes were read" },
	[SMTP_COUNT_RECIPIENTS_CUT] = { "smtp.recipients_cut", "recipients not kept: more than 64 of a mail" },
	[SMTP_COUNT_PARTS_CUT] = { "smtp.parts_cut", "parts of a message not kept: more than 32" },
	[SMTP_COUNT_BODIES_CUT] = { "smtp.bodies_cut", "parts of which only the front was kept for the rules" },
	[SMTP_COUNT_SHED] = { "smtp.shed", "mails, or parts of them, not kept: no memory" },
};

static const char *const body_md5s[] = { "auto", "yes", "no", NULL }; /* enum smtp_body_md5 */

static const struct knob knobs[] = {
	{ "app-layer.protocols.smtp.mime.body-limit", KNOB_SIZE, offsetof(struct smtp_config, body_limit), 256, SMTP_BODY_LIMIT_MAX, "16kb", NULL, "bytes of each part of a message that rules see, decoded" },
	{ "app-layer.protocols.smtp.mime.body-md5", KNOB_CHOICE, offsetof(struct smtp_config, body_md5), 0, 0, "auto", body_md5s, "sum of each mail's body (`email.body_md5`); `auto`: where rules read mails" },
	{ "app-layer.protocols.smtp.mime.subject-md5", KNOB_BOOL, offsetof(struct smtp_config, subject_md5), 0, 0, "no", NULL, "sum of each mail's subject (`email.subject_md5`)" },
};
const struct knob_table smtp_knobs = { .owner = "smtp", .knobs = knobs, .count = COUNT(knobs) };
