//! A random history of all verbs in one thread, against a model that anybody can check: the list of
//! all places that were ever published, and for each subscriber its index in it.

use crate::support::harness::Case;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shmq::{GetError, Message, Plain, PutError, SubscribeError, Subscriber, Topic, TopicLoan};

pub fn cases() -> Vec<Case> {
    crate::cases![values_behave_as_the_model_does, slices_behave_as_the_model_does]
}

/// One call. Numbers choose among what there is at that moment.
#[derive(Clone, Copy, Debug)]
enum Call {
    Publish,
    PublishByEndpoint,
    PublishSlice(usize),
    Lend,
    Commit(usize),
    Abort(usize),
    Next(usize),
    NextSlice(usize, usize),
    Read(usize),
    Latest(usize),
    Drain(usize),
    Subscribe { gates: bool },
    Leave(usize),
    Evict(usize),
}

fn calls(longest: usize) -> impl Strategy<Value = Vec<Call>> {
    let which = 0..100usize;
    let call = prop_oneof![
        12 => Just(Call::Publish),
        4 => Just(Call::PublishByEndpoint),
        4 => (0..20usize).prop_map(Call::PublishSlice),
        3 => Just(Call::Lend),
        3 => which.clone().prop_map(Call::Commit),
        2 => which.clone().prop_map(Call::Abort),
        10 => which.clone().prop_map(Call::Next),
        4 => (which.clone(), 0..12usize).prop_map(|(which, count)| Call::NextSlice(which, count)),
        4 => which.clone().prop_map(Call::Read),
        2 => which.clone().prop_map(Call::Latest),
        2 => which.clone().prop_map(Call::Drain),
        2 => any::<bool>().prop_map(|gates| Call::Subscribe { gates }),
        1 => which.clone().prop_map(Call::Leave),
        1 => which.prop_map(Call::Evict),
    ];
    prop::collection::vec(call, 1..longest)
}

/// A topic of values or of slices.
trait Shape {
    type Of: ?Sized + Plain;
    /// The message of that number.
    fn publish(topic: &Topic<Self::Of>, n: u64) -> Result<(), PutError>;
    fn publish_by_endpoint(topic: &Topic<Self::Of>, n: u64) -> Result<(), PutError>;
    fn publish_slice(topic: &Topic<Self::Of>, numbers: &[u64]) -> Option<Result<usize, PutError>>;
    fn lend(topic: &Topic<Self::Of>, n: u64) -> Result<TopicLoan<'_, Self::Of>, PutError>;
    fn number(message: <Self::Of as Message>::Owned) -> u64;
    fn next_slice(one: &Subscriber<Self::Of>, count: usize) -> Option<Result<Vec<u64>, GetError>>;
    fn read(one: &mut Subscriber<Self::Of>) -> Result<u64, GetError>;
    /// Exactly so many, ahead of the slowest. `None`: it is bounded in bytes.
    const CAPACITY: Option<usize>;
    /// Places behind the newest that are never overwritten.
    const KEPT: usize;
}

struct Values<const CAPACITY: usize>;

impl<const N: usize> Shape for Values<N> {
    type Of = u64;

    fn publish(topic: &Topic<u64>, n: u64) -> Result<(), PutError> {
        topic.try_publish(&n)
    }

    fn publish_by_endpoint(topic: &Topic<u64>, n: u64) -> Result<(), PutError> {
        topic.publisher()?.try_publish(&n)
    }

    fn publish_slice(topic: &Topic<u64>, numbers: &[u64]) -> Option<Result<usize, PutError>> {
        Some(topic.try_publish_slice(numbers))
    }

    fn lend(topic: &Topic<u64>, n: u64) -> Result<TopicLoan<'_, u64>, PutError> {
        let mut loan = topic.try_loan()?;
        *loan = n;
        Ok(loan)
    }

    fn number(message: u64) -> u64 {
        message
    }

    fn next_slice(one: &Subscriber<u64>, count: usize) -> Option<Result<Vec<u64>, GetError>> {
        let mut numbers = vec![0; count];
        Some(one.try_next_slice(&mut numbers).map(|count| numbers[..count].to_vec()))
    }

    fn read(one: &mut Subscriber<u64>) -> Result<u64, GetError> {
        one.try_read().map(|sample| *sample)
    }

    const CAPACITY: Option<usize> = Some(N);
    const KEPT: usize = N;
}

struct Slices;

/// Bytes of the ring, and the longest message of these histories, in elements of 8 bytes.
const RING_BYTES: usize = 1 << 14;
const LONGEST: u64 = 120;

fn length(n: u64) -> usize {
    1 + (n * 31 % LONGEST) as usize
}

fn whole(message: &[u64]) -> u64 {
    assert!(message.iter().all(|&word| word == message[0]), "{message:?}");
    assert_eq!(message.len(), length(message[0]));
    message[0]
}

impl Shape for Slices {
    type Of = [u64];

    fn publish(topic: &Topic<[u64]>, n: u64) -> Result<(), PutError> {
        topic.try_publish(&vec![n; length(n)])
    }

    fn publish_by_endpoint(topic: &Topic<[u64]>, n: u64) -> Result<(), PutError> {
        topic.publisher()?.try_publish(&vec![n; length(n)])
    }

    fn publish_slice(_: &Topic<[u64]>, _: &[u64]) -> Option<Result<usize, PutError>> {
        None
    }

    fn lend(topic: &Topic<[u64]>, n: u64) -> Result<TopicLoan<'_, [u64]>, PutError> {
        let mut loan = topic.try_loan_len(length(n))?;
        loan.fill(n);
        Ok(loan)
    }

    fn number(message: Vec<u64>) -> u64 {
        whole(&message)
    }

    fn next_slice(_: &Subscriber<[u64]>, _: usize) -> Option<Result<Vec<u64>, GetError>> {
        None
    }

    fn read(one: &mut Subscriber<[u64]>) -> Result<u64, GetError> {
        one.try_read().map(|sample| whole(&sample))
    }

    const CAPACITY: Option<usize> = None;
    // Half of the ring of the longest ones.
    const KEPT: usize = RING_BYTES / 2 / (LONGEST as usize * 8 + 128);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Published {
    Message,
    Open,
    Aborted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Gating,
    /// It does not know yet.
    Evicted,
    Lossy,
    Ended,
}

struct Modelled<T: ?Sized> {
    subscriber: Subscriber<T>,
    kind: Kind,
    /// Index of the next place, and of the first.
    at: usize,
    first: usize,
    received: u64,
    /// Where it went on after its last lap.
    resumed_at: Option<usize>,
}

impl<T: ?Sized> Modelled<T> {
    fn pass_aborted(&mut self, places: &[Published]) {
        while places.get(self.at) == Some(&Published::Aborted) {
            self.at += 1;
        }
    }
}

struct World<'t, S: Shape> {
    topic: &'t Topic<S::Of>,
    places: Vec<Published>,
    subscribers: Vec<Modelled<S::Of>>,
    loans: Vec<(usize, TopicLoan<'t, S::Of>)>,
}

impl<'t, S: Shape> World<'t, S> {
    fn lossy(&self) -> usize {
        self.subscribers.iter().filter(|one| one.kind == Kind::Lossy).count()
    }

    fn slowest(&self) -> Option<usize> {
        self.subscribers.iter().filter(|one| one.kind == Kind::Gating).map(|one| one.at).min()
    }

    fn is_gated(&self) -> bool {
        match (S::CAPACITY, self.slowest()) {
            (Some(capacity), Some(slowest)) => self.places.len() - slowest == capacity,
            _ => false,
        }
    }

    /// The outcome of a try to publish, which must be what the model says.
    fn note_put(&mut self, result: Result<(), PutError>, as_what: Published) {
        match result {
            Ok(()) => {
                assert!(!self.is_gated(), "published into a full topic");
                self.places.push(as_what);
            }
            Err(PutError::Gated { subscriber, lag, timed_out: false, .. }) => {
                let slowest = self.slowest().expect("one gates");
                assert!(S::CAPACITY.is_none() || self.is_gated(), "{lag}, {} of {slowest}", self.places.len());
                let named = self.subscribers.iter().find(|one| one.subscriber.id() == subscriber).expect("it is one of these");
                assert_eq!((named.kind, named.at, lag), (Kind::Gating, slowest, (self.places.len() - slowest) as u64));
                assert!(lag > 0);
            }
            Err(PutError::BehindLoan { timed_out: false, .. }) => {
                let oldest = self.loans.iter().map(|loan| loan.0).min().expect("a loan is open");
                // The slowest may stand before one, or before aborted ones that it passes with its
                // next call.
                let is_aborted = |place: &Published| *place == Published::Aborted;
                let stands_before = |at: usize, loan: usize| at <= loan && self.places[at..loan].iter().all(is_aborted);
                let stands_before_it = self.slowest().is_some_and(|at| self.loans.iter().any(|loan| stands_before(at, loan.0)));
                assert!(stands_before_it || !self.is_gated() && self.places.len() - oldest >= S::CAPACITY.unwrap_or(1));
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// What a read found: it moves the model's index.
    fn note_read(&mut self, which: usize, result: Result<Vec<u64>, GetError>) {
        let has_loans = !self.loans.is_empty();
        let published = self.places.len();
        let one = &mut self.subscribers[which];
        match result {
            Ok(numbers) => {
                assert!(matches!(one.kind, Kind::Gating | Kind::Lossy), "{:?}", one.kind);
                for number in numbers {
                    one.pass_aborted(&self.places);
                    assert_eq!((number as usize, self.places[one.at]), (one.at, Published::Message));
                    one.at += 1;
                    one.received += 1;
                }
                if S::CAPACITY.is_none() {
                    // Slices: behind a message, what is none is passed at once.
                    one.pass_aborted(&self.places);
                }
            }
            Err(GetError::Empty) => {
                assert!(matches!(one.kind, Kind::Gating | Kind::Lossy), "{:?}", one.kind);
                one.pass_aborted(&self.places);
                assert!(one.at == published || self.places[one.at] == Published::Open, "{} of {published}", one.at);
            }
            Err(GetError::Lagged { missed }) => {
                assert!(one.kind == Kind::Lossy && missed > 0);
                assert!(published - one.at > S::KEPT, "{} of {published} was kept", one.at);
                // Lapped twice without a message in between: it goes on further ahead.
                let again = one.resumed_at == Some(one.at);
                one.at += missed as usize;
                one.resumed_at = Some(one.at);
                assert!(again || published - one.at >= S::CAPACITY.unwrap_or(1), "more was left than {} of {published}", one.at);
            }
            Err(GetError::Evicted) if one.kind == Kind::Evicted => {
                one.kind = if has_loans { Kind::Ended } else { Kind::Lossy };
            }
            Err(GetError::Evicted) => assert_eq!(one.kind, Kind::Ended),
            Err(GetError::NotGating) => assert_eq!(one.kind, Kind::Lossy),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn note_latest(&mut self, which: usize, result: Result<u64, GetError>) {
        match result {
            Ok(number) => {
                let one = &mut self.subscribers[which];
                let newest = self.places.iter().rposition(|&place| place == Published::Message);
                assert_eq!(newest, Some(number as usize));
                assert!(one.at <= number as usize);
                one.at = number as usize + 1;
                one.received += 1;
                if S::CAPACITY.is_none() {
                    one.pass_aborted(&self.places);
                }
            }
            Err(GetError::Empty) => {
                let one = &mut self.subscribers[which];
                assert!(!self.places[one.at..].contains(&Published::Message), "{} of {:?}", one.at, self.places);
                one.pass_aborted(&self.places);
            }
            Err(error) => self.note_read(which, Err(error)),
        }
    }

    fn call(&mut self, call: Call) {
        let (topic, n) = (self.topic, self.places.len() as u64);
        let pick = |which: usize, count: usize| (count > 0).then(|| which % count);
        let one = |which: usize| pick(which, self.subscribers.len());
        match call {
            Call::Publish => self.note_put(S::publish(topic, n), Published::Message),
            Call::PublishByEndpoint => self.note_put(S::publish_by_endpoint(topic, n), Published::Message),
            Call::PublishSlice(count) => {
                let numbers: Vec<u64> = (n..n + count as u64).collect();
                match S::publish_slice(topic, &numbers) {
                    Some(Ok(moved)) => {
                        assert!(moved > 0 || count == 0);
                        (0..moved).for_each(|_| self.note_put(Ok(()), Published::Message));
                        let may_stop = moved == count || self.is_gated() || !self.loans.is_empty();
                        assert!(may_stop, "{moved} of {count} moved");
                    }
                    Some(Err(error)) => self.note_put(Err(error), Published::Message),
                    None => {}
                }
            }
            Call::Lend => match S::lend(topic, n) {
                Ok(loan) => {
                    assert_eq!(self.lossy(), 0);
                    self.note_put(Ok(()), Published::Open);
                    self.loans.push((n as usize, loan));
                }
                Err(PutError::LossyHere) => assert!(self.lossy() > 0),
                Err(error) => self.note_put(Err(error), Published::Open),
            },
            Call::Commit(which) | Call::Abort(which) => {
                let Some(which) = pick(which, self.loans.len()) else { return };
                let (place, loan) = self.loans.swap_remove(which);
                self.places[place] = if matches!(call, Call::Commit(_)) {
                    loan.commit().unwrap();
                    Published::Message
                } else {
                    drop(loan);
                    Published::Aborted
                };
            }
            Call::Next(which) => {
                let Some(which) = one(which) else { return };
                let got = self.subscribers[which].subscriber.try_next();
                self.note_read(which, got.map(|message| vec![S::number(message)]));
            }
            Call::NextSlice(which, count) => {
                let Some(which) = one(which) else { return };
                let Some(got) = S::next_slice(&self.subscribers[which].subscriber, count) else { return };
                assert!(got.as_ref().is_ok_and(Vec::is_empty) == (count == 0));
                if count > 0 {
                    self.note_read(which, got);
                }
            }
            Call::Read(which) => {
                let Some(which) = one(which) else { return };
                let got = S::read(&mut self.subscribers[which].subscriber);
                self.note_read(which, got.map(|number| vec![number]));
            }
            Call::Latest(which) => {
                let Some(which) = one(which) else { return };
                let got = self.subscribers[which].subscriber.latest();
                self.note_latest(which, got.map(S::number));
            }
            Call::Drain(which) => {
                let Some(which) = one(which) else { return };
                loop {
                    let got = self.subscribers[which].subscriber.try_next();
                    let is_over = matches!(got, Err(GetError::Empty)) || self.subscribers[which].kind == Kind::Ended;
                    self.note_read(which, got.map(|message| vec![S::number(message)]));
                    if is_over {
                        break;
                    }
                }
            }
            Call::Subscribe { gates } => {
                let joined = if gates { topic.subscribe() } else { topic.subscribe_lossy() };
                match joined {
                    Ok(subscriber) => {
                        assert!(gates || self.loans.is_empty());
                        let (at, kind) = (self.places.len(), if gates { Kind::Gating } else { Kind::Lossy });
                        self.subscribers.push(Modelled { subscriber, kind, at, first: at, received: 0, resumed_at: None });
                    }
                    Err(SubscribeError::LoansHere) => assert!(!gates && !self.loans.is_empty()),
                    Err(SubscribeError::TooManySubscribers { .. }) => assert_eq!(self.subscribers.len(), 6),
                    Err(error) => panic!("{error:?}"),
                }
            }
            Call::Leave(which) => {
                let Some(which) = one(which) else { return };
                self.subscribers.swap_remove(which);
            }
            Call::Evict(which) => {
                let Some(which) = one(which) else { return };
                let one = &mut self.subscribers[which];
                let evicted = topic.evict(one.subscriber.id()).unwrap();
                assert_eq!(evicted, one.kind == Kind::Gating);
                if evicted {
                    one.kind = Kind::Evicted;
                }
            }
        }
    }

    /// What must hold after each call.
    fn check(&self) {
        let published = self.places.len();
        let stats = self.topic.stats();
        let aborted = self.places.iter().filter(|&&place| place == Published::Aborted).count();
        assert_eq!((stats.published, stats.aborted), (published as u64, aborted as u64));
        assert_eq!(self.topic.subscribers().len(), self.subscribers.len());
        for one in &self.subscribers {
            let subscriber = &one.subscriber;
            let (passed, lag) = ((one.at - one.first) as u64, (published - one.at) as u64);
            // An aborted loan is passed when it is found.
            assert_eq!((subscriber.received(), subscriber.lag()), (one.received, lag), "{one:?}");
            assert_eq!(subscriber.missed() + one.received, passed, "{one:?}");
            assert_eq!(subscriber.is_gating(), matches!(one.kind, Kind::Gating | Kind::Evicted));
        }
    }
}

impl<T: ?Sized> std::fmt::Debug for Modelled<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Modelled { subscriber, kind, at, first, received, .. } = self;
        write!(out, "{kind:?} from {first} at {at} with {received}; {subscriber:?}")
    }
}

fn run<S: Shape>(topic: &Topic<S::Of>, calls: &[Call]) {
    let mut world = World::<S> { topic, places: Vec::new(), subscribers: Vec::new(), loans: Vec::new() };
    world.call(Call::Subscribe { gates: true });
    for &call in calls {
        world.call(call);
        world.check();
    }
}

/// `proptest` finds the shortest history that fails.
fn histories(count: u32, longest: usize, run: impl Fn(&[Call])) {
    let mut config = Config::with_cases(count);
    config.failure_persistence = None;
    let seed = crate::support::seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    eprintln!("seed of the histories: SHMQ_TEST_SEED={seed}");
    let rng = proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tested = runner.run(&calls(longest), |calls| {
        run(&calls);
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
}

fn values_behave_as_the_model_does() {
    fn values<const N: usize>(count: u32) {
        histories(count, 300, |calls| {
            let topic = Topic::<u64>::builder().capacity(N).max_subscribers(6).create().unwrap();
            run::<Values<N>>(&topic, calls);
        });
    }
    values::<1>(40);
    values::<2>(40);
    values::<5>(60);
    values::<16>(60);
    values::<33>(40);
}

fn slices_behave_as_the_model_does() {
    histories(150, 400, |calls| {
        let topic = Topic::<[u64]>::builder().capacity_bytes(RING_BYTES).max_subscribers(6).create().unwrap();
        run::<Slices>(&topic, calls);
    });
}
