//! The public surface, signature by signature: code that compiles and runs here keeps doing so in
//! every patch release.
//!
//! What the verbs mean is tested in `tests/queue`.

mod support;

use shmq::{
    Consumer, CreateError, GetError, Iter, JoinError, Lease, Loan, Message, OpenError, Plain, Process, Producer, PutError, Queue,
    QueueBuilder, RecoveryReport, SpawnError, Stats, WaitStrategy,
};
use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use support::unique_name;

const SOON: Duration = Duration::from_millis(1);

fn later() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A message as users derive it: several fields, without `Debug`, `Clone` or `PartialEq`.
#[shmq::message]
struct Tick {
    price: f64,
    volume: u32,
    venue: u32,
}

/// A message that may not leave its thread, as far as that has a meaning for plain data.
#[shmq::message]
struct Local {
    value: u32,
    here: PhantomData<*const ()>,
}

/// A message that is checked when it arrives.
#[shmq::message]
#[derive(Debug, PartialEq)]
#[repr(u8)]
enum Side {
    Buy = 1,
    Sell = 2,
}

#[test]
fn a_queue_is_made_and_found_in_every_way() {
    let name = unique_name("made");
    let created: Queue<Tick> = Queue::create(&name, 3).unwrap();
    let opened = Queue::<Tick>::open(&name).unwrap();
    let either = Queue::<Tick>::open_or_create(name.clone(), 3).unwrap();
    assert_eq!((created.name(), opened.name(), either.name()), (name.as_str(), name.as_str(), name.as_str()));
    let anonymous: Queue<Tick> = Queue::new(3).unwrap();
    assert!(!anonymous.name().is_empty());
    created.persist();
    Queue::<Tick>::unlink(&name).unwrap();
    assert!(matches!(Queue::<Tick>::open(&name), Err(OpenError::NotFound { .. })));
}

#[test]
fn a_builder_takes_every_setting() {
    let name = unique_name("built");
    let builder: QueueBuilder<Queue<Tick>> = Queue::<Tick>::builder();
    let queue = builder
        .name(&name)
        .capacity(4)
        .wait_strategy(WaitStrategy::Block)
        .schema("tick/1")
        .mode(0o640)
        .persist(false)
        .max_deliveries(3)
        .max_participants(8)
        .lock_memory(false)
        .huge_pages(false)
        .create()
        .unwrap();
    let opened = Queue::<Tick>::builder()
        .name(&name)
        .wait_strategy(WaitStrategy::Custom { spins: 3, yields: 4 })
        .schema("tick/1")
        .open()
        .unwrap();
    let either = Queue::<Tick>::builder().name(&name).capacity(4).schema("tick/1").open_or_create().unwrap();
    assert_eq!((queue.capacity(), opened.capacity(), either.capacity()), (4, 4, 4));

    let bytes: Queue<[u8]> = Queue::<[u8]>::builder().name(unique_name("bytes")).capacity_bytes(1 << 12).create().unwrap();
    assert!(bytes.capacity_bytes() >= 1 << 12);
    assert!(bytes.max_len() > 0);
    let both = Queue::<[f32]>::builder().name(unique_name("both")).capacity(2).capacity_bytes(1 << 12).create().unwrap();
    assert_eq!(both.capacity(), 2);
    for wait in [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Block, WaitStrategy::Custom { spins: 1, yields: 1 }] {
        let queue = Queue::<u8>::builder().capacity(1).wait_strategy(wait).create().unwrap();
        assert!(!queue.name().is_empty(), "a builder without a name makes an anonymous queue");
        assert!(matches!(queue.get_timeout(SOON), Err(GetError::Timeout)), "{wait:?}");
    }
    assert!(matches!(WaitStrategy::default(), WaitStrategy::Adaptive));
}

#[test]
fn a_queue_puts_and_gets_by_copy() {
    let queue: Queue<u32> = Queue::new(4).unwrap();
    queue.put(&1).unwrap();
    queue.try_put(&2).unwrap();
    queue.put_timeout(&3, SOON).unwrap();
    queue.put_deadline(&4, later()).unwrap();
    assert!(matches!(queue.try_put(&5), Err(PutError::Full)));
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.try_get().unwrap(), 2);
    assert_eq!(queue.get_timeout(SOON).unwrap(), 3);
    assert_eq!(queue.get_deadline(later()).unwrap(), 4);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
}

#[test]
fn a_queue_moves_batches() {
    let queue: Queue<u32> = Queue::new(8).unwrap();
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    assert_eq!(queue.try_put_slice(&[3, 4]).unwrap(), 2);
    assert_eq!(queue.put_slice_timeout(&[5, 6], SOON).unwrap(), 2);
    assert_eq!(queue.put_slice_deadline(&[7, 8], later()).unwrap(), 2);
    let mut two = [0; 2];
    assert_eq!((queue.get_slice(&mut two).unwrap(), two), (2, [1, 2]));
    assert_eq!((queue.try_get_slice(&mut two).unwrap(), two), (2, [3, 4]));
    assert_eq!((queue.get_slice_timeout(&mut two, SOON).unwrap(), two), (2, [5, 6]));
    assert_eq!((queue.get_slice_deadline(&mut two, later()).unwrap(), two), (2, [7, 8]));
}

#[test]
fn a_queue_lends_in_place() {
    let queue: Queue<Tick> = Queue::new(4).unwrap();
    let fill = |mut loan: Loan<'_, Tick>, venue: u32| {
        *loan = Tick { price: 1.5, volume: 10, venue };
        loan.volume += 1;
        assert_eq!(loan.volume, 11);
        loan.commit().unwrap();
    };
    fill(queue.loan().unwrap(), 1);
    fill(queue.try_loan().unwrap(), 2);
    fill(queue.loan_timeout(SOON).unwrap(), 3);
    fill(queue.loan_deadline(later()).unwrap(), 4);
    let check = |lease: &Lease<'_, Tick>, venue: u32| assert_eq!((lease.venue, lease.volume, lease.deliveries()), (venue, 11, 1));
    let lease = queue.lease().unwrap();
    check(&lease, 1);
    lease.release();
    let lease = queue.try_lease().unwrap();
    check(&lease, 2);
    drop(lease);
    check(&queue.lease_timeout(SOON).unwrap(), 3);
    let lease = queue.lease_deadline(later()).unwrap();
    check(&lease, 4);
    lease.give_back();
    assert_eq!(queue.lease().unwrap().deliveries(), 2);
    assert!(queue.is_empty());
}

#[test]
fn owned_leases_outlive_the_handle() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let leases: Vec<Lease<'static, u64>> = vec![
        queue.lease_owned().unwrap(),
        queue.try_lease_owned().unwrap(),
        queue.lease_owned_timeout(SOON).unwrap(),
        queue.lease_owned_deadline(later()).unwrap(),
    ];
    drop(queue);
    let sum = std::thread::spawn(move || leases.iter().map(|lease| **lease).sum::<u64>()).join().unwrap();
    assert_eq!(sum, 10);
}

#[test]
fn a_slice_queue_lends_and_copies() {
    let queue: Queue<[u32]> = Queue::<[u32]>::builder().capacity_bytes(1 << 12).create().unwrap();
    queue.put(&[1, 2, 3]).unwrap();
    queue.try_put(&[]).unwrap();
    queue.put_timeout(&[4], SOON).unwrap();
    queue.put_deadline(&[5, 6], later()).unwrap();
    let fill = |mut loan: Loan<'_, [u32]>, with: u32| {
        loan.fill(with);
        loan.commit().unwrap();
    };
    fill(queue.loan_len(2).unwrap(), 7);
    fill(queue.try_loan_len(2).unwrap(), 8);
    fill(queue.loan_len_timeout(2, SOON).unwrap(), 9);
    let mut loan = queue.loan_len_deadline(3, later()).unwrap();
    loan[0] = 10;
    loan.commit_len(1).unwrap();

    let mut buffer = [0; 3];
    assert_eq!((queue.get_into(&mut buffer).unwrap(), buffer), (3, [1, 2, 3]));
    assert_eq!(queue.try_get_into(&mut buffer).unwrap(), 0);
    assert_eq!((queue.get_into_timeout(&mut buffer, SOON).unwrap(), buffer[0]), (1, 4));
    assert_eq!((queue.get_into_deadline(&mut buffer, later()).unwrap(), buffer[1]), (2, 6));
    let owned: Vec<u32> = queue.get().unwrap();
    assert_eq!(owned, [7, 7]);
    assert_eq!(queue.try_get().unwrap(), [8, 8]);
    assert_eq!(queue.lease().unwrap()[..], [9, 9]);
    assert_eq!(queue.lease_owned().unwrap()[..], [10]);
    assert!(matches!(queue.get_timeout(SOON), Err(GetError::Timeout)));
    assert!(matches!(queue.get_deadline(Instant::now()), Err(GetError::Timeout)));

    let bytes: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    bytes.put(b"text").unwrap();
    let lease = bytes.lease().unwrap();
    let as_bytes: &[u8] = lease.as_ref();
    assert_eq!(as_bytes, b"text");
}

#[test]
fn a_producer_has_every_put_verb() {
    let queue: Queue<u32> = Queue::new(16).unwrap();
    let producer: Producer<u32> = queue.producer().unwrap();
    producer.put(&1).unwrap();
    producer.try_put(&2).unwrap();
    producer.put_timeout(&3, SOON).unwrap();
    producer.put_deadline(&4, later()).unwrap();
    assert_eq!(producer.put_slice(&[5]).unwrap(), 1);
    assert_eq!(producer.try_put_slice(&[6]).unwrap(), 1);
    assert_eq!(producer.put_slice_timeout(&[7], SOON).unwrap(), 1);
    assert_eq!(producer.put_slice_deadline(&[8], later()).unwrap(), 1);
    let fill = |mut loan: Loan<'_, u32>, with: u32| {
        *loan = with;
        loan.commit().unwrap();
    };
    fill(producer.loan().unwrap(), 9);
    fill(producer.try_loan().unwrap(), 10);
    fill(producer.loan_timeout(SOON).unwrap(), 11);
    fill(producer.loan_deadline(later()).unwrap(), 12);
    drop(producer);
    queue.close();
    let all: Vec<u32> = queue.iter().map(Result::unwrap).collect();
    assert_eq!(all, (1..=12).collect::<Vec<_>>());

    let queue: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    let producer: Producer<[u8]> = queue.producer().unwrap();
    producer.put(b"a").unwrap();
    producer.try_put(b"b").unwrap();
    producer.put_timeout(b"c", SOON).unwrap();
    producer.put_deadline(b"d", later()).unwrap();
    let fill = |mut loan: Loan<'_, [u8]>, with: u8| {
        loan[0] = with;
        loan.commit().unwrap();
    };
    fill(producer.loan_len(1).unwrap(), b'e');
    fill(producer.try_loan_len(1).unwrap(), b'f');
    fill(producer.loan_len_timeout(1, SOON).unwrap(), b'g');
    fill(producer.loan_len_deadline(1, later()).unwrap(), b'h');
    queue.close();
    let all: Vec<u8> = queue.iter().flat_map(Result::unwrap).collect();
    assert_eq!(all, b"abcdefgh");
}

#[test]
fn a_consumer_has_every_get_verb() {
    let queue: Queue<u32> = Queue::new(16).unwrap();
    assert_eq!(queue.put_slice(&(1..=12).collect::<Vec<_>>()).unwrap(), 12);
    let consumer: Consumer<u32> = queue.consumer().unwrap();
    assert_eq!(consumer.get().unwrap(), 1);
    assert_eq!(consumer.try_get().unwrap(), 2);
    assert_eq!(consumer.get_timeout(SOON).unwrap(), 3);
    assert_eq!(consumer.get_deadline(later()).unwrap(), 4);
    let mut one = [0];
    assert_eq!((consumer.get_slice(&mut one).unwrap(), one), (1, [5]));
    assert_eq!((consumer.try_get_slice(&mut one).unwrap(), one), (1, [6]));
    assert_eq!((consumer.get_slice_timeout(&mut one, SOON).unwrap(), one), (1, [7]));
    assert_eq!((consumer.get_slice_deadline(&mut one, later()).unwrap(), one), (1, [8]));
    assert_eq!(*consumer.lease().unwrap(), 9);
    assert_eq!(*consumer.try_lease().unwrap(), 10);
    assert_eq!(*consumer.lease_timeout(SOON).unwrap(), 11);
    assert_eq!(*consumer.lease_deadline(later()).unwrap(), 12);

    let queue: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    (b'a'..=b'l').for_each(|byte| queue.put(&[byte]).unwrap());
    let consumer: Consumer<[u8]> = queue.consumer().unwrap();
    assert_eq!(consumer.get().unwrap(), b"a");
    assert_eq!(consumer.try_get().unwrap(), b"b");
    assert_eq!(consumer.get_timeout(SOON).unwrap(), b"c");
    assert_eq!(consumer.get_deadline(later()).unwrap(), b"d");
    let mut one = [0];
    assert_eq!((consumer.get_into(&mut one).unwrap(), one), (1, *b"e"));
    assert_eq!((consumer.try_get_into(&mut one).unwrap(), one), (1, *b"f"));
    assert_eq!((consumer.get_into_timeout(&mut one, SOON).unwrap(), one), (1, *b"g"));
    assert_eq!((consumer.get_into_deadline(&mut one, later()).unwrap(), one), (1, *b"h"));
    assert_eq!(consumer.lease().unwrap()[..], *b"i");
    assert_eq!(consumer.try_lease().unwrap()[..], *b"j");
    assert_eq!(consumer.lease_timeout(SOON).unwrap()[..], *b"k");
    assert_eq!(consumer.lease_deadline(later()).unwrap()[..], *b"l");
}

#[test]
fn a_queue_says_what_it_is() {
    let queue: Queue<u32> = Queue::new(2).unwrap();
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full(), queue.capacity()), (0, true, false, 2));
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full(), queue.capacity()), (2, false, true, 2));
    assert!(!queue.is_closed());
    let Stats { puts, gets, bytes_put, bytes_got, redelivered, aborted, given_up, recoveries, .. } = queue.stats();
    assert_eq!([puts, gets, bytes_put, bytes_got, redelivered, aborted, given_up, recoveries], [2, 0, 8, 0, 0, 0, 0, 0]);
    let RecoveryReport { dead_participants, redelivered, aborted, sides_repaired: _, .. } = queue.recover();
    assert_eq!((dead_participants, redelivered, aborted), (0, 0, 0));
    assert_eq!((Stats::default().puts, RecoveryReport::default().aborted), (0, 0));

    assert!(matches!(queue.join_timeout(SOON), Err(JoinError::Timeout { left: 2 })));
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 2));
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    queue.close();
    assert!(queue.is_closed());
}

#[test]
fn a_queue_iterates() {
    let queue: Queue<u32> = Queue::new(4).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let mut iter: Iter<'_, Queue<u32>> = queue.iter();
    assert_eq!(iter.next().unwrap().unwrap(), 1);
    queue.close();
    let mut rest = Vec::new();
    for message in &queue {
        rest.push(message.unwrap());
    }
    assert_eq!(rest, [2, 3, 4]);
}

#[test]
fn handles_clone_and_serialise() {
    let queue: Queue<Tick> = Queue::new(2).unwrap();
    queue.clone().put(&Tick { price: 2.5, volume: 1, venue: 2 }).unwrap();
    let text = serde_json::to_string(&queue).unwrap();
    let same: Queue<Tick> = serde_json::from_str(&text).unwrap();
    assert_eq!(same.get().unwrap().price, 2.5);
}

/// Everything that generic code may rely on.
fn round_trip<T: Message + ?Sized>(queue: &Queue<T>, message: &T) -> T::Owned {
    queue.put(message).unwrap();
    queue.get().unwrap()
}

/// What generic code over slices may rely on: this bound, and no more.
fn in_place<X: Plain + Copy>(queue: &Queue<[X]>, message: &[X], buffer: &mut [X]) -> usize {
    assert!(message.len() <= queue.max_len() && size_of_val(message) <= queue.capacity_bytes());
    let mut loan = queue.loan_len(message.len()).unwrap();
    loan.copy_from_slice(message);
    loan.commit().unwrap();
    let got = queue.get_into(buffer).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.loan_len(got).unwrap().commit_len(got).unwrap();
    consumer.get_into(buffer).unwrap()
}

#[test]
fn messages_are_plain_data_and_slices_of_it() {
    assert_eq!(round_trip(&Queue::new(1).unwrap(), &7u8), 7);
    assert!(round_trip(&Queue::new(1).unwrap(), &true));
    assert_eq!(round_trip(&Queue::new(1).unwrap(), &[1.5f32, 2.5]), [1.5, 2.5]);
    assert_eq!(round_trip(&Queue::new(1).unwrap(), &Side::Sell), Side::Sell);
    assert_eq!(round_trip(&Queue::new(1).unwrap(), &Side::Buy), Side::Buy);
    assert_eq!(round_trip(&Queue::new(1).unwrap(), &Tick { price: 0.0, volume: 9, venue: 0 }).volume, 9);
    assert_eq!(round_trip(&Queue::new(1).unwrap(), &Local { value: 3, here: PhantomData }).value, 3);
    let queue = Queue::<[f64]>::builder().capacity_bytes(4096).create().unwrap();
    assert_eq!(round_trip(&queue, &[0.5, 1.5]), [0.5, 1.5]);
    assert_eq!(in_place(&queue, &[0.5, 1.5], &mut [0.0; 4]), 2);
}

/// Each signature as a function pointer: argument and result types, lifetimes included.
#[test]
#[allow(clippy::type_complexity, reason = "the types are what is tested")]
fn signatures_are_what_they_were() {
    type Q = Queue<u32>;
    type B = Queue<[u8]>;
    let _: fn(&'static str, usize) -> Result<Q, CreateError> = Q::create;
    let _: fn(String, usize) -> Result<Q, CreateError> = Q::open_or_create;
    let _: fn(usize) -> Result<Q, CreateError> = Q::new;
    let _: fn(&'static str) -> Result<B, OpenError> = B::open;
    let _: fn(&'static str) -> Result<(), OpenError> = B::unlink;
    let _: fn() -> QueueBuilder<Queue<[u8]>> = B::builder;
    let _: fn(&B) = B::persist;
    let _: fn(&Q, &[u32]) -> Result<usize, PutError> = Q::put_slice;
    let _: fn(&Q, &mut [u32]) -> Result<usize, GetError> = Q::get_slice;
    let _: for<'q> fn(&'q Q) -> Result<Loan<'q, u32>, PutError> = Q::loan;
    let _: for<'q> fn(&'q B, usize) -> Result<Loan<'q, [u8]>, PutError> = B::loan_len;
    let _: for<'q> fn(&'q B) -> Result<Lease<'q, [u8]>, GetError> = B::lease;
    let _: fn(&B) -> Result<Lease<'static, [u8]>, GetError> = B::lease_owned;
    let _: fn(&B, &mut [u8]) -> Result<usize, GetError> = B::get_into;
    let _: fn(&B) -> usize = B::max_len;
    let _: fn(&B) -> usize = B::capacity_bytes;
    let _: fn(&B, &[u8]) -> Result<(), PutError> = B::put;
    let _: fn(&B, &[u8], Duration) -> Result<(), PutError> = B::put_timeout;
    let _: fn(&B, &[u8], Instant) -> Result<(), PutError> = B::put_deadline;
    let _: fn(&B) -> Result<Vec<u8>, GetError> = B::get;
    let _: fn(&Q, Duration) -> Result<u32, GetError> = Q::get_timeout;
    let _: fn(&Q, Instant) -> Result<u32, GetError> = Q::get_deadline;
    let _: fn(&Q) -> Result<Producer<u32>, PutError> = Q::producer;
    let _: fn(&Q) -> Result<Consumer<u32>, GetError> = Q::consumer;
    let _: for<'q> fn(&'q Q) -> Iter<'q, Queue<u32>> = Q::iter;
    let _: fn(&Q) -> usize = Q::len;
    let _: fn(&Q) -> bool = Q::is_empty;
    let _: fn(&Q) -> bool = Q::is_full;
    let _: fn(&Q) -> usize = Q::capacity;
    let _: fn(&Q) -> &str = Q::name;
    let _: fn(&Q) = Q::close;
    let _: fn(&Q) -> bool = Q::is_closed;
    let _: fn(&Q) -> Stats = Q::stats;
    let _: fn(&Q) -> RecoveryReport = Q::recover;
    let _: fn(&Q) -> Result<(), JoinError> = Q::task_done;
    let _: fn(&Q) -> Result<(), JoinError> = Q::join;
    let _: fn(&Q, Duration) -> Result<(), JoinError> = Q::join_timeout;
    let _: fn(Loan<'static, u32>) -> Result<(), PutError> = Loan::commit;
    let _: fn(Loan<'static, [u8]>, usize) -> Result<(), PutError> = Loan::commit_len;
    let _: fn(Lease<'static, u32>) = Lease::release;
    let _: fn(Lease<'static, u32>) = Lease::give_back;
    let _: fn(&Lease<'static, u32>) -> u32 = Lease::deliveries;
    let _: for<'p> fn(&'p Producer<u32>) -> Result<Loan<'p, u32>, PutError> = Producer::loan;
    let _: for<'p> fn(&'p Producer<[u8]>, usize) -> Result<Loan<'p, [u8]>, PutError> = Producer::loan_len;
    let _: fn(&Producer<u32>, &[u32]) -> Result<usize, PutError> = Producer::put_slice;
    let _: fn(&Producer<[u8]>, &[u8]) -> Result<(), PutError> = Producer::put;
    let _: for<'c> fn(&'c Consumer<u32>) -> Result<Lease<'c, u32>, GetError> = Consumer::lease;
    let _: fn(&Consumer<u32>, &mut [u32]) -> Result<usize, GetError> = Consumer::get_slice;
    let _: fn(&Consumer<[u8]>, &mut [u8]) -> Result<usize, GetError> = Consumer::get_into;
    let _: fn(&Consumer<[u8]>) -> Result<Vec<u8>, GetError> = Consumer::get;
    let _: fn(fn()) -> Result<Process, SpawnError> = Process::spawn;
    let _: fn(fn() -> Result<(), PutError>) -> Result<Process, SpawnError> = Process::spawn;
    let _: unsafe fn(fn() -> i32) -> Result<Process, SpawnError> = Process::spawn_unchecked;
    let _: fn(&Process) -> u32 = Process::pid;
    let _: fn(&Process) -> io::Result<ExitStatus> = Process::join;
    let _: fn(&Process, Duration) -> io::Result<Option<ExitStatus>> = Process::join_timeout;
    let _: fn(&Process) -> io::Result<Option<ExitStatus>> = Process::exit_status;
    let _: fn(&Process) -> bool = Process::is_alive;
    let _: fn(&Process) -> io::Result<()> = Process::terminate;
    let _: fn(&Process) -> io::Result<()> = Process::kill;
}

/// Does not compile if `$type` is `$bound`: two implementations would fit.
macro_rules! assert_not {
    ($type:ty: $bound:path) => {{
        trait AmbiguousIfBoth<Which> {
            fn chosen() {}
        }
        struct Bound;
        impl<T: ?Sized> AmbiguousIfBoth<()> for T {}
        impl<T: ?Sized + $bound> AmbiguousIfBoth<Bound> for T {}
        <$type as AmbiguousIfBoth<_>>::chosen();
    }};
}

#[test]
fn auto_traits_are_what_they_were() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send>() {}
    fn cloned<T: Clone>() {}
    fn error<T: Error + Send + Sync + 'static>() {}

    shared::<Queue<u32>>();
    shared::<Queue<[u8]>>();
    shared::<Queue<Local>>();
    cloned::<Queue<[u8]>>();
    cloned::<Queue<Tick>>();
    sent::<QueueBuilder<Queue<[u8]>>>();

    sent::<Loan<'static, u32>>();
    sent::<Loan<'static, [u8]>>();
    assert_not!(Loan<'static, u32>: Sync);
    assert_not!(Loan<'static, Local>: Send);

    shared::<Lease<'static, u32>>();
    shared::<Lease<'static, [u8]>>();
    assert_not!(Lease<'static, Local>: Send);
    assert_not!(Lease<'static, Local>: Sync);

    fn held_for_ever<T: 'static>() {}
    sent::<Producer<u32>>();
    sent::<Consumer<[u8]>>();
    held_for_ever::<Producer<u32>>();
    held_for_ever::<Consumer<[u8]>>();
    assert_not!(Producer<u32>: Sync);
    assert_not!(Consumer<u32>: Sync);
    assert_not!(Producer<u32>: Clone);
    assert_not!(Consumer<u32>: Clone);
    assert_not!(Lease<'static, u32>: Clone);
    assert_not!(Loan<'static, u32>: Clone);

    error::<PutError>();
    error::<GetError>();
    error::<CreateError>();
    error::<OpenError>();
    error::<JoinError>();
    error::<SpawnError>();
    shared::<Process>();
    shared::<Stats>();
    cloned::<Stats>();
    cloned::<RecoveryReport>();
    fn copied<T: Copy + Default>() {}
    copied::<WaitStrategy>();
    fn travels<T: serde::Serialize + serde::de::DeserializeOwned>() {}
    travels::<Queue<u32>>();
    travels::<Queue<[u8]>>();
}

#[test]
fn everything_public_is_debug() {
    fn shown<T: Debug>(value: T) -> String {
        let text = format!("{value:?} {value:#?}");
        assert!(text.len() > 2);
        text
    }
    // A message type need not be Debug itself.
    let queue: Queue<Tick> = Queue::new(4).unwrap();
    assert!(shown(&queue).contains(queue.name()), "{queue:?}");
    shown(Queue::<Tick>::builder().name("a name").capacity(3));
    shown(queue.loan().unwrap());
    queue.put(&Tick { price: 1.0, volume: 2, venue: 3 }).unwrap();
    shown(queue.lease().unwrap());
    shown(queue.iter());
    shown(queue.producer().unwrap());
    shown(queue.consumer().unwrap());
    shown(queue.stats());
    shown(queue.recover());
    shown(WaitStrategy::Custom { spins: 1, yields: 2 });
    let bytes: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(256).create().unwrap();
    shown(bytes.loan_len(3).unwrap());
    bytes.put(b"x").unwrap();
    shown(bytes.lease_owned().unwrap());
    shown(bytes);
    shown(PutError::Full);
    shown(GetError::Empty);
    shown(OpenError::NotFound { what: what() });
    shown(CreateError::AlreadyExists { what: what(), in_use: true });
    shown(JoinError::TooManyDone);
}

/// The message of an error names every value that the error carries, and reads well.
#[track_caller]
fn says<E: Error>(error: E, values: &[&str]) {
    let text = error.to_string();
    for value in values {
        assert!(text.contains(value), "{text:?} does not name {value:?}");
    }
    assert!(text.len() >= 6 && !text.ends_with('.') && !text.contains('\n'), "{text:?}");
}

/// The subject of an error that was not made by the crate.
fn what() -> shmq::Subject {
    shmq::Subject::default()
}

fn refusal() -> io::Error {
    io::Error::from_raw_os_error(12)
}

#[test]
fn errors_name_their_values() {
    says(PutError::Full, &["full"]);
    says(PutError::Busy, &["put side"]);
    says(PutError::Timeout, &["timed out"]);
    says(PutError::Closed, &["closed"]);
    says(PutError::TooLarge { len: 1234, max: 567 }, &["1234", "567"]);
    says(PutError::Held { pid: 4321 }, &["4321"]);
    says(PutError::Poisoned, &["poisoned"]);
    says(PutError::Corrupted, &["corrupted"]);
    says(PutError::TooManyParticipants { max: 77 }, &["77", "participant"]);
    says(PutError::Inherited, &["fork"]);
    says(PutError::Os { call: "mmap", source: refusal() }, &["mmap"]);
    says(GetError::Empty, &["empty"]);
    says(GetError::Busy, &["get side"]);
    says(GetError::Timeout, &["timed out"]);
    says(GetError::Closed, &["closed"]);
    says(GetError::TooSmall { needed: 99, given: 88 }, &["99", "88"]);
    says(GetError::Invalid, &["valid"]);
    says(GetError::Held { pid: 4321 }, &["4321"]);
    says(GetError::Poisoned, &["poisoned"]);
    says(GetError::Corrupted, &["corrupted"]);
    says(GetError::TooManyParticipants { max: 77 }, &["77", "participant"]);
    says(GetError::Inherited, &["fork"]);
    says(GetError::Os { call: "mmap", source: refusal() }, &["mmap"]);
    says(CreateError::BadName { name: "a/b".into(), why: "has a slash" }, &["a/b", "has a slash"]);
    says(CreateError::OutOfRange { option: "parties", asked: 1234, min: 1, max: 567 }, &["parties", "1234", "567"]);
    says(CreateError::BadMessage { bytes: 1234, align: 8192 }, &["1234", "8192"]);
    says(
        CreateError::NoSpace { what: what(), needed_bytes: 1234, free_bytes: 567, by_cgroup: false },
        &["segment", "1234", "567"],
    );
    says(CreateError::NoSpace { what: what(), needed_bytes: 1234, free_bytes: 567, by_cgroup: true }, &["1234", "567", "cgroup"]);
    says(CreateError::Mismatch { what: what(), ours: "u32/4".into(), theirs: "f64/8".into() }, &["u32/4", "f64/8"]);
    says(CreateError::PermissionDenied { what: what(), why: "a filter".into() }, &["permission", "a filter"]);
    says(CreateError::Directory { what: what(), directory: "/x/y".into(), why: "it is gone".into() }, &["/x/y", "it is gone"]);
    says(CreateError::NoSegment { what: what(), path: "/x/z".into(), is: "a directory" }, &["/x/z", "a directory", "rmdir"]);
    says(CreateError::Corrupted { what: what() }, &["corrupted"]);
    says(CreateError::TooManyParticipants { what: what(), max: 77 }, &["77", "participant"]);
    says(CreateError::Os { what: what(), call: "renameat2", source: refusal() }, &["renameat2"]);
    let exists = |in_use| CreateError::AlreadyExists { what: what(), in_use };
    let (used, unused) = (exists(true), exists(false));
    assert_ne!(used.to_string(), unused.to_string());
    says(used, &["exists"]);
    says(OpenError::BadName { name: "a/b".into(), why: "has a slash" }, &["a/b", "has a slash"]);
    says(OpenError::NotFound { what: what() }, &["no segment"]);
    says(OpenError::NotReady { what: what() }, &["again"]);
    says(OpenError::Mismatch { what: what(), ours: "u32/4".into(), theirs: "f64/8".into() }, &["u32/4", "f64/8"]);
    says(OpenError::Replaced { what: what() }, &["taken this name"]);
    says(OpenError::PermissionDenied { what: what(), why: "a filter".into() }, &["permission", "a filter"]);
    says(OpenError::NoSegment { what: what(), path: "/x/z".into(), is: "a FIFO" }, &["/x/z", "a FIFO", "(rm)"]);
    says(OpenError::Corrupted { what: what() }, &["corrupted"]);
    says(OpenError::TooManyParticipants { what: what(), max: 77 }, &["77", "participant"]);
    says(OpenError::Os { what: what(), call: "open", source: refusal() }, &["open"]);
    says(JoinError::Timeout { left: 42 }, &["42"]);
    says(JoinError::TooManyDone, &["task_done"]);
    says(JoinError::Poisoned, &["poisoned"]);
    says(JoinError::Corrupted, &["corrupted"]);
    says(JoinError::Os { call: "attach", source: refusal() }, &["attach"]);
    says(SpawnError::Threaded { threads: 1234 }, &["1234"]);
    says(SpawnError::Os { call: "fork", source: refusal() }, &["fork"]);
    for error in [
        Box::new(PutError::Os { call: "futex", source: refusal() }) as Box<dyn Error>,
        Box::new(GetError::Os { call: "futex", source: refusal() }),
        Box::new(CreateError::Os { what: what(), call: "futex", source: refusal() }),
        Box::new(OpenError::Os { what: what(), call: "futex", source: refusal() }),
        Box::new(JoinError::Os { call: "futex", source: refusal() }),
        Box::new(SpawnError::Os { call: "fork", source: refusal() }),
    ] {
        // Printed once, both by a caller that prints the chain and by one that prints the error
        // alone.
        let mut chain = error.to_string();
        let mut link = error.source();
        while let Some(error) = link {
            chain += &format!(": {error}");
            link = error.source();
        }
        assert_eq!(chain.matches("os error 12").count(), 1, "{chain}");
        assert!(error.to_string().contains("os error 12"), "{error}");
    }
}

/// Level and message of each event in Rust source text: the last string of `tracing::level!(..)`.
fn events_in(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for call in source.split("tracing::").skip(1) {
        let Some((level, arguments)) = call.split_once("!(") else { continue };
        if !["error", "warn", "info", "debug", "trace"].contains(&level) {
            continue;
        }
        let mut depth = 1;
        let mut quoted = false;
        let end = arguments.find(|c| {
            match c {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let message = arguments[..end.expect("a call ends")].trim_end().trim_end_matches(',').trim_end();
        let message = message.strip_suffix('"').expect("an event ends with its message");
        found.push((level.to_owned(), message[message.rfind('"').expect("it began") + 1..].to_owned()));
    }
    found
}

#[test]
fn the_documented_events_are_those_of_the_sources() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut sent = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => sent.extend(events_in(&std::fs::read_to_string(path).unwrap())),
                _ => {}
            }
        }
    }
    assert!(sent.len() >= 8, "{sent:?}");
    let document = std::fs::read_to_string(root.join("docs/operating.md")).unwrap();
    let table = document.split("## Events").nth(1).expect("there is a list").split("\n## ").next().unwrap_or_default();
    let listed: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let mut columns = line.strip_prefix("| ")?.split(" | ");
            Some((columns.next()?, columns.next()?.strip_prefix('`')?.strip_suffix('`')?))
        })
        .collect();
    for (level, message) in &sent {
        let is_listed = listed.iter().any(|(levels, text)| text == message && levels.split(", ").any(|one| one == level));
        assert!(is_listed, "docs/operating.md does not list {level} {message:?}");
    }
    for (levels, text) in listed {
        for one in levels.split(", ") {
            assert!(sent.iter().any(|(level, message)| level == one && message == text), "no code sends {one} {text:?}");
        }
    }
}
