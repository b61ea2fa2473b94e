#include "app/aggregator/api_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "app/aggregator/api_private.h"
#include "lib/base/log.h"

enum {
	STREAMS_MAX = 64,
	PAGE_RECORDS = 1000,
	PAGE_BYTES = 1024 * 1024,
	LIVE_RECORDS = 200,
	POLL_MS = 200,
	BEAT_POLLS = 15 * 1000 / POLL_MS, /* a comment keeps proxies from closing a silent stream */
};

struct stream {
	struct api_streams *streams;
	struct evhttp_request *request;
	struct store_filter filter;
	struct store_page page;
	bool live;
	bool waits;     /* the peer has not taken the last chunk yet */
	unsigned int polls; /* since the last chunk */
	TAILQ_ENTRY(stream) link;
};

struct api_streams {
	struct api *api;
	struct event *poll;
	struct evbuffer *chunk;
	TAILQ_HEAD(, stream) list;
	unsigned int count;
	_Atomic uint64_t counts[API_STREAM_COUNTERS];
};

static const struct counter_desc counters[API_STREAM_COUNTERS] = {
	[API_STREAMS_OPEN] = { "api.streams_open", "exports and live streams that go on now" },
	[API_STREAMS_STARTED] = { "api.streams", "exports and live streams begun" },
	[API_STREAMS_REFUSED] = { "api.streams_refused", "refused, because there were too many" },
	[API_STREAM_RECORDS] = { "api.stream_records", "records sent in them" },
};

static void
forget(struct stream *stream)
{
	struct api_streams *streams = stream->streams;

	TAILQ_REMOVE(&streams->list, stream, link);
	counter_set(&streams->counts[API_STREAMS_OPEN], --streams->count);
	free(stream);
}

static void
peer_closed(struct evhttp_connection *connection, void *arg)
{
	forget(arg);
}

/* ---- what is written ---- */

static void
write_line(void *arg, const struct store_found *found)
{
	struct stream *stream = arg;

	api_write_record(stream->streams->chunk, found);
	evbuffer_add(stream->streams->chunk, "\n", 1);
	stream->page.after_id = found->id;
	stream->page.after_ts_ns = found->ts_ns;
	counter_add(&stream->streams->counts[API_STREAM_RECORDS], 1);
}

/* A line of EVE has no line end in it: one data line holds it. */
static void
write_event(void *arg, const struct store_found *found)
{
	struct stream *stream = arg;

	evbuffer_add_printf(stream->streams->chunk, "id: %" PRId64 "\nevent: alert\ndata: ", found->id);
	api_write_record(stream->streams->chunk, found);
	evbuffer_add(stream->streams->chunk, "\n\n", 2);
	counter_add(&stream->streams->counts[API_STREAM_RECORDS], 1);
}

static void next_page(struct stream *stream);

static void
chunk_taken(struct evhttp_connection *connection, void *arg)
{
	struct stream *stream = arg;

	stream->waits = false;
	if (!stream->live)
		next_page(stream);
}

static void
send_chunk(struct stream *stream)
{
	stream->waits = true;
	stream->polls = 0;
	link_server_stream_chunk(stream->request, stream->streams->chunk, chunk_taken, stream);
}

/* A stream that cannot go on is cut, so that the peer does not take it for whole. */
static void
fail(struct stream *stream)
{
	struct evhttp_request *request = stream->request;

	link_server_on_close(request, NULL, NULL);
	forget(stream);
	link_server_stream_cut(request);
}

static void
end(struct stream *stream)
{
	struct evhttp_request *request = stream->request;

	link_server_on_close(request, NULL, NULL);
	forget(stream);
	link_server_stream_end(request);
}

static void
next_page(struct stream *stream)
{
	struct api_streams *streams = stream->streams;
	int found;

	if (stream->page.continues && !stream->page.more) {
		end(stream);
		return;
	}
	evbuffer_drain(streams->chunk, evbuffer_get_length(streams->chunk));
	found = store_query(streams->api->store, &stream->filter, &stream->page, write_line, stream);
	stream->page.continues = true;
	if (found < 0)
		fail(stream);
	else if (found == 0)
		end(stream);
	else
		send_chunk(stream);
}

/* ---- live ---- */

/* What has arrived goes out as one chunk; behind it is all that was looked at, alert or not. */
static void
look(struct stream *stream)
{
	struct api_streams *streams = stream->streams;
	int found;

	if (stream->waits)
		return;
	evbuffer_drain(streams->chunk, evbuffer_get_length(streams->chunk));
	found = store_query(streams->api->store, &stream->filter, &stream->page, write_event, stream);
	if (found < 0) {
		fail(stream);
		return;
	}
	stream->page.after_id = stream->page.last_id;
	if (found == 0 && ++stream->polls >= BEAT_POLLS)
		evbuffer_add(streams->chunk, ": beat\n\n", 8);
	if (evbuffer_get_length(streams->chunk) > 0)
		send_chunk(stream);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct api_streams *streams = arg;
	struct stream *stream = TAILQ_FIRST(&streams->list);

	while (stream != NULL) {
		struct stream *next = TAILQ_NEXT(stream, link);

		if (stream->live)
			look(stream);
		stream = next;
	}
}

/* ---- beginning ---- */

static int
begin(struct api *api, const struct question *question, struct stream **out)
{
	struct api_streams *streams = api->streams;
	struct stream *stream;

	if (streams->count == STREAMS_MAX) {
		counter_add(&streams->counts[API_STREAMS_REFUSED], 1);
		return -EBUSY;
	}
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return -ENOMEM;
	stream->streams = streams;
	stream->request = question->request;
	stream->filter = question->filter;
	stream->page = question->page;
	stream->page.bytes_max = PAGE_BYTES;
	TAILQ_INSERT_TAIL(&streams->list, stream, link);
	counter_set(&streams->counts[API_STREAMS_OPEN], ++streams->count);
	counter_add(&streams->counts[API_STREAMS_STARTED], 1);
	*out = stream;
	return 0;
}

int
api_export(struct api *api, const struct api_route *route, struct question *question)
{
	struct stream *stream;
	int err = begin(api, question, &stream);

	if (err != 0)
		return err;
	stream->page.limit = PAGE_RECORDS;
	link_server_on_close(question->request, peer_closed, stream);
	link_server_stream_begin(question->request, "application/x-ndjson");
	next_page(stream);
	return 0;
}

static void
ignore(void *arg, const struct store_found *found)
{
}

/* Where arrivals are now. */
static int
find_newest(struct store *store, int64_t *id)
{
	const struct store_filter any = { 0 };
	struct store_page page = { .limit = 1, .bytes_max = 1 };
	int found = store_query(store, &any, &page, ignore, NULL);

	*id = page.last_id;
	return found < 0 ? found : 0;
}

int
api_follow(struct api *api, const struct api_route *route, struct question *question)
{
	const char *last = evhttp_find_header(evhttp_request_get_input_headers(question->request), "Last-Event-ID");
	int64_t newest;
	struct stream *stream;
	int err = find_newest(api->store, &newest);

	if (err == 0)
		err = begin(api, question, &stream);
	if (err != 0)
		return err;
	(void)store_filter_set(&stream->filter, "event_type", route->event_type);
	stream->live = true;
	stream->page.limit = LIVE_RECORDS;
	stream->page.order = STORE_ARRIVAL;
	if (!stream->page.continues && last != NULL && *last >= '0' && *last <= '9')
		stream->page.after_id = (int64_t)strtoll(last, NULL, 10);
	else if (!stream->page.continues)
		stream->page.after_id = newest;
	link_server_on_close(question->request, peer_closed, stream);
	link_server_stream_begin(question->request, "text/event-stream");
	/* The headers go out with the first chunk. */
	evbuffer_add_printf(api->streams->chunk, ": from %" PRId64 "\n\n", stream->page.after_id);
	send_chunk(stream);
	return 0;
}

/* ---- life ---- */

int
api_streams_create(struct api_streams **out, struct api *api)
{
	static const struct timeval interval = { .tv_usec = POLL_MS * 1000 };
	struct api_streams *streams = calloc(1, sizeof(*streams));

	if (streams == NULL)
		return -ENOMEM;
	streams->api = api;
	TAILQ_INIT(&streams->list);
	streams->chunk = evbuffer_new();
	streams->poll = event_new(api->base, -1, EV_PERSIST, on_poll, streams);
	if (streams->chunk == NULL || streams->poll == NULL || event_add(streams->poll, &interval) != 0) {
		api_streams_destroy(streams);
		return -ENOMEM;
	}
	*out = streams;
	return 0;
}

void
api_streams_destroy(struct api_streams *streams)
{
	struct stream *stream;

	if (streams == NULL)
		return;
	while ((stream = TAILQ_FIRST(&streams->list)) != NULL)
		fail(stream);
	if (streams->poll != NULL)
		event_free(streams->poll);
	if (streams->chunk != NULL)
		evbuffer_free(streams->chunk);
	free(streams);
}

struct counter_set
api_streams_counter_set(struct api_streams *streams)
{
	return (struct counter_set){ .descs = counters, .values = streams->counts, .count = API_STREAM_COUNTERS };
}
