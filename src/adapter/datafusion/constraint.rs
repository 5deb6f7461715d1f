//! Constraints: rows are looked at on their way into a table, before any commit; one that breaks a constraint ends the write.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::session::{Engine, Scope};
use super::statement::Done;
use crate::adapter::Constraint;
use crate::lake::{LakeError, TableName, cast_batch};

/// A constraint as it is worked out for each batch.
struct Check {
    constraint: Constraint,
    holds: Arc<dyn PhysicalExpr>,
}

/// The same streams, which end with an error at the first row that breaks a constraint. A check that is null holds, as in SQL.
pub async fn checked(
    engine: &Arc<Engine>,
    name: &TableName,
    (schema, constraints): (&SchemaRef, &[Constraint]),
    streams: Vec<SendableRecordBatchStream>,
) -> Done<Vec<SendableRecordBatchStream>> {
    if constraints.is_empty() {
        return Ok(streams);
    }
    let mut checks = Vec::with_capacity(constraints.len());
    for constraint in constraints {
        checks.push(Check { constraint: constraint.clone(), holds: compile(engine, schema, constraint).await? });
    }
    let checks = Arc::new(checks);
    let check = |stream: SendableRecordBatchStream| -> SendableRecordBatchStream {
        let (checks, schema, name) = (Arc::clone(&checks), Arc::clone(schema), name.clone());
        let columns = Arc::clone(&schema);
        let rows = stream.map(move |batch| {
            let batch = cast_batch(&batch?, &schema)?;
            checks.iter().try_for_each(|check| check.look(&batch, &name))?;
            Ok(batch)
        });
        Box::pin(RecordBatchStreamAdapter::new(columns, rows))
    };
    Ok(streams.into_iter().map(check).collect())
}

async fn compile(engine: &Arc<Engine>, schema: &SchemaRef, constraint: &Constraint) -> Done<Arc<dyn PhysicalExpr>> {
    let empty: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(schema)));
    let scope = Scope::with(Arc::clone(engine), HashMap::from([("__row".to_string(), empty)]));
    let (session, plan) = scope.plan(&format!("select ({}) as holds from __row", constraint.expression)).await?;
    let wrong = || {
        LakeError::new("constraint-invalid", format!("the constraint \"{}\" is no condition on one row", constraint.name))
            .help(format!("it is `{}`", constraint.expression))
    };
    let LogicalPlan::Projection(projection) = plan else { return Err(wrong().into()) };
    let expression = projection.expr.first().ok_or_else(wrong)?.clone().unalias();
    let holds = session.state().create_physical_expr(expression, projection.input.schema())?;
    if holds.data_type(schema)? != DataType::Boolean {
        return Err(wrong().into());
    }
    Ok(holds)
}

impl Check {
    fn look(&self, batch: &RecordBatch, name: &TableName) -> Result<(), LakeError> {
        let holds = self.holds.evaluate(batch)?.into_array(batch.num_rows())?;
        let broken = holds.as_boolean().iter().filter(|holds| *holds == Some(false)).count();
        if broken == 0 {
            return Ok(());
        }
        let rows = if broken == 1 { "a row".to_string() } else { format!("{broken} rows") };
        let Constraint { name: constraint, expression } = &self.constraint;
        Err(LakeError::new(
            "constraint-broken",
            format!("{rows} for {name} would break the constraint \"{constraint}\": {expression}"),
        )
        .help("nothing was written: the table is as it was before"))
    }
}
