//! Values of devices: as stored, and read, written and executed live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::{
    DeviceAnswer, ExecuteRequest, PathQuery, ProblemCode, ReadResponse, Timestamp, Value,
    ValueView, WriteRequest,
};
use axum::Json;
use axum::extract::State;
use fleet::{Answer as Answered, Ask};
use lwm2m::{Definitions, Leaf, Path, ValueKind};
use model::{DeviceId, Observed, ResourcePath, Scalar, Time};

use super::Site;
use super::answer::{Answer, Asked, Content, Named, Refusal};

/// Reads from a device now.
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    Named(device): Named,
    Asked(query): Asked<PathQuery>,
) -> Answer<ReadResponse> {
    let path = path(&query.path, 1..=4)?;
    let device = site.device_id(&device).await?;
    let (answer, took) = site.ask(device, Ask::Read(path)).await?;
    let leaves = match answer {
        Answered::Values(leaves) => leaves,
        // A read that is answered without values found an empty place.
        Answered::Done => Vec::new(),
        other => return Err(refused(&other)),
    };
    let at = site.handle.now();
    let values = site
        .handle
        .view(move |engine, _| {
            leaves.iter().map(|leaf| live_view(engine.definitions(), leaf, at)).collect()
        })
        .await?;
    Ok(Json(ReadResponse {
        path: path.to_string(),
        values,
        at: at.into(),
        round_trip_ms: millis(took),
    }))
}

/// Writes a value to a device now.
pub(super) async fn write(
    State(site): State<Arc<Site>>,
    Named(device): Named,
    Asked(query): Asked<PathQuery>,
    Content(request): Content<WriteRequest>,
) -> Answer<DeviceAnswer> {
    let path = path(&query.path, 3..=4)?;
    let device = site.device_id(&device).await?;
    let kind = site.handle.view(move |engine, _| engine.definitions().kind(path)).await?;
    let value = to_device(kind, &request.value).map_err(|message| {
        Refusal::new(ProblemCode::BadRequest, format!("{path} takes {message}")).field("value")
    })?;
    site.order_device(device, Ask::Write(path, value)).await
}

/// Executes a resource of a device now.
pub(super) async fn execute(
    State(site): State<Arc<Site>>,
    Named(device): Named,
    Asked(query): Asked<PathQuery>,
    Content(request): Content<ExecuteRequest>,
) -> Answer<DeviceAnswer> {
    let path = path(&query.path, 3..=3)?;
    let device = site.device_id(&device).await?;
    site.order_device(device, Ask::Execute(path, request.arguments)).await
}

impl Site {
    async fn ask(&self, device: DeviceId, ask: Ask) -> Result<(Answered, Duration), Refusal> {
        let asked = self.handle.now();
        let answer = self.handle.ask_device(device, ask, self.settings.order_timeout.0).await?;
        Ok((answer, self.handle.now().since(asked)))
    }

    async fn order_device(&self, device: DeviceId, ask: Ask) -> Answer<DeviceAnswer> {
        let path = ask.path();
        match self.ask(device, ask).await? {
            // Both a write and an execute succeed with this one code (LwM2M 1.1 core, 6.3).
            (Answered::Done, took) => Ok(Json(DeviceAnswer {
                path: path.to_string(),
                code: coap::Code::CHANGED.to_string(),
                at: self.handle.now().into(),
                round_trip_ms: millis(took),
            })),
            (other, _) => Err(refused(&other)),
        }
    }
}

/// Why a device's answer is none.
fn refused(answer: &Answered) -> Refusal {
    match answer {
        Answered::Refused(code) => {
            let name = code.name().map(|name| format!(" ({name})")).unwrap_or_default();
            Refusal::new(ProblemCode::DeviceRefused, format!("the device answered {code}{name}"))
                .hint(match *code {
                    coap::Code::NOT_FOUND => "Read the object to see what the device has.",
                    coap::Code::METHOD_NOT_ALLOWED => {
                        "The device does not allow this on that path."
                    }
                    _ => "The device's own documentation says what it expects.",
                })
        }
        Answered::Garbled(words) => Refusal::new(
            ProblemCode::DeviceRefused,
            format!("the device's answer cannot be understood: {words}"),
        ),
        Answered::Silence | Answered::Unsent => {
            Refusal::new(ProblemCode::DeviceTimeout, "the device did not answer")
                .hint("Whether it acted is unknown; look at it before repeating an order.")
        }
        Answered::Values(_) | Answered::Done => {
            Refusal::new(ProblemCode::DeviceRefused, "the device answered something else")
        }
    }
}

fn path(text: &str, depth: std::ops::RangeInclusive<usize>) -> Result<Path, Refusal> {
    let wrong = |message: String| {
        Refusal::new(ProblemCode::BadRequest, message).field("path").hint(
            "Write `/object/instance/resource`, e.g. `/3/0/9`; reading also takes an object or \
             an instance.",
        )
    };
    let path: Path = text.parse().map_err(|error| wrong(format!("`{text}`: {error}")))?;
    if depth.contains(&path.depth()) {
        Ok(path)
    } else {
        Err(wrong(format!("`{text}` does not name what this can be done with")))
    }
}

/// What a device sent, as JSON.
fn live_view(definitions: &Definitions, leaf: &Leaf, at: Time) -> ValueView {
    let meaning = leaf.value.as_integer().and_then(|number| meaning(leaf.path, number));
    value_view(definitions, leaf.path, Some((from_device(&leaf.value), at)), meaning)
}

/// Stored values by object instance, each in the order of its path, with what can be executed
/// there. A path that the protocol cannot have is left out; nothing stores one.
pub(super) fn stored_views(
    definitions: &Definitions,
    values: &BTreeMap<ResourcePath, Observed<Scalar>>,
) -> BTreeMap<Path, Vec<ValueView>> {
    let mut known: BTreeMap<Path, &Observed<Scalar>> = BTreeMap::new();
    for (path, observed) in values {
        if let Ok(path) = path.as_str().parse() {
            known.insert(path, observed);
        }
    }
    let instances: Vec<Path> = known.keys().map(|path| path.truncated(2)).collect();
    let mut views: BTreeMap<Path, Vec<(Path, ValueView)>> = BTreeMap::new();
    for instance in instances {
        views.entry(instance).or_insert_with(|| executed(definitions, instance));
    }
    for (path, observed) in known {
        let kind = definitions.kind(path);
        let meaning = observed.value.as_integer().and_then(|number| meaning(path, number));
        let value = (from_store(kind, &observed.value), observed.at);
        let view = value_view(definitions, path, Some(value), meaning);
        views.entry(path.truncated(2)).or_default().push((path, view));
    }
    views
        .into_iter()
        .map(|(instance, mut views)| {
            views.sort_by_key(|(path, _)| *path);
            (instance, views.into_iter().map(|(_, view)| view).collect())
        })
        .collect()
}

/// What every instance of an object lets a server execute.
fn executed(definitions: &Definitions, instance: Path) -> Vec<(Path, ValueView)> {
    let object = instance.object_id().and_then(|id| definitions.object(id));
    object
        .into_iter()
        .flat_map(|object| object.resources.iter())
        .filter(|resource| resource.mandatory && resource.operations.allows_execute())
        .filter_map(|resource| {
            let path = instance.child(resource.id)?;
            Some((path, value_view(definitions, path, None, None)))
        })
        .collect()
}

/// The name of an object; empty when it is not known.
pub(super) fn object_name(definitions: &Definitions, instance: Path) -> String {
    instance
        .object_id()
        .and_then(|object| definitions.object(object))
        .map(|object| object.name.clone().into_owned())
        .unwrap_or_default()
}

fn value_view(
    definitions: &Definitions,
    path: Path,
    value: Option<(Value, Time)>,
    meaning: Option<String>,
) -> ValueView {
    let definition = definitions.at(path);
    // Of a resource nobody described, all that is known is whether it was read.
    let read = value.is_some();
    let (value, at) = value.map(|(value, at)| (value, Timestamp::from(at))).unzip();
    ValueView {
        path: path.to_string(),
        name: definition.map(|known| known.name.clone().into_owned()).unwrap_or_default(),
        value,
        meaning,
        units: definition.map(|known| known.units.clone().into_owned()).unwrap_or_default(),
        readable: definition.map_or(read, |known| known.operations.allows_read()),
        writable: definition.is_none_or(|known| known.operations.allows_write()),
        executable: definition.is_some_and(|known| known.operations.allows_execute()),
        at,
    }
}

/// What a number stands for, where the protocol says so.
fn meaning(path: Path, number: i64) -> Option<String> {
    match path {
        lwm2m::firmware::STATE => {
            lwm2m::firmware::State::from_number(number).map(|state| state.to_string())
        }
        lwm2m::firmware::RESULT => {
            lwm2m::firmware::UpdateResult::from_number(number).map(|result| result.to_string())
        }
        _ => None,
    }
}

fn from_device(value: &lwm2m::Value) -> Value {
    match value {
        lwm2m::Value::Integer(number) => Value::Integer(*number),
        lwm2m::Value::Unsigned(number) => {
            i64::try_from(*number).map_or_else(|_| Value::Text(number.to_string()), Value::Integer)
        }
        lwm2m::Value::Float(number) => float(*number),
        lwm2m::Value::Boolean(truth) => Value::Boolean(*truth),
        lwm2m::Value::String(text) | lwm2m::Value::CoreLink(text) => Value::Text(text.clone()),
        lwm2m::Value::Opaque(bytes) => Value::Text(hex(bytes)),
        lwm2m::Value::Time(seconds) => time(*seconds),
        lwm2m::Value::ObjectLink(object, instance) => Value::Text(format!("{object}:{instance}")),
    }
}

fn from_store(kind: Option<ValueKind>, scalar: &Scalar) -> Value {
    match (kind, scalar) {
        (Some(ValueKind::Time), Scalar::Integer(seconds)) => time(*seconds),
        (_, Scalar::Float(number)) => float(*number),
        (_, scalar) => scalar.into(),
    }
}

/// JSON has no word for what is not finite.
fn float(number: f64) -> Value {
    if number.is_finite() { Value::Float(number) } else { Value::Text(number.to_string()) }
}

/// A moment as text; one outside the years 1970 to 9999 stays a number.
fn time(seconds: i64) -> Value {
    match u64::try_from(seconds) {
        Ok(since) if since <= SECONDS_MAX => Value::Text(Time::from_secs(since).to_string()),
        _ => Value::Integer(seconds),
    }
}

/// The value of a request in the form that the resource has. The error says what it takes.
fn to_device(kind: Option<ValueKind>, value: &Value) -> Result<lwm2m::Value, String> {
    let given = match value {
        Value::Boolean(truth) => lwm2m::Value::Boolean(*truth),
        Value::Integer(number) => lwm2m::Value::Integer(*number),
        Value::Float(number) => lwm2m::Value::Float(*number),
        Value::Text(text) => lwm2m::Value::String(text.clone()),
    };
    let Some(kind) = kind else { return Ok(given) };
    let converted = match (kind, &given) {
        (ValueKind::Opaque, lwm2m::Value::String(text)) => {
            unhex(text).map(|bytes| lwm2m::Value::Opaque(bytes.into()))
        }
        (ValueKind::Time, lwm2m::Value::String(text)) => seconds_of(text).map(lwm2m::Value::Time),
        // Somebody who types 42 for a text means the text.
        (ValueKind::String, lwm2m::Value::Opaque(_)) => None,
        (ValueKind::String, other) => Some(lwm2m::Value::String(match value {
            Value::Text(text) => text.clone(),
            _ if matches!(other, lwm2m::Value::Boolean(_)) => value.to_string(),
            _ => other.to_string(),
        })),
        _ => given.into_kind(kind),
    };
    converted.ok_or_else(|| match kind {
        ValueKind::Opaque => "bytes as an even number of hexadecimal digits".to_owned(),
        ValueKind::Time => {
            "a moment as `2026-11-22T09:00:00Z` or in seconds since 1970-01-01".to_owned()
        }
        ValueKind::ObjectLink => "a link as `object:instance`, e.g. `3:0`".to_owned(),
        ValueKind::Boolean => "`true` or `false`".to_owned(),
        ValueKind::Integer => "a whole number".to_owned(),
        ValueKind::Unsigned => "a whole number that is not negative".to_owned(),
        ValueKind::Float => "a number".to_owned(),
        ValueKind::String | ValueKind::CoreLink => "a text".to_owned(),
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Seconds since 1970 of a moment in UTC (RFC 3339 §5.6 with `Z`); parts of seconds are cut off.
fn seconds_of(text: &str) -> Option<i64> {
    let (day, clock) = text.strip_suffix(['Z', 'z'])?.split_once(['T', 't'])?;
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let numbers = |text: &str, mark: char| -> Option<[i64; 3]> {
        let parts: Vec<i64> = text
            .split(mark)
            .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()))
            .map(Option::flatten)
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(day, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    // Days since 1970-03-01 of a year that begins in March, so that the leap day comes last.
    let (of_year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = of_year * 365 + of_year / 4 - of_year / 100
        + of_year / 400
        + (153 * from_march + 2) / 5
        + day
        - 719_469;
    valid.then(|| days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// The end of the year 9999.
const SECONDS_MAX: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_form_of_the_resource() {
        use lwm2m::Value as V;
        let text = |text: &str| Value::Text(text.to_owned());
        let check = |kind: Option<ValueKind>, value: Value, expected: Option<V>| {
            assert_eq!(to_device(kind, &value).ok(), expected, "{value:?} as {kind:?}");
        };
        check(Some(ValueKind::Integer), Value::Integer(300), Some(V::Integer(300)));
        check(Some(ValueKind::Integer), Value::Float(3.5), None);
        check(Some(ValueKind::Integer), text("3"), None);
        check(Some(ValueKind::Unsigned), Value::Integer(-1), None);
        check(Some(ValueKind::Float), Value::Integer(3), Some(V::Float(3.0)));
        check(Some(ValueKind::String), Value::Integer(42), Some(V::String("42".to_owned())));
        check(Some(ValueKind::String), Value::Boolean(true), Some(V::String("true".to_owned())));
        check(Some(ValueKind::Boolean), Value::Integer(1), None);
        check(Some(ValueKind::Opaque), text("00fF"), Some(V::Opaque(vec![0, 255].into())));
        check(Some(ValueKind::Opaque), text("0f0"), None);
        check(Some(ValueKind::Opaque), text("é0"), None);
        check(Some(ValueKind::Time), Value::Integer(60), Some(V::Time(60)));
        check(Some(ValueKind::ObjectLink), text("3:0"), Some(V::ObjectLink(3, 0)));
        check(None, text("x"), Some(V::String("x".to_owned())));
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.000Z", Some(951_782_400)),
            ("2026-11-22T09:00:00Z", Some(1_795_338_000)),
            ("2100-02-28T23:59:59Z", Some(4_107_542_399)),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-22 09:00:00", None),
            ("2026-11-22T09:00Z", None),
            ("+026-11-22T09:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(seconds_of(text), seconds, "{text}");
        }
        assert_eq!(time(1_795_338_000), Value::Text("2026-11-22T09:00:00.000Z".to_owned()));
        assert_eq!(time(-1), Value::Integer(-1));
        assert_eq!(time(i64::MAX), Value::Integer(i64::MAX));
    }

    #[test]
    fn stored_values_come_by_instance_with_what_can_be_executed() {
        let at = Time::from_secs(9);
        let values = [("/3/0/10", 5), ("/3/0/9", 57), ("/5/0/3", 2), ("/9000/1/2", 7)];
        let values = values
            .into_iter()
            .map(|(path, number)| {
                let value = Observed { value: Scalar::Integer(number), at };
                (ResourcePath::try_from(path.to_owned()).unwrap(), value)
            })
            .collect();
        let views = stored_views(&Definitions::core(), &values);
        let shown: Vec<String> = views
            .values()
            .flatten()
            .map(|view| {
                let value = view.value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                format!("{} {} {value} {:?}", view.path, view.name, view.meaning)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "/3/0/4 Reboot - None",
                "/3/0/9 Battery Level 57 None",
                "/3/0/10 Memory Free 5 None",
                "/5/0/2 Update - None",
                "/5/0/3 State 2 Some(\"downloaded\")",
                "/9000/1/2  7 None",
            ]
        );
    }
}
