//! `shmq completions`: a completion script for a shell.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::stdio;
use clap::CommandFactory;
use clap_complete::Shell;

pub fn run(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "shmq", &mut script);
    stdio::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
