-- Questions that wait for people, and who may answer them.
DROP TABLE approval;

-- A conversation that its client has named is taken up by that name alone.
ALTER TABLE conversation ADD COLUMN named INTEGER NOT NULL DEFAULT 0 CHECK (named IN (0, 1));

CREATE TABLE approver (
    number      INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
    name        TEXT    NOT NULL UNIQUE,
    user        TEXT    NOT NULL,
    groups      TEXT    NOT NULL,
    public      TEXT    NOT NULL,
    webhook     INTEGER NOT NULL CHECK (webhook IN (0, 1)),
    enrolled_by TEXT    NOT NULL,
    signature   TEXT    NOT NULL,
    enrolled_at TEXT    NOT NULL,
    revoked_at  TEXT,
    seal        TEXT    NOT NULL
) STRICT;

CREATE TABLE question (
    id               TEXT    NOT NULL PRIMARY KEY,
    binding          TEXT    NOT NULL,
    standing         TEXT    NOT NULL,
    conversation     TEXT    NOT NULL,
    user             TEXT    NOT NULL,
    authenticated_by TEXT    NOT NULL,
    gateway_pid      INTEGER NOT NULL,
    card             TEXT    NOT NULL,
    demand           TEXT    NOT NULL,
    seal             TEXT    NOT NULL,
    opened_at        TEXT    NOT NULL,
    waited_until     TEXT    NOT NULL,
    expires_at       TEXT    NOT NULL,
    settled          TEXT    CHECK (settled IN ('used', 'denied')),
    settled_at       TEXT,
    told             INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX question_about ON question (binding, expires_at);
CREATE INDEX question_of ON question (user, authenticated_by, expires_at);

-- One answer of one person; a later one takes its place.
CREATE TABLE vote (
    question TEXT NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    user     TEXT NOT NULL,
    approver TEXT NOT NULL,
    answer   TEXT NOT NULL CHECK (answer IN ('allow', 'deny')),
    scope    TEXT NOT NULL CHECK (scope IN ('once', 'conversation', 'always')),
    message  TEXT NOT NULL,
    channel  TEXT NOT NULL CHECK (channel IN ('command', 'webhook')),
    proof    TEXT NOT NULL,
    at       TEXT NOT NULL,
    PRIMARY KEY (question, user)
) STRICT, WITHOUT ROWID;

-- What was approved for more than one call.
CREATE TABLE "grant" (
    id               TEXT NOT NULL PRIMARY KEY,
    scope            TEXT NOT NULL CHECK (scope IN ('conversation', 'always')),
    binding          TEXT NOT NULL,
    conversation     TEXT NOT NULL,
    user             TEXT NOT NULL,
    authenticated_by TEXT NOT NULL,
    what             TEXT NOT NULL,
    given            TEXT NOT NULL,
    by               TEXT NOT NULL,
    channel          TEXT NOT NULL,
    seal             TEXT NOT NULL,
    at               TEXT NOT NULL,
    expires_at       TEXT,
    revoked_at       TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX grant_about ON "grant" (binding);

-- The last approved call of each tool, redacted: what a card is compared with.
CREATE TABLE approved_call (
    user             TEXT NOT NULL,
    authenticated_by TEXT NOT NULL,
    server           TEXT NOT NULL,
    subject          TEXT NOT NULL,
    arguments        TEXT NOT NULL,
    digest           TEXT NOT NULL,
    at               TEXT NOT NULL,
    PRIMARY KEY (user, authenticated_by, server, subject)
) STRICT, WITHOUT ROWID;

-- Webhook messages that were taken, until they would be too old anyway.
CREATE TABLE webhook_message (
    id TEXT NOT NULL PRIMARY KEY,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
