//! What a worker answers for a block: its number, lines and words, and then for every different
//! word the count, the length and the bytes. All numbers are LEB128.

use std::ops::Range;

use crate::text::{count_lines, for_each_word, stand_in};
use crate::words::Words;

/// Counts `block` with the help of `table`, and writes the answer.
pub fn answer_block(number: u64, block: &[u8], table: &mut Words, answer: &mut Vec<u8>) {
    table.clear();
    let mut words = 0;
    for_each_word(block, |start, end| {
        words += 1;
        match stand_in(&block[start..end]) {
            None => table.add(block, start..end, 1, 0),
            Some(word) => table.add(&word, 0..word.len(), 1, 0),
        }
    });
    answer.clear();
    push_number(answer, number);
    push_number(answer, count_lines(block));
    push_number(answer, words);
    for (word, count, _) in table.iter() {
        push_number(answer, count);
        push_number(answer, word.len() as u64);
        answer.extend_from_slice(word);
    }
}

fn push_number(answer: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        answer.push(number as u8 | 0x80);
        number >>= 7;
    }
    answer.push(number as u8);
}

/// Takes the number at `at`, and moves `at` behind it. `None` where there is none.
pub fn take_number(answer: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *answer.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes a count and the place of its word. `None` where there is none.
pub fn take_word(answer: &[u8], at: &mut usize) -> Option<(u64, Range<usize>)> {
    let count = take_number(answer, at)?;
    let length = take_number(answer, at)?;
    let word = *at..at.checked_add(usize::try_from(length).ok()?)?;
    *at = word.end;
    (count > 0 && length > 0 && word.end <= answer.len()).then_some((count, word))
}
