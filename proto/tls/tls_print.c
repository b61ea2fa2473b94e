/* Fingerprints of hellos: JA3, JA3S and JA4. Digests are made on the stack, by the interface of libcrypto that
 * allocates nothing. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proto/tls/tls.h"

#include <assert.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

enum { SERVER_NAME = 0, ALPN = 16, JA4_COUNT_MAX = 99, JA4_HASH_LEN = 12, DIGEST_AT_ONCE = 64 };

/* RFC 8701: 0x?a?a with both bytes alike. */
bool
tls_is_grease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void
put_hex(char *out, const uint8_t *digest, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
}

void
tls_print_md5(const void *data, size_t len, char hex[32])
{
	uint8_t digest[MD5_DIGEST_LENGTH];
	MD5_CTX md5;

	MD5_Init(&md5);
	MD5_Update(&md5, data, len);
	MD5_Final(digest, &md5);
	put_hex(hex, digest, sizeof(digest));
}

void
tls_print_sha1(const uint8_t *data, size_t len, uint8_t digest[20])
{
	SHA_CTX sha;

	SHA1_Init(&sha);
	SHA1_Update(&sha, data, len);
	SHA1_Final(digest, &sha);
}

static void
put_decimals(struct buf *out, const uint16_t values[], uint16_t count)
{
	bool first = true;

	for (uint16_t i = 0; i < count; i++) {
		if (tls_is_grease(values[i]))
			continue;
		if (!first)
			buf_putc(out, '-');
		buf_u64(out, values[i]);
		first = false;
	}
}

void
tls_print_ja3(const struct tls_hello *hello, bool client, struct buf *out)
{
	buf_u64(out, hello->version);
	buf_putc(out, ',');
	put_decimals(out, hello->ciphers, hello->cipher_count);
	buf_putc(out, ',');
	put_decimals(out, hello->extensions, hello->extension_count);
	if (!client)
		return;
	buf_putc(out, ',');
	put_decimals(out, hello->groups, hello->group_count);
	buf_putc(out, ',');
	put_decimals(out, hello->formats, hello->format_count);
}

/* A hello's lists are short; the bound of the table keeps a hostile one cheap. */
static uint16_t
sort_plain(uint16_t out[], const uint16_t values[], uint16_t count, bool extensions)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < count; i++) {
		uint16_t at = kept;

		if (tls_is_grease(values[i]) || (extensions && (values[i] == SERVER_NAME || values[i] == ALPN)))
			continue;
		for (; at > 0 && out[at - 1] > values[i]; at--)
			out[at] = out[at - 1];
		out[at] = values[i];
		kept++;
	}
	return kept;
}

/* In the order in which they stand. */
static uint16_t
drop_grease(uint16_t out[], const uint16_t values[], uint16_t count)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < count; i++)
		if (!tls_is_grease(values[i]))
			out[kept++] = values[i];
	return kept;
}

static void
digest_list(SHA256_CTX *sha, const uint16_t values[], uint16_t count, char before)
{
	char text[DIGEST_AT_ONCE * 5];
	size_t len = 0;

	for (uint16_t i = 0; i < count; i++) {
		const uint8_t bytes[2] = { (uint8_t)(values[i] >> 8), (uint8_t)values[i] };

		if (i > 0 || before != '\0')
			text[len++] = i == 0 ? before : ',';
		put_hex(text + len, bytes, sizeof(bytes));
		len += 4;
		if (len + 5 > sizeof(text)) {
			SHA256_Update(sha, text, len);
			len = 0;
		}
	}
	SHA256_Update(sha, text, len);
}

static void
put_ja4_hash(struct buf *out, SHA256_CTX *sha, bool empty)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hex[JA4_HASH_LEN];

	SHA256_Final(digest, sha);
	put_hex(hex, digest, JA4_HASH_LEN / 2);
	buf_putc(out, '_');
	buf_put(out, empty ? "000000000000" : hex, JA4_HASH_LEN);
}

static void
put_count(struct buf *out, const uint16_t values[], uint16_t count)
{
	unsigned int plain = 0;

	for (uint16_t i = 0; i < count; i++)
		plain += !tls_is_grease(values[i]);
	plain = plain > JA4_COUNT_MAX ? JA4_COUNT_MAX : plain;
	buf_putc(out, (char)('0' + plain / 10));
	buf_putc(out, (char)('0' + plain % 10));
}

static const char *
ja4_version(uint16_t version)
{
	static const char *const names[] = { "s3", "10", "11", "12", "13" };

	if (version == TLS_SSL_2)
		return "s2";
	return version >= TLS_SSL_3 && version <= TLS_1_3 ? names[version - TLS_SSL_3] : "00";
}

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* First and last character of the first protocol; of their hex digits where they are no letters. */
static void
put_ja4_alpn(struct buf *out, struct cursor alpn)
{
	uint8_t len = cursor_u8(&alpn);
	const uint8_t *text = cursor_take(&alpn, len);
	char hex[4];

	if (text == NULL || len == 0) {
		buf_puts(out, "00");
		return;
	}
	if (is_alnum(text[0]) && is_alnum(text[len - 1])) {
		buf_putc(out, (char)text[0]);
		buf_putc(out, (char)text[len - 1]);
		return;
	}
	put_hex(hex, text, 1);
	put_hex(hex + 2, text + len - 1, 1);
	buf_putc(out, hex[0]);
	buf_putc(out, hex[3]);
}

static_assert(TLS_EXTENSIONS_MAX + TLS_SMALL_LIST_MAX <= TLS_LIST_MAX, "the lists of a hello fit");

void
tls_print_ja4(const struct tls_hello *hello, struct buf *out)
{
	uint16_t sorted[TLS_LIST_MAX];
	uint16_t count = sort_plain(sorted, hello->ciphers, hello->cipher_count, false), others;
	SHA256_CTX sha;

	buf_putc(out, 't');
	buf_puts(out, ja4_version(hello->version_best));
	buf_putc(out, hello->has_sni ? 'd' : 'i');
	put_count(out, hello->ciphers, hello->cipher_count);
	put_count(out, hello->extensions, hello->extension_count);
	put_ja4_alpn(out, hello->alpn);
	SHA256_Init(&sha);
	digest_list(&sha, sorted, count, '\0');
	put_ja4_hash(out, &sha, count == 0);
	count = sort_plain(sorted, hello->extensions, hello->extension_count, true);
	SHA256_Init(&sha);
	digest_list(&sha, sorted, count, '\0');
	others = drop_grease(sorted + count, hello->signatures, hello->signature_count);
	digest_list(&sha, sorted + count, others, '_');
	put_ja4_hash(out, &sha, count == 0 && others == 0);
}
