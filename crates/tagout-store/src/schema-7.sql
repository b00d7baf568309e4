-- What was said in a session of the assistant. `head` and `sealed` are boxes that only the key
-- opens; each is bound to the columns beside it, and a turn to the turn before.
CREATE TABLE session (
    id               TEXT    NOT NULL PRIMARY KEY,
    user             TEXT    NOT NULL,
    authenticated_by TEXT    NOT NULL,
    -- Which key it is sealed under; says nothing about the key.
    key              TEXT    NOT NULL,
    updated_at       TEXT    NOT NULL,
    turns            INTEGER NOT NULL,
    head             BLOB    NOT NULL
) STRICT;

CREATE INDEX session_of ON session (user, authenticated_by, updated_at);

CREATE TABLE turn (
    session  TEXT    NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    sealed   BLOB    NOT NULL,
    PRIMARY KEY (session, position)
) STRICT;
