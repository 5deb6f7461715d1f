//! A scan over Parquet files whose names, sizes and columns are known already.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

/// Parquet files of one schema, with columns of constants beside it.
#[derive(Clone)]
pub struct ParquetFiles {
    pub store: ObjectStoreUrl,
    pub file_schema: SchemaRef,
    pub partitions: Vec<FieldRef>,
    pub files: Vec<PartitionedFile>,
    /// All files' rows, where known.
    pub rows: Option<usize>,
}

impl fmt::Debug for ParquetFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFiles").field("files", &self.files.len()).finish()
    }
}

impl ParquetFiles {
    fn table_schema(&self) -> TableSchema {
        TableSchema::builder(Arc::clone(&self.file_schema)).with_table_partition_cols(self.partitions.clone()).build()
    }
}

#[async_trait]
impl TableProvider for ParquetFiles {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema().table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table_schema = self.table_schema();
        if self.files.is_empty() {
            let schema = Arc::clone(table_schema.table_schema());
            let projected =
                projection.map_or_else(|| Ok(Arc::clone(&schema)), |columns| schema.project(columns).map(Arc::new))?;
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        let mut statistics = Statistics::new_unknown(table_schema.table_schema());
        if let Some(rows) = self.rows {
            statistics.num_rows = Precision::Exact(rows);
        }
        let options = state.table_options().parquet.clone();
        let source = ParquetSource::new(table_schema).with_table_parquet_options(options);
        let groups = FileGroup::new(self.files.clone()).split_files(state.config_options().execution.target_partitions);
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
