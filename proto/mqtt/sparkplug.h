/*
 * Sparkplug B over MQTT: topics, payloads to the value, names by alias, identities. What the sparkplug files share;
 * mqtt_message.c and mqtt.c call it.
 *
 * Source: Eclipse Sparkplug 3.0.0 ("SpB"); its Protocol Buffers are those of SpB 6.4.
 * Thread: the worker's; every byte read is lent by the caller, what is kept is copied into the record.
 */
#ifndef MR_PROTO_SPARKPLUG_H
#define MR_PROTO_SPARKPLUG_H

#include "proto/mqtt/mqtt.h"

enum {
	SPARKPLUG_METRICS_MAX = 512,        /* of one payload, or of one template */
	SPARKPLUG_ELEMENTS_MAX = 256,       /* of an array; longer ones are shown as bytes */
	SPARKPLUG_COLUMNS_MAX = 64,         /* of a data set */
	SPARKPLUG_CELLS_MAX = 1024,         /* of a data set; the rows behind them are counted */
	SPARKPLUG_PROPERTIES_MAX = 64,      /* of a metric, and parameters of a template */
	SPARKPLUG_DEPTH_MAX = 4,            /* templates in a template */
	SPARKPLUG_WITHIN_LEN_MAX = 256,     /* names of the templates around a metric */
	SPARKPLUG_UNPACKED_MAX = 64 * 1024, /* of a compressed payload */
	SPARKPLUG_ALIASES_MAX = 256,        /* of one flow; a power of two */
	SPARKPLUG_ALIAS_PROBES = 8,
	SPARKPLUG_NAME_LEN_MAX = 44,        /* of a metric that is known by its alias */
};

/* ---- the record ---- */

/** A Sparkplug topic and its payload (SpB 4.1, 6.4). */
struct sparkplug {
	struct record_head head;
	const char *namespace; /* static */
	struct record_ref group_id;
	struct record_ref message_type;
	struct record_ref edge_node_id;
	struct record_ref device_id;
	struct record_ref host_id;
	struct record_ref uuid;
	uint64_t timestamp_ns;
	uint64_t seq;
	uint32_t body_len;
	struct record_list metrics;
};

enum sparkplug_bit {
	SPARKPLUG_HAS_NODE,
	SPARKPLUG_HAS_DEVICE,
	SPARKPLUG_HAS_HOST,
	SPARKPLUG_HAS_TIMESTAMP,
	SPARKPLUG_HAS_SEQ,
	SPARKPLUG_HAS_UUID,
	SPARKPLUG_HAS_BODY,
	SPARKPLUG_HAS_METRICS,
};

struct sparkplug_metric {
	struct record_head head;
	struct record_ref name;
	struct record_ref data;   /* of a text or of bytes; struct record_scalar of an array */
	struct record_ref within; /* in a template: the templates around it */
	uint64_t alias;
	uint64_t timestamp_ns;
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		float f32;
		bool flag;
	} value;
	uint32_t datatype;
	bool is_historical, is_transient, is_null;
	struct record_list metadata;
	struct record_list properties;
	struct record_list compound; /* of one: a data set or a template */
};

enum sparkplug_metric_bit {
	METRIC_HAS_NAME,
	METRIC_HAS_ALIAS,
	METRIC_HAS_TIMESTAMP,
	METRIC_HAS_DATATYPE,
	METRIC_HAS_HISTORICAL,
	METRIC_HAS_TRANSIENT,
	METRIC_HAS_NULL,
	METRIC_HAS_UNSIGNED,
	METRIC_HAS_SIGNED,
	METRIC_HAS_FLOAT,
	METRIC_HAS_DOUBLE,
	METRIC_HAS_BOOLEAN,
	METRIC_HAS_TEXT,
	METRIC_HAS_BYTES,
	METRIC_HAS_TIME,
	METRIC_HAS_ARRAY,
	METRIC_HAS_WITHIN,
	METRIC_HAS_METADATA,
	METRIC_HAS_PROPERTIES,
	METRIC_HAS_DATA_SET,
	METRIC_HAS_TEMPLATE,
};

/** A value with its name and type: a property of a metric, a parameter of a template. */
struct sparkplug_property {
	struct record_head head;
	struct record_ref name;
	struct record_ref value; /* one struct record_scalar */
	uint32_t datatype;
	bool is_null;
};

enum sparkplug_property_bit { PROPERTY_HAS_DATATYPE, PROPERTY_HAS_NULL, PROPERTY_HAS_VALUE };

struct sparkplug_metadata {
	struct record_head head;
	struct record_ref content_type, file_name, file_type, md5, description;
	uint64_t size, seq;
	bool is_multi_part;
};

/* The field's number less one. */
enum sparkplug_metadata_bit {
	METADATA_HAS_MULTI_PART,
	METADATA_HAS_CONTENT_TYPE,
	METADATA_HAS_SIZE,
	METADATA_HAS_SEQ,
	METADATA_HAS_FILE_NAME,
	METADATA_HAS_FILE_TYPE,
	METADATA_HAS_MD5,
	METADATA_HAS_DESCRIPTION,
};

struct sparkplug_column {
	struct record_head head;
	struct record_ref name;
	uint32_t datatype;
};

struct sparkplug_row {
	struct record_head head;
	struct record_ref values; /* struct record_scalar */
};

struct sparkplug_data_set {
	struct record_head head;
	uint64_t num_of_columns;
	uint32_t row_count; /* those that are left out too */
	struct record_list columns, rows;
};

struct sparkplug_template {
	struct record_head head;
	struct record_ref version, template_ref;
	struct record_list parameters, metrics;
	bool is_definition;
};

enum sparkplug_template_bit {
	TEMPLATE_HAS_VERSION,
	TEMPLATE_HAS_REF,
	TEMPLATE_HAS_DEFINITION,
	TEMPLATE_HAS_PARAMETERS,
	TEMPLATE_HAS_METRICS,
};

extern const struct record_table *const sparkplug_tables[];
extern const struct record_table *const sparkplug_metric_tables[];
extern const struct record_table *const sparkplug_member_tables[]; /* metrics of a template */
extern const struct record_table *const sparkplug_metadata_tables[];
extern const struct record_table *const sparkplug_property_tables[];
extern const struct record_table *const sparkplug_data_set_tables[];
extern const struct record_table *const sparkplug_column_tables[];
extern const struct record_table *const sparkplug_row_tables[];
extern const struct record_table *const sparkplug_template_tables[];
extern const struct record_table *const sparkplug_inner_template_tables[];


/* ---- Protocol Buffers (sparkplug_wire.c) ---- */

enum sparkplug_wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 5 };

/** Fields read of one message, whatever they are. */
enum { SPARKPLUG_FIELDS_MAX = 4096 };

struct sparkplug_field {
	uint32_t number;
	uint8_t wire;
	uint64_t value;      /* of a varint or fixed number */
	struct cursor bytes; /* of WIRE_BYTES */
};

/** The next field of a message. @return false: none is left, or it is damaged (then the cursor is short) */
bool sparkplug_next(struct cursor *in, struct sparkplug_field *out);
uint64_t sparkplug_take_varint(struct cursor *in);
/** A text's or bytes' field into the record. */
void sparkplug_put_bytes(struct record_builder *b, struct record_ref *ref, const struct sparkplug_field *field);
/** A value of SpB 6.4.16. @param form  0 to 5: int, long, float, double, boolean, string, as the messages with values number
 *  them one behind another; above: bytes. @return SCALAR_NULL where the field has another wire type than that */
struct record_scalar sparkplug_scalar(struct record_builder *b, unsigned int form, const struct sparkplug_field *field, uint32_t datatype);

/* ---- payloads ---- */

struct sparkplug_topic {
	struct cursor group, type, node, device, host;
	bool is_birth, is_node, is_state;
};

/** Whether a topic is of Sparkplug's form. */
bool sparkplug_topic_read(const uint8_t *topic, uint32_t len, struct sparkplug_topic *out);
/** Reads a PUBLISH with such a topic into pdu->record. @return whether the payload was understood */
bool sparkplug_read(struct mqtt_pdu *pdu, const struct sparkplug_topic *topic, struct cursor payload);
/** The elements of an array's bytes as struct record_scalar. @return false: no array's datatype, or not its length */
bool sparkplug_array_read(struct record_builder *b, uint32_t datatype, struct record_ref *out, struct cursor in);
/** A payload's fields. @param owner  whose aliases the metrics have. @return false: it is damaged */
bool sparkplug_payload_read(struct mqtt_pdu *pdu, struct sparkplug *sparkplug, struct cursor payload, uint32_t owner);
/** Where a metric stands, and goes to. */
struct sparkplug_place {
	struct record_list *metrics;
	const struct record_table *const *tables;
	uint32_t owner;       /* whose aliases it has */
	unsigned int depth;   /* templates around it */
	char within[SPARKPLUG_WITHIN_LEN_MAX]; /* their names with '/' between, the outermost, which holds it, left out */
	uint32_t within_len;
};

/** A metric's fields, appended where it goes. @return false: it is damaged */
bool sparkplug_metric_read(struct mqtt_pdu *pdu, struct cursor in, const struct sparkplug_place *place);
/** What stands inside a metric (sparkplug_compound.c). @return false: it is damaged */
bool sparkplug_data_set_read(struct record_builder *b, struct record_list *list, struct cursor in);
bool sparkplug_template_read(struct mqtt_pdu *pdu, struct sparkplug_metric *metric, struct cursor in, const struct sparkplug_place *place);
bool sparkplug_properties_read(struct record_builder *b, struct record_list *list, struct cursor in);
bool sparkplug_metadata_read(struct record_builder *b, struct record_list *list, struct cursor in);
/** What a birth certificate says of the node or device, as an identity. Uses ctx->record. */
void sparkplug_identify(struct proto_ctx *ctx, const struct sparkplug_topic *topic, struct cursor payload);

struct sparkplug_alias {
	uint64_t alias;
	uint32_t owner; /* hash of group, node and device; 0: free */
	uint8_t datatype;
	uint8_t name_len;
	char name[SPARKPLUG_NAME_LEN_MAX];
};

void sparkplug_alias_learn(struct proto_ctx *ctx, uint32_t owner, uint64_t alias, uint32_t datatype,
	const uint8_t *name, uint32_t name_len);
const struct sparkplug_alias *sparkplug_alias_find(const struct mqtt_state *state, uint32_t owner, uint64_t alias);
void sparkplug_alias_free(struct proto_ctx *ctx);

#endif
