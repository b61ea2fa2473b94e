/* The hellos: what the client offers, what the server chose. */
#include "proto/tls/tls.h"

enum {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_GROUPS = 10,
	EXTENSION_POINT_FORMATS = 11,
	EXTENSION_SIGNATURES = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_PRE_SHARED_KEY = 41,
	EXTENSION_VERSIONS = 43,
	NAME_TYPE_HOST = 0,
	JA3_LEN_MAX = 8192, /* of lists of the greatest length */
	JA4_LEN = 36,
	SESSION_ID_LEN_MAX = 32,
};

static void
take_u16s(struct tls_hello *hello, struct cursor *in, uint16_t out[], uint16_t *count, unsigned int max)
{
	*count = 0;
	while (cursor_left(in) >= 2) {
		uint16_t value = cursor_be16(in);

		if (*count == max) {
			hello->overflow = true;
			return;
		}
		out[(*count)++] = value;
	}
}

static void
take_groups(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body)
{
	struct cursor list = cursor_sub(body, cursor_be16(body));

	(void)pdu;
	take_u16s(hello, &list, hello->groups, &hello->group_count, TLS_SMALL_LIST_MAX);
}

static void
take_signatures(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body)
{
	struct cursor list = cursor_sub(body, cursor_be16(body));

	(void)pdu;
	take_u16s(hello, &list, hello->signatures, &hello->signature_count, TLS_SMALL_LIST_MAX);
}

static void
take_point_formats(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body)
{
	struct cursor list = cursor_sub(body, cursor_u8(body));

	(void)pdu;
	hello->format_count = 0;
	while (cursor_left(&list) > 0 && hello->format_count < TLS_SMALL_LIST_MAX)
		hello->formats[hello->format_count++] = cursor_u8(&list);
	hello->overflow = hello->overflow || cursor_left(&list) > 0;
}

/* RFC 6066 3. The server answers with an empty one. */
static void
take_server_name(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body)
{
	struct cursor list;
	uint8_t type;

	if (cursor_left(body) == 0)
		return;
	list = cursor_sub(body, cursor_be16(body));
	type = cursor_u8(&list);
	if (hello->has_sni) {
		proto_event(pdu->ctx, TLS_EVENT_MULTIPLE_SNI);
		return;
	}
	hello->has_sni = true;
	if (!list.short_read && type != NAME_TYPE_HOST) {
		proto_event(pdu->ctx, TLS_EVENT_INVALID_SNI_TYPE);
		return;
	}
	hello->sni = cursor_sub(&list, cursor_be16(&list));
	if (list.short_read)
		proto_event(pdu->ctx, TLS_EVENT_INVALID_SNI_LENGTH);
}

static void
take_alpn(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body)
{
	(void)pdu;
	hello->alpn = cursor_sub(body, cursor_be16(body));
	hello->has_alpn = !hello->alpn.short_read;
}

/* RFC 8446 4.2.1: a list of the client, one of the server. Drafts of 1.3 are 0x7fXX. */
static void
take_versions(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body)
{
	struct cursor list = *body;
	uint16_t best = 0;

	(void)pdu;
	if (cursor_left(body) > 2)
		list = cursor_sub(body, cursor_u8(body));
	while (cursor_left(&list) >= 2) {
		uint16_t version = cursor_be16(&list);

		if (!tls_is_grease(version) && version > best)
			best = version;
	}
	if (best != 0)
		hello->version_best = best;
}

static const struct {
	uint16_t type;
	void (*take)(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor *body);
} extensions[] = {
	{ EXTENSION_SERVER_NAME, take_server_name },
	{ EXTENSION_GROUPS, take_groups },
	{ EXTENSION_POINT_FORMATS, take_point_formats },
	{ EXTENSION_SIGNATURES, take_signatures },
	{ EXTENSION_ALPN, take_alpn },
	{ EXTENSION_VERSIONS, take_versions },
};

/* @return whether they fit their lengths */
static bool
take_extensions(struct tls_pdu *pdu, struct tls_hello *hello, struct cursor list)
{
	while (cursor_left(&list) > 0) {
		uint16_t type = cursor_be16(&list);
		struct cursor body = cursor_sub(&list, cursor_be16(&list));

		if (list.short_read)
			return false;
		if (hello->extension_count == TLS_EXTENSIONS_MAX) {
			hello->overflow = true;
			return true;
		}
		hello->extensions[hello->extension_count++] = type;
		for (unsigned int i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
			if (extensions[i].type == type)
				extensions[i].take(pdu, hello, &body);
	}
	return true;
}

bool
tls_hello_take(struct tls_pdu *pdu, struct cursor message, bool client, struct tls_hello *hello)
{
	struct cursor list;

	hello->cipher_count = hello->extension_count = hello->group_count = 0;
	hello->signature_count = hello->format_count = 0;
	hello->has_sni = hello->has_alpn = hello->overflow = false;
	hello->sni = hello->alpn = (struct cursor){ 0 };
	hello->version = hello->version_best = cursor_be16(&message);
	hello->random = cursor_take(&message, TLS_RANDOM_LEN);
	hello->session_id = (struct cursor){ 0 };
	/* Drafts of TLS 1.3 up to 21 have no session id in the server's hello (RFC 8446 4.1.3 has it again). */
	if (client || hello->version <= TLS_1_3 || hello->version >> 8 != 0x7f)
		hello->session_id = cursor_sub(&message, cursor_u8(&message));
	if (client) {
		list = cursor_sub(&message, cursor_be16(&message));
		take_u16s(hello, &list, hello->ciphers, &hello->cipher_count, TLS_LIST_MAX);
		cursor_skip(&message, cursor_u8(&message));
	} else {
		hello->ciphers[0] = cursor_be16(&message);
		hello->cipher_count = 1;
		if (hello->version <= TLS_1_3)
			cursor_skip(&message, 1);
	}
	if (message.short_read)
		return false;
	if (cursor_left(&message) < 2)
		return true;
	list = cursor_sub(&message, cursor_be16(&message));
	if (cursor_left(&message) > 0)
		proto_event(pdu->ctx, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
	return !list.short_read && take_extensions(pdu, hello, list);
}

static void
put_u16s(struct tls_pdu *pdu, struct record_ref *ref, const uint16_t values[], uint16_t count)
{
	if (count > 0)
		record_put_bytes(pdu->ctx->record, ref, values, count * 2u);
	ref->count /= 2;
}

static void
put_alpns(struct tls_pdu *pdu, struct record_list *list, struct cursor alpn)
{
	while (cursor_left(&alpn) > 0 && list->count < TLS_NAMES_MAX) {
		uint8_t len = cursor_u8(&alpn);
		const uint8_t *text = cursor_take(&alpn, len);

		if (text == NULL)
			return;
		tls_add_text(pdu, list, text, len);
	}
}

static void
put_ja3(struct tls_pdu *pdu, const struct tls_hello *hello, bool client)
{
	struct tls_record *record = pdu->record;
	char text[JA3_LEN_MAX], hex[32];
	struct buf out = { .data = text, .cap = sizeof(text) };

	tls_print_ja3(hello, client, &out);
	if (out.full)
		return;
	tls_print_md5(text, out.len, hex);
	record_put_bytes(pdu->ctx->record, client ? &record->ja3_hash : &record->ja3s_hash, hex, sizeof(hex));
	record_put_bytes(pdu->ctx->record, client ? &record->ja3_string : &record->ja3s_string, text, (uint32_t)out.len);
	tls_has(pdu, client ? TLS_BIT(JA3) : TLS_BIT(JA3S));
}

static void
put_ja4(struct tls_pdu *pdu, const struct tls_hello *hello)
{
	char text[JA4_LEN + 8];
	struct buf out = { .data = text, .cap = sizeof(text) };

	tls_print_ja4(hello, &out);
	record_put_bytes(pdu->ctx->record, &pdu->record->ja4, text, (uint32_t)out.len);
	tls_has(pdu, TLS_BIT(JA4));
}

static void
put_client(struct tls_pdu *pdu, const struct tls_hello *hello)
{
	struct tls_record *record = pdu->record;

	record->client_version = hello->version_best;
	put_u16s(pdu, &record->client_ciphers, hello->ciphers, hello->cipher_count);
	put_u16s(pdu, &record->client_extensions, hello->extensions, hello->extension_count);
	put_u16s(pdu, &record->client_groups, hello->groups, hello->group_count);
	put_u16s(pdu, &record->client_signatures, hello->signatures, hello->signature_count);
	tls_has(pdu, TLS_BIT(CLIENT_HELLO) | TLS_BIT(CLIENT_LISTS));
	if (cursor_left(&hello->sni) > 0) {
		record_put_bytes(pdu->ctx->record, &record->sni, hello->sni.pos, (uint32_t)cursor_left(&hello->sni));
		tls_has(pdu, TLS_BIT(SNI));
	}
	if (hello->has_alpn) {
		put_alpns(pdu, &record->client_alpns, hello->alpn);
		tls_has(pdu, TLS_BIT(CLIENT_ALPNS));
		pdu->alpn = record->client_alpns;
	}
	if (hello->overflow)
		return;
	put_ja3(pdu, hello, true);
	put_ja4(pdu, hello);
}

static void
remember_session_id(struct tls_state *state, struct cursor id)
{
	size_t len = cursor_left(&id);

	state->session_id_len = 0;
	if (len == 0 || len > SESSION_ID_LEN_MAX)
		return;
	memcpy(state->session_id, id.pos, len);
	state->session_id_len = (uint8_t)len;
}

void
tls_client_hello(struct tls_pdu *pdu, struct cursor message)
{
	struct tls_hello hello;

	pdu->states |= TLS_STATE_CLIENT_HELLO;
	pdu->end->client = true;
	if (pdu->end->hellos >= TLS_HELLOS_MAX) {
		proto_event(pdu->ctx, TLS_EVENT_UNEXPECTED_HELLO);
		return;
	}
	pdu->end->hellos++;
	if (!tls_hello_take(pdu, message, true, &hello)) {
		proto_event(pdu->ctx, TLS_EVENT_INVALID_HANDSHAKE_MESSAGE);
		return;
	}
	pdu->version = hello.version_best;
	pdu->random = hello.random;
	remember_session_id(pdu->state, hello.session_id);
	/* The second hello of a retry says what the first one said, and is not fingerprinted. */
	pdu->repeats = record_is_present(tls_open(pdu), TLS_HAS_CLIENT_HELLO);
	if (pdu->repeats)
		return;
	put_client(pdu, &hello);
	if (!record_is_present(pdu->record, TLS_HAS_SERVER_HELLO)) {
		pdu->record->version = hello.version_best;
		pdu->record->head.present |= TLS_BIT(VERSION);
	}
}

static bool
is_resumed(const struct tls_state *state, const struct tls_hello *hello)
{
	size_t len = cursor_left(&hello->session_id);

	return hello->version_best < TLS_1_3 && len > 0 && len == state->session_id_len &&
		memcmp(hello->session_id.pos, state->session_id, len) == 0;
}

static bool
lists(const uint16_t types[], uint32_t count, uint16_t type)
{
	for (uint32_t i = 0; i < count; i++)
		if (types[i] == type)
			return true;
	return false;
}

/* RFC 8446 4.2.11: of the keys that the client offered, each of an earlier session or agreed on elsewhere, the server
 * takes one. It is the client's last extension: of too long a list it is not here. */
static bool
takes_key(const struct tls_pdu *pdu, const struct tls_record *record, const struct tls_hello *hello)
{
	const struct record_ref *offered = &record->client_extensions;

	if (hello->version_best < TLS_1_3 || !lists(hello->extensions, hello->extension_count, EXTENSION_PRE_SHARED_KEY))
		return false;
	return !record_is_present(record, TLS_HAS_CLIENT_HELLO) || offered->count == TLS_EXTENSIONS_MAX ||
		lists((const void *)(pdu->ctx->record->base + offered->off), offered->count, EXTENSION_PRE_SHARED_KEY);
}

void
tls_server_hello(struct tls_pdu *pdu, struct cursor message)
{
	struct tls_record *record;
	struct tls_hello hello;

	pdu->states |= TLS_STATE_SERVER_HELLO;
	if (pdu->end->hellos >= TLS_HELLOS_MAX) {
		proto_event(pdu->ctx, TLS_EVENT_UNEXPECTED_HELLO);
		return;
	}
	pdu->end->hellos++;
	if (!tls_hello_take(pdu, message, false, &hello)) {
		proto_event(pdu->ctx, TLS_EVENT_INVALID_HANDSHAKE_MESSAGE);
		return;
	}
	pdu->version = hello.version_best;
	pdu->random = hello.random;
	pdu->state->server_version = hello.version_best;
	record = tls_open(pdu);
	pdu->repeats = record_is_present(record, TLS_HAS_SERVER_HELLO);
	if (is_resumed(pdu->state, &hello) || takes_key(pdu, record, &hello)) {
		record->resumed = true;
		tls_has(pdu, TLS_BIT(RESUMED));
	}
	/* What the one behind a retry says more is which key it takes. */
	if (pdu->repeats)
		return;
	record->version = record->server_version = hello.version_best;
	record->server_cipher = hello.ciphers[0];
	put_u16s(pdu, &record->server_extensions, hello.extensions, hello.extension_count);
	tls_has(pdu, TLS_BIT(SERVER_HELLO) | TLS_BIT(SERVER_LISTS) | TLS_BIT(VERSION));
	if (hello.has_alpn) {
		put_alpns(pdu, &record->server_alpns, hello.alpn);
		tls_has(pdu, TLS_BIT(SERVER_ALPNS));
		pdu->alpn = record->server_alpns;
	}
	if (!hello.overflow)
		put_ja3(pdu, &hello, false);
}

void
tls_sslv2_hello(struct tls_pdu *pdu, struct cursor message)
{
	uint16_t specs_len;

	cursor_skip(&message, 1);
	pdu->states |= TLS_STATE_CLIENT_HELLO;
	pdu->version = cursor_be16(&message);
	specs_len = cursor_be16(&message);
	if (message.short_read || specs_len % 3 != 0)
		proto_event(pdu->ctx, TLS_EVENT_INVALID_SSLV2_HEADER);
	pdu->end->client = true;
	if (pdu->end->hellos >= TLS_HELLOS_MAX)
		return;
	pdu->end->hellos++;
	if (record_is_present(tls_open(pdu), TLS_HAS_CLIENT_HELLO))
		return;
	pdu->record->client_version = pdu->record->version = pdu->version;
	tls_has(pdu, TLS_BIT(CLIENT_HELLO) | TLS_BIT(VERSION));
}

uint64_t
tls_known_of_hello(const struct tls_pdu *pdu, struct tls_record *record)
{
	static const uint64_t hello[] = { TLS_BIT(VERSION) | TLS_BIT(JA3S) | TLS_BIT(SERVER_ALPNS),
		TLS_BIT(SNI) | TLS_BIT(JA3) | TLS_BIT(JA4) | TLS_BIT(CLIENT_ALPNS) };
	const uint64_t certs = (UINT64_C(1) << TLS_CERT_BITS) - 1;
	bool to_server = pdu->ctx->to_server;
	uint64_t known = record->head.present & hello[to_server] & ~pdu->match;

	if ((pdu->match & certs) == 0 || (pdu->states & (TLS_STATE_CLIENT_HELLO | TLS_STATE_SERVER_HELLO)) != 0)
		return 0;
	if ((known & (TLS_BIT(SERVER_ALPNS) | TLS_BIT(CLIENT_ALPNS))) != 0) {
		record->alpn = to_server ? record->client_alpns : record->server_alpns;
		known |= TLS_BIT(ALPN);
	}
	return known;
}
