//! Every verb of the API on one queue, whatever its segment holds. Any error and any value is
//! accepted. What must not happen is a signal, a panic, a hang, or bytes from outside the mapping.
//!
//! Depends on `shmq` alone, so that `fuzz/` uses it too.

use shmq::{Consumer, Lease, OpenError, Plain, Producer, Queue};
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Longest wait of one verb; none waits without a deadline.
const PATIENCE: Duration = Duration::from_micros(200);
/// Leases held while others verbs run.
const HELD: usize = 3;

/// The context of a run of verbs.
pub struct Stage<'a> {
    /// Called before each verb, with its name.
    pub step: &'a mut dyn FnMut(&'static str),
    /// A number below its argument.
    pub choose: &'a mut dyn FnMut(u64) -> u64,
    /// Where the queue's mapping lies, if the caller knows: everything lent must lie inside it.
    pub mapping: Option<Range<usize>>,
    /// May the name be removed and created anew?
    pub names: bool,
}

impl Stage<'_> {
    /// Reads every byte of what was lent.
    pub fn read_all<T: ?Sized + Plain>(&self, lent: &T) {
        // SAFETY: all bytes of plain data are initialised, and `lent` borrows them for the call.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(lent).cast::<u8>(), size_of_val(lent)) };
        let start = bytes.as_ptr() as usize;
        if let Some(mapping) = &self.mapping {
            assert!(
                mapping.start <= start && start.saturating_add(bytes.len()) <= mapping.end,
                "{} bytes at {start:#x} are not inside the mapping {mapping:x?}",
                bytes.len()
            );
        }
        black_box(bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
    }
}

/// A message type, with the verbs that only its kind of queue has.
pub trait Travels: Plain {
    /// Buffer to get messages into.
    type Buffer: ?Sized;
    fn get_more(queue: &Queue<Self>, buffer: &mut Self::Buffer, stage: &mut Stage<'_>);
    fn put_more(queue: &Queue<Self>, value: &Self, stage: &mut Stage<'_>);
    fn through(producer: &mut Producer<Self>, value: &Self, stage: &mut Stage<'_>);
    fn out_of(consumer: &mut Consumer<Self>, buffer: &mut Self::Buffer, stage: &mut Stage<'_>);
}

impl<T: Plain + Copy> Travels for T {
    type Buffer = [T];

    fn get_more(queue: &Queue<T>, buffer: &mut [T], stage: &mut Stage<'_>) {
        (stage.step)("get_slice_timeout");
        match queue.get_slice_timeout(buffer, PATIENCE) {
            Ok(got) => assert!((1..=buffer.len()).contains(&got), "{got} messages in a buffer of {}", buffer.len()),
            Err(error) => drop(error.to_string()),
        }
        (stage.step)("try_get_slice");
        drop(queue.try_get_slice(&mut buffer[..1]));
    }

    fn put_more(queue: &Queue<T>, value: &T, stage: &mut Stage<'_>) {
        (stage.step)("put_slice_timeout");
        match queue.put_slice_timeout(&[*value; 5], PATIENCE) {
            Ok(put) => assert!((1..=5).contains(&put), "{put} of 5 messages"),
            Err(error) => drop(error.to_string()),
        }
        (stage.step)("loan_timeout");
        if let Ok(mut loan) = queue.loan_timeout(PATIENCE) {
            stage.read_all(&*loan);
            (stage.step)("writing a loan");
            *loan = *value;
            if (stage.choose)(3) > 0 {
                (stage.step)("commit");
                drop(loan.commit());
            } else {
                (stage.step)("dropping a loan");
            }
        }
    }

    fn through(producer: &mut Producer<T>, value: &T, stage: &mut Stage<'_>) {
        (stage.step)("Producer::try_put_slice");
        drop(producer.try_put_slice(&[*value; 3]));
        (stage.step)("Producer::put_iter_timeout");
        match producer.put_iter_timeout([*value; 5], PATIENCE) {
            Ok(put) => assert!((1..=5).contains(&put), "{put} of 5 messages"),
            Err(error) => drop(error.to_string()),
        }
        (stage.step)("Producer::loan_timeout");
        if let Ok(loan) = producer.loan_timeout(PATIENCE) {
            stage.read_all(&*loan);
            (stage.step)("Producer: commit");
            drop(loan.commit());
        }
    }

    fn out_of(consumer: &mut Consumer<T>, buffer: &mut [T], stage: &mut Stage<'_>) {
        (stage.step)("Consumer::get_slice_timeout");
        drop(consumer.get_slice_timeout(buffer, PATIENCE));
        (stage.step)("Consumer::get_each_timeout");
        let mut visited = 0;
        match consumer.get_each_timeout(5, |_| visited += 1, PATIENCE) {
            Ok(got) => assert!((1..=5).contains(&got) && got <= visited, "{got} messages, {visited} visited"),
            Err(error) => drop(error.to_string()),
        }
    }
}

impl<X> Travels for [X]
where
    X: Plain + Copy,
{
    type Buffer = [X];

    fn get_more(queue: &Queue<[X]>, buffer: &mut [X], stage: &mut Stage<'_>) {
        (stage.step)("get_into_timeout");
        match queue.get_into_timeout(buffer, PATIENCE) {
            Ok(got) => assert!(got <= buffer.len(), "{got} elements in a buffer of {}", buffer.len()),
            Err(error) => drop(error.to_string()),
        }
        (stage.step)("try_get_into, a small buffer");
        drop(queue.try_get_into(&mut buffer[..1]));
        (stage.step)("get_timeout, its length");
        if let Ok(got) = queue.get_timeout(PATIENCE) {
            assert!(got.len() <= queue.max_len(), "{} elements, {} at most", got.len(), queue.max_len());
        }
    }

    fn put_more(queue: &Queue<[X]>, value: &[X], stage: &mut Stage<'_>) {
        let max = queue.max_len();
        black_box(queue.capacity_bytes());
        for len in [0, (stage.choose)(max as u64 + 1) as usize, max, max + 1, usize::MAX] {
            (stage.step)("loan_len_timeout");
            if let Ok(mut loan) = queue.loan_len_timeout(len, PATIENCE) {
                assert_eq!(loan.len(), len);
                stage.read_all(&*loan);
                (stage.step)("writing a loan");
                let some = value.len().min(loan.len());
                loan[..some].copy_from_slice(&value[..some]);
                let kept = (stage.choose)(len as u64 + 1) as usize;
                match (stage.choose)(3) {
                    0 => (stage.step)("dropping a loan"),
                    1 => {
                        (stage.step)("commit");
                        drop(loan.commit());
                    }
                    _ => {
                        (stage.step)("commit_len");
                        drop(loan.commit_len(kept));
                    }
                }
            }
        }
        (stage.step)("put_timeout of other lengths");
        drop(queue.put_timeout(&value[..(stage.choose)(value.len() as u64 + 1) as usize], PATIENCE));
        drop(queue.try_put(&[]));
    }

    fn through(producer: &mut Producer<[X]>, value: &[X], stage: &mut Stage<'_>) {
        let len = (stage.choose)(value.len() as u64 + 1) as usize;
        (stage.step)("Producer::loan_len_timeout");
        if let Ok(loan) = producer.loan_len_timeout(len, PATIENCE) {
            stage.read_all(&*loan);
            (stage.step)("Producer: commit_len");
            drop(loan.commit_len(len / 2));
        }
    }

    fn out_of(consumer: &mut Consumer<[X]>, buffer: &mut [X], stage: &mut Stage<'_>) {
        (stage.step)("Consumer::get_into_timeout");
        drop(consumer.get_into_timeout(buffer, PATIENCE));
    }
}

/// Calls every verb `rounds` times in an order that the stage chooses, and at last those that end a
/// queue.
pub fn every_verb<T: ?Sized + Travels>(queue: Queue<T>, value: &T, buffer: &mut T::Buffer, rounds: u64, stage: &mut Stage<'_>) {
    let mut held: Vec<Lease<'static, T>> = Vec::new();
    for _ in 0..rounds {
        let first = (stage.choose)(VERBS);
        for verb in 0..VERBS {
            // All of them: the step is prime to their number.
            one_verb((first + verb * 7) % VERBS, &queue, value, buffer, &mut held, stage);
        }
    }
    at_the_end(queue, value, buffer, held, stage);
}

const VERBS: u64 = 17;

fn one_verb<T: ?Sized + Travels>(
    verb: u64,
    queue: &Queue<T>,
    value: &T,
    buffer: &mut T::Buffer,
    held: &mut Vec<Lease<'static, T>>,
    stage: &mut Stage<'_>,
) {
    match verb {
        0 => {
            (stage.step)("try_put");
            drop(queue.try_put(value));
        }
        1 => {
            (stage.step)("put_timeout");
            drop(queue.put_timeout(value, PATIENCE));
            (stage.step)("put_deadline");
            drop(queue.put_deadline(value, Instant::now() + PATIENCE));
        }
        2 => {
            (stage.step)("try_get");
            drop(queue.try_get());
        }
        3 => {
            (stage.step)("get_timeout");
            drop(queue.get_timeout(PATIENCE));
            (stage.step)("get_deadline");
            drop(queue.get_deadline(Instant::now()));
        }
        4 | 5 => {
            (stage.step)("lease_timeout");
            if let Ok(lease) = queue.lease_timeout(PATIENCE) {
                stage.read_all(&*lease);
                black_box(lease.deliveries());
                if verb == 4 {
                    (stage.step)("release");
                    lease.release();
                } else {
                    (stage.step)("give_back");
                    lease.give_back();
                }
            }
        }
        6 => {
            (stage.step)("try_lease_owned");
            if let Ok(lease) = queue.try_lease_owned() {
                held.push(lease);
            }
            if held.len() > HELD {
                (stage.step)("dropping a lease");
                drop(held.remove(0));
            }
        }
        7 => T::put_more(queue, value, stage),
        8 => T::get_more(queue, buffer, stage),
        9 => {
            (stage.step)("producer");
            if let Ok(mut producer) = queue.producer() {
                (stage.step)("Producer::put");
                drop(producer.try_put(value));
                drop(producer.put_timeout(value, PATIENCE));
                T::through(&mut producer, value, stage);
                (stage.step)("put beside a Producer");
                drop(queue.try_put(value));
                (stage.step)("dropping a Producer");
            }
        }
        10 => {
            (stage.step)("consumer");
            if let Ok(mut consumer) = queue.consumer() {
                (stage.step)("Consumer::get");
                drop(consumer.try_get());
                drop(consumer.get_timeout(PATIENCE));
                T::out_of(&mut consumer, buffer, stage);
                (stage.step)("Consumer::lease_timeout");
                if let Ok(lease) = consumer.lease_timeout(PATIENCE) {
                    stage.read_all(&*lease);
                }
                (stage.step)("get beside a Consumer");
                drop(queue.try_get());
                (stage.step)("dropping a Consumer");
            }
        }
        11 => call_the_rest(queue, stage),
        12 => {
            (stage.step)("recover");
            black_box(queue.recover());
        }
        13 => {
            (stage.step)("task_done");
            drop(queue.task_done());
            (stage.step)("join_timeout");
            drop(queue.join_timeout(PATIENCE));
        }
        15 => {
            (stage.step)("sender, receiver");
            let (sender, receiver) = (queue.sender(), queue.receiver());
            drop(sender.try_put(value));
            drop(receiver.try_get());
            (stage.step)("a sender that is sent");
            let sent = serde_json::to_string(&sender).expect("it is text");
            drop(sender);
            (stage.step)("a sender that arrives");
            drop(serde_json::from_str::<shmq::Sender<T>>(&sent));
            drop(serde_json::from_str::<shmq::Sender<T>>(&sent));
            (stage.step)("dropping a receiver");
        }
        14 => {
            (stage.step)("open by name");
            match Queue::<T>::open(queue.name()) {
                Ok(second) => {
                    (stage.step)("verbs of a second attachment");
                    drop(second.try_put(value));
                    drop(second.try_get());
                    (stage.step)("dropping a second attachment");
                }
                Err(error) => drop(error.to_string()),
            }
        }
        _ => {
            (stage.step)("clone");
            let clone = queue.clone();
            (stage.step)("try_lease");
            if let Ok(lease) = clone.try_lease() {
                stage.read_all(&*lease);
                (stage.step)("dropping a borrowed lease");
            }
            (stage.step)("try_lease_ack");
            if let Ok(lease) = clone.try_lease_ack() {
                stage.read_all(&*lease);
                (stage.step)("dropping one that is not acknowledged");
            }
            (stage.step)("try_lease_ack_owned");
            if let Ok(lease) = clone.try_lease_ack_owned() {
                (stage.step)("ack");
                drop(lease.ack());
            }
            (stage.step)("try_lease, into_view");
            if let Ok(view) = clone.try_lease().and_then(|lease| lease.into_view()) {
                stage.read_all(&*view);
                (stage.step)("a put beside a view");
                drop(clone.try_put(value));
                (stage.step)("dropping a view");
            }
        }
    }
}

fn call_the_rest<T: ?Sized + Travels>(queue: &Queue<T>, stage: &mut Stage<'_>) {
    (stage.step)("len, is_empty");
    assert!(queue.len() <= queue.capacity(), "{} messages of {}", queue.len(), queue.capacity());
    black_box(queue.is_empty());
    (stage.step)("is_full");
    black_box(queue.is_full());
    (stage.step)("is_closed");
    black_box(queue.is_closed());
    (stage.step)("stats");
    black_box(queue.stats());
    (stage.step)("Debug");
    black_box(format!("{queue:?}"));
}

/// The ways to end a queue: close it, drain it, remove its name, create over it, drop it.
fn at_the_end<T: ?Sized + Travels>(
    queue: Queue<T>,
    value: &T,
    buffer: &mut T::Buffer,
    held: Vec<Lease<'static, T>>,
    stage: &mut Stage<'_>,
) {
    let name = queue.name().to_owned();
    for lease in &held {
        stage.read_all(&**lease);
    }
    (stage.step)("close");
    queue.close();
    queue.close();
    for verb in [1, 3, 4, 8, 13] {
        one_verb(verb, &queue, value, buffer, &mut Vec::new(), stage);
    }
    (stage.step)("dropping leases of a closed queue");
    drop(held);
    (stage.step)("get_timeout of a closed queue");
    for _ in 0..3 {
        drop(queue.get_timeout(PATIENCE));
    }
    if stage.names {
        (stage.step)("create over it");
        drop(Queue::<[u8]>::builder().name(&name).capacity_bytes(1 << 12).create());
        (stage.step)("open_or_create over it");
        drop(Queue::<[u8]>::builder().name(&name).capacity_bytes(1 << 12).open_or_create());
        (stage.step)("open as another type");
        match Queue::<[u64]>::open(&name) {
            Err(OpenError::Mismatch { ours, theirs, .. }) => drop((ours, theirs)),
            other => drop(other),
        }
        // This takes a second for a segment in use whose header is garbage.
        if (stage.choose)(5) == 0 {
            (stage.step)("unlink");
            drop(Queue::<T>::unlink(&name));
        }
    }
    (stage.step)("dropping the queue");
    drop(queue);
}
