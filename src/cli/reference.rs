//! The reference page of the command line as Markdown, made from the same definitions as `--help`.

use clap::{Arg, Command, CommandFactory};

use crate::cli::args::Cli;

/// The whole page.
pub fn markdown() -> String {
    let command = Cli::command();
    let mut page = String::from("# Command line\n\n<!-- Made by `headwater reference`; a test holds it to `--help`. -->\n\n");
    page.push_str(
        "Exit codes: 0 all done; 1 a node, a test or the project's text failed; 2 the command could not be carried out.\n",
    );
    page.push_str("\n## Global options\n\nTaken by every command, before or after its name.\n\n");
    page.push_str(&options(command.get_arguments()));
    for sub in visible(&command) {
        section(&mut page, sub, "headwater", 2);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn section(page: &mut String, command: &Command, parent: &str, depth: usize) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.push_str(&format!("\n{} `{name}`\n\n{about}.\n", "#".repeat(depth)));
    let rows = options(command.get_arguments());
    if !rows.is_empty() {
        page.push_str(&format!("\n{rows}"));
    }
    for sub in visible(command) {
        section(page, sub, &name, depth + 1);
    }
}

fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let shown = arguments.filter(|arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version"));
    let rows: Vec<String> = shown.map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("| option | meaning |\n| --- | --- |\n{}\n", rows.join("\n"))
}

fn row(arg: &Arg) -> String {
    let mut names: Vec<String> = Vec::new();
    names.extend(arg.get_short().map(|short| format!("-{short}")));
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    if names.is_empty() {
        names.push(format!("<{}>", arg.get_id().as_str().to_uppercase()));
    }
    let value = match arg.get_value_names() {
        Some(values) if arg.get_action().takes_values() && !arg.is_positional() => {
            format!(" {}", values.join(" ").to_uppercase())
        }
        _ => String::new(),
    };
    let choices: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_string()).collect();
    let choices =
        if choices.is_empty() || !arg.get_action().takes_values() { String::new() } else { format!(" ({})", choices.join(", ")) };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    format!("| `{}{value}` | {help}{choices} |", names.join(", "))
}
