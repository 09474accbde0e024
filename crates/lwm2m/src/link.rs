//! Links in the format of RFC 6690, as registrations and Discover carry them.

use std::fmt;

use thiserror::Error;

/// Is one link: a target in angle brackets and its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreLink {
    /// What stands between the brackets, usually a path.
    pub target: String,
    /// Names and values in the order of the text; quotes are taken off. A name may occur twice.
    pub attributes: Vec<(String, Option<String>)>,
}

impl CoreLink {
    /// Returns the first value of an attribute; absent without the attribute, or without a value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let named = self.attributes.iter().filter(|(attribute, _)| attribute == name);
        named.filter_map(|(_, value)| value.as_deref()).next()
    }

    /// Returns the values of all attributes with this name.
    pub fn attributes_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |(attribute, _)| attribute == name)
            .filter_map(|(_, value)| value.as_deref())
    }
}

impl fmt::Display for CoreLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.target)?;
        for (name, value) in &self.attributes {
            match value {
                None => write!(f, ";{name}")?,
                Some(value) if is_token(value) => write!(f, ";{name}={value}")?,
                Some(value) => {
                    write!(f, ";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?;
                }
            }
        }
        Ok(())
    }
}

/// Bounds a text of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// Longest text, in bytes. The parsed links cost up to about fifty times as much.
    pub bytes_max: usize,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self { bytes_max: 64 * 1024 }
    }
}

/// Says why a text is not a list of links; the fault is with the peer that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// The text is longer than the limit.
    #[error("the links have {bytes} bytes, and at most {bytes_max} are accepted")]
    TooLong {
        /// The text's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the links are not UTF-8")]
    NotText,
    /// A link does not start with `<`, or has no `>`.
    #[error("a link has its target between < and >")]
    NoTarget,
    /// A quoted value has no end.
    #[error("a quoted value has no closing quote")]
    OpenQuote,
    /// Something else than an attribute or the next link follows a link.
    #[error("a link is followed by neither ';' nor ','")]
    Stray,
}

/// Reads links, with the default limits.
///
/// It is lenient where devices are: attributes repeat, lack a value or a name known here, values
/// are quoted or not, spaces and empty items stand between.
///
/// # Errors
/// See [`LinkError`].
pub fn parse_links(text: &str) -> Result<Vec<CoreLink>, LinkError> {
    parse_links_within(&LinkLimits::default(), text)
}

/// Reads links as [`parse_links`] does, with limits of the caller.
///
/// # Errors
/// See [`LinkError`].
pub fn parse_links_within(limits: &LinkLimits, text: &str) -> Result<Vec<CoreLink>, LinkError> {
    if text.len() > limits.bytes_max {
        return Err(LinkError::TooLong { bytes: text.len(), bytes_max: limits.bytes_max });
    }
    let mut links = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        links.push(link(&mut rest)?);
    }
    Ok(links)
}

fn link(rest: &mut &str) -> Result<CoreLink, LinkError> {
    let inside = rest.strip_prefix('<').ok_or(LinkError::NoTarget)?;
    let (target, after) = inside.split_once('>').ok_or(LinkError::NoTarget)?;
    *rest = after.trim_start();
    let mut attributes = Vec::new();
    while let Some(after) = rest.strip_prefix(';') {
        *rest = after.trim_start();
        attributes.extend(attribute(rest)?);
        *rest = rest.trim_start();
    }
    if rest.is_empty() || rest.starts_with(',') {
        Ok(CoreLink { target: target.to_owned(), attributes })
    } else {
        Err(LinkError::Stray)
    }
}

/// Reads one attribute; none between two semicolons.
fn attribute(rest: &mut &str) -> Result<Option<(String, Option<String>)>, LinkError> {
    let end = rest.find([';', ',', '=']).unwrap_or(rest.len());
    let name = rest[..end].trim().to_owned();
    *rest = &rest[end..];
    let Some(after) = rest.strip_prefix('=') else {
        return Ok((!name.is_empty()).then_some((name, None)));
    };
    *rest = after.trim_start();
    let value = match rest.strip_prefix('"') {
        Some(quoted) => {
            let (value, after) = unquote(quoted)?;
            *rest = after;
            value
        }
        None => {
            let end = rest.find([';', ',']).unwrap_or(rest.len());
            let value = rest[..end].trim_end().to_owned();
            *rest = &rest[end..];
            value
        }
    };
    Ok((!name.is_empty()).then_some((name, Some(value))))
}

/// Reads a quoted value and what follows it; a backslash takes the next character as it is.
fn unquote(quoted: &str) -> Result<(String, &str), LinkError> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            plain => value.push(plain),
        }
    }
    Err(LinkError::OpenQuote)
}

fn is_token(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/:+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(target: &str, attributes: &[(&str, Option<&str>)]) -> CoreLink {
        CoreLink {
            target: target.into(),
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
        }
    }

    /// RFC 6690, section 2, and what devices write.
    #[test]
    fn shapes() {
        let check = |text: &str, expected: &[CoreLink]| {
            assert_eq!(parse_links(text).as_deref(), Ok(expected), "{text}");
        };
        check("", &[]);
        check("</3/0>,</4/0>", &[link("/3/0", &[]), link("/4/0", &[])]);
        check("</1>;ver=1.1 , </1/0>,", &[link("/1", &[("ver", Some("1.1"))]), link("/1/0", &[])]);
        check(
            r#"</>;rt="oma.lwm2m";ct=110"#,
            &[link("/", &[("rt", Some("oma.lwm2m")), ("ct", Some("110"))])],
        );
        check(
            "</>;ct=11543;hb,</3>",
            &[link("/", &[("ct", Some("11543")), ("hb", None)]), link("/3", &[])],
        );
        check("</>;ct=110;ct=112", &[link("/", &[("ct", Some("110")), ("ct", Some("112"))])]);
        check(
            r#"</a>;t="x,y;z\"<w>",</b>"#,
            &[link("/a", &[("t", Some(r#"x,y;z"<w>"#))]), link("/b", &[])],
        );
        check("</a>;;a=;=b;c = d", &[link("/a", &[("a", Some("")), ("c", Some("d"))])]);
        check(
            "</3/0/9>;pmin=1;gt=2.5",
            &[link("/3/0/9", &[("pmin", Some("1")), ("gt", Some("2.5"))])],
        );
        check("</a,b>", &[link("/a,b", &[])]);
        check("<>", &[link("", &[])]);
    }

    #[test]
    fn refused() {
        let check = |text: &str, expected: LinkError| {
            assert_eq!(parse_links(text), Err(expected), "{text}");
        };
        check("/3/0", LinkError::NoTarget);
        check("</3/0", LinkError::NoTarget);
        check("</3/0></4/0>", LinkError::Stray);
        check("</3/0>x", LinkError::Stray);
        check(r#"</3/0>;a="b"#, LinkError::OpenQuote);
        check(r#"</3/0>;a="b\"#, LinkError::OpenQuote);
        check(r#"</3/0>;a="b"c"#, LinkError::Stray);
        let limits = LinkLimits { bytes_max: 3 };
        let expected = LinkError::TooLong { bytes: 4, bytes_max: 3 };
        assert_eq!(parse_links_within(&limits, "</3>"), Err(expected));
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in r#"([<>;,="\\/ a0é]|rt|ver){0,60}"#) {
            let _ = parse_links(&text);
        }

        #[test]
        fn display_parses_back(
            target in "[^>]{0,10}",
            attributes in prop::collection::vec(("[a-z]{1,4}", prop::option::of(r#"[ -~é]{0,8}"#)), 0..5),
        ) {
            let link = CoreLink { target, attributes };
            let text = format!("{link},{link}");
            prop_assert_eq!(parse_links(&text), Ok(vec![link.clone(), link]));
        }
    }
}
