//! What a kill did, judged by the ledger.

use super::ledger::{Ledger, MESSAGES, SIDES};
use std::sync::atomic::Ordering::Relaxed;

/// What became of the others after a kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was lost, doubled or torn.
    GoesOn,
    /// So many committed messages reached no consumer.
    Lost(u64),
    /// So many messages came twice.
    Doubled(u64),
    /// So many messages were put together from several, or from nothing.
    Torn(u64),
    /// A survivor made no progress until the bound.
    Hangs,
    /// A survivor, or the replacement, could not go on, and said so.
    Error(String),
    /// A survivor was ended by a signal.
    Crash(String),
}

impl Verdict {
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::GoesOn => "goes on",
            Verdict::Lost(_) => "lost",
            Verdict::Doubled(_) => "doubled",
            Verdict::Torn(_) => "torn",
            Verdict::Hangs => "hangs",
            Verdict::Error(_) => "error",
            Verdict::Crash(_) => "crash",
        }
    }

    /// Messages that were lost, doubled or torn.
    pub fn count(&self) -> u64 {
        match self {
            Verdict::Lost(count) | Verdict::Doubled(count) | Verdict::Torn(count) => *count,
            _ => 0,
        }
    }
}

/// How a survivor ended that should have gone on.
#[derive(Clone, Debug)]
pub enum Ended {
    Error(String),
    Crash(String),
}

/// The puts and the deliveries of one producer.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Puts that were begun and are over: committed but for the failed ones.
    pub returned: u64,
    pub failed: Vec<u64>,
    /// How often each was taken.
    pub taken: Vec<u8>,
    /// The last message that a consumer which was killed had noted, plus 1.
    pub dead_noted: u64,
    /// The producer outlives the kill: it is to get this far.
    pub goal: Option<u64>,
}

impl Account {
    fn committed(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        (0..self.returned).filter(|number| !self.failed.contains(number))
    }

    fn is_taken(&self, number: u64) -> bool {
        self.taken.get(number as usize).is_some_and(|&taken| taken > 0)
    }

    fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        self.committed().filter(|&number| !self.is_taken(number))
    }

    /// Is the producer, and what it put last, where it is to be?
    fn got_through(&self) -> bool {
        let Some(goal) = self.goal else { return true };
        self.returned >= goal && self.committed().next_back().is_none_or(|last| self.is_taken(last))
    }
}

/// All that the ledger says after a kill.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    pub producers: Vec<Account>,
    pub torn: u64,
    /// Messages that a killed consumer may have taken and not noted: those of one call, and only if
    /// it was in one.
    pub allowance: u64,
    pub ended: Option<Ended>,
}

impl Accounts {
    /// `goals`: how far each producer that outlives the kill is to get. `dead`: the consumer that
    /// was killed, and how many messages it takes in a call.
    pub fn read(ledger: &Ledger, goals: [Option<u64>; SIDES], dead: Option<(usize, u64)>, ended: Option<Ended>) -> Accounts {
        let account = |index: usize| {
            let page = ledger.producer(index);
            let returned = page.returned();
            // One more: the put in which its producer was killed.
            let taken = ledger.taken_of(index)[..(returned + 1).min(MESSAGES) as usize].iter();
            Account {
                returned,
                failed: page.failed(),
                taken: taken.map(|taken| taken.load(Relaxed)).collect(),
                dead_noted: dead.map_or(0, |(consumer, _)| ledger.consumer(consumer).last(index)),
                goal: goals[index],
            }
        };
        let allowance = dead.map_or(0, |(consumer, call)| if ledger.consumer(consumer).was_asking() { call } else { 0 });
        let torn = (0..SIDES).map(|index| ledger.consumer(index).torn()).sum();
        Accounts { producers: (0..SIDES).map(account).collect(), torn, allowance, ended }
    }

    /// Messages that a dead consumer may have had and not noted: missing ones, newer than what it
    /// had noted of the same producer.
    pub fn gone(&self) -> u64 {
        let newer = |account: &Account| account.missing().filter(|&number| number >= account.dead_noted).count() as u64;
        self.producers.iter().map(newer).sum::<u64>().min(self.allowance)
    }

    /// Committed messages that are in no consumer's notes and that the dead one cannot have had.
    fn lost(&self) -> u64 {
        self.producers.iter().map(|account| account.missing().count() as u64).sum::<u64>() - self.gone()
    }

    /// Have all committed messages come, and all survivors gone as far as they should?
    pub fn is_complete(&self) -> bool {
        self.producers.iter().all(|account| account.got_through() && account.missing().next().is_none())
    }

    /// Complete but for what a dead consumer may have had, of which nothing says that it will come.
    pub fn is_almost_complete(&self) -> bool {
        self.producers.iter().all(Account::got_through) && self.lost() == 0
    }

    pub fn judge(&self) -> Verdict {
        let doubled: u64 =
            self.producers.iter().flat_map(|account| &account.taken).map(|&taken| u64::from(taken.max(1)) - 1).sum();
        match &self.ended {
            Some(Ended::Crash(text)) => return Verdict::Crash(text.clone()),
            _ if self.torn > 0 => return Verdict::Torn(self.torn),
            _ if doubled > 0 => return Verdict::Doubled(doubled),
            Some(Ended::Error(text)) => return Verdict::Error(text.clone()),
            None => (),
        }
        if !self.producers.iter().all(Account::got_through) {
            return Verdict::Hangs;
        }
        match self.lost() {
            0 => Verdict::GoesOn,
            lost => Verdict::Lost(lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A survivor that reached its goal of as many messages as there are.
    fn survivor(taken: &[u8]) -> Account {
        let returned = taken.len() as u64;
        Account { returned, goal: Some(returned), taken: taken.to_vec(), ..Account::default() }
    }

    fn of(producers: Vec<Account>) -> Accounts {
        Accounts { producers, ..Accounts::default() }
    }

    #[test]
    fn all_messages_taken_once_is_going_on() {
        let accounts = of(vec![survivor(&[1, 1, 1])]);
        assert!(accounts.is_complete());
        assert_eq!(accounts.judge(), Verdict::GoesOn);
    }

    #[test]
    fn the_put_in_which_a_producer_was_killed_may_have_come_or_not() {
        for in_flight in [0, 1] {
            let dead = Account { returned: 2, taken: vec![1, 1, in_flight], ..Account::default() };
            assert_eq!(of(vec![dead, survivor(&[1])]).judge(), Verdict::GoesOn, "taken {in_flight} times");
        }
        let dead = Account { returned: 2, taken: vec![1, 1, 2], ..Account::default() };
        assert_eq!(of(vec![dead, survivor(&[1])]).judge(), Verdict::Doubled(1));
    }

    #[test]
    fn a_committed_message_of_a_dead_producer_is_lost_if_no_consumer_got_it() {
        let dead = Account { returned: 3, taken: vec![1, 0, 0, 0], ..Account::default() };
        let accounts = of(vec![dead, survivor(&[1, 1])]);
        assert!(!accounts.is_complete());
        assert_eq!(accounts.judge(), Verdict::Lost(2));
    }

    #[test]
    fn a_put_that_failed_is_not_lost() {
        let mut account = survivor(&[1, 0, 1]);
        account.failed = vec![1];
        assert_eq!(of(vec![account]).judge(), Verdict::GoesOn);
    }

    #[test]
    fn a_dead_consumer_may_have_had_one_message_that_it_did_not_note() {
        let mut account = survivor(&[1, 1, 0, 1]);
        account.dead_noted = 1;
        let in_a_call = Accounts { allowance: 1, ..of(vec![account.clone()]) };
        assert!(in_a_call.is_almost_complete() && !in_a_call.is_complete());
        assert_eq!(in_a_call.judge(), Verdict::GoesOn);
        assert_eq!(of(vec![account.clone()]).judge(), Verdict::Lost(1), "it was not in a call");
        account.taken[1] = 0;
        let two = Accounts { allowance: 1, ..of(vec![account.clone()]) };
        assert_eq!(two.judge(), Verdict::Lost(1), "one of two");
        account.taken[1] = 1;
        account.dead_noted = 4;
        let older = Accounts { allowance: 1, ..of(vec![account]) };
        assert_eq!(older.judge(), Verdict::Lost(1), "it had already noted a newer one");
    }

    #[test]
    fn a_producer_that_is_short_of_its_goal_hangs() {
        let mut account = survivor(&[1, 1]);
        account.goal = Some(3);
        assert_eq!(of(vec![account]).judge(), Verdict::Hangs);
    }

    #[test]
    fn a_consumer_that_does_not_get_the_newest_message_hangs() {
        assert_eq!(of(vec![survivor(&[1, 1, 0])]).judge(), Verdict::Hangs);
        assert_eq!(of(vec![survivor(&[1, 0, 1])]).judge(), Verdict::Lost(1));
    }

    #[test]
    fn what_is_wrong_with_a_message_weighs_more_than_an_error_or_a_hang() {
        let torn = Accounts { torn: 2, ended: Some(Ended::Error("closed".into())), ..of(vec![survivor(&[1, 0])]) };
        assert_eq!(torn.judge(), Verdict::Torn(2));
        let doubled = Accounts { ended: Some(Ended::Error("closed".into())), ..of(vec![survivor(&[3, 0])]) };
        assert_eq!(doubled.judge(), Verdict::Doubled(2));
        let error = Accounts { ended: Some(Ended::Error("closed".into())), ..of(vec![survivor(&[1, 0])]) };
        assert_eq!(error.judge(), Verdict::Error("closed".into()));
        let crash = Accounts { torn: 1, ended: Some(Ended::Crash("SIGSEGV".into())), ..of(vec![survivor(&[1])]) };
        assert_eq!(crash.judge(), Verdict::Crash("SIGSEGV".into()));
    }
}
