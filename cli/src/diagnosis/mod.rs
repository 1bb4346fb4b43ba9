//! From what is seen to what is wrong: the rules of `shmq doctor`, of which `ls` and `top` show the first that applies.
//!
//! Findings come in the order of how surely they are the cause of others: a stopped process before the full queue that follows from it.

mod condition;
mod deadlock;
mod letters;

use crate::json;
use crate::words::{self, messages};
use shmq::inspect::{About, Hold, Holding, Participant, Predecessor, ProcessState, Snapshot, State};
use std::time::Duration;

/// Waits shorter than this are everyday life.
const LONG: Duration = Duration::from_secs(1);
/// A message delivered as often as this without being finished is probably what its takers die of.
const MANY_DELIVERIES: u32 = 3;

/// What took the place of a dead segment, and no message went with that.
const REPLACED: &str = "replaced";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work.
    Trouble,
    /// Worth knowing.
    Notice,
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub severity: Severity,
    /// A word for programs.
    pub code: &'static str,
    /// A few words for a column.
    pub headline: String,
    pub explanation: String,
    pub advice: String,
}

impl Finding {
    /// Is it worth a line's last column?
    pub fn is_for_a_list(&self) -> bool {
        self.code != REPLACED
    }
}

/// A queue, seen once or twice.
pub struct Sight<'a> {
    pub name: &'a str,
    pub about: &'a About,
    pub before: Option<&'a Snapshot>,
    pub now: &'a Snapshot,
}

/// All findings, those that trouble first.
pub fn diagnose(sight: &Sight<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    sight.condition(&mut findings);
    sight.lost_name(&mut findings);
    sight.stopped(&mut findings);
    sight.dead(&mut findings);
    sight.dead_letters(&mut findings);
    sight.open_loan(&mut findings);
    let is_deadlocked = sight.deadlock(&mut findings);
    // Which is why.
    if !is_deadlocked {
        sight.full(&mut findings);
    }
    sight.came_back(&mut findings);
    if !is_deadlocked {
        sight.waiting_getters(&mut findings);
        sight.long_held(&mut findings);
    }
    sight.joins(&mut findings);
    sight.table(&mut findings);
    sight.predecessor(&mut findings);
    findings.sort_by_key(|finding| finding.severity);
    findings
}

impl Sight<'_> {
    /// The queue's name as an argument of a command.
    fn argument(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@%+,".contains(c);
        if self.name.chars().all(plain) && !self.name.starts_with('-') {
            return self.name.to_owned();
        }
        if words::is_shown_as_it_is(self.name) {
            return format!("-- '{}'", self.name.replace('\'', "'\\''"));
        }
        // What a terminal would not show, or take for a command, in the words of a shell.
        let byte = |byte: u8| match byte {
            b'\'' | b'\\' => format!("\\{}", char::from(byte)),
            0x20..0x7f => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        };
        format!("-- $'{}'", self.name.bytes().map(byte).collect::<String>())
    }

    fn person(&self, participant: &Participant) -> String {
        self.pid_in_words(participant.pid)
    }

    /// `process 4711 (worker)`
    fn pid_in_words(&self, pid: u32) -> String {
        let known = self.now.participants.iter().find(|participant| participant.pid == pid);
        match known.and_then(|participant| participant.program.as_deref()) {
            Some(program) => format!("process {pid} ({})", words::escaped(program)),
            None if pid == 0 => "a process that is gone".to_owned(),
            None => format!("process {pid}"),
        }
    }

    fn held_by(&self, pid: u32) -> String {
        let of_it = |what| self.now.holdings.iter().filter(|held| held.pid == pid && held.what == what).count();
        let mut parts = Vec::new();
        for what in [Hold::Producer, Hold::Consumer, Hold::PutLock, Hold::GetLock] {
            if of_it(what) != 0 {
                parts.push(match what {
                    Hold::Producer => "the put side (as its Producer)".to_owned(),
                    Hold::Consumer => "the get side (as its Consumer)".to_owned(),
                    other => format!("the {}", json::hold_word(other)),
                });
            }
        }
        for (what, where_) in [(Hold::Lease, "on lease"), (Hold::Loan, "on loan")] {
            match of_it(what) {
                0 => {}
                1 => parts.push(format!("1 message {where_}")),
                n => parts.push(format!("{n} messages {where_}")),
            }
        }
        parts.join(", ")
    }

    /// Was anything taken (or put) between the two looks? `None`: there was one look.
    fn moved(&self, counter: impl Fn(&Snapshot) -> u64) -> Option<bool> {
        self.before.map(|before| counter(before) != counter(self.now))
    }

    fn getters(&self) -> Vec<&Participant> {
        let gets = |participant: &&Participant| participant.alive && crate::ls::role(participant, self.now).contains("get");
        let consumes =
            |participant: &&Participant| participant.alive && crate::ls::role(participant, self.now).contains("consumer");
        self.now.participants.iter().filter(|participant| gets(participant) || consumes(participant)).collect()
    }

    fn people(&self, participants: &[&Participant]) -> String {
        participants.iter().map(|participant| self.person(participant)).collect::<Vec<_>>().join(", ")
    }

    fn stopped(&self, findings: &mut Vec<Finding>) {
        let stopped = self.now.participants.iter().filter(|p| p.alive && p.process == ProcessState::Stopped);
        for participant in stopped {
            let pid = participant.pid;
            let role = crate::ls::role(participant, self.now);
            let held = self.held_by(pid);
            let holds = if held.is_empty() { "It holds nothing.".to_owned() } else { format!("It holds {held}.") };
            let does = match role {
                "" => String::new(),
                role => format!(" {}", part_in_words(role)),
            };
            let consequence = match role {
                role if role.contains("get") || role.contains("consumer") => {
                    format!(" {} for it, or for another getter.", messages_wait(self.now.messages))
                }
                _ => String::new(),
            };
            findings.push(Finding {
                severity: if role.is_empty() && held.is_empty() { Severity::Notice } else { Severity::Trouble },
                code: "stopped",
                headline: format!("{} is stopped", short(role, pid)),
                explanation: format!(
                    "{} is stopped (SIGSTOP, Ctrl-Z, or a debugger): it is alive, so it keeps what it holds, and it does not run. \
                     {holds}{does}{consequence}",
                    capitalised(&self.person(participant))
                ),
                advice: format!(
                    "Let it go on: `kill -CONT {pid}` (a debugger may hold it still). Or end it: `kill -KILL {pid}`{}.",
                    if held.is_empty() { "; start another in its place" } else { "; what it holds then comes back by itself" }
                ),
            });
        }
    }

    fn dead(&self, findings: &mut Vec<Finding>) {
        if self.now.state == State::Stale {
            return;
        }
        let name = self.argument();
        let mut pids: Vec<u32> = self.now.participants.iter().filter(|p| !p.alive).map(|p| p.pid).collect();
        pids.extend(self.now.holdings.iter().filter(|held| !held.alive).map(|held| held.pid));
        pids.sort_unstable();
        pids.dedup();
        for pid in pids {
            let held = self.held_by(pid);
            let who = self.pid_in_words(pid);
            if held.is_empty() {
                findings.push(notice(
                    "died",
                    format!("{pid} died"),
                    format!("{} died without leaving (killed, or ended by `_exit`). It holds nothing.", capitalised(&who)),
                    format!("Nothing to do; its entry is used again. `shmq recover {name}` forgets it now."),
                ));
                continue;
            }
            let leases = self.count_of(pid, Hold::Lease);
            let headline = match leases {
                0 => format!("{pid} died holding {held}"),
                1 => format!("{pid} died with a lease"),
                n => format!("{pid} died with {n} leases"),
            };
            // A lease comes back to getters; what else the dead hold stands in the way of both.
            let only_leases = self.now.holdings.iter().all(|held| held.pid != pid || held.what == Hold::Lease);
            let heirs = if only_leases { "in a get" } else { "in a get or a put" };
            let redelivery = match leases {
                0 => "",
                1 => " Its message is not lost: it is delivered again, before newer ones.",
                _ => " None of its messages is lost: they are delivered again, before newer ones.",
            };
            findings.push(trouble(
                "died-holding",
                headline,
                format!(
                    "{} died (killed, or crashed) while it held {held}.{redelivery} Whoever waits {heirs} takes over \
                     within 0.1 s; that it is still held says that nobody waits there.",
                    capitalised(&who)
                ),
                if leases == 0 {
                    format!("Start it again, or a getter; or `shmq recover {name}` frees what it holds at once.")
                } else {
                    format!(
                        "Start a getter: it takes over by itself, and may be the second to work on such a message. `shmq recover {name}` \
                         puts {} back into the queue at once. See what {pid} died of.",
                        if leases == 1 { "it" } else { "them" }
                    )
                },
            ));
        }
    }

    fn count_of(&self, pid: u32, what: Hold) -> usize {
        self.now.holdings.iter().filter(|held| held.pid == pid && held.what == what).count()
    }

    fn open_loan(&self, findings: &mut Vec<Finding>) {
        let blocked = self.now.participants.iter().filter_map(|p| p.get_waits).any(|waits| waits.since >= LONG);
        let Some(loan) = self.now.holdings.iter().find(|held| held.what == Hold::Loan && held.alive) else { return };
        if !blocked || self.now.messages == 0 || self.moved(|seen| seen.stats.gets) == Some(true) {
            return;
        }
        findings.push(trouble(
            "open-loan",
            format!("{} holds a loan open", loan.pid),
            format!(
                "{} has a message on loan that it has neither committed nor dropped; the {} behind it cannot be taken before.",
                capitalised(&self.pid_in_words(loan.pid)),
                messages(self.now.messages)
            ),
            format!("See what process {} does. If it is killed, its loan is aborted.", loan.pid),
        ));
    }

    fn full(&self, findings: &mut Vec<Finding>) {
        let waiting: Vec<&Participant> = self.now.participants.iter().filter(|p| p.put_waits.is_some()).collect();
        let Some(longest) = waiting.iter().filter_map(|p| p.put_waits).map(|waits| waits.since).max() else { return };
        let flows = self.moved(|seen| seen.stats.gets + seen.stats.puts) == Some(true);
        let severity = if flows || longest < LONG { Severity::Notice } else { Severity::Trouble };
        let getters = self.getters();
        let stopped: Vec<&Participant> = getters.iter().copied().filter(|p| p.process == ProcessState::Stopped).collect();
        let leased = self.now.holdings.iter().find(|held| held.what == Hold::Lease);
        let is_all_leased = self.now.messages == 0 && leased.is_some();
        let (cause, advice) = if flows && !is_all_leased {
            ("Messages flow: the getters are slower than the putters.".to_owned(), "Nothing, or more getters.".to_owned())
        } else if getters.is_empty() {
            let dead: Vec<&Participant> = self.now.participants.iter().filter(|p| !p.alive && p.gets).collect();
            let died = if dead.is_empty() { String::new() } else { format!(": {} died", self.people(&dead)) };
            (
                format!("Nobody who gets is attached{died}."),
                format!(
                    "Start a getter. (`shmq drain {}` would throw {} away for good.)",
                    self.argument(),
                    messages(self.now.messages)
                ),
            )
        } else if !stopped.is_empty() {
            let pids: Vec<String> = stopped.iter().map(|participant| participant.pid.to_string()).collect();
            let go_on = format!("Let it go on: `kill -CONT {}`; or start another getter.", pids.join(" "));
            (format!("Its getter is stopped: {}.", self.people(&stopped)), go_on)
        } else if let Some(lease) = leased.filter(|_| self.now.messages == 0) {
            (
                format!("All its room is on lease; the oldest is held by {}.", self.pid_in_words(lease.pid)),
                format!("See what process {} does.", lease.pid),
            )
        } else {
            let doing = |getter: &&Participant| match self.held_by(getter.pid) {
                held if held.is_empty() => self.person(getter),
                held => format!("{}, with {held}", self.person(getter)),
            };
            let doing: Vec<String> = getters.iter().map(doing).collect();
            (
                format!("Those who got before are attached and do not get now: {}.", doing.join("; ")),
                "See what they do: they are busy, or wait for something else than this queue (a `shmq get` for whoever reads \
                 its output)."
                    .to_owned(),
            )
        };
        let room = match self.about.capacity {
            Some(capacity) => format!("{} of {capacity} messages", self.now.messages),
            None => format!(
                "{}, which with their headers fill {}",
                messages(self.now.messages),
                words::bytes(self.about.capacity_bytes as f64)
            ),
        };
        findings.push(Finding {
            severity,
            code: "full",
            headline: format!(
                "full: put waits {}{}",
                words::duration(longest),
                if getters.is_empty() { ", no getter" } else { "" }
            ),
            explanation: format!(
                "The queue is full ({room}, {} on lease), and {} in put, {} at the longest. {cause}",
                self.now.on_lease,
                if waiting.len() == 1 {
                    format!("{} waits", self.person(waiting[0]))
                } else {
                    format!("{} processes wait ({})", waiting.len(), self.people(&waiting))
                },
                words::duration(longest)
            ),
            advice,
        });
    }

    fn came_back(&self, findings: &mut Vec<Finding>) {
        if self.now.came_back != 0 {
            let taken = self.moved(|seen| seen.stats.gets) == Some(true);
            findings.push(Finding {
                severity: if taken || self.now.state != State::InUse { Severity::Notice } else { Severity::Trouble },
                code: "came-back",
                headline: format!("{} came back", messages(self.now.came_back)),
                explanation: format!(
                    "{} taken before and came back: whoever had it on lease died, or gave it back. Nobody has taken it again yet.",
                    capitalised(&(messages(self.now.came_back) + if self.now.came_back == 1 { " was" } else { " were" }))
                ),
                advice: "Look for the process that died, and start (or look after) a getter.".to_owned(),
            });
        }
        if self.now.most_deliveries >= MANY_DELIVERIES {
            findings.push(notice(
                "many-deliveries",
                format!("delivered {} times", self.now.most_deliveries),
                format!(
                    "A message has been delivered {} times and was never finished: perhaps its takers die of it.",
                    self.now.most_deliveries
                ),
                format!(
                    "Look at it (`shmq peek {}`). A queue created with max_deliveries gives such messages up.",
                    self.argument()
                ),
            ));
        }
    }

    fn waiting_getters(&self, findings: &mut Vec<Finding>) {
        let waiting: Vec<&Participant> = self.now.participants.iter().filter(|p| p.get_waits.is_some()).collect();
        let longest = waiting.iter().filter_map(|p| p.get_waits).map(|waits| waits.since).max().unwrap_or_default();
        if longest < LONG || self.now.messages != 0 || self.now.closed || self.now.on_loan != 0 {
            return;
        }
        findings.push(notice(
            "empty",
            format!("empty: get waits {}", words::duration(longest)),
            format!(
                "The queue is empty, and {} in get: it waits for work, which is no fault of the queue's.",
                self.people(&waiting)
            ),
            "If there should be messages: look for who puts them.".to_owned(),
        ));
    }

    /// Messages and locks that the same live, running process held at both looks.
    fn long_held(&self, findings: &mut Vec<Finding>) {
        let Some(before) = self.before else { return };
        let apart = words::duration(self.now.at.saturating_duration_since(before.at));
        let runs = |pid: u32| self.now.participants.iter().any(|p| p.pid == pid && p.alive && p.process != ProcessState::Stopped);
        let same = |held: &&Holding| {
            let was = |other: &Holding| (other.what, other.pid, other.position) == (held.what, held.pid, held.position);
            held.what != Hold::Producer && held.what != Hold::Consumer && runs(held.pid) && before.holdings.iter().any(was)
        };
        let mut pids: Vec<(u32, Hold)> = self.now.holdings.iter().filter(same).map(|held| (held.pid, held.what)).collect();
        pids.dedup();
        for (pid, what) in pids {
            let moved = what == Hold::PutLock && self.moved(|seen| seen.stats.puts) == Some(true)
                || what == Hold::GetLock && self.moved(|seen| seen.stats.gets) == Some(true)
                // Perhaps another one, in the place of one that was dropped.
                || what == Hold::Loan && self.moved(|seen| seen.stats.aborted) == Some(true);
            if moved {
                continue;
            }
            findings.push(notice(
                "held",
                format!("{pid} holds a {}", json::hold_word(what)),
                format!("{} has held {} for {apart} at least.", capitalised(&self.pid_in_words(pid)), self.held_by(pid)),
                "Nothing is wrong if its work takes that long. (A `shmq get` waits for whoever reads its output.)".to_owned(),
            ));
        }
    }

    /// A join does not end while copies are unfinished that nobody may ever mark.
    fn joins(&self, findings: &mut Vec<Finding>) {
        let count = self.now.unmarked;
        let joins = |seen: &Snapshot, pid: u32| seen.participants.iter().any(|p| p.pid == pid && p.join_threads != 0);
        let waited = |participant: &&Participant| self.before.is_none_or(|before| joins(before, participant.pid));
        let moved =
            self.moved(|seen| seen.stats.gets) == Some(true) || self.before.is_some_and(|before| before.unmarked != count);
        if count == 0 || moved {
            return;
        }
        for participant in self.now.participants.iter().filter(|p| p.alive && p.join_threads != 0).filter(waited) {
            let were = if count == 1 { "was" } else { "were" };
            findings.push(notice(
                "join",
                format!("{} waits in join", participant.pid),
                format!(
                    "{} waits in join: {} {were} got by copy and not marked by task_done.",
                    capitalised(&self.person(participant)),
                    messages(count)
                ),
                "Nothing is wrong if they are still worked on. Call `task_done` after each message that was got by copy, or get by lease: \
                 one that is released is done. What a killed process got by copy is never marked."
                    .to_owned(),
            ));
        }
    }

    fn table(&self, findings: &mut Vec<Finding>) {
        let alive = self.now.participants.iter().filter(|p| p.alive).count();
        if alive * 10 >= self.about.max_participants as usize * 9 && self.about.max_participants > 3 {
            findings.push(notice(
                "table",
                format!("{alive} of {} participants", self.about.max_participants),
                format!("{alive} processes are attached; the queue has room for {}.", self.about.max_participants),
                "Create it with a larger max_participants.".to_owned(),
            ));
        }
    }
}

fn trouble(code: &'static str, headline: impl Into<String>, explanation: impl Into<String>, advice: String) -> Finding {
    Finding { severity: Severity::Trouble, code, headline: headline.into(), explanation: explanation.into(), advice }
}

fn notice(code: &'static str, headline: impl Into<String>, explanation: String, advice: String) -> Finding {
    Finding { severity: Severity::Notice, code, headline: headline.into(), explanation, advice }
}

/// `a dead one, closed and drained; 0 messages went with it`
pub fn predecessor_in_words(predecessor: &Predecessor) -> String {
    let went = predecessor.messages.map_or("nobody knows how many messages".to_owned(), messages);
    format!("a dead one, {}; {went} went with it", predecessor.why.in_words())
}

fn messages_wait(count: u64) -> String {
    if count == 1 { "1 message waits".to_owned() } else { format!("{count} messages wait") }
}

fn part_in_words(role: &str) -> &'static str {
    match role {
        "put" => "It puts into this queue.",
        "get" => "It gets from this queue.",
        "producer" => "It owns the put side: nobody else can put.",
        "consumer" => "It owns the get side: nobody else can get.",
        "producer+consumer" => "It owns both sides: nobody else can put or get.",
        _ => "It puts into this queue and gets from it.",
    }
}

/// `consumer 4711`, `getter 4711`, `4711`
fn short(role: &str, pid: u32) -> String {
    match role {
        "put" | "producer" => format!("producer {pid}"),
        "get" | "consumer" => format!("consumer {pid}"),
        _ => pid.to_string(),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + characters.as_str())
}
