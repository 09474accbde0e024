//! Progress as it happens: a block that is drawn again in place on a terminal, else plain lines.

use std::io;
use std::time::Duration;

use api::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::Form;
use crate::failure::Failure;
use crate::output::Output;
use crate::view;
use crate::wrap::wrap;

/// Where progress is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    output: Output,
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    block: MultiProgress,
    lines: Vec<ProgressBar>,
    /// Width of the terminal, which may change at any time.
    columns: fn() -> usize,
}

impl Screen {
    pub(crate) fn new(output: Output) -> Self {
        let live = output.is_live().then(|| Live {
            block: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_HZ)),
            lines: Vec::new(),
            columns,
        });
        Self { output, live }
    }

    /// Shows an event: as JSON, as a line when it is notable, or in the block that follows.
    pub(crate) fn event(&self, event: &Event) -> Result<(), Failure> {
        if !self.output.is_for_people() {
            return self.output.with_form(Form::Jsonl).json(event);
        }
        if self.live.is_none() && view::is_notable(event) {
            let line = format!("{}  {}", event.at.time_of_day(), view::event(event));
            return self.output.line(&line);
        }
        Ok(())
    }

    /// Says something to people: above the block, or as a line.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        match &self.live {
            Some(live) => live.block.println(text).map_err(Failure::of),
            None if self.output.is_for_people() => self.output.line(text),
            None => {
                self.output.note(text);
                Ok(())
            }
        }
    }

    /// Whether there is a block to draw.
    pub(crate) const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// The colours of the block.
    pub(crate) const fn paint(&self) -> crate::paint::Paint {
        self.output.paint()
    }

    /// Draws the block again, its lines broken where the terminal ends.
    pub(crate) fn draw(&mut self, texts: &[String]) {
        let Some(live) = &mut self.live else { return };
        let columns = (live.columns)();
        let texts: Vec<String> = texts.iter().flat_map(|text| wrap(text, columns)).collect();
        while live.lines.len() > texts.len() {
            if let Some(line) = live.lines.pop() {
                live.block.remove(&line);
            }
        }
        while live.lines.len() < texts.len() {
            let style = ProgressStyle::with_template("{wide_msg}")
                .expect("invariant: the template is a constant that a test draws with");
            live.lines.push(live.block.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (line, text) in live.lines.iter().zip(texts) {
            if line.message() != text {
                line.set_message(text);
            }
        }
    }

    /// Leaves the block where it is; what follows are lines below it.
    pub(crate) fn close(&mut self) {
        let Some(live) = self.live.take() else { return };
        // A terminal that does not take this takes nothing else either.
        let _ = live.block.clear();
        live.lines.iter().for_each(|line| self.output.note(&line.message()));
    }

    /// A stream for log lines that keeps the block in one piece.
    pub(crate) fn log_writer(&self) -> LogWriter {
        LogWriter(self.live.as_ref().map(|live| live.block.clone()))
    }
}

/// Writes lines to standard error, above the block when there is one.
#[derive(Debug, Clone)]
pub(crate) struct LogWriter(Option<MultiProgress>);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(block) => block.println(String::from_utf8_lossy(bytes).trim_end())?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn columns() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(COLUMNS, |(width, _)| width.0.into())
}

/// Width of a terminal that does not tell.
const COLUMNS: usize = 80;

/// Time between two looks at numbers that change all the time.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// Drawings of the block in a second, at most: each line that changes makes one.
const DRAWS_HZ: u8 = 60;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use clap::Parser;
    use indicatif::TermLike;

    use super::*;
    use crate::arguments::Arguments;

    /// A terminal of 20 columns that keeps what was written to it.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            20
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_block_grows_shrinks_and_fits_the_terminal() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 200);
        let block = MultiProgress::with_draw_target(target);
        let live = Live { block, lines: Vec::new(), columns: || 20 };
        let global = Arguments::parse_from(["bellwether", "version"]).global;
        let mut screen = Screen { output: Output::new(&global), live: Some(live) };
        let wide = "a line that is wider than the terminal";
        for (texts, lines) in [(&["one", "two"][..], 2), (&["one", wide, "three"], 4), (&[], 0)] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            screen.draw(&texts);
            assert_eq!(screen.live.as_ref().unwrap().lines.len(), lines);
        }
        screen.say("above").unwrap();
        let written = paper.0.lock().unwrap();
        assert!(written.contains("two") && written.contains("above"), "{written}");
        for line in ["a line that is wider", "  than the terminal"] {
            assert!(written.contains(line), "{written}");
        }
    }
}
