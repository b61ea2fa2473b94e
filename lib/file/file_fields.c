#include "lib/file/file.h"

enum file_bit { HAS_FILENAME, HAS_HASHES };

#define AT(member) offsetof(struct file_record, member)

/* Keys are Suricata's. */
static const struct field fields[] = {
	{ "filename", FIELD_STRING, HAS_FILENAME, 0, AT(filename), NULL, NULL, "",
		"as the protocol says it; of HTTP the Content-Disposition's, else the path of the target" },
	{ "gaps", FIELD_BOOL, FIELD_ALWAYS, 0, AT(gaps), NULL, NULL, "", "bytes of it were lost" },
	{ "state", FIELD_TEXT, FIELD_ALWAYS, 0, AT(state), NULL, NULL, "", "CLOSED: all of it was seen; TRUNCATED: not" },
	{ "md5", FIELD_HEX, HAS_HASHES + FILE_MD5, 0, AT(hashes[FILE_MD5]), NULL, NULL, "RFC 1321", "where files.md5 or a rule asks for it" },
	{ "sha1", FIELD_HEX, HAS_HASHES + FILE_SHA1, 0, AT(hashes[FILE_SHA1]), NULL, NULL, "FIPS 180-4", "where files.sha1 or a rule asks for it" },
	{ "sha256", FIELD_HEX, HAS_HASHES + FILE_SHA256, 0, AT(hashes[FILE_SHA256]), NULL, NULL, "FIPS 180-4",
		"where files.sha256 or a rule asks for it" },
	{ "stored", FIELD_BOOL, FIELD_ALWAYS, 0, AT(stored), NULL, NULL, "", "false: files are not written to disk here" },
	{ "size", FIELD_U64, FIELD_ALWAYS, 0, AT(size), NULL, NULL, "", "bytes, decoded, lost ones among them" },
	{ "tx_id", FIELD_U32, FIELD_ALWAYS, 0, AT(tx_id), NULL, NULL, "", "the transaction's number in its flow, from 0 on" },
};
const struct record_table fileinfo_table = { "fileinfo", fields, sizeof(fields) / sizeof(fields[0]), sizeof(struct file_record) };

void
file_record_fill(const struct file *file, struct record_builder *builder)
{
	static const char *const states[] = { [FILE_OPEN] = "UNKNOWN", [FILE_CLOSED] = "CLOSED", [FILE_TRUNCATED] = "TRUNCATED" };
	struct file_record *record = record_begin(builder, &fileinfo_table);

	record->state = states[file->state];
	record->size = file->size;
	record->tx_id = file->tx_id;
	record->gaps = file->gaps;
	if (file->name_len > 0) {
		record_put_bytes(builder, &record->filename, file->name, file->name_len);
		record_present(&record->head, HAS_FILENAME);
	}
	for (unsigned int i = 0; file->state == FILE_CLOSED && i < FILE_HASH_COUNT; i++) {
		if ((file->hashes >> i & 1) == 0)
			continue;
		record_put_bytes(builder, &record->hashes[i], file->digests[i], file_hash_lens[i]);
		record_present(&record->head, (uint8_t)(HAS_HASHES + i));
	}
}
