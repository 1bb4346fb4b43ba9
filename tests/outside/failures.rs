//! Programs that must not compile, and what the compiler says.

pub struct Failure {
    pub name: &'static str,
    pub code: &'static str,
    /// For each error, a text of the line that it must point at, and what it must say.
    pub expected: &'static [(&'static str, &'static str)],
}

impl Failure {
    pub fn line_of(&self, text: &str) -> usize {
        let found = self.code.lines().position(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("`{}` has no line with {text}", self.name)) + 1
    }
}

pub const ALL: &[Failure] = &[
    Failure {
        name: "string",
        code: r#"
            fn main() {
                let _ = shmq::Queue::<String>::new(3);
                let _ = shmq::Queue::<Vec<u8>>::create("name", 3);
                let _ = shmq::Queue::<Option<u8>>::open("name");
                let _ = shmq::Queue::<Box<u8>>::builder();
                let _: shmq::Queue<&u8> = shmq::Queue::open_or_create("name", 3).unwrap();
            }
        "#,
        expected: &[
            ("<String>", "use `ObjectQueue<String>` instead of `Queue<String>`"),
            ("<Vec<u8>>", "`Queue` and `Topic` carry plain data, `ObjectQueue` anything that serde encodes"),
            ("<Option<u8>>", "use `ObjectQueue<Option<u8>>` instead"),
            ("<Box<u8>>", "`Box<u8>` cannot travel between processes as it lies in memory"),
            ("<&u8>", "`&u8` cannot travel between processes"),
        ],
    },
    Failure {
        name: "unmarked",
        code: r#"
            struct Tick {
                price: f64,
            }

            #[shmq::message]
            struct Trade {
                tick: Tick,
            }

            fn main() {
                let _ = shmq::Queue::<Tick>::new(3);
                let _ = shmq::Queue::<Trade>::new(3);
            }
        "#,
        expected: &[
            ("tick: Tick", "a struct or an enum of your own: put `#[shmq::message]` on it"),
            ("Queue::<Tick>", "a struct or an enum of your own: put `#[shmq::message]` on it"),
        ],
    },
    Failure {
        name: "padding",
        code: r#"
            #[shmq::message]
            struct Before {
                venue: u8,
                price: f64,
            }

            #[shmq::message]
            struct Behind {
                price: f64,
                #[allow(unused)]
                volume: u32,
            }

            #[shmq::message]
            #[repr(C, align(32))]
            struct Aligned(u64, u64);

            #[shmq::message]
            #[repr(u8)]
            enum Uneven {
                Small(u8),
                Large([u8; 4]),
            }

            fn main() {}
        "#,
        expected: &[
            ("price: f64,", "7 bytes of padding before the field `price` of `Before`"),
            ("volume: u32", "add a last field such as `_unused: [u8; 4]`"),
            ("Aligned(", "16 bytes of padding at the end of `Aligned`"),
            ("Small(u8)", "3 bytes of the enum unused by the variant `Uneven::Small`"),
        ],
    },
    Failure {
        name: "pointers",
        code: r#"
            #[shmq::message]
            struct Person {
                name: String,
                tags: Vec<u8>,
                boss: &'static u8,
                age: Option<u8>,
                at: std::time::Duration,
                both: (u8, u8),
            }

            fn main() {
                let _ = shmq::Queue::<Person>::new(3);
            }
        "#,
        expected: &[
            ("name: String", "send `Person` encoded, through an `ObjectQueue<Person>`"),
            ("tags: Vec", "a `Vec` holds a pointer to memory of one process"),
            ("boss: &", "a reference or pointer leads to memory of one process"),
            ("age: Option", "use a flag `u8` beside the value"),
            ("at: std", "such as nanoseconds in a `u64`"),
            ("both: (", "use a struct with `#[shmq::message]`"),
        ],
    },
    Failure {
        name: "kinds",
        code: r#"
            #[shmq::message]
            enum Side {
                Buy,
                Sell,
            }

            #[shmq::message]
            union Either {
                a: u32,
                b: f32,
            }

            #[shmq::message(krate = shmq)]
            struct Misspelt(u8);

            #[shmq::message]
            fn tick() {}

            fn main() {}
        "#,
        expected: &[
            ("enum Side", "write `#[repr(u8)]` (or another integer) before it"),
            ("union Either", "use an enum with `#[repr(u8)]`"),
            ("krate", "`crate = path`, for a crate that is renamed in Cargo.toml"),
            ("fn tick", "`#[shmq::message]` is for a struct or an enum"),
        ],
    },
    Failure {
        name: "in_place",
        code: r#"
            #[shmq::message]
            struct Flag {
                on: bool,
            }

            fn main() {
                let queue = shmq::Queue::<Flag>::new(3).unwrap();
                let _ = queue.lease();
                let _ = shmq::Queue::<[bool]>::builder();
                let _ = shmq::sync::Value::new('c');
            }
        "#,
        expected: &[
            ("queue.lease", "`bool` cannot be read or written in place: not all bits are a value of it"),
            ("<[bool]>", "go by `put` and `get`, which check them"),
            ("Value::new", "`char` cannot be read or written in place"),
        ],
    },
    Failure {
        name: "topics",
        code: r#"
            #[shmq::message]
            struct Flag {
                on: bool,
            }

            fn main() {
                let _ = shmq::Topic::<String>::new(3);
                let flags = shmq::Topic::<Flag>::new(3).unwrap();
                let _ = flags.loan();
                let _ = flags.subscribe().unwrap().read();
                let _ = shmq::Topic::<u64>::builder().dead_letters("letters");
            }
        "#,
        expected: &[
            ("Topic::<String>", "`ObjectTopic<String>` to reach all subscribers"),
            ("flags.loan", "`bool` cannot be read or written in place: not all bits are a value of it"),
            (".read();", "`bool` cannot be read or written in place"),
            ("dead_letters", "`Topic<u64>: Delivering`"),
        ],
    },
    Failure {
        name: "samples",
        code: r#"
            fn main() {
                let topic = shmq::Topic::<u64>::new(3).unwrap();
                let mut every = topic.subscribe().unwrap();
                let first = every.read().unwrap();
                let second = every.try_read();
                drop(first);

                let mut every = topic.subscribe().unwrap();
                let sample = every.read().unwrap();
                drop(every);
                drop(sample);
            }
        "#,
        expected: &[
            ("let second", "cannot borrow `every` as mutable more than once at a time"),
            ("drop(every)", "cannot move out of `every` because it is borrowed"),
        ],
    },
];
