/* What stands inside a Sparkplug metric (SpB 6.4): data sets, templates, properties, metadata. */
#include "proto/mqtt/sparkplug.h"

/* Field numbers of the messages; the values of each follow one another as sparkplug_scalar() has them. */
enum data_set_field { DATA_SET_COUNT = 1, DATA_SET_COLUMNS, DATA_SET_TYPES, DATA_SET_ROWS };
enum { ROW_ELEMENTS = 1, CELL_VALUES = 1 };
enum template_field { TEMPLATE_VERSION = 1, TEMPLATE_METRICS, TEMPLATE_PARAMETERS, TEMPLATE_REF, TEMPLATE_DEFINITION };
enum parameter_field { PARAMETER_NAME = 1, PARAMETER_TYPE, PARAMETER_VALUES };
enum property_set_field { PROPERTY_KEYS = 1, PROPERTY_VALUES };
enum property_field { PROPERTY_TYPE = 1, PROPERTY_NULL, PROPERTY_FIRST };
enum metadata_field {
	METADATA_MULTI_PART = 1,
	METADATA_CONTENT_TYPE,
	METADATA_SIZE,
	METADATA_SEQ,
	METADATA_FILE_NAME,
	METADATA_FILE_TYPE,
	METADATA_MD5,
	METADATA_DESCRIPTION,
};

/* ---- data sets ---- */

static void
put_column(struct record_builder *b, struct sparkplug_data_set *set, const struct sparkplug_field *field)
{
	struct sparkplug_column *column = set->columns.count >= SPARKPLUG_COLUMNS_MAX
		? NULL
		: record_append(b, &set->columns, sparkplug_column_tables, 0);

	if (column != NULL)
		sparkplug_put_bytes(b, &column->name, field);
}

/* Types come one a field, or packed. */
static void
take_types(const struct sparkplug_field *field, uint32_t types[SPARKPLUG_COLUMNS_MAX], uint32_t *count)
{
	struct cursor in = field->bytes;

	if (field->wire == WIRE_VARINT && *count < SPARKPLUG_COLUMNS_MAX)
		types[(*count)++] = (uint32_t)field->value;
	while (field->wire == WIRE_BYTES && cursor_left(&in) > 0 && *count < SPARKPLUG_COLUMNS_MAX)
		types[(*count)++] = (uint32_t)sparkplug_take_varint(&in);
}

/* A cell's value is the last of its fields; without one it is null. */
static bool
read_cell(struct record_builder *b, struct cursor in, uint32_t datatype, struct record_scalar *out)
{
	struct sparkplug_field field;

	*out = (struct record_scalar){ .kind = SCALAR_NULL };
	while (sparkplug_next(&in, &field))
		*out = sparkplug_scalar(b, field.number - CELL_VALUES, &field, datatype);
	return !in.short_read;
}

static bool
read_row(struct record_builder *b, struct record_list *rows, struct cursor in, const uint32_t types[SPARKPLUG_COLUMNS_MAX], uint32_t *left)
{
	struct cursor ahead = in;
	struct sparkplug_field field;
	struct record_scalar *cells;
	struct sparkplug_row *row;
	uint32_t count = 0, i = 0;
	bool whole = true;

	while (sparkplug_next(&ahead, &field))
		count += field.number == ROW_ELEMENTS;
	if (ahead.short_read || *left == 0 || count > *left || count > SPARKPLUG_COLUMNS_MAX)
		return !ahead.short_read;
	*left -= count > 1 ? count : 1;
	row = record_append(b, rows, sparkplug_row_tables, 0);
	cells = row == NULL ? NULL : record_reserve(b, &row->values, count, sizeof(*cells));
	while (cells != NULL && i < count && sparkplug_next(&in, &field))
		if (field.number == ROW_ELEMENTS) {
			whole = whole && read_cell(b, field.bytes, types[i], &cells[i]);
			i++;
		}
	return whole;
}

static bool
read_rows(struct record_builder *b, struct sparkplug_data_set *set, struct cursor in, const uint32_t types[SPARKPLUG_COLUMNS_MAX])
{
	uint32_t left = SPARKPLUG_CELLS_MAX;
	struct sparkplug_field field;

	while (sparkplug_next(&in, &field)) {
		if (field.number != DATA_SET_ROWS)
			continue;
		set->row_count++;
		if (!read_row(b, &set->rows, field.bytes, types, &left))
			return false;
	}
	return true;
}

bool
sparkplug_data_set_read(struct record_builder *b, struct record_list *list, struct cursor in)
{
	struct sparkplug_data_set *set = record_append(b, list, sparkplug_data_set_tables, 0);
	uint32_t types[SPARKPLUG_COLUMNS_MAX] = { 0 }, type_count = 0, i = 0;
	struct cursor ahead = in;
	struct sparkplug_field field;

	if (set == NULL)
		return false;
	while (sparkplug_next(&ahead, &field)) {
		if (field.number == DATA_SET_COUNT)
			set->num_of_columns = field.value;
		else if (field.number == DATA_SET_COLUMNS)
			put_column(b, set, &field);
		else if (field.number == DATA_SET_TYPES)
			take_types(&field, types, &type_count);
	}
	for (uint32_t at = set->columns.first; at != 0 && i < type_count; i++) {
		struct sparkplug_column *column = (void *)(b->base + at);

		column->datatype = types[i];
		record_present(&column->head, 0);
		at = column->head.next;
	}
	return !ahead.short_read && read_rows(b, set, in, types);
}

/* ---- names with values ---- */

static struct sparkplug_property *
append_property(struct record_builder *b, struct record_list *list)
{
	return list->count >= SPARKPLUG_PROPERTIES_MAX ? NULL : record_append(b, list, sparkplug_property_tables, 0);
}

static void
put_property_value(struct record_builder *b, struct sparkplug_property *out, unsigned int form, const struct sparkplug_field *field)
{
	struct record_scalar scalar = sparkplug_scalar(b, form, field, out->datatype), *room;

	if (scalar.kind == SCALAR_NULL)
		return;
	room = record_reserve(b, &out->value, 1, sizeof(*room));
	if (room == NULL)
		return;
	*room = scalar;
	record_present(&out->head, PROPERTY_HAS_VALUE);
}

static void
put_type(struct sparkplug_property *out, const struct sparkplug_field *field)
{
	out->datatype = (uint32_t)field->value;
	record_present(&out->head, PROPERTY_HAS_DATATYPE);
}

static bool
read_property(struct record_builder *b, struct sparkplug_property *out, struct cursor in)
{
	struct sparkplug_field field;

	while (sparkplug_next(&in, &field)) {
		if (field.number == PROPERTY_TYPE) {
			put_type(out, &field);
		} else if (field.number == PROPERTY_NULL) {
			out->is_null = field.value != 0;
			record_present(&out->head, PROPERTY_HAS_NULL);
		} else {
			put_property_value(b, out, field.number - PROPERTY_FIRST, &field);
		}
	}
	return !in.short_read;
}

/* Keys and values are two lists of the same order. */
bool
sparkplug_properties_read(struct record_builder *b, struct record_list *list, struct cursor in)
{
	struct cursor ahead = in;
	struct sparkplug_property *property;
	struct sparkplug_field field;
	uint32_t at;

	while (sparkplug_next(&ahead, &field)) {
		property = field.number == PROPERTY_KEYS ? append_property(b, list) : NULL;
		if (property != NULL)
			sparkplug_put_bytes(b, &property->name, &field);
	}
	if (ahead.short_read)
		return false;
	at = list->first;
	while (at != 0 && sparkplug_next(&in, &field)) {
		if (field.number != PROPERTY_VALUES)
			continue;
		property = (void *)(b->base + at);
		if (!read_property(b, property, field.bytes))
			return false;
		at = property->head.next;
	}
	return true;
}

static bool
read_parameter(struct record_builder *b, struct record_list *list, struct cursor in)
{
	struct sparkplug_property *out = append_property(b, list);
	struct sparkplug_field field;

	if (out == NULL)
		return true;
	while (sparkplug_next(&in, &field)) {
		if (field.number == PARAMETER_NAME)
			sparkplug_put_bytes(b, &out->name, &field);
		else if (field.number == PARAMETER_TYPE)
			put_type(out, &field);
		else
			put_property_value(b, out, field.number - PARAMETER_VALUES, &field);
	}
	return !in.short_read;
}

/* ---- templates ---- */

/* Where the metrics of a template go: those of an inner one to the outermost's list, with the names around them. */
static struct sparkplug_place
place_inside(const struct sparkplug_place *outer, struct sparkplug_template *template, const struct record_builder *b,
	const struct sparkplug_metric *metric)
{
	struct sparkplug_place place = *outer;
	uint32_t sep = place.within_len > 0;

	place.depth++;
	if (outer->depth == 0) {
		place.metrics = &template->metrics;
		place.tables = sparkplug_member_tables;
	} else if (metric->name.count + sep <= sizeof(place.within) - place.within_len) {
		if (sep != 0)
			place.within[place.within_len++] = '/';
		memcpy(place.within + place.within_len, b->base + metric->name.off, metric->name.count);
		place.within_len += metric->name.count;
	}
	return place;
}

static bool
read_template_field(struct mqtt_pdu *pdu, struct sparkplug_template *out, const struct sparkplug_field *field, const struct sparkplug_place *place)
{
	struct record_builder *b = pdu->ctx->record;

	if (field->number == TEMPLATE_VERSION) {
		sparkplug_put_bytes(b, &out->version, field);
		record_present(&out->head, TEMPLATE_HAS_VERSION);
	} else if (field->number == TEMPLATE_REF) {
		sparkplug_put_bytes(b, &out->template_ref, field);
		record_present(&out->head, TEMPLATE_HAS_REF);
	} else if (field->number == TEMPLATE_DEFINITION) {
		out->is_definition = field->value != 0;
		record_present(&out->head, TEMPLATE_HAS_DEFINITION);
	} else if (field->number == TEMPLATE_PARAMETERS) {
		record_present(&out->head, TEMPLATE_HAS_PARAMETERS);
		return read_parameter(b, &out->parameters, field->bytes);
	} else if (field->number == TEMPLATE_METRICS) {
		record_present(&out->head, TEMPLATE_HAS_METRICS);
		return sparkplug_metric_read(pdu, field->bytes, place);
	}
	return true;
}

bool
sparkplug_template_read(struct mqtt_pdu *pdu, struct sparkplug_metric *metric, struct cursor in, const struct sparkplug_place *outer)
{
	struct record_builder *b = pdu->ctx->record;
	struct sparkplug_template *out;
	struct sparkplug_place place;
	struct sparkplug_field field;

	if (outer->depth >= SPARKPLUG_DEPTH_MAX)
		return false;
	out = record_append(b, &metric->compound, outer->depth == 0 ? sparkplug_template_tables : sparkplug_inner_template_tables, 0);
	if (out == NULL)
		return false;
	place = place_inside(outer, out, b, metric);
	while (sparkplug_next(&in, &field))
		if (!read_template_field(pdu, out, &field, &place))
			return false;
	return !in.short_read;
}

/* ---- metadata ---- */

bool
sparkplug_metadata_read(struct record_builder *b, struct record_list *list, struct cursor in)
{
	static const uint16_t texts[] = { [METADATA_CONTENT_TYPE] = offsetof(struct sparkplug_metadata, content_type),
		[METADATA_FILE_NAME] = offsetof(struct sparkplug_metadata, file_name),
		[METADATA_FILE_TYPE] = offsetof(struct sparkplug_metadata, file_type), [METADATA_MD5] = offsetof(struct sparkplug_metadata, md5),
		[METADATA_DESCRIPTION] = offsetof(struct sparkplug_metadata, description) };
	struct sparkplug_metadata *out = record_append(b, list, sparkplug_metadata_tables, 0);
	struct sparkplug_field field;

	while (out != NULL && sparkplug_next(&in, &field)) {
		if (field.number > METADATA_DESCRIPTION)
			continue;
		if (field.number == METADATA_MULTI_PART)
			out->is_multi_part = field.value != 0;
		else if (field.number == METADATA_SIZE)
			out->size = field.value;
		else if (field.number == METADATA_SEQ)
			out->seq = field.value;
		else
			sparkplug_put_bytes(b, (struct record_ref *)((uint8_t *)out + texts[field.number]), &field);
		record_present(&out->head, (uint8_t)(field.number - 1));
	}
	return out != NULL && !in.short_read;
}
