/* Questions and resource records with their values. */
#include "proto/dns/dns.h"

struct dns_header
dns_header_read(struct cursor *in)
{
	struct dns_header header = { 0 };

	header.id = cursor_be16(in);
	header.flags = cursor_be16(in);
	for (unsigned int i = 0; i < 4; i++)
		header.counts[i] = cursor_be16(in);
	return header;
}

static void
say_faults(struct dns_message *message, const struct dns_name *name)
{
	message->ctx->events |= name->faults;
}

static bool
take_name(struct dns_message *message, struct cursor *in, struct record_ref *ref)
{
	struct dns_name name;

	if (!dns_name_read(message->whole, in, &name))
		return false;
	say_faults(message, &name);
	record_put_bytes(message->ctx->record, ref, name.text, name.len);
	return true;
}

static void
put_data(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata, uint8_t bit)
{
	size_t len = cursor_left(rdata);
	const uint8_t *at;

	len = len > DNS_RDATA_LEN_MAX ? DNS_RDATA_LEN_MAX : len;
	at = cursor_take(rdata, len);
	cursor_skip(rdata, cursor_left(rdata));
	if (at != NULL && len > 0) {
		record_put_bytes(message->ctx->record, &rr->text, at, (uint32_t)len);
		record_present(&rr->head, bit);
	}
}

static void
read_ip(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	size_t len = rr->type == DNS_TYPE_A ? 4 : 16;
	const uint8_t *at = cursor_take(rdata, len);

	(void)message;
	if (at == NULL)
		return;
	rr->data.ip.version = rr->type == DNS_TYPE_A ? 4 : 6;
	memcpy(rr->data.ip.bytes, at, len);
	record_present(&rr->head, DNS_RR_HAS_IP);
}

static void
read_name(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	if (take_name(message, rdata, &rr->text))
		record_present(&rr->head, DNS_RR_HAS_TEXT);
	else
		rdata->short_read = true;
}

static void
read_mx(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	rr->data.srv.priority = cursor_be16(rdata);
	record_present(&rr->head, DNS_RR_HAS_MX);
	read_name(message, rr, rdata);
}

static void
read_srv(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	rr->data.srv.priority = cursor_be16(rdata);
	rr->data.srv.weight = cursor_be16(rdata);
	rr->data.srv.port = cursor_be16(rdata);
	if (take_name(message, rdata, &rr->text))
		record_present(&rr->head, DNS_RR_HAS_SRV);
	else
		rdata->short_read = true;
}

static void
read_soa(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	if (!take_name(message, rdata, &rr->text) || !take_name(message, rdata, &rr->data.soa.rname)) {
		rdata->short_read = true;
		return;
	}
	rr->data.soa.serial = cursor_be32(rdata);
	rr->data.soa.refresh_s = cursor_be32(rdata);
	rr->data.soa.retry_s = cursor_be32(rdata);
	rr->data.soa.expire_s = cursor_be32(rdata);
	rr->data.soa.minimum_s = cursor_be32(rdata);
	record_present(&rr->head, DNS_RR_HAS_SOA);
}

static bool
take_string(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	uint8_t len = cursor_u8(rdata);
	const uint8_t *at = cursor_take(rdata, len);

	if (at == NULL)
		return false;
	record_put_bytes(message->ctx->record, &rr->text, at, len);
	record_present(&rr->head, DNS_RR_HAS_TEXT);
	return true;
}

/* Character strings, one behind the other (RFC 1035 3.3.14). The first is the record's, the others are told
 * as records of their own, as others do. */
static void
read_txt(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	if (!take_string(message, rr, rdata))
		return;
	message->strings = *rdata;
	cursor_skip(rdata, cursor_left(rdata));
}

static void
read_sshfp(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	static const char digits[] = "0123456789abcdef";
	char text[DNS_SSHFP_LEN_MAX * 3];
	uint32_t len = 0;

	rr->data.sshfp.algorithm = cursor_u8(rdata);
	rr->data.sshfp.type = cursor_u8(rdata);
	while (cursor_left(rdata) > 0 && len < sizeof(text)) {
		uint8_t byte = cursor_u8(rdata);

		text[len++] = digits[byte >> 4];
		text[len++] = digits[byte & 15];
		text[len++] = ':';
	}
	if (len == 0)
		return;
	record_put_bytes(message->ctx->record, &rr->data.sshfp.fingerprint, text, len - 1);
	record_present(&rr->head, DNS_RR_HAS_SSHFP);
}

static void
read_null(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	put_data(message, rr, rdata, DNS_RR_HAS_TEXT);
}

/* RFC 6891 6.1.3: the TTL is no time, its first byte extends the response code. */
static void
read_opt(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	message->record->rcode |= (uint16_t)(rr->ttl_s >> 24 << 4);
	for (unsigned int i = 0; i < DNS_OPTIONS_MAX && cursor_left(rdata) > 0; i++) {
		uint16_t code = cursor_be16(rdata);
		uint16_t len = cursor_be16(rdata);
		const uint8_t *at = cursor_take(rdata, len);
		struct dns_option *option;

		if (at == NULL)
			return;
		option = record_append(message->ctx->record, &rr->data.options, dns_option_tables, 0);
		if (option == NULL)
			break;
		option->code = code;
		record_put_bytes(message->ctx->record, &option->data, at, len);
	}
	cursor_skip(rdata, cursor_left(rdata));
	record_present(&rr->head, DNS_RR_HAS_OPT);
}

static const struct {
	uint16_t type;
	void (*read)(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata);
} forms[] = {
	{ DNS_TYPE_A, read_ip }, { DNS_TYPE_AAAA, read_ip }, { DNS_TYPE_CNAME, read_name }, { DNS_TYPE_NS, read_name },
	{ DNS_TYPE_PTR, read_name }, { DNS_TYPE_DNAME, read_name }, { DNS_TYPE_MX, read_mx }, { DNS_TYPE_TXT, read_txt },
	{ DNS_TYPE_SRV, read_srv }, { DNS_TYPE_SOA, read_soa }, { DNS_TYPE_NULL, read_null }, { DNS_TYPE_SSHFP, read_sshfp }, { DNS_TYPE_OPT, read_opt },
};

static void
read_rdata(struct dns_message *message, struct dns_rr *rr, struct cursor *rdata)
{
	if (cursor_left(rdata) == 0 && rr->type != DNS_TYPE_OPT) /* dynamic updates delete with empty ones (RFC 2136 2.5) */
		return;
	for (unsigned int i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].type == rr->type) {
			forms[i].read(message, rr, rdata);
			return;
		}
	put_data(message, rr, rdata, DNS_RR_HAS_DATA);
}

/* The answer again, under its type. */
static void
group(struct dns_message *message, const struct dns_rr *rr)
{
	for (uint8_t i = 0; i < DNS_GROUP_COUNT; i++) {
		struct dns_value *value;

		if (dns_groups[i] != rr->type ||
			!(record_is_present(rr, DNS_RR_HAS_IP) || record_is_present(rr, DNS_RR_HAS_TEXT)))
			continue;
		value = record_append(message->ctx->record, &message->record->groups[i], dns_value_tables,
			record_is_present(rr, DNS_RR_HAS_IP) ? 0 : 1);
		if (value == NULL)
			return;
		value->text = rr->text;
		if (record_is_present(rr, DNS_RR_HAS_IP))
			value->ip = rr->data.ip;
		record_present(&message->record->head, (uint8_t)(DNS_HAS_GROUP + i));
		return;
	}
}

/* Behind the name. */
static bool
read_question(struct dns_message *message, struct dns_rr *rr)
{
	rr->type = cursor_be16(&message->in);
	rr->class = cursor_be16(&message->in);
	if (message->in.short_read)
		return false;
	record_present(&rr->head, DNS_RR_HAS_TYPE);
	return true;
}

static bool
read_rr(struct dns_message *message, struct dns_rr *rr)
{
	struct cursor rdata;

	if (!read_question(message, rr))
		return false;
	rr->ttl_s = cursor_be32(&message->in);
	rdata = cursor_sub(&message->in, cursor_be16(&message->in));
	if (message->in.short_read)
		return false;
	if (rr->type != DNS_TYPE_OPT)
		record_present(&rr->head, DNS_RR_HAS_TTL);
	read_rdata(message, rr, &rdata);
	if (rdata.short_read || cursor_left(&rdata) > 0)
		proto_event(message->ctx, DNS_EVENT_MALFORMED_DATA);
	return true;
}

static void
count_rr(struct dns_message *message, unsigned int section, const struct dns_rr *rr)
{
	message->rr_count++;
	if (section == message->record->type)
		message->types[message->type_count++] = rr->type;
	if (section == 1)
		group(message, rr);
}

/* What is left of the strings of a TXT record. */
static void
read_strings(struct dns_message *message, struct record_list *list, unsigned int section, const struct dns_rr *first)
{
	struct cursor *in = &message->strings;

	while (cursor_left(in) > 0) {
		bool full = message->rr_count == DNS_RRS_MAX || message->string_count++ == DNS_STRINGS_MAX;
		struct dns_rr *rr = full ? NULL : record_append(message->ctx->record, list, dns_rr_tables, 0);

		if (rr == NULL) {
			counter_add(&message->ctx->counters[DNS_COUNT_RECORDS_SHED], 1);
			return;
		}
		rr->name = first->name;
		rr->type = first->type;
		rr->class = first->class;
		rr->ttl_s = first->ttl_s;
		record_present(&rr->head, DNS_RR_HAS_TYPE);
		record_present(&rr->head, DNS_RR_HAS_TTL);
		if (!take_string(message, rr, in)) {
			proto_event(message->ctx, DNS_EVENT_MALFORMED_DATA);
			return;
		}
		count_rr(message, section, rr);
	}
}

/* @return false: the section ends early */
static bool
read_section(struct dns_message *message, struct record_list *list, unsigned int section, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		struct record_ref name = { 0 };
		struct dns_rr *rr;
		bool whole;

		if (message->rr_count == DNS_RRS_MAX || (section == 0 && i == DNS_QUESTIONS_MAX)) {
			proto_event(message->ctx, DNS_EVENT_TOO_MANY_RECORDS);
			counter_add(&message->ctx->counters[DNS_COUNT_RECORDS_SHED], 1);
			cursor_skip(&message->in, cursor_left(&message->in));
			return true;
		}
		if (!take_name(message, &message->in, &name))
			return false;
		rr = record_append(message->ctx->record, list, section == 0 ? dns_query_tables : dns_rr_tables, 0);
		if (rr == NULL) {
			counter_add(&message->ctx->counters[DNS_COUNT_RECORDS_SHED], 1);
			cursor_skip(&message->in, cursor_left(&message->in));
			return true;
		}
		rr->name = name;
		message->strings = (struct cursor){ 0 };
		whole = section == 0 ? read_question(message, rr) : read_rr(message, rr);
		if (!whole)
			return false;
		count_rr(message, section, rr);
		read_strings(message, list, section, rr);
	}
	return true;
}

/* A message that TC marks ends where it was cut. */
bool
dns_sections_read(struct dns_message *message, const struct dns_header *header)
{
	struct dns_record *record = message->record;
	struct record_list *lists[4] = { &record->queries, &record->answers, &record->authorities, &record->additionals };
	static const uint8_t bits[4] = { DNS_HAS_QUERIES, DNS_HAS_ANSWERS, DNS_HAS_AUTHORITIES, DNS_HAS_ADDITIONALS };
	static const uint8_t events[4] = { DNS_EVENT_MALFORMED_DATA, DNS_EVENT_MALFORMED_DATA, DNS_EVENT_INVALID_AUTHORITIES,
		DNS_EVENT_INVALID_ADDITIONALS };

	for (unsigned int i = 0; i < 4; i++) {
		bool whole = read_section(message, lists[i], i, header->counts[i]);

		if (lists[i]->count > 0)
			record_present(&record->head, bits[i]);
		if (whole)
			continue;
		if ((header->flags & DNS_TC) == 0)
			proto_event(message->ctx, events[i]);
		return false;
	}
	return true;
}
