//! Step 5, aggregation of indicators: which control device is read along with an updated one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::{DeviceId, Time};

/// The control devices whose guarded values are read when those of updated devices are.
///
/// An updated device is read right before its change and when it is proved or disproved. For each
/// of them the next control device of its stratum that is in contact is read too, and once more
/// when the updated one was: the same values, the same time apart. So what drifts for both arms
/// alike cancels, and as many control devices are read as updated ones, no more. When no control
/// device was in contact in the meantime, the next one is read twice as far apart as the updated
/// one was.
///
/// Soft: a restart forgets who is between its two readings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partners {
    // Updated devices between their two readings.
    updated: BTreeMap<DeviceId, Updated>,
    // Those without a partner, by stratum, the oldest first; some may be over.
    alone: BTreeMap<u32, VecDeque<DeviceId>>,
    // How far apart the readings were that still have no counterpart, by stratum.
    owed: BTreeMap<u32, VecDeque<Duration>>,
    controls: BTreeMap<DeviceId, Partner>,
}

#[derive(Debug, Clone, Copy)]
struct Updated {
    stratum: u32,
    begun: Time,
    partner: Option<DeviceId>,
}

#[derive(Debug, Clone)]
struct Partner {
    // The updated device, until it is through.
    of: Option<DeviceId>,
    stratum: u32,
    first: Time,
    // How far apart its readings are to be, once that is known.
    apart: Option<Duration>,
    stage: Stage,
    before: Vec<Option<i64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Asked for the first time.
    First,
    /// Read once.
    Between,
    /// Asked again, since then.
    Second(Time),
}

/// A control device that was read twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadTwice {
    /// Number of its stratum.
    pub(crate) stratum: u32,
    /// Its values at first.
    pub(crate) before: Vec<Option<i64>>,
    /// Its values in the end.
    pub(crate) after: Vec<Option<i64>>,
}

impl Partners {
    /// An updated device was read before its change.
    pub(crate) fn begin(&mut self, updated: DeviceId, stratum: u32, now: Time) {
        self.forget(updated);
        self.updated.insert(updated, Updated { stratum, begun: now, partner: None });
        self.alone.entry(stratum).or_default().push_back(updated);
    }

    /// An updated device was read after its change; returns the control device to be read again.
    pub(crate) fn end(&mut self, updated: DeviceId, now: Time) -> Option<DeviceId> {
        let Updated { stratum, begun, partner } = self.updated.remove(&updated)?;
        let Some(control) = partner else {
            let owed = self.owed.entry(stratum).or_default();
            if owed.len() < OWED_MAX {
                owed.push_back(now.since(begun));
            }
            return None;
        };
        let partner = self.controls.get_mut(&control)?;
        partner.of = None;
        partner.apart = Some(now.since(partner.first));
        (partner.stage == Stage::Between).then_some(control)
    }

    /// An updated device will not be read again, or a control device is none any more.
    pub(crate) fn forget(&mut self, device: DeviceId) {
        if let Some(Updated { partner: Some(control), .. }) = self.updated.remove(&device) {
            self.controls.remove(&control);
        }
        if let Some(Partner { of: Some(updated), .. }) = self.controls.remove(&device)
            && let Some(known) = self.updated.get_mut(&updated)
        {
            known.partner = None;
        }
    }

    /// Whether a control device of that stratum that is in contact should be read now.
    pub(crate) fn wants(&mut self, control: DeviceId, stratum: u32, now: Time) -> bool {
        if let Some(partner) = self.controls.get(&control) {
            let due = partner.apart.map(|apart| partner.first + apart);
            return partner.stage == Stage::Between && due.is_some_and(|due| due <= now);
        }
        self.drop_over(stratum);
        let alone = self.alone.get(&stratum).is_some_and(|alone| !alone.is_empty());
        alone || self.owed.get(&stratum).is_some_and(|owed| !owed.is_empty())
    }

    /// A control device for which [`Partners::wants`] said yes is read now.
    pub(crate) fn ask(&mut self, control: DeviceId, stratum: u32, now: Time) {
        if let Some(partner) = self.controls.get_mut(&control) {
            partner.stage = Stage::Second(now);
            return;
        }
        let of = self.alone.get_mut(&stratum).and_then(VecDeque::pop_front);
        let apart = match of {
            Some(updated) => {
                if let Some(known) = self.updated.get_mut(&updated) {
                    known.partner = Some(control);
                }
                None
            }
            None => self.owed.get_mut(&stratum).and_then(VecDeque::pop_front),
        };
        let (stage, before) = (Stage::First, Vec::new());
        self.controls.insert(control, Partner { of, stratum, first: now, apart, stage, before });
    }

    /// A control device answered; `values` are its values read since a time. Returns both readings
    /// after the second.
    pub(crate) fn answered(
        &mut self,
        control: DeviceId,
        values: impl FnOnce(Time) -> Vec<Option<i64>>,
    ) -> Option<ReadTwice> {
        let partner = self.controls.get_mut(&control)?;
        match partner.stage {
            Stage::First => {
                partner.before = values(partner.first);
                partner.stage = Stage::Between;
                if partner.before.iter().all(Option::is_none) {
                    self.forget(control);
                }
                None
            }
            Stage::Second(asked) => {
                let Partner { stratum, before, .. } = self.controls.remove(&control)?;
                Some(ReadTwice { stratum, before, after: values(asked) })
            }
            Stage::Between => None,
        }
    }

    /// Drops from the front of a stratum's queue those who need no partner any more.
    fn drop_over(&mut self, stratum: u32) {
        let Some(alone) = self.alone.get_mut(&stratum) else { return };
        let updated = &self.updated;
        let is_alone = |id: &DeviceId| updated.get(id).is_some_and(|it| it.partner.is_none());
        while alone.front().is_some_and(|first| !is_alone(first)) {
            alone.pop_front();
        }
    }
}

/// Readings of one stratum that may wait for a counterpart; further ones stay without.
const OWED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATED: DeviceId = DeviceId(1);
    const CONTROL: DeviceId = DeviceId(2);
    const OTHER: DeviceId = DeviceId(3);

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn one_control_device_is_read_when_the_updated_one_is() {
        let mut partners = Partners::default();
        assert!(!partners.wants(CONTROL, 0, at(60)), "nobody is updated");
        partners.begin(UPDATED, 0, at(5));
        assert!(!partners.wants(CONTROL, 1, at(60)), "another stratum");
        assert!(partners.wants(CONTROL, 0, at(60)));
        partners.ask(CONTROL, 0, at(10));
        assert!(!partners.wants(OTHER, 0, at(60)), "one for each");
        assert_eq!(partners.answered(CONTROL, |since| vec![(since == at(10)).then_some(5)]), None);
        assert!(!partners.wants(CONTROL, 0, at(60)), "not before the updated one is through");
        assert_eq!(partners.end(UPDATED, at(60)), Some(CONTROL));
        assert!(partners.wants(CONTROL, 0, at(60)));
        partners.ask(CONTROL, 0, at(70));
        let read = partners.answered(CONTROL, |since| vec![(since == at(70)).then_some(6)]);
        let twice = ReadTwice { stratum: 0, before: vec![Some(5)], after: vec![Some(6)] };
        assert_eq!(read, Some(twice));
        assert_eq!(partners.answered(CONTROL, |_| vec![Some(7)]), None, "once");
    }

    #[test]
    fn what_ends_early_leaves_nothing_behind() {
        let check = |name: &str, meanwhile: &dyn Fn(&mut Partners)| {
            let mut partners = Partners::default();
            partners.begin(UPDATED, 0, at(5));
            partners.ask(CONTROL, 0, at(10));
            meanwhile(&mut partners);
            assert!(partners.controls.is_empty(), "{name}");
            assert_eq!(partners.end(UPDATED, at(60)), None, "{name}");
        };
        check("the control device has none of the values", &|partners| {
            assert_eq!(partners.answered(CONTROL, |_| vec![None, None]), None);
        });
        check("the control device is granted", &|partners| partners.forget(CONTROL));
        check("the update failed", &|partners| partners.forget(UPDATED));
        let mut partners = Partners::default();
        partners.begin(UPDATED, 0, at(5));
        partners.forget(UPDATED);
        assert!(!partners.wants(CONTROL, 0, at(60)), "nobody waits any more");
    }

    /// A change takes a second, and nobody else was in contact then.
    #[test]
    fn a_control_device_may_be_read_later() {
        let mut partners = Partners::default();
        partners.begin(UPDATED, 0, at(5));
        assert_eq!(partners.end(UPDATED, at(25)), None);
        assert!(partners.wants(CONTROL, 0, at(60)));
        partners.ask(CONTROL, 0, at(60));
        assert!(!partners.wants(OTHER, 0, at(60)), "one for each");
        assert_eq!(partners.answered(CONTROL, |_| vec![Some(1)]), None);
        assert!(!partners.wants(CONTROL, 0, at(79)));
        assert!(partners.wants(CONTROL, 0, at(80)), "as far apart as the updated device");
        partners.ask(CONTROL, 0, at(80));
        assert!(partners.answered(CONTROL, |_| vec![Some(2)]).is_some());
    }

    /// The updated device is through before the first answer of its partner.
    #[test]
    fn a_late_answer_is_the_first_reading() {
        let mut partners = Partners::default();
        partners.begin(UPDATED, 0, at(5));
        partners.ask(CONTROL, 0, at(10));
        assert_eq!(partners.end(UPDATED, at(60)), None);
        assert_eq!(partners.answered(CONTROL, |_| vec![Some(1)]), None);
        assert!(partners.wants(CONTROL, 0, at(60)));
    }
}
