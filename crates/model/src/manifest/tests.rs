use super::*;

const FIRMWARE: &str = r#"
manifest = 1

[release]
name    = "ws200-firmware"
version = "2.0.0"
class   = "major"

[[target]]
manufacturer = "ACME"
model        = "WS-200"
hardware     = ["B", "C"]

[[artifact]]
size   = 4
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
file   = "app.bin"

[[upgrade]]
from = ">=1.2.0, <2.0.0"

[requires]
battery = { percent = 40, or_external_power = true }
link    = { min_rssi_dbm = -105 }

[confirm]
within = "15m"

[[guard]]
name   = "free memory"
path   = "/3/0/10"
expect = { min_percent_of_baseline = 80 }
"#;

#[test]
fn a_firmware_manifest_reads_and_survives_a_json_round_trip() {
    let manifest = Manifest::from_toml(FIRMWARE).unwrap();
    assert!(manifest.is_firmware());
    assert_eq!(manifest.priority(), 10);
    let json = serde_json::to_string(&manifest).unwrap();
    assert_eq!(Manifest::parse(&json).unwrap(), manifest);
}

/// Replaces one text of the good manifest and expects an error there that says what is allowed.
fn check(good: &str, bad: &str, line: usize, says: &[&str]) {
    assert!(FIRMWARE.contains(good), "{good}");
    let error = Manifest::from_toml(&FIRMWARE.replacen(good, bad, 1)).unwrap_err();
    assert_eq!(error.line, line, "{error}");
    for word in says {
        assert!(error.message.contains(word), "`{error}` should say `{word}`");
    }
}

#[test]
fn errors_point_at_the_line_and_say_what_is_allowed() {
    check("class   =", "klass   =", 7, &["unknown field `klass`", "`class`"]);
    check("[confirm]", "max_age = \"0s\"\n[confirm]", 26, &["`max_age` is 0"]);
    check("\"major\"", "\"huge\"", 7, &["unknown variant `huge`", "`critical`", "`hotfix`"]);
    check("manifest = 1", "manifest = 2", 2, &["format 2", "manifest = 1"]);
    check("9f86d0", "9F86D0", 16, &["64 lower-case hexadecimal"]);
    check(">=1.2.0, <2.0.0", ">=", 20, &["range of versions", "1.2.*"]);
    check("\"15m\"", "\"15 minutes\"", 27, &["span of time", "1h30m"]);
    check("/3/0/10", "/3/0", 31, &["/object/instance/resource"]);
    check("percent = 40", "percent = 140", 23, &["140", "0 to 100"]);
    check("percent = 40", "percent = 400", 23, &["400", "0 to 100"]);
    check("percent = 40", "percent = -1", 23, &["-1", "0 to 100"]);
    check("percent = 40", "percent = \"forty\"", 23, &["whole number", "0 to 100"]);
    check("\"15m\"", "\"0s\"", 27, &["`within` is 0", "install"]);
    check("min_percent_of_baseline = 80", "", 32, &["expects nothing"]);
    check("ws200-firmware", "WS 200", 5, &["release name", "lower-case"]);
}

#[test]
fn a_release_is_a_firmware_or_a_configuration() {
    let write = "[[write]]\npath = \"/1/0/1\"\nvalue = 300\n";
    let both = format!("{FIRMWARE}\n{write}");
    assert!(Manifest::from_toml(&both).unwrap_err().message.contains("not both"));
    let start = FIRMWARE.find("[[artifact]]").unwrap();
    let end = FIRMWARE.find("[[upgrade]]").unwrap();
    let neither = format!("{}{}", &FIRMWARE[..start], &FIRMWARE[end..]);
    assert!(Manifest::from_toml(&neither).unwrap_err().message.contains("changes nothing"));
    let configuration = Manifest::from_toml(&format!("{neither}\n{write}")).unwrap();
    assert!(!configuration.is_firmware());
    assert_eq!(configuration.write[0].value, Scalar::Integer(300));
    let twice = format!("{neither}\n{write}{}", write.replace("300", "60"));
    let refused = Manifest::from_toml(&twice).unwrap_err();
    assert!(refused.message.contains("/1/0/1 is written twice"), "{refused}");
    assert_eq!(refused.line, twice.trim_end().lines().count() - 1);
    let not_a_number = format!("{neither}\n{}", write.replace("300", "nan"));
    assert!(Manifest::from_toml(&not_a_number).unwrap_err().message.contains("/1/0/1"));
}

#[test]
fn a_greatest_age_needs_a_value_and_a_word_on_what_follows() {
    let aged = FIRMWARE.replace("[confirm]", "max_age = \"1h\"\n[confirm]");
    let remarks = Manifest::from_toml(&aged).unwrap().lint();
    assert!(remarks.iter().any(|remark| remark.contains("counts as met")), "{remarks:?}");
    let waits = aged.replace("max_age", "unknown = \"wait\"\nmax_age");
    assert!(Manifest::from_toml(&waits).unwrap().lint().is_empty());
    let nothing = aged
        .replace("battery = { percent = 40, or_external_power = true }\n", "")
        .replace("link    = { min_rssi_dbm = -105 }\n", "");
    let error = Manifest::from_toml(&nothing).unwrap_err();
    assert!(error.message.contains("add requires.battery"), "{error}");
}
