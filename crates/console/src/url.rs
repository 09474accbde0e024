//! Addresses within the console.

use std::fmt::Write;

/// A path with a query of the pairs that have a value.
pub(crate) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        url.push(mark);
        mark = '&';
        url.push_str(name);
        url.push('=');
        encode(value, &mut url);
    }
    url
}

/// Percent-encodes every byte but the unreserved characters (RFC 3986 §2.3).
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_leave_out_what_is_empty() {
        for (pairs, url) in [
            (&[][..], "/devices"),
            (&[("q", ""), ("model", "A / B&C")][..], "/devices?model=A%20%2F%20B%26C"),
            (&[("q", "x"), ("after", "dev-9")][..], "/devices?q=x&after=dev-9"),
        ] {
            assert_eq!(with_query("/devices", pairs), url);
        }
    }
}
