/* The table of announced data connections. */
#include "proto/ftp/ftp_expect.h"

#include "lib/base/hash.h"

static struct ftp_expected *
set_of(struct ftp_shared *shared, const struct ftp_expect_place *place)
{
	uint32_t hash = hash_u64(crc32c(crc32c(0, place->listener, 16), place->peer, 16), place->port);

	return shared->sets[hash % FTP_EXPECT_SETS];
}

static bool
is_same(const struct ftp_expect_place *a, const struct ftp_expect_place *b)
{
	return a->port == b->port && memcmp(a->listener, b->listener, 16) == 0 && memcmp(a->peer, b->peer, 16) == 0;
}

static struct ftp_expected *
find(struct ftp_shared *shared, const struct ftp_expect_place *place)
{
	struct ftp_expected *set = set_of(shared, place);

	for (unsigned int i = 0; i < FTP_EXPECT_WAYS; i++)
		if (set[i].since_ns != 0 && is_same(&set[i].place, place))
			return &set[i];
	return NULL;
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
	struct ftp_expected *entry, *set;
	struct ftp_expect_place place;
	bool evicts;

	if (!place_of(ctx, by_server, port, &place))
		return false;
	entry = find(shared, &place);
	set = set_of(shared, &place);
	for (unsigned int i = 0; entry == NULL && i < FTP_EXPECT_WAYS; i++)
		if (set[i].since_ns == 0)
			entry = &set[i];
	evicts = entry == NULL;
	if (evicts)
		entry = &set[0];
	for (unsigned int i = 1; evicts && i < FTP_EXPECT_WAYS; i++)
		if (set[i].number < entry->number)
			entry = &set[i];
	evicts = evicts && !entry->taken;
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
	entry = find(ctx->shared, &place);
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
		entry = find(shared, &place);
	}
	return entry;
}
