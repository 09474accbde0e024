//! The fleet overview.

use api::{Count, FleetSummary, VersionCount};
use maud::{Markup, html};

use crate::frame::{Fragment, Section, View};
use crate::part::{bar, nothing, number, operations_table};
use crate::url::with_query;

/// The fleet overview, at `/`.
#[must_use]
pub fn fleet(fleet: &FleetSummary) -> View {
    View {
        title: "Fleet".to_owned(),
        section: Section::Fleet,
        fragments: vec![
            Fragment::new("fleet-counts", &cards(fleet)),
            Fragment::new("fleet-operations", &operations(fleet)),
            Fragment::new("fleet-versions", &versions(&fleet.versions, fleet.devices)),
            Fragment::new("fleet-kinds", &kinds(fleet)),
        ],
        live: true,
        command: "bellwether device list".to_owned(),
        json: api::route::FLEET.to_owned(),
    }
}

fn cards(fleet: &FleetSummary) -> Markup {
    let presence = &fleet.presence;
    let software = &fleet.compliance;
    html! {
        ul .cards {
            (card("devices", fleet.devices, "/devices", "calm"))
            (card("online", presence.online, "/devices?presence=online", "good"))
            (card("asleep", presence.asleep, "/devices?presence=asleep", "calm"))
            (card("offline", presence.offline, "/devices?presence=offline", "care"))
        }
        ul .cards {
            (card("up to date", software.current, "/devices?compliance=current", "good"))
            (card("outdated", software.outdated, "/devices?compliance=outdated", "care"))
            (card("updating", software.updating, "/devices?compliance=updating", "busy"))
            (card("held", software.held, "/devices?compliance=held", "care"))
            (card("quarantined", software.quarantined, "/devices?compliance=quarantined", "bad"))
            (card("not identified", software.unknown, "/devices?compliance=unknown", "calm"))
            (card("no release", software.untargeted, "/devices?compliance=untargeted", "calm"))
        }
    }
}

fn card(label: &str, devices: u64, href: &str, tone: &str) -> Markup {
    // A count of none needs no colour.
    let tone = if devices == 0 { "none" } else { tone };
    html! {
        li class=(tone) {
            a href=(href) { strong { (number(devices)) } span { (label) } }
        }
    }
}

fn operations(fleet: &FleetSummary) -> Markup {
    html! {
        h2 { "Operations" }
        @if fleet.operations.is_empty() {
            @if fleet.releases == 0 {
                (nothing("No release yet. Publish one: bellwether release publish FILE"))
            } @else {
                (nothing("No operation yet. Start one: bellwether operation start RELEASE"))
            }
        } @else {
            (operations_table(&fleet.operations))
        }
    }
}

fn versions(versions: &[VersionCount], devices: u64) -> Markup {
    html! {
        h2 { "Versions" }
        @if versions.is_empty() {
            (nothing("No device has registered yet. Point one at the CoAP address, or start some: bellwether sim fleet --server coap://HOST:PORT --devices 10"))
        } @else {
            div .scroll tabindex="0" {
                table {
                    thead { tr { th { "Model" } th { "Version" } th .number { "Devices" } th .wide { "Share" } } }
                    tbody {
                        @for count in versions {
                            tr {
                                td { (shown(&count.model)) }
                                td { a href=(version_link(count)) { (shown(&count.version)) } }
                                td .number { (number(count.devices)) }
                                td .wide { (bar(count.devices, devices)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The devices counted: a value that was never read cannot be asked for by name.
fn version_link(count: &VersionCount) -> String {
    if count.model.is_empty() || count.version.is_empty() {
        with_query("/devices", &[("compliance", "unknown")])
    } else {
        with_query("/devices", &[("model", &count.model), ("version", &count.version)])
    }
}

fn kinds(fleet: &FleetSummary) -> Markup {
    html! {
        @if fleet.devices > 0 {
            div .columns {
                (counts("Models", &fleet.models, fleet.devices, true))
                (counts("Hardware", &fleet.hardware, fleet.devices, false))
            }
        }
    }
}

fn counts(title: &str, counts: &[Count], devices: u64, linked: bool) -> Markup {
    html! {
        div {
            h2 { (title) }
            table {
                thead { tr { th { (title) } th .number { "Devices" } th .wide { "Share" } } }
                tbody {
                    @for count in counts {
                        tr {
                            td {
                                @if linked && !count.key.is_empty() {
                                    a href=(with_query("/devices", &[("model", &count.key)])) { (count.key) }
                                } @else { (shown(&count.key)) }
                            }
                            td .number { (number(count.devices)) }
                            td .wide { (bar(count.devices, devices)) }
                        }
                    }
                }
            }
        }
    }
}

fn shown(text: &str) -> Markup {
    crate::part::known(Some(text))
}
