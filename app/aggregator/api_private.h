/* Shared by the files of the query API: what is asked, what there is to ask, and the parts that answer. */
#ifndef MR_AGGREGATOR_API_PRIVATE_H
#define MR_AGGREGATOR_API_PRIVATE_H

#include <pthread.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "app/aggregator/api.h"
#include "app/aggregator/api_audit.h"
#include "app/aggregator/api_pool.h"
#include "app/aggregator/api_sensors.h"
#include "app/aggregator/api_silence.h"
#include "app/aggregator/api_stream.h"
#include "app/aggregator/api_token.h"
#include "lib/link/server.h"

enum { API_REASON_MAX = 200 };

enum api_counter { API_TOKENS_UNREAD, API_COUNTERS };

struct api {
	const struct settings *settings;
	struct counter_set counters;
	struct enrol *enrol;         /* NULL: there is none, and no sensors either */
	struct api_sensors *sensors;
	struct api_tokens *tokens;
	struct api_audit *audit;
	struct api_streams *streams;
	struct api_pool *pool;
	struct silence *silence;     /* NULL: sensors.silent-after is 0 */
	struct api_silence *looks;
	struct event_base *base;
	struct link_server *server;
	_Atomic uint64_t counts[API_COUNTERS];
	_Atomic uint64_t server_counters[LINK_SERVER_COUNTERS];
	struct event *stop;
	struct evbuffer *answer;
	pthread_t thread;
	bool running;
	int stop_fd;
};

/* A question as it is read from the URI. */
struct question {
	struct link_request *request; /* for streams */
	struct store *store;            /* for the others: the handle of the thread that answers */
	struct evbuffer *answer;        /* and what it writes to */
	struct store_filter filter;
	struct store_page page;
	char reason[API_REASON_MAX]; /* why it is none */
};

/* Parameters that are no filters, as bits. */
enum api_parameter { API_LIMIT = 1, API_CURSOR = 2, API_BUCKET = 4, API_AFTER = 8 };

enum api_content { API_JSON, API_NDJSON, API_EVENTS };

/* One row an operation. The document (/v1/openapi.json) is written from these rows and those of store_filters[]. */
struct api_route {
	const char *path;
	const char *summary;
	const char *const *keys; /* of the object answered; ends with NULL; NULL: not an object of fixed keys */
	/** API_JSON: on a thread of the pool. Streams: on the API's own. */
	int (*answer)(struct api *api, const struct api_route *route, struct question *question);
	const char *event_type;  /* of the records; NULL: any */
	uint32_t filters;        /* bit i: store_filters[i] may be given */
	enum store_report report;
	enum api_scope scope;
	enum api_content content;
	uint8_t parameters;      /* enum api_parameter */
	bool post;               /* with a JSON body, which api_sensors reads */
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

/** @param allowed out: "GET" or "POST" when the path is there and the method is not. @return NULL: none */
const struct api_route *api_route_find(const char *path, bool post, const char **allowed);
/** @return 0, or -EINVAL with question->reason set. */
int api_question_read(const struct api_route *route, struct question *question, const char *query);
/** The document: what can be asked (OpenAPI 3.0.3). @return NULL: no memory. The caller's. */
json_t *api_document(void);
/** Writes root and gives it up. @return 0 or -ENOMEM. */
int api_write_json(struct evbuffer *out, json_t *root);
/** One record as it stands in answers. */
void api_write_record(struct evbuffer *out, const struct store_found *found);

#endif
