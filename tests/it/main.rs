mod project;
mod project_yaml;
