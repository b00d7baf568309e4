CREATE TABLE conversation (
    id               TEXT    NOT NULL PRIMARY KEY,
    user             TEXT    NOT NULL,
    authenticated_by TEXT    NOT NULL,
    transport        TEXT    NOT NULL,
    client           TEXT    NOT NULL,
    gateway_pid      INTEGER NOT NULL,
    opened_at        TEXT    NOT NULL,
    touched_at       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX conversation_of ON conversation (authenticated_by, user, touched_at);

CREATE TABLE definition (
    digest TEXT NOT NULL PRIMARY KEY,
    text   TEXT NOT NULL
) STRICT;

CREATE TABLE approval (
    id           TEXT NOT NULL PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversation (id),
    user             TEXT NOT NULL,
    authenticated_by TEXT NOT NULL,
    call         TEXT NOT NULL,
    answer       TEXT NOT NULL CHECK (answer IN ('allow', 'deny')),
    by           TEXT NOT NULL,
    channel      TEXT NOT NULL,
    at           TEXT NOT NULL,
    used_at      TEXT
) STRICT;

CREATE INDEX approval_in ON approval (conversation, at);

CREATE TABLE quarantine (
    server   TEXT NOT NULL,
    tool     TEXT NOT NULL,
    expected TEXT,
    got      TEXT NOT NULL,
    at       TEXT NOT NULL,
    PRIMARY KEY (server, tool, got)
) STRICT, WITHOUT ROWID;
