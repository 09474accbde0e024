//! What happens to devices that were granted.

use model::{Arm, HealthEventKind, OperationState};

use super::super::fleet::Loss;
use super::super::scenario::{Fault, FaultKind};
use super::{Again, Due, Place, Run, Way};

impl Run<'_> {
    /// Devices fall silent at rest: those of the updated arm leave it, and the silence is found
    /// when the deadline after the last contact has passed. `known` says in which slot the device
    /// was told by which operation, and since when it is back.
    pub(super) fn lose(&mut self, loss: Loss, known: Option<(usize, u32, f64)>) {
        let Loss { stratum, mask, at_s, .. } = loss;
        let kind = &self.fleet.kinds[stratum];
        let (contact, deadline_s) = (kind.contact, kind.deadline_s);
        let back_s = contact.residual_s(&mut self.fleet.chance);
        let mut last_s = at_s - back_s;
        let told: Vec<Option<u32>> = (0..self.live.len())
            .map(|operation| {
                if mask & (1 << operation) == 0 {
                    return None;
                }
                match known {
                    Some((own, told, _)) if own == operation => Some(told),
                    _ => self.live[operation].trials[stratum].pick(&mut self.fleet.chance),
                }
            })
            .collect();
        // It called when it came back from the installation.
        let back_after_s = self.fleet.kinds[stratum].install.mean_s();
        let returned_s = |slot: u32| match known {
            Some((_, _, since_s)) => since_s,
            None => f64::from(slot) * self.step_s + back_after_s,
        };
        for slot in told.iter().flatten() {
            last_s = last_s.max(returned_s(*slot)).min(at_s);
        }
        let found = self.step_of((last_s + deadline_s).max(at_s));
        for (operation, told) in told.iter().enumerate() {
            let trial = &mut self.live[operation].trials[stratum];
            match told {
                Some(told) => trial.leave(*told),
                // One that came back after a loss is followed no further.
                None if mask & (1 << operation) != 0 => continue,
                None => {}
            }
            if last_s < 0.0 {
                continue;
            }
            let ages = &self.live[operation].ages;
            let look = ages.look_of(last_s);
            let window =
                told.map_or(0, |told| ages.window_of_contact(told, returned_s(told), last_s));
            self.wheel.put(
                found,
                Due::Found {
                    operation: operation as u8,
                    stratum: stratum as u8,
                    look: look as u32,
                    window,
                    updated: told.is_some(),
                },
            );
        }
    }

    pub(super) fn happen(&mut self, due: Due) {
        match due {
            Due::Contact(way) => self.meet(way),
            Due::End { way, told, succeeded } => self.end(way, told, succeeded),
            Due::BreakOff(way) => self.break_off(way),
            Due::Retry(way) => {
                let live = &mut self.live[way.operation as usize];
                let element = u64::from(way.element);
                if live.conduct.operation().state.is_final() {
                    self.fleet.cell_mut(way.stratum as usize, way.mask as usize).idle += 1;
                    return;
                }
                live.again.push(Again {
                    stratum: way.stratum as usize,
                    mask: way.mask as usize,
                    element,
                    tries: way.tries.into(),
                });
            }
            Due::GiveUp { operation, stratum, element } => {
                let trial = &mut self.live[operation as usize].trials[stratum as usize];
                trial.through += 1;
                trial.installing -= 1;
                self.go(operation as usize, u64::from(element), Place::Claimed, Place::Silent);
            }
            Due::Shows { operation, stratum, told, since, crash } => {
                self.show(operation as usize, stratum as usize, told, since, crash);
            }
            Due::Left { stratum, lives_on } => self.show_left(stratum as usize, lives_on),
            Due::Found { operation, stratum, look, window, updated } => {
                let arm = if updated { Arm::Updated } else { Arm::Control };
                let trial = &mut self.live[operation as usize].trials[stratum as usize];
                trial.find(u64::from(look), window, arm, HealthEventKind::Silence);
            }
        }
    }

    /// A device that was granted before is in contact, and is told to install.
    fn meet(&mut self, way: Way) {
        let (operation, element) = (way.operation as usize, u64::from(way.element));
        let live = &mut self.live[operation];
        let state = live.conduct.operation().state;
        if state != OperationState::Ongoing {
            if state.is_final() {
                self.fleet.cell_mut(way.stratum as usize, way.mask as usize).idle += 1;
            }
            return;
        }
        if let Some(pending) = live.pending.get_mut(&element) {
            *pending -= 1;
            if *pending == 0 {
                live.pending.remove(&element);
            }
        }
        live.trials[way.stratum as usize].pending -= 1;
        self.go(operation, element, Place::Granted, Place::Claimed);
        self.tell(way, 1);
    }

    /// Devices in contact are told to install.
    pub(super) fn tell(&mut self, way: Way, devices: u64) {
        let at_s = self.at_s();
        let (operation, stratum) = (way.operation as usize, way.stratum as usize);
        let mut late: Vec<(&Fault, u64)> = Vec::new();
        let fates = self.fleet.install(operation, stratum, devices, at_s, &mut late);
        let live = &mut self.live[operation];
        let told = live.ages.slot_of(at_s);
        let trial = &mut live.trials[stratum];
        trial.tell(devices - fates.passing, &live.ages);
        if way.tries <= 1 {
            trial.installing += devices;
        }
        let hit: u64 = late.iter().map(|(_, hit)| hit).sum();
        trial.harmed += fates.failed_by_fault + fates.bricked + hit;
        let fault_s = trial.shown + fates.bricked;
        trial.shown = fault_s;
        if fates.bricked > 0 {
            self.live[operation].outcome.harm_shows(at_s);
        }
        let install = self.fleet.kinds[stratum].install;
        for _ in 0..fates.passing {
            let at = at_s + install.draw_s(&mut self.fleet.chance) * self.fleet.chance.unit();
            self.wheel.put(self.step_of(at), Due::BreakOff(way));
        }
        let give_up = self.step_of(at_s + self.fleet.kinds[stratum].deadline_s);
        let gone =
            Due::GiveUp { operation: way.operation, stratum: way.stratum, element: way.element };
        for _ in 0..fates.bricked + fates.silenced {
            self.wheel.put(give_up, gone);
            if self.follows {
                self.find_gone(operation, stratum, give_up);
            }
        }
        let mask = way.mask as usize | 1 << operation;
        self.fleet.cell_mut(stratum, mask).dead += fates.bricked + fates.silenced;
        let mut faulty = 0;
        let failing = self.fleet.kinds[stratum].failing;
        for (at, count) in [(false, fates.failed), (true, fates.well)] {
            let takes = if at { install } else { failing };
            for which in 0..count {
                let ends_s = at_s + takes.draw_s(&mut self.fleet.chance);
                let step = self.step_of(ends_s);
                self.wheel.put(step, Due::End { way, told, succeeded: at });
                if at && which < hit {
                    self.plant(way, told, step, &late, which);
                } else if !at && which < fates.failed_by_fault {
                    faulty += 1;
                }
            }
        }
        if faulty > 0 {
            self.live[operation].trials[stratum].shown += faulty;
            self.live[operation].outcome.harm_shows(at_s + failing.mean_s());
        }
    }

    /// An updated device that never came back is noticed as silent since it was told.
    fn find_gone(&mut self, operation: usize, stratum: usize, found: u64) {
        // It was told after the look of this step, if there was one.
        let look = self.live[operation].ages.look_of(self.at_s() + self.step_s / 2.0);
        self.wheel.put(
            found,
            Due::Found {
                operation: operation as u8,
                stratum: stratum as u8,
                look: look as u32,
                window: 0,
                updated: true,
            },
        );
    }

    /// Gives a device the late fault that is its own.
    fn plant(&mut self, way: Way, told: u32, since: u64, late: &[(&Fault, u64)], which: u64) {
        let mut before = 0;
        for (fault, hit) in late {
            before += hit;
            if which >= before {
                continue;
            }
            let trial = &mut self.live[way.operation as usize].trials[way.stratum as usize];
            match fault.kind {
                FaultKind::Indicator => trial.shifted += 1,
                FaultKind::Reboots => trial.shaken += 1,
                _ => {
                    let Some(latency) = fault.latency else { return };
                    let after_s = latency.draw_s(&mut self.fleet.chance);
                    let at = self.step_of(since as f64 * self.step_s + after_s).max(since + 1);
                    let shows = Due::Shows {
                        operation: way.operation,
                        stratum: way.stratum,
                        told,
                        since: since as u32,
                        crash: fault.kind == FaultKind::LatentCrash,
                    };
                    self.wheel.put(at, shows);
                    return;
                }
            }
            trial.shown += 1;
            let at_s = since as f64 * self.step_s;
            self.live[way.operation as usize].outcome.harm_shows(at_s);
            return;
        }
    }

    /// A device comes back from the installation and says how it went.
    fn end(&mut self, way: Way, told: u32, succeeded: bool) {
        let (operation, stratum) = (way.operation as usize, way.stratum as usize);
        let mask = way.mask as usize | 1 << operation;
        self.fleet.cell_mut(stratum, mask).idle += 1;
        let at_s = self.at_s();
        let live = &mut self.live[operation];
        let trial = &mut live.trials[stratum];
        trial.through += 1;
        trial.installing -= 1;
        if succeeded {
            trial.succeeded += 1;
        } else {
            trial.failed += 1;
        }
        if self.follows {
            trial.come_back(told, at_s, succeeded, &live.ages);
        }
        let place = if succeeded { Place::Succeeded } else { Place::Failed };
        self.go(operation, u64::from(way.element), Place::Claimed, place);
    }

    /// A try broke off; the policy says whether there is another.
    fn break_off(&mut self, way: Way) {
        let operation = way.operation as usize;
        let element = u64::from(way.element);
        let live = &mut self.live[operation];
        let retry = live.conduct.operation().policy.retry;
        let is_last = u32::from(way.tries) >= retry.attempts_max;
        if is_last || live.conduct.operation().state.is_final() {
            let trial = &mut live.trials[way.stratum as usize];
            trial.through += 1;
            trial.installing -= 1;
            trial.failed += 1;
            let mask = way.mask as usize | 1 << operation;
            self.fleet.cell_mut(way.stratum as usize, mask).idle += 1;
            self.go(operation, element, Place::Claimed, Place::BrokenOff);
            return;
        }
        live.trials[way.stratum as usize].granted -= 1;
        *live.deferred.entry(element).or_default() += 1;
        let doublings = u32::from(way.tries).saturating_sub(1).min(16);
        let wait = (retry.backoff.0 * (1 << doublings)).min(retry.backoff_max.0);
        let at = self.step_of(self.at_s() + wait.as_secs_f64());
        self.wheel.put(at, Due::Retry(way));
        self.go(operation, element, Place::Claimed, Place::Deferred);
    }

    /// A late fault shows at a device, unless it fell silent before.
    fn show(&mut self, operation: usize, stratum: usize, told: u32, since: u32, crash: bool) {
        let since_s = f64::from(since) * self.step_s;
        let at_s = self.at_s();
        let bit = 1 << operation;
        let trial = &mut self.live[operation].trials[stratum];
        trial.shown += 1;
        self.live[operation].outcome.harm_shows(at_s);
        let fits = |mask: usize| mask & bit != 0;
        let Some(mask) = self.fleet.pick_mask(stratum, fits, |cell| cell.idle) else { return };
        if crash {
            self.live[operation].trials[stratum].crashed += 1;
            if self.follows {
                let live = &mut self.live[operation];
                let window = live.ages.window_of_contact(told, since_s, at_s);
                let look = live.ages.look_of(at_s);
                let trial = &mut live.trials[stratum];
                trial.leave(told);
                trial.find(look, window, Arm::Updated, HealthEventKind::Crash);
            }
            return;
        }
        let cell = self.fleet.cell_mut(stratum, mask);
        cell.idle -= 1;
        cell.dead += 1;
        if self.follows {
            let loss = Loss { stratum, mask, at_s, noticed: true };
            self.lose(loss, Some((operation, told, since_s)));
        }
    }
}
