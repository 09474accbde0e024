//! Manifests are checked before any server sees them.

use crate::common::{Folder, run};

const MANIFEST: &str = r#"manifest = 1

[release]
name    = "ws200-firmware"
version = "1.1.0"
class   = "minor"

[[target]]
manufacturer = "ACME"
model        = "WS-200"

[[artifact]]
size   = 3
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
file   = "image.bin"
"#;

/// Checks the manifest after replacing a part of it; the image is `abc`.
fn check(name: &str, part: &str, other: &str, expected: &str) {
    let folder = Folder::new(name);
    folder.file("image.bin", b"abc");
    let file = folder.file("m.toml", MANIFEST.replace(part, other).as_bytes());
    let file = file.to_str().unwrap();
    for arguments in [&["release", "lint", file][..], &["release", "publish", file]] {
        let ran = run(arguments);
        let said = ran.stdout.clone() + &ran.stderr;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(said.contains(&format!("{file}{expected}")), "{said}");
    }
}

#[test]
fn mistakes_are_shown_with_their_place() {
    check("key", "class ", "clas ", ":6:1: error: unknown field `clas`");
    check("class", "\"minor\"", "\"tiny\"", ":6:11: error: ");
    check("size", "size   = 3", "size   = 4", ":13:1: error: `size` is 4, but ");
    check("digest", "sha256 = \"ba", "sha256 = \"bb", ":14:1: error: `sha256` is not that of ");
    check("image", "image.bin", "other.bin", ":15:1: error: the image cannot be read: ");
    let guard =
        "file   = \"image.bin\"\n[[guard]]\nname = \"g\"\npath = \"/5/0/0\"\nexpect = { min = 1 }";
    check(
        "guard",
        "file   = \"image.bin\"",
        guard,
        ":18:8: error: /5/0/0 (Package) cannot be read",
    );
    let image = &MANIFEST[MANIFEST.find("[[artifact]]").unwrap()..];
    let write = "[[write]]\npath = \"/5/0/2\"\nvalue = 1";
    check("write", image, write, ":13:8: error: /5/0/2 must not be written by a configuration");
    check("syntax", "[[target]]", "[[target]", ":8:");
}

#[test]
fn a_good_manifest_is_said_to_be_good() {
    let folder = Folder::new("good");
    folder.file("image.bin", b"abc");
    let file = folder.file("m.toml", MANIFEST.as_bytes());
    let file = file.to_str().unwrap();
    let ran = run(["release", "lint", file]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stderr, "ws200-firmware 1.1.0 can be published\n");
    assert!(ran.stdout.lines().all(|line| line.starts_with(&format!("{file}: remark: "))));
    let ran = run(["release", "lint", file, "-o", "jsonl"]);
    assert!(ran.stdout.starts_with(r#"{"valid":true,"findings":["#), "{ran:?}");
    let ran = run(["release", "lint", "/nowhere/m.toml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.starts_with("error: /nowhere/m.toml: there is no such file\nhint: check"));
    let bytes = folder.file("bytes.toml", b"\xff\xfe");
    for (path, says) in [
        (folder.path(), ": this is a folder, and a file is needed\nhint: name a file in it\n"),
        (bytes.as_path(), ": this is not text in UTF-8\nhint: save it as UTF-8"),
    ] {
        let ran = run(["release", "lint", path.to_str().unwrap()]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains(says), "{ran:?}");
    }
    let ran = run(["release", "publish", file, "--wait"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}
