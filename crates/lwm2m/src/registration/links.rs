use std::fmt;

use super::RegistrationError;
use crate::link::{CoreLink, LinkLimits, parse_links_within};
use crate::{ContentFormat, ObjectVersion, Path};

/// Is the list of objects and instances that a device registers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectLinks {
    /// Where the device keeps its objects: `/`, or an alternate path such as `/lwm2m`.
    pub root: String,
    /// The formats the device says it prefers (`ct` of the root), often none.
    pub formats: Vec<ContentFormat>,
    /// Objects and instances in the order of their paths, each once.
    pub objects: Vec<RegisteredObject>,
}

impl Default for ObjectLinks {
    fn default() -> Self {
        Self { root: ROOT.to_owned(), formats: Vec::new(), objects: Vec::new() }
    }
}

/// Is one object or object instance of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisteredObject {
    /// `/3` or `/3/0`.
    pub path: Path,
    /// The object's version, when the device says it here.
    pub version: Option<ObjectVersion>,
}

impl ObjectLinks {
    /// Reads the links of a Register or Update (LwM2M 1.1 TS core, section 6.2.1.2).
    ///
    /// Links to anything else than objects and instances are passed over: a device may serve more.
    ///
    /// # Errors
    /// [`RegistrationError::Links`], or [`RegistrationError::NoObjects`] when none is left.
    pub fn parse(limits: &LinkLimits, text: &str) -> Result<Self, RegistrationError> {
        let links = parse_links_within(limits, text)?;
        let mut read = Self::default();
        // The root says so itself, except in clients that only write `</>`.
        let root = links.iter().find(|link| is_typed_root(link));
        if let Some(root) = root.or_else(|| links.iter().find(|link| link.target == ROOT)) {
            read.root = format!("/{}", root.target.trim_matches('/'));
            let numbers = root.attributes_named("ct").flat_map(str::split_ascii_whitespace);
            for format in numbers.filter_map(|number| number.parse().ok()).map(ContentFormat) {
                if !read.formats.contains(&format) {
                    read.formats.push(format);
                }
            }
        }
        for link in &links {
            if let Some(path) = read.object_path(&link.target) {
                let version = link.attribute("ver").and_then(|version| version.parse().ok());
                read.objects.push(RegisteredObject { path, version });
            }
        }
        if read.objects.is_empty() {
            return Err(RegistrationError::NoObjects);
        }
        // Sorting is stable, so of two links to one place the first counts.
        read.objects.sort_by_key(|object| object.path);
        read.objects.dedup_by_key(|object| object.path);
        read.objects.shrink_to_fit();
        Ok(read)
    }

    /// Tells whether the device has an object, or an instance.
    #[must_use]
    pub fn has(&self, path: Path) -> bool {
        self.below(path).next().is_some()
    }

    /// Returns the instances of an object, in order; none when the device has the object only.
    pub fn instances(&self, object: u16) -> impl Iterator<Item = u16> {
        self.below(Path::object(object)).filter_map(|object| object.path.instance_id())
    }

    /// Returns the version of an object: 1.0 when the device does not say, none without the object.
    #[must_use]
    pub fn version(&self, object: u16) -> Option<ObjectVersion> {
        let said = self.below(Path::object(object)).find_map(|object| object.version);
        said.or_else(|| self.has(Path::object(object)).then(ObjectVersion::default))
    }

    fn below(&self, path: Path) -> impl Iterator<Item = &RegisteredObject> {
        let start = self.objects.partition_point(|object| object.path < path);
        self.objects[start..].iter().take_while(move |object| path.is_prefix_of(object.path))
    }

    /// Reads a target as an object or instance, with the alternate path or, as some devices do,
    /// without it.
    fn object_path(&self, target: &str) -> Option<Path> {
        let inner = target.strip_prefix(&self.root).filter(|inner| inner.starts_with('/'));
        let path: Path = inner.unwrap_or(target).parse().ok()?;
        matches!(path.depth(), 1 | 2).then_some(path)
    }
}

impl fmt::Display for ObjectLinks {
    /// Writes the links as a Register carries them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if self.root != ROOT || !self.formats.is_empty() {
            write!(f, "<{}>;rt=\"{ROOT_TYPE}\"", self.root)?;
            let formats: Vec<String> =
                self.formats.iter().map(|format| format.0.to_string()).collect();
            match formats.as_slice() {
                [] => {}
                [format] => write!(f, ";ct={format}")?,
                several => write!(f, ";ct=\"{}\"", several.join(" "))?,
            }
            separator = ",";
        }
        let prefix = self.root.trim_end_matches('/');
        for object in &self.objects {
            write!(f, "{separator}<{prefix}{}>", object.path)?;
            if let Some(version) = object.version {
                write!(f, ";ver={version}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

fn is_typed_root(link: &CoreLink) -> bool {
    let typed = |types: &str| types.split_ascii_whitespace().any(|one| one == ROOT_TYPE);
    link.attributes_named("rt").any(typed)
}

const ROOT: &str = "/";
const ROOT_TYPE: &str = "oma.lwm2m";
