//! Documents that are made from the code and kept in the repository, so that they can be read
//! without building and every change of them is seen in review.
//!
//! How to add one: make the text in a test of the crate that owns its source, and end the test
//! with [`check`]. Take `xtask` as a dev-dependency for it.
//!
//! ```no_run
//! # fn document() -> String { String::new() }
//! xtask::generated::check("docs/openapi.json", &document());
//! ```

use std::fs;
use std::path::Path;

/// Compares a document with what the code makes today. With `UPDATE=1` in the environment it
/// writes the file instead. The path is relative to the root of the workspace.
///
/// # Panics
/// When the file is missing or differs, naming the first line that does and what to do; when it
/// cannot be written.
pub fn check(path: &str, expected: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    if let Err(stale) = check_in(root, path, expected, update) {
        panic!("{stale}");
    }
}

fn check_in(root: &Path, path: &str, expected: &str, update: bool) -> Result<(), String> {
    let file = root.join(path);
    let actual = fs::read_to_string(&file).ok();
    if actual.as_deref() == Some(expected) {
        return Ok(());
    }
    if update {
        let folder = file.parent().unwrap_or(root);
        return fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, expected))
            .map_err(|error| format!("{path} cannot be written: {error}"));
    }
    let Some(actual) = actual else {
        return Err(format!("{path} is missing; run the same test with UPDATE=1 to write it"));
    };
    let same = actual.lines().zip(expected.lines()).take_while(|(old, new)| old == new).count();
    Err(format!(
        "{path}:{}: not current; run the same test with UPDATE=1 to write it anew, and look at \
         the difference",
        same + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_then_current_then_stale() {
        let root = std::env::temp_dir().join(format!("xtask-generated-{}", std::process::id()));
        let path = "docs/made.txt";
        let missing = check_in(&root, path, "a\nb\n", false).unwrap_err();
        assert!(missing.starts_with("docs/made.txt is missing"), "{missing}");
        check_in(&root, path, "a\nb\n", true).unwrap();
        check_in(&root, path, "a\nb\n", false).unwrap();
        let stale = check_in(&root, path, "a\nc\n", false).unwrap_err();
        assert!(stale.starts_with("docs/made.txt:2: not current"), "{stale}");
        check_in(&root, path, "a\nc\n", true).unwrap();
        check_in(&root, path, "a\nc\n", false).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
}
