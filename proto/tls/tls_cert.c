/* Certificates (RFC 5280): the first of a chain is read, the others are counted and shown to rules. */
#include "proto/tls/tls.h"

#include "lib/base/ber.h"

enum {
	TAG_INTEGER = 0x02,
	TAG_OID = 0x06,
	TAG_UTC_TIME = 0x17,
	TAG_GENERALIZED_TIME = 0x18,
	TAG_BMP_STRING = 0x1e,
	TAG_OCTET_STRING = 0x04,
	TAG_SEQUENCE = 0x30,
	TAG_SET = 0x31,
	TAG_VERSION = 0xa0,
	TAG_EXTENSIONS = 0xa3,
	NAME_EMAIL = 0x81,
	NAME_DNS = 0x82,
	NAME_URI = 0x86,
	NAME_IP = 0x87,
	RDNS_MAX = 32,
	EXTENSIONS_MAX = 64,
	SERIAL_LEN_MAX = 64,
	DIGEST_LEN = 20,
	TIME_TEXT_LEN = 19,
	OID_TEXT_ARCS_MAX = 16,
	CHAIN_LEN_MAX = 24 * 1024, /* of the record with a chain in it: rules get one of their own */
};

/* The next element of a tag; otherwise the cursor is short. */
static struct cursor
take(struct cursor *in, uint32_t tag)
{
	struct ber ber;

	if (!ber_next(in, &ber) || ber.tag != tag) {
		in->short_read = true;
		return (struct cursor){ .short_read = true };
	}
	return ber.content;
}

/* The next element is this one. Nothing is consumed where it is not. */
static bool
take_optional(struct cursor *in, uint32_t tag, struct cursor *content)
{
	struct cursor ahead = *in;
	struct ber ber;

	if (!ber_next(&ahead, &ber) || ber.tag != tag)
		return false;
	*in = ahead;
	*content = ber.content;
	return true;
}

/* ---- names (X.520, RFC 4519) ---- */

static const struct {
	uint8_t oid[10];
	uint8_t oid_len;
	const char *name;
} attributes[] = {
	{ { 0x55, 4, 3 }, 3, "CN" },
	{ { 0x55, 4, 6 }, 3, "C" },
	{ { 0x55, 4, 7 }, 3, "L" },
	{ { 0x55, 4, 8 }, 3, "ST" },
	{ { 0x55, 4, 10 }, 3, "O" },
	{ { 0x55, 4, 11 }, 3, "OU" },
	{ { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19 }, 10, "DC" },
	{ { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1 }, 9, "Email" },
};

/* X.690 8.19. */
static void
put_oid(struct buf *out, struct cursor oid)
{
	uint32_t arc = 0;
	bool first = true;

	for (unsigned int arcs = 0; cursor_left(&oid) > 0 && arcs < OID_TEXT_ARCS_MAX;) {
		uint8_t byte = cursor_u8(&oid);

		arc = arc << 7 | (byte & 0x7f);
		if (byte & 0x80)
			continue;
		if (first)
			buf_printf(out, "%u.%u", arc < 80 ? arc / 40 : 2, arc < 80 ? arc % 40 : arc - 80);
		else
			buf_printf(out, ".%u", arc);
		first = false;
		arc = 0;
		arcs++;
	}
}

static void
put_attribute(struct buf *out, struct cursor oid)
{
	size_t len = cursor_left(&oid);

	for (unsigned int i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (attributes[i].oid_len == len && memcmp(attributes[i].oid, oid.pos, len) == 0) {
			buf_puts(out, attributes[i].name);
			return;
		}
	put_oid(out, oid);
}

/* Of two bytes a character; what is outside of it becomes a question mark. */
static void
put_bmp(struct buf *out, struct cursor text)
{
	while (cursor_left(&text) >= 2) {
		uint16_t c = cursor_be16(&text);

		if (c < 0x80) {
			buf_putc(out, (char)c);
		} else if (c < 0x800) {
			buf_putc(out, (char)(0xc0 | c >> 6));
			buf_putc(out, (char)(0x80 | (c & 0x3f)));
		} else if (c >= 0xd800 && c < 0xe000) {
			buf_putc(out, '?');
		} else {
			buf_putc(out, (char)(0xe0 | c >> 12));
			buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
			buf_putc(out, (char)(0x80 | (c & 0x3f)));
		}
	}
}

static bool
put_rdn(struct buf *out, struct cursor set)
{
	bool first = true;

	while (cursor_left(&set) > 0) {
		struct cursor pair = take(&set, TAG_SEQUENCE);
		struct cursor oid = take(&pair, TAG_OID);
		struct ber value;

		if (oid.short_read || !ber_next(&pair, &value))
			return false;
		if (!first)
			buf_puts(out, " + ");
		first = false;
		put_attribute(out, oid);
		buf_putc(out, '=');
		if (value.tag == TAG_BMP_STRING)
			put_bmp(out, value.content);
		else
			buf_put(out, value.content.pos, cursor_left(&value.content));
	}
	return true;
}

/* @return whether it is a name; one too long for its room is left as it is */
static bool
put_name(struct tls_pdu *pdu, struct record_ref *ref, struct cursor name)
{
	char text[TLS_TEXT_LEN_MAX];
	struct buf out = { .data = text, .cap = sizeof(text) };

	for (unsigned int i = 0; i < RDNS_MAX && cursor_left(&name) > 0; i++) {
		struct cursor set = take(&name, TAG_SET);

		if (out.len > 0)
			buf_puts(&out, ", ");
		if (name.short_read || !put_rdn(&out, set))
			return false;
	}
	record_put_bytes(pdu->ctx->record, ref, text, (uint32_t)out.len);
	return true;
}

/* ---- times ---- */

static bool
take_digits(struct cursor *in, unsigned int count, unsigned int *out)
{
	*out = 0;
	for (unsigned int i = 0; i < count; i++) {
		uint8_t c = cursor_u8(in);

		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (c - '0');
	}
	return true;
}

/* Days since the Unix epoch; the year begins in March, so that the leap day is its last. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* RFC 5280 4.1.2.5: YYMMDDHHMM[SS]Z, or with four digits of the year. */
static bool
put_time(struct tls_pdu *pdu, struct record_ref *ref, int64_t *seconds, struct cursor *validity)
{
	unsigned int year, month, day, hour, minute, second = 0;
	char text[TIME_TEXT_LEN + 8];
	struct buf out = { .data = text, .cap = sizeof(text) };
	struct ber ber;

	if (!ber_next(validity, &ber) || (ber.tag != TAG_UTC_TIME && ber.tag != TAG_GENERALIZED_TIME))
		return false;
	if (!take_digits(&ber.content, ber.tag == TAG_UTC_TIME ? 2 : 4, &year) || !take_digits(&ber.content, 2, &month) ||
		!take_digits(&ber.content, 2, &day) || !take_digits(&ber.content, 2, &hour) ||
		!take_digits(&ber.content, 2, &minute))
		return false;
	if (cursor_left(&ber.content) > 2 && !take_digits(&ber.content, 2, &second))
		return false;
	if (month == 0 || month > 12 || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	if (ber.tag == TAG_UTC_TIME)
		year += year >= 50 ? 1900 : 2000;
	*seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	buf_printf(&out, "%04u-%02u-%02uT%02u:%02u:%02u", year, month, day, hour, minute, second);
	record_put_bytes(pdu->ctx->record, ref, text, (uint32_t)out.len);
	return true;
}

/* ---- the rest of a certificate ---- */

/* Two hex digits a byte, with colons between. */
static void
put_hex(struct tls_pdu *pdu, struct record_ref *ref, const uint8_t *bytes, size_t len, const char *digits)
{
	char text[SERIAL_LEN_MAX * 3];
	size_t at = 0;

	if (len > SERIAL_LEN_MAX)
		len = SERIAL_LEN_MAX;
	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			text[at++] = ':';
		text[at++] = digits[bytes[i] >> 4];
		text[at++] = digits[bytes[i] & 15];
	}
	record_put_bytes(pdu->ctx->record, ref, text, (uint32_t)at);
}

static void
put_alternative(struct tls_pdu *pdu, struct record_list *list, const struct ber *name)
{
	size_t len = cursor_left(&name->content);

	if (name->tag == NAME_DNS || name->tag == NAME_EMAIL || name->tag == NAME_URI) {
		tls_add_text(pdu, list, name->content.pos, (uint32_t)len);
	} else if (name->tag == NAME_IP && (len == 4 || len == 16)) {
		char text[64];
		struct buf out = { .data = text, .cap = sizeof(text) };

		buf_ip(&out, len == 4 ? 4 : 6, name->content.pos);
		tls_add_text(pdu, list, text, (uint32_t)out.len);
	}
}

static bool
put_alternatives(struct tls_pdu *pdu, struct tls_cert *cert, struct cursor value)
{
	struct cursor names = take(&value, TAG_SEQUENCE);
	struct ber name;

	while (cert->names.count < TLS_NAMES_MAX && ber_next(&names, &name))
		put_alternative(pdu, &cert->names, &name);
	return !names.short_read;
}

/* RFC 5280 4.2: of all extensions the alternative names. */
static bool
read_extensions(struct tls_pdu *pdu, struct tls_cert *cert, struct cursor wrapped)
{
	static const uint8_t alternative_names[] = { 0x55, 0x1d, 0x11 };
	struct cursor list = take(&wrapped, TAG_SEQUENCE);

	for (unsigned int i = 0; i < EXTENSIONS_MAX && cursor_left(&list) > 0; i++) {
		struct cursor extension = take(&list, TAG_SEQUENCE);
		struct cursor oid = take(&extension, TAG_OID);
		struct cursor critical, value;

		(void)take_optional(&extension, 0x01, &critical);
		value = take(&extension, TAG_OCTET_STRING);
		if (value.short_read)
			return false;
		if (cursor_left(&oid) == sizeof(alternative_names) &&
			memcmp(oid.pos, alternative_names, sizeof(alternative_names)) == 0 && !put_alternatives(pdu, cert, value))
			return false;
	}
	return !list.short_read;
}

static bool
is_equal(struct cursor a, struct cursor b)
{
	size_t len = cursor_left(&a);

	return len == cursor_left(&b) && (len == 0 || memcmp(a.pos, b.pos, len) == 0);
}

/* RFC 5280 4.1. @return the fields that were read, as bits */
static uint64_t
read_cert(struct tls_pdu *pdu, struct tls_cert *cert, struct cursor der)
{
	struct cursor outer = take(&der, TAG_SEQUENCE);
	struct cursor tbs = take(&outer, TAG_SEQUENCE);
	struct cursor ignored, serial, issuer, validity, subject;
	uint64_t bits = 0;

	(void)take_optional(&tbs, TAG_VERSION, &ignored);
	serial = take(&tbs, TAG_INTEGER);
	(void)take(&tbs, TAG_SEQUENCE);
	issuer = take(&tbs, TAG_SEQUENCE);
	validity = take(&tbs, TAG_SEQUENCE);
	subject = take(&tbs, TAG_SEQUENCE);
	if (tbs.short_read) {
		proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_DER);
		return 0;
	}
	put_hex(pdu, &cert->serial, serial.pos, cursor_left(&serial), "0123456789ABCDEF");
	bits |= TLS_BIT(SERIAL);
	if (put_name(pdu, &cert->issuer, issuer))
		bits |= TLS_BIT(ISSUER);
	if (put_name(pdu, &cert->subject, subject))
		bits |= TLS_BIT(SUBJECT);
	cert->self_signed = is_equal(issuer, subject);
	if (cert->self_signed)
		bits |= TLS_BIT(SELF_SIGNED);
	if (put_time(pdu, &cert->not_before, &cert->not_before_s, &validity))
		bits |= TLS_BIT(NOTBEFORE);
	if (put_time(pdu, &cert->not_after, &cert->not_after_s, &validity))
		bits |= TLS_BIT(NOTAFTER);
	if (~bits & (TLS_BIT(NOTBEFORE) | TLS_BIT(NOTAFTER)))
		proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_DATE);
	if (~bits & (TLS_BIT(ISSUER) | TLS_BIT(SUBJECT)))
		proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_DER);
	(void)take(&tbs, TAG_SEQUENCE); /* the key */
	while (!tbs.short_read && cursor_left(&tbs) > 0) {
		struct ber ber;

		if (ber_next(&tbs, &ber) && ber.tag == TAG_EXTENSIONS && !read_extensions(pdu, cert, ber.content))
			proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS);
	}
	return bits | (cert->names.count > 0 ? TLS_BIT(NAMES) : 0);
}

static uint64_t
read_leaf(struct tls_pdu *pdu, struct tls_cert *cert, struct cursor der)
{
	uint8_t digest[DIGEST_LEN];
	uint64_t bits;

	memset(cert, 0, sizeof(*cert));
	tls_print_sha1(der.pos, cursor_left(&der), digest);
	bits = read_cert(pdu, cert, der);
	put_hex(pdu, &cert->fingerprint, digest, sizeof(digest), "0123456789abcdef");
	if (bits == 0)
		proto_event(pdu->ctx, TLS_EVENT_INVALID_CERTIFICATE);
	return bits | TLS_BIT(FINGERPRINT);
}

/* As they are on the wire, as many as there is room for. */
static uint64_t
put_chain(struct tls_pdu *pdu, struct tls_cert *cert, struct cursor chain)
{
	const struct tls_config *config = pdu->ctx->config;

	for (unsigned int i = 0; config->log_certificates && i < TLS_CHAIN_MAX && cursor_left(&chain) > 0; i++) {
		struct cursor der = cursor_sub(&chain, cursor_be24(&chain));
		struct tls_text *item;

		if (chain.short_read || pdu->ctx->record->len + cursor_left(&der) > CHAIN_LEN_MAX)
			break;
		item = record_append(pdu->ctx->record, &cert->chain, tls_chain_tables, 0);
		if (item == NULL)
			break;
		record_put_bytes(pdu->ctx->record, &item->text, der.pos, (uint32_t)cursor_left(&der));
		if (i == 0)
			cert->der = item->text;
	}
	return cert->chain.count > 0 ? TLS_BIT(DER) : 0;
}

/* A client's certificate stands in the session by itself. */
static void
read_client_leaf(struct tls_pdu *pdu, struct cursor der, struct cursor chain)
{
	struct tls_cert cert;
	uint64_t bits = read_leaf(pdu, &cert, der) | put_chain(pdu, &cert, chain);
	struct tls_peer *peer = record_append(pdu->ctx->record, &pdu->record->client, tls_peer_tables, 0);

	if (peer == NULL)
		return;
	peer->cert = cert;
	peer->head.present = bits;
	pdu->cert = &peer->cert;
	pdu->match |= bits;
	pdu->record->head.present |= TLS_BIT(CLIENT);
	pdu->changed = true;
}

void
tls_certificate(struct tls_pdu *pdu, struct cursor message)
{
	struct cursor chain = cursor_sub(&message, cursor_be24(&message));
	struct cursor der, rest;
	uint32_t count;

	if (pdu->end->certified)
		return;
	if (message.short_read) {
		proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_LENGTH);
		return;
	}
	pdu->end->certified = true;
	if (cursor_left(&chain) == 0)
		return; /* a client that has none says so, RFC 5246 7.4.6 */
	rest = chain;
	der = cursor_sub(&rest, cursor_be24(&rest));
	if (rest.short_read) {
		proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_LENGTH);
		return;
	}
	for (count = 1; cursor_left(&rest) > 0; count++)
		cursor_skip(&rest, cursor_be24(&rest));
	if (rest.short_read)
		proto_event(pdu->ctx, TLS_EVENT_CERTIFICATE_INVALID_LENGTH);
	pdu->chain = chain;
	(void)tls_open(pdu);
	if (!pdu->end->client)
		tls_has(pdu, read_leaf(pdu, &pdu->record->cert, der) | put_chain(pdu, &pdu->record->cert, chain));
	else
		read_client_leaf(pdu, der, chain);
	pdu->record->chain_len = count;
	pdu->match |= TLS_BIT(CHAIN);
}
