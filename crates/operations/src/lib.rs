//! Paper A: the three loops generation, enforcement and regulation, pure.
