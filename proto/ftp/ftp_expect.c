/* The table of announced data connections. */
#include "proto/ftp/ftp_expect.h"

#include "lib/base/hash.h"

/* Never 0, which is the tag of an empty entry. */
static uint32_t
tag_of(const struct ftp_expect_place *place)
{
	return hash_u64(crc32c(crc32c(0, place->listener, 16), place->peer, 16), place->port) | UINT32_C(1) << 31;
}

static bool
is_same(const struct ftp_expect_place *a, const struct ftp_expect_place *b)
{
	return a->port == b->port && memcmp(a->listener, b->listener, 16) == 0 && memcmp(a->peer, b->peer, 16) == 0;
}

static struct ftp_expected *
find(struct ftp_shared *shared, const struct ftp_expect_place *place, uint32_t tag)
{
	unsigned int set = tag % FTP_EXPECT_SETS;

	for (unsigned int i = 0; i < FTP_EXPECT_WAYS; i++)
		if (shared->tags[set][i] == tag && is_same(&shared->sets[set][i].place, place))
			return &shared->sets[set][i];
	return NULL;
}

/* Where a new one goes: to its own older self, an empty entry, the oldest one's. */
static unsigned int
choose(const struct ftp_shared *shared, const struct ftp_expect_place *place, uint32_t tag)
{
	const struct ftp_expected *set = shared->sets[tag % FTP_EXPECT_SETS];
	const uint32_t *tags = shared->tags[tag % FTP_EXPECT_SETS];
	unsigned int oldest = 0;

	for (unsigned int i = 0; i < FTP_EXPECT_WAYS; i++)
		if (tags[i] == tag && is_same(&set[i].place, place))
			return i;
	for (unsigned int i = 0; i < FTP_EXPECT_WAYS; i++)
		if (tags[i] == 0)
			return i;
	for (unsigned int i = 1; i < FTP_EXPECT_WAYS; i++)
		if (set[i].number < set[oldest].number)
			oldest = i;
	return oldest;
}

static bool
place_of(const struct proto_ctx *ctx, bool by_server, uint16_t port, struct ftp_expect_place *out)
{
	if (ctx->shared == NULL || ctx->client_addr == NULL || ctx->server_addr == NULL || port == 0)
		return false;
	memcpy(out->listener, by_server ? ctx->server_addr : ctx->client_addr, 16);
	memcpy(out->peer, by_server ? ctx->client_addr : ctx->server_addr, 16);
	out->port = port;
	return true;
}

bool
ftp_expect(struct proto_ctx *ctx, bool by_server, uint16_t port)
{
	struct ftp_shared *shared = ctx->shared;
	struct ftp_expect_place place;
	struct ftp_expected *entry;
	unsigned int set, way;
	uint32_t tag;
	bool evicts;

	if (!place_of(ctx, by_server, port, &place))
		return false;
	tag = tag_of(&place);
	set = tag % FTP_EXPECT_SETS;
	way = choose(shared, &place, tag);
	entry = &shared->sets[set][way];
	evicts = shared->tags[set][way] != 0 && !is_same(&entry->place, &place) && !entry->taken;
	shared->tags[set][way] = tag;
	*entry = (struct ftp_expected){ .place = place, .since_ns = ctx->ts_ns, .number = ++shared->announced };
	return evicts;
}

void
ftp_expect_command(struct proto_ctx *ctx, bool by_server, uint16_t port, struct cursor word, struct cursor name)
{
	struct ftp_expect_place place;
	struct ftp_expected *entry;
	size_t len;

	if (!place_of(ctx, by_server, port, &place))
		return;
	entry = find(ctx->shared, &place, tag_of(&place));
	if (entry == NULL || entry->word_len > 0)
		return;
	len = cursor_left(&word);
	entry->word_len = (uint8_t)(len < FTP_EXPECT_WORD_LEN ? len : FTP_EXPECT_WORD_LEN);
	memcpy(entry->word, word.pos, entry->word_len);
	len = cursor_left(&name);
	entry->name_len = (uint8_t)(len < FTP_EXPECT_NAME_LEN ? len : FTP_EXPECT_NAME_LEN);
	memcpy(entry->name, name.pos, entry->name_len);
}

struct ftp_expected *
ftp_expected_find(struct ftp_shared *shared, const struct proto_ends *ends)
{
	struct ftp_expect_place place;
	struct ftp_expected *entry = NULL;

	if (shared == NULL || shared->announced == 0)
		return NULL;
	/* The responder listens; where the flow was picked up in its middle, whoever that may be. */
	for (unsigned int turned = 0; entry == NULL && turned < 2; turned++) {
		memcpy(place.listener, turned ? ends->client_addr : ends->server_addr, 16);
		memcpy(place.peer, turned ? ends->server_addr : ends->client_addr, 16);
		place.port = turned ? ends->sport : ends->dport;
		entry = find(shared, &place, tag_of(&place));
	}
	return entry;
}
