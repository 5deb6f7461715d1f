//! The database as Jinja sees it: an adapter's methods, called from a blocking thread.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::adapter::{Adapter, AdapterError, ExternalTable, Operation};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::event::{Event, EventSink};
use crate::jinja::Introspect;
use crate::manifest::{Manifest, Source};
use crate::name::{Relation, RelationType, quote_identifier};
use crate::rows::{Answer, ColumnType, Rows};

/// Answers templates from an adapter. Its methods block: call them from `spawn_blocking` threads only.
pub struct AdapterIntrospect {
    pub adapter: Arc<dyn Adapter>,
    pub manifest: Arc<Manifest>,
    /// Relative external locations are below it.
    pub root: std::path::PathBuf,
    pub handle: Handle,
    /// A query under way is given up when this is cancelled.
    pub cancel: CancellationToken,
    /// Hears of every statement, at debug level.
    pub events: Arc<dyn EventSink>,
    pub label: QueryLabel,
}

/// What marks the statements of one connection.
#[derive(Clone, Debug, Default)]
pub struct QueryLabel {
    /// dbt's name of the connection.
    pub connection: String,
    pub comment: Option<QueryComment>,
}

/// `query-comment`: text that goes with every statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryComment {
    pub text: String,
    /// Behind the statement, not before it.
    pub append: bool,
}

impl QueryComment {
    /// The statement with the comment, and how many lines further down it begins.
    fn on(&self, sql: &str) -> (String, u32) {
        let text = self.text.trim();
        if self.append {
            let sql = sql.trim_end();
            let (sql, end) = sql.strip_suffix(';').map_or((sql, ""), |sql| (sql, ";"));
            return (format!("{sql}\n/* {text} */{end}"), 0);
        }
        let lines = u32::try_from(text.matches('\n').count()).unwrap_or(0) + 1;
        (format!("/* {text} */\n{sql}"), lines)
    }
}

impl AdapterIntrospect {
    /// The same for another connection's name and comment.
    #[must_use]
    pub fn labelled(self, label: QueryLabel) -> Self {
        Self { label, ..self }
    }

    /// The statement as it is sent: with its comment, told to who listens.
    fn told(&self, sql: &str) -> (String, u32) {
        let (sent, shift) = match &self.label.comment {
            Some(comment) if !sql.trim().is_empty() => comment.on(sql),
            _ => (sql.to_string(), 0),
        };
        if self.adapter.builds_by_macros() {
            self.events.emit(Event::Statement { connection: self.label.connection.clone(), sql: sent.clone() });
        }
        (sent, shift)
    }

    fn answer(&self, sql: &str, begin: bool) -> Outcome<Answer> {
        let (sent, shift) = self.told(sql);
        let moved = |mut error: AdapterError| {
            error.position = error.position.map(|(line, column)| (line.saturating_sub(shift).max(1), column));
            error
        };
        self.wait(Some(sql), async { self.adapter.answer(&sent, begin).await.map_err(moved) })
    }

    fn wait<T>(&self, sql: Option<&str>, work: impl Future<Output = Result<T, AdapterError>>) -> Outcome<T> {
        let outcome = self.handle.block_on(async {
            tokio::select! {
                biased;
                outcome = work => Some(outcome),
                () = self.cancel.cancelled() => None,
            }
        });
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(Box::new(diagnostic(error, sql))),
            None => Diagnostic::error("cancelled", "the run was cancelled while a query ran").fail(),
        }
    }

    fn statement(&self, sql: &str) -> Outcome<()> {
        self.wait(Some(sql), self.adapter.execute(sql)).map(|_| ())
    }
}

impl Introspect for AdapterIntrospect {
    fn query(&self, sql: &str) -> Outcome<Rows> {
        match self.adapter.builds_by_macros() {
            true => self.answer(sql, false).map(|answer| answer.rows),
            false => self.wait(Some(sql), self.adapter.execute(sql)),
        }
    }

    fn query_columns(&self, sql: &str) -> Outcome<Vec<ColumnType>> {
        let columns = self.adapter.driver_columns(self.query(sql)?.columns);
        for code in columns.iter().filter_map(|column| column.data_type.strip_prefix("unknown type_code ")) {
            let message = format!("The `type_code` {code} was not recognized: it has no name in a contract's table");
            self.events.emit(Event::Diagnostic(Diagnostic::warning("type-code-unknown", message)));
        }
        Ok(columns)
    }

    fn execute(&self, sql: &str, begin: bool) -> Outcome<Answer> {
        self.answer(sql, begin)
    }

    fn commit(&self) -> Outcome<()> {
        self.wait(None, self.adapter.commit())
    }

    fn by_macros(&self) -> bool {
        self.adapter.builds_by_macros()
    }

    fn load_rows(&self, relation: &Relation, columns: &[String], rows: &[Vec<Option<String>>]) -> Outcome<Answer> {
        self.wait(None, self.adapter.load_rows(relation, columns, rows))
    }

    fn relation_type(&self, relation: &Relation) -> Outcome<Option<RelationType>> {
        self.wait(None, self.adapter.relation_type(relation))
    }

    fn columns(&self, relation: &Relation) -> Outcome<Vec<ColumnType>> {
        self.wait(None, self.adapter.columns(relation))
    }

    fn list_relations(&self, _database: Option<&str>, schema: &str) -> Outcome<Vec<(Relation, RelationType)>> {
        self.wait(None, self.adapter.list_relations(schema))
    }

    fn list_schemas(&self, _database: Option<&str>) -> Outcome<Vec<String>> {
        self.wait(None, self.adapter.list_schemas())
    }

    fn create_schema(&self, relation: &Relation) -> Outcome<()> {
        let operation =
            Operation::CreateSchema { database: relation.database.clone(), schema: relation.schema.clone().unwrap_or_default() };
        self.wait(None, self.adapter.apply(operation)).map(|_| ())
    }

    fn drop_schema(&self, relation: &Relation) -> Outcome<()> {
        let schema = relation.schema.as_deref().unwrap_or_default();
        self.statement(&format!("drop schema if exists {} cascade", quote_identifier(schema)))
    }

    fn drop_relation(&self, relation: &Relation) -> Outcome<()> {
        self.wait(None, self.adapter.apply(Operation::Drop { relation: relation.clone(), relation_type: None })).map(|_| ())
    }

    fn truncate_relation(&self, relation: &Relation) -> Outcome<()> {
        self.statement(&format!("delete from {}", relation.render()))
    }

    fn rename_relation(&self, from: &Relation, to: &Relation) -> Outcome<()> {
        self.wait(None, self.adapter.rename(from, to))
    }

    fn stage_external(&self, select: Option<&str>) -> Outcome<Vec<String>> {
        let wanted = |source: &Source| {
            let full = format!("{}.{}", source.source_name, source.name);
            select.is_none_or(|select| select.split_whitespace().any(|name| name == source.source_name || name == full))
        };
        let sources = self.manifest.sources.values().filter(|source| wanted(source));
        sources
            .filter_map(|source| external_table(source, &self.root))
            .map(|table| self.wait(None, self.adapter.stage_external(&table)))
            .collect()
    }
}

/// The external table a source declares, if it has an `external:` block.
pub fn external_table(source: &Source, root: &Path) -> Option<ExternalTable> {
    let external = source.external.clone()?;
    let column = |column: &crate::manifest::Column| ColumnType {
        name: column.name.clone(),
        data_type: column.data_type.clone().unwrap_or_default(),
    };
    Some(ExternalTable {
        relation: source.relation(),
        external,
        columns: source.columns.values().map(column).collect(),
        base: root.to_path_buf(),
    })
}

/// An adapter's error as a diagnostic; a place in the SQL becomes the line itself with a caret.
fn diagnostic(error: AdapterError, sql: Option<&str>) -> Diagnostic {
    let mut message = error.message;
    if let Some((sql, (line, column))) = sql.zip(error.position)
        && let Some(text) = sql.lines().nth(line.saturating_sub(1) as usize)
    {
        let text = text.replace('\t', " ");
        let blanks = " ".repeat(column.saturating_sub(1) as usize);
        message.push_str(&format!("\n  in the query, line {line}: {text}\n{:>pad$}{blanks}^", "", pad = prefix_width(line)));
    }
    let diagnostic = Diagnostic::error(error.code, message);
    match error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// The width of `  in the query, line N: `.
fn prefix_width(line: u32) -> usize {
    "  in the query, line : ".len() + line.to_string().len()
}
