/*
 * SMB 1, 2 and 3 over NetBIOS sessions or TCP, with NTLMSSP and DCE/RPC over named pipes: the record of one command, the
 * state of one flow, and what the files of this folder share. Nothing outside the folder includes this.
 *
 * Source: MS-CIFS and MS-SMB (SMB 1), MS-SMB2, MS-NLMP (NTLMSSP), MS-RPCE and C706 (DCE/RPC), RFC 1002 (NetBIOS sessions).
 */
#ifndef MR_PROTO_SMB_H
#define MR_PROTO_SMB_H

#include "proto/pair.h"
#include "proto/proto.h"

enum {
	SMB_NBSS_LEN = 4,
	SMB_PDU_LEN_MAX = 8 * 1024, /* of a longer message only the front is read, the rest is passed over */
	SMB1_HEADER_LEN = 32,
	SMB2_HEADER_LEN = 64,
	SMB_COMPOUND_MAX = 32,      /* commands of one message */
	SMB_OPEN_MAX = 64,          /* commands of a flow that wait */
	SMB_NAME_LEN_MAX = 1024,    /* bytes of a name as it is written */
	SMB_DIALECTS_MAX = 16,      /* of one negotiation */
	SMB_CONTEXTS_MAX = 16,      /* interfaces bound in a flow */
	SMB_INTERFACES_MAX = 16,    /* of one bind */
	SMB_UUID_LEN = 16,
	SMB_STUB_LEN_MAX = 4096,    /* bytes of a call's stub that rules see */
	SMB_FILES_MAX = 32,         /* files of a flow that are open at once */
	SMB_PIPE_TREES_MAX = 8,     /* connections to pipes that are remembered */
	SMB_IOS_MAX = 4,            /* of one command with those that are chained to it */
	SMB_BODY_LIMIT_MAX = 64 * 1024 - 4096, /* the records have other fields, too */
	SMB_GUID_TEXT_LEN = 36,
	SMB_FRAGMENTS_MAX = 64,     /* PDUs of DCE/RPC that are read in one message */
	SMB_CALLS_MAX = 16,         /* calls of a flow whose fragments are not all there */
};

/** The file that the command before in the message opened (MS-SMB2 3.3.5.2.7.2). */
#define SMB_FILE_RELATED UINT64_MAX

/** A status of SMB 1 that is none of NT: from here on, with class and code (MS-CIFS 2.2.2.4). NT's leave the bit clear (MS-ERREF 2.3). */
enum { SMB_DOS_ERROR = 0x20000000 };

/* SMB2 commands are numbered from here on, so that one table names both. */
enum { SMB2_BASE = 0x100 };

/* The subcommands of the three kinds of transaction in one table. */
enum smb_subcommand_base { SMB_SUBCOMMAND_TRANS2 = 0, SMB_SUBCOMMAND_TRANS = 0x100, SMB_SUBCOMMAND_NT = 0x200 };

enum { SMB1_READ = 0x2e, SMB1_WRITE = 0x2f, SMB1_NEGOTIATE = 0x72, SMB1_CREATE = 0xa2, SMB1_NONE = 0xff, SMB1_TRANS = 0x25, SMB1_TRANS_SECONDARY = 0x26,
	SMB2_CREATE = SMB2_BASE + 5, SMB2_READ = SMB2_BASE + 8, SMB2_WRITE = SMB2_BASE + 9 };

/* Bits of smb_record.head.present. */
enum smb_bit {
	SMB_HAS_DIALECT,
	SMB_HAS_STATUS,
	SMB_HAS_DIALECTS,
	SMB_HAS_FILENAME,
	SMB_HAS_CREATE,
	SMB_HAS_SHARE,
	SMB_HAS_PIPE,
	SMB_HAS_SHARE_TYPE,
	SMB_HAS_NTLMSSP,
	SMB_HAS_USER,
	SMB_HAS_FUNCTION,
	SMB_HAS_RPC,
	SMB_HAS_RPC_REQUEST,
	SMB_HAS_RPC_RESPONSE,
	SMB_HAS_RPC_OPNUM,
	SMB_HAS_RPC_STUB,
	SMB_HAS_RPC_ASKED,
	SMB_HAS_RPC_ANSWER,
	SMB_HAS_INTERFACES,
	SMB_HAS_RESPONSE_TIME,
	SMB_HAS_COMMAND,
	SMB_HAS_SESSION,
	SMB_HAS_TREE,
	SMB_HAS_DATA,
	SMB_HAS_ERROR_CLASS,
	SMB_HAS_SUBCOMMAND,
	SMB_HAS_RENAME_FROM,
	SMB_HAS_RENAME_TO,
	SMB_HAS_DISPOSED,
	SMB_HAS_DIRECTORY,
	SMB_HAS_FILE_INFO,
	SMB_HAS_FUID,
	SMB_HAS_LEVEL,
	SMB_HAS_NTLM_VERSION,
	SMB_HAS_KERBEROS,
	SMB_HAS_NATIVE_ASKED,
	SMB_HAS_NATIVE_ANSWERED,
	SMB_HAS_CLIENT_GUID,
	SMB_HAS_SERVER_GUID,
	SMB_HAS_MAX_SIZES,
	SMB_HAS_SERVICE_ASKED,
	SMB_HAS_SERVICE_ANSWERED,
};

/** Dialects of SMB 1 have names; these numbers are below those of SMB 2. */
enum smb_dialect {
	SMB_DIALECT_NONE,
	SMB_DIALECT_CORE,
	SMB_DIALECT_MS_103,
	SMB_DIALECT_MS_30,
	SMB_DIALECT_LANMAN_10,
	SMB_DIALECT_WFW,
	SMB_DIALECT_LM_12,
	SMB_DIALECT_DOS_LM_12,
	SMB_DIALECT_LANMAN_21,
	SMB_DIALECT_DOS_LANMAN_21,
	SMB_DIALECT_NT_LM,
	SMB_DIALECT_COUNT,
};

struct smb_text {
	struct record_head head;
	struct record_ref text;
};

struct smb_interface {
	struct record_head head;
	struct record_ref uuid;    /* as text */
	struct record_ref version; /* "3.0" */
	uint16_t ack_result, ack_reason; /* present: bit 0 */
};

/** A command, and what its response says as well once that is there. */
struct smb_record {
	struct record_head head;
	uint64_t session_id;
	uint32_t tree_id;
	uint32_t id;
	uint32_t status;
	uint32_t response_time_us;
	uint32_t disposition, access;
	uint32_t function;     /* of IOCTL */
	uint32_t call_id;
	uint32_t request_stub_len, response_stub_len;
	uint16_t command;      /* of SMB 2 with SMB2_BASE */
	uint16_t dialect;
	uint16_t opnum;
	uint16_t subcommand;   /* of TRANS2, TRANS and NT_TRANSACT: enum smb_subcommand_base */
	uint16_t level;        /* of information that TRANS2 sets */
	uint16_t request_fragments, response_fragments;
	uint8_t version;       /* 1 or 2 */
	uint8_t error_class;
	uint8_t disposed;      /* 1: to be deleted when it is closed */
	uint8_t share_type;
	uint8_t rpc_request, rpc_response; /* types of PDU */
	bool has_iface;
	uint8_t iface[SMB_UUID_LEN]; /* of a request: what its context was bound to, in network order */
	uint16_t iface_version;
	struct record_ref status_text;
	struct record_ref filename, share;
	struct record_ref renamed; /* the new name */
	struct record_ref fuid;    /* identifier of the file, as text */
	uint32_t created, accessed, modified, changed; /* seconds since the Unix epoch; 0: not said */
	uint64_t size;
	struct record_ref client_guid, server_guid;
	uint32_t max_read_size, max_write_size;
	struct record_ref native_os[2], native_lm[2], service[2]; /* by response */
	struct record_ref realm;
	struct record_list snames;
	struct record_ref user, domain, host, ntlm_version;
	struct record_ref stub;
	struct record_ref data;  /* of a file */
	uint64_t file, offset;   /* what a request reads or closes: kept for its response */
	struct record_list dialects, interfaces;
};

extern const struct record_table smb_table;
extern const struct record_table *const smb_text_tables[];
extern const struct record_table *const smb_interface_tables[];
extern const struct field_names smb_commands;
extern const struct field_names smb_dialects;
extern const struct rule_app_event smb_events[];
extern const struct rule_app_keyword smb_keywords[];
extern const struct rule_app_buffer smb_buffers[];
extern const struct counter_desc smb_counters[];
extern const struct knob_table smb_knobs;

enum { SMB_KEYWORD_COUNT = 4, SMB_BUFFER_COUNT = 7 };

struct smb_config {
	uint64_t body_limit; /* first bytes of a file that rules see */
};

/* Index into smb_events[]. */
enum smb_event {
	SMB_EVENT_MALFORMED_DATA,
	SMB_EVENT_MALFORMED_NTLMSSP,
	SMB_EVENT_MALFORMED_DCERPC,
	SMB_EVENT_TOO_MANY_COMMANDS,
	SMB_EVENT_FLOODED,
	SMB_EVENT_RESPONSE_WITHOUT_REQUEST,
	SMB_EVENT_FILE_OVERLAP,
	SMB_EVENT_COUNT,
};

enum smb_counter {
	SMB_COUNT_REQUESTS,
	SMB_COUNT_RESPONSES,
	SMB_COUNT_UNANSWERED,
	SMB_COUNT_ORPHANS,
	SMB_COUNT_ENCRYPTED,
	SMB_COUNT_PASSED_BYTES,
	SMB_COUNT_SHED,
	SMB_COUNT_MESSAGES_SHED,
	SMB_COUNT_FILES_FORGOTTEN,
	SMB_COUNT_FILES_SHED,
	SMB_COUNT_BODIES_CUT,
	SMB_COUNT_STUBS_CUT,
	SMB_COUNT_CALLS_UNFINISHED,
	SMB_COUNT_CALLS_SHED,
	SMB_COUNTER_COUNT,
};

struct smb_context {
	uint8_t uuid[SMB_UUID_LEN];
	uint64_t file;
	uint32_t call_id;    /* of the bind */
	uint16_t id, version, minor;
	uint8_t place;       /* in the bind: answers have no other name for it */
	bool used;
};

struct smb_open;
struct smb_call;

/** What a command of a message takes from those before it: one that is related to them writes all ones (MS-SMB2 3.2.4.1.4, 3.3.5.2.7.2). */
struct smb_chain {
	uint64_t session_id, before;
	uint32_t tree_id;
	unsigned int commands;
};

/** What of a message's data is behind what was framed of it. */
struct smb_rest {
	struct smb_open *open; /* whose data; NULL: nobody's */
	uint32_t left, after;  /* bytes of it, and of what is passed over behind them */
	uint32_t old_len;      /* of left, those that the file has already */
	uint32_t more;         /* bytes of the message from the next command on; 0: no more is read of it */
	uint32_t front_len;    /* of them, those that are in front */
	uint8_t *front;        /* [SMB_PDU_LEN_MAX]; NULL: none yet */
	struct smb_chain chain;
};

struct smb_state {
	struct pair_table pairs; /* commands that wait for their response */
	struct smb_context contexts[SMB_CONTEXTS_MAX]; /* a ring */
	uint32_t last_id;
	uint16_t dialect;      /* of SMB 2, or one of enum smb_dialect; 0: not known */
	uint8_t offered[SMB_DIALECTS_MAX]; /* enum smb_dialect, in the order of the client */
	uint8_t context_next;
	uint8_t open_count, pipe_count, pipe_next;
	uint32_t pipe_trees[SMB_PIPE_TREES_MAX]; /* a ring */
	struct smb_open *opens; /* the newest first */
	struct smb_call *calls; /* of DCE/RPC, of which more is to come; the newest first */
	bool calls_ended;      /* among them are some of which no more comes */
	struct smb_rest rests[2]; /* by to_server */
	uint64_t related;      /* the file that was opened last */
	uint64_t negotiate_id; /* of a negotiation of version 1, which one of version 2 may answer */
	bool negotiating;
	bool requested;        /* a request was seen: a response may be blamed */
};

/* ---- one command being read ---- */

enum smb_io_kind { SMB_IO_OPENED, SMB_IO_WRITTEN, SMB_IO_READ, SMB_IO_CLOSED };

/** What a command does with a file. */
struct smb_io {
	uint64_t file;
	uint64_t offset;   /* of the data; of what is opened the size */
	uint32_t data_off; /* in the message */
	uint32_t len;
	uint8_t kind;      /* enum smb_io_kind */
};

/** Of the request, as long as the record lasts. */
struct smb_asked {
	uint64_t file, offset;
	uint32_t id;
	bool is_rpc;
};

/** What one message has of a call of DCE/RPC. */
struct smb_rpc_counts {
	uint32_t call_id, stub_len;
	uint16_t fragments; /* that begin in it */
};

struct smb_pdu {
	struct proto_ctx *ctx;
	struct smb_record *record;
	struct cursor whole;   /* from the SMB header on: offsets count from there */
	uint64_t message_id;
	uint64_t session_id;
	uint32_t tree_id;
	uint32_t status;
	uint16_t command;      /* with SMB2_BASE */
	uint8_t version;
	bool response, unicode, cut;
	bool dos_error;        /* what the status is */
	bool async;            /* the tree's place has another number */
	uint64_t before;       /* the file of the command before in the message: what a pipe's contexts know it by */
	struct smb_asked asked;
	uint64_t asked_file;   /* of the request that a response is to; 0: not known */
	uint8_t io_count;
	struct smb_io ios[SMB_IOS_MAX];
};

/** Notes what the command does with a file. Beyond SMB_IOS_MAX nothing. */
static inline void
smb_io_add(struct smb_pdu *pdu, struct smb_io io)
{
	if (pdu->io_count < SMB_IOS_MAX)
		pdu->ios[pdu->io_count++] = io;
}

static inline bool
smb_tree_is_pipe(const struct smb_state *state, uint32_t tree_id)
{
	for (unsigned int i = 0; i < state->pipe_count; i++)
		if (state->pipe_trees[i] == tree_id)
			return true;
	return false;
}

/** Does it: a response's record is that of its request. Uses ctx->record (smb_file.c). */
void smb_file_command(struct smb_pdu *pdu);
/** The name under which a file was opened, or is by an earlier command of the message, into *ref. @return whether it is known */
bool smb_file_name(struct smb_pdu *pdu, uint64_t file, struct record_ref *ref);
/** The request of this number and command that waits for its response, or NULL. Lent. */
const struct smb_record *smb_request_find(const struct smb_pdu *pdu, uint64_t message_id, uint16_t command);
/** What a file is known by that is not open yet, by its request to create; and back. */
static inline uint64_t
smb_opening(uint64_t message_id)
{
	return ~message_id;
}

/** As proto.raw: the rest of a message's data, and what is passed over behind it. */
uint32_t smb_file_raw(struct proto_ctx *ctx, struct cursor in);
/** As proto.gap. @return how many of the missing bytes lie behind that */
uint32_t smb_file_gap(struct proto_ctx *ctx, uint32_t missing);
/** The flow is over: what is open ends as it is. */
void smb_file_end(struct proto_ctx *ctx);

/** A command of SMB 2 at the front of pdu->whole. @return where the next one begins, or 0 */
uint32_t smb2_command_read(struct smb_pdu *pdu);

/* ---- messages of several commands, also longer than what is framed of them (smb_compound.c) ---- */

/** The front of a message, of which ctx->skip_len bytes are to come. */
void smb_compound_begin(struct proto_ctx *ctx, struct cursor in);
/** As proto.raw and proto.gap. */
uint32_t smb_compound_raw(struct proto_ctx *ctx, struct cursor in);
void smb_compound_gap(struct proto_ctx *ctx, uint32_t missing);
void smb_compound_end(struct proto_ctx *ctx);

/** The body behind the header into pdu->record. */
void smb1_body_read(struct smb_pdu *pdu, struct cursor body);
void smb2_body_read(struct smb_pdu *pdu, struct cursor body);
/** len bytes at off of the message; short where they are not there. */
struct cursor smb_at(const struct smb_pdu *pdu, uint32_t off, uint32_t len);
/** UTF-16LE or bytes, as UTF-8, into *ref. */
void smb_put_text(struct smb_pdu *pdu, struct record_ref *ref, struct cursor text, bool unicode);
void smb_put_share(struct smb_pdu *pdu, struct cursor path, bool unicode);
/** The name of what is opened; an empty one is the root of the share. @param options  of a create (MS-SMB2 2.2.13) */
void smb_put_opened(struct smb_pdu *pdu, struct cursor name, bool unicode, uint32_t options);
/** 16 bytes as Suricata writes them, all parts of it in the sender's order: 0000002a-0008-0000-0009-000000000008. */
void smb_put_guid(struct smb_pdu *pdu, struct record_ref *ref, struct cursor guid);
/** A file's number of version 1, as text. */
void smb_put_fid(struct smb_pdu *pdu, uint16_t fid);
/** Creation, last access, last write and change, one behind the other (MS-DTYP 2.3.3). */
void smb_take_times(struct smb_pdu *pdu, struct cursor *in);
/** A security blob: NTLMSSP is searched for in it, and what it is else may be a ticket of Kerberos. */
void smb_security_read(struct smb_pdu *pdu, struct cursor blob);
/** Realm and service of the ticket in a request for it (smb_kerberos.c). */
void smb_kerberos_read(struct smb_pdu *pdu, struct cursor blob);
/** len bytes at off of the message are a pipe's, or a file's: PDUs of DCE/RPC, or the rest of one. @return whether they are */
bool smb_dcerpc_read(struct smb_pdu *pdu, uint32_t off, uint32_t len, uint64_t file);

/* ---- calls whose fragments come in several messages (smb_call.c) ---- */

/** The stubs of a call's PDUs in one message. */
struct smb_part {
	struct cursor stubs[SMB_FRAGMENTS_MAX + 1];
	struct smb_rpc_counts counts;
	uint32_t left;      /* bytes of the last PDU that are in a message to come */
	uint16_t stub_count;
	bool first, last;   /* of the first and the last PDU: it is the call's */
	bool hole;          /* some of it lies behind what was framed */
};

/** The call on a pipe of whose last PDU the message at hand has the rest; NULL: none. */
struct smb_call *smb_call_rest(const struct smb_pdu *pdu, uint64_t file);
/** Begins part with that rest, at the front of in, and the record with what is known of the call. */
void smb_call_go_on(struct smb_pdu *pdu, const struct smb_call *call, struct cursor *in, uint32_t *len, struct smb_part *part);
/** The stub into the record, with what came before, once it is whole or as long as rules see it; else it is kept. */
void smb_call_add(struct smb_pdu *pdu, const struct smb_part *part, uint64_t file);
/** A pipe that was opened has a number now. */
void smb_call_rename(struct smb_state *state, uint64_t before, uint64_t file);
/** No more comes of what is open on a pipe. */
void smb_call_close(struct smb_state *state, uint64_t file);
/** Rules see what there is of the calls that have ended so. Uses ctx->record. */
void smb_call_flush(struct proto_ctx *ctx);
/** No more comes of the calls of a direction. Uses ctx->record. */
void smb_call_end(struct proto_ctx *ctx, bool to_server);

#endif
