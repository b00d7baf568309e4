-- What is in quarantine, and why. `said` and `unsaid` are the same for all that one name showed.
CREATE TABLE held (
    server   TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('tool', 'prompt', 'template', 'instructions')),
    name     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    expected TEXT,
    got      TEXT NOT NULL,
    at       TEXT NOT NULL,
    -- When it was last announced, and how often it changed since.
    said     TEXT,
    unsaid   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (server, kind, name, reason, got)
) STRICT, WITHOUT ROWID;

INSERT INTO held (server, kind, name, reason, expected, got, at, said)
SELECT server, 'tool', tool, 'definition-changed', expected, got, at, at FROM quarantine;

DROP TABLE quarantine;

-- The text of what is in quarantine, as far as it is kept.
CREATE TABLE rejected (
    server TEXT    NOT NULL,
    digest TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    bytes  INTEGER NOT NULL,
    at     TEXT    NOT NULL,
    PRIMARY KEY (server, digest)
) STRICT;

-- What is pinned and was missing from a complete list: when it comes back, it is looked at again.
-- `returned` is how often it had come back by then, as far as the lockfile said.
CREATE TABLE absent (
    server   TEXT    NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('tool', 'prompt', 'template')),
    name     TEXT    NOT NULL,
    since    TEXT    NOT NULL,
    returned INTEGER NOT NULL,
    PRIMARY KEY (server, kind, name)
) STRICT, WITHOUT ROWID;
