//! The help texts, as snapshots: what is said there is a promise.

use crate::common::run;

fn check(name: &str, arguments: &[&str]) {
    let ran = run(arguments.iter().chain(&["--help"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    insta::assert_snapshot!(name, ran.stdout);
}

#[test]
fn help_is_as_promised() {
    check("bellwether", &[]);
    check("dev", &["dev"]);
    check("serve", &["serve"]);
    check("device", &["device"]);
    check("device-list", &["device", "list"]);
    check("release", &["release"]);
    check("release-publish", &["release", "publish"]);
    check("operation", &["operation"]);
    check("operation-rehearse", &["operation", "rehearse"]);
    check("operation-start", &["operation", "start"]);
    check("why", &["why"]);
    check("events", &["events"]);
    check("sim", &["sim"]);
    check("sim-fleet", &["sim", "fleet"]);
}

#[test]
fn a_rollout_is_an_operation() {
    let rollout = run(["rollout", "start", "--help"]);
    let operation = run(["operation", "start", "--help"]);
    assert_eq!(rollout.stdout, operation.stdout);
}
