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

use super::child::{end_parent, ended};
use super::ends::Ends;
use super::place::{Placed, place, unplaceable};
use super::request::{Answer, Place, Refused, Request, read_request};
use super::reserve::Reserve;
use super::spawn::shed;
use super::{run_child, tell_stderr, wire};
use crate::attachment::{self, Leaving};
use crate::os::{Parent, Recipient, die_with, give_back, open_pidfd, parent_is_elsewhere, parent_pid, remain_helper};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::time::{Duration, Instant};

/// Bytes of what the spawner tells the guardian.
const RECORD_BYTES: usize = 4;
/// In place of a pid: the spawner is ready.
const READY: libc::pid_t = 0;
/// How often they look around where they have no descriptor to poll, or something to try again.
const SLICE_MS: libc::c_int = 10;
/// How long a guardian may take to end when all is over, which takes it no time unless it was stopped.
const GRACE: Duration = Duration::from_secs(1);
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
    program: Parent,
    /// The program is in another PID namespace: pids of ours are not its.
    is_elsewhere: bool,
    ends: Ends,
    children: Vec<Served>,
    /// Spawners in a row that died before they were ready.
    unready: u32,
    reserve: Reserve,
}

/// The life of either, a helper from its beginning: the exit code.
pub(super) fn live(requests: OwnedFd, program: Parent) -> i32 {
    // First: the program may have dropped a handle meanwhile, and left the name to this process.
    attachment::leave_all(Leaving::Alone);
    crate::shm::segment::keep_no_names();
    if program.has_ended() {
        return 0;
    }
    let is_elsewhere = parent_is_elsewhere();
    let (ends, children) = (Ends::begin(), Vec::new());
    let mut nursery = Nursery { requests, program, is_elsewhere, ends, children, unready: 0, reserve: Reserve::new() };
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
        let (heard, told) = match wire::packet_pair() {
            Ok(ends) => ends,
            Err(error) => return self.try_again(&error),
        };
        // SAFETY: takes a flag. Before the fork: orphans of the spawner are ours from the beginning.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        // SAFETY: Invariant 1.
        match unsafe { libc::fork() } {
            -1 => self.try_again(&io::Error::last_os_error()),
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

    /// No processes, or no memory, for now. There is no spawner meanwhile: ends of children are told
    /// all the same, and a call is refused as the spawner would refuse it, with what the system said.
    fn try_again(&mut self, why: &io::Error) -> Option<i32> {
        self.forget_told();
        while let Some((pid, status)) = ended(libc::P_ALL, 0, libc::WNOWAIT).ok().flatten() {
            self.bury(pid, status);
        }
        let requests = self.requests.as_raw_fd();
        if super::poll(&[requests], 0) == [true] {
            if let Err(error) = self.refuse_one(why) {
                return Some(i32::from(error.kind() != io::ErrorKind::UnexpectedEof));
            }
        } else {
            self.wait(&[requests], true);
        }
        self.is_over().then_some(0)
    }

    /// Refuses one request. An error: there will be no more.
    fn refuse_one(&mut self, why: &io::Error) -> io::Result<()> {
        self.reserve.release();
        let received = wire::receive(&self.requests, &mut [0]);
        let received = received.map(|fds| {
            // The first is the call; what else the program sent is let go of.
            if let Some(call) = fds.into_iter().next() {
                let errno = why.raw_os_error().unwrap_or(libc::EAGAIN);
                let _ = wire::send(&call, &Answer::Refused { call: Refused::Fork, errno }.to_bytes(), &[]);
            }
        });
        let _ = self.reserve.fill();
        received
    }

    /// Is the program gone?
    fn is_over(&self) -> bool {
        self.program.is_gone()
    }

    /// Sleeps until one of these can be read, a child or the program has ended, or a line is closed; or, if `again`, for a slice.
    fn wait(&self, fds: &[RawFd], again: bool) {
        let watch = self.program.pidfd();
        let own = watch.into_iter().chain(self.ends.number());
        let mut polled: Vec<_> = fds.iter().copied().chain(own).map(|fd| (fd, libc::POLLIN)).collect();
        polled.extend(self.children.iter().map(|child| (child.line.as_raw_fd(), 0)));
        let mut polled: Vec<_> = polled.into_iter().map(|(fd, events)| libc::pollfd { fd, events, revents: 0 }).collect();
        let blind = again || watch.is_none() || self.ends.number().is_none();
        // SAFETY: as many pollfds as told.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, if blind { SLICE_MS } else { -1 }) };
        self.ends.forget();
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

    /// The guardian ends the spawner when all is over; one that is stopped is ended by the spawner.
    fn outlast(guardian: libc::pid_t, watched: Option<&OwnedFd>) {
        let begun = Instant::now();
        while parent_pid() == guardian && begun.elapsed() < GRACE {
            super::poll(&watched.map(AsRawFd::as_raw_fd).into_iter().collect::<Vec<_>>(), SLICE_MS);
        }
        end_parent(guardian, watched);
    }

    /// The spawner's life, until the guardian has died and this is the guardian (`None`), or all is over.
    fn serve(&mut self, guardian: libc::pid_t, told: &OwnedFd) -> Option<i32> {
        let _ = wire::send_now(told, &READY.to_ne_bytes(), &[]);
        let watched = open_pidfd(guardian);
        loop {
            if self.is_over() {
                Self::outlast(guardian, watched.as_ref());
                return Some(0);
            }
            if parent_pid() != guardian {
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
                    Err(error) => {
                        // It ends when it sees us end, which a stopped one does not.
                        if parent_pid() == guardian {
                            // SAFETY: any numbers may be passed; one that is not stopped does not notice.
                            unsafe { libc::kill(guardian, libc::SIGCONT) };
                        }
                        return Some(i32::from(error.kind() != io::ErrorKind::UnexpectedEof));
                    }
                }
                continue;
            }
            let fds: Vec<RawFd> = watched.iter().chain([&self.requests]).map(AsRawFd::as_raw_fd).collect();
            self.wait(&fds, watched.is_none());
        }
    }

    /// Serves one request. An error: there will be no more.
    fn serve_one(&mut self, told: &OwnedFd, others: &[RawFd]) -> io::Result<()> {
        let mut sent = [0];
        self.reserve.release();
        let received = wire::receive(&self.requests, &mut sent);
        let filled = self.reserve.fill();
        let mut fds = received?.into_iter();
        let Some(call) = fds.next() else { return Ok(()) }; // nothing came: the program sees the end of its call
        let mut rest: Vec<OwnedFd> = fds.collect();
        let refuse = |reserve: &mut Reserve, rest: Vec<OwnedFd>, error: io::Error| {
            // The line, too: what the program sent is let go of, and the numbers are free again.
            drop(rest);
            let _ = reserve.fill();
            let errno = error.raw_os_error().unwrap_or(libc::EMFILE);
            let _ = wire::send(&call, &Answer::Refused { call: Refused::Descriptors, errno }.to_bytes(), &[]);
        };
        if let Err(error) = filled {
            refuse(&mut self.reserve, rest, error);
            return Ok(());
        }
        if rest.len() + 1 != usize::from(sent[0]) || rest.is_empty() {
            refuse(&mut self.reserve, rest, io::Error::from_raw_os_error(libc::EMFILE));
            return Ok(());
        }
        let line = rest.remove(0);
        let Ok((request, places, argument)) = read_request(&call) else { return Ok(()) }; // the program asks no more
        if let Some(errno) = unplaceable(&places) {
            refuse(&mut self.reserve, rest, io::Error::from_raw_os_error(errno));
            return Ok(());
        }
        let this = Parent::here();
        // SAFETY: Invariant 1.
        let forked = match unsafe { libc::fork() } {
            0 => {
                // Invariant 3. By number: the frames that own them are never left.
                self.reserve.release();
                let children = self.children.iter().map(|child| child.line.as_raw_fd());
                let own = [self.requests.as_raw_fd(), call.as_raw_fd()].into_iter();
                let own = own.chain(self.program.pidfd()).chain(self.ends.number());
                for fd in children.chain(own).chain(others.iter().copied()) {
                    // SAFETY: open, and used by nobody in this process any more.
                    unsafe { libc::close(fd) };
                }
                if request.dies_with_us() {
                    die_with(&this);
                }
                drop(this);
                self.begin(request, line, rest, &places, argument)
            }
            -1 => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
            pid => Ok(pid),
        };
        drop((rest, this));
        let (pid, errno) = match forked {
            Ok(pid) => (pid, 0),
            Err(errno) => (0, errno),
        };
        self.reserve.release_one();
        let pidfd = if pid > 0 { open_pidfd(pid) } else { None };
        if pid > 0 {
            // A guardian that is stopped, and full of what it was told, is not waited for.
            let _ = wire::send_now(told, &pid.to_ne_bytes(), &[line.as_raw_fd()]);
        }
        let answer = match pid {
            0 => Answer::Refused { call: Refused::Fork, errno },
            pid => Answer::Forked { pid, has_pidfd: pidfd.is_some(), is_elsewhere: self.is_elsewhere },
        };
        let sent: Vec<RawFd> = pidfd.iter().map(AsRawFd::as_raw_fd).collect();
        // If it fails, nobody asks any more, and nothing begins (Invariant 5).
        let _ = wire::send(&call, &answer.to_bytes(), &sent);
        if pid > 0 {
            self.children.push(Served { pid, line });
        }
        drop((pidfd, call));
        let _ = self.reserve.fill();
        Ok(())
    }

    /// The child's life.
    fn begin(&self, request: Request, line: OwnedFd, mut handed_over: Vec<OwnedFd>, places: &[Place], argument: Vec<u8>) -> ! {
        run_child(move || {
            let kept = handed_over.split_off(handed_over.len() - places.len());
            let kept: Vec<Placed> = kept.into_iter().zip(places).map(|(fd, &(number, exec))| (fd, number, exec)).collect();
            handed_over.push(line);
            if let Err(error) = place(kept, &mut handed_over) {
                tell_stderr(format_args!("Error: descriptors of a call cannot be placed: {error}"));
                return 1;
            }
            if request.sheds() {
                let known = handed_over.iter().map(AsRawFd::as_raw_fd).chain(places.iter().map(|&(number, _)| number));
                shed(&known.collect::<Vec<_>>());
            }
            if request.is_helper() {
                remain_helper(request.signals);
            } else {
                give_back(Recipient::Process { keep_handlers: request.keep_handlers() }, Some(request.signals));
            }
            let Some(line) = handed_over.pop() else { return 1 };
            let begins = wire::receive(&line, &mut [0]).is_ok();
            drop(line);
            // Invariant 5.
            if !begins {
                return 0;
            }
            super::call::hand_over(handed_over);
            // SAFETY: the program, of which this process is a copy, sent it.
            let entry = unsafe { request.entry() };
            entry(&argument)
        })
    }
}

/// Takes the status of a child of ours that has ended, or is about to.
fn reap(pid: libc::pid_t) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
}
