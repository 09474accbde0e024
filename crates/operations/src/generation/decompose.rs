//! Decomposing (paper A §III-D): the next devices of an operation, mirrored on its targets.

use std::collections::{BTreeMap, BTreeSet};

use model::{DeviceId, StratumName};

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
/// the change, with the site where the operation asks for it, and inside a stratum the order is a hash of the operation's seed and the device.
/// It is the same on every machine and after every restart, a newcomer slots in at its place,
/// and one changed device costs a few steps however large the fleet is.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    seed: u64,
    // By number of the device: numbers are dense, and a million entries must stay small.
    places: Vec<(Place, u32)>,
    strata: Vec<Stratum>,
    // Hardware, version and site to the number of the stratum; its order is the order of strata.
    names: BTreeMap<Box<str>, u32>,
    // Spares every look at a device an allocation.
    key: String,
    codes: BTreeMap<&'static str, u64>,
    ready: u64,
    waiting: u64,
    excluded: u64,
}

#[derive(Debug, Clone, Default)]
struct Stratum {
    name: StratumName,
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
            key: String::new(),
            codes: BTreeMap::new(),
            ready: 0,
            waiting: 0,
            excluded: 0,
        }
    }

    /// Puts a device in its place; hardware, version and site name its stratum.
    pub(crate) fn put(&mut self, device: DeviceId, place: Place, stratum: [&str; 3]) {
        let Some(index) = device.0.checked_sub(1).and_then(|n| usize::try_from(n).ok()) else {
            return;
        };
        let stratum = match place {
            // Who is no target takes no stratum from those who are.
            Place::Unknown | Place::Excluded(_) => self.stratum(OTHERS),
            Place::Waiting(_) | Place::Ready | Place::Granted => self.stratum(stratum),
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

    /// The devices of the next element: at most `size`, all of them ready. `granted_max` says,
    /// if given, how many of a stratum may be granted in all; see [`seats`] for the order.
    /// Offline devices are never taken: they neither use the element up nor hold it up. Each is
    /// offered to `takes` in turn, and whom that refuses gives the seat to the next one.
    pub(crate) fn decompose(
        &self,
        size: u32,
        granted_max: Option<&dyn Fn(&StratumName) -> u64>,
        takes: &mut dyn FnMut(DeviceId) -> bool,
    ) -> Vec<DeviceId> {
        let numbers: Vec<u32> = self.names.values().copied().collect();
        let strata: Vec<&Stratum> =
            numbers.iter().filter_map(|number| self.strata.get(*number as usize)).collect();
        let counts: Vec<Seats> = strata
            .iter()
            .map(|stratum| Seats {
                targets: stratum.targets(),
                granted: stratum.granted,
                ready: stratum.ready.len() as u64,
                granted_max: granted_max.map_or(u64::MAX, |max| max(&stratum.name)),
            })
            .collect();
        let mut ready: Vec<_> = strata.iter().map(|stratum| stratum.ready.iter()).collect();
        seats(&counts, u64::from(size))
            .into_iter()
            .filter_map(|at| {
                ready[at].by_ref().map(|(_, device)| *device).find(|device| takes(*device))
            })
            .collect()
    }

    /// Every stratum that has targets.
    pub(crate) fn strata(&self) -> impl Iterator<Item = StratumCounts<'_>> {
        self.strata.iter().enumerate().filter(|(_, stratum)| stratum.targets() > 0).map(
            |(number, stratum)| StratumCounts {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                name: &stratum.name,
                targets: stratum.targets(),
                granted: stratum.granted,
                ready: stratum.ready.len() as u64,
            },
        )
    }

    /// The hardware of a device's stratum.
    pub(crate) fn hardware_of(&self, device: DeviceId) -> Option<&str> {
        let stratum = self.strata.get(self.stratum_of(device)? as usize)?;
        Some(&stratum.name.hardware)
    }

    /// The name of the stratum of that number.
    pub(crate) fn name_of(&self, stratum: u32) -> Option<&StratumName> {
        self.strata.get(stratum as usize).map(|stratum| &stratum.name)
    }

    /// The number of the stratum of that name, if some device belonged to it.
    pub(crate) fn number_of(&self, name: &StratumName) -> Option<u32> {
        let at = self.strata.iter().position(|stratum| stratum.name == *name)?;
        u32::try_from(at).ok()
    }

    /// The number of a device's stratum.
    pub(crate) fn stratum_of(&self, device: DeviceId) -> Option<u32> {
        let index = device.0.checked_sub(1).and_then(|n| usize::try_from(n).ok())?;
        self.places.get(index).map(|(_, stratum)| *stratum)
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

    fn stratum(&mut self, [hardware, version, site]: [&str; 3]) -> u32 {
        self.key.clear();
        for part in [hardware, version, site] {
            self.key.push_str(part);
            self.key.push('\u{0}');
        }
        if let Some(number) = self.names.get(self.key.as_str()) {
            return *number;
        }
        if self.strata.len() >= STRATA_MAX && [hardware, version, site] != OTHERS {
            return self.stratum(OTHERS);
        }
        let number = u32::try_from(self.strata.len()).unwrap_or(u32::MAX);
        let name = StratumName {
            hardware: hardware.to_owned(),
            version: version.to_owned(),
            site: site.to_owned(),
        };
        self.strata.push(Stratum { name, ..Stratum::default() });
        self.names.insert(self.key.as_str().into(), number);
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

/// What seats are shared out by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// Targets of the stratum.
    pub targets: u64,
    /// Of these, granted already.
    pub granted: u64,
    /// Of these, those that could be granted now.
    pub ready: u64,
    /// Most that may be granted in all.
    pub granted_max: u64,
}

/// Shares `size` seats out among strata: for each seat, in order, the number of its stratum.
///
/// By the Sainte-Laguë rule over all elements together: each seat goes to the stratum with the
/// largest targets ÷ (2·granted + 1). Small elements so mirror the fleet over time, large ones
/// each by itself. Fewer seats than `size` when no stratum has a device ready within its limit.
#[must_use]
pub fn seats(strata: &[Seats], size: u64) -> Vec<usize> {
    let mut left: Vec<(usize, Seats)> = strata
        .iter()
        .enumerate()
        .map(|(at, seats)| {
            let room = seats.granted_max.saturating_sub(seats.granted);
            (at, Seats { ready: seats.ready.min(room), ..*seats })
        })
        .filter(|(_, seats)| seats.ready > 0)
        .collect();
    let mut order = Vec::new();
    while (order.len() as u64) < size {
        let mut best: Option<(usize, u128, u128)> = None;
        for (index, (_, seats)) in left.iter().enumerate() {
            let share = u128::from(seats.targets);
            let divisor = 2 * u128::from(seats.granted) + 1;
            // share ÷ divisor is larger than the best so far; equal ones keep the order.
            if best.is_none_or(|(_, share_best, best)| share * best > share_best * divisor) {
                best = Some((index, share, divisor));
            }
        }
        let Some((index, _, _)) = best else { break };
        let (at, seats) = &mut left[index];
        order.push(*at);
        seats.granted += 1;
        seats.ready -= 1;
        if seats.ready == 0 {
            left.remove(index);
        }
    }
    order
}

/// A stratum in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StratumCounts<'a> {
    /// Its number.
    pub(crate) number: u32,
    /// Who belongs to it.
    pub(crate) name: &'a StratumName,
    /// Targets.
    pub(crate) targets: u64,
    /// Of these, granted.
    pub(crate) granted: u64,
    /// Of these, those that could be granted now.
    pub(crate) ready: u64,
}

/// Most strata of one operation. Devices report revision and version as free text, and each
/// element looks at every stratum for each of its devices.
const STRATA_MAX: usize = 256;
/// Where devices belong once all strata are taken.
const OTHERS: [&str; 3] = ["", "", ""];
