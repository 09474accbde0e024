-- Signals of the business that an operation counts, until its next look and for the record. A
-- device is followed no further after one, so that there is one at most.

CREATE TABLE signals (
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    device INTEGER NOT NULL REFERENCES devices DEFERRABLE INITIALLY DEFERRED,
    at_us INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (operation, device)
) STRICT, WITHOUT ROWID;
