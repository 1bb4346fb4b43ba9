//! Objects larger than the ring, in files of their own beside the segment. This is the protocol; what
//! it is made of lies where it acts:
//!
//! | | |
//! |---|---|
//! | names, the files, their mapping, the anchor and who removes what | `src/shm/segment/spilled.rs` |
//! | putting, leasing, ending; the bound in bytes | `src/raw/spilled/` |
//! | the mark in a record's header | `src/ring/header.rs` |
//! | its models: positions, and lifetimes | `model` |
//!
//! ```text
//!   put:   CLAIMED|S ---> file made ---> filled ---> READY|S
//!             \  drop: file removed ---> DONE          |
//!              \ death: whoever aborts it does so      v
//!   get:                                            LEASED|S --> file mapped, read --> DONE --> file removed
//!                                                      \-- given back, death --> RETURNED|S: the file stays
//! ```
//!
//! The record is a small one. It holds a descriptor: version, length, and a check that no other
//! record has. Its header has a mark (S), set with CLAIMED and kept until DONE. Each fast path
//! compares the whole header, so a record with the mark takes the slow path of itself, and other
//! messages pay nothing.
//!
//! **The file of a position** is named by the segment's nonce and the record's position. It is made
//! under that name after the record is claimed: like the cells of a loan it belongs to the record's
//! owner, and needs no temporary name and no lock of its own.
//!
//! **The anchor** is a second name (a hard link) of the segment's own file, made before the first
//! file of an object, and by `unlink` before the segment's name goes. By it a process that does not
//! know the segment finds the locks which say whether any process is attached. The file system's
//! count of names says whether one leads to the segment still.
//!
//! Invariants:
//! 1. A record with the mark that is READY, LEASED or RETURNED has its file, whole. The file is filled
//!    before READY, and removed after DONE.
//! 2. An abort removes the file before it stores DONE: from then on the position may be another
//!    record's. The owner removes it while the record is CLAIMED; of a dead owner, a process that
//!    holds a side, so that tail does not move back meanwhile. After DONE a file is removed only if
//!    its position is before head: such a position is never used again (Ring, Invariant 2).
//! 3. What a kill leaves between DONE and the removal is removed by the next count of bytes: in
//!    `recover`, in a newcomer that succeeds the dead, and before a put is refused for the bound.
//! 4. All files of a nonce are removed, the anchor last, by a process that holds the locks which
//!    exclude any other that is attached or about to attach, and sees that the anchor is the file's
//!    only name: the last one that leaves, `unlink`, what replaces a dead segment, and the scan for
//!    what the dead left. A name never comes back. So an unlinked queue leaves nothing, and a
//!    persisted or dead one that still has its name loses nothing.
//! 5. The count of bytes is never too low for long: it is raised after the claim and lowered before
//!    the file is removed; a kill leaves it too high, until a put finds it so and counts anew.
//!
//! A process of another user, in a directory where only a file's owner may remove it (`/dev/shm` is
//! one), leaves the file of a message that it finished to the processes of that owner (Invariant 3).

#[cfg(test)]
mod model;
