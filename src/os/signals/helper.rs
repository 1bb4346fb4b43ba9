//! The program's signal dispositions, which a helper saves and restores in its children.
//!
//! The invariants are those of the parent module.

use super::dispositions::{
    Action, Blocked, ENDINGS, FAULTS, IGNORED_AS_WORKER, LAST_SIGNAL, action_of, bit, bits_of, block_only, blocked_now,
    is_handler, plain, reset_worker_ignores, set_action,
};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The signal mask and all dispositions of a process.
#[derive(Clone)]
pub(crate) struct Signals {
    blocked: u64,
    /// By number, from 1.
    actions: Vec<Action>,
}

/// The program's mask and dispositions at the time it requested a process, for a helper that was
/// forked earlier. As bits, so that it can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestedSignals {
    pub blocked: u64,
    pub ignored: u64,
    /// Those with the same handler as when the helper was forked (Invariant 3).
    pub kept: u64,
}

/// The kind of process whose dispositions are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// A process of the program. Without handlers of terminating signals, unless asked for: an
    /// inherited one might write into a pipe of the program's.
    Process { keep_handlers: bool },
    /// A worker, which finishes its task: it ignores terminating signals.
    Worker,
}

impl Signals {
    /// The dispositions of this process and the mask of the calling thread.
    pub fn now() -> Signals {
        Signals { blocked: blocked_now(), actions: (1..=LAST_SIGNAL).map(action_of).collect() }
    }

    fn all(&self) -> impl Iterator<Item = (libc::c_int, &libc::sigaction)> {
        (1..).zip(&self.actions).filter_map(|(signal, action)| Some((signal, action.as_ref()?)))
    }

    /// What a helper that was forked when the program had these needs, to set those of `now` in a
    /// child.
    pub fn asked(&self, now: &Signals) -> RequestedSignals {
        let mut asked = RequestedSignals { blocked: now.blocked, ignored: 0, kept: 0 };
        for ((signal, now), before) in now.all().zip(self.all().map(|(_, action)| action)) {
            if now.sa_sigaction == libc::SIG_IGN {
                asked.ignored |= bit(signal);
            } else if is_handler(now)
                && now.sa_sigaction == before.sa_sigaction
                && now.sa_flags == before.sa_flags
                && bits_of(&now.sa_mask) == bits_of(&before.sa_mask)
            {
                asked.kept |= bit(signal);
            }
        }
        asked
    }

    /// Those that were asked for. `self` is what the program had when this helper was forked.
    fn as_asked(&self, asked: RequestedSignals) -> Signals {
        let action = |(signal, action): (libc::c_int, &Action)| match action {
            Some(action) if asked.kept & bit(signal) != 0 => Some(*action),
            Some(_) if asked.ignored & bit(signal) != 0 => Some(plain(libc::SIG_IGN)),
            Some(_) => Some(plain(libc::SIG_DFL)),
            None => None,
        };
        Signals { blocked: asked.blocked, actions: (1..).zip(&self.actions).map(action).collect() }
    }

    /// Sets them in this process, which has all signals blocked until then (Invariant 1).
    fn set(&self, recipient: Recipient) {
        for (signal, action) in self.all() {
            let ends = ENDINGS.contains(&signal);
            match recipient {
                Recipient::Worker if ends => {
                    if action.sa_sigaction != libc::SIG_IGN {
                        IGNORED_AS_WORKER.fetch_or(bit(signal), Ordering::Relaxed);
                    }
                    set_action(signal, &plain(libc::SIG_IGN));
                }
                Recipient::Process { keep_handlers: false } if ends && is_handler(action) => {
                    set_action(signal, &plain(libc::SIG_DFL));
                }
                _ => set_action(signal, action),
            }
        }
        block_only(self.blocked);
    }
}

/// In a helper: the program's signals.
static PROGRAMS: Mutex<Option<Signals>> = Mutex::new(None);

fn programs() -> MutexGuard<'static, Option<Signals>> {
    // A helper has one thread, and the program itself never locks this.
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a forked child of the program a helper: only KILL ends it, and it saves the program's
/// dispositions.
pub(crate) fn begin_helper(blocked: Blocked) {
    reset_worker_ignores();
    let mut had = Signals::now();
    for (signal, _) in had.all() {
        if signal == libc::SIGCHLD {
            // If it were ignored, the statuses of children would be lost.
            set_action(signal, &plain(libc::SIG_DFL));
        } else if !FAULTS.contains(&signal) {
            set_action(signal, &plain(libc::SIG_IGN));
        }
    }
    had.blocked = blocked.keep_blocked();
    *programs() = Some(had);
}

/// In a child of a helper that is to be a helper itself: updates what the program had to what it
/// has now.
pub(crate) fn remain_helper(asked: RequestedSignals) {
    let mut had = programs();
    *had = had.take().map(|had| had.as_asked(asked));
}

/// In a child of a helper: restores what the program had when the helper was forked or, with
/// `asked`, has now. Does nothing elsewhere.
pub(crate) fn give_back(recipient: Recipient, asked: Option<RequestedSignals>) {
    let Some(had) = programs().take() else { return };
    match asked {
        Some(asked) => had.as_asked(asked).set(recipient),
        None => had.set(recipient),
    }
}
