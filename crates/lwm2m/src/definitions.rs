//! What objects and resources are: names, kinds of value, allowed operations.

mod core;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Path, ValueKind};

/// Describes the objects that values are typed by.
///
/// Formats without types of their own (TLV, plain text, base64 in JSON) need this to know what a
/// value is. A resource without a description is still read, as opaque bytes or text.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    objects: BTreeMap<u16, ObjectDefinition>,
}

impl Definitions {
    /// Starts with no description at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Starts with the objects of the LwM2M core (0 to 7), Software Management (9) and the most
    /// common IPSO sensors and actuators.
    #[must_use]
    pub fn core() -> Self {
        let mut definitions = Self::empty();
        for object in core::OBJECTS {
            definitions.insert(object.clone());
        }
        definitions
    }

    /// Adds an object; one with the same identifier is replaced and returned.
    pub fn insert(&mut self, object: ObjectDefinition) -> Option<ObjectDefinition> {
        self.objects.insert(object.id, object)
    }

    /// Returns the description of an object.
    #[must_use]
    pub fn object(&self, object: u16) -> Option<&ObjectDefinition> {
        self.objects.get(&object)
    }

    /// Returns the description of a resource of an object.
    #[must_use]
    pub fn resource(&self, object: u16, resource: u16) -> Option<&ResourceDefinition> {
        self.object(object)?.resource(resource)
    }

    /// Returns the description of the resource that a path names or lies in.
    #[must_use]
    pub fn at(&self, path: Path) -> Option<&ResourceDefinition> {
        self.resource(path.object_id()?, path.resource_id()?)
    }

    /// Returns the kind of value at a path, absent when unknown or when the resource has none.
    #[must_use]
    pub fn kind(&self, path: Path) -> Option<ValueKind> {
        self.at(path)?.kind
    }

    /// Walks the objects in the order of their identifiers.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectDefinition> {
        self.objects.values()
    }
}

/// Describes an object, as an OMA registry entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectDefinition {
    /// The object's identifier.
    pub id: u16,
    /// The object's name in the registry.
    pub name: Cow<'static, str>,
    /// The version described here.
    pub version: ObjectVersion,
    /// Whether a device can have several instances.
    pub multiple: bool,
    /// The resources, in the order of their identifiers.
    pub resources: Cow<'static, [ResourceDefinition]>,
}

impl ObjectDefinition {
    /// Returns the description of a resource.
    #[must_use]
    pub fn resource(&self, resource: u16) -> Option<&ResourceDefinition> {
        self.resources.iter().find(|definition| definition.id == resource)
    }
}

/// Describes a resource of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDefinition {
    /// The resource's identifier.
    pub id: u16,
    /// The resource's name in the registry.
    pub name: Cow<'static, str>,
    /// The kind of its value; absent for a resource that is executed.
    pub kind: Option<ValueKind>,
    /// What a server may do with it.
    pub operations: Operations,
    /// Whether it holds several values, each with an identifier.
    pub multiple: bool,
    /// Whether every instance of the object has it.
    pub mandatory: bool,
    /// The unit of its value, as in the registry; empty without one.
    pub units: Cow<'static, str>,
}

/// Says what a server may do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operations {
    /// Nothing: only a bootstrap server touches it.
    None,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Read and write.
    ReadWrite,
    /// Execute.
    Execute,
}

impl Operations {
    /// Tells whether a server may read the resource.
    #[must_use]
    pub const fn allows_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Tells whether a server may write the resource.
    #[must_use]
    pub const fn allows_write(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }

    /// Tells whether a server may execute the resource.
    #[must_use]
    pub const fn allows_execute(self) -> bool {
        matches!(self, Self::Execute)
    }
}

/// Is the version of an object, `1.0` when nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectVersion {
    /// Changes when the object is no longer compatible.
    pub major: u8,
    /// Changes when the object grows.
    pub minor: u8,
}

impl ObjectVersion {
    /// Names a version.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }
}

impl Default for ObjectVersion {
    fn default() -> Self {
        Self::new(1, 0)
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ObjectVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (major, minor) = text.split_once('.').ok_or(VersionError)?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or(VersionError)
        };
        Ok(Self::new(number(major)?, number(minor)?))
    }
}

/// Says that a text is not a version; the fault is with whoever wrote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is two numbers with a dot, as in 1.1")]
pub struct VersionError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_objects_are_complete_and_in_order() {
        let definitions = Definitions::core();
        for object in [0, 1, 2, 3, 4, 5, 6, 7, 9, 3303, 3306] {
            assert!(definitions.object(object).is_some(), "object {object}");
        }
        for object in definitions.iter() {
            let ids: Vec<u16> = object.resources.iter().map(|resource| resource.id).collect();
            assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{}: {ids:?}", object.name);
            for resource in object.resources.iter() {
                let executed = resource.operations.allows_execute();
                assert_eq!(resource.kind.is_none(), executed, "{} {}", object.name, resource.name);
            }
        }
    }

    #[test]
    fn lookups() {
        let definitions = Definitions::core();
        let check = |path: &str, expected: Option<ValueKind>| {
            assert_eq!(definitions.kind(path.parse().unwrap()), expected, "{path}");
        };
        check("/3/0/0", Some(ValueKind::String));
        check("/3/0/9", Some(ValueKind::Integer));
        check("/3/0/11/0", Some(ValueKind::Integer));
        check("/3/0/4", None);
        check("/3/0", None);
        check("/5/0/0", Some(ValueKind::Opaque));
        check("/3303/0/5700", Some(ValueKind::Float));
        check("/33000/0/1", None);
    }

    #[test]
    fn versions() {
        let check = |text: &str, expected: Option<ObjectVersion>| {
            assert_eq!(text.parse().ok(), expected, "{text}");
        };
        check("1.0", Some(ObjectVersion::new(1, 0)));
        check("2.11", Some(ObjectVersion::new(2, 11)));
        check("1", None);
        check("1.", None);
        check("1.1.1", None);
        check("+1.0", None);
        check("256.0", None);
    }
}
