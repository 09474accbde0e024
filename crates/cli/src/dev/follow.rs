//! Waits for the devices, publishes the sample release and follows its operation.

use std::time::{Duration, Instant};

use api::client::{Client, ClientError};
use api::{Event, EventKind, FleetSummary, ListQuery, OperationDetail, OperationSummary};
use sim::SAMPLE_VERSION_BEFORE;
use tokio::sync::mpsc;

use super::sample::{COMPLIANCE_DELAY, Opened, Sample};
use crate::arguments::Dev;
use crate::command::events::is_beginning;
use crate::command::watch::exit_of;
use crate::failure::{Exit, Failure};
use crate::screen::{LOOK, Screen};
use crate::view;

/// How a trial ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its operation ended, or took too long.
    Ended(Exit),
    /// It was told to stop.
    Interrupted,
}

/// What is going on, as seen over the HTTP interface.
#[derive(Debug)]
pub(super) struct Follow {
    client: Client,
    sample: Sample,
    screen: Screen,
    started: Instant,
    /// Set with `--once`.
    timeout: Option<Duration>,
    data: String,
    /// When devices show up for the first time, in ascending order.
    arrivals: Vec<Duration>,
    events: mpsc::Receiver<Result<Event, ClientError>>,
    /// The operation of the sample release; none until it is published.
    sampled: Option<String>,
    /// Whether that operation ended in an earlier trial in the same folder.
    is_old: bool,
    /// Whether it was opened in one.
    goes_on: bool,
    /// Whether the release that rests on the sample release is still to be published.
    later_due: bool,
    /// The operation that was opened last.
    newest: Option<String>,
    ended: bool,
    /// How the operation of the sample release ended.
    result: Option<Exit>,
    /// An operation under way that takes devices back to the version before.
    undoing: Option<String>,
    /// When it ended, or the last of those that undo it.
    quiet_since: Instant,
    /// The operation whose end was the last among the events.
    end_told: Option<String>,
}

impl Follow {
    pub(super) fn new(
        client: Client,
        sample: Sample,
        screen: Screen,
        arguments: &Dev,
    ) -> Result<Self, Failure> {
        let mut arrivals: Vec<Duration> = arguments
            .scenario
            .profiles(arguments.sim, arguments.seed)
            .into_iter()
            .map(|profile| profile.arrives_after)
            .collect();
        arrivals.sort_unstable();
        let console = format!("{}/", client.address());
        let data = arguments.data.display().to_string();
        let follow = Self {
            events: listen(client.clone()),
            client,
            later_due: sample.has_later(),
            sample,
            screen,
            started: Instant::now(),
            timeout: arguments.once.then_some(arguments.timeout.0),
            data,
            arrivals,
            sampled: None,
            is_old: false,
            goes_on: false,
            newest: None,
            ended: false,
            result: None,
            undoing: None,
            quiet_since: Instant::now(),
            end_told: None,
        };
        follow.screen.say(&format!(
            "console {console}   data {}   {} simulated devices, {}",
            follow.data, arguments.sim, arguments.scenario
        ))?;
        Ok(follow)
    }

    /// Follows until the operation ends with `--once`, for ever without.
    pub(super) async fn run(&mut self) -> Result<Ending, Failure> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Ok(event)) => self.take_event(&event)?,
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(Failure::of("the server ended the stream of events")),
                },
                _ = looks.tick() => {
                    if let Some(exit) = self.look().await? {
                        return Ok(Ending::Ended(exit));
                    }
                }
            }
        }
    }

    /// Leaves what is shown in place.
    pub(super) fn close(&mut self) {
        self.screen.close();
    }

    /// Says how to go on.
    pub(super) fn interrupted(&mut self) -> Result<Ending, Failure> {
        self.screen.close();
        let again = "stopped; the same command goes on from here, as everything is in";
        self.screen.say(&format!("{again} {}", self.data))?;
        Ok(Ending::Interrupted)
    }

    fn take_event(&mut self, event: &Event) -> Result<(), Failure> {
        // A newer operation brings those to compliance that turned up after the first.
        if let EventKind::OperationOpened { operation, .. } = &event.kind
            && self.sampled.is_some()
        {
            self.newest = Some(operation.name.clone());
        }
        if let EventKind::OperationEnded { operation, .. } = &event.kind {
            self.end_told = Some(operation.name.clone());
        }
        self.screen.event(event)
    }

    /// Looks at the numbers, and does what is next.
    async fn look(&mut self) -> Result<Option<Exit>, Failure> {
        let fleet = self.ask(|client| client.fleet().map_err(Failure::from)).await?;
        let Some(shown) = self.shown() else {
            self.gather(&fleet).await?;
            return self.late(None);
        };
        let detail =
            self.ask(move |client| client.operation(&shown).map_err(Failure::from)).await?;
        self.draw(&fleet, Some(&detail));
        self.publish_later(&detail).await?;
        // A paused trial can be resumed from the console.
        let over = exit_of(&detail.summary).filter(|exit| *exit != Exit::TimedOut);
        match (self.result, over) {
            (None, Some(exit)) => {
                self.result = Some(exit);
                self.quiet_since = Instant::now();
                self.tell_end(&detail).await?;
                if exit == Exit::Done {
                    return self.end(exit).await;
                }
                self.late(Some(&detail))
            }
            // What was stopped is undone before the trial ends.
            (Some(exit), _) if !self.ended => self.undone(exit, &detail).await,
            _ => self.late(Some(&detail)),
        }
    }

    /// The operation to show: the sample's until its end, then what undoes it, then the newest.
    fn shown(&self) -> Option<String> {
        let later = || self.undoing.as_ref().or(self.newest.as_ref());
        self.result.and_then(|_| later()).or(self.sampled.as_ref()).cloned()
    }

    /// Ends the trial once nothing is being undone any more.
    async fn undone(
        &mut self,
        exit: Exit,
        detail: &OperationDetail,
    ) -> Result<Option<Exit>, Failure> {
        let is_over = exit_of(&detail.summary).is_some();
        if self.undoing.as_deref() == Some(detail.summary.name.as_str()) {
            if !is_over {
                return self.late(Some(detail));
            }
            self.undoing = None;
            self.quiet_since = Instant::now();
            self.tell_end(detail).await?;
        }
        let all = ListQuery::default();
        let list = self.ask(move |client| client.operations(&all).map_err(Failure::from)).await?;
        let undoing = list.items.into_iter().find(|operation| {
            operation.release.version == SAMPLE_VERSION_BEFORE && exit_of(operation).is_none()
        });
        self.undoing = undoing.map(|operation| operation.name);
        if self.undoing.is_none() && self.quiet_since.elapsed() > UNDO_WAIT {
            return self.end(exit).await;
        }
        self.late(Some(detail))
    }

    /// Publishes what rests on the sample release once the first devices run that.
    async fn publish_later(&mut self, detail: &OperationDetail) -> Result<(), Failure> {
        let is_sample = self.sampled.as_deref() == Some(detail.summary.name.as_str());
        let due = self.later_due && is_sample && !detail.summary.state.is_final();
        if !due || detail.summary.counts.succeeded < FIRST_DEVICES {
            return Ok(());
        }
        self.later_due = false;
        let sample = self.sample.clone();
        let opened = self.ask(move |client| sample.publish_later(client)).await?;
        let Some(Opened { operation, words, .. }) = opened else { return Ok(()) };
        let done = view::devices(detail.summary.counts.succeeded);
        let title = detail.summary.release.title();
        self.screen.say(&format!("{done} run {title}; {words}: {} rests on it", operation.name))
    }

    /// Says what was stopped, what was frozen by that and what was undone.
    async fn summarize(&mut self) -> Result<(), Failure> {
        let all = ListQuery::default();
        let list = self.ask(move |client| client.operations(&all).map_err(Failure::from)).await?;
        let mut operations = list.items;
        operations.sort_by_key(|operation| operation.id);
        for operation in &operations {
            if let Some(line) = summary_line(operation) {
                self.screen.say(&line)?;
            }
        }
        Ok(())
    }

    async fn end(&mut self, exit: Exit) -> Result<Option<Exit>, Failure> {
        self.ended = true;
        if exit != Exit::Done {
            self.summarize().await?;
        }
        if self.timeout.is_some() {
            return Ok(Some(exit));
        }
        let console = self.client.address();
        let name = self.sampled.as_deref().unwrap_or_default();
        self.screen.say(&format!(
            "look at it: {console}/   or: bellwether operation decisions {name} --server {console}"
        ))?;
        Ok(None)
    }

    /// Publishes once enough devices are known.
    async fn gather(&mut self, fleet: &FleetSummary) -> Result<(), Failure> {
        self.draw(fleet, None);
        let reachable = fleet.presence.online + fleet.presence.asleep;
        let known = reachable.min(fleet.devices - fleet.compliance.unknown.min(fleet.devices));
        let waited = self.started.elapsed();
        // Registering and being read takes a moment; who comes later than that comes late.
        let first = self.arrivals.partition_point(|at| *at <= FIRST_ARRIVALS) as u64;
        let enough = known * 100 >= first * ENOUGH_PERCENT;
        let patient = waited < GATHER_TIME || known == 0;
        if patient && !enough {
            return Ok(());
        }
        let sample = self.sample.clone();
        let Opened { operation, goes_on, words } =
            self.ask(move |client| sample.publish(client)).await?;
        self.screen.say(&format!("{} known; {words}", view::devices(known)))?;
        let name = operation.name.clone();
        let found = self.ask(move |client| client.operation(&name).map_err(Failure::from)).await?;
        self.is_old = found.summary.state.is_final();
        self.goes_on = goes_on;
        self.sampled = Some(operation.name);
        Ok(())
    }

    fn draw(&mut self, fleet: &FleetSummary, detail: Option<&OperationDetail>) {
        if !self.screen.is_live() {
            return;
        }
        let paint = self.screen.paint();
        let mut lines = detail.map_or_else(
            || vec!["waiting for the devices to register".to_owned()],
            |detail| view::operation(detail, paint),
        );
        lines.push(view::fleet(fleet, paint));
        lines.push(view::labelled("console", &format!("{}/", self.client.address()), paint));
        if self.ended && self.timeout.is_none() {
            lines.push(view::labelled("next", "newcomers are brought to it; Ctrl-C stops", paint));
        }
        self.screen.draw(&lines);
    }

    /// Shows the end of an operation.
    async fn tell_end(&mut self, detail: &OperationDetail) -> Result<(), Failure> {
        let seconds = self.started.elapsed().as_secs();
        let took = if self.goes_on {
            format!("{seconds} s after this start")
        } else {
            format!("after {seconds} s")
        };
        let summary = &detail.summary;
        let name = &summary.name;
        let is_old = self.is_old && self.sampled.as_ref() == Some(name);
        // What led to the end is on its way. A large fleet never ceases to say something, so its
        // silence is not waited for.
        let last = tokio::time::Instant::now() + LAST_EVENTS;
        while !is_old && self.end_told.as_ref() != Some(name) {
            let Ok(Some(Ok(event))) = tokio::time::timeout_at(last, self.events.recv()).await
            else {
                break;
            };
            self.take_event(&event)?;
        }
        self.screen.say(&format!(
            "{name} {} {}: {}",
            view::standing(summary, self.screen.paint()),
            if is_old { "before this start" } else { &took },
            view::counts(&summary.counts, summary.state),
        ))
    }

    fn late(&mut self, detail: Option<&OperationDetail>) -> Result<Option<Exit>, Failure> {
        if self.ended || self.timeout.is_none_or(|timeout| self.started.elapsed() < timeout) {
            return Ok(None);
        }
        let words = detail.map_or_else(
            || "no device has registered".to_owned(),
            |detail| view::counts(&detail.summary.counts, detail.summary.state),
        );
        self.screen.say(&format!("not ended within --timeout: {words}"))?;
        Ok(Some(Exit::TimedOut))
    }

    /// Calls the server without keeping the runtime from its work.
    async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Client) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let client = self.client.clone();
        tokio::task::spawn_blocking(move || call(&client)).await.map_err(Failure::of)?
    }
}

/// What an operation came to when the sample release was stopped; none when that has no part in
/// it.
fn summary_line(operation: &OperationSummary) -> Option<String> {
    let OperationSummary { name, release, last_decision, counts, .. } = operation;
    let of = format!("{name} {}", release.title());
    if operation.frozen_by.is_some() {
        let remedy = view::frozen_remedy(name);
        return Some(format!("frozen   {of}: {last_decision}; {remedy}"));
    }
    if release.version == SAMPLE_VERSION_BEFORE {
        let state = operation.state.as_str();
        let (origin, counts) = (&operation.origin, view::counts(counts, operation.state));
        return Some(format!("undone   {of}, {origin}: {state}, {counts}"));
    }
    match exit_of(operation)? {
        Exit::Aborted | Exit::Partial => Some(format!("stopped  {of}: {last_decision}")),
        _ => None,
    }
}

/// Reads events on a thread of their own, which ends when nobody takes them any more.
fn listen(client: Client) -> mpsc::Receiver<Result<Event, ClientError>> {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    std::thread::spawn(move || match client.events(Some(0)) {
        Ok(events) => {
            for event in events.skip_while(is_beginning) {
                if sender.blocking_send(event).is_err() {
                    return;
                }
            }
        }
        // Nobody is left to tell when the receiver is gone.
        Err(error) => drop(sender.blocking_send(Err(error))),
    });
    receiver
}

/// Devices that show up within this time are waited for.
const FIRST_ARRIVALS: Duration = Duration::from_millis(2_500);
/// Share of them that is enough, in percent: some leave again at once.
const ENOUGH_PERCENT: u64 = 95;
/// Devices that run the sample release when the one that rests on it is published.
const FIRST_DEVICES: u64 = 10;
/// Longest wait for them once there is any.
const GATHER_TIME: Duration = Duration::from_secs(7);
/// Longest wait for the operation that undoes another; there is none when no device took it.
const UNDO_WAIT: Duration = COMPLIANCE_DELAY.0.saturating_add(Duration::from_secs(3));
/// Longest wait for the events that lead to the end of an operation.
const LAST_EVENTS: Duration = Duration::from_secs(2);
/// Events that wait to be shown; beyond that the server drops some and says so.
const EVENTS_MAX: usize = 4_096;
