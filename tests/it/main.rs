//! Tests that link the library: one module an area.

#![allow(clippy::unwrap_used)]

mod architecture;
mod cache;
mod crash;
mod docs;
mod execute;
mod fuzz;
mod generate;
mod graph;
mod here;
mod ingest;
mod jinja;
mod lake;
mod packages;
mod project;
mod project_yaml;
mod resolve;
mod serve;
mod sql;
mod watch;
