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

/* While it is at work the pool has it: nothing of it is touched by this thread but request. */
struct stream {
	struct api_task task;
	struct api_streams *streams;
	struct link_request *request; /* NULL: the peer has gone */
	struct evbuffer *chunk;
	unsigned int found;   /* records in it */
	struct store_filter filter;
	struct store_page page;
	bool live;
	bool works;     /* the pool asks for the next page */
	bool begins;    /* a live one that does not know yet where arrivals are */
	bool waits;     /* the peer has not taken the last chunk yet */
	unsigned int polls; /* since the last chunk */
	TAILQ_ENTRY(stream) link;
};

struct api_streams {
	struct api *api;
	struct event *poll;
	TAILQ_HEAD(, stream) list;
	unsigned int count;
	_Atomic uint64_t counts[API_STREAM_COUNTERS];
};

static const struct counter_desc counters[API_STREAM_COUNTERS] = {
	[API_STREAMS_OPEN] = { "api.streams_open", "exports and live streams that go on now" },
	[API_STREAMS_STARTED] = { "api.streams", "exports and live streams begun" },
	[API_STREAMS_SHED] = { "api.streams_shed", "exports and live streams refused, because there were too many" },
	[API_STREAM_RECORDS] = { "api.stream_records", "records sent in them" },
};

const struct counter_table api_streams_counter_table = { counters, API_STREAM_COUNTERS };

static void
forget(struct stream *stream)
{
	struct api_streams *streams = stream->streams;

	TAILQ_REMOVE(&streams->list, stream, link);
	counter_set(&streams->counts[API_STREAMS_OPEN], --streams->count);
	evbuffer_free(stream->chunk);
	free(stream);
}

static void
peer_closed(void *arg)
{
	struct stream *stream = arg;

	stream->request = NULL;
	if (!stream->works)
		forget(stream);
}

/* ---- what is written, by a thread of the pool ---- */

static void
write_line(void *arg, const struct store_found *found)
{
	struct stream *stream = arg;

	api_write_record(stream->chunk, found);
	evbuffer_add(stream->chunk, "\n", 1);
	stream->page.after_id = found->id;
	stream->page.after_ts_ns = found->ts_ns;
	stream->found++;
}

/* One data line holds it: its own line ends are between values, where another space is as good. */
static void
write_event(void *arg, const struct store_found *found)
{
	struct stream *stream = arg;
	struct store_found flat = *found;
	const char *at = memchr(found->line, '\r', found->line_len);
	char *copy = at == NULL ? NULL : malloc(found->line_len);

	if (copy != NULL) {
		memcpy(copy, found->line, found->line_len);
		for (size_t i = (size_t)(at - found->line); i < found->line_len; i++)
			if (copy[i] == '\r')
				copy[i] = ' ';
		flat.line = copy;
	}
	evbuffer_add_printf(stream->chunk, "id: %" PRId64 "\nevent: alert\ndata: ", found->id);
	api_write_record(stream->chunk, &flat);
	evbuffer_add(stream->chunk, "\n\n", 2);
	free(copy);
	stream->found++;
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

static int
work(struct api_task *task, struct store *store)
{
	struct stream *stream = (struct stream *)task;
	int found;

	if (stream->begins)
		return find_newest(store, &stream->page.after_id);
	found = store_query(store, &stream->filter, &stream->page, stream->live ? write_event : write_line, stream);
	return found < 0 ? found : 0;
}

/* ---- what is sent ---- */

static void next_page(struct stream *stream);

static void
chunk_taken(void *arg)
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
	link_request_stream_chunk(stream->request, stream->chunk, chunk_taken, stream);
}

/* A stream that cannot go on is cut, so that the peer does not take it for whole. */
static void
fail(struct stream *stream)
{
	struct link_request *request = stream->request;

	if (request != NULL)
		link_request_on_close(request, NULL, NULL);
	forget(stream);
	if (request != NULL)
		link_request_stream_cut(request);
}

static void
end(struct stream *stream)
{
	struct link_request *request = stream->request;

	link_request_on_close(request, NULL, NULL);
	forget(stream);
	link_request_stream_end(request);
}

/* The chunk goes out as it is; for a live stream behind it is all that was looked at, alert or not. */
static void
send_live(struct stream *stream)
{
	if (stream->begins)
		evbuffer_add_printf(stream->chunk, ": from %" PRId64 "\n\n", stream->page.after_id);
	else
		stream->page.after_id = stream->page.last_id;
	stream->begins = false;
	if (stream->found == 0 && ++stream->polls >= BEAT_POLLS)
		evbuffer_add(stream->chunk, ": beat\n\n", 8);
	if (evbuffer_get_length(stream->chunk) > 0)
		send_chunk(stream);
}

static void
worked(struct api_task *task)
{
	struct stream *stream = (struct stream *)task;

	stream->works = false;
	counter_add(&stream->streams->counts[API_STREAM_RECORDS], stream->found);
	if (task->err != 0 || stream->request == NULL) {
		fail(stream);
	} else if (stream->live) {
		send_live(stream);
	} else {
		stream->page.continues = true;
		if (stream->found == 0)
			end(stream);
		else
			send_chunk(stream);
	}
}

static void
next_page(struct stream *stream)
{
	if (stream->page.continues && !stream->page.more && !stream->live) {
		end(stream);
		return;
	}
	evbuffer_drain(stream->chunk, evbuffer_get_length(stream->chunk));
	stream->found = 0;
	stream->works = api_pool_submit(stream->streams->api->pool, &stream->task) == 0;
	/* A live one looks again in a moment. */
	if (!stream->works && !stream->live)
		fail(stream);
}

/* ---- live ---- */

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct api_streams *streams = arg;
	struct stream *stream = TAILQ_FIRST(&streams->list);

	while (stream != NULL) {
		struct stream *next = TAILQ_NEXT(stream, link);

		if (stream->live && !stream->waits && !stream->works)
			next_page(stream);
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
		counter_add(&streams->counts[API_STREAMS_SHED], 1);
		return -EBUSY;
	}
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return -ENOMEM;
	stream->chunk = evbuffer_new();
	if (stream->chunk == NULL) {
		free(stream);
		return -ENOMEM;
	}
	stream->task.work = work;
	stream->task.done = worked;
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
	link_request_on_close(question->request, peer_closed, stream);
	link_request_stream_begin(question->request, "application/x-ndjson");
	next_page(stream);
	return 0;
}

int
api_follow(struct api *api, const struct api_route *route, struct question *question)
{
	const char *last = link_request_header(question->request, "Last-Event-ID");
	struct stream *stream;
	int err = begin(api, question, &stream);

	if (err != 0)
		return err;
	(void)store_filter_set(&stream->filter, "event_type", route->event_type);
	stream->live = true;
	stream->page.limit = LIVE_RECORDS;
	stream->page.order = STORE_ARRIVAL;
	if (!stream->page.continues && last != NULL && *last >= '0' && *last <= '9')
		stream->page.after_id = (int64_t)strtoll(last, NULL, 10);
	else if (!stream->page.continues)
		stream->begins = true;
	link_request_on_close(question->request, peer_closed, stream);
	link_request_stream_begin(question->request, "text/event-stream");
	/* The headers go out with the first chunk: at once, or when the newest is found. */
	if (stream->begins) {
		next_page(stream);
	} else {
		evbuffer_add_printf(stream->chunk, ": from %" PRId64 "\n\n", stream->page.after_id);
		send_chunk(stream);
	}
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
	streams->poll = event_new(api->base, -1, EV_PERSIST, on_poll, streams);
	if (streams->poll == NULL || event_add(streams->poll, &interval) != 0) {
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
	free(streams);
}

struct counter_set
api_streams_counter_set(struct api_streams *streams)
{
	return (struct counter_set){ .descs = counters, .values = streams->counts, .count = API_STREAM_COUNTERS };
}
