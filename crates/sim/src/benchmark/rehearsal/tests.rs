//! Rehearsals: facts in, distributions and warnings out.

use std::num::NonZeroUsize;

use model::{
    Evidence, FleetFacts, HealthFacts, InstalledFacts, Policy, Rate, Rule, Span, StratumFacts,
    StratumName, TimesFacts,
};

use super::{Basis, Chosen, Rehearsal, RehearsalReport, WarningCode, What};
use crate::benchmark::{Installed, Scenario, Times};

fn stratum(hardware: &str, ready: u64) -> StratumFacts {
    let times = |count, median: u64, p90: u64| TimesFacts {
        count,
        median: Span::secs(median),
        p90: Span::secs(p90),
        p999: Span::secs(p90 * 2),
    };
    StratumFacts {
        name: StratumName {
            hardware: hardware.to_owned(),
            version: "1.0.0".to_owned(),
            site: String::new(),
        },
        ready,
        hops: 1,
        lifetime: Span::secs(3_600),
        silence_after: Span::secs(7_200),
        gaps: Some(times(900, 1_500, 3_000)),
        install: Some(times(50, 300, 600)),
        health: HealthFacts { watched_s: 36_000_000, silences: 5, crashes: 0 },
        ..StratumFacts::default()
    }
}

fn facts(strata: Vec<StratumFacts>) -> FleetFacts {
    // Few looks: each costs more than all the devices of such a fleet.
    let rule =
        Evidence { look: Span::secs(3_600), watch: Span::secs(18_000), ..Evidence::default() };
    FleetFacts {
        strata,
        policy: Policy {
            rule: Rule::Evidence(rule),
            linger: Span::secs(3_600),
            ..Policy::default()
        },
        installed: vec![InstalledFacts { hardware: "A".to_owned(), attempts: 4_000, failures: 20 }],
        response: Some(Span::millis(35)),
        ..FleetFacts::default()
    }
}

/// A fleet of three hardware revisions, one of them of a single device.
fn fleet() -> FleetFacts {
    facts(vec![stratum("A", 2_000), stratum("B", 600), stratum("C", 1)])
}

fn rehearse(facts: &FleetFacts, faults: &[&str], runs: u64, threads: usize) -> RehearsalReport {
    let rehearsal = Rehearsal {
        scenario: Basis::of(facts).unwrap().scenario,
        faults: faults.iter().map(|text| text.parse().unwrap()).collect(),
        policy: facts.policy.clone(),
        runs,
        seed: 7,
        threads: NonZeroUsize::new(threads),
    };
    rehearsal.run(&|_, _| {}).unwrap()
}

#[test]
fn faults_are_read_as_people_write_them() {
    for (text, about) in [
        ("failure:3%", "3 % of the installations fail, and say so"),
        ("silence:1 %", "1 % of the devices never come back"),
        ("latent:5%:12h", "5 % of the devices fall silent 12h after the update, on average"),
        ("crash:0.5%:90m", "0.5 % of the devices crash 1h30m after the update, on average"),
        (
            "latent:20%:6h@hardware=C, site=north",
            "20 % of the devices fall silent 6h after the update, on average, only hardware C, \
             site north",
        ),
    ] {
        let chosen: Chosen = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((chosen.text(), chosen.about().as_str()), (text, about));
        let name = chosen.name();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{name}");
    }
}

#[test]
fn what_is_no_fault_says_what_to_write() {
    for (text, says) in [
        ("", "`` is no kind of fault"),
        ("fire:3%", "`fire` is no kind of fault; there are failure, silence, latent, crash"),
        ("failure", "`failure` has no share"),
        ("failure:3", "`3` is not a share"),
        ("failure:-3%", "`-3%` is not a share"),
        ("failure:0%", "0 % is no share to rehearse"),
        ("failure:101%", "101 % is no share to rehearse"),
        ("failure:3%:1h", "`1h` is too much: such a fault shows at once"),
        ("latent:3%", "does not say how late"),
        ("latent:3%:soon", "`soon` is no time"),
        ("latent:3%:0s", "out of range"),
        ("latent:3%:9999d", "out of range"),
        ("latent:3%:1h:2h", "`2h` is too much"),
        ("failure:3%@colour=red", "`colour` tells no devices apart"),
        ("failure:3%@hardware=", "`hardware` needs one value"),
        ("failure:3%@site=a,site=b", "`site` needs one value"),
    ] {
        let error = text.parse::<Chosen>().unwrap_err();
        assert!(error.problem().contains(says), "{text}: {error}");
        assert!(error.remedy().starts_with("write KIND:SHARE"), "{error}");
    }
}

#[test]
fn a_fault_that_can_hit_nobody_names_what_there_is() {
    let scenario = Basis::of(&fleet()).unwrap().scenario;
    let chosen: Chosen = "failure:3%@hardware=Z".parse().unwrap();
    let error = chosen.on(&scenario).unwrap_err();
    assert!(error.problem().contains("hardware A, version 1.0.0"), "{error}");
}

#[test]
fn a_scenario_is_made_of_what_was_measured() {
    let mut known = stratum("B", 50);
    (known.asleep, known.offline, known.blocked, known.held) = (20, 7, 3, 11);
    known.hops = 2;
    let basis = Basis::of(&facts(vec![stratum("A", 99_990), known])).unwrap();
    let Scenario { devices, strata, installed, history, .. } = &basis.scenario;
    assert_eq!((*devices, basis.held), (100_070, 11));
    assert_eq!(basis.scenario.targets(), [99_990, 80], "no stratum is lost by rounding");
    let offline = strata[1].offline.unwrap();
    assert_eq!(offline.share, Rate::basis_points(1_250), "sleepers call by themselves");
    assert_eq!(strata[0].silence_after, Some(Span::secs(7_200)));
    let Some(Times::Lognormal { median, sigma }) = strata[1].install else { panic!("{strata:?}") };
    assert_eq!(median, Span::secs(600), "two installations, one after the other");
    assert!((sigma - 0.5409).abs() < 1e-3, "{sigma}");
    let benign = strata[0].benign.unwrap();
    // 20 of 4,000, and 5 silences in 10,000 device-hours.
    assert_eq!(
        (benign.failures, benign.silence_per_hour),
        (Rate::basis_points(50), Rate::basis_points(5))
    );
    let expected = Installed { hardware: "A".to_owned(), attempts: 4_000, failures: 20 };
    assert_eq!((installed.as_slice(), *history), (&[expected][..], Some(0)));
    let assumed: Vec<What> = basis
        .figures
        .iter()
        .filter(|figure| figure.measured.is_none())
        .map(|figure| figure.what)
        .collect();
    assert_eq!(assumed, [What::Returns]);
}

#[test]
fn what_was_never_measured_is_assumed_and_said() {
    let unknown = StratumFacts {
        gaps: None,
        install: None,
        health: HealthFacts { watched_s: 3_600, silences: 0, crashes: 0 },
        ..stratum("A", 10)
    };
    let facts = FleetFacts { strata: vec![unknown], ..FleetFacts::default() };
    let basis = Basis::of(&facts).unwrap();
    assert!(basis.figures.iter().all(|figure| figure.measured.is_none()), "{basis:?}");
    let contact = basis.scenario.strata[0].contact;
    assert_eq!(contact, Some(Times::Exponential(Span::secs(1_800))), "half the lifetime");
}

#[test]
fn nobody_to_update_is_nothing_to_rehearse() {
    let held = StratumFacts { held: 5, ready: 0, ..stratum("A", 0) };
    for strata in [Vec::new(), vec![held]] {
        assert_eq!(Basis::of(&facts(strata)), None);
    }
}

#[test]
fn a_scenario_written_to_a_file_is_the_same_when_it_is_read() {
    let mut basis = Basis::of(&fleet()).unwrap();
    for text in ["", "latent:20%:6h@hardware=C"] {
        if let Ok(chosen) = text.parse::<Chosen>() {
            basis.scenario = chosen.on(&basis.scenario).unwrap();
        }
        let text = basis.scenario.to_toml();
        assert_eq!(Scenario::from_toml(&text), Ok(basis.scenario.clone()), "{text}");
    }
}

#[test]
fn the_same_seed_gives_the_same_report_on_any_number_of_threads() {
    let faults = ["failure:10%", "latent:20%:1h@hardware=B"];
    let one = rehearse(&fleet(), &faults, 2, 1);
    assert_eq!(one.rows.len(), 3);
    assert_eq!(one.rows[0].fault, "good");
    // A row does not depend on the others.
    let alone = rehearse(&fleet(), &faults[1..], 2, 3);
    assert_eq!(alone.rows[..], [one.rows[0].clone(), one.rows[2].clone()]);
}

#[test]
fn a_fault_is_stopped_where_it_is_and_counts_against_the_budget() {
    let report = rehearse(&fleet(), &["failure:30%", "silence:30%@hardware=B"], 3, 2);
    assert_eq!(report.budget, Some(5));
    let [good, everywhere, one] = &report.rows[..] else { panic!("{report:?}") };
    assert!(good.cell.good && good.cell.harmed.unwrap().max < 0.5, "nobody can be harmed");
    assert_eq!(good.over_budget.unwrap().hits, 0);
    assert!(good.cell.hours_to_90.is_some());
    assert_eq!(everywhere.cell.stopped.hits, 3, "{everywhere:?}");
    assert_eq!(everywhere.stopped_all.hits + everywhere.stopped_part.hits, 3);
    assert_eq!((one.stopped_all.hits, one.stopped_part.hits), (0, 3), "{one:?}");
    assert!(one.cell.hours_to_90.is_some(), "the others go on");
    let harmed = one.cell.harmed.unwrap();
    assert!(harmed.p50 <= harmed.p95 && harmed.p95 <= harmed.max && harmed.mean < 60.0);
}

#[test]
fn warnings_say_what_cannot_be_kept() {
    let codes = |facts: &FleetFacts, faults: &[&str]| -> Vec<WarningCode> {
        let report = rehearse(facts, faults, 2, 2);
        report.warnings.iter().map(|warning| warning.code).collect()
    };
    let two = facts(vec![stratum("A", 400), stratum("B", 200)]);
    let mut slow = two.clone();
    slow.strata[1].silence_after = Span::secs(3 * 86_400);
    slow.strata[0].health = HealthFacts::default();
    slow.installed.clear();
    let slow = codes(&slow, &[]);
    for code in [WarningCode::SilenceFoundLate, WarningCode::HistoryTooShort] {
        assert!(slow.contains(&code), "{slow:?}");
    }
    assert!(codes(&fleet(), &[]).contains(&WarningCode::StrataTooSmall));
    let ruled = FleetFacts { policy: Policy::threshold(), ..two };
    assert!(codes(&ruled, &["silence:5%"]).contains(&WarningCode::NoBudget));
}

#[test]
fn the_wait_that_a_late_fault_needs_is_computed() {
    let two = facts(vec![stratum("A", 400), stratum("B", 200)]);
    let report = rehearse(&two, &["latent:5%:10h", "latent:5%:20m"], 2, 2);
    let late = |warning: &&super::Warning| warning.code == WarningCode::ShowsAfterHoldback;
    let late: Vec<_> = report.warnings.iter().filter(late).collect();
    let [warning] = &late[..] else { panic!("{:?}", report.warnings) };
    assert_eq!(warning.fault.as_deref(), Some("latent:5%:10h"));
    // The holdback waits 5 h, silence is found after 2 h: e^(−3 ÷ 10) = 74 % come later.
    assert!(warning.sentence.contains("74 % of those harmed"), "{}", warning.sentence);
    // 10 h · ln 20 + 2 h = 31.96 h.
    assert!(warning.sentence.contains("`rule.watch` of 1d8h"), "{}", warning.sentence);
    assert!(report.warnings.is_sorted_by_key(|warning| warning.code));
}

#[test]
fn what_is_rehearsed_without_a_choice_follows_the_policy() {
    let scenario = Basis::of(&fleet()).unwrap().scenario;
    let texts = |policy: &Policy| -> Vec<String> {
        Chosen::defaults(&scenario, policy).iter().map(|it| it.text().to_owned()).collect()
    };
    let expected =
        ["failure:3%", "silence:1%", "latent:5%:6h", "latent:5%:3d", "latent:20%:6h@hardware=C"];
    assert_eq!(texts(&Policy::default()), expected);
    assert_eq!(texts(&Policy::threshold()), expected);
    let rule = Rule::Evidence(Evidence { watch: Span::secs(4), ..Evidence::default() });
    let quick = texts(&Policy { rule, ..Policy::default() });
    assert_eq!(quick[2..4], ["latent:5%:1s", "latent:5%:12s"]);
}

#[test]
fn large_fleets_are_run_less_often() {
    for (devices, runs) in
        [(1, 50), (150, 50), (40_000, 50), (100_000, 20), (1_000_000, 10), (10_000_000, 10)]
    {
        assert_eq!(Rehearsal::usual_runs(devices), runs, "{devices}");
    }
}
