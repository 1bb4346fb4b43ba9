//! Names that the last user gives up while a forked child has copies of its descriptors: the child
//! executes a program, is killed, or uses the queue.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, fork_with_code, shared_word, wait_for_count};
use crate::support::sandbox::forbid;
use crate::support::{PATIENCE, segment_exists, unique_name, wait_until};
use shmq::Queue;
use std::cell::RefCell;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_drop_waits_a_moment_for_a_command_that_is_being_started,
        a_name_kept_until_an_exec_goes_with_the_next_call,
        a_name_kept_by_a_child_in_its_birth_goes_with_the_next_call,
        a_name_dropped_during_a_long_fork_goes_with_the_next_call,
        a_name_kept_by_a_killed_child_goes_with_the_next_call,
        a_name_kept_by_a_killed_child_goes_at_exit,
        a_name_that_a_child_will_use_stays,
        messages_of_a_child_that_died_attached_stay,
        a_segment_that_took_the_name_meanwhile_stays,
        a_segment_that_was_persisted_meanwhile_stays,
        names_of_all_queues_that_a_process_can_have_go,
        a_retry_without_descriptors_is_repeated,
        no_name_is_left_by_threads_that_drop_while_others_start_commands,
        commands_started_without_a_fork_keep_no_name,
        what_a_program_left_to_a_child_stays_once_it_executes_another,
        a_worker_that_may_open_nothing_drops_what_it_inherited,
    ]
}

/// Starts a program by a fork (not `posix_spawn`), and calls `before_exec` in the child.
fn run_true(before_exec: impl Fn() + Send + Sync + 'static) {
    let mut command = Command::new("true");
    // SAFETY: what the cases do there are loads, stores and sleeps.
    unsafe {
        command.pre_exec(move || {
            before_exec();
            Ok(())
        })
    };
    assert!(command.status().unwrap().success());
}

/// Bounded, should the case fail meanwhile.
fn wait_in_child(go: &AtomicU64) {
    for _ in 0..10_000 {
        if go.load(Relaxed) != 0 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Makes calls of this process until the name is gone.
fn expect_gone_with_calls(name: &str) {
    let is_gone = || {
        drop(Queue::<u8>::new(1).unwrap());
        !segment_exists(name)
    };
    wait_until("the name to go", is_gone, || name.to_owned());
}

fn some_calls() {
    for _ in 0..20 {
        drop(Queue::<u8>::new(1).unwrap());
        thread::sleep(Duration::from_millis(1));
    }
}

fn a_drop_waits_a_moment_for_a_command_that_is_being_started() {
    // Several rounds, since a child may not be scheduled in time on a busy machine.
    let goes_at_once = |round: u32| {
        let name = unique_name(&format!("started-{round}"));
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        let forked = shared_word();
        let starter = thread::spawn(move || {
            run_true(move || {
                forked.store(1, Relaxed);
                thread::sleep(Duration::from_millis(2));
            })
        });
        wait_for_count("the fork", forked, 1);
        drop(queue);
        let is_gone = !segment_exists(&name);
        starter.join().unwrap();
        expect_gone_with_calls(&name);
        is_gone
    };
    assert!((0..50).any(goes_at_once));
}

fn a_name_kept_until_an_exec_goes_with_the_next_call() {
    let name = unique_name("kept");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let (forked, go) = (shared_word(), shared_word());
    let starter = thread::spawn(move || {
        run_true(move || {
            forked.store(1, Relaxed);
            wait_in_child(go);
        })
    });
    wait_for_count("the fork", forked, 1);
    drop(queue);
    some_calls();
    assert!(segment_exists(&name), "the child might use it");
    go.store(1, Relaxed);
    starter.join().unwrap();
    expect_gone_with_calls(&name);
}

static BIRTH: OnceLock<(&AtomicU64, &AtomicU64)> = OnceLock::new();

extern "C" fn be_born_slowly() {
    let (forked, go) = BIRTH.get().expect("set before it was registered");
    forked.store(1, Relaxed);
    wait_in_child(go);
}

/// The handler of the program runs before those of the crate, so that the child shares its parent's
/// descriptions when the parent detaches.
fn a_name_kept_by_a_child_in_its_birth_goes_with_the_next_call() {
    let name = unique_name("birth");
    let (forked, go) = *BIRTH.get_or_init(|| (shared_word(), shared_word()));
    // SAFETY: a function that lives as long as the program.
    assert_eq!(unsafe { libc::pthread_atfork(None, None, Some(be_born_slowly)) }, 0);
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let starter = thread::spawn(|| run_true(|| ()));
    wait_for_count("the fork", forked, 1);
    drop(queue);
    some_calls();
    assert!(segment_exists(&name), "the child might use it");
    go.store(1, Relaxed);
    starter.join().unwrap();
    expect_gone_with_calls(&name);
}

static FORK_BEGAN: OnceLock<&AtomicU64> = OnceLock::new();

extern "C" fn fork_slowly() {
    FORK_BEGAN.get().expect("set before it was registered").store(1, Relaxed);
    thread::sleep(Duration::from_millis(300));
}

/// As beside gigabytes, whose page tables the kernel copies.
fn a_name_dropped_during_a_long_fork_goes_with_the_next_call() {
    let name = unique_name("long");
    let began = *FORK_BEGAN.get_or_init(shared_word);
    // Registered before the handlers of the crate, it runs when those have prepared the fork.
    // SAFETY: a function that lives as long as the program.
    assert_eq!(unsafe { libc::pthread_atfork(Some(fork_slowly), None, None) }, 0);
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let starter = thread::spawn(|| run_true(|| ()));
    wait_for_count("the fork", began, 1);
    drop(queue);
    starter.join().unwrap();
    expect_gone_with_calls(&name);
}

fn child_that_waits() -> Child {
    let (started, never) = (shared_word(), AtomicU64::new(0));
    let child = fork("a child that uses nothing", || {
        started.store(1, Relaxed);
        wait_for_count("its death", &never, 1);
    });
    wait_for_count("the child", started, 1);
    child
}

fn a_name_kept_by_a_killed_child_goes_with_the_next_call() {
    let name = unique_name("killed");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let child = child_that_waits();
    drop(queue);
    assert!(segment_exists(&name));
    child.kill();
    expect_gone_with_calls(&name);
}

fn a_name_kept_by_a_killed_child_goes_at_exit() {
    let name = unique_name("exit");
    let program = fork_with_code("a program", || {
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        let child = child_that_waits();
        drop(queue);
        assert!(segment_exists(&name));
        child.kill();
        std::process::exit(0)
    });
    program.expect_success();
    assert!(!segment_exists(&name));
}

fn a_name_that_a_child_will_use_stays() {
    let name = unique_name("used");
    let queue = RefCell::new(Some(Queue::<u64>::create(&name, 3).unwrap()));
    let go = shared_word();
    let child = fork("a child that uses it late", || {
        let inherited = queue.take().unwrap();
        wait_for_count("the parent's calls", go, 1);
        assert!(segment_exists(&name));
        inherited.put(&1).unwrap();
        assert_eq!(Queue::<u64>::open(&name).unwrap().get().unwrap(), 1);
    });
    queue.take();
    some_calls();
    assert!(segment_exists(&name));
    go.store(1, Relaxed);
    child.expect_success();
    assert!(!segment_exists(&name));
}

fn messages_of_a_child_that_died_attached_stay() {
    for attaches_first in [true, false] {
        let name = unique_name(if attaches_first { "first" } else { "later" });
        let queue = RefCell::new(Some(Queue::<u64>::create(&name, 3).unwrap()));
        let (go, attached, never) = (shared_word(), shared_word(), AtomicU64::new(0));
        let child = fork("a child that dies", || {
            wait_for_count("the go", go, 1);
            queue.borrow().as_ref().unwrap().put(&7).unwrap();
            attached.store(1, Relaxed);
            wait_for_count("its death", &never, 1);
        });
        if attaches_first {
            go.store(1, Relaxed);
            wait_for_count("the message", attached, 1);
            queue.take();
        } else {
            queue.take();
            go.store(1, Relaxed);
            wait_for_count("the message", attached, 1);
        }
        child.kill();
        some_calls();
        let successor = Queue::<u64>::open(&name).unwrap();
        assert_eq!(successor.get_timeout(PATIENCE).unwrap(), 7);
        drop(successor);
        assert!(!segment_exists(&name));
    }
}

/// Another process replaces the dead segment, uses its own, and dies.
fn a_segment_that_took_the_name_meanwhile_stays() {
    let name = unique_name("taken");
    let (go, made, never) = (shared_word(), shared_word(), AtomicU64::new(0));
    // Forked first: it inherits no queue.
    let other = fork("another process", || {
        wait_for_count("the go", go, 1);
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        queue.put(&8).unwrap();
        made.store(1, Relaxed);
        wait_for_count("its death", &never, 1);
    });
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    queue.put(&7).unwrap();
    let child = child_that_waits();
    drop(queue);
    child.kill();
    go.store(1, Relaxed);
    wait_for_count("the other segment", made, 1);
    some_calls();
    assert!(segment_exists(&name));
    other.kill();
    some_calls();
    assert_eq!(Queue::<u64>::open(&name).unwrap().get_timeout(PATIENCE).unwrap(), 8);
}

fn a_segment_that_was_persisted_meanwhile_stays() {
    let name = unique_name("persisted");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    queue.put(&7).unwrap();
    let child = child_that_waits();
    drop(queue);
    fork("another process", || {
        drop(Queue::<u64>::builder().name(&name).capacity(3).persist(true).open_or_create().unwrap());
    })
    .expect_success();
    child.kill();
    some_calls();
    assert_eq!(Queue::<u64>::open(&name).unwrap().get_timeout(PATIENCE).unwrap(), 7);
    Queue::<u64>::unlink(&name).unwrap();
}

/// As many as a process has descriptors for, at the usual limit.
fn names_of_all_queues_that_a_process_can_have_go() {
    let names: Vec<String> = (0..480).map(|number| unique_name(&format!("all-{number}"))).collect();
    let queues: Vec<Queue<u8>> = names.iter().map(|name| Queue::create(name, 1).unwrap()).collect();
    let child = child_that_waits();
    drop(queues);
    assert!(names.iter().all(|name| segment_exists(name)));
    child.kill();
    names.iter().for_each(|name| expect_gone_with_calls(name));
}

fn a_retry_without_descriptors_is_repeated() {
    let name = unique_name("repeated");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let others: Vec<Queue<u8>> = (0..10).map(|_| Queue::new(1).unwrap()).collect();
    let child = child_that_waits();
    drop(queue);
    child.kill();
    let before = limit_descriptors(3);
    for other in others {
        thread::sleep(Duration::from_millis(5));
        drop(other);
    }
    limit_descriptors(before);
    assert!(segment_exists(&name), "there was no descriptor to retry with");
    expect_gone_with_calls(&name);
}

/// Returns the limit before.
fn limit_descriptors(number: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or fill this struct.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let before = std::mem::replace(&mut limit.rlim_cur, number);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

fn no_name_is_left_by_threads_that_drop_while_others_start_commands() {
    let prefix = unique_name("many");
    let names: Vec<String> = (0..2)
        .flat_map(|thread| (0..100).map(move |number| (thread, number)))
        .map(|(thread, number)| format!("{prefix}-{thread}-{number}"))
        .collect();
    let program = fork_with_code("a program", || {
        thread::scope(|scope| {
            for names in names.chunks(100) {
                scope.spawn(|| names.iter().for_each(|name| drop(Queue::<u8>::create(name, 1).unwrap())));
                scope.spawn(|| (0..30).for_each(|_| run_true(|| thread::sleep(Duration::from_millis(1)))));
            }
        });
        std::process::exit(0)
    });
    program.expect_success();
    assert_eq!(names.iter().find(|name| segment_exists(name)), None);
}

/// `posix_spawn` runs no fork handlers, and its child has copies of the descriptors until its exec.
fn commands_started_without_a_fork_keep_no_name() {
    let ends = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while ends.load(Relaxed) == 0 {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        let kept = (0..200).find(|round| {
            let name = unique_name(&format!("spawned-{round}"));
            drop(Queue::<u8>::create(&name, 1).unwrap());
            segment_exists(&name)
        });
        ends.store(1, Relaxed);
        assert_eq!(kept, None);
    });
}

fn what_a_program_left_to_a_child_stays_once_it_executes_another() {
    let name = unique_name("executed");
    let program = fork_with_code("a program", || {
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        queue.put(&7).unwrap();
        let child = child_that_waits();
        drop(queue);
        child.kill();
        panic!("{}", Command::new("true").exec());
    });
    program.expect_success();
    // As after a kill.
    let successor = Queue::<u64>::open(&name).unwrap();
    assert_eq!(successor.get_timeout(PATIENCE).unwrap(), 7);
    drop(successor);
    assert!(!segment_exists(&name));
}

/// A worker has no names to retry but those that it left to children of its own.
fn a_worker_that_may_open_nothing_drops_what_it_inherited() {
    let name = unique_name("deferred");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let others: Vec<Queue<u8>> = (0..3).map(|_| Queue::new(1).unwrap()).collect();
    let child = child_that_waits();
    drop(queue);
    assert!(segment_exists(&name));
    let others = RefCell::new(Some(others));
    let worker = fork("a worker", || {
        if forbid(&[libc::SYS_openat, libc::SYS_open]) {
            for other in others.take().unwrap() {
                thread::sleep(Duration::from_millis(5));
                drop(other);
            }
        }
    });
    worker.expect_success();
    child.kill();
    expect_gone_with_calls(&name);
}
