/* libmicrohttpd: one thread with epoll, GnuTLS, which is what it has. */
#include "test/servers/server.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <gnutls/gnutls.h>
#include <microhttpd.h>

/* OpenSSL's choice of the other servers. */
#define PRIORITIES "NONE:+VERS-TLS1.3:+AES-256-GCM:+AEAD:+GROUP-X25519:+SIGN-ALL:+CTYPE-X509:%NO_TICKETS"

/* A connection's own note: whether its certificate was verified. */
static void
note_connection(void *user, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = calloc(1, sizeof(bool));
	} else {
		free(*context);
		*context = NULL;
	}
}

/* GnuTLS only asks for the certificate; it is verified by whoever answers, here once a connection. */
static bool
verified(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	bool *before = info == NULL ? NULL : info->socket_context;
	unsigned status = 0;

	if (before == NULL)
		return false;
	if (!*before) {
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
		*before = info != NULL && gnutls_certificate_verify_peers2(info->tls_session, &status) == 0 &&
			status == 0;
	}
	return *before;
}

static enum MHD_Result
answer_body(struct MHD_Connection *connection, const struct body *body)
{
	char answer[ANSWER_LEN_MAX];
	size_t len = server_answer(answer, body->len);
	struct MHD_Response *response = MHD_create_response_from_buffer(len, answer, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);

	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
take_request(void *user, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	const char *bytes, size_t *len, void **request)
{
	struct body *body = *request;
	int err;

	if (body == NULL) {
		if (strcmp(url, "/batches") != 0 || !verified(connection))
			return MHD_NO;
		*request = calloc(1, sizeof(*body));
		return *request == NULL ? MHD_NO : MHD_YES;
	}
	if (*len == 0)
		return answer_body(connection, body);
	err = body_add(body, bytes, *len);
	*len = 0;
	return err == 0 ? MHD_YES : MHD_NO;
}

static void
end_request(void *user, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode code)
{
	if (*request != NULL)
		body_free(*request);
	free(*request);
	*request = NULL;
}

int
serve(const struct server_args *args)
{
	static char cert[PEM_LEN_MAX], key[PEM_LEN_MAX], ca[PEM_LEN_MAX];
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(args->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};

	server_read_pem(cert, args->cert);
	server_read_pem(key, args->key);
	server_read_pem(ca, args->ca);
	if (MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_USE_ERROR_LOG, args->port, NULL, NULL,
		    take_request, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_HTTPS_MEM_CERT,
		    cert, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_HTTPS_MEM_TRUST, ca, MHD_OPTION_HTTPS_PRIORITIES,
		    PRIORITIES, MHD_OPTION_CONNECTION_LIMIT, (unsigned)args->peers_max, MHD_OPTION_CONNECTION_TIMEOUT,
		    (unsigned)args->timeout_s, MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL,
		    MHD_OPTION_NOTIFY_CONNECTION, note_connection, NULL, MHD_OPTION_END) == NULL)
		return -1;
	for (;;)
		pause();
}
