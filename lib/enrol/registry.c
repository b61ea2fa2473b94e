#include "lib/enrol/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "lib/base/log.h"
#include "lib/enrol/registry_private.h"

enum { SECRET_BYTES = 32, ID_BYTES = 8, ACTOR_MAX = 128, TIME_TEXT = 32 };

/* In the order of enum registry_kind. */
static const struct registry_books *const books[] = { &registry_sqlite, &registry_postgres };

/* ---- statements ---- */

int
registry_ask(struct registry *registry, const struct registry_question *question, ...)
{
	va_list arguments;
	int count;

	va_start(arguments, question);
	count = registry->kept->ask(registry->books, question, arguments);
	va_end(arguments);
	return count;
}

int
registry_run(struct registry *registry, enum registry_sql which, const char *types, ...)
{
	const struct registry_question question = { .which = which, .types = types };
	va_list arguments;
	int count;

	va_start(arguments, types);
	count = registry->kept->ask(registry->books, &question, arguments);
	va_end(arguments);
	return count;
}

uint64_t
registry_cell_number(const struct registry_cell *cell)
{
	return cell->data == NULL ? 0 : strtoull(cell->data, NULL, 10);
}

int
registry_take_number(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	uint64_t *out = arg;

	*out = registry_cell_number(&cells[0]);
	return 0;
}

int
registry_begin(struct registry *registry)
{
	return registry->kept->begin(registry->books);
}

int
registry_end(struct registry *registry, int err)
{
	int ended = registry->kept->end(registry->books, err == 0);

	return err != 0 ? err : ended;
}

int
registry_announce(struct registry *registry, const char *sensor)
{
	return registry->kept->announce == NULL ? 0 : registry->kept->announce(registry->books, sensor);
}

/* ---- the audit trail ---- */

static void
clean_text(char out[ACTOR_MAX + 1], const char *text)
{
	size_t len = strnlen(text, ACTOR_MAX);

	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	out[len] = '\0';
}

int
registry_note(struct registry *registry, const struct registry_deed *deed, uint64_t now_s)
{
	char actor[ACTOR_MAX + 1];
	char detail[ACTOR_MAX + 1];
	int err;

	clean_text(actor, deed->actor);
	clean_text(detail, deed->detail);
	err = registry_run(registry, SQL_AUDIT_ADD, "ntttt", now_s, actor, deed->action, deed->sensor, detail);
	if (err >= 0)
		err = registry_run(registry, SQL_PRUNE_AUDIT, "n", (uint64_t)REGISTRY_AUDIT_MAX);
	if (err < 0)
		return err;
	log_notice("enrol", "%s %s by %s: %s", deed->action, deed->sensor, actor, detail);
	return 0;
}

/* ---- invitations ---- */

static void
put_hex(char *out, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int
prune(struct registry *registry, uint64_t now_s)
{
	uint64_t before_s = now_s > REGISTRY_KEEP_S ? now_s - REGISTRY_KEEP_S : 0;
	int err = registry_run(registry, SQL_PRUNE_INVITATIONS, "n", before_s);

	return err < 0 ? err : registry_run(registry, SQL_PRUNE_CERTIFICATES, "n", before_s);
}

static int
add_invitation(struct registry *registry, const struct registry_invitation *invitation, uint64_t now_s,
	char token[REGISTRY_TOKEN_LEN + 1])
{
	const struct registry_deed deed = { invitation->actor, "invite", invitation->sensor, invitation->site };
	uint8_t random[ID_BYTES + SECRET_BYTES];
	uint8_t digest[CSR_KEY_DIGEST_LEN];
	char id[2 * ID_BYTES + 1];
	int err;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return -EIO;
	put_hex(id, random, ID_BYTES);
	memcpy(token, id, 2 * ID_BYTES);
	token[2 * ID_BYTES] = '.';
	put_hex(token + 2 * ID_BYTES + 1, random + ID_BYTES, SECRET_BYTES);
	OPENSSL_cleanse(random, sizeof(random));
	if (EVP_Digest(token + 2 * ID_BYTES + 1, 2 * SECRET_BYTES, digest, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	err = registry_run(registry, SQL_INVITE, "tdtttnn", id, digest, sizeof(digest), invitation->sensor, invitation->site,
		invitation->zone, now_s, invitation->expires_s);
	return err < 0 ? err : registry_note(registry, &deed, now_s);
}

int
registry_invite(struct registry *registry, const struct registry_invitation *invitation, uint64_t now_s,
	char token[REGISTRY_TOKEN_LEN + 1])
{
	int err = registry_begin(registry);
	uint64_t open = 0;
	const struct registry_question count = { .which = SQL_OPEN_COUNT, .row = registry_take_number, .arg = &open, .types = "n" };

	if (err != 0)
		return err;
	err = prune(registry, now_s);
	if (err >= 0)
		err = registry_ask(registry, &count, now_s);
	err = err < 0 ? err : 0;
	if (err == 0 && open >= REGISTRY_INVITATIONS_MAX)
		err = -EDQUOT;
	if (err == 0)
		err = add_invitation(registry, invitation, now_s, token);
	return registry_end(registry, err);
}

/* ---- revocation ---- */

static int
revoke_all(struct registry *registry, const char *sensor, uint64_t now_s, uint64_t *certificates)
{
	int err = registry_run(registry, SQL_WITHDRAW, "tn", sensor, now_s);

	if (err >= 0)
		err = registry_run(registry, SQL_SENSOR_REVOKE, "tn", sensor, now_s);
	if (err >= 0)
		err = registry_run(registry, SQL_CERT_REVOKE, "tn", sensor, now_s);
	if (err < 0)
		return err;
	*certificates = (uint64_t)err;
	return registry_announce(registry, sensor);
}

int
registry_revoke(struct registry *registry, const char *sensor, const char *actor, bool force, uint64_t now_s,
	uint64_t *certificates)
{
	char detail[64];
	const struct registry_deed deed = { actor, "revoke", sensor, detail };
	int err = registry_begin(registry);

	*certificates = 0;
	if (err != 0)
		return err;
	if (!force) {
		err = registry_run(registry, SQL_KNOWN, "t", sensor);
		err = err == 0 ? -ENOENT : err < 0 ? err : 0;
	}
	if (err == 0)
		err = revoke_all(registry, sensor, now_s, certificates);
	snprintf(detail, sizeof(detail), "%llu certificates", (unsigned long long)*certificates);
	if (err == 0)
		err = registry_note(registry, &deed, now_s);
	return registry_end(registry, err);
}

bool
registry_admits(struct registry *registry, const char *sensor, const char *serial, bool enrolled_only)
{
	uint64_t value = 0;
	const struct registry_question by_serial = { .which = SQL_ADMIT_SERIAL, .row = registry_take_number, .arg = &value, .types = "tt" };
	const struct registry_question by_name = { .which = SQL_ADMIT_NAME, .row = registry_take_number, .arg = &value, .types = "t" };
	int found = registry_ask(registry, &by_serial, serial, sensor);

	if (found != 0 || enrolled_only)
		return found == 1 && value == 1;
	found = registry_ask(registry, &by_name, sensor);
	return found == 0 || (found == 1 && value == 0);
}

/* ---- telling ---- */

static const char *
text_of(const struct registry_cell *cell)
{
	return cell->data == NULL ? "" : cell->data;
}

static void
write_time(char text[TIME_TEXT], uint64_t at_s)
{
	time_t at = (time_t)at_s;
	struct tm parts;

	text[0] = '\0';
	if (at_s != 0 && gmtime_r(&at, &parts) != NULL)
		strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

struct telling {
	json_t *rows;
	uint64_t now_s;
};

/* A row of SQL_LIST: what holds now, and until when. */
static int
tell_sensor(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	const struct telling *telling = arg;
	uint64_t ends_s = registry_cell_number(&cells[2]);
	uint64_t invited_s = registry_cell_number(&cells[3]);
	bool revoked = registry_cell_number(&cells[1]) != 0;
	const char *state = ends_s > telling->now_s ? "enrolled" : invited_s > telling->now_s ? "invited"
		: revoked ? "revoked" : "expired";
	uint64_t until_s = ends_s > telling->now_s || invited_s <= telling->now_s ? ends_s : invited_s;
	char text[TIME_TEXT];

	if (until_s == 0 && !revoked)
		until_s = invited_s;
	write_time(text, until_s);
	return json_array_append_new(telling->rows, json_pack("{s:s, s:s, s:s, s:s, s:s}", "sensor", text_of(&cells[0]),
		"state", state, "site", text_of(&cells[4]), "zone", text_of(&cells[5]), "expires", text)) == 0 ? 0 : -ENOMEM;
}

static int
tell_deed(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	const struct telling *telling = arg;
	char text[TIME_TEXT];

	write_time(text, registry_cell_number(&cells[0]));
	return json_array_append_new(telling->rows, json_pack("{s:s, s:s, s:s, s:s, s:s}", "at", text,
		"actor", text_of(&cells[1]), "action", text_of(&cells[2]), "sensor", text_of(&cells[3]),
		"detail", text_of(&cells[4]))) == 0 ? 0 : -ENOMEM;
}

static int
tell(struct registry *registry, struct registry_question *question, uint64_t now_s, json_t **out, uint64_t limit)
{
	struct telling telling = { .rows = json_array(), .now_s = now_s };
	int found;

	question->arg = &telling;
	found = telling.rows == NULL ? -ENOMEM : registry_ask(registry, question, limit);
	if (found < 0) {
		json_decref(telling.rows);
		return found;
	}
	*out = telling.rows;
	return 0;
}

int
registry_list(struct registry *registry, uint64_t now_s, json_t **out)
{
	struct registry_question question = { .which = SQL_LIST, .row = tell_sensor, .types = "" };

	return tell(registry, &question, now_s, out, 0);
}

int
registry_audit(struct registry *registry, unsigned int limit, json_t **out)
{
	struct registry_question question = { .which = SQL_AUDIT_LIST, .row = tell_deed, .types = "n" };

	return tell(registry, &question, 0, out, limit);
}

bool
registry_text_valid(const char *text)
{
	size_t len = strlen(text);
	json_t *string;

	if (len > REGISTRY_TEXT_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	string = json_string(text); /* which takes valid UTF-8 only */
	json_decref(string);
	return string != NULL;
}

/* ---- life ---- */

int
registry_open(struct registry **out, enum registry_kind kind, const char *where)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	int err;

	if (registry == NULL)
		return -ENOMEM;
	registry->kept = books[kind];
	err = registry->kept->open(&registry->books, where);
	if (err != 0) {
		free(registry);
		return err;
	}
	*out = registry;
	return 0;
}

void
registry_close(struct registry *registry)
{
	if (registry == NULL)
		return;
	registry->kept->close(registry->books);
	free(registry);
}
