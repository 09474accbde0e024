//! Knowledge: durable releases, operations, grants, intents, outcomes and decisions in SQLite.
