//! The ledger: what became of each message, in files that producers and workers append to. An entry
//! is one `write`, which a SIGKILL does not tear.
//!
//! ```text
//!   producer:  Meant --put--> Put             a kill in between: it may have been put
//!   worker:    Leased --release--> Done       a kill in between: it may come again, or was done
//! ```
//!
//! - *Lost*: it was Put, and no worker has it Done, nor has one that was killed it Leased last.
//! - *Doubled by a bridge*: one number under several message ids of the queue in which it arrived.
//!   A redelivery of a lease keeps its id, and does not count.

use shmq::MessageId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// What is noted of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    Meant,
    Put,
    Leased(MessageId),
    Done(MessageId),
}

const ENTRY: usize = 32;

/// One process's file.
pub struct Log(File);

impl Log {
    pub fn open(path: &Path) -> Log {
        Log(File::options().create(true).append(true).open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub fn note(&mut self, number: u64, note: Note) {
        let (kind, id) = match note {
            Note::Meant => (1u64, [0; 16]),
            Note::Put => (2, [0; 16]),
            Note::Leased(id) => (3, id.to_bytes()),
            Note::Done(id) => (4, id.to_bytes()),
        };
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&kind.to_le_bytes());
        entry[8..16].copy_from_slice(&number.to_le_bytes());
        entry[16..].copy_from_slice(&id);
        self.0.write_all(&entry).expect("the case's folder takes an entry");
    }
}

/// The entries of a file, in order.
pub fn entries(path: &Path) -> Vec<(u64, Note)> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let word = |entry: &[u8], at: usize| u64::from_le_bytes(std::array::from_fn(|byte| entry[at + byte]));
    let note = |entry: &[u8]| {
        let id = MessageId::from_bytes(std::array::from_fn(|byte| entry[16 + byte]));
        let note = match word(entry, 0) {
            1 => Note::Meant,
            2 => Note::Put,
            3 => Note::Leased(id),
            4 => Note::Done(id),
            other => panic!("{}: an entry of kind {other}", path.display()),
        };
        (word(entry, 8), note)
    };
    bytes.chunks_exact(ENTRY).map(note).collect()
}

/// All files of a folder together: `put.*` and `done.*`.
#[derive(Default)]
pub struct Ledger {
    pub meant: BTreeSet<u64>,
    pub put: BTreeSet<u64>,
    /// The message ids under which a number was leased, and those under which it was done.
    pub leased: BTreeMap<u64, BTreeSet<MessageId>>,
    pub done: BTreeMap<u64, BTreeSet<MessageId>>,
}

impl Ledger {
    pub fn read(folder: &Path) -> Ledger {
        let mut ledger = Ledger::default();
        for entry in std::fs::read_dir(folder).expect("the case's folder is there") {
            let path = entry.expect("the case's folder is read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("put.") || name.starts_with("done.") {
                entries(&path).into_iter().for_each(|(number, note)| ledger.add(number, note));
            }
        }
        ledger
    }

    fn add(&mut self, number: u64, note: Note) {
        match note {
            Note::Meant => drop(self.meant.insert(number)),
            Note::Put => drop(self.put.insert(number)),
            Note::Leased(id) => drop(self.leased.entry(number).or_default().insert(id)),
            Note::Done(id) => drop(self.done.entry(number).or_default().insert(id)),
        }
    }

    /// Was put, and no worker saw it.
    pub fn unseen(&self) -> Vec<u64> {
        self.put.iter().copied().filter(|number| !self.leased.contains_key(number)).collect()
    }

    /// Was put, and no worker noted that it was done: one that was killed between the release and
    /// the note did not come to it.
    pub fn unfinished(&self) -> Vec<u64> {
        self.put.iter().copied().filter(|number| !self.done.contains_key(number)).collect()
    }

    /// Arrived more than once: under several ids.
    pub fn doubled(&self) -> Vec<(u64, usize)> {
        self.leased.iter().filter(|(_, ids)| ids.len() > 1).map(|(&number, ids)| (number, ids.len())).collect()
    }

    /// Arrived, and no producer says that it meant to put it.
    pub fn unknown(&self) -> Vec<u64> {
        self.leased.keys().copied().filter(|number| !self.meant.contains(number)).collect()
    }

    pub fn summary(&self) -> String {
        let first = |list: Vec<u64>| format!("{} {:?}", list.len(), list.iter().take(10).collect::<Vec<_>>());
        format!(
            "meant {}, put {}, arrived {}, done {}; unseen {}, unfinished {}, unknown {}, doubled {} {:?}",
            self.meant.len(),
            self.put.len(),
            self.leased.len(),
            self.done.len(),
            first(self.unseen()),
            first(self.unfinished()),
            first(self.unknown()),
            self.doubled().len(),
            self.doubled().iter().take(10).collect::<Vec<_>>(),
        )
    }
}
