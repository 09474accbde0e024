//! Writes every page on a sample view into a folder, to be looked at in a browser:
//! `cargo run --manifest-path crates/console/Cargo.toml --example preview -- FOLDER`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::io;
use std::path::Path;

use api::{AssignmentQuery, DeviceQuery, FleetSummary, ListQuery, Page, Problem, ProblemCode};
use console::{Frame, Theme, View};

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "preview".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder.join("assets"))?;
    for asset in console::assets() {
        std::fs::write(folder.join(asset.path.trim_start_matches('/')), asset.bytes)?;
    }
    for theme in [Theme::Light, Theme::Dark] {
        let frame = Frame {
            path: "/".to_owned(),
            csrf: "token".to_owned(),
            theme,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            notice: String::new(),
        };
        for (name, view) in views(&frame) {
            // Files have no root: the pages' absolute paths become relative ones.
            let html = view.page(&frame).replace("\"/assets/", "\"assets/");
            std::fs::write(folder.join(format!("{name}-{}.html", theme.as_str())), html)?;
        }
    }
    std::fs::write(
        folder.join("chart.svg"),
        console::chart::operation_chart(&sample::aborted()).file(),
    )
}

fn views(frame: &Frame) -> Vec<(&'static str, View)> {
    let list = ListQuery::default();
    let operation = sample::operation_ref();
    let releases = Page { items: vec![sample::release().summary], next: None, total: Some(1) };
    let operations = Page { items: vec![sample::operation_summary()], next: None, total: Some(1) };
    let decisions = Page { items: sample::decisions(), next: None, total: None };
    let refusal = Problem::new(ProblemCode::NotFound, format!("no device `{}`", sample::HOSTILE))
        .hint("Look at the list of devices.");
    vec![
        ("fleet", console::fleet(&sample::fleet())),
        ("fleet-empty", console::fleet(&FleetSummary::default())),
        ("devices", console::devices(&sample::devices(), &DeviceQuery::default())),
        ("device", console::device(&sample::device(), frame)),
        ("releases", console::releases(&releases, &list)),
        ("release", console::release(&sample::release())),
        ("operations", console::operations(&operations, &list)),
        ("operation", console::operation(&sample::operation(), frame)),
        ("operation-aborted", console::operation(&sample::aborted(), frame)),
        ("operation-evidence", console::operation(&sample::under_evidence(), frame)),
        ("operation-frozen", console::operation(&sample::frozen(), frame)),
        (
            "operation-devices",
            console::operation_devices(
                &operation,
                &sample::assignments(),
                &AssignmentQuery::default(),
            ),
        ),
        ("decisions", console::decisions(&operation, &decisions, &list)),
        ("problem", console::problem(&refusal)),
    ]
}
