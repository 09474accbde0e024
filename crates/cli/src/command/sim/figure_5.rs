//! `sim figure-5`: the simulator's data, drawn by the console's chart.

use std::fs;
use std::path::Path;

use console::chart::{Band, Chart, Mark, Point, Reference, Series, Shape};
use sim::figure_5::{Curve, Figure5};

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table::Table;

/// Runs the experiments and writes one chart of all curves, one for each, and the data.
pub(super) fn run(folder: &Path, output: &Output) -> Result<Exit, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let figure = Figure5::run(SEED).map_err(Failure::of)?;
    let mut files = vec![
        ("figure-5.csv".to_owned(), figure.csv()),
        ("figure-5.svg".to_owned(), chart(&figure, &figure.curves, "Figure 5").file()),
    ];
    for curve in &figure.curves {
        let name = format!("figure-5-{}.svg", curve.name.replace(' ', "-"));
        let title = format!("Figure 5, {}", curve.name);
        files.push((name, chart(&figure, std::slice::from_ref(curve), &title).file()));
    }
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
        written.push(path.display().to_string());
    }
    if !output.is_for_people() {
        output.json(&serde_json::json!({ "files": written }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["CURVE", "ELEMENTS", "LARGEST", "TIME"]);
    for curve in &figure.curves {
        let largest = curve.points.iter().map(|point| point.devices).max().unwrap_or(0);
        table.row([
            curve.name.to_owned(),
            curve.points.len().to_string(),
            largest.to_string(),
            model::Span(curve.time).to_string(),
        ]);
    }
    table.print(output)?;
    for path in written {
        output.note(&format!("wrote {path}"));
    }
    Ok(Exit::Done)
}

fn chart(figure: &Figure5, curves: &[Curve], title: &str) -> Chart {
    let marks = curves.iter().filter(|_| curves.len() == 1).flat_map(|curve| &curve.marks);
    Chart {
        title: format!("{title}: devices in an element against progress"),
        description: description(figure, curves),
        series: curves.iter().map(series).collect(),
        bands: bands(figure),
        reference: Some(Reference {
            name: format!("{} of the targets", figure.reference),
            devices: count(figure.reference_devices()),
        }),
        marks: marks
            .map(|mark| Mark {
                progress_percent: percent(mark.progress),
                label: mark.label.to_owned(),
                title: format!("{} at {}", mark.label, mark.progress),
            })
            .collect(),
    }
}

fn description(figure: &Figure5, curves: &[Curve]) -> String {
    let each = curves.iter().map(|curve| {
        let time = model::Span(curve.time);
        format!("{} takes {} elements and {time}", curve.name, curve.points.len())
    });
    format!("{} devices; {}.", figure.targets, each.collect::<Vec<_>>().join(", "))
}

fn series(curve: &Curve) -> Series {
    let mut last = None;
    let points = curve.points.iter().map(|point| {
        let shape = match last.replace(point.speed) {
            Some(before) if point.speed > before => Shape::Faster,
            Some(before) if point.speed < before => Shape::Slower,
            _ => Shape::Same,
        };
        Point {
            progress_percent: percent(point.progress),
            devices: count(point.speed.into()),
            shape,
            title: format!("element {}: {}", point.element, point.decision),
        }
    });
    Series { name: curve.name.to_owned(), points: points.collect() }
}

fn bands(figure: &Figure5) -> Vec<Band> {
    let cautious = percent(figure.phases.cautious_from);
    let generalization = percent(figure.phases.generalization_from);
    [
        (api::Phase::Test, 0.0, cautious),
        (api::Phase::Cautious, cautious, generalization),
        (api::Phase::Generalization, generalization, 100.0),
    ]
    .map(|(phase, from_percent, to_percent)| Band { phase, from_percent, to_percent })
    .into()
}

fn percent(rate: model::Rate) -> f64 {
    f64::from(rate.as_basis_points()) / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "the figure shows 150 devices")]
const fn count(devices: u64) -> f64 {
    devices as f64
}

/// The seed of the figure that the documents show.
const SEED: u64 = 1;
