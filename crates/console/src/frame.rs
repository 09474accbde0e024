//! What surrounds every page, and the fragments that keep it current.

use maud::{DOCTYPE, Markup, html};
use serde_json::json;

use crate::asset;
use crate::url::with_query;

/// What the request knows beside the view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Path and query of the page that is shown, e.g. `/operations/op-1`; where forms return to
    /// and what the stream of fragments is asked for.
    pub path: String,
    /// Token that proves that a form came from our own page; repeated in every form as `csrf`.
    pub csrf: String,
    /// Light, dark or as the system says, from the cookie `theme`.
    pub theme: Theme,
    /// Version of the server, shown at the end of the page.
    pub version: String,
    /// One sentence about what a form just did, or why it was refused; empty for none.
    pub notice: String,
}

/// Light, dark or as the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The word, as in the cookie.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of that word; `auto` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Auto,
        }
    }
}

/// Part of a page that is replaced when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Identifier of its element.
    pub id: &'static str,
    /// Its element, as HTML.
    pub html: String,
}

impl Fragment {
    pub(crate) fn new(id: &'static str, body: &Markup) -> Self {
        Self { id, html: html! { section id=(id) { (body) } }.into_string() }
    }

    /// Data of the server-sent event that replaces it: `{"id": …, "html": …}`.
    #[must_use]
    pub fn message(&self) -> String {
        json!({ "id": self.id, "html": self.html }).to_string()
    }
}

/// The fragments that are new or differ from what was sent before.
#[must_use]
pub fn changed<'a>(before: &[Fragment], after: &'a [Fragment]) -> Vec<&'a Fragment> {
    after.iter().filter(|fragment| !before.contains(fragment)).collect()
}

/// Where a page belongs in the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Fleet,
    Devices,
    Releases,
    Operations,
}

impl Section {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Fleet, "Fleet", "/"),
        (Self::Devices, "Devices", "/devices"),
        (Self::Releases, "Releases", "/releases"),
        (Self::Operations, "Operations", "/operations"),
    ];
}

/// A page made from a view: its fragments, and the whole around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub(crate) title: String,
    pub(crate) section: Section,
    pub(crate) fragments: Vec<Fragment>,
    /// Whether the page listens for changes.
    pub(crate) live: bool,
    /// The same on the command line.
    pub(crate) command: String,
    /// The same as JSON.
    pub(crate) json: String,
}

impl View {
    /// The parts that are replaced when they change.
    #[must_use]
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// The whole page.
    #[must_use]
    pub fn page(&self, frame: &Frame) -> String {
        let events = with_query("/console/events", &[("page", &frame.path)]);
        let theme = (frame.theme != Theme::Auto).then(|| frame.theme.as_str());
        html! {
            (DOCTYPE)
            html lang="en" data-theme=[theme] {
                (self.head())
                body data-events=[self.live.then_some(events)] {
                    a .skip href="#main" { "Skip to the content" }
                    (self.rail(frame))
                    main #main {
                        h1 { (self.title) }
                        @if !frame.notice.is_empty() {
                            p .notice role="status" { (frame.notice) }
                        }
                        @for fragment in &self.fragments {
                            (maud::PreEscaped(&fragment.html))
                        }
                        (self.foot(frame))
                    }
                }
            }
        }
        .into_string()
    }

    fn head(&self) -> Markup {
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (self.title) " · Bellwether" }
                link rel="icon" href=(asset::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(asset::style());
                @if self.live {
                    script type="module" src=(asset::script()) {}
                    noscript { meta http-equiv="refresh" content="10"; }
                }
            }
        }
    }

    fn rail(&self, frame: &Frame) -> Markup {
        let next = frame.theme.next();
        html! {
            header .rail {
                a .brand href="/" { "Bellwether" }
                nav aria-label="Main" {
                    @for (section, name, path) in Section::ALL {
                        @let current = section == self.section;
                        a href=(path) aria-current=[current.then_some("page")] { (name) }
                    }
                }
                div .tools {
                    @if self.live {
                        p #live .live data-state="off" role="status" {
                            span .dot aria-hidden="true" {}
                            span .words { "Refreshes every 10 s" }
                        }
                    }
                    form method="post" action="/console/theme" {
                        input type="hidden" name="csrf" value=(frame.csrf);
                        input type="hidden" name="next" value=(frame.path);
                        button .quiet name="theme" value=(next.as_str())
                            title={ "Change to " (next.as_str()) } {
                            "Theme: " (frame.theme.as_str())
                        }
                    }
                }
            }
        }
    }

    fn foot(&self, frame: &Frame) -> Markup {
        html! {
            footer {
                @if !self.command.is_empty() {
                    span { "Command line: " code { (self.command) } }
                }
                @if !self.json.is_empty() {
                    a href=(self.json) { "JSON" }
                }
                a href="/openapi.json" { "API" }
                span { "Bellwether " (frame.version) " · times in UTC" }
            }
        }
    }
}
