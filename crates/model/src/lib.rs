//! Nouns of the product: devices, releases, operations, decisions; identifiers and time.
