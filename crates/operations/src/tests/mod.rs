//! The three loops together: chosen scenes, random runs with modelled devices, restarts.

mod evidence;
mod facts;
mod followed;
mod invariants;
mod peers;
mod random;
mod restarts;
mod scenes;
mod waits;
mod world;

use std::time::Duration;

use model::{
    Device, DeviceId, EndpointName, Fleet, Manifest, Observed, Policy, Presence, Retry, Span, Time,
    Version,
};

use crate::Config;

/// A firmware release for the model the test devices are.
pub(crate) fn firmware(name: &str, version: &str, extra: &str) -> Manifest {
    let text = format!(
        r#"
manifest = 1
[release]
name = "{name}"
version = "{version}"
class = "minor"
[[target]]
manufacturer = "Acme"
model = "Sensor"
[[artifact]]
size = 1000
sha256 = "{}"
file = "image.bin"
{extra}
"#,
        "ab".repeat(32)
    );
    Manifest::from_toml(&text).unwrap()
}

/// A device in contact, running `version`.
pub(crate) fn device(id: u64, version: &str) -> Device {
    Device {
        id: DeviceId(id),
        endpoint: EndpointName::new(&format!("urn:dev:{id}")).unwrap(),
        manufacturer: Some("Acme".into()),
        model: Some("Sensor".into()),
        hardware: Some(if id.is_multiple_of(3) { "B" } else { "A" }.into()),
        version: Some(Version::new(version)),
        site: None,
        presence: Presence::Online,
        lifetime: Duration::from_secs(60),
        first_seen: Time::ZERO,
        last_seen: Time::ZERO,
        registrations: 1,
        configurations: std::collections::BTreeMap::new(),
        consents: std::collections::BTreeMap::new(),
        hold: None,
        habit: model::Habit::default(),
        datamodel: model::Datamodel::default(),
    }
}

/// That many devices in contact, running `version`.
pub(crate) fn fleet(count: u64, version: &str) -> Fleet {
    let mut fleet = Fleet::new();
    (1..=count).for_each(|id| fleet.insert(device(id, version)));
    fleet
}

pub(crate) fn observed<T>(value: T, at: Time) -> Option<Observed<T>> {
    Some(Observed { value, at })
}

/// A policy with short waits.
pub(crate) fn policy() -> Policy {
    Policy {
        retry: Retry { attempts_max: 3, backoff: Span::secs(30), backoff_max: Span::secs(300) },
        linger: Span::secs(3_600),
        ..Policy::threshold()
    }
}

/// Limits with short waits.
pub(crate) fn config() -> Config {
    Config {
        transfer_stall_s: 120,
        verify_s: 60,
        probe_s: 30,
        compliance_delay_s: 0,
        ..Config::default()
    }
}
