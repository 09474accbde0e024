//! Rust source without its comments and texts.

/// Blanks the comments and the contents of text literals, keeps every line where it is: what is
/// left is code, so that a rule about code does not trip over words about it.
#[must_use]
pub fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (kept, blanked) = match first {
            '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (0, block_comment(rest)),
            '"' => (1, text(rest)),
            'r' if !follows_word(&code) => (0, raw_text(rest)),
            '\'' => (0, character(rest)),
            _ => (0, 0),
        };
        let length = blanked.max(kept).max(first.len_utf8());
        let (token, tail) = rest.split_at(length);
        if blanked == 0 {
            code.push_str(token);
        } else {
            code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = tail;
    }
    code
}

/// Whether the code so far ends inside a word, so that an `r` begins no raw text.
fn follows_word(code: &str) -> bool {
    // `br"…"` is a raw text too.
    let code = code.strip_suffix('b').unwrap_or(code);
    code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Length of the comment at the start; comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of the text literal at the start.
fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// Length of the raw text literal at the start; 0 when it is none.
fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let open = hashes + 2;
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len())
}

/// Length of the character literal at the start; 0 when it is a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        // After the backslash comes at least one character, which may be a quote.
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| 3 + at + 1),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares after dropping white space, but not line breaks.
    fn check(source: &str, expected: &str) {
        let code: String = code_only(source).chars().filter(|c| *c != ' ').collect();
        assert_eq!(code, expected, "{source}");
    }

    #[test]
    fn only_code_is_left() {
        check("a // b\nc", "a\nc");
        check("a /* b /* c */ d */ e", "ae");
        check("a(\"b // c\", d)", "a(,d)");
        check(r#"a("b \" c", d)"#, "a(,d)");
        check(r#"a("b \\", d)"#, "a(,d)");
        check("a(r#\"b \" c\"#, d)", "a(,d)");
        check("a(br\"b\", d)", "a(b,d)");
        check("bar\"b\"", "bar");
        check("a('\"', '\\'', '\\u{7f}', b)", "a(,,,b)");
        check("fn a<'b>(c: &'b str) {}", "fna<'b>(c:&'bstr){}");
        check("\"a\nb\" c", "\nc");
        check("r#type + r", "r#type+r");
    }
}
