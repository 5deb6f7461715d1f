//! `saved_query:` — saved queries by name or `package.name`.

use super::{Method, named};
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "saved_query", prepare: |criterion| named(criterion, ResourceType::SavedQuery) };
