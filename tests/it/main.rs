mod architecture;
mod docs;
mod execute;
mod generate;
mod graph;
mod project;
mod project_yaml;
mod sql;
mod sql;

mod jinja;
