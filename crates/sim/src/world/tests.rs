use super::*;

#[test]
fn a_calm_run_updates_its_fleet() {
    let report = run(1).unwrap();
    assert!(report.installations > 0, "{report}");
}
