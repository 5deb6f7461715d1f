//! SQL behaviour: every case of `tests/sql/*.slt` on a fresh session over the tables of `tests/sql/tables.sql`.
//!
//! A case is a first line (`query`, or `query unordered` where rows may come in any order, or `error`), the SQL, `----`, and
//! the rows (columns joined by `|`, values as PostgreSQL spells them, null as `NULL`, true and false as `t` and `f`) or a part
//! of the error.

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
        let columns: Vec<Vec<String>> = batch.columns().iter().map(cells).collect();
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
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("tests/sql is there").map(|entry| entry.expect("readable").path()).collect();
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

#[test]
fn commands_say_what_to_do() {
    let cases = [
        ("select 1", "Query"),
        ("with a as (select 1 as x) select * from a", "Query"),
        ("create table s.t as select 1 as a", "CreateTableAs"),
        ("create or replace temporary table t as (select 1 as a)", "CreateTableAs"),
        ("create table if not exists t (id int not null, name varchar(20), primary key (id))", "CreateTable"),
        ("create table t (id int) diststyle key distkey(id) sortkey(id)", "CreateTable"),
        ("create view v as select 1 as a with no schema binding", "CreateView"),
        ("create materialized view v as select 1 as a", "CreateView"),
        ("drop table if exists a.b cascade", "Drop"),
        ("drop schema if exists a cascade", "Drop"),
        ("create schema if not exists a", "CreateSchema"),
        ("insert into t (a, b) select 1, 2", "Insert"),
        ("insert into t values (1, 'x')", "Insert"),
        ("with a as (select 1 as x) insert into t select * from a", "Insert"),
        ("update t set a = s.a from s where s.id = t.id", "Update"),
        ("delete from t using s where s.id = t.id", "Delete"),
        ("delete from t where a in (select a from s)", "Delete"),
        (
            "merge into t using s on t.id = s.id when matched then update set a = s.a when not matched then insert (id) values (s.id)",
            "Merge",
        ),
        ("truncate table t", "Truncate"),
        ("alter table t add column z int", "AlterTable"),
        ("alter table t rename to t2", "AlterTable"),
        ("begin", "Ignored"),
        ("commit", "Ignored"),
        ("grant select on t to public", "Ignored"),
        ("comment on table t is 'x'", "Ignored"),
        ("analyze t", "Ignored"),
        ("vacuum t", "Vacuum"),
        ("set search_path = x", "Ignored"),
        ("create index i on t (a)", "Ignored"),
        ("explain select 1", "Explain"),
    ];
    for (text, name) in cases {
        match sql::command(text) {
            Ok(commands) => {
                assert_eq!(commands.len(), 1, "{text}");
                let shown = format!("{:?}", commands[0].0);
                assert!(shown.starts_with(name), "{text}: {shown}");
                assert_eq!(commands[0].1, text);
            }
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn views_keep_their_text() {
    let commands = sql::command("begin; create view \"S\".v (a) as\n  select  1 as a -- one\n with no schema binding ; commit")
        .expect("it parses");
    assert_eq!(commands.len(), 3);
    let Command::CreateView { name, columns, sql, .. } = &commands[1].0 else { panic!("{:?}", commands[1]) };
    assert_eq!((name.schema.as_deref(), name.identifier.as_str()), (Some("S"), "v"));
    assert_eq!(columns, &["a"]);
    assert!(sql.starts_with("select  1 as a"), "{sql:?}");
    assert!(!sql.contains("binding"), "{sql:?}");
}

#[test]
fn type_names_go_to_arrow_and_back() {
    let cases = [
        ("int", "integer"),
        ("INTEGER", "integer"),
        ("smallint", "smallint"),
        ("int8", "bigint"),
        ("varchar(20)", "character varying"),
        ("character varying(256)", "character varying"),
        ("char(8)", "character varying"),
        ("string", "character varying"),
        ("text", "character varying"),
        ("super", "character varying"),
        ("decimal(8, 2)", "numeric(8,2)"),
        ("numeric", "numeric(38,10)"),
        ("number(10,2)", "numeric(10,2)"),
        ("number", "numeric(38,0)"),
        ("boolean", "boolean"),
        ("bool", "boolean"),
        ("date", "date"),
        ("timestamp", "timestamp without time zone"),
        ("timestamp without time zone", "timestamp without time zone"),
        ("timestamptz", "timestamp with time zone"),
        ("timestamp_ntz", "timestamp without time zone"),
        ("datetime", "timestamp without time zone"),
        ("double precision", "double precision"),
        ("double", "double precision"),
        ("float8", "double precision"),
        ("float", "double precision"),
        ("real", "real"),
        ("hugeint", "numeric(38,0)"),
        ("int[]", "integer[]"),
        ("bytea", "bytea"),
        ("jsonb", "character varying"),
    ];
    for (name, expected) in cases {
        let found = sql::arrow_type(name).map(|data_type| sql::type_name(&data_type));
        assert_eq!(found.as_deref(), Some(expected), "{name}");
    }
    assert_eq!(sql::arrow_type("no_such_type"), None);
    assert_eq!(sql::arrow_type("decimal(99, 2)"), None);
    assert_eq!(sql::arrow_type("int; drop table t"), None);
}

#[test]
fn errors_point_at_the_place() {
    let cases = [
        ("select 1 +", None),
        ("select a\nfrom t where (b", None),
        ("select 'open", Some((1, 8))),
        ("select 1 2 3", Some((1, 10))),
        ("drop sequence s", None),
    ];
    for (text, place) in cases {
        let error = sql::command(text).expect_err(text);
        assert!(!error.message.is_empty(), "{text}");
        if place.is_some() {
            assert_eq!(error.position, place, "{text}: {error}");
        }
    }
}
