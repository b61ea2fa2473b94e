#include "lib/enrol/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "lib/base/log.h"
#include "lib/enrol/registry_private.h"

enum { BUSY_TIMEOUT_MS = 5000, SCHEMA_VERSION = 1, SECRET_BYTES = 32, ID_BYTES = 8, ACTOR_MAX = 128 };

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS sensors(name TEXT PRIMARY KEY, site TEXT NOT NULL, zone TEXT NOT NULL,"
	" revoked_s INTEGER, barred INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS invitations(id TEXT PRIMARY KEY, secret BLOB NOT NULL, sensor TEXT NOT NULL,"
	" site TEXT NOT NULL, zone TEXT NOT NULL, created_s INTEGER NOT NULL, expires_s INTEGER NOT NULL,"
	" withdrawn_s INTEGER, serial TEXT) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS invitations_sensor ON invitations(sensor, expires_s);"
	"CREATE TABLE IF NOT EXISTS certificates(serial TEXT PRIMARY KEY, sensor TEXT NOT NULL, key_digest BLOB NOT NULL,"
	" not_before_s INTEGER NOT NULL, not_after_s INTEGER NOT NULL, revoked_s INTEGER, pem TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS certificates_sensor ON certificates(sensor, not_after_s);"
	"CREATE TABLE IF NOT EXISTS audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at_s INTEGER NOT NULL, actor TEXT NOT NULL,"
	" action TEXT NOT NULL, sensor TEXT NOT NULL, detail TEXT NOT NULL);";

/* `barred`: certificates of that name which are not in the table are refused, since a revocation meant them too. */
static const char *const texts[REGISTRY_SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_OPEN_COUNT] = "SELECT count(*) FROM invitations WHERE expires_s > ?1 AND withdrawn_s IS NULL AND serial IS NULL",
	[SQL_INVITE] = "INSERT INTO invitations(id, secret, sensor, site, zone, created_s, expires_s)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_TOKEN] = "SELECT secret, sensor, expires_s, withdrawn_s, serial, site, zone FROM invitations WHERE id = ?1",
	[SQL_USE] = "UPDATE invitations SET serial = ?2 WHERE id = ?1",
	[SQL_SENSOR_PUT] = "INSERT INTO sensors(name, site, zone) VALUES(?1, ?2, ?3) ON CONFLICT(name)"
		" DO UPDATE SET site = excluded.site, zone = excluded.zone, revoked_s = NULL",
	[SQL_SENSOR_REVOKE] = "INSERT INTO sensors(name, site, zone, revoked_s, barred) VALUES(?1, '', '', ?2, 1)"
		" ON CONFLICT(name) DO UPDATE SET revoked_s = excluded.revoked_s, barred = 1",
	[SQL_KNOWN] = "SELECT 1 FROM sensors WHERE name = ?1 UNION ALL SELECT 1 FROM invitations WHERE sensor = ?1 LIMIT 1",
	[SQL_WITHDRAW] = "UPDATE invitations SET withdrawn_s = ?2 WHERE sensor = ?1 AND serial IS NULL AND withdrawn_s IS NULL",
	[SQL_CERT_ADD] = "INSERT INTO certificates(serial, sensor, key_digest, not_before_s, not_after_s, pem)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_CERT_GET] = "SELECT sensor, key_digest, not_before_s, not_after_s, revoked_s, pem FROM certificates WHERE serial = ?1",
	[SQL_CERT_BY_KEY] = "SELECT serial FROM certificates WHERE sensor = ?1 AND key_digest = ?2 AND revoked_s IS NULL"
		" AND not_after_s > ?3 ORDER BY not_after_s DESC LIMIT 1",
	[SQL_CERT_COUNT] = "SELECT count(*) FROM certificates WHERE sensor = ?1 AND revoked_s IS NULL AND not_after_s > ?2",
	[SQL_CERT_REVOKE] = "UPDATE certificates SET revoked_s = ?2 WHERE sensor = ?1 AND revoked_s IS NULL",
	[SQL_ADMIT_SERIAL] = "SELECT sensor = ?2 AND revoked_s IS NULL FROM certificates WHERE serial = ?1",
	[SQL_ADMIT_NAME] = "SELECT barred FROM sensors WHERE name = ?1",
	[SQL_PRUNE_INVITATIONS] = "DELETE FROM invitations WHERE expires_s < ?1",
	[SQL_PRUNE_CERTIFICATES] = "DELETE FROM certificates WHERE not_after_s < ?1",
	[SQL_PRUNE_AUDIT] = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1",
	[SQL_AUDIT_ADD] = "INSERT INTO audit(at_s, actor, action, sensor, detail) VALUES(?1, ?2, ?3, ?4, ?5)",
	[SQL_AUDIT_LIST] = "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at_s, 'unixepoch'), actor, action, sensor, detail FROM audit"
		" ORDER BY id DESC LIMIT ?1",
	/* One row a sensor: what it has in certificates and in open invitations. */
	[SQL_LIST] = "WITH names(name) AS (SELECT name FROM sensors UNION SELECT sensor FROM invitations"
		" WHERE withdrawn_s IS NULL AND serial IS NULL),"
		" rows AS (SELECT n.name AS name, s.site AS site, s.zone AS zone, s.revoked_s AS revoked_s,"
		" (SELECT max(not_after_s) FROM certificates c WHERE c.sensor = n.name AND c.revoked_s IS NULL) AS ends_s,"
		" (SELECT id FROM invitations i WHERE i.sensor = n.name AND i.withdrawn_s IS NULL AND i.serial IS NULL"
		"  ORDER BY expires_s DESC LIMIT 1) AS invitation FROM names n LEFT JOIN sensors s ON s.name = n.name)"
		" SELECT r.name, r.revoked_s IS NOT NULL, coalesce(r.ends_s, 0), coalesce(i.expires_s, 0),"
		" CASE WHEN r.site IS NULL OR r.site = '' THEN coalesce(i.site, '') ELSE r.site END,"
		" CASE WHEN r.zone IS NULL OR r.zone = '' THEN coalesce(i.zone, '') ELSE r.zone END"
		" FROM rows r LEFT JOIN invitations i ON i.id = r.invitation ORDER BY r.name",
};

/* ---- statements ---- */

int
registry_failed(struct registry *registry, const char *what)
{
	int code = sqlite3_errcode(registry->db);

	log_error("enrol", "%s: %s: %s", registry->path, what, sqlite3_errmsg(registry->db));
	return code == SQLITE_FULL ? -ENOSPC : code == SQLITE_BUSY ? -EBUSY : -EIO;
}

sqlite3_stmt *
registry_statement(struct registry *registry, enum registry_sql which)
{
	sqlite3_stmt *statement = registry->statements[which];

	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return statement;
}

int
registry_bind(sqlite3_stmt *statement, const char *types, ...)
{
	va_list arguments;
	int rc = SQLITE_OK;

	va_start(arguments, types);
	for (int i = 0; types[i] != '\0' && rc == SQLITE_OK; i++) {
		if (types[i] == 't')
			rc = sqlite3_bind_text(statement, i + 1, va_arg(arguments, const char *), -1, SQLITE_TRANSIENT);
		else if (types[i] == 'd') /* a digest */
			rc = sqlite3_bind_blob(statement, i + 1, va_arg(arguments, const void *), CSR_KEY_DIGEST_LEN,
				SQLITE_TRANSIENT);
		else
			rc = sqlite3_bind_int64(statement, i + 1, (sqlite3_int64)va_arg(arguments, uint64_t));
	}
	va_end(arguments);
	return rc == SQLITE_OK ? 0 : -ENOMEM;
}

int
registry_run(struct registry *registry, sqlite3_stmt *statement, const char *what)
{
	int rc = sqlite3_step(statement);
	int err = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : registry_failed(registry, what);

	sqlite3_reset(statement);
	return err;
}

int
registry_number(struct registry *registry, sqlite3_stmt *statement, uint64_t *out)
{
	int rc = sqlite3_step(statement);

	*out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -ENOENT : registry_failed(registry, "count");
}

int
registry_begin(struct registry *registry)
{
	return registry_run(registry, registry_statement(registry, SQL_BEGIN), "begin");
}

int
registry_end(struct registry *registry, int err)
{
	if (err == 0)
		err = registry_run(registry, registry_statement(registry, SQL_COMMIT), "commit");
	if (err != 0 && sqlite3_get_autocommit(registry->db) == 0)
		(void)registry_run(registry, registry_statement(registry, SQL_ROLLBACK), "roll back");
	return err;
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
	sqlite3_stmt *add = registry_statement(registry, SQL_AUDIT_ADD);
	sqlite3_stmt *prune = registry_statement(registry, SQL_PRUNE_AUDIT);
	char actor[ACTOR_MAX + 1];
	char detail[ACTOR_MAX + 1];
	int err;

	clean_text(actor, deed->actor);
	clean_text(detail, deed->detail);
	err = registry_bind(add, "ntttt", now_s, actor, deed->action, deed->sensor, detail);
	if (err == 0)
		err = registry_run(registry, add, "audit");
	if (err == 0)
		err = registry_bind(prune, "n", (uint64_t)REGISTRY_AUDIT_MAX);
	if (err == 0)
		err = registry_run(registry, prune, "audit");
	if (err == 0)
		log_notice("enrol", "%s %s by %s: %s", deed->action, deed->sensor, actor, detail);
	return err;
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
	static const enum registry_sql all[] = { SQL_PRUNE_INVITATIONS, SQL_PRUNE_CERTIFICATES };
	int err = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && err == 0; i++) {
		sqlite3_stmt *statement = registry_statement(registry, all[i]);

		err = registry_bind(statement, "n", before_s);
		if (err == 0)
			err = registry_run(registry, statement, "prune");
	}
	return err;
}

static int
add_invitation(struct registry *registry, const struct registry_invitation *invitation, uint64_t now_s,
	char token[REGISTRY_TOKEN_LEN + 1])
{
	const struct registry_deed deed = { invitation->actor, "invite", invitation->sensor, invitation->site };
	sqlite3_stmt *statement = registry_statement(registry, SQL_INVITE);
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
	err = registry_bind(statement, "tdtttnn", id, digest, invitation->sensor, invitation->site, invitation->zone, now_s,
		invitation->expires_s);
	if (err == 0)
		err = registry_run(registry, statement, "invite");
	return err == 0 ? registry_note(registry, &deed, now_s) : err;
}

int
registry_invite(struct registry *registry, const struct registry_invitation *invitation, uint64_t now_s,
	char token[REGISTRY_TOKEN_LEN + 1])
{
	int err = registry_begin(registry);
	uint64_t open = 0;

	if (err != 0)
		return err;
	err = prune(registry, now_s);
	if (err == 0)
		err = registry_bind(registry_statement(registry, SQL_OPEN_COUNT), "n", now_s);
	if (err == 0)
		err = registry_number(registry, registry->statements[SQL_OPEN_COUNT], &open);
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
	static const enum registry_sql all[] = { SQL_WITHDRAW, SQL_SENSOR_REVOKE, SQL_CERT_REVOKE };
	int err = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && err == 0; i++) {
		sqlite3_stmt *statement = registry_statement(registry, all[i]);

		err = registry_bind(statement, "tn", sensor, now_s);
		if (err == 0)
			err = registry_run(registry, statement, "revoke");
	}
	*certificates = (uint64_t)sqlite3_changes64(registry->db);
	return err;
}

int
registry_revoke(struct registry *registry, const char *sensor, const char *actor, bool force, uint64_t now_s,
	uint64_t *certificates)
{
	char detail[64];
	const struct registry_deed deed = { actor, "revoke", sensor, detail };
	uint64_t known;
	int err = registry_begin(registry);

	*certificates = 0;
	if (err != 0)
		return err;
	if (!force) {
		err = registry_bind(registry_statement(registry, SQL_KNOWN), "t", sensor);
		if (err == 0)
			err = registry_number(registry, registry->statements[SQL_KNOWN], &known);
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
	sqlite3_stmt *statement = registry_statement(registry, SQL_ADMIT_SERIAL);
	uint64_t value = 0;
	int err = registry_bind(statement, "tt", serial, sensor);

	if (err == 0)
		err = registry_number(registry, statement, &value);
	if (err == 0)
		return value == 1;
	if (err != -ENOENT || enrolled_only)
		return false;
	statement = registry_statement(registry, SQL_ADMIT_NAME);
	err = registry_bind(statement, "t", sensor);
	if (err == 0)
		err = registry_number(registry, statement, &value);
	return err == -ENOENT || (err == 0 && value == 0);
}

/* ---- telling ---- */

static const char *
column(sqlite3_stmt *statement, int at)
{
	const char *text = (const char *)sqlite3_column_text(statement, at);

	return text == NULL ? "" : text;
}

static int
add_row(json_t *rows, json_t *row)
{
	return json_array_append_new(rows, row) == 0 ? 0 : -ENOMEM;
}

/* A row of SQL_LIST: what holds now, and until when. */
static json_t *
list_row(sqlite3_stmt *statement, uint64_t now_s)
{
	uint64_t ends_s = (uint64_t)sqlite3_column_int64(statement, 2);
	uint64_t invited_s = (uint64_t)sqlite3_column_int64(statement, 3);
	bool revoked = sqlite3_column_int(statement, 1) != 0;
	const char *state = ends_s > now_s ? "enrolled" : invited_s > now_s ? "invited" : revoked ? "revoked" : "expired";
	time_t until = (time_t)(ends_s > now_s || invited_s <= now_s ? ends_s : invited_s);
	char text[32] = "";
	struct tm parts;

	if (until == 0 && !revoked)
		until = (time_t)invited_s;
	if (until != 0 && gmtime_r(&until, &parts) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "sensor", column(statement, 0), "state", state,
		"site", column(statement, 4), "zone", column(statement, 5), "expires", text);
}

int
registry_list(struct registry *registry, uint64_t now_s, json_t **out)
{
	sqlite3_stmt *statement = registry_statement(registry, SQL_LIST);
	json_t *rows = json_array();
	int err = rows == NULL ? -ENOMEM : 0;
	int rc = SQLITE_DONE;

	while (err == 0 && (rc = sqlite3_step(statement)) == SQLITE_ROW)
		err = add_row(rows, list_row(statement, now_s));
	if (err == 0 && rc != SQLITE_DONE)
		err = registry_failed(registry, "list");
	sqlite3_reset(statement);
	if (err != 0)
		json_decref(rows);
	else
		*out = rows;
	return err;
}

int
registry_audit(struct registry *registry, unsigned int limit, json_t **out)
{
	sqlite3_stmt *statement = registry_statement(registry, SQL_AUDIT_LIST);
	json_t *rows = json_array();
	int err = rows == NULL ? -ENOMEM : registry_bind(statement, "n", (uint64_t)limit);
	int rc = SQLITE_DONE;

	while (err == 0 && (rc = sqlite3_step(statement)) == SQLITE_ROW)
		err = add_row(rows, json_pack("{s:s, s:s, s:s, s:s, s:s}", "at", column(statement, 0),
			"actor", column(statement, 1), "action", column(statement, 2), "sensor", column(statement, 3),
			"detail", column(statement, 4)));
	if (err == 0 && rc != SQLITE_DONE)
		err = registry_failed(registry, "audit");
	sqlite3_reset(statement);
	if (err != 0)
		json_decref(rows);
	else
		*out = rows;
	return err;
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

static int
prepare(struct registry *registry)
{
	char *reason = NULL;
	char version[64];

	sqlite3_busy_timeout(registry->db, BUSY_TIMEOUT_MS);
	snprintf(version, sizeof(version), "PRAGMA user_version = %d", SCHEMA_VERSION);
	if (sqlite3_exec(registry->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;",
		NULL, NULL, &reason) != SQLITE_OK ||
	    sqlite3_exec(registry->db, schema, NULL, NULL, &reason) != SQLITE_OK ||
	    sqlite3_exec(registry->db, version, NULL, NULL, &reason) != SQLITE_OK) {
		sqlite3_free(reason);
		return registry_failed(registry, "prepare");
	}
	for (unsigned int i = 0; i < REGISTRY_SQL_COUNT; i++)
		if (sqlite3_prepare_v3(registry->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &registry->statements[i],
			NULL) != SQLITE_OK)
			return registry_failed(registry, texts[i]);
	return 0;
}

/* Made beforehand, so that it is nobody else's from the first byte on. */
static int
make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : 0;

	if (err != 0)
		log_error("enrol", "enrol.state: %s: %s", path, strerror(-err));
	else
		close(fd);
	return err;
}

int
registry_open(struct registry **out, const char *path)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	int err;

	if (registry == NULL)
		return -ENOMEM;
	registry->path = strdup(path);
	err = registry->path == NULL ? -ENOMEM : make_file(path);
	if (err == 0 && sqlite3_open_v2(path, &registry->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		err = registry_failed(registry, "open");
	if (err == 0)
		err = prepare(registry);
	if (err != 0) {
		registry_close(registry);
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
	for (unsigned int i = 0; i < REGISTRY_SQL_COUNT; i++)
		sqlite3_finalize(registry->statements[i]);
	sqlite3_close(registry->db);
	free(registry->path);
	free(registry);
}
