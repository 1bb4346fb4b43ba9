//! Spawning is refused while a guard gives plain references into shared memory: a child would keep
//! them.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{fork, own_children, shared_word, shared_words, wait_for_count};
use crate::support::unique_name;
use shmq::process::init;
use shmq::sync::{Array, Condvar, Event, LockError, Mutex, Semaphore, Value};
use shmq::{ObjectQueue, Pool, PoolError, Process, Queue, SpawnError};
use std::mem;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        a_loan_is_in_the_way_until_it_ends,
        a_lease_is_in_the_way_until_it_ends,
        a_lock_is_in_the_way_until_it_is_unlocked,
        a_guard_is_found_among_others_records,
        a_forgotten_guard_and_one_of_another_thread_count,
        every_way_to_fork_is_refused_and_the_others_are_not,
        what_gives_no_references_does_not_prevent_a_fork,
        what_a_child_inherited_is_not_in_its_way,
        a_task_of_a_pool_may_spawn,
    ]
}

/// Expects that spawning is refused because of `guard` of `name`.
fn expect_refusal(guard: &str, name: &str) {
    let refused = Process::spawn(|| ());
    let Err(SpawnError::GuardHeld { guard: held, name: of }) = &refused else { panic!("{guard} of {name}: {refused:?}") };
    assert_eq!((*held, of.as_str()), (guard, name));
    let said = refused.unwrap_err().to_string();
    assert!(said.contains(guard) && said.contains(name), "{said}");
}

fn expect_spawn() {
    assert!(Process::spawn(|| ()).expect("nothing is open").join().unwrap().success());
}

fn a_loan_is_in_the_way_until_it_ends() {
    let sized = Queue::<u64>::create(unique_name("sized"), 3).unwrap();
    let mut loan = sized.loan().unwrap();
    expect_refusal("a loan", sized.name());
    *loan = 1;
    loan.commit().unwrap();
    expect_spawn();
    drop(sized.loan().unwrap());
    expect_spawn();
    let slices = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let loan = slices.loan_len(100).unwrap();
    expect_refusal("a loan", slices.name());
    loan.commit_len(3).unwrap();
    expect_spawn();
    let producer = sized.producer().unwrap();
    expect_spawn();
    let loan = producer.loan().unwrap();
    expect_refusal("a loan", sized.name());
    loan.commit().unwrap();
    expect_spawn();
}

fn a_lease_is_in_the_way_until_it_ends() {
    let sized = Queue::<u64>::new(8).unwrap();
    sized.put_slice(&[1, 2, 3, 4, 5]).unwrap();
    let (first, second) = (sized.lease().unwrap(), sized.lease().unwrap());
    expect_refusal("a lease", sized.name());
    first.release();
    expect_refusal("a lease", sized.name());
    second.give_back();
    expect_spawn();
    let again = sized.lease().unwrap();
    assert_eq!(again.deliveries(), 2);
    expect_refusal("a lease", sized.name());
    drop(again);
    expect_spawn();
    sized.put(&6).unwrap();
    let view = sized.lease().unwrap().into_view().unwrap();
    let clone = view.clone();
    drop(view);
    expect_refusal("a view", sized.name());
    drop(clone);
    expect_spawn();
    let consumer = sized.consumer().unwrap();
    let lease = consumer.lease().unwrap();
    expect_refusal("a lease", sized.name());
    drop(lease);
    expect_spawn();
    drop(consumer);
    let (name, owned) = (sized.name().to_owned(), sized.lease_owned().unwrap());
    drop(sized);
    expect_refusal("a lease", &name);
    drop(owned);
    expect_spawn();
    let slices = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    slices.put(b"text").unwrap();
    let lease = slices.lease().unwrap();
    expect_refusal("a lease", slices.name());
    drop(lease);
    let objects = ObjectQueue::<String>::new(4).unwrap();
    objects.put(&"text".to_owned()).unwrap();
    let lease = objects.lease().unwrap();
    expect_refusal("a lease", objects.name());
    assert_eq!(lease.take(), "text");
    expect_spawn();
}

fn a_lock_is_in_the_way_until_it_is_unlocked() {
    let mutex = Mutex::create(unique_name("mutex"), 1u64).unwrap();
    let guard = mutex.lock().unwrap();
    expect_refusal("a lock", mutex.name());
    drop(guard);
    expect_spawn();
    let array = Array::<u64>::new([1, 2]).unwrap();
    let guard = array.try_lock().unwrap();
    expect_refusal("a lock", array.name());
    let condvar = Condvar::new().unwrap();
    let (guard, _) = condvar.wait_timeout(guard, Duration::from_millis(1)).unwrap();
    expect_refusal("a lock", array.name());
    drop(guard);
    expect_spawn();
    let seen = condvar.wait_while(mutex.lock().unwrap(), |_| {
        expect_refusal("a lock", mutex.name());
        false
    });
    drop(seen.unwrap());
    expect_spawn();
    if cfg!(not(shmq_portable_sync)) {
        // Taken over from a dead holder: a guard like any other.
        fork("holder", || mem::forget(mutex.lock().unwrap())).expect_success();
        let Err(LockError::OwnerDied(mut guard)) = mutex.lock() else { panic!("its holder died") };
        expect_refusal("a lock", mutex.name());
        guard.mark_repaired();
        drop(guard);
        expect_spawn();
    }
}

/// The ring is full of records that others put, lent and leased, before and behind the guard's.
fn a_guard_is_found_among_others_records() {
    let words = shared_words(2);
    let queue = Queue::<u64>::new(1000).unwrap();
    queue.put_slice(&(0..990).collect::<Vec<_>>()).unwrap();
    let other = fork("another", || {
        let before = queue.lease().unwrap();
        words[0].store(1, SeqCst);
        wait_for_count("our lease", &words[0], 2);
        let behind: Vec<_> = (0..5).map(|_| queue.lease().unwrap()).collect();
        let loan = queue.loan().unwrap();
        words[0].store(3, SeqCst);
        wait_for_count("the end", &words[0], 4);
        drop((before, behind, loan));
    });
    wait_for_count("the first lease", &words[0], 1);
    for _ in 0..500 {
        queue.get().unwrap();
    }
    expect_spawn();
    let lease = queue.lease().unwrap();
    words[0].store(2, SeqCst);
    wait_for_count("their leases", &words[0], 3);
    expect_refusal("a lease", queue.name());
    drop(lease);
    expect_spawn();
    words[0].store(4, SeqCst);
    other.expect_success();
}

fn a_forgotten_guard_and_one_of_another_thread_count() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    let lease = thread::scope(|scope| scope.spawn(|| queue.lease().unwrap()).join().unwrap());
    expect_refusal("a lease", queue.name());
    drop(lease);
    expect_spawn();
    thread::scope(|scope| scope.spawn(|| mem::forget(queue.lease().unwrap())).join().unwrap());
    expect_refusal("a lease", queue.name());
    drop(queue); // and so nothing can refer to it
    expect_spawn();
    let mutex = Mutex::new(1u64).unwrap();
    thread::scope(|scope| scope.spawn(|| mem::forget(mutex.lock().unwrap())).join().unwrap());
    expect_refusal("a lock", mutex.name());
}

fn every_way_to_fork_is_refused_and_the_others_are_not() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(&1).unwrap();
    let lease = queue.lease().unwrap();
    let is_refused = |result: Result<Process, SpawnError>| matches!(result, Err(SpawnError::GuardHeld { .. }));
    assert!(is_refused(Process::spawn(|| ())));
    assert!(is_refused(Process::spawn_daemon(|| ())));
    assert!(is_refused(Process::call(|()| (), ())));
    assert!(is_refused(Process::call_daemon(|()| (), ())));
    assert!(matches!(init(), Err(SpawnError::GuardHeld { .. })));
    assert!(matches!(Pool::new(1), Err(PoolError::Spawn(SpawnError::GuardHeld { .. }))));
    let fresh = Process::command(&mut std::process::Command::new("true")).unwrap();
    assert!(fresh.join().unwrap().success());
    // SAFETY: there are no other threads, and the child does not use the lease.
    let child = unsafe { Process::spawn_unchecked(|| 3) }.unwrap();
    assert_eq!(child.join().unwrap().code(), Some(3));
    drop(lease);
    // The fork server's children are not copies of this process as it is now.
    init().unwrap();
    queue.put(&2).unwrap();
    let lease = queue.lease().unwrap();
    assert!(Process::call(|()| (), ()).unwrap().join().unwrap().success());
    assert_eq!(Pool::new(1).unwrap().apply(|n: u64| n, 1), Ok(1));
    assert_eq!(*lease, 2);
    let [standby] = own_children()[..] else { panic!("only the fork server's standby") };
    crate::support::process::end_fork_server(standby);
    crate::support::wait_until("its end", || own_children().is_empty(), String::new);
}

fn what_gives_no_references_does_not_prevent_a_fork() {
    let queue = Queue::<[u8; 10_000]>::new(4).unwrap();
    queue.put(&[7; 10_000]).unwrap();
    assert_eq!(queue.get().unwrap()[0], 7);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let semaphore = Semaphore::new(1).unwrap();
    let permit = semaphore.permit().unwrap();
    let event = Event::new().unwrap();
    event.set();
    expect_spawn();
    let value = Value::new(1u64).unwrap();
    let word = shared_word();
    let changed = value.update(|n| {
        let child = Process::spawn(|| word.store(1, SeqCst)).unwrap();
        assert!(child.join().unwrap().success());
        *n = 2;
    });
    assert_eq!((changed.unwrap(), word.load(SeqCst)), (2, 1));
    drop((producer, consumer, permit));
}

fn what_a_child_inherited_is_not_in_its_way() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    let mutex = Mutex::new(1u64).unwrap();
    let (lease, guard) = (queue.lease().unwrap(), mutex.lock().unwrap());
    let child = fork("child", || {
        expect_spawn();
        let own = queue.lease().unwrap();
        expect_refusal("a lease", queue.name());
        drop(own);
        expect_spawn();
    });
    child.expect_success();
    expect_refusal("a lease", queue.name());
    drop((lease, guard));
    expect_spawn();
}

fn a_task_of_a_pool_may_spawn() {
    let pool = Pool::new(1).unwrap();
    let spawn = |(n, text): (i32, String)| -> Option<i32> {
        let child = Process::spawn(|| text.len() as i32 + n).unwrap();
        child.join().unwrap().code()
    };
    assert_eq!(pool.apply(spawn, (3, "four".to_owned())), Ok(Some(7)));
    let refused = |()| -> bool {
        let mutex = Mutex::new(1u64).unwrap();
        let _guard = mutex.lock().unwrap();
        matches!(Process::spawn(|| ()), Err(SpawnError::GuardHeld { guard: "a lock", .. }))
    };
    assert_eq!(pool.apply(refused, ()), Ok(true));
}
