CREATE TABLE key (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    groups     TEXT NOT NULL,
    hash       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    used_on    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX key_named ON key (name);

-- Counts the changes that decide who gets in, so that others see one by reading one number. Use
-- is none of them.
CREATE TABLE key_changes (
    only  INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    count INTEGER NOT NULL
) STRICT;

INSERT INTO key_changes (only, count) VALUES (1, 0);

CREATE TRIGGER key_added AFTER INSERT ON key
BEGIN UPDATE key_changes SET count = count + 1; END;

CREATE TRIGGER key_changed AFTER UPDATE OF id, name, groups, hash, created_at, expires_at, revoked_at ON key
BEGIN UPDATE key_changes SET count = count + 1; END;

CREATE TRIGGER key_removed AFTER DELETE ON key
BEGIN UPDATE key_changes SET count = count + 1; END;
