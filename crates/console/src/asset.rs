//! Files that pages refer to, named by their content so that browsers may keep them for ever.

use std::sync::LazyLock;

/// What pages may load and do: our own files only, nothing inline (Content Security Policy
/// Level 3). Send it as `Content-Security-Policy` with every page.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; \
     script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// A file that pages refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its path, e.g. `/assets/console-0123456789abcdef.css`. Changes with the content, so it may
    /// be sent with `Cache-Control: public, max-age=31536000, immutable`.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// All files.
#[must_use]
pub fn assets() -> &'static [Asset] {
    &*ASSETS
}

/// The file at a path.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Path of the style sheet.
pub(crate) fn style() -> &'static str {
    &ASSETS[0].path
}

/// Path of the script.
pub(crate) fn script() -> &'static str {
    &ASSETS[1].path
}

/// Path of the icon.
pub(crate) fn icon() -> &'static str {
    &ASSETS[2].path
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        named("console", "css", "text/css; charset=utf-8", include_bytes!("../assets/console.css")),
        named(
            "console",
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/console.js"),
        ),
        named("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ]
});

fn named(name: &str, extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Asset {
    let digest = fnv1a(bytes);
    Asset { path: format!("/assets/{name}-{digest:016x}.{extension}"), content_type, bytes }
}

/// FNV-1a with 64 bits: it only has to tell versions of our own files apart, so nothing
/// cryptographic is needed.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_content() {
        // Reference values of the FNV authors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        for one in assets() {
            assert_eq!(asset(&one.path), Some(one));
        }
        assert_eq!(asset("/assets/console.css"), None);
    }

    #[test]
    fn the_script_stays_small_and_asks_nobody_else() {
        let script = std::str::from_utf8(assets()[1].bytes).unwrap();
        assert!(script.lines().count() <= 120);
        for file in assets() {
            let text = std::str::from_utf8(file.bytes).unwrap();
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("//cdn") && !foreign.contains("http"), "{}", file.path);
        }
    }

    /// WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text.
    #[test]
    fn words_stand_out_from_what_is_behind_them() {
        let style = std::str::from_utf8(assets()[0].bytes).unwrap();
        for dark in [false, true] {
            let colour = |name: &str| colour(style, name, dark);
            for behind in ["--ground", "--surface", "--raised"] {
                for word in [
                    "--text", "--muted", "--accent", "--good", "--busy", "--care", "--bad",
                    "--calm",
                ] {
                    let (a, b) = (luminance(colour(word)), luminance(colour(behind)));
                    let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                    assert!(contrast >= 4.5, "{word} on {behind}, dark {dark}: {contrast:.2}");
                }
            }
        }
    }

    /// The colour of a variable of the form `--name: light-dark(#rrggbb, #rrggbb);`.
    fn colour(style: &str, name: &str, dark: bool) -> [u8; 3] {
        let (_, rest) = style.split_once(&format!("{name}: light-dark(#")).unwrap();
        let hex = if dark { rest.split_once(", #").unwrap().1 } else { rest };
        [0, 2, 4].map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: [u8; 3]) -> f64 {
        let [red, green, blue] = colour.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}
