//! The end of the stream when one side is gone: senders and receivers of a queue that closes when
//! unused.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, unique_name};
use shmq::{GetError, Process, PutError, Queue, Receiver, Sender, SpawnError, Stop};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_last_drop_closes_at_once,
        handles_of_every_kind_keep_their_side_open,
        a_queue_that_did_not_ask_never_closes,
        a_server_waits_for_its_first_client,
        the_end_is_for_good,
        the_last_drop_wakes_all_that_wait,
        a_child_that_ends_closes_at_once,
        a_child_that_only_reads_does_not_wait_for_itself,
        an_inherited_sender_counts_from_its_first_use,
        an_inherited_queue_counts_from_its_first_use,
        an_inherited_queue_counts_though_its_child_is_attached_already,
        a_named_handle_counts_when_spawn_returns,
        a_named_handle_that_is_dropped_before_keeps_nothing_open,
        a_named_handle_counts_until_the_child_drops_it,
        a_named_handle_that_cannot_be_counted_is_an_error,
        a_producer_that_a_child_inherits_keeps_nothing_open,
        a_sender_that_executes_a_program_is_gone,
        handles_with_a_stop_count,
        #[cfg(feature = "async")]
        tasks_see_the_end,
    ]
}

pub fn closing(capacity: usize) -> Queue<u64> {
    Queue::builder().capacity(capacity).close_when_unused(true).create().unwrap()
}

pub fn pair(capacity: usize) -> (Sender<u64>, Receiver<u64>) {
    let queue = closing(capacity);
    (queue.sender(), queue.receiver())
}

#[track_caller]
pub fn expect_end(receiver: &Receiver<u64>) {
    let got = receiver.get_timeout(PATIENCE);
    assert!(matches!(got, Err(GetError::Closed)), "{got:?}");
}

/// Scans that are made now, and those of calls that wait: the queue stays open.
#[track_caller]
pub fn expect_open(receiver: &Receiver<u64>) {
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

fn a_child_that_ends_closes_at_once() {
    let (sender, receiver) = pair(8);
    // It borrows: nothing is dropped in the child, which leaves in good order.
    let child = Process::builder().keep(&sender).spawn(|| sender.put(&1)).unwrap();
    let inherited = Process::spawn(|| receiver.get_timeout(PATIENCE).map(|n| n as i32).unwrap_or(-1)).unwrap();
    assert_eq!(inherited.join().unwrap().code(), Some(1));
    drop(sender);
    assert!(child.join().unwrap().success());
    assert!(receiver.is_closed(), "no slice has passed");
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
pub fn steps(go: &'static std::sync::atomic::AtomicU64, went: &'static std::sync::atomic::AtomicU64) -> impl Fn(u64) {
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

/// By a handle of one role; then the plain one finds a message, or room, at once.
fn an_inherited_queue_counts_though_its_child_is_attached_already() {
    for gets in [true, false] {
        let queue = closing(8);
        let (sender, receiver) = (queue.sender(), queue.receiver());
        queue.put(&0).unwrap();
        assert_eq!(queue.get().unwrap(), 0);
        let (go, went) = (shared_word(), shared_word());
        let child = fork("a queue", || {
            let step = steps(go, went);
            if gets {
                sender.put(&1).unwrap();
                sender.put(&2).unwrap();
                assert_eq!(queue.get().unwrap(), 1);
            } else {
                assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
                queue.loan().unwrap().commit().unwrap();
            }
            step(1);
            assert!(!queue.is_closed());
            queue.put(&3).unwrap();
        });
        wait_for_count("use", went, 1);
        // Nothing of this process is left: what the child uses keeps both sides open.
        drop((queue, sender, receiver));
        go.store(1, SeqCst);
        child.expect_success();
    }
}

fn a_named_handle_that_is_dropped_before_keeps_nothing_open() {
    let (sender, receiver) = pair(8);
    sender.put(&1).unwrap();
    let builder = Process::builder().keep(&sender);
    drop(sender);
    let (go, went) = (shared_word(), shared_word());
    let child = builder.spawn(move || {
        let step = steps(go, went);
        step(1);
    });
    wait_for_count("start", went, 1);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    expect_end(&receiver);
    go.store(1, SeqCst);
    assert!(child.unwrap().join().unwrap().success());
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

fn a_named_handle_that_cannot_be_counted_is_an_error() {
    let queue = Queue::<u64>::builder().capacity(8).max_participants(1).close_when_unused(true).create().unwrap();
    let refused = Process::builder().keep(&queue.sender()).spawn(|| panic!("it runs"));
    assert!(matches!(&refused, Err(SpawnError::Os { source, .. }) if source.to_string().contains("attach")), "{refused:?}");
    // One that has been dropped meanwhile is nothing to count.
    assert!(Process::builder().keep(&Queue::<u64>::new(1).unwrap()).spawn(|| ()).unwrap().join().unwrap().success());
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

fn handles_with_a_stop_count() {
    let stop = Stop::new();
    let queue = closing(8);
    let receiver = queue.receiver();
    drop(queue.sender());
    let stoppable = queue.with_stop(&stop);
    drop(queue);
    assert!(!receiver.is_closed());
    let sender = stoppable.sender();
    drop(stoppable);
    assert!(!receiver.is_closed());
    let second = sender.with_stop(&stop);
    drop(sender);
    assert!(!receiver.is_closed());
    // In a child, from its first use: of the one that it inherited, and of what it makes of it.
    let (go, went) = (shared_word(), shared_word());
    let child = fork("a sender", || {
        let step = steps(go, went);
        assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
        let third = second.with_stop(&Stop::new());
        step(1);
        third.put(&1).unwrap();
        step(2);
    });
    wait_for_count("start", went, 1);
    go.store(1, SeqCst);
    wait_for_count("use", went, 2);
    drop(second);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    expect_open(&receiver);
    go.store(2, SeqCst);
    child.expect_success();
    expect_end(&receiver);
}

#[cfg(feature = "async")]
fn tasks_see_the_end() {
    let (sender, receiver) = pair(1);
    let getter = thread::spawn(move || futures::executor::block_on(receiver.get_async()));
    thread::sleep(Duration::from_millis(30));
    drop(sender);
    assert!(matches!(getter.join().unwrap(), Err(GetError::Closed)));

    let (sender, receiver) = pair(1);
    sender.put(&1).unwrap();
    let putter = thread::spawn(move || futures::executor::block_on(sender.put_async(&2)));
    thread::sleep(Duration::from_millis(30));
    drop(receiver);
    assert!(matches!(putter.join().unwrap(), Err(PutError::Closed)));

    // The last sender is killed: the reactor finds that out.
    #[cfg(not(shmq_portable_sync))]
    {
        let (sender, receiver) = pair(1);
        let child = fork("a sender", || {
            sender.put(&1).unwrap();
            thread::sleep(PATIENCE);
        });
        assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
        drop(sender);
        let getter = thread::spawn(move || futures::executor::block_on(receiver.get_async()));
        thread::sleep(Duration::from_millis(150));
        assert!(!getter.is_finished());
        child.kill();
        assert!(matches!(getter.join().unwrap(), Err(GetError::Closed)));
    }
}
