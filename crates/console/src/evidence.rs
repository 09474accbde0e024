//! The evidence of an operation: how far each stratum is from a stop, and what of the budget is
//! at risk.

use api::{EvidenceView, StratumScope, StratumView, Timestamp, e_value};
use maud::{Markup, html};

use crate::part::{Tone, decimal, moment, number, word};

/// Where an operation stands; nothing under other rules.
pub(crate) fn evidence(evidence: Option<&EvidenceView>, ended: bool) -> Markup {
    html! {
        @if let Some(evidence) = evidence {
            h2 { "Evidence" }
            (whole(evidence, ended))
            (strata(evidence, ended))
            p .hint {
                "E says how much likelier what was seen is if the change does harm than if it does none. "
                "The mark on each bar is the limit that stops; bars grow with the digits of E. "
                "The upper bound of the rate of faults is 95 % sure."
            }
        }
    }
}

/// What holds for all strata together.
fn whole(evidence: &EvidenceView, ended: bool) -> Markup {
    let (said, tone) = match (evidence.alarm, evidence.warning) {
        (true, _) => ("alarm", Tone::Bad),
        (false, true) => ("warning: past a tenth of the limit", Tone::Care),
        (false, false) => ("no alarm", Tone::Good),
    };
    html! {
        dl .facts {
            div {
                dt {
                    @if evidence.leaves_out_stopped() { "The strata not stopped, together" }
                    @else { "All strata together" }
                }
                dd { "E " (e_value(evidence.e_log10)) " of " (e_value(evidence.limit_log10)) }
                dd { (word(said, tone)) }
            }
            div {
                dt { "Budget at risk" }
                dd { (devices(evidence.at_risk)) " of " (number(evidence.budget)) " devices" }
                dd { (budget_bar(evidence)) }
            }
            div {
                dt { "Harmed beyond the usual" }
                dd { (devices(evidence.excess)) " devices" }
            }
            @if !ended && evidence.parallel_max < targets(evidence) {
                div {
                    dt { "Changed at the same time" }
                    dd { "up to " (devices(evidence.parallel_max.floor())) " devices" }
                }
            }
            @if !ended { (holdback(evidence.released, evidence.watch_until.as_ref())) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "fleets stay far below 2^52 devices")]
fn targets(evidence: &EvidenceView) -> f64 {
    evidence.strata.iter().map(|stratum| stratum.targets).sum::<u64>() as f64
}

fn holdback(released: bool, until: Option<&Timestamp>) -> Markup {
    html! {
        @if released || until.is_some() {
            div {
                dt { "Holdback" }
                dd {
                    @match until {
                        _ if released => "follows, as no late fault has shown",
                        Some(until) => { "stays as a control until " (moment(until)) }
                        None => {}
                    }
                }
            }
        }
    }
}

fn budget_bar(evidence: &EvidenceView) -> Markup {
    let used = evidence.budget_used_percent();
    let class = if used > 100.0 { "taken" } else { "fill" };
    html! {
        svg .bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect .track width="100" height="8" {}
            rect class=(class) width=(decimal(used.clamp(0.0, 100.0))) height="8" {}
        }
    }
}

/// Strata, one a row.
pub(crate) fn strata(evidence: &EvidenceView, ended: bool) -> Markup {
    let left = evidence.strata_total.saturating_sub(evidence.strata.len() as u64);
    html! {
        div .scroll tabindex="0" {
            table {
                thead {
                    tr {
                        th { "Stratum" } th .wide { "Evidence against it" } th { "What follows" }
                        th .number { "Faults at most" } th .number { "Updated" }
                        th .number { "Failed" } th .number { "Events (control)" }
                        th .number { "Excess" } th .number { "Matured" }
                    }
                }
                tbody {
                    @for stratum in &evidence.strata { (row(stratum, evidence.limit_log10, ended)) }
                }
            }
        }
        (indicators(evidence))
        @if left > 0 { p .hint { "And " (number(left)) " strata with less evidence." } }
    }
}

/// Guarded values of updated against control devices; nothing for a release without guards.
fn indicators(evidence: &EvidenceView) -> Markup {
    let strata = &evidence.strata;
    html! {
        @if strata.iter().any(|stratum| !stratum.indicators.is_empty()) {
            div .scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th { "Indicator" } th { "Stratum" } th .number { "E" }
                            th { "Updated against control" } th .number { "Pairs" }
                        }
                    }
                    tbody {
                        @for stratum in strata {
                            @for indicator in &stratum.indicators {
                                tr {
                                    td .name { (indicator.name) }
                                    td { (stratum.name) }
                                    td .number { (e_value(indicator.e_log10)) }
                                    td .sentence { (indicator.sentence()) }
                                    td .number { (number(indicator.pairs)) }
                                }
                            }
                        }
                    }
                }
            }
            p .hint {
                "How much worse guarded values became at updated devices than at control devices "
                "over the same time, relative to each device's own value before, with the interval "
                "that covers the truth with 95 %."
            }
        }
    }
}

fn row(stratum: &StratumView, limit_log10: f64, ended: bool) -> Markup {
    let (scope, meaning) = (stratum.scope, stratum.meaning(ended));
    html! {
        tr {
            td .name { (stratum.name) }
            td .wide { (bar(stratum, limit_log10)) }
            td .sentence { (scope_word(scope)) span .under { (meaning) } }
            td .number { (stratum.rate_upper.text) }
            td .number {
                (number(stratum.updated))
                span .under {
                    "of " (number(stratum.targets))
                    @if !ended { ", up to " (number(stratum.granted_max)) " now" }
                }
            }
            td .number { (number(stratum.failures)) }
            td .number { (number(stratum.events)) " (" (number(stratum.control_events)) ")" }
            td .number { (devices(stratum.excess)) }
            td .number {
                (devices(stratum.matured))
                span .under { (devices(stratum.unresolved)) " unresolved" }
            }
        }
    }
}

fn scope_word(scope: StratumScope) -> Markup {
    let tone = match scope {
        StratumScope::Free => Tone::Good,
        StratumScope::Held => Tone::Calm,
        StratumScope::Suspect => Tone::Care,
        StratumScope::Stopped => Tone::Bad,
    };
    word(scope.as_str(), tone)
}

/// A bar of the digits of the e-value, with a mark at the limit, and both numbers as text.
fn bar(stratum: &StratumView, limit_log10: f64) -> Markup {
    let at = |log10: f64| (log10.max(0.0) / limit_log10.max(0.1) * LIMIT_AT).min(100.0);
    let class = match stratum.closed_log10 {
        e if e >= limit_log10 => "failed",
        e if e >= limit_log10 - WARNING_BELOW => "taken",
        _ => "fill",
    };
    let text = format!("E {} of {}", e_value(stratum.closed_log10), e_value(limit_log10));
    html! {
        svg .bar .against viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect .track width="100" height="8" {}
            rect class=(class) y="1" width=(decimal(at(stratum.closed_log10))) height="6" {}
            rect .limit x=(decimal(LIMIT_AT - 0.75)) width="1.5" height="8" {}
        }
        span .under { (text) }
    }
}

/// A number of devices that need not be whole.
fn devices(count: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float to integer casts saturate, and small numbers were dealt with"
    )]
    let whole = count.round() as u64;
    if count.abs() < 100.0 { decimal((count * 10.0).round() / 10.0) } else { number(whole) }
}

/// Powers of ten below the limit from which there is a warning: a tenth of it.
const WARNING_BELOW: f64 = 1.0;

/// Where the limit lies on a bar, in percent: what is beyond it can be seen to be.
const LIMIT_AT: f64 = 80.0;
