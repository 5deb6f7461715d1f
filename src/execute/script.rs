//! Operations as SQL text, for `target/run`: what was done, as a person would write it.

use crate::adapter::{FunctionArgument, IncrementalWrite, Operation, SqlFunction, VersionColumns};
use crate::materialization::Work;
use crate::name::quote_identifier;

/// The text of everything a node does.
pub(super) fn text(work: &Work) -> String {
    let operations = work.operations.iter().map(operation);
    let check = work.check.iter().map(|check| check.sql.clone());
    operations.chain(check).collect::<Vec<_>>().join(";\n\n")
}

fn operation(operation: &Operation) -> String {
    match operation {
        Operation::CreateSchema { schema, .. } => format!("create schema if not exists {}", quote_identifier(schema)),
        Operation::CreateView { relation, sql, .. } => format!("create or replace view {relation} as (\n{sql}\n)"),
        Operation::CreateFunction { relation, function } => function_text(&relation.render(), function),
        Operation::CreateTableAs { relation, sql, .. } => format!("create or replace table {relation} as (\n{sql}\n)"),
        Operation::Write { relation, sql, write } => write_text(&relation.render(), sql, write),
        Operation::Snapshot { relation, sql, versions } => snapshot_text(&relation.render(), sql, versions),
        Operation::Describe { relation, description, column_descriptions } => {
            let on_relation = description.iter().map(|text| format!("comment on table {relation} is {}", literal(text)));
            let on_columns = column_descriptions
                .iter()
                .map(|(column, text)| format!("comment on column {relation}.{} is {}", quote_identifier(column), literal(text)));
            on_relation.chain(on_columns).collect::<Vec<_>>().join(";\n\n")
        }
        Operation::AddColumns { relation, columns } => {
            let column =
                |column: &crate::rows::ColumnType| format!("add column {} {}", quote_identifier(&column.name), column.data_type);
            format!("alter table {relation} {}", columns.iter().map(column).collect::<Vec<_>>().join(", "))
        }
        Operation::DropColumns { relation, columns } => {
            let column = |column: &String| format!("drop column {}", quote_identifier(column));
            format!("alter table {relation} {}", columns.iter().map(column).collect::<Vec<_>>().join(", "))
        }
        Operation::RetypeColumns { relation, columns } => {
            let column = |column: &crate::rows::ColumnType| {
                format!("alter column {} type {}", quote_identifier(&column.name), column.data_type)
            };
            format!("alter table {relation} {}", columns.iter().map(column).collect::<Vec<_>>().join(", "))
        }
        Operation::LoadSeed { relation, file, .. } => format!("-- load {} into {relation}", file.display()),
        Operation::CloneTable { relation, source } => format!("create or replace table {relation} clone {source}"),
        Operation::Drop { relation, .. } => format!("drop table if exists {relation}"),
        Operation::Statement { sql } => sql.clone(),
    }
}

fn function_text(relation: &str, function: &SqlFunction) -> String {
    let argument = |argument: &FunctionArgument| {
        let default = argument.default.as_ref().map_or_else(String::new, |value| format!(" default {value}"));
        format!("{} {}{default}", argument.name, argument.data_type)
    };
    let arguments = function.arguments.iter().map(argument).collect::<Vec<_>>().join(", ");
    format!("create or replace function {relation} ({arguments})\nreturns {}\nas $$\n{}\n$$", function.returns, function.body)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The changes as a statement for people: the engine ends and begins versions in one commit.
fn snapshot_text(relation: &str, sql: &str, versions: &VersionColumns) -> String {
    let VersionColumns { id, valid_to, .. } = versions;
    format!(
        "merge into {relation} as DBT_INTERNAL_DEST using (\n{sql}\n) as DBT_INTERNAL_SOURCE\non DBT_INTERNAL_SOURCE.{id} = \
         DBT_INTERNAL_DEST.{id}\nwhen matched and DBT_INTERNAL_SOURCE.dbt_change_type in ('update', 'delete') then update set \
         {valid_to} = DBT_INTERNAL_SOURCE.{valid_to}\nwhen not matched and DBT_INTERNAL_SOURCE.dbt_change_type = 'insert' then insert *"
    )
}

fn write_text(relation: &str, sql: &str, write: &IncrementalWrite) -> String {
    match write {
        IncrementalWrite::Append => format!("insert into {relation} (\n{sql}\n)"),
        IncrementalWrite::Merge { keys, update_columns, predicates } => {
            let keys = keys.iter().map(|key| format!("DBT_INTERNAL_SOURCE.{key} = DBT_INTERNAL_DEST.{key}"));
            let on = predicates.iter().cloned().chain(keys).collect::<Vec<_>>().join(") and (");
            let set = match update_columns {
                Some(columns) => {
                    columns.iter().map(|name| format!("{name} = DBT_INTERNAL_SOURCE.{name}")).collect::<Vec<_>>().join(", ")
                }
                None => "*".to_string(),
            };
            format!(
                "merge into {relation} as DBT_INTERNAL_DEST using (\n{sql}\n) as DBT_INTERNAL_SOURCE\non ({on})\nwhen matched then update \
                 set {set}\nwhen not matched then insert *"
            )
        }
        IncrementalWrite::InsertOverwrite { keys } if keys.is_empty() => format!("insert overwrite {relation} (\n{sql}\n)"),
        IncrementalWrite::InsertOverwrite { keys } => {
            let keys = keys.join(", ");
            format!(
                "delete from {relation} where ({keys}) in (select distinct {keys} from (\n{sql}\n) dbt_incoming);\n\ninsert into \
                 {relation} (\n{sql}\n)"
            )
        }
        IncrementalWrite::ReplaceWhere { replaced, taken } => format!(
            "delete from {relation} where {replaced};\n\ninsert into {relation} (\nselect * from (\n{sql}\n) dbt_incoming where \
             {taken}\n)"
        ),
        IncrementalWrite::DeleteInsert { keys, predicates } => {
            let keys = keys.join(", ");
            let and: String = predicates.iter().map(|predicate| format!("\n  and {predicate}")).collect();
            format!(
                "delete from {relation} where ({keys}) in (select distinct {keys} from (\n{sql}\n) dbt_incoming){and};\n\ninsert into \
                 {relation} (\n{sql}\n)"
            )
        }
    }
}
