//! `unit_test:` — unit tests by name or `package.name`.

use super::{Method, named};
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "unit_test", prepare: |criterion| named(criterion, ResourceType::UnitTest) };
