//! The journal: what happens in the engine, in the words of the HTTP interface.
//!
//! Keeps the newest events in memory and hands them to any number of listeners. A listener holds
//! nothing but the number of the last event it saw, so a slow one costs no memory; one that comes
//! too late is told how much it missed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::{CountsView, DecisionView, DeviceRef, Event, EventKind, OperationRef, ReleaseRef};
use engine::Engine;
use model::{AttemptState, Device, DeviceId, Fleet, Hold, OperationId, Presence, Time, Version};
use tokio::sync::watch;

/// Events since the start, newest kept.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

/// A listener.
#[derive(Debug)]
pub(crate) struct Subscription {
    journal: Arc<Journal>,
    last: u64,
    news: watch::Receiver<u64>,
}

#[derive(Debug)]
struct State {
    /// Number of the first event of this run.
    first: u64,
    next: u64,
    at: Time,
    events: VecDeque<Arc<Event>>,
    devices: BTreeMap<DeviceId, Seen>,
    progress: BTreeMap<OperationId, Paced>,
    /// The last decision on operations that have not ended.
    sentences: BTreeMap<OperationId, String>,
}

/// What listeners were last told about a device.
#[derive(Debug, PartialEq)]
struct Seen {
    presence: Presence,
    version: Option<Version>,
    hold: Option<Hold>,
    identified: bool,
}

/// When listeners were last told how far an operation is, and what.
#[derive(Debug, Default)]
struct Paced {
    at: Option<Time>,
    told: Option<EventKind>,
    owed: bool,
}

impl Journal {
    /// Starts empty. Numbers begin with the time in microseconds, so that they go on growing over
    /// restarts.
    pub(crate) fn new(now: Time) -> Self {
        let first = now.as_micros().max(1);
        let state = State {
            first,
            next: first,
            at: now,
            events: VecDeque::new(),
            devices: BTreeMap::new(),
            progress: BTreeMap::new(),
            sentences: BTreeMap::new(),
        };
        Self { state: Mutex::new(state), newest: watch::Sender::new(first - 1) }
    }

    /// Takes note of the devices known from before, so that only what changes from now on is
    /// told.
    pub(crate) fn learn(&self, fleet: &Fleet) {
        let mut state = self.lock();
        state.devices = fleet.iter().map(|device| (device.id, Seen::of(device))).collect();
    }

    /// Tells that the server listens.
    pub(crate) fn announce(&self, http: &str, coap: &str, now: Time) {
        let kind = EventKind::ServerReady {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            http: http.to_owned(),
            coap: coap.to_owned(),
        };
        self.lock().push(kind, now);
        self.wake();
    }

    /// Takes note of an event of the engine.
    pub(crate) fn note(&self, engine: &Engine, event: &engine::Event, now: Time) {
        let mut state = self.lock();
        match event {
            engine::Event::DeviceRegistered { device, .. } => {
                if let Some(known) = engine.fleet().device(*device) {
                    state.registered(known, now);
                    state.observe(known, now);
                }
            }
            engine::Event::DeviceChanged { device } | engine::Event::DeviceLeft { device, .. } => {
                if let Some(known) = engine.fleet().device(*device) {
                    state.observe(known, now);
                }
            }
            engine::Event::Operation(event) => state.operation(engine, event, now),
            // The one who gave the order is told, nobody else.
            engine::Event::Answered { .. } => {}
        }
        drop(state);
        self.wake();
    }

    /// Tells of a signal of the business about a device.
    pub(crate) fn signal(
        &self,
        device: DeviceRef,
        signal: &str,
        text: String,
        by: String,
        now: Time,
    ) {
        self.lock()
            .push(EventKind::DeviceSignal { device, signal: signal.to_owned(), text, by }, now);
        self.wake();
    }

    /// Tells of what the user or owner of a device said to an operation.
    pub(crate) fn consent(
        &self,
        device: DeviceRef,
        operation: OperationId,
        from: Option<Time>,
        by: String,
        reason: String,
        now: Time,
    ) {
        let (operation, from) = (operation.into(), from.map(Into::into));
        self.lock().push(EventKind::DeviceConsent { device, operation, from, by, reason }, now);
        self.wake();
    }

    /// Whether progress was held back that [`Journal::settle`] would tell.
    pub(crate) fn is_owing(&self) -> bool {
        self.lock().progress.values().any(|paced| paced.owed)
    }

    /// Tells the progress that was held back.
    pub(crate) fn settle(&self, engine: &Engine, now: Time) {
        let mut state = self.lock();
        let owed: Vec<OperationId> =
            state.progress.iter().filter(|(_, paced)| paced.owed).map(|(id, _)| *id).collect();
        for operation in owed {
            state.progress(engine, operation, Urgency::Paced, now);
        }
        drop(state);
        self.wake();
    }

    /// Listens: to what follows the event of that number, or to what happens from now on.
    pub(crate) fn subscribe(self: &Arc<Self>, after: Option<u64>) -> Subscription {
        let news = self.newest.subscribe();
        let last = after.unwrap_or_else(|| *news.borrow());
        Subscription { journal: Arc::clone(self), last, news }
    }

    /// What follows the event of that number, oldest first, bounded.
    fn after(&self, last: u64) -> Vec<Arc<Event>> {
        let state = self.lock();
        let newest = state.next - 1;
        let oldest = state.events.front().map_or(state.next, |event| event.id);
        let mut found = Vec::new();
        let (from, missed) = if last > newest {
            // Not from here: the clock was set back between two runs.
            (state.next, Some(None))
        } else if last + 1 < state.first {
            // From an earlier run; what happened between is not known any more.
            (oldest, Some(None))
        } else if last + 1 < oldest {
            (oldest, Some(Some(oldest - last - 1)))
        } else {
            (last + 1, None)
        };
        if let Some(events) = missed {
            let kind = EventKind::Missed { events };
            found.push(Arc::new(Event { id: from - 1, at: state.at.into(), kind }));
        }
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        found.extend(state.events.iter().skip(skip).take(EVENTS_AT_ONCE_MAX).cloned());
        found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let newest = self.lock().next - 1;
        self.newest.send_if_modified(|known| {
            let changed = *known != newest;
            *known = newest;
            changed
        });
    }
}

impl Subscription {
    /// Waits for the next events; there is at least one. None when the journal is gone.
    pub(crate) async fn next(&mut self) -> Option<Vec<Arc<Event>>> {
        loop {
            self.news.mark_unchanged();
            let events = self.journal.after(self.last);
            if let Some(newest) = events.last() {
                self.last = newest.id;
                return Some(events);
            }
            self.news.changed().await.ok()?;
        }
    }

    /// Takes all that has happened until now as seen.
    pub(crate) fn skip_to_newest(&mut self) {
        self.last = *self.news.borrow_and_update();
    }
}

/// Whether progress may wait for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    Paced,
    AtOnce,
}

impl State {
    fn push(&mut self, kind: EventKind, now: Time) {
        let event = Event { id: self.next, at: now.into(), kind };
        self.next += 1;
        self.at = now;
        self.events.push_back(Arc::new(event));
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    fn registered(&mut self, device: &Device, now: Time) {
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        let model = device
            .model
            .is_some()
            .then(|| format!("{} / {}", text(&device.manufacturer), text(&device.model)));
        let version = device.version.as_ref().map(ToString::to_string);
        self.push(EventKind::DeviceRegistered { device: device.into(), model, version }, now);
        self.devices.entry(device.id).or_insert_with(|| Seen::of(device));
    }

    /// Tells how a device differs from what was last told.
    fn observe(&mut self, device: &Device, now: Time) {
        let seen = Seen::of(device);
        let Some(known) = self.devices.insert(device.id, Seen::of(device)) else {
            return self.registered(device, now);
        };
        if known == seen {
            return;
        }
        let named: DeviceRef = device.into();
        if known.presence != seen.presence {
            let presence = seen.presence.into();
            self.push(EventKind::DevicePresence { device: named.clone(), presence }, now);
        }
        if seen.identified && !known.identified {
            self.registered(device, now);
        } else if let Some(after) = seen.version.filter(|_| known.version != device.version) {
            let before = known.version.map(|version| version.to_string());
            let after = after.to_string();
            self.push(EventKind::DeviceVersion { device: named.clone(), before, after }, now);
        }
        if known.hold != seen.hold {
            let held = seen.hold.is_some();
            let reason = match seen.hold.or(known.hold) {
                Some(Hold::Operator { reason } | Hold::System { reason }) => reason,
                None => String::new(),
            };
            self.push(EventKind::DeviceHold { device: named, held, reason }, now);
        }
    }

    fn operation(&mut self, engine: &Engine, event: &operations::Event, now: Time) {
        use operations::Event as Happened;
        match event {
            Happened::Published { release } => {
                if let Some(release) = engine.loops().release(*release) {
                    let by = release.by.clone();
                    self.push(EventKind::ReleasePublished { release: release.into(), by }, now);
                }
            }
            Happened::OperationOpened { operation, release } => {
                let Some(release) = engine.loops().release(*release) else { return };
                let counts = engine.loops().counts(*operation).unwrap_or_default();
                let kind = EventKind::OperationOpened {
                    operation: (*operation).into(),
                    release: ReleaseRef::from(release),
                    targets: counts.targets(),
                    origin: engine
                        .loops()
                        .operation(*operation)
                        .map(|known| api::origin_words(&known.origin))
                        .unwrap_or_default(),
                };
                self.push(kind, now);
            }
            Happened::ElementGranted { operation, element, devices } => {
                let Some(known) = engine.loops().operation(*operation) else { return };
                let kind = EventKind::ElementGranted {
                    operation: (*operation).into(),
                    element: *element,
                    devices: *devices,
                    phase: known.phase.into(),
                };
                self.push(kind, now);
                self.progress(engine, *operation, Urgency::AtOnce, now);
            }
            Happened::DeviceMoved { operation, device, attempt, state } => {
                self.moved(engine, (*operation, *device, *attempt), state, now);
            }
            Happened::DeviceWarned { operation, device, words } => {
                let kind = EventKind::DeviceWarned {
                    operation: (*operation).into(),
                    device: named(engine, *device),
                    words: words.clone(),
                };
                self.push(kind, now);
            }
            Happened::Decided(decision) => {
                self.sentences.insert(decision.operation, decision.reason.to_string());
                let view = DecisionView::from(decision.as_ref());
                self.push(EventKind::Decided { decision: Box::new(view) }, now);
                self.progress(engine, decision.operation, Urgency::Paced, now);
            }
            Happened::OperationMoved { operation, state } => {
                self.progress(engine, *operation, Urgency::AtOnce, now);
                if state.is_final() {
                    self.ended(engine, *operation, *state, now);
                }
            }
        }
    }

    fn moved(
        &mut self,
        engine: &Engine,
        (operation, device, attempt): (OperationId, DeviceId, u32),
        state: &AttemptState,
        now: Time,
    ) {
        let settled = state.is_settled();
        let named = named(engine, device);
        let kind = if settled {
            let fault = match state {
                AttemptState::Failed { fault } | AttemptState::Deferred { fault, .. } => {
                    Some(fault.into())
                }
                _ => None,
            };
            let before = engine
                .loops()
                .assignment(operation, device)
                .and_then(|assignment| assignment.version_before.as_ref());
            let proved = matches!(state, AttemptState::Succeeded | AttemptState::Failed { .. });
            let after = engine
                .fleet()
                .device(device)
                .filter(|_| proved)
                .and_then(|known| known.version.as_ref());
            EventKind::DeviceSettled {
                operation: operation.into(),
                device: named,
                attempt,
                state: state.into(),
                fault,
                version_before: before.map(ToString::to_string),
                version_after: after.map(ToString::to_string),
            }
        } else {
            EventKind::DeviceProgress {
                operation: operation.into(),
                device: named,
                attempt,
                state: state.into(),
            }
        };
        self.push(kind, now);
        self.progress(engine, operation, Urgency::Paced, now);
    }

    fn ended(
        &mut self,
        engine: &Engine,
        operation: OperationId,
        state: model::OperationState,
        now: Time,
    ) {
        self.progress.remove(&operation);
        let counts = engine.loops().counts(operation).unwrap_or_default();
        let kind = EventKind::OperationEnded {
            operation: operation.into(),
            state: state.into(),
            sentence: self.sentences.remove(&operation).unwrap_or_default(),
            counts: CountsView::from(&counts),
        };
        self.push(kind, now);
    }

    /// Tells how far an operation is, unless that was told a moment ago; then it is owed.
    fn progress(&mut self, engine: &Engine, id: OperationId, urgency: Urgency, now: Time) {
        let known = engine.loops().operation(id).zip(engine.loops().counts(id));
        let Some((operation, counts)) = known else { return };
        let paced = self.progress.entry(id).or_default();
        let soon = paced.at.is_some_and(|at| now.since(at) < PROGRESS_EVERY);
        if soon && urgency == Urgency::Paced {
            paced.owed = true;
            return;
        }
        paced.owed = false;
        let kind = EventKind::Progress {
            operation: OperationRef::from(id),
            state: operation.state.into(),
            phase: operation.phase.into(),
            speed: api::element_size(operation),
            counts: CountsView::from(&counts),
            progress: counts.progress().into(),
        };
        if paced.told.as_ref() == Some(&kind) {
            return;
        }
        paced.at = Some(now);
        paced.told = Some(kind.clone());
        self.push(kind, now);
    }
}

impl Seen {
    fn of(device: &Device) -> Self {
        Self {
            presence: device.presence,
            version: device.version.clone(),
            hold: device.hold.clone(),
            identified: device.is_identified(),
        }
    }
}

fn named(engine: &Engine, device: DeviceId) -> DeviceRef {
    engine.fleet().device(device).map_or_else(
        || DeviceRef { id: device.0, name: device.to_string(), endpoint: String::new() },
        Into::into,
    )
}

/// Shortest time between two reports of one operation's progress, unless its state changed.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Events kept for listeners that fall behind or come back; about half a kilobyte each.
const EVENTS_MAX: usize = 20_000;

/// Events handed to a listener in one go.
const EVENTS_AT_ONCE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(from: u64) -> Arc<Journal> {
        Arc::new(Journal::new(Time::from_micros(from)))
    }

    fn push(journal: &Journal, count: usize) {
        for _ in 0..count {
            journal.announce("http://h/", "coap://c", Time::from_micros(2_000));
        }
    }

    async fn next(subscription: &mut Subscription) -> Vec<(u64, Option<Option<u64>>)> {
        let events = subscription.next().await.unwrap();
        events
            .iter()
            .map(|event| match event.kind {
                EventKind::Missed { events } => (event.id, Some(events)),
                _ => (event.id, None),
            })
            .collect()
    }

    #[tokio::test]
    async fn listeners_go_on_where_they_were() {
        let journal = journal(1_000);
        push(&journal, 3);
        let check = async |after: Option<u64>, expected: &[(u64, Option<Option<u64>>)]| {
            let mut subscription = journal.subscribe(after);
            assert_eq!(next(&mut subscription).await, expected, "{after:?}");
        };
        check(Some(999), &[(1_000, None), (1_001, None), (1_002, None)]).await;
        check(Some(1_001), &[(1_002, None)]).await;
        // From an earlier run, and from one whose clock was ahead.
        check(Some(7), &[(999, Some(None)), (1_000, None), (1_001, None), (1_002, None)]).await;
        check(Some(5_000), &[(1_002, Some(None))]).await;
    }

    #[tokio::test]
    async fn listeners_wait_for_what_is_new() {
        let journal = journal(1_000);
        push(&journal, 1);
        let mut subscription = journal.subscribe(None);
        let waiting = tokio::time::timeout(Duration::from_millis(20), subscription.next()).await;
        assert!(waiting.is_err());
        let pushing = Arc::clone(&journal);
        let task = tokio::spawn(async move { push(&pushing, 2) });
        task.await.unwrap();
        assert_eq!(next(&mut subscription).await, [(1_001, None), (1_002, None)]);
    }

    #[tokio::test]
    async fn slow_listeners_are_told_what_they_missed_and_cost_nothing() {
        let journal = journal(1_000);
        push(&journal, 1);
        let mut subscription = journal.subscribe(None);
        push(&journal, EVENTS_MAX + 10);
        let first = next(&mut subscription).await;
        assert_eq!(first[0], (1_010, Some(Some(10))));
        assert_eq!(first[1], (1_011, None));
        assert_eq!(first.len(), EVENTS_AT_ONCE_MAX + 1);
        assert_eq!(next(&mut subscription).await[0].1, None);
        assert_eq!(journal.lock().events.len(), EVENTS_MAX);
    }
}
