#include "test/servers/server.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

enum { PATH_LEN_MAX = 1024, BODY_LEN_FIRST = 40000, HEAP_KEPT = 64 << 20 };

int
server_tls(SSL_CTX *context, const struct server_args *args)
{
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") == 1 &&
		SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
		SSL_CTX_use_certificate_chain_file(context, args->cert) == 1 &&
		SSL_CTX_use_PrivateKey_file(context, args->key, SSL_FILETYPE_PEM) == 1 &&
		SSL_CTX_load_verify_file(context, args->ca) == 1)
		return 0;
	ERR_print_errors_fp(stderr);
	return -EINVAL;
}

int
body_add(struct body *body, const void *bytes, size_t len)
{
	size_t room = body->room == 0 ? BODY_LEN_FIRST : body->room;
	uint8_t *grown;

	if (len > BODY_LEN_MAX - body->len)
		return -EMSGSIZE;
	while (room < body->len + len)
		room *= 2;
	if (room != body->room) {
		grown = realloc(body->bytes, room);
		if (grown == NULL)
			return -ENOMEM;
		body->bytes = grown;
		body->room = room;
	}
	memcpy(body->bytes + body->len, bytes, len);
	body->len += len;
	return 0;
}

void
body_free(struct body *body)
{
	free(body->bytes);
	*body = (struct body){ 0 };
}

size_t
server_answer(char answer[ANSWER_LEN_MAX], size_t body_len)
{
	return (size_t)snprintf(answer, ANSWER_LEN_MAX, "{\"bytes\":%zu}\n", body_len);
}

void
server_read_pem(char text[PEM_LEN_MAX], const char *path)
{
	FILE *file = fopen(path, "re");
	size_t len = file == NULL ? 0 : fread(text, 1, PEM_LEN_MAX - 1, file);

	if (len == 0) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(1);
	}
	text[len] = '\0';
	fclose(file);
}

int
main(int argc, char **argv)
{
	static char cert[PATH_LEN_MAX], key[PATH_LEN_MAX], ca[PATH_LEN_MAX];
	struct server_args args = { .cert = cert, .key = key, .ca = ca };

	if (argc != 5) {
		fprintf(stderr, "usage: %s PKI PORT TIMEOUT_S PEERS_MAX\n", argv[0]);
		return 2;
	}
	snprintf(cert, sizeof(cert), "%s/aggregator.pem", argv[1]);
	snprintf(key, sizeof(key), "%s/aggregator.key", argv[1]);
	snprintf(ca, sizeof(ca), "%s/ca.pem", argv[1]);
	args.port = (uint16_t)strtoul(argv[2], NULL, 10);
	args.timeout_s = (int)strtol(argv[3], NULL, 10);
	args.peers_max = (int)strtol(argv[4], NULL, 10);
	/* A server that does nothing else gives a batch's memory back to the system and asks for it again, a fifth of its time. */
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
	mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
	signal(SIGPIPE, SIG_IGN);
	serve(&args);
	fprintf(stderr, "%s: cannot start\n", argv[0]);
	return 1;
}
