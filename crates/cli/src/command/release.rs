//! `release`.

mod manifest;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use api::client::Client;
use api::{LintReport, PublishRequest, PublishResponse, ReleaseDetail};

use self::manifest::Checked;
use super::device::list_query;
use super::{operator, print_list, read_policy, watch};
use crate::arguments::{Limit, Publish, Release};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table::Table;
use crate::view;

pub(super) fn run(
    command: &Release,
    client: impl FnOnce() -> Result<Client, Failure>,
    output: &Output,
) -> Result<Exit, Failure> {
    match command {
        Release::Lint { file } => lint(file, output),
        Release::Publish(publish) => self::publish(publish, &client()?, output),
        Release::List(limit) => list(limit, &client()?, output),
        Release::Show { release } => show(&client()?.release(&release.release)?, output),
    }
}

fn lint(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let checked = manifest::check(file)?;
    if output.is_for_people() {
        for finding in &checked.report.findings {
            output.line(&manifest::line(file, finding))?;
        }
        if let Some(title) = checked.title().filter(|_| checked.report.valid) {
            output.note(&format!("{title} can be published"));
        }
    } else {
        output.json(&checked.report)?;
    }
    Ok(if checked.report.valid { Exit::Done } else { Exit::Failed })
}

fn publish(arguments: &Publish, client: &Client, output: &Output) -> Result<Exit, Failure> {
    if arguments.wait.wait && !arguments.start {
        return Err(Failure::new(
            Exit::Usage,
            "--wait waits for an operation, and none is started",
        )
        .hint("add --start"));
    }
    let policy = read_policy(&arguments.policy)?;
    let response = publish_file(&arguments.file, arguments.start, policy, client)?;
    for remark in &response.remarks {
        output.note(&format!("remark: {remark}"));
    }
    if arguments.wait.wait
        && let Some(operation) = &response.operation
    {
        return watch::run(&operation.name, &arguments.wait, client, output);
    }
    published(&response, output)
}

fn published(response: &PublishResponse, output: &Output) -> Result<Exit, Failure> {
    if !output.is_for_people() {
        output.json(response)?;
        return Ok(Exit::Done);
    }
    let reference = response.release.reference();
    output.line(&format!("{} is published", view::release(&reference)))?;
    match &response.operation {
        Some(operation) => {
            let targets = operation.counts.targets;
            output.line(&format!("{} is open for it: {targets} targets", operation.name))?;
            output.note(&format!("watch it with `bellwether operation get -w {}`", operation.name));
        }
        None => output.note(&format!(
            "see what it would do with `bellwether operation plan {0}@{1}`, and how it would go with \
             `bellwether operation rehearse {0}@{1}`",
            reference.release, reference.version
        )),
    }
    Ok(Exit::Done)
}

/// Checks a manifest and its image, uploads the image and publishes the release.
pub(crate) fn publish_file(
    file: &Path,
    start: bool,
    policy: Option<model::Policy>,
    client: &Client,
) -> Result<PublishResponse, Failure> {
    let Checked { text, image, report, .. } = manifest::check(file)?;
    if let Some(finding) = refusal(&report) {
        return Err(Failure::of(manifest::line(file, finding))
            .hint("nothing was published; correct the manifest and publish again"));
    }
    if let Some(image) = image {
        let bytes = File::open(&image.path).map_err(|error| Failure::file(&image.path, &error))?;
        client.upload(&image.sha256.to_string(), image.size, BufReader::new(bytes))?;
    }
    let request = PublishRequest {
        manifest: text,
        format: api::ManifestFormat::Auto,
        start,
        policy,
        by: Some(operator()),
    };
    Ok(client.publish(&request)?)
}

fn refusal(report: &LintReport) -> Option<&api::Finding> {
    report.findings.iter().find(|finding| finding.error)
}

fn list(limit: &Limit, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let mut page = |after, limit| client.releases(&list_query(after, limit));
    print_list(output, limit, &mut page, |releases| {
        if releases.is_empty() {
            output.note("no releases; publish one with `bellwether release publish FILE`");
            return Ok(());
        }
        let mut table =
            Table::new(["NAME", "RELEASE", "KIND", "CLASS", "FOR", "SIZE", "PUBLISHED", "BY"]);
        for release in releases {
            table.row([
                release.name.clone(),
                release.reference().title(),
                release.kind.as_str().to_owned(),
                release.class.clone(),
                release.kinds.join(", "),
                format!("{} B", release.size),
                format!("{} {}", release.published.day(), release.published.time_of_day()),
                release.by.clone(),
            ]);
        }
        table.print(output)
    })
}

fn show(release: &ReleaseDetail, output: &Output) -> Result<Exit, Failure> {
    if !output.is_for_people() {
        output.json(release)?;
        return Ok(Exit::Done);
    }
    let paint = output.paint();
    let summary = &release.summary;
    let line = |name: &str, text: &str| output.line(&view::labelled(name, text, paint));
    output.line(&paint.strong(view::release(&summary.reference())))?;
    line("kind", &format!("{}, {}", summary.kind.as_str(), summary.class))?;
    if summary.security {
        line("security", "fixes a vulnerability")?;
    }
    if !summary.summary.is_empty() {
        line("summary", &summary.summary)?;
    }
    let (day, time) = (summary.published.day(), summary.published.time_of_day());
    line("published", &format!("{day} {time} by {}", summary.by))?;
    for target in &release.targets {
        let hardware = if target.hardware.is_empty() {
            "any hardware".to_owned()
        } else {
            format!("hardware {}", target.hardware.join(", "))
        };
        line("for", &format!("{} / {}, {hardware}", target.manufacturer, target.model))?;
    }
    if let Some(artifact) = &release.artifact {
        let api::ArtifactView { size, sha256, delivery, .. } = artifact;
        line("image", &format!("{size} bytes, delivery {delivery}, sha256 {sha256}"))?;
    }
    for write in &release.writes {
        line("writes", &format!("{} = {}", write.path, write.value))?;
    }
    for upgrade in &release.upgrades {
        let blocked = if upgrade.blocked { ", blocked: " } else { "" };
        line("from", &format!("{}{blocked}{}", upgrade.from, upgrade.reason))?;
    }
    release.requirements.iter().try_for_each(|text| line("requires", text))?;
    line("success", &release.confirm)?;
    for guard in &release.guards {
        line("guard", &format!("{} ({}): {}", guard.name, guard.path, guard.expects))?;
    }
    release.remarks.iter().try_for_each(|remark| line("remark", remark))?;
    for operation in &summary.operations {
        line("operation", &operation.name)?;
    }
    Ok(Exit::Done)
}
