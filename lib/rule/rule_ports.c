/* From a group for each port to pages of ports, of which equal ones are one. */
#include <errno.h>
#include <string.h>

#include "lib/rule/rule_internal.h"

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

		while (at < count && memcmp(&by_port[kept[at] * RULE_PORT_PAGE], page, RULE_PORT_PAGE * sizeof(*page)) != 0)
			at++;
		if (at == count)
			kept[count++] = i;
		map->page_of[i] = (uint8_t)at;
	}
	map->pages = rule_arena_alloc(arena, count * sizeof(map->pages[0]));
	if (map->pages == NULL)
		return -ENOMEM;
	for (unsigned int at = 0; at < count; at++)
		memcpy(map->pages[at], &by_port[kept[at] * RULE_PORT_PAGE], sizeof(map->pages[at]));
	*out = map;
	return 0;
}
