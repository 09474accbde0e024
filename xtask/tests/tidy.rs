//! Rules of the house that no lint can hold. Each finding names file, line and what to do.
//!
//! Documents made from the code are checked where they are made; see `xtask::generated`.

use std::collections::{BTreeMap, BTreeSet};

use xtask::{Crate, Problems, TextFile, Workspace, code_only};

/// The allowed arrows between the rooms. A new arrow is a design change: argue it in
/// ARCHITECTURE.md, then add it here.
const ARROWS: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("coap", &[]),
    ("lwm2m", &["coap"]),
    ("fleet", &["model", "lwm2m", "coap"]),
    ("operations", &["model"]),
    ("engine", &["model", "coap", "lwm2m", "fleet", "operations"]),
    ("store", &["model"]),
    ("api", &["model"]),
    ("console", &["api", "model"]),
    (
        "server",
        &["model", "coap", "lwm2m", "fleet", "operations", "engine", "store", "api", "console"],
    ),
    ("sim", &["model", "coap", "lwm2m", "fleet", "operations", "engine", "store"]),
    ("cli", &["server", "sim", "api", "console", "model"]),
];

/// Rooms without I/O, clock, thread and randomness.
const PURE: [&str; 6] = ["model", "coap", "lwm2m", "fleet", "operations", "engine"];

/// Pure rooms that decide; no hash order may reach a decision.
const DECIDING: [&str; 4] = ["model", "fleet", "operations", "engine"];

/// Libraries that only some rooms may know.
const LIBRARIES: [(&[&str], &[&str]); 5] = [
    (&["rusqlite", "sqlx", "diesel", "postgres", "tokio-postgres"], &["store"]),
    (&["tokio", "tokio-stream", "socket2", "futures-util"], &["server", "sim", "cli"]),
    (&["axum", "hyper", "ureq", "reqwest", "tower", "utoipa-axum"], &["api", "server", "cli"]),
    (&["clap", "clap_complete", "indicatif", "tracing-subscriber"], &["cli"]),
    (&["rand", "getrandom", "fastrand", "chrono", "time"], &["server", "cli"]),
];

#[test]
fn rooms_depend_along_the_arrows_only() {
    let workspace = Workspace::read();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut problems = Problems::default();
    for package in rooms(&workspace) {
        let Some(allowed) = arrows.get(package.name.as_str()) else {
            problems.file(
                &package.manifest_path(),
                "this room has no line in ARROWS of xtask/tests/tidy.rs; add one, and say in \
                 ARCHITECTURE.md why its wall is needed",
            );
            continue;
        };
        for kind in KINDS {
            for name in package.dependencies(kind) {
                let is_room = arrows.contains_key(name.as_str());
                if is_room && !allowed.contains(&name.as_str()) {
                    let what = format!(
                        "`{}` may not depend on `{name}` ({kind}); move what is shared into a \
                         room that both may use, or argue the arrow in ARCHITECTURE.md",
                        package.name
                    );
                    problems.line(&package.manifest_path(), line(&workspace, package, &name), what);
                }
            }
        }
    }
    problems.expect_none();
}

#[test]
fn libraries_stay_in_their_rooms() {
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for package in rooms(&workspace) {
        for name in KINDS.iter().flat_map(|kind| package.dependencies(kind)) {
            for (libraries, knowing) in LIBRARIES {
                if libraries.contains(&name.as_str()) && !knowing.contains(&package.name.as_str()) {
                    let what = format!(
                        "`{name}` belongs to {} only; return a value and let that room do it",
                        knowing.join(", ")
                    );
                    problems.line(&package.manifest_path(), line(&workspace, package, &name), what);
                }
            }
        }
    }
    problems.expect_none();
}

/// Paper A: the loops are managers that exchange messages.
#[test]
fn loops_do_not_import_each_other() {
    const LOOPS: [&str; 3] = ["generation", "enforcement", "regulation"];
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for file in &workspace.files {
        let Some(inside) = file.path.strip_prefix("crates/operations/src/") else { continue };
        let module = inside.split(['/', '.']).next().unwrap_or(inside);
        if !LOOPS.contains(&module) || !inside.ends_with(".rs") {
            continue;
        }
        for (at, line) in (1..).zip(code_only(&file.text).lines()) {
            for other in LOOPS.into_iter().filter(|other| *other != module) {
                if names_module(line, other) {
                    let what = format!(
                        "`{module}` may not know `{other}`; exchange a type of the module \
                         `message` instead"
                    );
                    problems.line(&file.path, at, what);
                }
            }
        }
    }
    problems.expect_none();
}

#[test]
fn pure_rooms_have_nothing_asynchronous() {
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for package in PURE.iter().filter_map(|name| workspace.package(name)) {
        for file in workspace.files_of(package, ".rs") {
            for (at, line) in (1..).zip(code_only(&file.text).lines()) {
                for word in ["async", "await", "tokio"] {
                    if words(line).any(|(_, found)| found == word) {
                        let what = format!(
                            "`{word}` in a pure room; return a value and let `server` do it"
                        );
                        problems.line(&file.path, at, what);
                    }
                }
            }
        }
    }
    problems.expect_none();
}

/// A crate's own `clippy.toml` replaces the one of the root, so each pure room repeats it all.
#[test]
fn pure_rooms_forbid_clock_socket_thread_and_file() {
    const METHODS: [&str; 6] = [
        "std::time::Instant::now",
        "std::time::SystemTime::now",
        "std::net::UdpSocket::bind",
        "std::thread::spawn",
        "std::fs::read_to_string",
        "std::env::var",
    ];
    const TYPES: [&str; 2] = ["std::collections::HashMap", "std::collections::HashSet"];
    const SETTINGS: [&str; 2] = ["allow-unwrap-in-tests", "too-many-lines-threshold"];
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for package in PURE.iter().filter_map(|name| workspace.package(name)) {
        let path = format!("{}/clippy.toml", package.folder);
        let Some(file) = workspace.files.iter().find(|file| file.path == path) else {
            problems.file(&path, "is missing; copy it from `operations`");
            continue;
        };
        let settings: toml::Table = match file.text.parse() {
            Ok(settings) => settings,
            Err(error) => {
                problems.file(&path, error);
                continue;
            }
        };
        for setting in SETTINGS.into_iter().filter(|setting| !settings.contains_key(*setting)) {
            problems.file(&path, format!("`{setting}` is missing; copy it from the root"));
        }
        let types: &[&str] = if DECIDING.contains(&package.name.as_str()) { &TYPES } else { &[] };
        for (key, wanted) in [("disallowed-methods", &METHODS[..]), ("disallowed-types", types)] {
            let forbidden = forbidden(&settings, key);
            for path_of in wanted.iter().filter(|wanted| !forbidden.contains(**wanted)) {
                problems.file(&path, format!("add `{path_of}` to `{key}`, with its reason"));
            }
        }
    }
    problems.expect_none();
}

#[test]
fn files_are_short_enough_to_be_read() {
    const LINES_MAX: usize = 1_000;
    const WRITTEN: [&str; 8] = [".rs", ".md", ".sql", ".sh", ".toml", ".css", ".js", ".txt"];
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for file in &workspace.files {
        let lines = file.text.lines().count();
        if WRITTEN.iter().any(|ending| file.path.ends_with(ending)) && lines > LINES_MAX {
            let what = format!("has {lines} lines, at most {LINES_MAX} are read; split it");
            problems.line(&file.path, LINES_MAX + 1, what);
        }
    }
    problems.expect_none();
}

#[test]
fn every_crate_says_what_it_is() {
    const SHARED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for package in &workspace.crates {
        let manifest = package.manifest_path();
        let shared = |table: &str, key: &str| {
            let value = package.manifest.get(table).and_then(|table| table.get(key));
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool)
        };
        for key in SHARED.into_iter().filter(|key| shared("package", key) != Some(true)) {
            problems.file(&manifest, format!("write `{key}.workspace = true` under `[package]`"));
        }
        let lints = package.manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            problems.file(&manifest, "write `workspace = true` under `[lints]`");
        }
        if package.manifest.get("package").and_then(|table| table.get("description")).is_none() {
            problems.file(&manifest, "write a `description` of one sentence under `[package]`");
        }
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| format!("{}/{root}", package.folder));
        for file in workspace.files.iter().filter(|file| roots.contains(&file.path)) {
            let header = file.text.lines().take_while(|line| line.starts_with("//!")).count();
            if !(5..=15).contains(&header) {
                let what = format!(
                    "the header has {header} lines; in 5 to 15 say what the crate owns, what it \
                     refuses to know and which types to start from"
                );
                problems.line(&file.path, 1, what);
            }
        }
    }
    problems.expect_none();
}

#[test]
fn nothing_is_silenced_or_left_for_later() {
    const RULES: [(&str, &str); 6] = [
        ("#[allow(", "write `#[expect(lint, reason = \"…\")]`, which tells when it is not needed"),
        ("#![allow(", "write `#![expect(lint, reason = \"…\")]`"),
        ("#[ignore", "make the test run, or delete it"),
        ("todo!(", "do it, or leave the function out"),
        ("unimplemented!(", "do it, or leave the function out"),
        ("#[cfg(any())]", "delete the code; the history keeps it"),
    ];
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for file in rust(&workspace) {
        for (at, line) in (1..).zip(code_only(&file.text).lines()) {
            for (text, what) in RULES.into_iter().filter(|(text, _)| line.contains(text)) {
                problems.line(&file.path, at, format!("`{text}`: {what}"));
            }
        }
    }
    problems.expect_none();
}

#[test]
fn nothing_depends_on_a_developers_machine() {
    let folders = ["home", "Users", "root"].map(|folder| format!("/{folder}/"));
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for file in &workspace.files {
        for (at, line) in file.lines() {
            // A path begins a word: `/api/home/` is none.
            let begins = |folder: &String| {
                line.match_indices(folder.as_str()).any(|(start, _)| {
                    !line[..start].ends_with(|c: char| c.is_alphanumeric() || ".}/_-".contains(c))
                })
            };
            if let Some(folder) = folders.iter().find(|folder| begins(folder)) {
                let what = format!("`{folder}…` is one machine's path; make it relative");
                problems.line(&file.path, at, what);
            }
        }
    }
    problems.expect_none();
}

#[test]
fn documents_have_one_title_and_links_that_lead_somewhere() {
    let workspace = Workspace::read();
    let mut problems = Problems::default();
    for file in workspace.files.iter().filter(|file| file.path.ends_with(".md")) {
        let text: Vec<(usize, &str)> = outside_of_fences(file);
        let titles: Vec<usize> =
            text.iter().filter(|(_, line)| line.starts_with("# ")).map(|(at, _)| *at).collect();
        match titles[..] {
            [_] => {}
            [] => problems.line(&file.path, 1, "begin the document with its title, `# …`"),
            [_, second, ..] => {
                problems.line(&file.path, second, "a second title; make it a section, `## …`");
            }
        }
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in text {
            for target in links(line) {
                let target = target.split(['#', '?']).next().unwrap_or(target);
                if !target.is_empty() && !workspace.exists(&join(folder, target)) {
                    problems.line(&file.path, at, format!("`{target}` does not exist; correct it"));
                }
            }
        }
    }
    problems.expect_none();
}

/// The rules are only worth something while their tables name what exists.
#[test]
fn the_tables_above_name_rooms() {
    let workspace = Workspace::read();
    let rooms: BTreeSet<&str> = rooms(&workspace).map(|package| package.name.as_str()).collect();
    let named = ARROWS.iter().flat_map(|(room, to)| to.iter().chain([room]));
    for name in named.chain(&PURE).chain(&DECIDING).chain(LIBRARIES.iter().flat_map(|l| l.1)) {
        assert!(rooms.contains(name), "`{name}` is no room; correct xtask/tests/tidy.rs");
    }
}

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

fn rooms(workspace: &Workspace) -> impl Iterator<Item = &Crate> {
    workspace.crates.iter().filter(|package| package.folder.starts_with("crates/"))
}

fn rust(workspace: &Workspace) -> impl Iterator<Item = &TextFile> {
    workspace.files.iter().filter(|file| file.path.ends_with(".rs"))
}

/// The line of a dependency in the manifest of a room.
fn line(workspace: &Workspace, package: &Crate, dependency: &str) -> usize {
    let path = package.manifest_path();
    let file = workspace.files.iter().find(|file| file.path == path);
    file.map_or(1, |file| file.line_of(dependency))
}

/// The words of a line of code, with where they start.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

/// Whether a line of code names a module: in a path or in a `use`, not as a field or variable.
fn names_module(line: &str, module: &str) -> bool {
    let imports =
        line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ");
    words(line).any(|(at, word)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        word == module && (imports || before.ends_with("::") || after.starts_with("::"))
    })
}

/// The paths that a setting of `clippy.toml` forbids.
fn forbidden(settings: &toml::Table, key: &str) -> BTreeSet<String> {
    let entries = settings.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.get("path")?.as_str()?.to_owned())).collect()
}

/// The lines of a document that are no code.
fn outside_of_fences(file: &TextFile) -> Vec<(usize, &str)> {
    let mut inside = false;
    file.lines()
        .filter(|(_, line)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
        .collect()
}

/// Targets of the links of a line that lead into the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?;
        (!target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

fn join(folder: &str, target: &str) -> String {
    match target.strip_prefix('/') {
        Some(from_root) => from_root.to_owned(),
        None if folder.is_empty() => target.to_owned(),
        None => format!("{folder}/{target}"),
    }
}

#[test]
fn helpers_read_lines_right() {
    for (line, expected) in [
        ("use crate::regulation::Rule;", true),
        ("use crate::{message, regulation};", true),
        ("crate::regulation::regulate(x)", true),
        ("super::regulation(x)", true),
        ("self.regulation.tick()", false),
        ("let regulation = 3;", false),
        ("use crate::regulations::X;", false),
    ] {
        assert_eq!(names_module(line, "regulation"), expected, "{line}");
    }
    let found: Vec<&str> = links("a [b](c.md#d) e [f](https://g) ![h](i.svg \"j\")").collect();
    assert_eq!(found, ["c.md#d", "i.svg"]);
}
