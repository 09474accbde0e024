//! Settings of other systems with hindsight.

use crate::benchmark::{Contestant, Grid, Scenario, Tuning, scenario};

fn small(name: &str) -> Scenario {
    let mut scenario = scenario(name).unwrap();
    scenario.devices = 500;
    scenario
}

#[test]
fn the_best_setting_is_among_those_about_as_fast() {
    let tuning = Tuning {
        scenarios: ["G1", "G2", "G3", "G4", "B1", "B3"].map(small).to_vec(),
        own: Contestant::named("evidence-20"),
        families: vec!["edgehog".to_owned(), "mender".to_owned()],
        grid_runs: 2,
        runs: 3,
        seed: 5,
        threads: None,
    };
    let found = tuning.run(&|_, _| {});
    assert_eq!(found.keys(), [("evidence-20", "B1"), ("evidence-20", "B3")]);
    // One line for each system and scenario, and one for both scenarios jointly.
    assert_eq!(found.tuned.len(), 2 * 3);
    let mut settings = 0;
    for tuned in &found.tuned {
        let Some(setting) = &tuned.setting else {
            assert!(tuned.harm.is_empty() && tuned.stops_ratio().is_none());
            continue;
        };
        settings += 1;
        assert!((0.75..=1.25).contains(&tuned.hours.unwrap()), "{tuned:?}");
        assert_eq!(tuned.stops.len(), 4, "{tuned:?}");
        let scenarios = if tuned.scenario.is_some() { 1 } else { 2 };
        assert_eq!(tuned.harm.len(), scenarios, "{tuned:?}");
        for harm in &tuned.harm {
            // Nothing that was run as often and is about as fast harms fewer.
            let cell =
                found.report.cells.iter().find(|it| {
                    it.policy == *setting && it.scenario == harm.scenario && it.runs == 3
                });
            assert!((cell.unwrap().harmed.unwrap().mean - harm.theirs).abs() < 1e-9);
        }
    }
    assert!(settings > 0, "{:?}", found.tried);
    let grids =
        Grid::all().iter().filter(|grid| tuning.families.iter().any(|it| it == grid.family));
    for (grid, (family, all, fast)) in grids.zip(&found.tried) {
        assert_eq!((grid.family, grid.len() as u64), (family.as_str(), *all));
        assert!(fast < all, "{family}: the grid reaches beyond the window");
    }
    let text = found.markdown();
    for words in ["## B1", "## One setting for all of them", "| edgehog | at a time |"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let columns = |line: &str| line.matches(',').count();
    let csv = found.csv();
    let head = csv.lines().next().unwrap_or_default();
    assert!(csv.lines().all(|line| columns(line) == columns(head)), "{csv}");
}
