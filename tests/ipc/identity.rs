//! Ids of messages and what became of them, between processes: consumers are killed, other processes
//! ask.

use crate::deaths::victim;
use crate::support::harness::Case;
use crate::support::process::{expect_all_succeed, fork};
use crate::support::{PATIENCE, unique_name};
use shmq::{DeadLetters, Fate, Message, MessageId, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_id_of_a_message_stays_when_its_holder_is_killed,
        the_fate_of_a_message_is_known_by_its_id_to_others,
        no_id_is_shared_by_consumers_that_are_killed,
        a_producer_that_is_killed_when_it_has_announced_put_nothing,
    ]
}

fn the_id_of_a_message_stays_when_its_holder_is_killed() {
    let queue = Queue::<u64>::new(4).unwrap();
    let ids = Queue::<[u8; 16]>::new(4).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    let holder = victim("a holder", |wait| {
        let lease = queue.lease().unwrap();
        ids.put(&lease.id().to_bytes()).unwrap();
        wait();
    });
    let id = MessageId::from_bytes(ids.get_timeout(PATIENCE).unwrap());
    assert_eq!(queue.is_done(id), Fate::Pending);
    holder.kill();
    assert_eq!(queue.is_done(id), Fate::Pending);
    queue.recover();
    let (number, again) = queue.get_with_id().unwrap();
    assert_eq!((number, again, queue.is_done(id)), (1, id, Fate::Done));
    assert_ne!(queue.get_with_id().unwrap().1, id);
}

fn the_fate_of_a_message_is_known_by_its_id_to_others() {
    let letters = DeadLetters::create(unique_name("letters"), 4096).unwrap();
    let name = unique_name("asked");
    let builder = Queue::<u64>::builder().name(&name).capacity(4).max_deliveries(1).dead_letters(letters.name());
    let queue = builder.create().unwrap();
    let ids = Queue::<[u8; 16]>::new(4).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    let holder = victim("a holder of both", |wait| {
        let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
        let bytes = [first.id().to_bytes(), second.id().to_bytes()];
        first.release();
        ids.put_slice(&bytes).unwrap();
        wait();
        drop(second);
    });
    let [first, second] = [0; 2].map(|_| MessageId::from_bytes(ids.get_timeout(PATIENCE).unwrap()));
    let ask = |fates: [Fate; 2]| {
        expect_all_succeed(vec![fork("a process that asks", || {
            let queue = Queue::<u64>::open(&name).unwrap();
            assert_eq!([first, second].map(|id| queue.is_done(id)), fates);
        })]);
    };
    ask([Fate::Done, Fate::Pending]);
    holder.kill();
    assert_eq!([first, second].map(|id| queue.is_done(id)), [Fate::Done, Fate::Pending]);
    // The process that takes the entry of the dead holder recovers first.
    ask([Fate::Done, Fate::GivenUp]);
    assert_eq!([first, second].map(|id| queue.is_done(id)), [Fate::Done, Fate::GivenUp]);
    assert_eq!(letters.len(), 1);
    DeadLetters::unlink(letters.name()).unwrap();
}

fn a_producer_that_is_killed_when_it_has_announced_put_nothing() {
    // Of values; of slices, whose message needs a filler at the ring's end.
    let values = Queue::<u64>::new(4).unwrap();
    announces_and_is_killed(&values, &7, |queue| assert_eq!(queue.get_with_id().unwrap().0, 7));
    let slices = Queue::<[u8]>::builder().capacity_bytes(1024).create().unwrap();
    let message = [7; 300];
    // Several laps: the end of the ring comes in each of them.
    for _ in 0..12 {
        announces_and_is_killed(&slices, &message, |queue| assert_eq!(queue.get_with_id().unwrap().0, message));
    }
}

fn announces_and_is_killed<T: ?Sized + Message>(queue: &Queue<T>, message: &T, get: impl Fn(&Queue<T>)) {
    let announced = Queue::<[u8; 16]>::new(4).unwrap();
    let before = queue.stats().puts;
    let producer = victim("a producer", |wait| {
        let put = queue.producer().unwrap().put_with_id(message, |id| {
            announced.put(&id.to_bytes()).unwrap();
            wait();
        });
        put.unwrap();
    });
    let id = MessageId::from_bytes(announced.get_timeout(PATIENCE).unwrap());
    producer.kill();
    let successor = queue.producer().unwrap();
    assert_eq!(queue.stats().puts, before, "nothing was put");
    assert!(queue.is_empty());
    // The position was not used: the next message has it.
    assert_eq!(successor.put_with_id(message, |_| ()).unwrap(), id);
    assert_eq!(queue.stats().puts, before + 1);
    get(queue);
    assert_eq!(queue.is_done(id), Fate::Done);
}

fn no_id_is_shared_by_consumers_that_are_killed() {
    const MESSAGES: u64 = 3000;
    let queue = Queue::<u64>::new(16).unwrap();
    // What each consumer got, and that it ended.
    let got = Queue::<[[u8; 16]; 2]>::new(MESSAGES as usize + 64).unwrap();
    let consume = || {
        // A consumer that is killed between the get and the put takes one message with it.
        while let Ok((number, id)) = queue.get_with_id_timeout(PATIENCE) {
            got.put(&[id.to_bytes(), u128::from(number).to_ne_bytes()]).unwrap();
        }
    };
    let putter = fork("a putter", || {
        (0..MESSAGES).for_each(|number| queue.put(&number).unwrap());
        queue.close();
    });
    let mut killed = 0;
    for _ in 0..8 {
        let consumer = fork("a consumer that is killed", consume);
        std::thread::sleep(std::time::Duration::from_millis(3));
        killed += usize::from(consumer.kill_if_running());
    }
    expect_all_succeed(vec![putter, fork("a consumer", consume), fork("another consumer", consume)]);
    let mut seen = std::collections::HashMap::new();
    while let Ok([id, number]) = got.try_get() {
        let (id, number) = (MessageId::from_bytes(id), u128::from_ne_bytes(number));
        assert_eq!(queue.is_done(id), Fate::Done);
        assert_eq!(seen.insert(id, number), None, "{id} twice");
    }
    let mut numbers: Vec<_> = seen.values().collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), seen.len());
    assert!(numbers.len() >= MESSAGES as usize - killed, "{} of {MESSAGES}, {killed} killed", numbers.len());
}
