//! What the server sees: looks at the devices, and its own response time.

use std::collections::BTreeSet;

use model::{Look, StratumScope};

use super::super::fleet::{Cell, share_of};
use super::super::measure::Stop;
use super::super::scenario::FaultKind;
use super::super::trial::{IndicatorView, View};
use super::{ANSWERS, Run};

impl Run<'_> {
    /// Everything that was observed since the last look.
    pub(super) fn look(&mut self, operation: usize) -> Look {
        let (at_s, at) = (self.at_s(), self.time());
        let at_s = at_s.max(1e-3);
        let number = self.live[operation].conduct.looks() + 1;
        let since_s = self.live[operation].ages.looks_s.last().copied().unwrap_or(0.0);
        let scenario = self.scenario;
        let mut strata = Vec::new();
        for stratum in 0..self.fleet.strata() {
            let kind = &self.fleet.kinds[stratum];
            let (contact, deadline_s) = (kind.contact, kind.deadline_s as u64);
            let hourly = share_of(kind.benign.crashes_per_hour) * self.fleet.drift(at_s);
            let hits = |kind: FaultKind| {
                let fault = scenario.faults.iter().find(|fault| fault.kind == kind);
                fault.filter(|fault| scenario.hits(fault, operation, stratum))
            };
            let more = hits(FaultKind::Reboots).map_or(0.0, |fault| fault.factor - 1.0);
            let shift = hits(FaultKind::Indicator).map_or(0.0, |fault| fault.shift);
            let live = &mut self.live[operation];
            let indicator = scenario.indicator.map(|indicator| {
                let after_s = indicator.after.0.as_secs_f64();
                let trial = &live.trials[stratum];
                let devices = trial.told_between(since_s - after_s, at_s - after_s, &live.ages);
                IndicatorView { devices, noise: indicator.noise, shift }
            });
            let again = live.again.iter().filter(|it| it.stratum == stratum).count() as u64;
            let view = View {
                look: number,
                at_s,
                since_s,
                name: self.names[stratum].clone(),
                targets: self.fleet.targets[stratum],
                ready: self.fleet.free(stratum, operation, |cell| cell.idle) + again,
                deadline_s,
                control: self.fleet.free(stratum, operation, Cell::followed),
                at_hand: self.fleet.at_hand(stratum, operation),
                contact: &contact,
                crashes: hourly * (at_s - since_s) / 3_600.0,
                crashes_more: more,
                indicator,
            };
            strata.push(live.trials[stratum].look(view, &live.ages, &mut self.fleet.chance));
        }
        let live = &mut self.live[operation];
        live.ages.looks_s.push(at_s);
        let operation = live.conduct.operation().id;
        Look { operation, number, at, strata, left: Vec::new() }
    }

    /// Notes which strata evidence has stopped, and what had shown when the holdback was released.
    pub(super) fn note_strata(&mut self, operation: usize) {
        let at_s = self.at_s();
        let live = &mut self.live[operation];
        let Some(course) = live.conduct.evidence_course() else { return };
        if course.released && live.outcome.shown_at_release.is_none() {
            live.outcome.shown_at_release = Some(live.trials.iter().map(|it| it.shown).sum());
        }
        let rulings = course.judged.strata.iter();
        let stopped: BTreeSet<usize> = rulings
            .filter(|ruling| ruling.scope == StratumScope::Stopped)
            .filter_map(|ruling| self.names.iter().position(|name| *name == ruling.name))
            .collect();
        if stopped.is_empty() {
            return;
        }
        match &mut live.outcome.stop {
            Some(known) => known.strata.extend(stopped),
            None => {
                live.outcome.stop =
                    Some(Stop { at_s, strata: stopped, whole: false, paused: false });
                live.outcome.harmed_before_stop = live.trials.iter().map(|it| it.shown).sum();
            }
        }
        self.leave_behind(operation);
    }

    /// The server answers requests, as fast as it can now.
    pub(super) fn answer(&mut self, at_s: f64) {
        let progress = self.progress();
        let mut factor = 1.0;
        for (at, change) in self.scenario.latencies.iter().enumerate() {
            let begins = match (change.at, change.after) {
                (Some(share), _) => progress >= share_of(share),
                (None, Some(after)) => at_s >= after.0.as_secs_f64(),
                (None, None) => false,
            };
            if begins {
                self.slowed[at].get_or_insert(at_s);
            }
            let lasts = change.lasts.map_or(f64::INFINITY, |lasts| lasts.0.as_secs_f64());
            if self.slowed[at].is_some_and(|since| at_s - since < lasts) {
                factor *= change.factor;
            }
        }
        let server = &self.scenario.server;
        let busy: u64 = self.live.iter().map(|live| live.conduct.in_flight()).sum();
        if let Some(capacity) = server.capacity {
            factor /= 1.0 - (busy as f64 / capacity.max(1) as f64).min(0.98);
        }
        let log_factor = factor.ln();
        for _ in 0..ANSWERS {
            let noise = server.jitter * self.fleet.chance.normal();
            self.answers.add(log_factor + noise, busy);
            let answer = server.response.0.mul_f64(factor * noise.exp());
            for live in &mut self.live {
                live.conduct.response_time(answer);
            }
        }
    }

    /// Share of the targets of the first operation that are through.
    fn progress(&self) -> f64 {
        let through: u64 = self.live[0].trials.iter().map(|trial| trial.through).sum();
        through as f64 / self.scenario.devices as f64
    }
}
