CREATE TABLE registrations (
    impu TEXT PRIMARY KEY,
    contact TEXT NOT NULL,
    flow TEXT NOT NULL,
    transport TEXT NOT NULL,
    mcptt_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    expires_unix_s BIGINT NOT NULL
);
CREATE TABLE affiliations (
    mcptt_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    PRIMARY KEY (mcptt_id, client_id, group_id)
);
