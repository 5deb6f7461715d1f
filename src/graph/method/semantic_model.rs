//! `semantic_model:` — semantic models by name or `package.name`.

use super::{Method, named};
use crate::name::ResourceType;

pub(super) const METHOD: Method =
    Method { name: "semantic_model", prepare: |criterion| named(criterion, ResourceType::SemanticModel) };
