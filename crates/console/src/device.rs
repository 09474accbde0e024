//! The page of one device.

use api::{
    CheckOutcome, CheckView, DeviceDetail, HistoryEntry, HistoryKind, HoldKind, ObjectView,
    ValueView, WhyReport, WhyVerdict,
};
use maud::{Markup, html};

use crate::frame::{Fragment, Frame, Section, View};
use crate::part::{
    Tone, compliance, known, moment, nothing, operation_link, presence, release_link, word,
};

/// The page of one device, at `/devices/{device}`. Its forms post to `/devices/{device}/hold` and
/// `/devices/{device}/release` with the fields `csrf` and `reason`.
#[must_use]
pub fn device(device: &DeviceDetail, frame: &Frame) -> View {
    let summary = &device.summary;
    View {
        title: summary.endpoint.clone(),
        section: Section::Devices,
        fragments: vec![
            Fragment::new("device-facts", &facts(device)),
            Fragment::new("device-hold", &hold(device, frame)),
            Fragment::new("device-updates", &updates(&device.updates)),
            Fragment::new("device-values", &values(&device.objects)),
            Fragment::new("device-history", &history(&device.history)),
        ],
        live: true,
        command: format!("bellwether device show {}", summary.name),
        json: api::route::fill(api::route::DEVICE, &[&summary.name]),
    }
}

fn facts(device: &DeviceDetail) -> Markup {
    let summary = &device.summary;
    html! {
        dl .facts {
            div { dt { "Number" } dd { (summary.name) } }
            div { dt { "Model" } dd { (known(Some(&summary.kind()))) } }
            div { dt { "Hardware" } dd { (known(summary.hardware.as_deref())) } }
            div {
                dt { "Version" }
                dd {
                    (known(summary.version.as_deref()))
                    @if let Some(desired) = &summary.desired_version {
                        span .beside { "newest release " (desired) }
                    }
                }
            }
            div { dt { "Reachable" } dd { (presence(summary.presence)) } }
            div {
                dt { "Software" }
                dd {
                    (compliance(summary.compliance))
                    @if let Some(operation) = &summary.operation { " " (operation_link(operation)) }
                }
            }
            @if let Some(percent) = summary.battery_percent {
                div { dt { "Battery" } dd { (percent) " %" } }
            }
            @if let Some(dbm) = summary.signal_dbm {
                div { dt { "Signal" } dd { (dbm) " dBm" } }
            }
            @if let Some(site) = &summary.site { div { dt { "Site" } dd { (site) } } }
            div { dt { "Last seen" } dd { (moment(&summary.last_seen)) } }
            div { dt { "First seen" } dd { (moment(&device.first_seen)) } }
            div { dt { "Registrations" } dd { (device.registrations) ", lifetime " (device.lifetime_s) " s" } }
            @if let Some(registration) = &device.registration {
                div { dt { "Address" } dd { (registration.driver) " " (registration.address) } }
            }
            @for configuration in &device.configurations {
                div { dt { (configuration.release) } dd { (configuration.version) } }
            }
        }
    }
}

fn hold(device: &DeviceDetail, frame: &Frame) -> Markup {
    let base = format!("/devices/{}", device.summary.name);
    html! {
        @match &device.summary.hold {
            Some(hold) => {
                @let whose = match hold.by {
                    HoldKind::Operator => "Held by an operator",
                    HoldKind::System => "Quarantined by the system",
                };
                p .notice { (whose) ": " (hold.reason) ". No operation touches it." }
                form .order method="post" action={ (base) "/release" } {
                    input type="hidden" name="csrf" value=(frame.csrf);
                    label { "Reason" input name="reason" maxlength="200"; }
                    button type="submit" { "Release it" }
                }
            }
            None => {
                form .order method="post" action={ (base) "/hold" } {
                    input type="hidden" name="csrf" value=(frame.csrf);
                    label { "Reason" input name="reason" maxlength="200" required; }
                    button type="submit" { "Hold" }
                    span .hint { "A held device is left alone by every operation." }
                }
            }
        }
    }
}

fn updates(reports: &[WhyReport]) -> Markup {
    html! {
        h2 { "Updates, and why" }
        @if reports.is_empty() {
            (nothing("No operation is open, and no release is for this kind of device."))
        }
        @for report in reports { (why(report)) }
    }
}

fn why(report: &WhyReport) -> Markup {
    let tone = match report.verdict {
        WhyVerdict::Eligible | WhyVerdict::InProgress => Tone::Busy,
        WhyVerdict::Waiting => Tone::Care,
        WhyVerdict::Excluded => Tone::Calm,
        WhyVerdict::Succeeded => Tone::Good,
        WhyVerdict::Failed => Tone::Bad,
    };
    html! {
        article .why {
            h3 {
                @if let Some(operation) = &report.operation { (operation_link(operation)) ": " }
                (release_link(&report.release)) " " (word(report.verdict.as_str(), tone))
                " " code { (report.code) }
            }
            p {
                (report.sentence)
                @if !report.remedy.is_empty() { " " span .remedy { (report.remedy) } }
            }
            @if let Some(at) = &report.next_check { p { "Next check: " (moment(at)) } }
            @if report.path.len() > 1 {
                p { "Way: " @for (at, hop) in report.path.iter().enumerate() {
                    @if at > 0 { " → " } (release_link(hop))
                } }
            }
            ul .checks { @for check in &report.checks { (check_line(check)) } }
        }
    }
}

fn check_line(check: &CheckView) -> Markup {
    let (sign, name, class) = match check.outcome {
        CheckOutcome::Pass => ("✔", "holds", "good"),
        CheckOutcome::Fail => ("✘", "does not hold", "bad"),
        CheckOutcome::Unknown => ("…", "unknown", "calm"),
    };
    html! {
        li class=(class) {
            span .sign role="img" aria-label=(name) { (sign) }
            span .check { (check.name) }
            span {
                (check.detail)
                @if let Some(age) = check.age_s { span .beside { "read " (span(age)) " ago" } }
            }
        }
    }
}

/// Seconds for people, in the largest unit that says enough.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn values(objects: &[ObjectView]) -> Markup {
    html! {
        h2 { "Values as last read" }
        @if objects.is_empty() { (nothing("Nothing was read from this device yet.")) }
        @for object in objects {
            details open[!object.values.is_empty()] id={ "object" (object.path.replace('/', "-")) } {
                summary { (known(Some(&object.name))) " " code { (object.path) } }
                div .scroll tabindex="0" {
                    table {
                        thead { tr { th { "Path" } th { "Name" } th { "Value" } th { "May" } th { "Read" } } }
                        tbody { @for value in &object.values { (value_row(value)) } }
                    }
                }
            }
        }
    }
}

fn value_row(value: &ValueView) -> Markup {
    let may: Vec<&str> =
        [(value.readable, "read"), (value.writable, "write"), (value.executable, "execute")]
            .into_iter()
            .filter_map(|(may, word)| may.then_some(word))
            .collect();
    html! {
        tr {
            td { code { (value.path) } }
            td { (known(Some(&value.name))) }
            td .value {
                @if let Some(read) = &value.value {
                    (read) @if !value.units.is_empty() { " " (value.units) }
                    @if let Some(meaning) = &value.meaning { span .beside { (meaning) } }
                }
            }
            td { (may.join(", ")) }
            td { @if let Some(at) = &value.at { (moment(at)) } }
        }
    }
}

fn history(entries: &[HistoryEntry]) -> Markup {
    html! {
        h2 { "History" }
        @if entries.is_empty() {
            (nothing("Nothing has happened to this device yet."))
        } @else {
            div .scroll tabindex="0" {
                table {
                    thead { tr { th { "When" } th { "What" } th { "Operation" } th { "Release" } th { "Version" } } }
                    tbody { @for entry in entries { (history_row(entry)) } }
                }
            }
        }
    }
}

fn history_row(entry: &HistoryEntry) -> Markup {
    let tone = match entry.kind {
        HistoryKind::Succeeded => Some("good"),
        HistoryKind::Failed => Some("bad"),
        HistoryKind::Hold => Some("care"),
        _ => None,
    };
    html! {
        tr {
            td { (moment(&entry.at)) }
            td .sentence { span class=[tone] { (entry.sentence) } }
            td { @if let Some(operation) = &entry.operation { (operation_link(operation)) } }
            td { @if let Some(release) = &entry.release { (release_link(release)) } }
            td {
                @match (&entry.version_before, &entry.version_after) {
                    (Some(before), Some(after)) => { (before) " → " (after) }
                    (Some(one), None) | (None, Some(one)) => { (one) }
                    (None, None) => {}
                }
            }
        }
    }
}
