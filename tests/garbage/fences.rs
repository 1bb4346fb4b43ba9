//! Inaccessible pages on both sides of a mapping: an access out of bounds is a SIGSEGV, which shows
//! in the status of the child.

use std::ops::Range;
use std::ptr;

const PAGE: usize = 4096;

/// Attempts to make the kernel choose the gap between two fences for the next mapping.
const GAPS: usize = 512;

fn no_access(start: *mut libc::c_void, bytes: usize, flags: libc::c_int) -> Option<usize> {
    // SAFETY: a new mapping without access, at an address of the kernel's choice or at a free one
    // (MAP_FIXED_NOREPLACE).
    let mapped = unsafe { libc::mmap(start, bytes, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON | flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped as usize)
}

fn unmap(start: usize, bytes: usize) {
    // SAFETY: this module made the mapping, and no other code has its address.
    let done = unsafe { libc::munmap(start as *mut libc::c_void, bytes) };
    assert_eq!(done, 0, "munmap: {}", std::io::Error::last_os_error());
}

/// A gap between two fences, which the next mapping of that length fills.
pub struct Gap {
    before: usize,
    bytes: usize,
    fillers: Vec<usize>,
}

impl Gap {
    pub fn new(bytes: usize) -> Gap {
        let bytes = bytes.next_multiple_of(PAGE);
        let before = no_access(ptr::null_mut(), bytes + 2 * PAGE, 0).expect("room for a mapping and two fences");
        unmap(before + PAGE, bytes);
        let mut gap = Gap { before, bytes, fillers: Vec::new() };
        // The kernel fills the highest gap first, so all higher gaps of that length are filled
        // first.
        for _ in 0..GAPS {
            match no_access(ptr::null_mut(), bytes, 0).expect("room for a mapping") {
                start if start == before + PAGE => {
                    unmap(start, bytes);
                    return gap;
                }
                start => gap.fillers.push(start),
            }
        }
        panic!("the kernel does not choose the gap at {:#x}", before + PAGE);
    }

    /// Checks that the file of that name is mapped between the fences. Returns where.
    #[track_caller]
    pub fn around(&self, file: &str) -> Range<usize> {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc/self/maps");
        let (start, end) = (self.before + PAGE, self.before + PAGE + self.bytes);
        let line = |start: usize| maps.lines().find(move |line| range_of(line).is_some_and(|range| range.contains(&start)));
        let mapped = line(start).unwrap_or_default();
        assert!(
            mapped.contains(file) && range_of(mapped) == Some(start..end),
            "{file} is not mapped at {start:x}-{end:x}, but {mapped:?}\n{maps}"
        );
        for fence in [self.before, end] {
            assert!(line(fence).is_some_and(|line| line.contains(" ---p ")), "no fence at {fence:#x}\n{maps}");
        }
        start..end
    }
}

impl Drop for Gap {
    fn drop(&mut self) {
        for &start in &self.fillers {
            unmap(start, self.bytes);
        }
        unmap(self.before, PAGE);
        unmap(self.before + PAGE + self.bytes, PAGE);
    }
}

fn range_of(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

/// Private memory that ends at a fence, so that a copy that is too long does not go unnoticed.
pub struct Fenced<X> {
    start: usize,
    pages: usize,
    first: *mut X,
    len: usize,
}

impl<X: Copy> Fenced<X> {
    pub fn new(len: usize, fill: X) -> Fenced<X> {
        let pages = (len * size_of::<X>()).next_multiple_of(PAGE);
        let start = no_access(ptr::null_mut(), pages + PAGE, 0).expect("room for a buffer");
        let first = (start + pages - len * size_of::<X>()) as *mut X;
        // SAFETY: the first `pages` bytes of the new mapping are everything but the fence. `first`
        // points to `len` elements at their end; they are aligned, since a page is and their size
        // is a multiple of their alignment.
        unsafe {
            assert_eq!(libc::mprotect(start as *mut libc::c_void, pages, libc::PROT_READ | libc::PROT_WRITE), 0);
            for i in 0..len {
                first.add(i).write(fill);
            }
        }
        Fenced { start, pages, first, len }
    }

    pub fn elements(&mut self) -> &mut [X] {
        // SAFETY: `len` elements, initialised in `new`, borrowed mutably with `self`.
        unsafe { std::slice::from_raw_parts_mut(self.first, self.len) }
    }
}

impl<X> Drop for Fenced<X> {
    fn drop(&mut self) {
        unmap(self.start, self.pages + PAGE);
    }
}
