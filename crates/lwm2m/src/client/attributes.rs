//! Notification attributes: what Write-Attributes may set and when a value is worth a notification.

use std::fmt;

use thiserror::Error;

use crate::Path;

/// Notification attributes attached to one path, or the outcome of inheriting them
/// (LwM2M Core 1.1, 7.3.2).
///
/// An attribute that is `None` is not set at this path and is inherited from the path above.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attributes {
    /// Least time between two notifications, in seconds.
    pub pmin_s: Option<u32>,
    /// Longest time between two notifications, in seconds; ignored when it is 0 or below `pmin_s`.
    pub pmax_s: Option<u32>,
    /// Least time between two evaluations, in seconds; kept and reported, a value is evaluated
    /// when it is set.
    pub epmin_s: Option<u32>,
    /// Longest time between two evaluations, in seconds; kept and reported.
    pub epmax_s: Option<u32>,
    /// Threshold whose crossing is reported ("greater than"), numeric resources only.
    pub gt: Option<f64>,
    /// Threshold whose crossing is reported ("less than"), numeric resources only.
    pub lt: Option<f64>,
    /// Least change since the last report that is reported, numeric resources only.
    pub st: Option<f64>,
}

/// Why a Write-Attributes request is refused; always the server's fault, answered 4.00.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AttributeError {
    /// The name is not an attribute of LwM2M 1.1.
    #[error("unknown attribute {0:?}; use pmin, pmax, epmin, epmax, gt, lt or st")]
    Unknown(String),
    /// The same attribute appears twice in one request.
    #[error("attribute {0} appears twice; send it once")]
    Duplicate(&'static str),
    /// The value is not a number this attribute accepts.
    #[error("attribute {0} has an unusable value; send a plain decimal number")]
    Value(&'static str),
    /// `gt`, `lt` or `st` on something that is not a numeric resource.
    #[error("gt, lt and st belong to numeric resources only")]
    NotNumeric,
    /// `lt`, `gt` and `st` contradict each other.
    #[error("lt must be below gt, and lt + 2 x st below gt")]
    Inconsistent,
}

const NAMES: [&str; 7] = ["pmin", "pmax", "epmin", "epmax", "gt", "lt", "st"];

impl Attributes {
    /// Applies the queries of a Write-Attributes request: `name=value` sets, a bare `name` unsets
    /// (LwM2M Core 1.1, 6.3.4).
    ///
    /// `numeric` says whether the target is a numeric resource, the only place where `gt`, `lt`
    /// and `st` are allowed.
    pub fn updated<'a>(
        mut self,
        queries: impl Iterator<Item = &'a str>,
        numeric: bool,
    ) -> Result<Self, AttributeError> {
        let mut seen = [false; NAMES.len()];
        for query in queries {
            let (name, value) = match query.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (query, None),
            };
            let index = NAMES
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| AttributeError::Unknown(name.chars().take(32).collect()))?;
            if std::mem::replace(&mut seen[index], true) {
                return Err(AttributeError::Duplicate(NAMES[index]));
            }
            if index >= 4 && !numeric {
                return Err(AttributeError::NotNumeric);
            }
            self.change(index, value)?;
        }
        if self.consistent() { Ok(self) } else { Err(AttributeError::Inconsistent) }
    }

    /// Completes what is not set here with what is set on the path above.
    #[must_use]
    pub fn inheriting(self, above: Self) -> Self {
        Self {
            pmin_s: self.pmin_s.or(above.pmin_s),
            pmax_s: self.pmax_s.or(above.pmax_s),
            epmin_s: self.epmin_s.or(above.epmin_s),
            epmax_s: self.epmax_s.or(above.epmax_s),
            gt: self.gt.or(above.gt),
            lt: self.lt.or(above.lt),
            st: self.st.or(above.st),
        }
    }

    /// Tells whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether going from the last reported number to `now` must be reported.
    ///
    /// Without `gt`, `lt` and `st` every difference counts; with several of them any one that
    /// fires is enough (LwM2M Core 1.1, 7.3.2).
    #[must_use]
    pub fn fires(&self, reported: f64, now: f64) -> bool {
        if self.gt.is_none() && self.lt.is_none() && self.st.is_none() {
            return reported.to_bits() != now.to_bits();
        }
        let crossed_up = |limit: f64| (reported > limit) != (now > limit);
        let crossed_down = |limit: f64| (reported < limit) != (now < limit);
        self.gt.is_some_and(crossed_up)
            || self.lt.is_some_and(crossed_down)
            || self.st.is_some_and(|step| step > 0.0 && (now - reported).abs() >= step)
    }

    /// Returns the longest silence in seconds, when there is one to obey.
    pub(crate) fn silence_s_max(&self) -> Option<u32> {
        self.pmax_s.filter(|pmax| *pmax > 0 && *pmax >= self.pmin_s.unwrap_or(0))
    }

    fn change(&mut self, index: usize, value: Option<&str>) -> Result<(), AttributeError> {
        let name = NAMES[index];
        let seconds = |value: &str| {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            value.parse().ok().filter(|_| digits).ok_or(AttributeError::Value(name))
        };
        match index {
            0 => self.pmin_s = value.map(seconds).transpose()?,
            1 => self.pmax_s = value.map(seconds).transpose()?,
            2 => self.epmin_s = value.map(seconds).transpose()?,
            3 => self.epmax_s = value.map(seconds).transpose()?,
            4 => self.gt = value.map(|text| decimal(name, text)).transpose()?,
            5 => self.lt = value.map(|text| decimal(name, text)).transpose()?,
            _ => self.st = value.map(|text| decimal(name, text)).transpose()?,
        }
        Ok(())
    }

    fn consistent(&self) -> bool {
        let step = self.st.unwrap_or(0.0);
        if step < 0.0 {
            return false;
        }
        match (self.lt, self.gt) {
            (Some(low), Some(high)) => low < high && low + 2.0 * step < high,
            _ => true,
        }
    }
}

/// Prints the attributes as link parameters, `;pmin=10;pmax=60`, in the order of the specification.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = [self.pmin_s, self.pmax_s, self.epmin_s, self.epmax_s];
        for (name, value) in NAMES.iter().zip(seconds) {
            if let Some(value) = value {
                write!(f, ";{name}={value}")?;
            }
        }
        for (name, value) in NAMES[4..].iter().zip([self.gt, self.lt, self.st]) {
            if let Some(value) = value {
                write!(f, ";{name}={value}")?;
            }
        }
        Ok(())
    }
}

/// The attributes a server attached, by path.
///
/// The specification lets them live as long as the device; they survive a new registration, as
/// the server that set them expects.
#[derive(Debug, Default)]
pub(crate) struct AttributeTable {
    attached: Vec<(Path, Attributes)>,
}

impl AttributeTable {
    /// Returns what is attached to exactly this path.
    pub(crate) fn attached(&self, path: Path) -> Attributes {
        match self.attached.binary_search_by_key(&path, |entry| entry.0) {
            Ok(index) => self.attached[index].1,
            Err(_) => Attributes::default(),
        }
    }

    /// Returns what holds at this path: its own attributes, completed from the paths above.
    pub(crate) fn effective(&self, path: Path) -> Attributes {
        let mut effective = self.attached(path);
        let mut above = path.parent();
        while let Some(path) = above {
            effective = effective.inheriting(self.attached(path));
            above = path.parent();
        }
        effective
    }

    /// Replaces what is attached to this path; fails when the table is full.
    pub(crate) fn attach(&mut self, path: Path, attributes: Attributes) -> Result<(), TableFull> {
        match self.attached.binary_search_by_key(&path, |entry| entry.0) {
            Ok(index) if attributes.is_empty() => {
                self.attached.remove(index);
            }
            Ok(index) => self.attached[index].1 = attributes,
            Err(_) if attributes.is_empty() => {}
            Err(_) if self.attached.len() >= ATTACHED_MAX => return Err(TableFull),
            Err(index) => self.attached.insert(index, (path, attributes)),
        }
        Ok(())
    }

    /// Forgets what is attached to this path and below.
    pub(crate) fn detach_below(&mut self, path: Path) {
        self.attached.retain(|entry| !path.is_prefix_of(entry.0));
    }
}

/// Says that no further path can carry attributes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TableFull;

/// Reads `["-"] 1*DIGIT ["." 1*DIGIT]`; the exponents and names that Rust accepts are not LwM2M.
fn decimal(name: &'static str, text: &str) -> Result<f64, AttributeError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    match text.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => Ok(number),
        _ => Err(AttributeError::Value(name)),
    }
}

/// 64 paths of 88 bytes keep a hostile server from filling the memory of a small device.
const ATTACHED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(queries: &str, numeric: bool) -> Result<Attributes, AttributeError> {
        Attributes::default().updated(queries.split('&').filter(|query| !query.is_empty()), numeric)
    }

    /// LwM2M Core 1.1, 7.3.2: names, levels and consistency of the attributes.
    #[test]
    fn queries_set_and_are_printed_back() {
        let check = |queries: &str, numeric: bool, expected: Result<&str, AttributeError>| {
            let outcome = attributes(queries, numeric).map(|set| set.to_string());
            assert_eq!(outcome, expected.map(str::to_owned), "{queries}");
        };
        check("", false, Ok(""));
        check("pmin=10&pmax=60", false, Ok(";pmin=10;pmax=60"));
        check("pmax=60&pmin=90", false, Ok(";pmin=90;pmax=60"));
        check("epmin=1&epmax=2", false, Ok(";epmin=1;epmax=2"));
        check("gt=30&lt=-5.5&st=2", true, Ok(";gt=30;lt=-5.5;st=2"));
        check("gt", true, Ok(""));
        check("gt=30", false, Err(AttributeError::NotNumeric));
        check("pmin=-1", false, Err(AttributeError::Value("pmin")));
        check("pmin=+1", false, Err(AttributeError::Value("pmin")));
        check("pmin=", false, Err(AttributeError::Value("pmin")));
        check("pmin=99999999999", false, Err(AttributeError::Value("pmin")));
        check("gt=NaN", true, Err(AttributeError::Value("gt")));
        check("gt=1e9", true, Err(AttributeError::Value("gt")));
        check("st=-1", true, Err(AttributeError::Inconsistent));
        check("lt=10&gt=10", true, Err(AttributeError::Inconsistent));
        check("lt=10&gt=14&st=2", true, Err(AttributeError::Inconsistent));
        check("lt=10&gt=14.5&st=2", true, Ok(";gt=14.5;lt=10;st=2"));
        check("pmin=1&pmin=2", false, Err(AttributeError::Duplicate("pmin")));
        check("con=1", false, Err(AttributeError::Unknown("con".to_owned())));
    }

    #[test]
    fn a_bare_name_unsets_and_the_path_above_fills_in() {
        let above = attributes("pmin=5&pmax=50", false).unwrap();
        let own = attributes("pmin=9&gt=3", true).unwrap();
        let unset = own.updated(["pmin"].into_iter(), true).unwrap();
        assert_eq!(unset.to_string(), ";gt=3");
        assert_eq!(own.inheriting(above).to_string(), ";pmin=9;pmax=50;gt=3");
        assert!(Attributes::default().is_empty() && !own.is_empty());
    }

    #[test]
    fn the_table_inherits_downwards_and_is_bounded() {
        let mut table = AttributeTable::default();
        let set = |queries| attributes(queries, true).unwrap();
        table.attach(Path::object(3), set("pmin=5&pmax=50")).unwrap();
        table.attach(Path::instance(3, 0), set("pmax=60")).unwrap();
        table.attach(Path::resource(3, 0, 9), set("gt=3")).unwrap();
        let effective = |path: &str| table.effective(path.parse().unwrap()).to_string();
        assert_eq!(effective("/3"), ";pmin=5;pmax=50");
        assert_eq!(effective("/3/0/9"), ";pmin=5;pmax=60;gt=3");
        assert_eq!(effective("/3/0/9/1"), ";pmin=5;pmax=60;gt=3");
        assert_eq!(effective("/3/1"), ";pmin=5;pmax=50");
        assert_eq!(effective("/4"), "");
        table.detach_below(Path::instance(3, 0));
        assert_eq!(table.effective(Path::resource(3, 0, 9)).to_string(), ";pmin=5;pmax=50");
        table.attach(Path::object(3), Attributes::default()).unwrap();
        assert!(table.attached.is_empty());
        for object in 0..64 {
            table.attach(Path::object(object), set("pmin=1")).unwrap();
        }
        assert_eq!(table.attach(Path::object(64), set("pmin=1")), Err(TableFull));
        assert_eq!(table.attach(Path::object(63), set("pmin=2")), Ok(()));
    }

    /// LwM2M Core 1.1, 7.3.2: a pmax below pmin is ignored.
    #[test]
    fn silence_is_bounded_by_a_sensible_pmax_only() {
        let check = |queries, expected| {
            assert_eq!(attributes(queries, false).unwrap().silence_s_max(), expected, "{queries}");
        };
        check("pmax=60", Some(60));
        check("pmin=60&pmax=60", Some(60));
        check("pmin=61&pmax=60", None);
        check("pmax=0", None);
        check("pmin=3", None);
    }

    #[test]
    fn conditions_fire() {
        let check = |queries: &str, reported: f64, now: f64, expected: bool| {
            let fires = attributes(queries, true).unwrap().fires(reported, now);
            assert_eq!(fires, expected, "{queries} {reported} -> {now}");
        };
        check("", 1.0, 1.0, false);
        check("", 1.0, 1.5, true);
        check("gt=10", 9.0, 10.0, false);
        check("gt=10", 9.0, 10.5, true);
        check("gt=10", 11.0, 12.0, false);
        check("gt=10", 11.0, 10.0, true);
        check("lt=5", 6.0, 5.0, false);
        check("lt=5", 6.0, 4.9, true);
        check("lt=5", 4.0, 4.5, false);
        check("st=2", 4.0, 5.9, false);
        check("st=2", 4.0, 2.0, true);
        check("gt=10&st=1", 4.0, 5.0, true);
        check("st=0", 4.0, 5.0, false);
    }
}
