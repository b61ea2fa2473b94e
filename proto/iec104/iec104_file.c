/*
 * File transfer followed through: announced and counted lengths, checksums of sections and of
 * the file (60870-5-101 7.3.6, 7.4.11). One file at a time.
 */
#include "proto/iec104/iec104.h"

/* Qualifiers of the last section or segment, 60870-5-101 7.2.6.31: 1 and 2 end a file, 3 and 4 a section. */
enum { FILE_LAST_MAX = 2, SECTION_LAST_MAX = 4 };

static void
file_ready(struct iec104_file *file, const struct iec104_object_file *object)
{
	*file = (struct iec104_file){ .nof = object->nof, .length = object->length, .known = true };
}

static void
section_ready(struct proto_ctx *ctx, struct iec104_file *file, const struct iec104_object_file *object)
{
	if (file->known && file->nof != object->nof) {
		proto_event(ctx, IEC104_EVENT_FILE_OUT_OF_SEQUENCE);
		*file = (struct iec104_file){ .nof = object->nof };
	}
	file->nof = object->nof;
	file->nos = object->nos;
	file->section_length = object->length;
	file->section_octets = 0;
	file->section_sum = 0;
	file->section_known = true;
}

static void
segment(struct proto_ctx *ctx, struct iec104_file *file, const struct iec104_object_file *object)
{
	struct cursor in = cursor_of(ctx->record->base + object->data.off, object->data.count);

	if (file->section_known && (file->nof != object->nof || file->nos != object->nos)) {
		proto_event(ctx, IEC104_EVENT_FILE_OUT_OF_SEQUENCE);
		file->section_known = false;
		file->known = false;
	}
	file->octets += object->data.count;
	file->section_octets += object->data.count;
	file->segments++;
	while (cursor_left(&in) > 0) {
		uint8_t octet = cursor_u8(&in);

		file->sum = (uint8_t)(file->sum + octet);
		file->section_sum = (uint8_t)(file->section_sum + octet);
	}
}

static void
check(struct proto_ctx *ctx, bool length_agrees, bool checksum_agrees)
{
	if (!length_agrees)
		proto_event(ctx, IEC104_EVENT_FILE_LENGTH_MISMATCH);
	if (!checksum_agrees)
		proto_event(ctx, IEC104_EVENT_FILE_CHECKSUM_MISMATCH);
}

static void
last(struct proto_ctx *ctx, struct iec104_file *file, const struct iec104_object_file *object)
{
	uint8_t qualifier = object->at.octet;

	if (qualifier > FILE_LAST_MAX && qualifier <= SECTION_LAST_MAX && file->section_known) {
		check(ctx, file->section_octets == file->section_length, file->section_sum == object->chs);
		file->section_known = false;
	} else if (qualifier >= 1 && qualifier <= FILE_LAST_MAX && file->known) {
		check(ctx, file->octets == file->length, file->sum == object->chs);
		file->known = false;
	}
}

void
iec104_file_follow(struct proto_ctx *ctx, const struct iec104_asdu *asdu, struct iec104_record *record,
	const struct iec104_object_file *object)
{
	struct iec104_file *file = &((struct iec104_state *)ctx->state)->file;

	switch (asdu->type_id) {
	case IEC104_F_FR_NA_1:
		file_ready(file, object);
		return;
	case IEC104_F_SR_NA_1:
		section_ready(ctx, file, object);
		return;
	case IEC104_F_SG_NA_1:
		segment(ctx, file, object);
		break;
	case IEC104_F_LS_NA_1:
		last(ctx, file, object);
		break;
	default:
		return;
	}
	record->file_octets = file->octets;
	record->file_segments = file->segments;
	record_present(&record->head, IEC104_HAS_FILE);
}
