mod docs;
mod generate;
mod project;
mod project_yaml;
mod graph;

mod execute;
