//! The two processes behind [`init`](super::init): the spawner, which forks when it is asked to, and its parent, the guardian, which
//! stands by. Whichever dies, the other makes a new one.
//!
//! ```text
//!   guardian ──forks──> spawner ──forks──> children           spawner dies:  guardian ──adopts──> children
//!      ^                   │                                                    └─────forks──> spawner
//!      └── who was forked ─┘                                  guardian dies: spawner = guardian ──has──> children
//!                                                                                      └──forks──> spawner
//! ```
//!
//! Invariants:
//! 1. Neither ever has a second thread, so what they fork lacks none; and neither runs code of the program but in children.
//! 2. Both end when the program ends (a pidfd tells, however it ended), or when it closes its end of the socket for requests.
//! 3. Children have none of their descriptors: those are closed first.
//! 4. A child's line (a socket to the program) is held by the spawner, and by the guardian once it has heard of the child, which is before the
//!    program does. Who is the child's parent in the eyes of the kernel tells its status there, and reaps it then. The orphans of a
//!    spawner are the guardian's, which is their subreaper.
//! 5. A child begins when the program says so on the line, and not if the program lets go of it. The socket for the call itself is the
//!    spawner's alone, so its end tells the program that the spawner died. Before the answer, that call has begun nothing, and may be made again.
//! 6. Nothing forks for ever: a number of spawners in a row that die before they are ready end the guardian.

use super::child::{ended, open_pidfd};
use super::travel::entry_at;
use super::{die_with, ignore_interrupts, restore_interrupts, run_child, wire};
use crate::attachment::{self, Leaving};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

/// Bytes of a request before its argument, of an answer, and of what the spawner tells the guardian.
pub(super) const REQUEST_BYTES: usize = 24;
pub(super) const ANSWER_BYTES: usize = 8;
const RECORD_BYTES: usize = 4;
/// In place of a pid: the spawner is ready.
const READY: libc::pid_t = 0;
/// How often they look around where they have no descriptor to poll, or something to try again.
const SLICE_MS: libc::c_int = 10;
/// Spawners in a row that may die before they are ready (Invariant 6).
const MAX_UNREADY: u32 = 10;

/// A child whose end the program wants to know of (Invariant 4).
struct Served {
    pid: libc::pid_t,
    line: OwnedFd,
}

/// What both processes have.
struct Nursery {
    requests: OwnedFd,
    program: libc::pid_t,
    /// A pidfd of the program.
    watch: Option<OwnedFd>,
    signals: Signals,
    children: Vec<Served>,
    /// Spawners in a row that died before they were ready.
    unready: u32,
}

/// The life of either: the exit code.
pub(super) fn live(requests: OwnedFd, program: u32) -> i32 {
    // First: the program may have dropped a handle meanwhile, and left the name to this process.
    attachment::leave_all(Leaving::Alone);
    crate::segment::keep_no_names();
    ignore_interrupts();
    let program = program as libc::pid_t;
    let mut nursery =
        Nursery { requests, program, watch: open_pidfd(program), signals: Signals::begin(), children: Vec::new(), unready: 0 };
    if parent() != program {
        return 0; // and what was watched may be another
    }
    loop {
        if let Some(code) = nursery.split() {
            return code;
        }
    }
}

impl Nursery {
    /// Forks a spawner, and is guardian or spawner until that has to be done again (`None`) or all is over.
    fn split(&mut self) -> Option<i32> {
        let guardian = std::process::id() as libc::pid_t;
        let Ok((heard, told)) = wire::packet_pair() else { return self.try_again() };
        // SAFETY: takes a flag. Before the fork: orphans of the spawner are ours from the beginning.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        // SAFETY: Invariant 1.
        match unsafe { libc::fork() } {
            -1 => self.try_again(),
            0 => {
                drop(heard);
                self.children.clear();
                self.unready = 0;
                self.serve(guardian, &told)
            }
            spawner => {
                drop(told);
                self.guard(spawner, &heard)
            }
        }
    }

    /// No processes, or no memory, for now.
    fn try_again(&self) -> Option<i32> {
        self.wait(&[], true);
        self.is_over().then_some(0)
    }

    /// Is the program gone?
    fn is_over(&self) -> bool {
        match &self.watch {
            Some(pidfd) => super::poll(&[pidfd.as_raw_fd()], 0) == [true],
            // SAFETY: signal 0 asks whether there is such a process.
            None => unsafe { libc::kill(self.program, 0) == -1 },
        }
    }

    /// Sleeps until one of these can be read, a child or the program has ended, or a line is closed; or, if `again`, for a slice.
    fn wait(&self, fds: &[RawFd], again: bool) {
        let own = self.watch.iter().chain(&self.signals.descriptor).map(AsRawFd::as_raw_fd);
        let mut polled: Vec<_> = fds.iter().copied().chain(own).map(|fd| (fd, libc::POLLIN)).collect();
        polled.extend(self.children.iter().map(|child| (child.line.as_raw_fd(), 0)));
        let mut polled: Vec<_> = polled.into_iter().map(|(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect();
        let blind = again || self.watch.is_none() || self.signals.descriptor.is_none();
        // SAFETY: as many pollfds as told.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, if blind { SLICE_MS } else { -1 }) };
        self.signals.forget();
    }

    /// Forgets children whose end was told by the other process, or that nobody asks about.
    fn forget_told(&mut self) {
        let mut polled: Vec<_> =
            self.children.iter().map(|child| libc::pollfd { fd: child.line.as_raw_fd(), events: 0, revents: 0 }).collect();
        // SAFETY: as many pollfds as told.
        if unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, 0) } > 0 {
            let mut over = polled.iter().map(|line| line.revents != 0);
            self.children.retain(|_| !over.next().unwrap_or(false));
        }
    }

    /// Tells the program of a child of ours that has ended, and reaps it.
    fn bury(&mut self, pid: libc::pid_t, status: ExitStatus) {
        if let Some(place) = self.children.iter().position(|child| child.pid == pid) {
            let line = self.children.swap_remove(place).line;
            // Nobody waits for it where this fails.
            let _ = wire::send_now(&line, &status.into_raw().to_ne_bytes(), &[]);
            // SAFETY: shutdown takes numbers. The other process has the same line, and sees this.
            unsafe { libc::shutdown(line.as_raw_fd(), libc::SHUT_RDWR) };
        }
        reap(pid);
    }

    // The guardian.

    /// The guardian's life, until the spawner has died (`None`) or all is over.
    fn guard(&mut self, spawner: libc::pid_t, heard: &OwnedFd) -> Option<i32> {
        loop {
            if self.is_over() {
                // What dies with the spawner dies now.
                // SAFETY: our own child, not reaped.
                unsafe { libc::kill(spawner, libc::SIGKILL) };
                reap(spawner);
                return Some(0);
            }
            self.forget_told();
            self.hear(heard);
            while let Some((pid, status)) = ended(libc::P_ALL, 0, libc::WNOWAIT).ok().flatten() {
                // An orphan's spawner is dead, so all that it told is there to be heard.
                self.hear(heard);
                if pid != spawner {
                    self.bury(pid, status);
                    continue;
                }
                reap(pid);
                if status.success() {
                    return Some(0); // it saw the program close its end
                }
                // What it had reaped itself is not ours to tell.
                self.children.retain(|child| ended(libc::P_PID, child.pid as libc::id_t, libc::WNOWAIT).is_ok());
                self.unready += 1;
                return (self.unready > MAX_UNREADY).then_some(1);
            }
            self.wait(&[heard.as_raw_fd()], false);
        }
    }

    /// Takes what the spawner has told.
    fn hear(&mut self, heard: &OwnedFd) {
        while super::poll(&[heard.as_raw_fd()], 0) == [true] {
            let mut record = [0; RECORD_BYTES];
            let Ok(mut fds) = wire::receive(heard, &mut record) else { return };
            match (libc::pid_t::from_ne_bytes(record), fds.pop()) {
                (READY, _) => self.unready = 0,
                (pid, Some(line)) => {
                    // An older one of that pid has ended.
                    self.children.retain(|child| child.pid != pid);
                    self.children.push(Served { pid, line });
                }
                (_, None) => {} // no descriptors left: it is not ours to tell
            }
        }
    }

    // The spawner.

    /// The spawner's life, until the guardian has died and this is the guardian (`None`), or all is over.
    fn serve(&mut self, guardian: libc::pid_t, told: &OwnedFd) -> Option<i32> {
        let _ = wire::send_now(told, &READY.to_ne_bytes(), &[]);
        let watched = open_pidfd(guardian);
        loop {
            if self.is_over() {
                return Some(0);
            }
            if parent() != guardian {
                return None;
            }
            while let Some((pid, status)) = ended(libc::P_ALL, 0, libc::WNOWAIT).ok().flatten() {
                self.bury(pid, status);
            }
            self.forget_told();
            if super::poll(&[self.requests.as_raw_fd()], 0) == [true] {
                let others: Vec<RawFd> = watched.iter().chain([told]).map(AsRawFd::as_raw_fd).collect();
                match self.serve_one(told, &others) {
                    Ok(()) => {}
                    Err(error) => return Some(i32::from(error.kind() != io::ErrorKind::UnexpectedEof)),
                }
                continue;
            }
            let fds: Vec<RawFd> = watched.iter().chain([&self.requests]).map(AsRawFd::as_raw_fd).collect();
            self.wait(&fds, watched.is_none());
        }
    }

    /// Serves one request. An error: there will be no more.
    fn serve_one(&mut self, told: &OwnedFd, others: &[RawFd]) -> io::Result<()> {
        let mut fds = wire::receive(&self.requests, &mut [0])?;
        if fds.len() < 2 {
            return Ok(()); // no descriptors left: the program sees the end of its call
        }
        let (call, line) = (fds.remove(0), fds.remove(0));
        let mut request = [0; REQUEST_BYTES];
        let word = |request: &[u8], at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| request[at + byte]));
        let mut argument = Vec::new();
        let read = wire::receive(&call, &mut request).and_then(|_| {
            argument.resize(word(&request, 8) as usize, 0);
            if argument.is_empty() { Ok(Vec::new()) } else { wire::receive(&call, &mut argument) }
        });
        if read.is_err() {
            return Ok(()); // nobody asks any more
        }
        let spawner = std::process::id();
        // SAFETY: Invariant 1.
        let (pid, error) = match unsafe { libc::fork() } {
            0 => {
                // Invariant 3. By number: the frames that own them are never left.
                let children = self.children.iter().map(|child| child.line.as_raw_fd());
                let own = [self.requests.as_raw_fd(), call.as_raw_fd()].into_iter();
                let own = own.chain(self.watch.iter().chain(&self.signals.descriptor).map(AsRawFd::as_raw_fd));
                for fd in children.chain(own).chain(others.iter().copied()) {
                    // SAFETY: open, and used by nobody in this process any more.
                    unsafe { libc::close(fd) };
                }
                restore_interrupts();
                self.signals.restore();
                if word(&request, 16) != 0 {
                    die_with(spawner);
                }
                // SAFETY: the program sent what `distance` gave for an `Entry<i32>`, and this process is a copy of it (travel, Invariant 1).
                let entry = unsafe { entry_at::<i32>(word(&request, 0) as i64) };
                run_child(move || {
                    let begins = wire::receive(&line, &mut [0]).is_ok();
                    drop(line);
                    // Invariant 5.
                    if !begins {
                        return 0;
                    }
                    super::call::hand_over(fds);
                    entry(&argument)
                })
            }
            -1 => (-1, io::Error::last_os_error().raw_os_error().unwrap_or(0)),
            pid => (pid, 0),
        };
        drop(fds);
        let pidfd = if pid > 0 { open_pidfd(pid) } else { None };
        if pid > 0 {
            // A guardian that is stopped, and full of what it was told, is not waited for.
            let _ = wire::send_now(told, &pid.to_ne_bytes(), &[line.as_raw_fd()]);
        }
        let mut answer = [0; ANSWER_BYTES];
        answer[..4].copy_from_slice(&pid.to_ne_bytes());
        answer[4..].copy_from_slice(&error.to_ne_bytes());
        let sent: Vec<RawFd> = pidfd.iter().map(AsRawFd::as_raw_fd).collect();
        // If it fails, nobody asks any more, and nothing begins (Invariant 5).
        let _ = wire::send(&call, &answer, &sent);
        if pid > 0 {
            self.children.push(Served { pid, line });
        }
        Ok(())
    }
}

fn parent() -> libc::pid_t {
    // SAFETY: getppid has no preconditions.
    unsafe { libc::getppid() }
}

/// Takes the status of a child of ours that has ended, or is about to.
fn reap(pid: libc::pid_t) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
}

/// How both hear that a child has ended, whoever's it was: the signal is blocked, and waits in a descriptor.
struct Signals {
    /// `None`: the kernel refused it.
    descriptor: Option<OwnedFd>,
    /// What was blocked, and what became of the signal, in the program: its children have it so.
    blocked: libc::sigset_t,
    handler: libc::sighandler_t,
}

impl Signals {
    fn begin() -> Signals {
        // SAFETY: a sigset_t is plain words, filled by sigemptyset and by pthread_sigmask before they are read; the default disposition runs
        // no code. A program that ignores the signal would take the statuses away.
        unsafe {
            let (mut ended, mut blocked): (libc::sigset_t, libc::sigset_t) = (mem::zeroed(), mem::zeroed());
            libc::sigemptyset(&mut ended);
            libc::sigaddset(&mut ended, libc::SIGCHLD);
            let handler = libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            libc::pthread_sigmask(libc::SIG_BLOCK, &ended, &mut blocked);
            let fd = libc::signalfd(-1, &ended, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
            Signals { descriptor: (fd >= 0).then(|| OwnedFd::from_raw_fd(fd)), blocked, handler }
        }
    }

    /// Takes the signals that came: what they tell is looked for anyway.
    fn forget(&self) {
        let Some(descriptor) = &self.descriptor else { return };
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: room for one; it does not block.
        while unsafe { libc::read(descriptor.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) } > 0 {}
    }

    /// In a child.
    fn restore(&self) {
        // SAFETY: what `begin` found.
        unsafe {
            if self.handler != libc::SIG_ERR {
                libc::signal(libc::SIGCHLD, self.handler);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.blocked, ptr::null_mut());
        }
    }
}
