//! Releases and the page of one.

use api::{ListQuery, Page, ReleaseDetail, ReleaseSummary};
use maud::{Markup, html};

use crate::devices::paging;
use crate::frame::{Fragment, Section, View};
use crate::part::{bytes, moment, nothing, operation_link};
use crate::url::with_query;

/// The list of releases, at `/releases`.
#[must_use]
pub fn releases(page: &Page<ReleaseSummary>, query: &ListQuery) -> View {
    let next = page.next.as_deref().map(|next| with_query("/releases", &[("after", next)]));
    let first = query.after.is_some().then(|| "/releases".to_owned());
    let body = html! {
        @if page.items.is_empty() {
            (nothing("No release yet. Write a manifest, then: bellwether release publish FILE"))
        } @else {
            div .scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th { "Release" } th { "Name" } th { "Version" } th { "Kind" }
                            th { "Class" } th { "For" } th .number { "Size" } th { "Published" }
                            th { "By" } th { "Operations" }
                        }
                    }
                    tbody { @for release in &page.items { (row(release)) } }
                }
            }
        }
        (paging(next, first))
    };
    View {
        title: "Releases".to_owned(),
        section: Section::Releases,
        fragments: vec![Fragment::new("releases-list", &body)],
        live: false,
        command: "bellwether release list".to_owned(),
        json: api::route::RELEASES.to_owned(),
    }
}

fn row(release: &ReleaseSummary) -> Markup {
    let link = format!("/releases/{}", release.name);
    html! {
        tr {
            td { a href=(link) { (release.name) } }
            td { a href=(link) { (release.release) } }
            td { (release.version) }
            td { (release.kind.as_str()) }
            td { (class(release)) }
            td { (release.kinds.join(", ")) }
            td .number { @if release.size > 0 { (bytes(release.size)) } }
            td { (moment(&release.published)) }
            td { (release.by) }
            td { @for operation in &release.operations { (operation_link(operation)) " " } }
        }
    }
}

fn class(release: &ReleaseSummary) -> Markup {
    html! {
        (release.class)
        @if release.security { " " span .word .care { "security" } }
    }
}

/// The page of one release, at `/releases/{release}`.
#[must_use]
pub fn release(release: &ReleaseDetail) -> View {
    let summary = &release.summary;
    View {
        title: summary.reference().title(),
        section: Section::Releases,
        fragments: vec![
            Fragment::new("release-facts", &facts(release)),
            Fragment::new("release-rules", &rules(release)),
            Fragment::new("release-manifest", &manifest(release)),
        ],
        live: false,
        command: format!("bellwether operation plan {}", summary.name),
        json: api::route::fill(api::route::RELEASE, &[&summary.name]),
    }
}

fn facts(release: &ReleaseDetail) -> Markup {
    let summary = &release.summary;
    html! {
        @if !summary.summary.is_empty() { p .lead { (summary.summary) } }
        dl .facts {
            div { dt { "Number" } dd { (summary.name) } }
            div { dt { "Kind" } dd { (summary.kind.as_str()) } }
            div { dt { "Class" } dd { (class(summary)) } }
            div { dt { "Priority" } dd { (summary.priority) " " span .beside { "lower goes first" } } }
            div { dt { "Published" } dd { (moment(&summary.published)) " by " (summary.by) } }
            div {
                dt { "Operations" }
                dd {
                    @if summary.operations.is_empty() { "none yet" }
                    @for operation in &summary.operations { (operation_link(operation)) " " }
                }
            }
            @if let Some(artifact) = &release.artifact {
                div { dt { "Image" } dd { (bytes(artifact.size)) ", " (artifact.format) ", delivery " (artifact.delivery) } }
                div .long { dt { "SHA-256" } dd { code { (artifact.sha256) } } }
            }
        }
        @for remark in &release.remarks { p .notice { "Remark: " (remark) } }
        p .beside {
            "Before a start, rehearse it on this fleet, with and without faults: "
            code { "bellwether operation rehearse " (summary.name) }
        }
    }
}

fn rules(release: &ReleaseDetail) -> Markup {
    html! {
        div .columns {
            div {
                h2 { "For" }
                ul {
                    @for target in &release.targets {
                        li {
                            (target.manufacturer) " / " (target.model)
                            @if !target.hardware.is_empty() { ", hardware " (target.hardware.join(", ")) }
                        }
                    }
                }
                h2 { "From" }
                ul {
                    @if release.upgrades.is_empty() { li { "any lower version" } }
                    @for upgrade in &release.upgrades {
                        li {
                            code { (upgrade.from) }
                            @if upgrade.blocked {
                                " " span .word .bad { "blocked" } " " (upgrade.reason)
                            }
                        }
                    }
                }
            }
            div {
                h2 { "Needs" }
                ul {
                    @if release.requirements.is_empty() { li { "nothing" } }
                    @for requirement in &release.requirements { li { (requirement) } }
                }
                h2 { "Success" }
                p { (release.confirm) }
                @if !release.guards.is_empty() {
                    h2 { "Watched" }
                    ul {
                        @for guard in &release.guards {
                            li { (guard.name) " " code { (guard.path) } ": " (guard.expects) ", else " (guard.level) }
                        }
                    }
                }
            }
        }
        @if !release.writes.is_empty() {
            h2 { "Writes" }
            table {
                thead { tr { th { "Path" } th { "Value" } } }
                tbody {
                    @for write in &release.writes {
                        tr { td { code { (write.path) } } td .value { (write.value) } }
                    }
                }
            }
        }
    }
}

fn manifest(release: &ReleaseDetail) -> Markup {
    let text = serde_json::to_string_pretty(&release.manifest).unwrap_or_default();
    html! {
        details #manifest { summary { "Manifest as published" } pre tabindex="0" { (text) } }
    }
}
