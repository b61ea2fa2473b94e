/* Jobs and their acknowledgements: setup, variables, blocks, PI services, stop. */
#include "proto/s7comm/s7comm.h"

enum { PI_UNKNOWN_LEN = 7, STOP_UNKNOWN_LEN = 5 };

typedef void (*job_read)(struct s7_message *message);

static void
read_rest(struct s7_message *message)
{
	s7_put_data(message, &message->parameters);
	s7_put_data(message, &message->data);
}

static void
read_setup(struct s7_message *message)
{
	struct s7_record *record = message->record;
	uint16_t calling, called, length;

	cursor_skip(&message->parameters, 1);
	calling = cursor_be16(&message->parameters);
	called = cursor_be16(&message->parameters);
	length = cursor_be16(&message->parameters);
	if (message->response) {
		record->response_amq_calling = calling;
		record->response_amq_called = called;
		record->response_pdu_length = length;
		s7_has(message, S7_HAS_RESPONSE_SETUP);
		return;
	}
	record->amq_calling = calling;
	record->amq_called = called;
	record->pdu_length = length;
	s7_has(message, S7_HAS_SETUP);
}

static void
read_var_request(struct s7_message *message)
{
	unsigned int count = cursor_u8(&message->parameters);

	s7_read_addresses(message, &message->parameters, count);
	if (message->half->function == S7_WRITE_VAR)
		s7_read_values(message, &message->data, count);
	if (message->record->items.count < count)
		proto_event(message->ctx, S7_EVENT_ITEM_COUNT_MISMATCH);
}

static void
read_var_answer(struct s7_message *message)
{
	unsigned int count = cursor_u8(&message->parameters);

	if (message->half->function == S7_WRITE_VAR)
		s7_read_return_codes(message, &message->data, count);
	else
		s7_read_values(message, &message->data, count);
}

static void
read_status(struct s7_message *message)
{
	message->record->function_status = cursor_u8(&message->parameters);
	if (!message->parameters.short_read)
		s7_has(message, S7_HAS_STATUS);
}

/* Answers that say nothing else have it where all was not well. */
static void
read_end(struct s7_message *message)
{
	if (cursor_left(&message->parameters) > 0)
		read_status(message);
}

static void
read_session(struct s7_message *message)
{
	uint32_t session_id = cursor_be32(&message->parameters);

	/* Which starts an upload is given its number. */
	if (message->parameters.short_read || (message->half->function == S7_START_UPLOAD && !message->response))
		return;
	message->record->session_id = session_id;
	s7_has(message, S7_HAS_SESSION);
}

/* A length in one octet, then as many bytes. */
static const uint8_t *
take_text(struct cursor *in, uint32_t *len)
{
	*len = cursor_u8(in);
	return cursor_take(in, *len);
}

static void
read_name(struct s7_message *message)
{
	uint32_t len;
	const uint8_t *name = take_text(&message->parameters, &len);

	if (name != NULL)
		s7_read_filename(message, name, len);
}

/* Requests of the upload and download services begin alike; those that end one say whether it was well. */
static void
read_transfer(struct s7_message *message)
{
	bool ends = message->half->function == S7_DOWNLOAD_ENDED || message->half->function == S7_END_UPLOAD;

	if (ends)
		read_status(message);
	else
		cursor_skip(&message->parameters, 1);
	message->record->transfer_error = cursor_be16(&message->parameters);
	if (!message->parameters.short_read && ends)
		s7_has(message, S7_HAS_TRANSFER_ERROR);
	read_session(message);
	if (cursor_left(&message->parameters) > 0)
		read_name(message);
}

/* Behind the name: '1', then what the block takes in load and work memory, six digits each. */
static void
read_request_download(struct s7_message *message)
{
	struct s7_record *record = message->record;
	uint32_t len;
	const uint8_t *text;
	struct cursor lengths;

	read_transfer(message);
	if (cursor_left(&message->parameters) == 0)
		return;
	text = take_text(&message->parameters, &len);
	if (text == NULL)
		return;
	lengths = cursor_of(text, len);
	cursor_skip(&lengths, 1);
	if (s7_digits(&lengths, 6, &record->load_length) && s7_digits(&lengths, 6, &record->code_length))
		s7_has(message, S7_HAS_LENGTHS);
}

static void
read_start_upload_answer(struct s7_message *message)
{
	uint32_t len;
	const uint8_t *text;
	struct cursor digits;

	read_status(message);
	cursor_skip(&message->parameters, 2);
	read_session(message);
	text = take_text(&message->parameters, &len);
	if (text == NULL)
		return;
	digits = cursor_of(text, len);
	if (len <= 9 && s7_digits(&digits, len, &message->record->block_length))
		s7_has(message, S7_HAS_BLOCK_LENGTH);
}

/* A piece of a block: its length, two octets, the bytes. */
static void
read_piece(struct s7_message *message)
{
	struct cursor *in = &message->data;
	struct cursor piece;

	read_status(message);
	if (cursor_left(in) == 0)
		return;
	message->record->block_length = cursor_be16(in);
	s7_has(message, S7_HAS_BLOCK_LENGTH);
	cursor_skip(in, 2);
	piece = cursor_sub(in, message->record->block_length);
	s7_put_data(message, &piece);
	if (in->short_read)
		proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
}

/* The services that blocks are activated, deleted, compressed and copied with, and the CPU started. */
static const char *const pi_services[] = { "P_PROGRAM", "_INSE", "_INS2", "_DELE", "_MODU", "_GARB", "_N_LOGIN_",
	"_N_LOGOUT", "_N_CANCEL", "_N_DASAVE", "_N_DIGIOF", "_N_DIGION", "_N_SETUFR", "_N_F_OPER", "_N_FINDBL", "_N_IBN_SS",
	"_N_MMCSEM", "_N_NCKMOD", "_N_NEWPWD", "_N_SEL_BL", "_N_SETTST", "_N_TMAWCO", "_N_TRESMO", "_N_EXTERN", "_N_EXTMOD",
	"_N_F_COPY", "_N_F_DELE", "_N_F_LOAD", "_N_F_RENA", "_N_F_SEEK", "_N_SELECT", "_N_CHKABS", "_N_CHEKDM", "_N_CRTOCE" };

static void
set_service(struct s7_message *message, const uint8_t *name, uint32_t len)
{
	struct s7_record *record = message->record;

	record_put_bytes(message->ctx->record, &record->pi_service, name, len);
	s7_has(message, S7_HAS_PI);
	for (unsigned int i = 0; i < sizeof(pi_services) / sizeof(pi_services[0]); i++)
		if (strlen(pi_services[i]) == len && memcmp(pi_services[i], name, len) == 0) {
			record->subfunction_key = (uint16_t)(S7_PI_KEY + i);
			s7_has(message, S7_HAS_SUBFUNCTION);
			return;
		}
}

static void
read_pi_service(struct s7_message *message)
{
	struct cursor *in = &message->parameters;
	struct cursor argument;
	uint32_t argument_len, len;
	const uint8_t *name;
	uint16_t key;

	cursor_skip(in, PI_UNKNOWN_LEN);
	argument_len = cursor_be16(in);
	argument = cursor_sub(in, argument_len);
	name = take_text(in, &len);
	if (name == NULL)
		return;
	set_service(message, name, len);
	key = message->record->subfunction_key;
	if (key >= S7_PI_KEY + 1 && key <= S7_PI_KEY + 3)
		s7_read_pi_blocks(message, &argument);
	else if (argument_len > 0) {
		record_put_bytes(message->ctx->record, &message->record->pi_argument, cursor_take(&argument, argument_len),
			argument_len);
		s7_has(message, S7_HAS_PI_ARGUMENT);
	}
}

static void
read_stop(struct s7_message *message)
{
	uint32_t len;
	const uint8_t *name;

	cursor_skip(&message->parameters, STOP_UNKNOWN_LEN);
	name = take_text(&message->parameters, &len);
	if (name != NULL)
		set_service(message, name, len);
}

static const struct {
	uint8_t function;
	job_read request;
	job_read answer;
} jobs[] = {
	{ S7_READ_VAR, read_var_request, read_var_answer },
	{ S7_WRITE_VAR, read_var_request, read_var_answer },
	{ S7_SETUP, read_setup, read_setup },
	{ S7_REQUEST_DOWNLOAD, read_request_download, read_end },
	{ S7_DOWNLOAD_BLOCK, read_transfer, read_piece },
	{ S7_DOWNLOAD_ENDED, read_transfer, read_end },
	{ S7_START_UPLOAD, read_transfer, read_start_upload_answer },
	{ S7_UPLOAD, read_transfer, read_piece },
	{ S7_END_UPLOAD, read_transfer, read_end },
	{ S7_PI_SERVICE, read_pi_service, read_end },
	{ S7_PLC_STOP, read_stop, read_end },
	{ S7_CPU_SERVICES, read_rest, read_rest },
};

void
s7_read_job(struct s7_message *message)
{
	if (cursor_left(&message->parameters) == 0)
		return;
	message->half->function = cursor_u8(&message->parameters);
	message->half->function_key = (uint16_t)(S7_JOB << 8 | message->half->function);
	s7_has(message, message->response && message->answers ? S7_HAS_RESPONSE_FUNCTION : S7_HAS_FUNCTION);
	for (unsigned int i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (jobs[i].function != message->half->function)
			continue;
		(message->response ? jobs[i].answer : jobs[i].request)(message);
		if (message->parameters.short_read)
			proto_event(message->ctx, S7_EVENT_INVALID_LENGTH);
		return;
	}
	proto_event(message->ctx, S7_EVENT_UNKNOWN_FUNCTION);
	read_rest(message);
}
