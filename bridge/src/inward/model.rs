//! A model of an in bridge beside a queue and a server: killed at every store and every effect,
//! twice in a row, restarted, and driven until all is done. [`Seen`] is the real one, over words
//! that stop taking stores at the kill.
//!
//! | property | where |
//! |---|---|
//! | each message is put once, and acked after it was put | [`World::check`] |
//! | one that is in doubt is decided by the count of puts | `killed_at_every_step` |
//! | rules left out give counterexamples | the tests below it |

use super::{Count, Doubt, Of, Refusal, Seen, Words, words_of};
use std::cell::Cell;

const RUN_COUNT: usize = 8;
const OF: Of = Of { queue: 7, stream: 9 };

/// What all effects of a life draw from: at 0 the process is dead, and nothing happens any more.
struct Fuse(Cell<u32>);

impl Fuse {
    fn burns(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

struct ModelWords {
    words: Vec<Cell<u64>>,
    fuse: Fuse,
}

impl Words for ModelWords {
    fn load(&self, at: usize) -> u64 {
        self.words[at].get()
    }

    fn store(&self, at: usize, value: u64) {
        if self.fuse.burns() {
            self.words[at].set(value);
        }
    }
}

/// A rule that a test leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    Nothing,
    /// Journal first (Invariant 1): here the put comes first.
    JournalFirst,
    /// The count decides (Invariant 3): here what is in doubt counts as put.
    TheCount,
    /// And here as not put.
    TheCountToo,
    /// Acks after the put.
    AckLast,
    /// What is in the journal is not put (Invariant 4).
    Knows,
    /// Runs are kept for longer than the server sends again (Invariant 4).
    KeptLong,
}

/// The rest of the world, which a kill of the bridge leaves alone.
struct World {
    words: ModelWords,
    /// The sequences that were put, in order.
    queue: Vec<u64>,
    /// Sequences that the server has and that are not acked.
    stream: Vec<u64>,
    /// Another process's puts, beside the bridge.
    foreign: u64,
    rule: LeftOut,
}

impl World {
    fn new(messages: &[u64], rule: LeftOut) -> World {
        let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
        drop(Seen::begin_anew(&words, RUN_COUNT, OF, 0));
        World { words, queue: Vec::new(), stream: messages.to_vec(), foreign: 0, rule }
    }

    fn count(&self) -> u64 {
        self.queue.len() as u64 + self.foreign
    }

    /// One life of a bridge, which ends after `steps` effects, or when all is acked. The server
    /// delivers what is not acked, in order, and some of it twice.
    fn live(&mut self, steps: u32, is_certain: bool) -> Result<(), Refusal> {
        self.words.fuse.0.set(steps);
        let count = if self.rule == LeftOut::TheCount {
            Count::Owned(self.assumed(true))
        } else if self.rule == LeftOut::TheCountToo {
            Count::Owned(self.assumed(false))
        } else {
            Count::Owned(self.count())
        };
        let (mut seen, _) = Seen::recover(&self.words, RUN_COUNT, OF, count)?;
        let mut delivered = self.stream.clone();
        delivered.extend(self.stream.first().copied());
        for sequence in delivered {
            if self.rule == LeftOut::AckLast && self.words.fuse.burns() {
                self.stream.retain(|&kept| kept != sequence);
            }
            if self.rule == LeftOut::Knows || !seen.knows(sequence) {
                if self.rule == LeftOut::JournalFirst && self.words.fuse.burns() {
                    self.queue.push(sequence);
                }
                if !seen.knows(sequence) && !seen.begin(sequence, is_certain) {
                    continue;
                }
                if self.rule != LeftOut::JournalFirst && self.words.fuse.burns() {
                    self.queue.push(sequence);
                }
                seen.settle();
            }
            // The ack, and its confirmation.
            if self.rule != LeftOut::AckLast && self.words.fuse.burns() {
                self.stream.retain(|&kept| kept != sequence);
            }
            if self.words.fuse.0.get() > 0 {
                seen.confirm(sequence);
            }
            seen.pass_time(20, if self.rule == LeftOut::KeptLong { 40 } else { 60_000 });
        }
        Ok(())
    }

    /// The count that makes the last message seem put, or not.
    fn assumed(&self, put: bool) -> u64 {
        let end = self.words.load(super::END);
        if end == self.words.load(super::OLDEST) {
            return self.count();
        }
        let at = super::FIRST_RUN + ((end - 1) as usize % RUN_COUNT) * super::RUN_WORDS;
        let before = self.words.load(at + super::PUTS);
        let length: u64 =
            (0..super::BIT_WORDS).map(|word| u64::from(self.words.load(at + super::BITS + word).count_ones())).sum();
        before + if put { length } else { length.saturating_sub(1) }
    }

    /// Every message was put, and once; nothing is left in the stream.
    fn check(&self, messages: &[u64]) -> Result<(), String> {
        let (mut sorted, mut all) = (self.queue.clone(), messages.to_vec());
        sorted.sort_unstable();
        all.sort_unstable();
        if sorted != all || !self.stream.is_empty() {
            return Err(format!("put {:?}, left in the stream {:?}, of {messages:?}", self.queue, self.stream));
        }
        Ok(())
    }
}

/// Two kills, at every pair of steps, and a third life that is not killed.
fn explore(messages: &[u64], rule: LeftOut, is_certain: bool) -> Result<u32, String> {
    let most = 12 * messages.len() as u32 + 8;
    let mut lives = 0;
    for first in 0..most {
        for second in 0..most {
            let mut world = World::new(messages, rule);
            for steps in [first, second, u32::MAX, u32::MAX] {
                lives += 1;
                world.live(steps, is_certain).map_err(|refusal| format!("killed at {first}, {second}: {refusal:?}"))?;
            }
            world.check(messages).map_err(|what| format!("killed at {first}, {second}: {what}"))?;
        }
    }
    Ok(lives)
}

#[test]
fn killed_at_every_step_each_message_is_put_once() {
    for messages in [&[1][..], &[1, 2, 3], &[1, 2, 5, 6, 9], &[1, 63, 64, 300], &[5, 3, 900]] {
        assert!(explore(messages, LeftOut::Nothing, true).unwrap() > 1000);
    }
}

#[test]
fn each_rule_left_out_gives_a_counterexample() {
    for rule in
        [LeftOut::JournalFirst, LeftOut::TheCount, LeftOut::TheCountToo, LeftOut::AckLast, LeftOut::Knows, LeftOut::KeptLong]
    {
        assert!(explore(&[1, 2, 3, 5], rule, true).is_err());
    }
}

#[test]
fn a_spilled_message_in_doubt_is_put_again_and_never_lost() {
    let messages = [1, 2, 3];
    for first in 0..40 {
        let mut world = World::new(&messages, LeftOut::Nothing);
        world.live(first, false).unwrap();
        world.live(u32::MAX, false).unwrap();
        let mut put = world.queue.clone();
        put.dedup();
        assert_eq!((put, world.stream.as_slice()), (messages.to_vec(), &[][..]), "killed at {first}");
    }
}

#[test]
fn claims_that_were_aborted_do_not_pass_for_messages() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    // The second claim of message 1 was committed.
    assert!(seen.begin(1, false));
    seen.settle_uncertain(2);
    assert!(seen.begin(2, true));
    let doubt = |puts| Seen::recover(&words, RUN_COUNT, OF, Count::Owned(puts)).map(|(_, doubt)| doubt);
    assert_eq!(doubt(3), Ok(Doubt::WasPut(2)));
    assert!(seen.begin(3, true));
    assert_eq!(doubt(3), Ok(Doubt::PutAgain(3)));
}

#[test]
fn foreign_puts_are_refused_only_where_a_put_is_in_doubt() {
    let (mut refused, mut accepted) = (0, 0);
    for first in 0..20 {
        let mut world = World::new(&[1, 2], LeftOut::Nothing);
        world.live(first, true).unwrap();
        world.foreign = 3;
        match world.live(u32::MAX, true) {
            Err(Refusal::ForeignPuts(_, sequence)) => {
                refused += 1;
                // Where others put, it is put again.
                let shared = Seen::recover(&world.words, RUN_COUNT, OF, Count::Shared(world.count()));
                assert_eq!(shared.map(|(_, doubt)| doubt), Ok(Doubt::PutAgain(sequence)));
            }
            result => {
                accepted += 1;
                result.unwrap();
                world.check(&[1, 2]).unwrap();
            }
        }
    }
    assert!(refused > 0 && accepted > 0, "{refused} and {accepted}");
}

#[test]
fn a_run_is_kept_for_its_time_after_the_last_confirmation() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    for sequence in [1, 2] {
        assert!(seen.begin(sequence, true));
        seen.settle();
    }
    seen.confirm(1);
    seen.pass_time(1000, 60);
    assert!(seen.knows(1) && seen.knows(2)); // the ack of 2 is missing, however long it takes
    seen.confirm(2);
    seen.pass_time(0, 60);
    seen.pass_time(59, 60);
    assert!(seen.knows(1) && seen.knows(2));
    seen.pass_time(1, 60);
    assert!(!seen.knows(1) && !seen.knows(2));
    assert_eq!((seen.kept(), seen.highest()), (0, 2));
}

#[test]
fn a_message_that_comes_again_is_confirmed_once_and_kept_anew() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    for sequence in [1, 2] {
        assert!(seen.begin(sequence, true));
        seen.settle();
    }
    // Two answers for the first one are no answer for the second.
    seen.confirm(1);
    seen.came_again(1);
    seen.confirm(1);
    seen.confirm(1);
    seen.pass_time(1000, 60);
    assert!(seen.knows(2));
    seen.confirm(2);
    seen.pass_time(0, 60);
    seen.pass_time(50, 60);
    seen.came_again(2);
    seen.pass_time(1000, 60);
    assert!(seen.knows(1) && seen.knows(2));
    seen.confirm(2);
    seen.pass_time(0, 60);
    seen.pass_time(60, 60);
    assert!(!seen.knows(2));
}

#[test]
fn a_predecessors_runs_are_confirmed_by_the_servers_floor() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    for sequence in [4, 5, 1008] {
        assert!(seen.begin(sequence, true));
        seen.settle();
    }
    let (mut seen, doubt) = Seen::recover(&words, RUN_COUNT, OF, Count::Owned(3)).unwrap();
    assert_eq!(doubt, Doubt::None);
    seen.confirm_up_to(4);
    assert_eq!(seen.pass_time(1, 0), 2); // 5 is not below the floor
    seen.confirm_up_to(1007);
    assert_eq!((seen.pass_time(1, 0), seen.knows(5), seen.knows(1008)), (1, false, true));
}

#[test]
fn two_bridges_that_alternate_need_a_run_for_many_messages_and_overlap() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    let begin = |seen: &mut Seen<'_, ModelWords>, sequence| {
        assert!(!seen.knows(sequence) && seen.begin(sequence, true));
        seen.settle();
    };
    (0..400).for_each(|each| begin(&mut seen, 2 * each + 1));
    assert_eq!(seen.kept(), 4);
    // What the other one had comes here: it is not known, and covers nothing else.
    begin(&mut seen, 10);
    (0..400).for_each(|each| assert!(seen.knows(2 * each + 1)));
    (0..400).filter(|each| *each != 4).for_each(|each| assert!(!seen.knows(2 * each + 2)));
    let (seen, _) = Seen::recover(&words, RUN_COUNT, OF, Count::Owned(401)).unwrap();
    (0..400).for_each(|each| assert!(seen.knows(2 * each + 1) && (seen.knows(2 * each + 2) == (each == 4))));
    assert_eq!(seen.highest(), 799);
}

#[test]
fn a_full_journal_takes_nothing_until_acks_come() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    for each in 0..RUN_COUNT as u64 {
        assert!(seen.begin(1000 * each + 1, true));
        seen.settle();
    }
    assert!(!seen.begin(100_000, true));
    seen.confirm(1);
    seen.pass_time(1, 0);
    assert!(seen.begin(100_000, true));
}

#[test]
fn what_was_taken_back_is_not_known_and_leaves_no_run() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    let mut seen = Seen::begin_anew(&words, RUN_COUNT, OF, 0);
    for _ in 0..100 {
        assert!(seen.begin(1, true));
        seen.take_back(0);
        assert!(!seen.knows(1));
    }
    assert_eq!(seen.kept(), 0);
    let (seen, doubt) = Seen::recover(&words, RUN_COUNT, OF, Count::Owned(0)).unwrap();
    assert_eq!((doubt, seen.kept()), (Doubt::None, 0));
}

#[test]
fn journals_of_others_are_refused() {
    let words = ModelWords { words: vec![Cell::new(0); words_of(RUN_COUNT)], fuse: Fuse(Cell::new(u32::MAX)) };
    drop(Seen::begin_anew(&words, RUN_COUNT, OF, 0));
    let refusal = |of| Seen::recover(&words, RUN_COUNT, of, Count::Owned(0)).err();
    assert_eq!(refusal(Of { queue: 1, ..OF }), Some(Refusal::Queue));
    assert_eq!(refusal(Of { stream: 1, ..OF }), Some(Refusal::Stream));
    words.store(super::END, 100);
    assert_eq!(refusal(OF), Some(Refusal::Garbage));
    words.store(super::VERSION_WORD, 2);
    assert_eq!(refusal(OF), Some(Refusal::Version(2)));
}
