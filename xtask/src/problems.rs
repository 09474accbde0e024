//! Findings of a tidy test.

use std::fmt::Display;

/// What a tidy test found; every finding names file, line and what to do.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Adds a finding on a line, counted from 1.
    pub fn line(&mut self, file: &str, line: usize, what_to_do: impl Display) {
        self.0.push(format!("{file}:{line}: {what_to_do}"));
    }

    /// Adds a finding on a whole file.
    pub fn file(&mut self, file: &str, what_to_do: impl Display) {
        self.0.push(format!("{file}: {what_to_do}"));
    }

    /// Ends the test.
    ///
    /// # Panics
    /// When anything was found; the message lists it all.
    pub fn expect_none(self) {
        assert!(self.0.is_empty(), "{} to put right:\n{}", self.0.len(), self.0.join("\n"));
    }
}
