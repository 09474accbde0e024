//! Scenario files: what is refused, and where.

use crate::benchmark::{Scenario, ScenarioError, scenario_text};

const LEAST: &str = "name = \"x\"\ntitle = \"t\"\ndevices = 10\ncontact = { fixed = \"1m\" }\n";

#[test]
fn the_least_file_is_a_good_scenario_of_one_stratum() {
    let scenario = Scenario::from_toml(LEAST).unwrap();
    assert!(scenario.is_good());
    assert_eq!((scenario.strata.len(), scenario.operations.len()), (1, 1));
}

#[test]
fn mistakes_are_named_with_line_and_field() {
    let check = |more: &str, line: usize, field: &str| {
        let text = format!("{LEAST}{more}");
        let error = Scenario::from_toml(&text).unwrap_err();
        let ScenarioError::Senseless { line: found, field: named, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((*found, named.as_str()), (line, field), "{error}\n{text}");
    };
    check("start_hour = 25.0\n", 5, "start_hour");
    check("step = \"2h\"\n", 5, "step");
    check("install = { exponential = \"0s\" }\n", 5, "install");
    check("[[stratum]]\nshare = \"40 %\"\n", 6, "stratum.share");
    check("\n[[fault]]\nkind = \"brick\"\nrate = \"0 %\"\n", 8, "fault.rate");
    check(
        "[[fault]]\nkind = \"brick\"\nrate = \"1 %\"\n[[fault]]\nkind = \"latent_silence\"\n\
         rate = \"1 %\"\n",
        8,
        "fault.latency",
    );
    check("[[fault]]\nkind = \"brick\"\nrate = \"1 %\"\nsite = \"x\"\n", 8, "fault.site");
    check(
        "[[stratum]]\nshare = \"50 %\"\nhardware = \"A\"\n[[stratum]]\nshare = \"50 %\"\n\
         hardware = \"A\"\n",
        10,
        "stratum.hardware",
    );
    check("[[operation]]\nname = \"a\"\n[[operation]]\nname = \"a\"\n", 8, "operation.name");
    check("[[fault]]\nkind = \"indicator\"\nrate = \"1 %\"\n", 6, "fault.kind");
    check("[[outage]]\nfrom = \"2h\"\nto = \"1h\"\nshare = \"1 %\"\n", 7, "outage.to");
    check("[[latency]]\nfactor = 2.0\n", 5, "latency.at");
    check("[[latency]]\nafter = \"1h\"\nfactor = 2.0\nlasts = \"0s\"\n", 8, "latency.lasts");
    check("offline = { share = \"101 %\" }\n", 5, "offline");
    check("[offline]\nreturns = \"0s\"\n", 5, "offline");
    check("benign = { failures = \"200 %\" }\n", 5, "benign");
    check("indicator = { noise = -1.0, after = \"1h\" }\n", 5, "indicator");
    check("server = { capacity = 0 }\n", 5, "server");
    check(
        "[[stratum]]\nshare = \"100 %\"\nbenign = { passing = \"101 %\" }\n",
        7,
        "stratum.benign",
    );
    check("[[fault]]\nkind = \"brick\"\nrate = \"1 %\"\noperation = \"x\"\n", 8, "fault.operation");
    check(
        "indicator = { noise = 0.1, after = \"1h\" }\n[[fault]]\nkind = \"indicator\"\n\
         rate = \"1 %\"\n",
        6,
        "fault.shift",
    );
    check(
        "[[outage]]\nfrom = \"1h\"\nto = \"2h\"\nshare = \"1 %\"\nsite = \"x\"\n",
        9,
        "outage.site",
    );
    let text = LEAST.replace("devices = 10", "devices = 0");
    assert_eq!(
        Scenario::from_toml(&text).unwrap_err().to_string(),
        "line 3: `devices` is 0; it must be 1 to 10000000"
    );
}

#[test]
fn what_is_no_scenario_says_what_is_allowed() {
    for (more, words) in [
        ("colour = 1\n", "unknown field `colour`"),
        ("[[fault]]\nkind = \"fire\"\nrate = \"1 %\"\n", "unknown variant `fire`"),
        ("[[fault]]\nkind = \"brick\"\nrate = \"x\"\n", "write a percentage"),
        ("horizon = \"soon\"\n", "write a number and a unit"),
    ] {
        let error = Scenario::from_toml(&format!("{LEAST}{more}")).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("line "), "{error}");
    }
    let error = Scenario::from_toml("name = \"x\"\n").unwrap_err().to_string();
    assert!(error.contains("missing field `title`"), "{error}");
    assert!(scenario_text("B1").is_some_and(|text| text.starts_with('#')));
}

#[test]
fn the_examples_of_the_book_are_scenarios() {
    let book = include_str!("../../../../../docs/src/explanation/benchmark.md");
    let blocks = book.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let names: Vec<String> = blocks
        .filter(|block| block.starts_with("name ="))
        .map(|block| Scenario::from_toml(block).unwrap_or_else(|error| panic!("{error}")).name)
        .collect();
    assert_eq!(names, ["mine", "migration"]);
}
