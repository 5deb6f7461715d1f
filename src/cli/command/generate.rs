//! `headwater gen`: sample data.

use headwater::diagnostic::Diagnostic;
use headwater::generate;

use crate::cli::Exit;
use crate::cli::args::GenCommand;
use crate::cli::session::Session;

pub fn run(command: &GenCommand, session: &Session) -> Exit {
    let GenCommand::Tickit(args) = command;
    match generate::tickit(&args.out, args.scale.max(1), args.seed) {
        Ok(files) => {
            for (file, rows) in files {
                println!("{:>10} rows  {}", rows, args.out.join(file).display());
            }
            Exit::Success
        }
        Err(error) => {
            let text = format!("cannot write below {}: {error}", args.out.display());
            session.complain(&args.out, Diagnostic::error("io", text));
            Exit::Trouble
        }
    }
}
