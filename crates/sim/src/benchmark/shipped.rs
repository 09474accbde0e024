//! The scenarios that ship.

use super::scenario::Scenario;

/// The text of the shipped scenario of that name, as it was written.
#[must_use]
pub fn scenario_text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of the shipped scenarios, the good ones first.
#[must_use]
pub fn scenario_names() -> Vec<&'static str> {
    SHIPPED.iter().map(|(name, _)| *name).collect()
}

/// The shipped scenario of that name.
#[must_use]
pub fn scenario(name: &str) -> Option<Scenario> {
    let text = scenario_text(name)?;
    Some(Scenario::from_toml(text).expect("shipped scenarios are tested to be readable"))
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

const SHIPPED: &[(&str, &str)] = shipped![
    "G1", "G2", "G3", "G3s", "G4", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8r", "B9",
    "B10", "B11", "B11d", "B12",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_reads_and_is_called_like_its_file() {
        for name in scenario_names() {
            let scenario = Scenario::from_toml(scenario_text(name).unwrap()).unwrap();
            assert_eq!(scenario.name, name);
            assert_eq!(scenario.is_good(), name.starts_with('G'), "{name}");
        }
        assert_eq!(scenario("G9"), None);
    }
}
