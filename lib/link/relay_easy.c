#include "lib/link/relay_easy.h"

#include <errno.h>
#include <string.h>

#include "lib/link/way_stream.h"

/* The structure holds more than the address it came with. */
curl_socket_t
relay_curl_open(struct relay *relay, const struct way *way, struct curl_sockaddr *address)
{
	struct sockaddr_un local;
	socklen_t local_len;
	int fd = relay_open(relay, way, &local, &local_len);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	address->family = AF_UNIX;
	address->protocol = 0;
	address->addrlen = local_len;
	memcpy(&address->addr, &local, local_len);
	return fd;
}

static curl_socket_t
open_connection(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct relay_easy *self = arg;

	return relay_curl_open(self->relay, self->way, address);
}

static int
close_connection(void *arg, curl_socket_t fd)
{
	struct relay_easy *self = arg;

	(void)relay_close(self->relay, fd, &self->failure);
	return 0;
}

int
relay_easy_attach(struct relay_easy *self, CURL *easy, const struct way_set *set, const struct way *way,
	const struct way_end *to, uint64_t step_timeout_ms)
{
	memset(self, 0, sizeof(*self));
	self->way = way;
	/* An address that nobody connects to: curl would look the name up. */
	self->connect_to = curl_slist_append(NULL, "::127.0.0.1:1");
	if (self->connect_to == NULL || relay_create(&self->relay, set, to, step_timeout_ms) != 0)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not none, which lets the environment choose */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, self->connect_to);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_connection);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, self);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_connection);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, self);
	return 0;
}

void
relay_easy_detach(struct relay_easy *self, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(self->connect_to);
	relay_destroy(self->relay);
	self->connect_to = NULL;
	self->relay = NULL;
}
