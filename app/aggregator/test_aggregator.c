#include "test/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "app/aggregator/api.h"
#include "app/aggregator/api_private.h"
#include "app/aggregator/ingest.h"

static char dir[] = "/tmp/millrace-test-aggregator-XXXXXX";
static char cert_path[64], key_path[64], token_path[64], store_path[64];

static struct settings settings = {
	.listen = "127.0.0.1:0",
	.tls_cert = cert_path,
	.tls_key = key_path,
	.tls_ca = cert_path,
	.api_listen = "127.0.0.1:0",
	.api_cert = cert_path,
	.api_key = key_path,
	.api_token_file = token_path,
	.api_tokens = "",
	.api_audit_path = "",
	.store_path = store_path,
	.body_max = 65536,
	.lines_max = 65536,
	.connections_max = 4,
	.connections_per_sensor = 2,
	.idle_timeout_s = 5,
	.request_timeout_s = 5,
	.query_timeout_ms = 1000,
	.query_threads = 2,
	.group_records = 100,
	.queue_bytes = 1 << 20,
};

static void
write_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-384");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	FILE *file;

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha384()) > 0);
	file = fopen(cert_path, "w");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	file = fopen(key_path, "w");
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void
write_token(const char *text)
{
	FILE *file = fopen(token_path, "w");

	fputs(text, file);
	fclose(file);
}

static int
make_files(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	snprintf(token_path, sizeof(token_path), "%s/token", dir);
	snprintf(store_path, sizeof(store_path), "%s/records.db", dir);
	write_certificate();
	write_token("0123456789abcdef\n");
	return 0;
}

static int
remove_files(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-lock" };
	char name[80];

	for (size_t i = 0; i < TEST_COUNT(ends); i++) {
		snprintf(name, sizeof(name), "%s%s", store_path, ends[i]);
		unlink(name);
	}
	unlink(cert_path);
	unlink(key_path);
	unlink(token_path);
	return rmdir(dir);
}

static void
creation_survives_no_memory(void **state)
{
	const struct store_config config = { .path = store_path };
	struct event_base *base = event_base_new();
	struct ingest *ingest = NULL;
	struct counter_set counters;
	struct api *api = NULL;
	struct store *store;

	assert_int_equal(event_base_priority_init(base, 3), 0);
	assert_int_equal(store_open(&store, 0, &config, true), 0);
	TEST_FAIL_EACH_ALLOC(ingest_create(&ingest, base, &settings, store, NULL), == 0, ingest_destroy(ingest));
	assert_int_equal(ingest_create(&ingest, base, &settings, store, NULL), 0);
	counters = ingest_counter_set(ingest);
	TEST_FAIL_EACH_ALLOC(api_create(&api, &settings, &counters, NULL), == 0, api_destroy(api));
	assert_true(ingest_port(ingest) != 0);
	ingest_destroy(ingest);
	ingest_destroy(NULL);
	api_destroy(NULL);
	store_close(store);
	event_base_free(base);
}

static const struct {
	const char *assignment;
	bool good;
} assignments[] = {
	{ "listen=0.0.0.0:8443", true },
	{ "store.kind=sqlite", true },
	{ "store.kind=papyrus", false },
	{ "limits.body=1gb", false },
	{ "limits.connections=0", false },
	{ "tls.cert=", false },
	{ "limits.bodies=1", false },
};

static void
settings_are_checked(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(assignments); i++) {
		static const char *const must[] = { "tls.cert=a", "tls.key=a", "tls.ca=a", "store.path=a", "api.token-file=a" };
		struct config_error err;
		struct config *config;
		struct settings read;
		int result = 0;

		assert_int_equal(config_load(&config, NULL, &err), 0);
		for (size_t j = 0; j < TEST_COUNT(must); j++)
			assert_int_equal(config_set(config, must[j], &err), 0);
		result = config_set(config, assignments[i].assignment, &err);
		if (result == 0)
			result = settings_read(&read, config, &err);
		assert_int_equal(result == 0, assignments[i].good);
		if (result == 0)
			assert_string_equal(read.api_cert, "a");
		config_destroy(config);
	}
}

/* A file of who is revoked that is not read any more would let in whoever stands in it. */
static void
files_of_one_are_refused_where_several_share(void **state)
{
	static const struct {
		const char *assignment;
		bool good;
	} shared[] = { { "log.level=error", true }, { "enrol.only=yes", true }, { "enrol.state=a", false }, { "api.tokens=a", false } };
	static const char *const must[] = { "tls.cert=a", "tls.key=a", "tls.ca=a", "api.token-file=a", "store.kind=clickhouse",
		"store.clickhouse.shards=[\"http://a:1\"]", "store.postgres.url=host=a" };

	for (size_t i = 0; i < TEST_COUNT(shared); i++) {
		struct config_error err;
		struct config *config;
		struct settings read;

		assert_int_equal(config_load(&config, NULL, &err), 0);
		for (size_t j = 0; j < TEST_COUNT(must); j++)
			assert_int_equal(config_set(config, must[j], &err), 0);
		assert_int_equal(config_set(config, shared[i].assignment, &err), 0);
		assert_int_equal(settings_read(&read, config, &err) == 0, shared[i].good);
		config_destroy(config);
	}
}

static void
files_are_checked(void **state)
{
	struct settings wrong = settings;
	char pipe_path[256];

	assert_int_equal(api_check(&settings), 0);
	wrong.api_listen = "[::1]:8444";
	assert_int_equal(api_check(&wrong), 0);
	wrong = settings;
	wrong.api_key = cert_path;
	assert_int_not_equal(api_check(&wrong), 0);
	wrong = settings;
	snprintf(pipe_path, sizeof(pipe_path), "%s.pipe", cert_path);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	wrong.api_cert = pipe_path;
	assert_int_not_equal(api_check(&wrong), 0); /* and does not wait for its other end */
	unlink(pipe_path);
	wrong = settings;
	wrong.api_listen = "localhost";
	assert_int_not_equal(api_check(&wrong), 0);
	wrong.api_listen = "127.0.0.1:65536";
	assert_int_not_equal(api_check(&wrong), 0);
	write_token("short\n");
	assert_int_not_equal(api_check(&settings), 0);
	write_token("");
	assert_int_not_equal(api_check(&settings), 0);
	unlink(token_path);
	assert_int_not_equal(api_check(&settings), 0);
	write_token("0123456789abcdef\n");
}

/* Every route, its method, its parameters, and nothing else. */
static void
the_document_says_every_route(void **state)
{
	json_t *document = api_document();
	json_t *paths = json_object_get(document, "paths");

	assert_int_equal(json_object_size(paths), api_route_count);
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		json_t *operation = json_object_get(json_object_get(paths, route->path), route->post ? "post" : "get");
		size_t wanted = (size_t)__builtin_popcount(route->filters) + (size_t)__builtin_popcount(route->parameters) +
			(route->filters >> STORE_EVENT_TYPE & 1);
		const char *allowed;
		json_t *parameter;
		size_t at;

		assert_non_null(operation);
		assert_ptr_equal(api_route_find(route->path, route->post, &allowed), route);
		assert_null(api_route_find(route->path, !route->post, &allowed));
		assert_string_equal(allowed, route->post ? "POST" : "GET");
		assert_int_equal(json_array_size(json_object_get(operation, "parameters")), wanted);
		json_array_foreach(json_object_get(operation, "parameters"), at, parameter)
			assert_true(json_is_object(json_object_get(parameter, "schema")));
	}
	json_decref(document);
}

static const struct {
	const char *line;
	bool good;
} token_lines[] = {
	{ "# a comment\n\n", true },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 read test\n", true },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 read,export,admin test\n", true },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a0 read test\n", false },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a0z read test\n", false },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 all test\n", false },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 read\n", false },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 read, test\n", true },
	{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n", false },
};

static void
token_files_are_read_line_by_line(void **state)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/tokens", dir);
	for (size_t i = 0; i < TEST_COUNT(token_lines); i++) {
		struct api_tokens *tokens = NULL;
		FILE *file = fopen(path, "w");
		const char *name;

		fputs(token_lines[i].line, file);
		fclose(file);
		assert_int_equal(api_tokens_create(&tokens, token_path, &api_token_file, path) == 0, token_lines[i].good);
		if (tokens == NULL)
			continue;
		assert_int_equal(api_tokens_allow(tokens, "Bearer 0123456789abcdef", API_SCOPE_ADMIN, &name), 1);
		assert_string_equal(name, "operator");
		assert_int_equal(api_tokens_allow(tokens, "Bearer 0123456789abcdeg", API_SCOPE_READ, &name), 0);
		assert_null(name);
		/* SHA-256 of "test". */
		assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), i > 0);
		assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_EXPORT, &name), i == 2);
		api_tokens_destroy(tokens);
	}
	unlink(path);
}

/* What cannot be read is no list without tokens, nor the one of before. */
static void
token_files_that_cannot_be_read_tell_nothing(void **state)
{
	char path[80], aside[88];
	struct api_tokens *tokens = NULL;
	struct rlimit files, none;
	const char *name;
	FILE *file;

	snprintf(path, sizeof(path), "%s/unread", dir);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	file = fopen(path, "w");
	fputs(token_lines[1].line, file);
	fclose(file);
	assert_int_equal(api_tokens_create(&tokens, token_path, &api_token_file, path), 0);
	getrlimit(RLIMIT_NOFILE, &files);
	none = (struct rlimit){ 0, files.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), -EMFILE);
	assert_null(name);
	assert_int_equal(api_tokens_allow(tokens, "Bearer 0123456789abcdef", API_SCOPE_ADMIN, &name), 1);
	setrlimit(RLIMIT_NOFILE, &files);
	usleep(1100 * 1000);
	assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), 1);
	/* It is being replaced, or has gone for good. */
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), -ENOENT);
	usleep(1100 * 1000);
	assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), 0);
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), 1);
	file = fopen(path, "a");
	fputs("no line\n", file);
	fclose(file);
	assert_int_equal(api_tokens_allow(tokens, "Bearer test", API_SCOPE_READ, &name), -EINVAL);
	api_tokens_destroy(tokens);
	unlink(path);
}

static void
token_files_are_kept(void **state)
{
	char path[80], text[API_TOKEN_TEXT_LEN + 1], listed[128] = "", header[128];
	struct api_tokens *tokens = NULL;
	struct api_token token;
	struct stat status;
	const char *name;
	void *kept = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "%s/kept", dir);
	file = fopen(path, "w");
	fclose(file);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(api_tokens_create(&tokens, token_path, &api_token_file, path), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(api_token_file.open(&kept, path), 0);
		assert_int_equal(api_token_make(i == 0 ? "first" : "second", "read,export", &token, text), 0);
		assert_int_equal(api_token_file.add(kept, &token), 0);
		api_token_file.close(kept);
	}
	/* Good at once for whoever has the file open. */
	snprintf(header, sizeof(header), "Bearer %s", text);
	assert_int_equal(api_tokens_allow(tokens, header, API_SCOPE_EXPORT, &name), 1);
	assert_string_equal(name, "second");
	assert_int_equal(api_token_file.open(&kept, path), 0);
	assert_int_equal(api_token_file.add(kept, &token), -EEXIST);
	assert_int_equal(api_token_file.remove(kept, "third"), -ENOENT);
	assert_int_equal(api_token_file.remove(kept, "second"), 0);
	api_token_file.close(kept);
	assert_int_equal(api_tokens_allow(tokens, header, API_SCOPE_EXPORT, &name), 0);
	assert_int_equal(api_token_file.open(&kept, path), 0);
	file = fmemopen(listed, sizeof(listed), "w");
	assert_int_equal(api_token_file.list(kept, file), 0);
	fclose(file);
	assert_string_equal(listed, "first read,export\n");
	api_token_file.close(kept);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(api_token_make("a b", "read", &token, text), -EINVAL);
	assert_int_equal(api_token_make("a", "write", &token, text), -EINVAL);
	api_tokens_destroy(tokens);
	unlink(path);
}

static int
add_token(const char *path, const char *name)
{
	char text[API_TOKEN_TEXT_LEN + 1];
	struct api_token token;
	void *kept = NULL;
	int err;

	assert_int_equal(api_token_file.open(&kept, path), 0);
	assert_int_equal(api_token_make(name, "read", &token, text), 0);
	err = api_token_file.add(kept, &token);
	api_token_file.close(kept);
	return err;
}

/* The first token makes it, with its folder; a line that an editor left without its end stays one; what a disk took in half is
 * not the file. */
static void
token_files_grow_whole(void **state)
{
	char path[80], text[512] = "";
	struct rlimit before, small;
	struct stat status;
	FILE *file;

	snprintf(path, sizeof(path), "%s/new/tokens", dir);
	assert_int_equal(add_token(path, "first"), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	file = fopen(path, "w");
	fputs("# by hand\n9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 read test", file);
	fclose(file);
	assert_int_equal(add_token(path, "second"), 0);
	assert_int_equal(add_token(path, "test"), -EEXIST);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ .rlim_cur = 170, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(add_token(path, "third"), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(add_token(path, "second"), -EEXIST);
	file = fopen(path, "r");
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	assert_memory_equal(text, "# by hand\n9f86", 14);
	assert_null(strstr(text, "third"));
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation_survives_no_memory),
		cmocka_unit_test(settings_are_checked),
		cmocka_unit_test(files_of_one_are_refused_where_several_share),
		cmocka_unit_test(files_are_checked),
		cmocka_unit_test(the_document_says_every_route),
		cmocka_unit_test(token_files_are_read_line_by_line),
		cmocka_unit_test(token_files_that_cannot_be_read_tell_nothing),
		cmocka_unit_test(token_files_are_kept),
		cmocka_unit_test(token_files_grow_whole),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
