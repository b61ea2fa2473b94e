/*
 * The tables of SMB: names of codes, fields (EVE keys, rule keywords and reference in one), named events, counters. Names
 * and keys are Suricata's where it has them.
 */
#include "proto/smb/smb.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(label, array, type) \
	{ .name = (label), .fields = (array), .field_count = COUNT(array), .size = sizeof(struct type) }
#define AT(member) offsetof(struct smb_record, member)

static const struct field_name commands_rows[] = {
	{ 0x00, "SMB1_COMMAND_CREATE_DIRECTORY" },
	{ 0x01, "SMB1_COMMAND_DELETE_DIRECTORY" },
	{ 0x02, "SMB1_COMMAND_OPEN" },
	{ 0x03, "SMB1_COMMAND_CREATE" },
	{ 0x04, "SMB1_COMMAND_CLOSE" },
	{ 0x05, "SMB1_COMMAND_FLUSH" },
	{ 0x06, "SMB1_COMMAND_DELETE" },
	{ 0x07, "SMB1_COMMAND_RENAME" },
	{ 0x08, "SMB1_COMMAND_QUERY_INFORMATION" },
	{ 0x09, "SMB1_COMMAND_SET_INFORMATION" },
	{ 0x0a, "SMB1_COMMAND_READ" },
	{ 0x0b, "SMB1_COMMAND_WRITE" },
	{ 0x0c, "SMB1_COMMAND_LOCK_BYTE_RANGE" },
	{ 0x0d, "SMB1_COMMAND_UNLOCK_BYTE_RANGE" },
	{ 0x0e, "SMB1_COMMAND_CREATE_TEMPORARY" },
	{ 0x0f, "SMB1_COMMAND_CREATE_NEW" },
	{ 0x10, "SMB1_COMMAND_CHECK_DIRECTORY" },
	{ 0x11, "SMB1_COMMAND_PROCESS_EXIT" },
	{ 0x12, "SMB1_COMMAND_SEEK" },
	{ 0x24, "SMB1_COMMAND_LOCKING_ANDX" },
	{ 0x25, "SMB1_COMMAND_TRANS" },
	{ 0x26, "SMB1_COMMAND_TRANS_SECONDARY" },
	{ 0x2b, "SMB1_COMMAND_ECHO" },
	{ 0x2c, "SMB1_COMMAND_WRITE_AND_CLOSE" },
	{ 0x2d, "SMB1_COMMAND_OPEN_ANDX" },
	{ 0x2e, "SMB1_COMMAND_READ_ANDX" },
	{ 0x2f, "SMB1_COMMAND_WRITE_ANDX" },
	{ 0x32, "SMB1_COMMAND_TRANS2" },
	{ 0x33, "SMB1_COMMAND_TRANS2_SECONDARY" },
	{ 0x34, "SMB1_COMMAND_FIND_CLOSE2" },
	{ 0x70, "SMB1_COMMAND_TREE_CONNECT" },
	{ 0x71, "SMB1_COMMAND_TREE_DISCONNECT" },
	{ 0x72, "SMB1_COMMAND_NEGOTIATE_PROTOCOL" },
	{ 0x73, "SMB1_COMMAND_SESSION_SETUP_ANDX" },
	{ 0x74, "SMB1_COMMAND_LOGOFF_ANDX" },
	{ 0x75, "SMB1_COMMAND_TREE_CONNECT_ANDX" },
	{ 0x80, "SMB1_COMMAND_QUERY_INFO_DISK" },
	{ 0x81, "SMB1_COMMAND_SEARCH" },
	{ 0xa0, "SMB1_COMMAND_NT_TRANS" },
	{ 0xa1, "SMB1_COMMAND_NT_TRANS_SECONDARY" },
	{ 0xa2, "SMB1_COMMAND_NT_CREATE_ANDX" },
	{ 0xa4, "SMB1_COMMAND_NT_CANCEL" },
	{ SMB2_BASE + 0, "SMB2_COMMAND_NEGOTIATE_PROTOCOL" },
	{ SMB2_BASE + 1, "SMB2_COMMAND_SESSION_SETUP" },
	{ SMB2_BASE + 2, "SMB2_COMMAND_SESSION_LOGOFF" },
	{ SMB2_BASE + 3, "SMB2_COMMAND_TREE_CONNECT" },
	{ SMB2_BASE + 4, "SMB2_COMMAND_TREE_DISCONNECT" },
	{ SMB2_BASE + 5, "SMB2_COMMAND_CREATE" },
	{ SMB2_BASE + 6, "SMB2_COMMAND_CLOSE" },
	{ SMB2_BASE + 7, "SMB2_COMMAND_FLUSH" },
	{ SMB2_BASE + 8, "SMB2_COMMAND_READ" },
	{ SMB2_BASE + 9, "SMB2_COMMAND_WRITE" },
	{ SMB2_BASE + 10, "SMB2_COMMAND_LOCK" },
	{ SMB2_BASE + 11, "SMB2_COMMAND_IOCTL" },
	{ SMB2_BASE + 12, "SMB2_COMMAND_CANCEL" },
	{ SMB2_BASE + 13, "SMB2_COMMAND_KEEPALIVE" },
	{ SMB2_BASE + 14, "SMB2_COMMAND_FIND" },
	{ SMB2_BASE + 15, "SMB2_COMMAND_CHANGE_NOTIFY" },
	{ SMB2_BASE + 16, "SMB2_COMMAND_GET_INFO" },
	{ SMB2_BASE + 17, "SMB2_COMMAND_SET_INFO" },
	{ SMB2_BASE + 18, "SMB2_COMMAND_OPLOCK_BREAK" },
};
const struct field_names smb_commands = FIELD_NAMES(commands_rows, "UNKNOWN-");

static const struct field_name status_rows[] = {
	{ 0x0, "STATUS_SUCCESS" },
	{ 0x103, "STATUS_PENDING" },
	{ 0x10b, "STATUS_NOTIFY_CLEANUP" },
	{ 0x10c, "STATUS_NOTIFY_ENUM_DIR" },
	{ 0x80000005, "STATUS_BUFFER_OVERFLOW" },
	{ 0x80000006, "STATUS_NO_MORE_FILES" },
	{ 0xc0000001, "STATUS_UNSUCCESSFUL" },
	{ 0xc0000002, "STATUS_NOT_IMPLEMENTED" },
	{ 0xc0000003, "STATUS_INVALID_INFO_CLASS" },
	{ 0xc0000005, "STATUS_ACCESS_VIOLATION" },
	{ 0xc0000008, "STATUS_INVALID_HANDLE" },
	{ 0xc000000d, "STATUS_INVALID_PARAMETER" },
	{ 0xc000000f, "STATUS_NO_SUCH_FILE" },
	{ 0xc0000010, "STATUS_INVALID_DEVICE_REQUEST" },
	{ 0xc0000011, "STATUS_END_OF_FILE" },
	{ 0xc0000016, "STATUS_MORE_PROCESSING_REQUIRED" },
	{ 0xc0000022, "STATUS_ACCESS_DENIED" },
	{ 0xc0000023, "STATUS_BUFFER_TOO_SMALL" },
	{ 0xc0000033, "STATUS_OBJECT_NAME_INVALID" },
	{ 0xc0000034, "STATUS_OBJECT_NAME_NOT_FOUND" },
	{ 0xc0000035, "STATUS_OBJECT_NAME_COLLISION" },
	{ 0xc000003a, "STATUS_OBJECT_PATH_NOT_FOUND" },
	{ 0xc0000043, "STATUS_SHARING_VIOLATION" },
	{ 0xc0000054, "STATUS_FILE_LOCK_CONFLICT" },
	{ 0xc0000056, "STATUS_DELETE_PENDING" },
	{ 0xc000005e, "STATUS_NO_LOGON_SERVERS" },
	{ 0xc0000064, "STATUS_NO_SUCH_USER" },
	{ 0xc000006a, "STATUS_WRONG_PASSWORD" },
	{ 0xc000006d, "STATUS_LOGON_FAILURE" },
	{ 0xc000006e, "STATUS_ACCOUNT_RESTRICTION" },
	{ 0xc000006f, "STATUS_INVALID_LOGON_HOURS" },
	{ 0xc0000070, "STATUS_INVALID_WORKSTATION" },
	{ 0xc0000071, "STATUS_PASSWORD_EXPIRED" },
	{ 0xc0000072, "STATUS_ACCOUNT_DISABLED" },
	{ 0xc000007f, "STATUS_DISK_FULL" },
	{ 0xc000009a, "STATUS_INSUFFICIENT_RESOURCES" },
	{ 0xc00000ac, "STATUS_PIPE_NOT_AVAILABLE" },
	{ 0xc00000ad, "STATUS_PIPE_BUSY" },
	{ 0xc00000b0, "STATUS_PIPE_DISCONNECTED" },
	{ 0xc00000b5, "STATUS_IO_TIMEOUT" },
	{ 0xc00000ba, "STATUS_FILE_IS_A_DIRECTORY" },
	{ 0xc00000bb, "STATUS_NOT_SUPPORTED" },
	{ 0xc00000c9, "STATUS_NETWORK_NAME_DELETED" },
	{ 0xc00000ca, "STATUS_NETWORK_ACCESS_DENIED" },
	{ 0xc00000cc, "STATUS_BAD_NETWORK_NAME" },
	{ 0xc00000d0, "STATUS_REQUEST_NOT_ACCEPTED" },
	{ 0xc0000101, "STATUS_DIRECTORY_NOT_EMPTY" },
	{ 0xc0000103, "STATUS_NOT_A_DIRECTORY" },
	{ 0xc0000120, "STATUS_CANCELLED" },
	{ 0xc0000128, "STATUS_FILE_CLOSED" },
	{ 0xc000015b, "STATUS_LOGON_TYPE_NOT_GRANTED" },
	{ 0xc0000193, "STATUS_ACCOUNT_EXPIRED" },
	{ 0xc0000203, "STATUS_USER_SESSION_DELETED" },
	{ 0xc0000205, "STATUS_INSUFF_SERVER_RESOURCES" },
	{ 0xc0000224, "STATUS_PASSWORD_MUST_CHANGE" },
	{ 0xc0000225, "STATUS_NOT_FOUND" },
	{ 0xc0000234, "STATUS_ACCOUNT_LOCKED_OUT" },
	{ 0xc0000257, "STATUS_PATH_NOT_COVERED" },
	{ 0xc000035c, "STATUS_NETWORK_SESSION_EXPIRED" },
};
static const struct field_names statuses = FIELD_NAMES(status_rows, "UNKNOWN-");

/* Those of SMB 1 as clients write them (MS-CIFS 1.7), in the order of enum smb_dialect. */
static const struct field_name dialects_rows[] = {
	{ SMB_DIALECT_CORE, "PC NETWORK PROGRAM 1.0" }, { SMB_DIALECT_MS_103, "MICROSOFT NETWORKS 1.03" },
	{ SMB_DIALECT_MS_30, "MICROSOFT NETWORKS 3.0" }, { SMB_DIALECT_LANMAN_10, "LANMAN1.0" },
	{ SMB_DIALECT_WFW, "Windows for Workgroups 3.1a" }, { SMB_DIALECT_LM_12, "LM1.2X002" },
	{ SMB_DIALECT_DOS_LM_12, "DOS LM1.2X002" }, { SMB_DIALECT_LANMAN_21, "LANMAN2.1" },
	{ SMB_DIALECT_DOS_LANMAN_21, "DOS LANMAN2.1" }, { SMB_DIALECT_NT_LM, "NT LM 0.12" },
	{ 0x202, "2.02" }, { 0x210, "2.10" }, { 0x2ff, "2.??" }, { 0x300, "3.00" }, { 0x302, "3.02" }, { 0x311, "3.11" },
};
const struct field_names smb_dialects = FIELD_NAMES(dialects_rows, "UNKNOWN-");

static const struct field_name share_types_rows[] = { { 1, "DISK" }, { 2, "PIPE" }, { 3, "PRINT" } };
static const struct field_names share_types = FIELD_NAMES(share_types_rows, "UNKNOWN-");

static const struct field_name dispositions_rows[] = {
	{ 0, "FILE_SUPERSEDE" }, { 1, "FILE_OPEN" }, { 2, "FILE_CREATE" }, { 3, "FILE_OPEN_IF" }, { 4, "FILE_OVERWRITE" },
	{ 5, "FILE_OVERWRITE_IF" },
};
static const struct field_names dispositions = FIELD_NAMES(dispositions_rows, "UNKNOWN-");

static const struct field_name rpc_types_rows[] = {
	{ 0, "REQUEST" },
	{ 1, "PING" },
	{ 2, "RESPONSE" },
	{ 3, "FAULT" },
	{ 4, "WORKING" },
	{ 5, "NOCALL" },
	{ 6, "REJECT" },
	{ 7, "ACK" },
	{ 8, "CL_CANCEL" },
	{ 9, "FACK" },
	{ 10, "CANCEL_ACK" },
	{ 11, "BIND" },
	{ 12, "BINDACK" },
	{ 13, "BINDNAK" },
	{ 14, "ALTER_CONTEXT" },
	{ 15, "ALTER_CONTEXT_RESP" },
	{ 16, "AUTH3" },
	{ 17, "SHUTDOWN" },
	{ 18, "CO_CANCEL" },
	{ 19, "ORPHANED" },
};
static const struct field_names rpc_types = FIELD_NAMES(rpc_types_rows, "UNKNOWN-");

static const struct field text_fields[] = {
	{ "text", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct smb_text, text), NULL, NULL, "MS-SMB2 2.2.3", "a dialect" },
};
static const struct record_table text_table = TABLE("text", text_fields, smb_text);
const struct record_table *const smb_text_tables[] = { &text_table, NULL };

static const struct field interface_fields[] = {
	{ "uuid", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct smb_interface, uuid), NULL, NULL, "C706 12.6.3.1", "interface" },
	{ "version", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct smb_interface, version), NULL, NULL, "C706 12.6.3.1", "major.minor" },
};
static const struct record_table interface_table = TABLE("interface", interface_fields, smb_interface);
const struct record_table *const smb_interface_tables[] = { &interface_table, NULL };

static const struct field smb_fields[] = {
	{ "id", FIELD_U32, SMB_HAS_COMMAND, 0, AT(id), NULL, NULL, "own", "number of the command in its flow" },
	{ "version", FIELD_U8, SMB_HAS_COMMAND, FIELD_HIDDEN, AT(version), NULL, NULL, "MS-SMB2 2.2.1", "1 or 2 (3 writes as 2)" },
	{ "dialect", FIELD_U16, SMB_HAS_DIALECT, 0, AT(dialect), &smb_dialects, NULL, "MS-SMB2 2.2.4, MS-CIFS 2.2.4.52", "version agreed on" },
	{ "command", FIELD_U16, SMB_HAS_COMMAND, 0, AT(command), &smb_commands, NULL, "MS-SMB2 2.2.1.2", "command" },
	{ "status", FIELD_U32, SMB_HAS_STATUS, 0, AT(status), &statuses, NULL, "MS-ERREF 2.3", "of the response" },
	{ "status_code", FIELD_STRING, SMB_HAS_STATUS, 0, AT(status_text), NULL, NULL, "MS-ERREF 2.3", "the same as a number" },
	{ "session_id", FIELD_U64, FIELD_ALWAYS, 0, AT(session_id), NULL, NULL, "MS-SMB2 2.2.1.2", "session" },
	{ "tree_id", FIELD_U32, FIELD_ALWAYS, 0, AT(tree_id), NULL, NULL, "MS-SMB2 2.2.1.2", "connection to a share" },
	{ "client_dialects", FIELD_LIST, SMB_HAS_DIALECTS, FIELD_BARE, AT(dialects), NULL, smb_text_tables, "MS-SMB2 2.2.3", "versions offered" },
	{ "filename", FIELD_STRING, SMB_HAS_FILENAME, 0, AT(filename), NULL, NULL, "MS-SMB2 2.2.13", "file or pipe that is opened" },
	{ "disposition", FIELD_U32, SMB_HAS_CREATE, 0, AT(disposition), &dispositions, NULL, "MS-SMB2 2.2.13", "what to do if it exists" },
	{ "access_mask", FIELD_U32, SMB_HAS_CREATE, 0, AT(access), NULL, NULL, "MS-SMB2 2.2.13.1", "rights wanted" },
	{ "share", FIELD_STRING, SMB_HAS_SHARE, 0, AT(share), NULL, NULL, "MS-SMB2 2.2.9", "share that is connected to" },
	{ "named_pipe", FIELD_STRING, SMB_HAS_PIPE, 0, AT(share), NULL, NULL, "MS-SMB2 2.2.9", "the share of the pipes" },
	{ "share_type", FIELD_U8, SMB_HAS_SHARE_TYPE, 0, AT(share_type), &share_types, NULL, "MS-SMB2 2.2.10", "kind of share" },
	{ "function", FIELD_U32, SMB_HAS_FUNCTION, 0, AT(function), NULL, NULL, "MS-SMB2 2.2.31", "control code of IOCTL" },
	{ "ntlmssp.domain", FIELD_STRING, SMB_HAS_NTLMSSP, 0, AT(domain), NULL, NULL, "MS-NLMP 2.2.1.3", "domain" },
	{ "ntlmssp.user", FIELD_STRING, SMB_HAS_NTLMSSP, 0, AT(user), NULL, NULL, "MS-NLMP 2.2.1.3", "user" },
	{ "ntlmssp.host", FIELD_STRING, SMB_HAS_NTLMSSP, 0, AT(host), NULL, NULL, "MS-NLMP 2.2.1.3", "workstation" },
	{ "ntlmssp.version", FIELD_STRING, SMB_HAS_NTLMSSP, 0, AT(ntlm_version), NULL, NULL, "MS-NLMP 2.2.2.10", "of the client's system" },
	{ "user", FIELD_STRING, SMB_HAS_USER, 0, AT(user), NULL, NULL, "MS-CIFS 2.2.4.53", "user, without NTLMSSP" },
	{ "domain", FIELD_STRING, SMB_HAS_USER, 0, AT(domain), NULL, NULL, "MS-CIFS 2.2.4.53", "domain, without NTLMSSP" },
	{ "dcerpc.request", FIELD_U8, SMB_HAS_RPC_REQUEST, 0, AT(rpc_request), &rpc_types, NULL, "C706 12.6.4", "type of PDU" },
	{ "dcerpc.response", FIELD_U8, SMB_HAS_RPC_RESPONSE, 0, AT(rpc_response), &rpc_types, NULL, "C706 12.6.4", "type of PDU" },
	{ "dcerpc.opnum", FIELD_U16, SMB_HAS_RPC_OPNUM, 0, AT(opnum), NULL, NULL, "C706 12.6.4.9", "operation of the interface" },
	{ "dcerpc.req.stub_data_size", FIELD_U32, SMB_HAS_RPC_STUB, 0, AT(request_stub_len), NULL, NULL, "C706 12.6.4.9", "bytes of arguments" },
	{ "dcerpc.res.stub_data_size", FIELD_U32, SMB_HAS_RPC_ANSWER, 0, AT(response_stub_len), NULL, NULL, "C706 12.6.4.10", "bytes of results" },
	{ "dcerpc.stub_data", FIELD_HEX, SMB_HAS_RPC_STUB, FIELD_HIDDEN, AT(stub), NULL, NULL, "C706 12.6.4.9", "arguments" },
	{ "dcerpc.interfaces", FIELD_LIST, SMB_HAS_INTERFACES, 0, AT(interfaces), NULL, smb_interface_tables, "C706 12.6.4.3", "that are bound" },
	{ "dcerpc.call_id", FIELD_U32, SMB_HAS_RPC, 0, AT(call_id), NULL, NULL, "C706 12.6.3.1", "number of the call" },
	{ "data", FIELD_STRING, SMB_HAS_DATA, FIELD_HIDDEN, AT(data), NULL, NULL, "MS-SMB2 2.2.21", "first bytes of a file" },
	{ "response_time_us", FIELD_U32, SMB_HAS_RESPONSE_TIME, FIELD_LATE, AT(response_time_us), NULL, NULL, "own", "from the request to the response" },
};
const struct record_table smb_table = TABLE("smb", smb_fields, smb_record);

/* Suricata's names of buffers, older ones among them. */
const struct rule_app_buffer smb_buffers[] = {
	{ "smb_named_pipe", "named_pipe" },
	{ "smb_share", "share" },
	{ "smb.ntlmssp_user", "ntlmssp.user" },
	{ "smb.ntlmssp_domain", "ntlmssp.domain" },
	{ "dcerpc.stub_data", "dcerpc.stub_data" },
	{ "dce_stub_data", "dcerpc.stub_data" },
	{ "smb.file_data", "data" },
};
static_assert(COUNT(smb_buffers) == SMB_BUFFER_COUNT, "each buffer is counted");

const struct rule_app_event smb_events[] = {
	[SMB_EVENT_MALFORMED_DATA] = { "malformed_data", "a command that ends early, or whose parts lie outside it" },
	[SMB_EVENT_MALFORMED_NTLMSSP] = { "malformed_ntlmssp_request", "an NTLMSSP message that ends early" },
	[SMB_EVENT_MALFORMED_DCERPC] = { "malformed_dcerpc", "a DCE/RPC bind or request that ends early" },
	[SMB_EVENT_TOO_MANY_COMMANDS] = { "too_many_commands", "more than 32 commands in one message; the rest is not read" },
	[SMB_EVENT_FLOODED] = { "max_reached", "more than 64 commands wait for their response; said once" },
	[SMB_EVENT_RESPONSE_WITHOUT_REQUEST] = { "response_without_request", "a response to no request that was seen" },
	[SMB_EVENT_FILE_OVERLAP] = { "file_overlap", "bytes of a file that were written or read before" },
};

const struct counter_desc smb_counters[] = {
	[SMB_COUNT_REQUESTS] = { "smb.requests", "requests read" },
	[SMB_COUNT_RESPONSES] = { "smb.responses", "responses read" },
	[SMB_COUNT_UNANSWERED] = { "smb.unanswered", "requests given up without a response" },
	[SMB_COUNT_ORPHANS] = { "smb.orphan_responses", "responses without a request" },
	[SMB_COUNT_ENCRYPTED] = { "smb.encrypted", "messages that are encrypted or compressed and were not read" },
	[SMB_COUNT_PASSED_BYTES] = { "smb.passed_bytes", "bytes of long messages passed over unread" },
	[SMB_COUNT_SHED] = { "smb.shed", "requests written without waiting for their response: no memory" },
	[SMB_COUNT_FILES_FORGOTTEN] = { "smb.files_forgotten", "files given up: more than 32 were open in a flow" },
	[SMB_COUNT_FILES_SHED] = { "smb.files_shed", "files not followed, or no more kept of them for the rules: no memory" },
	[SMB_COUNT_BODIES_CUT] = { "smb.bodies_cut", "files of which only the front was kept for the rules" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.smb.body-limit", KNOB_SIZE, offsetof(struct smb_config, body_limit), 0, SMB_BODY_LIMIT_MAX, "16kb", NULL,
		"first bytes of a file that rules see" },
};
const struct knob_table smb_knobs = { .owner = "smb", .knobs = knobs, .count = COUNT(knobs) };
