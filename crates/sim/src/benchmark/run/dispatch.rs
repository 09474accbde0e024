//! Whom a grant reaches.

use operations::{Pool, Seats, seats};

use super::super::fleet::Cell;
use super::super::policies::Reach;
use super::{Again, Due, Move, Place, Run, Way};

impl Run<'_> {
    /// Which devices that the operation has not taken are in contact in this step.
    pub(super) fn draw_contacts(&mut self, operation: usize) {
        if self.live[operation].drawn_at == Some(self.now) {
            return;
        }
        let masks = self.fleet.masks();
        let mut contacts = std::mem::take(&mut self.live[operation].contacts);
        contacts.clear();
        for stratum in 0..self.fleet.strata() {
            let p = self.fleet.kinds[stratum].contact.within(self.step_s);
            for mask in 0..masks {
                let free = mask & (1 << operation) == 0;
                let cell = *self.fleet.cell(stratum, mask);
                contacts.push(match self.reach {
                    _ if !free => 0,
                    Reach::Contact => self.fleet.chance.binomial(cell.idle, p),
                    Reach::Online => cell.idle,
                    Reach::Queue => cell.all(),
                });
            }
        }
        let live = &mut self.live[operation];
        live.contacts = contacts;
        live.drawn_at = Some(self.now);
    }

    /// Devices that are not granted. Ready are those that a grant can reach, at their next contact
    /// at the latest.
    pub(super) fn pool(&self, operation: usize) -> Pool {
        let live = &self.live[operation];
        let (mut free, mut met) = (0, 0);
        for stratum in 0..self.fleet.strata() {
            free += self.fleet.free(stratum, operation, Cell::all);
            met += self.ready(operation, stratum);
        }
        let again = live.again.len() as u64;
        let deferred = live.deferred.values().sum::<u64>() - again;
        Pool {
            ready: met + again,
            waiting: free.saturating_sub(met) + deferred,
            excluded: 0,
            retries: deferred > 0,
        }
    }

    pub(super) fn ready(&self, operation: usize, stratum: usize) -> u64 {
        match self.reach {
            Reach::Contact | Reach::Online => self.fleet.free(stratum, operation, |cell| cell.idle),
            Reach::Queue => self.fleet.free(stratum, operation, Cell::all),
        }
    }

    /// Grants what there is room for; says whether anything was.
    pub(super) fn grant(&mut self, operation: usize) -> bool {
        let now = self.time();
        let pool = self.pool(operation);
        let room = self.live[operation].conduct.room(pool, now);
        if room == 0 {
            return false;
        }
        let masks = self.fleet.masks();
        let live = &self.live[operation];
        let limits = live.conduct.granted_max();
        let granted_max = |stratum: usize| {
            let of =
                |name| limits.as_ref().map_or(u64::MAX, |known| *known.get(name).unwrap_or(&0));
            of(&self.names[stratum])
        };
        let strata: Vec<Seats> = (0..self.fleet.strata())
            .map(|stratum| {
                let free = self.fleet.free(stratum, operation, Cell::all);
                let again = live.again.iter().filter(|it| it.stratum == stratum).count() as u64;
                let met: u64 = live.contacts[stratum * masks..(stratum + 1) * masks].iter().sum();
                Seats {
                    targets: free + again + live.trials[stratum].granted,
                    granted: live.trials[stratum].granted,
                    ready: met + again,
                    granted_max: granted_max(stratum),
                }
            })
            .collect();
        let mut places = vec![0_u64; strata.len()];
        for stratum in seats(&strata, u64::from(room)) {
            places[stratum] += 1;
        }
        let granted: u64 = places.iter().sum();
        if granted == 0 {
            return false;
        }
        let element = self.live[operation].conduct.grant(now);
        for (stratum, devices) in places.into_iter().enumerate() {
            self.take(operation, stratum, element, devices);
        }
        self.flush();
        let in_flight = self.live[operation].conduct.in_flight();
        let outcome = &mut self.live[operation].outcome;
        outcome.peak_in_flight = outcome.peak_in_flight.max(in_flight);
        true
    }

    /// Takes devices of a stratum into an element: those to be tried again first.
    fn take(&mut self, operation: usize, stratum: usize, element: u64, devices: u64) {
        let mut left = devices;
        self.live[operation].trials[stratum].granted += devices;
        while left > 0 {
            let again = &mut self.live[operation].again;
            let Some(at) = again.iter().position(|it| it.stratum == stratum) else { break };
            let Again { mask, element: before, tries, .. } = again.swap_remove(at);
            let live = &mut self.live[operation];
            if let Some(deferred) = live.deferred.get_mut(&before) {
                *deferred -= 1;
            }
            let from = Some((before, Place::Deferred));
            self.note(Move { operation, from, element, to: Place::Claimed, devices: 1 });
            let way = Self::way(operation, stratum, mask, element, tries + 1);
            self.tell(way, 1);
            left -= 1;
        }
        let masks = self.fleet.masks();
        while left > 0 {
            let met = &self.live[operation].contacts[stratum * masks..(stratum + 1) * masks];
            let all: u64 = met.iter().sum();
            let Some(mask) = met.iter().position(|met| *met > 0) else { break };
            // Several cells only with several operations; then in proportion.
            let share = met[mask] as f64 / all as f64;
            let most = met[mask];
            let devices = self.fleet.chance.binomial(left, share).min(most);
            let devices = if devices == 0 && share > 0.999 { left.min(most) } else { devices };
            if devices == 0 {
                let mask = met.iter().rposition(|met| *met > 0).unwrap_or(mask);
                self.take_from(operation, stratum, mask, element, 1);
                left -= 1;
                continue;
            }
            self.take_from(operation, stratum, mask, element, devices);
            left -= devices;
        }
    }

    fn take_from(
        &mut self,
        operation: usize,
        stratum: usize,
        mask: usize,
        element: u64,
        devices: u64,
    ) {
        let at = stratum * self.fleet.masks() + mask;
        self.live[operation].contacts[at] -= devices;
        // The other operations see these devices no more.
        for (other, live) in self.live.iter_mut().enumerate() {
            if other != operation && live.drawn_at.is_some() {
                live.drawn_at = None;
            }
        }
        let way = Self::way(operation, stratum, mask, element, 1);
        match self.reach {
            Reach::Contact => {
                self.fleet.take(stratum, mask, devices);
                self.note(Move { operation, from: None, element, to: Place::Claimed, devices });
                self.tell(way, devices);
            }
            Reach::Online | Reach::Queue => self.queue(way, devices),
        }
    }

    /// Devices are granted wherever they are, and told when they come into contact.
    fn queue(&mut self, way: Way, devices: u64) {
        let (operation, stratum) = (way.operation as usize, way.stratum as usize);
        let element = u64::from(way.element);
        let to = Place::Granted;
        self.note(Move { operation, from: None, element, to, devices });
        *self.live[operation].pending.entry(element).or_default() += devices;
        self.live[operation].trials[stratum].pending += devices;
        let (contact, returns_s) = {
            let kind = &self.fleet.kinds[stratum];
            (kind.contact, kind.offline.returns.0.as_secs_f64())
        };
        let at_s = self.at_s();
        for _ in 0..devices {
            let cell = *self.fleet.cell(stratum, way.mask as usize);
            let reached = if self.reach == Reach::Online { cell.idle } else { cell.all() };
            let mut draw = self.fleet.chance.below(reached);
            let cell = self.fleet.cell_mut(stratum, way.mask as usize);
            let mut after_s = 0.0;
            if draw < cell.idle {
                cell.idle -= 1;
            } else {
                draw -= cell.idle;
                if draw >= cell.away {
                    // It never turns up; nobody knows.
                    cell.dead -= 1;
                    continue;
                }
                cell.away -= 1;
                after_s = self.fleet.chance.exponential(returns_s);
            }
            after_s += contact.residual_s(&mut self.fleet.chance);
            self.wheel.put(self.step_of(at_s + after_s), Due::Contact(way));
        }
    }

    const fn way(operation: usize, stratum: usize, mask: usize, element: u64, tries: u32) -> Way {
        Way {
            operation: operation as u8,
            stratum: stratum as u8,
            mask: mask as u8,
            tries: tries as u8,
            element: element as u32,
        }
    }
}
