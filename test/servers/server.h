/**
 * What the measured servers share: their arguments, their TLS, the answer. Each does the same work with another library: mutual
 * TLS 1.3, POST of a body that is gathered whole, 200 with a few bytes of JSON that say how many bytes it was.
 */
#ifndef MR_SERVERS_SERVER_H
#define MR_SERVERS_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/** Bytes: of a body, which are taken; of a PEM file; of an answer. */
enum { BODY_LEN_MAX = 1 << 20, PEM_LEN_MAX = 16384, ANSWER_LEN_MAX = 64 };

/** What a server is started with; valid for the life of the program. */
struct server_args {
	const char *cert; /**< path of the chain, PEM */
	const char *key; /**< path, PEM */
	const char *ca; /**< path of what clients' certificates are signed by, PEM */
	uint16_t port; /**< on 127.0.0.1 */
	int timeout_s; /**< how long a peer may be silent, where the library has such a bound */
	int peers_max; /**< connections at once, where the library wants to know */
};

/** A body as it comes in. Zero is an empty one; body_free() may be called for any. */
struct body {
	uint8_t *bytes;
	size_t len, room;
};

/** What a server's file is for: serves until the program is ended. Returns only if it cannot start. */
int serve(const struct server_args *args);

/**
 * Sets a server's context as the aggregator has it: TLS 1.3, no tickets, no sessions, certificates asked for and verified.
 *
 * @return 0; -EINVAL if a file cannot be used, which is said on standard error
 */
int server_tls(SSL_CTX *context, const struct server_args *args);

/** Appends. -EMSGSIZE above BODY_LEN_MAX; -ENOMEM. */
int body_add(struct body *body, const void *bytes, size_t len);
void body_free(struct body *body);

/** The answer to a body of so many bytes; its length. */
size_t server_answer(char answer[ANSWER_LEN_MAX], size_t body_len);

/** Reads a PEM file as a string. The program is ended if it cannot be read. */
void server_read_pem(char text[PEM_LEN_MAX], const char *path);

#endif
