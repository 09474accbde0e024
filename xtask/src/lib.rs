//! Tidy tests (in `tests/`) hold the rules of the house that no lint can.
