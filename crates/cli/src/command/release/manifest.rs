//! A manifest and its image on disk, before any server sees them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use api::{Finding, LintReport, LintRequest, ManifestFormat};
use model::{Artifact, Manifest, Sha256};
use sha2::Digest;

use crate::command::read_text;
use crate::failure::Failure;

/// A manifest with what was found.
#[derive(Debug)]
pub(super) struct Checked {
    /// The manifest's text.
    pub(super) text: String,
    /// The manifest, when it can be read.
    pub(super) manifest: Option<Manifest>,
    /// The image it names, if it names one that can be read.
    pub(super) image: Option<Image>,
    /// What is wrong or odd.
    pub(super) report: LintReport,
}

/// An image as it lies on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) sha256: Sha256,
}

impl Checked {
    /// Name and version.
    pub(super) fn title(&self) -> Option<String> {
        let section = &self.manifest.as_ref()?.release;
        Some(format!("{} {}", section.name, section.version))
    }
}

/// Reads a manifest, and the image it names.
pub(super) fn check(file: &Path) -> Result<Checked, Failure> {
    let text = read_text(file)?;
    let request = LintRequest { manifest: text, format: ManifestFormat::Auto };
    let mut report = server::lint(&request);
    let text = request.manifest;
    let manifest = Manifest::parse(&text).ok();
    let mut image = None;
    if let Some(artifact) = manifest.as_ref().and_then(|manifest| manifest.artifact.first()) {
        match check_image(file, artifact) {
            Ok(found) => image = Some(found),
            Err((field, message)) => {
                let (line, column) = place(&text, field).unzip();
                report.valid = false;
                report.findings.insert(0, Finding { error: true, message, line, column });
            }
        }
    }
    Ok(Checked { text, manifest, image, report })
}

/// A finding in the form that editors and people know: file, line, column, words.
pub(super) fn line(file: &Path, finding: &Finding) -> String {
    let place = match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!(":{line}:{column}"),
        _ => String::new(),
    };
    let kind = if finding.error { "error" } else { "remark" };
    format!("{}{place}: {kind}: {}", file.display(), finding.message)
}

/// Compares the image with what the manifest says; an error names the field at fault.
fn check_image(file: &Path, artifact: &Artifact) -> Result<Image, (&'static str, String)> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let path = folder.join(&artifact.file);
    let (size, sha256) = measure(&path).map_err(|error| {
        let what = Failure::file(&path, &error).message;
        ("file", format!("the image cannot be read: {what}; put it there or correct `file`"))
    })?;
    if size != artifact.size {
        return Err((
            "size",
            format!("`size` is {}, but {} has {size} bytes", artifact.size, path.display()),
        ));
    }
    if sha256 != artifact.sha256 {
        return Err((
            "sha256",
            format!("`sha256` is not that of {}, which is {sha256}", path.display()),
        ));
    }
    Ok(Image { path, size, sha256 })
}

fn measure(path: &Path) -> std::io::Result<(u64, Sha256)> {
    let mut file = File::open(path)?;
    let mut digest = sha2::Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, Sha256(digest.finalize().into()))),
            read => {
                size += read as u64;
                digest.update(&buffer[..read]);
            }
        }
    }
}

/// Line and column of a key, as TOML (`key =`) or JSON (`"key":`) writes it.
fn place(text: &str, key: &str) -> Option<(u64, u64)> {
    text.lines().enumerate().find_map(|(number, line)| {
        let at = line.find(key)?;
        let before = line[..at].trim().trim_matches(['{', ',', '"']).is_empty();
        let after = line[at + key.len()..].trim_start_matches('"').trim_start();
        let found = before && after.starts_with(['=', ':']);
        found.then(|| (number as u64 + 1, line[..at].chars().count() as u64 + 1))
    })
}

/// How much of an image is in memory at a time.
const READ_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_are_written() {
        for (text, key, expected) in [
            ("a = 1\n  size   = 4", "size", Some((2, 3))),
            ("# size = 3\nsize = 4", "size", Some((2, 1))),
            ("{\n \"size\" : 4}", "size", Some((2, 3))),
            ("oversize = 4", "size", None),
            ("file = \"size = 1\"", "size", None),
        ] {
            assert_eq!(place(text, key), expected, "{text}");
        }
    }
}
