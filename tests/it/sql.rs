//! SQL behaviour: every case of `tests/sql/*.slt` on a fresh session over the tables of `tests/sql/tables.sql`.
//!
//! A case is a first line (`query`, or `query unordered` where rows may come in any order, or `error`), the SQL, `----`, and the rows
//! (columns joined by `|`, values as PostgreSQL spells them, null as `NULL`, true and false as `t` and `f`) or a part of the error.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use headwater::sql::{self, Command};
use sqlparser::ast::Statement;

struct Case {
    line: usize,
    kind: String,
    sql: String,
    expected: Vec<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut sql = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "----") {
            sql.push_str(line);
            sql.push('\n');
        }
        let expected = lines.by_ref().map(|(_, line)| line.to_string()).take_while(|line| !line.is_empty()).collect();
        cases.push(Case { line: number + 1, kind: line.trim().to_string(), sql, expected });
    }
    cases
}

async fn session(folder: &Path) -> SessionContext {
    let ctx = SessionContext::new();
    sql::register_functions(&ctx);
    let tables = std::fs::read_to_string(folder.join("tables.sql")).expect("tests/sql/tables.sql is there");
    for (command, text) in sql::command(&tables).expect("the tables parse") {
        let Command::CreateTableAs { name, query, .. } = command else { panic!("not a table: {text}") };
        let plan = sql::plan_statement(&ctx, Statement::Query(query)).await.unwrap_or_else(|e| panic!("{text}: {e}"));
        let batches = collect(&ctx, plan).await.unwrap_or_else(|e| panic!("{text}: {e}"));
        let table = MemTable::try_new(batches[0].schema(), vec![batches]).expect("batches of one schema");
        ctx.register_table(name.identifier.as_str(), Arc::new(table)).expect("a new name");
    }
    ctx
}

async fn collect(ctx: &SessionContext, plan: LogicalPlan) -> Result<Vec<RecordBatch>, String> {
    let frame = ctx.execute_logical_plan(plan).await.map_err(|e| e.strip_backtrace())?;
    frame.collect().await.map_err(|e| e.strip_backtrace())
}

async fn rows(ctx: &SessionContext, query: &str) -> Result<Vec<String>, String> {
    let plan = sql::plan(ctx, query).await.map_err(|e| format!("{e} {:?} {:?}", e.position, e.help))?;
    let mut rows = Vec::new();
    for batch in collect(ctx, plan).await? {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(|column| cells(column)).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c[row].as_str()).collect::<Vec<_>>().join("|")));
    }
    Ok(rows)
}

fn cells(column: &Arc<dyn Array>) -> Vec<String> {
    if column.data_type() == &DataType::Boolean {
        let letter = |value: bool| if value { "t".to_string() } else { "f".to_string() };
        return column.as_boolean().iter().map(|value| value.map_or("NULL".to_string(), letter)).collect();
    }
    let texts = sql::spelt(column).unwrap_or_else(|e| panic!("{} has no text: {e}", column.data_type()));
    texts.iter().map(|value| value.unwrap_or("NULL").to_string()).collect()
}

async fn failure(ctx: &SessionContext, case: &Case) -> Option<String> {
    let result = rows(ctx, &case.sql).await;
    let mut expected = case.expected.clone();
    match (case.kind.as_str(), result) {
        ("error", Ok(rows)) => Some(format!("expected an error, got {rows:?}")),
        ("error", Err(error)) => {
            let wanted = expected.join("\n");
            (!error.contains(&wanted)).then(|| format!("expected an error with {wanted:?}, got {error:?}"))
        }
        (_, Err(error)) => Some(format!("failed: {error}")),
        (kind, Ok(mut rows)) => {
            if kind == "query unordered" {
                rows.sort();
                expected.sort();
            }
            (rows != expected).then(|| format!("expected\n{}\ngot\n{}", expected.join("\n"), rows.join("\n")))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slt() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let ctx = session(&folder).await;
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("tests/sql is there").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    let (mut count, mut failures) = (0, String::new());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for case in cases(&text) {
            count += 1;
            if let Some(failure) = failure(&ctx, &case).await {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let _ = writeln!(failures, "{name}:{}: {}{failure}\n", case.line, case.sql);
            }
        }
    }
    assert!(count > 100, "only {count} cases found");
    assert!(failures.is_empty(), "{failures}");
}
