//! Step 6, extraction: what is needed of a device's datamodel.

use model::{Datamodel, Device, Guard, Manifest, Observed, Scalar, Time};

/// Values of a device before a change: those of the manifest's guards in their order, then its
/// error code, then the count of its registrations. Absent values stay unknown.
pub(crate) fn extract(manifest: &Manifest, device: &Device) -> Vec<Option<i64>> {
    let guards = manifest
        .guard
        .iter()
        .map(|guard| guarded(guard, &device.datamodel).and_then(|seen| number(&seen.value)));
    let error_code = device.datamodel.error_code.map(|seen| seen.value);
    guards.chain([error_code, Some(i64::from(device.registrations))]).collect()
}

/// The guarded values that were read at `since` or later, in the order of the guards. What is older
/// or was never read is unknown.
pub(crate) fn guarded_values(guards: &[Guard], device: &Device, since: Time) -> Vec<Option<i64>> {
    let read = |guard: &Guard| {
        let seen = guarded(guard, &device.datamodel).filter(|seen| seen.at >= since)?;
        number(&seen.value)
    };
    guards.iter().map(read).collect()
}

/// The whole number that a value is, or that its text spells: objects that nobody defined here
/// come as text.
pub(crate) fn number(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Text(text) => text.trim().parse().ok().and_then(|n| Scalar::Float(n).as_integer()),
        value => value.as_integer(),
    }
}

/// A value that was guarded, as last read.
pub(crate) fn guarded<'a>(guard: &Guard, datamodel: &'a Datamodel) -> Option<&'a Observed<Scalar>> {
    datamodel.values.get(&guard.path)
}
