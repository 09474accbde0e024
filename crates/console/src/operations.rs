//! Operations, and the devices of one.

use api::{
    AssignmentQuery, AssignmentView, AttemptState, ListQuery, OperationRef, OperationSummary, Page,
};
use maud::{Markup, html};

use crate::devices::paging;
use crate::frame::{Fragment, Section, View};
use crate::part::{Tone, moment, nothing, operation_link, operations_table, word};
use crate::url::with_query;

/// The list of operations, at `/operations`.
#[must_use]
pub fn operations(page: &Page<OperationSummary>, query: &ListQuery) -> View {
    let next = page.next.as_deref().map(|next| with_query("/operations", &[("after", next)]));
    let first = query.after.is_some().then(|| "/operations".to_owned());
    let body = html! {
        @if page.items.is_empty() {
            (nothing("No operation yet. Start one: bellwether operation start RELEASE"))
        } @else { (operations_table(&page.items)) }
        (paging(next, first))
    };
    View {
        title: "Operations".to_owned(),
        section: Section::Operations,
        fragments: vec![Fragment::new("operations-list", &body)],
        live: true,
        command: "bellwether operation list".to_owned(),
        json: api::route::OPERATIONS.to_owned(),
    }
}

/// The granted devices of an operation, at `/operations/{operation}/devices`.
#[must_use]
pub fn operation_devices(
    operation: &OperationRef,
    page: &Page<AssignmentView>,
    query: &AssignmentQuery,
) -> View {
    let path = format!("/operations/{}/devices", operation.name);
    let state = query.state.map(AttemptState::as_str).unwrap_or_default();
    let next =
        page.next.as_deref().map(|next| with_query(&path, &[("state", state), ("after", next)]));
    let first = query.after.is_some().then(|| with_query(&path, &[("state", state)]));
    let body = html! {
        p .hint {
            "Granted by " (operation_link(operation))
            @if !state.is_empty() { ", in state " strong { (state) } }
        }
        @if page.items.is_empty() {
            (nothing("No device of this operation is in that state."))
        } @else {
            div .scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th { "Device" } th { "Name" } th { "State" } th { "Since" }
                            th .number { "Element" } th .number { "Try" }
                            th .number { "Warnings" } th { "Version before" } th { "Fault" }
                        }
                    }
                    tbody { @for assignment in &page.items { (row(assignment)) } }
                }
            }
        }
        (paging(next, first))
    };
    View {
        title: format!("Devices of {}", operation.name),
        section: Section::Operations,
        fragments: vec![Fragment::new("operation-device-list", &body)],
        live: false,
        command: format!("bellwether operation get {}", operation.name),
        json: with_query(
            &api::route::fill(api::route::OPERATION_DEVICES, &[&operation.name]),
            &[("state", state)],
        ),
    }
}

fn row(assignment: &AssignmentView) -> Markup {
    let link = format!("/devices/{}", assignment.device.name);
    html! {
        tr {
            td { a href=(link) { (assignment.device.name) } }
            td .name { a href=(link) { (assignment.device.endpoint) } }
            td { (attempt_state(assignment.state)) }
            td { (moment(&assignment.since)) }
            td .number { (assignment.element) }
            td .number { (assignment.attempt) }
            td .number { (assignment.warnings) }
            td { (assignment.version_before.as_deref().unwrap_or_default()) }
            td .sentence {
                @if let Some(fault) = &assignment.fault {
                    (fault.kind) @if !fault.detail.is_empty() { ": " (fault.detail) }
                }
                @if let Some(until) = &assignment.until { " next try " (moment(until)) }
            }
        }
    }
}

/// The state of an attempt as a word with a tone.
pub(crate) fn attempt_state(state: AttemptState) -> Markup {
    let tone = match state {
        AttemptState::Succeeded => Tone::Good,
        AttemptState::Failed | AttemptState::Silent => Tone::Bad,
        AttemptState::Deferred => Tone::Care,
        AttemptState::Cancelled => Tone::Calm,
        _ => Tone::Busy,
    };
    word(state.as_str(), tone)
}
