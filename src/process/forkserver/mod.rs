//! The fork server of [`init`]: a small single-threaded copy of the program, made at the top of
//! `main`, that forks when it is asked to (Python's forkserver), and its parent, which stands by.
//! Whichever of the two dies, the other makes a new one.
//!
//! ```text
//!   program (threads)                  fork server (one thread)              child
//!   call ── a call and a line ───────>
//!        ── call: offset, argument ──> fork ──────────────────────────────> waits
//!        <── call: pid, pidfd ────────
//!        ── line: go ─────────────────────────────────────────────────────> entry(argument)
//!   join <── line: status ──────────── reaps <──────────────────────────────────┘
//!
//!   standby ──forks──> server ──forks──> children
//!
//!   server dies:  standby ──adopts──> children   standby dies:  server = standby ──has──> children
//!                    └─────forks──> server                         └──────────forks──> server
//! ```
//!
//! Invariants:
//! 1. Neither ever has a second thread, so what they fork lacks none; and neither runs code of the
//!    program but in children (`supervision`).
//! 2. Both end when the program ends (a pidfd reports it, however it ended), or when it closes its
//!    end of the socket for requests.
//! 3. Children have none of their descriptors: those are closed first.
//! 4. A child's line (a socket to the program) is held by the server, and by the standby once it
//!    has received the server's record of the child, which is sent before the program gets its
//!    answer. The process that is the child's parent in the eyes of the kernel reports its status
//!    there, and reaps it then. The orphans of a server become children of the standby, which is
//!    its subreaper.
//! 5. A child begins when the program says so on the line, and not if the program closes it. The
//!    socket for the call itself is the server's alone, so its end shows the program that the
//!    server died. Before the answer, that call has begun nothing, and may be made again to the
//!    server that takes its place.
//! 6. Nothing forks for ever: a number of servers in a row that die before they are ready end the
//!    standby.
//!
//! | question | file |
//! |---|---|
//! | what does the program do for a call? | `client` (`handle`: what it knows of the fork server) |
//! | what does the server do for a request? | `server` |
//! | what happens when the server dies, or cannot be forked? | `standby`, `takeover` |
//! | how do ends of children reach the program? | `children` |
//! | what do both processes have? | `role` |
//! | what are the bytes between them? | `wire` |
//! | at which numbers do descriptors arrive? | `place`, `reserve` |

mod children;
mod client;
pub(super) mod handle;
mod place;
mod reserve;
mod role;
mod server;
mod standby;
mod takeover;
mod wire;

pub use self::client::init;
pub(super) use self::client::request;
