#include "lib/link/relay.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link/way_stream.h"

enum {
	STACK_BYTES = 1 << 20,
	CHUNK_BYTES = 32768,
	BACKLOG = 4,
	SEND_BYTES = 65536,     /* that wait in the socket: more would hide from curl how far the network is */
	BURST_MS = 250,         /* of the rate that may go at once */
	BURST_BYTES_MIN = 2048,
	POLL_MS = 1000,
	ACCEPT_POLL_MS = 50,
	ACCEPT_MS = 10000,      /* for what curl does right after it was given the address */
};

/* Tokens are bytes; what came back counts too, so they may fall below zero. */
struct bucket {
	pthread_mutex_t lock;
	uint64_t rate; /* 0: no bound */
	int64_t tokens;
	uint64_t filled_ms;
};

struct connection {
	struct relay *relay;
	const struct way *way;
	struct bucket *bucket;
	bool used;
	bool closed;             /* curl's end is; waiting for the thread */
	int curl_fd;
	int listen_fd;
	int own_fd;              /* -1: not connected yet */
	pthread_t thread;
	_Atomic bool done;       /* the thread is at its end */
	_Atomic bool failed;
	struct way_failure failure; /* written before failed */
};

struct relay {
	const struct way_set *set;
	const struct way_end *to;
	uint64_t step_timeout_ms;
	struct bucket buckets[WAY_MAX + 1]; /* one a way; the last is of those that share the set's bound */
	_Atomic bool stop;
	_Atomic uint64_t sent;
	_Atomic uint64_t received;
	struct connection connections[RELAY_CONNECTIONS_MAX];
};

/* ---- the bound on bandwidth ---- */

static void
bucket_fill(struct bucket *bucket)
{
	uint64_t now_ms = way_now_ms();
	int64_t most = (int64_t)(bucket->rate * BURST_MS / 1000);

	if (most < BURST_BYTES_MIN)
		most = BURST_BYTES_MIN;
	uint64_t more = (now_ms - bucket->filled_ms) * bucket->rate / 1000;

	/* Less than a byte's time is kept for the next look. */
	if (more == 0)
		return;
	bucket->filled_ms = now_ms;
	bucket->tokens += more > (uint64_t)most ? most : (int64_t)more;
	if (bucket->tokens > most)
		bucket->tokens = most;
}

/* @return how many of the wanted bytes may go now */
static size_t
bucket_take(struct bucket *bucket, size_t want)
{
	pthread_mutex_lock(&bucket->lock);
	if (bucket->rate > 0) {
		bucket_fill(bucket);
		if (bucket->tokens < (int64_t)want)
			want = bucket->tokens > 0 ? (size_t)bucket->tokens : 0;
		bucket->tokens -= (int64_t)want;
	}
	pthread_mutex_unlock(&bucket->lock);
	return want;
}

/* Gives back what was taken and did not go, or (below zero) takes what came unasked. */
static void
bucket_give(struct bucket *bucket, int64_t bytes)
{
	pthread_mutex_lock(&bucket->lock);
	if (bucket->rate > 0)
		bucket->tokens += bytes;
	pthread_mutex_unlock(&bucket->lock);
}

static struct bucket *
bucket_of(struct relay *relay, const struct way *way)
{
	return &relay->buckets[way != NULL && way->own_rates ? way - relay->set->ways : WAY_MAX];
}

void
relay_set_rate(struct relay *relay, const struct way *way, uint64_t bytes_s)
{
	struct bucket *bucket = bucket_of(relay, way);

	pthread_mutex_lock(&bucket->lock);
	if (bucket->rate != bytes_s) {
		bucket->rate = bytes_s;
		bucket->tokens = 0;
		bucket->filled_ms = way_now_ms();
	}
	pthread_mutex_unlock(&bucket->lock);
}

/* ---- carrying bytes ---- */

struct half {
	char data[CHUNK_BYTES];
	size_t len, off;
	bool ended; /* its source is */
};

struct pump {
	struct connection *connection;
	struct way_stream *stream;
	struct half up, down;
	bool starved; /* the bucket is empty */
	bool moved;
	bool cut;     /* the network's end failed */
};

static void
take_from_curl(struct pump *pump)
{
	struct half *up = &pump->up;

	if (up->len > 0 || up->ended)
		return;
	ssize_t n = recv(pump->connection->own_fd, up->data, sizeof(up->data), MSG_DONTWAIT);

	if (n > 0) {
		up->len = (size_t)n;
		up->off = 0;
		pump->moved = true;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		up->ended = true;
	}
}

static void
give_to_network(struct pump *pump)
{
	struct relay *relay = pump->connection->relay;
	struct half *up = &pump->up;

	if (up->len == 0)
		return;
	size_t may = bucket_take(pump->connection->bucket, up->len);

	pump->starved = may == 0;
	if (may == 0)
		return;
	int n = BIO_write(pump->stream->top, up->data + up->off, (int)may);

	bucket_give(pump->connection->bucket, (int64_t)may - (n > 0 ? n : 0));
	if (n > 0) {
		up->off += (size_t)n;
		up->len -= (size_t)n;
		atomic_fetch_add_explicit(&relay->sent, (uint64_t)n, memory_order_relaxed);
		pump->moved = true;
	} else if (!BIO_should_retry(pump->stream->top)) {
		pump->cut = true;
	}
}

static void
take_from_network(struct pump *pump)
{
	struct relay *relay = pump->connection->relay;
	struct half *down = &pump->down;

	if (down->len > 0 || down->ended)
		return;
	errno = 0;
	int n = BIO_read(pump->stream->top, down->data, sizeof(down->data));

	if (n > 0) {
		down->len = (size_t)n;
		down->off = 0;
		bucket_give(pump->connection->bucket, -n);
		atomic_fetch_add_explicit(&relay->received, (uint64_t)n, memory_order_relaxed);
		pump->moved = true;
	} else if (!BIO_should_retry(pump->stream->top)) {
		down->ended = true;
		pump->cut = errno != 0;
	}
}

static void
give_to_curl(struct pump *pump)
{
	struct half *down = &pump->down;

	if (down->len == 0)
		return;
	ssize_t n = send(pump->connection->own_fd, down->data + down->off, down->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		down->off += (size_t)n;
		down->len -= (size_t)n;
		pump->moved = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		pump->up.ended = true;
	}
}

static void
wait_for_either(struct pump *pump)
{
	struct way_stream *stream = pump->stream;
	short own = (short)((pump->up.len == 0 ? POLLIN : 0) | (pump->down.len > 0 ? POLLOUT : 0));
	/* A TLS may have to write before it can read. */
	short net = (short)((pump->down.len == 0 ? POLLIN : 0) |
		((pump->up.len > 0 && !pump->starved) || BIO_should_write(stream->top) ? POLLOUT : 0));
	/* A peer that is gone would wake a poll that waits for nothing, again and again. */
	struct pollfd fds[2] = { { .fd = pump->connection->own_fd, .events = own },
		{ .fd = net == 0 ? -1 : stream->fd, .events = net } };

	poll(fds, 2, pump->starved ? BURST_MS / 10 : POLL_MS);
	if ((fds[0].revents & (POLLHUP | POLLERR)) != 0 && (fds[0].revents & POLLIN) == 0) {
		pump->up.ended = true;
		pump->up.len = 0;
	}
}

static void
carry(struct connection *connection, struct way_stream *stream, struct way_failure *fail)
{
	struct pump *pump = calloc(1, sizeof(*pump));

	if (pump == NULL) {
		way_fail(fail, WAY_INTERNAL, "no memory");
		return;
	}
	pump->connection = connection;
	pump->stream = stream;
	stream->cancel_fd = -1;
	while (!pump->cut && !(pump->up.ended && pump->up.len == 0) && !(pump->down.ended && pump->down.len == 0)) {
		pump->moved = false;
		pump->starved = false;
		take_from_curl(pump);
		give_to_network(pump);
		take_from_network(pump);
		give_to_curl(pump);
		if (!pump->moved && !pump->cut)
			wait_for_either(pump);
		/* Nobody is left to take what came. */
		if (pump->up.ended)
			pump->down.len = 0;
	}
	if (pump->cut)
		way_fail(fail, WAY_CUT, "%s: the connection was reset", connection->way->name);
	free(pump);
}

/* Curl's end, and nobody else's: the address is one that any process could see and connect to. */
static bool
is_own(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == getpid();
}

static bool
accept_curl(struct connection *connection)
{
	uint64_t end_ms = way_now_ms() + ACCEPT_MS;
	struct pollfd wait = { .fd = connection->listen_fd, .events = POLLIN };

	while (way_now_ms() < end_ms && !atomic_load(&connection->relay->stop)) {
		if (poll(&wait, 1, ACCEPT_POLL_MS) <= 0)
			continue;
		int fd = accept4(connection->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0 && is_own(fd)) {
			connection->own_fd = fd;
			return true;
		}
		if (fd >= 0)
			close(fd);
	}
	return false;
}

static void
serve(struct connection *connection, struct way_failure *fail)
{
	struct relay *relay = connection->relay;
	const struct way_walk walk = { .set = relay->set, .way = connection->way, .to = relay->to,
		.step_timeout_ms = relay->step_timeout_ms, .cancel_fd = connection->own_fd };
	struct way_stream *stream = NULL;

	if (way_walk(&stream, &walk, fail) == 0)
		carry(connection, stream, fail);
	way_stream_destroy(stream);
	ERR_clear_error();
}

static void *
connection_run(void *arg)
{
	struct connection *connection = arg;
	struct way_failure fail = { 0 };
	bool accepted = accept_curl(connection);

	close(connection->listen_fd);
	if (accepted)
		serve(connection, &fail);
	if (fail.error != WAY_DONE) {
		connection->failure = fail;
		atomic_store(&connection->failed, true);
	}
	/* Curl hears of it now. */
	if (accepted)
		shutdown(connection->own_fd, SHUT_RDWR);
	atomic_store(&connection->done, true);
	return NULL;
}

/* ---- life ---- */

static void
reap(struct connection *connection)
{
	pthread_join(connection->thread, NULL);
	if (connection->own_fd >= 0)
		close(connection->own_fd);
	connection->used = false;
}

static struct connection *
free_connection(struct relay *relay)
{
	struct connection *found = NULL;

	for (unsigned int i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
		struct connection *connection = &relay->connections[i];

		if (connection->used && connection->closed && atomic_load(&connection->done))
			reap(connection);
		if (!connection->used && found == NULL)
			found = connection;
	}
	return found;
}

static int
start_thread(struct connection *connection)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int rc = pthread_attr_init(&attributes);

	if (rc != 0)
		return -rc;
	/* Signals are the main thread's, and a broken connection is an error here, no signal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	rc = pthread_create(&connection->thread, &attributes, connection_run, connection);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -rc;
}

/* A listener at an abstract address that the kernel chooses. @return it, or -1 */
static int
listen_anywhere(struct sockaddr_un *address, socklen_t *address_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	*address_len = sizeof(*address);
	if (fd >= 0 && (bind(fd, (const struct sockaddr *)address, sizeof(sa_family_t)) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, (struct sockaddr *)address, address_len) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
relay_open(struct relay *relay, const struct way *way, struct sockaddr_un *address, socklen_t *address_len)
{
	const int size = SEND_BYTES;
	struct connection *connection = free_connection(relay);
	int listen_fd = connection == NULL ? -1 : listen_anywhere(address, address_len);
	int curl_fd = listen_fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (curl_fd >= 0) {
		setsockopt(curl_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		memset(connection, 0, sizeof(*connection));
		connection->relay = relay;
		connection->way = way;
		connection->bucket = bucket_of(relay, way);
		connection->curl_fd = curl_fd;
		connection->listen_fd = listen_fd;
		connection->own_fd = -1;
		connection->used = start_thread(connection) == 0;
		if (connection->used)
			return curl_fd;
		close(curl_fd);
	}
	if (listen_fd >= 0)
		close(listen_fd);
	return -1;
}

bool
relay_close(struct relay *relay, int fd, struct way_failure *fail)
{
	bool failed = false;

	for (unsigned int i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
		struct connection *connection = &relay->connections[i];

		if (!connection->used || connection->closed || connection->curl_fd != fd)
			continue;
		failed = atomic_load(&connection->failed);
		if (failed)
			*fail = connection->failure;
		connection->closed = true;
	}
	close(fd);
	return failed;
}

int
relay_create(struct relay **out, const struct way_set *set, const struct way_end *to, uint64_t step_timeout_ms)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (relay == NULL)
		return -ENOMEM;
	relay->set = set;
	relay->to = to;
	relay->step_timeout_ms = step_timeout_ms;
	for (unsigned int i = 0; i <= WAY_MAX; i++)
		pthread_mutex_init(&relay->buckets[i].lock, NULL);
	*out = relay;
	return 0;
}

void
relay_destroy(struct relay *relay)
{
	struct way_failure ignored;

	if (relay == NULL)
		return;
	atomic_store(&relay->stop, true);
	for (unsigned int i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
		struct connection *connection = &relay->connections[i];

		if (connection->used && !connection->closed)
			relay_close(relay, connection->curl_fd, &ignored);
		if (connection->used)
			reap(connection);
	}
	for (unsigned int i = 0; i <= WAY_MAX; i++)
		pthread_mutex_destroy(&relay->buckets[i].lock);
	free(relay);
}

uint64_t
relay_sent(const struct relay *relay)
{
	return atomic_load_explicit(&relay->sent, memory_order_relaxed);
}

uint64_t
relay_received(const struct relay *relay)
{
	return atomic_load_explicit(&relay->received, memory_order_relaxed);
}
