//! Each signature as a function pointer: argument and result types, lifetimes included.

use shmq::{
    AckLease, Consumer, CreateError, GetError, Iter, JoinError, Lease, Loan, OpenError, Process, Producer, PutError, Queue,
    QueueBuilder, RecoveryReport, SpawnError, Stats, View,
};
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

#[test]
#[allow(clippy::type_complexity, reason = "the types are what is tested")]
fn signatures_are_what_they_were() {
    type Q = Queue<u32>;
    type B = Queue<[u8]>;
    let _: fn(&'static str, usize) -> Result<Q, CreateError> = Q::create;
    let _: fn(String, usize) -> Result<Q, CreateError> = Q::open_or_create;
    let _: fn(usize) -> Result<Q, CreateError> = Q::new;
    let _: fn(&'static str) -> Result<B, OpenError> = B::open;
    let _: fn(&'static str) -> Result<(), OpenError> = B::unlink;
    let _: fn() -> QueueBuilder<Queue<[u8]>> = B::builder;
    let _: fn(&B) = B::persist;
    let _: fn(&Q, &[u32]) -> Result<usize, PutError> = Q::put_slice;
    let _: fn(&Q, &mut [u32]) -> Result<usize, GetError> = Q::get_slice;
    let _: for<'q> fn(&'q Q) -> Result<Loan<'q, u32>, PutError> = Q::loan;
    let _: for<'q> fn(&'q B, usize) -> Result<Loan<'q, [u8]>, PutError> = B::loan_len;
    let _: for<'q> fn(&'q B) -> Result<Lease<'q, [u8]>, GetError> = B::lease;
    let _: fn(&B) -> Result<Lease<'static, [u8]>, GetError> = B::lease_owned;
    let _: fn(&B, &mut [u8]) -> Result<usize, GetError> = B::get_into;
    let _: fn(&B) -> usize = B::max_len;
    let _: fn(&B) -> usize = B::capacity_bytes;
    let _: fn(&B, &[u8]) -> Result<(), PutError> = B::put;
    let _: fn(&B, &[u8], Duration) -> Result<(), PutError> = B::put_timeout;
    let _: fn(&B, &[u8], Instant) -> Result<(), PutError> = B::put_deadline;
    let _: fn(&B) -> Result<Vec<u8>, GetError> = B::get;
    let _: fn(&Q, Duration) -> Result<u32, GetError> = Q::get_timeout;
    let _: fn(&Q, Instant) -> Result<u32, GetError> = Q::get_deadline;
    let _: fn(&Q) -> Result<Producer<u32>, PutError> = Q::producer;
    let _: fn(&Q) -> Result<Consumer<u32>, GetError> = Q::consumer;
    let _: for<'q> fn(&'q Q) -> Iter<'q, Queue<u32>> = Q::iter;
    let _: fn(&Q) -> usize = Q::len;
    let _: fn(&Q) -> bool = Q::is_empty;
    let _: fn(&Q) -> bool = Q::is_full;
    let _: fn(&Q) -> usize = Q::capacity;
    let _: fn(&Q) -> &str = Q::name;
    let _: fn(&Q) = Q::close;
    let _: fn(&Q) -> bool = Q::is_closed;
    let _: fn(&Q) -> Stats = Q::stats;
    let _: fn(&Q) -> RecoveryReport = Q::recover;
    let _: fn(&Q) -> Result<(), JoinError> = Q::task_done;
    let _: fn(&Q) -> Result<(), JoinError> = Q::join;
    let _: fn(&Q, Duration) -> Result<(), JoinError> = Q::join_timeout;
    let _: fn(Loan<'static, u32>) -> Result<(), PutError> = Loan::commit;
    let _: fn(Loan<'static, [u8]>, usize) -> Result<(), PutError> = Loan::commit_len;
    let _: fn(Lease<'static, u32>) = Lease::release;
    let _: fn(Lease<'static, u32>) = Lease::give_back;
    let _: fn(&Lease<'static, u32>) -> u32 = Lease::deliveries;
    let _: for<'q> fn(&'q B) -> Result<AckLease<'q, [u8]>, GetError> = B::lease_ack;
    let _: fn(&B) -> Result<AckLease<'static, [u8]>, GetError> = B::lease_ack_owned;
    let _: for<'c> fn(&'c Consumer<u32>) -> Result<AckLease<'c, u32>, GetError> = Consumer::lease_ack;
    let _: fn(&Consumer<u32>) -> Result<AckLease<'static, u32>, GetError> = Consumer::lease_ack_owned;
    let _: fn(AckLease<'static, u32>) -> Result<(), GetError> = AckLease::ack;
    let _: fn(AckLease<'static, u32>) = AckLease::give_back;
    let _: fn(Lease<'static, [u8]>) -> Result<View<'static, [u8]>, GetError> = Lease::into_view;
    let _: fn(AckLease<'static, u32>) -> Result<View<'static, u32>, GetError> = AckLease::into_view;
    let _: fn(&AckLease<'static, u32>) -> u32 = AckLease::deliveries;
    let _: for<'a> fn(&'a mut AckLease<'static, [u8]>) -> &'a mut [u8] = AckLease::message_mut;
    let _: for<'p> fn(&'p Producer<u32>) -> Result<Loan<'p, u32>, PutError> = Producer::loan;
    let _: for<'p> fn(&'p Producer<[u8]>, usize) -> Result<Loan<'p, [u8]>, PutError> = Producer::loan_len;
    let _: fn(&Producer<u32>, &[u32]) -> Result<usize, PutError> = Producer::put_slice;
    let _: fn(&Producer<[u8]>, &[u8]) -> Result<(), PutError> = Producer::put;
    let _: for<'c> fn(&'c Consumer<u32>) -> Result<Lease<'c, u32>, GetError> = Consumer::lease;
    let _: fn(&Consumer<u32>, &mut [u32]) -> Result<usize, GetError> = Consumer::get_slice;
    let _: fn(&Consumer<[u8]>, &mut [u8]) -> Result<usize, GetError> = Consumer::get_into;
    let _: fn(&Consumer<[u8]>) -> Result<Vec<u8>, GetError> = Consumer::get;
    let _: fn(fn()) -> Result<Process, SpawnError> = Process::spawn;
    let _: fn(fn() -> Result<(), PutError>) -> Result<Process, SpawnError> = Process::spawn;
    let _: unsafe fn(fn() -> i32) -> Result<Process, SpawnError> = Process::spawn_unchecked;
    let _: fn(&Process) -> u32 = Process::pid;
    let _: fn(&Process) -> io::Result<ExitStatus> = Process::join;
    let _: fn(&Process, Duration) -> io::Result<Option<ExitStatus>> = Process::join_timeout;
    let _: fn(&Process) -> io::Result<Option<ExitStatus>> = Process::exit_status;
    let _: fn(&Process) -> bool = Process::is_alive;
    let _: fn(&Process) -> io::Result<()> = Process::terminate;
    let _: fn(&Process) -> io::Result<()> = Process::kill;
}
