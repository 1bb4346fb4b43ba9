//! What the command line asks for.

use crate::killed::order::Order;
use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub const HELP: &str = "\
shmq beside everything that one could pick instead

  --quick        the core rows, shorter samples, 3 repetitions: a minute or two
  --only WHAT    only groups whose kind or title contains WHAT; again for more
  --reps N       repetitions (5; 3 with --quick)
  --kills N      processes to kill of each rival, of each sort (50)
  --seed N       of the first kill; the next has N + 1, and so on (the time)
  --json         print the results as JSON instead of tables
  --out DIR      where results.json, results.csv and the charts go (charts/ beside the bench)
  --no-python    leave the Python rivals out
  --self-test    only see whether lost and torn messages are noticed

kinds: throughput, broadcast, latency, waiting, creation, idle, growth, killed

again the kill with the seed 7: --only 'killed: posix mq' --kills 1 --seed 7";

/// How long a sample lasts.
#[derive(Clone, Copy)]
pub struct Effort {
    pub sample: Duration,
    pub turns: u64,
    pub sleeping_turns: u64,
    pub idle: Duration,
}

#[derive(Debug)]
pub struct Arguments {
    pub quick: bool,
    pub json: bool,
    pub python: bool,
    pub self_test: bool,
    pub only: Vec<String>,
    pub out: PathBuf,
    repetitions: Option<usize>,
    kills: u64,
    seed: u64,
}

impl Arguments {
    /// `None`: the help was asked for and printed.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
        let out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/charts"));
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut arguments = Arguments {
            quick: false,
            json: false,
            python: true,
            self_test: false,
            only: Vec::new(),
            out,
            repetitions: None,
            kills: 50,
            seed,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--json" => arguments.json = true,
                "--no-python" => arguments.python = false,
                "--self-test" => arguments.self_test = true,
                "--only" => arguments.only.push(value()?.to_lowercase()),
                "--out" => arguments.out = value()?.into(),
                "--reps" => {
                    arguments.repetitions = Some(value()?.parse().map_err(|problem| format!("--reps: {problem}"))?);
                }
                "--kills" => arguments.kills = value()?.parse().map_err(|problem| format!("--kills: {problem}"))?,
                "--seed" => arguments.seed = value()?.parse().map_err(|problem| format!("--seed: {problem}"))?,
                "--help" | "-h" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                other => return Err(format!("what is {other}?")),
            }
        }
        if arguments.repetitions == Some(0) {
            return Err("--reps: at least 1".into());
        }
        Ok(Some(arguments))
    }

    pub fn repetitions(&self) -> usize {
        self.repetitions.unwrap_or(if self.quick { 3 } else { 5 })
    }

    pub fn kills(&self) -> Order {
        Order { kills: self.kills, seed: self.seed, python: self.python, only: self.only.clone() }
    }

    pub fn effort(&self) -> Effort {
        if self.quick {
            let sample = Duration::from_millis(20);
            Effort { sample, turns: 20_000, sleeping_turns: 300, idle: Duration::from_millis(100) }
        } else {
            let sample = Duration::from_millis(60);
            Effort { sample, turns: 100_000, sleeping_turns: 2_000, idle: Duration::from_millis(400) }
        }
    }
}
