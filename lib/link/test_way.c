#include "test/test.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link/rate.h"
#include "lib/link/way_hop.h"

/* ---- the head of an answer ---- */

static const char digest_reply[] =
	"HTTP/1.1 407 Proxy Authentication Required\r\nServer: x\r\n"
	"Proxy-Authenticate: Basic realm=\"b\"\r\n"
	"Proxy-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth,auth-int\", algorithm=SHA-256, "
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"op\"\r\n"
	"Content-Type: text/html\r\n\r\n";

static void
replies_are_read(void **state)
{
	static const struct {
		const char *text;
		int want; /* -1: the whole text, else way_reply_parse()'s result */
		unsigned int status;
	} rows[] = {
		{ "HTTP/1.1 200 Connection established\r\n\r\n", -1, 200 },
		{ "HTTP/1.0 200\n\n", -1, 200 },
		{ "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>", 53, 502 },
		{ "HTTP/1.1 2", 0, 0 },
		{ "", 0, 0 },
		{ "<html><body>Log in</body></html>", -EBADMSG, 0 },
		{ "SSH-2.0-OpenSSH_9.2\r\n", -EBADMSG, 0 },
		{ "HTTP/2 200\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 20\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 abc\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 000 x\r\n\r\n", -EBADMSG, 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct way_reply reply = { 0 };
		int len = (int)strlen(rows[i].text);

		assert_int_equal(way_reply_parse(&reply, cursor_of(rows[i].text, (size_t)len)), rows[i].want == -1 ? len : rows[i].want);
		if (rows[i].status != 0)
			assert_int_equal(reply.status, rows[i].status);
	}
}

static void
reply_cut_anywhere_needs_more(void **state)
{
	struct way_reply reply;
	size_t len = strlen(digest_reply);

	for (size_t cut = 0; cut < len; cut++) {
		char *copy = malloc(cut + 1);

		assert_non_null(copy);
		memcpy(copy, digest_reply, cut);
		assert_int_equal(way_reply_parse(&reply, cursor_of(copy, cut)), 0);
		free(copy);
	}
	assert_int_equal(way_reply_parse(&reply, cursor_of(digest_reply, len)), len);
	assert_true(reply.html && reply.challenge.basic && reply.challenge.digest && reply.challenge.sha256);
	assert_true(reply.challenge.qop_auth && !reply.challenge.session);
	assert_string_equal(reply.challenge.realm, "http-auth@example.org");
	assert_string_equal(reply.challenge.opaque, "op");
}

static void
endless_reply_is_refused(void **state)
{
	char *text = malloc(WAY_REPLY_LEN_MAX);
	struct way_reply reply;

	assert_non_null(text);
	memset(text, 'a', WAY_REPLY_LEN_MAX);
	memcpy(text, "HTTP/1.1 200 ", 13);
	assert_int_equal(way_reply_parse(&reply, cursor_of(text, WAY_REPLY_LEN_MAX - 1)), 0);
	assert_int_equal(way_reply_parse(&reply, cursor_of(text, WAY_REPLY_LEN_MAX)), -EBADMSG);
	free(text);
}

static void
hostile_challenges_are_not_answered(void **state)
{
	static const char *const rows[] = {
		"Digest realm=\"a\"",
		"Digest nonce=\"a\\\"b\"",
		"Digest nonce=\"a\x01\"",
		"Digest nonce=\"a",
		"Digest nonce=\"a\", algorithm=SHA-512-256",
		"Digest nonce=\"a\", qop=\"auth-int\"",
		"Digest nonce==\"a\"",
		"Negotiate abc",
	};
	char text[256];

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct way_reply reply;
		int len = snprintf(text, sizeof(text), "HTTP/1.1 407 no\r\nProxy-Authenticate: %s\r\n\r\n", rows[i]);

		assert_int_equal(way_reply_parse(&reply, cursor_of(text, (size_t)len)), len);
		assert_false(reply.challenge.digest);
	}
}

/* Answers computed by another implementation, with the user, realm and nonces of RFC 7616 3.9.1. */
static void
digest_answers(void **state)
{
	static const struct {
		bool sha256, session, qop_auth;
		const char *response;
	} rows[] = {
		{ false, false, true, "7da7dbdc0913736cb75687031e8bad65" },
		{ false, false, false, "3c8529475e46e37aacd71ec39936f4a9" },
		{ false, true, true, "1b6b098e5a6b86f0f2e6dce8979886e5" },
		{ true, false, true, "0530bd0e3ddd7c3900bacc099ca311d7cabf15245ccf26af526eb61fed6032ec" },
		{ true, true, true, "a9ae585b435d08f5e66b70f970b09aaa4a53cde0e8677553f64586cbe7748bf8" },
	};
	static const struct way_hop hop = { .user = "Mufasa" };

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct way_challenge challenge = { .digest = true, .sha256 = rows[i].sha256, .session = rows[i].session,
			.qop_auth = rows[i].qop_auth, .realm = "http-auth@example.org",
			.nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v" };
		char data[1024], want[128];
		struct buf out = { .data = data, .cap = sizeof(data) };

		assert_true(way_digest_write(&out, &challenge, &hop, "Circle of Life", "a.example:443",
			"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"));
		buf_putc(&out, '\0');
		snprintf(want, sizeof(want), "response=\"%s\"", rows[i].response);
		assert_non_null(strstr(data, want));
	}
}

/* ---- configuration ---- */

static int
read_ways(struct way_set **set, const char *json, struct config_error *err)
{
	json_t *ways = json_loads(json, JSON_DECODE_ANY, NULL);
	const struct way_config config = { .ways = ways, .ca = "/dev/null" };

	assert_non_null(ways);
	int rc = way_set_create(set, &config, err);

	json_decref(ways);
	return rc;
}

static void
good_ways(void **state)
{
	static const char json[] =
		"[\"direct\", \"http://a:1 https://[2001:db8::1]:2 socks5h://c:3\","
		"{\"name\":\"lte\",\"hops\":[{\"url\":\"socks5://d:4\",\"user\":\"u\",\"auth\":\"digest\",\"password-file\":\"/dev/null\"}],"
		"\"resolve\":\"proxy\",\"source\":\"192.0.2.7\",\"interface\":\"wwan0\",\"inspect-ca\":\"/dev/null\",\"metered\":\"yes\","
		"\"bandwidth\":[\"07:00-19:00 64kbit\",\"1mbit\"]},{\"bandwidth\":[]},{\"bandwidth\":\"8 KiB\"}]";
	struct config_error err;
	struct way_set *set;

	assert_int_equal(read_ways(&set, json, &err), 0);
	assert_int_equal(set->count, 5);
	assert_int_equal(set->ways[0].hop_count, 0);
	assert_int_equal(set->ways[1].hop_count, 3);
	assert_string_equal(set->ways[1].hops[1].at.host, "2001:db8::1");
	assert_int_equal(set->ways[1].hops[2].at.port, 3);
	assert_false(set->ways[1].hops[2].names_local);
	assert_string_equal(set->ways[2].name, "lte");
	assert_false(set->ways[2].hops[0].names_local);
	assert_int_equal(set->ways[2].hops[0].auth, WAY_AUTH_DIGEST);
	assert_true(set->ways[2].metered && !set->ways[1].metered);
	assert_true(!set->ways[1].own_rates && set->ways[2].own_rates && set->ways[3].own_rates);
	assert_int_equal(rate_table_at(&set->ways[2].rates, 8 * 60), 8000);
	assert_int_equal(rate_table_at(&set->ways[2].rates, 20 * 60), 125000);
	assert_int_equal(rate_table_at(&set->ways[3].rates, 0), 0);
	assert_int_equal(rate_table_at(&set->ways[4].rates, 0), 8192);
	way_set_destroy(set);
}

static void
bad_ways(void **state)
{
	static const char *const rows[] = {
		"[]", "\"\"", "\"ftp://a:1\"", "\"http://a\"", "\"http://a:0\"", "\"http://a:70000\"", "\"http://a:1/x\"",
		"\"http://u:p@a:1\"", "\"http://a b:1\"", "\"http://a\\r\\nX:1\"", "\"socks4://a:1\"", "[[\"direct\"]]", "[1]",
		"{\"hops\":{\"user\":\"u\"}}", "{\"hops\":\"http://a:1\",\"speed\":\"1\"}", "{\"hops\":{\"url\":\"http://a:1\",\"x\":\"1\"}}",
		"{\"hops\":{\"url\":\"http://a:1\",\"auth\":\"ntlm\"}}", "{\"source\":\"eth0\"}", "{\"resolve\":\"x\"}", "{\"metered\":\"x\"}",
		"{\"inspect-ca\":\"/nonexistent\"}", "{\"name\":[]}", "{\"bandwidth\":\"fast\"}", "{\"bandwidth\":[\"1mbit\",\"\"]}", "{\"bandwidth\":{}}",
		"[\"direct\",\"direct\",\"direct\",\"direct\",\"direct\",\"direct\",\"direct\",\"direct\",\"direct\"]",
		"\"http://a:1 http://a:1 http://a:1 http://a:1 http://a:1 http://a:1 http://a:1 http://a:1 http://a:1\"",
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct config_error err = { "" };
		struct way_set *set;

		assert_int_equal(read_ways(&set, rows[i], &err), -EINVAL);
		assert_true(strncmp(err.text, "uplink.ways", 11) == 0);
	}
}

static void
old_keys_are_one_way(void **state)
{
	const struct way_config config = { .proxy = "http://a:3128", .pre_proxy = "socks5h://b:1080", .proxy_user = "u", .ca = "ca" };
	struct config_error err;
	struct way_set *set;

	TEST_FAIL_EACH_ALLOC(way_set_create(&set, &config, &err), == 0, way_set_destroy(set));
	assert_int_equal(way_set_create(&set, &config, &err), 0);
	assert_int_equal(set->count, 1);
	assert_int_equal(set->ways[0].hop_count, 2);
	assert_int_equal(set->ways[0].hops[0].kind, WAY_HOP_SOCKS5);
	assert_string_equal(set->ways[0].hops[1].user, "u");
	assert_string_equal(set->ways[0].hops[0].user, "");
	way_set_destroy(set);
}

/* ---- names ---- */

/* In place of the C library's, which is asked for all other names: two.example has an address of nobody and one that answers,
 * box.example the second one only for those who ask for every one, as "localhost" on a machine whose other addresses are of IPv6. */
int
getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out)
{
	typeof(&getaddrinfo) real = (typeof(&getaddrinfo))dlsym(RTLD_NEXT, "getaddrinfo");
	bool two = host != NULL && strcmp(host, "two.example") == 0, box = host != NULL && strcmp(host, "box.example") == 0;
	int rc;

	if (!two && !box)
		return real(host, port, hints, out);
	if ((hints->ai_flags & AI_NUMERICHOST) != 0)
		return EAI_NONAME;
	rc = real("127.0.0.2", port, hints, out);
	return rc != 0 || (box && (hints->ai_flags & AI_ADDRCONFIG) != 0) ? rc : real("127.0.0.1", port, hints, &(*out)->ai_next);
}

/* ---- walking, past a proxy that says what the row says ---- */

struct peer {
	int listener;
	const char *says; /* pieces are split by '|', with a read before each; connections by '!' */
	size_t len;
	bool hang;
};

static void
say_pieces(int fd, const char *at, const char *end)
{
	char data[4096];

	while (at < end) {
		const char *bar = memchr(at, '|', (size_t)(end - at));
		size_t len = (size_t)((bar == NULL ? end : bar) - at);

		if (recv(fd, data, sizeof(data), 0) <= 0 || send(fd, at, len, MSG_NOSIGNAL) != (ssize_t)len)
			return;
		at += len + (bar != NULL);
	}
}

static void *
peer_run(void *arg)
{
	struct peer *peer = arg;
	const char *at = peer->says, *end = at + peer->len;
	char data[4096];

	for (const char *next = at; next != NULL; at = next + 1) {
		int fd = accept(peer->listener, NULL, NULL);

		next = memchr(at, '!', (size_t)(end - at));
		say_pieces(fd, at, next == NULL ? end : next);
		if (peer->hang || peer->len > 0)
			while (recv(fd, data, sizeof(data), 0) > 0)
				;
		close(fd);
		if (next == NULL)
			break;
	}
	return NULL;
}

static enum way_error
walk_past(const char *scheme, const char *at, const char *to_host, const char *says, size_t len, bool hang)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t address_len = sizeof(address);
	struct peer peer = { .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .says = says, .len = len, .hang = hang };
	struct way_end to = { .port = 443 };
	struct way_stream *stream = NULL;
	struct way_failure fail;
	struct config_error err;
	struct way_set *set;
	pthread_t thread;
	char json[64];

	assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(peer.listener, 1), 0);
	assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &address_len), 0);
	snprintf(json, sizeof(json), "\"%s://%s:%u\"", scheme, at, ntohs(address.sin_port));
	snprintf(to.host, sizeof(to.host), "%s", to_host);
	assert_int_equal(read_ways(&set, json, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, peer_run, &peer), 0);
	const struct way_walk walk = { .set = set, .way = &set->ways[0], .to = &to, .step_timeout_ms = 300, .cancel_fd = -1 };
	int rc = way_walk(&stream, &walk, &fail);

	assert_int_equal(rc == 0, fail.error == WAY_DONE);
	way_stream_destroy(stream);
	shutdown(peer.listener, SHUT_RDWR); /* where nobody came it does not wait for ever */
	pthread_join(thread, NULL);
	close(peer.listener);
	way_set_destroy(set);
	return fail.error;
}

static void
proxies_that_misbehave(void **state)
{
#define SAYS(text) text, sizeof(text) - 1
	static const struct {
		const char *scheme, *says;
		size_t len;
		bool hang;
		enum way_error want;
	} rows[] = {
		{ "http", SAYS("HTTP/1.1 200 OK\r\n\r\n"), false, WAY_DONE },
		{ "http", SAYS("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), false, WAY_DONE },
		{ "http", SAYS("HTTP/1.1 102 x\r\n\r\nHTTP/1.1 403 x\r\n\r\n"), true, WAY_PROXY_DENIED },
		{ "http", SAYS("HTTP/1.1 100 x\r\n\r\n"), true, WAY_PROXY_TIMEOUT },
		{ "http", SAYS("HTTP/1.1 101 x\r\n\r\n"), true, WAY_PROXY_STATUS },
		{ "http", SAYS(""), true, WAY_PROXY_TIMEOUT },
		{ "http", SAYS(""), false, WAY_PROXY_CLOSED },
		{ "http", SAYS("HTTP/1.1 200 O"), true, WAY_PROXY_TIMEOUT },
		{ "http", SAYS("<html>"), true, WAY_PROXY_GARBAGE },
		{ "http", SAYS("HTTP/1.1 200 OK\r\n\r\nmore"), true, WAY_PROXY_GARBAGE },
		{ "http", SAYS("HTTP/1.1 407 x\r\n\r\n"), true, WAY_PROXY_AUTH },
		{ "http", SAYS("HTTP/1.1 403 x\r\n\r\n"), true, WAY_PROXY_DENIED },
		{ "http", SAYS("HTTP/1.1 502 x\r\n\r\n"), true, WAY_PROXY_GATEWAY },
		{ "http", SAYS("HTTP/1.1 302 x\r\nLocation: http://login/\r\n\r\n"), true, WAY_PROXY_STATUS },
		{ "https", SAYS("HTTP/1.1 400 Bad Request\r\n\r\n"), true, WAY_TLS_UNKNOWN_CA },
		{ "socks5h", SAYS("\5\0|\5\0\0\1\177\0\0\1\0\0"), false, WAY_DONE },
		{ "socks5h", SAYS("\5\0|\5\0\0\3\3abc\0\0"), false, WAY_DONE },
		{ "socks5h", SAYS("\5\0|\5\0\0\4"), true, WAY_PROXY_TIMEOUT },
		{ "socks5h", SAYS("\5\0|\5\0\0\11"), true, WAY_PROXY_GARBAGE },
		{ "socks5h", SAYS("\5\0|\5\2\0\1\0\0\0\0\0\0"), true, WAY_PROXY_DENIED },
		{ "socks5h", SAYS("\5\0|\5\5\0\1\0\0\0\0\0\0"), true, WAY_PROXY_GATEWAY },
		{ "socks5h", SAYS("\5\377"), true, WAY_PROXY_AUTH },
		{ "socks5h", SAYS("\5\2"), true, WAY_PROXY_AUTH },
		{ "socks5h", SAYS("HT"), true, WAY_PROXY_GARBAGE },
		{ "socks5h", SAYS(""), false, WAY_PROXY_CLOSED },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		enum way_error error = walk_past(rows[i].scheme, "127.0.0.1", "aggregator.example", rows[i].says, rows[i].len,
			rows[i].hang);

		if (error != rows[i].want)
			print_error("row %zu: %s, wanted %s\n", i, way_error_name(error), way_error_name(rows[i].want));
		assert_int_equal(error, rows[i].want);
	}
}

/* A dead address in front of a living one is neither the end nor what is told afterwards. */
static void
each_address_is_tried(void **state)
{
	static const char yes[] = "\5\0|\5\0\0\1\0\0\0\0\0\0";
	static const char second[] = "\5\0|\5\2\0\1\0\0\0\0\0\0!\5\0|\5\0\0\1\0\0\0\0\0\0";
	static const char none[] = "\5\0|\5\5\0\1\0\0\0\0\0\0!\5\0|\5\4\0\1\0\0\0\0\0\0";
	static const char stranger[] = "\5\377";

	assert_int_equal(walk_past("socks5h", "two.example", "x.example", SAYS(yes), false), WAY_DONE);
	assert_int_equal(walk_past("socks5", "127.0.0.1", "two.example", SAYS(second), false), WAY_DONE);
	assert_int_equal(walk_past("socks5", "127.0.0.1", "two.example", SAYS(none), false), WAY_PROXY_GATEWAY);
	assert_int_equal(walk_past("socks5h", "box.example", "x.example", SAYS(yes), false), WAY_DONE);
	/* It resolves names itself: asked once. */
	assert_int_equal(walk_past("socks5h", "127.0.0.1", "two.example", none, 12, false), WAY_PROXY_GATEWAY);
	/* Other credentials do not come with another address. */
	assert_int_equal(walk_past("socks5", "127.0.0.1", "two.example", SAYS(stranger), false), WAY_PROXY_AUTH);
}

/* ---- bandwidth ---- */

static void
rates_by_time_of_day(void **state)
{
	json_t *list = json_pack("[s,s,s]", "07:00-19:30 64kbit", "22:00-06:00 1 MiB", "256 KiB");
	struct rate_table table;
	const char *bad;

	assert_int_equal(rate_table_read(&table, list, &bad), 0);
	assert_int_equal(rate_table_at(&table, 7 * 60), 8000);
	assert_int_equal(rate_table_at(&table, 19 * 60 + 29), 8000);
	assert_int_equal(rate_table_at(&table, 19 * 60 + 30), 256 << 10);
	assert_int_equal(rate_table_at(&table, 23 * 60), 1 << 20);
	assert_int_equal(rate_table_at(&table, 0), 1 << 20);
	assert_int_equal(rate_table_at(&table, 6 * 60), 256 << 10);
	assert_int_equal(rate_table_read(&table, NULL, &bad), 0);
	assert_int_equal(rate_table_at(&table, 0), 0);
	json_decref(list);
}

static void
bad_rates(void **state)
{
	static const char *const rows[] = { "", "x", "64", "64 furlong", "1kbit", "07:00 64kbit", "07:00-07:00 64kbit", "7:00-19:00 64kbit",
		"25:00-26:00 64kbit", "07:60-08:00 64kbit", "24:01-08:00 64kbit", "07:00-08:0064kbit", "-1kbit", "99999999999999999999mbit" };

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		json_t *list = json_pack("[s]", rows[i]);
		struct rate_table table;
		const char *bad;

		assert_int_equal(rate_table_read(&table, list, &bad), -EINVAL);
		assert_string_equal(bad, rows[i]);
		json_decref(list);
	}
}

static void
every_error_has_name_and_advice(void **state)
{
	for (unsigned int i = 0; i < WAY_ERROR_COUNT; i++) {
		assert_non_null(way_error_name(i));
		assert_non_null(way_error_advice(i));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read),
		cmocka_unit_test(reply_cut_anywhere_needs_more),
		cmocka_unit_test(endless_reply_is_refused),
		cmocka_unit_test(hostile_challenges_are_not_answered),
		cmocka_unit_test(digest_answers),
		cmocka_unit_test(good_ways),
		cmocka_unit_test(bad_ways),
		cmocka_unit_test(old_keys_are_one_way),
		cmocka_unit_test(proxies_that_misbehave),
		cmocka_unit_test(each_address_is_tried),
		cmocka_unit_test(rates_by_time_of_day),
		cmocka_unit_test(bad_rates),
		cmocka_unit_test(every_error_has_name_and_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
