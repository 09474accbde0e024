//! Small parts that pages share.

use api::{
    Compliance, CountsView, OperationRef, OperationState, OperationSummary, Phase, Presence,
    ReleaseRef, Timestamp,
};
use maud::{Markup, html};

/// How a word is coloured; the word itself always says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Care,
    Bad,
    Calm,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Care => "care",
            Self::Bad => "bad",
            Self::Calm => "calm",
        }
    }
}

/// A word with a tone.
pub(crate) fn word(text: &str, tone: Tone) -> Markup {
    html! { span class={ "word " (tone.class()) } { (text) } }
}

pub(crate) fn presence(presence: Presence) -> Markup {
    let tone = match presence {
        Presence::Online => Tone::Good,
        Presence::Asleep => Tone::Calm,
        Presence::Offline => Tone::Care,
    };
    word(presence.as_str(), tone)
}

pub(crate) fn compliance(compliance: Compliance) -> Markup {
    let tone = match compliance {
        Compliance::Current => Tone::Good,
        Compliance::Updating => Tone::Busy,
        Compliance::Outdated | Compliance::Held => Tone::Care,
        Compliance::Quarantined => Tone::Bad,
        Compliance::Unknown | Compliance::Untargeted => Tone::Calm,
    };
    word(compliance.as_str(), tone)
}

pub(crate) fn state(state: OperationState) -> Markup {
    let tone = match state {
        OperationState::Pending => Tone::Calm,
        OperationState::Ongoing => Tone::Busy,
        OperationState::Paused => Tone::Care,
        OperationState::Aborted => Tone::Bad,
        OperationState::Finished => Tone::Good,
    };
    word(state.as_str(), tone)
}

/// The state of an operation, and what froze it if anything did.
pub(crate) fn standing(operation: &OperationSummary) -> Markup {
    html! {
        (state(operation.state))
        @if let Some(by) = &operation.frozen_by { " " span .beside { "frozen by " (operation_link(by)) } }
    }
}

/// Day and time down to seconds.
pub(crate) fn moment(at: &Timestamp) -> Markup {
    html! {
        time datetime=(at) title=(at) { span .day { (at.day()) " " } (at.time_of_day()) }
    }
}

/// Time of day down to seconds; the day is in the title.
pub(crate) fn clock(at: &Timestamp) -> Markup {
    html! { time datetime=(at) title=(at) { (at.time_of_day()) } }
}

pub(crate) fn operation_link(operation: &OperationRef) -> Markup {
    html! { a href={ "/operations/" (operation.name) } { (operation.name) } }
}

pub(crate) fn release_link(release: &ReleaseRef) -> Markup {
    html! { a href={ "/releases/" (release.name) } { (release.title()) } }
}

/// A text, or a word for its absence.
pub(crate) fn known(text: Option<&str>) -> Markup {
    match text {
        Some(text) if !text.is_empty() => html! { (text) },
        _ => html! { span .absent { "unknown" } },
    }
}

/// What a section says when it has nothing to show, and the next step.
pub(crate) fn nothing(text: &str) -> Markup {
    html! { p .nothing { (text) } }
}

/// A whole number with thin spaces between thousands.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of devices, in words.
pub(crate) fn devices_counted(devices: u64) -> String {
    match devices {
        1 => "1 device".to_owned(),
        _ => format!("{} devices", number(devices)),
    }
}

/// A bar of the share that `part` is of `whole`.
pub(crate) fn bar(part: u64, whole: u64) -> Markup {
    html! {
        svg .bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect .track width="100" height="8" {}
            rect .fill width=(decimal(percent(part, whole))) height="8" {}
        }
    }
}

/// A bar of an operation's targets, with the same numbers as text for those who do not see it.
pub(crate) fn progress(counts: &CountsView) -> Markup {
    let mut end = 0.0;
    let parts = [
        ("done", counts.succeeded),
        ("failed", counts.failed),
        ("flight", counts.in_flight),
        ("taken", counts.cancelled),
    ]
    .map(|(class, part)| {
        let (start, width) = (end, percent(part, counts.targets));
        end += width;
        (class, start, width)
    });
    let label = format!(
        "{} done, {} failed, {} in flight, {} waiting of {} targets",
        counts.succeeded, counts.failed, counts.in_flight, counts.waiting, counts.targets
    );
    html! {
        svg .bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect .track width="100" height="8" {}
            @for (class, start, width) in parts.iter().filter(|(_, _, width)| *width > 0.0) {
                rect class=(class) x=(decimal(*start)) width=(decimal(*width)) height="8" {}
            }
        }
    }
}

/// A share of a whole in percent; 0 of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of devices stay far below 2^52")]
    let share = part as f64 / whole as f64;
    share * 100.0
}

/// A number with at most two decimals.
pub(crate) fn decimal(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes for people, in binary units.
pub(crate) fn bytes(size: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "images stay far below 2^52 bytes")]
    let precise = size as f64;
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{} KiB", decimal((precise / 102.4).round() / 10.0)),
        _ => format!("{} MiB", decimal((precise / 104_857.6).round() / 10.0)),
    }
}

/// The three phases: those that are over, and the one the operation is in or was stopped in.
pub(crate) fn phases(current: Phase, state: OperationState) -> Markup {
    let finished = state == OperationState::Finished;
    html! {
        ol .phases aria-label="Phases" {
            @for phase in [Phase::Test, Phase::Cautious, Phase::Generalization] {
                @let now = phase == current && !finished;
                li .past[phase < current || finished]
                    .stopped[now && state == OperationState::Aborted]
                    aria-current=[now.then_some("step")] { (phase.as_str()) }
            }
        }
    }
}

/// Operations, one a line with its last decision below.
pub(crate) fn operations_table(operations: &[OperationSummary]) -> Markup {
    html! {
        div .scroll tabindex="0" {
            table {
                thead {
                    tr {
                        th { "Operation" } th { "Release" } th { "State" } th { "Phase" }
                        th .wide { "Progress" } th .number { "Done" } th .number { "In flight" }
                        th .number { "Waiting" } th .number { "Failed" }
                        th .number { "Speed" }
                    }
                }
                tbody {
                    @for operation in operations {
                        (operation_row(operation))
                    }
                }
            }
        }
    }
}

fn operation_row(operation: &OperationSummary) -> Markup {
    let counts = &operation.counts;
    html! {
        tr id={ "row-" (operation.name) } {
            td { (operation_link(&operation.reference())) }
            td { (release_link(&operation.release)) }
            td { (standing(operation)) }
            td { (operation.phase.as_str()) }
            td .wide { (progress(counts)) span .beside { (operation.progress.text) } }
            td .number { (number(counts.succeeded)) }
            td .number { (number(counts.in_flight)) }
            td .number { (number(counts.waiting)) }
            td .number { (number(counts.failed)) }
            td .number {
                @match operation.speed { Some(speed) => { (speed) } None => "–" }
            }
        }
        @if !operation.last_decision.is_empty() {
            tr .under id={ "decision-" (operation.name) } {
                td {}
                td .sentence colspan="8" { (operation.last_decision) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (20_551, "20\u{202f}551"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(number(value), text);
        }
        for (value, text) in [(0.0, "0"), (6.25, "6.25"), (9.375, "9.38"), (100.0, "100")] {
            assert_eq!(decimal(value), text);
        }
        for (size, text) in [(12, "12 B"), (65_536, "64 KiB"), (1_600_000, "1.5 MiB")] {
            assert_eq!(bytes(size), text);
        }
    }
}
