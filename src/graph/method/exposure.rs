//! `exposure:` — exposures by name or `package.name`.

use super::{Method, named};
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "exposure", prepare: |criterion| named(criterion, ResourceType::Exposure) };
