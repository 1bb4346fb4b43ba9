//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use shmq::inspect::Owners;
use shmq::{Queue, QueueBuilder};
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed for a reason that has no code of its own
  2    wrong usage, or a name that no queue can have
  3    no queue of that name
  4    permission denied
  5    nothing to take, or no room, before the timeout
  6    the queue is closed (get: and drained, before as many messages came as were asked for)
  7    the segment is damaged, poisoned, of another version, or carries another type
  8    doctor found something wrong
  129  ended by SIGHUP, or its terminal is gone
  130  ended by SIGINT
  141  whoever read its output has gone
  143  ended by SIGTERM
Of several names, each is done that can be; the code is that of the first that cannot.";

const WHERE_TO_BEGIN: &str = "\
To try it:
  echo hello | shmq put q --lines     makes the queue q, and puts a message
  shmq peek q                         shows it, and leaves it there
  shmq get q --lines                  takes it
  shmq rm q                           removes the queue

Queues lie in /dev/shm, or where the environment variable SHMQ_DIR says.

Something is stuck?
  shmq ls              who uses which queue, and in the last column what is wrong
  shmq doctor          the same in sentences, with what to do
  shmq stat NAME       who holds and who waits, and for how long

";

const PUT_EXAMPLES: &str = "\
Examples:
  producer | shmq put q              in blocks of 64 KiB; a pause of the producer ends a block
  tail -f log | shmq put q --lines   one message a line
  shmq put q -f a.json -f b.json     one message a file

It waits while the queue is full. Whether anybody takes what it puts, it does not know:
`shmq ls` shows who does. The queue stays until `shmq rm`.";

const GET_EXAMPLES: &str = "\
Examples:
  shmq get q                         one message; waits for it
  shmq get q --follow | consumer     all, until the queue is closed and drained
  shmq get q -f --lines -t 0         all that is there now, one a line, then exit code 5

The queue must be there: `shmq create` or `shmq put` makes one, get does not.
A message leaves the queue when it has been written. What is not written when a signal comes,
when the output takes no more, or when its reader goes away, is back in the queue. That the
reader has gone is noticed also while no message comes.";

const TOP_KEYS: &str = "\
Keys:
  up, down, k, j   select a queue            s   sort by the next column
  /                filter by name or type    r   reverse the order
  q, Esc, Ctrl-C   quit                      p   pause";

/// See and operate live shmq queues: bounded queues between processes, in named shared memory.
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
    /// List every queue: state, type, messages, who uses it, and what is wrong with it
    Ls(Ls),
    /// Show everything that is known about a queue: counters, rates, who holds and who waits
    Stat(Stat),
    /// Show what the messages of a queue are: type, schema, and the text of their structure
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
    /// Show messages without taking them; those of an ObjectQueue decoded
    Peek(Peek),
    /// Take the messages of a queue and throw them away
    Drain(Drain),
    /// Close a queue, for everybody: no more puts; what is in it can still be taken
    Close(Close),
    /// Create a queue of bytes that stays until it is removed
    Create(Create),
    /// Remove queues, with their messages: those who use them go on, nobody else can open them any more
    Rm(Rm),
    /// Free what dead processes hold, now: their messages come back (waiting getters do so by themselves)
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

/// Whose queues a verb acts on.
#[derive(Args, Clone, Debug, Default)]
pub struct Whose {
    /// Act also on a queue that this user owns, given by number; otherwise only on your own and on root's
    #[arg(long = "owner", value_name = "UID", conflicts_with = "any_owner")]
    pub owner: Vec<u32>,
    /// Act on the queue whichever user owns it: its owner can read and change its messages
    #[arg(long)]
    pub any_owner: bool,
}

impl Whose {
    pub fn owners(&self) -> Owners {
        let owners = self.owner.iter().fold(Owners::default(), |owners, &uid| owners.allow_owner(uid));
        if self.any_owner { owners.allow_any_owner() } else { owners }
    }

    /// The same for who opens or creates a queue of bytes.
    pub fn apply_to(&self, builder: QueueBuilder<Queue<[u8]>>) -> QueueBuilder<Queue<[u8]>> {
        let builder = self.owner.iter().fold(builder, |builder, &uid| builder.allow_owner(uid));
        if self.any_owner { builder.allow_any_owner() } else { builder }
    }
}

#[derive(Args, Debug)]
pub struct Close {
    /// The queue
    pub name: String,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Ls {
    /// Only these queues; all if none is given
    pub names: Vec<String>,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Schema {
    /// The queue
    pub name: String,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Stat {
    /// The queue
    pub name: String,
    /// Look twice, so many seconds apart, for rates; 0 looks once
    #[arg(long, short, value_name = "SECONDS", default_value = "0.5", value_parser = seconds, allow_negative_numbers = true)]
    pub interval: Duration,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Top {
    /// Only queues with this in their name or type
    pub filter: Option<String>,
    /// Seconds between two looks
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = seconds, allow_negative_numbers = true)]
    pub interval: Duration,
    /// What to sort by
    #[arg(long, short, value_enum, default_value_t = Order::Name)]
    pub sort: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    Name,
    Messages,
    Puts,
    Gets,
    Bytes,
}

#[derive(Args, Debug)]
pub struct Put {
    /// The queue
    pub name: String,
    /// One message a line, without its line feed
    #[arg(long, conflicts_with_all = ["null", "file"])]
    pub lines: bool,
    /// One message for each string that ends in a NUL byte (as of `find -print0`)
    #[arg(long, conflicts_with = "file")]
    pub null: bool,
    /// One message a file, instead of standard input. May be given several times: each is there, or none is put
    #[arg(long, short, value_name = "F")]
    pub file: Vec<PathBuf>,
    /// Without a mode: size of the blocks that the input is cut into
    #[arg(long, value_name = "BYTES", default_value = "64K", value_parser = size)]
    pub block: usize,
    /// Size of the queue, if there is none of that name yet
    #[arg(long, value_name = "BYTES", default_value = "8M", value_parser = size)]
    pub capacity_bytes: usize,
    /// Give up when there is no room for so long, with exit code 5
    #[arg(long, short, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Get {
    /// The queue
    pub name: String,
    /// How many messages to take, waiting for each; 1 if not said
    #[arg(long = "number", short = 'n', value_name = "N")]
    pub number: Option<u64>,
    /// Take messages until the queue is closed and drained
    #[arg(long, short)]
    pub follow: bool,
    /// Write a line feed after each message
    #[arg(long, conflicts_with = "null")]
    pub lines: bool,
    /// Write a NUL byte after each message
    #[arg(long)]
    pub null: bool,
    /// Give up when no message comes for so long, with exit code 5; 0 takes only what is there
    #[arg(long, short, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Peek {
    /// The queue
    pub name: String,
    /// How many messages to show
    #[arg(long = "number", short = 'n', value_name = "N", default_value_t = 10)]
    pub number: usize,
    /// How many bytes of each to show; if not said, 64, and of decoded ones 1K
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub bytes: Option<usize>,
    /// Write the messages themselves, whole and back to back
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Drain {
    /// The queue
    pub name: String,
    /// Throw at most so many away
    #[arg(long = "number", short = 'n', value_name = "N")]
    pub number: Option<u64>,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Create {
    /// The queue
    pub name: String,
    /// Size of the ring; the largest message takes half of it. K, M, G count in 1024s
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub capacity_bytes: usize,
    /// At most so many messages
    #[arg(long, value_name = "N")]
    pub capacity: Option<usize>,
    /// A name for what the messages mean, up to 64 bytes
    #[arg(long, value_parser = schema)]
    pub schema: Option<String>,
    /// Permissions in octal; 660 lets the group use it
    #[arg(long, value_parser = octal, default_value = "600")]
    pub mode: u32,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Rm {
    /// The queues. With --stale: all if none is given
    #[arg(required_unless_present = "stale")]
    pub names: Vec<String>,
    /// Only queues whose users are all dead, and that nobody asked to keep
    #[arg(long)]
    pub stale: bool,
    /// With --stale: also those that somebody asked to keep (as those made by this command are)
    #[arg(long, requires = "stale")]
    pub persisted: bool,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Recover {
    /// The queue
    pub name: String,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whose: Whose,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// Only these queues; all if none is given
    pub names: Vec<String>,
    /// Look twice, so many seconds apart, to see what moves; 0 looks once
    #[arg(long, short, value_name = "SECONDS", default_value = "0.5", value_parser = seconds, allow_negative_numbers = true)]
    pub interval: Duration,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Whoever asks for more waits for ever; and all of these can be added to the time of day.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Err(_) => Err("not a number of seconds".to_owned()),
        Ok(seconds) if seconds.is_nan() || seconds < 0.0 => Err("seconds are 0 or more".to_owned()),
        Ok(seconds) => Ok(Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))),
    }
}

fn schema(text: &str) -> Result<String, String> {
    if text.len() > 64 { Err(format!("a schema has at most 64 bytes, this has {}", text.len())) } else { Ok(text.to_owned()) }
}

fn size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: usize = match unit {
        "" | "B" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return Err("a size is a number with B, K, M or G behind it".to_owned()),
    };
    let number: usize = digits.parse().map_err(|_| "a size begins with a number".to_owned())?;
    number.checked_mul(factor).filter(|&bytes| bytes > 0).ok_or_else(|| "not a possible size".to_owned())
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| "permissions are octal, as 660".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn no_number_of_seconds_is_too_long() {
        assert_eq!((seconds("0"), seconds("0.5")), (Ok(Duration::ZERO), Ok(Duration::from_millis(500))));
        for long in ["1e10", "1e19", "1e300", "inf", "9999999999999999999999"] {
            assert_eq!(seconds(long), Ok(LONGEST), "{long}");
        }
        assert!(std::time::Instant::now().checked_add(LONGEST).is_some());
        for wrong in ["", "-1", "-inf", "nan", "1s", "half"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!((size("64K"), size("7"), size("2GiB")), (Ok(65536), Ok(7), Ok(2 << 30)));
        assert!(size("").is_err() && size("K").is_err() && size("1T").is_err() && size("0").is_err() && size("-1").is_err());
        assert_eq!((octal("660"), octal("8").is_err()), (Ok(0o660), true));
    }
}
