//! Step 2, reordering: parts of ongoing operations by class.

use model::{Criticality, OperationId};

/// Puts elements in paper A's order (§III-C): Critical, Major, Minor, Hotfix; inside a class by
/// the priority of the manifest, then by age. A security patch on a few devices so goes before a
/// running minor fix on many.
pub(crate) fn reorder(elements: &mut [(OperationId, Criticality, i32)]) {
    elements.sort_by_key(|(operation, class, priority)| (*class, *priority, *operation));
}
