//! A program under a service manager: signals to the group, masks and dispositions, descriptors,
//! limits and namespaces.

use crate::cases;
use crate::support::harness::{self, Case};
use crate::support::process::{
    Exit, children_of, end_fork_server, fork_with_code, own_children, send_signal, shared_words, state_and_group, wait_for_count,
};
use crate::support::wait_until;
use shmq::process::{active_children, init};
use shmq::{Pool, Process, Queue, SpawnError};
use std::io::{self, Read};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicI32, AtomicU64};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        signals_to_the_group_end_no_fork_server,
        init_starts_a_fork_server_anew_where_it_is_dead,
        a_child_has_no_handler_that_ends_its_parent,
        kept_handlers_stay,
        a_called_process_has_what_the_program_has_at_the_call,
        a_signal_right_after_the_start_is_not_lost,
        an_exhausted_fork_server_says_the_errno_and_recovers,
        a_program_without_free_numbers_gets_an_error_and_nothing_begins,
        children_in_a_pid_namespace_work,
        a_kernel_that_cannot_wait_for_pidfds_is_no_error,
        a_kernel_without_pidfds_is_no_error,
        a_normal_end_leaves_no_zombie,
        a_spawned_process_keeps_the_descriptors_that_it_shall_and_no_others,
        a_called_process_gets_descriptors_of_the_call_at_their_numbers,
        a_descriptor_to_keep_that_is_not_open_is_an_error,
        a_process_that_a_worker_spawns_can_be_terminated,
        one_thread_kills_what_another_joins,
        init_that_comes_too_late_says_what_to_write,
    ]
}

const ENDINGS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGINT];

fn forever(_: ()) {
    loop {
        std::thread::park();
    }
}

fn end_ours() {
    end_fork_server(own_children()[0]);
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

/// Sets a disposition given by its number.
fn set(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: the handler is SIG_DFL, SIG_IGN, or one of those below, which are async-signal-safe.
    assert_ne!(unsafe { libc::signal(signal, handler) }, libc::SIG_ERR);
}

static HANDLED: AtomicI32 = AtomicI32::new(-1);

/// Like the handlers of signal-hook and tokio, it writes into a pipe that children share.
extern "C" fn write_to_pipe(_: libc::c_int) {
    // SAFETY: write is async-signal-safe; the byte is static.
    unsafe { libc::write(HANDLED.load(SeqCst), b"x".as_ptr().cast(), 1) };
}

fn handle_by_a_pipe(signal: libc::c_int) {
    set(signal, write_to_pipe as extern "C" fn(libc::c_int) as libc::sighandler_t);
}

fn pipe() -> (std::fs::File, RawFd) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors. The kernel creates them, and no other code
    // owns the first.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK), 0);
        (std::fs::File::from_raw_fd(ends[0]), ends[1])
    }
}

fn bytes_in(mut pipe: &std::fs::File) -> usize {
    pipe.read(&mut [0; 64]).unwrap_or(0)
}

fn signals_to_the_group_end_no_fork_server() {
    let (handled, end) = pipe();
    HANDLED.store(end, SeqCst);
    for signal in ENDINGS.into_iter().chain([libc::SIGUSR1, libc::SIGTSTP, libc::SIGPIPE]) {
        // Set before init: the helpers inherit the handler, and do not run it.
        handle_by_a_pipe(signal);
        init().unwrap();
        let standby = own_children()[0];
        wait_until("a fork server", || children_of(standby).len() == 1, String::new);
        let fork_server = children_of(standby)[0];
        send_signal(0, signal);
        wait_until("the handler", || bytes_in(&handled) == 1, || format!("signal {signal}"));
        let child = Process::call(|n: i32| n, 5).unwrap();
        assert_eq!(child.join().unwrap().code(), Some(5), "signal {signal}");
        assert_eq!((own_children(), children_of(standby)), (vec![standby], vec![fork_server]), "signal {signal}");
        assert_eq!(bytes_in(&handled), 0, "a helper ran the handler of signal {signal}");
        set(signal, libc::SIG_DFL);
        end_ours();
        set(signal, libc::SIG_DFL);
    }
}

fn init_starts_a_fork_server_anew_where_it_is_dead() {
    for n in 0..3 {
        init().unwrap();
        assert_eq!(Process::call(|n: i32| n, n).unwrap().join().unwrap().code(), Some(n));
        end_ours();
        let refused = Process::call(|n: i32| n, n).unwrap_err();
        assert!(matches!(refused, SpawnError::ForkServerDied { .. }), "{refused:?}");
        let refused = std::thread::spawn(init).join().unwrap().unwrap_err();
        assert!(matches!(refused, SpawnError::Threaded { threads: 2 }), "{refused:?}");
        let refused = Process::call(|n: i32| n, n).unwrap_err();
        assert!(matches!(refused, SpawnError::ForkServerDied { .. }), "a failed init changes nothing: {refused:?}");
    }
    init().unwrap();
    init().unwrap();
    assert_eq!(own_children().len(), 1);
    assert_eq!(active_children(), [], "the crate's own are no children of the program's");
    end_ours();
}

fn a_child_has_no_handler_that_ends_its_parent() {
    let (handled, end) = pipe();
    HANDLED.store(end, SeqCst);
    for with_init in [false, true] {
        ENDINGS.into_iter().for_each(handle_by_a_pipe);
        if with_init {
            init().unwrap();
        }
        for signal in ENDINGS {
            let child = if with_init { Process::call(forever, ()) } else { Process::spawn(|| forever(())) }.unwrap();
            send_signal(child.pid() as i32, signal);
            assert_eq!(child.join().unwrap().signal(), Some(signal), "by init: {with_init}");
            assert_eq!(bytes_in(&handled), 0, "signal {signal} to a child, by init: {with_init}");
        }
    }
    // The handlers of this process stayed.
    send_signal(std::process::id() as i32, libc::SIGTERM);
    wait_until("our handler", || bytes_in(&handled) == 1, String::new);
    ENDINGS.into_iter().for_each(|signal| set(signal, libc::SIG_DFL));
    end_ours();
}

fn kept_handlers_stay() {
    let (handled, end) = pipe();
    HANDLED.store(end, SeqCst);
    ENDINGS.into_iter().for_each(handle_by_a_pipe);
    for with_init in [false, true] {
        if with_init {
            init().unwrap();
        }
        for signal in ENDINGS {
            let builder = Process::builder().keep_handlers(true);
            let child = if with_init { builder.call(forever, ()) } else { builder.spawn(|| forever(())) }.unwrap();
            send_signal(child.pid() as i32, signal);
            wait_until("the handler", || bytes_in(&handled) == 1, || format!("signal {signal}, by init: {with_init}"));
            assert!(child.is_alive());
            child.kill().unwrap();
            child.join().unwrap();
        }
    }
    ENDINGS.into_iter().for_each(|signal| set(signal, libc::SIG_DFL));
    end_ours();
}

/// What this process does with a signal: 0 the default, 1 it ignores it, 2 it has a handler with
/// SA_SIGINFO, 3 another. Plus 4 if it blocks it.
fn taken(signal: libc::c_int) -> i32 {
    // SAFETY: both structures consist of plain words, and the calls fill them.
    unsafe {
        let (mut action, mut blocked): (libc::sigaction, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigaction(signal, std::ptr::null(), &mut action);
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut blocked);
        let kind = match action.sa_sigaction {
            libc::SIG_DFL => 0,
            libc::SIG_IGN => 1,
            _ if action.sa_flags & libc::SA_SIGINFO != 0 => 2,
            _ => 3,
        };
        kind + 4 * libc::sigismember(&blocked, signal)
    }
}

fn block(signal: libc::c_int, how: libc::c_int) {
    // SAFETY: a sigset_t consists of plain words, which sigemptyset fills.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        assert_eq!(libc::pthread_sigmask(how, &set, std::ptr::null_mut()), 0);
    }
}

extern "C" fn with_info(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn handle_with_info(signal: libc::c_int) {
    // SAFETY: the handler does nothing, so it is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = with_info as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

fn a_called_process_has_what_the_program_has_at_the_call() {
    let watched = [libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD, libc::SIGALRM, libc::SIGPIPE];
    let reported = |signal: i32| taken(signal);
    let check = |when: &str| {
        for signal in watched {
            let code = Process::call(reported, signal).unwrap().join().unwrap().code();
            assert_eq!(code, Some(taken(signal)), "{when}, signal {signal}");
            let code = Process::spawn(|| taken(signal)).unwrap().join().unwrap().code();
            assert_eq!(code, Some(taken(signal)), "{when}, signal {signal}, by fork");
        }
    };
    handle_with_info(libc::SIGUSR2);
    handle_with_info(libc::SIGCHLD);
    set(libc::SIGALRM, libc::SIG_IGN);
    init().unwrap();
    check("as at init");
    set(libc::SIGINT, libc::SIG_IGN);
    set(libc::SIGUSR1, libc::SIG_IGN);
    set(libc::SIGALRM, libc::SIG_DFL);
    block(libc::SIGTERM, libc::SIG_BLOCK);
    block(libc::SIGUSR2, libc::SIG_BLOCK);
    check("changed since");
    block(libc::SIGTERM, libc::SIG_UNBLOCK);
    block(libc::SIGUSR2, libc::SIG_UNBLOCK);
    set(libc::SIGINT, libc::SIG_DFL);
    set(libc::SIGCHLD, libc::SIG_IGN);
    let code = Process::call(reported, libc::SIGCHLD).unwrap().join().unwrap().code();
    assert_eq!(code, Some(1), "a program that ignores its children's ends gets those of called ones");
    set(libc::SIGCHLD, libc::SIG_DFL);
    check("changed back");
    // A handler that was installed after init is not in called processes, which lack what it works
    // with.
    handle_with_info(libc::SIGUSR1);
    assert_eq!(Process::call(reported, libc::SIGUSR1).unwrap().join().unwrap().code(), Some(0));
    end_ours();
}

fn a_signal_right_after_the_start_is_not_lost() {
    init().unwrap();
    for n in 0..200 {
        let signal = ENDINGS[n % ENDINGS.len()];
        let child = Process::call(forever, ()).unwrap();
        send_signal(child.pid() as i32, signal);
        let status = child.join_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(status.and_then(|status| status.signal()), Some(signal), "call {n}");
    }
    end_ours();
}

fn limit_numbers(most: u64) -> u64 {
    // SAFETY: an rlimit consists of plain integers; the first call fills `limit`.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        let before = limit.rlim_cur;
        limit.rlim_cur = most.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

fn errno_of(error: &SpawnError) -> Option<i32> {
    match error {
        SpawnError::Os { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

fn an_exhausted_fork_server_says_the_errno_and_recovers() {
    let before = limit_numbers(24);
    init().unwrap();
    limit_numbers(before);
    for round in 0..2 {
        let mut children = Vec::new();
        let refused = loop {
            assert!(children.len() < 24, "the fork server has no room for so many");
            match Process::call_daemon(forever, ()) {
                Ok(child) => children.push(child),
                Err(error) => break error,
            }
        };
        assert_eq!(errno_of(&refused), Some(libc::EMFILE), "{refused:?}");
        assert!(children.len() > 4, "{}", children.len());
        // Also where a call brings more descriptors than there is room for.
        let (_pipe, end) = pipe();
        let refused = Process::builder().keep_fds([end]).call(forever, ()).unwrap_err();
        assert_eq!(errno_of(&refused), Some(libc::EMFILE), "{refused:?}");
        // SAFETY: this process owns the descriptor, and does not use it again.
        unsafe { libc::close(end) };
        for child in &children {
            assert!(child.sentinel().is_some(), "round {round}");
            child.kill().unwrap();
            assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
        }
        drop(children);
        let again = || Process::call(|()| 7, ()).is_ok_and(|child| child.join().unwrap().code() == Some(7));
        wait_until("room again", again, String::new);
    }
    end_ours();
}

fn a_program_without_free_numbers_gets_an_error_and_nothing_begins() {
    let words = shared_words(1);
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    BEGUN.store(words.as_ptr() as u64, SeqCst);
    init().unwrap();
    let begin = |()| {
        // SAFETY: the address is that of the shared word above, which was mapped before init and is
        // never unmapped.
        unsafe { &*(BEGUN.load(SeqCst) as *const AtomicU64) }.fetch_add(1, SeqCst);
    };
    let highest = {
        let (_reader, end) = pipe();
        // SAFETY: this process owns the descriptor, and does not use it again.
        unsafe { libc::close(end) };
        end as u64
    };
    let mut begun = 0;
    // From no free descriptor at all to enough.
    for room in 0..10 {
        let before = limit_numbers(highest + room);
        let answer = Process::call(begin, ());
        limit_numbers(before);
        match answer {
            Ok(child) => {
                assert!(child.sentinel().is_some(), "room {room}");
                assert!(child.join().unwrap().success());
                begun += 1;
            }
            Err(error) => assert_eq!(errno_of(&error), Some(libc::EMFILE), "{error:?}, room {room}"),
        }
    }
    assert!(begun > 0 && begun < 10, "{begun}");
    assert_eq!(words[0].load(SeqCst), begun);
    end_ours();
}

fn children_in_a_pid_namespace_work() {
    // SAFETY: unshare takes a flag. Later children of this process are in the new namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        harness::skip("no right to make a PID namespace");
    }
    let first = Process::spawn(|| forever(())).unwrap();
    let queue = Queue::<u64>::new(8).unwrap();
    let work = || {
        queue.put(&7).unwrap();
        // SAFETY: getppid has no preconditions.
        assert_eq!(unsafe { libc::getppid() }, 0);
    };
    let works = |child: Process, what: &str| {
        let status = child.join_timeout(Duration::from_secs(60)).unwrap().expect("its end");
        assert_eq!((status.code(), queue.try_get().ok()), (Some(0), Some(7)), "{what}: {status}");
    };
    works(Process::spawn_daemon(work).unwrap(), "a daemon");
    works(Process::spawn(work).unwrap(), "a plain one");
    init().unwrap();
    let put = |queue: Queue<u64>| queue.put(&7);
    works(Process::call(put, queue.clone()).unwrap(), "a called one");
    works(Process::call_daemon(put, queue.clone()).unwrap(), "a called daemon");
    let nested = |queue: Queue<u64>| {
        let child = Process::call_daemon(|queue: Queue<u64>| queue.put(&7), queue).unwrap();
        child.join().unwrap().code().unwrap()
    };
    works(Process::call(nested, queue.clone()).unwrap(), "a daemon of a called one");
    // Its pid is that of this namespace, and the end of its parent is noticed.
    let child = Process::call(forever, ()).unwrap();
    assert!(matches!(state_and_group(child.pid() as i32), Some((state, _)) if state != 'Z'));
    send_signal(child.pid() as i32, libc::SIGTERM);
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGTERM));
    // All processes in the namespace end with its first one, which has not ended completely before
    // its standby, a child of this process, is reaped.
    first.kill().unwrap();
    assert!(first.join_timeout(Duration::from_secs(60)).unwrap().is_some());
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

/// From now on a system call fails for this process and its children: one whose first argument is
/// `argument`, if that is given.
fn refuse(call: libc::c_long, argument: Option<u32>, errno: i32) {
    let statement = |code: u32, yes: u8, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: yes, jf: no, k };
    let load = |at: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let unless = |value: u32, skip: u8| statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
    let answer = |k: u32| statement(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    // The words of seccomp_data: the number of the call at 0, its first argument at 16.
    let mut filter = vec![load(0), unless(call as u32, if argument.is_some() { 3 } else { 1 })];
    if let Some(argument) = argument {
        filter.extend([load(16), unless(argument, 1)]);
    }
    filter.extend([answer(libc::SECCOMP_RET_ERRNO | errno as u32), answer(libc::SECCOMP_RET_ALLOW)]);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the filter program lives during the calls; the kernel copies it.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if !refused {
        harness::skip("no seccomp filters");
    }
}

/// Children are joined and signalled, whichever process forks them.
fn children_are_joined_and_signalled() {
    let check = |start: &dyn Fn(i32) -> Process| {
        let child = start(7);
        assert_eq!(child.join().unwrap().code(), Some(7));
        child.kill().unwrap();
        let child = start(0);
        assert!(child.is_alive());
        assert_eq!(child.join_timeout(Duration::from_millis(5)).unwrap(), None);
        child.terminate().unwrap();
        assert_eq!(child.join().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(active_children(), []);
    };
    let run = |n: i32| if n == 0 { forever(()) } else { std::process::exit(n) };
    check(&|n| Process::spawn(|| run(n)).unwrap());
    check(&|n| Process::spawn_daemon(|| run(n)).unwrap());
    init().unwrap();
    check(&|n| Process::call(run, n).unwrap());
    check(&|n| Process::call_daemon(run, n).unwrap());
    end_ours();
}

fn a_kernel_that_cannot_wait_for_pidfds_is_no_error() {
    refuse(libc::SYS_waitid, Some(libc::P_PIDFD), libc::EINVAL);
    children_are_joined_and_signalled();
}

fn a_kernel_without_pidfds_is_no_error() {
    refuse(libc::SYS_pidfd_open, None, libc::ENOSYS);
    assert!(Process::spawn(|| ()).unwrap().sentinel().is_none());
    children_are_joined_and_signalled();
}

fn a_normal_end_leaves_no_zombie() {
    // This case acts like process 1 of a container: it adopts orphans, and it waits for its own
    // child only.
    for round in 0..5 {
        let words = shared_words(1);
        let mut program = fork_with_code("a program", move || {
            init().unwrap();
            assert_eq!(Process::call(|n: i32| n, 5).unwrap().join().unwrap().code(), Some(5));
            // Runs the exit handlers, like a program that returns from main.
            if round % 2 == 1 {
                std::thread::spawn(|| forever(()));
            }
            words[0].store(1, SeqCst);
            std::process::exit(3)
        });
        wait_for_count("a program", &words[0], 1);
        assert_eq!(program.wait(), Exit::Code(3));
        assert_eq!(own_children(), [], "round {round}");
    }
}

/// Which of these descriptors are pipes, as bits.
fn pipes_among(numbers: &[RawFd]) -> i32 {
    let is_pipe = |number: &RawFd| {
        std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|path| path.to_string_lossy().starts_with("pipe:"))
    };
    (0..).zip(numbers).filter(|(_, number)| is_pipe(number)).map(|(place, _)| 1 << place).sum()
}

fn a_spawned_process_keeps_the_descriptors_that_it_shall_and_no_others() {
    let queue = Queue::<u64>::new(8).unwrap();
    let ((mut reader, end), (_other_reader, other)) = (pipe(), pipe());
    let child = Process::builder().keep_fds([other]).spawn(|| {
        queue.put(&pipes_among(&[end, other]).unsigned_abs().into()).unwrap();
        forever(())
    });
    let child = child.unwrap();
    assert_eq!(queue.get().unwrap(), 2, "the kept one is the second, and queues work");
    // SAFETY: this process owns the descriptor, and does not use it again.
    unsafe { libc::close(end) };
    // Not `WouldBlock`: no process holds the other end, though the child lives.
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert!(child.is_alive());
    child.kill().unwrap();
    child.join().unwrap();
    let (_reader, end) = pipe();
    let child = Process::spawn(|| pipes_among(&[end, other])).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(3), "not asked for, nothing is let go of");
}

fn a_called_process_gets_descriptors_of_the_call_at_their_numbers() {
    let (_reader, before_init) = pipe();
    init().unwrap();
    let (_reader, first) = pipe();
    let (_reader, second) = pipe();
    // SAFETY: fcntl and dup2 take numbers. The new numbers are far above those of the fork server,
    // and one among its own.
    let (far, low) = unsafe { (libc::fcntl(first, libc::F_DUPFD_CLOEXEC, 500), libc::dup2(second, before_init)) };
    let reported = |numbers: [RawFd; 4]| pipes_among(&numbers);
    let numbers = [before_init, first, second, far];
    let child = Process::builder().keep_fds([far, low, second]).call(reported, numbers).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(0b1101));
    // They are the descriptors of the call: what the child writes there arrives here.
    let (mut reader, end) = pipe();
    let write = |number: RawFd| {
        // SAFETY: the descriptor was kept for this purpose, and no other code in the child owns it.
        let mut end = unsafe { std::fs::File::from_raw_fd(number) };
        io::Write::write_all(&mut end, b"from the child")
    };
    let child = Process::builder().keep_fds([end]).call(write, end).unwrap();
    assert!(child.join().unwrap().success());
    let mut said = [0; 32];
    let count = reader.read(&mut said).unwrap();
    assert_eq!(&said[..count], b"from the child");
    // The close-on-exec flag is unchanged. SAFETY: F_GETFD takes any number; an unknown one is an
    // error.
    let closes = |number: RawFd| unsafe { libc::fcntl(number, libc::F_GETFD) };
    for number in [far, end] {
        let code = Process::builder().keep_fds([number]).call(closes, number).unwrap().join().unwrap().code();
        assert_eq!(code, Some(i32::from(number == far)));
    }
    let child = Process::call(reported, numbers).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(1), "those that were open at init");
    end_ours();
}

fn a_descriptor_to_keep_that_is_not_open_is_an_error() {
    for with_init in [false, true] {
        if with_init {
            init().unwrap();
        }
        let refused = [
            Process::builder().keep_fds([999]).spawn(|| ()),
            Process::builder().keep_fds([999]).call(|()| (), ()),
            // SAFETY: there are no other threads.
            unsafe { Process::builder().keep_fds([999]).spawn_unchecked(|| ()) },
        ];
        for refused in refused {
            assert_eq!(errno_of(&refused.unwrap_err()), Some(libc::EBADF));
        }
    }
    end_ours();
}

fn a_process_that_a_worker_spawns_can_be_terminated() {
    let nested = |signal: i32| {
        let child = Process::spawn(|| forever(())).unwrap();
        send_signal(child.pid() as i32, signal);
        (taken(signal), child.join().unwrap().signal())
    };
    set(libc::SIGHUP, libc::SIG_IGN);
    let pool = Pool::new(1).unwrap();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        assert_eq!(pool.apply(nested, signal).unwrap(), (1, Some(signal)), "the worker ignores it, its child does not");
    }
    // All processes ignore the signals that the program ignores.
    let child_of_worker = |()| Process::spawn(|| taken(libc::SIGHUP)).unwrap().join().unwrap().code();
    assert_eq!(pool.apply(child_of_worker, ()).unwrap(), Some(1));
    set(libc::SIGHUP, libc::SIG_DFL);
}

fn one_thread_kills_what_another_joins() {
    init().unwrap();
    let fork = Process::spawn(|| forever(())).unwrap();
    let called = Process::call(forever, ()).unwrap();
    for child in [fork, called] {
        std::thread::scope(|s| {
            let joins: Vec<_> = (0..3).map(|_| s.spawn(|| child.join().unwrap().signal())).collect();
            child.kill().unwrap();
            for join in joins {
                assert_eq!(join.join().unwrap(), Some(libc::SIGKILL));
            }
        });
        assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
    }
    end_ours();
}

fn init_that_comes_too_late_says_what_to_write() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let error = runtime.block_on(async { init().unwrap_err() });
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("#[tokio::main]") && text.contains("plain `fn main`"), "{text}");
    drop(runtime);
    // In a fork server that was started after it was installed, the handler is there.
    init().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let code = runtime.block_on(async { Process::call(|n: i32| n, 5).unwrap().join().unwrap().code() });
    assert_eq!(code, Some(5));
    drop(runtime);
    end_ours();
}
