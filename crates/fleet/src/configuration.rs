//! A configuration change on one device: resource writes, read back.

use std::collections::VecDeque;

use lwm2m::Path;
use model::{Fault, FaultKind, Progress, ResourcePath, Scalar, Step, Time, Version};

use crate::ask::values;
use crate::{Answer, Ask, Output, Pace};

/// The machine for one device and one configuration.
///
/// Reads every resource first, writes those that differ after the intent is durable, reads them
/// back and reports. Writing a value twice does no harm, so a restart simply begins again.
#[derive(Debug)]
pub struct ConfigurationWrite {
    writes: Vec<Entry>,
    version: Version,
    pace: Pace,
    stage: Stage,
    silences: u32,
    look_at: Option<Time>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Entry {
    path: Path,
    wanted: Scalar,
    seen: Option<Scalar>,
    read: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Inspecting,
    Intending,
    Writing { at: usize },
    ReadingBack,
    Done,
}

/// Silent first looks before a device counts as not answering.
const SILENCES_MAX: u32 = 2;

impl ConfigurationWrite {
    /// A machine that brings `writes`, known as `version`.
    #[must_use]
    pub fn new(writes: &[(ResourcePath, Scalar)], version: Version, pace: Pace) -> Self {
        let writes = writes
            .iter()
            .filter_map(|(path, wanted)| {
                let path = path.as_str().parse().ok()?;
                Some(Entry { path, wanted: wanted.clone(), seen: None, read: false })
            })
            .collect();
        Self {
            writes,
            version,
            pace,
            stage: Stage::Inspecting,
            silences: 0,
            look_at: None,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) fn start(&mut self, _now: Time) {
        self.stage = Stage::Inspecting;
        self.look();
    }

    pub(crate) fn handle_answer(&mut self, ask: &Ask, answer: &Answer, now: Time) {
        match (ask, self.stage) {
            (Ask::Read(path), Stage::Inspecting | Stage::ReadingBack) => {
                self.read_answered(*path, answer, now);
            }
            (Ask::Write(..), Stage::Writing { at }) => self.write_answered(at, answer, now),
            _ => {}
        }
    }

    pub(crate) fn handle_contact(&mut self, now: Time) {
        if self.look_at.is_some() {
            self.look_at = Some(now);
        }
    }

    pub(crate) fn handle_committed(&mut self, step: Step, now: Time) {
        if step == Step::Configure && self.stage == Stage::Intending {
            self.write_next(0, now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = Some(now + self.pace.transfer);
            match self.stage {
                Stage::Writing { at } => self.write_next(at, now),
                Stage::Inspecting | Stage::ReadingBack => self.look(),
                Stage::Intending | Stage::Done => {}
            }
        }
    }

    pub(crate) fn probe(&mut self, _now: Time) {
        if self.stage == Stage::ReadingBack {
            self.look();
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Time> {
        self.look_at
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) const fn has_touched_device(&self) -> bool {
        matches!(self.stage, Stage::Writing { .. } | Stage::ReadingBack)
    }

    fn put(&mut self, progress: Progress) {
        self.outputs.push_back(Output::Progress(progress));
    }

    fn look(&mut self) {
        for entry in &mut self.writes {
            entry.read = false;
            self.outputs.push_back(Output::Ask(Ask::Read(entry.path)));
        }
    }

    fn fail(&mut self, kind: FaultKind, detail: String) {
        self.put(Progress::Failed(Fault { kind, detail }));
        self.stage = Stage::Done;
        self.look_at = None;
    }

    fn read_answered(&mut self, path: Path, answer: &Answer, now: Time) {
        match answer {
            Answer::Silence | Answer::Garbled(_) => {
                self.silences += 1;
                if self.stage == Stage::Inspecting && self.silences >= SILENCES_MAX {
                    return self
                        .fail(FaultKind::NoAnswer, format!("did not answer the read of {path}"));
                }
                self.look_at = Some(now + self.pace.transfer);
                return;
            }
            // A resource may be writable and not readable; it is then written and believed.
            Answer::Refused(_) | Answer::Done | Answer::Values(_) => {}
        }
        let seen = values(answer)
            .iter()
            .find(|leaf| leaf.path == path)
            .and_then(|leaf| crate::scalar(&leaf.value));
        if let Some(entry) = self.writes.iter_mut().find(|entry| entry.path == path) {
            entry.read = true;
            entry.seen = seen;
        }
        if self.writes.iter().all(|entry| entry.read) {
            self.judge(now);
        }
    }

    fn judge(&mut self, now: Time) {
        let different = self.writes.iter().find(|entry| !entry.holds());
        match (self.stage, different) {
            (Stage::Inspecting, None) => {
                self.put(Progress::Unchanged);
                self.stage = Stage::Done;
                self.look_at = None;
            }
            (Stage::Inspecting, Some(_)) => {
                self.stage = Stage::Intending;
                self.look_at = None;
                self.put(Progress::Sent);
                self.outputs.push_back(Output::Intend(Step::Configure));
            }
            (_, Some(Entry { path, wanted, seen: Some(seen), .. })) => {
                let detail = format!("{path} reads {seen} after {wanted} was written");
                self.fail(FaultKind::WrongVersion, detail);
            }
            (_, _) => {
                self.put(Progress::Returned);
                self.put(Progress::Reported {
                    version: Some(self.version.clone()),
                    claims_success: Some(true),
                });
                self.look_at = Some(now + self.pace.transfer);
            }
        }
    }

    fn write_next(&mut self, at: usize, now: Time) {
        let next = self.writes.iter().enumerate().skip(at).find(|(_, entry)| !entry.holds());
        let Some((at, entry)) = next else {
            self.put(Progress::Claimed);
            self.stage = Stage::ReadingBack;
            return self.look();
        };
        let ask = Ask::Write(entry.path, crate::value(&entry.wanted));
        self.stage = Stage::Writing { at };
        self.look_at = Some(now + self.pace.install);
        self.outputs.push_back(Output::Ask(ask));
    }

    fn write_answered(&mut self, at: usize, answer: &Answer, now: Time) {
        match answer {
            Answer::Refused(code) => {
                let path = self.writes[at].path;
                self.fail(FaultKind::Rejected, format!("answered {code} to the write of {path}"));
            }
            // Unknown whether it acted; the same write again does no harm.
            Answer::Silence | Answer::Garbled(_) => self.look_at = Some(now + self.pace.transfer),
            Answer::Done | Answer::Values(_) => {
                self.put(Progress::Accepted);
                self.write_next(at + 1, now);
            }
        }
    }
}

impl Entry {
    /// Whether the device has the wanted value. Numbers compare as numbers: a device may answer
    /// 300 for 300.0.
    fn holds(&self) -> bool {
        match (&self.seen, &self.wanted) {
            (None, _) => false,
            (Some(Scalar::Text(seen)), Scalar::Text(wanted)) => seen == wanted,
            (Some(Scalar::Text(seen)), wanted) => **seen == *wanted.to_string(),
            (Some(seen), Scalar::Text(wanted)) => **wanted == *seen.to_string(),
            (Some(seen), wanted) => seen.as_integer() == wanted.as_integer(),
        }
    }
}
