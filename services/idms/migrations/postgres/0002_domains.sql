-- Security tokens of partner domains that were redeemed, until they cannot be used any more.
CREATE TABLE assertions (
    id TEXT PRIMARY KEY,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX assertions_expiry ON assertions (expires_ms);
-- MC service IDs that get no token here, whoever asserts them.
CREATE TABLE revocations (
    mcptt_id TEXT PRIMARY KEY,
    revoked_ms BIGINT NOT NULL
);
