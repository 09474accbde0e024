use std::fmt;

/// Names an option by its number (RFC 7252 section 5.10 and the registry it starts).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(pub u16);

impl OptionNumber {
    /// Tells whether a receiver that does not know the option must refuse the message
    /// (RFC 7252 section 5.4.1: odd numbers).
    #[must_use]
    pub const fn is_critical(self) -> bool {
        self.0 & 1 == 1
    }
}

macro_rules! options {
    ($($name:ident $number:literal $text:literal;)*) => {
        impl OptionNumber {
            $(
                #[doc = concat!($text, " (", $number, ").")]
                pub const $name: Self = Self($number);
            )*

            /// Returns the name the specifications give this option, or `None` for an unknown one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

// RFC 7252 section 12.2, RFC 7641, RFC 7959, RFC 8613, RFC 9175.
options! {
    IF_MATCH 1 "If-Match";
    URI_HOST 3 "Uri-Host";
    ETAG 4 "ETag";
    IF_NONE_MATCH 5 "If-None-Match";
    OBSERVE 6 "Observe";
    URI_PORT 7 "Uri-Port";
    LOCATION_PATH 8 "Location-Path";
    OSCORE 9 "OSCORE";
    URI_PATH 11 "Uri-Path";
    CONTENT_FORMAT 12 "Content-Format";
    MAX_AGE 14 "Max-Age";
    URI_QUERY 15 "Uri-Query";
    ACCEPT 17 "Accept";
    LOCATION_QUERY 20 "Location-Query";
    BLOCK2 23 "Block2";
    BLOCK1 27 "Block1";
    SIZE2 28 "Size2";
    PROXY_URI 35 "Proxy-Uri";
    PROXY_SCHEME 39 "Proxy-Scheme";
    SIZE1 60 "Size1";
    ECHO 252 "Echo";
    REQUEST_TAG 292 "Request-Tag";
}

impl fmt::Display for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "option {}", self.0),
        }
    }
}

impl fmt::Debug for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Holds the options of a message, ordered by number; equal numbers keep the order of insertion.
///
/// All options share one buffer, so a message costs one allocation for its options however many
/// it has.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Options {
    /// Records of number (2 bytes), length of the value (2 bytes) and value, by rising number.
    records: Vec<u8>,
}

impl Options {
    /// Returns options without any entry; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { records: Vec::new() }
    }

    /// Tells whether there is no option.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the number of options.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Adds an option after those of lower or equal number.
    ///
    /// No datagram carries a value of more than 65,535 bytes; a longer one is cut there.
    pub fn push(&mut self, number: OptionNumber, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let value = &value[..usize::from(length)];
        let mut iter = self.iter();
        let mut position = 0;
        while let Some((existing, _)) = iter.next() {
            if existing > number {
                break;
            }
            position = self.records.len() - iter.rest.len();
        }
        let record = number.0.to_be_bytes().into_iter().chain(length.to_be_bytes());
        let record = record.chain(value.iter().copied());
        if position == self.records.len() {
            self.records.extend(record);
        } else {
            self.records.splice(position..position, record);
        }
    }

    /// Adds an option whose value is an unsigned integer, in its shortest form
    /// (RFC 7252 section 3.2).
    pub fn push_uint(&mut self, number: OptionNumber, value: u32) {
        let bytes = value.to_be_bytes();
        let leading = value.leading_zeros() as usize / 8;
        self.push(number, &bytes[leading..]);
    }

    /// Replaces all options of this number by one unsigned integer.
    pub fn set_uint(&mut self, number: OptionNumber, value: u32) {
        self.remove(number);
        self.push_uint(number, value);
    }

    /// Returns the options in the order they go on the wire.
    #[must_use]
    pub fn iter(&self) -> OptionsIter<'_> {
        OptionsIter { rest: &self.records }
    }

    /// Returns the first value of an option.
    #[must_use]
    pub fn first(&self, number: OptionNumber) -> Option<&[u8]> {
        self.all(number).next()
    }

    /// Returns the first value of an option read as an unsigned integer; `None` when the option
    /// is missing or has more than 4 bytes after leading zeros.
    #[must_use]
    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        self.first(number).and_then(decode_uint)
    }

    /// Returns all values of an option in order.
    pub fn all(&self, number: OptionNumber) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .skip_while(move |(existing, _)| *existing < number)
            .take_while(move |(existing, _)| *existing == number)
            .map(|(_, value)| value)
    }

    /// Returns all values of a text option in order, without those that are not UTF-8.
    pub fn texts(&self, number: OptionNumber) -> impl Iterator<Item = &str> {
        self.all(number).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Tells whether the option is present.
    #[must_use]
    pub fn contains(&self, number: OptionNumber) -> bool {
        self.first(number).is_some()
    }

    /// Removes all values of an option and tells whether there was one.
    pub fn remove(&mut self, number: OptionNumber) -> bool {
        let mut iter = self.iter();
        let mut start = 0;
        let mut end = 0;
        while let Some((existing, _)) = iter.next() {
            let after = self.records.len() - iter.rest.len();
            if existing < number {
                start = after;
            } else if existing > number {
                break;
            }
            end = after;
        }
        self.records.drain(start..end);
        start != end
    }

    /// Returns the Content-Format of the payload, or `None` when it is missing or too long.
    #[must_use]
    pub fn content_format(&self) -> Option<u16> {
        self.uint(OptionNumber::CONTENT_FORMAT).and_then(|value| u16::try_from(value).ok())
    }

    /// Returns the Content-Format the client accepts, or `None` when it is missing or too long.
    #[must_use]
    pub fn accept(&self) -> Option<u16> {
        self.uint(OptionNumber::ACCEPT).and_then(|value| u16::try_from(value).ok())
    }

    /// Returns the value of Observe: 0 or 1 in a request, a sequence number in a response
    /// (RFC 7641 section 2).
    #[must_use]
    pub fn observe(&self) -> Option<u32> {
        self.uint(OptionNumber::OBSERVE)
    }

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { records: Vec::with_capacity(bytes) }
    }

    /// Adds an option whose number is known to be no lower than all others, and whose value to be
    /// no longer than 65,535 bytes; saves the search for its place.
    pub(crate) fn push_last(&mut self, number: OptionNumber, value: &[u8]) {
        self.records.extend_from_slice(&number.0.to_be_bytes());
        self.records.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.records.extend_from_slice(value);
    }

    /// Returns an upper bound of the length of the encoded options.
    pub(crate) fn encoded_bytes_max(&self) -> usize {
        // A record costs 4 bytes here and at most 5 on the wire.
        self.records.len() + self.records.len() / 4
    }
}

impl<'a> IntoIterator for &'a Options {
    type Item = (OptionNumber, &'a [u8]);
    type IntoIter = OptionsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> FromIterator<(OptionNumber, &'a [u8])> for Options {
    fn from_iter<I: IntoIterator<Item = (OptionNumber, &'a [u8])>>(iter: I) -> Self {
        let mut options = Self::new();
        for (number, value) in iter {
            options.push(number, value);
        }
        options
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(number, value)| (number, OptionText(value))))
            .finish()
    }
}

/// Walks through [`Options`] in the order they go on the wire.
#[derive(Clone, Debug)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = (OptionNumber, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = self.rest.split_first_chunk::<4>()?;
        let number = OptionNumber(u16::from_be_bytes([header[0], header[1]]));
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (value, rest) = rest.split_at(length);
        self.rest = rest;
        Some((number, value))
    }
}

/// Reads an unsigned integer of any length; leading zeros are allowed (RFC 7252 section 3.2).
pub(crate) fn decode_uint(value: &[u8]) -> Option<u32> {
    let start = value.iter().position(|byte| *byte != 0).unwrap_or(value.len());
    let significant = &value[start..];
    if significant.len() > 4 {
        return None;
    }
    Some(significant.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

struct OptionText<'a>(&'a [u8]);

impl fmt::Debug for OptionText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
