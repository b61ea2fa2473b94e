/* Cold: writes the search of a protocol and direction from the places of its rules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_places.h"
#include "lib/rule/rule_sieve_make.h"

/** What is being written. */
struct make {
	struct rule_places places;
	struct rule_records *out;
	struct rule_entry *entries;
	uint32_t entry_count;
	struct rule_value_link *links;
	uint32_t link_count;
};

uint16_t
rule_mute_bit(struct rule *rule, bool to_server, uint16_t *count)
{
	if ((rule->flags & RULE_MAY_MUTE) != 0 && *count < RULE_MUTE_BITS)
		rule->mute_bit[to_server] = (*count)++;
	return rule->mute_bit[to_server];
}

static uint32_t
entry_write(struct make *make, const struct rule_place *place)
{
	struct rule *rule = make->places.set->rules[place->rule_idx];

	make->entries[make->entry_count] = (struct rule_entry){ .need = place->need, .rule_idx = place->rule_idx,
		.quick_count = place->quick_count, .quicks = place->quicks,
		.mute_bit = rule_mute_bit(rule, make->places.to_server, &make->out->mute_count) };
	return make->entry_count++;
}

static struct rule_value_index *
index_find(struct rule_value_index *indexes, uint32_t *count, const struct rule_place_number *number)
{
	struct rule_value_index *index;

	for (uint32_t i = 0; i < *count; i++) {
		const struct rule_place_number have = { indexes[i].path, indexes[i].at };

		if (rule_place_number_compare(&have, number) == 0)
			return &indexes[i];
	}
	index = &indexes[(*count)++];
	index->path = number->path;
	index->at = number->at;
	if (number->path != NULL)
		rule_need_paths(number->path, 1, &index->need);
	return index;
}

static uint32_t
indexes_needed(const struct make *make, uint32_t *links)
{
	uint32_t count = 0;

	*links = 1;
	for (uint32_t i = 0; i < make->places.place_count; i++) {
		const struct rule_place *place = &make->places.places[i];
		bool known = place->kind != PLACE_INDEX;

		*links += known ? 0 : place->value_count;
		for (uint32_t n = 0; n < i && !known; n++)
			known = make->places.places[n].kind == PLACE_INDEX
				&& rule_place_number_compare(&make->places.places[n].number, &place->number) == 0;
		count += !known;
	}
	return count;
}

static void
links_write(struct make *make, const struct rule_place *place, uint32_t first[256])
{
	uint32_t entry = entry_write(make, place);

	for (unsigned int v = 0; v < place->value_count; v++) {
		uint32_t *head = &first[place->values[v] & 0xff];

		make->links[++make->link_count] = (struct rule_value_link){ (uint64_t)place->values[v], entry, *head };
		*head = make->link_count;
	}
}

static int
indexes_write(struct make *make)
{
	uint32_t link_count, index_count = 0;
	uint32_t needed = indexes_needed(make, &link_count);
	struct rule_value_index *indexes = rule_arena_alloc(&make->places.set->arena, (needed + 1) * sizeof(*indexes));

	make->links = rule_arena_alloc(&make->places.set->arena, link_count * sizeof(*make->links));
	if (indexes == NULL || make->links == NULL)
		return -ENOMEM;
	for (uint32_t i = make->places.place_count; i-- > 0;) {
		const struct rule_place *place = &make->places.places[i];

		if (place->kind == PLACE_INDEX)
			links_write(make, place, index_find(indexes, &index_count, &place->number)->first);
	}
	make->out->indexes = indexes;
	make->out->index_count = index_count;
	make->out->links = make->links;
	return 0;
}

/* The literals of all rules that are found by one buffer. */
static int
scan_write(struct make *make, uint32_t buffer, struct rule_scan *scan)
{
	struct rule_patterns patterns = { 0 };
	int ret = 0;

	*scan = (struct rule_scan){ .buffer = make->places.buffers[buffer].buffer };
	if (scan->buffer->kind == BUFFER_FIELD)
		rule_need_paths(scan->buffer->paths, scan->buffer->path_count, &scan->need);
	for (uint32_t i = 0; i < make->places.place_count && ret == 0; i++) {
		const struct rule_place *place = &make->places.places[i];

		if (place->kind == PLACE_SCAN && place->buffer == buffer)
			ret = rule_patterns_add(&patterns, &place->literal, entry_write(make, place));
	}
	if (ret == 0)
		ret = rule_database_add(make->places.set, &patterns, &scan->database);
	rule_patterns_free(&patterns);
	return ret;
}

static int
scans_write(struct make *make)
{
	struct rule_scan *scans = rule_arena_alloc(&make->places.set->arena, (make->places.buffer_count + 1) * sizeof(*scans));
	uint32_t count = 0;

	for (uint32_t i = 0; scans != NULL && i < make->places.buffer_count; i++) {
		if (make->places.buffers[i].count == 0)
			continue;
		if (scan_write(make, i, &scans[count]) != 0)
			return -ENOMEM;
		count++;
	}
	make->out->scan_count = count;
	make->out->scans = scans;
	return scans == NULL ? -ENOMEM : 0;
}

/* A rule's bit in the first sieve is that by which it is muted. The others are asked one by one. */
static void
sieve_mute(struct make *make, struct rule_sieve *sieve)
{
	struct rule **rules = make->places.set->rules;

	for (uint32_t bit = 0; bit < sieve->rule_count; bit++) {
		struct rule_entry *entry = &make->entries[make->entry_count + bit];

		if (sieve == make->out->sieves && (rules[entry->rule_idx]->flags & RULE_MAY_MUTE) != 0)
			rules[entry->rule_idx]->mute_bit[make->places.to_server] = (uint16_t)bit;
		else if (sieve != make->out->sieves)
			entry->mute_bit = rule_mute_bit(rules[entry->rule_idx], make->places.to_server, &make->out->mute_count);
	}
	if (sieve == make->out->sieves)
		make->out->mute_count = (uint16_t)sieve->rule_count;
	sieve->may_mute = sieve == make->out->sieves;
}

/* The rules that are in no other place, in their order, a sieve after the other. */
static int
sieves_write(struct make *make)
{
	const struct rule_place **list = calloc(make->places.place_count + 1, sizeof(const struct rule_place *));
	uint32_t count = 0, done = 0;
	int ret = list == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; ret == 0 && i < make->places.place_count; i++)
		if (make->places.places[i].kind == PLACE_SIEVE)
			list[count++] = &make->places.places[i];
	if (ret == 0)
		make->out->sieves = rule_arena_alloc(&make->places.set->arena, (count / RULE_SIEVE_BITS + 1) * sizeof(struct rule_sieve));
	if (make->out->sieves == NULL)
		ret = -ENOMEM;
	while (ret == 0 && done < count) {
		uint32_t part = count - done < RULE_SIEVE_BITS ? count - done : RULE_SIEVE_BITS;

		ret = rule_sieve_make(&make->places, &list[done], part, &make->entries[make->entry_count],
			&make->out->sieves[make->out->sieve_count]);
		sieve_mute(make, &make->out->sieves[make->out->sieve_count++]);
		make->entry_count += part;
		done += part;
	}
	free(list);
	return ret;
}

int
rule_records_make(struct ruleset *set, const struct rule_app *app, bool to_server, const uint32_t *list, uint32_t count,
	const struct rule_records **out)
{
	struct make make = { .places = { .set = set, .app = app, .to_server = to_server } };
	int ret = -ENOMEM;

	make.out = rule_arena_alloc(&set->arena, sizeof(*make.out));
	make.entries = rule_arena_alloc(&set->arena, (count + 1) * sizeof(*make.entries));
	make.places.places = calloc(count + 1, sizeof(*make.places.places));
	if (make.out != NULL && make.entries != NULL && make.places.places != NULL)
		ret = rule_places_find(&make.places, list, count);
	if (ret == 0)
		ret = sieves_write(&make);
	if (ret == 0)
		ret = indexes_write(&make);
	if (ret == 0)
		ret = scans_write(&make);
	free(make.places.places);
	free(make.places.uses);
	free(make.places.buffers);
	if (ret != 0)
		return ret;
	make.out->entries = make.entries;
	make.out->entry_count = make.entry_count;
	*out = make.out;
	return 0;
}
