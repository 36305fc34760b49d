-- Users whose keys were made on demand for a peer, and users that get no keys any more.
CREATE TABLE users (
    user_uri TEXT PRIMARY KEY,
    created_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_ms BIGINT
);
CREATE INDEX users_by_creator ON users (created_by);
-- What the operator compared before a partner's certificate was taken over, and when.
ALTER TABLE external_certificate ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE external_certificate ADD COLUMN imported_ms BIGINT NOT NULL DEFAULT 0;
