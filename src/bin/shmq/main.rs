//! `shmq`: see and operate live queues. For the person whose system stopped at night and who has a terminal.

mod arguments;
mod bytes;
mod diagnosis;
mod doctor;
mod failure;
mod get;
mod json;
mod ls;
mod msgpack;
mod peek;
mod put;
mod schema;
mod signals;
mod standard;
mod stat;
mod top;
mod upkeep;
mod words;

use arguments::{Arguments, Verb};
use clap::{CommandFactory, Parser};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.write_global();
    match run(arguments.verb) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code)
        }
    }
}

fn run(verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Ls(ls) => ls::run(&ls),
        Verb::Stat(stat) => stat::run(&stat),
        Verb::Schema(schema) => schema::run(&schema),
        Verb::Top(top) => top::run(&top),
        Verb::Put(put) => put::run(&put),
        Verb::Get(get) => get::run(&get),
        Verb::Peek(peek) => peek::run(&peek),
        Verb::Drain(drain) => upkeep::drain(&drain),
        Verb::Close(close) => upkeep::close(&close),
        Verb::Create(create) => upkeep::create(&create),
        Verb::Rm(rm) => upkeep::rm(&rm),
        Verb::Recover(recover) => upkeep::recover(&recover),
        Verb::Doctor(doctor) => doctor::run(&doctor),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "shmq", &mut script);
            words::print(&String::from_utf8_lossy(&script))?;
            Ok(0)
        }
    }
}
