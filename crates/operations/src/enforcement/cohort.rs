//! Step 5, aggregation for regulation by evidence: updated and control devices, followed alike.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Arm, DeviceId, HealthEventKind, HealthEvents, IndicatorLook, StratumLook, Time};

/// The devices of one operation that are compared: those told to install, and those that could
/// have been.
///
/// A device in contact counts once a look, an updated one once in each window of age in which it
/// was; an event falls into the window of the last contact. One that is told to install counts
/// with the updated devices only. A device whose last contact is longer ago than its deadline has
/// fallen silent at that contact, under the same rule for both arms. Costs a few steps per contact
/// and per deadline, nothing per device and look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cohort {
    // By number of the device: numbers are dense, and a million entries must stay small.
    members: Vec<Member>,
    // When each device's silence must be looked at next. Contacts move no deadline; it is looked
    // up again when it comes.
    due: BTreeSet<(Time, DeviceId)>,
    // What happened since the last look, by number of the stratum.
    strata: Vec<StratumLook>,
    // Control devices followed now, by number of the stratum.
    control: Vec<u64>,
    left: Vec<DeviceId>,
    // Number of the look that is being collected.
    look: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Member {
    role: Role,
    stratum: u32,
    // When it was told to install.
    told: Time,
    // The look of its last contact, and its window then.
    contact: u64,
    window: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Role {
    // Not compared: no target, failed, or changed by another operation since.
    #[default]
    Apart,
    Followed(Arm),
    // Had an event; followed no further.
    Lost,
}

impl Cohort {
    /// Starts collecting after that many looks.
    pub(crate) fn after(looks: u64) -> Self {
        Self { look: looks + 1, ..Self::default() }
    }

    /// A device belongs to an arm from now on; `told` says since when it is updated, which counts
    /// in place of its contact as control in this look. One that was lost stays lost. Says whether
    /// that is new.
    pub(crate) fn follow(
        &mut self,
        device: DeviceId,
        arm: Arm,
        stratum: u32,
        told: Time,
        due: Time,
    ) -> bool {
        let look = self.look;
        let Some(member) = self.member(device) else { return false };
        if member.role == Role::Lost || member.role == Role::Followed(arm) {
            return false;
        }
        let before = *member;
        *member = Member { role: Role::Followed(arm), stratum, told, contact: look, window: 0 };
        let after = *member;
        self.recount(before, after);
        if before.role == Role::Followed(Arm::Control) {
            self.uncount(before);
        }
        // A device that changed sides is looked at by the earlier of both times.
        self.due.insert((due, device));
        true
    }

    /// A device is compared no longer, without anything having happened to it. No silence can be
    /// found after its contact in this look, which therefore is none.
    pub(crate) fn leave(&mut self, device: DeviceId) {
        let Some(member) = self.known(device) else { return };
        if let Role::Followed(_) = member.role {
            self.uncount(member);
            self.take_role(device, Role::Apart);
        }
    }

    /// Takes back the contact of a device in this look, if it counted.
    fn uncount(&mut self, member: Member) {
        if !member.counted(self.look) {
            return;
        }
        let counts = self.stratum(member.stratum);
        if member.role == Role::Followed(Arm::Control) {
            counts.control_contacts = counts.control_contacts.saturating_sub(1);
        } else if let Some(contacts) =
            counts.updated_contacts.get_mut(usize::from(member.window & !COUNTED))
        {
            *contacts = contacts.saturating_sub(1);
        }
    }

    /// A device was told to install.
    pub(crate) fn updated(&mut self, stratum: u32) {
        self.stratum(stratum).updated += 1;
    }

    /// A device answers again, `away` after it was told to install.
    pub(crate) fn returned(&mut self, stratum: u32, away: Duration) {
        let look = self.stratum(stratum);
        look.returned += 1;
        look.away_s += away.as_secs();
    }

    /// An installation ended with a word of the device or the proof of its version.
    pub(crate) fn ended(&mut self, stratum: u32, succeeded: bool) {
        let look = self.stratum(stratum);
        if succeeded {
            look.successes += 1;
        } else {
            look.failures += 1;
        }
    }

    /// A device was in contact. `ages` are the limits of the windows of age.
    pub(crate) fn contact(
        &mut self,
        device: DeviceId,
        ages: impl Iterator<Item = Duration>,
        now: Time,
    ) {
        let look = self.look;
        let Some(member) = self.known(device) else { return };
        let Role::Followed(arm) = member.role else { return };
        let window = match arm {
            Arm::Control => 0,
            Arm::Updated => window(ages, now.since(member.told)),
        };
        let fresh = !member.counted(look) || member.window & !COUNTED != window;
        if fresh {
            let stratum = member.stratum;
            if let Some(member) = self.member(device) {
                member.contact = look;
                member.window = window | COUNTED;
            }
            let counts = self.stratum(stratum);
            match arm {
                Arm::Control => counts.control_contacts += 1,
                Arm::Updated => {
                    let at = usize::from(window);
                    if counts.updated_contacts.len() <= at {
                        counts.updated_contacts.resize(at + 1, 0);
                    }
                    counts.updated_contacts[at] += 1;
                }
            }
        }
    }

    /// Something happened to a device that a good change does not cause. It is followed no
    /// further; false when it was not followed.
    pub(crate) fn event(&mut self, device: DeviceId, kind: HealthEventKind) -> bool {
        let look = self.look;
        let Some(member) = self.known(device) else { return false };
        let Role::Followed(arm) = member.role else { return false };
        // Silence goes back to the last contact; everything else happens now.
        let at = if kind == HealthEventKind::Silence { member.contact } else { look };
        let window = member.window & !COUNTED;
        self.take_role(device, Role::Lost);
        let events = &mut self.stratum(member.stratum).events;
        let same = |one: &&mut HealthEvents| {
            (one.arm, one.look, one.window, one.kind) == (arm, at, window, kind)
        };
        match events.iter_mut().find(same) {
            Some(one) => one.devices += 1,
            None => events.push(HealthEvents { arm, look: at, window, kind, devices: 1 }),
        }
        self.left.push(device);
        true
    }

    /// How much worse the guarded values of a device became, in parts per million and in the order
    /// of the guards; absent ones are neutral. A look keeps at most `values_max` of each guard and
    /// arm in a stratum, the first ones, so that which are kept depends on their order alone.
    pub(crate) fn indicators(
        &mut self,
        stratum: u32,
        arm: Arm,
        changes: impl ExactSizeIterator<Item = Option<i64>>,
        values_max: usize,
    ) {
        let looks = &mut self.stratum(stratum).indicators;
        if looks.len() < changes.len() {
            looks.resize_with(changes.len(), IndicatorLook::default);
        }
        for (look, change) in looks.iter_mut().zip(changes) {
            let values = match arm {
                Arm::Updated => &mut look.updated,
                Arm::Control => &mut look.control,
            };
            if values.len() < values_max {
                values.extend(change);
            }
        }
    }

    /// Whether a device is followed as control.
    pub(crate) fn is_control(&self, device: DeviceId) -> bool {
        self.known(device).is_some_and(|member| member.role == Role::Followed(Arm::Control))
    }

    /// The arm, the stratum and the window of age of a device that is followed.
    pub(crate) fn followed(&self, device: DeviceId) -> Option<(Arm, u32, u8)> {
        let member = self.known(device)?;
        let Role::Followed(arm) = member.role else { return None };
        Some((arm, member.stratum, member.window & !COUNTED))
    }

    /// An event of this very moment that was counted before a restart and is in no look yet; one
    /// of a device that had another one since changes nothing.
    pub(crate) fn restore_event(
        &mut self,
        device: DeviceId,
        arm: Arm,
        stratum: u32,
        window: u8,
        kind: HealthEventKind,
    ) {
        let look = self.look;
        let Some(member) = self.member(device).filter(|member| member.role != Role::Lost) else {
            return;
        };
        let role = Role::Followed(arm);
        let before = *member;
        *member = Member { role, stratum, window, contact: look, ..before };
        let after = *member;
        self.recount(before, after);
        self.event(device, kind);
    }

    /// A device that had an event before a restart.
    pub(crate) fn lost(&mut self, device: DeviceId) {
        self.take_role(device, Role::Lost);
    }

    /// When silence must be looked at next.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The next followed device whose silence must be looked at, if its time has come. It stays
    /// the first one until [`Cohort::wait_from_first`].
    pub(crate) fn first_due(&mut self, now: Time) -> Option<DeviceId> {
        while let Some((due, device)) = self.due.first().copied() {
            if due > now {
                return None;
            }
            if self.followed(device).is_some() {
                return Some(device);
            }
            self.due.remove(&(due, device));
        }
        None
    }

    /// The first device was looked at; its silence is looked at again then, if at all.
    pub(crate) fn wait_from_first(&mut self, device: DeviceId, due: Option<Time>) {
        if self.due.first().is_some_and(|(_, first)| *first == device) {
            self.due.pop_first();
        }
        self.due.extend(due.map(|due| (due, device)));
    }

    /// Hands over what was observed since the last look, by number of the stratum, with the
    /// devices that had an event, and begins the next.
    pub(crate) fn take(&mut self) -> (Vec<StratumLook>, Vec<DeviceId>) {
        self.look += 1;
        for number in 0..u32::try_from(self.control.len()).unwrap_or(u32::MAX) {
            let control = self.control[number as usize];
            self.stratum(number).control = control;
        }
        (std::mem::take(&mut self.strata), std::mem::take(&mut self.left))
    }

    fn take_role(&mut self, device: DeviceId, role: Role) {
        let Some(member) = self.member(device) else { return };
        let before = *member;
        member.role = role;
        let after = *member;
        self.recount(before, after);
    }

    fn recount(&mut self, before: Member, after: Member) {
        for (member, joins) in [(before, false), (after, true)] {
            if member.role != Role::Followed(Arm::Control) {
                continue;
            }
            let at = member.stratum as usize;
            if self.control.len() <= at {
                self.control.resize(at + 1, 0);
            }
            if joins {
                self.control[at] += 1;
            } else {
                self.control[at] = self.control[at].saturating_sub(1);
            }
        }
    }

    fn index(device: DeviceId) -> Option<usize> {
        usize::try_from(device.0.checked_sub(1)?).ok()
    }

    fn known(&self, device: DeviceId) -> Option<Member> {
        self.members.get(Self::index(device)?).copied()
    }

    fn member(&mut self, device: DeviceId) -> Option<&mut Member> {
        let index = Self::index(device)?;
        if self.members.len() <= index {
            self.members.resize(index + 1, Member::default());
        }
        self.members.get_mut(index)
    }

    fn stratum(&mut self, number: u32) -> &mut StratumLook {
        let at = number as usize;
        if self.strata.len() <= at {
            self.strata.resize_with(at + 1, StratumLook::default);
        }
        &mut self.strata[at]
    }
}

impl Member {
    /// Whether its contact of that look was counted.
    const fn counted(&self, look: u64) -> bool {
        self.contact == look && self.window & COUNTED != 0
    }
}

/// The window of an age; a limit belongs to the window above it.
fn window(ages: impl Iterator<Item = Duration>, age: Duration) -> u8 {
    let at = ages.take_while(|limit| age >= *limit).count();
    u8::try_from(at).unwrap_or(u8::MAX) & !COUNTED
}

/// Marks in a member's window that its contact of the look was counted; there are far fewer
/// windows than that.
const COUNTED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(600)];

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn a_contact_counts_once_a_look_with_its_arm_and_age() {
        let mut cohort = Cohort::after(0);
        cohort.follow(DeviceId(1), Arm::Control, 0, at(0), at(100));
        cohort.follow(DeviceId(2), Arm::Updated, 1, at(10), at(100));
        for now in [20, 30] {
            cohort.contact(DeviceId(1), AGES.into_iter(), at(now));
            cohort.contact(DeviceId(2), AGES.into_iter(), at(now));
            cohort.contact(DeviceId(3), AGES.into_iter(), at(now));
        }
        let (strata, left) = cohort.take();
        assert_eq!((strata[0].control_contacts, strata[0].control), (1, 1));
        assert_eq!(strata[1].updated_contacts, [1]);
        assert_eq!(left, []);
        cohort.contact(DeviceId(2), AGES.into_iter(), at(80));
        assert_eq!(cohort.take().0[1].updated_contacts, [0, 1]);
    }

    /// An event in a window in which nobody was at risk would count as if it were certain.
    #[test]
    fn an_event_falls_into_a_window_in_which_the_device_was_counted() {
        let cases = [
            (&[20][..], 0, &[1][..]),
            (&[20, 30], 0, &[1]),
            (&[20, 80], 1, &[1, 1]),
            (&[80, 90, 700], 2, &[0, 1, 1]),
        ];
        for (contacts, window, counted) in cases {
            let mut cohort = Cohort::after(0);
            cohort.follow(DeviceId(1), Arm::Updated, 0, at(10), at(100));
            for contact in contacts {
                cohort.contact(DeviceId(1), AGES.into_iter(), at(*contact));
            }
            assert!(cohort.event(DeviceId(1), HealthEventKind::Silence));
            let (strata, _) = cohort.take();
            assert_eq!(strata[0].events[0].window, window, "{contacts:?}");
            assert_eq!(strata[0].updated_contacts, counted, "{contacts:?}");
        }
    }

    #[test]
    fn silence_goes_back_to_the_last_contact() {
        let mut cohort = Cohort::after(0);
        cohort.follow(DeviceId(1), Arm::Control, 0, at(0), at(100));
        cohort.follow(DeviceId(2), Arm::Updated, 0, at(0), at(100));
        cohort.contact(DeviceId(1), AGES.into_iter(), at(1));
        cohort.contact(DeviceId(2), AGES.into_iter(), at(1));
        cohort.take();
        cohort.contact(DeviceId(2), AGES.into_iter(), at(61));
        cohort.take();
        assert_eq!(cohort.first_due(at(99)), None);
        assert_eq!(cohort.first_due(at(100)), Some(DeviceId(1)));
        assert!(cohort.event(DeviceId(1), HealthEventKind::Silence));
        assert_eq!(cohort.first_due(at(100)), Some(DeviceId(2)), "the first is followed no more");
        cohort.wait_from_first(DeviceId(2), Some(at(161)));
        assert_eq!(cohort.first_due(at(161)), Some(DeviceId(2)));
        cohort.wait_from_first(DeviceId(2), None);
        assert!(cohort.event(DeviceId(2), HealthEventKind::Silence));
        assert!(!cohort.event(DeviceId(2), HealthEventKind::Silence), "it is followed no further");
        let (strata, left) = cohort.take();
        let event = |arm, look, window| HealthEvents {
            arm,
            look,
            window,
            kind: HealthEventKind::Silence,
            devices: 1,
        };
        assert_eq!(strata[0].events, [event(Arm::Control, 1, 0), event(Arm::Updated, 2, 1)]);
        assert_eq!(left, [DeviceId(1), DeviceId(2)]);
        assert_eq!(cohort.next_due(), None);
    }

    #[test]
    fn the_control_device_that_is_updated_changes_sides() {
        let mut cohort = Cohort::after(4);
        cohort.follow(DeviceId(1), Arm::Control, 0, at(0), at(100));
        cohort.contact(DeviceId(1), AGES.into_iter(), at(1));
        cohort.follow(DeviceId(1), Arm::Updated, 0, at(3), at(100));
        cohort.contact(DeviceId(1), AGES.into_iter(), at(3));
        cohort.updated(0);
        cohort.returned(0, Duration::from_secs(15));
        cohort.ended(0, true);
        let (strata, _) = cohort.take();
        let counts = &strata[0];
        assert_eq!((counts.control, counts.returned, counts.away_s), (0, 1, 15));
        assert_eq!((counts.control_contacts, counts.updated_contacts.as_slice()), (0, &[1][..]));
        assert_eq!((counts.updated, counts.successes, counts.failures), (1, 1, 0));
        cohort.lost(DeviceId(1));
        cohort.follow(DeviceId(1), Arm::Updated, 0, at(3), at(100));
        assert!(!cohort.event(DeviceId(1), HealthEventKind::Crash));
    }
}
