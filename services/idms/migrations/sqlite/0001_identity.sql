CREATE TABLE users (
    sub TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    mcptt_id TEXT,
    mcvideo_id TEXT,
    mcdata_id TEXT,
    scopes TEXT NOT NULL,
    disabled BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE TABLE grants (
    family TEXT PRIMARY KEY,
    sub TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    nonce TEXT,
    acr TEXT NOT NULL,
    auth_time_s BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX grants_expiry ON grants (expires_ms);
CREATE TABLE codes (
    code_hash TEXT PRIMARY KEY,
    family TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX codes_expiry ON codes (expires_ms);
CREATE TABLE refresh_tokens (
    token_hash TEXT PRIMARY KEY,
    family TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_ms);
CREATE TABLE login_attempts (
    subject TEXT PRIMARY KEY,
    attempts BIGINT NOT NULL,
    window_ends_ms BIGINT NOT NULL
);
CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    client_id TEXT,
    sub TEXT,
    address TEXT,
    detail TEXT
);
CREATE INDEX audit_time ON audit (at_ms);
