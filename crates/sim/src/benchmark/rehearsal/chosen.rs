//! Faults to rehearse, as people write them.

use std::fmt;
use std::str::FromStr;

use model::{Policy, Rate, Span};

use super::super::scenario::{Fault, FaultKind, Scenario};
use super::super::times::Times;

/// A fault that was chosen for a rehearsal.
///
/// Written `KIND:SHARE[:TIME][@PART=VALUE,…]`, e.g. `failure:3%`, `silence:1%`, `latent:5%:12h`,
/// `crash:2%:1h`, `latent:20%:6h@hardware=C`. `TIME` is the mean time from the update to the fault,
/// which is spread exponentially.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    text: String,
    pub(super) fault: Fault,
}

/// Why a text is no fault to rehearse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {}", self.remedy())]
pub struct ChosenError {
    problem: String,
    example: &'static str,
}

impl ChosenError {
    /// What is wrong, in a sentence.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        format!("write KIND:SHARE[:TIME][@PART=VALUE], e.g. {}", self.example)
    }
}

impl Chosen {
    /// What is rehearsed when nothing was chosen: a fault of each kind that regulation finds in its
    /// own way, one that shows later than the holdback waits, and one in the smallest hardware.
    #[must_use]
    pub fn defaults(scenario: &Scenario, policy: &Policy) -> Vec<Self> {
        let watch_s = policy.rule.evidence().map_or(WATCH_S, |rule| rule.watch.0.as_secs());
        let soon = Span::secs((watch_s / 4).max(1));
        let late = Span::secs((watch_s * 3).max(2));
        let mut all = vec![
            "failure:3%".to_owned(),
            "silence:1%".to_owned(),
            format!("latent:5%:{soon}"),
            format!("latent:5%:{late}"),
        ];
        let mut hardware = std::collections::BTreeMap::<&str, u64>::new();
        for (stratum, devices) in scenario.strata.iter().zip(scenario.targets()) {
            *hardware.entry(stratum.hardware.as_str()).or_default() += devices;
        }
        let smallest = hardware.iter().min_by_key(|(name, devices)| (**devices, **name));
        if let Some((name, _)) = smallest.filter(|(name, _)| hardware.len() > 1 && !name.is_empty())
        {
            all.push(format!("latent:20%:{soon}@hardware={name}"));
        }
        all.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In a sentence.
    #[must_use]
    pub fn about(&self) -> String {
        let Fault { kind, rate, latency, hardware, version, site, .. } = &self.fault;
        let mean = latency.map(|it| Span::secs(it.mean_s() as u64)).unwrap_or_default();
        let what = match kind {
            FaultKind::Failure => format!("{rate} of the installations fail, and say so"),
            FaultKind::Brick => format!("{rate} of the devices never come back"),
            FaultKind::LatentSilence => {
                format!("{rate} of the devices fall silent {mean} after the update, on average")
            }
            _ => format!("{rate} of the devices crash {mean} after the update, on average"),
        };
        let parts = [("hardware", hardware), ("version", version), ("site", site)];
        let only: Vec<String> = parts
            .iter()
            .filter_map(|(part, value)| Some(format!("{part} {}", value.as_deref()?)))
            .collect();
        if only.is_empty() { what } else { format!("{what}, only {}", only.join(", ")) }
    }

    /// The name of its scenario: letters, digits and `-`.
    #[must_use]
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let name: String = self.text.replace('%', "").chars().map(plain).collect();
        name.trim_matches('-').to_owned()
    }

    /// The fleet with a change that has this fault.
    ///
    /// # Errors
    /// [`ChosenError`] when no device of the scenario can have it.
    pub fn on(&self, scenario: &Scenario) -> Result<Scenario, ChosenError> {
        let mut faulty = Scenario { name: self.name(), title: self.about(), ..scenario.clone() };
        faulty.faults.push(self.fault.clone());
        if (0..faulty.strata.len()).any(|stratum| faulty.hits(&self.fault, 0, stratum)) {
            return Ok(faulty);
        }
        let mut known: Vec<String> =
            scenario.strata.iter().map(|stratum| stratum.name().to_string()).collect();
        known.truncate(KNOWN_SHOWN);
        Err(ChosenError {
            problem: format!(
                "`{}` can hit no target: the policy tells apart {}",
                self.text,
                known.join("; ")
            ),
            example: "failure:3% for a fault on any device",
        })
    }

    /// Share of its faults that show after that time, of devices that are updated at its start.
    #[must_use]
    pub(super) fn share_after(&self, wait_s: f64) -> f64 {
        match &self.fault.latency {
            Some(latency) => (-wait_s.max(0.0) / latency.mean_s()).exp(),
            None => 0.0,
        }
    }

    /// The time after which that share is still to show, in seconds.
    pub(super) fn until_s(&self, share: f64) -> f64 {
        self.fault.latency.map_or(0.0, |latency| -latency.mean_s() * share.ln())
    }

    /// Whether it shows as silence, which takes its own time to be found.
    pub(super) const fn is_silent(&self) -> bool {
        matches!(self.fault.kind, FaultKind::Brick | FaultKind::LatentSilence)
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Chosen {
    type Err = ChosenError;

    fn from_str(text: &str) -> Result<Self, ChosenError> {
        let wrong = |problem: String, example| ChosenError { problem, example };
        let (what, filters) = match text.split_once('@') {
            Some((what, filters)) => (what, Some(filters)),
            None => (text, None),
        };
        let mut words = what.split(':').map(str::trim);
        let kind = words.next().unwrap_or_default();
        let (kind, example) = match kind {
            "failure" => (FaultKind::Failure, "`failure:3%`"),
            "silence" => (FaultKind::Brick, "`silence:1%`"),
            "latent" => (FaultKind::LatentSilence, "`latent:5%:12h`"),
            "crash" => (FaultKind::LatentCrash, "`crash:5%:2h`"),
            other => {
                let problem = format!(
                    "`{other}` is no kind of fault; there are failure, silence, latent, crash"
                );
                return Err(wrong(problem, "`failure:3%`"));
            }
        };
        let share = words.next().filter(|word| !word.is_empty());
        let share = share.ok_or_else(|| wrong(format!("`{text}` has no share"), example))?;
        let rate: Rate = share
            .parse()
            .map_err(|_| wrong(format!("`{share}` is not a share of the devices"), example))?;
        if rate == Rate::ZERO || rate > Rate::WHOLE {
            let problem = format!("{rate} is no share to rehearse; above 0 %, at most 100 %");
            return Err(wrong(problem, example));
        }
        let is_late = matches!(kind, FaultKind::LatentSilence | FaultKind::LatentCrash);
        let latency = match (words.next(), is_late) {
            (None, false) => None,
            (Some(time), true) => Some(time_of(time).map_err(|problem| wrong(problem, example))?),
            (None, true) => {
                let problem = format!("`{text}` does not say how late the fault shows");
                return Err(wrong(problem, example));
            }
            (Some(time), false) => {
                let problem = format!("`{time}` is too much: such a fault shows at once");
                return Err(wrong(problem, example));
            }
        };
        if let Some(more) = words.next() {
            return Err(wrong(format!("`{more}` is too much"), example));
        }
        let mut fault = Fault { latency, ..Fault::plain(kind, rate) };
        filters.map_or(Ok(()), |filters| filter(&mut fault, filters))?;
        Ok(Self { text: text.to_owned(), fault })
    }
}

fn time_of(text: &str) -> Result<Times, String> {
    let span: Span = text.parse().map_err(|_| format!("`{text}` is no time"))?;
    if span.0.as_secs() == 0 || span.0.as_secs() > TIME_MAX_S {
        return Err(format!("{span} is out of range; 1s to 366d"));
    }
    Ok(Times::Exponential(span))
}

fn filter(fault: &mut Fault, filters: &str) -> Result<(), ChosenError> {
    for one in filters.split(',') {
        let wrong = |problem| ChosenError { problem, example: "`latent:20%:6h@hardware=C`" };
        let (part, value) = one.split_once('=').unwrap_or((one, ""));
        let (part, value) = (part.trim(), value.trim());
        let place = match part {
            "hardware" => &mut fault.hardware,
            "version" => &mut fault.version,
            "site" => &mut fault.site,
            _ => {
                let problem =
                    format!("`{part}` tells no devices apart; there are hardware, version, site");
                return Err(wrong(problem));
            }
        };
        if value.is_empty() || place.is_some() {
            return Err(wrong(format!("`{part}` needs one value")));
        }
        *place = Some(value.to_owned());
    }
    Ok(())
}

/// How long rules without a holdback are taken to be watched, in seconds.
const WATCH_S: u64 = 86_400;
const TIME_MAX_S: u64 = 366 * 86_400;
/// Strata named when none fits.
const KNOWN_SHOWN: usize = 6;
