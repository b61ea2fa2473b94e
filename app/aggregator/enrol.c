#include "app/aggregator/enrol.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>

#include "app/aggregator/admit.h"
#include "lib/base/log.h"
#include "lib/enrol/activation.h"
#include "lib/enrol/registry.h"

enum {
	BODY_MAX = 16 * 1024,
	CA_MAX = 192 * 1024,
	CA_SENT_MAX = 32 * 1024, /* beside a certificate: it fits the answer that a sensor takes */
	ADDRESSES_MAX = 256,  /* whose failures are remembered; the one longest ago makes room */
	ADDRESS_LEN_MAX = 64,
	WINDOW_S = 60,
};

const struct counter_desc enrol_counters[ENROL_COUNTERS] = {
	[ENROL_ISSUED] = { "enrol.issued", "certificates issued for a token" },
	[ENROL_RENEWALS] = { "enrol.renewals", "certificates issued for one that ends" },
	[ENROL_REFUSED] = { "enrol.refused", "tokens and renewals refused" },
	[ENROL_HELD_OFF] = { "enrol.held_off", "requests not looked at, since their address had failed too often" },
	[ENROL_BAD_REQUESTS] = { "enrol.bad_requests", "requests that could not be read, or with a key that is not taken" },
	LINK_SERVER_COUNTER_ROWS(ENROL_SERVER, "enrol"),
};

/* An address that failed, and how often since its window began. */
struct suspect {
	char address[ADDRESS_LEN_MAX + 1];
	uint64_t since_s;
	uint64_t failures;
};

struct enrol {
	const struct settings *settings;
	struct registry *registry;
	struct admit *admit;
	struct issuer *issuer;
	struct link_server *door;
	struct link_server *watched;
	struct event *revoked;
	struct evbuffer *answer;
	int revoked_fd;
	struct suspect suspects[ADDRESSES_MAX];
	_Atomic uint64_t counters[ENROL_COUNTERS];
};

static void
count(struct enrol *enrol, enum enrol_counter which)
{
	counter_add(&enrol->counters[which], 1);
}

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- answers ---- */

static void
answer(struct enrol *enrol, struct link_request *request, int status, unsigned int retry_after_s, json_t *body)
{
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

	evbuffer_add_printf(enrol->answer, "%s\n", text == NULL ? "{}" : text);
	link_request_answer(request, status, retry_after_s, enrol->answer);
	evbuffer_drain(enrol->answer, evbuffer_get_length(enrol->answer));
	free(text);
	json_decref(body);
}

static void
refuse(struct enrol *enrol, struct link_request *request, int status, unsigned int retry_after_s, const char *why)
{
	log_warning("enrol", "%s: %s", link_request_address(request), why);
	answer(enrol, request, status, retry_after_s, json_pack("{s:s}", "error", why));
}

static int
status_of(enum registry_verdict verdict)
{
	return verdict == REGISTRY_ISSUED ? 200 : verdict == REGISTRY_FAILED ? 503 : verdict == REGISTRY_TOO_MANY ? 429 : 403;
}

char *
enrol_read_ca(const struct settings *settings)
{
	const char *path = settings->enrol_server_ca;
	FILE *file = fopen(path, "re");
	char *text = calloc(1, CA_MAX + 1);
	size_t len = file == NULL || text == NULL ? 0 : fread(text, 1, CA_MAX + 1, file);

	if (file != NULL)
		fclose(file);
	if (len == 0 || len > CA_MAX) {
		log_error("enrol", "enrol.server-ca: %s: %s", path, len == 0 ? "cannot be read" : "too long");
		free(text);
		return NULL;
	}
	return text;
}

/* What the registry decided, to the sensor. issued is freed. */
static void
tell(struct enrol *enrol, struct link_request *request, enum registry_verdict verdict, const char *sensor,
	struct issued *issued)
{
	char *ca;

	if (verdict != REGISTRY_ISSUED) {
		count(enrol, ENROL_REFUSED);
		refuse(enrol, request, status_of(verdict), verdict == REGISTRY_TOO_MANY || verdict == REGISTRY_FAILED ? WINDOW_S : 0,
			registry_verdict_text(verdict));
		return;
	}
	ca = enrol_read_ca(enrol->settings);
	answer(enrol, request, 200, 0, json_pack("{s:s, s:s, s:I, s:s*}", "sensor", sensor, "certificate", issued->pem,
		"not_after", (json_int_t)issued->not_after_s, "ca", ca == NULL || strlen(ca) > CA_SENT_MAX ? NULL : ca));
	free(ca);
	issued_free(issued);
}

/* ---- addresses that guess ---- */

/* The address's row; when it has none, the free or the oldest one. */
static struct suspect *
find_suspect(struct enrol *enrol, const char *address)
{
	struct suspect *oldest = &enrol->suspects[0];

	for (unsigned int i = 0; i < ADDRESSES_MAX; i++) {
		struct suspect *suspect = &enrol->suspects[i];

		if (strcmp(suspect->address, address) == 0)
			return suspect;
		if (suspect->since_s < oldest->since_s)
			oldest = suspect;
	}
	return oldest;
}

/* @return seconds that it is to wait; 0: it may try */
static unsigned int
hold_off_s(struct enrol *enrol, const char *address)
{
	const struct suspect *suspect = find_suspect(enrol, address);
	uint64_t now = now_s();

	if (strcmp(suspect->address, address) != 0 || suspect->failures < enrol->settings->enrol_failures_max ||
	    now < suspect->since_s || now - suspect->since_s >= WINDOW_S)
		return 0;
	return (unsigned int)(WINDOW_S - (now - suspect->since_s));
}

static void
note_failure(struct enrol *enrol, const char *address)
{
	struct suspect *suspect = find_suspect(enrol, address);
	uint64_t now = now_s();

	if (strcmp(suspect->address, address) != 0 || now < suspect->since_s || now - suspect->since_s >= WINDOW_S) {
		snprintf(suspect->address, sizeof(suspect->address), "%s", address);
		suspect->since_s = now;
		suspect->failures = 0;
	}
	suspect->failures++;
}

/* ---- requests ---- */

static json_t *
read_body(struct link_request *request)
{
	struct evbuffer *input = link_request_body(request);
	size_t len = evbuffer_get_length(input);
	const char *text = len == 0 || len > BODY_MAX ? NULL : (const char *)evbuffer_pullup(input, -1);

	return text == NULL ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
}

/* @return the status to answer; 200: csr is to be freed */
static int
read_csr(const json_t *body, struct csr *csr, const char **why)
{
	const json_t *pem = json_object_get(body, "csr");
	int err;

	*why = "a JSON object with csr is wanted";
	if (!json_is_string(pem))
		return 400;
	err = csr_read(csr, json_string_value(pem), json_string_length(pem), why);
	return err == 0 ? 200 : err == -EBADMSG ? 400 : 503;
}

/* The token first: a stranger's request costs no signature to check. */
static void
enrol_box(struct enrol *enrol, struct link_request *request, const json_t *body)
{
	const char *token = json_string_value(json_object_get(body, "token"));
	const char *address = link_request_address(request);
	enum registry_verdict verdict = registry_check_token(enrol->registry, token == NULL ? "" : token, now_s());
	char sensor[BATCH_SENSOR_MAX + 1] = "";
	struct issued issued = { 0 };
	struct csr csr = { 0 };
	const char *why;
	int status;

	if (verdict == REGISTRY_NO_SUCH_TOKEN)
		note_failure(enrol, address);
	if (verdict != REGISTRY_ISSUED) {
		tell(enrol, request, verdict, sensor, &issued);
		return;
	}
	status = read_csr(body, &csr, &why);
	if (status != 200) {
		count(enrol, ENROL_BAD_REQUESTS);
		note_failure(enrol, address);
		refuse(enrol, request, status, 0, status == 400 ? why : "no memory");
		return;
	}
	verdict = registry_enrol(enrol->registry, enrol->issuer, token, &csr, address, now_s(), sensor, &issued);
	csr_free(&csr);
	if (verdict == REGISTRY_ISSUED) {
		count(enrol, ENROL_ISSUED);
		/* The sensor's earlier certificates are no longer good. */
		enrol_notify(enrol, sensor);
	} else if (verdict == REGISTRY_USED) {
		note_failure(enrol, address);
	}
	tell(enrol, request, verdict, sensor, &issued);
}

static void
on_request(void *arg, struct link_request *request)
{
	struct enrol *enrol = arg;
	const char *path = link_request_path(request);
	unsigned int wait_s = hold_off_s(enrol, link_request_address(request));
	json_t *body;

	if (wait_s > 0) {
		count(enrol, ENROL_HELD_OFF);
		answer(enrol, request, 429, wait_s, json_pack("{s:s}", "error", "too many failures from your address: come back later"));
		return;
	}
	if (path == NULL || strcmp(path, ENROL_PATH) != 0 || !link_request_is_post(request)) {
		count(enrol, ENROL_BAD_REQUESTS);
		refuse(enrol, request, 404, 0, "only POST " ENROL_PATH " is served here");
		return;
	}
	body = read_body(request);
	if (body == NULL) {
		count(enrol, ENROL_BAD_REQUESTS);
		note_failure(enrol, link_request_address(request));
		refuse(enrol, request, 400, 0, "the body is no JSON object of at most 16 KiB");
		return;
	}
	enrol_box(enrol, request, body);
	json_decref(body);
}

/* @return whether there is one, of lengths that may be */
static bool
read_proof(const json_t *body, struct proof *out)
{
	const json_t *proof = json_object_get(body, "proof");
	const char *serial = json_string_value(json_object_get(proof, "serial"));
	const char *signature = json_string_value(json_object_get(proof, "signature"));

	if (serial == NULL || signature == NULL || strlen(serial) > PROOF_SERIAL_MAX || strlen(signature) > PROOF_SIGNATURE_MAX)
		return false;
	snprintf(out->serial, sizeof(out->serial), "%s", serial);
	snprintf(out->signature, sizeof(out->signature), "%s", signature);
	return true;
}

/* The certificate that is to be followed: the one that is proven, else (sensors of releases before) the connection's.
 * @param serial out */
static enum registry_verdict
find_present(struct enrol *enrol, struct link_request *request, const json_t *body, const char *sensor,
	char serial[LINK_SERIAL_MAX + 1])
{
	const char *csr = json_string_value(json_object_get(body, "csr"));
	struct proof proof;

	if (!read_proof(body, &proof))
		return json_object_get(body, "proof") == NULL && link_request_serial(request, serial) ? REGISTRY_ISSUED : REGISTRY_NOT_PROVEN;
	snprintf(serial, LINK_SERIAL_MAX + 1, "%s", proof.serial);
	return registry_check_proof(enrol->registry, sensor, &proof, csr, now_s());
}

void
enrol_renewal(struct enrol *enrol, struct link_request *request, const char *sensor)
{
	char serial[LINK_SERIAL_MAX + 1];
	enum registry_verdict verdict;
	struct issued issued = { 0 };
	struct csr csr = { 0 };
	const char *why;
	json_t *body = read_body(request);
	int status = read_csr(body, &csr, &why);

	if (enrol->issuer == NULL || status != 200) {
		json_decref(body);
		csr_free(&csr);
		if (enrol->issuer != NULL)
			count(enrol, ENROL_BAD_REQUESTS);
		refuse(enrol, request, enrol->issuer == NULL ? 403 : status, 0, enrol->issuer == NULL ? "certificates are not renewed here" :
			status == 400 ? why : "no memory");
		return;
	}
	verdict = find_present(enrol, request, body, sensor, serial);
	if (verdict == REGISTRY_ISSUED)
		verdict = registry_renew(enrol->registry, enrol->issuer, sensor, serial, &csr, now_s(), &issued);
	json_decref(body);
	csr_free(&csr);
	if (verdict == REGISTRY_ISSUED)
		count(enrol, ENROL_RENEWALS);
	tell(enrol, request, verdict, sensor, &issued);
}

/* ---- revocation ---- */

bool
enrol_admit(void *arg, const char *name, const char *serial)
{
	struct enrol *enrol = arg;

	return admit_lets_in(enrol->admit, name, serial);
}

void
enrol_watch(struct enrol *enrol, struct link_server *server)
{
	enrol->watched = server;
}

/* Any thread: somebody has said admit_note(). */
static void
wake(void *arg)
{
	static const uint64_t one = 1;
	struct enrol *enrol = arg;

	if (write(enrol->revoked_fd, &one, sizeof(one)) != sizeof(one))
		log_error("enrol", "notify: %s", strerror(errno));
}

void
enrol_notify(struct enrol *enrol, const char *sensor)
{
	admit_note(enrol->admit, sensor);
}

static void
on_revoked(evutil_socket_t fd, short what, void *arg)
{
	struct enrol *enrol = arg;
	uint64_t times;

	if (read(fd, &times, sizeof(times)) != sizeof(times))
		return;
	admit_take_news(enrol->admit);
	if (enrol->watched != NULL)
		link_server_recheck(enrol->watched);
}

/* ---- life ---- */

static void
door_config(const struct settings *settings, struct link_server_config *out)
{
	*out = (struct link_server_config){
		.topic = "enrol",
		.listen = settings->enrol_listen,
		.cert = settings->tls_cert,
		.key = settings->tls_key,
		.body_max = BODY_MAX,
		.connections_max = settings->connections_max,
		.http2 = settings->http2,
		.streams_max = settings->streams_max,
		.request_timeout_s = settings->request_timeout_s,
	};
}

static int
open_issuer(struct issuer **out, const struct settings *settings)
{
	const struct issuer_config config = {
		.cert = settings->enrol_ca_cert,
		.key = settings->enrol_ca_key,
		.trust = settings->tls_ca,
		.lifetime_s = settings->enrol_lifetime_s,
	};

	return issuer_create(out, &config);
}

static int
create_events(struct enrol *enrol, struct event_base *base)
{
	enrol->revoked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (enrol->revoked_fd < 0)
		return -errno;
	enrol->answer = evbuffer_new();
	enrol->revoked = event_new(base, enrol->revoked_fd, EV_READ | EV_PERSIST, on_revoked, enrol);
	if (enrol->answer == NULL || enrol->revoked == NULL || event_add(enrol->revoked, NULL) != 0)
		return -ENOMEM;
	/* Before any batch that waits. */
	event_priority_set(enrol->revoked, 0);
	return 0;
}

int
enrol_create(struct enrol **out, struct event_base *base, const struct settings *settings)
{
	struct enrol *enrol = calloc(1, sizeof(*enrol));
	struct link_server_config door;
	int err;

	if (enrol == NULL)
		return -ENOMEM;
	enrol->settings = settings;
	enrol->revoked_fd = -1;
	err = settings_open_registry(settings, &enrol->registry);
	if (err == 0)
		err = create_events(enrol, base);
	if (err == 0)
		err = admit_create(&enrol->admit, enrol->registry, settings, wake, enrol);
	if (err == 0 && settings->enrol_listen[0] != '\0') {
		door_config(settings, &door);
		door.counters = &enrol->counters[ENROL_SERVER];
		err = open_issuer(&enrol->issuer, settings);
		if (err == 0)
			err = link_server_create(&enrol->door, base, &door, on_request, enrol);
		if (err == 0)
			log_notice("enrol", "boxes with an invitation are taken at port %u", enrol_port(enrol));
	}
	if (err != 0) {
		enrol_destroy(enrol);
		return err;
	}
	*out = enrol;
	return 0;
}

void
enrol_destroy(struct enrol *enrol)
{
	if (enrol == NULL)
		return;
	link_server_destroy(enrol->door);
	admit_destroy(enrol->admit);
	if (enrol->revoked != NULL)
		event_free(enrol->revoked);
	if (enrol->answer != NULL)
		evbuffer_free(enrol->answer);
	if (enrol->revoked_fd >= 0)
		close(enrol->revoked_fd);
	issuer_destroy(enrol->issuer);
	registry_close(enrol->registry);
	free(enrol);
}

int
enrol_check(const struct settings *settings)
{
	struct link_server_config door;
	struct issuer *issuer = NULL;
	int issuer_err;
	int door_err;

	if (settings->enrol_listen[0] == '\0')
		return 0;
	door_config(settings, &door);
	issuer_err = open_issuer(&issuer, settings);
	issuer_destroy(issuer);
	door_err = link_server_check(&door);
	return issuer_err != 0 ? issuer_err : door_err;
}

uint16_t
enrol_port(const struct enrol *enrol)
{
	return enrol->door == NULL ? 0 : link_server_port(enrol->door);
}

struct counter_set
enrol_counter_set(struct enrol *enrol)
{
	return (struct counter_set){ enrol_counters, enrol->counters, ENROL_COUNTERS };
}
