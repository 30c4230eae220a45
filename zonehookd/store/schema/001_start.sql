-- What we made, and for whom. Written before the thing is made (engine/applier.py); removed after it is gone.
CREATE TABLE record (
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    owner_kind TEXT NOT NULL CHECK (owner_kind IN ('network', 'gateway', 'zone')),
    owner_name TEXT NOT NULL,
    plugin TEXT NOT NULL,
    facts  TEXT NOT NULL, -- JSON object of strings
    made   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Why the records were begun anew, until every plugin has been asked what on this system bears its mark.
CREATE TABLE reclaim (
    why TEXT NOT NULL
) STRICT;
