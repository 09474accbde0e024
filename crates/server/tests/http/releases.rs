//! Publishing, planning, starting, ordering.

use api::{
    ImportFrom, ImportRequest, LintRequest, ListQuery, ManifestFormat, OperationState,
    OrderRequest, PlanRequest, ProblemCode, StartRequest,
};

use crate::place::{Folder, Place, configuration, digest, firmware, image, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_are_refused_with_line_and_field() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let good = firmware("1.1.0", &image("1.1.0"));
    let check = async |from: &str, to: &str, line: u64, field: Option<&str>, says: &str| {
        let manifest = good.replacen(from, to, 1);
        assert_ne!(manifest, good, "{from}");
        let problem = place.refused(move |client| client.publish(&request(manifest, false))).await;
        assert_eq!(problem.code, ProblemCode::ManifestInvalid, "{problem}");
        assert_eq!((problem.line, problem.field.as_deref()), (Some(line), field), "{problem}");
        assert!(problem.message.contains(says), "{problem}");
    };
    check("class  ", "klass  ", 6, Some("klass"), "`class`").await;
    check("minor", "huge", 6, None, "`hotfix`").await;
    check("manifest = 1", "manifest = 2", 1, None, "manifest = 1").await;
    let lint = place
        .call(|client| {
            let manifest = "manifest = 2".to_owned();
            client.lint(&LintRequest { manifest, format: ManifestFormat::Toml })
        })
        .await;
    assert!(!lint.valid && lint.findings[0].error);
    // Nothing was changed by any of it.
    assert!(place.call(|client| client.releases(&ListQuery::default())).await.items.is_empty());
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_must_be_there_and_be_what_was_announced() {
    let folder = Folder::new();
    let settings = server::Settings { artifact_bytes_max: 10_000, ..folder.settings() };
    let place = Place::start(settings).await;
    let image = image("1.1.0");
    let good = firmware("1.1.0", &image);
    let sha256 = digest(&image);

    let manifest = good.clone();
    let problem = place.refused(move |client| client.publish(&request(manifest, false))).await;
    assert_eq!(problem.code, ProblemCode::ArtifactMissing);
    assert!(problem.hint.contains(&sha256), "{problem}");

    let (named, bytes) = (sha256.clone(), image.clone());
    let problem = place
        .refused(move |client| client.upload(&named, bytes.len() as u64 - 1, &bytes[1..]))
        .await;
    assert_eq!(problem.code, ProblemCode::DigestMismatch, "{problem}");

    let large = vec![0; 10_001];
    let name = digest(&large);
    let problem = place.refused(move |client| client.upload(&name, 10_001, large.as_slice())).await;
    assert_eq!(problem.code, ProblemCode::TooLarge);
    assert!(problem.to_string().contains("at most 10000"), "{problem}");

    for existed in [false, true] {
        let (named, bytes) = (sha256.clone(), image.clone());
        let receipt = place
            .call(move |client| client.upload(&named, bytes.len() as u64, bytes.as_slice()))
            .await;
        assert_eq!((receipt.size, receipt.existed), (image.len() as u64, existed));
    }

    let manifest = good.replace(&format!("size   = {}", image.len()), "size   = 5");
    let problem = place.refused(move |client| client.publish(&request(manifest, false))).await;
    assert_eq!(problem.code, ProblemCode::DigestMismatch);
    assert_eq!(problem.field.as_deref(), Some("artifact.size"), "{problem}");

    let manifest = good.clone();
    let published = place.call(move |client| client.publish(&request(manifest, false))).await;
    assert_eq!((published.release.name.as_str(), published.operation), ("rel-1", None));

    let changed = good.replace("class   = \"minor\"", "class   = \"major\"");
    let problem = place.refused(move |client| client.publish(&request(changed, false))).await;
    assert_eq!(problem.code, ProblemCode::AlreadyPublished, "{problem}");
    for name in ["rel-1", "1", "ws200-firmware", "ws200-firmware@1.1"] {
        let release = place.call(move |client| client.release(name)).await;
        assert_eq!(release.summary, published.release);
    }
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_is_planned_started_and_ordered_about() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    place.publish("1.1.0", false).await;
    let of_release = PlanRequest { release: Some("rel-1".to_owned()), ..Default::default() };
    let plan = place.call(move |client| client.plan(&of_release)).await;
    assert_eq!((plan.release.as_str(), plan.targets), ("ws200-firmware 1.1.0", 0));
    let of_manifest = PlanRequest { manifest: Some(configuration("7", 60)), ..Default::default() };
    let plan = place.call(move |client| client.plan(&of_manifest)).await;
    assert_eq!(plan.release, "ws200-reporting 7");
    let problem = place.refused(|client| client.plan(&PlanRequest::default())).await;
    assert_eq!(problem.code, ProblemCode::BadRequest, "{problem}");

    let start = |devices: &[&str]| StartRequest {
        release: "ws200-firmware".to_owned(),
        devices: devices.iter().map(ToString::to_string).collect(),
        by: Some("ada".to_owned()),
        ..Default::default()
    };
    let unknown = start(&["dev-77"]);
    let problem = place.refused(move |client| client.start(&unknown, None)).await;
    assert_eq!(problem.code, ProblemCode::NotFound, "{problem}");
    assert_eq!(problem.field.as_deref(), Some("devices"));

    let request = start(&[]);
    let first = place.call(move |client| client.start(&request, Some("key-1"))).await;
    assert_eq!((first.name.as_str(), first.origin.as_str()), ("op-1", "started by ada"));
    let request = start(&[]);
    let again = place.call(move |client| client.start(&request, Some("key-1"))).await;
    assert_eq!(again.name, "op-1");
    let policy = model::Policy { first_speed: 7, ..model::Policy::threshold() };
    let other = StartRequest { policy: Some(policy), ..start(&[]) };
    let problem = place.refused(move |client| client.start(&other, Some("key-1"))).await;
    assert_eq!(problem.code, ProblemCode::KeyReused, "{problem}");

    let order = || OrderRequest { reason: "lunch".to_owned(), by: Some("ada".to_owned()) };
    let paused = place.call(move |client| client.pause("op-1", &order())).await;
    assert_eq!(paused.state, OperationState::Paused);
    assert_eq!(paused.last_decision, "Pause: ordered by ada: lunch");
    let problem = place.refused(move |client| client.pause("op-1", &order())).await;
    assert_eq!(problem.code, ProblemCode::Conflict, "{problem}");
    let resumed = place.call(move |client| client.resume("1", &order())).await;
    assert!(!resumed.state.is_final() && resumed.state != OperationState::Paused);
    let aborted = place.call(move |client| client.abort("op-1", &order())).await;
    assert_eq!(aborted.state, OperationState::Aborted);
    let problem = place.refused(move |client| client.resume("op-1", &order())).await;
    assert_eq!(problem.code, ProblemCode::Conflict, "{problem}");

    let decisions = place.call(|client| client.decisions("op-1", &ListQuery::default())).await;
    let verdicts: Vec<&str> =
        decisions.items.iter().map(|decision| decision.verdict.as_str()).collect();
    assert_eq!(verdicts, ["abort", "resume", "pause"]);
    let page = ListQuery { limit: Some(2), after: None };
    let first = place.call(move |client| client.decisions("op-1", &page)).await;
    let page = ListQuery { limit: Some(2), after: first.next };
    let second = place.call(move |client| client.decisions("op-1", &page)).await;
    assert_eq!((first.items.len(), second.items.len(), second.next), (2, 1, None));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_other_systems_become_policies() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let import = |settings: &str| ImportRequest {
        from: ImportFrom::Aws,
        settings: serde_json::from_str(settings).unwrap(),
    };
    let job = import(r#"{"jobExecutionsRolloutConfig": {"maximumPerMinute": 50}}"#);
    let policy = place.call(move |client| client.import(&job)).await.policy;
    let rate = |policy: &model::Policy| match &policy.rule {
        model::Rule::AwsJobs(rule) => rule.per_minute_max,
        other => panic!("{other:?}"),
    };
    assert_eq!(rate(&policy), 50);
    place.publish("1.1.0", false).await;
    let release = Some("rel-1".to_owned());
    let plan = PlanRequest { release, policy: Some(policy), ..Default::default() };
    place.call(move |client| client.plan(&plan)).await;
    let job = import(r#"{"jobExecutionsRolloutConfig": {"maximumPerMinute": "many"}}"#);
    let problem = place.refused(move |client| client.import(&job)).await;
    assert_eq!(problem.code, ProblemCode::PolicyInvalid, "{problem}");
    let field = "settings.jobExecutionsRolloutConfig.maximumPerMinute";
    assert_eq!(problem.field.as_deref(), Some(field));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_page_from_the_newest_on() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    for number in 1..=5 {
        let manifest = configuration(&number.to_string(), 60 + number);
        place.call(move |client| client.publish(&request(manifest, false))).await;
    }
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let query = ListQuery { limit: Some(2), after: after.clone() };
        let page = place.call(move |client| client.releases(&query)).await;
        assert_eq!(page.total, Some(5));
        names.extend(page.items.into_iter().map(|release| release.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["rel-5", "rel-4", "rel-3", "rel-2", "rel-1"]);
    place.stop().await;
}
