//! The end of the stream when one side is gone: senders and receivers of a queue that closes when
//! unused.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, unique_name};
use shmq::{GetError, Process, PutError, Queue, Receiver, Sender};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
#[cfg(not(shmq_portable_sync))]
use {crate::support::wait_until, std::time::Instant};

pub fn cases() -> Vec<Case> {
    let cases = crate::cases![
        the_last_drop_closes_at_once,
        handles_of_every_kind_keep_their_side_open,
        a_queue_that_did_not_ask_never_closes,
        a_server_waits_for_its_first_client,
        the_end_is_for_good,
        the_last_drop_wakes_all_that_wait,
        a_child_that_only_reads_does_not_wait_for_itself,
        an_inherited_sender_counts_from_its_first_use,
        an_inherited_queue_counts_from_its_first_use,
        a_named_handle_counts_when_spawn_returns,
        a_named_handle_counts_until_the_child_drops_it,
        a_producer_that_a_child_inherits_keeps_nothing_open,
        a_sender_that_executes_a_program_is_gone,
        #[cfg(feature = "object")]
        a_sender_on_its_way_keeps_the_queue_open,
        #[cfg(feature = "object")]
        a_sender_that_is_received_twice_ends_no_other_one_on_its_way,
        #[cfg(feature = "object")]
        more_senders_than_slots_on_their_way_keep_the_queue_open,
        #[cfg(feature = "object")]
        a_called_process_has_the_sender_of_its_argument,
        #[cfg(feature = "object")]
        a_sender_that_is_passed_on_and_on_never_seems_gone,
        #[cfg(feature = "object")]
        a_worker_of_a_pool_keeps_nothing_open_but_its_task,
    ];
    #[cfg(not(shmq_portable_sync))]
    let cases = [
        cases,
        crate::cases![
            senders_that_end_in_any_way_and_order_leave_an_end,
            killed_receivers_end_blocked_puts,
            a_killed_sender_ends_blocked_gets,
            #[cfg(feature = "object")]
            a_sender_on_its_way_goes_with_the_process_that_sent_it,
        ],
    ]
    .concat();
    cases
}

fn closing(capacity: usize) -> Queue<u64> {
    Queue::builder().capacity(capacity).close_when_unused(true).create().unwrap()
}

fn pair(capacity: usize) -> (Sender<u64>, Receiver<u64>) {
    let queue = closing(capacity);
    (queue.sender(), queue.receiver())
}

#[track_caller]
fn expect_end(receiver: &Receiver<u64>) {
    let got = receiver.get_timeout(PATIENCE);
    assert!(matches!(got, Err(GetError::Closed)), "{got:?}");
}

/// Scans that are made now, and those of calls that wait: the queue stays open.
#[track_caller]
fn expect_open(receiver: &Receiver<u64>) {
    let got = receiver.get_timeout(Duration::from_millis(250));
    assert!(matches!(got, Err(GetError::Timeout)), "{got:?}");
    assert!(!receiver.is_closed());
}

fn the_last_drop_closes_at_once() {
    let (sender, receiver) = pair(8);
    let second = sender.clone();
    sender.put_slice(&[1, 2]).unwrap();
    drop(sender);
    second.put(&3).unwrap();
    drop(second);
    assert!(receiver.is_closed());
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3]);
    assert!(matches!(receiver.try_get(), Err(GetError::Closed)));

    let (sender, receiver) = pair(8);
    let second = receiver.clone();
    drop(receiver);
    sender.put(&1).unwrap();
    drop(second);
    assert!(matches!(sender.try_put(&2), Err(PutError::Closed)));
}

fn handles_of_every_kind_keep_their_side_open() {
    let queue = closing(8);
    let receiver = queue.receiver();
    // A plain one was never a sender before it put something; but it is there.
    drop(queue.sender());
    assert!(!receiver.is_closed());
    let second = queue.clone();
    drop(queue);
    assert!(!receiver.is_closed());
    let producer = second.producer().unwrap();
    drop(second);
    assert!(!receiver.is_closed());
    producer.put(&1).unwrap();
    drop(producer);
    assert!(receiver.is_closed());

    let queue = closing(8);
    let (sender, consumer) = (queue.sender(), queue.consumer().unwrap());
    drop(queue);
    sender.put(&1).unwrap();
    drop(consumer);
    assert!(matches!(sender.put(&1), Err(PutError::Closed)));

    // An owned lease is no receiver.
    let (sender, receiver) = pair(8);
    sender.put(&1).unwrap();
    let lease = receiver.lease_owned().unwrap();
    drop(receiver);
    assert!(sender.is_closed());
    lease.release();
}

fn a_queue_that_did_not_ask_never_closes() {
    for queue in [Queue::<u64>::new(8).unwrap(), Queue::builder().capacity(8).close_when_unused(false).create().unwrap()] {
        let (sender, receiver) = (queue.sender(), queue.receiver());
        drop(queue);
        sender.put(&1).unwrap();
        let second = sender.clone();
        drop((sender, second));
        assert_eq!(receiver.get().unwrap(), 1);
        expect_open(&receiver);
    }
}

fn a_server_waits_for_its_first_client() {
    let name = unique_name("server");
    let open = || Queue::<u64>::builder().name(&name).capacity(8).close_when_unused(true).open_or_create().unwrap();
    let receiver = open().receiver();
    expect_open(&receiver);
    // A client that uses a plain handle has been a sender once it has put something.
    drop(open());
    expect_open(&receiver);
    open().put(&1).unwrap();
    assert_eq!(receiver.get().unwrap(), 1);
    expect_end(&receiver);
}

fn the_end_is_for_good() {
    let name = unique_name("good");
    let queue = Queue::<u64>::builder().name(&name).capacity(8).close_when_unused(true).create().unwrap();
    let receiver = queue.receiver();
    drop(queue);
    let open = || Queue::<u64>::open(&name).unwrap();
    drop(open().sender());
    expect_end(&receiver);
    assert!(matches!(open().sender().put(&1), Err(PutError::Closed)));
    let asked = Queue::<u64>::builder().name(&name).close_when_unused(false).open().unwrap();
    assert_eq!(asked.unapplied_options()[0].to_string(), "close_when_unused: asked for false, is true");
}

fn the_last_drop_wakes_all_that_wait() {
    let (sender, receiver) = pair(1);
    thread::scope(|scope| {
        let getters: Vec<_> = (0..2).map(|_| scope.spawn(|| receiver.get_timeout(PATIENCE))).collect();
        thread::sleep(Duration::from_millis(30));
        drop(sender);
        for getter in getters {
            assert!(matches!(getter.join().unwrap(), Err(GetError::Closed)));
        }
    });
    let (sender, receiver) = pair(1);
    sender.put(&1).unwrap();
    thread::scope(|scope| {
        let putters: Vec<_> = (0..2).map(|_| scope.spawn(|| sender.put_timeout(&2, PATIENCE))).collect();
        thread::sleep(Duration::from_millis(30));
        drop(receiver);
        for putter in putters {
            assert!(matches!(putter.join().unwrap(), Err(PutError::Closed)));
        }
    });
}

fn a_child_that_only_reads_does_not_wait_for_itself() {
    let (sender, receiver) = pair(8);
    // It has the sender in its memory, and never drops it.
    let child = fork("a reader", || {
        assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3]);
    });
    sender.put_slice(&[1, 2, 3]).unwrap();
    drop(sender);
    child.expect_success();
}

/// Forks a child that goes on when `go` is `n`, and adds 1 to `went` each time.
fn steps(go: &'static std::sync::atomic::AtomicU64, went: &'static std::sync::atomic::AtomicU64) -> impl Fn(u64) {
    move |n| {
        went.fetch_add(1, SeqCst);
        wait_for_count("go", go, n);
    }
}

fn an_inherited_sender_counts_from_its_first_use() {
    let (sender, receiver) = pair(8);
    let (go, went) = (shared_word(), shared_word());
    let owned = sender.clone();
    let child = fork("a sender", || {
        let step = steps(go, went);
        step(1);
        sender.put(&1).unwrap();
        step(2);
        drop(owned);
        sender.put(&2).unwrap();
    });
    wait_for_count("start", went, 1);
    // What the child holds of `owned` counts nothing, used or not: it was not used.
    go.store(1, SeqCst);
    wait_for_count("use", went, 2);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    drop(sender);
    expect_open(&receiver);
    go.store(2, SeqCst);
    child.expect_success();
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 2);
    expect_end(&receiver);

    // Without a use, and with the receiver in use there.
    let (sender, receiver) = pair(8);
    let (go, went) = (shared_word(), shared_word());
    let child = fork("no sender", || {
        let step = steps(go, went);
        assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
        step(1);
        assert!(matches!(sender.put(&1), Err(PutError::Closed)));
    });
    wait_for_count("start", went, 1);
    drop(sender);
    expect_end(&receiver);
    go.store(1, SeqCst);
    child.expect_success();
}

fn an_inherited_queue_counts_from_its_first_use() {
    let queue = closing(8);
    let receiver = queue.receiver();
    let (go, went) = (shared_word(), shared_word());
    let outer = queue.clone();
    let child = fork("a queue", || {
        let step = steps(go, went);
        // Uses of the receiver are none of the queue.
        assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
        let queue = queue;
        queue.put(&1).unwrap();
        step(1);
        queue.put(&2).unwrap();
        assert_eq!(queue.len(), 1);
        drop(queue);
        drop(outer);
        step(2);
    });
    wait_for_count("first use", went, 1);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    expect_open(&receiver);
    go.store(1, SeqCst);
    wait_for_count("drop", went, 2);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 2);
    // The child lives, and has dropped all plain handles that it inherited.
    expect_end(&receiver);
    go.store(2, SeqCst);
    child.expect_success();
}

fn a_named_handle_counts_when_spawn_returns() {
    for round in 0..20 {
        let queue = closing(8);
        let (sender, receiver) = (queue.sender(), queue.receiver());
        drop(queue);
        let child = Process::builder().keep(&sender).spawn(move || sender.put(&round)).unwrap();
        assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), [round]);
        assert!(child.join().unwrap().success());
    }
    // A receiver and a plain queue, too.
    let queue = closing(1);
    let (sender, receiver) = (queue.sender(), queue.receiver());
    let child = Process::builder().keep(&receiver).keep(&queue).spawn(move || {
        drop(queue);
        receiver.iter().map(|got| got.unwrap()).sum::<u64>() as i32
    });
    let child = child.unwrap();
    (1..=9).for_each(|n| sender.put_timeout(&n, PATIENCE).unwrap());
    drop(sender);
    assert_eq!(child.join().unwrap().code(), Some(45));
}

fn a_named_handle_counts_until_the_child_drops_it() {
    let (sender, receiver) = pair(8);
    let (go, went) = (shared_word(), shared_word());
    let child = Process::builder().keep(&sender).spawn(move || {
        let step = steps(go, went);
        step(1);
        drop(sender);
        step(2);
    });
    wait_for_count("start", went, 1);
    expect_open(&receiver);
    go.store(1, SeqCst);
    wait_for_count("drop", went, 2);
    assert!(receiver.is_closed());
    go.store(2, SeqCst);
    assert!(child.unwrap().join().unwrap().success());
}

fn a_producer_that_a_child_inherits_keeps_nothing_open() {
    let queue = closing(8);
    let (producer, receiver) = (queue.producer().unwrap(), queue.receiver());
    drop(queue);
    let (go, went) = (shared_word(), shared_word());
    let child = fork("a child", || {
        let step = steps(go, went);
        assert!(matches!(producer.put(&1), Err(PutError::Inherited)));
        assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
        step(1);
    });
    wait_for_count("start", went, 1);
    producer.put(&1).unwrap();
    drop(producer);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    expect_end(&receiver);
    go.store(1, SeqCst);
    child.expect_success();
}

fn a_sender_that_executes_a_program_is_gone() {
    let (sender, receiver) = pair(8);
    let mut child = fork("an exec", || {
        sender.put(&1).unwrap();
        use std::os::unix::process::CommandExt;
        panic!("{}", std::process::Command::new("sleep").arg("600").exec());
    });
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    drop(sender);
    expect_end(&receiver);
    assert!(!child.has_ended());
    child.kill();
}

#[cfg(not(shmq_portable_sync))]
fn senders_that_end_in_any_way_and_order_leave_an_end() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in ORDERS {
        let (sender, receiver) = pair(64);
        let went = shared_word();
        let words = [shared_word(), shared_word(), shared_word()];
        let start = |way: usize| {
            fork("a sender", || {
                let step = steps(words[way], went);
                let one_more = sender.clone();
                one_more.put(&(way as u64)).unwrap();
                step(1);
                match way {
                    // It lives on.
                    0 => drop(one_more),
                    // It ends, or is killed.
                    1 => return,
                    _ => {}
                }
                step(2);
            })
        };
        let mut children: Vec<Option<Child>> = (0..3).map(|way| Some(start(way))).collect();
        wait_for_count("senders", went, 3);
        drop(sender);
        let mut got: Vec<u64> = (0..3).map(|_| receiver.get_timeout(PATIENCE).unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        for way in order {
            assert!(!receiver.is_closed(), "{order:?}: before {way}");
            match way {
                0 => {
                    let before = went.load(SeqCst);
                    words[0].store(1, SeqCst);
                    wait_for_count("drop", went, before + 1);
                }
                1 => {
                    words[1].store(1, SeqCst);
                    children[1].take().unwrap().expect_success();
                }
                _ => children[2].take().unwrap().kill(),
            }
        }
        let asked = Instant::now();
        expect_end(&receiver);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        children[0].take().unwrap().kill();
    }
}

#[cfg(not(shmq_portable_sync))]
fn killed_receivers_end_blocked_puts() {
    let (sender, receiver) = pair(1);
    let went = shared_word();
    let readers: Vec<Child> = (0..2)
        .map(|_| {
            fork("a receiver", || {
                assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
                steps(shared_word(), went)(1);
            })
        })
        .collect();
    wait_for_count("receivers", went, 2);
    drop(receiver);
    sender.put(&1).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| (sender.put_timeout(&2, PATIENCE), Instant::now()));
        thread::sleep(Duration::from_millis(150));
        assert!(!putter.is_finished(), "it ended beside a receiver");
        readers.into_iter().for_each(Child::kill);
        let killed = Instant::now();
        let (put, ended) = putter.join().unwrap();
        assert!(matches!(put, Err(PutError::Closed)), "{put:?}");
        let late = ended.saturating_duration_since(killed);
        assert!(late < Duration::from_secs(2), "a slice is 0.1 s, and it took {late:?}");
    });
    assert!(matches!(sender.try_put(&2), Err(PutError::Closed)));
}

#[cfg(not(shmq_portable_sync))]
fn a_killed_sender_ends_blocked_gets() {
    let (sender, receiver) = pair(1);
    let went = shared_word();
    let child = fork("a sender", || {
        sender.put(&1).unwrap();
        steps(shared_word(), went)(1);
    });
    wait_for_count("a sender", went, 1);
    drop(sender);
    assert_eq!(receiver.get().unwrap(), 1);
    thread::scope(|scope| {
        let getter = scope.spawn(|| (receiver.get_timeout(PATIENCE), Instant::now()));
        thread::sleep(Duration::from_millis(150));
        assert!(!getter.is_finished(), "it ended beside a sender");
        child.kill();
        let killed = Instant::now();
        let (got, ended) = getter.join().unwrap();
        assert!(matches!(got, Err(GetError::Closed)), "{got:?}");
        let late = ended.saturating_duration_since(killed);
        assert!(late < Duration::from_secs(2), "a slice is 0.1 s, and it took {late:?}");
    });
    // One that polls learns it, too.
    let (sender, receiver) = pair(1);
    let child = fork("a sender", || {
        sender.put(&1).unwrap();
        thread::sleep(PATIENCE);
    });
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    drop(sender);
    child.kill();
    wait_until("the end", || matches!(receiver.try_get(), Err(GetError::Closed)), || format!("{receiver:?}"));
}

#[cfg(feature = "object")]
mod sent {
    use super::*;
    use shmq::{ObjectQueue, ObjectSender, Pool};

    pub fn a_sender_on_its_way_keeps_the_queue_open() {
        let (sender, receiver) = pair(8);
        let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
        letters.put(&sender).unwrap();
        drop(sender);
        expect_open(&receiver);
        let child = fork("the addressee", || {
            let sender = letters.get().unwrap();
            sender.put(&1).unwrap();
        });
        assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
        expect_end(&receiver);
        child.expect_success();

        // A plain one is both, and a receiver is one.
        let queue = closing(8);
        let (sender, receiver) = (queue.sender(), queue.receiver());
        let queues = ObjectQueue::<Queue<u64>>::new(4).unwrap();
        let receivers = ObjectQueue::<Receiver<u64>>::new(4).unwrap();
        queues.put(&queue).unwrap();
        receivers.put(&receiver).unwrap();
        drop((queue, receiver));
        sender.put(&1).unwrap();
        drop(queues.get().unwrap());
        sender.put(&1).unwrap();
        drop(receivers.get().unwrap());
        assert!(sender.is_closed());
    }

    pub fn a_sender_that_is_received_twice_ends_no_other_one_on_its_way() {
        let (sender, receiver) = pair(8);
        let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
        letters.put(&sender).unwrap();
        let first = letters.lease().unwrap();
        first.give_back();
        let first = letters.lease().unwrap();
        letters.put(&sender).unwrap();
        drop(sender);
        // The same message, decoded three times.
        first.give_back();
        drop(letters.get().unwrap());
        expect_open(&receiver);
        drop(letters.get().unwrap());
        assert!(receiver.is_closed());
    }

    pub fn more_senders_than_slots_on_their_way_keep_the_queue_open() {
        let (sender, receiver) = pair(8);
        let letters = ObjectQueue::<Sender<u64>>::new(100).unwrap();
        (0..100).for_each(|_| letters.put(&sender).unwrap());
        drop(sender);
        (0..100).for_each(|_| drop(letters.get().unwrap()));
        // This process keeps the role until it leaves the queue.
        expect_open(&receiver);
    }

    pub fn a_called_process_has_the_sender_of_its_argument() {
        fn count(sender: ObjectSender<String, shmq::MessagePack>) {
            (0..3).for_each(|n| sender.put(&n.to_string()).unwrap());
        }

        let queue = ObjectQueue::<String>::builder().capacity(2).close_when_unused(true).create().unwrap();
        let (sender, receiver) = (queue.sender(), queue.receiver());
        drop(queue);
        let child = Process::call(count, sender).unwrap();
        assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["0", "1", "2"]);
        assert!(child.join().unwrap().success());
    }

    /// Two processes pass the only sender to each other, each dropping its own at once, while a third
    /// one scans all the time.
    pub fn a_sender_that_is_passed_on_and_on_never_seems_gone() {
        const PASSES: u64 = 4_000;
        let (sender, receiver) = pair(8);
        let there = ObjectQueue::<(u64, Sender<u64>)>::new(1).unwrap();
        let back = ObjectQueue::<(u64, Sender<u64>)>::new(1).unwrap();
        let (ended, scans) = (shared_word(), shared_word());
        let play = |from: &ObjectQueue<(u64, Sender<u64>)>, to: &ObjectQueue<(u64, Sender<u64>)>| {
            // Attached, and not by a sender.
            assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
            while let Ok((n, sender)) = from.get_timeout(PATIENCE) {
                assert!(!sender.is_closed(), "at pass {n}");
                if n == PASSES {
                    return to.close();
                }
                to.put(&(n + 1, sender)).unwrap();
            }
        };
        let scanner = fork("a scanner", || {
            while ended.load(SeqCst) == 0 {
                // The only one that this process counts: its drop scans.
                drop(receiver.clone());
                scans.fetch_add(1, SeqCst);
            }
        });
        let players = [fork("a player", || play(&there, &back)), fork("the other player", || play(&back, &there))];
        there.put(&(0, sender)).unwrap();
        players.into_iter().for_each(Child::expect_success);
        ended.store(1, SeqCst);
        scanner.expect_success();
        assert!(scans.load(SeqCst) > PASSES / 4, "{scans:?} scans");
        expect_end(&receiver);
    }

    #[cfg(not(shmq_portable_sync))]
    pub fn a_sender_on_its_way_goes_with_the_process_that_sent_it() {
        let (sender, receiver) = pair(8);
        let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
        let child = fork("it sends its own", || {
            letters.put(&sender).unwrap();
            thread::sleep(PATIENCE);
        });
        wait_until("a letter", || letters.len() == 1, || format!("{letters:?}"));
        drop(sender);
        expect_open(&receiver);
        child.kill();
        expect_end(&receiver);
        assert!(matches!(letters.get().unwrap().put(&1), Err(PutError::Closed)));
    }

    /// The worker has the inherited sender in its memory, and that of its argument until the task
    /// ends.
    pub fn a_worker_of_a_pool_keeps_nothing_open_but_its_task() {
        fn double((numbers, sender): (Vec<u64>, Sender<u64>)) {
            numbers.iter().for_each(|n| sender.put(&(2 * n)).unwrap());
        }

        let (sender, receiver) = pair(64);
        let pool = Pool::new(2).unwrap();
        let tasks: Vec<_> = (0..3).map(|n| (vec![n, n + 1], sender.clone())).collect();
        let results: Vec<_> = tasks.into_iter().map(|task| pool.apply_async(double, task).unwrap()).collect();
        drop(sender);
        let mut all = receiver.iter().collect::<Result<Vec<_>, _>>().unwrap();
        all.sort_unstable();
        assert_eq!(all, [0, 2, 2, 4, 4, 6]);
        results.into_iter().for_each(|result| result.get().unwrap());
        drop(pool);
    }
}
#[cfg(feature = "object")]
use sent::*;
