//! `metric:` — metrics by name or `package.name`.

use super::{Method, named};
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "metric", prepare: |criterion| named(criterion, ResourceType::Metric) };
