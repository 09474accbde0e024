//! What people see: operations, devices, reasons and events as lines of text.

use api::{
    AttemptState, CheckOutcome, CountsView, DeviceDetail, Event, EventKind, EvidenceView,
    FleetSummary, OperationDetail, OperationState, OperationSummary, RatesView, ReasonCount,
    ReleaseRef, ReplayReport, StratumScope, StratumView, ValueView, WhyReport, WhyVerdict, e_value,
};
use model::FaultKind;

use crate::paint::Paint;

/// A text, or a dash when there is none.
pub(crate) fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

/// `1 device`, `2 devices`.
pub(crate) fn devices(count: u64) -> String {
    format!("{count} device{}", if count == 1 { "" } else { "s" })
}

/// Targets by where they stand.
///
/// Whoever waited when the operation ended waits for it no more.
pub(crate) fn counts(counts: &CountsView, state: OperationState) -> String {
    let CountsView { succeeded, in_flight, waiting, failed, cancelled, .. } = counts;
    let wait = if state.is_final() { "left" } else { "waiting" };
    let mut text =
        format!("{succeeded} done · {in_flight} in flight · {waiting} {wait} · {failed} failed");
    if *cancelled > 0 {
        text.push_str(&format!(" · {cancelled} taken back"));
    }
    text
}

/// Everything about an operation that fits in a few lines.
pub(crate) fn operation(operation: &OperationDetail, paint: Paint) -> Vec<String> {
    let summary = &operation.summary;
    let mut lines = vec![title(summary, paint)];
    let mut add = |name: &str, text: String| lines.push(labelled(name, &text, paint));
    let share = summary.progress.percent;
    add(
        "progress",
        format!(
            "{} {}  {}",
            bar(share),
            summary.progress.text,
            counts(&summary.counts, summary.state)
        ),
    );
    add("element", element(operation));
    if !summary.last_decision.is_empty() {
        let at = operation.decisions.first().map_or("", |decision| decision.at.time_of_day());
        add("decision", format!("{at} {}", summary.last_decision).trim_start().to_owned());
    }
    if summary.frozen_by.is_some() {
        add("go on", frozen_remedy(&summary.name));
    }
    if let Some(rates) = &operation.rates {
        let limits = (&operation.tolerated_errors.text, &operation.tolerated_warnings.text);
        add("measured", measured(rates, limits));
    }
    if let Some(evidence) = &operation.evidence {
        for (name, text) in self::evidence(evidence, summary.state.is_final(), paint) {
            add(name, text);
        }
    }
    let reasons = |waiting: bool| {
        let of_kind = operation.exclusions.iter().filter(|reason| reason.waiting == waiting);
        let each = of_kind.map(|ReasonCount { code, devices, .. }| format!("{code} {devices}"));
        each.collect::<Vec<_>>().join(" · ")
    };
    for (name, waiting) in [("waiting for", true), ("not eligible", false)] {
        let text = reasons(waiting);
        if !text.is_empty() {
            add(name, text);
        }
    }
    lines
}

/// What an operator can do about a frozen operation.
pub(crate) fn frozen_remedy(operation: &str) -> String {
    format!(
        "give it up with `bellwether operation abort {operation}`, or let it go on with `bellwether operation resume {operation}` if it does no harm of its own"
    )
}

/// What the evidence says: the whole in one line, each stratum in one, with its name first.
fn evidence(evidence: &EvidenceView, ended: bool, paint: Paint) -> Vec<(&'static str, String)> {
    let limit = evidence.limit_log10;
    let mut whole = format!("E {} of {}", e_value(evidence.e_log10), e_value(limit));
    if evidence.leaves_out_stopped() {
        whole.push_str(" over the strata not stopped");
    }
    if evidence.alarm {
        whole.push_str(&format!(", {}", paint.bad("alarm")));
    } else if evidence.warning {
        whole.push_str(&format!(", {}", paint.warn("warning")));
    }
    let EvidenceView { budget, at_risk, excess, parallel_max, .. } = evidence;
    whole.push_str(&format!(
        " · budget {budget}: {at_risk:.1} at risk, {excess:.1} harmed beyond the usual"
    ));
    let targets: u64 = evidence.strata.iter().map(|stratum| stratum.targets).sum();
    #[expect(clippy::cast_precision_loss, reason = "fleets stay far below 2^52 devices")]
    if !ended && *parallel_max < targets as f64 {
        whole.push_str(&format!(" · at most {parallel_max:.0} at a time"));
    }
    let mut lines = vec![("evidence", whole)];
    for stratum in most_evidence(evidence) {
        let meaning = stratum.meaning(ended);
        let meaning = match stratum.scope {
            StratumScope::Free => meaning.to_owned(),
            StratumScope::Held | StratumScope::Suspect => paint.warn(meaning),
            StratumScope::Stopped => paint.bad(meaning),
        };
        lines.push((
            "  stratum",
            format!(
                "{}  E {} of {} · faults ≤ {} · {} of {} updated{} · {meaning}",
                stratum.name,
                e_value(stratum.closed_log10),
                e_value(limit),
                stratum.rate_upper.text,
                stratum.updated,
                stratum.targets,
                if ended { String::new() } else { format!(", up to {} now", stratum.granted_max) },
            ),
        ));
        for indicator in &stratum.indicators {
            let (e, said) = (e_value(indicator.e_log10), indicator.sentence());
            lines.push(("  indicator", format!("{}  E {e} · {said}", indicator.name)));
        }
    }
    if evidence.strata_total > STRATA_SHOWN as u64 {
        let more = evidence.strata_total - STRATA_SHOWN as u64;
        lines.push(("", format!("and {more} more with less evidence; see --output json")));
    }
    match (&evidence.awaits, evidence.released, &evidence.watch_until) {
        _ if ended => {}
        (Some(gate), ..) => lines.push(("waits for you", paint.warn(&gate.sentence))),
        (None, true, Some(_)) => lines.push(("holdback", "follows".to_owned())),
        (None, false, Some(until)) => {
            let (day, time) = (until.day(), until.time_of_day());
            lines.push(("holdback", format!("stays as a control until {day} {time}")));
        }
        _ => {}
    }
    lines
}

/// The strata with most evidence against them, in their own order.
fn most_evidence(evidence: &EvidenceView) -> Vec<&StratumView> {
    let mut strata: Vec<(usize, &StratumView)> = evidence.strata.iter().enumerate().collect();
    strata.sort_by(|(_, a), (_, b)| {
        b.scope.cmp(&a.scope).then(b.closed_log10.total_cmp(&a.closed_log10))
    });
    strata.truncate(STRATA_SHOWN);
    strata.sort_by_key(|(at, _)| *at);
    strata.into_iter().map(|(_, stratum)| stratum).collect()
}

const STRATA_SHOWN: usize = 12;

/// What a replay came to.
pub(crate) fn replay(report: &ReplayReport, paint: Paint) -> Vec<String> {
    let ReplayReport { equal, different, orders, looks, .. } = report;
    let verdict = if report.all_equal {
        paint.good("every decision comes out the same")
    } else {
        paint.bad(match different {
            1 => "1 decision comes out differently".to_owned(),
            _ => format!("{different} decisions come out differently"),
        })
    };
    let mut lines = vec![format!("{}: {verdict}", paint.strong(&report.operation.name))];
    let orders = match orders {
        0 => String::new(),
        1 => ", 1 ordered by an operator".to_owned(),
        _ => format!(", {orders} ordered by an operator"),
    };
    lines.push(labelled(
        "decisions",
        &format!("{equal} the same, {different} different{orders}"),
        paint,
    ));
    if *looks > 0 {
        lines.push(labelled("looks", &format!("{looks} folded"), paint));
    }
    for decision in &report.differing {
        let by = if decision.same_version {
            "made by this version: please report it as a fault".to_owned()
        } else {
            format!(
                "made by version {}, which may have decided otherwise on purpose",
                decision.code_version
            )
        };
        lines.push(String::new());
        let at = decision.at.time_of_day();
        lines.push(format!("{} {at}  {by}", paint.strong(format!("#{}", decision.seq))));
        for difference in &decision.differences {
            lines.push(format!(" {}", paint.name(&difference.part)));
            lines.push(format!("   stored {}", difference.stored));
            lines.push(format!("   again  {}", difference.again));
        }
    }
    if report.differing.len() as u64 != *different {
        lines.push(format!("the first {} are shown", report.differing.len()));
    }
    lines
}

fn title(summary: &OperationSummary, paint: Paint) -> String {
    let state = standing(summary, paint);
    let phase = if summary.state.is_final() {
        String::new()
    } else {
        format!("  phase {}", summary.phase.as_str())
    };
    format!(
        "{}  {}  {}  {state}{phase}  since {}  {}{}",
        paint.strong(summary.release.title()),
        summary.name,
        summary.class,
        summary.opened.time_of_day(),
        paint.dim(format!("({})", summary.origin)),
        summary.undone_by.as_ref().map_or_else(String::new, |by| format!(
            "  {}",
            paint.warn(format!("undone by {}", by.name))
        )),
    )
}

/// A state, coloured by what it means for the fleet.
pub(crate) fn state(state: OperationState, paint: Paint) -> String {
    let word = state.as_str();
    match state {
        OperationState::Pending => paint.dim(word),
        OperationState::Ongoing => paint.name(word),
        OperationState::Paused => paint.warn(word),
        OperationState::Aborted => paint.bad(word),
        OperationState::Finished => paint.good(word),
    }
}

/// The state of an operation, and what froze it if anything did.
pub(crate) fn standing(summary: &OperationSummary, paint: Paint) -> String {
    let state = state(summary.state, paint);
    match &summary.frozen_by {
        Some(by) => format!("{state}, {}", paint.warn(format!("frozen by {}", by.name))),
        None => state,
    }
}

fn element(operation: &OperationDetail) -> String {
    let points = &operation.chart.points;
    let Some(this) = points.last() else { return "none granted yet".to_owned() };
    let mut text = format!("number {} with {}", this.element, devices(this.devices));
    let largest = points.iter().map(|point| point.devices).max().unwrap_or(0);
    if let Some(last) = points.len().checked_sub(2).and_then(|at| points.get(at)) {
        text.push_str(&format!("; {} in the one before, {largest} in the largest", last.devices));
    }
    text
}

fn measured(rates: &RatesView, (errors, warnings): (&String, &String)) -> String {
    let mut text = format!(
        "errors {} (limit {errors}) · warnings {} (limit {warnings})",
        rates.errors.text, rates.warnings.text
    );
    if let Some(time) = rates.response_time_ms {
        text.push_str(&format!(" · response time {time:.1} ms"));
    }
    text
}

/// The fleet in one line.
pub(crate) fn fleet(fleet: &FleetSummary, paint: Paint) -> String {
    let presence = &fleet.presence;
    let software = &fleet.compliance;
    let mut text = format!(
        "{} · {} online, {} asleep, {} offline · {} current, {} outdated",
        devices(fleet.devices),
        presence.online,
        presence.asleep,
        presence.offline,
        software.current,
        software.outdated,
    );
    for (count, what) in [
        (software.updating, "updating"),
        (software.held, "held"),
        (software.quarantined, "quarantined"),
        (software.untargeted, "of other kinds"),
        (software.unknown, "unknown"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    labelled("fleet", &text, paint)
}

/// A name and what it stands for, in two columns.
pub(crate) fn labelled(name: &str, text: &str, paint: Paint) -> String {
    format!("{}{text}", paint.dim(format!("{name:<14}")))
}

fn bar(percent: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0 to 100 before"
    )]
    let eighths = (percent.clamp(0.0, 100.0) / 100.0 * BAR_CELLS as f64 * 8.0).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8 - 1]);
    }
    let empty = BAR_CELLS - bar.chars().count();
    bar + &"░".repeat(empty)
}

const BAR_CELLS: usize = 24;

/// What is known of a device, without its values and history.
pub(crate) fn device(device: &DeviceDetail, paint: Paint) -> Vec<String> {
    let summary = &device.summary;
    let mut lines = vec![format!("{}  {}", paint.strong(&summary.endpoint), summary.name)];
    let mut add = |name: &str, text: String| lines.push(labelled(name, &text, paint));
    let kind = Some(summary.kind()).filter(|kind| !kind.is_empty());
    let hardware = summary.hardware.as_ref();
    add("model", format!("{}  hardware {}", or_dash(kind), or_dash(hardware)));
    let mut version = or_dash(summary.version.as_ref());
    if let Some(desired) = &summary.desired_version {
        version.push_str(&format!("  (newest release {desired})"));
    }
    add("version", version);
    add("software", summary.compliance.as_str().to_owned());
    if let Some(hold) = &summary.hold {
        add(
            "held",
            format!(
                "by {}: {}",
                if hold.by == api::HoldKind::Operator { "an operator" } else { "the system" },
                hold.reason
            ),
        );
    }
    add(
        "presence",
        format!("{}, last seen {}", summary.presence.as_str(), summary.last_seen.time_of_day()),
    );
    if let Some(registration) = &device.registration {
        add(
            "registered",
            format!(
                "from {} at {}, lifetime {} s, {} time(s) so far",
                registration.address,
                registration.at.time_of_day(),
                device.lifetime_s,
                device.registrations
            ),
        );
    }
    for configuration in &device.configurations {
        add("configured", format!("{} {}", configuration.release, configuration.version));
    }
    for report in &device.updates {
        lines.push(String::new());
        lines.extend(why(report, paint));
    }
    lines
}

/// Why a device is what it is to an operation or a release.
pub(crate) fn why(report: &WhyReport, paint: Paint) -> Vec<String> {
    let verdict = report.verdict.as_str().to_uppercase();
    let verdict = match report.verdict {
        WhyVerdict::Eligible | WhyVerdict::Succeeded => paint.good(verdict),
        WhyVerdict::Waiting => paint.warn(verdict),
        WhyVerdict::InProgress => paint.name(verdict),
        WhyVerdict::Excluded => verdict,
        WhyVerdict::Failed => paint.bad(verdict),
    };
    let of = report.operation.as_ref().map(|of| format!(" ({})", of.name)).unwrap_or_default();
    let mut lines = vec![
        format!(
            "{}{of} on {}: {verdict}  {}",
            paint.strong(report.release.title()),
            report.device.endpoint,
            paint.dim(&report.code)
        ),
        format!(" {}", report.sentence),
    ];
    for check in &report.checks {
        let sign = match check.outcome {
            CheckOutcome::Pass => paint.good("✔"),
            CheckOutcome::Fail => paint.bad("✘"),
            CheckOutcome::Unknown => paint.dim("…"),
        };
        let age = check.age_s.map(|age| format!(", read {age} s ago")).unwrap_or_default();
        lines.push(format!(" {sign} {:<10} {}{age}", check.name, check.detail));
    }
    if !report.path.is_empty() {
        let path: Vec<&str> = report.path.iter().map(|release| release.version.as_str()).collect();
        lines.push(format!(" path: {}", path.join(" → ")));
    }
    if let Some(at) = &report.next_check {
        lines.push(format!(" {} {at}", paint.name("next check:")));
    }
    if !report.remedy.is_empty() {
        lines.push(format!(" {} {}", paint.name("what would change it:"), report.remedy));
    }
    lines
}

/// A value with its meaning and unit.
pub(crate) fn value(value: &ValueView) -> String {
    let Some(read) = &value.value else {
        return if value.executable { "(execute)" } else { "-" }.to_owned();
    };
    match (&value.meaning, value.units.as_str()) {
        (Some(meaning), _) => format!("{read} ({meaning})"),
        (None, "") => read.to_string(),
        (None, units) => format!("{read} {units}"),
    }
}

/// A release by its names.
pub(crate) fn release(release: &ReleaseRef) -> String {
    format!("{} ({})", release.title(), release.name)
}

/// An event in one sentence.
pub(crate) fn event(event: &Event) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    match &event.kind {
        EventKind::ServerReady { version, http, coap } => {
            format!("bellwether {version} is ready, console {http}, devices {coap}")
        }
        EventKind::DeviceRegistered { device, model, version } => format!(
            "{} registered, model {}, version {}",
            device.endpoint,
            known(model),
            known(version)
        ),
        EventKind::DevicePresence { device, presence } => {
            format!("{} is {}", device.endpoint, presence.as_str())
        }
        EventKind::DeviceVersion { device, before, after } => {
            format!("{} reports version {after}, before {}", device.endpoint, known(before))
        }
        EventKind::DeviceHold { device, held, reason } => {
            let what = if *held { "is left alone" } else { "may be updated again" };
            format!("{} {what}: {reason}", device.endpoint)
        }
        EventKind::DeviceConsent { device, operation, from, by, reason } => {
            let words = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let what = match from {
                Some(from) => format!("{} may change it from {from} on", operation.name),
                None => format!("consent to {} is withdrawn", operation.name),
            };
            format!("{}: {what}, by {by}{words}", device.endpoint)
        }
        EventKind::DeviceSignal { device, signal, text, by } => {
            let text = if text.is_empty() { String::new() } else { format!(": {text}") };
            format!("{}: signal {signal} by {by}{text}", device.endpoint)
        }
        EventKind::ReleasePublished { release: published, by } => {
            format!("{} published by {by}", release(published))
        }
        EventKind::OperationOpened { operation, release: of, targets, origin } => {
            let why = if origin.is_empty() { String::new() } else { format!(", {origin}") };
            format!("{} opened for {}: {targets} targets{why}", operation.name, of.title())
        }
        EventKind::ElementGranted { operation, element, devices: size, phase } => format!(
            "{}: element {element}, {}, in phase {}",
            operation.name,
            devices(*size),
            phase.as_str()
        ),
        EventKind::DeviceProgress { operation, device, attempt, state } => {
            let state = state.as_str();
            format!("{}: {} try {attempt}: {state}", operation.name, device.endpoint)
        }
        EventKind::DeviceWarned { operation, device, words } => {
            format!("{}: {} warning: {words}", operation.name, device.endpoint)
        }
        EventKind::Decided { decision } => {
            format!("{}: {}", decision.operation.name, decision.sentence)
        }
        EventKind::Progress { operation, counts: of, progress, .. } => {
            let counts = counts(of, OperationState::Ongoing);
            format!("{}: {} of the targets, {counts}", operation.name, progress.text)
        }
        EventKind::OperationEnded { operation, state, sentence, counts: of } => {
            format!("{} {}: {sentence}; {}", operation.name, state.as_str(), counts(of, *state))
        }
        EventKind::Missed { events } => match events {
            Some(events) => format!("{events} events are missing here"),
            None => "events are missing here".to_owned(),
        },
        EventKind::DeviceSettled { .. } => settled(&event.kind),
        EventKind::Unknown => "an event that this version does not know".to_owned(),
    }
}

fn settled(kind: &EventKind) -> String {
    let EventKind::DeviceSettled {
        operation,
        device,
        attempt,
        state,
        fault,
        version_before,
        version_after,
    } = kind
    else {
        return String::new();
    };
    let mut text =
        format!("{}: {} try {attempt}: {}", operation.name, device.endpoint, state.as_str());
    match (state, version_before, version_after) {
        (AttemptState::Succeeded, Some(before), Some(after)) => {
            text.push_str(&format!(", {before} → {after}"));
        }
        (AttemptState::Silent, _, _) => text.push_str(", no answer after the change"),
        _ => {}
    }
    if let Some(fault) = fault {
        text.push_str(&format!(", {}", fault.kind));
        if !fault.detail.is_empty() {
            text.push_str(&format!(" ({})", fault.detail));
        }
    }
    text
}

/// Whether a line of its own is worth it when many events come: not what single healthy devices
/// do.
pub(crate) fn is_notable(event: &Event) -> bool {
    match &event.kind {
        EventKind::DeviceRegistered { .. }
        | EventKind::DevicePresence { .. }
        | EventKind::DeviceVersion { .. }
        | EventKind::DeviceProgress { .. }
        | EventKind::Progress { .. }
        | EventKind::Unknown => false,
        // One that was away waits for its next contact, as if it had not been asked.
        EventKind::DeviceSettled { state, fault, .. } => {
            let away = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Away.as_str());
            *state != AttemptState::Succeeded && !away
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_one_width() {
        for (percent, expected) in [
            (0.0, "░░░░░░░░░░░░░░░░░░░░░░░░"),
            (50.0, "████████████░░░░░░░░░░░░"),
            (37.0, "████████▉░░░░░░░░░░░░░░░"),
            (100.0, "████████████████████████"),
            (170.0, "████████████████████████"),
        ] {
            assert_eq!(bar(percent), expected, "{percent}");
        }
    }

    #[test]
    fn events_read_as_sentences() {
        let check = |json: &str, sentence: &str, notable: bool| {
            let text = format!(r#"{{"id":1,"at":"2026-11-22T09:00:00.000Z",{json}}}"#);
            let parsed: Event = serde_json::from_str(&text).unwrap();
            assert_eq!(event(&parsed), sentence);
            assert_eq!(is_notable(&parsed), notable, "{json}");
        };
        let device = r#""device":{"id":7,"name":"dev-7","endpoint":"ws-7"}"#;
        let operation = r#""operation":{"id":1,"name":"op-1"}"#;
        check(
            &format!(r#""type":"device_registered",{device},"model":null,"version":"1.0.0""#),
            "ws-7 registered, model unknown, version 1.0.0",
            false,
        );
        check(
            &format!(
                r#""type":"device_settled",{operation},{device},"attempt":1,"state":"succeeded","version_before":"1.0.0","version_after":"1.1.0""#
            ),
            "op-1: ws-7 try 1: succeeded, 1.0.0 → 1.1.0",
            false,
        );
        check(
            &format!(
                r#""type":"device_settled",{operation},{device},"attempt":2,"state":"failed","fault":{{"kind":"update failed","detail":"result 8"}},"version_before":"1.0.0","version_after":null"#
            ),
            "op-1: ws-7 try 2: failed, update failed (result 8)",
            true,
        );
        check(
            &format!(
                r#""type":"device_settled",{operation},{device},"attempt":1,"state":"deferred","fault":{{"kind":"away","detail":""}},"version_before":"1.0.0","version_after":null"#
            ),
            "op-1: ws-7 try 1: deferred, away",
            false,
        );
        check(
            &format!(
                r#""type":"element_granted",{operation},"element":2,"devices":1,"phase":"test""#
            ),
            "op-1: element 2, 1 device, in phase test",
            true,
        );
        check(r#""type":"missed","events":null"#, "events are missing here", true);
    }
}
