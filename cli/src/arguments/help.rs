//! Texts of `shmq --help` and of the verbs' help.

pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed for a reason that has no code of its own
  2    wrong usage, or a name that no queue can have
  3    no queue of that name
  4    permission denied
  5    nothing to take, or no room, before the timeout
  6    the queue is closed (get: and drained, before as many messages came as were asked for)
  7    the segment is damaged, poisoned, of another version, or carries another type
  8    doctor found something wrong
  129  ended by SIGHUP, or its terminal is gone
  130  ended by SIGINT
  141  the reader of its output is gone
  143  ended by SIGTERM
Of several names, all that can be done are done; the code is that of the first that cannot.";

pub const WHERE_TO_BEGIN: &str = "\
To try it:
  echo hello | shmq put q --lines     makes the queue q, and puts a message
  shmq peek q                         shows it, and leaves it there
  shmq get q --lines                  takes it
  shmq rm q                           removes the queue

Queues lie in /dev/shm, or where the environment variable SHMQ_DIR says.

Something is stuck?
  shmq ls              which processes use which queue, and in the last column what is wrong
  shmq doctor          the same in sentences, with what to do
  shmq stat NAME       what each process holds or waits for, and for how long

";

pub const PUT_EXAMPLES: &str = "\
Examples:
  producer | shmq put q              in blocks of 64 KiB; a pause of the producer ends a block
  tail -f log | shmq put q --lines   one message a line
  shmq put q -f a.json -f b.json     one message a file

It waits while the queue is full. It does not check that a consumer is attached: `shmq ls`
shows that. The queue stays until `shmq rm`.";

pub const GET_EXAMPLES: &str = "\
Examples:
  shmq get q                         one message; waits for it
  shmq get q --follow | consumer     all, until the queue is closed and drained
  shmq get q -f --lines -t 0         all that is there now, one a line, then exit code 5

The queue must exist: `shmq create` or `shmq put` makes one, get does not.
A message leaves the queue when it has been written. What is not written when a signal comes,
when the output takes no more, or when its reader goes away, is back in the queue. The end of
the reader is noticed also while no message comes.";

pub const SCHEMA_EXAMPLES: &str = "\
Examples:
  shmq schema ticks                    type, size, schema, and the text of the structure
  shmq schema ticks --c > tick.h       the same struct in C, checked against the queue when it is opened
  shmq schema ticks --rust             and in Rust; --cpp and --python are the others";

pub const TOP_KEYS: &str = "\
Keys:
  up, down, k, j   select a queue            s   sort by the next column
  /                filter by name or type    r   reverse the order
  q, Esc, Ctrl-C   quit                      p   pause";
