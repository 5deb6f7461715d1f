//! What a statement asks the database to do, for an adapter to carry out.
//!
//! Queries inside commands are as parsed, not rewritten: [`super::plan_statement`] takes them. Views keep their text, so that
//! they are planned anew, over whatever their parents are then.

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, Assignment, AssignmentTarget, CreateTable, CreateView, Delete, Expr,
    FromTable, Ident, Insert, MergeClause, ObjectName, ObjectType, Query, RenameTableNameKind, SchemaName, SetExpr, Statement,
    TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::{SqlError, parse, types};
use crate::name::{Relation, RelationType};

/// One statement's meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Query(Box<Query>),
    CreateTableAs {
        name: Relation,
        or_replace: bool,
        if_not_exists: bool,
        temporary: bool,
        query: Box<Query>,
    },
    CreateTable {
        name: Relation,
        or_replace: bool,
        if_not_exists: bool,
        temporary: bool,
        columns: Vec<Column>,
    },
    /// `sql` is the view's query as written.
    CreateView {
        name: Relation,
        or_replace: bool,
        if_not_exists: bool,
        materialized: bool,
        columns: Vec<String>,
        sql: String,
    },
    Drop(Drop),
    CreateSchema {
        database: Option<String>,
        schema: String,
        if_not_exists: bool,
    },
    /// `source` is `None` for `default values`. `overwrite` replaces all rows.
    Insert {
        table: Relation,
        columns: Vec<String>,
        source: Option<Box<Query>>,
        overwrite: bool,
    },
    Update {
        table: Relation,
        alias: Option<String>,
        assignments: Vec<(String, Expr)>,
        from: Vec<TableWithJoins>,
        selection: Option<Expr>,
    },
    Delete {
        table: Relation,
        alias: Option<String>,
        using: Vec<TableWithJoins>,
        selection: Option<Expr>,
    },
    Merge(Box<Merge>),
    Truncate {
        tables: Vec<Relation>,
        if_exists: bool,
    },
    /// Deletes what no version that is to be kept needs; of all tables if none is named.
    Vacuum {
        table: Option<Relation>,
    },
    AlterTable {
        table: Relation,
        if_exists: bool,
        changes: Vec<AlterColumn>,
    },
    /// Says nothing to a database without sessions, transactions, grants or statistics; the word says why.
    Ignored(&'static str),
    Explain {
        analyze: bool,
        statement: Box<Statement>,
    },
    /// `show`, `describe` and the like, left to DataFusion.
    Show(Box<Statement>),
}

/// A column as `create table` and `add column` declare it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// As written, such as `varchar(20)`; [`super::arrow_type`] reads it.
    pub data_type: String,
    pub not_null: bool,
}

/// `drop table a, b`, `drop view …`, `drop schema …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    pub what: DropKind,
    pub names: Vec<Relation>,
    pub if_exists: bool,
    pub cascade: bool,
}

/// What `drop` drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    Relation(RelationType),
    /// The schema's name is the relation's `identifier`, its database the `schema`'s place.
    Schema,
}

/// `merge into table using source on … when …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    pub table: Relation,
    pub alias: Option<String>,
    pub source: TableFactor,
    pub on: Expr,
    pub clauses: Vec<MergeClause>,
}

/// One change of `alter table`.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterColumn {
    Add {
        column: Column,
        if_not_exists: bool,
    },
    Drop {
        column: String,
        if_exists: bool,
    },
    Rename {
        from: String,
        to: String,
    },
    /// The new type as written.
    Retype {
        column: String,
        data_type: String,
    },
    RenameTable {
        to: Relation,
    },
    /// Keys, owners, constraints: nothing to do.
    Nothing,
}

/// Parses every statement of a text into a command with its own text.
///
/// # Errors
/// Text that does not parse, or a statement that no engine of ours can carry out.
pub fn command(sql: &str) -> Result<Vec<(Command, String)>, SqlError> {
    parse::statements_with_text(sql)?.into_iter().map(|(statement, text)| Ok((classify(statement, &text)?, text))).collect()
}

fn classify(statement: Statement, text: &str) -> Result<Command, SqlError> {
    Ok(match statement {
        Statement::Query(query) => query_or_write(*query, text)?,
        Statement::CreateTable(create) => create_table(create)?,
        Statement::CreateView(create) => create_view(create, text)?,
        Statement::Drop { object_type, if_exists, names, cascade, .. } => drop(object_type, &names, if_exists, cascade)?,
        Statement::CreateSchema { schema_name, if_not_exists, .. } => create_schema(&schema_name, if_not_exists)?,
        Statement::Insert(insert) => self::insert(insert)?,
        Statement::Update(update) => self::update(update)?,
        Statement::Delete(delete) => self::delete(delete)?,
        Statement::Merge(merge) => {
            let (table, alias) = target(&merge.table)?;
            Command::Merge(Box::new(Merge { table, alias, source: merge.source, on: *merge.on, clauses: merge.clauses }))
        }
        Statement::Truncate(truncate) => Command::Truncate {
            tables: truncate.table_names.iter().map(|target| relation(&target.name)).collect::<Result<_, _>>()?,
            if_exists: truncate.if_exists,
        },
        Statement::AlterTable(alter) => alter_table(alter)?,
        Statement::Explain { analyze, statement, .. } => Command::Explain { analyze, statement },
        other => small(other, text)?,
    })
}

fn small(statement: Statement, text: &str) -> Result<Command, SqlError> {
    Ok(match statement {
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => Command::Ignored("transactions: every statement commits by itself"),
        Statement::Comment { .. } => Command::Ignored("comments"),
        Statement::Grant(_) | Statement::Revoke(_) | Statement::Deny(_) => Command::Ignored("privileges"),
        Statement::Analyze(_) => Command::Ignored("statistics are kept by the engine"),
        Statement::Vacuum(vacuum) => Command::Vacuum { table: vacuum.table_name.as_ref().map(relation).transpose()? },
        Statement::Set(_) | Statement::Reset(_) | Statement::Use(_) => Command::Ignored("session settings"),
        Statement::CreateIndex(_) | Statement::AlterIndex { .. } => Command::Ignored("indexes"),
        Statement::CreateExtension(_) | Statement::DropExtension(_) => Command::Ignored("extensions"),
        Statement::Lock(_) | Statement::LockTables { .. } | Statement::UnlockTables => Command::Ignored("locks"),
        show @ (Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowVariable { .. }
        | Statement::ShowFunctions { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowCreate { .. }
        | Statement::ExplainTable { .. }) => Command::Show(Box::new(show)),
        _ => {
            let start: Vec<&str> = text.split_whitespace().take(3).collect();
            return Err(SqlError::new(format!("the statement `{} …` is not supported", start.join(" "))));
        }
    })
}

/// A name of one to three parts; unquoted parts fold to lower case.
fn relation(name: &ObjectName) -> Result<Relation, SqlError> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(stored).collect();
    match parts.as_slice() {
        [table] => Ok(Relation::new(None, None, table)),
        [schema, table] => Ok(Relation::new(None, Some(schema), table)),
        [database, schema, table] => Ok(Relation::new(Some(database), Some(schema), table)),
        _ => Err(SqlError::new(format!("`{name}` has too many parts for a relation's name"))),
    }
}

fn stored(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// `with … insert/update/delete` parses as a query around the statement.
fn query_or_write(query: Query, text: &str) -> Result<Command, SqlError> {
    match (*query.body, query.with) {
        (SetExpr::Insert(Statement::Insert(mut insert)), with) => {
            if let (Some(source), Some(with)) = (&mut insert.source, with) {
                source.with.get_or_insert(with);
            }
            self::insert(insert)
        }
        (SetExpr::Update(statement) | SetExpr::Delete(statement) | SetExpr::Merge(statement), None) => classify(statement, text),
        (SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_), Some(_)) => {
            Err(SqlError::new("`with` before `update`, `delete` or `merge` is not supported")
                .with_help("use a subquery in its `from`"))
        }
        (body, with) => Ok(Command::Query(Box::new(Query { body: Box::new(body), with, ..query }))),
    }
}

fn create_table(create: CreateTable) -> Result<Command, SqlError> {
    let name = relation(&create.name)?;
    let CreateTable { or_replace, if_not_exists, temporary, query, columns, .. } = create;
    if let Some(query) = query {
        return Ok(Command::CreateTableAs { name, or_replace, if_not_exists, temporary, query });
    }
    if create.like.is_some() || create.clone.is_some() {
        return Err(
            SqlError::new("`create table … like` is not supported").with_help("use `create table … as select * from … limit 0`")
        );
    }
    let columns = columns.iter().map(column).collect::<Result<_, _>>()?;
    Ok(Command::CreateTable { name, or_replace, if_not_exists, temporary, columns })
}

fn column(definition: &sqlparser::ast::ColumnDef) -> Result<Column, SqlError> {
    let data_type = definition.data_type.to_string();
    if types::arrow_of(&definition.data_type).is_none() {
        return Err(SqlError::new(format!("column `{}` has the type `{data_type}`, which is not known", definition.name.value)));
    }
    let not_null = definition.options.iter().any(|option| {
        matches!(option.option, sqlparser::ast::ColumnOption::NotNull | sqlparser::ast::ColumnOption::PrimaryKey(_))
    });
    Ok(Column { name: stored(&definition.name), data_type, not_null })
}

fn create_view(create: CreateView, text: &str) -> Result<Command, SqlError> {
    let CreateView { or_replace, if_not_exists, materialized, columns, query, .. } = create;
    let columns = columns.iter().map(|column| stored(&column.name)).collect();
    let sql = query_text(text).unwrap_or_else(|| query.to_string());
    Ok(Command::CreateView { name: relation(&create.name)?, or_replace, if_not_exists, materialized, columns, sql })
}

/// The text after the first `as` outside quotes and parentheses, without Redshift's `with no schema binding`.
fn query_text(text: &str) -> Option<String> {
    use sqlparser::tokenizer::{Token, Tokenizer};
    let tokens = Tokenizer::new(&super::dialect::WarehouseDialect, text).tokenize_with_location().ok()?;
    let mut depth = 0_i32;
    let is_as =
        |token: &Token| matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("as"));
    for token in &tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            word if depth == 0 && is_as(word) => {
                let rest = parse::text_after(text, token.span.end);
                return Some(without_binding(rest).to_string());
            }
            _ => {}
        }
    }
    None
}

fn without_binding(query: &str) -> &str {
    let words: Vec<&str> = query.split_whitespace().rev().take(4).collect();
    let is_binding = words.iter().zip(["binding", "schema", "no", "with"]).all(|(word, known)| word.eq_ignore_ascii_case(known));
    if !is_binding || words.len() < 4 {
        return query.trim();
    }
    let lower = query.to_ascii_lowercase();
    lower.rfind("with").map_or(query, |at| query[..at].trim())
}

fn drop(object_type: ObjectType, names: &[ObjectName], if_exists: bool, cascade: bool) -> Result<Command, SqlError> {
    let what = match object_type {
        ObjectType::Table => DropKind::Relation(RelationType::Table),
        ObjectType::View => DropKind::Relation(RelationType::View),
        ObjectType::MaterializedView => DropKind::Relation(RelationType::MaterializedView),
        ObjectType::Schema => DropKind::Schema,
        ObjectType::Index => return Ok(Command::Ignored("indexes")),
        other => return Err(SqlError::new(format!("`drop {other}` is not supported"))),
    };
    let names = names.iter().map(relation).collect::<Result<_, _>>()?;
    Ok(Command::Drop(Drop { what, names, if_exists, cascade }))
}

fn create_schema(name: &SchemaName, if_not_exists: bool) -> Result<Command, SqlError> {
    let name = match name {
        SchemaName::Simple(name) | SchemaName::NamedAuthorization(name, _) => relation(name)?,
        SchemaName::UnnamedAuthorization(owner) => Relation::new(None, None, &stored(owner)),
    };
    Ok(Command::CreateSchema { database: name.schema, schema: name.identifier, if_not_exists })
}

fn insert(insert: Insert) -> Result<Command, SqlError> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(SqlError::new("`insert` into something that is no table is not supported"));
    };
    if insert.on.is_some() {
        return Err(SqlError::new("`insert … on conflict` is not supported").with_help("use `merge`"));
    }
    if insert.returning.is_some() {
        return Err(SqlError::new("`insert … returning` is not supported"));
    }
    let columns = insert.columns.iter().filter_map(|name| name.0.last()).filter_map(|part| part.as_ident()).map(stored).collect();
    Ok(Command::Insert { table: relation(name)?, columns, source: insert.source, overwrite: insert.overwrite })
}

/// A table and the name it goes by in the statement.
fn target(factor: &TableFactor) -> Result<(Relation, Option<String>), SqlError> {
    match factor {
        TableFactor::Table { name, alias, .. } => Ok((relation(name)?, alias.as_ref().map(|alias| stored(&alias.name)))),
        other => Err(SqlError::new(format!("a table was expected, found `{other}`"))),
    }
}

fn update(update: Update) -> Result<Command, SqlError> {
    let (table, alias) = target(&update.table.relation)?;
    let mut from = match update.from {
        Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from,
        None => Vec::new(),
    };
    if !update.table.joins.is_empty() {
        return Err(SqlError::new("a join in `update`'s own table is not supported").with_help("name the other tables in `from`"));
    }
    from.retain(|table| !matches!(&table.relation, TableFactor::Table { name, .. } if name.0.is_empty()));
    let assignments = update.assignments.into_iter().map(assignment).collect::<Result<_, _>>()?;
    Ok(Command::Update { table, alias, assignments, from, selection: update.selection })
}

fn assignment(assignment: Assignment) -> Result<(String, Expr), SqlError> {
    let Assignment { target, value } = assignment;
    let AssignmentTarget::ColumnName(name) = &target else {
        return Err(SqlError::new("`set (a, b) = …` is not supported").with_help("set one column at a time"));
    };
    let column = name.0.last().and_then(|part| part.as_ident()).map(stored);
    column.map(|column| (column, value)).ok_or_else(|| SqlError::new(format!("`{name}` is no column")))
}

fn delete(delete: Delete) -> Result<Command, SqlError> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = delete.from;
    let [only] = from.as_slice() else {
        return Err(SqlError::new("`delete` takes one table").with_help("name the other tables in `using`"));
    };
    let (table, alias) = target(&only.relation)?;
    Ok(Command::Delete { table, alias, using: delete.using.unwrap_or_default(), selection: delete.selection })
}

fn alter_table(alter: AlterTable) -> Result<Command, SqlError> {
    let table = relation(&alter.name)?;
    let mut changes = Vec::new();
    for operation in alter.operations {
        match operation {
            AlterTableOperation::AddColumn { column_def, if_not_exists, .. } => {
                changes.push(AlterColumn::Add { column: column(&column_def)?, if_not_exists });
            }
            AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
                changes.extend(column_names.iter().map(|name| AlterColumn::Drop { column: stored(name), if_exists }));
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                changes.push(AlterColumn::Rename { from: stored(&old_column_name), to: stored(&new_column_name) });
            }
            AlterTableOperation::RenameTable { table_name: RenameTableNameKind::As(name) | RenameTableNameKind::To(name) } => {
                let mut to = relation(&name)?;
                to.schema = to.schema.or_else(|| table.schema.clone());
                to.database = to.database.or_else(|| table.database.clone());
                changes.push(AlterColumn::RenameTable { to });
            }
            AlterTableOperation::AlterColumn { column_name, op: AlterColumnOperation::SetDataType { data_type, .. } } => {
                changes.push(AlterColumn::Retype { column: stored(&column_name), data_type: data_type.to_string() });
            }
            _ => changes.push(AlterColumn::Nothing),
        }
    }
    Ok(Command::AlterTable { table, if_exists: alter.if_exists, changes })
}
