//! `shmq doctor`: what is wrong, in words, and what to do.

use crate::arguments::Doctor;
use crate::diagnosis::{self, Finding, Observation, Severity};
use crate::failure::{self, Failure};
use crate::json;
use crate::rows::{self, Row, Rows};
use crate::stdio;
use crate::style;
use crate::style::BOLD;
use crate::style::DIM;
use crate::style::GOOD;
use crate::style::NOTICE;
use crate::style::TROUBLE;
use crate::text;
use crate::units;
use serde_json::{Value, json};

pub fn run(arguments: &Doctor) -> Result<u8, Failure> {
    let Rows { rows: before, code } = rows::find_and_report(&arguments.names)?;
    let rows = if arguments.interval.is_zero() || before.is_empty() {
        None
    } else {
        std::thread::sleep(arguments.interval);
        // Missing names were reported by the first reading.
        Some(rows::find(&arguments.names)?.0)
    };
    let now = rows.as_ref().unwrap_or(&before);
    let examined: Vec<(&Row, Vec<Finding>)> = now
        .iter()
        .map(|row| {
            (
                row,
                examine(
                    row,
                    rows.as_ref().and(before.iter().find(|before| before.name == row.name && before.nameless == row.nameless)),
                ),
            )
        })
        .collect();
    let unwell = examined.iter().flat_map(|(_, findings)| findings).any(|finding| finding.severity == Severity::Trouble);
    if arguments.json {
        let queue = |(row, findings): &(&Row, Vec<Finding>)| {
            json!({
                "name": row.name,
                "state": row.state_word(),
                "findings": findings.iter().map(json::finding).collect::<Vec<_>>(),
            })
        };
        stdio::print(&json::text(&Value::Array(examined.iter().map(queue).collect())))?;
    } else if examined.is_empty() {
        if arguments.names.is_empty() {
            stdio::complain("there are no queues");
        }
    } else {
        stdio::print(&examined.iter().map(|(row, findings)| report(row, findings)).collect::<Vec<_>>().join("\n"))?;
    }
    if arguments.names.is_empty() && !arguments.json {
        report_remains()?;
    }
    Ok(if unwell { failure::UNWELL } else { code })
}

/// Objects in files of their own, whose queue is gone.
fn report_remains() -> Result<(), Failure> {
    let remains = shmq::inspect::remains().map_err(|error| Failure::unlisted(&error))?;
    let files: u64 = remains.iter().map(|one| one.files).sum();
    if files == 0 {
        return Ok(());
    }
    let bytes = units::bytes(remains.iter().map(|one| one.bytes).sum::<u64>() as f64);
    let advice = match remains.iter().all(|one| one.is_swept) {
        true => "The next create of their user removes them, or `shmq rm --stale`.",
        false => {
            "`shmq rm --stale` removes those that have an anchor; remove the others (shmq-spill.*) by hand, if no process uses them."
        }
    };
    let advice = wrapped(advice, "    ");
    stdio::print(&format!("\n{files} files ({bytes}) of objects whose queue has no name and no process.\n{advice}"))?;
    Ok(())
}

fn examine(row: &Row, before: Option<&Row>) -> Vec<Finding> {
    match &row.seen {
        Ok((about, now)) => {
            let before = before.and_then(|before| before.seen.as_ref().ok()).map(|(_, seen)| seen);
            diagnosis::diagnose(&Observation { name: &row.name, about, before, now })
        }
        Err(failure) => vec![unreadable(row, failure)],
    }
}

fn unreadable(row: &Row, failure: &Failure) -> Finding {
    let text = failure.text.clone().unwrap_or_default();
    let denied = failure.code == failure::DENIED;
    Finding {
        severity: if denied { Severity::Notice } else { Severity::Trouble },
        code: if denied { "denied" } else { "unusable" },
        headline: if denied { "permission denied".to_owned() } else { "unusable".to_owned() },
        explanation: format!("It cannot be read: {text}. It belongs to user {}.", row.owner_uid),
        advice: if denied {
            "Run this as that user, or as root.".to_owned()
        } else if failure.is_no_file {
            "It is nothing of shmq's: remove it by hand, or use another name.".to_owned()
        } else {
            "Use the version of shmq that its users have. If it is no queue at all, remove it with `shmq rm`.".to_owned()
        },
    }
}

fn report(row: &Row, findings: &[Finding]) -> String {
    let name = style::painted(BOLD, &text::escaped(&row.name));
    let state = row.state_word();
    if findings.is_empty() {
        return format!("{name}: {} ({state})\n", style::painted(GOOD, "nothing is wrong"));
    }
    let mut text = format!("{name}: {state}\n");
    for finding in findings {
        let (style, word) = match finding.severity {
            Severity::Trouble => (TROUBLE, "trouble"),
            Severity::Notice => (NOTICE, "notice"),
        };
        text += &format!("  {}: {}\n", style::painted(style, word), style::painted(BOLD, &finding.headline));
        text += &wrapped(&finding.explanation, "    ");
        text += &format!("    {}\n", style::painted(DIM, "What to do:"));
        text += &wrapped(&finding.advice, "    ");
    }
    text
}

/// Wraps to lines of at most 100 characters. A command in backticks stays whole, to be pasted.
fn wrapped(text: &str, indent: &str) -> String {
    let mut is_command = false;
    let at_blank = |c: char| {
        is_command ^= c == '`';
        c == ' ' && !is_command
    };
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split(at_blank).filter(|word| !word.is_empty()) {
        if !line.is_empty() && indent.len() + line.chars().count() + 1 + word.chars().count() > 100 {
            out += &format!("{indent}{line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    out + &format!("{indent}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stay_whole() {
        let text = format!("{} `rm 'a  b' c` {} `x` y", "word ".repeat(19), "word ".repeat(30));
        let lines = wrapped(&text, "  ");
        assert!(lines.contains("\n  `rm 'a  b' c` word"), "{lines}");
        assert!(lines.lines().all(|line| line.starts_with("  ") && line.len() <= 100 && !line.ends_with(' ')), "{lines}");
    }
}
