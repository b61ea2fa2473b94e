/* Conditions on packets, flows and records, as rule_test.fn. Hot: no allocation, no log, no clock. */
#ifndef MR_RULE_TESTS_H
#define MR_RULE_TESTS_H

#include "lib/rule/rule_internal.h"

#define RULE_TESTS(X) \
	X(dsize) X(ttl) X(itype) X(icode) X(icmp_id) X(icmp_seq) X(ip_proto) X(tcp_flags) X(seq) X(ack) X(window) X(tcp_mss) \
	X(tcp_wscale) X(ipopts) X(vlan_id) X(vlan_layers) X(id) X(tos) X(fragoffset) X(fragbits) X(sameip) X(icmpv6_mtu) \
	X(l3_proto) X(stream_size) X(flow_age) X(flow_start) X(flow_pkts_toserver) X(flow_pkts_toclient) X(flow_bytes_toserver) \
	X(flow_bytes_toclient) X(flow_pkts) X(flow_bytes) X(flow_elephant) X(app_protocol) X(field_number) X(field_real) X(field_array) X(field_element) X(field_scalars) X(field_value) X(field_present) X(field_ip) X(field_mac) \
	X(sctp_vtag) X(sctp_chunk_cnt) X(sctp_chunk_type) X(tcp_session) X(own) X(rpc) X(igmp_type) X(csum) X(iprep) X(geoip) X(file_size) X(file_hash)

#define RULE_TEST_DECLARE(name) bool rule_test_##name(const struct rule_view *view, const struct rule_test *test);
RULE_TESTS(RULE_TEST_DECLARE)
#undef RULE_TEST_DECLARE

/** keyword_file.c */
bool rule_file_hash_listed(const struct rule_file_hashes *list, const uint8_t *digest);

typedef int64_t (*rule_element_fn)(const void *list, uint32_t i);

/** Whether a test of a list of numbers holds. @param at  gives one of the count numbers. rule_elements.c */
bool rule_elements_hold(const struct rule_test *test, uint32_t count, rule_element_fn at, const void *list);

/** Bytes of an element of an array of numbers. */
static inline unsigned int
rule_array_size(const struct field *field)
{
	return field->type == FIELD_U16S ? 2 : field->type == FIELD_U32S ? 4 : 1;
}

#endif
