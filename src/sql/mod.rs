//! SQL text to commands and plans (thin form: the PostgreSQL dialect and the engine's own functions).

pub mod types;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use sqlparser::ast::{
    AlterTableOperation, AssignmentTarget, Expr, FromTable, Ident, MergeAction, MergeClauseKind, MergeInsertKind, ObjectName, ObjectType,
    RenameTableNameKind, SchemaName, Statement, TableFactor, TableObject, UpdateTableFromKind,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// A mistake in SQL text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    pub message: String,
    /// Line and column, from 1.
    pub position: Option<(u32, u32)>,
    pub help: Option<String>,
}

impl SqlError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, help: None }
    }
}

/// A name's parts as stored: unquoted ones in lower case.
pub type Name = Vec<String>;

/// What one statement asks for; SQL inside is text to be planned in its turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Query,
    Explain,
    Show,
    CreateTableAs { name: Name, query: String, replace: bool, if_not_exists: bool },
    CreateTable { name: Name, columns: Vec<(String, String)>, replace: bool, if_not_exists: bool },
    CreateView { name: Name, columns: Vec<String>, query: String, replace: bool },
    CreateSchema { name: Name, if_not_exists: bool },
    DropTable { names: Vec<Name>, if_exists: bool },
    DropView { names: Vec<Name>, if_exists: bool },
    DropSchema { names: Vec<Name>, if_exists: bool, cascade: bool },
    Insert { name: Name, columns: Vec<String>, query: String },
    Update { name: Name, alias: String, assignments: Vec<(String, String)>, from: Option<String>, selection: Option<String> },
    Delete { name: Name, alias: String, using: Option<String>, selection: Option<String> },
    Merge { name: Name, alias: String, source: String, source_alias: String, on: String, clauses: Vec<MergeClause> },
    Truncate { names: Vec<Name> },
    AlterTable { name: Name, changes: Vec<Alteration> },
    /// Nothing to do here, and why.
    Ignored(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub struct MergeClause {
    pub when: MergeWhen,
    pub predicate: Option<String>,
    pub action: MergeThen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeWhen {
    Matched,
    NotMatchedByTarget,
    NotMatchedBySource,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MergeThen {
    Update(Vec<(String, String)>),
    Delete,
    Insert { columns: Vec<String>, values: Vec<String> },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Alteration {
    AddColumn { name: String, data_type: String, if_not_exists: bool },
    DropColumn { name: String, if_exists: bool },
    RenameColumn { from: String, to: String },
    RenameTo(Name),
    SetType { name: String, data_type: String },
}

/// The statements of a text, understood.
pub fn command(text: &str) -> Result<Vec<(Command, String)>, SqlError> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(|error| SqlError::new(error.to_string()))?;
    statements.into_iter().map(|statement| Ok((of_statement(&statement)?, statement.to_string()))).collect()
}

/// A query's plan, over the relations that `ctx` knows.
pub async fn plan(ctx: &SessionContext, text: &str) -> Result<LogicalPlan, SqlError> {
    let plan = ctx.state().create_logical_plan(text).await;
    plan.map_err(|error| SqlError::new(error.strip_backtrace()))
}

pub fn register_functions(_ctx: &SessionContext) {}

fn ident(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn name(name: &ObjectName) -> Name {
    name.0.iter().filter_map(|part| part.as_ident()).map(ident).collect()
}

fn table(factor: &TableFactor) -> Result<(Name, String), SqlError> {
    match factor {
        TableFactor::Table { name: table, alias, .. } => {
            let written = table.0.last().map(ToString::to_string).unwrap_or_default();
            Ok((name(table), alias.as_ref().map_or(written, |alias| alias.name.to_string())))
        }
        other => Err(SqlError::new(format!("expected a table's name, found {other}"))),
    }
}

fn assignments(list: &[sqlparser::ast::Assignment]) -> Result<Vec<(String, String)>, SqlError> {
    list.iter()
        .map(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(column) => {
                Ok((name(column).pop().unwrap_or_default(), assignment.value.to_string()))
            }
            AssignmentTarget::Tuple(_) => Err(SqlError::new("assignments to a list of columns are not supported")),
        })
        .collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[expect(clippy::too_many_lines, reason = "one arm a statement")]
fn of_statement(statement: &Statement) -> Result<Command, SqlError> {
    Ok(match statement {
        Statement::Query(_) => Command::Query,
        Statement::Explain { .. } | Statement::ExplainTable { .. } => Command::Explain,
        Statement::ShowTables { .. } | Statement::ShowVariable { .. } => Command::Show,
        Statement::CreateTable(create) => match &create.query {
            Some(query) => Command::CreateTableAs {
                name: name(&create.name),
                query: query.to_string(),
                replace: create.or_replace,
                if_not_exists: create.if_not_exists,
            },
            None => Command::CreateTable {
                name: name(&create.name),
                columns: create.columns.iter().map(|column| (ident(&column.name), column.data_type.to_string())).collect(),
                replace: create.or_replace,
                if_not_exists: create.if_not_exists,
            },
        },
        Statement::CreateView(view) => Command::CreateView {
            name: name(&view.name),
            columns: view.columns.iter().map(|column| ident(&column.name)).collect(),
            query: view.query.to_string(),
            replace: view.or_replace,
        },
        Statement::CreateSchema { schema_name, if_not_exists, .. } => match schema_name {
            SchemaName::Simple(schema) | SchemaName::NamedAuthorization(schema, _) => {
                Command::CreateSchema { name: name(schema), if_not_exists: *if_not_exists }
            }
            SchemaName::UnnamedAuthorization(owner) => Command::CreateSchema { name: vec![ident(owner)], if_not_exists: *if_not_exists },
        },
        Statement::Drop { object_type, if_exists, names, cascade, .. } => {
            let names: Vec<Name> = names.iter().map(name).collect();
            match object_type {
                ObjectType::Table => Command::DropTable { names, if_exists: *if_exists },
                ObjectType::View | ObjectType::MaterializedView => Command::DropView { names, if_exists: *if_exists },
                ObjectType::Schema => Command::DropSchema { names, if_exists: *if_exists, cascade: *cascade },
                _ => return Err(SqlError::new(format!("not supported: {statement}"))),
            }
        }
        Statement::Insert(insert) => {
            let TableObject::TableName(table) = &insert.table else { return Err(SqlError::new("expected a table's name")) };
            Command::Insert {
                name: name(table),
                columns: insert.columns.iter().filter_map(|column| name(column).pop()).collect(),
                query: insert.source.as_ref().map(ToString::to_string).unwrap_or_default(),
            }
        }
        Statement::Update(update) => {
            let (table, alias) = table(&update.table.relation)?;
            let from = update.from.as_ref().map(|from| match from {
                UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables) => joined(tables),
            });
            let selection = update.selection.as_ref().map(Expr::to_string);
            Command::Update { name: table, alias, assignments: assignments(&update.assignments)?, from, selection }
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
            let (table, alias) = table(&tables[0].relation)?;
            let using = delete.using.as_ref().map(|using| joined(using));
            Command::Delete { name: table, alias, using, selection: delete.selection.as_ref().map(Expr::to_string) }
        }
        Statement::Merge(merge) => {
            let (table, alias) = table(&merge.table)?;
            let clauses = merge.clauses.iter().map(merge_clause).collect::<Result<_, _>>()?;
            let source_alias = source_alias(&merge.source);
            Command::Merge { name: table, alias, source: merge.source.to_string(), source_alias, on: merge.on.to_string(), clauses }
        }
        Statement::Truncate(truncate) => Command::Truncate { names: truncate.table_names.iter().map(|t| name(&t.name)).collect() },
        Statement::AlterTable(alter) => {
            Command::AlterTable { name: name(&alter.name), changes: alter.operations.iter().map(alteration).collect::<Result<Vec<_>, _>>()?.concat() }
        }
        Statement::Grant(_) | Statement::Revoke(_) => Command::Ignored("there are no users"),
        Statement::Comment { .. } | Statement::Set(_) | Statement::Analyze(_) | Statement::Vacuum(_) => Command::Ignored("has no effect here"),
        Statement::StartTransaction { .. } | Statement::Commit { .. } | Statement::Rollback { .. } => {
            Command::Ignored("each statement is its own transaction")
        }
        other => return Err(SqlError::new(format!("not supported: {other}"))),
    })
}

/// The name by which a `using` relation is called.
fn source_alias(source: &TableFactor) -> String {
    let alias = match source {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.to_string()),
        _ => None,
    };
    alias.unwrap_or_else(|| table(source).map_or_else(|_| "source".to_string(), |(_, alias)| alias))
}

fn merge_clause(clause: &sqlparser::ast::MergeClause) -> Result<MergeClause, SqlError> {
    let when = match clause.clause_kind {
        MergeClauseKind::Matched => MergeWhen::Matched,
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => MergeWhen::NotMatchedByTarget,
        MergeClauseKind::NotMatchedBySource => MergeWhen::NotMatchedBySource,
    };
    let action = match &clause.action {
        MergeAction::Update(update) => MergeThen::Update(assignments(&update.assignments)?),
        MergeAction::Delete { .. } => MergeThen::Delete,
        MergeAction::Insert(insert) => {
            let MergeInsertKind::Values(values) = &insert.kind else { return Err(SqlError::new("`insert row` is not supported")) };
            let values = values.rows.first().map(|row| row.iter().map(ToString::to_string).collect()).unwrap_or_default();
            MergeThen::Insert { columns: insert.columns.iter().filter_map(|column| name(column).pop()).collect(), values }
        }
    };
    Ok(MergeClause { when, predicate: clause.predicate.as_ref().map(Expr::to_string), action })
}

fn alteration(operation: &AlterTableOperation) -> Result<Vec<Alteration>, SqlError> {
    Ok(match operation {
        AlterTableOperation::AddColumn { if_not_exists, column_def, .. } => vec![Alteration::AddColumn {
            name: ident(&column_def.name),
            data_type: column_def.data_type.to_string(),
            if_not_exists: *if_not_exists,
        }],
        AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
            column_names.iter().map(|column| Alteration::DropColumn { name: ident(column), if_exists: *if_exists }).collect()
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            vec![Alteration::RenameColumn { from: ident(old_column_name), to: ident(new_column_name) }]
        }
        AlterTableOperation::RenameTable { table_name: RenameTableNameKind::To(new) | RenameTableNameKind::As(new) } => {
            vec![Alteration::RenameTo(name(new))]
        }
        AlterTableOperation::OwnerTo { .. } => Vec::new(),
        other => return Err(SqlError::new(format!("not supported: alter table … {other}"))),
    })
}
