//! Do queue, journal and stream belong together? A pure decision: what follows from it is in
//! `carry.rs`.
//!
//! ```text
//!   journal \ stream's mark | none                | this journal's | another one
//!   new                     | First               | (cannot be)    | lost, or another's: refused
//!   begun, not bound        | First               | Finish         | another's: refused
//!   bound                   | made anew: refused  | Continue       | taken over: refused
//! ```

use crate::journal::OutWords;
use crate::server::Mark;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// It is the first start: begin the journal, mark the stream.
    First,
    /// The last start ended between the two.
    Finish,
    /// They belong together.
    Continue,
    /// They do not: why, in words.
    Refuse(String),
}

const ADOPT: &str = "To go on all the same, start once with --adopt";

/// Decides. `queue`: the queue's nonce; `mark`: what the stream bears; `last`: its last sequence.
pub fn bind(words: OutWords<'_>, queue: u64, stream: &str, mark: Option<&Mark>, last: u64) -> Bind {
    if words.is_new() {
        return match mark {
            None => first(last),
            Some(mark) if mark.queue == queue => Bind::Refuse(format!(
                "the journal is lost: the stream is of this queue and of another journal ({mark}). What was under way when it was lost \
                 may be in the stream and in the queue. {ADOPT}: up to a window of messages may double"
            )),
            Some(mark) => Bind::Refuse(format!(
                "the stream is of another queue ({mark}), and this one is {queue:016x}: the queue was made anew under its name, as after a \
                 restart of the machine, or the stream is another bridge's. {ADOPT}, if no other bridge publishes into the stream"
            )),
        };
    }
    if words.queue() != queue {
        return Bind::Refuse(format!(
            "the queue was made anew under its name: the journal is of an earlier one ({:016x}, and this one is {queue:016x}). {ADOPT}: \
             nothing of the new queue was sent yet",
            words.queue()
        ));
    }
    if !words.is_of_stream(stream) {
        return Bind::Refuse(format!(
            "the journal of this bridge is of another stream. Give the bridge another --name for this stream, or {}: what is under way to \
             the other stream may double",
            lower(ADOPT)
        ));
    }
    let is_ours = mark.map(|mark| mark.journal == words.number() && mark.queue == queue);
    match (words.is_bound(), is_ours) {
        (false, None) => first(last),
        (false, Some(true)) => Bind::Finish,
        (true, None) => Bind::Refuse(format!(
            "the stream does not bear this bridge's mark any more: it was deleted and made anew, or comes from an older copy. Messages that \
             had landed there may be lost with it. {ADOPT}"
        )),
        (_, Some(false)) => {
            let mark = mark.map(Mark::to_string).unwrap_or_default();
            Bind::Refuse(format!(
                "the stream is another bridge's by now ({mark}). Each out bridge needs a stream of its own. {ADOPT}"
            ))
        }
        (true, Some(true)) if last < words.resolved() => Bind::Refuse(went_back(last, words.resolved())),
        (true, Some(true)) => Bind::Continue,
    }
}

fn first(last: u64) -> Bind {
    match last {
        0 => Bind::First,
        last => Bind::Refuse(format!(
            "the stream has had {last} messages of another publisher. Each out bridge needs a stream of its own. {ADOPT}: the bridge \
             begins behind them, and nothing else may publish into the stream from then on"
        )),
    }
}

/// In words: the stream's sequence is lower than it was.
pub(super) fn went_back(last: u64, reached: u64) -> String {
    format!(
        "the stream's sequence went back: it stands at {last}, and message {reached} had landed. The server has lost messages, or its store is \
         an older copy. {ADOPT}: what the server has lost stays lost"
    )
}

/// In words: a message is neither in the queue nor in the stream.
pub(super) fn gone(id: &str, sequence: u64, last: u64) -> String {
    format!(
        "message {id} was on its way to sequence {sequence}, is not in the queue any more, and the stream stands at {last}: another process \
         got it from the queue while the bridge was down, or the server has lost messages. {ADOPT}"
    )
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const QUEUE: u64 = 7;

    fn mark(queue: u64, journal: u64) -> Mark {
        Mark { queue, journal, bridge: "jobs".into() }
    }

    fn refusal(bound: Bind) -> String {
        match bound {
            Bind::Refuse(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_first_start_is_told_from_every_loss() {
        let memory: Vec<AtomicU64> = (0..OutWords::COUNT).map(|_| AtomicU64::new(0)).collect();
        let words = OutWords::over(&memory);
        let decide = |mark: Option<&Mark>, last| bind(words, QUEUE, "S", mark, last);
        assert_eq!(decide(None, 0), Bind::First);
        assert!(refusal(decide(None, 5)).contains("another publisher"));
        assert!(refusal(decide(Some(&mark(QUEUE, 1)), 5)).contains("journal is lost"));
        assert!(refusal(decide(Some(&mark(9, 1)), 5)).contains("made anew"));

        words.begin(QUEUE, 1, "S", 0);
        assert_eq!(decide(None, 0), Bind::First);
        assert_eq!(decide(Some(&mark(QUEUE, 1)), 0), Bind::Finish);
        assert!(refusal(decide(Some(&mark(QUEUE, 2)), 0)).contains("another bridge's"));

        words.bind();
        words.assign(3);
        words.resolve(1);
        assert_eq!(decide(Some(&mark(QUEUE, 1)), 1), Bind::Continue);
        assert!(refusal(decide(Some(&mark(QUEUE, 1)), 0)).contains("went back"));
        assert!(refusal(decide(None, 0)).contains("made anew"));
        assert!(refusal(decide(Some(&mark(QUEUE, 2)), 1)).contains("another bridge's"));
        assert!(refusal(bind(words, 8, "S", Some(&mark(QUEUE, 1)), 1)).contains("earlier one"));
        assert!(refusal(bind(words, QUEUE, "T", None, 0)).contains("another stream"));

        words.begin(8, 2, "S", 5);
        assert_eq!((words.is_bound(), words.resolved(), words.assigned()), (false, 5, 5));
    }
}
