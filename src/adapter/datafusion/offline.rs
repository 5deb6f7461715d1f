//! Planning without running: queries over relations of which only the columns are known.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use sqlparser::ast::Statement;

use super::rows;
use super::session::{Engine, Scope};
use super::statement::Done;
use crate::adapter::{Declared, PlannedQuery, QueryToPlan};
use crate::diagnostic::nearest;
use crate::lake::{ExternalDefinition, SeedOptions, TableName, seed_schema, storable};
use crate::rows::ColumnType;
use crate::sql::{self, SqlError};

/// The columns and the lineage of a query; nothing if it names a relation whose columns are not known.
pub async fn plan(engine: &Arc<Engine>, query: &QueryToPlan<'_>) -> Done<Option<PlannedQuery>> {
    let name = |relation: &crate::name::Relation| {
        engine.name(relation.database.as_deref(), relation.schema.as_deref(), &relation.identifier)
    };
    let assumed = query.relations.iter().map(|(relation, schema)| (name(relation), schema.clone())).collect::<HashMap<_, _>>();
    let scope = Scope::assuming(Arc::clone(engine), assumed);
    match sql::plan_typed(&engine.base, &scope, query.sql).await {
        Ok(plan) => {
            let lineage = sql::lineage(&plan, &query.ends);
            let columns: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
            let types = rows::column_types(&columns).into_iter().map(|column| column.data_type).collect();
            Ok(Some(PlannedQuery { columns, types, lineage }))
        }
        // A function of the project may not be made yet.
        Err(error) if error.code == "function-not-found" && calls_function(query.sql) => Ok(None),
        Err(error) => match scope.take_missing().as_slice() {
            [] => Err(error.into()),
            missing => misspelt_cte(query.sql, missing, error).map_or(Ok(None), |error| Err(error.into())),
        },
    }
}

fn calls_function(text: &str) -> bool {
    sql::parse(text).is_ok_and(|statements| statements.iter().any(sql::calls_with_schema))
}

/// A relation that nobody knows is taken for one of the query's own CTEs, misspelt, if it is close to one; that it does not exist
/// is no mistake otherwise, as it may be made before the query runs.
fn misspelt_cte(text: &str, missing: &[TableName], error: SqlError) -> Option<SqlError> {
    let statement = sql::parse(text).ok()?.pop()?;
    let Statement::Query(query) = statement else { return None };
    let ctes: Vec<String> = query.with?.cte_tables.into_iter().map(|cte| cte.alias.name.value).collect();
    let near = missing.iter().find_map(|name| nearest(&name.table, ctes.iter().map(String::as_str)))?;
    let bare = missing.iter().any(|name| error.message == format!("relation `{}` does not exist", name.table));
    bare.then(|| SqlError { help: Some(format!("did you mean `{near}`?")), ..error })
}

/// The columns that a declaration gives.
pub fn declared_columns(declared: &Declared) -> Done<Option<SchemaRef>> {
    match declared {
        Declared::Columns(columns) => Ok(typed(columns)),
        Declared::External(table) => {
            let definition = ExternalDefinition {
                external: table.external.clone(),
                columns: table.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect(),
                base: table.base.clone(),
            };
            // A format that only the files' names tell does not matter for columns that are declared.
            let Ok(layout) = definition.layout(Some("x.csv")) else { return Ok(None) };
            let schema = layout.schema(&layout.columns);
            Ok((!layout.columns.is_empty()).then(|| storable(&schema).unwrap_or_else(|_| Arc::new(schema))))
        }
        Declared::Seed { file, delimiter, column_types, quote_columns } => {
            let options =
                SeedOptions { delimiter: *delimiter, column_types: column_types.clone(), quote_columns: *quote_columns };
            Ok(seed_schema(file, &options).ok())
        }
    }
}

/// Columns by the names of their types; nothing if one of them is not known.
fn typed(columns: &[ColumnType]) -> Option<SchemaRef> {
    let field = |column: &ColumnType| Some(Field::new(&column.name, sql::arrow_type(&column.data_type)?, true));
    let fields = columns.iter().map(field).collect::<Option<Vec<_>>>()?;
    (!fields.is_empty()).then(|| Arc::new(Schema::new(fields)))
}
