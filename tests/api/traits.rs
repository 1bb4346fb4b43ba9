//! What generic code may rely on: the bounds of messages, the auto traits, `Debug`.

use crate::{Local, Side, Tick, what};
use shmq::sync::{MutexGuard, Permit};
use shmq::{
    AckLease, Consumer, CreateError, DetachError, GetError, JoinError, Lease, Loan, Message, OpenError, OwnedSample, Plain,
    Process, Producer, PutError, Queue, QueueBuilder, Receiver, RecoveryReport, Sender, SpawnError, Stats, View, WaitStrategy,
};
use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::marker::PhantomData;

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
    shared::<Sender<u32>>();
    shared::<Receiver<[u8]>>();
    cloned::<Sender<[u8]>>();
    cloned::<Receiver<Tick>>();
    sent::<QueueBuilder<Queue<[u8]>>>();

    sent::<OwnedSample<u32>>();
    assert_not!(OwnedSample<Local>: Send);
    assert_not!(OwnedSample<u32>: Clone);
    shared::<Permit<'static>>();
    #[cfg(not(shmq_portable_sync))]
    shared::<MutexGuard<'static, u32>>();
    #[cfg(shmq_portable_sync)]
    assert_not!(MutexGuard<'static, u32>: Send);
    assert_not!(MutexGuard<'static, Cell<u32>>: Sync);
    error::<DetachError<Queue<u32>>>();

    sent::<Loan<'static, u32>>();
    sent::<Loan<'static, [u8]>>();
    assert_not!(Loan<'static, u32>: Sync);
    assert_not!(Loan<'static, Local>: Send);

    shared::<Lease<'static, u32>>();
    shared::<Lease<'static, [u8]>>();
    assert_not!(Lease<'static, Local>: Send);
    assert_not!(Lease<'static, Local>: Sync);

    shared::<AckLease<'static, u32>>();
    shared::<AckLease<'static, [u8]>>();
    assert_not!(AckLease<'static, Local>: Send);
    assert_not!(AckLease<'static, Local>: Sync);
    assert_not!(AckLease<'static, u32>: Clone);

    shared::<View<'static, u32>>();
    shared::<View<'static, [u8]>>();
    cloned::<View<'static, [u8]>>();
    assert_not!(View<'static, Local>: Send);
    assert_not!(View<'static, Local>: Sync);

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
    travels::<Sender<u32>>();
    travels::<Receiver<[u8]>>();
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
    shown(queue.lease_ack().unwrap());
    shown(queue.lease().unwrap());
    shown(queue.iter());
    shown(queue.producer().unwrap());
    shown(queue.consumer().unwrap());
    shown(queue.sender());
    shown(queue.receiver());
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
