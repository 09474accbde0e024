//! The table between LwM2M resources and the fleet's words.

use std::sync::Arc;

use lwm2m::{Leaf, Path, Value};
use model::{Device, Observed, ResourcePath, Scalar, Time, Version};

const MANUFACTURER: Path = Path::resource(3, 0, 0);
const MODEL: Path = Path::resource(3, 0, 1);
const FIRMWARE_VERSION: Path = Path::resource(3, 0, 3);
const POWER_SOURCES: Path = Path::resource(3, 0, 6);
const BATTERY_LEVEL: Path = Path::resource(3, 0, 9);
const MEMORY_FREE: Path = Path::resource(3, 0, 10);
const ERROR_CODE: Path = Path::resource(3, 0, 11);
const UTC_OFFSET: Path = Path::resource(3, 0, 14);
const HARDWARE_VERSION: Path = Path::resource(3, 0, 18);
const SIGNAL_STRENGTH: Path = Path::resource(4, 0, 2);
const DEVICE: Path = Path::instance(3, 0);
const CONNECTIVITY: Path = Path::instance(4, 0);
const FIRMWARE: Path = Path::instance(5, 0);

/// Values kept for one device beside the named ones; a hostile device cannot grow it further.
const VALUES_MAX: usize = 256;
/// Longest text kept of one value, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Greatest offset of a clock from UTC, in minutes.
const OFFSET_MINUTES_MAX: i32 = 840;

/// Reads that tell who a device is, of the objects it registered.
pub fn identity_reads(objects: &[Path]) -> impl Iterator<Item = Path> {
    [DEVICE, CONNECTIVITY, FIRMWARE].into_iter().filter(|path| registered(objects, *path))
}

/// The single resources to read when a device refuses one of [`identity_reads`]: some know no
/// more than that. None for what nothing depends on.
pub fn identity_resources(instance: Path) -> impl Iterator<Item = Path> {
    let asked = [
        MANUFACTURER,
        MODEL,
        FIRMWARE_VERSION,
        HARDWARE_VERSION,
        POWER_SOURCES,
        MEMORY_FREE,
        UTC_OFFSET,
    ];
    asked.into_iter().filter(move |resource| resource.parent() == Some(instance))
}

/// Resources worth being told about, of the objects it registered: those that requirements ask.
pub fn standing_observations(objects: &[Path]) -> impl Iterator<Item = Path> {
    [BATTERY_LEVEL, SIGNAL_STRENGTH]
        .into_iter()
        .filter(|path| path.parent().is_some_and(|instance| registered(objects, instance)))
}

/// Whether `instance`, or its object without instances, is among the registered links.
fn registered(objects: &[Path], instance: Path) -> bool {
    objects.iter().any(|object| object.is_prefix_of(instance))
}

/// Takes values a device sent into what is known of it. Returns whether something changed that
/// identification asks about.
pub fn absorb(device: &mut Device, leaves: &[Leaf], now: Time) -> bool {
    let mut changed = false;
    // An empty set of error codes or power sources is told by its absence in a read of the object.
    for leaf in leaves {
        changed |= absorb_one(device, leaf, now);
    }
    let sources: Vec<i64> = leaves
        .iter()
        .filter(|leaf| POWER_SOURCES.is_prefix_of(leaf.path))
        .filter_map(|leaf| leaf.value.as_integer())
        .collect();
    if !sources.is_empty() {
        // 0 DC, 4 Power over Ethernet, 5 USB, 6 AC mains; 1, 2 batteries, 7 solar.
        let external = sources.iter().any(|source| matches!(source, 0 | 4 | 5 | 6));
        changed |= observe(&mut device.datamodel.external_power, external, now);
    }
    changed
}

/// Whether an answer tells the make, model and hardware revision that are known of a device, as far
/// as it tells them, and at least the make or the model.
#[must_use]
pub fn is_same(device: &Device, leaves: &[Leaf]) -> bool {
    let told = |path: Path| {
        let leaf = leaves.iter().find(|leaf| leaf.path == path)?;
        leaf.value.as_text().map(str::trim).filter(|text| !text.is_empty())
    };
    let known = [
        (MANUFACTURER, device.manufacturer.as_deref()),
        (MODEL, device.model.as_deref()),
        (HARDWARE_VERSION, device.hardware.as_deref()),
    ];
    let pairs = known.map(|(path, known)| told(path).zip(known));
    let same = |(told, known): &(&str, &str)| shortened(told) == *known;
    pairs[..2].iter().flatten().next().is_some() && pairs.iter().flatten().all(same)
}

/// Whether values that requirements ask for are among these, be they the same as before or not.
#[must_use]
pub fn renews_required(leaves: &[Leaf]) -> bool {
    leaves.iter().any(|leaf| {
        matches!(leaf.path, BATTERY_LEVEL | MEMORY_FREE | SIGNAL_STRENGTH)
            || POWER_SOURCES.is_prefix_of(leaf.path)
    })
}

/// Forgets values that a reboot makes stale.
pub fn forget_values(device: &mut Device) {
    device.datamodel.values.clear();
}

fn absorb_one(device: &mut Device, leaf: &Leaf, now: Time) -> bool {
    let number = leaf.value.as_integer();
    let datamodel = &mut device.datamodel;
    match leaf.path {
        MANUFACTURER => return name(&mut device.manufacturer, &leaf.value),
        MODEL => return name(&mut device.model, &leaf.value),
        HARDWARE_VERSION => return name(&mut device.hardware, &leaf.value),
        FIRMWARE_VERSION => {
            let text = leaf.value.as_text().filter(|text| !text.is_empty());
            let version = text.map(|text| Version::new(shortened(text)));
            let same = device.version.as_ref().map(Version::as_str)
                == version.as_ref().map(Version::as_str);
            device.version = version;
            return !same;
        }
        UTC_OFFSET => {
            keep(device, leaf, now);
            let told = leaf.value.as_text().and_then(utc_offset_minutes);
            let field = &mut device.datamodel.utc_offset_minutes;
            return told.is_some_and(|minutes| observe(field, minutes, now));
        }
        _ => {}
    }
    let changed = match (leaf.path, number) {
        (BATTERY_LEVEL, Some(percent)) => {
            observe(&mut datamodel.battery_percent, percent.clamp(0, 100), now)
        }
        (MEMORY_FREE, Some(kib)) => observe(&mut datamodel.free_memory_kib, kib, now),
        (SIGNAL_STRENGTH, Some(dbm)) => observe(&mut datamodel.signal_dbm, dbm, now),
        (path, Some(code)) if ERROR_CODE.is_prefix_of(path) => {
            // Several codes: the first that is not "none" speaks for the device.
            let known = datamodel.error_code.filter(|known| known.at == now && known.value != 0);
            known.is_none() && observe(&mut datamodel.error_code, code, now)
        }
        _ => false,
    };
    keep(device, leaf, now);
    changed
}

/// Minutes of an offset from UTC in ISO 8601 (LwM2M core 1.1, E.4, resource 14): `Z`, `+01`,
/// `+0130` or `+01:30`. None for anything else, and beyond 14 hours, which no clock is ahead.
fn utc_offset_minutes(text: &str) -> Option<i32> {
    let text = text.trim();
    let text = text.strip_prefix("UTC").unwrap_or(text);
    if matches!(text, "Z" | "") {
        return Some(0).filter(|_| text == "Z");
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    let whole = matches!(digits.len(), 2 | 4) && digits.bytes().all(|b| b.is_ascii_digit());
    if !whole
        || (text.contains(':') && (digits.len() != 4 || text.as_bytes().get(3) != Some(&b':')))
    {
        return None;
    }
    let number = |part: &str| part.parse::<i32>().ok();
    let minutes = number(&digits[..2])? * 60
        + number(digits.get(2..).filter(|m| !m.is_empty()).unwrap_or("0"))?;
    let valid = minutes <= OFFSET_MINUTES_MAX && digits.get(2..4).is_none_or(|m| m < "60");
    valid.then_some(sign * minutes)
}

/// Keeps the raw value for guards, the console and `why`.
fn keep(device: &mut Device, leaf: &Leaf, now: Time) {
    let Ok(path) = ResourcePath::try_from(leaf.path.truncated(3).to_string()) else { return };
    let Some(value) = scalar(&leaf.value) else { return };
    let values = &mut device.datamodel.values;
    if values.len() < VALUES_MAX || values.contains_key(&path) {
        values.insert(path, Observed { value, at: now });
    }
}

fn name(field: &mut Option<Arc<str>>, value: &Value) -> bool {
    let Some(text) = value.as_text().map(str::trim).filter(|text| !text.is_empty()) else {
        return false;
    };
    let text = shortened(text);
    if field.as_deref() == Some(text) {
        return false;
    }
    *field = Some(text.into());
    true
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn observe<T: PartialEq>(field: &mut Option<Observed<T>>, value: T, at: Time) -> bool {
    let changed = field.as_ref().is_none_or(|known| known.value != value);
    *field = Some(Observed { value, at });
    changed
}

/// A protocol value in the fleet's form; none for bytes and links, which no guard compares.
#[must_use]
pub fn scalar(value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::Integer(number) | Value::Time(number) => Scalar::Integer(*number),
        Value::Unsigned(number) => Scalar::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
        // Binary formats can carry NaN and infinity, which no comparison and no store can hold.
        Value::Float(number) => return number.is_finite().then_some(Scalar::Float(*number)),
        Value::Boolean(flag) => Scalar::Boolean(*flag),
        Value::String(text) | Value::CoreLink(text) => Scalar::Text(shortened(text).into()),
        Value::Opaque(_) | Value::ObjectLink(..) => return None,
    })
}

/// The fleet's value in the protocol's form.
#[must_use]
pub fn value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Boolean(flag) => Value::Boolean(*flag),
        Scalar::Integer(number) => Value::Integer(*number),
        Scalar::Float(number) => Value::Float(*number),
        Scalar::Text(text) => Value::String(text.as_ref().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use model::{Datamodel, DeviceId, EndpointName, Presence};

    use super::*;

    fn device() -> Device {
        Device {
            id: DeviceId(1),
            endpoint: EndpointName::new("urn:dev:1").unwrap(),
            manufacturer: None,
            model: None,
            hardware: None,
            version: None,
            site: None,
            presence: Presence::Online,
            lifetime: Duration::from_secs(60),
            first_seen: Time::ZERO,
            last_seen: Time::ZERO,
            registrations: 1,
            configurations: BTreeMap::new(),
            consents: BTreeMap::new(),
            hold: None,
            habit: model::Habit::default(),
            datamodel: Datamodel::default(),
        }
    }

    #[test]
    fn values_reach_the_named_fields() {
        let mut device = device();
        let now = Time::from_secs(5);
        let leaves = [
            Leaf::new(MANUFACTURER, Value::String("ACME".to_owned())),
            Leaf::new(MODEL, Value::String("WS-200".to_owned())),
            Leaf::new(FIRMWARE_VERSION, Value::String("1.0".to_owned())),
            Leaf::new(HARDWARE_VERSION, Value::String("B".to_owned())),
            Leaf::new(BATTERY_LEVEL, Value::Integer(57)),
            Leaf::new(POWER_SOURCES.child(0).unwrap(), Value::Integer(1)),
            Leaf::new(POWER_SOURCES.child(1).unwrap(), Value::Integer(5)),
            Leaf::new(ERROR_CODE.child(0).unwrap(), Value::Integer(0)),
            Leaf::new(ERROR_CODE.child(1).unwrap(), Value::Integer(4)),
            Leaf::new(SIGNAL_STRENGTH, Value::Integer(-91)),
        ];
        assert!(absorb(&mut device, &leaves, now));
        assert!(device.is_identified());
        assert_eq!(device.hardware.as_deref(), Some("B"));
        let datamodel = &device.datamodel;
        assert_eq!(datamodel.battery_percent, Some(Observed { value: 57, at: now }));
        assert_eq!(datamodel.external_power, Some(Observed { value: true, at: now }));
        assert_eq!(datamodel.signal_dbm, Some(Observed { value: -91, at: now }));
        assert_eq!(datamodel.error_code.unwrap().value, 4);
        assert!(!absorb(&mut device, &leaves, now), "the same values change nothing");
    }

    #[test]
    fn a_hostile_device_cannot_grow_its_record_without_bound() {
        let mut device = device();
        for resource in 0..5_000 {
            let text = "ä".repeat(5_000);
            let leaf = Leaf::new(Path::resource(9_000, 0, resource), Value::String(text));
            absorb(&mut device, &[leaf], Time::ZERO);
        }
        assert_eq!(device.datamodel.values.len(), VALUES_MAX);
        let version = Leaf::new(FIRMWARE_VERSION, Value::String("9".repeat(1_000_000)));
        absorb(&mut device, &[version], Time::ZERO);
        assert_eq!(device.version.unwrap().as_str().len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn offsets_from_utc_are_read() {
        for (text, minutes) in [
            ("Z", Some(0)),
            ("UTC+2", None),
            ("+01:00", Some(60)),
            ("+0530", Some(330)),
            ("-03:30", Some(-210)),
            ("UTC-11", Some(-660)),
            ("+14:00", Some(840)),
            ("+14:01", None),
            ("+01:60", None),
            ("+1:00", None),
            ("+01:0", None),
            ("01:00", None),
            ("+ab", None),
            ("", None),
            ("+ä1", None),
        ] {
            let mut device = device();
            let leaf = Leaf::new(UTC_OFFSET, Value::String(text.to_owned()));
            assert_eq!(absorb(&mut device, &[leaf], Time::ZERO), minutes.is_some(), "{text}");
            let known = device.datamodel.utc_offset_minutes.map(|seen| seen.value);
            assert_eq!(known, minutes, "{text}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_not_kept() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(scalar(&Value::Float(number)), None);
        }
    }

    #[test]
    fn only_registered_objects_are_asked() {
        let objects = [Path::object(3), Path::instance(5, 0)];
        assert_eq!(identity_reads(&objects).collect::<Vec<_>>(), [DEVICE, FIRMWARE]);
        assert_eq!(standing_observations(&objects).collect::<Vec<_>>(), [BATTERY_LEVEL]);
    }
}
