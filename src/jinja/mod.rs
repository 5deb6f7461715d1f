//! The template engine: minijinja with dbt's context, macros of the project, its packages and headwater's own.
//!
//! Functions that need to know the node they stand in (`ref`, `source`, `config`, `var`, `this`, `adapter`, `run_query`) go
//! through [`NodeScope`], which has two bodies: parsing captures the calls, compiling answers them.

use std::sync::Arc;

use minijinja::Value;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{JsonMap, RefArgs};
use crate::name::{Relation, RelationType, UniqueId};
use crate::rows::{Answer, ColumnType, Rows};

pub mod blocks;

mod arguments;
mod call;
mod collection;
mod context;
mod database;
mod engine;
mod error;
mod exceptions;
mod invoke;
mod iteration;
mod language;
mod materialize;
mod moment;
mod node_config;
mod output;
mod pattern;
mod reads;
mod registry;
mod relation;
mod rendered;
mod rewrite;
mod runtime;
mod sql_adapter;
mod static_calls;
mod syntax_tree;
mod table;
mod text;

pub use collection::from_json as value_of;
pub use engine::{Jinja, JinjaSettings, MacroCall, ReadEnv, TemplateText};
pub use materialize::{FoundMaterialization, Materialized, StatementResult};
pub use moment::utc;
pub use node_config::node_config;
pub use output::json_text;
pub use reads::Reads;
pub use registry::{MacroSource, builtin_macros};
pub use relation::value_of_relation as relation_value;
pub use rendered::{Origins, Place, Rendered};
pub use static_calls::StaticCalls;

/// What a template can ask about the node it belongs to. One value a render; shared by every macro the render calls.
pub trait NodeScope: Send + Sync {
    /// `ref(...)`: parsing records the call and answers a placeholder relation; compiling answers the real one.
    fn resolve_ref(&self, args: RefArgs) -> Outcome<RefAnswer>;
    /// `source('name', 'table')`.
    fn resolve_source(&self, source: &str, table: &str) -> Outcome<RefAnswer>;
    /// `function('name')`, `function('package', 'name')`.
    fn resolve_function(&self, name: &str, package: Option<&str>) -> Outcome<RefAnswer> {
        let _ = package;
        Diagnostic::error("function-not-found", format!("there is no function `{name}` here")).fail()
    }
    /// `config(key=value, …)`.
    fn set_config(&self, values: JsonMap) -> Outcome<()>;
    /// `config.get(key)`; none if unset.
    fn config_value(&self, key: &str) -> Option<serde_json::Value>;
    /// `var(name)`, with the scope's package deciding which vars it sees; none if unset.
    fn variable(&self, name: &str) -> Option<serde_json::Value>;
    /// `this`; none where a template has no relation (hooks, operations).
    fn this_relation(&self) -> Option<RefAnswer>;
    /// `model`: the node as dbt's dictionary.
    fn model(&self) -> Value;
    /// `execute`.
    fn executes(&self) -> bool;
    /// The package whose macros win when names clash: the node's own.
    fn package(&self) -> &str;
    /// A macro was called; parsing records it for `depends_on.macros`.
    fn macro_called(&self, macro_id: &UniqueId);
    /// The database, while compiling against one.
    fn database(&self) -> Option<Arc<dyn Introspect>>;
    /// `load_agate_table()`: the rows of the seed this scope belongs to.
    fn seed_rows(&self) -> Outcome<Rows> {
        Diagnostic::error("no-seed", "`load_agate_table` reads a seed's file, and this is none").fail()
    }
    /// Any further name of this render's context: a generic test's `model` and arguments, `results`, `graph`, `sql`,
    /// `schemas`. Looked up before macros and built-in functions.
    fn extra(&self, name: &str) -> Option<Value>;
    /// What calling the macro `name` gives instead of running it, for a unit test's overrides: by its bare name or, with a
    /// package, as that package's.
    fn override_of(&self, _package: Option<&str>, _name: &str) -> Option<Value> {
        None
    }
    /// The environment variable `name` where the render has a value of its own for it.
    fn environment(&self, _name: &str) -> Option<String> {
        None
    }
    /// `log(text, info)`.
    fn message(&self, text: &str, info: bool);
    /// `print(text)`: shown even when the console is quiet.
    fn print(&self, text: &str) {
        self.message(text, true);
    }
    /// `exceptions.warn(text)`.
    fn warn(&self, text: &str);
    /// Whether such a warning is a mistake, under `--warn-error`.
    fn warns_are_errors(&self) -> bool {
        false
    }
}

/// The relation a `ref`, `source` or `this` stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct RefAnswer {
    pub relation: Relation,
    pub relation_type: Option<RelationType>,
    /// What it renders as where that is not the quoted relation: an ephemeral model's `__dbt__cte__name`, a
    /// `--empty` subquery.
    pub rendered: Option<String>,
}

/// The questions and commands Jinja may send to the database while one node compiles. Blocking.
pub trait Introspect: Send + Sync {
    fn query(&self, sql: &str) -> Outcome<Rows>;
    /// `adapter.execute`: a statement with the database's word on it; `begin`: within a transaction.
    fn execute(&self, sql: &str, begin: bool) -> Outcome<Answer> {
        let _ = begin;
        Ok(Answer { message: "OK".to_string(), rows: self.query(sql)? })
    }
    /// The columns of a query that may have statements before it, with types as the database's driver names them.
    fn query_columns(&self, sql: &str) -> Outcome<Vec<ColumnType>> {
        self.query(sql).map(|rows| rows.columns)
    }
    /// `adapter.commit`.
    fn commit(&self) -> Outcome<()> {
        Ok(())
    }
    /// Whether `adapter.drop_relation` and its like are the macros of those names, as in dbt's SQL adapters; otherwise the
    /// database does them itself.
    fn by_macros(&self) -> bool {
        false
    }
    /// Appends a table's rows to a relation: each column's name and the cells' text, none for null.
    fn load_rows(&self, relation: &Relation, columns: &[String], rows: &[Vec<Option<String>>]) -> Outcome<Answer> {
        let _ = (columns, rows);
        Diagnostic::error("rows-not-loaded", format!("this database takes no rows for {relation} here")).fail()
    }
    fn relation_type(&self, relation: &Relation) -> Outcome<Option<RelationType>>;
    fn columns(&self, relation: &Relation) -> Outcome<Vec<ColumnType>>;
    fn list_relations(&self, database: Option<&str>, schema: &str) -> Outcome<Vec<(Relation, RelationType)>>;
    fn list_schemas(&self, database: Option<&str>) -> Outcome<Vec<String>>;
    fn create_schema(&self, relation: &Relation) -> Outcome<()>;
    fn drop_schema(&self, relation: &Relation) -> Outcome<()>;
    fn drop_relation(&self, relation: &Relation) -> Outcome<()>;
    fn truncate_relation(&self, relation: &Relation) -> Outcome<()>;
    fn rename_relation(&self, from: &Relation, to: &Relation) -> Outcome<()>;
    /// `stage_external_sources`: registers or refreshes the external tables of the given sources (`name` or
    /// `name.table`; none = all). Returns one line a table.
    fn stage_external(&self, select: Option<&str>) -> Outcome<Vec<String>>;
}
