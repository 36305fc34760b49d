CREATE TABLE functional_aliases (
    alias TEXT PRIMARY KEY,
    mcptt_id TEXT NOT NULL,
    client_id TEXT NOT NULL
);
