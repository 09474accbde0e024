//! How healthy devices are that nothing was changed on, from the looks of earlier operations.

use std::collections::BTreeMap;

use model::{Arm, HealthEventKind, HealthFacts, Look, OperationId, Time};

/// What control devices did, by hardware. A fold over stored looks: those of one operation in
/// their order, operations one after the other in any order.
#[derive(Debug, Default)]
pub struct ControlHealth {
    by_hardware: BTreeMap<String, HealthFacts>,
    // The last look folded.
    last: Option<(OperationId, Time)>,
}

impl ControlHealth {
    /// Takes in the next look. Targets that are not granted count as watched since the look
    /// before; silence that is found later than its operation's last look is not seen.
    pub fn observe(&mut self, look: &Look) {
        let before = self.last.filter(|(operation, _)| *operation == look.operation);
        self.last = Some((look.operation, look.at));
        let since_s = before.map_or(0, |(_, at)| look.at.since(at).as_secs());
        for stratum in &look.strata {
            let known = &mut self.by_hardware;
            if known.len() >= KINDS_MAX && !known.contains_key(&stratum.name.hardware) {
                continue;
            }
            let health = known.entry(stratum.name.hardware.clone()).or_default();
            let control = stratum.targets.saturating_sub(stratum.granted);
            health.watched_s = health.watched_s.saturating_add(control.saturating_mul(since_s));
            for events in stratum.events.iter().filter(|events| events.arm == Arm::Control) {
                match events.kind {
                    HealthEventKind::Silence => health.silences += events.devices,
                    HealthEventKind::Crash => health.crashes += events.devices,
                    HealthEventKind::Guard | HealthEventKind::Signal => {}
                }
            }
        }
    }

    /// What is known of a hardware; of all together where it is not told apart.
    #[must_use]
    pub fn of(&self, hardware: &str) -> HealthFacts {
        if !hardware.is_empty() {
            return self.by_hardware.get(hardware).copied().unwrap_or_default();
        }
        self.by_hardware.values().fold(HealthFacts::default(), |all, one| HealthFacts {
            watched_s: all.watched_s.saturating_add(one.watched_s),
            silences: all.silences + one.silences,
            crashes: all.crashes + one.crashes,
        })
    }
}

/// Kinds of hardware that are told apart.
const KINDS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use model::{HealthEvents, StratumLook, StratumName};

    use super::*;

    fn look(operation: u64, at_s: u64, hardware: &str, granted: u64, silent: u64) -> Look {
        let event = |arm, kind, devices| HealthEvents { arm, look: 1, window: 0, kind, devices };
        let name = StratumName { hardware: hardware.to_owned(), ..StratumName::default() };
        Look {
            operation: OperationId(operation),
            number: 1,
            at: Time::from_secs(at_s),
            strata: vec![StratumLook {
                name,
                targets: 100,
                granted,
                events: vec![
                    event(Arm::Control, HealthEventKind::Silence, silent),
                    event(Arm::Updated, HealthEventKind::Silence, 50),
                    event(Arm::Control, HealthEventKind::Signal, 9),
                ],
                ..StratumLook::default()
            }],
            left: Vec::new(),
        }
    }

    #[test]
    fn control_devices_count_from_look_to_look_of_their_operation() {
        let mut health = ControlHealth::default();
        for look in [
            look(1, 100, "A", 0, 0),
            look(1, 400, "A", 40, 2),
            // Another operation begins anew; the time between the two is nobody's.
            look(2, 9_000, "A", 0, 1),
            look(2, 9_010, "B", 0, 0),
        ] {
            health.observe(&look);
        }
        let expect = |watched_s, silences| HealthFacts { watched_s, silences, crashes: 0 };
        assert_eq!(health.of("A"), expect(60 * 300, 3));
        assert_eq!(health.of("B"), expect(100 * 10, 0));
        assert_eq!(health.of("C"), HealthFacts::default());
        assert_eq!(health.of(""), expect(60 * 300 + 1_000, 3));
    }
}
