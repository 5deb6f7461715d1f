//! What earlier runs left behind, as the methods `state:`, `result:` and `source_status:` ask of it. Read from artifacts by
//! [`artifact`](crate::artifact); this file knows no files.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use crate::manifest::JsonMap;
use crate::name::{Relation, ResourceType, UniqueId};

/// The artifacts of a `--state` folder; each may be absent.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub manifest: Option<StateManifest>,
    /// How each node of the earlier run ended: `success`, `error`, `skipped` …
    pub results: Option<HashMap<UniqueId, String>>,
    /// The newest row of each source, then and in the target folder now; none where asking failed.
    pub sources: Option<HashMap<UniqueId, Option<DateTime<Utc>>>>,
    pub sources_now: Option<HashMap<UniqueId, Option<DateTime<Utc>>>>,
}

/// An earlier `manifest.json`, dbt's or our own.
#[derive(Clone, Debug, Default)]
pub struct StateManifest {
    /// Everything a selection can name, by id, as the file holds it.
    pub entries: HashMap<UniqueId, JsonMap>,
    /// The text of each macro.
    pub macros: HashMap<UniqueId, String>,
}

impl StateManifest {
    /// The relation that stood for the node then; none for what is no relation, such as ephemeral models.
    pub fn relation(&self, id: &UniqueId) -> Option<Relation> {
        let entry = self.entries.get(id)?;
        let text = |key: &str| entry.get(key).and_then(Json::as_str);
        let is_refable = text("resource_type").and_then(ResourceType::parse).is_some_and(ResourceType::is_refable);
        let materialized = entry.get("config").and_then(|config| config.get("materialized")).and_then(Json::as_str);
        let name = text("alias").or_else(|| text("name"))?;
        let has_relation = is_refable && materialized != Some("ephemeral");
        has_relation.then(|| Relation::new(text("database"), text("schema"), name))
    }
}
