//! What travels: tasks to the workers, results back. Little endian, no alignment.
//!
//! ```text
//!   task     nonce 8 | job 8 | first 8 | count 4 | runner 8 | task 8 | entry 8 | holder 4 | item *
//!            item: length 4 | encoded argument
//!   result   nonce 8 | job 8 | first 8 | count 4 | attempt 4 | entry 8 | kind 4 | item *
//!            item: tag 1 | length 4 | encoded result, or text
//! ```
//!
//! A worker writes its pid into the `holder` of the chunk that it leases, where the next one finds
//! it if that worker dies. The program writes the `entry` when it puts the chunk into the ring.

use super::board::Entry;

/// Bytes of a task before its items.
pub(super) const TASK_BYTES: usize = 56;
/// Where a task's entry is.
const ENTRY_AT: usize = 44;
/// Where a task's holder is.
pub(super) const HOLDER_AT: usize = 52;
/// Bytes of a result before its items.
pub(super) const RESULT_BYTES: usize = 44;

/// What a result message is.
pub(super) mod kind {
    /// Results of a part of the chunk.
    pub const PART: u32 = 0;
    /// Results of the last part of the chunk.
    pub const LAST: u32 = 1;
    /// The chunk's worker died too often: `count` times. The rest is the pid of the last one, 0 if
    /// it is not known.
    pub const DIED: u32 = 2;
    /// The initializer failed: the rest is text.
    pub const FAILED: u32 = 3;
    /// From the program to its own collector: check everything now.
    pub const WAKE: u32 = 4;
    /// Workers cannot get tasks: the rest is text.
    pub const BROKEN: u32 = 5;
    /// The chunk's worker was ended because the chunk was killed.
    pub const KILLED: u32 = 6;
    /// The chunk's worker was ended because a task of it took too long: the rest is the pid, 4
    /// bytes, and the limit in ns, 8 bytes.
    pub const TIMED_OUT: u32 = 7;
}

/// What became of one task.
pub(super) mod tag {
    pub const VALUE: u8 = 0;
    pub const PANICKED: u8 = 1;
    pub const BAD_ARGUMENT: u8 = 2;
    pub const BAD_RESULT: u8 = 3;
}

/// `capacity_bytes` with which an argument or a result of so many bytes travels: the largest
/// message takes half of a queue, and has a head.
pub(super) fn capacity_for(bytes: usize) -> usize {
    const ROUND: usize = 64 << 10;
    bytes.saturating_add(256).saturating_mul(2).div_ceil(ROUND).saturating_mul(ROUND)
}

/// A chunk of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskHead {
    pub nonce: u64,
    pub job: u64,
    /// Index of the chunk's first task in its job.
    pub first: u64,
    pub count: u32,
    /// Offset of the function that decodes an argument, runs the task and encodes its result.
    pub runner: i64,
    /// Offset of the task.
    pub task: i64,
    /// Its place on the board.
    pub entry: Entry,
    /// Process id of the worker that has it, or had it last; 0 if none had.
    pub holder: u32,
}

/// Results of a chunk, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResultHead {
    pub nonce: u64,
    pub job: u64,
    /// The first task of the chunk.
    pub first: u64,
    /// Tasks in this message, see [`kind::DIED`].
    pub count: u32,
    /// Which delivery of the chunk they are from.
    pub attempt: u32,
    /// The chunk's place on the board.
    pub entry: Entry,
    pub kind: u32,
}

/// Reads numbers, first to last.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(Entry { index: self.u32()?, generation: self.u32()? })
    }
}

fn write_entry(entry: Entry) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&entry.index.to_le_bytes());
    bytes[4..].copy_from_slice(&entry.generation.to_le_bytes());
    bytes
}

/// Writes its place on the board into an encoded chunk.
pub(super) fn set_entry(chunk: &mut [u8], entry: Entry) {
    chunk[ENTRY_AT..HOLDER_AT].copy_from_slice(&write_entry(entry));
}

impl TaskHead {
    pub fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.nonce.to_le_bytes());
        to.extend(self.job.to_le_bytes());
        to.extend(self.first.to_le_bytes());
        to.extend(self.count.to_le_bytes());
        to.extend(self.runner.to_le_bytes());
        to.extend(self.task.to_le_bytes());
        to.extend(write_entry(self.entry));
        to.extend(self.holder.to_le_bytes());
    }

    pub fn read(from: &[u8]) -> Option<(TaskHead, &[u8])> {
        let mut reader = Reader(from);
        let head = TaskHead {
            nonce: reader.u64()?,
            job: reader.u64()?,
            first: reader.u64()?,
            count: reader.u32()?,
            runner: reader.u64()? as i64,
            task: reader.u64()? as i64,
            entry: reader.entry()?,
            holder: reader.u32()?,
        };
        Some((head, reader.0))
    }
}

impl ResultHead {
    pub fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.nonce.to_le_bytes());
        to.extend(self.job.to_le_bytes());
        to.extend(self.first.to_le_bytes());
        to.extend(self.count.to_le_bytes());
        to.extend(self.attempt.to_le_bytes());
        to.extend(write_entry(self.entry));
        to.extend(self.kind.to_le_bytes());
    }

    pub fn read(from: &[u8]) -> Option<(ResultHead, &[u8])> {
        let mut reader = Reader(from);
        let head = ResultHead {
            nonce: reader.u64()?,
            job: reader.u64()?,
            first: reader.u64()?,
            count: reader.u32()?,
            attempt: reader.u32()?,
            entry: reader.entry()?,
            kind: reader.u32()?,
        };
        Some((head, reader.0))
    }
}

/// The arguments of a chunk, one after the other. Ends early where the bytes do.
pub(super) struct Arguments<'a>(pub &'a [u8]);

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(item)
    }
}

/// The results of a message, one after the other: tag, and value or text.
#[derive(Clone, Debug)]
pub(super) struct Results<'a>(pub &'a [u8]);

impl<'a> Iterator for Results<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some((tag, item))
    }
}

/// Appends an item: what `write` appends, behind its length. Returns what `write` returns.
pub(super) fn append_sized<R>(to: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let at = to.len();
    to.extend([0; 4]);
    let result = write(to);
    let length = (to.len() - at - 4) as u32;
    to[at..at + 4].copy_from_slice(&length.to_le_bytes());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_items_come_back_as_written() {
        let entry = Entry { index: 8, generation: u32::MAX };
        let mut head =
            TaskHead { nonce: 1, job: u64::MAX, first: 3, count: 2, runner: -5, task: 6, entry: Entry::default(), holder: 7 };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        assert_eq!(bytes.len(), TASK_BYTES);
        head.entry = entry;
        set_entry(&mut bytes, entry);
        for argument in [&b"one"[..], b""] {
            append_sized(&mut bytes, |to| to.extend(argument));
        }
        let (read, items) = TaskHead::read(&bytes).unwrap();
        assert_eq!(read, head);
        assert_eq!(Arguments(items).collect::<Vec<_>>(), [&b"one"[..], b""]);

        let head = ResultHead { nonce: 1, job: 2, first: 3, count: 1, attempt: 5, entry, kind: kind::LAST };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        assert_eq!(bytes.len(), RESULT_BYTES);
        bytes.push(tag::PANICKED);
        append_sized(&mut bytes, |to| to.extend(b"text"));
        let (read, items) = ResultHead::read(&bytes).unwrap();
        assert_eq!(read, head);
        assert_eq!(Results(items).collect::<Vec<_>>(), [(tag::PANICKED, &b"text"[..])]);
    }

    #[test]
    fn garbage_ends_and_does_not_panic() {
        assert!(TaskHead::read(&[0; TASK_BYTES - 1]).is_none());
        assert!(ResultHead::read(&[0; 3]).is_none());
        assert_eq!(Arguments(&[255, 255, 255, 255, 1]).count(), 0);
        assert_eq!(Results(&[0, 9, 0, 0, 0, 1]).count(), 0);
    }
}
