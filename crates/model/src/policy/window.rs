//! Maintenance windows: when devices may be changed, by the clock where they stand.
//!
//! A clock is UTC and an offset in minutes, nothing more: what offset holds at which season is
//! told by the device, and no calendar of time zones is kept here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Time;

/// `[[window]]`: devices may be changed on these days between these times of their own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Days on which it opens; none means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes; on the next day when this is not after `from`.
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Weekday {
    /// The week from Monday on.
    const ALL: [Self; 7] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];
}

/// A time of day in whole minutes, `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let two = |digits: &str| {
            (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse::<u16>().ok())
                .flatten()
        };
        let parts =
            text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
        match parts {
            Some((hour @ 0..=23, minute @ 0..=59)) => Ok(Self(hour * 60 + minute)),
            Some((24, 0)) => Ok(Self(24 * 60)),
            _ => Err(format!(
                "`{text}` is not a time of day; write hours and minutes, `00:00` to `24:00`"
            )),
        }
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

/// Whether devices may be changed now, and until when that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// They may; until then, or for ever.
    Open(Option<Time>),
    /// They may not; they may from then on.
    Closed(Time),
}

impl Opening {
    /// When it changes next.
    #[must_use]
    pub const fn changes_at(self) -> Option<Time> {
        match self {
            Self::Open(until) => until,
            Self::Closed(opens) => Some(opens),
        }
    }
}

/// Whether one of the windows is open at that time on a clock that is so many minutes ahead of
/// UTC. Without any window devices may be changed at all times.
#[must_use]
pub fn opening(windows: &[Window], utc_offset_minutes: i32, now: Time) -> Opening {
    if windows.is_empty() {
        return Opening::Open(None);
    }
    let local = i128::from(now.as_micros()) + i128::from(utc_offset_minutes) * i128::from(MINUTE);
    // 1970-01-01 was a Thursday, three days into its week.
    let of_week = (local + i128::from(3 * DAY)).rem_euclid(i128::from(WEEK));
    let of_week = u64::try_from(of_week).unwrap_or_default();
    let spans: Vec<(u64, u64)> = windows.iter().flat_map(Window::spans).collect();
    // How long it stays open from a moment of the week on, by the windows open then.
    let open_for = |at: u64| {
        let into = |start: u64| (at + WEEK - start) % WEEK;
        spans
            .iter()
            .filter(|(start, length)| into(*start) < *length)
            .map(|(start, length)| length - into(*start))
            .max()
    };
    let mut open = 0;
    while let Some(more) = open_for((of_week + open) % WEEK) {
        open += more;
        if open >= WEEK {
            return Opening::Open(None);
        }
    }
    if open > 0 {
        return Opening::Open(Some(Time::from_micros(now.as_micros() + open)));
    }
    let wait = spans.iter().map(|(start, _)| (start + WEEK - of_week) % WEEK).min();
    Opening::Closed(Time::from_micros(now.as_micros() + wait.unwrap_or(WEEK)))
}

impl Window {
    /// What is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let (from, to) = (self.from, self.to);
        if from.minutes() == MINUTES_OF_DAY {
            return Some("`window.from` is 24:00; write 00:00 and the next day".to_owned());
        }
        if from == to || to.minutes() == 0 && from.minutes() == 0 {
            return Some(format!(
                "`window.from` and `window.to` are both {from}; for a whole day write \
                 from = \"00:00\" and to = \"24:00\""
            ));
        }
        let mut days = self.days.clone();
        days.sort_unstable();
        days.dedup();
        (days.len() < self.days.len())
            .then(|| "`window.days` names a day twice; name each once".to_owned())
    }

    /// Start in its week and length, in microseconds, for each of its days.
    fn spans(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (from, to) = (u64::from(self.from.minutes()), u64::from(self.to.minutes()));
        let length = if to > from { to - from } else { to + u64::from(MINUTES_OF_DAY) - from };
        let days = if self.days.is_empty() { &Weekday::ALL[..] } else { &self.days[..] };
        days.iter().map(move |day| (*day as u64 * DAY + from * MINUTE, length * MINUTE))
    }
}

impl fmt::Display for Window {
    /// As it is read by people, e.g. `mon sat 01:00-04:30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for day in &self.days {
            let name = format!("{day:?}").to_lowercase();
            write!(f, "{name} ")?;
        }
        write!(f, "{}-{}", self.from, self.to)
    }
}

const MINUTES_OF_DAY: u16 = 24 * 60;
const MINUTE: u64 = 60_000_000;
const DAY: u64 = 1_440 * MINUTE;
const WEEK: u64 = 7 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows as `days from-to`, joined by `;`. The moment is minutes into Monday, 2026-11-23.
    fn check(windows: &str, offset: i32, minute: i64, expected: &str) {
        let windows: Vec<Window> = windows.split(';').map(window).collect();
        // 2026-11-23T00:00:00Z.
        let monday: i64 = 1_795_392_000;
        let at = |minutes: i64| {
            Time::from_secs(u64::try_from(monday + minutes * 60).expect("after 1970"))
        };
        let found = match opening(&windows, offset, at(minute)) {
            Opening::Open(None) => "always".to_owned(),
            Opening::Open(Some(until)) => format!("open until {until}"),
            Opening::Closed(opens) => format!("opens {opens}"),
        };
        let short = found.replace("2026-", "").replace(":00.000Z", "");
        assert_eq!(short, expected, "{windows:?} {offset} {minute}");
    }

    fn window(text: &str) -> Window {
        let (days, times) = text.trim().rsplit_once(' ').unwrap_or_else(|| ("", text.trim()));
        let (from, to) = times.split_once('-').unwrap();
        let days: Vec<String> = days.split_whitespace().map(|day| format!("\"{day}\"")).collect();
        let toml = format!("days = [{}]\nfrom = \"{from}\"\nto = \"{to}\"", days.join(","));
        toml::from_str(&toml).unwrap()
    }

    #[test]
    fn windows_open_and_close_by_the_clock_of_the_device() {
        const H: i64 = 60;
        check("01:00-04:30", 0, 0, "opens 11-23T01:00");
        check("01:00-04:30", 0, H - 1, "opens 11-23T01:00");
        check("01:00-04:30", 0, H, "open until 11-23T04:30");
        check("01:00-04:30", 0, 4 * H + 29, "open until 11-23T04:30");
        check("01:00-04:30", 0, 4 * H + 30, "opens 11-24T01:00");
        // Offsets move it, also over the edge of a day and of the week.
        check("01:00-04:30", 60, 0, "open until 11-23T03:30");
        check("01:00-04:30", -300, 0, "opens 11-23T06:00");
        check("01:00-04:30", 330, 0, "opens 11-23T19:30");
        check("mon 01:00-04:30", 840, 0, "opens 11-29T11:00");
        check("sun 20:00-23:00", -840, H, "opens 11-23T10:00");
        check("sun 00:00-24:00", -120, 0, "open until 11-23T02:00");
        // Days.
        check("sat sun 01:00-05:00", 0, 0, "opens 11-28T01:00");
        check("sat sun 01:00-05:00", 0, 5 * 1_440 + 2 * H, "open until 11-28T05:00");
        check("mon 01:00-04:30", 0, 5 * H, "opens 11-30T01:00");
        // Over midnight, also from Sunday to Monday.
        check("22:00-02:00", 0, H, "open until 11-23T02:00");
        check("22:00-02:00", 0, 23 * H, "open until 11-24T02:00");
        check("sun 22:00-02:00", 0, H, "open until 11-23T02:00");
        check("sun 22:00-02:00", 0, 3 * H, "opens 11-29T22:00");
        check("mon 22:00-02:00", 0, H, "opens 11-23T22:00");
        // Windows that touch or overlap are one; those that fill the week never close.
        check("01:00-02:00; 02:00-03:00", 0, H, "open until 11-23T03:00");
        check("01:00-02:30; 02:00-03:00", 0, H, "open until 11-23T03:00");
        check("mon 00:00-24:00; tue 00:00-06:00", 0, 0, "open until 11-24T06:00");
        check("00:00-24:00", 0, 77, "always");
        check("12:00-00:00; 00:00-12:00", 90, 77, "always");
        check("sat 01:00-02:00; wed 10:00-11:00", 0, 0, "opens 11-25T10:00");
        // Seconds count: it opens on the minute.
        let half = Time::from_micros(1_795_392_000_000_000 + 1_500_000);
        let opens = opening(&[window("00:01-00:02")], 0, half);
        assert_eq!(opens, Opening::Closed(Time::from_secs(1_795_392_060)));
    }

    #[test]
    fn without_windows_everything_is_open() {
        assert_eq!(opening(&[], 0, Time::ZERO), Opening::Open(None));
        assert_eq!(opening(&[], 0, Time::ZERO).changes_at(), None);
    }

    #[test]
    fn what_is_no_time_or_window_is_refused() {
        for text in ["1:00", "25:00", "24:01", "12:60", "noon", "", "12", "12:0x", "+1:00"] {
            assert!(TimeOfDay::try_from(text.to_owned()).is_err(), "{text}");
        }
        for (text, part) in [
            ("01:00-01:00", "whole day"),
            ("24:00-01:00", "write 00:00"),
            ("mon mon 01:00-02:00", "twice"),
        ] {
            let problem = window(text).problem();
            assert!(problem.as_ref().is_some_and(|words| words.contains(part)), "{problem:?}");
        }
        assert_eq!(window("sat sun 01:00-05:00").problem(), None);
        assert_eq!(window("mon 22:00-02:00").to_string(), "mon 22:00-02:00");
    }

    #[test]
    fn a_policy_says_when_and_where_and_keeps_its_older_form() {
        let policy = |text: &str| crate::Policy::from_toml(text);
        for (text, part) in [
            ("utc_offset_minutes = 841", "-840 to 840"),
            ("spread = { by = \"site\", devices_max = 0 }", "at least one"),
            ("spread = { by = \"gateway\", devices_max = 1 }", "`site`"),
            ("[[window]]\nfrom = \"01:00\"\nto = \"01:00\"", "whole day"),
            ("[[window]]\nfrom = \"1 am\"\nto = \"04:00\"", "not a time of day"),
            ("[[window]]\ndays = [\"monday\"]\nfrom = \"01:00\"\nto = \"02:00\"", "`mon`"),
            ("[[window]]\nfrom = \"01:00\"\nuntil = \"04:00\"", "unknown field `until`"),
            ("consent = \"asked\"", "`required`"),
        ] {
            let error = policy(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let many = "[[window]]\nfrom = \"01:00\"\nto = \"02:00\"\n".repeat(33);
        assert!(policy(&many).unwrap_err().contains("at most 32"));
        // What does not use the keys is stored as before, and what was stored before is read.
        let plain = serde_json::to_string(&crate::Policy::default()).unwrap();
        for key in ["window", "utc_offset_minutes", "spread", "consent"] {
            assert!(!plain.contains(&format!("\"{key}\"")), "{plain}");
        }
        let full = policy(
            "consent = \"required\"\nutc_offset_minutes = 60\n\
             spread = { by = \"site\", devices_max = 2 }\n\
             [[window]]\ndays = [\"sat\"]\nfrom = \"22:00\"\nto = \"06:00\"",
        )
        .unwrap();
        let stored = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<crate::Policy>(&stored).unwrap(), full);
    }
}
