/* Blocks: their names, lists of them, what a block says of itself. */
#include "proto/s7comm/s7comm.h"

#include "lib/base/hex.h"

enum {
	FILENAME_LEN = 9,      /* '_', type, number, file system */
	PI_BLOCK_LEN = 8,      /* type, number, file system */
	LIST_ENTRY_LEN = 4,
	TEXT_LEN = 8,
};

uint8_t
s7_hex_pair(struct cursor *in)
{
	int high = hex_digit(cursor_u8(in)), low = hex_digit(cursor_u8(in));

	return (uint8_t)((high < 0 ? 0 : high) << 4 | (low < 0 ? 0 : low));
}

bool
s7_digits(struct cursor *in, unsigned int count, uint32_t *out)
{
	uint32_t value = 0;
	bool valid = count > 0;

	for (unsigned int i = 0; i < count; i++) {
		uint8_t digit = cursor_u8(in);

		valid = valid && digit >= '0' && digit <= '9';
		value = value * 10 + (digit - '0');
	}
	if (!valid || in->short_read)
		return false;
	*out = value;
	return true;
}

void
s7_read_filename(struct s7_message *message, const uint8_t *name, uint32_t len)
{
	struct s7_record *record = message->record;
	struct cursor in = cursor_of(name, len);

	record_put_bytes(message->ctx->record, &record->filename, name, len);
	cursor_skip(&in, 1);
	record->block_type = s7_hex_pair(&in);
	if (len == FILENAME_LEN && s7_digits(&in, 5, &record->block_number))
		record->filesystem = cursor_u8(&in);
	s7_has(message, S7_HAS_FILE);
	s7_has(message, S7_HAS_BLOCK_TYPE);
}

static struct s7_block *
append_block(struct s7_message *message, struct record_list *list, enum s7_bit bit)
{
	s7_has(message, bit);
	return record_append(message->ctx->record, list, s7_block_tables, 0);
}

static void
block_has(struct s7_block *block, enum s7_block_bit bit)
{
	record_present(&block->head, (uint8_t)bit);
}

/* How many, an octet, then a type, number and file system each. */
void
s7_read_pi_blocks(struct s7_message *message, struct cursor *in)
{
	unsigned int count = cursor_u8(in);

	cursor_skip(in, 1);
	for (unsigned int i = 0; i < count && cursor_left(in) >= PI_BLOCK_LEN; i++) {
		struct s7_block *block = append_block(message, &message->record->pi_blocks, S7_HAS_PI_BLOCKS);

		if (block == NULL)
			return;
		block->type = s7_hex_pair(in);
		block_has(block, S7_BLOCK_TYPE);
		if (s7_digits(in, 5, &block->number))
			block_has(block, S7_BLOCK_NUMBER);
		block->filesystem = cursor_u8(in);
		block_has(block, S7_BLOCK_FILESYSTEM);
	}
}

/* Blocks of each type: "0A", how many. */
static void
read_counts(struct s7_message *message, struct cursor *in)
{
	for (unsigned int i = 0; i < S7_ENTRIES_MAX && cursor_left(in) >= LIST_ENTRY_LEN; i++) {
		struct s7_block *block = append_block(message, &message->record->blocks, S7_HAS_BLOCKS);

		if (block == NULL)
			return;
		block->type = s7_hex_pair(in);
		block->count = cursor_be16(in);
		block_has(block, S7_BLOCK_TYPE);
		block_has(block, S7_BLOCK_COUNT);
	}
}

static void
read_numbers(struct s7_message *message, struct cursor *in)
{
	for (unsigned int i = 0; i < S7_ENTRIES_MAX && cursor_left(in) >= LIST_ENTRY_LEN; i++) {
		struct s7_block *block = append_block(message, &message->record->blocks, S7_HAS_BLOCKS);

		if (block == NULL)
			return;
		block->number = cursor_be16(in);
		block->flags = cursor_u8(in);
		block->language = cursor_u8(in);
		block_has(block, S7_BLOCK_NUMBER);
		block_has(block, S7_BLOCK_LANGUAGE);
	}
}

static void
put_text(struct s7_message *message, struct record_ref *ref, struct cursor *in)
{
	const uint8_t *text = cursor_take(in, TEXT_LEN);
	uint32_t len = TEXT_LEN;

	while (text != NULL && len > 0 && (text[len - 1] == 0 || text[len - 1] == ' '))
		len--;
	if (text != NULL)
		record_put_bytes(message->ctx->record, ref, text, len);
}

/* The head of a block as it stands in load memory, behind eight octets that frame it. */
static void
read_info(struct s7_message *message, struct cursor *in)
{
	struct s7_block *block = append_block(message, &message->record->blocks, S7_HAS_BLOCKS);

	if (block == NULL)
		return;
	cursor_skip(in, 9);
	block->flags = cursor_u8(in);
	block->language = cursor_u8(in);
	block->type = cursor_u8(in);
	block->number = cursor_be16(in);
	block->load_length = cursor_be32(in);
	block->security = cursor_be32(in);
	block->code_ns = s7_read_stamp(in);
	block->interface_ns = s7_read_stamp(in);
	cursor_skip(in, 4);
	block->local_length = cursor_be16(in);
	block->code_length = cursor_be16(in);
	put_text(message, &block->author, in);
	put_text(message, &block->family, in);
	put_text(message, &block->name, in);
	block->version = cursor_u8(in);
	cursor_skip(in, 1);
	block->checksum = cursor_be16(in);
	if (in->short_read)
		return;
	block_has(block, S7_BLOCK_TYPE);
	block_has(block, S7_BLOCK_NUMBER);
	block_has(block, S7_BLOCK_LANGUAGE);
	block_has(block, S7_BLOCK_INFO);
}

static void
read_info_request(struct s7_message *message, struct cursor *in)
{
	struct s7_block *block = append_block(message, &message->record->blocks, S7_HAS_BLOCKS);

	if (block == NULL)
		return;
	block->type = s7_hex_pair(in);
	block_has(block, S7_BLOCK_TYPE);
	if (!s7_digits(in, 5, &block->number))
		return;
	block_has(block, S7_BLOCK_NUMBER);
	block->filesystem = cursor_u8(in);
	block_has(block, S7_BLOCK_FILESYSTEM);
}

static void
read_type(struct s7_message *message, struct cursor *in)
{
	message->record->block_type = s7_hex_pair(in);
	s7_has(message, S7_HAS_BLOCK_TYPE);
}

void
s7_read_block_functions(struct s7_message *message, struct cursor *in)
{
	static void (*const requests[])(struct s7_message *, struct cursor *) = { NULL, NULL, read_type, read_info_request };
	static void (*const answers[])(struct s7_message *, struct cursor *) = { NULL, read_counts, read_numbers, read_info };
	uint8_t subfunction = message->record->subfunction;

	if (subfunction >= sizeof(answers) / sizeof(answers[0]))
		return;
	if (message->half->kind == S7_KIND_REQUEST) {
		if (requests[subfunction] != NULL && cursor_left(in) > 0)
			requests[subfunction](message, in);
		return;
	}
	/* What was asked stands before what is answered; the answer is the fuller. */
	if (answers[subfunction] != NULL && cursor_left(in) > 0) {
		memset(&message->record->blocks, 0, sizeof(message->record->blocks));
		answers[subfunction](message, in);
	}
}
