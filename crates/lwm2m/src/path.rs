//! Addresses of objects, instances, resources and resource instances.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Names a place in a device's data model: `/`, `/3`, `/3/0`, `/3/0/9` or `/3/0/11/0`.
///
/// Paths order as a tree is walked: a place comes before everything it contains. Identifiers go
/// from 0 to 65534, because 65535 is reserved (LwM2M 1.1 TS core, section 7.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path {
    // Absent identifiers are 0, so that the derived order puts a prefix first and `depth`
    // decides between `/3` and `/3/0`.
    ids: [u16; 4],
    depth: u8,
}

impl Path {
    /// Is the place that contains all objects, `/`.
    pub const ROOT: Self = Self { ids: [0; 4], depth: 0 };

    /// Names an object, `/3`.
    #[must_use]
    pub const fn object(object: u16) -> Self {
        Self { ids: [object, 0, 0, 0], depth: 1 }
    }

    /// Names an instance of an object, `/3/0`.
    #[must_use]
    pub const fn instance(object: u16, instance: u16) -> Self {
        Self { ids: [object, instance, 0, 0], depth: 2 }
    }

    /// Names a resource, `/3/0/9`.
    #[must_use]
    pub const fn resource(object: u16, instance: u16, resource: u16) -> Self {
        Self { ids: [object, instance, resource, 0], depth: 3 }
    }

    /// Names one value of a resource with several values, `/3/0/11/0`.
    #[must_use]
    pub const fn resource_instance(
        object: u16,
        instance: u16,
        resource: u16,
        resource_instance: u16,
    ) -> Self {
        Self { ids: [object, instance, resource, resource_instance], depth: 4 }
    }

    /// Counts the identifiers: 0 for the root, 4 for a resource instance.
    #[must_use]
    pub const fn depth(self) -> usize {
        self.depth as usize
    }

    /// Tells whether the path is `/`.
    #[must_use]
    pub const fn is_root(self) -> bool {
        self.depth == 0
    }

    /// Returns the object's identifier, absent for the root.
    #[must_use]
    pub fn object_id(self) -> Option<u16> {
        self.id(0)
    }

    /// Returns the object instance's identifier, absent above instances.
    #[must_use]
    pub fn instance_id(self) -> Option<u16> {
        self.id(1)
    }

    /// Returns the resource's identifier, absent above resources.
    #[must_use]
    pub fn resource_id(self) -> Option<u16> {
        self.id(2)
    }

    /// Returns the resource instance's identifier, absent above resource instances.
    #[must_use]
    pub fn resource_instance_id(self) -> Option<u16> {
        self.id(3)
    }

    /// Returns the identifiers from the object downwards.
    #[must_use]
    pub fn ids(&self) -> &[u16] {
        &self.ids[..self.depth()]
    }

    /// Returns the place directly below with this identifier, absent below a resource instance.
    #[must_use]
    pub fn child(self, id: u16) -> Option<Self> {
        if self.depth == 4 {
            return None;
        }
        let mut child = self;
        child.ids[self.depth()] = id;
        child.depth += 1;
        Some(child)
    }

    /// Returns the place that directly contains this one, absent for the root.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(self.truncated(usize::from(depth)))
    }

    /// Keeps at most the first `depth` identifiers.
    #[must_use]
    pub fn truncated(self, depth: usize) -> Self {
        let mut shorter = self;
        for id in shorter.ids.iter_mut().skip(depth) {
            *id = 0;
        }
        // Depth is at most 4, so the smaller of the two always fits.
        shorter.depth = self.depth.min(u8::try_from(depth).unwrap_or(4));
        shorter
    }

    /// Tells whether `other` is this place or lies inside it.
    #[must_use]
    pub fn is_prefix_of(self, other: Self) -> bool {
        other.ids().starts_with(self.ids())
    }

    fn id(self, position: usize) -> Option<u16> {
        self.ids().get(position).copied()
    }
}

impl TryFrom<&[u16]> for Path {
    type Error = PathError;

    fn try_from(ids: &[u16]) -> Result<Self, PathError> {
        ids.iter().try_fold(Self::ROOT, |path, &id| {
            if id == RESERVED {
                return Err(PathError::Identifier);
            }
            path.child(id).ok_or(PathError::TooDeep)
        })
    }
}

impl FromStr for Path {
    type Err = PathError;

    /// Reads a path that starts with a slash; one slash at the end is tolerated.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let rest = text.strip_prefix('/').ok_or(PathError::NoSlash)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            // `//` is not a spelling of the root.
            return if text.len() <= 1 { Ok(Self::ROOT) } else { Err(PathError::Identifier) };
        }
        rest.split('/').try_fold(Self::ROOT, |path, segment| {
            let id = identifier(segment).ok_or(PathError::Identifier)?;
            path.child(id).ok_or(PathError::TooDeep)
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        self.ids().iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Says why a text is not a path; the fault is with whoever wrote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// The text does not start with a slash.
    #[error("a path starts with a slash, as in /3/0/9")]
    NoSlash,
    /// A segment is not a number from 0 to 65534.
    #[error("every part of a path is a number from 0 to 65534")]
    Identifier,
    /// The text has more than four segments.
    #[error("a path has at most four parts: object, instance, resource, resource instance")]
    TooDeep,
}

/// Reads one identifier strictly: digits only, no sign, no leading zero, not the reserved value.
pub(crate) fn identifier(text: &str) -> Option<u16> {
    let canonical = text == "0" || !text.starts_with('0');
    if text.is_empty() || !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&id| id != RESERVED)
}

const RESERVED: u16 = 65535;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_forms() {
        let check = |text: &str, expected: Result<Path, PathError>| {
            assert_eq!(text.parse::<Path>(), expected, "{text}");
        };
        check("/", Ok(Path::ROOT));
        check("/3", Ok(Path::object(3)));
        check("/3/", Ok(Path::object(3)));
        check("/3/0", Ok(Path::instance(3, 0)));
        check("/3/0/9", Ok(Path::resource(3, 0, 9)));
        check("/3/0/11/0", Ok(Path::resource_instance(3, 0, 11, 0)));
        check("/65534", Ok(Path::object(65534)));
        check("", Err(PathError::NoSlash));
        check("3/0", Err(PathError::NoSlash));
        check("//", Err(PathError::Identifier));
        check("/3//0", Err(PathError::Identifier));
        check("/3/+1", Err(PathError::Identifier));
        check("/3/00", Err(PathError::Identifier));
        check("/65535", Err(PathError::Identifier));
        check("/65536", Err(PathError::Identifier));
        check("/-1", Err(PathError::Identifier));
        check("/3/0/1/2/3", Err(PathError::TooDeep));
    }

    #[test]
    fn order_is_a_tree_walk() {
        let mut paths: Vec<Path> =
            ["/4", "/3/0/9", "/", "/3/1", "/3/0/0", "/3", "/3/0/0/0", "/3/0"]
                .iter()
                .map(|text| text.parse().unwrap())
                .collect();
        paths.sort();
        let walked: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(
            walked,
            ["/", "/3", "/3/0", "/3/0/0", "/3/0/0/0", "/3/0/9", "/3/1", "/4"].map(String::from)
        );
    }

    #[test]
    fn prefixes() {
        assert!(Path::ROOT.is_prefix_of(Path::object(3)));
        assert!(Path::object(3).is_prefix_of(Path::resource(3, 0, 9)));
        assert!(!Path::object(3).is_prefix_of(Path::object(33)));
        assert!(!Path::instance(3, 0).is_prefix_of(Path::object(3)));
        assert_eq!(Path::resource(3, 0, 9).parent(), Some(Path::instance(3, 0)));
        assert_eq!(Path::ROOT.parent(), None);
        assert_eq!(Path::resource_instance(3, 0, 11, 7).truncated(2), Path::instance(3, 0));
        assert_eq!(Path::resource_instance(3, 0, 11, 7).child(0), None);
    }

    proptest! {
        #[test]
        fn display_parses_back(ids in prop::collection::vec(0u16..65535, 0..=4)) {
            let path = Path::try_from(ids.as_slice()).unwrap();
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
            prop_assert_eq!(path.ids(), ids.as_slice());
        }

        #[test]
        fn any_text_is_safe(text in ".{0,40}") {
            let _ = text.parse::<Path>();
        }
    }
}
