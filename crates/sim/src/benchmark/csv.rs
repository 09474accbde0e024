//! Results as lines of comma-separated values (RFC 4180).

use super::measure::{Cell, Share, Spread};

/// A head and one line for each cell; nothing without any.
pub(super) fn lines(cells: &[Cell]) -> String {
    let mut text = String::new();
    for cell in cells {
        let columns = columns(cell);
        let line = |words: Vec<&str>| format!("{}\r\n", words.join(","));
        if text.is_empty() {
            text = line(columns.0.iter().map(|(name, _)| name.as_str()).collect());
        }
        text.push_str(&line(columns.0.iter().map(|(_, value)| value.as_str()).collect()));
    }
    text
}

/// Names with their values.
struct Columns(Vec<(String, String)>);

impl Columns {
    fn put(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    fn number(&mut self, name: &str, value: Option<f64>) {
        self.put(name, value.map_or_else(String::new, |value| format!("{value:.4}")));
    }

    /// A share with its interval.
    fn share(&mut self, name: &str, share: Option<Share>) {
        let ends = share.map(|it| [it.share, it.lower, it.upper]);
        for (at, end) in ["", "_lower", "_upper"].into_iter().enumerate() {
            let value = ends.map_or_else(String::new, |ends| format!("{:.6}", ends[at]));
            self.put(&format!("{name}{end}"), value);
        }
    }

    /// A mean with its standard error, what 95 % of the runs stay below, and their number.
    fn spread(&mut self, name: &str, spread: Option<Spread>) {
        self.number(name, spread.map(|it| it.mean));
        self.number(&format!("{name}_error"), spread.map(|it| it.error));
        self.number(&format!("{name}_p95"), spread.map(|it| it.p95));
        self.put(&format!("{name}_runs"), spread.map_or(0, |it| it.runs));
    }
}

fn columns(cell: &Cell) -> Columns {
    let mut all = Columns(Vec::new());
    all.put("scenario", &cell.scenario);
    all.put("policy", &cell.policy);
    all.put("family", &cell.family);
    all.put("good", cell.good);
    all.put("devices", cell.devices);
    all.put("runs", cell.runs);
    all.share("stopped", Some(cell.stopped));
    all.share("paused", Some(cell.paused));
    all.share("finished", Some(cell.finished));
    all.share("false_stops", Some(cell.false_stops));
    all.spread("harmed", cell.harmed);
    all.spread("harmed_at_stop", cell.harmed_before_stop);
    all.spread("hours_to_50", cell.hours_to_50);
    all.spread("hours_to_90", cell.hours_to_90);
    all.spread("delay_hours", cell.delay_hours);
    all.number("precision", cell.precision);
    all.number("recall", cell.recall);
    all.number("slowdown", cell.slowdown);
    all.spread("peak_in_flight", cell.peak_in_flight);
    all.number("decisions", Some(cell.decisions));
    all.number("decision_us", Some(cell.decision_us));
    all.number("device_ns", Some(cell.device_ns));
    all.share("detected", cell.detected);
    all.spread("undone", cell.undone);
    all.spread("recovered", cell.recovered);
    all.spread("net_harmed", cell.net_harmed);
    all.spread("undo_hours", cell.undo_hours);
    all.share("undo_stopped", Some(cell.undo_stopped));
    all.spread("response_p99_ms", cell.response_p99_ms);
    all.number("harmed_max", cell.harmed.map(|it| it.max));
    all
}
