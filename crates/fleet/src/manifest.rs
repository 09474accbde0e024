//! What a manifest may ask of devices, as far as the protocol's objects are known.

use lwm2m::{Definitions, Path, ResourceDefinition, ValueKind};
use model::{Manifest, ResourcePath};

/// Why a manifest asks for something that no device can do, or that none must be told to do. The
/// fault is with the manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A write into an object that a configuration must leave alone.
    #[error("{path} must not be written by a configuration: {object}; {remedy}")]
    Forbidden {
        /// The path.
        path: ResourcePath,
        /// What the object is for.
        object: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A write into a resource that takes none.
    #[error(
        "{path} ({name}) cannot be written, a server may only {allowed}; write another resource"
    )]
    NotWritable {
        /// The path.
        path: ResourcePath,
        /// The resource's name.
        name: String,
        /// What it offers instead.
        allowed: &'static str,
    },
    /// A guard on a resource that is never read.
    #[error(
        "{path} ({name}) cannot be read, so a guard on it is never judged; guard another value"
    )]
    NotReadable {
        /// The path.
        path: ResourcePath,
        /// The resource's name.
        name: String,
    },
    /// A guard on a value that is no number.
    #[error("{path} ({name}) holds {kind} and guards compare numbers; guard another value")]
    NoNumber {
        /// The path.
        path: ResourcePath,
        /// The resource's name.
        name: String,
        /// What it holds.
        kind: &'static str,
    },
}

impl Unfit {
    /// The path at fault.
    #[must_use]
    pub const fn path(&self) -> &ResourcePath {
        match self {
            Self::Forbidden { path, .. }
            | Self::NotWritable { path, .. }
            | Self::NotReadable { path, .. }
            | Self::NoNumber { path, .. } => path,
        }
    }
}

/// Checks that every write can be carried out and every guard can be judged, on devices whose
/// objects are as the registry describes them. Objects that are not described here may be
/// anything, so they pass; see [`manifest_remarks`].
///
/// # Errors
/// [`Unfit`] names the first path at fault.
pub fn check_manifest(manifest: &Manifest) -> Result<(), Unfit> {
    let definitions = Definitions::core();
    manifest.write.iter().try_for_each(|write| check_write(&write.path, &definitions))?;
    manifest.guard.iter().try_for_each(|guard| check_guard(&guard.path, &definitions))
}

/// Says which writes and guards count on resources that are not described here.
#[must_use]
pub fn manifest_remarks(manifest: &Manifest) -> Vec<String> {
    let definitions = Definitions::core();
    let unknown = |path: &ResourcePath| known(path, &definitions).is_none();
    let writes = manifest.write.iter().filter(|write| unknown(&write.path)).map(|write| {
        format!(
            "{} is not described here: a device without it refuses the write and fails",
            write.path
        )
    });
    let guards = manifest.guard.iter().filter(|guard| unknown(&guard.path)).map(|guard| {
        format!(
            "{} is not described here: the guard `{}` is judged only on devices that answer with \
             a number",
            guard.path, guard.name
        )
    });
    writes.chain(guards).collect()
}

fn check_write(path: &ResourcePath, definitions: &Definitions) -> Result<(), Unfit> {
    let object = parsed(path).and_then(Path::object_id);
    let forbidden = FORBIDDEN.iter().find(|(id, ..)| object == Some(*id));
    if let Some((_, object, remedy)) = forbidden {
        return Err(Unfit::Forbidden { path: path.clone(), object, remedy });
    }
    let Some(resource) = known(path, definitions) else { return Ok(()) };
    if resource.operations.allows_write() {
        return Ok(());
    }
    let allowed = if resource.operations.allows_execute() { "execute it" } else { "read it" };
    Err(Unfit::NotWritable { path: path.clone(), name: resource.name.to_string(), allowed })
}

fn check_guard(path: &ResourcePath, definitions: &Definitions) -> Result<(), Unfit> {
    let Some(resource) = known(path, definitions) else { return Ok(()) };
    let name = || resource.name.to_string();
    if !resource.operations.allows_read() {
        return Err(Unfit::NotReadable { path: path.clone(), name: name() });
    }
    // A text may spell a number. These never do, see `scalar`.
    let kind = match resource.kind {
        Some(ValueKind::Opaque) => "bytes",
        Some(ValueKind::ObjectLink) => "a link",
        _ => return Ok(()),
    };
    Err(Unfit::NoNumber { path: path.clone(), name: name(), kind })
}

fn known<'a>(path: &ResourcePath, definitions: &'a Definitions) -> Option<&'a ResourceDefinition> {
    definitions.at(parsed(path)?)
}

fn parsed(path: &ResourcePath) -> Option<Path> {
    path.as_str().parse().ok()
}

/// Objects that a configuration must leave alone: what it is for, and what to do instead.
const FORBIDDEN: [(u16, &str, &str); 3] = [
    (0, KEYS, KEYS_REMEDY),
    (5, "object 5 installs firmware", "publish a firmware release with an [[artifact]]"),
    (21, KEYS, KEYS_REMEDY),
];
const KEYS: &str = "the object holds keys and the address of the server";
const KEYS_REMEDY: &str = "only a bootstrap server may set them";

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(rest: &str) -> Manifest {
        let head = "manifest = 1\n[release]\nname = \"a\"\nversion = \"1\"\nclass = \"minor\"\n\
                    [[target]]\nmanufacturer = \"A\"\nmodel = \"B\"\n";
        Manifest::from_toml(&format!("{head}{rest}")).unwrap()
    }

    #[test]
    fn writes_go_where_a_server_may_write() {
        let check = |path: &str, refusal: &str| {
            let manifest = manifest(&format!("[[write]]\npath = \"{path}\"\nvalue = 1"));
            let said = check_manifest(&manifest).err().map(|error| error.to_string());
            let said = said.unwrap_or_default();
            assert!(said.contains(refusal) && said.is_empty() == refusal.is_empty(), "{said}");
            assert!(said.is_empty() || said.starts_with(path) && said.contains("; "), "{said}");
        };
        check("/1/0/1", "");
        check("/3/0/14", "");
        check("/3306/0/5850", "");
        check("/33000/1/2", "");
        check("/0/0/0", "only a bootstrap server");
        check("/21/0/1", "only a bootstrap server");
        check("/5/0/1", "publish a firmware release");
        check("/5/0/2", "publish a firmware release");
        check("/3/0/0", "may only read it");
        check("/3/0/4", "may only execute it");
    }

    #[test]
    fn guards_are_on_numbers_that_can_be_read() {
        let check = |path: &str, refusal: &str| {
            let manifest = manifest(&format!(
                "[[write]]\npath = \"/1/0/1\"\nvalue = 60\n\
                 [[guard]]\nname = \"g\"\npath = \"{path}\"\nexpect = {{ min = 1 }}"
            ));
            let said = check_manifest(&manifest).err().map(|error| error.to_string());
            let said = said.unwrap_or_default();
            assert!(said.contains(refusal) && said.is_empty() == refusal.is_empty(), "{said}");
            assert_eq!(manifest_remarks(&manifest).len(), usize::from(path.starts_with("/99/")));
        };
        check("/3/0/10", "");
        check("/4/0/2", "");
        check("/5/0/5", "");
        check("/3303/0/5700", "");
        check("/99/0/1", "");
        check("/0/0/2", "cannot be read");
        check("/3/0/4", "cannot be read");
        check("/5/0/0", "cannot be read");
    }
}
