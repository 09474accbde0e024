//! Decomposing (paper A §III-D): the next devices of an operation, mirrored on its targets.

use std::collections::btree_set::Iter;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use model::DeviceId;

use crate::mix::mix;

/// Where a device stands in the index of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Place {
    /// Never looked at.
    #[default]
    Unknown,
    /// No target; the reason code.
    Excluded(&'static str),
    /// A target that waits; the reason code.
    Waiting(&'static str),
    /// Can be granted now.
    Ready,
    /// Granted, in flight or settled for good.
    Granted,
}

/// The targets of one operation, kept in the order in which they are processed.
///
/// Devices are taken in a stratified random order: strata are hardware revision × version before
/// the change, and inside a stratum the order is a hash of the operation's seed and the device.
/// It is the same on every machine and after every restart, a newcomer slots in at its place,
/// and one changed device costs a few steps however large the fleet is.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    seed: u64,
    // By number of the device: numbers are dense, and a million entries must stay small.
    places: Vec<(Place, u32)>,
    strata: Vec<Stratum>,
    // Hardware, then version, to the number of the stratum; its order is the order of strata.
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, u32>>,
    codes: BTreeMap<&'static str, u64>,
    ready: u64,
    waiting: u64,
    excluded: u64,
}

#[derive(Debug, Clone, Default)]
struct Stratum {
    ready: BTreeSet<(u64, DeviceId)>,
    waiting: u64,
    granted: u64,
}

impl Stratum {
    fn targets(&self) -> u64 {
        self.ready.len() as u64 + self.waiting + self.granted
    }
}

impl Targets {
    /// No device looked at yet.
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            seed,
            places: Vec::new(),
            strata: Vec::new(),
            names: BTreeMap::new(),
            codes: BTreeMap::new(),
            ready: 0,
            waiting: 0,
            excluded: 0,
        }
    }

    /// Puts a device in its place; `hardware` and `version` name its stratum.
    pub(crate) fn put(&mut self, device: DeviceId, place: Place, hardware: &str, version: &str) {
        let Some(index) = device.0.checked_sub(1).and_then(|n| usize::try_from(n).ok()) else {
            return;
        };
        let stratum = match place {
            // Who is no target takes no stratum from those who are.
            Place::Unknown | Place::Excluded(_) => self.stratum(OTHERS.0, OTHERS.1),
            Place::Waiting(_) | Place::Ready | Place::Granted => self.stratum(hardware, version),
        };
        if self.places.len() <= index {
            self.places.resize(index + 1, (Place::Unknown, 0));
        }
        let old = std::mem::replace(&mut self.places[index], (place, stratum));
        if old != (place, stratum) {
            self.count(device, old, false);
            self.count(device, (place, stratum), true);
        }
    }

    /// Where a device stands.
    pub(crate) fn place(&self, device: DeviceId) -> Place {
        let index = device.0.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        index.and_then(|index| self.places.get(index)).map_or(Place::Unknown, |(place, _)| *place)
    }

    /// The devices of the next element: at most `size`, all of them ready.
    ///
    /// Seats go to the strata by the Sainte-Laguë rule over all elements together: each seat to
    /// the stratum with the largest targets ÷ (2·granted + 1). Small elements so mirror the
    /// fleet over time, large ones each by itself. Offline devices are never taken: they neither
    /// use the element up nor hold it up.
    pub(crate) fn decompose(&self, size: u32) -> Vec<DeviceId> {
        struct Seats<'a> {
            stratum: &'a Stratum,
            granted: u64,
            devices: Peekable<Iter<'a, (u64, DeviceId)>>,
        }
        let numbers = self.names.values().flat_map(BTreeMap::values);
        let mut strata: Vec<_> = numbers
            .filter_map(|number| self.strata.get(*number as usize))
            .filter(|stratum| !stratum.ready.is_empty())
            .map(|stratum| Seats {
                stratum,
                granted: stratum.granted,
                devices: stratum.ready.iter().peekable(),
            })
            .collect();
        let mut element = Vec::new();
        while element.len() < size as usize {
            let mut best: Option<(usize, u128, u128)> = None;
            for (at, seats) in strata.iter_mut().enumerate() {
                if seats.devices.peek().is_none() {
                    continue;
                }
                let share = u128::from(seats.stratum.targets());
                let divisor = 2 * u128::from(seats.granted) + 1;
                // share ÷ divisor is larger than the best so far; equal ones keep the order.
                if best.is_none_or(|(_, share_best, best)| share * best > share_best * divisor) {
                    best = Some((at, share, divisor));
                }
            }
            let Some((at, _, _)) = best else { break };
            strata[at].granted += 1;
            element.extend(strata[at].devices.next().map(|(_, device)| *device));
        }
        element
    }

    /// Devices that could be granted now.
    pub(crate) const fn ready(&self) -> u64 {
        self.ready
    }

    /// Targets that wait.
    pub(crate) const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Devices that are no target.
    pub(crate) const fn excluded(&self) -> u64 {
        self.excluded
    }

    /// Devices that wait or are no target, by reason code.
    pub(crate) const fn codes(&self) -> &BTreeMap<&'static str, u64> {
        &self.codes
    }

    /// Every device that could be granted now.
    pub(crate) fn ready_devices(&self) -> impl Iterator<Item = DeviceId> {
        self.strata.iter().flat_map(|stratum| stratum.ready.iter().map(|(_, device)| *device))
    }

    /// How many strata there are.
    #[cfg(test)]
    pub(crate) const fn strata(&self) -> usize {
        self.strata.len()
    }

    fn stratum(&mut self, hardware: &str, version: &str) -> u32 {
        if let Some(number) = self.names.get(hardware).and_then(|names| names.get(version)) {
            return *number;
        }
        if self.strata.len() >= STRATA_MAX && (hardware, version) != OTHERS {
            return self.stratum(OTHERS.0, OTHERS.1);
        }
        let number = u32::try_from(self.strata.len()).unwrap_or(u32::MAX);
        self.strata.push(Stratum::default());
        self.names.entry(hardware.into()).or_default().insert(version.into(), number);
        number
    }

    fn count(&mut self, device: DeviceId, (place, stratum): (Place, u32), enters: bool) {
        let step = |count: &mut u64| {
            *count = if enters { *count + 1 } else { count.saturating_sub(1) };
        };
        let Some(stratum) = self.strata.get_mut(stratum as usize) else { return };
        match place {
            Place::Unknown => {}
            Place::Excluded(code) => {
                step(&mut self.excluded);
                self.count_code(code, enters);
            }
            Place::Waiting(code) => {
                step(&mut stratum.waiting);
                step(&mut self.waiting);
                self.count_code(code, enters);
            }
            Place::Ready => {
                step(&mut self.ready);
                let key = (mix(self.seed, device.0), device);
                if enters {
                    stratum.ready.insert(key);
                } else {
                    stratum.ready.remove(&key);
                }
            }
            Place::Granted => step(&mut stratum.granted),
        }
    }

    fn count_code(&mut self, code: &'static str, enters: bool) {
        let count = self.codes.entry(code).or_default();
        *count = if enters { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.codes.remove(code);
        }
    }
}

/// Most strata of one operation. Devices report revision and version as free text, and each
/// element looks at every stratum for each of its devices.
const STRATA_MAX: usize = 256;
/// Where devices belong once all strata are taken.
const OTHERS: (&str, &str) = ("", "");
