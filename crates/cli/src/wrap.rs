//! Breaks lines at words, so that nothing is cut off where a terminal ends.

/// Breaks a text into lines of at most `columns`; those that continue are indented, below the
/// second column of [`crate::view::labelled`] when there is room. Colours go on in the next line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let indent = if columns >= INDENT * 3 { INDENT } else { 2 };
    let indent = indent.min(columns.saturating_sub(1));
    let mut lines = Vec::new();
    let mut line = Line::default();
    for (at, word) in text.split(' ').enumerate() {
        let width = width(word);
        if at > 0 && line.width + 1 + width > columns && !line.is_empty() {
            lines.push(line.next(indent));
        } else if at > 0 {
            line.put(" ", 1);
        }
        if line.width + width <= columns {
            line.put(word, width);
            continue;
        }
        // A word that fits in no line, such as a long path.
        for piece in pieces(word) {
            let width = self::width(piece);
            if line.width + width > columns {
                lines.push(line.next(indent));
            }
            line.put(piece, width);
        }
    }
    lines.push(line.text);
    lines
}

#[derive(Debug, Default)]
struct Line {
    text: String,
    width: usize,
    /// What the colours were switched to, until they are switched off.
    colour: String,
    /// Columns of the indent.
    indent: usize,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.width == self.indent
    }

    fn put(&mut self, text: &str, width: usize) {
        for piece in pieces(text).filter(|piece| piece.starts_with(ESCAPE)) {
            if piece == OFF {
                self.colour.clear();
            } else {
                self.colour.push_str(piece);
            }
        }
        self.text.push_str(text);
        self.width += width;
    }

    /// Ends the line and begins the next one.
    fn next(&mut self, indent: usize) -> String {
        let text = format!("{}{}", " ".repeat(indent), self.colour);
        let mut ended = std::mem::replace(&mut self.text, text);
        ended.truncate(ended.trim_end_matches(' ').len());
        if !self.colour.is_empty() {
            ended.push_str(OFF);
        }
        self.width = indent;
        self.indent = indent;
        ended
    }
}

/// The columns a text takes: every character one, what switches colours none.
fn width(text: &str) -> usize {
    pieces(text).filter(|piece| !piece.starts_with(ESCAPE)).count()
}

/// Characters, and whole sequences that switch colours.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let sequence = rest.find(ESCAPE_END).filter(|_| first == ESCAPE);
        let end = sequence.map_or_else(|| first.len_utf8(), |at| at + ESCAPE_END.len_utf8());
        let (piece, left) = rest.split_at(end);
        rest = left;
        Some(piece)
    })
}

/// Width of the first column of `labelled`.
const INDENT: usize = 14;
const ESCAPE: char = '\x1b';
const ESCAPE_END: char = 'm';
const OFF: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_keep_their_colours() {
        let check = |text: &str, columns: usize, expected: &[&str]| {
            assert_eq!(wrap(text, columns), expected, "{text}");
        };
        check("", 10, &[""]);
        check("one two", 10, &["one two"]);
        check("one two", 7, &["one two"]);
        check("one two", 6, &["one", "  two"]);
        check("one two three four", 10, &["one two", "  three", "  four"]);
        check(
            "fleet         a b c d e f g h i j k l m n o",
            42,
            &["fleet         a b c d e f g h i j k l m n", "              o"],
        );
        check("abcdefghij", 6, &["abcdef", "  ghij"]);
        check("a bcdefghijk", 6, &["a", "  bcde", "  fghi", "  jk"]);
        check("\x1b[1mone two\x1b[0m three", 7, &["\x1b[1mone two\x1b[0m", "  three"]);
        check("\x1b[1mone two\x1b[0m", 5, &["\x1b[1mone\x1b[0m", "  \x1b[1mtwo\x1b[0m"]);
        check("██░ ░░", 4, &["██░", "  ░░"]);
    }

    #[test]
    fn no_line_is_wider_and_no_word_is_lost() {
        let text =
            "decision      09:41:12 Speed up from 4 to 8: improved response time 3.1 → 2.0 ms";
        for columns in 1..100 {
            let lines = wrap(text, columns);
            assert!(lines.iter().all(|line| width(line) <= columns.max(2)), "{columns} {lines:?}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text), "{columns}");
        }
    }
}
