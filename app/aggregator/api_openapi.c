/* The document, from the same rows as the router: neither can know what the other does not. */
#include <string.h>

#include "app/aggregator/api_private.h"

static const struct {
	uint8_t bit;
	const char *name;
	const char *type;
	uint64_t min, max;
	const char *help;
} extras[] = {
	{ API_LIMIT, "limit", "integer", 1, STORE_LIMIT_MAX, "most records or rows of the answer" },
	{ API_CURSOR, "cursor", "string", 0, 0, "the next of the page before" },
	{ API_BUCKET, "bucket", "integer", 1, 366 * 86400, "seconds of a bucket; an hour when not given" },
	{ API_AFTER, "after", "integer", 0, 0, "id behind which to begin, as the header Last-Event-ID; now when not given" },
};

static json_t *
schema_of(enum store_filter_type type, uint64_t max)
{
	switch (type) {
	case STORE_IS_NUMBER:
		return json_pack("{s:s, s:i, s:I}", "type", "integer", "minimum", 0, "maximum", (json_int_t)max);
	case STORE_IS_TEXT:
		return json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", STORE_TEXT_MAX);
	case STORE_IS_TIME:
	case STORE_IS_IP:
		break;
	}
	return json_pack("{s:s}", "type", "string");
}

static void
add_parameter(json_t *list, const char *name, const char *help, json_t *schema)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "query", "description", help,
		"schema", schema));
}

static json_t *
parameters_of(const struct api_route *route)
{
	json_t *list = json_array();

	for (unsigned int key = 0; key < STORE_FILTER_COUNT; key++)
		if (route->filters >> key & 1)
			add_parameter(list, store_filters[key].name, store_filters[key].help,
				schema_of(store_filters[key].type, store_filters[key].max));
	/* The short name of event_type. */
	if (route->filters >> STORE_EVENT_TYPE & 1)
		add_parameter(list, "type", "the same as event_type", schema_of(STORE_IS_TEXT, 0));
	for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
		json_t *schema;

		if ((route->parameters & extras[i].bit) == 0)
			continue;
		schema = json_pack("{s:s}", "type", extras[i].type);
		if (extras[i].max != 0) {
			json_object_set_new(schema, "minimum", json_integer((json_int_t)extras[i].min));
			json_object_set_new(schema, "maximum", json_integer((json_int_t)extras[i].max));
		}
		add_parameter(list, extras[i].name, extras[i].help, schema);
	}
	return list;
}

static json_t *
answer_schema(const struct api_route *route)
{
	json_t *properties = json_object();
	json_t *required = json_array();

	for (size_t i = 0; route->keys != NULL && route->keys[i] != NULL; i++) {
		json_object_set_new(properties, route->keys[i], json_object());
		json_array_append_new(required, json_string(route->keys[i]));
	}
	return json_pack("{s:s, s:o, s:o}", "type", "object", "required", required, "properties", properties);
}

static json_t *
content_of(const struct api_route *route)
{
	if (route->content == API_NDJSON)
		return json_pack("{s:{s:{s:s}}}", "application/x-ndjson", "schema", "$ref", "#/components/schemas/Record");
	if (route->content == API_EVENTS)
		return json_pack("{s:{s:{s:s}}}", "text/event-stream", "schema", "type", "string");
	return json_pack("{s:{s:o}}", "application/json", "schema", answer_schema(route));
}

static json_t *
operation_of(const struct api_route *route)
{
	json_t *fail = json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "refused; the reason is in it", "content",
		"application/json", "schema", "$ref", "#/components/schemas/Error");
	json_t *operation = json_pack("{s:s, s:s, s:o, s:{s:{s:s, s:o}, s:o}}", "summary", route->summary,
		"x-scope", api_scope_name(route->scope), "parameters", parameters_of(route),
		"responses", route->post ? "2XX" : "200", "description", "done", "content", content_of(route), "default", fail);

	if (route->post)
		json_object_set_new(operation, "requestBody", json_pack("{s:b, s:{s:{s:{s:s}}}}", "required", 1, "content",
			"application/json", "schema", "type", "object"));
	return operation;
}

static json_t *
components(void)
{
	json_t *record = json_pack("{s:s, s:[sssss], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type", "object",
		"required", "sensor", "epoch", "lane", "sequence", "record", "properties", "sensor", "type", "string",
		"epoch", "type", "string", "lane", "type", "string", "sequence", "type", "integer", "record", "type", "object");
	json_t *error = json_pack("{s:s, s:[s], s:{s:{s:s, s:{s:{s:s}, s:{s:s}}}}}", "type", "object", "required", "error",
		"properties", "error", "type", "object", "properties", "status", "type", "integer", "reason", "type", "string");

	return json_pack("{s:{s:o, s:o}, s:{s:{s:s, s:s}}}", "schemas", "Record", record, "Error", error,
		"securitySchemes", "token", "type", "http", "scheme", "bearer");
}

json_t *
api_document(void)
{
	json_t *paths = json_object();

	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];

		json_object_set_new(paths, route->path, json_pack("{s:o}", route->post ? "post" : "get", operation_of(route)));
	}
	return json_pack("{s:s, s:{s:s, s:s}, s:[{s:[]}], s:o, s:o}", "openapi", "3.0.3", "info", "title", "Millrace aggregator",
		"version", MILLRACE_VERSION, "security", "token", "paths", paths, "components", components());
}
