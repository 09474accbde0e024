//! Guarded values: read before a change, after it, and while it soaks.

use std::collections::VecDeque;

use lwm2m::Path;
use model::ResourcePath;

use crate::{Answer, Ask, Output};

/// The reads of guarded values, one after another.
///
/// What they bring goes into the device's datamodel with every other answer; a procedure only
/// waits until each was answered in some way. A missing value is neutral: a refused read is as
/// good as an answered one, and one without an answer is not asked again in the same attempt.
#[derive(Debug, Default)]
pub(crate) struct GuardReads {
    paths: Vec<Path>,
    /// The read that is out.
    asked: Option<Path>,
    /// Whether all were answered since they were last asked for anew.
    fresh: bool,
}

impl GuardReads {
    /// Reads of `guards`, but not of what the procedure's own looks bring along.
    pub(crate) fn new(guards: &[ResourcePath], is_looked_at: impl Fn(Path) -> bool) -> Self {
        let mut paths: Vec<Path> = Vec::new();
        for guard in guards {
            if let Ok(path) = guard.as_str().parse()
                && !is_looked_at(path)
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        }
        Self { paths, asked: None, fresh: false }
    }

    /// Whether something is still to be answered; puts the first read out when none is.
    pub(crate) fn wait(&mut self, outputs: &mut VecDeque<Output>) -> bool {
        if self.fresh || self.paths.is_empty() {
            return false;
        }
        if self.asked.is_none() {
            self.ask(self.paths.first().copied(), outputs);
        }
        true
    }

    /// Takes an answer and puts the next read out. Returns whether it was one to these reads.
    pub(crate) fn take(
        &mut self,
        path: Path,
        answer: &Answer,
        outputs: &mut VecDeque<Output>,
    ) -> bool {
        if self.asked != Some(path) {
            return false;
        }
        let at = self.paths.iter().position(|known| *known == path).unwrap_or_default();
        let next = self.paths.get(at + 1).copied();
        if *answer == Answer::Silence {
            self.paths.remove(at);
        }
        self.ask(next, outputs);
        true
    }

    /// A new look wants new values.
    pub(crate) const fn renew(&mut self) {
        self.fresh = false;
    }

    /// The device registered: what was asked before is not answered any more.
    pub(crate) const fn restart(&mut self) {
        self.asked = None;
        self.fresh = false;
    }

    fn ask(&mut self, path: Option<Path>, outputs: &mut VecDeque<Output>) {
        self.asked = path;
        self.fresh = path.is_none();
        outputs.extend(path.map(|path| Output::Ask(Ask::Read(path))));
    }
}
