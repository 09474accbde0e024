//! Paths of the routes, in the form that both the OpenAPI document and axum's router use:
//! `{name}` stands for one percent-encoded segment.

/// Whether the server does its work.
pub const HEALTH: &str = "/health";
/// Which server answers.
pub const VERSION: &str = "/version";
/// The OpenAPI document.
pub const DOCUMENT: &str = "/openapi.json";
/// Measures in Prometheus' text form.
pub const METRICS: &str = "/metrics";
/// The fleet in numbers.
pub const FLEET: &str = "/api/v1/fleet";
/// Devices.
pub const DEVICES: &str = "/api/v1/devices";
/// One device: `dev-7`, its number or its endpoint name.
pub const DEVICE: &str = "/api/v1/devices/{device}";
/// A value on a device, read and written live.
pub const DEVICE_VALUES: &str = "/api/v1/devices/{device}/values";
/// A device: consent to an operation.
pub const DEVICE_CONSENT: &str = "/api/v1/devices/{device}/consent";
/// Leave a device alone.
pub const DEVICE_HOLD: &str = "/api/v1/devices/{device}/hold";
/// Let a device be updated again.
pub const DEVICE_RELEASE: &str = "/api/v1/devices/{device}/release";
/// What happened to a device.
pub const DEVICE_HISTORY: &str = "/api/v1/devices/{device}/history";
/// Why a device is a target, or not, or not yet.
pub const DEVICE_WHY: &str = "/api/v1/devices/{device}/why";
/// An image, named by its digest.
pub const ARTIFACT: &str = "/api/v1/artifacts/{sha256}";
/// Releases.
pub const RELEASES: &str = "/api/v1/releases";
/// Look at a manifest without publishing it.
pub const RELEASE_LINT: &str = "/api/v1/releases/lint";
/// One release: `rel-2`, its number, `NAME@VERSION`, or `NAME` for its newest version.
pub const RELEASE: &str = "/api/v1/releases/{release}";
/// Operations.
pub const OPERATIONS: &str = "/api/v1/operations";
/// What an operation would do.
pub const OPERATION_PLAN: &str = "/api/v1/operations/plan";
/// What is known of the targets of an operation before it is started.
pub const OPERATION_REHEARSAL: &str = "/api/v1/operations/rehearsal";
/// One operation: `op-1` or its number.
pub const OPERATION: &str = "/api/v1/operations/{operation}";
/// Stop an operation until it is resumed.
pub const OPERATION_PAUSE: &str = "/api/v1/operations/{operation}/pause";
/// Let a paused operation go on.
pub const OPERATION_RESUME: &str = "/api/v1/operations/{operation}/resume";
/// Stop an operation for good.
pub const OPERATION_ABORT: &str = "/api/v1/operations/{operation}/abort";
/// The decisions of an operation.
pub const OPERATION_DECISIONS: &str = "/api/v1/operations/{operation}/decisions";
/// The devices of an operation.
pub const OPERATION_DEVICES: &str = "/api/v1/operations/{operation}/devices";
/// The decisions of an operation, made once more.
pub const OPERATION_REPLAY: &str = "/api/v1/operations/{operation}/replay";
/// Take over the settings of another system as a policy.
pub const POLICY_IMPORT: &str = "/api/v1/policies/import";
/// A signal of the business about a device.
pub const SIGNALS: &str = "/api/v1/signals";
/// Server-sent events.
pub const EVENTS: &str = "/api/v1/events";

/// Header that makes an order safe to repeat: the same key and body have one effect, and the
/// second answer equals the first.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header from which a stream of server-sent events goes on.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// Puts values in the place of `{…}`, in their order, percent-encoded (RFC 3986 §2.1).
#[must_use]
pub fn fill(route: &str, values: &[&str]) -> String {
    let mut path = String::with_capacity(route.len() + 16);
    let mut values = values.iter();
    for segment in route.split('/').skip(1) {
        path.push('/');
        if segment.starts_with('{') {
            encode(values.next().copied().unwrap_or_default(), &mut path);
        } else {
            path.push_str(segment);
        }
    }
    path
}

/// Percent-encodes every byte but the unreserved characters (RFC 3986 §2.3).
fn encode(text: &str, to: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        for (route, values, path) in [
            (FLEET, &[][..], "/api/v1/fleet"),
            (DEVICE, &["dev-7"][..], "/api/v1/devices/dev-7"),
            (DEVICE_WHY, &["a/b?c d"][..], "/api/v1/devices/a%2Fb%3Fc%20d/why"),
            (RELEASE, &["ws200@1.1.0"][..], "/api/v1/releases/ws200%401.1.0"),
            (DEVICE, &["é"][..], "/api/v1/devices/%C3%A9"),
        ] {
            assert_eq!(fill(route, values), path);
        }
    }
}
