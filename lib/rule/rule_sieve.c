/* Hot: what a record leaves of a sieve's rules. */
#include "lib/rule/rule_find.h"
#include "lib/rule/rule_mute.h"
#include "lib/rule/rule_sieve.h"

/** One lens looking at one record. */
struct look {
	struct rule_view *view;
	const struct rule_lens *lens;
	uint32_t words;
	uint64_t keep[RULE_SIEVE_WORDS];
};

static inline void
sets_or(uint64_t *to, const uint64_t *from, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		to[w] |= from[w];
}

static inline bool
sets_meet(const uint64_t *a, const uint64_t *b, uint32_t words)
{
	uint64_t any = 0;

	for (uint32_t w = 0; w < words; w++)
		any |= a[w] & b[w];
	return any != 0;
}

static inline const uint64_t *
by_number(const struct rule_lens *lens, const struct rule_number_at *at, const uint8_t *record, uint32_t words)
{
	int64_t value = rule_number_load(at, record);
	uint8_t step = lens->magnitude ? rule_magnitude(value) : (uint8_t)value;

	return &lens->by_value[step * words];
}

static void
look_number(struct look *look, const struct rule_number_at *at, const uint8_t *record)
{
	if (record_is_present(record, at->bit))
		sets_or(look->keep, by_number(look->lens, at, record, look->words), look->words);
}

struct path_arg {
	struct look *look;
	const struct rule_number_at *at;
};

static bool
look_child(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct path_arg *path = arg;

	(void)field;
	(void)base;
	look_number(path->look, path->at, record);
	return false; /* on to the next child */
}

static inline uint32_t
list_first(const struct field *field, const uint8_t *record)
{
	return record_is_present(record, field->bit) ? ((const struct record_list *)(record + field->offset))->first : 0;
}

/* The children of a record's list, walked once whatever shapes they have. */
static void
look_list(struct look *look, const struct field *field, const uint8_t *record)
{
	const struct rule_number_at *const *by_shape = look->lens->deep->by_shape;
	const uint8_t *base = look->view->message->record;
	const struct record_head *child;

	for (uint32_t at = list_first(field, record); at != 0; at = child->next) {
		child = (const void *)(base + at);
		if (by_shape[child->shape] != NULL)
			look_number(look, by_shape[child->shape], base + at);
	}
}

/* Behind one list or two. */
static void
look_lists(struct look *look)
{
	const struct record_path *path = &look->lens->deep->paths[0];
	const uint8_t *base = look->view->message->record;

	if (path->list_count == 1) {
		look_list(look, path->lists[0], base);
		return;
	}
	for (uint32_t at = list_first(path->lists[0], base); at != 0; at = ((const struct record_head *)(base + at))->next)
		look_list(look, path->lists[1], base + at);
}

static void
look_numbers(struct look *look)
{
	const struct rule_lens_deep *lens = look->lens->deep;

	if (lens->by_shape != NULL) {
		look_lists(look);
		return;
	}
	for (unsigned int i = 0; i < lens->path_count; i++) {
		struct path_arg path = { look, &lens->ats[i] };

		(void)record_path_any(&lens->paths[i], look->view->message->record, look_child, &path);
	}
}

/* Elements lie in host order, which is little endian on every supported machine: the lowest byte comes first. */
static void
look_array(struct look *look)
{
	const struct rule_number_at *at = &look->lens->at;
	const uint8_t *record = look->view->message->record;
	size_t size = (64u - at->right) / 8;
	struct record_ref ref;

	if (!record_is_present(record, at->bit))
		return;
	memcpy(&ref, record + at->off, sizeof(ref));
	for (uint32_t i = 0; i < ref.count; i++)
		sets_or(look->keep, &look->lens->by_value[record[ref.off + i * size] * look->words], look->words);
}

static bool
look_text(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg)
{
	struct look *look = arg;
	const struct rule_lens *lens = look->lens;
	const uint64_t *by_len = &lens->deep->by_len[(len < RULE_LENS_LENS ? len : RULE_LENS_LENS - 1) * look->words];
	const uint64_t *by_value = len == 0 ? by_len : &lens->by_value[data[0] * look->words];

	(void)view;
	for (uint32_t w = 0; w < look->words; w++)
		look->keep[w] |= by_len[w] & by_value[w];
	return false; /* on to the next instance */
}

static int
on_pattern(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *arg)
{
	struct look *look = arg;
	uint32_t bit = look->lens->deep->database->rules[id];

	(void)from;
	(void)to;
	(void)flags;
	look->keep[bit >> 6] |= UINT64_C(1) << (bit & 63);
	return 0;
}

static bool
look_search(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg)
{
	const struct rule_database *database = ((const struct look *)arg)->lens->deep->database;

	if (len >= database->len_min)
		rule_scan(view, database, data, len, on_pattern, arg);
	return false; /* on to the next instance */
}

static bool
look_literals(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg)
{
	struct look *look = arg;
	const struct rule_lens_deep *lens = look->lens->deep;

	(void)view;
	for (unsigned int i = 0; i < lens->literal_count; i++) {
		const struct rule_lens_literal *literal = &lens->literals[i];

		if (rule_find(data, len, literal->bytes, literal->len, literal->nocase) != NULL)
			look->keep[literal->bit >> 6] |= UINT64_C(1) << (literal->bit & 63);
	}
	return false; /* on to the next instance */
}

static void
look_tags(struct look *look, const struct rule_sieve *sieve)
{
	uint32_t tags[RULE_TAGS_MAX];
	unsigned int count = sieve->record_tags(look->view->message->record, tags);

	if (count > RULE_TAGS_MAX) /* they are not all there */
		sets_or(look->keep, look->lens->asked, look->words);
	for (unsigned int i = 0; i < count && count <= RULE_TAGS_MAX; i++)
		sets_or(look->keep, &look->lens->by_value[rule_tag_hash(tags[i]) * look->words], look->words);
}

/* Most texts are a field of the root that nothing changes. */
static inline void
each_text(struct look *look, rule_bytes_fn fn)
{
	const struct field *plain = look->lens->plain;
	const uint8_t *record = look->view->message->record;
	const uint8_t *data;
	uint32_t len;

	if (plain == NULL)
		(void)rule_buffer_each(look->view, look->lens->deep->buffer, fn, look);
	else if (rule_field_bytes(plain, record, record, &data, &len))
		(void)fn(look->view, data, len, look);
}

/* What is kept of the rules asked, apart from a number of the root. */
static void
look_deep(struct look *look, const struct rule_sieve *sieve)
{
	static const rule_bytes_fn texts[] = { [LENS_TEXT] = look_text, [LENS_LITERALS] = look_literals, [LENS_SEARCH] = look_search };

	if (look->lens->kind == LENS_NUMBERS)
		look_numbers(look);
	else if (look->lens->kind == LENS_ARRAY)
		look_array(look);
	else if (look->lens->kind == LENS_TAGS)
		look_tags(look, sieve);
	else
		each_text(look, texts[look->lens->kind]);
}

/* @return false: nothing is left */
static inline bool
sets_keep(uint64_t *left, const uint64_t *keep, uint32_t words)
{
	uint64_t any = 0;

	for (uint32_t w = 0; w < words; w++)
		any |= left[w] &= keep[w];
	return any != 0;
}

static inline bool
number_look(const struct look *look, uint64_t *left, uint32_t words)
{
	const uint8_t *record = look->view->message->record;
	const struct rule_lens *lens = look->lens;
	bool present = record_is_present(record, lens->at.bit);

	return sets_keep(left, present ? by_number(lens, &lens->at, record, words) : &lens->by_value[RULE_LENS_VALUES * words], words);
}

static inline bool
deep_look(struct look *look, const struct rule_sieve *sieve, uint64_t *left, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		look->keep[w] = look->lens->by_value[RULE_LENS_VALUES * words + w];
	look_deep(look, sieve);
	return sets_keep(left, look->keep, words);
}

/* Takes away those that their thresholds have silenced. @return false: nothing is left */
static inline bool
mute_look(struct rule_view *view, uint64_t *left, uint32_t words)
{
	const uint64_t *muted = rule_muted(view);
	uint64_t any = 0;
	int count = 0;

	for (uint32_t w = 0; w < words; w++) {
		count += __builtin_popcountll(left[w] & muted[w]);
		any |= left[w] &= ~muted[w];
	}
	if (count > 0)
		counter_add(&view->matcher->memory->counters[RULE_COUNTER_MUTED], (uint64_t)count);
	return any != 0;
}

/* Inlined with the number of words that nearly every sieve has. */
static inline __attribute__((always_inline)) void
sieve_look(struct rule_view *view, const struct rule_sieve *sieve, uint32_t words)
{
	struct look look; /* its keep is filled where it is used */
	uint64_t left[RULE_SIEVE_WORDS];

	look.view = view;
	look.words = words;
	for (uint32_t w = 0; w < words; w++)
		left[w] = 0;
	for (uint32_t i = 0; i < sieve->shelf_count; i++)
		if (rule_need_met(&sieve->shelves[i].need, view->message->record))
			sets_or(left, sieve->shelves[i].rules, words);
	for (uint32_t i = 0; i < sieve->number_count; i++) {
		look.lens = &sieve->lenses[i];
		if (sets_meet(left, look.lens->asked, words) && !number_look(&look, left, words))
			return;
	}
	if (sieve->may_mute && !mute_look(view, left, words))
		return;
	for (uint32_t i = sieve->number_count; i < sieve->lens_count; i++) {
		look.lens = &sieve->lenses[i];
		if (sets_meet(left, look.lens->asked, words) && !deep_look(&look, sieve, left, words))
			return;
	}
	for (uint32_t w = 0; w < words; w++)
		for (uint64_t bits = left[w]; bits != 0; bits &= bits - 1)
			rule_entry_ask(view, &sieve->entries[w * 64 + (uint32_t)__builtin_ctzll(bits)]);
}

void
rule_sieve_candidates(struct rule_view *view, const struct rule_sieve *sieve)
{
	if (sieve->words == 1)
		sieve_look(view, sieve, 1);
	else
		sieve_look(view, sieve, sieve->words);
}
