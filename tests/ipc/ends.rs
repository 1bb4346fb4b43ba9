//! Normal ends of programs: a segment held by a `static`, by a blocked thread or by a daemon child
//! gives its name back, or keeps it.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, fork_orphan, send_signal, shared_word, wait_for_count};
use crate::support::{PATIENCE, segment_exists, unique_name, wait_until};
use shmq::Queue;
use shmq::sync::Event;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_normal_end_gives_the_name_back,
        programs_that_end_at_once_leave_no_name,
        a_program_that_ends_beside_one_that_drops_leaves_no_name,
        a_daemon_keeps_the_name_before_its_first_call,
        a_daemon_that_used_nothing_takes_the_name_along,
        #[cfg(not(shmq_portable_sync))]
        a_child_that_used_nothing_leaves_a_dead_queue_to_others,
        a_child_keeps_the_name_until_it_drops_its_handle,
        children_killed_in_their_birth_keep_no_name,
        a_child_stopped_in_its_birth_keeps_the_name,
        a_child_that_executes_a_program_keeps_no_name,
    ]
}

/// First argument of this binary when it plays a program that ends normally.
pub const ENDING: &str = "--ending-program";

static QUEUE: OnceLock<Queue<u64>> = OnceLock::new();
static EVENT: OnceLock<Event> = OnceLock::new();

/// Such a program. The argument is `how` it ends, a `-`, and the name of its queue.
pub fn ending_program(how_and_name: &str) -> ExitCode {
    let (how, name) = how_and_name.split_once('-').expect("how and a name");
    let open = || Queue::<u64>::open_or_create(name, 8).unwrap();
    match how {
        "static" => drop(QUEUE.set(open())),
        "event" => drop(EVENT.set(Event::open_or_create(name).unwrap())),
        "forgotten" => std::mem::forget(open()),
        "exit" => {
            let _queue = open();
            std::process::exit(0);
        }
        "blocked" => {
            let queue = open();
            let asleep = std::thread::spawn(move || queue.get());
            std::thread::sleep(Duration::from_millis(100));
            assert!(!asleep.is_finished());
        }
        "lease" => {
            let queue = open();
            queue.put(&1).unwrap();
            let held = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let lease = queue.lease().unwrap();
                held.0.send(()).unwrap();
                std::thread::sleep(PATIENCE);
                lease.release();
            });
            held.1.recv().unwrap();
        }
        // Any number of programs end together, when their input ends.
        "together" => {
            QUEUE.set(open()).unwrap();
            ready_until_input_ends();
        }
        "drop" => {
            let queue = open();
            ready_until_input_ends();
            drop(queue);
        }
        _ => return daemonise(how, name),
    }
    ExitCode::SUCCESS
}

fn ready_until_input_ends() {
    println!("ready");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A program that becomes a daemon and prints what the daemon finds. The program that started it
/// ends in one of several ways.
fn daemonise(how: &str, name: &str) -> ExitCode {
    let queue = Queue::<u64>::create(name, 8).unwrap();
    queue.put(&5).unwrap();
    for _ in 0..2 {
        let starter = std::process::id();
        // SAFETY: this program has one thread, so the child may do whatever its parent could.
        if unsafe { libc::fork() } != 0 {
            match how {
                "exits" => std::process::exit(0),
                "killed" => send_signal(starter as libc::pid_t, libc::SIGKILL),
                _ => {}
            }
            return ExitCode::SUCCESS;
        }
        // SAFETY: getppid has no preconditions.
        while unsafe { libc::getppid() } as u32 == starter {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let there = segment_exists(name);
    let found = if matches!(how, "unused" | "killed") {
        String::new()
    } else {
        let client = Queue::<u64>::open(name).map(|client| client.put(&7).is_ok());
        format!(" {client:?} {:?} {:?}", queue.get_timeout(PATIENCE).unwrap(), queue.get_timeout(PATIENCE).unwrap())
    };
    println!("{} {there}{found}", std::process::id());
    ExitCode::SUCCESS
}

fn program(how: &str, name: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args([ENDING, &format!("{how}-{name}")]);
    program
}

fn a_normal_end_gives_the_name_back() {
    for how in ["static", "event", "forgotten", "exit", "blocked", "lease"] {
        let name = unique_name(how);
        assert!(program(how, &name).status().unwrap().success(), "{how}");
        assert!(!segment_exists(&name), "{how}");
    }
}

/// Programs that end at the same time, each in its own way.
fn end_together(hows: &[&str]) {
    for _ in 0..20 {
        let name = unique_name("together");
        let start = |how: &&str| program(how, &name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut programs: Vec<_> = hows.iter().map(start).collect();
        for program in &mut programs {
            let mut ready = [0; 6];
            program.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        }
        assert!(segment_exists(&name));
        programs.iter_mut().for_each(|program| drop(program.stdin.take()));
        programs.iter_mut().for_each(|program| assert!(program.wait().unwrap().success()));
        assert!(!segment_exists(&name));
    }
}

fn programs_that_end_at_once_leave_no_name() {
    end_together(&["together"; 3]);
}

fn a_program_that_ends_beside_one_that_drops_leaves_no_name() {
    end_together(&["together", "drop", "drop"]);
}

/// What the daemon of such a program printed, once both have ended.
fn daemon_of(how: &str, name: &str) -> String {
    // Reads to the end of its output, which is also the daemon's.
    let output = program(how, name).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (pid, said) = said.trim().split_once(' ').unwrap_or_else(|| panic!("said {said:?}, {:?}", output.status));
    Child::adopted("the daemon", pid.parse().unwrap()).expect_success();
    // Reaps the process in between, which this one adopted when its parent ended. SAFETY: it is an
    // orphan that this process adopted, and no other call waits for it; a null status pointer is
    // permitted.
    assert_ne!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) }, -1);
    said.to_string()
}

fn a_daemon_keeps_the_name_before_its_first_call() {
    for how in ["returns", "exits"] {
        for _ in 0..5 {
            let name = unique_name(how);
            assert_eq!(daemon_of(how, &name), "true Ok(true) 5 7", "{how}");
            assert!(!segment_exists(&name), "{how}: the daemon has left as well");
        }
    }
}

fn a_daemon_that_used_nothing_takes_the_name_along() {
    let name = unique_name("unused");
    assert_eq!(daemon_of("unused", &name), "true");
    assert!(!segment_exists(&name));
}

#[cfg(not(shmq_portable_sync))]
fn a_child_that_used_nothing_leaves_a_dead_queue_to_others() {
    let name = unique_name("killed");
    assert_eq!(daemon_of("killed", &name), "true");
    let queue: Queue<u64> = Queue::open(&name).expect("its messages are wanted by those who come after the dead");
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 5);
}

fn a_child_keeps_the_name_until_it_drops_its_handle() {
    let name = unique_name("kept");
    let go = shared_word();
    let queue = RefCell::new(Some(Queue::<u64>::create(&name, 3).unwrap()));
    let child = fork("a child that uses nothing", || {
        wait_for_count("the parent to leave", go, 1);
        assert!(segment_exists(&name));
        drop(queue.take());
        assert!(!segment_exists(&name));
    });
    drop(queue.take());
    assert!(segment_exists(&name), "the child has a handle");
    go.store(1, Relaxed);
    child.expect_success();
}

fn children_killed_in_their_birth_keep_no_name() {
    for round in 0..200u64 {
        let name = unique_name("born");
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        let child = fork_orphan("a child to be killed", || {
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
        // At any time in its first moments.
        (0..round * 20).for_each(|_| std::hint::spin_loop());
        child.kill();
        drop(queue);
        assert!(!segment_exists(&name), "round {round}");
    }
}

fn a_child_stopped_in_its_birth_keeps_the_name() {
    for round in 0..50u64 {
        let name = unique_name("stopped");
        let queue = RefCell::new(Some(Queue::<u64>::create(&name, 3).unwrap()));
        let mut child = fork("a child that is stopped", || drop_when_alone(queue.take().unwrap()));
        (0..round * 20).for_each(|_| std::hint::spin_loop());
        child.stop();
        drop(queue.take());
        assert!(segment_exists(&name), "round {round}: the child has a handle");
        let client: Queue<u64> = Queue::open(&name).unwrap();
        client.put(&round).unwrap();
        drop(client);
        child.go_on();
        child.expect_success();
        assert!(!segment_exists(&name), "round {round}");
    }
}

/// Uses a queue that its parent has left, and then leaves it.
fn drop_when_alone(queue: Queue<u64>) {
    queue.get_timeout(PATIENCE).unwrap();
}

fn a_child_that_executes_a_program_keeps_no_name() {
    let name = unique_name("executed");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let mut sleep = Command::new("sleep");
    // Prevents posix_spawn: std forks, and the fork handlers run. SAFETY: the closure does nothing
    // between the fork and the exec.
    unsafe { std::os::unix::process::CommandExt::pre_exec(sleep.arg("1000"), || Ok(())) };
    let mut spawned = sleep.spawn().unwrap();
    let is_over = || Queue::<u64>::create(&name, 3).is_err_and(|error| matches!(error, shmq::CreateError::AlreadyExists { .. }));
    wait_until("the queue to be in use", is_over, || format!("{queue:?}"));
    drop(queue);
    assert!(!segment_exists(&name));
    spawned.kill().unwrap();
    spawned.wait().unwrap();
}
