//! The picture of what speed costs: hours to 90 % of a good release against devices harmed.

use std::fmt::Write as _;

use super::equal::REFERENCE;
use super::report::{OWN, Report, figures};

/// One setting of a system.
struct Point<'a> {
    policy: &'a str,
    hours: f64,
    harmed: f64,
    stops: f64,
}

/// The picture of a scenario as SVG: each system a line over its knob. None when no policy has
/// both a time on the reference scenario and an outcome in this one.
#[must_use]
pub fn pareto(report: &Report, scenario: &str) -> Option<String> {
    let mut lines: Vec<(&str, Vec<Point<'_>>)> = Vec::new();
    for cell in report.cells.iter().filter(|cell| cell.scenario == scenario) {
        let reference =
            report.cells.iter().find(|it| it.scenario == REFERENCE && it.policy == cell.policy);
        let (Some(reference), Some(harmed)) = (reference, cell.harmed) else { continue };
        let Some(hours) = reference.hours_to_90 else { continue };
        let point = Point {
            policy: &cell.policy,
            hours: hours.mean.max(0.1),
            harmed: harmed.mean.max(HARMED_MIN),
            stops: reference.false_stops.share,
        };
        match lines.iter_mut().find(|(family, _)| *family == cell.family) {
            Some((_, points)) => points.push(point),
            None => lines.push((&cell.family, vec![point])),
        }
    }
    if lines.is_empty() {
        return None;
    }
    for (_, points) in &mut lines {
        points.sort_by(|one, other| one.hours.total_cmp(&other.hours));
    }
    let title = report.scenarios.iter().find(|it| it.name == scenario);
    let title = title.map_or_else(|| scenario.to_owned(), |it| format!("{scenario}: {}", it.about));
    Some(draw(&title, &lines))
}

fn draw(title: &str, lines: &[(&str, Vec<Point<'_>>)]) -> String {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let x = Axis::of(all().map(|point| point.hours), LEFT, RIGHT);
    let y = Axis::of(all().map(|point| point.harmed), BOTTOM, TOP);
    let rows = lines.len().div_ceil(LEGEND_COLUMNS);
    let height = BOTTOM + 58.0 + 20.0 * rows as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<style>{STYLE}</style>\n\
         <title>{0}</title>\n<desc>Devices harmed in {0}, against hours to 90 % of the targets of \
         a good release. Both axes are logarithmic; lower and further left is better. Hollow \
         marks stop more than 1 % of the good releases.</desc>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"ink\" x=\"{LEFT}\" y=\"22\" font-weight=\"600\">{0}</text>\n",
        escaped(title)
    );
    grid(&mut svg, &x, &y);
    for (at, (family, points)) in lines.iter().enumerate() {
        let class = if *family == OWN { "own".to_owned() } else { format!("s{}", at % LOOKS) };
        line(&mut svg, &class, at, points, &x, &y);
        let column = (at % LEGEND_COLUMNS) as f64;
        let row = (at / LEGEND_COLUMNS) as f64;
        let (left, top) = (LEFT + column * 165.0, BOTTOM + 62.0 + row * 20.0);
        let _ = writeln!(
            svg,
            "<g class=\"{class}\"><path class=\"line\" d=\"M{left:.1},{:.1} h22\"/>{}</g>\
             <text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            top - 4.0,
            mark(at, left + 11.0, top - 4.0, false, ""),
            left + 28.0,
            top,
            escaped(family)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    for (value, major) in x.ticks() {
        let at = x.at(value);
        let class = if major { "major" } else { "minor" };
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{at:.1},{TOP} V{BOTTOM}\"/>");
        if major {
            let _ = writeln!(
                svg,
                "<text class=\"quiet\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                BOTTOM + 18.0,
                figures(value)
            );
        }
    }
    for (value, major) in y.ticks() {
        let at = y.at(value);
        let class = if major { "major" } else { "minor" };
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{LEFT},{at:.1} H{RIGHT}\"/>");
        if major {
            let _ = writeln!(
                svg,
                "<text class=\"quiet\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                figures(value)
            );
        }
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">hours to 90 % of a \
         good release ({REFERENCE})</text>",
        BOTTOM + 38.0
    );
    let middle = f64::midpoint(TOP, BOTTOM);
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" x=\"18\" y=\"{middle}\" text-anchor=\"middle\" \
         transform=\"rotate(-90 18 {middle})\">devices harmed, mean</text>"
    );
}

fn line(svg: &mut String, class: &str, look: usize, points: &[Point<'_>], x: &Axis, y: &Axis) {
    let path: Vec<String> = points
        .iter()
        .map(|point| format!("{:.1},{:.1}", x.at(point.hours), y.at(point.harmed)))
        .collect();
    let _ = writeln!(
        svg,
        "<g class=\"{class}\"><polyline class=\"line\" points=\"{}\"/>",
        path.join(" ")
    );
    for point in points {
        let title = format!(
            "{}: {} h, {} harmed, stops {:.1} % of the good releases",
            point.policy,
            figures(point.hours),
            figures(point.harmed),
            point.stops * 100.0
        );
        let hollow = point.stops > STOPS_MAX;
        svg.push_str(&mark(look, x.at(point.hours), y.at(point.harmed), hollow, &title));
    }
    svg.push_str("</g>\n");
}

/// Shapes, so that colour is not the only sign.
fn mark(look: usize, x: f64, y: f64, hollow: bool, title: &str) -> String {
    let class = if hollow { "hollow" } else { "full" };
    let title =
        if title.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(title)) };
    let path = match look % 4 {
        0 => {
            return format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\">{title}</circle>"
            );
        }
        1 => format!("M{:.1},{:.1} l4.5,9 h-9 Z", x, y - 5.0),
        2 => format!("M{:.1},{:.1} h8 v8 h-8 Z", x - 4.0, y - 4.0),
        _ => format!("M{:.1},{:.1} l5.5,5.5 l-5.5,5.5 l-5.5,-5.5 Z", x, y - 5.5),
    };
    format!("<path class=\"{class}\" d=\"{path}\">{title}</path>")
}

/// A logarithmic axis.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        let (from, to) = ((low / 1.2).log10().floor(), (high * 1.2).log10().ceil());
        Self { from, to: to.max(from + 1.0), start, end }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.from) / (self.to - self.from);
        self.start + share * (self.end - self.start)
    }

    /// Values with a line, and whether they have a name.
    fn ticks(&self) -> Vec<(f64, bool)> {
        let mut ticks = Vec::new();
        for power in self.from as i32..=self.to as i32 {
            let whole = 10_f64.powi(power);
            ticks.push((whole, true));
            if power < self.to as i32 {
                ticks.extend([2.0, 5.0].map(|part| (part * whole, false)));
            }
        }
        ticks
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 736.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 440.0;
const LOOKS: usize = 10;
const LEGEND_COLUMNS: usize = 4;
/// Policies that stop more of the good releases are drawn hollow.
const STOPS_MAX: f64 = 0.01;
/// Nobody harmed has no place on a logarithmic axis.
const HARMED_MIN: f64 = 0.5;
const STYLE: &str = ".page{fill:#fff}.ink{fill:#1c2024}.quiet{fill:#5b6470}\
    .major{stroke:#c9ced6;fill:none}.minor{stroke:#e8ebef;fill:none}\
    .line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}\
    .full{fill:currentColor}.hollow{fill:none;stroke:currentColor;stroke-width:1.5}\
    .own{color:#b3261e}.own .line{stroke-width:3}\
    .s0{color:#1f5fbf}.s1{color:#8a5a00}.s2{color:#1d7a46}.s3{color:#7a3fa0}.s4{color:#0b7a86}\
    .s5{color:#a03f6b}.s6{color:#5b6470}.s7{color:#6b7a12}.s8{color:#3f51b5}.s9{color:#a34a12}\
    @media(prefers-color-scheme:dark){.page{fill:#15181c}.ink{fill:#e6e9ed}.quiet{fill:#a4adb8}\
    .major{stroke:#3a424c}.minor{stroke:#262c33}.own{color:#ff8a80}\
    .s0{color:#7fb0ff}.s1{color:#e0b050}.s2{color:#6fcf97}.s3{color:#c79be8}.s4{color:#63d0dc}\
    .s5{color:#f09abf}.s6{color:#a4adb8}.s7{color:#c3d45a}.s8{color:#9fa8f0}.s9{color:#f0a070}}";
