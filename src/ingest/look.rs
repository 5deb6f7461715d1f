//! Looking at what is followed without following it: status, doctor, reset.

use std::sync::Arc;

use super::IngestError;
use super::config::Feed;
use super::connector::{CONNECTORS, Connection, Connector};
use super::state::State;
use crate::lake::{Follower, Lake};

/// What a look gave: lines for people, and what is at fault.
#[derive(Debug, Default)]
pub struct Findings {
    pub lines: Vec<String>,
    pub faults: Vec<IngestError>,
}

/// The feeds of one connection, and what they come over.
fn connector_of(connection: &Connection, feeds: &[Feed]) -> Option<(&'static Connector, Vec<Feed>)> {
    let own: Vec<Feed> = feeds.iter().filter(|feed| feed.spec.connection == connection.name).cloned().collect();
    let name = &own.first()?.spec.connector;
    Some((CONNECTORS.iter().find(|connector| connector.name == name)?, own))
}

/// How many rows each table has and how far it has come; how far the source is, and what it holds back.
pub async fn status(feeds: &[Feed], connections: &[Connection], lake: &Arc<Lake>) -> Result<Findings, IngestError> {
    let mut findings = Findings::default();
    for connection in connections {
        let Some((connector, own)) = connector_of(connection, feeds) else { continue };
        let state = State::open(lake, &connection.name).await?;
        for feed in &own {
            let names = std::iter::once(feed.table.clone()).chain(feed.spec.history.then(|| feed.history()));
            for name in names {
                let table = Follower::open(lake, &name, Vec::new(), connector.parts).await?;
                let position = table.position().values().copied().max();
                let position =
                    position.map_or_else(|| "not copied yet".to_string(), |at| format!("at {}", (connector.shown)(at)));
                findings.lines.push(format!("{} -> {name}: {} rows, {position}", feed.source, table.rows()));
            }
        }
        match (connector.look)(connection, &own, state).await {
            Ok(lines) => findings.lines.extend(lines.into_iter().map(|line| format!("{}: {line}", connection.name))),
            Err(error) => findings.faults.push(error.context(&connection.name)),
        }
    }
    Ok(findings)
}

/// What keeps a source from being followed, with the statement that mends it.
pub async fn doctor(feeds: &[Feed], connections: &[Connection], lake: &Arc<Lake>) -> Result<Findings, IngestError> {
    let mut findings = Findings::default();
    for connection in connections {
        let Some((connector, own)) = connector_of(connection, feeds) else { continue };
        let state = State::open(lake, &connection.name).await?;
        let found = (connector.examine)(connection, &own, state).await;
        findings.lines.extend(found.lines.into_iter().map(|line| format!("{}: {line}", connection.name)));
        findings.faults.extend(found.faults.into_iter().map(|fault| fault.context(&connection.name)));
    }
    Ok(findings)
}

/// Lets go of the connections: what was made in the source for them goes, and the tables where that is asked for.
pub async fn reset(
    feeds: &[Feed],
    connections: &[Connection],
    lake: &Arc<Lake>,
    with_tables: bool,
) -> Result<Findings, IngestError> {
    let mut findings = Findings::default();
    for connection in connections {
        let Some((connector, own)) = connector_of(connection, feeds) else { continue };
        let state = State::open(lake, &connection.name).await?;
        let lines = (connector.release)(connection, &own, state).await?;
        findings.lines.extend(lines.into_iter().map(|line| format!("{}: {line}", connection.name)));
        for feed in own.iter().filter(|_| with_tables) {
            for name in [feed.table.clone(), feed.history()] {
                let table = Follower::open(lake, &name, Vec::new(), &[]).await?;
                if table.follows().is_some() && lake.drop_relation(&name).await? {
                    findings.lines.push(format!("{}: dropped {name}", feed.source));
                }
            }
        }
    }
    Ok(findings)
}
