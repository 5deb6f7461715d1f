//! headwater: a compiler and an embedded lakehouse for dbt-format projects.
//!
//! ```text
//! files ─project─▶ Project ─parse─▶ ParsedProject ─resolve─▶ Manifest ─graph─▶ Dag + selection ─plan─▶ Plan
//!                                      │ jinja                                                          │
//!                                      ▼                                                                ▼
//!  docs, artifacts ◀─artifact─ results ◀──────────── execute: compile ─▶ materialization ─▶ adapter ─▶ lake, sql
//! ```
//!
//! Files are vocabulary; folders are stages or engines. The compiler wing (project to plan) knows nodes and text, the engine
//! wing (sql, lake, adapter) relations and batches; `execute` is the bridge. `docs/architecture.md` says who may import whom.

pub mod diagnostic;
pub mod event;
pub mod invocation;
pub mod name;
pub mod result;
pub mod rows;
pub mod source;
pub mod world;

pub mod sql;

pub mod lake;

pub mod wire;

pub mod adapter;

pub mod ingest;

pub mod project;

pub mod manifest;

pub mod jinja;

pub mod parse;

pub mod resolve;

pub mod cache;

pub mod graph;

pub mod plan;

pub mod artifact;

pub mod compile;

pub mod materialization;

pub mod execute;

pub mod docs;

pub mod packages;

pub mod generate;

pub mod serve;

pub mod pipeline;
