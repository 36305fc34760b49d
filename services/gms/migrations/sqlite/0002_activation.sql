-- First second a key is sent under, since the Unix epoch; 0 for at once.
ALTER TABLE group_keys ADD COLUMN activation_s BIGINT NOT NULL DEFAULT 0;
