//! The command `shmq` as a function: see and operate live queues of the crate [`shmq`] from a
//! terminal.
//!
//! The binary of this package is [`run`] with the arguments of the process. A program that has the
//! command inside (`python -m shmq`) calls it in the same way, as often as it likes:
//!
//! ```
//! let code = shmq_cli::run(["shmq", "completions", "bash"]);
//! assert_eq!(code, 0);
//! let code = shmq_cli::run(["shmq", "stat", "no-such-queue"]);
//! assert_ne!(code, 0); // and a message on standard error
//! ```

mod arguments;
mod attach;
mod declaration;
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
use verbs::{close, completions, create, doctor, drain, evict, get, ls, peek, put, recover, rm, schema, stat, top};

/// Runs the command, with its output on the standard streams of this process.
///
/// The first argument is the name of the program, as in [`args_os`](std::env::args_os); the second
/// is a verb. The code that it returns is for the process to end with
/// ([`ExitCode::from`](std::process::ExitCode)): `shmq --help` lists the codes. Wrong usage is a message
/// on standard error and code 2, as `--help` is text on standard output and code 0. It never ends the
/// process.
///
/// **For a host**: it writes to the descriptors 1 and 2 and reads 0, without a buffer, so flush what the
/// program has written before. A verb that waits (`put`, `get`, `top`, `stat`) blocks the calling
/// thread. While `put`, `get` and `top` run, SIGINT, SIGTERM and SIGHUP end the verb, with 128 plus
/// their number as the code; then the handlers and the alarm timer (`ITIMER_REAL`) of the process are
/// what they were before, also that of SIGXFSZ. Signals that the process ignores stay ignored. What
/// SIGPIPE does is the program's to say: it should be ignored, as in every Rust and Python program. Two
/// threads run one after the other.
///
/// If a process that uses the queue dies meanwhile, the verb goes on; if this process dies, the
/// messages that `get` has not written are delivered again.
/// ```
/// // What the binary does with `std::env::args_os()`:
/// let code: std::process::ExitCode = shmq_cli::run(["shmq", "--version"]).into();
/// assert_eq!(code, std::process::ExitCode::SUCCESS);
/// ```
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // If the message cannot be written, the exit code is all there is.
            let _ = error.print();
            return if error.use_stderr() { failure::USAGE } else { 0 };
        }
    };
    let _session = signals::Session::begin();
    let _colors = Colors(anstream::ColorChoice::global());
    arguments.color.write_global();
    match run_verb(arguments.verb) {
        Ok(code) => code,
        Err(failure) => {
            failure.report();
            failure.code
        }
    }
}

/// The choice of one run. Dropped, that of the process is what it was.
struct Colors(anstream::ColorChoice);

impl Drop for Colors {
    fn drop(&mut self) {
        self.0.write_global();
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
