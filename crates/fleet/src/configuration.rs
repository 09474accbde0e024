//! A configuration change on one device: resource writes, read back.

use std::collections::VecDeque;

use lwm2m::Path;
use model::{Fault, FaultKind, Progress, ResourcePath, Scalar, Step, Time, Version};

use crate::ask::values;
use crate::guards::GuardReads;
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
    guards: GuardReads,
    /// Whether it was told that the device holds what was written.
    returned: bool,
    /// Whether a write has left for the device.
    touched: bool,
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
            guards: GuardReads::default(),
            returned: false,
            touched: false,
            silences: 0,
            look_at: None,
            outputs: VecDeque::new(),
        }
    }

    /// The same machine, which reads those values before the change, after it, and at each look
    /// while the device soaks.
    #[must_use]
    pub fn guarding(mut self, guards: &[ResourcePath]) -> Self {
        let writes = &self.writes;
        let looked_at = |path| writes.iter().any(|entry| entry.path == path);
        self.guards = GuardReads::new(guards, looked_at);
        self
    }

    pub(crate) fn start(&mut self, _now: Time) {
        self.stage = Stage::Inspecting;
        self.look();
    }

    pub(crate) const fn handle_sent(&mut self, ask: &Ask) {
        self.touched |= ask.changes_device();
    }

    pub(crate) fn handle_left(&mut self, now: Time) {
        if self.stage == Stage::Inspecting {
            self.away(now);
        }
    }

    pub(crate) fn handle_answer(&mut self, ask: &Ask, answer: &Answer, now: Time) {
        match (ask, self.stage) {
            (Ask::Read(path), Stage::Inspecting | Stage::ReadingBack) => {
                self.read_answered(*path, answer, now);
            }
            // A late answer to an earlier write says nothing about this one.
            (Ask::Write(path, _), Stage::Writing { at }) if self.writes[at].path == *path => {
                self.write_answered(at, answer, now);
            }
            _ => {}
        }
    }

    pub(crate) fn handle_registered(&mut self, now: Time) {
        // What was asked before is not answered any more, so it is asked again.
        self.guards.restart();
        if !matches!(self.stage, Stage::Intending | Stage::Done) {
            self.look_at = Some(now);
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
        self.guards.renew();
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

    /// The device is away: nobody's fault before anything was sent to it, unless it was there
    /// when it was asked and did not answer. Goes on at its next contact.
    fn away(&mut self, now: Time) {
        self.look_at = Some(now + self.pace.transfer);
        if self.touched {
            return;
        }
        if self.silences > 0 {
            let detail = "did not answer the first read and went away".to_owned();
            return self.fail(FaultKind::NoAnswer, detail);
        }
        self.put(Progress::Failed(Fault { kind: FaultKind::Away, detail: String::new() }));
    }

    fn read_answered(&mut self, path: Path, answer: &Answer, now: Time) {
        if self.guards.take(path, answer, &mut self.outputs) {
            return self.judge_complete(now);
        }
        match answer {
            Answer::Unsent if self.stage == Stage::Inspecting => return self.away(now),
            Answer::Unsent => return self.look_at = Some(now + self.pace.transfer),
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
        self.judge_complete(now);
    }

    fn judge_complete(&mut self, now: Time) {
        if self.writes.iter().all(|entry| entry.read) {
            self.judge(now);
        }
    }

    fn judge(&mut self, now: Time) {
        let mut different: Vec<&Entry> =
            self.writes.iter().filter(|entry| !entry.holds()).collect();
        // After the writes a resource that cannot be read is believed; it hides no other one.
        different.sort_by_key(|entry| entry.seen.is_none());
        match (self.stage, different.first()) {
            (Stage::Inspecting, None) => {
                self.put(Progress::Unchanged);
                // It may have to stand a soak time all the same.
                self.stage = Stage::ReadingBack;
                self.look_at = Some(now + self.pace.transfer);
            }
            (Stage::Inspecting, Some(_)) => {
                if self.guards.wait(&mut self.outputs) {
                    return;
                }
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
                // Guarded values count from here on, so they are read after it was said.
                if !std::mem::replace(&mut self.returned, true) {
                    self.put(Progress::Returned);
                }
                if self.guards.wait(&mut self.outputs) {
                    return;
                }
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
            Answer::Unsent => self.away(now),
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
        let (Some(seen), wanted) = (&self.seen, &self.wanted) else { return false };
        if let (Scalar::Integer(_) | Scalar::Boolean(_), Scalar::Integer(_) | Scalar::Boolean(_)) =
            (seen, wanted)
        {
            return seen.as_integer() == wanted.as_integer();
        }
        if matches!((seen, wanted), (Scalar::Text(_), Scalar::Text(_))) {
            return seen == wanted;
        }
        match (number(seen), number(wanted)) {
            // Single precision and six printed decimals are what devices keep of a number.
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0),
            _ => seen.to_string() == wanted.to_string(),
        }
    }
}

/// The number that a value is, or that its text spells.
fn number(scalar: &Scalar) -> Option<f64> {
    match scalar {
        Scalar::Float(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "compared within a millionth")]
        Scalar::Integer(number) => Some(*number as f64),
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Boolean(flag) => Some(f64::from(u8::from(*flag))),
    }
}

#[cfg(test)]
mod tests {
    use lwm2m::Leaf;

    use super::*;

    const FIRST: Path = Path::resource(3, 0, 14);
    const SECOND: Path = Path::resource(3, 0, 15);

    fn machine(writes: &[(Path, Scalar)]) -> ConfigurationWrite {
        let writes: Vec<(ResourcePath, Scalar)> = writes
            .iter()
            .map(|(path, value)| (path.to_string().try_into().unwrap(), value.clone()))
            .collect();
        let mut machine = ConfigurationWrite::new(&writes, Version::new("2"), Pace::default());
        machine.start(Time::ZERO);
        machine
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.into())
    }

    /// Drains the outputs, commits every intent, answers by `answer`, and returns what was told.
    fn settle(
        machine: &mut ConfigurationWrite,
        mut answer: impl FnMut(&Ask) -> Answer,
    ) -> Vec<Progress> {
        let mut told = Vec::new();
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Ask(ask) => {
                    let answer = answer(&ask);
                    machine.handle_answer(&ask, &answer, Time::ZERO);
                }
                Output::Intend(step) => machine.handle_committed(step, Time::ZERO),
                Output::Progress(progress) => told.push(progress),
            }
        }
        told
    }

    fn holds(path: Path, value: &str) -> Answer {
        Answer::Values(vec![Leaf::new(path, lwm2m::Value::String(value.to_owned()))])
    }

    /// I9: what was written counts only when it is read back, as far as it can be read.
    #[test]
    fn an_unreadable_resource_hides_no_wrong_one() {
        let mut machine = machine(&[(FIRST, text("+01:00")), (SECOND, text("Europe/Paris"))]);
        let told = settle(&mut machine, |ask| match ask {
            Ask::Read(path) if *path == FIRST => Answer::Refused(coap::Code::METHOD_NOT_ALLOWED),
            Ask::Read(path) => holds(*path, "Europe/London"),
            _ => Answer::Done,
        });
        assert!(
            matches!(
                told.last(),
                Some(Progress::Failed(Fault { kind: FaultKind::WrongVersion, .. }))
            ),
            "{told:?}"
        );
    }

    #[test]
    fn a_late_answer_to_one_write_is_not_taken_for_the_next() {
        let mut machine = machine(&[(FIRST, text("a")), (SECOND, text("b"))]);
        let mut writes = Vec::new();
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Ask(Ask::Read(path)) => {
                    machine.handle_answer(&Ask::Read(path), &holds(path, "old"), Time::ZERO);
                }
                Output::Ask(ask) => writes.push(ask),
                Output::Intend(step) => machine.handle_committed(step, Time::ZERO),
                Output::Progress(_) => {}
            }
        }
        // The first write is slow, is sent again, and then both are answered.
        machine.handle_timeout(Time::from_secs(100));
        machine.handle_answer(&writes[0], &Answer::Done, Time::ZERO);
        machine.handle_answer(&writes[0], &Answer::Done, Time::ZERO);
        assert_eq!(machine.stage, Stage::Writing { at: 1 });
    }

    #[test]
    fn what_was_asked_before_a_registration_is_asked_again() {
        let mut machine = machine(&[(FIRST, text("a"))]);
        while machine.poll_output().is_some() {}
        machine.handle_registered(Time::from_secs(5));
        assert_eq!(machine.poll_timeout(), Some(Time::from_secs(5)));
        machine.handle_timeout(Time::from_secs(5));
        assert!(matches!(machine.poll_output(), Some(Output::Ask(Ask::Read(_)))));
    }

    #[test]
    fn values_compare_as_what_they_are() {
        let check = |seen: Scalar, wanted: Scalar, expected: bool| {
            let entry = Entry { path: FIRST, wanted, seen: Some(seen), read: true };
            assert_eq!(entry.holds(), expected, "{entry:?}");
        };
        check(Scalar::Float(0.9), Scalar::Float(0.5), false);
        check(Scalar::Float(f64::from(0.1_f32)), Scalar::Float(0.1), true);
        check(Scalar::Integer(300), Scalar::Float(300.0), true);
        check(Scalar::Float(300.5), Scalar::Integer(300), false);
        check(Scalar::Integer(i64::MAX), Scalar::Integer(i64::MAX - 1), false);
        check(Scalar::Integer(1), Scalar::Boolean(true), true);
        check(text("0.50"), Scalar::Float(0.5), true);
        check(text("1"), Scalar::Boolean(true), true);
        check(text("true"), Scalar::Boolean(true), true);
        check(text("a"), text("b"), false);
        check(text("1.0"), text("1.00"), false);
    }
}
