//! The command line.

mod help;
mod owners;
mod values;
mod verbs;

pub use owners::AllowedOwners;
pub use verbs::{Close, Create, Doctor, Drain, Evict, Get, Language, Ls, Order, Peek, Put, Recover, Rm, Schema, Stat, Top};

use clap::{Parser, Subcommand, ValueEnum};
use help::{EXIT_CODES, GET_EXAMPLES, PUT_EXAMPLES, SCHEMA_EXAMPLES, TOP_KEYS, WHERE_TO_BEGIN};

/// See and operate live shmq queues and topics: between processes, in named shared memory.
#[derive(Parser, Debug)]
#[command(name = "shmq", version, after_help = format!("{WHERE_TO_BEGIN}{EXIT_CODES}"), max_term_width = 110)]
pub struct Arguments {
    /// When to use colours; `auto` obeys NO_COLOR and CLICOLOR, and uses none in pipes
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    pub fn write_global(self) {
        match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List all queues and topics: state, type, messages, processes, and what is wrong
    Ls(Ls),
    /// Show everything that is known about a queue: counters, rates, what is held, which processes
    /// wait
    Stat(Stat),
    /// Show what the messages of a queue are: type, schema, and the text of their structure; or the
    /// struct itself, in C, C++, Rust or Python
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema(Schema),
    /// Watch all queues live
    #[command(after_help = TOP_KEYS)]
    Top(Top),
    /// Put standard input (or files) into a queue of bytes, which is created if there is none
    #[command(after_help = PUT_EXAMPLES)]
    Put(Put),
    /// Take messages out of a queue of bytes, to standard output
    #[command(after_help = GET_EXAMPLES)]
    Get(Get),
    /// Show messages without taking them, of a topic the newest; those of an ObjectQueue decoded
    Peek(Peek),
    /// Take the messages of a queue and throw them away
    Drain(Drain),
    /// Make a subscriber of a topic lossy: publishers wait for it no more
    Evict(Evict),
    /// Close a queue or a topic for all its users: no more puts; the messages in it can still be taken
    Close(Close),
    /// Create a queue of bytes that stays until it is removed
    Create(Create),
    /// Remove queues with their messages: processes that use them go on, and no other can open them
    Rm(Rm),
    /// Free what dead processes hold, now: their messages come back (a consumer that waits does so
    /// by itself)
    Recover(Recover),
    /// Explain what is wrong with queues, and what to do
    Doctor(Doctor),
    /// Write a completion script for a shell
    #[command(after_help = "For bash:  shmq completions bash > ~/.local/share/bash-completion/completions/shmq")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
