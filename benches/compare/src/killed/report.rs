//! The table of kills, and every single kill for other programs.

use super::{Kills, Results, umpire::Outcome, verdict::Verdict};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, time::Duration};

/// An umpire's line about a kill.
pub fn line(outcome: &Result<Outcome, String>) -> String {
    match outcome {
        Ok(outcome) => value(outcome).to_string(),
        Err(why) => json!({ "failed": why }).to_string(),
    }
}

fn value(outcome: &Outcome) -> Value {
    let text = match &outcome.verdict {
        Verdict::Error(text) | Verdict::Crash(text) => Some(text),
        _ => None,
    };
    json!({
        "seed": outcome.seed, "outcome": outcome.verdict.name(), "messages": outcome.verdict.count(), "text": text,
        "error_before": outcome.error, "gone": outcome.gone, "again": outcome.again, "asleep": outcome.asleep, "nanos": outcome.took.as_nanos() as u64,
    })
}

/// The kill of an umpire's line.
pub fn outcome(line: &str) -> Result<Outcome, String> {
    let value: Value = serde_json::from_str(line).map_err(|problem| format!("{problem}: {line}"))?;
    if let Some(why) = value["failed"].as_str() {
        return Err(why.to_owned());
    }
    let number = |name: &str| value[name].as_u64().unwrap_or_default();
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let (messages, said) = (number("messages"), text("text").unwrap_or_default());
    let verdict = match value["outcome"].as_str() {
        Some("goes on") => Verdict::GoesOn,
        Some("lost") => Verdict::Lost(messages),
        Some("doubled") => Verdict::Doubled(messages),
        Some("torn") => Verdict::Torn(messages),
        Some("hangs") => Verdict::Hangs,
        Some("error") => Verdict::Error(said),
        Some("crash") => Verdict::Crash(said),
        _ => return Err(format!("no outcome: {line}")),
    };
    let (seed, error, asleep) = (number("seed"), text("error_before"), value["asleep"].as_bool().unwrap_or_default());
    let (gone, again, took) = (number("gone"), number("again"), Duration::from_nanos(number("nanos")));
    Ok(Outcome { seed, verdict, error, gone, again, asleep, took })
}

/// At most that many letters.
fn short(text: &str, letters: usize) -> String {
    let whole = text.chars().count() <= letters;
    if whole { text.to_owned() } else { text.chars().take(letters).chain("...".chars()).collect() }
}

/// `1` or `1..7`.
fn span(counts: &[u64]) -> String {
    match (counts.iter().min(), counts.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least}..{most}"),
        _ => String::new(),
    }
}

impl Kills {
    /// Such as `31 go on, 19 hang`.
    pub fn summary(&self) -> String {
        let mut parts: BTreeMap<(u8, String), Vec<u64>> = BTreeMap::new();
        for outcome in &self.outcomes {
            let key = match &outcome.verdict {
                Verdict::GoesOn => (0, "go on".to_owned()),
                Verdict::Lost(_) => (1, "lose".to_owned()),
                Verdict::Doubled(_) => (2, "deliver twice".to_owned()),
                Verdict::Torn(_) => (3, "tear".to_owned()),
                Verdict::Hangs => (4, "hang".to_owned()),
                Verdict::Error(text) => (5, format!("fail: {}", short(text, 60))),
                Verdict::Crash(text) => (6, format!("crash: {text}")),
            };
            parts.entry(key).or_default().push(outcome.verdict.count());
        }
        let all = self.outcomes.len();
        let part = |((order, words), counts): (&(u8, String), &Vec<u64>)| {
            let number = if counts.len() == all { format!("{all}/{all}") } else { counts.len().to_string() };
            if (1..=3).contains(order) { format!("{number} {words} {}", span(counts)) } else { format!("{number} {words}") }
        };
        let mut shown: Vec<String> = parts.iter().map(part).collect();
        if !self.failed.is_empty() {
            shown.push(format!("{} did not begin", self.failed.len()));
        }
        if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
    }

    /// The longest time after which all went on, where nothing that the dead consumer may have had
    /// was waited for.
    fn slowest(&self) -> Option<Duration> {
        let prompt = |outcome: &&Outcome| outcome.verdict == Verdict::GoesOn && outcome.gone == 0;
        self.outcomes.iter().filter(prompt).map(|outcome| outcome.took).max()
    }

    /// What else there is to say, each a line.
    fn remarks(&self) -> Vec<String> {
        let count = |has: &dyn Fn(&Outcome) -> bool| self.outcomes.iter().filter(|outcome| has(outcome)).count();
        let mut remarks = Vec::new();
        let gone = count(&|outcome| outcome.gone > 0);
        if gone > 0 {
            remarks.push(format!("in {gone}, the dead consumer may have had a message that it had not noted"));
        }
        let again = count(&|outcome| outcome.again > 0);
        if again > 0 {
            remarks.push(format!("in {again}, what the dead consumer had on lease came back"));
        }
        let mut said: BTreeMap<&str, usize> = BTreeMap::new();
        for error in self.outcomes.iter().filter_map(|outcome| outcome.error.as_deref()) {
            *said.entry(error).or_default() += 1;
        }
        remarks.extend(
            said.into_iter().map(|(error, times)| format!("in {times}, a survivor had to attach anew: {}", short(error, 110))),
        );
        remarks.extend(self.failed.iter().map(|why| format!("one did not begin: {}", short(why, 160))));
        if let Some(slowest) = self.slowest() {
            remarks.push(format!("within {} ms", slowest.as_millis()));
        }
        let bad = |outcome: &&Outcome| !matches!(outcome.verdict, Verdict::GoesOn);
        let seeds: Vec<String> = self.outcomes.iter().filter(bad).map(|outcome| outcome.seed.to_string()).collect();
        if let [first, ..] = seeds.as_slice() {
            remarks.push(format!("the first seed: {first}"));
        }
        remarks
    }

    /// Did the sleeping consumer poll?
    fn polls(&self) -> bool {
        self.victim == super::Victim::Sleeper && self.outcomes.iter().all(|outcome| !outcome.asleep)
    }
}

/// The table, as lines.
pub struct Lines<'r>(pub &'r Results);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { seed, took, rows } = self.0;
        if rows.is_empty() {
            return Ok(());
        }
        let title = format!("killed: the others then, seed {seed}, {:.0} s", took.as_secs_f64());
        writeln!(f, "\n{title:<44} | {:<28} | {:<28} | {:<28}", "a producer", "a consumer", "a sleeping consumer")?;
        for (name, all) in rows {
            write!(f, "  {name:<42}")?;
            for kills in all {
                write!(f, " | {:<28}", format!("{}{}", kills.summary(), if kills.polls() { " (polls)" } else { "" }))?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for (name, all) in rows {
            for kills in all {
                let remarks = kills.remarks();
                if !remarks.is_empty() {
                    writeln!(f, "  {name}, {}: {}", kills.victim.name(), remarks.join("; "))?;
                }
            }
        }
        Ok(())
    }
}

pub fn json(results: &Results) -> Value {
    let kills = |kills: &Kills| {
        json!({
            "victim": kills.victim.name(), "summary": kills.summary(), "did_not_begin": kills.failed,
            "kills": kills.outcomes.iter().map(value).collect::<Vec<_>>(),
        })
    };
    let row = |(name, all): &(String, Vec<Kills>)| json!({ "name": name, "victims": all.iter().map(kills).collect::<Vec<_>>() });
    json!({
        "seed": results.seed, "seconds": results.took.as_secs_f64(),
        "rows": results.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// A line for each kill.
pub fn csv(results: &Results) -> String {
    let mut text = String::from("row,victim,seed,outcome,messages,gone,again,asleep,ns,text\n");
    for (name, all) in &results.rows {
        for kills in all {
            for outcome in &kills.outcomes {
                let Outcome { seed, verdict, gone, again, asleep, took, .. } = outcome;
                let said = match verdict {
                    Verdict::Error(said) | Verdict::Crash(said) => Some(said),
                    _ => outcome.error.as_ref(),
                };
                let said = said.map(|said| said.replace('"', "'")).unwrap_or_default();
                let (victim, what, messages) = (kills.victim.name(), verdict.name(), verdict.count());
                text += &format!(
                    "\"{name}\",{victim},{seed},{what},{messages},{gone},{again},{asleep},{},\"{said}\"\n",
                    took.as_nanos()
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::killed::Victim;

    fn of(verdicts: Vec<Verdict>) -> Kills {
        let outcome =
            |verdict| Outcome { seed: 1, verdict, error: None, gone: 0, again: 0, asleep: true, took: Duration::from_millis(3) };
        Kills { victim: Victim::Sleeper, outcomes: verdicts.into_iter().map(outcome).collect(), failed: Vec::new() }
    }

    #[test]
    fn outcomes_are_counted_by_what_happened() {
        assert_eq!(of(vec![Verdict::GoesOn; 3]).summary(), "3/3 go on");
        let mixed = vec![Verdict::Hangs, Verdict::GoesOn, Verdict::Lost(7), Verdict::Lost(2), Verdict::Hangs];
        assert_eq!(of(mixed).summary(), "1 go on, 2 lose 2..7, 2 hang");
        assert_eq!(of(vec![Verdict::Error("closed".into())]).summary(), "1/1 fail: closed");
    }

    #[test]
    fn a_kill_survives_its_line() {
        for verdict in [Verdict::GoesOn, Verdict::Torn(3), Verdict::Crash("signal 11".into())] {
            let sent = of(vec![verdict]).outcomes.remove(0);
            let came = outcome(&line(&Ok(sent.clone()))).expect("an outcome");
            assert_eq!((came.verdict, came.seed, came.took), (sent.verdict, sent.seed, sent.took));
        }
        assert_eq!(outcome(&line(&Err("no room".into()))).unwrap_err(), "no room");
    }
}
