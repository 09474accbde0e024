//! The chart of element sizes over progress: figure 5 of paper A, drawn as SVG.
//!
//! Takes plain data, so that operations, experiments and reports draw the same chart. Inside a
//! page the style sheet colours it; a file of its own carries its colours as attributes.

use api::{OperationDetail, Phase};
use maud::{Markup, html};

use crate::part::{decimal, devices_counted};

/// A chart of devices over progress.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chart {
    /// What it shows, in a few words.
    pub title: String,
    /// What there is to see, in a sentence, for those who do not see it.
    pub description: String,
    /// The lines; at most [`Chart::SERIES_MAX`] have a look of their own.
    pub series: Vec<Series>,
    /// Where the phases lie.
    pub bands: Vec<Band>,
    /// A size to compare with.
    pub reference: Option<Reference>,
    /// Things that happened at a point of the axis.
    pub marks: Vec<Mark>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points in their order.
    pub points: Vec<Point>,
}

/// One point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Share of the targets processed, in percent, 0 to 100.
    pub progress_percent: f64,
    /// Devices in the element.
    pub devices: f64,
    /// What the point is drawn as.
    pub shape: Shape,
    /// What the point says on its own; may be empty.
    pub title: String,
}

/// What a point is drawn as, so that colour is not the only sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// The size stayed: a dot.
    #[default]
    Same,
    /// The size grew: a triangle that points up.
    Faster,
    /// The size shrank: a triangle that points down.
    Slower,
    /// No sign, only the line.
    None,
}

/// Where a phase lies on the axis of progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// The phase.
    pub phase: Phase,
    /// Where it begins, in percent.
    pub from_percent: f64,
    /// Where it ends, in percent.
    pub to_percent: f64,
}

/// A size to compare with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Its name in the legend.
    pub name: String,
    /// Devices.
    pub devices: f64,
}

/// Something that happened at a point of the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where, in percent.
    pub progress_percent: f64,
    /// A word beside it.
    pub label: String,
    /// What it says on its own.
    pub title: String,
}

impl Chart {
    /// Lines that can be told apart.
    pub const SERIES_MAX: usize = 4;

    /// The chart as part of a page.
    #[must_use]
    pub fn inline(&self) -> Markup {
        self.draw(false)
    }

    /// The chart as a file of its own, with its colours and its background.
    #[must_use]
    pub fn file(&self) -> String {
        self.draw(true).into_string()
    }

    fn draw(&self, standalone: bool) -> Markup {
        let scale = Scale::of(self);
        let size = format!("0 0 {} {}", decimal(WIDTH), decimal(HEIGHT));
        html! {
            svg .chart xmlns=[standalone.then_some("http://www.w3.org/2000/svg")] viewBox=(size)
                width=[standalone.then(|| decimal(WIDTH))]
                height=[standalone.then(|| decimal(HEIGHT))]
                role="img" font-family="system-ui, sans-serif" font-size="13" fill="#1c2024" {
                title { (self.title) }
                desc { (self.description) }
                @if standalone {
                    rect width=(decimal(WIDTH)) height=(decimal(HEIGHT)) fill="#ffffff" {}
                }
                (self.draw_bands(&scale))
                (scale.axes())
                (self.draw_reference(&scale))
                @for (at, series) in self.series.iter().enumerate() {
                    (series.draw(at, &scale))
                }
                (self.draw_marks(&scale))
                (self.legend())
            }
        }
    }

    fn draw_bands(&self, scale: &Scale) -> Markup {
        html! {
            @for band in &self.bands {
                @let (from, to) = (scale.x(band.from_percent), scale.x(band.to_percent));
                rect class={ "band " (band.phase.as_str()) } x=(decimal(from)) y=(decimal(TOP))
                    width=(decimal(to - from)) height=(decimal(BOTTOM - TOP))
                    fill=(band_colour(band.phase)) fill-opacity="0.16" {}
                @if to - from >= 110.0 {
                    text .phase x=(decimal(to - 8.0)) y=(decimal(TOP + 16.0))
                        text-anchor="end" fill="#5b6470" { (band.phase.as_str()) }
                }
            }
        }
    }

    fn draw_reference(&self, scale: &Scale) -> Markup {
        html! {
            @if let Some(reference) = &self.reference {
                @let y = decimal(scale.y(reference.devices));
                line .reference x1=(decimal(LEFT)) x2=(decimal(RIGHT)) y1=(y) y2=(y)
                    stroke="#5b6470" stroke-width="1.5" stroke-dasharray="6 4" {}
            }
        }
    }

    fn draw_marks(&self, scale: &Scale) -> Markup {
        let mut rows = [LEFT; MARK_ROWS];
        html! {
            @for mark in &self.marks {
                @let x = scale.x(mark.progress_percent);
                @let width = text_width(&mark.label, BOLD_WIDTH);
                @let end = x + 6.0 + width > RIGHT;
                @let beside = if end { x - 6.0 } else { x + 6.0 };
                @let row = take_row(&mut rows, if end { beside - width } else { beside }, width);
                g .mark {
                    title { (mark.title) }
                    line x1=(decimal(x)) x2=(decimal(x)) y1=(decimal(TOP)) y2=(decimal(BOTTOM))
                        stroke="#b3261e" stroke-width="1.5" {}
                    text x=(decimal(beside)) y=(decimal(TOP + 34.0 + row)) fill="#b3261e"
                        font-weight="600" text-anchor=(if end { "end" } else { "start" }) {
                        (mark.label)
                    }
                }
            }
        }
    }

    /// Names of everything drawn, under the axis: a row of lines and a row of bands.
    fn legend(&self) -> Markup {
        let (y, band_y) = (HEIGHT - 34.0, HEIGHT - 12.0);
        let (mut line_x, mut band_x) = (LEFT, LEFT);
        html! {
            g .legend {
                @for (at, series) in self.series.iter().enumerate() {
                    @let x = take_width(&mut line_x, &series.name);
                    line class={ "line s" (at % Self::SERIES_MAX) } x1=(decimal(x)) y1=(decimal(y - 4.0))
                        x2=(decimal(x + 16.0)) y2=(decimal(y - 4.0)) stroke=(series_colour(at))
                        stroke-width="2.5" stroke-dasharray=[series_dash(at)] {}
                    text x=(decimal(x + 21.0)) y=(decimal(y)) { (series.name) }
                }
                @if let Some(reference) = &self.reference {
                    @let x = take_width(&mut line_x, &reference.name);
                    line .reference x1=(decimal(x)) x2=(decimal(x + 16.0)) y1=(decimal(y - 4.0))
                        y2=(decimal(y - 4.0)) stroke="#5b6470" stroke-width="1.5"
                        stroke-dasharray="6 4" {}
                    text x=(decimal(x + 21.0)) y=(decimal(y)) { (reference.name) }
                }
                @for band in &self.bands {
                    @let name = format!("{} {}–{} %", band.phase.as_str(),
                        decimal(band.from_percent), decimal(band.to_percent));
                    @let x = take_width(&mut band_x, &name);
                    rect class={ "band " (band.phase.as_str()) } x=(decimal(x))
                        y=(decimal(band_y - 10.0)) width="16" height="11"
                        fill=(band_colour(band.phase)) fill-opacity="0.45" {}
                    text x=(decimal(x + 21.0)) y=(decimal(band_y)) { (name) }
                }
            }
        }
    }
}

impl Series {
    fn draw(&self, at: usize, scale: &Scale) -> Markup {
        let colour = series_colour(at);
        let class = at % Chart::SERIES_MAX;
        let path: Vec<String> = self
            .points
            .iter()
            .map(|point| {
                format!(
                    "{},{}",
                    decimal(scale.x(point.progress_percent)),
                    decimal(scale.y(point.devices))
                )
            })
            .collect();
        html! {
            polyline class={ "line s" (class) } points=(path.join(" ")) fill="none" stroke=(colour)
                stroke-width="2" stroke-linejoin="round" stroke-dasharray=[series_dash(at)] {}
            g class={ "points s" (class) } fill=(colour) {
                @for point in self.points.iter().filter(|point| point.shape != Shape::None) {
                    (point.draw(scale))
                }
            }
        }
    }
}

impl Point {
    fn draw(&self, scale: &Scale) -> Markup {
        let (x, y) = (scale.x(self.progress_percent), scale.y(self.devices));
        let triangle = |tip: f64, base: f64| {
            format!(
                "M{},{} L{},{} L{},{} Z",
                decimal(x),
                decimal(y + tip),
                decimal(x - 5.0),
                decimal(y + base),
                decimal(x + 5.0),
                decimal(y + base)
            )
        };
        html! {
            @match self.shape {
                Shape::None => {}
                Shape::Same => circle cx=(decimal(x)) cy=(decimal(y)) r="3.5" {
                    title { (self.title) }
                },
                Shape::Faster => path d=(triangle(-5.0, 4.0)) { title { (self.title) } },
                Shape::Slower => path d=(triangle(5.0, -4.0)) { title { (self.title) } },
            }
        }
    }
}

/// The chart of an operation: its elements, the phases of its policy, the size of an element of
/// the fixed plan, and where it was stopped.
#[must_use]
pub fn operation_chart(operation: &OperationDetail) -> Chart {
    let view = &operation.chart;
    let summary = &operation.summary;
    let many = view.points.len() > SHAPES_MAX;
    let mut last = 0;
    let points = view
        .points
        .iter()
        .map(|element| {
            let shape = match element.devices.cmp(&last) {
                std::cmp::Ordering::Greater => Shape::Faster,
                std::cmp::Ordering::Less => Shape::Slower,
                std::cmp::Ordering::Equal if many => Shape::None,
                std::cmp::Ordering::Equal => Shape::Same,
            };
            last = element.devices;
            Point {
                progress_percent: element.progress_percent,
                devices: whole(element.devices),
                shape,
                title: format!(
                    "Element {}: {} at {} %, phase {}. {}",
                    element.element,
                    devices_counted(element.devices),
                    decimal(element.progress_percent),
                    element.phase.as_str(),
                    element.sentence
                ),
            }
        })
        .collect();
    let stops = operation.decisions.iter().filter(|decision| decision.verdict == "abort");
    Chart {
        title: format!("Element sizes of {} over progress", summary.name),
        description: format!(
            "{} elements so far; the last one has {} at {} of the targets processed. The \
             table below holds the same numbers.",
            view.points.len(),
            devices_counted(last),
            summary.progress.text
        ),
        series: vec![Series { name: "devices per element".to_owned(), points }],
        bands: view
            .bands
            .iter()
            .map(|band| Band {
                phase: band.phase,
                from_percent: band.from_percent,
                to_percent: band.to_percent,
            })
            .collect(),
        reference: (view.reference_devices > 0.0).then(|| Reference {
            name: "fixed plan, 6.25 %".to_owned(),
            devices: view.reference_devices,
        }),
        marks: stops
            .map(|stop| Mark {
                progress_percent: summary.progress.percent,
                label: "aborted".to_owned(),
                title: stop.sentence.clone(),
            })
            .collect(),
    }
}

/// From data to places in the drawing.
struct Scale {
    y_max: f64,
    y_step: f64,
}

impl Scale {
    /// An axis that holds every point and ends at a tick.
    fn of(chart: &Chart) -> Self {
        let sizes =
            chart.series.iter().flat_map(|series| &series.points).map(|point| point.devices);
        let most = sizes
            .chain(chart.reference.as_ref().map(|reference| reference.devices))
            .filter(|devices| devices.is_finite())
            .fold(1.0, f64::max);
        let y_step = step(most / 5.0);
        Self { y_max: (most * 1.05 / y_step).ceil() * y_step, y_step }
    }

    fn x(&self, percent: f64) -> f64 {
        LEFT + clamp(percent, 100.0) / 100.0 * (RIGHT - LEFT)
    }

    fn y(&self, devices: f64) -> f64 {
        BOTTOM - clamp(devices, self.y_max) / self.y_max * (BOTTOM - TOP)
    }

    fn axes(&self) -> Markup {
        let ticks: Vec<f64> = std::iter::successors(Some(0.0), |tick| Some(tick + self.y_step))
            .take_while(|tick| *tick <= self.y_max + self.y_step / 2.0)
            .collect();
        html! {
            g .axes fill="#5b6470" {
                @for tick in ticks {
                    @let y = self.y(tick);
                    line .grid x1=(decimal(LEFT)) x2=(decimal(RIGHT)) y1=(decimal(y)) y2=(decimal(y))
                        stroke="#5b6470" stroke-opacity="0.25" {}
                    text x=(decimal(LEFT - 8.0)) y=(decimal(y + 4.0)) text-anchor="end" {
                        (decimal(tick))
                    }
                }
                @for tick in (0..=10).map(|tenth| f64::from(tenth) * 10.0) {
                    @let x = self.x(tick);
                    line .tick x1=(decimal(x)) x2=(decimal(x)) y1=(decimal(BOTTOM))
                        y2=(decimal(BOTTOM + 4.0)) stroke="#5b6470" stroke-opacity="0.6" {}
                    text x=(decimal(x)) y=(decimal(BOTTOM + 18.0)) text-anchor="middle" {
                        (decimal(tick))
                    }
                }
                text x=(decimal(f64::midpoint(LEFT, RIGHT))) y=(decimal(BOTTOM + 36.0))
                    text-anchor="middle" { "progress, % of the targets" }
                text x="14" y=(decimal(f64::midpoint(TOP, BOTTOM))) text-anchor="middle"
                    transform=(format!("rotate(-90 14 {})", decimal(f64::midpoint(TOP, BOTTOM)))) {
                    "devices per element"
                }
            }
        }
    }
}

/// A value between 0 and `max`; 0 for what is no number.
const fn clamp(value: f64, max: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, max) } else { 0.0 }
}

/// The next of 1, 2, 5, 10, 20, 50, … that is at least `least`.
fn step(least: f64) -> f64 {
    let mut power = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if factor * power >= least {
                return factor * power;
            }
        }
        power *= 10.0;
    }
}

/// A count of devices as a place on an axis.
#[expect(clippy::cast_precision_loss, reason = "counts of devices stay far below 2^52")]
const fn whole(devices: u64) -> f64 {
    devices as f64
}

const fn band_colour(phase: Phase) -> &'static str {
    match phase {
        Phase::Test => "#d9730d",
        Phase::Cautious => "#caa100",
        Phase::Generalization => "#2e9e5b",
    }
}

/// Where the next name of the legend begins; moves on behind it.
fn take_width(x: &mut f64, name: &str) -> f64 {
    // 34 is the sign and the gap.
    let width = text_width(name, TEXT_WIDTH) + 34.0;
    std::mem::replace(x, *x + width)
}

/// How far under the first row a label is written, so that it covers none of those before it;
/// `rows` holds where each row is free from.
fn take_row(rows: &mut [f64; MARK_ROWS], from: f64, width: f64) -> f64 {
    let mut down = 0.0;
    for free in rows {
        if from >= *free {
            *free = from + width + 6.0;
            return down;
        }
        down += 18.0;
    }
    0.0
}

#[expect(clippy::cast_precision_loss, reason = "names are short")]
fn text_width(text: &str, letter: f64) -> f64 {
    text.chars().count() as f64 * letter
}

const fn series_colour(at: usize) -> &'static str {
    ["#1f5fbf", "#a3338b", "#0f7b72", "#8a5a00"][at % Chart::SERIES_MAX]
}

/// Lines differ by their dashes too.
fn series_dash(at: usize) -> Option<&'static str> {
    [None, Some("8 3"), Some("3 3"), Some("8 3 2 3")][at % Chart::SERIES_MAX]
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 382.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 884.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 284.0;
/// About how wide a letter is at this size, plain and bold.
const TEXT_WIDTH: f64 = 6.9;
const BOLD_WIDTH: f64 = 8.5;
/// Rows for the labels of marks; with more of them in one place the first row is used again.
const MARK_ROWS: usize = 6;
/// Above this many elements only those that change the size get a sign: the rest is the line.
const SHAPES_MAX: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_ticks() {
        for (least, expected) in
            [(0.1, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.6, 10.0), (120.0, 200.0)]
        {
            let found = step(least);
            assert!((found - expected).abs() < 1e-9, "{least}: {found}");
        }
    }

    #[test]
    fn labels_of_marks_cover_none_of_each_other() {
        let check = |percents: &[f64], expected: &[(&str, f64)]| {
            let mark = |percent: &f64| Mark {
                progress_percent: *percent,
                label: "response time improves".to_owned(),
                title: String::new(),
            };
            let marks = percents.iter().map(mark).collect();
            let file = Chart { marks, ..Chart::default() }.file();
            for (anchor, y) in expected {
                let label = format!(
                    "y=\"{}\" fill=\"#b3261e\" font-weight=\"600\" text-anchor=\"{anchor}\"",
                    decimal(*y)
                );
                assert!(file.contains(&label), "{label} in {file}");
            }
        };
        check(&[27.0, 55.0, 90.0], &[("start", TOP + 34.0), ("end", TOP + 52.0)]);
        check(&[35.0, 40.0, 65.0], &[("start", TOP + 34.0), ("start", TOP + 52.0)]);
    }

    #[test]
    fn a_file_is_complete_and_escapes_names() {
        let point = |progress_percent, devices| Point {
            progress_percent,
            devices,
            shape: Shape::Same,
            title: "</svg><script>1</script>".to_owned(),
        };
        let chart = Chart {
            title: "a < b & c".to_owned(),
            series: vec![Series {
                name: "<img onerror=1>".to_owned(),
                points: vec![point(0.0, 1.0), point(50.0, f64::NAN), point(900.0, 1e12)],
            }],
            reference: Some(Reference { name: "6.25 %".to_owned(), devices: 9.4 }),
            ..Chart::default()
        };
        let file = chart.file();
        assert!(file.starts_with("<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(file.contains("a &lt; b &amp; c") && file.contains("&lt;img onerror=1&gt;"));
        assert!(!file.contains("<script") && !file.contains("<img") && !file.contains("NaN"));
        assert!(!file.contains("style="));
        assert!(Chart::default().file().ends_with("</svg>"));
    }
}
