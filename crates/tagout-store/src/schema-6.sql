-- What happened in a conversation, by the gateway that saw it: those who share one add up.
CREATE TABLE history (
    conversation TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
    gateway      TEXT NOT NULL,
    happened     TEXT NOT NULL,
    at           TEXT NOT NULL,
    PRIMARY KEY (conversation, gateway)
) STRICT, WITHOUT ROWID;

-- Only a client that says nothing of where its conversations begin takes one up again.
ALTER TABLE conversation ADD COLUMN begun INTEGER NOT NULL DEFAULT 1 CHECK (begun IN (0, 1));
