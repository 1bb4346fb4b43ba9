//! The command `shmq` as a function: see and operate live queues of the crate [`shmq`] from a
//! terminal.
//!
//! The binary of this package is [`run`] with the arguments of the process. A program that has the
//! command inside (`python -m shmq`) calls it in the same way.
//!
//! ```
//! use std::process::{ExitCode, Termination};
//!
//! let code = shmq_cli::run(["shmq", "completions", "bash"].map(Into::into));
//! assert_eq!(code.report(), ExitCode::SUCCESS);
//! ```

mod arguments;
mod attach;
mod diagnosis;
mod failure;
mod json;
mod msgpack;
mod poll;
mod rates;
mod rows;
mod signals;
mod stdio;
mod style;
mod table;
mod terms;
mod text;
mod units;
mod verbs;

use arguments::{Arguments, Verb};
use clap::Parser;
use failure::Failure;
use std::ffi::OsString;
use std::process::ExitCode;
use verbs::{close, completions, create, doctor, drain, evict, get, ls, peek, put, recover, rm, schema, stat, top};

/// Runs the command, with its output on the standard streams of this process.
///
/// The first argument is the name of the program, as in [`args_os`](std::env::args_os); the second
/// is a verb. The code that it returns is for the process to end with: `shmq --help` lists the
/// codes. Wrong usage is a message on standard error and code 2, as `--help` is text on standard
/// output and code 0.
///
/// Call it once, as the last thing that a process does: `put`, `get` and `top` install handlers for
/// SIGINT, SIGTERM, SIGHUP and SIGALRM, which stay, and after a signal every further wait ends at
/// once. A verb that waits (`put`, `get`, `top`, `stat`) blocks the calling thread.
///
/// If a process that uses the queue dies meanwhile, the verb goes on; if this process dies, the
/// messages that `get` has not written are delivered again.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // If the message cannot be written, the exit code is all there is.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { failure::USAGE } else { 0 });
        }
    };
    arguments.color.write_global();
    match run_verb(arguments.verb) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.code)
        }
    }
}

fn run_verb(verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Ls(ls) => ls::run(&ls),
        Verb::Stat(stat) => stat::run(&stat),
        Verb::Schema(schema) => schema::run(&schema),
        Verb::Top(top) => top::run(&top),
        Verb::Put(put) => put::run(&put),
        Verb::Get(get) => get::run(&get),
        Verb::Peek(peek) => peek::run(&peek),
        Verb::Drain(drain) => drain::run(&drain),
        Verb::Evict(evict) => evict::run(&evict),
        Verb::Close(close) => close::run(&close),
        Verb::Create(create) => create::run(&create),
        Verb::Rm(rm) => rm::run(&rm),
        Verb::Recover(recover) => recover::run(&recover),
        Verb::Doctor(doctor) => doctor::run(&doctor),
        Verb::Completions { shell } => completions::run(shell),
    }
}
