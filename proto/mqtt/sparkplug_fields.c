/* The tables of Sparkplug B: EVE keys, rule keywords and reference in one. */
#include "proto/mqtt/sparkplug.h"

static const struct field_name datatypes_rows[] = {
	{ 0, "Unknown" },
	{ 1, "Int8" },
	{ 2, "Int16" },
	{ 3, "Int32" },
	{ 4, "Int64" },
	{ 5, "UInt8" },
	{ 6, "UInt16" },
	{ 7, "UInt32" },
	{ 8, "UInt64" },
	{ 9, "Float" },
	{ 10, "Double" },
	{ 11, "Boolean" },
	{ 12, "String" },
	{ 13, "DateTime" },
	{ 14, "Text" },
	{ 15, "UUID" },
	{ 16, "DataSet" },
	{ 17, "Bytes" },
	{ 18, "File" },
	{ 19, "Template" },
	{ 20, "PropertySet" },
	{ 21, "PropertySetList" },
	{ 22, "Int8Array" },
	{ 23, "Int16Array" },
	{ 24, "Int32Array" },
	{ 25, "Int64Array" },
	{ 26, "UInt8Array" },
	{ 27, "UInt16Array" },
	{ 28, "UInt32Array" },
	{ 29, "UInt64Array" },
	{ 30, "FloatArray" },
	{ 31, "DoubleArray" },
	{ 32, "BooleanArray" },
	{ 33, "StringArray" },
	{ 34, "DateTimeArray" },
};
static const struct field_names datatypes = FIELD_NAMES(datatypes_rows, "Unknown");

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(text, rows, type) { .name = (text), .fields = (rows), .field_count = COUNT(rows), .size = sizeof(struct type) }

/* ---- inside a metric ---- */

static const struct field metadata_fields[] = {
	{ "is_multi_part", FIELD_BOOL, METADATA_HAS_MULTI_PART, 0, offsetof(struct sparkplug_metadata, is_multi_part), NULL, NULL,
		"SpB 6.4.7", "the value comes in several messages" },
	{ "content_type", FIELD_STRING, METADATA_HAS_CONTENT_TYPE, 0, offsetof(struct sparkplug_metadata, content_type), NULL, NULL,
		"SpB 6.4.7", "media type of the value" },
	{ "size", FIELD_U64, METADATA_HAS_SIZE, 0, offsetof(struct sparkplug_metadata, size), NULL, NULL,
		"SpB 6.4.7", "bytes of the value, or of a part" },
	{ "seq", FIELD_U64, METADATA_HAS_SEQ, 0, offsetof(struct sparkplug_metadata, seq), NULL, NULL,
		"SpB 6.4.7", "number of the part" },
	{ "file_name", FIELD_STRING, METADATA_HAS_FILE_NAME, 0, offsetof(struct sparkplug_metadata, file_name), NULL, NULL,
		"SpB 6.4.7", "name of the file" },
	{ "file_type", FIELD_STRING, METADATA_HAS_FILE_TYPE, 0, offsetof(struct sparkplug_metadata, file_type), NULL, NULL,
		"SpB 6.4.7", "type of the file" },
	{ "md5", FIELD_STRING, METADATA_HAS_MD5, 0, offsetof(struct sparkplug_metadata, md5), NULL, NULL,
		"SpB 6.4.7", "MD5 of the value" },
	{ "description", FIELD_STRING, METADATA_HAS_DESCRIPTION, 0, offsetof(struct sparkplug_metadata, description), NULL, NULL,
		"SpB 6.4.7", "description" },
};
static const struct record_table metadata_table = TABLE("metadata", metadata_fields, sparkplug_metadata);
const struct record_table *const sparkplug_metadata_tables[] = { &metadata_table, NULL };

static const struct field property_fields[] = {
	{ "name", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct sparkplug_property, name), NULL, NULL,
		"SpB 6.4.9", "name; a property's key" },
	{ "datatype_raw", FIELD_U32, PROPERTY_HAS_DATATYPE, 0, offsetof(struct sparkplug_property, datatype), NULL, NULL,
		"SpB 6.4.16", "datatype" },
	{ "datatype", FIELD_U32, PROPERTY_HAS_DATATYPE, 0, offsetof(struct sparkplug_property, datatype), &datatypes, NULL,
		"SpB 6.4.16", "its name" },
	{ "is_null", FIELD_BOOL, PROPERTY_HAS_NULL, 0, offsetof(struct sparkplug_property, is_null), NULL, NULL,
		"SpB 6.4.9", "there is no value" },
	{ "value", FIELD_SCALARS, PROPERTY_HAS_VALUE, FIELD_ONE, offsetof(struct sparkplug_property, value), NULL, NULL,
		"SpB 6.4.9", "value; a property set's bytes" },
};
static const struct record_table property_table = TABLE("property", property_fields, sparkplug_property);
const struct record_table *const sparkplug_property_tables[] = { &property_table, NULL };

static const struct field column_fields[] = {
	{ "name", FIELD_STRING, FIELD_ALWAYS, 0, offsetof(struct sparkplug_column, name), NULL, NULL,
		"SpB 6.4.11", "name" },
	{ "datatype_raw", FIELD_U32, 0, 0, offsetof(struct sparkplug_column, datatype), NULL, NULL,
		"SpB 6.4.16", "datatype" },
	{ "datatype", FIELD_U32, 0, 0, offsetof(struct sparkplug_column, datatype), &datatypes, NULL,
		"SpB 6.4.16", "its name" },
};
static const struct record_table column_table = TABLE("column", column_fields, sparkplug_column);
const struct record_table *const sparkplug_column_tables[] = { &column_table, NULL };

static const struct field row_fields[] = {
	{ "values", FIELD_SCALARS, FIELD_ALWAYS, 0, offsetof(struct sparkplug_row, values), NULL, NULL,
		"SpB 6.4.13", "a value for each column, null where there is none" },
};
static const struct record_table row_table = TABLE("row", row_fields, sparkplug_row);
const struct record_table *const sparkplug_row_tables[] = { &row_table, NULL };

static const struct field data_set_fields[] = {
	{ "num_of_columns", FIELD_U64, FIELD_ALWAYS, 0, offsetof(struct sparkplug_data_set, num_of_columns), NULL, NULL,
		"SpB 6.4.11", "columns that it says it has" },
	{ "row_count", FIELD_U32, FIELD_ALWAYS, 0, offsetof(struct sparkplug_data_set, row_count), NULL, NULL,
		"SpB 6.4.11", "rows, those that are left out too" },
	{ "columns", FIELD_LIST, FIELD_ALWAYS, 0, offsetof(struct sparkplug_data_set, columns), NULL, sparkplug_column_tables,
		"SpB 6.4.11", "columns" },
	{ "rows", FIELD_LIST, FIELD_ALWAYS, FIELD_BARE, offsetof(struct sparkplug_data_set, rows), NULL, sparkplug_row_tables,
		"SpB 6.4.12", "rows" },
};
static const struct record_table data_set_table = TABLE("data_set", data_set_fields, sparkplug_data_set);
const struct record_table *const sparkplug_data_set_tables[] = { &data_set_table, NULL };

/* ---- metrics: those of a template have no templates with metrics inside, which stand beside them ---- */

#define METRIC_ROWS \
	{ "name", FIELD_STRING, METRIC_HAS_NAME, 0, offsetof(struct sparkplug_metric, name), NULL, NULL, \
		"SpB 6.4.6", "name; of an alias the one its birth gave" }, \
	{ "alias", FIELD_U64, METRIC_HAS_ALIAS, 0, offsetof(struct sparkplug_metric, alias), NULL, NULL, \
		"SpB 6.4.6", "number that stands for the name" }, \
	{ "timestamp", FIELD_TIME, METRIC_HAS_TIMESTAMP, 0, offsetof(struct sparkplug_metric, timestamp_ns), NULL, NULL, \
		"SpB 6.4.6", "time of the value" }, \
	{ "datatype_raw", FIELD_U32, METRIC_HAS_DATATYPE, 0, offsetof(struct sparkplug_metric, datatype), NULL, NULL, \
		"SpB 6.4.16", "datatype" }, \
	{ "datatype", FIELD_U32, METRIC_HAS_DATATYPE, 0, offsetof(struct sparkplug_metric, datatype), &datatypes, NULL, \
		"SpB 6.4.16", "its name" }, \
	{ "is_historical", FIELD_BOOL, METRIC_HAS_HISTORICAL, 0, offsetof(struct sparkplug_metric, is_historical), NULL, NULL, \
		"SpB 6.4.6", "not the present value" }, \
	{ "is_transient", FIELD_BOOL, METRIC_HAS_TRANSIENT, 0, offsetof(struct sparkplug_metric, is_transient), NULL, NULL, \
		"SpB 6.4.6", "not to be stored" }, \
	{ "is_null", FIELD_BOOL, METRIC_HAS_NULL, 0, offsetof(struct sparkplug_metric, is_null), NULL, NULL, \
		"SpB 6.4.6", "there is no value" }, \
	{ "value", FIELD_U64, METRIC_HAS_UNSIGNED, 0, offsetof(struct sparkplug_metric, value.u64), NULL, NULL, \
		"SpB 6.4.6", "value" }, \
	{ "value", FIELD_I64, METRIC_HAS_SIGNED, 0, offsetof(struct sparkplug_metric, value.i64), NULL, NULL, \
		"SpB 6.4.6", "value" }, \
	{ "value", FIELD_F32, METRIC_HAS_FLOAT, 0, offsetof(struct sparkplug_metric, value.f32), NULL, NULL, \
		"SpB 6.4.6", "value" }, \
	{ "value", FIELD_F64, METRIC_HAS_DOUBLE, 0, offsetof(struct sparkplug_metric, value.f64), NULL, NULL, \
		"SpB 6.4.6", "value" }, \
	{ "value", FIELD_BOOL, METRIC_HAS_BOOLEAN, 0, offsetof(struct sparkplug_metric, value.flag), NULL, NULL, \
		"SpB 6.4.6", "value" }, \
	{ "value", FIELD_STRING, METRIC_HAS_TEXT, 0, offsetof(struct sparkplug_metric, data), NULL, NULL, \
		"SpB 6.4.6", "value" }, \
	{ "value", FIELD_TIME, METRIC_HAS_TIME, 0, offsetof(struct sparkplug_metric, value.u64), NULL, NULL, \
		"SpB 6.4.6", "value of a DateTime" }, \
	{ "value", FIELD_HEX, METRIC_HAS_BYTES, 0, offsetof(struct sparkplug_metric, data), NULL, NULL, \
		"SpB 6.4.6", "value: bytes; a data set or template that could not be read" }, \
	{ "value", FIELD_SCALARS, METRIC_HAS_ARRAY, 0, offsetof(struct sparkplug_metric, data), NULL, NULL, \
		"SpB 6.4.16", "elements of an array" }, \
	{ "metadata", FIELD_LIST, METRIC_HAS_METADATA, FIELD_ONE, offsetof(struct sparkplug_metric, metadata), NULL, sparkplug_metadata_tables, \
		"SpB 6.4.7", "what the value is, of files" }, \
	{ "properties", FIELD_LIST, METRIC_HAS_PROPERTIES, 0, offsetof(struct sparkplug_metric, properties), NULL, sparkplug_property_tables, \
		"SpB 6.4.8", "properties, such as its quality" }, \
	{ "data_set", FIELD_LIST, METRIC_HAS_DATA_SET, FIELD_ONE, offsetof(struct sparkplug_metric, compound), NULL, sparkplug_data_set_tables, \
		"SpB 6.4.11", "value of a DataSet" },

#define TEMPLATE_ROWS \
	{ "version", FIELD_STRING, TEMPLATE_HAS_VERSION, 0, offsetof(struct sparkplug_template, version), NULL, NULL, \
		"SpB 6.4.14", "version" }, \
	{ "template_ref", FIELD_STRING, TEMPLATE_HAS_REF, 0, offsetof(struct sparkplug_template, template_ref), NULL, NULL, \
		"SpB 6.4.14", "name of the definition that this is an instance of" }, \
	{ "is_definition", FIELD_BOOL, TEMPLATE_HAS_DEFINITION, 0, offsetof(struct sparkplug_template, is_definition), NULL, NULL, \
		"SpB 6.4.14", "a definition, no instance" }, \
	{ "parameters", FIELD_LIST, TEMPLATE_HAS_PARAMETERS, 0, offsetof(struct sparkplug_template, parameters), NULL, sparkplug_property_tables, \
		"SpB 6.4.15", "parameters" },

static const struct field inner_template_fields[] = {
	TEMPLATE_ROWS
};
static const struct record_table inner_template_table = TABLE("template", inner_template_fields, sparkplug_template);
const struct record_table *const sparkplug_inner_template_tables[] = { &inner_template_table, NULL };

static const struct field member_fields[] = {
	{ "within", FIELD_STRING, METRIC_HAS_WITHIN, 0, offsetof(struct sparkplug_metric, within), NULL, NULL,
		"SpB 6.4.14", "names of the templates around it, but for the outermost, with '/' between" },
	METRIC_ROWS
	{ "template", FIELD_LIST, METRIC_HAS_TEMPLATE, FIELD_ONE, offsetof(struct sparkplug_metric, compound), NULL, sparkplug_inner_template_tables,
		"SpB 6.4.14", "value of a Template; its metrics stand beside this one" },
};
static const struct record_table member_table = TABLE("metric", member_fields, sparkplug_metric);
const struct record_table *const sparkplug_member_tables[] = { &member_table, NULL };

static const struct field template_fields[] = {
	TEMPLATE_ROWS
	{ "metrics", FIELD_LIST, TEMPLATE_HAS_METRICS, 0, offsetof(struct sparkplug_template, metrics), NULL, sparkplug_member_tables,
		"SpB 6.4.14", "metrics, those of templates inside it too" },
};
static const struct record_table template_table = TABLE("template", template_fields, sparkplug_template);
const struct record_table *const sparkplug_template_tables[] = { &template_table, NULL };

static const struct field metric_fields[] = {
	METRIC_ROWS
	{ "template", FIELD_LIST, METRIC_HAS_TEMPLATE, FIELD_ONE, offsetof(struct sparkplug_metric, compound), NULL, sparkplug_template_tables,
		"SpB 6.4.14", "value of a Template" },
};
static const struct record_table metric_table = TABLE("metric", metric_fields, sparkplug_metric);
const struct record_table *const sparkplug_metric_tables[] = { &metric_table, NULL };

/* ---- payloads ---- */

static const struct field sparkplug_fields[] = {
	{ "namespace", FIELD_TEXT, FIELD_ALWAYS, 0,
		offsetof(struct sparkplug, namespace), NULL, NULL,
		"SpB 4.1.1", "spBv1.0" },
	{ "message_type", FIELD_STRING, FIELD_ALWAYS, 0,
		offsetof(struct sparkplug, message_type), NULL, NULL,
		"SpB 4.1.3", "NBIRTH, NDEATH, DBIRTH, DDEATH, NDATA, DDATA, NCMD, DCMD or STATE" },
	{ "group_id", FIELD_STRING, SPARKPLUG_HAS_NODE, 0,
		offsetof(struct sparkplug, group_id), NULL, NULL,
		"SpB 4.1.2", "group" },
	{ "edge_node_id", FIELD_STRING, SPARKPLUG_HAS_NODE, 0,
		offsetof(struct sparkplug, edge_node_id), NULL, NULL,
		"SpB 4.1.4", "edge node" },
	{ "device_id", FIELD_STRING, SPARKPLUG_HAS_DEVICE, 0,
		offsetof(struct sparkplug, device_id), NULL, NULL,
		"SpB 4.1.5", "device of the edge node" },
	{ "host_id", FIELD_STRING, SPARKPLUG_HAS_HOST, 0,
		offsetof(struct sparkplug, host_id), NULL, NULL,
		"SpB 4.2", "host application" },
	{ "timestamp", FIELD_TIME, SPARKPLUG_HAS_TIMESTAMP, 0,
		offsetof(struct sparkplug, timestamp_ns), NULL, NULL,
		"SpB 6.4.5", "time of the message" },
	{ "seq", FIELD_U64, SPARKPLUG_HAS_SEQ, 0,
		offsetof(struct sparkplug, seq), NULL, NULL,
		"SpB 6.4.5", "0 to 255 and around" },
	{ "uuid", FIELD_STRING, SPARKPLUG_HAS_UUID, 0,
		offsetof(struct sparkplug, uuid), NULL, NULL,
		"SpB 6.4.5", "schema of the body" },
	{ "body_length", FIELD_U32, SPARKPLUG_HAS_BODY, 0,
		offsetof(struct sparkplug, body_len), NULL, NULL,
		"SpB 6.4.5", "bytes of the body" },
	{ "metrics", FIELD_LIST, SPARKPLUG_HAS_METRICS, 0,
		offsetof(struct sparkplug, metrics), NULL, sparkplug_metric_tables,
		"SpB 6.4.6", "metrics" },
};
static const struct record_table sparkplug_table = TABLE("sparkplug", sparkplug_fields, sparkplug);
const struct record_table *const sparkplug_tables[] = { &sparkplug_table, NULL };
