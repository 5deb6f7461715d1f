//! From sources with an `ingest` block to what an ingest works with: the tables, the connections, the lake.

use std::sync::Arc;

use indexmap::IndexSet;

use super::Loaded;
use crate::adapter;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::ingest::{self, Connection, Feed};
use crate::lake::{Lake, TableName};
use crate::name::UniqueId;
use crate::project::{self, LoadOptions};
use crate::world::World;

/// What is followed, from where, into which lake.
pub struct Following {
    pub feeds: Vec<Feed>,
    /// Those of the project that were not chosen.
    pub others: Vec<Feed>,
    pub connections: Vec<Connection>,
    pub lake: Arc<Lake>,
}

/// What the chosen sources say of where their rows come from. Sources without an `ingest` block are left out.
///
/// # Errors
/// Mistakes in the blocks, connections that the profile does not have, a target without a lake.
pub fn following(world: &dyn World, options: &LoadOptions, loaded: &Loaded, chosen: &IndexSet<UniqueId>) -> Outcome<Following> {
    let (mut feeds, mut others) = (Vec::new(), Vec::new());
    for (id, source) in &loaded.manifest.sources {
        let Some(block) = &source.ingest else { continue };
        let table = TableName::new(source.schema.as_str(), source.identifier.as_str());
        let feed = ingest::feed(&format!("{}.{}", source.source_name, source.name), table, block, &source.location)?;
        if chosen.contains(id) { feeds.push(feed) } else { others.push(feed) }
    }
    if feeds.is_empty() {
        return Diagnostic::error("ingest-nothing", "none of the selected sources has an `ingest` block")
            .help("say where a source's rows come from: `ingest: {connector: postgres, connection: …, table: schema.table}`")
            .fail();
    }
    let names: IndexSet<String> = feeds.iter().map(|feed| feed.spec.connection.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let found = project::connections(world, options, &loaded.project, &names)?;
    for connection in &found {
        let kind = connection.settings.get("type").and_then(serde_json::Value::as_str);
        let asked = feeds.iter().find(|feed| feed.spec.connection == connection.name);
        if let (Some(kind), Some(feed)) = (kind, asked.filter(|feed| Some(feed.spec.connector.as_str()) != kind)) {
            let message = format!("`{}` asks for the connector `{}`", feed.source, feed.spec.connector);
            return Diagnostic::error("connection-type", message)
                .at(feed.location.clone())
                .help(format!("the connection `{}` is of the type `{kind}` ({})", connection.name, connection.location))
                .fail();
        }
    }
    let connections = found.into_iter().map(|found| Connection { name: found.name, settings: found.settings }).collect();
    Ok(Following { feeds, others, connections, lake: Arc::new(lake(loaded)?) })
}

fn lake(loaded: &Loaded) -> Outcome<Lake> {
    let target = &loaded.project.target;
    let place = adapter::Target {
        database: &target.database,
        schema: &target.schema,
        threads: target.threads,
        settings: &target.settings,
        base: &loaded.project.root,
    };
    adapter::lake(&target.engine, &place).map_err(|error| {
        let diagnostic = Diagnostic::error(error.code, error.message);
        Box::new(match error.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        })
    })
}
