//! What a process leaves behind that did not leave in good order, and which process removes it.

use crate::support::harness::Case;
use crate::support::process::{Child, exit_now, fork, fork_orphan, send_signal, shared_word, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng, segment_exists, unique_name};
use shmq::{CreateError, GetError, OpenError, Queue};
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        nothing_is_left_of_a_normal_exit,
        an_exit_without_drop_is_cleared_away_by_the_next_create,
        a_killed_user_is_cleared_away_by_the_next_create,
        a_dead_anonymous_queue_is_cleared_away_by_new,
        a_process_removes_stale_files_once_in_ten_seconds,
        a_dead_queue_can_be_opened_with_its_messages,
        a_dead_persisted_queue_is_not_replaced,
        creators_killed_at_random_block_no_other_process.leaves_temporaries(),
        a_child_that_never_calls_does_not_keep_its_dead_parent_alive,
        a_child_does_not_keep_a_dead_opener_alive,
        an_exec_gives_up_what_was_held,
        a_spawned_program_does_not_keep_its_dead_parent_alive,
        a_daemon_is_a_participant_of_its_own,
        entries_of_the_dead_are_used_again,
        a_forgotten_lease_comes_back_however_often_its_entry_is_used_again,
    ]
}

/// Reports that it has come this far, and waits to be killed.
fn wait_to_be_killed(ready: &AtomicU64) -> ! {
    ready.store(1, Release);
    loop {
        std::thread::sleep(PATIENCE);
    }
}

fn nothing_is_left_of_a_normal_exit() {
    let name = unique_name("normal");
    let child = fork("a normal program", || {
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        queue.put(&1).unwrap();
        fork("its child", || assert_eq!(queue.get().unwrap(), 1)).expect_success();
    });
    child.expect_success();
    assert!(!segment_exists(&name));
}

fn an_exit_without_drop_is_cleared_away_by_the_next_create() {
    let name = unique_name("exit");
    let child = fork("a program that exits in the middle", || {
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        queue.put(&1).unwrap();
        std::process::exit(0);
    });
    child.expect_success();
    let queue: Queue<u64> = Queue::create(&name, 5).unwrap();
    assert_eq!((queue.len(), queue.capacity()), (0, 5));
}

fn a_killed_user_is_cleared_away_by_the_next_create() {
    let name = unique_name("killed");
    for round in 0..5 {
        let ready = shared_word();
        let child = fork("a user to be killed", || {
            let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
            queue.put(&1).unwrap();
            let _loan = queue.loan().unwrap();
            let _producer = queue.producer().unwrap();
            wait_to_be_killed(ready)
        });
        wait_for_count("the user to be ready", ready, 1);
        assert!(matches!(Queue::<u64>::create(&name, 5), Err(CreateError::AlreadyExists { in_use: true, .. })));
        child.kill();
        assert!(segment_exists(&name), "no process could remove it yet");
        let queue: Queue<u64> = Queue::create(&name, 5).unwrap();
        assert_eq!((queue.len(), queue.capacity()), (0, 5), "round {round}");
        queue.put(&1).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
        drop(queue);
        assert!(!segment_exists(&name));
    }
}

fn a_dead_anonymous_queue_is_cleared_away_by_new() {
    let (ready, known) = (shared_word(), shared_words(4));
    let child = fork("a user of an anonymous queue", || {
        let queue: Queue<u64> = Queue::new(3).unwrap();
        known.iter().zip(queue.name().as_bytes().chunks(8)).for_each(|(word, part)| {
            let mut bytes = [0; 8];
            bytes[..part.len()].copy_from_slice(part);
            word.store(u64::from_ne_bytes(bytes), Relaxed);
        });
        wait_to_be_killed(ready)
    });
    wait_for_count("the user to be ready", ready, 1);
    let name: Vec<u8> = known.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).filter(|&byte| byte != 0).collect();
    let name = String::from_utf8(name).unwrap();
    // Each is a process of its own, which removes stale files at its first create: this process has
    // not created any yet.
    let new_one = || fork("one that makes a queue", || drop(Queue::<u64>::new(1).unwrap())).expect_success();
    new_one();
    assert!(segment_exists(&name), "a process uses it");
    child.kill();
    // A process that creates a named segment does not remove them.
    fork("one that makes a named queue", || drop(Queue::<u64>::create(unique_name("named"), 1).unwrap())).expect_success();
    assert!(segment_exists(&name), "it hinders no process");
    new_one();
    assert!(!segment_exists(&name));
}

/// A segment without users, as a killed user leaves it: (name, bytes).
fn leave_anonymous(bytes: usize) -> String {
    let name = format!("anon-{:016x}", u64::from(std::process::id()) << 16 | bytes as u64 & 0xffff);
    fork("a user of an anonymous queue that ends without a word", || {
        let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(bytes).create().unwrap();
        std::mem::forget(queue);
        exit_now(0);
    })
    .expect_success();
    name
}

fn a_process_removes_stale_files_once_in_ten_seconds() {
    let began = std::time::Instant::now();
    drop(Queue::<u64>::new(1).unwrap());
    let name = leave_anonymous(4096);
    let mut made = 0;
    while segment_exists(&name) {
        drop(Queue::<u64>::new(1).unwrap());
        made += 1;
        assert!(began.elapsed() < PATIENCE, "never removed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= Duration::from_secs(10), "removed after {:?}", began.elapsed());
    assert!(made > 1);
    // A forked child continues the scan times of its parent.
    let name = leave_anonymous(8192);
    fork("a child of one that has removed stale files", || drop(Queue::<u64>::new(1).unwrap())).expect_success();
    let removed = !segment_exists(&name);
    assert!(!removed || began.elapsed() >= Duration::from_secs(20));
    if !removed {
        Queue::<u8>::unlink(&name).unwrap();
    }
}

fn a_dead_queue_can_be_opened_with_its_messages() {
    for either in [false, true] {
        let name = unique_name("dead");
        let ready = shared_word();
        let child = fork("the only user", || {
            let queue: Queue<u64> = Queue::create(&name, 8).unwrap();
            assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
            assert_eq!(queue.get().unwrap(), 1);
            let _lease = queue.lease().unwrap();
            let _loan = queue.loan().unwrap();
            queue.put(&5).unwrap();
            let _consumer = queue.consumer().unwrap();
            wait_to_be_killed(ready)
        });
        wait_for_count("the user to be ready", ready, 1);
        child.kill();
        let queue: Queue<u64> = if either { Queue::open_or_create(&name, 99).unwrap() } else { Queue::open(&name).unwrap() };
        let lease = queue.lease_timeout(PATIENCE).unwrap();
        assert_eq!((*lease, lease.deliveries(), queue.capacity()), (2, 2, 8));
        lease.release();
        for expected in [3, 4, 5] {
            assert_eq!(queue.get_timeout(PATIENCE).unwrap(), expected);
        }
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 8);
        drop(queue);
        assert!(!segment_exists(&name));
    }
}

fn a_dead_persisted_queue_is_not_replaced() {
    let name = unique_name("kept");
    let ready = shared_word();
    let child = fork("a user to be killed", || {
        let queue = Queue::<u64>::builder().name(&name).capacity(3).persist(true).create().unwrap();
        queue.put(&7).unwrap();
        wait_to_be_killed(ready)
    });
    wait_for_count("the user to be ready", ready, 1);
    child.kill();
    assert!(matches!(Queue::<u64>::create(&name, 5), Err(CreateError::AlreadyExists { in_use: false, .. })));
    drop(Queue::<u64>::new(1).unwrap());
    assert_eq!(Queue::<u64>::open(&name).unwrap().get().unwrap(), 7);
    Queue::<u64>::unlink(&name).unwrap();
    assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::NotFound { .. })));
}

fn creators_killed_at_random_block_no_other_process() {
    let mut rng = Rng::new("killed creators");
    let name = unique_name("made");
    for _ in 0..60 {
        let creators: Vec<Child> = (0..3)
            .map(|_| {
                fork("a creator", || {
                    loop {
                        match Queue::<u64>::open_or_create(&name, 3) {
                            Ok(queue) => drop(queue.try_put(&1)),
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(rng.duration_below(Duration::from_millis(4)));
        creators.into_iter().for_each(Child::kill);
        let queue: Queue<u64> = match rng.below(2) {
            0 => Queue::create(&name, 3).unwrap(),
            _ => Queue::open_or_create(&name, 3).unwrap(),
        };
        while queue.try_get().is_ok() {}
        assert_eq!(queue.try_put_slice(&[1; 9]).unwrap(), 3);
        drop(queue);
        assert!(!segment_exists(&name));
    }
}

fn a_child_that_never_calls_does_not_keep_its_dead_parent_alive() {
    a_child_keeps_no_parent_alive(Queue::clone);
}

/// The copy that a child inherits of a mapping that its parent opened by name holds no lock.
fn a_child_does_not_keep_a_dead_opener_alive() {
    a_child_keeps_no_parent_alive(|queue| Queue::open(queue.name()).unwrap());
}

fn a_child_keeps_no_parent_alive(handle: impl Fn(&Queue<u64>) -> Queue<u64>) {
    let queue: Queue<u64> = Queue::create(unique_name("parents"), 3).unwrap();
    queue.put(&1).unwrap();
    let (ready, bystander_pid) = (shared_word(), shared_word());
    let holder = fork("a holder with a child", || {
        let queue = handle(&queue);
        let _lease = queue.lease().unwrap();
        let bystander = fork_orphan("a bystander", || -> i32 { wait_to_be_killed(ready) });
        bystander_pid.store(u64::from(bystander.pid()), Release);
        std::mem::forget(bystander);
        loop {
            std::thread::sleep(PATIENCE);
        }
    });
    wait_for_count("the bystander to run", ready, 1);
    wait_for_count("the bystander's number", bystander_pid, 1);
    holder.kill();
    let bystander = Child::adopted("the bystander", bystander_pid.load(Relaxed) as u32);
    let lease = queue.lease_timeout(BY_ITSELF).expect("the holder is dead, whatever it has forked");
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    bystander.kill();
}

fn an_exec_gives_up_what_was_held() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let ready = shared_word();
    let mut holder = fork("a holder that becomes another program", || {
        use std::os::unix::process::CommandExt;
        let _lease = queue.lease().unwrap();
        let _producer = queue.producer().unwrap();
        ready.store(1, Release);
        let error = Command::new("sleep").arg("1000").exec();
        panic!("exec of sleep: {error}");
    });
    wait_for_count("the lease", ready, 1);
    let lease = queue.lease_timeout(PATIENCE).unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    queue.put_timeout(&2, PATIENCE).unwrap();
    assert!(!holder.has_ended());
    send_signal(holder.pid() as i32, libc::SIGKILL);
    holder.wait();
}

#[expect(clippy::zombie_processes, reason = "its parent is killed, and this test adopts it")]
fn a_spawned_program_does_not_keep_its_dead_parent_alive() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let spawned_pid = shared_word();
    let holder = fork("a holder that spawns a program", || {
        let _lease = queue.lease().unwrap();
        // std uses posix_spawn here, since nothing requires a fork.
        let spawned = Command::new("sleep").arg("1000").spawn().unwrap();
        spawned_pid.store(u64::from(spawned.id()), Release);
        loop {
            std::thread::sleep(PATIENCE);
        }
    });
    wait_for_count("the program's number", spawned_pid, 1);
    holder.kill();
    let spawned = Child::adopted("the spawned program", spawned_pid.load(Relaxed) as u32);
    let lease = queue.lease_timeout(BY_ITSELF).expect("the holder is dead, whatever it has spawned");
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    spawned.kill();
}

fn a_daemon_is_a_participant_of_its_own() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let (ready, daemon_pid) = (shared_word(), shared_word());
    let starter = fork("one who becomes a daemon", || {
        let lease = queue.lease().unwrap();
        let daemon = fork_orphan("the daemon", || -> i32 {
            // SAFETY: setsid has no preconditions.
            assert_ne!(unsafe { libc::setsid() }, -1);
            queue.put(&2).unwrap();
            wait_to_be_killed(ready)
        });
        daemon_pid.store(u64::from(daemon.pid()), Release);
        std::mem::forget((daemon, lease));
    });
    wait_for_count("the daemon to put", ready, 1);
    wait_for_count("the daemon's number", daemon_pid, 1);
    starter.expect_success();
    let daemon = Child::adopted("the daemon", daemon_pid.load(Relaxed) as u32);
    // The lease of the starter comes back, and the daemon's message is there. Newer messages go
    // first until a process has scanned for the dead. The daemon may have attached in the entry of
    // its starter, and scanned at that time.
    assert!(matches!(queue.recover().dead_participants, 0 | 1));
    let lease = queue.lease_timeout(BY_ITSELF).expect("the starter has ended, whatever goes on");
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2);
    daemon.kill();
    assert_eq!(queue.recover().dead_participants, 1);
}

fn entries_of_the_dead_are_used_again() {
    let queue = Queue::<u64>::builder().capacity(3).max_participants(2).create().unwrap();
    for round in 0..200 {
        queue.put_timeout(&round, PATIENCE).unwrap();
        let ready = shared_word();
        let child = fork("one to be killed", || {
            let lease = queue.lease_timeout(PATIENCE).unwrap();
            assert_eq!((*lease, lease.deliveries()), (round, 1));
            wait_to_be_killed(ready)
        });
        wait_for_count("the lease", ready, 1);
        if round == 0 {
            assert!(matches!(Queue::<u64>::open(queue.name()), Err(OpenError::TooManyParticipants { max: 2, .. })));
        }
        child.kill();
        if round % 10 != 1 {
            // The process that takes the entry repairs what its predecessor left.
            let next: Queue<u64> = Queue::open(queue.name()).unwrap();
            assert_eq!(next.try_get().unwrap(), round);
        } else {
            // Or a process that waits, after a slice of sleep. Not in every round, to keep the test
            // short.
            assert_eq!(queue.get_timeout(PATIENCE).unwrap(), round);
        }
    }
}

fn a_forgotten_lease_comes_back_however_often_its_entry_is_used_again() {
    // A record distinguishes that many successive holders of an entry.
    const GENERATIONS: u32 = 1 << 11;
    let queue = Queue::<u64>::builder().name(unique_name("forgotten")).capacity(2).create().unwrap();
    queue.put(&7).unwrap();
    let forgetful: Queue<u64> = Queue::open(queue.name()).unwrap();
    std::mem::forget(forgetful.try_lease().unwrap());
    // In good order, as far as any process can see.
    drop(forgetful);
    let mut last = None;
    for _ in 0..GENERATIONS {
        drop(last.take());
        last = Some(Queue::<u64>::open(queue.name()).unwrap());
    }
    queue.recover();
    assert_eq!(queue.try_get().unwrap(), 7, "{queue:?}");
}
