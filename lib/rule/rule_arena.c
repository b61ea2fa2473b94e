#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_internal.h"

enum { ARENA_BLOCK_LEN = 256 * 1024, ARENA_ALIGN = 16 };

struct rule_arena_block {
	struct rule_arena_block *next;
	_Alignas(ARENA_ALIGN) uint8_t data[];
};

void *
rule_arena_alloc(struct rule_arena *arena, size_t len)
{
	size_t need = (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);

	if (arena->blocks == NULL || need > arena->size - arena->used) {
		size_t size = need > ARENA_BLOCK_LEN ? need : ARENA_BLOCK_LEN;
		struct rule_arena_block *block = calloc(1, sizeof(*block) + size);

		if (block == NULL)
			return NULL;
		block->next = arena->blocks;
		arena->blocks = block;
		arena->used = 0;
		arena->size = size;
	}
	void *at = arena->blocks->data + arena->used;

	arena->used += need;
	return at;
}

void *
rule_arena_copy(struct rule_arena *arena, const void *data, size_t len)
{
	void *at = rule_arena_alloc(arena, len > 0 ? len : 1);

	if (at != NULL && len > 0)
		memcpy(at, data, len);
	return at;
}

char *
rule_arena_text(struct rule_arena *arena, const char *text, size_t len)
{
	char *at = rule_arena_alloc(arena, len + 1);

	if (at != NULL)
		memcpy(at, text, len);
	return at;
}

void
rule_arena_free(struct rule_arena *arena)
{
	while (arena->blocks != NULL) {
		struct rule_arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	*arena = (struct rule_arena){ 0 };
}
