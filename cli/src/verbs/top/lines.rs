//! What `top` shows of each queue, with its history.

use crate::diagnosis::{self, Observation, Severity};
use crate::failure::Failure;
use crate::rates::Rates;
use crate::rows::Row;
use crate::signals;
use crate::terms;
use crate::units;
use shmq::inspect::{self, Found, Snapshot};
use std::collections::{BTreeMap, VecDeque};

/// How many updates a sparkline shows.
pub const HISTORY: usize = 24;
/// The records of a queue with more than this many are not read.
const WALKED_RECORDS: u64 = 4096;

/// One queue, as shown.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub name: String,
    pub state: String,
    pub carries: String,
    pub messages: u64,
    /// In messages; `None` if only bytes bound the queue.
    pub capacity: Option<u64>,
    pub capacity_words: String,
    pub puts_per_s: f64,
    pub gets_per_s: f64,
    pub bytes_per_s: f64,
    pub depths: VecDeque<f64>,
    pub puts: VecDeque<f64>,
    pub gets: VecDeque<f64>,
    pub processes: Vec<String>,
    pub findings: Vec<(Severity, String, String)>,
}

#[derive(Default)]
struct Past {
    seen: Option<Snapshot>,
    depths: VecDeque<f64>,
    puts: VecDeque<f64>,
    gets: VecDeque<f64>,
}

/// Reads the queues, and keeps the history of each.
#[derive(Default)]
pub struct Watch {
    past: BTreeMap<String, Past>,
}

impl Watch {
    /// Reads all queues; the records only of `selected`.
    pub fn read(&mut self, selected: Option<&str>) -> Vec<Line> {
        // If the directory cannot be read, there is nothing to show until it can.
        let found = inspect::list().unwrap_or_default();
        self.past.retain(|name, _| found.iter().any(|found| found.name == *name));
        // A signal ends the reading of very many queues early.
        let goes_on = |_: &Found| signals::received().is_none();
        found.into_iter().take_while(goes_on).map(|found| self.line(found, selected)).collect()
    }

    fn line(&mut self, found: Found, selected: Option<&str>) -> Line {
        let inspector = match found.inspector {
            Ok(inspector) => inspector,
            Err(error) => {
                let failure = Failure::unreadable(&error);
                let reason = failure.text.clone().unwrap_or_default();
                let row = Row { name: found.name, owner_uid: found.owner_uid, seen: Err(failure), nameless: false };
                return Line {
                    state: row.state_word().to_owned(),
                    processes: vec![format!("owner: user {}", found.owner_uid)],
                    findings: vec![(Severity::Notice, row.state_word().to_owned(), reason)],
                    name: row.name,
                    ..Line::default()
                };
            }
        };
        let walk = selected == Some(&found.name) && inspector.records_to_walk() <= WALKED_RECORDS;
        let now = if walk { inspector.snapshot() } else { inspector.estimate() };
        let about = inspector.about();
        let past = self.past.entry(found.name.clone()).or_default();
        let rates = past.seen.as_ref().map(|before| Rates::between(before, &now));
        let (puts, gets, bytes) =
            rates.map_or((0.0, 0.0, 0.0), |rates| (rates.puts, rates.gets, rates.bytes_put.max(rates.bytes_got)));
        remember(&mut past.depths, now.messages as f64);
        remember(&mut past.puts, puts);
        remember(&mut past.gets, gets);
        let findings =
            diagnosis::diagnose(&Observation { name: &found.name, about: &about, before: past.seen.as_ref(), now: &now });
        let row =
            Row { name: found.name.clone(), owner_uid: found.owner_uid, seen: Ok((about.clone(), now.clone())), nameless: false };
        let line = Line {
            state: row.state_word().to_owned(),
            carries: about.type_in_words(),
            messages: now.messages,
            capacity: about.capacity.filter(|_| terms::has_messages(about.kind)),
            capacity_words: if terms::has_messages(about.kind) { terms::capacity(&about) } else { String::new() },
            puts_per_s: puts,
            gets_per_s: gets,
            bytes_per_s: bytes,
            depths: past.depths.clone(),
            puts: past.puts.clone(),
            gets: past.gets.clone(),
            processes: now.participants.iter().map(|participant| terms::participant_in_words(participant, &now)).collect(),
            findings: findings
                .into_iter()
                .filter(diagnosis::Finding::is_listed)
                .map(|finding| (finding.severity, finding.headline, finding.explanation))
                .collect(),
            name: found.name,
        };
        past.seen = Some(now);
        line
    }
}

fn remember(history: &mut VecDeque<f64>, value: f64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}

impl Line {
    pub fn matches(&self, filter: &str) -> bool {
        let filter = filter.to_lowercase();
        self.name.to_lowercase().contains(&filter) || self.carries.to_lowercase().contains(&filter)
    }

    /// What is wrong, in a few words.
    pub fn note(&self) -> String {
        self.findings.first().map_or_else(String::new, |(_, headline, _)| headline.clone())
    }

    /// `12/100`, `12 in 8.00 MiB`
    pub fn depth_in_words(&self) -> String {
        match self.capacity {
            Some(_) => format!("{}/{}", self.messages, self.capacity_words),
            None if self.capacity_words.is_empty() => "-".to_owned(),
            None => format!("{} in {}", units::count(self.messages as f64), self.capacity_words),
        }
    }
}
