#include "lib/enrol/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/hold.h"
#include "lib/base/log.h"
#include "lib/enrol/csr.h"
#include "lib/enrol/proof.h"
#include "lib/link/key.h"
#include "lib/link/relay_easy.h"

enum { ANSWER_MAX = 64 * 1024 };

static const char tls12_ciphers[] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

/* A request on its way: what to ask whom, and what came back. */
struct call {
	const char *url;
	const char *ca;       /* PEM text; NULL: ca_file */
	const char *ca_file;
	const char *identity; /* file of key and certificate; NULL: none is shown */
	const struct activation *activation; /* kept with what is answered; NULL: it is there already */
	const struct enrol_way *way;
	bool inspected; /* out: the answer came by a way whose proxy opens TLS */
	struct buf answer;
	char reason[CURL_ERROR_SIZE];
};

static size_t
take_answer(char *data, size_t size, size_t count, void *arg)
{
	struct buf *answer = arg;

	buf_put(answer, data, size * count);
	return answer->full ? 0 : size * count;
}

/* For each connection: libcurl itself cannot use a key that is in a TPM. */
static CURLcode
use_identity(CURL *easy, void *ssl_ctx, void *arg)
{
	const struct call *call = arg;
	struct buf text = { 0 };
	bool good = enrol_identity_read(&text, call->identity) == 0 && link_key_use(ssl_ctx, text.data, text.len, text.data, text.len);

	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_destroy(&text);
	return good ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static bool
is_stopped(const struct call *call)
{
	return call->way->stop != NULL && atomic_load(call->way->stop);
}

/* Called while a request waits, at least once a second. */
static int
look_for_stop(void *arg, curl_off_t to_come, curl_off_t come, curl_off_t to_go, curl_off_t gone)
{
	return is_stopped(arg);
}

static bool
is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static void
set_tls(CURL *easy, struct call *call)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, tls12_ciphers);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* ways differ in it */
	if (call->identity != NULL) {
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_identity);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, call);
	}
}

/* Who may answer on this way: the aggregator, or the proxy whose CA the operator named, and then none but that. */
static void
set_trust(CURL *easy, struct call *call, const struct way *way)
{
	struct curl_blob ca = { .data = (void *)call->ca, .len = call->ca == NULL ? 0 : strlen(call->ca),
		.flags = CURL_BLOB_NOCOPY };

	call->inspected = is_set(way->inspect_ca);
	curl_easy_setopt(easy, CURLOPT_CAINFO, call->inspected ? way->inspect_ca : call->ca_file);
	curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, call->inspected || call->ca == NULL ? NULL : &ca);
	curl_easy_setopt(easy, CURLOPT_CRLFILE, call->inspected || !is_set(call->way->crl) ? NULL : call->way->crl);
	curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, call->inspected || !is_set(call->way->pin) ? NULL : call->way->pin);
}

static CURLcode
go(CURL *easy, struct call *call, const struct way_set *set, const struct way *way, const struct way_end *to)
{
	uint64_t step_ms = call->way->connect_timeout_ms;
	struct relay_easy relay;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	call->reason[0] = '\0';
	buf_reset(&call->answer);
	set_trust(easy, call, way);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(step_ms * (3 + 3 * way->hop_count)));
	if (relay_easy_attach(&relay, easy, set, way, to, step_ms) == 0)
		code = curl_easy_perform(easy);
	if (code != CURLE_OK && relay.failure.error != WAY_DONE)
		snprintf(call->reason, sizeof(call->reason), "%s: %s", way_error_name(relay.failure.error), relay.failure.text);
	relay_easy_detach(&relay, easy);
	return code;
}

/* In order of preference, until one leads to an answer. */
static CURLcode
go_by_ways(CURL *easy, struct call *call)
{
	static const struct way_set direct = { .ways = { { .name = "direct" } }, .count = 1 };
	const struct way_set *set = call->way->ways == NULL ? &direct : call->way->ways;
	const char *path = strstr(call->url, "://") == NULL ? NULL : strchr(strstr(call->url, "://") + 3, '/');
	char base[ACTIVATION_URL_MAX + 64];
	struct way_end to;
	CURLcode code = CURLE_URL_MALFORMAT;

	snprintf(base, sizeof(base), "%.*s", (int)(path == NULL ? strlen(call->url) : (size_t)(path - call->url)), call->url);
	if (way_end_parse(&to, base, "https", 443) != 0)
		return CURLE_URL_MALFORMAT;
	for (unsigned int i = 0; i < set->count && code != CURLE_OK && !is_stopped(call); i++)
		code = go(easy, call, set, &set->ways[i], &to);
	return code;
}

/* @return the HTTP status, or -errno with the reason set */
static int
perform(CURL *easy, struct call *call, const char *body)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	long status = 0;
	int err = headers == NULL ? -ENOMEM : 0;
	CURLcode code = CURLE_OK;

	if (err == 0) {
		curl_easy_setopt(easy, CURLOPT_URL, call->url);
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
		curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(easy, CURLOPT_USERAGENT, "millrace-sensor/" MILLRACE_VERSION);
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->way->timeout_ms);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, &call->answer);
		curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->reason);
		curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, look_for_stop);
		curl_easy_setopt(easy, CURLOPT_XFERINFODATA, call);
		set_tls(easy, call);
		code = go_by_ways(easy, call);
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	}
	if (code != CURLE_OK && call->reason[0] == '\0')
		snprintf(call->reason, sizeof(call->reason), "%s", curl_easy_strerror(code));
	curl_slist_free_all(headers);
	return err != 0 ? err : code != CURLE_OK ? -EHOSTUNREACH : (int)status;
}

static int
fail(char error[IDENTITY_ERROR_MAX], int err, const char *what, const char *why)
{
	/* An answer is another's text: it must not drive a terminal. */
	int len = snprintf(error, IDENTITY_ERROR_MAX, "%.120s: %.120s", what, why);

	for (int i = 0; i < len && i < IDENTITY_ERROR_MAX; i++)
		if ((unsigned char)error[i] < ' ' || (unsigned char)error[i] >= 0x7f)
			error[i] = '?';
	return err;
}

int
enrol_take_answer(const struct enrol_answered *answered, const char *dir, EVP_PKEY *key, const char *sensor,
	char error[IDENTITY_ERROR_MAX])
{
	json_t *root = json_loadb(answered->text, answered->len, 0, NULL);
	const char *certificate = json_string_value(json_object_get(root, "certificate"));
	const char *refusal = json_string_value(json_object_get(root, "error"));
	const char *ca = json_string_value(json_object_get(root, "ca"));
	int status = answered->status;
	char text[64];
	int err;

	snprintf(text, sizeof(text), "answered %d without a reason", status);
	if (status != 200)
		err = fail(error, status == 429 || status >= 500 ? -EAGAIN : -EACCES, answered->url, refusal == NULL ? text : refusal);
	else if (certificate == NULL)
		err = fail(error, -EBADMSG, answered->url, "the answer holds no certificate");
	else
		err = answered->activation == NULL ? 0 : enrol_identity_put_activation(dir, answered->activation, error);
	/* Until here a failure has changed nothing of an identity that is there. */
	/* A CA that cannot be taken is no reason to go without the certificate. A proxy that opens TLS could name its own one. */
	if (err == 0 && ca != NULL && !answered->inspected && enrol_identity_put_ca(dir, ca, error) != 0)
		log_warning("enrol", "%s", error);
	if (err == 0)
		err = enrol_identity_install(dir, key, certificate, sensor, error);
	json_decref(root);
	return err;
}

/* Posts the body and installs what is answered. */
static int
ask(struct call *call, const char *dir, EVP_PKEY *key, const char *body, const char *sensor,
	char error[IDENTITY_ERROR_MAX])
{
	CURL *easy = curl_easy_init();
	int status = easy == NULL || buf_create(&call->answer, ANSWER_MAX) != 0 ? -ENOMEM : perform(easy, call, body);
	const struct enrol_answered answered = { call->url, call->activation, status, call->answer.data, call->answer.len,
		call->inspected };
	int err = status < 0 ? fail(error, status, call->url, call->reason[0] != '\0' ? call->reason : strerror(-status)) :
		enrol_take_answer(&answered, dir, key, sensor, error);

	buf_destroy(&call->answer);
	curl_easy_cleanup(easy);
	return err;
}

static bool
put_csr(char out[CSR_LEN_MAX], EVP_PKEY *key, const char *sensor)
{
	struct buf pem = { .data = out, .cap = CSR_LEN_MAX - 1 };

	if (csr_put(key, sensor, &pem) != 0)
		return false;
	pem.data[pem.len] = '\0';
	return true;
}

/* @return the body's text, the caller's; NULL: no memory. root is taken */
static char *
give_body(json_t *root)
{
	char *body = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

	json_decref(root);
	return body;
}

/* {"token": .., "csr": ..} */
static char *
make_body(EVP_PKEY *key, const char *sensor, const char *token)
{
	char csr[CSR_LEN_MAX];

	return put_csr(csr, key, sensor) ? give_body(json_pack("{s:s, s:s}", "csr", csr, "token", token)) : NULL;
}

/* {"csr": .., "proof": {"serial": .., "signature": ..}}. @return NULL: with error set */
static char *
make_renewal(EVP_PKEY *key, const struct enrol_identity *identity, char error[IDENTITY_ERROR_MAX])
{
	char csr[CSR_LEN_MAX];
	struct proof proof;
	X509 *cert = NULL;
	EVP_PKEY *present = NULL;
	char *body = NULL;

	if (enrol_identity_read_pair(identity, &present, &cert, error) != 0)
		return NULL;
	if (put_csr(csr, key, identity->sensor) && proof_make(&proof, present, cert, csr))
		body = give_body(json_pack("{s:s, s:{s:s, s:s}}", "csr", csr, "proof", "serial", proof.serial, "signature", proof.signature));
	if (body == NULL)
		fail(error, -EINVAL, identity->pem, "its key did not sign a request, or no memory");
	X509_free(cert);
	EVP_PKEY_free(present);
	return body;
}

static int
make_url(char url[ACTIVATION_URL_MAX + 64], const char *base, const char *path)
{
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	return snprintf(url, ACTIVATION_URL_MAX + 64, "%.*s%s", (int)len, base, path) < ACTIVATION_URL_MAX + 64 ? 0 : -EINVAL;
}

static int
activate(const char *dir, const struct activation *activation, const struct enrol_way *way, bool again,
	char error[IDENTITY_ERROR_MAX])
{
	char url[ACTIVATION_URL_MAX + 64];
	struct call call = { .url = url, .ca = activation->ca, .activation = activation, .way = way };
	struct enrol_identity had;
	EVP_PKEY *key = NULL;
	char *body = NULL;
	int err;

	if (!again && enrol_identity_load(&had, dir, error) != -ENOENT)
		return fail(error, -EEXIST, dir, "there is an identity already; --again replaces it");
	if (activation->expires_s <= (uint64_t)time(NULL))
		return fail(error, -EKEYEXPIRED, activation->sensor, "the invitation has expired, or this box's clock is wrong");
	if (make_url(url, activation->enrol, ENROL_PATH) != 0)
		return fail(error, -EINVAL, activation->enrol, "too long");
	err = enrol_identity_pending_key(&key, dir, way->key == ENROL_KEY_TPM, error);
	if (err == 0) {
		body = make_body(key, activation->sensor, activation->token);
		err = body == NULL ? fail(error, -ENOMEM, dir, "no memory") : 0;
	}
	if (err == 0)
		err = ask(&call, dir, key, body, activation->sensor, error);
	if (body != NULL)
		explicit_bzero(body, strlen(body));
	free(body);
	EVP_PKEY_free(key);
	return err;
}

int
enrol_activate(const char *dir, const struct activation *activation, const struct enrol_way *way, bool again,
	char error[IDENTITY_ERROR_MAX])
{
	int err = enrol_identity_make_dir(dir, error);
	int held = err == 0 ? hold_folder(dir) : -1;

	if (err == 0)
		err = held < 0 ? fail(error, held, dir, strerror(-held)) : activate(dir, activation, way, again, error);
	hold_let_go(held);
	return err;
}

int
enrol_renew(const char *dir, const struct enrol_identity *identity, const char *base, const struct enrol_way *way,
	char error[IDENTITY_ERROR_MAX])
{
	char url[ACTIVATION_URL_MAX + 64];
	struct call call = { .url = url, .ca_file = identity->ca, .identity = identity->pem, .way = way };
	EVP_PKEY *key = NULL;
	char *body = NULL;
	int err = make_url(url, base, ENROL_RENEW_PATH) != 0 ? fail(error, -EINVAL, base, "too long")
		: enrol_identity_pending_key(&key, dir, way->key == ENROL_KEY_TPM, error);

	if (err == 0) {
		body = make_renewal(key, identity, error);
		err = body == NULL ? -EINVAL : ask(&call, dir, key, body, identity->sensor, error);
	}
	free(body);
	EVP_PKEY_free(key);
	return err;
}
