//! The page of one operation, live.

use api::{OperationDetail, OperationState, ReasonCount, Share};
use maud::{Markup, html};

use crate::chart::operation_chart;
use crate::decision::{decision_list, response_time};
use crate::frame::{Fragment, Frame, Section, View};
use crate::operations::attempt_state;
use crate::part::{
    bar, clock, decimal, devices_counted, moment, nothing, number, operation_link, phases,
    progress, release_link, standing,
};
use crate::url::with_query;

/// The page of one operation, at `/operations/{operation}`. Its forms post to
/// `/operations/{operation}/pause`, `…/resume` and `…/abort` with the fields `csrf` and `reason`.
#[must_use]
pub fn operation(operation: &OperationDetail, frame: &Frame) -> View {
    let summary = &operation.summary;
    View {
        title: format!("{}: {}", summary.name, summary.release.title()),
        section: Section::Operations,
        fragments: vec![
            Fragment::new("operation-status", &status(operation)),
            Fragment::new("operation-orders", &orders(operation, frame)),
            Fragment::new("operation-evidence", &evidence(operation)),
            Fragment::new("operation-chart", &chart(operation)),
            Fragment::new("operation-decisions", &decisions(operation)),
            Fragment::new("operation-devices", &devices(operation)),
            Fragment::new("operation-facts", &facts(operation)),
        ],
        live: true,
        command: format!("bellwether operation get {} -w", summary.name),
        json: api::route::fill(api::route::OPERATION, &[&summary.name]),
    }
}

fn evidence(operation: &OperationDetail) -> Markup {
    let ended = operation.summary.state.is_final();
    crate::evidence::evidence(operation.evidence.as_ref(), ended)
}

fn status(operation: &OperationDetail) -> Markup {
    let summary = &operation.summary;
    let counts = &summary.counts;
    html! {
        div .status {
            p .state { (standing(summary)) }
            (phases(summary.phase, summary.state))
        }
        div .meter { (progress(counts)) strong { (summary.progress.text) } }
        ul .cards .small {
            (count("done", counts.succeeded, "good"))
            (count("in flight", counts.in_flight, "busy"))
            (count(if summary.state.is_final() { "left" } else { "waiting" }, counts.waiting, "calm"))
            (count("failed", counts.failed, "bad"))
            @if counts.cancelled > 0 { (count("taken back", counts.cancelled, "care")) }
            (count("targets", counts.targets, "calm"))
            (count("not eligible", counts.excluded, "calm"))
        }
        @if let Some(undoes) = &summary.undoes { p .last { "Undoes " (operation_link(undoes)) "." } }
        @if let Some(by) = &summary.undone_by { p .last { "Undone by " (operation_link(by)) "." } }
        @if !summary.last_decision.is_empty() {
            p .last { "Last decision: " strong { (summary.last_decision) } }
        }
        (rates(operation))
    }
}

fn count(label: &str, devices: u64, tone: &str) -> Markup {
    let tone = if devices == 0 { "none" } else { tone };
    html! { li class=(tone) { strong { (number(devices)) } span { (label) } } }
}

/// Under rules that do not wait for an element to end, the newest one as long as anyone is under
/// way.
fn under_way(operation: &OperationDetail) -> Option<u64> {
    let newest = operation.chart.points.last().filter(|_| operation.summary.counts.in_flight > 0);
    newest.map(|point| point.element)
}

fn rates(operation: &OperationDetail) -> Markup {
    html! {
        dl .facts {
            div {
                dt { "Element" }
                dd {
                    @match operation.summary.element.or_else(|| under_way(operation)) {
                        Some(element) => { "#" (element) ", " (devices_counted(size(operation, element))) }
                        None => "none in progress",
                    }
                }
            }
            @if let Some(rates) = &operation.rates {
                (rate("Errors", &rates.errors, &operation.tolerated_errors))
                (rate("Warnings", &rates.warnings, &operation.tolerated_warnings))
                div { dt { "Response time" } dd { (response_time(rates)) } }
            }
        }
    }
}

/// Devices of an element.
fn size(operation: &OperationDetail, element: u64) -> u64 {
    let points = operation.chart.points.iter().rev();
    points.filter(|point| point.element == element).map(|point| point.devices).next().unwrap_or(0)
}

fn rate(name: &str, measured: &Share, tolerated: &Share) -> Markup {
    let above = measured.percent > tolerated.percent;
    html! {
        div {
            dt { (name) " of the last element" }
            dd {
                span .bad[above] { (measured.text) }
                span .beside { @if above { "above the limit of " } @else { "limit " } (tolerated.text) }
            }
        }
    }
}

fn orders(operation: &OperationDetail, frame: &Frame) -> Markup {
    let summary = &operation.summary;
    let path = |order: &str| format!("/operations/{}/{order}", summary.name);
    let gate = operation.evidence.as_ref().and_then(|evidence| evidence.awaits.as_ref());
    let resume = if gate.is_some() { "Approve and resume" } else { "Resume" };
    html! {
        @if let Some(gate) = gate {
            p .notice { strong { "Waits for you: " } (gate.sentence) "." }
        }
        @if let Some(by) = &summary.frozen_by {
            p .notice {
                strong { "Frozen: " } "evidence stopped " (operation_link(by))
                ", whose release this one rests on. Abort it and publish a release that does not rest "
                "on the stopped one; or resume it, if it does no harm of its own."
            }
        }
        @if !summary.state.is_final() {
            form .order method="post" action=(path("abort")) {
                input type="hidden" name="csrf" value=(frame.csrf);
                label { "Reason" input name="reason" maxlength="200" required; }
                @if summary.state == OperationState::Paused {
                    button type="submit" formaction=(path("resume")) { (resume) }
                } @else {
                    button type="submit" formaction=(path("pause")) { "Pause" }
                }
                button .danger type="submit" { "Abort" }
                span .hint { "Devices in flight complete. An aborted operation cannot be resumed." }
            }
        }
    }
}

fn chart(operation: &OperationDetail) -> Markup {
    let view = &operation.chart;
    html! {
        h2 { "Devices per element over progress" }
        @if view.points.is_empty() {
            (nothing("No element was granted yet."))
        } @else {
            figure {
                div .scroll tabindex="0" { (operation_chart(operation).inline()) }
                figcaption {
                    "▲ larger than the element before, ▼ smaller, ● the same; smaller than decided when \
                     fewer devices could be updated. Point at a sign for the decision behind it."
                }
            }
            details #chart-table {
                summary { "The same as a table" }
                div .scroll tabindex="0" {
                    table {
                        thead {
                            tr {
                                th .number { "Element" } th { "When" } th .number { "Progress" }
                                th .number { "Devices" } th { "Phase" } th { "Decision" }
                            }
                        }
                        tbody {
                            @for point in &view.points {
                                tr {
                                    td .number { (point.element) }
                                    td { (clock(&point.at)) }
                                    td .number { (decimal(point.progress_percent)) " %" }
                                    td .number { (number(point.devices)) }
                                    td { (point.phase.as_str()) }
                                    td .sentence { (point.sentence) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn decisions(operation: &OperationDetail) -> Markup {
    html! {
        h2 { "Decisions, newest first" }
        (decision_list(&operation.decisions))
        @if operation.decisions.len() >= 100 {
            p { a href={ "/operations/" (operation.summary.name) "/decisions" } { "All decisions" } }
        }
    }
}

fn devices(operation: &OperationDetail) -> Markup {
    let name = &operation.summary.name;
    let (waiting, excluded): (Vec<&ReasonCount>, Vec<&ReasonCount>) =
        operation.exclusions.iter().partition(|reason| reason.waiting);
    // The reasons are those of now, and nothing is asked any more once it has ended.
    let ended = "Not looked at any more, as the operation has ended.";
    let none_excluded = match operation.summary.counts.excluded {
        0 => "Every device is a target.",
        _ => ended,
    };
    let none_waiting = match operation.summary.counts.waiting {
        1.. if operation.summary.state.is_final() => ended,
        _ => "No target waits.",
    };
    let granted: u64 = operation.states.iter().map(|count| count.devices).sum();
    html! {
        div .columns {
            div {
                h2 { "Granted devices" }
                @if operation.states.is_empty() { (nothing("None yet.")) } @else {
                    table {
                        thead { tr { th { "State" } th .number { "Devices" } th .wide { "Share" } } }
                        tbody {
                            @for count in &operation.states {
                                @let link = with_query(&format!("/operations/{name}/devices"), &[("state", count.state.as_str())]);
                                tr {
                                    td { a href=(link) { (attempt_state(count.state)) } }
                                    td .number { (number(count.devices)) }
                                    td .wide { (bar(count.devices, granted)) }
                                }
                            }
                        }
                    }
                }
            }
            div {
                h2 { "Waiting targets, by reason" }
                (reasons(name, &waiting, none_waiting))
                h2 { "Not eligible, by reason" }
                (reasons(name, &excluded, none_excluded))
            }
        }
    }
}

fn reasons(operation: &str, reasons: &[&ReasonCount], none: &str) -> Markup {
    html! {
        @if reasons.is_empty() { (nothing(none)) } @else {
            table {
                thead { tr { th { "Reason" } th .number { "Devices" } } }
                tbody {
                    @for reason in reasons {
                        @let link = with_query("/devices", &[("operation", operation), ("reason", &reason.code)]);
                        tr {
                            td {
                                a href=(link) { code { (reason.code) } }
                                span .words { (reason.sentence) " " span .remedy { (reason.remedy) } }
                            }
                            td .number { (number(reason.devices)) }
                        }
                    }
                }
            }
        }
    }
}

fn facts(operation: &OperationDetail) -> Markup {
    let summary = &operation.summary;
    let policy = serde_json::to_string_pretty(&operation.policy).unwrap_or_default();
    html! {
        h2 { "About" }
        dl .facts {
            div { dt { "Release" } dd { (release_link(&summary.release)) " " span .beside { (summary.class) @if summary.security { ", security" } } } }
            div { dt { "Why it exists" } dd { (summary.origin) } }
            @if let Some(undoes) = &summary.undoes { div { dt { "Undoes" } dd { (operation_link(undoes)) } } }
            @if let Some(by) = &summary.undone_by { div { dt { "Undone by" } dd { (operation_link(by)) } } }
            div {
                dt { "For" }
                dd {
                    @match summary.picked {
                        Some(devices) => { (devices_counted(devices)) ", hand-picked" }
                        None => "every device the release fits, now or later",
                    }
                }
            }
            div { dt { "Opened" } dd { (moment(&summary.opened)) } }
            @if let Some(ended) = &summary.ended { div { dt { "Ended" } dd { (moment(ended)) } } }
        }
        details #policy { summary { "Policy in force" } pre tabindex="0" { (policy) } }
    }
}
