-- What was observed at each look at an operation under evidence. The decisions are recomputed
-- from these rows.

CREATE TABLE looks (
    operation INTEGER NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
    number INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (operation, number)
) STRICT, WITHOUT ROWID;
