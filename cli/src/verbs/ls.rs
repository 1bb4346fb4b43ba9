//! `shmq ls`: every segment, one line each.

use crate::arguments::Ls;
use crate::diagnosis::{self, Observation, Severity};
use crate::failure::Failure;
use crate::json;
use crate::rows::{self, Row, Rows};
use crate::stdio;
use crate::style::DIM;
use crate::style::GOOD;
use crate::style::NOTICE;
use crate::style::TROUBLE;
use crate::table;
use crate::table::TableCell;
use crate::terms;
use crate::text;
use crate::units;
use anstyle::Style;
use serde_json::Value;
use shmq::inspect::State;

pub fn run(arguments: &Ls) -> Result<u8, Failure> {
    let Rows { rows, code } = rows::find_and_report(&arguments.names)?;
    if arguments.json {
        stdio::print(&json::text(&Value::Array(rows.iter().map(|row| json::queue(row, None)).collect())))?;
        return Ok(code);
    }
    if rows.is_empty() {
        if arguments.names.is_empty() {
            stdio::complain("there are no queues");
        }
        return Ok(code);
    }
    let head = ["NAME", "STATE", "TYPE", "MESSAGES", "CAPACITY", "BYTES", "AGE", "WHO", "NOTE"];
    let cells: Vec<Vec<TableCell>> = rows.iter().map(line).collect();
    stdio::print(&table::columns(&head, &[3, 4, 5, 6], &cells))?;
    Ok(code)
}

fn line(row: &Row) -> Vec<TableCell> {
    let name = TableCell::plain(text::escaped(&row.name));
    let state = TableCell::styled(state_style(row), row.state_word());
    let (about, seen) = match &row.seen {
        Ok(seen) => seen,
        Err(failure) => {
            let blanks = (0..5).map(|_| TableCell::styled(DIM, "-"));
            let owner = TableCell::plain(format!("owner: user {}", row.owner_uid));
            let note = TableCell::styled(NOTICE, failure.text.clone().unwrap_or_default());
            return [name, state].into_iter().chain(blanks).chain([owner, note]).collect();
        }
    };
    let processes: Vec<String> =
        seen.participants.iter().map(|participant| terms::participant_in_words(participant, seen)).collect();
    let findings = diagnosis::diagnose(&Observation { name: &row.name, about, before: None, now: seen });
    // A predecessor is left to `stat` and `doctor`, unless messages were lost with it.
    let findings: Vec<_> = findings.into_iter().filter(|finding| finding.is_listed()).collect();
    let note = findings.first().map_or(TableCell::plain(""), |finding| {
        let more = if findings.len() > 1 { format!(" (+{} more)", findings.len() - 1) } else { String::new() };
        let style = if finding.severity == Severity::Trouble { TROUBLE } else { NOTICE };
        TableCell::styled(style, format!("{}{more}", finding.headline))
    });
    let of_queue =
        |text: String| if terms::has_messages(about.kind) { TableCell::plain(text) } else { TableCell::styled(DIM, "-") };
    vec![
        name,
        state,
        TableCell::plain(about.type_in_words()),
        of_queue(seen.messages.to_string()),
        of_queue(terms::capacity(about)),
        of_queue(units::bytes(seen.bytes as f64)),
        TableCell::plain(units::duration(units::age(about.created))),
        TableCell::plain(if processes.is_empty() { "-".to_owned() } else { processes.join(", ") }),
        note,
    ]
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
