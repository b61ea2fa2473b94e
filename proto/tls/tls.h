/*
 * SSL and TLS up to 1.3, as far as they are in the clear: the record layer, the hellos, the certificates up to TLS 1.2,
 * alerts. What is encrypted is passed over by count. Nothing outside the folder includes this.
 *
 * Source: RFC 5246 (TLS 1.2), RFC 8446 (TLS 1.3), RFC 6066 (SNI), RFC 7301 (ALPN), RFC 6520 (heartbeat), RFC 6101
 * (SSL 3.0 and the hello of 2.0), RFC 5280 and X.690 (certificates), JA3 and JA4 as published by their authors.
 */
#ifndef MR_PROTO_TLS_H
#define MR_PROTO_TLS_H

#include "lib/base/buf.h"
#include "proto/proto.h"

enum {
	TLS_HEADER_LEN = 5,
	TLS_RECORD_LEN_MAX = 16384 + 2048, /* RFC 5246 6.2.3 */
	TLS_HANDSHAKE_LEN_MAX = 64 * 1024, /* of one message; a longer one is passed over */
	TLS_LIST_MAX = 512,                /* cipher suites of a hello */
	TLS_EXTENSIONS_MAX = 128,
	TLS_SMALL_LIST_MAX = 128,          /* groups, signature algorithms, versions */
	TLS_NAMES_MAX = 64,                /* alternative names of a certificate; protocols of ALPN */
	TLS_CHAIN_MAX = 16,                /* certificates of a chain that rules see; all are counted */
	TLS_TEXT_LEN_MAX = 1024,           /* of a distinguished name */
	TLS_ALERTS_MAX = 8,                /* of a session, in its event */
	TLS_HELLOS_MAX = 2,                /* of a direction: a second one follows a HelloRetryRequest */
	TLS_RANDOM_LEN = 32,
};

enum tls_content { TLS_CHANGE_CIPHER_SPEC = 20, TLS_ALERT, TLS_HANDSHAKE, TLS_APPLICATION_DATA, TLS_HEARTBEAT };

enum tls_version { TLS_SSL_2 = 0x0002, TLS_SSL_3 = 0x0300, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };

/* Handshake types (RFC 5246 7.4, RFC 8446 4). */
enum tls_message {
	TLS_HELLO_REQUEST = 0,
	TLS_CLIENT_HELLO = 1,
	TLS_SERVER_HELLO = 2,
	TLS_CERTIFICATE = 11,
	TLS_SERVER_KEY_EXCHANGE = 12,
	TLS_CLIENT_KEY_EXCHANGE = 16,
};

/* What rules ask by ssl_state; bits of tls_record.states. */
enum tls_state_bit {
	TLS_STATE_CLIENT_HELLO = 1,
	TLS_STATE_SERVER_HELLO = 2,
	TLS_STATE_CLIENT_KEYX = 4,
	TLS_STATE_SERVER_KEYX = 8,
};

/* Bits of the head's present; the first are also those of tls_peer. */
enum tls_bit {
	TLS_HAS_SUBJECT,
	TLS_HAS_ISSUER,
	TLS_HAS_SERIAL,
	TLS_HAS_FINGERPRINT,
	TLS_HAS_NOTBEFORE,
	TLS_HAS_NOTAFTER,
	TLS_HAS_NAMES,
	TLS_HAS_SELF_SIGNED,
	TLS_HAS_DER,
	TLS_CERT_BITS,
	TLS_HAS_RESUMED = TLS_CERT_BITS,
	TLS_HAS_SNI,
	TLS_HAS_VERSION,
	TLS_HAS_JA3,
	TLS_HAS_JA3S,
	TLS_HAS_JA4,
	TLS_HAS_CLIENT_ALPNS,
	TLS_HAS_SERVER_ALPNS,
	TLS_HAS_CLIENT_HELLO,
	TLS_HAS_SERVER_HELLO,
	TLS_HAS_CLIENT,
	TLS_HAS_ALERTS,
	TLS_HAS_CHAIN,
	TLS_HAS_CERTS,
	TLS_HAS_ALPN,
	TLS_HAS_RANDOM,
	TLS_HAS_CLIENT_LISTS,
	TLS_HAS_SERVER_LISTS,
};

#define TLS_BIT(name) (UINT64_C(1) << TLS_HAS_##name)

enum tls_event {
	TLS_EVENT_INVALID_SSLV2_HEADER,
	TLS_EVENT_INVALID_RECORD_LENGTH,
	TLS_EVENT_INVALID_HANDSHAKE_MESSAGE,
	TLS_EVENT_HANDSHAKE_INVALID_LENGTH,
	TLS_EVENT_HANDSHAKE_TOO_LONG,
	TLS_EVENT_MULTIPLE_SNI,
	TLS_EVENT_INVALID_SNI_TYPE,
	TLS_EVENT_INVALID_SNI_LENGTH,
	TLS_EVENT_INVALID_ALERT,
	TLS_EVENT_INVALID_HEARTBEAT,
	TLS_EVENT_OVERFLOW_HEARTBEAT,
	TLS_EVENT_DATALEAK_HEARTBEAT,
	TLS_EVENT_INVALID_CERTIFICATE,
	TLS_EVENT_CERTIFICATE_INVALID_LENGTH,
	TLS_EVENT_CERTIFICATE_INVALID_DER,
	TLS_EVENT_CERTIFICATE_INVALID_DATE,
	TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS,
	TLS_EVENT_UNEXPECTED_HELLO,
	TLS_EVENT_COUNT,
};

enum tls_counter {
	TLS_COUNT_SESSIONS,
	TLS_COUNT_RECORDS,
	TLS_COUNT_ENCRYPTED_BYTES,
	TLS_COUNT_INCOMPLETE,
	TLS_COUNT_HANDSHAKES_SKIPPED,
	TLS_COUNT_SHED,
	TLS_COUNTER_COUNT,
};

/** A text in a list. */
struct tls_text {
	struct record_head head;
	struct record_ref text;
};

struct tls_alert {
	struct record_head head;
	uint8_t level;
	uint8_t description;
	bool to_server;
};

/** What is said of a certificate. */
struct tls_cert {
	struct record_ref subject, issuer, serial, fingerprint, not_before, not_after;
	struct record_list names;
	struct record_ref der;    /* where the user wants it written */
	struct record_list chain; /* and those behind it */
	int64_t not_before_s, not_after_s; /* since the Unix epoch */
	bool self_signed;
};

/** The client's certificate, where it showed one. */
struct tls_peer {
	struct record_head head;
	struct tls_cert cert;
};

/** A session. */
struct tls_record {
	struct record_head head;
	struct tls_cert cert; /* of the server */
	struct record_list client; /* struct tls_peer */
	struct record_ref sni, ja3_hash, ja3_string, ja3s_hash, ja3s_string, ja4;
	struct record_list client_alpns, server_alpns;
	struct record_ref client_ciphers, client_extensions, client_groups, client_signatures; /* uint16_t */
	struct record_ref server_extensions;
	struct record_list alerts;
	uint16_t version; /* of the session */
	uint16_t client_version, server_version, server_cipher;
	bool resumed;
	/* for rules alone, of the record at hand */
	struct record_list certs, alpn;
	struct record_ref random, random_time, random_bytes;
	uint32_t chain_len;
	uint16_t rule_version;
	uint8_t states;
	int64_t now_s;
};

/** A handshake message that goes on in the next record. */
struct tls_assembly {
	uint8_t *block; /* want bytes */
	uint32_t want, have;
	uint32_t skip_len; /* of a message that is not kept */
	uint8_t head[4];
	uint8_t head_len;
};

/** By direction of the sender. */
struct tls_end {
	struct tls_assembly assembly;
	uint8_t hellos;
	bool client;      /* it sent a client's hello */
	bool certified;   /* its chain was read */
	bool ciphered;    /* ChangeCipherSpec was seen */
	bool encrypted;   /* what comes is encrypted */
	bool lost;        /* a handshake message is incomplete: bytes were lost */
};

struct tls_state {
	void *blob; /* the session's record as far as it is known; NULL: nothing */
	uint32_t blob_len;
	struct tls_end ends[2]; /* by to_server */
	uint16_t server_version; /* 0: not known */
	uint8_t states;          /* all that were seen */
	uint8_t session_id_len;
	uint8_t alert_count;
	uint8_t session_id[32];  /* of the client's hello */
	uint16_t heartbeat_len;  /* of the record with the last request; 0: none is open */
	bool heartbeat_to_server;
	bool emitted;
	bool failed;             /* a fatal alert */
};

/** One TLS record being read. */
struct tls_pdu {
	struct proto_ctx *ctx;
	struct tls_state *state;
	struct tls_end *end;
	struct tls_record *record; /* NULL before tls_open() */
	uint64_t match;        /* fields that the rules shall see */
	struct tls_cert *cert; /* that they shall see: the client's */
	struct cursor chain;   /* of the Certificate at hand */
	struct record_list alpn;
	const uint8_t *random; /* [TLS_RANDOM_LEN] of the hello at hand, or NULL */
	uint8_t *used;         /* a block that is given back when the record is done */
	uint32_t used_len;
	uint16_t version;      /* of the record layer, then of the hello */
	uint8_t states;
	bool ciphers;          /* its end encrypts from here on */
	bool repeats;          /* a hello behind a retry: the first one said it all */
	bool changed;          /* the record must be kept */
};

/** A hello, taken apart. */
struct tls_hello {
	uint16_t version;        /* as it stands there */
	uint16_t version_best;   /* the highest that is offered, or the one that is chosen */
	uint16_t ciphers[TLS_LIST_MAX], extensions[TLS_EXTENSIONS_MAX], groups[TLS_SMALL_LIST_MAX],
		signatures[TLS_SMALL_LIST_MAX], formats[TLS_SMALL_LIST_MAX];
	uint16_t cipher_count, extension_count, group_count, signature_count, format_count;
	struct cursor session_id, sni, alpn;
	const uint8_t *random;
	bool has_sni, has_alpn;
	bool overflow; /* a list was longer than there is room for: no fingerprint is made */
};

extern const struct record_table tls_table;
extern const struct record_table *const tls_text_tables[], *const tls_peer_tables[], *const tls_alert_tables[];
extern const struct record_table *const tls_der_tables[], *const tls_chain_tables[];
extern const struct knob_table tls_knobs;

struct tls_config {
	bool log_handshake;    /* the hellos' lists are written */
	bool log_certificates; /* whole ones are */
};
extern const struct rule_app_event tls_events[];
extern const struct counter_desc tls_counters[];
extern const struct rule_app_keyword tls_keywords[];
extern const struct rule_app_buffer tls_buffers[];
enum { TLS_KEYWORD_COUNT = 7, TLS_BUFFER_COUNT = 23 };
/** As rule_app.buffer_direction. */
enum rule_direction tls_buffer_direction(const struct rule_app_buffer *buffer);

/** Plain handshake bytes of a record: messages, whole or to be continued (tls_handshake.c). */
void tls_handshake_read(struct tls_pdu *pdu, struct cursor body);
/** Whether a message of this type and length can stand at the start of handshake bytes. */
bool tls_handshake_is_plausible(uint8_t type, uint32_t len);
void tls_assembly_drop(struct proto_ctx *ctx, struct tls_assembly *assembly);

/** @return false: the message ends within a field (tls_hello.c) */
bool tls_hello_take(struct tls_pdu *pdu, struct cursor message, bool client, struct tls_hello *hello);
void tls_client_hello(struct tls_pdu *pdu, struct cursor message);
void tls_server_hello(struct tls_pdu *pdu, struct cursor message);
/** The hello of SSL 2.0 that opens a session of any version (RFC 5246 E.2), behind its length. */
void tls_sslv2_hello(struct tls_pdu *pdu, struct cursor message);
/** Presence bits of what the end's hello told in a record before this one, which has its certificate: rules may ask for both. */
uint64_t tls_known_of_hello(const struct tls_pdu *pdu, struct tls_record *record);

/** The chain of a Certificate message up to TLS 1.2 (tls_cert.c). */
void tls_certificate(struct tls_pdu *pdu, struct cursor message);

/** Fingerprints (tls_print.c): texts into bounded buffers. */
bool tls_is_grease(uint16_t value);
void tls_print_ja3(const struct tls_hello *hello, bool client, struct buf *out);
void tls_print_ja4(const struct tls_hello *hello, struct buf *out);
/** The digest as hex. */
void tls_print_md5(const void *data, size_t len, char hex[32]);
void tls_print_sha1(const uint8_t *data, size_t len, uint8_t digest[20]);

/** The session's record, to add to: what is known of it so far, copied on demand. */
struct tls_record *tls_open(struct tls_pdu *pdu);
/** Appends a text to a list. */
void tls_add_text(struct tls_pdu *pdu, struct record_list *list, const void *text, uint32_t len);

static inline void
tls_has(struct tls_pdu *pdu, uint64_t bits)
{
	pdu->record->head.present |= bits;
	pdu->match |= bits;
	pdu->changed = true;
}

#endif
