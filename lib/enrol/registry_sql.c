#include "lib/enrol/registry_private.h"

/* `barred`: certificates of that name which are not in the table are refused, since a revocation meant them too. */
const char *const registry_texts[REGISTRY_SQL_COUNT] = {
	[SQL_OPEN_COUNT] = "SELECT count(*) FROM enrol.invitations WHERE expires_s > ?1 AND withdrawn_s IS NULL AND serial IS NULL",
	[SQL_INVITE] = "INSERT INTO enrol.invitations(id, secret, sensor, site, zone, created_s, expires_s)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_TOKEN] = "SELECT secret, sensor, expires_s, withdrawn_s, serial, site, zone FROM enrol.invitations WHERE id = ?1",
	[SQL_USE] = "UPDATE enrol.invitations SET serial = ?2 WHERE id = ?1",
	[SQL_SENSOR_PUT] = "INSERT INTO enrol.sensors(name, site, zone) VALUES(?1, ?2, ?3) ON CONFLICT(name)"
		" DO UPDATE SET site = excluded.site, zone = excluded.zone, revoked_s = NULL",
	[SQL_SENSOR_REVOKE] = "INSERT INTO enrol.sensors(name, site, zone, revoked_s, barred) VALUES(?1, '', '', ?2, 1)"
		" ON CONFLICT(name) DO UPDATE SET revoked_s = excluded.revoked_s, barred = 1",
	[SQL_KNOWN] = "SELECT 1 FROM enrol.sensors WHERE name = ?1 UNION ALL SELECT 1 FROM enrol.invitations WHERE sensor = ?1 LIMIT 1",
	[SQL_WITHDRAW] = "UPDATE enrol.invitations SET withdrawn_s = ?2 WHERE sensor = ?1 AND serial IS NULL AND withdrawn_s IS NULL",
	[SQL_CERT_ADD] = "INSERT INTO enrol.certificates(serial, sensor, key_digest, not_before_s, not_after_s, pem)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_CERT_GET] = "SELECT sensor, key_digest, not_before_s, not_after_s, revoked_s, pem FROM enrol.certificates WHERE serial = ?1",
	[SQL_CERT_BY_KEY] = "SELECT serial FROM enrol.certificates WHERE sensor = ?1 AND key_digest = ?2 AND revoked_s IS NULL"
		" AND not_after_s > ?3 ORDER BY not_after_s DESC LIMIT 1",
	[SQL_CERT_COUNT] = "SELECT count(*) FROM enrol.certificates WHERE sensor = ?1 AND revoked_s IS NULL AND not_after_s > ?2",
	[SQL_CERT_REVOKE] = "UPDATE enrol.certificates SET revoked_s = ?2 WHERE sensor = ?1 AND revoked_s IS NULL",
	[SQL_ADMIT_SERIAL] = "SELECT CASE WHEN sensor = ?2 AND revoked_s IS NULL THEN 1 ELSE 0 END FROM enrol.certificates WHERE serial = ?1",
	[SQL_ADMIT_NAME] = "SELECT barred FROM enrol.sensors WHERE name = ?1",
	[SQL_PRUNE_INVITATIONS] = "DELETE FROM enrol.invitations WHERE expires_s < ?1",
	[SQL_PRUNE_CERTIFICATES] = "DELETE FROM enrol.certificates WHERE not_after_s < ?1",
	[SQL_PRUNE_AUDIT] = "DELETE FROM enrol.audit WHERE id <= (SELECT max(id) FROM enrol.audit) - ?1",
	[SQL_AUDIT_ADD] = "INSERT INTO enrol.audit(at_s, actor, action, sensor, detail) VALUES(?1, ?2, ?3, ?4, ?5)",
	[SQL_AUDIT_LIST] = "SELECT at_s, actor, action, sensor, detail FROM enrol.audit"
		" ORDER BY id DESC LIMIT ?1",
	/* One row a sensor: what it has in certificates and in open invitations. */
	[SQL_LIST] = "WITH names(name) AS (SELECT name FROM enrol.sensors UNION SELECT sensor FROM enrol.invitations"
		" WHERE withdrawn_s IS NULL AND serial IS NULL),"
		" rows AS (SELECT n.name AS name, s.site AS site, s.zone AS zone, s.revoked_s AS revoked_s,"
		" (SELECT max(not_after_s) FROM enrol.certificates c WHERE c.sensor = n.name AND c.revoked_s IS NULL) AS ends_s,"
		" (SELECT id FROM enrol.invitations i WHERE i.sensor = n.name AND i.withdrawn_s IS NULL AND i.serial IS NULL"
		"  ORDER BY expires_s DESC LIMIT 1) AS invitation FROM names n LEFT JOIN enrol.sensors s ON s.name = n.name)"
		" SELECT r.name, CASE WHEN r.revoked_s IS NULL THEN 0 ELSE 1 END, coalesce(r.ends_s, 0), coalesce(i.expires_s, 0),"
		" CASE WHEN r.site IS NULL OR r.site = '' THEN coalesce(i.site, '') ELSE r.site END,"
		" CASE WHEN r.zone IS NULL OR r.zone = '' THEN coalesce(i.zone, '') ELSE r.zone END"
		" FROM rows r LEFT JOIN enrol.invitations i ON i.id = r.invitation ORDER BY r.name",
	/* What one registry has, into another: what shuts out in either holds. 0 and "" stand for null. */
	[SQL_ALL_SENSORS] = "SELECT name, site, zone, revoked_s, barred FROM enrol.sensors",
	[SQL_ALL_INVITATIONS] = "SELECT id, secret, sensor, site, zone, created_s, expires_s, withdrawn_s, serial FROM enrol.invitations",
	[SQL_ALL_CERTIFICATES] = "SELECT serial, sensor, key_digest, not_before_s, not_after_s, revoked_s, pem FROM enrol.certificates",
	[SQL_ALL_AUDIT] = "SELECT at_s, actor, action, sensor, detail FROM enrol.audit ORDER BY id",
	[SQL_TAKE_SENSOR] = "INSERT INTO enrol.sensors(name, site, zone, revoked_s, barred)"
		" VALUES(?1, ?2, ?3, nullif(?4, CAST(0 AS bigint)), ?5) ON CONFLICT(name) DO UPDATE"
		" SET barred = CASE WHEN excluded.barred > sensors.barred THEN excluded.barred ELSE sensors.barred END",
	[SQL_TAKE_INVITATION] = "INSERT INTO enrol.invitations(id, secret, sensor, site, zone, created_s, expires_s, withdrawn_s, serial)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, CAST(0 AS bigint)), nullif(?9, '')) ON CONFLICT(id) DO UPDATE"
		" SET withdrawn_s = coalesce(invitations.withdrawn_s, excluded.withdrawn_s),"
		" serial = coalesce(invitations.serial, excluded.serial)",
	[SQL_TAKE_CERTIFICATE] = "INSERT INTO enrol.certificates(serial, sensor, key_digest, not_before_s, not_after_s, revoked_s, pem)"
		" VALUES(?1, ?2, ?3, ?4, ?5, nullif(?6, CAST(0 AS bigint)), ?7) ON CONFLICT(serial) DO UPDATE"
		" SET revoked_s = coalesce(certificates.revoked_s, excluded.revoked_s)",
};
