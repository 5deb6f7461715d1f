//! headwater: a compiler and an embedded lakehouse for dbt-format projects.

pub mod diagnostic;
pub mod event;
pub mod name;
pub mod result;
pub mod rows;
pub mod source;
pub mod world;

pub mod adapter;
pub mod graph;
pub mod jinja;
pub mod manifest;
pub mod project;

pub mod lake;
pub mod sql;
