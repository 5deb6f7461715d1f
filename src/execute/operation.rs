//! `run-operation`: one macro, called with the arguments of the command line.

use std::sync::Arc;

use super::clock::Clock;
use super::message::Failure;
use super::session::{Place, Session};
use super::{RunOutcome, RunRequest};
use crate::compile::{CompileScope, Extras, value_of};
use crate::jinja::MacroCall;
use crate::manifest::JsonMap;
use crate::name::UniqueId;
use crate::result::{NodeResult, Status};

/// Calls the macro `name` (`package.name` to say whose) with keyword arguments. The plan of `run` is not looked at. What the
/// macro returns is dropped, as in dbt; what it logs goes to the events.
pub async fn run_operation(run: RunRequest, name: &str, args: &JsonMap) -> RunOutcome {
    let session = Arc::new(Session::new(run));
    let (package, name) = match name.split_once('.') {
        Some((package, name)) => (Some(package.to_string()), name.to_string()),
        None => (None, name.to_string()),
    };
    let owner = package.clone().unwrap_or_else(|| session.run.project.name.clone());
    let unique_id = UniqueId::new(format!("operation.{owner}.{name}"));
    let mut clock = Clock::start();
    let world = session.run.world.clone();
    let outcome = clock.time("execute", world.as_ref(), call(&session, package, name, args.clone())).await;
    let (status, message) = match outcome {
        Ok(()) => (Status::Success, None),
        Err(failure) => (Status::Error, Some(failure.message_alone(&session.run))),
    };
    let elapsed = clock.elapsed();
    let result = NodeResult {
        status,
        timing: clock.timing,
        thread_id: "main".to_string(),
        execution_time: elapsed,
        adapter_response: serde_json::Map::new(),
        message,
        failures: Some(i64::from(status == Status::Error)),
        unique_id,
        compiled: None,
        compiled_code: None,
        relation_name: None,
        batch_results: None,
    };
    let interrupted = session.run.cancel.is_cancelled();
    RunOutcome { results: vec![result], compiled: session.compiled_nodes(), elapsed, interrupted }
}

async fn call(session: &Arc<Session>, package: Option<String>, name: String, args: JsonMap) -> Result<(), Failure> {
    let (context, connection) = session.node_context(&Place::main(&format!("macro_{name}")));
    if let Some(connection) = &connection {
        connection.clear_transaction().await;
    }
    let work = session.blocking(move || {
        let home = package.clone().unwrap_or_else(|| context.project.name.clone());
        let scope = Arc::new(CompileScope::of_operation(&home, &context, Extras::new()));
        let kwargs: Vec<_> = args.into_iter().map(|(key, value)| (key, value_of(&value))).collect();
        let call = MacroCall { name: &name, package: package.as_deref(), args: &[], kwargs: &kwargs };
        context.jinja.call_macro(&call, scope).map(|_| ())
    });
    let outcome = tokio::select! {
        biased;
        outcome = work => outcome.map_err(Failure::from),
        () = session.stop.cancelled() => Err(Failure::Runtime("cancelled while it ran".to_string())),
    };
    if let Some(connection) = connection {
        connection.end().await;
    }
    outcome
}
