//! The command `shmq`: see [`shmq_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(shmq_cli::run(std::env::args_os()))
}
