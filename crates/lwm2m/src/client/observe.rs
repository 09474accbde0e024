//! Observations: when a value is worth a notification, and sending it (LwM2M Core 1.1, 6.4).

use std::time::Duration;

use coap::{Code, Observer, Response, Token};

use super::attributes::Attributes;
use super::{Client, Event, ObjectTree};
use crate::{ContentFormat, Leaf, Path, Value, encode};

/// One observation by the server.
#[derive(Debug)]
pub(super) struct Observation {
    path: Path,
    observer: Observer,
    format: ContentFormat,
    /// Attributes in force, with the defaults of the Server object.
    attributes: Attributes,
    /// Number last reported, for single numeric resources.
    reported: Option<f64>,
    sent_at: Duration,
    /// A condition was met and its notification waits for `pmin`.
    due: bool,
    /// Not before this time: the message layer was full.
    retry_at: Duration,
}

impl Observation {
    /// Returns when the next notification has to be sent, unless a value changes before.
    fn deadline(&self) -> Option<Duration> {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let at = if self.due {
            Some(self.sent_at + seconds(self.attributes.pmin_s.unwrap_or(0)))
        } else {
            self.attributes.silence_s_max().map(|pmax| self.sent_at + seconds(pmax))
        };
        at.map(|at| at.max(self.retry_at))
    }

    /// Marks the observation when its value, which changed, meets the conditions.
    fn judge(&mut self, objects: &ObjectTree) {
        let number = objects.value(self.path).and_then(Value::as_float);
        self.due |= match (self.reported, number) {
            (Some(reported), Some(number)) => self.attributes.fires(reported, number),
            _ => true,
        };
    }

    fn is_of(&self, observer: &Observer) -> bool {
        self.observer.peer == observer.peer && self.observer.token == observer.token
    }
}

impl Client {
    /// Adds an observation, in place of one with the same token (RFC 7641, 4.1); tells whether
    /// there was room.
    pub(super) fn begin_observation(
        &mut self,
        path: Path,
        observer: Observer,
        format: ContentFormat,
        now: Duration,
    ) -> bool {
        self.observations.retain(|observation| !observation.is_of(&observer));
        if self.observations.len() >= self.config.observations_max {
            return false;
        }
        self.observations.push(Observation {
            path,
            observer,
            format,
            attributes: self.attributes_in_force(path),
            reported: self.objects.value(path).and_then(Value::as_float),
            sent_at: now,
            due: false,
            retry_at: Duration::ZERO,
        });
        self.events.push_back(Event::ObservationStarted { path });
        true
    }

    /// Ends the observation with this token; without one, those of the same path, for servers
    /// that cancel with a new token.
    pub(super) fn cancel_observation(&mut self, path: Path, observer: &Observer) {
        let known = self.observations.iter().any(|observation| observation.is_of(observer));
        self.end_observations_where(|observation| {
            if known {
                observation.is_of(observer)
            } else {
                observation.path == path && observation.observer.peer == observer.peer
            }
        });
    }

    /// Ends the observation whose notification was reset or never acknowledged.
    pub(super) fn observer_lost(&mut self, peer: std::net::SocketAddr, token: Token) {
        self.end_observations_where(|observation| {
            observation.observer.peer == peer && observation.observer.token == token
        });
    }

    pub(super) fn end_observations(&mut self) {
        self.end_observations_where(|_| true);
    }

    fn end_observations_where(&mut self, ends: impl Fn(&Observation) -> bool) {
        let events = &mut self.events;
        self.observations.retain(|observation| {
            let ends = ends(observation);
            if ends {
                events.push_back(Event::ObservationEnded { path: observation.path });
            }
            !ends
        });
    }

    /// Marks the observations that a change at this path concerns.
    ///
    /// A number observed by itself is judged by `gt`, `lt` and `st` against what was reported
    /// last; everything else counts as changed (LwM2M Core 1.1, 7.3.2).
    pub(super) fn touched(&mut self, path: Path) {
        for observation in &mut self.observations {
            if observation.path.is_prefix_of(path) || path.is_prefix_of(observation.path) {
                observation.judge(&self.objects);
            }
        }
    }

    /// Returns what is observed now, to compare with after a change of unknown extent.
    pub(super) fn observed_values(&self) -> Vec<Option<Vec<Leaf>>> {
        let paths = self.observations.iter().map(|observation| observation.path);
        paths.map(|path| self.objects.read(path).ok()).collect()
    }

    /// Marks the observations whose values differ from those before.
    pub(super) fn compare_observed(&mut self, before: &[Option<Vec<Leaf>>]) {
        for (observation, before) in self.observations.iter_mut().zip(before) {
            if self.objects.read(observation.path).ok() != *before {
                observation.judge(&self.objects);
            }
        }
    }

    /// Takes changed attributes into account.
    pub(super) fn attributes_changed(&mut self) {
        let mut observations = std::mem::take(&mut self.observations);
        for observation in &mut observations {
            observation.attributes = self.attributes_in_force(observation.path);
        }
        self.observations = observations;
    }

    pub(super) fn notification_timeout(&self) -> Option<Duration> {
        self.observations.iter().filter_map(Observation::deadline).min()
    }

    /// Sends the notifications whose time has come.
    pub(super) fn notify_due(&mut self, now: Duration) {
        if self.notification_timeout().is_none_or(|at| at > now) {
            return;
        }
        let mut observations = std::mem::take(&mut self.observations);
        observations.retain_mut(|observation| {
            observation.deadline().is_none_or(|at| at > now) || self.notify(observation, now)
        });
        self.observations = observations;
    }

    /// Sends one notification; tells whether the observation lives on.
    fn notify(&mut self, observation: &mut Observation, now: Duration) -> bool {
        let path = observation.path;
        let payload = self.objects.read(path).ok();
        let payload = payload.and_then(|leaves| encode(observation.format, path, &leaves).ok());
        let lives = payload.is_some();
        let response = match payload {
            Some(payload) => {
                Response::new(Code::CONTENT).content_format(observation.format.0).payload(payload)
            }
            // A resource that is gone ends its observation with an error (RFC 7641, 4.2).
            None => Response::new(Code::NOT_FOUND),
        };
        let confirmable = self.config.confirmable_notifications || !lives;
        if self.coap.notify(&mut observation.observer, response, confirmable, now).is_err() {
            observation.due = true;
            observation.retry_at = now + RETRY;
            return true;
        }
        observation.due = false;
        observation.sent_at = now;
        observation.reported = self.objects.value(path).and_then(Value::as_float);
        self.contact(now);
        self.events.push_back(if lives {
            Event::Notified { path }
        } else {
            Event::ObservationEnded { path }
        });
        lives
    }

    fn attributes_in_force(&self, path: Path) -> Attributes {
        let seconds = |path: Path| {
            let value = self.objects.value(path).and_then(Value::as_integer);
            value.and_then(|seconds| u32::try_from(seconds).ok()).filter(|seconds| *seconds > 0)
        };
        let defaults = Attributes {
            pmin_s: seconds(DEFAULT_PMIN),
            pmax_s: seconds(DEFAULT_PMAX),
            ..Attributes::default()
        };
        self.attributes.effective(path).inheriting(defaults)
    }
}

/// Default Minimum Period and Default Maximum Period in the Server object.
pub(super) const DEFAULT_PMIN: Path = Path::resource(1, 0, 2);
pub(super) const DEFAULT_PMAX: Path = Path::resource(1, 0, 3);
/// A full queue empties by acknowledgements, which take about a round trip.
const RETRY: Duration = Duration::from_secs(1);
