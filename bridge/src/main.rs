//! The command `shmq-bridge`: see [`shmq_bridge`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(shmq_bridge::run(std::env::args_os()))
}
