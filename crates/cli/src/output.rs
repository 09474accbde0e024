//! All printing: data on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::arguments::{Color, Form, Global};
use crate::failure::Failure;
use crate::paint::Paint;

/// Prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    form: Form,
    stdout: Stream,
    stderr: Stream,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    terminal: bool,
    paint: Paint,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let stream = |terminal: bool| Stream {
            terminal,
            paint: Paint::new(match global.color {
                Color::Always => true,
                Color::Never => false,
                // https://no-color.org: any value that is not empty.
                Color::Auto => {
                    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                }
            }),
        };
        Self {
            form: global.output,
            stdout: stream(io::stdout().is_terminal()),
            stderr: stream(io::stderr().is_terminal()),
        }
    }

    /// The same with another form.
    pub(crate) const fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// Whether people read, not programs.
    pub(crate) fn is_for_people(&self) -> bool {
        self.form == Form::Table
    }

    /// Whether a block that is drawn again and again has a place: both streams are a terminal.
    pub(crate) fn is_live(&self) -> bool {
        self.is_for_people() && self.stdout.terminal && self.stderr.terminal
    }

    /// Colours of standard output.
    pub(crate) const fn paint(&self) -> Paint {
        self.stdout.paint
    }

    /// Prints lines of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        write_all(text.as_bytes(), b"\n")
    }

    /// Prints data as it is.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        write_all(bytes, b"")
    }

    /// Prints a JSON document, on one line for `jsonl`.
    pub(crate) fn json(&self, value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
        let text = match self.form {
            Form::Jsonl => serde_json::to_string(value),
            Form::Json | Form::Table => serde_json::to_string_pretty(value),
        };
        self.line(&text.map_err(Failure::of)?)
    }

    /// Tells people something that is no data.
    pub(crate) fn note(&self, text: &str) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Tells people who watch how far something is.
    pub(crate) fn progress(&self, text: &str) {
        if self.stderr.terminal {
            self.note(text);
        }
    }

    /// Tells people what went wrong and what would help.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        let paint = self.stderr.paint;
        self.note(&format!("{} {}", paint.bad("error:"), failure.message));
        if !failure.hint.is_empty() {
            self.note(&format!("{} {}", paint.name("hint:"), failure.hint));
        }
    }
}

fn write_all(bytes: &[u8], end: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(bytes).and_then(|()| stdout.write_all(end)).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::of(format!("standard output: {error}")),
    })
}
