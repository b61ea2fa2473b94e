/*
 * The tables of DNS: names of codes, fields (EVE keys, rule keywords and reference in one), named events, counters. Names
 * and keys are Suricata's, of version 3 of its event's form.
 */
#include "proto/dns/dns.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(label, array, type) \
	{ .name = (label), .fields = (array), .field_count = COUNT(array), .size = sizeof(struct type) }

static const struct field_name types_rows[] = {
	{ 1, "A" },
	{ 2, "NS" },
	{ 3, "MD" },
	{ 4, "MF" },
	{ 5, "CNAME" },
	{ 6, "SOA" },
	{ 7, "MB" },
	{ 8, "MG" },
	{ 9, "MR" },
	{ 10, "NULL" },
	{ 11, "WKS" },
	{ 12, "PTR" },
	{ 13, "HINFO" },
	{ 14, "MINFO" },
	{ 15, "MX" },
	{ 16, "TXT" },
	{ 17, "RP" },
	{ 18, "AFSDB" },
	{ 19, "X25" },
	{ 20, "ISDN" },
	{ 21, "RT" },
	{ 22, "NSAP" },
	{ 23, "NSAPPTR" },
	{ 24, "SIG" },
	{ 25, "KEY" },
	{ 26, "PX" },
	{ 27, "GPOS" },
	{ 28, "AAAA" },
	{ 29, "LOC" },
	{ 30, "NXT" },
	{ 33, "SRV" },
	{ 34, "ATMA" },
	{ 35, "NAPTR" },
	{ 36, "KX" },
	{ 37, "CERT" },
	{ 38, "A6" },
	{ 39, "DNAME" },
	{ 41, "OPT" },
	{ 42, "APL" },
	{ 43, "DS" },
	{ 44, "SSHFP" },
	{ 45, "IPSECKEY" },
	{ 46, "RRSIG" },
	{ 47, "NSEC" },
	{ 48, "DNSKEY" },
	{ 49, "DHCID" },
	{ 50, "NSEC3" },
	{ 51, "NSEC3PARAM" },
	{ 52, "TLSA" },
	{ 53, "SMIMEA" },
	{ 55, "HIP" },
	{ 59, "CDS" },
	{ 60, "CDNSKEY" },
	{ 61, "OPENPGPKEY" },
	{ 62, "CSYNC" },
	{ 63, "ZONEMD" },
	{ 64, "SVCB" },
	{ 65, "HTTPS" },
	{ 99, "SPF" },
	{ 108, "EUI48" },
	{ 109, "EUI64" },
	{ 249, "TKEY" },
	{ 250, "TSIG" },
	{ 251, "IXFR" },
	{ 252, "AXFR" },
	{ 253, "MAILB" },
	{ 254, "MAILA" },
	{ 255, "ANY" },
	{ 256, "URI" },
	{ 257, "CAA" },
};
const struct field_names dns_types = FIELD_NAMES(types_rows, "TYPE-");

static const struct field_name rcodes_rows[] = {
	{ 0, "NOERROR" },
	{ 1, "FORMERR" },
	{ 2, "SERVFAIL" },
	{ 3, "NXDOMAIN" },
	{ 4, "NOTIMP" },
	{ 5, "REFUSED" },
	{ 6, "YXDOMAIN" },
	{ 7, "YXRRSET" },
	{ 8, "NXRRSET" },
	{ 9, "NOTAUTH" },
	{ 10, "NOTZONE" },
	{ 11, "DSOTYPENI" },
	{ 16, "BADVERS" },
	{ 17, "BADKEY" },
	{ 18, "BADTIME" },
	{ 19, "BADMODE" },
	{ 20, "BADNAME" },
	{ 21, "BADALG" },
	{ 22, "BADTRUNC" },
	{ 23, "BADCOOKIE" },
};
static const struct field_names rcodes = FIELD_NAMES(rcodes_rows, "RCODE-");

static const struct field_name kinds_rows[] = { { 0, "request" }, { 1, "response" } };
static const struct field_names kinds = FIELD_NAMES(kinds_rows, NULL);

static const struct field_name services_rows[] = {
	{ DNS_SERVICE_DNS, "dns" },
	{ DNS_SERVICE_MDNS, "mdns" },
	{ DNS_SERVICE_LLMNR, "llmnr" },
};
static const struct field_names services = FIELD_NAMES(services_rows, NULL);

/* Types of answers that are listed once more by type. */
const uint16_t dns_groups[DNS_GROUP_COUNT] = { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_CNAME, DNS_TYPE_MX, DNS_TYPE_NS,
	DNS_TYPE_NULL, DNS_TYPE_PTR, DNS_TYPE_TXT };

/* ---- questions and records ---- */

#define AT(member) offsetof(struct dns_rr, member)

static const struct field query_fields[] = {
	{ "rrname", FIELD_STRING, FIELD_ALWAYS, FIELD_OCTETS, AT(name), NULL, NULL, "RFC 1035 4.1.2", "name asked for" },
	{ "rrtype", FIELD_U16, DNS_RR_HAS_TYPE, 0, AT(type), &dns_types, NULL, "RFC 1035 4.1.2", "type asked for" },
	{ "class", FIELD_U16, DNS_RR_HAS_TYPE, FIELD_HIDDEN, AT(class), NULL, NULL, "RFC 1035 4.1.2", "class, 1 for the Internet" },
};
static const struct record_table query_table = TABLE("query", query_fields, dns_rr);
const struct record_table *const dns_query_tables[] = { &query_table, NULL };

static const struct field option_fields[] = {
	{ "code", FIELD_U16, FIELD_ALWAYS, 0, offsetof(struct dns_option, code), NULL, NULL, "RFC 6891 6.1.2", "option code" },
	{ "data", FIELD_HEX, FIELD_ALWAYS, 0, offsetof(struct dns_option, data), NULL, NULL, "RFC 6891 6.1.2", "option data" },
};
static const struct record_table option_table = TABLE("option", option_fields, dns_option);
const struct record_table *const dns_option_tables[] = { &option_table, NULL };

static const struct field rr_fields[] = {
	{ "rrname", FIELD_STRING, FIELD_ALWAYS, FIELD_OCTETS, AT(name), NULL, NULL, "RFC 1035 4.1.3", "name of the record" },
	{ "rrtype", FIELD_U16, DNS_RR_HAS_TYPE, 0, AT(type), &dns_types, NULL, "RFC 1035 4.1.3", "type of the record" },
	{ "class", FIELD_U16, DNS_RR_HAS_TYPE, FIELD_HIDDEN, AT(class), NULL, NULL, "RFC 1035 4.1.3", "class, 1 for the Internet" },
	{ "ttl", FIELD_U32, DNS_RR_HAS_TTL, 0, AT(ttl_s), NULL, NULL, "RFC 1035 4.1.3", "seconds it may be kept" },
	{ "rdata", FIELD_IP, DNS_RR_HAS_IP, 0, AT(data.ip), NULL, NULL, "RFC 1035 3.4.1", "address of A and AAAA" },
	{ "rdata", FIELD_STRING, DNS_RR_HAS_TEXT, FIELD_OCTETS, AT(text), NULL, NULL, "RFC 1035 3.3",
		"name of CNAME, DNAME, MX, NS and PTR; a string of TXT; bytes of NULL" },
	{ "preference", FIELD_U16, DNS_RR_HAS_MX, 0, AT(data.srv.priority), NULL, NULL, "RFC 1035 3.3.9", "preference of MX" },
	{ "srv.priority", FIELD_U16, DNS_RR_HAS_SRV, 0, AT(data.srv.priority), NULL, NULL, "RFC 2782", "the lowest is asked first" },
	{ "srv.weight", FIELD_U16, DNS_RR_HAS_SRV, 0, AT(data.srv.weight), NULL, NULL, "RFC 2782", "share among equals" },
	{ "srv.port", FIELD_U16, DNS_RR_HAS_SRV, 0, AT(data.srv.port), NULL, NULL, "RFC 2782", "port of the service" },
	{ "srv.name", FIELD_STRING, DNS_RR_HAS_SRV, FIELD_OCTETS, AT(text), NULL, NULL, "RFC 2782", "host of the service" },
	{ "soa.mname", FIELD_STRING, DNS_RR_HAS_SOA, FIELD_OCTETS, AT(text), NULL, NULL, "RFC 1035 3.3.13", "primary name server" },
	{ "soa.rname", FIELD_STRING, DNS_RR_HAS_SOA, FIELD_OCTETS, AT(data.soa.rname), NULL, NULL, "RFC 1035 3.3.13", "mailbox" },
	{ "soa.serial", FIELD_U32, DNS_RR_HAS_SOA, 0, AT(data.soa.serial), NULL, NULL, "RFC 1035 3.3.13", "version of the zone" },
	{ "soa.refresh", FIELD_U32, DNS_RR_HAS_SOA, 0, AT(data.soa.refresh_s), NULL, NULL, "RFC 1035 3.3.13", "seconds" },
	{ "soa.retry", FIELD_U32, DNS_RR_HAS_SOA, 0, AT(data.soa.retry_s), NULL, NULL, "RFC 1035 3.3.13", "seconds" },
	{ "soa.expire", FIELD_U32, DNS_RR_HAS_SOA, 0, AT(data.soa.expire_s), NULL, NULL, "RFC 1035 3.3.13", "seconds" },
	{ "soa.minimum", FIELD_U32, DNS_RR_HAS_SOA, 0, AT(data.soa.minimum_s), NULL, NULL, "RFC 1035 3.3.13", "seconds" },
	{ "sshfp.algo", FIELD_U8, DNS_RR_HAS_SSHFP, 0, AT(data.sshfp.algorithm), NULL, NULL, "RFC 4255 3.1.1", "algorithm of the key" },
	{ "sshfp.type", FIELD_U8, DNS_RR_HAS_SSHFP, 0, AT(data.sshfp.type), NULL, NULL, "RFC 4255 3.1.2", "1: SHA-1, 2: SHA-256" },
	{ "sshfp.fingerprint", FIELD_STRING, DNS_RR_HAS_SSHFP, 0, AT(data.sshfp.fingerprint), NULL, NULL, "RFC 4255 3.1.3",
		"hex with colons" },
	{ "opt", FIELD_LIST, DNS_RR_HAS_OPT, 0, AT(data.options), NULL, dns_option_tables, "RFC 6891 6.1.2", "options of OPT" },
	{ "data", FIELD_HEX, DNS_RR_HAS_DATA, 0, AT(text), NULL, NULL, "RFC 1035 4.1.3", "of any other type: its bytes" },
};
static const struct record_table rr_table = TABLE("rr", rr_fields, dns_rr);
const struct record_table *const dns_rr_tables[] = { &rr_table, NULL };

static const struct field address_fields[] = {
	{ "value", FIELD_IP, FIELD_ALWAYS, 0, offsetof(struct dns_value, ip), NULL, NULL, "RFC 1035 3.4.1", "address" },
};
static const struct field text_fields[] = {
	{ "value", FIELD_STRING, FIELD_ALWAYS, FIELD_OCTETS, offsetof(struct dns_value, text), NULL, NULL, "RFC 1035 3.3", "name or text" },
};
static const struct record_table address_table = TABLE("address", address_fields, dns_value);
static const struct record_table text_table = TABLE("text", text_fields, dns_value);
const struct record_table *const dns_value_tables[] = { &address_table, &text_table, NULL };

/* ---- a message ---- */

#undef AT
#define AT(member) offsetof(struct dns_record, member)

static const struct field dns_fields[] = {
	{ "version", FIELD_U8, FIELD_ALWAYS, 0, AT(version), NULL, NULL, "own", "of the event's form: 3" },
	{ "type", FIELD_U8, FIELD_ALWAYS, 0, AT(type), &kinds, NULL, "RFC 1035 4.1.1", "request or response" },
	{ "tx_id", FIELD_U32, FIELD_ALWAYS, 0, AT(tx_id), NULL, NULL, "own", "messages of the flow before the request; a response has its request's" },
	{ "id", FIELD_U16, FIELD_ALWAYS, 0, AT(id), NULL, NULL, "RFC 1035 4.1.1", "identifier" },
	{ "flags", FIELD_STRING, FIELD_ALWAYS, 0, AT(flags_text), NULL, NULL, "RFC 1035 4.1.1", "second word of the header, hexadecimal" },
	{ "qr", FIELD_BOOL, DNS_HAS_QR, 0, AT(set), NULL, NULL, "RFC 1035 4.1.1", "response" },
	{ "aa", FIELD_BOOL, DNS_HAS_AA, 0, AT(set), NULL, NULL, "RFC 1035 4.1.1", "authoritative answer" },
	{ "tc", FIELD_BOOL, DNS_HAS_TC, 0, AT(set), NULL, NULL, "RFC 1035 4.1.1", "cut" },
	{ "rd", FIELD_BOOL, DNS_HAS_RD, 0, AT(set), NULL, NULL, "RFC 1035 4.1.1", "recursion desired" },
	{ "ra", FIELD_BOOL, DNS_HAS_RA, 0, AT(set), NULL, NULL, "RFC 1035 4.1.1", "recursion available" },
	{ "z", FIELD_BOOL, DNS_HAS_Z, 0, AT(set), NULL, NULL, "RFC 1035 4.1.1", "reserved bit" },
	{ "opcode", FIELD_U8, FIELD_ALWAYS, 0, AT(opcode), NULL, NULL, "RFC 1035 4.1.1", "kind of query, 0 for a standard one" },
	{ "rcode", FIELD_U16, FIELD_ALWAYS, 0, AT(rcode), &rcodes, NULL, "RFC 6895 2.3", "response code, extended by EDNS" },
	{ "service", FIELD_U8, DNS_HAS_SERVICE, 0, AT(service), &services, NULL, "own", "mdns or llmnr, by their ports" },
	{ "rrtype", FIELD_U16S, DNS_HAS_TYPES, FIELD_HIDDEN, AT(types), &dns_types, NULL, "RFC 1035 4.1", "types of a request's questions, of a response's answers" },
	{ "query", FIELD_LIST, DNS_HAS_REQUEST, FIELD_HIDDEN, AT(queries), NULL, dns_query_tables, "RFC 1035 4.1.2", "questions of a request" },
	{ "response", FIELD_LIST, DNS_HAS_RESPONSE, FIELD_HIDDEN, AT(queries), NULL, dns_query_tables, "RFC 1035 4.1.2", "questions of a response" },
	{ "queries", FIELD_LIST, DNS_HAS_QUERIES, 0, AT(queries), NULL, dns_query_tables, "RFC 1035 4.1.2", "questions" },
	{ "answers", FIELD_LIST, DNS_HAS_ANSWERS, 0, AT(answers), NULL, dns_rr_tables, "RFC 1035 4.1.3", "answers" },
	{ "grouped.A", FIELD_LIST, DNS_HAS_GROUP, FIELD_BARE, AT(groups[0]), NULL, dns_value_tables, "own", "values of the A answers" },
	{ "grouped.AAAA", FIELD_LIST, DNS_HAS_GROUP + 1, FIELD_BARE, AT(groups[1]), NULL, dns_value_tables, "own", "values of the AAAA answers" },
	{ "grouped.CNAME", FIELD_LIST, DNS_HAS_GROUP + 2, FIELD_BARE, AT(groups[2]), NULL, dns_value_tables, "own", "values of the CNAME answers" },
	{ "grouped.MX", FIELD_LIST, DNS_HAS_GROUP + 3, FIELD_BARE, AT(groups[3]), NULL, dns_value_tables, "own", "values of the MX answers" },
	{ "grouped.NS", FIELD_LIST, DNS_HAS_GROUP + 4, FIELD_BARE, AT(groups[4]), NULL, dns_value_tables, "own", "values of the NS answers" },
	{ "grouped.NULL", FIELD_LIST, DNS_HAS_GROUP + 5, FIELD_BARE, AT(groups[5]), NULL, dns_value_tables, "own", "values of the NULL answers" },
	{ "grouped.PTR", FIELD_LIST, DNS_HAS_GROUP + 6, FIELD_BARE, AT(groups[6]), NULL, dns_value_tables, "own", "values of the PTR answers" },
	{ "grouped.TXT", FIELD_LIST, DNS_HAS_GROUP + 7, FIELD_BARE, AT(groups[7]), NULL, dns_value_tables, "own", "values of the TXT answers" },
	{ "authorities", FIELD_LIST, DNS_HAS_AUTHORITIES, 0, AT(authorities), NULL, dns_rr_tables, "RFC 1035 4.1.3", "name servers" },
	{ "additionals", FIELD_LIST, DNS_HAS_ADDITIONALS, 0, AT(additionals), NULL, dns_rr_tables, "RFC 1035 4.1.3", "additional records" },
	{ "response_time_us", FIELD_U32, DNS_HAS_RESPONSE_TIME, 0, AT(response_time_us), NULL, NULL, "own", "from the request to this response" },
};
const struct record_table dns_table = TABLE("dns", dns_fields, dns_record);

/* Every name of a response. */
#define DNS_RESPONSE_NAMES "response.rrname answers.rrname answers.rdata answers.soa.mname authorities.rrname authorities.rdata " \
	"authorities.soa.mname additionals.rrname additionals.rdata"

const struct rule_app_alias dns_aliases[DNS_ALIAS_COUNT] = {
	{ "mdns", "service", "mdns" },
	{ "llmnr", "service", "llmnr" },
};

/* Suricata's names. dns.query is asked of requests only, dns.queries.rrname of responses too. */
const struct rule_app_buffer dns_buffers[] = {
	{ "dns.query", "query.rrname" },
	{ "dns_query", "query.rrname" },
	{ "dns.query.name", "queries.rrname" },
	{ "dns.answer.name", "answers.rrname" },
	{ "dns.queries.rrname", "queries.rrname" },
	{ "dns.answers.rrname", "answers.rrname" },
	{ "dns.authorities.rrname", "authorities.rrname" },
	{ "dns.additionals.rrname", "additionals.rrname" },
	{ "dns.response.rrname", DNS_RESPONSE_NAMES },
	{ "dns.responses.rrname", DNS_RESPONSE_NAMES },
};
static_assert(COUNT(dns_buffers) == DNS_BUFFER_COUNT, "each buffer is counted");

const struct rule_app_event dns_events[] = {
	[DNS_EVENT_MALFORMED_DATA] = { "malformed_data", "a question, name or record that ends early or does not fit its length" },
	[DNS_EVENT_NOT_REQUEST] = { "not_request", "a response from the client" },
	[DNS_EVENT_NOT_RESPONSE] = { "not_response", "a request from the server" },
	[DNS_EVENT_Z_FLAG_SET] = { "z_flag_set", "the reserved bit is set" },
	[DNS_EVENT_INVALID_OPCODE] = { "invalid_opcode", "a kind of query that is not defined" },
	[DNS_EVENT_NAME_TOO_LONG] = { "name_too_long", "a name of more than 255 characters; it is cut" },
	[DNS_EVENT_INFINITE_LOOP] = { "infinite_loop", "a name with more than 16 compression pointers" },
	[DNS_EVENT_TOO_MANY_LABELS] = { "too_many_labels", "a name of more than 128 labels; it is cut" },
	[DNS_EVENT_INVALID_ADDITIONALS] = { "invalid_additionals", "the additional records end early" },
	[DNS_EVENT_INVALID_AUTHORITIES] = { "invalid_authorities", "the authority records end early" },
	[DNS_EVENT_UNSOLICITED_RESPONSE] = { "unsolicited_response", "over UDP, a response to none of the flow's requests" },
	[DNS_EVENT_FLOODED] = { "flooded", "more than 32 requests of a flow wait; said once" },
	[DNS_EVENT_TOO_MANY_RECORDS] = { "too_many_records", "more than 256 questions or 512 records; the rest is not read" },
	[DNS_EVENT_TRAILING_BYTES] = { "trailing_bytes", "bytes behind the last record" },
};

static const struct knob knobs[] = {
	{ "app-layer.protocols.dns.requests", KNOB_BOOL, offsetof(struct dns_config, requests), 0, 0, "yes", NULL,
		"requests are written as events" },
	{ "app-layer.protocols.dns.responses", KNOB_BOOL, offsetof(struct dns_config, responses), 0, 0, "yes", NULL,
		"responses are written as events" },
};

const struct knob_table dns_knobs = { .owner = "dns", .knobs = knobs, .count = COUNT(knobs) };

const struct counter_desc dns_counters[] = {
	[DNS_COUNT_REQUESTS] = { "dns.requests", "requests read" },
	[DNS_COUNT_RESPONSES] = { "dns.responses", "responses read" },
	[DNS_COUNT_UNANSWERED] = { "dns.unanswered", "requests given up without a response" },
	[DNS_COUNT_ORPHANS] = { "dns.orphan_responses", "responses without a request" },
	[DNS_COUNT_RECORDS_SHED] = { "dns.records_shed", "messages whose last records were not read: too many, or no room" },
	[DNS_COUNT_CUT] = { "dns.cut", "messages over TCP of which only the first 16 KiB were read" },
};
