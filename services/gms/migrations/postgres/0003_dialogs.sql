-- The SUBSCRIBE that made the dialog, without body and with our tag; empty for one of before.
ALTER TABLE subscriptions ADD COLUMN dialog TEXT NOT NULL DEFAULT '';
