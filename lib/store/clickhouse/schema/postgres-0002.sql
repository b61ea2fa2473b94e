-- What the lane's last record is, so that another one under its number is told from it: lib/store/store_private.h.
ALTER TABLE lanes ADD COLUMN last_mark bigint NOT NULL DEFAULT 0;
