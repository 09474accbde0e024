//! What a manifest says, held against what devices can do.

use api::{Finding, LintReport, LintRequest, ManifestFormat};
use model::{Manifest, ManifestError};

/// Looks at a manifest without publishing it, as the server does before it publishes one.
#[must_use]
pub fn lint(request: &LintRequest) -> LintReport {
    let mut report = LintReport::of(request);
    if !report.valid {
        return report;
    }
    match read(request.format, &request.manifest) {
        Ok(manifest) => {
            let remarks = fleet::manifest_remarks(&manifest).into_iter();
            report.findings.extend(remarks.map(|message| Finding {
                error: false,
                message,
                line: None,
                column: None,
            }));
        }
        Err(error) => {
            let finding = Finding {
                error: true,
                message: error.message,
                line: Some(error.line as u64),
                column: Some(error.column as u64),
            };
            report.valid = false;
            report.findings.insert(0, finding);
        }
    }
    report
}

/// Reads a manifest, and refuses one that asks of devices what none can do.
///
/// # Errors
/// [`ManifestError`] points at line and column.
pub(crate) fn read(format: ManifestFormat, text: &str) -> Result<Manifest, ManifestError> {
    let manifest = format.read(text)?;
    match fleet::check_manifest(&manifest) {
        Ok(()) => Ok(manifest),
        Err(unfit) => {
            let (line, column) = place(text, unfit.path().as_str());
            Err(ManifestError { line, column, message: unfit.to_string() })
        }
    }
}

/// Line and column of a text in quotes, both from 1.
fn place(text: &str, wanted: &str) -> (usize, usize) {
    let quoted = ['"', '\''].map(|quote| format!("{quote}{wanted}{quote}"));
    let at = quoted.iter().find_map(|quoted| text.find(quoted)).unwrap_or_default();
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_device_can_do_is_shown_with_its_place() {
        let text = "manifest = 1\n[release]\nname = \"a\"\nversion = \"1\"\nclass = \"minor\"\n\
                    [[target]]\nmanufacturer = \"A\"\nmodel = \"B\"\n\
                    [[write]]\n path = '/5/0/1'\nvalue = \"coap://h/f\"\n";
        let check = |text: &str, place: Option<(u64, u64)>| {
            let request = LintRequest { manifest: text.to_owned(), format: ManifestFormat::Auto };
            let report = lint(&request);
            let error = report.findings.iter().find(|finding| finding.error);
            let found = error.and_then(|error| error.line.zip(error.column));
            assert_eq!((report.valid, found), (place.is_none(), place), "{report:?}");
            assert_eq!(read(request.format, text).is_ok(), place.is_none());
        };
        check(text, Some((10, 9)));
        check(&text.replace("/5/0/1", "/1/0/1"), None);
    }
}
