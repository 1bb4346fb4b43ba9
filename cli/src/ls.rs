//! `shmq ls`: every segment, one line each.

use crate::arguments::Ls;
use crate::diagnosis::{self, Severity, Sight};
use crate::failure::{self, Failure};
use crate::json;
use crate::words::{self, Cell, DIM, GOOD, NOTICE, TROUBLE};
use anstyle::Style;
use serde_json::Value;
use shmq::OpenError;
use shmq::inspect::{self, About, Found, Hold, Inspector, Participant, ProcessState, Snapshot, State};

/// A name, and what a look behind it came to.
pub struct Row {
    pub name: String,
    pub owner_uid: u32,
    pub seen: Result<(About, Snapshot), Failure>,
    /// Found through its users: no name leads to it any more.
    pub nameless: bool,
}

impl Row {
    fn of(found: Found, nameless: bool) -> Row {
        let Found { name, owner_uid, inspector, .. } = found;
        let seen = match &inspector {
            Ok(inspector) => Ok((inspector.about(), inspector.look())),
            Err(error) => Err(Failure::unreadable(error)),
        };
        Row { name, owner_uid, seen, nameless }
    }

    pub fn state_word(&self) -> &'static str {
        match &self.seen {
            Ok((_, seen)) if seen.damaged => "damaged",
            Ok((_, seen)) => json::state_word(seen.state),
            Err(failure) if failure.code == failure::DENIED => "denied",
            Err(_) => "unusable",
        }
    }
}

/// What there is of what was asked for.
pub struct Rows {
    pub rows: Vec<Row>,
    /// Exit code of the first name that there is none of; 0 if there are all.
    pub code: u8,
}

/// The queues of these names, or all; also those that have lost them. A name that there is none of is told, and the others are
/// looked at all the same.
pub fn rows(names: &[String]) -> Result<Rows, Failure> {
    let (rows, missing) = look(names)?;
    let mut code = 0;
    for failure in missing {
        failure.tell();
        code = if code == 0 { failure.code } else { code };
    }
    Ok(Rows { rows, code })
}

/// Rows, and what there is to say about names that there are none of.
pub fn look(names: &[String]) -> Result<(Vec<Row>, Vec<Failure>), Failure> {
    let found = inspect::list().map_err(|error| Failure::unlisted(&error))?;
    // What cannot be found in /proc is not found: the rest is no worse for it.
    let nameless = inspect::nameless().unwrap_or_default();
    let is_missing = |name: &&String| !found.iter().chain(&nameless).any(|found| found.name == **name);
    let missing = names.iter().filter(is_missing).map(|name| match Inspector::open(name) {
        Err(error) => Failure::open(name, &error),
        // It came between the two looks.
        Ok(_) => Failure::open(name, &OpenError::NotFound { what: shmq::Subject::default() }),
    });
    let missing = missing.collect();
    let wanted = |found: &Found| names.is_empty() || names.contains(&found.name);
    let named = found.into_iter().filter(wanted).map(|found| Row::of(found, false));
    Ok((named.chain(nameless.into_iter().filter(wanted).map(|found| Row::of(found, true))).collect(), missing))
}

pub fn run(arguments: &Ls) -> Result<u8, Failure> {
    let Rows { rows, code } = rows(&arguments.names)?;
    if arguments.json {
        words::print(&json::text(&Value::Array(rows.iter().map(|row| json::queue(row, None)).collect())))?;
        return Ok(code);
    }
    if rows.is_empty() {
        if arguments.names.is_empty() {
            words::complain("there are no queues");
        }
        return Ok(code);
    }
    let head = ["NAME", "STATE", "TYPE", "MESSAGES", "CAPACITY", "BYTES", "AGE", "WHO", "NOTE"];
    let cells: Vec<Vec<Cell>> = rows.iter().map(line).collect();
    words::print(&words::columns(&head, &[3, 4, 5, 6], &cells))?;
    Ok(code)
}

fn line(row: &Row) -> Vec<Cell> {
    let name = Cell::plain(words::escaped(&row.name));
    let state = Cell::styled(state_style(row), row.state_word());
    let (about, seen) = match &row.seen {
        Ok(seen) => seen,
        Err(failure) => {
            let blanks = (0..5).map(|_| Cell::styled(DIM, "-"));
            let owner = Cell::plain(format!("owner: user {}", row.owner_uid));
            let note = Cell::styled(NOTICE, failure.text.clone().unwrap_or_default());
            return [name, state].into_iter().chain(blanks).chain([owner, note]).collect();
        }
    };
    let who: Vec<String> = seen.participants.iter().map(|participant| who(participant, seen)).collect();
    let findings = diagnosis::diagnose(&Sight { name: &row.name, about, before: None, now: seen });
    // What went before is for who asks, unless messages went with it.
    let findings: Vec<_> = findings.into_iter().filter(|finding| finding.is_for_a_list()).collect();
    let note = findings.first().map_or(Cell::plain(""), |finding| {
        let more = if findings.len() > 1 { format!(" (+{} more)", findings.len() - 1) } else { String::new() };
        let style = if finding.severity == Severity::Trouble { TROUBLE } else { NOTICE };
        Cell::styled(style, format!("{}{more}", finding.headline))
    });
    let of_queue = |text: String| if about.kind.is_queue() { Cell::plain(text) } else { Cell::styled(DIM, "-") };
    vec![
        name,
        state,
        Cell::plain(about.type_in_words()),
        of_queue(seen.messages.to_string()),
        of_queue(capacity(about)),
        of_queue(words::bytes(seen.bytes as f64)),
        Cell::plain(words::duration(words::age(about.created))),
        Cell::plain(if who.is_empty() { "-".to_owned() } else { who.join(", ") }),
        note,
    ]
}

pub fn capacity(about: &About) -> String {
    about.capacity.map_or_else(|| words::bytes(about.capacity_bytes as f64), |messages| messages.to_string())
}

fn state_style(row: &Row) -> Style {
    match &row.seen {
        Ok((_, seen)) if seen.damaged || seen.state == State::Poisoned => TROUBLE,
        Ok((_, seen)) if seen.state == State::InUse => GOOD,
        Ok((_, seen)) if seen.state == State::Stale => NOTICE,
        Ok(_) => Style::new(),
        Err(_) => NOTICE,
    }
}

/// What a process does here: `producer`, `consumer`, `put`, `get`, `put+get`, or nothing that was seen.
pub fn role(participant: &Participant, seen: &Snapshot) -> &'static str {
    let holds = |what| seen.holdings.iter().any(|held| held.what == what && held.pid == participant.pid);
    match (participant.puts || participant.put_waits.is_some(), participant.gets || participant.get_waits.is_some()) {
        _ if holds(Hold::Producer) && holds(Hold::Consumer) => "producer+consumer",
        _ if holds(Hold::Producer) => "producer",
        _ if holds(Hold::Consumer) => "consumer",
        (true, true) => "put+get",
        (true, false) => "put",
        (false, true) => "get",
        (false, false) => "",
    }
}

/// `4711 worker get STOPPED`
pub fn who(participant: &Participant, seen: &Snapshot) -> String {
    let mut words = participant.pid.to_string();
    if let Some(program) = &participant.program {
        words = format!("{words} {}", words::escaped(program));
    }
    let role = role(participant, seen);
    if !role.is_empty() {
        words = format!("{words} {role}");
    }
    let state = match participant.process {
        _ if !participant.alive => " DEAD",
        ProcessState::Stopped => " STOPPED",
        _ => "",
    };
    words + state
}
