//! The processes of a round: forked, or started by the Python program.

use super::{
    ledger::{Ledger, Role},
    roles::Roles,
};
use crate::forked::{Host, kernel};
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/killed.py");

/// How the processes of a round are started.
pub enum Team {
    Forked(Box<dyn Roles>),
    /// A kind of the Python program's.
    Python(&'static str),
}

/// A process of a round.
pub struct Peer {
    pub role: Role,
    pid: libc::pid_t,
    /// The process cannot be mistaken for a later one with its number.
    fd: OwnedFd,
    /// Ours to wait for; else the Python program's.
    is_child: bool,
}

impl Peer {
    fn new(role: Role, pid: libc::pid_t, is_child: bool) -> io::Result<Peer> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: new and ours.
        Ok(Peer { role, pid, fd: unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }, is_child })
    }

    pub fn kill(&self) {
        // SAFETY: the signal information may be null.
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), libc::SIGKILL, std::ptr::null::<libc::siginfo_t>(), 0)
        };
    }

    /// Has it ended? Waits that many milliseconds for it.
    pub fn is_gone(&self, millis: libc::c_int) -> bool {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to a local.
        unsafe { libc::poll(&mut poll, 1, millis) == 1 }
    }

    /// Asleep in the kernel, by its own choice.
    pub fn is_asleep(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    }

    /// How long it has waited for a processor in all its life.
    pub fn starved(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", self.pid)).unwrap_or_default();
        Duration::from_nanos(stat.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
    }

    /// Lets others go first: a process that hangs may spin.
    pub fn step_back(&self) {
        // SAFETY: no pointers. If it has ended, nothing happens.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, self.pid as libc::id_t, 15) };
    }
}

/// A channel, and the processes around it.
pub struct Party<'t> {
    roles: Starter<'t>,
    ledger: Ledger,
    peers: Vec<Peer>,
}

enum Starter<'t> {
    Forked { roles: &'t dyn Roles, host: Box<dyn Host>, name: String },
    Python(&'t mut Python),
}

impl<'t> Party<'t> {
    /// With a fresh channel.
    pub fn new(team: &'t Team, python: &'t mut Option<Python>, ledger: Ledger, name: &str) -> io::Result<Party<'t>> {
        let roles = match team {
            Team::Forked(roles) => Starter::Forked { roles: &**roles, host: roles.create(name), name: name.to_owned() },
            Team::Python(kind) => {
                let python = match python {
                    Some(python) => python,
                    None => python.insert(Python::start(kind, ledger)?),
                };
                python.ask("channel")?;
                Starter::Python(python)
            }
        };
        Ok(Party { roles, ledger, peers: Vec::new() })
    }

    pub fn start(&mut self, role: Role) -> io::Result<()> {
        let ledger = self.ledger;
        let peer = match &mut self.roles {
            Starter::Forked { roles, name, .. } => Peer::new(role, kernel::fork(|| roles.play(role, &ledger, name)), true)?,
            Starter::Python(python) => {
                let word = if role.produces() { "produce" } else { "consume" };
                let pid = python.ask(&format!("{word} {}", role.index()))?;
                Peer::new(role, pid.parse().map_err(|_| io::Error::other(format!("no pid: {pid}")))?, false)?
            }
        };
        self.peers.push(peer);
        Ok(())
    }

    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    pub fn peer(&self, role: Role) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.role == role)
    }

    /// Kills a process and waits until it is dead.
    pub fn kill(&mut self, role: Role) {
        if let Some(at) = self.peers.iter().position(|peer| peer.role == role) {
            self.peers[at].kill();
            let peer = self.peers.swap_remove(at);
            self.reap(&peer);
        }
    }

    /// The status of a process that has ended: its exit code, or its signal negated.
    pub fn reap(&mut self, peer: &Peer) -> i32 {
        if peer.is_child {
            return kernel::ended(peer.pid, true).unwrap_or(0);
        }
        peer.is_gone(5000);
        match &mut self.roles {
            Starter::Python(python) => {
                python.ask(&format!("ended {}", peer.pid)).ok().and_then(|status| status.parse().ok()).unwrap_or(0)
            }
            Starter::Forked { .. } => 0,
        }
    }

    /// The first survivor that has ended, with its status.
    pub fn ended(&mut self) -> Option<(Role, i32)> {
        let at = self.peers.iter().position(|peer| peer.is_gone(0))?;
        let peer = self.peers.swap_remove(at);
        let status = self.reap(&peer);
        Some((peer.role, status))
    }
}

impl Drop for Party<'_> {
    /// Nothing is left: no process and no name.
    fn drop(&mut self) {
        self.peers.iter().for_each(Peer::kill);
        for peer in std::mem::take(&mut self.peers) {
            self.reap(&peer);
        }
        if let Starter::Forked { host, .. } = &self.roles {
            host.unlink();
        }
    }
}

/// The Python program, which starts the processes of its channels.
pub struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start(kind: &str, ledger: Ledger) -> io::Result<Python> {
        let python = env::var_os("SHMQ_COMPARE_PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(python);
        command.arg(SCRIPT).arg(kind).arg(ledger.fd().to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let missing = || io::Error::other("no pipe");
        let to = child.stdin.take().ok_or_else(missing)?;
        let from = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Python { child, to, from })
    }

    fn ask(&mut self, what: &str) -> io::Result<String> {
        writeln!(self.to, "{what}")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        if answer.is_empty() {
            return Err(io::Error::other(format!("the Python program ended at: {what}")));
        }
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _it_may_have_ended = writeln!(self.to, "end");
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline && !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _it_has_ended = self.child.kill();
        let _status = self.child.wait();
    }
}
