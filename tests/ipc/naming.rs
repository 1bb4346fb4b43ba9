//! Names between processes: unrelated programs, racing openers, handles sent through queues, other
//! users.

use crate::support::harness::{Case, skip};
use crate::support::process::{Child, exit_now, expect_all_succeed, fork, shared_word, shared_words, wait_for_count};
use crate::support::{PATIENCE, Rng, segment_exists, unique_name};
use shmq::{CreateError, GetError, OpenError, PutError, Queue};
use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_unrelated_program_opens_by_name,
        a_handle_travels_through_a_queue,
        one_of_many_creates_and_all_meet,
        hundreds_of_openers_race,
        #[cfg(not(shmq_portable_sync))]
        hundreds_of_openers_race_and_die.leaves_temporaries(),
        another_user_is_refused_unless_the_mode_says_otherwise,
    ]
}

/// First argument of this binary when it plays an unrelated program.
pub const UNRELATED: &str = "--unrelated-program";

/// An unrelated program: opens the queue of that name, whose first message is a handle for the
/// answers.
pub fn unrelated_program(name: &str) -> ExitCode {
    match answer(name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the unrelated program: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(name: &str) -> Result<(), Box<dyn Error>> {
    let questions: Queue<[u8]> = Queue::open(name)?;
    let answers: Queue<u64> = serde_json::from_slice(&questions.get_timeout(PATIENCE)?)?;
    for question in &questions {
        answers.put_timeout(&(question?.len() as u64), PATIENCE)?;
    }
    answers.close();
    Ok(())
}

fn an_unrelated_program_opens_by_name() {
    let name = unique_name("questions");
    let questions = Queue::<[u8]>::builder().name(&name).capacity_bytes(1 << 12).create().unwrap();
    let answers: Queue<u64> = Queue::new(4).unwrap();
    questions.put(serde_json::to_string(&answers).unwrap().as_bytes()).unwrap();
    let this = std::env::current_exe().unwrap();
    let mut program = Command::new(this).args([UNRELATED, &name]).spawn().unwrap();
    for length in 0..300 {
        questions.put_timeout(&vec![7; length], PATIENCE).unwrap();
        assert_eq!(answers.get_timeout(PATIENCE).unwrap(), length as u64);
    }
    questions.close();
    assert!(matches!(answers.get_timeout(PATIENCE), Err(GetError::Closed)));
    assert!(program.wait().unwrap().success());
    // It left in good order: there is nothing to recover.
    assert_eq!(questions.recover().dead_participants, 0);
    let nowhere = unique_name("nowhere");
    let status = Command::new(std::env::current_exe().unwrap()).args([UNRELATED, &nowhere]).status().unwrap();
    assert_eq!(status.code(), Some(1), "there is no such queue");
}

fn a_handle_travels_through_a_queue() {
    let post = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    // Forked before the queues exist that are sent to it.
    let child = fork("a receiver of handles", || {
        for letter in &post {
            let sent: Queue<u64> = serde_json::from_slice(&letter.unwrap()).unwrap();
            let twice: Queue<u64> = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
            let message = sent.get_timeout(PATIENCE).unwrap();
            twice.put_timeout(&(message * 2), PATIENCE).unwrap();
            sent.close();
        }
    });
    for i in 0..30 {
        let queue: Queue<u64> = Queue::new(2).unwrap();
        queue.put(&i).unwrap();
        post.put_timeout(serde_json::to_string(&queue).unwrap().as_bytes(), PATIENCE).unwrap();
        while !queue.is_closed() {
            assert!(!matches!(queue.join_timeout(Duration::from_millis(1)), Ok(())), "the answer is never finished");
        }
        assert_eq!(queue.get().unwrap(), i * 2);
    }
    post.close();
    child.expect_success();
}

fn one_of_many_creates_and_all_meet() {
    for round in 0..4 {
        let name = unique_name("meeting");
        let (go, attached, leave) = (shared_word(), shared_word(), shared_word());
        let children: Vec<Child> = (0..24u64)
            .map(|i| {
                let name = &name;
                fork("one who opens or creates", move || {
                    wait_for_count("the start", go, 1);
                    let queue: Queue<u64> = Queue::open_or_create(name, 100).unwrap();
                    queue.put_timeout(&i, PATIENCE).unwrap();
                    attached.fetch_add(1, Release);
                    wait_for_count("the end", leave, 1);
                })
            })
            .collect();
        go.store(1, Release);
        wait_for_count("all to attach", attached, 24);
        let queue: Queue<u64> = Queue::open(&name).unwrap();
        assert_eq!(queue.len(), 24, "round {round}: all met in one queue");
        leave.store(1, Release);
        expect_all_succeed(children);
        drop(queue);
        assert!(!segment_exists(&name), "round {round}");
    }
}

/// What one of the racers does with the name. Every result that the race does not explain fails.
fn race(name: &str, rng: &mut Rng, kill_in_between: bool) {
    let use_and_leave = |queue: Queue<u64>, rng: &mut Rng| {
        assert!(matches!(queue.try_put(&0x5555), Ok(()) | Err(PutError::Full | PutError::Busy | PutError::Closed)));
        match queue.try_get() {
            Ok(message) => assert_eq!(message, 0x5555),
            Err(error) => assert!(matches!(error, GetError::Empty | GetError::Busy | GetError::Closed), "{error}"),
        }
        assert_eq!((queue.capacity(), queue.name()), (3, name));
        if rng.chance(20) {
            std::thread::sleep(rng.duration_below(Duration::from_millis(1)));
        }
        if kill_in_between && rng.chance(20) {
            crate::support::process::send_signal(std::process::id() as i32, libc::SIGKILL);
        }
        drop(queue);
    };
    let builder = || Queue::<u64>::builder().name(name).capacity(3).max_participants(300);
    for _ in 0..10 {
        match rng.below(6) {
            0 => match builder().create() {
                Ok(queue) => use_and_leave(queue, rng),
                Err(error) => assert!(matches!(error, CreateError::AlreadyExists { in_use: true, .. }), "create: {error:?}"),
            },
            1 | 2 => match builder().open() {
                Ok(queue) => use_and_leave(queue, rng),
                Err(error) => {
                    assert!(matches!(error, OpenError::NotFound { .. } | OpenError::NotReady { .. }), "open: {error:?}")
                }
            },
            3 | 4 => use_and_leave(builder().open_or_create().unwrap_or_else(|error| panic!("open_or_create: {error:?}")), rng),
            _ => match Queue::<u64>::unlink(name) {
                Ok(()) => {}
                Err(error) => {
                    assert!(matches!(error, OpenError::NotFound { .. } | OpenError::NotReady { .. }), "unlink: {error:?}")
                }
            },
        }
    }
}

fn racers(name: &str, rng: &mut Rng, count: usize, kill_in_between: bool) -> Vec<Child> {
    let go = shared_word();
    let racers = (0..count)
        .map(|_| {
            let mut rng = rng.split();
            fork("a racer", move || {
                wait_for_count("the start", go, 1);
                race(name, &mut rng, kill_in_between);
            })
        })
        .collect();
    go.store(1, Release);
    racers
}

fn hundreds_of_openers_race() {
    let mut rng = Rng::new("racing openers");
    let name = unique_name("raced");
    for _ in 0..5 {
        expect_all_succeed(racers(&name, &mut rng, 50, false));
        assert!(!segment_exists(&name), "the last one out takes the name away");
    }
}

#[cfg(not(shmq_portable_sync))]
fn hundreds_of_openers_race_and_die() {
    let mut rng = Rng::new("racing and dying openers");
    let name = unique_name("raced");
    for _ in 0..5 {
        let killed = racers(&name, &mut rng, 50, true).into_iter().map(crate::support::process::Child::killed_or_succeeded);
        eprintln!("{} of 50 killed", killed.filter(|&killed| killed).count());
        // Whatever they left, it does not block the next process.
        let queue = Queue::<u64>::builder().name(&name).capacity(3).max_participants(300).create().unwrap();
        assert!(queue.is_empty() && queue.try_put(&1).is_ok());
    }
    assert!(!segment_exists(&name));
}

/// Forks a child of another user, which may only do what it is asked to.
fn as_another_user(what: &'static str, run: impl FnOnce()) -> Child {
    fork(what, || {
        // SAFETY: setgid and setuid take numbers; setgroups reads no list, since its length is 0.
        let changed =
            unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(65_534) == 0 && libc::setuid(65_534) == 0 };
        if !changed {
            exit_now(78);
        }
        run();
    })
}

fn another_user_is_refused_unless_the_mode_says_otherwise() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        skip("only root can become another user");
    }
    let name = unique_name("private");
    let private: Queue<u64> = Queue::create(&name, 3).unwrap();
    as_another_user("a stranger", || {
        assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::PermissionDenied { .. })));
        assert!(matches!(
            Queue::<u64>::create(&name, 3),
            Err(CreateError::PermissionDenied { .. } | CreateError::AlreadyExists { .. })
        ));
        assert!(matches!(Queue::<u64>::open_or_create(&name, 3), Err(CreateError::PermissionDenied { .. })));
        assert!(matches!(Queue::<u64>::unlink(&name), Err(OpenError::PermissionDenied { .. })));
    })
    .expect_success();
    private.put(&1).unwrap();
    assert!(segment_exists(&name) && private.get().unwrap() == 1);

    let name = unique_name("public");
    let public = Queue::<u64>::builder().name(&name).capacity(3).mode(0o666).create().unwrap();
    public.put(&1).unwrap();
    as_another_user("a welcome guest", || {
        let queue: Queue<u64> = Queue::open(&name).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
        queue.put(&2).unwrap();
    })
    .expect_success();
    assert_eq!(public.get().unwrap(), 2);
    // An inherited handle: the user of the child may open the segment by its descriptor, or gets an
    // error.
    let words = shared_words(1);
    as_another_user("a child that changed its user", || {
        match private.put(&3) {
            Ok(()) => words[0].store(1, Relaxed),
            Err(error) => assert!(matches!(error, PutError::Os { .. }), "{error:?}"),
        };
    })
    .expect_success();
    assert_eq!(private.len() as u64, words[0].load(Relaxed));
}
