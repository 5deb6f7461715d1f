//! Commands in the form the lake carries out: names in parts, and every expression as text, because changes of rows are
//! worked out by queries put together around them.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, MergeAction, MergeClauseKind, MergeInsertKind, ObjectName, TableFactor,
};

use crate::name::{Relation, RelationType, quote_identifier};
use crate::sql::{self, AlterColumn, DropKind, SqlError};

/// A name's parts as stored: database, schema and identifier, as many as were given.
pub type Name = Vec<String>;

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Query,
    Explain,
    Show,
    CreateTableAs { name: Name, query: String, replace: bool, if_not_exists: bool },
    CreateTable { name: Name, columns: Vec<(String, String)>, replace: bool, if_not_exists: bool },
    CreateView { name: Name, columns: Vec<String>, query: String, replace: bool },
    CreateSchema { name: Name },
    DropTable { names: Vec<Name>, if_exists: bool },
    DropView { names: Vec<Name>, if_exists: bool },
    DropSchema { names: Vec<Name>, if_exists: bool, cascade: bool },
    Insert { name: Name, columns: Vec<String>, query: String, overwrite: bool },
    Update { name: Name, alias: String, assignments: Vec<(String, String)>, from: Option<String>, selection: Option<String> },
    Delete { name: Name, alias: String, using: Option<String>, selection: Option<String> },
    Merge { name: Name, alias: String, source: String, source_alias: String, on: String, clauses: Vec<MergeClause> },
    Truncate { names: Vec<Name> },
    AlterTable { name: Name, changes: Vec<Alteration> },
    /// Nothing to do here.
    Ignored,
}

/// One `when … then …` of a merge.
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

/// One change of a table's columns or name.
#[derive(Clone, Debug, PartialEq)]
pub enum Alteration {
    AddColumn { name: String, data_type: String, if_not_exists: bool },
    DropColumn { name: String, if_exists: bool },
    RenameColumn { from: String, to: String },
    RenameTo(Name),
    SetType { name: String, data_type: String },
}

/// The statements of a text, each with its own text.
pub fn commands(text: &str) -> Result<Vec<(Command, String)>, SqlError> {
    let parsed = sql::command(text)?;
    parsed.into_iter().map(|(command, text)| Ok((translated(command)?, text))).collect()
}

fn translated(command: sql::Command) -> Result<Command, SqlError> {
    Ok(match command {
        sql::Command::Query(_) => Command::Query,
        sql::Command::Explain { .. } => Command::Explain,
        sql::Command::Show(_) => Command::Show,
        sql::Command::Ignored(_) => Command::Ignored,
        sql::Command::CreateTableAs { name, or_replace, if_not_exists, query, .. } => {
            Command::CreateTableAs { name: parts(&name), query: query.to_string(), replace: or_replace, if_not_exists }
        }
        sql::Command::CreateTable { name, or_replace, if_not_exists, columns, .. } => {
            let columns = columns.into_iter().map(|column| (column.name, column.data_type)).collect();
            Command::CreateTable { name: parts(&name), columns, replace: or_replace, if_not_exists }
        }
        sql::Command::CreateView { name, or_replace, columns, sql, .. } => {
            Command::CreateView { name: parts(&name), columns, query: sql, replace: or_replace }
        }
        sql::Command::CreateSchema { database, schema, .. } => {
            Command::CreateSchema { name: database.into_iter().chain([schema]).collect() }
        }
        sql::Command::Drop(dropped) => drop(&dropped),
        sql::Command::Truncate { tables, .. } => Command::Truncate { names: tables.iter().map(parts).collect() },
        sql::Command::AlterTable { table, changes, .. } => {
            Command::AlterTable { name: parts(&table), changes: changes.into_iter().filter_map(alteration).collect() }
        }
        rows => changed_rows(rows)?,
    })
}

/// The statements that change a table's rows.
fn changed_rows(command: sql::Command) -> Result<Command, SqlError> {
    Ok(match command {
        sql::Command::Insert { table, columns, source, overwrite } => {
            let source = source.ok_or_else(|| SqlError::new("`insert … default values` is not supported"))?;
            Command::Insert { name: parts(&table), columns, query: source.to_string(), overwrite }
        }
        sql::Command::Update { table, alias, assignments, from, selection } => Command::Update {
            alias: called(&table, alias),
            name: parts(&table),
            assignments: assignments.into_iter().map(|(column, value)| (column, value.to_string())).collect(),
            from: joined(&from),
            selection: selection.map(|expr| expr.to_string()),
        },
        sql::Command::Delete { table, alias, using, selection } => Command::Delete {
            alias: called(&table, alias),
            name: parts(&table),
            using: joined(&using),
            selection: selection.map(|expr| expr.to_string()),
        },
        sql::Command::Merge(merge) => Command::Merge {
            alias: called(&merge.table, merge.alias),
            name: parts(&merge.table),
            source_alias: source_alias(&merge.source),
            source: merge.source.to_string(),
            on: merge.on.to_string(),
            clauses: merge.clauses.iter().map(clause).collect::<Result<_, _>>()?,
        },
        _ => return Err(SqlError::new("the statement is not supported")),
    })
}

fn parts(name: &Relation) -> Name {
    [&name.database, &name.schema].into_iter().flatten().chain([&name.identifier]).cloned().collect()
}

/// What a table is called in its statement: its alias, or its own name.
fn called(table: &Relation, alias: Option<String>) -> String {
    quote_identifier(&alias.unwrap_or_else(|| table.identifier.clone()))
}

fn joined<T: ToString>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

fn drop(dropped: &sql::Drop) -> Command {
    let (names, if_exists) = (dropped.names.iter().map(parts).collect(), dropped.if_exists);
    match dropped.what {
        DropKind::Schema => Command::DropSchema { names, if_exists, cascade: dropped.cascade },
        DropKind::Relation(RelationType::View | RelationType::MaterializedView) => Command::DropView { names, if_exists },
        DropKind::Relation(_) => Command::DropTable { names, if_exists },
    }
}

fn alteration(change: AlterColumn) -> Option<Alteration> {
    Some(match change {
        AlterColumn::Add { column, if_not_exists } => {
            Alteration::AddColumn { name: column.name, data_type: column.data_type, if_not_exists }
        }
        AlterColumn::Drop { column, if_exists } => Alteration::DropColumn { name: column, if_exists },
        AlterColumn::Rename { from, to } => Alteration::RenameColumn { from, to },
        AlterColumn::Retype { column, data_type } => Alteration::SetType { name: column, data_type },
        AlterColumn::RenameTable { to } => Alteration::RenameTo(parts(&to)),
        AlterColumn::Nothing => return None,
    })
}

/// The name by which a merge's source is called.
fn source_alias(source: &TableFactor) -> String {
    let alias = match source {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.to_string()),
        _ => None,
    };
    let own = || match source {
        TableFactor::Table { name, .. } => name.0.last().map(ToString::to_string),
        _ => None,
    };
    alias.or_else(own).unwrap_or_else(|| "source".to_string())
}

fn clause(clause: &sqlparser::ast::MergeClause) -> Result<MergeClause, SqlError> {
    let when = match clause.clause_kind {
        MergeClauseKind::Matched => MergeWhen::Matched,
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => MergeWhen::NotMatchedByTarget,
        MergeClauseKind::NotMatchedBySource => MergeWhen::NotMatchedBySource,
    };
    let action = match &clause.action {
        MergeAction::Update(update) => MergeThen::Update(assigned(&update.assignments)?),
        MergeAction::Delete { .. } => MergeThen::Delete,
        MergeAction::Insert(insert) => {
            let MergeInsertKind::Values(values) = &insert.kind else {
                return Err(SqlError::new("`insert row` is not supported in a merge"));
            };
            let values = values.rows.first().map(|row| row.iter().map(ToString::to_string).collect()).unwrap_or_default();
            MergeThen::Insert { columns: insert.columns.iter().filter_map(column).collect(), values }
        }
    };
    Ok(MergeClause { when, predicate: clause.predicate.as_ref().map(Expr::to_string), action })
}

fn assigned(list: &[Assignment]) -> Result<Vec<(String, String)>, SqlError> {
    let one = |assignment: &Assignment| match &assignment.target {
        AssignmentTarget::ColumnName(name) => Ok((column(name).unwrap_or_default(), assignment.value.to_string())),
        AssignmentTarget::Tuple(_) => Err(SqlError::new("assignments to a list of columns are not supported")),
    };
    list.iter().map(one).collect()
}

/// A column's own name, the last part of what was written.
fn column(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(stored)
}

/// An identifier as stored: lower case unless it was quoted.
fn stored(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
