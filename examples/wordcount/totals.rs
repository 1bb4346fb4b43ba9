//! What the parent adds up: lines, words, bytes, and how often each word came, in bounded memory.
//!
//! When the table is full, rare words are dropped ("lossy counting"): `floor` rises, and every word
//! with `count + missing <= floor` goes. A word that comes (back) later may have been met up to
//! `floor` times before, which is its `missing`. So a count is exact where `missing` is 0, and no
//! word that was dropped came more than `floor` times.

use std::mem;

use crate::answer::{take_number, take_word};
use crate::words::Words;

/// Memory for different words, about, before rare ones are dropped. Text of ordinary size does not
/// come near.
const MOST_BYTES: usize = 512 << 20;

#[derive(Default)]
pub struct Totals {
    pub lines: u64,
    pub words: u64,
    pub bytes: u64,
    pub floor: u32,
    seen: Words,
}

impl Totals {
    /// Adds a worker's answer, from behind its number. `None` if it makes no sense.
    pub fn add_answer(&mut self, answer: &[u8], mut at: usize) -> Option<()> {
        self.lines += take_number(answer, &mut at)?;
        self.words += take_number(answer, &mut at)?;
        while at < answer.len() {
            let (count, word) = take_word(answer, &mut at)?;
            self.seen.add(answer, word, count, self.floor);
        }
        if self.seen.size_bytes() > MOST_BYTES {
            self.drop_rare();
        }
        Some(())
    }

    /// Adds a word that is no part of any block.
    pub fn add_word(&mut self, word: &[u8]) {
        self.words += 1;
        self.seen.add(word, 0..word.len(), 1, self.floor);
    }

    #[cold]
    fn drop_rare(&mut self) {
        let mut kept = mem::take(&mut self.seen);
        while kept.size_bytes() > MOST_BYTES / 2 {
            self.floor += 1;
            let all = mem::take(&mut kept);
            for (word, count, missing) in all.iter().filter(|(_, count, missing)| count + u64::from(*missing) > self.floor.into())
            {
                kept.add(word, 0..word.len(), count, missing);
            }
        }
        self.seen = kept;
    }

    /// The `most` words that came most often, those that came equally often in the order of their
    /// bytes; with their counts, and how much those may fall short.
    pub fn top(&self, most: usize) -> Vec<(&[u8], u64, u32)> {
        let mut all: Vec<_> = self.seen.iter().collect();
        let order = |a: &(&[u8], u64, u32), b: &(&[u8], u64, u32)| b.1.cmp(&a.1).then(a.0.cmp(b.0));
        if most < all.len() {
            all.select_nth_unstable_by(most, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        all
    }
}
