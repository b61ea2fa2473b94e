/*
 * The tables of TLS: fields (EVE keys, rule keywords and reference in one), named events, counters. Names and keys are
 * Suricata's where it has them.
 */
#include "proto/tls/tls.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(text, rows, type) { .name = (text), .fields = (rows), .field_count = COUNT(rows), .size = sizeof(struct type) }

static const struct field_name version_rows[] = {
	{ TLS_SSL_2, "SSLv2" },
	{ TLS_SSL_3, "SSLv3" },
	{ TLS_1_0, "TLSv1" },
	{ TLS_1_1, "TLS 1.1" },
	{ TLS_1_2, "TLS 1.2" },
	{ TLS_1_3, "TLS 1.3" },
	{ 0x7f10, "TLS 1.3 draft-16" },
	{ 0x7f11, "TLS 1.3 draft-17" },
	{ 0x7f12, "TLS 1.3 draft-18" },
	{ 0x7f13, "TLS 1.3 draft-19" },
	{ 0x7f14, "TLS 1.3 draft-20" },
	{ 0x7f15, "TLS 1.3 draft-21" },
	{ 0x7f16, "TLS 1.3 draft-22" },
	{ 0x7f17, "TLS 1.3 draft-23" },
	{ 0x7f18, "TLS 1.3 draft-24" },
	{ 0x7f19, "TLS 1.3 draft-25" },
	{ 0x7f1a, "TLS 1.3 draft-26" },
	{ 0x7f1b, "TLS 1.3 draft-27" },
	{ 0x7f1c, "TLS 1.3 draft-28" },
	{ 0xfb1a, "TLS 1.3 draft-26-fb" },
};
static const struct field_names versions = FIELD_NAMES(version_rows, "UNDETERMINED");

static const struct field_name level_rows[] = { { 1, "warning" }, { 2, "fatal" } };
static const struct field_names levels = FIELD_NAMES(level_rows, "unknown");

/* RFC 5246 7.2.2, RFC 8446 6.2, and what earlier versions had. */
static const struct field_name description_rows[] = {
	{ 0, "close_notify" },
	{ 10, "unexpected_message" },
	{ 20, "bad_record_mac" },
	{ 21, "decryption_failed" },
	{ 22, "record_overflow" },
	{ 30, "decompression_failure" },
	{ 40, "handshake_failure" },
	{ 41, "no_certificate" },
	{ 42, "bad_certificate" },
	{ 43, "unsupported_certificate" },
	{ 44, "certificate_revoked" },
	{ 45, "certificate_expired" },
	{ 46, "certificate_unknown" },
	{ 47, "illegal_parameter" },
	{ 48, "unknown_ca" },
	{ 49, "access_denied" },
	{ 50, "decode_error" },
	{ 51, "decrypt_error" },
	{ 60, "export_restriction" },
	{ 70, "protocol_version" },
	{ 71, "insufficient_security" },
	{ 80, "internal_error" },
	{ 86, "inappropriate_fallback" },
	{ 90, "user_canceled" },
	{ 100, "no_renegotiation" },
	{ 109, "missing_extension" },
	{ 110, "unsupported_extension" },
	{ 111, "certificate_unobtainable" },
	{ 112, "unrecognized_name" },
	{ 113, "bad_certificate_status_response" },
	{ 114, "bad_certificate_hash_value" },
	{ 115, "unknown_psk_identity" },
	{ 116, "certificate_required" },
	{ 120, "no_application_protocol" },
};
static const struct field_names descriptions = FIELD_NAMES(description_rows, "unknown");

static const struct field text_fields[] = {
	{ "name", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct tls_text, text), NULL, NULL, "RFC 5280, 7301", "one of them" },
};
static const struct record_table text_table = TABLE("names", text_fields, tls_text);
const struct record_table *const tls_text_tables[] = { &text_table, NULL };

static const struct field der_fields[] = {
	{ "der", FIELD_HEX, FIELD_ALWAYS, 0, offsetof(struct tls_text, text), NULL, NULL, "RFC 5280 4.1", "a certificate" },
};
static const struct record_table der_table = TABLE("certs", der_fields, tls_text);
const struct record_table *const tls_der_tables[] = { &der_table, NULL };

static const struct field chain_fields[] = {
	{ "certificate", FIELD_BASE64, FIELD_ALWAYS, 0, offsetof(struct tls_text, text), NULL, NULL, "RFC 5280 4.1", "a certificate" },
};
static const struct record_table chain_table = TABLE("chain", chain_fields, tls_text);
const struct record_table *const tls_chain_tables[] = { &chain_table, NULL };

static const struct field alert_fields[] = {
	{ "level", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct tls_alert, level), &levels, NULL,
		"RFC 5246 7.2", "severity" },
	{ "description", FIELD_U8, FIELD_ALWAYS, 0, offsetof(struct tls_alert, description), &descriptions, NULL,
		"RFC 5246 7.2", "what is wrong" },
	{ "to_server", FIELD_BOOL, FIELD_ALWAYS, 0, offsetof(struct tls_alert, to_server), NULL, NULL,
		"own", "sent by the client" },
};
static const struct record_table alert_table = TABLE("alerts", alert_fields, tls_alert);
const struct record_table *const tls_alert_tables[] = { &alert_table, NULL };

#define CERT_ROW(key, type, bit, member, source, help) \
	{ key, FIELD_##type, TLS_HAS_##bit, 0, offsetof(struct SHAPE, cert.member), NULL, NULL, source, help }
#define CERT_ROWS \
	CERT_ROW("subject", STRING, SUBJECT, subject, "RFC 5280 4.1.2.6", "whom the certificate names"), \
	CERT_ROW("issuerdn", STRING, ISSUER, issuer, "RFC 5280 4.1.2.4", "who signed it"), \
	CERT_ROW("serial", STRING, SERIAL, serial, "RFC 5280 4.1.2.2", "serial number, hex with colons"), \
	CERT_ROW("fingerprint", STRING, FINGERPRINT, fingerprint, "FIPS 180-4", "SHA-1 of the certificate, hex with colons"), \
	CERT_ROW("notbefore", STRING, NOTBEFORE, not_before, "RFC 5280 4.1.2.5", "valid from, UTC"), \
	CERT_ROW("notafter", STRING, NOTAFTER, not_after, "RFC 5280 4.1.2.5", "valid until, UTC"), \
	CERT_ROW("self_signed", BOOL, SELF_SIGNED, self_signed, "own", "issuer and subject are the same"), \
	{ "subjectaltname", FIELD_LIST, TLS_HAS_NAMES, FIELD_BARE, offsetof(struct SHAPE, cert.names), NULL, tls_text_tables, \
		"RFC 5280 4.2.1.6", "its other names: hosts, addresses, URIs, mail" }, \
	CERT_ROW("certificate", BASE64, DER, der, "RFC 5280 4.1", "with `log-certificates`: all of it"), \
	{ "chain", FIELD_LIST, TLS_HAS_DER, FIELD_BARE, offsetof(struct SHAPE, cert.chain), NULL, tls_chain_tables, \
		"RFC 5246 7.4.2", "with `log-certificates`: it and those behind it, as many as 24 KiB hold" }

#define SHAPE tls_peer
static const struct field peer_fields[] = { CERT_ROWS };
#undef SHAPE
static const struct record_table peer_table = TABLE("client", peer_fields, tls_peer);
const struct record_table *const tls_peer_tables[] = { &peer_table, NULL };

#define ROW(key, type, bit, member, names, source, help) \
	{ key, FIELD_##type, TLS_HAS_##bit, 0, offsetof(struct tls_record, member), names, NULL, source, help }
#define LIST(key, flags, bit, member, tables, source, help) \
	{ key, FIELD_LIST, TLS_HAS_##bit, flags, offsetof(struct tls_record, member), NULL, tables, source, help }
#define RULES(key, type, bit, member, source, help) \
	{ key, FIELD_##type, TLS_HAS_##bit, FIELD_HIDDEN, offsetof(struct tls_record, member), NULL, NULL, source, help }

#define SHAPE tls_record
static const struct field tls_fields[] = {
	CERT_ROWS,
	ROW("session_resumed", BOOL, RESUMED, resumed, NULL, "RFC 8446 2.2",
		"an earlier session goes on, or one by a key agreed on elsewhere: no certificate is shown"),
	ROW("sni", STRING, SNI, sni, NULL, "RFC 6066 3", "the server's name, as the client asks for it"),
	ROW("version", U16, VERSION, version, &versions, "RFC 8446 4.2.1", "version of the session; before an answer the client's highest"),
	ROW("ja3.hash", STRING, JA3, ja3_hash, NULL, "JA3", "MD5 of ja3.string"),
	ROW("ja3.string", STRING, JA3, ja3_string, NULL, "JA3", "what the client's hello offers, in numbers"),
	ROW("ja3s.hash", STRING, JA3S, ja3s_hash, NULL, "JA3", "MD5 of ja3s.string"),
	ROW("ja3s.string", STRING, JA3S, ja3s_string, NULL, "JA3", "what the server's hello chose, in numbers"),
	ROW("ja4", STRING, JA4, ja4, NULL, "JA4", "fingerprint of the client's hello"),
	LIST("client_alpns", FIELD_BARE, CLIENT_ALPNS, client_alpns, tls_text_tables, "RFC 7301 3.1", "protocols that the client offers"),
	LIST("server_alpns", FIELD_BARE, SERVER_ALPNS, server_alpns, tls_text_tables, "RFC 7301 3.1", "protocol that the server chose"),
	ROW("client_handshake.version", U16, CLIENT_HELLO, client_version, &versions, "RFC 8446 4.2.1", "highest version offered"),
	ROW("client_handshake.ciphers", U16S, CLIENT_LISTS, client_ciphers, NULL, "RFC 5246 7.4.1.2", "cipher suites offered"),
	ROW("client_handshake.exts", U16S, CLIENT_LISTS, client_extensions, NULL, "RFC 5246 7.4.1.4", "types of extensions"),
	ROW("client_handshake.groups", U16S, CLIENT_LISTS, client_groups, NULL, "RFC 8446 4.2.7", "groups for key exchange"),
	ROW("client_handshake.sig_algs", U16S, CLIENT_LISTS, client_signatures, NULL, "RFC 8446 4.2.3", "signature algorithms"),
	ROW("server_handshake.version", U16, SERVER_HELLO, server_version, &versions, "RFC 8446 4.1.3", "version chosen"),
	ROW("server_handshake.cipher", U16, SERVER_HELLO, server_cipher, NULL, "RFC 5246 7.4.1.3", "cipher suite chosen"),
	ROW("server_handshake.exts", U16S, SERVER_LISTS, server_extensions, NULL, "RFC 5246 7.4.1.4", "types of extensions"),
	LIST("client", FIELD_ONE | FIELD_LATE, CLIENT, client, tls_peer_tables, "RFC 5246 7.4.6", "the client's certificate"),
	LIST("alerts", 0, ALERTS, alerts, tls_alert_tables, "RFC 5246 7.2", "alerts in the clear, at most 8"),
	RULES("cert_chain_len", U32, CHAIN, chain_len, "RFC 5246 7.4.2", "certificates of the chain"),
	{ "certs", FIELD_LIST, TLS_HAS_CERTS, FIELD_HIDDEN | FIELD_BARE, offsetof(struct tls_record, certs), NULL, tls_der_tables,
		"RFC 5246 7.4.2", "the chain's certificates as bytes, at most 16" },
	{ "alpn", FIELD_LIST, TLS_HAS_ALPN, FIELD_HIDDEN | FIELD_BARE, offsetof(struct tls_record, alpn), NULL, tls_text_tables,
		"RFC 7301 3.1", "protocols that the sender names" },
	RULES("random", HEX, RANDOM, random, "RFC 5246 7.4.1.2", "the hello's 32 random bytes"),
	RULES("random_time", HEX, RANDOM, random_time, "RFC 5246 7.4.1.2", "the first 4 of them"),
	RULES("random_bytes", HEX, RANDOM, random_bytes, "RFC 5246 7.4.1.2", "the other 28"),
};
#undef SHAPE

const struct record_table tls_table = TABLE("tls", tls_fields, tls_record);

const struct rule_app_event tls_events[] = {
	[TLS_EVENT_INVALID_SSLV2_HEADER] = { "invalid_sslv2_header", "a hello of SSL 2.0 whose lengths do not fit" },
	[TLS_EVENT_INVALID_RECORD_LENGTH] = { "invalid_record_length", "a ChangeCipherSpec of another length than 1" },
	[TLS_EVENT_INVALID_HANDSHAKE_MESSAGE] = { "invalid_handshake_message", "a message that is unknown or ends within a field" },
	[TLS_EVENT_HANDSHAKE_INVALID_LENGTH] = { "handshake_invalid_length", "bytes behind the last field of a hello" },
	[TLS_EVENT_HANDSHAKE_TOO_LONG] = { "handshake_too_long", "a handshake message of more than 64 KiB, which is not read" },
	[TLS_EVENT_MULTIPLE_SNI] = { "multiple_sni_extensions", "a hello that names the server twice" },
	[TLS_EVENT_INVALID_SNI_TYPE] = { "invalid_sni_type", "a server name that is no host name" },
	[TLS_EVENT_INVALID_SNI_LENGTH] = { "invalid_sni_length", "a server name longer than its extension" },
	[TLS_EVENT_INVALID_ALERT] = { "invalid_alert_message", "an alert of another length than 2, or of no known level" },
	[TLS_EVENT_INVALID_HEARTBEAT] = { "invalid_heartbeat_message", "a heartbeat that is cut or neither request nor response" },
	[TLS_EVENT_OVERFLOW_HEARTBEAT] = { "overflow_heartbeat_message", "a heartbeat that claims more bytes than it has" },
	[TLS_EVENT_DATALEAK_HEARTBEAT] = { "dataleak_heartbeat_mismatch", "a heartbeat response longer than its request" },
	[TLS_EVENT_INVALID_CERTIFICATE] = { "invalid_certificate", "a certificate that cannot be read" },
	[TLS_EVENT_CERTIFICATE_INVALID_LENGTH] = { "certificate_invalid_length", "a chain whose lengths do not fit" },
	[TLS_EVENT_CERTIFICATE_INVALID_DER] = { "certificate_invalid_der", "a certificate that is not encoded as it must be" },
	[TLS_EVENT_CERTIFICATE_INVALID_DATE] = { "certificate_invalid_date", "a certificate with a time that is none" },
	[TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS] = { "certificate_invalid_extensions", "extensions of a certificate that cannot be read" },
	[TLS_EVENT_UNEXPECTED_HELLO] = { "unexpected_hello", "a third hello of one end, in the clear" },
};

const struct counter_desc tls_counters[] = {
	[TLS_COUNT_SESSIONS] = { "tls.sessions", "sessions written" },
	[TLS_COUNT_RECORDS] = { "tls.records", "records seen, those of encrypted data among them" },
	[TLS_COUNT_ENCRYPTED_BYTES] = { "tls.encrypted_bytes", "bytes of application data passed over" },
	[TLS_COUNT_INCOMPLETE] = { "tls.incomplete", "sessions written whose handshake was not seen to its end" },
	[TLS_COUNT_HANDSHAKES_SKIPPED] = { "tls.handshakes_skipped", "handshake messages not read: too long, or no memory" },
	[TLS_COUNT_SHED] = { "tls.shed", "sessions written early and messages not read: no memory" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.tls.log-handshake", KNOB_BOOL, offsetof(struct tls_config, log_handshake), 0, 0, "no", NULL,
		"the lists of both hellos are written: `tls.client_handshake.ciphers`, `exts`, `groups` and `sig_algs`, `tls.server_handshake.exts`" },
	{ "app-layer.protocols.tls.log-certificates", KNOB_BOOL, offsetof(struct tls_config, log_certificates), 0, 0, "no", NULL,
		"certificates are written whole, in base64: `tls.certificate` and `tls.chain`" },
};
const struct knob_table tls_knobs = { .owner = "tls", .knobs = knobs, .count = COUNT(knobs) };
