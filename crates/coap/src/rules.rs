use crate::message::MessageView;
use crate::option::{OptionNumber, Options};

/// Says why the options of a message are not acceptable (RFC 7252 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A critical option is unknown, has an invalid value or is repeated.
    BadOption(OptionNumber),
    /// The request is meant for a proxy.
    Proxying,
}

/// Copies the options of a message, without elective ones that are to be ignored.
///
/// An option of invalid length and the second of a kind that may come once count as unknown
/// (RFC 7252 sections 5.4.3 and 5.4.5): they are dropped when elective, and a reason to reject the
/// message when critical (section 5.4.1).
pub(crate) fn check_options(message: &MessageView<'_>) -> Result<Options, Rejection> {
    if acceptable(message) {
        return Ok(message.to_options());
    }
    let mut options = Options::new();
    let mut previous = None;
    for (number, value) in message.options() {
        if matches!(number, OptionNumber::PROXY_URI | OptionNumber::PROXY_SCHEME) {
            return Err(Rejection::Proxying);
        }
        if is_valid(number, value, previous == Some(number)) {
            options.push_last(number, value);
        } else if number.is_critical() {
            return Err(Rejection::BadOption(number));
        }
        previous = Some(number);
    }
    Ok(options)
}

/// Tells whether nothing has to be left out, as in almost every message.
fn acceptable(message: &MessageView<'_>) -> bool {
    let mut previous = None;
    message.options().all(|(number, value)| {
        let repeated = previous.replace(number) == Some(number);
        is_valid(number, value, repeated)
    })
}

fn is_valid(number: OptionNumber, value: &[u8], repeated: bool) -> bool {
    let Some(rule) = rule(number) else {
        // Unknown elective options are passed on: an application may know them.
        return !number.is_critical();
    };
    (rule.shortest..=rule.longest).contains(&value.len())
        && (rule.repeatable || !repeated)
        && (!rule.text || std::str::from_utf8(value).is_ok())
}

/// Says what values an option may have.
struct Rule {
    shortest: usize,
    longest: usize,
    repeatable: bool,
    text: bool,
}

/// Returns the rule of an option that is understood (RFC 7252 table 4, RFC 7641 section 2,
/// RFC 7959 section 2.1, RFC 9175 sections 2.2.1 and 3.2.1).
const fn rule(number: OptionNumber) -> Option<Rule> {
    let (shortest, longest, repeatable, text) = match number {
        OptionNumber::IF_MATCH => (0, 8, true, false),
        OptionNumber::URI_HOST => (1, 255, false, true),
        OptionNumber::ETAG => (1, 8, true, false),
        OptionNumber::IF_NONE_MATCH => (0, 0, false, false),
        OptionNumber::OBSERVE => (0, 3, false, false),
        OptionNumber::URI_PORT => (0, 2, false, false),
        OptionNumber::LOCATION_PATH
        | OptionNumber::URI_PATH
        | OptionNumber::URI_QUERY
        | OptionNumber::LOCATION_QUERY => (0, 255, true, true),
        OptionNumber::CONTENT_FORMAT | OptionNumber::ACCEPT => (0, 2, false, false),
        OptionNumber::MAX_AGE | OptionNumber::SIZE1 | OptionNumber::SIZE2 => (0, 4, false, false),
        OptionNumber::BLOCK1 | OptionNumber::BLOCK2 => (0, 3, false, false),
        OptionNumber::ECHO => (1, 40, false, false),
        OptionNumber::REQUEST_TAG => (0, 8, true, false),
        _ => return None,
    };
    Some(Rule { shortest, longest, repeatable, text })
}
