//! Decisions with their reasons and what they were made from.

use api::{
    DecisionView, EvidenceView, InputsView, ListQuery, OperationRef, Page, RatesView, e_value,
};
use maud::{Markup, html};

use crate::devices::paging;
use crate::evidence::strata;
use crate::frame::{Fragment, Section, View};
use crate::part::{Tone, clock, decimal, nothing, number, operation_link, word};
use crate::url::with_query;

/// All decisions of an operation, at `/operations/{operation}/decisions`.
#[must_use]
pub fn decisions(operation: &OperationRef, page: &Page<DecisionView>, query: &ListQuery) -> View {
    let path = format!("/operations/{}/decisions", operation.name);
    let next = page.next.as_deref().map(|next| with_query(&path, &[("after", next)]));
    let first = query.after.is_some().then(|| path.clone());
    let body = html! {
        p .hint { "Of " (operation_link(operation)) ", newest first" }
        (decision_list(&page.items))
        (paging(next, first))
    };
    View {
        title: format!("Decisions of {}", operation.name),
        section: Section::Operations,
        fragments: vec![Fragment::new("decision-list", &body)],
        live: false,
        command: format!("bellwether operation decisions {}", operation.name),
        json: api::route::fill(api::route::OPERATION_DECISIONS, &[&operation.name]),
    }
}

/// Decisions, one a line, each with its inputs folded away.
pub(crate) fn decision_list(decisions: &[DecisionView]) -> Markup {
    html! {
        @if decisions.is_empty() {
            (nothing("Nothing was decided yet: the first decision needs a device that can be updated."))
        } @else {
            ol .decisions reversed {
                @for decision in decisions {
                    li id={ "decision-" (decision.seq) } value=(decision.seq) {
                        @if let Some(inputs) = &decision.inputs {
                            details {
                                summary { (line(decision)) }
                                (inputs_table(inputs, decision.evidence.is_some()))
                                @if let Some(evidence) = &decision.evidence {
                                    div .inputs { (judged(evidence)) }
                                }
                            }
                        } @else { div .plain { (line(decision)) } }
                    }
                }
            }
        }
    }
}

fn line(decision: &DecisionView) -> Markup {
    let (said, tone) =
        match (decision.verdict.as_str(), decision.speed_before, decision.speed_after) {
            ("abort", ..) => ("abort", Tone::Bad),
            ("finish", ..) => ("finish", Tone::Good),
            ("continue", Some(before), Some(after)) => match before.cmp(&after) {
                std::cmp::Ordering::Less => ("faster", Tone::Good),
                std::cmp::Ordering::Equal => ("same", Tone::Calm),
                std::cmp::Ordering::Greater => ("slower", Tone::Care),
            },
            (verdict @ ("pause" | "hold"), ..) => (verdict, Tone::Care),
            (verdict, ..) => (verdict, Tone::Busy),
        };
    html! {
        span .decision {
            span .when { "#" (decision.seq) " " (clock(&decision.at)) }
            (word(said, tone))
            span .speeds {
                @match (decision.speed_before, decision.speed_after) {
                    (Some(before), Some(after)) => { (before) " → " (after) }
                    (None, Some(after)) => { (after) }
                    _ => {
                        @if let Some(all) = decision.granted_max { (number(all)) " in all" }
                    }
                }
            }
            span .words { (decision.sentence) " " code { (decision.code) } }
        }
    }
}

fn inputs_table(inputs: &InputsView, by_evidence: bool) -> Markup {
    let counts = &inputs.counts;
    html! {
        div .inputs {
            p {
                "Made from: phase " (inputs.phase.as_str())
                @if !by_evidence {
                    ", element of " (inputs.speed) ", " (inputs.favourable) " net favourable"
                }
                "; " (number(counts.succeeded)) " done, "
                (number(counts.failed)) " failed, " (number(counts.in_flight)) " in flight, "
                (number(counts.waiting)) " waiting of " (number(counts.targets)) " targets."
                @if inputs.artifact_fault { " A device says that the image itself is at fault." }
            }
            // Under evidence nothing is measured over elements.
            @if inputs.before.is_some() || inputs.after.is_some() || inputs.window.is_some() {
                (rates_table(inputs))
            }
        }
    }
}

fn rates_table(inputs: &InputsView) -> Markup {
    html! {
        div .scroll tabindex="0" {
            table {
                thead {
                    tr {
                        th { "Measured over" } th .number { "Judged" } th .number { "Errors" }
                        th .number { "Limit" } th .number { "Warnings" } th .number { "Limit" }
                        th .number { "Response time" }
                    }
                }
                tbody {
                    (rates_row("element before", inputs.before.as_ref(), inputs))
                    (rates_row("last element", inputs.after.as_ref(), inputs))
                    (rates_row("window judged", inputs.window.as_ref(), inputs))
                }
            }
        }
    }
}

/// The judgement behind a decision by evidence.
fn judged(evidence: &EvidenceView) -> Markup {
    html! {
        p {
            "By look " (evidence.look) ": E " (e_value(evidence.e_log10)) " of "
            (e_value(evidence.limit_log10)) " over "
            @if evidence.leaves_out_stopped() { "the strata not stopped; " }
            @else { "all strata; " }
            (decimal((evidence.at_risk * 10.0).round() / 10.0)) " of "
            (number(evidence.budget)) " devices of the budget at risk, "
            (decimal((evidence.excess * 10.0).round() / 10.0)) " harmed beyond the usual."
        }
        (strata(evidence, false))
    }
}

fn rates_row(name: &str, rates: Option<&RatesView>, inputs: &InputsView) -> Markup {
    html! {
        @if let Some(rates) = rates {
            tr {
                td { (name) }
                td .number { (number(rates.attempted)) }
                td .number { (rates.errors.text) }
                td .number { (inputs.tolerated_errors.text) }
                td .number { (rates.warnings.text) }
                td .number { (inputs.tolerated_warnings.text) }
                td .number { (response_time(rates)) }
            }
        }
    }
}

/// The response time in milliseconds, or a dash.
pub(crate) fn response_time(rates: &RatesView) -> String {
    rates
        .response_time_ms
        .map_or_else(|| "–".to_owned(), |ms| format!("{} ms", decimal((ms * 10.0).round() / 10.0)))
}
