-- When members are to be told that a replaced key is revoked, milliseconds since 1970; NULL when that
-- is done, or is not to be.
ALTER TABLE group_keys ADD COLUMN tell_revoked_ms BIGINT;
