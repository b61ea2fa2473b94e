#include "lib/packet/piece.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct piece_block {
	uint32_t refs;
	uint32_t size;  /* as asked of the slab */
	uint64_t start; /* position of data[0] */
	uint8_t data[];
};

const char *const piece_policy_names[PIECE_POLICY_COUNT + 1] = {
	"first", "last", "bsd", "linux", "windows", "solaris", NULL,
};

static const struct {
	const char *name;
	uint8_t policy;
} host_names[] = {
	{ "bsd", PIECE_BSD },
	{ "bsd-right", PIECE_LAST },
	{ "first", PIECE_FIRST },
	{ "hpux10", PIECE_SOLARIS },
	{ "hpux11", PIECE_FIRST },
	{ "irix", PIECE_BSD },
	{ "last", PIECE_LAST },
	{ "linux", PIECE_LINUX },
	{ "macos", PIECE_FIRST },
	{ "old-linux", PIECE_LINUX },
	{ "old-solaris", PIECE_SOLARIS },
	{ "solaris", PIECE_SOLARIS },
	{ "vista", PIECE_FIRST },
	{ "windows", PIECE_WINDOWS },
	{ "windows2k3", PIECE_WINDOWS },
};

int
piece_policy_find(const char *name)
{
	for (size_t i = 0; i < sizeof(host_names) / sizeof(host_names[0]); i++)
		if (strcmp(host_names[i].name, name) == 0)
			return host_names[i].policy;
	return -EINVAL;
}

static bool
wins_first(const struct piece *old, uint64_t start, uint64_t end)
{
	return false;
}

static bool
wins_last(const struct piece *old, uint64_t start, uint64_t end)
{
	return true;
}

static bool
wins_bsd(const struct piece *old, uint64_t start, uint64_t end)
{
	return start < old->first;
}

static bool
wins_linux(const struct piece *old, uint64_t start, uint64_t end)
{
	return start <= old->first;
}

static bool
wins_windows(const struct piece *old, uint64_t start, uint64_t end)
{
	return start < old->first && end > old->last;
}

static bool
wins_solaris(const struct piece *old, uint64_t start, uint64_t end)
{
	return start < old->first && end >= old->last;
}

/** Whether an arrival [start, end) takes the bytes it shares with an earlier one. */
static bool (*const new_wins[PIECE_POLICY_COUNT])(const struct piece *old, uint64_t start, uint64_t end) = {
	[PIECE_FIRST] = wins_first,
	[PIECE_LAST] = wins_last,
	[PIECE_BSD] = wins_bsd,
	[PIECE_LINUX] = wins_linux,
	[PIECE_WINDOWS] = wins_windows,
	[PIECE_SOLARIS] = wins_solaris,
};

const uint8_t *
piece_data(const struct piece *piece)
{
	return piece->block->data + (piece->start - piece->block->start);
}

static struct piece *
piece_make(struct piece_list *list, struct slab *slab, const struct piece *model, uint64_t start, uint64_t end)
{
	struct piece *piece = slab_alloc(slab, sizeof(*piece));

	if (piece == NULL)
		return NULL;
	*piece = *model;
	piece->start = start;
	piece->end = end;
	piece->block->refs++;
	list->count++;
	return piece;
}

static void
block_release(struct piece_list *list, struct slab *slab, struct piece_block *block)
{
	if (--block->refs > 0)
		return;
	list->bytes -= block->size;
	slab_free(slab, block, block->size);
}

static void
piece_free(struct piece_list *list, struct slab *slab, struct piece *piece)
{
	block_release(list, slab, piece->block);
	slab_free(slab, piece, sizeof(*piece));
	list->count--;
}

void
piece_pop(struct piece_list *list, struct slab *slab)
{
	struct piece *piece = list->head;

	list->head = piece->next;
	if (list->head == NULL)
		list->tail = NULL;
	piece_free(list, slab, piece);
}

void
piece_clear(struct piece_list *list, struct slab *slab)
{
	while (list->head != NULL)
		piece_pop(list, slab);
}

/** Puts a piece behind prev (NULL: first). */
static void
piece_link(struct piece_list *list, struct piece *prev, struct piece *piece)
{
	struct piece **link = prev == NULL ? &list->head : &prev->next;

	piece->next = *link;
	*link = piece;
	if (piece->next == NULL)
		list->tail = piece;
}

/** Takes [start, end) away from an old piece, which may vanish or be split. @return the piece before the hole, or
 *  prev; *failed when memory for the right part was lacking. */
static struct piece *
piece_carve(struct piece_list *list, struct slab *slab, struct piece *prev, struct piece *old, uint64_t start,
	uint64_t end, bool *failed)
{
	bool left = old->start < start;

	if (old->end > end && left) {
		struct piece *right = piece_make(list, slab, old, end, old->end);

		if (right == NULL)
			*failed = true;
		else
			piece_link(list, old, right);
		old->end = start;
		return old;
	}
	if (left) {
		old->end = start;
		return old;
	}
	if (old->end > end) {
		old->start = end;
		return prev;
	}
	if (prev == NULL)
		list->head = old->next;
	else
		prev->next = old->next;
	if (list->tail == old)
		list->tail = prev;
	piece_free(list, slab, old);
	return prev;
}

static struct piece_block *
block_make(struct piece_list *list, struct slab *slab, uint64_t start, const uint8_t *data, uint32_t len)
{
	uint32_t size = (uint32_t)sizeof(struct piece_block) + len;
	struct piece_block *block = slab_alloc(slab, size);

	if (block == NULL)
		return NULL;
	block->refs = 1; /* the caller's, until the insertion is done */
	block->size = size;
	block->start = start;
	memcpy(block->data, data, len);
	list->bytes += size;
	return block;
}

unsigned int
piece_insert(struct piece_list *list, struct slab *slab, enum piece_policy policy, uint64_t start,
	const uint8_t *data, uint32_t len, uint32_t mark)
{
	struct piece model = { .start = start, .end = start + len, .first = start, .last = start + len, .mark = mark };
	struct piece *prev = list->tail != NULL && list->tail->end <= start ? list->tail : NULL;
	struct piece *old = prev != NULL ? NULL : list->head;
	unsigned int result = 0;
	uint64_t at = start;
	bool failed = false;

	model.block = block_make(list, slab, start, data, len);
	if (model.block == NULL)
		return PIECE_NO_MEMORY;
	for (; old != NULL && old->end <= start; old = old->next)
		prev = old;
	while (at < model.end && !failed) {
		uint64_t hole_end = old == NULL || old->start > model.end ? model.end : old->start;
		uint64_t shared_end;

		if (at < hole_end) {
			struct piece *piece = piece_make(list, slab, &model, at, hole_end);

			if (piece == NULL) {
				failed = true;
				break;
			}
			piece_link(list, prev, piece);
			prev = piece;
			at = hole_end;
			continue;
		}
		/* at lies inside old */
		shared_end = old->end < model.end ? old->end : model.end;
		result |= PIECE_OVERLAP;
		if (memcmp(piece_data(old) + (at - old->start), data + (at - start), shared_end - at) != 0)
			result |= PIECE_DIFFERENT;
		if (new_wins[policy](old, model.first, model.last)) {
			prev = piece_carve(list, slab, prev, old, at, shared_end, &failed);
			struct piece *piece = failed ? NULL : piece_make(list, slab, &model, at, shared_end);

			if (piece == NULL) {
				failed = true;
				break;
			}
			piece_link(list, prev, piece);
			prev = piece;
		} else {
			prev = old;
		}
		at = shared_end;
		old = prev->next;
	}
	block_release(list, slab, model.block);
	return result | (failed ? PIECE_NO_MEMORY : 0);
}
