//! What a helper remembers of the program's signals, and gives back to its children.
//!
//! The invariants are those of the parent module.

use super::dispositions::{
    Action, Blocked, ENDINGS, FAULTS, IGNORED_FOR_WORK, LAST_SIGNAL, action_of, bit, bits_of, block_only, blocked_now,
    ignore_for_work_no_more, is_handler, plain, set_action,
};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a process blocks, and does with each signal.
#[derive(Clone)]
pub(crate) struct Signals {
    blocked: u64,
    /// By number, from 1.
    actions: Vec<Action>,
}

/// What the program had when it asked for a process, for a helper that is a copy of it as it was
/// earlier. Bits, so that it travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub blocked: u64,
    pub ignored: u64,
    /// Those with the same handler as when the helper was forked (Invariant 3).
    pub kept: u64,
}

/// The kind of process that gets back what the program had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// A process of the program's own. Without its handlers of endings, unless it wants them: one
    /// that was inherited would write into a pipe of the program's.
    Process { keep_handlers: bool },
    /// A worker that finishes what it has: it ignores what would end it.
    Worker,
}

impl Signals {
    /// Those of this process, with the mask of the calling thread.
    pub fn now() -> Signals {
        Signals { blocked: blocked_now(), actions: (1..=LAST_SIGNAL).map(action_of).collect() }
    }

    fn all(&self) -> impl Iterator<Item = (libc::c_int, &libc::sigaction)> {
        (1..).zip(&self.actions).filter_map(|(signal, action)| Some((signal, action.as_ref()?)))
    }

    /// What a helper that was forked when these were the program's needs to know to give a child
    /// those of `now`.
    pub fn asked(&self, now: &Signals) -> Asked {
        let mut asked = Asked { blocked: now.blocked, ignored: 0, kept: 0 };
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

    /// Those that were asked for, in the helper that these were the program's for.
    fn as_asked(&self, asked: Asked) -> Signals {
        let action = |(signal, action): (libc::c_int, &Action)| match action {
            Some(action) if asked.kept & bit(signal) != 0 => Some(*action),
            Some(_) if asked.ignored & bit(signal) != 0 => Some(plain(libc::SIG_IGN)),
            Some(_) => Some(plain(libc::SIG_DFL)),
            None => None,
        };
        Signals { blocked: asked.blocked, actions: (1..).zip(&self.actions).map(action).collect() }
    }

    /// Sets them in this process, whose signals are blocked until then (Invariant 1).
    fn set(&self, recipient: Recipient) {
        for (signal, action) in self.all() {
            let ends = ENDINGS.contains(&signal);
            match recipient {
                Recipient::Worker if ends => {
                    if action.sa_sigaction != libc::SIG_IGN {
                        IGNORED_FOR_WORK.fetch_or(bit(signal), Ordering::Relaxed);
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

/// In a helper: what the program had.
static PROGRAMS: Mutex<Option<Signals>> = Mutex::new(None);

fn programs() -> MutexGuard<'static, Option<Signals>> {
    // A helper has one thread, and a program's copy of this is never locked.
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a forked child of the program: from now on a helper, which no signal ends but KILL, and which
/// remembers what the program had.
pub(crate) fn begin_helper(blocked: Blocked) {
    ignore_for_work_no_more();
    let mut had = Signals::now();
    for (signal, _) in had.all() {
        if signal == libc::SIGCHLD {
            // Ignored, it would take the statuses of children away.
            set_action(signal, &plain(libc::SIG_DFL));
        } else if !FAULTS.contains(&signal) {
            set_action(signal, &plain(libc::SIG_IGN));
        }
    }
    had.blocked = blocked.for_ever();
    *programs() = Some(had);
}

/// In a child of a helper that is a helper itself, for a program that asks so now.
pub(crate) fn remain_helper(asked: Asked) {
    let mut had = programs();
    *had = had.take().map(|had| had.as_asked(asked));
}

/// In a child of a helper: what the program had when the helper was forked or, if it `asked`, has
/// now. Does nothing elsewhere.
pub(crate) fn give_back(recipient: Recipient, asked: Option<Asked>) {
    let Some(had) = programs().take() else { return };
    match asked {
        Some(asked) => had.as_asked(asked).set(recipient),
        None => had.set(recipient),
    }
}
