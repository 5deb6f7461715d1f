//! Typing: every node's query planned over its parents' columns, with nothing run and no warehouse needed.
//!
//! A parent's columns come from its own plan, a seed's from its file, a source's from its declaration or the warehouse. Where
//! they are not known, what reads them is not typed, which is no mistake; so it goes down the graph.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::ephemeral::cte_name;
use super::{CompileContext, CompiledNode, compile, external_table};
use crate::adapter::{Adapter, AdapterError, Declared, PlannedQuery, QueryToPlan};
use crate::diagnostic::Diagnostic;
use crate::manifest::{ColumnLineage, ColumnRef, Manifest, Node, NodeLineage, Source};
use crate::name::{Relation, ResourceType, UniqueId};
use crate::rows::ColumnType;

/// What is known of a node's columns.
#[derive(Clone, Debug)]
pub enum Typed {
    Known {
        columns: SchemaRef,
        lineage: Option<Arc<NodeLineage>>,
    },
    Unknown,
    /// The query cannot be planned, or breaks its contract.
    Wrong(Box<Diagnostic>),
}

/// Types nodes, each once. Shared by all nodes of a run.
pub struct Typing {
    context: Arc<CompileContext>,
    adapter: Arc<dyn Adapter>,
    /// Nodes that this run builds: others are read from the warehouse. None if nothing is built, so that all is planned.
    built: Option<HashSet<UniqueId>>,
    slots: Mutex<HashMap<UniqueId, Arc<OnceCell<Typed>>>>,
}

impl Typing {
    pub fn new(context: Arc<CompileContext>, adapter: Arc<dyn Adapter>, built: Option<HashSet<UniqueId>>) -> Self {
        Self { context, adapter, built, slots: Mutex::default() }
    }

    /// Types a node that has been compiled.
    pub async fn node(&self, node: &Arc<Node>, compiled: &CompiledNode) -> Typed {
        self.ancestors(&node.depends_on.nodes).await;
        self.slot(&node.unique_id).get_or_init(|| self.plan(node, compiled)).await.clone()
    }

    /// Types a node or source by its id, and what it needs before it.
    pub async fn by_id(&self, id: &UniqueId) -> Typed {
        self.ancestors(std::slice::from_ref(id)).await;
        self.known(id)
    }

    fn slot(&self, id: &UniqueId) -> Arc<OnceCell<Typed>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_default().clone()
    }

    /// What is known of a node or source so far.
    pub fn known(&self, id: &UniqueId) -> Typed {
        self.slot(id).get().cloned().unwrap_or(Typed::Unknown)
    }

    /// Types the given resources and all above them, parents first; on a stack of its own, as chains may be thousands long.
    async fn ancestors(&self, ids: &[UniqueId]) {
        let mut waiting: Vec<(UniqueId, bool)> = ids.iter().rev().map(|id| (id.clone(), false)).collect();
        let mut entered = HashSet::new();
        while let Some((id, ready)) = waiting.pop() {
            let slot = self.slot(&id);
            if slot.initialized() {
                continue;
            }
            if ready {
                slot.get_or_init(|| self.resource(&id)).await;
            } else if entered.insert(id.clone()) {
                waiting.push((id.clone(), true));
                let above = self.context.manifest.nodes.get(&id).filter(|_| self.is_planned(&id));
                waiting.extend(above.into_iter().flat_map(|node| node.depends_on.nodes.iter().cloned().map(|id| (id, false))));
            }
        }
    }

    /// Whether a node's columns come from its own query, not from the warehouse.
    fn is_planned(&self, id: &UniqueId) -> bool {
        let ephemeral = || self.context.manifest.nodes.get(id).is_some_and(Node::is_ephemeral);
        self.built.as_ref().is_none_or(|built| built.contains(id)) || ephemeral()
    }

    async fn resource(&self, id: &UniqueId) -> Typed {
        if let Some(source) = self.context.manifest.sources.get(id) {
            return self.source(source).await;
        }
        let Some(node) = self.context.manifest.nodes.get(id) else { return Typed::Unknown };
        if node.resource_type == ResourceType::Seed {
            return known(self.adapter.declared_columns(&seed(node)).await);
        }
        if !self.is_planned(id)
            && let Ok(Some(columns)) = self.adapter.stored_columns(&node.relation()).await
        {
            return Typed::Known { columns, lineage: None };
        }
        let (node, context) = (Arc::new(node.clone()), self.context.clone());
        let subject = node.clone();
        match tokio::task::spawn_blocking(move || compile(&subject, &context)).await {
            Ok(Ok(compiled)) => self.plan(&node, &compiled).await,
            _ => Typed::Unknown,
        }
    }

    /// External tables are what they are declared to be; others what they are, and only else what they are declared to be.
    async fn source(&self, source: &Source) -> Typed {
        if let Some(table) = external_table(source, &self.context.project.root) {
            match known(self.adapter.declared_columns(&Declared::External(table)).await) {
                Typed::Unknown => {}
                typed => return typed,
            }
        }
        match known(self.adapter.stored_columns(&source.relation()).await) {
            Typed::Unknown => {}
            typed => return typed,
        }
        let declared = source.columns.values().map(|column| Some(column_type(&column.name, column.data_type.as_deref()?)));
        match declared.collect::<Option<Vec<_>>>() {
            Some(columns) => known(self.adapter.declared_columns(&Declared::Columns(columns)).await),
            None => Typed::Unknown,
        }
    }

    async fn plan(&self, node: &Arc<Node>, compiled: &CompiledNode) -> Typed {
        if is_off(node) || compiled.sql.trim().is_empty() {
            return Typed::Unknown;
        }
        let Some(parents) = self.parents(node) else { return Typed::Unknown };
        let relations = parents.iter().filter(|parent| !parent.ephemeral);
        let query = QueryToPlan {
            sql: &compiled.sql,
            relations: relations.map(|parent| (parent.relation.clone(), parent.columns.clone())).collect(),
            ends: parents.iter().filter(|parent| parent.ephemeral).map(|parent| parent.relation.identifier.clone()).collect(),
        };
        let planned = match self.adapter.plan(&query).await {
            Ok(Some(planned)) => planned,
            Ok(None) => return Typed::Unknown,
            // The text may be another when what it asks about has been built.
            Err(_) if self.built.is_none() && asks_database(node, &self.context.manifest) => return Typed::Unknown,
            Err(error) => return Typed::Wrong(Box::new(self.diagnostic(error, compiled))),
        };
        if let Some(broken) = self.broken_contract(node, &planned).await {
            return Typed::Wrong(Box::new(broken));
        }
        let lineage = Arc::new(node_lineage(&planned, &parents));
        self.result(node, planned.columns, lineage).await
    }

    /// The columns of the relation that the node makes of its query.
    async fn result(&self, node: &Node, columns: SchemaRef, lineage: Arc<NodeLineage>) -> Typed {
        let lineage = Some(lineage);
        if node.resource_type == ResourceType::Snapshot {
            return match snapshot_columns(node, &columns) {
                Some(columns) => Typed::Known { columns, lineage },
                None => Typed::Unknown,
            };
        }
        let keeps_columns = node.resource_type == ResourceType::Model && node.materialized() == "incremental";
        if keeps_columns && let Ok(Some(stored)) = self.adapter.stored_columns(&node.relation()).await {
            // The table may keep columns that the query no longer has, and its own types.
            return Typed::Known { columns: both(&stored, &columns), lineage };
        }
        Typed::Known { columns, lineage }
    }

    /// Everything the node's SQL may read; none if a mistake above, told there, stands in its text.
    fn parents(&self, node: &Node) -> Option<Vec<Parent>> {
        let manifest = &self.context.manifest;
        let mut parents = Vec::new();
        let mut waiting: Vec<&UniqueId> = node.depends_on.nodes.iter().rev().collect();
        let mut seen = HashSet::new();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let (columns, ephemeral) = (self.known(id), manifest.nodes.get(id).is_some_and(Node::is_ephemeral));
            let relation = match manifest.nodes.get(id) {
                Some(parent) if ephemeral => {
                    waiting.extend(parent.depends_on.nodes.iter().rev());
                    if matches!(columns, Typed::Wrong(_)) {
                        return None;
                    }
                    Relation::new(None, None, &cte_name(&parent.alias))
                }
                Some(parent) => parent.relation(),
                None => manifest.sources.get(id)?.relation(),
            };
            let columns = match columns {
                Typed::Known { columns, .. } => Some(columns),
                _ => None,
            };
            parents.push(Parent { id: id.clone(), relation, columns, ephemeral });
        }
        Some(parents)
    }

    fn diagnostic(&self, error: AdapterError, compiled: &CompiledNode) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(error.code, error.message);
        diagnostic.help.extend(error.help);
        let manifest = &self.context.manifest;
        let place = error.position.and_then(|place| compiled.source_map.origin(&compiled.sql, place, manifest));
        match place {
            Some(origin) => {
                diagnostic.trace = origin.trace;
                diagnostic.at(origin.location)
            }
            None => match manifest.nodes.get(&compiled.unique_id) {
                Some(node) => diagnostic.at(node.location.clone()),
                None => diagnostic,
            },
        }
    }

    /// Whether the query gives other columns than an enforced contract says.
    async fn broken_contract(&self, node: &Node, planned: &PlannedQuery) -> Option<Diagnostic> {
        let enforced = node.config.get("contract").and_then(|contract| contract.get("enforced")).and_then(Json::as_bool);
        if enforced != Some(true) || node.resource_type != ResourceType::Model {
            return None;
        }
        let mut problems = Vec::new();
        for column in node.columns.values() {
            let find = |field: &Arc<Field>| field.name().eq_ignore_ascii_case(&column.name);
            let Some(index) = planned.columns.fields().iter().position(find) else {
                problems.push(format!("column `{}` is in the contract, not in the query", column.name));
                continue;
            };
            let Some(data_type) = column.data_type.as_deref() else { continue };
            let declared = Declared::Columns(vec![column_type(&column.name, data_type)]);
            let Ok(Some(declared)) = self.adapter.declared_columns(&declared).await else { continue };
            if !same_type(declared.field(0).data_type(), planned.columns.field(index).data_type()) {
                let given = &planned.types[index];
                problems.push(format!("column `{}` is {given} in the query, {data_type} in the contract", column.name));
            }
        }
        let declared = |name: &str| node.columns.keys().any(|known| known.eq_ignore_ascii_case(name));
        for field in planned.columns.fields().iter().filter(|field| !declared(field.name())) {
            problems.push(format!("column `{}` is in the query, not in the contract", field.name()));
        }
        (!problems.is_empty()).then(|| {
            Diagnostic::error(
                "contract-broken",
                format!("the contract of `{}` does not hold: {}", node.name, problems.join("; ")),
            )
            .at(node.location.clone())
            .help("cast or rename the column in the query, or change the contract")
        })
    }
}

/// Something a node's SQL may name.
struct Parent {
    id: UniqueId,
    /// As it stands in the SQL: an ephemeral model's CTE has a bare name.
    relation: Relation,
    columns: Option<SchemaRef>,
    ephemeral: bool,
}

fn known(columns: Result<Option<SchemaRef>, AdapterError>) -> Typed {
    match columns {
        Ok(Some(columns)) => Typed::Known { columns, lineage: None },
        _ => Typed::Unknown,
    }
}

fn column_type(name: &str, data_type: &str) -> ColumnType {
    ColumnType { name: name.to_string(), data_type: data_type.to_string() }
}

/// `static_analysis: off`, dbt's name for it (which YAML reads as false).
fn is_off(node: &Node) -> bool {
    match node.config.get("static_analysis") {
        Some(Json::String(value)) => value == "off",
        Some(value) => value == &Json::Bool(false),
        None => false,
    }
}

/// Whether the node's text, or a macro it calls, asks the database what it holds. `is_incremental()` does too, with an answer
/// that suits a table that is not there.
fn asks_database(node: &Node, manifest: &Manifest) -> bool {
    const QUESTIONS: [&str; 6] =
        ["run_query", "statement(", "get_columns_in_relation", "get_relation(", "list_relations", "load_relation("];
    let asks = |text: &str| QUESTIONS.iter().any(|question| text.contains(question));
    let mut waiting: Vec<&UniqueId> = node.depends_on.macros.iter().collect();
    let mut seen: HashSet<&UniqueId> = HashSet::new();
    let mut found = asks(&node.raw_code);
    while let Some(id) = waiting.pop().filter(|_| !found) {
        let Some(called) = manifest.macros.get(id).filter(|called| called.name != "is_incremental" && seen.insert(id)) else {
            continue;
        };
        found = asks(&called.macro_sql);
        waiting.extend(&called.depends_on.macros);
    }
    found
}

fn seed(node: &Node) -> Declared {
    let types = node.config.get("column_types").and_then(Json::as_object);
    let column_types = types.into_iter().flatten().filter_map(|(name, kind)| Some((name.clone(), kind.as_str()?.to_string())));
    Declared::Seed {
        file: std::path::Path::new(node.root_path.as_deref().unwrap_or_default()).join(&node.original_file_path),
        delimiter: node.config_str("delimiter").and_then(|text| text.chars().next()).unwrap_or(','),
        column_types: column_types.collect(),
        quote_columns: node.config_bool("quote_columns").unwrap_or(false),
    }
}

/// A snapshot's table: the query's columns and those that say when each version was valid; none if their types are not known.
fn snapshot_columns(node: &Node, query: &SchemaRef) -> Option<SchemaRef> {
    let names = node.config.get("snapshot_meta_column_names");
    let name = |key: &str| names.and_then(|names| names.get(key)).and_then(Json::as_str).unwrap_or(key).to_string();
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    let moment = match node.config_str("strategy") {
        Some("timestamp") => query.field_with_name(node.config_str("updated_at")?).ok()?.data_type().clone(),
        _ => timestamp,
    };
    let mut fields: Vec<Arc<Field>> = query.fields().to_vec();
    fields.push(Arc::new(Field::new(name("dbt_scd_id"), DataType::Utf8, true)));
    for key in ["dbt_updated_at", "dbt_valid_from", "dbt_valid_to"] {
        fields.push(Arc::new(Field::new(name(key), moment.clone(), true)));
    }
    if node.config_str("hard_deletes") == Some("new_record") {
        fields.push(Arc::new(Field::new(name("dbt_is_deleted"), DataType::Utf8, true)));
    }
    Some(Arc::new(Schema::new(fields)))
}

/// The columns of the first, and those that only the second has.
fn both(first: &SchemaRef, second: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = first.fields().to_vec();
    let has = |name: &str| first.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name));
    fields.extend(second.fields().iter().filter(|field| !has(field.name())).cloned());
    Arc::new(Schema::new(fields))
}

/// Whether a contract that says one type holds for a column of the other: digits of a decimal are not compared, as in dbt.
fn same_type(declared: &DataType, given: &DataType) -> bool {
    declared == given || (declared.is_decimal() && given.is_decimal())
}

/// The lineage of a query in terms of the project's resources.
fn node_lineage(planned: &PlannedQuery, parents: &[Parent]) -> NodeLineage {
    let same = |a: Option<&str>, b: Option<&str>| a.zip(b).is_none_or(|(a, b)| a.eq_ignore_ascii_case(b));
    let owner = |table: &Relation| {
        let found = parents.iter().find(|parent| {
            let relation = &parent.relation;
            relation.identifier.eq_ignore_ascii_case(&table.identifier)
                && same(relation.schema.as_deref(), table.schema.as_deref())
                && same(relation.database.as_deref(), table.database.as_deref())
        });
        let parts = [table.database.as_deref(), table.schema.as_deref(), Some(table.identifier.as_str())];
        let unknown = || UniqueId::from(format!("relation.{}", parts.into_iter().flatten().collect::<Vec<_>>().join(".")));
        found.map_or_else(unknown, |parent| parent.id.clone())
    };
    let mut owners: HashMap<Relation, UniqueId> = HashMap::new();
    let mut reference = |column: &crate::adapter::TableColumn| {
        let unique_id = owners.entry(column.table.clone()).or_insert_with(|| owner(&column.table)).clone();
        ColumnRef { unique_id, column: column.column.clone() }
    };
    let mut sorted = |columns: &[crate::adapter::TableColumn]| {
        let mut columns: Vec<ColumnRef> = columns.iter().map(&mut reference).collect();
        columns.sort();
        columns.dedup();
        columns
    };
    let columns = planned.lineage.columns.iter().zip(&planned.types).map(|(column, data_type)| {
        let lineage = ColumnLineage {
            data_type: data_type.clone(),
            copied: column.copied,
            direct: sorted(&column.direct),
            indirect: sorted(&column.indirect),
        };
        (column.name.clone(), lineage)
    });
    let columns = columns.collect();
    NodeLineage { columns, rows: sorted(&planned.lineage.rows) }
}
