/* From a group for each port to pages of ports, of which equal ones are one. */
#include <errno.h>
#include <string.h>

#include "lib/rule/rule_internal.h"

static bool
page_is_one(const uint16_t *page)
{
	for (unsigned int i = 1; i < RULE_PORT_PAGE; i++)
		if (page[i] != page[0])
			return false;
	return true;
}

int
rule_port_map_make(struct rule_arena *arena, const uint16_t *by_port, const struct rule_port_map **out)
{
	struct rule_port_map *map = rule_arena_alloc(arena, sizeof(*map));
	unsigned int count = 0, kept[RULE_PORT_PAGES];

	if (map == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < RULE_PORT_PAGES; i++) {
		const uint16_t *page = &by_port[i * RULE_PORT_PAGE];
		unsigned int at = 0;

		map->group_of[i] = page[0];
		if (page_is_one(page))
			continue;
		while (at < count && memcmp(&by_port[kept[at] * RULE_PORT_PAGE], page, RULE_PORT_PAGE * sizeof(*page)) != 0)
			at++;
		if (at == count)
			kept[count++] = i;
		map->group_of[i] = (uint16_t)(RULE_PORT_MIXED + at);
	}
	uint16_t (*pages)[RULE_PORT_PAGE] = rule_arena_alloc(arena, count > 0 ? count * sizeof(pages[0]) : 1);

	if (pages == NULL)
		return -ENOMEM;
	for (unsigned int at = 0; at < count; at++)
		memcpy(pages[at], &by_port[kept[at] * RULE_PORT_PAGE], sizeof(pages[at]));
	map->pages = (const uint16_t (*)[RULE_PORT_PAGE])pages;
	*out = map;
	return 0;
}
