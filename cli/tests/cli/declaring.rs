//! `shmq schema --c`, `--cpp`, `--rust`, `--python`: the struct of a live queue in another language.

use crate::command::{Name, run};
use crate::schema;
use shmq::{DynQueue, Message, MessageLayout, Queue};
use std::fs;
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

#[shmq::message]
#[derive(Clone, Copy)]
struct Leg {
    id: i64,
    venue: [u8; 8],
}

#[shmq::message]
#[derive(Clone, Copy)]
#[repr(u8)]
#[allow(dead_code, reason = "made of bytes")]
enum Side {
    Buy = 1,
    Sell = 2,
}

#[shmq::message]
#[derive(Clone, Copy)]
struct Tick {
    price: f64,
    sizes: [u32; 2],
    legs: [Leg; 2],
    first: Leg,
    grid: [[u16; 3]; 2],
    side: Side,
    live: bool,
    name: [u8; 2],
}

/// Compiles a source and runs it: what the program prints. `None`: there is no such compiler.
fn printed_by(compiler: &str, suffix: &str, source: &str) -> Option<String> {
    static PROGRAMS: AtomicU64 = AtomicU64::new(0);
    let number = PROGRAMS.fetch_add(1, Relaxed);
    let folder = std::env::temp_dir().join(format!("shmq-declaring-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (file, program) = (folder.join(format!("it.{suffix}")), folder.join("it"));
    fs::write(&file, source).expect("written");
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../capi/include");
    let standard = if suffix == "cpp" { "-std=c++17" } else { "-std=c99" };
    let compiled =
        Command::new(compiler).args([standard, "-Wall", "-Wextra", "-Werror", include, "-o"]).arg(&program).arg(&file).output();
    let printed = compiled.ok().map(|compiled| {
        assert!(compiled.status.success(), "{}\n{source}", String::from_utf8_lossy(&compiled.stderr));
        String::from_utf8(Command::new(&program).output().expect("it runs").stdout).expect("text")
    });
    fs::remove_dir_all(&folder).expect("removed");
    if printed.is_none() {
        eprintln!("skipped: there is no {compiler}");
    }
    printed
}

#[test]
fn the_struct_in_c_has_the_same_schema() {
    let name = Name::new("tick");
    let _queue = Queue::<Tick>::create(&*name, 10).expect("created");
    let source = run(&["schema", &name, "--c"]).expect(0).text().to_owned();
    for line in [
        "    double price;",
        "    uint32_t sizes[2];",
        "    Tick_legs legs[2];",
        "    Tick_legs first;",
        "SHMQ_SCHEMA(Tick_legs, (i64, id), (u8, venue, 8));",
        "SHMQ_SCHEMA_ENUM(Tick_side, u8, \"Buy=1, Sell=2\");",
        "    uint16_t grid[2][3];",
    ] {
        assert!(source.contains(line), "{line:?} is not in\n{source}");
    }
    let whole = format!("{source}#include <stdio.h>\nint main(void) {{ return puts(shmq_schema_Tick) < 0; }}\n");
    if let Some(printed) = printed_by("cc", "c", &whole) {
        assert_eq!(printed.trim_end(), Tick::schema());
    }
}

#[test]
fn the_struct_in_cpp_has_the_same_schema() {
    let name = Name::new("tick-cpp");
    let _queue = Queue::<Tick>::create(&*name, 10).expect("created");
    let source = run(&["schema", &name, "--cpp"]).expect(0).text().to_owned();
    for line in ["enum class TickSide : uint8_t { Buy = 1, Sell = 2 };", "struct Tick {", "    TickSide side;"] {
        assert!(source.contains(line), "{line:?} is not in\n{source}");
    }
    let whole = format!("{source}#include <cstdio>\nint main() {{ return std::puts(shmq::schema<Tick>::text()) < 0; }}\n");
    if let Some(printed) = printed_by("c++", "cpp", &whole) {
        assert_eq!(printed.trim_end(), Tick::schema());
    }
}

#[test]
fn what_the_macro_cannot_have_is_given_as_text() {
    let name = Name::new("tuple");
    let layout = MessageLayout::value(24, 8).unwrap().structure("{0@0: u64, class@8: u64, deep@16: [[[u8; 2]; 2]; 2]}").unwrap();
    let _queue = DynQueue::builder(layout).name(&*name).capacity(4).create().expect("created");
    let source = run(&["schema", &name, "--c"]).expect(0).text().to_owned();
    for line in ["    uint64_t f_0;", "    uint64_t f_class;", "    uint8_t deep[2][2][2];"] {
        assert!(source.contains(line), "{line:?} is not in\n{source}");
    }
    let whole = format!("{source}#include <stdio.h>\nint main(void) {{ return puts(Message_STRUCTURE) < 0; }}\n");
    if let Some(printed) = printed_by("cc", "c", &whole) {
        assert_eq!(printed.trim_end(), "{0@0: u64, class@8: u64, deep@16: [[[u8; 2]; 2]; 2]}");
    }
    // In C++ a queue finds it by the type.
    let source = run(&["schema", &name, "--cpp"]).expect(0).text().to_owned();
    let whole =
        format!("{source}#include <cstdio>\nint main() {{ return std::puts(shmq::options(4).of<Message>().structure) < 0; }}\n");
    if let Some(printed) = printed_by("c++", "cpp", &whole) {
        assert_eq!(printed.trim_end(), "{0@0: u64, class@8: u64, deep@16: [[[u8; 2]; 2]; 2]}");
    }
    for (structure, size, align, line) in [
        ("u64", 8, 8, "typedef uint64_t Message;"),
        ("[f32; 3]", 12, 4, "typedef float Message[3];"),
        ("{a@0: u8, b@1: u32}", 5, 1, "typedef struct __attribute__((packed, aligned(1))) Message {"),
        ("{a@0: [u8; 64]}", 64, 64, "typedef struct __attribute__((aligned(64))) Message {"),
        ("{a@0: u16be}", 2, 2, "    uint16_t a /* big-endian */;"),
    ] {
        let name = Name::new("small");
        let layout = MessageLayout::value(size, align).unwrap().structure(structure).unwrap();
        let _queue = DynQueue::builder(layout).name(&*name).capacity(4).create().expect("created");
        let source = run(&["schema", &name, "--c"]).expect(0).text().to_owned();
        assert!(source.contains(line), "{line:?} is not in\n{source}");
        let whole = format!("{source}#include <stdio.h>\nint main(void) {{ return printf(\"%zu\", sizeof(Message)) < 0; }}\n");
        if let Some(printed) = printed_by("cc", "c", &whole) {
            assert_eq!(printed, size.to_string());
        }
    }
}

#[test]
fn the_struct_in_rust_and_in_python() {
    let name = Name::new("both");
    let _queue = Queue::<Tick>::create(&*name, 10).expect("created");
    let rust = run(&["schema", &name, "--rust"]).expect(0).text().to_owned();
    let expected = "#[shmq::message]
#[derive(Clone, Copy, Debug)]
struct TickLegs {
    id: i64,
    venue: [u8; 8],
}

#[shmq::message]
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum TickSide {
    Buy = 1,
    Sell = 2,
}

#[shmq::message]
#[derive(Clone, Copy, Debug)]
struct Tick {
    price: f64,
    sizes: [u32; 2],
    legs: [TickLegs; 2],
    first: TickLegs,
    grid: [[u16; 3]; 2],
    side: TickSide,
    live: bool,
    name: [u8; 2],
}
";
    assert!(rust.contains(expected), "{rust}");
    // What was printed, compiled here, is a message of the same structure.
    mod printed {
        #[shmq::message]
        #[derive(Clone, Copy, Debug)]
        pub struct TickLegs {
            id: i64,
            venue: [u8; 8],
        }

        #[shmq::message]
        #[derive(Clone, Copy, Debug)]
        #[repr(u8)]
        #[allow(dead_code, reason = "made of bytes")]
        pub enum TickSide {
            Buy = 1,
            Sell = 2,
        }

        #[shmq::message]
        #[derive(Clone, Copy, Debug)]
        pub struct Tick {
            price: f64,
            sizes: [u32; 2],
            legs: [TickLegs; 2],
            first: TickLegs,
            grid: [[u16; 3]; 2],
            side: TickSide,
            live: bool,
            name: [u8; 2],
        }
    }
    assert!(Queue::<printed::Tick>::open(&*name).is_ok());
    let python = run(&["schema", &name, "--python"]).expect(0).text().to_owned();
    for line in [
        "Tick = numpy.dtype([",
        "    (\"price\", \"<f8\"),",
        "    (\"sizes\", \"<u4\", (2,)),",
        "        (\"venue\", \"<u1\", (8,)),",
        "    ], (2,)),",
        "    (\"grid\", \"<u2\", (2, 3,)),",
        "    (\"live\", \"?\"),",
    ] {
        assert!(python.contains(line), "{line:?} is not in\n{python}");
    }
}

#[test]
fn a_queue_without_a_structure_is_refused_and_json_has_the_source() {
    let name = Name::new("none");
    let _queue = DynQueue::builder(MessageLayout::value(8, 8).unwrap()).name(&*name).capacity(4).create().expect("created");
    let refused = run(&["schema", &name, "--rust"]).expect(1);
    assert!(refused.err.contains("its creator gave no structure"), "{}", refused.err);
    let name = Name::new("json-source");
    let _queue = Queue::<Leg>::create(&*name, 4).expect("created");
    let printed = run(&["schema", &name, "--json", "--cpp"]).expect(0).json();
    schema::check(&printed, "schema");
    assert_eq!(printed["source"]["language"], "cpp");
    assert!(printed["source"]["text"].as_str().unwrap().contains("struct Leg {\n    int64_t id;"), "{printed:#}");
    run(&["schema", &name, "--c", "--rust"]).expect(2);
}
