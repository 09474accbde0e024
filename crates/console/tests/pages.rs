//! Every page on a sample view: its text, its escaping and its obedience to the security policy.

mod sample;

use api::{
    AssignmentQuery, AttemptState, DeviceQuery, FleetSummary, ListQuery, Page, Problem, ProblemCode,
};
use console::{Frame, Theme, View};

fn frame(path: &str) -> Frame {
    Frame {
        path: path.to_owned(),
        csrf: "token".to_owned(),
        version: "0.1.0".to_owned(),
        ..Frame::default()
    }
}

fn views() -> Vec<(&'static str, View)> {
    let list = ListQuery::default();
    let query = DeviceQuery {
        q: Some(sample::HOSTILE.to_owned()),
        operation: Some("op-1".to_owned()),
        reason: Some("battery.low".to_owned()),
        ..DeviceQuery::default()
    };
    let assignments = AssignmentQuery {
        state: Some(AttemptState::Claimed),
        after: Some("dev-2".to_owned()),
        limit: None,
    };
    let releases = Page { items: vec![sample::release().summary], next: None, total: Some(1) };
    let operations = Page {
        items: vec![sample::operation_summary(), sample::frozen().summary],
        next: Some("op-1".to_owned()),
        total: None,
    };
    let decisions = Page { items: sample::decisions(), next: None, total: None };
    let refusal = Problem::new(ProblemCode::NotFound, format!("no device `{}`", sample::HOSTILE))
        .hint("Look at the list of devices.");
    let operation = sample::operation_ref();
    vec![
        ("fleet", console::fleet(&sample::fleet())),
        ("fleet_empty", console::fleet(&FleetSummary::default())),
        ("devices", console::devices(&sample::devices(), &query)),
        ("device", console::device(&sample::device(), &frame("/devices/dev-3"))),
        ("releases", console::releases(&releases, &list)),
        ("release", console::release(&sample::release())),
        ("operations", console::operations(&operations, &list)),
        ("operation", console::operation(&sample::operation(), &frame("/operations/op-1"))),
        ("operation_aborted", console::operation(&sample::aborted(), &frame("/operations/op-1"))),
        ("operation_frozen", console::operation(&sample::frozen(), &frame("/operations/op-2"))),
        (
            "operation_evidence",
            console::operation(&sample::under_evidence(), &frame("/operations/op-1")),
        ),
        (
            "operation_devices",
            console::operation_devices(&operation, &sample::assignments(), &assignments),
        ),
        ("decisions", console::decisions(&operation, &decisions, &list)),
        ("problem", console::problem(&refusal)),
    ]
}

/// One element a line, so that a change of a page reads as a change of lines.
fn lines(html: &str) -> String {
    html.replace("><", ">\n<")
}

#[test]
fn pages_look_as_before() {
    for (name, view) in views() {
        let html: Vec<String> =
            view.fragments().iter().map(|fragment| lines(&fragment.html)).collect();
        insta::assert_snapshot!(name, html.join("\n\n"));
    }
}

#[test]
fn the_frame_looks_as_before() {
    let frame = Frame {
        theme: Theme::Dark,
        notice: "op-1 is paused.".to_owned(),
        ..frame("/problem?x=<y>")
    };
    let view = console::operations(&Page::default(), &ListQuery::default());
    // The names of assets change with their content, which is not the frame's business.
    let html = console::assets()
        .iter()
        .fold(view.page(&frame), |html, asset| html.replace(&asset.path, "/assets/ASSET"));
    insta::assert_snapshot!("frame", lines(&html));
}

/// No text from outside becomes markup, and nothing on a page needs more than the policy allows.
#[test]
fn pages_are_safe() {
    for (name, view) in views() {
        let html = view.page(&frame(&format!("/{}", sample::HOSTILE)));
        for forbidden in
            ["<img", " style=", "<style", "javascript:", "<b>", "href=\"http", "token\" onclick"]
        {
            assert!(!html.contains(forbidden), "{name} contains {forbidden}");
        }
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script type=\"module\" src=\"/assets/").count()
        );
        let posts = html.matches("method=\"post\"").count();
        assert_eq!(html.matches("name=\"csrf\"").count(), posts, "{name}: a form without a token");
        if let Some((_, rest)) = html.split_once("onerror") {
            assert!(html.contains("&lt;img src=x onerror"), "{name}: {rest}");
        }
    }
}

#[test]
fn fragments_are_sent_when_they_change() {
    let frame = frame("/operations/op-1");
    let before = console::operation(&sample::operation(), &frame);
    let after = console::operation(&sample::aborted(), &frame);
    assert_eq!(console::changed(before.fragments(), before.fragments()).len(), 0);
    let changed: Vec<&str> = console::changed(before.fragments(), after.fragments())
        .into_iter()
        .map(|fragment| fragment.id)
        .collect();
    assert_eq!(
        changed,
        [
            "operation-status",
            "operation-orders",
            "operation-chart",
            "operation-decisions",
            "operation-facts"
        ]
    );
    let message: serde_json::Value = serde_json::from_str(&after.fragments()[0].message()).unwrap();
    assert_eq!(message["id"], "operation-status");
    assert!(message["html"].as_str().unwrap().starts_with("<section id=\"operation-status\">"));
    assert!(!after.fragments()[0].message().contains('\n'), "one line of data");
}

/// What waits for an operator can be approved where it is shown.
#[test]
fn a_gate_is_approved_on_the_page() {
    let frame = frame("/operations/op-1");
    let html = console::operation(&sample::under_evidence(), &frame).page(&frame);
    assert!(html.contains("Waits for you: "));
    assert!(html.contains("formaction=\"/operations/op-1/resume\">Approve and resume</button>"));
    let html = console::operation(&sample::operation(), &frame).page(&frame);
    assert!(!html.contains("Evidence"), "nothing of it under another rule");
}

#[test]
fn the_chart_says_everything_as_text() {
    let chart = console::chart::operation_chart(&sample::aborted());
    let svg = chart.file();
    for text in [
        "<title>Element sizes of op-1 over progress</title>",
        "Element 7: 14 devices at 28.67 %, phase generalization. ",
        "test 0–1 %",
        "cautious 1–10 %",
        "generalization 10–100 %",
        "fixed plan, 6.25 %",
        "progress, % of the targets",
        ">aborted</text>",
        "Abort: error rate 16.66 % in phase generalization is above the limit of 5 %",
    ] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert_eq!(svg.matches("<title>Element ").count(), 1 + 8);
    insta::assert_snapshot!("chart_file", lines(&svg));
}
