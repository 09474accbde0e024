//! Base64 (RFC 4648) in both alphabets.

/// Says which of the two alphabets to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// With `+` and `/`, padded: plain text and LwM2M JSON.
    Standard,
    /// With `-` and `_`, not padded: SenML (RFC 8428, section 4.3).
    Url,
}

/// Writes bytes as text.
pub(super) fn encode(bytes: &[u8], alphabet: Alphabet) -> String {
    let (last_two, padded) = match alphabet {
        Alphabet::Standard => (b"+/", true),
        Alphabet::Url => (b"-_", false),
    };
    let symbol = |index: u8| match index & 63 {
        index @ 0..=25 => char::from(b'A' + index),
        index @ 26..=51 => char::from(b'a' + index - 26),
        index @ 52..=61 => char::from(b'0' + index - 52),
        62 => char::from(last_two[0]),
        _ => char::from(last_two[1]),
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        text.push(symbol(at(0) >> 2));
        text.push(symbol(at(0) << 4 | at(1) >> 4));
        if chunk.len() > 1 {
            text.push(symbol(at(1) << 2 | at(2) >> 6));
        }
        if chunk.len() > 2 {
            text.push(symbol(at(2)));
        }
        if padded {
            text.extend(std::iter::repeat_n('=', 3 - chunk.len()));
        }
    }
    text
}

/// Reads text of either alphabet, padded or not; absent when it is not base64.
///
/// Devices mix the alphabets up, and no text means two things in them.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let symbols = text.trim_end_matches('=');
    let padding = text.len() - symbols.len();
    let padded_well = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    if !padded_well || symbols.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(symbols.len() / 4 * 3 + 2);
    for chunk in symbols.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for &symbol in chunk {
            bits = bits << 6 | u32::from(index(symbol)?);
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, first, second, third] = bits.to_be_bytes();
        bytes.extend(&[first, second, third][..chunk.len() - 1]);
    }
    Some(bytes)
}

const fn index(symbol: u8) -> Option<u8> {
    match symbol {
        b'A'..=b'Z' => Some(symbol - b'A'),
        b'a'..=b'z' => Some(symbol - b'a' + 26),
        b'0'..=b'9' => Some(symbol - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn vectors() {
        let check = |bytes: &[u8], text: &str| {
            assert_eq!(encode(bytes, Alphabet::Standard), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
            assert_eq!(encode(bytes, Alphabet::Url), text.trim_end_matches('='));
            assert_eq!(decode(text.trim_end_matches('=')).as_deref(), Some(bytes));
        };
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(b"foob", "Zm9vYg==");
        check(b"fooba", "Zm9vYmE=");
        check(b"foobar", "Zm9vYmFy");
        assert_eq!(encode(&[0xfb, 0xff], Alphabet::Standard), "+/8=");
        assert_eq!(encode(&[0xfb, 0xff], Alphabet::Url), "-_8");
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
    }

    #[test]
    fn refused() {
        for text in ["Z", "Zg=", "Zg===", "Z===", "Zm9v====", "Zm 9v", "Zé==", "====", "=Zg="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_back(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            for alphabet in [Alphabet::Standard, Alphabet::Url] {
                prop_assert_eq!(decode(&encode(&bytes, alphabet)), Some(bytes.clone()));
            }
        }

        #[test]
        fn any_text_is_safe(text in ".{0,40}") {
            let _ = decode(&text);
        }
    }
}
