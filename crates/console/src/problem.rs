//! The page that says why a request was refused.

use api::Problem;
use maud::html;

use crate::frame::{Fragment, Section, View};

/// The page that says why a request was refused; send it with the problem's status.
#[must_use]
pub fn problem(problem: &Problem) -> View {
    let body = html! {
        p .lead { (problem.message) }
        @if !problem.hint.is_empty() { p { (problem.hint) } }
        p .hint { "Status " (problem.status) ", code " code { (problem.code.as_str()) } }
        p { a href="/" { "To the fleet" } }
    };
    View {
        title: problem.title.clone(),
        section: Section::Fleet,
        fragments: vec![Fragment::new("problem", &body)],
        live: false,
        command: String::new(),
        json: String::new(),
    }
}
