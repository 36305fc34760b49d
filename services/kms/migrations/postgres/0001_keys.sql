-- One row: the sealed master secrets and the certificate that belongs to them.
CREATE TABLE master (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    ksak BYTEA NOT NULL,
    z BYTEA NOT NULL,
    cert_uri TEXT NOT NULL,
    valid_from_ms BIGINT NOT NULL,
    valid_to_ms BIGINT NOT NULL
);
-- Issued user keys, sealed: a repeated request gets the same key set.
CREATE TABLE issued (
    uid TEXT PRIMARY KEY,
    user_uri TEXT NOT NULL,
    key_period_no BIGINT NOT NULL,
    keys BYTEA NOT NULL,
    issued_ms BIGINT NOT NULL
);
-- Certificates of other security domains.
CREATE TABLE external_certificate (
    kms_uri TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    cache_num BIGINT NOT NULL
);
CREATE TABLE audit (
    id BIGSERIAL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    correlation_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL
);
