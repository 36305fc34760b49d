CREATE TABLE groups (
    group_id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    etag TEXT NOT NULL,
    changed_ms BIGINT NOT NULL
);
CREATE TABLE members (
    group_id TEXT NOT NULL,
    mcptt_id TEXT NOT NULL,
    PRIMARY KEY (group_id, mcptt_id)
);
CREATE INDEX members_by_user ON members (mcptt_id);
CREATE TABLE group_keys (
    gmk_id BIGINT PRIMARY KEY,
    group_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    revoked_ms BIGINT
);
CREATE INDEX group_keys_by_group ON group_keys (group_id, revoked_ms);
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    mcptt_id TEXT NOT NULL,
    impu TEXT NOT NULL,
    selectors TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX subscriptions_expiry ON subscriptions (expires_ms);
CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT,
    group_id TEXT,
    detail TEXT
);
CREATE INDEX audit_time ON audit (at_ms);
