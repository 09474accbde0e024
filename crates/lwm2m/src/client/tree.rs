//! The data model of one device: objects, instances, resources and their values.

use std::fmt::Write as _;

use thiserror::Error;

use super::attributes::AttributeTable;
use crate::{Leaf, LwM2mVersion, ObjectVersion, Operations, Path, Value, ValueKind};

/// The objects of one device, as its servers see them.
///
/// Sorted vectors, not maps: a device has tens of resources, and a process may hold thousands of
/// devices. A resource keeps the kind of the value it was created with.
#[derive(Clone, Debug, Default)]
pub struct ObjectTree {
    objects: Vec<Object>,
}

/// Why the tree refuses a change or a request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TreeError {
    /// Nothing is at the path; answered 4.04.
    #[error("nothing is at {0}; discover the object to see what is there")]
    NotFound(Path),
    /// What is at the path does not allow the operation; answered 4.05.
    #[error("{0} does not allow this operation")]
    NotAllowed(Path),
    /// The value is of another kind than the resource; answered 4.00.
    #[error("{0} takes a value of kind {1}")]
    WrongKind(Path, ValueKind),
    /// The path is of the wrong depth for this call or this resource; answered 4.00.
    #[error("{0} is not a path of this kind; single values are at resources, others one below")]
    WrongDepth(Path),
    /// The object has as many instances as it may have; answered 4.00.
    #[error("object {0} has no room for another instance; delete one first")]
    Full(u16),
}

/// How a write treats resource instances that the payload does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteMode {
    /// They are removed (PUT).
    Replace,
    /// They stay (POST).
    Update,
}

#[derive(Clone, Debug)]
struct Object {
    id: u16,
    version: ObjectVersion,
    instances: Vec<Instance>,
    creation: Option<Box<Creation>>,
}

#[derive(Clone, Debug)]
struct Creation {
    template: Vec<Resource>,
    instances_max: usize,
}

#[derive(Clone, Debug)]
struct Instance {
    id: u16,
    resources: Vec<Resource>,
}

#[derive(Clone, Debug)]
struct Resource {
    id: u16,
    operations: Operations,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Action,
    Single(Value),
    Multiple(ValueKind, Vec<(u16, Value)>),
}

/// Building and using the tree as its owner; no operation is refused for what servers may do.
impl ObjectTree {
    /// Creates an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares an object, also one that has no instance yet.
    pub fn object(&mut self, object: u16, version: ObjectVersion) -> &mut Self {
        self.object_mut(object).version = version;
        self
    }

    /// Adds or replaces a resource with one value.
    ///
    /// # Panics
    /// When `path` is not the path of a resource, which is a mistake in the program.
    pub fn single(&mut self, path: Path, operations: Operations, value: Value) -> &mut Self {
        self.put(path, operations, Content::Single(value))
    }

    /// Adds or replaces a resource with several values of `kind`, each with its identifier.
    ///
    /// # Panics
    /// When `path` is not the path of a resource, which is a mistake in the program.
    pub fn multiple(
        &mut self,
        path: Path,
        operations: Operations,
        kind: ValueKind,
        mut values: Vec<(u16, Value)>,
    ) -> &mut Self {
        values.sort_by_key(|entry| entry.0);
        values.dedup_by_key(|entry| entry.0);
        self.put(path, operations, Content::Multiple(kind, values))
    }

    /// Adds a resource that servers may execute.
    ///
    /// # Panics
    /// When `path` is not the path of a resource, which is a mistake in the program.
    pub fn executable(&mut self, path: Path) -> &mut Self {
        self.put(path, Operations::Execute, Content::Action)
    }

    /// Lets servers create and delete instances of an object, up to `instances_max`.
    ///
    /// New instances start as a copy of the instance that `template` has at this moment.
    pub fn creatable(&mut self, template: Path, instances_max: usize) -> &mut Self {
        let object = template.object_id().unwrap_or_default();
        let instance = template.instance_id().unwrap_or_default();
        let template = self.instance_at(object, instance).map(|found| found.resources.clone());
        let creation = Creation { template: template.unwrap_or_default(), instances_max };
        self.object_mut(object).creation = Some(Box::new(creation));
        self
    }

    /// Removes a resource, an instance or a whole object; tells whether it was there.
    pub fn remove(&mut self, path: Path) -> bool {
        let Some(object) = path.object_id() else { return false };
        let Ok(at) = self.objects.binary_search_by_key(&object, |object| object.id) else {
            return false;
        };
        let Some(instance) = path.instance_id() else {
            self.objects.remove(at);
            return true;
        };
        let instances = &mut self.objects[at].instances;
        let Ok(at) = instances.binary_search_by_key(&instance, |instance| instance.id) else {
            return false;
        };
        let Some(resource) = path.resource_id() else {
            instances.remove(at);
            return true;
        };
        let resources = &mut instances[at].resources;
        match resources.binary_search_by_key(&resource, |resource| resource.id) {
            Ok(at) => {
                resources.remove(at);
                true
            }
            Err(_) => false,
        }
    }

    /// Returns the value of a resource with one value, or of a resource instance.
    #[must_use]
    pub fn value(&self, path: Path) -> Option<&Value> {
        match (&self.resource_at(path).ok()?.content, path.resource_instance_id()) {
            (Content::Single(value), None) => Some(value),
            (Content::Multiple(_, values), Some(id)) => {
                values.binary_search_by_key(&id, |entry| entry.0).ok().map(|at| &values[at].1)
            }
            _ => None,
        }
    }

    /// Sets the value of a resource, or adds or sets a resource instance; tells whether it changed.
    pub fn set(&mut self, path: Path, value: Value) -> Result<bool, TreeError> {
        let resource = self.resource_at_mut(path)?;
        match (&mut resource.content, path.resource_instance_id()) {
            (Content::Single(current), None) => {
                let value = fitting(current.kind(), value, path)?;
                let changed = *current != value;
                *current = value;
                Ok(changed)
            }
            (Content::Multiple(kind, values), Some(id)) => {
                let value = fitting(*kind, value, path)?;
                Ok(put_instance(values, id, value))
            }
            (Content::Action, _) => Err(TreeError::NotAllowed(path)),
            _ => Err(TreeError::WrongDepth(path)),
        }
    }

    /// Walks the object instances that servers may see, in order.
    pub fn instances(&self) -> impl Iterator<Item = Path> {
        let visible = self.objects.iter().filter(|object| object.id != SECURITY);
        visible.flat_map(|object| {
            object.instances.iter().map(|instance| Path::instance(object.id, instance.id))
        })
    }

    /// Writes the links of a registration (LwM2M Core 1.1, 6.2.1): instances, and objects that
    /// have no instance or another version than 1.0. LwM2M 1.0 wrote the version in quotes.
    ///
    /// The Security object is never listed.
    #[must_use]
    pub fn links(&self, lwm2m: LwM2mVersion) -> String {
        let quote = if lwm2m == LwM2mVersion::V1_0 { "\"" } else { "" };
        let mut links = String::new();
        for object in self.objects.iter().filter(|object| object.id != SECURITY) {
            if object.version != ObjectVersion::default() {
                let version = format_args!("</{}>;ver={quote}{}{quote}", object.id, object.version);
                separate(&mut links, version);
            } else if object.instances.is_empty() {
                separate(&mut links, format_args!("</{}>", object.id));
            }
            for instance in &object.instances {
                separate(&mut links, format_args!("</{}/{}>", object.id, instance.id));
            }
        }
        links
    }
}

/// What the requests of servers do; operations are checked.
impl ObjectTree {
    /// Reads everything readable at or below a path (LwM2M Core 1.1, 6.3.1).
    ///
    /// Within an instance, what cannot be read is left out; asked for by itself it is refused.
    pub(crate) fn read(&self, path: Path) -> Result<Vec<Leaf>, TreeError> {
        let mut leaves = Vec::new();
        if path.resource_id().is_some() {
            let resource = self.resource_at(path)?;
            if !resource.operations.allows_read() {
                return Err(TreeError::NotAllowed(path));
            }
            resource.collect(path, &mut leaves)?;
            return Ok(leaves);
        }
        for instance in self.instances_at(path)? {
            let object = path.object_id().unwrap_or_default();
            for resource in &instance.resources {
                if resource.operations.allows_read() {
                    let path = Path::resource(object, instance.id, resource.id);
                    resource.collect(path, &mut leaves)?;
                }
            }
        }
        Ok(leaves)
    }

    /// Checks that every leaf may be written and converts its value to the resource's kind.
    ///
    /// Nothing is changed: a request is carried out as a whole or not at all.
    pub(crate) fn check_write(
        &self,
        target: Path,
        leaves: Vec<Leaf>,
    ) -> Result<Vec<Leaf>, TreeError> {
        if target.resource_id().is_some() {
            let resource = self.resource_at(target)?;
            if !resource.operations.allows_write() {
                return Err(TreeError::NotAllowed(target));
            }
            // Write to a resource instance changes it and does not create it (6.3.3).
            if target.resource_instance_id().is_some() && self.value(target).is_none() {
                return Err(TreeError::NotFound(target));
            }
        } else {
            self.instances_at(target)?;
        }
        let check = |leaf: Leaf| {
            let resource = self.resource_at(leaf.path)?;
            if !resource.operations.allows_write() {
                return Err(TreeError::NotAllowed(leaf.path));
            }
            resource.fit(leaf)
        };
        leaves.into_iter().map(check).collect()
    }

    /// Writes leaves that [`check_write`](Self::check_write) has approved.
    pub(crate) fn apply_write(&mut self, target: Path, leaves: Vec<Leaf>, mode: WriteMode) {
        let mut cleared = None;
        if mode == WriteMode::Replace && target.depth() == 3 {
            self.clear_multiple(target);
            cleared = Some(target);
        }
        for leaf in leaves {
            let resource = leaf.path.truncated(3);
            let replaced = mode == WriteMode::Replace && target.depth() < 4;
            if replaced && cleared != Some(resource) {
                self.clear_multiple(resource);
                cleared = Some(resource);
            }
            // The check has found the place and the kind; nothing else can be refused.
            let _changed = self.set(leaf.path, leaf.value);
        }
    }

    /// Tells whether the resource at this path is executed, never written.
    pub(crate) fn check_execute(&self, path: Path) -> Result<(), TreeError> {
        let resource = self.resource_at(path)?;
        let whole = path.resource_instance_id().is_none();
        if whole && resource.operations.allows_execute() {
            Ok(())
        } else {
            Err(TreeError::NotAllowed(path))
        }
    }

    /// Tells whether the resource at this path has several values.
    pub(crate) fn is_multiple(&self, path: Path) -> bool {
        let resource = self.resource_at(path);
        resource.is_ok_and(|resource| matches!(resource.content, Content::Multiple(..)))
    }

    /// Tells whether anything is at this path.
    pub(crate) fn check_exists(&self, path: Path) -> Result<(), TreeError> {
        if path.resource_id().is_none() {
            return self.instances_at(path).map(|_| ());
        }
        self.resource_at(path)?;
        if path.resource_instance_id().is_some() && self.value(path).is_none() {
            return Err(TreeError::NotFound(path));
        }
        Ok(())
    }

    /// Returns the identifier that a Create without one would use.
    pub(crate) fn next_instance(&self, object: u16) -> Result<u16, TreeError> {
        let path = Path::object(object);
        let found = self.object_at(object).ok_or(TreeError::NotFound(path))?;
        let creation = found.creation.as_ref().ok_or(TreeError::NotAllowed(path))?;
        if found.instances.len() >= creation.instances_max {
            return Err(TreeError::Full(object));
        }
        let taken = |id: u16| found.instances.binary_search_by_key(&id, |found| found.id).is_ok();
        (0..u16::MAX).find(|id| !taken(*id)).ok_or(TreeError::Full(object))
    }

    /// Creates an instance from the template (LwM2M Core 1.1, 6.3.6).
    pub(crate) fn create(&mut self, path: Path) -> Result<(), TreeError> {
        let (Some(object), Some(id)) = (path.object_id(), path.instance_id()) else {
            return Err(TreeError::WrongDepth(path));
        };
        self.next_instance(object)?;
        let found = self.object_mut(object);
        match found.instances.binary_search_by_key(&id, |instance| instance.id) {
            Ok(_) => Err(TreeError::NotAllowed(path)),
            Err(at) => {
                let template = found.creation.as_ref().map(|creation| creation.template.clone());
                let resources = template.unwrap_or_default();
                found.instances.insert(at, Instance { id, resources });
                Ok(())
            }
        }
    }

    /// Deletes an instance of an object whose instances servers may create (6.3.7).
    pub(crate) fn delete(&mut self, path: Path) -> Result<(), TreeError> {
        self.check_exists(path)?;
        let object = path.object_id().and_then(|object| self.object_at(object));
        let allowed = path.depth() == 2 && object.is_some_and(|object| object.creation.is_some());
        if !allowed {
            return Err(TreeError::NotAllowed(path));
        }
        self.remove(path);
        Ok(())
    }

    /// Answers Discover: what is at and below a path, with the attached attributes (6.3.2).
    ///
    /// For a resource the attributes are those in force; above, each place shows its own.
    pub(crate) fn discover(
        &self,
        path: Path,
        attributes: &AttributeTable,
    ) -> Result<String, TreeError> {
        let mut links = String::new();
        if path.resource_instance_id().is_some() {
            return Err(TreeError::WrongDepth(path));
        }
        if path.resource_id().is_some() {
            let resource = self.resource_at(path)?;
            resource.describe(path, &attributes.effective(path).to_string(), &mut links);
            if let Content::Multiple(_, values) = &resource.content {
                for (id, _) in values {
                    let own = path.child(*id).map(|path| attributes.attached(path));
                    let own = own.unwrap_or_default();
                    separate(&mut links, format_args!("<{path}/{id}>{own}"));
                }
            }
            return Ok(links);
        }
        let instances = self.instances_at(path)?;
        let object = path.object_id().unwrap_or_default();
        if path.instance_id().is_none() {
            let version = self.object_at(object).map(|found| found.version).unwrap_or_default();
            let own = attributes.attached(path);
            let version = (version != ObjectVersion::default()).then_some(version);
            let version = version.map(|version| format!(";ver={version}")).unwrap_or_default();
            separate(&mut links, format_args!("<{path}>{version}{own}"));
        }
        for instance in instances {
            let path = Path::instance(object, instance.id);
            separate(&mut links, format_args!("<{path}>{}", attributes.attached(path)));
            for resource in &instance.resources {
                let path = Path::resource(object, instance.id, resource.id);
                resource.describe(path, &attributes.attached(path).to_string(), &mut links);
            }
        }
        Ok(links)
    }

    /// Gives back the room that building the tree left over.
    pub(crate) fn shrink(&mut self) {
        self.objects.shrink_to_fit();
        for object in &mut self.objects {
            object.instances.shrink_to_fit();
            for instance in &mut object.instances {
                instance.resources.shrink_to_fit();
                for resource in &mut instance.resources {
                    if let Content::Multiple(_, values) = &mut resource.content {
                        values.shrink_to_fit();
                    }
                }
            }
        }
    }

    fn put(&mut self, path: Path, operations: Operations, content: Content) -> &mut Self {
        let (Some(object), Some(instance), Some(id), None) =
            (path.object_id(), path.instance_id(), path.resource_id(), path.resource_instance_id())
        else {
            panic!("{path} is not the path of a resource");
        };
        let instances = &mut self.object_mut(object).instances;
        let at = match instances.binary_search_by_key(&instance, |instance| instance.id) {
            Ok(at) => at,
            Err(at) => {
                instances.insert(at, Instance { id: instance, resources: Vec::new() });
                at
            }
        };
        let resources = &mut instances[at].resources;
        let resource = Resource { id, operations, content };
        match resources.binary_search_by_key(&id, |resource| resource.id) {
            Ok(at) => resources[at] = resource,
            Err(at) => resources.insert(at, resource),
        }
        self
    }

    fn clear_multiple(&mut self, path: Path) {
        if let Ok(Resource { content: Content::Multiple(_, values), .. }) =
            self.resource_at_mut(path)
        {
            values.clear();
        }
    }

    fn object_at(&self, object: u16) -> Option<&Object> {
        let at = self.objects.binary_search_by_key(&object, |object| object.id).ok()?;
        Some(&self.objects[at])
    }

    fn object_mut(&mut self, id: u16) -> &mut Object {
        let at = match self.objects.binary_search_by_key(&id, |object| object.id) {
            Ok(at) => at,
            Err(at) => {
                let version = ObjectVersion::default();
                let object = Object { id, version, instances: Vec::new(), creation: None };
                self.objects.insert(at, object);
                at
            }
        };
        &mut self.objects[at]
    }

    fn instance_at(&self, object: u16, instance: u16) -> Option<&Instance> {
        let instances = &self.object_at(object)?.instances;
        let at = instances.binary_search_by_key(&instance, |instance| instance.id).ok()?;
        Some(&instances[at])
    }

    /// Returns all instances of an object, or the one instance that the path names.
    fn instances_at(&self, path: Path) -> Result<&[Instance], TreeError> {
        let object = path.object_id().ok_or(TreeError::NotAllowed(path))?;
        let found = self.object_at(object).ok_or(TreeError::NotFound(path))?;
        let Some(instance) = path.instance_id() else { return Ok(&found.instances) };
        match found.instances.binary_search_by_key(&instance, |instance| instance.id) {
            Ok(at) => Ok(&found.instances[at..=at]),
            Err(_) => Err(TreeError::NotFound(path)),
        }
    }

    fn resource_at(&self, path: Path) -> Result<&Resource, TreeError> {
        let (Some(object), Some(instance), Some(resource)) =
            (path.object_id(), path.instance_id(), path.resource_id())
        else {
            return Err(TreeError::WrongDepth(path));
        };
        let instance = self.instance_at(object, instance).ok_or(TreeError::NotFound(path))?;
        match instance.resources.binary_search_by_key(&resource, |resource| resource.id) {
            Ok(at) => Ok(&instance.resources[at]),
            Err(_) => Err(TreeError::NotFound(path)),
        }
    }

    fn resource_at_mut(&mut self, path: Path) -> Result<&mut Resource, TreeError> {
        self.resource_at(path)?;
        let (object, instance, resource) = (
            path.object_id().unwrap_or_default(),
            path.instance_id().unwrap_or_default(),
            path.resource_id().unwrap_or_default(),
        );
        let instances = &mut self.object_mut(object).instances;
        let found = instances.iter_mut().find(|found| found.id == instance);
        let resources = found.map(|found| &mut found.resources);
        let resource =
            resources.and_then(|resources| resources.iter_mut().find(|found| found.id == resource));
        resource.ok_or(TreeError::NotFound(path))
    }
}

impl Resource {
    fn collect(&self, path: Path, leaves: &mut Vec<Leaf>) -> Result<(), TreeError> {
        match (&self.content, path.resource_instance_id()) {
            (Content::Action, _) => return Err(TreeError::NotAllowed(path)),
            (Content::Single(value), None) => leaves.push(Leaf::new(path, value.clone())),
            (Content::Single(_), Some(_)) => return Err(TreeError::NotFound(path)),
            (Content::Multiple(_, values), None) => {
                for (id, value) in values {
                    // A resource's path always has room for one identifier more.
                    let path = path.child(*id).unwrap_or(path);
                    leaves.push(Leaf::new(path, value.clone()));
                }
            }
            (Content::Multiple(_, values), Some(id)) => {
                let at = values.binary_search_by_key(&id, |entry| entry.0);
                let at = at.map_err(|_| TreeError::NotFound(path))?;
                leaves.push(Leaf::new(path, values[at].1.clone()));
            }
        }
        Ok(())
    }

    fn fit(&self, leaf: Leaf) -> Result<Leaf, TreeError> {
        let kind = match (&self.content, leaf.path.resource_instance_id()) {
            (Content::Single(value), None) => value.kind(),
            (Content::Multiple(kind, _), Some(_)) => *kind,
            (Content::Action, _) => return Err(TreeError::NotAllowed(leaf.path)),
            _ => return Err(TreeError::WrongDepth(leaf.path)),
        };
        let value = fitting(kind, leaf.value, leaf.path)?;
        Ok(Leaf { value, ..leaf })
    }

    fn describe(&self, path: Path, attributes: &str, links: &mut String) {
        match &self.content {
            Content::Multiple(_, values) => {
                let dimension = values.len();
                separate(links, format_args!("<{path}>;dim={dimension}{attributes}"));
            }
            _ => separate(links, format_args!("<{path}>{attributes}")),
        }
    }
}

fn separate(links: &mut String, link: std::fmt::Arguments<'_>) {
    if !links.is_empty() {
        links.push(',');
    }
    // Writing to a String never fails.
    let _infallible = links.write_fmt(link);
}

fn put_instance(values: &mut Vec<(u16, Value)>, id: u16, value: Value) -> bool {
    match values.binary_search_by_key(&id, |entry| entry.0) {
        Ok(at) => {
            let changed = values[at].1 != value;
            values[at].1 = value;
            changed
        }
        Err(at) => {
            values.insert(at, (id, value));
            true
        }
    }
}

/// Converts a value to the kind of its resource.
///
/// A format without types gives bytes or text for a resource that no definition describes; the
/// resource itself knows what it holds (LwM2M Core 1.1, appendix C).
fn fitting(kind: ValueKind, value: Value, path: Path) -> Result<Value, TreeError> {
    let refused = TreeError::WrongKind(path, kind);
    let converted = match value {
        Value::Opaque(bytes) if kind != ValueKind::Opaque => from_bytes(kind, &bytes),
        Value::String(text) if kind != ValueKind::String => from_text(kind, text),
        other => other.into_kind(kind),
    };
    converted.ok_or(refused)
}

fn from_bytes(kind: ValueKind, bytes: &[u8]) -> Option<Value> {
    let integer = || -> Option<i64> {
        Some(match *bytes {
            [a] => i64::from(a.cast_signed()),
            [a, b] => i64::from(i16::from_be_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => return None,
        })
    };
    match kind {
        ValueKind::Integer => integer().map(Value::Integer),
        ValueKind::Time => integer().map(Value::Time),
        ValueKind::Unsigned if bytes.len() <= 8 && !bytes.is_empty() => {
            Some(Value::Unsigned(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))))
        }
        ValueKind::Float => match *bytes {
            [a, b, c, d] => Some(Value::Float(f32::from_be_bytes([a, b, c, d]).into())),
            [a, b, c, d, e, f, g, h] => {
                Some(Value::Float(f64::from_be_bytes([a, b, c, d, e, f, g, h])))
            }
            _ => None,
        },
        ValueKind::Boolean => match *bytes {
            [0] => Some(Value::Boolean(false)),
            [1] => Some(Value::Boolean(true)),
            _ => None,
        },
        ValueKind::String => String::from_utf8(bytes.to_vec()).ok().map(Value::String),
        ValueKind::CoreLink => String::from_utf8(bytes.to_vec()).ok().map(Value::CoreLink),
        ValueKind::ObjectLink => match *bytes {
            [a, b, c, d] => {
                Some(Value::ObjectLink(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            _ => None,
        },
        ValueKind::Unsigned | ValueKind::Opaque => None,
    }
}

fn from_text(kind: ValueKind, text: String) -> Option<Value> {
    match kind {
        ValueKind::Integer => text.parse().ok().map(Value::Integer),
        ValueKind::Unsigned => text.parse().ok().map(Value::Unsigned),
        ValueKind::Time => text.parse().ok().map(Value::Time),
        ValueKind::Float => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
        }
        ValueKind::Boolean => match text.as_str() {
            "0" => Some(Value::Boolean(false)),
            "1" => Some(Value::Boolean(true)),
            _ => None,
        },
        _ => Value::String(text).into_kind(kind),
    }
}

/// The Security object holds keys: no server but the bootstrap server may touch or list it
/// (LwM2M Core 1.1, E.1).
pub(crate) const SECURITY: u16 = 0;
