//! What the database needs before it can be followed, how it stands, and how it is let go.

use super::catalog::{self, Catalog, maybe, value};
use super::{Names, connected, literal, lsn_of, lsn_text, quoted, settings};
use crate::ingest::IngestError;
use crate::ingest::config::Feed;
use crate::ingest::connector::Connection;
use crate::ingest::look::Findings;
use crate::ingest::state::State;
use crate::wire::Wire;

/// How far the server is and what its slot holds back.
pub async fn look(connection: &Connection, _feeds: &[Feed], state: State) -> Result<Vec<String>, IngestError> {
    let (settings, names) = settings(connection, state.warehouse())?;
    let mut sql = connected(&settings).await?;
    let head = lsn_of(&value(&mut sql, "select pg_current_wal_flush_lsn()::text").await?)?;
    let mut lines = vec![format!("the server is at {}", lsn_text(head))];
    let query = format!(
        "select confirmed_flush_lsn::text, restart_lsn::text, active from pg_replication_slots where slot_name = {}",
        literal(&names.slot)
    );
    match sql.query(&query).await?.rows.into_iter().next() {
        None => lines.push(format!("there is no slot {} yet", quoted(&names.slot))),
        Some(row) => {
            let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
            let behind = |at: usize| lsn_of(&text(at)).map(|lsn| head.saturating_sub(lsn)).unwrap_or_default();
            let active = if text(2) == "t" { "being read" } else { "not being read" };
            lines.push(format!(
                "slot {}: {active}, acknowledged to {} ({} bytes behind), holds {} bytes of the log",
                quoted(&names.slot),
                text(0),
                behind(0),
                behind(1)
            ));
        }
    }
    Ok(lines)
}

fn fault(message: String, mends: impl Into<String>) -> IngestError {
    IngestError::new("ingest-source", message).help(mends)
}

/// Looks at all that following needs; says what is well too.
pub async fn examine(connection: &Connection, feeds: &[Feed], state: State) -> Findings {
    let mut findings = Findings::default();
    if let Err(error) = examined(connection, feeds, &state, &mut findings).await {
        findings.faults.push(error);
    }
    findings
}

async fn examined(connection: &Connection, feeds: &[Feed], state: &State, findings: &mut Findings) -> Result<(), IngestError> {
    let (settings, names) = settings(connection, state.warehouse())?;
    let mut sql = connected(&settings).await?;
    findings.lines.push(format!("connected as {}", value(&mut sql, "select current_user::text").await?));
    examine_server(&mut sql, &names, findings).await?;
    let catalog = match Catalog::read(&mut sql).await {
        Ok(catalog) => catalog,
        Err(error) => {
            let user = value(&mut sql, "select quote_ident(current_user)").await?;
            let statement = format!("run in the database: grant execute on function pg_control_system() to {user}");
            findings.faults.push(error.help(statement));
            return Ok(());
        }
    };
    for feed in feeds {
        match catalog::table(&mut sql, &catalog, feed).await {
            Ok(table) => examine_table(&mut sql, feed, &table, findings).await?,
            Err(error) => findings.faults.push(error),
        }
    }
    Ok(())
}

async fn examine_server(sql: &mut Wire, names: &Names, findings: &mut Findings) -> Result<(), IngestError> {
    let level = value(sql, "show wal_level").await?;
    if level == "logical" {
        findings.lines.push("wal_level is logical".to_string());
    } else {
        let message = format!("wal_level is {level}: changes are not written in a form that can be followed");
        findings.faults.push(fault(message, "run: alter system set wal_level = 'logical'; then restart the server"));
    }
    let user = value(sql, "select quote_ident(current_user)").await?;
    let may = value(sql, "select rolreplication or rolsuper from pg_roles where rolname = current_user").await?;
    if may == "t" {
        findings.lines.push("the user may replicate".to_string());
    } else {
        findings.faults.push(fault("the user may not replicate".to_string(), format!("run: alter user {user} replication")));
    }
    let slot = format!("select 1 from pg_replication_slots where slot_name = {}", literal(&names.slot));
    let free = "select current_setting('max_replication_slots')::int - count(*) from pg_replication_slots";
    let needed = if maybe(sql, &slot).await?.is_some() { 1 } else { 2 };
    let free: i64 = value(sql, free).await?.parse().unwrap_or_default();
    if free < needed {
        let message =
            format!("{free} replication slots are free, {needed} are needed (one of them only while tables are copied)");
        let statement = "run: alter system set max_replication_slots = 20; alter system set max_wal_senders = 20; then restart";
        findings.faults.push(fault(message, statement));
    }
    let publication = format!("select 1 from pg_publication where pubname = {}", literal(&names.publication));
    if maybe(sql, &publication).await?.is_none()
        && value(sql, "select has_database_privilege(current_database(), 'create')").await? != "t"
    {
        let database = value(sql, "select quote_ident(current_database())").await?;
        let message = "the user may not create the publication".to_string();
        findings.faults.push(fault(message, format!("run: grant create on database {database} to {user}")));
    }
    if value(sql, "show max_slot_wal_keep_size").await? == "-1" {
        findings.lines.push(
            "max_slot_wal_keep_size has no bound: the log grows while nobody follows (a bound such as 50GB ends that, at the price of \
             copying anew)"
                .to_string(),
        );
    }
    Ok(())
}

async fn examine_table(sql: &mut Wire, feed: &Feed, table: &catalog::Table, findings: &mut Findings) -> Result<(), IngestError> {
    let (named, user) = (table.quoted(), value(sql, "select quote_ident(current_user)").await?);
    let check = |what: &str| format!("select has_table_privilege({}, '{what}')", table.oid);
    let before = findings.faults.len();
    if value(sql, &check("select")).await? != "t" {
        let message = format!("`{}`: the user may not read {named}", feed.source);
        let schema = quoted(&table.schema);
        let statement = format!("run: grant usage on schema {schema} to {user}; grant select on {named} to {user}");
        findings.faults.push(fault(message, statement));
    }
    let owns = format!("select pg_has_role(relowner, 'usage') from pg_class where oid = {}", table.oid);
    if value(sql, &owns).await? != "t" {
        let message = format!("`{}`: the user does not own {named} and cannot publish it", feed.source);
        let statement = format!("run: alter table {named} owner to {user}; or, as its owner, add it to the publication by hand");
        findings.faults.push(fault(message, statement));
    }
    if table.key.is_empty() {
        let message =
            format!("`{}`: nothing tells the rows of {named} apart: updates and deletes would fail in the database", feed.source);
        let statement = format!(
            "give it a primary key; or name unique columns with `key:` and run: alter table {named} replica identity full"
        );
        findings.faults.push(fault(message, statement));
    }
    if findings.faults.len() == before {
        let form = if table.is_binary { "binary" } else { "text" };
        findings.lines.push(format!("{named}: {} columns, key {}, {form} values", table.kinds.len(), table.key.join(", ")));
    }
    Ok(())
}

/// Drops the slot and the publication, and forgets what was kept about them.
pub async fn release(connection: &Connection, _feeds: &[Feed], mut state: State) -> Result<Vec<String>, IngestError> {
    let (settings, names) = settings(connection, state.warehouse())?;
    let mut sql = connected(&settings).await?;
    let mut lines = Vec::new();
    if let Some(told) = &state.told {
        let system = Catalog::read(&mut sql).await?.system;
        // Ours is the slot that was made, whatever the profile names by now; on another server none is.
        let query = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = {}",
            literal(&told.place)
        );
        if told.system == system && !sql.query(&query).await?.rows.is_empty() {
            lines.push(format!("dropped the slot {}", quoted(&told.place)));
        }
        sql.query(&format!("drop publication if exists {}", quoted(&names.publication))).await?;
        lines.push(format!("dropped the publication {}", quoted(&names.publication)));
        state.forget().await?;
    } else {
        lines.push("nothing was set up".to_string());
    }
    Ok(lines)
}
