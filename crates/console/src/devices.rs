//! The list of devices.

use api::{Compliance, DeviceQuery, DeviceSummary, Page, Presence};
use maud::{Markup, html};

use crate::frame::{Fragment, Section, View};
use crate::part::{compliance, devices_counted, known, moment, nothing, operation_link, presence};
use crate::url::with_query;

/// The list of devices, at `/devices`, with the query that was asked.
#[must_use]
pub fn devices(page: &Page<DeviceSummary>, query: &DeviceQuery) -> View {
    View {
        title: "Devices".to_owned(),
        section: Section::Devices,
        fragments: vec![
            Fragment::new("devices-filter", &filter(query)),
            Fragment::new("devices-list", &list(page, query)),
        ],
        live: true,
        command: "bellwether device list".to_owned(),
        json: address(api::route::DEVICES, query, query.after.as_deref()),
    }
}

fn filter(query: &DeviceQuery) -> Markup {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let presences = [Presence::Online, Presence::Asleep, Presence::Offline].map(Presence::as_str);
    let states = [
        Compliance::Current,
        Compliance::Outdated,
        Compliance::Updating,
        Compliance::Held,
        Compliance::Quarantined,
        Compliance::Unknown,
        Compliance::Untargeted,
    ]
    .map(Compliance::as_str);
    html! {
        form .filter method="get" action="/devices" role="search" {
            label { "Name contains" input type="search" name="q" value=(text(&query.q)); }
            label { "Model" input name="model" value=(text(&query.model)); }
            label { "Version" input name="version" value=(text(&query.version)); }
            (choice("Reachable", "presence", &presences, query.presence.map(Presence::as_str)))
            (choice("Software", "compliance", &states, query.compliance.map(Compliance::as_str)))
            @if let Some(operation) = &query.operation {
                label { "Operation" input name="operation" value=(operation); }
                label { "Reason" input name="reason" value=(text(&query.reason)); }
            }
            button type="submit" { "Show" }
            a href="/devices" { "All devices" }
        }
        @if let (Some(operation), Some(reason)) = (&query.operation, &query.reason) {
            p .hint {
                "Devices that " a href={ "/operations/" (operation) } { (operation) }
                " leaves out or lets wait: " code { (reason) }
                @if let Some((sentence, remedy)) = api::explain(reason) {
                    ". " (sentence) " " (remedy)
                }
            }
        }
    }
}

fn choice(label: &str, name: &str, options: &[&str], chosen: Option<&str>) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                option value="" { "any" }
                @for option in options {
                    option value=(option) selected[chosen == Some(option)] { (option) }
                }
            }
        }
    }
}

fn list(page: &Page<DeviceSummary>, query: &DeviceQuery) -> Markup {
    html! {
        @if let Some(total) = page.total {
            p .hint { (devices_counted(total)) }
        }
        @if page.items.is_empty() {
            (nothing("No device fits. Widen the filter, or wait for devices to register."))
        } @else {
            div .scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th { "Device" } th { "Name" } th { "Model" } th { "Hardware" }
                            th { "Version" } th { "Reachable" } th { "Software" }
                            th .number { "Battery" } th .number { "Signal" } th { "Last seen" }
                        }
                    }
                    tbody { @for device in &page.items { (row(device)) } }
                }
            }
        }
        (paging(page.next.as_deref().map(|next| address("/devices", query, Some(next))), query.after.is_some().then(|| address("/devices", query, None))))
    }
}

fn row(device: &DeviceSummary) -> Markup {
    let link = format!("/devices/{}", device.name);
    html! {
        tr {
            td { a href=(link) { (device.name) } }
            td .name { a href=(link) { (device.endpoint) } }
            td { (known(Some(&device.kind()))) }
            td { (known(device.hardware.as_deref())) }
            td {
                (known(device.version.as_deref()))
                @if let Some(desired) = device.desired_version.as_ref().filter(|desired| device.version.as_ref() != Some(desired)) {
                    span .beside { "→ " (desired) }
                }
            }
            td { (presence(device.presence)) }
            td {
                (compliance(device.compliance))
                @if let Some(operation) = &device.operation { " " (operation_link(operation)) }
            }
            td .number { @if let Some(percent) = device.battery_percent { (percent) " %" } }
            td .number { @if let Some(dbm) = device.signal_dbm { (dbm) " dBm" } }
            td { (moment(&device.last_seen)) }
        }
    }
}

/// Links to the next page and back to the first.
pub(crate) fn paging(next: Option<String>, first: Option<String>) -> Markup {
    html! {
        @if next.is_some() || first.is_some() {
            nav .paging aria-label="Pages" {
                @if let Some(first) = first { a href=(first) { "First page" } }
                @if let Some(next) = next { a href=(next) rel="next" { "Next page" } }
            }
        }
    }
}

fn address(path: &str, query: &DeviceQuery, after: Option<&str>) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let limit = query.limit.map(|limit| limit.to_string()).unwrap_or_default();
    with_query(
        path,
        &[
            ("q", &text(&query.q)),
            ("model", &text(&query.model)),
            ("version", &text(&query.version)),
            ("presence", query.presence.map(Presence::as_str).unwrap_or_default()),
            ("compliance", query.compliance.map(Compliance::as_str).unwrap_or_default()),
            ("operation", &text(&query.operation)),
            ("reason", &text(&query.reason)),
            ("limit", &limit),
            ("after", after.unwrap_or_default()),
        ],
    )
}
