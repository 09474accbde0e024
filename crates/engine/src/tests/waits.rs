//! What devices wait for, through the whole engine.

use std::time::Duration;

use coap::Request;
use model::{Consent, Device, DeviceId, Eligibility, OperationId, Policy, Record, Snapshot, Time};

use super::Pair;
use crate::{ConsentAnswer, ConsentError};

impl Pair {
    fn code(&self, operation: OperationId) -> &'static str {
        match self.engine.loops().identify(operation, self.device(), self.now) {
            Eligibility::Eligible { .. } => "eligible",
            Eligibility::Waiting { exclusion } | Eligibility::Excluded { exclusion } => {
                exclusion.code()
            }
        }
    }
}

#[test]
fn values_that_are_too_old_are_read_anew_at_the_next_contact() {
    let mut pair = Pair::new(Snapshot::default());
    let location = pair.register_as("Q")[0].location_path().collect::<Vec<_>>().join("/");
    let requires = "[requires]\nbattery = { percent = 90 }\nmax_age = \"10m\"\nunknown = \"wait\"";
    let id = pair.publish(requires, Policy::threshold());
    assert_eq!(pair.code(id), "battery.low");
    pair.seen.clear();
    pair.send(Request::post(&format!("/{location}")));
    assert!(!pair.seen.contains(&"GET /3/0".to_owned()), "young enough: {:?}", pair.seen);
    pair.advance(Duration::from_secs(601));
    assert_eq!(pair.code(id), "data.stale");
    let counted = pair.engine.loops().exclusions(id, pair.engine.fleet(), pair.now);
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("data.stale", 1)]);
    pair.send(Request::post(&format!("/{location}")));
    assert!(pair.seen.contains(&"GET /3/0".to_owned()), "{:?}", pair.seen);
    assert_eq!(pair.device().datamodel.battery_percent.unwrap().at, pair.now);
    assert_eq!(pair.code(id), "battery.low", "the same charge, believed again");
}

#[test]
fn consent_is_durable_before_anything_is_sent() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    let (device, unknown) = (DeviceId(1), OperationId(9));
    let id = pair.publish("", Policy { consent: Consent::Required, ..Policy::threshold() });
    assert_eq!(pair.code(id), "consent.pending");
    assert!(pair.seen.iter().all(|seen| !seen.starts_with("PUT")), "{:?}", pair.seen);
    let say = |pair: &mut Pair, device, id, answer| {
        let said = pair.engine.consent(device, id, answer, "owner", "at night", pair.now);
        pair.settle();
        said
    };
    let now = ConsentAnswer::From(Time::ZERO);
    let stranger = DeviceId(7);
    assert_eq!(say(&mut pair, stranger, id, now), Err(ConsentError::UnknownDevice(stranger)));
    assert_eq!(say(&mut pair, device, unknown, now), Err(ConsentError::UnknownOperation(unknown)));
    assert_eq!(
        say(&mut pair, device, id, ConsentAnswer::Withdrawn),
        Err(ConsentError::NotGiven { device, operation: id })
    );
    let later = ConsentAnswer::From(pair.now + Duration::from_secs(30));
    assert_eq!(say(&mut pair, device, id, later), Ok(()));
    assert_eq!(pair.code(id), "consent.deferred_until");
    assert_eq!(say(&mut pair, device, id, ConsentAnswer::Withdrawn), Ok(()));
    assert_eq!(pair.code(id), "consent.pending");
    assert_eq!(say(&mut pair, device, id, later), Ok(()));
    let snapshot = pair.snapshot();
    let stored = serde_json::to_string(&snapshot.devices[0]).unwrap();
    let restored: Device = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored.consents[&id].words, "at night");
    assert!(pair.seen.iter().all(|seen| !seen.starts_with("PUT")), "{:?}", pair.seen);
    pair.advance(Duration::from_secs(30));
    assert!(pair.seen.contains(&"PUT /5/0/1".to_owned()), "{:?}", pair.seen);
    let at = |found: fn(&Record) -> bool| pair.records.iter().position(found).unwrap();
    let given = at(|r| matches!(r, Record::Device(device) if !device.consents.is_empty()));
    assert!(given < at(|record| matches!(record, Record::Intent(_))));
    assert_eq!(
        say(&mut pair, device, id, ConsentAnswer::Withdrawn),
        Err(ConsentError::UnderWay { device, operation: id })
    );
    pair.engine.abort(id, "me", "", pair.now).unwrap();
    assert_eq!(say(&mut pair, device, id, now), Err(ConsentError::Ended(id)));
}

#[test]
fn nobody_is_asked_where_the_policy_asks_nobody() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    let id = pair.publish("", Policy::threshold());
    let said =
        pair.engine.consent(DeviceId(1), id, ConsentAnswer::Withdrawn, "owner", "", pair.now);
    assert_eq!(said, Err(ConsentError::NotNeeded(id)));
}
