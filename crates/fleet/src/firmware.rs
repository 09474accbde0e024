//! One hop of a firmware change on one device, over the Firmware Update object.
//!
//! Flow (LwM2M 1.1 core, E.6; invariants I2 and I9):
//! 1. read `/3/0/3` and `/5/0`; done when the version is there, reset what is left of others;
//!    read the guarded values as they are before the change;
//! 2. commit the intent, then write the package URI (pull) or the package (push);
//! 3. follow State by observation and by looking from time to time;
//! 4. on Downloaded: read, commit the intent, execute Update;
//! 5. wait until the device registers again, read version, result and guarded values back, report;
//!    do so again from time to time while it soaks.
//!
//! Success is never concluded here: enforcement assesses what is reported.

use std::collections::VecDeque;

use lwm2m::firmware::{self, Delivery, State, UpdateResult};
use lwm2m::{Leaf, Path, Value};
use model::{Fault, FaultKind, FirmwareChange, Progress, ResourcePath, Step, Time, Version};

use crate::ask::{empty_package, values};
use crate::guards::GuardReads;
use crate::{Answer, Ask, Output, Pace, Standing};

/// The machine for one device and one image.
#[derive(Debug)]
pub struct FirmwareUpdate {
    goal: FirmwareChange,
    uri: String,
    pace: Pace,
    standing: Standing,
    stage: Stage,
    seen: Seen,
    guards: GuardReads,
    /// The version that is taken back.
    undoes: Option<Version>,
    resets: u32,
    silences: u32,
    /// Whether it registered again since the transfer began.
    booted: bool,
    /// Whether it registered again since the intent was put out: what led to it is void then.
    overtaken: bool,
    /// Reads put out and not answered yet.
    reads_open: u32,
    /// Installations ordered that the device showed not to have begun.
    ineffective: u32,
    /// How often it refused to install, and how it did last.
    refused: Option<(u32, coap::Code)>,
    /// Whether it was said of the last order to install that it left.
    claimed: bool,
    /// When the order to install was last given.
    told_at: Option<Time>,
    /// When the order to transfer ended without an answer.
    unheard_at: Option<Time>,
    /// Orders to transfer given again because the device showed not to have taken them.
    repeats: u32,
    look_at: Option<Time>,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing sent; the two reads of the first look are out.
    Inspecting,
    /// An intent was put out and is not durable yet.
    Intending(Step),
    /// The reset is out.
    Resetting,
    /// The URI or the package is out or taken.
    Transferring,
    /// State was Downloaded when last heard; the read that Update depends on is out (I2).
    Confirming,
    /// Update is out or taken.
    Installing,
    /// The device is back; version and result are being read.
    ReadingBack,
    /// Nothing more to do.
    Done,
}

/// What the last looks saw. `None` is not read since the last boot.
#[derive(Debug, Clone, Default)]
struct Seen {
    version: Option<Version>,
    state: Option<State>,
    result: Option<UpdateResult>,
    delivery: Option<Delivery>,
    object_read: bool,
}

/// Resets tried before a device counts as refusing.
const RESETS_MAX: u32 = 2;
/// Silent first looks before a device counts as not answering; nothing was changed until then.
const SILENCES_MAX: u32 = 2;
/// Times that Update is ordered again on a device that came back with the image still waiting.
const INEFFECTIVE_MAX: u32 = 1;
/// Refusals to install after which it counts as refusing: the first may only have come too early.
const REFUSALS_MAX: u32 = 2;
/// Times that the transfer is ordered again on a device that shows not to have taken it.
const REPEATS_MAX: u32 = 5;

impl FirmwareUpdate {
    /// A machine for `goal`, whose image pulling devices find at `uri`.
    #[must_use]
    pub fn new(goal: FirmwareChange, uri: String, pace: Pace, standing: Standing) -> Self {
        Self {
            goal,
            uri,
            pace,
            standing,
            stage: Stage::Inspecting,
            seen: Seen::default(),
            guards: GuardReads::default(),
            undoes: None,
            resets: 0,
            silences: 0,
            booted: false,
            overtaken: false,
            reads_open: 0,
            ineffective: 0,
            refused: None,
            claimed: false,
            told_at: None,
            unheard_at: None,
            repeats: 0,
            look_at: None,
            outputs: VecDeque::new(),
        }
    }

    /// The same machine, which reads those values before the change, after it, and at each look
    /// while the device soaks.
    #[must_use]
    pub fn guarding(mut self, guards: &[ResourcePath]) -> Self {
        let looked_at =
            |path| path == firmware::RUNNING_VERSION || firmware::INSTANCE.is_prefix_of(path);
        self.guards = GuardReads::new(guards, looked_at);
        self
    }

    /// The same machine, which may take a device back from that one version (I20).
    #[must_use]
    pub fn undoing(mut self, version: Option<Version>) -> Self {
        self.undoes = version;
        self
    }

    pub(crate) fn start(&mut self, _now: Time) {
        self.stage = Stage::Inspecting;
        self.look();
    }

    /// From the moment the order leaves the device may be installing, whatever becomes of the
    /// answer: a loss from now on is no passing fault.
    pub(crate) fn handle_sent(&mut self, ask: &Ask, now: Time) {
        if self.stage == Stage::Installing && matches!(ask, Ask::Execute(..)) {
            self.claim(now);
        }
    }

    pub(crate) fn handle_answer(&mut self, ask: &Ask, answer: &Answer, now: Time) {
        if self.stage == Stage::Done {
            return;
        }
        match ask {
            Ask::Read(path) => self.read_answered(*path, answer, now),
            Ask::Observe(path) => self.handle_notification(*path, answer, now),
            Ask::Write(..) | Ask::Package(_) if self.stage == Stage::Resetting => {
                self.reset_answered(answer, now);
            }
            Ask::Write(..) | Ask::Package(_) => self.transfer_answered(answer, now),
            Ask::Execute(..) => self.install_answered(answer, now),
        }
    }

    pub(crate) fn handle_notification(&mut self, _path: Path, answer: &Answer, now: Time) {
        self.seen.take(values(answer));
        match (self.stage, self.seen.state) {
            (Stage::Transferring, Some(State::Downloaded)) => self.confirm(),
            // Idle while transferring or installing means that it ended: the result says how.
            (Stage::Transferring | Stage::Installing, Some(State::Idle)) => self.look(),
            (Stage::Installing, Some(State::Downloaded)) => self.look(),
            (Stage::Transferring, Some(State::Updating)) => self.claim(now),
            _ => {}
        }
    }

    pub(crate) fn handle_registered(&mut self, now: Time) {
        // A registration may follow a boot: what was seen before it proves nothing any more.
        self.seen = Seen::default();
        self.guards.restart();
        self.reads_open = 0;
        match self.stage {
            Stage::Done => {}
            // I2: nothing leaves on the strength of what was read before.
            Stage::Intending(_) => self.overtaken = true,
            Stage::Installing | Stage::ReadingBack => {
                self.put(Progress::Returned);
                self.stage = Stage::ReadingBack;
                self.look();
            }
            Stage::Inspecting | Stage::Transferring | Stage::Confirming | Stage::Resetting => {
                self.look();
                if matches!(self.stage, Stage::Transferring | Stage::Confirming) {
                    self.booted = true;
                    self.outputs.push_back(Output::Ask(Ask::Observe(firmware::STATE)));
                }
            }
        }
        self.look_at = Some(now + self.pace.transfer);
    }

    pub(crate) fn handle_left(&mut self, now: Time) {
        if self.stage == Stage::Inspecting {
            self.away(now);
        }
    }

    pub(crate) fn handle_contact(&mut self, now: Time) {
        if self.look_at.is_some() {
            self.look_at = Some(now);
        }
    }

    pub(crate) fn handle_committed(&mut self, step: Step, now: Time) {
        if self.stage != Stage::Intending(step) {
            return;
        }
        if std::mem::take(&mut self.overtaken) {
            self.stage = Stage::Inspecting;
            return self.look();
        }
        match step {
            Step::Reset => {
                self.stage = Stage::Resetting;
                // A device without pull has no package URI to empty.
                let ask = if self.seen.delivery == Some(Delivery::Push) {
                    Ask::Write(firmware::PACKAGE, empty_package())
                } else {
                    Ask::Write(firmware::PACKAGE_URI, Value::String(String::new()))
                };
                self.outputs.push_back(Output::Ask(ask));
            }
            Step::Transfer => self.send_transfer(now),
            Step::Install => {
                self.stage = Stage::Installing;
                self.claimed = false;
                self.told_at = Some(now);
                self.look_at = Some(now + self.pace.install);
                self.outputs.push_back(Output::Ask(Ask::Execute(firmware::UPDATE, String::new())));
            }
            Step::Configure => {}
        }
        self.standing.intents.insert(step);
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = Some(now + self.interval());
            // While a read waits behind a long push, another one would only queue up.
            if self.reads_open == 0 {
                self.look();
            }
        }
    }

    pub(crate) fn probe(&mut self, _now: Time) {
        if self.stage != Stage::Done {
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
        !matches!(self.stage, Stage::Inspecting | Stage::Intending(Step::Transfer | Step::Reset))
            || self.resets > 0
    }

    const fn interval(&self) -> std::time::Duration {
        match self.stage {
            Stage::Installing => self.pace.install,
            _ => self.pace.transfer,
        }
    }

    fn put(&mut self, progress: Progress) {
        self.outputs.push_back(Output::Progress(progress));
    }

    fn look(&mut self) {
        self.seen.version = None;
        self.seen.object_read = false;
        self.guards.renew();
        self.reads_open += 2;
        self.outputs.push_back(Output::Ask(Ask::Read(firmware::RUNNING_VERSION)));
        self.outputs.push_back(Output::Ask(Ask::Read(firmware::INSTANCE)));
    }

    fn intend(&mut self, step: Step) {
        self.stage = Stage::Intending(step);
        self.put(Progress::Sent);
        self.outputs.push_back(Output::Intend(step));
    }

    fn fail(&mut self, kind: FaultKind, detail: impl Into<String>) {
        self.put(Progress::Failed(Fault { kind, detail: detail.into() }));
        self.stage = Stage::Done;
        self.look_at = None;
    }

    fn read_answered(&mut self, path: Path, answer: &Answer, now: Time) {
        if self.guards.take(path, answer, &mut self.outputs) {
            if self.seen.object_read {
                self.judge(now);
            }
            return;
        }
        self.reads_open = self.reads_open.saturating_sub(1);
        match answer {
            Answer::Values(leaves) => {
                self.silences = 0;
                self.seen.take(leaves);
                self.seen.object_read |= path == firmware::INSTANCE;
            }
            Answer::Refused(code) if path == firmware::INSTANCE => {
                return self.fail(
                    FaultKind::Rejected,
                    format!("no readable Firmware Update object: {code}"),
                );
            }
            Answer::Refused(_) | Answer::Done => {}
            Answer::Unsent if self.stage == Stage::Inspecting => return self.away(now),
            Answer::Unsent => return self.look_at = Some(now + self.interval()),
            Answer::Garbled(_) | Answer::Silence => return self.unread(path, now),
        }
        if self.seen.object_read {
            self.judge(now);
        }
    }

    /// A read that brought nothing. Only before any change is that a fault of its own.
    fn unread(&mut self, path: Path, now: Time) {
        if path != firmware::INSTANCE {
            return;
        }
        self.silences += 1;
        // One that may be installing is silent by right; the deadline of its confirmation decides.
        let told_to_install = self.standing.intents.contains(&Step::Install);
        if self.stage == Stage::Inspecting && self.silences >= SILENCES_MAX && !told_to_install {
            return self.fail(FaultKind::NoAnswer, "did not answer the first read");
        }
        self.look_at = Some(now + self.interval());
    }

    /// The device is away before anything was sent to it: nobody's fault, unless it was there
    /// when it was asked and did not answer. Goes on at its next contact.
    fn away(&mut self, now: Time) {
        self.look_at = Some(now + self.interval());
        // An earlier try may have changed it, which only a look can tell.
        if !self.standing.intents.is_empty() {
            return;
        }
        if self.silences > 0 {
            return self.fail(FaultKind::NoAnswer, "did not answer the first read and went away");
        }
        self.put(Progress::Failed(Fault { kind: FaultKind::Away, detail: String::new() }));
    }

    /// Decides by what a complete look saw.
    fn judge(&mut self, now: Time) {
        let decides =
            matches!(self.stage, Stage::Inspecting | Stage::Resetting | Stage::Confirming);
        if decides && self.seen.version.is_none() {
            // I2: no step is decided on without the version that runs.
            self.look_at = Some(now + self.pace.transfer);
            return;
        }
        match self.stage {
            Stage::Inspecting | Stage::Resetting => self.judge_first_look(now),
            Stage::Transferring => self.judge_transfer(now),
            Stage::Confirming => self.judge_confirmation(now),
            Stage::Installing => self.judge_installation(now),
            Stage::ReadingBack => self.report(now),
            Stage::Intending(_) | Stage::Done => {}
        }
    }

    fn judge_first_look(&mut self, now: Time) {
        let told_to_install = self.standing.intents.contains(&Step::Install);
        let ours = self.standing.intents.contains(&Step::Transfer);
        if self.seen.version.as_ref() == Some(&self.goal.version) {
            if told_to_install {
                self.put(Progress::Claimed);
                self.put(Progress::Returned);
                self.stage = Stage::ReadingBack;
                return self.report(now);
            }
            self.put(Progress::Unchanged);
            // It may have to stand a soak time all the same.
            self.stage = Stage::ReadingBack;
            self.look_at = Some(now + self.pace.transfer);
            return;
        }
        if self.is_newer() {
            return self.fail_as_newer();
        }
        let before_change = self.stage == Stage::Inspecting && !told_to_install;
        if before_change && self.guards.wait(&mut self.outputs) {
            return;
        }
        match self.seen.state.unwrap_or_default() {
            State::Updating if told_to_install => self.claim(now),
            // Somebody else's installation: wait for its end; the stall deadline bounds it.
            State::Updating => self.look_at = Some(now + self.pace.transfer),
            State::Downloaded if ours => self.confirm(),
            State::Downloading if ours => {
                self.stage = Stage::Transferring;
                self.put(Progress::Accepted);
                self.outputs.push_back(Output::Ask(Ask::Observe(firmware::STATE)));
                self.look_at = Some(now + self.pace.transfer);
            }
            State::Downloaded | State::Downloading => self.reset(),
            State::Idle if told_to_install && self.seen.failure().is_some() => {
                self.put(Progress::Claimed);
                self.fail_by_result(FaultKind::UpdateFailed);
            }
            // I2: an intent to install is durable and nothing is left to install, so it may have
            // been carried out, also by a device that forgot the result. Report, never repeat.
            State::Idle if told_to_install => {
                self.put(Progress::Claimed);
                self.put(Progress::Returned);
                self.stage = Stage::ReadingBack;
                self.report(now);
            }
            State::Idle if self.chooses_pull().is_none() => self.fail(
                FaultKind::UnsupportedProtocol,
                format!(
                    "the manifest wants {:?}, which the device does not do",
                    self.goal.delivery
                ),
            ),
            State::Idle => self.intend(Step::Transfer),
        }
    }

    fn judge_transfer(&mut self, now: Time) {
        self.look_at = Some(now + self.pace.transfer);
        match self.seen.state.unwrap_or_default() {
            State::Downloaded => self.confirm(),
            State::Updating => self.claim(now),
            State::Downloading => {}
            State::Idle if self.seen.version.as_ref() == Some(&self.goal.version) => {
                // Some devices install by themselves as soon as the image is there.
                self.claim(now);
                self.stage = Stage::ReadingBack;
                self.report(now);
            }
            // Idle without a result may be just before the start; after a boot it is the end.
            State::Idle if self.seen.failure().is_some() || self.booted => {
                self.fail_by_result(FaultKind::ConnectionLost);
            }
            // The order ended on this side, and the device does nothing about it: it fell asleep in
            // the middle of a push, or never heard. To give it again harms nothing (E.6).
            State::Idle if self.is_unheard(now) => {
                self.repeats += 1;
                self.intend(Step::Transfer);
            }
            State::Idle => {}
        }
    }

    /// Whether the order to transfer ended without an answer so long ago that this look is newer.
    fn is_unheard(&self, now: Time) -> bool {
        let older = |at| now.since(at) >= self.pace.transfer;
        self.unheard_at.is_some_and(older) && self.repeats < REPEATS_MAX
    }

    /// I2: Update is sent only if the last read shows Downloaded and another version.
    fn judge_confirmation(&mut self, now: Time) {
        if self.seen.version.as_ref() == Some(&self.goal.version) {
            self.claim(now);
            self.stage = Stage::ReadingBack;
            return self.report(now);
        }
        match self.seen.state.unwrap_or_default() {
            _ if self.is_newer() => self.fail_as_newer(),
            State::Downloaded => self.intend(Step::Install),
            _ => {
                self.stage = Stage::Transferring;
                self.judge_transfer(now);
            }
        }
    }

    fn judge_installation(&mut self, now: Time) {
        self.look_at = Some(now + self.pace.install);
        if self.is_deferred() {
            return self.fail_as_deferred();
        }
        match (self.seen.state.unwrap_or_default(), self.seen.failure()) {
            (State::Updating | State::Downloading, _) => {}
            (State::Downloaded | State::Idle, Some(_)) => {
                self.fail_by_result(FaultKind::UpdateFailed)
            }
            // Still Downloaded without a result: Update has not begun, or never arrived. This look
            // is the read that I2 asks for, so the order may be given again.
            (State::Downloaded, None) => {
                if let Some((REFUSALS_MAX.., code)) = self.refused {
                    let detail = format!("answered {code} to the order to install");
                    return self.fail(FaultKind::Rejected, detail);
                }
                if self.told_at.is_some_and(|at| now.since(at) >= self.pace.install) {
                    self.intend(Step::Install);
                }
            }
            (State::Idle, None) => {
                self.stage = Stage::ReadingBack;
                self.report(now);
            }
        }
    }

    fn report(&mut self, now: Time) {
        if matches!(self.seen.state, Some(State::Updating)) {
            self.stage = Stage::Installing;
            self.look_at = Some(now + self.pace.transfer);
            return;
        }
        if self.is_deferred() {
            return self.fail_as_deferred();
        }
        let waits = self.seen.state == Some(State::Downloaded) && self.seen.failure().is_none();
        let old = self.seen.version.as_ref().is_some_and(|version| *version < self.goal.version);
        if waits && old && self.ineffective < INEFFECTIVE_MAX {
            // It came back before Update reached it: the order is due as it was before.
            self.ineffective += 1;
            return self.confirm();
        }
        if self.guards.wait(&mut self.outputs) {
            return;
        }
        let claims_success = match self.seen.result {
            Some(UpdateResult::Success) => Some(true),
            Some(result) if result.is_failure() => Some(false),
            _ => None,
        };
        self.put(Progress::Reported { version: self.seen.version.clone(), claims_success });
        // Enforcement may wait for more: a soak time, a guard, a result that comes late.
        self.look_at = Some(now + self.pace.transfer);
    }

    /// Whether it runs what is above the goal, by another way: an older image is never sent, but
    /// to undo the one version that this is for (I20).
    fn is_newer(&self) -> bool {
        let undone = self.seen.version == self.undoes;
        !undone && self.seen.version.as_ref().is_some_and(|version| *version > self.goal.version)
    }

    fn fail_as_newer(&mut self) {
        let version = self.seen.version.as_ref().map_or("", Version::as_str);
        let detail = format!("runs {version} by now, which is newer than {}", self.goal.version);
        self.fail(FaultKind::WrongVersion, detail);
    }

    /// Whether it was told to install and put it off: the image still waits, with that result.
    fn is_deferred(&self) -> bool {
        self.seen.state == Some(State::Downloaded)
            && self.seen.result == Some(UpdateResult::Deferred)
    }

    /// It may be willing later: the next try looks, finds the image and orders again.
    fn fail_as_deferred(&mut self) {
        self.fail(FaultKind::Deferred, format!("result {}", UpdateResult::Deferred));
    }

    fn confirm(&mut self) {
        self.stage = Stage::Confirming;
        self.put(Progress::Transferred);
        self.look();
    }

    fn claim(&mut self, now: Time) {
        self.stage = Stage::Installing;
        if !std::mem::replace(&mut self.claimed, true) {
            self.put(Progress::Claimed);
        }
        self.look_at = Some(now + self.pace.install);
    }

    fn reset(&mut self) {
        if self.resets >= RESETS_MAX {
            return self.fail(FaultKind::Rejected, "keeps an image of somebody else");
        }
        self.resets += 1;
        self.intend(Step::Reset);
    }

    fn send_transfer(&mut self, now: Time) {
        // Agreed on before the intent; a device that changed its mind since refuses by itself.
        let pull = self.chooses_pull().unwrap_or(true);
        self.stage = Stage::Transferring;
        self.booted = false;
        self.unheard_at = None;
        self.outputs.push_back(Output::Ask(Ask::Observe(firmware::STATE)));
        self.outputs.push_back(Output::Ask(if pull {
            Ask::Write(firmware::PACKAGE_URI, Value::String(self.uri.clone()))
        } else {
            Ask::Package(self.goal.sha256)
        }));
        self.look_at = Some(now + self.pace.transfer);
    }

    /// Whether to pull; none when manifest and device cannot agree.
    fn chooses_pull(&self) -> Option<bool> {
        let device = self.seen.delivery.unwrap_or(Delivery::Both);
        match self.goal.delivery {
            model::Delivery::Auto => Some(device.allows_pull()),
            model::Delivery::Pull => device.allows_pull().then_some(true),
            model::Delivery::Push => device.allows_push().then_some(false),
        }
    }

    fn reset_answered(&mut self, answer: &Answer, now: Time) {
        match answer {
            Answer::Refused(code) => {
                self.fail(FaultKind::Rejected, format!("refused to drop an old image: {code}"));
            }
            Answer::Unsent => {
                self.resets -= 1;
                self.begin_anew(Step::Reset, now);
            }
            _ => {
                self.look_at = Some(now + self.pace.transfer);
                self.look();
            }
        }
    }

    /// What was intended did not leave: the next contact begins with a look (I2).
    fn begin_anew(&mut self, step: Step, now: Time) {
        self.stage = Stage::Inspecting;
        self.standing.intents.remove(&step);
        self.away(now);
    }

    fn transfer_answered(&mut self, answer: &Answer, now: Time) {
        match answer {
            Answer::Done | Answer::Values(_) => {
                self.put(Progress::Accepted);
                // A pushed image is complete with the answer; notifications may be slow or absent.
                self.look_at = Some(now + self.pace.transfer);
                if !self.chooses_pull().unwrap_or(true) {
                    self.look();
                }
            }
            Answer::Refused(code) => {
                let kind = match *code {
                    coap::Code::REQUEST_ENTITY_TOO_LARGE => FaultKind::NotEnoughStorage,
                    coap::Code::UNSUPPORTED_CONTENT_FORMAT | coap::Code::NOT_ACCEPTABLE => {
                        FaultKind::UnsupportedType
                    }
                    _ => FaultKind::Rejected,
                };
                self.fail(kind, format!("answered {code} to the transfer"));
            }
            Answer::Unsent => self.begin_anew(Step::Transfer, now),
            // It may have acted: look instead of repeating.
            Answer::Garbled(_) | Answer::Silence => {
                self.unheard_at = Some(now);
                self.look_at = Some(now + self.pace.transfer);
            }
        }
    }

    fn install_answered(&mut self, answer: &Answer, now: Time) {
        if self.stage != Stage::Installing {
            return;
        }
        match answer {
            // It may be installing all the same, so the look decides.
            Answer::Refused(code) => {
                let before = self.refused.map_or(0, |(times, _)| times);
                self.refused = Some((before + 1, *code));
                return self.look();
            }
            // The order is due again as it was before, on the strength of another look (I2).
            Answer::Unsent => {
                self.stage = Stage::Confirming;
                self.look_at = Some(now + self.pace.transfer);
                return;
            }
            _ => {}
        }
        // Silence too: it may be installing already. The deadline of the confirmation decides.
        self.claim(now);
    }

    fn fail_by_result(&mut self, otherwise: FaultKind) {
        match self.seen.failure() {
            Some(result) => self.fail(fault_kind(result, otherwise), format!("result {result}")),
            None => self.fail(otherwise, "went back to idle without a result"),
        }
    }
}

impl Seen {
    fn take(&mut self, leaves: &[Leaf]) {
        for leaf in leaves {
            let number = leaf.value.as_integer();
            match leaf.path {
                firmware::RUNNING_VERSION => self.version = leaf.value.as_text().map(Version::new),
                firmware::STATE => self.state = number.and_then(State::from_number),
                firmware::RESULT => self.result = number.and_then(UpdateResult::from_number),
                firmware::DELIVERY_METHOD => self.delivery = number.and_then(Delivery::from_number),
                _ => {}
            }
        }
    }

    fn failure(&self) -> Option<UpdateResult> {
        self.result.filter(|result| result.is_failure())
    }
}

/// The fault an Update Result stands for (E.6).
const fn fault_kind(result: UpdateResult, otherwise: FaultKind) -> FaultKind {
    match result {
        UpdateResult::NotEnoughFlash => FaultKind::NotEnoughStorage,
        UpdateResult::OutOfRam => FaultKind::OutOfMemory,
        UpdateResult::ConnectionLost => FaultKind::ConnectionLost,
        UpdateResult::IntegrityFailure => FaultKind::Integrity,
        UpdateResult::UnsupportedType => FaultKind::UnsupportedType,
        UpdateResult::InvalidUri => FaultKind::InvalidAddress,
        UpdateResult::UpdateFailed => FaultKind::UpdateFailed,
        UpdateResult::UnsupportedProtocol => FaultKind::UnsupportedProtocol,
        UpdateResult::Deferred => FaultKind::Deferred,
        UpdateResult::Initial | UpdateResult::Success | UpdateResult::Cancelled => otherwise,
    }
}

#[cfg(test)]
mod tests;
