-- Who agreed to what going where.
CREATE TABLE consent (
    user             TEXT    NOT NULL,
    authenticated_by TEXT    NOT NULL,
    kind             TEXT    NOT NULL CHECK (kind IN ('server', 'model')),
    recipient        TEXT    NOT NULL,
    identity         TEXT    NOT NULL,
    agreed_at        TEXT    NOT NULL,
    by               TEXT    NOT NULL,
    channel          TEXT    NOT NULL,
    record           INTEGER NOT NULL,
    -- When it was taken back: what was approved before gives it no more.
    revoked_at       TEXT,
    PRIMARY KEY (user, authenticated_by, kind, recipient)
) STRICT, WITHOUT ROWID;
