//! [`Mark`]: the identity that a stream bears. With it a lost journal, a queue that was made anew
//! and another bridge's stream are told from a first start.

use super::Facts;
use std::fmt;

const QUEUE: &str = "shmq-queue";
const JOURNAL: &str = "shmq-journal";
const BRIDGE: &str = "shmq-bridge";
/// Before the same in a description, where the server has no metadata.
const IN_DESCRIPTION: &str = "[shmq-bridge ";

/// Whose a stream is: it stands in the stream's metadata, or at the end of its description on
/// servers before 2.10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The queue's nonce.
    pub queue: u64,
    /// A random number of the journal.
    pub journal: u64,
    /// The bridge's name.
    pub bridge: String,
}

impl Mark {
    /// The mark of a stream; `None` if it bears none.
    pub fn of(facts: &Facts) -> Option<Mark> {
        let number = |key| u64::from_str_radix(facts.metadata(key)?, 16).ok();
        let in_metadata = number(QUEUE).zip(number(JOURNAL)).map(|(queue, journal)| Mark {
            queue,
            journal,
            bridge: facts.metadata(BRIDGE).unwrap_or_default().to_owned(),
        });
        in_metadata.or_else(|| Mark::parse(facts.config.description.as_deref()?))
    }

    fn parse(description: &str) -> Option<Mark> {
        let (_, said) = description.rsplit_once(IN_DESCRIPTION)?;
        let mut words = said.strip_suffix(']')?.splitn(3, ' ');
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let (queue, journal) = (number()?, number()?);
        Some(Mark { queue, journal, bridge: words.next()?.to_owned() })
    }

    pub(super) fn metadata(&self) -> [(&'static str, String); 3] {
        [(QUEUE, format!("{:016x}", self.queue)), (JOURNAL, format!("{:016x}", self.journal)), (BRIDGE, self.bridge.clone())]
    }

    /// A description with this mark in place of another.
    pub(super) fn described(&self, description: Option<&str>) -> String {
        let before = description.unwrap_or_default();
        let before = before.rsplit_once(IN_DESCRIPTION).map_or(before, |(before, _)| before).trim_end();
        let space = if before.is_empty() { "" } else { " " };
        format!("{before}{space}{IN_DESCRIPTION}{:016x} {:016x} {}]", self.queue, self.journal, self.bridge)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "bridge \"{}\", queue {:016x}, journal {:016x}", self.bridge, self.queue, self.journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_keeps_its_text_and_one_mark() {
        let one = Mark { queue: 7, journal: 8, bridge: "jobs of A".into() };
        let other = Mark { queue: u64::MAX, ..one.clone() };
        let described = other.described(Some(&one.described(Some("Jobs for all"))));
        assert_eq!(described, "Jobs for all [shmq-bridge ffffffffffffffff 0000000000000008 jobs of A]");
        assert_eq!(Mark::parse(&described), Some(other));
        assert_eq!(Mark::parse(&one.described(None)), Some(one));
        assert_eq!(Mark::parse("Jobs for all"), None);
    }
}
