-- Columns hold what is searched, ordered or counted; `doc` holds the whole record as JSON.
-- Times are microseconds since 1970-01-01T00:00:00Z.
-- References are checked at the end of a batch, so that its records may come in any order.

CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE registrations (
    device INTEGER PRIMARY KEY REFERENCES devices DEFERRABLE INITIALLY DEFERRED,
    driver TEXT NOT NULL,
    address TEXT NOT NULL,
    location TEXT NOT NULL,
    details TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE releases (
    id INTEGER PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE operations (
    id INTEGER PRIMARY KEY,
    release INTEGER NOT NULL REFERENCES releases DEFERRABLE INITIALLY DEFERRED,
    state TEXT NOT NULL,
    last_decision INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE assignments (
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    device INTEGER NOT NULL REFERENCES devices DEFERRABLE INITIALLY DEFERRED,
    element INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    in_flight INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (operation, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX assignments_in_flight ON assignments (device, operation) WHERE in_flight = 1;

-- The four tables of history share one numbering: `position` grows with every row committed to
-- any of them, so that what came first is known without trusting a clock.

CREATE TABLE grants (
    position INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    element INTEGER NOT NULL,
    size INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (operation, element)
) STRICT;

CREATE TABLE intents (
    position INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    device INTEGER NOT NULL REFERENCES devices DEFERRABLE INITIALLY DEFERRED,
    attempt INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE INDEX intents_by_device ON intents (device, position);
CREATE INDEX intents_by_operation ON intents (operation, device, attempt, position);

CREATE TABLE outcomes (
    position INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    device INTEGER NOT NULL REFERENCES devices DEFERRABLE INITIALLY DEFERRED,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE INDEX outcomes_by_device ON outcomes (device, position);
CREATE INDEX outcomes_by_operation ON outcomes (operation, position);

CREATE TABLE decisions (
    position INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    seq INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    speed INTEGER,
    at_us INTEGER NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (operation, seq)
) STRICT;

CREATE TABLE accepted (
    key TEXT PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
