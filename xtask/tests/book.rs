//! Holds the reference pages of the book against the sources: what exists on one side only is a
//! finding. Pages are read as tables of which the first column names things in backticks.

use std::collections::BTreeSet;

use xtask::{Problems, TextFile, Workspace};

type Names = BTreeSet<String>;

const MANIFEST: &str = "crates/model/src/manifest.rs";
const POLICY: &str = "crates/model/src/policy.rs";
const EVIDENCE: &str = "crates/model/src/policy/evidence.rs";
const WINDOW: &str = "crates/model/src/policy/window.rs";
const PEER: &str = "crates/model/src/policy/peer.rs";
const SETTINGS: &str = "crates/server/src/settings.rs";
const SLOWDOWN: &str = "crates/server/src/slowdown.rs";

/// Source, type and the key under which its fields are written.
type Table<'a> = (&'a str, &'a str, &'a str);

const MANIFEST_TABLES: [Table<'_>; 12] = [
    (MANIFEST, "Manifest", ""),
    (MANIFEST, "ReleaseSection", "release."),
    (MANIFEST, "Target", "target."),
    (MANIFEST, "Artifact", "artifact."),
    (MANIFEST, "ResourceWrite", "write."),
    (MANIFEST, "Upgrade", "upgrade."),
    (MANIFEST, "Requires", "requires."),
    (MANIFEST, "BatteryRequirement", "requires.battery."),
    (MANIFEST, "LinkRequirement", "requires.link."),
    (MANIFEST, "Confirm", "confirm."),
    (MANIFEST, "Guard", "guard."),
    (MANIFEST, "Expectation", "guard.expect."),
];

const POLICY_TABLES: [Table<'_>; 28] = [
    (POLICY, "Policy", ""),
    (POLICY, "Rule", "rule."),
    (POLICY, "Stage", "rule.stages."),
    (POLICY, "Phases", "phases."),
    (POLICY, "PerPhase", "tolerated_errors."),
    (POLICY, "PerPhase", "tolerated_warnings."),
    (POLICY, "Strategy", "strategy."),
    (POLICY, "Retry", "retry."),
    (PEER, "AwsJobs", "rule."),
    (PEER, "AwsGrowth", "rule.growth."),
    (PEER, "AwsAbort", "rule.abort."),
    (PEER, "HawkBit", "rule."),
    (PEER, "HawkBitGroup", "rule.groups."),
    (PEER, "Mender", "rule."),
    (PEER, "MenderPhase", "rule.phases."),
    (PEER, "Edgehog", "rule."),
    (PEER, "NervesHub", "rule."),
    (PEER, "NervesHubStep", "rule.steps."),
    (PEER, "Nebraska", "rule."),
    (PEER, "OfficeHours", "rule.office_hours."),
    (PEER, "NodeWright", "rule."),
    (PEER, "BatchGrowth", "rule.growth."),
    (PEER, "CheckedSteps", "rule."),
    (EVIDENCE, "Evidence", "rule."),
    (EVIDENCE, "Latency", "rule.latencies."),
    (EVIDENCE, "Approval", "rule.approval."),
    (POLICY, "Spread", "spread."),
    (WINDOW, "Window", "window."),
];

const SETTINGS_TABLES: [Table<'_>; 3] = [
    (SETTINGS, "Settings", ""),
    (SLOWDOWN, "Slowdown", "slowdown."),
    (SLOWDOWN, "SlowdownStage", "slowdown.stages."),
];

#[test]
fn every_page_is_in_the_summary() {
    let book = Book::read();
    let linked: Names = book
        .page("SUMMARY.md")
        .text
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect();
    let pages = book.workspace.files.iter().filter_map(|file| file.path.strip_prefix(SOURCES));
    let pages = pages.filter(|page| page.ends_with(".md") && *page != "SUMMARY.md");
    let mut problems = Problems::default();
    compare(&mut problems, "SUMMARY.md", &pages.map(str::to_owned).collect(), &linked);
    problems.expect_none();
}

#[test]
fn files_that_people_write_are_described_key_by_key() {
    let book = Book::read();
    let mut problems = Problems::default();
    for (page, tables) in [
        ("reference/manifest.md", &MANIFEST_TABLES[..]),
        ("reference/policy.md", &POLICY_TABLES),
        ("reference/settings.md", &SETTINGS_TABLES),
    ] {
        let documented = first_column(section(&book.page(page).text, "Keys"));
        compare(&mut problems, page, &book.keys(tables), &documented);
    }
    problems.expect_none();
}

#[test]
fn defaults_are_the_ones_in_force() {
    let book = Book::read();
    let mut problems = Problems::default();
    for (page, (source, name, prefix)) in [
        ("reference/policy.md", POLICY_TABLES[0]),
        ("reference/policy.md", POLICY_TABLES[3]),
        ("reference/policy.md", POLICY_TABLES[7]),
        ("reference/policy.md", POLICY_TABLES[23]),
        ("reference/settings.md", SETTINGS_TABLES[0]),
    ] {
        let defaults = defaults(book.source(source), name);
        assert!(!defaults.is_empty(), "no default of `{name}` is understood; see `rendered`");
        for (field, default) in defaults {
            let row = format!("| `{prefix}{field}` |");
            let cell = book.page(page).text.lines().find(|line| line.starts_with(&row));
            let cell = cell.and_then(|line| line.split(" | ").nth(2)).unwrap_or_default();
            let shown = cell.split(" (").next().unwrap_or(cell).replace('`', "");
            if shown != default {
                let what = format!("the default of `{prefix}{field}` is {default}, not {shown}");
                problems.line(&book.page(page).path, book.page(page).line_of(&row), what);
            }
        }
    }
    problems.expect_none();
}

#[test]
fn examples_use_keys_that_exist() {
    let book = Book::read();
    // `kind` is the tag of an enumeration, not a field.
    let mut policy = book.keys(&POLICY_TABLES);
    policy.extend(["rule.kind".to_owned(), "strategy.kind".to_owned()]);
    let mut settings = book.keys(&SETTINGS_TABLES);
    settings.extend(policy.iter().map(|key| format!("policy.{key}")));
    let kinds =
        [("manifest", book.keys(&MANIFEST_TABLES)), ("policy", policy), ("settings", settings)];
    let mut problems = Problems::default();
    let mut examples = 0;
    for file in book.workspace.files.iter().filter(|file| file.path.starts_with(SOURCES)) {
        for (kind, keys) in &kinds {
            for (line, text) in fences(file, &format!("```toml,{kind}")) {
                examples += 1;
                match text.parse::<toml::Table>() {
                    Err(error) => problems.line(&file.path, line, error),
                    Ok(table) => {
                        let mut used = Names::new();
                        collect_keys("", &toml::Value::Table(table), &mut used);
                        for key in used.difference(keys) {
                            problems.line(&file.path, line, format!("`{key}` does not exist"));
                        }
                    }
                }
            }
        }
    }
    assert!(examples > 10, "only {examples} examples were found; are the fences marked?");
    problems.expect_none();
}

#[test]
fn reason_codes_are_all_explained() {
    const PAGE: &str = "reference/reason-codes.md";
    let book = Book::read();
    let text = &book.page(PAGE).text;
    let operation = book.source("crates/model/src/operation.rs");
    let exclusions = block(book.source("crates/model/src/eligibility.rs"), "pub enum Exclusion {");
    let reasons = block(book.source("crates/model/src/decision.rs"), "pub enum Reason {");
    let renamed = |source| quoted_after(source, "#[serde(rename = \"");
    let words = |name| quoted_after(block(operation, name), "=> \"");
    let plain = |title| -> Names {
        rows(section(text, title)).map(|cells| cells[0].trim().to_owned()).collect()
    };
    let mut problems = Problems::default();
    let mut check = |expected: &Names, found: &Names| compare(&mut problems, PAGE, expected, found);
    let title = "Why a device is no target, or not yet";
    check(&renamed(exclusions), &first_column(section(text, title)));
    check(&renamed(reasons), &first_column(section(text, "Why a decision was taken")));
    check(&words("impl FaultKind {"), &plain("Why an attempt failed"));
    check(&words("impl AttemptState {"), &first_column(section(text, "States of an attempt")));
    problems.expect_none();
}

#[test]
fn events_are_described_member_by_member() {
    const PAGE: &str = "reference/events.md";
    let book = Book::read();
    let text = &book.page(PAGE).text;
    let kinds = block(book.source("crates/api/src/event.rs"), "pub enum EventKind {");
    let mut expected = Names::new();
    let mut kind = String::new();
    for line in kinds.lines().filter(|line| !line.trim_start().starts_with(['/', '#'])) {
        match indented(line) {
            Some((4, name)) if name != "Unknown" => {
                kind = snake(name);
                expected.insert(kind.clone());
            }
            Some((8, field)) => {
                expected.insert(format!("{kind}.{field}"));
            }
            _ => {}
        }
    }
    let mut found = Names::new();
    for part in text.split("\n## `").skip(1) {
        let (kind, members) = part.split_once("`\n").expect("a heading is one line");
        let members = members.split("\n## ").next().unwrap_or(members);
        found.insert(kind.to_owned());
        found.extend(first_column(members).iter().map(|member| format!("{kind}.{member}")));
    }
    let mut problems = Problems::default();
    compare(&mut problems, PAGE, &expected, &found);
    problems.expect_none();
}

#[test]
fn routes_and_refusals_are_all_listed() {
    const PAGE: &str = "reference/http.md";
    let book = Book::read();
    let text = &book.page(PAGE).text;
    let names = book.source("crates/api/src/route.rs");
    let path_of = |name: &str| -> String {
        let start = format!("pub const {name}: &str = \"");
        let path = names.split_once(&start).and_then(|(_, rest)| rest.split('"').next());
        path.unwrap_or_else(|| panic!("no route {name}")).to_owned()
    };
    let server = block(book.source("crates/server/src/http/mod.rs"), "fn interface()");
    let mut expected = Names::new();
    for route in server.split(".route(").skip(1) {
        let route = route.trim_start().strip_prefix("route::").expect("a route has a name");
        let (name, methods) = route.split_once(',').expect("a route has methods");
        for method in ["get", "put", "post", "delete"] {
            let call = format!("{method}(");
            let mut calls = methods.match_indices(&call);
            if calls.any(|(at, _)| methods[..at].ends_with([' ', '.'])) {
                expected.insert(format!("{} {}", method.to_uppercase(), path_of(name)));
            }
        }
    }
    let found = rows(section(text, "Routes"))
        .filter(|cells| cells[0].contains('`'))
        .map(|cells| format!("{} {}", cells[0].trim(), cells[1].trim()).replace('`', ""));
    let mut problems = Problems::default();
    compare(&mut problems, PAGE, &expected, &found.collect());
    let problem = book.source("crates/api/src/problem.rs");
    let (_, texts) = problem.split_once("fn as_str(").expect("problem codes have texts");
    let mut codes = quoted_after(texts.split("fn title(").next().unwrap_or(texts), "=> \"");
    codes.remove("unknown");
    compare(&mut problems, PAGE, &codes, &first_column(section(text, "Refusals")));
    problems.expect_none();
}

#[test]
fn commands_flags_and_exit_codes_are_all_listed() {
    const PAGE: &str = "reference/command-line.md";
    let book = Book::read();
    let text = &book.page(PAGE).text;
    let source = book.source("crates/cli/src/arguments.rs");
    let mut commands: Names = variants(source, "Command");
    for family in ["Device", "Release", "Operation", "Sim"] {
        let name = family.to_lowercase();
        commands.extend(variants(source, family).iter().map(|command| format!("{name} {command}")));
    }
    let headings = text.lines().filter_map(|line| {
        let name = line.strip_prefix("## `").or_else(|| line.strip_prefix("### `"))?;
        Some(name.trim_end_matches('`').to_owned())
    });
    let mut problems = Problems::default();
    compare(&mut problems, PAGE, &commands, &headings.collect());
    let words = text.split(|c: char| c.is_whitespace() || "`,;()|".contains(c));
    let mut found: Names = words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
    found.retain(|word| word.len() > 2 && !word.starts_with("---") && word != "--help");
    compare(&mut problems, PAGE, &flags(source), &found);

    const EXITS: &str = "reference/exit-codes.md";
    let exits = block(book.source("crates/cli/src/failure.rs"), "pub(crate) enum Exit {");
    let codes = exits.lines().filter_map(|line| {
        let code = line.split_once(" = ")?.1.trim_end_matches(',');
        Some(code.to_owned())
    });
    let listed = rows(&book.page(EXITS).text).map(|cells| cells[0].trim().to_owned());
    compare(&mut problems, EXITS, &codes.collect(), &listed.collect());
    problems.expect_none();
}

/// The book with the workspace it belongs to.
struct Book {
    workspace: Workspace,
}

impl Book {
    fn read() -> Self {
        Self { workspace: Workspace::read() }
    }

    fn page(&self, path: &str) -> &TextFile {
        let path = format!("{SOURCES}{path}");
        let file = self.workspace.files.iter().find(|file| file.path == path);
        file.unwrap_or_else(|| panic!("{path} is missing"))
    }

    fn source(&self, path: &str) -> &str {
        let file = self.workspace.files.iter().find(|file| file.path == path);
        let missing = || panic!("{path} is gone; correct the path in xtask/tests/book.rs");
        file.map_or_else(missing, |file| &file.text)
    }

    /// The dotted keys of a file that people write.
    fn keys(&self, tables: &[Table<'_>]) -> Names {
        let of = |(source, name, prefix): &Table<'_>| {
            let keys = fields(self.source(source), name);
            keys.into_iter().map(|key| format!("{prefix}{key}")).collect::<Vec<_>>()
        };
        tables.iter().flat_map(of).collect()
    }
}

const SOURCES: &str = "docs/src/";

fn compare(problems: &mut Problems, page: &str, expected: &Names, found: &Names) {
    assert!(!expected.is_empty(), "nothing was read from the sources for {page}");
    let path = format!("{SOURCES}{page}");
    for name in expected.difference(found) {
        problems.file(&path, format!("`{name}` is missing; describe it"));
    }
    for name in found.difference(expected) {
        problems.file(&path, format!("`{name}` does not exist in the sources; take it out"));
    }
}

/// A section of a page without its subsections' siblings, from its heading to the next.
fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let start = format!("\n## {title}\n");
    let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("no section `{title}`"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The rows of the tables of a text, without their heads.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_head = |at: usize| {
        lines.get(at).is_some_and(|line| line.starts_with("|---"))
            || lines.get(at + 1).is_some_and(|line| line.starts_with("|---"))
    };
    let kept: Vec<Vec<&str>> = lines
        .iter()
        .enumerate()
        .filter(|(at, line)| line.starts_with("| ") && !is_head(*at))
        .map(|(_, line)| line.trim_matches('|').split(" | ").collect())
        .collect();
    kept.into_iter()
}

/// What the first columns of the tables of a text name in backticks.
fn first_column(text: &str) -> Names {
    rows(text).flat_map(|cells| cells[0].split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The text of an item from the line that begins it to its closing brace.
fn block<'a>(source: &'a str, start: &str) -> &'a str {
    let at = source.find(start).unwrap_or_else(|| panic!("no `{start}`"));
    let rest = &source[at..];
    rest.find("\n}").map_or(rest, |end| &rest[..end])
}

/// The depth and the name that begins a line, if a name does.
fn indented(line: &str) -> Option<(usize, &str)> {
    let trimmed = line.trim_start();
    let name = trimmed.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!name.is_empty()).then_some((line.len() - trimmed.len(), name))
}

/// The fields of a struct, or of all variants of an enumeration together.
fn fields(source: &str, name: &str) -> Names {
    let start = [format!("pub struct {name} {{"), format!("pub enum {name} {{")]
        .into_iter()
        .find(|start| source.contains(start.as_str()))
        .unwrap_or_else(|| panic!("no type `{name}`"));
    let is_enum = start.starts_with("pub enum");
    let lines = block(source, &start).lines().skip(1);
    lines
        .filter(|line| line.contains(": ") && !line.trim_start().starts_with(['/', '#']))
        .filter_map(|line| match line.strip_prefix("    pub ") {
            Some(field) => Some(indented(field)?.1),
            None if is_enum => Some(indented(line)?.1),
            None => None,
        })
        .map(str::to_owned)
        .collect()
}

/// The variants of an enumeration of commands, as they are typed.
fn variants(source: &str, name: &str) -> Names {
    let mut renamed = None;
    let mut found = Names::new();
    for line in block(source, &format!("pub(crate) enum {name} {{")).lines().skip(1) {
        if let Some((_, rest)) = line.split_once("#[command(name = \"") {
            renamed = rest.split('"').next();
        } else if let Some((4, variant)) = indented(line) {
            found.insert(renamed.take().map_or_else(|| snake(variant), str::to_owned));
        }
    }
    found
}

/// The long flags of a command line.
fn flags(source: &str) -> Names {
    let source = source.split("#[cfg(test)]").next().unwrap_or(source);
    let mut found = Names::new();
    for part in source.split("#[arg(").skip(1) {
        let Some((attribute, rest)) = part.split_once(")]\n") else { continue };
        let words = || attribute.split([',', '\n']).map(str::trim);
        let named = words().find_map(|word| word.strip_prefix("long = \""));
        let alias = words().find_map(|word| word.strip_prefix("visible_alias = \""));
        let field = rest.trim_start().trim_start_matches("pub(crate) ");
        let field = indented(field).map(|(_, name)| name.replace('_', "-"));
        let name = match named {
            Some(name) => Some(name.trim_end_matches('"').to_owned()),
            None => field.filter(|_| words().any(|word| word == "long")),
        };
        let alias = alias.map(|alias| alias.trim_end_matches('"').to_owned());
        found.extend(name.into_iter().chain(alias).map(|name| format!("--{name}")));
    }
    found
}

/// The texts that follow a piece of code.
fn quoted_after(source: &str, before: &str) -> Names {
    let texts = source.split(before).skip(1).filter_map(|rest| rest.split('"').next());
    texts.map(str::to_owned).collect()
}

/// `DeviceHold` as `device_hold`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// The defaults of a type that are plain numbers, rates or spans, as files write them; those of a
/// table inside it with a dotted key.
fn defaults(source: &str, name: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut table = String::new();
    for line in block(source, &format!("impl Default for {name} {{")).lines() {
        let line = line.trim().trim_start_matches("Self {").trim_end_matches(" }");
        if line.starts_with('}') {
            table.clear();
        }
        for (field, value) in line.split(", ").filter_map(|pair| pair.trim().split_once(": ")) {
            if value.ends_with('{') {
                table = format!("{field}.");
            } else if let Some(value) = rendered(value.trim_end_matches(',')) {
                found.push((format!("{table}{field}"), value));
            }
        }
    }
    found
}

fn rendered(value: &str) -> Option<String> {
    let call = |name: &str| value.strip_prefix(name)?.strip_suffix(')').and_then(number);
    if let Some(percent) = call("Rate::percent(") {
        return Some(format!("{percent} %"));
    }
    if let Some(mut left) = call("Span::secs(") {
        let mut text = String::new();
        for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if left >= size {
                text.push_str(&format!("{}{unit}", left / size));
                left %= size;
            }
        }
        return Some(text);
    }
    match value {
        "true" | "false" => Some(value.to_owned()),
        _ => Some(number(value)?.to_string()),
    }
}

/// A number as sources write it: `10_000`, `24 * 3_600`, `8 << 20`.
fn number(text: &str) -> Option<u64> {
    if let Some((a, b)) = text.split_once(" * ") {
        return Some(number(a)? * number(b)?);
    }
    if let Some((a, b)) = text.split_once(" << ") {
        return Some(number(a)? << number(b)?);
    }
    text.replace('_', "").parse().ok()
}

/// The code blocks of a page that are marked like this, with the line they begin on.
fn fences(file: &TextFile, mark: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (at, line) in file.lines() {
        if line == mark {
            inside = true;
            found.push((at, String::new()));
        } else if line.starts_with("```") {
            inside = false;
        } else if let (true, Some((_, text))) = (inside, found.last_mut()) {
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

/// The dotted keys of a value; tables in lists count as one table.
fn collect_keys(prefix: &str, value: &toml::Value, keys: &mut Names) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                keys.insert(format!("{prefix}{key}"));
                collect_keys(&format!("{prefix}{key}."), value, keys);
            }
        }
        toml::Value::Array(items) => {
            items.iter().for_each(|item| collect_keys(prefix, item, keys));
        }
        _ => {}
    }
}

#[test]
fn helpers_read_sources_right() {
    assert_eq!(snake("DeviceHold"), "device_hold");
    for (value, expected) in [
        ("Rate::percent(25)", Some("25 %")),
        ("Span::secs(24 * 3_600)", Some("1d")),
        ("Span::secs(100)", Some("1m40s")),
        ("8 << 20", Some("8388608")),
        ("10_000", Some("10000")),
        ("false", Some("false")),
        ("loops.parallel_max", None),
    ] {
        assert_eq!(rendered(value).as_deref(), expected, "{value}");
    }
    let source = "pub(crate) enum Sim {\n    /// Fleet\n    Fleet(A),\n    \
                  #[command(name = \"figure-5\")]\n    Figure5 {\n        out: B,\n    },\n}\n";
    assert_eq!(variants(source, "Sim"), ["figure-5", "fleet"].map(str::to_owned).into());
    let source = "#[arg(short, long, visible_alias = \"watch\")]\n pub(crate) wait: bool,\n\
                  #[arg(long = \"match\", value_name = \"TEXT\")]\n pub(crate) text: A,\n\
                  #[arg(hide = true)]\n pub(crate) other: B,\n";
    assert_eq!(flags(source), ["--match", "--wait", "--watch"].map(str::to_owned).into());
    let table = "| key | b |\n|---|---|\n| `a`, `c` | `d` |\n";
    assert_eq!(first_column(table), ["a", "c"].map(str::to_owned).into());
}
