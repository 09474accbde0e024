//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// The checked-out workspace, read as text.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// The crates, ordered by name.
    pub crates: Vec<Crate>,
    /// Every text file that belongs to the repository, ordered by path.
    pub files: Vec<TextFile>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root, e.g. `crates/model`.
    pub folder: String,
    /// Its manifest.
    pub manifest: Table,
}

/// A text file.
#[derive(Debug)]
pub struct TextFile {
    /// Its path relative to the root, with `/` between the parts.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Workspace {
    /// Reads the workspace that this crate was built in.
    ///
    /// # Panics
    /// When a file cannot be read or a manifest is no TOML: without them no rule can be checked.
    #[must_use]
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
        let mut files = Vec::new();
        collect(root, root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let crates = files
            .iter()
            .filter_map(|file| {
                let folder = file.path.strip_suffix("/Cargo.toml")?;
                let manifest: Table =
                    file.text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.path));
                let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
                Some(Crate { name, folder: folder.to_owned(), manifest })
            })
            .collect();
        Self { root: root.to_owned(), crates, files }
    }

    /// The crate of that name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|package| package.name == name)
    }

    /// The text files of a crate whose name ends like this, e.g. `.rs`.
    pub fn files_of<'a>(
        &'a self,
        package: &'a Crate,
        ending: &'a str,
    ) -> impl Iterator<Item = &'a TextFile> {
        self.files.iter().filter(move |file| {
            file.path.strip_prefix(&package.folder).is_some_and(|rest| rest.starts_with('/'))
                && file.path.ends_with(ending)
        })
    }

    /// Whether a path relative to the root exists.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

impl Crate {
    /// Names of what it depends on, with the line of each in its manifest.
    ///
    /// Tables of a target (`[target.….dependencies]`) count too.
    #[must_use]
    pub fn dependencies(&self, kind: &str) -> Vec<String> {
        let of = |table: &Table| -> Vec<String> {
            let found = table.get(kind).and_then(toml::Value::as_table);
            found.map(|found| found.keys().cloned().collect()).unwrap_or_default()
        };
        let mut names = of(&self.manifest);
        let targets = self.manifest.get("target").and_then(toml::Value::as_table);
        for target in targets.into_iter().flat_map(Table::values) {
            names.extend(target.as_table().map(of).unwrap_or_default());
        }
        names
    }

    /// Path of its manifest.
    #[must_use]
    pub fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

impl TextFile {
    /// Its lines with their numbers, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The line that begins with this, or the first.
    #[must_use]
    pub fn line_of(&self, start: &str) -> usize {
        self.lines().find(|(_, line)| line.trim_start().starts_with(start)).map_or(1, |(at, _)| at)
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<TextFile>) {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link leads to a file that is met anyway, or out of the repository.
        let Ok(kind) = entry.file_type() else { continue };
        let hidden = name.starts_with('.') && !HIDDEN_BUT_OURS.contains(&name.as_str());
        if hidden || kind.is_symlink() || NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            // What is no UTF-8 is no text: images, captured packets.
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            files.push(TextFile { path: parts.join("/"), text });
        }
    }
}

/// Folders that tools fill.
const NOT_OURS: [&str; 3] = ["target", "node_modules", "bellwether-data"];

/// Hidden names that belong to the repository.
const HIDDEN_BUT_OURS: [&str; 3] = [".ci", ".gitignore", ".github"];
