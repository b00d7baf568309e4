-- What is in quarantine, and why.
CREATE TABLE held (
    server   TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('tool', 'prompt', 'template', 'instructions')),
    name     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    expected TEXT,
    got      TEXT NOT NULL,
    at       TEXT NOT NULL,
    PRIMARY KEY (server, kind, name, reason, got)
) STRICT, WITHOUT ROWID;

INSERT INTO held (server, kind, name, reason, expected, got, at)
SELECT server, 'tool', tool, 'definition-changed', expected, got, at FROM quarantine;

DROP TABLE quarantine;

-- What is pinned and was missing from a complete list: when it comes back, it is looked at again.
CREATE TABLE absent (
    server TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('tool', 'prompt', 'template')),
    name   TEXT NOT NULL,
    since  TEXT NOT NULL,
    PRIMARY KEY (server, kind, name)
) STRICT, WITHOUT ROWID;
