//! Virtual time, network and devices; a fleet of real UDP devices; the papers' experiments.
