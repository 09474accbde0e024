//! The firmware images of simulated devices.
//!
//! An image is text lines, an empty line and a body of pseudo-random bytes:
//!
//! ```text
//! bellwether-image 1
//! version = 1.1.0
//! hardware = A,B
//! sha256 = 9f86d0…
//! defect = update-fails 20 %
//! defect = silent 15 % on hardware C
//!
//! …
//! ```
//!
//! `sha256` is the digest of the body. A defect strikes the given share of the devices; which
//! ones depends on the device and the image alone, so that a second try meets the same fate.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use model::{Rate, Sha256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Sha256Hasher};
use thiserror::Error;

use crate::random::{Random, hash, mix};

/// What an image brings to a device, body apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Version a device reports once it runs the image.
    pub version: String,
    /// Hardware revisions it runs on; empty means any.
    pub hardware: Vec<String>,
    /// What is wrong with it. Shares of defects that concern one device add up.
    pub defects: Vec<Defect>,
    /// Digest of the body; tells images of the same version apart.
    pub sha256: Sha256,
}

/// One thing that is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// What goes wrong.
    pub kind: DefectKind,
    /// On what share of the devices.
    pub share: Rate,
    /// On which hardware revision only; none means on all.
    pub hardware: Option<String>,
}

/// What can go wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefectKind {
    /// The device restarts with its old version and reports result 8.
    UpdateFails,
    /// The device never comes back.
    Silent,
    /// The device restarts with its old version and claims success, result 1.
    ClaimsSuccess,
    /// The device runs the new version with half of its free memory gone.
    LeaksMemory,
    /// The device runs the new version and shows error code 8, peripheral malfunction.
    ErrorCode,
    /// The device runs the new version well for 25 to 35 s, then restarts again and again.
    CrashLoops,
}

/// Why bytes are no usable image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The first line is another one: result 6, unsupported package type.
    #[error("not a simulator's image; its first line is `{MAGIC}`")]
    Magic,
    /// A header line cannot be read; holds it. Result 6 as well.
    #[error("header line `{0}` is not known; the keys are version, hardware, sha256 and defect")]
    Header(String),
    /// A line that must be there is missing; holds its key. Result 6 as well.
    #[error("the header has no line `{0} = …`")]
    Missing(&'static str),
    /// The body is not the one that was built: result 5, integrity check failure.
    #[error("the body has another digest than the header says; it was damaged or cut off")]
    Digest,
}

impl Image {
    /// Builds an image for any hardware without a defect.
    #[must_use]
    pub fn build(version: &str, body_bytes: usize, seed: u64) -> Bytes {
        Self::build_with(version, &[], &[], body_bytes, seed)
    }

    /// Builds an image with everything; the same arguments give the same bytes.
    #[must_use]
    pub fn build_with(
        version: &str,
        hardware: &[&str],
        defects: &[Defect],
        body_bytes: usize,
        seed: u64,
    ) -> Bytes {
        let mut random = Random::of(seed, version);
        let mut body = Vec::with_capacity(body_bytes + 8);
        while body.len() < body_bytes {
            body.extend_from_slice(&random.number().to_le_bytes());
        }
        body.truncate(body_bytes);
        let mut header = format!("{MAGIC}\nversion = {version}\n");
        if !hardware.is_empty() {
            header.push_str(&format!("hardware = {}\n", hardware.join(",")));
        }
        header.push_str(&format!("sha256 = {}\n", digest(&body)));
        for defect in defects {
            header.push_str(&format!("defect = {defect}\n"));
        }
        header.push('\n');
        let mut image = header.into_bytes();
        image.append(&mut body);
        image.into()
    }

    /// Reads an image and checks its digest.
    ///
    /// # Errors
    /// [`ImageError`] says what a device would report: see there.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut rest = bytes;
        if line(&mut rest) != Some(MAGIC) {
            return Err(ImageError::Magic);
        }
        let (mut version, mut sha256) = (None, None);
        let (mut hardware, mut defects) = (Vec::new(), Vec::new());
        loop {
            let text = line(&mut rest).ok_or(ImageError::Missing("version"))?;
            if text.is_empty() {
                break;
            }
            let unknown = || ImageError::Header(text.chars().take(80).collect());
            let (key, value) = text.split_once(" = ").ok_or_else(unknown)?;
            match key {
                "version" => version = Some(value.to_owned()),
                "hardware" => hardware = value.split(',').map(str::to_owned).collect(),
                "sha256" => {
                    sha256 = Some(Sha256::try_from(value.to_owned()).map_err(|_| unknown())?);
                }
                "defect" => defects.push(value.parse().map_err(|()| unknown())?),
                _ => return Err(unknown()),
            }
        }
        let sha256 = sha256.ok_or(ImageError::Missing("sha256"))?;
        if digest(rest) != sha256 {
            return Err(ImageError::Digest);
        }
        Ok(Self {
            version: version.ok_or(ImageError::Missing("version"))?,
            hardware,
            defects,
            sha256,
        })
    }

    /// Tells whether the image is made for that hardware revision.
    #[must_use]
    pub fn fits(&self, hardware: &str) -> bool {
        self.hardware.is_empty() || self.hardware.iter().any(|revision| revision == hardware)
    }

    /// Tells what goes wrong when the device of that seed and hardware installs the image.
    #[must_use]
    pub fn defect_on(&self, device_seed: u64, hardware: &str) -> Option<DefectKind> {
        let mut draw = Random::new(mix(device_seed) ^ hash(&self.sha256.0))
            .below(u64::from(Rate::WHOLE.as_basis_points()));
        for defect in &self.defects {
            if defect.hardware.as_deref().is_some_and(|revision| revision != hardware) {
                continue;
            }
            let share = u64::from(defect.share.as_basis_points());
            if draw < share {
                return Some(defect.kind);
            }
            draw -= share;
        }
        None
    }
}

impl DefectKind {
    /// The word in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpdateFails => "update-fails",
            Self::Silent => "silent",
            Self::ClaimsSuccess => "claims-success",
            Self::LeaksMemory => "leaks-memory",
            Self::ErrorCode => "error-code",
            Self::CrashLoops => "crash-loops",
        }
    }

    const ALL: [Self; 6] = [
        Self::UpdateFails,
        Self::Silent,
        Self::ClaimsSuccess,
        Self::LeaksMemory,
        Self::ErrorCode,
        Self::CrashLoops,
    ];
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.share)?;
        match &self.hardware {
            Some(hardware) => write!(f, " on hardware {hardware}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Defect {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (word, rest) = text.split_once(' ').ok_or(())?;
        let kind = DefectKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())?;
        let (share, hardware) = match rest.split_once(" on hardware ") {
            Some((share, hardware)) => (share, Some(hardware.to_owned())),
            None => (rest, None),
        };
        Ok(Self { kind, share: share.parse().map_err(|_| ())?, hardware })
    }
}

/// Takes the next line off; none when there is none, or it is too long or no text.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n')?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 1..];
    Some(text)
}

/// Computes the digest of bytes, as manifests name it.
#[must_use]
pub fn digest(bytes: &[u8]) -> Sha256 {
    Sha256(Sha256Hasher::digest(bytes).into())
}

const MAGIC: &str = "bellwether-image 1";
const LINE_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn defect(kind: DefectKind, percent: u32, hardware: Option<&str>) -> Defect {
        Defect { kind, share: Rate::percent(percent), hardware: hardware.map(str::to_owned) }
    }

    #[test]
    fn an_image_reads_back_as_built() {
        let defects =
            [defect(DefectKind::UpdateFails, 20, None), defect(DefectKind::Silent, 15, Some("B"))];
        let bytes = Image::build_with("1.1.0", &["A", "B"], &defects, 5_000, 7);
        let image = Image::parse(&bytes).unwrap();
        assert_eq!(image.version, "1.1.0");
        assert_eq!(image.hardware, ["A", "B"]);
        assert_eq!(image.defects, defects);
        assert!(image.fits("A") && !image.fits("C"));
        assert_eq!(bytes, Image::build_with("1.1.0", &["A", "B"], &defects, 5_000, 7));
        assert_ne!(bytes, Image::build_with("1.1.0", &["A", "B"], &defects, 5_000, 8));
        assert!(Image::parse(&Image::build("2.0", 0, 1)).unwrap().fits("Z"));
    }

    #[test]
    fn damage_is_told_from_a_foreign_file() {
        let good = Image::build("1.1.0", 100, 7).to_vec();
        let check = |bytes: &[u8], expected: ImageError| {
            assert_eq!(Image::parse(bytes), Err(expected));
        };
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        check(&flipped, ImageError::Digest);
        check(&good[..good.len() - 1], ImageError::Digest);
        check(b"", ImageError::Magic);
        check(b"\x7fELF", ImageError::Magic);
        check(b"bellwether-image 1\n\n", ImageError::Missing("sha256"));
        check(b"bellwether-image 1\n", ImageError::Missing("version"));
        check(b"bellwether-image 1\ncolour = red\n\n", ImageError::Header("colour = red".into()));
        let bad = "defect = rusts 3 %";
        check(format!("{MAGIC}\n{bad}\n\n").as_bytes(), ImageError::Header(bad.into()));
    }

    #[test]
    fn defects_strike_their_share_of_the_devices_every_time() {
        let defects = [
            defect(DefectKind::Silent, 50, Some("B")),
            defect(DefectKind::UpdateFails, 20, None),
            defect(DefectKind::ErrorCode, 15, None),
        ];
        let image = Image::parse(&Image::build_with("2", &[], &defects, 64, 1)).unwrap();
        let count = |kind, hardware: &str| {
            (0..10_000).filter(|seed| image.defect_on(*seed, hardware) == Some(kind)).count()
        };
        let about = |count: usize, share: usize| assert!(count.abs_diff(share) < 250, "{count}");
        about(count(DefectKind::UpdateFails, "A"), 2_000);
        about(count(DefectKind::ErrorCode, "A"), 1_500);
        about(count(DefectKind::Silent, "B"), 5_000);
        about(count(DefectKind::UpdateFails, "B"), 2_000);
        assert_eq!(count(DefectKind::Silent, "A"), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Image::parse(&bytes);
            let _ = Image::parse(&[MAGIC.as_bytes(), b"\n", &bytes].concat());
        }
    }
}
